"""Imported weights: the trained network of the reference, and shapes that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_losses import task_loss

import nwbcompare as nc
from nwbcompare.model import from_arrays
from nwbcompare.tasks import RULES, make_trials


@pytest.fixture(scope="module")
def reference(shared):
    """Arrays of the reference implementation for its trained network."""
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def measured(reference):
    """Performance, the share of correct trials, the loss and the rates by task."""
    names = ("input_weight", "recurrent_weight", "bias", "output_weight", "output_bias")
    network = from_arrays(**{name: reference[name] for name in names})
    result = {}
    for task in RULES:
        trials = make_trials(task)
        block = nc.record(network, trials, inputs_and_outputs=True)
        outputs = block["output"].transpose("time", "trial", "output_channel")
        loss = task_loss(
            *(torch.from_numpy(v.values) for v in (outputs, trials["target"], trials["loss_mask"]))
        )
        result[task] = {
            "performance": network.performance(trials),
            "correct": float(block["correct"].mean()),
            "loss": float(loss),
            # without the channels, which take twice as much memory as the rates
            "block": block.drop_dims(["input_channel", "output_channel"]),
        }
    return result


@pytest.mark.shared
def test_the_trained_network_equals_the_reference_in_every_task(reference, measured):
    for place, task in enumerate(reference["tasks"].tolist()):
        performance = pytest.approx(float(reference["test_performance"][place]), abs=1e-6)
        assert measured[task]["performance"] == performance, task
        assert measured[task]["correct"] == performance, task
        loss = pytest.approx(float(reference["test_cost"][place]), rel=1e-5)
        assert measured[task]["loss"] == loss, task


@pytest.mark.shared
def test_its_task_variance_equals_the_references_in_every_task_and_epoch(reference, measured):
    activity = nc.make_activity({task: values["block"] for task, values in measured.items()})
    tv = nc.task_variance(activity)["task_variance"].sel(task=reference["tasks"].tolist())
    expected = reference["task_variance"]
    np.testing.assert_allclose(tv, expected, rtol=1e-5, atol=1e-5 * expected.max())
    alone = {task: nc.make_activity({task: activity[task].to_dataset()}) for task in measured}
    for place, key in enumerate(reference["epoch_keys"].tolist()):
        task, epoch = key.split("/")
        found = nc.task_variance(alone[task], epochs=[epoch], leave_out=())["task_variance"]
        values = reference["epoch_task_variance"][:, place]
        np.testing.assert_allclose(found.sel(task=task), values, rtol=1e-5, atol=1e-6)


ZEROS = {
    "input_weight": np.zeros((85, 4)),
    "recurrent_weight": np.zeros((4, 4)),
    "bias": np.zeros(4),
    "output_weight": np.zeros((4, 33)),
    "output_bias": np.zeros(33),
}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"input_weight": np.zeros((67, 4))},
            r"input_weight: .*shape \(85, 4\), got shape \(67, 4",
        ),
        ({"recurrent_weight": np.zeros((4, 5))}, r"recurrent_weight: .*\(4, 4\), got shape \(4, 5"),
        ({"output_bias": np.zeros(32)}, r"output_bias: .*\(33,\), got shape \(32"),
        ({"bias": np.full(4, np.nan)}, "bias: expected finite weights"),
        ({"cell": "leaky_gru"}, r"gate_input_weight: .*\(85, 8\), got none"),
        ({"gate_bias": np.zeros(8)}, "gate_bias: expected None for a leaky_rnn"),
        ({"cell": "leaky_lstm"}, "cell: .*Did you mean 'leaky_"),
        ({"dt_ms": 120}, "dt_ms: .*at most tau"),
    ],
)
def test_arrays_of_other_shapes_are_refused(changes, match):
    with pytest.raises(nc.InputError, match=match):
        from_arrays(**(ZEROS | changes))
