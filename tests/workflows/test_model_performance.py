"""Models that have not learned the two tasks: measured, stated, unknown, and out of findings."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from report_inputs import CONTEXTS, brain, network_in, settings, written

import nwbcompare as nc
from nwbcompare.cli.compare import read_shares
from nwbcompare.workflows.compare import compare
from nwbcompare.workflows.model_performance import ModelPerformance, measure_performance
from nwbcompare.workflows.models import load_models


def activity(folder, name, **columns):
    """A model's activity in a file, with further trial columns by task."""
    network = nc.model.pretrained("ctxdm-0")
    block = nc.record_matched(network, name=name)["matched"].to_dataset()
    block = block.assign_coords(
        {key: ("trial", np.resize(values, 72)) for key, values in columns.items()}
    )
    return written(folder / f"{name}.nc", block)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "folder": folder,
        "recording": written(folder / "brain.nc", brain(n_units=10)),
        "net": network_in(folder, "net"),
        "told": activity(folder, "told", correct=[1, 1, 1, 1, 0], choice=[1, 2], target=[1, 2]),
        "untold": activity(folder, "untold"),
    }


def measured(sources, stated=None, chance=None):
    models = load_models(sources, CONTEXTS, CONTEXTS)
    recording = nc.make_activity({"a": brain(n_units=10)})
    mapping = nc.comparison.read_mapping("mante2013")
    return measure_performance(
        models, recording, mapping, CONTEXTS, stated=stated or {}, chance=chance
    )


def read(folder):
    values = json.loads((folder / "report.json").read_text())
    schema = files("nwbcompare.report") / "report.schema.json"
    jsonschema.validate(values, json.loads(schema.read_text("utf-8")))
    return values


def test_each_model_is_measured_where_that_is_possible(inputs):
    trained, untrained, told, untold = measured(
        ["pretrained:ctxdm-0", inputs["net"], inputs["told"], inputs["untold"]]
    )
    assert trained.origin == untrained.origin == told.origin == "measured"
    assert trained.has_learned is True
    assert untrained.has_learned is False
    assert trained.trials == "the recording's conditions"
    assert told.performance == pytest.approx((29 / 36, 29 / 36), abs=0.02)
    assert told.chance == (0.5, 0.5)
    assert told.has_learned is True
    assert untold.origin == "unknown"
    assert untold.has_learned is None


def test_what_is_stated_counts_as_stated(inputs):
    (one,) = measured([inputs["untold"]], {"untold": (0.81, 0.95)}, (0.5, 0.5))
    assert (one.origin, one.has_learned) == ("stated", True)
    (one,) = measured([inputs["untold"]], {"untold": (0.81, 0.79)}, (0.5, 0.5))
    assert (one.origin, one.has_learned) == ("stated", False)
    # the same with more alternatives
    (one,) = measured([inputs["untold"]], {"untold": (0.81, 0.79)}, (0.5, 0.25))
    assert one.has_learned is True
    # a stated chance takes the place of permuted targets
    (one,) = measured([inputs["told"]], chance=(0.7, 0.7))
    assert one.chance == (0.7, 0.7)
    assert one.has_learned is False


@pytest.mark.parametrize(
    ("performance", "chance", "learned"),
    [
        ((0.8, 0.8), (0.5, 0.5), True),
        ((0.8, 0.7999), (0.5, 0.5), False),
        ((0.9, np.nan), (0.5, 0.5), None),
        ((0.9, 0.9), (np.nan, 0.5), None),
        # whatever chance is, this is below the criterion
        ((0.5, 0.9), (np.nan, np.nan), False),
    ],
)
def test_a_model_has_to_reach_the_criterion_in_both_tasks(performance, chance, learned):
    one = ModelPerformance(
        name="a", origin="measured", performance=performance, chance=chance, trials=""
    )
    assert one.has_learned is learned


def test_chance_of_a_file_is_the_mean_over_permuted_targets(inputs):
    rng = np.random.default_rng(0)
    choice, target = rng.choice(["a", "b", "c"], (2, 36), p=[0.6, 0.3, 0.1])
    path = activity(
        inputs["folder"], "random", correct=choice == target, choice=choice, target=target
    )
    (one,) = measured([path])
    assert one.performance[0] == pytest.approx((choice == target).mean())
    rolls = [(choice == np.roll(target, shift)).mean() for shift in range(36)]
    assert one.chance == pytest.approx((np.mean(rolls),) * 2)


def test_a_recorded_network_has_its_chance_from_directions(inputs):
    network = nc.model.pretrained("ctxdm-0")
    trials = {task: nc.tasks.make_trials(task) for task in CONTEXTS}
    blocks = {task: nc.record(network, one) for task, one in trials.items()}
    (one,) = measured([written(inputs["folder"] / "published.nc", blocks)])
    assert one.has_learned is True
    assert one.chance == pytest.approx((0.2, 0.2), abs=0.03)


@pytest.mark.parametrize(
    ("sources", "stated", "chance", "match"),
    [
        (["untold"], {"untod": (1, 1)}, (0.5, 0.5), "--performance: .*'untod'. Did you mean 'unt"),
        (["untold"], {"untold": (1, 1)}, None, "--chance: expected performance by chance"),
        (["untold"], {"untold": (1, 1.1)}, (0.5, 0.5), "--performance, untold: expected two sha"),
        (["untold"], {"untold": (1,)}, (0.5, 0.5), "--performance, untold: expected two shares"),
        (["untold"], {}, (0.5, 1), "--chance: expected two shares.*below 1, got"),
        (["told"], {"told": (1, 1)}, (0.5, 0.5), "'told', whose performance is measured in its"),
        (["net"], {"net": (1, 1)}, (0.5, 0.5), "'net', whose performance is measured by running"),
    ],
)
def test_statements_that_do_not_fit_are_refused(inputs, sources, stated, chance, match):
    with pytest.raises(nc.InputError, match=match):
        measured([inputs[name] for name in sources], stated, chance)


def test_shares_are_read_from_the_command_line():
    assert read_shares("--performance", "a=b=0.9,1") == ("a=b", (0.9, 1.0))
    assert read_shares("--chance", "0.5,0.25") == ("", (0.5, 0.25))
    for option, text in [("--performance", "0.9,1"), ("--performance", "a=x"), ("--chance", "a=1")]:
        with pytest.raises(nc.InputError, match=f"{option}: expected "):
            read_shares(option, text)


@pytest.fixture
def report(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")

    def make(models, name, *, include_untrained=False, **options):
        made = compare(
            models,
            inputs["recording"],
            tmp_path / name,
            sections=["sampled", "models"],
            settings=settings(include_untrained=include_untrained, n_bootstrap=5),
            **options,
        )
        return read(made)

    return make


def test_findings_are_as_if_a_network_that_did_not_learn_had_not_been_given(inputs, report):
    trained = "pretrained:all20-small-0"
    alone = report([trained], "alone")
    beside = report([inputs["net"], trained], "beside")
    every = report([inputs["net"], trained], "every", include_untrained=True)

    def sampled(values):
        return next(one for one in values["sections"] if one["name"] == "sampled")

    assert alone["findings"]
    assert beside["findings"] == alone["findings"]
    assert sampled(beside) == sampled(alone)
    assert beside["cards"] == alone["cards"]
    # the networks do differ
    assert every["findings"] != alone["findings"]
    assert every["cards"]["networks"] == 2
    assert alone["left_out"] == every["left_out"] == ""
    assert beside["left_out"].startswith("net has not learned the two tasks and is in no finding")
    section = next(one for one in beside["sections"] if one["name"] == "models")
    assert any("With all 2 models of 'networks'" in text for text in section["findings"])
    by_model = {(row["model"], row["task"]): row for row in section["rows"]}
    assert by_model["net", "Ctx DM 1"]["in findings"] == "no"
    assert by_model["net", "Ctx DM 1"]["s.d. of FTV"] is not None
    assert by_model["all20-small-0", "Ctx DM 2"]["in findings"] == "yes"
    assert by_model["all20-small-0", "Ctx DM 2"]["performance"] > 0.9
    assert any(
        "in the findings all the same (--include-untrained)" in one for one in every["limits"]
    )


def test_unknown_performance_is_kept_and_marked_and_stated_performance_is_called_so(inputs, report):
    unknown = report([inputs["untold"]], "unknown")
    assert any(
        "untold: whether it has learned the two tasks is not known" in t for t in unknown["limits"]
    )
    stated = report(
        [inputs["untold"]], "stated", performance={"untold": (0.9, 0.8)}, chance=(0.5, 0.5)
    )
    assert any("0.9 in Ctx DM 1 (chance 0.5), 0.8 in Ctx DM 2 (chance 0.5), as stated, not measured" in t for t in stated["limits"])  # fmt: skip
    assert stated["cards"] == unknown["cards"]


def test_a_comparison_of_networks_that_did_not_learn_is_refused(inputs, report):
    match = "models: expected one that has learned .* got net: 0 in Ctx DM 1"
    with pytest.raises(nc.InputError, match=match):
        report([inputs["net"]], "none")
