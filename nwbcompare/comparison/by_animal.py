"""A comparison animal by animal: few animals are fixed, and a finding must hold in each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.kernels.distances import DISTANCES
from nwbcompare.comparison.sample_contrasts import LEVEL, THESE
from nwbcompare.core.errors import listing
from nwbcompare.inference.mixed_effects import satterthwaite, two_sided_p
from nwbcompare.inference.prevalence import prevalence
from nwbcompare.inference.random_effects import LEAST_ANIMALS, over_animals
from nwbcompare.kernels.intervals import student_half_width

Array = npt.NDArray[np.float64]
OF_ANIMAL = {
    "low": "low_by_animal",
    "high": "high_by_animal",
    "p_value": "p_by_animal",
    "p_student": "p_student_by_animal",
    "standard_error": "error_by_animal",
    "degrees_of_freedom": "freedom_by_animal",
}
RENAMED = {
    "estimate": "estimate_by_animal",
    "estimate_by_network": "estimate_by_network_and_animal",
    **OF_ANIMAL,
}
"""Names of a comparison's variables where animals lie side by side."""


def in_every_animal(p: Array, estimate: Array) -> Array:
    """Combine p values of animals: an effect is there if every animal rejects, in one direction.

    Parameters
    ----------
    p
        Two-sided p values, ``(animal, ...)``.
    estimate
        Estimates, broadcast against ``p``, whose sign is the direction.

    Returns
    -------
    numpy.ndarray
        ``(...)``: the largest p of the animals where all signs agree (intersection-union test,
        Berger 1982), else 1; NaN where an animal has none.

    Examples
    --------
    >>> in_every_animal(np.array([[0.01], [0.2]]), np.array([[0.1], [0.3]])).tolist()
    [0.2]
    """
    agree = (estimate > 0).all(axis=0) | (estimate < 0).all(axis=0)
    # NaN is kept by max
    return np.where(agree | np.isnan(p).any(axis=0), p.max(axis=0), 1.0)


def by_animal(results: Sequence[xr.Dataset], names: Sequence[str]) -> xr.Dataset:
    """Collect the comparisons of single animals, their differences, and what they support together.

    Parameters
    ----------
    results
        From `nwbcompare.comparison.sample_contrasts.infer`, one for each animal.
    names
        Names of the animals.

    Returns
    -------
    xarray.Dataset
        The variables by animal of `nwbcompare.compare_samples`, with ``p_value`` and ``p_student``
        of all animals.
    """
    each = xr.concat(
        [one[list(RENAMED)] for one in results],
        xr.DataArray(list(names), dims="animal", name="animal"),
        coords="minimal",
        # animals of several recordings may have been compared with networks of other tasks
        join="outer",
    ).drop_vars("effect")
    joint = each.drop_dims("network")
    estimate = joint["estimate"]
    together = {
        name: (
            ("claim", "measure"),
            in_every_animal(
                joint[name].transpose("animal", "claim", "measure").values,
                estimate.transpose("animal", "measure").values[:, None],
            ),
        )
        for name in ("p_value", "p_student")
    }
    return (
        each.rename(RENAMED)
        .transpose(..., "animal", "measure")
        .assign(_differences(joint, names))
        .assign(together)
        .assign(_prevalence(joint))
        .assign(_over_animals(joint))
        .assign_coords(_pair_coords(names))
    )


def single_animals(result: xr.Dataset, name: str) -> dict[str, xr.Dataset]:
    """Return the comparison of each animal by itself.

    Parameters
    ----------
    result
        From `nwbcompare.compare_samples`.
    name
        Name of a lone animal, such as that of the recording.

    Returns
    -------
    dict of xarray.Dataset
        By name of the animal: ``estimate (measure,)``, ``estimate_by_network (network, measure)``
        and intervals and p ``(claim, measure)``, under the names that a single recording has.
    """
    if "animal" not in result.dims:
        return {name: result[list(RENAMED)]}
    names = {after: before for before, after in RENAMED.items()}
    each = result[list(names)].rename(names)
    return {str(one): each.sel(animal=one, drop=True) for one in result["animal"].values}


def _pairs(n: int) -> npt.NDArray[np.int64]:
    return np.array(list(combinations(range(n), 2)), dtype=np.int64)


def _pair_coords(names: Sequence[str]) -> dict[str, Any]:
    first, second = np.array(list(names))[_pairs(len(names)).T]
    return {
        "animal_pair": [f"{a} - {b}" for a, b in zip(first, second, strict=True)],
        "animal_a": ("animal_pair", first),
        "animal_b": ("animal_pair", second),
    }


def _differences(joint: xr.Dataset, names: Sequence[str]) -> dict[str, Any]:
    """Compute differences of the differences between animals; NaN for distances."""
    these = joint.sel(claim=THESE).transpose("animal", "measure")
    first, second = _pairs(len(names)).T
    estimate, error, freedom = (
        these[name].values for name in ("estimate", "standard_error", "degrees_of_freedom")
    )
    is_distance = np.isin(joint["measure"].values, list(DISTANCES))
    difference = np.where(is_distance, np.nan, estimate[first] - estimate[second])
    squares = np.stack([error[first] ** 2, error[second] ** 2], axis=-1)
    with np.errstate(invalid="ignore"):
        df = satterthwaite(squares, np.stack([freedom[first], freedom[second]], axis=-1))
    half = student_half_width(np.sqrt(squares.sum(axis=-1)), df)
    # without variance there is nothing to test
    with np.errstate(invalid="ignore", divide="ignore"):
        p = two_sided_p(difference / np.sqrt(squares.sum(axis=-1)), df)
    dims = ("animal_pair", "measure")
    return {
        "animal_difference": (dims, difference),
        "animal_difference_low": (dims, difference - half),
        "animal_difference_high": (dims, difference + half),
        "animal_difference_p": (dims, p),
    }


def _prevalence(joint: xr.Dataset) -> dict[str, Any]:
    """Count the animals that reject in the commoner direction, and what share this supports."""
    these = joint.sel(claim=THESE).transpose("animal", "measure")
    rejects, sign = these["p_value"].values <= LEVEL, np.sign(these["estimate"].values)
    tested = np.isfinite(these["p_value"].values).all(axis=0)
    showing = np.maximum((rejects & (sign > 0)).sum(axis=0), (rejects & (sign < 0)).sum(axis=0))
    found = [prevalence(int(k), len(rejects), level=LEVEL) for k in showing]
    names = {
        "prevalence": "prevalence",
        "low": "prevalence_low",
        "high": "prevalence_high",
        "bound": "prevalence_bound",
    }
    return {"n_showing": ("measure", np.where(tested, showing, np.nan))} | {
        new: ("measure", np.where(tested, [one[name].item() for one in found], np.nan))
        for name, new in names.items()
    }


def _over_animals(joint: xr.Dataset) -> dict[str, Any]:
    """Estimate the mean over animals, from three on; NaN for distances and without errors."""
    these = joint.sel(claim=THESE).transpose("animal", "measure")
    if these.sizes["animal"] < LEAST_ANIMALS:
        return {}
    values = np.full((4, these.sizes["measure"]), np.nan)
    for place, name in enumerate(these["measure"].values):
        error = these["standard_error"].values[:, place]
        if name not in DISTANCES and (error > 0).all():
            found = over_animals(these["estimate"].values[:, place], error)
            values[:, place] = [float(found[k]) for k in ("mean", "low", "high", "p_value")]
    names = ("animals_mean", "animals_low", "animals_high", "animals_p")
    return {name: ("measure", row) for name, row in zip(names, values, strict=True)}


def over_animals_text(names: Sequence[str]) -> str:
    """Describe what a recording's animals allow.

    Examples
    --------
    >>> over_animals_text(["A"])
    'not applicable: one animal (A) allows no inference over animals'
    """
    n = len(names)
    if not n:
        return "not applicable: the animals of the recording are unknown"
    if n == 1:
        return f"not applicable: one animal ({names[0]}) allows no inference over animals"
    if n < LEAST_ANIMALS:
        return (
            f"not applicable: two animals ({listing(names)}) are fixed: each is tested by itself, "
            "and nothing in two tells how much animals differ"
        )
    wide = "" if n >= 5 else ", very wide"
    return f"{n} animals ({listing(names)}), random-effects mean{wide}"
