"""Rules of the data model, each a small registered function whose errors have a remedy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
import xarray as xr

from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    SCHEMA_VERSION,
    Activity,
    blocks,
    columns_on,
    is_ragged,
    leaves_of,
    row_dim,
    tasks_of,
    unit_rows,
    unknown_keys,
)
from nwbcompare.core.data_text import check_values, parse_json
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.lazy import is_in_memory

AnyActivity = TypeVar("AnyActivity", bound=Activity)
Rule = Callable[[xr.Dataset], Iterator[InputError]]
DENSE = ("trial", "time", "unit")
RAGGED = ("observation", "time")

STRUCTURE_RULES: list[Rule] = []
"""Rules on the presence and the dimensions of variables and attributes."""
CONTENT_RULES: list[Rule] = []
"""Rules on values, which rely on the structure and are checked after it."""


class InvalidActivityError(InputError):
    """An activity that breaks rules of the data model.

    Parameters
    ----------
    name
        The activity's name.
    problems
        One error for each broken rule; also an attribute.
    """

    def __init__(self, name: str, problems: list[InputError]) -> None:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(
            f"activity {name!r}",
            "data that keep the data model",
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''}:{lines}\n ",
            "Correct each as its line says.",
        )
        self.name, self.problems = name, problems

    def __reduce__(self) -> tuple[Any, ...]:
        # the inherited one passes the arguments of InputError, of which there are more
        return type(self), (self.name, self.problems)


def check_activity(activity: AnyActivity) -> AnyActivity:
    """Check that an activity keeps the rules of the data model.

    Rules on the values of rates are checked for rates in memory only; rates in files are not read.

    Parameters
    ----------
    activity
        An activity or a block.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        The same object, so that calls can be chained.

    Raises
    ------
    InvalidActivityError
        If it breaks rules. The message has a line for each, with the remedy; the attribute
        ``problems`` lists them.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = check_activity(example_block())
    >>> check_activity(block.assign(rate=block["rate"] * float("inf")))
    Traceback (most recent call last):
        ...
    nwbcompare.core.schema.InvalidActivityError: activity 'example': expected data that keep ...
    """
    problems = find_problems(activity)
    if problems:
        leaf, block = next(iter(leaves_of(activity).items()))
        raise InvalidActivityError(str(block.attrs.get("name", leaf)), problems)
    return activity


def find_problems(activity: Activity) -> list[InputError]:
    """List the rules of the data model that an activity breaks.

    Parameters
    ----------
    activity
        An activity or a block.

    Returns
    -------
    list of InputError
        One for each broken rule; empty if there is none.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> [problem.subject for problem in find_problems(example_block().drop_vars("task"))]
    ['example: task']
    """
    problems: list[InputError] = []
    # also Datasets without rates, which a rule reports; others are refused
    for leaf, block in (leaves_of(activity) or blocks(activity)).items():
        broken = [problem for rule in STRUCTURE_RULES for problem in rule(block)]
        # rules on values assume dimensions that rules on structure check
        if not broken:
            broken = [problem for rule in CONTENT_RULES for problem in rule(block)]
        problems += [_in_leaf(leaf, problem) for problem in broken]
    if not problems and not isinstance(activity, xr.Dataset):
        problems += _between_leaves(activity)
    return problems


def _in_leaf(leaf: str, problem: InputError) -> InputError:
    return InputError(f"{leaf}: {problem.subject}", problem.expected, problem.got, problem.remedy)


def _structure(rule: Rule) -> Rule:
    STRUCTURE_RULES.append(rule)
    return rule


def _content(rule: Rule) -> Rule:
    CONTENT_RULES.append(rule)
    return rule


@_structure
def rates_have_a_layout(block: xr.Dataset) -> Iterator[InputError]:
    """Check that ``rate`` is (trial, time, unit) or (observation, time)."""
    if "rate" not in block.data_vars:
        yield InputError(
            "rate", "a variable of this name", listing(block.data_vars), "Rename the rates."
        )
    elif block["rate"].dims not in {DENSE, RAGGED}:
        yield InputError(
            "rate",
            f"dims {DENSE} or {RAGGED}",
            str(block["rate"].dims),
            "Rename or transpose: block.transpose('trial', 'time', 'unit').",
        )


@_structure
def rates_are_float32_with_units(block: xr.Dataset) -> Iterator[InputError]:
    """Check that rates are float32, in spikes/s (recordings) or 1 (networks)."""
    rate = block.get("rate")
    if rate is None:
        return
    if rate.dtype != np.float32:
        yield InputError(
            "rate", "float32", str(rate.dtype), "Convert: block['rate'].astype('float32')."
        )
    if rate.attrs.get("units") not in {"1", "spikes/s"}:
        yield InputError(
            "rate.attrs['units']",
            "'spikes/s' (recordings) or '1' (network rates)",
            repr(rate.attrs.get("units")),
            "Set it; multiply counts by 1/bin width to get spikes/s.",
        )


@_structure
def attributes_are_there(block: xr.Dataset) -> Iterator[InputError]:
    """Check the attributes: version, source, determinism, name, conditions, provenance."""
    attrs = block.attrs
    allowed: dict[str, set[Any]] = {
        "schema_version": {SCHEMA_VERSION},
        "source": {"model", "recording"},
        "deterministic": {0, 1},
    }
    for name, values in allowed.items():
        if attrs.get(name) not in values:
            yield InputError(
                f"attrs[{name!r}]",
                f"one of {listing(sorted(values, key=str))}",
                repr(attrs.get(name)),
                "Make blocks with nwbcompare.make_block, which sets it.",
            )
    if not attrs.get("name"):
        yield InputError("attrs['name']", "a short name", "nothing", "Set attrs['name'].")
    for name in ("condition_variables", "provenance"):
        if not isinstance(_json(attrs.get(name)), dict):
            yield InputError(
                f"attrs[{name!r}]",
                "a JSON object as text",
                repr(attrs.get(name)),
                "Write it with json.dumps, or make the block with nwbcompare.make_block.",
            )


@_structure
def texts_can_be_written(block: xr.Dataset) -> Iterator[InputError]:
    """Check that names and texts are Unicode without NUL, which no file can hold."""
    name = block.attrs.get("name")
    texts = {"attrs['name']": [name], "names of columns": [*block.variables, *block.dims]}
    texts |= {
        str(column): values.values.ravel().tolist()
        for column, values in block.coords.items()
        if values.dtype.kind in "UO"
    }
    for subject, parts in texts.items():
        try:
            check_values([part for part in parts if isinstance(part, str)])
        except ValueError as error:
            yield InputError(subject, "texts that a file can hold", str(error), "Correct them.")


@_structure
def time_axis_is_there(block: xr.Dataset) -> Iterator[InputError]:
    """Check that ``time`` has ascending bin centres (s), at least a bin's width apart."""
    if "time" not in block.coords or block["time"].dims != ("time",):
        yield InputError("time", "a coordinate (time,)", "none", "Pass bin centres in s.")
        return
    width = block["time"].attrs.get("bin_width_s")
    if not isinstance(width, float | int | np.number) or not width > 0:
        yield InputError(
            "time.attrs['bin_width_s']", "a width above 0 s", repr(width), "Set it to the bin's."
        )
        return
    if not block["time"].attrs.get("aligned_to"):
        yield InputError(
            "time.attrs['aligned_to']", "the event at time 0", "nothing", "Name the event."
        )
    centres = block["time"].values
    # bins may lie apart, but must not overlap
    gaps = np.diff(centres)
    if not np.isfinite(centres).all() or (gaps < width * (1 - EPOCH_TOLERANCE)).any():
        yield InputError(
            "time",
            f"finite, ascending bin centres at least {width:g} s apart",
            f"gaps from {gaps.min() if gaps.size else np.nan:g} s",
            "Sort by time, and check that bin_width_s is in s, not ms.",
        )


@_structure
def unit_table_is_there(block: xr.Dataset) -> Iterator[InputError]:
    """Check that ``unit`` has unique ids, and that a ragged block has keys of units."""
    if "unit" not in block.coords or block["unit"].dims != ("unit",):
        yield InputError("unit", "a coordinate (unit,) of ids", "none", "Add an id for each unit.")
        return
    if not block.sizes["unit"]:
        yield InputError("unit", "at least one unit", "none", "Select other units, or skip it.")
    yield from _repeated("unit", block["unit"].values)
    # without rates there is no layout, which another rule reports
    if "rate" in block and is_ragged(block):
        for column, dim in {"unit_key": "unit", "observation_unit": "observation"}.items():
            if column not in block.coords or block[column].dims != (dim,):
                yield InputError(
                    column, f"a coordinate ({dim},)", "none", "Make it with make_block."
                )
        if "unit_key" in block.coords:
            yield from _repeated("unit_key", block["unit_key"].values)


@_structure
def trials_have_a_task(block: xr.Dataset) -> Iterator[InputError]:
    """Check that every trial has a task; data without tasks have one, named after the source."""
    if "rate" not in block:
        return
    row = row_dim(block)
    if "task" not in block.coords or block["task"].dims != (row,):
        yield InputError(
            "task",
            f"a coordinate ({row},)",
            "none",
            f"Add it: block.assign_coords(task=({row!r}, names)).",
        )


@_structure
def epochs_have_bounds(block: xr.Dataset) -> Iterator[InputError]:
    """Check that epochs have names, and a start and stop (s) in every trial."""
    if "rate" not in block or "epoch" not in block.dims:
        return
    row = row_dim(block)
    for column in ("epoch_start_time", "epoch_stop_time"):
        if column not in block.coords or block[column].dims != (row, "epoch"):
            yield InputError(
                column, f"a coordinate ({row}, epoch)", "none", "Add it in s, NaN for absent."
            )
    if "epoch" in block.coords:
        yield from _repeated("epoch", block["epoch"].values)
    else:
        yield InputError("epoch", "a coordinate (epoch,) of names", "none", "Name the epochs.")


@_content
def rates_are_finite_or_missing(block: xr.Dataset) -> Iterator[InputError]:
    """Check that rates are finite, or NaN where not observed."""
    # rates in a file are not read for a check
    if not is_in_memory(block["rate"].variable):
        return
    infinite = int(np.isinf(block["rate"].values).sum())
    if infinite:
        yield InputError(
            "rate",
            "finite rates, or NaN where nothing was observed",
            f"{infinite} infinite values",
            "Look for a division by a duration of 0 in the code that computed them.",
        )


@_structure
def text_codes_have_labels(block: xr.Dataset) -> Iterator[InputError]:
    """Check that the codes of each text column have labels."""
    for name, column in block.coords.items():
        if "categories" not in column.attrs:
            continue
        categories = _json(column.attrs["categories"])
        if not isinstance(categories, list):
            yield InputError(
                f"{name}.attrs['categories']",
                "a JSON list of labels",
                repr(column.attrs["categories"]),
                "Make text columns with nwbcompare.make_block.",
            )
        elif column.size and not (
            column.dtype.kind in "iu"
            and column.values.min() >= 0
            and column.values.max() < len(categories)
        ):
            yield InputError(
                str(name),
                f"codes from 0 to {len(categories) - 1}",
                f"{column.values.min()} to {column.values.max()}",
                "Write text with its codes together: make the column with make_block.",
            )


@_content
def conditions_name_columns(block: xr.Dataset) -> Iterator[InputError]:
    """Check that the condition variables of every task are trial columns."""
    table = json.loads(block.attrs["condition_variables"])
    row = row_dim(block)
    for task in tasks_of(block):
        if task not in table:
            yield InputError(
                "attrs['condition_variables']",
                f"an entry for task {task!r}",
                listing(table),
                "Add the task and its columns (an empty list: one condition).",
            )
            continue
        for column in table[task]:
            if column not in block.coords or block[column].dims != (row,):
                yield InputError(
                    f"condition variable {column!r} of task {task!r}",
                    f"a coordinate ({row},)",
                    "none",
                    "Add the column, or remove it from condition_variables.",
                )


@_content
def epochs_stop_after_they_start(block: xr.Dataset) -> Iterator[InputError]:
    """Check that epochs stop at or after their start, and have both or neither."""
    if "epoch" not in block.dims:
        return
    start, stop = block["epoch_start_time"].values, block["epoch_stop_time"].values
    # comparisons with NaN are false, so that a single NaN bound needs a test of its own
    invalid = (stop < start) | (np.isnan(start) != np.isnan(stop))
    if invalid.any():
        names = block["epoch"].values[invalid.any(axis=0)]
        yield InputError(
            f"epochs {listing(names)}",
            "stop times at or after start times, both there or both NaN",
            f"{int(invalid.sum())} that are not",
            "Check that both are in s from the same event.",
        )


@_content
def keys_are_found(block: xr.Dataset) -> Iterator[InputError]:
    """Check that every observation's unit is in the unit table."""
    if is_ragged(block) and block.sizes["observation"]:
        _, unknown = unit_rows(block)
        if unknown.size:
            yield unknown_keys(unknown)


@_content
def units_were_observed(block: xr.Dataset) -> Iterator[InputError]:
    """Check that every unit was observed at least once."""
    if not is_in_memory(block["rate"].variable):
        return
    if is_ragged(block):
        rows = np.isfinite(block["rate"].values).any(axis=1)
        observed = np.isin(block["unit_key"].values, block["observation_unit"].values[rows])
    else:
        observed = np.isfinite(block["rate"].values).any(axis=(0, 1))
    if not observed.all():
        yield InputError(
            "unit",
            "every unit to be observed in at least one bin of one trial",
            f"never observed: {listing(block['unit'].values[~observed], most=5)}",
            "Remove such units: nwbcompare.select(activity, units=...).",
        )


def _between_leaves(activity: xr.DataTree) -> Iterator[InputError]:
    """Yield problems between blocks: a task in two of them, or unit tables that differ."""
    leaf_of_task: dict[str, str] = {}
    parts = blocks(activity)
    first_leaf, first = next(iter(parts.items()))
    for leaf, block in parts.items():
        for task in tasks_of(block):
            if task in leaf_of_task:
                yield InputError(
                    f"task {task!r}",
                    "each task in one block",
                    f"it is in {leaf_of_task[task]!r} and in {leaf!r}",
                    "Two alignments of one task cannot be analysed at once: drop one.",
                )
            leaf_of_task[task] = leaf
        # all blocks of an activity have the same units, so that results can be joined by unit
        if not _unit_table(block).identical(_unit_table(first)):
            yield InputError(
                f"unit table of {leaf!r}",
                f"the same units and columns as in {first_leaf!r}",
                f"{block.sizes['unit']} units against {first.sizes['unit']}, or other columns",
                "Select the units that all blocks share, or keep the sources apart.",
            )


def _unit_table(block: xr.Dataset) -> xr.Dataset:
    columns = list(columns_on(block, "unit"))
    return (
        block[columns]
        # attributes of the blocks may differ, their units may not
        .drop_attrs(deep=False)
        .drop_vars([name for name in block.coords if name not in columns], errors="ignore")
    )


def _repeated(name: str, values: np.ndarray[Any, Any]) -> Iterator[InputError]:
    unique, counts = np.unique(values, return_counts=True)
    if (counts > 1).any():
        yield InputError(
            name,
            "unique values",
            f"repeated: {listing(unique[counts > 1], most=5)}",
            "Make them unique, e.g. session and number joined.",
        )


def _json(text: Any) -> Any:
    try:
        return parse_json(text)
    except (TypeError, ValueError, AttributeError):
        return None
