"""Figure 7 of Yang et al. (2019): a task done under the sum of other tasks' rules.

Does Anti + Dly Go - Go make a network do Dly Anti? The composed rule is held against the right
one, parts of the sum, no rule at all, each wrong rule alone, and random sums of three others.

Run: ``python examples/figure_7_rule_composition.py [--network pretrained:all20-fast-0]`` (40 s).
"""

import argparse
from pathlib import Path

import matplotlib as mpl

import nwbcompare as nc
from nwbcompare.experiments.rule_composition import RULE_COMPOSITIONS
from nwbcompare.plotting.style import STYLE
from nwbcompare.workflows.sources import find_network, tasks_of_network

NAMES = {task: nc.tasks.display_name(task) for task in nc.tasks.RULES}


def main() -> None:
    """Draw the figure and say what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="pretrained:all20-fast-0", help="or a run folder")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    parser.add_argument("--batches", type=int, default=20, help="of 50 trials, for each rule")
    parser.add_argument("--random", type=int, default=100, help="random sums of three rules")
    chosen = parser.parse_args()
    network = find_network(chosen.network)
    tasks = set(tasks_of_network(chosen.network, network))
    cases = {
        task: expression
        for task, expression in RULE_COMPOSITIONS.items()
        if {task, *nc.experiments.parse_rule_expression(expression)} <= tasks
    }
    if not cases:
        parser.error(f"{chosen.network} lacks tasks of each of {list(RULE_COMPOSITIONS.items())}")

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(1, len(cases), (4.6 * len(cases), 4.6))
    for ax, (task, expression) in zip(axes[0], cases.items(), strict=True):
        result = nc.experiments.rule_composition(
            network, task, expression, n_batches=chosen.batches, n_random=chosen.random
        )
        # half of the trials of a matching task are done by who never responds: balanced accuracy
        measure = "balanced_accuracy" if task == "dmsgo" else "performance"
        nc.plotting.plot_rule_composition(ax, [result], measure=measure, names=NAMES)

        at = result.sel(measure=measure)
        right, composed = (
            float(result[measure][result["role"].values == role][0])
            for role in ("right", "composed")
        )
        print(
            f"{task} under {expression}: {measure.replace('_', ' ')} {composed:.3f}, right rule "
            f"{right:.3f}, best wrong rule {float(at['best_wrong']):.3f}, effect "
            f"{float(at['effect']):+.3f} (s.e. {float(at['effect_standard_error']):.3f} over "
            f"batches), above {float(at['share_of_random_below']):.0%} of random sums"
        )
    path = chosen.out / "figure_7_rule_composition.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
