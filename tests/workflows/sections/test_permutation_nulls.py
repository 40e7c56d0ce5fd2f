"""The section on permutation nulls: its figures of FTV and of variances."""

from __future__ import annotations

import numpy as np
import pytest
from report_inputs import CONTEXTS

from nwbcompare.plotting import new_figure
from nwbcompare.plotting.permutation_nulls import plot_ftv_nulls, plot_task_variances
from nwbcompare.plotting.style import FTV_EDGES


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
