"""Learning one task after another: the reference's own run, resumption, refusals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from nwbcompare.core.errors import InputError, NotApplicableError, StalledError
from nwbcompare.model import Network, NetworkConfig, load, train, training
from nwbcompare.model.batch import Batch
from nwbcompare.model.checkpoint import (
    CHECKPOINT,
    load_milestone,
    read_configs,
    read_evaluation,
    read_importances,
    read_log,
)
from nwbcompare.model.config import Consolidation
from nwbcompare.model.curricula import (
    YANG2019,
    interleaved_config,
    sequential_config,
    sequential_network,
)
from nwbcompare.model.weight_import import from_arrays

STAGES = (("fdgo",), ("dm1", "dm2"))
SI = Consolidation(method="synaptic_intelligence")
SMALL = sequential_network(n_units=12)


def _short(**kwargs):
    config = sequential_config(STAGES, steps_per_task=6, **kwargs)
    return replace(config, evaluate_every=4, evaluation_trials=32, batch_size=8)


def _weights(folder):
    return load(folder).state_dict()


def _equal(one, two):
    return all(torch.equal(value, two[name]) for name, value in one.items())


@dataclass
class _Length:
    """As much of a description of trials as the trainer asks for."""

    n_steps: np.ndarray
    n_trials: int = 8


class ReferenceRun:
    """The reference implementation's three stages, as arrays."""

    NAMES: ClassVar = {
        "rnn.leaky_rnn_cell.bias": "bias",
        "output.weights": "output_weight",
        "output.biases": "output_bias",
    }

    def __init__(self, path):
        with np.load(path) as arrays:
            self.arrays = dict(arrays)

    def named(self, prefix):
        """Return weights, or what belongs to each, by this project's names."""
        found = {}
        for key, values in self.arrays.items():
            if not key.startswith(f"{prefix}/"):
                continue
            name = key.removeprefix(f"{prefix}/")
            if name.endswith("kernel"):
                found["input_weight"], found["recurrent_weight"] = values[:85], values[85:]
            else:
                found[self.NAMES[name]] = values
        return found

    def batch(self, stage, step):
        shown = {
            name: torch.from_numpy(self.arrays[f"stage{stage}/step{step}/{stored}"])
            for name, stored in zip(
                ("input", "target", "loss_mask"), ("input", "target", "cost_mask"), strict=True
            )
        }
        n_steps, n_trials, _ = shown["input"].shape
        return Batch(**shown, lengths=torch.full((n_trials,), n_steps), dt_ms=20)


def _relative(found, expected):
    """Return the largest difference, relative to the largest entry."""
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())


@pytest.mark.shared
def test_the_reference_run_is_followed_step_by_step(shared, tmp_path, monkeypatch):
    oracle = ReferenceRun(shared / "reference" / "oracles" / "yang19_synaptic_intelligence.npz")
    start = from_arrays(**oracle.named("initial"), cell="leaky_rnn", nonlinearity="relu")
    config = sequential_config(
        (("fdgo",), ("dm1",), ("delaygo",)),
        steps_per_task=30,
        consolidation=SI,
        warm_up_steps=0,
    )
    run = training._Run(start, config, tmp_path, "cpu", None)
    views = run.core.gradient_by_weight

    def named(vector):
        sizes = [part.numel() for part in views.values()]
        parts = torch.split(vector, sizes)
        return {n: p.view(views[n].shape) for n, p in zip(views, parts, strict=True)}

    at = {"stage": 0, "step": 0}

    def shards(_):
        n_steps, n_trials, _ = oracle.batch(**at).input.shape
        return [_Length(np.full(n_trials, n_steps))]

    monkeypatch.setattr(training._Run, "_shards", shards)
    monkeypatch.setattr(training._Run, "_make_shard", lambda *_: (oracle.batch(**at), None))
    for stage in range(3):
        at["stage"] = stage
        if stage:
            expected = oracle.named(f"stage{stage}/importance")
            for name, value in named(run.consolidator.importance).items():
                assert _relative(value, expected[name]) < 1e-3
        losses = []
        for step in range(30):
            at["step"] = step
            losses.append(run._step())
        np.testing.assert_allclose(losses, oracle.arrays[f"stage{stage}/task_cost"], rtol=1e-3)
        for what, vector in (
            ("final", run.core.parameters),
            ("path_integral", run.consolidator.path_integral),
        ):
            expected = oracle.named(f"stage{stage}/{what}")
            for name, value in named(vector).items():
                assert _relative(value.detach(), expected[name]) < 1e-3, (stage, what, name)
        run._end_stage()


@pytest.mark.shared
def test_without_the_penalty_the_reference_run_is_left(shared, tmp_path, monkeypatch):
    # the negative control: the oracle does tell plain training from consolidation
    oracle = ReferenceRun(shared / "reference" / "oracles" / "yang19_synaptic_intelligence.npz")
    start = from_arrays(**oracle.named("initial"), cell="leaky_rnn", nonlinearity="relu")
    config = sequential_config((("fdgo",), ("dm1",), ("delaygo",)), steps_per_task=30)
    run = training._Run(start, config, tmp_path, "cpu", None)
    at = {"stage": 0, "step": 0}
    monkeypatch.setattr(
        training._Run,
        "_shards",
        lambda _: [_Length(np.full(8, oracle.batch(**at).input.shape[0]))],
    )
    monkeypatch.setattr(training._Run, "_make_shard", lambda *_: (oracle.batch(**at), None))
    for stage in range(2):
        at["stage"] = stage
        for step in range(30):
            at["step"] = step
            run._step()
        run._end_stage()
    found = run.core.parameters[: 85 * 24].view(85, 24)
    expected = oracle.named("stage1/final")["input_weight"]
    assert _relative(dict(run.network.named_parameters())["input_weight"].detach(), expected) > 1e-3
    assert found.shape == (85, 24)


# --- resumption ---------------------------------------------------------------------------


class StopHereError(Exception):
    pass


def _plain_log(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_log(folder)]


METHODS = {
    "none": Consolidation(),
    "synaptic_intelligence": SI,
    "elastic": Consolidation(method="elastic"),
    "orthogonal": Consolidation(method="orthogonal"),
    "permuted": Consolidation(method="permuted"),
}


@pytest.fixture
def few_examples(monkeypatch):
    """Fisher information and covariances from fewer trials, to be quick."""
    import nwbcompare.model.stage_trials as place

    monkeypatch.setattr(place, "N_BATCHES", 1)
    monkeypatch.setattr(place, "BATCH_SIZE", 4)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The run folder of an unbroken run by its method; a control has the importances of another."""
    import nwbcompare.model.stage_trials as place

    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, "N_BATCHES", 1)
        patch.setattr(place, "BATCH_SIZE", 4)
        for method, consolidation in METHODS.items():
            given = read_importances(folder / SI.method) if method == "permuted" else None
            config = _short(consolidation=consolidation)
            train(SMALL, config, out=folder / method, importances=given)
    return folder


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("evaluations", [2, 3, 5])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(
    tmp_path, few_examples, unbroken, method, evaluations
):
    config, whole = _short(consolidation=METHODS[method]), unbroken / method
    given = read_importances(unbroken / SI.method) if method == "permuted" else None
    rows = _plain_log(whole)
    assert len(rows) == 6  # before, at 4 and 6 of 6 steps, at 4, 8 and 12 of 12
    seen = []

    def stop(log):
        seen.append(len(log))
        if len(seen) > evaluations:
            raise StopHereError

    with pytest.raises(StopHereError):
        train(SMALL, config, out=tmp_path / "parted", importances=given, watch=stop)
    assert (tmp_path / "parted" / CHECKPOINT).is_file()
    train(SMALL, config, out=tmp_path / "parted", importances=given, resume=True)
    assert _equal(_weights(whole), _weights(tmp_path / "parted"))
    assert _plain_log(tmp_path / "parted") == rows
    if method == "synaptic_intelligence":
        one, two = (read_importances(folder) for folder in (whole, tmp_path / "parted"))
        assert torch.equal(one, two)
        assert float(one.sum()) > 0


def test_resuming_with_another_consolidation_is_refused_and_the_difference_shown(tmp_path):
    with pytest.raises(StopHereError):
        train(SMALL, _short(consolidation=SI), out=tmp_path / "run", watch=_stop)
    other = replace(SI, strength=2.0)
    with pytest.raises(InputError, match=r"training.consolidation: .*1\.0.* there, .*2\.0"):
        train(SMALL, _short(consolidation=other), out=tmp_path / "run", resume=True)
    with pytest.raises(InputError, match=r"training.stages: .*12.* there, .*16"):
        longer = sequential_config(STAGES, steps_per_task=8, consolidation=SI)
        longer = replace(longer, evaluate_every=4, evaluation_trials=32, batch_size=8)
        train(SMALL, longer, out=tmp_path / "run", resume=True)


def _stop(log):
    if len(log) > 2:
        raise StopHereError


# --- stages -------------------------------------------------------------------------------


def test_until_the_first_switch_every_regime_is_the_same_network(unbroken):
    # consolidation has nothing to protect before a stage has ended
    stages = sequential_config(STAGES, steps_per_task=6).stages
    logs = {name: _plain_log(unbroken / name) for name in ("none", SI.method)}
    first = [row for row in logs["none"] if row["stage"] == 0]
    assert first == [row for row in logs[SI.method] if row["stage"] == 0]
    assert [stage.tasks for stage in stages] == list(STAGES)
    assert not _equal(_weights(unbroken / "none"), _weights(unbroken / SI.method))


def test_of_strength_0_consolidation_is_none(tmp_path, unbroken):
    train(SMALL, _short(consolidation=replace(SI, strength=0.0)), out=tmp_path / "si")
    assert _equal(_weights(unbroken / "none"), _weights(tmp_path / "si"))


def test_a_stage_trains_its_own_tasks_and_is_rated_on_all(tmp_path, monkeypatch):
    drawn = []
    real = training.single_batch

    def spy(config, stage, step, weights):
        trials = real(config, stage, step, weights)
        drawn.append(trials.tasks)
        assert len(weights) == len(stage.tasks)
        return trials

    monkeypatch.setattr(training, "single_batch", spy)
    train(SMALL, _short(), out=tmp_path / "run")
    assert set(drawn[:6]) == {("fdgo",)}
    assert {task for tasks in drawn[6:] for task in tasks} <= {"dm1", "dm2"}
    for row in read_log(tmp_path / "run"):
        assert set(row["performance"]) == {"fdgo", "dm1", "dm2"}
    assert read_log(tmp_path / "run")[0]["step"] == 0
    assert read_evaluation(tmp_path / "run")["easy"] is True


def test_a_stage_ends_by_its_target_and_goes_on_with_its_last_weights(tmp_path, monkeypatch):
    shares = iter([0.1, 0.5, 0.96, 0.3, 0.2, 0.2, 0.1])

    def rated(network, tasks, **kwargs):
        return dict.fromkeys(tasks, next(shares))

    monkeypatch.setattr(training, "evaluate", rated)
    config = replace(
        sequential_config(STAGES, steps_per_task=12, target=0.95),
        evaluate_every=4,
        evaluation_trials=32,
        batch_size=4,
    )
    config = replace(config, stages=(config.stages[0], replace(config.stages[1], max_steps=8)))
    network = train(SMALL, config, out=tmp_path / "run")
    rows = read_log(tmp_path / "run")
    assert [(row["stage"], row["step"]) for row in rows] == [
        (0, 0), (0, 4), (0, 8), (1, 8), (1, 12), (1, 16)
    ]  # fmt: skip
    # the best evaluation of the second stage came before its last step; the last weights stay
    assert _equal(network.state_dict(), _weights(tmp_path / "run"))
    checkpoint = training._Run(Network(SMALL), config, tmp_path / "x", "cpu", None)
    assert config.keep == "last"
    assert checkpoint.config.keep == "last"


def test_a_stage_that_learns_nothing_is_said_with_its_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "JUDGED_AFTER", 5)
    held = _short(consolidation=replace(SI, strength=1e9))
    frozen = replace(
        held, stages=tuple(replace(s, learning_rates=(1e-9, 1e-9)) for s in held.stages)
    )
    match = r"stage 1 \(fdgo\) stalled: its loss was \d.* at the start and is .* Take another seed"
    with pytest.raises(StalledError, match=match):
        train(SMALL, frozen, out=tmp_path / "dead")
    assert read_log(tmp_path / "dead")[-1]["step"] == 6
    # the first stage learns, the second is held: then the strength is to blame
    held = replace(held, stages=(held.stages[0], frozen.stages[1]))
    monkeypatch.setattr(training, "STALLED_PERFORMANCE", 0.999)
    monkeypatch.setattr(training, "STALLED_LOSS", 0.9)
    losses = training._Run._check_stalled

    def of_second(run):
        if run.progress.stage:
            losses(run)

    monkeypatch.setattr(training._Run, "_check_stalled", of_second)
    with pytest.raises(
        StalledError,
        match=r"stage 2 \(dm1, dm2\) stalled.* penalty of .*; .* Lower the consolidation's "
        r"strength \(1e\+09\)",
    ):
        train(SMALL, held, out=tmp_path / "held")


def test_a_stage_that_a_projection_holds_is_said_to_be_held(tmp_path, few_examples, monkeypatch):
    monkeypatch.setattr(training, "JUDGED_AFTER", 12)
    monkeypatch.setattr(training, "STALLED_PERFORMANCE", 0.999)
    monkeypatch.setattr(training, "STALLED_LOSS", 0.0)  # the first stage has fewer steps
    held = _short(consolidation=Consolidation(method="orthogonal", strength=7.0))
    match = r"stage 2 .*steps; dm\d is at .* Lower the consolidation's strength \(7\)"
    with pytest.raises(StalledError, match=match):
        train(SMALL, held, out=tmp_path / "held")


def test_the_command_line_ends_with_status_1_where_training_stalls(tmp_path, monkeypatch, capsys):
    from nwbcompare.cli import main as cli

    def stalled(*_, **__):
        raise StalledError("run: stage 1 (fdgo) stalled")

    monkeypatch.setattr("nwbcompare.model.training.train", stalled)
    monkeypatch.setattr(
        "sys.argv",
        ["nwbcompare", "train", "--tasks", "fdgo", "--out", str(tmp_path / "run")],
    )
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    assert "stage 1 (fdgo) stalled" in capsys.readouterr().err


# --- what starts from what, and what is kept ------------------------------------------------


def test_training_may_start_from_another_networks_weights(tmp_path, unbroken):
    first = load(unbroken / "none")
    before = {name: value.clone() for name, value in first.state_dict().items()}
    train(SMALL, _short(seed=1), out=tmp_path / "second", start=first)
    _, config = read_configs(tmp_path / "second")
    assert len(config.start) == 64
    assert _equal(before, first.state_dict())
    # and it goes on only from the same weights
    with pytest.raises(InputError, match=r"training.start: '[0-9a-f]{64}' there, '' asked"):
        train(SMALL, _short(seed=1), out=tmp_path / "second", resume=True)


def test_only_a_network_of_the_same_shape_can_be_started_from(tmp_path):
    other = Network(replace(SMALL, n_units=13))
    with pytest.raises(InputError, match="start: expected a network of the configuration"):
        train(SMALL, _short(), out=tmp_path / "run", start=other)
    assert not (tmp_path / "run").exists()


def test_what_does_not_learn_does_not_move(tmp_path):
    start = Network(SMALL)
    config = replace(_short(consolidation=SI), trainable=("output_weight", "output_bias"))
    found = train(SMALL, config, out=tmp_path / "run")
    for name, value in found.state_dict().items():
        moved = name in config.trainable
        assert torch.equal(value, start.state_dict()[name]) != moved
    with pytest.raises(InputError, match="trainable: expected none with .*'orthogonal'"):
        replace(config, consolidation=Consolidation(method="orthogonal"))
    with pytest.raises(InputError, match="trainable: expected one of .*'rule_weight'"):
        bad = replace(config, trainable=("rule_weight",))
        train(SMALL, bad, out=tmp_path / "other")


def test_milestones_keep_the_weights_that_first_reached_them(tmp_path, monkeypatch):
    shares = iter([0.1, 0.2, 0.3, 0.5, 0.4, 0.7, 0.6])
    monkeypatch.setattr(
        training, "evaluate", lambda _, tasks, **__: dict.fromkeys(tasks, next(shares))
    )
    found = train(SMALL, _short(milestones=(0.45, 0.65, 0.9)), out=tmp_path / "run")
    middle = load_milestone(tmp_path / "run", 0.45)
    late = load_milestone(tmp_path / "run", 0.65)
    assert middle is not None
    assert late is not None
    assert middle.name == "run at 0.45"
    assert not _equal(middle.state_dict(), late.state_dict())
    assert _equal(late.state_dict(), found.state_dict())  # the last evaluation was the one
    assert load_milestone(tmp_path / "run", 0.9) is None
    with pytest.raises(InputError, match=r"level: expected one of 0.45, 0.65, 0.9, got '0.5'"):
        load_milestone(tmp_path / "run", 0.5)


def test_controls_need_the_importances_of_a_network_of_their_size(tmp_path, unbroken):
    config = _short(consolidation=Consolidation(method="uniform"))
    with pytest.raises(InputError, match="importances: expected those of a run with synaptic"):
        train(SMALL, config, out=tmp_path / "run")
    with pytest.raises(InputError, match=r"importances: expected \(stage, weight\) with \d+ wei"):
        train(SMALL, config, out=tmp_path / "run", importances=torch.ones(1, 7))
    assert not (tmp_path / "run").exists()
    with pytest.raises(
        NotApplicableError, match=r"a finished run with importances.safetensors, got none"
    ):
        read_importances(unbroken / "none")


# --- schedules ------------------------------------------------------------------------------


def test_the_published_schedule():
    config = sequential_config()
    assert tuple(stage.tasks for stage in config.stages) == YANG2019
    assert [stage.max_steps for stage in config.stages] == [6250, 6250, 12500, 6250, 12500]
    assert all(stage.easy and stage.dt_ms == 20 and stage.target is None for stage in config.stages)
    assert config.batch_size == 64
    assert (config.clip_by, config.clip) == ("value", 1)
    whole = interleaved_config()
    assert whole.stages[0].max_steps == sum(stage.max_steps for stage in config.stages)
    assert set(whole.tasks) == set(config.tasks)
    network = sequential_network()
    assert (network.n_units, network.nonlinearity) == (256, "relu")
    assert network.recurrent_initialisation == "randortho"


@pytest.mark.parametrize(
    ("stages", "match"),
    [
        ((), "stages: expected at least one stage, got none"),
        ((("fdgo",), ()), "stage 2: expected at least one task, got none"),
        ((("fdgo",), ("dm1", "fdgo")), "stage 2: expected tasks that are trained once, got fdgo, which stage 1"),
        ((("dm1", "dm1"),), "stage 1: expected tasks that are trained once, got dm1"),
        (("fdgo",), "stage 1: expected a tuple of tasks, got 'fdgo'"),
        ((("fdgoo",),), "task: expected one of .*Did you mean 'fdgo'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("make", [sequential_config, interleaved_config])
def test_schedules_that_cannot_be_are_refused(make, stages, match):
    with pytest.raises(InputError, match=match):
        make(stages)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Consolidation(strength=-1.0), "strength: expected"),
        (lambda: Consolidation(method="sinaptic_intelligence"), "method: .*Did you mean 'synaptic_"),
        (lambda: Consolidation(damping=0.0), "damping: expected"),
        (lambda: Consolidation(seed=-1), "seed: expected"),
        (lambda: sequential_config(steps_per_task=0), "steps_per_task: expected"),
        (lambda: sequential_config(milestones=(0.0,)), "milestones: expected"),
        (lambda: replace(sequential_config(), milestone_tasks=("dmsgo",)), "tasks: expected one of"),
        (lambda: replace(sequential_config(), keep="first"), "keep: expected one of best, last"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(make, match):
    with pytest.raises(InputError, match=match):
        make()


def test_orthogonal_weights_do_not_depend_on_the_number_of_threads():
    before, found = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(Network(sequential_network(seed=1)).state_dict())
    finally:
        torch.set_num_threads(before)
    assert _equal(*found)


def test_networks_of_earlier_versions_have_no_consolidation():
    from nwbcompare.model.checkpoint import pretrained_path

    _, config = read_configs(pretrained_path("all20-fast-0"))
    assert config.consolidation == Consolidation()
    assert (config.keep, config.trainable, config.start) == ("best", (), "")
    assert NetworkConfig() == NetworkConfig()
