"""Folders in the layout of the DANDI archive: ``sub-*/sub-*_ses-*.nwb``, ``dandiset.yaml``."""

from __future__ import annotations

import os
from collections import Counter
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
    """Write activity into a folder in the layout of the DANDI archive.

    Parameters
    ----------
    activity
        As for `write_nwb`.
    folder
        The folder of the dandiset, created if it does not exist. A draft of ``dandiset.yaml``
        is written, unless there is one.
    per_task
        Whether each block (for a network: each task) is written to its own file, with its name
        at the end of the session's id.
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
    tables = [_with_session(part, suffix, metadata) for suffix, part in parts.items()]
    paths = [folder / dandi_path(table) for table in tables]
    # all paths are checked before the first file is written
    _refuse_same(paths)
    for path in paths:
        check_output(path, overwrite=overwrite)
    files = [
        write_nwb(part, path, metadata=table, overwrite=overwrite, **options)
        for part, path, table in zip(parts.values(), paths, tables, strict=True)
    ]
    describe_dandiset(folder, files)
    return files


def parts_of(activity: Activity, *, per_task: bool) -> dict[str, Activity]:
    """Return the activity of each file, by the suffix of its session's id.

    Parameters
    ----------
    activity
        An activity or a block.
    per_task
        Whether each block is a file of its own, with its name as suffix; else one file, "".

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> list(parts_of(example_block(), per_task=True))
    ['example']
    """
    if not per_task:
        return {"": activity}
    return {leaf: make_activity({leaf: block}) for leaf, block in blocks(activity).items()}


def _with_session(
    activity: Activity, suffix: str, metadata: Metadata | None
) -> dict[str, dict[str, Any]]:
    # all blocks have one unit table, so that the first tells subject and session
    first = next(iter(blocks(activity).values()))
    tables = merged(metadata)
    complete = merged(default_metadata(first), metadata)
    session = str(complete["NWBFile"]["session_id"])
    tables["NWBFile"]["session_id"] = f"{session}-{suffix}" if suffix else session
    tables["Subject"]["subject_id"] = str(complete["Subject"]["subject_id"])
    return tables


def dandi_path(metadata: Metadata) -> Path:
    """Return the path of a session's file in a dandiset.

    Examples
    --------
    >>> dandi_path({"Subject": {"subject_id": "A"}, "NWBFile": {"session_id": "day_1"}}).as_posix()
    'sub-A/sub-A_ses-day-1.nwb'
    """
    subject = in_path(str(metadata["Subject"]["subject_id"]))
    session = in_path(str(metadata["NWBFile"]["session_id"]))
    return Path(f"sub-{subject}") / f"sub-{subject}_ses-{session}.nwb"


def describe_dandiset(folder: Path, files: Sequence[Path]) -> None:
    """Write a draft of ``dandiset.yaml`` from the first file's metadata, unless there is one.

    Parameters
    ----------
    folder
        Folder of the dandiset.
    files
        Its NWB files.
    """
    path = folder / DESCRIPTION
    if path.exists() or not files:
        return
    import yaml  # noqa: PLC0415 - only here

    # from the file, where write_nwb has filled in defaults
    with h5py.File(files[0], "r") as file:
        description = file["session_description"].asstr()[()]
        keywords = (
            [str(word) for word in file["general/keywords"].asstr()[()]]
            if "general/keywords" in file
            else []
        )
    table = {"name": folder.resolve().name, "description": description, "keywords": keywords}
    with written_aside(path) as aside:
        aside.write_text(
            "# A draft: the archive gives the identifier, you contributors and a license.\n"
            + yaml.safe_dump(table, sort_keys=False, allow_unicode=True),
            encoding="utf-8",
        )


def _refuse_same(paths: Sequence[Path]) -> None:
    """Check that no two sessions would be written to one file."""
    for path, number in Counter(paths).items():
        if number > 1:
            raise InputError(
                str(path), "one session for each file", f"{number}", "Use different session ids."
            )
