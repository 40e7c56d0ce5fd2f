"""Learning by rule inputs alone: what moves, what is kept, what is left out, and the command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from nwbcompare.analysis.learning.retention import learning_curves
from nwbcompare.cli.rule_learning import _add_summary, _line, rule_learning
from nwbcompare.core.errors import InputError, NotApplicableError
from nwbcompare.experiments import rule_learning as place
from nwbcompare.experiments.rule_learning import (
    LEARNED,
    PRETRAINING,
    TARGETS,
    RuleLearning,
    learn_rules,
    left_out,
    rule_learning_configs,
)
from nwbcompare.experiments.rule_learning_curves import (
    MOST_POINTS,
    _changed_weights,
    _final_performance,
    _moved_by_rules,
    _thinned,
    as_record,
    logs_of_record,
    moved_rows,
    rule_learning_logs,
)
from nwbcompare.model import Network, NetworkConfig, load, save_run, train, training
from nwbcompare.model.checkpoint import digest, read_configs, read_evaluation, read_log

SMALL = RuleLearning(
    n_units=8,
    pretraining_steps=2,
    learning_steps=3,
    pretraining_target=1.0,
    learning_target=1.0,
    evaluation_trials=32,
)
"""Far too short to learn anything: no network comes near its target."""
OTHERS = ["input_weight", "recurrent_weight", "bias", "output_weight", "output_bias"]


@pytest.fixture(autouse=True)
def _short_final_evaluation(monkeypatch):
    monkeypatch.setattr(training, "FINAL_TRIALS", 32)


def _configs(what, *, target="delayanti", **network):
    """Configurations of few steps, evaluated often."""
    configs = rule_learning_configs("A", seed=1, settings=SMALL)
    learning = replace(configs.learning[target, what], evaluate_every=2, batch_size=8)
    return replace(configs.network, **network), learning


def _learned(folder, what, **network):
    config, learning = _configs(what, **network)
    before = Network(config)
    return before, train(config, learning, out=folder, start=before)


def _count_all(patch):
    """Let networks of set A learn the targets, however little they have learned before."""
    patch.setattr(place, "PRETRAINING", {"A": PRETRAINING["A"]})
    patch.setattr(place, "_shortfall", lambda _: "")


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A campaign of set A in which every pretraining counts."""
    out = tmp_path_factory.mktemp("rules")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "FINAL_TRIALS", 32)
        _count_all(patch)
        assert learn_rules(out, n_networks=2, settings=SMALL) == {}
    return out


def test_the_published_lengths_and_settings():
    network, pretraining, learning = rule_learning_configs("B", seed=5)
    assert (network.n_units, network.nonlinearity, network.seed) == (128, "relu", 5)
    assert network.recurrent_initialisation == "diag"
    assert network.separate_rule_input
    assert len(network.rules) == 20
    assert pretraining.tasks == ("fdgo", "fdanti", "delaygo")
    assert set(learning) == {(target, what) for target in TARGETS for what in LEARNED}
    for config, trials in ((pretraining, 2e6), *((one, 1e6) for one in learning.values())):
        (stage,) = config.stages
        assert stage.max_steps * config.batch_size == trials
        assert (stage.target, stage.dt_ms, stage.easy) == (0.97, 20, False)
        assert config.regularisation.l1_rate == 1e-8
        assert (config.seed, config.keep, config.batches) == (5, "last", "single")
        assert config.task_weights == "equal"
        assert config.evaluation_trials == 512
    assert pretraining.evaluate_every == 500
    assert {config.evaluate_every for config in learning.values()} == {50}
    assert not pretraining.is_curriculum


def test_networks_of_one_seed_begin_alike_whatever_they_are_pretrained_on():
    one, two = (rule_learning_configs(name, seed=3).network for name in PRETRAINING)
    assert one == two
    assert rule_learning_configs("A", seed=4).network != one


def test_settings_are_those_asked_for():
    asked = RuleLearning(
        n_units=16,
        pretraining_steps=7,
        learning_steps=9,
        pretraining_target=0.8,
        learning_target=0.85,
        evaluation_trials=64,
    )
    network, pretraining, learning = rule_learning_configs("A", settings=asked)
    assert network.n_units == 16
    assert (pretraining.stages[0].max_steps, pretraining.stages[0].target) == (7, 0.8)
    for config in learning.values():
        assert (config.stages[0].max_steps, config.stages[0].target) == (9, 0.85)
        assert config.evaluation_trials == 64


def test_nothing_but_the_rule_map_moves(tmp_path):
    before, after = _learned(tmp_path / "rules", "rules")
    assert _changed_weights(before, after) == ["rule_weight"]


def test_all_weights_move_where_all_learn(tmp_path):
    # the negative control
    before, after = _learned(tmp_path / "all", "all")
    assert set(_changed_weights(before, after)) == {*OTHERS, "rule_weight"}


def test_a_changed_sign_of_zero_is_a_changed_bit():
    config = NetworkConfig(n_units=4, separate_rule_input=True)
    one, two = Network(config), Network(config)
    assert _changed_weights(one, two) == []
    two.bias.data[2] = -0.0
    assert torch.equal(one.bias, two.bias)
    assert _changed_weights(one, two) == ["bias"]


def test_rows_of_rules_that_are_not_shown_drift_with_the_noise_of_their_channels(tmp_path):
    before, after = _learned(tmp_path / "run", "rules")
    moved = moved_rows(before, after)["largest_change"]
    assert moved.sizes == {"rule": 20}
    assert (moved > 0).all()
    # Adam's first step is the learning rate whatever the gradient, and three steps are no more
    assert float(moved.max()) < 3.5e-3


def test_without_noise_a_rule_that_is_not_shown_has_no_gradient(tmp_path):
    # the negative control: its channel is 0, and so is the slope by all that it drives
    before, after = _learned(tmp_path / "run", "rules", sigma_x=0.0)
    moved = moved_rows(before, after)["largest_change"]
    assert moved["rule"].values[moved.values > 0].tolist() == ["delayanti"]


def test_moved_rows_are_told_apart_by_rule():
    config = NetworkConfig(n_units=4, rules=("fdgo", "dm1", "dm2"), separate_rule_input=True)
    one, two = Network(config), Network(config)
    with torch.no_grad():
        two.rule_weight[1] += torch.tensor([0.0, -0.5, 0.25, 0.0])
    moved = moved_rows(one, two)
    assert moved["rule"].values.tolist() == ["fdgo", "dm1", "dm2"]
    np.testing.assert_allclose(moved["largest_change"], [0, 0.5, 0], atol=1e-7)
    np.testing.assert_allclose(moved["rms_change"], [0, np.sqrt(0.3125 / 4), 0], atol=1e-7)
    expected = np.sqrt((one.rule_weight.detach().numpy() ** 2).mean(axis=1))
    np.testing.assert_allclose(moved["rms_before"], expected, rtol=1e-6)


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path):
    config, learning = _configs("rules")
    start = Network(config)
    whole = train(config, learning, out=tmp_path / "whole", start=start)

    def stop(log):
        if log[-1]["step"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, learning, out=tmp_path / "parts", start=start, watch=stop)
    parts = train(config, learning, out=tmp_path / "parts", start=start, resume=True)
    assert _changed_weights(whole, parts) == []
    assert _changed_weights(start, parts) == ["rule_weight"]


def test_a_campaign_goes_on_where_it_was_stopped(campaign, tmp_path, monkeypatch):
    out = tmp_path / "again"
    shutil.copytree(campaign, out)
    gone = ["A-0-delayanti-rules", "A-1-contextdelaydm1-all"]
    for name in gone:
        shutil.rmtree(out / name)
    trained = []

    def watched(*args, **kwargs):
        trained.append(kwargs["out"].name)
        return train(*args, **kwargs)

    _count_all(monkeypatch)
    monkeypatch.setattr(place, "train", watched)
    learn_rules(out, n_networks=2, settings=SMALL)
    assert trained == gone
    for name in gone:
        assert _changed_weights(load(campaign / name), load(out / name)) == []


def test_two_processes_give_the_weights_of_one(tmp_path):
    excluded, again = (
        learn_rules(tmp_path / name, n_networks=1, settings=SMALL, n_jobs=n_jobs)
        for name, n_jobs in (("two", 2), ("one", 1))
    )
    assert again == excluded
    assert set(excluded) == {"A-0", "B-0"}
    for name in excluded:
        assert _changed_weights(load(tmp_path / "one" / name), load(tmp_path / "two" / name)) == []


def test_learning_starts_from_the_pretrained_network(campaign):
    for name in ("A-0", "A-1"):
        starts = {
            read_configs(campaign / f"{name}-{target}-{what}")[1].start
            for target in TARGETS
            for what in LEARNED
        }
        assert starts == {digest(load(campaign / name).state_dict())}


def test_other_settings_are_refused_in_a_folder_that_has_runs(campaign, monkeypatch):
    _count_all(monkeypatch)
    with pytest.raises(InputError, match="A-0: expected a run of the same settings.*stages"):
        learn_rules(campaign, settings=replace(SMALL, pretraining_steps=4))
    with pytest.raises(InputError, match="differs in n_units"):
        learn_rules(campaign, settings=replace(SMALL, n_units=9))


def test_a_network_below_its_target_learns_nothing_and_is_listed(tmp_path):
    excluded = learn_rules(tmp_path, n_networks=1, settings=SMALL)
    assert list(excluded) == ["A-0", "B-0"]
    worst = min(read_log(tmp_path / "A-0")[-1]["performance"].values())
    assert f"at {worst:.3f}, below 1" in excluded["A-0"]
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["A-0", "B-0"]
    assert left_out(tmp_path) == excluded
    assert rule_learning_logs(tmp_path) == {}


def test_a_network_that_reaches_its_target_is_not_left_out(tmp_path):
    # the negative control, without any training: at this seed an untrained network knows enough
    settings = replace(SMALL, pretraining_target=0.2, learning_target=1e-9)
    config, pretraining, _ = rule_learning_configs("A", seed=3, settings=settings)
    train(config, pretraining, out=tmp_path / "A-3")
    assert left_out(tmp_path) == {}
    low = replace(SMALL, pretraining_target=0.3)
    train(
        config, rule_learning_configs("A", seed=3, settings=low).pretraining, out=tmp_path / "A-4"
    )
    assert list(left_out(tmp_path)) == ["A-4"]


def test_runs_that_have_not_ended_are_listed_and_do_not_count(campaign, tmp_path):
    out = tmp_path / "cut"
    shutil.copytree(campaign, out)
    (out / "A-1-delayanti-all" / "evaluation.json").unlink()
    assert left_out(out)["A-1-delayanti-all"] == "not finished"
    logs = rule_learning_logs(out)
    assert list(logs["A", "delayanti", "all"]) == ["0"]
    assert list(logs["A", "delayanti", "rules"]) == ["0", "1"]


def test_logs_by_curve_and_seed(campaign):
    logs = rule_learning_logs(campaign)
    assert set(logs) == {("A", target, what) for target in TARGETS for what in LEARNED}
    for (name, target, what), by_seed in logs.items():
        assert list(by_seed) == ["0", "1"]
        for seed, log in by_seed.items():
            assert log == read_log(campaign / f"{name}-{seed}-{target}-{what}")
            assert [row["step"] for row in log] == [0, 3]
            assert list(log[0]["performance"]) == [target]
    final = _final_performance(campaign)["A", "delayanti", "all"]
    evaluation = read_evaluation(campaign / "A-1-delayanti-all")
    assert final["1"] == evaluation["performance"]["delayanti"]


def test_seeds_come_in_the_order_of_numbers(campaign, tmp_path):
    for seed in (10, 9):
        shutil.copytree(campaign / "A-0-delayanti-all", tmp_path / f"A-{seed}-delayanti-all")
    assert list(rule_learning_logs(tmp_path)["A", "delayanti", "all"]) == ["9", "10"]


def test_other_folders_beside_the_runs_are_passed_over(campaign, tmp_path):
    shutil.copytree(campaign / "A-0-delayanti-all", tmp_path / "A-0-delayanti-all")
    for name in ("C-0", "A-x", "A-0-dm1-all", "A-0-delayanti", "A-0-delayanti-bias"):
        shutil.copytree(campaign / "A-0", tmp_path / name)
    (tmp_path / "B-0").mkdir()
    assert list(rule_learning_logs(tmp_path)) == [("A", "delayanti", "all")]


def test_only_runs_by_rules_are_checked_and_their_rows_measured(campaign):
    moved = _moved_by_rules(campaign)
    assert set(moved) == {("A", target, "rules") for target in TARGETS}
    rows = moved["A", "delayanti", "rules"]
    assert rows["network"].values.tolist() == ["0", "1"]
    expected = moved_rows(load(campaign / "A-1"), load(campaign / "A-1-delayanti-rules"))
    np.testing.assert_array_equal(
        rows["largest_change"].sel(network="1"), expected["largest_change"]
    )


def test_another_weight_that_has_moved_by_one_bit_is_an_error(campaign, tmp_path):
    out = tmp_path / "edited"
    shutil.copytree(campaign, out)
    folder = out / "A-0-delayanti-rules"
    network = load(folder)
    with torch.no_grad():
        network.output_bias[0] = torch.nextafter(network.output_bias[0], torch.tensor(1.0))
    evaluation = read_evaluation(folder)
    save_run(
        network,
        folder,
        training=read_configs(folder)[1],
        log=read_log(folder),
        evaluation=evaluation,
        overwrite=True,
    )
    with pytest.raises(InputError, match="A-0-delayanti-rules: .*changes of output_bias"):
        _moved_by_rules(out)
    with pytest.raises(InputError, match="changes of output_bias"):
        as_record(out)


def test_a_record_gives_the_curves_back(campaign):
    record = json.loads(json.dumps(as_record(campaign, settings=SMALL)))
    assert record["settings"]["learning_steps"] == 3
    logs, whole = logs_of_record(record), rule_learning_logs(campaign)
    assert set(logs) == set(whole)
    for curve, by_seed in logs.items():
        one, two = (
            learning_curves(found, curve[1], n_trials_per_step=64)
            for found in (by_seed, whole[curve])
        )
        assert one.identical(two)
    (found,) = (
        one for one in record["curves"] if (one["target"], one["learned"]) == (TARGETS[1], "rules")
    )
    assert len(found["largest_change"]) == len(found["rms_change"]) == 20


def test_a_long_curve_is_thinned_to_its_first_and_last_point():
    for number in (1, 2, 99, 100, 101, 313):
        log = [{"step": 50 * at, "performance": {"a": at / 400}} for at in range(number)]
        rows = _thinned(log, "a")
        assert len(rows) <= MOST_POINTS + 1
        assert (rows[0], rows[-1]) == ([0, 0.0], [50 * (number - 1), (number - 1) / 400])
        assert np.unique([step for step, _ in rows]).size == len(rows)
    assert len(_thinned(log[:100], "a")) == 100


def test_the_command_trains_reports_and_writes_the_record(tmp_path, campaign, monkeypatch):
    # trained before, so that the command has only to go on
    shutil.copytree(campaign, tmp_path / "rules")
    _count_all(monkeypatch)
    options = (
        "--networks 2 --units 8 --pretraining-steps 2 --learning-steps 3 "
        "--pretraining-target 1 --learning-target 1 --evaluation-trials 32"
    )
    command = [*options.split(), "--out", str(tmp_path / "rules")]
    for _ in range(2):
        result = CliRunner().invoke(rule_learning, command, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert result.output.count("of 2; final performance") == 4
    assert result.output.count("only rule weights have changed") == 2
    assert "of the 19 other rows" in result.output
    record = json.loads((tmp_path / "rules" / "rule_learning.json").read_text())
    assert len(record["curves"]) == 4
    for curve in record["curves"]:
        assert curve["trials_to_0.9"] == {"0": None, "1": None}
        assert curve["final_mean"] == round(np.mean(list(curve["final"].values())), 4)


def test_the_command_from_the_beginning_lists_what_it_leaves_out(tmp_path):
    out = tmp_path / "rules"
    options = "--networks 1 --units 8 --pretraining-steps 2 --evaluation-trials 32"
    result = CliRunner().invoke(rule_learning, [*options.split(), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "Left out: A-0 (pretraining ended with" in result.output
    record = json.loads((out / "rule_learning.json").read_text())
    assert record["curves"] == []
    assert list(record["left_out"]) == ["A-0", "B-0"]


def test_one_network_has_no_interval(campaign, tmp_path, monkeypatch):
    for folder in campaign.glob("A-0*"):
        shutil.copytree(folder, tmp_path / folder.name)
    record = as_record(tmp_path, settings=SMALL)
    _add_summary(record, str(tmp_path))
    assert "(no interval)" in _line(record["curves"][0])
    assert record["curves"][0]["final_mean_low"] is None


def test_the_median_network_counts():
    from nwbcompare.cli.rule_learning import _line

    curve = {
        "target": "delayanti",
        "pretraining": "B",
        "learned": "rules",
        "final_mean": 0.98,
        "final_mean_low": 0.96,
        "final_mean_high": 1.0,
    }
    reached = {"0": 3200, "1": 12800, "2": None}
    line = _line(curve | {"trials_to_0.9": reached})
    assert "0.9 reached by 2 of 3, median 12,800 trials; final performance 0.980" in line
    assert "95 % 0.960 to 1.000" in line
    line = _line(curve | {"trials_to_0.9": reached | {"1": None}})
    assert "0.9 reached by 1 of 3; final performance" in line


def test_unknown_names_and_numbers_are_refused(tmp_path):
    with pytest.raises(InputError, match="pretraining: expected one of A, B, got 'C'"):
        rule_learning_configs("C")
    with pytest.raises(InputError, match="learning_steps"):
        RuleLearning(learning_steps=0)
    with pytest.raises(InputError, match="pretraining_steps"):
        RuleLearning(pretraining_steps=1.5)
    with pytest.raises(InputError, match="pretraining_target"):
        RuleLearning(pretraining_target=0)
    with pytest.raises(InputError, match="evaluation_trials: expected a multiple of 32"):
        rule_learning_configs("A", settings=RuleLearning(evaluation_trials=33))
    with pytest.raises(InputError, match="n_networks"):
        learn_rules(tmp_path, n_networks=0)
    with pytest.raises(InputError, match="n_jobs"):
        learn_rules(tmp_path, n_jobs=0)
    with pytest.raises(InputError, match="a folder with runs such as A-0"):
        rule_learning_logs(tmp_path)


def test_a_weight_that_the_network_has_not_cannot_learn(tmp_path):
    config, learning = _configs("rules")
    with pytest.raises(InputError, match="trainable: .*Did you mean 'rule_weight'"):
        train(config, replace(learning, trainable=("rule_weights",)), out=tmp_path / "run")
    joined = replace(config, separate_rule_input=False)
    with pytest.raises(InputError, match="trainable: expected one of input_weight"):
        train(joined, learning, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_networks_that_are_not_one_before_and_after_are_refused():
    apart = NetworkConfig(n_units=4, separate_rule_input=True)
    joined = Network(NetworkConfig(n_units=4))
    with pytest.raises(
        NotApplicableError, match="after: expected a network whose rules have a map"
    ):
        moved_rows(Network(apart), joined)
    with pytest.raises(InputError, match="after: expected 4 units .*got 5 units"):
        moved_rows(Network(apart), Network(replace(apart, n_units=5)))
    other = replace(apart, rules=(*apart.rules[::-1],))
    with pytest.raises(InputError, match="expected .*the rules fdgo, .*got .*the rules dmcnogo, "):
        moved_rows(Network(apart), Network(other))
    with pytest.raises(InputError, match="after: expected weights"):
        _changed_weights(Network(apart), joined)
