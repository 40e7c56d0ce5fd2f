"""Models of a comparison: families by name, bad input."""

from __future__ import annotations

import pytest
from report_inputs import CONTEXTS, network_in

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig, save_run
from nwbcompare.model.schedules import training_config
from nwbcompare.workflows.models import load_models


def test_models_belong_to_the_families_that_are_named(tmp_path):
    one, two = (network_in(tmp_path, name) for name in ("a=b", "two"))
    models = load_models([one, f"x={two}", "x=pretrained:ctxdm-0"], CONTEXTS, CONTEXTS)
    # a folder of that name is there, and is meant
    assert [model.family for model in models] == ["networks", "x", "x"]
    assert [model.name for model in models] == ["a=b", "two", "ctxdm-0"]
    assert models[0].method() == (
        "a leaky rnn of 16 softplus units trained on Ctx DM 1, Ctx DM 2 (schedule 'fast')"
    )


@pytest.mark.parametrize(
    ("sources", "match"),
    [
        ([], "models: expected at least one network, got none"),
        (["x="], "models: expected SOURCE, or FAMILY=SOURCE, got 'x='"),
        (["=pretrained:ctxdm-0"], "models: expected SOURCE, or FAMILY=SOURCE"),
        (["pretrained:ctxdm-0", "x=pretrained:ctxdm-0"], "'ctxdm-0' 2 times"),
        (["pretrained:ctxdm"], "ctxdm"),
        (["x=nowhere"], "nowhere: expected a run folder"),
    ],
)
def test_models_that_cannot_be_are_refused(sources, match):
    with pytest.raises(nc.InputError, match=match):
        load_models(sources, CONTEXTS, CONTEXTS)


def test_a_network_must_know_the_tasks_that_it_is_shown(tmp_path):
    source = network_in(tmp_path, "net")
    with pytest.raises(
        nc.InputError,
        match="net': expected a network trained on dm1, dm2, got one trained on contextdm1, contextdm2",
    ):
        load_models([source], ("motion", "colour"), ("dm1", "dm2"))


def test_a_network_with_the_rules_of_tasks_that_it_was_not_trained_on_is_refused(tmp_path):
    network = Network(NetworkConfig(n_units=4), name="net")
    source = str(save_run(network, tmp_path / "net", training=training_config(("fdgo", "dm1"))))
    match = "trained on contextdm1, contextdm2, got one trained on fdgo, dm1"
    with pytest.raises(nc.InputError, match=match):
        load_models([source], CONTEXTS, CONTEXTS)
    # nothing is known of how a network without a training was made
    untold = str(save_run(network, tmp_path / "untold"))
    assert load_models([untold], CONTEXTS, CONTEXTS)[0].name == "untold"
