"""Folders as the DANDI archive lays them out: ``sub-*/sub-*_ses-*.nwb`` and a description."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py

from nwbcompare.core.activity import Activity, blocks, make_activity
from nwbcompare.core.errors import InputError
from nwbcompare.core.files import check_output, written_aside
from nwbcompare.io.nwb.metadata import Metadata, default_metadata, in_path, merged
from nwbcompare.io.nwb.write import write_nwb

DESCRIPTION = "dandiset.yaml"


def write_dandiset(
    activity: Activity,
    folder: str | os.PathLike[str],
    *,
    per_task: bool = False,
    metadata: Metadata | None = None,
    overwrite: bool = False,
    **options: Any,
) -> list[Path]:
    """Write activity into a folder as the DANDI archive lays it out.

    Parameters
    ----------
    activity
        As for `write_nwb`.
    folder
        The folder of the dandiset; made where it is not there. A ``dandiset.yaml`` that
        archives complete is written where there is none; one that is there is left alone.
    per_task
        Whether each block (of a network: each task) gets a file of its own, with its name at
        the end of the session's id.
    metadata
        As for `write_nwb`.
    overwrite
        Whether existing NWB files may be replaced.
    **options
        Further options of `write_nwb`.

    Returns
    -------
    list of pathlib.Path
        The files ``sub-SUBJECT/sub-SUBJECT_ses-SESSION.nwb``.

    Raises
    ------
    InputError
        As `write_nwb`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from nwbcompare.testing import example_block
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_dandiset(example_block(), folder)]
    ['sub-example_ses-example.nwb']
    """
    folder = Path(folder)
    parts = parts_of(activity, per_task=per_task)
    chosen = [_with_session(part, suffix, metadata) for suffix, part in parts.items()]
    paths = [folder / dandi_path(given) for given in chosen]
    _refuse_same(paths)
    for path in paths:
        check_output(path, overwrite=overwrite)
    written = [
        write_nwb(part, path, metadata=given, overwrite=overwrite, **options)
        for part, path, given in zip(parts.values(), paths, chosen, strict=True)
    ]
    describe_dandiset(folder, written)
    return written


def parts_of(activity: Activity, *, per_task: bool) -> dict[str, Activity]:
    """Give what goes into each file, by what ends the session's id ("": the whole)."""
    if not per_task:
        return {"": activity}
    return {leaf: make_activity({leaf: block}) for leaf, block in blocks(activity).items()}


def _with_session(
    activity: Activity, suffix: str, metadata: Metadata | None
) -> dict[str, dict[str, Any]]:
    first = next(iter(blocks(activity).values()))
    given = merged(metadata)
    known = merged(default_metadata(first), metadata)
    session = str(known["NWBFile"]["session_id"])
    given["NWBFile"]["session_id"] = f"{session}-{suffix}" if suffix else session
    given["Subject"]["subject_id"] = str(known["Subject"]["subject_id"])
    return given


def dandi_path(metadata: Metadata) -> Path:
    """Give the path of a session's file in a dandiset.

    Examples
    --------
    >>> dandi_path({"Subject": {"subject_id": "A"}, "NWBFile": {"session_id": "day_1"}}).as_posix()
    'sub-A/sub-A_ses-day-1.nwb'
    """
    subject = in_path(str(metadata["Subject"]["subject_id"]))
    session = in_path(str(metadata["NWBFile"]["session_id"]))
    return Path(f"sub-{subject}") / f"sub-{subject}_ses-{session}.nwb"


def describe_dandiset(folder: Path, files: Sequence[Path]) -> None:
    """Write a ``dandiset.yaml`` where there is none, from what the files say of themselves."""
    path = folder / DESCRIPTION
    if path.exists() or not files:
        return
    import yaml  # noqa: PLC0415 - only here

    with h5py.File(files[0], "r") as file:
        description = file["session_description"].asstr()[()]
        keywords = (
            [str(word) for word in file["general/keywords"].asstr()[()]]
            if "general/keywords" in file
            else []
        )
    about = {
        "name": folder.resolve().name,
        "description": description,
        "keywords": keywords,
    }
    with written_aside(path) as aside:
        aside.write_text(
            "# A draft: the archive gives the identifier, you contributors and a license.\n"
            + yaml.safe_dump(about, sort_keys=False, allow_unicode=True),
            encoding="utf-8",
        )


def _refuse_same(paths: Sequence[Path]) -> None:
    """Refuse sessions that would be written to one file."""
    seen: set[Path] = set()
    for path in paths:
        if path in seen:
            raise InputError(
                str(path), "one session for each file", "two", "Give sessions ids that differ."
            )
        seen.add(path)
