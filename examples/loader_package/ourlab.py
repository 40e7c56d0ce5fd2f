"""A loader of a laboratory's archive: counts and trials of each session in two files.

Install it beside nwbcompare (``pip install examples/loader_package``); then every command takes
``ourlab:/data/ourlab`` as a SOURCE, and ``nwbcompare datasets info ourlab`` prints its card. Its
test is ``nwbcompare.testing.check_loader(OURLAB, folder)`` on a small archive.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import nwbcompare as nc
from nwbcompare.datasets import DataCard, Loader

BIN_S = 0.05


def is_archive(folder: Path) -> bool:
    """Return whether a folder has counts of a session."""
    return any(folder.glob("*_counts.npy"))


def load(path: Path, *, session: str | None = None) -> xr.DataTree:
    """Load the counts of one session, or of all as units with trials of their own.

    Parameters
    ----------
    path
        The folder, with ``DAY_counts.npy`` (trial x bin of 50 ms x unit) and ``DAY_trials.csv``
        (columns task and direction) for each day.
    session
        One day; all by default.

    Raises
    ------
    nwbcompare.InputError
        If a file is missing or damaged.
    """
    counts, trials, names, sessions = [], [], [], []
    for file in sorted(Path(path).glob(f"{session or '*'}_counts.npy")):
        day = file.name.removesuffix("_counts.npy")
        table_file = file.with_name(f"{day}_trials.csv")
        try:
            of_day, table = _read_day(file, table_file)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise nc.InputError(
                f"{file} and {table_file.name}",
                "counts and trials of a day",
                str(error),
                "Copy both again.",
            ) from error
        counts += list(np.moveaxis(of_day, 2, 0))
        n_units = of_day.shape[2]
        trials += [table] * n_units
        names += [f"{day} unit {unit}" for unit in range(n_units)]
        sessions += [day] * n_units
    if not counts:
        raise nc.InputError(str(path), "files DAY_counts.npy", "none", "Check the folder.")
    return nc.from_arrays(
        counts,
        counts=True,
        bin=BIN_S,
        trials=trials,
        units={"unit": names, "session": sessions, "subject": ["monkey Z"] * len(names)},
        conditions=["direction"],
        name="ourlab",
    )


def _read_day(counts_file: Path, table_file: Path) -> tuple[np.ndarray, pd.DataFrame]:
    # nothing in the file is executed
    counts = np.load(counts_file, allow_pickle=False)
    table = pd.read_csv(table_file)[["task", "direction"]]
    if counts.ndim != 3 or len(counts) != len(table):
        raise ValueError(f"counts of shape {counts.shape}, and {len(table)} trials")
    return counts, table


OURLAB = Loader(
    name="ourlab",
    title="Prefrontal cortex of a monkey that responds to a direction or ignores it",
    card=DataCard(
        authors="Our laboratory",
        citation="Our laboratory (2026). An example.",
        doi="",
        licence="for members of the laboratory",
        source="the laboratory's server, folder ourlab",
        unpack="it has two files for each day.",
        size="one monkey; 50-ms bins",
        pairs=(("respond", "ignore"),),
        traps=(
            "Units have numbers over all days of a call: their names depend on the days loaded.",
        ),
        tested_on="generated files",
    ),
    options={"session": str},
    is_archive=is_archive,
    load=load,
)
