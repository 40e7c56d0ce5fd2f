"""How spike counts scatter from trial to trial: Fano factor and trial-wide gain of each unit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.comparison.kernels.spike_variability import moment_dispersion
from nwbcompare.core.activity import Activity, blocks, columns_on, is_ragged, unit_positions
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning, listing
from nwbcompare.kernels.binning import smoothing_matrix


def dispersion(
    activity: Activity,
    *,
    conditions: Sequence[str] | None = None,
    smooth_s: float | None = None,
) -> xr.Dataset:
    """Measure how each unit's spike counts scatter about the means of their conditions.

    Counts of a trial are taken to have the covariance ``F diag(mu) + g mu mu'``: a Fano factor
    F within a bin, and a gain of variance g that a trial's bins share. Both are found by the
    method of moments, with the recording's smoothing taken into account.

    Parameters
    ----------
    activity
        A recording of one block, in spikes/s.
    conditions
        Trial columns whose combinations are conditions; by default the source's own. What
        varies within a condition counts as scatter.
    smooth_s
        Standard deviation of the Gaussian (s) that trials were smoothed with; by default what
        the recording's provenance says.

    Returns
    -------
    xarray.Dataset
        ``mean_rate`` (spikes/s), ``fano_factor``, ``gain_variance`` and ``degrees_of_freedom``,
        each ``(unit,)``, with the unit table. Rows with unobserved bins are left out. A unit
        without spikes has NaN.

    Raises
    ------
    InputError
        For several blocks, and a smoothing that is neither given nor known.
    NotApplicableError
        For rates that are noise-free or not in spikes/s, and units that have no condition with
        2 trials.

    Warns
    -----
    UnitWarning
        For units without spikes.

    Notes
    -----
    The shared gain is that of Goris, Movshon & Simoncelli (2014). The trace of the covariance
    is always met, also where g is bounded at 0 or F at 0.1.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> rng = np.random.default_rng(0)
    >>> block = nc.make_block(
    ...     rng.poisson(1.0, (4000, 5)) / 0.1, time_s=(np.arange(5) + 0.5) * 0.1, bin_width_s=0.1,
    ...     aligned_to="stimulus", trials={"task": ["dm1"] * 4000}, units={"unit": ["u0"]},
    ...     observation_unit=np.zeros(4000), condition_variables={"dm1": []},
    ...     source="recording", name="toy")
    >>> dispersion(block, smooth_s=0)["fano_factor"].values.round(1).tolist()
    [1.0]
    """
    block = recorded_block(activity)
    sd_s = smoothing_of(block, smooth_s)
    width = block["time"].attrs["bin_width_s"]
    rates, unit, trial = observations(block)
    table, condition = condition_table(block, conditions)
    complete = np.isfinite(rates).all(axis=1)
    if not complete.all():
        rates, unit, trial = rates[complete], unit[complete], trial[complete]
    found = moment_dispersion(
        rates,
        unit,
        condition[trial],
        (block.sizes["unit"], table.sizes["condition"]),
        smoothing=smoothing_matrix(block.sizes["time"], sd_s / width),
        bin_width_s=width,
    )
    _refuse_single_trials(block, found.degrees)
    _warn_of_silence(block, found.fano)
    return xr.Dataset(
        {
            "mean_rate": ("unit", found.mean_rate, {"units": "spikes/s"}),
            "fano_factor": ("unit", found.fano, {"units": "1"}),
            "gain_variance": ("unit", found.gain_variance, {"units": "1"}),
            "degrees_of_freedom": ("unit", found.degrees.astype(np.int64)),
        },
        coords=columns_on(block, "unit"),
        attrs={
            "analysis": "dispersion",
            "source": block.attrs["source"],
            "name": block.attrs["name"],
            "conditions": json.dumps(None if conditions is None else list(conditions)),
            "smooth_s": sd_s,
        },
    )


def recorded_block(activity: Activity) -> xr.Dataset:
    """Give the only block of a recording.

    Raises
    ------
    InputError
        Where there are several.
    NotApplicableError
        For rates that are noise-free or not in spikes/s.
    """
    found = blocks(activity)
    if len(found) > 1:
        raise InputError(
            "recording",
            "one block",
            f"{len(found)}: {listing(found)}",
            "Pass one, e.g. recording['session'].to_dataset().",
        )
    block = next(iter(found.values()))
    units, noisy = block["rate"].attrs["units"], not block.attrs["deterministic"]
    if units != "spikes/s" or not noisy:
        raise NotApplicableError(
            "recording",
            "noisy rates in spikes/s",
            f"{'noisy' if noisy else 'noise-free'} rates in {units!r} of {block.attrs['name']!r}",
            "Give a recording, not a network's rates.",
        )
    return block


def observations(
    block: xr.Dataset,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give a block's rates by unit and trial, whether it is ragged or dense.

    Returns
    -------
    rates : numpy.ndarray
        ``(row, time)``: the rows in which anything was observed.
    unit, trial : numpy.ndarray
        ``(row,)``: places in the unit table and in the trial columns.
    """
    if is_ragged(block):
        rates = block["rate"].values
        seen = np.flatnonzero(np.isfinite(rates).any(axis=1))
        unit = unit_positions(block)
        # no copy where there is nothing to leave out
        return (rates, unit, seen) if len(seen) == len(unit) else (rates[seen], unit[seen], seen)
    by_unit = block["rate"].transpose("unit", "trial", "time").values
    unit, trial = np.nonzero(np.isfinite(by_unit).any(axis=2))
    return by_unit[unit, trial], unit, trial


def smoothing_of(block: xr.Dataset, smooth_s: float | None = None) -> float:
    """Give the smoothing of a block (s): the one given, else the one that its provenance says.

    Raises
    ------
    InputError
        Where neither says.
    """
    if smooth_s is None:
        smooth_s = _recorded_smoothing(block)
    if smooth_s is None or not 0 <= smooth_s < np.inf:
        raise InputError(
            "smooth_s",
            "the standard deviation (s) that the trials were smoothed with, 0 for none",
            f"{smooth_s!r}, and a recording whose provenance does not say it",
            "Pass it, e.g. smooth_s=0.04.",
        )
    return float(smooth_s)


def _recorded_smoothing(block: xr.Dataset) -> float | None:
    """Look for the smoothing of a sample, then of a file or arrays, then in a loader's options."""
    provenance = json.loads(block.attrs["provenance"])
    sampled = provenance.get("sampled")
    if isinstance(sampled, Mapping):
        return _number(sampled.get("smooth_s"))
    if "smooth_s" in provenance:
        return _number(provenance["smooth_s"])
    options = provenance.get("options")
    width = block["time"].attrs["bin_width_s"]
    # a converted archive was loaded in other bins than its file is read in
    if isinstance(options, Mapping) and np.isclose(_number(options.get("bin_s")) or 0, width):
        return _number(options.get("smooth_s"))
    return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _refuse_single_trials(block: xr.Dataset, degrees: npt.NDArray[np.float64]) -> None:
    lacking = block["unit"].values[degrees < 1]
    if lacking.size:
        raise NotApplicableError(
            "recording",
            "at least 2 wholly observed trials in some condition of every unit",
            f"{lacking.size} units without: {listing(lacking, most=5)}",
            "Leave them out with nwbcompare.select(recording, units=...), or name fewer columns "
            "with conditions=[...].",
        )


def _warn_of_silence(block: xr.Dataset, fano: npt.NDArray[np.float64]) -> None:
    silent = block["unit"].values[np.isnan(fano)]
    if silent.size:
        warnings.warn(
            f"{silent.size} units without spikes have no dispersion: {listing(silent, most=5)}",
            UnitWarning,
            stacklevel=3,
        )
