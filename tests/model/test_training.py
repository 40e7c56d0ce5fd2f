"""Training: reproducible, stopped and resumed, refused in time."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import load_file, save
from scipy.stats import chisquare

import nwbcompare as nc
from nwbcompare.cli.main import cli, main
from nwbcompare.core.errors import DivergedError
from nwbcompare.model import (
    Network,
    NetworkConfig,
    Regularisation,
    Stage,
    TrainingConfig,
    evaluate,
    load,
    train,
    training,
    training_config,
)
from nwbcompare.model.batches import mixed_batches, single_batch, task_probabilities
from nwbcompare.model.checkpoint import (
    CHECKPOINT,
    read_configs,
    read_evaluation,
    read_log,
    read_training,
    start_run,
)
from nwbcompare.model.config import Consolidation
from nwbcompare.model.curricula import sequential_config
from nwbcompare.model.memory import needed_bytes
from nwbcompare.model.trial_tensors import make_batch
from nwbcompare.tasks import RULES, make_trials
from nwbcompare.tasks.trials import draw_trials

TASKS = ("contextdm1", "contextdm2")
SHORT = TrainingConfig(
    tasks=TASKS,
    stages=(Stage(dt_ms=100, coherence_scale=10, max_steps=20),),
    evaluate_every=10,
    evaluation_trials=32,
    batch_size=8,
)
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
SI = Consolidation(method="synaptic_intelligence")
SMALL = NetworkConfig(n_units=16, nonlinearity="relu", seed=3)


def _weights(folder):
    return load(folder).state_dict()


def _equal(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def _plain_log(folder):
    """The log without its clock."""
    with (folder / "log.csv").open() as file:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("config", [SHORT, FAST], ids=["published", "fast"])
def test_training_reproduces_bit_for_bit(tmp_path, config):
    for name in "ab":
        train(SMALL, config, out=tmp_path / name)
    train(SMALL, replace(config, seed=1), out=tmp_path / "c")
    one, two, other = (_weights(tmp_path / name) for name in "abc")
    assert _equal(one, two)
    assert not _equal(one, other)
    assert not torch.equal(one["bias"], Network(SMALL).bias)
    assert _plain_log(tmp_path / "a") == _plain_log(tmp_path / "b")
    assert read_training(tmp_path / "a") == config
    assert set(read_evaluation(tmp_path / "a")["performance"]) == set(config.tasks)


def test_scheduling_of_the_shards_changes_nothing(tmp_path, monkeypatch):
    """The second shard first, the first late: the sum is still taken in order."""
    train(SMALL, SHORT, out=tmp_path / "a")
    real = training._Run._make_shard

    def late(run, shards, place, n_steps):
        time.sleep(0.003 * (1 - place))
        return real(run, shards, place, n_steps)

    monkeypatch.setattr(training._Run, "_make_shard", late)
    train(SMALL, SHORT, out=tmp_path / "b")
    assert _equal(_weights(tmp_path / "a"), _weights(tmp_path / "b"))


def test_training_reduces_the_loss(tmp_path):
    config = replace(
        SHORT,
        tasks=TASKS[:1],
        stages=(Stage(dt_ms=100, coherence_scale=10, max_steps=200),),
        evaluate_every=100,
        batch_size=64,
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
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, config, evaluations):
    train(SMALL, config, out=tmp_path / "whole")
    seen = []

    def stop(log):
        seen.append(len(log))
        if len(seen) > evaluations:
            raise StopHereError

    whole_rows = _plain_log(tmp_path / "whole")
    if evaluations < len(whole_rows):
        with pytest.raises(StopHereError):
            train(SMALL, config, out=tmp_path / "parted", watch=stop)
        # the evaluation before the first step is repeated, those after steps are not
        assert (tmp_path / "parted" / CHECKPOINT).is_file() == (config is SHORT or evaluations > 1)
    train(SMALL, config, out=tmp_path / "parted", resume=True)
    assert _equal(_weights(tmp_path / "whole"), _weights(tmp_path / "parted"))
    assert _plain_log(tmp_path / "parted") == whole_rows
    assert not (tmp_path / "parted" / CHECKPOINT).exists()


def test_a_killed_run_goes_on_as_if_it_had_not_been_killed(tmp_path):
    config = replace(SHORT, stages=(Stage(dt_ms=100, max_steps=400),), batch_size=16)
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


def test_resuming_a_finished_run_loads_it(tmp_path):
    network = train(SMALL, SHORT, out=tmp_path / "run")
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    again = train(SMALL, SHORT, out=tmp_path / "run", resume=True)
    assert _equal(again.state_dict(), network.state_dict())
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    with pytest.raises(nc.InputError, match=r"network.n_units: 16 there, 17 asked"):
        train(replace(SMALL, n_units=17), SHORT, out=tmp_path / "run", resume=True)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that was stopped in its second stage, with importances of the first."""
    config = replace(
        sequential_config([("fdgo",), ("dm1",)], steps_per_task=8, consolidation=SI),
        evaluate_every=4,
        evaluation_trials=32,
        batch_size=4,
    )

    def stop(log):
        if log[-1]["step"] == 12:
            raise KeyboardInterrupt

    out = tmp_path_factory.mktemp("begun") / "run"
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, config, out=out, watch=stop)
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, config, out=out, watch=stop, resume=True)
    file = out / CHECKPOINT
    with safe_open(file, "pt") as opened:
        progress = json.loads(opened.metadata()["progress"])
    assert (progress["stage"], progress["stage_step"]) == (1, 0)
    return config, out, load_file(file), progress


DAMAGED_TENSORS = [
    (lambda t: t.pop("weights"), "none of weights, unknown nothing"),
    (lambda t: t.update(weights=t["weights"][:5]), r"weights: expected shape \(\d+,\) of float32"),
    # one weight alone would be spread over all of them
    (lambda t: t.update(weights=t["weights"][:1]), r"weights: .* got shape \(1,\) of float32"),
    (lambda t: t.update(weights=t["weights"].double()), r"weights: .* of float64"),
    (lambda t: t.update(weights=t["weights"] * np.nan), "weights: expected finite values"),
    (lambda t: t.update(adam_second=t["adam_second"] / 0), "adam_second: expected finite values"),
    (lambda t: t.pop("consolidation.anchor"), "none of consolidation.anchor"),
    (lambda t: t.pop("importances.0"), "none of importances.0"),
    (lambda t: t.update({"importances.1": t["weights"].clone()}), "unknown importances.1"),
]
DAMAGED_PROGRESS = [
    ([], r"progress: expected the fields step, stage.* got \[\]"),
    ({"x": 1}, "progress: expected the fields step, .* reached, log, got step"),
    ({"stage": 99}, "progress: stage: expected one from 0 to 2, got 99"),
    ({"stage": -1}, "progress: stage: expected a whole number from 0 on, got -1"),
    ({"stage_step": 9}, "progress: stage_step: expected at most the stage's 8, got 9"),
    ({"step": 1.5}, "progress: step: expected a whole number from 0 on, got 1.5"),
    ({"step": 4}, "progress: log: expected a last row of step 4"),
    ({"best": "good"}, "progress: best: expected a number, got 'good'"),
    ({"first_losses": [1.0, None]}, "progress: first_losses: expected a list of numbers"),
    ({"log": []}, "progress: log: expected a row for each evaluation, at least one"),
    ({"log": [{"step": 8}]}, "progress: log: expected the performance in fdgo, dm1"),
]


def _damaged(begun, tmp_path, tensors, text):
    config, out, _, _ = begun
    shutil.copytree(out, tmp_path / "run")
    metadata = None if text is None else {"progress": text}
    (tmp_path / "run" / CHECKPOINT).write_bytes(save(tensors, metadata))
    return config, tmp_path / "run"


@pytest.mark.parametrize(("damage", "match"), DAMAGED_TENSORS)
def test_a_checkpoint_with_other_tensors_is_refused(begun, tmp_path, damage, match):
    tensors = {name: tensor.clone() for name, tensor in begun[2].items()}
    damage(tensors)
    config, out = _damaged(begun, tmp_path, tensors, json.dumps(begun[3]))
    with pytest.raises(nc.InputError, match=f"{CHECKPOINT}.*{match}.*with --overwrite"):
        train(SMALL, config, out=out, resume=True)


@pytest.mark.parametrize(("change", "match"), DAMAGED_PROGRESS)
def test_a_checkpoint_with_other_progress_is_refused(begun, tmp_path, change, match):
    progress = begun[3] | change if isinstance(change, dict) else change
    config, out = _damaged(begun, tmp_path, begun[2], json.dumps(progress))
    with pytest.raises(nc.InputError, match=f"{CHECKPOINT}: {match}"):
        train(SMALL, config, out=out, resume=True)


@pytest.mark.parametrize(("text", "got"), [(None, "''"), ("{", "'{'")])
def test_a_checkpoint_without_progress_is_refused(begun, tmp_path, text, got):
    config, out = _damaged(begun, tmp_path, begun[2], text)
    with pytest.raises(nc.InputError, match=f"progress: expected JSON, got {got}"):
        train(SMALL, config, out=out, resume=True)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    start_run(tmp_path / "other", SMALL, SHORT)
    (tmp_path / "other" / CHECKPOINT).write_bytes(b"\x00" * 100)
    with pytest.raises(nc.InputError, match=r"checkpoint.safetensors: .*cannot be read"):
        train(SMALL, SHORT, out=tmp_path / "other", resume=True)


def test_a_run_of_format_3_is_gone_on_with(begun, tmp_path):
    """Its configuration has no warm-up and the rows of its log no signs of exploding rates."""
    signs = {"largest_rate", "spectral_radius", "active_spectral_radius", "saturated_outputs"}
    log = [{k: v for k, v in row.items() if k not in signs} for row in begun[3]["log"]]
    config, out = _damaged(begun, tmp_path, begun[2], json.dumps(begun[3] | {"log": log}))
    values = json.loads((out / "config.json").read_text())
    del values["training"]["warm_up_steps"], values["training"]["stop_exploded"]
    (out / "config.json").write_text(json.dumps(values | {"version": 3}))
    with pytest.raises(nc.InputError, match="training.warm_up_steps: 0 there, 300 asked"):
        train(SMALL, config, out=out, resume=True)
    before = replace(config, warm_up_steps=0, stop_exploded=False)
    assert read_training(out) == before
    train(SMALL, before, out=out, resume=True)
    rows = read_log(out)
    assert [row["largest_rate"] is None for row in rows] == [True, True, True, False, False]


def test_a_run_of_format_4_is_gone_on_with(begun, tmp_path):
    """Its checkpoint and its log say cost where loss is said now."""
    old = {"loss": "cost", "first_losses": "first_costs", "last_losses": "last_costs"}
    progress = {old.get(name, name): value for name, value in begun[3].items()}
    progress["log"] = [
        {old.get(name, name): value for name, value in row.items()} for row in progress["log"]
    ]
    assert set(old.values()) <= set(progress) | set(progress["log"][0])
    config, out = _damaged(begun, tmp_path, begun[2], json.dumps(progress))
    log = out / "log.csv"
    log.write_text(log.read_text().replace("loss", "cost"))
    values = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(values | {"version": 4}))
    losses = [row["loss"] for row in read_log(out)]
    assert len(losses) == len(progress["log"])
    one = train(SMALL, config, out=out, resume=True)
    other = train(SMALL, config, out=tmp_path / "unbroken")
    assert _equal(one.state_dict(), other.state_dict())
    assert [row["loss"] for row in read_log(out)] == [
        row["loss"] for row in read_log(tmp_path / "unbroken")
    ]


def test_an_undamaged_checkpoint_is_gone_on_with(begun, tmp_path):
    """The control of the tests above: what they do not change is taken."""
    config, out = _damaged(begun, tmp_path, begun[2], json.dumps(begun[3]))
    one = train(SMALL, config, out=out, resume=True)
    other = train(SMALL, config, out=tmp_path / "unbroken")
    assert _equal(one.state_dict(), other.state_dict())


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


def test_task_weights():
    tasks = ("fdgo", "contextdm1", "contextdm2")
    assert task_probabilities(tasks, "equal", None) == pytest.approx([1 / 3] * 3)
    assert task_probabilities(tasks, "published", None) == pytest.approx([1 / 11, 5 / 11, 5 / 11])
    found = task_probabilities(tasks, "error", dict(zip(tasks, (1.0, 0.9, 0.5), strict=True)))
    assert found == pytest.approx(np.array([0.02, 0.12, 0.52]) / 0.66)
    assert task_probabilities(tasks, "error", None) == pytest.approx([1 / 3] * 3)


def test_published_batches_are_of_one_task_drawn_by_its_weight():
    config = training_config(tuple(RULES), schedule="paper")
    weights = task_probabilities(config.tasks, config.task_weights, None)
    drawn = [
        int(single_batch(replace(config, batch_size=2), config.stages[0], step, weights).task[0])
        for step in range(600)
    ]
    assert chisquare(np.bincount(drawn, minlength=20), 600 * weights).pvalue > 1e-4
    one = single_batch(config, config.stages[0], 7, weights)
    assert np.unique(one.task).size == np.unique(one.n_steps).size == 1
    again = single_batch(config, config.stages[0], 7, weights)
    np.testing.assert_array_equal(one.response, again.response)


@pytest.mark.parametrize("batches", ["single", "mixed"])
def test_a_stage_may_train_the_easy_variants(batches):
    config = replace(SHORT, batches=batches, batch_size=50)
    largest = {}
    for easy in (False, True):
        stage = Stage(dt_ms=20, max_steps=10, easy=easy)
        weights = np.array([0.5, 0.5])
        if batches == "single":
            trials = single_batch(config, stage, 3, weights)
        else:
            trials, _ = mixed_batches(config, stage, 0, tuple(weights))
        largest[easy] = np.abs(trials.columns["coherence_1"]).max()
    assert largest[True] == pytest.approx(10 * largest[False])
    assert largest[False] == pytest.approx(0.08)


def test_mixed_batches_hold_every_trial_once_and_are_alike_in_length():
    config = replace(training_config(tuple(RULES)), evaluate_every=50)
    trials, places = mixed_batches(config, config.stages[-1], 0, tuple(np.full(20, 0.05)))
    assert places.shape == (50, 64)
    assert np.unique(places).size == trials.n_trials == 3200
    within = np.ptp(trials.n_steps[places], axis=1)
    assert np.median(within) <= 6
    assert np.ptp(trials.n_steps) > 100
    lengths = trials.n_steps[places].mean(axis=1)
    assert abs(np.corrcoef(np.arange(50), lengths)[0, 1]) < 0.5
    assert chisquare(np.bincount(trials.task, minlength=20)).pvalue > 1e-4


@pytest.mark.parametrize("timing", ["batch", "trial"])
def test_a_rendered_batch_equals_the_labelled_trials(timing):
    """Two ways from a description to arrays: tensors for training, a dataset for users."""
    rng = np.random.default_rng(4)
    tasks = list(RULES)
    chosen = rng.integers(20, size=30)
    drawn = draw_trials(tasks, chosen, rng, dt_ms=20.0, shared_timing=timing == "batch")
    rng = np.random.default_rng(4)
    labelled = make_trials(tasks, "random", n_trials=30, seed=4, timing=timing)
    n_steps = int(drawn.n_steps.max())
    batch = make_batch(
        drawn,
        tuple(RULES),
        n_steps,
        dt_ms=20.0,
        sigma_x=0.01,
        noise=torch.zeros(n_steps, 30, 85),
    )
    for name in ("input", "target", "loss_mask"):
        np.testing.assert_allclose(getattr(batch, name), labelled[name], atol=1e-6)
    inside = labelled["time"].values[:, None] < labelled["trial_stop_time"].values
    np.testing.assert_array_equal(batch.inside[:, :, 0], inside)
    assert batch.n_counted == inside.sum()


def test_evaluation_is_seeded_and_the_published_measure(tmp_path):
    train(SMALL, SHORT, out=tmp_path / "run")
    network = load(tmp_path / "run")
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
    monkeypatch.setattr("nwbcompare.model.memory.available_bytes", lambda _: 2**30)
    huge = replace(SHORT, batch_size=100_000)
    with pytest.raises(nc.InputError, match=r"fits in the 1.0 GiB .*Use batch_size=\d+ or less"):
        train(NetworkConfig(n_units=256), huge, out=tmp_path / "run")
    assert not list(tmp_path.iterdir())
    small, large = (needed_bytes(SMALL, replace(SHORT, batch_size=n)) for n in (10, 20))
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
    assert held < needed_bytes(network, config) < 20 * held


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


def test_version_1_runs_say_how_they_were_trained():
    config = read_training(nc.model.pretrained_path("ctxdm-0"))
    assert config.batches == "single"
    assert config.stages[0].learning_rates == (1e-3, 1e-3)
    assert config.n_shards == 1


def test_a_log_has_a_column_for_each_task(tmp_path):
    train(SMALL, SHORT, out=tmp_path / "run")
    rows = _plain_log(tmp_path / "run")
    assert [row["step"] for row in rows] == ["10", "20"]
    assert set(TASKS) < set(rows[0])
    assert json.loads((tmp_path / "run" / "config.json").read_text())["version"] == 5
    signs = ("largest_rate", "spectral_radius", "active_spectral_radius", "saturated_outputs")
    assert set(signs) < set(rows[0])
    assert all(float(row[name]) >= 0 for row in rows for name in signs)
