"""Compositionality of task vectors: test whether two differences of tasks are parallel."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import xarray as xr

from nwbcompare.analysis.population.kernels.task_vectors import (
    bootstrap_cosines,
    composition_cosines,
    disjoint_quadruples,
    squared_distances,
)
from nwbcompare.analysis.population.task_vectors import VECTOR, vectors_of
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.inference.networks import over_networks
from nwbcompare.kernels.permutation import p_value, reaches

COMPOSITIONS: dict[str, tuple[str, str, str, str]] = {
    "go": ("fdanti", "fdgo", "delayanti", "delaygo"),
    "context": ("contextdelaydm1", "contextdelaydm2", "contextdm1", "contextdm2"),
    "matching": ("dmsgo", "dmcgo", "dmsnogo", "dmcnogo"),
}
"""Yang et al. 2019, Fig. 6: tasks a, b, c, d with a - b parallel to c - d, by set."""
# which have 1.4 million quadruples
MOST_VECTORS = 50
INTERVAL = (0.025, 0.975)
BOUND = ["low", "high"]
SUBJECT = ("analysis", "quadruple", "task", "expression", "epoch", "at")
"""Attributes in which the results of networks that are joined must agree."""
BY_NETWORK = (
    "cosine",
    "share_smaller",
    "performance",
    "balanced_accuracy",
    "effect",
    "best_wrong",
    "share_of_random_below",
)
"""What is joined, as far as it is there."""


def composition_cosine(
    vectors: xr.Dataset, a: str, b: str, c: str, d: str, *, n_bootstrap: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Compute the cosine between the differences a - b and c - d of task vectors.

    Parameters
    ----------
    vectors
        From `nwbcompare.population.task_vectors`, `condition_vectors` or `rule_vectors`.
    a, b, c, d
        Four different tasks (or conditions), such as "fdanti", "fdgo", "delayanti", "delaygo".
    n_bootstrap, seed
        Draws of units with replacement, and their seed.

    Returns
    -------
    xarray.Dataset
        ``cosine``, and ``interval (bound)``, the central 95 % of bootstraps over units, for other
        units of the same population. For inference over networks see `composition_over_networks`.

    Raises
    ------
    InputError
        For unknown or repeated names.
    NotApplicableError
        For two tasks whose vectors are equal.

    Notes
    -----
    Noise in the vectors of a recording biases the cosine towards 0, since it makes the differences
    longer.

    Examples
    --------
    >>> import xarray as xr
    >>> vectors = xr.Dataset(
    ...     {"task_vector": (("task", "unit"), [[0.0, 1.0], [0.0, 0.0], [1.0, 1.0], [1.0, 0.0]])},
    ...     coords={"task": ["a", "b", "c", "d"]})
    >>> composition_cosine(vectors, "a", "b", "c", "d")["cosine"].item()
    1.0
    """
    names = _four((a, b, c, d))
    _, values = vectors_of(vectors, names)
    cosine = _cosine(values, names)
    rng = np.random.default_rng(seed)
    cosines = bootstrap_cosines(values[0] - values[1], values[2] - values[3], n_bootstrap, rng)
    return xr.Dataset(
        {"cosine": cosine, "interval": ("bound", np.nanquantile(cosines, INTERVAL))},
        coords={"bound": BOUND},
        attrs={
            **vectors.attrs,
            "analysis": "composition_cosine",
            "quadruple": json.dumps(names),
            "n_bootstrap": n_bootstrap,
            "seed": seed,
        },
    )


def pairing_null(
    vectors: xr.Dataset,
    a: str,
    b: str,
    c: str,
    d: str,
    *,
    n_permutations: int = 9999,
    seed: int = 0,
) -> xr.Dataset:
    """Test a composition's cosine against cosines with randomly paired units.

    Null hypothesis: the values of a unit in a - b and in c - d are unrelated. The permutations
    preserve the means over units: where signs are defined by each unit's preference, cosines are
    positive by construction.

    Parameters
    ----------
    vectors, a, b, c, d
        See `composition_cosine`.
    n_permutations, seed
        Permutations of the units of c - d, and their seed.

    Returns
    -------
    xarray.Dataset
        ``cosine``, ``null_cosine (permutation)`` and the two-sided ``p_value``, twice the smaller
        tail, each (1 + b) / (1 + B). The unit of inference is the unit, within one population.

    Raises
    ------
    InputError
        As `composition_cosine`, and for no permutations.

    Examples
    --------
    >>> vectors = xr.Dataset(
    ...     {"task_vector": (("task", "unit"), np.random.default_rng(0).random((4, 9)))},
    ...     coords={"task": ["a", "b", "c", "d"]})
    >>> pairing_null(vectors, "a", "b", "c", "d", n_permutations=19)["null_cosine"].size
    19
    """
    check_whole("n_permutations", n_permutations, 1, "Use n_permutations=9999.")
    names = _four((a, b, c, d))
    _, values = vectors_of(vectors, names)
    cosine = _cosine(values, names)
    first, second = values[0] - values[1], values[2] - values[3]
    # the same for all pairings, which only change the order
    length = np.linalg.norm(first) * np.linalg.norm(second)
    rng = np.random.default_rng(seed)
    null = np.array([first @ rng.permutation(second) for _ in range(n_permutations)]) / length
    # two tails of their own, since the null is not centred on 0
    tails = p_value(reaches(null, cosine)), p_value(reaches(-null, -cosine))
    return xr.Dataset(
        {
            "cosine": cosine,
            "null_cosine": ("permutation", null),
            "p_value": min(1.0, 2 * min(tails)),
        },
        attrs={
            **vectors.attrs,
            "analysis": "pairing_null",
            "quadruple": json.dumps(names),
            "n_permutations": n_permutations,
            "seed": seed,
        },
    )


def composition_rank(vectors: xr.Dataset, quadruple: Sequence[str]) -> xr.Dataset:
    """Rank a composition's cosine among those of all quadruples of different tasks.

    Parameters
    ----------
    vectors
        From `nwbcompare.population.task_vectors`, `condition_vectors` or `rule_vectors`; quadruples
        of all tasks in it are used.
    quadruple
        Four tasks a, b, c, d, such as one of `COMPOSITIONS`.

    Returns
    -------
    xarray.Dataset
        ``cosine`` between a - b and c - d; ``share_smaller``, the share of the other quadruples
        with a smaller cosine; ``all_cosines (quadruple)``; ``member (quadruple, place)``, the
        places in ``task`` of the tasks of each quadruple.

    Raises
    ------
    InputError
        For unknown or repeated names.
    NotApplicableError
        For fewer than five vectors or more than 50, and two whose vectors are equal.

    Notes
    -----
    Each value is counted once: exchanging the two differences, or reversing both, does not change
    the cosine, so that four tasks have six cosines (three pairings with two signs). The values
    occur in pairs of opposite sign, so that their mean is 0. The share is an effect size and no p
    value, since quadruples share tasks and some of them are compositions, too.

    Examples
    --------
    >>> import numpy as np
    >>> vectors = xr.Dataset({"task_vector": (("task", "unit"), np.eye(5))},
    ...                      coords={"task": list("abcde")})
    >>> composition_rank(vectors, "abcd")["all_cosines"].size
    30
    """
    names = _four(quadruple)
    dim = next((dim for dim, variable in VECTOR.items() if variable in vectors), "task")
    names_of_vectors = [str(name) for name in vectors[dim].values] if dim in vectors.coords else []
    _, of_quadruple = vectors_of(vectors, names)
    if not 5 <= len(names_of_vectors) <= MOST_VECTORS:
        raise NotApplicableError(
            "vectors",
            f"from 5 to {MOST_VECTORS} {dim}s",
            f"{len(names_of_vectors)}",
            f"Choose some with vectors.sel({dim}=[...]).",
        )
    _, values = vectors_of(vectors, names_of_vectors)
    distances = squared_distances(values)
    _refuse_equal(distances, names_of_vectors)
    members = disjoint_quadruples(len(names_of_vectors))
    every, cosine = composition_cosines(distances, members), _cosine(of_quadruple, names)
    return xr.Dataset(
        {
            "cosine": cosine,
            # the quadruple itself is among them, and never smaller than itself
            "share_smaller": int((~reaches(every, cosine)).sum()) / (every.size - 1),
            "all_cosines": ("quadruple", every),
            "member": (("quadruple", "place"), members.astype(np.int16)),
        },
        coords={dim: names_of_vectors, "place": list("abcd")},
        attrs={**vectors.attrs, "analysis": "composition_rank", "quadruple": json.dumps(names)},
    )


def composition_over_networks(results: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join results of several networks, and test their mean over networks.

    Parameters
    ----------
    results
        One result per network of one analysis and one quadruple or rule composition: from
        `composition_cosine`, `composition_rank` or `nwbcompare.experiments.rule_composition`.

    Returns
    -------
    xarray.Dataset
        Of task vectors: ``cosine`` and, from `composition_rank`, ``share_smaller``, each
        ``(network)``. Of rules: ``effect``, ``best_wrong`` and ``share_of_random_below (network,
        measure)``; ``performance`` and ``balanced_accuracy (network, expression)``. Of the cosine,
        or the effect by measure: ``mean`` over networks, its 95 % interval ``mean_low``,
        ``mean_high``, and ``p_value`` and ``p_smallest`` of a sign-flip test against 0
        (`nwbcompare.inference.over_networks`).

    Raises
    ------
    InputError
        For no results, and two networks of one name.
    NotApplicableError
        For results of different analyses or of different compositions.

    Warns
    -----
    UserWarning
        For one network, which allows no inference.

    Examples
    --------
    >>> results = [xr.Dataset({"cosine": value}, attrs={
    ...     "analysis": "composition_cosine", "name": name, "quadruple": '["a", "b", "c", "d"]'})
    ...     for name, value in (("network 0", 0.5), ("network 1", 0.7))]
    >>> composition_over_networks(results)["mean"].item()
    0.6
    """
    if not results:
        raise InputError("results", "at least one", "none", "Analyse some networks first.")
    # networks may differ in everything but what is measured
    subject = {name: str(results[0].attrs[name]) for name in SUBJECT if name in results[0].attrs}
    for result in results[1:]:
        other = {name: str(result.attrs.get(name)) for name in subject}
        if other != subject:
            raise NotApplicableError(
                "results", f"one analysis, {subject}", f"{other} too", "Join like with like."
            )
    names = [str(result.attrs["name"]) for result in results]
    if len(set(names)) < len(names):
        raise InputError("results", "different networks", listing(names), "Give each once.")
    variables = [name for name in BY_NETWORK if name in results[0]]
    table = xr.concat(
        [result[variables] for result in results], dim="network", join="exact", combine_attrs="drop"
    )
    table = table.assign_coords(network=names)
    return table.merge(_inferred(table)).assign_attrs(
        {**subject, "analysis": "composition_over_networks", "of": subject["analysis"]}
    )


def _inferred(joined: xr.Dataset) -> xr.Dataset:
    """Test over networks whether the cosine, or the effect of each measure, differs from 0."""
    statistics = ["mean", "mean_low", "mean_high", "p_value", "p_smallest"]
    if "cosine" in joined:
        return over_networks(joined["cosine"])[statistics]
    measures = [
        over_networks(joined["effect"].sel(measure=name))[statistics]
        for name in joined["measure"].values
    ]
    return xr.concat(measures, dim=joined["measure"])


def _four(names: Sequence[str]) -> list[str]:
    if len(names) != 4:
        raise InputError(
            "quadruple", "four names a, b, c, d", f"{len(names)}", "Use one of COMPOSITIONS."
        )
    return list(names)


def _cosine(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], names: list[str]) -> float:
    distances = squared_distances(values)
    _refuse_equal(distances, names)
    return float(composition_cosines(distances, np.array([[0, 1, 2, 3]]))[0])


def _refuse_equal(
    distances: np.ndarray[tuple[int, ...], np.dtype[np.float64]], names: list[str]
) -> None:
    """Check that no two vectors are equal: their difference has no direction."""
    pairs = np.argwhere(np.triu(distances == 0, k=1))
    if pairs.size:
        first, second = pairs[0]
        raise NotApplicableError(
            "vectors",
            "vectors that differ",
            f"equal ones of {names[first]!r} and {names[second]!r}",
            "Leave one of the two out.",
        )
