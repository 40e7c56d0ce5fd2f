"""Loader of Constantinidis and colleagues (CRCNS pfc-3): prefrontal units, cue and sample."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from nwbcompare.core import source_options
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.matlab_fields import damaged, struct_field, struct_variable
from nwbcompare.datasets.registry import Loader
from nwbcompare.datasets.trial_spikes import (
    Binning,
    Times,
    UnitInTrials,
    activity_of_units,
    numbers,
    spike_times,
)
from nwbcompare.io.matlab.structs import Struct, opened_mat

CITATION = (
    "Constantinidis C, Qi X-L, Meyer T (2016). Single-neuron spike train recordings from macaque "
    "prefrontal cortex during a visual working memory task before and after training. CRCNS.org."
)
TASK = "delayed_match_to_sample"
EVENTS = {
    "Sample_onT": "sample_on_time",
    "Target_onT": "target_on_time",
    "Reward_onT": "reward_time",
}
"""Fields of a trial, and the trial columns (s from the onset of the cue)."""
EPOCHS = {"cue": (0.0, 0.5), "delay1": (0.5, 2.0), "sample": (2.0, 2.5), "delay2": (2.5, 4.0)}


def load(
    path: str | os.PathLike[str],
    *,
    subject: str | None = None,
    window: tuple[float, float] = (0.0, 4.0),
    bin_s: float = 0.05,
    smooth_s: float = 0.0,
) -> xr.DataTree:
    """Load the archive's neurons as an activity.

    Parameters
    ----------
    path
        The folder with a ``.mat`` file for each neuron.
    subject
        Files whose names begin so, such as "adr"; all by default.
    window
        Start and stop (s) from the onset of the cue; 0 to 4 s by default: cue, delay, sample,
        delay.
    bin_s
        Bin width (s), 50 ms by default.
    smooth_s
        Standard deviation (s) of a Gaussian; 0 by default, for none.

    Returns
    -------
    xarray.DataTree
        One ragged block of rates in spikes/s, ``(observation, time)``. The task is
        ``delayed_match_to_sample``; the condition is ``cue_class``, the number of the class (a
        location or a shape). ``is_match`` is 1, 0 or, where the file has none, NaN. Times of
        events are columns ``*_time`` (s from the onset of the cue), NaN where there was none.
        Trials without an onset of the cue are left out.

    Raises
    ------
    InputError
        If the folder has no files of the archive, or a file is damaged or of another kind; the
        file is named.

    Notes
    -----
    The name of a neuron's file is its unit; the part before the first underscore is the session,
    and its first three letters are the subject. One file is open at a time.

    References
    ----------
    Meyer T, Qi X-L, Stanford TR, Constantinidis C (2011). Stimulus selectivity in dorsal and
    ventral prefrontal cortex after training in working memory tasks. Journal of Neuroscience 31,
    6266-6276.
    """
    files = list(_candidates(Path(path)))
    if not files:
        raise InputError(
            str(path), "a file NAME.mat for each neuron", "none", "Unpack the archive there."
        )
    if subject is not None:
        subjects = dict.fromkeys(_subject(file) for file in files)
        if subject not in subjects:
            raise unknown_name("subject", subject, subjects)
        files = [file for file in files if _subject(file) == subject]
    # None: no bar without a terminal
    units = [
        _unit(file) for file in tqdm(files, desc="constantinidis", unit="neuron", disable=None)
    ]
    return activity_of_units(
        "constantinidis",
        units,
        Binning(window=window, bin_s=bin_s, smooth_s=smooth_s),
        event="cue onset",
        conditions=["cue_class"],
        epochs=EPOCHS,
        files=files,
        citation=CITATION,
        options={"subject": subject},
    )


def is_archive(folder: Path) -> bool:
    """Return whether a folder has files named like a neuron's."""
    return any(True for _ in _candidates(folder))


def _candidates(folder: Path) -> Iterator[Path]:
    # such as adr001_1_3001.mat
    if folder.is_dir():
        yield from sorted(
            file
            for file in folder.iterdir()
            if file.suffix == ".mat" and file.name[:3].isalpha() and file.name[3:6].isdigit()
        )


def _subject(file: Path) -> str:
    return file.name[:3].lower()


def _unit(file: Path) -> UnitInTrials:
    spikes: list[Times] = []
    rows: dict[str, list[float]] = {"cue_class": [], "is_match": []}
    rows |= {column: [] for column in EVENTS.values()}
    with opened_mat(file, only=("MatData",)) as variables:
        classes = struct_field(file, struct_variable(file, variables, "MatData"), "class")
        for number, one in enumerate(_structs(file, "MatData.class", classes), start=1):
            trials = _structs(file, f"class({number}).ntr", struct_field(file, one, "ntr"))
            for place, trial in enumerate(trials, start=1):
                where = f"class({number}).ntr({place})"
                onset = _time(file, where, trial, "Cue_onT")
                if np.isnan(onset):
                    continue
                spikes.append(spike_times(file, where, struct_field(file, trial, "TS")) - onset)
                rows["cue_class"].append(number)
                rows["is_match"].append(_time(file, where, trial, "IsMatch"))
                for name, column in EVENTS.items():
                    rows[column].append(_time(file, where, trial, name) - onset)
    if not spikes:
        raise damaged(file, "trials with an onset of the cue", "none")
    columns = {name: np.array(values) for name, values in rows.items()}
    columns["cue_class"] = columns["cue_class"].astype(np.int16)
    return UnitInTrials(
        {
            "unit": file.stem,
            "subject": _subject(file),
            "session": file.stem.partition("_")[0],
            "area": "PFC",
        },
        spikes,
        {"task": np.full(len(spikes), TASK), **columns},
    )


def _structs(file: Path, name: str, values: Any) -> list[Struct]:
    """Return the elements of an array of structs; an empty one has none."""
    if isinstance(values, Struct):
        return [values]
    if isinstance(values, np.ndarray) and not values.size:
        return []
    if not isinstance(values, list) or not all(isinstance(one, Struct) for one in values):
        raise damaged(file, f"{name}, an array of structs")
    return values


def _time(file: Path, where: str, trial: Struct, name: str) -> float:
    """Return a number of a trial; NaN for a field that is empty or that the trial lacks."""
    if name not in trial:
        return np.nan
    values = numbers(file, f"{where}.{name}", trial[name])
    # of several the first, as the archive's own scripts take
    return float(values[0]) if values.size else np.nan


CONSTANTINIDIS = Loader(
    name="constantinidis",
    title="Prefrontal units of monkeys before and after they learned delayed match to sample",
    card=DataCard(
        authors="C. Constantinidis, X.-L. Qi and T. Meyer, Wake Forest School of Medicine",
        citation=CITATION,
        doi="",
        licence="terms of CRCNS.org: an account, and the citation of data and papers",
        source="crcns.org, data set pfc-3",
        unpack="the folder has a file for each neuron, such as adr001_1_3001.mat.",
        size="8,041 files of neurons of four monkeys, as its page says; a spatial and a feature "
        "task, before and after training",
        pairs=(),
        traps=(
            "The class of a trial is the location of the cue (1 to 8 round the circle, 9 in the "
            "centre) or its shape; which of the two, and whether a neuron was recorded before or "
            "after training, is in SummaryDatabase.xlsx, which is not read.",
            "Conditions of a spatial and of a feature task are therefore not to be pooled: choose "
            "files, or units with only.unit=....",
            "Events are at 0, 0.5, 2, 2.5 and 4 s from the onset of the cue.",
            "Spike times have no session's clock, so that the archive cannot be converted to NWB.",
            "The layout is that of public readers of the files, which were not at hand.",
        ),
        tested_on="generated files",
    ),
    options={
        "subject": str,
        **source_options.BINNING,
    },
    is_archive=is_archive,
    load=load,
)
