"""Partial correlation of distances, and its inference over networks and sessions, on arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nwbcompare.kernels.intervals import jackknife_error, student_half_width

Array = npt.NDArray[np.float64]
LEAST_FOR_P = 20
"""Conditions below which distances are too few for a test."""
LEAST_NETWORKS = 3
CLAIMS = ("networks", "sessions", "both")
EXACT = 1e-9
"""Share of its length below which a residual is rounding."""


def crossnobis(means: Array, noise: Array, n_trials: Array) -> Array:
    """Compute each unit's part in the cross-validated Mahalanobis distances between conditions.

    Parameters
    ----------
    means
        ``(condition, unit)``.
    noise
        ``(condition, unit)``: squared standard errors of the means; 0 without noise.
    n_trials
        ``(condition, unit)``: trials of each mean.

    Returns
    -------
    numpy.ndarray
        ``(pair, unit)``, pairs of conditions as in
        `nwbcompare.analysis.population.kernels.similarity.upper`. The distance of a population is
        the mean over its units. Units are divided by the standard deviation of their trials, if
        there is noise in any; a unit without noise among noisy ones is silent and adds 0.

    Notes
    -----
    Walther et al. 2016. Units of different sessions have no noise covariance: the noise matrix is
    diagonal. The squared difference of two means, less their squared standard errors, equals the
    product of the differences in two parts of the trials, averaged over all splits of each
    condition into parts that share no trial: it needs no random splits. With d degrees of freedom
    the inverse of an estimated variance is too large by d / (d - 2) on average, by which squared
    differences are divided: distances are unbiased if noise is normal and equal in all conditions.

    Examples
    --------
    >>> means, noise, n_trials = np.array([[0.0], [3.0]]), np.ones((2, 1)), np.full((2, 1), 4.0)
    >>> crossnobis(means, noise, n_trials).round(6).tolist()
    [[1.0]]
    """
    first, second = np.triu_indices(len(means), 1)
    distances: Array = (means[first] - means[second]) ** 2
    variance = (noise * n_trials).mean(axis=0)
    if not variance.any():
        return distances
    freedom = (n_trials - 1).sum(axis=0)
    distances *= np.maximum(1 - 2 / np.maximum(freedom, 2), 0)
    distances -= noise[first] + noise[second]
    np.divide(distances, variance, out=distances, where=variance > 0)
    distances[:, variance <= 0] = 0
    return distances


def partial_correlations(x: Array, y: Array, others: Array) -> Array:
    """Correlate sets of distances without what other distances explain of either.

    Parameters
    ----------
    x, y
        ``(set, pair)`` each.
    others
        ``(other, pair)``.

    Returns
    -------
    numpy.ndarray
        ``(set of x, set of y)``: correlations of the residuals of linear regressions with
        intercept; NaN where the others explain a set completely.

    Examples
    --------
    >>> x, other = np.array([[1.0, 2.0, 4.0, 3.0]]), np.array([[0.0, 0.0, 1.0, 1.0]])
    >>> partial_correlations(x, x + 5 * other, other).round(6).tolist()
    [[1.0]]
    """
    left, right = (_residuals(values, others) for values in (x, y))
    correlations: Array = (left / _length(left)) @ (right / _length(right)).T
    return correlations


def _residuals(values: Array, others: Array) -> Array:
    """Return what a linear regression on others leaves; NaN where an exact fit leaves rounding."""
    design = np.vstack([np.ones(values.shape[1]), others]).T
    basis, size, _ = np.linalg.svd(design, full_matrices=False)
    basis = basis[:, size > size[0] * EXACT]
    rest: Array = values - (values @ basis) @ basis.T
    rest[(_length(rest) <= EXACT * _length(values))[:, 0]] = np.nan
    return rest


def _length(values: Array) -> Array:
    length: Array = np.linalg.norm(values, axis=1, keepdims=True)
    return length


class TrainingEffect(NamedTuple):
    """Similarity to a recording, and what training adds to it."""

    similarity: Array
    """``(training, network)``."""
    difference: Array
    """``(network,)``: trained less untrained."""
    standard_error: Array
    """``(claim,)``, as all that follows."""
    freedom: Array
    low: Array
    high: Array
    p_value: Array


def training_effect(
    networks: Array, by_unit: Array, others: Array, cluster: npt.NDArray[np.int64]
) -> TrainingEffect:
    """Test whether trained networks are more similar to a recording than untrained ones.

    Parameters
    ----------
    networks
        ``(training, network, pair)``: distances of trained and of untrained networks.
    by_unit
        ``(pair, unit)``: each recorded unit's part in the recording's distances.
    others
        ``(other, pair)``: distances that the similarity is partial to.
    cluster
        ``(unit,)``: the session of each recorded unit, from 0.

    Returns
    -------
    TrainingEffect
        Standard errors, degrees of freedom, 95 % intervals and two-sided p values by claim:
        over networks, over sessions, and over both (the sum of the two variances less that of
        their interaction, which is in both; Satterthwaite's degrees of freedom). NaN for fewer
        than 2 networks (p: 3) and fewer than 5 sessions; p also for fewer than 20 conditions.

    Notes
    -----
    Without a session the recording's distances are divided by the length of those of all
    sessions. The difference is then a mean over units, whose jackknife holds its level also where
    nothing but sampling noise is left of the recorded distances; with a length of its own for each
    session left out it would reject too often. For a strong similarity the interval is too wide,
    since errors of difference and length then cancel in part.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> networks, by_unit = rng.random((2, 3, 190)), rng.random((190, 20))
    >>> found = training_effect(networks, by_unit, np.empty((0, 190)), np.arange(20) // 2)
    >>> found.difference.shape, found.p_value.shape
    ((3,), (3,))
    """
    n_networks, n_pairs = networks.shape[1:]
    n_sessions = int(cluster.max()) + 1
    whole = by_unit.mean(axis=1)
    recorded = np.vstack([whole[None], *_without_each(by_unit, cluster, n_sessions)])
    left, right = (
        _residuals(values, others) for values in (networks.reshape(-1, n_pairs), recorded)
    )
    similarity = (left / _length(left)) @ (right / _length(right)[0]).T
    similarity = similarity.reshape(2, n_networks, -1)
    difference = similarity[0] - similarity[1]
    error, freedom = _errors(difference[:, 0], difference[:, 1:])
    estimate = float(difference[:, 0].mean())
    half = student_half_width(error, freedom)
    enough = (1 + np.sqrt(1 + 8 * n_pairs)) / 2 >= LEAST_FOR_P
    is_tested = enough & (np.array([n_networks >= LEAST_NETWORKS, True]))
    return TrainingEffect(
        similarity[:, :, 0],
        difference[:, 0],
        error,
        freedom,
        estimate - half,
        estimate + half,
        np.where([*is_tested, is_tested.all()], _student_p(estimate, error, freedom), np.nan),
    )


def _without_each(by_unit: Array, cluster: npt.NDArray[np.int64], n_sessions: int) -> list[Array]:
    """Return the distances without each session ``(session, pair)``, in a list; of one: empty."""
    if n_sessions < 2:
        return []
    order = np.argsort(cluster, kind="stable")
    sizes = np.bincount(cluster, minlength=n_sessions)
    sums = np.add.reduceat(by_unit[:, order], np.cumsum(sizes) - sizes, axis=1)
    total = by_unit.sum(axis=1, keepdims=True)
    return [((total - sums) / (cluster.size - sizes)).T]


def _errors(whole: Array, without: Array) -> tuple[Array, Array]:
    """Return standard errors over networks, sessions and both, and degrees of freedom ``(claim,)``.

    Parameters
    ----------
    whole
        ``(network,)``.
    without
        ``(network, session)``: the same without each session.
    """
    n_networks, n_sessions = without.shape
    networks = whole.var(ddof=1) / n_networks if n_networks > 1 else np.nan
    sessions = jackknife_error(without.mean(axis=0)) ** 2
    rest = without - without.mean(axis=0) - without.mean(axis=1, keepdims=True) + without.mean()
    size = (n_networks - 1) * (n_sessions - 1)
    # of pseudo-values, which are n - 1 times as far apart
    shared = (n_sessions - 1) ** 2 * (rest**2).sum() / max(size, 1) / max(without.size, 1)
    # the interaction is in both variances; noise must not make the whole less than a part
    both = np.max([networks, sessions, networks + sessions - shared])
    free = np.array([n_networks - 1, n_sessions - 1], dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.array([networks, sessions, shared]) ** 2 / np.array([*free, size])
        # Satterthwaite (1946), and no fewer than the smaller number gives
        of_both = np.maximum(both**2 / parts.sum(), free.min())
    return np.sqrt([networks, sessions, both]), np.array([*free, of_both])


def _student_p(estimate: float, error: Array, freedom: Array) -> Array:
    from scipy.special import stdtr  # noqa: PLC0415 - slow to import

    with np.errstate(invalid="ignore", divide="ignore"):
        p: Array = 2 * stdtr(freedom, -np.abs(estimate / error))
    return p
