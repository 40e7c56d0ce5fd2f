"""Figure 6 of Yang et al. (2019): task vectors and their compositionality.

The mean rates of the population at the end of the first stimulus are a vector for each task. The
cosine between Anti - Go and Dly Anti - Dly Go measures whether these pairs of tasks differ in the
same way. Controls are all other quadruples of tasks; the same time since stimulus onset (until its
stimulus ends, a delayed task has the same inputs); the rule-input weights, from which the rates may
inherit the composition; and networks with random rule weights or without training.

Run: ``python examples/figure_6_task_vectors.py [--network pretrained:all20-fast-0]`` (25 s).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr

import nwbcompare as nc
from nwbcompare.analysis.population.compositionality import COMPOSITIONS
from nwbcompare.analysis.population.task_vectors import TASK_SETS
from nwbcompare.plotting.style import STYLE
from nwbcompare.workflows.sources import find_network, tasks_of_network

NAMES = {task: nc.tasks.display_name(task) for task in nc.tasks.RULES}
CONTROLS = {
    "Gaussian rule weights": nc.experiments.with_gaussian_rules,
    "untrained": nc.experiments.untrained,
}


def record_with_noise(network: nc.model.Network, tasks: Sequence[str]) -> xr.DataTree:
    """Record a network on the test trials with noise, as published."""
    rules, dt_ms = network.config.rules, network.config.dt_ms
    blocks = {}
    for seed, task in enumerate(tasks):
        trials = nc.tasks.make_trials(task, "test", dt_ms=dt_ms, rules=rules)
        # reaction-time tasks have no first stimulus before the response
        if "stim1" in trials["epoch"].values:
            blocks[task] = nc.record(network, trials, seed=seed)
    return nc.make_activity(blocks)


def cosine(vectors: xr.Dataset, quadruple: Sequence[str]) -> float:
    """Return the cosine between a - b and c - d for a quadruple of tasks (a, b, c, d)."""
    return float(nc.population.composition_cosine(vectors, *quadruple)["cosine"])


def main() -> None:
    """Compute the results, print them and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", default="pretrained:all20-fast-0", help="run folder or pretrained:NAME"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    parser.add_argument("--controls", type=int, default=3, help="networks of each control")
    arguments = parser.parse_args()
    network = find_network(arguments.network)
    tasks = tasks_of_network(arguments.network, network)
    sets = [name for name, members in TASK_SETS.items() if set(members) <= set(tasks)]
    if not sets:
        parser.error(
            f"{arguments.network} has none of the sets of tasks {list(TASK_SETS.values())}"
        )

    activity = record_with_noise(network, tasks)
    vectors = nc.population.task_vectors(activity)
    rules = nc.population.rule_vectors(
        nc.experiments.network_weights(network), list(vectors["task"].values)
    )
    comparisons = {
        "0.5 s after onset": nc.population.task_vectors(activity, at=0.5),
        "rule weights": rules,
    }

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(3, len(sets), (4.8 * len(sets), 13))
    for name, column in zip(sets, axes.T, strict=True):
        a, b, c, d = quadruple = COMPOSITIONS[name]
        result = nc.population.composition_cosine(vectors, *quadruple)
        low, high = result["interval"].values
        print(
            f"({a} - {b}) and ({c} - {d}): cosine {float(result['cosine']):+.3f} "
            f"[{low:+.3f}, {high:+.3f}] over units"
        )
        if vectors.sizes["task"] > 4:  # otherwise there is no other quadruple
            rank = nc.population.composition_rank(vectors, quadruple)
            print(f"  above {float(rank['share_smaller']):.2%} of other quadruples")
            nc.plotting.plot_cosine_rank(column[2], rank, names=NAMES)
        else:
            column[2].set_axis_off()
        for label, other in comparisons.items():
            print(f"  {label}: {cosine(other, quadruple):+.3f}")
        for label, make_control in CONTROLS.items():
            cosines = []
            for seed in range(arguments.controls):
                control = record_with_noise(make_control(network, seed), quadruple)
                cosines.append(cosine(nc.population.task_vectors(control), quadruple))
            print(f"  {label}: mean {np.mean(cosines):+.3f} of {len(cosines)} networks")

        for source, ax in ((vectors, column[0]), (rules, column[1])):
            space = nc.population.task_space(source, TASK_SETS[name])
            nc.plotting.plot_task_space(ax, [space], names=NAMES)
            nc.plotting.plot_differences(ax, [space], quadruple)
    axes[0, 0].set_ylabel("rates: axis 2")
    axes[1, 0].set_ylabel("rule weights: axis 2")
    path = arguments.out / "figure_6_task_vectors.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
