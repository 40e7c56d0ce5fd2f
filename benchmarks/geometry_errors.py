"""Measure errors and power of the partial similarity of trained less untrained networks.

``python benchmarks/geometry_errors.py`` simulates condition means of networks and of a recording:
24 conditions of two tasks (three levels of one variable, four of another), 100 recorded units of
20 sessions, 60 units a network, noisy means (squared standard error .5 of 10 trials). It prints how
often p <= .05 and p <= .01 for each claim, writes results/geometry_errors.json, and takes a
few minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from nwbcompare.analysis.population.kernels.partial_similarity import (
    CLAIMS,
    crossnobis,
    training_effect,
)
from nwbcompare.kernels.intervals import wilson_interval

Array = npt.NDArray[np.float64]
N_UNITS, N_SESSIONS, N_NETWORK_UNITS = 100, 20, 60
N_TRIALS, NOISE = 10, 0.5
LEVELS = (0.05, 0.01)
RESULTS = Path(__file__).parent / "results" / "geometry_errors.json"


@dataclass(frozen=True)
class Truth:
    """What trained networks, untrained networks and the recording have in common.

    Attributes
    ----------
    name
        Name in the table.
    stimulus
        Strength of a code of the condition variables and the task in all three.
    choice
        Strength of a choice code in trained networks and the recording.
    common
        Share of the trained networks' other structure that they have in common with each other.
    shared
        Share of the recording's other structure that it has in common with trained networks: 0
        under the null hypothesis.
    session
        Share of the variance of recorded units that units of a session have in common.
    """

    name: str
    stimulus: float = 0.0
    choice: float = 0.0
    common: float = 0.0
    shared: float = 0.0
    session: float = 0.0


TRUTHS = (
    Truth("independent"),
    Truth("shared stimulus code", stimulus=1.0),
    Truth("shared choice code", choice=1.5),
    Truth("shared stimulus and choice codes", stimulus=1.0, choice=1.5),
    Truth("the same, sessions differ", stimulus=1.0, choice=1.5, session=0.3),
    Truth("the same, networks alike", stimulus=1.0, choice=1.5, common=0.8),
    Truth("shared structure beyond the codes", stimulus=1.0, choice=1.5, common=0.8, shared=0.5),
)


def conditions() -> tuple[Array, Array]:
    """Return values of task and variables ``(condition, code)``, and choice ``(condition,)``."""
    table = np.array(list(product([0, 1], [-1, 0, 1], [-1.5, -0.5, 0.5, 1.5])))
    relevant = np.where(table[:, 0] == 0, table[:, 1], table[:, 2])
    standard = (table - table.mean(axis=0)) / table.std(axis=0)
    # psychometric: weak evidence decides less often
    choice = np.tanh(2 * relevant)
    return standard, choice / choice.std()


STIMULI, CHOICE = conditions()
FIRST, SECOND = np.triu_indices(len(CHOICE), 1)
CODES = np.stack([(code[FIRST] - code[SECOND]) ** 2 for code in (*STIMULI.T, CHOICE)])


def of_population(means: Array, noise: Array, n_trials: Array) -> Array:
    """Return crossnobis distances of a population: as `crossnobis`, averaged over units, faster."""
    variance = (noise * n_trials).mean(axis=0)
    freedom = (n_trials - 1).sum(axis=0)
    x = means * np.sqrt((1 - 2 / freedom) / variance)
    products = x @ x.T - np.diag((noise / variance).sum(axis=1))
    size = np.diagonal(products)
    distances: Array = (size[:, None] + size - 2 * products)[FIRST, SECOND] / means.shape[1]
    return distances


def data_set(truth: Truth, n_networks: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return distances of networks, of recorded units, and the session of each unit."""
    n = len(CHOICE)
    # axes in condition space that trained networks have in common
    common = rng.standard_normal((n, 3))

    def means(n_units: int, *, choice: float, share: float, own: Array) -> Array:
        structured = np.sqrt(share) * common @ rng.standard_normal((3, n_units)) / np.sqrt(3)
        private = np.sqrt(1 - share) * own @ rng.standard_normal((own.shape[1], n_units))
        coded = truth.stimulus * STIMULI @ rng.standard_normal((STIMULI.shape[1], n_units))
        coded += choice * np.outer(CHOICE, rng.standard_normal(n_units))
        return coded + structured + private / np.sqrt(own.shape[1])

    def measured(x: Array) -> tuple[Array, Array, Array]:
        noise = NOISE * rng.chisquare(N_TRIALS - 1, x.shape) / (N_TRIALS - 1)
        noisy = x + np.sqrt(NOISE) * rng.standard_normal(x.shape)
        return noisy, noise, np.full(x.shape, float(N_TRIALS))

    networks = np.empty((2, n_networks, len(FIRST)))
    for network in range(n_networks):
        axes = rng.standard_normal((n, 3))
        trained = means(N_NETWORK_UNITS, choice=truth.choice, share=truth.common, own=axes)
        # the same initialisation: untrained networks have these axes of their own, too
        untrained = means(N_NETWORK_UNITS, choice=0.0, share=0.0, own=axes)
        networks[:, network] = [of_population(*measured(x)) for x in (trained, untrained)]
    session = np.arange(N_UNITS) * N_SESSIONS // N_UNITS
    recorded = means(N_UNITS, choice=truth.choice, share=truth.shared, own=np.eye(n) * np.sqrt(n))
    of_session = rng.standard_normal((n, N_SESSIONS))[:, session]
    recorded = np.sqrt(1 - truth.session) * recorded + np.sqrt(truth.session) * of_session
    return networks, crossnobis(*measured(recorded)), session


def rejections(truth: Truth, n_networks: int, n_data_sets: int, seed: int) -> dict[str, list[int]]:
    """Count data sets with p at or below each level, by claim."""
    rng = np.random.default_rng(seed)
    p = np.empty((n_data_sets, len(CLAIMS)))
    for row in tqdm(p, desc=f"{truth.name}, {n_networks}", disable=None):
        networks, by_unit, session = data_set(truth, n_networks, rng)
        row[:] = training_effect(networks, by_unit, CODES, session).p_value
    return {
        claim: [int((p[:, place] <= level).sum()) for level in LEVELS]
        for place, claim in enumerate(CLAIMS)
    }


def rows(n_data_sets: int, seed: int) -> Iterator[dict[str, object]]:
    """Compute the rejections of each truth and number of networks."""
    for truth, n_networks in product(TRUTHS, (3, 8)):
        counts = rejections(truth, n_networks, n_data_sets, seed)
        yield {"truth": asdict(truth), "n_networks": n_networks, "rejections": counts}


def main() -> None:
    """Print the table and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = []
    heads = [f"{claim}, {level:g}" for claim in CLAIMS for level in LEVELS]
    print("| truth | networks |", " | ".join(heads), "|")
    print("|", "--- |" * (2 + len(heads)))
    for row in rows(arguments.datasets, arguments.seed):
        found.append(row)
        cells = []
        for claim, level in product(range(len(CLAIMS)), range(len(LEVELS))):
            hits = row["rejections"][CLAIMS[claim]][level]
            low, high = wilson_interval(hits, arguments.datasets)
            cells.append(f"{hits / arguments.datasets:.3f} [{low:.3f}, {high:.3f}]")
        print(f"| {row['truth']['name']} | {row['n_networks']} |", " | ".join(cells), "|")
    results = {"n_data_sets": arguments.datasets, "seed": arguments.seed, "rows": found}
    RESULTS.write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
