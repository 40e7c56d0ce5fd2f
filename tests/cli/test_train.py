"""The command train: networks, figures, runs gone on with, refusals."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.model.checkpoint import read_configs


def test_the_command_line_trains_draws_and_resumes(tmp_path):
    out, figure = tmp_path / "run", tmp_path / "progress.svg"
    command = ["train", "--tasks", "fdgo", "--schedule", "paper", "--units", "8", "--seed", "2"]
    command += ["--max-steps", "3", "--figure", str(figure), "--out", str(out)]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert "fdgo: 0." in result.output
    assert "of 512 random trials with noise" in result.output
    assert figure.read_text().lstrip().startswith("<?xml")
    network, config = read_configs(out)
    assert (network.n_units, network.seed, config.seed) == (8, 2, 2)
    assert (config.schedule, config.stages[0].max_steps) == ("paper", 3)
    finished = CliRunner().invoke(cli, ["train", "--resume", "--out", str(out)])
    assert finished.exit_code == 0
    assert finished.output == result.output
    for options, match in (
        ([*command[1:9], "--figure", str(figure), "--out", str(out) + "2"], "svg: .*not exist yet"),
        (["--resume", "--out", str(tmp_path / "none")], "a run folder with config.json"),
        (["--out", str(tmp_path / "x")], "--tasks: expected names of tasks, or all"),
    ):
        with pytest.raises(nc.InputError, match=match):
            CliRunner().invoke(cli, ["train", *options], catch_exceptions=False)
