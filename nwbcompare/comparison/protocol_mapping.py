"""What a recording's conditions are to a network: data, which a lab writes for its own task.

A mapping is a YAML file; ``mappings/mante2013.yaml`` is one. One for a lab whose monkeys judge
motion, shown for 600 ms, whose trials' signed coherence (percent) is in the column ``coherence``::

    tasks: {motion: dm1, colour: dm2}          # recorded task: the network's
    conditions:                                # each of the network tasks' given variables
      direction: {value: 0}                    # a constant; directions are in degrees
      coherence_1: {column: coherence, factor: 0.005}
      coherence_2: {column: hue, values: {green: 0.1, red: -0.1}}
    axes_degrees: [0, 45, 90, 135]             # turns of the display; by default [0]
    stimulus_ms: 600                           # and delay_ms, by default 800
    epoch: {recording: dots, network: stim1, latency_ms: 100}
    choice: {column: choice, first: 1, second: 2}              # may be left out
    shown: [patch_size]                        # other columns to keep; may be left out
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import labels
from nwbcompare.core.checks import is_finite
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.tasks.registry import get_task, task_names

SUFFIXES = (".yaml", ".yml")
FOLDER = files("nwbcompare.comparison") / "mappings"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Where the numbers of one of the network's parameters come from.

    Attributes
    ----------
    column
        The recorded trial column; None for a constant.
    values
        The number for each of the column's values.
    factor
        Or the factor from the column's values to the numbers.
    value
        Or the constant.
    """

    column: str | None = None
    values: Mapping[Any, float] | None = None
    factor: float | None = None
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a recorded column says of a choice of the first and of the second direction."""

    column: str
    first: float
    second: float


@dataclass(frozen=True, kw_only=True)
class ProtocolMapping:
    """How a recording's trials are shown to a network.

    Attributes
    ----------
    origin
        The file, for messages.
    tasks
        For each recorded task the network's.
    conditions
        For each of the network tasks' given variables (``nwbcompare.tasks.get_task(name)`` says
        which) where its numbers come from. Directions are in degrees.
    epoch, network_epoch
        The recorded epoch that is sampled, and which of the network's it is.
    latency_ms
        How much later (ms) the recorded epoch's bins are taken to be than the network's steps:
        100 where neurons need 100 ms and the epoch starts with the stimulus, 0 where the epoch
        is shifted already.
    axes_degrees
        Turns of the whole display: each network unit is a sample on each of them.
    stimulus_ms, delay_ms
        Durations in the network's trials; see `nwbcompare.tasks.make_trials`.
    choice
        The column of the choice, in tasks of two directions; None where it is not wanted.
    shown
        Other columns to keep where the recording has them: those that say what was shown, not
        what was done.
    """

    origin: str
    tasks: Mapping[str, str]
    conditions: Mapping[str, Parameter]
    epoch: str
    network_epoch: str
    latency_ms: float = 0.0
    axes_degrees: tuple[float, ...] = (0.0,)
    stimulus_ms: float
    delay_ms: float = 800.0
    choice: Choice | None = None
    shown: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The recorded columns that conditions are made from."""
        found = (parameter.column for parameter in self.conditions.values())
        return list(dict.fromkeys(column for column in found if column is not None))

    def parameters(self) -> dict[str, Any]:
        """Give the mapping as a file's provenance holds it."""
        table = asdict(self)
        for parameter in table["conditions"].values():
            if parameter["values"] is not None:
                parameter["values"] = {str(k): v for k, v in parameter["values"].items()}
        return table

    def numbers(
        self, task: str, table: xr.Dataset, axis_degrees: float
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Give a network task's given variables for conditions of a recording.

        Parameters
        ----------
        task
            The network's task.
        table
            The recorded columns on ``condition``.
        axis_degrees
            Turn of the display.

        Raises
        ------
        InputError
            For a recorded value that the mapping has no number for.
        """
        given = {}
        for name in get_task(task).given_variables:
            parameter = self.conditions[name]
            if parameter.column is None:
                number = np.full(table.sizes["condition"], parameter.value, dtype=np.float64)
            else:
                where = f"{self.origin}, conditions.{name}"
                number = _numbers(parameter, labels(table[parameter.column]), where)
            if name.startswith("direction"):
                number = np.radians(number + axis_degrees) % (2 * np.pi)
            given[name] = number
        return given


def read_mapping(source: Any, dataset: str | None = None) -> ProtocolMapping:
    """Read a mapping from a YAML file, or from the same as a dict.

    Parameters
    ----------
    source
        A path, the name of a mapping that comes along ("mante2013"), a dict of a file's keys, or
        a `ProtocolMapping`; None: the one that is named as ``dataset``.
    dataset
        The archive that a recording says it is of.

    Raises
    ------
    InputError
        For a file that is not there or cannot be read, and keys that are absent, unknown or
        of another kind; file and key are named.

    Examples
    --------
    A memory-guided saccade to one of eight places, held against a network's Dly Go:

    >>> mapping = read_mapping({
    ...     "tasks": {"memory saccade": "delaygo"},
    ...     "conditions": {"direction": {"column": "cue_degrees", "factor": 1},
    ...                    "modality": {"value": 1}},
    ...     "epoch": {"recording": "delay", "network": "delay1", "latency_ms": 100},
    ...     "stimulus_ms": 500, "delay_ms": 1500})
    >>> mapping.columns
    ['cue_degrees']
    """
    if isinstance(source, ProtocolMapping):
        return source
    if isinstance(source, Mapping):
        return _Table(source, "mapping").mapping()
    name = dataset if source is None else source
    if name is None or (source is None and not _shipped(name)):
        raise InputError(
            "mapping",
            "a mapping of the recording's conditions",
            "none, and a recording whose provenance names none that comes along",
            f"Pass one of {listing(map(repr, mapping_names()))}, or the path of a YAML file; "
            "nwbcompare.comparison.protocol_mapping says how to write it.",
        )
    if isinstance(name, str) and _shipped(name):
        place = FOLDER / f"{name}.yaml"
        return _Table(_parsed(place.read_text(encoding="utf-8"), name), f"{name}.yaml").mapping()
    return _read_file(name)


def mapping_name(block: xr.Dataset) -> str | None:
    """Give the name of a mapping that a recording's provenance tells: its own, or its archive's."""
    provenance = json.loads(block.attrs["provenance"])
    name: str | None = provenance.get("mapping", provenance.get("dataset"))
    return name


def mapping_names() -> list[str]:
    """Give the names of the mappings that come along."""
    return sorted(Path(one.name).stem for one in FOLDER.iterdir() if one.name.endswith(SUFFIXES))


def _shipped(name: object) -> bool:
    return name in mapping_names()


def _read_file(source: Any) -> ProtocolMapping:
    if not isinstance(source, str | os.PathLike):
        raise InputError(
            "mapping",
            "a name, a path, a dict or a ProtocolMapping",
            type(source).__name__,
            "Pass the path of a YAML file.",
        )
    path = Path(source)
    if path.suffix not in SUFFIXES or not path.is_file():
        raise InputError(
            str(path),
            f"a YAML file ({' or '.join(SUFFIXES)}), or one of {listing(mapping_names())}",
            "a file of another kind" if path.is_file() else "nothing there",
            "Check the path.",
        )
    return _Table(_parsed(path.read_bytes(), str(path)), str(path)).mapping()


def _parsed(text: str | bytes, origin: str) -> Any:
    import yaml  # noqa: PLC0415 - only here

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            origin, "a YAML file", f"one that cannot be read ({error})", "Mend it."
        ) from error


class _Table:
    """A table of a mapping file, whose keys are asked for one by one and must all be known."""

    def __init__(self, table: Any, where: str, prefix: str = "") -> None:
        self.where, self.prefix, self.asked = where, prefix, list[str]()
        if not isinstance(table, Mapping):
            raise InputError(
                f"{where}, {prefix.rstrip('.')}" if prefix else where,
                "a table of keys and values",
                repr(table),
                "Write it as the mapping of mante2013 does.",
            )
        self.table = table

    def subject(self, key: str) -> str:
        return f"{self.where}, {self.prefix}{key}"

    def get(self, key: str, good: Callable[[Any], bool], expected: str, example: str) -> Any:
        """Give what stands under a key, refusing what is not as expected."""
        self.asked.append(key)
        value = self.table.get(key)
        if key not in self.table or not good(value):
            raise InputError(
                self.subject(key),
                expected,
                repr(value) if key in self.table else "nothing",
                f"Write {example}.",
            )
        return value

    def get_or(
        self, default: T, key: str, good: Callable[[Any], bool], expected: str, example: str
    ) -> T:
        """Give what stands under a key that may be left out."""
        if key not in self.table:
            self.asked.append(key)
            return default
        value: T = self.get(key, good, expected, example)
        return value

    @contextmanager
    def inner(self, key: str) -> Iterator[_Table]:
        """Give the table under a key, and refuse keys in it that were not asked for."""
        self.asked.append(key)
        table = _Table(self.table.get(key, {}), self.where, f"{self.prefix}{key}.")
        yield table
        table.refuse_others()

    def refuse_others(self) -> None:
        for key in self.table:
            if key not in self.asked:
                raise unknown_name(
                    f"{self.where}, key{f' in {self.prefix[:-1]}' if self.prefix else ''}",
                    key,
                    self.asked,
                )

    def mapping(self) -> ProtocolMapping:
        """Read a whole mapping, and refuse keys that it does not have."""
        tasks = self._tasks()
        with self.inner("conditions") as table:
            conditions = {name: _parameter(table, name) for name in table.table}
        self._check_given(tasks, conditions)
        axes = self.get_or(
            [0], "axes_degrees", _are(is_finite), "one or more degrees", "axes_degrees: [0, 90]"
        )
        shown = self.get_or((), "shown", _are(_is_text), "names of columns", "shown: [congruent]")
        read = ProtocolMapping(
            origin=self.where,
            tasks=tasks,
            conditions=conditions,
            **self._epochs(),
            axes_degrees=tuple(axes),
            stimulus_ms=self.get("stimulus_ms", is_finite, "milliseconds", "stimulus_ms: 750"),
            delay_ms=self.get_or(800.0, "delay_ms", is_finite, "milliseconds", "delay_ms: 800"),
            choice=self._choice() if "choice" in self.table else None,
            shown=tuple(shown),
        )
        self.refuse_others()
        return read

    def _tasks(self) -> dict[str, str]:
        expected = "recorded tasks, each with the network's"
        tasks = self.get("tasks", _is_text_table, expected, "tasks: {contextdm1: contextdm1}")
        for recorded, task in tasks.items():
            if task not in task_names():
                raise unknown_name(self.subject(f"tasks.{recorded}"), task, task_names())
        return dict(tasks)

    def _epochs(self) -> dict[str, Any]:
        with self.inner("epoch") as table:
            return {
                name: table.get(key, _is_text, "the name of an epoch", f"{key}: stim1")
                for name, key in (("epoch", "recording"), ("network_epoch", "network"))
            } | {
                "latency_ms": float(
                    table.get_or(0.0, "latency_ms", is_finite, "milliseconds", "latency_ms: 100")
                )
            }

    def _choice(self) -> Choice:
        with self.inner("choice") as table:
            column = table.get("column", _is_text, "a trial column", "column: choice")
            first, second = (
                float(table.get(key, is_finite, "a number", f"{key}: {example}"))
                for key, example in (("first", 1), ("second", -1))
            )
        return Choice(column=column, first=first, second=second)

    def _check_given(self, tasks: Mapping[str, str], conditions: Mapping[str, Parameter]) -> None:
        given = {name: task for task in tasks.values() for name in get_task(task).given_variables}
        for name, task in given.items():
            if name not in conditions:
                raise InputError(
                    self.subject("conditions"),
                    f"{listing(given)}",
                    f"none for {name}, which {task!r} needs",
                    f"Write {name}: {{value: 0}}, or {name}: {{column: ..., values: {{...}}}}.",
                )
        for name in conditions:
            if name not in given:
                raise unknown_name(self.subject("conditions"), name, given)


def _parameter(table: _Table, name: str) -> Parameter:
    with table.inner(name) as own:
        if "value" in own.table:
            return Parameter(value=float(own.get("value", is_finite, "a number", "value: 0")))
        column = own.get(
            "column",
            _is_text,
            "a trial column, or a constant value",
            "column: coherence, or value: 0",
        )
        if "factor" in own.table:
            factor = float(own.get("factor", is_finite, "a number", "factor: 1"))
            return Parameter(column=column, factor=factor)
        values = own.get(
            "values",
            _is_number_table,
            "a number for each of the column's values, or a factor",
            "values: {-1: -0.1, 1: 0.1}, or factor: 1",
        )
        return Parameter(column=column, values=dict(values))


def _numbers(
    parameter: Parameter, recorded: npt.NDArray[Any], where: str
) -> npt.NDArray[np.float64]:
    """Give the numbers of recorded values, each looked up among those of the mapping."""
    if parameter.values is None:
        if recorded.dtype.kind not in "biuf":
            raise InputError(
                f"{where}.factor",
                f"numbers in the column {parameter.column!r}",
                f"{recorded[0]!r}",
                "Write values: {...} instead.",
            )
        return np.asarray(recorded, dtype=np.float64) * float(parameter.factor or 0)
    found = {value: _looked_up(parameter.values, value) for value in np.unique(recorded)}
    for value, number in found.items():
        if number is None:
            raise InputError(
                f"{where}.values",
                f"a number for every value of the column {parameter.column!r}",
                f"none for {value}",
                f"Write {value}: and its number there.",
            )
    return np.array([found[value] for value in recorded], dtype=np.float64)


def _looked_up(values: Mapping[Any, float], value: Any) -> float | None:
    """Look a value up; numbers as those of float32, so that 0.06 is found."""
    for key, number in values.items():
        same = (
            str(key) == str(value)
            if isinstance(value, str)
            else (isinstance(key, int | float) and bool(np.isclose(key, value, rtol=1e-6, atol=0)))
        )
        if same:
            return number
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _are(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(map(good, value))
    )


def _is_text_table(value: Any) -> bool:
    return (
        isinstance(value, Mapping) and bool(value) and all(map(_is_text, [*value, *value.values()]))
    )


def _is_number_table(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(map(is_finite, value.values()))
