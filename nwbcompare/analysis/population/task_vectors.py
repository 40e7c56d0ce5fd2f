"""Task vectors: mean population rates in a task, or a condition, at one moment."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.population.kernels.task_vectors import principal_axes
from nwbcompare.analysis.selectivity.condition_means import condition_means
from nwbcompare.core.activity import (
    Activity,
    bins_in,
    blocks,
    columns_on,
    condition_variables_of,
    epoch_bounds,
    epoch_names,
    is_of_task,
    labels,
    row_dim,
    tasks_of,
)
from nwbcompare.core.checks import check_known, check_whole
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)

Moment = Literal["end", "mean"] | float
Missing = Literal["error", "leave_out"]
Array = npt.NDArray[np.float64]

TASK_SETS: dict[str, tuple[str, ...]] = {
    "go": ("fdgo", "fdanti", "delaygo", "delayanti"),
    "context": ("contextdelaydm1", "contextdelaydm2", "contextdm1", "contextdm2"),
    "matching": ("dmsgo", "dmcgo", "dmsnogo", "dmcnogo"),
}
"""The sets of tasks whose vectors Yang et al. 2019 show, by what they share."""
MOMENTS: tuple[str, ...] = ("end", "mean")
VECTOR = {"task": "task_vector", "condition": "condition_vector"}


def task_vectors(
    activity: Activity,
    *,
    epoch: str = "stim1",
    at: Moment = "end",
    tasks: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    missing: Missing = "error",
) -> xr.Dataset:
    """Compute the mean population rates over the conditions of a task, at one moment of an epoch.

    Parameters
    ----------
    activity
        An activity or a block. Yang et al. 2019 ran the test trials with the network's noise:
        ``nwbcompare.record(network, trials, seed=0)``.
    epoch
        The epoch; "stim1" as published.
    at
        "end" (default, as published): the last bin of the epoch. "mean": the mean over the epoch. A
        number: the bin that contains this time (s) after the start of the epoch, or ends there, so
        that tasks with epochs of different durations are compared at the same time after stimulus
        onset.
    tasks
        The tasks; by default all that have the epoch.
    conditions
        Trial columns whose combinations are conditions; by default those of the source. Conditions
        have equal weights, whatever their numbers of trials.
    missing
        Units that lack a condition are an error ("error", default) or left out with a warning
        ("leave_out").

    Returns
    -------
    xarray.Dataset
        ``task_vector (task, unit)`` in the units of the rates; ``n_conditions (task)``;
        ``time_since_start (task)``, the mean of the bins' centres (s) after the start of the epoch;
        the columns of the unit table.

    Raises
    ------
    InputError
        For an unknown task, a named task without the epoch, and a time outside the epoch.
    NotApplicableError
        For no task with the epoch, and units that lack a condition.

    Warns
    -----
    UserWarning
        For tasks that are left out because they lack the epoch.
    UnitWarning
        For units that are left out.

    Notes
    -----
    Yang et al. 2019, Fig. 6 ("task representation"): steady-state responses across conditions.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> task_vectors(example_block())["task_vector"].sizes["unit"]
    3
    """
    parts = [
        _moment_vectors(block, task, [], epoch, at, conditions)
        for block, task in _blocks_with(activity, epoch, tasks)
    ]
    result = _joined(parts, "task", missing)
    return result.assign_attrs(
        _attrs(activity, "task_vectors", epoch, at),
        conditions=json.dumps(None if conditions is None else list(conditions)),
    )


def condition_vectors(
    activity: Activity,
    columns: Sequence[str],
    *,
    epoch: str = "stim1",
    at: Moment = "end",
    tasks: Sequence[str] | None = None,
    missing: Missing = "error",
) -> xr.Dataset:
    """Compute the mean population rates for each combination of some columns, at one moment.

    For a recording whose units were not recorded together these are vectors of a pseudo-population.

    Parameters
    ----------
    activity
        An activity or a block.
    columns
        Trial columns; each combination of their values within a task gets a vector, the mean over
        the conditions of the source that share it, with equal weights.
    epoch, at, tasks, missing
        See `task_vectors`.

    Returns
    -------
    xarray.Dataset
        ``condition_vector (condition, unit)``, with labels such as
        ``"contextdm1 coherence_1_sign=1"`` on ``condition``, and the coordinates ``task`` and the
        columns; the rest as in `task_vectors`.

    Raises
    ------
    InputError
        For no columns or an unknown one, and as `task_vectors`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> condition_vectors(example_block(), ["direction"])["condition"].values[1]
    np.str_('go direction=1.5708')
    """
    if not columns:
        raise InputError("columns", "at least one trial column", "none", "Use task_vectors.")
    parts = [
        _moment_vectors(block, task, list(columns), epoch, at, None)
        for block, task in _blocks_with(activity, epoch, tasks)
    ]
    return _joined(parts, "condition", missing).assign_attrs(
        _attrs(activity, "condition_vectors", epoch, at), columns=json.dumps(list(columns))
    )


def rule_vectors(weights: xr.Dataset, tasks: Sequence[str] | None = None) -> xr.Dataset:
    """Return a network's rule-input weights in the form of task vectors.

    A reference for task vectors, whose geometry may be inherited from these weights.

    Parameters
    ----------
    weights
        ``input_weight (input_channel, unit)``, where the channel ``rule_TASK`` is that of a
        task's rule.
    tasks
        The tasks; by default all that have a channel.

    Returns
    -------
    xarray.Dataset
        ``task_vector (task, unit)``, and the unit table.

    Raises
    ------
    InputError
        For a task without a rule channel.
    NotApplicableError
        For weights without rule channels.

    Examples
    --------
    >>> import xarray as xr
    >>> weights = xr.Dataset(
    ...     {"input_weight": (("input_channel", "unit"), [[0.0, 1.0], [2.0, 3.0]])},
    ...     coords={"input_channel": ["fixation", "rule_fdgo"], "unit": ["h0", "h1"]})
    >>> rule_vectors(weights)["task_vector"].sel(task="fdgo").values.tolist()
    [2.0, 3.0]
    """
    prefix = "rule_"
    channels = [str(name) for name in weights["input_channel"].values]
    places = {
        name.removeprefix(prefix): place
        for place, name in enumerate(channels)
        if name.startswith(prefix)
    }
    selection = list(places if tasks is None else tasks)
    check_known("tasks", selection, places)
    if not selection:
        raise NotApplicableError(
            "weights", "channels rule_TASK", "none", "Use the weights of a network with rules."
        )
    rows = weights["input_weight"].transpose("input_channel", "unit")
    values = rows.values[[places[task] for task in selection]].astype(np.float64)
    return xr.Dataset(
        {"task_vector": (("task", "unit"), values, {"units": "1"})},
        coords={"task": selection, **columns_on(weights, "unit")},
        attrs={
            **{name: weights.attrs[name] for name in ("name", "source") if name in weights.attrs},
            "analysis": "rule_vectors",
        },
    )


def task_space(vectors: xr.Dataset, tasks: Sequence[str], *, n_axes: int = 2) -> xr.Dataset:
    """Compute the axes along which a set of tasks (or conditions) differs most.

    Parameters
    ----------
    vectors
        From `task_vectors`, `condition_vectors` or `rule_vectors`.
    tasks
        The set, such as one of `TASK_SETS`. As published, the first lies on +x and the second at
        y > 0, so that networks can be superimposed.
    n_axes
        Number of axes; 2. The rotation is within the first two; the others are principal
        components.

    Returns
    -------
    xarray.Dataset
        ``position (task, axis)`` relative to the mean of the set; ``loading (unit, axis)``,
        orthonormal; ``centre (unit)``; ``explained_variance (component)``, the shares of the
        principal components before the rotation; ``shown_variance``, the share of the axes.

    Raises
    ------
    InputError
        For unknown or repeated tasks.
    NotApplicableError
        For tasks that span fewer axes.

    Notes
    -----
    Yang et al. 2019, Fig. 6: principal components of the task vectors of the set, for each network.

    Examples
    --------
    >>> import xarray as xr
    >>> vectors = xr.Dataset(
    ...     {"task_vector": (("task", "unit"), [[0.0, 0.0], [0.0, 2.0], [1.0, 0.0]])},
    ...     coords={"task": ["a", "b", "c"], "unit": ["u0", "u1"]})
    >>> space = task_space(vectors, ["a", "b", "c"])
    >>> float(space["position"].sel(task="a", axis="y").round(6)) + 0
    0.0
    """
    dim, values = vectors_of(vectors, tasks)
    position, axes, shares = principal_axes(values, max(1, n_axes))
    # a share of rounding errors is no axis
    spanned = int((shares > 1e-12).sum())
    check_whole("n_axes", n_axes, 1, "Use n_axes=2.")
    if n_axes > spanned:
        raise NotApplicableError(
            "vectors",
            f"vectors that differ along {n_axes} axes",
            f"{spanned} axes spanned by {listing(tasks)}",
            "Use fewer axes, or more tasks.",
        )
    units = {"units": vectors[VECTOR[dim]].attrs.get("units", "1")}
    return xr.Dataset(
        {
            "position": ((dim, "axis"), position, units),
            "loading": (("unit", "axis"), axes.T),
            "centre": ("unit", values.mean(axis=0), units),
            "explained_variance": ("component", shares),
            "shown_variance": shares[:n_axes].sum(),
        },
        coords={
            dim: list(tasks),
            "axis": [*"xyz", *map(str, range(4, n_axes + 1))][:n_axes],
            "component": np.arange(1, shares.size + 1),
            **columns_on(vectors, "unit"),
        },
        attrs={**vectors.attrs, "analysis": "task_space"},
    )


def vectors_of(vectors: xr.Dataset, names: Sequence[str]) -> tuple[str, Array]:
    """Return the dimension that vectors are labelled on, and the vectors of some names.

    Parameters
    ----------
    vectors
        From `task_vectors`, `condition_vectors` or `rule_vectors`.
    names
        Different tasks or conditions.

    Returns
    -------
    dim : str
        "task" or "condition".
    values : numpy.ndarray
        ``(name, unit)``, float64.

    Raises
    ------
    InputError
        For a name that is not there or comes twice, and a dataset without vectors.

    Examples
    --------
    >>> vectors = xr.Dataset({"task_vector": (("task", "unit"), [[0.0, 1.0], [2.0, 3.0]])},
    ...                      coords={"task": ["a", "b"]})
    >>> vectors_of(vectors, ["b"])
    ('task', array([[2., 3.]]))
    """
    dims = [dim for dim, variable in VECTOR.items() if variable in vectors]
    if not dims:
        raise InputError(
            "vectors",
            f"one of {listing(VECTOR.values())}",
            listing(vectors.data_vars),
            "Make them with task_vectors, condition_vectors or rule_vectors.",
        )
    dim, variable = dims[0], VECTOR[dims[0]]
    labels = [str(name) for name in vectors[dim].values]
    check_known(dim, names, labels)
    if len(set(names)) < len(names):
        raise InputError(f"{dim}s", "different ones", listing(names), "Name each once.")
    places = [labels.index(name) for name in names]
    values: Array = vectors[variable].transpose(dim, "unit").values[places].astype(np.float64)
    return dim, values


def _blocks_with(
    activity: Activity, epoch: str, tasks: Sequence[str] | None
) -> list[tuple[xr.Dataset, str]]:
    """Return each selected task that has the epoch, with its block."""
    where = {task: block for block in blocks(activity).values() for task in tasks_of(block)}
    selection = list(where if tasks is None else tasks)
    check_known("tasks", selection, where)
    if not selection:
        raise InputError("tasks", "at least one task", "none", "Name them, e.g. 'fdgo'.")
    lacking = [t for t in selection if epoch_bounds(where[t], epoch, _rows(where[t], t)) is None]
    if lacking and (tasks is not None or len(lacking) == len(selection)):
        epochs = _epochs(where[lacking[0]], lacking[0])
        error = unknown_name(f"epoch of {listing(lacking)}", epoch, epochs)
        # unless tasks were named, it is a property of the source
        raise error if tasks is not None else NotApplicableError(*error.args)
    if lacking:
        warnings.warn(f"{listing(lacking)} left out: no epoch {epoch!r}", UserWarning, stacklevel=3)
    return [(where[task], task) for task in selection if task not in lacking]


def _rows(block: xr.Dataset, task: str) -> npt.NDArray[np.bool_]:
    rows: npt.NDArray[np.bool_] = is_of_task(block, task)
    return rows


def _epochs(block: xr.Dataset, task: str) -> list[str]:
    """Return the epochs that a task has."""
    names = epoch_names(block)
    if "epoch" not in block.coords:
        return names
    present = np.isfinite(block["epoch_start_time"].values[_rows(block, task)]).any(axis=0)
    return [name for name, is_there in zip(names, present, strict=True) if is_there]


def _moment_vectors(
    block: xr.Dataset,
    task: str,
    columns: list[str],
    epoch: str,
    at: Moment,
    conditions: Sequence[str] | None,
) -> xr.Dataset:
    """Compute the vectors of a task, one per combination of the columns, on ``condition``."""
    rows = _rows(block, task)
    bins, since = _bins_at(block, epoch, rows, at)
    part = block.isel({row_dim(block): np.flatnonzero(rows), "time": np.flatnonzero(bins)})
    variables = condition_variables_of(block)[task] if conditions is None else list(conditions)
    # columns first, so that conditions with the same values of them are adjacent
    means = condition_means(part, conditions=list(dict.fromkeys([*columns, *variables])))
    names = _names(task, means, columns)
    groups = {name: names == name for name in dict.fromkeys(names.tolist())}
    first = [int(np.argmax(members)) for members in groups.values()]
    # a unit that was not observed in every bin lacks the condition
    rate = means["rate_mean"].mean("time", skipna=False).transpose("condition", "unit").values
    return xr.Dataset(
        {
            "vector": (
                ("condition", "unit"),
                np.stack([rate[members].mean(axis=0) for members in groups.values()]),
                {"units": block["rate"].attrs["units"]},
            ),
            "n_conditions": ("condition", [int(members.sum()) for members in groups.values()]),
            "time_since_start": ("condition", np.full(len(groups), since), {"units": "s"}),
        },
        coords={
            "condition": list(groups),
            "task": ("condition", [task] * len(groups)),
            **{name: ("condition", means[name].values[first]) for name in columns},
            **columns_on(block, "unit"),
        },
    )


def _names(task: str, means: xr.Dataset, columns: Sequence[str]) -> npt.NDArray[np.str_]:
    names = [task] * means.sizes["condition"]
    for column in columns:
        values = means[column].values.tolist()
        texts = [value if isinstance(value, str) else f"{value:g}" for value in values]
        names = [f"{name} {column}={text}" for name, text in zip(names, texts, strict=True)]
    return np.array(names)


def _bins_at(
    block: xr.Dataset, epoch: str, rows: npt.NDArray[np.bool_], at: Moment
) -> tuple[npt.NDArray[np.bool_], float]:
    """Return the time bins of a moment, and their mean time (s) after the start of the epoch."""
    if isinstance(at, str) and at not in MOMENTS:
        raise unknown_name("at", at, [*MOMENTS, "a number (s)"])
    bounds = epoch_bounds(block, epoch, rows)
    assert bounds is not None  # noqa: S101 - tasks without the epoch were left out
    start, stop = bounds
    time_s, width = block["time"].values, block["time"].attrs["bin_width_s"]
    inside = bins_in(time_s, start, stop, width)
    if at == "end":
        bins = inside & (np.cumsum(inside) == inside.sum())
    elif at == "mean":
        bins = inside
    else:
        moment = start + at
        bins = inside & bins_in(time_s, moment - width / 2, moment + width / 2, width)
    if not bins.any():
        raise InputError(
            "at",
            f"a time (s) above 0 and up to {stop - start:g}, the length of epoch {epoch!r} of "
            f"{listing(np.unique(labels(block['task'])[rows]))}",
            repr(at),
            "Compare tasks at a time that lies in the epochs of all.",
        )
    return bins, float(time_s[bins].mean()) - start


def _joined(parts: list[xr.Dataset], dim: str, missing: Missing) -> xr.Dataset:
    """Join the vectors of all tasks on a dim, treating units that lack some as is wished."""
    units = parts[0]["unit"].values
    for part in parts[1:]:
        if not np.array_equal(part["unit"].values, units):
            raise InputError(
                "activity", "the same units in every block", "others", "Select units in common."
            )
    table = xr.concat(parts, dim="condition", coords="minimal", compat="override", join="override")
    lacking = np.isnan(table["vector"].values).any(axis=0)
    if lacking.any():
        _refuse_or_warn(units[lacking], everything=bool(lacking.all()), missing=missing)
        table = table.isel(unit=np.flatnonzero(~lacking))
    if dim == "task":
        table = table.drop_vars("condition").swap_dims(condition="task")
    return table.rename(vector=VECTOR[dim])


def _refuse_or_warn(units: npt.NDArray[np.str_], *, everything: bool, missing: Missing) -> None:
    names = f"{len(units)} that were not: {listing(units, most=5)}"
    if everything or missing == "error":
        raise NotApplicableError(
            "activity",
            "units that were observed in every condition at that moment",
            names,
            "Ask for fewer tasks or columns, or for another moment."
            if everything
            else "Leave them out with missing='leave_out'.",
        )
    warnings.warn(
        f"units observed in every condition are kept; left out are {names}",
        UnitWarning,
        stacklevel=4,
    )


def _attrs(activity: Activity, analysis: str, epoch: str, at: Moment) -> dict[str, Any]:
    first = next(iter(blocks(activity).values()))
    source = ("name", "source", "deterministic", "provenance")
    attrs = {name: first.attrs[name] for name in source}
    return attrs | {"analysis": analysis, "epoch": epoch, "at": at}
