"""Distances of networks to a recording, with a bootstrap of the recording's sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.comparison.equal_sizes import equal_size_distance
from nwbcompare.comparison.kernels.distances import DISTANCES, MEASURES, compare_weighted
from nwbcompare.comparison.kernels.resampling import resample_hierarchy
from nwbcompare.comparison.split_half import GROUPINGS, By, check_number, draws_of
from nwbcompare.core.errors import NotApplicableError, unknown_name
from nwbcompare.core.short_repr import fields_with_shapes
from nwbcompare.core.unit_samples import (
    UnitGroups,
    UnitSample,
    animals_of_groups,
    are_matched,
    group_keys,
    matched_groups,
    session_columns,
)

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
STATISTICS = ("sd", "mean", "mixed_share", "single_share")
"""Measures beside the distance; see `nwbcompare.comparison.kernels.distances`."""


@dataclass(frozen=True)
class DistanceToRecording:
    """Results of `distance_to_recording`; measures are the distance, then `STATISTICS`."""

    observed: Array
    """``(measure, network)``."""
    resampled: Array
    """``(replicate, measure, network)``: the same for bootstrap samples of the recording."""
    values: Array
    """``(statistic, network)``: statistics of the networks."""
    recorded: Array
    """``(statistic,)``: statistics of the recording."""
    n_units: Array
    """``(network,)``: number of active units, the mean over draws."""
    n_values: int
    """Size of every sample at equal sizes."""
    n_groups: int
    """Number of sessions, or units, that are resampled."""
    n_animals: int
    matched: bool
    """Whether networks' units are resampled with the sessions of their matched units."""

    __repr__ = fields_with_shapes


@dataclass(frozen=True)
class _Recording:
    values: Array
    group: Codes
    """``(value,)``: the group of each value."""
    animal: Codes
    """``(group,)``, including groups without active units, which may have matched units."""
    sessions: UnitGroups | None
    """The sessions, if networks have matched units."""
    columns: list[str]
    """Columns of the unit table that identify sessions."""


@dataclass(frozen=True)
class _Network:
    draws: list[Array]
    groups: list[Codes] | None
    """``(value,)`` of each draw: the group of the matched recorded unit."""


def distance_to_recording(
    networks: Sequence[xr.Dataset],
    recording: xr.Dataset,
    *,
    distance: str,
    by: By,
    mixed_below: float,
    single_above: float,
    n_bootstrap: int,
    seed: int,
) -> DistanceToRecording:
    """Compute the distance of each of several networks to a recording.

    Parameters
    ----------
    networks, recording
        Sample tables; see `nwbcompare.comparison.compare_regimes`.
    distance
        A name in `nwbcompare.comparison.kernels.distances.DISTANCES`, computed at equal sizes.
    by
        The unit of resampling: "session" (with matched units) or "unit" (the recording's alone).
    mixed_below, single_above
        Bounds of the absolute value for the shares of mixed and single-context units.
    n_bootstrap
        Number of bootstrap samples.
    seed
        Seed of all random draws.

    Returns
    -------
    DistanceToRecording
        Distances, and absolute differences of `STATISTICS`, observed and resampled.

    Raises
    ------
    InputError
        For an unknown distance or ``by``, and for matched units in some networks only or of
        sessions that the recording lacks.
    NotApplicableError
        For fewer than two sessions of one animal, and fewer than two active units.

    Examples
    --------
    >>> def table(values):
    ...     return xr.Dataset({"fractional_task_variance": ("unit", values)},
    ...                       coords={"session": ("unit", [1, 1, 2, 2])}, attrs={"name": "m"})
    >>> result = distance_to_recording(
    ...     [table([0.0, 0.5, 0.5, 1.0])], table([0.0, 0.0, 0.0, 0.0]), distance="wasserstein",
    ...     by="session", mixed_below=0.3, single_above=0.9, n_bootstrap=10, seed=0)
    >>> result.observed[0].tolist(), result.resampled.shape
    ([0.5], (10, 5, 1))
    """
    if distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    if by not in GROUPINGS:
        raise unknown_name("by", by, GROUPINGS)
    check_number("n_bootstrap", n_bootstrap)
    samples = [UnitSample(table) for table in networks]
    recorded = _read_recording(UnitSample(recording), by, samples)
    read = [_read_network(sample, recorded) for sample in samples]
    rng = np.random.default_rng([seed, 2])
    n_values = min(draw.size for network in read for draw in network.draws)
    measure, bounds = DISTANCES[distance], (mixed_below, single_above)
    distances = [
        equal_size_distance(network.draws, recorded.values, n_values, measure, rng)
        for network in read
    ]
    values = np.stack([_statistics(network.draws, *bounds) for network in read], axis=1)
    recorded_values = _statistics([recorded.values], *bounds)
    groups = np.arange(recorded.animal.size)
    counts = resample_hierarchy([groups], rng, n_bootstrap, strata=recorded.animal)
    chosen = [MEASURES.index(name) for name in (distance, *STATISTICS)]
    resampled = [
        np.abs(_differences(network, recorded, counts, *bounds)[:, chosen])
        for network in tqdm(read, desc="bootstrap", disable=None)
    ]
    return DistanceToRecording(
        observed=np.concatenate([[distances], np.abs(values - recorded_values[:, None])]),
        resampled=np.stack(resampled, axis=-1),
        values=values,
        recorded=recorded_values,
        n_units=np.array([np.mean([draw.size for draw in network.draws]) for network in read]),
        n_values=n_values,
        n_groups=groups.size,
        n_animals=np.unique(recorded.animal).size,
        matched=recorded.sessions is not None,
    )


def _differences(
    network: _Network,
    recorded: _Recording,
    counts: Codes,
    mixed_below: float,
    single_above: float,
) -> Array:
    """Compute `MEASURES` for counts of each group ``(replicate, measure)``, mean over draws."""
    second = counts[:, recorded.group]
    by_draw = []
    for place, values in enumerate(network.draws):
        first = np.ones((len(counts), values.size), dtype=np.int64)
        if network.groups is not None:
            first = counts[:, network.groups[place]]
        measures, _ = compare_weighted(
            np.concatenate([values, recorded.values]),
            np.concatenate([first, np.zeros_like(second)], axis=1),
            np.concatenate([np.zeros_like(first), second], axis=1),
            mixed_below=mixed_below,
            single_above=single_above,
        )
        by_draw.append(measures)
    mean: Array = np.mean(by_draw, axis=0)
    return mean


def _statistics(draws: Sequence[Array], mixed_below: float, single_above: float) -> Array:
    """Compute `STATISTICS`, the mean over draws."""
    by_draw = [
        [
            values.std(),
            values.mean(),
            (np.abs(values) < mixed_below).mean(),
            (np.abs(values) > single_above).mean(),
        ]
        for values in draws
    ]
    mean: Array = np.mean(by_draw, axis=0)
    return mean


def _read_recording(sample: UnitSample, by: By, networks: Sequence[UnitSample]) -> _Recording:
    (values,), (active,) = sample.values, sample.active
    matched = are_matched(networks, sample, "networks") and by == "session"
    columns, groups = [], group_keys(sample.place_keys())
    if by == "session":
        sample.check_sessions()
        columns = session_columns([sample, *(networks if matched else ())])
        groups = sample.groups(*columns)
    animal = animals_of_groups(sample, groups, f"recording {sample.name!r}")
    n_animals, n_active = np.unique(animal).size, np.unique(groups.code[active]).size
    if len(groups.labels) <= n_animals or n_active < 2:
        raise NotApplicableError(
            f"recording {sample.name!r}",
            f"two or more {by}s of one animal, with active units",
            f"{n_active} with active units, animals: {n_animals}",
            "Load more sessions." if by == "session" else "Load more units.",
        )
    sessions = groups if matched else None
    return _Recording(values[active], groups.code[active], animal, sessions, columns)


def _read_network(sample: UnitSample, recorded: _Recording) -> _Network:
    draws = draws_of(sample)
    if recorded.sessions is None:
        return _Network(draws, None)
    subject = f"model {sample.name!r}"
    group = matched_groups(sample, recorded.sessions, recorded.columns, subject)
    return _Network(draws, [group[active] for active in sample.active])
