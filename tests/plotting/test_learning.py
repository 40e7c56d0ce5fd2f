"""Figures of learning: what is drawn is what the results say."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

import nwbcompare as nc
from nwbcompare.analysis.learning.retention import (
    learning_curves,
    performance_matrix,
    performance_over_steps,
    retention_over_networks,
)
from nwbcompare.plotting import as_svg, new_figure
from nwbcompare.plotting.learning import (
    plot_final_performance,
    plot_learning_curves,
    plot_performance_matrix,
    plot_stages,
)
from nwbcompare.plotting.style import GREY, VERMILION

STAGES = (("fdgo",), ("dm1", "dm2"))
TASKS = ("fdgo", "dm1", "dm2")
NAMES = {"fdgo": "Go", "dm1": "DM 1"}


def logs(n, kept=0.3, first=0):
    rng = np.random.default_rng(1)
    found = {}
    for name in range(n):
        courses = [[0.0, 0.1, 0.2], [0.9, 0.2, 0.3], [kept, 0.95, 1.0]]
        courses = np.clip(courses + rng.normal(0, 0.03, size=(3, 3)), 0, 1).tolist()
        found[str(name)] = [
            {
                "step": 10 * k,
                "stage": max(k - 1, 0),
                "performance": dict(zip(TASKS, one, strict=True)),
            }
            for k, one in enumerate(courses)
        ][first:]
    return found


def drawn_on(draw, result, **options):
    figure, axes = new_figure()
    ax = axes[0, 0]
    assert draw(ax, result, **options) is ax
    return figure, ax


def texts(labels):
    return [label.get_text() for label in labels]


def test_the_matrix_has_its_numbers_and_outlines_what_was_trained():
    matrix = performance_matrix(logs(1)["0"], STAGES)
    figure, ax = drawn_on(plot_performance_matrix, matrix, names=NAMES)
    assert texts(ax.get_xticklabels()) == ["Go", "DM 1", "dm2"]
    assert texts(ax.get_yticklabels()) == ["untrained", "Go", "DM 1 + dm2"]
    assert ax.images[0].get_clim() == (0, 1)
    image = ax.images[0].get_array()
    np.testing.assert_array_equal(image[1:], matrix["performance"])
    np.testing.assert_array_equal(image[0], matrix["before"])
    assert texts(ax.texts) == [f"{share:.2f}" for share in image.ravel()]
    # the middle of each outline is a trained cell
    cells = [(one.get_x() + 0.5, one.get_y() + 0.5) for one in ax.patches]
    assert cells == [(0, 1), (1, 2), (2, 2)]
    assert len(figure.axes) == 2


def test_without_a_row_before_training_the_matrix_begins_with_the_first_stage():
    matrix = performance_matrix(logs(1, first=1)["0"], STAGES)
    _, ax = drawn_on(plot_performance_matrix, matrix)
    assert texts(ax.get_yticklabels()) == ["fdgo", "dm1 + dm2"]
    assert [one.get_y() + 0.5 for one in ax.patches] == [0, 1, 1]


def test_of_several_networks_the_matrix_is_their_mean():
    joined = xr.concat([performance_matrix(log, STAGES) for log in logs(3).values()], "network")
    _, ax = drawn_on(plot_performance_matrix, joined)
    np.testing.assert_allclose(ax.images[0].get_array()[1:], joined["performance"].mean("network"))


def test_numbers_can_be_read_on_every_colour():
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    matrix = performance_matrix(logs(1)["0"], STAGES)
    for share in np.linspace(0, 1, 21):
        flat = matrix.assign(performance=matrix["performance"] * 0 + share)
        _, ax = drawn_on(plot_performance_matrix, flat)
        ground = luminance(mpl.colormaps["cividis"](share)[:3])
        written = luminance(mpl.colors.to_rgb(ax.texts[-1].get_color()))
        low, high = sorted([ground, written])
        # the contrast that the accessibility guidelines (WCAG 2) ask for
        assert (high + 0.05) / (low + 0.05) >= 4.5, share


def test_stages_have_a_panel_a_task_with_its_own_stage_shaded():
    courses = {
        "sequential": performance_over_steps(logs(4), STAGES),
        "protected": performance_over_steps(logs(4, kept=0.8), STAGES),
    }
    figure, axes = new_figure(3, 1, sharex=True)
    panels = plot_stages(axes[:, 0], courses, names=NAMES)
    assert list(panels) == list(axes[:, 0])
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in panels]
    assert titles == ["Go", "DM 1", "dm2"]
    for ax, task, own in zip(panels, TASKS, (0, 1, 1), strict=True):
        (shade,) = ax.patches
        assert (shade.get_x(), shade.get_width()) == (own, 1)
        for line, (regime, course) in zip(ax.lines, courses.items(), strict=True):
            assert line.get_label() == regime
            np.testing.assert_array_equal(line.get_xdata(), course["progress"])
            np.testing.assert_array_equal(line.get_ydata(), course["mean"].sel(task=task))
        assert [to_hex(line.get_color()) for line in ax.lines] == [GREY, VERMILION.lower()]
        assert len(ax.collections) == 2
    assert texts(panels[-1].get_xticklabels()) == ["Go", "DM 1 +\ndm2"]
    assert panels[-1].get_xticks().tolist() == [0.5, 1.5]
    assert as_svg(figure)


def test_a_single_network_has_no_band():
    course = performance_over_steps(logs(1), STAGES)
    _, axes = new_figure(1, 3)
    for ax in plot_stages(axes, {"sequential": course}):
        assert not ax.collections
        assert len(ax.lines) == 1


def test_panels_and_regimes_that_do_not_fit_are_refused():
    course = performance_over_steps(logs(1), STAGES)
    _, axes = new_figure(1, 2)
    with pytest.raises(nc.InputError, match="axes: expected 3, one per task, got 2"):
        plot_stages(axes, {"sequential": course})
    other = performance_over_steps(logs(1), (("fdgo", "dm1"), ("dm2",)))
    _, axes = new_figure(1, 3)
    with pytest.raises(nc.InputError, match="the same stages, got others in 'other'"):
        plot_stages(axes, {"sequential": course, "other": other})


def test_final_performance_has_points_means_and_intervals():
    regimes = {
        "sequential": retention_over_networks(logs(4), STAGES),
        "protected": retention_over_networks(logs(4, kept=0.8), STAGES),
    }
    _, ax = drawn_on(plot_final_performance, regimes, names=NAMES)
    assert texts(ax.get_xticklabels()) == ["Go", "DM 1", "dm2", "mean of tasks"]
    for place, found in enumerate(regimes.values()):
        points, bars, means = ax.collections[3 * place : 3 * place + 3]
        final = found.sel(measure="final")
        at, values = np.asarray(points.get_offsets()).T
        np.testing.assert_array_equal(values.reshape(4, 4), final["value"])
        # every point stands over its own task
        np.testing.assert_array_equal(np.round(at).reshape(4, 4), [[0, 1, 2, 3]] * 4)
        np.testing.assert_array_equal(means.get_offsets()[:, 1], final["mean"])
        reach = np.array([path.vertices[:, 1] for path in bars.get_paths()])
        np.testing.assert_array_equal(reach[:, 0], final["mean_low"])
        np.testing.assert_array_equal(reach[:, 1], np.minimum(final["mean_high"], 1))
    # regimes stand apart
    left, right = (np.asarray(ax.collections[k].get_offsets())[:, 0] for k in (0, 3))
    assert left.reshape(4, 4).max(axis=0) == pytest.approx(np.arange(4) - 0.2, abs=0.1)
    assert right.reshape(4, 4).min(axis=0) == pytest.approx(np.arange(4) + 0.2, abs=0.1)
    assert ax.get_legend_handles_labels()[1] == list(regimes)


def test_one_network_is_drawn_without_intervals():
    with pytest.warns(UserWarning, match="One network"):
        found = retention_over_networks(logs(1), STAGES)
    figure, ax = drawn_on(plot_final_performance, {"sequential": found})
    points, bars, _ = ax.collections
    assert len(points.get_offsets()) == 4
    assert not bars.get_paths()
    assert as_svg(figure)


def test_regimes_of_other_tasks_are_refused():
    found = retention_over_networks(logs(2), STAGES)
    other = retention_over_networks(logs(2), (("fdgo",), ("dm2", "dm1")))
    _, axes = new_figure()
    with pytest.raises(
        nc.InputError, match="the same tasks in every regime, got others in 'other'"
    ):
        plot_final_performance(axes[0, 0], {"sequential": found, "other": other})


def test_learning_curves_end_at_a_dot_and_their_mean_goes_on():
    def curves(*courses):
        logs_by_network = {
            str(name): [
                {"step": 50 * k, "stage": 0, "performance": {"dm1": share}}
                for k, share in enumerate(shares)
            ]
            for name, shares in enumerate(courses)
        }
        return learning_curves(logs_by_network, "dm1", n_trials_per_step=100)

    by_name = {
        "related": curves([0.1, 0.9], [0.1, 0.5, 0.9]),
        "unrelated": curves([0.1, 0.2, 0.3, 0.4]),
    }
    _, ax = drawn_on(plot_learning_curves, by_name)
    lines = [np.transpose(line.get_data()).tolist() for line in ax.lines]
    network, dot, other, last, mean = lines[:5]
    assert network == [[0, 0.1], [5, 0.9]]
    assert dot == [[5, 0.9]]
    assert other == [[0, 0.1], [5, 0.5], [10, 0.9]]
    assert last == [[10, 0.9]]
    assert mean == [[0, 0.1], [5, 0.7], [10, 0.9]]
    # the band of two networks; a single one has none
    assert len(ax.collections) == 1
    assert texts(ax.get_legend().get_texts()) == ["related (n = 2)", "unrelated (n = 1)"]
    assert lines[5] == lines[7]
    assert ax.get_xlabel() == "trials (thousands)"
