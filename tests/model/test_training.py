"""Training: reproducible, stopped and resumed, refused in time."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from short_training import SHORT, SMALL, TASKS, _equal

import nwbcompare as nc
from nwbcompare.cli.main import main
from nwbcompare.core.errors import DivergedError
from nwbcompare.model import (
    Network,
    NetworkConfig,
    Regularisation,
    Stage,
    evaluate,
    load,
    train,
    training,
    training_config,
)
from nwbcompare.model.checkpoint import (
    CHECKPOINT,
    read_configs,
    read_evaluation,
    read_training,
    start_run,
)
from nwbcompare.model.memory import _needed_bytes
from nwbcompare.tasks import make_trials

FAST = replace(
    SHORT,
    tasks=("fdgo", "dmsgo", "contextdm1"),
    stages=(
        Stage(dt_ms=100, coherence_scale=10, max_steps=20, target=0.99),
        Stage(dt_ms=50, max_steps=10, learning_rates=(1e-3, 1e-4)),
    ),
    batches="mixed",
    task_weights="error",
    clip_by="norm",
    weight_average=0.9,
    noise="pool",
)


def _weights(folder):
    return load(folder).state_dict()


def _plain_log(folder):
    """The log without its clock."""
    with (folder / "log.csv").open() as file:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a finished run by its configuration; tests do not change it."""
    folders = {config: tmp_path_factory.mktemp("trained") / "run" for config in (SHORT, FAST)}
    for config, folder in folders.items():
        train(SMALL, config, out=folder)
    return folders


@pytest.mark.parametrize("config", [SHORT, FAST], ids=["published", "fast"])
def test_training_reproduces_bit_for_bit(tmp_path, trained, config):
    train(SMALL, config, out=tmp_path / "a")
    train(SMALL, replace(config, seed=1), out=tmp_path / "c")
    folders = (trained[config], tmp_path / "a", tmp_path / "c")
    one, two, other = (_weights(folder) for folder in folders)
    assert _equal(one, two)
    assert not _equal(one, other)
    assert not torch.equal(one["bias"], Network(SMALL).bias)
    assert _plain_log(trained[config]) == _plain_log(tmp_path / "a")
    assert read_training(tmp_path / "a") == config
    assert set(read_evaluation(tmp_path / "a")["performance"]) == set(config.tasks)


def test_scheduling_of_the_shards_changes_nothing(tmp_path, trained, monkeypatch):
    """The second shard first, the first late: the sum is still taken in order."""
    real = training._Run._make_shard

    def late(run, shards, place, n_steps):
        time.sleep(0.003 * (1 - place))
        return real(run, shards, place, n_steps)

    monkeypatch.setattr(training._Run, "_make_shard", late)
    train(SMALL, SHORT, out=tmp_path / "b")
    assert _equal(_weights(trained[SHORT]), _weights(tmp_path / "b"))


def test_training_reduces_the_loss(tmp_path):
    config = replace(
        SHORT,
        tasks=TASKS[:1],
        stages=(Stage(dt_ms=100, coherence_scale=10, max_steps=120),),
        evaluate_every=60,
        batch_size=32,
    )
    fresh = NetworkConfig(n_units=32, nonlinearity="relu")
    train(fresh, config, out=tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 2
    trials = make_trials("contextdm1", "random", n_trials=64, seed=0, dt_ms=100)
    errors = [
        np.abs(
            network(torch.from_numpy(trials["input"].values), dt_ms=100)[1].detach().numpy() - 0.05
        ).mean()
        for network in (Network(fresh), load(tmp_path / "run"))
    ]
    assert errors[1] < 0.5 * errors[0]


def test_the_fast_schedule_learns_three_tasks(tmp_path):
    config = training_config(("fdgo", "delaygo", "fdanti"), n_units=64, seed=1)
    network = NetworkConfig(n_units=64, rules=config.tasks, seed=1)
    trained = train(network, config, out=tmp_path / "run")
    assert min(evaluate(trained, config.tasks, seed=5).values()) > 0.94


def test_small_networks_learn_at_higher_rates_and_in_one_part():
    of = {n: training_config(TASKS, n_units=n) for n in (8, 64, 128, 256, 512)}
    rates = {n: config.stages[0].learning_rates[0] for n, config in of.items()}
    assert rates == pytest.approx({8: 6e-3, 64: 6e-3, 128: 4e-3, 256: 2e-3, 512: 2e-3})
    assert [config.n_shards for config in of.values()] == [1, 1, 2, 2, 2]
    paper = training_config(TASKS, schedule="paper", n_units=64)
    assert paper.stages == training_config(TASKS, schedule="paper").stages


class StopHereError(Exception):
    pass


@pytest.mark.parametrize("config", [SHORT, FAST], ids=["published", "fast"])
@pytest.mark.parametrize("evaluations", [1, 2, 3])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, trained, config, evaluations):
    seen = []

    def stop(log):
        seen.append(len(log))
        if len(seen) > evaluations:
            raise StopHereError

    whole_rows = _plain_log(trained[config])
    if evaluations < len(whole_rows):
        with pytest.raises(StopHereError):
            train(SMALL, config, out=tmp_path / "parted", watch=stop)
        # the evaluation before the first step is repeated, those after steps are not
        assert (tmp_path / "parted" / CHECKPOINT).is_file() == (config is SHORT or evaluations > 1)
    train(SMALL, config, out=tmp_path / "parted", resume=True)
    assert _equal(_weights(trained[config]), _weights(tmp_path / "parted"))
    assert _plain_log(tmp_path / "parted") == whole_rows
    assert not (tmp_path / "parted" / CHECKPOINT).exists()


def test_a_killed_run_goes_on_as_if_it_had_not_been_killed(tmp_path):
    config = replace(SHORT, stages=(Stage(dt_ms=100, max_steps=200),))
    train(SMALL, config, out=tmp_path / "whole")
    start_run(tmp_path / "killed", SMALL, config)
    command = [sys.executable, "-m", "nwbcompare", "train", "--resume", "--out"]
    running = subprocess.Popen([*command, str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
    checkpoint = tmp_path / "killed" / CHECKPOINT
    deadline = time.monotonic() + 120
    while not checkpoint.is_file() and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert checkpoint.is_file()
    train(SMALL, config, out=tmp_path / "killed", resume=True)
    assert _equal(_weights(tmp_path / "whole"), _weights(tmp_path / "killed"))


def test_resuming_refuses_another_configuration_and_shows_the_difference(tmp_path):
    start_run(tmp_path / "run", SMALL, SHORT)
    with pytest.raises(nc.InputError, match="training.batch_size: 8 there, 9 asked"):
        train(SMALL, replace(SHORT, batch_size=9), out=tmp_path / "run", resume=True)
    with pytest.raises(nc.InputError, match="network.n_units: 16 there, 17 asked"):
        train(replace(SMALL, n_units=17), SHORT, out=tmp_path / "run", resume=True)


def test_resuming_a_finished_run_loads_it(trained):
    run = trained[SHORT]
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    again = train(SMALL, SHORT, out=run, resume=True)
    assert _equal(again.state_dict(), _weights(run))
    assert before == {file.name: file.read_bytes() for file in run.iterdir()}
    with pytest.raises(nc.InputError, match=r"network.n_units: 16 there, 17 asked"):
        train(replace(SMALL, n_units=17), SHORT, out=run, resume=True)


def test_another_run_is_not_overwritten(tmp_path):
    start_run(tmp_path / "run", SMALL, SHORT)
    with pytest.raises(nc.InputError, match="a path that does not exist yet"):
        train(SMALL, SHORT, out=tmp_path / "run")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(nc.InputError, match="an existing folder that is no run"):
        train(SMALL, SHORT, out=tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def _rated(monkeypatch, shares):
    """Let evaluations find these shares of the worst task, and give the weights they saw."""
    seen, given = [], iter(shares)

    def rate(network, tasks, **_):
        seen.append(network.bias.detach().clone())
        return dict.fromkeys(tasks, next(given))

    monkeypatch.setattr(training, "evaluate", rate)
    return seen


def test_a_stage_that_misses_its_target_ends_with_its_best_weights(tmp_path, monkeypatch):
    seen = _rated(monkeypatch, [0.1, 0.3, 0.5, 0.2, 0.4])
    stage = Stage(dt_ms=100, coherence_scale=10, max_steps=6, target=0.9)
    config = replace(SHORT, stages=(stage,), evaluate_every=2)
    trained = train(NetworkConfig(n_units=8), config, out=tmp_path / "run")
    assert torch.equal(trained.bias, seen[2])
    assert not torch.equal(seen[2], seen[3])
    assert torch.equal(load(tmp_path / "run").bias, seen[2])


def test_a_stage_ends_at_its_target(tmp_path, monkeypatch):
    # at the start, after two steps, after four, and the final one
    seen = _rated(monkeypatch, [0.1, 0.8, 0.95, 0.92])
    stage = Stage(dt_ms=100, coherence_scale=10, max_steps=20, target=0.9)
    train(SMALL, replace(SHORT, stages=(stage,), evaluate_every=2), out=tmp_path / "run")
    assert len(seen) == 4
    assert read_evaluation(tmp_path / "run")["steps"] == 4


def test_a_stage_that_is_mastered_already_is_passed_over(tmp_path, monkeypatch):
    _rated(monkeypatch, [0.95, 0.9])
    stage = Stage(dt_ms=100, max_steps=20, target=0.9)
    train(SMALL, replace(SHORT, stages=(stage,)), out=tmp_path / "run")
    assert read_evaluation(tmp_path / "run")["steps"] == 0


def test_without_a_target_training_ends_with_its_last_weights(tmp_path, monkeypatch):
    seen = _rated(monkeypatch, [0.9, 0.2, 0.2])
    trained = train(SMALL, SHORT, out=tmp_path / "run")
    assert torch.equal(trained.bias, seen[1])


def test_learning_rates_fall_as_a_half_cosine(tmp_path):
    stage = Stage(dt_ms=100, max_steps=100, learning_rates=(1e-2, 1e-3))
    run = training._Run(Network(SMALL), replace(SHORT, stages=(stage,)), tmp_path, "cpu", None)
    rates = []
    for run.progress.stage_step in (0, 50, 100):
        rates.append(run._learning_rate())
    assert rates == pytest.approx([1e-2, 5.5e-3, 1e-3])


def _diverge(monkeypatch, spoil, after):
    """Spoil the core's result from a call on."""
    real, calls = training.FastCore.loss_and_gradients, []

    def spoiled(core, make_shard, n_counted):
        calls.append(1)
        loss = real(core, make_shard, n_counted)
        return spoil(core, loss) if len(calls) > after else loss

    monkeypatch.setattr(training.FastCore, "loss_and_gradients", spoiled)


def _no_loss(_, loss):
    return loss._replace(task=float("nan"))


def _no_gradient(core, loss):
    core.gradients[0] = float("inf")
    return loss


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (_no_loss, "the loss is nan at step 15; .*run keeps the last checkpoint"),
        (_no_gradient, "the gradient is not finite at step 15; .*keeps the last"),
    ],
)
def test_divergence_stops_and_keeps_the_last_checkpoint(tmp_path, monkeypatch, spoil, match):
    _diverge(monkeypatch, spoil, 15)
    with pytest.raises(DivergedError, match=match):
        train(SMALL, SHORT, out=tmp_path / "run")
    assert torch.isfinite(load(tmp_path / "run").bias).all()
    assert (tmp_path / "run" / CHECKPOINT).is_file()


def test_divergence_before_the_first_checkpoint_says_that_there_is_none(tmp_path, monkeypatch):
    _diverge(monkeypatch, _no_loss, 0)
    with pytest.raises(DivergedError, match="at step 0; .* has no checkpoint yet"):
        train(SMALL, SHORT, out=tmp_path / "run")


def test_divergence_ends_the_command_line_with_status_1(tmp_path, monkeypatch, capsys):
    _diverge(monkeypatch, _no_loss, 0)
    arguments = ["train", "--tasks", "fdgo", "--units", "4", "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["nwbcompare", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    assert "Error: the loss is nan at step 0" in capsys.readouterr().err


def test_evaluation_is_seeded_and_the_published_measure(trained):
    network = load(trained[SHORT])
    one, two = (evaluate(network, TASKS, seed=4, n_trials=64) for _ in range(2))
    assert one == two
    assert evaluate(network, TASKS, seed=4, n_trials=64, dt_ms=50) != one
    with pytest.raises(nc.InputError, match="n_trials: expected a multiple of 32"):
        evaluate(network, TASKS, seed=0, n_trials=100)
    with pytest.raises(nc.InputError, match="task: .*Did you mean 'contextdm"):
        evaluate(network, ["contextdm3"], seed=0)


def test_evaluation_agrees_with_performance_on_labelled_trials():
    network = nc.model.pretrained("ctxdm-0")
    mine = evaluate(network, ["contextdm1"], seed=0)["contextdm1"]
    theirs = [
        network.performance(
            make_trials("contextdm1", "random", n_trials=32, seed=seed, sigma_x=0.01), seed=seed
        )
        for seed in range(16)
    ]
    # two sets of 512 trials, each with a standard deviation of about 0.01
    assert mine == pytest.approx(np.mean(theirs), abs=0.04)


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_every_cell_trains_with_losses_on_rates_and_weights(tmp_path, cell):
    config = replace(SHORT, regularisation=Regularisation(l1_rate=1e-4, l2_weight=1e-5))
    network = NetworkConfig(n_units=8, cell=cell)
    train(network, config, out=tmp_path / "run")
    assert load(tmp_path / "run").config == network
    assert read_configs(tmp_path / "run") == (network, config)


def test_a_batch_larger_than_memory_is_refused_with_the_number(tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.model.memory._available_bytes", lambda _: 2**30)
    huge = replace(SHORT, batch_size=100_000)
    with pytest.raises(nc.InputError, match=r"fits in the 1.0 GiB .*Use batch_size=\d+ or less"):
        train(NetworkConfig(n_units=256), huge, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())
    small, large = (_needed_bytes(SMALL, replace(SHORT, batch_size=n)) for n in (10, 20))
    assert large == pytest.approx(2 * small, rel=1e-6)


def test_memory_is_not_planned_too_small(tmp_path):
    """What a step of the longest trials really takes lies below the plan, and not far."""
    config = replace(training_config(("multidelaydm",), schedule="paper"), batch_size=64)
    network = NetworkConfig(n_units=256)
    run = training._Run(Network(network), config, tmp_path, "cpu", None)
    run._step()
    held = sum(
        block.numel() * 4 for part in run.core._passes for block in part._space._blocks.values()
    )
    assert held < _needed_bytes(network, config) < 20 * held


def test_cuda_is_refused_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(nc.InputError, match=r"device: expected 'cpu', or 'cuda'.*no CUDA"):
        train(SMALL, SHORT, out=tmp_path / "run", device="cuda")
    with pytest.raises(nc.InputError, match="device: .*'gpu'"):
        train(SMALL, SHORT, out=tmp_path / "run", device="gpu")
    assert not list(tmp_path.iterdir())


def test_tasks_need_a_rule_channel(tmp_path):
    network = NetworkConfig(n_units=4, rules=("contextdm1",))
    with pytest.raises(nc.InputError, match="tasks: expected one of contextdm1, got 'contextdm2'"):
        train(network, SHORT, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: training_config(()), "at least one task"),
        (lambda: training_config(("contextdm3",)), "Did you mean 'contextdm"),
        (lambda: training_config(TASKS, n_units=0), "n_units"),
        (lambda: training_config(TASKS, schedule="papers"), "schedule: .*Did you mean 'paper'"),
        (lambda: replace(SHORT, stages=()), "at least one stage"),
        (lambda: replace(SHORT, batch_size=0), "batch_size"),
        (lambda: replace(SHORT, clip=float("nan")), "clip"),
        (lambda: replace(SHORT, clip_by="length"), "clip_by: expected one of value, norm"),
        (lambda: replace(SHORT, batches="mix"), "batches: .*Did you mean 'mixed'"),
        (lambda: replace(SHORT, task_weights="errors"), "Did you mean 'error'"),
        (lambda: replace(SHORT, noise="pooled"), "noise: .*Did you mean 'pool'"),
        (lambda: replace(SHORT, weight_average=1.0), "weight_average: expected at least 0"),
        (lambda: replace(SHORT, evaluation_trials=100), "evaluation_trials: .*multiple of 32"),
        (lambda: replace(SHORT, n_shards=0), "n_shards"),
        (lambda: Stage(dt_ms=300, max_steps=5), "dt_ms"),
        (lambda: Stage(dt_ms=20, coherence_scale=0, max_steps=5), "coherence_scale"),
        (lambda: Stage(dt_ms=20, max_steps=0), "max_steps"),
        (lambda: Stage(dt_ms=20, max_steps=1, target=0.0), "target"),
        (lambda: Stage(dt_ms=20, max_steps=1, learning_rates=(1e-3, 0)), "learning_rates"),
    ],
)
def test_bad_configurations_are_refused(make, match):
    with pytest.raises(nc.InputError, match=match):
        make()


def test_more_shards_than_trials_are_no_error(tmp_path):
    train(SMALL, replace(SHORT, batch_size=1, n_shards=4), out=tmp_path / "run")


def test_a_log_has_a_column_for_each_task(tmp_path):
    train(SMALL, SHORT, out=tmp_path / "run")
    rows = _plain_log(tmp_path / "run")
    assert [row["step"] for row in rows] == ["10", "20"]
    assert set(TASKS) < set(rows[0])
    assert json.loads((tmp_path / "run" / "config.json").read_text())["version"] == 5
    signs = ("largest_rate", "spectral_radius", "active_spectral_radius", "saturated_outputs")
    assert set(signs) < set(rows[0])
    assert all(float(row[name]) >= 0 for row in rows for name in signs)
