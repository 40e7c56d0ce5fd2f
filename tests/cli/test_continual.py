"""Learning one task after another on the command line: runs, going on, and refusals."""

from __future__ import annotations

import pytest
import torch
from click.testing import CliRunner

import nwbcompare as nc
from nwbcompare.cli import main as command_line
from nwbcompare.cli.main import cli
from nwbcompare.model.checkpoint import read_configs, read_evaluation, read_log
from nwbcompare.model.curricula import YANG2019, sequential_network

STAGES = ("--stages", "fdgo; dm1,dm2")
SMALL = ("--units", "12", "--steps-per-task", "4")
HELD = ("--consolidation", "synaptic_intelligence")


def train(out, *arguments):
    return CliRunner().invoke(cli, ["train", *arguments, "--out", str(out)], catch_exceptions=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "held"
    result = train(out, *STAGES, *SMALL, *HELD, "--strength", "0.5", "--seed", "3")
    assert result.exit_code == 0, result.output
    return out, result.output


def test_a_run_learns_the_stages_and_measures_all_tasks(run):
    out, printed = run
    for task in ("fdgo", "dm1", "dm2"):
        assert f"{task}: " in printed
    assert "12 steps in" in printed
    log = read_log(out)
    assert [(row["step"], row["stage"]) for row in log] == [(0, 0), (4, 0), (12, 1)]
    assert all(list(row["performance"]) == ["fdgo", "dm1", "dm2"] for row in log)
    network, training = read_configs(out)
    assert network == sequential_network(n_units=12, seed=3)
    assert [stage.tasks for stage in training.stages] == [("fdgo",), ("dm1", "dm2")]
    assert training.consolidation.method == "synaptic_intelligence"
    assert training.consolidation.strength == 0.5
    assert (training.seed, training.consolidation.seed, training.keep) == (3, 3, "last")


@pytest.mark.parametrize(
    "again", [(), (*STAGES, *SMALL, *HELD, "--strength", "0.5", "--seed", "3")]
)
def test_a_stopped_run_goes_on_to_the_same_weights(run, again, tmp_path, monkeypatch):
    out = tmp_path / "stopped"

    def stop(_, log):
        if log[-1]["step"] == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_draw_progress", stop)
    first = train(
        out, *STAGES, *SMALL, *HELD, "--strength", "0.5", "--seed", "3", "--figure", "no.svg"
    )
    assert first.exit_code == 1
    assert not read_evaluation(out)
    result = train(out, "--resume", *again)
    assert result.exit_code == 0, result.output
    whole, joined = (nc.model.load(folder).state_dict() for folder in (run[0], out))
    assert all(torch.equal(value, joined[name]) for name, value in whole.items())


def configs(monkeypatch, tmp_path, *arguments):
    """Return the configurations that a command would train."""
    asked = []

    def begin(*configs, **_):
        asked.extend(configs)
        raise KeyboardInterrupt

    monkeypatch.setattr("nwbcompare.model.training.train", begin)
    assert train(tmp_path / "run", *arguments).exit_code == 1
    return asked


def test_the_published_stages_have_the_published_length_and_network(monkeypatch, tmp_path):
    network, training = configs(monkeypatch, tmp_path, "--stages", "published")
    assert network == sequential_network()
    assert tuple(stage.tasks for stage in training.stages) == YANG2019
    assert [stage.max_steps for stage in training.stages] == [6250, 6250, 12500, 6250, 12500]
    assert training.consolidation.method == "none"
    assert all(stage.target is None for stage in training.stages)


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (("--stages", "fdgo"), 300),
        (("--stages", "fdgo", "--warm-up", "0"), 0),
        (("--tasks", "fdgo"), 0),
        (("--tasks", "fdgo", "--warm-up", "50"), 50),
    ],
)
def test_any_training_may_warm_up(monkeypatch, tmp_path, words, steps):
    assert configs(monkeypatch, tmp_path, *words)[1].warm_up_steps == steps


@pytest.mark.parametrize("stages", [(), ("--stages", "fdgo;dm1")])
def test_what_is_given_goes_before_what_was_published(monkeypatch, tmp_path, stages):
    given = ("--nonlinearity", "softplus", "--initialisation", "diag", "--target", "0.9")
    chosen = stages or ("--tasks", "fdgo,dm1")
    network, training = configs(monkeypatch, tmp_path, *chosen, *given)
    assert (network.nonlinearity, network.recurrent_initialisation) == ("softplus", "diag")
    assert training.stages[-1].target == 0.9


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--stages", "fdgo;flipgo"], "task: expected one of fdgo.* got 'flipgo'"),
        (["--stages", "fdgo;dm1;fdgo"], "stage 3: .* fdgo, which stage 1 trains too"),
        (["--stages", "fdgo;;dm1"], "stage 2: expected at least one task, got none"),
        (["--stages", "fdgo;"], "stage 2: expected at least one task"),
        (["--stages", ""], "stage 1: expected at least one task"),
        ([*STAGES, *HELD, "--strength", "-1"], "strength: expected .* got -1"),
        ([*STAGES, "--strength", "2"], "--strength: expected none without --consolidation"),
        ([*STAGES, "--steps-per-task", "0"], "steps_per_task: expected .* got 0"),
        ([*STAGES, "--tasks", "fdgo"], "--tasks: expected none together with --stages, got 'fdgo'"),
        ([*STAGES, "--schedule", "fast"], "--schedule: expected none together with --stages"),
        ([*STAGES, "--max-steps", "4"], "--max-steps: expected none together .* got 4"),
        (["--tasks", "fdgo", *HELD], "--consolidation: expected with --stages only"),
        (["--tasks", "fdgo", "--steps-per-task", "4"], "--steps-per-task: expected with --stages"),
        (["--resume", "--strength", "2"], "--strength: expected with --stages only, got 2"),
        ([], "--tasks: expected names of tasks, or all, got none. .* give --stages or --resume"),
    ],
)
def test_bad_stages_are_refused_before_any_work(tmp_path, arguments, match):
    with pytest.raises(nc.InputError, match=match):
        train(tmp_path / "run", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_another_strength_is_not_gone_on_with(run):
    with pytest.raises(
        nc.InputError, match=r"consolidation: .*'strength': 0.5.* there, .*2.0.* asked"
    ):
        train(run[0], "--resume", *STAGES, *SMALL, *HELD, "--strength", "2", "--seed", "3")


def test_rule_learning_is_a_command():
    result = CliRunner().invoke(cli, ["rule-learning", "--help"])
    assert "by its rule input alone" in result.output
