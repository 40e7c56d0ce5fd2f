"""Learning of tasks in sequence: performance, forgetting and transfer, and tests over networks.

All measures are computed from training logs, lists of rows from `nwbcompare.model.read_log` with
``step``, ``stage`` (from 0) and ``performance``, the share of correct trials by task.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.checks import check_known, check_whole
from nwbcompare.core.errors import InputError, listing
from nwbcompare.inference.networks import over_networks, warn_of_one_network
from nwbcompare.kernels.intervals import mean_interval

Array = npt.NDArray[np.float64]
Log = Sequence[Mapping[str, Any]]
Stages = Sequence[Sequence[str]]
MEASURES = ("final", "learned", "forgetting", "backward_transfer", "forward_transfer")
TESTED = ("backward_transfer", "forward_transfer")
"""Measures of one training regime that are 0 on average where nothing changes."""
MEAN = "mean of tasks"
INFERRED = ("mean", "mean_low", "mean_high", "p_value")


def performance_matrix(log: Log, stages: Stages) -> xr.Dataset:
    """Return the performance in every task at the end of every stage.

    Parameters
    ----------
    log
        The log of one network, with a row at the end of every stage. The last row of a stage is
        taken as its end, so that training of the last stage must be complete. A row at step 0 is
        the performance before training.
    stages
        The tasks that each stage trains, such as ``(("fdgo",), ("dm1", "dm2"))``. Other tasks of
        the log are ignored.

    Returns
    -------
    xarray.Dataset
        ``performance (stage, task)``; ``before (task)``, NaN for a log without a row at step 0;
        ``step (stage)`` at the end of each stage. ``stage`` is labelled by its tasks; ``trained_in
        (task)`` is the number of the stage that trains the task.

    Raises
    ------
    InputError
        For a task in two stages, a stage without a row after its training, a log of more
        stages, and a log without one of the tasks.

    Examples
    --------
    >>> log = [{"step": 0, "stage": 0, "performance": {"a": 0.1, "b": 0.2}},
    ...        {"step": 9, "stage": 0, "performance": {"a": 0.9, "b": 0.3}},
    ...        {"step": 18, "stage": 1, "performance": {"a": 0.7, "b": 1.0}}]
    >>> performance_matrix(log, [["a"], ["b"]])["performance"].values.tolist()
    [[0.9, 0.3], [0.7, 1.0]]
    """
    curriculum = _Curriculum.of(stages)
    return _matrix(log, curriculum, "log")


def retention(matrix: xr.Dataset) -> xr.Dataset:
    """Compute how well each task was learned and retained, and the transfer between tasks.

    Parameters
    ----------
    matrix
        From `performance_matrix`; of several networks joined along ``network``.

    Returns
    -------
    xarray.Dataset
        By ``task`` (and ``network``): ``final``, performance after the last stage; ``learned``,
        performance after the stage that trains the task; ``forgetting``, the best performance after
        any stage from that one to the last but one, minus final; ``backward_transfer``, final minus
        learned; ``forward_transfer``, performance just before the stage that trains the task, minus
        that before training. ``forgetting`` and ``backward_transfer`` are NaN for tasks of the last
        stage, ``forward_transfer`` for those of the first. ``mean_final`` and so on are means over
        the tasks for which the measure is defined; two tasks of one stage count as two.

    Raises
    ------
    InputError
        For missing values, as in matrices that were joined from different stages.

    Notes
    -----
    Backward and forward transfer, and the mean of final performance, are those of Lopez-Paz and
    Ranzato (2017, Gradient episodic memory, Eqs. 2-4). Forgetting is that of Chaudhry et al. (2018,
    Riemannian walk, Eq. 3), with the best performance taken from the task's own stage on.

    Forgetting includes the best of several measurements, so that noise makes it positive: about
    0.014 for a task with four later stages and a constant performance of 90 % that is measured in
    512 trials. Backward transfer has no such bias, unless the measurement of ``learned`` is the one
    that ended the stage.

    Examples
    --------
    >>> log = [{"step": 9, "stage": 0, "performance": {"a": 0.75, "b": 0.3}},
    ...        {"step": 18, "stage": 1, "performance": {"a": 0.5, "b": 1.0}}]
    >>> found = retention(performance_matrix(log, [["a"], ["b"]]))
    >>> found["forgetting"].values.tolist(), found["mean_final"].item()
    ([0.25, nan], 0.75)
    """
    performance, stage_of_task = matrix["performance"], matrix["trained_in"]
    if performance.isnull().any() or "task" not in stage_of_task.dims or stage_of_task.ndim > 1:
        raise InputError(
            "matrix",
            "the performance in every task after every stage",
            "missing values or networks with other stages",
            "Join matrices of the same stages.",
        )
    place = xr.DataArray(np.arange(matrix.sizes["stage"]), dims="stage")
    # all stages but one are NaN, so that the maximum is its value
    learned = performance.where(place == stage_of_task).max("stage")
    final = performance.isel(stage=-1, drop=True)
    # nothing is trained after the last stage
    later = stage_of_task < matrix.sizes["stage"] - 1
    # before its own stage a task has nothing to forget
    best = performance.where((place >= stage_of_task) & (place < place[-1])).max("stage")
    result = xr.Dataset(
        {
            "final": final,
            "learned": learned,
            "forgetting": best - final,
            "backward_transfer": (final - learned).where(later),
            # NaN for tasks of the first stage, before which no stage was trained
            "forward_transfer": performance.where(place == stage_of_task - 1).max("stage")
            - matrix["before"],
        }
    )
    means = {f"mean_{name}": result[name].mean("task") for name in MEASURES}
    return result.assign(means).assign_attrs(matrix.attrs | {"analysis": "retention"})


def retention_over_networks(
    logs_by_network: Mapping[str, Log], stages: Stages, *, seed: int = 0
) -> xr.Dataset:
    """Compute learning, retention and transfer of several networks, with inference over networks.

    Parameters
    ----------
    logs_by_network
        The log of each network (see `performance_matrix`).
    stages
        The tasks that each stage trains.
    seed
        Seed of the random sign flips that are drawn for 17 networks or more.

    Returns
    -------
    xarray.Dataset
        ``value (measure, network, task)``, the measures of `retention`; ``mean`` over networks with
        Student's 95 % interval ``mean_low``, ``mean_high``, and ``p_value`` of the sign-flip test
        against 0, all ``(measure, task)``; ``p_smallest`` and ``n_networks``. The last label of
        ``task`` is "mean of tasks". NaN where a measure is undefined for a task.

    Raises
    ------
    InputError
        For no networks, a row at step 0 in some logs only, and as `performance_matrix`.

    Warns
    -----
    UserWarning
        For one network: no interval (NaN), and p is 1.

    Notes
    -----
    Only the transfers have p values. A performance of 0 is no null hypothesis, and neither is a
    forgetting of 0: without any forgetting the measure is positive (see `retention`), so that the
    test would reject it everywhere. Forgetting of a task is tested by backward transfer,
    differences in forgetting between training regimes by `compare_retention`. p values are per
    task; that of the mean of tasks is a single test.

    Examples
    --------
    >>> def log(kept):
    ...     return [{"step": 9, "stage": 0, "performance": {"a": 0.75, "b": 0.3}},
    ...             {"step": 18, "stage": 1, "performance": {"a": kept, "b": 1.0}}]
    >>> found = retention_over_networks({"0": log(0.25), "1": log(0.5)}, [["a"], ["b"]])
    >>> found["mean"].sel(measure="backward_transfer", task="a").item()
    -0.375
    """
    curriculum = _Curriculum.of(stages)
    _refuse_none(logs_by_network)
    matrices = {
        name: _matrix(log, curriculum, _subject(name)) for name, log in logs_by_network.items()
    }
    without_start = [name for name, matrix in matrices.items() if matrix["before"].isnull().any()]
    # the mean would be over some networks in one measure and over all in another
    if 0 < len(without_start) < len(matrices):
        raise InputError(
            "logs_by_network",
            "a row at step 0 in every log or in none",
            f"none in those of {listing(without_start, most=5)}",
            "Evaluate every network before its training.",
        )
    by_network = [retention(matrix) for matrix in matrices.values()]
    value = xr.DataArray(
        [[_with_mean(one, measure) for one in by_network] for measure in MEASURES],
        dims=("measure", "network", "task"),
        coords={
            "measure": list(MEASURES),
            "network": list(matrices),
            "task": [*curriculum.tasks, MEAN],
        },
    )
    return _inferred(value, TESTED, seed).assign_attrs(
        analysis="retention_over_networks", stages=curriculum.text, seed=seed
    )


def compare_retention(first: xr.Dataset, second: xr.Dataset, *, seed: int = 0) -> xr.Dataset:
    """Compare two training regimes by paired networks.

    Parameters
    ----------
    first, second
        From `retention_over_networks`, of the same stages. Networks with the same name are paired:
        they have the same initial weights (the same seed), such as a network with plain and with
        protected training.
    seed
        Seed of the random sign flips that are drawn for 17 pairs or more.

    Returns
    -------
    xarray.Dataset
        As `retention_over_networks`, of the differences first minus second; each measure has a
        ``p_value`` of the sign-flip test of no difference.

    Raises
    ------
    InputError
        For networks without a partner, different stages, and forward transfer in one regime only.

    Warns
    -----
    UserWarning
        For one pair: no interval (NaN), and p is 1.

    Notes
    -----
    Unlike forgetting, a difference in forgetting has a p value: noise adds equally to both, if both
    are measured with the same number of trials.

    Examples
    --------
    >>> def log(kept):
    ...     return [{"step": 9, "stage": 0, "performance": {"a": 0.75, "b": 0.3}},
    ...             {"step": 18, "stage": 1, "performance": {"a": kept, "b": 1.0}}]
    >>> plain, kept = (retention_over_networks({"0": log(x), "1": log(x)}, [["a"], ["b"]])
    ...                for x in (0.25, 0.75))
    >>> compare_retention(kept, plain)["mean"].sel(measure="final", task="a").item()
    0.5
    """
    _check_pairs(first, second)
    partner = second["value"].sel(network=first["network"])
    if not np.array_equal(first["value"].isnull(), partner.isnull()):
        raise InputError(
            "second",
            "the measures that first has",
            "performance before any training in one of the two only",
            "Evaluate the networks of both before their training.",
        )
    return _inferred(first["value"] - partner, MEASURES, seed).assign_attrs(
        analysis="compare_retention", stages=first.attrs["stages"], seed=seed
    )


def performance_over_steps(
    logs_by_network: Mapping[str, Log], stages: Stages, *, points_per_stage: int = 20
) -> xr.Dataset:
    """Compute the performance in every task during training, with networks aligned by stage.

    Parameters
    ----------
    logs_by_network
        The log of each network (see `performance_matrix`).
    stages
        The tasks that each stage trains.
    points_per_stage
        Points per stage; 20, more than the evaluations in a stage of the published length (6250
        steps, one every 500).

    Returns
    -------
    xarray.Dataset
        ``performance (network, progress, task)``; ``mean (progress, task)`` over networks and
        Student's 95 % interval ``mean_low``, ``mean_high``, clipped to [0, 1], NaN for one network;
        ``end_step (network, stage)``. ``progress`` is in stages: 0 is before training, 1 the end of
        the first stage, 1.5 half of the steps of the second. ``trained_in (task)`` is the number of
        the stage that trains the task.

    Raises
    ------
    InputError
        As `performance_matrix`, and for no networks.

    Notes
    -----
    Stages of different networks may have different numbers of steps; progress within a stage makes
    them comparable. Performance is interpolated between evaluations. Without a row at step 0,
    points before the first evaluation are NaN.

    Examples
    --------
    >>> log = [{"step": 0, "stage": 0, "performance": {"a": 0.0}},
    ...        {"step": 9, "stage": 0, "performance": {"a": 1.0}}]
    >>> found = performance_over_steps({"0": log}, [["a"]], points_per_stage=2)
    >>> found["performance"].sel(network="0", task="a").values.tolist()
    [0.0, 0.5, 1.0]
    """
    curriculum = _Curriculum.of(stages)
    check_whole("points_per_stage", points_per_stage, 1, "Use points_per_stage=20.")
    _refuse_none(logs_by_network)
    grid = np.arange(len(stages) * points_per_stage + 1) / points_per_stage
    courses, ends = [], []
    for name, log in logs_by_network.items():
        table = _Table.of(log, curriculum.tasks, _subject(name))
        rows = table.ends(curriculum)
        end = table.step[rows]
        # stage n extends from n to n + 1
        reached = np.interp(table.step, [0, *end], np.arange(len(stages) + 1))
        courses.append(_interpolated(grid, reached, table.share))
        ends.append(end)
    performance = np.array(courses)
    return xr.Dataset(
        {
            "performance": (("network", "progress", "task"), performance),
            **_band(performance, ("progress", "task")),
            "end_step": (("network", "stage"), np.array(ends)),
        },
        coords={"network": list(logs_by_network), "progress": grid, **curriculum.coords()},
        attrs={"analysis": "performance_over_steps"},
    )


def learning_curves(
    logs_by_network: Mapping[str, Log], task: str, *, n_trials_per_step: int
) -> xr.Dataset:
    """Compute the performance in one task against training trials, on one grid for all networks.

    Parameters
    ----------
    logs_by_network
        The log of each network.
    task
        The task.
    n_trials_per_step
        Trials per training step (the batch size), which is the same for all networks.

    Returns
    -------
    xarray.Dataset
        ``performance (network, trial)``; ``mean (trial)`` over networks with Student's 95 %
        interval ``mean_low``, ``mean_high``, clipped to [0, 1], NaN for one network; ``ended
        (network)``, the number of trials at which training ended.

    Raises
    ------
    InputError
        For no networks, an unknown task, and logs that begin at different steps.

    Notes
    -----
    The grid consists of all numbers of trials at which any network was evaluated; others are
    interpolated. A network whose training ended at its target keeps its last value from there on,
    since the mean would fall if the best networks were dropped. The last value ended the training,
    so it is biased upwards slightly. Logs of interrupted training cannot be distinguished from
    these and should be left out.

    References
    ----------
    Yang et al. 2019, Fig. 7e.

    Examples
    --------
    >>> def log(*shares):
    ...     return [{"step": 50 * place, "stage": 0, "performance": {"a": share}}
    ...             for place, share in enumerate(shares)]
    >>> curves = learning_curves({"0": log(0.2, 1.0), "1": log(0.2, 0.5, 0.5)}, "a",
    ...                          n_trials_per_step=64)
    >>> curves["trial"].values.tolist(), curves["mean"].values.tolist()
    ([0, 3200, 6400], [0.2, 0.75, 0.75])
    """
    check_whole("n_trials_per_step", n_trials_per_step, 1, "Give the batch size.")
    _refuse_none(logs_by_network)
    tables = {name: _Table.of(log, [task], _subject(name)) for name, log in logs_by_network.items()}
    starts = {name: int(table.step[0]) for name, table in tables.items()}
    if len(set(starts.values())) > 1:
        first_steps = listing([f"{step} ({name})" for name, step in starts.items()], most=5)
        raise InputError(
            "logs_by_network",
            "logs that begin at the same step",
            f"first steps {first_steps}",
            "Evaluate every network before its training.",
        )
    steps = np.unique(np.concatenate([table.step for table in tables.values()]))
    performance = np.array(
        [_interpolated(steps, table.step, table.share)[:, 0] for table in tables.values()]
    )
    return xr.Dataset(
        {
            "performance": (("network", "trial"), performance),
            **_band(performance, ("trial",)),
            "ended": (
                "network",
                [int(table.step[-1]) * n_trials_per_step for table in tables.values()],
            ),
        },
        coords={"network": list(tables), "trial": steps * n_trials_per_step},
        attrs={"analysis": "learning_curves", "task": task, "n_trials_per_step": n_trials_per_step},
    )


def trials_to(curves: xr.Dataset, level: float) -> xr.DataArray:
    """Return the number of trials after which each network first reaches a level of performance.

    Parameters
    ----------
    curves
        From `learning_curves`.
    level
        Share of correct trials, above 0 and at most 1.

    Returns
    -------
    xarray.DataArray
        ``(network)``: the first number of trials of the curve with at least this performance; NaN
        where the level was not reached. Noisy evaluations can exceed the level by chance, so
        compare only networks with the same evaluations.

    Raises
    ------
    InputError
        For a level outside of (0, 1].

    Examples
    --------
    >>> curves = xr.Dataset({"performance": (("network", "trial"), [[0.2, 0.9], [0.2, 0.3]])},
    ...                     coords={"network": ["0", "1"], "trial": [0, 3200]})
    >>> trials_to(curves, 0.9).values.tolist()
    [3200.0, nan]
    """
    if not 0 < level <= 1:
        raise InputError("level", "a share above 0 and at most 1", f"{level}", "Use level=0.9.")
    reached = curves["performance"] >= level
    first = curves["trial"].where(reached).min("trial")
    return first.rename("trials_to").assign_attrs(level=level)


@dataclass(frozen=True)
class _Curriculum:
    """The tasks of the stages, each of them in one."""

    stages: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, stages: Stages) -> _Curriculum:
        alone = [stage for stage in stages if isinstance(stage, str) or not stage]
        if alone or not stages:
            raise InputError(
                "stages",
                "one or more stages, each of one or more tasks",
                repr(stages),
                'Write (("fdgo",), ("dm1", "dm2")).',
            )
        curriculum = cls(tuple(tuple(stage) for stage in stages))
        tasks = curriculum.tasks
        twice = [task for place, task in enumerate(tasks) if task in tasks[:place]]
        if twice:
            raise InputError(
                "stages",
                "every task in one stage only",
                f"{listing(twice)} in two",
                "What a task keeps is measured from its one stage on.",
            )
        return curriculum

    @property
    def tasks(self) -> list[str]:
        return [task for stage in self.stages for task in stage]

    @property
    def labels(self) -> list[str]:
        return [" + ".join(stage) for stage in self.stages]

    @property
    def text(self) -> str:
        return "; ".join(self.labels)

    def coords(self) -> dict[str, Any]:
        trained_in = [place for place, stage in enumerate(self.stages) for _ in stage]
        return {
            "stage": self.labels,
            "task": self.tasks,
            "trained_in": ("task", np.array(trained_in)),
        }


@dataclass(frozen=True)
class _Table:
    """A log as arrays: ``step (row)``, ``stage (row)``, ``share (row, task)``."""

    subject: str
    step: npt.NDArray[np.int64]
    stage: npt.NDArray[np.int64]
    share: Array

    @classmethod
    def of(cls, log: Log, tasks: Sequence[str], subject: str) -> _Table:
        if not log:
            raise InputError(subject, "a row for each evaluation", "none", "Train the network.")
        for row in log:
            check_known(f"task of the {subject}", tasks, row["performance"])
        share = np.array([[row["performance"][task] for task in tasks] for row in log], dtype=float)
        step, stage = (
            np.array([row[name] for row in log], dtype=int) for name in ("step", "stage")
        )
        if (np.diff(step) < 0).any() or (np.diff(stage) < 0).any():
            raise InputError(
                subject,
                "rows in the order of training",
                "steps or stages that go back",
                "Give the log of one run, as read_log gives it.",
            )
        if not ((share >= 0) & (share <= 1)).all():
            raise InputError(
                subject,
                "shares of correct trials between 0 and 1",
                f"from {share.min():g} to {share.max():g}",
                "Do not give percents.",
            )
        return cls(subject, step, stage, share)

    def ends(self, curriculum: _Curriculum) -> list[int]:
        """Return the row at the end of each stage."""
        labels, rows, end = curriculum.labels, [], 0
        if self.stage[-1] >= len(labels):
            raise InputError(
                self.subject,
                f"{len(labels)} stages",
                f"{self.stage[-1] + 1}",
                "Give all stages of the training.",
            )
        for place, label in enumerate(labels):
            # a row before the first step of a stage is not its end
            in_stage = self.stage == place
            after = np.flatnonzero(in_stage & (self.step > end))
            if not after.size and (self.stage > place).any():
                # the stage reached its target before its first step
                after = np.flatnonzero(in_stage)
            if not after.size:
                raise InputError(
                    self.subject,
                    f"a row at the end of stage {place + 1} of {len(labels)} ({label})",
                    f"none; the last row is at step {self.step[-1]}",
                    "Train the network to its end.",
                )
            rows.append(int(after[-1]))
            end = int(self.step[rows[-1]])
        return rows


def _matrix(log: Log, curriculum: _Curriculum, subject: str) -> xr.Dataset:
    table = _Table.of(log, curriculum.tasks, subject)
    rows = table.ends(curriculum)
    untrained = table.step[0] == 0
    return xr.Dataset(
        {
            "performance": (("stage", "task"), table.share[rows]),
            "before": ("task", table.share[0] if untrained else table.share[0] * np.nan),
            "step": ("stage", table.step[rows]),
        },
        coords=curriculum.coords(),
        attrs={"analysis": "performance_matrix"},
    )


def _with_mean(measures: xr.Dataset, measure: str) -> list[float]:
    return [*measures[measure].values, float(measures[f"mean_{measure}"])]


def _inferred(value: xr.DataArray, tested: Sequence[str], seed: int) -> xr.Dataset:
    """Test every measure of every task over networks."""
    # one warning, not one per measure and task
    warn_of_one_network(value.sizes["network"], stacklevel=4)
    inferred = {name: np.full(value.isel(network=0).shape, np.nan) for name in INFERRED}
    smallest = np.nan
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One network", UserWarning)
        for place in np.argwhere(value.notnull().all("network").values):
            row, column = (int(number) for number in place)
            # the same seed in every cell: all are tested by the same sign flips
            cell = over_networks(value[row, :, column], seed=seed)
            for name, numbers in inferred.items():
                numbers[row, column] = cell[name]
            smallest = float(cell["p_smallest"])
    # neither a performance nor a forgetting of 0 is a null hypothesis
    inferred["p_value"][~np.isin(value["measure"].values, tested)] = np.nan
    return xr.Dataset(
        {
            "value": value,
            **{name: (("measure", "task"), numbers) for name, numbers in inferred.items()},
            "p_smallest": smallest,
            "n_networks": value.sizes["network"],
        }
    )


def _check_pairs(first: xr.Dataset, second: xr.Dataset) -> None:
    if first.attrs["stages"] != second.attrs["stages"]:
        raise InputError(
            "second",
            f"the stages of first, {first.attrs['stages']}",
            second.attrs["stages"],
            "Compare training of the same stages.",
        )
    names, others = ([str(name) for name in one["network"].values] for one in (first, second))
    alone = [f"{name} (first)" for name in names if name not in others]
    alone += [f"{name} (second)" for name in others if name not in names]
    if alone:
        raise InputError(
            "second",
            "the networks of first, by the same names",
            f"no partner of {listing(alone)}",
            "Name networks by their seed, and leave out those without a partner.",
        )


def _interpolated(grid: npt.NDArray[Any], at: npt.NDArray[Any], values: Array) -> Array:
    """Interpolate values ``(row, task)`` on a grid.

    NaN before the first row, constant after the last.
    """
    # a stage may begin with an evaluation at the last step of the stage before: keep the later
    places, last = np.unique(at[::-1], return_index=True)
    columns = values[::-1][last].T
    return np.stack([np.interp(grid, places, one, left=np.nan) for one in columns], axis=-1)


def _band(values: Array, dims: tuple[str, ...]) -> dict[str, tuple[tuple[str, ...], Array]]:
    """Compute the mean over networks (first axis) and its 95 % interval within 0 and 1."""
    mean, low, high = mean_interval(values)
    return {
        "mean": (dims, mean),
        # Student's interval may reach beyond a share's range
        "mean_low": (dims, np.maximum(low, 0)),
        "mean_high": (dims, np.minimum(high, 1)),
    }


def _refuse_none(logs_by_network: Mapping[str, Log]) -> None:
    if not logs_by_network:
        raise InputError(
            "logs_by_network", "the log of one or more networks", "none", "Train some networks."
        )


def _subject(name: str) -> str:
    return f"log of {name!r}"
