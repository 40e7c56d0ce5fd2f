"""Training regimes against a recording, on paired seeds: which is closer, and how sure that is."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.distance_to_recording import STATISTICS, distance_to_recording
from nwbcompare.comparison.split_half import By, split_half_distance
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.core.unit_samples import check_same_pair
from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.inference.networks import over_networks
from nwbcompare.kernels.intervals import student_half_width

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Regimes = Mapping[str, Mapping[str, xr.Dataset]]


def compare_regimes(
    regimes: Regimes,
    recording: xr.Dataset,
    contrasts: Sequence[tuple[str, str]],
    *,
    distance: str = "wasserstein",
    by: By = "session",
    mixed_below: float = 0.3,
    single_above: float = 0.9,
    n_bootstrap: int = 2000,
    n_splits: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Compare training regimes by how far their networks' FTV lies from a recording's.

    Parameters
    ----------
    regimes
        By training regime and name of the pair (such as the seed), a network's sample table
        from `nwbcompare.fractional_task_variance`, on ``(unit,)`` or ``(draw, unit)``. Networks
        of one name started alike. Where all have the unit columns ``session`` and
        ``recorded_unit``, units are matched to recorded ones.
    recording
        The recording's sample table, with the unit column ``session``.
    contrasts
        Pairs of regimes; the first is the primary one, fixed in advance. Below 0 means that its
        first regime is closer to the recording.
    distance
        A name in `nwbcompare.comparison.kernels.distances.DISTANCES`.
    by
        What of the recording is resampled and split: whole sessions, or, where sessions are
        not known, units by themselves (intervals are then too narrow).
    mixed_below, single_above
        Units whose absolute value is below the one are mixed, above the other single-context.
    n_bootstrap
        Bootstrap samples; 2000 fix a standard error to 2 %.
    n_splits
        Splits for the split-half distance; see `nwbcompare.comparison.split_half_distance`.
    confidence
        Of the intervals.
    seed
        Of everything random.

    Returns
    -------
    xarray.Dataset
        ``distance (measure, regime, pair)``: of the first measure the distance, of ``sd``,
        ``mean``, ``mixed_share`` and ``single_share`` the absolute difference between the network's
        ``value (statistic, regime, pair)`` and ``recorded (statistic)``; NaN where a regime lacks a
        pair; ``n_units (regime, pair)``, active units (mean over draws). On ``(measure, regime)``
        the mean distance over networks, ``mean``, with ``mean_low`` and ``mean_high``. On
        ``(contrast, measure)`` the mean ``difference`` of distance (first less second) over pairs
        with ``difference_low`` and ``difference_high``, ``p_value`` and ``p_adjusted``; on
        ``(contrast,)`` ``p_smallest``, the smallest p that so many pairs can reach, ``n_pairs``,
        and ``is_paired (contrast, pair)``: pairs that a regime lacks are left out. For the
        distance, ``split_half`` with ``split_half_low`` and ``split_half_high`` (of halves of the
        recording), and ``ratio (regime)`` to it, at equal sizes.

    Raises
    ------
    InputError
        For no regimes or contrasts, regimes without networks, contrasts that come twice or are of
        unknown or equal regimes, different pairs of tasks, and matched units in some networks
        only or of sessions that the recording lacks.
    NotApplicableError
        For a contrast of regimes without a pair in common, and as
        `nwbcompare.comparison.split_half_distance`.

    Warns
    -----
    UserWarning
        For contrasts with one pair: their p is 1, their interval NaN.

    Notes
    -----
    *Equal sizes*: small samples lie further away, so each distance is the mean over 50 samples of
    the size of the smallest network (``n_values``), drawn without replacement.

    *Test*: all flips of the signs of the pairs' differences (`nwbcompare.inference.over_networks`).
    It asks about other networks and *this* recording. Two regimes that are as far from the animals
    on either side of them (one too wide, one too narrow) can differ in the same direction in
    every pair, since the recorded sessions are a little too wide. Hold p together with the
    interval, as `attribution` does.

    *Interval*: about other networks of these regimes and other sessions of these animals; not about
    other animals. Whole sessions are drawn with replacement within animals, with their matched
    units (without matched units the recording's alone), the same ones for both members of all
    pairs, and every pair's difference is measured again. To the variance of the mean difference
    over these samples comes that over pairs, s^2 / n. What each pair does on its own in other
    sessions is in both, and is taken out of the one over sessions (two crossed factors; Owen 2007,
    Annals of Applied Statistics 1:386). The interval is Student's, with Welch's degrees of freedom
    (pairs - 1, and sessions - animals). The same for means of regimes, which end at 0. What is
    estimated is the difference of *expected* distance at these numbers of units.

    *Multiplicity*: the distance of the first contrast is the primary test and is not adjusted.
    ``p_adjusted`` is Holm's within each measure, over all contrasts of secondary measures, over
    all but the primary of the distance. Measures are not adjusted for one another.

    The split-half distance is that of halves, which lie about ``size_factor`` times further apart
    than whole samples. How a regime differs from the recording, sign and all, says
    `nwbcompare.compare_samples`. ``benchmarks/regime_errors.py`` says how often all this errs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def table(half_width):
    ...     return xr.Dataset(
    ...         {"fractional_task_variance": ("unit", rng.uniform(-half_width, half_width, 90))},
    ...         coords={"session": ("unit", np.arange(90) // 6)}, attrs={"name": "m"})
    >>> seeds = [f"seed {number}" for number in range(6)]
    >>> found = compare_regimes(
    ...     {"sequential": {seed: table(1.0) for seed in seeds},
    ...      "consolidated": {seed: table(0.7) for seed in seeds}},
    ...     table(0.5), [("consolidated", "sequential")], n_bootstrap=100, n_splits=20)
    >>> found["p_value"].sel(measure="wasserstein").item()
    0.03125
    """
    _check(regimes, contrasts, confidence)
    for name, own in regimes.items():
        for pair, table in own.items():
            check_same_pair(table, recording, f"{name} {pair}")
    tables = [table for own in regimes.values() for table in own.values()]
    bounds = {"mixed_below": mixed_below, "single_above": single_above}
    found = distance_to_recording(
        tables, recording, distance=distance, by=by, n_bootstrap=n_bootstrap, seed=seed, **bounds
    )
    split_half = split_half_distance(recording, tables, by=by, n_splits=n_splits, seed=seed)
    grid = _Grid.of(regimes)
    distances = _Distances(grid.spread(found.observed), grid.spread(found.resampled))
    df = found.n_groups - found.n_animals
    result = xr.Dataset(
        {
            "distance": (("measure", "regime", "pair"), distances.observed),
            "value": (("statistic", "regime", "pair"), grid.spread(found.values)),
            "recorded": ("statistic", found.recorded),
            "n_units": (("regime", "pair"), grid.spread(found.n_units)),
            **_by_regime(distances, grid, df, confidence),
            **_by_contrast(distances, grid, contrasts, df, confidence, seed),
            **_split_half(split_half.sel(measure=distance), grid),
        },
        coords={
            "measure": [distance, *STATISTICS],
            "statistic": list(STATISTICS),
            "regime": grid.regimes,
            "pair": grid.pairs,
            "contrast": [f"{first} - {second}" for first, second in contrasts],
            "first": ("contrast", [first for first, _ in contrasts]),
            "second": ("contrast", [second for _, second in contrasts]),
        },
        attrs={
            "analysis": "compare_regimes",
            "name": str(recording.attrs.get("name", "")),
            "distance": distance,
            "by": by,
            "pairing": "matched units" if found.matched else "none",
            "unit_of_inference": f"pairs of networks; {by}s of {found.n_animals} animal(s)",
            "n_values": found.n_values,
            "n_groups": found.n_groups,
            "size_factor": split_half.attrs["size_factor"],
            "confidence": confidence,
            "n_bootstrap": n_bootstrap,
            "n_splits": n_splits,
            "seed": seed,
            **bounds,
        },
    )
    _warn_of_single_pairs(result)
    return result


def _check(regimes: Regimes, contrasts: Sequence[tuple[str, str]], confidence: float) -> None:
    empty = [name for name, own in regimes.items() if not own]
    if not regimes or empty:
        raise InputError(
            "regimes",
            "training regimes with one network or more each",
            f"none for {listing(empty)}",
            "Leave regimes without networks out.",
        )
    if not contrasts:
        raise InputError(
            "contrasts", "at least one", "none", 'Give [("consolidated", "sequential")].'
        )
    if len(set(contrasts)) < len(contrasts):
        raise InputError(
            "contrasts",
            "different ones",
            listing(" - ".join(pair) for pair in contrasts),
            "Name each once.",
        )
    for first, second in contrasts:
        _check_contrast(regimes, first, second)
    if not 0 < confidence < 1:
        raise InputError("confidence", "a share between 0 and 1", f"{confidence:g}", "Use 0.95.")


def _check_contrast(regimes: Regimes, first: str, second: str) -> None:
    for name in (first, second):
        if name not in regimes:
            raise unknown_name("contrast", name, regimes)
    if first == second:
        raise InputError(
            f"contrast {first!r} - {second!r}", "two regimes", "one twice", "Name another."
        )
    if not regimes[first].keys() & regimes[second].keys():
        raise NotApplicableError(
            f"contrast {first!r} - {second!r}",
            "two regimes with a pair in common",
            f"pairs {listing(regimes[first])} and {listing(regimes[second])}",
            "Train networks of both regimes from the same seeds.",
        )


@dataclass(frozen=True)
class _Grid:
    """Where each network stands among regimes and pairs."""

    regimes: list[str]
    pairs: list[str]
    regime: Codes
    """``(network,)``: its regime's place."""
    pair: Codes

    @classmethod
    def of(cls, regimes: Regimes) -> _Grid:
        pairs = list(dict.fromkeys(pair for own in regimes.values() for pair in own))
        places = [(i, pairs.index(p)) for i, own in enumerate(regimes.values()) for p in own]
        regime, pair = np.array(places, dtype=np.int64).T
        return cls(list(regimes), pairs, regime, pair)

    def spread(self, values: Array) -> Array:
        """Put ``(..., network)`` on ``(..., regime, pair)``, NaN where there is no network."""
        shape = (*values.shape[:-1], len(self.regimes), len(self.pairs))
        found = np.full(shape, np.nan)
        found[..., self.regime, self.pair] = values
        return found

    def has(self, regime: str) -> npt.NDArray[np.bool_]:
        """Tell which pairs a regime has."""
        found: npt.NDArray[np.bool_] = np.isin(
            np.arange(len(self.pairs)), self.pair[self.regime == self.regimes.index(regime)]
        )
        return found


@dataclass(frozen=True)
class _Distances:
    """DistanceToRecording as it is, ``(measure, ..., pair)``, and with sessions resampled."""

    observed: Array
    resampled: Array
    """``(replicate, measure, ..., pair)``."""

    def of(self, regime: int, pairs: npt.NDArray[np.bool_]) -> _Distances:
        """Take one regime's, of some pairs."""
        return _Distances(self.observed[..., regime, pairs], self.resampled[..., regime, pairs])

    def less(self, other: _Distances) -> _Distances:
        """Subtract pair from pair."""
        return _Distances(self.observed - other.observed, self.resampled - other.resampled)

    def mean(self, df_sessions: int, confidence: float) -> tuple[Array, Array, Array]:
        """Give the mean over pairs with its interval, each ``(measure,)``."""
        n, mean = self.observed.shape[-1], self.observed.mean(axis=-1)
        if n < 2:
            return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
        over_pairs = self.observed.var(axis=-1, ddof=1) / n
        together = self.resampled.mean(axis=-1)
        # pairs that answer to sessions in ways of their own are in the variance over pairs, too
        apart = (self.resampled - together[..., None]).var(axis=0).sum(axis=-1) / (n * (n - 1))
        over_sessions = np.maximum(together.var(axis=0) - apart, 0.0)
        variance = over_pairs + over_sessions
        # Welch & Satterthwaite; without any variance no number of degrees of freedom matters
        shares = over_pairs**2 / (n - 1) + over_sessions**2 / df_sessions
        freedom = np.where(shares > 0, variance**2 / np.where(shares > 0, shares, 1.0), n - 1)
        half = student_half_width(np.sqrt(variance), freedom, confidence)
        return mean, mean - half, mean + half


def _by_regime(distances: _Distances, grid: _Grid, df: int, confidence: float) -> dict[str, Any]:
    rows = [
        distances.of(place, grid.has(regime)).mean(df, confidence)
        for place, regime in enumerate(grid.regimes)
    ]
    mean, low, high = np.array(rows).transpose(1, 2, 0)
    by = ("measure", "regime")
    return {
        "mean": (by, mean),
        "mean_low": (by, np.maximum(low, 0.0)),
        "mean_high": (by, high),
        "n_networks": ("regime", np.bincount(grid.regime)),
    }


def _by_contrast(
    distances: _Distances,
    grid: _Grid,
    contrasts: Sequence[tuple[str, str]],
    df: int,
    confidence: float,
    seed: int,
) -> dict[str, Any]:
    rows, tests, paired = [], [], []
    for first, second in contrasts:
        both = grid.has(first) & grid.has(second)
        a, b = (distances.of(grid.regimes.index(name), both) for name in (first, second))
        difference = a.less(b)
        rows.append(difference.mean(df, confidence))
        tests.append([_sign_flips(one, seed) for one in difference.observed])
        paired.append(both)
    mean, low, high = np.array(rows).transpose(1, 0, 2)
    p_value, smallest = np.array(tests).transpose(2, 0, 1)
    by = ("contrast", "measure")
    return {
        "difference": (by, mean),
        "difference_low": (by, low),
        "difference_high": (by, high),
        "p_value": (by, p_value),
        "p_adjusted": (by, _adjusted(p_value)),
        "p_smallest": ("contrast", smallest[:, 0]),
        "n_pairs": ("contrast", np.sum(paired, axis=1)),
        "is_paired": (("contrast", "pair"), np.array(paired)),
    }


def _sign_flips(differences: Array, seed: int) -> tuple[float, float]:
    """Give p, and the smallest that so many pairs can reach; of one pair nothing is inferred."""
    if differences.size == 1:
        return 1.0, 1.0
    test = over_networks(differences, seed=seed)
    return test["p_value"].item(), test["p_smallest"].item()


def _adjusted(p: Array) -> Array:
    """Adjust ``(contrast, measure)`` within each measure; the first of the first is alone."""
    adjusted = p.copy()
    for place in range(p.shape[1]):
        tests = slice(1 if place == 0 else 0, None)
        adjusted[tests, place] = adjust_p(p[tests, place])
    return adjusted


def _split_half(split_half: xr.Dataset, grid: _Grid) -> dict[str, Any]:
    ratio = np.bincount(grid.regime, split_half["ratio"].values) / np.bincount(grid.regime)
    return {
        "split_half": split_half["mean"].item(),
        "split_half_low": split_half["low"].item(),
        "split_half_high": split_half["high"].item(),
        "ratio": ("regime", ratio),
    }


def _warn_of_single_pairs(result: xr.Dataset) -> None:
    single = result["contrast"].values[result["n_pairs"].values == 1]
    if single.size:
        warnings.warn(
            f"One pair in {listing(single)}: nothing can be inferred over networks; p is 1 and "
            "there is no interval.",
            UserWarning,
            stacklevel=3,
        )
