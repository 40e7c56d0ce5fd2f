"""The scripts of the figures of learning run on small made runs, and what they print is true."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import sys

import matplotlib as mpl
import numpy as np
import pytest

import nwbcompare as nc
from nwbcompare.analysis.learning.retention import (
    MEAN,
    compare_retention,
    retention_over_networks,
)
from nwbcompare.model.checkpoint import save_run
from nwbcompare.model.curricula import YANG2019, interleaved_config, sequential_config

TASKS = [task for stage in YANG2019 for task in stage]
KEPT = {"sequential": 0.6, "consolidated": 0.8, "interleaved": 0.9}


@pytest.fixture
def run(repository, monkeypatch, capsys, tmp_path):
    """Run a script and give what it prints and the axes of its figure."""

    def call(name, *arguments):
        path = repository / "examples" / f"{name}.py"
        figures = tmp_path / "figures"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments), "--out", str(figures)])
        with mpl.rc_context():
            runpy.run_path(str(path), run_name="__main__")
        printed = capsys.readouterr().out
        (made,) = figures.iterdir()
        assert f"written: {made}" in printed
        return printed, len(re.findall(r'id="axes_\d+"', made.read_text()))

    return call


def made_log(regime, seed):
    """Every task is done to 0.95 after its stage, and falls to what its regime keeps at the end."""
    stages = [tuple(TASKS)] if regime == "interleaved" else YANG2019
    rows, step = [], 0
    for place, _ in enumerate([(), *stages]):
        trained = [task for stage in stages[:place] for task in stage]
        share = dict.fromkeys(TASKS, 0.1) | dict.fromkeys(trained, 0.95)
        if place == len(stages):
            share |= dict.fromkeys(TASKS[:-2], KEPT[regime] + seed / 50)
        rows.append(
            {
                "step": step,
                "stage": max(place - 1, 0),
                "dt_ms": 20,
                "coherence_scale": 1,
                "loss": None if place == 0 else 0.1,
                "seconds": 1,
                "performance": share,
            }
        )
        step += 4 * len(stages[place]) if place < len(stages) else 0
    return rows


def made_run(folder, regime, seed, *, finished=True):
    make = interleaved_config if regime == "interleaved" else sequential_config
    save_run(
        nc.model.Network(nc.model.NetworkConfig(n_units=4)),
        folder / f"{regime}-{seed}",
        training=make(steps_per_task=4, seed=seed),
        log=made_log(regime, seed),
        evaluation={"performance": {}} if finished else None,
    )


def test_continual_learning(run, tmp_path):
    runs = tmp_path / "runs"
    for regime in KEPT:
        for seed in range(3):
            # of the last seed the protected network is not finished
            made_run(runs, regime, seed, finished=(regime, seed) != ("consolidated", 2))
    # a regime of its own, whose control of strength 1 is not there
    shutil.copytree(runs / "sequential-0", runs / "uniform-0.1-0")
    printed, n_axes = run("figure_8_continual_learning", "--runs", runs)
    assert n_axes == 10
    assert "uniform" not in printed
    assert "excluded, without both finished regimes: seed 2\n" in printed

    found = {}
    for regime, kept in KEPT.items():
        stages = [tuple(TASKS)] if regime == "interleaved" else YANG2019
        logs = {str(seed): made_log(regime, seed) for seed in range(2)}
        found[regime] = retention_over_networks(logs, stages)
        final = found[regime]["mean"].sel(measure="final", task=MEAN).item()
        assert final == pytest.approx((5 * (kept + 0.01) + 2 * 0.95) / 7)
        assert re.search(
            rf"{regime}: final performance {final:.3f} \[.*\].*\(2 networks\)", printed
        )
    difference = compare_retention(found["consolidated"], found["sequential"])
    at = difference.sel(measure="final", task=MEAN)
    line = f"consolidated minus sequential, paired by seed: final performance {float(at['mean']):.3f} ["
    assert line in printed
    assert f"p = {float(at['p_value']):.2g} (2 pairs)" in printed
    assert float(at["mean"]) == pytest.approx(0.2 * 5 / 7)
    # five tasks fall from 0.95
    assert f"stage {KEPT['sequential'] + 0.01 - 0.95:+.3f} [" in printed
    assert printed.count("change since a task's own stage") == 2
    assert "permuted" not in printed


def test_continual_learning_without_pairs_is_told(run, tmp_path, capsys):
    made_run(tmp_path / "runs", "sequential", 0)
    with pytest.raises(SystemExit, match="2"):
        run("figure_8_continual_learning", "--runs", tmp_path / "runs")
    assert "no seed with both finished regimes, sequential and consol" in capsys.readouterr().err


def test_rule_learning(run, tmp_path):
    curves = [
        {
            "pretraining": "A",
            "target": "delayanti",
            "learned": "rules",
            "log": {"0": [[0, 0.1], [50, 0.5], [100, 0.95]], "1": [[0, 0.2], [100, 0.4]]},
            "final": {"0": 0.94, "1": 0.42},
            "trials_to_0.9": {"0": 6400, "1": None},
        },
        {
            "pretraining": "B",
            "target": "delayanti",
            "learned": "all",
            "log": {"0": [[0, 0.1], [50, 0.3]], "1": [[0, 0.1], [50, 0.35]]},
            "final": {"0": 0.3, "1": 0.4},
            "trials_to_0.9": {"0": None, "1": None},
        },
    ]
    path = tmp_path / "rule_learning.json"
    path.write_text(json.dumps({"left_out": {"A-2": "it stalled"}, "curves": curves}))
    printed, n_axes = run("figure_7e_rule_learning", "--record", path)
    assert n_axes == 2
    assert (
        "delayanti after set A, only rule inputs trained: 0.9 reached by 1 of 2 networks "
        "(after 6,400 trials); final performance 0.680 (0.420 to 0.940)\n"
    ) in printed
    assert (
        "delayanti after set B, all weights trained: 0.9 reached by 0 of 2 networks; "
        "final performance 0.350 (0.300 to 0.400)\n"
    ) in printed
    assert "excluded: A-2 (it stalled)\n" in printed


def test_the_record_of_the_repository_is_drawn(run, repository):
    printed, n_axes = run("figure_7e_rule_learning")
    assert n_axes == 4
    record = json.loads((repository / "benchmarks" / "results" / "rule_learning.json").read_text())
    for curve in record["curves"]:
        final = np.mean(list(curve["final"].values()))
        assert f"{curve['target']} after set {curve['pretraining']}" in printed
        assert f"final performance {final:.3f} (" in printed


@pytest.mark.shared
def test_the_networks_of_the_repository_are_drawn_beside_the_monkey(run, mante2013_path):
    printed, n_axes = run("figure_8_ftv", "--recording", f"mante2013:{mante2013_path}?animal=ar")
    assert n_axes == 4
    spreads = dict(re.findall(r"(\w[\w ]*): (?:\d+ networks, )?s\.d\. (\d\.\d+)", printed))
    assert float(spreads["monkey A"]) == pytest.approx(0.332, abs=0.001)
    assert float(spreads["sequential"]) > float(spreads["consolidated"]) > 0.5
    assert float(spreads["untrained"]) < 0.5


@pytest.mark.shared
def test_a_study_without_networks_is_told(run, tmp_path, mante2013_path, capsys):
    with pytest.raises(SystemExit):
        run(
            "figure_8_ftv",
            "--recording",
            f"mante2013:{mante2013_path}?animal=ar",
            "--study",
            tmp_path,
        )
    assert "has no networks measured on 'tuning'" in capsys.readouterr().err
