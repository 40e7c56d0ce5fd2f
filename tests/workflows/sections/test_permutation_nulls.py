"""The section on permutation nulls: its figures of FTV and of variances."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from report_inputs import CONTEXTS

from nwbcompare.plotting import new_figure
from nwbcompare.plotting.permutation_nulls import plot_ftv_nulls, plot_task_variances
from nwbcompare.plotting.style import FTV_EDGES
from nwbcompare.workflows.sections.permutation_nulls import _population, _units


@pytest.fixture
def ax():
    return new_figure()[1][0, 0]


def stairs(ax):
    return [patch for patch in ax.patches if hasattr(patch, "get_data")]


def test_ftv_is_drawn_with_its_nulls(ax, measurements):
    ftv = measurements.recorded.ftv
    rotation = ftv.assign(fractional_task_variance=ftv["fractional_task_variance"] * 0.5)
    null = rotation.rename(fractional_task_variance="null_ftv")
    plot_ftv_nulls(ax, ftv, null=null, rotation=rotation, names={"contextdm1": "A"})
    drawn = stairs(ax)
    assert len(drawn) == 4
    values = ftv["fractional_task_variance"].values
    expected = np.histogram(values, FTV_EDGES)[0] / np.isfinite(values).sum()
    np.testing.assert_allclose(drawn[0].get_data().values, expected)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "units",
        "if FTV was 0",
        "units rotated",
    ]
    assert ax.get_xlabel() == "FTV (A, contextdm2)"
    assert ax.get_ylim()[0] == 0


def test_ftv_alone_is_drawn_without_nulls(ax, measurements):
    plot_ftv_nulls(ax, measurements.on("rate")[0].ftv)
    assert len(stairs(ax)) == 2


def test_both_variances_are_drawn_a_point_a_unit(ax, measurements):
    variance = measurements.variance
    floor = variance[["task_variance"]].expand_dims(permutation=2)
    plot_task_variances(ax, variance, *CONTEXTS, floor=floor, names={"contextdm1": "A"})
    (points,) = ax.collections
    both = variance["task_variance"].sel(task=list(CONTEXTS)).transpose("unit", "task")
    positive = (both > 0).all("task").values
    np.testing.assert_allclose(points.get_offsets(), both.values[positive])
    assert 3 < positive.sum() < 16
    assert ax.get_title() == f"SIMULATED monkey, {positive.sum()} of 16 units"
    assert len(ax.lines) == 3
    assert ax.get_xlabel() == "TV A, (spikes/s)²"
    assert (ax.get_xscale(), ax.get_xlim()) == ("log", ax.get_ylim())


def null_of(**values):
    one = {
        "n_tested": 40,
        "n_sessions": 12,
        "summed_ftv": 0.1,
        "summed_ftv_p_value": 0.2,
        "spread_p_value": 0.01,
        "share_significant": 0.25,
        "share_discovered": 0.1,
    }
    return xr.Dataset(one | values, attrs={"n_drifting": 0, "order_known": 1})


def test_the_population_is_judged_over_sessions_or_not_at_all():
    spread, mean = _population(null_of())
    assert spread.text == (
        "That every unit has an FTV of 0 is rejected, p = 0.01 (40 units in 12 sessions)."
    )
    assert spread.evidence.p_value == 0.01
    assert "is 0.100, p = 0.2 for a value of 0" in mean.text
    assert "is not rejected" in _population(null_of(spread_p_value=0.3))[0].text
    (alone,) = _population(null_of(n_sessions=1, spread_p_value=np.nan, summed_ftv_p_value=np.nan))
    assert alone.endswith("(40 units in 1 session; no test over fewer than 5 sessions).")


def test_refused_units_and_unknown_orders_are_said():
    assert _units(null_of()).startswith("25 % of 40 units have an FTV other than 0 at p <= 0.05")
    assert "3 units with tasks in few blocks" in _units(null_of().assign_attrs(n_drifting=3))
    assert "order of the trials is not known" in _units(null_of().assign_attrs(order_known=0))
