"""The data model: blocks of rates on one clock, joined into an activity.

A *block* is an `xarray.Dataset` with ``rate`` in one of two layouts, dense
``(trial, time, unit)`` or ragged ``(observation, time)``, a unit table on ``unit``, and trial
columns on ``trial`` or ``observation``. An *activity* is an `xarray.DataTree` with one leaf
for each clock. `nwbcompare.core.schema` has the rules that a block keeps; this module has the
functions that make blocks and read their tables.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.checks import unmasked
from nwbcompare.core.data_text import check_values
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name

SCHEMA_VERSION = "1"
RATE_UNITS = {"model": "1", "recording": "spikes/s"}
EPOCH_TOLERANCE = 1e-3
"""Share of a bin within which a bin centre counts as on an epoch's bound."""

WINDOW_EPOCH = "window"
"""The only epoch of a block that names none: its whole time axis."""

Source = Literal["model", "recording"]
Activity: TypeAlias = xr.DataTree | xr.Dataset
"""An activity, or one block of it: the argument of every analysis. A dict of blocks serves too."""


def make_block(
    rate: npt.ArrayLike | xr.Variable,
    *,
    time_s: npt.ArrayLike,
    bin_width_s: float,
    aligned_to: str,
    trials: Mapping[str, Any],
    units: Mapping[str, Any],
    condition_variables: Mapping[str, Sequence[str]],
    source: Source,
    name: str,
    epochs: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]] | None = None,
    observation_unit: npt.ArrayLike | None = None,
    rate_units: str | None = None,
    deterministic: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Make a block of rates, with its trials and units, from plain arrays.

    Parameters
    ----------
    rate
        Rates, ``(trial, time, unit)`` for a dense block, in which all units share the trials, or
        ``(observation, time)`` for a ragged one, in which each row is one unit in one trial.
        Stored as float32; NaN means not observed.
    time_s
        Bin centres (s), ``(time,)``, from the event that ``aligned_to`` names.
    bin_width_s
        Width of a bin (s).
    aligned_to
        The event at time 0, e.g. "stimulus onset".
    trials
        Trial columns by name, each ``(trial,)`` or ``(observation,)``; ``task`` is required.
        Text is stored as integer codes (see `labels`). A value may be an `xarray.Variable`
        or ``(values, attrs)``, for attributes such as a long name.
    units
        Columns of the unit table by name, each ``(unit,)``; ``unit``, unique ids, is required.
    condition_variables
        For each task, the trial columns whose combinations are its conditions.
    source
        "model" or "recording".
    name
        A short name for figures and tables, e.g. "monkey A" or "network 0".
    epochs
        Start and stop (s) of each epoch, each a number or ``(trial,)``; NaN in trials without
        the epoch. With none, the whole time axis is one epoch, "window".
    observation_unit
        For a ragged block: the row of each observation's unit in the unit table
        ``(observation,)``.
    rate_units
        "spikes/s" or "1"; by default "spikes/s" for a recording and "1" for a model.
    deterministic
        Whether the rates have no noise at all (a network run without noise), so that one
        trial is the mean of its condition exactly.
    provenance
        Origin of the rates in detail: files with checksums, versions, seed, command.

    Returns
    -------
    xarray.Dataset
        The block. It is not checked here; see `nwbcompare.check_activity`.

    Raises
    ------
    InputError
        If the rates have another number of dimensions, or a column another length than the rates.

    Examples
    --------
    >>> import numpy as np
    >>> block = make_block(
    ...     np.zeros((2, 3, 1)), time_s=[0.01, 0.03, 0.05], bin_width_s=0.02,
    ...     aligned_to="trial start", trials={"task": ["go", "go"], "direction": [0.0, 3.1]},
    ...     units={"unit": ["h0"]}, condition_variables={"go": ["direction"]},
    ...     source="model", name="toy", deterministic=True)
    >>> dict(block.sizes)
    {'trial': 2, 'time': 3, 'unit': 1}
    >>> labels(block["task"]).tolist()
    ['go', 'go']
    """
    ragged = observation_unit is not None
    row = "observation" if ragged else "trial"
    dims = (row, "time") if ragged else (row, "time", "unit")
    rates = rate if isinstance(rate, xr.Variable) else unmasked("rate", rate, np.float32)
    if rates.ndim != len(dims):
        raise InputError(
            "rate",
            f"{len(dims)} dimensions {dims}",
            f"{rates.ndim} dimensions of sizes {rates.shape}",
            "Pass rates as (trial, time, unit), or as (observation, time) with observation_unit.",
        )
    n_rows = rates.shape[0]
    coords: dict[str, Any] = {
        "time": (
            "time",
            unmasked("time_s", time_s, np.float64),
            {"units": "s", "aligned_to": aligned_to, "bin_width_s": float(bin_width_s)},
        ),
        **{column: _unit_column(values) for column, values in units.items()},
        **{column: trial_column(values, row) for column, values in trials.items()},
    }
    if observation_unit is not None:
        coords["unit_key"] = ("unit", np.arange(len(coords["unit"][1]), dtype=np.int32))
        coords["observation_unit"] = (row, _unit_keys(observation_unit))
    if epochs:
        coords.update(_epoch_coords(epochs, row, n_rows))
    attrs = {
        "schema_version": SCHEMA_VERSION,
        "source": source,
        # netCDF has no boolean attribute
        "deterministic": int(deterministic),
        "name": name,
        "condition_variables": json.dumps({k: list(v) for k, v in condition_variables.items()}),
        "provenance": json.dumps(dict(provenance or {})),
    }
    variable = rates if isinstance(rates, xr.Variable) else xr.Variable(dims, rates)
    variable.attrs["units"] = rate_units or RATE_UNITS[source]
    try:
        return xr.Dataset({"rate": variable}, coords=coords, attrs=attrs)
    except ValueError as error:
        raise InputError(
            "trials, units and time_s",
            f"lengths that fit rates of sizes {dict(zip(dims, rates.shape, strict=True))}",
            str(error),
            "Pass one value for each trial, unit and bin.",
        ) from error


def make_activity(blocks: Mapping[str, xr.Dataset]) -> xr.DataTree:
    """Join blocks, one for each clock, into an activity.

    Parameters
    ----------
    blocks
        Blocks by the name of their leaf, which for a network usually is the task.

    Returns
    -------
    xarray.DataTree
        The activity, with one leaf for each block.

    Raises
    ------
    InputError
        If it is no dict of blocks, or a name is none that a tree or a file can hold.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> sorted(make_activity({"go": example_block()}).children)
    ['go']
    """
    is_dict = isinstance(blocks, Mapping)
    if not is_dict or not all(isinstance(block, xr.Dataset) for block in blocks.values()):
        raise InputError(
            "blocks", "a dict of blocks by name", kind_of(blocks), 'Pass {"name": block, ...}.'
        )
    for name in map(str, blocks):
        try:
            check_values(name)
            # a path of a tree: two points would leave it
            is_name = not {".", ".."} & set(name.split("/"))
        except ValueError:
            is_name = False
        if not is_name:
            raise InputError(
                "blocks", "names without '.', '..' and NUL", repr(name), "Use another name."
            )
    return xr.DataTree.from_dict({f"/{name}": block for name, block in blocks.items()})


def blocks(activity: Activity) -> dict[str, xr.Dataset]:
    """Return the blocks of an activity by leaf; a lone block by its name.

    Parameters
    ----------
    activity
        An activity, a block, or a dict of blocks by the name of their leaf.

    Raises
    ------
    InputError
        If it is anything else, which the message names, an empty activity, or one without units.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> list(blocks(example_block()))
    ['example']
    >>> blocks([example_block()])
    Traceback (most recent call last):
        ...
    nwbcompare.core.errors.InputError: activity: expected an xarray.DataTree of blocks, a block ...
    """
    leaves = leaves_of(activity)
    if leaves and all("rate" in block for block in leaves.values()):
        for leaf, block in leaves.items():
            if block.sizes.get("unit") == 0:
                raise InputError(leaf, "at least one unit", "none", "Select other units.")
        return leaves
    raise InputError(
        "activity",
        "an xarray.DataTree of blocks, a block (an xarray.Dataset with rates), or a dict of blocks",
        kind_of(activity),
        _remedy(activity),
    )


def leaves_of(activity: object) -> dict[str, xr.Dataset]:
    """Return the Datasets of an activity by leaf, with rates or not; none of anything else.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> list(leaves_of({"go": example_block()})), leaves_of("session.nwb")
    (['go'], {})
    """
    if isinstance(activity, xr.Dataset):
        return {str(activity.attrs.get("name", "activity")): activity}
    if isinstance(activity, xr.DataTree):
        return {
            leaf.path.strip("/") or str(leaf.dataset.attrs.get("name", "activity")): (
                leaf.to_dataset()
            )
            for leaf in activity.leaves
            if leaf.has_data
        }
    if not isinstance(activity, Mapping):
        return {}
    leaves = {str(leaf): one for leaf, one in activity.items() if isinstance(one, xr.Dataset)}
    return leaves if len(leaves) == len(activity) else {}


def kind_of(item: object) -> str:
    """Return what an object is, for messages.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> kind_of(example_block()), kind_of([1, 2]), kind_of({"rate": np.zeros(3)})
    ('a block', 'a list of 2 (int)', 'a dict of 1 (ndarray)')
    """
    name = f"a {type(item).__name__}"
    if isinstance(item, xr.Dataset):
        has_rates = "rate" in item
        return "a block" if has_rates else f"a Dataset without rates, of {listing(item.data_vars)}"
    if isinstance(item, xr.DataTree):
        return "an activity" if leaves_of(item) else "an empty DataTree"
    if isinstance(item, Mapping | list | tuple):
        values = item.values() if isinstance(item, Mapping) else item
        kinds = listing(dict.fromkeys(type(one).__name__ for one in values))
        return f"{name} of {len(item)} ({kinds})" if item else f"an empty {name[2:]}"
    if isinstance(item, str | os.PathLike):
        return f"the text or path {str(item)!r}"
    return "None" if item is None else name


def _remedy(item: object) -> str:
    """Return how to make an activity of an object."""
    if isinstance(item, str | os.PathLike):
        return f"Open it first: nwbcompare.open({str(item)!r})."
    if isinstance(item, list | tuple):
        return (
            "Take sources one by one; join blocks of one source with "
            "nwbcompare.make_activity({name: block, ...})."
        )
    if isinstance(item, xr.Dataset):
        return "Pass the activity that it was computed from."
    if isinstance(item, Mapping | np.ndarray | xr.DataArray):
        return "Make one: nwbcompare.from_arrays(rates, trials={...}, time_s=...)."
    # by its methods, since torch takes seconds to import
    if hasattr(item, "state_dict"):
        return "Record it first: nwbcompare.record(network, trials)."
    return "Make one with nwbcompare.open, load or record, or with make_block and make_activity."


def is_ragged(block: xr.Dataset) -> bool:
    """Return whether a block is ragged: its rates are (observation, time).

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> is_ragged(example_block())
    False
    """
    return "observation" in block["rate"].dims


def row_dim(block: xr.Dataset) -> str:
    """Return the dimension of a block's trial columns: "observation" if ragged, else "trial".

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> row_dim(example_block())
    'trial'
    """
    return "observation" if is_ragged(block) else "trial"


def columns_on(dataset: xr.Dataset, dim: str) -> dict[str, xr.DataArray]:
    """Return the columns of a table: the coordinates on one dimension alone.

    Parameters
    ----------
    dataset
        A block, trials, or a result.
    dim
        "unit" for the unit table; "trial" or "observation" for the trial columns.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> list(columns_on(example_block(), "unit"))
    ['unit', 'area']
    """
    return {str(name): column for name, column in dataset.coords.items() if column.dims == (dim,)}


KEYS = {"observation_unit", "unit_key"}
"""Coordinates that join the trials and the units of a ragged block, and are no columns."""


def trial_columns(block: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Return the trial columns of a block as arrays; codes are decoded to text.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> trial_columns(example_block())["task"][:2].tolist()
    ['go', 'go']
    """
    columns = columns_on(block, row_dim(block))
    return {name: labels(column) for name, column in columns.items() if name not in KEYS}


def unit_columns(block: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a block's unit table as arrays.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> unit_columns(example_block())["area"].tolist()
    ['A', 'A', 'B']
    """
    columns = columns_on(block, "unit")
    return {name: labels(column) for name, column in columns.items() if name not in KEYS}


def unit_table(block: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the unit table of a block, with each unit's session.

    Loaders of archives keep ``session`` as a trial column. Statistics over units need it for each
    unit, since units of one session are not independent; it is taken from the unit's trials.

    Parameters
    ----------
    block
        A block.

    Returns
    -------
    dict of str to xarray.DataArray
        The columns, each ``(unit,)``. ``session`` joins the names by "+" for a unit with trials
        of several sessions, and is "" for a unit without trials; it is left out where neither
        table has it.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().assign_coords(session=("trial", ["day1"] * 8))
    >>> unit_table(block)["session"].values.tolist()
    ['day1', 'day1', 'day1']
    """
    columns = columns_on(block, "unit")
    # a column of units takes precedence over one of trials
    if "session" in columns or "session" not in columns_on(block, row_dim(block)):
        return columns
    codes, names = codes_and_categories(block["session"])
    row = unit_positions(block) if is_ragged(block) else np.zeros(len(codes), dtype=np.int64)
    sessions_of_unit: dict[int, list[str]] = {}
    # each pair of unit and session once, without a loop over trials
    for pair in np.flatnonzero(np.bincount(row * len(names) + codes)):
        unit, code = divmod(int(pair), len(names))
        sessions_of_unit.setdefault(unit, []).append(str(names[code]))
    # all units of a dense block share its trials
    rows = range(block.sizes["unit"]) if is_ragged(block) else [0] * block.sizes["unit"]
    sessions = ["+".join(sessions_of_unit.get(unit, [])) for unit in rows]
    return columns | {"session": xr.DataArray(np.array(sessions), dims="unit")}


def tasks_of(activity: Activity) -> list[str]:
    """Return the names of the tasks that an activity has trials of, block by block.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> tasks_of(example_block())
    ['go']
    """
    names: list[str] = []
    for block in blocks(activity).values():
        codes, categories = codes_and_categories(block["task"])
        present = np.unique(codes)
        names += [categories[code] for code in present if 0 <= code < len(categories)]
    return list(dict.fromkeys(names))


def condition_variables_of(block: xr.Dataset) -> dict[str, list[str]]:
    """Return, for each task of a block, the trial columns whose combinations are conditions.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> condition_variables_of(example_block())
    {'go': ['direction']}
    """
    table: dict[str, list[str]] = json.loads(block.attrs["condition_variables"])
    return table


def unit_positions(block: xr.Dataset) -> npt.NDArray[np.int64]:
    """Return the row of each observation's unit in the unit table of a ragged block.

    Units are matched by key, not by position, so that rows stay correct after a selection.

    Parameters
    ----------
    block
        A ragged block.

    Returns
    -------
    array of int, (observation,)
        Rows of the unit table.

    Raises
    ------
    InputError
        If the key of an observation is not in the table.

    Examples
    --------
    >>> import xarray as xr
    >>> unit_positions(xr.Dataset(coords={
    ...     "unit_key": ("unit", [7, 3]), "observation_unit": ("observation", [3, 7])})).tolist()
    [1, 0]
    """
    rows, unknown = unit_rows(block)
    if unknown.size:
        raise unknown_keys(unknown)
    return rows


def unit_rows(block: xr.Dataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return the row of each observation's unit, and the keys that no unit has.

    Parameters
    ----------
    block
        A ragged block.

    Returns
    -------
    rows : array, (observation,)
        Rows of the unit table; any row where the key is unknown.
    unknown : array
        Keys in ``observation_unit`` that are not in ``unit_key``, ascending.

    Examples
    --------
    >>> import xarray as xr
    >>> block = xr.Dataset(coords={
    ...     "unit_key": ("unit", [7, 3]), "observation_unit": ("observation", [3, 7, 5])})
    >>> rows, unknown = unit_rows(block)
    >>> rows[:2].tolist(), unknown.tolist()
    ([1, 0], [5])
    """
    keys, observed = block["unit_key"].values, block["observation_unit"].values
    # keys need not ascend after a selection by hand
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], observed), len(keys) - 1)
    rows = order[place]
    return rows.astype(np.int64), np.unique(observed[keys[rows] != observed])


def unknown_keys(keys: npt.NDArray[Any]) -> InputError:
    """Return the error for observations whose unit is not in the unit table.

    Parameters
    ----------
    keys
        The unknown keys.

    Examples
    --------
    >>> import numpy as np
    >>> unknown_keys(np.array([5])).got
    'the dangling keys 5'
    """
    return InputError(
        "observation_unit",
        "keys that are in unit_key",
        f"the dangling keys {listing(keys, most=5)}",
        "Select units with nwbcompare.select, which takes their observations along.",
    )


def encode_labels(values: npt.ArrayLike) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Encode text as integers.

    Parameters
    ----------
    values
        Text, ``(row,)``.

    Returns
    -------
    codes : array of int32, (row,)
        Indices into ``categories``.
    categories : list of str
        The different texts, sorted.

    Examples
    --------
    >>> codes, categories = encode_labels(["right", "left", "right"])
    >>> codes.tolist(), categories
    ([1, 0, 1], ['left', 'right'])
    """
    categories, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return codes.astype(np.int32).reshape(-1), [str(category) for category in categories]


def codes_and_categories(column: xr.DataArray) -> tuple[npt.NDArray[Any], list[str]]:
    """Return the integer codes and the categories of a text column.

    Parameters
    ----------
    column
        A column with the attribute ``categories``, or of text.

    Returns
    -------
    codes : array of int, (row,)
        Indices into ``categories``.
    categories : list of str
        The texts; sorted where the column has no attribute ``categories``.

    Examples
    --------
    >>> import xarray as xr
    >>> codes, categories = codes_and_categories(xr.DataArray(["b", "a"], dims="trial"))
    >>> codes.tolist(), categories
    ([1, 0], ['a', 'b'])
    """
    if "categories" in column.attrs:
        categories: list[str] = json.loads(column.attrs["categories"])
        return column.values, categories
    return encode_labels(column.values)


def labels(column: xr.DataArray) -> npt.NDArray[Any]:
    """Return the values of a column, decoded to text where they are codes.

    Text columns of trials are stored as integer codes with the attribute ``categories``, a JSON
    list; all other columns are returned unchanged.

    Parameters
    ----------
    column
        A trial column or a column of the unit table.

    Returns
    -------
    array
        The values, of the column's shape.

    Examples
    --------
    >>> import xarray as xr
    >>> column = xr.DataArray([1, 0], dims="trial", attrs={"categories": '["left", "right"]'})
    >>> labels(column).tolist()
    ['right', 'left']
    """
    if "categories" not in column.attrs:
        return np.asarray(column.values)
    codes, categories = codes_and_categories(column)
    text: npt.NDArray[Any] = np.asarray(categories, dtype=str)[codes]
    return text


def is_of_task(block: xr.Dataset, task: str) -> npt.NDArray[np.bool_]:
    """Return which trials or observations of a block are of a task.

    Parameters
    ----------
    block
        A block.
    task
        The task.

    Returns
    -------
    array of bool, (trial,) or (observation,)

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> int(is_of_task(example_block(), "go").sum())
    8
    """
    # codes are compared a hundred times as fast as texts
    codes, categories = codes_and_categories(block["task"])
    inside: npt.NDArray[np.bool_] = np.array([one == task for one in categories])[codes]
    return inside


def window_bounds(block: xr.Dataset) -> tuple[float, float]:
    """Return the start of the first bin and the stop of the last (s).

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> window_bounds(example_block())
    (0.0, 0.5)
    """
    centres, width = block["time"].values, float(block["time"].attrs["bin_width_s"])
    # rounded: centres were computed from the bounds that are wanted here
    start, stop = centres[0] - width / 2, centres[-1] + width / 2
    return round(float(start), 9), round(float(stop), 9)


def epoch_names(block: xr.Dataset) -> list[str]:
    """Return the names of a block's epochs; "window", the whole time axis, where it has none.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> epoch_names(example_block()), epoch_names(example_block().drop_dims("epoch"))
    (['fix1', 'stim1'], ['window'])
    """
    if "epoch" not in block.coords:
        return [WINDOW_EPOCH]
    return [str(name) for name in block["epoch"].values]


def epoch_bounds(
    block: xr.Dataset, epoch: str, rows: npt.NDArray[np.bool_] | None = None
) -> tuple[float, float] | None:
    """Return the start and stop (s) of an epoch that all trials share.

    Parameters
    ----------
    block
        A block.
    epoch
        The epoch's name; "window" is the whole time axis of a block that names no epochs.
    rows
        Mask of the trials or observations to use, ``(trial,)`` or ``(observation,)``; all by
        default.

    Returns
    -------
    tuple of float or None
        Start and stop (s) from time 0; None if the block or these trials lack the epoch.

    Raises
    ------
    NotApplicableError
        If the bounds differ between trials by more than a thousandth of a bin.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> epoch_bounds(example_block(), "stim1")
    (0.1, 0.5)
    """
    if epoch not in epoch_names(block):
        return None
    if "epoch" not in block.coords:
        return window_bounds(block)
    place = int(np.flatnonzero(block["epoch"].values == epoch)[0])
    bounds = []
    for column in ("epoch_start_time", "epoch_stop_time"):
        times = block[column].values[:, place]
        times = times if rows is None else times[rows]
        if times.size == 0 or np.isnan(times).all():
            return None
        spread = np.ptp(times)
        # written so that NaN, an epoch missing in some trials, is an error too
        if not spread <= EPOCH_TOLERANCE * block["time"].attrs["bin_width_s"]:
            raise NotApplicableError(
                f"epoch {epoch!r}",
                "the same bounds in every trial of a task",
                f"{column} from {np.nanmin(times):g} to {np.nanmax(times):g} s, "
                f"missing in {int(np.isnan(times).sum())} of {times.size} trials",
                f"Align the trials first: nwbcompare.align(activity, {epoch!r}).",
            )
        bounds.append(float(times[0]))
    return bounds[0], bounds[1]


def bins_in(
    time_s: npt.NDArray[np.float64], start: float, stop: float, bin_width_s: float
) -> npt.NDArray[np.bool_]:
    """Return which bins belong to an interval: those whose centre lies in [start, stop).

    Parameters
    ----------
    time_s
        Bin centres (s), ``(time,)``.
    start, stop
        The interval (s). A centre within a thousandth of a bin of a bound counts as on it,
        since 35 * 0.02 > 0.7 in floating point.
    bin_width_s
        Width of a bin (s).

    Returns
    -------
    array of bool, (time,)
        True for bins in the interval.

    Examples
    --------
    >>> import numpy as np
    >>> bins_in(np.array([0.05, 0.15, 0.25]), 0.1, 0.3, 0.1).tolist()
    [False, True, True]
    """
    slack = EPOCH_TOLERANCE * bin_width_s
    return (time_s >= start - slack) & (time_s < stop - slack)


def select(
    activity: Activity, *, units: Sequence[str] | None = None, **columns: Any
) -> xr.DataTree | xr.Dataset:
    """Select units and trials, with their rates and table rows.

    Parameters
    ----------
    activity
        An activity or a block.
    units
        The ids of the units to keep, in this order.
    **columns
        Columns of the unit table or of the trials, each with a value or a list of values to
        keep, e.g. ``area="PFC"``, ``correct=True`` or ``task=["dm1", "dm2"]``.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        The selection, of the type of ``activity``. Blocks without any selected trial are left
        out.

    Raises
    ------
    InputError
        If a unit or a column does not exist, or no unit or no trial is left.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> dict(select(example_block(), units=["u1"]).sizes)["unit"]
    1
    """
    selection = {
        leaf: block
        for leaf, whole in blocks(activity).items()
        if (block := _select_in_block(whole, units, columns)).sizes[row_dim(block)]
    }
    if not any(block.sizes["unit"] for block in selection.values()):
        raise InputError(
            "select",
            "at least one unit and one trial to be left",
            f"none with {_as_arguments(units, columns)}",
            "Print the columns' values, e.g. np.unique(nwbcompare.labels(block['task'])).",
        )
    if isinstance(activity, xr.Dataset):
        return next(iter(selection.values()))
    return make_activity(selection)


def _select_in_block(
    block: xr.Dataset, units: Sequence[str] | None, columns: Mapping[str, Any]
) -> xr.Dataset:
    row = row_dim(block)
    rows = np.ones(block.sizes[row], dtype=bool)
    places = np.arange(block.sizes["unit"]) if units is None else _unit_places(block, units)
    for name, values in columns.items():
        if name not in block.coords or block[name].dims not in {("unit",), (row,)}:
            names = [*columns_on(block, "unit"), *columns_on(block, row)]
            raise unknown_name("column", name, names)
        matches = _matches(block[name], values)
        if block[name].dims == ("unit",):
            places = places[matches[places]]
        else:
            rows &= matches
    # observations of units that are not selected would point to no unit
    if is_ragged(block):
        rows &= np.isin(unit_positions(block), places)
    return block.isel({row: np.flatnonzero(rows), "unit": places})


def _unit_places(block: xr.Dataset, units: Sequence[str]) -> npt.NDArray[np.int64]:
    where = {unit: place for place, unit in enumerate(block["unit"].values)}
    absent = [unit for unit in units if unit not in where]
    if absent:
        raise unknown_name("units", absent[0], [str(unit) for unit in where])
    return np.array([where[unit] for unit in units], dtype=np.int64)


def _matches(column: xr.DataArray, values: Any) -> npt.NDArray[np.bool_]:
    items = values if isinstance(values, list | tuple | set | np.ndarray) else [values]
    return np.isin(labels(column), np.asarray(list(items)))


def _as_arguments(units: Sequence[str] | None, columns: Mapping[str, Any]) -> str:
    parts = [f"{name}={value!r}" for name, value in columns.items()]
    return ", ".join(parts + ([f"units={list(units)!r}"] if units is not None else []))


def _unit_keys(observation_unit: npt.ArrayLike) -> npt.NDArray[np.int32]:
    given = unmasked("observation_unit", observation_unit)
    whole = given.dtype.kind in "iu" or (
        given.dtype.kind == "f" and bool((np.isfinite(given) & (given == np.floor(given))).all())
    )
    if not whole:
        raise InputError(
            "observation_unit",
            "whole numbers, the row of each unit in the unit table",
            f"{given.dtype} with other values" if given.dtype.kind == "f" else f"{given.dtype}",
            "Pass integers from 0.",
        )
    return given.astype(np.int32)


def _with_attrs(values: Any) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    if isinstance(values, xr.Variable | xr.DataArray):
        return np.asarray(values.values), dict(values.attrs)
    if isinstance(values, tuple) and len(values) == 2 and isinstance(values[1], dict):
        return unmasked("column", values[0]), dict(values[1])
    return unmasked("column", values), {}


def is_text(values: npt.NDArray[Any]) -> bool:
    """Return whether an array has text, of any of numpy's kinds.

    Examples
    --------
    >>> import numpy as np
    >>> is_text(np.array(["left", "right"])), is_text(np.array([1.5]))
    (True, False)
    """
    return values.dtype.kind in "UT" or (
        values.dtype.kind == "O" and all(isinstance(value, str) for value in values.ravel())
    )


def trial_column(values: Any, row: str) -> tuple[str, npt.NDArray[Any], dict[str, Any]]:
    """Return the dimension, the values and the attributes of a trial column; text as codes.

    Examples
    --------
    >>> _, codes, attrs = trial_column(["right", "left"], "trial")
    >>> codes.tolist(), attrs
    ([1, 0], {'categories': '["left", "right"]'})
    """
    array, attrs = _with_attrs(values)
    if "categories" not in attrs and is_text(array):
        array, categories = encode_labels(array)
        attrs["categories"] = json.dumps(categories)
    return row, array, attrs


def _unit_column(values: Any) -> tuple[str, npt.NDArray[Any], dict[str, Any]]:
    array, attrs = _with_attrs(values)
    # object arrays of text cannot be written to netCDF
    return "unit", array.astype(str) if is_text(array) else array, attrs


def _epoch_coords(
    epochs: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], row: str, n_rows: int
) -> Iterator[tuple[str, Any]]:
    yield "epoch", ("epoch", np.array(list(epochs), dtype=str))
    for which, column in enumerate(("epoch_start_time", "epoch_stop_time")):
        times = np.empty((n_rows, len(epochs)))
        for place, bounds in enumerate(epochs.values()):
            times[:, place] = unmasked("epochs", bounds[which], np.float64)
        yield column, ((row, "epoch"), times, {"units": "s"})
