"""Error rates of the test for clusters: false positives without clusters, power with them.

Every data set is a table of task variances of 128 units in 20 tasks, tested by
`nwbcompare.clustering.cluster_null` with 99 surrogates and by `nwbcompare.clustering.epairs`.
Data sets without clusters:

- ``factors``: the log of the variances is a mixture of 5 random factors and independent noise
  (correlated, lognormal marginals, which do not exactly meet the assumptions of the null);
- ``gamma``: a Gaussian copula whose correlation decreases with the distance between tasks, and
  gamma marginals of shape 0.3 (many variances near 0, few large ones).

Data sets with 3, 6 or 11 clusters of equal probability: the log of a unit's variances is the
profile of its cluster (Gaussian over tasks, with s.d. ``separation``), an overall size (s.d. 1) and
independent noise (s.d. 1), so that the separation is in units of the spread within a cluster.

Run: ``python benchmarks/cluster_null.py --datasets N [--kinds factors,gamma]``. Results are
saved in ``benchmarks/results/cluster_null/``, one file for each kind, and reused.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats
from tqdm import tqdm

from nwbcompare.analysis.clustering.cluster_null import cluster_null
from nwbcompare.analysis.clustering.epairs import epairs
from nwbcompare.core.files import written_aside

RESULTS = Path(__file__).parent / "results" / "cluster_null"
N_UNITS, N_TASKS, N_SURROGATES = 128, 20, 99
N_CLUSTERS, SEPARATIONS = (3, 6, 11), (1.0, 1.5, 2.0)
SCALE = 0.1
"""Scale of the variances: nearly all units exceed the threshold of 1e-3, as in networks."""
Array = npt.NDArray[np.float64]


def factors(rng: np.random.Generator) -> Array:
    """Draw variances ``(unit, task)`` of units on a continuum of 5 factors."""
    loading = rng.standard_normal((5, N_TASKS)) / np.sqrt(5)
    shared = rng.standard_normal((N_UNITS, 5)) @ loading
    return SCALE * np.exp(1.5 * (shared + 0.5 * rng.standard_normal((N_UNITS, N_TASKS))))


def gamma(rng: np.random.Generator) -> Array:
    """Draw variances ``(unit, task)`` with gamma marginals from a Gaussian copula."""
    tasks = np.arange(N_TASKS)
    correlation = np.exp(-np.abs(tasks[:, None] - tasks) / 5)
    gaussian = rng.multivariate_normal(np.zeros(N_TASKS), correlation, size=N_UNITS)
    variance: Array = SCALE * stats.gamma.ppf(stats.norm.cdf(gaussian), 0.3)
    return variance


def clustered(rng: np.random.Generator, *, n_clusters: int, separation: float) -> Array:
    """Draw variances ``(unit, task)`` of units in clusters."""
    profile = separation * rng.standard_normal((n_clusters, N_TASKS))
    size = rng.standard_normal((N_UNITS, 1))
    noise = rng.standard_normal((N_UNITS, N_TASKS))
    return SCALE * np.exp(profile[rng.integers(n_clusters, size=N_UNITS)] + size + noise)


KINDS: dict[str, Callable[[np.random.Generator], Array]] = {
    "factors": factors,
    "gamma": gamma,
    **{
        f"{k}-clusters-separation-{separation:g}": partial(
            clustered, n_clusters=k, separation=separation
        )
        for k in N_CLUSTERS
        for separation in SEPARATIONS
    },
}


def measure(kind: str, seed: int) -> dict[str, Any]:
    """Draw a data set and test it."""
    values = KINDS[kind](np.random.default_rng([seed, list(KINDS).index(kind)]))
    variance = xr.Dataset({"task_variance": (("unit", "task"), values)})
    null = cluster_null(variance, n_surrogates=N_SURROGATES, seed=seed)
    pairs = epairs(variance, n_surrogates=N_SURROGATES, seed=seed)
    return {
        "p_value": float(null["p_value"]),
        "n_clusters": int(null["n_clusters"]),
        "silhouette": float(null["observed"]),
        "epairs_p_value": float(pairs["p_value"]),
        "epairs_effect_size": float(pairs["effect_size"]),
    }


def share_below(p_values: list[float], level: float = 0.05) -> str:
    """Return the share of p values up to a level, with its exact binomial 95 % interval."""
    below = sum(p <= level for p in p_values)
    interval = stats.binomtest(below, len(p_values)).proportion_ci()
    return f"{below / len(p_values):.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def main() -> None:
    """Test the data sets without saved results, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=200, help="data sets of each kind")
    parser.add_argument("--kinds", help="kinds of data set, separated by commas; by default all")
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else list(KINDS)
    by_kind = {kind: _read(kind) for kind in kinds}
    with tqdm(total=options.datasets * len(kinds), desc="data sets", disable=None) as bar:
        for seed in range(options.datasets):
            for kind, results in by_kind.items():
                if str(seed) not in results:
                    results[str(seed)] = measure(kind, seed)
                    with written_aside(RESULTS / f"{kind}.json", overwrite=True) as aside:
                        aside.write_text(json.dumps(results, indent=1) + "\n")
                bar.update()
    print("share with p <= 0.05, with exact 95 % interval, n data sets each")
    print(f"{'kind':28} {'n':4} {'silhouette':26} {'ePAIRS':26} median number of clusters")
    for kind, results in by_kind.items():
        columns = [share_below([result[name] for result in results.values()]) for name in P_VALUES]
        number = np.median([result["n_clusters"] for result in results.values()])
        print(f"{kind:28} {len(results):4} {columns[0]:26} {columns[1]:26} {number:g}")


def _read(kind: str) -> dict[str, dict[str, Any]]:
    """Read the saved results of a kind, by the seed of the data set."""
    path = RESULTS / f"{kind}.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


P_VALUES = ("p_value", "epairs_p_value")


if __name__ == "__main__":
    main()
