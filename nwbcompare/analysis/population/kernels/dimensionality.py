"""Dimensionality of condition means of a population, on plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nwbcompare.analysis.population.kernels.decoding import Array

MOST_LISTED = 16
"""Conditions up to which all dichotomies are listed before some are drawn."""
ERROR_COST = 10.0
"""The support vector machine's cost of an error, for a kernel whose mean diagonal is 1. With 10
noisy corners of a cube give exactly the number of linearly separable dichotomies (Cover 1965);
with 1 a wider margin is bought with classifications that a plane can do."""


def participation_ratio(covariance: Array) -> Array:
    """Compute the participation ratio of covariances.

    Parameters
    ----------
    covariance
        ``(..., unit, unit)`` or the Gram matrix ``(..., condition, condition)`` of centred
        means, which has the same eigenvalues other than 0.

    Returns
    -------
    numpy.ndarray
        ``(...)``, from 1 to the rank; NaN where nothing varies.

    Notes
    -----
    (sum of eigenvalues)^2 / (sum of squared eigenvalues) (Gao & Ganguli 2015). The sums are the
    trace and the squared Frobenius norm, so that no eigenvalue has to be computed. Noise of the
    means increases all eigenvalues: see `corrected_participation_ratio`.

    Examples
    --------
    >>> import numpy as np
    >>> float(participation_ratio(np.eye(5)))
    5.0
    """
    trace = np.trace(covariance, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: Array = trace**2 / np.sum(np.square(covariance), axis=(-2, -1))
    return ratio


def corrected_participation_ratio(
    means: Array, mean_variance: Array, weights: Array | None = None
) -> float:
    """Estimate the participation ratio of the true means from noisy means.

    Parameters
    ----------
    means
        ``(condition, unit)``.
    mean_variance
        ``(condition, unit)``: squared standard errors of the means, 0 without noise.
    weights
        ``(unit,)``: how often each unit counts, as drawn by a bootstrap; by default once. Pairs
        are of different units only, also where a unit counts twice.

    Returns
    -------
    float
        The ratio. It is not confined to the range from 1 to conditions - 1; NaN where the corrected
        variance is not above 0.

    Notes
    -----
    With centred means ``x_i = s_i + e_i`` of unit i and noise of covariance ``V_i`` over
    conditions, independent between units, ``(x_i.x_j)^2 - x_i'V_j x_i - x_j'V_i x_j +
    tr(V_i V_j)`` is an unbiased estimate of ``(s_i.s_j)^2``; for i = j, Gaussian noise gives
    ``|x|^4 - 2 |x|^2 tr(V) + tr(V)^2 - 4 x'Vx + 2 tr(V^2)``. Both sums of the ratio are made
    of such terms. Noise that units share in simultaneous trials is not corrected for.

    Examples
    --------
    >>> means = np.random.default_rng(0).standard_normal((6, 20))
    >>> free = corrected_participation_ratio(means, np.zeros_like(means))
    >>> x = means - means.mean(axis=0)
    >>> bool(np.isclose(free, participation_ratio(x @ x.T)))
    True
    """
    x = means - means.mean(axis=0)
    v = mean_variance
    n_conditions = len(x)
    w = np.ones(x.shape[1]) if weights is None else weights
    size = np.square(x).sum(axis=0)
    trace = (1 - 1 / n_conditions) * v.sum(axis=0)
    mixed, squared = (np.square(x) * v).sum(axis=0), _product_trace(v, v)
    squares = size**2 - 2 * size * trace + trace**2 - 4 * mixed + 2 * squared
    noise = v @ w
    pairs = np.square((x * w) @ x.T).sum() - 2 * (np.square(x) @ w) @ noise
    pairs += _product_trace(noise, noise)
    # the sum over pairs includes each unit with itself, which has another expectation
    norm = pairs - w**2 @ (size**2 - 2 * mixed + squared) + w @ squares
    signal = size - trace
    square = (w @ signal) ** 2 - w**2 @ signal**2 + w @ squares
    # after subtraction of the noise either sum may be negative
    above = norm > 0 and w @ signal > 0
    return float(square / norm) if above else float("nan")


def _product_trace(a: Array, b: Array) -> Any:
    """Compute tr(H A H B) of diagonal A, B and the centring matrix H; a, b ``(condition, ...)``."""
    n = len(a)
    return (1 - 2 / n) * (a * b).sum(axis=0) + a.sum(axis=0) * b.sum(axis=0) / n**2


def dichotomies(n_conditions: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return ways to divide conditions into two sets: all of them, or a random sample.

    Parameters
    ----------
    n_conditions
        Conditions, 2 or more.
    most
        Largest number; of more a sample is drawn without replacement.
    rng
        Source of randomness.

    Returns
    -------
    numpy.ndarray
        ``(dichotomy, condition)``: the side of each condition. The first condition is always on
        side False, since a dichotomy and its complement are the same for a classifier.

    Examples
    --------
    >>> dichotomies(3, 10, np.random.default_rng(0)).astype(int).tolist()
    [[0, 1, 0], [0, 0, 1], [0, 1, 1]]
    """
    n_free = n_conditions - 1
    if n_conditions <= MOST_LISTED:
        every = np.arange(1, 2**n_free)
        numbers = every if every.size <= most else np.sort(rng.choice(every, most, replace=False))
        bits = (numbers[:, None] >> np.arange(n_free)) & 1
    else:
        # equal draws and empty sides have a negligible probability
        bits = rng.integers(2, size=(most, n_free))
    return np.column_stack([np.zeros(len(bits), dtype=bool), bits.astype(bool)])


def dichotomy_accuracy(train: Array, test: Array, sides: npt.NDArray[np.bool_]) -> Array:
    """Compute the balanced accuracy of a linear classifier for each dichotomy.

    Parameters
    ----------
    train, test
        ``(condition, trial, unit)``: noisy trials that share none.
    sides
        ``(dichotomy, condition)``.

    Returns
    -------
    numpy.ndarray
        ``(dichotomy,)``: mean of the shares of correct answers on the two sides.

    Notes
    -----
    A linear support vector machine: unlike a discriminant it separates any two linearly separable
    classes. Products of trials are computed once for all dichotomies.

    Examples
    --------
    >>> trials = np.array([[[0.0], [0.1]], [[1.0], [1.1]]])
    >>> dichotomy_accuracy(trials, trials, np.array([[False, True]])).tolist()
    [1.0]
    """
    from sklearn import config_context  # noqa: PLC0415 - slow to import
    from sklearn.svm import SVC  # noqa: PLC0415

    fit, left_out = (part.reshape(-1, part.shape[-1]) for part in (train, test))
    middle, spread = fit.mean(axis=0), fit.std(axis=0)
    # a constant unit is 0 after centring and tells nothing
    spread[spread == 0] = 1
    fit, left_out = (fit - middle) / spread, (left_out - middle) / spread
    # 1 where no unit varies, instead of a division by 0
    scale = np.square(fit).sum(axis=1).mean() or 1.0
    kernel, cross = fit @ fit.T / scale, left_out @ fit.T / scale
    # balanced, since sides may have different numbers of conditions
    machine = SVC(kernel="precomputed", C=ERROR_COST, class_weight="balanced")
    accuracy = np.empty(len(sides))
    # checks of the same arrays again and again take as long as the fits
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for place, side in enumerate(sides):
            target = np.repeat(side, test.shape[1])
            predicted = machine.fit(kernel, np.repeat(side, train.shape[1])).predict(cross)
            accuracy[place] = (predicted[target].mean() + (~predicted[~target]).mean()) / 2
    return accuracy
