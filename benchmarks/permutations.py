"""Label permutations of a recording: time compared with plain numpy loops over shuffles.

The data are the 762 units of monkey A. The plain loop shuffles the labels of each unit within each
stratum and computes condition means and TV again, either unit by unit or for all units at once. It
is timed on a few shuffles (the number is printed), and the time is scaled to all. It is compared
with `condition_label_null` (condition labels within a task). With the labels of the plain loop the
package's kernel computes the same TV; the largest relative difference is printed. Writes
``results/permutations.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import nwbcompare as nc
from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.kernels.permutation import Alike, cells_alike, label_means
from nwbcompare.kernels.variance import group_moments

RESULTS = Path(__file__).parent / "results" / "permutations.json"


@dataclass(frozen=True)
class Rows:
    """Rates sorted by unit, with the labels that are permuted within strata."""

    rates: np.ndarray
    unit: np.ndarray
    stratum: np.ndarray
    label: np.ndarray
    n_strata: int
    n_labels: int

    def tv(self, means: np.ndarray) -> np.ndarray:
        """Return TV for means ``(unit, stratum, label, time, ...)``."""
        return means.var(axis=2).mean(axis=2)


def rows_of(activity: Any) -> Rows:
    """Return the rows of the recording: conditions are permuted within the tasks."""
    block = next(iter(nc.blocks(activity).values()))
    _, condition = condition_table(block)
    order = np.argsort(block["observation_unit"].values, kind="stable")
    task, number = np.divmod(condition[order], 4)
    unit, rates = block["observation_unit"].values[order], block["rate"].values[order]
    return Rows(rates, unit, task, number, 2, 4)


def by_unit(rows: Rows, n_shuffles: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Loop over shuffles and units; return TV ``(shuffle, unit, task)`` and the labels used."""
    n_units = int(rows.unit.max()) + 1
    bounds = np.searchsorted(rows.unit, np.arange(n_units + 1))
    used = np.empty((len(rows.unit), n_shuffles), dtype=int)
    values = []
    for shuffle in range(n_shuffles):
        means = np.empty((n_units, rows.n_strata, rows.n_labels, rows.rates.shape[1]))
        for unit in range(n_units):
            of_unit = slice(bounds[unit], bounds[unit + 1])
            for stratum in range(rows.n_strata):
                inside = np.flatnonzero(rows.stratum[of_unit] == stratum) + bounds[unit]
                label = rng.permutation(rows.label[inside])
                used[inside, shuffle] = label
                rates = rows.rates[inside].astype(np.float64)
                for which in range(rows.n_labels):
                    means[unit, stratum, which] = rates[label == which].mean(axis=0)
        values.append(rows.tv(means))
    return np.stack(values), used


def all_units(
    rows: Rows, n_shuffles: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Loop over shuffles, with all units at once; see `by_unit`."""
    cell = rows.unit * rows.n_strata + rows.stratum
    by_label = rows.label[np.argsort(cell, kind="stable")]
    n_groups = (int(rows.unit.max()) + 1) * rows.n_strata * rows.n_labels
    used = np.empty((len(rows.unit), n_shuffles), dtype=int)
    values = []
    for shuffle in range(n_shuffles):
        used[np.lexsort((rng.random(len(cell)), cell)), shuffle] = by_label
        groups = cell * rows.n_labels + used[:, shuffle]
        _, means, _ = group_moments(rows.rates, groups, n_groups, squares=False)
        values.append(rows.tv(means.reshape(-1, rows.n_strata, rows.n_labels, means.shape[-1])))
    return np.stack(values), used


def with_labels(
    groups: list[Alike], labels: np.ndarray
) -> Iterator[tuple[Alike, np.ndarray, np.ndarray]]:
    """Yield the input of the package's kernel for labels ``(row, shuffle)``, cell by cell."""
    for group in groups:
        for cell in range(len(group.units)):
            rows = group.rows[:, [cell]]
            order = np.argsort(labels[rows[:, 0]], axis=0, kind="stable")
            yield replace(group, units=group.units[[cell]]), rows, np.argsort(order, axis=0)


def difference(rows: Rows, tv: np.ndarray, labels: np.ndarray) -> float:
    """Return the largest relative difference between TV of a loop and of the package's kernel."""
    complete = np.ones(len(rows.unit), dtype=bool)
    groups = cells_alike(rows.unit, rows.stratum, rows.label, rows.n_labels, complete)
    shape = (tv.shape[1], rows.n_strata, rows.n_labels, len(tv))
    means = label_means(rows.rates, with_labels(groups, labels), shape)
    return float(np.abs(np.moveaxis(rows.tv(means), -1, 0) / tv - 1).max())


def best_of(repeats: int, work: Callable[[], Any]) -> float:
    """Return the shortest of several times (s)."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Run the benchmark, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--shuffles", type=int, default=5, help="shuffles of the plain loops")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="100 permutations, 1 shuffle")
    arguments = parser.parse_args()
    n, n_shuffles = (100, 1) if arguments.quick else (arguments.permutations, arguments.shuffles)
    activity = nc.load("mante2013", animal="ar", quality="all")

    def ours(n_workers: int) -> None:
        nc.selectivity.condition_label_null(
            activity, n_permutations=n, seed=arguments.seed, n_jobs=n_workers
        )

    print(f"762 units, {n} permutations; plain loops timed on {n_shuffles} and scaled")
    results: dict[str, Any] = {
        "permutations": n,
        "plain_shuffles_timed": n_shuffles,
        "workers": arguments.workers,
        "seed": arguments.seed,
    }
    rows = rows_of(activity)
    row: dict[str, float] = {}
    for kind, loop in {"by_unit": by_unit, "all_units": all_units}.items():
        rng = np.random.default_rng(arguments.seed)
        start = time.perf_counter()
        result_of_loop = loop(rows, n_shuffles, rng)
        row[f"plain_{kind}_s"] = (time.perf_counter() - start) * n / n_shuffles
        row[f"difference_{kind}"] = difference(rows, *result_of_loop)
    row["ours_1_worker_s"] = best_of(2, lambda: ours(1))
    row["ours_s"] = best_of(2, lambda: ours(arguments.workers))
    for kind in ("by_unit", "all_units"):
        row[f"ratio_{kind}"] = row[f"plain_{kind}_s"] / row["ours_s"]
    results["condition_label_null"] = row
    for key, value in row.items():
        print(f"  {key:22s} {value:.3g}")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
