"""Loader of Mante, Sussillo, Shenoy & Newsome (2013): prefrontal units of monkeys, two contexts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.core.activity import make_activity, make_block
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.files import check_file, sha256_of_file
from nwbcompare.datasets.archive_provenance import archive_provenance
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.matlab_fields import damaged, struct_field, struct_variable
from nwbcompare.datasets.registry import Conversion, Loader
from nwbcompare.io.matlab.structs import Struct, opened_mat
from nwbcompare.kernels.binning import smoothing_matrix, sum_in_bins

NAME = re.compile(
    r"(?P<unit>(?P<session>(?P<animal>[a-z]{2})\d{6}_\d+)_[ab]\d+)_Vstim_100_850_ms\.mat"
)
SUBJECTS = {"ar": "monkey A", "fe": "monkey F"}
QUALITIES = ("single", "all")
SAMPLE_S = 0.001
N_SAMPLES = 751
"""Bins of 1 ms in the archive."""
WINDOW_START_S = 0.1
"""Start of the archive's window: 750 ms of dots, shifted by a latency of 100 ms."""
CONTEXT_TASKS = {1: "contextdm1", -1: "contextdm2"}
CITATION = (
    "Mante V, Sussillo D, Shenoy KV, Newsome WT (2013). Context-dependent computation by "
    "recurrent dynamics in prefrontal cortex. Nature 503, 78-84."
)
COLUMNS: dict[str, tuple[str, str, str]] = {
    "coherence_1": ("stim_dir", "f4", "motion coherence, positive towards the preferred target"),
    "coherence_2": (
        "stim_col2dir",
        "f4",
        "colour coherence, positive towards the preferred target",
    ),
    "colour_coherence": ("stim_col", "f4", "colour coherence, positive for green"),
    "choice": ("targ_dir", "i1", "chosen target, +1 the preferred one"),
    "choice_colour": ("targ_col", "i1", "colour of the chosen target, +1 green"),
    "correct": ("correct", "?", "correct choice"),
    "congruent": ("congruent", "?", "motion and colour point to the same target"),
    "trial_number": ("stim_trial", "i4", "row of the session's table; does not align units"),
}
"""Trial columns: the archive's field, the type in memory, and the description.

``stim_dir2col``, motion towards the green target, is left out, since it follows from the others.
"""


@dataclass(frozen=True)
class _Unit:
    """The unit of one file.

    Attributes
    ----------
    table
        Its row of the unit table.
    columns
        Trial columns, each ``(trial,)``.
    task_is_motion
        Whether each trial has the motion context, ``(trial,)``.
    counts
        Spike counts, ``(bin, trial)``.
    """

    table: dict[str, Any]
    columns: dict[str, npt.NDArray[Any]]
    task_is_motion: npt.NDArray[np.bool_]
    counts: npt.NDArray[Any]


def load(
    path: str | os.PathLike[str],
    *,
    animal: str | None = None,
    quality: str = "single",
    session: str | None = None,
    bin_s: float = 0.05,
    smooth_s: float = 0.04,
) -> xr.DataTree:
    """Load the archive "PFC data" as a ragged activity.

    Parameters
    ----------
    path
        The folder with ``PFC data 1`` (monkey A) and ``PFC data 2`` (monkey F), or one of these.
    animal
        "ar" (monkey A) or "fe" (monkey F); both by default.
    quality
        "single": well isolated single units (type s, discriminability 3 or 4), the selection
        of Yang et al. 2019. "all": all units.
    session
        One session, such as "ar090313_1"; all by default.
    bin_s
        Bin width (s); 50 ms as published. Counts of 1 ms are summed. An incomplete last bin, such
        as the 751st sample, is dropped.
    smooth_s
        Standard deviation (s) of the Gaussian by which the bins of each trial are smoothed; 40 ms
        as published, 0 for none.

    Returns
    -------
    xarray.DataTree
        One ragged block of rates in spikes/s, ``(observation, time)``. The motion context is task
        ``contextdm1``, the colour context ``contextdm2``; conditions are the signs of motion and
        colour coherence towards the preferred target. ``coherence_1_level`` and
        ``coherence_2_level`` rank coherences within a unit, since their sizes differ by session.
        There is no ``observation_trial``, since trial numbers of the archive do not align units.

    Raises
    ------
    InputError
        If an option is unknown, the folder has no files of the archive, two versions of a file
        differ, or a file is damaged, of another kind, or lacks fields; the file is named.

    Notes
    -----
    The archive has stimulus-aligned data only: 0.100 to 0.850 s from the onset of the dots, which
    lasted 750 ms. Yang et al. (2019, Fig. 8e) use the single units of monkey A.

    References
    ----------
    Mante V, Sussillo D, Shenoy KV, Newsome WT (2013). Context-dependent computation by recurrent
    dynamics in prefrontal cortex. Nature 503, 78-84.
    """
    samples, sd_bins = _check_options(animal, quality, bin_s, smooth_s)
    files = _unit_files(Path(path), animal)
    if session is not None:
        names = dict.fromkeys(map(_session_of, files))
        if session not in names:
            raise unknown_name("session", session, names)
        files = [file for file in files if _session_of(file) == session]
    digests: list[tuple[str, str]] = []
    units = []
    # no progress bar for one session; None: no bar without a terminal
    no_bar = True if session else None
    for file in tqdm(files, desc="mante2013", unit="file", disable=no_bar):
        digests.append((file.name, sha256_of_file(file)))
        unit = _read_unit(file, samples)
        if quality == "all" or unit.table["quality"] == "single":
            units.append(unit)
    if not units:
        raise InputError(
            str(path),
            f"units of quality {quality!r}",
            f"none in {len(files)} files",
            "Pass quality='all'.",
        )
    options = {
        "animal": animal,
        "quality": quality,
        "session": session,
        "bin_s": bin_s,
        "smooth_s": smooth_s,
    }
    provenance = {
        **archive_provenance("mante2013", CITATION, digests, options),
    }
    return make_activity({"mante2013": _make_block(units, bin_s, sd_bins, provenance)})


def _name_parts(file: Path) -> re.Match[str]:
    match = NAME.fullmatch(file.name)
    assert match is not None  # noqa: S101 - files were listed by this pattern
    return match


def _session_of(file: Path) -> str:
    return _name_parts(file)["session"]


def _check_options(
    animal: str | None, quality: str, bin_s: float, smooth_s: float
) -> tuple[int, float]:
    if animal is not None and animal not in SUBJECTS:
        raise unknown_name("animal", animal, SUBJECTS)
    if quality not in QUALITIES:
        raise unknown_name("quality", quality, QUALITIES)
    samples = round(bin_s / SAMPLE_S)
    if not 1 <= samples <= N_SAMPLES or abs(samples * SAMPLE_S - bin_s) > 1e-9:
        raise InputError(
            "bin_s", "a whole number of milliseconds, 0.001 to 0.751 s", repr(bin_s), "Use 0.05."
        )
    if not 0 <= smooth_s < np.inf:
        raise InputError("smooth_s", "0 s or more", repr(smooth_s), "Use 0.04, or 0 for none.")
    return samples, smooth_s / bin_s


def is_archive(folder: Path) -> bool:
    """Return whether a folder, or its ``PFC data N``, has unit files of the archive."""
    return any(True for _ in _candidates(folder))


def _candidates(folder: Path) -> Iterator[Path]:
    for place in (folder, *sorted(folder.glob("PFC data *"))):
        if place.is_dir():
            yield from (f for f in sorted(place.iterdir()) if NAME.fullmatch(f.name))


def _unit_files(path: Path, animal: str | None) -> list[Path]:
    """Return one file for each unit; copies in several folders must be equal."""
    if not path.is_dir():
        raise InputError(
            str(path),
            "a folder",
            "a file" if path.exists() else "nothing there",
            "Pass the folder with 'PFC data 1'.",
        )
    by_name: dict[str, Path] = {}
    # the archive has some files twice, byte for byte: a unit counts once
    for file in _candidates(path):
        first = by_name.setdefault(file.name, check_file(file, "a MATLAB file"))
        if first != file and first.read_bytes() != file.read_bytes():
            raise InputError(
                str(file),
                f"the same content as {first}",
                "other content",
                "Two versions of one unit: keep one of them.",
            )
    files = [f for f in by_name.values() if animal in (None, f.name[:2])]
    if not files:
        prefix = "*" if animal is None else animal
        raise InputError(
            str(path),
            f"files named like {prefix}090313_1_a1_Vstim_100_850_ms.mat, here or in "
            "'PFC data 1', 'PFC data 2', ...",
            f"{len(by_name)} files of other animals" if by_name else "none",
            "Unpack the archive there.",
        )
    return sorted(files, key=lambda file: file.name)


def _read_unit(file: Path, samples: int) -> _Unit:
    with opened_mat(file) as variables:
        record = struct_variable(file, variables, "unit")
        counts = _counts(file, struct_field(file, record, "response"))
        n_trials = counts.shape[1]
        table = struct_field(file, record, "task_variable")
        columns = {}
        for name, (source, kind, _) in COLUMNS.items():
            values = np.ravel(struct_field(file, table, source))
            if values.size != n_trials:
                expected = f"{n_trials} values of {source}, one for each trial"
                raise damaged(file, expected, f"{values.size}")
            columns[name] = values.astype(kind)
        context = np.ravel(struct_field(file, table, "context"))
        unit_table = _unit_table(file, record)
    # conditions are signs (4 per context); levels are ranks, since sizes differ between sessions
    for name in ("coherence_1", "coherence_2"):
        columns[f"{name}_sign"] = np.sign(columns[name]).astype("i1")
        columns[f"{name}_level"] = _signed_rank(columns[name])
    if context.size != n_trials or not np.isin(context, (-1, 1)).all():
        raise damaged(file, "context +1 (motion) or -1 (colour) in every trial", "other values")
    return _Unit(unit_table, columns, context == 1, sum_in_bins(counts, samples))


def _counts(file: Path, response: Any) -> npt.NDArray[Any]:
    """Return spike counts (sample, trial), after a check that they are counts."""
    counts: npt.NDArray[Any] = np.asarray(response if isinstance(response, np.ndarray) else None)
    good = counts.ndim == 2 and counts.size and counts.dtype.kind in "uif"
    # unsigned integers, the archive's type, cannot be anything but counts
    if good and counts.dtype.kind != "u":
        good = bool((np.isfinite(counts) & (counts >= 0) & (counts % 1 == 0)).all())
        counts = counts.astype(np.uint16) if good else counts
    if not good or counts.shape[1] != N_SAMPLES:
        expected = f"response [trial x {N_SAMPLES}] of spike counts, at least one trial"
        raise damaged(file, expected, f"{counts.dtype} {counts.shape}")
    return counts.T


def _signed_rank(coherence: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Return the rank of each coherence's size within a unit, from 1, with its sign."""
    _, rank = np.unique(np.abs(coherence), return_inverse=True)
    signed: npt.NDArray[np.int8] = (np.sign(coherence) * (rank + 1)).astype("i1")
    return signed


def _unit_table(file: Path, record: Struct) -> dict[str, Any]:
    match = _name_parts(file)
    info = struct_field(file, record, "unitInfo")
    isolation = "".join(map(str, np.ravel(struct_field(file, info, "type"))))
    discriminability = _number(info, "discriminability", 0)
    # the selection of single units by Yang et al. (2019)
    single = isolation == "s" and discriminability >= 3
    return {
        "unit": match["unit"],
        "subject": SUBJECTS.get(match["animal"], match["animal"]),
        "animal": match["animal"],
        "session": match["session"],
        "area": "prearcuate cortex",
        "quality": "single" if single else "multi",
        "isolation": isolation,
        "discriminability": discriminability,
        "grid_x": _number(info, "grid_position", 0),
        "grid_y": _number(info, "grid_position", 1),
        "depth_coarse": _number(info, "depth_coarse", 0),
        "depth_fine": _number(info, "depth_fine", 0),
    }


def _number(info: Struct, name: str, place: int) -> float:
    values = np.ravel(info[name]) if name in info else np.empty(0)
    return float(values[place]) if values.size > place else float("nan")


def _make_block(
    units: list[_Unit], bin_s: float, sd_bins: float, provenance: dict[str, Any]
) -> xr.Dataset:
    sizes = [unit.task_is_motion.size for unit in units]
    n_bins = units[0].counts.shape[0]
    # smoothing is linear: one matrix product per unit does it, with the division by the bin width
    kernel = smoothing_matrix(n_bins, sd_bins) / bin_s if sd_bins else None
    # filled unit by unit, so that float64 rates exist for one unit at a time
    rate = np.empty((sum(sizes), n_bins), dtype=np.float32)
    stops = np.cumsum(sizes)
    for unit, start, stop in zip(units, stops - sizes, stops, strict=True):
        counts = unit.counts.T.astype(np.float64)
        rate[start:stop] = counts / bin_s if kernel is None else counts @ kernel
    table = {name: [unit.table[name] for unit in units] for name in units[0].table}
    sessions, session_code = np.unique(table["session"], return_inverse=True)
    motion = np.concatenate([unit.task_is_motion for unit in units])
    # the epoch is the stimulus, 750 ms, also where wider bins end earlier
    stop_s = WINDOW_START_S + 0.75
    subjects = sorted(set(table["subject"]))
    return make_block(
        rate,
        time_s=WINDOW_START_S + (np.arange(n_bins) + 0.5) * bin_s,
        bin_width_s=bin_s,
        aligned_to="dots onset",
        trials={
            "task": _coded(np.where(motion, 0, 1), list(CONTEXT_TASKS.values())),
            "session": _coded(np.repeat(session_code, sizes), [str(s) for s in sessions]),
            **_trial_columns(units),
        },
        units=table,
        observation_unit=np.repeat(np.arange(len(units)), sizes),
        epochs={"stim1": (WINDOW_START_S, stop_s)},
        condition_variables={
            task: ["coherence_1_sign", "coherence_2_sign"] for task in CONTEXT_TASKS.values()
        },
        source="recording",
        name=" and ".join(subjects),
        provenance=provenance,
    )


def _coded(codes: npt.NDArray[Any], categories: list[str]) -> tuple[Any, dict[str, str]]:
    return codes.astype(np.int16), {"categories": json.dumps(categories)}


def _trial_columns(units: list[_Unit]) -> dict[str, Any]:
    descriptions = {name: text for name, (_, _, text) in COLUMNS.items()}
    for name, what in (("coherence_1", "motion"), ("coherence_2", "colour")):
        descriptions[f"{name}_sign"] = f"sign of the {what} coherence"
        descriptions[f"{name}_level"] = f"rank of the {what} coherence within the unit, signed"
    return {
        name: (np.concatenate([unit.columns[name] for unit in units]), {"long_name": text})
        for name, text in descriptions.items()
    }


def animals(path: Path) -> list[str]:
    """Return the animals of an archive: "ar", "fe", or both, in this order.

    Parameters
    ----------
    path
        The folder of the archive.

    Raises
    ------
    InputError
        If the folder has no files of the archive.
    """
    names = {file.name[:2] for file in _unit_files(path, None)}
    return [animal for animal in SUBJECTS if animal in names] or sorted(names)


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
    return list(dict.fromkeys(map(_session_of, _unit_files(path, None))))


def _session_metadata(session: str) -> dict[str, dict[str, Any]]:
    """Return the metadata of a session for an NWB file.

    The archive has only the day of a session: the start is set to midnight (UTC), as its
    description says. The monkeys' ages are not published; they were adult, at least four years.
    """
    animal, day = session[:2], datetime.strptime(session[2:8], "%y%m%d").replace(tzinfo=UTC)
    return {
        "NWBFile": {
            "session_id": session,
            "identifier": f"mante2013-{session}",
            "session_start_time": day,
            "session_description": "Units recorded while a monkey decided on the motion or the "
            "colour of random dots, by context. Trials of 0.100 to 0.851 s from dots onset are "
            "laid end to end: the archive has no absolute times, and not the trials' true "
            "order in time. The session's start is the day of recording at midnight (UTC).",
            "experiment_description": "Context-dependent decisions on random dots (Mante et al. "
            "2013); extracellular recording in prearcuate cortex. Converted from the public "
            f"archive 'PFC data'. Cite: {CITATION}",
            "experimenter": ["Mante, Valerio", "Sussillo, David"],
            "institution": "Stanford University",
            "keywords": ["prefrontal cortex", "decision", "context", "monkey"],
            "related_publications": ["https://doi.org/10.1038/nature12742"],
        },
        "Subject": {
            "subject_id": SUBJECTS.get(animal, animal).replace(" ", "-"),
            "species": "Macaca mulatta",
            "sex": "M",
            "age": "P4Y/",
            "description": "Adult rhesus monkey; the age is a lower bound.",
        },
    }


def _load_session(path: Path, session: str) -> xr.DataTree:
    return load(path, quality="all", session=session, bin_s=SAMPLE_S, smooth_s=0.0)


MANTE2013 = Loader(
    name="mante2013",
    title="Prearcuate cortex of two monkeys deciding on motion or colour by context",
    card=DataCard(
        authors="V. Mante, D. Sussillo, K. V. Shenoy and W. T. Newsome, Stanford University",
        citation=CITATION,
        doi="10.1038/nature12742",
        licence="none stated; free to download, the paper is to be cited",
        source='the public archive "PFC data" of the Mante lab (Institute of Neuroinformatics, '
        "Zurich, www.ini.uzh.ch/en/research/groups/mante/data.html)",
        unpack="it has folders 'PFC data 1' (monkey A) and 'PFC data 2' (monkey F).",
        size="monkey A 762 units in 103 sessions, 181 of them single units; monkey F 640 units in "
        "72 sessions, 207 single units; spike counts in 1-ms bins, 0.100 to 0.850 s from the onset "
        "of the dots",
        pairs=(("contextdm1", "contextdm2"),),
        traps=(
            "Folder 'PFC data 3' has byte-for-byte copies of 12 files: they are not read.",
            "Units of a session often have different trials: the activity is ragged.",
            "Coherences differ in size by session: conditions are made of their signs or ranks.",
            "About a third of the task variance of a typical unit is trial noise, which draws FTV "
            "to 0; unequal trial numbers push it to one side.",
        ),
        tested_on="real files",
    ),
    options={"animal": str, "quality": str, "session": str, "bin_s": float, "smooth_s": float},
    is_archive=is_archive,
    load=load,
    conversion=Conversion(
        sessions=sessions,
        load=_load_session,
        metadata=_session_metadata,
        # the archive's window is 0.1 to 0.851 s, of which the loader uses whole bins
        reading={"bin": 0.05, "smooth": 0.04},
    ),
)
