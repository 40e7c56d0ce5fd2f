"""Units of known FTV with estimates of known error."""

from __future__ import annotations

import numpy as np

from nwbcompare.analysis.selectivity.kernels.deconvolution import Tuning


def simulated(ftv, rng, *, noise=3.0):
    """Raw variances of units with 6 degrees of freedom of noise and given FTV."""
    total = 10 * np.exp(0.8 * rng.standard_normal(ftv.size))
    true = total[:, None] * np.stack([1 + ftv, 1 - ftv], axis=1) / 2
    added = np.full(true.shape, noise)
    slope = 4 * added / 6
    mean, variance = true + added, added**2 / 3 + slope * true
    return Tuning(rng.gamma(mean**2 / variance, variance / mean), added, added**2 / 3, slope)
