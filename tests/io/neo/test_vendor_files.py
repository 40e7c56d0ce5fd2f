"""Vendor files: real bytes through neo's real readers, and what is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import sys

import neo
import numpy as np
import pytest
import quantities as pq
from neo.io import NixIO

import nwbcompare as nc
from nwbcompare.io import open_vendor, to_neo
from nwbcompare.testing import example_block

CLOCK_HZ = 40_000
SLOW_HZ = 1000
STROBED = 257


def plx_bytes(units, strobes, slow=None):
    """Return a file's bytes.

    units: for each (channel, unit) its spike times (s). strobes: pairs of a time (s) and a word.
    slow: samples (int16) of one continuous channel at 1 kHz from 0 s.
    """
    channels = sorted({channel for channel, _ in units})
    blocks = [
        (round(time * CLOCK_HZ), 1, channel, unit, b"")
        for (channel, unit), times in units.items()
        for time in times
    ]
    blocks += [(round(time * CLOCK_HZ), 4, STROBED, word, b"") for time, word in strobes]
    if slow is not None:
        blocks.append((0, 5, 0, 0, struct.pack(f"<{len(slow)}h", *slow)))
    blocks.sort(key=lambda block: block[:4])
    last = blocks[-1][0] if blocks else 0
    header = struct.pack(
        "<Ii128s14id4B3H18s18s10s",
        0x58454C50,
        106,
        b"written by hand",
        CLOCK_HZ,
        len(channels),
        1,
        0 if slow is None else 1,
        32,
        8,
        *(2026, 11, 24, 12, 0, 0),
        0,
        CLOCK_HZ,
        float(last),
        *(1, 1, 12, 12),
        *(3000, 5000, 1000),
        b"test",
        b"test",
        b"",
    ) + bytes(4 * (650 + 650 + 512))
    assert len(header) == 7504
    for channel in channels:
        header += struct.pack(
            "<32s32s9i640s5ii80si128sBBH40s",
            f"sig{channel:03d}".encode(),
            b"",
            *(channel, 0, channel, 0, 1000, 0, 0, 1, 4),
            b"",
            *(0, 0, 0, 0, 0),
            0,
            b"",
            0,
            b"",
            *(0, 0, channel),
            b"",
        )
    header += struct.pack("<32si128sBBH128s", b"Strobed", STROBED, b"", 0, 0, STROBED, b"")
    if slow is not None:
        header += struct.pack(
            "<32s6i128sBBH108s", b"FP01", 0, SLOW_HZ, 1, 1, 1000, 0, b"", 0, 0, 0, b""
        )
    body = b"".join(
        struct.pack(
            "<HHIHHHH",
            kind,
            stamp >> 32,
            stamp & 0xFFFFFFFF,
            channel,
            unit,
            1 if data else 0,
            len(data) // 2,
        )
        + data
        for stamp, kind, channel, unit, data in blocks
    )
    return header + body


RNG = np.random.default_rng(0)
UNITS = {
    (1, 1): np.sort(RNG.uniform(0, 10, 200)),
    (1, 2): np.sort(RNG.uniform(0, 10, 100)),
    (4, 1): np.sort(RNG.uniform(0, 10, 50)),
}
START, CUE, STOP = 10, 15, 20
STROBES = [
    (0.5, 7),
    (1.0, START), (1.5, CUE), (3.0, STOP),
    (4.0, START), (6.0, STOP),
    (7.0, START), (7.25, CUE), (9.0, STOP),
    (10.0, 7),
]  # fmt: skip
SLOW = (np.arange(10_000) % 1000).astype(int)
COLUMNS = {"task": ["go", "stop", "go"]}
OPTIONS = {
    "trials": {"start": "10", "stop": "20"},
    "events": {"cue_time": "15"},
    "columns": COLUMNS,
    "window": (-0.5, 1.0),
    "bin": 0.25,
}


@pytest.fixture
def plx(tmp_path):
    path = tmp_path / "day1.plx"
    path.write_bytes(plx_bytes(UNITS, STROBES, SLOW))
    return path


def histogram(times, origins, edges):
    ticks = np.round(np.asarray(times) * CLOCK_HZ) / CLOCK_HZ
    return np.array([np.histogram(ticks, origin + edges)[0] for origin in origins])


def test_a_plexon_file_with_strobed_trials(plx):
    activity = nc.check_activity(open_vendor(plx, **OPTIONS))
    block = activity["day1"].to_dataset()
    # channel 1 has two units of one name, so their ids tell them apart
    assert block["unit"].values.tolist() == ["ch1#1", "ch1#2", "ch4#1"]
    np.testing.assert_array_equal(block["start_time"], [1, 4, 7])
    np.testing.assert_array_equal(block["stop_time"], [3, 6, 9])
    np.testing.assert_array_equal(block["cue_time"], [1.5, np.nan, 7.25])
    assert nc.labels(block["task"]).tolist() == COLUMNS["task"]
    edges = -0.5 + np.arange(7) * 0.25
    for place, times in enumerate(UNITS.values()):
        expected = histogram(times, [1, 4, 7], edges) / 0.25
        np.testing.assert_array_equal(block["rate"][:, :, place], expected)
    file = json.loads(block.attrs["provenance"])["file"]
    digest = hashlib.sha256(plx.read_bytes()).hexdigest()
    assert file == {"name": "day1.plx", "reader": "PlexonIO", "sha256": digest}


def test_a_plexon_continuous_channel(plx):
    options = OPTIONS | {"signal": "FPl-Low Pass Filtered", "name": "lfp"}
    block = open_vendor(plx, **options)["lfp"]
    assert block["unit"].values.tolist() == ["FP01"]
    gain = 5000 / (0.5 * 2**12 * 1 * 1000)
    expected = SLOW[500:2000].reshape(6, 250).mean(1) * gain
    np.testing.assert_allclose(block["rate"][0, :, 0], expected, rtol=1e-5)
    # neo gives zeros where the last sample is asked for
    last = open_vendor(plx, **options | {"window": (2.0, 3.0)})["lfp"]["rate"].values[2, :, 0]
    np.testing.assert_allclose(last[:3], SLOW[9000:9750].reshape(3, 250).mean(1) * gain, rtol=1e-5)
    assert np.isnan(last[3])


def test_large_files_have_no_checksum(plx, monkeypatch):
    monkeypatch.setattr("nwbcompare.io.neo.vendor_files.MOST_HASHED_BYTES", 10)
    block = open_vendor(plx, **OPTIONS)["day1"]
    assert "sha256" not in json.loads(block.attrs["provenance"])["file"]


def nix(path, block):
    with NixIO(str(path), mode="ow") as file:
        file.write_block(block)
    return path


def test_a_nix_file_is_read_and_not_written_to(tmp_path):
    block = example_block()
    path = nix(tmp_path / "own.nix", to_neo(block))
    before = path.read_bytes()
    back = open_vendor(
        path, trials="segments", signal="rates", events={"event": "trial start"},
        align="event", window=(0, 0.5), bin=0.1, conditions=["direction"],
    )["example"].to_dataset()  # fmt: skip
    np.testing.assert_array_equal(back["rate"], block["rate"])
    for name in ("direction", "correct", "task"):
        np.testing.assert_array_equal(nc.labels(back[name]), nc.labels(block[name]))
        assert nc.labels(back[name]).dtype == nc.labels(block[name]).dtype
    assert back["area"].values.tolist() == ["A", "A", "B"]
    assert path.read_bytes() == before


def test_a_nix_file_with_spikes_and_epochs(tmp_path):
    segment = neo.Segment()
    for (channel, unit), times in UNITS.items():
        segment.spiketrains.append(
            neo.SpikeTrain(times * pq.s, t_stop=10 * pq.s, name=f"u{channel}{unit}", depth=channel)
        )
    segment.epochs.append(
        neo.Epoch(
            [1, 4, 7] * pq.s, [2, 2, 2] * pq.s, labels=["go", "stop", "go"], name="trials",
            array_annotations={"coherence": [0.1, 0.2, 0.4]},
        )
    )  # fmt: skip
    made = neo.Block(name="day 1")
    made.segments.append(segment)
    path = nix(tmp_path / "own.h5", made)
    block = open_vendor(path, trials="trials", task="label", bin=0.25)["day 1"].to_dataset()
    assert block["unit"].values.tolist() == ["u11", "u12", "u41"]
    assert block["depth"].values.tolist() == [1, 1, 4]
    assert block["coherence"].values.tolist() == [0.1, 0.2, 0.4]
    expected = np.histogram(UNITS[1, 1], 4 + np.arange(9) * 0.25)[0] / 0.25
    np.testing.assert_array_equal(block["rate"][1, :, 0], expected)
    with NixIO(str(path), mode="rw") as file:
        file.write_block(neo.Block(name="day 2"))
    with pytest.raises(nc.InputError, match="own.h5: expected a file with one block, got 2 blocks"):
        open_vendor(path, trials="trials")


def test_spike_trains_as_text(tmp_path):
    path = tmp_path / "spikes.txt"
    path.write_text("0.1\t0.2\t0.7\n0.3\t0.95\n")
    block = open_vendor(
        path, reader="AsciiSpikeTrainIO", trials="segments", window=(0, 0.5), bin=0.25,
        columns={"task": ["go"]},
    )["spikes"]  # fmt: skip
    assert block["unit"].values.tolist() == ["unit 0", "unit 1"]
    np.testing.assert_array_equal(block["rate"][0].T, [[8, 0], [0, 4]])


def test_a_brainware_file_with_a_segment_a_sweep(tmp_path):
    """Spike times in ms after -1 for each sweep, of conditions that start with -2."""
    numbers = [-2, 500, 1, 7, -1, 100, 300, -1, 200, -2, 500, 1, 8, -1, 450]
    (tmp_path / "cell.f32").write_bytes(np.array(numbers, "<f4").tobytes())
    block = open_vendor(
        tmp_path / "cell.f32", trials="segments", window=(0, 0.5), bin=0.25, task="Param0"
    )["cell"]
    assert block["rate"].values[:, :, 0].tolist() == [[4, 4], [4, 0], [0, 4]]
    assert nc.labels(block["task"]).tolist() == ["7.0", "7.0", "8.0"]


def test_what_is_not_for_neo_is_refused(tmp_path):
    for suffix in ("pkl", "pickle"):
        path = tmp_path / f"block.{suffix}"
        path.write_bytes(pickle.dumps(Trap()))
        with pytest.raises(nc.InputError, match="got a .pk?i?c?kle? file. Pickles execute code"):
            open_vendor(path, trials="trials")
        with pytest.raises(nc.InputError, match="Pickles execute code"):
            open_vendor(path, trials="trials", reader="PickleIO")
    (tmp_path / "renamed.nix").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(nc.InputError, match="reader: expected one of .*got 'PickleIO'"):
        open_vendor(tmp_path / "renamed.nix", reader="PickleIO")
    assert not hasattr(sys, "trapped")
    for name, remedy in (("a.nwb", "nwbcompare.open"), ("a.mat", "nwbcompare.from_mat")):
        (tmp_path / name).touch()
        with pytest.raises(nc.InputError, match=remedy):
            open_vendor(tmp_path / name)
    (tmp_path / "a.xyz").touch()
    with pytest.raises(nc.InputError, match="expected a file that neo reads: .*got a .xyz file"):
        open_vendor(tmp_path / "a.xyz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(nc.InputError, match="empty: expected a file that neo reads"):
        open_vendor(tmp_path / "empty")
    with pytest.raises(nc.InputError, match="nothing there"):
        open_vendor(tmp_path / "absent.plx")


class Trap:
    """Leaves a trace where it is unpickled."""

    def __reduce__(self):
        return exec, ("import sys; sys.trapped = True",)


@pytest.mark.parametrize("kept", [0, 100, 7503, 9000, -8])
def test_truncated_files_are_named(plx, kept):
    plx.write_bytes(plx.read_bytes()[:kept])
    with pytest.raises(nc.InputError, match="day1.plx: expected a file that neo can read, got one"):
        open_vendor(plx, **OPTIONS)


@pytest.mark.parametrize("name", ["day1.nev", "day1.nix", "day1.h5", "day1.plx", "day1.smr"])
def test_foreign_bytes_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(RNG.bytes(5000))
    with pytest.raises(nc.InputError, match=f"{name}: expected a file that neo can read"):
        open_vendor(tmp_path / name, trials="trials")
    assert len((tmp_path / name).read_bytes()) == 5000


def test_the_right_words_are_listed(plx):
    with pytest.raises(
        nc.InputError, match=r"Event \('Strobed'\), the label of events \('10', '15'"
    ):
        open_vendor(plx)
