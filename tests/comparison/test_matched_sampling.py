"""Matched sampling: the recording's trials, rates and noise, and nothing else of it."""

import numpy as np
import pytest
import torch
import xarray as xr
from context_recordings import (
    CONTEXTS,
    LEVELS,
    as_dense,
    make_recording,
    sample,
    small_network,
    table,
    without,
)
from scipy import stats

import nwbcompare as nc
import nwbcompare.comparison.protocol_mapping
from nwbcompare.comparison import MatchedSampler, RecordedTrials, network_response, read_mapping
from nwbcompare.comparison.matched_sampling import sample_like
from nwbcompare.comparison.spike_variability import dispersion
from nwbcompare.core.activity import tasks_of
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning
from nwbcompare.model import Network, NetworkConfig


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

    @pytest.mark.parametrize("match", ["rate", "tuning"])
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
            np.testing.assert_allclose(here["rate"].values, expected, rtol=1e-4, atol=1e-3)
            if match == "rate":
                recorded = recording["rate"].values[rows].mean(dtype=float)
                assert here["rate"].values.mean() == pytest.approx(recorded, rel=1e-5)
                assert here["offset"].values[unit] == 0

    def test_tuning_matches_the_corrected_variance(self):
        recording = make_recording(12, (6, 12), signal=0.4)
        block = sample(recording, match="tuning", noise=False)
        strength = corrected_variance(recording)
        # as the pipeline would see it, were there no noise but the conditions' own levels
        matched = corrected_variance(block.assign_attrs(deterministic=0))
        tuned = strength > 0
        assert tuned.sum() > 6
        np.testing.assert_allclose(matched[tuned], strength[tuned], rtol=1e-3)
        rates = sample(recording, match="rate", noise=False)
        others = corrected_variance(rates.assign_attrs(deterministic=0))
        assert np.abs(np.log(others / strength))[tuned].min() > 0.01  # the negative control

    def test_tuning_preserves_the_ftv_of_every_unit(self):
        """FTV is invariant under an affine change of a unit's rates, whatever its strength."""
        recording = make_recording(40, (6, 12), rates=(1, 4), signal=1.0)
        by_match = {
            match: sample(recording, match=match, noise=False).assign_attrs(deterministic=1)
            for match in ("rate", "tuning")
        }
        assert by_match["tuning"]["rate"].values.min() < 0
        rate, tuning = (
            nc.fractional_task_variance(nc.task_variance(block), *CONTEXTS, threshold=1e-9)
            for block in by_match.values()
        )
        tuned = by_match["tuning"]["scale"].values > 0
        np.testing.assert_allclose(
            tuning["fractional_task_variance"].values[tuned],
            rate["fractional_task_variance"].values[tuned],
            atol=2e-3,
        )

    def test_units_without_tuning_get_a_constant_rate(self):
        recording = make_recording(30, (3, 5), signal=0.0, seed=4)
        flat = corrected_variance(recording) <= 0
        assert 0 < flat.sum() < 30
        block = sample(recording, match="tuning", noise=False)
        np.testing.assert_array_equal(block["scale"].values == 0, flat)
        for unit in np.flatnonzero(flat):
            rates = block["rate"].values[block["observation_unit"].values == unit]
            assert np.ptp(rates) < 1e-3

    def test_pairing_by_strength(self):
        recording = make_recording(20, (4, 9), signal=0.4)
        strength = corrected_variance(recording)

        def variance_of_network(pairing):
            block = sample(recording, match="tuning", pairing=pairing, noise=False)
            # the strength of the network unit before it was scaled
            tuned = strength > 0
            own = strength[tuned] / block["scale"].values[tuned] ** 2
            return own, sorted(block["network_unit"].values)

        kinds = ("rank", "reversed", "random")
        variances, units = zip(*map(variance_of_network, kinds), strict=True)
        assert units[0] == units[1] == units[2]
        ranks = [stats.spearmanr(own, strength[strength > 0])[0] for own in variances]
        assert ranks[0] > 0.9
        assert ranks[1] < -0.9
        assert abs(ranks[2]) < 0.7

    def test_noise_is_matched_in_each_task(self):
        recording = make_recording(30, (10, 20), rates=(15, 40), signal=0.1)
        loud = nc.labels(recording["task"]) == CONTEXTS[1]
        rng = np.random.default_rng(0)
        recording["rate"][loud] += 15 * rng.standard_normal((loud.sum(), 1)).astype(np.float32)
        block = sample(recording, match="tuning")
        for task in CONTEXTS:
            drawn, recorded = (
                mean_noise(x.isel(observation=nc.labels(x["task"]) == task))
                for x in (block, recording)
            )
            # gain noise grows with the network's own modulation of the rate
            assert (drawn / recorded).mean() == pytest.approx(1, abs=0.12)
        in_rate = sample(recording, match="rate")
        quiet = [mean_noise(x.isel(observation=~loud)).mean() for x in (in_rate, recording)]
        assert quiet[0] > 1.3 * quiet[1]  # the negative control: one noise for both tasks

    @pytest.mark.parametrize("match", ["rate", "tuning"])
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
        np.testing.assert_allclose(means[0], means[1], rtol=0.08)
        scatter = dispersion(block, conditions=LEVELS)  # its smoothing is in its provenance
        assert scatter["fano_factor"].mean().item() == pytest.approx(fano, abs=0.05)

    def test_negative_rates_are_no_rates_of_spikes(self):
        torch.manual_seed(0)
        signed = torch.nn.RNN(85, 8)
        recording = make_recording(10)
        with pytest.raises(NotApplicableError, match="rates of 0 or more, for equal rates"):
            sample(recording, network=signed, dt_ms=50, noise=False)
        block = sample(recording, network=signed, dt_ms=50, match="tuning", noise=False)
        share = block["negative_share"].values
        for unit in range(10):
            rows = block["observation_unit"].values == unit
            # the smoothing moves few rates across 0
            assert (block["rate"].values[rows] < 0).mean() == pytest.approx(share[unit], abs=0.15)

    def test_the_scale_of_a_network_does_not_matter(self):
        """Units are drawn by their variance relative to the others, since units of rate are free."""
        recording = make_recording(20)

        def rates(factor):
            torch.manual_seed(0)
            network = torch.nn.RNN(85, 8, nonlinearity="relu", bias=False)
            with torch.no_grad():
                network.weight_ih_l0.mul_(factor)
            return sample(recording, network=network, dt_ms=50, noise=False)["rate"].values

        loud, quiet = rates(1.0), rates(1e-4)
        np.testing.assert_allclose(loud, quiet, rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("match", ["rate", "tuning"])
    def test_several_draws_are_those_of_each_seed(self, match):
        recording, network, mapping = make_recording(), small_network(), read_mapping(table())
        recorded = RecordedTrials.of(recording, mapping)
        sampler = MatchedSampler(recorded, network_response(network, recorded, mapping))
        for seed in (3, 4):
            drawn = sampler.draw(seed, match=match)["sample"].to_dataset()
            once = sample(recording, network=network, seed=seed, match=match)
            xr.testing.assert_identical(drawn, once)

    def test_strength_of_mean_rates_is_that_of_rows_with_these_rates(self):
        recording = make_recording(8, (3, 7))
        recording["rate"][5, 10:] = np.nan
        recorded = RecordedTrials.of(recording, read_mapping(table()))
        rates = np.random.default_rng(0).random((8, recorded.table.sizes["condition"], 15))
        rows = rates[recorded.unit, recorded.condition]
        rows[np.isnan(recorded.block["rate"].values)] = np.nan
        block = recorded.block.copy(data={"rate": rows})
        twin = nc.selectivity.corrected_task_variance(block)["task_variance"].sum("task")
        np.testing.assert_allclose(recorded.strength_of(rates), twin, rtol=1e-6)

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
        how = {"match": "tuning", "dt_ms": 50, "name": "my GRU"}
        block = sample(make_recording(4), network=module, **how)
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
        with pytest.raises(InputError, match="match: expected one of rate, tuning, got 'signl'"):
            sample(recording, match="signl")
        with pytest.raises(InputError, match="pairing: expected one of random, rank, reversed"):
            sample(recording, pairing="sorted")
        with pytest.raises(InputError, match="seed: expected a whole number"):
            sample(recording, seed=-1)
        with pytest.raises(InputError, match="mapping of the recording's conditions.*'mante2013'"):
            sample_like(small_network(), recording)
        with pytest.raises(NotApplicableError, match="noisy rates in spikes/s"):
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
        with pytest.raises(NotApplicableError, match="the same bounds in every trial of a task"):
            sample(recording.assign_coords(epoch_stop_time=within))
        between = recording["epoch_stop_time"].copy()
        between[nc.labels(recording["task"]) == "contextdm1"] -= 0.1
        with pytest.raises(NotApplicableError, match="the same bounds in all tasks"):
            sample(recording.assign_coords(epoch_stop_time=between))

    def test_too_few_trials(self):
        recording = make_recording(2, (1, 2))
        with pytest.raises(NotApplicableError, match="at least 2 wholly observed trials"):
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
        with pytest.raises(
            NotApplicableError, match="at least 2 trials in every condition.*units .*n0"
        ):
            sample(lacking, coarse, match="tuning")
        sample(lacking, coarse, match="rate")

    def test_a_network_that_does_nothing(self):
        dead = Network(NetworkConfig(n_units=4, nonlinearity="relu"))
        with torch.no_grad():
            dead.bias.fill_(-100)
        with pytest.raises(
            NotApplicableError, match="units whose rates differ between.*none in 'network'"
        ):
            sample(make_recording(2), network=dead)


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
