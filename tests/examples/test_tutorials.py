"""Tutorials as scripts, on the data that they make, with few random draws."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report_inputs import SMALL

import nwbcompare as nc

FOLDER = Path(__file__).parents[2] / "examples"
MOST_LINES = 39


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run a tutorial in this process; a page has the sections of the main comparison only."""
    compare = nc.compare

    def shorter(*arguments, settings, **options):
        few = replace(settings, **SMALL | {"include_untrained": False})
        sections = ["sampled", "latencies"]
        return compare(*arguments, settings=few, sections=sections, **options)

    monkeypatch.setattr(nc, "compare", shorter)

    def run(name):
        monkeypatch.setattr(sys, "argv", [name, str(tmp_path)])
        values = runpy.run_path(str(FOLDER / name), run_name="__main__")
        return values, capsys.readouterr().out

    return run


def test_neurons_and_a_network_of_the_same_two_tasks(run, tmp_path):
    values, printed = run("tutorial_1_two_tasks.py")
    assert "my monkey (recording): 48 units, 2 tasks, 8 sessions" in printed
    assert values["columns"]["correct"].all()
    page = (tmp_path / "page" / "index.html").read_text()
    assert "my network, tuned as strongly as the recorded units" in page


def test_a_module_on_tasks_of_ones_own(run, tmp_path):
    values, printed = run("tutorial_2_own_module.py")
    assert list(values["variance"]["task"].values) == ["anti", "go", "ignore"]
    assert len(list(tmp_path.rglob("*.nwb"))) == 1
    assert "s.d. of FTV of sampled units of the LSTM: 0." in printed
    sampled, recorded = (values[name].leaves[0] for name in ("sample", "recording"))
    assert sampled.sizes["unit"] == recorded.sizes["unit"] == 30


def test_a_laboratorys_files_and_networks_of_the_package(run, tmp_path):
    values, printed = run("tutorial_3_lab_file.py")
    assert "36 units, 2 tasks, 6 sessions" in printed
    assert values["recording"].leaves[0].sizes["unit"] == 36
    page = (tmp_path / "page" / "index.html").read_text()
    assert "all20-fast" in page


@pytest.mark.parametrize("path", sorted(FOLDER.glob("tutorial_*.py")), ids=lambda path: path.stem)
def test_tutorials_are_short(path):
    lines = path.read_text().split('"""')[2].splitlines()
    code = [line for line in lines if line.strip() and not line.startswith(("#", "import", "from"))]
    assert len(code) <= MOST_LINES
