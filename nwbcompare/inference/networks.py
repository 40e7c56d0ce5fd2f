"""Inference over networks: each network is one observation, whatever was measured in it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.errors import InputError, NotApplicableError, listing

Array = npt.NDArray[np.float64]
MOST_EXACT = 16
N_FLIPS = 99_999
FLIPS_AT_ONCE = 2**13
ROUNDING = 1e-9


def over_networks(
    values: Mapping[str, float] | Sequence[float] | npt.NDArray[np.float64] | xr.DataArray,
    *,
    null: float = 0.0,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate the mean of a number over networks and test it against a null value.

    Parameters
    ----------
    values
        One number for each network: by name, as a sequence, or ``(network,)``.
    null
        The value of the mean under the null hypothesis.
    seed
        Seed of random sign flips, which are used from 17 networks on.

    Returns
    -------
    xarray.Dataset
        ``value (network)``; ``mean`` with Student's 95 % interval ``mean_low``,
        ``mean_high``; ``p_value`` of the two-sided sign-flip test, and ``p_smallest``, the
        smallest that so many networks can reach; ``n_networks``.

    Raises
    ------
    InputError
        For no networks, and names that occur twice.
    NotApplicableError
        For values that are not finite.

    Warns
    -----
    UserWarning
        For one network: nothing can be inferred from it. The interval is NaN and p is 1.

    Notes
    -----
    The null of the test is that the values lie symmetrically about ``null``, each as likely
    above as below. Up to 16 networks all 2^n flips of the signs are taken, so p is exact: the
    share of flips whose mean is at least as far away as the observed one, itself among them.
    With more, 99,999 random flips are drawn and p = (1 + b) / (1 + B). The interval needs
    networks to be about normally distributed, the test does not.

    Examples
    --------
    >>> found = over_networks({"a": 0.2, "b": 0.3, "c": 0.1})
    >>> found["p_value"].item(), found["p_smallest"].item()
    (0.25, 0.25)
    """
    names, numbers = _read(values)
    away = numbers - null
    n_networks = numbers.size
    exact = n_networks <= MOST_EXACT
    low, high = _interval(numbers)
    if n_networks == 1:
        warnings.warn(
            "One network: nothing can be inferred over networks; p is 1 and there is no interval.",
            UserWarning,
            stacklevel=2,
        )
    return xr.Dataset(
        {
            "value": ("network", numbers),
            "mean": numbers.mean(),
            "mean_low": low,
            "mean_high": high,
            "p_value": _exact_p(away) if exact else _random_p(away, seed),
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


def _read(
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
        bad = [name for name, fine in zip(labels, np.isfinite(numbers), strict=True) if not fine]
        raise NotApplicableError(
            "values", "finite numbers", f"none for {listing(bad)}", "Omit these networks."
        )
    if len(set(labels)) < len(labels):
        raise InputError("values", "different names of networks", listing(labels), "Rename them.")
    return labels, numbers


def _interval(numbers: Array) -> tuple[float, float]:
    from scipy.special import stdtrit  # noqa: PLC0415 - slow to import

    if numbers.size < 2:
        return np.nan, np.nan
    error = numbers.std(ddof=1) / np.sqrt(numbers.size)
    half = float(stdtrit(numbers.size - 1, 0.975) * error)
    return float(numbers.mean()) - half, float(numbers.mean()) + half


def _exact_p(away: Array) -> float:
    """Give the share of all sign flips whose sum is at least as far from 0 as the observed."""
    sums = np.zeros(1)
    for value in np.abs(away):
        sums = np.concatenate([sums - value, sums + value])
    return float(_as_far(sums, away).mean())


def _random_p(away: Array, seed: int) -> float:
    rng = np.random.default_rng(seed)
    n_as_far = 0
    for start in range(0, N_FLIPS, FLIPS_AT_ONCE):
        number = min(FLIPS_AT_ONCE, N_FLIPS - start)
        signs = 1 - 2 * rng.integers(2, size=(number, away.size))
        n_as_far += int(_as_far(signs @ away, away).sum())
    return (1 + n_as_far) / (1 + N_FLIPS)


def _as_far(sums: Array, away: Array) -> npt.NDArray[np.bool_]:
    # rounding must not decide between flips that are equal
    as_far: npt.NDArray[np.bool_] = np.abs(sums) >= abs(away.sum()) - ROUNDING * np.abs(away).sum()
    return as_far
