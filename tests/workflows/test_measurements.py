"""What is measured: every model on every protocol, mappings."""

from __future__ import annotations

import numpy as np
from report_inputs import brain

import nwbcompare as nc
from nwbcompare.comparison.protocol_mapping import read_mapping
from nwbcompare.workflows.measurements import mapping_of, network_pair

# -- models and recordings ------------------------------------------------------------------------


def test_a_mapping_comes_from_the_name_else_from_the_archive(measurements):
    assert measurements.mapping.origin == "mante2013.yaml"
    bare = nc.make_activity({"a": brain(mapped=False)})
    assert mapping_of(bare) is None
    assert mapping_of(bare, "mante2013") == read_mapping("mante2013")
    assert network_pair(("a", "b"), None) == ("a", "b")
    assert network_pair(("contextdm1", "b"), measurements.mapping) == ("contextdm1", "b")


# -- what is measured -----------------------------------------------------------------------------


def test_every_model_is_measured_on_every_protocol(measurements):
    assert measurements.protocols == ["sampled", "signal", "matched", "published"]
    for protocol in measurements.protocols:
        assert [sample.name for sample in measurements.on(protocol)] == ["net", "other"]
    for sample in measurements.samples:
        draws = sample.ftv.sizes.get("draw", 1)
        assert draws == (2 if sample.protocol in {"sampled", "signal"} else 1)
    sampled = measurements.on("sampled")[0].ftv
    np.testing.assert_array_equal(sampled["unit"], measurements.recorded.ftv["unit"])
    np.testing.assert_array_equal(sampled["session"], measurements.recorded.ftv["session"])
    assert set(measurements.drawn) == {"net", "other"}
    # networks do not share their random numbers
    first, second = (
        sample.ftv["fractional_task_variance"].isel(draw=0) for sample in measurements.on("sampled")
    )
    assert not first.equals(second)
    assert int(np.isfinite(sampled["fractional_task_variance"]).sum()) == int(
        sampled["active"].sum()
    )
