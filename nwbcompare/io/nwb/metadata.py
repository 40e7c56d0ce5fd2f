"""Metadata of NWB files on subject, session and origin, with defaults that archives accept."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import xarray as xr
from pynwb import NWBFile
from pynwb.file import Subject

from nwbcompare.core.data_text import parse_toml
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.yaml_lines import parse_yaml

SYNTHETIC_SPECIES = "http://purl.obolibrary.org/obo/NCBITaxon_32630"
FILE_KEYS = (
    "session_description",
    "identifier",
    "session_start_time",
    "session_id",
    "experimenter",
    "experiment_description",
    "institution",
    "lab",
    "keywords",
    "notes",
    "protocol",
    "pharmacology",
    "related_publications",
    "surgery",
    "virus",
    "data_collection",
    "stimulus_notes",
)
SUBJECT_KEYS = (
    "subject_id",
    "species",
    "sex",
    "age",
    "description",
    "date_of_birth",
    "genotype",
    "strain",
    "weight",
)
KEYS = {"NWBFile": FILE_KEYS, "Subject": SUBJECT_KEYS}
LISTS = ("experimenter", "keywords", "related_publications")
TIMES = ("session_start_time", "date_of_birth")
Metadata = Mapping[str, Mapping[str, Any]]


def read_metadata(path: str | Path) -> dict[str, dict[str, Any]]:
    """Read metadata from a TOML or YAML file.

    Parameters
    ----------
    path
        A file with the tables ``NWBFile`` and ``Subject`` and the keys of pynwb.

    Returns
    -------
    dict of str to dict
        Checked values by table and key.

    Raises
    ------
    InputError
        If it does not exist, is not TOML or YAML, or has other tables or keys.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "session.yaml"
    ...     _ = path.write_text("Subject: {sex: F}")
    ...     read_metadata(path)["Subject"]
    {'sex': 'F'}
    """
    path = Path(path)
    if path.suffix not in {".toml", ".yaml", ".yml"} or not path.is_file():
        raise InputError(
            str(path), "a file ending in .toml, .yaml or .yml", "none", "Check the path."
        )
    if path.suffix != ".toml":
        return checked_metadata(parse_yaml(path.read_bytes(), str(path))[0], str(path))
    try:
        tables = parse_toml(path.read_bytes())
    except ValueError as error:
        raise InputError(
            str(path), "a TOML or YAML file", f"one that cannot be read ({error})", "Correct it."
        ) from error
    return checked_metadata(tables, str(path))


def checked_metadata(metadata: Any, subject: str = "metadata") -> dict[str, dict[str, Any]]:
    """Check metadata, and convert times and lists.

    Parameters
    ----------
    metadata
        Tables ``NWBFile`` and ``Subject``.
    subject
        Name of the metadata in an error.

    Returns
    -------
    dict of str to dict
        Values by table and key: times with their zone, lists of text, or text.

    Raises
    ------
    InputError
        If a table or key is unknown (the message has the nearest names), or a time has no zone.

    Examples
    --------
    >>> checked_metadata({"NWBFile": {"keywords": "decision"}})["NWBFile"]
    {'keywords': ['decision']}
    """
    if not isinstance(metadata, Mapping):
        raise InputError(
            subject,
            "tables NWBFile and Subject",
            type(metadata).__name__,
            "Write {'Subject': {'sex': 'F'}}.",
        )
    result: dict[str, dict[str, Any]] = {name: {} for name in KEYS}
    for table, values in metadata.items():
        if table not in KEYS or not isinstance(values, Mapping):
            raise unknown_name(f"{subject}, table", table, KEYS)
        for key, value in values.items():
            if key not in KEYS[table]:
                raise unknown_name(f"{subject}, {table}", key, KEYS[table])
            result[table][key] = _value(f"{subject}, {table}.{key}", key, value)
    return result


def _value(subject: str, key: str, value: Any) -> Any:
    if key in TIMES:
        return _time(subject, value)
    items = value if key in LISTS and isinstance(value, list | tuple) else [value]
    # a key without a value, or a table in its place, is a mistake of writing
    if not items or not all(isinstance(item, str | int | float | date) for item in items):
        expected = "a text, or a list of texts" if key in LISTS else "a text"
        raise InputError(subject, expected, f"{value!r:.60}", "Write it, or delete the key.")
    texts = [str(item) for item in items]
    for text in texts:
        if "\0" in text:
            raise InputError(
                subject, "text without the character NUL", f"{text!r:.60}", "Delete it."
            )
    return texts if key in LISTS else texts[0]


def _time(subject: str, value: Any) -> datetime:
    try:
        # TOML and YAML may have parsed the time already
        time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        time = None
    # NWB requires the time zone
    if time is None or time.tzinfo is None:
        raise InputError(
            subject,
            "a time with its zone, such as 2009-03-13T10:00:00+00:00",
            repr(value),
            "Add the zone.",
        )
    return time


def merged(*metadata: Metadata | None) -> dict[str, dict[str, Any]]:
    """Join metadata; later values replace earlier ones.

    Parameters
    ----------
    *metadata
        Tables ``NWBFile`` and ``Subject``; None is skipped.

    Raises
    ------
    InputError
        As `checked_metadata`.

    Examples
    --------
    >>> merged({"Subject": {"sex": "U"}}, {"Subject": {"sex": "F"}})["Subject"]
    {'sex': 'F'}
    """
    tables: dict[str, dict[str, Any]] = {name: {} for name in KEYS}
    for one in metadata:
        for table, values in checked_metadata(one or {}).items():
            tables[table] |= values
    return tables


def make_file(block: xr.Dataset, metadata: Metadata | None, *, notes: Sequence[str]) -> NWBFile:
    """Return an NWB file without data.

    Parameters
    ----------
    block
        A block of the activity, whose name and source determine the defaults.
    metadata
        The user's metadata, which replace defaults.
    notes
        Sentences for the file's notes.

    Raises
    ------
    InputError
        If species, age or time of a recording are missing.
    """
    tables = merged(default_metadata(block), metadata)
    file, subject = tables["NWBFile"], tables["Subject"]
    # without them NWB or the archive rejects the file
    lacking = [
        f"{table}.{key}"
        for table, key in (
            ("Subject", "species"),
            ("Subject", "age"),
            ("NWBFile", "session_start_time"),
        )
        if key not in tables[table]
    ]
    if lacking:
        raise InputError(
            "metadata",
            "what archives ask of a recording: " + ", ".join(lacking),
            "nothing of it",
            "Pass metadata={'Subject': {'species': 'Macaca mulatta', 'age': 'P6Y'}, "
            "'NWBFile': {'session_start_time': '2009-03-13T00:00:00+00:00'}} (--metadata FILE).",
        )
    sentences = [*([file["notes"]] if "notes" in file else []), *notes]
    if sentences:
        file["notes"] = " ".join(sentences)
    return NWBFile(**file, subject=Subject(**subject))


def default_metadata(block: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return default metadata of a block.

    Parameters
    ----------
    block
        A block. A simulation has defaults for all that archives require. The species, age and
        time of a recording have no default.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> default_metadata(example_block())["Subject"]["subject_id"]
    'example'
    """
    name = str(block.attrs["name"])
    simulated = block.attrs["source"] == "model" or bool(
        json.loads(block.attrs["provenance"]).get("simulated")
    )
    sessions = _only(block, "session")
    subjects = _only(block, "subject")
    file: dict[str, Any] = {
        "identifier": str(uuid.uuid4()),
        "session_id": identity(sessions or name),
    }
    # for unknown: archives reject files without a sex
    subject: dict[str, Any] = {"subject_id": identity(subjects or name), "sex": "U"}
    if not simulated:
        file |= {
            "session_description": f"Recorded units of {name}.",
            "experiment_description": "Recorded activity on task trials.",
            "keywords": ["electrophysiology"],
        }
        return {"NWBFile": file, "Subject": subject}
    file |= {
        "session_description": f"Simulated: rates of {name}, on task trials laid end to end.",
        # a simulation has no time of recording
        "session_start_time": datetime.now(UTC),
        # archives ask for names as LAST, FIRST
        "experimenter": ["Network, Simulated"],
        "institution": "simulation",
        "keywords": ["recurrent neural network", "simulation"],
        "experiment_description": "Activity of a task-trained recurrent network.",
    }
    # accepted by archives for what is no animal: a synthetic construct of 0 days
    subject |= {
        "species": SYNTHETIC_SPECIES,
        "age": "P0D",
        "description": "An artificial recurrent neural network.",
    }
    return {"NWBFile": file, "Subject": subject}


def _only(block: xr.Dataset, column: str) -> str | None:
    """Return the only value of a column of the unit table; None if there are several."""
    if column not in block.coords or block[column].dims != ("unit",):
        return None
    values = {str(value) for value in block[column].values}
    return values.pop() if len(values) == 1 else None


def identity(name: str) -> str:
    """Return a name as an id that archives accept, without slashes and blanks.

    Examples
    --------
    >>> identity("monkey A/ar090313_1")
    'monkey-A-ar090313_1'
    """
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def in_path(name: str) -> str:
    """Return an id as a part of a path that archives accept: letters, digits and hyphens.

    Examples
    --------
    >>> in_path("ar090313_1")
    'ar090313-1'
    """
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
