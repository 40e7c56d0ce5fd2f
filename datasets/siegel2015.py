"""Loader of Siegel, Buschman & Miller (2015): six areas in a motion or colour task."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.core import source_options
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.matlab_fields import damaged
from nwbcompare.datasets.registry import Loader
from nwbcompare.datasets.trial_spikes import (
    Binning,
    UnitInTrials,
    activity_of_units,
    cells_by_trial,
    spike_times,
)
from nwbcompare.io.matlab.structs import opened_mat

SPIKES, TRIALS, UNITS = "sorted", "trialinfo", "unitinfo"
"""Folders of the archive."""
N_NAME = 6
"""Characters of a file's name that name its session."""
RULES = {"dir": "motion_rule", "col": "colour_rule"}
COLUMNS = ("badTrials", "responseTime", "rule", "direction", "color")
CITATION = (
    "Siegel M, Buschman TJ, Miller EK (2015). Cortical information flow during flexible "
    "sensorimotor decisions. Science 348, 1352-1355."
)
Column = npt.NDArray[Any]


def load(
    path: str | os.PathLike[str],
    *,
    session: str | None = None,
    area: str | None = None,
    window: tuple[float, float] = (0.0, 1.0),
    bin_s: float = 0.05,
    smooth_s: float = 0.0,
) -> xr.DataTree:
    """Load the archive's units as an activity.

    Parameters
    ----------
    path
        The folder with ``sorted``, ``trialinfo`` and ``unitinfo``.
    session
        One session, the first 6 characters of its files; all by default.
    area
        One area by its name in ``unitinfo``; all by default.
    window
        Start and stop (s) from the onset of the stimulus, 0 to 1 s by default.
    bin_s
        Bin width (s), 50 ms by default.
    smooth_s
        Standard deviation (s) of a Gaussian; 0 by default, for none.

    Returns
    -------
    xarray.DataTree
        One block of rates in spikes/s: dense, ``(trial, time, unit)``, of one session; else ragged,
        ``(observation, time)``. Tasks are ``motion_rule`` and ``colour_rule``; conditions are
        ``direction_sign`` and ``colour_sign``, the side of the category boundary (0: on it).
        ``direction`` and ``colour`` are the values of the file, ``response_time`` is in s from the
        stimulus, NaN without a response. Trials that the file marks as bad are left out.

    Raises
    ------
    InputError
        If the session or area is unknown, the folder has no files of the archive, or a file is
        missing, damaged or of another kind; the file is named.

    References
    ----------
    Siegel M, Buschman TJ, Miller EK (2015). Cortical information flow during flexible sensorimotor
    decisions. Science 348, 1352-1355.
    """
    files = {file.name[:N_NAME]: file for file in _candidates(Path(path))}
    if not files:
        raise InputError(str(path), f"files {SPIKES}/*.mat", "none", "Unpack the archive there.")
    if session is not None:
        if session not in files:
            raise unknown_name("session", session, files)
        files = {session: files[session]}
    units: list[UnitInTrials] = []
    # no progress bar for one session; None: no bar without a terminal
    no_bar = True if session else None
    for name, file in tqdm(files.items(), desc="siegel2015", unit="session", disable=no_bar):
        units += _units(name, file)
    if area is not None:
        areas = dict.fromkeys(str(unit.columns["area"]) for unit in units)
        if area not in areas:
            raise unknown_name("area", area, areas)
        units = [unit for unit in units if unit.columns["area"] == area]
    return activity_of_units(
        "siegel2015",
        units,
        Binning(window=window, bin_s=bin_s, smooth_s=smooth_s),
        event="stimulus",
        conditions=["direction_sign", "colour_sign"],
        epochs={"stim1": window},
        files=[one for name, file in files.items() for one in (file, *_tables(name, file))],
        citation=CITATION,
        options={"session": session, "area": area},
    )


def is_archive(folder: Path) -> bool:
    """Return whether a folder has sessions of the archive."""
    return any(all(map(Path.is_file, _tables(f.name[:N_NAME], f))) for f in _candidates(folder))


def _candidates(folder: Path) -> Iterator[Path]:
    if (folder / SPIKES).is_dir():
        yield from sorted(file for file in (folder / SPIKES).iterdir() if file.suffix == ".mat")


def _tables(session: str, file: Path) -> tuple[Path, Path]:
    """Return the files of the trials and of the units of a session."""
    root = file.parent.parent
    return root / TRIALS / f"{session}.csv", root / UNITS / f"{session}.csv"


def _units(session: str, file: Path) -> list[UnitInTrials]:
    """Return the units of a session in its good trials."""
    trial_file, unit_file = _tables(session, file)
    table = _read_table(trial_file, COLUMNS)
    areas = _read_table(unit_file, ("area",))["area"]
    good = _numbers(trial_file, "badTrials", table["badTrials"]) == 0
    trials = {name: column[good] for name, column in _trials(trial_file, table).items()}
    if not good.any():
        raise damaged(trial_file, "good trials", "none")
    with opened_mat(file, only=("spikeTimes",)) as variables:
        rows = cells_by_trial(
            file, "spikeTimes", variables.get("spikeTimes"), good.size, len(areas)
        )
        return [
            UnitInTrials(
                {
                    "unit": f"{session} {place + 1}",
                    # the archive's files do not name the monkey
                    "subject": session[:1],
                    "session": session,
                    "area": str(areas[place]),
                },
                [
                    spike_times(file, f"trial {row + 1}, unit {place + 1}", rows[row][place])
                    for row in np.flatnonzero(good)
                ],
                trials,
            )
            for place in range(len(areas))
        ]


def _read_table(file: Path, names: tuple[str, ...]) -> dict[str, list[str]]:
    """Return columns of a CSV file as text."""
    try:
        with file.open(newline="", encoding="utf-8", errors="replace") as opened:
            # another line of a damaged file may be longer than any text of a table
            rows = list(csv.DictReader(opened))
    except (OSError, csv.Error) as error:
        raise InputError(
            str(file), "a table of the session", str(error), "Obtain the archive again."
        ) from error
    if not rows or any(row.get(name) is None for row in rows for name in names):
        raise damaged(file, f"rows with the columns {', '.join(names)}")
    return {name: [row[name] for row in rows] for name in names}


def _numbers(file: Path, name: str, texts: list[str]) -> npt.NDArray[np.float64]:
    try:
        return np.array([float(text) if text.strip() else np.nan for text in texts])
    except ValueError as error:
        raise damaged(file, f"numbers in column {name}", str(error)) from error


def _trials(file: Path, table: dict[str, list[str]]) -> dict[str, Column]:
    """Return the trial columns of all trials."""
    rules = [text.strip() for text in table["rule"]]
    if not set(rules) <= set(RULES):
        raise damaged(file, "rules dir or col", ", ".join(sorted(set(rules) - set(RULES))))
    direction, colour = (_numbers(file, name, table[name]) for name in ("direction", "color"))
    if np.isnan(direction).any() or np.isnan(colour).any():
        raise damaged(file, "a direction and a color in each trial")
    return {
        "task": np.array([RULES[rule] for rule in rules]),
        "direction": direction,
        "colour": colour,
        "direction_sign": np.sign(direction).astype(np.int8),
        "colour_sign": np.sign(colour).astype(np.int8),
        "response_time": _numbers(file, "responseTime", table["responseTime"]),
    }


SIEGEL2015 = Loader(
    name="siegel2015",
    title="Units of frontal, parietal and visual areas of monkeys that categorise motion or colour "
    "by a cue",
    card=DataCard(
        authors="M. Siegel, T. J. Buschman and E. K. Miller, Massachusetts Institute of Technology",
        citation=CITATION,
        doi="10.1126/science.aab0551",
        licence="not stated in the files: ask the authors",
        source="the authors",
        unpack=f"the folder has {SPIKES}/*.mat, {TRIALS}/SESSION.csv and {UNITS}/SESSION.csv; "
        "SESSION is the first 6 characters of the name of a file of spikes.",
        size="2,694 units of six areas in the paper; the files were not at hand",
        pairs=(("motion_rule", "colour_rule"),),
        traps=(
            "Trials marked as bad are left out.",
            "The files do not name the monkey: the first character of the session stands for it.",
            "Directions and colours are taken to be 0 at the boundary of the categories.",
            "Spike times are in s from the stimulus: there is no session's clock, so that the "
            "archive cannot be converted to NWB.",
            "The layout is that of public readers of the files, which were not at hand.",
        ),
        tested_on="generated files",
    ),
    options={
        "session": str,
        "area": str,
        **source_options.BINNING,
    },
    is_archive=is_archive,
    load=load,
)
