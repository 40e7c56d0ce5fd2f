"""Contrasts of networks' units with a recording's: estimates, errors, tests, for each claim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
    weighted_sd,
)
from nwbcompare.comparison.kernels.resampling import resample_hierarchy
from nwbcompare.core.unit_samples import UnitGroups
from nwbcompare.inference.mixed_effects import (
    LEAST_NETWORKS,
    LEAST_SESSIONS,
    satterthwaite,
    two_sided_p,
)
from nwbcompare.inference.networks import MOST_EXACT, over_networks
from nwbcompare.kernels.intervals import student_half_width
from nwbcompare.kernels.jackknife import ellipse_range, jackknife_covariance, kish_number
from nwbcompare.kernels.permutation import p_values, reaches

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Weights = tuple[npt.NDArray[Any], npt.NDArray[Any]]
THESE, KIND = "these networks", "networks of this kind"
CLAIMS = (THESE, KIND)
IS_DISTANCE = np.array([name in DISTANCES for name in MEASURES])
SD = MEASURES.index("sd")
LEVEL = 0.05
RECORDING_ERROR = 0.005
"""Part of the error of the test over networks that is spent on the recording's own
uncertainty (Berger & Boos 1994)."""
DIGITS = 12
"""Decimals beyond which differences of values in [-1, 1] are rounding errors."""
OF_CLAIM = ("p_value", "p_student", "low", "high", "effect_low", "effect_high")


@dataclass(frozen=True)
class Recording:
    """Active units of a recording, with their sessions and animals."""

    name: str
    values: Array
    weight: Array
    """How much each unit counts."""
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
        """Number of clusters."""
        return self.animal.size

    @property
    def degrees_of_freedom(self) -> float:
        """Kish's effective number of clusters less 1, summed over animals."""
        size = np.bincount(self.cluster, self.weight, minlength=self.n_clusters)
        each = [kish_number(size[self.animal == which]) - 1 for which in np.unique(self.animal)]
        return max(float(sum(each)), TINY)

    @property
    def n_active_sessions(self) -> int:
        """Number of sessions with active units; 0 where sessions are unknown."""
        return np.unique(self.cluster).size if self.by_session else self.n_sessions

    @property
    def by_session(self) -> bool:
        """Whether clusters are sessions."""
        return "session" in self.columns

    def of_animal(self, which: int) -> Recording:
        """Return the units of one animal."""
        cluster = np.flatnonzero(self.animal == which)
        own = np.isin(self.cluster, cluster)
        return replace(
            self,
            values=self.values[own],
            weight=self.weight[own],
            cluster=np.searchsorted(cluster, self.cluster[own]),
            animal=np.zeros(cluster.size, dtype=np.int64),
            animals=[self.animals[which]],
            n_sessions=cluster.size if self.by_session else self.n_sessions,
        )


@dataclass(frozen=True)
class Draw:
    """One sample of a network: values of its active units, and their clusters."""

    values: Array
    unit: Codes
    """The network unit of each value; several values may be of one unit."""
    cluster: Codes | None
    """The cluster of the matched recorded unit."""
    weight: Array
    """How much each unit counts: the weight of the matched recorded unit."""

    def of_clusters(self, clusters: Codes) -> Draw:
        """Return the units matched to some clusters; all where none are matched."""
        if self.cluster is None:
            return self
        own = np.isin(self.cluster, clusters)
        unit = np.unique(self.unit[own], return_inverse=True)[1].reshape(-1).astype(np.int64)
        cluster = np.searchsorted(clusters, self.cluster[own])
        return Draw(self.values[own], unit, cluster, self.weight[own])


@dataclass(frozen=True)
class Network:
    """A network: its samples, and how many of its units are active on average."""

    name: str
    draws: list[Draw]
    n_units: float
    n_inactive: float


@dataclass(frozen=True)
class Values:
    """Measures under several ways of weighting units, the mean over draws."""

    measures: Array
    """``(network, replicate, measure)``."""
    effects: Array
    """``(network, replicate, measure)``."""
    network_sd: Array
    """``(network, replicate)``."""
    recording_sd: Array
    """``(replicate,)``."""

    def statistics(self) -> Array:
        """Return measures, effects and logarithms of both s.d., ``(replicate, statistic)``.

        All are means over networks; the effect of the s.d. is the log ratio of the mean s.d.
        """
        logs = np.log(np.maximum([self.network_sd.mean(axis=0), self.recording_sd], TINY))
        effects = self.effects.mean(axis=0)
        effects[:, SD] = logs[0] - logs[1]
        return np.concatenate([self.measures.mean(axis=0), effects, logs.T], axis=1)


@dataclass(frozen=True)
class Samples:
    """Networks and a recording, compared under several ways of weighting their units."""

    networks: list[Network]
    recorded: Recording
    bounds: dict[str, float]
    rng: np.random.Generator

    @property
    def matched(self) -> bool:
        """Whether networks' units are matched to recorded units."""
        return self.networks[0].draws[0].cluster is not None

    @property
    def refusals(self) -> dict[str, str]:
        """Why there is no test and no interval, by claim; claims with a test are left out."""
        n_sessions, n_networks = self.recorded.n_active_sessions, len(self.networks)
        reasons = {}
        if 0 < n_sessions < LEAST_SESSIONS:
            of = f" of {self.recorded.animals[0]}" if len(self.recorded.animals) == 1 else ""
            few = f"{n_sessions} session{'s' * (n_sessions > 1)}{of}: a test over sessions needs "
            reasons = dict.fromkeys(CLAIMS, f"{few}{LEAST_SESSIONS} or more")
        if n_networks < LEAST_NETWORKS:
            reasons[CLAIMS[1]] = (
                f"{n_networks} network{'s' * (n_networks > 1)}: a test over networks needs "
                f"{LEAST_NETWORKS} or more"
            )
        return reasons

    def of_animal(self, which: int) -> Samples:
        """Return the units of one animal with their matched units."""
        clusters = np.flatnonzero(self.recorded.animal == which)
        networks = [
            replace(network, draws=[draw.of_clusters(clusters) for draw in network.draws])
            for network in self.networks
        ]
        return replace(self, networks=networks, recorded=self.recorded.of_animal(which))

    def as_they_are(self) -> Values:
        """Compare with equal weights of all units."""
        return self.recording_weighted(np.ones((1, self.recorded.n_clusters), dtype=np.int64))

    def swapped(self, n: int) -> Array:
        """Compare after exchanging each session between the sides with probability 1/2, n times.

        Returns ``(network, replicate, measure)``.
        """
        swap = self.rng.integers(2, size=(n, self.recorded.n_clusters)).astype(bool)
        return self._compare(lambda draw: self._swap(draw, swap), across=True).measures

    def weighted(self, sessions: npt.NDArray[np.int64]) -> Values:
        """Compare weighted sessions ``(replicate, session)`` with their matched units."""

        def weights(draw: Draw) -> Weights:
            assert draw.cluster is not None  # noqa: S101 - matched
            return sessions[:, draw.cluster], sessions[:, self.recorded.cluster]

        return self._compare(weights)

    def recording_weighted(self, sessions: npt.NDArray[np.int64]) -> Values:
        """Compare weighted sessions of the recording with the networks' units as they are."""
        counts = sessions[:, self.recorded.cluster]
        return self._compare(lambda draw: (np.ones((len(counts), draw.values.size)), counts))

    def units_resampled(self, n: int, sessions: npt.NDArray[np.int64] | None = None) -> Values:
        """Compare bootstrap samples of units within networks with the recording's sessions."""
        shape = (n, self.recorded.n_clusters)
        counts = np.ones(shape, dtype=np.int64) if sessions is None else sessions
        return self._compare(
            lambda draw: (
                resample_hierarchy([draw.unit], self.rng, n),
                counts[:, self.recorded.cluster],
            )
        )

    def resampled_sessions(self, n: int) -> npt.NDArray[np.int64]:
        """Draw bootstrap samples of sessions within animals, as counts ``(replicate, session)``."""
        recorded = self.recorded
        clusters = np.arange(recorded.n_clusters)
        return resample_hierarchy([clusters], self.rng, n, strata=recorded.animal)

    def _compare(self, weights: Callable[[Draw], Weights], *, across: bool = False) -> Values:
        by_network = [
            self._over_draws(network, weights, across=across) for network in self.networks
        ]
        measures, effects, network_sd, recording_sd = zip(*by_network, strict=True)
        return Values(np.stack(measures), np.stack(effects), np.stack(network_sd), recording_sd[0])

    def _over_draws(
        self, network: Network, weights: Callable[[Draw], Weights], *, across: bool
    ) -> tuple[Array, Array, Array, Array]:
        parts = []
        for draw in network.draws:
            pooled = np.concatenate([draw.values, self.recorded.values])
            a, b = weights(draw)
            spreads = (np.zeros(len(a)), np.zeros(len(a)))
            if not across:
                a, b = a * draw.weight, b * self.recorded.weight
                spreads = weighted_sd(draw.values, a), weighted_sd(self.recorded.values, b)
                a, b = (
                    np.concatenate([a, np.zeros_like(b)], axis=1),
                    np.concatenate([np.zeros_like(a), b], axis=1),
                )
            parts.append((*compare_weighted(pooled, a, b, **self.bounds), *spreads))
        measures, effects, of_network, of_recording = (
            np.mean(values, axis=0) for values in zip(*parts, strict=True)
        )
        return measures, effects, of_network, of_recording

    def _swap(self, draw: Draw, swap: npt.NDArray[np.bool_]) -> Weights:
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
            [each / max(each.sum(), TINY) for each in (draw.weight, self.recorded.weight)]
        )
        return ~away * mass, away * mass


def infer(samples: Samples, n_bootstrap: int, n_permutations: int) -> xr.Dataset:
    """Estimate and test every measure for each claim.

    Parameters
    ----------
    samples
        Networks and recording.
    n_bootstrap, n_permutations
        Bootstrap samples and swaps of sessions.

    Returns
    -------
    xarray.Dataset
        See `nwbcompare.compare_samples`; pooled over the animals of ``samples``.
    """
    observed, swapped = samples.as_they_are(), samples.swapped(n_permutations)
    by_network, statistics = observed.measures[:, 0], observed.statistics()[0]
    n = len(MEASURES)
    estimate, effect = statistics[:n], statistics[n : 2 * n]
    # two samples of one distribution are at this distance on average
    null_mean = swapped.mean(axis=1) * IS_DISTANCE
    far = np.abs(swapped.mean(axis=0))
    of_differences = _differences(samples, observed, n_bootstrap)
    of_distances = _distances(samples, observed, n_bootstrap)
    result = {
        name: np.where(IS_DISTANCE, of_distances[name], of_differences[name])
        for name in of_differences
    }
    # differences of statistics near 1 have rounding errors of 1e-16, however small they are
    swap_p = p_values(reaches(far.round(DIGITS), np.abs(estimate).round(DIGITS)))
    away = (estimate - null_mean.mean(axis=0)) / np.maximum(result["standard_error"], TINY)
    p_student = np.where(
        IS_DISTANCE, two_sided_p(away, result["degrees_of_freedom"]), result.pop("p_student")
    )
    p_value = np.stack(
        [
            np.where(IS_DISTANCE, swap_p, p_student[0]),
            _network_p(by_network - null_mean, result.pop("recording_error"), samples),
        ]
    )
    # the interval of a distance that equal distributions may have includes 0
    reaches_0 = IS_DISTANCE & (np.stack([swap_p, p_student[1]]) > LEVEL)
    for name in ("low", "effect_low"):
        result[name] = np.where(reaches_0, 0.0, result[name])
    result |= {"p_value": p_value, "p_student": p_student}
    for claim in samples.refusals:
        for name in (*OF_CLAIM, "standard_error", "degrees_of_freedom"):
            result[name][CLAIMS.index(claim)] = np.nan
    return xr.Dataset(
        {
            "estimate": ("measure", estimate),
            "null_mean": ("measure", null_mean.mean(axis=0)),
            "null_high": ("measure", np.quantile(far, 0.95, axis=0)),
            "bias": ("measure", of_distances["bias"][0] * IS_DISTANCE),
            **{name: (("claim", "measure"), values) for name, values in result.items()},
            "p_smallest": ("claim", _smallest_p(samples, n_permutations)),
            "effect_size": ("measure", effect),
            "estimate_by_network": (("network", "measure"), by_network),
            "effect_by_network": (("network", "measure"), observed.effects[:, 0]),
        },
        coords={
            "measure": list(MEASURES),
            "effect": ("measure", list(EFFECTS)),
            "claim": list(CLAIMS),
            "network": [network.name for network in samples.networks],
        },
    )


def _differences(samples: Samples, observed: Values, n_bootstrap: int) -> dict[str, Array]:
    """Compute errors and intervals of differences, each ``(claim, measure)``, by the jackknife.

    The covariance of all statistics is the sum of independent parts, each with its own degrees of
    freedom: the recording's sessions (with their matched units), and the networks or their units.
    """
    n_clusters, df = samples.recorded.n_clusters, samples.recorded.degrees_of_freedom
    without = 1 - np.eye(n_clusters, dtype=np.int64)
    strata = samples.recorded.animal
    alone = jackknife_covariance(samples.recording_weighted(without).statistics(), strata)
    if samples.matched:
        these = [(jackknife_covariance(samples.weighted(without).statistics(), strata), df)]
    else:
        units = samples.units_resampled(n_bootstrap).statistics()
        n_units = min(int(draw.unit.max()) + 1 for one in samples.networks for draw in one.draws)
        these = [(alone, df), (np.cov(units.T), float(n_units - 1))]
    kind = [(alone, df), (_over_networks(observed), float(max(len(samples.networks) - 1, 1)))]
    by_claim = [_from_parts(observed.statistics()[0], parts) for parts in (these, kind)]
    result = {name: np.stack([one[name] for one in by_claim]) for name in by_claim[0]}
    error = np.sqrt(np.maximum(np.diagonal(alone)[: len(MEASURES)], 0))
    return result | {"recording_error": np.stack([error, error])}


def _over_networks(observed: Values) -> Array:
    """Compute the covariance over networks of means less another network's, ``(statistic,) * 2``.

    The recording is taken for one more network: its own deviation from the mean of its kind counts
    as each network's does, so that the variance of the mean gets 1 + 1 / n instead of 1 / n.
    """
    sd = observed.network_sd[:, 0]
    log = np.log(np.maximum(sd.mean(), TINY)) + (sd - sd.mean()) / np.maximum(sd.mean(), TINY)
    effects = observed.effects[:, 0].copy()
    effects[:, SD] = log
    every = np.column_stack([observed.measures[:, 0], effects, log, np.zeros_like(log)])
    if len(every) == 1:
        return np.full((every.shape[1],) * 2, np.nan)
    away = every - every.mean(axis=0)
    return np.asarray(away.T @ away / (len(every) - 1) * (1 + 1 / len(every)))


def _from_parts(value: Array, parts: list[tuple[Array, float]]) -> dict[str, Array]:
    """Compute errors, intervals and p of differences from the parts of a covariance."""
    n = len(MEASURES)
    covariance = np.sum([part for part, _ in parts], axis=0)
    variances = np.stack([np.diagonal(part) for part, _ in parts], axis=-1)
    degrees = np.array([df for _, df in parts])
    with np.errstate(invalid="ignore"):
        freedom = satterthwaite(variances, degrees)
    # without variance the degrees of freedom do not matter
    freedom = np.where(variances.sum(axis=-1) == 0, degrees[0], freedom)
    error = np.sqrt(np.maximum(np.diagonal(covariance), 0))
    # the s.d. is tested as its log ratio, whose error is nearly normal
    freedom[SD] = freedom[n + SD]
    half = student_half_width(error, freedom)
    low, high = value[:n] - half[:n], value[:n] + half[:n]
    radius = float(student_half_width(1.0, freedom[SD]))
    low[SD], high[SD] = ellipse_range(value[-2], value[-1], covariance[-2:, -2:], radius)
    t = value.round(DIGITS) / np.maximum(error, TINY)
    t[SD] = t[n + SD]
    return {
        "standard_error": error[:n],
        "degrees_of_freedom": freedom[:n],
        "low": low,
        "high": high,
        "effect_low": (value - half)[n : 2 * n],
        "effect_high": (value + half)[n : 2 * n],
        "p_student": two_sided_p(t[:n], freedom[:n]),
    }


def _distances(samples: Samples, observed: Values, n_bootstrap: int) -> dict[str, Array]:
    """Compute errors, bias and intervals of distances, each ``(claim, measure)``, by the bootstrap.

    A distance is no smooth function of its sample near 0, where the jackknife is invalid.
    """
    sessions, df = samples.resampled_sessions(n_bootstrap), samples.recorded.degrees_of_freedom
    both = (
        samples.weighted(sessions)
        if samples.matched
        else samples.units_resampled(n_bootstrap, sessions)
    )
    alone = samples.recording_weighted(sessions)
    result: dict[str, Array] = {}
    for prefix, name in (("", "measures"), ("effect_", "effects")):
        values = getattr(observed, name)[:, 0]
        replicates = getattr(both, name).mean(axis=0)
        n_networks, mean = len(values), values.mean(axis=0)
        spread = values.std(axis=0, ddof=1) if n_networks > 1 else np.full(mean.shape, np.nan)
        recording_error = getattr(alone, name).mean(axis=0).std(axis=0, ddof=1)
        variances = np.stack([spread**2 * (1 + 1 / n_networks), recording_error**2], axis=-1)
        degrees = np.array([max(n_networks - 1, 1), df])
        error = np.stack([replicates.std(axis=0, ddof=1), np.sqrt(variances.sum(axis=-1))])
        with np.errstate(invalid="ignore"):
            joint = satterthwaite(variances, degrees)
        freedom = np.stack([np.full(mean.shape, df), np.where(error[1] == 0, df, joint)])
        bias = replicates.mean(axis=0) - mean
        half = student_half_width(error, freedom)
        result |= {
            f"{prefix}low": np.maximum(mean - bias - half, 0.0),
            f"{prefix}high": np.maximum(mean - bias + half, 0.0),
        }
        if not prefix:
            result |= {
                "standard_error": error,
                "degrees_of_freedom": freedom,
                "bias": np.stack([bias, bias]),
                "recording_error": np.stack([recording_error, recording_error]),
                "p_student": np.full(error.shape, np.nan),
            }
    return result


def _smallest_p(samples: Samples, n_permutations: int) -> list[float]:
    """Return the smallest p that these numbers of sessions, swaps and networks allow, by claim."""
    n_networks = min(len(samples.networks), MOST_EXACT)
    return [
        max(1 / (1 + n_permutations), 2.0 ** (1 - samples.recorded.n_clusters)),
        min(1.0, 2.0 ** (1 - n_networks) + RECORDING_ERROR),
    ]


def _network_p(values: Array, recording_error: Array, samples: Samples) -> Array:
    """Compute the sign-flip p of each measure, maximised over the recording's possible values."""
    if len(values) < LEAST_NETWORKS:
        return np.full(len(MEASURES), np.nan)
    df = samples.recorded.degrees_of_freedom
    reach = student_half_width(recording_error[0], df, 1 - RECORDING_ERROR)
    p_by_measure = []
    for column, half in zip(values.T, reach, strict=True):
        mean = column.mean()
        # p falls as the null moves away from the mean: its maximum is at the interval's near end
        nearest = float(np.copysign(half, mean))
        p = 1.0 if abs(mean) <= half else float(over_networks(column, null=nearest)["p_value"])
        p_by_measure.append(min(1.0, p + RECORDING_ERROR))
    return np.array(p_by_measure)
