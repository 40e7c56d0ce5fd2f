"""Trial-to-trial variability of spike counts: Fano factor and trial-wide gain of each unit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.comparison.kernels.spike_variability import moment_dispersion
from nwbcompare.core.activity import Activity, blocks, columns_on
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning, listing
from nwbcompare.core.observations import observations
from nwbcompare.kernels.binning import smoothing_matrix


def dispersion(
    activity: Activity,
    *,
    conditions: Sequence[str] | None = None,
    smooth_s: float | None = None,
) -> xr.Dataset:
    """Estimate the Fano factor and the gain variance of each unit of a recording.

    The model covariance of a trial's counts about the mean counts ``mu`` of their condition is
    ``F diag(mu) + g mu mu'``: a Fano factor F within bins, and a gain of variance g shared by the
    bins of a trial. Both are estimated by the method of moments, accounting for the smoothing of
    the recording.

    Parameters
    ----------
    activity
        A recording of one block, in spikes/s.
    conditions
        Trial columns whose combinations are conditions; by default those of the recording.
        Variation within a condition counts as trial-to-trial variability.
    smooth_s
        Standard deviation (s) of the Gaussian with which trials were smoothed, 0 for none; by
        default that of the recording's provenance.

    Returns
    -------
    xarray.Dataset
        ``mean_rate`` (spikes/s), ``fano_factor``, ``gain_variance`` and ``degrees_of_freedom``,
        each ``(unit,)``, with the unit table. Trials with unobserved bins are left out. Units
        without spikes have NaN.

    Raises
    ------
    InputError
        For several blocks, and an unknown smoothing.
    NotApplicableError
        For rates that are noise-free or not in spikes/s, and units that have no condition with
        2 trials.

    Warns
    -----
    UnitWarning
        For units without spikes.

    Notes
    -----
    The shared gain is that of Goris, Movshon & Simoncelli (2014). Estimates reproduce the trace
    of the covariance also where g is bounded at 0 or F at 0.1.

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
    moments = moment_dispersion(
        rates,
        unit,
        condition[trial],
        (block.sizes["unit"], table.sizes["condition"]),
        smoothing=smoothing_matrix(block.sizes["time"], sd_s / width),
        bin_width_s=width,
    )
    _check_repeats(block, moments.degrees)
    _warn_of_silence(block, moments.fano)
    return xr.Dataset(
        {
            "mean_rate": ("unit", moments.mean_rate, {"units": "spikes/s"}),
            "fano_factor": ("unit", moments.fano, {"units": "1"}),
            "gain_variance": ("unit", moments.gain_variance, {"units": "1"}),
            "degrees_of_freedom": ("unit", moments.degrees.astype(np.int64)),
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
    """Return the only block of a recording.

    Raises
    ------
    InputError
        For several blocks.
    NotApplicableError
        For rates that are noise-free or not in spikes/s.
    """
    by_name = blocks(activity)
    if len(by_name) > 1:
        raise InputError(
            "recording",
            "one block",
            f"{len(by_name)}: {listing(by_name)}",
            "Pass one, e.g. recording['session'].to_dataset().",
        )
    block = next(iter(by_name.values()))
    units, noisy = block["rate"].attrs["units"], not block.attrs["deterministic"]
    if units != "spikes/s" or not noisy:
        raise NotApplicableError(
            "recording",
            "noisy rates in spikes/s",
            f"{'noisy' if noisy else 'noise-free'} rates in {units!r} of {block.attrs['name']!r}",
            "Pass a recording, not a network's rates.",
        )
    return block


def smoothing_of(block: xr.Dataset, smooth_s: float | None = None) -> float:
    """Return the smoothing of a block (s): ``smooth_s``, else that of its provenance.

    Raises
    ------
    InputError
        If neither is a finite number of 0 or more.
    """
    if smooth_s is None:
        smooth_s = _recorded_smoothing(block)
    if smooth_s is None or not 0 <= smooth_s < np.inf:
        raise InputError(
            "smooth_s",
            "the standard deviation (s) that the trials were smoothed with, 0 for none",
            f"{smooth_s!r}, and no smoothing in the recording's provenance",
            "Pass it, e.g. smooth_s=0.04, or state it when the rates are read: "
            "nwbcompare.from_arrays(..., provenance={'smooth_s': 0.04}).",
        )
    return float(smooth_s)


def _recorded_smoothing(block: xr.Dataset) -> float | None:
    """Return the smoothing (s) of a sample, else of a file or arrays, else of a loader."""
    provenance = json.loads(block.attrs["provenance"])
    sampled = provenance.get("sampled")
    if isinstance(sampled, Mapping):
        return _number(sampled.get("smooth_s"))
    if "smooth_s" in provenance:
        return _number(provenance["smooth_s"])
    options = provenance.get("options")
    width = block["time"].attrs["bin_width_s"]
    # options of a converted archive hold for the bins of its loading only
    if isinstance(options, Mapping) and np.isclose(_number(options.get("bin_s")) or 0, width):
        return _number(options.get("smooth_s"))
    return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _check_repeats(block: xr.Dataset, degrees: npt.NDArray[np.float64]) -> None:
    single = block["unit"].values[degrees < 1]
    if single.size:
        raise NotApplicableError(
            "recording",
            "at least 2 wholly observed trials in some condition of every unit",
            f"{single.size} units without: {listing(single, most=5)}",
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
