"""What a page of analyses is made of: sections of findings, numbers and pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Cell = float | int | str | None
Row = dict[str, Cell]
SMALLEST_P = 0.0005
"""Sentences say p < 0.001 below it; tables and JSON have the number."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The numbers that a finding stands on.

    Attributes
    ----------
    measure
        What was measured, such as "difference in s.d. of FTV".
    effect, low, high
        The estimate and its 95 % interval; None where there is none.
    p_value
        Of the test against the null that the finding names.
    n
        How many of what, such as "3 networks, 78 sessions, 181 units".
    unit_of_inference
        What the interval and the test generalise over.
    figure
        Name of the picture that shows it.
    """

    measure: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    n: str = ""
    unit_of_inference: str = ""
    figure: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A finding in plain words with its evidence; ``main`` ones open the page."""

    text: str
    evidence: Evidence
    main: bool = False


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as SVG with its caption.

    Attributes
    ----------
    name
        The name of its file.
    svg, caption
        The figure, and what it shows.
    width
        Its width (inches).
    data
        The numbers behind it, a row a mark.
    """

    name: str
    svg: bytes
    caption: str
    width: float
    data: Sequence[Row] = ()

    @property
    def uri(self) -> str:
        """The picture as a page holds it."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


@dataclass(frozen=True, kw_only=True)
class PageSection:
    """What one analysis found.

    Attributes
    ----------
    name, heading
        Its short name and its title.
    findings
        What it found, in sentences, with their evidence where a test was made.
    rows
        A row of numbers for each source, by name of the column.
    pictures
        Its figures.
    """

    name: str
    heading: str
    findings: Sequence[str | Finding] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order in which rows bring them."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    @property
    def text_columns(self) -> set[str]:
        """Names of the columns that hold words, which read from the left."""
        return {name for row in self.rows for name, cell in row.items() if isinstance(cell, str)}

    def as_json(self) -> dict[str, Any]:
        """Give all but the pictures themselves as plain values."""
        return {
            "name": self.name,
            "heading": self.heading,
            "findings": [
                found
                if isinstance(found, str)
                else {"text": found.text} | _plain(asdict(found.evidence))
                for found in self.findings
            ],
            "rows": [_plain(row) for row in self.rows],
            "pictures": [
                {"name": p.name, "caption": p.caption, "width": p.width} for p in self.pictures
            ],
        }


def shown(value: Cell) -> str:
    """Give a number as a table shows it.

    Examples
    --------
    >>> shown(0.12345), shown(None), shown(12)
    ('0.123', '–', '12')
    """
    if value is None or _is_nan(value):
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def said(evidence: Evidence) -> str:
    """Give the numbers of a finding as a page shows them.

    Examples
    --------
    >>> said(Evidence(measure="difference", effect=0.5, low=0.25, high=0.75, p_value=0.01))
    'difference +0.500 [+0.250, +0.750]; p = 0.01'
    """
    parts = [evidence.measure]
    if evidence.effect is not None:
        parts[0] += f" {evidence.effect:+.3f}"
    if evidence.low is not None and evidence.high is not None:
        parts[0] += f" [{evidence.low:+.3f}, {evidence.high:+.3f}]"
    if evidence.p_value is not None:
        # smaller ones rest on the tails of a distribution that nobody has seen
        small = evidence.p_value < SMALLEST_P
        parts.append("p < 0.001" if small else f"p = {evidence.p_value:.2g}")
    parts += [evidence.n] if evidence.n else []
    parts += (
        [f"unit of inference: {evidence.unit_of_inference}"] if evidence.unit_of_inference else []
    )
    return "; ".join(parts)


def _plain(row: Row) -> Row:
    """Give cells as JSON has them, which knows no NaN."""
    return {name: None if _is_nan(cell) else cell for name, cell in row.items()}


def _is_nan(value: Cell) -> bool:
    return isinstance(value, float) and math.isnan(value)
