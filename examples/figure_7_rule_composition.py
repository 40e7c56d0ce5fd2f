"""Figure 7 of Yang et al. (2019): performance of a task under sums of other rule inputs.

Does a network perform Dly Anti with the rule input Anti + Dly Go - Go? The composed rule is
compared with the right rule, parts of the sum, no rule, each wrong rule alone, and random sums of
three other rules.

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
    """Compute the results, print them and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", default="pretrained:all20-fast-0", help="run folder or pretrained:NAME"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    parser.add_argument(
        "--batches", type=int, default=20, help="batches of 50 trials for each rule"
    )
    parser.add_argument("--random", type=int, default=100, help="random sums of three rules")
    arguments = parser.parse_args()
    network = find_network(arguments.network)
    tasks = set(tasks_of_network(arguments.network, network))
    cases = {
        task: expression
        for task, expression in RULE_COMPOSITIONS.items()
        if {task, *nc.experiments.parse_rule_expression(expression)} <= tasks
    }
    if not cases:
        parser.error(
            f"{arguments.network} lacks tasks of each of {list(RULE_COMPOSITIONS.items())}"
        )

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(1, len(cases), (4.6 * len(cases), 4.6))
    for ax, (task, expression) in zip(axes[0], cases.items(), strict=True):
        result = nc.experiments.rule_composition(
            network, task, expression, n_batches=arguments.batches, n_random=arguments.random
        )
        # a network that never responds is correct in half of the trials of a matching task
        measure = "balanced_accuracy" if task == "dmsgo" else "performance"
        nc.plotting.plot_rule_composition(ax, [result], measure=measure, names=NAMES)

        summary = result.sel(measure=measure)
        right, composed = (
            float(result[measure][result["role"].values == role][0])
            for role in ("right", "composed")
        )
        print(
            f"{task} under {expression}: {measure.replace('_', ' ')} {composed:.3f}, right rule "
            f"{right:.3f}, best wrong rule {float(summary['best_wrong']):.3f}, effect "
            f"{float(summary['effect']):+.3f} (s.e. "
            f"{float(summary['effect_standard_error']):.3f} over batches), above "
            f"{float(summary['share_of_random_below']):.0%} of random sums"
        )
    path = arguments.out / "figure_7_rule_composition.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
