"""Loader of Shi, Ballesta & Padoa-Schioppa (2022): the same frontal cells in two choice tasks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.core import source_options
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.files import sha256_of_file
from nwbcompare.datasets.archive_provenance import archive_provenance
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.downloads import Download, listed_downloads
from nwbcompare.datasets.matlab_fields import damaged
from nwbcompare.datasets.registry import Conversion, Loader
from nwbcompare.io.matlab.structs import Struct, opened_mat
from nwbcompare.io.sessions import Reading, Session, SpikeTrains, lay_on_one_clock

NAME = re.compile(
    r"(?P<session>(?P<animal>[A-Z])(?P<day>\d{6})[a-z])(?P<electrode>\d)(?P<cluster>\d)_data\.mat"
)
CELLS, TABLES = "celldata", "sesison_info"
"""Folders of the archive; the second is spelt so there."""
FOLDER = "raw_data"
SUBJECTS = {"G": "monkey G", "J": "monkey J"}
AREAS = {4: "OFC", 9: "dlPFC", 10: "vlPFC"}
TASKS = {"joint_offers": "goodTrials_JC", "sequential_offers": "goodTrials_SO"}
JUICES = np.array(["A", "B"])
RESOLUTION_S = 0.001
START, LAST = 9, 18
"""Codes of the first and the last entry of each trial."""
EVENTS = {
    "prefixation_on_time": (24, "prefixation point on"),
    "cue_time": (25, "cue of the task"),
    "offer_on_time": (30, "offers on; the first of sequential offers"),
    "offer_off_time": (31, "first of sequential offers off"),
    "second_offer_on_time": (32, "second of sequential offers on"),
    "second_offer_off_time": (33, "second of sequential offers off"),
    "targets_on_time": (35, "targets on"),
    "fixation_off_time": (27, "fixation point off, in sequential offers"),
    "choice_time": (39, "choice"),
    "targets_off_time": (36, "targets off"),
}
"""Trial columns: the code in the archive, and the description."""
JUICE_CODES = (43, 44, 45)
MOST_TRIAL = 100_000
"""Largest trial number that is taken for one."""
RAW_FILES = "https://raw.githubusercontent.com/PadoaSchioppaLab/2022_eLife_choicebias/HEAD/"
"""Address of the repository's files; checksums are those of the 39 sessions that were read."""
DOI = "10.7554/eLife.75910"
CITATION = (
    "Shi W, Ballesta S, Padoa-Schioppa C (2022). Neuronal origins of reduced accuracy and biases "
    "in economic choices under sequential offers. eLife 11, e75910."
)
Table = npt.NDArray[np.float64]


def load(
    path: str | os.PathLike[str],
    *,
    animal: str | None = None,
    session: str | None = None,
    align: str = "last_offer",
    window: tuple[float, float] = (0.1, 0.6),
    bin_s: float = 0.05,
    smooth_s: float = 0.0,
) -> xr.DataTree:
    """Load the archive's cells, each recorded in both tasks, as an activity.

    Parameters
    ----------
    path
        The folder with ``raw_data``, or this folder.
    animal
        "G" or "J"; all by default.
    session
        One session, such as "G180910a"; all by default.
    align
        The event at time 0, a trial column without its ending ``_time``: "last_offer" (the only
        offers of joint offers, the second of sequential offers), "offer_on", "targets_on",
        "choice", "juice", ... Trials without the event are left out, with a warning.
    window
        Start and stop (s) from the event, 0.1 to 0.6 s by default.
    bin_s
        Bin width (s), 50 ms by default.
    smooth_s
        Standard deviation (s) of a Gaussian; 0 by default, for none.

    Returns
    -------
    xarray.DataTree
        One block of rates in spikes/s: ragged, ``(observation, time)``; dense, ``(trial, time,
        unit)``, for one session. Tasks are ``joint_offers`` and ``sequential_offers``; conditions
        are the ``chosen_juice`` and ``quantity_level``: whether the quantity of juice A that was
        offered is above its median ("high") over the session's trials of the same task and
        choice, or not ("low"). Times of events are columns ``*_time`` (s on the session's clock),
        NaN where a task has no such event.

        The files have good trials only, as the authors chose them; there are no others to load.

    Raises
    ------
    InputError
        If an option is unknown, the folder has no files of the archive, or a file is missing,
        damaged, of another kind, or lacks variables; the file is named.

    Notes
    -----
    A trial's spikes are in ms from its start, so that its events are used at whole ms from its
    start too; the start is on the session's clock. Trials were recorded until the next one
    started. Behaviour is in the file of each cell of a session, and is read from the first.

    References
    ----------
    Shi W, Ballesta S, Padoa-Schioppa C (2022). Neuronal origins of reduced accuracy and biases
    in economic choices under sequential offers. eLife 11, e75910.
    """
    if animal is not None and animal not in SUBJECTS:
        raise unknown_name("animal", animal, SUBJECTS)
    event = f"{align}_time"
    reading = Reading(align=event, window=window, bin=bin_s, smooth=smooth_s)
    files = _files_by_session(Path(path), animal)
    if session is not None:
        if session not in files:
            raise unknown_name("session", session, files)
        files = {session: files[session]}
    digests: list[tuple[str, str]] = []
    sessions = []
    # no progress bar for one session; None: no bar without a terminal
    no_bar = True if session else None
    for name, cells in tqdm(files.items(), desc="shi2022", unit="session", disable=no_bar):
        sessions.append(_read_session(name, cells))
        digests += [(file.name, sha256_of_file(file)) for file in (*cells, _table_of(cells[0]))]
    known = [name for name in sessions[0].trials if name.endswith("_time")]
    if event not in known:
        raise unknown_name("align", align, [name.removesuffix("_time") for name in known])
    subjects = dict.fromkeys(str(s) for one in sessions for s in one.units["subject"])
    return lay_on_one_clock(
        [replace(one, epochs=_epochs(one, event, *window), event=event) for one in sessions],
        reading,
        name=" and ".join(subjects),
        leaf="shi2022",
        aligned_to=align.replace("_", " "),
        condition_variables={task: ["chosen_juice", "quantity_level"] for task in TASKS},
        provenance=archive_provenance(
            "shi2022",
            CITATION,
            digests,
            {
                "animal": animal,
                "session": session,
                "align": align,
                "window": list(window),
                "bin_s": bin_s,
                "smooth_s": smooth_s,
            },
        ),
    )


def _epochs(
    session: Session, event: str, start_s: float, stop_s: float
) -> dict[str, tuple[Table, Table]]:
    """Return the epochs of a session: the window, after the event."""
    lacking = np.isnan(session.trials[event])
    start, stop = (np.where(lacking, np.nan, float(bound)) for bound in (start_s, stop_s))
    return {f"after_{event.removesuffix('_time')}": (start, stop)}


def is_archive(folder: Path) -> bool:
    """Return whether a folder, or its ``raw_data``, has files of cells of the archive."""
    return any(True for _ in _candidates(folder))


def _candidates(folder: Path) -> Iterator[Path]:
    for place in (folder / FOLDER / CELLS, folder / CELLS):
        if place.is_dir():
            yield from (f for f in sorted(place.iterdir()) if NAME.fullmatch(f.name))


def _parts(file: Path) -> re.Match[str]:
    match = NAME.fullmatch(file.name)
    assert match is not None  # noqa: S101 - files were listed by this pattern
    return match


def _files_by_session(path: Path, animal: str | None) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    n_others = 0
    for file in _candidates(path):
        if animal in (None, _parts(file)["animal"]):
            files.setdefault(_parts(file)["session"], []).append(file)
        else:
            n_others += 1
    if not files:
        raise InputError(
            str(path),
            f"files named like {animal or 'G'}180910a11_data.mat in {FOLDER}/{CELLS}",
            f"{n_others} files of other animals" if n_others else "none",
            "Unpack the archive there.",
        )
    return files


def _table_of(cell: Path) -> Path:
    return cell.parent.parent / TABLES / f"TT_{_parts(cell)['session']}.m"


def _read_session(name: str, cells: list[Path]) -> Session:
    trains: list[Table] = []
    trials: dict[str, npt.NDArray[Any]] = {}
    for file in cells:
        behaviour = () if trials else ("psyphydata", *TASKS.values())
        with opened_mat(file, only=(CELLS, *behaviour)) as variables:
            if behaviour:
                trials = _trials(file, variables)
            trains.append(_spike_times(file, _numbers(file, variables, CELLS, 4), trials))
    intervals = _recorded(trials, trains)
    areas = _areas(_table_of(cells[0]))
    parts = [_parts(file) for file in cells]
    return Session(
        name=name,
        trials=trials,
        units={
            "unit": np.array([file.name.removesuffix("_data.mat") for file in cells]),
            "subject": np.array([SUBJECTS.get(p["animal"], p["animal"]) for p in parts]),
            "area": np.array([_area(_table_of(cells[0]), areas, p["electrode"]) for p in parts]),
            "electrode": np.array([int(p["electrode"]) for p in parts], dtype=np.int16),
            "cluster": np.array([int(p["cluster"]) for p in parts], dtype=np.int16),
        },
        signal=SpikeTrains(trains.__getitem__, [intervals] * len(cells), resolution_s=RESOLUTION_S),
        trial_attrs=_descriptions(),
    )


def _numbers(file: Path, variables: Struct, name: str, n_columns: int) -> npt.NDArray[Any]:
    """Return a variable of whole numbers, ``(row, column)``."""
    values = variables.get(name)
    if values is None:
        raise damaged(file, f"a variable {name!r}", "none")
    numeric = isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "uif"
    if not numeric or values.shape[1] != n_columns:
        raise damaged(file, f"{name} of {n_columns} columns of numbers")
    if values.dtype.kind == "f":
        # of psyphydata the clock is in fractions of a second
        whole = values[:, : 3 if name == "psyphydata" else n_columns]
        if not np.isfinite(values).all() or (whole != np.floor(whole)).any():
            raise damaged(file, f"{name} of whole numbers, but for a clock in s")
    table: npt.NDArray[Any] = values
    trial = table[:, 0 if n_columns == 5 else 1]
    if values.size and not (trial.min() >= 0 and trial.max() <= MOST_TRIAL):
        raise damaged(file, f"{name} with numbers of trials, 0 to {MOST_TRIAL}")
    return table


def _trials(file: Path, variables: Struct) -> dict[str, npt.NDArray[Any]]:
    """Return the trial columns of a session, in the order of trials."""
    good = [_numbers(file, variables, name, 5) for name in TASKS.values()]
    table = np.concatenate(good)
    order = np.argsort(table[:, 0], kind="stable")
    task = np.repeat(list(TASKS), [len(part) for part in good])[order]
    number, a, b, juice, place = table[order].astype(np.int32).T
    if not number.size or (np.diff(number) == 0).any() or not np.isin(juice, (1, 2)).all():
        raise damaged(file, "good trials, each once, with a chosen juice of 1 or 2")
    entries = _numbers(file, variables, "psyphydata", 4)
    ms = {name: _times_of(entries, [code], number) for name, (code, _) in EVENTS.items()}
    ms["juice_time"] = _times_of(entries, list(JUICE_CODES), number)
    ms["stop_time"] = _times_of(entries, [LAST], number)
    joint = task == "joint_offers"
    ms["last_offer_time"] = np.where(joint, ms["offer_on_time"], ms["second_offer_on_time"])
    start_ms = _times_of(entries, [START], number)
    start = _times_of(entries, [START], number, column=3) - start_ms / 1000
    lacking = np.isnan(start + ms["stop_time"] + ms["last_offer_time"])
    if lacking.any() or (np.diff(start) <= 0).any():
        raise damaged(file, "psyphydata with start, offers and end of each good trial, in order")
    return {
        "task": task,
        "trial_number": number,
        "chosen_juice": JUICES[juice - 1],
        "quantity_a": np.abs(a).astype(np.int16),
        "quantity_b": np.abs(b).astype(np.int16),
        "quantity_level": _levels(np.abs(a), task, juice),
        "sign_a": np.sign(np.where(a != 0, a, -b)).astype(np.int8),
        "chosen_place": place.astype(np.int8),
        "start_time": start,
        **{name: start + times / 1000 for name, times in ms.items()},
    }


def _times_of(
    entries: npt.NDArray[Any], codes: list[int], number: npt.NDArray[np.int32], column: int = 0
) -> Table:
    """Return the time of the first entry of these codes in each trial, NaN without one."""
    rows = np.isin(entries[:, 2], codes)
    by_trial = np.full(MOST_TRIAL + 1, np.nan)
    # of several the first is written last
    by_trial[entries[rows, 1].astype(int)[::-1]] = entries[rows, column][::-1]
    times: Table = by_trial[number]
    return times


def _levels(
    quantity: npt.NDArray[Any], task: npt.NDArray[np.str_], juice: npt.NDArray[Any]
) -> npt.NDArray[np.str_]:
    """Return whether a quantity is above its median over trials of the same task and choice."""
    high = np.zeros(quantity.size, dtype=bool)
    for one in TASKS:
        for chosen in (1, 2):
            rows = (task == one) & (juice == chosen)
            if rows.any():
                high[rows] = quantity[rows] > np.median(quantity[rows])
    return np.where(high, "high", "low")


def _spike_times(
    file: Path, spikes: npt.NDArray[Any], trials: dict[str, npt.NDArray[Any]]
) -> Table:
    """Return the spike times of a cell on the session's clock (s), ascending."""
    own = _parts(file)
    if (spikes[:, 2] != int(own["electrode"])).any() or (spikes[:, 3] != int(own["cluster"])).any():
        raise damaged(file, "spikes of the electrode and cluster in its name", "others")
    start = np.full(MOST_TRIAL + 1, np.nan)
    start[trials["trial_number"]] = trials["start_time"]
    times = start[spikes[:, 1].astype(int)] + spikes[:, 0] / 1000
    if np.isnan(times).any():
        raise damaged(file, "spikes in good trials of the session only", "spikes in other trials")
    return np.sort(times)


def _recorded(trials: dict[str, npt.NDArray[Any]], trains: list[Table]) -> Table:
    """Return the intervals in which a session was recorded (s), ``(interval, 2)``.

    A trial is recorded until the next one starts. Where that one is not in the files, the end is
    known to be at or after the trial's own end, and the last spike of any cell.
    """
    start, stop = trials["start_time"], trials["stop_time"]
    following = np.append(start[1:], np.inf)
    last = stop.copy()
    for times in trains:
        place = np.searchsorted(times, following) - 1
        seen = times[np.maximum(place, 0)] if times.size else start
        last = np.maximum(last, np.where(place >= 0, seen + RESOLUTION_S, last))
    is_next = np.append(np.diff(trials["trial_number"]) == 1, [False])
    return np.column_stack([start, np.where(is_next, following, np.minimum(last, following))])


def _areas(file: Path) -> dict[int, int]:
    """Return the code of the area of each electrode, from a session's table, read as text."""
    expected = "a list parsession.locations of electrodes, with the area last in each row"
    try:
        with file.open("rb") as opened:
            text = opened.read(100_000).decode("latin1")
    except OSError as error:
        got = f"none that can be read ({error.strerror})"
        raise InputError(str(file), "a table of the session", got, "Obtain it again.") from error
    # what follows a % is a comment
    lines = "\n".join(line.partition("%")[0] for line in text.splitlines())
    block = re.search(r"parsession\.locations\s*=\s*\[([^\]]*)\]", lines)
    rows = [row.split() for row in re.split(r"[;\n]", block[1]) if row.strip()] if block else []
    try:
        codes = {int(row[0]): int(row[-1]) for row in rows if len(row) >= 4}
    except ValueError as error:
        raise damaged(file, expected, "other text in its rows") from error
    if not codes:
        raise damaged(file, expected, "none")
    return codes


def _area(file: Path, codes: dict[int, int], electrode: str) -> str:
    code = codes.get(int(electrode))
    if code not in AREAS:
        got = "none" if code is None else f"{code}"
        raise damaged(file, f"an area of 4, 9 or 10 for electrode {electrode}", got)
    return AREAS[code]


def _descriptions() -> dict[str, dict[str, str]]:
    texts = {
        "trial_number": "number of the trial in the session",
        "quantity_a": "quantity of juice A that was offered",
        "quantity_b": "quantity of juice B that was offered",
        "quantity_level": "quantity of A above its median over trials of the task and choice",
        "sign_a": "sign of the quantity of A in the archive, which has side or order",
        "chosen_place": "chosen side or order, as in the archive",
        "juice_time": "juice (s)",
        "last_offer_time": "last offer on (s): that of joint offers, or the second one",
        **{name: f"{text} (s)" for name, (_, text) in EVENTS.items()},
    }
    return {name: {"long_name": text} for name, text in texts.items()}


def sessions(path: Path) -> list[str]:
    """Return the sessions of an archive, in order.

    Parameters
    ----------
    path
        The folder of the archive.

    Raises
    ------
    InputError
        If the folder has no files of the archive.
    """
    return list(_files_by_session(path, None))


def _session_metadata(session: str) -> dict[str, dict[str, Any]]:
    """Return the metadata of a session for an NWB file.

    The archive has only the day of a session: the start is set to midnight (UTC), as its
    description says. It has neither ages nor sexes.
    """
    return {
        "NWBFile": {
            "session_id": session,
            "identifier": f"shi2022-{session}",
            "session_start_time": datetime.strptime(session[1:7], "%y%m%d").replace(tzinfo=UTC),
            "session_description": "Frontal cells recorded while a monkey chose between two "
            "juices, offered at once or one after the other. Times are on the session's clock, "
            "which starts on the day of recording; it is set to midnight (UTC). Good trials only.",
            "experiment_description": "Economic choices under joint or sequential offers (Shi et "
            "al. 2022). Converted from the public repository "
            f"PadoaSchioppaLab/2022_eLife_choicebias. Cite: {CITATION}",
            "experimenter": ["Shi, Weikang", "Ballesta, Sebastien", "Padoa-Schioppa, Camillo"],
            "institution": "Washington University in St. Louis",
            "keywords": ["orbitofrontal cortex", "economic choice", "monkey"],
            "related_publications": [f"https://doi.org/{DOI}"],
        },
        "Subject": {
            "subject_id": SUBJECTS.get(session[0], session[0]).replace(" ", "-"),
            "species": "Macaca mulatta",
            "sex": "U",
            "age": "P0D/",
            "description": "Rhesus monkey; age and sex are not in the archive.",
        },
    }


def _load_session(path: Path, session: str) -> xr.DataTree:
    return load(path, session=session)


def _trains(path: Path, session: str) -> SpikeTrains:
    signal = _read_session(session, _files_by_session(path, None)[session]).signal
    assert isinstance(signal, SpikeTrains)  # noqa: S101 - made so there
    return signal


def _downloads() -> list[Download]:
    return listed_downloads("shi2022.sha256", RAW_FILES)


SHI2022 = Loader(
    name="shi2022",
    title="Orbitofrontal and lateral prefrontal cells of monkeys choosing between juices, in two "
    "tasks",
    card=DataCard(
        authors="W. Shi, S. Ballesta and C. Padoa-Schioppa, Washington University in St. Louis",
        citation=CITATION,
        doi=DOI,
        licence="Apache License 2.0 (LICENSE beside the files)",
        source="the public repository PadoaSchioppaLab/2022_eLife_choicebias on github.com",
        unpack=f"it has a folder {FOLDER!r} with {CELLS!r}, a file for each cell, and {TABLES!r}, "
        "a table for each session (spelt so).",
        size="1,526 cells, each in both tasks: monkey G 854 in 191 sessions, monkey J 672 in 115; "
        "spike times in ms; at least 105 good trials of each task in the 39 sessions of monkey G "
        "that were read here (153 cells, 45 MB)",
        pairs=(("joint_offers", "sequential_offers"),),
        traps=(
            "Nine tenths of the task variance is trial noise.",
            "The two tasks differ in offers and windows, so that the mean of FTV is no finding "
            "about the cells.",
            "Orbitofrontal cortex, not prefrontal proper; tables of sessions also name electrodes "
            "in dlPFC and vlPFC: see the column 'area'.",
            "The level of quantity is that of juice A, above its median over the trials of the "
            "same task and choice; some sessions have no trial of one of the four conditions.",
            "The files have good trials only, and 'trialRecord' is slow to read and is left out.",
            "A spike's time is in ms from the start of its trial, also after the trial's end, "
            "until the next trial starts.",
        ),
        tested_on="real files",
    ),
    options={
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
        reading={},
        trains=_trains,
    ),
    downloads=_downloads,
)
