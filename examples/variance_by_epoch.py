"""Clusters by task and epoch, and variance over time (see Figure 2 of Yang et al. 2019).

A unit may vary in one epoch of a task only. Clustering by task and epoch, with the published number
of 10 clusters, groups units with the same role in several tasks, and variance over time shows when
the units of each cluster vary.

Run: ``python examples/variance_by_epoch.py [--network pretrained:all20-fast-0]`` (15 s).
"""

import argparse
from pathlib import Path

import matplotlib as mpl

import nwbcompare as nc
from nwbcompare.plotting.style import STYLE
from nwbcompare.workflows.sources import resolve

NAMES = {task: nc.tasks.display_name(task) for task in nc.tasks.RULES}
DELAY_TASKS = ("delaygo", "contextdelaydm1")
"""Tasks with delays, whose variance is plotted over time."""


def main() -> None:
    """Compute the results, print them and draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", default="pretrained:all20-fast-0", help="run folder or pretrained:NAME"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    arguments = parser.parse_args()

    activity = resolve(arguments.network)
    by_epoch = nc.selectivity.epoch_variance(activity)
    clusters = nc.clustering.cluster_units(by_epoch)
    silhouette = float(clusters["silhouette"].sel(n_clusters=clusters.attrs["n_clusters"]))
    print(
        f"{clusters.attrs['n_clusters']} clusters of {int(clusters['active'].sum())} units by "
        f"{by_epoch.sizes['task_epoch']} pairs of task and epoch, silhouette {silhouette:.3f}"
    )
    # the task and epoch in which each cluster varies most
    best_places = clusters["profile"].argmax("task_epoch").values
    for cluster, best in enumerate(best_places):
        task, epoch = (str(by_epoch[name].values[best]) for name in ("task", "epoch"))
        size = int((clusters["cluster"] == cluster).sum())
        print(f"cluster {cluster}: {size} units, most in {task}, {epoch}")

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(1, 1, (12, 5.5))
    nc.plotting.plot_cluster_heatmap(axes[0, 0], clusters, names=NAMES)
    path = arguments.out / "variance_by_epoch.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")

    in_time = nc.selectivity.variance_in_time(activity)
    tasks = list(in_time["task"].values)
    plotted_tasks = [task for task in DELAY_TASKS if task in tasks] or tasks[:2]
    figure, axes = nc.plotting.new_figure(2, len(plotted_tasks), (5 * len(plotted_tasks), 6.4))
    for column, task in zip(axes.T, plotted_tasks, strict=True):
        nc.plotting.plot_variance_in_time(column[0], in_time, task, names=NAMES)
        nc.plotting.plot_variance_in_time(column[1], in_time, task, clusters=clusters, names=NAMES)
        peak_s = in_time["task_variance"].sel(task=task).mean("unit").idxmax("time")
        print(f"{task}: variance is largest {float(peak_s):.2f} s after the start of the trial")
    path = arguments.out / "variance_in_time.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
