"""Ranking of families of networks by their distance to a recording."""

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
"""Largest number of values that represent a network in the bootstrap."""


@dataclass(frozen=True)
class _Network:
    """Values of one network."""

    name: str
    draws: list[Array]
    pooled: Array
    cluster: npt.NDArray[np.int64]
    """Network unit of each value of ``pooled`` ``(value,)``."""


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
    """Rank families of networks by the distance of their FTV to that of a recording.

    Parameters
    ----------
    families
        Sample tables of the networks of each family, by the family's name.
    recording
        The recording's sample table, with the unit column ``session``.
    distance
        A name in `nwbcompare.comparison.kernels.distances.DISTANCES`.
    by
        Unit of resampling and splitting of the recording: "session", or "unit" if sessions are
        unknown (intervals are then too narrow).
    n_bootstrap
        Number of bootstrap samples.
    n_splits
        Number of splits for the split-half distance; see `split_half_distance`.
    confidence
        Coverage of the intervals.
    seed
        Seed of all random draws.

    Returns
    -------
    xarray.Dataset
        ``network_distance (network,)``. On ``(family,)``: ``distance``, the mean over networks,
        with its interval ``distance_low``, ``distance_high``; ``p_closest``, the share of
        bootstrap samples in which the family is the closest; ``ratio`` to the split-half
        distance; ``n_networks``. On ``(pair,)`` of families: ``difference`` (first minus second)
        with ``difference_low``, ``difference_high``, ``p_value`` and ``p_adjusted`` (Holm).
        ``split_half``, ``split_half_low``, ``split_half_high``: the split-half distance.
        ``distance_bootstrap (replicate, family)``. The closest family is ``attrs["closest"]``.

    Raises
    ------
    InputError
        For a family without networks, two networks of one name, an unknown distance or ``by``.
    NotApplicableError
        For fewer than two families, and as `split_half_distance`.

    Notes
    -----
    *Equal sizes*: small samples have larger distances. Each network's distance is the mean over
    50 samples of the size of the smallest network (``n_values``), drawn without replacement; the
    ratio to the split-half distance compares halves with halves.

    *Uncertainty*: whole sessions are drawn with replacement within each animal, the same ones
    for all families. Variation over networks is added to the mean as Student's t with
    (networks - 1) degrees of freedom times the standard error, since drawing 3 networks with
    replacement underestimates the variation of families of 3. Units and draws are not resampled:
    their variance is part of that of networks and sessions. Exception: in a family of one
    network its units are resampled, and its interval concerns that network only. Bootstrap
    samples have larger distances than the sample itself, so replicates are shifted, network by
    network, to a mean equal to the observed distance.

    ``p_closest`` is no p value: of two equal families one is always the closest, and its share
    of replicates is spread over 0 to 1. ``benchmarks/inference_errors.py`` measures how often it
    exceeds 0.95.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def table(name, half_width):
    ...     return xr.Dataset(
    ...         {"fractional_task_variance": ("unit", rng.uniform(-half_width, half_width, 90))},
    ...         coords={"session": ("unit", np.arange(90) // 6)}, attrs={"name": name})
    >>> result = rank_families(
    ...     {"wide": [table("a", 1), table("b", 1)], "narrow": [table("c", 0.5), table("d", 0.5)]},
    ...     table("m", 0.5), n_bootstrap=100, n_splits=20)
    >>> result.attrs["closest"]
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
    """Compute the distance of each network to each bootstrap sample ``(replicate, network)``."""
    thinned = [_thinned(network.pooled) for network in networks]
    units = {
        place: resample_hierarchy([networks[place].cluster], rng, len(counts))
        for place in np.flatnonzero(lone).tolist()
    }
    distances = np.empty((len(counts), len(networks)))
    for row, count in enumerate(tqdm(counts, desc="bootstrap", disable=None)):
        sample = np.repeat(values, count)
        for place in range(len(networks)):
            network = thinned[place]
            if place in units:
                network = _thinned(np.repeat(networks[place].pooled, units[place][row]))
            distances[row, place] = measure(network, sample)
    return distances


def _thinned(values: Array) -> Array:
    """Return evenly spaced order statistics of a large sample; a small one as it is."""
    if values.size <= MOST_VALUES:
        return values
    places = np.linspace(0, values.size - 1, MOST_VALUES).round().astype(np.int64)
    return np.sort(values)[places]


def _over_networks(
    observed: Array, replicates: Array, family: npt.NDArray[np.int64], rng: np.random.Generator
) -> Array:
    """Compute replicates of each family's mean: bootstrap of the recording, t over networks."""
    by_family = []
    for which in range(int(family.max()) + 1):
        members = family == which
        mean = replicates[:, members].mean(axis=1)
        n = int(members.sum())
        if n > 1:
            error = observed[members].std(ddof=1) / np.sqrt(n)
            mean = mean + error * rng.standard_t(n - 1, size=mean.size)
        by_family.append(mean)
    return np.stack(by_family, axis=1)


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
        # a single p value stays as it is, and statsmodels collects garbage in every call
        "p_adjusted": ("pair", adjust_p(p_value) if p_value.size > 1 else p_value),
    }


def _with_split_half(
    result: xr.Dataset, split_half: xr.Dataset, distance: str, family: npt.NDArray[np.int64]
) -> xr.Dataset:
    halves = split_half.sel(measure=distance)
    by_network = halves["ratio"].values
    ratio = [by_network[family == which].mean() for which in range(int(family.max()) + 1)]
    return result.assign(
        ratio=("family", ratio),
        split_half=halves["mean"].item(),
        split_half_low=halves["low"].item(),
        split_half_high=halves["high"].item(),
    ).assign_attrs(size_factor=split_half.attrs["size_factor"])
