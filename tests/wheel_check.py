"""Type-check the built wheel: an editable install can hide what the wheel lacks."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

with tempfile.TemporaryDirectory() as folder:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        wheel.extractall(folder)
    package = Path(folder) / "nwbcompare"
    for needed in (
        "model/pretrained",
        "tasks",
        "datasets",
        "comparison/mappings/mante2013.yaml",
        "__init__.pyi",
        "analysis/selectivity/__init__.pyi",
        "report/page.html.j2",
        "py.typed",
    ):
        if not (package / needed).exists():
            sys.exit(f"the wheel lacks nwbcompare/{needed}")
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(package)]
    sys.exit(subprocess.run(command, check=False).returncode)
