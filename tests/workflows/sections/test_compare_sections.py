"""The parts of a comparison by themselves: words, work, models, settings, limits, figures."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st
from joblib import cpu_count
from mante2013_archive import archive, unit_record
from report_inputs import CONTEXTS, brain, network_in, settings

import nwbcompare as nc
from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.comparison.protocol_mapping import read_mapping
from nwbcompare.core.process_pool import MANY_VALUES, reason, run_all
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.permutation_nulls import plot_ftv_nulls, plot_task_variances
from nwbcompare.plotting.style import FTV_EDGES
from nwbcompare.plotting.task_variance import plot_condition_rates
from nwbcompare.report.page_section import Evidence, PageSection, said
from nwbcompare.workflows.compare_settings import Settings
from nwbcompare.workflows.formatting import counted, interval, number, percent, sd_of
from nwbcompare.workflows.measurements import mapping_of, measure, network_pair
from nwbcompare.workflows.model_sources import families, find_models
from nwbcompare.workflows.recording_source import choose_recording
from nwbcompare.workflows.sections.example_units import find_examples
from nwbcompare.workflows.sections.ftv_distributions import share_rows
from nwbcompare.workflows.sections.limits import limits
from nwbcompare.workflows.sections.noise_correction import noise_share


@pytest.fixture(scope="module")
def measurements(tmp_path_factory):
    """What is measured of two small networks and a small recording."""
    folder = tmp_path_factory.mktemp("networks")
    sources = [network_in(folder, name, seed) for seed, name in enumerate(("net", "other"))]
    models = find_models(sources, CONTEXTS, CONTEXTS)
    recording = nc.make_activity({"a": brain()})
    return measure(recording, models, settings(n_draws=2), mapping_of(recording))


# -- words ----------------------------------------------------------------------------------------


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
    assert said(Evidence(measure="a distance")) == "a distance"
    for p, text in ((4e-22, "p < 0.001"), (0.000999, "p = 0.001"), (0.255, "p = 0.26")):
        assert said(Evidence(measure="a distance", p_value=p)) == f"a distance; {text}"
    assert said(Evidence(measure="a", effect=0.5, low=0.1)) == "a +0.500"


def test_a_reason_leaves_the_remedy_to_programmers():
    error = nc.InputError("recording", "two animals", "one", "Use split_half_distance.")
    assert reason(error) == "Needed: two animals; here: one."


def test_the_spread_of_several_draws_is_the_mean_of_theirs():
    values = np.array([[0.0, 1.0, np.nan], [0.0, 0.5, 0.5]])
    ftv = xr.Dataset({"fractional_task_variance": (("draw", "unit"), values)})
    assert sd_of(ftv) == pytest.approx((0.5 + np.std([0, 0.5, 0.5])) / 2)


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


def test_columns_with_words_read_from_the_left():
    section = PageSection(name="a", heading="A", rows=[{"a": 1, "b": "x"}, {"b": 2.0, "c": None}])
    assert section.columns == ["a", "b", "c"]
    assert section.text_columns == {"b"}


# -- work -----------------------------------------------------------------------------------------


def noisy(x: float) -> float:
    if x > 1:
        warnings.warn(f"{x} units are odd", nc.UnitWarning, stacklevel=1)
    return x**2


def loud() -> None:
    warnings.warn("something else", UserWarning, stacklevel=1)


def test_work_hears_what_is_said_of_units_and_lets_the_rest_pass():
    tasks = [(f"piece {x}", noisy, (x,)) for x in (1, 2, 3)]
    found, heard = run_all(tasks, 1, "work")
    assert found == [1, 4, 9]
    assert heard == ["piece 2: 2 units are odd", "piece 3: 3 units are odd"]
    with pytest.warns(UserWarning, match="something else"):
        assert run_all([("loud", loud, ())], 1, "work") == ([None], [])


def test_work_side_by_side_gives_the_same_in_the_same_order():
    # a function of the library: processes do not know the tests' own
    tasks = [(str(place), counted, (place, "unit")) for place in range(5)]
    assert run_all(tasks, 2, "work") == run_all(tasks, 1, "work")


def test_an_error_in_a_piece_of_work_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_all([("a", lambda: 1 / 0, ())], 1, "work")


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_permutations": 0}, "n_permutations"),
        ({"n_bootstrap": 2.5}, "n_bootstrap"),
        ({"n_draws": 0}, "n_draws"),
        ({"n_workers": 0}, "n_workers"),
        ({"seed": -1}, "seed"),
        ({"margin": 0.0}, "margin: expected a difference in s.d. of FTV between 0 and 1"),
        ({"margin": 1.0}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"pair": ("a", "a")}, "pair: expected two different tasks"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, match):
    with pytest.raises(nc.InputError, match=match):
        Settings(**changes)


def test_processes_are_no_part_of_what_results_depend_on():
    assert Settings(n_workers=1).parameters() == Settings(n_workers=2).parameters()
    assert "n_workers" not in Settings().parameters()
    json.dumps(Settings(margin=0.1).parameters())


def test_only_large_recordings_are_worth_processes(measurements):
    small = measurements.recording
    assert Settings().workers_for(small) == 1
    assert Settings(n_workers=3).workers_for(small) == 3
    block = small["a"].to_dataset()
    n = -(-MANY_VALUES // block["rate"].size)
    large = xr.concat([block] * n, dim="observation", data_vars="minimal")
    assert Settings().workers_for(nc.make_activity({"a": large})) == cpu_count()


# -- models and recordings ------------------------------------------------------------------------


def test_models_belong_to_the_families_that_are_named(tmp_path):
    one, two = (network_in(tmp_path, name) for name in ("a=b", "two"))
    models = find_models([one, f"x={two}", "x=pretrained:ctxdm-0"], CONTEXTS, CONTEXTS)
    # a folder of that name is there, and is meant
    assert [model.family for model in models] == ["networks", "x", "x"]
    assert [model.name for model in models] == ["a=b", "two", "ctxdm-0"]
    assert {name: len(own) for name, own in families(models).items()} == {"networks": 1, "x": 2}
    assert models[0].method() == (
        "a leaky rnn of 16 softplus units trained on Ctx DM 1, Ctx DM 2 (schedule 'fast')"
    )


@pytest.mark.parametrize(
    ("sources", "match"),
    [
        ([], "models: expected at least one network, got none"),
        (["x="], "models: expected SOURCE, or FAMILY=SOURCE, got 'x='"),
        (["=pretrained:ctxdm-0"], "models: expected SOURCE, or FAMILY=SOURCE"),
        (["pretrained:ctxdm-0", "x=pretrained:ctxdm-0"], "'ctxdm-0' 2 times"),
        (["pretrained:ctxdm"], "ctxdm"),
        (["x=nowhere"], "nowhere: expected a run folder"),
    ],
)
def test_models_that_cannot_be_are_refused(sources, match):
    with pytest.raises(nc.InputError, match=match):
        find_models(sources, CONTEXTS, CONTEXTS)


def test_a_network_must_know_the_tasks_that_it_is_shown(tmp_path):
    source = network_in(tmp_path, "net")
    with pytest.raises(nc.InputError, match="net': expected trials of dm1, dm2, got contextdm1"):
        find_models([source], ("motion", "colour"), ("dm1", "dm2"))


def test_a_mapping_comes_from_the_name_else_from_the_archive(measurements):
    assert measurements.mapping.origin == "mante2013.yaml"
    bare = nc.make_activity({"a": brain(mapped=False)})
    assert mapping_of(bare) is None
    assert mapping_of(bare, "mante2013") == read_mapping("mante2013")
    assert network_pair(("a", "b"), None) == ("a", "b")
    assert network_pair(("contextdm1", "b"), measurements.mapping) == ("contextdm1", "b")


def test_a_dataset_folder_that_is_named_but_empty_is_no_reason_to_simulate(tmp_path, monkeypatch):
    monkeypatch.setenv("NWBCOMPARE_DATA", str(tmp_path))
    with pytest.raises(nc.InputError, match="Cite: Mante V"):
        choose_recording(None, CONTEXTS, 0)


@pytest.mark.parametrize(
    ("animals", "name", "said"),
    [
        (("ar", "fe"), "monkey A", "Monkey F was found too and is not compared here"),
        (("fe",), "monkey F", ""),
        (("ar",), "monkey A", ""),
    ],
)
def test_one_animal_is_compared_where_none_is_named(tmp_path, monkeypatch, animals, name, said):
    rng = np.random.default_rng(0)
    archive(tmp_path, {f"{animal}090313_1_a1": unit_record(rng) for animal in animals})
    monkeypatch.setenv("NWBCOMPARE_DATA", str(tmp_path))
    found = choose_recording(None, CONTEXTS, 0)
    (block,) = nc.blocks(found.activity).values()
    assert block.attrs["name"] == name
    assert found.left_out.startswith(said)
    assert bool(found.left_out) == bool(said)
    assert not found.guidance


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


def test_limits_name_what_was_left_out(measurements):
    said = limits(measurements)
    assert said[0].startswith("One animal (SIMULATED monkey)")
    assert said[1].startswith("Few networks (2): with fewer than 6")
    assert any(
        f"{percent(noise_share(measurements))} of the median unit's" in line for line in said
    )
    for sample in measurements.samples:
        missing = int(sample.ftv["fractional_task_variance"].isnull().sum("unit").max())
        line = f"{sample.name}, {sample.protocol}: no FTV"
        assert any(one.startswith(line) for one in said) == (missing > 0)
    assert not any("mapping" in line or "unequal" in line for line in said)
    heard = replace(measurements, warned=["a: 1 unit", "a: 1 unit"])
    assert limits(heard)[len(said) :] == ["Warning. a: 1 unit"]


def test_many_networks_and_animals_are_no_limit_of_that_kind(measurements):
    many = replace(measurements, models=[*measurements.models] * 3)
    assert limits(many)[1] == "Networks of a family differ in their seeds alone."


def test_example_units_are_those_nearest_to_the_percentiles(measurements):
    ftv = measurements.recorded.ftv
    values = ftv["fractional_task_variance"].values
    found = find_examples("x", measurements.recording, ftv, CONTEXTS)
    assert len(set(found.units)) == 3
    wanted = np.nanpercentile(values, [5, 50, 95])
    for value, level in zip(found.ftv, wanted, strict=True):
        assert np.sum(np.abs(values - level) < abs(value - level)) <= 2
    assert set(found.means) == set(CONTEXTS)


# -- figures --------------------------------------------------------------------------------------


@pytest.fixture
def ax():
    return new_figure()[1][0, 0]


def stairs(ax):
    return [patch for patch in ax.patches if hasattr(patch, "get_data")]


def test_ftv_is_drawn_with_its_nulls(ax, measurements):
    ftv = measurements.recorded.ftv
    null = ftv.assign(fractional_task_variance=ftv["fractional_task_variance"] * 0.5)
    plot_ftv_nulls(ax, ftv, null=null, rotation=null, names={"contextdm1": "A"})
    drawn = stairs(ax)
    assert len(drawn) == 4
    values = ftv["fractional_task_variance"].values
    expected = np.histogram(values, FTV_EDGES)[0] / np.isfinite(values).sum()
    np.testing.assert_allclose(drawn[0].get_data().values, expected)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "units",
        "task labels permuted",
        "units rotated",
    ]
    assert ax.get_xlabel() == "FTV (A, contextdm2)"
    assert ax.get_ylim()[0] == 0


def test_ftv_alone_is_drawn_without_nulls(ax, measurements):
    plot_ftv_nulls(ax, measurements.on("sampled")[0].ftv)
    assert len(stairs(ax)) == 2


def test_both_variances_are_drawn_a_point_a_unit(ax, measurements):
    variance = measurements.variance
    split_half = variance[["task_variance"]].expand_dims(permutation=2)
    plot_task_variances(ax, variance, *CONTEXTS, split_half=split_half, names={"contextdm1": "A"})
    (points,) = ax.collections
    both = variance["task_variance"].sel(task=list(CONTEXTS)).transpose("unit", "task")
    positive = (both > 0).all("task").values
    np.testing.assert_allclose(points.get_offsets(), both.values[positive])
    assert 3 < positive.sum() < 16
    assert ax.get_title() == f"SIMULATED monkey, {positive.sum()} of 16 units"
    assert len(ax.lines) == 3
    assert ax.get_xlabel() == "TV A, (spikes/s)²"
    assert (ax.get_xscale(), ax.get_xlim()) == ("log", ax.get_ylim())


def test_rates_are_drawn_a_line_a_condition(ax, measurements):
    tables = {task: table for task, table, _ in means_by_task(measurements.recording)}
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
