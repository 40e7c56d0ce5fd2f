"""Sampling variance of a noise-corrected variance, unbiased for any distribution of trials.

The corrected variance of a unit estimates ``A = sum_cd mu_c' K_cd mu_d`` over its conditions'
means mu, ``(time,)``. Products of *different* trials estimate products of means without bias,
so that the sum over four different trials, ``sum g(i, j) g(k, l)`` with ``g(i, j) = x_i' K x_j``,
estimates A^2. The square of the estimate of A less this estimate of A^2 is its sampling variance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
LEAST_TRIALS = 4
"""Fewest trials of a condition of which four are different."""


def unbiased_sampling_variance(
    trials: Array, condition: npt.NDArray[np.integer], n_conditions: int, *, pooled: bool
) -> float:
    """Estimate the sampling variance of a corrected variance without bias; it can be negative.

    Parameters
    ----------
    trials
        ``(trial, time)``, without NaN.
    condition
        ``(trial,)``, 0 to ``n_conditions - 1``; 4 trials or more of each.
    n_conditions
        Number of conditions, at least 2.
    pooled
        Whether the variance is about the mean over conditions and times (the estimator
        "pooled") or about the mean over conditions at each time.

    Returns
    -------
    float
        Less precise than a formula for normal trials, but right on average for counts, skewed
        gains and any numbers of trials. Time and memory grow with trials times conditions.

    Notes
    -----
    The corrected variance is the U-statistic of A, and this is its square less the U-statistic of
    A^2 (Hoeffding 1948), computed from sums: products with a shared trial are subtracted.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> condition = np.repeat([0, 1], 10)
    >>> draws = [unbiased_sampling_variance(rng.normal(size=(20, 1)), condition, 2, pooled=False)
    ...          for _ in range(500)]
    >>> bool(abs(np.mean(draws) - 2 * 0.05**2 * 19 / 18) < 0.0015)
    True
    """
    n_times = trials.shape[1]
    size = n_conditions * n_times
    member = condition[:, None] == np.arange(n_conditions)
    number = member.sum(axis=0).astype(np.float64)
    if pooled:
        other = np.full((n_times, n_times), -1 / size**2)
        same = np.eye(n_times) / size + other
    else:
        other = np.eye(n_times) * (-1 / (n_conditions * size))
        same = np.eye(n_times) / size + other
    # a constant changes nothing, but large rates would lose digits
    rates = trials - trials.mean()
    return float(from_sums(_of_rates(rates, member, same, other), number))


class Sums(NamedTuple):
    """Sums over the trials of conditions c, d, f, of which any two can be the same condition.

    Attributes
    ----------
    pairs
        ``(..., c, d)``: g(i, j) over i in c and j in d, i and j different.
    shared
        ``(..., c, d, f)``: over i in c, the product of its sums of g with d and with f.
    squares
        ``(..., c, d)``: g(i, j)^2, i and j different.
    """

    pairs: Array
    shared: Array
    squares: Array


def from_sums(sums: Sums, number: Array) -> Array:
    """Compute the sampling variance from sums over pairs of trials.

    Parameters
    ----------
    sums
        Of one unit, or of many with the same numbers of trials.
    number
        ``(condition,)``: trials of each condition.

    Returns
    -------
    numpy.ndarray
        ``(...)``, one for each unit.

    Examples
    --------
    >>> number = np.full(2, 5.0)
    >>> pairs = np.full((2, 2), 20.0)
    >>> found = from_sums(Sums(pairs, np.full((2, 2, 2), 80.0), pairs), number)
    >>> found.shape
    ()
    """
    equal = np.eye(number.size)
    others = number - equal
    pairs = number[:, None] * others
    shared = number[:, None, None] * others[:, :, None] * others[:, None, :]
    count = Sums(pairs, shared, pairs)
    mean = sums.pairs / count.pairs
    overlap = _different(sums) / _different(count)
    square = mean[..., :, None] * mean[..., None, :]
    # conditions (c, d) of one pair and (c, f) of another share c, and perhaps more
    n_shared = 1 + equal[:, :, None] + equal[:, None, :] + equal[None]
    variance: Array = 4 * ((square - overlap) / n_shared).sum(axis=(-3, -2, -1))
    return variance


def _of_rates(rates: Array, member: npt.NDArray[np.bool_], same: Array, other: Array) -> Sums:
    """Sum g over the trials ``(trial, time)`` of each condition, ``member (trial, condition)``."""
    indicator = member.astype(np.float64)
    total = indicator.T @ rates
    turned_rates = rates @ same
    own = (turned_rates * rates).sum(axis=1)
    with_condition = rates @ (other @ total.T)
    mine = member.argmax(axis=1)
    with_condition[np.arange(mine.size), mine] = (turned_rates * total[mine]).sum(axis=1) - own
    parts = [np.flatnonzero(of_condition) for of_condition in member.T]
    shared = np.stack([(some := with_condition[part]).T @ some for part in parts])
    moments = np.stack([(some := rates[part]).T @ some for part in parts])
    of_other, of_same = other @ moments, same @ moments
    squares = np.einsum("ctu,dut->cd", of_other, of_other)
    diagonal = np.einsum("ctu,cut->c", of_same, of_same) - indicator.T @ own**2
    squares[np.arange(len(parts)), np.arange(len(parts))] = diagonal
    return Sums(indicator.T @ with_condition, shared, squares)


def _different(sums: Sums) -> Array:
    """Sum g(i, j) g(k, l) over four different trials, i and k of c, j of d and l of f: (c, d, f).

    Inclusion and exclusion over the trials that the two pairs can share.
    """
    pairs, shared, squares = sums
    equal = np.eye(pairs.shape[-1])
    c_d, c_f, d_f = equal[:, :, None], equal[:, None, :], equal[None]
    of_c = np.einsum("...ccf->...cf", shared)  # products of the sums with c itself and with f
    of_d = np.einsum("...dcc->...cd", shared)  # squares of the sums of trials of d with c
    own = np.einsum("...cc->...c", squares)
    once = (
        shared
        + c_f * of_c[..., :, :, None]
        + c_d * of_c[..., :, None, :]
        + d_f * of_d[..., :, :, None]
    )
    twice = d_f * squares[..., :, :, None] + c_d * c_f * own[..., :, None, None]
    different: Array = pairs[..., :, :, None] * pairs[..., :, None, :] - once + twice
    return different
