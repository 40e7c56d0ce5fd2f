"""Trials of a recording, their conditions and noise: what matched sampling takes from it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_means, condition_table
from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.comparison.protocol_mapping import Choice
from nwbcompare.comparison.spike_variability import dispersion, recorded_block, smoothing_of
from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    Activity,
    bins_in,
    columns_on,
    condition_variables_of,
    epoch_bounds,
    epoch_names,
    is_of_task,
    labels,
    make_block,
    row_dim,
    tasks_of,
)
from nwbcompare.core.epochs import with_window_epoch
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)
from nwbcompare.core.observations import observations
from nwbcompare.kernels.binning import smoothing_matrix

Array = npt.NDArray[np.float64]


class Correspondence(Protocol):
    """Which trials of a recording a model is compared in.

    `nwbcompare.comparison.ProtocolMapping` is one to conditions that a network is shown,
    `nwbcompare.comparison.ConditionMatch` one to conditions of a model's activity.

    Attributes
    ----------
    origin
        The file, for messages.
    tasks
        The model's task for each recorded task.
    epoch
        The recorded epoch.
    choice
        The column of the choice; None if choices are not sampled.
    shown
        Other trial columns to keep where the recording has them.
    """

    @property
    def origin(self) -> str: ...  # noqa: D102 - above
    @property
    def tasks(self) -> Mapping[str, str]: ...  # noqa: D102 - above
    @property
    def epoch(self) -> str: ...  # noqa: D102 - above
    @property
    def choice(self) -> Choice | None: ...  # noqa: D102 - above
    @property
    def shown(self) -> tuple[str, ...]: ...  # noqa: D102 - above

    def columns_of(self, task: str) -> Mapping[str, str]:
        """Return the recorded trial columns of a task's conditions, by their key in the file."""

    def parameters(self) -> dict[str, Any]:
        """Return the correspondence as plain values, for provenance."""


@dataclass(frozen=True)
class RecordedTrials:
    """A recording as rows of one unit and trial, with their conditions.

    Attributes
    ----------
    block
        The rows, ragged, of the tasks and the epoch that are compared.
    detailed
        The block, whose conditions are those that a model is shown; they may be finer than the
        recording's own, such as the coherences beside their signs.
    correspondence
        Which trials and epoch these are.
    table, condition
        The detailed conditions, and the condition of each row.
    means
        Means of the rates over them, from `nwbcompare.selectivity.condition_means`.
    smooth_s, smoothing
        Standard deviation (s) of the Gaussian smoothing, and its matrix ``(bin, bin)``.
    """

    block: xr.Dataset
    detailed: xr.Dataset
    correspondence: Correspondence
    table: xr.Dataset
    condition: npt.NDArray[np.int64]
    means: xr.Dataset
    smooth_s: float
    smoothing: Array

    @classmethod
    def of(
        cls, recording: Activity, correspondence: Correspondence, smooth_s: float | None = None
    ) -> RecordedTrials:
        """Select the rows of a recording that have a counterpart.

        Parameters
        ----------
        recording
            A recording of one block, in spikes/s, ragged or dense.
        correspondence
            Which trials and epoch.
        smooth_s
            Standard deviation (s) of the recording's smoothing; by default that of its provenance.

        Raises
        ------
        InputError
            For columns, tasks or epochs that the recording lacks, epochs with other bounds from
            trial to trial, and an unknown smoothing.
        NotApplicableError
            For rates without noise, and an epoch with other bounds in each task or without a bin.
        """
        whole = recorded_block(recording)
        block = _rows_of(cut_to_correspondence(whole, correspondence))
        sd_s = smoothing_of(whole, smooth_s)
        variables = {
            task: list(dict.fromkeys(correspondence.columns_of(task).values()))
            for task in tasks_of(block)
        }
        detailed = block.assign_attrs(condition_variables=json.dumps(variables))
        table, condition = condition_table(detailed)
        width = block["time"].attrs["bin_width_s"]
        return cls(
            block=block,
            detailed=detailed,
            correspondence=correspondence,
            table=table,
            condition=condition,
            means=condition_means(detailed),
            smooth_s=sd_s,
            smoothing=smoothing_matrix(block.sizes["time"], sd_s / width),
        )

    @cached_property
    def unit(self) -> npt.NDArray[np.int64]:
        """Place of each row's unit in the unit table ``(row,)``."""
        return self.block["observation_unit"].values.astype(np.int64)

    @cached_property
    def n_trials(self) -> Array:
        """Trials of each unit, condition and bin ``(unit, condition, bin)``."""
        return self.means["n_trials"].values.astype(np.float64)

    @cached_property
    def fano_factor(self) -> Array:
        """Fano factor of each unit's counts ``(unit,)``."""
        fano: Array = dispersion(self.detailed, smooth_s=self.smooth_s)["fano_factor"].values
        return fano

    @cached_property
    def mean_rate(self) -> Array:
        """Mean rate of each unit over its trials ``(unit,)``, in spikes/s."""
        return self.average(np.nan_to_num(self.means["rate_mean"].values))

    @cached_property
    def strength(self) -> Array:
        """Strength of tuning: sum over tasks of each unit's corrected task variance ``(unit,)``.

        `nwbcompare.selectivity.corrected_task_variance` computes the same with a standard error,
        which takes longer.
        """
        strength = np.zeros(self.block.sizes["unit"])
        for _, means, bins in means_by_task(self.block):
            mean, noise = (
                means[name].values[:, :, bins] for name in ("rate_mean", "mean_variance")
            )
            variance, of_noise = variance_and_noise(mean, noise)
            strength += variance - of_noise
        unknown = self.block["unit"].values[np.isnan(strength)]
        if unknown.size:
            raise NotApplicableError(
                "recording",
                "at least 2 trials in every condition of every unit, for equal tuning",
                f"{unknown.size} units with fewer: {listing(unknown, most=5)}",
                "Leave them out with nwbcompare.select(recording, units=...), or use match='rate'.",
            )
        return strength

    @cached_property
    def task(self) -> npt.NDArray[np.int64]:
        """Index of each row's task ``(row,)``."""
        _, of_condition = np.unique(self.table["task"].values, return_inverse=True)
        return of_condition[self.condition].astype(np.int64)

    @cached_property
    def scatter_by_task(self) -> tuple[Array, Array]:
        """Fano factors and gain variances of each unit in each task, both ``(unit, task)``."""
        by_task = []
        for task in range(int(self.task.max()) + 1):
            block = self.detailed.isel(observation=np.flatnonzero(self.task == task))
            with warnings.catch_warnings():
                # units that are silent in a task get no noise there, and FTV names silent units
                warnings.simplefilter("ignore", UnitWarning)
                by_task.append(dispersion(block, smooth_s=self.smooth_s))
        fano, gain = (
            np.stack([one[name].values for one in by_task], axis=1)
            for name in ("fano_factor", "gain_variance")
        )
        # without a spike in a task nothing is known of its noise: Poisson
        return np.nan_to_num(fano, nan=1.0), np.nan_to_num(gain)

    @property
    def bin_width_s(self) -> float:
        """Width of a bin (s)."""
        return float(self.block["time"].attrs["bin_width_s"])

    @property
    def edges(self) -> Array:
        """Edges of the bins (s)."""
        half = self.bin_width_s / 2
        return np.append(self.block["time"].values - half, self.block["time"].values[-1] + half)

    @property
    def epoch(self) -> tuple[float, float]:
        """Start and stop of the epoch (s), the same in all rows."""
        start, stop = (self.block[f"epoch_{w}_time"].values[0, 0] for w in ("start", "stop"))
        return float(start), float(stop)

    @property
    def epochs(self) -> dict[str, tuple[Array, Array]]:
        """The only epoch with its bounds (s) in each row."""
        return _epoch_of(self.block)

    def average(self, rates: Array) -> Array:
        """Average rates ``(unit, condition, bin)`` over each unit's trials ``(unit,)``."""
        n = self.n_trials
        average: Array = (n * rates).sum(axis=(1, 2)) / n.sum(axis=(1, 2))
        return average

    def strength_of(self, rates: Array) -> Array:
        """Compute `strength` of units that have other mean rates in these trials.

        Parameters
        ----------
        rates
            Mean rate ``(unit, condition, bin)`` of every trial of a condition.
        """
        strength, groups = np.zeros(len(rates)), self._pooled
        for place in groups.values():
            n = self.n_trials[:, place.conditions]
            here = rates[:, place.conditions]
            total = np.einsum("uct,cg->ugt", n, place.members)
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = np.einsum("uct,cg->ugt", n * here, place.members) / total
                squares = np.einsum("uct,cg->ugt", n * here**2, place.members) - total * mean**2
                noise = squares.clip(0) / (total - 1) / total
            variance, of_noise = variance_and_noise(mean[..., place.bins], noise[..., place.bins])
            strength += variance - of_noise
        return strength

    @cached_property
    def _pooled(self) -> dict[str, _Pooled]:
        """Conditions of the recording, as sets of detailed conditions, by task."""
        rows = np.unique(self.condition, return_index=True)[1]
        _, own = condition_table(self.block)
        pooled = {}
        for task, _, bins in means_by_task(self.block):
            conditions = np.flatnonzero(self.table["task"].values == task)
            _, code = np.unique(own[rows[conditions]], return_inverse=True)
            pooled[task] = _Pooled(conditions, np.eye(code.max() + 1)[code], bins)
        return pooled


@dataclass(frozen=True)
class _Pooled:
    """Detailed conditions of a task, their membership ``(detailed, own)``, and bins that count."""

    conditions: npt.NDArray[np.int64]
    members: Array
    bins: npt.NDArray[np.bool_]


def variance_and_noise(mean: Array, noise: Array) -> tuple[Array, Array]:
    """Compute each unit's variance over conditions, and how much of it is noise, each ``(unit,)``.

    The expected variance of C noisy means exceeds that of the true means by (C - 1) / C times
    their mean squared standard error.

    Parameters
    ----------
    mean, noise
        Condition means and their squared standard errors ``(unit, condition, bin)``.

    Examples
    --------
    >>> variance_and_noise(np.array([[[1.0], [3.0]]]), np.array([[[0.5], [0.5]]]))
    (array([1.]), array([0.25]))
    """
    share = (mean.shape[1] - 1) / mean.shape[1]
    return mean.var(axis=1).mean(axis=1), share * noise.mean(axis=(1, 2))


def cut_to_correspondence(block: xr.Dataset, correspondence: Correspondence) -> xr.Dataset:
    """Select the trials of the tasks, and the bins of its epoch."""
    block = with_window_epoch(block)
    recorded_tasks = tasks_of(block)
    tasks = [task for task in correspondence.tasks if task in recorded_tasks]
    if not tasks:
        raise InputError(
            f"{correspondence.origin}, tasks",
            f"at least one of the recording's tasks: {listing(recorded_tasks)}",
            listing(correspondence.tasks),
            "Write each recorded task with the network's, "
            f"e.g. tasks: {{{recorded_tasks[0]}: contextdm1}}.",
        )
    _check_columns(block, correspondence, tasks)
    bounds = {task: _bounds(block, correspondence, task) for task in tasks}
    (start, stop), *others = bounds.values()
    width = block["time"].attrs["bin_width_s"]
    if any(not np.allclose(other, (start, stop), atol=EPOCH_TOLERANCE * width) for other in others):
        raise NotApplicableError(
            f"epoch {correspondence.epoch!r}",
            "the same bounds in all tasks",
            listing(f"{a:g} to {b:g} s in {task!r}" for task, (a, b) in bounds.items()),
            f"Align the trials first: nwbcompare.align(recording, {correspondence.epoch!r}).",
        )
    bins = bins_in(block["time"].values, start, stop, width)
    if not bins.any():
        raise NotApplicableError(
            f"epoch {correspondence.epoch!r}",
            "at least one bin in it",
            "none",
            "Read narrower bins.",
        )
    places = [list(block["epoch"].values).index(correspondence.epoch)]
    cut = block if bins.all() else block.isel(time=bins)
    return _of_tasks(cut.isel(epoch=places), tasks, recorded_tasks)


def _of_tasks(block: xr.Dataset, tasks: list[str], known: list[str]) -> xr.Dataset:
    if len(tasks) < len(known):
        rows = np.flatnonzero(np.isin(labels(block["task"]), tasks))
        block = block.isel({row_dim(block): rows})
    return block


def _check_columns(block: xr.Dataset, correspondence: Correspondence, tasks: list[str]) -> None:
    columns = columns_on(block, row_dim(block))
    for task in tasks:
        for key, column in correspondence.columns_of(task).items():
            if column not in columns:
                raise unknown_name(f"{correspondence.origin}, {key}", column, columns)


def _bounds(block: xr.Dataset, correspondence: Correspondence, task: str) -> tuple[float, float]:
    bounds = epoch_bounds(block, correspondence.epoch, is_of_task(block, task))
    if bounds is None:
        where = f"{correspondence.origin}, epoch.recording"
        raise unknown_name(where, correspondence.epoch, epoch_names(block))
    return bounds


def _rows_of(block: xr.Dataset) -> xr.Dataset:
    """Return a recording as ragged rows of one unit and trial, without units that have none."""
    rates, unit, trial = observations(block)
    row = row_dim(block)
    if row == "trial" or len(trial) < block.sizes[row]:
        table = block.drop_vars("rate").isel({row: trial})
    else:
        table = block
    observed = np.unique(unit)
    block, unit = block.isel(unit=observed), np.searchsorted(observed, unit)
    columns = {name: column.variable for name, column in columns_on(table, row).items()}
    columns.pop("observation_unit", None)
    if row == "trial":
        columns["observation_trial"] = xr.Variable(row, trial.astype(np.int32))
    units = {name: column.values for name, column in columns_on(block, "unit").items()}
    if "session" in columns and "session" not in units:
        # archives have the session as a column of trials
        units["session"] = _session_of_units(table["session"], unit, block.sizes["unit"])
    return make_block(
        rates,
        time_s=block["time"].values,
        bin_width_s=block["time"].attrs["bin_width_s"],
        aligned_to=block["time"].attrs["aligned_to"],
        trials={name: values for name, values in columns.items() if name not in units},
        units={name: values for name, values in units.items() if name != "unit_key"},
        observation_unit=unit,
        epochs=_epoch_of(table),
        condition_variables={
            task: names
            for task, names in condition_variables_of(block).items()
            if task in tasks_of(block)
        },
        source="recording",
        name=block.attrs["name"],
        provenance=json.loads(block.attrs["provenance"]),
    )


def _epoch_of(block: xr.Dataset) -> dict[str, tuple[Array, Array]]:
    """Return the only epoch of a block with its bounds (s) in each row."""
    start, stop = (block[f"epoch_{which}_time"].values[:, 0] for which in ("start", "stop"))
    return {str(block["epoch"].values[0]): (start, stop)}


def _session_of_units(
    column: xr.DataArray, unit: npt.NDArray[np.int64], n_units: int
) -> npt.NDArray[np.str_]:
    names = labels(column).astype(str)
    sessions = np.full(n_units, "", dtype=names.dtype)
    sessions[unit] = names
    return sessions
