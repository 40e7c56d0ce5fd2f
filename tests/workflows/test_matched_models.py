"""A model in a file, whose conditions are matched with the recording's, on the page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from report_inputs import CONTEXTS, brain, recording_of, settings

import nwbcompare as nc
from nwbcompare.workflows.compare import compare
from nwbcompare.workflows.models import load_models

SIDES = ("left", "right")
MATCH = {"coherence_1_sign": {"column": "side", "values": {-1: "left", 1: "right"}}}
SECTIONS = ["sampled", "latencies", "references", "published"]


def model(*, signed, before=10, name="mine"):
    """Twelve units of a model of one's own: two tasks of two sides, in bins of 25 ms."""
    rng = np.random.default_rng(1)
    n_bins = before + 30
    rate = rng.normal(size=(4, n_bins, 12)) if signed else rng.random((4, n_bins, 12))
    block = nc.make_block(
        rate,
        time_s=(np.arange(n_bins) - before + 0.5) * 0.025,
        bin_width_s=0.025,
        aligned_to="stimulus",
        trials={
            "task": np.repeat(CONTEXTS, 2),
            "side": SIDES * 2,
            "correct": [True] * 4,
        },
        units={"unit": [f"m{unit}" for unit in range(12)]},
        epochs={"stim1": (0.0, 0.75)},
        condition_variables={task: ["side"] for task in CONTEXTS},
        source="model",
        name=name,
        deterministic=True,
    )
    return nc.make_activity({"model": block})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matched")
    nc.make_activity({"brain": brain(mapped=False)}).to_netcdf(
        folder / "brain.nc", engine="h5netcdf"
    )
    for kind in (True, False):
        activity = model(signed=kind, before=6 if kind else 0)
        activity.to_netcdf(folder / f"signed-{kind}.nc", engine="h5netcdf")
    return folder


def report(folder, source, **options):
    options = {"match": MATCH, "chance": (0.5, 0.5)} | options
    out = compare(
        [str(folder / source)],
        str(folder / "brain.nc"),
        folder / f"report-{source}-{len(options)}",
        sections=SECTIONS,
        settings=settings(),
        overwrite=True,
        **options,
    )
    return json.loads((out / "report.json").read_text())


def findings_of(page, name):
    section = next(one for one in page["sections"] if one["name"] == name)
    return " ".join(one if isinstance(one, str) else one["text"] for one in section["findings"])


@pytest.fixture(scope="module")
def signed(folder):
    return report(folder, "signed-True.nc")


def test_the_page_says_what_was_matched(signed):
    rows = recording_of(signed)["matches"]["mine"]
    assert [one.strip() for one in rows[1]] == ["coherence_1_sign -1", "side left"]
    method = next(text for text in signed["methods"] if "of mine:" in text)
    assert "coherence_1_sign 1 = side right" in method


def test_a_model_of_ones_own_is_sampled_at_equal_tuning(signed):
    text = findings_of(signed, "sampled")
    assert "mine, tuned as strongly as the recorded units" in text
    assert "Three pairings" in text


def test_negative_rates_are_not_sampled_at_equal_rates_and_the_page_says_so(signed):
    assert "at the recorded units' rates" not in findings_of(signed, "sampled")
    limits = " ".join(signed["limits"])
    assert "Models were not sampled on every protocol. Needed: rates of 0 or more" in limits
    assert "negative rates in more than 5 % of bins, which have no noise" in limits


def test_latencies_that_the_model_has_no_rates_for_are_named(signed):
    text = findings_of(signed, "latencies")
    assert " at 0 ms" in text
    assert " at 100 ms" in text
    # the file begins 150 ms before its epoch
    assert "no rates early enough for 200 ms" in text


def test_positive_rates_are_sampled_at_equal_rates_too(folder):
    page = report(folder, "signed-False.nc")
    assert "mine, at the recorded units' rates" in findings_of(page, "sampled")
    assert not any("every protocol" in line for line in page["limits"])
    assert "for 100 ms and 200 ms" in findings_of(page, "latencies")


def test_conditions_of_ones_own_are_compared_without_a_match_only_when_asked(folder):
    sources, recording = [str(folder / "signed-True.nc")], brain(mapped=False)
    activity = nc.make_activity({"brain": recording})
    with pytest.raises(nc.InputError, match=r"coherence_1_sign: expected a column of the model's"):
        load_models(sources, CONTEXTS, CONTEXTS, activity)
    as_is = load_models(sources, CONTEXTS, CONTEXTS, activity, "as-recorded")
    assert as_is[0].match is None
    with pytest.raises(nc.InputError, match="--match: expected a model in a file"):
        load_models(["pretrained:ctxdm-0"], CONTEXTS, CONTEXTS, activity, MATCH)


def test_the_stimulus_alone_is_the_reference_of_a_model_of_ones_own(signed):
    section = next(one for one in signed["sections"] if one["name"] == "references")
    spread = {row["source"]: row["s.d. of FTV"] for row in section["rows"]}
    assert list(spread) == ["SIMULATED monkey", "mine", "stimulus alone"]
    # noise alone gives it some
    assert spread["stimulus alone"] < spread["mine"]
    assert "untrained" not in findings_of(signed, "references")
