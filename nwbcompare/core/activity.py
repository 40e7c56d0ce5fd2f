"""The data model: blocks of rates on one clock, joined into an activity.

A *block* is an `xarray.Dataset` with ``rate`` in one of two layouts, dense
``(trial, time, unit)`` or ragged ``(observation, time)``, a unit table on ``unit``, and trial
columns on ``trial`` or ``observation``. An *activity* is an `xarray.DataTree` with one leaf
for each clock. `nwbcompare.core.schema` holds the rules; this module makes and takes apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, listing, unknown_name

SCHEMA_VERSION = "1"
RATE_UNITS = {"model": "1", "recording": "spikes/s"}
EPOCH_TOLERANCE = 1e-3
"""Share of a bin within which a bin centre counts as on an epoch's bound."""

Source = Literal["model", "recording"]
Activity: TypeAlias = xr.DataTree | xr.Dataset
"""What every analysis takes: a whole activity, or one block of it."""


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
    """Make a block from plain arrays.

    Parameters
    ----------
    rate
        Rates: ``(trial, time, unit)`` for a dense block, ``(observation, time)`` for a ragged
        one. Stored as float32; NaN means not observed.
    time_s
        Bin centres (s), ``(time,)``, from the event that ``aligned_to`` names.
    bin_width_s
        Width of a bin (s).
    aligned_to
        The event at time 0, such as "stimulus onset".
    trials
        Trial columns by name, each ``(trial,)`` or ``(observation,)``; ``task`` is needed.
        Text is stored as integer codes (see `labels`). A value may be an `xarray.Variable`
        or ``(values, attrs)`` to carry attributes such as a long name.
    units
        Columns of the unit table by name, each ``(unit,)``; ``unit``, unique ids, is needed.
    condition_variables
        For each task, the trial columns whose combinations are its conditions.
    source
        Where the rates came from.
    name
        A short name for figures and tables, such as "monkey A" or "network 0".
    epochs
        For each epoch, its start and stop (s), each one number or one for each trial.
    observation_unit
        For a ragged block: the row of the unit table that each observation belongs to.
    rate_units
        "spikes/s" or "1"; by default "spikes/s" for a recording and "1" for a model.
    deterministic
        Whether the rates hold no noise at all (a network run without noise), so that one
        trial gives the mean of its condition exactly.
    provenance
        Where the rates came from in detail: files with checksums, versions, seed, command.

    Returns
    -------
    xarray.Dataset
        The block. `nwbcompare.check_activity` tells whether it keeps the data model.

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
    rates = rate if isinstance(rate, xr.Variable) else _float32(rate)
    if rates.ndim != len(dims):
        raise InputError(
            "rate",
            f"{len(dims)} dimensions {dims}",
            f"{rates.ndim} dimensions of sizes {rates.shape}",
            "Give rates as (trial, time, unit), or as (observation, time) with observation_unit.",
        )
    n_rows = rates.shape[0]
    coords: dict[str, Any] = {
        "time": (
            "time",
            np.asarray(time_s, dtype=np.float64),
            {"units": "s", "aligned_to": aligned_to, "bin_width_s": float(bin_width_s)},
        ),
        **{column: _unit_column(values) for column, values in units.items()},
        **{column: _trial_column(values, row) for column, values in trials.items()},
    }
    if ragged:
        coords["unit_key"] = ("unit", np.arange(len(coords["unit"][1]), dtype=np.int32))
        coords["observation_unit"] = (row, np.asarray(observation_unit, dtype=np.int32))
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
    unit_of_rate = {"units": rate_units or RATE_UNITS[source]}
    variable = rates if isinstance(rates, xr.Variable) else xr.Variable(dims, rates)
    variable.attrs.update(unit_of_rate)
    try:
        return xr.Dataset({"rate": variable}, coords=coords, attrs=attrs)
    except ValueError as error:
        raise InputError(
            "trials, units and time_s",
            f"lengths that fit rates of sizes {dict(zip(dims, rates.shape, strict=True))}",
            str(error),
            "Give one value for each trial, unit and bin.",
        ) from error


def make_activity(blocks: Mapping[str, xr.Dataset]) -> xr.DataTree:
    """Join blocks, one for each clock, into an activity.

    Parameters
    ----------
    blocks
        Blocks by the name of their leaf: for a network usually the task.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> sorted(make_activity({"go": example_block()}).children)
    ['go']
    """
    return xr.DataTree.from_dict({f"/{name}": block for name, block in blocks.items()})


def blocks(activity: Activity) -> dict[str, xr.Dataset]:
    """Give the blocks of an activity by leaf; a lone block is its own only leaf.

    Parameters
    ----------
    activity
        An activity or a block.

    Raises
    ------
    InputError
        Where it is neither.
    """
    if isinstance(activity, xr.Dataset):
        return {str(activity.attrs.get("name", "activity")): activity}
    got = type(activity).__name__
    if isinstance(activity, xr.DataTree):
        found = {
            leaf.path.strip("/") or str(leaf.dataset.attrs.get("name", "activity")): (
                leaf.to_dataset()
            )
            for leaf in activity.leaves
            if leaf.has_data
        }
        if found:
            return found
        got = "an empty DataTree"
    raise InputError(
        "activity",
        "an xarray.DataTree with at least one block, or a block (xarray.Dataset)",
        got,
        "Make one with nwbcompare.open, load or record, or with make_block and make_activity.",
    )


def is_ragged(block: xr.Dataset) -> bool:
    """Tell whether a block's rates are (observation, time)."""
    return "observation" in block["rate"].dims


def row_dim(block: xr.Dataset) -> str:
    """Give the dimension that a block's trial columns lie on."""
    return "observation" if is_ragged(block) else "trial"


def columns_on(dataset: xr.Dataset, dim: str) -> dict[str, xr.DataArray]:
    """Give the columns of a table: the coordinates that lie on one dimension alone.

    Parameters
    ----------
    dataset
        A block, trials, or a result.
    dim
        "unit" for the unit table; "trial" or "observation" for the trial columns.
    """
    return {str(name): column for name, column in dataset.coords.items() if column.dims == (dim,)}


def unit_table(block: xr.Dataset) -> dict[str, xr.DataArray]:
    """Give the unit table of a block, with each unit's session.

    In archives ``session`` is a column of the trials; results on units need it to tell which
    units belong together, and get the session of each unit's trials. A unit with trials of
    several sessions has their names joined by "+", one without trials "".

    Parameters
    ----------
    block
        A block.
    """
    columns = columns_on(block, "unit")
    if "session" in columns or "session" not in columns_on(block, row_dim(block)):
        return columns
    codes, names = codes_and_categories(block["session"])
    row = unit_positions(block) if is_ragged(block) else np.zeros(len(codes), dtype=np.int64)
    found: dict[int, list[str]] = {}
    for pair in np.flatnonzero(np.bincount(row * len(names) + codes)):
        unit, code = divmod(int(pair), len(names))
        found.setdefault(unit, []).append(str(names[code]))
    every = range(block.sizes["unit"])
    sessions = [found.get(unit if is_ragged(block) else 0, []) for unit in every]
    return columns | {
        "session": xr.DataArray(np.array(["+".join(own) for own in sessions]), dims="unit")
    }


def tasks_of(activity: Activity) -> list[str]:
    """Give the names of the tasks that an activity holds trials of, block by block."""
    names: list[str] = []
    for block in blocks(activity).values():
        codes, categories = codes_and_categories(block["task"])
        present = np.unique(codes)
        names += [categories[code] for code in present if 0 <= code < len(categories)]
    return list(dict.fromkeys(names))


def condition_variables_of(block: xr.Dataset) -> dict[str, list[str]]:
    """Give, for each task of a block, the trial columns whose combinations are conditions."""
    table: dict[str, list[str]] = json.loads(block.attrs["condition_variables"])
    return table


def unit_positions(block: xr.Dataset) -> npt.NDArray[np.int64]:
    """Give, for each observation of a ragged block, its unit's row in the unit table.

    The table is looked up by key, so that a selection of units cannot misdirect it.

    Raises
    ------
    InputError
        Where an observation's key is not in the table.
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
    """Turn text into integer codes and the sorted list of what they stand for."""
    categories, codes = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return codes.astype(np.int32).reshape(-1), [str(category) for category in categories]


def codes_and_categories(column: xr.DataArray) -> tuple[npt.NDArray[Any], list[str]]:
    """Give the codes of a text column and what they stand for."""
    if "categories" in column.attrs:
        categories: list[str] = json.loads(column.attrs["categories"])
        return column.values, categories
    return encode_labels(column.values)


def labels(column: xr.DataArray) -> npt.NDArray[Any]:
    """Give a column's values as a reader wants them: text columns as text.

    Text columns of trials are stored as integer codes with the attribute ``categories``;
    every other column is returned as it is.

    Parameters
    ----------
    column
        A trial column or a column of the unit table.

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


def epoch_bounds(
    block: xr.Dataset, epoch: str, rows: npt.NDArray[np.bool_] | None = None
) -> tuple[float, float] | None:
    """Give the start and stop (s) that an epoch has in all the given trials.

    Parameters
    ----------
    block
        A block.
    epoch
        The epoch's name.
    rows
        Which trials or observations are meant; all by default.

    Returns
    -------
    tuple of float or None
        Start and stop; None where the epoch is not there, in the block or in these trials.

    Raises
    ------
    InputError
        Where the trials differ in the epoch's bounds.
    """
    if "epoch" not in block.coords or epoch not in block["epoch"].values:
        return None
    place = int(np.flatnonzero(block["epoch"].values == epoch)[0])
    bounds = []
    for column in ("epoch_start_time", "epoch_stop_time"):
        times = block[column].values[:, place]
        times = times if rows is None else times[rows]
        if times.size == 0 or np.isnan(times).all():
            return None
        spread = np.ptp(times)
        if not spread <= EPOCH_TOLERANCE * block["time"].attrs["bin_width_s"]:
            raise InputError(
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
    """Tell which bins belong to an interval: those whose centre lies in [start, stop).

    A centre within a thousandth of a bin of a bound counts as on it, since 35 * 0.02 > 0.7
    in floating point.
    """
    slack = EPOCH_TOLERANCE * bin_width_s
    inside: npt.NDArray[np.bool_] = (time_s >= start - slack) & (time_s < stop - slack)
    return inside


def select(
    activity: Activity, *, units: Sequence[str] | None = None, **columns: Any
) -> xr.DataTree | xr.Dataset:
    """Select units and trials; tables and rates are cut together.

    Parameters
    ----------
    activity
        An activity or a block.
    units
        The ids of the units to keep, in this order.
    **columns
        Columns of the unit table or of the trials, each with the value to keep or a list of
        them, such as ``area="PFC"``, ``correct=True`` or ``task=["dm1", "dm2"]``.

    Returns
    -------
    xarray.DataTree or xarray.Dataset
        What remains, of the type that was given. Blocks with no trial left are left out.

    Raises
    ------
    InputError
        For a unit, a column or a value that does not exist, or where nothing is left.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> dict(select(example_block(), units=["u1"]).sizes)["unit"]
    1
    """
    kept = {
        leaf: block
        for leaf, whole in blocks(activity).items()
        if (block := _select_in_block(whole, units, columns)).sizes[row_dim(block)]
    }
    if not kept or not any(block.sizes["unit"] for block in kept.values()):
        raise InputError(
            "select",
            "at least one unit and one trial to be left",
            f"none with {_shown(units, columns)}",
            "Look at the columns' values, e.g. np.unique(nwbcompare.labels(block['task'])).",
        )
    return next(iter(kept.values())) if isinstance(activity, xr.Dataset) else make_activity(kept)


def _select_in_block(
    block: xr.Dataset, units: Sequence[str] | None, columns: Mapping[str, Any]
) -> xr.Dataset:
    row = row_dim(block)
    rows = np.ones(block.sizes[row], dtype=bool)
    places = np.arange(block.sizes["unit"]) if units is None else _unit_places(block, units)
    for name, wanted in columns.items():
        if name not in block.coords or block[name].dims not in {("unit",), (row,)}:
            known = [*columns_on(block, "unit"), *columns_on(block, row)]
            raise unknown_name("column", name, known)
        matches = _matches(block[name], wanted)
        if block[name].dims == ("unit",):
            places = places[matches[places]]
        else:
            rows &= matches
    if is_ragged(block):
        rows &= np.isin(unit_positions(block), places)
    return block.isel({row: np.flatnonzero(rows), "unit": places})


def _unit_places(block: xr.Dataset, units: Sequence[str]) -> npt.NDArray[np.int64]:
    where = {unit: place for place, unit in enumerate(block["unit"].values)}
    absent = [unit for unit in units if unit not in where]
    if absent:
        raise unknown_name("units", absent[0], [str(unit) for unit in where])
    return np.array([where[unit] for unit in units], dtype=np.int64)


def _matches(column: xr.DataArray, wanted: Any) -> npt.NDArray[np.bool_]:
    listed = wanted if isinstance(wanted, list | tuple | set | np.ndarray) else [wanted]
    matches: npt.NDArray[np.bool_] = np.isin(labels(column), np.asarray(list(listed)))
    return matches


def _shown(units: Sequence[str] | None, columns: Mapping[str, Any]) -> str:
    parts = [f"{name}={value!r}" for name, value in columns.items()]
    return ", ".join(parts + ([f"units={list(units)!r}"] if units is not None else []))


def _float32(rate: npt.ArrayLike) -> npt.NDArray[np.float32]:
    return np.asarray(rate, dtype=np.float32)


def _with_attrs(values: Any) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    if isinstance(values, xr.Variable | xr.DataArray):
        return np.asarray(values.values), dict(values.attrs)
    if isinstance(values, tuple) and len(values) == 2 and isinstance(values[1], dict):
        return np.asarray(values[0]), dict(values[1])
    return np.asarray(values), {}


def is_text(values: npt.NDArray[Any]) -> bool:
    """Tell whether an array holds text, of whichever of numpy's kinds."""
    return values.dtype.kind in "UT" or (
        values.dtype.kind == "O" and all(isinstance(value, str) for value in values.ravel())
    )


def _trial_column(values: Any, row: str) -> tuple[str, npt.NDArray[Any], dict[str, Any]]:
    array, attrs = _with_attrs(values)
    if "categories" not in attrs and is_text(array):
        array, categories = encode_labels(array)
        attrs["categories"] = json.dumps(categories)
    return row, array, attrs


def _unit_column(values: Any) -> tuple[str, npt.NDArray[Any], dict[str, Any]]:
    array, attrs = _with_attrs(values)
    return "unit", array.astype(str) if is_text(array) else array, attrs


def _epoch_coords(
    epochs: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], row: str, n_rows: int
) -> Iterator[tuple[str, Any]]:
    yield "epoch", ("epoch", np.array(list(epochs), dtype=str))
    for which, column in enumerate(("epoch_start_time", "epoch_stop_time")):
        times = np.empty((n_rows, len(epochs)))
        for place, bounds in enumerate(epochs.values()):
            times[:, place] = bounds[which]
        yield column, ((row, "epoch"), times, {"units": "s"})
