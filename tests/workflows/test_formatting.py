"""Words and numbers of reports: digits, intervals, what is not known."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

from nwbcompare.inference.networks import over_networks
from nwbcompare.report.page_section import Evidence, evidence_text
from nwbcompare.workflows.formatting import (
    counted,
    estimate,
    interval,
    number,
    over,
    percent,
    records,
    refusal_sentences,
    sd_of,
)
from nwbcompare.workflows.section import Refusal, Results


@given(st.floats())
def test_numbers_are_json_of_six_digits_or_nothing(value):
    found = number(value)
    if np.isfinite(value):
        assert found == pytest.approx(value, rel=1e-5, abs=1e-300)
        assert len(re.sub(r"e.*|\D", "", f"{found!r}").strip("0")) <= 6
    else:
        assert found is None
    json.dumps(found, allow_nan=False)


def test_what_is_not_known_is_not_said():
    assert interval(np.nan, 1) == interval(0, np.inf) == ""
    assert interval(-0.5, 0.25) == " [-0.500, 0.250]"
    assert (counted(1, "unit"), counted(0, "unit")) == ("1 unit", "0 units")
    assert percent(xr.DataArray(0.126)) == "13 %"
    assert evidence_text(Evidence(measure="a distance")) == "a distance"
    for p, text in (
        (4e-22, "p < 0.001"),
        (0.000999, "p < 0.001"),
        (0.001, "p = 0.001"),
        (0.255, "p = 0.26"),
    ):
        assert evidence_text(Evidence(measure="a distance", p_value=p)) == f"a distance; {text}"
    assert evidence_text(Evidence(measure="a", effect=0.5, low=0.1)) == "a +0.500"


def test_the_spread_of_several_draws_is_the_mean_of_theirs():
    values = np.array([[0.0, 1.0, np.nan], [0.0, 0.5, 0.5]])
    ftv = xr.Dataset({"fractional_task_variance": (("draw", "unit"), values)})
    assert sd_of(ftv) == pytest.approx((0.5 + np.std([0, 0.5, 0.5])) / 2)


def test_a_mean_of_one_network_has_no_interval():
    with pytest.warns(UserWarning, match="One network"):
        alone = over_networks({"a": 0.5})
    assert estimate(alone) == "+0.500"
    found = over_networks({"a": 0.1, "b": 0.2, "c": 0.3})
    assert re.fullmatch(r"\+0\.200 \[-0\.0\d+, \+0\.4\d+\]", estimate(found))
    assert over("it", found).startswith("Over 3 networks it is +0.200 [")
    assert "p = 0.25 by sign flips (the smallest possible is 0.25)." in over("it", found)


def test_a_refusal_is_a_sentence_with_its_reason():
    results = Results(refusals={"decoding": Refusal("Needed: two tasks; here: one.")})
    assert refusal_sentences("monkey", results) == [
        "monkey: decoding does not apply. Needed: two tasks; here: one."
    ]


def test_records_have_a_row_for_each_cell_in_the_order_of_the_dimensions():
    table = xr.Dataset(
        {"rate": (("unit", "time"), [[1 / 3, np.nan], [2.0, 3.0]])},
        coords={"unit": ["a", "b"], "time": [0.5, 1.0], "session": ("unit", ["s", "t"])},
    )
    rows = records(table, source="x")
    expected = [
        {
            "source": "x",
            "unit": unit,
            "time": time,
            "rate": number(table["rate"].sel(unit=unit, time=time)),
        }
        for unit in "ab"
        for time in (0.5, 1.0)
    ]
    assert rows == expected
    assert rows[1]["rate"] is None
    assert list(rows[0]) == ["source", "unit", "time", "rate"]
    # a dimension without labels counts from 0
    assert [row["unit"] for row in records(table[["rate"]].drop_vars("unit"))] == [0, 0, 1, 1]
