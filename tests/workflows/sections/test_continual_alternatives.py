"""The section on further regimes: their contrasts, and networks outside the comparison."""

from __future__ import annotations

import numpy as np
import pytest
from study_sources import results_of, summary_of, with_further_regimes

from nwbcompare.workflows.section import Refusal
from nwbcompare.workflows.sections.continual_alternatives import SECTION


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_further_regimes_are_compared_on_the_seeds_that_they_have(rng):
    results = results_of(SECTION, with_further_regimes(rng, excluded=("elastic 200-2",)))
    comparison = results["comparison"]
    assert list(comparison["regime"].values) == [
        "sequential",
        "synaptic_intelligence 0.1",
        "consolidated",
        "elastic 200",
    ]
    assert list(comparison["n_networks"].values) == [7, 7, 7, 6]
    assert list(comparison["pair"].values) == [str(seed) for seed in range(7)]
    contrasts = comparison.sel(measure="wasserstein").set_index(contrast="contrast")
    closer = contrasts.sel(contrast="elastic 200 - sequential")
    assert closer["difference"] < -0.1
    assert (closer["n_pairs"], closer["p_value"]) == (6, 2 / 2**6)
    alike = contrasts.sel(contrast="elastic 200 - consolidated")
    assert abs(alike["difference"]) < 0.05
    # every seed again, with excluded networks
    assert list(results["with_excluded"]["n_networks"].values) == [7, 7, 7, 7]


def test_the_page_has_performance_exclusions_and_contrasts_of_further_regimes(rng):
    nothing = tuple(f"synaptic_intelligence 0.1-{seed}" for seed in range(8))
    summary = summary_of(SECTION, with_further_regimes(rng, excluded=nothing))
    scope, elastic, weak, *contrasts = summary.findings
    assert scope.startswith("Seeds 0 to 6")
    assert elastic.startswith(
        "elastic 200: 6 of 7 networks in the comparison, 1 stalled or diverged; final performance "
        "0.936 (mean of tasks) and 0.850 (the worse of the last two); mean final "
        "performance less that of sequential networks +0."
    )
    assert elastic.endswith("p = 0.031, 6 pairs.")
    assert weak == (
        "synaptic intelligence 0.1: 0 of 7 networks in the comparison, 7 stalled or diverged."
    )
    assert [one.text for one in contrasts] == [
        "Elastic 200 networks are closer to monkey than sequential ones (7 pairs).",
        "No difference in similarity to monkey is shown between elastic 200 and consolidated "
        "networks (7 pairs).",
    ]
    assert not any(one.main for one in contrasts)
    full = [row["source"] for row in summary.rows if row["inclusion rule"] == "no"]
    assert "synaptic intelligence 0.1" in full


def test_further_regimes_without_pairs_are_not_compared(rng):
    excluded = tuple(f"sequential-{seed}" for seed in range(8))
    source = with_further_regimes(rng, excluded=excluded)
    results = results_of(SECTION, source)
    assert results.refusals["comparison"] == Refusal(
        "Needed: a seed with both a sequential and a consolidated network on this protocol; "
        "here: none."
    )
    summary = summary_of(SECTION, source, results)
    assert summary.findings[-1] == "No seed has both a sequential and a consolidated network."
    assert not summary.rows
