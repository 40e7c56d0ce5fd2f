"""Figure 8a-8c of Yang et al. (2019): continual learning and retention.

The panels are the schedules of training, the performance in every task during training, and the
final performance, for plain sequential training, sequential training with synaptic intelligence,
and all tasks at once. Networks of one seed have the same initial weights, so plain and consolidated
training are compared in pairs.

Run: ``python examples/figure_8_continual_learning.py --runs FOLDER`` (5 s), a folder with a run
folder for each regime and seed: sequential-0, consolidated-0, interleaved-0 and so on. A run folder
is written by ``nwbcompare train --stages published --seed 0 --out FOLDER/sequential-0``.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import nwbcompare as nc
from nwbcompare.analysis.learning.retention import (
    MEAN,
    compare_retention,
    performance_over_steps,
    retention_over_networks,
)
from nwbcompare.model.checkpoint import read_configs, read_evaluation
from nwbcompare.model.curricula import YANG2019
from nwbcompare.plotting.learning import REGIME_COLOURS, plot_final_performance, plot_stages
from nwbcompare.plotting.style import STYLE

REGIMES = ("sequential", "consolidated", "interleaved", "permuted", "uniform")
PAIR = ("sequential", "consolidated")
TASKS = tuple(task for stage in YANG2019 for task in stage)
NAMES = {task: nc.tasks.display_name(task) for task in TASKS}


def main() -> None:
    """Compute the results, print them and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the run folders")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    arguments = parser.parse_args()
    logs = logs_of_pairs(arguments.runs)
    if not logs["sequential"]:
        parser.error(
            f"{arguments.runs} has no seed with both finished regimes, {' and '.join(PAIR)}"
        )

    courses = {regime: performance_over_steps(logs[regime], YANG2019) for regime in PAIR}
    # interleaved training has a single stage with all tasks
    stages = {regime: (TASKS,) if regime == "interleaved" else YANG2019 for regime in REGIMES}
    retention = {
        regime: retention_over_networks(logs[regime], stages[regime])
        for regime in REGIMES
        if logs[regime]
    }

    mpl.rcParams.update(STYLE)
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))
    schedules, at_once, final = left.subplots(3, 1, height_ratios=(1, 1, 1.8))
    axes = right.subplots(len(TASKS), 1, sharex=True)
    first = next(iter(logs["sequential"]))
    batch_size = read_configs(arguments.runs / f"sequential-{first}")[1].batch_size
    ends = courses["sequential"]["end_step"].mean("network").values * batch_size / 1000
    plot_schedule(schedules, YANG2019, ends, "sequential")
    plot_schedule(at_once, (TASKS,), ends[-1:], "interleaved")
    plot_final_performance(final, retention, names=NAMES)
    final.legend(loc="lower left", ncols=2, frameon=True, framealpha=0.9)
    plot_stages(axes, courses, names=NAMES)
    axes[0].legend(loc="lower right", ncols=2)
    axes[-1].set_xlabel("stage of training")
    right.supylabel("share of correct trials", fontsize=9)

    seeds = {
        folder.name.rpartition("-")[2]
        for regime in PAIR
        for folder in arguments.runs.glob(f"{regime}-*")
    }
    if unpaired := sorted(seeds - set(logs["sequential"])):
        print(f"excluded, without both finished regimes: seed {', '.join(unpaired)}")
    for regime, measures in retention.items():
        print(f"{regime}: {retention_text(measures)}")
    difference = compare_retention(*(retention[regime] for regime in reversed(PAIR)))
    final_difference = difference.sel(measure="final", task=MEAN)
    print(
        f"consolidated minus sequential, paired by seed: final performance "
        f"{interval_text(final_difference)}, p = {float(final_difference['p_value']):.2g} "
        f"({int(difference['n_networks'])} pairs)"
    )
    path = arguments.out / "figure_8_continual_learning.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


def logs_of_pairs(runs: Path) -> dict[str, dict[str, list[dict]]]:
    """Read the logs of finished networks, for seeds with networks of both paired regimes."""
    seeds = {
        regime: [
            folder.name.rpartition("-")[2]
            for folder in sorted(runs.glob(f"{regime}-*"))
            # uniform-0.1-3 belongs to another regime
            if folder.name.removeprefix(f"{regime}-").isdigit() and read_evaluation(folder)
        ]
        for regime in REGIMES
    }
    paired = [seed for seed in seeds["sequential"] if seed in seeds["consolidated"]]
    return {
        regime: {
            seed: nc.model.read_log(runs / f"{regime}-{seed}")
            for seed in paired
            if seed in seeds[regime]
        }
        for regime in REGIMES
    }


def plot_schedule(ax: Axes, stages: tuple, ends: np.ndarray, regime: str) -> None:
    """Plot when each task is trained: a bar from the beginning to the end of its stage."""
    colour = REGIME_COLOURS[REGIMES.index(regime)]
    for stage, start, end in zip(stages, [0, *ends[:-1]], ends, strict=True):
        for task in stage:
            ax.barh(TASKS.index(task), end - start, left=start, height=0.7, color=colour)
    ax.set_yticks(range(len(TASKS)), [NAMES[task] for task in TASKS])
    ax.set(xlim=(0, ends[-1]), ylim=(len(TASKS) - 0.5, -0.5), xlabel="trials (thousands)")
    ax.set_title(f"{regime} training")


def retention_text(measures: xr.Dataset) -> str:
    """Describe final performance, the worst task, and the change since each task's own stage."""
    final = measures.sel(measure="final")
    worst = final["mean"].sel(task=list(TASKS)).idxmin().item()
    text = (
        f"final performance {interval_text(final.sel(task=MEAN))}, mean of tasks, worst {worst} "
        f"{float(final['mean'].sel(task=worst)):.3f} ({int(measures['n_networks'])} networks)"
    )
    change = measures.sel(measure="backward_transfer", task=MEAN)
    if np.isnan(change["mean"]):
        return text
    return f"{text}; change since a task's own stage {interval_text(change, '+.3f')}"


def interval_text(estimate: xr.Dataset, form: str = ".3f") -> str:
    """Return a mean with its 95 % interval over networks, as text."""
    mean, low, high = (float(estimate[name]) for name in ("mean", "mean_low", "mean_high"))
    return f"{mean:{form}} [{low:{form}}, {high:{form}}]"


if __name__ == "__main__":
    main()
