"""Errors and power of the comparison with a recording, on recordings made from networks.

Every recording is made from a network: its units take the trials, mean rates, noise and strengths
of tuning of monkey A's 181 single units (Mante et al. 2013), so that the s.d. of FTV of the
recording and of networks sampled like it differ by noise alone. Networks are the ten "all20-fast"
ones; loops take them in turn. Counts are gamma-Poisson with each unit's Fano factor and trial-wide
gain.

Settings:

- "independent": network units take the place of recorded units at random.
- "tied", "tied, reversed": network units take the place of recorded units in the order, or the
  reversed order, of their own total variance, so that FTV depends on strength.
- "noise by task": the noise variance of the second task is three times that of the first.
- "shared noise": half of the gain's variance is common to the units of a session.
- "drift": the gain of each session drifts over its trials (random walk, s.d. 0.2 at its end).
- "drift, blocks": the same with one task in the first half of the session, the other in the second.
- "unequal trials": 40 % of the trials of the second task.
- "threshold x 0.1", "threshold x 10": other least variances of active network units.
- "wider by 0.10", "wider by 0.20": FTV of the recorded units is scaled so that its s.d. without
  noise is so much less than that of the network: power.

Samples are drawn as `nwbcompare.sample_like` does with ``match="tuning"``: strengths are estimated
from the recording with its noise; Fano factors and gains, which 560 trials of each unit and task
tell well, are taken as known. Three tests of the difference in s.d., over sessions: units paired
at random, by rank of strength, and by reversed rank; "all" rejects if all three do in one
direction. Over networks the nine other networks are tested against the recording of the tenth,
units paired at random, in some settings.

``--units 2`` makes recordings of twice as many units and sessions, about as many as both monkeys
have; ``--units 10`` of ten times as many, for the bias.

Run: ``NWBCOMPARE_DATA=FOLDER python benchmarks/closed_loop.py [--loops 200] [--jobs 2]``. Prints a
Markdown table and writes ``benchmarks/results/closed_loop.json``.
"""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from joblib import Parallel, delayed
from tqdm import tqdm

import nwbcompare as nc
from nwbcompare.comparison import matched_sampling
from nwbcompare.comparison.kernels.distances import weighted_sd
from nwbcompare.core.files import written_aside

RESULT = Path(__file__).parent / "results" / "closed_loop.json"
NETWORKS = [f"all20-fast-{seed}" for seed in range(10)]
TASKS = ("contextdm1", "contextdm2")
N_DRAWS = 4
PAIRINGS = ("random", "rank", "reversed")
MOST_TESTED = 2
"""Times the units up to which differences are tested; of more only the bias is of interest."""
WEIGHTS = {"": None, "weighted ": "tuned_share"}
TESTS = tuple(f"{weighted}{pairing}" for weighted in WEIGHTS for pairing in PAIRINGS)
DRIFT, N_STEPS = 0.2, 100
LEVELS = (0.05, 0.01)
OVER_NETWORKS = ("independent", "wider by 0.20")
SETTINGS: dict[str, dict[str, Any]] = {
    "independent": {},
    "tied": {"tie": 1},
    "tied, reversed": {"tie": -1},
    "noise by task": {"noise_ratio": 3.0},
    "shared noise": {"shared": 0.5},
    "drift": {"drift": "interleaved"},
    "drift, blocks": {"drift": "blocks"},
    "unequal trials": {"trial_share": 0.4},
    "threshold x 0.1": {"threshold": 0.1},
    "threshold x 10": {"threshold": 10.0},
    "wider by 0.10": {"change": 0.10},
    "wider by 0.20": {"change": 0.20},
}
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Monkey:
    """What recordings take from monkey A.

    Attributes
    ----------
    n
        Trials ``(unit, condition)`` of the 72 recorded conditions.
    task, coarse
        Task of each condition, and matrix ``(condition, sign condition)`` of its pair of signs.
    coarse_task
        Task of each pair of signs.
    smoothing
        ``(bin, bin)``.
    fano, gain, mean, strength
        Of each unit ``(unit,)``: Fano factor, variance of the gain, mean rate, sum of corrected
        task variances.
    session
        ``(unit,)``.
    """

    n: Array
    task: npt.NDArray[np.int64]
    coarse: Array
    coarse_task: npt.NDArray[np.int64]
    smoothing: Array
    bin_width_s: float
    fano: Array
    gain: Array
    mean: Array
    strength: Array
    session: npt.NDArray[np.str_]


@cache
def monkey_and_networks() -> tuple[Monkey, dict[str, Array]]:
    """Read monkey A and the networks' responses ``(axis, condition, bin, unit)``."""
    recording = nc.load("mante2013", animal="ar")
    mapping = nc.comparison.read_mapping("mante2013")
    recorded = nc.comparison.RecordedTrials.of(recording, mapping)
    responses = {
        name: nc.comparison.network_response(
            nc.model.pretrained(name), recorded, mapping
        ).rates.astype(np.float64)
        for name in NETWORKS
    }
    task = (recorded.table["task"].values == TASKS[1]).astype(np.int64)
    signs = [np.sign(recorded.table[name].values) for name in mapping.columns]
    pairs, code = np.unique(np.stack([task, *signs]), axis=1, return_inverse=True)
    # numpy 2.0 keeps the dimensions of the input
    code = code.reshape(-1)
    scatter = nc.comparison.dispersion(recorded.block, conditions=mapping.columns)
    corrected = nc.selectivity.corrected_task_variance(recording)
    n = recorded.means["n_trials"].values[:, :, 0].astype(np.float64)
    mean = (n * recorded.means["rate_mean"].values.mean(axis=2)).sum(axis=1) / n.sum(axis=1)
    monkey = Monkey(
        n=n,
        task=task,
        coarse=np.eye(pairs.shape[1])[code],
        coarse_task=pairs[0].astype(np.int64),
        smoothing=recorded.smoothing,
        bin_width_s=recorded.bin_width_s,
        fano=np.nan_to_num(scatter["fano_factor"].values, nan=1.0),
        gain=np.nan_to_num(scatter["gain_variance"].values),
        mean=mean,
        strength=corrected["task_variance"].sum("task").values.clip(0),
        session=recorded.block["session"].values.astype(str),
    )
    return monkey, responses


@cache
def total_variance(network: str) -> Array:
    """Compute the variance over conditions, summed over tasks, of each unit ``(axis, unit)``."""
    monkey, responses = monkey_and_networks()
    rates = responses[network]
    by_task = [rates[:, monkey.task == task].var(axis=1).mean(axis=1) for task in (0, 1)]
    return np.sum(by_task, axis=0)


@dataclass
class Loop:
    """One recording made from a network, and samples of networks like it."""

    setting: dict[str, Any]
    seed: int
    repeats: int = 1
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        """Read monkey A, and repeat its units."""
        self.rng = np.random.default_rng([self.seed, 7])
        self.monkey, _ = monkey_and_networks()
        self.units = np.tile(np.arange(len(self.monkey.n)), self.repeats)
        self.n = self.monkey.n[self.units].copy()
        self.n[:, self.monkey.task == 1] *= self.setting.get("trial_share", 1.0)
        # a condition without a trial would have no mean
        self.n = np.maximum(np.round(self.n), 1)
        repeat = np.repeat(np.arange(self.repeats), len(self.monkey.n))
        self.session = np.char.add(self.monkey.session[self.units], [f" {k}" for k in repeat])

    def means(self, rates: Array) -> Array:
        """Average rates ``(unit, condition, bin)`` over the trials of each pair of signs."""
        total = self.monkey.coarse.T @ (rates * self.n[:, :, None])
        averages: Array = total / (self.n @ self.monkey.coarse)[:, :, None]
        return averages

    def variances(self, means: Array) -> Array:
        """Compute task variances ``(unit, task)`` of means over pairs of signs."""
        by_task = [means[:, self.monkey.coarse_task == t].var(axis=1).mean(axis=1) for t in (0, 1)]
        return np.stack(by_task, axis=1)

    def draw(self, network: str) -> tuple[Array, Array]:
        """Draw units of a network: rates ``(unit, condition, bin)``, and their total variance."""
        rates, variance = monkey_and_networks()[1][network], total_variance(network)
        least = matched_sampling.ACTIVE_SHARE * self.setting.get("threshold", 1.0)
        active = np.argwhere(variance > least * np.median(variance[variance > 0]))
        rounds = -(-self.units.size // len(active))
        drawn = np.concatenate([self.rng.permutation(active) for _ in range(rounds)])
        axis, unit = drawn[: self.units.size].T
        return rates[axis, :, :, unit], variance[axis, unit]

    def tuned(self, rates: Array, strength: Array, mean: Array) -> Array:
        """Scale and shift rates to a strength of tuning and a mean rate."""
        smoothed = rates @ self.monkey.smoothing
        own = self.variances(self.means(smoothed)).sum(axis=1)
        scale = np.sqrt(np.divide(strength, own, out=np.zeros_like(own), where=own > 0))
        average = (smoothed.mean(axis=2) * self.n).sum(axis=1) / self.n.sum(axis=1)
        tuned: Array = scale[:, None, None] * rates + (mean - scale * average)[:, None, None]
        return tuned

    def record(self, network: str) -> None:
        """Make the recording from units of a network."""
        monkey = self.monkey
        rates, variance = self.draw(network)
        strength = monkey.strength[self.units]
        if tie := self.setting.get("tie"):
            rates = rates[np.argsort(variance)[::tie]][np.argsort(np.argsort(strength))]
        if change := self.setting.get("change"):
            rates = self._narrowed(rates, change)
        rates = self.tuned(rates, strength, monkey.mean[self.units])
        # higher rates where some would be negative
        self.rates = rates + np.maximum(-rates.min(axis=(1, 2)), 0)[:, None, None]
        ratio = np.array([1.0, self.setting.get("noise_ratio", 1.0)])
        self.fano = monkey.fano[self.units, None] * ratio
        self.gain = monkey.gain[self.units, None] * ratio
        means = self._mean_counts(self.rates, disturbed=True)
        noise = self._noise_in(self.rates)
        raw = self.variances(means)
        # residuals of about 140 trials and 15 bins tell the noise to 3 %
        noise = noise * (1 + 0.03 * self.rng.standard_normal(raw.shape))
        self.noise_share = noise.sum(axis=1) / raw.sum(axis=1)
        self.strength = (raw - noise).sum(axis=1).clip(0)
        self.mean = (self.rates.mean(axis=2) * self.n).sum(axis=1) / self.n.sum(axis=1)
        self.ftv = fraction(raw)
        self.tuned_share = self.strength / (self.strength + noise.sum(axis=1))

    def _noise_in(self, rates: Array) -> Array:
        """Compute the noise in task variances ``(unit, task)``."""
        monkey, smoothing = self.monkey, self.monkey.smoothing
        fano, gain = self.fano[:, monkey.task], self.gain[:, monkey.task]
        variance = fano * (rates @ smoothing**2).mean(axis=2) / monkey.bin_width_s
        variance += gain * ((rates @ smoothing) ** 2).mean(axis=2)
        of_mean = (self.n * variance) @ monkey.coarse / (self.n @ monkey.coarse) ** 2
        by_task = [0.75 * of_mean[:, monkey.coarse_task == t].mean(axis=1) for t in (0, 1)]
        return np.stack(by_task, axis=1)

    def _narrowed(self, rates: Array, change: float) -> Array:
        """Scale FTV towards 0, unit by unit, so that its s.d. is smaller by ``change``."""
        smoothed = self.means(rates @ self.monkey.smoothing)
        values = fraction(self.variances(smoothed))
        share = values * (1 - change / np.nanstd(values))
        factor = np.sqrt((1 + np.stack([share, -share])) / (1 + np.stack([values, -values]) + 1e-9))
        narrowed = np.empty_like(rates)
        for task in (0, 1):
            here = self.monkey.task == task
            mean = rates[:, here].mean(axis=1, keepdims=True)
            narrowed[:, here] = mean + factor[task, :, None, None] * (rates[:, here] - mean)
        return narrowed

    def _mean_counts(self, rates: Array, *, disturbed: bool = False) -> Array:
        """Draw smoothed rates, averaged over the trials of each pair of signs.

        The sum of independent gamma gains, or of gamma-Poisson counts of one Fano factor, is
        distributed like each: no trial is drawn.
        """
        monkey, n = self.monkey, self.n
        gain = self.gain[:, monkey.task]
        shared = self.setting.get("shared", 0.0) if disturbed else 0.0
        own = gain * (1 - shared)
        factor = np.where(own > 0, self.rng.gamma(n / np.maximum(own, 1e-9), own + 1e-300) / n, 1)
        if disturbed:
            factor *= 1 + np.sqrt(shared * gain / n) * self._of_session(n.shape[1])
            factor *= 1 + self._drift()
        mean = monkey.coarse.T @ (rates * (n * factor.clip(0))[:, :, None]) * monkey.bin_width_s
        scatter = self.fano[:, monkey.coarse_task, None]
        extra = np.maximum(scatter - 1, 1e-9)
        counts = self.rng.poisson(self.rng.standard_gamma(mean / extra) * extra)
        # below 1 whole counts of this variance are nearly normal, summed over trials
        regular = mean + np.sqrt(scatter * mean) * self.rng.standard_normal(mean.shape)
        counts = np.where(scatter < 1, regular, counts)
        averages: Array = counts / ((n @ monkey.coarse)[:, :, None] * monkey.bin_width_s)
        return averages @ monkey.smoothing

    def _of_session(self, size: int) -> Array:
        """Draw normal values ``(unit, size)`` that the units of a session share."""
        _, code = np.unique(self.session, return_inverse=True)
        values: Array = self.rng.standard_normal((code.max() + 1, size))[code]
        return values

    def _drift(self) -> Array:
        """Draw the mean drift of the gain over each condition's trials ``(unit, condition)``."""
        kind = self.setting.get("drift")
        if kind is None:
            return np.zeros(self.n.shape)
        walk = self._of_session(N_STEPS).cumsum(axis=1) * DRIFT / np.sqrt(N_STEPS)
        scatter = walk.std(axis=1)[:, None] / np.sqrt(self.n)
        noise = scatter * self.rng.standard_normal(self.n.shape)
        if kind == "interleaved":
            return noise
        halves = np.split(walk, 2, axis=1)
        by_task = np.stack([half.mean(axis=1) for half in halves], axis=1)
        return by_task[:, self.monkey.task] + noise

    def sample(self, network: str, pairing: str) -> Array:
        """Sample a network like the recording, and compute its FTV ``(unit,)``."""
        rates, variance = self.draw(network)
        if pairing != "random":
            order = np.argsort(variance)[:: 1 if pairing == "rank" else -1]
            rates = rates[order][np.argsort(np.argsort(self.strength, kind="stable"))]
        rates = self.tuned(rates, self.strength, self.mean)
        positive = rates.clip(0)
        without_noise = self.means((rates - positive) @ self.monkey.smoothing)
        return fraction(self.variances(without_noise + self._mean_counts(positive)))


def fraction(variances: Array) -> Array:
    """Compute FTV ``(unit,)`` from task variances ``(unit, task)``."""
    a, b = variances.T
    return np.divide(a - b, a + b, out=np.full(a.size, np.nan), where=a + b > 0)


def spread(ftv: Array, weight: Array) -> float:
    """Compute the weighted s.d. of the FTV of active units."""
    active = np.isfinite(ftv)
    return float(weighted_sd(ftv[active], weight[None, active])[0])


def compare(loop: Loop, samples: dict[str, list[Array]], weight: str | None = None) -> xr.Dataset:
    """Compare samples of networks with the recording."""
    attrs = {"task_a": TASKS[0], "task_b": TASKS[1]}
    columns = {
        "session": ("unit", loop.session),
        "recorded_unit": ("unit", np.arange(loop.units.size)),
    }
    recording = xr.Dataset(
        {
            "fractional_task_variance": ("unit", loop.ftv),
            "tuned_share": ("unit", loop.tuned_share),
        },
        {"unit": np.arange(loop.units.size), "session": ("unit", loop.session)},
        attrs | {"name": "recording"},
    )
    models = [
        xr.Dataset(
            {"fractional_task_variance": (("draw", "unit"), np.stack(draws))},
            columns,
            attrs | {"name": name},
        )
        for name, draws in samples.items()
    ]
    return nc.compare_samples(models, recording, weight=weight, n_bootstrap=2, n_permutations=2)


def run_loop(name: str, seed: int, repeats: int) -> dict[str, float]:
    """Make a recording, sample networks like it, and test the difference in s.d."""
    import warnings  # noqa: PLC0415 - of this process

    warnings.simplefilter("ignore")
    loop = Loop(SETTINGS[name], seed, repeats)
    source = NETWORKS[seed % len(NETWORKS)]
    loop.record(source)
    result = {
        "recording": spread(loop.ftv, np.ones(loop.ftv.size)),
        "noise share": float(np.nanmedian(loop.noise_share)),
    }
    for pairing in PAIRINGS:
        draws = {source: [loop.sample(source, pairing) for _ in range(N_DRAWS)]}
        for weighted, weight in WEIGHTS.items():
            counts = np.ones(loop.ftv.size) if weight is None else loop.tuned_share
            sampled = [spread(draw, counts) for draw in draws[source]]
            result[f"{weighted}{pairing}"] = float(np.mean(sampled)) - spread(loop.ftv, counts)
            if repeats <= MOST_TESTED:
                values = compare(loop, draws, weight).sel(measure="sd", claim="these networks")
                result[f"p {weighted}{pairing}"] = float(values["p_value"])
    if repeats <= MOST_TESTED and name in OVER_NETWORKS:
        others = {
            other: [loop.sample(other, "random") for _ in range(2)]
            for other in NETWORKS
            if other != source
        }
        values = compare(loop, others).sel(measure="sd", claim="networks of this kind")
        result |= {
            "estimate over networks": float(values["estimate"]),
            "p over networks": float(values["p_value"]),
            "p Student over networks": float(values["p_student"]),
        }
    return result


def summarise(loops: list[dict[str, float]]) -> dict[str, float]:
    """Compute biases, and shares of rejection at each level."""
    column = {name: np.array([loop[name] for loop in loops]) for name in loops[0]}
    summary: dict[str, float] = {"n": len(loops), "recording": float(column["recording"].mean())}
    summary["noise share"] = float(column["noise share"].mean())
    for test in TESTS:
        away = column[test]
        summary[f"bias {test}"] = float(away.mean())
        summary[f"error of bias {test}"] = float(away.std(ddof=1) / np.sqrt(away.size))
    tests = [name for name in column if name.startswith("p ")]
    for level in LEVELS if tests else ():
        for name in tests:
            summary[f"{name} <= {level}"] = float((column[name] <= level).mean())
        for weighted in WEIGHTS:
            three = [f"{weighted}{pairing}" for pairing in PAIRINGS]
            largest = np.max([column[f"p {test}"] for test in three], axis=0)
            signs = np.sign([column[test] for test in three])
            all_reject = (largest <= level) & (signs == signs[0]).all(axis=0)
            summary[f"p {weighted}all <= {level}"] = float(all_reject.mean())
    return summary


def print_table(summaries: dict[str, dict[str, float]]) -> None:
    """Print the summaries as a Markdown table: biases, and rejections at 5 % and at 1 %."""
    tests = [f"{weighted}{name}" for weighted in WEIGHTS for name in (*PAIRINGS, "all")]
    tests += ["over networks", "Student over networks"]
    tests = [
        test for test in tests if all(f"p {test} <= 0.05" in one for one in summaries.values())
    ]
    head = ["setting", "loops", "s.d.", "noise share", *(f"bias, {test}" for test in TESTS), *tests]
    print("|", " | ".join(head), "|")
    print("|", " | ".join(["---"] * len(head)), "|")
    for name, one in summaries.items():
        cells = [name, f"{one['n']}", f"{one['recording']:.3f}", f"{one['noise share']:.2f}"]
        cells += [
            f"{one[f'bias {test}']:+.3f} ({one[f'error of bias {test}']:.3f})" for test in TESTS
        ]
        cells += [
            ", ".join(f"{one[f'p {test} <= {level}']:.3f}" for level in LEVELS) for test in tests
        ]
        print("|", " | ".join(cells), "|")


def main() -> None:
    """Run the loops of every setting, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loops", type=int, default=200)
    parser.add_argument("--units", type=int, default=1, help="times monkey A's units")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    # by its module, which other processes can import: what they read is kept there
    run = importlib.import_module(Path(__file__).stem).run_loop
    for name in options.settings:
        jobs = (delayed(run)(name, seed, options.units) for seed in range(options.loops))
        loops = Parallel(n_jobs=options.jobs, return_as="generator")(jobs)
        summary = summarise(list(tqdm(loops, total=options.loops, desc=name, disable=None)))
        print_table({name: summary})
        write(options.out, f"{options.units} times the units", {name: summary})


def write(path: Path, key: str, summaries: dict[str, dict[str, float]]) -> None:
    """Write summaries of settings, in place of earlier ones of the same settings."""
    kept = json.loads(path.read_text()) if path.is_file() else {}
    with written_aside(path, overwrite=True) as aside:
        aside.write_text(json.dumps(kept | {key: kept.get(key, {}) | summaries}, indent=1) + "\n")


if __name__ == "__main__":
    main()
