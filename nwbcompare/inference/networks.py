"""Inference over networks: each network is one observation, whatever was measured in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.kernels.intervals import mean_interval
from nwbcompare.kernels.permutation import reaches

Array = npt.NDArray[np.float64]
MOST_EXACT = 16
N_FLIPS = 99_999
FLIPS_AT_ONCE = 2**13
"""Random flips held in memory at a time."""


def over_networks(
    values: Mapping[str, float] | Sequence[float] | npt.NDArray[np.float64] | xr.DataArray,
    *,
    null: float = 0.0,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the mean of a measure over networks and test it against a null value.

    Parameters
    ----------
    values
        One number per network: by name, as a sequence, or ``(network,)``.
    null
        Mean under the null hypothesis.
    seed
        Seed of the random sign flips that are drawn for 17 networks or more.

    Returns
    -------
    xarray.Dataset
        ``value (network)``; ``mean`` with Student's 95 % interval ``mean_low``,
        ``mean_high``; ``p_value`` of the two-sided sign-flip test, and ``p_smallest``, the
        smallest p value that this number of networks can reach; ``n_networks``.

    Raises
    ------
    InputError
        For no networks, and names that occur twice.
    NotApplicableError
        For values that are not finite: the measure is undefined in a network.

    Warns
    -----
    UserWarning
        For one network: nothing can be inferred from it. The interval is NaN and p is 1.

    Notes
    -----
    Sign-flip test (Fisher 1935). Under the null hypothesis the values are symmetric about
    ``null``, each as likely above as below. For up to 16 networks all 2^n flips of the signs
    are enumerated and p is exact: the share of flips whose mean is at least as far from
    ``null`` as the observed mean, the observed signs included. For more networks 99,999 random
    flips are drawn and p = (1 + b) / (1 + B). The interval assumes that networks are about
    normally distributed; the test does not.

    Examples
    --------
    >>> result = over_networks({"a": 0.2, "b": 0.3, "c": 0.1})
    >>> result["p_value"].item(), result["p_smallest"].item()
    (0.25, 0.25)
    """
    names, numbers = _names_and_values(values)
    deviations = numbers - null
    n_networks = numbers.size
    exact = n_networks <= MOST_EXACT
    mean, low, high = mean_interval(numbers)
    warn_of_one_network(n_networks, stacklevel=3)
    return xr.Dataset(
        {
            "value": ("network", numbers),
            "mean": mean,
            "mean_low": low,
            "mean_high": high,
            "p_value": _exact_p(deviations) if exact else _random_p(deviations, seed),
            "p_smallest": min(1.0, 2.0 ** (1 - n_networks)) if exact else 1 / (1 + N_FLIPS),
            "n_networks": n_networks,
        },
        coords={"network": names},
        attrs={
            "analysis": "over_networks",
            "null": float(null),
            "test": f"sign flips, {'all' if exact else 'random'}, two-sided",
            "n_flips": 2**n_networks if exact else N_FLIPS,
            "seed": -1 if exact else seed,
            "interval": "95 %, Student's t over networks",
        },
    )


def warn_of_one_network(n_networks: int, *, stacklevel: int = 2) -> None:
    """Warn that a single network allows no inference over networks.

    Parameters
    ----------
    n_networks
        Number of networks.
    stacklevel
        As in `warnings.warn`, counted from this function.

    Warns
    -----
    UserWarning
        For one network.

    Examples
    --------
    >>> warn_of_one_network(2)
    """
    if n_networks == 1:
        warnings.warn(
            "One network: nothing can be inferred over networks; p is 1 and there is no interval.",
            UserWarning,
            stacklevel=stacklevel,
        )


def _names_and_values(
    values: Mapping[str, float] | Sequence[float] | npt.NDArray[np.float64] | xr.DataArray,
) -> tuple[list[str], Array]:
    numbers = np.asarray(
        list(values.values()) if isinstance(values, Mapping) else values, dtype=np.float64
    )
    names: Iterable[object] = range(numbers.size)
    if isinstance(values, Mapping):
        names = values
    elif isinstance(values, xr.DataArray) and "network" in values.coords:
        names = values["network"].values
    labels = [str(name) for name in names]
    if numbers.ndim != 1 or not numbers.size:
        raise InputError(
            "values",
            "one number for each of one or more networks",
            f"an array of shape {numbers.shape}",
            "Reduce what was measured in a network to one number first.",
        )
    if not np.isfinite(numbers).all():
        undefined = [
            name for name, value in zip(labels, numbers, strict=True) if not abs(value) < np.inf
        ]
        raise NotApplicableError(
            "values", "finite numbers", f"none for {listing(undefined)}", "Omit these networks."
        )
    if len(set(labels)) < len(labels):
        raise InputError("values", "different names of networks", listing(labels), "Rename them.")
    return labels, numbers


def _exact_p(deviations: Array) -> float:
    """Return the share of all sign flips whose sum is at least as far from 0 as the observed."""
    sums = np.zeros(1)
    # each network doubles the sums; all signs occur, so that only sizes matter
    for value in np.abs(deviations):
        sums = np.concatenate([sums - value, sums + value])
    return float(_at_least_as_far(sums, deviations).mean())


def _random_p(deviations: Array, seed: int) -> float:
    rng = np.random.default_rng(seed)
    n_as_far = 0
    # in pieces, to bound the memory
    for start in range(0, N_FLIPS, FLIPS_AT_ONCE):
        number = min(FLIPS_AT_ONCE, N_FLIPS - start)
        signs = 1 - 2 * rng.integers(2, size=(number, deviations.size))
        n_as_far += int(_at_least_as_far(signs @ deviations, deviations).sum())
    return (1 + n_as_far) / (1 + N_FLIPS)


def _at_least_as_far(sums: Array, deviations: Array) -> npt.NDArray[np.bool_]:
    return reaches(np.abs(sums), abs(deviations.sum()))
