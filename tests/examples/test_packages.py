"""The example packages: installed, their section, models and loader are found by every command."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import nwbcompare as nc
from nwbcompare.cli.main import main
from nwbcompare.testing import check_loader
from nwbcompare.workflows.registry import sections_of
from nwbcompare.workflows.results_folder import read_results


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory):
    """A folder in which the packages are installed."""
    folder = tmp_path_factory.mktemp("packages")
    sources = [
        # pip builds in the folder of the source
        shutil.copytree(repository / "examples" / name, folder / name)
        for name in ("section_package", "model_package", "loader_package")
    ]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--target", folder / "site"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *options, *sources], check=True
    )
    return folder / "site"


@pytest.fixture
def command(site, repository, tmp_path):
    """A function that runs the command line where the packages are installed."""

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "nwbcompare", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (repository, site)))},
            timeout=240,
        )

    return run


@pytest.fixture
def called(site, tmp_path, monkeypatch, capsys):
    """A function that runs the command line in this process, where the packages are installed."""
    # looked for once a process: other tests must not find the section of the package
    for report in ("analyze", "compare", "continual"):
        sections_of(report)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["nwbcompare", *words])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return call


def test_the_section_is_listed_computed_kept_and_shown(command, tmp_path):
    listed = command("analyze", "--list-sections")
    assert "sparseness: Sparseness" in listed.stdout.splitlines(), listed.stderr
    out = tmp_path / "out"
    result = command("analyze", "ring", "--sections", "sparseness", "--out", str(out))
    assert result.returncode == 0, result.stderr
    assert "ring: the median unit has a sparseness of" in result.stdout
    kept = read_results(out / "results" / "ring" / "sparseness.nc")["sparseness"]
    assert kept["sparseness"].sizes == {"unit": 32}
    assert ((kept["sparseness"] >= 0) & (kept["sparseness"] <= 1)).all()
    (section,) = json.loads((out / "report.json").read_text())["sections"]
    (finding,) = section["findings"]
    assert finding["effect"] == float(kept["sparseness"].median())
    assert [finding["low"], finding["high"]] == kept["interval"].values.tolist()
    assert (finding["n"], finding["unit_of_inference"]) == ("32 units", "unit")
    page = (out / "index.html").read_text()
    assert "median sparseness over units" in page
    assert f"[{finding['low']:+.3f}, {finding['high']:+.3f}]" in page
    assert 'href="#figure-sparseness-ring"' in page
    assert "Vinje &amp; Gallant 2000" in page
    assert (out / "figures" / "sparseness-ring.svg").is_file()
    assert (out / "tables" / "sparseness.csv").is_file()


def test_the_models_are_sources_of_every_command(called, tmp_path):
    _, printed, _ = called("task-variance", "ring?n_units=12", "--json")
    values = json.loads(printed)
    assert len(values["coords"]["unit"]["values"]) == 12
    assert values["attrs"]["deterministic"] == 1
    status, _, said = called("record", "random-network:mine?n_units=16", "--out", "mine.nc")
    assert status == 0, said
    blocks = nc.blocks(nc.open(tmp_path / "mine.nc"))
    assert {block.attrs["name"] for block in blocks.values()} == {"mine"}
    assert {block.sizes["unit"] for block in blocks.values()} == {16}
    tasks = {task for block in blocks.values() for task in nc.labels(block["task"])}
    assert tasks == {"contextdm1", "contextdm2"}


def test_an_unknown_option_is_bad_input(called):
    for source in ("ring?units=3", "random-network?units=3"):
        status, _, said = called("tv", source)
        assert status == 2
        assert "units'. Did you mean 'n_units'?" in said
        assert "Traceback" not in said


def test_the_loader_keeps_the_rules_and_is_a_source_of_every_command(called, tmp_path):
    archive = tmp_path / "ourlab"
    archive.mkdir()
    rng = np.random.default_rng(0)
    spikes = {}
    for day in ("monday", "tuesday"):
        counts = rng.poisson(1, (24, 10, 2))
        np.save(archive / f"{day}_counts.npy", counts)
        table = {"task": ["respond", "ignore"] * 12, "direction": np.repeat(range(4), 6)}
        pd.DataFrame(table).to_csv(archive / f"{day}_trials.csv", index=False)
        for unit in range(2):
            spikes[f"{day} unit {unit}"] = float(counts[:, :, unit].sum())
    importlib.invalidate_caches()
    loader = importlib.import_module("ourlab").OURLAB
    check_loader(loader, archive, n_spikes=spikes, n_trials=dict.fromkeys(spikes, 24))
    _, printed, _ = called("ftv", f"ourlab:{archive}", "--pair", "respond:ignore", "--json")
    assert json.loads(printed)["coords"]["unit"]["values"] == list(spikes)
    _, listed, _ = called("datasets", "info", "ourlab")
    assert "Terms: for members of the laboratory" in listed
