"""Classification of FTV shapes for simulated pairs of known shape, by number of units.

Prints the confusion matrix for 20 to 1000 units, with the parameters of the shape drawn at random
for every simulated pair; then the classification of distributions between the shapes or of other
shapes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from nwbcompare.analysis.selectivity.kernels.ftv_shapes import (
    SHAPES,
    UNDECIDED,
    part_counts,
    shape_p_values,
    simulate_shape,
)

N_PAIRS, CONFIDENCE = 1000, 0.95
N_UNITS = (20, 50, 100, 256, 1000)
ANSWERS = [*SHAPES, UNDECIDED]
Array = npt.NDArray[np.float64]


def percentages(fractions: Array) -> Array:
    """Return the percentage of each answer over simulated pairs ``(pair, unit)``."""
    p_value = shape_p_values(part_counts(fractions))
    answer = np.where(p_value.min(axis=1) <= 1 - CONFIDENCE, p_value.argmin(axis=1), len(SHAPES))
    return 100 * np.bincount(answer, minlength=len(ANSWERS)) / len(fractions)


def ends_and(
    edge_a: float, edge_b: float, middle: Callable[[np.random.Generator, int], Array]
) -> Callable[[np.random.Generator, int], Array]:
    """Return a distribution with shares of units at exactly 1 and -1, and the others in between."""

    def draw(rng: np.random.Generator, n_units: int) -> Array:
        where = rng.random(n_units)
        values = middle(rng, n_units)
        values[where < edge_a + edge_b] = -1
        values[where < edge_a] = 1
        return values

    return draw


def uniform(low: float, high: float) -> Callable[[np.random.Generator, int], Array]:
    """Return a uniform distribution."""
    return lambda rng, n_units: rng.uniform(low, high, n_units)


def normal(mean: float, sd: float) -> Callable[[np.random.Generator, int], Array]:
    """Return a normal distribution, clipped at -1 and 1."""
    return lambda rng, n_units: np.clip(rng.normal(mean, sd, n_units), -1, 1)


BOUNDARIES = {
    "flat": uniform(-1, 1),
    "one end only (95 %)": ends_and(0.95, 0.0, uniform(-0.8, 0.8)),
    "two humps, at +-0.5": lambda rng, n: rng.choice([-1, 1], n) * rng.normal(0.5, 0.12, n),
    "one hump at 0.6": normal(0.6, 0.2),
    "slope from -1 to 1": lambda rng, n: 2 * np.sqrt(rng.random(n)) - 1,
    "U (arcsine)": lambda rng, n: 2 * rng.beta(0.5, 0.5, n) - 1,
    "second end at 5 %": ends_and(0.4, 0.05, uniform(-0.7, 0.7)),
    "middle at 40 %": ends_and(0.3, 0.3, uniform(-0.8, 0.8)),
    "60 % of middle equal": ends_and(0.25, 0.25, normal(0, 0.238)),
    "ends at 5 % each": ends_and(0.05, 0.05, normal(0, 0.25)),
}


def main() -> None:
    """Print the tables."""
    for n_units in N_UNITS:
        table = {
            shape: percentages(
                np.stack([simulate_shape(shape, n_units, seed) for seed in range(N_PAIRS)])
            )
            for shape in SHAPES
        }
        print(f"\n{n_units} units: answers in %, {N_PAIRS} simulated pairs a row")
        print(pd.DataFrame(table, index=ANSWERS).T.round(1).to_string())
        wrong = [row[:-1].sum() - row[place] for place, row in enumerate(table.values())]
        print(f"wrong: at most {max(wrong):.1f} %")
    for n_units in (100, 256, 1000):
        rng = np.random.default_rng(n_units)
        table = {
            name: percentages(np.stack([draw(rng, n_units) for _ in range(N_PAIRS)]))
            for name, draw in BOUNDARIES.items()
        }
        print(f"\n{n_units} units, between the shapes: answers in %")
        print(pd.DataFrame(table, index=ANSWERS).T.round(1).to_string())


if __name__ == "__main__":
    main()
