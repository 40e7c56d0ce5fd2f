"""The report: one self-contained page, its numbers as JSON, the data of each figure as CSV."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from nwbcompare.figures.style import as_svg
from nwbcompare.report.entry import PROTOCOLS, Comparison
from nwbcompare.report.figures import FIGURES, data_of, draw
from nwbcompare.report.section import shown
from nwbcompare.report.template import render

HEADINGS = {
    "ftv": "Fractional task variance",
    "variance": "Task variance in both contexts",
    "examples": "Example units",
}
COLUMNS = {
    "source": "source",
    "protocol": "protocol",
    "samples": "samples",
    "active_samples": "active",
    "ftv_mean": "FTV mean",
    "ftv_sd": "FTV s.d.",
    "share_beyond_0.5": "|FTV| > 0.5",
    "rotation_sd": "s.d. rotated",
    "context_null_sd": "s.d. null",
    "share_p_below_0.05": "p < 0.05",
    "median_tv": "median TV",
    "median_tv_floor": "its floor",
}


def write_page(comparison: Comparison, folder: str | os.PathLike[str]) -> None:
    """Write ``index.html``, ``report.json``, one CSV and one SVG a figure into a folder.

    Parameters
    ----------
    comparison
        What to show.
    folder
        An existing folder.
    """
    folder = Path(folder)
    figures = []
    for name, (_, caption) in FIGURES.items():
        svg = as_svg(draw(name, comparison))
        (folder / f"{name}.svg").write_bytes(svg)
        data_of(name, comparison).to_csv(folder / f"{name}.csv", index=False)
        figures.append(
            {
                "id": name,
                "heading": HEADINGS[name],
                "uri": "data:image/svg+xml;base64," + base64.b64encode(svg).decode(),
                "alt": ("SIMULATED recording. " if comparison.simulated else "") + caption,
                "caption": caption,
                "csv": f"{name}.csv",
            }
        )
    (folder / "report.json").write_text(json.dumps(as_json(comparison), indent=1) + "\n")
    (folder / "index.html").write_text(_render(comparison, figures), encoding="utf-8")


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Give the report's numbers as plain values."""
    return {
        "title": comparison.title,
        "simulated": comparison.simulated,
        "tasks": [comparison.task_a, comparison.task_b],
        "compared": comparison.header,
        "numbers": [entry.numbers | {"counts": entry.counts} for entry in comparison.entries],
        "findings": findings(comparison),
        "analyses": [section.as_json() for section in comparison.analyses],
        "notes": comparison.notes,
        "provenance": comparison.provenance,
    }


def findings(comparison: Comparison) -> list[str]:
    """Say in words what the numbers show."""
    lines = []
    recording = comparison.of("recording")[0]
    numbers = recording.numbers
    lines.append(
        f"{recording.name}: FTV of {numbers['active_samples']} units has mean "
        f"{numbers['ftv_mean']:.3f} and s.d. {numbers['ftv_sd']:.3f}; with context labels "
        f"permuted the s.d. is {numbers['context_null_sd']:.3f}, and "
        f"{numbers['share_p_below_0.05']:.0%} of units differ from that null at p < 0.05 "
        "(uncorrected; 5% are expected by chance)."
    )
    share = numbers["median_tv_floor"] / numbers["median_tv"]
    lines.append(
        f"{recording.name}: the median task variance is {numbers['median_tv']:.2f} "
        f"(spikes/s)²; with condition labels shuffled {numbers['median_tv_floor']:.2f} is left "
        f"({share:.0%}). So much is trial noise, which pulls a recording's FTV to 0 and which "
        + (
            "the networks, recorded without noise, do not have."
            if comparison.noise_free
            else "networks recorded without noise do not have."
        )
    )
    for protocol in PROTOCOLS:
        spread = [e.numbers["ftv_sd"] for e in comparison.of("model", protocol)]
        if spread:
            several = f" to {max(spread):.3f} (mean {np.mean(spread):.3f})"
            lines.append(
                f"{_networks(len(spread))}, protocol {protocol!r}: s.d. of FTV "
                f"{min(spread):.3f}{several if len(spread) > 1 else ''}, "
                f"against {numbers['ftv_sd']:.3f} of {recording.name}."
            )
    lines.append(
        "The choice of protocol alone moves the networks' distribution; noise is not matched "
        "here, so neither likeness nor difference of these widths is evidence by itself."
    )
    return lines


def _render(comparison: Comparison, figures: list[dict[str, str]]) -> str:
    contents = [
        ("compared", "What was compared"),
        *((f["id"], f["heading"]) for f in figures),
        *((section.name, section.heading) for section in comparison.analyses),
        ("numbers", "Numbers"),
        ("methods", "Methods"),
        ("provenance", "Provenance"),
    ]
    rows = [[shown(e.numbers[key]) for key in COLUMNS] for e in comparison.entries]
    return render(
        "page.html.j2",
        title=comparison.title,
        lead="Recorded units and hidden units of networks, through the same functions.",
        contents=contents,
        simulated=comparison.simulated,
        how_to_get=comparison.how_to_get,
        cards=comparison.header,
        caution=_caution(comparison),
        findings=findings(comparison),
        figures=figures,
        sections=comparison.analyses,
        columns=list(COLUMNS.values()),
        rows=rows,
        methods=comparison.notes,
        provenance=json.dumps(comparison.provenance, indent=1),
    )


def _caution(comparison: Comparison) -> str:
    networks = len({entry.name for entry in comparison.of("model")})
    return (
        f"An illustration, not a test: {_networks(networks)} and one animal. The units of "
        "inference are the network and the animal, and with so few of them nothing can be "
        "inferred about networks or animals in general."
    )


def _networks(number: int) -> str:
    return f"{number} network{'' if number == 1 else 's'}"
