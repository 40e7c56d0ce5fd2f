"""Task variance and FTV corrected for trial noise, with their uncertainty."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.analysis.selectivity.kernels.deconvolution import (
    N_ITERATIONS,
    Deconvolved,
    Tuning,
    deconvolve,
    ftv_grid,
    in_bins,
    likelihood,
    moments,
)
from nwbcompare.analysis.selectivity.kernels.noise_correction import (
    LEAST_TRIALS,
    NoisyVariance,
    noisy_variance,
    split_half_variance,
)
from nwbcompare.analysis.selectivity.task_variance import (
    ACTIVE_THRESHOLD,
    HISTOGRAM_BINS,
    Estimator,
    check_pair,
    means_by_task,
    one_condition,
    task_variance,
    warn_of_one_condition,
)
from nwbcompare.core.activity import (
    Activity,
    blocks,
    columns_on,
    is_of_task,
    is_ragged,
    tasks_of,
    unit_positions,
)
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)
from nwbcompare.kernels.variance import ESTIMATORS, complete_times

Array = npt.NDArray[np.float64]
Method = Literal["analytic", "split_half"]
Rule = Literal["censor", "keep", "drop"]
METHODS = ("analytic", "split_half")
RULES: tuple[Rule, ...] = ("censor", "keep", "drop")
FEW_TRIALS = 3
COUNTS = ("least_trials", "n_bins")
MIXED, SELECTIVE = 0.3, 0.9
BOOTSTRAPS_AT_ONCE = 50


def corrected_task_variance(
    activity: Activity,
    *,
    method: Method = "analytic",
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
    epochs: Sequence[str] | None = None,
    leave_out: Sequence[str] = ("fix1",),
    n_splits: int = 100,
    unbiased: bool = True,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate task variance without the contribution of trial noise.

    Parameters
    ----------
    activity
        An activity or a block, of a network or a recording.
    method
        "analytic" (default): the variance of the condition means minus the mean of their squared
        standard errors. "split_half": the covariance between the condition means of two halves of
        the trials, averaged over random splits. Over all possible splits both are equal; the second
        needs no formula, but varies with the splits.
    estimator, conditions, epochs, leave_out
        See `nwbcompare.task_variance`.
    n_splits
        Splits of "split_half". With 100 an estimate varies by a twentieth of its standard error.
    unbiased
        Whether to compute ``unbiased_variance``, which takes half of the time; else it is NaN.
    seed
        Seed of the splits; every unit and task has its own random stream.

    Returns
    -------
    xarray.Dataset
        Each ``(unit, task)``: ``task_variance`` without noise, which can be negative;
        ``uncorrected``; ``noise``, their difference; ``standard_error``; ``untuned_variance`` and
        ``variance_slope``: the sampling variance of a unit with true variance v is
        ``untuned_variance + variance_slope * v``; ``unbiased_variance``, the sampling variance
        without bias under any noise, for sums over units (it can be negative); ``least_trials``
        of any condition; ``n_bins``.
        Each ``(task)``: ``n_conditions``, ``n_trials_per_condition``. ``n_below_3_trials`` in attrs
        counts units with fewer than 3 trials in a condition, whose standard error is unreliable.
        Noise and standard error of a deterministic source are 0.

    Raises
    ------
    InputError
        For an unknown method, fewer than two splits, and as `nwbcompare.task_variance`.
    NotApplicableError
        As `nwbcompare.task_variance`.

    Warns
    -----
    UnitWarning
        For units with fewer than 2 trials of a condition: they are NaN. For a task with one
        condition, over which nothing varies: all units are NaN.

    Notes
    -----
    The estimate is unbiased for any distribution and any numbers of trials; the standard error
    assumes nearly normal condition means
    (`nwbcompare.analysis.selectivity.kernels.noise_correction.noisy_variance`). Only times with 2
    trials of every condition are used, also for ``uncorrected``. The standard error of "split_half"
    is the analytic one, widened by the variance over splits.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> found = corrected_task_variance(example_block())
    >>> bool((found["task_variance"] < found["uncorrected"]).all())
    True
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    check_whole("n_splits", n_splits, 2, "Use n_splits=100.")
    chosen: dict[str, Any] = {"conditions": conditions, "epochs": epochs, "leave_out": leave_out}
    with warnings.catch_warnings():
        # the warning below names them, once
        warnings.simplefilter("ignore", UnitWarning)
        plain = task_variance(activity, estimator=estimator, **chosen)
    measure = _Measure(method, estimator, conditions, n_splits, unbiased, seed)
    parts = [
        measure(block_of(activity, task), means, bins, place)
        for place, (task, means, bins) in enumerate(means_by_task(activity, **chosen))
    ]
    result = plain.assign(
        {
            name: (("unit", "task"), np.stack([part[name] for part in parts], axis=1))
            for name in parts[0]
        }
    )
    units = plain["task_variance"].attrs["units"]
    for name in ("task_variance", "uncorrected", "noise", "standard_error", "variance_slope"):
        result[name].attrs["units"] = units
    for name in ("untuned_variance", "unbiased_variance"):
        result[name].attrs["units"] = "1" if units == "1" else f"({units})^2"
    # over one condition nothing varies, with noise or without
    estimates = [name for name in parts[0] if name not in COUNTS]
    result = result.assign(
        {name: result[name].where(result["n_conditions"] > 1) for name in estimates}
    )
    _warn_of_few_trials(result)
    warn_of_one_condition(result)
    few = (result["least_trials"] < FEW_TRIALS) & (result["standard_error"] > 0)
    return result.assign_attrs(
        analysis="corrected_task_variance",
        method=method,
        n_below_3_trials=int(few.any("task").sum()),
        **({} if method == "analytic" else {"n_splits": n_splits, "seed": seed}),
    )


def corrected_ftv(
    variance: xr.Dataset,
    task_a: str,
    task_b: str,
    *,
    rule: Rule = "censor",
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Compute FTV from corrected variances, with an explicit rule for negative ones.

    Parameters
    ----------
    variance
        From `corrected_task_variance`.
    task_a, task_b
        The two tasks.
    rule
        What happens to units with a corrected variance of 0 or less in one task, whose FTV is not
        inside (-1, 1): "censor" (default) sets it to -1 or 1; "keep" leaves it as computed; "drop"
        makes it NaN.
    threshold
        Units whose corrected variances sum to no more than this are untuned and get NaN.

    Returns
    -------
    xarray.Dataset
        ``fractional_task_variance (unit)``; its ``standard_error (unit)``; ``active (unit)``;
        ``censored (unit)``: "" (no), "at +1", "at -1", "untuned" or "unknown" (a variance is
        NaN). The counts ``n_censored`` and ``n_untuned`` are in attrs.

    Raises
    ------
    InputError
        For an unknown rule or task, and variances that were not corrected.

    Notes
    -----
    The standard error follows from the delta method, with independent trials of the two tasks:
    ``2 sqrt(b^2 se_a^2 + a^2 se_b^2) / (a + b)^2``. It is too small where the sum is not well above
    its own error. "drop" selects units by their result, which narrows the distribution.

    Examples
    --------
    >>> import xarray as xr
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), [[3.0, -1.0]]),
    ...                  "standard_error": (("unit", "task"), [[1.0, 1.0]])},
    ...                 coords={"unit": ["u0"], "task": ["a", "b"]})
    >>> corrected_ftv(tv, "a", "b")["censored"].item()
    'at +1'
    """
    if rule not in RULES:
        raise unknown_name("rule", rule, RULES)
    a, b = pair_of(variance, "task_variance", task_a, task_b).T
    error_a, error_b = pair_of(variance, "standard_error", task_a, task_b).T
    with np.errstate(invalid="ignore", divide="ignore"):
        active = a + b > threshold
        fraction = np.where(active, (a - b) / (a + b), np.nan)
        error = np.where(active, 2 * np.hypot(b * error_a, a * error_b) / (a + b) ** 2, np.nan)
    out = active & (np.minimum(a, b) <= 0)
    censored = np.select(
        [np.isnan(a + b), ~active, out & (a > b), out], ["unknown", "untuned", "at +1", "at -1"], ""
    )
    if rule == "censor":
        fraction = np.where(out, np.sign(fraction), fraction)
    elif rule == "drop":
        fraction, error = (np.where(out, np.nan, values) for values in (fraction, error))
    return xr.Dataset(
        {
            "fractional_task_variance": ("unit", fraction, {"units": "1"}),
            "standard_error": ("unit", error, {"units": "1"}),
            "active": ("unit", active),
            "censored": ("unit", censored),
        },
        coords=columns_on(variance, "unit"),
        attrs={
            **variance.attrs,
            "analysis": "corrected_ftv",
            "task_a": task_a,
            "task_b": task_b,
            "rule": rule,
            "threshold": threshold,
            "n_censored": int(out.sum()),
            "n_untuned": int((censored == "untuned").sum()),
        },
    )


def deconvolved_ftv(
    variance: xr.Dataset,
    task_a: str,
    task_b: str,
    *,
    within: str | None = None,
    n_bootstrap: int = 200,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the shape of the distribution of FTV without noise, and each unit's posterior FTV.

    Its spread is biased where tuning is weak or depends on FTV: for the mean and the s.d. use
    `nwbcompare.selectivity.ftv_spread`.

    Parameters
    ----------
    variance
        From `corrected_task_variance`, of a noisy source.
    task_a, task_b
        The two tasks.
    within
        A column of the unit table, such as "session", whose values the bootstrap draws with all
        their units, since units recorded together may be similar. By default it draws units.
    n_bootstrap
        Bootstraps for the intervals.
    seed
        Seed of the bootstraps.

    Returns
    -------
    xarray.Dataset
        ``fractional_task_variance (unit)``, the posterior mean, in [-1, 1], and
        ``standard_deviation (unit)`` of the posterior. Of the population: ``density (ftv)``,
        ``share (bin)`` in the published 20 bins, ``population_mean`` and ``population_sd``, each
        with a 95 % interval ``..._low``, ``..._high``. Units whose variance is unknown, or 0 in
        both tasks, are left out and NaN; ``n_units`` in attrs counts the others.

    Raises
    ------
    InputError
        For variances that were not corrected, and unknown names.
    NotApplicableError
        For a deterministic source, and fewer than two units (or values of ``within``).

    Notes
    -----
    Empirical Bayes. Each raw variance is gamma distributed about the true variance plus noise, with
    the sampling variance from `corrected_task_variance`. The distributions of FTV and of the total
    variance over units are fitted by maximum likelihood on a grid, by 100 steps of expectation and
    maximisation from flat distributions (Laird 1978). They are assumed to be independent, so that
    estimates of units with little signal are drawn towards the population. Posterior means vary
    less than the true values: use ``density`` for the shape and posterior means for units. With
    equal FTV in all units ``population_sd`` is still well above 0, and its interval excludes 0.
    Every bootstrap repeats the whole fit; the posterior's standard deviation includes the variance
    of posterior means between bootstraps (Laird & Louis 1987).

    Examples
    --------
    >>> import xarray as xr
    >>> rows = ("unit", "task")
    >>> tv = xr.Dataset({"uncorrected": (rows, [[5.0, 2.0], [1.0, 4.0]]),
    ...                  "noise": (rows, [[1.0, 1.0], [1.0, 1.0]]),
    ...                  "untuned_variance": (rows, [[0.2, 0.2], [0.2, 0.2]]),
    ...                  "variance_slope": (rows, [[0.3, 0.3], [0.3, 0.3]])},
    ...                 coords={"unit": ["u0", "u1"], "task": ["a", "b"]})
    >>> bool((abs(deconvolved_ftv(tv, "a", "b")["fractional_task_variance"]) < 1).all())
    True
    """
    check_whole("n_bootstrap", n_bootstrap, 1, "Use n_bootstrap=200.")
    names = ("uncorrected", "noise", "untuned_variance", "variance_slope")
    measured = [pair_of(variance, name, task_a, task_b) for name in names]
    defined = np.isfinite(measured).all(axis=(0, 2)) & (measured[0].sum(axis=1) > 0)
    refuse_noise_free(variance, measured[2][defined])
    if defined.sum() < 2:
        raise NotApplicableError(
            repr(str(variance.attrs.get("name", "units"))),
            "two units or more with a known noise in both tasks",
            f"{int(defined.sum())} of {defined.size}",
            "Units need 2 trials or more in every condition: pool conditions, or leave units out.",
        )
    likelihoods = likelihood(Tuning(*(values[defined] for values in measured)))
    estimate = deconvolve(likelihoods)
    weights = _bootstrap_weights(variance.isel(unit=defined), within, n_bootstrap, seed)
    draws = _bootstrapped(likelihoods, weights)
    # Laird & Louis 1987: variance within posteriors plus variance between bootstraps
    posterior_sd = np.sqrt((draws.sd**2).mean(axis=0) + draws.mean.var(axis=0))
    grid, width = ftv_grid()
    masses = estimate.mass[0], draws.mass
    binned = [in_bins(mass, HISTOGRAM_BINS) for mass in masses]
    edges = np.linspace(-1, 1, HISTOGRAM_BINS + 1)
    result = xr.Dataset(
        {
            "fractional_task_variance": (
                "unit",
                _spread_out(estimate.mean[0], defined),
                {"units": "1"},
            ),
            "standard_deviation": ("unit", _spread_out(posterior_sd, defined), {"units": "1"}),
            "active": ("unit", defined),
            **_with_interval("density", masses[0] / width, masses[1] / width, "ftv"),
            **_with_interval("share", binned[0], binned[1], "bin"),
        },
        coords={**columns_on(variance, "unit"), "ftv": grid, "bin": (edges[:-1] + edges[1:]) / 2},
        attrs={
            **variance.attrs,
            "analysis": "deconvolved_ftv",
            "task_a": task_a,
            "task_b": task_b,
            "within": within or "",
            "n_bootstrap": n_bootstrap,
            "bootstrap_seed": seed,
            "n_iterations": N_ITERATIONS,
            "n_units": int(defined.sum()),
        },
    )
    kinds = ("population_mean", "population_sd")
    for name, value, spread in zip(kinds, *map(moments, masses), strict=True):
        result = result.assign(_with_interval(name, value, spread))
    return result


def censoring_table(
    variance: xr.Dataset,
    task_a: str,
    task_b: str,
    *,
    threshold: float = ACTIVE_THRESHOLD,
    shrunken: xr.Dataset | None = None,
) -> xr.Dataset:
    """Compute how the distribution of FTV depends on the treatment of noise and negative variances.

    Parameters
    ----------
    variance
        From `corrected_task_variance`, of a noisy source.
    task_a, task_b
        The two tasks.
    threshold
        See `corrected_ftv`.
    shrunken
        From `deconvolved_ftv` of the same variances; by default computed here, without bootstraps.

    Returns
    -------
    xarray.Dataset
        By ``rule``: "raw", the three rules of `corrected_ftv`, "shrunken" (posterior means) and
        "deconvolved" (the population). ``mean``, ``standard_deviation``, ``share_mixed`` (absolute
        FTV below 0.3), ``share_selective`` (above 0.9), ``n_units``, and ``n_censored``, how many
        of these lie at or beyond -1 or 1.

    Raises
    ------
    InputError
        As `deconvolved_ftv`.
    NotApplicableError
        As `deconvolved_ftv`.

    Examples
    --------
    >>> import xarray as xr
    >>> rows = ("unit", "task")
    >>> raw = np.array([[5.0, 2.0], [1.0, 4.0]])
    >>> tv = xr.Dataset({"uncorrected": (rows, raw), "task_variance": (rows, raw - 1),
    ...                  "noise": (rows, 0 * raw + 1), "standard_error": (rows, 0 * raw + 0.5),
    ...                  "untuned_variance": (rows, 0 * raw + 0.2),
    ...                  "variance_slope": (rows, 0 * raw + 0.3)},
    ...                 coords={"unit": ["u0", "u1"], "task": ["a", "b"]})
    >>> censoring_table(tv, "a", "b")["rule"].values.tolist()
    ['raw', 'censor', 'keep', 'drop', 'shrunken', 'deconvolved']
    """
    if shrunken is None:
        shrunken = deconvolved_ftv(variance, task_a, task_b, n_bootstrap=1)
    raw = variance.assign(task_variance=variance["uncorrected"])
    samples = {
        "raw": corrected_ftv(raw, task_a, task_b, threshold=threshold),
        **{
            str(rule): corrected_ftv(variance, task_a, task_b, rule=rule, threshold=threshold)
            for rule in RULES
        },
        "shrunken": shrunken,
    }
    rows = {}
    for name, sample in samples.items():
        values = sample["fractional_task_variance"].values
        values = values[np.isfinite(values)]
        censored = int((np.abs(values) >= 1).sum()) if name in RULES else 0
        equal = np.full(values.size, 1 / max(values.size, 1))
        rows[name] = (*_summary(values, equal), values.size, censored)
    grid, width = ftv_grid()
    mass = shrunken["density"].values * width
    rows["deconvolved"] = (*_summary(grid, mass), shrunken.attrs["n_units"], 0)
    names = (
        "mean",
        "standard_deviation",
        "share_mixed",
        "share_selective",
        "n_units",
        "n_censored",
    )
    columns = dict(zip(names, zip(*rows.values(), strict=True), strict=True))
    return xr.Dataset(
        {name: ("rule", list(values)) for name, values in columns.items()},
        coords={"rule": list(rows)},
        attrs={
            **variance.attrs,
            "analysis": "censoring_table",
            "task_a": task_a,
            "task_b": task_b,
            "threshold": threshold,
        },
    )


def _summary(values: Array, weight: Array) -> tuple[float, float, float, float]:
    if not values.size:
        return np.nan, np.nan, np.nan, np.nan
    mean = float(weight @ values)
    sd = float(np.sqrt(weight @ (values - mean) ** 2))
    # rounding must not move a grid point across the bound
    size = np.round(np.abs(values), 9)
    return mean, sd, float(weight @ (size < MIXED)), float(weight @ (size > SELECTIVE))


def block_of(activity: Activity, task: str) -> xr.Dataset:
    """Return the block that has a task's trials.

    Parameters
    ----------
    activity
        An activity or a block.
    task
        The task, which occurs in it.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block_of(example_block(), "go").sizes["trial"]
    8
    """
    return next(block for block in blocks(activity).values() if task in tasks_of(block))


@dataclass(frozen=True)
class _Measure:
    """How all units of a task are measured."""

    method: Method
    estimator: Estimator
    conditions: Sequence[str] | None
    n_splits: int
    unbiased: bool
    seed: int

    def __call__(
        self, block: xr.Dataset, means: xr.Dataset, bins: npt.NDArray[np.bool_], place: int
    ) -> dict[str, npt.NDArray[Any]]:
        count = means["n_trials"].values[:, :, bins]
        least = {"least_trials": count.max(axis=2).min(axis=1).astype(np.int64)}
        if block.attrs["deterministic"]:
            mean_rates = means["rate_mean"].values[:, :, bins]
            return _without_noise(mean_rates, self.estimator) | least
        task, n_conditions = str(means["task"].values[0]), means.sizes["condition"]
        analytic, halves = [], []
        units = trials_by_unit(block, task, bins, self.conditions)
        description = tqdm(units, desc=task, total=block.sizes["unit"], disable=None)
        for unit, (rates, number) in enumerate(description):
            analytic.append(
                noisy_variance(rates, number, n_conditions, self.estimator, unbiased=self.unbiased)
            )
            if self.method == "split_half":
                stream = np.random.SeedSequence(self.seed, spawn_key=(place, unit))
                rng = np.random.default_rng(stream)
                halves.append(
                    split_half_variance(
                        rates, number, n_conditions, self.estimator, n_splits=self.n_splits, rng=rng
                    )
                )
        estimates = _columns(analytic) | least
        return estimates | _from_halves(estimates, *np.array(halves).T) if halves else estimates


def trials_by_unit(
    block: xr.Dataset,
    task: str,
    bins: npt.NDArray[np.bool_],
    conditions: Sequence[str] | None,
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.int64]]]:
    """Return each unit's rates in a task and the condition of each trial.

    Parameters
    ----------
    block
        The block of the task.
    task
        The task.
    bins
        ``(time,)``: the times to return.
    conditions
        See `nwbcompare.task_variance`.

    Yields
    ------
    rates, condition : numpy.ndarray
        ``(trial, time)`` and ``(trial,)`` of each unit, in order.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> units = trials_by_unit(example_block(), "go", np.ones(5, dtype=bool), None)
    >>> [rates.shape for rates, _ in units]
    [(8, 5), (8, 5), (8, 5)]
    """
    rate = block["rate"].values
    table, condition = condition_table(block, conditions)
    rows = np.flatnonzero(is_of_task(block, task))
    number = condition - int(np.flatnonzero(table["task"].values == task)[0])
    if not is_ragged(block):
        rates = rate[rows][:, bins]
        for unit in range(block.sizes["unit"]):
            yield rates[:, :, unit], number[rows]
        return
    position = unit_positions(block)[rows]
    order = np.argsort(position, kind="stable")
    bounds = np.searchsorted(position[order], np.arange(block.sizes["unit"] + 1))
    for start, stop in pairwise(bounds):
        of_unit = rows[order[start:stop]]
        yield rate[of_unit][:, bins], number[of_unit]


def _without_noise(rates: Array, estimator: Estimator) -> dict[str, npt.NDArray[Any]]:
    variance = ESTIMATORS[estimator](rates)
    nothing = np.where(np.isfinite(variance), 0.0, np.nan)
    names = (
        "noise",
        "standard_error",
        "untuned_variance",
        "variance_slope",
        "unbiased_variance",
    )
    return {
        "task_variance": variance,
        "uncorrected": variance,
        **dict.fromkeys(names, nothing),
        "n_bins": complete_times(rates).sum(axis=-1),
    }


def _columns(estimates: list[NoisyVariance]) -> dict[str, npt.NDArray[Any]]:
    raw, noise, sampling, untuned, slope, unbiased, n_times = map(
        np.array, zip(*estimates, strict=True)
    )
    return {
        "task_variance": raw - noise,
        "uncorrected": raw,
        "noise": noise,
        "standard_error": np.sqrt(sampling),
        "untuned_variance": untuned,
        "variance_slope": slope,
        "unbiased_variance": unbiased,
        "n_bins": n_times,
    }


def _from_halves(
    analytic: dict[str, npt.NDArray[Any]], mean: Array, of_splits: Array
) -> dict[str, npt.NDArray[Any]]:
    """Return split-half estimates; their standard errors include the variance over splits."""
    return {
        "task_variance": mean,
        "noise": analytic["uncorrected"] - mean,
        "standard_error": np.hypot(analytic["standard_error"], np.sqrt(of_splits)),
        "untuned_variance": analytic["untuned_variance"] + of_splits,
        "unbiased_variance": analytic["unbiased_variance"] + of_splits,
    }


def _warn_of_few_trials(result: xr.Dataset) -> None:
    for task in result["task"].values:
        lacking = np.isnan(result["task_variance"].sel(task=task).values)
        if lacking.any() and task not in one_condition(result):
            warnings.warn(
                f"{int(lacking.sum())} units have fewer than {LEAST_TRIALS} trials of a condition "
                f"of task {str(task)!r} and get NaN: "
                f"{listing(result['unit'].values[lacking], most=5)}",
                UnitWarning,
                stacklevel=3,
            )


def pair_of(variance: xr.Dataset, name: str, task_a: str, task_b: str) -> Array:
    """Return a measure of two tasks.

    Parameters
    ----------
    variance
        From `corrected_task_variance`.
    name
        The measure.
    task_a, task_b
        The two tasks.

    Returns
    -------
    numpy.ndarray
        ``(..., unit, 2)``.

    Raises
    ------
    InputError
        For unknown tasks, and variances without the measure.

    Examples
    --------
    >>> tv = xr.Dataset({"noise": (("unit", "task"), [[1.0, 2.0]])}, {"task": ["a", "b"]})
    >>> pair_of(tv, "noise", "b", "a").tolist()
    [[2.0, 1.0]]
    """
    if name not in variance:
        raise InputError(
            "variance",
            f"noise-corrected variances with {name!r}",
            listing(map(str, variance.data_vars)),
            "Use corrected_task_variance.",
        )
    check_pair(variance, task_a, task_b)
    both: Array = variance[name].sel(task=[task_a, task_b]).transpose(..., "unit", "task").values
    return both


def refuse_noise_free(variance: xr.Dataset, untuned_variance: Array) -> None:
    """Raise an error for variances of a source without noise.

    Parameters
    ----------
    variance
        From `corrected_task_variance`.
    untuned_variance
        The sampling variances in use, of any shape.

    Raises
    ------
    NotApplicableError
        Where there are some, and all are 0.

    Examples
    --------
    >>> refuse_noise_free(xr.Dataset(), np.ones(2))
    """
    if len(untuned_variance) and not untuned_variance.any():
        raise NotApplicableError(
            "variance",
            "a noisy source",
            f"{variance.attrs.get('name', 'one')!r} without noise",
            "Without noise there is nothing to correct: use fractional_task_variance.",
        )


def observations(variance: xr.Dataset, within: str | None) -> npt.NDArray[np.int64]:
    """Number the independent observations that a table's units belong to.

    Parameters
    ----------
    variance
        A table of units.
    within
        A column of the unit table whose values are the observations; by default units are.

    Returns
    -------
    numpy.ndarray
        ``(unit,)``, from 0.

    Raises
    ------
    InputError
        For an unknown column.
    NotApplicableError
        For fewer than two observations.

    Examples
    --------
    >>> table = xr.Dataset(coords={"unit": [0, 1, 2], "session": ("unit", ["s", "t", "s"])})
    >>> observations(table, "session").tolist()
    [0, 1, 0]
    """
    group = np.arange(variance.sizes["unit"])
    if within is not None:
        columns = columns_on(variance, "unit")
        if within not in columns:
            raise unknown_name("within", within, columns)
        group = np.unique(columns[within].values, return_inverse=True)[1].reshape(-1)
    n_groups = int(group.max(initial=-1)) + 1
    if n_groups < 2:
        raise NotApplicableError(
            "variance",
            "two units or more with known variance"
            if within is None
            else f"units of two values or more of {within!r}",
            str(n_groups),
            "A distribution over units needs several to draw from.",
        )
    return group.astype(np.int64)


def _bootstrap_weights(
    variance: xr.Dataset, within: str | None, n_bootstrap: int, seed: int
) -> Array:
    """Draw units, or values of a column with all their units: how often each unit counts."""
    group = observations(variance, within)
    n_groups = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_bootstrap)
    weights: Array = drawn[:, group].astype(np.float64)
    return weights


def _bootstrapped(likelihoods: Array, weights: Array) -> Deconvolved:
    """Fit each bootstrap, some at a time."""
    starts = range(0, len(weights), BOOTSTRAPS_AT_ONCE)
    fits = [
        deconvolve(likelihoods, weights[start : start + BOOTSTRAPS_AT_ONCE])
        for start in tqdm(starts, desc="bootstraps", disable=None)
    ]
    return Deconvolved(*(np.concatenate(kind) for kind in zip(*fits, strict=True)))


def _spread_out(values: Array, places: npt.NDArray[np.bool_]) -> Array:
    every = np.full(places.size, np.nan)
    every[places] = values
    return every


def _with_interval(
    name: str, value: Array, draws: Array, *dims: str
) -> dict[str, tuple[tuple[str, ...], Array]]:
    """Return a value with the central 95 % of its bootstraps."""
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return {name: (dims, value), f"{name}_low": (dims, low), f"{name}_high": (dims, high)}
