"""The section on further regimes: what is compared, what was left out."""

from __future__ import annotations

import numpy as np
import pytest
from continual_outcomes import _no_picture, with_further_regimes

from nwbcompare.workflows.sections.continual_alternatives import also_section


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_further_regimes_are_compared_on_the_seeds_that_they_have(rng):
    result = with_further_regimes(rng, left_out=("elastic 200-2",)).also_compared()
    assert list(result["regime"].values) == [
        "sequential",
        "synaptic_intelligence 0.1",
        "consolidated",
        "elastic 200",
    ]
    assert list(result["n_networks"].values) == [7, 7, 7, 6]
    assert list(result["pair"].values) == [str(seed) for seed in range(7)]
    contrasts = result.sel(measure="wasserstein").set_index(contrast="contrast")
    closer = contrasts.sel(contrast="elastic 200 - sequential")
    assert closer["difference"] < -0.1
    assert (closer["n_pairs"], closer["p_value"]) == (6, 2 / 2**6)
    alike = contrasts.sel(contrast="elastic 200 - consolidated")
    assert abs(alike["difference"]) < 0.05
    # every seed again, with what was left out
    every = with_further_regimes(rng, left_out=("elastic 200-2",)).also_compared(every=True)
    assert list(every["n_networks"].values) == [7, 7, 7, 7]


def test_further_regimes_say_what_they_learned_and_what_was_left_out(rng, monkeypatch):
    monkeypatch.setattr(
        "nwbcompare.workflows.sections.continual_alternatives.pairs_picture", _no_picture
    )
    nothing = tuple(f"synaptic_intelligence 0.1-{seed}" for seed in range(8))
    section = also_section(with_further_regimes(rng, left_out=nothing))
    scope, elastic, weak, *contrasts = section.findings
    assert scope.startswith("Seeds 0 to 6")
    assert elastic.startswith(
        "elastic 200: 6 of 7 networks in the comparison, 1 stalled or diverged; those that ended "
        "did so at 0.936 (mean of tasks) and 0.850 (the worse of the last two); mean final "
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
    whole = [row["what"] for row in section.rows if row["what"].endswith("rule")]
    assert "synaptic intelligence 0.1, without the inclusion rule" in whole


def test_further_regimes_without_pairs_say_so(rng):
    gone = tuple(f"sequential-{seed}" for seed in range(8))
    section = also_section(with_further_regimes(rng, left_out=gone))
    assert section.findings[-1] == "No seed has both a sequential and a consolidated network."
    assert not section.rows
