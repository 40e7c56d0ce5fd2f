"""Match of a recording's conditions with those of a model's activity.

Conditions of one name and equal values need nothing written. Otherwise a match is a dict or a YAML
file, in which recorded names and values come first::

    tasks: {motion: dm1, colour: dm2}          # by default tasks of the same name
    conditions:
      side: {left: -1, right: 1}               # the model's values in a column of the same name
      coherence: strength                      # the model's column, with the same values
      hue: {column: colour, values: {green: 1, red: -1}}
      contrast: {column: strength, by: rank}   # ordered values, the lowest with the lowest
    epoch: {recording: dots, model: stim1, latency_ms: 100}    # by default the one of both
    stretch: true                              # epochs that differ more than 1.25-fold in length
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nwbcompare.comparison.spike_variability import recorded_block
from nwbcompare.core.activity import (
    Activity,
    blocks,
    columns_on,
    condition_variables_of,
    epoch_names,
    is_of_task,
    is_text,
    labels,
    row_dim,
    tasks_of,
)
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.yaml_lines import line_of, parse_yaml

KEYS = frozenset({"tasks", "conditions", "epoch", "stretch"})
PARTNER_KEYS = frozenset({"column", "values", "by"})
MOST_STRETCH = 1.25
"""Ratio of the lengths of two epochs up to which times are stretched without being asked to."""
_ANGLE = re.compile("direction|angle|orient|degree|phase", re.IGNORECASE)
_ANGLE_UNITS = frozenset({"rad", "radian", "radians", "deg", "degree", "degrees"})
_KNOWN_KEYS_ONLY = ConfigDict(extra="forbid", frozen=True)
Values = npt.NDArray[Any]


def _written_out(value: Any) -> Any:
    """Return a partner with its keys, of a column's name or a table of values alone."""
    if isinstance(value, str):
        return {"column": value}
    if isinstance(value, Mapping) and not PARTNER_KEYS & {str(key) for key in value}:
        return {"values": dict(value)}
    return value


class _Partner(BaseModel):
    """The model's column and values for those of a recorded column."""

    model_config = _KNOWN_KEYS_ONLY
    column: str | None = Field(default=None, min_length=1)
    values: dict[Any, Any] | None = Field(default=None, min_length=1)
    by: Literal["value", "rank"] = "value"


class _Epoch(BaseModel):
    model_config = _KNOWN_KEYS_ONLY
    recording: str | None = Field(default=None, min_length=1)
    model: str | None = Field(default=None, min_length=1)
    latency_ms: float = Field(default=0.0, allow_inf_nan=False, strict=True)


class _File(BaseModel):
    """The keys of a match."""

    model_config = _KNOWN_KEYS_ONLY
    tasks: dict[str, str] | None = Field(default=None, min_length=1)
    conditions: dict[str, Annotated[_Partner, BeforeValidator(_written_out)]] = Field(
        default_factory=dict
    )
    epoch: _Epoch = _Epoch()
    stretch: Annotated[bool, Field(strict=True)] = False


_EXPECTED = {
    "tasks": ("recorded tasks, each with the model's", "tasks: {motion: dm1}"),
    "conditions": (
        "for a recorded column the model's column, or the model's values",
        "conditions: {coherence: strength, side: {left: -1, right: 1}}",
    ),
    "epoch": ("the recorded epoch and the model's", "epoch: {recording: dots, model: stim1}"),
    "stretch": ("true or false", "stretch: true"),
}


@dataclass(frozen=True, kw_only=True)
class ConditionMatch:
    """Conditions of a recording as conditions of a model's activity.

    Attributes
    ----------
    origin
        The file, for messages.
    tasks
        The model's task for each recorded task.
    columns
        For each recorded task, the model's column for each recorded column.
    values
        For each recorded task and column, the model's value for each recorded value.
    epoch, model_epoch
        The recorded epoch that is sampled, and the model's that corresponds to it; "window" is the
        whole time axis where no epochs are named.
    latency_ms
        Delay (ms) of neuronal responses: bins of the recorded epoch are compared with the model's
        times so much earlier.
    stretch
        Whether epochs may differ more than 1.25-fold in length.
    notes
        Sentences on what has no partner.
    """

    origin: str
    tasks: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]
    values: Mapping[str, Mapping[str, Mapping[Any, Any]]]
    epoch: str
    model_epoch: str
    latency_ms: float = 0.0
    stretch: bool = False
    notes: tuple[str, ...] = ()
    choice: None = field(default=None, init=False)
    shown: tuple[str, ...] = field(default=(), init=False)

    def columns_of(self, task: str) -> dict[str, str]:
        """Return the recorded trial columns of a task's conditions, by their key in the file."""
        return {f"conditions.{column}": column for column in self.columns[task]}

    def at_latency(self, latency_ms: float) -> ConditionMatch:
        """Return the match at another latency of the neurons (ms)."""
        return replace(self, latency_ms=latency_ms)

    def parameters(self) -> dict[str, Any]:
        """Return the match as plain values, for a file's provenance."""
        table = asdict(self) | {"kind": "match"}
        table["values"] = {
            task: {name: list(pairs.items()) for name, pairs in columns.items()}
            for task, columns in self.values.items()
        }
        return table

    def rows(self) -> list[tuple[str, str]]:
        """Return the table of what corresponds, in the recording and in the model.

        Examples
        --------
        >>> match = ConditionMatch(
        ...     origin="match", tasks={"dots": "dm1"}, columns={"dots": {"side": "direction"}},
        ...     values={"dots": {"side": {"left": 0, "right": 3}}}, epoch="stim",
        ...     model_epoch="stim1")
        >>> for row in match.rows():
        ...     print(*row, sep=" | ")
        task dots | task dm1
          side left | direction 0
          side right | direction 3
        epoch stim | epoch stim1, 0 ms earlier
        """
        rows = []
        for task, partner in self.tasks.items():
            rows.append((f"task {task}", f"task {partner}"))
            for column, pairs in self.values[task].items():
                other = self.columns[task][column]
                rows += [(f"  {column} {a}", f"{other} {b}") for a, b in pairs.items()]
        earlier = f"epoch {self.model_epoch}, {self.latency_ms:g} ms earlier"
        return [*rows, (f"epoch {self.epoch}", earlier)]


def match_conditions(activity: Activity, recording: Activity, match: Any = None) -> ConditionMatch:
    """Match the conditions of a recording with those of a model's activity.

    Parameters
    ----------
    activity
        Activity of the model.
    recording
        A recording of one block.
    match
        A dict, the path of a YAML file (see above), or a `ConditionMatch`, which is returned. A
        dict without the keys of a file has those of ``conditions``. By default tasks, columns and
        epochs have the same names, and values are equal.

    Returns
    -------
    ConditionMatch
        Every recorded condition variable has a partner, and every value of it.

    Raises
    ------
    InputError
        For a file that cannot be read, names that one of the two sides lacks, no common task or
        epoch, recorded condition variables or values without a partner, text beside numbers, and
        ranks of angles, text or unequal numbers of levels.

    Notes
    -----
    Values are equal if they differ by less than a millionth. Ranks pair ordered values with equal
    numbers of levels below, at and above 0, never angles or categories; they must be asked for
    (``by: rank``), since nothing in the data tells that two scales mean the same.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> model = example_block()
    >>> recording = example_block().assign_attrs(source="recording", deterministic=0)
    >>> recording["rate"].attrs["units"] = "spikes/s"
    >>> match = match_conditions(model, recording, {"epoch": {"recording": "stim1"}})
    >>> match.tasks, match.columns, match.model_epoch
    ({'go': 'go'}, {'go': {'direction': 'direction'}}, 'stim1')
    """
    if isinstance(match, ConditionMatch):
        return match
    file, lines, origin = _read(match)
    whole, model = recorded_block(recording), _task_blocks(activity)
    tasks = _tasks(file, whole, model, lambda key: line_of(origin, lines, key))
    columns: dict[str, dict[str, str]] = {}
    values: dict[str, dict[str, Mapping[Any, Any]]] = {}
    notes = _tasks_without_partner(tasks, whole, model)
    for task, partner in tasks.items():
        side = _Sides.of(task, whole, partner, model[partner])
        named = _named_columns(side, file.conditions, lambda key: line_of(origin, lines, key))
        columns[task] = {name: column for name, (column, _) in named.items()}
        values[task] = {}
        for name, (column, one) in named.items():
            where = line_of(origin, lines, f"conditions.{name}")
            values[task][name] = _partners(side, name, column, one, where)
        notes += _without_partner(side, columns[task], values[task])
    epoch, model_epoch = _epochs(file.epoch, whole, model, tasks, line_of(origin, lines, "epoch"))
    return ConditionMatch(
        origin=origin,
        tasks=tasks,
        columns=columns,
        values=values,
        epoch=epoch,
        model_epoch=model_epoch,
        latency_ms=file.epoch.latency_ms,
        stretch=file.stretch,
        notes=tuple(notes),
    )


def _read(match: Any) -> tuple[_File, dict[str, int], str]:
    """Return the keys of a match, their lines, and the name of its file."""
    lines: dict[str, int] = {}
    table, origin = match, "match"
    if isinstance(match, str | os.PathLike):
        path = Path(match)
        if not path.is_file():
            remedy = "Check the path; nwbcompare.comparison.condition_match has an example."
            raise InputError(f"match {str(path)!r}", "a YAML file", "no file", remedy)
        table, lines = parse_yaml(path.read_bytes(), str(path))
        origin = str(path)
    elif match is not None and not isinstance(match, Mapping):
        remedy = 'Write {"coherence": "strength"}.'
        raise InputError("match", "a dict or the path of a file", type(match).__name__, remedy)
    if isinstance(table, Mapping) and not KEYS & set(table):
        table = {"conditions": dict(table)}
    try:
        return _File.model_validate({} if table is None else table), lines, origin
    except ValidationError as error:
        raise _explained(error, lines, origin) from error


def _explained(error: ValidationError, lines: dict[str, int], origin: str) -> InputError:
    """Return the first error of a validation in the form of this package."""
    first = error.errors()[0]
    loc = [str(key) for key in first["loc"] if key != "[key]"]
    where = line_of(origin, lines, ".".join(loc))
    if first["type"] == "extra_forbidden":
        known = {"epoch": _Epoch.model_fields, "conditions": PARTNER_KEYS}
        return unknown_name(where, loc[-1], sorted(known[loc[0]] if len(loc) > 1 else KEYS))
    expected, example = _EXPECTED.get(loc[0] if loc else "", ("a table", "conditions: {...}"))
    return InputError(where, expected, repr(first["input"]), f"Write {example}.")


def _task_blocks(activity: Activity) -> dict[str, xr.Dataset]:
    """Return the block of each task of an activity."""
    return {task: block for block in blocks(activity).values() for task in tasks_of(block)}


def _of_task(block: xr.Dataset, task: str) -> dict[str, xr.DataArray]:
    """Return the trial columns of a task, without those that have missing values in it."""
    rows = np.flatnonzero(is_of_task(block, task))
    columns = {
        name: column.isel({row_dim(block): rows})
        for name, column in columns_on(block, row_dim(block)).items()
    }
    return {
        name: column
        for name, column in columns.items()
        if column.dtype.kind != "f" or bool(np.isfinite(column.values).all())
    }


def _tasks(
    file: _File, recording: xr.Dataset, model: dict[str, xr.Dataset], where: Callable[[str], str]
) -> dict[str, str]:
    """Return the model's task for each recorded task that has one."""
    recorded = tasks_of(recording)
    if file.tasks is None:
        tasks = {task: task for task in recorded if task in model}
        if not tasks:
            raise InputError(
                where("tasks"),
                f"a task of both; recorded are {listing(recorded)}",
                f"{listing(model)} of the model",
                f"Name the partners, tasks: {{{recorded[0]}: {next(iter(model))}}}, in a file "
                "for --match.",
            )
        return tasks
    for task, partner in file.tasks.items():
        if task not in recorded:
            raise unknown_name(where(f"tasks.{task}"), task, recorded)
        if partner not in model:
            raise unknown_name(where(f"tasks.{task}"), partner, model)
    return file.tasks


@dataclass(frozen=True)
class _Sides:
    """A recorded task and the model's, with the trial columns of each.

    Attributes
    ----------
    task, recorded, variables
        The recorded task, its columns, and those that are its condition variables.
    others
        Columns of the recording, also of other tasks.
    partner, model, model_variables
        The model's task, its columns, and those that are its condition variables.
    """

    task: str
    recorded: Mapping[str, xr.DataArray]
    variables: list[str]
    others: list[str]
    partner: str
    model: Mapping[str, xr.DataArray]
    model_variables: list[str]

    @classmethod
    def of(cls, task: str, recording: xr.Dataset, partner: str, model: xr.Dataset) -> _Sides:
        return cls(
            task=task,
            recorded=_of_task(recording, task),
            variables=condition_variables_of(recording).get(task, []),
            others=list(columns_on(recording, row_dim(recording))),
            partner=partner,
            model=_of_task(model, partner),
            model_variables=condition_variables_of(model).get(partner, []),
        )


def _named_columns(
    side: _Sides, conditions: Mapping[str, _Partner], where: Callable[[str], str]
) -> dict[str, tuple[str, _Partner]]:
    """Return the model's column for each recorded condition variable and each named column."""
    known = [name for name in side.recorded if name != "task"]
    named: dict[str, tuple[str, _Partner]] = {}
    for name in dict.fromkeys([*side.variables, *conditions]):
        partner, key = conditions.get(name, _Partner()), f"conditions.{name}"
        column = partner.column or name
        if name not in side.recorded:
            # a column of another task of the recording
            if name in side.others:
                continue
            raise unknown_name(where(key), name, known)
        if column not in side.model:
            columns = [other for other in side.model if other != "task"]
            raise InputError(
                where(key),
                f"a column of the model's trials for the recorded {name!r}: {listing(columns)}",
                repr(column),
                f"Name it, conditions: {{{name}: COLUMN}}, in a file for --match; or read the "
                "recording with other conditions.",
            )
        named[name] = column, partner
    if not named:
        raise InputError(
            where("conditions"),
            f"conditions of the recorded task {side.task!r}",
            "none",
            f"Name them when the recording is read, conditions=[...], of {listing(known)}.",
        )
    return named


def _tasks_without_partner(
    tasks: Mapping[str, str], recording: xr.Dataset, model: Mapping[str, xr.Dataset]
) -> list[str]:
    notes = []
    if absent := [task for task in tasks_of(recording) if task not in tasks]:
        notes.append(f"Recorded tasks without a partner: {listing(absent)}.")
    if absent := [task for task in model if task not in tasks.values()]:
        notes.append(f"Tasks of the model without a partner: {listing(absent)}.")
    return notes


def _levels(column: xr.DataArray) -> Values:
    return np.unique(labels(column))


def _without_partner(
    side: _Sides, columns: Mapping[str, str], values: Mapping[str, Mapping[Any, Any]]
) -> Iterator[str]:
    """Yield sentences on the model's columns and values that no recorded condition has."""
    averaged = [name for name in side.model_variables if name not in columns.values()]
    if averaged:
        yield f"The model's rates in {side.partner!r} are averaged over {listing(averaged)}."
    for name, column in columns.items():
        used = list(values[name].values())
        absent = [level for level in _levels(side.model[column]).tolist() if level not in used]
        if absent:
            yield f"Values of the model's {column!r} in {side.partner!r} without a partner: " + (
                f"{listing(absent)}."
            )


def _partners(
    side: _Sides, name: str, column: str, partner: _Partner, where: str
) -> dict[Any, Any]:
    """Return the model's value for each value of a recorded column."""
    recorded, model = _levels(side.recorded[name]), _levels(side.model[column])
    if partner.values is not None:
        return _stated(recorded, model, partner.values, column, where)
    if is_text(recorded) != is_text(model):
        kinds = ["text" if is_text(one) else "numbers" for one in (recorded, model)]
        raise InputError(
            where,
            f"values of one type in the recorded {name!r} and the model's {column!r}",
            f"{kinds[0]} ({listing(recorded, most=3)}) and {kinds[1]} ({listing(model, most=3)})",
            f"Write the model's value for each: conditions: {{{name}: {{column: {column}, "
            f"values: {{{recorded[0]}: {model[0]}}}}}}}.",
        )
    if partner.by == "rank":
        return _ranked(side, name, column, where)
    found = {value: _equal(value, model) for value in recorded.tolist()}
    absent = [value for value, other in found.items() if other is None]
    if absent:
        raise InputError(
            where,
            f"a value of the model's {column!r} for each of the recorded {name!r} in {side.task!r}",
            f"none for {listing(absent, most=5)}; the model has {listing(model, most=7)}",
            _remedy(side, name, column, absent),
        )
    return found


def _remedy(side: _Sides, name: str, column: str, absent: list[Any]) -> str:
    """Return what to write for values without a partner: ranks, where they pair, or values."""
    values = f"{name}: {{column: {column}, values: {{{absent[0]}: ...}}}}"
    remedy = f"Write conditions: {{{values}}} in a file for --match"
    if _rank_problem(side, name, column) is None:
        pairs = zip(
            _levels(side.recorded[name]).tolist(), _levels(side.model[column]).tolist(), strict=True
        )
        paired = listing(f"{a:g} with {b:g}" for a, b in pairs)
        remedy += f", or {name}: {{column: {column}, by: rank}}, which pairs {paired}"
    return f"{remedy}; or leave these trials out with nwbcompare.select."


def _equal(value: Any, levels: Values) -> Any:
    """Return the level that equals a value; None where none does."""
    if is_text(levels):
        same = levels == value
    else:
        # float32 of a file against float64 of a table
        same = np.isclose(levels.astype(np.float64), float(value), rtol=1e-6, atol=0)
    return levels[same][0].item() if same.any() else None


def _stated(
    recorded: Values, model: Values, values: Mapping[Any, Any], column: str, where: str
) -> dict[Any, Any]:
    stated = {}
    for value in recorded.tolist():
        keys = [key for key in values if _same(key, value)]
        if not keys:
            raise InputError(
                f"{where}.values",
                "the model's value for each recorded value",
                f"none for {value!r}",
                f"Write {value}: and one of {listing(model, most=7)}.",
            )
        other = values[keys[0]]
        found = None if is_text(model) != isinstance(other, str) else _equal(other, model)
        if found is None:
            raise unknown_name(f"{where}.values.{value}, {column}", other, map(str, model))
        stated[value] = found
    return stated


def _same(key: Any, value: Any) -> bool:
    """Return whether a key of a file is a recorded value."""
    if isinstance(value, str) or isinstance(key, str):
        return str(key) == str(value)
    return bool(np.isclose(float(key), float(value), rtol=1e-6, atol=0))


def _rank_problem(side: _Sides, name: str, column: str) -> str | None:
    """Return why two columns have no ranks in common; None where they have."""
    sides = (name, side.recorded[name]), (column, side.model[column])
    for label, values in sides:
        if is_text(labels(values)):
            return f"text in {label!r}"
        if _ANGLE.search(label) or str(values.attrs.get("units", "")).lower() in _ANGLE_UNITS:
            return f"angles in {label!r}"
    numbers = []
    for _, values in sides:
        signs = np.sign(_levels(values).astype(np.float64))
        below, zero, above = (int((signs == sign).sum()) for sign in (-1, 0, 1))
        numbers.append(f"{below} below, {zero} at, {above} above 0")
    if numbers[0] == numbers[1]:
        return None
    return f"{numbers[0]} in the recording, {numbers[1]} in the model"


def _ranked(side: _Sides, name: str, column: str, where: str) -> dict[Any, Any]:
    if problem := _rank_problem(side, name, column):
        raise InputError(
            where,
            "ordered values with equal numbers of levels below, at and above 0, for ranks",
            problem,
            f"Write the model's value for each: {name}: {{column: {column}, values: {{...}}}}.",
        )
    recorded, model = _levels(side.recorded[name]), _levels(side.model[column])
    return dict(zip(recorded.tolist(), model.tolist(), strict=True))


def _epochs(
    epoch: _Epoch,
    recording: xr.Dataset,
    model: Mapping[str, xr.Dataset],
    tasks: Mapping[str, str],
    where: str,
) -> tuple[str, str]:
    """Return the recorded epoch and the model's: those named, or the only one of both."""
    recorded = epoch_names(recording)
    partners = [epoch_names(model[task]) for task in tasks.values()]
    shared = [name for name in partners[0] if all(name in names for names in partners)]
    common = [name for name in recorded if name in shared]
    if epoch.recording is None and epoch.model is None and len(common) == 1:
        return common[0], common[0]
    first = epoch.recording or (recorded[0] if len(recorded) == 1 else epoch.model)
    second = epoch.model or (shared[0] if len(shared) == 1 else epoch.recording)
    if epoch.recording is None and epoch.model is None:
        raise InputError(
            where,
            "one epoch of both sides",
            f"{listing(recorded)} in the recording and {listing(shared)} in the model",
            f"Name them, epoch: {{recording: {recorded[0]}, model: {shared[0] if shared else '...'}"
            "}, in a file for --match.",
        )
    for label, name, known in (("recording", first, recorded), ("model", second, shared)):
        if name not in known:
            raise unknown_name(f"{where}.{label}", name, known)
    return str(first), str(second)
