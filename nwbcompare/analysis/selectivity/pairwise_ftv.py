"""Fractional task variance of all pairs of tasks, and over networks."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.kernels.rotation import histograms, pair_places
from nwbcompare.analysis.selectivity.task_variance import (
    ACTIVE_THRESHOLD,
    HISTOGRAM_BINS,
    check_table,
)
from nwbcompare.core.activity import columns_on
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning, listing
from nwbcompare.kernels.variance import fractional_variance

Array = npt.NDArray[np.float64]
EDGES = np.linspace(-1, 1, HISTOGRAM_BINS + 1)
COVERAGE = 0.95


def pairwise_ftv(
    variance: xr.Dataset,
    *,
    threshold: float = ACTIVE_THRESHOLD,
    missing: Literal["error", "nan"] = "error",
) -> xr.Dataset:
    """Compute the FTV of each unit for every pair of tasks.

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance`, of a network or a recording, with two tasks or more.
    threshold
        Units whose variances in the two tasks sum to no more than this are inactive in the pair and
        get NaN; so do units that are constant in both tasks, for any threshold.
    missing
        Units that lack a task are an error ("error", default) or left out of the pairs with that
        task ("nan").

    Returns
    -------
    xarray.Dataset
        ``fractional_task_variance (pair, unit)``, 1 for a unit that varies in ``task_a`` only;
        ``histogram (pair, bin)``, active units in the published 20 bins (``bin`` is their centre,
        the edges are in attrs); ``n_active (pair)``. Pairs are labelled "task_a/task_b", tasks in
        the order of ``variance``, with the coordinates ``task_a`` and ``task_b``. The reverse order
        would change the sign only.

    Raises
    ------
    NotApplicableError
        For one task only, and units that lack a task.

    Notes
    -----
    Yang et al. 2019, Fig. 4: ``FTV_i(A, B) = (TV_i(A) - TV_i(B)) / (TV_i(A) + TV_i(B))``.

    Examples
    --------
    >>> import xarray as xr
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3.0, 1.0, 0.0]])},
    ...                 coords={"unit": ["u0"], "task": ["a", "b", "c"]})
    >>> pairwise_ftv(tv)["fractional_task_variance"].sel(pair="a/c").item()
    1.0
    """
    check_table(variance)
    tasks = variance["task"].values.astype(str)
    check_tasks(tasks)
    values = variance["task_variance"].transpose("task", "unit").values
    if missing == "error":
        _refuse_missing(variance, values)
    first, second = pair_places(tasks.size)
    fractions, active = fractional_variance(values[first], values[second], threshold=threshold)
    return xr.Dataset(
        {
            "fractional_task_variance": (("pair", "unit"), fractions, {"units": "1"}),
            "histogram": (("pair", "bin"), histograms(fractions, EDGES)),
            "n_active": ("pair", active.sum(axis=1)),
        },
        coords={**columns_on(variance, "unit"), **pair_coords(tasks)},
        attrs={
            **variance.attrs,
            "analysis": "pairwise_ftv",
            "threshold": threshold,
            "bin_edges": EDGES,
            "missing": missing,
        },
    )


def median_histogram(results: Sequence[xr.Dataset]) -> xr.Dataset:
    """Compute the median over networks of every pair's histogram, as shares of active units.

    Parameters
    ----------
    results
        From `pairwise_ftv`, one per network, with the same pairs.

    Returns
    -------
    xarray.Dataset
        ``share (pair, bin)``, the median over networks of the share of active units (as published),
        with an interval ``share_low``, ``share_high``; ``n_networks (pair)``, the networks with an
        active unit in the pair; ``coverage (pair)`` of the interval.

    Raises
    ------
    InputError
        For no network.
    NotApplicableError
        For networks with different pairs or bins.

    Warns
    -----
    UnitWarning
        For pairs in which a network has no active unit; they are computed without it. A pair
        without active units in any network is NaN.

    Notes
    -----
    The interval lies between two order statistics, which needs no assumption about the distribution
    over networks: the narrowest such interval that covers at least 95 %. With fewer than six
    networks there is none; it then extends from the lowest to the highest network. Medians of bins
    need not sum to 1.

    Examples
    --------
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3.0, 1.0], [0.0, 2.0]])},
    ...                 coords={"unit": ["u0", "u1"], "task": ["a", "b"]})
    >>> networks = [pairwise_ftv(tv).assign_attrs(name=name) for name in "xyz"]
    >>> dict(median_histogram(networks)["share"].sizes)
    {'pair': 1, 'bin': 20}
    """
    _check_networks(results)
    counts = np.stack([result["histogram"].values for result in results]).astype(np.float64)
    n_active = counts.sum(axis=-1, keepdims=True)
    _warn_of_inactive(results, n_active[..., 0] == 0)
    with np.errstate(invalid="ignore"):
        shares = counts / n_active
    n_networks = (n_active[..., 0] > 0).sum(axis=0)
    summary = np.full((3, *shares.shape[1:]), np.nan)
    coverage = np.full(n_networks.size, np.nan)
    for pair in np.flatnonzero(n_networks):
        active = np.sort(shares[n_active[:, pair, 0] > 0, pair], axis=0)
        rank, coverage[pair] = _median_interval(len(active))
        summary[:, pair] = np.median(active, axis=0), active[rank], active[len(active) - 1 - rank]
    names = ("share", "share_low", "share_high")
    first = results[0]
    return xr.Dataset(
        {
            **{
                name: (("pair", "bin"), values) for name, values in zip(names, summary, strict=True)
            },
            "n_networks": ("pair", n_networks),
            "coverage": ("pair", coverage),
        },
        coords=columns_on(first, "pair") | columns_on(first, "bin"),
        attrs={
            "analysis": "median_histogram",
            "names": json.dumps([str(result.attrs.get("name", "")) for result in results]),
            "threshold": first.attrs["threshold"],
            "bin_edges": first.attrs["bin_edges"],
        },
    )


def _median_interval(n: int) -> tuple[int, float]:
    """Return the rank (from 0) of the order statistics that bound the median, and the coverage.

    Examples
    --------
    >>> rank, coverage = _median_interval(10)
    >>> rank, round(coverage, 3)
    (1, 0.979)
    """
    below = np.cumsum([math.comb(n, k) for k in range(n // 2 + 1)]) / 2.0**n
    rank = max(int((1 - 2 * below >= COVERAGE).sum()) - 1, 0)
    return rank, float(max(1 - 2 * below[rank], 0.0))


def pair_coords(tasks: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the coordinates of all pairs of tasks and of the bins of their histograms.

    Parameters
    ----------
    tasks
        ``(task,)``: names.

    Returns
    -------
    dict
        ``pair``, ``task_a (pair)``, ``task_b (pair)`` and ``bin``, the centres of the bins.

    Examples
    --------
    >>> pair_coords(np.array(["a", "b", "c"]))["pair"]
    ['a/b', 'a/c', 'b/c']
    """
    first, second = pair_places(tasks.size)
    names = [f"{a}/{b}" for a, b in zip(tasks[first], tasks[second], strict=True)]
    return {
        "pair": names,
        "task_a": ("pair", tasks[first]),
        "task_b": ("pair", tasks[second]),
        "bin": (EDGES[:-1] + EDGES[1:]) / 2,
    }


def check_tasks(tasks: npt.NDArray[Any]) -> None:
    """Check that there are two tasks or more.

    Parameters
    ----------
    tasks
        ``(task,)``: names.

    Raises
    ------
    NotApplicableError
        For fewer than two tasks, of which there is no pair.

    Examples
    --------
    >>> check_tasks(np.array(["a", "b"]))
    """
    if tasks.size < 2:
        raise NotApplicableError(
            "variance",
            "two tasks or more",
            f"{tasks.size}: {listing(tasks)}",
            "A pair needs two tasks: give an activity that has them.",
        )


def _refuse_missing(variance: xr.Dataset, values: Array) -> None:
    lacking = np.isnan(values).any(axis=0)
    if lacking.any():
        raise NotApplicableError(
            "variance",
            "units with conditions in every task",
            f"{int(lacking.sum())} without: {listing(variance['unit'].values[lacking], most=5)}",
            "Leave them out with nwbcompare.select(activity, units=...), or pass missing='nan' "
            "(--missing nan).",
        )


def _check_networks(results: Sequence[xr.Dataset]) -> None:
    if not results:
        raise InputError(
            "results", "one result or more", "none", "Give one of each network, in a list."
        )
    for result in results[1:]:
        for dim in ("pair", "bin"):
            if not np.array_equal(result[dim].values, results[0][dim].values):
                raise NotApplicableError(
                    "results",
                    f"the same {dim}s in every network",
                    f"{result.sizes[dim]} in {result.attrs.get('name', '')!r}, other than the "
                    f"{results[0].sizes[dim]} of {results[0].attrs.get('name', '')!r}",
                    "Select the same tasks in the same order before pairwise_ftv.",
                )


def _warn_of_inactive(results: Sequence[xr.Dataset], inactive: npt.NDArray[np.bool_]) -> None:
    for result, none in zip(results, inactive, strict=True):
        if none.any():
            pairs = listing(result["pair"].values[none], most=5)
            warnings.warn(
                f"{result.attrs.get('name', '')!r} has no active unit in {pairs}",
                UnitWarning,
                stacklevel=3,
            )
