"""The study of continual learning: training and measuring once, resumption, exclusions."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
import xarray as xr
from click.testing import CliRunner
from report_inputs import CONTEXTS, brain, check_tidy_tables, written
from tiny_studies import QUICK, TINY, quick_settings, tiny_plan

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.core.claim import claimed
from nwbcompare.core.errors import DivergedError, StalledError
from nwbcompare.model import Network, load, save_run
from nwbcompare.model.checkpoint import WEIGHTS, read_importances
from nwbcompare.report.page import Page, read_sections, write_page
from nwbcompare.report.page_section import Evidence, Finding, PageSection
from nwbcompare.report.pictures import picture
from nwbcompare.workflows import (
    continual as study,
    continual_measurements as measuring,
    continual_training as training,
    section_runs,
)
from nwbcompare.workflows.compare import _sections_of
from nwbcompare.workflows.continual import continual, plan_of, train_only
from nwbcompare.workflows.continual_measurements import (
    AT_LEVEL,
    COLUMNS,
    PRIMARY,
    measure_networks,
)
from nwbcompare.workflows.continual_training import (
    FAILURE,
    StudyNetwork,
    find_networks,
    name_of,
    run_folder_of,
    train_networks,
)
from nwbcompare.workflows.measurements import mapping_of
from nwbcompare.workflows.recording_source import RecordingChoice, choose_recording
from nwbcompare.workflows.sampling_protocols import SamplingProtocol
from nwbcompare.workflows.section import Results
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_plan import StudyPlan
from nwbcompare.workflows.training_regimes import REGIMES, UNTRAINED

# the simulated recording has a unit that is silent in both tasks
pytestmark = pytest.mark.filterwarnings("ignore:.*get no FTV")
BLANK = ("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
FURTHER = ("synaptic_intelligence:0.1", "uniform:0.1")


def fails(*_, **__):
    pytest.fail("this was to be read, not computed again")


@pytest.fixture
def undrawn(monkeypatch):
    """Pages whose figures are not rendered, which takes longest."""
    monkeypatch.setattr(*BLANK)


def no_picture(*_):
    return picture("stages", "Nothing.", lambda _: None, size=(1.0, 1.0))


# a whole study, by the command line, then resumed ----------------------------------------------


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
    given = TINY | QUICK | changes
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*BLANK)
        result = command(folder, recorded)
    assert result.exit_code == 0, result.output
    return folder, result.output


@pytest.fixture(scope="module")
def grown(first, tmp_path_factory, recorded, small):
    """The study resumed with more networks and a whole page; and the networks trained for it."""
    folder = shutil.copytree(first[0], tmp_path_factory.mktemp("studies") / "grown")
    trained = []
    train = training.train

    def counted(*configs, out, **options):
        trained.append(out.name)
        return train(*configs, out=out, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train", counted)
        # one picture of seven tasks takes as long as all the rest
        patch.setattr(
            "nwbcompare.workflows.sections.continual_learning._stages_picture", no_picture
        )
        result = continual(folder, recording=recorded, resume=True, **wider())
    assert result == folder
    return folder, trained


def wider(**changes):
    """Plan and settings of the study with a whole page."""
    return {
        "plan": tiny_plan(**{"n_networks": 2, "also": FURTHER, "n_also": 1} | changes),
        "settings": quick_settings(least_performance=0.0),
    }


@pytest.fixture
def again(first, tmp_path):
    """A copy of the study."""
    return shutil.copytree(first[0], tmp_path / "again")


def networks_in(folder, seeds=(0,)):
    return [
        StudyNetwork(regime, seed, run_folder_of(folder, regime, seed))
        for regime in REGIMES
        for seed in seeds
    ]


def texts_of(folder):
    """Return the findings of a page as one text."""
    findings = [one for section in read_sections(folder) for one in section.findings]
    return "\n".join(str(getattr(one, "text", one)) for one in findings)


def test_the_command_writes_a_page_with_the_networks_left_out(first):
    folder, printed = first
    assert str(folder / "index.html") in printed
    assert (folder / "index.html").is_file()
    names = [section.name for section in read_sections(folder)]
    assert names == [
        "ftv-tuning",
        "learning",
        "levels",
        "ftv-every",
        "ftv-ranked",
        "ftv-reversed",
        "ftv-rate",
        "ftv-published",
    ]
    text = texts_of(folder)
    for regime in REGIMES:
        assert f"0 of 1 {regime}" in text
        assert f"Left out: {regime}-0, contextdm" in text
        assert run_folder_of(folder, regime, 0).is_dir()
    assert "below 0.8." in text
    assert (
        "does not apply. Needed: a seed with both a sequential and a consolidated network" in text
    )
    assert {file.stem for file in (folder / "measures").iterdir()} == {
        f"{regime}-0" for regime in (*REGIMES, UNTRAINED)
    }
    page = (folder / "index.html").read_text()
    assert str(folder) not in page
    assert "2 steps a task" in page


def test_a_study_is_resumed_with_more_networks_to_a_whole_page(first, grown):
    folder, trained = grown
    further = ["synaptic_intelligence-0.1-0", "uniform-0.1-0"]
    assert sorted(trained) == sorted([*(f"{regime}-1" for regime in REGIMES), *further])
    for file in first[0].glob("runs/*-0/*"):
        assert (folder / file.relative_to(first[0])).read_bytes() == file.read_bytes()
    with xr.open_datatree(folder / "measures" / "uniform-0.1-0.nc", engine="h5netcdf") as tree:
        assert list(tree.children) == [PRIMARY, "rate"]
    primary, learning, levels, also, *_ = read_sections(folder)
    _check_further_regimes(also, folder)
    assert isinstance(primary.findings[0], Finding)
    assert primary.findings[0].evidence.n.startswith("2 pairs of networks")
    assert "too few for a sign-flip test" in primary.findings[0].text
    assert "undecided: too few pairs" in primary.findings[1]
    assert not any(getattr(one, "main", False) for one in learning.findings)
    assert {row["regime"] for row in learning.rows} == set(REGIMES) - {"interleaved"}
    assert all(row["networks"] == 2 for row in learning.rows)
    assert [finding.endswith("no pair.") for finding in levels.findings] == [True] * 3
    figures = {file.name for file in (folder / "figures").glob("*.svg")}
    assert {"ftv-tuning-pairs.svg", "final-performance.svg"} <= figures
    page = (folder / "index.html").read_text()
    links = re.findall(r'href="#figure-([^"]+)"', page)
    assert links
    for name in links:
        assert f"{name}.svg" in figures
    for name in re.findall(r"<code>((?:figures|tables)/[^<]+)</code>", page):
        assert (folder / name).is_file()
    settings = json.loads((folder / "report.json").read_text())["provenance"]["settings"]
    assert settings.items() >= {"n_networks": 2, "least_performance": 0.0, "n_draws": 1}.items()
    tables = {file.stem for file in (folder / "tables").iterdir()}
    assert tables == {name for section in read_sections(folder) for name in section.tables}
    assert {"also", "also-contrasts"} <= tables


def numbers_in(folder):
    """Return the numbers and figures of a page by file."""
    files = [folder / "report.json", *folder.glob("tables/*"), *folder.glob("figures/*")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_a_resumed_page_is_that_of_computed_results(grown, recorded, tmp_path, monkeypatch):
    folder = shutil.copytree(grown[0], tmp_path / "again")
    for name in ("figures", "tables"):
        shutil.rmtree(folder / name)
    (folder / "report.json").unlink()
    monkeypatch.setattr(training, "train", fails)
    monkeypatch.setattr(measuring, "_measure", fails)
    monkeypatch.setattr(section_runs, "keep_results", fails)
    monkeypatch.setattr(
        "nwbcompare.workflows.sections.continual_learning._stages_picture", no_picture
    )
    continual(folder, recording=recorded, resume=True, **wider())
    assert numbers_in(folder) == numbers_in(grown[0])


def test_sections_are_computed_again_for_other_networks(
    grown, recorded, tmp_path, monkeypatch, undrawn
):
    folder = shutil.copytree(grown[0], tmp_path / "fewer")
    monkeypatch.setattr(training, "train", fails)
    monkeypatch.setattr(measuring, "_measure", fails)
    sections = "nwbcompare.workflows.sections"
    for module, function in (
        ("continual_similarity", "pairs_picture"),
        ("continual_similarity", "_distributions"),
        ("continual_learning", "_stages_picture"),
    ):
        monkeypatch.setattr(f"{sections}.{module}.{function}", no_picture)
    continual(folder, recording=recorded, resume=True, **wider(n_networks=1, also=(), n_also=None))
    primary, learning, *_ = read_sections(folder)
    assert primary.findings[0].evidence.n.startswith("1 pair of networks")
    assert all(row["networks"] == 1 for row in learning.rows)
    assert "also" not in [section.name for section in read_sections(folder)]
    assert not (folder / "tables" / "also.csv").exists()


def _check_further_regimes(also, folder):
    """Check the section of one network each of synaptic intelligence and its control at 0.1."""
    first, one, two, *contrasts = also.findings
    assert "outside the tests" in first
    assert one.startswith("synaptic intelligence 0.1: 1 of 1 network in the comparison, 0 stalled")
    assert two.startswith("uniform 0.1: 1 of 1 network")
    # one pair of networks after two steps
    assert all("No difference" in contrast.text for contrast in contrasts)
    regimes = ["sequential", "synaptic intelligence 0.1", "consolidated", "uniform 0.1"]
    assert [(row["inclusion rule"], row["source"]) for row in also.rows] == [
        *(("yes", name) for name in [*regimes, "SIMULATED monkey"]),
        *(("no", name) for name in regimes),
    ]
    assert [row["contrast"] for row in also.further["contrasts"]] == [
        "consolidated - sequential",
        "synaptic intelligence 0.1 - sequential",
        "uniform 0.1 - sequential",
        "synaptic intelligence 0.1 - consolidated",
        "uniform 0.1 - consolidated",
        "synaptic intelligence 0.1 - uniform 0.1",
    ]
    check_tidy_tables(folder)
    assert (folder / "figures" / "also-pairs.svg").is_file()


def test_a_report_adds_the_findings_with_links_to_their_pictures(tmp_path):
    with_figure = Finding(
        text="Closer.",
        evidence=Evidence(measure="distance", effect=-0.1, p_value=0.01, figure="stages"),
        main=True,
    )
    plain = Finding(text="Not so.", evidence=Evidence(measure="share"))
    section = PageSection(
        name="one",
        heading="One",
        findings=["A word.", with_figure, plain],
        pictures=[no_picture()],
    )
    page = Page(
        title="Of one", lead="", sections=[section], caution="None.", methods=[], provenance={}
    )
    write_page(tmp_path, page)
    (own,) = read_sections(tmp_path)
    # it opens its own page, not that of a report
    assert own.findings == ["A word.", replace(with_figure, main=False), plain]
    (added,) = _sections_of([tmp_path])
    figure = added.pictures[0].name
    assert [getattr(finding, "text", finding) for finding in added.findings] == [
        "A word.",
        "Closer.",
        "Not so.",
    ]
    assert added.findings[1].evidence == replace(with_figure.evidence, figure=figure)
    assert added.findings[2] == plain


def test_a_study_of_other_training_is_not_resumed(again, recorded, monkeypatch):
    monkeypatch.setattr(study, "train_networks", fails)
    match = (
        "expected a study on the same source with the same settings, got steps_per_task: 2 there, "
        "5 asked"
    )
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


def test_training_alone_trains_the_same_networks_and_writes_no_page(alone, first):
    folder, printed = alone
    assert f"Networks: 5 of 5 trained to the end, in {folder}" in printed
    assert sorted(file.name for file in folder.iterdir()) == ["continual.json", "runs"]
    for regime in REGIMES:
        one, other = (load(run_folder_of(place, regime, 0)) for place in (folder, first[0]))
        assert all(
            torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items()
        )
    assert plan_of(folder) == StudyPlan(**TINY)


def test_the_plan_of_a_folder_can_be_changed(alone):
    regimes = ("sequential", "consolidated")
    changed = plan_of(alone[0], n_networks=3, regimes=regimes, also=None)
    assert changed == tiny_plan(n_networks=3, regimes=regimes)


@pytest.mark.parametrize("overwrite", [True, False])
def test_networks_lie_in_the_folder_that_was_named(tmp_path, monkeypatch, overwrite):
    out = tmp_path / "study"
    if overwrite:
        (out / "runs").mkdir(parents=True)
        (out / "continual.json").write_text("{}")
    monkeypatch.setattr(training, "train", lambda *_, out, **__: out.mkdir())
    networks = train_only(out, plan=tiny_plan(regimes=("sequential",)), overwrite=overwrite)
    assert networks == [StudyNetwork("sequential", 0, run_folder_of(out, "sequential", 0))]
    assert networks[0].folder.is_dir()
    assert json.loads((out / "continual.json").read_text()) == tiny_plan().training


def test_networks_are_measured_on_any_recording_without_training(
    alone, first, recorded, tmp_path, monkeypatch, undrawn
):
    monkeypatch.setattr(training, "train", fails)
    before = {file: file.stat().st_mtime_ns for file in alone[0].rglob("*")}
    words = ("--runs", alone[0], "--draws", 1, "--bootstraps", 20)
    result = run(*words, "--recording", recorded, "--out", tmp_path / "a")
    assert result.exit_code == 0, result.output
    # the study that trained them has the same results
    one, other = (
        json.loads((folder / "report.json").read_text())["sections"]
        for folder in (tmp_path / "a", first[0])
    )
    assert one == other
    assert not list((tmp_path / "a" / "runs").iterdir())
    # the runs are not written to, and another recording gives other measures
    assert before == {file: file.stat().st_mtime_ns for file in alone[0].rglob("*")}
    second = written(tmp_path / "b.nc", brain(16, 2, seed=5))
    one_regime = ("--regimes", "sequential", "--recording", second, "--out", tmp_path / "b")
    assert run(*words, *one_regime).exit_code == 0
    trees = [
        xr.load_dataset(
            tmp_path / name / "measures" / "sequential-0.nc", group=PRIMARY, engine="h5netcdf"
        )
        for name in "ab"
    ]
    assert not trees[0]["fractional_task_variance"].equals(trees[1]["fractional_task_variance"])
    # a resumed study measures nothing again
    monkeypatch.setattr(measuring, "_measure", fails)
    again = run(*words, "--recording", recorded, "--out", tmp_path / "a", "--resume")
    assert again.exit_code == 0, again.output


def test_networks_that_cannot_be_measured_are_named(alone, recorded, tmp_path, undrawn):
    runs = shutil.copytree(alone[0], tmp_path / "runs")
    shutil.rmtree(run_folder_of(runs, "interleaved", 0))
    (run_folder_of(runs, "sequential", 0) / "evaluation.json").unlink()
    (run_folder_of(runs, "permuted", 0) / WEIGHTS).unlink()
    (run_folder_of(runs, "uniform", 0) / FAILURE).write_text("rates have exploded\n")
    failures = {one.regime: one.failure for one in find_networks(runs, plan_of(alone[0]))}
    assert failures == {
        "interleaved": "not trained",
        "sequential": "not finished",
        "consolidated": "",
        "permuted": "its weights were not kept",
        "uniform": "rates have exploded",
    }
    words = ("--draws", 1, "--bootstraps", 20, "--recording", recorded, "--out", tmp_path / "out")
    with claimed(run_folder_of(runs, "sequential", 0)):
        assert run("--runs", runs, *words).exit_code == 0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "sequential-0, not finished: held by process" in page
    assert "uniform-0, rates have exploded" in page
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


def test_networks_of_a_study_that_is_kept_without_weights_cannot_be_measured(repository, tmp_path):
    kept = repository / "benchmarks" / "results" / "continual"
    assert plan_of(kept).warm_up_steps == 0
    assert plan_of(kept).n_networks == 12
    assert "elastic:200" in plan_of(kept).also
    with pytest.raises(nc.InputError, match="interleaved-0: its weights were not kept"):
        continual(tmp_path / "out", runs=kept, plan=plan_of(kept))


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
    ("changes", "match"),
    [
        ({"tasks": ("delaygo", "fdgo")}, "recording: expected trials of contextdm1, contextdm2"),
        (
            {"mapped": False},
            "mapping: expected a mapping of the recording's conditions to those of a",
        ),
    ],
)
def test_a_recording_that_cannot_be_compared_is_an_error_before_any_work(
    tmp_path, changes, match, monkeypatch
):
    monkeypatch.setattr(study, "train_networks", fails)
    other = written(tmp_path / "other.nc", brain(16, 2, **changes))
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
def test_impossible_regimes_are_an_error_before_any_work(
    tmp_path, recorded, more, match, monkeypatch
):
    monkeypatch.setattr(study, "train_networks", fails)
    with pytest.raises(nc.InputError, match=match):
        command(tmp_path / "study", recorded, *more)
    assert not (tmp_path / "study").exists()


def test_some_regimes_and_further_ones_are_selected_by_name(tmp_path, recorded, monkeypatch):
    plans = []

    def end(_, plan, **__):
        plans.append(plan)
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
    (plan,) = plans
    assert list(plan.all_regimes) == ["sequential", "consolidated", "elastic 2", "orthogonal 1"]
    assert [len(plan.seeds_of(regime)) for regime in plan.all_regimes] == [3, 3, 1, 1]


def test_numbers_of_processes_are_checked_first(tmp_path, recorded):
    with pytest.raises(nc.InputError, match="n_jobs: .* got 0"):
        train_only(tmp_path / "study", n_jobs=0)
    with pytest.raises(nc.InputError, match="n_jobs: .* got 0"):
        command(tmp_path / "study", recorded, "--jobs", "0")
    assert not (tmp_path / "study").exists()


def test_the_caution_is_of_the_length_of_training_and_of_a_simulated_recording():
    choice = RecordingChoice(activity=xr.DataTree(), guidance="Get it there.")
    text = study._caution(StudyPlan(), choice)
    assert "400 steps a task, 0.064 of the published length" in text
    assert text.endswith("SIMULATED recording: Get it there.")
    alone = replace(choice, guidance="", left_out="Monkey F was found too.")
    assert study._caution(StudyPlan(), alone).endswith("Monkey F was found too.")


# training ------------------------------------------------------------------------------------


def test_finished_networks_are_not_trained_again(first, monkeypatch):
    monkeypatch.setattr(training, "train", fails)
    assert train_networks(first[0], tiny_plan()) == networks_in(first[0])


def test_controls_take_the_importances_of_the_consolidated_network(first, tmp_path, monkeypatch):
    passed = {}

    def take(*_, out, importances, resume):
        passed[out.name] = importances
        assert resume
        if out.name == "consolidated-0":
            shutil.copytree(run_folder_of(first[0], "consolidated", 0), out)

    monkeypatch.setattr(training, "train", take)
    train_networks(tmp_path, tiny_plan())
    assert list(passed) == [
        "interleaved-0",
        "sequential-0",
        "consolidated-0",
        "permuted-0",
        "uniform-0",
    ]
    kept = read_importances(run_folder_of(first[0], "consolidated", 0))
    assert kept.sum() > 0
    for regime in REGIMES:
        if regime in {"permuted", "uniform"}:
            assert torch.equal(passed[f"{regime}-0"], kept)
        else:
            assert passed[f"{regime}-0"] is None


@pytest.mark.parametrize("error", [StalledError, DivergedError])
def test_a_failure_is_written_down_and_its_controls_fail_with_it(tmp_path, monkeypatch, error):
    def stall(*_, out, **__):
        out.mkdir()
        raise error(f"{out}: stage 1 stalled; {out} has no checkpoint yet")

    regimes = ("consolidated", "permuted", "uniform")
    monkeypatch.setattr(training, "train", stall)
    networks = train_networks(tmp_path, tiny_plan(regimes=regimes))
    assert [one.regime for one in networks] == list(regimes)
    assert networks[0].failure == "stage 1 stalled; consolidated-0 has no checkpoint yet"
    for control in networks[1:]:
        assert control.failure == (
            "the consolidated network of seed 0, whose importances it takes, failed"
        )
    text = (run_folder_of(tmp_path, "consolidated", 0) / FAILURE).read_text()
    assert text == networks[0].failure + "\n"
    monkeypatch.setattr(training, "train", fails)
    assert train_networks(tmp_path, tiny_plan(regimes=regimes)) == networks


def test_other_errors_are_not_taken_for_failures(tmp_path, monkeypatch):
    def break_off(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(training, "train", break_off)
    with pytest.raises(OSError, match="disk full"):
        train_networks(tmp_path, tiny_plan(regimes=("sequential",)))
    assert not list(tmp_path.rglob(FAILURE))


def test_networks_do_not_depend_on_the_number_of_processes(tmp_path):
    plan = tiny_plan(n_networks=2, steps_per_task=1, regimes=("sequential",))
    one, two = (train_networks(tmp_path / str(n), plan, n_jobs=n) for n in (1, 2))
    assert [(a.regime, a.seed) for a in one] == [(b.regime, b.seed) for b in two]
    for alone, beside in zip(one, two, strict=True):
        weights, same = (load(each.folder).state_dict() for each in (alone, beside))
        assert all(torch.equal(value, same[name]) for name, value in weights.items())


# measuring -----------------------------------------------------------------------------------


def measure(folder, recording, networks=None, *, n_draws=1, **changes):
    return measure_networks(
        folder,
        networks_in(folder) if networks is None else networks,
        recording,
        mapping_of(recording),
        tiny_plan(**changes),
        quick_settings(n_draws=n_draws),
    )


@pytest.fixture
def no_sampling(monkeypatch):
    monkeypatch.setattr(SamplingProtocol, "activities", fails)


def test_kept_measures_are_read_bit_for_bit(first, tmp_path, recording):
    shutil.copytree(run_folder_of(first[0], "permuted", 0), run_folder_of(tmp_path, "permuted", 0))
    only = [StudyNetwork("permuted", 0, run_folder_of(tmp_path, "permuted", 0))]
    fresh = measure(tmp_path, recording, only)
    assert [one.regime for one in fresh] == ["permuted", UNTRAINED]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SamplingProtocol, "activities", fails)
        kept = measure(tmp_path, recording, only)
    for one, two in zip(fresh, kept, strict=True):
        assert one.results.refusals == two.results.refusals
        names = [PRIMARY, "rate", "ranked", "reversed", "matched", "published"]
        assert list(one.results) == list(two.results) == names
        for name, table in one.results.items():
            same = two.results[name]
            xr.testing.assert_equal(table, same)
            assert set(table.coords) <= set(COLUMNS)
            values = [each["fractional_task_variance"].values for each in (table, same)]
            assert values[0].tobytes() == values[1].tobytes()


def test_measures_stand_without_weights(again, recording, no_sampling):
    for file in again.glob(f"runs/*/{WEIGHTS}"):
        file.unlink()
    measures = measure(again, recording)
    assert [one.regime for one in measures] == [*REGIMES, UNTRAINED]
    assert all(PRIMARY in one.results for one in measures)


def test_only_networks_that_learn_by_themselves_have_levels(again, recording, no_sampling):
    refusals = {one.regime: one.results.refusals for one in measure(again, recording)}
    for regime in ("permuted", "uniform", UNTRAINED):
        assert not refusals[regime]
    for regime in ("interleaved", "sequential", "consolidated"):
        reason = refusals[regime][AT_LEVEL.format(0.8)].reason
        assert reason == "Its Ctx DM tasks never were both at 0.8."


class MeasuredAnewError(Exception):
    pass


@pytest.mark.parametrize("what", ["recording", "weights", "draws", "training", "nothing"])
def test_measures_of_something_else_are_computed_again(again, recording, what, monkeypatch):
    def anew(*_, **__):
        raise MeasuredAnewError

    monkeypatch.setattr(measuring, "_measure", anew)
    folder = run_folder_of(again, "uniform", 0)
    only, changes = [StudyNetwork("uniform", 0, folder)], {}
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


def test_a_network_without_active_units_has_no_sample_and_the_reason(tmp_path, recording, small):
    plan = tiny_plan()
    config, how = plan.configs_of(plan.all_regimes["permuted"], 0)
    silent = Network(config, name="silent")
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
    folder = save_run(silent, run_folder_of(tmp_path, "permuted", 0), training=how)
    only = [StudyNetwork("permuted", 0, folder)]
    measured, untrained = measure(tmp_path, recording, only)
    assert PRIMARY not in measured.results or PRIMARY not in measured.results.refusals
    assert "units that are active" in measured.results.refusals["published"].reason
    assert "published" in untrained.results
    kept = measure(tmp_path, recording, only)[0]
    assert kept.results.refusals == measured.results.refusals


@pytest.mark.shared
def test_measures_of_the_repository_are_read(repository, tmp_path, mante2013_path, monkeypatch):
    choice = choose_recording(f"mante2013:{mante2013_path}?animal=ar", CONTEXTS, 0)
    mapping = mapping_of(choice.activity)
    for name in ("continual", "continual_longer", "continual_warm_up"):
        folder = shutil.copytree(repository / "benchmarks" / "results" / name, tmp_path / name)
        # of one seed, for time
        files = {file.stem for file in (folder / "measures").glob("*-1.nc")}
        networks = [
            StudyNetwork(*name_of(folder / file), folder / "runs" / file)
            for file in sorted(files)
            if UNTRAINED not in file
        ]
        anew = []
        monkeypatch.setattr(
            measuring,
            "_measure",
            lambda one, _, anew=anew: anew.append(one.folder.name) or Results(),
        )
        plan = plan_of(folder)
        measures = measure_networks(folder, networks, choice.activity, mapping, plan, Settings())
        untrained = {f"{UNTRAINED}-{one.seed}" for one in networks}
        assert set(anew) == (untrained if name == "continual_warm_up" else set())
        assert files == {one.name.replace(" ", "-") for one in measures} - set(anew)
        assert all("rate" in one.results for one in measures if one.name not in anew)


@pytest.mark.parametrize("text", ["[", "[" * 10**5, "3", '{"unknown": 1}', '{"tasks": 3}'])
def test_damaged_settings_of_a_study_are_an_error_that_names_them(tmp_path, text):
    (tmp_path / "runs" / "sequential-0").mkdir(parents=True)
    (tmp_path / "continual.json").write_text(text)
    with pytest.raises(nc.InputError, match=r"continual\.json|tasks|task"):
        plan_of(tmp_path)
