"""Activity from MATLAB files, by a mapping of names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.files import sha256_of_file
from nwbcompare.io.arrays import from_arrays
from nwbcompare.io.matlab.fieldtrip import fieldtrip_dims
from nwbcompare.io.matlab.structs import Struct, opened_mat

ARRAYS = ("rates", "spikes", "time_s")
TABLES = ("trials", "units")
STEP = re.compile(
    r"\.?(?P<field>[A-Za-z]\w*)|\((?P<element>\d+)\)|\{(?P<cell>\d+)\}|\(:,\s*(?P<column>\d+)\)"
)


@dataclass(frozen=True)
class _ColumnOf:
    """The step ``(:,number)``, a column of a matrix."""

    number: int


Step = str | int | _ColumnOf


def from_mat(
    path: str | os.PathLike[str], mapping: Mapping[str, Any], **options: Any
) -> xr.DataTree:
    """Make an activity from a MATLAB file, by a mapping of names.

    Parameters
    ----------
    path
        The file, of version 5 or 7.3 (HDF5).
    mapping
        Names of the variables and fields with ``rates`` or ``spikes``, ``time_s``, and the
        columns of ``trials`` and ``units``, each in MATLAB's notation:
        ``{"rates": "data.psth", "trials": {"coherence": "data.info.coh"}}``. Elements count
        from 1, as in ``"neurons(2).raw{1}"``, and ``"data.trialinfo(:,2)"`` is a column of a
        matrix. A field of an array of structs, as in
        ``"neurons.raw"``, is a list with one value for each struct, e.g. for each unit.
    **options
        Options of `nwbcompare.from_arrays`, e.g. ``dims`` for the order of axes,
        ``counts=True`` or ``bin``; and ``trials`` or ``units`` where these are in another file.

    Returns
    -------
    xarray.DataTree
        One block, checked. If rates are a list by unit, units have different trials, and each
        trial column is also a list by unit, or one value for all trials. A cell of spike times
        with one row or column has units on the session's clock; with ``dims``, the trials of one
        unit. The cell of trials in FieldTrip's raw data (with ``time_s`` its cell of times) and the
        ``dimord`` of its timelock data are known; for another cell that may be by trial, name its
        axes with ``dims``.

    Raises
    ------
    InputError
        If a name does not exist (the message lists the names), the file is damaged or is not a
        MATLAB file, a cell may be by unit or by trial, and as `from_arrays`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from scipy.io import savemat
    >>> data = {"counts": np.arange(6).reshape(2, 3), "info": {"rule": ["go", "stop"]}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "cell7.mat"
    ...     savemat(path, {"data": data})
    ...     activity = from_mat(
    ...         path, {"rates": "data.counts", "trials": {"task": "data.info.rule"}},
    ...         counts=True, bin=0.5)
    >>> activity["cell7"]["rate"].values[:, :, 0].tolist()
    [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]
    """
    path = Path(path)
    _check_mapping(mapping)
    for key in TABLES:
        if options.get(key) is not None and mapping.get(key):
            raise InputError(
                key,
                "columns in the mapping or as an option",
                "both",
                "Put them all in one of them.",
            )
    with opened_mat(path) as variables:
        # all are looked up while the file is open, since fields are read at access
        values = {key: _look_up(path, variables, mapping[key]) for key in ARRAYS if key in mapping}
        dims = options.pop("dims", None) or _fieldtrip_dims(path, variables, mapping.get("rates"))
        tables = {
            key: {
                name: _column_values(path, where, _look_up(path, variables, where))
                for name, where in mapping.get(key, {}).items()
            }
            for key in TABLES
        }
    arrays = _arrays(path, values, dims)
    given = {key: options.pop(key, None) for key in TABLES}
    known = {key: tables[key] if given[key] is None else given[key] for key in TABLES}
    dims = dims or _cell_dims(path, arrays, known["trials"], known["units"])
    trials, units = given["trials"], given["units"]
    if trials is None:
        trials = _trials(tables["trials"], arrays, dims)
    if units is None:
        units = {name: _column(column) for name, column in tables["units"].items()} or None
    options.setdefault("name", path.stem)
    options.setdefault("provenance", {"file": {"name": path.name, "sha256": sha256_of_file(path)}})
    return from_arrays(trials=trials, units=units, dims=dims, **(arrays | options))


def _check_mapping(mapping: Mapping[str, Any]) -> None:
    for key, value in mapping.items():
        if key not in (*ARRAYS, *TABLES):
            raise unknown_name("mapping", key, (*ARRAYS, *TABLES))
        if isinstance(value, str) == (key in TABLES):
            raise InputError(
                f"mapping[{key!r}]",
                "columns and where they are" if key in TABLES else "where it is, as text",
                repr(value),
                'Write {"rates": "data.psth", "trials": {"task": "data.task"}}.',
            )


def _look_up(path: Path, variables: Struct, where: Any) -> Any:
    """Return the value of a name in MATLAB's notation."""
    return _follow(f"{path}: {where}", variables, _steps(where))


def _steps(where: Any) -> list[Step]:
    steps: list[Step] = []
    text, place = str(where), 0
    while place < len(text):
        match = STEP.match(text, place)
        if match is None:
            raise InputError(
                "mapping",
                "names as in MATLAB, such as 'data.trials(1).spikes{2}'",
                repr(where),
                f"Correct the part from {text[place:]!r}.",
            )
        if match["column"]:
            steps.append(_ColumnOf(int(match["column"])))
        else:
            steps.append(match["field"] or int(match["element"] or match["cell"]))
        place = match.end()
    return steps


def _follow(subject: str, value: Any, steps: Sequence[Step]) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, _ColumnOf):
        return _follow(subject, _column_of(subject, value, step.number), rest)
    if isinstance(step, int):
        return _follow(subject, _element(subject, value, step), rest)
    if isinstance(value, list):
        return [_follow(subject, item, steps) for item in value]
    if not isinstance(value, Struct):
        raise InputError(
            subject, f"a struct with a field {step!r}", _kind(value), "Correct the mapping."
        )
    if step not in value:
        raise unknown_name(subject, step, value)
    return _follow(subject, value[step], rest)


def _column_of(subject: str, value: Any, number: int) -> Any:
    """Return a column of a matrix, or of a cell of two dimensions, counted from 1."""
    rows = value if isinstance(value, list) else np.atleast_2d(value)
    if not all(isinstance(row, list) or np.ndim(row) == 1 for row in rows):
        raise InputError(subject, "a matrix or a cell", _kind(value), "Correct the mapping.")
    n_columns = min((len(row) for row in rows), default=0)
    if not 1 <= number <= n_columns:
        raise InputError(
            subject, f"a column from 1 to {n_columns}", str(number), "MATLAB counts from 1."
        )
    column = [row[number - 1] for row in rows]
    return column if isinstance(value, list) else np.array(column)


def _fieldtrip_dims(path: Path, variables: Struct, where: Any) -> tuple[str, ...] | None:
    """Return the axes of rates that are a field of a struct of FieldTrip's, else None."""
    if where is None:
        return None
    *before, field = _steps(where)
    if not isinstance(field, str) or not before:
        return None
    return fieldtrip_dims(_follow(f"{path}: {where}", variables, before), field)


def _element(subject: str, value: Any, number: int) -> Any:
    """Return an element, counted from 1; a single struct is an array of one element."""
    items = value if isinstance(value, list) else [value]
    if not 1 <= number <= len(items):
        raise InputError(
            subject, f"an element from 1 to {len(items)}", str(number), "MATLAB counts from 1."
        )
    return items[number - 1]


def _column_values(path: Path, where: Any, value: Any) -> Any:
    """Return the values of a column, after a check that they are not structs."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, Struct):
            raise InputError(f"{path}: {where}", "values", _kind(item), "Name one of its fields.")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array {value.shape}"
    if isinstance(value, Struct):
        return f"a struct with fields {listing(value)}"
    return "text" if isinstance(value, str) else "a cell"


def _arrays(path: Path, values: Mapping[str, Any], dims: Any) -> dict[str, Any]:
    """Return arrays in the form of `from_arrays`."""
    arrays = dict(values)
    # a list of rates must have a matrix for each unit, since units may differ in trials
    for key, value in arrays.items():
        if key == "time_s" and isinstance(value, list):
            # of each trial; `from_arrays` checks their number
            continue
        matrices = key == "rates" and isinstance(value, list)
        for item in value if matrices else [value]:
            if isinstance(item, Struct | str) or (matrices and np.ndim(item) != 2):
                raise InputError(
                    f"{path}: {key}",
                    "matrices, one for each unit or trial" if matrices else "an array or a cell",
                    _kind(item),
                    "Name the field with the numbers.",
                )
    spikes = arrays.get("spikes")
    if isinstance(spikes, list) and not any(isinstance(item, list) for item in spikes):
        # a cell of one row or column
        times = [np.ravel(item) for item in spikes]
        by_trial = [[item] for item in times] if dims and dims[0] == "trial" else [times]
        arrays["spikes"] = by_trial if dims else times
    return arrays


def _cell_dims(
    path: Path, arrays: Mapping[str, Any], trials: Any, units: Any
) -> tuple[str, ...] | None:
    """Return the axes of a cell of matrices, or of cells of spike times, from columns' lengths.

    None if it is by unit, as `from_arrays` assumes, or by neither.
    """
    key = "rates" if "rates" in arrays else "spikes"
    cell = arrays.get(key)
    if not isinstance(cell, list) or not all(
        np.ndim(item) == 2 or isinstance(item, list) for item in cell
    ):
        return None
    one_table = not isinstance(trials, list | tuple)
    sizes = [len(item) for item in cell]
    if key == "rates":
        others = set.intersection(*(set(np.shape(item)) for item in cell))
        by_unit = not one_table or all(
            _is_by_unit(trials[name], sizes) for name in ({} if trials is None else trials)
        )
    else:
        others = set(sizes) if len(set(sizes)) == 1 else set()
        by_unit = _have_length(trials, set(sizes))
    by_unit = by_unit and _have_length(units, {len(cell)})
    by_trial = one_table and _have_length(trials, {len(cell)}) and _have_length(units, others)
    if by_trial and not by_unit and key == "spikes":
        return ("trial", "unit")
    if by_trial and others:
        raise InputError(
            f"{path}: {key}",
            "dims=('unit', 'trial', 'time') or ('trial', 'unit', 'time')"
            if key == "rates"
            else "dims=('unit', 'trial') or ('trial', 'unit')",
            f"a cell of {len(cell)} that may be by trial",
            "Name the axis of the cell first, then those of its elements.",
        )
    return None


def _have_length(table: Any, lengths: set[int]) -> bool:
    """Return whether all columns of a table have one of some numbers of values."""
    columns = {} if table is None or isinstance(table, list | tuple) else table
    return all(
        (1 if isinstance(columns[name], str) else len(_column(columns[name]))) in lengths
        for name in columns
    )


def _is_by_unit(values: Any, sizes: Sequence[int]) -> bool:
    """Return whether a trial column is of units with these numbers of trials."""
    return all(
        np.size(_column(values[unit] if _is_list_of(values, len(sizes)) else values)) in {1, size}
        for unit, size in enumerate(sizes)
    )


def _is_list_of(values: Any, number: int) -> bool:
    return isinstance(values, list) and len(values) == number


def _trials(columns: Mapping[str, Any], arrays: Mapping[str, Any], dims: Any) -> Any:
    """Return one table of trials, or one for each unit if rates are a list by unit."""
    rates = arrays.get("rates")
    by_trial = dims is not None and dims[0] == "trial"
    if not isinstance(rates, list) or by_trial or not columns:
        return {name: _column(values) for name, values in columns.items()} or None
    # of each matrix, the axis of trials
    axis = 0 if dims is None else list(dims[1:]).index("trial") if "trial" in dims[1:] else 0
    sizes = [np.shape(unit)[axis] for unit in rates]
    return [
        {name: _of_unit(values, unit, sizes) for name, values in columns.items()}
        for unit in range(len(sizes))
    ]


def _of_unit(values: Any, unit: int, sizes: Sequence[int]) -> Any:
    """Return the values of a unit's trials."""
    if _is_list_of(values, len(sizes)):
        values = values[unit]
    column = _column(values)
    # one value stands for all trials of the unit
    return np.repeat(column, sizes[unit]) if column.size == 1 else column


def _column(values: Any) -> Any:
    """Return the values of a column: of a cell of text or numbers, or of a matrix of one column."""
    if isinstance(values, list):
        cells = [value if isinstance(value, str) else np.ravel(value) for value in values]
        if all(isinstance(cell, str) or cell.size == 1 for cell in cells):
            return np.array([cell if isinstance(cell, str) else cell[0] for cell in cells])
        return values
    if isinstance(values, str):
        return np.array([values])
    return np.ravel(values) if isinstance(values, np.ndarray) else values
