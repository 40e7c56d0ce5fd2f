"""The folder of an analysis: finished sections are kept, and a later run goes on with them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from nwbcompare.core.errors import InputError, differences, listing
from nwbcompare.core.files import check_output_folder, written_aside
from nwbcompare.core.hdf5_output import write_netcdf
from nwbcompare.workflows.section import Results

CONFIGURATION, RESULTS, IDENTITY = "configuration.json", "results", "identity.json"


class Folder:
    """A folder that holds results by source and section.

    Parameters
    ----------
    path
        The folder.
    configuration
        The settings that all its results depend on.
    resume
        Whether to go on with what an earlier run of the same configuration has finished.
    overwrite
        Whether an existing analysis may be replaced.

    Raises
    ------
    InputError
        Where the folder exists and is neither to be resumed nor replaced, holds something else,
        or results of another configuration; the differences are shown.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        configuration: Mapping[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        if resume and is_analysis(self.path):
            _check_same(self.path / CONFIGURATION, configuration)
            return
        check_output_folder(path, kind="analysis", is_kind=is_analysis, overwrite=overwrite)
        with written_aside(self.path, overwrite=True) as aside:
            (aside / RESULTS).mkdir(parents=True)
            _write_json(aside / CONFIGURATION, configuration)

    def claim(self, source: str, identity: Mapping[str, Any]) -> None:
        """Say what a source's results are of, or refuse those of another one of its name."""
        file = self.file(source, IDENTITY, suffix="")
        if file.is_file():
            _check_same(file, identity)
        else:
            _write_json(file, identity)

    def file(self, source: str, section: str, suffix: str = ".nc") -> Path:
        """Give the file of a section of a source, whose folder is made."""
        folder = self.path / RESULTS / source.replace("/", "_").replace(" ", "_")
        folder.mkdir(exist_ok=True)
        return folder / f"{section}{suffix}"

    def read(self, source: str, section: str) -> Results | None:
        """Give the results of a section, or None where it is not finished."""
        file = self.file(source, section)
        if not file.is_file():
            return None
        try:
            with xr.open_datatree(file, engine="h5netcdf") as tree:
                return {str(k): v.to_dataset().load() for k, v in tree.children.items()}
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                str(file),
                "results that an earlier run has kept",
                f"a file that cannot be read ({error})",
                "Remove it, and run with --resume: the section is computed again.",
            ) from error

    def keep(self, source: str, section: str, results: Results) -> None:
        """Keep the results of a section, whole or not at all."""
        tree = xr.DataTree.from_dict({f"/{name}": result for name, result in results.items()})
        write_netcdf(tree, self.file(source, section), overwrite=True)


def is_analysis(path: Path) -> bool:
    """Tell whether a folder holds an analysis."""
    # other tools call files configuration.json too, and what is no analysis is never replaced
    return (path / CONFIGURATION).is_file() and (path / RESULTS).is_dir()


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with written_aside(path, overwrite=True) as aside:
        aside.write_text(json.dumps(values, indent=1) + "\n")


def _check_same(path: Path, asked: Mapping[str, Any]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = {}
    if differing := differences(found, asked):
        raise InputError(
            str(path),
            "an analysis of the same source with the same settings",
            listing(differing),
            "Name another folder, or replace it with --overwrite.",
        )
