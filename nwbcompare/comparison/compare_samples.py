"""Comparison of units of networks with recorded units: differences, tests and intervals."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.kernels.distances import (
    DISTANCES,
    EFFECTS,
    MEASURES,
    TINY,
    compare_weighted,
)
from nwbcompare.comparison.kernels.resampling import resample_hierarchy
from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.core.unit_samples import (
    UnitGroups,
    UnitSample,
    animals_of_groups,
    are_matched,
    check_same_pair,
    matched_groups,
    session_columns,
)
from nwbcompare.inference.mixed_effects import two_sided_p
from nwbcompare.inference.networks import MOST_EXACT, over_networks
from nwbcompare.kernels.intervals import mean_interval, student_half_width
from nwbcompare.kernels.permutation import p_values, reaches

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Weights = tuple[npt.NDArray[Any], npt.NDArray[Any]]
CLAIMS = ("these networks", "networks of this kind")
IS_DISTANCE = np.array([name in DISTANCES for name in MEASURES])
LEAST_UNITS = 3
LEVEL = 0.05
RECORDING_ERROR = 0.005
"""Part of the error of the test over networks that is spent on the recording's own
uncertainty (Berger & Boos 1994)."""
DIGITS = 12
"""Decimals beyond which differences of values in [-1, 1] are rounding errors."""
VALUES, EDGES = np.linspace(-1, 1, 201), np.linspace(-1, 1, 21)


@dataclass(frozen=True)
class _Recording:
    """Active units of a recording, with their sessions and animals."""

    name: str
    values: Array
    cluster: Codes
    """Session of each unit; the unit itself where sessions are unknown, or there is only one."""
    animal: Codes
    """Animal of each cluster."""
    animals: list[str]
    """Names of the animals; empty where they are unknown."""
    n_sessions: int
    n_inactive: int
    columns: list[str]
    """Columns of the unit table that identify clusters."""
    groups: UnitGroups
    """The clusters by key."""

    @property
    def n_clusters(self) -> int:
        return self.animal.size

    @property
    def degrees_of_freedom(self) -> int:
        return self.n_clusters - max(1, len(self.animals))

    @property
    def by_session(self) -> bool:
        return "session" in self.columns


@dataclass(frozen=True)
class _Draw:
    """One sample of a network: values of its active units, and their clusters."""

    values: Array
    unit: Codes
    """The network unit of each value; several values may be of one unit."""
    cluster: Codes | None
    """The cluster of the matched recorded unit."""


@dataclass(frozen=True)
class _Network:
    name: str
    draws: list[_Draw]
    n_units: float
    n_inactive: float


def compare_samples(
    models: Sequence[xr.Dataset],
    recording: xr.Dataset,
    *,
    variable: str = "fractional_task_variance",
    n_bootstrap: int = 2000,
    n_permutations: int = 1000,
    mixed_below: float = 0.3,
    single_above: float = 0.9,
    seed: int = 0,
) -> xr.Dataset:
    """Compare the distribution of units of networks with that of recorded units.

    For eight measures, the difference or distance is estimated, tested against no difference,
    and given a 95 % interval, both for these networks and for networks of this kind.

    Parameters
    ----------
    models
        One table for each network, e.g. from `nwbcompare.fractional_task_variance`: ``variable``
        on ``(unit,)`` or ``(draw, unit)``, in [-1, 1]; NaN for inactive units. With the unit
        columns ``session`` and ``recorded_unit``, every unit was sampled like one recorded unit
        (see `nwbcompare.comparison.sample_like`). Values of one ``network_unit`` are resampled
        together.
    recording
        The same table of a recording. Units of one ``session`` (and ``subject``) are not
        independent; without sessions every unit counts as independent.
    variable
        The variable that is compared.
    n_bootstrap
        Bootstrap samples; with 2000 the standard error has an error of 2 %.
    n_permutations
        Random swaps of the test; with 1000 the smallest p value is 0.001.
    mixed_below, single_above
        Units whose absolute value is below the first bound are mixed, those above the second
        are single-context units.
    seed
        Seed of bootstrap and swaps.

    Returns
    -------
    xarray.Dataset
        On ``(measure,)``: ``estimate`` (networks minus recording, or distance; the mean over
        draws, then over networks), ``null_mean`` and ``null_high``, mean and 95th percentile of
        the estimate (of its size, for differences) where both sides have one distribution, and
        ``effect_size``, named in ``effect``. On ``(claim, measure)``: the 95 % interval ``low``,
        ``high``, ``standard_error``, ``degrees_of_freedom``, ``p_value``, ``p_student`` (that of
        the interval), ``effect_low``, ``effect_high``. On ``(claim,)``: ``p_smallest``, the
        smallest ``p_value`` that is possible. By network: ``estimate_by_network (network,
        measure)``, ``effect_by_network (network, measure)``, ``n_units``, ``n_inactive``. With
        two animals or more ``estimate_by_animal (animal, measure)`` and Student's interval over
        animals, ``animals_low``, ``animals_high``. Attributes give the basis of each claim:
        ``unit_of_inference``, ``over_animals``, ``n_networks``, ``n_sessions``, ``n_animals``.

    Raises
    ------
    InputError
        For no networks, different pairs of tasks, units matched to sessions that the recording
        lacks, and matched units in some networks only.
    NotApplicableError
        For fewer than 3 active units, or units that all have one value.

    Warns
    -----
    UserWarning
        For a single network, which allows no inference over networks: p is 1, the interval NaN.

    Notes
    -----
    Differences are those of s.d., means, and shares of mixed and of single-context units, and
    Cliff's delta of absolute values. Distances are 0 only for equal distributions; since two
    samples of one distribution differ, compare a distance with ``null_mean``.

    *These networks*: inference to other sessions of the same animals. The unit of inference is the
    session. Each swap exchanges whole sessions between the two sides: recorded units with their
    matched units or, without matched units, with a random part of each network that is as large
    as the session's part of the recording. p = (1 + b) / (1 + B), two-sided for differences. The
    interval is Student's; its standard error is that of a bootstrap, within animals, of whole
    sessions with their matched units (without matched units: of sessions, and of units within
    networks). Units are not resampled within sessions, which would count their variance twice
    (Davison & Hinkley 1997, section 3.8).

    *Networks of this kind*: inference to other networks as well. The unit of inference is the
    network. p is that of all sign flips of the networks' estimates
    (`nwbcompare.inference.over_networks`), maximised over the recording's values in its 99.5 %
    interval, plus 0.005 (Berger & Boos 1994); for distances, of their excess over ``null_mean``.
    The interval adds the variances of networks and recording (Welch).

    ``p_student`` of networks of this kind assumes about normally distributed networks; unlike the
    sign-flip p it can be small with few networks. Intervals of distances are corrected for the
    bootstrap estimate of their bias, are cut at 0, and include 0 where p (for networks of this
    kind, ``p_student``) is above 5 %.

    Coverage (``benchmarks/comparison_errors.py``): with 8 sessions, 95 % intervals of the s.d.
    contain the true value in 90 to 93 % of data sets; those of the Kolmogorov-Smirnov distance in
    80 to 93 %, for any number of sessions; those of a share near 0 are invalid over networks.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> def table(sd, name, n):
    ...     values = np.clip(rng.normal(0, sd, n), -1, 1)
    ...     columns = {"session": ("unit", np.arange(n) // 5)} if name == "monkey" else {}
    ...     return xr.Dataset({"fractional_task_variance": ("unit", values)}, columns,
    ...                       attrs={"name": name, "task_a": "a", "task_b": "b"})
    >>> result = compare_samples([table(0.5, f"n{i}", 90) for i in range(3)],
    ...                          table(0.3, "monkey", 100))
    >>> bool(result["p_value"].sel(claim="these networks", measure="sd") < 0.01)
    True
    """
    for name, number in {"n_bootstrap": n_bootstrap, "n_permutations": n_permutations}.items():
        if number < 2:
            raise InputError(name, "2 or more", repr(number), "Use 1000.")
    _check_models(models, recording, variable)
    units = [UnitSample(model, variable) for model in models]
    matched = are_matched(units, "models")
    recorded = _read_recording(UnitSample(recording, variable), units if matched else [])
    networks = [_read_network(one, recorded, matched=matched) for one in units]
    if len(networks) == 1:
        warnings.warn(
            "One network allows no inference over networks: p is 1 and there is no interval.",
            UserWarning,
            stacklevel=2,
        )
    bounds = {"mixed_below": mixed_below, "single_above": single_above}
    samples = _Samples(networks, recorded, bounds, np.random.default_rng(seed))
    return _infer(samples, n_bootstrap, n_permutations).assign_attrs(
        _attrs(networks, recorded),
        variable=variable,
        task_a=str(recording.attrs.get("task_a", "")),
        task_b=str(recording.attrs.get("task_b", "")),
        n_bootstrap=n_bootstrap,
        n_permutations=n_permutations,
        seed=seed,
        **bounds,
    )


def distribution_curves(
    models: Sequence[xr.Dataset],
    recording: xr.Dataset,
    *,
    variable: str = "fractional_task_variance",
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Compute the distributions of network units' and recorded units' values, for a figure.

    Parameters
    ----------
    models, recording, variable, n_bootstrap, seed
        See `compare_samples`.

    Returns
    -------
    xarray.Dataset
        The share of units up to each of 201 values from -1 to 1, and in each of the published 20
        bins (Yang et al. 2019): ``recording_cumulative (value,)`` and ``recording_share (bin,)``,
        each with pointwise 95 % bands ``..._low`` and ``..._high`` (percentiles of a bootstrap of
        whole sessions), and ``network_cumulative (network, value)``, ``network_share (network,
        bin)``. Values outside [-1, 1] are counted in the outermost bins.

    Raises
    ------
    InputError, NotApplicableError
        See `compare_samples`.

    Examples
    --------
    >>> network, monkey = (
    ...     xr.Dataset({"fractional_task_variance": ("unit", values)}, attrs={"name": name})
    ...     for name, values in (("n", [-0.9, 0.0, 0.9]), ("m", [-0.5, 0.1, 0.2])))
    >>> curves = distribution_curves([network], monkey, n_bootstrap=10)
    >>> curves["recording_cumulative"].sel(value=0.0, method="nearest").item() == 1 / 3
    True
    """
    _check_models(models, recording, variable)
    recorded = _read_recording(UnitSample(recording, variable), [])
    units = [UnitSample(model, variable) for model in models]
    networks = [_read_network(one, recorded, matched=False) for one in units]
    rng = np.random.default_rng(seed)
    count = _resampled_sessions(recorded, rng, n_bootstrap)[:, recorded.cluster]
    weights = count / count.sum(axis=1, keepdims=True)
    result = xr.Dataset(
        coords={
            "value": VALUES,
            "bin": (EDGES[:-1] + EDGES[1:]) / 2,
            "network": [network.name for network in networks],
        },
        attrs={
            "analysis": "distribution_curves",
            "name": recorded.name,
            "variable": variable,
            "task_a": str(recording.attrs.get("task_a", "")),
            "task_b": str(recording.attrs.get("task_b", "")),
            "n_bootstrap": n_bootstrap,
            "seed": seed,
            "n_units": recorded.values.size,
            "interval": "95 %, percentiles, over whole sessions"
            if recorded.by_session
            else "95 %, percentiles, over units",
        },
    )
    for name, dim, inside in (
        ("cumulative", "value", lambda x: x[:, None] <= VALUES + 10.0**-DIGITS),
        ("share", "bin", _in_bins),
    ):
        indicator = inside(recorded.values).astype(np.float64)
        low, high = np.quantile(weights @ indicator, [0.025, 0.975], axis=0)
        by_network = [
            np.mean([inside(draw.values).mean(axis=0) for draw in network.draws], axis=0)
            for network in networks
        ]
        result[f"recording_{name}"] = (dim, indicator.mean(axis=0))
        result[f"recording_{name}_low"], result[f"recording_{name}_high"] = (dim, low), (dim, high)
        result[f"network_{name}"] = (("network", dim), np.stack(by_network))
    return result


def _in_bins(values: Array) -> npt.NDArray[np.bool_]:
    place = np.clip(np.searchsorted(EDGES, values, side="right") - 1, 0, EDGES.size - 2)
    inside: npt.NDArray[np.bool_] = place[:, None] == np.arange(EDGES.size - 1)
    return inside


def _resampled_sessions(
    recorded: _Recording, rng: np.random.Generator, n: int
) -> npt.NDArray[np.int64]:
    """Draw bootstrap samples of sessions within animals, as counts ``(n, session)``."""
    return resample_hierarchy([np.arange(recorded.n_clusters)], rng, n, strata=recorded.animal)


@dataclass(frozen=True)
class _Samples:
    """Networks and a recording, compared under several ways of weighting their units.

    Every method returns measures and effect sizes, each ``(network, replicate, measure)``, the
    mean over draws.
    """

    networks: list[_Network]
    recorded: _Recording
    bounds: dict[str, float]
    rng: np.random.Generator

    def as_they_are(self) -> tuple[Array, Array]:
        """Compare with equal weights of all units."""
        ones = np.ones((1, self.recorded.values.size))
        return self._compare(lambda draw: (np.ones((1, draw.values.size)), ones))

    def swapped(self, n: int) -> tuple[Array, Array]:
        """Compare after exchanging each session between the sides with probability 1/2, n times."""
        swap = self.rng.integers(2, size=(n, self.recorded.n_clusters)).astype(bool)
        return self._compare(lambda draw: self._swap(draw, swap), across=True)

    def resampled(self, sessions: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Compare bootstrap samples of sessions with matched units, else of sessions and units."""

        def weights(draw: _Draw) -> Weights:
            if draw.cluster is not None:
                return sessions[:, draw.cluster], sessions[:, self.recorded.cluster]
            units = resample_hierarchy([draw.unit], self.rng, len(sessions))
            return units, sessions[:, self.recorded.cluster]

        return self._compare(weights)

    def recording_resampled(self, sessions: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Compare bootstrap samples of the recording's sessions with the networks' units."""
        counts = sessions[:, self.recorded.cluster]
        return self._compare(lambda draw: (np.ones((len(counts), draw.values.size)), counts))

    def of_animal(self, animal: int) -> tuple[Array, Array]:
        """Compare the units of one animal with their matched units."""
        chosen = (self.recorded.animal == animal)[None].astype(np.int64)
        return self._compare(
            lambda draw: (_matched_units(draw, chosen), chosen[:, self.recorded.cluster])
        )

    def _compare(
        self, weights: Callable[[_Draw], Weights], *, across: bool = False
    ) -> tuple[Array, Array]:
        both = [self._over_draws(network, weights, across=across) for network in self.networks]
        measures, effects = (np.stack(values) for values in zip(*both, strict=True))
        return measures, effects

    def _over_draws(
        self, network: _Network, weights: Callable[[_Draw], Weights], *, across: bool
    ) -> tuple[Array, Array]:
        both = []
        for draw in network.draws:
            pooled = np.concatenate([draw.values, self.recorded.values])
            a, b = weights(draw)
            if not across:
                a, b = (
                    np.concatenate([a, np.zeros_like(b)], axis=1),
                    np.concatenate([np.zeros_like(a), b], axis=1),
                )
            both.append(compare_weighted(pooled, a, b, **self.bounds))
        measures, effects = (np.mean(values, axis=0) for values in zip(*both, strict=True))
        return measures, effects

    def _swap(self, draw: _Draw, swap: npt.NDArray[np.bool_]) -> Weights:
        n = draw.values.size
        if draw.cluster is None:
            # each session has the same share of the network's units as of the recorded units
            n_units = int(draw.unit.max()) + 1
            place = np.arange(n_units) * self.recorded.values.size // n_units
            slots = np.sort(self.recorded.cluster)[place]
            shuffled = self.rng.permuted(np.tile(slots, (len(swap), 1)), axis=1)
            model = np.take_along_axis(swap, shuffled, axis=1)[:, draw.unit]
        else:
            model = swap[:, draw.cluster]
        away = np.concatenate([model, ~swap[:, self.recorded.cluster]], axis=1)
        # both sides have equal weight, whatever their numbers of units
        mass = np.concatenate(
            [np.full(n, 1 / n), np.full(self.recorded.values.size, 1 / self.recorded.values.size)]
        )
        return ~away * mass, away * mass


def _matched_units(draw: _Draw, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if draw.cluster is None:
        return np.ones((len(chosen), draw.values.size), dtype=np.int64)
    return chosen[:, draw.cluster]


def _infer(samples: _Samples, n_bootstrap: int, n_permutations: int) -> xr.Dataset:
    observed = [part[:, 0] for part in samples.as_they_are()]
    null = samples.swapped(n_permutations)[0]
    sessions = _resampled_sessions(samples.recorded, samples.rng, n_bootstrap)
    both, alone = samples.resampled(sessions), samples.recording_resampled(sessions)
    # two samples of one distribution are at this distance on average
    bias = null.mean(axis=1) * IS_DISTANCE
    estimate, far = observed[0].mean(axis=0), np.abs(null.mean(axis=0))
    # differences of statistics near 1 have rounding errors of 1e-16, however small they are
    swap_p = p_values(reaches(far.round(DIGITS), np.abs(estimate).round(DIGITS)))
    df = samples.recorded.degrees_of_freedom
    intervals, effects = (
        _intervals(value, b, r, df) for value, b, r in zip(observed, both, alone, strict=True)
    )
    recording_error = alone[0].mean(axis=0).std(axis=0, ddof=1)
    p_value = np.stack([swap_p, _network_p(observed[0] - bias, recording_error, df)])
    p_student = _student_p(estimate - bias.mean(axis=0), intervals)
    # the interval of a distance that equal distributions may have includes 0
    reaches_0 = IS_DISTANCE & (np.stack([swap_p, p_student[1]]) > LEVEL)
    for ends in (intervals, effects):
        ends["low"] = np.where(reaches_0 & np.isfinite(ends["low"]), 0.0, ends["low"])
    by_claim = ("claim", "measure")
    result = xr.Dataset(
        {
            "estimate": ("measure", estimate),
            "null_mean": ("measure", bias.mean(axis=0)),
            "null_high": ("measure", np.quantile(far, 0.95, axis=0)),
            **{name: (by_claim, values) for name, values in intervals.items()},
            "p_value": (by_claim, p_value),
            "p_student": (by_claim, p_student),
            "p_smallest": ("claim", _smallest_p(samples, n_permutations)),
            "effect_size": ("measure", observed[1].mean(axis=0)),
            "effect_low": (by_claim, effects["low"]),
            "effect_high": (by_claim, effects["high"]),
            "estimate_by_network": (("network", "measure"), observed[0]),
            "effect_by_network": (("network", "measure"), observed[1]),
            "n_units": ("network", [network.n_units for network in samples.networks]),
            "n_inactive": ("network", [network.n_inactive for network in samples.networks]),
        },
        coords={
            "measure": list(MEASURES),
            "effect": ("measure", list(EFFECTS)),
            "claim": list(CLAIMS),
            "network": [network.name for network in samples.networks],
        },
    )
    return result.assign(_by_animal(samples)).assign_coords(
        {"animal": samples.recorded.animals} if len(samples.recorded.animals) > 1 else {}
    )


def _intervals(observed: Array, both: Array, alone: Array, df: int) -> dict[str, Array]:
    """Compute standard error, degrees of freedom and 95 % interval, each ``(claim, measure)``.

    Parameters
    ----------
    observed
        ``(network, measure)``.
    both, alone
        ``(network, replicate, measure)``: with sessions and their matched units resampled, and
        with the sessions of the recording alone.
    df
        Degrees of freedom of the recording.
    """
    n_networks = len(observed)
    replicates = both.mean(axis=0)
    recording_error = alone.mean(axis=0).std(axis=0, ddof=1)
    spread = observed.std(axis=0, ddof=1) if n_networks > 1 else np.full(len(MEASURES), np.nan)
    variances = np.stack([spread**2 / n_networks, recording_error**2])
    error = np.stack([replicates.std(axis=0, ddof=1), np.sqrt(variances.sum(axis=0))])
    # degrees of freedom of Welch & Satterthwaite
    shares = variances**2 / np.array([max(n_networks - 1, 1), df])[:, None]
    with np.errstate(invalid="ignore"):
        joint = variances.sum(axis=0) ** 2 / shares.sum(axis=0)
    # without variance they do not matter
    joint = np.where(variances.sum(axis=0) == 0, df, joint)
    freedom = np.stack([np.full(len(MEASURES), float(df)), joint])
    mean = observed.mean(axis=0)
    centre = mean - (replicates.mean(axis=0) - mean) * IS_DISTANCE
    half = student_half_width(error, freedom)
    least = np.where(IS_DISTANCE, 0.0, -np.inf)
    return {
        "standard_error": error,
        "degrees_of_freedom": freedom,
        "low": np.maximum(centre - half, least),
        "high": np.maximum(centre + half, least),
    }


def _smallest_p(samples: _Samples, n_permutations: int) -> list[float]:
    """Return the smallest p that these numbers of sessions, swaps and networks allow, by claim."""
    n_networks = min(len(samples.networks), MOST_EXACT)
    return [
        max(1 / (1 + n_permutations), 2.0 ** (1 - samples.recorded.n_clusters)),
        min(1.0, 2.0 ** (1 - n_networks) + RECORDING_ERROR),
    ]


def _student_p(away: Array, intervals: dict[str, Array]) -> Array:
    """Compute Student's two-sided p ``(claim, measure)``; 1 where there is no standard error."""
    t = away / np.maximum(intervals["standard_error"], TINY)
    p = two_sided_p(t, intervals["degrees_of_freedom"])
    return np.where(np.isfinite(p), p, 1.0)


def _network_p(values: Array, recording_error: Array, df: int) -> Array:
    """Compute the sign-flip p of each measure, maximised over the recording's possible values."""
    if len(values) == 1:
        return np.ones(len(MEASURES))
    reach = student_half_width(recording_error, df, 1 - RECORDING_ERROR)
    p_by_measure = []
    for column, half in zip(values.T, reach, strict=True):
        mean = column.mean()
        # p falls as the null moves away from the mean: its maximum is at the interval's near end
        nearest = float(np.copysign(half, mean))
        p = 1.0 if abs(mean) <= half else float(over_networks(column, null=nearest)["p_value"])
        p_by_measure.append(min(1.0, p + RECORDING_ERROR))
    return np.array(p_by_measure)


def _by_animal(samples: _Samples) -> dict[str, Any]:
    """Compute estimates by animal with Student's interval, with two animals or more."""
    n = len(samples.recorded.animals)
    if n < 2:
        return {}
    estimates = np.stack([samples.of_animal(which)[0].mean(axis=0)[0] for which in range(n)])
    _, low, high = mean_interval(estimates)
    return {
        "estimate_by_animal": (("animal", "measure"), estimates),
        "animals_low": ("measure", low),
        "animals_high": ("measure", high),
    }


def _attrs(networks: list[_Network], recorded: _Recording) -> dict[str, Any]:
    sessions = {0: "sessions are unknown", 1: "one session"}
    alone = f"unit of the recording ({sessions.get(recorded.n_sessions)})"
    n_networks = len(networks)
    unit = {
        CLAIMS[0]: "session of the recording" if recorded.by_session else alone,
        CLAIMS[1]: "network" if n_networks > 1 else "none: one network",
    }
    return {
        "analysis": "compare_samples",
        "name": recorded.name,
        "pairing": "none" if networks[0].draws[0].cluster is None else "matched units",
        "unit_of_inference": json.dumps(unit),
        "over_animals": _over_animals(recorded.animals),
        "n_networks": n_networks,
        "n_draws": max(len(network.draws) for network in networks),
        "n_sessions": recorded.n_sessions,
        "n_animals": len(recorded.animals),
        "n_recorded_units": recorded.values.size,
        "n_recorded_inactive": recorded.n_inactive,
    }


def _over_animals(names: list[str]) -> str:
    if not names:
        return "not applicable: the animals of the recording are unknown"
    if len(names) == 1:
        return f"not applicable: one animal ({names[0]}) allows no inference over animals"
    return f"{len(names)} animals ({listing(names)}), Student's t over animals"


def _check_models(models: Sequence[xr.Dataset], recording: xr.Dataset, variable: str) -> None:
    if not models:
        raise InputError("models", "at least one network", "none", "Pass a list of tables.")
    for place, table in enumerate([*models, recording]):
        subject = _subject(table, "recording" if place == len(models) else f"model {place}")
        dims = {"unit"} if place == len(models) else {"unit", "draw"}
        if variable not in table:
            raise InputError(
                subject, f"the variable {variable!r}", listing(table), "Compute it first."
            )
        if "unit" not in table[variable].dims or not set(table[variable].dims) <= dims:
            raise InputError(
                subject,
                f"{variable!r} on {listing(sorted(dims))}",
                f"on {listing(table[variable].dims)}",
                "Pass one value for each unit.",
            )
    names = [str(model.attrs.get("name", place)) for place, model in enumerate(models)]
    if len(set(names)) < len(names):
        raise InputError(
            "models", "different names of networks", listing(names), "Rename them in attrs['name']."
        )
    for model in models:
        check_same_pair(model, recording, _subject(model, "model"))


def _subject(table: xr.Dataset, otherwise: str) -> str:
    return repr(str(table.attrs["name"])) if "name" in table.attrs else otherwise


def _read_recording(sample: UnitSample, matched: Sequence[UnitSample]) -> _Recording:
    subject = _subject(sample.table, "recording")
    (values,), (active,) = sample.values, sample.active
    _check_values(values[active], subject)
    columns = session_columns([sample, *matched])
    n_sessions = len(sample.groups(*columns).labels) if "session" in columns else 0
    columns = columns if n_sessions > 1 else ["unit"]
    groups = sample.groups(*columns)
    return _Recording(
        name=sample.name or "recording",
        values=values[active],
        cluster=groups.code[active],
        animal=animals_of_groups(sample, groups, subject),
        animals=[name for (name,) in sample.groups("subject").labels]
        if sample.has("subject")
        else [],
        n_sessions=n_sessions,
        n_inactive=int((~active).sum()),
        columns=columns,
        groups=groups,
    )


def _read_network(sample: UnitSample, recorded: _Recording, *, matched: bool) -> _Network:
    subject, draws, cluster = _subject(sample.table, "model"), [], None
    if matched:
        columns = ["recorded_unit" if name == "unit" else name for name in recorded.columns]
        cluster = matched_groups(sample, recorded.groups, columns, subject)
    units = sample.groups("network_unit").code
    if not sample.has("network_unit"):
        units = np.arange(units.size)
    for row, active in zip(sample.values, sample.active, strict=True):
        _check_values(row[active], subject)
        unit = np.unique(units[active], return_inverse=True)[1].reshape(-1)
        draws.append(_Draw(row[active], unit, None if cluster is None else cluster[active]))
    n_units = float(np.mean([draw.values.size for draw in draws]))
    return _Network(sample.name or "network", draws, n_units, units.size - n_units)


def _check_values(values: Array, subject: str) -> None:
    if values.size < LEAST_UNITS or np.ptp(values) == 0:
        got = f"{values.size} active units" + (", all alike" if values.size >= LEAST_UNITS else "")
        raise NotApplicableError(
            subject,
            f"{LEAST_UNITS} or more active units with different values",
            got,
            "Leave it out, or compute its values for tasks in which its units are active.",
        )
