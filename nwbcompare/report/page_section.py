"""Contents of a page: sections of findings with evidence, tables and pictures."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from nwbcompare.core.number_text import SMALLEST_P, p_text

Cell = float | int | str | None
Row = dict[str, Cell]
IS_P = re.compile(r"p($|[ :(]|_value)")
"""Names of columns of p values."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Numbers behind a finding.

    Attributes
    ----------
    measure
        The quantity, such as "difference in s.d. of FTV".
    effect, low, high
        Estimate and its 95 % interval; None where there is none.
    p_value
        Of the test against the null hypothesis that the finding names.
    n
        Sample sizes, such as "3 networks, 78 sessions, 181 units".
    unit_of_inference
        The population that interval and test generalise to.
    figure
        Name of the picture that shows the numbers.
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
    """A sentence with its evidence; ``main`` findings open the page."""

    text: str
    evidence: Evidence
    main: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return text and evidence as plain values."""
        return {"text": self.text} | _plain(asdict(self.evidence))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as SVG with its caption.

    Attributes
    ----------
    name
        Name of its file.
    svg, caption
        The figure and its caption.
    width
        Width (inches).
    data
        Numbers behind the figure, a row for each mark.
    further
        Rows of another kind by the name of their table, where the figure shows several kinds.
    """

    name: str
    svg: bytes
    caption: str
    width: float
    data: Sequence[Row] = ()
    further: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def tables(self) -> dict[str, Sequence[Row]]:
        """Tables that are not empty, by name of their file."""
        return _by_file(self.name, self.data, self.further)

    @property
    def uri(self) -> str:
        """The figure as the address of an HTML image."""
        # inside of the page, which thereby needs no other file
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


@dataclass(frozen=True, kw_only=True)
class PageSection:
    """A section of a page.

    Attributes
    ----------
    name, heading
        Short name, also of its table's file, and title.
    findings
        Sentences, with their evidence where an estimate or a test stands behind them.
    rows
        Rows of the table, by name of the column.
    further
        Rows of another kind by the name of their table.
    pictures
        Figures.
    """

    name: str
    heading: str
    findings: Sequence[str | Finding] = field(default_factory=list)
    rows: Sequence[Row] = field(default_factory=list)
    further: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    pictures: Sequence[Picture] = field(default_factory=list)

    @property
    def tables(self) -> dict[str, Sequence[Row]]:
        """Tables that are not empty, by name of their file."""
        return _by_file(self.name, self.rows, self.further)

    def as_json(self) -> dict[str, Any]:
        """Return everything but the figures themselves as plain values."""
        return {
            "name": self.name,
            "heading": self.heading,
            "findings": [
                finding if isinstance(finding, str) else finding.as_json()
                for finding in self.findings
            ],
            "rows": [_plain(row) for row in self.rows],
            "further": {name: [_plain(row) for row in rows] for name, rows in self.further.items()},
            "pictures": [
                {"name": p.name, "caption": p.caption, "width": p.width} for p in self.pictures
            ],
        }


def _by_file(
    name: str, rows: Sequence[Row], further: Mapping[str, Sequence[Row]]
) -> dict[str, Sequence[Row]]:
    tables = {name: rows} | {f"{name}-{kind}": table for kind, table in further.items()}
    return {file: table for file, table in tables.items() if table}


def columns(rows: Sequence[Row]) -> list[str]:
    """Return the names of the columns, in order of first appearance.

    Examples
    --------
    >>> columns([{"unit": "u0"}, {"unit": "u1", "rate": 2.0}])
    ['unit', 'rate']
    """
    return list(dict.fromkeys(name for row in rows for name in row))


def text_columns(rows: Sequence[Row]) -> set[str]:
    """Return the names of the columns of text, which are aligned to the left.

    Examples
    --------
    >>> text_columns([{"unit": "u0", "rate": 1.0}])
    {'unit'}
    """
    return {name for row in rows for name, cell in row.items() if isinstance(cell, str)}


def number_text(value: Cell, column: str = "") -> str:
    """Format a cell of a table: three significant digits, a dash for an unknown number.

    Examples
    --------
    >>> number_text(0.12345), number_text(None), number_text(12), number_text(1e-9, "p Holm")
    ('0.123', '–', '12', '< 0.001')
    """
    if value is None or _is_nan(value):
        return "–"
    if isinstance(value, float) and value < SMALLEST_P and IS_P.match(column):
        return f"< {SMALLEST_P:g}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def evidence_text(evidence: Evidence) -> str:
    """Format the numbers of a finding.

    Examples
    --------
    >>> evidence_text(Evidence(measure="difference", effect=0.5, low=0.25, high=0.75, p_value=0.01))
    'difference +0.500 [+0.250, +0.750]; p = 0.01'
    """
    parts = [evidence.measure]
    if evidence.effect is not None:
        parts[0] += f" {evidence.effect:+.3f}"
    if evidence.low is not None and evidence.high is not None:
        parts[0] += f" [{evidence.low:+.3f}, {evidence.high:+.3f}]"
    if evidence.p_value is not None:
        parts.append(p_text(evidence.p_value))
    if evidence.n:
        parts.append(evidence.n)
    if evidence.unit_of_inference:
        parts.append(f"unit of inference: {evidence.unit_of_inference}")
    return "; ".join(parts)


def _plain(row: Row) -> Row:
    """Return cells as JSON, which has no NaN."""
    # Python would write NaN, which other readers of JSON reject
    return {name: None if _is_nan(cell) else cell for name, cell in row.items()}


def _is_nan(value: Cell) -> bool:
    return isinstance(value, float) and math.isnan(value)
