"""How numbers over networks are said."""

from __future__ import annotations

import xarray as xr


def over(what: str, inference: xr.Dataset) -> str:
    """Say the mean of a number over networks, its interval and its test.

    Parameters
    ----------
    what
        What the number is.
    inference
        From `nwbcompare.inference.networks.over_networks`.
    """
    return (
        f"Over {inference.sizes['network']} networks {what} is {estimate(inference)}, "
        f"p = {float(inference['p_value']):.3g} by sign flips (the smallest possible is "
        f"{float(inference['p_smallest']):.3g})."
    )


def estimate(inference: xr.Dataset) -> str:
    """Give a mean over networks with its 95 % interval, where it has one.

    Examples
    --------
    >>> estimate(xr.Dataset({"mean": 0.25, "mean_low": 0.2, "mean_high": 0.3}))
    '+0.250 [+0.200, +0.300]'
    """
    mean, low, high = (float(inference[name]) for name in ("mean", "mean_low", "mean_high"))
    # one network has no interval
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" if low <= high else f"{mean:+.3f}"
