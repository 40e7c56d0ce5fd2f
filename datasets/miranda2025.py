"""Loader of Miranda et al. (2025): frontal and striatal neurons of monkeys in the two-step task."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.core import source_options
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.files import sha256_of_file
from nwbcompare.datasets.archive_provenance import archive_provenance
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.matlab_fields import damaged, struct_field
from nwbcompare.datasets.registry import Conversion, Loader
from nwbcompare.io.matlab.structs import Struct, opened_mat
from nwbcompare.io.optional import require
from nwbcompare.io.sessions import Reading, Session, SpikeTrains, lay_on_one_clock

Column = npt.NDArray[Any]
ANIMALS = {"C": "Charlie", "J": "Jacob"}
"""Monkeys, in the order of the cells' numbers."""
TABLES = {"caudate": "DMStr", "putamen": "DLStr"}
"""Areas whose folder and unit table have different names; the numbers of cells are equal."""
EVENTS = {
    9: "start_time",
    22: "fixation_time",
    23: "choice_1_onset_time",
    24: "choice_1_made_time",
    25: "transition_time",
    32: "fixation_2_time",
    33: "choice_2_onset_time",
    34: "choice_2_made_time",
    35: "state_time",
    37: "outcome_time",
    39: "pump_on_time",
    40: "pump_off_time",
    18: "stop_time",
}
"""Trial columns of times by the archive's code. 39 and 40 occur in rewarded trials only."""
ONLY_REWARDED = (39, 40)
PICTURES = ("PicA", "PicB")
EPOCHS = {
    "choice_1": ("choice_1_onset_time", "choice_1_made_time"),
    "transition": ("transition_time", "choice_2_onset_time"),
    "choice_2": ("choice_2_onset_time", "choice_2_made_time"),
    "outcome": ("outcome_time", "stop_time"),
}
ALIGN = tuple(name.removesuffix("_time") for name in EVENTS.values())
TASKS = {1: "common", 2: "rare"}
COLUMNS: dict[str, tuple[str, str, tuple[int, ...], str]] = {
    "trial_type": ("TrialType", "i1", (1, 2, 3), "type of trial; not documented by the authors"),
    "choice_1": ("PicChosen1", "i1", (1, 2), "picture chosen at the first stage"),
    "side_1": ("SideResp1", "i1", (), "side of the first choice, the archive's code"),
    "transition": ("Transition", "i1", (1, 2), "transition, 1 common, 2 rare"),
    "choice_2": ("PicChosen2", "i1", (3, 4, 5, 6), "picture chosen at the second stage"),
    "side_2": ("SideResp2", "i1", (), "side of the second choice, the archive's code"),
    "reward_level": ("LevelRew2", "i1", (1, 2, 3), "reward, 1 high, 2 medium, 3 none"),
    "pay": ("PayRew2", "i4", (), "PayRew2 of the archive"),
    "good_trial": ("indxGoodTrials", "i4", (), "number of the trial among all of the session"),
}
"""Trial columns: the archive's field, the type, the values allowed, and the description."""
VALUES = {
    "value_model_free": ("ChosenQmf", "value of the first choice, model-free"),
    "value_model_based": ("ChosenQmb", "value of the first choice, model-based"),
    "value_hybrid": ("ChosenQhyb", "value of the first choice, hybrid"),
    "value_2": ("Chosen2Q", "value of the second choice"),
    "prediction_error_model_free": ("PE1mf", "prediction error at the second stage, model-free"),
    "prediction_error_model_based": ("PE1mb", "prediction error at the second stage, model-based"),
    "prediction_error_hybrid": ("PE1hyb", "prediction error at the second stage, hybrid"),
    "prediction_error_2": ("PE2", "prediction error at the outcome"),
}
UNIT_COLUMNS = {
    "channel": "Channel",
    "unit_number": "UnitNum",
    "hemisphere": "Hemisphere",
    "ap": "AP",
    "lm": "LM",
    "structure": "BrainStructure",
    "cluster_quality": "ClusterQuality",
}
NUMBERS = ("channel", "unit_number", "ap", "lm")
LARGEST_TABLE = 100_000_000
"""Bytes that a table may unpack to."""
ROUNDING_S = 1e-7
"""Error of spike times (s), as `nwbcompare.open` takes for times of 1 ms resolution."""
CITATION = (
    "Miranda B, Butler J, Malalasekera WMN, Behrens TEJ, Dayan P, Kennerley SW (2025). eLife 14, "
    "RP106032."
)


@dataclass(frozen=True)
class _Cell:
    """One cell.

    Attributes
    ----------
    number
        Number in the names of its files.
    animal, session
        Letter of the monkey, and the session's number (from 1).
    columns
        Its row of the unit table.
    """

    number: int
    animal: str
    session: int
    columns: dict[str, Any]

    @property
    def session_name(self) -> str:
        return f"{self.animal}{self.session:02d}"


def load(
    path: str | os.PathLike[str],
    *,
    area: str = "DLPFC",
    animal: str | None = None,
    session: str | None = None,
    align: str = "choice_2_onset",
    window: tuple[float, float] = (0.0, 0.5),
    bin_s: float = 0.05,
    smooth_s: float = 0.04,
) -> xr.DataTree:
    """Load the cells of an area as an activity whose spikes are read when rates are looked at.

    Parameters
    ----------
    path
        The folder with ``data``, or ``data`` itself.
    area
        Folder of the area in ``data``, with ``spikes`` and ``trial_timings``.
    animal
        "C" (Charlie) or "J" (Jacob); both by default.
    session
        One session, such as "C01"; all by default.
    align
        Event at time 0, one of the trial columns of times without ``_time``. By default the onset
        of the second choice: the first stimuli after the transition, so that the tasks ``common``
        and ``rare`` have the same pictures on the screen.
    window
        Start and stop (s) from the event. By default 0.5 s, about the median reaction time.
    bin_s, smooth_s
        Bin width, and standard deviation of a Gaussian (s), 50 and 40 ms by default, as for Mante
        et al. (2013). Bins beyond the window are used for smoothing.

    Returns
    -------
    xarray.DataTree
        One block of rates in spikes/s: ragged ``(observation, time)`` for several sessions, dense
        ``(trial, time, unit)`` for one. Trials after a common transition are task ``common``,
        those after a rare one ``rare``; conditions are the picture chosen at the second stage,
        the same four in both tasks. All trials are the archive's good trials.

        Trial columns: choices, sides, reaction times, reward level, those of the trial before
        (0 in the first), ``stay``, whether the first choice is that of the trial before (NaN in
        the first), values and prediction errors of the authors' learners (NaN where their file is
        missing), and times of events (s) on the session's clock. Epochs ``choice_1``,
        ``transition``, ``choice_2`` and ``outcome`` are cut to the window; those outside it are
        left out.

    Raises
    ------
    InputError
        If an option is unknown, the folder has no cells of the area, or a file is missing, damaged
        or does not fit the others; the file is named.
    MissingPackageError
        If pyarrow or openpyxl is not installed (the extra ``tables``).

    Warns
    -----
    UserWarning
        If sessions have no file of values.

    References
    ----------
    Miranda B, Butler J, Malalasekera WMN, Behrens TEJ, Dayan P, Kennerley SW (2025). eLife 14,
    RP106032.
    """
    if animal is not None and animal not in ANIMALS:
        raise unknown_name("animal", animal, ANIMALS)
    if align not in ALIGN:
        raise unknown_name("align", align, ALIGN)
    reading = Reading(
        align=f"{align}_time", window=window, bin=bin_s, smooth=smooth_s, conditions=["choice_2"]
    )
    # before any file is read
    for package in ("pyarrow.parquet", "openpyxl"):
        require(package, extra="tables")
    folder = _data_folder(Path(path))
    cells, digests = _cells(folder, area)
    chosen = [cell for cell in cells if animal in (None, cell.animal)]
    by_session: dict[str, list[_Cell]] = {}
    for cell in chosen:
        by_session.setdefault(cell.session_name, []).append(cell)
    if session is not None:
        if session not in by_session:
            raise unknown_name("session", session, by_session)
        by_session = {session: by_session[session]}
    prepared = folder / "PreparedData.mat"
    digests.append((prepared.name, sha256_of_file(_present(prepared))))
    behaviour = _behaviour(prepared, [own[0] for own in by_session.values()])
    sessions, lacking = [], []
    no_bar = True if session else None
    for name, own in tqdm(by_session.items(), desc="miranda2025", unit="session", disable=no_bar):
        values, file = _values(folder, own[0], behaviour[name])
        lacking += [] if file else [name]
        timings = [
            _present(folder / area / "trial_timings" / f"cell_{cell.number}.parquet")
            for cell in own
        ]
        spikes = [_spike_file(folder / area, cell) for cell in own]
        files = [*timings, *spikes, *([file] if file else [])]
        digest = {f: sha256_of_file(f) for f in files}
        digests += [(str(f.relative_to(folder)), value) for f, value in digest.items()]
        # cells of a session have the same table, mostly byte for byte: it is read once
        trials = _times({digest[f]: f for f in reversed(timings)}.values(), behaviour[name])
        trials |= behaviour[name] | values
        sessions.append(_session(folder / area, area, own, trials, reading))
    if lacking:
        warnings.warn(f"No file of values for sessions {listing(lacking)}: NaN.", stacklevel=2)
    options: dict[str, Any] = {"area": area, "animal": animal, "session": session, "align": align}
    options |= {"window": list(window), "bin_s": bin_s, "smooth_s": smooth_s}
    animals = dict.fromkeys(own[0].animal for own in by_session.values())
    return lay_on_one_clock(
        sessions,
        reading,
        name=" and ".join(f"monkey {letter}" for letter in animals),
        leaf="miranda2025",
        provenance=archive_provenance("miranda2025", CITATION, digests, options),
    )


def is_archive(folder: Path) -> bool:
    """Return whether a folder, or its ``data``, has the archive's behaviour and cells."""
    return any(_is_data(place) for place in (folder / "data", folder))


def _is_data(place: Path) -> bool:
    return (place / "PreparedData.mat").exists() and any(place.glob("*/spikes"))


def _data_folder(path: Path) -> Path:
    for place in (path / "data", path):
        if _is_data(place):
            return place
    raise InputError(
        str(path),
        "a folder with data/PreparedData.mat and data/<area>/spikes",
        "others" if path.is_dir() else "no folder",
        "Clone the archive there.",
    )


def _present(file: Path) -> Path:
    if not file.is_file():
        got = "a folder" if file.is_dir() else "nothing there"
        raise InputError(str(file), "a file", got, "Obtain the archive again.")
    return file


def _cells(folder: Path, area: str) -> tuple[list[_Cell], list[tuple[str, str]]]:
    """Return the cells of an area, and digests of their tables.

    Cells are numbered through the rows of the first monkey's table, then of the second one's.
    """
    areas = sorted(place.parent.name for place in folder.glob("*/spikes"))
    if area not in areas:
        raise unknown_name("area", area, areas)
    cells: list[_Cell] = []
    digests = []
    for animal, name in ANIMALS.items():
        stem = TABLES.get(area.lower(), area)
        file = _present(folder / f"{name}Data" / f"{name.upper()}_{stem}_Units.xlsx")
        digests.append((file.name, sha256_of_file(file)))
        cells += [_cell(file, animal, len(cells) + n, r) for n, r in enumerate(_rows(file))]
    n_files = sum(1 for _ in (folder / area / "spikes").glob("cell_*.npy"))
    if n_files != len(cells):
        raise InputError(
            str(folder / area / "spikes"),
            f"{len(cells)} files cell_0.npy, ..., one for each row of the unit tables",
            f"{n_files}",
            "Obtain the archive again.",
        )
    return cells, digests


def _rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of the first sheet of a table."""
    try:
        with zipfile.ZipFile(file) as parts:
            size = sum(part.file_size for part in parts.infolist())
        _check_size(file, size)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unknown extension is not supported")
            book = require("openpyxl").load_workbook(file, read_only=True, data_only=True)
            rows = list(book.worksheets[0].iter_rows(values_only=True))
            book.close()
    except InputError:
        raise
    # damage of a zip of XML has no end of errors
    except Exception as error:
        raise damaged(file, "an Excel table", f"{type(error).__name__}: {error}") from error
    names = [str(name) for name in rows[0]] if rows else []
    lacking = {"Session", *UNIT_COLUMNS.values()} - set(names)
    if lacking:
        raise damaged(file, f"columns {listing(sorted(lacking))}", f"columns {listing(names)}")
    filled = (row for row in rows[1:] if any(value is not None for value in row))
    return [dict(zip(names, row, strict=False)) for row in filled]


def _check_size(file: Path, size: int) -> None:
    if size > LARGEST_TABLE:
        raise damaged(file, f"a table of at most {LARGEST_TABLE} bytes", f"{size}")


def _cell(file: Path, animal: str, number: int, row: dict[str, Any]) -> _Cell:
    columns: dict[str, Any] = {}
    try:
        session = int(row["Session"])
        for name, source in UNIT_COLUMNS.items():
            value = row[source]
            if name in NUMBERS:
                columns[name] = float("nan" if value is None else value)
            else:
                columns[name] = "" if value is None else str(value)
    except (TypeError, ValueError) as error:
        raise damaged(file, f"numbers in the row of cell {number}", str(error)) from error
    return _Cell(number, animal, session, columns)


def _behaviour(file: Path, cells: list[_Cell]) -> dict[str, dict[str, Column]]:
    """Return the trial columns of the sessions of these cells."""
    with opened_mat(file) as variables:
        animals = variables.get("PreparedData")
        if not isinstance(animals, list) or len(animals) != len(ANIMALS):
            raise damaged(file, "PreparedData, a cell of two monkeys")
        return {
            cell.session_name: _behaviour_of(file, animals[list(ANIMALS).index(cell.animal)], cell)
            for cell in cells
        }


def _behaviour_of(file: Path, sessions: Any, cell: _Cell) -> dict[str, Column]:
    # a cell with one session is read as its struct
    records = sessions if isinstance(sessions, list) else [sessions]
    record = records[cell.session - 1] if 0 < cell.session <= len(records) else None
    if not isinstance(record, Struct):
        raise damaged(file, f"session {cell.session_name}", f"{len(records)} sessions")
    n_trials = np.size(struct_field(file, record, "PicChosen1"))
    columns: dict[str, Column] = {}
    for name, (source, kind, allowed, _) in COLUMNS.items():
        values = _numbers(file, record, source, n_trials, cell)
        if allowed and not np.isin(values, allowed).all():
            raise damaged(f"{source} of {cell.session_name} in {file}", f"values of {allowed}")
        columns[name] = values.astype(kind)
    for stage in (1, 2):
        # ms
        columns[f"reaction_time_{stage}"] = (
            _numbers(file, record, f"RT{stage}", n_trials, cell) / 1000
        )
    columns["task"] = np.where(columns["transition"] == 1, TASKS[1], TASKS[2])
    for name in ("choice_1", "transition", "reward_level"):
        columns[f"previous_{name}"] = np.concatenate([np.zeros(1, "i1"), columns[name][:-1]])
    stay = (columns["choice_1"] == columns["previous_choice_1"]).astype(np.float32)
    stay[0] = np.nan
    gap = np.diff(columns["good_trial"], prepend=columns["good_trial"][0])
    return columns | {"stay": stay, "follows_directly": gap == 1}


def _numbers(file: Path, record: Struct, name: str, n_trials: int, cell: _Cell) -> Column:
    values: Column = np.ravel(struct_field(file, record, name))
    if values.size != n_trials or not n_trials or values.dtype.kind not in "uif":
        expected = f"{n_trials} numbers, one for each trial"
        raise damaged(f"{name} of {cell.session_name} in {file}", expected, f"{values.size}")
    return values


def _times(distinct: Iterable[Path], behaviour: dict[str, Column]) -> dict[str, Column]:
    """Return times of events in each trial (s), after a check that a session's cells agree."""
    files = sorted(distinct)
    n_trials = behaviour["choice_1"].size
    tables = [_timing(file) for file in files]
    for file, table in zip(files[1:], tables[1:], strict=True):
        if any(not np.array_equal(a, b) for a, b in zip(table, tables[0], strict=True)):
            raise damaged(file, f"the times of {files[0].name}, of the same session", "others")
    trial, code, time_ms = tables[0]
    numbers = np.unique(trial)
    if not np.array_equal(numbers, np.arange(n_trials)):
        raise damaged(files[0], f"trials 0 to {n_trials - 1}", f"{numbers.size} trials")
    columns: dict[str, Column] = {"trial_number": numbers.astype(np.int32)}
    for which, name in EVENTS.items():
        rows = np.flatnonzero(code == which)
        is_once = np.unique(trial[rows]).size == rows.size
        if not is_once or (rows.size < n_trials and which not in ONLY_REWARDED):
            raise damaged(files[0], f"code {which} once in each trial", f"{rows.size} times")
        columns[name] = np.full(n_trials, np.nan)
        columns[name][trial[rows]] = time_ms[rows] / 1000
    # ms of rounding in the reaction time
    reaction_ms = 1000 * (columns["choice_2_made_time"] - columns["choice_2_onset_time"])
    if np.abs(reaction_ms - 1000 * behaviour["reaction_time_2"]).max() > 2:
        raise damaged(files[0], "reaction times of PreparedData.mat", "those of another session")
    return columns


def _timing(file: Path) -> tuple[Column, Column, Column]:
    """Return trial number, code and time (ms) of each event."""
    try:
        parquet = require("pyarrow.parquet", extra="tables")
        with parquet.ParquetFile(file) as opened:
            table = opened.read(columns=["trial_number", "codes", "times"], use_threads=False)
        columns = [table.column(n).to_numpy() for n in ("trial_number", "codes", "times")]
    except Exception as error:
        raise damaged(file, "a parquet table of trial_number, codes and times", str(error)) from (
            error
        )
    if any(column.dtype.kind not in "ui" for column in columns):
        raise damaged(file, "whole numbers without gaps", "others")
    return columns[0], columns[1], columns[2].astype(np.int64)


def _values(
    folder: Path, cell: _Cell, behaviour: dict[str, Column]
) -> tuple[dict[str, Column], Path | None]:
    """Return values and prediction errors; file k has session k + 1."""
    n_trials = behaviour["choice_1"].size
    place = folder / f"{ANIMALS[cell.animal]}Data" / "qvals"
    file = place / f"qvals_sess_{cell.session - 1}.mat"
    if not file.exists():
        return {name: np.full(n_trials, np.nan) for name in VALUES}, None
    with opened_mat(_present(file)) as record:
        columns = {
            name: _numbers(file, record, source, n_trials, cell).astype(np.float64)
            for name, (source, _) in VALUES.items()
        }
        picture = [_numbers(file, record, f"Qmf{which}", n_trials, cell) for which in PICTURES]
    chosen = np.where(behaviour["choice_1"] == 1, *picture)
    if not np.allclose(chosen, columns["value_model_free"], equal_nan=True):
        raise damaged(file, "values of the pictures chosen in this session", "others")
    return columns, file


def _spike_file(folder: Path, cell: _Cell) -> Path:
    return _present(folder / "spikes" / f"cell_{cell.number}.npy")


def _spike_times(files: list[Path], unit: int) -> npt.NDArray[np.float64]:
    """Return the spike times of a unit (s)."""
    file = files[unit]
    try:
        times: Column = np.load(file, allow_pickle=False)
    except Exception as error:
        raise damaged(file, "an array of spike times", str(error)) from error
    # an archive of several arrays is read as another class
    if getattr(times, "ndim", 0) != 1 or times.dtype.kind not in "ui":
        raise damaged(file, "whole ms, ascending")
    if (np.diff(times.astype(np.int64)) < 0).any():
        raise damaged(file, "whole ms, ascending")
    return times / 1000


def _trains_of(files: list[Path]) -> SpikeTrains:
    return SpikeTrains(partial(_spike_times, files), rounding_s=ROUNDING_S, resolution_s=0.001)


def _session(
    folder: Path, area: str, cells: list[_Cell], trials: dict[str, Column], reading: Reading
) -> Session:
    files = [_spike_file(folder, cell) for cell in cells]
    texts = {name: text for name, (*_, text) in (COLUMNS | VALUES).items()}
    return Session(
        name=cells[0].session_name,
        trials=trials,
        trial_attrs={name: {"long_name": text} for name, text in texts.items()},
        units={
            "unit": np.array([f"{area}_{cell.number}" for cell in cells]),
            "subject": np.array([f"monkey {cell.animal}" for cell in cells]),
            "area": np.array([area] * len(cells)),
            **{name: np.array([c.columns[name] for c in cells]) for name in UNIT_COLUMNS},
        },
        signal=_trains_of(files),
        epochs=_epochs(trials, reading),
        event=reading.align,
    )


def _epochs(trials: dict[str, Column], reading: Reading) -> dict[str, tuple[Column, Column]]:
    """Return the epochs that lie in the window, cut to it; NaN in trials without."""
    event = trials[reading.align]
    # `load` sets both
    if reading.window is None or reading.bin is None:
        return {}
    low, high = reading.window
    high = low + np.floor((high - low) / reading.bin + 1e-9) * reading.bin
    epochs = {}
    for name, (first, last) in EPOCHS.items():
        start = np.clip(np.round(trials[first] - event, 9), low, high)
        stop = np.clip(np.round(trials[last] - event, 9), low, high)
        lacking = stop <= start
        if not lacking.all():
            epochs[name] = (np.where(lacking, np.nan, start), np.where(lacking, np.nan, stop))
    return epochs


def sessions(path: Path) -> list[str]:
    """Return the sessions with cells of the dorsolateral prefrontal cortex, in order.

    Parameters
    ----------
    path
        The folder of the archive.

    Raises
    ------
    InputError
        If the folder has no files of the archive.
    """
    cells, _ = _cells(_data_folder(path), "DLPFC")
    return list(dict.fromkeys(cell.session_name for cell in cells))


def _trains(path: Path, session: str) -> SpikeTrains:
    folder = _data_folder(path)
    cells = [cell for cell in _cells(folder, "DLPFC")[0] if cell.session_name == session]
    files = [_spike_file(folder / "DLPFC", cell) for cell in cells]
    timing = folder / "DLPFC" / "trial_timings" / f"cell_{cells[0].number}.parquet"
    _, _, event_ms = _timing(_present(timing))
    spikes = [_spike_times(files, unit) for unit in range(len(files))]
    last = max([float(event_ms.max()) / 1000, *(float(one[-1]) for one in spikes if one.size)])
    # of all units: when a cell was lost is not known. The last bins of the last trial were recorded
    interval = np.array([[min(0.0, float(event_ms.min()) / 1000), last + 1]])
    return replace(_trains_of(files), intervals=[interval] * len(files))


def _session_metadata(session: str) -> dict[str, dict[str, Any]]:
    """Return the metadata of a session for an NWB file.

    Dates and the monkeys' ages and sexes are not in the archive: the start is a stand-in, as its
    description says.
    """
    return {
        "NWBFile": {
            "session_id": session,
            "identifier": f"miranda2025-{session}",
            "session_start_time": datetime(2000, 1, 1, tzinfo=UTC),
            "session_description": "Cells of the dorsolateral prefrontal cortex, recorded while a "
            "monkey did the two-step task. Trials and spikes have the times of the session's own "
            "clock. The date is not published: the session's start is a stand-in.",
            "experiment_description": "Two-step task with rewards of three levels (Miranda et al. "
            f"2025). Converted from the public repository TwoStepTask. Cite: {CITATION}",
            "experimenter": ["Miranda, Bruno", "Butler, James"],
            "institution": "University College London",
            "keywords": ["prefrontal cortex", "two-step task", "reward learning", "monkey"],
            "related_publications": ["https://doi.org/10.7554/eLife.106032"],
        },
        "Subject": {
            "subject_id": f"monkey-{session[0]}",
            "species": "Macaca mulatta",
            "sex": "U",
            "age": "P0D/",
            "description": "Monkey; age and sex are not in the archive.",
        },
    }


def _load_session(path: Path, session: str) -> xr.DataTree:
    return load(path, session=session)


MIRANDA2025 = Loader(
    name="miranda2025",
    title="Dorsolateral prefrontal and other cells of two monkeys in the two-step task",
    card=DataCard(
        authors="B. Miranda, J. Butler, W. M. N. Malalasekera, T. E. J. Behrens, P. Dayan and "
        "S. W. Kennerley",
        citation=CITATION,
        doi="10.7554/eLife.106032",
        licence="no licence file; the repository asks to cite the paper",
        source="the public repository jamesbutler01/TwoStepTask on github.com",
        unpack="it has data/PreparedData.mat, data/<area>/spikes, data/<area>/trial_timings, "
        "data/CharlieData and data/JacobData.",
        size="187 cells of the dorsolateral prefrontal cortex: monkey C (Charlie) 153 in 23 "
        "sessions, monkey J (Jacob) 34 in 14; 375 to 765 trials a session; spike times of 1 ms on "
        "the session's clock, 60 MB. The repository also has ACC (240), caudate (115), putamen "
        "(119) and unlabelled cells (278)",
        pairs=(("common", "rare"),),
        traps=(
            "Common and rare transitions are 70 to 30: trial noise alone gives rare the larger "
            "task variance, so only corrected estimates, or equal trial numbers, compare them.",
            "In the default window measured task variance is noise: medians of monkey C after "
            "common and rare transitions are 1.0 and 2.0, with shuffled conditions 0.8 and 2.1.",
            "The chosen picture follows the reward learnt, so conditions have unequal trial "
            "numbers; after a common and a rare transition the same picture follows opposite "
            "first choices.",
            "Only good trials are in the files: good_trial has their number in the session, and "
            "the trial before is the good trial before (follows_directly tells).",
            "Sessions are numbered from 1 in the unit tables and from 0 in the files of values.",
            "Codes 20, 21, 28, 31, 36, 38 and the trial types 1, 2, 3 are not documented; dates "
            "are not published.",
            "Raw stay probabilities do not prove planning: model-free learners have an "
            "interaction of reward and transition too.",
        ),
        tested_on="real files",
    ),
    options={
        "area": str,
        "animal": str,
        "session": str,
        "align": str,
        **source_options.BINNING,
    },
    is_archive=is_archive,
    load=load,
    conversion=Conversion(
        sessions=sessions,
        load=_load_session,
        metadata=_session_metadata,
        reading={"bin": 0.05, "smooth": 0.04},
        trains=_trains,
    ),
)
