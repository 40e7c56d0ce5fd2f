"""Which of several families of networks is closest to a recording, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.comparison.equal_sizes import equal_size_distance
from nwbcompare.comparison.kernels.distances import DISTANCES
from nwbcompare.comparison.kernels.resampling import resample_hierarchy
from nwbcompare.comparison.split_half import (
    By,
    check_number,
    draws_of,
    split_half_distance,
    units_of_recording,
)
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.core.unit_samples import UnitSample
from nwbcompare.inference.multiple_comparisons import adjust_p

Array = npt.NDArray[np.float64]
MOST_VALUES = 4096
"""Values that stand for a network's distribution while the recording is resampled."""


@dataclass(frozen=True)
class _Network:
    """One network's values: by draw, and all together."""

    name: str
    draws: list[Array]
    pooled: Array
    cluster: npt.NDArray[np.int64]
    """``(value,)`` of `pooled`: which of its units each is of."""


def rank_families(
    families: Mapping[str, Sequence[xr.Dataset]],
    recording: xr.Dataset,
    *,
    distance: str = "wasserstein",
    by: By = "session",
    n_bootstrap: int = 2000,
    n_splits: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Rank families of networks by the distance of their FTV to a recording's.

    Parameters
    ----------
    families
        By name, the sample tables of the networks of each family.
    recording
        The recording's sample table, with the unit column ``session``.
    distance
        A name in `nwbcompare.comparison.kernels.distances.DISTANCES`.
    by
        What of the recording is resampled and split: whole sessions, or, where sessions are
        not known, units by themselves (intervals are then too narrow).
    n_bootstrap
        Bootstrap samples.
    n_splits
        Splits for the split-half distance; see `split_half_distance`.
    confidence
        Of the intervals.
    seed
        Of everything random.

    Returns
    -------
    xarray.Dataset
        ``network_distance (network)``; by ``family``: ``distance``, the mean over its networks,
        with ``distance_low`` and ``distance_high``, ``p_closest``, the probability that it is the
        closest, ``ratio`` to the split-half distance, and ``n_networks``; by ``pair`` of families:
        ``difference`` (first minus second) with ``difference_low`` and ``difference_high``,
        ``p_value`` and ``p_adjusted`` (Holm); ``split_half``, ``split_half_low`` and
        ``split_half_high``, of split halves; ``distance_bootstrap (replicate, family)``.
        ``attrs["closest"]``.

    Raises
    ------
    InputError
        For a family without networks, two networks of one name, an unknown distance or ``by``.
    NotApplicableError
        For fewer than two families, and as `split_half_distance`.

    Notes
    -----
    *Equal sizes*: small samples lie further away. Each network's distance is the mean over 50
    samples of the size of the smallest network (``n_values``), drawn without replacement, and
    the ratio to the split-half distance compares halves with halves.

    *Uncertainty*: whole sessions are drawn with replacement within each animal, the same ones
    for all families; to the mean over networks Student's t is added with (networks - 1) degrees
    of freedom and the standard error over networks, since drawing 3 networks with replacement
    understates how much families of 3 differ. What units and draws add is in the spread of the
    networks and sessions that they belong to; drawing them as well would count it twice. Only
    of a family with one network its units are drawn: its interval is about that network. A
    bootstrap sample lies further away than the sample itself; all are moved by the mean of
    that, network by network.

    The probability is the share of bootstrap replicates, so no p value: of two families that
    are alike either is called closest, with a probability that is itself spread over 0 to 1.
    `benchmarks/inference_errors.py` says how often it is above 0.95.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def table(name, half_width):
    ...     return xr.Dataset(
    ...         {"fractional_task_variance": ("unit", rng.uniform(-half_width, half_width, 90))},
    ...         coords={"session": ("unit", np.arange(90) // 6)}, attrs={"name": name})
    >>> found = rank_families(
    ...     {"wide": [table("a", 1), table("b", 1)], "narrow": [table("c", 0.5), table("d", 0.5)]},
    ...     table("m", 0.5), n_bootstrap=100, n_splits=20)
    >>> found.attrs["closest"]
    'narrow'
    """
    _check(families, distance)
    check_number("n_bootstrap", n_bootstrap)
    networks = [_read(UnitSample(table)) for tables in families.values() for table in tables]
    family = np.repeat(np.arange(len(families)), [len(tables) for tables in families.values()])
    every = [table for tables in families.values() for table in tables]
    split_half = split_half_distance(recording, every, by=by, n_splits=n_splits, seed=seed)
    values, session, animal = units_of_recording(UnitSample(recording), by)
    if by == "unit":
        # in the order of the table
        session = np.arange(values.size)
    rng = np.random.default_rng([seed, 1])
    measure = DISTANCES[distance]
    n_values = min(draw.size for network in networks for draw in network.draws)
    observed = np.array(
        [equal_size_distance(one.draws, values, n_values, measure, rng) for one in networks]
    )
    counts = resample_hierarchy([session], rng, n_bootstrap, strata=animal)
    lone = np.bincount(family)[family] == 1
    replicates = _replicates(networks, lone, values, counts, measure, rng)
    replicates += observed - replicates.mean(axis=0)
    by_family = _over_networks(observed, replicates, family, rng)
    result = _result(list(families), family, observed, by_family, confidence)
    return (
        _with_split_half(result, split_half, distance, family)
        .assign_coords(
            network=[network.name for network in networks],
        )
        .assign_attrs(
            name=str(recording.attrs.get("name", "")),
            measure=distance,
            by=by,
            seed=seed,
            n_values=n_values,
            n_splits=n_splits,
            unit_of_inference=f"networks of a family; {by}s of {np.unique(animal).size} animal(s)",
        )
    )


def _check(families: Mapping[str, Sequence[xr.Dataset]], distance: str) -> None:
    if distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    if empty := [name for name, tables in families.items() if not tables]:
        raise InputError(
            "families",
            "one network or more in each",
            f"none in {listing(empty)}",
            "Leave families without networks out.",
        )
    if len(families) < 2:
        raise NotApplicableError(
            "families",
            "two families of networks or more",
            listing(families),
            "Use split_half_distance, which compares single networks.",
        )
    names = [str(t.attrs.get("name", "")) for tables in families.values() for t in tables]
    if len(set(names)) < len(names):
        raise InputError(
            "families", "different names of networks", listing(names), 'Set attrs["name"].'
        )


def _read(sample: UnitSample) -> _Network:
    draws = draws_of(sample)
    unit = np.arange(sample.values.shape[1])
    if sample.has("network_unit"):
        unit = sample.groups("network_unit").code
    of_value = np.broadcast_to(unit, sample.values.shape)[sample.active]
    return _Network(sample.name, draws, np.concatenate(draws), of_value)


def _replicates(
    networks: Sequence[_Network],
    lone: npt.NDArray[np.bool_],
    values: Array,
    counts: npt.NDArray[np.int64],
    measure: Any,
    rng: np.random.Generator,
) -> Array:
    """Measure every network against every resampled recording: ``(replicate, network)``."""
    standing = [_thinned(network.pooled) for network in networks]
    drawn = {
        place: resample_hierarchy([networks[place].cluster], rng, len(counts))
        for place in np.flatnonzero(lone).tolist()
    }
    found = np.empty((len(counts), len(networks)))
    for row, count in enumerate(tqdm(counts, desc="bootstrap", disable=None)):
        sample = np.repeat(values, count)
        for place, stands in enumerate(standing):
            own = stands
            if place in drawn:
                own = _thinned(np.repeat(networks[place].pooled, drawn[place][row]))
            found[row, place] = measure(own, sample)
    return found


def _thinned(values: Array) -> Array:
    """Let evenly spaced order statistics stand for a large sample."""
    if values.size <= MOST_VALUES:
        return values
    places = np.linspace(0, values.size - 1, MOST_VALUES).round().astype(np.int64)
    return np.sort(values)[places]


def _over_networks(
    observed: Array, replicates: Array, family: npt.NDArray[np.int64], rng: np.random.Generator
) -> Array:
    """Give replicates of each family's mean: the recording's part, and Student's t of networks."""
    found = []
    for which in range(int(family.max()) + 1):
        own = family == which
        mean = replicates[:, own].mean(axis=1)
        n = int(own.sum())
        if n > 1:
            error = observed[own].std(ddof=1) / np.sqrt(n)
            mean = mean + error * rng.standard_t(n - 1, size=mean.size)
        found.append(mean)
    return np.stack(found, axis=1)


def _result(
    names: list[str],
    family: npt.NDArray[np.int64],
    observed: Array,
    replicates: Array,
    confidence: float,
) -> xr.Dataset:
    mean = np.array([observed[family == which].mean() for which in range(len(names))])
    low, high = _interval(replicates, confidence)
    closest = np.bincount(replicates.argmin(axis=1), minlength=len(names)) / len(replicates)
    return xr.Dataset(
        {
            "network_distance": ("network", observed),
            "distance": ("family", mean),
            "distance_low": ("family", low.clip(min=0)),
            "distance_high": ("family", high),
            "p_closest": ("family", closest),
            "n_networks": ("family", np.bincount(family)),
            "distance_bootstrap": (("replicate", "family"), replicates),
            **_differences(mean, replicates, confidence),
        },
        coords={
            "family": names,
            "family_of": ("network", np.array(names)[family]),
            **_pair_coords(names),
        },
        attrs={
            "analysis": "rank_families",
            "closest": names[int(mean.argmin())],
            "confidence": confidence,
            "n_bootstrap": len(replicates),
        },
    )


def _interval(replicates: Array, confidence: float) -> tuple[Array, Array]:
    tail = 50 * (1 - confidence)
    low, high = np.percentile(replicates, [tail, 100 - tail], axis=0)
    return low, high


def _pairs(n_families: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    first, second = np.array(list(combinations(range(n_families), 2))).T
    return first, second


def _pair_coords(names: list[str]) -> dict[str, Any]:
    first, second = (np.array(names)[places] for places in _pairs(len(names)))
    return {
        "pair": [f"{a}/{b}" for a, b in zip(first, second, strict=True)],
        "family_a": ("pair", first),
        "family_b": ("pair", second),
    }


def _differences(mean: Array, replicates: Array, confidence: float) -> dict[str, Any]:
    first, second = _pairs(mean.size)
    difference = replicates[:, first] - replicates[:, second]
    low, high = _interval(difference, confidence)
    n_over = np.minimum((difference <= 0).sum(axis=0), (difference >= 0).sum(axis=0))
    p_value = np.minimum(1.0, 2 * (1 + n_over) / (1 + len(replicates)))
    return {
        "difference": ("pair", mean[first] - mean[second]),
        "difference_low": ("pair", low),
        "difference_high": ("pair", high),
        "p_value": ("pair", p_value),
        "p_adjusted": ("pair", adjust_p(p_value)),
    }


def _with_split_half(
    result: xr.Dataset, split_half: xr.Dataset, distance: str, family: npt.NDArray[np.int64]
) -> xr.Dataset:
    own = split_half.sel(measure=distance)
    ratio = [own["ratio"].values[family == which].mean() for which in range(int(family.max()) + 1)]
    return result.assign(
        ratio=("family", ratio),
        split_half=own["mean"].item(),
        split_half_low=own["low"].item(),
        split_half_high=own["high"].item(),
    ).assign_attrs(size_factor=split_half.attrs["size_factor"])
