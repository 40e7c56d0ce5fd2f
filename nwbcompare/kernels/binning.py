"""Binning of spike counts and smoothing along time, on plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def sum_in_bins(counts: npt.NDArray[Any], samples_per_bin: int) -> npt.NDArray[np.int64]:
    """Sum counts over consecutive samples; an incomplete last bin is dropped.

    Parameters
    ----------
    counts
        ``(sample, ...)``, whole numbers. Time is the first axis, as archives store it, so that
        sums run over contiguous memory.
    samples_per_bin
        Samples in a bin.

    Returns
    -------
    numpy.ndarray
        ``(bin, ...)``, in the smallest unsigned type that cannot overflow.

    Examples
    --------
    >>> import numpy as np
    >>> sum_in_bins(np.array([1, 0, 2, 1, 5], dtype="uint8"), 2).tolist()
    [1, 3]
    """
    n_bins = counts.shape[0] // samples_per_bin
    whole = counts[: n_bins * samples_per_bin]
    largest = int(whole.max()) * samples_per_bin if whole.size else 0
    grouped = whole.reshape(n_bins, samples_per_bin, *whole.shape[1:])
    summed: npt.NDArray[np.int64] = grouped.sum(axis=1, dtype=np.min_scalar_type(largest))
    return summed


def smoothing_matrix(
    n_bins: int, sd_bins: float, columns: slice = slice(None)
) -> npt.NDArray[np.float64]:
    """Compute the matrix K for which ``rates @ K`` are smoothed along the last axis.

    A normalised Gaussian, cut at the radius ``int(4 sd + 0.5)``; edges are padded with the
    end values. It equals ``scipy.ndimage.gaussian_filter1d(..., mode="nearest")``.

    Parameters
    ----------
    n_bins
        Bins of the rates.
    sd_bins
        Standard deviation, in bins; 0 gives the identity.
    columns
        Smoothed bins to compute, which are the columns of the matrix; by default all.

    Returns
    -------
    numpy.ndarray
        ``(bin, smoothed bin)``; columns sum to 1.

    Examples
    --------
    >>> smoothing_matrix(3, 0.5).round(2).tolist()
    [[0.89, 0.11, 0.0], [0.11, 0.79, 0.11], [0.0, 0.11, 0.89]]
    """
    radius = int(4 * sd_bins + 0.5)
    offsets = np.arange(-radius, radius + 1)
    taps = np.exp(-0.5 * (offsets / sd_bins) ** 2) if radius else np.ones(1)
    taps /= taps.sum()
    target = np.arange(n_bins)[columns]
    matrix = np.zeros((n_bins, target.size))
    for offset, tap in zip(offsets, taps, strict=True):
        # end values are repeated beyond the edges
        source = np.clip(target + offset, 0, n_bins - 1)
        # several weights can fall on one end bin, where += would keep only one
        np.add.at(matrix, (source, np.arange(target.size)), tap)
    return matrix


def bin_membership(
    centres: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], tolerance: float
) -> npt.NDArray[np.float64]:
    """Compute the matrix M for which ``rates @ M`` are the mean rates in each bin.

    Parameters
    ----------
    centres
        ``(time,)``: centres of the given bins.
    edges
        ``(bin + 1,)``: edges of the new bins; a bin includes its start and excludes its stop.
    tolerance
        Centres this close to an edge count as on it.

    Returns
    -------
    numpy.ndarray
        ``(time, bin)``; a column sums to 1, or to 0 where no centre lies in the bin.

    Examples
    --------
    >>> bin_membership(np.array([0.1, 0.3, 0.5]), np.array([0.0, 0.4, 0.8]), 1e-9).tolist()
    [[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]]
    """
    place = np.searchsorted(edges - tolerance, centres, side="right") - 1
    member = place[:, None] == np.arange(edges.size - 1)
    count = member.sum(axis=0)
    matrix: npt.NDArray[np.float64] = member / np.maximum(count, 1)
    return matrix
