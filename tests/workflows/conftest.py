"""Results of the section "samples" of two small networks and a small recording."""

from __future__ import annotations

import pytest
from report_inputs import CONTEXTS, brain, network_in, settings

import nwbcompare as nc
from nwbcompare.workflows.measurements import ComparisonSource, Measurements, mapping_of
from nwbcompare.workflows.models import load_models
from nwbcompare.workflows.recording_source import RecordingChoice
from nwbcompare.workflows.sections import samples


@pytest.fixture(scope="session")
def comparison(tmp_path_factory):
    """Two small networks and a small recording."""
    folder = tmp_path_factory.mktemp("networks")
    sources = [network_in(folder, name, seed) for seed, name in enumerate(("net", "other"))]
    recording = nc.make_activity({"a": brain()})
    return ComparisonSource(
        RecordingChoice(activity=recording),
        load_models(sources, CONTEXTS, CONTEXTS),
        mapping_of(recording),
        settings(n_draws=2),
    )


@pytest.fixture(scope="session")
def sampled_results(comparison, tmp_path_factory):
    """Results of the section "samples"."""
    cache = tmp_path_factory.mktemp("cache") / "samples.nc"
    return samples.SECTION.compute(comparison, {}, comparison.settings, cache)


@pytest.fixture(scope="session")
def measurements(sampled_results):
    """Measurements of the two networks and the recording."""
    return Measurements.of(sampled_results)
