"""Checkpoints that are damaged or of older formats: refused, or gone on with."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save
from short_training import SHORT, SMALL, _equal

import nwbcompare as nc
from nwbcompare.core.errors import DamagedCacheError
from nwbcompare.model import train
from nwbcompare.model.checkpoint import CHECKPOINT, read_log, read_training, start_run
from nwbcompare.model.config import Consolidation
from nwbcompare.model.curricula import sequential_config

SI = Consolidation(method="synaptic_intelligence")


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
    ({"stage": 99}, "progress, stage: expected one from 0 to 2, got 99"),
    ({"stage": -1}, "progress, stage: expected greater than or equal to 0, got -1"),
    ({"stage_step": 9}, "progress, stage_step: expected at most the stage's 8, got 9"),
    ({"step": 1.5}, "progress, step: expected a valid integer.*, got 1.5"),
    ({"step": 4}, "progress, log: expected a last row of step 4"),
    ({"best": "good"}, "progress, best: expected a valid number, got 'good'"),
    ({"first_losses": [1.0, None]}, "progress, first_losses.1: expected a valid number, got None"),
    ({"log": []}, "progress, log: expected a row for each evaluation, at least one"),
    ({"log": [{"step": 8}]}, "progress, log: expected the performance in fdgo, dm1"),
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
    with pytest.raises(DamagedCacheError, match=f"{CHECKPOINT}.*{match}.*with --overwrite"):
        train(SMALL, config, out=out, resume=True)


@pytest.mark.parametrize(("change", "match"), DAMAGED_PROGRESS)
def test_a_checkpoint_with_other_progress_is_refused(begun, tmp_path, change, match):
    progress = begun[3] | change if isinstance(change, dict) else change
    config, out = _damaged(begun, tmp_path, begun[2], json.dumps(progress))
    with pytest.raises(DamagedCacheError, match=f"{CHECKPOINT}: {match}"):
        train(SMALL, config, out=out, resume=True)


@pytest.mark.parametrize(("text", "got"), [(None, "''"), ("{", "'{'")])
def test_a_checkpoint_without_progress_is_refused(begun, tmp_path, text, got):
    config, out = _damaged(begun, tmp_path, begun[2], text)
    with pytest.raises(DamagedCacheError, match=f"progress: expected JSON, got {got}"):
        train(SMALL, config, out=out, resume=True)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    start_run(tmp_path / "other", SMALL, SHORT)
    (tmp_path / "other" / CHECKPOINT).write_bytes(b"\x00" * 100)
    with pytest.raises(
        DamagedCacheError, match=r"checkpoint.safetensors: expected tensors in safetensors"
    ):
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
