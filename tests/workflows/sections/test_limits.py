"""The section on limits: what was left out, and what is no limit."""

from __future__ import annotations

import json
from dataclasses import replace

from nwbcompare.workflows.formatting import percent
from nwbcompare.workflows.section import Refusal
from nwbcompare.workflows.sections.limits import limits
from nwbcompare.workflows.sections.noise_correction import noise_share


def test_limits_name_what_was_left_out(measurements):
    lines = limits(measurements, [])
    assert lines[0].startswith("One animal (SIMULATED monkey)")
    assert lines[1].startswith("Few networks (2): with fewer than 6")
    assert any(
        f"{percent(noise_share(measurements))} of the median unit's" in line for line in lines
    )
    for sample in measurements.samples:
        missing = int(sample.ftv["fractional_task_variance"].isnull().sum("unit").max())
        line = f"{sample.name}, {sample.protocol}: no FTV"
        assert any(one.startswith(line) for one in lines) == (missing > 0)
    assert not any("mapping" in line or "unequal" in line for line in lines)
    assert limits(measurements, ["a: 1 unit", "a: 1 unit"]) == [*lines, "Warning. a: 1 unit"]


def test_a_protocol_that_did_not_apply_is_a_limit(measurements):
    refused = replace(measurements, refusals={"signal 0": Refusal("Needed: two trials; here: 1.")})
    assert "Models were not sampled on every protocol. Needed: two trials; here: 1." in limits(
        refused, []
    )
    assert not any("equal tuning" in line for line in limits(measurements, []))


def test_many_networks_and_animals_are_no_limit_of_that_kind(measurements):
    many = replace(measurements, models=[*measurements.models] * 3)
    assert limits(many, [])[1] == "Networks of a family differ in their seeds alone."


def test_what_a_selection_left_out_is_said(measurements):
    step = {"reason": "area other than PFC", "before": {"units": 20}, "after": {"units": 16}}
    provenance = json.loads(measurements.variance.attrs["provenance"]) | {"selection": [step]}
    variance = measurements.variance.assign_attrs(provenance=json.dumps(provenance))
    line = "SIMULATED monkey. Left out: 4 of 20 units (area other than PFC)."
    assert line in limits(replace(measurements, variance=variance), [])
    assert line not in limits(measurements, [])
