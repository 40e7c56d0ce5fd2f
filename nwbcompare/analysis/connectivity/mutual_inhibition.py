"""Mean weights within and between groups of units, and a test of mutual inhibition."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.connectivity.kernels.mutual_inhibition import (
    PairMean,
    inhibition_statistic,
    mean_over_pairs,
    permuted_statistic,
)
from nwbcompare.analysis.selectivity.unit_groups import GROUPS
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning, listing
from nwbcompare.kernels.permutation import p_value, reaches
from nwbcompare.tasks.channels import RING_DIRECTIONS, RING_SIZE, angular_distance

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
WITHIN_RAD = np.pi / 6
"""Pairs count as of like preference below this difference of preferred direction."""
ON_BOUND = 1e-9
"""Differences this near a bound (rad) lie on it: multiples of a ring's step are not exact."""
# of the test that a call of inhibition rests on
LEVEL = 0.05
INHIBITING = ("1", "2")
FROM_PREFERRED = np.arange(RING_SIZE) - RING_SIZE // 2
"""Channels of a ring, counted from the preferred one."""


def group_weights(
    weights: xr.Dataset, groups: xr.Dataset, *, within: float = WITHIN_RAD
) -> xr.Dataset:
    """Compute a network's mean weights within and between groups of units.

    Parameters
    ----------
    weights
        From `nwbcompare.experiments.network_weights`.
    groups
        From `nwbcompare.selectivity.unit_groups`, of the same network. Other units are in no group.
    within
        Difference of preferred direction (rad) below which pairs are "near"; pi/6, as published.

    Returns
    -------
    xarray.Dataset
        ``recurrent_weight (selection, group_from, group_to)`` over "all" pairs of different units
        and over "near" pairs, with ``n_pairs``; ``input_weight (modality, direction_difference,
        group)``, by the channel's direction minus the unit's preferred direction (rad);
        ``rule_weight (rule, group)``; ``output_weight (direction_difference, group)``; ``group_size
        (group)``. Each mean has a standard error over units, ``..._se``; for recurrent weights it
        is a jackknife estimate, for which each unit is left out with all its pairs.

    Raises
    ------
    InputError
        For groups of another network.

    Warns
    -----
    UnitWarning
        For groups with fewer than two units and groups without near pairs: means or errors are NaN.

    Notes
    -----
    Yang et al. 2019, Fig. 5: mean recurrent weight over pairs whose preferred directions differ by
    less than pi/6. There, units are aligned to the peak of their weights from modality 1 (or to the
    output); here they are aligned to `preferred_direction`, computed from both modalities.

    Examples
    --------
    >>> from nwbcompare.analysis.selectivity import unit_groups
    >>> from nwbcompare.experiments import network_weights
    >>> from nwbcompare.model import Network, NetworkConfig
    >>> weights = network_weights(Network(NetworkConfig(n_units=6), name="toy"))
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[1, 0], [0, 1], [1, 1]] * 2)},
    ...                 coords={"unit": weights["unit"], "task": ["a", "b"]}, attrs={"name": "toy"})
    >>> with warnings.catch_warnings(action="ignore"):
    ...     result = group_weights(weights, unit_groups(tv, "a", "b"))
    >>> dict(result["recurrent_weight"].sizes)
    {'selection': 2, 'group_from': 3, 'group_to': 3}
    """
    label = _labels(weights, groups)
    masks = {group: label == group for group in GROUPS}
    small = [f"{group!r} ({int(mask.sum())})" for group, mask in masks.items() if mask.sum() < 2]
    if small:
        _warn(f"groups with fewer than two units have no mean or no error: {listing(small)}")
    recurrent = _recurrent_by_group(weights, masks, within)
    absent = [f"{a} to {b}" for a, b in _without_pairs(recurrent["near"], GROUPS)]
    if absent:
        _warn(f"no pairs of like preferred direction from group {listing(absent)}: NaN there")
    rule, dims = weights["input_rule"].values, ("selection", "group_from", "group_to")
    return xr.Dataset(
        {
            **_split(dims, "recurrent_weight", list(recurrent.values())),
            **_channels_by_group(weights, masks),
            "group_size": ("group", [int(mask.sum()) for mask in masks.values()]),
        },
        coords={
            "selection": list(recurrent),
            **{dim: list(GROUPS) for dim in ("group_from", "group_to", "group")},
            "modality": _modalities(weights),
            "rule": rule[rule != ""],
            "direction_difference": (
                "direction_difference",
                FROM_PREFERRED * RING_DIRECTIONS[1],
                {"units": "rad"},
            ),
        },
        attrs=_attrs("group_weights", weights, groups, within=float(within)),
    )


def mutual_inhibition(
    weights: xr.Dataset,
    groups: xr.Dataset,
    *,
    within: float = WITHIN_RAD,
    n_permutations: int = 9999,
    n_bins: int = 8,
    seed: int = 0,
) -> xr.Dataset:
    """Test whether groups 1 and 2 inhibit each other more than themselves.

    The statistic is ``W12 + W21 - W11 - W22``, of mean recurrent weights over pairs of different
    units with similar preferred directions; it is negative for inhibition between the groups. Null
    hypothesis: for a given preferred direction, weights do not depend on the group. Groups are
    permuted among the units of each bin of preferred direction, so that lateral inhibition, which
    depends on direction alone, is part of the null.

    Parameters
    ----------
    weights, groups
        As in `group_weights`.
    within
        Difference of preferred direction (rad) below which pairs count; pi/6, as published.
    n_permutations
        Permutations; 9999 give p values down to 1/10000.
    n_bins
        Bins of preferred direction around the circle. Each of 8 bins has four channels: narrow
        relative to a unit's tuning, and wide enough for units of both groups. With fewer bins,
        groups with different preferred directions can be mistaken for inhibition; where these
        differ strongly and weights depend on a unit's own direction, 16 bins keep the level of the
        test and 8 slightly exceed it.
    seed
        Seed of the permutations.

    Returns
    -------
    xarray.Dataset
        ``mean_weight``, ``mean_weight_se`` (jackknife over units) and ``n_pairs``, each
        ``(group_from, group_to)``; ``statistic``; ``null_statistic (permutation)``; ``p_lower``,
        for inhibition, and ``p_two_sided``, twice the smaller tail, both (1 + b) / (1 + B), where
        permutations that leave no pair count as extreme; ``called_inhibition``: whether W12 and W21
        are negative and ``p_lower`` is below 0.05; ``n_exchangeable_units``, units that share a bin
        with a unit of the other group (with none, p is 1).

    Raises
    ------
    InputError
        For groups of another network.
    NotApplicableError
        For a group without units, and where one of the four means has no pair of similar preferred
        direction.

    Notes
    -----
    The p value concerns one network; inference over networks needs several. Yang et al. 2019 show
    the four means of one network without a test.

    Examples
    --------
    >>> from nwbcompare.analysis.selectivity import unit_groups
    >>> units, direction = list("uvwx"), ("unit", [0.0, 0.0, 0.0, 0.0], {"units": "rad"})
    >>> matrix = np.array([[1, 1, -1, -1], [1, 1, -1, -1], [-1, -1, 1, 1], [-1, -1, 1, 1.0]])
    >>> weights = xr.Dataset(
    ...     {"recurrent_weight": (("unit_from", "unit_to"), matrix),
    ...      "preferred_direction": direction},
    ...     coords={"unit": units, "unit_from": units, "unit_to": units}, attrs={"name": "toy"})
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[1, 0], [1, 0], [0, 1], [0, 1]])},
    ...                 coords={"unit": units, "task": ["a", "b"]}, attrs={"name": "toy"})
    >>> groups = unit_groups(tv, "a", "b")
    >>> result = mutual_inhibition(weights, groups, n_permutations=99)
    >>> result["statistic"].item(), result["mean_weight"].values.tolist()
    (-4.0, [[1.0, -1.0], [-1.0, 1.0]])
    """
    check_whole("n_permutations", n_permutations, 1, "Use n_permutations=9999.")
    check_whole("n_bins", n_bins, 1, "Use n_bins=8.")
    two = _two_groups(weights, groups)
    pairs, masks = _near(two.direction, within), (~two.in_second, two.in_second)
    means = [[mean_over_pairs(two.matrix, pairs & a[:, None] & b) for b in masks] for a in masks]
    _refuse_without_pairs(means, masks, within)
    bins = _bins(two.direction, n_bins, 2 * np.pi)
    null = permuted_statistic(
        two.matrix,
        pairs,
        two.in_second,
        bins,
        n_permutations=n_permutations,
        rng=np.random.default_rng(seed),
    )
    statistic = inhibition_statistic(np.array([[cell.mean for cell in row] for row in means]))
    # permutations that leave one of the four means without pairs count as extreme
    lower, upper = (
        p_value(reaches(sign * null, sign * statistic) | np.isnan(null)) for sign in (-1, 1)
    )
    # the statistic is negative, too, where units only excite their own group
    both_negative = means[0][1].mean < 0 and means[1][0].mean < 0
    return xr.Dataset(
        {
            **_split(("group_from", "group_to"), "mean_weight", means),
            "statistic": float(statistic),
            "null_statistic": ("permutation", null),
            "p_lower": lower,
            "p_two_sided": min(1.0, 2 * min(lower, upper)),
            "called_inhibition": both_negative and lower < LEVEL,
            "n_exchangeable_units": _n_exchangeable(two.in_second, bins),
            "group_size": ("group", [int(mask.sum()) for mask in masks]),
        },
        coords={dim: list(INHIBITING) for dim in ("group_from", "group_to", "group")},
        attrs=_attrs(
            "mutual_inhibition",
            weights,
            groups,
            within=float(within),
            n_permutations=n_permutations,
            n_bins=n_bins,
            seed=seed,
        ),
    )


def weight_by_direction(weights: xr.Dataset, groups: xr.Dataset, *, n_bins: int = 12) -> xr.Dataset:
    """Compute mean recurrent weights by difference of preferred direction.

    Pairs within groups 1 and 2 and pairs between them give two curves. If the groups differed by
    lateral inhibition alone, these would be equal.

    Parameters
    ----------
    weights, groups
        As in `group_weights`.
    n_bins
        Bins of the absolute difference from 0 to pi; each of 12 bins has one or two steps of the
        ring of 32 channels.

    Returns
    -------
    xarray.Dataset
        ``weight``, ``weight_se`` and ``n_pairs``, each ``(relation, direction_difference)``: over
        pairs of different units "within" group 1 or 2, and "between" them in both directions.
        ``direction_difference`` is the centre of the bin (rad). The standard error is a jackknife
        estimate over units, each left out with all its pairs.

    Raises
    ------
    InputError
        For groups of another network.
    NotApplicableError
        For a group without units.

    Warns
    -----
    UnitWarning
        For bins without pairs, or whose pairs all share one unit: NaN.

    Examples
    --------
    >>> from nwbcompare.analysis.selectivity import unit_groups
    >>> units, direction = list("uvwx"), ("unit", [0.0, 0.0, 0.0, 0.0], {"units": "rad"})
    >>> matrix = np.array([[1, 1, -1, -1], [1, 1, -1, -1], [-1, -1, 1, 1], [-1, -1, 1, 1.0]])
    >>> weights = xr.Dataset(
    ...     {"recurrent_weight": (("unit_from", "unit_to"), matrix),
    ...      "preferred_direction": direction},
    ...     coords={"unit": units, "unit_from": units, "unit_to": units}, attrs={"name": "toy"})
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[1, 0], [1, 0], [0, 1], [0, 1]])},
    ...                 coords={"unit": units, "task": ["a", "b"]}, attrs={"name": "toy"})
    >>> groups = unit_groups(tv, "a", "b")
    >>> result = weight_by_direction(weights, groups, n_bins=1)
    >>> result["weight"].sel(relation="between").item()
    -1.0
    """
    check_whole("n_bins", n_bins, 1, "Use n_bins=12.")
    two = _two_groups(weights, groups)
    distance = angular_distance(two.direction[:, None], two.direction)
    apart = _bins(distance, n_bins, np.pi, wrap=False)
    # exclude pairs of a unit with itself
    np.fill_diagonal(apart, -1)
    same = two.in_second[:, None] == two.in_second
    means = [
        [mean_over_pairs(two.matrix, (apart == which) & related) for which in range(n_bins)]
        for related in (same, ~same)
    ]
    middle = (np.arange(n_bins) + 0.5) * np.pi / n_bins
    result = xr.Dataset(
        _split(("relation", "direction_difference"), "weight", means),
        coords={
            "relation": ["within", "between"],
            "direction_difference": ("direction_difference", middle, {"units": "rad"}),
        },
        attrs=_attrs("weight_by_direction", weights, groups, n_bins=n_bins),
    )
    if result["weight_se"].isnull().any():
        _warn("bins of preferred direction without pairs of several units: NaN there")
    return result


def _labels(weights: xr.Dataset, groups: xr.Dataset) -> npt.NDArray[np.str_]:
    """Return the group of each unit of the weights, matched by unit id."""
    mine, theirs = weights.attrs["name"], groups.attrs.get("name", weights.attrs["name"])
    # all networks have the same unit ids: only names distinguish them
    if mine != theirs:
        raise InputError(
            "groups",
            f"groups of {mine!r}, as the weights",
            f"those of {theirs!r}",
            "Take the task variance of the network whose weights these are.",
        )
    group_of = dict(zip(groups["unit"].values, groups["group"].values, strict=True))
    absent = set(group_of) - set(weights["unit"].values)
    if absent:
        raise InputError(
            "groups",
            "units that are in the weights",
            f"others: {listing(sorted(map(str, absent)), most=5)}",
            "Only networks have weights: take both of the same one.",
        )
    return np.array([group_of.get(unit, "") for unit in weights["unit"].values], dtype="U2")


class _TwoGroups(NamedTuple):
    """The units of groups 1 and 2, in order of their ids."""

    matrix: Array
    direction: Array
    in_second: Mask


def _two_groups(weights: xr.Dataset, groups: xr.Dataset) -> _TwoGroups:
    label = _labels(weights, groups)
    for group in INHIBITING:
        if not (label == group).any():
            raise NotApplicableError(
                f"group {group!r}",
                "at least one unit",
                "none",
                "Choose tasks that have units of their own, or another network.",
            )
    # by id, so that permutations do not depend on the order of the units
    units = np.argsort(weights["unit"].values, kind="stable")
    units = units[np.isin(label[units], INHIBITING)]
    return _TwoGroups(
        _recurrent(weights)[np.ix_(units, units)],
        weights["preferred_direction"].values[units],
        label[units] == "2",
    )


def _recurrent(weights: xr.Dataset) -> Array:
    """Return the recurrent weights ``(from, to)`` in the order of the unit table."""
    units = weights["unit"].values
    ordered = weights["recurrent_weight"].sel(unit_from=units, unit_to=units)
    return ordered.transpose("unit_from", "unit_to").values.astype(np.float64)


def _near(direction: Array, within: float) -> Mask:
    """Return which pairs of different units differ by less in preferred direction."""
    near: Mask = angular_distance(direction[:, None], direction) < within - ON_BOUND
    np.fill_diagonal(near, val=False)
    return near


def _bins(angle: Array, n_bins: int, whole: float, *, wrap: bool = True) -> npt.NDArray[np.int64]:
    bins = np.floor((angle + ON_BOUND) / whole * n_bins).astype(np.int64)
    # a full turn is the angle 0 again; a difference of pi is in the last bin
    return bins % n_bins if wrap else np.minimum(bins, n_bins - 1)


def _n_exchangeable(in_second: Mask, bins: npt.NDArray[np.int64]) -> int:
    """Count the units that share a bin with a unit of the other group."""
    mixed = np.intersect1d(bins[in_second], bins[~in_second])
    return int(np.isin(bins, mixed).sum())


def _recurrent_by_group(
    weights: xr.Dataset, masks: dict[str, Mask], within: float
) -> dict[str, list[list[PairMean]]]:
    # a unit with itself is no pair, as published
    matrix = _recurrent(weights)
    near = _near(weights["preferred_direction"].values, within)
    selections = {"all": ~np.eye(len(matrix), dtype=bool), "near": near}
    return {
        selection: [
            [mean_over_pairs(matrix, pairs & a[:, None] & b) for b in masks.values()]
            for a in masks.values()
        ]
        for selection, pairs in selections.items()
    }


def _channels_by_group(weights: xr.Dataset, masks: dict[str, Mask]) -> dict[str, Any]:
    """Average the weights from inputs and to outputs over the units of each group."""
    groups = list(masks.values())
    # preferred directions are those of channels, but for rounding
    places = np.round(weights["preferred_direction"].values / RING_DIRECTIONS[1]).astype(int)
    into = weights["input_weight"].transpose("unit", "input_channel").values
    modality, rule = weights["input_modality"].values, weights["input_rule"].values
    rings = [_aligned(into[:, modality == which], places) for which in _modalities(weights)]
    out = weights["output_weight"].transpose("unit", "output_channel").values
    responses = _aligned(out[:, np.isfinite(weights["output_direction"].values)], places)
    around = "direction_difference"
    return {
        **_by_group(("modality", around), "input_weight", np.stack(rings, axis=1), groups),
        **_by_group(("rule",), "rule_weight", into[:, rule != ""], groups),
        **_by_group((around,), "output_weight", responses, groups),
    }


def _modalities(weights: xr.Dataset) -> list[int]:
    return [int(which) for which in np.unique(weights["input_modality"].values) if which]


def _aligned(ring: Array, places: npt.NDArray[np.int64]) -> Array:
    """Rotate each unit's ring ``(unit, channel)`` to have its preferred channel in the middle."""
    return np.take_along_axis(ring, (FROM_PREFERRED + places[:, None]) % RING_SIZE, axis=1)


def _by_group(
    dims: tuple[str, ...], name: str, values: Array, masks: Sequence[Mask]
) -> dict[str, Any]:
    """Compute the mean and the standard error of ``(unit, ...)`` values in each group."""
    mean = np.full((*values.shape[1:], len(masks)), np.nan)
    error = mean.copy()
    for place, mask in enumerate(masks):
        members = values[mask].astype(np.float64)
        if len(members):
            mean[..., place] = members.mean(axis=0)
        if len(members) > 1:
            error[..., place] = members.std(axis=0, ddof=1) / np.sqrt(len(members))
    return {name: ((*dims, "group"), mean), f"{name}_se": ((*dims, "group"), error)}


def _split(dims: tuple[str, ...], name: str, means: Any) -> dict[str, Any]:
    """Return nested lists of `PairMean` as one variable per field."""
    mean, error, count = np.moveaxis(np.array(means, dtype=np.float64), -1, 0)
    return {
        name: (dims, mean),
        f"{name}_se": (dims, error),
        "n_pairs": (dims, count.astype(np.int64)),
    }


def _refuse_without_pairs(
    means: Sequence[Sequence[PairMean]], masks: Sequence[Mask], within: float
) -> None:
    size = {group: int(mask.sum()) for group, mask in zip(INHIBITING, masks, strict=True)}
    for a, b in _without_pairs(means, INHIBITING):
        among = f"of group {a!r}" if a == b else f"from group {a!r} to group {b!r}"
        raise NotApplicableError(
            f"group {a!r}" if size[a] <= size[b] else f"group {b!r}",
            f"a pair {among} within {within:.3g} rad of preferred direction",
            f"none; the groups have {size['1']} and {size['2']} units",
            "Allow a larger difference with within=..., or choose other tasks.",
        )


def _without_pairs(
    means: Sequence[Sequence[PairMean]], names: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for a, row in zip(names, means, strict=True):
        for b, cell in zip(names, row, strict=True):
            if not cell.n_pairs:
                yield a, b


def _warn(message: str) -> None:
    warnings.warn(message, UnitWarning, stacklevel=3)


def _attrs(
    analysis: str, weights: xr.Dataset, groups: xr.Dataset, **parameters: Any
) -> dict[str, Any]:
    names = ("task_a", "task_b", "threshold")
    return {
        "analysis": analysis,
        "name": weights.attrs["name"],
        **{name: groups.attrs[name] for name in names},
        **parameters,
    }
