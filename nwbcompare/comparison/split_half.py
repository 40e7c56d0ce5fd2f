"""Distances within a recording: of its halves, and of its animals.

They are the reference for the distance between a network and the recording.
"""

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
"""Distances of two samples of FTV by name; functions of two arrays ``(value,)``."""


def split_half_distance(
    recording: xr.Dataset,
    models: Sequence[xr.Dataset] = (),
    *,
    by: By = "session",
    n_splits: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Compute distances of random halves of a recording, and of networks to a half.

    Parameters
    ----------
    recording
        Sample table from `nwbcompare.fractional_task_variance`, with the unit column
        ``session`` (and ``subject``, where there are several animals).
    models
        Sample tables of networks, each compared with one half of the recording.
    by
        "session" assigns whole sessions to a half, about half the sessions of each animal.
        "unit" assigns single units, for unknown sessions; the halves then share sessions and
        are more alike than new sessions would be.
    n_splits
        Number of random splits; 200 fix the mean to a few percent.
    seed
        Seed of the splits and of the samples of models.

    Returns
    -------
    xarray.Dataset
        ``value (split, measure)``, the distance of the halves; on ``(measure,)`` its ``mean``
        and the range ``low`` to ``high`` of 95 % of splits; ``n_first``, ``n_second (split)``,
        the numbers of units. With models, ``model_value (network, split, measure)``, the
        distance of a network to the first half; on ``(network, measure)`` its mean over splits
        ``model_mean``, the ``ratio`` to ``mean``, and ``as_close``, the share of splits in which
        the network is at least as close to the first half as the second half is.

    Raises
    ------
    InputError
        For an unknown ``by`` and fewer than one split.
    NotApplicableError
        For a recording without sessions or with one only, and fewer than two active units.

    Notes
    -----
    The distance of two samples of one population grows as samples become smaller: for halves it
    is about 1.4 times (``size_factor``) that for samples of the full size. Each split therefore
    compares the first half with as many values of the model (drawn without replacement from one
    draw) as the second half has. The second half is subsampled if a model has fewer values.
    Splits of one recording overlap: the range over splits describes the effect of the split and
    is no confidence interval over sessions or animals.

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
    """Test the distance of two animals against exchanges of whole sessions between them.

    Parameters
    ----------
    recording
        Sample table of two or more animals, with unit columns ``subject`` and ``session``.
    n_permutations
        Number of permutations of whole sessions between two animals.
    seed
        Seed of the permutations.

    Returns
    -------
    xarray.Dataset
        On ``(animal_pair, measure)``: ``value``, the distance; ``null_mean`` and ``null_high``,
        mean and 95th percentile with sessions exchanged; ``excess``, value less ``null_mean``,
        since a distance of two samples is positive also where animals are alike; ``p_value``,
        (1 + b) / (1 + B), under the null hypothesis that the sessions of both animals have one
        distribution. Coordinates ``animal_a``, ``animal_b`` name the animals.

    Raises
    ------
    NotApplicableError
        For one animal, which does not tell how much animals differ, and for fewer than two
        sessions.

    Notes
    -----
    The unit of inference is the session. With two animals the test can show that these differ,
    but not how much animals differ in general.

    Examples
    --------
    >>> recording = xr.Dataset(
    ...     {"fractional_task_variance": ("unit", np.repeat([-0.1, 0.1, 0.8, 0.9], 5))},
    ...     coords={"subject": ("unit", np.repeat(["A", "B"], 10)),
    ...             "session": ("unit", np.arange(20) // 2)})
    >>> result = between_animal_distance(recording, n_permutations=9)
    >>> result["value"].sel(measure="mean_difference").values.round(2).tolist()
    [0.85]
    """
    check_number("n_permutations", n_permutations)
    sample = UnitSample(recording)
    values, session, animal = units_of_recording(sample, "session")
    animals = np.unique(sample.animals[sample.active[0]])
    if animals.size < 2:
        raise NotApplicableError(
            f"recording {recording.attrs.get('name', '')!r}",
            "two or more animals (one does not tell how much animals differ)",
            f"one, {listing(animals)}",
            "Use split_half_distance, for sessions of this animal.",
        )
    rng = np.random.default_rng(seed)
    pairs = list(combinations(range(animals.size), 2))
    observed: list[Array] = []
    null: list[list[Array]] = []
    for a, b in tqdm(pairs, desc="animals", disable=None):
        pair = (animal == a) | (animal == b)
        first = animal[pair] == a
        of_pair = np.unique(session[pair], return_inverse=True)[1]
        observed.append(_measure(values[pair][first], values[pair][~first]))
        null.append([_permuted(values[pair], of_pair, first, rng) for _ in range(n_permutations)])
    result = _animal_result(np.array(observed), np.array(null), animals[np.array(pairs)])
    return result.assign_attrs(
        name=str(recording.attrs.get("name", "")), n_permutations=n_permutations, seed=seed
    )


def check_number(name: str, value: int) -> None:
    """Check that a number of repetitions is 1 or more.

    Raises
    ------
    InputError
        Otherwise.
    """
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
            "Check its task variances: inactive units have no FTV.",
        )
    return draws


def draw_values(draws: Sequence[Array], n_values: int, rng: np.random.Generator) -> Array:
    """Draw ``n_values`` values of one random draw, without replacement.

    Examples
    --------
    >>> draw_values([np.array([0.5, 0.5])], 1, np.random.default_rng(0)).tolist()
    [0.5]
    """
    values: Array = rng.choice(draws[int(rng.integers(len(draws)))], n_values, replace=False)
    return values


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
    group = group_keys([key for key, is_active in zip(keys, active, strict=True) if is_active]).code
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
    """Draw the first half: about half of each animal's groups, as a mask ``(value,)``."""
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


def _permuted(
    values: Array, session: Codes, first: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Array:
    """Compute the distances with sessions permuted between two animals, numbers kept."""
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
            "excess": (dims, observed - null.mean(axis=1)),
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
