"""Nothing is lost: an old output stays until the new one is whole, whatever ends the process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from click.testing import CliRunner
from report_inputs import network_in

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.core import process_pool
from nwbcompare.core.files import check_output, folder_in_progress, written_aside
from nwbcompare.core.process_pool import ends_with_parent
from nwbcompare.model import load, pretrained_path
from nwbcompare.model.checkpoint import CHECKPOINT, EVALUATION, is_finished

NETWORK = "pretrained:all20-small-0"


def command(*words):
    return [sys.executable, "-m", "nwbcompare", *map(str, words)]


def run(*words):
    """Run a command in this process, where no signal, kill or other process is tested."""
    result = CliRunner().invoke(cli, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def few_trials(monkeypatch):
    """Evaluations of as few trials as there can be, in this process."""
    monkeypatch.setattr("nwbcompare.model.curricula.EVALUATION_TRIALS", 32)
    monkeypatch.setattr("nwbcompare.model.training.FINAL_TRIALS", 32)


def contents(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def interrupted(arguments, began, sent=signal.SIGINT):
    """Start a command, send it a signal once something is there, and give how it ended."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    stop = time.monotonic() + 120
    try:
        while not began() and process.poll() is None and time.monotonic() < stop:
            time.sleep(0.02)
        assert process.poll() is None, process.stderr.read()
        process.send_signal(sent)
        _, said = process.communicate(timeout=120)
    finally:
        # a command that does not end must not go on beside the other tests
        process.kill()
    return process.returncode, said


# a finished run ------------------------------------------------------------------------------

TRAINING = [
    "--tasks",
    "fdgo",
    "--units",
    "8",
    "--target",
    "2",
    "--seed",
    "3",
    "--schedule",
    "paper",
]


@pytest.fixture
def finished(tmp_path):
    return shutil.copytree(pretrained_path("all20-small-0"), tmp_path / "run")


@pytest.mark.usefixtures("few_trials")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_finished_run_stays_until_its_replacement_is_whole(tmp_path, finished, sent, status):
    before = contents(finished)
    words = ["train", *TRAINING, "--max-steps", "101", "--out", finished, "--overwrite"]
    aside = tmp_path / ".run.replacement"
    code, said = interrupted(words, (aside / "config.json").is_file, sent)
    assert code == status
    assert "Stopped; no finished output was changed." in said
    assert f"{finished} is as it was. Its replacement is unfinished, in {aside}" in said
    assert contents(finished) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [".run.replacement", "run"]

    run(*words, "--resume")
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert load(finished).config.n_units == 8
    assert load(finished).name == "run"
    assert not (finished / CHECKPOINT).exists()


def test_overwriting_without_resuming_begins_anew(tmp_path, finished):
    (tmp_path / ".run.replacement").mkdir()
    (tmp_path / ".run.replacement" / "left.txt").write_text("of an interrupted run")
    result = CliRunner().invoke(
        cli, ["train", *TRAINING, "--max-steps", "1", "--out", str(finished), "--overwrite"]
    )
    assert result.exit_code == 0, result.output
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert is_finished(finished)
    assert not (finished / "left.txt").exists()


def test_a_run_that_fails_replaces_nothing(tmp_path, finished):
    before = contents(finished)
    words = ["train", *TRAINING, "--units", "9", "--out", str(finished), "--overwrite"]
    words += ["--max-steps", "20"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwbcompare.model.rate_stability.EXPLODED_RATE", 0.0)
        patch.setattr("nwbcompare.model.rate_stability.EXPLODED_SHARE", -1.0)
        with pytest.raises(nc.model.DivergedError, match="rates have exploded by step 20:"):
            CliRunner().invoke(cli, words, catch_exceptions=False)
    assert contents(finished) == before


# other folders that take long ----------------------------------------------------------------


def test_a_finished_analysis_stays_until_its_replacement_is_whole(tmp_path):
    out, network = tmp_path / "analysis", network_in(tmp_path, "net")
    words = ["analyze", network, "--sections", "variance", "--out", out]
    run(*words)
    before = contents(out)
    words = ["analyze", network, "--surrogates", "100000", "--out", out, "--overwrite"]
    aside = tmp_path / ".analysis.replacement"
    code, said = interrupted(words, (aside / "configuration.json").is_file)
    assert code == 130
    assert "Traceback" not in said
    assert contents(out) == before
    assert "go on with it with --resume --overwrite" in said


STUDY = [
    "--networks",
    "2",
    "--units",
    "12",
    "--steps-per-task",
    "40",
    "--regimes",
    "sequential",
    "--train-only",
]


@pytest.mark.usefixtures("few_trials")
def test_finished_networks_of_a_study_stay_until_their_replacement_is_whole(tmp_path):
    out = tmp_path / "study"
    words = ["continual", *STUDY, "--out", out]
    brief = [*words, "--steps-per-task", "1", "--networks", "1"]
    run(*brief)
    before = contents(out)
    aside = tmp_path / ".study.replacement" / "runs" / "sequential-0"
    code, said = interrupted([*words, "--overwrite"], (aside / "config.json").is_file)
    assert code == 130, said
    assert contents(out) == before


def test_workers_end_with_a_killed_parent_and_a_resumed_study_takes_over(tmp_path):
    out = tmp_path / "study"
    words = ["continual", *STUDY, "--jobs", "2", "--out", out]
    process = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(list(out.glob("runs/*/checkpoint.safetensors"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []
    # the locks that they held are those of processes that have ended
    assert len(list(out.glob("runs/.*.lock"))) == 2
    printed = run(*words, "--jobs", "1", "--resume")
    assert f"Networks: 2 of 2 trained to the end, in {out}" in printed
    assert list(tmp_path.rglob("*.lock")) == []


def test_a_worker_looks_for_its_parent_alone(monkeypatch):
    ended = []
    monkeypatch.setattr(process_pool.os, "_exit", ended.append)
    monkeypatch.setattr(process_pool, "LOOK_EVERY_S", 0.01)
    assert ends_with_parent(max)(2, 3) == 3
    time.sleep(0.05)
    # the function ran in this very process, and in a worker of another machine: nobody's child
    assert ended == []
    parents = iter([7, 7, 7, 1, 1])
    monkeypatch.setattr(process_pool.os, "getppid", lambda: next(parents, 1))
    monkeypatch.setattr(process_pool, "_watched", set())
    assert process_pool._run_watched(7, max, 2, 3) == 3
    time.sleep(0.2)
    assert ended == [1]


# folders step by step ------------------------------------------------------------------------


def test_a_new_folder_is_worked_in_itself(tmp_path):
    with folder_in_progress(tmp_path / "run") as folder:
        assert folder == tmp_path / "run"
    (tmp_path / "empty").mkdir()
    with folder_in_progress(tmp_path / "empty", overwrite=True) as folder:
        assert folder == tmp_path / "empty"


def old_and_new(tmp_path):
    for name, text in (("run", "old"), (".run.replacement", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(text)


@pytest.mark.parametrize("resume", [True, False])
def test_a_replacement_takes_the_name_in_the_end(tmp_path, resume):
    old_and_new(tmp_path)
    with folder_in_progress(tmp_path / "run", resume=resume, overwrite=True) as folder:
        assert (folder / "a").exists() == resume
        folder.mkdir(exist_ok=True)
        (folder / "b").write_text("added")
        assert (tmp_path / "run" / "a").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert sorted(contents(tmp_path / "run")) == (["a", "b"] if resume else ["b"])


def test_a_process_killed_between_two_renames_loses_nothing(tmp_path):
    old_and_new(tmp_path)
    (tmp_path / "run").rename(tmp_path / ".run.replaced")
    with folder_in_progress(tmp_path / "run", resume=True) as folder:
        assert (folder / "a").read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


# what is no output ---------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [True, False])
def test_pipes_and_links_to_nothing_are_never_replaced(tmp_path, overwrite):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name, what in (("pipe", "a device or pipe"), ("link", "a link to nothing")):
        with pytest.raises(nc.InputError, match=f"{name}: expected a plain file.* got {what}"):
            check_output(tmp_path / name, overwrite=overwrite)
    with pytest.raises(nc.InputError, match="/dev/null: expected a plain file"):
        check_output("/dev/null", overwrite=overwrite)
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_the_command_line_refuses_a_pipe_before_any_work(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    words = ["tv", NETWORK, "--out", str(tmp_path / "pipe"), "--overwrite"]
    with pytest.raises(nc.InputError, match="a device or pipe"):
        CliRunner().invoke(cli, words, catch_exceptions=False)
    assert (tmp_path / "pipe").is_fifo()


def test_what_a_link_points_to_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "tv.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "there" / "tv.csv")
    with written_aside(tmp_path / "link.csv", overwrite=True) as aside:
        assert aside.suffix == ".csv"
        aside.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there" / "tv.csv").read_text() == "new"


def test_an_evaluation_is_the_sign_of_a_finished_run(finished):
    assert is_finished(finished)
    (finished / EVALUATION).unlink()
    assert not is_finished(finished)
