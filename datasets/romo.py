"""Loader of Romo and colleagues (CRCNS pfc-4): two vibrations, and which one was faster."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.core import source_options
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.files import sha256_of_file
from nwbcompare.core.time_axis import rebin
from nwbcompare.datasets.archive_provenance import archive_provenance
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.matlab_fields import damaged
from nwbcompare.datasets.registry import Loader
from nwbcompare.datasets.trial_spikes import (
    Binning,
    Times,
    UnitInTrials,
    activity_of_units,
    numbers,
    spike_times,
)
from nwbcompare.io.dpca import from_dpca
from nwbcompare.io.matlab.structs import Struct, opened_mat

SUBJECTS = {"rr014": "monkey RR014", "rr015": "monkey RR015"}
FOLDERS = {
    ("rr014", "prefront"): "",
    ("rr015", "prefront/left"): "left",
    ("rr015", "prefront/right"): "right",
}
"""Folders of sessions, with the hemisphere where it is known."""
DPCA = "data_romo.mat"
"""File of the arrays of Kobak et al. (2016)."""
DPCA_BIN_S, DPCA_SMOOTH_S = 0.01, 0.05
CORRECT, F1, F2, SPIKES, ONSET = 2, 3, 4, 5, 8
"""Columns of a session's cell ``result``, from 0."""
N_ELECTRODES = 7
MS = 0.001
TASK, CONDITIONS = "vibrotactile_discrimination", ["f1", "decision"]
EPOCHS = {"f1": (0.0, 0.5), "delay": (0.5, 3.5), "f2": (3.5, 4.0)}
CITATION = (
    "Romo R, Brody CD, Hernandez A, Lemus L (1999). Neuronal correlates of parametric working "
    "memory in the prefrontal cortex. Nature 399, 470-473."
)
Rows = list[list[Any]]


def load(
    path: str | os.PathLike[str],
    *,
    animal: str | None = None,
    window: tuple[float, float] = (0.0, 4.0),
    bin_s: float = 0.05,
    smooth_s: float | None = None,
) -> xr.DataTree:
    """Load the archive's neurons as an activity.

    Parameters
    ----------
    path
        The folder with ``rr014`` and ``rr015``; or one with ``data_romo.mat``, the arrays of Kobak
        et al. (2016), which are read where the folder has no sessions.
    animal
        "rr014" or "rr015"; all by default. The arrays do not name animals.
    window
        Start and stop (s) from the onset of the first vibration; 0 to 4 s by default.
    bin_s
        Bin width (s), 50 ms by default. The arrays have bins of 10 ms, which are averaged.
    smooth_s
        Standard deviation (s) of a Gaussian; 0 for sessions by default. The arrays are smoothed as
        they are, with 50 ms.

    Returns
    -------
    xarray.DataTree
        One ragged block of rates in spikes/s, ``(observation, time)``. The task is
        ``vibrotactile_discrimination``; conditions are ``f1``, the first frequency (Hz), and
        ``decision``, whether the animal called the second one "lower" or "higher". Other columns
        are ``f2`` (Hz) and ``correct``. In the arrays ``f1`` is the number of the frequency (1 to
        6) and ``decision`` that of the decision (1, 2). Trials without an onset are left out, with
        a warning.

    Raises
    ------
    InputError
        If the animal is unknown, the folder has no files of the archive, or a file is damaged or of
        another kind; the file is named.

    References
    ----------
    Romo R, Brody CD, Hernandez A, Lemus L (1999). Neuronal correlates of parametric working
    memory in the prefrontal cortex. Nature 399, 470-473.
    Kobak D et al. (2016). Demixed principal component analysis of neural population data.
    eLife 5, e10989.
    """
    folder = Path(path)
    files = list(_sessions(folder))
    if not files and (folder / DPCA).is_file():
        return _load_arrays(folder / DPCA, animal, window, bin_s, smooth_s)
    if animal is not None and animal not in SUBJECTS:
        raise unknown_name("animal", animal, SUBJECTS)
    files = [(name, side, file) for name, side, file in files if animal in (None, name)]
    if not files:
        expected = f"sessions in {animal or 'rr014'}/prefront, or {DPCA}"
        raise InputError(str(path), expected, "none", "Unpack the archive there.")
    units: list[UnitInTrials] = []
    n_left_out = 0
    # None: no bar without a terminal
    for name, side, file in tqdm(files, desc="romo", unit="session", disable=None):
        own, n = _units(name, side, file)
        units += own
        n_left_out += n
    if n_left_out:
        warnings.warn(
            f"romo: {n_left_out} trials without an onset of the first vibration are left out.",
            UserWarning,
            stacklevel=2,
        )
    return activity_of_units(
        "romo",
        units,
        Binning(window=window, bin_s=bin_s, smooth_s=smooth_s or 0.0),
        event="onset of the first vibration",
        conditions=CONDITIONS,
        epochs=EPOCHS,
        files=[file for *_, file in files],
        citation=CITATION,
        options={"animal": animal},
    )


def is_archive(folder: Path) -> bool:
    """Return whether a folder has sessions of the archive, or its arrays."""
    return (folder / DPCA).is_file() or any(True for _ in _sessions(folder))


def _sessions(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield the animal, the hemisphere and the file of each session."""
    for (animal, place), side in FOLDERS.items():
        if (folder / animal / place).is_dir():
            files = sorted((folder / animal / place).iterdir())
            yield from ((animal, side, file) for file in files if file.suffix == ".mat")


def _units(animal: str, side: str, file: Path) -> tuple[list[UnitInTrials], int]:
    """Return the neurons of a session, and the number of trials without an onset."""
    with opened_mat(file, only=("result",)) as variables:
        rows = _rows(file, variables.get("result"))
        onsets = [_number(file, f"row {place}, onset", row[ONSET]) for place, row in rows]
        kept = [one for one, onset in zip(rows, onsets, strict=True) if not np.isnan(onset)]
        if not kept:
            raise damaged(file, "trials with an onset of the first vibration", "none")
        onset = np.array([one for one in onsets if not np.isnan(one)])
        trials = _trials(file, kept)
        # by electrode, then by trial
        cells = [_electrodes(file, place, row[SPIKES]) for place, row in kept]
    units = []
    for electrode in range(N_ELECTRODES):
        spikes: list[Times] = [
            cell[electrode] - first * MS for cell, first in zip(cells, onset, strict=True)
        ]
        # an electrode without any spike had no neuron
        if any(times.size for times in spikes):
            columns = {
                "unit": f"{file.stem} {electrode + 1}",
                "subject": SUBJECTS[animal],
                "session": file.stem,
                "area": "PFC",
                "hemisphere": side,
            }
            units.append(UnitInTrials(columns, spikes, trials))
    if not units:
        raise damaged(file, "spikes of a neuron", "none")
    return units, len(rows) - len(kept)


def _rows(file: Path, result: Any) -> list[tuple[int, list[Any]]]:
    """Return the rows of trials, with their numbers in the file from 1."""
    if not isinstance(result, list) or not all(isinstance(row, list) for row in result):
        raise damaged(file, "a cell 'result' of rows")
    if len(result) < 2 or len(result[0]) <= ONSET:
        raise damaged(file, f"a header, trials, and {ONSET + 1} columns or more", "fewer")
    return list(enumerate(result[1:], start=2))


def _number(file: Path, where: str, value: Any) -> float:
    """Return a number; NaN for an empty cell."""
    values = numbers(file, where, value)
    if values.size > 1:
        raise damaged(file, f"one number in {where}", f"{values.size}")
    return float(values[0]) if values.size else np.nan


def _trials(file: Path, rows: list[tuple[int, list[Any]]]) -> dict[str, npt.NDArray[Any]]:
    def column(place: int) -> Times:
        return np.array([_number(file, f"row {n}, column {place + 1}", r[place]) for n, r in rows])

    correct, f1, f2 = (column(place) for place in (CORRECT, F1, F2))
    if np.isnan(np.stack([correct, f1, f2])).any() or not np.isin(correct, (0, 1)).all():
        raise damaged(file, "correct (0 or 1), f1 and f2 in each trial")
    is_higher = (f2 > f1) == (correct == 1)
    return {
        "task": np.full(f1.size, TASK),
        "f1": f1,
        "f2": f2,
        "correct": correct == 1,
        "decision": np.where(is_higher, "higher", "lower"),
    }


def _electrodes(file: Path, place: int, cell: Any) -> list[Times]:
    """Return the spike times of each electrode (s from the start of the trial)."""
    cells = cell if isinstance(cell, list) else [cell]
    times = [
        spike_times(file, f"row {place}, electrode {number}", one, MS)
        for number, one in enumerate(cells[:N_ELECTRODES], start=1)
    ]
    return times + [np.empty(0)] * (N_ELECTRODES - len(times))


def _load_arrays(
    file: Path,
    animal: str | None,
    window: tuple[float, float],
    bin_s: float,
    smooth_s: float | None,
) -> xr.DataTree:
    """Load the arrays of Kobak et al. (2016)."""
    for name, value, instead in (
        ("animal", animal, "the sessions of CRCNS pfc-4"),
        ("smooth_s", smooth_s, "the sessions of CRCNS pfc-4, which are not smoothed"),
    ):
        if value is not None:
            expected = f"none for the arrays in {DPCA}"
            raise InputError(name, expected, repr(value), f"Leave it out, or use {instead}.")
    with opened_mat(file) as variables:
        rates, counts, time_s = _arrays(file, variables)
    inside = (time_s >= window[0]) & (time_s < window[1])
    if not inside.any():
        raise InputError(
            "window",
            f"times within {time_s[0]:g} to {time_s[-1]:g} s",
            repr(window),
            "Use window=(0, 4).",
        )
    start, stop = time_s[inside][0] - DPCA_BIN_S / 2, time_s[inside][-1] + DPCA_BIN_S / 2
    n_units = rates.shape[0]
    activity = from_dpca(
        rates[:, None, :, :, inside],
        {
            "task": [TASK],
            "f1": range(1, rates.shape[1] + 1),
            "decision": range(1, rates.shape[2] + 1),
        },
        counts[:, None],
        time_s=time_s[inside],
        bin=DPCA_BIN_S,
        units={
            "unit": [f"unit {place + 1}" for place in range(n_units)],
            # both animals together, which the arrays do not name
            "subject": ["monkeys RR014 and RR015"] * n_units,
            "area": ["PFC"] * n_units,
        },
        conditions=CONDITIONS,
        epochs={k: v for k, v in EPOCHS.items() if v[0] >= start and v[1] <= stop} or None,
        aligned_to="onset of the first vibration",
        name="monkeys RR014 and RR015",
        provenance=archive_provenance(
            "romo",
            CITATION,
            [(file.name, sha256_of_file(file))],
            {"window": list(window), "bin_s": bin_s},
        )
        | {"smooth_s": DPCA_SMOOTH_S},
    )
    return activity if bin_s == DPCA_BIN_S else rebin(activity, bin_s)


def _arrays(file: Path, variables: Struct) -> tuple[Times, Times, Times]:
    """Return rates ``(unit, f1, decision, time, trial)``, numbers of trials, and times (s)."""
    flat = variables.get("firingRates_sparse", variables.get("firingRates"))
    size = variables.get("firingRates_size")
    if flat is None or "trialNum" not in variables or "time" not in variables:
        raise damaged(file, "firingRates, trialNum and time", ", ".join(variables) or "none")
    flat = np.asarray(flat, dtype=np.float64)
    shape = flat.shape if size is None else tuple(numbers(file, "size", size).astype(int))
    if len(shape) != 5 or np.prod(shape) != flat.size:
        raise damaged(file, f"firingRates of size {shape}", f"{flat.size} values")
    # MATLAB counts the first axis fastest
    rates = flat.reshape(shape, order="F")
    time_s = numbers(file, "time", variables["time"], shape[3])
    counts = np.asarray(variables["trialNum"])
    if counts.shape != shape[:3]:
        raise damaged(file, f"trialNum of shape {shape[:3]}", f"{counts.shape}")
    return rates, counts, time_s


ROMO = Loader(
    name="romo",
    title="Prefrontal neurons of two monkeys that compare the frequencies of two vibrations",
    card=DataCard(
        authors="R. Romo, C. D. Brody, A. Hernandez and L. Lemus, Universidad Nacional Autonoma "
        "de Mexico",
        citation=CITATION,
        doi="10.1038/20939",
        licence="terms of CRCNS.org: an account, and the citation of data and papers",
        source="crcns.org, data set pfc-4; the arrays with the code of Kobak et al. (2016)",
        unpack="the folder has rr014/prefront, rr015/prefront/left and rr015/prefront/right with a "
        f"file for each session; or {DPCA}.",
        size="up to 7 neurons in each session of two monkeys; the files were not at hand",
        pairs=(),
        traps=(
            "One task: there is no pair of tasks for FTV.",
            "Sessions are not in the arrays, whose units count as independent; the arrays are "
            "smoothed with a Gaussian of 50 ms, as their paper says.",
            "Trials without an onset of the first vibration are left out.",
            "The delay is taken to be 3 s; rows of sessions with another one are in no epoch of "
            "their own.",
            "Spike times are in ms from the start of each trial: there is no session's clock, so "
            "that the archive cannot be converted to NWB.",
            "The layout is that of public readers of the files, which were not at hand.",
        ),
        tested_on="generated files",
    ),
    options={
        "animal": str,
        **source_options.BINNING,
    },
    is_archive=is_archive,
    load=load,
)
