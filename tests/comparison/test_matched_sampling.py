"""Matched sampling: the recording's trials, rates and noise, and nothing else of it."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, strategies as st
from scipy import stats

import nwbcompare as nc
import nwbcompare.comparison.protocol_mapping
from nwbcompare.comparison.kernels.spike_variability import (
    FANO_FLOOR,
    draw_counts,
    moment_dispersion,
)
from nwbcompare.comparison.matched_sampling import sample_draws, sample_like
from nwbcompare.comparison.protocol_mapping import FOLDER, ProtocolMapping, read_mapping
from nwbcompare.comparison.spike_variability import dispersion
from nwbcompare.core.activity import tasks_of
from nwbcompare.core.errors import InputError, UnitWarning
from nwbcompare.kernels.binning import smoothing_matrix
from nwbcompare.model import Network, NetworkConfig

LEVELS = ["coherence_1_level", "coherence_2_level"]
CONTEXTS = ("contextdm1", "contextdm2")
SMOOTH_S, WIDTH = 0.04, 0.05
STRENGTHS = {-2: -0.2, -1: -0.05, 1: 0.05, 2: 0.2}


@cache
def small_network(seed=0, gain=3.0):
    """A network whose units are active in both contexts, untrained."""
    network = Network(NetworkConfig(n_units=16, seed=seed), name=f"small {seed}")
    with torch.no_grad():
        network.input_weight.mul_(gain)
    return network


def table(**changes):
    """The mapping of the recordings below, as a file would hold it."""
    coherence = {
        f"coherence_{m}": {"column": f"coherence_{m}_level", "values": dict(STRENGTHS)}
        for m in (1, 2)
    }
    return {
        "tasks": {task: task for task in CONTEXTS},
        "conditions": {"direction": {"value": 0}, **coherence},
        "axes_degrees": [0, 60, 120],
        "stimulus_ms": 750,
        "epoch": {"recording": "stim1", "network": "stim1"},
        "choice": {"column": "choice", "first": 1, "second": -1},
    } | changes


def without(key):
    return {name: value for name, value in table().items() if name != key}


def make_recording(
    n_units=6, trials=(4, 9), *, seed=0, fano=1.0, gain=0.0, n_bins=15, rates=(5, 30), signal=0.3
):
    """Ragged spikes of units with known scatter, by unit in two contexts of 16 conditions."""
    rng = np.random.default_rng(seed)
    levels = np.array([(a, b) for a in STRENGTHS for b in STRENGTHS])
    rows, units, observed = [], [], []
    for unit in range(n_units):
        mean = rng.uniform(*rates) * np.exp(signal * rng.standard_normal((2, 16, 1)))
        number = rng.integers(*trials, size=(2, 16))
        task, condition = (
            np.repeat(which, number.ravel()) for which in np.divmod(np.arange(32), 16)
        )
        expected = np.repeat(mean[task, condition] * WIDTH, n_bins, axis=1)
        observed.append(draw_counts(expected, fano, gain, rng) / WIDTH)
        rows.append(np.column_stack([task, levels[condition]]))
        units.append(np.full(task.size, unit))
    task, first, second = np.concatenate(rows).T
    block = nc.make_block(
        np.concatenate(observed),
        time_s=0.1 + (np.arange(n_bins) + 0.5) * WIDTH,
        bin_width_s=WIDTH,
        aligned_to="dots onset",
        trials={
            "task": np.array(CONTEXTS)[task],
            "coherence_1_level": first,
            "coherence_2_level": second,
            "coherence_1_sign": np.sign(first),
            "coherence_2_sign": np.sign(second),
            "choice": rng.choice([-1, 1], task.size),
            "reaction_time": rng.random(task.size),
        },
        units={
            "unit": [f"n{unit}" for unit in range(n_units)],
            "subject": ["A"] * n_units,
            "session": [f"day {unit // 2}" for unit in range(n_units)],
        },
        observation_unit=np.concatenate(units),
        epochs={"stim1": (0.1, 0.1 + n_bins * WIDTH)},
        condition_variables={t: ["coherence_1_sign", "coherence_2_sign"] for t in CONTEXTS},
        source="recording",
        name="example",
        provenance={"options": {"bin_s": WIDTH, "smooth_s": SMOOTH_S}},
    )
    return nc.smooth(block, SMOOTH_S)


def sample(recording, mapping=None, *, network=None, **options):
    activity = sample_like(network or small_network(), recording, mapping or table(), **options)
    return nc.check_activity(activity)["sample"].to_dataset()


def fractions(activity):
    variance = nc.task_variance(activity)
    values = nc.fractional_task_variance(variance, *CONTEXTS)["fractional_task_variance"].values
    return values[np.isfinite(values)]


def mean_noise(block, conditions=LEVELS):
    """Each unit's mean noise variance of a trial, pooled over conditions by hand."""
    means = nc.selectivity.condition_means(block, conditions=conditions)
    n = means["n_trials"].values
    pooled = np.nansum((n - 1) * n * means["mean_variance"].values, axis=1)
    return (pooled / np.maximum(n - 1, 0).sum(axis=1)).mean(axis=1)


def corrected_variance(block):
    """The sum of task variances less their noise, in plain loops."""
    means = nc.selectivity.condition_means(block)
    total = np.zeros(block.sizes["unit"])
    for unit in range(block.sizes["unit"]):
        for task in CONTEXTS:
            here = means.isel(unit=unit, condition=means["task"].values == task)
            at_times = []
            for time in range(block.sizes["time"]):
                mean = here["rate_mean"].values[:, time]
                noise = here["mean_variance"].values[:, time].mean()
                at_times.append(np.mean((mean - mean.mean()) ** 2) - noise * 3 / 4)
            total[unit] += np.mean(at_times)
    return total


class TestCounts:
    @pytest.mark.parametrize("fano", [0.5, 0.9, 1.0, 1.3, 2.0])
    @pytest.mark.parametrize("gain", [0.0, 0.2])
    @pytest.mark.parametrize("mean", [0.6, 1.7, 8.0])
    def test_mean_and_covariance_are_as_asked_for(self, fano, gain, mean):
        rng = np.random.default_rng(0)
        n = 60_000
        means = np.broadcast_to([mean, 2 * mean], (n, 2))
        if fano < 1 and gain:
            means = means + 2  # a gain would bring a small mean below 1 - F
        counts = draw_counts(means, fano, gain, rng)
        mu = means[0]
        covariance = np.cov(counts.T)
        expected = fano * np.diag(mu) + gain * np.outer(mu, mu)
        error = np.sqrt(np.diag(expected) / n)
        np.testing.assert_allclose(counts.mean(axis=0), mu, atol=5 * error.max())
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert np.abs((covariance - expected) / scale).max() < 0.05

    @given(st.floats(0.01, 60), st.floats(FANO_FLOOR, 0.999))
    def test_regular_counts_are_exact_wherever_whole_counts_can_be(self, mean, fano):
        """The law's own moments, from the numbers that the binomial is given."""

        class Spy:
            def __init__(self):
                self.rng = np.random.default_rng(0)

            def random(self, shape):
                self.uniform = self.rng.random(shape)
                return self.uniform

            def binomial(self, number, p):
                self.number, self.p = number, p
                return number

        lowest, highest = Spy(), Spy()
        lowest.random = np.ones  # never below: the smaller number
        highest.random = lambda shape: np.full(shape, -1.0)
        asked = np.full((1, 1), mean)
        draw_counts(asked, fano, 0, lowest)
        draw_counts(asked, fano, 0, highest)
        few, many, p = lowest.number.item(), highest.number.item(), lowest.p.item()
        assert many == few + 1
        assert 0 <= p <= 1 + 1e-12
        share = mean / p - few
        assert -1e-9 <= share <= 1 + 1e-9
        variance = mean * (1 - p) + p**2 * share * (1 - share)
        rest = mean % 1
        if fano * mean >= rest * (1 - rest) and mean >= 1 - fano:
            assert variance == pytest.approx(fano * mean, rel=1e-6)
        else:
            assert variance >= fano * mean * (1 - 1e-9)

    def test_no_rate_gives_no_spikes(self):
        rng = np.random.default_rng(0)
        for fano in (0.5, 1.0, 2.0):
            assert not draw_counts(np.zeros((10, 3)), fano, 0.3, rng).any()


class TestDispersion:
    @pytest.mark.parametrize("fano", [0.6, 1.0, 1.8])
    @pytest.mark.parametrize("gain", [0.0, 0.15])
    def test_what_was_simulated_is_found(self, fano, gain):
        recording = make_recording(
            12, (20, 40), fano=fano, gain=gain, rates=(25, 40), signal=0.2, seed=1
        )
        found = dispersion(recording, conditions=LEVELS)
        assert found["fano_factor"].mean().item() == pytest.approx(fano, abs=0.05)
        assert found["gain_variance"].mean().item() == pytest.approx(gain, abs=0.01)

    def test_signal_within_conditions_counts_as_scatter(self):
        """The negative control: conditions too coarse put signal into the gain."""
        recording = make_recording(8, (20, 40), rates=(25, 40), signal=0.5)
        fine = dispersion(recording, conditions=LEVELS)["gain_variance"].mean()
        assert dispersion(recording)["gain_variance"].mean() > fine + 0.1

    def test_it_is_the_plain_solution_of_two_equations(self):
        block = make_recording(3, fano=1.5, gain=0.2)
        found = dispersion(block, conditions=LEVELS)
        kernel = smoothing_matrix(15, SMOOTH_S / WIDTH)
        names = [
            "/".join(map(str, row))
            for row in zip(
                nc.labels(block["task"]), *(block[c].values for c in LEVELS), strict=True
            )
        ]
        for unit in range(3):
            rows = block["observation_unit"].values == unit
            rates, kind = block["rate"].values[rows].astype(float), np.array(names)[rows]
            degrees = sum((kind == k).sum() - 1 for k in set(kind))
            scatter, outer, mean = np.zeros((15, 15)), np.zeros((15, 15)), np.zeros(15)
            for k in set(kind):
                own = rates[kind == k]
                n, centre = len(own), own.mean(axis=0)
                covariance = (own - centre).T @ (own - centre) / (n - 1)
                weight = (n - 1) / degrees
                scatter += weight * covariance
                outer += weight * (np.outer(centre, centre) - covariance / n)
                mean += weight * centre
            poisson = kernel.T @ np.diag(mean) @ kernel / WIDTH
            equations = [[poisson.trace(), outer.trace()], [poisson.sum(), outer.sum()]]
            fano, gain = np.linalg.solve(equations, [scatter.trace(), scatter.sum()])
            assert found["fano_factor"].values[unit] == pytest.approx(fano, rel=1e-5)
            assert found["gain_variance"].values[unit] == pytest.approx(gain, rel=1e-4)
            assert found["degrees_of_freedom"].values[unit] == degrees

    def test_trace_is_met_at_the_bounds(self):
        """Trials that are alike in sum: the gain is bounded at 0, the trace still met."""
        rng = np.random.default_rng(0)
        counts = rng.poisson(4.0, (300, 4)).astype(float)
        counts -= counts.mean(axis=1, keepdims=True) - 4
        found = moment_dispersion(
            counts,
            np.zeros(300, int),
            np.zeros(300, int),
            (1, 1),
            smoothing=np.eye(4),
            bin_width_s=1.0,
        )
        assert found.gain_variance.item() == 0
        trace = counts.var(axis=0, ddof=1).sum()
        assert found.fano.item() * counts.mean(axis=0).sum() == pytest.approx(trace)
        lone = moment_dispersion(
            counts[:, :1],
            np.zeros(300, int),
            np.zeros(300, int),
            (1, 1),
            smoothing=np.eye(1),
            bin_width_s=1.0,
        )
        assert lone.gain_variance.item() == 0
        assert lone.fano.item() == pytest.approx(counts[:, 0].var(ddof=1) / counts[:, 0].mean())

    def test_regular_trials_have_the_least_fano_factor(self):
        rates = np.ones((10, 3)) * np.arange(1, 4)
        found = moment_dispersion(
            rates,
            np.zeros(10, int),
            np.zeros(10, int),
            (1, 1),
            smoothing=np.eye(3),
            bin_width_s=1.0,
        )
        assert found.fano.item() == FANO_FLOOR
        assert found.gain_variance.item() == 0

    def test_dense_and_ragged_are_alike(self):
        ragged = nc.select(make_recording(1), units=["n0"])
        dense = as_dense(ragged)
        for name in ("mean_rate", "fano_factor", "gain_variance"):
            a, b = (dispersion(x, conditions=LEVELS)[name].item() for x in (ragged, dense))
            assert a == pytest.approx(b, rel=1e-6)

    def test_rows_with_gaps_are_left_out(self):
        block = make_recording(1)
        gaps = block.copy(deep=True)
        gaps["rate"][::3, 2] = np.nan
        kept = block.isel(observation=np.arange(block.sizes["observation"]) % 3 > 0)
        a, b = (dispersion(x, conditions=LEVELS) for x in (gaps, kept))
        xr.testing.assert_allclose(a["fano_factor"], b["fano_factor"])

    def test_silent_units_are_named(self):
        block = make_recording(2)
        block["rate"][block["observation_unit"].values == 1] = 0
        with pytest.warns(UnitWarning, match="1 units without spikes have no dispersion: n1"):
            found = dispersion(block)
        assert np.isnan(found["fano_factor"].values[1])
        assert np.isfinite(found["fano_factor"].values[0])

    def test_it_survives_netcdf(self, tmp_path):
        found = dispersion(make_recording(2))
        found.to_netcdf(tmp_path / "d.nc", engine="h5netcdf")
        xr.testing.assert_identical(xr.load_dataset(tmp_path / "d.nc", engine="h5netcdf"), found)

    def test_bad_input(self):
        block = make_recording(2)
        with pytest.raises(InputError, match="smooth_s: expected the standard deviation"):
            dispersion(block.assign_attrs(provenance="{}"))
        with pytest.raises(InputError, match="smooth_s"):
            dispersion(block, smooth_s=-1)
        with pytest.raises(InputError, match="expected one block, got 2: a, b"):
            dispersion(nc.make_activity({"a": block, "b": block}))
        with pytest.raises(InputError, match="noisy rates in spikes/s, got noise-free"):
            dispersion(block.assign_attrs(deterministic=1))
        single = block.assign_coords(number=("observation", np.arange(block.sizes["observation"])))
        with pytest.raises(InputError, match="at least 2 wholly observed trials.*n0, n1"):
            dispersion(single, conditions=["number"])

    def test_smoothing_of_a_converted_file_is_what_it_was_read_with(self):
        block = make_recording(1)
        converted = {"options": {"bin_s": 0.001, "smooth_s": 0.0}}
        with pytest.raises(InputError, match="smooth_s"):
            dispersion(block.assign_attrs(provenance=json.dumps(converted)))
        read = json.dumps(converted | {"smooth_s": SMOOTH_S})
        found = dispersion(block.assign_attrs(provenance=read))
        assert found.attrs["smooth_s"] == SMOOTH_S

    @pytest.mark.parametrize("smooth", [0.0, SMOOTH_S])
    def test_arrays_and_files_say_how_they_were_smoothed(self, smooth):
        rng = np.random.default_rng(0)
        trials = {"start_time": np.arange(0, 60, 2.0), "task": ["a"] * 30}
        spikes = {"spikes": [np.sort(rng.uniform(0, 61, 900))], "trials": trials}
        activity = nc.from_arrays(**spikes, window=(0, 1), bin=0.05, smooth=smooth, conditions=[])
        assert dispersion(activity).attrs["smooth_s"] == smooth


def as_dense(block):
    """One unit's ragged block as trials."""
    row = "observation"
    columns = {k: v.variable for k, v in block.coords.items() if v.dims == (row,)}
    columns.pop("observation_unit")
    return nc.make_block(
        block["rate"].values[:, :, None],
        time_s=block["time"].values,
        bin_width_s=WIDTH,
        aligned_to="dots onset",
        trials=columns,
        units={"unit": block["unit"].values, "subject": block["subject"].values},
        epochs={"stim1": (0.1, 0.85)},
        condition_variables=json.loads(block.attrs["condition_variables"]),
        source="recording",
        name="dense",
        provenance=json.loads(block.attrs["provenance"]),
    )


class TestSample:
    def test_rows_are_the_recordings(self):
        recording = make_recording()
        block = sample(recording)
        assert block.attrs["source"] == "model"
        assert block.attrs["name"] == "small 0"
        assert not block.attrs["deterministic"]
        assert block["rate"].attrs["units"] == "spikes/s"
        for name in ("task", *LEVELS, "coherence_1_sign", "observation_unit"):
            np.testing.assert_array_equal(nc.labels(block[name]), nc.labels(recording[name]))
        xr.testing.assert_identical(block["time"].variable, recording["time"].variable)
        for name in ("epoch_start_time", "epoch_stop_time"):
            np.testing.assert_array_equal(block[name].values, recording[name].values)
        for conditions in (None, LEVELS):
            a, b = (
                nc.selectivity.condition_means(x, conditions=conditions) for x in (block, recording)
            )
            np.testing.assert_array_equal(a["n_trials"].values, b["n_trials"].values)
        assert block["recorded_unit"].values.tolist() == recording["unit"].values.tolist()
        assert block["session"].values.tolist() == recording["session"].values.tolist()
        assert block["subject"].values.tolist() == ["A"] * 6
        assert "reaction_time" not in block.coords  # what an animal did is not the network's

    def test_units_are_drawn_without_replacement_while_they_last(self):
        block = sample(make_recording(200, (1, 3)), noise=False)
        pairs = list(zip(block["network_unit"].values, block["axis_degrees"].values, strict=True))
        distinct = len(set(pairs))
        assert distinct < 16 * 3 + 1
        assert len(set(pairs[:distinct])) == distinct
        assert len(set(block["unit"].values)) == 200

    @pytest.mark.parametrize("match", ["rate", "signal"])
    def test_rates_are_those_of_the_matched_protocol(self, match):
        """Unit by unit against `record_matched`, which runs and bins in its own way."""
        strengths = (0.05, 0.2, 0.2)
        protocol = nc.comparison.MatchedProtocol(coherences=strengths, n_axes=3)
        network, recording = small_network(), make_recording()
        twin = nc.record_matched(network, protocol)["matched"].to_dataset()
        block = sample(recording, match=match, noise=False)
        assert block.attrs["deterministic"]
        trials = list(zip(nc.labels(twin["task"]), *(twin[c].values for c in LEVELS), strict=True))
        for unit in range(6):
            rows = np.flatnonzero(block["observation_unit"].values == unit)
            name = f"{block['network_unit'].values[unit]}@{block['axis_degrees'].values[unit]:03.0f}deg"
            rates = twin["rate"].sel(unit=name).values
            here = block.isel(observation=rows)
            shown = zip(nc.labels(here["task"]), *(here[c].values for c in LEVELS), strict=True)
            expected = np.array([rates[trials.index(row)] for row in shown], dtype=float)
            expected = expected * here["scale"].values[unit] + here["offset"].values[unit]
            if here["clipped_share"].values[unit] == 0:
                np.testing.assert_allclose(here["rate"].values, expected, rtol=1e-4, atol=1e-3)
            if match == "rate":
                recorded = recording["rate"].values[rows].mean(dtype=float)
                assert here["rate"].values.mean() == pytest.approx(recorded, rel=1e-5)
                assert here["offset"].values[unit] == 0

    def test_signal_matches_the_corrected_variance(self):
        recording = make_recording(12, (6, 12), signal=0.4)
        block = sample(recording, match="signal", noise=False)
        wanted = corrected_variance(recording)
        # as the pipeline would see it, were there no noise but the conditions' own levels
        given_ = corrected_variance(block.assign_attrs(deterministic=0))
        whole = (block["clipped_share"].values == 0) & (wanted > 0)
        assert whole.sum() > 6
        np.testing.assert_allclose(given_[whole], wanted[whole], rtol=1e-3)
        rates = sample(recording, match="rate", noise=False)
        others = corrected_variance(rates.assign_attrs(deterministic=0))
        assert np.abs(np.log(others / wanted))[whole].min() > 0.01  # the negative control

    def test_units_without_signal_get_a_constant_rate(self):
        recording = make_recording(30, (3, 5), signal=0.0, seed=4)
        flat = corrected_variance(recording) <= 0
        assert 0 < flat.sum() < 30
        block = sample(recording, match="signal", noise=False)
        np.testing.assert_array_equal(block["scale"].values == 0, flat)
        for unit in np.flatnonzero(flat):
            rates = block["rate"].values[block["observation_unit"].values == unit]
            assert np.ptp(rates) < 1e-3

    @pytest.mark.parametrize("match", ["rate", "signal"])
    @pytest.mark.parametrize(("fano", "gain"), [(0.8, 0.0), (1.5, 0.1)])
    def test_noise_and_means_are_the_recorded_ones(self, match, fano, gain):
        recording = make_recording(30, (10, 20), fano=fano, gain=gain, rates=(15, 40), signal=0.1)
        block = sample(recording, match=match)
        noise = mean_noise(block) / mean_noise(recording)
        assert noise.mean() == pytest.approx(1, abs=0.03)
        assert noise.std() < 0.12
        rows = np.arange(30)[:, None] == block["observation_unit"].values
        means = [
            (rows @ x["rate"].values.mean(axis=1)) / rows.sum(axis=1) for x in (block, recording)
        ]
        unclipped = block["clipped_share"].values == 0
        np.testing.assert_allclose(means[0][unclipped], means[1][unclipped], rtol=0.06)
        scatter = dispersion(block, conditions=LEVELS)  # its smoothing is in its provenance
        assert scatter["fano_factor"].mean().item() == pytest.approx(fano, abs=0.05)

    def test_negative_rates_are_clipped_and_counted(self):
        recording = make_recording(10, rates=(1, 2), signal=1.5)
        block = sample(recording, match="signal", noise=False)
        clipped = block["clipped_share"].values
        assert clipped.max() > 0
        assert block["rate"].values.min() >= 0
        loud = sample(make_recording(10, rates=(30, 40), signal=0.1), match="signal", noise=False)
        assert loud["clipped_share"].values.max() < clipped.max()

    @pytest.mark.parametrize("match", ["rate", "signal"])
    def test_several_draws_are_those_of_each_seed(self, match):
        recording, network = make_recording(), small_network()
        draws = sample_draws(network, recording, table(), seeds=[3, 4], match=match)
        for seed, drawn in zip([3, 4], draws, strict=True):
            once = sample(recording, network=network, seed=seed, match=match)
            xr.testing.assert_identical(drawn["sample"].to_dataset(), once)

    def test_seeds(self):
        recording = make_recording()
        once, again, other = (sample(recording, seed=seed) for seed in (3, 3, 4))
        xr.testing.assert_identical(once, again)
        assert not np.array_equal(once["rate"].values, other["rate"].values)
        assert once["unit"].values.tolist() != other["unit"].values.tolist()

    def test_a_units_spikes_do_not_depend_on_the_order_of_rows(self):
        recording = make_recording(3)
        order = np.random.default_rng(0).permutation(recording.sizes["observation"])
        shuffled = sample(recording.isel(observation=order), noise=False)
        block = sample(recording, noise=False).isel(observation=order)
        np.testing.assert_allclose(shuffled["rate"].values, block["rate"].values, rtol=1e-5)

    def test_unobserved_bins_stay_so(self):
        recording = make_recording(3)
        recording["rate"][5, 10:] = np.nan
        recording["rate"][9] = np.nan
        block = sample(recording)
        assert block.sizes["observation"] == recording.sizes["observation"] - 1
        assert np.isnan(block["rate"].values[5, 10:]).all()
        assert np.isnan(block["rate"].values).sum() == 5

    def test_dense_recordings_become_rows(self):
        ragged = nc.select(make_recording(1), units=["n0"])
        dense = sample(as_dense(ragged))
        np.testing.assert_allclose(dense["rate"].values, sample(ragged)["rate"].values, rtol=1e-5)
        assert dense["observation_trial"].values.tolist() == list(range(dense.sizes["observation"]))

    def test_other_bins_tasks_and_columns_are_left_out(self):
        recording = make_recording(3, n_bins=20)
        start = np.full((recording.sizes["observation"], 1), 0.1)
        recording = recording.assign_coords(
            epoch_stop_time=(("observation", "epoch"), start + 0.75),
            session=("observation", np.arange(recording.sizes["observation"]) * 0),
        )
        mapping = table(tasks={"contextdm2": "contextdm2"})
        block = sample(recording, mapping)
        assert tasks_of(block) == ["contextdm2"]
        assert block.sizes["time"] == 15
        assert block["session"].dims == ("unit",)
        assert block["session"].values.tolist() == ["0"] * 3

    def test_latency_shifts_the_network(self):
        """100 ms earlier means the network's fixation in the first bins, the same in all trials."""
        late = table(epoch={"recording": "stim1", "network": "stim1", "latency_ms": 100})
        block = sample(make_recording(4), late, noise=False, smooth_s=0)
        plain = sample(make_recording(4), noise=False, smooth_s=0)
        means = [nc.selectivity.condition_means(x)["rate_mean"].values for x in (block, plain)]
        own = [
            (m / x["scale"].values[:, None, None])
            for m, x in zip(means, (block, plain), strict=True)
        ]
        np.testing.assert_allclose(own[0][:, :, 2:], own[1][:, :, :-2], rtol=1e-3)

    def test_choices_are_the_networks(self):
        recording = make_recording(4)
        network = nc.model.pretrained("ctxdm-0")
        block = sample(recording, network=network, noise=False)
        right = np.where(
            nc.labels(block["task"]) == "contextdm1",
            block["coherence_1_sign"].values,
            block["coherence_2_sign"].values,
        )
        assert set(block["choice"].values) == {-1.0, 1.0}
        agree = block["choice"].values == right
        assert agree.mean() > 0.9
        np.testing.assert_array_equal(block["correct"].values, agree)
        assert "choice" not in sample(recording, without("choice"), network=network).coords

    def test_a_module_is_sampled_too(self):
        torch.manual_seed(0)
        module = torch.nn.GRU(85, 8)
        block = sample(make_recording(4), network=module, dt_ms=50, name="my GRU")
        assert block.attrs["name"] == "my GRU"
        assert "choice" not in block.coords
        with pytest.raises(InputError, match="dt_ms: expected the time step"):
            sample(make_recording(4), network=module)

        class Noisy(torch.nn.GRU):
            def forward(self, x):
                return super().forward(x + torch.randn_like(x))

        with pytest.raises(InputError, match="network: expected a network that runs without noise"):
            sample(make_recording(4), network=Noisy(85, 8), dt_ms=50)

    def test_silent_units_stay_silent(self):
        recording = make_recording(3)
        recording["rate"][recording["observation_unit"].values == 1] = 0
        with pytest.warns(UnitWarning, match="n1"):
            block = sample(recording)
        rates = block["rate"].values
        assert not rates[block["observation_unit"].values == 1].any()
        assert rates[block["observation_unit"].values == 2].any()

    def test_a_sample_of_a_network_looks_like_itself(self):
        """Calibration: a "recording" drawn from a network, and that network sampled like it."""
        network, other = nc.model.pretrained("ctxdm-0"), small_network()
        base = make_recording(160, (3, 6), fano=1.2, gain=0.1, rates=(15, 40))
        p_values, control = [], []
        for seed in range(2):
            truth = sample(base, network=network, seed=100 + seed)
            own, foreign = (sample(truth, network=n, seed=seed) for n in (network, other))
            p_values.append(stats.ks_2samp(fractions(truth), fractions(own)).pvalue)
            control.append(stats.ks_2samp(fractions(truth), fractions(foreign)).pvalue)
        assert min(p_values) > 0.01
        assert max(control) < 1e-3


class TestRefusals:
    def test_arguments(self):
        recording = make_recording(2)
        with pytest.raises(InputError, match="match: expected one of rate, signal, got 'signl'"):
            sample(recording, match="signl")
        with pytest.raises(InputError, match="seed: expected a whole number"):
            sample(recording, seed=-1)
        with pytest.raises(InputError, match="mapping of the recording's conditions.*'mante2013'"):
            sample_like(small_network(), recording)
        with pytest.raises(InputError, match="noisy rates in spikes/s"):
            sample(nc.record_matched(small_network()))

    def test_recordings_that_do_not_fit_the_mapping(self):
        recording = make_recording(2)
        with pytest.raises(InputError, match=r"mapping, tasks: expected at least one of the rec"):
            sample(recording, table(tasks={"left": "contextdm1"}))
        with pytest.raises(InputError, match=r"conditions.coherence_2.column: .*coherence_2_lev"):
            sample(recording.drop_vars("coherence_2_level"))
        with pytest.raises(InputError, match=r"epoch.recording: .* got 'delay'"):
            sample(recording, table(epoch={"recording": "delay", "network": "stim1"}))
        with pytest.raises(InputError, match=r"epoch.network: .* got 'stim2'"):
            sample(recording, table(epoch={"recording": "stim1", "network": "stim2"}))
        with pytest.raises(
            InputError, match="last as long as the recorded 'stim1', 750 ms, got 500"
        ):
            sample(recording, table(stimulus_ms=500))
        with pytest.raises(InputError, match="latency_ms: expected bins that lie inside"):
            epoch = {"recording": "stim1", "network": "stim1", "latency_ms": 900}
            sample(recording, table(epoch=epoch))
        values = {"column": "coherence_1_level", "values": {1: 0.1}}
        mapping = table(conditions=table()["conditions"] | {"coherence_1": values})
        with pytest.raises(InputError, match=r"coherence_1.values: .* got none for -2.*Write -2:"):
            sample(recording, mapping)

    def test_unequal_epochs(self):
        recording = make_recording(2)
        within = recording["epoch_stop_time"].copy()
        within[::2] -= 0.1
        with pytest.raises(InputError, match="the same bounds in every trial of a task"):
            sample(recording.assign_coords(epoch_stop_time=within))
        between = recording["epoch_stop_time"].copy()
        between[nc.labels(recording["task"]) == "contextdm1"] -= 0.1
        with pytest.raises(InputError, match="the same bounds in all tasks"):
            sample(recording.assign_coords(epoch_stop_time=between))

    def test_too_few_trials(self):
        recording = make_recording(2, (1, 2))
        with pytest.raises(InputError, match="at least 2 wholly observed trials"):
            sample(recording)
        sample(recording, noise=False)  # needs no noise to be known
        coarse = table(conditions={
            "direction": {"value": 0},
            **{f"coherence_{m}": {"column": f"coherence_{m}_sign", "factor": 0.1} for m in (1, 2)},
        })  # fmt: skip
        few = (
            (recording["observation_unit"].values == 0)
            & (nc.labels(recording["task"]) == "contextdm1")
            & (recording["coherence_1_sign"].values < 0)
            & (recording["coherence_2_sign"].values < 0)
        )
        few[0] = False  # one trial of this condition is left
        lacking = recording.isel(observation=~few)
        with pytest.raises(InputError, match="at least 2 trials in every condition.*units .*n0"):
            sample(lacking, coarse, match="signal")
        sample(lacking, coarse, match="rate")

    def test_a_network_that_does_nothing(self):
        dead = Network(NetworkConfig(n_units=4, nonlinearity="relu"))
        with torch.no_grad():
            dead.bias.fill_(-100)
        with pytest.raises(InputError, match="units whose task variances.*none in 'network'"):
            sample(make_recording(2), network=dead)


class TestMapping:
    def test_shipped_mappings_can_be_read(self):
        for place in FOLDER.iterdir():
            if place.name.endswith(".yaml"):
                assert isinstance(read_mapping(Path(place.name).stem), ProtocolMapping)
        assert read_mapping(None, "mante2013") == read_mapping("mante2013")
        mapping = read_mapping("mante2013")
        assert read_mapping(mapping) is mapping

    def test_the_documented_example_is_a_mapping(self):
        import yaml

        text = nwbcompare.comparison.protocol_mapping.__doc__.split("::", 1)[1]
        mapping = read_mapping(yaml.safe_load(text))
        assert mapping.latency_ms == 100
        assert mapping.columns == ["coherence", "hue"]
        assert mapping.shown == ("patch_size",)

    def test_a_lab_can_write_its_own(self, tmp_path):
        """A memory-guided saccade to one of four places, held against Dly Go."""
        path = tmp_path / "saccade.yaml"
        path.write_text(
            """
            tasks: {memory: delaygo, anti: delayanti}
            conditions:
              direction: {column: cue, values: {right: 0, up: 90, left: 180, down: 270}}
              modality: {value: 1}
            epoch: {recording: delay, network: delay1}
            stimulus_ms: 500
            delay_ms: 600
            """
        )
        rng = np.random.default_rng(0)
        n = 240
        block = nc.make_block(
            rng.poisson(2.0, (n, 6)) / 0.1,
            time_s=(np.arange(6) + 0.5) * 0.1,
            bin_width_s=0.1,
            aligned_to="cue offset",
            trials={
                "task": rng.choice(["memory", "anti"], n),
                "cue": rng.choice(["right", "up", "left", "down"], n),
            },
            units={"unit": ["a", "b", "c"]},
            observation_unit=np.arange(n) % 3,
            epochs={"delay": (0.0, 0.6)},
            condition_variables={"memory": ["cue"], "anti": ["cue"]},
            source="recording",
            name="lab",
        )
        found = sample(block, path, smooth_s=0)
        assert found.sizes["unit"] == 3
        np.testing.assert_array_equal(nc.labels(found["cue"]), nc.labels(block["cue"]))
        with pytest.raises(InputError, match="choice: expected network tasks of two directions"):
            choosing = {"choice": {"column": "choice", "first": 1, "second": -1}}
            import yaml

            with_choice = yaml.safe_load(path.read_text()) | choosing
            sample(block, with_choice, smooth_s=0)

    def test_recorded_values_become_the_networks_numbers(self):
        recorded = xr.Dataset(
            coords={"c": ("condition", np.array([0.06, -0.5, 0.06], dtype=np.float32)),
                    "d": ("condition", [True, False, True])}
        )  # fmt: skip
        mapping = read_mapping(
            table(conditions={
                "direction": {"column": "c", "factor": 100},
                "coherence_1": {"column": "c", "values": {0.06: 0.1, -0.5: -0.2}},
                "coherence_2": {"column": "d", "values": {True: 0.1, False: -0.1}},
            })
        )  # fmt: skip
        numbers = mapping.numbers("contextdm1", recorded, 90.0)
        np.testing.assert_allclose(numbers["coherence_1"], [0.1, -0.2, 0.1])
        np.testing.assert_allclose(numbers["coherence_2"], [0.1, -0.1, 0.1])
        np.testing.assert_allclose(np.degrees(numbers["direction"]), [96, 40, 96], rtol=1e-5)
        assert mapping.columns == ["c", "d"]
        text = recorded.assign_coords(c=("condition", ["a", "b", "a"]))
        with pytest.raises(InputError, match=r"direction.factor: expected numbers in the column"):
            mapping.numbers("contextdm1", text, 0.0)

    def test_every_error_names_file_and_key(self, tmp_path):
        conditions = table()["conditions"]
        for changed, message in [
            (without("tasks"), r"tasks: expected recorded tasks.*got nothing.*Write tasks: \{"),
            (table(tasks={"a": "contextdm3"}), r"tasks\.a: .*Did you mean 'contextdm2'"),
            (table(tasks={}), r"mapping, tasks: "),
            (without("conditions"), r"mapping, conditions: .*none for direction"),
            (table(conditions=3), r"mapping, conditions: expected a table of keys"),
            (table(conditions=conditions | {"speed": {"value": 1}}), r"conditions: .*'speed'"),
            (table(conditions=conditions | {"direction": {}}), r"conditions\.direction\.column: "),
            (table(conditions=conditions | {"direction": {"value": "x"}}), r"direction\.value: "),
            (
                table(conditions=conditions | {"direction": {"column": "c"}}),
                r"conditions\.direction\.values: expected a number for each.*got nothing",
            ),
            (
                table(conditions=conditions | {"direction": {"column": "c", "factor": "x"}}),
                r"conditions\.direction\.factor: expected a number",
            ),
            (
                table(conditions=conditions | {"direction": {"value": 1, "unit": "rad"}}),
                r"key in conditions\.direction: .*'unit'",
            ),
            (without("epoch"), r"epoch\.recording: expected the name of an epoch, got nothing"),
            (table(epoch={"recording": "a", "network": 3}), r"epoch\.network: .*got 3"),
            (
                table(epoch={"recording": "a", "network": "b", "latency": 3}),
                r"key in epoch: .*'latency'.*Did you mean 'latency_ms'",
            ),
            (without("stimulus_ms"), r"stimulus_ms: expected milliseconds, got nothing"),
            (table(axes_degrees=[]), r"axes_degrees: expected one or more degrees"),
            (table(axes_degrees=["a"]), r"axes_degrees: "),
            (table(choice={"column": "choice", "first": 1}), r"choice\.second: expected a number"),
            (table(shown="congruent"), r"shown: expected names of columns"),
            (table(stimuls_ms=3), r"mapping, key: .*'stimuls_ms'.*Did you mean 'stimulus_ms'"),
            ([], r"mapping: expected a name, a path, a dict.*got list"),
        ]:
            with pytest.raises(InputError, match=message):
                read_mapping(changed)
        broken = tmp_path / "broken.yaml"
        broken.write_text("tasks: [")
        with pytest.raises(InputError, match=r"broken\.yaml: expected a YAML file, got one that"):
            read_mapping(broken)
        broken.write_text("3")
        with pytest.raises(InputError, match=r"broken\.yaml: expected a table of keys and values"):
            read_mapping(str(broken))
        with pytest.raises(
            InputError, match=r"mante2012: expected a YAML file .* or one of mante2013"
        ):
            read_mapping("mante2012")


@pytest.fixture(scope="module")
def monkey_a(mante2013_path):
    return nc.load("mante2013", path=mante2013_path, animal="ar")


@pytest.mark.shared
class TestMonkeyA:
    def test_a_network_is_sampled_like_it(self, monkey_a):
        network = nc.model.pretrained("ctxdm-0")
        block = sample_like(network, monkey_a)["sample"].to_dataset()
        truth = monkey_a["mante2013"].to_dataset()
        a, b = (nc.selectivity.condition_means(x, conditions=LEVELS) for x in (block, truth))
        np.testing.assert_array_equal(a["n_trials"].values, b["n_trials"].values)
        ratio = mean_noise(block) / mean_noise(truth)
        assert np.median(ratio) == pytest.approx(1, abs=0.02)
        assert (np.abs(ratio - 1) < 0.2).mean() > 0.85
        assert set(block["session"].values) == set(nc.labels(truth["session"]))
        assert "choice_colour" not in block.coords

    def test_its_scatter(self, monkey_a):
        found = dispersion(monkey_a, conditions=LEVELS)
        assert found["fano_factor"].median().item() == pytest.approx(1.217, abs=0.01)
        assert found["gain_variance"].median().item() == pytest.approx(0.299, abs=0.01)
