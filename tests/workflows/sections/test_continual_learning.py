"""The section on learning in stages: retention by regime, and networks left out."""

from __future__ import annotations

import numpy as np
import pytest
from study_sources import results_of, study_source, summary_of

import nwbcompare as nc
from nwbcompare.analysis.learning.retention import MEAN
from nwbcompare.workflows.sections.continual_learning import SECTION, retention_difference


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_retention_is_compared_on_pairs(rng):
    source = study_source(rng, n=3, excluded=("uniform-0",))
    results = results_of(SECTION, source)
    assert float(results["difference"].sel(task=MEAN, measure="final")["mean"]) == pytest.approx(
        0.3, abs=0.02
    )
    summary = summary_of(SECTION, source, results)
    lead = summary.findings[0]
    assert "over 3 pairs" in lead.text
    assert lead.evidence.n == "3 pairs of networks"
    assert "Left out: uniform-0, stalled." in summary.findings
    assert [row["regime"] for row in summary.rows] == ["sequential", "consolidated"]


def test_retention_of_regimes_without_a_common_seed_is_not_compared(rng):
    source = study_source(rng, n=2)
    with pytest.raises(
        nc.NotApplicableError, match="a seed with both consolidated and permuted networks, got none"
    ):
        retention_difference(source.logs, "consolidated", "permuted")
    del source.logs["sequential"]
    results = results_of(SECTION, source)
    assert results.refusals["difference"].reason.startswith("Needed: a seed with both")
    counts = summary_of(SECTION, source, results).findings[0]
    assert counts.startswith("Networks in the comparison: 0 of 2 interleaved, 0 of 2 sequential, ")
