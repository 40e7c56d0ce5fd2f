"""Spike counts and means of samples in bins about events, on plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.kernels.binning import smoothing_matrix

Times = npt.NDArray[np.float64]
EDGE_SHARE = 1e-8
"""Share of a bin before an edge that counts as on it."""
MOST_EDGE_SHARE = 1e-3
"""The same where errors of spike times are known and larger."""
BINS_AT_ONCE = 1024
"""Smoothed at once: the matrix of that many bins and their margins is small."""


def count_in_windows(spike_times: Times, origins: Times, edges: Times) -> npt.NDArray[np.int64]:
    """Count spikes in even bins about each event.

    Bin ``j`` of event ``i`` is ``[origins[i] + edges[j], origins[i] + edges[j + 1])``, exactly: the
    counts equal those of a binary search for every edge, but take one pass over the spikes inside
    the windows. Windows may overlap.

    Parameters
    ----------
    spike_times
        ``(spike,)``, ascending (s).
    origins
        ``(trial,)``: times of the events (s).
    edges
        ``(bin + 1,)``: even edges (s) from the event.

    Returns
    -------
    numpy.ndarray
        ``(trial, bin)``.

    Examples
    --------
    >>> import numpy as np
    >>> spikes = np.array([0.05, 0.15, 0.16, 1.2])
    >>> count_in_windows(spikes, np.array([0.0, 1.0]), np.array([0.0, 0.1, 0.2, 0.3])).tolist()
    [[1, 2, 0], [0, 0, 1]]
    """
    n_bins = edges.size - 1
    first = np.searchsorted(spike_times, origins + edges[0])
    number = np.searchsorted(spike_times, origins + edges[-1]) - first
    trial = np.repeat(np.arange(origins.size), number)
    place = np.arange(trial.size) + np.repeat(first - (np.cumsum(number) - number), number)
    times, origin = spike_times[place], origins[trial]
    bins = ((times - origin - edges[0]) * (n_bins / (edges[-1] - edges[0]))).astype(np.int64)
    np.clip(bins, 0, n_bins - 1, out=bins)
    # rounding may have put a spike into the neighbouring bin
    bins -= times < origin + edges[bins]
    bins += times >= origin + edges[bins + 1]
    counts = np.bincount(trial * n_bins + bins, minlength=origins.size * n_bins)
    return counts.reshape(origins.size, n_bins)


def onto_edges(
    spike_times: Times, bin_s: float, rounding_s: float = 0.0, *, single: bool = False
) -> Times:
    """Move spike times up by the error they may have, so that spikes on an edge are not before it.

    A spike and the edge of a bin that are the same tick of a clock differ by rounding errors: on a
    30-kHz clock a tenth of 1-ms bins would lose a spike to the neighbour. Counted by
    `count_in_windows`, a spike at most a tolerance before an edge lies in the bin after it, and all
    other counts are exact. The tolerance is 1e-8 of a bin, as in elephant's BinnedSpikeTrain, or
    ``rounding_s`` where that is more, up to a thousandth of a bin; and at least 4 units in the last
    place of the time.

    Parameters
    ----------
    spike_times
        ``(spike,)`` (s).
    bin_s
        Bin width (s).
    rounding_s
        Largest error of a spike time (s), if known.
    single
        Whether times were stored in single precision; the tolerance is then at least one unit in
        its last place.

    Returns
    -------
    numpy.ndarray
        ``(spike,)`` (s).

    Examples
    --------
    >>> import numpy as np
    >>> start, spike = 0.3, np.array([0.1 * 3 - 5e-17])
    >>> float(onto_edges(spike, 0.1)[0]) >= start
    True
    """
    size = np.abs(spike_times)
    last_place = 4 * np.spacing(size)
    if single:
        last_place = np.maximum(last_place, np.spacing(size.astype(np.float32)))
    share = max(EDGE_SHARE * bin_s, min(rounding_s, MOST_EDGE_SHARE * bin_s))
    moved: Times = spike_times + np.maximum(share, last_place)
    return moved


def merge_intervals(intervals: Times, tolerance: float = 0.0) -> Times:
    """Sort intervals ``(interval, 2)`` and join those that touch or overlap.

    Parameters
    ----------
    intervals
        ``(interval, 2)``: starts and stops (s), in any order.
    tolerance
        Intervals that are no further apart than this (s) are joined.

    Returns
    -------
    numpy.ndarray
        ``(interval, 2)``, ascending and disjoint.

    Examples
    --------
    >>> merge_intervals(np.array([[2.0, 3.0], [0.0, 1.0], [0.5, 1.5]])).tolist()
    [[0.0, 1.5], [2.0, 3.0]]
    """
    if len(intervals) == 0:
        return np.empty((0, 2))
    by_start = intervals[np.argsort(intervals[:, 0], kind="stable")]
    # an interval can contain later ones
    reach = np.maximum.accumulate(by_start[:, 1])
    opens = np.concatenate([[True], by_start[1:, 0] > reach[:-1] + tolerance])
    starts = np.flatnonzero(opens)
    return np.column_stack([by_start[starts, 0], np.maximum.reduceat(by_start[:, 1], starts)])


def complement_of(intervals: Times) -> Times:
    """Return the intervals between, before and after others, e.g. those outside artefacts.

    Parameters
    ----------
    intervals
        ``(interval, 2)``: starts and stops (s), merged (see `merge_intervals`).

    Returns
    -------
    numpy.ndarray
        ``(interval + 1, 2)``, from -inf to inf.

    Examples
    --------
    >>> complement_of(np.array([[1.0, 2.0]])).tolist()
    [[-inf, 1.0], [2.0, inf]]
    """
    starts = np.concatenate([[-np.inf], intervals[:, 1]])
    return np.column_stack([starts, np.concatenate([intervals[:, 0], [np.inf]])])


def bins_inside(
    origins: Times, edges: Times, intervals: Times, tolerance: float
) -> npt.NDArray[np.bool_]:
    """Return which bins about each event lie inside one interval from end to end.

    Parameters
    ----------
    origins, edges
        As for `count_in_windows`.
    intervals
        ``(interval, 2)``: starts and stops (s), merged (see `merge_intervals`).
    tolerance
        How far (s) a bin may extend beyond an interval.

    Returns
    -------
    numpy.ndarray
        ``(trial, bin)``.

    Examples
    --------
    >>> edges, intervals = np.array([0.0, 1.0, 2.0]), np.array([[0.0, 2.5]])
    >>> bins_inside(np.array([0.0, 1.0]), edges, intervals, 1e-9).tolist()
    [[True, True], [True, False]]
    """
    shape = (origins.size, edges.size - 1)
    if len(intervals) == 0:
        return np.zeros(shape, dtype=bool)
    starts, stops = intervals[:, 0], intervals[:, 1]
    inside = np.zeros(shape, dtype=bool)
    left, right = origins + edges[0], origins + edges[-1]
    holder = np.searchsorted(starts, left + tolerance, side="right") - 1
    inside[(holder >= 0) & (stops[holder] >= right - tolerance)] = True
    # most windows lie inside one interval: only the others are tested bin by bin
    touched = np.searchsorted(stops, left) < np.searchsorted(starts, right)
    partly = np.flatnonzero(touched & ~inside[:, 0])
    if partly.size:
        lefts = origins[partly, None] + edges[:-1]
        holder = np.searchsorted(starts, lefts + tolerance, side="right") - 1
        ends = origins[partly, None] + edges[1:]
        inside[partly] = (holder >= 0) & (stops[holder] >= ends - tolerance)
    return inside


def smooth_observed(
    values: npt.NDArray[Any],
    observed: npt.NDArray[np.bool_],
    sd_bins: float,
    scale: float,
    bins: slice,
) -> npt.NDArray[np.float32]:
    """Smooth rows along time where they were observed; NaN elsewhere.

    Each run of observed bins is smoothed by itself, its edges padded with its end values, so
    that no rate leaks across unobserved bins.

    Parameters
    ----------
    values
        ``(row, bin)``.
    observed
        ``(row, bin)``.
    sd_bins
        Standard deviation of the Gaussian, in bins; 0 for none.
    scale
        Factor on the values, such as bins per second.
    bins
        Bins to return; the others serve the smoothing of these.

    Returns
    -------
    numpy.ndarray
        ``(row, selected bin)``, float32, in units of ``values`` times ``scale``.

    Examples
    --------
    >>> counts, observed = np.array([[1, 2, 3]]), np.array([[True, True, False]])
    >>> smooth_observed(counts, observed, 0.0, 20.0, slice(None)).tolist()
    [[20.0, 40.0, nan]]
    """
    selection = range(*bins.indices(values.shape[1]))
    rates = np.full((len(values), len(selection)), np.nan, dtype=np.float32)
    for rows, (start, stop) in _runs(observed):
        inside = slice(max(start, selection.start), min(stop, selection.stop))
        if inside.start >= inside.stop:
            continue
        run = values[rows, start:stop].astype(np.float64)
        bins_of_run = slice(inside.start - start, inside.stop - start)
        if sd_bins > 0:
            run = _smoothed(run, sd_bins, scale, bins_of_run)
        else:
            run = run[:, bins_of_run] * scale
        rates[rows, inside.start - selection.start : inside.stop - selection.start] = run
    return rates


def _smoothed(run: Times, sd_bins: float, scale: float, selection: slice) -> Times:
    """Smooth rows by a product with a matrix, of as many bins at a time as keep it small."""
    radius = int(4 * sd_bins + 0.5)
    smooth = np.empty((len(run), selection.stop - selection.start))
    for first in range(selection.start, selection.stop, BINS_AT_ONCE):
        last = min(first + BINS_AT_ONCE, selection.stop)
        # bins beyond the radius have no weight; the matrix pads the ends of the run
        low, high = max(first - radius, 0), min(last + radius, run.shape[1])
        kernel = smoothing_matrix(high - low, sd_bins, slice(first - low, last - low)) * scale
        smooth[:, first - selection.start : last - selection.start] = run[:, low:high] @ kernel
    return smooth


def _runs(
    observed: npt.NDArray[np.bool_],
) -> list[tuple[npt.NDArray[np.int64] | slice, tuple[int, int]]]:
    """Return the runs of observed bins, each with the rows that share its pattern."""
    if observed.all():
        return [(slice(None), (0, observed.shape[1]))]
    patterns, member = np.unique(observed, axis=0, return_inverse=True)
    runs: list[tuple[npt.NDArray[np.int64] | slice, tuple[int, int]]] = []
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(member.reshape(-1) == number)
        steps = np.flatnonzero(np.diff(np.concatenate([[0], pattern.astype(int), [0]])))
        runs += [(rows, (int(a), int(b))) for a, b in steps.reshape(-1, 2)]
    return runs


def mean_in_bins(samples: Times, bounds: npt.NDArray[np.int64]) -> Times:
    """Average samples between consecutive bounds; NaN where there are none or one is NaN.

    Parameters
    ----------
    samples
        ``(sample, channel)``.
    bounds
        ``(bin + 1,)``: ascending indices of samples.

    Returns
    -------
    numpy.ndarray
        ``(bin, channel)``.

    Examples
    --------
    >>> mean_in_bins(np.array([[1.0], [3.0], [5.0]]), np.array([0, 2, 2, 3])).ravel().tolist()
    [2.0, nan, 5.0]
    """
    number = np.diff(bounds)
    means = np.full((number.size, samples.shape[1]), np.nan)
    filled = np.flatnonzero(number)
    if filled.size:
        sums = np.add.reduceat(samples[: bounds[-1]], bounds[filled], axis=0)
        means[filled] = sums / number[filled, None]
    return means


def nearest_place(times: Times, targets: Times) -> npt.NDArray[np.int64]:
    """Return the index of the nearest of ascending times, for each target time.

    Parameters
    ----------
    times
        ``(time,)``, ascending (s).
    targets
        ``(target,)``: target times (s).

    Returns
    -------
    numpy.ndarray
        ``(target,)``; of two equally near times the earlier one.

    Examples
    --------
    >>> import numpy as np
    >>> nearest_place(np.array([0.0, 1.0, 5.0]), np.array([0.4, 3.5, 9.0])).tolist()
    [0, 2, 2]
    """
    right = np.clip(np.searchsorted(times, targets), 1, max(times.size - 1, 1))
    left = right - 1
    # for a single time
    right = np.minimum(right, times.size - 1)
    return np.where(targets - times[left] <= times[right] - targets, left, right)
