"""Mappings from the conditions of a recording to those of a network's tasks.

A mapping is a YAML file, such as ``mappings/mante2013.yaml``, which a laboratory writes for its
own task. Here monkeys judge motion that lasts 600 ms, and the signed coherence of a trial (percent)
is in the trial column ``coherence``::

    tasks: {motion: dm1, colour: dm2}          # recorded task: the network's task
    conditions:                                # each given variable of the network's tasks
      direction: {value: 0}                    # a constant; directions are in degrees
      coherence_1: {column: coherence, factor: 0.005}
      coherence_2: {column: hue, values: {green: 0.1, red: -0.1}}
    axes_degrees: [0, 45, 90, 135]             # rotations of the display; by default [0]
    stimulus_ms: 600                           # and delay_ms, by default 800
    epoch: {recording: dots, network: stim1, latency_ms: 100}
    choice: {column: choice, first: 1, second: 2}              # optional
    shown: [patch_size]                        # optional: other stimulus columns to keep
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass as validated

from nwbcompare.core.activity import EPOCH_TOLERANCE, epoch_bounds, labels
from nwbcompare.core.checks import is_finite
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.yaml_lines import line_of, parse_yaml
from nwbcompare.tasks.registry import get_task, task_names

SUFFIXES = (".yaml", ".yml")
FOLDER = files("nwbcompare.comparison") / "mappings"
_KNOWN_KEYS_ONLY = ConfigDict(extra="forbid")


def _finite(value: Any) -> Any:
    if not is_finite(value):
        raise ValueError("not a finite number")
    return value


Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, BeforeValidator(_finite)]
"""A finite number, never read from text."""
Written = Annotated[float, PlainValidator(_finite)]
"""A finite number that stays whole where it was written so, as it is recorded in provenance."""


@validated(frozen=True, kw_only=True, config=_KNOWN_KEYS_ONLY)
class Parameter:
    """Source of the values of one given variable of the network's tasks.

    Attributes
    ----------
    column
        The recorded trial column; None for a constant.
    values
        The number for each value of the column.
    factor
        Or the factor by which the column's values are multiplied.
    value
        Or the constant.
    """

    column: Text | None = None
    values: Annotated[dict[Any, Written], Field(min_length=1)] | None = None
    factor: Number | None = None
    value: Number | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Parameter:
        keys = {key for key, value in vars(self).items() if value is not None}
        if keys not in ({"value"}, {"column", "values"}, {"column", "factor"}):
            raise ValueError("no source, or several")
        return self


@validated(frozen=True, kw_only=True, config=_KNOWN_KEYS_ONLY)
class Choice:
    """Values of a recorded column for a choice of the first and of the second direction."""

    column: Text
    first: Number
    second: Number


@dataclass(frozen=True, kw_only=True)
class ProtocolMapping:
    """How a network is shown the trials of a recording.

    Attributes
    ----------
    origin
        The file, for messages.
    tasks
        The network's task for each recorded task.
    conditions
        The source of each given variable of the network's tasks (``given_variables`` of
        ``nwbcompare.tasks.get_task(name)``). Directions are in degrees.
    epoch, network_epoch
        The recorded epoch that is sampled, and the network's epoch that corresponds to it.
    latency_ms
        Delay (ms) of neuronal responses: bins of the recorded epoch are compared with the
        network's steps so much earlier. 100 where the epoch starts with the stimulus, 0 where
        the epoch is already shifted.
    axes_degrees
        Rotations of the whole display; each network unit is one sample for each of them.
    stimulus_ms, delay_ms
        Durations in the network's trials; see `nwbcompare.tasks.make_trials`.
    choice
        The column of the choice, in tasks of two directions; None if choices are not sampled.
    shown
        Other trial columns to keep where the recording has them. They must describe the stimulus,
        not the animal's response.
    lines
        Line of the file by key, for messages; empty for a mapping that is no file.
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
    lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    def where(self, key: str) -> str:
        """Return the file, its line and a key of it, for messages."""
        return line_of(self.origin, self.lines, key)

    @property
    def columns(self) -> list[str]:
        """Recorded trial columns from which conditions are made."""
        columns = (parameter.column for parameter in self.conditions.values())
        return list(dict.fromkeys(column for column in columns if column is not None))

    def columns_of(self, task: str) -> dict[str, str]:
        """Return the recorded trial columns of a task's conditions, by their key in the file."""
        del task  # the conditions of a file are those of all its tasks
        return {
            f"conditions.{name}.column": parameter.column
            for name, parameter in self.conditions.items()
            if parameter.column is not None
        }

    def parameters(self) -> dict[str, Any]:
        """Return the mapping as plain values, for a file's provenance."""
        table = asdict(self)
        del table["lines"]
        for parameter in table["conditions"].values():
            if parameter["values"] is not None:
                # JSON knows text keys only
                parameter["values"] = {str(k): v for k, v in parameter["values"].items()}
        return table

    def numbers(
        self, task: str, table: xr.Dataset, axis_degrees: float
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Return the given variables of a network's task for recorded conditions.

        Parameters
        ----------
        task
            The network's task.
        table
            The recorded trial columns on ``condition``.
        axis_degrees
            Rotation of the display.

        Returns
        -------
        dict
            ``(condition,)`` for each given variable of the task; directions in rad, in [0, 2 pi).

        Raises
        ------
        InputError
            For a recorded value without a number in the mapping.

        Examples
        --------
        >>> recorded = xr.Dataset(coords={"coherence_1_level": ("condition", [-3, 1]),
        ...                               "coherence_2_level": ("condition", [2, 2])})
        >>> numbers = read_mapping("mante2013").numbers("contextdm1", recorded, 90.0)
        >>> numbers["coherence_1"].tolist(), numbers["direction"].round(3).tolist()
        ([-0.25, 0.025], [1.571, 1.571])
        """
        variables = {}
        for name in get_task(task).given_variables:
            parameter = self.conditions[name]
            if parameter.column is None:
                number = np.full(table.sizes["condition"], parameter.value, dtype=np.float64)
            else:
                recorded = labels(table[parameter.column])
                number = _numbers(self, f"conditions.{name}", parameter, recorded)
            if name.startswith("direction"):
                number = np.radians(number + axis_degrees) % (2 * np.pi)
            variables[name] = number
        return variables


class _Epoch(BaseModel):
    model_config = _KNOWN_KEYS_ONLY
    recording: Text
    network: Text
    latency_ms: Number = 0.0


class _File(BaseModel):
    """The keys of a mapping file."""

    model_config = _KNOWN_KEYS_ONLY
    tasks: Annotated[dict[Text, Text], Field(min_length=1)]
    conditions: dict[str, Parameter]
    epoch: _Epoch
    axes_degrees: Annotated[tuple[Written, ...], Field(min_length=1)] = (0,)
    stimulus_ms: Written
    delay_ms: Written = 800.0
    # may be left out, but an empty ``choice:`` is a mistake
    choice: Choice = Field(default=None)  # type: ignore[assignment]
    shown: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(default=())


_EXPECTED = {
    "": ("a table of keys and values", "it as the mapping of mante2013"),
    "tasks": ("recorded tasks, each with the network's task", "tasks: {contextdm1: contextdm1}"),
    "conditions": (
        "for each given variable a constant value, or a column with values or a factor",
        "conditions: {direction: {value: 0}, coherence_1: {column: coherence, factor: 0.01}}",
    ),
    "column": ("the name of a trial column", "column: coherence"),
    "values": ("a number for each value of the column", "values: {-1: -0.1, 1: 0.1}"),
    "factor": ("a number", "factor: 1"),
    "value": ("a number", "value: 0"),
    "epoch": ("a table of keys and values", "epoch: {recording: stim1, network: stim1}"),
    "recording": ("the name of an epoch", "recording: stim1"),
    "network": ("the name of an epoch", "network: stim1"),
    "latency_ms": ("milliseconds", "latency_ms: 100"),
    "axes_degrees": ("one or more degrees", "axes_degrees: [0, 90]"),
    "stimulus_ms": ("milliseconds", "stimulus_ms: 750"),
    "delay_ms": ("milliseconds", "delay_ms: 800"),
    "choice": ("a table of keys and values", "choice: {column: choice, first: 1, second: -1}"),
    "first": ("a number", "first: 1"),
    "second": ("a number", "second: -1"),
    "shown": ("names of trial columns", "shown: [congruent]"),
}
"""By key of a file: what it should be, and an example."""


def read_mapping(source: Any, dataset: str | None = None) -> ProtocolMapping:
    """Read a mapping from a YAML file, or from a dict of the same keys.

    Parameters
    ----------
    source
        A path, the name of a mapping of this package ("mante2013"), a dict of a file's keys, or
        a `ProtocolMapping`, which is returned; None for the mapping named ``dataset``.
    dataset
        The archive of the recording, from its provenance.

    Raises
    ------
    InputError
        For a file that does not exist or cannot be read, unknown tasks, and keys that are
        missing, unknown or of the wrong type. The message names file and key.

    Examples
    --------
    A memory-guided saccade to one of eight places, compared with a network's Dly Go task:

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
        return _checked(dict(source), {}, "mapping")
    name = dataset if source is None else source
    if name is None or (source is None and name not in mapping_names()):
        raise InputError(
            "mapping",
            "a mapping of the recording's conditions",
            "none, and a recording whose provenance names none of this package",
            f"Pass one of {listing(map(repr, mapping_names()))}, or the path of a YAML file: "
            "nwbcompare mapping new writes a draft.",
        )
    if isinstance(name, str) and name in mapping_names():
        text, origin = (FOLDER / f"{name}.yaml").read_bytes(), f"{name}.yaml"
        return _checked(*parse_yaml(text, origin), origin)
    if not isinstance(name, str | os.PathLike):
        raise InputError(
            "mapping",
            "a name, a path, a dict or a ProtocolMapping",
            type(name).__name__,
            "Pass the path of a YAML file.",
        )
    path = Path(name)
    if path.suffix not in SUFFIXES or not path.is_file():
        raise InputError(
            str(path),
            f"a YAML file ({' or '.join(SUFFIXES)}), or one of {listing(mapping_names())}",
            "a file of another kind" if path.is_file() else "no file",
            "Check the path.",
        )
    return _checked(*parse_yaml(path.read_bytes(), str(path)), str(path))


def mapping_name(block: xr.Dataset) -> str | None:
    """Return the name of a recording's mapping from its provenance, else that of its archive."""
    provenance = json.loads(block.attrs["provenance"])
    name: str | None = provenance.get("mapping", provenance.get("dataset"))
    return name


def mapping_names() -> list[str]:
    """Return the names of the mappings of this package.

    Examples
    --------
    >>> mapping_names()
    ['mante2013']
    """
    return sorted(Path(one.name).stem for one in FOLDER.iterdir() if one.name.endswith(SUFFIXES))


def network_bounds(
    mapping: ProtocolMapping, trials: xr.Dataset, epoch: tuple[float, float], bin_width_s: float
) -> tuple[float, float]:
    """Return start and stop (s) of the network's epoch, which lasts as long as the recorded one.

    Parameters
    ----------
    mapping
        The mapping.
    trials
        Trials of a network's task, or their activity.
    epoch
        Start and stop (s) of the recorded epoch.
    bin_width_s
        Width of a bin of the recording (s), by which the lengths may differ.

    Raises
    ------
    InputError
        For an epoch that the task lacks, and one of another length.

    Examples
    --------
    >>> from nwbcompare.tasks import make_trials
    >>> given = {"direction": 0, "coherence_1": 0.1, "coherence_2": 0.1}
    >>> trials = make_trials("contextdm1", "psychometric", conditions=given, stimulus_ms=740)
    >>> network_bounds(read_mapping("mante2013"), trials, (0.1, 0.85), 0.05)
    (0.5, 1.24)
    """
    bounds = epoch_bounds(trials, mapping.network_epoch)
    if bounds is None:
        epochs = map(str, trials["epoch"].values)
        raise unknown_name(mapping.where("epoch.network"), mapping.network_epoch, epochs)
    recorded_s, lasts_s = epoch[1] - epoch[0], bounds[1] - bounds[0]
    if abs(lasts_s - recorded_s) > bin_width_s * (1 + EPOCH_TOLERANCE):
        raise InputError(
            mapping.where("epoch"),
            f"network epoch {mapping.network_epoch!r} to last as long as the recorded "
            f"{mapping.epoch!r}, {1000 * recorded_s:g} ms",
            f"{1000 * lasts_s:g} ms",
            f"Write stimulus_ms: {1000 * recorded_s:g}, or delay_ms if the epoch is a delay.",
        )
    return bounds


def _checked(table: Any, lines: Mapping[str, int], origin: str) -> ProtocolMapping:
    """Check the keys of a mapping, its tasks, and that it has all their given variables."""
    try:
        file = _File.model_validate(table)
    except ValidationError as error:
        raise _explained(error, origin, lines) from error
    for recorded, task in file.tasks.items():
        if task not in task_names():
            raise unknown_name(line_of(origin, lines, f"tasks.{recorded}"), task, task_names())
    variables = {
        name: task for task in file.tasks.values() for name in get_task(task).given_variables
    }
    for name, task in variables.items():
        if name not in file.conditions:
            raise InputError(
                line_of(origin, lines, "conditions"),
                listing(variables),
                f"none for {name}, which {task!r} needs",
                f"Write {name}: {{value: 0}}, or {name}: {{column: ..., values: {{...}}}}.",
            )
    for name in file.conditions:
        if name not in variables:
            other = unknown_name(line_of(origin, lines, f"conditions.{name}"), name, variables)
            remedy = f"{other.remedy} Delete variables that no task of the mapping has."
            raise InputError(other.subject, other.expected, other.got, remedy)
    keys = {name: getattr(file, name) for name in _File.model_fields if name != "epoch"}
    return ProtocolMapping(
        origin=origin,
        epoch=file.epoch.recording,
        network_epoch=file.epoch.network,
        latency_ms=file.epoch.latency_ms,
        lines=lines,
        **keys,
    )


def _explained(error: ValidationError, origin: str, lines: Mapping[str, int]) -> InputError:
    """Return the first error of a validation in the form of this package."""
    # in the order of the file; what is missing may be a name that is misspelt there
    first = min(
        error.errors(),
        key=lambda one: (
            one["type"] == "missing",
            lines.get(".".join(map(str, one["loc"])), 0),
        ),
    )
    loc = [key for key in first["loc"] if key != "[key]"]
    *parents, key = loc or [""]
    path = ".".join(map(str, loc))
    if first["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        tables = {"conditions": Parameter, "epoch": _Epoch, "choice": Choice}
        keys = tables[str(parents[0])].__annotations__ if parents else _File.model_fields
        within = f" in {'.'.join(map(str, parents))}" if parents else ""
        start = line_of(origin, lines, path).removesuffix(path)
        return unknown_name(f"{start}key{within}", key, keys)
    # items of a list and of a table are described with the key that they are under
    # keys that are no text are not among them
    described = next((k for k in (key, *reversed(parents)) if k in _EXPECTED), "")
    expected, example = _EXPECTED[described]
    return InputError(
        line_of(origin, lines, path),
        expected,
        "nothing" if first["type"] == "missing" else repr(first["input"]),
        f"Write {example}.",
    )


def _numbers(
    mapping: ProtocolMapping, key: str, parameter: Parameter, recorded: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return the number of each recorded value, from the mapping's values or factor."""
    if parameter.values is None:
        if recorded.dtype.kind not in "biuf":
            raise InputError(
                mapping.where(f"{key}.factor"),
                f"numbers in the column {parameter.column!r}",
                f"{recorded[0]!r}",
                "Write values: {...} instead.",
            )
        return np.asarray(recorded, dtype=np.float64) * float(parameter.factor or 0)
    number_of = {value: looked_up(parameter.values, value) for value in np.unique(recorded)}
    for value, number in number_of.items():
        if number is None:
            texts = [key for key in parameter.values if isinstance(key, str)]
            near = get_close_matches(str(value), texts, n=1)
            written = f" ({near[0]!r} is there)" if near else ""
            raise InputError(
                mapping.where(f"{key}.values"),
                f"a number for every value of the column {parameter.column!r}",
                f"none for {value}{written}",
                f"Write {value}: and its number there.",
            )
    return np.array([number_of[value] for value in recorded], dtype=np.float64)


def looked_up(values: Mapping[Any, float], value: Any) -> float | None:
    """Return the number of a value; numbers are compared as float32, so that 0.06 matches."""
    for key, number in values.items():
        same = (
            str(key) == str(value)
            if isinstance(value, str)
            else (isinstance(key, int | float) and bool(np.isclose(key, value, rtol=1e-6, atol=0)))
        )
        if same:
            return number
    return None
