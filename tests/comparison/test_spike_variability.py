"""Scatter and gain of recorded spikes: simulated truth, bounds, refusals."""

import json

import numpy as np
import pytest
import xarray as xr
from context_recordings import LEVELS, SMOOTH_S, WIDTH, as_dense, make_recording

import nwbcompare as nc
import nwbcompare.comparison.protocol_mapping
from nwbcompare.comparison.kernels.spike_variability import FANO_FLOOR, moment_dispersion
from nwbcompare.comparison.spike_variability import dispersion
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning
from nwbcompare.kernels.binning import smoothing_matrix


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
        with pytest.raises(NotApplicableError, match="noisy rates in spikes/s, got noise-free"):
            dispersion(block.assign_attrs(deterministic=1))
        single = block.assign_coords(number=("observation", np.arange(block.sizes["observation"])))
        with pytest.raises(NotApplicableError, match="at least 2 wholly observed trials.*n0, n1"):
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
