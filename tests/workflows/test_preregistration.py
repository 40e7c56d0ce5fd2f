"""Preregistrations: what is in the file, every departure, every refusal, and the page."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.metadata import version

import pytest
from click.testing import CliRunner
from report_inputs import brain, network_in, settings, written
from tiny_studies import quick_settings, tiny_plan

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.core.errors import InputError
from nwbcompare.core.provenance import sources_sha256
from nwbcompare.report.page import Page
from nwbcompare.report.page_section import Evidence, Finding, PageSection
from nwbcompare.workflows import compare as comparing, continual as studying
from nwbcompare.workflows.analysis_sources import FileSource, activity_digest
from nwbcompare.workflows.preregistration import (
    CHECKSUM,
    CONTENTS,
    DESCRIPTIONS,
    NOT_THERE,
    PROOF,
    Preregistration,
    PreregistrationFile,
    Recording,
    _checksum,
    read_preregistration,
    write_preregistration,
)
from nwbcompare.workflows.preregistration_contents import check_networks
from nwbcompare.workflows.recording_source import choose_recording
from nwbcompare.workflows.registry import sections_of
from nwbcompare.workflows.settings import CONTEXTS, Settings
from nwbcompare.workflows.study_plan import StudyPlan

REFUSED = ("report", "pair", "recording.sha256", "contrast")
"""Values without which a run is another one."""
NOTES = ("Does consolidation bring networks nearer?", "No seed is replaced.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small recording, another one, and three networks."""
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in enumerate(("net", "other", "third")):
        network_in(folder, name, seed)
    written(folder / "brain.nc", brain(16, 2))
    written(folder / "another.nc", brain(16, 2, seed=1))
    return folder


def models(folder, *names):
    return [str(folder / name) for name in names or ("net", "other")]


@pytest.fixture(scope="module")
def comparison(folder, tmp_path_factory):
    """The file of a comparison, and what was returned."""
    path = tmp_path_factory.mktemp("files") / "comparison.json"
    file = comparing.preregister(
        models(folder), str(folder / "brain.nc"), path, settings=settings(), notes=NOTES
    )
    return path, file


@pytest.fixture(scope="module")
def study(folder, tmp_path_factory):
    """The file of a study, and what was returned."""
    path = tmp_path_factory.mktemp("files") / "study.json"
    file = studying.preregister(
        path,
        recording=str(folder / "brain.nc"),
        plan=tiny_plan(also=("elastic:200",), n_networks=2, n_also=1),
        settings=quick_settings(least_performance=0.0),
        notes=NOTES,
    )
    return path, file


@pytest.fixture(params=["comparison", "study"])
def either(request):
    return request.getfixturevalue(request.param)


# -- the file -------------------------------------------------------------------------------------


def test_a_file_holds_what_was_written_and_both_its_checksums(either):
    path, file = either
    report = file.contents.report
    assert read_preregistration(path, report, CONTEXTS) == file
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    table = json.loads(path.read_text())
    # the formula of the module's docstring, written out
    text = json.dumps(table["preregistration"], sort_keys=True, separators=(",", ":"))
    assert table["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert path.stat().st_size < 10_000


def test_a_comparison_fixes_pair_data_contrast_numbers_and_networks(comparison, folder):
    contents = comparison[1].contents
    recording = choose_recording(str(folder / "brain.nc"), CONTEXTS, 0).activity
    assert contents.recording.sha256 == activity_digest(recording)
    assert contents.recording.subjects == ["SIMULATED monkey"]
    assert contents.recording.conditions == {task: ["coherence_1_sign"] for task in CONTEXTS}
    assert contents.pair == list(CONTEXTS)
    assert contents.contrast.protocol == "tuning"
    assert contents.contrast.level == 0.05
    assert contents.numbers == {
        "seed": 0,
        "n_permutations": 5,
        "n_bootstrap": 20,
        "n_draws": 1,
        "n_splits": 200,
    }
    assert [(one.name, one.seed) for one in contents.models] == [("net", 0), ("other", 1)]
    assert contents.code.nwbcompare == version("nwbcompare")
    assert contents.code.sources_sha256 == sources_sha256()
    assert contents.mapping["epoch"] == "stim1"
    assert contents.exclusions.least_performance is None
    assert tuple(contents.notes) == NOTES


def test_the_primary_test_is_over_networks_from_three_on(comparison, folder, tmp_path):
    file = comparing.preregister(
        models(folder, "net", "other", "third"), str(folder / "brain.nc"), tmp_path / "three.json"
    )
    assert "networks of this kind" in file.contents.contrast.test
    assert "these networks" in comparison[1].contents.contrast.test


def test_a_study_fixes_regimes_seeds_roles_and_the_recipe(study):
    contents = study[1].contents
    seeds = {one.name: (one.role, one.seeds) for one in contents.study.regimes}
    assert seeds == {
        "interleaved": ("secondary", [0, 1]),
        "sequential": ("primary contrast", [0, 1]),
        "consolidated": ("primary contrast", [0, 1]),
        "permuted": ("control", [0, 1]),
        "uniform": ("control", [0, 1]),
        "elastic 200": ("secondary", [0]),
        "untrained": ("reference", [0, 1]),
    }
    contrast = contents.contrast
    assert (contrast.first, contrast.second) == ("consolidated", "sequential")
    assert contents.exclusions.least_performance == 0.0
    assert "no seed is added, left out or replaced" in contents.exclusions.networks
    training = contents.study.recipe["training"]
    assert [stage["tasks"] for stage in training["stages"]][-1] == ["contextdm1", "contextdm2"]
    assert training["stages"][0]["learning_rates"] == [0.001, 0.001]
    assert contents.study.training["steps_per_task"] == 2


@pytest.mark.parametrize("report", ["compare", "continual"])
def test_nothing_is_measured_and_no_report_is_written(report, folder, tmp_path, monkeypatch):
    def fails(*_, **__):
        pytest.fail("results before the preregistration")

    for name in (
        "measurements.task_variance",
        "measurements.fractional_task_variance",
        "sampling_protocols.network_response",
        "measurements.RecordedTrials.of",
        "compare.compute_sections",
        "continual.compute_sections",
        "continual.train_networks",
    ):
        monkeypatch.setattr(f"nwbcompare.workflows.{name}", fails)
    path, recording = tmp_path / "fixed.json", str(folder / "brain.nc")
    if report == "compare":
        comparing.preregister(models(folder), recording, path)
    else:
        studying.preregister(path, recording=recording)
    assert [one.name for one in tmp_path.iterdir()] == ["fixed.json"]


def test_an_existing_file_is_replaced_on_demand_only_and_a_folder_never(study, tmp_path):
    contents, path = study[1].contents, tmp_path / "fixed.json"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"does not exist yet, got an existing file"):
        write_preregistration(path, contents)
    assert path.read_text() == "mine"
    assert write_preregistration(path, contents, overwrite=True).contents == contents
    (tmp_path / "folder").mkdir()
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"folder: expected a file, got a folder"):
            write_preregistration(tmp_path / "folder", contents, overwrite=overwrite)


# -- a recording that is not there ------------------------------------------------------------------


def test_of_a_recording_that_is_not_there_only_its_source_is_fixed(folder, tmp_path):
    path, later = tmp_path / "fixed.json", tmp_path / "later.nc"
    mapping = "mante2013"
    file = comparing.preregister(
        models(folder), str(later), path, settings=settings(), mapping=mapping
    )
    assert file.contents.recording.model_dump() == {
        "source": str(later),
        "name": None,
        "sha256": None,
        "conditions": None,
        "subjects": None,
        "simulated": False,
    }
    written(later, brain(16, 2))
    run = comparing.preregister(
        models(folder), str(later), tmp_path / "run", settings=settings(), mapping=mapping
    )
    agreement = file.compare(run.contents)
    assert agreement.departures == []
    rows = {row["setting"]: row for row in agreement.on(page(), "sampled").sections[0].rows}
    assert rows["recording.sha256"]["preregistered"] == NOT_THERE
    assert "whose data were not there and so are not fixed" in text_of(agreement)
    elsewhere = comparing.preregister(
        models(folder), str(folder / "brain.nc"), tmp_path / "x", settings=settings()
    )
    assert [one.setting for one in file.compare(elsewhere.contents).departures] == [
        "recording.source"
    ]


def test_a_simulation_in_place_of_a_recording_that_was_not_there_departs(study):
    there = study[1].contents
    file = PreregistrationFile(
        "f", "0", there.model_copy(update={"recording": Recording(source="mante2013")})
    )
    recording = Recording(source="mante2013", name="m", sha256="0", conditions={}, simulated=True)
    (departure,) = file.compare(there.model_copy(update={"recording": recording})).departures
    assert departure.setting == "recording.simulated"


@pytest.mark.parametrize("report", ["compare", "continual"])
def test_the_recording_is_chosen_as_by_the_report(report, folder, tmp_path, monkeypatch):
    asked = []

    def choose(*arguments, every_animal=False, name=None):
        assert name is None
        asked.append((arguments, every_animal))
        raise KeyboardInterrupt

    for name in ("compare", "continual", "preregistration_contents"):
        monkeypatch.setattr(f"nwbcompare.workflows.{name}.choose_recording", choose)
    recording = str(folder / "brain.nc")
    runs = {
        "compare": (
            lambda: comparing.compare(models(folder), recording, tmp_path / "out"),
            lambda: comparing.preregister(models(folder), recording, tmp_path / "x"),
        ),
        "continual": (
            lambda: studying.continual(tmp_path / "out", recording=recording),
            lambda: studying.preregister(tmp_path / "x", recording=recording),
        ),
    }
    for run in runs[report]:
        with pytest.raises(KeyboardInterrupt):
            run()
    assert asked[0] == asked[1]


def test_without_the_archive_no_simulation_is_preregistered(tmp_path, monkeypatch):
    monkeypatch.setenv("NWBCOMPARE_DATA", str(tmp_path))
    file = studying.preregister(tmp_path / "fixed.json")
    assert (file.contents.recording.source, file.contents.recording.sha256) == ("mante2013", None)
    with pytest.raises(InputError, match=r"mapping: expected a mapping of the recording's cond"):
        studying.preregister(tmp_path / "more.json", recording=str(tmp_path / "none.nc"))


def test_what_the_primary_contrast_needs_is_asked_for(tmp_path):
    written(tmp_path / "unmapped.nc", brain(16, 2, mapped=False))
    with pytest.raises(InputError, match=r"which the primary contrast needs, got none"):
        studying.preregister(tmp_path / "a", recording=str(tmp_path / "unmapped.nc"))
    activity = nc.make_activity({"a": brain(16, 2)})
    with pytest.raises(InputError, match=r"models: expected a network.*got activity in files only"):
        check_networks([FileSource("mine.nc", activity)])
    with pytest.raises(InputError, match=r"recording: expected a recording with noisy trials"):
        studying.preregister(tmp_path / "a", recording="pretrained:ctxdm-0")


# -- departures -----------------------------------------------------------------------------------


def changed(table, place):
    """Return a deep copy of a table with another value at a place, and keys that have points."""
    if isinstance(table, list) and table and isinstance(table[0], dict):
        head, _, rest = place.partition(".")
        return [changed(one, rest) if str(i) == head else one for i, one in enumerate(table)]
    if isinstance(table, dict):
        for key, value in table.items():
            if place == key or place.startswith(f"{key}."):
                return table | {key: changed(value, place[len(key) + 1 :])}
    return other_value(table)


def other_value(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, list):
        return [*value, value[0] if value else "x"]
    return {None: 0.5}[value]


def test_every_value_that_differs_is_found_by_its_place_alone(either):
    """Over all values, so that none can be forgotten: each departs, is refused, or means nothing."""
    file = either[1]
    table = file.contents.model_dump(mode="json")
    n_departures = 0
    for place in file.contents.values():
        name = re.sub(r"\.\d+", "", place)
        if name in {"format", "report", "written_on", "models", "study"} or place.startswith(
            "pair"
        ):
            continue
        run = Preregistration.model_validate_json(json.dumps(changed(table, place)))
        assert run != file.contents
        if place.startswith(REFUSED):
            with pytest.raises(InputError, match=r"expected a run with its (recording|primary)"):
                file.compare(run)
        elif name in {*DESCRIPTIONS, "recording.source"}:
            assert file.compare(run).departures == [], place
        else:
            (departure,) = file.compare(run).departures
            assert departure.setting == place
            assert departure.preregistered != departure.present
            n_departures += 1
    assert n_departures > 30
    assert file.compare(file.contents).departures == []


@pytest.mark.parametrize("name", [name for name in comparing.PARAMETERS if name != "pair"])
def test_every_setting_of_a_comparison_is_compared(name, comparison, folder, tmp_path):
    reason = {"margin_reason": "smaller than what a reader could see"}
    changes = {
        "margin": reason | {"margin": 0.07},
        "margin_reason": reason,
        "include_untrained": {"include_untrained": False},
    }.get(name, {name: 3})
    run = comparing.preregister(
        models(folder), str(folder / "brain.nc"), tmp_path / "x", settings=settings(**changes)
    )
    departures = {
        one.setting: one.present for one in comparison[1].compare(run.contents).departures
    }
    if name == "include_untrained":
        assert "below 0.6 in one of the tasks" in departures.pop("exclusions.networks")
        assert not departures
        return
    place = {"margin": "margin.value", "margin_reason": "margin.reason"}.get(
        name, f"numbers.{name}"
    )
    assert departures[place] == changes[name]
    assert len(departures) == (2 if name == "margin" else 1)


def test_a_margin_is_fixed_with_its_reason(folder, tmp_path):
    with pytest.raises(
        InputError, match=r"margin_reason: expected why .* margin of 0.1 .* got none"
    ):
        comparing.preregister(
            models(folder), str(folder / "brain.nc"), tmp_path / "x", settings=settings(margin=0.1)
        )


@pytest.mark.parametrize(
    "change",
    [
        {"plan": {"n_networks": 3}},
        {"plan": {"steps_per_task": 3}},
        {"plan": {"n_units": 13}},
        {"plan": {"strength": 2.0}},
        {"plan": {"warm_up_steps": 0}},
        {"plan": {"regimes": ("sequential", "consolidated")}},
        {"plan": {"also": ()}},
        {"plan": {"n_also": 2}},
        {"settings": {"least_performance": 0.7}},
        {"settings": {"n_draws": 2}},
        {"settings": {"n_bootstrap": 21}},
        {"settings": {"n_splits": 4}},
        {"settings": {"seed": 1}},
    ],
    ids=str,
)
def test_every_setting_of_a_study_is_compared(change, study, folder, tmp_path):
    plan = {"also": ("elastic:200",), "n_networks": 2, "n_also": 1} | change.get("plan", {})
    run = studying.preregister(
        tmp_path / "x",
        recording=str(folder / "brain.nc"),
        plan=tiny_plan(**plan),
        settings=quick_settings(**{"least_performance": 0.0} | change.get("settings", {})),
    )
    assert study[1].compare(run.contents).departures


def test_all_fields_of_a_plan_are_among_the_settings_above():
    """A field that is added to a plan has to be compared too."""
    assert set(StudyPlan.__dataclass_fields__) == {
        "n_networks",
        "steps_per_task",
        "n_units",
        "strength",
        "warm_up_steps",
        "regimes",
        "also",
        "n_also",
    }


def test_the_number_of_processes_is_no_setting(study, folder, tmp_path):
    run = studying.preregister(
        tmp_path / "x",
        recording=str(folder / "brain.nc"),
        plan=tiny_plan(also=("elastic:200",), n_networks=2, n_also=1),
        settings=quick_settings(least_performance=0.0, n_jobs=2),
    )
    assert study[1].compare(run.contents).departures == []


def test_the_order_of_models_departs_since_it_gives_their_seeds(comparison, folder, tmp_path):
    run = comparing.preregister(
        models(folder, "other", "net"),
        str(folder / "brain.nc"),
        tmp_path / "x",
        settings=settings(),
    )
    names = [one.setting for one in comparison[1].compare(run.contents).departures]
    assert {"models.0.name", "models.1.name", "models.0.seed", "models.1.seed"} <= set(names)


# -- refusals -------------------------------------------------------------------------------------


def test_a_file_of_another_command_or_pair_is_refused_before_work(comparison, study):
    with pytest.raises(
        InputError, match=r"expected a run with its command, continual, got compare\. Run what was"
    ):
        read_preregistration(study[0], "compare", CONTEXTS)
    with pytest.raises(
        InputError, match=r"its pair of tasks, contextdm1:contextdm2, got dm1:dm2\. Run what"
    ):
        read_preregistration(comparison[0], "compare", ("dm1", "dm2"))


def test_another_recording_is_refused_with_both(comparison, folder, tmp_path):
    with pytest.raises(
        InputError,
        match=r"recording, .* from .*brain.nc \(SHA-256 \w{64}\), got .*another.nc \(SHA",
    ):
        comparing.compare(
            models(folder),
            str(folder / "another.nc"),
            tmp_path / "report",
            settings=settings(),
            preregistration=comparison[0],
        )
    assert not (tmp_path / "report").exists()


def test_another_primary_contrast_is_refused(comparison, folder, tmp_path):
    with pytest.raises(InputError, match=r"its primary contrast, .*these networks.* got .*of this"):
        comparing.compare(
            models(folder, "net", "other", "third"),
            str(folder / "brain.nc"),
            tmp_path / "report",
            settings=settings(),
            preregistration=comparison[0],
        )


def test_every_edit_of_a_value_is_refused(either, tmp_path):
    path, file = either
    table = json.loads(path.read_text())
    edited = tmp_path / "edited.json"
    for place in file.contents.values():
        edited.write_text(json.dumps(table | {CONTENTS: changed(table[CONTENTS], place)}))
        with pytest.raises(InputError, match=r"expected contents of the SHA-256 \w{64}.*damaged"):
            read_preregistration(edited, file.contents.report, CONTEXTS)


def test_every_damaged_byte_is_refused_or_changes_no_value(comparison, tmp_path):
    path, file = comparison
    whole, damaged = path.read_bytes(), tmp_path / "damaged.json"
    n_refused = 0
    for place in range(0, len(whole), 29):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            read = read_preregistration(damaged, "compare", CONTEXTS)
        except InputError:
            n_refused += 1
        else:
            assert read.contents == file.contents
            assert read.sha256 != file.sha256
    assert n_refused > 50


def test_files_that_are_no_preregistrations_are_refused(study, tmp_path):
    def read(content):
        path = tmp_path / "file.json"
        path.write_bytes(content)
        return read_preregistration(path, "continual", CONTEXTS)

    values = json.loads(study[0].read_text())[CONTENTS]
    for content in (
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"preregistration": NaN, "sha256": ""}',
        study[0].read_bytes()[:-9],
    ):
        with pytest.raises(InputError, match=r"a file that --preregister has written, got one tha"):
            read(content)
    with pytest.raises(InputError, match=r"a file that --preregister has written"):
        read_preregistration(tmp_path, "continual", CONTEXTS)
    later = values | {"format": 2}
    with pytest.raises(
        InputError, match=r"format: expected a preregistration of format 1, got .*2"
    ):
        read(json.dumps({CONTENTS: later, CHECKSUM: _checksum(later)}).encode())


# -- the page -------------------------------------------------------------------------------------


def page(*, main=True):
    found = Finding(text="It differs.", evidence=Evidence(measure="s.d."), main=main)
    section = PageSection(name="sampled", heading="Sampled", findings=[found])
    return Page(title="", lead="", sections=[section], caution="Few.", methods=[], provenance={})


def text_of(agreement, **options):
    return " ".join(agreement.on(page(**options), "sampled").sections[0].findings)


def test_a_page_names_what_was_fixed_and_that_a_hash_dates_nothing(either):
    file = either[1]
    text = text_of(file.compare(file.contents))
    assert text.startswith("Preregistered: the primary finding, difference of ")
    for fixed in (file.sha256, file.contents.recording.sha256, "seed 0", *NOTES):
        assert fixed in text
    result = file.compare(file.contents).on(page(), "sampled")
    assert PROOF in result.limits
    assert file.sha256 in result.methods[-1]
    assert result.caution.startswith("Preregistered: the primary finding, difference ")
    assert result.caution.endswith("Few.")
    record = result.provenance["preregistration"]
    assert record["is_preregistered"] is True
    assert record["preregistered"] == json.loads(json.dumps(file.contents.model_dump(mode="json")))


def test_a_contrast_without_a_result_is_not_called_preregistered(comparison):
    agreement = comparison[1].compare(comparison[1].contents)
    assert "could not be computed" in text_of(agreement, main=False)
    # main findings of other sections do not count
    for one, primary in ((page(main=False), "sampled"), (page(), "other")):
        record = agreement.on(one, primary).provenance["preregistration"]
        assert record["is_preregistered"] is False


def test_a_comparison_that_departs_lists_how_above_all_findings(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    inputs = models(folder, "net"), str(folder / "brain.nc")
    file = comparing.preregister(*inputs, tmp_path / "fixed.json", settings=settings())
    out = comparing.compare(
        *inputs,
        tmp_path / "report",
        # the section of the primary contrast is added
        sections=["samples"],
        settings=settings(seed=3, n_bootstrap=21),
        preregistration=tmp_path / "fixed.json",
    )
    numbers = json.loads((out / "report.json").read_text())
    record = numbers["provenance"]["preregistration"]
    assert record["file_sha256"] == file.sha256
    assert record["is_preregistered"] is False
    assert record["departures"] == [
        {"setting": "numbers.seed", "preregistered": 0, "present": 3},
        {"setting": "numbers.n_bootstrap", "preregistered": 20, "present": 21},
    ]
    first, *others = numbers["sections"]
    assert first["name"] == "preregistration"
    assert [row["departs"] for row in first["rows"]][:3] == ["yes", "yes", ""]
    assert "sampled" in {one["name"] for one in others}
    assert numbers["caution"].startswith("Not preregistered: this run departs from fixed.json in 2")
    assert "numbers.seed (preregistered 0, present 3)" in numbers["caution"]
    assert any("numbers.n_bootstrap (preregistered 20" in line for line in numbers["limits"])
    assert "Preregistered: the primary" not in (out / "index.html").read_text()


@pytest.mark.filterwarnings("ignore:.*get no FTV")
def test_a_study_is_checked_too(study, folder, tmp_path, monkeypatch):
    for name, result in (
        ("train_networks", []),
        ("measure_networks", []),
        ("compute_sections", {}),
    ):
        monkeypatch.setattr(f"nwbcompare.workflows.continual.{name}", lambda *_, r=result, **__: r)
    options = {"recording": str(folder / "brain.nc"), "preregistration": study[0]}
    plan = {"also": ("elastic:200",), "n_networks": 2, "n_also": 1}

    def report(name, **changes):
        out = studying.continual(
            tmp_path / name,
            plan=tiny_plan(**plan | changes),
            settings=quick_settings(least_performance=0.0),
            **options,
        )
        return json.loads((out / "report.json").read_text())

    numbers = report("departing", n_also=2)
    assert numbers["provenance"]["preregistration"]["departures"] == [
        {"setting": "study.regimes.5.seeds", "preregistered": [0], "present": [0, 1]}
    ]
    assert numbers["caution"].startswith("Not preregistered: this run departs from study.json in 1")
    assert PROOF in numbers["limits"]
    numbers = report("same")
    assert numbers["provenance"]["preregistration"]["departures"] == []
    assert numbers["caution"].startswith("The primary contrast that study.json fixed could not be")


@pytest.mark.parametrize("report", ["compare", "continual"])
def test_the_section_of_the_primary_contrast_is_one_of_the_report(report):
    module = {"compare": comparing, "continual": studying}[report]
    assert module.PRIMARY in sections_of(report)


# -- the command line -----------------------------------------------------------------------------


def invoke(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def test_a_command_writes_the_file_alone_and_prints_its_sha256_last(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["compare", "--model", folder / "net", "--recording", folder / "brain.nc"]
    words += ["--out", tmp_path / "report", "--preregister", "fixed.json", "--note", "Why?"]
    result = invoke(*words, "--seed", 7)
    assert result.exit_code == 0, result.output
    path = tmp_path / "fixed.json"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.stdout.splitlines()[-1] == f"{digest}  fixed.json"
    assert [one.name for one in tmp_path.iterdir()] == ["fixed.json"]
    contents = read_preregistration(path, "compare", CONTEXTS).contents
    assert (contents.numbers["seed"], contents.notes) == (7, ["Why?"])
    assert contents.numbers["n_bootstrap"] == Settings().n_bootstrap


def test_a_study_is_preregistered_by_its_command_and_a_typing_error_is_seen(folder, tmp_path):
    words = ["continual", "--out", tmp_path / "study", "--mapping", "mante2013"]
    path = tmp_path / "fixed.json"
    result = invoke(*words, "--recording", tmp_path / "brian.nc", "--preregister", path)
    assert result.exit_code == 0, result.output
    assert f"No recording was found at {tmp_path / 'brian.nc'}" in result.output
    assert result.output.splitlines()[-1].endswith(f"  {path}")
    with pytest.raises(InputError, match=r"an existing file"):
        invoke(*words, "--recording", folder / "brain.nc", "--preregister", path)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--note", "Why?"], "--note: expected none without --preregister"),
        (
            ["--preregister", "a", "--preregistration", "b"],
            "--preregistration: expected none with --preregister, got 'b'",
        ),
        (["--preregister", "a", "--train-only"], "--train-only: expected none with --preregister"),
        (["--train-only", "--preregistration", "b"], "--preregistration: expected none with --tr"),
    ],
)
def test_options_that_exclude_each_other_are_refused(more, message, tmp_path):
    with pytest.raises(InputError, match=message):
        invoke("continual", "--out", tmp_path / "study", *more)


def test_the_facts_of_an_earlier_plan_have_their_places(study):
    """The plan that was written by hand for the networks of the published length."""
    file: PreregistrationFile = study[1]
    contents = file.contents
    training = contents.study.recipe["training"]
    facts = {
        "question": contents.notes,
        "fixed_on": contents.written_on,
        "code": contents.code.git_revision,
        "n_units": contents.study.training["n_units"],
        "steps_per_task": contents.study.training["steps_per_task"],
        "strength": contents.study.training["strength"],
        "warm_up_steps": contents.study.training["warm_up_steps"],
        "learning_rate": training["stages"][0]["learning_rates"],
        "batch_size": training["batch_size"],
        "order": [one.seeds for one in contents.study.regimes],
        "rules": contents.exclusions.networks,
    }
    assert None not in facts.values()
