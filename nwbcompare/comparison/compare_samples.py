"""Comparison of units of networks with recorded units: differences, tests and intervals."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.by_animal import by_animal, over_animals_text
from nwbcompare.comparison.sample_contrasts import (
    CLAIMS,
    DIGITS,
    Draw,
    Network,
    Recording,
    Samples,
    infer,
)
from nwbcompare.core.activity import kind_of
from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.core.unit_samples import (
    UnitSample,
    animals_of_groups,
    are_matched,
    check_same_pair,
    matched_groups,
    session_columns,
)

Array = npt.NDArray[np.float64]
LEAST_UNITS = 3
VALUES, EDGES = np.linspace(-1, 1, 201), np.linspace(-1, 1, 21)


def compare_samples(
    models: Sequence[xr.Dataset],
    recording: xr.Dataset,
    *,
    variable: str = "fractional_task_variance",
    weight: str | None = None,
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
        columns ``recorded_unit`` and, of a recording with sessions, ``session``, every unit was
        sampled like one recorded unit (see `nwbcompare.comparison.sample_like`). Values of one
        ``network_unit`` are resampled together.
    recording
        The same table of a recording. Units of one ``session`` (and ``subject``) are not
        independent; without sessions every unit counts as independent.
    variable
        The variable that is compared.
    weight
        A variable or column ``(unit,)`` of the recording, 0 or more: how much a recorded unit and
        the network units sampled like it count, in all measures. By default all count alike, and
        units of noise alone, which have a similar FTV on both sides, dilute a difference.
        `nwbcompare.selectivity.tuned_share` is such a weight; it raises the power, and measures
        rather the strongly tuned units. Units of weight 0 count as inactive.
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
        the estimate (of its size, for differences) where both sides have one distribution,
        ``bias``, the bootstrap estimate of a distance's bias, and ``effect_size``, named in
        ``effect``. On ``(claim, measure)``: the 95 % interval ``low``, ``high``,
        ``standard_error``, ``degrees_of_freedom``, ``p_value``, ``p_student`` (that of the
        interval), ``effect_low``, ``effect_high``; NaN where a claim cannot be tested, for the
        reason in ``attrs["untested"]``. On ``(claim,)``: ``p_smallest``, the smallest p of swaps
        and sign flips that is possible. By network: ``estimate_by_network (network, measure)``,
        ``effect_by_network (network, measure)``, ``n_units``, ``n_inactive``.

        With two animals or more, each by itself: ``estimate_by_animal (animal, measure)``,
        ``estimate_by_network_and_animal (network, animal, measure)`` and, on
        ``(claim, animal, measure)``, ``low_by_animal``, ``high_by_animal``, ``p_by_animal``,
        ``p_student_by_animal``, ``error_by_animal``, ``freedom_by_animal``. On ``(animal_pair,
        measure)``: ``animal_difference`` (first minus second, of the estimates), its interval
        ``animal_difference_low``, ``animal_difference_high`` and ``animal_difference_p``; NaN for
        distances. On ``(measure,)``: ``n_showing``, the animals in which these networks differ
        from the recording in one direction, and the ``prevalence`` in animals that this supports,
        with ``prevalence_low``, ``prevalence_high``, ``prevalence_bound`` (see
        `nwbcompare.inference.prevalence`). From three animals on also ``animals_mean``,
        ``animals_low``, ``animals_high``, ``animals_p`` over the population of animals (see
        `nwbcompare.inference.over_animals`); ``attrs["over_animals"]`` gives the reason where they
        are refused.

        Attributes give the basis of each claim: ``unit_of_inference``, ``untested``,
        ``over_animals``, ``n_networks``, ``n_sessions``, ``n_animals``.

    Raises
    ------
    InputError
        For no networks, different pairs of tasks, units matched to sessions that the recording
        lacks, and matched units in some networks only; for weights that the recording lacks, that
        are negative or not finite, or without matched units.
    NotApplicableError
        For fewer than 3 active units, also of one animal, or units that all have one value.

    Warns
    -----
    UserWarning
        For a single network, which allows no inference over networks.

    Notes
    -----
    Differences are those of s.d., means, and shares of mixed and of single-context units, and
    Cliff's delta of absolute values. Distances are 0 only for equal distributions; since two
    samples of one distribution differ, compare a distance with ``null_mean``.

    *These networks*: inference to other sessions of the same animals. The unit of inference is the
    session. The error of a difference is that of the jackknife over whole sessions with their
    matched units (without matched units: over sessions, plus that of a bootstrap of units within
    networks). Test and interval are Student's, with Kish's effective number of sessions less 1
    degrees of freedom, the sum over animals. The s.d. is tested as the log ratio of the two s.d.,
    whose error is nearly normal also with few sessions; the interval of the difference is the range
    over the joint ellipse of both logarithms (`nwbcompare.kernels.jackknife.ellipse_range`), and
    agrees with the test. Distances have an error by the bootstrap of whole sessions, and the p of
    swaps: whole sessions are exchanged between the sides, recorded units with their matched units
    or, without matched units, with a random part of each network that is as large as the session's
    part of the recording; p = (1 + b) / (1 + B).

    *Networks of this kind*: inference to other networks as well. The unit of inference is the
    network. p is that of all sign flips of the networks' estimates
    (`nwbcompare.inference.over_networks`), maximised over the recording's values in its 99.5 %
    interval, plus 0.005 (Berger & Boos 1994); for distances, of their excess over ``null_mean``.
    The interval and ``p_student`` take the recording for one more network of this kind, as in the
    comparison of a single case with a sample (Crawford & Howell 1998): the variance of networks
    counts 1 + 1 / n times for n networks, beside that of the recording's sessions, with the
    degrees of freedom of Satterthwaite; unlike the sign-flip p, ``p_student`` can be small with few
    networks, which it takes to be normally distributed.

    *Refused*: with fewer than 5 sessions of an animal there is no test and no interval over
    sessions, with fewer than 3 networks none over networks.

    *Animals* are fixed: the population of a test is the sessions of these animals. With several,
    ``p_value`` and ``p_student`` are not those of pooled animals but the largest p of any animal,
    and 1 where animals differ in direction: small p mean that each animal has the effect. The
    interval is of the mean over all units, sessions varying within animals.

    Intervals of distances are corrected for the bootstrap estimate of their bias, are cut at 0, and
    include 0 where p (for networks of this kind, ``p_student``) is above 5 %. Intervals of the
    Kolmogorov-Smirnov distance and of a share near 0 cover less than they say
    (``benchmarks/comparison_errors.py``).

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
    whole = UnitSample(recording, variable)
    matched = are_matched(units, whole, "models")
    weights = _weights(whole, weight, matched=matched)
    recorded = _read_recording(whole, units if matched else [], weights)
    networks = [
        _read_network(one, recorded, _of_matched(weights, one, whole), matched=matched)
        for one in units
    ]
    if len(networks) == 1:
        warnings.warn(
            "One network allows no inference over networks: there is no p and no interval.",
            UserWarning,
            stacklevel=2,
        )
    bounds = {"mixed_below": mixed_below, "single_above": single_above}
    samples = Samples(networks, recorded, bounds, np.random.default_rng(seed))
    n_animals = len(recorded.animals)
    each = [_of_animal(samples, which) for which in range(n_animals)] if n_animals > 1 else []
    result = infer(samples, n_bootstrap, n_permutations).assign(
        n_units=("network", [network.n_units for network in networks]),
        n_inactive=("network", [network.n_inactive for network in networks]),
    )
    if each:
        found = [infer(one, n_bootstrap, n_permutations) for one in each]
        result = result.assign(by_animal(found, recorded.animals))
    refusals = {claim: why for one in (samples, *each) for claim, why in one.refusals.items()}
    return result.assign_attrs(
        _attrs(networks, recorded),
        untested=json.dumps(refusals),
        variable=variable,
        weight=weight or "",
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
    recorded = _read_recording(UnitSample(recording, variable), [], None)
    units = [UnitSample(model, variable) for model in models]
    networks = [_read_network(one, recorded, None, matched=False) for one in units]
    samples = Samples(networks, recorded, {}, np.random.default_rng(seed))
    count = samples.resampled_sessions(n_bootstrap)[:, recorded.cluster]
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


def _of_animal(samples: Samples, which: int) -> Samples:
    one = samples.of_animal(which)
    _check_values(one.recorded.values, f"{samples.recorded.name!r}, {one.recorded.animals[0]}")
    for network in one.networks:
        for draw in network.draws:
            _check_values(draw.values, f"{network.name!r}, {one.recorded.animals[0]}")
    return one


def _in_bins(values: Array) -> npt.NDArray[np.bool_]:
    place = np.clip(np.searchsorted(EDGES, values, side="right") - 1, 0, EDGES.size - 2)
    inside: npt.NDArray[np.bool_] = place[:, None] == np.arange(EDGES.size - 1)
    return inside


def _attrs(networks: list[Network], recorded: Recording) -> dict[str, Any]:
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
        "over_animals": over_animals_text(recorded.animals),
        "n_networks": n_networks,
        "n_draws": max(len(network.draws) for network in networks),
        "n_sessions": recorded.n_sessions,
        "n_animals": len(recorded.animals),
        "n_recorded_units": recorded.values.size,
        "n_recorded_inactive": recorded.n_inactive,
    }


def _check_models(
    models: Sequence[xr.Dataset] | xr.Dataset, recording: xr.Dataset, variable: str
) -> None:
    if isinstance(models, xr.Dataset):
        raise InputError("models", "a list of tables", "one table", "Pass [table].")
    if not models:
        raise InputError("models", "at least one network", "none", "Pass a list of tables.")
    for place, table in enumerate([*models, recording]):
        if not isinstance(table, xr.Dataset):
            raise InputError(
                "recording" if place == len(models) else f"model {place}",
                f"a table with {variable!r}",
                kind_of(table),
                "Compute it first, e.g. with nwbcompare.fractional_task_variance.",
            )
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


def _weights(recording: UnitSample, name: str | None, *, matched: bool) -> Array | None:
    """Return the weight of each recorded unit ``(unit,)``, if units do not count alike."""
    if name is None:
        return None
    subject = _subject(recording.table, "recording")
    if name not in recording.table or recording.table[name].dims != ("unit",):
        raise InputError(
            subject,
            f"the weights {name!r} on unit",
            listing(recording.table.variables),
            f"Add them: recording.assign({name}=...), e.g. nwbcompare.selectivity.tuned_share.",
        )
    if not matched:
        raise InputError(
            "models",
            f"units sampled like recorded ones, which get the weights {name!r} of these",
            "no columns session and recorded_unit",
            "Sample the networks with nwbcompare.comparison.sample_like, or leave weight out.",
        )
    weights: Array = recording.table[name].values.astype(np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError(
            subject,
            f"finite weights {name!r} of 0 or more",
            f"{weights.min():g} to {weights.max():g}",
            "Give units that should not count a weight of 0.",
        )
    return weights


def _of_matched(weights: Array | None, sample: UnitSample, recording: UnitSample) -> Array | None:
    """Return the weights of the recorded units that a network's units are matched to."""
    if weights is None:
        return None
    columns = session_columns([recording, sample])
    groups = recording.groups(*columns, "unit")
    subject = _subject(sample.table, "model")
    place = matched_groups(sample, groups, [*columns, "recorded_unit"], subject)
    return weights[groups.first[place]]


def _counted(sample: UnitSample, weights: Array | None) -> tuple[npt.NDArray[np.bool_], Array]:
    """Return which units count, ``(draw, unit)``, and the weight of each, ``(unit,)``."""
    each = np.ones(sample.table.sizes["unit"]) if weights is None else weights
    return sample.active & (each > 0), each


def _read_recording(
    sample: UnitSample, matched: Sequence[UnitSample], weights: Array | None
) -> Recording:
    subject = _subject(sample.table, "recording")
    (values,), ((active,), weight) = sample.values, _counted(sample, weights)
    _check_values(values[active], subject)
    columns = session_columns([sample, *matched])
    n_sessions = len(sample.groups(*columns).labels) if "session" in columns else 0
    columns = columns if n_sessions > 1 else ["unit"]
    groups = sample.groups(*columns)
    return Recording(
        name=sample.name or "recording",
        values=values[active],
        weight=weight[active],
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


def _read_network(
    sample: UnitSample, recorded: Recording, weights: Array | None, *, matched: bool
) -> Network:
    subject, draws, cluster = _subject(sample.table, "model"), [], None
    if matched:
        columns = ["recorded_unit" if name == "unit" else name for name in recorded.columns]
        cluster = matched_groups(sample, recorded.groups, columns, subject)
    units = sample.groups("network_unit").code
    if not sample.has("network_unit"):
        units = np.arange(units.size)
    counted, weight = _counted(sample, weights)
    for row, active in zip(sample.values, counted, strict=True):
        _check_values(row[active], subject)
        unit = np.unique(units[active], return_inverse=True)[1].reshape(-1)
        of_cluster = None if cluster is None else cluster[active]
        draws.append(Draw(row[active], unit, of_cluster, weight[active]))
    n_units = float(np.mean([draw.values.size for draw in draws]))
    return Network(sample.name or "network", draws, n_units, units.size - n_units)


def _check_values(values: Array, subject: str) -> None:
    if values.size < LEAST_UNITS or np.ptp(values) == 0:
        got = f"{values.size} active units" + (", all alike" if values.size >= LEAST_UNITS else "")
        raise NotApplicableError(
            subject,
            f"{LEAST_UNITS} or more active units with different values",
            got,
            "Leave it out, or compute its values for tasks in which its units are active.",
        )
