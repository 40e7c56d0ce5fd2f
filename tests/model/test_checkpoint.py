"""Run folders: read back, overwritten, damaged, refused; and the networks of the package."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import asdict

import numpy as np
import pytest
import torch
from filled_networks import fill
from safetensors.torch import load_file, save_file
from training_logs import ROWS

import nwbcompare as nc
from nwbcompare.core.errors import InputError, NotApplicableError
from nwbcompare.model import (
    Network,
    NetworkConfig,
    checkpoint,
    evaluate,
    load,
    pretrained,
    pretrained_names,
    pretrained_path,
    save_run,
)
from nwbcompare.model.checkpoint import (
    EVALUATION,
    LOG,
    read_configs,
    read_evaluation,
    read_log,
    read_training,
)
from nwbcompare.model.initialisation import initial_weights, weight_shapes
from nwbcompare.model.run_config import parse_run_config

SHIPPED = [
    *(f"all20-fast-{seed}" for seed in range(10)),
    *(f"all20-paper-{seed}" for seed in range(4)),
    *(f"all20-mixed-{seed}" for seed in range(4)),
    "all20-small-0",
    *(f"ctxdm-{seed}" for seed in range(4)),
]
PROMISED = {"fast": 0.95, "paper": 0.9, "custom": 0.9}
"""Performance of the worst task at the end of training, by schedule."""
SMALL = 0.88
"""The same of the small network, which was ended when an evaluation gave 0.9."""


def test_all_networks_come_with_the_package_and_stay_small():
    assert pretrained_names() == sorted(SHIPPED)
    root = pretrained_path(SHIPPED[0]).parent
    assert sum(file.stat().st_size for file in root.rglob("*") if file.is_file()) < 15e6
    for name in SHIPPED:
        assert (pretrained_path(name) / "log.csv").is_file()
        assert pretrained(name).name == name


@pytest.mark.parametrize("name", SHIPPED)
def test_the_networks_that_come_with_the_package_do_their_tasks(name):
    network, recorded = pretrained(name), read_evaluation(pretrained_path(name))
    training = read_training(pretrained_path(name))
    tasks = training.tasks
    assert recorded["n_trials"] == 512
    assert set(recorded["performance"]) == set(tasks)
    assert len(tasks) == (20 if name.startswith("all20") else 2)
    promised = SMALL if "small" in name else PROMISED[training.schedule]
    assert min(recorded["performance"].values()) > promised
    # other random trials than those of the training's own evaluation, and fewer of them
    shares = evaluate(network, tasks, seed=99, n_trials=64)
    assert min(shares.values()) > 0.85
    assert np.mean(list(shares.values())) > 0.9


def test_overwriting_never_deletes_what_is_no_run(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work")
    with pytest.raises(nc.InputError, match="a run to replace.*an existing folder that is no run"):
        save_run(Network(NetworkConfig(n_units=4)), folder, overwrite=True)
    assert (folder / "chapter.txt").read_text() == "years of work"


def test_a_run_may_be_overwritten(run):
    save_run(Network(NetworkConfig(n_units=9)), run, overwrite=True)
    assert load(run).config.n_units == 9


def test_weights_are_as_readable_as_the_configuration(run):
    modes = {(run / name).stat().st_mode for name in ("config.json", "weights.safetensors")}
    assert len(modes) == 1


def test_a_run_folder_is_read_back(tmp_path):
    network = Network(NetworkConfig(n_units=6, seed=4), name="x")
    save_run(network, tmp_path / "run")
    again = load(tmp_path / "run")
    assert again.config == network.config
    assert again.name == "run"
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )
    with pytest.raises(nc.InputError, match="a path that does not exist yet"):
        save_run(network, tmp_path / "run")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


@pytest.fixture
def run(tmp_path):
    return save_run(Network(NetworkConfig(n_units=4)), tmp_path / "run")


def test_pickled_weights_are_never_opened(run):
    (run / "weights.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(nc.InputError, match="Pickled or damaged weights are never opened"):
        load(run)


def test_damaged_runs_are_refused(run, tmp_path):
    with pytest.raises(nc.InputError, match="a run folder with config.json"):
        load(tmp_path / "nowhere")
    weights = run / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(nc.InputError, match="weights.safetensors"):
        load(run)
    weights.unlink()
    with pytest.raises(nc.InputError, match="weights.safetensors"):
        load(run)
    shutil.copy(pretrained_path("ctxdm-0") / "weights.safetensors", weights)
    with pytest.raises(nc.InputError, match="do not belong to the configuration"):
        load(run)
    config = run / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"version": 99}))
    with pytest.raises(nc.InputError, match="nwbcompare run 5"):
        load(run)
    newer = values | {"version": 6, "network": values["network"] | {"new_field": 1}}
    config.write_text(json.dumps(newer))
    with pytest.raises(nc.InputError, match="expected nwbcompare run 5, got .*6"):
        load(run)
    config.write_text("{}")
    with pytest.raises(nc.InputError, match="config.json: expected a run's configuration, got Key"):
        load(run)


FAST = pretrained_path("all20-fast-0") / "config.json"


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        (["network", "units"], 8, r"network\.units: expected no key of this name, got 8"),
        (["network", "n_units"], "8", r"network\.n_units: expected a valid integer, got '8'"),
        (["network", "n_units"], -8, r"network\.n_units: expected a whole number of 1 or more"),
        (["network", "rules"], "fdgo", r"network\.rules: expected a valid array, got 'fdgo'"),
        (["network", "dt_ms"], "20", r"network\.dt_ms: expected a valid number, got '20'"),
        (["network", "sigma_x"], float("nan"), r"network\.sigma_x: expected a finite number"),
        (["training", "stop_exploded"], 1, r"training\.stop_exploded: expected a valid boolean"),
        (["training", "keep"], "first", r"training\.keep: expected 'best' or 'last', got 'first'"),
        (["training", "tasks"], ["fdgoo"], r"training\.task: .*Did you mean 'fdgo'"),
        (["training", "stages", 1, "dt_ms"], None, r"training\.stages\.1\.dt_ms: .* got None"),
        (["training", "stages", 0], {}, r"training\.stages\.0\.dt_ms: expected a value, got none"),
        (["training", "stages"], [], r"training\.stages: expected at least one stage"),
        (["networks"], {}, r"networks: expected no key of this name"),
        (["network"], 3, r"network: expected an object, got 3"),
    ],
)
def test_a_damaged_configuration_is_refused_by_its_key(run, place, value, match):
    values = json.loads(FAST.read_text())
    inner = values
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (run / "config.json").write_text(json.dumps(values))
    with pytest.raises(nc.InputError, match=rf"config\.json, {match}"):
        read_training(run)


def test_a_network_whose_training_is_not_known_has_no_training_configuration(run):
    assert read_training(run) is None
    with pytest.raises(NotApplicableError, match="a run with its training, got a network alone"):
        read_configs(run)


def test_whole_numbers_of_a_configuration_stay_whole():
    config = parse_run_config(FAST.read_text(), FAST)
    again = json.loads(json.dumps(asdict(config)))
    for part, values in json.loads(FAST.read_text())["network"].items():
        assert repr(again["network"][part]) == repr(values)
    assert [repr(stage.dt_ms) for stage in config.training.stages][:1] == ["100"]


def test_weights_that_are_no_numbers_are_refused(run):
    network = Network(NetworkConfig(n_units=4))
    save_run(fill(network, bias=np.full(4, np.nan, "f4")), run, overwrite=True)
    with pytest.raises(nc.InputError, match="finite weights, got NaN or infinity in bias"):
        load(run)


def test_a_damaged_evaluation_is_refused(run):
    (run / EVALUATION).write_text("{")
    with pytest.raises(nc.InputError, match="evaluation.json: expected a JSON object"):
        read_evaluation(run)


def test_the_mixing_is_kept_with_the_run(tmp_path):
    network = Network(NetworkConfig(n_units=4, rule_mixing_seed=2))
    save_run(network, tmp_path / "run")
    assert load(tmp_path / "run").config == network.config
    assert set(network.state_dict()) == set(Network(NetworkConfig(n_units=4)).state_dict())


def test_version_1_runs_say_how_they_were_trained():
    config = read_training(nc.model.pretrained_path("ctxdm-0"))
    assert config.batches == "single"
    assert config.stages[0].learning_rates == (1e-3, 1e-3)
    assert config.n_shards == 1


def test_a_log_comes_back_as_it_was_written(tmp_path):
    network = Network(NetworkConfig(n_units=4))
    save_run(network, tmp_path / "run", log=ROWS)
    assert read_log(tmp_path / "run") == ROWS
    save_run(network, tmp_path / "untold")
    assert read_log(tmp_path / "untold") == []


@pytest.mark.parametrize("name", pretrained_names())
def test_logs_of_shipped_networks_can_be_read(name):
    log = read_log(pretrained_path(name))
    tasks = read_training_tasks(name)
    assert len(log) > 1
    assert all(set(r["performance"]) == set(tasks) for r in log)
    assert all(0 <= p <= 1 for r in log for p in r["performance"].values())
    seconds = [r["seconds"] for r in log]
    assert seconds == sorted(seconds)
    assert min(log[-1]["performance"].values()) > max(0.5, min(log[0]["performance"].values()))


def read_training_tasks(name):
    from nwbcompare.model.checkpoint import read_training

    return read_training(pretrained_path(name)).tasks


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("0.75", "much"),
        lambda text: text[: text.rindex(",1.0")],
        lambda text: text.replace("seconds", "hours"),
        lambda text: text.rstrip() + ",0.5,0.5\n",
        lambda text: text + '"' + "9" * 200_000,
        lambda text: text.replace("\n0,", "\ninf,", 1),
    ],
    ids=["word", "cut", "column", "cells", "long", "infinity"],
)
def test_a_damaged_log_is_refused(tmp_path, damage):
    save_run(Network(NetworkConfig(n_units=4)), tmp_path / "run", log=ROWS)
    file = tmp_path / "run" / LOG
    file.write_text(damage(file.read_text()))
    with pytest.raises(nc.InputError, match=r"log\.csv: expected a table of evaluations"):
        read_log(tmp_path / "run")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(nc.InputError, match=r"log\.csv"):
        read_log(tmp_path / "run")


def test_the_shapes_of_weights_are_those_that_are_made():
    for config in (
        NetworkConfig(n_units=3),
        NetworkConfig(n_units=3, cell="leaky_gru", rules=("fdgo",)),
        NetworkConfig(n_units=3, separate_rule_input=True, rules=("fdgo", "dm1")),
    ):
        made = {name: tuple(value.shape) for name, value in initial_weights(config).items()}
        assert weight_shapes(config) == made


def test_a_network_larger_than_its_file_is_refused_before_it_is_made(tmp_path, monkeypatch):
    run = save_run(Network(NetworkConfig(n_units=4)), tmp_path / "run")
    file = run / "config.json"
    config = json.loads(file.read_text())
    config["network"]["n_units"] = 200_000
    file.write_text(json.dumps(config))
    monkeypatch.setattr(checkpoint, "Network", None)
    with pytest.raises(InputError, match=r"weights.safetensors: expected tensors .*200000, 200000"):
        load(run)


def test_weights_that_are_no_numbers_of_weights_are_refused(tmp_path):
    run = save_run(Network(NetworkConfig(n_units=4)), tmp_path / "run")
    file = run / "weights.safetensors"
    weights = {name: value.to(torch.int8) for name, value in load_file(file).items()}
    save_file(weights, file)
    with pytest.raises(InputError, match="floating-point numbers .* got other numbers in bias"):
        load(run)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": "\\u0000"}', "[1]", "\x00"])
def test_a_damaged_evaluation_is_an_error_that_names_it(tmp_path, text):
    run = save_run(Network(NetworkConfig(n_units=4)), tmp_path / "run")
    (run / "evaluation.json").write_text(text)
    with pytest.raises(InputError, match="evaluation.json: expected a JSON object"):
        read_evaluation(run)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": []}, "config.json: expected nwbcompare run 5"),
        ({"version": {}}, "config.json: expected nwbcompare run 5"),
        ({"network": []}, "config.json, network"),
        ({"training": {"learning_rate": 1, "stages": ["x"]}}, "config.json, training.stages"),
        ({"training": {"stages": ["x"]}}, "config.json, training"),
    ],
)
def test_a_configuration_of_other_values_is_an_error_that_names_it(tmp_path, change, match):
    run = save_run(Network(NetworkConfig(n_units=4)), tmp_path / "run")
    file = run / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(InputError, match=match):
        load(run)
