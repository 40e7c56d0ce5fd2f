"""Measurements of a comparison: every model on every protocol, mappings."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from report_inputs import brain

import nwbcompare as nc
from nwbcompare.comparison.matched_sampling import MatchedSampler
from nwbcompare.comparison.protocol_mapping import read_mapping
from nwbcompare.workflows.measurements import Measurements, mapping_of
from nwbcompare.workflows.results_folder import keep_results, read_results
from nwbcompare.workflows.sampling_protocols import model_pair
from nwbcompare.workflows.section import Refusal
from nwbcompare.workflows.sections.samples import _sample

# -- models and recordings ------------------------------------------------------------------------


def test_a_mapping_comes_from_the_name_else_from_the_archive(comparison, measurements):
    parameters = comparison.mapping.parameters()
    # through text, which has no tuples
    assert measurements.mapping == json.loads(json.dumps(parameters))
    assert comparison.mapping.origin == "mante2013.yaml"
    bare = nc.make_activity({"a": brain(mapped=False)})
    assert mapping_of(bare) is None
    assert mapping_of(bare, "mante2013") == read_mapping("mante2013")
    assert model_pair(("a", "b"), None) == ("a", "b")
    assert model_pair(("contextdm1", "b"), comparison.mapping) == ("contextdm1", "b")


# -- what is measured -----------------------------------------------------------------------------


def test_every_model_is_measured_on_every_protocol(comparison, measurements):
    assert measurements.protocols == [
        "tuning",
        "ranked",
        "reversed",
        "rate",
        "matched",
        "published",
    ]
    for protocol in measurements.protocols:
        assert [sample.name for sample in measurements.on(protocol)] == ["net", "other"]
    for sample in measurements.samples:
        draws = sample.ftv.sizes.get("draw", 1)
        assert draws == (1 if sample.protocol in {"matched", "published"} else 2)
    sampled = measurements.on("rate")[0].ftv
    np.testing.assert_array_equal(sampled["unit"], measurements.recorded.ftv["unit"])
    np.testing.assert_array_equal(sampled["session"], measurements.recorded.ftv["session"])
    assert set(comparison.sampled) == {"net", "other"}
    # networks do not share their random numbers
    first, second = (
        sample.ftv["fractional_task_variance"].isel(draw=0) for sample in measurements.on("rate")
    )
    assert not first.equals(second)
    assert int(np.isfinite(sampled["fractional_task_variance"]).sum()) == int(
        sampled["active"].sum()
    )


def test_networks_are_drawn_again_alike_after_memory_was_freed(comparison):
    before = comparison.sampled
    comparison.forget()
    again = comparison.sampled
    assert again is not before
    for name, activity in before.items():
        assert again[name].identical(activity)
    assert set(comparison.seeds_of(comparison.models[0])) == {0, 1}
    assert set(comparison.seeds_of(comparison.models[1])) == {2, 3}


def test_in_other_processes_too_equal_tuning_alone_may_not_apply(comparison, monkeypatch):
    draw = MatchedSampler.draw

    def fails_at(match):
        def fail(self, seed=0, **options):
            if options.get("match", "rate") == match:
                raise nc.NotApplicableError("recording", "two trials", "one", "Record more.")
            return draw(self, seed, **options)

        monkeypatch.setattr(MatchedSampler, "draw", fail)

    first = comparison.models[0]
    protocols, one = comparison.protocols_of(first), comparison.in_trials(first)
    # as a process receives it: equal, but not the same objects
    jobs = pickle.loads(pickle.dumps([(first, one, protocol, range(2)) for protocol in protocols]))
    fails_at("tuning")
    samples = [_sample(*job) for job in jobs]
    refusals = [sample.refusal for sample in samples if sample.table is None]
    assert refusals == [Refusal("Needed: two trials; here: one.")] * 3
    tables = [sample.table for sample in samples if sample.table is not None]
    assert [table.attrs["protocol"] for table in tables] == ["rate", "matched", "published"]
    assert [sample.first is not None for sample in samples] == [False] * 3 + [True, False, False]
    fails_at("rate")
    with pytest.raises(nc.NotApplicableError, match="two trials"):
        [_sample(*job) for job in jobs]


def test_measurements_of_kept_results_are_those_of_computed_ones(
    sampled_results, measurements, tmp_path
):
    keep_results(tmp_path / "samples.nc", sampled_results)
    kept = Measurements.of(read_results(tmp_path / "samples.nc"))
    for name in ("models", "mapping", "trial_length_s", "refusals", "warnings", "task_names"):
        assert getattr(kept, name) == getattr(measurements, name)
    assert kept.protocols == measurements.protocols
    assert kept.simulated
    for one, two in zip(kept.samples, measurements.samples, strict=True):
        assert (one.name, one.family, one.protocol) == (two.name, two.family, two.protocol)
        assert one.ftv.equals(two.ftv)
    for name in ("variance", "corrected"):
        assert getattr(kept, name).equals(getattr(measurements, name))
    assert kept.recorded.ftv.equals(measurements.recorded.ftv)
    assert [kept.n_sessions, kept.n_animals] == [
        measurements.n_sessions,
        measurements.n_animals,
    ]
