"""Correlation of lesion effects with task variance, over clusters and tasks of a network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, NotApplicableError, listing

Array = npt.NDArray[np.float64]


def lesion_statistic(
    lesions: xr.Dataset, profile: xr.DataArray, *, n_permutations: int = 999, seed: int = 0
) -> xr.Dataset:
    """Compute the rank correlation of performance drop and task variance over clusters and tasks.

    Parameters
    ----------
    lesions
        From `nwbcompare.experiments.lesion_performance`, with the clusters as groups.
    profile
        Mean normalised task variance of each cluster ``(cluster, task)``; names of clusters are
        compared as text.
    n_permutations
        Number of permutations of profiles among clusters.
    seed
        Seed of the permutations.

    Returns
    -------
    xarray.Dataset
        ``rank_correlation``, Spearman's over all cells; ``drop`` (intact minus lesioned) and
        ``normalised_variance``, both ``(cluster, task)``; ``null_rank_correlation
        (permutation,)``, with whole profiles permuted among clusters.

    Raises
    ------
    InputError
        For clusters or tasks that ``profile`` lacks, and values that are not finite.
    NotApplicableError
        For fewer than two clusters, and values that are all alike.

    Notes
    -----
    The correlation is one observation per network; test it over networks with
    `nwbcompare.inference.over_networks`. Permutations describe the correlation of clusters that
    are unrelated to tasks. No p value is computed from them, since units of one network are not
    independent observations.

    Examples
    --------
    >>> import xarray as xr
    >>> lesions = xr.Dataset({"change": (("lesion", "task"), [[-0.5, 0.0], [0.0, -0.4]])},
    ...                      coords={"lesion": ["0", "1"], "task": ["a", "b"]})
    >>> profile = xr.DataArray([[1.0, 0.1], [0.2, 0.9]], dims=("cluster", "task"),
    ...                        coords={"cluster": [0, 1], "task": ["a", "b"]})
    >>> round(lesion_statistic(lesions, profile)["rank_correlation"].item(), 2)
    0.95
    """
    variance = _matching(profile, lesions)
    drop = -np.asarray(lesions["change"].transpose("lesion", "task").values, dtype=np.float64)
    _check("profile", variance)
    _check("lesions", drop)
    rng = np.random.default_rng(seed)
    # the mean product of standard ranks is Spearman's correlation
    ranks, drop_ranks = _standard_ranks(variance), _standard_ranks(drop)
    # whole profiles, since the tasks of a cluster are not independent
    orders = [rng.permutation(drop.shape[0]) for _ in range(n_permutations)]
    null = [float((ranks[order] * drop_ranks).mean()) for order in orders]
    return xr.Dataset(
        {
            "rank_correlation": float((ranks * drop_ranks).mean()),
            "drop": (("cluster", "task"), drop),
            "normalised_variance": (("cluster", "task"), variance),
            "null_rank_correlation": ("permutation", null),
        },
        coords={
            "cluster": [str(name) for name in lesions["lesion"].values],
            "task": lesions["task"].values,
        },
        attrs={
            "analysis": "lesion_statistic",
            "name": lesions.attrs.get("name", ""),
            "n_permutations": n_permutations,
            "seed": seed,
        },
    )


def _matching(profile: xr.DataArray, lesions: xr.Dataset) -> Array:
    """Return the profiles ``(cluster, task)`` of the lesioned clusters and tasks."""
    clusters = [str(name) for name in profile["cluster"].values]
    places = []
    for dim, names, known in (
        ("cluster", lesions["lesion"].values, clusters),
        ("task", lesions["task"].values, [str(task) for task in profile["task"].values]),
    ):
        absent = [str(name) for name in names if str(name) not in known]
        if absent:
            raise InputError(
                "profile",
                f"a {dim} for each in the lesions",
                f"none for {listing(absent, most=5)}",
                "Lesion the clusters of the profile.",
            )
        places.append([known.index(str(name)) for name in names])
    values = np.asarray(profile.transpose("cluster", "task").values, dtype=np.float64)
    return values[np.ix_(*places)]


def _check(subject: str, values: Array) -> None:
    if values.shape[0] < 2:
        raise NotApplicableError(
            subject, "two clusters or more", str(values.shape[0]), "Lesion others."
        )
    if not np.isfinite(values).all():
        raise InputError(subject, "finite values", "NaN or infinity", "Leave such clusters out.")
    # equal values have no variance of ranks to divide by
    if np.ptp(values) == 0:
        raise NotApplicableError(
            subject, "values that differ", "all alike", "Lesion other clusters, or in other tasks."
        )


def _standard_ranks(values: Array) -> Array:
    """Compute ranks over all cells (ties averaged), standardised to mean 0 and variance 1."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    ranks: Array = rankdata(values).reshape(values.shape)
    standard: Array = (ranks - ranks.mean()) / ranks.std()
    return standard
