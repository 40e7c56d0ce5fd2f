"""Other methods and strengths of consolidation, beside the regimes that were fixed in advance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nwbcompare.analysis.learning.retention import MEAN
from nwbcompare.model.curricula import YANG2019
from nwbcompare.report.page_section import Finding, PageSection
from nwbcompare.workflows.continual_results import Outcome
from nwbcompare.workflows.formatting import counted, interval
from nwbcompare.workflows.sections.continual_evidence import (
    contrast_finding,
    pairs_picture,
    rows_of,
)
from nwbcompare.workflows.training_regimes import shown_name


def also_section(outcome: Outcome) -> PageSection:
    """Hold other methods and strengths against the recording, on the seeds that all have."""
    settings = outcome.settings
    result, every = outcome.also_compared(), outcome.also_compared(every=True)
    findings: list[str | Finding] = [
        f"Seeds 0 to {settings.also_seeds[-1]}, sampled as the recording was. These regimes are "
        "outside the tests that were fixed in advance; p Holm is over all differences here but "
        "the first.",
        *(_also_learned(outcome, regime) for regime in settings.further_regimes),
    ]
    section = PageSection(
        name="also", heading="Other methods and strengths of consolidation", findings=findings
    )
    if result is None:
        findings.append("No seed has both a sequential and a consolidated network.")
        return section
    findings += [
        contrast_finding(result, str(contrast), main=False, figure="also-pairs")
        for contrast in result["contrast"].values[1:]
    ]
    rows = rows_of(result)
    if every is not None:
        rows += [
            {**row, "what": f"{row['what']}, without the inclusion rule"}
            for row in rows_of(every)[: every.sizes["regime"]]
        ]
    return replace(section, rows=rows, pictures=[pairs_picture("also-pairs", result)])


def _also_learned(outcome: Outcome, regime: str) -> str:
    """Say of an additional regime how many networks it gave, and what they kept."""
    asked = len(outcome.settings.seeds_of(regime))
    ended = outcome.performance.get(regime, {})
    compared = len(outcome.logs.get(regime, {}))
    text = (
        f"{shown_name(regime)}: {compared} of {counted(asked, 'network')} in the comparison, "
        f"{asked - len(ended)} stalled or diverged"
    )
    if ended:
        final = np.mean([list(shares.values()) for shares in ended.values()])
        pair = np.mean([min(shares[task] for task in YANG2019[-1]) for shares in ended.values()])
        text += (
            f"; those that ended did so at {final:.3f} (mean of tasks) and {pair:.3f} (the worse "
            "of the last two)"
        )
    kept = outcome.kept_more(regime, "sequential")
    if kept is not None:
        own = kept.sel(task=MEAN, measure="final")
        text += (
            f"; mean final performance less that of sequential networks {float(own['mean']):+.3f}"
            f"{interval(own['mean_low'], own['mean_high'])}, p = {float(own['p_value']):.2g}, "
            f"{counted(int(kept['n_networks']), 'pair')}"
        )
    return f"{text}."
