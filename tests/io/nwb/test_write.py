"""NWB, the writing side: every layout goes round, spikes are what they claim, archives agree."""

from __future__ import annotations

import json
import tracemalloc
import warnings

import h5py
import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import assume, given, settings, strategies as st

import nwbcompare as nc
from nwbcompare.core.files import sha256_of_file
from nwbcompare.core.lazy import lazy_variable
from nwbcompare.io import inspect_nwb, open_nwb, write_nwb
from nwbcompare.io.nwb.metadata import checked_metadata, read_metadata
from nwbcompare.io.nwb.spike_counts import event_column
from nwbcompare.testing import assert_same_activity, dense_blocks, example_block, ragged_blocks

ANIMAL = {
    "Subject": {"species": "Macaca mulatta", "age": "P6Y"},
    "NWBFile": {"session_start_time": "2009-03-13T00:00:00+00:00"},
}


def write(activity, path, **options):
    """Write where drawn names may earn suggestions from the inspector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return write_nwb(activity, path, **options)


def starts_all_at_once(block):
    """Return whether the inspector would refuse the epochs' table: see test_nwb."""
    return (
        block["rate"].shape[0] == 1
        and "epoch" in block.sizes
        and block["epoch_stop_time"][0, 0] == 0
    )


def counted(seed=0, *, ragged=True, missing=False):
    """A recording of whole counts: 3 units, of which two share their trials."""
    rng = np.random.default_rng(seed)
    n_trials = 6
    side = np.tile([0, 1], n_trials)[:n_trials]
    counts = rng.poisson(1.5, (3, n_trials, 8))
    rate = (counts / 0.05).astype(np.float32)
    if missing:
        rate[0, 1, 5:] = np.nan
        rate[1, 1, 5:] = np.nan
        rate[2, 3, 2:4] = np.nan
    if not ragged:
        return block_of(rate.transpose(1, 2, 0), {"task": ["go"] * n_trials, "side": side})
    columns = {
        "task": ["go", "stop"] * (3 * n_trials // 2),
        "side": np.concatenate([side, side, 1 - side]),
        "correct": np.tile([True, False, True], n_trials),
    }
    columns["correct"] = np.concatenate([np.arange(n_trials) % 2 == 0] * 3)
    return block_of(
        rate.reshape(-1, 8), columns, observation_unit=np.repeat(np.arange(3), n_trials)
    )


def block_of(rate, columns, **options):
    return nc.make_block(
        rate,
        time_s=0.1 + (np.arange(8) + 0.5) * 0.05,
        bin_width_s=0.05,
        aligned_to="dots onset",
        trials=columns,
        units={"unit": ["a", "b", "c"], "area": ["PFC"] * 3, "subject": ["monkey A"] * 3},
        condition_variables={"go": ["side"], "stop": ["side"]},
        epochs={"stim1": (0.1, 0.5)},
        source="recording",
        name="counted",
        **options,
    )


# ---- rates of every layout


@settings(max_examples=6)
@given(ragged_blocks())
def test_drawn_ragged_recordings_go_round(tmp_path_factory, block):
    assume(not starts_all_at_once(block))
    path = tmp_path_factory.mktemp("nwb") / "ragged.nwb"
    activity = nc.make_activity({"leaf": block})
    write(activity, path, metadata=ANIMAL)
    assert_same_activity(activity, open_nwb(path).map_over_datasets(xr.Dataset.load))


def test_dense_and_ragged_blocks_of_one_activity_go_round(tmp_path):
    ragged = counted()
    dense = counted(ragged=False).assign_coords(
        unit_key=("unit", np.arange(3, dtype=np.int32)), correct=("trial", [True] * 6)
    )
    dense = dense.assign_coords(task=dense["task"].assign_attrs(categories='["wait"]'))
    dense.attrs["condition_variables"] = json.dumps({"wait": []})
    activity = nc.make_activity({"first": ragged, "second": dense})
    path = write(activity, tmp_path / "mixed.nwb", metadata=ANIMAL)
    assert_same_activity(activity, open_nwb(path))
    with h5py.File(path) as file:
        module = file["processing/misc"]
        assert {"firing_rate", "observed_firing_rate", "recorded_units"} <= set(module)
        assert module["observed_firing_rate/data"].shape == (18 * 8, 1)
        # the ragged series begins where the dense one ends
        step = 0.05
        first = module["firing_rate/starting_time"][()]
        assert module["observed_firing_rate/starting_time"][()] == pytest.approx(
            first + 6 * 8 * step
        )


@settings(max_examples=6)
@given(dense_blocks(), st.sampled_from(["gzip", "none"]))
def test_compression_changes_no_bit(tmp_path_factory, block, compression):
    assume(not starts_all_at_once(block))
    path = tmp_path_factory.mktemp("nwb") / "x.nwb"
    activity = nc.make_activity({"leaf": block})
    write(activity, path, compression=compression)
    assert_same_activity(activity, open_nwb(path))


DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "U"]


@pytest.mark.parametrize("ragged", [False, True])
def test_columns_of_every_type_come_back_as_they_were(tmp_path, ragged):
    def column(dtype, size):
        if dtype == "U":
            return np.array(["é", "", '{"a": 1}', "日本", "12"])[:size]
        return np.array([0, 1, 1, 0, 1])[:size].astype(dtype)

    units = {"unit": ["a", "1", "é"]} | {f"u_{d}".replace("?", "b"): column(d, 3) for d in DTYPES}
    trials = {"task": ["go"] * 5} | {f"t_{d}".replace("?", "b"): column(d, 5) for d in DTYPES}
    trials["t_nan"] = np.array([np.nan, 1, 2, np.nan, np.inf])
    block = nc.make_block(
        np.arange(10.0).reshape(5, 2) if ragged else np.arange(30.0).reshape(5, 2, 3),
        time_s=[0.01, 0.03],
        bin_width_s=0.02,
        aligned_to="cue",
        trials=trials,
        units=units,
        observation_unit=[0, 1, 2, 2, 0] if ragged else None,
        condition_variables={"go": ["t_U"]},
        source="model",
        name="every type",
    )
    activity = nc.make_activity({"leaf": block})
    assert_same_activity(activity, open_nwb(write(activity, tmp_path / "x.nwb")))


def test_many_chunks_hold_what_was_written_in_order(tmp_path):
    rng = np.random.default_rng(0)
    rate = rng.random((300, 11, 70), dtype=np.float32)
    block = network_block(rate)
    path = write_nwb(block, tmp_path / "x.nwb")
    with h5py.File(path) as file:
        data = file["processing/misc/hidden_rate/data"]
        assert data.chunks < data.shape
        np.testing.assert_array_equal(data[:], rate.reshape(-1, 70))
    opened = open_nwb(path)["net"]["rate"]
    np.testing.assert_array_equal(
        opened[[250, 3, 4]][:, ::-2, [69, 0, 7]], rate[[250, 3, 4]][:, ::-2][:, :, [69, 0, 7]]
    )


def test_float16_keeps_three_digits_and_refuses_what_it_cannot_hold(tmp_path):
    block = example_block()
    path = write_nwb(block, tmp_path / "half.nwb", dtype="float16")
    opened = open_nwb(path)["example"]["rate"]
    assert opened.dtype == np.float32
    np.testing.assert_allclose(opened, block["rate"], rtol=1e-3)
    assert not np.array_equal(opened, block["rate"])
    large = block.assign(rate=block["rate"] * np.float32(1e5))
    with pytest.raises(nc.InputError, match="values up to 65504, which float16 can hold"):
        write_nwb(large, tmp_path / "large.nwb", dtype="float16")
    assert [p.name for p in tmp_path.iterdir()] == ["half.nwb"]


def test_words_that_are_no_storage_are_refused(tmp_path):
    with pytest.raises(nc.InputError, match="dtype: expected one of float32, float16"):
        write_nwb(example_block(), tmp_path / "x.nwb", dtype="float64")
    with pytest.raises(nc.InputError, match="compression: expected one of gzip, none"):
        write_nwb(example_block(), tmp_path / "x.nwb", compression="lzf")


def network_block(rate, **options):
    n_trials, n_bins, n_units = rate.shape
    return nc.make_block(
        rate,
        time_s=(np.arange(n_bins) + 0.5) * 0.02,
        bin_width_s=0.02,
        aligned_to="trial start",
        trials={"task": ["go"] * n_trials, "side": np.arange(n_trials) % 2},
        units={"unit": [f"h{i}" for i in range(n_units)]},
        condition_variables={"go": ["side"]},
        source="model",
        name="net",
        **options,
    )


def lazily_tiled(n_trials):
    """A file-backed block whose rates exist only where they are looked at."""

    def read(trials, times, units):
        values = np.zeros((trials.size, times.size, units.size), dtype=np.float32)
        values += trials[:, None, None]
        return values

    rate = lazy_variable(("trial", "time", "unit"), (n_trials, 50, 64), read)
    return network_block(rate)


def test_memory_does_not_grow_with_the_number_of_trials(tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.io.nwb.write.refuse_faults", lambda *_: None)
    peaks = []
    for n_trials in (1500, 1500, 15_000):
        block = lazily_tiled(n_trials)
        tracemalloc.start()
        path = write_nwb(block, tmp_path / "x.nwb", overwrite=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    with h5py.File(path) as file:
        data = file["processing/misc/hidden_rate/data"]
        assert data[-1, 0] == 14_999
        assert data.size * 4 > 190e6
    assert peaks[2] < 60e6
    # what grows is the tables: a few hundred bytes a trial
    assert peaks[2] - peaks[1] < 13_500 * 1000


# ---- recorded spikes


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_whole_counts_become_spikes_and_come_back(tmp_path, ragged, missing):
    block = counted(ragged=ragged, missing=missing)
    path = write(block, tmp_path / "x.nwb", spikes="counts", metadata=ANIMAL)
    faults = [m for m in inspect_nwb(path) if "SUGGESTION" not in m]
    # true of bins of 50 ms, if unusual
    assert [m.split(": ")[1] for m in faults] == ["check_units_resolution_is_valid"]
    opened = nc.open(path)["counted"].to_dataset()
    np.testing.assert_array_equal(opened["rate"], block["rate"])
    for name in ("task", "side", "epoch_start_time", "epoch_stop_time"):
        np.testing.assert_array_equal(opened[name], block[name])
        assert opened[name].dtype == block[name].dtype
    assert opened["time"].attrs["aligned_to"] == "dots onset"
    assert opened.attrs["name"] == "counted"
    if not ragged and not missing:
        # a file has a session, and units then know theirs
        variance = nc.task_variance(opened)["task_variance"].drop_vars("session")
        xr.testing.assert_equal(variance, nc.task_variance(block)["task_variance"])


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_drawn_counts_come_back(tmp_path_factory, seed, n_units, n_trials, shared):
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(n_units), n_trials)
    rate = rng.integers(0, 4, (unit.size, 4)).astype(np.float32) * 100
    rate[rng.random(rate.shape) < 0.2] = np.nan
    rate[::n_trials, 0] = 100
    columns = {"task": ["go"] * unit.size, "side": rng.integers(0, 2, unit.size)}
    if shared:
        columns["observation_trial"] = np.tile(np.arange(n_trials), n_units)
        columns["side"] = np.tile(columns["side"][:n_trials], n_units)
    block = nc.make_block(
        rate,
        time_s=np.arange(4) * 0.01 - 0.015,
        bin_width_s=0.01,
        aligned_to="go cue",
        trials=columns,
        units={"unit": [f"u{i}" for i in range(n_units)]},
        observation_unit=unit,
        condition_variables={"go": ["side"]},
        source="recording",
        name="drawn",
    )
    path = tmp_path_factory.mktemp("nwb") / "x.nwb"
    write(block, path, spikes="counts", metadata=ANIMAL)
    opened = nc.open(path)["drawn"]
    kept = np.isfinite(rate).any(axis=1)
    if "observation" in opened.dims:
        np.testing.assert_array_equal(opened["rate"], rate[kept])
    else:
        dense = rate.reshape(n_units, n_trials, 4)
        np.testing.assert_array_equal(opened["rate"].transpose("unit", "trial", "time"), dense)


def test_units_with_one_trial_table_share_their_trials(tmp_path):
    block = counted()
    path = write(block, tmp_path / "x.nwb", spikes="counts", metadata=ANIMAL)
    with h5py.File(path) as file:
        trials, units = file["intervals/trials"], file["units"]
        assert trials["start_time"].shape == (12,)
        np.testing.assert_allclose(np.diff(trials["start_time"]), 0.5)
        assert list(units["trial_group"].asstr()) == ["group 0", "group 0", "group 1"]
        assert units["spike_times"].attrs["resolution"] == 0.05
        stops = units["obs_intervals_index"][:]
        first, third = units["obs_intervals"][: stops[0]], units["obs_intervals"][stops[1] :]
        assert first[-1, 1] <= trials["stop_time"][5] + 1e-9
        assert third[0, 0] >= trials["start_time"][6]
        # the window begins 0.1 s after the event
        np.testing.assert_allclose(first[0], [0.1, 0.5])
        assert list(trials["dots_onset_time"]) == list(trials["start_time"])
    apart = block.assign_coords(observation_trial=("observation", np.arange(18)))
    path = write(apart, tmp_path / "apart.nwb", spikes="counts", metadata=ANIMAL)
    with h5py.File(path) as file:
        assert file["intervals/trials/start_time"].shape == (18,)


def test_other_bins_can_be_asked_for_or_made_the_default(tmp_path):
    block = counted()
    reading = {"bin": 0.1, "smooth": 0.05}
    path = write(block, tmp_path / "x.nwb", spikes="counts", metadata=ANIMAL, reading=reading)
    opened = nc.open(path)["counted"].to_dataset()
    # the ends of the window are where the recording ends: padded, as smoothing does it
    expected = nc.smooth(nc.rebin(block, 0.1), 0.05)
    np.testing.assert_allclose(opened["rate"], expected["rate"], rtol=1e-6)
    finer = nc.open(path, bin=0.05, smooth=0)["counted"]
    np.testing.assert_array_equal(finer["rate"], block["rate"])


def test_what_cannot_become_spikes_is_refused(tmp_path):
    path = tmp_path / "x.nwb"
    options = {"spikes": "counts", "metadata": ANIMAL}
    with pytest.raises(nc.InputError, match="rates that are whole counts per bin"):
        write_nwb(nc.smooth(counted(), 0.05), path, **options)
    negative = counted()
    with pytest.raises(nc.InputError, match="rates that are whole counts per bin, got -"):
        write_nwb(negative.assign(rate=-negative["rate"]), path, **options)
    two = nc.make_activity({"a": counted(), "b": counted()})
    for leaf in ("b",):
        two[leaf] = (
            two[leaf]
            .to_dataset()
            .assign_coords(task=two[leaf]["task"].assign_attrs(categories='["x", "y"]'))
            .assign_attrs(condition_variables='{"x": [], "y": []}')
        )
    with pytest.raises(nc.InputError, match="expected one block, got a, b"):
        write_nwb(two, path, **options)
    with pytest.raises(nc.InputError, match="reading: expected None unless spikes='counts'"):
        write_nwb(example_block(), path, reading={"bin": 0.1})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("event", "column"),
    [
        ("Go Cue", "go_cue_time"),
        ("ready time", "ready_time"),
        ("start_time", "event_time"),
        ("日", "event_time"),
    ],
)
def test_the_events_column_is_named_after_it(event, column):
    block = xr.Dataset(coords={"time": ("time", [0.1], {"aligned_to": event})})
    assert event_column(block) == column


def test_a_recording_needs_what_nobody_can_guess(tmp_path):
    with pytest.raises(nc.InputError, match=r"Subject.species, Subject.age, NWBFile.session_start"):
        write_nwb(counted(), tmp_path / "x.nwb")
    simulated = counted().assign_attrs(provenance='{"simulated": true}')
    path = write_nwb(simulated, tmp_path / "x.nwb")
    with h5py.File(path) as file:
        assert file["general/subject/species"].asstr()[()].endswith("NCBITaxon_32630")


def timed(*, gap):
    """A recording read on a session's own clock, with windows that may overlap."""
    start = np.arange(4) * gap + 1.0
    rng = np.random.default_rng(0)
    return nc.from_arrays(
        spikes=[np.sort(rng.uniform(0.5, 5 + 4 * gap, 200)) for _ in range(3)],
        trials={
            "start_time": start,
            "stop_time": start + 0.4,
            "cue_time": start + 0.1,
            "task": ["go"] * 4,
            "side": [0, 1, 0, 1],
        },
        align="cue_time",
        window=(-0.2, 0.4),
        bin=0.01,
        conditions=["side"],
        name="timed",
    )


@pytest.mark.parametrize("gap", [0.5, 0.6])
def test_a_trial_in_which_nothing_was_recorded_comes_back_as_nan(tmp_path, gap):
    block = timed(gap=gap)["timed"].to_dataset().load()
    block["rate"].values[2] = np.nan
    block["rate"].values[3, 7:, 1] = np.nan
    path = write(block, tmp_path / "x.nwb", spikes="counts", metadata=ANIMAL)
    with pytest.warns(UserWarning, match="1 of 4 trials were recorded in no bin: row 2"):
        opened = nc.open(path)["timed"].to_dataset()
    assert opened["rate"].dims == ("trial", "time", "unit")
    np.testing.assert_array_equal(opened["rate"], block["rate"])


def test_trials_keep_their_times_in_the_session_where_no_two_overlap(tmp_path):
    activity = timed(gap=0.6)
    path = write(activity, tmp_path / "x.nwb", spikes="counts", metadata=ANIMAL)
    with h5py.File(path) as file:
        trials = file["intervals/trials"]
        np.testing.assert_allclose(trials["start_time"], np.arange(4) * 0.6 + 1)
        np.testing.assert_allclose(trials["cue_time"], np.arange(4) * 0.6 + 1.1)
        assert trials.attrs["description"] == "Trials, at their times in the session."
    opened = nc.open(path)["timed"].to_dataset()
    xr.testing.assert_allclose(
        opened["rate"].drop_vars(opened["rate"].coords),
        activity["timed"]["rate"].drop_vars(activity["timed"]["rate"].coords),
    )
    np.testing.assert_array_equal(opened["cue_time"], activity["timed"]["cue_time"])
    # the same session aligned to another of its events, and wider than it was cut
    start = nc.open(path, align="start_time", window=(-0.1, 0.5), bin=0.1)["timed"]
    np.testing.assert_allclose(
        start["rate"], nc.rebin(activity["timed"].to_dataset(), 0.1)["rate"], rtol=1e-5
    )


def test_trials_whose_windows_overlap_are_laid_end_to_end(tmp_path):
    activity = timed(gap=0.5)
    path = write(activity, tmp_path / "x.nwb", spikes="counts", metadata=ANIMAL)
    opened = nc.open(path)["timed"]
    np.testing.assert_array_equal(opened["rate"], activity["timed"]["rate"])
    for name in ("start_time", "stop_time", "cue_time"):
        np.testing.assert_array_equal(opened[name], activity["timed"][name])
    with h5py.File(path) as file:
        trials = file["intervals/trials"]
        np.testing.assert_allclose(np.diff(trials["start_time"]), 0.6)
        np.testing.assert_array_equal(trials["cue_time_of_source"], activity["timed"]["cue_time"])
        about = trials.attrs["description"]
    assert (
        about
        == "Trials, laid end to end: their true times are not known, or their windows overlap."
    )


def test_columns_with_names_of_the_trials_table_come_back_with_rates(tmp_path):
    activity = timed(gap=0.6)
    path = write(activity, tmp_path / "x.nwb", metadata=ANIMAL)
    assert_same_activity(activity, open_nwb(path))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(
            file["intervals/trials/start_time_of_source"], activity["timed"]["start_time"]
        )


# ---- Poisson spikes


def spiking(tmp_path, rate, **options):
    block = network_block(np.asarray(rate, dtype=np.float32))
    spikes = nc.io.PoissonSpikes(**({"gain": 20.0, "seed": 0} | options))
    path = write_nwb(block, tmp_path / "s.nwb", spikes=spikes, overwrite=True)
    with h5py.File(path) as file:
        stops = file["units/spike_times_index"][:].astype(int)
        trains = np.split(file["units/spike_times"][:], stops[:-1])
        intervals = file["units/obs_intervals"][:]
        index = file["units/obs_intervals_index"][:].astype(int)
    return path, trains, np.split(intervals, index[:-1])


def test_poisson_spikes_have_the_rates_counts_and_variance(tmp_path):
    rate = np.broadcast_to(np.linspace(0, 2, 50)[:, None] * [1.0, 0.5, 0.0], (400, 50, 3))
    path, trains, _ = spiking(tmp_path, rate)
    assert [m for m in inspect_nwb(path) if "SUGGESTION" not in m] == []
    spikes = nc.open(path, series="units", window=(0, 1), bin=0.02)["net"]["rate"].values * 0.02
    expected = rate[0] * 20 * 0.02
    n = 400
    # four standard errors of a Poisson mean; of its variance
    assert (np.abs(spikes.mean(0) - expected) <= 4 * np.sqrt(expected / n) + 1e-6).all()
    fano = spikes[:, 25:, :2].var(0) / expected[25:, :2]
    assert abs(fano.mean() - 1) < 0.03
    assert trains[2].size == 0
    # spikes lie evenly inside their bins
    places = trains[0] / 0.02 % 1
    assert abs(places.mean() - 0.5) < 4 / np.sqrt(12 * places.size)


def test_spikes_depend_on_the_seed_and_not_on_other_units_or_pieces(tmp_path, monkeypatch):
    rate = np.random.default_rng(0).random((40, 50, 3))
    _, first, _ = spiking(tmp_path, rate)
    _, again, _ = spiking(tmp_path, rate)
    _, alone, _ = spiking(tmp_path, rate[:, :, :1])
    _, other, _ = spiking(tmp_path, rate, seed=1)
    monkeypatch.setattr("nwbcompare.io.nwb.poisson_spikes.ROWS_AT_ONCE", 7)
    _, pieces, _ = spiking(tmp_path, rate)
    for one, two, three in zip(first, again, pieces, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
    np.testing.assert_array_equal(first[0], alone[0])
    assert not np.array_equal(first[0][:20], other[0][:20])
    assert not np.array_equal(first[0][:20], first[1][:20])


def test_what_was_not_observed_has_no_spikes_and_says_so(tmp_path):
    rate = np.full((4, 10, 2), 50.0)
    rate[1, 6:] = np.nan
    path, trains, intervals = spiking(tmp_path, rate)
    np.testing.assert_allclose(intervals[0], [[0, 0.32], [0.4, 0.8]])
    assert not ((trains[0] > 0.32) & (trains[0] < 0.4)).any()
    opened = nc.open(path, series="units", window=(0, 0.2), bin=0.02)["net"]["rate"]
    np.testing.assert_array_equal(np.isnan(opened), np.isnan(rate))


def test_spikes_of_negative_rates_or_ragged_blocks_are_refused(tmp_path):
    with pytest.raises(nc.InputError, match="export it without spikes"):
        spiking(tmp_path, np.full((2, 3, 1), -1.0))
    with pytest.raises(nc.InputError, match="dense blocks to draw spikes for"):
        write_nwb(
            counted(),
            tmp_path / "x.nwb",
            metadata=ANIMAL,
            spikes=nc.io.PoissonSpikes(gain=1.0, seed=0),
        )
    with pytest.raises(nc.InputError, match="gain: expected spikes/s above 0"):
        nc.io.PoissonSpikes(gain=0.0, seed=0)
    with pytest.raises(nc.InputError, match="seed: expected a whole number of 0 or more"):
        nc.io.PoissonSpikes(gain=1.0, seed=-1)
    assert not list(tmp_path.glob("*.nwb"))


# ---- tables, metadata, folders


def test_task_variance_is_kept_with_the_units(tmp_path):
    block = example_block()
    variance = nc.task_variance(block)
    path = write_nwb(block, tmp_path / "x.nwb", task_variance=variance)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(
            file["processing/misc/hidden_units/task_variance_go"],
            variance["task_variance"].sel(task="go"),
        )
    assert_same_activity(nc.make_activity({"example": block}), open_nwb(path))
    with pytest.raises(nc.InputError, match="of this activity"):
        write_nwb(block, tmp_path / "y.nwb", task_variance=variance.isel(unit=[0, 1]))


def test_metadata_comes_from_files_and_counts_more_than_defaults(tmp_path):
    toml, yml = tmp_path / "m.toml", tmp_path / "m.yaml"
    toml.write_text(
        '[NWBFile]\nlab = "Our lab"\nkeywords = "one"\nsession_start_time = 2020-01-02T03:04:05Z\n'
        '[Subject]\nsubject_id = "net-7"\n'
    )
    yml.write_text(yaml.safe_dump(json.loads(json.dumps(read_metadata(toml), default=str))))
    assert read_metadata(yml) == read_metadata(toml)
    path = write_nwb(example_block(), tmp_path / "x.nwb", metadata=read_metadata(toml))
    with h5py.File(path) as file:
        assert file["general/lab"].asstr()[()] == "Our lab"
        assert file["general/subject/subject_id"].asstr()[()] == "net-7"
        assert file["general/subject/age"].asstr()[()] == "P0D"
        assert file["session_start_time"].asstr()[()].startswith("2020-01-02T03:04:05")


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ({"NWBfile": {}}, "Did you mean 'NWBFile'"),
        ({"Subject": {"specis": "x"}}, "Did you mean 'species'"),
        ({"Subject": "mouse"}, "table: expected one of NWBFile, Subject"),
        ([], "expected tables NWBFile and Subject, got list"),
        ({"NWBFile": {"session_start_time": "2020-01-02"}}, "a time with its zone"),
        ({"NWBFile": {"session_start_time": "yesterday"}}, "a time with its zone"),
        (
            {"NWBFile": {"keywords": None}},
            "keywords: expected a text, or a list of texts, got None",
        ),
        ({"NWBFile": {"keywords": []}}, r"keywords: expected a text, or a list of texts, got \[\]"),
        ({"NWBFile": {"keywords": [["a"]]}}, "keywords: expected a text, or a list of texts"),
        ({"Subject": {"species": {}}}, "species: expected a text, got {}"),
        ({"Subject": {"species": "a\0b"}}, "species: expected text without the character NUL"),
    ],
)
def test_wrong_metadata_is_refused_before_any_work(metadata, match):
    with pytest.raises(nc.InputError, match=match):
        checked_metadata(metadata)


def test_files_that_are_no_metadata_are_refused(tmp_path):
    with pytest.raises(nc.InputError, match="a file ending in .toml, .yaml or .yml"):
        read_metadata(tmp_path / "gone.toml")
    for name, text in (
        ("bad.toml", "= 3"),
        ("bad.yaml", "{"),
        ("tag.yaml", "!!python/object:os.system {}"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(nc.InputError, match=f"{name}.*: expected a (TOML or )?YAML file"):
            read_metadata(tmp_path / name)


def two_tasks():
    block = example_block()
    other = block.assign_coords(task=block["task"].assign_attrs(categories='["stop"]'))
    other.attrs["condition_variables"] = '{"stop": ["direction"]}'
    return nc.make_activity({"go": block, "stop": other})


def test_a_dandiset_is_laid_out_and_described(tmp_path):
    folder = tmp_path / "set"
    (path,) = nc.io.write_dandiset(
        two_tasks(), folder, metadata={"Subject": {"subject_id": "net_1"}}
    )
    assert path == folder / "sub-net-1" / "sub-net-1_ses-example.nwb"
    about = yaml.safe_load((folder / "dandiset.yaml").read_text())
    assert about["name"] == "set"
    assert about["description"].startswith("Simulated")
    (folder / "dandiset.yaml").write_text("mine")
    nc.io.write_dandiset(two_tasks(), folder, metadata={"Subject": {"subject_id": "b"}})
    assert (folder / "dandiset.yaml").read_text() == "mine"
    with pytest.raises(nc.InputError, match="overwrite=True"):
        nc.io.write_dandiset(two_tasks(), folder, metadata={"Subject": {"subject_id": "b"}})


def test_files_by_task_open_as_one_activity(tmp_path):
    activity = two_tasks()
    paths = nc.io.write_dandiset(activity, tmp_path / "set", per_task=True)
    assert [p.name for p in paths] == [
        "sub-example_ses-example-go.nwb",
        "sub-example_ses-example-stop.nwb",
    ]
    assert_same_activity(activity, nc.open(tmp_path / "set"))
    assert_same_activity(activity, nc.open(paths))


def test_sessions_that_would_share_a_file_are_refused(tmp_path):
    activity = two_tasks()
    renamed = xr.DataTree.from_dict(
        {"/a b": activity["go"].to_dataset(), "/a-b": activity["stop"].to_dataset()}
    )
    with pytest.raises(nc.InputError, match="one session for each file"):
        nc.io.write_dandiset(renamed, tmp_path / "set", per_task=True)


def test_a_sidecar_holds_the_network_and_is_tied_by_its_digest(tmp_path):
    from nwbcompare.model import Network, NetworkConfig, load, save_run
    from nwbcompare.model.checkpoint import write_sidecar

    network = Network(NetworkConfig(n_units=4), name="net")
    run = save_run(network, tmp_path / "net")
    sidecar = write_sidecar(run, tmp_path / "own.safetensors")
    path = write_nwb(example_block(), tmp_path / "x.nwb", sidecar=sidecar)
    beside = tmp_path / "x.safetensors"
    with h5py.File(path) as file:
        notes = file["general/notes"].asstr()[()]
    assert notes == f"Configuration and weights: x.safetensors, SHA-256 {sha256_of_file(beside)}."
    loaded = load(beside)
    assert loaded.config == network.config
    for name, value in network.state_dict().items():
        assert value.equal(loaded.state_dict()[name])
    path.unlink()
    # the same weights may be there, left by an export that was killed; others not
    write_nwb(example_block(), path, sidecar=sidecar)
    path.unlink()
    beside.write_bytes(b"other weights")
    with pytest.raises(nc.InputError, match=r"x.safetensors: expected a path that does not exist"):
        write_nwb(example_block(), path, sidecar=sidecar)
    assert beside.read_bytes() == b"other weights"
    with pytest.raises(nc.InputError, match="sidecar: expected a file"):
        write_nwb(example_block(), tmp_path / "y.nwb", sidecar=tmp_path / "gone")


def test_a_sidecar_without_configuration_is_refused(tmp_path):
    from safetensors.numpy import save_file

    from nwbcompare.model import load

    save_file({"w": np.zeros(2, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(nc.InputError, match="weights with their configuration, got weights alone"):
        load(tmp_path / "w.safetensors")
    (tmp_path / "v.safetensors").write_bytes(b"nothing")
    with pytest.raises(nc.InputError, match="a damaged file"):
        load(tmp_path / "v.safetensors")


def test_pynapple_opens_our_files_with_every_trial_column(tmp_path):
    import pynapple as nap

    activity = two_tasks()
    path = write_nwb(activity, tmp_path / "x.nwb", spikes=nc.io.PoissonSpikes(gain=20, seed=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = nap.load_file(str(path))
        rates, trials, units = file["hidden_rate"], file["trials"], file["units"]
    assert rates.shape == (2 * 8 * 5, 3)
    with h5py.File(path) as opened:
        every = set(opened["intervals/trials"]) - {"id", "start_time", "stop_time"}
    columns = {"task", "direction", "correct", "fix1_time", "stim1_time"}
    assert every == columns == set(trials.metadata_columns)
    np.testing.assert_array_equal(trials["task"], ["go"] * 8 + ["stop"] * 8)
    fifth = rates.restrict(trials[4])
    np.testing.assert_allclose(fifth.values, activity["go"]["rate"][4], rtol=1e-6)
    assert len(units) == 3
    file.io.close()
