"""Comparison of training regimes by their networks' distance to a recording, on paired seeds."""

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
    """Compare training regimes by the distance of their networks' FTV to that of a recording.

    Parameters
    ----------
    regimes
        Sample table of each network from `nwbcompare.fractional_task_variance`, on ``(unit,)``
        or ``(draw, unit)``, by training regime and then by pair (such as the seed). Networks of
        one pair started from the same weights. If all have the unit columns ``session`` and
        ``recorded_unit``, units are matched to recorded ones.
    recording
        The recording's sample table, with the unit column ``session``.
    contrasts
        Pairs of regimes; the first contrast is the primary one, fixed in advance. A difference
        below 0 means that the first regime of a contrast is closer to the recording.
    distance
        A name in `nwbcompare.comparison.kernels.distances.DISTANCES`.
    by
        Unit of resampling and splitting of the recording: "session", or "unit" if sessions are
        unknown (intervals are then too narrow).
    mixed_below, single_above
        Units whose absolute value is below the first bound are mixed, those above the second
        are single-context units.
    n_bootstrap
        Number of bootstrap samples; with 2000 the standard error has an error of 2 %.
    n_splits
        Number of splits for the split-half distance; see
        `nwbcompare.comparison.split_half_distance`.
    confidence
        Coverage of the intervals.
    seed
        Seed of all random draws.

    Returns
    -------
    xarray.Dataset
        ``distance (measure, regime, pair)``: the distance, then for ``sd``, ``mean``,
        ``mixed_share`` and ``single_share`` the absolute difference of the network's ``value
        (statistic, regime, pair)`` and ``recorded (statistic,)``; NaN where a regime lacks a
        pair. ``n_units (regime, pair)``: active units, the mean over draws. On ``(measure,
        regime)``: ``mean``, over networks, with ``mean_low``, ``mean_high``. On ``(contrast,
        measure)``: the mean ``difference`` of distances over pairs (first minus second), with
        ``difference_low``, ``difference_high``, ``p_value`` and ``p_adjusted``. On
        ``(contrast,)``: ``p_smallest``, the smallest p possible with ``n_pairs``. ``is_paired
        (contrast, pair)``: pairs that both regimes have, and that are used. For the distance:
        ``split_half`` with ``split_half_low``, ``split_half_high``, of halves of the recording,
        and ``ratio (regime,)`` to it, at equal sizes.

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
        For contrasts with a single pair, which have a p of 1 and an interval of NaN.

    Notes
    -----
    *Equal sizes*: small samples have larger distances, so each distance is the mean over 50
    samples of the size of the smallest network (``n_values``), drawn without replacement.

    *Test*: all sign flips of the pairs' differences (`nwbcompare.inference.over_networks`). It
    generalises to other networks, for *this* recording. Two regimes on either side of the animals
    (one too wide, one too narrow, equally far) can differ in the same direction in every pair,
    because the recorded sessions happen to be a little too wide. Therefore interpret p together
    with the interval, as `attribution` does.

    *Interval*: it generalises to other networks of these regimes and other sessions of these
    animals, not to other animals. Whole sessions are drawn with replacement within animals, with
    their matched units (without matched units: the recording's alone), the same sessions for all
    networks. The variance of the mean difference over these samples and that over pairs, s^2 / n,
    are added. The interaction of pairs and sessions is part of both and is subtracted once (two
    crossed factors; Owen 2007, Annals of Applied Statistics 1:386). The interval is Student's,
    with Welch's degrees of freedom (from pairs - 1, and sessions - animals). Intervals of the
    means of regimes are computed likewise and cut at 0. The estimand is the difference of the
    *expected* distances at these numbers of units.

    *Multiplicity*: the distance of the first contrast is the primary test and is not adjusted.
    ``p_adjusted`` is Holm's within each measure: over all contrasts for secondary measures, and
    over all but the primary one for the distance. It does not adjust for several measures.

    The split-half distance is that of halves, which is about ``size_factor`` times that of whole
    samples. For signed differences from the recording see `nwbcompare.compare_samples`.
    ``benchmarks/regime_errors.py`` measures coverage and error rates.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def table(half_width):
    ...     return xr.Dataset(
    ...         {"fractional_task_variance": ("unit", rng.uniform(-half_width, half_width, 90))},
    ...         coords={"session": ("unit", np.arange(90) // 6)}, attrs={"name": "m"})
    >>> seeds = [f"seed {number}" for number in range(6)]
    >>> result = compare_regimes(
    ...     {"sequential": {seed: table(1.0) for seed in seeds},
    ...      "consolidated": {seed: table(0.7) for seed in seeds}},
    ...     table(0.5), [("consolidated", "sequential")], n_bootstrap=100, n_splits=20)
    >>> result["p_value"].sel(measure="wasserstein").item()
    0.03125
    """
    _check(regimes, contrasts, confidence)
    for name, by_pair in regimes.items():
        for pair, table in by_pair.items():
            check_same_pair(table, recording, f"{name} {pair}")
    tables = [table for by_pair in regimes.values() for table in by_pair.values()]
    bounds = {"mixed_below": mixed_below, "single_above": single_above}
    measured = distance_to_recording(
        tables, recording, distance=distance, by=by, n_bootstrap=n_bootstrap, seed=seed, **bounds
    )
    split_half = split_half_distance(recording, tables, by=by, n_splits=n_splits, seed=seed)
    grid = _Grid.of(regimes)
    distances = _Distances(grid.spread(measured.observed), grid.spread(measured.resampled))
    df = measured.n_groups - measured.n_animals
    result = xr.Dataset(
        {
            "distance": (("measure", "regime", "pair"), distances.observed),
            "value": (("statistic", "regime", "pair"), grid.spread(measured.values)),
            "recorded": ("statistic", measured.recorded),
            "n_units": (("regime", "pair"), grid.spread(measured.n_units)),
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
            "pairing": "matched units" if measured.matched else "none",
            "unit_of_inference": f"pairs of networks; {by}s of {measured.n_animals} animal(s)",
            "n_values": measured.n_values,
            "n_groups": measured.n_groups,
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
    empty = [name for name, by_pair in regimes.items() if not by_pair]
    if not regimes or empty:
        raise InputError(
            "regimes",
            "training regimes with one network or more each",
            f"none for {listing(empty)}",
            "Leave regimes without networks out.",
        )
    if not contrasts:
        raise InputError(
            "contrasts", "at least one", "none", 'Pass [("consolidated", "sequential")].'
        )
    if len(set(contrasts)) < len(contrasts):
        raise InputError(
            "contrasts",
            "different ones",
            listing(" - ".join(pair) for pair in contrasts),
            "Name each contrast once.",
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
            f"contrast {first!r} - {second!r}", "two regimes", "one twice", "Name two regimes."
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
    """Places of networks among regimes and pairs."""

    regimes: list[str]
    pairs: list[str]
    regime: Codes
    """``(network,)``: place of the regime."""
    pair: Codes

    @classmethod
    def of(cls, regimes: Regimes) -> _Grid:
        pairs = list(dict.fromkeys(pair for by_pair in regimes.values() for pair in by_pair))
        places = [
            (place, pairs.index(pair))
            for place, by_pair in enumerate(regimes.values())
            for pair in by_pair
        ]
        regime, pair = np.array(places, dtype=np.int64).T
        return cls(list(regimes), pairs, regime, pair)

    def spread(self, values: Array) -> Array:
        """Return ``(..., network)`` as ``(..., regime, pair)``, NaN where there is no network."""
        shape = (*values.shape[:-1], len(self.regimes), len(self.pairs))
        table = np.full(shape, np.nan)
        table[..., self.regime, self.pair] = values
        return table

    def has(self, regime: str) -> npt.NDArray[np.bool_]:
        """Return which pairs a regime has ``(pair,)``."""
        pairs = self.pair[self.regime == self.regimes.index(regime)]
        return np.isin(np.arange(len(self.pairs)), pairs)


@dataclass(frozen=True)
class _Distances:
    """Distances ``(measure, ..., pair)``, and those to bootstrap samples of the recording."""

    observed: Array
    resampled: Array
    """``(replicate, measure, ..., pair)``."""

    def of(self, regime: int, pairs: npt.NDArray[np.bool_]) -> _Distances:
        """Select the distances of one regime and of some pairs."""
        return _Distances(self.observed[..., regime, pairs], self.resampled[..., regime, pairs])

    def less(self, other: _Distances) -> _Distances:
        """Subtract those of another regime, pair by pair."""
        return _Distances(self.observed - other.observed, self.resampled - other.resampled)

    def mean(self, df_sessions: int, confidence: float) -> tuple[Array, Array, Array]:
        """Compute the mean over pairs with its interval, each ``(measure,)``."""
        n, mean = self.observed.shape[-1], self.observed.mean(axis=-1)
        if n < 2:
            return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
        over_pairs = self.observed.var(axis=-1, ddof=1) / n
        together = self.resampled.mean(axis=-1)
        # the interaction of pairs and sessions is in the variance over pairs already
        apart = (self.resampled - together[..., None]).var(axis=0).sum(axis=-1) / (n * (n - 1))
        over_sessions = np.maximum(together.var(axis=0) - apart, 0.0)
        variance = over_pairs + over_sessions
        # Welch & Satterthwaite; without variance the degrees of freedom do not matter
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
    """Return p, and the smallest p possible with so many pairs; both are 1 for one pair."""
    if differences.size == 1:
        return 1.0, 1.0
    test = over_networks(differences, seed=seed)
    return test["p_value"].item(), test["p_smallest"].item()


def _adjusted(p: Array) -> Array:
    """Adjust p ``(contrast, measure)`` within each measure, without the primary test."""
    adjusted = p.copy()
    for place in range(p.shape[1]):
        tests = slice(1 if place == 0 else 0, None)
        # a single p value stays as it is, and statsmodels collects garbage in every call
        if p[tests, place].size > 1:
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
            f"One pair in {listing(single)} allows no inference over networks: p is 1 and there is "
            "no interval.",
            UserWarning,
            stacklevel=3,
        )
