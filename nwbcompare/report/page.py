"""The page of a report: one HTML file, with every number as JSON and CSV beside it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nwbcompare.core.data_text import parse_json
from nwbcompare.core.errors import InputError
from nwbcompare.core.files import file_name, written_aside
from nwbcompare.core.plain_text import plain_text
from nwbcompare.report.page_section import (
    Cell,
    Evidence,
    Finding,
    PageSection,
    Picture,
    Row,
    columns,
)
from nwbcompare.report.template import render

NUMBERS, PAGE, TABLES, FIGURES = "report.json", "index.html", "tables", "figures"
SCHEMA = {"schema": "nwbcompare-report", "version": 2}
"""First keys of ``report.json``; ``report.schema.json`` and docs/results.md describe the others."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Contents of a page.

    Attributes
    ----------
    title, lead
        The title and the line below it.
    sections
        Sections in the order of the page.
    caution
        Limits of inference, above all findings.
    methods
        Paragraphs of the methods section.
    provenance
        Versions, files with checksums, settings.
    cards
        Numbers that open the page, such as of networks, animals, sessions and units.
    limits
        Warnings and limits, a line each.
    simulated, how_to_get
        Whether the recording is simulated, and where a real one can be obtained.
    left_out
        Animals of the recording's archive that are not analysed.
    """

    title: str
    lead: str
    sections: Sequence[PageSection]
    caution: str
    methods: Sequence[str]
    provenance: Mapping[str, Any]
    cards: Mapping[str, Cell] = field(default_factory=dict)
    limits: Sequence[str] = ()
    simulated: bool = False
    how_to_get: str = ""
    left_out: str = ""

    @property
    def main_findings(self) -> list[Finding]:
        """Findings that open the page."""
        findings = [finding for section in self.sections for finding in section.findings]
        return [one for one in findings if isinstance(one, Finding) and one.main]

    def as_json(self) -> dict[str, Any]:
        """Return everything but the pictures as plain values, equal on every machine."""
        # how_to_get contains a path of this machine
        return {
            **SCHEMA,
            "title": self.title,
            "lead": self.lead,
            "caution": self.caution,
            "simulated": self.simulated,
            "left_out": self.left_out,
            "cards": dict(self.cards),
            "findings": [finding.as_json() for finding in self.main_findings],
            "sections": [section.as_json() for section in self.sections],
            "limits": list(self.limits),
            "methods": list(self.methods),
            "provenance": dict(self.provenance),
        }


def write_page(folder: str | os.PathLike[str], page: Page) -> None:
    """Write a page and its numbers, replacing files of an earlier page one by one.

    Parameters
    ----------
    folder
        An existing folder, which gets ``index.html`` and ``report.json``, ``figures/NAME.svg`` and
        ``figures/NAME.csv`` (the numbers of a picture), and ``tables/SECTION.csv``; rows of a
        further kind are in ``NAME-KIND.csv``.
    page
        Its contents.
    """
    folder = Path(folder)
    files: dict[Path, bytes] = {}
    for section in page.sections:
        for name, rows in section.tables.items():
            files[folder / TABLES / f"{name}.csv"] = _csv(rows)
        for picture in section.pictures:
            files[folder / FIGURES / f"{picture.name}.svg"] = picture.svg
            for name, rows in picture.tables.items():
                files[folder / FIGURES / f"{name}.csv"] = _csv(rows)
    provenance = json.dumps(page.provenance, indent=1)
    files[folder / PAGE] = render("page.html.j2", page=page, provenance=provenance).encode()
    # the last file: its presence says that the page is whole
    numbers = json.dumps(page.as_json(), indent=1, allow_nan=False)
    files[folder / NUMBERS] = f"{numbers}\n".encode()
    # files of an earlier page with other sections must not stay beside the new ones
    for name in (FIGURES, TABLES):
        (folder / name).mkdir(exist_ok=True)
        for file in (folder / name).iterdir():
            if file not in files:
                file.unlink()
    for path, content in files.items():
        with written_aside(path, overwrite=True) as aside:
            aside.write_bytes(content)


def read_sections(folder: str | os.PathLike[str]) -> list[PageSection]:
    """Read the sections of a page that `write_page` has written.

    Parameters
    ----------
    folder
        The page's folder.

    Raises
    ------
    InputError
        Where a part of the page is missing or damaged.
    """
    folder = Path(folder)
    try:
        numbers = parse_json((folder / NUMBERS).read_bytes())
        return [_section(folder, values) for values in numbers["sections"]]
    # whichever part is damaged, the remedy is the same
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            str(folder),
            "the folder of a finished report",
            f"one that cannot be read ({type(error).__name__}: {error})",
            "Run nwbcompare analyze ... --out there, with --resume if it was interrupted.",
        ) from error


def _section(folder: Path, values: Mapping[str, Any]) -> PageSection:
    for picture in values["pictures"]:
        if file_name(picture["name"]) != picture["name"]:
            raise ValueError(f"a picture outside its folder, {picture['name']!r}")
    pictures = [
        Picture(**picture, svg=(folder / FIGURES / f"{picture['name']}.svg").read_bytes())
        for picture in values["pictures"]
    ]
    return PageSection(
        name=values["name"],
        heading=values["heading"],
        findings=[_finding(finding) for finding in values["findings"]],
        rows=values["rows"],
        # reports of earlier versions have one table a section
        further=values.get("further", {}),
        pictures=pictures,
    )


def _finding(plain: str | Mapping[str, Any]) -> str | Finding:
    """Return a finding, which opens no other page than its own."""
    if isinstance(plain, str):
        return plain
    evidence = {name: value for name, value in plain.items() if name != "text"}
    return Finding(text=plain["text"], evidence=Evidence(**evidence))


def _csv(rows: Sequence[Row]) -> bytes:
    """Return rows as CSV; a column that a row lacks is empty there."""
    # the csv module writes its own ends of lines, which must not be translated
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns(rows))
    writer.writeheader()
    writer.writerows(
        {key: plain_text(cell) if isinstance(cell, str) else cell for key, cell in row.items()}
        for row in rows
    )
    return text.getvalue().encode()
