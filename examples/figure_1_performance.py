"""Figure 1 of Yang et al. (2019): performance during training, and psychometric curves.

The first panel is the performance of every task during training. The others are choices between two
opposite targets as a function of coherence, for stimuli of 200, 400 and 800 ms. A network that
integrates evidence over time has steeper curves for longer stimuli.

Run: ``python examples/figure_1_performance.py [--network pretrained:all20-fast-0]`` (15 s).
"""

import argparse
from pathlib import Path

import matplotlib as mpl

import nwbcompare as nc
from nwbcompare.model.checkpoint import read_log
from nwbcompare.plotting.style import STYLE
from nwbcompare.report.training_progress import plot_learning
from nwbcompare.workflows.sources import find_network, run_folder, tasks_of_network

RELEVANT_COHERENCE = {
    "dm1": "coherence_1",
    "contextdm1": "coherence_1",
    "contextdm2": "coherence_2",
}
"""Tasks with a psychometric curve, and the coherence on which their response depends."""


def main() -> None:
    """Compute the results, print them and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", default="pretrained:all20-fast-0", help="run folder or pretrained:NAME"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    parser.add_argument(
        "--directions", type=int, default=100, help="directions of the first target"
    )
    arguments = parser.parse_args()
    run = run_folder(arguments.network)
    network = find_network(arguments.network)
    tasks = [
        task for task in RELEVANT_COHERENCE if task in tasks_of_network(arguments.network, network)
    ]
    if not tasks:
        parser.error(f"{arguments.network} has none of the tasks {', '.join(RELEVANT_COHERENCE)}")

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(1, 1 + len(tasks), (3.6 * (1 + len(tasks)), 3.4))
    log = read_log(run)
    if log:
        plot_learning(axes[0, 0], log)
        worst = min(log[-1]["performance"], key=log[-1]["performance"].get)
        share = log[-1]["performance"][worst]
        print(f"after {log[-1]['step']:.0f} steps the worst task is {worst}: {share:.3f} correct")
    else:
        axes[0, 0].set_axis_off()
        print("the run has no log of its training")

    for task, ax in zip(tasks, axes[0, 1:], strict=True):
        curves = nc.experiments.psychometric_curves(
            network, task, n_directions=arguments.directions
        )
        # average over the coherence that the task ignores
        for other in {"coherence_1", "coherence_2"} - {RELEVANT_COHERENCE[task]}:
            if other in curves.dims:
                curves = nc.experiments.pooled_over(curves, other)
        nc.plotting.plot_psychometric(ax, curves, title=nc.tasks.display_name(task))

        # at positive coherence choice 1 is correct; at 0 neither is
        coherence = curves[RELEVANT_COHERENCE[task]]
        correct = curves["choice_1"].where(coherence > 0, 1 - curves["choice_1"])
        correct = correct.where(coherence != 0).mean(RELEVANT_COHERENCE[task])
        text = ", ".join(f"{float(share):.3f} after {share.duration:g} ms" for share in correct)
        print(f"{task}: correct choices {text} (mean over coherences)")

    path = arguments.out / "figure_1_performance.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
