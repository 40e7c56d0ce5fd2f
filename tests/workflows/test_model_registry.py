"""Models of other packages by name: networks, activity, options, bad loaders."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import entry_points as installed

import numpy as np
import pandas as pd
import pytest
from report_inputs import CONTEXTS

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig
from nwbcompare.workflows.analysis_sources import FileSource, NetworkSource, analysis_source
from nwbcompare.workflows.model_registry import ModelLoader, load_model, model_loader
from nwbcompare.workflows.models import load_models
from nwbcompare.workflows.sources import (
    find_network,
    is_activity_model,
    is_network,
    resolve,
    tasks_of_network,
)


class Entry:
    """An entry point."""

    def __init__(self, loader):
        self.loader = loader
        self.value = "mine:MODEL"

    def load(self):
        return self.loader


def load_tuned(rest, *, n_units=6, tasks="a,b"):
    names = tasks.split(",")
    trials = pd.DataFrame({"task": np.repeat(names, 4), "side": [0, 1, 2, 3] * len(names)})
    rates = np.random.default_rng(0).random((len(trials), 5, n_units))
    return nc.from_arrays(
        rates=rates,
        time_s=np.arange(5) * 0.05,
        trials=trials,
        task="task",
        conditions=["side"],
        source="model",
        name=rest or "tuned",
    )


def load_net(rest, *, seed=0):
    return Network(NetworkConfig(n_units=8, rules=CONTEXTS, seed=seed), name=rest or "net")


TUNED = ModelLoader(
    name="tuned",
    title="Tuned units",
    returns="activity",
    load=load_tuned,
    options={"n_units": int, "tasks": str},
)
NET = ModelLoader(
    name="net", title="A network", returns="network", load=load_net, options={"seed": int}
)


@pytest.fixture
def register(monkeypatch):
    """A function that registers loaders as another package would."""

    def put(*loaders):
        def entry_points(*, group):
            if group != "nwbcompare.models":
                return installed(group=group)
            return [Entry(loader) for loader in loaders]

        monkeypatch.setattr("nwbcompare.core.entry_points.entry_points", entry_points)

    return put


@pytest.fixture
def registered(register, tmp_path, monkeypatch):
    """Both loaders, in an empty folder."""
    register(TUNED, NET)
    monkeypatch.chdir(tmp_path)


def test_a_model_is_known_by_the_name_before_colon_or_options(registered):
    for source in ("tuned", "tuned:mine", "tuned?n_units=3", "tuned:a?b:c"):
        assert model_loader(source) is TUNED
    for source in ("tune", "tuned2", "", "nowhere:tuned", "pretrained:ctxdm-0"):
        assert model_loader(source) is None
    assert is_network("net")
    assert not is_network("tuned")
    assert is_activity_model("tuned:x")
    assert not is_activity_model("net")


def test_activity_is_checked_and_options_are_read(registered):
    activity = resolve("tuned:mine?n_units=3&tasks=a,b,c")
    (block,) = nc.blocks(activity).values()
    assert block.attrs["name"] == "mine"
    assert block.sizes["unit"] == 3
    assert set(nc.labels(block["task"])) == {"a", "b", "c"}
    source = analysis_source("tuned")
    assert source.name == "tuned"
    assert source.network is None
    assert set(source.identity()) == {"source", "activity_sha256"}


def test_a_registered_network_is_analysed_as_one(registered):
    source = analysis_source("net:wide?seed=4")
    assert isinstance(source, NetworkSource)
    assert (source.name, source.kind, source.tasks) == ("wide", "network", CONTEXTS)
    other = NetworkSource("net:wide?seed=5")
    assert source.identity() == NetworkSource("net:wide?seed=4").identity()
    assert source.identity() != other.identity()
    assert source.method() == "a leaky rnn of 8 softplus units, whose training is not known"
    assert tasks_of_network("net", find_network("net")) == CONTEXTS


def test_registered_models_belong_to_families_of_a_comparison(registered):
    pair = ("a", "b")
    models = load_models(["x=tuned?n_units=4", "tuned:other"], pair, CONTEXTS)
    assert all(isinstance(model, FileSource) for model in models)
    assert [(model.family, model.name) for model in models] == [
        ("x", "tuned"),
        ("networks", "other"),
    ]
    assert models[0].n_hidden == 4
    assert set(models[0].identity()) == {"activity_sha256"}
    assert models[0].identity() == load_models(["tuned?n_units=4"], pair, CONTEXTS)[0].identity()
    (network,) = load_models(["x=net?seed=1"], CONTEXTS, CONTEXTS)
    assert (network.family, network.n_hidden) == ("x", 8)
    with pytest.raises(nc.InputError, match="model 'tuned': expected trials of a, c, got a, b"):
        load_models(["tuned"], ("a", "c"), CONTEXTS)


def test_a_folder_of_that_name_comes_first(registered, tmp_path):
    (tmp_path / "net").mkdir()
    assert not is_network("net")
    with pytest.raises(nc.InputError, match="net: expected a run folder.*an empty folder"):
        resolve("net")


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("tuned?n_unit=3", "option of tuned: expected one of n_units, tasks.*mean 'n_units'"),
        (
            "tuned?n_units=three",
            "option 'n_units' of tuned: expected a value of type int, got 'three'",
        ),
        ("tunde", "source 'tunde': .*loaders: .*mante2013, .*, tuned, net"),
    ],
)
def test_unknown_models_and_options_are_errors(registered, source, match):
    with pytest.raises(nc.InputError, match=match):
        resolve(source)


def test_an_unknown_model_is_an_error(registered):
    with pytest.raises(nc.InputError, match="model: expected one of tuned, net.*mean 'tuned'"):
        load_model("tunde:x")


def test_a_loader_that_returns_something_else_is_an_error(register):
    register(ModelLoader(name="odd", title="Odd", returns="network", load=load_tuned))
    with pytest.raises(nc.InputError, match="'odd': expected a nwbcompare.model.Network .* DataT"):
        find_network("odd")
    register(ModelLoader(name="odd", title="Odd", returns="activity", load=load_net))
    with pytest.raises(nc.InputError, match="activity"):
        resolve("odd")


@pytest.mark.parametrize(
    ("loaders", "match"),
    [
        ([len], r"entry point 'mine:MODEL' .*a ModelLoader .* got <built-in function len>"),
        ([NET, replace(NET, title="Other")], "got a second 'net'"),
    ],
)
def test_what_is_no_loader_or_comes_twice_is_an_error(register, loaders, match):
    register(*loaders)
    with pytest.raises(nc.InputError, match=match):
        resolve("nowhere")
