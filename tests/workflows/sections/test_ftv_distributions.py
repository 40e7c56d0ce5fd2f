"""The section on distributions of FTV: shares of its histograms."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.plotting.style import FTV_EDGES
from nwbcompare.workflows.sections.ftv_distributions import NO_MARGIN, SAMPLED, share_rows


@given(st.lists(st.floats(-1, 1) | st.just(np.nan), min_size=1, max_size=30))
def test_shares_of_a_histogram_are_those_of_a_plain_count(values):
    rows = share_rows("x", values)
    finite = [value for value in values if np.isfinite(value)]
    assert len(rows) == 20
    for place, row in enumerate(rows):
        low, high = FTV_EDGES[place : place + 2]
        last = place == 19
        count = sum(low <= value < high or (last and value == high) for value in finite)
        assert row["share"] == pytest.approx(count / max(len(finite), 1), abs=1e-6)
    assert share_rows("x", [0.05], of=4)[10]["share"] == 0.25


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_page_has_the_numbers_of_compare_samples(
    comparison, sampled_results, measurements, tmp_path
):
    settings = comparison.settings
    earlier = {"samples": sampled_results}
    results = SAMPLED.compute(comparison, earlier, settings, tmp_path / "cache.nc")
    page = results.group("comparison 0")["result"]
    samples = measurements.on(page.attrs["protocol"], page.attrs["family"])
    own = nc.compare_samples(
        measurements.tables(samples),
        measurements.recorded.ftv,
        n_bootstrap=settings.n_bootstrap,
        n_permutations=settings.n_permutations,
        seed=settings.seed,
    )
    xr.testing.assert_equal(page, own)
    summary = SAMPLED.summarise("recording", earlier | {"sampled": results}, pictures=False)
    row = next(row for row in summary.rows if row["measure"] == "difference of s.d. of FTV")
    p = own["p_value"].sel(claim="these networks", measure="sd").item()
    assert row["p over sessions"] == pytest.approx(p, rel=1e-5)
    # without a margin nothing is called equivalent
    assert NO_MARGIN in summary.findings
    assert "Nothing is tested over networks of this kind (2 networks" in str(summary.findings)
