"""How alike a recording is with itself: what distances between a model and it stand against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.comparison.kernels.distances import DISTANCES
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.core.unit_samples import UnitSample, group_keys
from nwbcompare.kernels.permutation import p_values, reaches

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
By = Literal["session", "unit"]
GROUPINGS = ("session", "unit")


def _mean_difference(a: Array, b: Array) -> float:
    return float(abs(a.mean() - b.mean()))


def _sd_difference(a: Array, b: Array) -> float:
    return float(abs(a.std() - b.std()))


MEASURES: dict[str, Callable[[Array, Array], float]] = {
    **DISTANCES,
    "sd_difference": _sd_difference,
    "mean_difference": _mean_difference,
}
"""Distance of two sets of FTV, by name; each maps (value,), (value,) to a number from 0."""


def split_half_distance(
    recording: xr.Dataset,
    models: Sequence[xr.Dataset] = (),
    *,
    by: By = "session",
    n_splits: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Measure how far two halves of a recording lie apart; and models beside it, at equal sizes.

    Parameters
    ----------
    recording
        Sample table from `nwbcompare.fractional_task_variance`, with the unit column
        ``session`` (and ``subject``, where there are several animals).
    models
        Sample tables of networks, compared with one half of the recording each.
    by
        "session": whole sessions go to one half, of every animal about half of them. "unit":
        units by themselves, where sessions are not known; the halves then share sessions and
        look more alike than new sessions would.
    n_splits
        Random splits.
    seed
        Of the splits and of what is drawn from the models.

    Returns
    -------
    xarray.Dataset
        ``value (split, measure)``, distance of the halves, its ``mean``, and ``low`` and ``high``
        ``(measure)``, between which 95 % of splits lie; ``n_first``, ``n_second (split)``, units of
        the halves. With models, ``model_value (network, split, measure)``; ``model_mean`` and
        ``ratio (network, measure)``, the mean over splits and how many times that of the halves it
        is; ``as_close (network, measure)``, the share of splits in which the network is at least as
        close to the first half as the second half is.

    Raises
    ------
    InputError
        For an unknown ``by`` and fewer than one split.
    NotApplicableError
        For a recording without sessions or with one only, and fewer than two active units.

    Notes
    -----
    The fewer units, the larger the distance between two samples of one population: of halves
    about 1.4 times (``size_factor``) that of samples of the whole size. So a model is not held
    as a whole against this distance: each split compares the first half with as many values of
    the model (without replacement, of one draw where there are several) as of the second half.
    Where a model has fewer, the second half is cut too: ``n_second`` says how many.
    Splits of one recording overlap: their spread tells how much the split matters, and is no
    confidence interval over sessions or animals.

    Examples
    --------
    >>> ftv = np.linspace(-1, 1, 40)
    >>> recording = xr.Dataset(
    ...     {"fractional_task_variance": ("unit", ftv)},
    ...     coords={"session": ("unit", np.tile(np.arange(10), 4))},
    ...     attrs={"name": "m", "source": "recording"})
    >>> bool(split_half_distance(recording, n_splits=20)["mean"].sel(measure="wasserstein") < 0.2)
    True
    """
    if by not in GROUPINGS:
        raise unknown_name("by", by, GROUPINGS)
    check_number("n_splits", n_splits)
    values, group, animal = units_of_recording(UnitSample(recording), by)
    pools = [draws_of(UnitSample(model)) for model in models]
    rng = np.random.default_rng(seed)
    most = min([values.size, *map(_smallest, pools)])
    halves: list[Array] = []
    of_models: list[Array] = []
    sizes: list[tuple[int, int]] = []
    for _ in tqdm(range(n_splits), desc="splits", disable=None):
        first = _half(group, animal, rng)
        second = values[~first]
        m = min(second.size, most)
        second = rng.choice(second, m, replace=False)
        halves.append(_measure(values[first], second))
        of_models.append(
            np.array([_measure(values[first], draw_values(pool, m, rng)) for pool in pools])
        )
        sizes.append((int(first.sum()), m))
    result = _summary(np.array(halves), np.array(sizes), values.size).assign_attrs(
        name=str(recording.attrs.get("name", "")), by=by, seed=seed, n_groups=int(group.max()) + 1
    )
    return _with_models(result, models, np.array(of_models)) if models else result


def between_animal_distance(
    recording: xr.Dataset, *, n_permutations: int = 999, seed: int = 0
) -> xr.Dataset:
    """Measure how far two animals lie apart, against sessions exchanged between them.

    Parameters
    ----------
    recording
        Sample table of two or more animals, with unit columns ``subject`` and ``session``.
    n_permutations
        Permutations of whole sessions among the two animals.
    seed
        Of the permutations.

    Returns
    -------
    xarray.Dataset
        By ``animal_pair`` and ``measure``: ``value``; ``null_mean`` and ``null_high`` (95 %
        lie below), with sessions exchanged; ``p_value`` of "the sessions of both animals are
        alike", (1 + b) / (1 + B). ``animal_a``, ``animal_b`` name the animals.

    Raises
    ------
    NotApplicableError
        For one animal, which does not tell how much animals differ, and for fewer than two
        sessions.

    Notes
    -----
    The unit of inference is the session. Two animals give one pair: that they differ can be
    shown, how much animals differ in general cannot.
    """
    check_number("n_permutations", n_permutations)
    sample = UnitSample(recording)
    values, session, animal = units_of_recording(sample, "session")
    animals = np.unique(sample.animals[sample.active[0]])
    if animals.size < 2:
        raise NotApplicableError(
            f"recording {recording.attrs.get('name', '')!r}",
            "two or more animals (one does not tell how much animals differ, so distances "
            "between animals and intervals over animals cannot be given)",
            f"one, {listing(animals)}",
            "Use split_half_distance, which speaks of the sessions of this animal.",
        )
    rng = np.random.default_rng(seed)
    pairs = list(combinations(range(animals.size), 2))
    observed: list[Array] = []
    null: list[list[Array]] = []
    for a, b in tqdm(pairs, desc="animals", disable=None):
        kept = (animal == a) | (animal == b)
        own = values[kept], np.unique(session[kept], return_inverse=True)[1], animal[kept] == a
        observed.append(_measure(own[0][own[2]], own[0][~own[2]]))
        null.append([_exchanged(*own, rng) for _ in range(n_permutations)])
    result = _animal_result(np.array(observed), np.array(null), animals[np.array(pairs)])
    return result.assign_attrs(
        name=str(recording.attrs.get("name", "")), n_permutations=n_permutations, seed=seed
    )


def check_number(name: str, value: int) -> None:
    """Refuse a number of repetitions below 1."""
    if value < 1:
        raise InputError(name, "1 or more", str(value), f"Use {name}=200.")


def draws_of(sample: UnitSample) -> list[Array]:
    """Return the values of a network's active units, draw by draw.

    Raises
    ------
    NotApplicableError
        For fewer than two in a draw.
    """
    draws = sample.draws
    if (fewest := min(draw.size for draw in draws)) < 2:
        raise NotApplicableError(
            f"model {sample.name!r}",
            "two or more active units in every draw",
            f"{fewest}",
            "Look at its task variances: inactive units have no FTV.",
        )
    return draws


def draw_values(draws: Sequence[Array], n_values: int, rng: np.random.Generator) -> Array:
    """Draw values of one random draw without replacement."""
    chosen: Array = rng.choice(draws[int(rng.integers(len(draws)))], n_values, replace=False)
    return chosen


def units_of_recording(sample: UnitSample, by: By) -> tuple[Array, Codes, Codes]:
    """Return the values of a recording's active units, and the group and animal of each.

    Parameters
    ----------
    sample
        The recording's units.
    by
        What groups are: "session", or "unit" for every unit by itself.

    Returns
    -------
    values : numpy.ndarray
        ``(value,)``.
    group, animal : numpy.ndarray
        ``(value,)``: places among the groups and animals with active units, in the order of
        their names.

    Raises
    ------
    NotApplicableError
        For a recording without sessions, and fewer than two groups with active units.
    """
    (values,), (active,) = sample.values, sample.active
    keys = sample.session_keys() if by == "session" else sample.place_keys()
    group = group_keys([key for key, seen in zip(keys, active, strict=True) if seen]).code
    if np.unique(group).size < 2:
        raise NotApplicableError(
            f"recording {sample.name!r}",
            f"two or more {by}s with active units",
            f"{np.unique(group).size}",
            "Load more sessions." if by == "session" else "Load more units.",
        )
    return values[active], group, np.unique(sample.animals[active], return_inverse=True)[1]


def _smallest(draws: Sequence[Array]) -> int:
    return min(values.size for values in draws)


def _half(group: Codes, animal: Codes, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Put about half of each animal's groups into the first half, at random."""
    first_row = np.unique(group, return_index=True)[1]
    order = rng.permutation(first_row.size)
    order = order[np.argsort(animal[first_row][order], kind="stable")]
    in_first = np.empty(first_row.size, dtype=bool)
    in_first[order] = (np.arange(first_row.size) + rng.integers(2)) % 2 == 0
    return in_first[group]


def _measure(a: Array, b: Array) -> Array:
    return np.array([measure(a, b) for measure in MEASURES.values()])


def _summary(halves: Array, sizes: Codes, n_values: int) -> xr.Dataset:
    low, high = np.percentile(halves, [2.5, 97.5], axis=0)
    factor = np.sqrt((1 / sizes).sum(axis=1).mean() / (2 / n_values))
    return xr.Dataset(
        {
            "value": (("split", "measure"), halves),
            "mean": ("measure", halves.mean(axis=0)),
            "low": ("measure", low),
            "high": ("measure", high),
            "n_first": ("split", sizes[:, 0]),
            "n_second": ("split", sizes[:, 1]),
        },
        coords={"measure": list(MEASURES)},
        attrs={
            "analysis": "split_half_distance",
            "unit_of_inference": "splits of one recording; nothing over animals",
            "n_splits": len(halves),
            "n_values": n_values,
            "size_factor": float(factor),
        },
    )


def _with_models(result: xr.Dataset, models: Sequence[xr.Dataset], values: Array) -> xr.Dataset:
    values = values.transpose(1, 0, 2)
    mean = values.mean(axis=1)
    by_network = ("network", "measure")
    return result.assign(
        model_value=(("network", "split", "measure"), values),
        model_mean=(by_network, mean),
        ratio=(by_network, mean / result["mean"].values),
        as_close=(by_network, (values <= result["value"].values).mean(axis=1)),
    ).assign_coords(network=[str(model.attrs.get("name", "")) for model in models])


def _exchanged(
    values: Array, session: Codes, first: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Array:
    """Measure again after the animals' sessions were exchanged, as many for each as before."""
    first_row = np.unique(session, return_index=True)[1]
    chosen = rng.permutation(first[first_row])[session]
    return _measure(values[chosen], values[~chosen])


def _animal_result(observed: Array, null: Array, pairs: npt.NDArray[np.str_]) -> xr.Dataset:
    dims = ("animal_pair", "measure")
    # distances of samples within [-1, 1] have rounding errors of 1e-16, however small they are
    as_far = reaches(null.round(12), observed[:, None].round(12), axis=1)
    return xr.Dataset(
        {
            "value": (dims, observed),
            "null_mean": (dims, null.mean(axis=1)),
            "null_high": (dims, np.percentile(null, 95, axis=1)),
            "p_value": (dims, p_values(as_far, axis=1)),
        },
        coords={
            "animal_pair": ["/".join(pair) for pair in pairs],
            "animal_a": ("animal_pair", pairs[:, 0]),
            "animal_b": ("animal_pair", pairs[:, 1]),
            "measure": list(MEASURES),
        },
        attrs={
            "analysis": "between_animal_distance",
            "unit_of_inference": "sessions, between two animals",
        },
    )
