"""Networks: the reference implementation's arrays, training, run folders, recording."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
import torch
import xarray as xr

import nwbcompare as nc
from nwbcompare.model import (
    Network,
    NetworkConfig,
    Regularisation,
    evaluate,
    from_arrays,
    load,
    pretrained,
    pretrained_names,
    pretrained_path,
    record,
    save_run,
)
from nwbcompare.model.checkpoint import EVALUATION, read_evaluation, read_training
from nwbcompare.model.initialisation import rule_mixing
from nwbcompare.model.network import is_correct
from nwbcompare.tasks import make_trials

TASKS = ("contextdm1", "contextdm2")


def fill(network, **weights):
    with torch.no_grad():
        for name, values in weights.items():
            getattr(network, name).copy_(torch.from_numpy(np.asarray(values)))
    return network


@pytest.mark.shared
def test_what_is_recorded_of_a_trained_network_equals_the_reference(shared):
    with np.load(shared / "reference" / "oracles" / "yang19_network.npz") as oracle:
        names = ("input_weight", "recurrent_weight", "bias", "output_weight", "output_bias")
        network = from_arrays(**{name: oracle[name] for name in names})
        first = record(network, make_trials("contextdm1"), inputs_and_outputs=True)
        np.testing.assert_allclose(
            first["rate"][::50].transpose("time", "trial", "unit"),
            oracle["contextdm1/rate_every_50th_trial"],
            atol=2e-4,
        )
        np.testing.assert_allclose(
            first["output"][::50].transpose("time", "trial", "output_channel"),
            oracle["contextdm1/output_every_50th_trial"],
            atol=1e-5,
        )


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
    shares = evaluate(network, tasks, seed=99, n_trials=128)
    assert min(shares.values()) > 0.85
    assert np.mean(list(shares.values())) > 0.9


def test_without_noise_the_network_is_deterministic_and_with_it_seeded():
    network, trials = (
        Network(NetworkConfig(n_units=8)),
        make_trials("contextdm1").isel(trial=slice(5)),
    )
    plain, noisy, again = (record(network, trials, seed=seed) for seed in (None, 1, 1))
    assert plain.identical(record(network, trials))
    assert noisy["rate"].equals(again["rate"])
    assert not noisy["rate"].equals(plain["rate"])
    assert (plain.attrs["deterministic"], noisy.attrs["deterministic"]) == (1, 0)


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_a_lesion_is_a_view_with_the_outgoing_weights_at_zero(cell):
    network = Network(NetworkConfig(n_units=12, cell=cell, seed=2))
    before = {name: weight.detach().clone() for name, weight in network.state_dict().items()}
    units = [1, 5, 6]
    cut = Network(network.config)
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            values = weight.clone()
            if "recurrent" in name or name == "output_weight":
                values[units] = 0
            getattr(cut, name).copy_(values)
    inputs = torch.rand(20, 3, 85, generator=torch.Generator().manual_seed(0))
    view = network.lesioned(units[:1]).lesioned(units[1:])
    for found, expected in zip(view(inputs), cut(inputs), strict=True):
        torch.testing.assert_close(found, expected)
    rates, _ = view(inputs)
    assert (rates[-1][:, units] != 0).all()
    assert not torch.allclose(rates, network(inputs)[0])
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])
    with torch.no_grad():
        network.output_bias.add_(1)
    assert torch.equal(view.output_bias, network.output_bias)


def test_lesioning_nothing_changes_nothing_and_everything_all():
    network = pretrained("ctxdm-0")
    trials = make_trials("contextdm1")
    assert network.lesioned([]).performance(trials) == network.performance(trials)
    assert network.lesioned(range(256)).performance(trials) < 0.3
    with pytest.raises(nc.InputError, match="units: expected places from 0 to 255, got 3 to 256"):
        network.lesioned([3, 256])


def test_recurrent_noise_has_the_published_size():
    network = fill(
        Network(NetworkConfig(n_units=400, nonlinearity="relu")),
        input_weight=np.zeros((85, 400), "f4"),
        recurrent_weight=np.zeros((400, 400), "f4"),
        bias=np.full(400, 10, "f4"),
    )
    rates, _ = network(torch.zeros(1, 50, 85), generator=torch.Generator().manual_seed(0))
    assert float(rates.detach().std()) == pytest.approx(0.2 * 0.05 * np.sqrt(10), rel=0.03)


def test_recording_in_parts_changes_nothing(monkeypatch):
    network, trials = Network(NetworkConfig(n_units=8)), make_trials("contextdm1")
    whole = record(network, trials)
    monkeypatch.setattr("nwbcompare.model.network_recording.TRIALS_AT_ONCE", 7)
    np.testing.assert_allclose(record(network, trials)["rate"], whole["rate"], atol=1e-6)
    nc.check_activity(whole)
    assert "input" in record(network, trials, inputs_and_outputs=True)


def test_trials_of_other_channels_are_refused():
    trials = make_trials("contextdm1").isel(input_channel=slice(3))
    with pytest.raises(nc.InputError, match="85 input channels"):
        record(Network(NetworkConfig(n_units=4)), trials)


def test_correct_means_released_and_near_or_kept_fixating():
    output = np.full((4, 33), 0.05)
    output[:, 1] = 0.8
    output[:, 0] = [0.1, 0.9, 0.1, 0.9]
    direction = np.array([0.19 * np.pi, 0.0, 0.21 * np.pi, np.nan])
    assert is_correct(output, direction).tolist() == [True, False, False, True]


@pytest.mark.parametrize("initialisation", ["diag", "randortho"])
def test_recurrent_weights_start_as_a_scaled_orthogonal_matrix(initialisation):
    weight = Network(
        NetworkConfig(n_units=32, recurrent_initialisation=initialisation)
    ).recurrent_weight.detach()
    np.testing.assert_allclose(weight @ weight.T, 0.25 * np.eye(32), atol=1e-6)


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


def test_noise_free_input_is_deterministic_whatever_its_seed():
    network = Network(NetworkConfig(n_units=4))
    flags = [
        record(
            network, make_trials("contextdm1", "random", n_trials=2, seed=0, sigma_x=noise)
        ).attrs["deterministic"]
        for noise in (0.0, 0.1)
    ]
    assert flags == [1, 0]


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
    with pytest.raises(nc.InputError, match="a run's configuration"):
        load(run)


def test_weights_that_are_no_numbers_are_refused(run):
    network = Network(NetworkConfig(n_units=4))
    save_run(fill(network, bias=np.full(4, np.nan, "f4")), run, overwrite=True)
    with pytest.raises(nc.InputError, match="finite weights, got NaN or infinity in bias"):
        load(run)


def test_a_damaged_evaluation_is_refused(run):
    (run / EVALUATION).write_text("{")
    with pytest.raises(nc.InputError, match="evaluation.json: expected a JSON object"):
        read_evaluation(run)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: NetworkConfig(nonlinearity="softpluss"), "Did you mean 'softplus'"),
        (lambda: NetworkConfig(recurrent_initialisation="ortho"), "Did you mean 'randortho'"),
        (lambda: NetworkConfig(n_units=0), "n_units: expected a whole number of 1"),
        (lambda: NetworkConfig(dt_ms=200), "dt_ms"),
        (lambda: NetworkConfig(sigma_rec=-1), "sigma_rec"),
        (lambda: NetworkConfig(cell="leaky_lstm"), "Did you mean 'leaky_"),
        (lambda: NetworkConfig(rules=()), "rules: expected different names, at least one"),
        (
            lambda: NetworkConfig(cell="leaky_gru", separate_rule_input=True),
            "separate_rule_input: expected False for a leaky_gru",
        ),
        (lambda: Regularisation(l1_rate=-1), "l1_rate: expected a finite number of 0"),
        (lambda: pretrained("ctxdm-9"), "Did you mean 'ctxdm-"),
        (lambda: NetworkConfig(n_units=2.5), "n_units: expected a whole number"),
        (lambda: NetworkConfig(tau_ms=0), "tau_ms: expected a finite number above 0"),
        (lambda: NetworkConfig(tau_ms=10), "at most tau = 10 ms"),
        (lambda: NetworkConfig(sigma_x=float("inf")), "sigma_x"),
        (lambda: NetworkConfig(rule_mixing_seed=-1), "rule_mixing_seed: expected a whole number"),
        (lambda: NetworkConfig(seed=-1), "seed: expected a whole number of 0"),
    ],
)
def test_bad_configurations_are_refused(make, match):
    with pytest.raises(nc.InputError, match=match):
        make()


@pytest.mark.parametrize("cell", ["leaky_rnn", "leaky_gru"])
def test_mixed_rules_are_a_rotation_of_the_rule_inputs(cell):
    trials = nc.tasks.make_trials(["fdgo", "dmsgo"], "random", n_trials=6, seed=0)
    plain = Network(NetworkConfig(n_units=12, cell=cell))
    mixed = Network(NetworkConfig(n_units=12, cell=cell, rule_mixing_seed=5))
    mixing = rule_mixing(mixed.config)
    torch.testing.assert_close(mixing @ mixing.T, torch.eye(20))
    before = nc.record(mixed, trials)["rate"]
    assert float(abs(before - nc.record(plain, trials)["rate"]).max()) > 0.01
    with torch.no_grad():
        for name in ("input_weight", "gate_input_weight"):
            if hasattr(plain, name):
                rules = getattr(plain, name)[65:]
                rules.copy_(mixing @ rules)
    np.testing.assert_allclose(before, nc.record(plain, trials)["rate"], atol=1e-6)


def test_the_mixing_is_kept_with_the_run(tmp_path):
    network = Network(NetworkConfig(n_units=4, rule_mixing_seed=2))
    save_run(network, tmp_path / "run")
    assert load(tmp_path / "run").config == network.config
    assert set(network.state_dict()) == set(Network(NetworkConfig(n_units=4)).state_dict())


def test_the_matched_protocol_has_the_monkeys_conditions():
    matched = nc.record_matched(pretrained("ctxdm-0"))
    block = nc.check_activity(matched)["matched"]
    assert dict(block.sizes) == {"trial": 72, "time": 15, "unit": 6 * 256, "epoch": 1}
    assert nc.selectivity.condition_means(block.to_dataset()).sizes["condition"] == 8
    one = block.isel(trial=(block["coherence_1_level"] == 3) & (block["coherence_2_level"] == -2))
    np.testing.assert_allclose(one["coherence_1"], 0.25)
    np.testing.assert_allclose(one["coherence_2"], -0.075)


def test_swapping_the_two_targets_leaves_variances_as_they_are():
    network = pretrained("ctxdm-0")
    grid = {"coherence_1": [0.1, 0.1, -0.1, -0.1], "coherence_2": [0.1, -0.1, 0.1, -0.1]}
    tv = [
        nc.task_variance(
            record(
                network,
                make_trials("contextdm1", "psychometric", conditions={"direction": d, **grid}),
            )
        )["task_variance"]
        for d in (0.0, np.pi)
    ]
    xr.testing.assert_allclose(*tv, rtol=1e-3, atol=1e-5)


def test_the_simulated_recording_is_marked_and_seeded():
    network = pretrained("ctxdm-3")
    simulated = nc.comparison.simulate_recording(network, n_units=10, seed=1)
    block = nc.check_activity(simulated)["simulated"]
    assert block.attrs["name"].startswith("SIMULATED")
    assert json.loads(block.attrs["provenance"])["simulated"] is True
    assert simulated.identical(nc.comparison.simulate_recording(network, n_units=10, seed=1))
    assert nc.task_variance(simulated)["task_variance"].notnull().all()
    with pytest.raises(nc.InputError, match="1 or more each"):
        nc.comparison.simulate_recording(network, n_units=0)


def test_simulated_spikes_are_poisson():
    network = pretrained("ctxdm-3")
    block = nc.comparison.simulate_recording(network, n_units=8, trials_per_condition=60)[
        "simulated"
    ].to_dataset()
    every = ["coherence_1_level", "coherence_2_level"]
    means = nc.selectivity.condition_means(block, conditions=every)
    rate, variance = means["rate_mean"], means["mean_variance"] * means["n_trials"]
    # smoothing with taps k leaves sum(k^2) of the counts' variance; at the centre of the axis
    taps = np.exp(-0.5 * (np.arange(-3, 4) / 0.8) ** 2)
    expected = rate * 20 * ((taps / taps.sum()) ** 2).sum()
    centre = {"time": slice(4, 11)}
    ratio = float(variance.isel(centre).sum() / expected.isel(centre).sum())
    assert ratio == pytest.approx(1, abs=0.05)
