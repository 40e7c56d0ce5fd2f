"""Check that the archive of the sources has all files of the checkout that its tests read."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

LEFT_OUT = (
    # of the checkout alone: its gate, its tools, links for linters
    ".",
    "nwbcompare/datasets",
    "nwbcompare/model",
    "nwbcompare/tasks",
    # weights that no test reads
    "benchmarks/results/continual_published/runs/",
)

tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
with tempfile.TemporaryDirectory() as folder:
    build = f"from setuptools import build_meta; build_meta.build_sdist({folder!r})"
    subprocess.run([sys.executable, "-c", build], stdout=subprocess.DEVNULL, check=True)
    (name,) = Path(folder).iterdir()
    with tarfile.open(name) as archive:
        there = {member.name.partition("/")[2] for member in archive if member.isfile()}
lacking = [f for f in tracked.splitlines() if f not in there and not f.startswith(LEFT_OUT)]
if lacking:
    sys.exit(f"the sdist lacks {lacking[:5]} and {max(0, len(lacking) - 5)} more: see MANIFEST.in")
