"""Findings of an analysis of networks as Markdown, for the table in ``docs/analyses.md``.

Run: ``nwbcompare analyze NETWORK... --out analysis``, then ``python benchmarks/findings.py
analysis``. Prints the findings over networks and the numbers of every network, by section.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from nwbcompare.report.page_section import number_text


def main() -> None:
    """Print the sections of an analysis."""
    folder = Path(sys.argv[1])
    analysis = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for section in analysis["sections"]:
        print(f"\n## {section['heading']}\n")
        for finding in section["findings"]:
            text = finding if isinstance(finding, str) else finding["text"]
            if not _is_of_one_source(text, section["rows"]):
                print(f"- {text}")
        if section["rows"]:
            print()
            print(table(section["rows"]))


def _is_of_one_source(text: str, rows: list[dict[str, Any]]) -> bool:
    """Return whether a finding is about a single source."""
    return any(text.startswith(f"{row['source']}:") for row in rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    lines += [
        "| " + " | ".join(number_text(row.get(name)) for name in columns) + " |" for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
