"""Changes of the time axis: alignment to an epoch, wider bins, smoothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    blocks,
    epoch_names,
    make_activity,
    row_dim,
)
from nwbcompare.core.epochs import with_window_epoch
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.kernels.binning import bin_membership, smoothing_matrix

AnyActivity = TypeVar("AnyActivity", xr.DataTree, xr.Dataset)


def align(activity: AnyActivity, epoch: str) -> AnyActivity:
    """Align trials to the start of an epoch, and cut them to the shortest trial's epoch.

    Parameters
    ----------
    activity
        An activity or a block.
    epoch
        The epoch. Each trial must have it, with a start on the edge of a bin.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        The same trials, with time 0 at the start of the epoch, which is the only epoch left.

    Raises
    ------
    InputError
        If the epoch is unknown, missing in some trials, starts between the edges of bins, or does
        not have a bin inside the time axis.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> align(example_block(), "stim1").sizes["time"]
    4
    """
    return _each(activity, lambda block: _align_block(block, epoch))


def rebin(activity: AnyActivity, width_s: float) -> AnyActivity:
    """Average rates in wider bins, which start at the left edge of the first bin.

    A bin belongs to the wider bin that has its centre. An incomplete last bin is dropped.

    Parameters
    ----------
    activity
        An activity or a block.
    width_s
        Width of the new bins (s).

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        The rates as float32 in the new bins, and all columns of trials and units.

    Raises
    ------
    InputError
        If the new bins are narrower than the old ones, or longer than the time axis.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> rebin(example_block(), 0.2)["time"].values.round(3).tolist()
    [0.1, 0.3]
    """
    return _each(activity, lambda block: _rebin_block(block, width_s))


def smooth(activity: AnyActivity, sd_s: float) -> AnyActivity:
    """Smooth rates along time with a Gaussian; edges are padded with the end values.

    Parameters
    ----------
    activity
        An activity or a block.
    sd_s
        Standard deviation of the Gaussian (s); 0 for none. Its window ends at 4 standard
        deviations.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        The smoothed rates as float32, on the same bins.

    Raises
    ------
    InputError
        If ``sd_s`` is negative or not finite.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block()
    >>> bool(smooth(block, 0.2)["rate"].std() < block["rate"].std())
    True
    """
    if not 0 <= sd_s < np.inf:
        raise InputError("sd_s", "0 s or more", repr(sd_s), "Use 0.04.")

    def smoothed(block: xr.Dataset) -> xr.Dataset:
        width = block["time"].attrs["bin_width_s"]
        matrix = smoothing_matrix(block.sizes["time"], sd_s / width)
        return _times_matrix(block, matrix, block["time"].variable)

    return _each(activity, smoothed)


def _each(activity: AnyActivity, change: Callable[[xr.Dataset], xr.Dataset]) -> AnyActivity:
    changed = {leaf: change(block) for leaf, block in blocks(activity).items()}
    if isinstance(activity, xr.Dataset):
        return next(iter(changed.values()))
    return make_activity(changed)


def _times_matrix(
    block: xr.Dataset, matrix: npt.NDArray[np.float64], time: xr.Variable
) -> xr.Dataset:
    """Multiply rates along time with a (time, new time) matrix."""
    rate = block["rate"]
    # float64 matrix: sums are accumulated in float64 and rounded once
    product = np.moveaxis(rate.values, rate.dims.index("time"), -1) @ matrix
    values = np.moveaxis(product, -1, rate.dims.index("time")).astype(np.float32)
    rest = block.drop_vars([n for n, v in block.variables.items() if "time" in v.dims])
    return rest.assign(rate=(rate.dims, values, rate.attrs)).assign_coords(time=time)


def _rebin_block(block: xr.Dataset, width_s: float) -> xr.Dataset:
    centres, old = block["time"].values, block["time"].attrs["bin_width_s"]
    left, length = centres[0] - old / 2, centres[-1] - centres[0] + old
    slack = EPOCH_TOLERANCE * old
    n_bins = int((length + slack) / width_s) if width_s > 0 else 0
    # a last bin that is short by less than one old bin is complete: it has all its centres
    n_bins += width_s > 0 and length - n_bins * width_s > width_s - old + slack
    if n_bins < 1 or width_s < old - slack:
        raise InputError(
            "width_s",
            f"a width from {old:g} to {length:g} s",
            repr(width_s),
            "Choose bins that are not narrower than the present ones, nor longer than the trial.",
        )
    edges = left + np.arange(n_bins + 1) * width_s
    attrs = block["time"].attrs | {"bin_width_s": float(width_s)}
    time = xr.Variable("time", edges[:-1] + width_s / 2, attrs)
    return _times_matrix(block, bin_membership(centres, edges, slack), time)


def _align_block(block: xr.Dataset, epoch: str) -> xr.Dataset:
    block = with_window_epoch(block)
    epochs = epoch_names(block)
    if epoch not in epochs:
        raise unknown_name("epoch", epoch, epochs)
    place = epochs.index(epoch)
    width = block["time"].attrs["bin_width_s"]
    left = block["time"].values[0] - width / 2
    start = (block["epoch_start_time"].values[:, place] - left) / width
    stop = (block["epoch_stop_time"].values[:, place] - left) / width
    if not np.isfinite(start).all():
        raise InputError(
            f"epoch {epoch!r}",
            "bounds in every trial",
            f"none in {int(np.isnan(start).sum())} trials",
            "Select the trials with this epoch.",
        )
    first = np.rint(start).astype(int)
    if np.abs(start - first).max() > EPOCH_TOLERANCE:
        raise InputError(
            f"epoch {epoch!r}",
            "starts on the edges of bins",
            "starts between them",
            "Compute the rates again in bins that are aligned to the epoch, with align= the trial "
            "column at which it starts.",
        )
    # the shortest trial's epoch, so that no trial has bins outside of it
    n_bins = int(np.floor((stop - start).min() + EPOCH_TOLERANCE))
    if n_bins < 1 or first.min() < 0 or (first + n_bins).max() > block.sizes["time"]:
        raise InputError(
            f"epoch {epoch!r}",
            "at least one bin of it inside the time axis in every trial",
            f"{n_bins} bins",
            "Choose another epoch.",
        )
    rows = np.arange(len(first))[:, None]
    # each trial is cut at its own start
    rate = block["rate"].values[rows, first[:, None] + np.arange(n_bins)]
    timed = [n for n, v in block.variables.items() if {"time", "epoch"} & set(v.dims)]
    row = row_dim(block)
    bounds = np.broadcast_to([[0.0]], (len(first), 1))
    time = {**block["time"].attrs, "aligned_to": f"start of {epoch}"}
    return (
        block.drop_vars(timed)
        .assign(rate=(block["rate"].dims, rate, block["rate"].attrs))
        .assign_coords(
            time=("time", (np.arange(n_bins) + 0.5) * width, time),
            epoch=[epoch],
            epoch_start_time=((row, "epoch"), bounds.copy(), {"units": "s"}),
            epoch_stop_time=((row, "epoch"), bounds + n_bins * width, {"units": "s"}),
        )
    )
