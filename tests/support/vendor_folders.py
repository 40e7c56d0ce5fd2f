"""Folders of recording systems, written byte by byte as their programs write them."""

from __future__ import annotations

import struct

import numpy as np

NEURALYNX_HEADER = 2**14
RECORD = 512
"""Samples in a record of a .ncs file."""
RATE_HZ = 1024
"""Sampling rate, which makes a record last half a second."""


def _header(name, kind, **more):
    lines = [
        "######## Neuralynx Data File Header",
        rf"## File Name C:\CheetahData\2016-11-28_21-50-00\{name}",
        "## Time Opened (m/d/y): 11/28/2016  (h:m:s.ms) 21:50:33.322",
        "## Time Closed (m/d/y): 11/28/2016  (h:m:s.ms) 22:44:41.145",
        "-CheetahRev 5.6.3",
        f"-AcqEntName {name.split('.')[0]}",
        f"-FileType {kind}",
        "-RecordSize 1044",
        *(f"-{key} {value}" for key, value in more.items()),
    ]
    return "\r\n".join(lines).encode("latin-1").ljust(NEURALYNX_HEADER, b"\0")


def neuralynx(folder, signals, events, spikes, start_us=5_000_000):
    """Write a Neuralynx folder: .ncs files, one .nev and one .nse.

    signals: for each channel its samples (int16, a multiple of 512) at 1024 Hz, in microvolts.
    events: pairs of a time (s) and a text. spikes: for each unit its times (s).
    """
    folder.mkdir()
    for channel, samples in enumerate(signals):
        facts = {
            "SamplingFrequency": RATE_HZ,
            "ADBitVolts": 1e-6,
            "ADChannel": channel,
            "InputRange": 3000,
            "InputInverted": "False",
            "DspLowCutFilterType": "None",
        }
        data = _header(f"CSC{channel + 1}.ncs", "CSC", **facts)
        for record, part in enumerate(np.asarray(samples, dtype="<i2").reshape(-1, RECORD)):
            stamp = start_us + round(record * RECORD / RATE_HZ * 1e6)
            data += struct.pack("<QIII", stamp, channel, RATE_HZ, RECORD) + part.tobytes()
        (folder / f"CSC{channel + 1}.ncs").write_bytes(data)
    data = _header("Events.nev", "Event")
    for time, text in events:
        stamp = start_us + round(time * 1e6)
        data += struct.pack("<hhhQ", 0, 0, 0, stamp) + struct.pack("<5h", 4, 1, 0, 0, 0)
        data += bytes(32) + text.encode().ljust(128, b"\0")
    (folder / "Events.nev").write_bytes(data)
    facts = {"SamplingFrequency": 32000, "ADBitVolts": 1e-8, "ADChannel": 0, "WaveformLength": 32}
    data = _header("SE1.nse", "Spike", **facts)
    stamps = [(time, unit) for unit, times in spikes.items() for time in times]
    for time, unit in sorted(stamps):
        data += struct.pack("<QII", start_us + round(time * 1e6), 0, unit) + bytes(32 + 64)
    (folder / "SE1.nse").write_bytes(data)
    return folder


def phy(folder, clusters, labels, rate_hz=30000.0):
    """Write a folder of a spike sorter, as phy reads it: for each cluster its spike times (s)."""
    folder.mkdir()
    spikes = sorted((round(t * rate_hz), unit) for unit, times in clusters.items() for t in times)
    np.save(folder / "spike_times.npy", np.array([time for time, _ in spikes], dtype=np.uint64))
    of_spike = np.array([unit for _, unit in spikes], dtype=np.int32)
    np.save(folder / "spike_clusters.npy", of_spike)
    np.save(folder / "spike_templates.npy", of_spike.astype(np.uint32))
    (folder / "params.py").write_text(
        f"dat_path = 'recording.dat'\nn_channels_dat = 4\ndtype = 'int16'\noffset = 0\n"
        f"sample_rate = {rate_hz}\nhp_filtered = False\n"
    )
    rows = "".join(f"{unit}\t{label}\n" for unit, label in labels.items())
    (folder / "cluster_group.tsv").write_text(f"cluster_id\tgroup\n{rows}")
    return folder
