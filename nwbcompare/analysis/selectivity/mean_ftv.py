"""Three estimates of one mean FTV, with errors over sessions, and a warning where they disagree."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.noise_correction import corrected_ftv
from nwbcompare.analysis.selectivity.resampling_units import resampling_units
from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD
from nwbcompare.core.activity import columns_on
from nwbcompare.core.errors import UnitWarning
from nwbcompare.kernels.intervals import jackknife_error, student_half_width

Array = npt.NDArray[np.float64]
CONFIDENCE = 1 - 0.05 / 3
"""Of each of the three differences (Bonferroni)."""


def mean_ftv(
    variance: xr.Dataset, task_a: str, task_b: str, *, threshold: float = ACTIVE_THRESHOLD
) -> xr.Dataset:
    """Estimate the mean FTV of a recording in three ways, and warn where they disagree.

    Parameters
    ----------
    variance
        From `corrected_task_variance`.
    task_a, task_b
        The two tasks.
    threshold
        See `corrected_ftv`.

    Returns
    -------
    xarray.Dataset
        By ``estimator``: ``mean`` and ``standard_error``; by ``difference`` of two estimators:
        ``value`` and ``value_error``. Estimators: "raw", the mean FTV of measured variances;
        "corrected", of variances without trial noise (`corrected_ftv`, rule "censor");
        "weighted", the sum over units of the difference of corrected variances over that of their
        sum, in which each unit counts by its strength of tuning. Errors: jackknife of whole
        sessions; NaN for fewer than 5. ``n_sessions`` is the number of sessions, or of units where
        sessions are not known.

    Raises
    ------
    InputError
        As `corrected_ftv`.

    Warns
    -----
    UnitWarning
        Where two estimates differ by more than Student's 98.3 % interval of their difference (95 %
        for the three differences together).

    Notes
    -----
    With equal noise and trials the three agree if FTV does not depend on the strength of tuning.
    Noise draws the raw mean towards the task with fewer trials or more noise; censoring moves the
    corrected mean of weakly tuned units.

    Examples
    --------
    >>> rows = ("unit", "task")
    >>> raw = np.array([[5.0, 2.0], [1.0, 4.0]])
    >>> tv = xr.Dataset({"uncorrected": (rows, raw), "task_variance": (rows, raw - 0.5),
    ...                  "standard_error": (rows, 0 * raw + 0.5)},
    ...                 coords={"unit": ["u0", "u1"], "task": ["a", "b"]})
    >>> mean_ftv(tv, "a", "b")["mean"].sel(estimator="weighted").item()
    0.0
    """
    samples = [
        corrected_ftv(one, task_a, task_b, threshold=threshold)["fractional_task_variance"].values
        for one in (variance.assign(task_variance=variance["uncorrected"]), variance)
    ]
    a, b = (variance["task_variance"].sel(task=task).values for task in (task_a, task_b))
    known = np.isfinite(a + b)
    # each estimate is a ratio of sums over units
    parts = [(np.nan_to_num(ftv), np.isfinite(ftv).astype(np.float64)) for ftv in samples]
    parts.append((np.where(known, a - b, 0.0), np.where(known, a + b, 0.0)))
    cluster, column = resampling_units(columns_on(variance, "unit"))
    names = ["raw", "corrected", "weighted"]
    means, leave_one_out = zip(*(_ratio(*part, cluster) for part in parts), strict=True)
    pairs = list(combinations(range(3), 2))
    differences = np.array([means[i] - means[j] for i, j in pairs])
    errors = [jackknife_error(leave_one_out[i] - leave_one_out[j]) for i, j in pairs]
    n = int(cluster.max()) + 1
    result = xr.Dataset(
        {
            "mean": ("estimator", list(means), {"units": "1"}),
            "standard_error": ("estimator", [jackknife_error(one) for one in leave_one_out]),
            "value": ("difference", differences, {"units": "1"}),
            "value_error": ("difference", errors),
            "n_sessions": n,
        },
        coords={
            "estimator": names,
            "difference": [f"{names[i]} - {names[j]}" for i, j in pairs],
        },
        attrs={
            **variance.attrs,
            "analysis": "mean_ftv",
            "task_a": task_a,
            "task_b": task_b,
            "threshold": threshold,
            "cluster": column,
        },
    )
    _warn_of_disagreement(result)
    return result


def _ratio(above: Array, below: Array, cluster: npt.NDArray[np.int64]) -> tuple[float, Array]:
    """Return a ratio of sums over units, and the same without each cluster ``(cluster,)``."""
    by_cluster = np.array([np.bincount(cluster, weights=part) for part in (above, below)])
    total = by_cluster.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        whole, without = (sums[0] / sums[1] for sums in (total, total - by_cluster))
    return float(whole[0]), without


def _warn_of_disagreement(result: xr.Dataset) -> None:
    freedom = int(result["n_sessions"]) - 1
    half = student_half_width(result["value_error"].values, freedom, CONFIDENCE)
    # rounding is no disagreement
    apart = np.abs(result["value"].values) > half + 1e-12
    if not apart.any():
        return
    listed = ", ".join(
        f"{name} {float(mean):.3f} +- {float(error):.3f}"
        for name, mean, error in zip(
            result["estimator"].values,
            result["mean"].values,
            result["standard_error"].values,
            strict=True,
        )
    )
    warnings.warn(
        f"{result.attrs.get('name', 'variance')}: estimates of the mean FTV disagree beyond their "
        f"errors over {freedom + 1} {result.attrs['cluster']}s: {listed}. Trial noise, or FTV that "
        "depends on strength of tuning, moves them apart: report the weighted mean, and equalise "
        "trials (nwbcompare.selectivity.subsample_trials) where they differ between the tasks",
        UnitWarning,
        stacklevel=3,
    )
