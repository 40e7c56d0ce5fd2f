"""Possible confounds of FTV: noise, error trials, trial counts, rates and choice; FTV in time."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.selectivity.noise_correction import corrected_ftv, corrected_task_variance
from nwbcompare.analysis.selectivity.rate_transforms import match_rates, stabilise_variance
from nwbcompare.analysis.selectivity.resampling_units import resampling_units
from nwbcompare.analysis.selectivity.task_variance import (
    ACTIVE_THRESHOLD,
    fractional_task_variance,
    means_by_task,
    task_variance,
    variance_in_time,
)
from nwbcompare.analysis.selectivity.trial_subsampling import subsample_trials
from nwbcompare.analysis.selectivity.variance_components import ftv_by_factor, variance_components
from nwbcompare.core.activity import Activity, blocks, labels, select, unit_table
from nwbcompare.core.errors import NotApplicableError, UnitWarning, listing
from nwbcompare.kernels.variance import fractional_variance

Array = npt.NDArray[np.float64]
ESTIMATES = ("raw", "corrected")
# variants in which the absolute threshold of activity has no meaning
RESCALED = ("rates matched", "rates stabilised")
INTERVAL = (2.5, 97.5)


def confound_table(
    activity: Activity,
    task_a: str,
    task_b: str,
    *,
    components: xr.Dataset | None = None,
    seed: int = 0,
    n_draws: int = 2000,
) -> xr.Dataset:
    """Measure the distribution of FTV with one possible confound removed at a time.

    Parameters
    ----------
    activity
        An activity or a block; a recording should include error trials.
    task_a, task_b
        The two tasks.
    components
        From `variance_components`, of the two tasks; by default computed here.
    seed
        Seed of the trial subsampling and of the bootstrap.
    n_draws
        Bootstrap draws.

    Returns
    -------
    xarray.Dataset
        On ``(variant, estimate)``: ``mean`` and ``standard_deviation`` (ddof 0) of FTV over units,
        and ``change``, the s.d. minus that of "as published" with the same estimate, each with a 95
        % interval ``..._low``, ``..._high``; ``n_units``, the units with an FTV, and
        ``n_censored``, how many of them are censored. Without any such unit the counts are 0 and
        the rest is NaN. ``fractional_task_variance (variant, estimate, unit)`` is NaN where a unit
        is inactive or lacks a condition. Variants that do not apply to the source are omitted;
        attrs ``left_out`` has the reasons (JSON).

    Raises
    ------
    InputError
        For unknown tasks.
    NotApplicableError
        Where FTV cannot be measured as published.

    Notes
    -----
    Variants: "as published" (all trials); "correct trials"; "equal trials" (`subsample_trials`, one
    draw); "rates matched" (`match_rates`) and "rates stabilised" (`stabilise_variance`), which
    change the scale of the rates, so that they use the units that are active "as published";
    "choice taken out" (`variance_components`, components of the stimulus). Estimates: "raw" as
    published; "corrected" for trial noise, with FTV censored at -1 and 1. Where the corrected
    variance is small relative to its error, FTVs accumulate at the ends: read ``n_censored``
    together with the s.d.

    The bootstrap draws sessions with all their units; for a network it draws its units with all
    their samples; where neither is known it draws units. One animal or network is one observation:
    the interval does not generalise to others.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().assign_coords(task=("trial", ["a"] * 4 + ["b"] * 4))
    >>> block.attrs["condition_variables"] = '{"a": ["correct"], "b": ["correct"]}'
    >>> confound_table(block, "a", "b")["variant"].values.tolist()[:2]  # one condition is correct
    ['as published', 'equal trials']
    """
    pair = select(activity, task=[task_a, task_b])
    first = next(iter(blocks(pair).values()))
    by_variant: dict[str, dict[str, xr.Dataset]] = {}
    left_out: dict[str, str] = {}
    with warnings.catch_warnings():
        # the result counts units without a value
        warnings.simplefilter("ignore", UnitWarning)
        for variant, measure in tqdm(
            _variants(seed, components).items(), "confounds", disable=None
        ):
            try:
                by_variant[variant] = measure(pair, task_a, task_b)
            except NotApplicableError as error:
                # without the reference there is no change to report
                if variant == "as published":
                    raise
                left_out[variant] = error.reason
    values, censored = _stacked(by_variant, first["unit"].values)
    cluster, column = resampling_units(unit_table(first))
    draws = _weights(cluster, n_draws, seed)[:, cluster]
    mean, sd = _mean_and_sd(values, np.ones((1, values.shape[-1])))
    mean_draws, sd_draws = _mean_and_sd(values, draws)
    dims = ("variant", "estimate")
    return xr.Dataset(
        {
            **_with_interval("mean", mean[0], mean_draws, dims),
            **_with_interval("standard_deviation", sd[0], sd_draws, dims),
            **_with_interval("change", sd[0] - sd[0, :1], sd_draws - sd_draws[:, :1], dims),
            "n_units": (dims, np.isfinite(values).sum(axis=-1)),
            "n_censored": (dims, censored.sum(axis=-1)),
            "fractional_task_variance": ((*dims, "unit"), values, {"units": "1"}),
        },
        coords={**unit_table(first), "variant": list(by_variant), "estimate": list(ESTIMATES)},
        attrs={
            "analysis": "confound_table",
            "name": first.attrs["name"],
            "source": first.attrs["source"],
            "task_a": task_a,
            "task_b": task_b,
            "seed": seed,
            "n_draws": n_draws,
            "bootstrapped": column,
            "left_out": json.dumps(left_out),
        },
    )


def ftv_in_time(
    activity: Activity,
    task_a: str,
    task_b: str,
    *,
    corrected: bool = True,
    n_draws: int = 2000,
    seed: int = 0,
) -> xr.Dataset:
    """Compute task variance and FTV at each time.

    Parameters
    ----------
    activity
        An activity or a block.
    task_a, task_b
        The two tasks, on one clock.
    corrected
        Whether to subtract the variance that trial noise adds, bin by bin. A unit's FTV is then
        censored at -1 and 1.
    n_draws, seed
        Draws of the bootstrap and their seed.

    Returns
    -------
    xarray.Dataset
        ``task_variance (unit, task, time)``; ``fractional_task_variance (unit, time)``; its
        ``mean`` and ``standard_deviation (time)`` over units, and ``pooled (time)``, the FTV of
        variances summed over units, which depends little on weakly tuned units; each with a 95 %
        interval ``..._low``, ``..._high``; ``n_units (time)``; ``counted (task, time)``, as in
        `nwbcompare.selectivity.variance_in_time`. NaN for times that are not in both tasks, and
        where no unit is active.

    Raises
    ------
    InputError
        For unknown tasks.
    NotApplicableError
        For tasks on different clocks.

    Warns
    -----
    UnitWarning
        Where units lack a condition; they are named.

    Notes
    -----
    The interval is that of `confound_table`. A single bin has little signal: noise makes the
    corrected FTV of units vary more than over the whole time.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().assign_coords(task=("trial", ["a"] * 4 + ["b"] * 4))
    >>> block.attrs["condition_variables"] = '{"a": ["correct"], "b": ["correct"]}'
    >>> ftv_in_time(block, "a", "b")["standard_deviation"].sizes["time"]
    5
    """
    pair = select(activity, task=[task_a, task_b])
    variance = variance_in_time(pair).sel(task=[task_a, task_b])
    value = variance["task_variance"]
    if corrected:
        value = (value - _noise_in_time(pair, variance)).assign_attrs(value.attrs)
    a, b = value.transpose("task", "time", "unit").values
    fraction, _ = fractional_variance(a, b, threshold=ACTIVE_THRESHOLD)
    if corrected:
        # a corrected variance below 0 gives values beyond the ends
        fraction = np.clip(fraction, -1, 1)
    cluster, column = resampling_units(unit_table(next(iter(blocks(pair).values()))))
    draws = _weights(cluster, n_draws, seed)[:, cluster]
    once = np.ones((1, cluster.size))
    mean, sd = _mean_and_sd(fraction, once)
    mean_draws, sd_draws = _mean_and_sd(fraction, draws)
    return xr.Dataset(
        {
            "task_variance": value.transpose("unit", "task", "time"),
            "fractional_task_variance": (("unit", "time"), fraction.T, {"units": "1"}),
            **_with_interval("mean", mean[0], mean_draws, ("time",)),
            **_with_interval("standard_deviation", sd[0], sd_draws, ("time",)),
            **_with_interval("pooled", _pooled(a, b, once)[0], _pooled(a, b, draws), ("time",)),
            "n_units": ("time", np.isfinite(fraction).sum(axis=-1)),
            "counted": variance["counted"],
        },
        attrs={
            **variance.attrs,
            "analysis": "ftv_in_time",
            "task_a": task_a,
            "task_b": task_b,
            "corrected": int(corrected),
            "seed": seed,
            "n_draws": n_draws,
            "bootstrapped": column,
        },
    )


def _variants(
    seed: int, components: xr.Dataset | None
) -> dict[str, Callable[[Any, str, str], dict[str, xr.Dataset]]]:
    """Return the functions that measure raw and corrected FTV, by name of the variant."""
    return {
        "as published": _measured,
        "correct trials": lambda pair, a, b: _measured(_correct_trials(pair, a, b), a, b),
        "equal trials": lambda pair, a, b: _measured(subsample_trials(pair, seed=seed), a, b),
        "rates matched": lambda pair, a, b: _measured(match_rates(pair), a, b, threshold=0.0),
        "rates stabilised": lambda pair, a, b: _measured(
            stabilise_variance(pair), a, b, threshold=0.0
        ),
        "choice taken out": lambda pair, a, b: _without_choice(
            variance_components(pair) if components is None else components, a, b
        ),
    }


def _correct_trials(pair: Activity, task_a: str, task_b: str) -> Activity:
    """Select correct trials, where both tasks have some."""
    with_correct: set[str] = set()
    for block in blocks(pair).values():
        if "correct" in block.coords:
            with_correct |= set(labels(block["task"])[block["correct"].values == 1])
    if not {task_a, task_b} <= with_correct:
        raise NotApplicableError(
            "activity",
            f"correct trials of {task_a!r} and {task_b!r} (trial column 'correct')",
            f"correct trials of {listing(sorted(with_correct))}",
            "Add the column 'correct' to the trials.",
        )
    return select(pair, correct=True)


def _measured(
    pair: Activity, task_a: str, task_b: str, *, threshold: float = ACTIVE_THRESHOLD
) -> dict[str, xr.Dataset]:
    raw, clean = task_variance(pair), corrected_task_variance(pair, unbiased=False)
    return {
        "raw": fractional_task_variance(raw, task_a, task_b, threshold=threshold, missing="nan"),
        "corrected": corrected_ftv(clean, task_a, task_b, threshold=threshold),
    }


def _without_choice(parts: xr.Dataset, task_a: str, task_b: str) -> dict[str, xr.Dataset]:
    return {
        "raw": ftv_by_factor(parts, task_a, task_b, corrected=False),
        "corrected": ftv_by_factor(parts, task_a, task_b),
    }


def _stacked(
    by_variant: dict[str, dict[str, xr.Dataset]], units: npt.NDArray[Any]
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Stack FTV as ``(variant, estimate, unit)``, and which values are censored."""
    shape = (len(by_variant), len(ESTIMATES), units.size)
    values, censored = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for place, one in enumerate(by_variant.values()):
        for which, estimate in enumerate(ESTIMATES):
            ftv = one[estimate]
            rows = np.isin(units, ftv["unit"].values)
            values[place, which, rows] = ftv["fractional_task_variance"].sel(unit=units[rows])
            if estimate == "corrected":
                ends = ftv["censored"].sel(unit=units[rows]).values
                censored[place, which, rows] = np.isin(ends, ("at +1", "at -1"))
    # the threshold has no meaning on another scale: units that are active as published count
    silent = np.isnan(values[0, 0])
    for place, variant in enumerate(by_variant):
        if variant in RESCALED:
            values[place, :, silent] = np.nan
    return values, censored & np.isfinite(values)


def _noise_in_time(pair: Activity, variance: xr.Dataset) -> xr.DataArray:
    """Compute the variance that trial noise adds at each time, ``(unit, task, time)``."""
    slack = variance["time"].attrs["bin_width_s"] / 2
    noise = {}
    for task, means, _ in means_by_task(pair):
        n = means.sizes["condition"]
        # population variance over n conditions contains (n - 1) / n of the noise
        mean = means["mean_variance"].mean("condition", skipna=False) * (n - 1) / n
        # times of tasks within a thousandth of a bin were joined as one
        noise[task] = mean.reindex(time=variance["time"], method="nearest", tolerance=slack)
    table = xr.concat(list(noise.values()), "task", coords="minimal", compat="override")
    return table.assign_coords(task=list(noise))


def _weights(number: npt.NDArray[np.int64], n_draws: int, seed: int) -> Array:
    """Draw how often each cluster is taken, ``(draw, cluster)``."""
    n_clusters = int(number.max()) + 1
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), n_draws).astype(float)


def _mean_and_sd(values: Array, weights: Array) -> tuple[Array, Array]:
    """Compute weighted mean and s.d. ``(draw, ...)`` over the last axis, without NaN."""
    finite = np.isfinite(values)
    filled = np.where(finite, values, 0.0)
    count, first, second = (
        np.tensordot(weights, np.moveaxis(moment, -1, 0), 1)
        for moment in (finite, filled, filled**2)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = first / count
        # rounding can bring a variance of 0 below it
        return mean, np.sqrt(np.maximum(second / count - mean**2, 0))


def _pooled(a: Array, b: Array, weights: Array) -> Array:
    """Compute the FTV of variances summed over units, ``(draw, time)``."""
    finite = np.isfinite(a + b)
    # units that lack a task at a time are in neither sum
    sums = [weights @ np.where(finite, x, 0.0).T for x in (a, b)]
    pooled, _ = fractional_variance(sums[0], sums[1], threshold=0.0)
    return np.clip(pooled, -1, 1)


def _with_interval(name: str, value: Array, draws: Array, dims: tuple[str, ...]) -> dict[str, Any]:
    # nanpercentile warns of columns without values
    empty = np.isnan(draws).all(axis=0)
    low, high = np.nanpercentile(np.where(empty, 0.0, draws), INTERVAL, axis=0)
    return {
        name: (dims, value, {"units": "1"}),
        f"{name}_low": (dims, np.where(empty, np.nan, low), {"units": "1"}),
        f"{name}_high": (dims, np.where(empty, np.nan, high), {"units": "1"}),
    }
