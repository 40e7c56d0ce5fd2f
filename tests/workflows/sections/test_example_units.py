"""The section on example units: which they are, and how their rates are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from report_inputs import CONTEXTS

from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.task_variance import plot_condition_rates
from nwbcompare.workflows.sections.example_units import choose_examples


def test_example_units_are_those_nearest_to_the_percentiles(comparison, measurements):
    ftv = measurements.recorded.ftv
    values = ftv["fractional_task_variance"].values
    examples = choose_examples("x", comparison.recording, ftv, CONTEXTS)
    units = examples["units"]
    assert units.attrs["name"] == "x"
    assert len(set(units["unit"].values)) == 3
    levels = np.nanpercentile(values, [5, 50, 95])
    for value, level in zip(units["fractional_task_variance"].values, levels, strict=True):
        assert np.sum(np.abs(values - level) < abs(value - level)) <= 2
    assert set(examples.group("means")) == set(CONTEXTS)


# -- figures --------------------------------------------------------------------------------------


@pytest.fixture
def ax():
    return new_figure()[1][0, 0]


def test_rates_are_drawn_a_line_a_condition(ax, comparison):
    tables = {task: table for task, table, _ in means_by_task(comparison.recording)}
    means = tables["contextdm1"]
    unit = str(means["unit"].values[3])
    plot_condition_rates(ax, means, unit, "contextdm1", names={"contextdm1": "A"})
    own = means.isel(condition=means["task"].values == "contextdm1")
    assert len(ax.lines) == own.sizes["condition"] == 2
    for line, rates in zip(
        ax.lines, own["rate_mean"].sel(unit=unit).transpose("condition", "time"), strict=True
    ):
        np.testing.assert_allclose(line.get_ydata(), rates)
    assert [line.get_label() for line in ax.lines] == ["-1", "+1"]
    assert ax.get_title() == f"{unit}, A"
