"""Figure 2 of Yang et al. (2019): clusters of units, and the tasks that depend on them.

The panels are the variance of every unit by task, ordered by cluster; the silhouette that selects
the number of clusters, compared with surrogates without clusters; the units embedded in two
dimensions; and the performance of each task after lesioning each cluster.

Run: ``python examples/figure_2_clusters.py [--network pretrained:all20-fast-0]`` (2 minutes).
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

import nwbcompare as nc
from nwbcompare.plotting.style import STYLE
from nwbcompare.workflows.sources import find_network, resolve

NAMES = {task: nc.tasks.display_name(task) for task in nc.tasks.RULES}


def main() -> None:
    """Compute the results, print them and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", default="pretrained:all20-fast-0", help="run folder or pretrained:NAME"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    parser.add_argument("--surrogates", type=int, default=999, help="surrogates without clusters")
    parser.add_argument(
        "--trials", type=int, default=512, help="trials of each task for each lesion"
    )
    arguments = parser.parse_args()
    network = find_network(arguments.network)

    # variance of each unit's rate over conditions, for each task
    variance = nc.task_variance(resolve(arguments.network))
    if variance.sizes["task"] < 2:
        parser.error(f"{arguments.network} has one task only: units cannot be clustered by task")
    clusters = nc.clustering.cluster_units(variance)
    n_clusters, n_active = clusters.attrs["n_clusters"], int(clusters["active"].sum())
    silhouette = float(clusters["silhouette"].max())
    print(f"{n_clusters} clusters of {n_active} active units, silhouette {silhouette:.3f}")

    # surrogates have the same values of each task and the same rank correlations between tasks
    null = nc.clustering.cluster_null(variance, n_surrogates=arguments.surrogates)
    median, p_value = float(null["surrogate_silhouette"].median()), float(null["p_value"])
    print(f"without clusters the silhouette would be {median:.3f}, p = {p_value:.2g}")

    cluster = clusters["cluster"].values
    members = {str(label): np.flatnonzero(cluster == label) for label in range(n_clusters)}
    tasks = list(variance["task"].values)
    lesions = nc.experiments.lesion_performance(network, members, tasks, n_trials=arguments.trials)
    statistic = nc.experiments.lesion_statistic(lesions, clusters["profile"])
    correlation = float(statistic["rank_correlation"])
    low, high = statistic["null_rank_correlation"].quantile([0.025, 0.975]).values
    print(
        f"drop in performance against the variance of the lesioned cluster: rank correlation "
        f"{correlation:.3f}, with clusters permuted {low:.3f} to {high:.3f}"
    )

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(2, 3, (15, 9.5), width_ratios=(1.6, 1, 1))
    nc.plotting.plot_cluster_heatmap(axes[0, 0], clusters, names=NAMES)
    nc.plotting.plot_silhouette(axes[0, 1], clusters, null=null)
    nc.plotting.plot_cluster_null(axes[0, 2], null)
    nc.plotting.plot_lesions(axes[1, 0], lesions, names=NAMES)
    nc.plotting.plot_lesion_scatter(axes[1, 1], statistic)
    nc.plotting.plot_embedding(axes[1, 2], nc.clustering.embed_units(clusters, method="tsne"))
    path = arguments.out / "figure_2_clusters.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
