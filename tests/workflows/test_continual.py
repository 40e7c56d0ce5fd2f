"""The study of continual learning: work done once, networks measured, what is left out."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from click.testing import CliRunner
from continual_outcomes import _no_picture, outcome_of
from report_inputs import CONTEXTS, brain, written
from tiny_studies import TINY, tiny

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.core.claim import claimed
from nwbcompare.core.errors import DivergedError, StalledError
from nwbcompare.model import Network, load, save_run
from nwbcompare.model.checkpoint import WEIGHTS, read_evaluation, read_importances, read_log
from nwbcompare.report.analysis_page import read_sections, write_analysis
from nwbcompare.report.page_section import Evidence, Finding, PageSection
from nwbcompare.workflows import (
    continual as study,
    continual_measurements as measuring,
    continual_training as campaign,
)
from nwbcompare.workflows.compare import _sections
from nwbcompare.workflows.continual import settings_of
from nwbcompare.workflows.continual_measurements import (
    AT_LEVEL,
    COLUMNS,
    PRIMARY,
    Measured,
    measure_networks,
)
from nwbcompare.workflows.continual_results import find_outcome
from nwbcompare.workflows.continual_settings import Settings
from nwbcompare.workflows.continual_training import (
    FAILURE,
    Trained,
    find_networks,
    name_of,
    run_folder_of,
    train_networks,
)
from nwbcompare.workflows.measurements import mapping_of
from nwbcompare.workflows.recording_source import RecordingChoice
from nwbcompare.workflows.training_configs import configs_of
from nwbcompare.workflows.training_regimes import REGIMES, UNTRAINED


def fails(*_, **__):
    pytest.fail("this was to be read, not done again")


# a whole study, by the command line, then gone on with -----------------------------------------


@pytest.fixture(scope="module")
def small():
    """Evaluations of as few trials as there can be."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwbcompare.model.curricula.EVALUATION_TRIALS", 32)
        patch.setattr("nwbcompare.model.training.FINAL_TRIALS", 32)
        yield


@pytest.fixture(scope="module")
def recording():
    return nc.make_activity({"a": brain(16, 2)})


def command(out, recorded, *more, **changes):
    given = TINY | {"n_bootstrap": 20} | changes
    options = {
        "--networks": given["n_networks"],
        "--steps-per-task": given["steps_per_task"],
        "--units": given["n_units"],
        "--draws": given["n_draws"],
        "--bootstraps": given["n_bootstrap"],
        "--recording": recorded,
        "--out": out,
    }
    words = [str(word) for pair in options.items() for word in pair]
    return CliRunner().invoke(cli, ["continual", *words, *more], catch_exceptions=False)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return written(tmp_path_factory.mktemp("recordings") / "a.nc", brain(16, 2))


@pytest.fixture(scope="module")
def first(tmp_path_factory, recorded, small):
    """A study of networks that learned nothing, by the command line; not to be written to."""
    folder = tmp_path_factory.mktemp("studies") / "first"
    result = command(folder, recorded)
    assert result.exit_code == 0, result.output
    return folder, result.output


@pytest.fixture
def again(first, tmp_path):
    """A copy of the study."""
    return shutil.copytree(first[0], tmp_path / "again")


def trained_in(folder, seeds=(0,)):
    return [
        Trained(regime, seed, run_folder_of(folder, regime, seed))
        for regime in REGIMES
        for seed in seeds
    ]


def test_the_command_writes_a_page_that_says_what_was_left_out(first):
    folder, printed = first
    assert str(folder / "index.html") in printed
    assert (folder / "index.html").is_file()
    names = [section.name for section in read_sections(folder)]
    assert names == [
        "ftv-sampled",
        "learning",
        "levels",
        "ftv-every",
        "ftv-signal",
        "ftv-published",
    ]
    said = "\n".join(
        str(getattr(one, "text", one))
        for section in read_sections(folder)
        for one in section.findings
    )
    for regime in REGIMES:
        assert f"0 of 1 {regime}" in said
        assert f"Left out: {regime}-0, contextdm" in said
        assert run_folder_of(folder, regime, 0).is_dir()
    assert "below 0.8." in said
    assert "No seed has both a sequential and a consolidated network" in said
    assert {file.stem for file in (folder / "measures").iterdir()} == {
        f"{regime}-0" for regime in (*REGIMES, UNTRAINED)
    }
    page = (folder / "index.html").read_text()
    assert str(folder) not in page
    assert "2 steps a task" in page


def test_a_study_goes_on_with_more_networks_to_a_whole_page(again, recorded, small, monkeypatch):
    before = {file: file.read_bytes() for file in again.glob("runs/*-0/*") if file.is_file()}
    asked = []
    train = campaign.train

    def counted(*configs, out, **options):
        asked.append(out.name)
        return train(*configs, out=out, **options)

    monkeypatch.setattr(campaign, "train", counted)
    more = ("synaptic_intelligence:0.1", "uniform:0.1")
    settings = tiny(n_networks=2, least_performance=0.0, also=more, n_also=1)
    with pytest.MonkeyPatch.context() as patch:
        # one picture of seven tasks takes as long as all the rest
        patch.setattr(
            "nwbcompare.workflows.sections.continual_learning._stages_picture", _no_picture
        )
        found = study.continual(again, recording=recorded, settings=settings, resume=True)
    assert found == again
    further = ["synaptic_intelligence-0.1-0", "uniform-0.1-0"]
    assert sorted(asked) == sorted([*(f"{regime}-1" for regime in REGIMES), *further])
    assert all(file.read_bytes() == content for file, content in before.items())
    with xr.open_datatree(again / "measures" / "uniform-0.1-0.nc", engine="h5netcdf") as tree:
        assert list(tree.children) == [PRIMARY]
    primary, learning, levels, also, *_ = read_sections(again)
    _check_further_regimes(also, again)
    assert isinstance(primary.findings[0], Finding)
    assert primary.findings[0].evidence.n.startswith("2 pairs of networks")
    assert "too few for a sign-flip test" in primary.findings[0].text
    assert "undecided: too few pairs" in primary.findings[1]
    assert not any(getattr(one, "main", False) for one in learning.findings)
    assert {row["regime"] for row in learning.rows} == set(REGIMES) - {"interleaved"}
    assert all(row["networks"] == 2 for row in learning.rows)
    assert [finding.endswith("no pair.") for finding in levels.findings] == [True] * 3
    drawn = {file.name for file in (again / "figures").glob("*.svg")}
    assert {"ftv-sampled-pairs.svg", "final-performance.svg"} <= drawn
    page = (again / "index.html").read_text()
    for named in re.findall(r'href="#figure-([^"]+)"', page):
        assert f"{named}.svg" in drawn
    for named in re.findall(r"<code>(figures/[^<]+)</code>", page):
        assert (again / named).is_file()
    settings_said = json.loads((again / "analysis.json").read_text())
    assert '"n_networks": 2' in json.dumps(settings_said)


def _check_further_regimes(also, folder):
    """Look at the section of one network each of synaptic intelligence and its control at 0.1."""
    first, one, two, *contrasts = also.findings
    assert "outside the tests" in first
    assert one.startswith("synaptic intelligence 0.1: 1 of 1 network in the comparison, 0 stalled")
    assert two.startswith("uniform 0.1: 1 of 1 network")
    # one pair of untrained networks tells nothing
    assert all("No difference" in found.text for found in contrasts)
    assert [row["what"] for row in also.rows] == [
        "sequential",
        "synaptic intelligence 0.1",
        "consolidated",
        "uniform 0.1",
        "SIMULATED monkey",
        "consolidated - sequential",
        "synaptic intelligence 0.1 - sequential",
        "uniform 0.1 - sequential",
        "synaptic intelligence 0.1 - consolidated",
        "uniform 0.1 - consolidated",
        "synaptic intelligence 0.1 - uniform 0.1",
        *(
            f"{regime}, without the inclusion rule"
            for regime in ("sequential", "synaptic intelligence 0.1", "consolidated", "uniform 0.1")
        ),
    ]
    assert (folder / "figures" / "also-pairs.svg").is_file()


def test_a_report_takes_the_findings_in_with_links_to_their_pictures(tmp_path):
    shown = Finding(
        text="Closer.",
        evidence=Evidence(measure="distance", effect=-0.1, p_value=0.01, figure="stages"),
        main=True,
    )
    plain = Finding(text="Not so.", evidence=Evidence(measure="share"))
    section = PageSection(
        name="one", heading="One", findings=["A word.", shown, plain], pictures=[_no_picture()]
    )
    about = {"title": "Of one", "caution": "None.", "methods": [], "provenance": {}}
    write_analysis(tmp_path, [section], **about)
    (read,) = read_sections(tmp_path)
    # it opens its own page, not that of a report
    assert read.findings == ["A word.", replace(shown, main=False), plain]
    (taken,) = _sections([tmp_path])
    figure = taken.pictures[0].name
    assert [getattr(found, "text", found) for found in taken.findings] == [
        "A word.",
        "Closer.",
        "Not so.",
    ]
    assert taken.findings[1].evidence == replace(shown.evidence, figure=figure)
    assert taken.findings[2] == plain


def test_a_study_of_other_training_is_not_gone_on_with(again, recorded, monkeypatch):
    monkeypatch.setattr(study, "train_networks", fails)
    match = r"expected a study with the same training, got steps_per_task: 2 there, 5 asked"
    with pytest.raises(nc.InputError, match=match):
        command(again, recorded, "--resume", steps_per_task=5)
    with pytest.raises(nc.InputError, match="strength: 1.0 there, 0.5 asked"):
        command(again, recorded, "--resume", "--strength", "0.5")
    with pytest.raises(nc.InputError, match="already exists|--overwrite|overwrite"):
        command(again, recorded)
    with pytest.raises(nc.InputError, match="warm_up_steps: 300 there, 0 asked"):
        command(again, recorded, "--resume", "--warm-up", "0")


# networks trained apart from measuring -------------------------------------------------------


def run(*words):
    return CliRunner().invoke(cli, ["continual", *map(str, words)], catch_exceptions=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory, small):
    """The networks of the first study, trained where there is no recording."""
    folder = tmp_path_factory.mktemp("studies") / "alone"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "choose_recording", fails)
        sizes = ("--networks", 1, "--steps-per-task", 2, "--units", 12)
        result = run(*sizes, "--train-only", "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_training_alone_gives_the_same_networks_and_no_page(alone, first):
    folder, printed = alone
    assert f"Networks: 5 of 5 trained to the end, in {folder}" in printed
    assert sorted(file.name for file in folder.iterdir()) == ["continual.json", "runs"]
    for regime in REGIMES:
        one, other = (load(run_folder_of(place, regime, 0)) for place in (folder, first[0]))
        assert all(
            torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items()
        )
    assert settings_of(folder) == Settings(n_networks=1, steps_per_task=2, n_units=12)


def test_networks_are_measured_on_any_recording_without_training(
    alone, first, recorded, tmp_path, monkeypatch
):
    monkeypatch.setattr(campaign, "train", fails)
    before = {file: file.stat().st_mtime_ns for file in alone[0].rglob("*")}
    words = ("--runs", alone[0], "--draws", 1, "--bootstraps", 20)
    result = run(*words, "--recording", recorded, "--out", tmp_path / "a")
    assert result.exit_code == 0, result.output
    # what is found is what the study that trained them found
    one, other = (json.loads((place / "analysis.json").read_text())["sections"]
                  for place in (tmp_path / "a", first[0]))  # fmt: skip
    assert one == other
    assert not list((tmp_path / "a" / "runs").iterdir())
    # the runs are not written to, and another recording gives other measures
    assert before == {file: file.stat().st_mtime_ns for file in alone[0].rglob("*")}
    second = written(tmp_path / "b.nc", brain(16, 2, seed=5))
    assert run(*words, "--recording", second, "--out", tmp_path / "b").exit_code == 0
    trees = [
        xr.load_dataset(
            tmp_path / name / "measures" / "sequential-0.nc", group=PRIMARY, engine="h5netcdf"
        )
        for name in "ab"
    ]
    assert not trees[0]["fractional_task_variance"].equals(trees[1]["fractional_task_variance"])
    # gone on with, nothing is measured again
    monkeypatch.setattr(measuring, "_measure", fails)
    again = run(*words, "--recording", recorded, "--out", tmp_path / "a", "--resume")
    assert again.exit_code == 0, again.output


def test_networks_that_cannot_be_measured_are_named(alone, recorded, tmp_path):
    runs = shutil.copytree(alone[0], tmp_path / "runs")
    shutil.rmtree(run_folder_of(runs, "interleaved", 0))
    (run_folder_of(runs, "sequential", 0) / "evaluation.json").unlink()
    (run_folder_of(runs, "permuted", 0) / WEIGHTS).unlink()
    (run_folder_of(runs, "uniform", 0) / FAILURE).write_text("rates have exploded\n")
    found = {one.regime: one.failure for one in find_networks(runs, settings_of(alone[0]))}
    assert found == {
        "interleaved": "not trained",
        "sequential": "not finished",
        "consolidated": "",
        "permuted": "its weights were not kept",
        "uniform": "rates have exploded",
    }
    words = ("--draws", 1, "--bootstraps", 20, "--recording", recorded, "--out", tmp_path / "out")
    with claimed(run_folder_of(runs, "sequential", 0)):
        assert run("--runs", runs, *words).exit_code == 0
    said = (tmp_path / "out" / "index.html").read_text()
    assert "sequential-0, not finished: held by process" in said
    assert "uniform-0, rates have exploded" in said
    # a regime that the folder does not have is asked for by name
    (run_folder_of(runs, "consolidated", 0) / WEIGHTS).unlink()
    with pytest.raises(
        nc.InputError, match="with their weights, got .*consolidated-0: its weights"
    ):
        run("--runs", runs, *words, "--overwrite")
    assert "uniform-0, rates have exploded" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (
            ("--runs", "RUNS", "--steps-per-task", "5"),
            "--steps-per-task: expected none with --runs",
        ),
        (("--runs", "RUNS", "--warm-up", "0"), "--warm-up: expected none with --runs, got 0"),
        (("--runs", "RUNS", "--train-only"), "--train-only: expected none with --runs"),
        (("--runs", "nowhere"), "nowhere: expected a folder with continual.json .* got no folder"),
        (
            ("--runs", "EMPTY"),
            "expected a folder with continual.json and networks in runs.* another",
        ),
        (("--train-only", "--recording", "x"), "--recording: expected none with --train-only"),
        (("--train-only", "--draws", "2"), "--draws: expected none with --train-only, got 2"),
    ],
)
def test_options_of_training_and_of_measuring_do_not_mix(alone, tmp_path, words, match):
    (tmp_path / "empty").mkdir()
    places = {"RUNS": alone[0], "EMPTY": tmp_path / "empty"}
    with pytest.raises(nc.InputError, match=match):
        run(*(places.get(word, word) for word in words), "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_kept_study_says_that_it_has_no_weights(repository, tmp_path):
    kept = repository / "benchmarks" / "results" / "continual"
    assert settings_of(kept).warm_up_steps == 0
    assert settings_of(kept).n_networks == 12
    assert "elastic:200" in settings_of(kept).also
    with pytest.raises(nc.InputError, match="interleaved-0: its weights were not kept"):
        study.continual(tmp_path / "out", runs=kept, settings=settings_of(kept))


@pytest.mark.parametrize("regime", ["sequential", "elastic 200", "synaptic_intelligence 0.1"])
def test_the_name_of_a_run_folder_is_read_back(tmp_path, regime):
    assert name_of(run_folder_of(tmp_path, regime, 12)) == (regime, 12)


def test_other_folders_among_the_runs_are_named(tmp_path):
    with pytest.raises(
        nc.InputError, match="expected a run folder REGIME-SEED, got 'sequential-x'"
    ):
        name_of(tmp_path / "sequential-x")
    with pytest.raises(nc.InputError, match="METHOD:STRENGTH"):
        name_of(tmp_path / "notes")


def test_a_folder_that_is_no_study_is_left_as_it_is(tmp_path, recorded, monkeypatch):
    monkeypatch.setattr(study, "train_networks", fails)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    for more in (["--overwrite"], ["--resume"], []):
        with pytest.raises(nc.InputError, match="thesis: expected"):
            command(tmp_path / "thesis", recorded, *more)
    assert (tmp_path / "thesis" / "chapter").read_text() == "years of work"


@pytest.mark.parametrize(
    ("made", "match"),
    [
        ({"tasks": ("delaygo", "fdgo")}, "recording: expected trials of contextdm1, contextdm2"),
        ({"mapped": False}, "mapping: expected what the recording's conditions are to a network"),
    ],
)
def test_a_recording_that_cannot_be_compared_is_refused_before_any_work(
    tmp_path, made, match, monkeypatch
):
    monkeypatch.setattr(study, "train_networks", fails)
    other = written(tmp_path / "other.nc", brain(16, 2, **made))
    with pytest.raises(nc.InputError, match=match):
        command(tmp_path / "study", other)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--regimes", "sequential, uniform"], "regimes: expected consolidated beside uniform"),
        (["--also", "elastic"], "also: expected .* METHOD:STRENGTH, got 'elastic'"),
        (["--also-networks", "0"], "n_also: .* got 0"),
    ],
)
def test_regimes_that_cannot_be_are_refused_before_any_work(
    tmp_path, recorded, more, match, monkeypatch
):
    monkeypatch.setattr(study, "train_networks", fails)
    with pytest.raises(nc.InputError, match=match):
        command(tmp_path / "study", recorded, *more)
    assert not (tmp_path / "study").exists()


def test_some_regimes_and_further_ones_are_asked_by_name(tmp_path, recorded, monkeypatch):
    asked = []

    def end(_, settings, **__):
        asked.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "train_networks", end)
    regimes = [
        "--regimes",
        "sequential, consolidated",
        "--also",
        "elastic:2",
        "--also",
        "orthogonal:1",
    ]
    ended = command(tmp_path / "study", recorded, *regimes, "--also-networks", "1", n_networks=3)
    assert ended.exit_code == 1
    (settings,) = asked
    assert settings.all_regimes == ("sequential", "consolidated", "elastic 2", "orthogonal 1")
    assert [len(settings.seeds_of(regime)) for regime in settings.all_regimes] == [3, 3, 1, 1]


def test_numbers_of_processes_are_checked_first(tmp_path):
    with pytest.raises(nc.InputError, match="n_jobs: .* got 0"):
        study.continual(tmp_path / "study", n_jobs=0)


def test_a_simulated_recording_and_the_length_of_training_are_cautioned_of():
    outcome = outcome_of(np.random.default_rng(0), n=2)
    brain = RecordingChoice(activity=xr.DataTree(), guidance="Get it there.")
    said = study._caution(outcome, brain)
    assert "400 steps a task, 0.064 of the published length" in said
    assert said.endswith("SIMULATED recording: Get it there.")
    alone = replace(brain, guidance="", left_out="Monkey F was found too.")
    assert study._caution(outcome, alone).endswith("Monkey F was found too.")


# campaign ------------------------------------------------------------------------------------


def test_finished_networks_are_not_trained_again(first, monkeypatch):
    monkeypatch.setattr(campaign, "train", fails)
    found = train_networks(first[0], tiny())
    assert found == trained_in(first[0])


def test_controls_take_the_importances_of_the_consolidated_network(first, tmp_path, monkeypatch):
    given = {}

    def take(*_, out, importances, resume):
        given[out.name] = importances
        assert resume
        if out.name == "consolidated-0":
            shutil.copytree(run_folder_of(first[0], "consolidated", 0), out)

    monkeypatch.setattr(campaign, "train", take)
    train_networks(tmp_path, tiny())
    assert list(given) == [
        "interleaved-0",
        "sequential-0",
        "consolidated-0",
        "permuted-0",
        "uniform-0",
    ]
    kept = read_importances(run_folder_of(first[0], "consolidated", 0))
    assert kept.sum() > 0
    for regime in REGIMES:
        own = given[f"{regime}-0"]
        if regime in {"permuted", "uniform"}:
            assert torch.equal(own, kept)
        else:
            assert own is None


@pytest.mark.parametrize("error", [StalledError, DivergedError])
def test_a_failure_is_written_down_and_its_controls_fail_with_it(tmp_path, monkeypatch, error):
    def stall(*_, out, **__):
        out.mkdir()
        raise error(f"{out}: stage 1 stalled; {out} has no checkpoint yet")

    regimes = ("consolidated", "permuted", "uniform")
    monkeypatch.setattr(campaign, "train", stall)
    found = train_networks(tmp_path, tiny(regimes=regimes))
    assert [one.regime for one in found] == list(regimes)
    assert found[0].failure == "stage 1 stalled; consolidated-0 has no checkpoint yet"
    for control in found[1:]:
        assert control.failure == (
            "the consolidated network of seed 0, whose importances it takes, failed"
        )
    text = (run_folder_of(tmp_path, "consolidated", 0) / FAILURE).read_text()
    assert text == found[0].failure + "\n"
    monkeypatch.setattr(campaign, "train", fails)
    assert train_networks(tmp_path, tiny(regimes=regimes)) == found


def test_other_errors_are_not_taken_for_failures(tmp_path, monkeypatch):
    def break_off(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(campaign, "train", break_off)
    with pytest.raises(OSError, match="disk full"):
        train_networks(tmp_path, tiny(regimes=("sequential",)))
    assert not list(tmp_path.rglob(FAILURE))


def test_networks_do_not_depend_on_the_number_of_processes(tmp_path):
    settings = tiny(n_networks=2, steps_per_task=1, regimes=("sequential",))
    one, two = (train_networks(tmp_path / str(n), settings, n_jobs=n) for n in (1, 2))
    assert [(a.regime, a.seed) for a in one] == [(b.regime, b.seed) for b in two]
    for alone, beside in zip(one, two, strict=True):
        weights, same = (load(each.folder).state_dict() for each in (alone, beside))
        assert all(torch.equal(value, same[name]) for name, value in weights.items())


# measuring -----------------------------------------------------------------------------------


def measure(folder, recording, trained=None, **changes):
    return measure_networks(
        folder,
        trained_in(folder) if trained is None else trained,
        recording,
        mapping_of(recording),
        tiny(**changes),
        pair=CONTEXTS,
    )


@pytest.fixture
def no_sampling(monkeypatch):
    for name in ("sample_draws", "sample_like", "record_test_trials"):
        monkeypatch.setattr(measuring, name, fails)


def test_what_was_measured_is_read_again_bit_for_bit(first, tmp_path, recording, monkeypatch):
    shutil.copytree(run_folder_of(first[0], "permuted", 0), run_folder_of(tmp_path, "permuted", 0))
    only = [Trained("permuted", 0, run_folder_of(tmp_path, "permuted", 0))]
    fresh = measure(tmp_path, recording, only)
    assert [one.regime for one in fresh] == ["permuted", UNTRAINED]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("sample_draws", "sample_like", "record_test_trials"):
            patch.setattr(measuring, name, fails)
        kept = measure(tmp_path, recording, only)
    for one, two in zip(fresh, kept, strict=True):
        assert one.refused == two.refused
        assert list(one.tables) == list(two.tables) == list(measuring.PROTOCOLS)
        for name, table in one.tables.items():
            xr.testing.assert_equal(table, two.tables[name])
            assert set(table.coords) <= set(COLUMNS)
            values = [each["fractional_task_variance"].values for each in (table, two.tables[name])]
            assert values[0].tobytes() == values[1].tobytes()


def test_measures_stand_without_weights(again, recording, no_sampling):
    for file in again.glob(f"runs/*/{WEIGHTS}"):
        file.unlink()
    found = measure(again, recording)
    assert [one.regime for one in found] == [*REGIMES, UNTRAINED]
    assert all(PRIMARY in one.tables for one in found)


def test_only_networks_that_learn_by_themselves_have_levels(again, recording, no_sampling):
    refused = {one.regime: one.refused for one in measure(again, recording)}
    for regime in ("permuted", "uniform", UNTRAINED):
        assert not refused[regime]
    for regime in ("interleaved", "sequential", "consolidated"):
        assert refused[regime][AT_LEVEL.format(0.8)] == "its Ctx DM tasks never were both at 0.8"


class MeasuredAnewError(Exception):
    pass


@pytest.mark.parametrize("what", ["recording", "weights", "draws", "training", "nothing"])
def test_what_was_measured_of_something_else_is_measured_anew(again, recording, what, monkeypatch):
    def anew(*_, **__):
        raise MeasuredAnewError

    monkeypatch.setattr(measuring, "_measure", anew)
    folder = run_folder_of(again, "uniform", 0)
    only, changes = [Trained("uniform", 0, folder)], {}
    assert measure(again, recording, only)
    if what == "recording":
        block = recording["a"].to_dataset()
        rate = block["rate"].copy()
        rate.values.flat[0] += 1
        recording = nc.make_activity({"a": block.assign(rate=rate)})
    elif what == "weights":
        shutil.copy(run_folder_of(again, "permuted", 0) / WEIGHTS, folder / WEIGHTS)
    elif what == "draws":
        changes = {"n_draws": 2}
    elif what == "training":
        changes = {"steps_per_task": 3}
    else:
        (again / "measures" / "uniform-0.nc").unlink()
    with pytest.raises(MeasuredAnewError):
        measure(again, recording, only, **changes)


def test_a_protocol_that_cannot_be_asked_says_why(tmp_path, recording, small):
    config, training = configs_of("permuted", 0, tiny())
    silent = Network(config, name="silent")
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
    folder = save_run(silent, run_folder_of(tmp_path, "permuted", 0), training=training)
    found, untrained = measure(tmp_path, recording, [Trained("permuted", 0, folder)])
    assert PRIMARY not in found.tables or PRIMARY not in found.refused
    assert "units that are active" in found.refused["published"]
    assert "published" in untrained.tables
    assert (
        measure(tmp_path, recording, [Trained("permuted", 0, folder)])[0].refused == found.refused
    )


# outcome -------------------------------------------------------------------------------------


def test_networks_below_the_criterion_are_left_out_with_their_number(first):
    folder = first[0]
    trained = trained_in(folder)
    broken = Trained("consolidated", 1, folder / "none", "stage 2 ended where it had begun")
    found = find_outcome([*trained, broken], [], xr.Dataset(), tiny())
    assert found.left_out.pop("consolidated-1") == "stage 2 ended where it had begun"
    assert list(found.left_out) == [f"{regime}-0" for regime in REGIMES]
    for one in trained:
        shares = read_evaluation(one.folder)["performance"]
        worst = min(shares[task] for task in CONTEXTS)
        assert f"ended at {worst:.3f}, below 0.8" in found.left_out[f"{one.regime}-0"]
    assert found.logs == {}
    assert {regime: list(own) for regime, own in found.performance.items()} == {
        regime: ["0"] for regime in REGIMES
    }


def test_networks_at_the_criterion_stay_and_those_not_measured_go(first):
    trained = trained_in(first[0])
    measured = [Measured("uniform", 0, {}, {PRIMARY: "Needed: units; here: none."})]
    found = find_outcome(trained, measured, xr.Dataset(), tiny(least_performance=0.0))
    assert found.left_out == {"uniform-0": "Needed: units; here: none."}
    assert list(found.logs) == [regime for regime in REGIMES if regime != "uniform"]
    assert found.logs["permuted"]["0"] == read_log(run_folder_of(first[0], "permuted", 0))
