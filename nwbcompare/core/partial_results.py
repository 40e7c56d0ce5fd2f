"""Rows of a long computation, saved as they are computed, so that it can be resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from nwbcompare.core.data_text import parse_json
from nwbcompare.core.errors import DamagedCacheError, InputError, listing
from nwbcompare.core.files import written_aside

Rows = npt.NDArray[np.float64]


def resumed_rows(
    path: str | os.PathLike[str] | None,
    parameters: Mapping[str, Any],
    n_rows: int,
    compute: Callable[[range], Sequence[Sequence[float]] | Rows],
    *,
    at_once: int,
    description: str,
) -> Rows:
    """Compute the rows of a table, a few at a time, and continue from those in a file.

    Row ``i`` has to depend on the parameters and on ``i`` alone (a random stream of its own, for
    instance), so that an interrupted run and an uninterrupted one give the same table.

    Parameters
    ----------
    path
        A JSON file that the rows are saved in after each call of ``compute``. A file with fewer
        rows is continued; of one with more, the first ``n_rows`` are taken. None: nothing is
        saved.
    parameters
        What the rows depend on, as plain JSON values. Hash large inputs. ``n_rows`` is not among
        them, so that a later call can ask for more rows.
    n_rows
        Rows of the table.
    compute
        Maps a range of row numbers to their rows, ``(row, column)``.
    at_once
        Rows of one call of ``compute``; what an interrupt costs at most.
    description
        Label of the progress bar.

    Returns
    -------
    numpy.ndarray
        ``(row, column)``, float64; the file keeps every bit.

    Raises
    ------
    InputError
        For a file of other parameters.
    DamagedCacheError
        For a file that cannot be read as rows. It is neither deleted nor overwritten.

    Examples
    --------
    >>> resumed_rows(None, {}, 3, lambda rows: [[i, i**2] for i in rows], at_once=2,
    ...              description="squares").tolist()
    [[0.0, 0.0], [1.0, 1.0], [2.0, 4.0]]
    """
    # compared as a file would give them back: tuples become lists, keys become text
    wanted = json.loads(json.dumps(dict(parameters)))
    table = [] if path is None or not Path(path).exists() else _read(Path(path), wanted)
    with tqdm(
        total=n_rows, initial=min(len(table), n_rows), desc=description, disable=None
    ) as progress:
        while len(table) < n_rows:
            rows = range(len(table), min(len(table) + at_once, n_rows))
            new = np.asarray(compute(rows), dtype=np.float64).tolist()
            if table and len(table[-1]) != len(new[0]):
                raise _damaged(
                    Path(str(path)),
                    f"rows of {len(table[-1])} columns, where {len(new[0])} are due",
                )
            table += new
            if path is not None:
                with written_aside(path, overwrite=True) as aside:
                    aside.write_text(json.dumps({"parameters": wanted, "rows": table}))
            progress.update(len(rows))
    # an earlier run may have computed more
    return np.array(table[:n_rows], dtype=np.float64)


def _read(path: Path, wanted: dict[str, Any]) -> list[list[float]]:
    try:
        parameters, rows = _parse(path.read_text())
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError) as error:
        got = f"a file that cannot be read as one ({type(error).__name__}: {error})"
        raise _damaged(path, got) from error
    if parameters != wanted:
        names = sorted(
            name
            for name in parameters.keys() | wanted.keys()
            if parameters.get(name) != wanted.get(name)
        )
        raise InputError(
            str(path),
            "rows of the same data and parameters",
            f"rows of others, which differ in {listing(names)}",
            "Save to another path, or delete the file.",
        )
    return rows


def _damaged(path: Path, got: str) -> DamagedCacheError:
    return DamagedCacheError(
        str(path),
        "a JSON file of rows that an earlier run saved",
        got,
        "Delete the file, or save to another path.",
    )


def _parse(text: str) -> tuple[dict[str, Any], list[list[float]]]:
    record = parse_json(text)
    parameters = dict(record["parameters"])
    rows = np.array(record["rows"], dtype=np.float64)
    if rows.ndim != 2:
        raise ValueError(f"rows of shape {rows.shape}")
    return parameters, rows.tolist()
