"""Error rates and power of the comparison of networks with a recording.

Every data set is simulated: FTVs are beta variates on [-1, 1] of a given s.d. A recording has
sessions of unequal size with correlated units: a session shifts the location of its units (by a
Gaussian copula) and scales their s.d. Units of networks and matched units have the same marginal
distribution, with independent shifts and scales. Sizes are about those of the single units of
monkey A (``sparse``: 69 sessions with 1 to 8 units), or few large sessions (``few``: 8 sessions
with 10 to 40 units); units are more strongly correlated than those of monkey A, so that errors can
occur.

Tables:

- ``false positives``: shares of p <= 0.05 where both sides have one distribution, with exact 95 %
  intervals. "units permuted" is a test that treats units as independent, for comparison. "kind":
  networks differ in s.d. and mean, and equal the recording on average only; "these, asked of the
  kind" is the test about these networks, used for a statement about networks of their kind.
- ``coverage``: how often 95 % intervals contain the true value, for equal distributions and for an
  s.d. of 0.33 against 0.5. "units drawn again" is a bootstrap of the recording's own s.d. that
  resamples sessions, and units within them.
- ``called alike``: how often the equivalence test accepts equivalence with a true difference of the
  margin, 0.1 (an error, at most 5 %), and without a difference.
- ``power``: shares of p <= 0.05 for the difference of s.d., 0.33 against 0.35 to 0.6, by the number
  of networks.

Run: ``python benchmarks/comparison_errors.py [--datasets N] [--power-datasets N] [--seed S]
[--quick]``. Results are written to ``benchmarks/results/comparison_errors.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import stats
from tqdm import tqdm

from nwbcompare.comparison.compare_samples import CLAIMS, compare_samples
from nwbcompare.comparison.equivalence import equivalence_test
from nwbcompare.comparison.kernels.distances import MEASURES, compare_weighted
from nwbcompare.comparison.kernels.resampling import resample_hierarchy

RESULTS = Path(__file__).parent / "results"
N_BOOTSTRAP, N_PERMUTATIONS = 100, 99
SD, WIDER = 0.33, 0.5
LOCATION, SCALE = 0.3, 0.15
"""Share of sessions in the latent variance of units, and scaling of the units' s.d. by sessions."""
NETWORK_SD, NETWORK_MEAN = 0.04, 0.05
"""Standard deviations of s.d. and mean over networks of a kind."""
MARGIN = 0.1
SDS, N_NETWORKS = (0.35, 0.4, 0.45, 0.5, 0.6), (1, 3, 5, 8, 10)
BOUNDS = {"mixed_below": 0.3, "single_above": 0.9}
COLUMNS = (*CLAIMS, "networks of this kind, Student")
Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def session_of_units(design: str, rng: np.random.Generator) -> Codes:
    """Draw the session of each unit."""
    if design == "few":
        sizes = rng.integers(10, 41, size=8)
    else:
        sizes = 1 + rng.binomial(7, rng.beta(1, 3.4, size=69))
    return np.repeat(np.arange(sizes.size), sizes)


def clustered(cluster: Codes, sd: float, rng: np.random.Generator) -> Array:
    """Draw values that are correlated within clusters, of the same marginal distribution."""
    n_clusters = int(cluster.max()) + 1
    shift = rng.standard_normal(n_clusters)[cluster]
    latent = np.sqrt(LOCATION) * shift + np.sqrt(1 - LOCATION) * rng.standard_normal(cluster.size)
    scale = 1 + SCALE * rng.choice([-1, 1], size=n_clusters)[cluster]
    return beta(stats.norm.cdf(latent), 0.0, sd * scale / np.sqrt(1 + SCALE**2))


def beta(quantile: Array, mean: float, sd: float | Array) -> Array:
    """Return the values at quantiles of the beta distribution on [-1, 1]."""
    share = (1 + mean) / 2
    total = share * (1 - share) / (np.asarray(sd) / 2) ** 2 - 1
    values: Array = 2 * stats.beta.ppf(quantile, share * total, (1 - share) * total) - 1
    return values


def alone(n: int, sd: float, rng: np.random.Generator) -> Array:
    """Draw independent units."""
    return clustered(np.arange(n), sd, rng)


def of_a_kind(n: int, sd: float, rng: np.random.Generator) -> Array:
    """Draw the units of a network that has the s.d. and mean on average over networks only."""
    network_sd = sd + NETWORK_SD * np.clip(rng.standard_normal(), -3, 3)
    return beta(rng.random(n), NETWORK_MEAN * rng.standard_normal(), network_sd)


def table(values: Array, label: str, **columns: npt.NDArray[Any]) -> xr.Dataset:
    """Make a table of samples."""
    return xr.Dataset(
        {"fractional_task_variance": ("unit", values)},
        {name: ("unit", column) for name, column in columns.items()},
        attrs={"name": label, "task_a": "a", "task_b": "b"},
    )


def data_set(
    rng: np.random.Generator,
    *,
    design: str = "sparse",
    matched: bool = True,
    n_networks: int = 3,
    sd: float = SD,
    draw: Callable[[int, float, np.random.Generator], Array] = alone,
) -> tuple[list[xr.Dataset], xr.Dataset]:
    """Draw networks and a recording with an s.d. of 0.33."""
    session = session_of_units(design, rng)
    recording = table(clustered(session, SD, rng), "recording", session=session)
    models = []
    for which in range(n_networks):
        columns = {"session": session, "recorded_unit": np.arange(session.size)} if matched else {}
        n = session.size if matched else 150
        models.append(table(draw(n, sd, rng), f"network {which}", **columns))
    return models, recording


def measure(seed: Sequence[int], **options: Any) -> dict[str, Any]:
    """Draw and compare a data set; return p values and interval limits ``(claim, measure)``."""
    rng = np.random.default_rng(seed)
    is_about_these = options.get("draw") is not of_a_kind
    models, recording = data_set(rng, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        comparison = compare_samples(
            models, recording, n_bootstrap=N_BOOTSTRAP, n_permutations=N_PERMUTATIONS, seed=seed[-1]
        )
    equivalent = equivalence_test(comparison, margin=MARGIN)["equivalent"].values
    names = ("p_value", "p_student", "low", "high")
    return {name: comparison[name].values for name in names} | {
        "alike": equivalent,
        "naive": units_permuted(models, recording, rng) if is_about_these else None,
        "again": units_drawn_again(recording, rng),
    }


def units_permuted(
    models: Sequence[xr.Dataset], recording: xr.Dataset, rng: np.random.Generator
) -> Array:
    """Return the p value of each measure by the test that treats units as independent."""
    model = np.concatenate([one["fractional_task_variance"].values for one in models])
    pooled = np.concatenate([model, recording["fractional_task_variance"].values])
    label = np.arange(pooled.size) < model.size
    first = np.concatenate([label[None], rng.permuted(np.tile(label, (N_PERMUTATIONS, 1)), axis=1)])
    size = np.abs(compare_weighted(pooled, first, ~first, **BOUNDS)[0])
    return np.asarray((size >= size[0] - 1e-12).mean(axis=0))


def units_drawn_again(recording: xr.Dataset, rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the recording's s.d. by resampling sessions and units."""
    values = recording["fractional_task_variance"].values
    levels = [recording["session"].values, np.arange(values.size)]
    count = resample_hierarchy(levels, rng, N_BOOTSTRAP)
    mean = count @ values / count.sum(axis=1)
    sd = np.sqrt(count @ values**2 / count.sum(axis=1) - mean**2)
    half = stats.t.ppf(0.975, np.unique(levels[0]).size - 1) * sd.std(ddof=1)
    return values.std() - half, values.std() + half


CASES: dict[str, dict[str, Any]] = {
    "sparse, matched units": {},
    "sparse, units not matched": {"matched": False},
    "few, matched units": {"design": "few"},
    "few, units not matched": {"design": "few", "matched": False},
    "kind of 3": {"draw": of_a_kind, "n_networks": 3},
    "kind of 5": {"draw": of_a_kind, "n_networks": 5},
    "kind of 10": {"draw": of_a_kind, "n_networks": 10},
    "few, kind of 10": {"draw": of_a_kind, "n_networks": 10, "design": "few"},
    "sparse, matched units, wider": {"sd": WIDER},
    "sparse, units not matched, wider": {"sd": WIDER, "matched": False},
    "few, matched units, wider": {"sd": WIDER, "design": "few"},
    "kind of 10, wider": {"draw": of_a_kind, "n_networks": 10, "sd": WIDER},
    "sparse, matched units, at the margin": {"sd": SD + MARGIN},
    "few, matched units, at the margin": {"sd": SD + MARGIN, "design": "few"},
    "kind of 5, at the margin": {"draw": of_a_kind, "n_networks": 5, "sd": SD + MARGIN},
}


def truth(options: dict[str, Any], seed: int) -> Array:
    """Return the true value of each measure, from 100,000 units a side and 200 networks."""
    rng = np.random.default_rng([seed, 99])
    recorded, sd = alone(100_000, SD, rng), options.get("sd", SD)
    draw = options.get("draw", alone)
    n = 200 if draw is of_a_kind else 1
    values = []
    for _ in range(n):
        model = draw(100_000 // n, sd, rng)
        pooled = np.concatenate([model, recorded if n == 1 else recorded[::20]])
        first = (np.arange(pooled.size) < model.size)[None]
        values.append(compare_weighted(pooled, first, ~first, **BOUNDS)[0][0])
    exact = np.mean(values, axis=0)
    if sd == SD and draw is alone:
        return np.zeros_like(exact)
    return np.asarray(exact)


def rate(hits: Iterable[Any]) -> dict[str, float]:
    """Return the share of hits with its exact binomial 95 % interval."""
    values = np.asarray(list(hits), dtype=bool)
    interval = stats.binomtest(int(values.sum()), values.size).proportion_ci()
    return {
        "share": float(values.mean()),
        "low": interval.low,
        "high": interval.high,
        "n": values.size,
    }


def summarise(options: dict[str, Any], data_sets: list[dict[str, Any]], seed: int) -> Any:
    """Return the error rates and coverages that are defined for a case."""
    p = np.stack([one["p_value"] for one in data_sets])
    low, high = (np.stack([one[end] for one in data_sets]) for end in ("low", "high"))
    true = truth(options, seed)
    claim = 1 if options.get("draw") is of_a_kind else 0
    rows: dict[str, Any] = {}
    for which, name in enumerate(MEASURES):
        row = {
            "coverage": rate(
                (low[:, claim, which] <= true[which]) & (true[which] <= high[:, claim, which])
            )
        }
        null = options.get("sd", SD) == SD and (claim == 0 or name in {"sd", "mean"})
        if null:
            row["false positives"] = rate(p[:, claim, which] <= 0.05)
            student = np.stack([one["p_student"] for one in data_sets])
            row["false positives, Student"] = rate(student[:, claim, which] <= 0.05)
            row["these, asked of the kind" if claim else "units permuted"] = rate(
                p[:, 0, which] <= 0.05
                if claim
                else np.stack([one["naive"] for one in data_sets])[:, which] <= 0.05
            )
        rows[name] = row
    rows["sd"]["called alike"] = rate(one["alike"][claim] for one in data_sets)
    if claim == 0:
        rows["sd"]["units drawn again"] = rate(
            one["again"][0] <= SD <= one["again"][1] for one in data_sets
        )
    return {"claim": CLAIMS[claim], "measures": rows}


def many(pool: Any, n: int, seed: int, which: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Measure n data sets, each with its own seed, so that results do not depend on workers."""
    seeds = [(seed, which, number) for number in range(n)]
    return list(pool.imap(partial(measure, **options), seeds, chunksize=8))


def power(pool: Any, n: int, seed: int) -> list[dict[str, Any]]:
    """Return the power of each test by s.d. and number of networks."""
    rows = []
    cells = [(sd, number) for sd in SDS for number in N_NETWORKS]
    for which, (sd, number) in enumerate(tqdm(cells, desc="power", disable=None)):
        data_sets = many(
            pool, n, seed, 1000 + which, {"draw": of_a_kind, "n_networks": number, "sd": sd}
        )
        p = np.stack([[*one["p_value"][:, 0], one["p_student"][1, 0]] for one in data_sets])
        rows.append(
            {"sd": sd, "n_networks": number}
            | {claim: rate(p[:, i] <= 0.05) for i, claim in enumerate(COLUMNS)}
        )
    return rows


def rate_text(rates: dict[str, float]) -> str:
    """Return a rate with its interval as text."""
    return f"{rates['share']:.3f} [{rates['low']:.3f}, {rates['high']:.3f}]"


def markdown(results: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    lines = ["# Errors of the comparison", "", f"Settings: {json.dumps(results['settings'])}", ""]
    for quantity in (
        "false positives",
        "false positives, Student",
        "units permuted",
        "these, asked of the kind",
        "coverage",
        "units drawn again",
        "called alike",
    ):
        cases = {
            case: summary
            for case, summary in results["cases"].items()
            if any(quantity in row for row in summary["measures"].values())
        }
        if not cases:
            continue
        names = [n for n in MEASURES if any(quantity in f["measures"][n] for f in cases.values())]
        lines += [
            f"## {quantity}",
            "",
            "| case | " + " | ".join(names) + " |",
            "|---" * (len(names) + 1) + "|",
        ]
        for case, summary in cases.items():
            rows = summary["measures"]
            cells = [rate_text(rows[n][quantity]) if quantity in rows[n] else "-" for n in names]
            lines.append(f"| {case} | " + " | ".join(cells) + " |")
        lines.append("")
    lines += [
        "## power (s.d.)",
        "",
        "| s.d. | networks | " + " | ".join(COLUMNS) + " |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['sd']} | {row['n_networks']} | "
        + " | ".join(rate_text(row[c]) for c in COLUMNS)
        + " |"
        for row in results["power"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the benchmark, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=200, help="data sets of each case")
    parser.add_argument(
        "--power-datasets", type=int, default=40, help="data sets of each point of the power curves"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--quick", action="store_true", help="20 data sets each; nothing is written"
    )
    options = parser.parse_args()
    n, n_power = (20, 5) if options.quick else (options.datasets, options.power_datasets)
    settings = {"datasets": n, "power_datasets": n_power, "seed": options.seed}
    settings |= {"n_bootstrap": N_BOOTSTRAP, "n_permutations": N_PERMUTATIONS}
    results: dict[str, Any] = {"settings": settings, "cases": {}, "power": []}
    with Pool(options.jobs) as pool:
        for which, (case, case_options) in enumerate(
            tqdm(CASES.items(), desc="cases", disable=None)
        ):
            data_sets = many(pool, n, options.seed, which, case_options)
            results["cases"][case] = summarise(case_options, data_sets, options.seed)
            write(results, options.quick)
        results["power"] = power(pool, n_power, options.seed)
    write(results, options.quick)
    print(markdown(results))


def write(results: dict[str, Any], quick: bool) -> None:  # noqa: FBT001 - the option
    """Write the results so far, unless the run is a quick one."""
    if not quick:
        (RESULTS / "comparison_errors.json").write_text(json.dumps(results, indent=1) + "\n")
        (RESULTS / "comparison_errors.md").write_text(markdown(results))


if __name__ == "__main__":
    main()
