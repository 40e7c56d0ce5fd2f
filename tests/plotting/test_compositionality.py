"""Figures of cosines: points, intervals and nulls are those of the results."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.plotting import new_figure
from nwbcompare.plotting.compositionality import plot_condition_cosines


def cosine_of(value, **attrs):
    return xr.Dataset(
        {
            "cosine": value,
            "interval": ("bound", [value - 0.1, value + 0.1]),
            "null_cosine": ("permutation", np.linspace(-0.2, 0.2, 41)),
        },
        attrs={"variable": "coherence", "task_a": "dm1", "task_b": "dm2"} | attrs,
    )


def test_condition_cosines_are_drawn_with_interval_and_null():
    _, axes = new_figure()
    ax = axes[0, 0]
    assert (
        plot_condition_cosines(
            ax, [cosine_of(0.5), cosine_of(-0.3, task_b="x")], names={"dm1": "DM 1"}
        )
        is ax
    )
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "coherence\nDM 1, dm2",
        "coherence\nDM 1, x",
    ]
    nulls, intervals, points = ax.lines[0:6:3], ax.lines[1:6:3], ax.lines[2:6:3]
    assert len(ax.lines) == 7
    for place, (null, interval, point) in enumerate(zip(nulls, intervals, points, strict=True)):
        np.testing.assert_allclose(null.get_xdata(), [-0.19, 0.19], atol=1e-9)
        assert point.get_xdata()[0] == np.mean(interval.get_xdata()) == (0.5, -0.3)[place]
        assert {*null.get_ydata(), *interval.get_ydata(), *point.get_ydata()} == {place}
    assert ax.get_xlim() == (-1, 1)
    # the first stands above
    assert ax.get_ylim() == (1.5, -0.5)
