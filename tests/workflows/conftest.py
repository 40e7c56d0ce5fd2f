"""What is measured of small networks and a small recording."""

from __future__ import annotations

import pytest
from report_inputs import CONTEXTS, brain, network_in, settings

import nwbcompare as nc
from nwbcompare.workflows.measurements import mapping_of, measure
from nwbcompare.workflows.model_sources import find_models


@pytest.fixture(scope="module")
def measurements(tmp_path_factory):
    """What is measured of two small networks and a small recording."""
    folder = tmp_path_factory.mktemp("networks")
    sources = [network_in(folder, name, seed) for seed, name in enumerate(("net", "other"))]
    models = find_models(sources, CONTEXTS, CONTEXTS)
    recording = nc.make_activity({"a": brain()})
    return measure(recording, models, settings(n_draws=2), mapping_of(recording))
