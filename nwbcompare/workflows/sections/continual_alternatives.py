"""Other methods and strengths of consolidation, beside the regimes that were fixed in advance."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

from nwbcompare.analysis.learning.retention import MEAN
from nwbcompare.core.number_text import p_text
from nwbcompare.model.curricula import YANG2019
from nwbcompare.report.page_section import Finding, Row
from nwbcompare.workflows.formatting import counted, interval
from nwbcompare.workflows.sampling_protocols import RATE
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.sections.continual_evidence import (
    contrast_finding,
    contrast_rows,
    pairs_picture,
    regime_rows,
)
from nwbcompare.workflows.sections.continual_learning import retention_difference
from nwbcompare.workflows.sections.continual_similarity import CONTRASTS, compare_tables
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_source import StudySource
from nwbcompare.workflows.training_regimes import DONOR, strongest_last, title_of

COMPARED_WITH = ("sequential", DONOR)


def _compute(
    source: StudySource, _earlier: SourceResults, _settings: Settings, _cache: Path
) -> Results:
    """Compare further regimes with the recording, and count and describe their networks.

    ``comparison`` and ``with_excluded``, the same without the inclusion rule; ``learning.N`` and
    ``retention N`` of the N-th further regime.
    """
    results = Results()
    for name, with_excluded in (("comparison", False), ("with_excluded", True)):
        results.attempt(name, partial(_comparison, source, with_excluded=with_excluded))
    further = source.plan.further_regimes
    results.add_series("learning", (_learning(source, regime.name) for regime in further))
    for place, regime in enumerate(further):
        results.attempt(
            f"retention {place}",
            partial(retention_difference, source.logs, regime.name, "sequential"),
        )
    return results


def _comparison(source: StudySource, *, with_excluded: bool) -> xr.Dataset:
    """Compare further regimes, and the main ones of their seeds, with the recording.

    Contrasts are each further regime less the sequential and less the consolidated one, and of
    further controls also the regime whose importances they take less the control.
    """
    plan = source.plan
    # the main regimes of these seeds only, so that all networks have partners
    seeds = {str(seed) for seed in plan.further_seeds}
    regimes = [plan.all_regimes[name] for name in COMPARED_WITH if name in plan.all_regimes]
    tables = source.tables(RATE.name, with_excluded=with_excluded)
    names = [regime.name for regime in plan.further_regimes]
    return compare_tables(
        {
            regime.name: {k: table for k, table in tables[regime.name].items() if k in seeds}
            for regime in strongest_last([*regimes, *plan.further_regimes])
            if regime.name in tables
        },
        [
            # first, since the first contrast is the one that is not adjusted
            CONTRASTS[0],
            *((name, other) for other in COMPARED_WITH for name in names),
            *((one.donor, one.name) for one in plan.further_regimes if one.donor),
        ],
        source,
    )


def _learning(source: StudySource, regime: str) -> xr.Dataset:
    """Count the networks of a regime, and average their final performance."""
    by_seed = source.performance.get(regime, {})
    n_planned = len(source.plan.seeds_of(regime))
    mean = np.mean([list(shares.values()) for shares in by_seed.values()]) if by_seed else np.nan
    # the worse of the two context tasks decides on inclusion
    last = [min(shares[task] for task in YANG2019[-1]) for shares in by_seed.values()]
    return xr.Dataset(
        {
            "n_compared": len(source.logs.get(regime, {})),
            "n_planned": n_planned,
            "n_failed": n_planned - len(by_seed),
            "performance": mean,
            "performance_of_last": np.mean(last) if last else np.nan,
        },
        attrs={"regime": regime, "last_seed": source.plan.further_seeds[-1]},
    )


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return how each further regime learned and retained, and its contrasts with the main ones."""
    tables = results["also"]
    learning = tables.series("learning")
    findings: list[str | Finding] = [
        f"Seeds 0 to {learning[0].attrs['last_seed']}, sampled at the recorded rates. These "
        "regimes are outside the tests that were fixed in advance; p Holm is over all "
        "differences here but the first.",
        *(
            _learning_sentence(one, tables.get(f"retention {place}"))
            for place, one in enumerate(learning)
        ),
    ]
    comparison = tables.get("comparison")
    if comparison is None:
        findings.append("No seed has both a sequential and a consolidated network.")
        return Summary(findings=findings)
    findings += [
        contrast_finding(comparison, str(contrast), main=False, figure="also-pairs")
        for contrast in comparison["contrast"].values[1:]
    ]
    with_rule: Row = {"inclusion rule": "yes"}
    without_rule: Row = {"inclusion rule": "no"}
    rows = [with_rule | row for row in regime_rows(comparison)]
    if (full := tables.get("with_excluded")) is not None:
        # the recording has no such rule: one row is enough
        rows += [without_rule | row for row in regime_rows(full)[:-1]]
    panels = [pairs_picture("also-pairs", comparison)] if pictures else []
    return Summary(
        findings=findings,
        rows=rows,
        further={"contrasts": contrast_rows(comparison)},
        pictures=panels,
    )


def _learning_sentence(learning: xr.Dataset, retention: xr.Dataset | None) -> str:
    """Return how many networks a regime has, and what they learned and kept."""
    text = (
        f"{title_of(learning.attrs['regime'])}: {int(learning['n_compared'])} of "
        f"{counted(int(learning['n_planned']), 'network')} in the comparison, "
        f"{int(learning['n_failed'])} stalled or diverged"
    )
    if np.isfinite(learning["performance"]):
        text += (
            f"; final performance {float(learning['performance']):.3f} (mean of tasks) and "
            f"{float(learning['performance_of_last']):.3f} (the worse of the last two)"
        )
    if retention is not None:
        mean = retention.sel(task=MEAN, measure="final")
        text += (
            f"; mean final performance less that of sequential networks {float(mean['mean']):+.3f}"
            f"{interval(mean['mean_low'], mean['mean_high'])}, {p_text(float(mean['p_value']))}, "
            f"{counted(int(retention['n_networks']), 'pair')}"
        )
    return f"{text}."


SECTION = Section(
    name="also",
    heading="Other methods and strengths of consolidation",
    report="continual",
    compute=_compute,
    summarise=_summarise,
)
