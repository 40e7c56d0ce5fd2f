"""The examples run from beginning to end, and what they print is true."""

from __future__ import annotations

import os
import subprocess
import sys

from report_inputs import network_in

import nwbcompare as nc
from nwbcompare.io import inspect_nwb


def run(repository, name, *arguments):
    done = subprocess.run(
        [sys.executable, repository / "examples" / f"{name}.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_recording_goes_to_a_dandiset_and_back(repository, tmp_path):
    printed = run(repository, "recording_to_dandi", "--out", str(tmp_path / "set"))
    assert "messages of the validators: none" in printed
    (path,) = (tmp_path / "set").rglob("*.nwb")
    assert inspect_nwb(path) == []
    block = nc.open(tmp_path / "set")["monkey Z"]
    assert dict(block.sizes) == {"trial": 160, "time": 24, "unit": 12}
    assert set(nc.labels(block["task"])) == {"motion", "colour"}


def test_a_network_goes_to_a_dandiset_and_into_other_tools(repository, tmp_path):
    network = network_in(tmp_path, "net")
    printed = run(
        repository, "network_to_dandi", "--network", network, "--out", str(tmp_path / "set")
    )
    assert "messages of the validators: none" in printed
    assert "by direction {'direction': 20, 'time': 100, 'unit': 16}" in printed
    # 10 trials of 2 s in bins of 1 s
    assert "pynapple: (20, 16)" in printed
    names = {path.suffix for path in (tmp_path / "set").rglob("sub-*.*")}
    assert names == {".nwb", ".safetensors"}
