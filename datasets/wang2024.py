"""Loader of Wang (2024): dorsolateral prefrontal neurons of monkeys in saccade sequences."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import make_activity, make_block
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.core.files import sha256_of_file
from nwbcompare.datasets.archive_provenance import archive_provenance
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.matlab_fields import damaged, struct_field, struct_variable
from nwbcompare.datasets.registry import Loader
from nwbcompare.io.matlab.structs import Struct, opened_mat

FILES = {
    "element": "ElementNeuron.mat",
    "sequence": "SequenceNeuron.mat",
    "subsequence": "SubsequenceNeuron.mat",
    "unclassified": "UnclassifiedNeuron.mat",
}
"""File of each of the authors' classes of neurons."""
FOLDER = "Presaccadic neurons"
TASKS = {"visual_saccades": "V", "memory_saccades": "M"}
SEQUENCES = ("LLRR", "RRLL")
N_SACCADES = 4
N_SAMPLES = 701
SACCADE_SAMPLE = 350
"""Sample (of 1 ms, from 0) at which the saccade starts."""
CITATION = "Wang Q (2024). DLPFC-LIP. Public repository, github.com/QingjunWang/DLPFC-LIP."
SUBJECTS = {"m3": "monkey m3", "m9": "monkey m9"}
Cell = tuple[str, str, int]
"""Task, sequence, and number of the saccade in the sequence (from 0)."""
CELLS: tuple[Cell, ...] = tuple(
    (task, sequence, saccade)
    for task in TASKS
    for sequence in SEQUENCES
    for saccade in range(N_SACCADES)
)


@dataclass(frozen=True)
class _Neuron:
    """One neuron.

    Attributes
    ----------
    name, kind
        Name in the file, and the authors' class.
    spikes
        Spikes of each cell, ``(trial, sample)``: 0, 1, or NaN where not recorded.
    """

    name: str
    kind: str
    spikes: dict[Cell, npt.NDArray[np.float32]]


def load(
    path: str | os.PathLike[str], *, neuron_class: str | None = None, bin_s: float = 0.05
) -> xr.DataTree:
    """Load the archive's dorsolateral prefrontal neurons as a ragged activity.

    Parameters
    ----------
    path
        The folder with ``Presaccadic neurons``, or this folder.
    neuron_class
        The authors' class: "element", "sequence", "subsequence" or "unclassified"; by default
        all.
    bin_s
        Bin width (s), 50 ms by default, as for Mante et al. (2013). A bin edge is at the saccade;
        incomplete bins at both ends, such as the 701st sample, are dropped.

    Returns
    -------
    xarray.DataTree
        One ragged block of rates in spikes/s, ``(observation, time)``, -0.35 to 0.35 s from the
        saccade, not smoothed. Visually guided sequences are task ``visual_saccades``, memory
        guided ones ``memory_saccades``; conditions are the sequence (LLRR, RRLL) and the number
        of the saccade in it. An observation is one saccade; the saccades of one sequence share
        the ``trial_number`` (row in the file), and their windows may overlap. Time before the
        start of a trial was not recorded: the rate of a bin is that of its recorded part, NaN if
        there is none (only in first saccades of visual sequences).

        Unit columns: ``neuron``, the name in the files; ``neuron_class``; ``subject``, from the
        name (m3, m9); ``copied``, whether the file has the same spikes for both sequences. There
        is no column of sessions, which are not published.

    Raises
    ------
    InputError
        If an option is unknown, the folder has no files of the archive, or a file is damaged, of
        another kind, or lacks fields; the file is named.

    Notes
    -----
    Two names occur twice with different spikes (m3c276, m9c563): the second gets the suffix "_2".
    One neuron (m9c382) is ``copied``: ``nwbcompare.select(activity, copied=False)`` removes it.

    References
    ----------
    Wang Q (2024). DLPFC-LIP. Public repository, github.com/QingjunWang/DLPFC-LIP.
    """
    if neuron_class is not None and neuron_class not in FILES:
        raise unknown_name("neuron_class", neuron_class, FILES)
    samples = _samples_in(bin_s)
    neurons: list[_Neuron] = []
    digests = []
    for kind, file in _files_in(Path(path)).items():
        digests.append((file.name, sha256_of_file(file)))
        neurons += _read(file, kind)
    units = _unit_ids(neurons)
    # all files are read, so that a neuron's id does not depend on the class
    selection = {u: n for u, n in units.items() if neuron_class in (None, n.kind)}
    if not selection:
        raise InputError(
            str(path), f"{FILES[str(neuron_class)]!r}", "no such file", "Choose another class."
        )
    options = {"neuron_class": neuron_class, "bin_s": bin_s}
    provenance = archive_provenance("wang2024", CITATION, digests, options) | {"smooth_s": 0.0}
    return make_activity({"wang2024": _make_block(selection, samples, provenance)})


def is_archive(folder: Path) -> bool:
    """Return whether a folder, or its ``Presaccadic neurons``, has files of the archive."""
    return bool(_present(folder))


def _present(folder: Path) -> dict[str, Path]:
    for place in (folder / FOLDER, folder):
        files = {kind: place / name for kind, name in FILES.items() if (place / name).is_file()}
        if files:
            return files
    return {}


def _files_in(path: Path) -> dict[str, Path]:
    files = _present(path)
    if not files:
        raise InputError(
            str(path),
            f"a folder with {listing(FILES.values())}, here or in {FOLDER!r}",
            "none of them" if path.is_dir() else "no folder",
            "Unpack the archive there.",
        )
    return files


def _samples_in(bin_s: float) -> int:
    samples = round(bin_s * 1000)
    if not 1 <= samples <= SACCADE_SAMPLE or abs(samples / 1000 - bin_s) > 1e-9:
        raise InputError(
            "bin_s", "a whole number of milliseconds, 0.001 to 0.35 s", repr(bin_s), "Use 0.05."
        )
    return samples


def _read(file: Path, kind: str) -> list[_Neuron]:
    with opened_mat(file) as variables:
        structure = struct_variable(file, variables, "data_structure")
        records = struct_field(file, structure, "neurons")
        # an array with one struct is read as a struct
        if isinstance(records, Struct):
            records = [records]
        is_list = isinstance(records, list) and records
        if not is_list or not all(isinstance(record, Struct) for record in records):
            raise damaged(f"neurons in {file}", "at least one record")
        return [_neuron(file, record, kind) for record in records]


def _neuron(file: Path, record: Struct, kind: str) -> _Neuron:
    name = "".join(map(str, np.ravel(struct_field(file, record, "NeuronNum"))))
    spikes: dict[Cell, npt.NDArray[np.float32]] = {}
    for task, letter in TASKS.items():
        for sequence in SEQUENCES:
            field = f"RawData_{sequence}_{letter}"
            saccades = struct_field(file, record, field)
            if not isinstance(saccades, list) or len(saccades) != N_SACCADES:
                raise damaged(f"{field} of {name} in {file}", "a cell of four saccades")
            for number, values in enumerate(saccades):
                spikes[task, sequence, number] = _spikes(file, f"{field} of {name}", values)
    return _Neuron(name, kind, spikes)


def _spikes(file: Path, subject: str, values: Any) -> npt.NDArray[np.float32]:
    """Return spikes (trial, sample), after a check that they are 0, 1 or NaN."""
    numeric = isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "uif"
    if not numeric or not len(values) or values.shape[1] != N_SAMPLES:
        raise damaged(f"{subject} in {file}", f"[trial x {N_SAMPLES}], at least one trial")
    spikes: npt.NDArray[np.float32] = values.astype(np.float32)
    # float32 holds 0, 1 and NaN exactly
    if not (np.isnan(spikes) | (spikes == 0) | (spikes == 1)).all():
        raise damaged(f"{subject} in {file}", "0, 1, or NaN (not recorded) in each millisecond")
    return spikes


def _unit_ids(neurons: list[_Neuron]) -> dict[str, _Neuron]:
    """Return neurons by id: the name, with a number where a name is repeated."""
    count: Counter[str] = Counter()
    units = {}
    for neuron in neurons:
        count[neuron.name] += 1
        number = count[neuron.name]
        units[neuron.name if number == 1 else f"{neuron.name}_{number}"] = neuron
    return units


def _is_copied(neuron: _Neuron) -> bool:
    """Return whether the two sequences have the same spikes."""
    first, second = (
        [spikes for (_, sequence, _), spikes in neuron.spikes.items() if sequence == which]
        for which in SEQUENCES
    )
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True))


def _rates(spikes: npt.NDArray[np.float32], samples: int) -> npt.NDArray[np.float32]:
    """Return rates over the recorded part of each bin (spikes/s), ``(trial, bin)``."""
    # the first whole bin, counted back from the saccade
    start = SACCADE_SAMPLE % samples
    n_bins = (N_SAMPLES - start) // samples
    bins = spikes[:, start : start + n_bins * samples].reshape(len(spikes), n_bins, samples)
    recorded_ms = np.isfinite(bins).sum(axis=-1)
    counts = np.nansum(bins, axis=-1, dtype=np.float64)
    # 0 / 0 is NaN: nothing was recorded in the bin
    with np.errstate(invalid="ignore"):
        rates: npt.NDArray[np.float32] = (1000 * counts / recorded_ms).astype(np.float32)
    return rates


def _make_block(
    neurons: dict[str, _Neuron], samples: int, provenance: dict[str, Any]
) -> xr.Dataset:
    rates, place, trial_number = [], [], []
    columns: dict[str, list[Any]] = {"task": [], "sequence": [], "saccade": [], "direction": []}
    # rows are ordered by neuron, then by cell: the file's order of trials is kept in each
    for index, neuron in enumerate(neurons.values()):
        for task, sequence, saccade in CELLS:
            rates.append(_rates(neuron.spikes[task, sequence, saccade], samples))
            n_trials = len(rates[-1])
            place.append(np.full(n_trials, index))
            trial_number.append(np.arange(n_trials, dtype=np.int16))
            values = (task, sequence, saccade + 1, {"L": "left", "R": "right"}[sequence[saccade]])
            for column, value in zip(columns.values(), values, strict=True):
                column.append(np.full(n_trials, value))
    n_bins = rates[0].shape[1]
    first_s = -(SACCADE_SAMPLE // samples) * samples / 1000
    bin_s = samples / 1000
    subjects = [SUBJECTS.get(n.name[:2], n.name[:2]) for n in neurons.values()]
    return make_block(
        np.concatenate(rates),
        time_s=first_s + (np.arange(n_bins) + 0.5) * bin_s,
        bin_width_s=bin_s,
        aligned_to="saccade",
        trials={
            **{name: np.concatenate(values) for name, values in columns.items()},
            "trial_number": (
                np.concatenate(trial_number),
                {"long_name": "row in the file, shared by the saccades of a sequence"},
            ),
        },
        units={
            "unit": list(neurons),
            "neuron": [neuron.name for neuron in neurons.values()],
            "neuron_class": [neuron.kind for neuron in neurons.values()],
            "subject": subjects,
            "area": ["DLPFC"] * len(neurons),
            "copied": np.array([_is_copied(neuron) for neuron in neurons.values()]),
        },
        observation_unit=np.concatenate(place),
        epochs={"presaccade": (first_s, 0.0), "postsaccade": (0.0, first_s + n_bins * bin_s)},
        condition_variables={task: ["sequence", "saccade"] for task in TASKS},
        source="recording",
        name=" and ".join(sorted(set(subjects))),
        provenance=provenance,
    )


WANG2024 = Loader(
    name="wang2024",
    title="Dorsolateral prefrontal neurons of two monkeys making saccade sequences, seen or "
    "remembered",
    card=DataCard(
        authors="Q. Wang and colleagues",
        citation=CITATION,
        doi="",
        licence="licence beside the files: redistribution is allowed with its notice",
        source="the public repository QingjunWang/DLPFC-LIP on github.com, "
        "'DLPFC_neuron classify.zip'",
        unpack=f"it has a folder {FOLDER!r} with {listing(FILES.values())}.",
        size="193 neurons of two monkeys in four files; 20 trials for each saccade of two "
        "sequences in two tasks; spikes in 1-ms bins, 0.35 s before to 0.35 s after a saccade",
        pairs=(("visual_saccades", "memory_saccades"),),
        traps=(
            "Sessions are not in the files, nor times of trials in them: nothing is tested over "
            "sessions, and the archive cannot be converted to NWB.",
            "Some trials are padded with NaN where nothing was recorded.",
            "About 30 % of the task variance is trial noise (median 16 of 56).",
        ),
        tested_on="real files",
    ),
    options={"neuron_class": str, "bin_s": float},
    is_archive=is_archive,
    load=load,
)
