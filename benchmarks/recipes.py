"""Comparison of networks trained by the two recipes.

The measures of each network, on noise-free test trials and as published, are the number of clusters
of units and their silhouette, the shares of units by FTV over all 190 pairs of tasks, and the
performance under composed rules (on random trials with noise, since test trials of the match tasks
always demand a response). The unit of inference is the network. For each measure it prints the
mean of each recipe, their difference with a 95 % interval (Welch), and the 95 % seed-to-seed
range of the paper recipe. With few paper networks the verdict is "not shown different" at most.

Run: ``python benchmarks/recipes.py NETWORK...``, with run folders or ``pretrained:NAME``. Results
are saved in ``benchmarks/results/recipes/`` and reused. Folders named ``RUN-at-STEPS`` (see
``time_to_criterion.py``) form separate groups.
"""

from __future__ import annotations

import json
import sys
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats
from tqdm import tqdm

import nwbcompare as nc
from nwbcompare.analysis.clustering.clusters import cluster_units
from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD
from nwbcompare.kernels.variance import fractional_variance
from nwbcompare.model import Network
from nwbcompare.model.checkpoint import read_training
from nwbcompare.tasks import RULES, make_trials
from nwbcompare.workflows.sources import find_network, record_test_trials, run_folder

RESULTS = Path(__file__).parent / "results" / "recipes"
TASKS = tuple(RULES)
COMPOSITIONS = {
    "delayanti": {"fdanti": 1, "delaygo": 1, "fdgo": -1},
    "contextdelaydm1": {"contextdelaydm2": 1, "contextdm1": 1, "contextdm2": -1},
    "dmsgo": {"dmcgo": 1, "dmsnogo": 1, "dmcnogo": -1},
}
N_BATCHES, BATCH_SIZE = 20, 50


def clusters(variance: xr.Dataset) -> dict[str, float]:
    """Cluster units by their normalised task variance, as published."""
    result = cluster_units(variance)
    return {
        "active units": float(result["active"].sum()),
        "clusters": float(result.attrs["n_clusters"]),
        "silhouette": float(result["silhouette"].max()),
    }


def ftv_shares(variance: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the shares of units with mixed and single-task selectivity, and a spread of FTV.

    Shares are means over all pairs; the spread is that of the pair in the report.
    """
    by_pair = {
        (TASKS[a], TASKS[b]): _active_ftv(variance[:, a], variance[:, b])
        for a, b in combinations(range(len(TASKS)), 2)
    }
    sizes = [np.abs(ftv) for ftv in by_pair.values()]
    return {
        "FTV mixed": float(np.mean([np.mean(size < 0.5) for size in sizes])),
        "FTV single": float(np.mean([np.mean(size > 0.9) for size in sizes])),
        "FTV s.d., Ctx DM 1 and 2": float(by_pair["contextdm1", "contextdm2"].std()),
    }


def _active_ftv(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    ftv, active = fractional_variance(a, b, threshold=ACTIVE_THRESHOLD)
    return ftv[active]


def composition(network: Network) -> dict[str, float]:
    """Return the performance of three tasks under composed rules, on random trials with noise."""
    result = {}
    for task, weights in COMPOSITIONS.items():
        shares = [
            network.performance(
                make_trials(
                    task,
                    "random",
                    n_trials=BATCH_SIZE,
                    seed=seed,
                    sigma_x=network.config.sigma_x,
                    rule_weights=weights,
                ),
                seed=seed,
            )
            for seed in range(N_BATCHES)
        ]
        result[f"composed {task}"] = float(np.mean(shares))
    return result


def measure(source: str) -> dict[str, float]:
    """Return all measures of a network."""
    network = find_network(source)
    variance = nc.task_variance(record_test_trials(network, TASKS)).sel(task=list(TASKS))
    values = variance["task_variance"].transpose("unit", "task").values
    return clusters(variance) | ftv_shares(values) | composition(network)


def compare(fast: npt.NDArray[np.float64], paper: npt.NDArray[np.float64]) -> str:
    """Describe the difference between the recipes in one measure, each ``(network,)``."""
    if paper.size < 2:
        return "no verdict: fewer than two paper networks"
    interval = stats.ttest_ind(fast, paper, equal_var=False).confidence_interval()
    spread = stats.t.ppf(0.975, paper.size - 1) * paper.std(ddof=1) * np.sqrt(1 + 1 / paper.size)
    difference = fast.mean() - paper.mean()
    verdict = "not shown different" if abs(difference) <= spread else "different"
    return (
        f"difference {difference:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}], "
        f"seed-to-seed range ±{spread:.3f}: {verdict}"
    )


def group_of(source: str) -> str:
    """Return the recipe of a network, with the number of steps of an intermediate state."""
    folder = run_folder(source)
    training = read_training(folder)
    recipe = "custom" if training is None else training.schedule
    _, cut, steps = folder.name.partition("-at-")
    return f"{recipe}, first {int(steps):,} steps" if cut else recipe


def main() -> None:
    """Measure networks without saved results, and compare the recipes."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[dict[str, float]]] = {"fast": [], "paper": []}
    for source in tqdm(sys.argv[1:], disable=None):
        file = RESULTS / f"{run_folder(source).name}.json"
        if not file.is_file():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                file.write_text(json.dumps(measure(source), indent=1) + "\n")
        groups.setdefault(group_of(source), []).append(json.loads(file.read_text()))
    for name in next(iter(groups["fast"] or groups["paper"])):
        values = {
            group: np.array([one[name] for one in networks]) for group, networks in groups.items()
        }
        print(name)
        for group, of_group in values.items():
            if of_group.size:
                print(
                    f"  {group} (n = {of_group.size}): mean {of_group.mean():.3f}, "
                    f"range {of_group.min():.3f} to {of_group.max():.3f}"
                )
        print(f"  fast minus paper: {compare(values['fast'], values['paper'])}")


if __name__ == "__main__":
    main()
