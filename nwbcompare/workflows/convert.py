"""Conversion of an archive into NWB files, one a session."""

from __future__ import annotations

import os
from pathlib import Path

from tqdm import tqdm

from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.files import check_output
from nwbcompare.datasets.location import find_dataset
from nwbcompare.datasets.registry import get_loader
from nwbcompare.io.nwb.dandi import dandi_path, describe_dandiset
from nwbcompare.io.nwb.metadata import Metadata, in_path, merged
from nwbcompare.io.nwb.write import write_nwb


def convert(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str],
    dandiset: bool = False,
    sessions: list[str] | None = None,
    metadata: Metadata | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the sessions of an archive as NWB files with spike times.

    Each file has the session's units with their spikes, and the trials that they were
    recorded in: trials that units share once, others for each unit, told by the units'
    ``obs_intervals``. Opened by `nwbcompare.open`, one by one or all together, the files give
    the rates that the loader gives with its own defaults.

    Parameters
    ----------
    name
        The dataset, such as "mante2013".
    path
        Its folder; looked for by default.
    out
        The folder for the files.
    dandiset
        Whether to lay it out as the DANDI archive does: ``sub-*/sub-*_ses-*.nwb`` and, where
        there is none, a ``dandiset.yaml``. Otherwise files are named after their sessions.
    sessions
        Which sessions; all by default.
    metadata
        What the files shall say besides or instead of what the loader knows.
    overwrite
        Whether existing files may be replaced.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    InputError
        For an unknown dataset or session, one that cannot be converted, and as `write_nwb`.
    """
    conversion = get_loader(name).conversion
    if conversion is None:
        raise InputError(
            f"dataset {name!r}",
            "a loader that says how its sessions become NWB",
            "one that does not",
            "Load it, and write its activity with nwbcompare.write_nwb.",
        )
    source = find_dataset(name, path)
    known = conversion.sessions(source)
    chosen = known if sessions is None else sessions
    targets: dict[str, Path] = {}
    about = {}
    for session in chosen:
        if session not in known:
            raise unknown_name("sessions", session, known)
        about[session] = merged(conversion.metadata(session), metadata)
        own = dandi_path(about[session]) if dandiset else Path(f"{in_path(session)}.nwb")
        targets[session] = check_output(Path(out) / own, overwrite=overwrite)
    for session, target in tqdm(targets.items(), desc="sessions", disable=None):
        write_nwb(
            conversion.load(source, session),
            target,
            spikes="counts",
            metadata=about[session],
            reading=conversion.reading,
            overwrite=overwrite,
        )
    if dandiset:
        describe_dandiset(Path(out), list(targets.values()))
    return list(targets.values())
