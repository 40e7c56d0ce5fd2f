"""Error rates and power of the test of FTV = 0, beside labels permuted between tasks.

Every data set is one simulated unit: spike counts of two tasks with four conditions each, in four
bins of 200 ms. `ftv_null` tests all units of a setting at once. "Labels permuted" is the test that
it replaces: the raw FTV against task labels permuted within condition. In settings of drift the
rate, and with it the tuning, changes by a gain that is smooth over the session (a line and a sine
of random phase, s.d. 0.25 over the session); the true FTV apart from drift is 0. Populations have
181 units. Prints a table and writes ``results/ftv_null.json`` setting by setting; results of
former runs with the same options are kept.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import nwbcompare as nc
from nwbcompare.analysis.selectivity.ftv_null import population_test
from nwbcompare.analysis.selectivity.kernels.ftv_null import packed, variances
from nwbcompare.core.errors import NotApplicableError

RESULTS = Path(__file__).parent / "results" / "ftv_null.json"
N_CONDITIONS, WINDOW_S = 4, 0.8
LEVEL, LIMIT = 0.05, 0.07


@dataclass(frozen=True)
class Setting:
    """How the units of one row of the table are simulated.

    Attributes
    ----------
    rate
        Mean rate in the two tasks (spikes/s).
    variance
        Task variance of the noise-free rates in the two tasks ((spikes/s)^2).
    trials
        Trials of each condition in the two tasks.
    shape
        Tuning of the second task: "same", "reversed" order of conditions, or "other" (drawn anew).
    fano, gain
        Fano factor of the counts, and variance of the gain of single trials.
    n_blocks
        Blocks of alternating tasks; 0: the tasks of trials are in random order.
    drift
        Standard deviation of the gain over the session.
    n_times
        Bins of the 0.8 s.
    """

    rate: tuple[float, float] = (10.0, 10.0)
    variance: tuple[float, float] = (0.0, 0.0)
    trials: tuple[int, int] = (20, 20)
    shape: str = "other"
    fano: float = 1.0
    gain: float = 0.0
    n_blocks: int = 0
    drift: float = 0.0
    n_times: int = 4

    @property
    def bin_s(self) -> float:
        """Width of a bin (s)."""
        return WINDOW_S / self.n_times


UNTUNED, TUNED = Setting(), Setting(rate=(20.0, 20.0), variance=(9.0, 9.0))
LONG = replace(TUNED, variance=(36.0, 36.0), trials=(126, 126))
OVERDISPERSED = {"fano": 2.0, "gain": 0.3}
ERRORS = {
    "untuned": UNTUNED,
    "rate 8 and 12, untuned": replace(UNTUNED, rate=(8.0, 12.0)),
    "rate 5 and 15, untuned": replace(UNTUNED, rate=(5.0, 15.0)),
    "rate 10 and 25, weakly tuned": replace(UNTUNED, rate=(10.0, 25.0), variance=(3.0, 3.0)),
    "rate 15 and 30, tuned": replace(TUNED, rate=(15.0, 30.0)),
    "2.5-fold trials, untuned": replace(UNTUNED, trials=(20, 50)),
    "2.5-fold trials, tuned": replace(TUNED, trials=(20, 50)),
    "2.5-fold trials, 8 and 20, tuned": replace(TUNED, trials=(8, 20)),
    "over-dispersed, untuned": replace(UNTUNED, **OVERDISPERSED),
    "over-dispersed, tuned": replace(TUNED, **OVERDISPERSED),
    "over-dispersed, rates, 2.5-fold": replace(
        TUNED, rate=(15.0, 20.0), trials=(50, 20), **OVERDISPERSED
    ),
    "same tuning": replace(TUNED, shape="same"),
    "conditions in reversed order": replace(TUNED, shape="reversed"),
    "other tuning": TUNED,
    "other tuning, strong": replace(TUNED, variance=(36.0, 36.0)),
    "drift, tasks interleaved, untuned": replace(UNTUNED, drift=0.25),
    "drift, tasks interleaved, tuned": replace(TUNED, drift=0.25),
    "2 blocks, no drift": replace(TUNED, n_blocks=2),
    "2 blocks, drift": replace(TUNED, n_blocks=2, drift=0.25),
    "4 blocks, drift": replace(TUNED, n_blocks=4, drift=0.25),
    "8 blocks, drift": replace(TUNED, n_blocks=8, drift=0.25),
    "16 blocks, drift": replace(TUNED, n_blocks=16, drift=0.25),
    "10 blocks of 101, strong, drift": replace(LONG, n_blocks=10, drift=0.25),
    "14 blocks of 72, strong, no drift": replace(LONG, n_blocks=14),
    "14 blocks of 72, strong, little drift": replace(LONG, n_blocks=14, drift=0.08),
    "14 blocks of 72, strong, drift": replace(LONG, n_blocks=14, drift=0.25),
    "14 blocks of 72, tuned, drift": replace(LONG, variance=(9.0, 9.0), n_blocks=14, drift=0.25),
    "14 blocks of 72, over-dispersed, drift": replace(
        LONG, variance=(9.0, 9.0), n_blocks=14, drift=0.25, **OVERDISPERSED
    ),
    "28 blocks of 36, strong, drift": replace(LONG, n_blocks=28, drift=0.25),
    "rate 8 and 12, untuned, 16 bins": replace(UNTUNED, rate=(8.0, 12.0), n_times=16),
    "rate 5 and 15, untuned, 16 bins": replace(UNTUNED, rate=(5.0, 15.0), n_times=16),
}
POWER = {
    f"FTV {ftv}, TV {total / 2:g}, {trials} trials": replace(
        TUNED,
        variance=(total * (1 + ftv) / 2, total * (1 - ftv) / 2),
        trials=(trials, trials),
    )
    for ftv in (0.3, 0.5)
    for total in (18.0, 50.0)
    for trials in (20, 80)
}


def tunings(setting: Setting, n_units: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the noise-free rates ``(unit, task, condition, time)`` less the mean rate."""
    drawn = rng.standard_normal((n_units, 2, N_CONDITIONS, 1))
    drawn = drawn + 0.5 * rng.standard_normal((n_units, 2, N_CONDITIONS, setting.n_times))
    if setting.shape != "other":
        drawn[:, 1] = drawn[:, 0, :: -1 if setting.shape == "reversed" else 1]
    drawn -= drawn.mean(axis=2, keepdims=True)
    size = np.sqrt(np.array(setting.variance) / drawn.var(axis=2).mean(axis=-1))
    return drawn * size[..., None, None]


def counts(mean: np.ndarray, fano: float, rng: np.random.Generator) -> np.ndarray:
    """Draw counts of a mean and a Fano factor."""
    if fano == 1:
        return rng.poisson(mean)
    return rng.negative_binomial(np.maximum(mean, 1e-9) / (fano - 1), 1 / fano)


def session(setting: Setting, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the task and the condition of each trial of a session, in order."""
    task = np.repeat([0, 1], np.array(setting.trials) * N_CONDITIONS)
    condition = np.concatenate([rng.permutation(np.arange(n) % 4) for n in np.bincount(task)])
    if not setting.n_blocks:
        order = rng.permutation(task.size)
        return task[order], condition[order]
    by_task = [np.array_split(np.flatnonzero(task == k), setting.n_blocks // 2) for k in (0, 1)]
    order = np.concatenate([block for both in zip(*by_task, strict=True) for block in both])
    return task[order], condition[order]


def simulate(
    setting: Setting, n_units: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate units: task and condition ``(unit, trial)``, rates ``(unit, trial, time)``."""
    tuning = tunings(setting, n_units, rng)
    drawn = [session(setting, rng) for _ in range(n_units)]
    task, condition = (np.stack(column) for column in zip(*drawn, strict=True))
    unit = np.arange(n_units)[:, None]
    rate = np.array(setting.rate)[task][..., None] + tuning[unit, task, condition]
    if setting.drift:
        x = np.linspace(-1, 1, task.shape[1])
        phase = rng.uniform(0, 2 * np.pi, (n_units, 1))
        smooth = rng.choice([-1, 1], (n_units, 1)) * np.sqrt(1.5) * x + np.sin(np.pi * x + phase)
        smooth -= smooth.mean(axis=1, keepdims=True)
        gain = 1 + setting.drift * smooth / smooth.std(axis=1, keepdims=True)
        rate *= np.maximum(gain, 0.1)[..., None]
    rate = np.maximum(rate, 0)
    if setting.gain:
        rate *= rng.gamma(1 / setting.gain, setting.gain, rate.shape[:2])[..., None]
    return task, condition, counts(rate * setting.bin_s, setting.fano, rng) / setting.bin_s


def as_block(task: np.ndarray, condition: np.ndarray, rate: np.ndarray) -> Any:
    """Make a recording of simulated units, each in its own session."""
    (n_units, n_trials), n_times = task.shape, rate.shape[2]
    return nc.make_block(
        rate.reshape(-1, n_times).astype(np.float32),
        time_s=(np.arange(n_times) + 0.5) * WINDOW_S / n_times,
        bin_width_s=WINDOW_S / n_times,
        aligned_to="stimulus",
        trials={
            "task": np.array(["a", "b"])[task.ravel()],
            "condition": condition.ravel(),
            "trial_number": np.tile(np.arange(n_trials), n_units),
        },
        units={"unit": [f"u{i}" for i in range(n_units)]},
        observation_unit=np.repeat(np.arange(n_units), n_trials),
        condition_variables={"a": ["condition"], "b": ["condition"]},
        source="recording",
        name="simulated",
    )


def permuted_labels(
    task: np.ndarray, condition: np.ndarray, rate: np.ndarray, n: int, rng: np.random.Generator
) -> np.ndarray:
    """Test the raw FTV of each unit against task labels permuted within condition: p values."""
    return np.array(
        [
            _permuted(*unit, n, rng)
            for unit in zip(task, condition, rate.astype(np.float32), strict=True)
        ]
    )


def _permuted(
    task: np.ndarray, condition: np.ndarray, rate: np.ndarray, n: int, rng: np.random.Generator
) -> float:
    means = np.empty((2, n + 1, N_CONDITIONS, rate.shape[1]))
    for c in range(N_CONDITIONS):
        own = condition == c
        label, rates = task[own], rate[own]
        labels = np.vstack([label, rng.permuted(np.tile(label, (n, 1)), axis=1)])
        for k in (0, 1):
            means[k, :, c] = (labels == k) @ rates / (label == k).sum()
    a, b = means.var(axis=2).mean(axis=-1)
    ftv = np.abs((a - b) / (a + b))
    return float((ftv >= ftv[0] * (1 - 1e-9)).mean())


def rejections(p: np.ndarray) -> dict[str, Any]:
    """Return the share of p values of at most 5 % with its exact 95 % interval; None if refused."""
    n, k = int(np.isfinite(p).sum()), int((p <= LEVEL).sum())
    if not n:
        return {"n_tested": 0, "share": None, "low": None, "high": None}
    low, high = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    return {"n_tested": n, "share": k / n, "low": float(low), "high": float(high)}


def single_units(
    setting: Setting, n_units: int, arguments: argparse.Namespace, rng: np.random.Generator
) -> dict[str, Any]:
    """Test all units of a setting in both ways."""
    simulated = simulate(setting, n_units, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.UnitWarning)
        try:
            found = nc.selectivity.ftv_null(
                as_block(*simulated), "a", "b", n_resamples=arguments.resamples, n_jobs=1
            )
            p = found["p_value"].values
        except NotApplicableError:
            p = np.full(n_units, np.nan)
    few = [column[: arguments.permuted] for column in simulated]
    return {
        **rejections(p),
        "refused": float(np.isnan(p).mean()),
        "labels_permuted": rejections(permuted_labels(*few, 199, rng)),
    }


@dataclass(frozen=True)
class Population:
    """How the units of a population are simulated.

    Attributes
    ----------
    n_sessions
        Sessions that share the 181 units.
    noise
        Rates, trials and noise of every unit, whose task variances are lognormal about 9
        (s.d. of the logarithm 1).
    ftv_sd, ftv_mean
        Spread and mean of the units' FTV (values beyond -1 and 1 are cut). Half of the variance
        is between sessions.
    shared
        Variance of the gain that the units of a session share in each trial.
    """

    n_sessions: int = 60
    noise: Setting = TUNED
    ftv_sd: float = 0.0
    ftv_mean: float = 0.0
    shared: float = 0.0


POPULATIONS = {
    "60 sessions": Population(),
    "20 sessions": Population(n_sessions=20),
    "8 sessions": Population(n_sessions=8),
    "60 sessions, shared gain": Population(shared=0.2),
    "60 sessions, over-dispersed, 2.5-fold": Population(
        noise=replace(TUNED, trials=(20, 50), **OVERDISPERSED)
    ),
    "20 sessions, FTV s.d. 0.4": Population(n_sessions=20, ftv_sd=0.4),
    "60 sessions, FTV s.d. 0.2": Population(ftv_sd=0.2),
    "60 sessions, FTV mean 0.1, s.d. 0.2": Population(ftv_sd=0.2, ftv_mean=0.1),
}


def population(
    setting: Population, arguments: argparse.Namespace, rng: np.random.Generator
) -> dict[str, Any]:
    """Test populations of a setting."""
    n_units, noise = 181, setting.noise
    number = np.sort(np.arange(n_units) % setting.n_sessions)
    p = np.empty((arguments.populations, 2))
    for dataset in range(arguments.populations):
        total = 18 * np.exp(rng.standard_normal(n_units) - 0.5)
        between = rng.standard_normal(setting.n_sessions)[number]
        own = (between + rng.standard_normal(n_units)) / np.sqrt(2)
        ftv = np.clip(setting.ftv_mean + setting.ftv_sd * own, -1, 1)
        tuning = tunings(replace(noise, variance=(1.0, 1.0)), n_units, rng)
        measured = []
        for k, sign in enumerate((1, -1)):
            size = np.sqrt(total * (1 + sign * ftv) / 2)
            rate = np.maximum(noise.rate[k] + tuning[:, k] * size[:, None, None], 0)
            shape = (n_units, N_CONDITIONS, noise.trials[k], 1)
            rates = rate[:, :, None] * np.ones(shape)
            if setting.shared:
                shared = (setting.n_sessions, *shape[1:])
                rates *= rng.gamma(1 / setting.shared, setting.shared, shared)[number]
            if noise.gain:
                rates *= rng.gamma(1 / noise.gain, noise.gain, shape)
            measured.append(corrected(counts(rates * noise.bin_s, noise.fano, rng) / noise.bin_s))
        a, b = (found.corrected for found in measured)
        squared = sum(found.unbiased_squared_error for found in measured)
        tested = population_test(a - b, a + b, squared, number)
        p[dataset] = tested.summed_ftv_p_value, tested.spread_p_value
    return {"mean": rejections(p[:, 0]), "spread": rejections(p[:, 1])}


def corrected(trials: np.ndarray) -> Any:
    """Correct the variances of units with equal numbers of trials: (unit, condition, trial, time).

    The kernel's resamples are units here.
    """
    n = trials.shape[2]
    means = trials.mean(axis=2)
    covariance = packed(trials - means[:, :, None]).sum(axis=2) / (n * (n - 1))
    return variances(means, covariance, np.full(N_CONDITIONS, n - 1.0))


def show(name: str, row: dict[str, Any], *, limit: bool) -> None:
    """Print a row of the table."""
    error = "refused"
    if row["refused"] < 0.99:
        beyond = " ABOVE" if limit and row["high"] > LIMIT else ""
        error = f"{row['share']:.3f} [{row['low']:.3f}, {row['high']:.3f}]{beyond}"
    print(
        f"| {name} | {error} | {row['refused']:.2f} | {row['labels_permuted']['share']:.2f} |",
        flush=True,
    )


def main() -> None:
    """Run the benchmark, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=2000, help="units of each setting")
    parser.add_argument("--permuted", type=int, default=100, help="units whose labels are permuted")
    parser.add_argument("--populations", type=int, default=2000)
    parser.add_argument("--powers", type=int, default=500, help="units of each setting of power")
    parser.add_argument("--resamples", type=int, default=99)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="settings with this in their names")
    arguments = parser.parse_args()
    start = time.perf_counter()
    options = {name: value for name, value in vars(arguments).items() if name != "only"}
    results: dict[str, Any] = {"errors": {}, "power": {}, "populations": {}, "options": options}
    if RESULTS.exists():
        former = json.loads(RESULTS.read_text())
        if former["options"] == options:
            results = former
    header = "| {} | ftv_null at 5 % | units refused | labels permuted |"
    for kind, settings, n_units in (
        ("errors", ERRORS, arguments.datasets),
        ("populations", POPULATIONS, 0),
        ("power", POWER, arguments.powers),
    ):
        print("| population | summed FTV | spread |" if not n_units else header.format(kind))
        for place, (name, setting) in enumerate(settings.items()):
            if arguments.only not in name:
                continue
            rng = np.random.default_rng([arguments.seed, len(kind), place])
            if isinstance(setting, Population):
                row = population(setting, arguments, rng)
                cells = [
                    f"{v['share']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for v in row.values()
                ]
                print(f"| {name} | {' | '.join(cells)} |", flush=True)
            else:
                row = single_units(setting, n_units, arguments, rng)
                show(name, row, limit=kind == "errors")
            results[kind][name] = row
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
