"""Conversion of an archive to NWB files, one for each session."""

from __future__ import annotations

import os
from pathlib import Path

from tqdm import tqdm

from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import InputError
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

    Each file has the spike times of the session's units and the trials in which they were
    recorded. Trials of several units are written once, and the ``obs_intervals`` of a unit are its
    trials. Opened by `nwbcompare.open`, singly or together, the files give the rates of the loader
    with its default options.

    Parameters
    ----------
    name
        Name of the dataset, such as "mante2013".
    path
        Folder of the dataset; by default see `nwbcompare.datasets.find_dataset`.
    out
        Output folder.
    dandiset
        Whether the output folder has the layout of the DANDI archive: ``sub-*/sub-*_ses-*.nwb``
        and, if there is none, a ``dandiset.yaml``. Otherwise files are named after their sessions.
    sessions
        Names of sessions; by default all.
    metadata
        Metadata that is added to, and overrides, that of the loader.
    overwrite
        Whether existing files are replaced.

    Returns
    -------
    list of pathlib.Path
        Paths of the files.

    Raises
    ------
    InputError
        For an unknown dataset or session, a dataset without a conversion, and the errors of
        `nwbcompare.write_nwb`.
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
    all_sessions = conversion.sessions(source)
    targets: dict[str, Path] = {}
    metadata_by_session = {}
    check_known("sessions", sessions or (), all_sessions)
    # all paths are checked before the first, slow conversion
    for session in all_sessions if sessions is None else sessions:
        values = merged(conversion.metadata(session), metadata)
        path_in_folder = dandi_path(values) if dandiset else Path(f"{in_path(session)}.nwb")
        targets[session] = check_output(Path(out) / path_in_folder, overwrite=overwrite)
        metadata_by_session[session] = values
    for session, target in tqdm(targets.items(), desc="sessions", disable=None):
        write_nwb(
            conversion.load(source, session),
            target,
            spikes="counts" if conversion.trains is None else conversion.trains(source, session),
            metadata=metadata_by_session[session],
            reading=conversion.reading,
            overwrite=overwrite,
        )
    if dandiset:
        describe_dandiset(Path(out), list(targets.values()))
    return list(targets.values())
