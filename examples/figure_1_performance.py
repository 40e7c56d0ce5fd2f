"""Figure 1 of Yang et al. (2019): a network learns its tasks, and decides better with more time.

The score of every task through training; and choices between two opposite targets against the
coherence, for stimuli of 200, 400 and 800 ms. A network that adds up evidence in time has steeper
curves for longer stimuli.

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

ASKED = {"dm1": "coherence_1", "contextdm1": "coherence_1", "contextdm2": "coherence_2"}
"""Tasks with a curve, and the coherence that each of them asks for."""


def main() -> None:
    """Draw the figure and say what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="pretrained:all20-fast-0", help="or a run folder")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    parser.add_argument("--directions", type=int, default=100, help="of the first target")
    chosen = parser.parse_args()
    run = run_folder(chosen.network)
    network = find_network(chosen.network)
    tasks = [task for task in ASKED if task in tasks_of_network(chosen.network, network)]
    if not tasks:
        parser.error(f"{chosen.network} has none of the tasks {', '.join(ASKED)}")

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
        curves = nc.experiments.psychometric_curves(network, task, n_directions=chosen.directions)
        # what the task has the network ignore is pooled over
        for other in {"coherence_1", "coherence_2"} - {ASKED[task]}:
            if other in curves.dims:
                curves = nc.experiments.pooled_over(curves, other)
        nc.plotting.plot_psychometric(ax, curves, title=nc.tasks.display_name(task))

        coherence = curves[ASKED[task]]
        right = curves["choice_1"].where(coherence > 0, 1 - curves["choice_1"])
        right = right.where(coherence != 0).mean(ASKED[task])
        said = ", ".join(f"{float(one):.3f} after {one.duration:g} ms" for one in right)
        print(f"{task}: right choices {said} (mean over coherences)")

    path = chosen.out / "figure_1_performance.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
