"""Share of each unit's task variance that is not trial noise."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.analysis.selectivity.noise_correction import pair_of


def tuned_share(variance: xr.Dataset, task_a: str, task_b: str) -> xr.DataArray:
    """Compute how much of a unit's variance over conditions is tuning, not trial noise.

    Parameters
    ----------
    variance
        From `corrected_task_variance`.
    task_a, task_b
        The two tasks.

    Returns
    -------
    xarray.DataArray
        ``(unit,)``: the sum of both corrected task variances over that of the uncorrected ones,
        from 0 (noise alone, or silent) to 1 (no noise); NaN where a variance is unknown.

    Raises
    ------
    InputError
        For unknown tasks, and variances that were not corrected.

    Notes
    -----
    As ``weight`` of `nwbcompare.compare_samples` it lets units count by how well their FTV is
    known. Both sides get the weights of the recorded units, so that these cannot make a difference
    by themselves; where FTV depends on the strength of tuning, the weighted s.d. is rather that of
    strongly tuned units.

    Examples
    --------
    >>> rows = ("unit", "task")
    >>> tv = xr.Dataset({"task_variance": (rows, [[3.0, 0.0], [-1.0, 0.5]]),
    ...                  "uncorrected": (rows, [[4.0, 2.0], [1.0, 1.0]])},
    ...                 coords={"unit": ["u0", "u1"], "task": ["a", "b"]})
    >>> tuned_share(tv, "a", "b").values.tolist()
    [0.5, 0.0]
    """
    tuned, total = (
        pair_of(variance, name, task_a, task_b).sum(axis=-1)
        for name in ("task_variance", "uncorrected")
    )
    share = np.divide(tuned, total, out=0 * total, where=total > 0)
    return xr.DataArray(
        share.clip(0), {"unit": variance["unit"]}, ["unit"], "tuned_share", {"units": "1"}
    )
