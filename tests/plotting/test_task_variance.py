"""Task variance by epoch and in time: theorems against task variance, and the reference."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from matplotlib.figure import Figure

import nwbcompare as nc
from nwbcompare.analysis.clustering.clusters import cluster_units
from nwbcompare.analysis.selectivity.task_variance import (
    epoch_variance,
    task_variance,
    variance_in_time,
)
from nwbcompare.model import Network, NetworkConfig, from_arrays
from nwbcompare.plotting import save
from nwbcompare.plotting.task_variance import (
    plot_unit_rates,
    plot_variance_heatmap,
    plot_variance_in_time,
)
from nwbcompare.tasks import RULES, make_trials
from nwbcompare.testing import dense_blocks, example_block


def one_task(rng, task, *, n_times=6, start=0.0, ragged=False, n_units=4, **changes):
    """A noisy recording of one task: 4 conditions, an epoch fix1 of two bins, then stim1, go1."""
    condition = np.repeat(np.arange(4.0), 3)
    rate = rng.gamma(2, 2, (12, n_times, n_units)) + condition[:, None, None]
    stops = start + np.array([0.2, 0.4, n_times / 10])
    options = {
        "time_s": start + (np.arange(n_times) + 0.5) * 0.1,
        "bin_width_s": 0.1,
        "aligned_to": "trial start",
        "trials": {"task": [task] * 12, "c": condition},
        "units": {"unit": [f"u{i}" for i in range(n_units)], "area": ["x"] * n_units},
        "condition_variables": {task: ["c"]},
        "epochs": {
            "fix1": (start, stops[0]),
            "stim1": (stops[0], stops[1]),
            "go1": tuple(stops[1:]),
        },
        "source": "recording",
        "name": "toy",
    }
    if ragged:
        trials = {"task": [task] * 12 * n_units, "c": np.tile(condition, n_units)}
        rate = np.concatenate([rate[:, :, unit] for unit in range(n_units)])
        options |= {"trials": trials, "observation_unit": np.repeat(np.arange(n_units), 12)}
    return nc.make_block(rate, **(options | changes))


def two_tasks(seed=0, *, ragged=False):
    rng = np.random.default_rng(seed)
    return nc.make_activity(
        {
            "a": one_task(rng, "a", ragged=ragged),
            "b": one_task(rng, "b", n_times=9, ragged=ragged),
        }
    )


@pytest.fixture(scope="module")
def network_activity():
    network = Network(NetworkConfig(n_units=16))
    tasks = ("fdgo", "delaygo", "dm1")
    return nc.make_activity({task: nc.record(network, make_trials(task)) for task in tasks})


# by epoch ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("estimator", ["per_time", "time_mean", "pooled"])
def test_each_column_is_the_task_variance_of_that_epoch(ragged, estimator):
    activity = two_tasks(ragged=ragged)
    by_epoch = epoch_variance(activity, estimator=estimator)
    assert by_epoch["task_epoch"].values.tolist() == ["a/stim1", "a/go1", "b/stim1", "b/go1"]
    assert by_epoch["task"].values.tolist() == ["a", "a", "b", "b"]
    for column in range(4):
        own = by_epoch.isel(task_epoch=column)
        one = nc.make_activity({"x": activity[own["task"].item()].to_dataset()})
        expected = task_variance(
            one, estimator=estimator, epochs=[own["epoch"].item()], leave_out=()
        )
        np.testing.assert_array_equal(own["task_variance"], expected["task_variance"][:, 0])
        np.testing.assert_array_equal(own["n_bins"], expected["n_bins"][:, 0])


def test_a_plain_loop_gives_the_same():
    block = one_task(np.random.default_rng(1), "a")
    found = epoch_variance(block)["task_variance"].sel(task_epoch="a/stim1")
    for unit in range(4):
        at_times = []
        for time in (2, 3):
            means = [
                np.mean(
                    [float(r) for r in block["rate"].values[block["c"].values == c, time, unit]]
                )
                for c in range(4)
            ]
            at_times.append(sum((m - np.mean(means)) ** 2 for m in means) / 4)
        assert found[unit].item() == pytest.approx(np.mean(at_times), rel=1e-6)


def test_epochs_weighted_by_their_bins_make_the_task_variance(network_activity):
    by_epoch, whole = epoch_variance(network_activity), task_variance(network_activity)
    weighted = by_epoch["task_variance"] * by_epoch["n_bins"]
    sums = weighted.groupby("task").sum() / by_epoch["n_bins"].groupby("task").sum()
    xr.testing.assert_allclose(
        sums.sel(task=whole["task"]).transpose("unit", "task").drop_vars("task"),
        whole["task_variance"].drop_vars("task"),
    )


def test_epochs_left_out_have_no_column():
    activity = two_tasks()
    assert epoch_variance(activity, leave_out=())["task_epoch"].values[0] == "a/fix1"
    kept = epoch_variance(activity, leave_out=("fix1", "go1", "nowhere"))
    assert kept["task_epoch"].values.tolist() == ["a/stim1", "b/stim1"]
    with pytest.raises(
        nc.NotApplicableError, match="trials with epochs other than fix1, stim1, go1"
    ):
        epoch_variance(activity, leave_out=("fix1", "stim1", "go1"))
    # without epochs the whole window is one
    whole = epoch_variance(example_block().drop_dims("epoch"))
    assert whole["task_epoch"].values.tolist() == ["go/window"]
    with pytest.raises(nc.InputError, match="estimator: expected one of"):
        epoch_variance(activity, estimator="mean")


def test_an_epoch_shorter_than_a_bin_has_no_column():
    epochs = {"fix1": (0.0, 0.2), "blink": (0.2, 0.24), "stim1": (0.24, 0.6)}
    block = one_task(np.random.default_rng(0), "a", epochs=epochs)
    assert epoch_variance(block)["task_epoch"].values.tolist() == ["a/stim1"]


def test_units_without_a_condition_are_named_by_task_and_epoch():
    block = one_task(np.random.default_rng(0), "a")
    block["rate"].values[block["c"].values == 2, 4:, 1] = np.nan
    with pytest.warns(nc.UnitWarning, match="1 units lack a condition of task 'a/go1'.*u1"):
        found = epoch_variance(block)["task_variance"]
    assert np.isnan(found.sel(unit="u1", task_epoch="a/go1"))
    assert found.notnull().sum() == 7


def test_conditions_can_be_named_and_results_are_saved(tmp_path):
    block = one_task(np.random.default_rng(0), "a")
    for compute in (epoch_variance, variance_in_time):
        with pytest.warns(nc.UnitWarning, match="one condition only in a, .* NaN for every unit"):
            assert compute(block, conditions=[])["task_variance"].isnull().all()
    for result in (epoch_variance(two_tasks()), variance_in_time(two_tasks())):
        path = tmp_path / f"{result.attrs['analysis']}.nc"
        result.to_netcdf(path, engine="h5netcdf")
        xr.testing.assert_identical(xr.load_dataset(path, engine="h5netcdf"), result)
        assert result["area"].dims == ("unit",)
        assert result["task_variance"].attrs["units"] == "(spikes/s)^2"


@pytest.mark.shared
def test_epochs_and_their_variance_equal_the_reference(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        names = ("input_weight", "recurrent_weight", "bias", "output_weight", "output_bias")
        network = from_arrays(**{name: oracle[name] for name in names})
        tasks = ("reactgo", "dm1", "delaydm2", "dmcnogo")
        # one task of each family: test_core holds all of them against the same arrays
        blocks = {task: nc.record(network, make_trials(task)) for task in tasks}
        found = epoch_variance(nc.make_activity(blocks))
        keys = oracle["epoch_keys"].tolist()
        assert set(tasks) < set(RULES)
        assert found["task_epoch"].values.tolist() == [
            key for key in keys if key.split("/")[0] in tasks
        ]
        columns = [keys.index(key) for key in found["task_epoch"].values]
        np.testing.assert_allclose(
            found["task_variance"],
            oracle["epoch_task_variance"][:, columns],
            rtol=1e-5,
            atol=1e-6,
        )


# in time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ragged", [False, True])
def test_the_mean_over_counted_times_is_the_task_variance(ragged):
    activity = two_tasks(ragged=ragged)
    found = variance_in_time(activity)
    mean = found["task_variance"].where(found["counted"]).mean("time")
    xr.testing.assert_allclose(mean, task_variance(activity)["task_variance"])
    every = variance_in_time(activity, leave_out=())
    assert every["counted"].sum("time").values.tolist() == [6, 9]
    assert found["counted"].sum("time").values.tolist() == [4, 7]


@pytest.mark.filterwarnings("ignore:.*one condition only")
@given(dense_blocks(deterministic=True, missing=False))
def test_it_is_so_for_any_noise_free_block(block):
    found = variance_in_time(block, leave_out=())
    expected = task_variance(block, leave_out=())["task_variance"]
    np.testing.assert_allclose(found["task_variance"].mean("time"), expected, rtol=1e-6, atol=1e-6)


def test_a_network_has_nan_only_where_a_task_has_no_such_time(network_activity):
    found = variance_in_time(network_activity)
    lengths = {task: network_activity[task].sizes["time"] for task in found["task"].values}
    assert found.sizes["time"] == max(lengths.values())
    for task, length in lengths.items():
        own = found["task_variance"].sel(task=task)
        assert own[:, :length].notnull().all()
        assert own[:, length:].isnull().all()
        rates = network_activity[task]["rate"].values.astype(float)
        np.testing.assert_allclose(own[:, :length], rates.var(axis=0).T, rtol=1e-9)


def test_times_join_though_they_differ_in_rounding():
    rng = np.random.default_rng(0)
    activity = nc.make_activity(
        {"a": one_task(rng, "a", start=1e-6), "b": one_task(rng, "b", n_times=9, start=-0.1)}
    )
    found = variance_in_time(activity)
    assert found.sizes["time"] == 9
    assert found["task_variance"].notnull().sum(("unit", "time")).values.tolist() == [24, 36]
    assert found["task_variance"][:, 0, 0].isnull().all()


def test_tasks_on_other_clocks_are_refused():
    rng = np.random.default_rng(0)
    first = one_task(rng, "a")
    for changes, match in (
        ({"aligned_to": "go cue"}, "aligned_to of the tasks.*trial start and go cue"),
        ({"bin_width_s": 0.05}, "bin_width_s of the tasks.*0.1 and 0.05"),
    ):
        other = one_task(rng, "b", **changes)
        with pytest.raises(nc.NotApplicableError, match=match):
            variance_in_time(nc.make_activity({"a": first, "b": other}))


def test_units_without_a_condition_at_all_times_are_named():
    block = one_task(np.random.default_rng(0), "a")
    block["rate"].values[block["c"].values == 2, 3, 0] = np.nan
    assert np.isnan(variance_in_time(block)["task_variance"][0, 0, 3])
    block["rate"].values[block["c"].values == 2, :, 1] = np.nan
    with pytest.warns(nc.UnitWarning, match="1 units lack a condition of task 'a'.*u1"):
        found = variance_in_time(block)
    assert found["task_variance"].isnull().sum() == 7


# figures -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clusters(network_activity):
    return cluster_units(task_variance(network_activity), n_clusters=3, threshold=0)


def an_axes():
    return Figure(layout="constrained").subplots()


def test_the_heat_map_by_epoch_names_every_column(network_activity, clusters, tmp_path):
    variance = epoch_variance(network_activity)
    ax = plot_variance_heatmap(an_axes(), variance, clusters, names={"dm1": "DM 1"})
    shown = [label.get_text() for label in ax.get_xticklabels()]
    assert shown[0] == "fdgo, stim1"
    assert "DM 1, go1" in shown
    assert ax.images[0].get_array().shape == (16, len(shown))
    assert ax.images[0].get_array().max() == 1
    (strip,) = ax.child_axes
    assert [label.get_text() for label in strip.get_yticklabels()] == ["0", "1", "2"]
    save(ax.figure, tmp_path / "heat.svg")


def test_variance_in_time_is_drawn_over_units_or_by_cluster(network_activity, clusters, tmp_path):
    variance = variance_in_time(network_activity)
    ax = plot_variance_in_time(an_axes(), variance, "fdgo", names={"fdgo": "Go"})
    assert ax.get_title() == "Go"
    assert ax.get_xlim() == pytest.approx((0, 2))
    np.testing.assert_allclose(
        ax.lines[0].get_ydata(), variance["task_variance"].sel(task="fdgo").median("unit")[:100]
    )
    ax = plot_variance_in_time(an_axes(), variance, "fdgo", clusters=clusters)
    assert ax.images[0].get_array().shape == (3, 100)
    assert len(ax.get_yticks()) == 3
    save(ax.figure, tmp_path / "time.svg")


def test_rates_are_drawn_by_the_first_condition_variable_or_another(network_activity, tmp_path):
    means = nc.selectivity.condition_means(network_activity["fdgo"].to_dataset())
    ax = plot_unit_rates(an_axes(), means, means["unit"].values[2], "fdgo")
    assert len(ax.lines) == 20
    rates = network_activity["fdgo"].to_dataset()
    rows = np.isclose(rates["direction"].values, rates["direction"].values.min())
    expected = rates["rate"].values[rows, :, 2].mean(axis=0)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected, rtol=1e-6)
    assert ax.figure.axes[1].get_ylabel() == "direction (rad)"
    few = plot_unit_rates(
        an_axes(), means, means["unit"].values[2], "fdgo", by="modality", names={"fdgo": "Go"}
    )
    assert [text.get_text() for text in few.get_legend().get_texts()] == ["1", "2"]
    assert few.get_title().endswith(", Go")
    assert few.get_ylabel() == "rate"
    save(few.figure, tmp_path / "rates.svg")
