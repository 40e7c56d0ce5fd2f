"""Comparison of networks trained with pooled and with fresh noise.

Pairs of networks with the same seed learn six tasks at 100 ms, one with each kind of noise.
Prints the paired difference of their mean performance (pool minus fresh), its 95 % interval,
and the standard deviation over seeds for comparison.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import stats

from nwbcompare.model import NetworkConfig, Stage, evaluate, train, training_config

TASKS = ("fdgo", "delayanti", "dm1", "contextdm1", "dmsgo", "dmcnogo")
STAGES = (
    Stage(dt_ms=100, coherence_scale=8, max_steps=1200, learning_rates=(2e-3, 2e-3)),
    Stage(dt_ms=100, coherence_scale=2, max_steps=800, learning_rates=(2e-3, 2e-4)),
)
RESULTS = Path(__file__).parent / "results" / "training_noise.json"


def performance(noise: str, seed: int, folder: Path) -> float:
    """Train a network with a kind of noise, and return its mean performance on new trials."""
    config = replace(
        training_config(TASKS, seed=seed, n_units=64),
        stages=STAGES,
        noise=noise,
        evaluate_every=400,
    )
    network = NetworkConfig(n_units=64, seed=seed)
    network = train(network, config, out=folder / f"{noise}-{seed}")
    by_task = evaluate(network, TASKS, seed=10_000 + seed, dt_ms=100, coherence_scale=2)
    return float(np.mean(list(by_task.values())))


def main() -> None:
    """Train all pairs, and print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    n_pairs = parser.parse_args().pairs
    with tempfile.TemporaryDirectory() as folder:
        pairs = np.array(
            [
                [performance(noise, seed, Path(folder)) for noise in ("fresh", "pool")]
                for seed in range(n_pairs)
            ]
        )
    difference = pairs[:, 1] - pairs[:, 0]
    half = stats.t.ppf(0.975, n_pairs - 1) * difference.std(ddof=1) / np.sqrt(n_pairs)
    result = {
        "pairs": n_pairs,
        "mean_fresh": pairs[:, 0].mean(),
        "mean_pool": pairs[:, 1].mean(),
        "difference": difference.mean(),
        "interval_95": [difference.mean() - half, difference.mean() + half],
        "sd_between_seeds_fresh": pairs[:, 0].std(ddof=1),
        "sd_between_seeds_pool": pairs[:, 1].std(ddof=1),
    }
    text = json.dumps(result, indent=1)
    RESULTS.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
