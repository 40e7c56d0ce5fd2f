"""The command line: what a user sees of its commands, and of bad input to them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner
from report_inputs import brain, network_in, written
from section_calls import count_calls

import nwbcompare as nc
from nwbcompare.cli.main import cli, main
from nwbcompare.core.schema import InvalidActivityError
from nwbcompare.testing import example_block
from nwbcompare.workflows.registry import sections_of


def command(*arguments, cwd=None, **environment):
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "nwbcompare", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
        timeout=240,
    )


def test_ftv_on_the_command_line(tmp_path):
    result = command("ftv", "pretrained:ctxdm-0", "--json", "--out", tmp_path / "ftv.nc")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["attrs"]["task_a"] == "contextdm1"
    ftv = values["values"]["fractional_task_variance"]["values"]
    assert len(ftv) == 256
    assert None in ftv
    assert (tmp_path / "ftv.nc").is_file()


def test_tv_of_a_netcdf_file_is_printed_as_json(tmp_path):
    activity = nc.make_activity({"go": example_block()})
    activity.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    result = CliRunner().invoke(cli, ["tv", str(tmp_path / "a.nc"), "--json"])
    assert result.exit_code == 0, result.output
    values = json.loads(result.output)
    assert values["attrs"]["deterministic"] == 0
    assert len(values["values"]["task_variance"]["values"]) == 3


def test_a_source_without_conditions_is_refused_with_what_to_type(tmp_path):
    bare = example_block().assign_attrs(condition_variables='{"go": []}', deterministic=1)
    path = nc.write_nwb(bare, tmp_path / "a.nwb")
    result = command("tv", path)
    assert result.returncode == 2
    assert "correct (2 values), direction (4 values)" in result.stderr
    # both ways that it names lead there
    for words in ([f"{path}?conditions=direction"], [str(path), "--conditions", "direction"]):
        result = CliRunner().invoke(cli, ["tv", *words])
        assert result.exit_code == 0, result.output


@pytest.mark.shared
def test_tv_on_the_command_line_takes_a_loader_with_options(mante2013_path):
    words = ["tv", f"mante2013:{mante2013_path}?quality=single&animal=ar", "--json"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    values = json.loads(result.output)["values"]["task_variance"]["values"]
    assert len(values) == 181


def test_training_and_recording_on_the_command_line(tmp_path):
    run = tmp_path / "run"
    command = ["train", "--tasks", "contextdm1,contextdm2", "--units", "8", "--out", str(run)]
    result = CliRunner().invoke(cli, [*command, "--schedule", "paper", "--max-steps", "4"])
    assert result.exit_code == 0, result.output
    assert "of 512 random trials with noise" in result.output
    for name in ("a.nwb", "a.nc"):
        result = CliRunner().invoke(cli, ["record", str(run), "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
    one, two = (nc.task_variance(nc.open(tmp_path / name)) for name in ("a.nwb", "a.nc"))
    assert one["task_variance"].equals(two["task_variance"])
    assert nc.task_variance(nc.open(run))["task_variance"].equals(one["task_variance"])
    with pytest.raises(nc.InputError, match=r"ending in .nwb or .nc"):
        CliRunner().invoke(
            cli, ["record", str(run), "--out", str(tmp_path / "a.csv")], catch_exceptions=False
        )
    result = CliRunner().invoke(
        cli, ["record", str(run), "--protocol", "matched", "--out", str(tmp_path / "m.nc")]
    )
    assert nc.open(tmp_path / "m.nc")["matched"].sizes["unit"] == 48


def test_datasets_are_listed_and_explained():
    listed = CliRunner().invoke(cli, ["datasets", "list", "--json"], catch_exceptions=False)
    assert "mante2013" in json.loads(listed.output)
    info = CliRunner().invoke(cli, ["datasets", "info", "mante2013"], catch_exceptions=False)
    assert "Nature 503" in info.output


@pytest.fixture
def refused(monkeypatch, capsys):
    """A function that runs the command line in this process; it gives status and standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["nwbcompare", *words])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().err

    return run


def test_bad_input_ends_a_process_with_status_2(tmp_path):
    result = command("tv", "nowhere", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "source 'nowhere': expected an existing file or folder" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["task-variance", "nowhere"], r"source 'nowhere': expected an existing file or folder"),
        (["tv", "mante2013:nowhere"], r"Cite: Mante V"),
        (
            ["ftv", "pretrained:ctxdm-0", "--pair", "contextdm1:contextdm3"],
            "Did you mean 'contextdm",
        ),
        (
            ["ftv", "pretrained:ctxdm-0", "--pair", "contextdm1:contextdm1"],
            "other than 'contextdm1'",
        ),
        (["ftv", "pretrained:ctxdm-0", "--pair", "contextdm1"], "TASK_A:TASK_B"),
        (
            ["tv", "pretrained:ctxdm-0", "--estimator", "mean"],
            "estimator: expected one of per_time",
        ),
        (["train", "--tasks", "flipgo", "--out", "run"], "task: expected one of fdgo"),
        (["report", "--model", "nowhere"], "a run folder with config.json"),
        (["datasets", "info", "mante"], "Did you mean 'mante2013'"),
        (["record", "pretrained:ctxdm-0", "--out", "/proc/nowhere/x.nwb"], "can be written"),
        (["tv"], "Missing argument"),
    ],
)
def test_bad_input_ends_with_status_2_and_leaves_nothing(
    tmp_path, monkeypatch, refused, arguments, match
):
    monkeypatch.chdir(tmp_path)
    status, said = refused(*arguments)
    assert status == 2, said
    assert re.search(match, said)
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_refused_before_any_work(tmp_path, monkeypatch, refused):
    (tmp_path / "report").mkdir()
    monkeypatch.chdir(tmp_path)
    status, said = refused("report")
    assert status == 2
    assert "--overwrite" in said


COMPARE = ["compare", "--model", "pretrained:ctxdm-0", "--recording", "nowhere", "--out", "report"]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--pair", "contextdm1"], r"--pair: expected TASK_A:TASK_B, got 'contextdm1'"),
        (["--pair", "contextdm1:contextdm1"], "pair: expected two different tasks"),
        (
            ["--margin", "2"],
            r"margin: expected a difference in s.d. of FTV above 0 and at most 1, got 2",
        ),
        (["--margin", "0"], "margin: expected a difference"),
        (["--permutations", "0"], "n_permutations: expected .*, got 0"),
        (["--bootstraps", "0"], "n_bootstrap: expected .*, got 0"),
        (["--draws", "0"], "n_draws: expected .*, got 0"),
        (["--seed", "-1"], "seed: expected .*, got -1"),
        ([], "source 'nowhere': expected an existing file"),
    ],
)
def test_settings_are_checked_before_any_work(tmp_path, monkeypatch, arguments, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(nc.InputError, match=match):
        CliRunner().invoke(cli, [*COMPARE, *arguments], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["compare", "report"])
def test_the_sections_of_a_comparison_are_listed(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, [command, "--list-sections"])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    sections = sections_of("compare")
    assert lines == [
        f"{name}: {section.heading}{' (long)' * section.is_long}"
        for name, section in sections.items()
    ]
    assert "nulls: Nulls, each for its claim" in lines
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sections", "match"),
    [
        ("nulls,splithalf", "sections: expected one of samples, .*Did you mean 'split-half'"),
        (",", "sections: expected at least one section, got none"),
    ],
)
def test_unknown_sections_are_an_error_before_any_work(tmp_path, monkeypatch, sections, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(nc.InputError, match=match):
        CliRunner().invoke(cli, [*COMPARE, "--sections", sections], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_of_some_sections_is_resumed_with_more(tmp_path, monkeypatch):
    written(tmp_path / "brain.nc", brain())
    network_in(tmp_path, "net")
    monkeypatch.chdir(tmp_path)
    words = ["compare", "--model", "net", "--recording", "brain.nc", "--out", "report"]
    words += ["--permutations", "5", "--bootstraps", "20", "--draws", "1"]
    words += ["--include-untrained"]

    def run(*more):
        result = CliRunner().invoke(cli, [*words, *more], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        values = json.loads((tmp_path / "report" / "report.json").read_text())
        return result.output, values["sections"]

    printed, (examples,) = run("--sections", "examples")
    assert printed.splitlines()[-2:] == ["report/index.html", "report/report.json"]
    calls = count_calls(monkeypatch, "compare")
    _, (nulls, again) = run("--sections", "examples, nulls", "--resume")
    assert calls == [("SIMULATED monkey", "nulls")]
    assert again == examples
    assert nulls["name"] == "nulls"


@pytest.mark.parametrize("left_out", [1, 3, 5])
def test_compare_asks_for_what_it_needs(left_out):
    words = COMPARE[:left_out] + COMPARE[left_out + 2 :]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert f"Missing option '{COMPARE[left_out]}'" in result.output


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ([], "an empty folder"),
        (["a.txt"], "a folder of other files"),
        (["a.nwb", "b.nwb"], "a.nwb: expected a whole NWB file"),
    ],
)
def test_folders_that_are_no_source_are_refused(tmp_path, files, match):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(nc.InputError, match=match):
        nc.open(tmp_path)


def test_damaged_netcdf_is_refused(tmp_path):
    path = tmp_path / "a.nc"
    path.write_bytes(b"not netCDF")
    with pytest.raises(nc.InputError, match="a whole netCDF file of an activity"):
        nc.open(path)
    nc.make_activity({"a": example_block().drop_vars("task")}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(InvalidActivityError, match="task: expected a coordinate"):
        nc.open(path)


def test_every_command_has_help_with_an_example():
    for name in ("train", "record", "task-variance", "ftv", "report", "compare"):
        assert "nwbcompare " + name in CliRunner().invoke(cli, [name, "--help"]).output


def test_atomic_outputs(tmp_path):
    from nwbcompare.core.files import check_output, sha256_of_set, written_aside

    with pytest.raises(RuntimeError, match="stop"), written_aside(tmp_path / "x") as aside:
        aside.write_text("half")
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    with written_aside(tmp_path / "folder", overwrite=True) as aside:
        aside.mkdir()
        (aside / "new").touch()
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["new"]
    (tmp_path / "file").touch()
    with pytest.raises(nc.InputError, match="which is not a writable folder"):
        check_output(tmp_path / "file" / "x")
    assert sha256_of_set([("b", "2"), ("a", "1")]) == sha256_of_set([("a", "1"), ("b", "2")])
    assert Path(tmp_path / "file").is_file()
