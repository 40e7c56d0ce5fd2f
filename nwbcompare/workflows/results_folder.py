"""The folder of a report: results are kept by source and section, and a later run takes them up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from nwbcompare.core.claim import claimed
from nwbcompare.core.data_text import parse_json
from nwbcompare.core.errors import DamagedCacheError, InputError, differences, listing
from nwbcompare.core.files import check_output_folder, file_name, folder_in_progress, written_aside
from nwbcompare.core.hdf5_input import UNREADABLE
from nwbcompare.core.hdf5_output import write_netcdf
from nwbcompare.core.netcdf_input import RememberingFile, check_links, check_netcdf, is_sealed, seal
from nwbcompare.workflows.section import Refusal, Results

IDENTITY, RESULTS = "identity.json", "results"
SLASH = "\N{DIVISION SLASH}"
"""Character in names of groups in place of the slash, at which HDF5 divides them."""
WHY_NOT = "why_not"
"""Attribute with the reason, of an empty table in place of a result (files of version 1)."""


@dataclass(frozen=True)
class FolderKind:
    """A kind of folder, known by its contents, so that no other folder is ever replaced.

    Attributes
    ----------
    name
        Word for messages.
    configuration
        File with the settings that all contents depend on.
    content
        Folder that lies beside it.
    defaults
        Settings that older files lack.
    """

    name: str
    configuration: str
    content: str
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def is_in(self, path: Path) -> bool:
        """Return whether a folder is of this kind, finished or not."""
        # other tools write files of this name too: only both together count
        return (path / self.configuration).is_file() and (path / self.content).is_dir()


REPORT = FolderKind("report", "configuration.json", RESULTS)
# studies from before there was a warm-up had none
STUDY = FolderKind("study", "continual.json", "runs", {"warm_up_steps": 0})


class ResultsFolder:
    """Results of a report by source and section.

    Parameters
    ----------
    path
        The folder, from `results_folder`.

    Attributes
    ----------
    version
        Values that a later run in the same folder may change; results of other values are
        computed again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version: dict[str, Any] = {}

    def claim(self, source: str, identity: Mapping[str, Any]) -> None:
        """Note the checksums of a source.

        Raises
        ------
        InputError
            Where the folder has results of another source of this name.
        """
        file = self.file(source, IDENTITY, suffix="")
        if file.is_file():
            _check_same_values(file, "report", _read_json(file), identity)
        else:
            _write_json(file, identity)

    def file(self, source: str, section: str, suffix: str = ".nc") -> Path:
        """Return the path of a section's results, in a folder that is created."""
        # names of recordings may have any character
        folder = self.path / RESULTS / file_name(source).replace(" ", "_")
        folder.mkdir(exist_ok=True, parents=True)
        return folder / f"{section}{suffix}"


@contextmanager
def results_folder(
    out: Path,
    configuration: Mapping[str, Any],
    *,
    kind: FolderKind = REPORT,
    resume: bool,
    overwrite: bool,
) -> Iterator[ResultsFolder]:
    """Open the folder of a report for this process alone.

    Parameters
    ----------
    out
        The folder of the report.
    configuration
        Settings that all its contents depend on.
    kind
        Kind of the folder.
    resume
        Whether contents from an earlier run of the same configuration are used; with
        ``overwrite``, those of an interrupted replacement.
    overwrite
        Whether an existing report may be replaced. It stays until the new one is whole.

    Yields
    ------
    ResultsFolder
        The folder, or that of its replacement.

    Raises
    ------
    InputError
        Where the folder exists and is neither resumed nor replaced, holds something else, belongs
        to another configuration (the differences are shown), or is written to by another process.
    """
    check_report_folder(out, kind=kind, resume=resume, overwrite=overwrite)
    # claimed first: two processes must not both see the folder as free
    with claimed(out), folder_in_progress(out, resume=resume, overwrite=overwrite) as path:
        if resume and kind.is_in(path):
            present = _read_json(path / kind.configuration)
            check_same(path, kind, dict(kind.defaults) | present, configuration)
        else:
            # both appear at once, so that an interrupt leaves no folder of unknown kind
            with written_aside(path, overwrite=True) as aside:
                (aside / kind.content).mkdir(parents=True)
                _write_json(aside / kind.configuration, configuration)
        yield ResultsFolder(path)


def check_report_folder(
    out: Path, *, kind: FolderKind = REPORT, resume: bool, overwrite: bool
) -> None:
    """Check before any work that a report can be written to a folder; see `results_folder`."""
    # only a folder of this kind may exist, and only to be resumed
    if overwrite or not (resume and kind.is_in(out)):
        check_output_folder(out, kind=kind.name, is_kind=kind.is_in, overwrite=overwrite)


def check_same(
    folder: Path, kind: FolderKind, present: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    """Check that the contents of a folder depend on the same settings.

    Raises
    ------
    InputError
        With the settings that differ.
    """
    _check_same_values(folder / kind.configuration, kind.name, present, expected)


def read_results(file: Path, identity: Mapping[str, Any] | None = None) -> Results | None:
    """Read kept results.

    Parameters
    ----------
    file
        A file of `keep_results`.
    identity
        Checksums and settings that the results must be of, all or some of those kept.

    Returns
    -------
    Results or None
        None where there is no such file, or where it has results of something else.

    Raises
    ------
    DamagedCacheError
        Where the file cannot be read.
    """
    if not file.is_file():
        return None
    try:
        # as it was written, or else damaged, of an earlier version or made by others
        check = check_links if is_sealed(file) else check_netcdf
        check(file)
        # tables are loaded at once: the file may be replaced later in the run
        with RememberingFile(file) as raw, xr.open_datatree(raw, engine="h5netcdf") as tree:
            if not _is_of(tree.attrs, identity or {}):
                return None
            tables = {
                str(name).replace(SLASH, "/"): leaf.to_dataset().load()
                for name, leaf in tree.children.items()
            }
            # files of version 1 lack these attributes
            reasons = dict(parse_json(tree.attrs.get("refusals", "{}")))
            warnings = list(parse_json(tree.attrs.get("warnings", "[]")))
    except (*UNREADABLE, ImportError) as error:
        raise DamagedCacheError(
            str(file),
            "results that an earlier run has kept",
            f"a file that cannot be read ({error})",
            "Remove it, and run with --resume: the section is computed again.",
        ) from error
    reasons |= {
        name: table.attrs[WHY_NOT] for name, table in tables.items() if WHY_NOT in table.attrs
    }
    return Results(
        {name: table for name, table in tables.items() if name not in reasons},
        refusals={name: Refusal(reason) for name, reason in reasons.items()},
        warnings=warnings,
    )


def _is_of(attrs: Mapping[Any, Any], identity: Mapping[str, Any]) -> bool:
    """Test whether the attributes of a file have all values of an identity."""
    # files of version 1 have the checksum of the weights beside the identity
    present = {k: attrs[k] for k in ("weights_sha256",) if k in attrs}
    present |= dict(parse_json(attrs.get("identity", "{}")))
    # through text, which has no tuples
    return not differences(present, json.loads(json.dumps(identity)))


def keep_results(
    file: Path, results: Results, identity: Mapping[str, Any] | None = None, *, small: bool = False
) -> None:
    """Write results as netCDF, whole or not at all; see `read_results`.

    Parameters
    ----------
    file
        The file.
    results
        The results.
    identity
        Checksums and settings that they are of.
    small
        Whether values are compressed, for files that are published by the hundred.
    """
    tables = {f"/{name.replace('/', SLASH)}": table for name, table in results.items()}
    tree = xr.DataTree.from_dict(tables)
    tree.attrs = {
        "refusals": json.dumps({name: one.reason for name, one in results.refusals.items()}),
        "warnings": json.dumps(results.warnings),
        "identity": json.dumps(identity or {}),
    }
    packing = {name: _packing(table) for name, table in tables.items()} if small else None
    write_netcdf(tree, file, overwrite=True, encoding=packing)
    seal(file)


def _packing(table: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return the encoding of a table's variables for compression."""
    return {
        str(name): {"zlib": True, "complevel": 6}
        # HDF5 does not compress strings of variable length
        | ({"dtype": "S1"} if values.dtype.kind in "UO" else {})
        for name, values in table.variables.items()
        if values.ndim
    }


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with written_aside(path, overwrite=True) as aside:
        aside.write_text(json.dumps(values, indent=1) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(parse_json(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise DamagedCacheError(
            str(path), "a JSON file", f"{error}", "Choose another folder, or --overwrite."
        ) from error


def _check_same_values(
    path: Path, what: str, present: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    # through text, which has no tuples
    if differing := differences(present, json.loads(json.dumps(expected))):
        raise InputError(
            str(path),
            f"a {what} on the same source with the same settings",
            listing(differing),
            "Choose another folder, or replace it with --overwrite.",
        )
