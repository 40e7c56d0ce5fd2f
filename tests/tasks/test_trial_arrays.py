"""Trials of a task of one's own, from plain arrays."""

import numpy as np
import pandas as pd
import pytest
import torch

import nwbcompare as nc
from nwbcompare.tasks import trials_from_arrays

SIDES = np.array(["left", "right", "left", "right"])
COLUMNS = {"task": ["go", "go", "anti", "anti"], "side": SIDES, "strength": [1.0, 2.0, 1.0, 2.0]}


def make(inputs=None, targets=None, trials=COLUMNS, **options):
    inputs = np.random.default_rng(0).random((4, 10, 3)) if inputs is None else inputs
    return trials_from_arrays(
        inputs, targets, trials, **{"dt_ms": 20, "conditions": ["side"]} | options
    )


def test_arrays_come_back_with_their_labels():
    inputs, targets = np.arange(120.0).reshape(4, 10, 3), np.arange(80.0).reshape(4, 10, 2)
    trials = make(inputs, targets, loss_mask=np.arange(40.0).reshape(4, 10), start_s=-0.1)
    np.testing.assert_array_equal(trials["input"].transpose("trial", "time", ...), inputs)
    np.testing.assert_array_equal(trials["target"].transpose("trial", "time", ...), targets)
    assert trials["loss_mask"].sel(trial=2).isel(time=3).values.tolist() == [23.0, 23.0]
    np.testing.assert_allclose(trials["time"].values[:2], [-0.09, -0.07])
    assert nc.labels(trials["task"]).tolist() == COLUMNS["task"]


def test_a_table_of_pandas_is_a_dict_of_columns():
    xr_first, xr_second = make(), make(trials=pd.DataFrame(COLUMNS))
    assert xr_first.identical(xr_second)


@pytest.mark.parametrize("kind", [torch.nn.GRU, torch.nn.LSTM])
def test_a_module_is_recorded_and_its_conditions_are_those_named(kind):
    torch.manual_seed(0)
    trials = make(epochs={"stim": (0.0, 0.1)})
    block = nc.check_activity(nc.record(kind(3, 6), trials, name="mine"))
    assert block.attrs["deterministic"]
    assert block["epoch"].values.tolist() == ["stim"]
    variance = nc.task_variance(block)
    assert variance["n_conditions"].values.tolist() == [2, 2]
    twin = block["rate"].values[2:].var(axis=0).mean(axis=0)
    anti = variance["task_variance"].sel(task="anti").values
    np.testing.assert_allclose(anti, twin, rtol=1e-4)


def test_without_epochs_the_window_is_the_epoch():
    block = nc.record(torch.nn.GRU(3, 2), make())
    assert nc.selectivity.epoch_variance(block)["epoch"].values.tolist() == ["window", "window"]


@pytest.mark.parametrize(("change", "match"), [
    ({"inputs": np.zeros((4, 10))}, r"inputs: expected an array \(trial, time, channel\), got"),
    ({"inputs": np.full((4, 10, 1), np.nan)}, "inputs: expected finite numbers, got NaN"),
    ({"targets": np.zeros((4, 9, 1))}, "targets: .* 4 trials and 10 steps, as the inputs"),
    ({"loss_mask": np.ones((4, 10))}, "loss_mask: expected none without targets"),
    ({"targets": np.zeros((4, 10, 1)), "loss_mask": np.ones(4)}, r"loss_mask: expected \(trial"),
    ({"trials": {"side": SIDES}}, "trials: expected a column 'task' .* got side"),
    ({"trials": {"task": ["go"] * 3, "side": SIDES}}, r"trials\['task'\]: .* 4 trials"),
    ({"conditions": ["sid"]}, "conditions: expected one of .* Did you mean 'side'"),
    ({"dt_ms": 0}, "dt_ms: expected a time step above 0 ms, got 0"),
    ({"epochs": {"stim": (0.0, 0.5)}}, r"epochs\['stim'\]"),
])  # fmt: skip
def test_refusals(change, match):
    with pytest.raises(nc.InputError, match=match):
        make(**change)
