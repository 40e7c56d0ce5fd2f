"""The page of an analysis: its sections, with every number as JSON and CSV beside it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nwbcompare.core.errors import InputError
from nwbcompare.core.files import written_aside
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Picture
from nwbcompare.report.template import render

NUMBERS, PAGE, FIGURES = "analysis.json", "index.html", "figures"


def write_analysis(
    folder: str | os.PathLike[str],
    sections: Sequence[PageSection],
    *,
    title: str,
    caution: str,
    methods: Sequence[str],
    provenance: Mapping[str, Any],
) -> None:
    """Write ``index.html``, ``analysis.json``, a CSV a section and an SVG a figure.

    Parameters
    ----------
    folder
        An existing folder; files of an earlier page are replaced, one by one.
    sections
        What to show.
    title, caution, methods, provenance
        What stands around it.
    """
    folder = Path(folder)
    (folder / FIGURES).mkdir(exist_ok=True)
    for section in sections:
        for picture in section.pictures:
            _write(folder / FIGURES / f"{picture.name}.svg", picture.svg)
        if section.rows:
            _write_rows(folder / f"{section.name}.csv", section)
    contents = {"title": title, "caution": caution, "methods": list(methods)}
    numbers = contents | {
        "sections": [section.as_json() for section in sections],
        "provenance": dict(provenance),
    }
    page = render(
        "analysis.html.j2",
        lead="Hidden units and recorded units, through the same functions.",
        sections=sections,
        **contents | {"provenance": json.dumps(provenance, indent=1)},
    )
    _write(folder / PAGE, page.encode())
    _remove_others(folder, sections)
    # last, since its being there says that the page is whole
    _write(folder / NUMBERS, (json.dumps(numbers, indent=1) + "\n").encode())


def _remove_others(folder: Path, sections: Sequence[PageSection]) -> None:
    """Remove tables and figures of an earlier page, which this one does not show."""
    tables = {f"{section.name}.csv" for section in sections if section.rows}
    figures = {f"{picture.name}.svg" for section in sections for picture in section.pictures}
    for found, kept in (
        (folder.glob("*.csv"), tables),
        ((folder / FIGURES).glob("*.svg"), figures),
    ):
        for file in found:
            if file.name not in kept:
                file.unlink()


def read_sections(folder: str | os.PathLike[str]) -> list[PageSection]:
    """Read the sections of a page that `write_analysis` wrote.

    Parameters
    ----------
    folder
        Its folder.

    Raises
    ------
    InputError
        Where it is none, or a part of it is missing or damaged.
    """
    folder = Path(folder)
    try:
        plain = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        return [_section(folder, values) for values in plain["sections"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            str(folder),
            "a folder that nwbcompare analyze has finished",
            f"one that cannot be read ({type(error).__name__}: {error})",
            "Run nwbcompare analyze ... --out there, with --resume if it was begun.",
        ) from error


def _section(folder: Path, values: Mapping[str, Any]) -> PageSection:
    pictures = [
        Picture(
            name=picture["name"],
            caption=picture["caption"],
            width=picture["width"],
            svg=(folder / FIGURES / f"{picture['name']}.svg").read_bytes(),
        )
        for picture in values["pictures"]
    ]
    return PageSection(
        name=values["name"],
        heading=values["heading"],
        findings=[_finding(found) for found in values["findings"]],
        rows=values["rows"],
        pictures=pictures,
    )


def _finding(found: str | Mapping[str, Any]) -> str | Finding:
    """Read a finding; on another page it opens nothing, so it is no main one."""
    if isinstance(found, str):
        return found
    evidence = {name: value for name, value in found.items() if name != "text"}
    return Finding(text=found["text"], evidence=Evidence(**evidence))


def _write(path: Path, content: bytes) -> None:
    with written_aside(path, overwrite=True) as aside:
        aside.write_bytes(content)


def _write_rows(path: Path, section: PageSection) -> None:
    with written_aside(path, overwrite=True) as aside, aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=section.columns)
        writer.writeheader()
        writer.writerows(section.rows)
