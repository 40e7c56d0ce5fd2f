"""Error rates and power of the comparison of networks with a recording.

Every data set is simulated: FTVs are beta variates on [-1, 1] of a given s.d. A recording has
sessions of unequal size with correlated units: a session shifts the location of its units (by a
Gaussian copula) and scales their s.d. Units of networks and matched units have the same marginal
distribution, with independent shifts and scales where they are "clustered". Recordings have 5 or 8
sessions with 10 to 40 units, 20 with 2 to 19, or 69 with 1 to 8 (about the single units of monkey
A); units are more strongly correlated than those of monkey A, so that errors can occur.

Tables:

- ``level``: shares of p <= 0.05 where both sides have one distribution, from many data sets: of the
  s.d., mean and Wasserstein distance of one network over sessions (the network's units alone, or
  clustered in sessions as the recorded ones), and of the s.d. and mean of three networks of a kind
  (Student). "percentiles, s.d." is the 95 % interval of a bootstrap of sessions, for comparison.
- ``false positives``: shares of p <= 0.05 where both sides have one distribution, with exact 95 %
  intervals. "units permuted" is a test that treats units as independent, "percentile bootstrap" the
  95 % interval of percentiles over sessions, for comparison. "kind": networks differ in s.d. and
  mean, and equal the recording on average only; "these, asked of the kind" is the test about these
  networks, used for a statement about networks of their kind.
- ``coverage``: how often 95 % intervals contain the true value, for equal distributions and for an
  s.d. of 0.33 against 0.5.
- ``equivalence``: how often the equivalence test accepts equivalence with a true difference of the
  margin (an error, at most 5 %), and without a difference (power). The margin of the s.d. is 0.1,
  that of the Wasserstein distance the true distance of an s.d. of 0.33 and one of 0.43. "halves as
  margin" takes the recording's own halves for one, which is not offered.
- ``animals``: shares of p <= 0.05 for the s.d. in both of two animals of which one differs (an
  error), and for the difference of two animals that are alike.
- ``power``: shares of p <= 0.05 for the difference of s.d., 0.33 against 0.35 to 0.6, by the number
  of networks.

Run: ``python benchmarks/comparison_errors.py [--level-datasets N] [--datasets N]
[--power-datasets N] [--seed S] [--parts level,equivalence,animals,cases,power]
[--only ENDING] [--quick]``.
Cases that are not run keep the results they had. Results are written to
``comparison_errors.json`` and ``.md`` in ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from nwbcompare.comparison.kernels.distances import MEASURES, compare_weighted, weighted_sd
from nwbcompare.comparison.kernels.resampling import resample_hierarchy
from nwbcompare.comparison.split_half import split_half_distance

RESULTS = Path(__file__).parent / "results"
N_BOOTSTRAP, N_PERMUTATIONS = 100, 99
LEVEL = 0.05
SD, WIDER = 0.33, 0.5
LOCATION, SCALE = 0.3, 0.15
"""Share of sessions in the latent variance of units, and scaling of the units' s.d. by sessions."""
NETWORK_SD, NETWORK_MEAN = 0.04, 0.05
"""Standard deviations of s.d. and mean over networks of a kind."""
MARGIN = 0.1
MANY = 69
"""Sessions of the single units of monkey A."""
SDS, N_NETWORKS = (0.35, 0.4, 0.45, 0.5, 0.6), (1, 3, 5, 8, 10)
BOUNDS = {"mixed_below": 0.3, "single_above": 0.9}
COLUMNS = (*CLAIMS, "networks of this kind, Student")
Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def session_of_units(n_sessions: int, rng: np.random.Generator) -> Codes:
    """Draw the session of each unit."""
    if n_sessions == MANY:
        sizes = 1 + rng.binomial(7, rng.beta(1, 3.4, size=n_sessions))
    else:
        sizes = rng.integers(*((2, 20) if n_sessions >= 20 else (10, 41)), size=n_sessions)
    return np.repeat(np.arange(n_sessions), sizes)


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
    n_sessions: int = MANY,
    matched: bool = True,
    n_networks: int = 3,
    sd: float = SD,
    draw: Callable[[int, float, np.random.Generator], Array] | None = None,
) -> tuple[list[xr.Dataset], xr.Dataset]:
    """Draw networks and a recording with an s.d. of 0.33; by default networks' units are alone."""
    session = session_of_units(n_sessions, rng)
    recording = table(clustered(session, SD, rng), "recording", session=session)
    models = []
    for which in range(n_networks):
        columns = {"session": session, "recorded_unit": np.arange(session.size)} if matched else {}
        n = session.size if matched else 150
        values = clustered(session, sd, rng) if draw is clustered else (draw or alone)(n, sd, rng)
        models.append(table(values, f"network {which}", **columns))
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
    names = ("p_value", "p_student", "low", "high")
    return {name: comparison[name].values for name in names} | {
        "units permuted": units_permuted(models, recording, rng) if is_about_these else None,
        "percentile bootstrap": percentiles(models, recording, rng) if is_about_these else None,
    }


def equivalence(
    seed: Sequence[int], *, margins: Sequence[float], **options: Any
) -> dict[str, bool]:
    """Compare a data set of one network; return by which margins it is called alike."""
    rng = np.random.default_rng(seed)
    models, recording = data_set(rng, n_networks=1, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = compare_samples(models, recording, n_bootstrap=N_BOOTSTRAP, n_permutations=2)
        halves = split_half_distance(recording, n_splits=20, seed=seed[-1])
    apart = np.abs(halves["value"].sel(measure="sd_difference").values)
    of_halves = float(np.quantile(apart, 0.95) / halves.attrs["size_factor"])
    rules = {
        "s.d.": ("sd", margins[0]),
        "Wasserstein": ("wasserstein", margins[1]),
        "s.d., halves as margin": ("sd", of_halves),
    }
    return {
        name: bool(equivalence_test(found, margin=m, measure=which)["equivalent"].values[0])
        for name, (which, m) in rules.items()
    }


def level(seed: Sequence[int], **options: Any) -> dict[str, bool]:
    """Compare one data set where both sides have one distribution; return what is rejected."""
    rng = np.random.default_rng(seed)
    of_kind = options.get("draw") is of_a_kind
    models, recording = data_set(rng, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = compare_samples(
            models, recording, n_bootstrap=2, n_permutations=2 if of_kind else N_PERMUTATIONS
        )
    p = found["p_student" if of_kind else "p_value"].sel(claim=CLAIMS[int(of_kind)])
    names = ("sd", "mean") if of_kind else ("sd", "mean", "wasserstein")
    rejects = {name: float(p.sel(measure=name)) <= LEVEL for name in names}
    return rejects | ({} if of_kind else {"percentiles, s.d.": percentiles(models, recording, rng)})


def two_animals(seed: Sequence[int], *, n_sessions: int, different: bool) -> dict[str, Any]:
    """Compare one network with two animals, from one or none of which it differs in s.d."""
    rng = np.random.default_rng(seed)
    parts = [session_of_units(n_sessions, rng), n_sessions + session_of_units(n_sessions, rng)]
    session = np.concatenate(parts)
    animal = np.where(session < n_sessions, "A", "B")
    columns = {"session": session, "subject": animal}
    recording = table(clustered(session, SD, rng), "recording", **columns)
    values = np.concatenate(
        [alone(parts[0].size, WIDER if different else SD, rng), alone(parts[1].size, SD, rng)]
    )
    network = table(values, "network", recorded_unit=np.arange(session.size), **columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = compare_samples([network], recording, n_bootstrap=2, n_permutations=2)
    sd, mean = (found.sel(measure=name) for name in ("sd", "mean"))
    return {
        "in both animals, s.d.": float(sd["p_value"].sel(claim=CLAIMS[0])) <= LEVEL,
        "animals differ, s.d.": float(sd["animal_difference_p"].item()) <= LEVEL,
        "animals differ, mean": float(mean["animal_difference_p"].item()) <= LEVEL,
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


def percentiles(
    models: Sequence[xr.Dataset], recording: xr.Dataset, rng: np.random.Generator
) -> bool:
    """Return whether a bootstrap's 95 % percentiles of the difference of s.d. exclude 0."""
    y, session = recording["fractional_task_variance"].values, recording["session"].values
    count = resample_hierarchy([session], rng, N_BOOTSTRAP)
    is_matched = "recorded_unit" in models[0].coords
    spreads = []
    for model in models:
        x = model["fractional_task_variance"].values
        own = count if is_matched else resample_hierarchy([np.arange(x.size)], rng, N_BOOTSTRAP)
        spreads.append(weighted_sd(x, own))
    low, high = np.quantile(np.mean(spreads, axis=0) - weighted_sd(y, count), [0.025, 0.975])
    return bool(low > 0 or high < 0)


SESSIONS = (5, 8, 20, MANY)
CASES: dict[str, dict[str, Any]] = {
    f"{n} sessions, {what}": {"n_sessions": n} | options
    for what, options in {
        "matched units": {},
        "clustered networks": {"draw": clustered},
        "units not matched": {"matched": False},
        "kind of 3": {"draw": of_a_kind},
        "kind of 10": {"draw": of_a_kind, "n_networks": 10},
        "wider": {"sd": WIDER},
        "kind of 10, wider": {"draw": of_a_kind, "n_networks": 10, "sd": WIDER},
    }.items()
    for n in SESSIONS
}
LEVELS: dict[str, dict[str, Any]] = {
    f"{n} sessions, {what}": {"n_sessions": n} | options
    for what, options in {
        "network's units alone": {"n_networks": 1},
        "network's units clustered": {"n_networks": 1, "draw": clustered},
        "3 networks of a kind": {"draw": of_a_kind},
    }.items()
    for n in SESSIONS
}
OF_EQUIVALENCE: dict[str, dict[str, Any]] = {
    f"{n} sessions, {what}": {"n_sessions": n, "sd": sd}
    for what, sd in {"no difference": SD, "at the margin": SD + MARGIN}.items()
    for n in SESSIONS
}
OF_ANIMALS = {
    f"{n} sessions each, {'one animal differs' if different else 'animals alike'}": {
        "n_sessions": n,
        "different": different,
    }
    for different in (False, True)
    for n in SESSIONS
}


def truth(options: dict[str, Any], seed: int) -> Array:
    """Return the true value of each measure, from 100,000 units a side and 200 networks."""
    rng = np.random.default_rng([seed, 99])
    recorded, sd = alone(100_000, SD, rng), options.get("sd", SD)
    draw = of_a_kind if options.get("draw") is of_a_kind else alone
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


def summarise(
    options: dict[str, Any], data_sets: list[dict[str, Any]], true: Array
) -> dict[str, Any]:
    """Return the error rates and coverages that are defined for a case."""
    p, student, low, high = (
        np.stack([one[name] for one in data_sets])
        for name in ("p_value", "p_student", "low", "high")
    )
    claim = 1 if options.get("draw") is of_a_kind else 0
    rows: dict[str, Any] = {}
    for which, name in enumerate(MEASURES):
        inside = (low[:, claim, which] <= true[which]) & (true[which] <= high[:, claim, which])
        row = {"coverage": rate(inside)}
        null = options.get("sd", SD) == SD and (claim == 0 or name in {"sd", "mean"})
        if null:
            row["false positives"] = rate(p[:, claim, which] <= LEVEL)
            row["false positives, Student"] = rate(student[:, claim, which] <= LEVEL)
            if claim:
                row["these, asked of the kind"] = rate(p[:, 0, which] <= LEVEL)
            else:
                naive = np.stack([one["units permuted"] for one in data_sets])
                row["units permuted"] = rate(naive[:, which] <= LEVEL)
                if name == "sd":
                    row["percentile bootstrap"] = rate(
                        one["percentile bootstrap"] for one in data_sets
                    )
        rows[name] = row
    return {"claim": CLAIMS[claim], "measures": rows}


def many(
    pool: Any, n: int, seed: int, which: int, options: dict[str, Any], function: Any = measure
) -> list[dict[str, Any]]:
    """Measure n data sets, each with its own seed, so that results do not depend on workers."""
    seeds = [(seed, which, number) for number in range(n)]
    return list(pool.imap(partial(function, **options), seeds, chunksize=8))


def rate_text(rates: dict[str, float]) -> str:
    """Return a rate with its interval as text."""
    return f"{rates['share']:.3f} [{rates['low']:.3f}, {rates['high']:.3f}]"


def markdown(results: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    lines = ["# Errors of the comparison", "", f"Settings: {json.dumps(results['settings'])}", ""]
    for part in ("level", "equivalence", "animals", "power"):
        lines += as_table(part, results.get(part, {}))
    cases = results.get("cases", {})
    for quantity in (
        "false positives",
        "false positives, Student",
        "units permuted",
        "percentile bootstrap",
        "these, asked of the kind",
        "coverage",
    ):
        rows = {
            case: {name: row[quantity] for name, row in its["measures"].items() if quantity in row}
            for case, its in cases.items()
        }
        lines += as_table(quantity, {case: row for case, row in rows.items() if row})
    return "\n".join(lines)


def as_table(title: str, rows: dict[str, dict[str, Any]]) -> list[str]:
    """Return a table of rates by case and column, as lines."""
    if not rows:
        return []
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"## {title}", "", f"| case | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for case, row in rows.items():
        cells = [rate_text(row[name]) if name in row else "-" for name in names]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return [*lines, ""]


def main() -> None:
    """Run the benchmark, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level-datasets", type=int, default=2000, help="of each level")
    parser.add_argument("--datasets", type=int, default=200, help="data sets of each case")
    parser.add_argument(
        "--power-datasets", type=int, default=40, help="data sets of each point of the power curves"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--parts", default=",".join(PARTS), help="what to run, joined by commas")
    parser.add_argument("--only", default="", help="cases whose name ends so; others are kept")
    parser.add_argument(
        "--quick", action="store_true", help="20 data sets each; nothing is written"
    )
    options = parser.parse_args()
    if options.quick:
        options.level_datasets = options.datasets = 20
        options.power_datasets = 5
    file = RESULTS / "comparison_errors.json"
    results: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    with Pool(options.jobs) as pool:
        for part in options.parts.split(","):
            results.setdefault(part, {})
            for case, values in PARTS[part](pool, options):
                results[part][case] = values
                # kept case by case, since a run takes hours
                if not options.quick:
                    results["settings"] = results.get("settings", {}) | settings(part, options)
                    file.write_text(json.dumps(results, indent=1) + "\n")
                    file.with_suffix(".md").write_text(markdown(results))
    print(markdown(results))


def settings(part: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what the results of a part stand on."""
    number = {"level": options.level_datasets, "power": options.power_datasets}
    return {
        part: {
            "datasets": number.get(part, options.datasets),
            "seed": options.seed,
            "n_bootstrap": N_BOOTSTRAP,
            "n_permutations": N_PERMUTATIONS,
        }
    }


Cases = Iterator[tuple[str, Any]]


def chosen(
    cases: dict[str, dict[str, Any]], options: argparse.Namespace
) -> Iterator[tuple[int, tuple[str, dict[str, Any]]]]:
    """Yield the cases to run, each with its place, on which its seeds depend."""
    for place, (case, its) in enumerate(tqdm(cases.items(), disable=None)):
        if case.endswith(options.only):
            yield place, (case, its)


def run_level(pool: Any, options: argparse.Namespace) -> Cases:
    """Yield the shares rejected where nothing differs."""
    for which, (case, its) in chosen(LEVELS, options):
        drawn = many(pool, options.level_datasets, options.seed, 300 + which, its, level)
        yield case, {name: rate(one[name] for one in drawn) for name in drawn[0]}


def run_cases(pool: Any, options: argparse.Namespace) -> Cases:
    """Yield errors and coverage of every measure."""
    for which, (case, its) in chosen(CASES, options):
        drawn = many(pool, options.datasets, options.seed, which, its)
        yield case, summarise(its, drawn, truth(its, options.seed))


def run_equivalence(pool: Any, options: argparse.Namespace) -> Cases:
    """Yield how often networks are called alike, with a difference of the margin and without."""
    at_margin = truth({"sd": SD + MARGIN}, options.seed)
    margins = (MARGIN, float(at_margin[MEASURES.index("wasserstein")]))
    for which, (case, its) in chosen(OF_EQUIVALENCE, options):
        given = its | {"margins": margins}
        drawn = many(pool, options.datasets, options.seed, 400 + which, given, equivalence)
        yield case, {name: rate(one[name] for one in drawn) for name in drawn[0]}


def run_animals(pool: Any, options: argparse.Namespace) -> Cases:
    """Yield errors of statements about two animals."""
    for which, (case, its) in chosen(OF_ANIMALS, options):
        drawn = many(pool, options.datasets, options.seed, 500 + which, its, two_animals)
        yield case, {name: rate(one[name] for one in drawn) for name in drawn[0]}


def run_power(pool: Any, options: argparse.Namespace) -> Cases:
    """Yield the power of each test by s.d. and number of networks."""
    cells = [(sd, number) for sd in SDS for number in N_NETWORKS]
    for which, (sd, number) in enumerate(tqdm(cells, desc="power", disable=None)):
        its = {"draw": of_a_kind, "n_networks": number, "sd": sd}
        drawn = many(pool, options.power_datasets, options.seed, 1000 + which, its)
        p = np.stack([[*one["p_value"][:, 0], one["p_student"][1, 0]] for one in drawn])
        yield (
            f"s.d. {sd}, {number} network{'s' * (number > 1)}",
            {claim: rate(p[:, i] <= LEVEL) for i, claim in enumerate(COLUMNS)},
        )


PARTS: dict[str, Callable[[Any, argparse.Namespace], Cases]] = {
    "level": run_level,
    "equivalence": run_equivalence,
    "cases": run_cases,
    "animals": run_animals,
    "power": run_power,
}


if __name__ == "__main__":
    main()
