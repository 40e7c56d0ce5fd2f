"""ePAIRS: test whether profiles of units are closer to each other than Gaussian ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.clustering.clusters import active_rows, complete_table
from nwbcompare.analysis.clustering.kernels.surrogates import (
    gaussian_like,
    mean_neighbour_angle,
    normal_scores,
)
from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.kernels.permutation import p_value, reaches
from nwbcompare.kernels.threads import one_thread

Array = npt.NDArray[np.float64]


def epairs(
    variance: xr.Dataset,
    *,
    n_surrogates: int = 999,
    n_neighbours: int = 3,
    seed: int = 0,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Test whether profiles of units are closer to each other than Gaussian ones (ePAIRS).

    Parameters
    ----------
    variance
        From `nwbcompare.task_variance` or `nwbcompare.selectivity.epoch_variance`, with three
        columns or more.
    n_surrogates
        Gaussian tables; 999 give two-sided p values down to 0.002.
    n_neighbours
        Nearest neighbours per unit.
    seed
        Seed of the draws.
    threshold
        See `nwbcompare.clustering.cluster_units`.

    Returns
    -------
    xarray.Dataset
        ``observed``, the mean angle (rad) of a unit to its nearest neighbours; ``surrogate_angle
        (surrogate)``; ``p_value``, two-sided, twice the smaller (1 + b) / (1 + B); ``effect_size``,
        how many s.d. of the surrogates the observed angle is below their mean: positive for
        clusters.

    Raises
    ------
    InputError
        For a table that is no task variance, and a negative threshold.
    NotApplicableError
        For fewer than three columns, or fewer active units than ``n_neighbours`` + 2.

    Notes
    -----
    Hirokawa et al. 2019 compare profiles with Gaussian ones of the same mean and covariance. Rows
    of task variance divided by their maximum are far from Gaussian, so that this test rejects data
    without any cluster. Here the values of every column are replaced by normal quantiles of their
    ranks, which makes any marginal Gaussian, and the mean over columns is subtracted from every
    unit, which removes its overall size as the division does. The surrogates have exactly the mean
    and covariance of the data: for Gaussian rows the test is exact.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> values = np.random.default_rng(0).random((20, 4))
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), values)})
    >>> bool(epairs(tv, n_surrogates=99)["p_value"] > 0.05)
    True
    """
    table = complete_table(variance)
    _, active = active_rows(table, threshold)
    if table.shape[1] < 3 or active.sum() < n_neighbours + 2:
        raise NotApplicableError(
            "variance",
            f"three or more columns and at least {n_neighbours + 2} active units",
            f"{table.shape[1]} columns and {int(active.sum())} active units",
            "Give more tasks, or fewer neighbours with n_neighbours=...",
        )
    scores = normal_scores(table.values[active])
    # removes the overall size of a unit
    scores -= scores.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    with one_thread():
        observed = mean_neighbour_angle(scores, n_neighbours)
        null = np.array(
            [
                mean_neighbour_angle(gaussian_like(scores, rng), n_neighbours)
                for _ in tqdm(range(n_surrogates), desc="ePAIRS", disable=None)
            ]
        )
    # units may also be farther apart than Gaussian ones
    one_sided = min(p_value(reaches(sign * null, sign * observed)) for sign in (-1, 1))
    return xr.Dataset(
        {
            "observed": ((), observed, {"units": "rad"}),
            "surrogate_angle": ("surrogate", null, {"units": "rad"}),
            "p_value": min(1.0, 2 * one_sided),
            "effect_size": (null.mean() - observed) / null.std(),
        },
        attrs={
            **variance.attrs,
            "analysis": "epairs",
            "n_surrogates": n_surrogates,
            "n_neighbours": n_neighbours,
            "seed": seed,
            "threshold": threshold,
        },
    )
