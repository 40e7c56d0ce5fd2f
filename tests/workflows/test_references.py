"""References of a comparison: which they are, how they are sampled, and what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from report_inputs import CONTEXTS, brain

import nwbcompare as nc
from nwbcompare.workflows.analysis_sources import FileSource
from nwbcompare.workflows.measurements import ComparisonSource
from nwbcompare.workflows.recording_source import RecordingChoice
from nwbcompare.workflows.references import (
    STIMULUS,
    references_of,
    sample_reference,
    sample_references,
)
from nwbcompare.workflows.section import Refusal


def test_every_network_has_its_untrained_one_and_files_have_a_default(comparison):
    references = references_of(comparison)
    assert [one.name for one in references] == ["net, untrained", "other, untrained", STIMULUS]
    assert [one.of for one in references] == ["net", "other", ""]
    # these networks are as they started
    first = comparison.models[0].network
    assert torch.equal(references[0].network.recurrent_weight, first.recurrent_weight)
    mine = FileSource("mine.nc", nc.make_activity({"a": brain()}))
    alone = references_of(replace(comparison, models=[mine]))
    assert [one.name for one in alone] == ["default, untrained", STIMULUS]


def test_references_are_sampled_as_networks_are_and_kept_for_other_sections(comparison):
    results = sample_references(comparison)
    tables = results.series("sample")
    assert [table.attrs["name"] for table in tables][-1] == STIMULUS
    assert all(table.attrs["protocol"] == "tuning" for table in tables)
    assert all(table.sizes["draw"] == 2 for table in tables)
    assert comparison.references["net, untrained"][0] == "net"
    xr_first = comparison.references["other, untrained"][1]
    assert xr_first["sample"].sizes["unit"] == 16
    comparison.forget()
    assert comparison.references is None


def test_equal_rates_replace_equal_tuning_and_refusals_say_why(comparison, monkeypatch):
    reference = references_of(comparison)[0]

    def fail(*_, match="rate", **__):
        raise nc.NotApplicableError("recording", "two trials", f"one ({match})", "Record more.")

    monkeypatch.setattr("nwbcompare.comparison.MatchedSampler.draw", fail)
    model = comparison.in_trials(reference.network)
    found, activity = sample_reference(reference, model, range(2))
    assert found == Refusal("Needed: two trials; here: one (rate).")
    assert activity is None


def test_without_a_mapping_references_are_recorded_on_the_published_trials(comparison):
    unmapped = ComparisonSource(
        RecordingChoice(activity=nc.make_activity({"a": brain(mapped=False)})),
        comparison.models,
        None,
        comparison.settings,
    )
    references = references_of(unmapped)
    model = unmapped.in_trials(references[-1].network)
    table, _ = sample_reference(references[-1], model, range(2))
    assert table.attrs["protocol"] == "published"
    # every stimulus of one context is one of the other, too
    ftv = table["fractional_task_variance"].values
    np.testing.assert_allclose(ftv[np.isfinite(ftv)], 0, atol=1e-5)
    other = comparison.models[0].network
    assert set(CONTEXTS) <= set(other.config.rules)


def test_the_stimulus_alone_tells_contexts_apart_by_unequal_trials_only(comparison):
    spread = {}
    for reference in references_of(comparison):
        activity = nc.sample_like(
            reference.network, comparison.recording, comparison.mapping, match="tuning", noise=False
        )
        ftv = nc.fractional_task_variance(nc.task_variance(activity), *comparison.settings.pair)
        spread[reference.name] = float(ftv["fractional_task_variance"].std())
    # a single variable and few trials leave some; networks that know the rule have more
    assert spread[STIMULUS] == min(spread.values())
    assert spread[STIMULUS] < 0.2
