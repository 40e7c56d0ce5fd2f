"""How far networks are from a recording, also with the recording's sessions resampled."""

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
"""What is measured beside the distance; see `nwbcompare.comparison.kernels.distances`."""


@dataclass(frozen=True)
class DistanceToRecording:
    """What `distance_to_recording` finds; measures are the distance, then `STATISTICS`."""

    observed: Array
    """``(measure, network)``."""
    resampled: Array
    """``(replicate, measure, network)``: the same with groups of the recording drawn anew."""
    values: Array
    """``(statistic, network)``: the networks' own."""
    recorded: Array
    """``(statistic,)``: the recording's."""
    n_units: Array
    """``(network,)``: active units, the mean over draws."""
    n_values: int
    """Values of each sample at equal sizes."""
    n_groups: int
    """Sessions, or units, that are drawn."""
    n_animals: int
    matched: bool
    """Whether networks' units go with the sessions of the units that they are matched to."""


@dataclass(frozen=True)
class _Recording:
    values: Array
    group: Codes
    """``(value,)``: the group that each is of."""
    animal: Codes
    """``(group,)``, groups without active units among them: matched units may be of these."""
    sessions: UnitGroups | None
    """The groups by session, where networks have matched units."""
    columns: list[str]
    """What tells sessions apart: columns of the unit table."""


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
    """Measure how far from a recording each of several networks is.

    Parameters
    ----------
    networks, recording
        Sample tables; see `nwbcompare.comparison.compare_regimes`, also for what
        follows.
    distance
        A name in `nwbcompare.comparison.kernels.distances.DISTANCES`, taken at equal sizes.
    by
        What is resampled: "session" (with matched units) or "unit" (the recording's alone).
    mixed_below, single_above
        Bounds of the absolute value for the shares of units.
    n_bootstrap
        Bootstrap samples.
    seed
        Of the samples.

    Returns
    -------
    DistanceToRecording
        Distances, and absolute differences of `STATISTICS`.

    Raises
    ------
    InputError
        For an unknown distance or ``by``, and for matched units in some networks only or of
        sessions that the recording lacks.
    NotApplicableError
        For fewer than two sessions of one animal, and fewer than two active units.
    """
    if distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    if by not in GROUPINGS:
        raise unknown_name("by", by, GROUPINGS)
    check_number("n_bootstrap", n_bootstrap)
    samples = [UnitSample(table) for table in networks]
    recorded = _read_recording(UnitSample(recording), by, samples)
    own = [_read_network(sample, recorded) for sample in samples]
    rng = np.random.default_rng([seed, 2])
    n_values = min(draw.size for network in own for draw in network.draws)
    measure, bounds = DISTANCES[distance], (mixed_below, single_above)
    far = [equal_size_distance(one.draws, recorded.values, n_values, measure, rng) for one in own]
    values = np.stack([_statistics(network.draws, *bounds) for network in own], axis=1)
    theirs = _statistics([recorded.values], *bounds)
    groups = np.arange(recorded.animal.size)
    counts = resample_hierarchy([groups], rng, n_bootstrap, strata=recorded.animal)
    chosen = [MEASURES.index(name) for name in (distance, *STATISTICS)]
    resampled = [
        np.abs(_differences(network, recorded, counts, *bounds)[:, chosen])
        for network in tqdm(own, desc="bootstrap", disable=None)
    ]
    return DistanceToRecording(
        observed=np.concatenate([[far], np.abs(values - theirs[:, None])]),
        resampled=np.stack(resampled, axis=-1),
        values=values,
        recorded=theirs,
        n_units=np.array([np.mean([draw.size for draw in network.draws]) for network in own]),
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
    """Give `MEASURES` under counts of each group, ``(replicate, measure)``, the mean over draws."""
    theirs = counts[:, recorded.group]
    found = []
    for place, values in enumerate(network.draws):
        ours = np.ones((len(counts), values.size), dtype=np.int64)
        if network.groups is not None:
            ours = counts[:, network.groups[place]]
        measured, _ = compare_weighted(
            np.concatenate([values, recorded.values]),
            np.concatenate([ours, np.zeros_like(theirs)], axis=1),
            np.concatenate([np.zeros_like(ours), theirs], axis=1),
            mixed_below=mixed_below,
            single_above=single_above,
        )
        found.append(measured)
    mean: Array = np.mean(found, axis=0)
    return mean


def _statistics(draws: Sequence[Array], mixed_below: float, single_above: float) -> Array:
    """Give `STATISTICS`, the mean over draws."""
    found = [
        [
            values.std(),
            values.mean(),
            (np.abs(values) < mixed_below).mean(),
            (np.abs(values) > single_above).mean(),
        ]
        for values in draws
    ]
    mean: Array = np.mean(found, axis=0)
    return mean


def _read_recording(sample: UnitSample, by: By, networks: Sequence[UnitSample]) -> _Recording:
    (values,), (active,) = sample.values, sample.active
    matched = are_matched(networks, "networks") and by == "session"
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
    return _Network(draws, [group[seen] for seen in sample.active])
