"""What the paper shows and what an analysis of networks shows, as one table.

Run: ``nwbcompare analyze NETWORK... --out analysis``, then ``python benchmarks/findings.py
analysis``. It prints, part by part, what holds over networks, and the numbers of every network
as Markdown.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from nwbcompare.report.page_section import number_text


def main() -> None:
    """Print every section of an analysis."""
    folder = Path(sys.argv[1])
    analysis = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for section in analysis["sections"]:
        print(f"\n## {section['heading']}\n")
        for finding in section["findings"]:
            if not _is_of_one(finding, section["rows"]):
                print(f"- {finding}")
        if section["rows"]:
            print()
            print(table(section["rows"]))


def _is_of_one(finding: str, rows: list[dict[str, Any]]) -> bool:
    """Tell whether a finding is about one source."""
    return any(finding.startswith(f"{row['source']}:") for row in rows)


def table(rows: list[dict[str, Any]]) -> str:
    """Give rows as Markdown."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    lines += [
        "| " + " | ".join(number_text(row.get(name)) for name in columns) + " |" for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
