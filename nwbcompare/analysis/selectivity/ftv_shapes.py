"""Shapes of the distributions of FTV of pairs of tasks, and the FTV of rotated units."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.selectivity.kernels.ftv_shapes import (
    PARTS,
    SHAPES,
    UNDECIDED,
    part_counts,
    shape_p_values,
)
from nwbcompare.analysis.selectivity.kernels.rotation import (
    factorise,
    pair_summary,
    rotated_summaries,
)
from nwbcompare.analysis.selectivity.pairwise_ftv import EDGES, check_tasks, pair_coords
from nwbcompare.analysis.selectivity.permutation_nulls import task_covariances
from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD, Estimator
from nwbcompare.core.activity import Activity, blocks, columns_on
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning, listing
from nwbcompare.inference.networks import warn_of_one_network
from nwbcompare.kernels.intervals import mean_interval

Array = npt.NDArray[np.float64]


def classify_pairs(pairs: xr.Dataset, *, confidence: float = 0.95) -> xr.Dataset:
    """Classify the distribution of FTV of each pair of tasks as one of five typical shapes.

    Parameters
    ----------
    pairs
        From `nwbcompare.selectivity.pairwise_ftv`.
    confidence
        A shape is assigned where "it does not have this shape" is rejected at 1 - confidence.

    Returns
    -------
    xarray.Dataset
        ``shape (pair)``: a shape or "undecided"; ``nearest (pair)``: the shape with the lowest p
        value; ``p_value (pair, candidate)`` of "it does not have this shape"; ``wider (pair)``: for
        an inclusive pair, the task whose active units include those of the other task, else "";
        ``n_active (pair)`` and ``count (pair, part)``, the units in the parts of [-1, 1] that the
        criteria refer to.

    Notes
    -----
    An *end* is |FTV| > 0.8 (the published groups 1 and 2), the *middle* the rest, *equal* |FTV| <=
    0.2 (the published group 12). An end is a *peak* where its outermost bin (|FTV| > 0.9) has more
    than 5 % of the active units (the share in a flat distribution) and more than a third of those
    beyond 0.7 (it is denser than the bins beside it). An end is *empty* where it has less than 10 %
    of the units (the share in a flat distribution) and no visible peak.

    - disjoint: two peaks; less than 40 % in the middle (half as dense as a flat distribution);
      no third peak: equal units are less than 10 %, or less than 60 % of the middle.
    - inclusive: one peak, the other end empty, more than 10 % in the middle.
    - mixed: both ends empty, and no valley: equal units are denser than those on one side.
    - disjoint-equal: two peaks; more than 10 % equal, which are more than 60 % of the middle.
    - disjoint-mixed: two peaks; more than 40 % in the middle, less than 60 % of it equal.

    Each share is tested by its exact binomial tail, with active units as the sample; the p value of
    a shape is the largest of its criteria. A shape that a pair does not have is therefore assigned
    with a probability of at most 1 - confidence, pair by pair (that there is no visible peak is not
    tested; it can only lead to "undecided"). Few units rarely allow a decision: mixed needs 29. The
    result depends neither on the order of the units nor on that of the tasks.

    The shapes are those of Yang et al. 2019, Fig. 4, where they were assigned by eye.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> tv = np.repeat([[1.0, 0.0], [0.0, 1.0]], 30, axis=0)
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), tv)}, coords={"task": ["a", "b"]})
    >>> from nwbcompare.analysis.selectivity import pairwise_ftv
    >>> classify_pairs(pairwise_ftv(tv))["shape"].item()
    'disjoint'
    """
    if not 0.5 < confidence < 1:
        raise InputError(
            "confidence", "a number between 0.5 and 1", repr(confidence), "Use confidence=0.95."
        )
    counts = part_counts(pairs["fractional_task_variance"].transpose("pair", "unit").values)
    p_value = shape_p_values(counts)
    nearest = np.array(SHAPES)[p_value.argmin(axis=1)]
    decided = p_value.min(axis=1) <= 1 - confidence
    shape = np.where(decided, nearest, UNDECIDED)
    more_a = counts[:, -2:].sum(axis=1) > counts[:, :2].sum(axis=1)
    more = np.where(more_a, pairs["task_a"].values, pairs["task_b"].values)
    return xr.Dataset(
        {
            "shape": ("pair", shape),
            "nearest": ("pair", nearest),
            "p_value": (("pair", "candidate"), p_value),
            "wider": ("pair", np.where(shape == "inclusive", more, "")),
            "n_active": ("pair", counts.sum(axis=1)),
            "count": (("pair", "part"), counts),
        },
        coords={**columns_on(pairs, "pair"), "candidate": list(SHAPES), "part": list(PARTS)},
        attrs={**pairs.attrs, "analysis": "classify_pairs", "confidence": confidence},
    )


def shape_shares(classified: Sequence[xr.Dataset]) -> xr.Dataset:
    """Compute each network's share of pairs per shape, and the mean over networks.

    Parameters
    ----------
    classified
        From `classify_pairs`, one per network, with the same pairs.

    Returns
    -------
    xarray.Dataset
        ``share (network, shape)``; ``mean (shape)`` over networks and its 95 % interval
        ``mean_low``, ``mean_high`` (Student's t over networks, clipped to [0, 1]).

    Raises
    ------
    InputError
        For no network.
    NotApplicableError
        For networks with different pairs.

    Warns
    -----
    UserWarning
        For one network, which has no interval (NaN).

    Examples
    --------
    >>> import xarray as xr
    >>> networks = [xr.Dataset({"shape": ("pair", [shape])}, coords={"pair": ["a-b"]},
    ...                        attrs={"name": name, "confidence": 0.95})
    ...             for name, shape in (("x", "mixed"), ("y", "disjoint"))]
    >>> shape_shares(networks)["mean"].sel(shape="mixed").item()
    0.5
    """
    _check_same_pairs(classified)
    names = [*SHAPES, UNDECIDED]
    share = np.array([[(c["shape"].values == name).mean() for name in names] for c in classified])
    mean, low, high = mean_interval(share)
    warn_of_one_network(len(classified), stacklevel=3)
    return xr.Dataset(
        {
            "share": (("network", "shape"), share),
            "mean": ("shape", mean),
            "mean_low": ("shape", np.clip(low, 0, 1)),
            "mean_high": ("shape", np.clip(high, 0, 1)),
        },
        coords={
            "network": [str(c.attrs.get("name", "")) for c in classified],
            "shape": names,
        },
        attrs={
            "analysis": "shape_shares",
            "confidence": classified[0].attrs["confidence"],
            "n_pairs": classified[0].sizes["pair"],
        },
    )


def rotated_pairs(
    activity: Activity,
    *,
    n_rotations: int = 1000,
    seed: int = 0,
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
    threshold: float = ACTIVE_THRESHOLD,
    n_jobs: int | None = None,
) -> xr.Dataset:
    """Compute the FTV of all pairs of tasks for random rotations of the units.

    Parameters
    ----------
    activity
        An activity or a block. Of a ragged recording the condition means are used, as a
        pseudo-population.
    n_rotations
        Random rotations of all units.
    seed
        Seed of the rotations. Each has its own random stream, and rotates all tasks alike.
    estimator, conditions, threshold
        See `nwbcompare.task_variance` and `nwbcompare.selectivity.pairwise_ftv`; the threshold is
        applied to the rotated units, too.
    n_jobs
        Threads; by default one per core. The result does not depend on it.

    Returns
    -------
    xarray.Dataset
        Over rotations: ``share (pair, bin)``, the mean share of active rotated units, and
        ``share_low``, ``share_high``, which include 95 % of the rotations; ``ftv_mean``, ``ftv_sd``
        and ``n_active``, each ``(rotation, pair)``. Of the units: ``observed_mean`` and
        ``observed_sd (pair)`` (ddof 0).

    Raises
    ------
    InputError
        For an unknown estimator, and no rotation.
    NotApplicableError
        For one task only, and units that lack a condition.

    Warns
    -----
    UnitWarning
        For pairs without an active unit (NaN), before or after a rotation. Such rotations are left
        out of the shares.

    Notes
    -----
    Yang et al. 2019 show one rotation. The variance of a rotated unit needs only the covariance of
    the units over conditions, averaged over time (`nwbcompare.kernels.variance.centred`). A
    rotation preserves the variance summed over units.

    This is a description, not a test of whether the axes of single units are special: whether units
    or their mixtures have the wider distribution also depends on the distribution of rates and of
    tuning strength over units, which a mixture averages out.

    Examples
    --------
    >>> import numpy as np
    >>> from nwbcompare.core.activity import make_block
    >>> block = make_block(
    ...     np.random.default_rng(0).random((6, 2, 4)), time_s=[0.1, 0.3], bin_width_s=0.2,
    ...     aligned_to="trial start", units={"unit": list("uvwx")},
    ...     trials={"task": ["a"] * 3 + ["b"] * 3, "direction": [0.0, 1.0, 2.0] * 2},
    ...     condition_variables={"a": ["direction"], "b": ["direction"]},
    ...     source="model", name="toy", deterministic=True)
    >>> rotated_pairs(block, n_rotations=10)["ftv_sd"].sizes
    Frozen({'rotation': 10, 'pair': 1})
    """
    check_whole("n_rotations", n_rotations, 1, "Use n_rotations=1000.")
    covariance, units = task_covariances(activity, None, estimator=estimator, conditions=conditions)
    tasks = np.array(list(covariance))
    check_tasks(tasks)
    stacked = np.stack(list(covariance.values()))
    rotated = rotated_summaries(
        factorise(stacked),
        EDGES,
        n_units=units["unit"].size,
        n_rotations=n_rotations,
        seed=seed,
        threshold=threshold,
        n_jobs=n_jobs or os.cpu_count() or 1,
    )
    bar = tqdm(rotated, total=n_rotations, desc="rotations", disable=None)
    histogram, mean, sd = (np.stack(values) for values in zip(*bar, strict=True))
    variances = np.diagonal(stacked, axis1=1, axis2=2)
    _, observed_mean, observed_sd = pair_summary(variances, EDGES, threshold=threshold)
    coords = pair_coords(tasks)
    _warn_of_inactive(np.array(coords["pair"]), observed_sd, sd)
    name = next(iter(blocks(activity).values())).attrs["name"]
    return xr.Dataset(
        {
            **_shares_over_rotations(histogram),
            "ftv_mean": (("rotation", "pair"), mean),
            "ftv_sd": (("rotation", "pair"), sd),
            "n_active": (("rotation", "pair"), histogram.sum(axis=-1)),
            "observed_mean": ("pair", observed_mean),
            "observed_sd": ("pair", observed_sd),
        },
        coords=coords,
        attrs={
            "analysis": "rotated_pairs",
            "name": name,
            "estimator": estimator,
            "seed": seed,
            "n_rotations": n_rotations,
            "threshold": threshold,
            "bin_edges": EDGES,
        },
    )


def _shares_over_rotations(histogram: npt.NDArray[np.int64]) -> dict[str, Any]:
    n_active = histogram.sum(axis=-1, keepdims=True)
    empty = n_active == 0
    shares = np.where(empty, np.nan, histogram / np.where(empty, 1, n_active))
    with warnings.catch_warnings():
        # pairs without an active rotated unit are NaN; the caller warns of them
        warnings.filterwarnings("ignore", "Mean of empty|All-NaN", RuntimeWarning)
        mean = np.nanmean(shares, axis=0)
        low, high = np.nanpercentile(shares, [2.5, 97.5], axis=0)
    dims = ("pair", "bin")
    return {"share": (dims, mean), "share_low": (dims, low), "share_high": (dims, high)}


def _warn_of_inactive(pairs: npt.NDArray[Any], observed: Array, rotated: Array) -> None:
    for what, none in (
        ("have no active unit", np.isnan(observed)),
        ("have no active unit after some rotations", np.isnan(rotated).any(axis=0)),
    ):
        if none.any():
            warnings.warn(
                f"{int(none.sum())} pairs {what}: {listing(pairs[none], most=5)}",
                UnitWarning,
                stacklevel=3,
            )


def _check_same_pairs(classified: Sequence[xr.Dataset]) -> None:
    if not classified:
        raise InputError(
            "classified", "one result or more", "none", "Give one of each network, in a list."
        )
    pairs = classified[0]["pair"].values
    for other in classified[1:]:
        if not np.array_equal(other["pair"].values, pairs):
            raise NotApplicableError(
                "classified",
                f"the same {pairs.size} pairs in every network",
                f"other pairs in {other.attrs.get('name', '')!r}",
                "Select the same tasks in the same order before pairwise_ftv.",
            )
