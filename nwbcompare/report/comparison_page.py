"""The page of a comparison of models with a recording, with every number beside it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nwbcompare.report.page_section import Cell, Finding, PageSection, Row
from nwbcompare.report.template import render

NUMBERS, PAGE, TABLES, FIGURES = "report.json", "index.html", "tables", "figures"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that a page shows.

    Attributes
    ----------
    title
        What was compared.
    cards
        What the page opens with: how many networks, animals, sessions, units.
    caution
        What nobody may conclude.
    sections
        The comparisons, the most telling first.
    limits
        What was left out, and what the numbers do not stand for.
    methods
        What was done, made from what ran.
    provenance
        Versions, files with checksums, settings.
    simulated, how_to_get
        Whether the recording is a stand-in, and where the real one comes from.
    left_out
        Which other animals were found and are not compared.
    """

    title: str
    cards: Mapping[str, Cell]
    caution: str
    sections: Sequence[PageSection]
    limits: Sequence[str]
    methods: Sequence[str]
    provenance: Mapping[str, Any]
    simulated: bool = False
    how_to_get: str = ""
    left_out: str = ""

    @property
    def main_findings(self) -> list[Finding]:
        """The findings that open the page."""
        every = [found for section in self.sections for found in section.findings]
        return [found for found in every if isinstance(found, Finding) and found.main]

    def as_json(self) -> dict[str, Any]:
        """Give all but the pictures themselves as plain values, the same on every machine."""
        # how to get the recording names a folder of whoever asked
        apart = {"sections", "cards", "how_to_get"}
        plain = {name: value for name, value in vars(self).items() if name not in apart}
        return plain | {
            "cards": dict(self.cards),
            "findings": [{"text": f.text} | asdict(f.evidence) for f in self.main_findings],
            "sections": [section.as_json() for section in self.sections],
        }


def write_comparison(comparison: Comparison, folder: str | os.PathLike[str]) -> None:
    """Write ``index.html``, ``report.json``, and under ``figures`` and ``tables`` what they show.

    Parameters
    ----------
    comparison
        What to show.
    folder
        An existing, empty folder. ``figures`` gets an SVG and the CSV of its data for every
        picture, ``tables`` a CSV for every section with numbers.
    """
    folder = Path(folder)
    for name in (FIGURES, TABLES):
        (folder / name).mkdir()
    for section in comparison.sections:
        for picture in section.pictures:
            (folder / FIGURES / f"{picture.name}.svg").write_bytes(picture.svg)
            if picture.data:
                _write_rows(folder / FIGURES / f"{picture.name}.csv", picture.data)
        if section.rows:
            _write_rows(folder / TABLES / f"{section.name}.csv", section.rows)
    numbers = json.dumps(comparison.as_json(), indent=1, allow_nan=False)
    (folder / NUMBERS).write_text(numbers + "\n", encoding="utf-8")
    page = render(
        "comparison.html.j2",
        page=comparison,
        provenance=json.dumps(comparison.provenance, indent=1),
    )
    (folder / PAGE).write_text(page, encoding="utf-8")


def _write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; a column that a row lacks is empty there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=names)
        writer.writeheader()
        writer.writerows(rows)
