"""What a page of analyses is made of: sections of findings, numbers and pictures."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from typing import Any

Cell = float | int | str | None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure as SVG, with its caption; ``name`` is that of its file, ``width`` in inches."""

    name: str
    svg: bytes
    caption: str
    width: float

    @property
    def uri(self) -> str:
        """The picture as a page holds it."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one analysis found.

    Attributes
    ----------
    name, heading
        Its short name and its title.
    findings
        What it found, in sentences.
    rows
        A row of numbers for each source, by name of the column.
    pictures
        Its figures.
    """

    name: str
    heading: str
    findings: list[str] = field(default_factory=list)
    rows: list[dict[str, Cell]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order in which rows bring them."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def as_json(self) -> dict[str, Any]:
        """Give all but the pictures themselves as plain values."""
        return {
            "name": self.name,
            "heading": self.heading,
            "findings": self.findings,
            "rows": [
                # JSON has no NaN
                {name: None if _is_nan(cell) else cell for name, cell in row.items()}
                for row in self.rows
            ],
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


def _is_nan(value: Cell) -> bool:
    return isinstance(value, float) and math.isnan(value)
