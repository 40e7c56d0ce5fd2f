"""Test of FTV = 0, for each unit and for the population."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats
from tqdm import tqdm

from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.analysis.selectivity.history_variables import refuse_history
from nwbcompare.analysis.selectivity.kernels.ftv_null import EqualVariances, equal_variances
from nwbcompare.analysis.selectivity.kernels.noise_correction import LEAST_TRIALS
from nwbcompare.analysis.selectivity.kernels.slow_drift import DEGREE, UNKNOWN, Drift, slow_drift
from nwbcompare.analysis.selectivity.task_variance import counted_bins
from nwbcompare.core.activity import (
    Activity,
    blocks,
    columns_on,
    condition_variables_of,
    is_of_task,
    is_ragged,
    row_dim,
    tasks_of,
    unit_positions,
    unit_table,
)
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)
from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.kernels.threads import one_thread
from nwbcompare.kernels.variance import fractional_variance

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LEVEL = 0.05
FEWEST_SESSIONS = 5
LARGEST_DRIFT_Z = 0.25
"""Largest z that a tested unit would have through the drift of its rate alone.

It raises an error of 0.05 to 0.057.
"""
LARGEST_TASK_SHARE = 0.1
"""Largest share of the variance of the task labels that slow drift may explain in a tested unit.

Above it, with fewer than about 10 blocks, drift is not measured apart from the tasks.
"""
RARE_ORDER = 0.001
"""Shares that random orders of few trials exceed no more often than this do not matter."""


def ftv_null(
    activity: Activity,
    task_a: str,
    task_b: str,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    conditions: Sequence[str] | None = None,
    trial_order: str | None = "trial_number",
    n_jobs: int | None = None,
) -> xr.Dataset:
    """Test whether FTV is 0: whether two tasks have the same task variance.

    Null hypothesis: without trial noise, the condition means of the unit have the same variance in
    both tasks. Rates, tuning, noise, numbers of trials and conditions may all differ.

    Parameters
    ----------
    activity
        An activity or a block with noisy trials of both tasks.
    task_a, task_b
        The two tasks.
    n_resamples
        Resamples of each unit; 1000 give p values down to 1/1001.
    seed
        Seed of the resamples; every unit has its own random stream.
    conditions
        Trial columns whose combinations are conditions; by default those of the source. The tasks
        may have different conditions.
    trial_order
        Trial column that numbers the trials of a session in the order of recording. With None, and
        where the column is missing or both tasks have the same numbers, the order is unknown and
        tasks in blocks are not detected.
    n_jobs
        Threads; by default one per core. The result does not depend on it.

    Returns
    -------
    xarray.Dataset
        By ``unit``: ``difference`` and ``total``, difference and sum of the corrected task
        variances; ``squared_error``, the unbiased sampling variance of ``difference``; ``z``;
        ``p_value``, two-sided; ``q_value``, adjusted for the false discovery rate over units
        (Benjamini & Hochberg 1995); ``fractional_task_variance``, raw; ``null_ftv (resample,
        unit)``, raw, of the resamples; ``drift_share``, the share of the variance of the task
        labels that a cubic polynomial in trial order explains; ``drift_z``, the z of a unit with an
        FTV of 0 whose tuning drifts in proportion to the polynomial fitted to its rate within
        cells. Both are NaN where the order is unknown. The other columns are NaN for units that are
        not tested: fewer than 2 trials of a condition, no noise, an absolute ``drift_z`` above
        0.25, or a ``drift_share`` above 0.1 that is rare (1 in 1000) in random orders of as many
        trials. ``n_drifting`` in attrs counts the last two.
        Of the population of tested units: ``n_tested``; the shares of units with p
        (``share_significant``, 0.05 under the null hypothesis) and q (``share_discovered``) of at
        most 0.05; ``summed_ftv``, sum of differences over sum of totals, with its two-sided
        ``summed_ftv_p_value``; ``spread_p_value``, one-sided, of "every unit has an FTV of 0";
        ``n_sessions``. With fewer than 5 sessions the two p values are NaN. The columns of the
        unit table.

    Raises
    ------
    InputError
        For an unknown task, condition variable or order column, a task against itself, and no
        resample.
    NotApplicableError
        For a deterministic source; tasks or conditions that are defined by earlier trials
        (`nwbcompare.analysis.selectivity.history_variables`); observations of one task that are
        parts of the same trial; and if no unit can be tested, as with each task in one block.

    Warns
    -----
    UnitWarning
        For units that are not tested.

    Notes
    -----
    Statistic: z = (TV_a - TV_b) / sqrt(v_a + v_b), with the variance across conditions at each
    time, averaged over time, corrected for noise, and its sampling variance v
    (`nwbcompare.selectivity.corrected_task_variance`). Its distribution under the null comes from
    residuals that are drawn with replacement within each cell (unit, task, condition), times
    sqrt(n / (n - 1)), around the condition means of each task, scaled to the common corrected
    variance (without tuning where that is not above 0). p = (1 + b) / (1 + B), where b of B
    resamples have at least the absolute z, or the larger p with v at the common variance
    (`nwbcompare.analysis.selectivity.kernels.ftv_null.equal_variances`). Only times that were
    observed in every trial of the unit in a task count. Error rates are in docs/statistics.md.

    Labels permuted between tasks do not test this hypothesis: they reject for any difference in
    rate, noise or preferred condition.

    A drift of gain during the session makes task variances differ where the tasks come in blocks.
    Units are tested where it explains little of z. Drift of the tuning without one of the rate, or
    as fast as the blocks, is not detected.

    The population is tested over sessions, since units of a session are not independent; without
    a column ``session`` every unit counts as one. ``summed_ftv`` has Student's t with an error
    robust to dependence within sessions, and the spread that of sum(difference^2 -
    squared_error).

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block()
    >>> other = block.assign_coords(task=block["task"].copy(data=[1] * 8))
    >>> both = xr.concat([block, other], dim="trial")
    >>> both["task"].attrs["categories"] = '["go", "stay"]'
    >>> both.attrs["condition_variables"] = '{"go": ["direction"], "stay": ["direction"]}'
    >>> ftv_null(both, "go", "stay", n_resamples=19)["p_value"].values.tolist()
    [1.0, 1.0, 1.0]
    """
    check_whole("n_resamples", n_resamples, 1, "Use n_resamples=1000.")
    pair = [_TaskTrials.of(activity, task, conditions, trial_order) for task in (task_a, task_b)]
    if task_a == task_b:
        raise InputError("task_b", "another task", repr(task_b), "Name two tasks.")
    first = pair[0].block
    results = _by_unit(pair, n_resamples, np.random.SeedSequence(seed), n_jobs)
    drifting = np.array([result.drifting for result in results])
    tested = np.array([np.isfinite(result.z) for result in results]) & ~drifting
    _report_untested(first, drifting, tested)
    units = unit_table(first)
    columns = _columns(results, tested, n_resamples)
    return xr.Dataset(
        {
            **columns,
            **_population(columns, tested, units),
        },
        coords=units,
        attrs={
            "analysis": "ftv_null",
            "task_a": task_a,
            "task_b": task_b,
            "conditions": json.dumps(None if conditions is None else list(conditions)),
            "trial_order": trial_order or "",
            "order_known": int(np.isfinite(columns["drift_share"][1]).any()),
            "n_drifting": int(drifting.sum()),
            "seed": seed,
            "n_resamples": n_resamples,
            "name": first.attrs["name"],
            "source": first.attrs["source"],
        },
    )


@dataclass(frozen=True)
class _TaskTrials:
    """The trials of one task, sorted by unit."""

    leaf: str
    block: xr.Dataset
    rate: npt.NDArray[np.float32]
    ragged: bool
    rows: Ints
    bounds: Ints
    number: Ints
    n_conditions: int
    bins: npt.NDArray[np.bool_]
    order: Ints
    """(row,): ascends with unit, session and trial number; empty if the order is unknown."""

    @classmethod
    def of(
        cls,
        activity: Activity,
        task: str,
        conditions: Sequence[str] | None,
        trial_order: str | None,
    ) -> _TaskTrials:
        """Find the trials of a task, and refuse what cannot be resampled."""
        leaf, block = _block_of(activity, task)
        own = condition_variables_of(block)[task] if conditions is None else list(conditions)
        refuse_history(block, [task], own)
        table, condition = condition_table(block, conditions)
        members = np.flatnonzero(table["task"].values == task)
        rows = np.flatnonzero(is_of_task(block, task))
        rate = block["rate"].values
        if not is_ragged(block):
            # a trial in which nothing was recorded has no time in common with the others
            rows = rows[np.isfinite(rate[rows]).any(axis=(1, 2))]
        unit = unit_positions(block)[rows] if is_ragged(block) else np.zeros(rows.size, np.int64)
        sort = np.argsort(unit, kind="stable")
        rows, unit = rows[sort], unit[sort]
        trials = cls(
            leaf,
            block,
            rate,
            is_ragged(block),
            rows,
            np.searchsorted(unit, np.arange(block.sizes["unit"] + 1)),
            condition[rows] - members[0],
            members.size,
            counted_bins(block, task),
            _order(block, rows, unit, trial_order),
        )
        trials._refuse_shared(task)
        return trials

    def _refuse_shared(self, task: str) -> None:
        if np.unique(self.order).size < self.order.size:
            raise NotApplicableError(
                "activity",
                "one observation of each trial",
                f"several observations of task {task!r} with one trial number",
                "Parts of one trial share their noise: select one part of each trial with "
                "nwbcompare.select. If the numbers are no trials, pass trial_order=None.",
            )

    def cells(self, unit: int) -> list[Array] | None:
        """Return the rates of a unit, (trial, time) a condition; None if there are too few."""
        rates, number = self.rates(unit)
        count = np.bincount(number, minlength=self.n_conditions)
        if not rates.shape[1] or count.min() < LEAST_TRIALS:
            return None
        return [rates[number == condition] for condition in range(self.n_conditions)]

    def rates(self, unit: int) -> tuple[Array, Ints]:
        """Return a unit's rates (trial, time) at times that all have, and their conditions."""
        rows = self.of_unit(self.rows, unit)
        rates = self.rate[rows] if self.ragged else self.rate[rows, :, unit]
        rates = rates[:, self.bins]
        observed = np.isfinite(rates).all(axis=0)
        return rates[:, observed].astype(np.float64), self.of_unit(self.number, unit)

    def of_unit(self, values: Ints, unit: int) -> Ints:
        """Select the rows of a unit; all units of a dense block share its trials."""
        if not self.ragged:
            return values
        return values[self.bounds[unit] : self.bounds[unit + 1]]


def _block_of(activity: Activity, task: str) -> tuple[str, xr.Dataset]:
    for leaf, block in blocks(activity).items():
        if task in tasks_of(block):
            if block.attrs["deterministic"]:
                raise NotApplicableError(
                    "activity",
                    "noisy trials",
                    f"the deterministic source {block.attrs['name']!r}",
                    "Without noise FTV is known, and not tested: use fractional_task_variance.",
                )
            return leaf, block
    raise unknown_name("task", task, tasks_of(activity))


def _order(block: xr.Dataset, rows: Ints, unit: Ints, trial_order: str | None) -> Ints:
    columns = columns_on(block, row_dim(block))
    if trial_order is None or (trial_order not in columns and trial_order == "trial_number"):
        return np.empty(0, dtype=np.int64)
    if trial_order not in columns:
        raise unknown_name("trial_order", trial_order, columns)
    place = unit
    for name in ("session", trial_order):
        if name in columns:
            # ranks over all tasks, so that those of two tasks compare
            values, rank = np.unique(columns[name].values, return_inverse=True)
            place = place * values.size + rank.reshape(-1)[rows]
    return place.astype(np.int64)


def _drift(pair: Sequence[_TaskTrials], unit: int) -> Drift:
    """Measure the drift of a unit; unknown without one order of the trials of both tasks."""
    if pair[0].leaf != pair[1].leaf or not all(trials.order.size for trials in pair):
        return UNKNOWN
    order = np.concatenate([trials.of_unit(trials.order, unit) for trials in pair])
    in_order = np.argsort(order)
    if (np.diff(order[in_order]) == 0).any():
        return UNKNOWN
    rates, numbers = zip(*(trials.rates(unit) for trials in pair), strict=True)
    task = np.repeat([0, 1], [len(number) for number in numbers])
    rate = np.concatenate([own.mean(axis=1) for own in rates])
    return slow_drift(rate[in_order], task[in_order], np.concatenate(numbers)[in_order])


class _Unit(NamedTuple):
    """Result of one unit; without a test where it has too few trials or noise."""

    test: EqualVariances | None
    drift: Drift
    n_trials: int

    @property
    def z(self) -> float:
        return np.nan if self.test is None else self.test.z

    @property
    def drift_z(self) -> float:
        """The z that a gain with the drift of the rate gives units with equal variances."""
        if self.test is None or not np.isfinite(self.test.z):
            return np.nan
        total = max(self.test.observed.corrected.sum(), 0.0)
        error = np.sqrt(self.test.observed.squared_error.sum())
        return float(self.drift.gain_difference * total / error)

    @property
    def drifting(self) -> bool:
        """Whether FTV cannot be told from drift; False where the order is unknown."""
        rare = stats.chi2.isf(RARE_ORDER, DEGREE) / max(self.n_trials - 1, 1)
        in_blocks = self.drift.task_share > max(LARGEST_TASK_SHARE, rare)
        return bool(in_blocks or abs(self.drift_z) > LARGEST_DRIFT_Z)


def _by_unit(
    pair: Sequence[_TaskTrials], n_resamples: int, seed: np.random.SeedSequence, n_jobs: int | None
) -> list[_Unit]:
    def test(unit: int, stream: np.random.SeedSequence) -> _Unit:
        drift = _drift(pair, unit)
        cells = [own for own in (trials.cells(unit) for trials in pair) if own is not None]
        if len(cells) < len(pair):
            return _Unit(None, drift, 0)
        result = equal_variances(cells, n_resamples, np.random.default_rng(stream))
        return _Unit(result, drift, sum(len(cell) for own in cells for cell in own))

    n_units = pair[0].block.sizes["unit"]
    with one_thread(), ThreadPoolExecutor(n_jobs or os.cpu_count() or 1) as pool:
        found = pool.map(test, range(n_units), seed.spawn(n_units))
        return list(tqdm(found, desc="units", total=n_units, disable=None))


def _report_untested(
    block: xr.Dataset, drifting: npt.NDArray[np.bool_], tested: npt.NDArray[np.bool_]
) -> None:
    unit = block["unit"].values
    if not tested.any():
        raise NotApplicableError(
            "activity",
            "units with noise, 2 trials of each condition, and no drift that resembles FTV",
            f"{unit.size} others, {int(drifting.sum())} of them with tasks in few blocks or a rate "
            "that drifts between them",
            "Record the tasks in alternation, or in many short blocks.",
        )
    for which, why in (
        (drifting, "have tasks in few blocks or a rate that drifts between them, like FTV"),
        (~tested & ~drifting, f"have fewer than {LEAST_TRIALS} trials of a condition or no noise"),
    ):
        if which.any():
            warnings.warn(
                f"{int(which.sum())} units {why}, and are not tested: "
                f"{listing(unit[which], most=5)}",
                UnitWarning,
                stacklevel=3,
            )


def _columns(
    results: list[_Unit], tested: npt.NDArray[np.bool_], n_resamples: int
) -> dict[str, tuple[str | tuple[str, ...], Array]]:
    n_units = len(results)
    names = ("difference", "total", "squared_error", "z", "p_value", "fractional_task_variance")
    values = np.full((len(names), n_units), np.nan)
    null = np.full((n_resamples, n_units), np.nan)
    for unit, result in enumerate(one.test for one in results):
        if result is None or not tested[unit]:
            continue
        a, b = result.observed.corrected
        squared = result.observed.unbiased_squared_error.sum()
        raw = np.vstack([result.observed.raw, result.raw])
        fraction, _ = fractional_variance(raw[:, 0], raw[:, 1], threshold=0.0)
        values[:, unit] = a - b, a + b, squared, result.z, result.p_value, fraction[0]
        null[:, unit] = fraction[1:]
    by_unit = {name: ("unit", value) for name, value in zip(names, values, strict=True)}
    q_value = adjust_p(by_unit["p_value"][1], "fdr_bh")
    drift = np.array([(one.drift.task_share, one.drift_z) for one in results])
    return {
        **by_unit,
        "q_value": ("unit", q_value),
        "null_ftv": (("resample", "unit"), null),
        "drift_share": ("unit", drift[:, 0]),
        "drift_z": ("unit", drift[:, 1]),
    }


class PopulationTest(NamedTuple):
    """Tests of the FTV of a population.

    Attributes
    ----------
    summed_ftv
        Sum of differences over sum of totals.
    summed_ftv_p_value
        Two-sided, of "it is 0".
    spread_p_value
        One-sided, of "every unit has an FTV of 0".
    n_sessions
        Sessions.
    """

    summed_ftv: float
    summed_ftv_p_value: float
    spread_p_value: float
    n_sessions: int


def population_test(
    difference: Array, total: Array, squared_error: Array, session: npt.NDArray[np.integer]
) -> PopulationTest:
    """Test the FTV of a population of units, with an error robust to dependence within sessions.

    Parameters
    ----------
    difference, total
        ``(unit,)``: difference and sum of the corrected task variances.
    squared_error
        ``(unit,)``: unbiased sampling variance of ``difference``.
    session
        ``(unit,)``: number of each unit's session, from 0.

    Returns
    -------
    PopulationTest
        p values are NaN with fewer than 5 sessions.

    Examples
    --------
    >>> one = np.array([1.0, 3.0, -2.0, 2.5, 1.5])
    >>> population_test(one, np.full(5, 4.0), np.ones(5), np.arange(5)).summed_ftv
    0.3
    """
    n = int(session.max(initial=-1)) + 1
    by_session = [np.bincount(session, values, n) for values in (difference, total)]
    summed = by_session[0].sum() / by_session[1].sum() if total.sum() > 0 else np.nan
    if n < FEWEST_SESSIONS:
        return PopulationTest(float(summed), np.nan, np.nan, n)
    effect = by_session[0].sum() / _session_error(by_session[0] - summed * by_session[1])
    excess = np.bincount(session, difference**2 - squared_error, n)
    spread = excess.sum() / _session_error(excess - excess.mean())
    return PopulationTest(
        float(summed),
        float(2 * stats.t.sf(abs(effect), n - 1)),
        float(stats.t.sf(spread, n - 1)),
        n,
    )


def _session_error(deviation: Array) -> float:
    """Compute the standard error of a sum over sessions."""
    n = deviation.size
    return float(np.sqrt(n / (n - 1) * (deviation**2).sum()))


def _population(
    columns: dict[str, tuple[str | tuple[str, ...], Array]],
    tested: npt.NDArray[np.bool_],
    units: dict[str, xr.DataArray],
) -> dict[str, float]:
    names = ("difference", "total", "squared_error", "p_value", "q_value")
    difference, total, error, p, q = (columns[name][1][tested] for name in names)
    session = units["session"].values[tested] if "session" in units else np.flatnonzero(tested)
    number = np.unique(session, return_inverse=True)[1].reshape(-1)
    return {
        **population_test(difference, total, error, number)._asdict(),
        "n_tested": int(tested.sum()),
        "share_significant": float((p <= LEVEL).mean()),
        "share_discovered": float((q <= LEVEL).mean()),
    }
