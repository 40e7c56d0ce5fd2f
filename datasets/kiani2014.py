"""Loader of Kiani et al. (2014): a population of prearcuate units in a direction task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core import source_options
from nwbcompare.core.errors import InputError
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.matlab_fields import damaged, struct_field, struct_variable
from nwbcompare.datasets.registry import Loader
from nwbcompare.datasets.trial_spikes import (
    Binning,
    UnitInTrials,
    activity_of_units,
    cells_by_trial,
    numbers,
    spike_times,
)
from nwbcompare.io.matlab.structs import opened_mat

FILE = "T33.mat"
SUBJECT = "monkey T"
CITATION = (
    "Kiani R, Cueva CJ, Reppas JB, Newsome WT (2014). Dynamics of neural population responses in "
    "prefrontal cortex indicate changes of mind on single trials. Current Biology 24, 1542-1547."
)
INFO = {"coherence": "coherence", "chosen_target": "choice", "correct_target": "target"}
"""Fields of ``trial_info``, and the trial columns made of them."""
EVENTS = {
    "dots_offset": "dots_off_time",
    "go_cue": "go_cue_time",
    "sacc_onset": "saccade_time",
}
"""Fields of ``event_times``, and the trial columns (s from the onset of the dots)."""
MS = 0.001


def load(
    path: str | os.PathLike[str],
    *,
    window: tuple[float, float] = (0.0, 0.8),
    bin_s: float = 0.05,
    smooth_s: float = 0.0,
) -> xr.DataTree:
    """Load the session's units as an activity.

    Parameters
    ----------
    path
        The folder with ``T33.mat``.
    window
        Start and stop (s) from the onset of the dots; 0 to 0.8 s, while they were shown.
    bin_s
        Bin width (s), 50 ms by default.
    smooth_s
        Standard deviation (s) of a Gaussian; 0 by default, for none.

    Returns
    -------
    xarray.DataTree
        One dense block of rates in spikes/s, ``(trial, time, unit)``: all units were recorded
        together. The task is ``direction``; conditions are ``coherence`` and ``target``, the
        correct one. ``choice`` is the chosen target, ``correct`` whether both are equal. Times of
        events are columns ``*_time`` (s from the onset of the dots), NaN where there was none.

    Raises
    ------
    InputError
        If the folder has no such file, or it is damaged or of another kind; the file is named.

    References
    ----------
    Kiani R, Cueva CJ, Reppas JB, Newsome WT (2014). Dynamics of neural population responses in
    prefrontal cortex indicate changes of mind on single trials. Current Biology 24, 1542-1547.
    """
    file = Path(path) / FILE
    if not file.is_file():
        raise InputError(str(path), f"the file {FILE}", "none", "Put the archive's file there.")
    with opened_mat(file, only=("trial_info", "event_times", "spike_times")) as variables:
        trials = _trials(file, variables)
        by_trial = cells_by_trial(
            file, "spike_times", variables.get("spike_times"), len(trials["task"])
        )
        units = [
            UnitInTrials(
                {
                    "unit": f"unit {place + 1}",
                    "subject": SUBJECT,
                    "session": "T33",
                    "area": "prearcuate gyrus",
                },
                [
                    spike_times(file, f"trial {row + 1}, unit {place + 1}", cells[place], MS)
                    for row, cells in enumerate(by_trial)
                ],
                trials,
            )
            for place in range(len(by_trial[0]))
        ]
    return activity_of_units(
        "kiani2014",
        units,
        Binning(window=window, bin_s=bin_s, smooth_s=smooth_s),
        event="dots onset",
        conditions=["coherence", "target"],
        epochs={"stim1": (0.0, 0.8)},
        files=[file],
        citation=CITATION,
        options={},
    )


def is_archive(folder: Path) -> bool:
    """Return whether a folder has the archive's file."""
    return (folder / FILE).is_file()


def _trials(file: Path, variables: Any) -> dict[str, npt.NDArray[Any]]:
    """Return the trial columns."""
    info = struct_variable(file, variables, "trial_info")
    events = struct_variable(file, variables, "event_times")
    onset = numbers(file, "event_times.dots_onset", struct_field(file, events, "dots_onset"))
    size = onset.size
    if not size:
        raise damaged(file, "trials", "none")
    columns = {
        new: numbers(file, f"trial_info.{name}", struct_field(file, info, name), size)
        for name, new in INFO.items()
    }
    times = {
        new: (numbers(file, f"event_times.{name}", struct_field(file, events, name), size) - onset)
        * MS
        for name, new in EVENTS.items()
    }
    correct = columns["choice"] == columns["target"]
    return {"task": np.full(size, "direction"), **columns, "correct": correct, **times}


KIANI2014 = Loader(
    name="kiani2014",
    title="Prearcuate units of a monkey discriminating the direction of moving dots, one session",
    card=DataCard(
        authors="R. Kiani, C. J. Cueva, J. B. Reppas and W. T. Newsome, Stanford University",
        citation=CITATION,
        doi="10.1016/j.cub.2014.05.049",
        licence="not stated in the files: ask the authors",
        source="the data page of the Kiani lab, New York University (www.cns.nyu.edu/kianilab)",
        unpack=f"the folder has {FILE}.",
        size="169 units recorded together with an array in 1,778 trials, as its description says",
        pairs=(),
        traps=(
            "One task: there is no pair of tasks for FTV.",
            "Spike times are in ms from the onset of the dots.",
            "The signs of coherence and the numbers of targets are as in the file.",
            "The layout is that of public readers of the file, which was not at hand.",
        ),
        tested_on="generated files",
    ),
    options=source_options.BINNING,
    is_archive=is_archive,
    load=load,
)
