"""Clusters of several networks, matched by their profiles."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.core.activity import columns_on
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning, listing
from nwbcompare.kernels.intervals import student_half_width
from nwbcompare.kernels.permutation import p_value, reaches

Array = npt.NDArray[np.float64]


def match_clusters(
    results: Sequence[xr.Dataset], *, n_permutations: int = 199, seed: int = 0
) -> xr.Dataset:
    """Match the clusters of several networks by their profiles, and test their similarity.

    Parameters
    ----------
    results
        From `nwbcompare.clustering.cluster_units`, one per network, with the same columns and
        different names.
    n_permutations, seed
        Permutations of the null, and their seed. The columns of every profile are permuted
        independently, and the profiles matched again; the null is the correlation that an optimal
        assignment reaches for unrelated profiles.

    Returns
    -------
    xarray.Dataset
        ``correlation`` and ``null_correlation (network, other_network)``: the mean Pearson
        correlation of the matched profiles of two networks, and its mean over permutations.
        ``mean`` over pairs with its 95 % jackknife ``interval (bound)`` over networks (NaN, with a
        warning, for two networks), ``null_mean (permutation)`` and ``p_value``, (1 + b) / (1 + B).
        For the network that is most similar to the others (attrs ``reference``): ``matched_cluster
        (network, cluster)``, -1 for no match, with ``matched_correlation`` and ``matched_profile
        (network, cluster, column)``, NaN for no match.

    Raises
    ------
    InputError
        For two networks of one name.
    NotApplicableError
        For fewer than two networks, and networks that differ in their columns.

    Notes
    -----
    The assignment maximises the sum of correlations (`scipy.optimize.linear_sum_assignment`).
    Surplus clusters of one network are unmatched. A constant profile has correlation 0. The unit of
    inference is the network.

    Examples
    --------
    >>> from nwbcompare.analysis.clustering import cluster_units
    >>> table = np.repeat(np.eye(3), 4, axis=0) + 0.01 * np.random.default_rng(0).random((12, 3))
    >>> tv = xr.Dataset({"task_variance": (("unit", "task"), table)},
    ...                 coords={"unit": np.arange(12), "task": list("abc")})
    >>> networks = [cluster_units(tv.assign_attrs(name=name), n_clusters=3) for name in "xyz"]
    >>> float(match_clusters(networks, n_permutations=9)["mean"].round(6))
    1.0
    """
    names, column = _check_networks(results)
    profiles = [result["profile"].values for result in results]
    rng = np.random.default_rng(seed)
    correlation = _matched_correlations(profiles)
    null = np.stack(
        [
            _matched_correlations([rng.permuted(profile, axis=1) for profile in profiles])
            for _ in tqdm(range(n_permutations), desc="matching", disable=None)
        ]
    )
    mean, null_mean = _mean_of_pairs(correlation), np.array([_mean_of_pairs(one) for one in null])
    # with more clusters an assignment reaches higher correlations by chance: subtract those
    reference = int(np.argmax((correlation - null.mean(axis=0)).sum(axis=1)))
    matched = [_assign(profiles[reference], profile) for profile in profiles]
    places = np.array([place for place, _ in matched])
    matched_profiles = np.full((*places.shape, profiles[0].shape[1]), np.nan)
    for network, profile in enumerate(profiles):
        inside = places[network] >= 0
        matched_profiles[network, inside] = profile[places[network, inside]]
    pair = ("network", "other_network")
    return xr.Dataset(
        {
            "correlation": (pair, correlation),
            "null_correlation": (pair, null.mean(axis=0)),
            "mean": mean,
            "interval": ("bound", _jackknife_interval(correlation)),
            "null_mean": ("permutation", null_mean),
            "p_value": p_value(reaches(null_mean, mean)),
            "matched_cluster": (("network", "cluster"), places),
            "matched_correlation": (("network", "cluster"), np.array([r for _, r in matched])),
            "matched_profile": (("network", "cluster", column), matched_profiles, {"units": "1"}),
            "preferred": ("cluster", results[reference]["preferred"].values),
        },
        coords={
            **columns_on(results[0], column),
            "network": names,
            "other_network": names,
            "bound": ["low", "high"],
        },
        attrs={
            "analysis": "match_clusters",
            "reference": names[reference],
            "n_permutations": n_permutations,
            "seed": seed,
        },
    )


def _check_networks(results: Sequence[xr.Dataset]) -> tuple[list[str], str]:
    if len(results) < 2:
        raise NotApplicableError("results", "two or more networks", str(len(results)), "Give more.")
    names = [str(result.attrs.get("name", "")) for result in results]
    if len(set(names)) < len(names):
        raise InputError(
            "results",
            "networks with names of their own",
            listing(names),
            "Name them with assign_attrs(name=...).",
        )
    column = str(results[0]["profile"].dims[1])
    for name, result in zip(names, results, strict=True):
        same = column in result.coords and np.array_equal(
            result[column].values, results[0][column].values
        )
        if not same:
            raise NotApplicableError(
                "results",
                f"the columns of {names[0]!r} in all networks",
                f"others in {name!r}",
                "Take the same tasks of every network, in the same order.",
            )
    return names, column


def _correlations(a: Array, b: Array) -> Array:
    """Compute the Pearson correlation of each row of a with each row of b; 0 for a constant row."""
    unit = []
    for rows in (a, b):
        centred = rows - rows.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        # a constant profile correlates with nothing: 0, not NaN
        unit.append(np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12))
    correlation: Array = unit[0] @ unit[1].T
    return correlation


def _assign(reference: Array, profile: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Return, for each row of the reference, its matched row (-1: none) and their correlation."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - slow to import

    correlation = _correlations(reference, profile)
    mine, theirs = linear_sum_assignment(correlation, maximize=True)
    place, matched = np.full(len(reference), -1), np.full(len(reference), np.nan)
    place[mine], matched[mine] = theirs, correlation[mine, theirs]
    return place, matched


def _matched_correlations(profiles: Sequence[Array]) -> Array:
    """Compute the mean matched correlation of all pairs of networks ``(network, network)``."""
    mean = np.eye(len(profiles))
    for a, b in combinations(range(len(profiles)), 2):
        mean[a, b] = mean[b, a] = np.nanmean(_assign(profiles[a], profiles[b])[1])
    return mean


def _mean_of_pairs(correlation: Array) -> float:
    return float(correlation[np.triu_indices(len(correlation), 1)].mean())


def _jackknife_interval(correlation: Array) -> Array:
    """Compute the 95 % jackknife interval of the mean over pairs; each network is left out once."""
    n = len(correlation)
    if n < 3:
        warnings.warn("two networks have no interval: it is NaN", UnitWarning, stacklevel=3)
        return np.full(2, np.nan)
    rest = [np.delete(np.arange(n), one) for one in range(n)]
    without = np.array([_mean_of_pairs(correlation[np.ix_(others, others)]) for others in rest])
    # jackknife variance over networks: pairs that share a network are not independent
    error = np.sqrt((n - 1) * without.var())
    half = student_half_width(error, n - 1)
    return _mean_of_pairs(correlation) + np.array([-half, half])
