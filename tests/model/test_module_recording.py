"""Recording of modules that know nothing of this package, and what becomes of the records."""

from __future__ import annotations

import hashlib
import json
import re
import runpy
import sys

import numpy as np
import pytest
import report_inputs
import torch
import xarray as xr
from hypothesis import given, strategies as st
from torch import nn

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig, pretrained
from nwbcompare.model.network import input_of
from nwbcompare.tasks import make_trials
from nwbcompare.workflows.compare import compare

CONTEXTS = ("contextdm1", "contextdm2")
N_IN, N_UNITS = 3, 5


def custom_trials(n_time=6, n_trials=4, seed=0, **attrs):
    """Trials that were not made by this package: no epochs, targets or conditions."""
    rng = np.random.default_rng(seed)
    shown = rng.standard_normal((n_time, n_trials, N_IN)).astype("f4")
    return xr.Dataset(
        {"input": (("time", "trial", "input_channel"), shown)},
        coords={
            "time": ("time", (np.arange(n_time) + 0.5) * 0.1, {"bin_width_s": 0.1}),
            "task": ("trial", ["mine"] * n_trials),
        },
        attrs={"sigma_x": 0} | attrs,
    )


def seeded(make, *arguments, **options):
    torch.manual_seed(7)
    return make(*arguments, **options)


class Readout(nn.Module):
    """A recurrent layer and a read-out of it."""

    def __init__(self, layer=nn.GRU, n_outputs=2, **options):
        super().__init__()
        self.recurrent = layer(N_IN, N_UNITS, **options)
        self.readout = nn.Linear(N_UNITS, n_outputs)

    def forward(self, x):
        return self.readout(self.recurrent(x)[0])


class Loop(nn.Module):
    """A cell in a loop over time."""

    def __init__(self, cell, batch_first):
        super().__init__()
        self.cell, self.batch_first = cell, batch_first

    def forward(self, x):
        state, steps = None, []
        for step in x.unbind(1 if self.batch_first else 0):
            state = self.cell(step, state)
            steps.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(steps)


class Noisy(nn.Module):
    """Dropout in functional form, which evaluation mode does not switch off."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(N_IN, N_UNITS)

    def forward(self, x):
        return self.rnn(nn.functional.dropout(x, 0.5))[0]


class Wrapped(nn.Module):
    """Our own network as somebody else's module."""

    def __init__(self, network):
        super().__init__()
        self.net = network

    def forward(self, x):
        return self.net(x)[1]


class Broken(nn.Module):
    """A module whose recurrent layer gives whatever it is told to."""

    def __init__(self, give):
        super().__init__()
        self.layer, self.give = nn.Identity(), give

    def forward(self, x):
        return self.give(self.layer, x)


def copied(cell, layer):
    """Copy the weights of a layer into a cell."""
    weights = {name.removesuffix("_l0"): value for name, value in layer.state_dict().items()}
    cell.load_state_dict(weights)
    return cell


# -- what is recorded -----------------------------------------------------------------------------


def test_an_rnn_equals_a_loop_by_hand():
    rng = np.random.default_rng(1)
    w_in, w_rec = rng.standard_normal((N_UNITS, N_IN)), rng.standard_normal((N_UNITS, N_UNITS)) / 3
    b_in, b_rec = rng.standard_normal((2, N_UNITS))
    rnn = nn.RNN(N_IN, N_UNITS, nonlinearity="relu")
    for name, values in zip(
        ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
        (w_in, w_rec, b_in, b_rec),
        strict=True,
    ):
        getattr(rnn, name).data = torch.from_numpy(values).float()
    trials = custom_trials()
    block = nc.check_activity(nc.record(rnn, trials))
    for trial in range(trials.sizes["trial"]):
        rate = np.zeros(N_UNITS)
        for step in range(trials.sizes["time"]):
            shown = trials["input"].values[step, trial]
            rate = np.maximum(w_in @ shown + b_in + w_rec @ rate + b_rec, 0)
            np.testing.assert_allclose(block["rate"][trial, step], rate, rtol=1e-4, atol=1e-5)


@given(n_time=st.integers(1, 7), n_trials=st.integers(1, 7), at_once=st.integers(1, 8))
def test_orientation_and_parts_change_nothing(n_time, n_trials, at_once):
    trials = custom_trials(n_time, n_trials)
    time_first = seeded(Readout, nn.RNN)
    trials_first = Readout(nn.RNN, batch_first=True)
    trials_first.load_state_dict(time_first.state_dict())
    loops = [
        Loop(copied(nn.RNNCell(N_IN, N_UNITS), time_first.recurrent), b) for b in (False, True)
    ]
    shown = torch.from_numpy(trials["input"].values)
    truth = time_first.recurrent(shown)[0].detach().numpy().swapaxes(0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwbcompare.model.module_recording.TRIALS_AT_ONCE", at_once)
        for module, options in (
            (time_first, {}),
            (trials_first, {}),
            (loops[0], {"layer": "cell", "batch_first": False}),
            (loops[1], {"layer": "cell", "batch_first": True}),
        ):
            block = nc.record(module, trials, **options)
            np.testing.assert_allclose(block["rate"], truth, atol=1e-6)


def test_a_layer_may_be_called_with_one_step_at_a_time():
    class Stepwise(nn.Module):
        def __init__(self, gru):
            super().__init__()
            self.gru = gru

        def forward(self, x):
            state, steps = None, []
            for place in range(x.shape[1]):
                step, state = self.gru(x[:, place : place + 1], state)
                steps.append(step)
            return torch.cat(steps, dim=1)

    gru = seeded(nn.GRU, N_IN, N_UNITS, batch_first=True)
    trials = custom_trials()
    np.testing.assert_allclose(
        nc.record(Stepwise(gru), trials)["rate"], nc.record(gru, trials)["rate"], atol=1e-6
    )


def test_of_an_lstm_its_output_is_recorded_not_its_cell_state():
    lstm, trials = seeded(nn.LSTM, N_IN, N_UNITS), custom_trials()
    output, (_, cell_state) = lstm(torch.from_numpy(trials["input"].values))
    rate = nc.record(lstm, trials)["rate"]
    np.testing.assert_allclose(rate, output.detach().numpy().swapaxes(0, 1), atol=1e-6)
    assert not np.allclose(rate[:, -1], cell_state[0].detach(), atol=1e-2)
    loop = Loop(copied(nn.LSTMCell(N_IN, N_UNITS), lstm), batch_first=False)
    looped = nc.record(loop, trials, layer="cell", batch_first=False)
    np.testing.assert_allclose(looped["rate"], rate, atol=1e-6)


def test_of_stacked_layers_the_top_one_is_recorded_and_of_two_directions_both():
    trials = custom_trials()
    shown = torch.from_numpy(trials["input"].values)
    for options, n_units in (({"num_layers": 2}, N_UNITS), ({"bidirectional": True}, 2 * N_UNITS)):
        gru = seeded(nn.GRU, N_IN, N_UNITS, **options)
        rate = nc.record(gru, trials)["rate"]
        assert rate.sizes["unit"] == n_units
        np.testing.assert_allclose(rate, gru(shown)[0].detach().swapaxes(0, 1), atol=1e-6)


def test_named_layers_stand_side_by_side_and_are_labelled():
    module, trials = seeded(Readout), custom_trials()
    both = nc.check_activity(nc.record(module, trials, layer=["readout", "recurrent"]))
    assert both["unit"].values.tolist() == [
        "readout.000",
        "readout.001",
        *(f"recurrent.{place:03d}" for place in range(N_UNITS)),
    ]
    assert both["layer"].values.tolist() == ["readout"] * 2 + ["recurrent"] * N_UNITS
    alone = nc.record(module, trials)
    assert alone["unit"].values[0] == "h000"
    assert set(alone["layer"].values) == {"recurrent"}
    np.testing.assert_array_equal(nc.select(both, layer="recurrent")["rate"], alone["rate"])
    expected = module.readout(torch.from_numpy(alone["rate"].values)).detach()
    np.testing.assert_allclose(nc.select(both, layer="readout")["rate"], expected, atol=1e-6)


def test_the_module_itself_is_a_layer():
    module, trials = seeded(Readout), custom_trials()
    block = nc.record(module, trials, layer="", name="mine")
    assert set(block["layer"].values) == {"Readout"}
    assert set(block["session"].values) == {"mine"}
    readout = nc.record(module, trials, layer="readout")
    np.testing.assert_array_equal(block["rate"], readout["rate"])


def test_what_a_module_does_to_its_rates_afterwards_is_not_recorded():
    class InPlace(Readout):
        def forward(self, x):
            return self.recurrent(x)[0].mul_(0)

    module, trials = seeded(InPlace), custom_trials()
    rate = nc.record(module, trials)["rate"]
    np.testing.assert_array_equal(rate, nc.record(module.recurrent, trials)["rate"])
    assert rate.any()


def test_weights_of_other_precision_are_served():
    gru, trials = seeded(nn.GRU, N_IN, N_UNITS), custom_trials()
    single = nc.record(gru, trials)["rate"]
    double = nc.record(gru.double(), trials)["rate"]
    assert double.dtype == np.float32
    np.testing.assert_allclose(single, double, atol=1e-5)
    assert nc.record(nn.Tanh(), trials, layer="", batch_first=True).sizes["unit"] == N_IN


# -- our own networks, both ways ------------------------------------------------------------------


def test_our_network_is_recorded_as_it_always_was():
    network, trials = Network(NetworkConfig(n_units=8), name="n"), make_trials("contextdm1")
    block = nc.record(network, trials, inputs_and_outputs=True)
    rates, outputs = network(input_of(trials, network.config)[:, :128])
    np.testing.assert_array_equal(block["rate"][:128], rates.detach().swapaxes(0, 1))
    np.testing.assert_array_equal(block["output"][:128], outputs.detach().swapaxes(0, 1))
    assert set(block["layer"].values) == {"recurrent"}
    assert set(nc.record(network, trials, name="other")["subject"].values) == {"other"}
    for options in ({"layer": "recurrent"}, {"batch_first": False}):
        with pytest.raises(nc.InputError, match="None for a Network.*Leave it out"):
            nc.record(network, trials, **options)


def test_our_network_inside_a_module_gives_the_same_record():
    network = pretrained("ctxdm-0")
    trials = make_trials(CONTEXTS, "random", n_trials=40, seed=3, timing="trial")
    own = nc.record(network, trials, inputs_and_outputs=True)
    options = {"layer": "net", "batch_first": False, "name": "ctxdm-0"}
    hooked = nc.record(Wrapped(network), trials, inputs_and_outputs=True, **options)
    assert 0 < own["correct"].mean() < 1
    assert np.isnan(own["rate"]).any()
    assert set(hooked["layer"].values) == {"net"}
    xr.testing.assert_allclose(own.drop_vars("layer"), hooked.drop_vars("layer"), atol=1e-5)
    matched = nc.record_matched(network)["matched"]
    again = nc.record_matched(Wrapped(network), dt_ms=20, **options)["matched"]
    np.testing.assert_allclose(matched["rate"], again["rate"], atol=1e-5)
    assert matched["unit"].values.tolist() == again["unit"].values.tolist()
    assert (matched.attrs["deterministic"], again.attrs["deterministic"]) == (1, 1)


# -- noise, seeds, and leaving things as they were ------------------------------------------------


def test_determinism_is_measured_and_asks_the_inputs_too():
    class Counting(Readout):
        """Keeps something from call to call."""

        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x + self.calls)

    trials = custom_trials()
    nowhere_said = custom_trials()
    del nowhere_said.attrs["sigma_x"]
    for module, shown, expected in (
        (nn.GRU(N_IN, N_UNITS), trials, 1),
        (nn.GRU(N_IN, N_UNITS, num_layers=2, dropout=0.9), trials, 1),
        (Noisy(), trials, 0),
        (Counting(), trials, 0),
        (nn.GRU(N_IN, N_UNITS), custom_trials(sigma_x=0.1), 0),
        (nn.GRU(N_IN, N_UNITS), nowhere_said, 0),
    ):
        assert nc.record(module, shown).attrs["deterministic"] == expected
    matched = nc.record_matched(seeded(NoisyMatched), dt_ms=50)["matched"]
    assert matched.attrs["deterministic"] == 0


class NoisyMatched(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(85, N_UNITS)

    def forward(self, x):
        return self.rnn(nn.functional.dropout(x, 0.5))[0]


def test_a_seed_makes_noise_the_same_and_leaves_other_random_numbers_alone():
    module, trials = Noisy(), custom_trials()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    one, two, other = (nc.record(module, trials, seed=seed)["rate"] for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert one.equals(two)
    assert not one.equals(other)
    first, second = (nc.record(module, trials)["rate"] for _ in range(2))
    assert not first.equals(second)


def n_hooks(module):
    return sum(len(part._forward_hooks) for part in module.modules())


def test_mode_and_hooks_are_left_as_they_were_even_after_an_error():
    module = nn.Sequential(nn.Dropout(), Readout(), nn.Dropout())
    module[2].eval()
    before = [part.training for part in module.modules()]
    nc.record(module, custom_trials())
    with pytest.raises(nc.InputError):
        nc.record(module, custom_trials().isel(input_channel=[0]))
    with pytest.raises(nc.InputError):
        nc.record(module, custom_trials(), batch_first=True)
    assert [part.training for part in module.modules()] == before
    assert n_hooks(module) == 0
    assert all(weight.grad is None for weight in module.parameters())


# -- trials of any kind ---------------------------------------------------------------------------


def test_what_lies_on_trial_goes_along():
    trials = custom_trials().assign(side=("trial", ["left", "right"] * 2))
    trials = trials.assign_coords(
        strength=("trial", [1.0, 2.0, 3.0, 4.0]), trial_stop_time=("trial", [0.6, 0.3, 0.6, 0.6])
    )
    trials.attrs["condition_variables"] = json.dumps({"mine": ["side"]})
    block = nc.check_activity(nc.record(nn.GRU(N_IN, N_UNITS), trials))
    assert nc.labels(block["side"]).tolist() == ["left", "right"] * 2
    assert block["strength"].values.tolist() == [1, 2, 3, 4]
    assert block["time"].attrs["aligned_to"] == "trial start"
    assert "aligned_to" not in trials["time"].attrs
    hidden = np.isnan(block["rate"].values).all(axis=2)
    assert hidden.sum(axis=1).tolist() == [0, 3, 0, 0]
    assert nc.selectivity.condition_means(block).sizes["condition"] == 2
    assert "output" not in nc.record(seeded(Readout), trials, inputs_and_outputs=True)


def test_outputs_of_other_channels_are_kept_but_not_read():
    channels = ("time", "trial", "output_channel")
    trials = custom_trials().assign(target=(channels, np.zeros((6, 4, 2))))
    module = seeded(Readout, batch_first=True)
    block = nc.record(module, trials, inputs_and_outputs=True)
    expected = module.readout(torch.from_numpy(block["rate"].values)).detach()
    np.testing.assert_allclose(block["output"], expected, atol=1e-6)
    assert block["target"].dims == ("trial", "time", "output_channel")
    assert not {"correct", "choice_direction"} & set(block.coords)
    assert "output" not in nc.record(module, trials)
    wider = seeded(Readout, n_outputs=3, batch_first=True)
    assert "output" not in nc.record(wider, trials, inputs_and_outputs=True)


def test_choices_are_read_without_stop_times_or_responses():
    network, trials = pretrained("ctxdm-0"), make_trials("contextdm1", dt_ms=50)
    plain = trials.drop_vars(["trial_stop_time", "response_direction"])
    options = {"layer": "net", "batch_first": False}
    whole, bare = (nc.record(Wrapped(network), one, **options) for one in (trials, plain))
    np.testing.assert_array_equal(whole["choice_direction"], bare["choice_direction"])
    assert "correct" in whole.coords
    assert "correct" not in bare.coords


def test_trials_without_a_task_get_one_with_a_warning():
    with pytest.warns(UserWarning, match="no column 'task'.*one task, 'trials'") as caught:
        block = nc.record(nn.GRU(N_IN, N_UNITS), custom_trials().drop_vars("task"))
    assert caught[0].filename == __file__
    assert set(nc.labels(nc.check_activity(block)["task"])) == {"trials"}


def test_layers_survive_an_export(tmp_path):
    block = nc.record(seeded(Readout), custom_trials(), layer=["recurrent", "readout"], name="mine")
    opened = nc.open(nc.write_nwb(block, tmp_path / "mine.nwb"))
    again = next(iter(nc.blocks(opened).values()))
    assert again["layer"].values.tolist() == block["layer"].values.tolist()
    np.testing.assert_array_equal(again["rate"], block["rate"])


# -- bad input ------------------------------------------------------------------------------------


class Two(nn.Module):
    def __init__(self, **second):
        super().__init__()
        self.lower, self.upper = nn.RNN(N_IN, 4), nn.RNN(4, 4, **second)

    def forward(self, x):
        return self.upper(self.lower(x)[0])[0]


class Swapping(nn.Module):
    """Takes trials first, but its layer takes time first."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(N_IN, 4)

    def forward(self, x):
        return self.rnn(x.transpose(0, 1))[0]


def pack(layer, x):
    return layer(nn.utils.rnn.pack_padded_sequence(x, [x.shape[0]] * x.shape[1]))


def fail(layer, x):
    raise RuntimeError


HEARD = {"layer": "layer", "batch_first": False}


@pytest.mark.parametrize(
    ("module", "options", "match"),
    [
        (Two(), {}, "layer: .*None for Two with 2. Pass layer=.*lower, upper"),
        (Loop(nn.GRUCell(N_IN, 4), False), {}, "None for Loop with 0. Pass layer=.*cell"),
        (Two(), {"layer": "uper"}, "layer: .*Did you mean 'upper'"),
        (Two(), {"layer": []}, "one layer, or several different ones, got \\[\\]"),
        (Two(), {"layer": ["upper", "upper"]}, "several different ones"),
        (
            Two(batch_first=True),
            {"layer": ["lower", "upper"]},
            "batch_first: expected True or False",
        ),
        (nn.Linear(N_IN, 4), {"layer": ""}, "batch_first: expected True or False"),
        (Swapping(), {}, r"layer 'rnn': .*1 calls with \(4, 6, 4\). Pass batch_first=True"),
        (nn.GRU(4, 4), {}, r"\(time, trial, channel\) of sizes \(6, 4, 3\).*rules="),
        (nn.GRU(4, 4, batch_first=True), {}, r"\(trial, time, channel\) of sizes \(4, 6, 3\)"),
        (Broken(lambda _, x: x), HEARD, "layer 'layer': .*no call.*not layer.forward"),
        (Broken(pack), HEARD, "a padded tensor, got a PackedSequence"),
        (Broken(lambda layer, x: layer({"h": x})), HEARD, "starts with one, got dict"),
        (Broken(lambda layer, x: layer(x[:-1])), HEARD, r"1 calls with \(5, 4, 3\)"),
        (Broken(lambda layer, x: layer(x[None])), HEARD, "6 steps of 4 trials, .*1 calls"),
        (Broken(lambda layer, x: [layer(y) for y in (x, x)]), HEARD, "2 calls with"),
        (Broken(lambda layer, x: [layer(y) for y in x.unbind(1)]), HEARD, r"4 calls with \(6, 3\)"),
        (Broken(fail), HEARD, "its error 'RuntimeError'. Pass batch_first=True"),
        (Broken(lambda layer, x: layer(x / 0)), HEARD, "finite rates, got NaN or infinity"),
        ("runs/mine", {}, "a torch.nn.Module, got a str. Load a run with"),
    ],
)
def test_what_cannot_be_recorded_is_refused(module, options, match):
    with pytest.raises(nc.InputError, match=match):
        nc.record(module, custom_trials(), **options)
    if isinstance(module, nn.Module):
        assert n_hooks(module) == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.drop_vars("input"), "'input'.: .*no variable of this name"),
        (lambda t: t.rename(trial="case"), "trials.'input'.: .*'case'.*rename their dimensions"),
        (lambda t: t.isel(trial=[]), r"at least one trial.*sizes \(6, 0, 3\)"),
        (lambda t: t.drop_vars("time"), "bin_width_s, got neither"),
        (lambda t: t.drop_attrs(), "got no bin_width_s.*assign_coords"),
        (lambda t: t.assign(layer=("trial", range(4))), "unit table's, got layer. Rename"),
    ],
)
def test_trials_that_cannot_be_shown_are_refused(change, match):
    with pytest.raises(nc.InputError, match=match):
        nc.record(nn.GRU(N_IN, N_UNITS), change(custom_trials()))


@pytest.mark.parametrize("dt_ms", [None, 100])
def test_the_matched_protocol_asks_for_a_modules_time_step(dt_ms):
    with pytest.raises(
        nc.InputError, match="dt_ms: expected the time step .* at most a bin's 50 ms"
    ):
        nc.record_matched(nn.GRU(85, 4), dt_ms=dt_ms)


def test_the_matched_protocol_shows_the_rules_that_a_module_knows():
    module = seeded(nn.GRU, 67, 4)
    block = nc.record_matched(module, dt_ms=50, rules=CONTEXTS, layer="")["matched"]
    assert block.sizes["unit"] == 24
    with pytest.raises(nc.InputError, match="67.*rules="):
        nc.record_matched(module, dt_ms=50)


# -- the report -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Recordings of one module on several protocols, and a small recording to hold them against."""
    folder = tmp_path_factory.mktemp("files")
    gru = seeded(nn.GRU, 85, 12)
    with torch.no_grad():
        for weight in gru.parameters():
            weight.mul_(3)
    # some directions and coherences of the published trials
    few = {"direction": [0.0, 0.3] * 8, "coherence_1": [0.2, -0.2] * 8}
    few["coherence_2"] = [0.2] * 8 + [-0.2] * 8
    shown = {task: make_trials(task, "psychometric", conditions=few, dt_ms=50) for task in CONTEXTS}
    activities = {
        "matched": nc.record_matched(gru, dt_ms=50, name="mine"),
        "rough": nc.record_matched(gru, dt_ms=50, name="rough", smoothed=False),
        "published": nc.record(gru, make_trials(CONTEXTS, dt_ms=50), name="mine"),
        "noisy": nc.make_activity(
            {
                task: nc.record(gru, trials, name="noisy").assign_attrs(deterministic=0)
                for task, trials in shown.items()
            }
        ),
        "one task": nc.record(gru, make_trials("contextdm1", dt_ms=50)),
        "brain": report_inputs.brain(),
    }
    silent = activities["matched"]["matched"].to_dataset()
    activities["silent"] = nc.make_activity({"matched": silent.assign(rate=silent["rate"] * 0)})
    for name, activity in activities.items():
        tree = activity if isinstance(activity, xr.DataTree) else nc.make_activity({"a": activity})
        tree.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    return folder


def small_report(models, files, out):
    """Make a report without decoding and drawing, which these tests are not about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
        return compare(
            models,
            str(files / "brain.nc"),
            out,
            sections=report_inputs.WITHOUT_DECODING,
            settings=report_inputs.settings(),
            match="as-recorded",
        )


def test_a_report_on_files_alone_says_what_is_known_of_them(files, tmp_path):
    models = [files / f"{name}.nc" for name in ("matched", "published", "rough", "noisy")]
    report = small_report(models, files, tmp_path / "report")
    values = json.loads((report / "report.json").read_text())
    assert values["title"] == "SIMULATED: 3 networks against SIMULATED monkey"
    assert values["cards"]["networks"] == 3
    assert values["cards"]["hidden units a network"] == 12
    # nothing could be sampled, and what is on no common protocol is apart
    names = [one["name"] for one in values["sections"]]
    assert names[:4] == ["models", "references", "noise", "published"]
    rows = values["sections"][3]["rows"]
    assert list(dict.fromkeys(row["protocol"] for row in rows)) == ["published", "as recorded"]
    methods = "\n".join(values["methods"])
    assert "trained on" not in methods
    assert (
        "mine, 12 units whose training is not known, from the file matched.nc "
        "(protocol 'matched', without noise)" in methods
    )
    assert "from the file noisy.nc (protocol 'as recorded', with noise)" in methods
    assert "Published test trials" in methods
    assert "As recorded in a file" in methods
    for path in models:
        made = report_inputs.recording_of(values)["models"][str(path)]
        assert made["file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert made["activity"]["module"].endswith("GRU")
    # its FTV is the file's own
    ftv = nc.fractional_task_variance(nc.task_variance(nc.open(models[1])), *CONTEXTS)
    own = float(ftv["fractional_task_variance"].std())
    said = next(f for f in values["sections"][3]["findings"] if "published test" in str(f))
    assert f"s.d. of FTV {own:.3f}, against" in said["text"]


def test_a_file_stands_beside_a_network_that_is_recorded(files, tmp_path):
    network = report_inputs.network_in(tmp_path, "net")
    report = small_report([network, files / "published.nc"], files, tmp_path / "report")
    values = json.loads((report / "report.json").read_text())
    published = next(one for one in values["sections"] if one["name"] == "published")
    assert "The 2 networks, on the published test trials" in str(published["findings"])
    sampled = values["sections"][0]
    assert "net, tuned as strongly as the recorded units" in sampled["findings"][0]["text"]
    assert values["cards"]["hidden units a network"] == "12, 16"
    assert any("16 softplus units trained on" in text for text in values["methods"])


@pytest.mark.parametrize(
    ("models", "match"),
    [
        (["brain.nc"], "the activity of a model, got 'SIMULATED monkey', a recording"),
        (["one task.nc"], "trials of contextdm1, contextdm2, got contextdm1"),
        (["matched.nc", "matched.nc"], "models: .*'mine' 2 times on protocol 'matched'"),
        (["nowhere.nc"], "source .*nowhere.nc': expected an existing file"),
    ],
)
def test_files_that_do_not_fit_are_refused(files, tmp_path, models, match):
    with pytest.raises(nc.InputError, match=match):
        small_report([files / name for name in models], files, tmp_path / "report")
    assert not list(tmp_path.iterdir())


def test_a_file_of_silent_units_is_an_error_and_gives_no_page(files, tmp_path):
    with pytest.raises(nc.InputError, match=r"mine: expected at least 3 units.*got 0 of 72"):
        small_report([files / "silent.nc"], files, tmp_path / "report")
    assert sorted(path.name for path in (tmp_path / "report").rglob("*") if path.is_file()) == [
        "configuration.json",
        "identity.json",
    ]


def test_the_example_runs(repository, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    script = repository / "examples" / "your_own_gru.py"
    words = ["--steps", "4", "--permutations", "2", "--bootstraps", "10", "--draws", "1"]
    monkeypatch.setattr(sys, "argv", [str(script), *words, "--out", str(out)])
    monkeypatch.setenv("NWBCOMPARE_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    # a smaller stand-in for the recording that is not there
    monkeypatch.setattr(
        "nwbcompare.workflows.recording_source.simulate_recording",
        lambda network, *, seed: nc.make_activity(
            {"simulated": report_inputs.brain(network=network, seed=seed)}
        ),
    )
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert re.search(r"contextdm1: 0\.\d+ of 512", printed)
    assert printed.count("s.d. of FTV 0.") == 2
    values = json.loads((out / "report" / "report.json").read_text())
    assert values["title"] == "SIMULATED: 1 network against SIMULATED monkey"
    assert values["provenance"]["settings"]["n_bootstrap"] == 10
