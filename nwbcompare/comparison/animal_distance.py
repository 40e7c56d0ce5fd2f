"""A second animal as the reference for the distance between networks and an animal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.ranking import rank_families
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.core.unit_samples import UnitSample

Array = npt.NDArray[np.float64]
NETWORKS = "networks"
LEAST_PAIRS = 10
CALIPER = 0.25
"""Largest distance of two matched units, in s.d. of the log values; 0.2 to 0.25 are customary
(Austin 2011)."""


def distance_beside_animal(
    models: Sequence[xr.Dataset],
    recording: xr.Dataset,
    *,
    animal: str,
    reference: str,
    distance: str = "wasserstein",
    n_bootstrap: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Test whether networks are as near one animal as another animal is.

    Parameters
    ----------
    models
        Sample tables of networks. Of those with a unit column ``subject``, which are matched to
        recorded units, the units matched to ``animal`` are taken.
    recording
        Sample table of both animals, with unit columns ``subject`` and ``session``.
    animal
        The animal to which distances are measured.
    reference
        The other animal, whose distance is the reference. It is no ceiling: networks may lie
        nearer, and two animals do not tell how much animals differ.
    distance
        A name in `nwbcompare.comparison.kernels.distances.DISTANCES`.
    n_bootstrap
        Number of bootstrap samples of sessions.
    seed
        Seed of all random draws.

    Returns
    -------
    xarray.Dataset
        ``networks_distance`` and ``animal_distance``, each with its interval ``..._low``,
        ``..._high``; ``difference``, networks less reference, with ``difference_low``,
        ``difference_high`` and ``p_value``: an interval below 0 means that networks are nearer,
        one above 0 that the other animal is.

    Raises
    ------
    InputError
        For an unknown animal or distance, and the same animal twice.
    NotApplicableError
        As `nwbcompare.comparison.rank_families`.

    Notes
    -----
    The ranking of two families (`nwbcompare.comparison.rank_families`), of which the second is the
    other animal. The sessions of ``animal`` are resampled, the same ones for both distances, and so
    are those of the reference; distances are taken at equal numbers of units, and networks vary as
    Student's t.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def table(name, sd, **columns):
    ...     return xr.Dataset({"fractional_task_variance": ("unit", rng.uniform(-sd, sd, 80))},
    ...                       {key: ("unit", column) for key, column in columns.items()},
    ...                       attrs={"name": name})
    >>> monkeys = table("m", 0.4, subject=np.repeat(["A", "F"], 40), session=np.arange(80) // 4)
    >>> found = distance_beside_animal(
    ...     [table("a", 1.0), table("b", 1.0)], monkeys, animal="A", reference="F", n_bootstrap=99)
    >>> bool(found["difference_low"] > 0)
    True
    """
    sample = UnitSample(recording)
    sample.check_sessions()
    animals = np.unique(sample.animals).tolist()
    for name, value in (("animal", animal), ("reference", reference)):
        if value not in animals:
            raise unknown_name(name, value, animals)
    if animal == reference:
        raise InputError("reference", "another animal", repr(reference), f"Name one of {animals}.")
    own, other = (recording.isel(unit=sample.animals == name) for name in (animal, reference))
    # whole sessions of the reference are resampled, as the units of a lone network are
    other = other.assign_coords(network_unit=other["session"]).assign_attrs(name=reference)
    own_models = [
        model.isel(unit=model["subject"].values.astype(str) == animal)
        if "subject" in model.coords
        else model
        for model in models
    ]
    ranking = rank_families(
        {NETWORKS: own_models, reference: [other]},
        own.assign_attrs(name=animal),
        distance=distance,
        n_bootstrap=n_bootstrap,
        n_splits=1,
        seed=seed,
    )
    pair = ranking.isel(pair=0)
    variables = {
        f"{title}_distance{end}": ranking[f"distance{end}"].sel(family=family, drop=True)
        for title, family in (("networks", NETWORKS), ("animal", reference))
        for end in ("", "_low", "_high")
    } | {
        name: pair[name] for name in ("difference", "difference_low", "difference_high", "p_value")
    }
    return xr.Dataset(
        {name: float(value) for name, value in variables.items()},
        attrs={
            "analysis": "distance_beside_animal",
            "animal": animal,
            "reference": reference,
            "distance": distance,
            "n_networks": len(models),
            "n_values": ranking.attrs["n_values"],
            "n_bootstrap": n_bootstrap,
            "seed": seed,
            "unit_of_inference": f"networks; sessions of {animal} and of {reference}",
        },
    )


def match_animals(
    recording: xr.Dataset, *, animals: tuple[str, str], on: Sequence[str]
) -> xr.Dataset:
    """Select units of two animals in pairs that are alike in noise and strength of tuning.

    The distance of two animals' FTV contains differences of noise, trials and tuning strength,
    which also change the FTV of networks; among matched units it does not.

    Parameters
    ----------
    recording
        Sample table of two animals, with unit columns ``subject`` and ``session``, and the
        variables ``on``.
    animals
        The two animals.
    on
        Names of unit variables, above 0: for example the noise of each task's variance, which
        contains the numbers of trials, and the sum of the corrected task variances.

    Returns
    -------
    xarray.Dataset
        The selected units of both animals, as many of each. ``attrs["n_pairs"]``, and
        ``attrs["largest_gap"]``, the largest absolute difference over ``on`` of the two animals'
        means of log values, in s.d.: with matched units about 0.

    Raises
    ------
    InputError
        For an unknown animal or variable.
    NotApplicableError
        For fewer than 10 pairs that are alike.

    Notes
    -----
    Pairs have the smallest sum of squared differences of log values, in units of their s.d. over
    both animals; a pair further apart than 0.25 of these is left out. Units with a value of 0 or
    less, such as a corrected variance below 0, have no log and are left out: a strength below its
    error cannot be matched.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = np.exp(rng.normal(np.repeat([0, 1], 100)))
    >>> table = xr.Dataset(
    ...     {"fractional_task_variance": ("unit", rng.uniform(-1, 1, 200)), "n": ("unit", noise)},
    ...     {"subject": ("unit", np.repeat(["A", "F"], 100)), "session": ("unit", np.arange(200))})
    >>> matched = match_animals(table, animals=("A", "F"), on=["n"])
    >>> matched.attrs["n_pairs"] > 30, abs(matched.attrs["largest_gap"]) < 0.1
    (True, True)
    """
    sample = UnitSample(recording)
    names = np.unique(sample.animals).tolist()
    for name in animals:
        if name not in names:
            raise unknown_name("animals", name, names)
    for name in on:
        if name not in recording:
            raise unknown_name("on", name, [str(one) for one in recording.data_vars])
    values = np.stack([np.asarray(recording[name].values, dtype=np.float64) for name in on])
    usable = sample.active[0] & (values > 0).all(axis=0)
    places = [np.flatnonzero(usable & (sample.animals == name)) for name in animals]
    if min(map(len, places)) < LEAST_PAIRS:
        raise _too_few(animals, min(map(len, places)))
    log = np.log(np.where(values > 0, values, 1.0))
    scale = log[:, np.concatenate(places)].std(axis=1, keepdims=True)
    first, second = (log[:, place] / np.where(scale > 0, scale, 1.0) for place in places)
    rows, columns = _pairs(first, second)
    if rows.size < LEAST_PAIRS:
        raise _too_few(animals, rows.size)
    gap = np.abs(first[:, rows].mean(axis=1) - second[:, columns].mean(axis=1)).max()
    chosen = np.sort(np.concatenate([places[0][rows], places[1][columns]]))
    return recording.isel(unit=chosen).assign_attrs(
        n_pairs=rows.size, largest_gap=float(gap), matched_on=listing(on)
    )


def _pairs(first: Array, second: Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - slow to import

    away = ((first[:, :, None] - second[:, None]) ** 2).sum(axis=0)
    # pairs beyond the caliper cost alike, so that they do not decide which others are made
    cost = np.minimum(away, CALIPER**2)
    rows, columns = linear_sum_assignment(cost)
    near = away[rows, columns] < CALIPER**2
    return rows[near], columns[near]


def _too_few(animals: tuple[str, str], n: int) -> NotApplicableError:
    return NotApplicableError(
        f"animals {listing(animals)}",
        f"{LEAST_PAIRS} pairs of units or more that are alike",
        f"{n}",
        "Match on fewer variables, or report the distance of all units.",
    )
