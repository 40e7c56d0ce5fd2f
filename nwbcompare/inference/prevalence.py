"""Prevalence of an effect in a population of animals, from how many of them show it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.core.errors import InputError

N_ENDS = 4001


def prevalence(
    n_showing: int, n_tested: int, *, level: float = 0.05, confidence: float = 0.95
) -> xr.Dataset:
    """Estimate the share of a population of animals that have an effect.

    Parameters
    ----------
    n_showing
        Number of animals in which a test rejects its null hypothesis.
    n_tested
        Number of animals tested.
    level
        Level of the test in each animal.
    confidence
        Probability of the interval and of the bound.

    Returns
    -------
    xarray.Dataset
        ``prevalence``, the most probable share of animals; ``low`` and ``high``, the shortest
        interval of this posterior probability; ``bound``, the share that the population's exceeds
        with this probability.

    Raises
    ------
    InputError
        For no animal, more animals with the effect than were tested, and a level or confidence
        outside (0, 1).

    Notes
    -----
    Bayesian prevalence (Ince, Paton, Kay & Schyns 2021, eLife 10:e62461): with a uniform prior on
    the prevalence, and a test without misses, a test rejects with probability
    theta = level + (1 - level) times the prevalence, whose posterior is a beta distribution with
    parameters (k + 1, n - k + 1) cut at ``level``. Animals with a missed effect lower the estimate.
    It assumes that animals were drawn from the population at random.

    Examples
    --------
    >>> both = prevalence(2, 2)
    >>> both["prevalence"].item(), round(both["bound"].item(), 2)
    (1.0, 0.34)
    """
    if not (n_tested >= 1 and 0 <= n_showing <= n_tested):
        raise InputError(
            "n_showing",
            "a number of animals from 0 to n_tested, of which there is one or more",
            f"{n_showing} of {n_tested}",
            "Count the animals in which the test rejects.",
        )
    for name, value in (("level", level), ("confidence", confidence)):
        if not 0 < value < 1:
            raise InputError(name, "a share between 0 and 1", repr(value), f"Use {name}=0.05.")
    from scipy.special import betainc, betaincinv  # noqa: PLC0415 - slow to import

    a, b = n_showing + 1, n_tested - n_showing + 1
    below = float(betainc(a, b, level))
    # the shortest of all intervals of this probability
    start = np.linspace(0, 1 - confidence, N_ENDS)
    ends = betaincinv(a, b, below + (1 - below) * np.stack([start, start + confidence]))
    low, high = ends[:, np.argmin(ends[1] - ends[0])]
    bound = betaincinv(a, b, below + (1 - below) * (1 - confidence))
    scaled = {
        name: float(np.clip((theta - level) / (1 - level), 0.0, 1.0))
        for name, theta in {
            "prevalence": n_showing / n_tested,
            "low": low,
            "high": high,
            "bound": bound,
        }.items()
    }
    return xr.Dataset(
        scaled,
        attrs={
            "analysis": "prevalence",
            "n_showing": n_showing,
            "n_tested": n_tested,
            "level": level,
            "confidence": confidence,
        },
    )
