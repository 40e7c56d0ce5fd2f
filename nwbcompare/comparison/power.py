"""How many units and trials it takes to tell two spreads of FTV apart, by simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.core.activity import Activity
from nwbcompare.core.errors import InputError, NotApplicableError, unknown_name
from nwbcompare.inference.mixed_effects import satterthwaite, two_sided_p
from nwbcompare.kernels.intervals import wilson_interval

Array = npt.NDArray[np.float64]
CorrectedOrRaw = Literal["raw", "corrected"]
ESTIMATORS: tuple[str, ...] = get_args(CorrectedOrRaw)
N_QUANTILES = 4097
LARGEST_SHARE = 0.95


@dataclass(frozen=True, kw_only=True)
class TrialNoise:
    """How much of a measured task variance is trial noise.

    The defaults are those of the 181 single units of monkey A (Mante et al. 2013).

    Attributes
    ----------
    share
        Part of a typical unit's measured variance that is noise, at ``trials``.
    trials
        Trials per condition at which that was measured.
    spread
        S.d. over units of the logarithm of noise over signal.
    degrees
        Degrees of freedom of the noise in one variance: (conditions - 1) times the number of
        independent time bins that the noise is worth.
    n_conditions
        Conditions of a task.
    """

    share: float = 0.4
    trials: float = 126.0
    spread: float = 1.5
    degrees: float = 15.0
    n_conditions: int = 4


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Who is sampled from whom.

    The correlations are of |FTV| (of its normal scores), of monkey A's 762 units within their
    sessions and of units within the shipped networks.

    Attributes
    ----------
    networks, network_units
        Networks, and active units of each.
    units_per_session
        Units of the recording that share a session.
    session_correlation, network_correlation
        How alike units of one session, or of one network, are.
    """

    networks: int = 5
    network_units: int = 256
    units_per_session: int = 7
    session_correlation: float = 0.1
    network_correlation: float = 0.01


def power_analysis(
    sd_a: float,
    sd_b: float,
    *,
    units: Sequence[int] = (25, 50, 100, 200, 400),
    trials: Sequence[int] = (10, 20, 40, 80, 160),
    noise: TrialNoise | None = None,
    grouping: Grouping | None = None,
    estimator: CorrectedOrRaw = "raw",
    alpha: float = 0.05,
    power: float = 0.8,
    n_simulations: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Simulate how often a recording and networks with different spreads of FTV are told apart.

    Parameters
    ----------
    sd_a, sd_b
        S.d. of the *true* FTV of the recorded population and of the networks, in (0, 1);
        0.577 is flat, more has most units near the ends.
    units, trials
        Numbers of recorded units, and of trials per condition, to try.
    noise
        Of the trials, on both sides: networks are sampled as the recording is. By default
        that of monkey A; `trial_noise` measures it in a recording.
    grouping
        Numbers of networks and of units per session, and how alike their units are.
    estimator
        "raw": task variances as they are; "corrected": with the estimated noise taken out.
    alpha
        Level of the two-sided test.
    power
        The power that is wanted.
    n_simulations
        Simulated data sets; 1000 leave a standard error of at most 0.016.
    seed
        Of the simulations.

    Returns
    -------
    xarray.Dataset
        ``power (n_units, n_trials)`` with ``power_low`` and ``power_high`` (95 %, Wilson, of
        the simulation); ``false_positive_rate (n_units, n_trials)``, with networks of s.d.
        ``sd_a``; by ``n_trials``, ``recording_sd`` and ``model_sd``, the s.d. of FTV that will
        be measured, and ``noise_share`` of a typical unit. ``smallest_units`` and
        ``smallest_trials`` in attrs: the design with the fewest units times trials that
        reaches the power, 0 where none does.

    Raises
    ------
    InputError
        For an s.d. outside (0, 1), equal ones, and numbers that no design can have.

    Notes
    -----
    The test is that of `mixed_effects` on |FTV|, in its closed form for groups of equal size,
    with sessions and networks as the units of inference. True FTV is 2 B - 1 with B of a
    symmetric beta distribution, which has any s.d. in (0, 1); signals of a unit are 1 + FTV
    and 1 - FTV. A measured variance with noise is noncentral chi-squared, its noise falling as
    1 / trials.

    With few networks the power reaches a ceiling, and may even fall with more units: the fewer
    doubts the recording leaves, the more the (networks - 1) degrees of freedom count.

    Examples
    --------
    >>> found = power_analysis(0.33, 0.6, units=[200], trials=[100], n_simulations=100)
    >>> bool(found["power"].item() > 0.8)
    True
    """
    noise, grouping = noise or TrialNoise(), grouping or Grouping()
    _check(sd_a, sd_b, units, trials, estimator, alpha, power, n_simulations)
    _check_noise(noise)
    _check_grouping(grouping, units)
    rng = np.random.default_rng(seed)
    simulate = _Simulation(noise, grouping, estimator, n_simulations, rng)
    columns = [
        simulate.column(sd_a, sd_b, sorted(units), number, alpha)
        for number in tqdm(sorted(trials), desc="trials", disable=None)
    ]
    hits, false_hits, spreads = (np.stack(part, axis=-1) for part in zip(*columns, strict=True))
    low, high = wilson_interval(hits, n_simulations)
    dims = ("n_units", "n_trials")
    result = xr.Dataset(
        {
            "power": (dims, hits / n_simulations),
            "power_low": (dims, low),
            "power_high": (dims, high),
            "false_positive_rate": (dims, false_hits / n_simulations),
            "recording_sd": ("n_trials", spreads[0]),
            "model_sd": ("n_trials", spreads[1]),
            "noise_share": ("n_trials", noise_share(noise, np.array(sorted(trials)))),
        },
        coords={"n_units": sorted(units), "n_trials": sorted(trials)},
        attrs={
            "analysis": "power_analysis",
            "sd_a": sd_a,
            "sd_b": sd_b,
            "estimator": estimator,
            "alpha": alpha,
            "target_power": power,
            "n_simulations": n_simulations,
            "seed": seed,
            "unit_of_inference": "networks; sessions of one animal",
            **{f"noise_{name}": value for name, value in asdict(noise).items()},
            **asdict(grouping),
        },
    )
    return result.assign_attrs(_smallest(result, power))


def trial_noise(activity: Activity, *, conditions: Sequence[str] | None = None) -> TrialNoise:
    """Measure how much of the task variance of a recording is trial noise, for `power_analysis`.

    Parameters
    ----------
    activity
        A recording with two trials or more in each condition.
    conditions
        See `nwbcompare.task_variance`.

    Returns
    -------
    TrialNoise
        Medians over units of the share of noise (summed over tasks) and of trials per
        condition; the spread over units whose variance exceeds their noise. The degrees of
        freedom are those of monkey A for one condition less than there are: they would need
        shuffled trials.

    Raises
    ------
    NotApplicableError
        For a source without trial noise, and where no unit varies more than its noise.

    Notes
    -----
    The noise in a variance over C condition means is (C - 1) / C times the mean of their
    squared standard errors.
    """
    measured, expected, trials, n_conditions = _noise_by_unit(activity, conditions)
    share = np.divide(expected, measured, out=np.ones_like(expected), where=measured > 0)
    tuned = (share > 0) & (share < 1)
    if not tuned.any():
        raise NotApplicableError(
            "activity",
            "noisy trials, two or more in each condition, of units tuned beyond their noise",
            "no such unit",
            "Give a recording, or the numbers themselves: TrialNoise(share=0.4, trials=100).",
        )
    default = TrialNoise()
    return TrialNoise(
        share=float(min(np.median(share), LARGEST_SHARE)),
        trials=trials,
        spread=float(np.log(share[tuned] / (1 - share[tuned])).std()),
        degrees=default.degrees * (n_conditions - 1) / (default.n_conditions - 1),
        n_conditions=n_conditions,
    )


def _noise_by_unit(
    activity: Activity, conditions: Sequence[str] | None
) -> tuple[Array, Array, float, int]:
    """Sum measured variance and its expected noise over tasks, of units that have both."""
    measured, expected, trials = [], [], []
    n = 2
    for _, means, bins in means_by_task(activity, conditions=conditions):
        n = means.sizes["condition"]
        rate, error = (means[name].values[:, :, bins] for name in ("rate_mean", "mean_variance"))
        measured.append(rate.var(axis=1).mean(axis=-1))
        expected.append((n - 1) / n * error.mean(axis=(1, 2)))
        trials.append(float(np.median(means["n_trials"].values)))
    totals = np.sum(measured, axis=0), np.sum(expected, axis=0)
    known = np.isfinite(totals[0]) & np.isfinite(totals[1])
    return totals[0][known], totals[1][known], float(np.mean(trials)), n


def noise_share(noise: TrialNoise, trials: Array | float) -> Array:
    """Give the share of noise in a typical unit's measured variance at a number of trials."""
    relative = noise.share / (1 - noise.share) * noise.trials / np.asarray(trials)
    share: Array = relative / (1 + relative)
    return share


def draw_ftv(
    sd: float,
    shape: tuple[int, int],
    *,
    group_size: int,
    correlation: float,
    rng: np.random.Generator,
) -> Array:
    """Draw true FTV ``(simulation, unit)`` of a given s.d., units of one group alike in |FTV|.

    Units lie group by group. The square of FTV is beta distributed; its normal scores have the
    correlation given, so the s.d. is exact whatever the groups.
    """
    from scipy.special import betaincinv, ndtr  # noqa: PLC0415 - slow to import

    n_groups = -(-shape[1] // group_size)
    shared = np.repeat(rng.standard_normal((shape[0], n_groups)), group_size, axis=1)
    score = np.sqrt(correlation) * shared[:, : shape[1]]
    score += np.sqrt(1 - correlation) * rng.standard_normal(shape)
    probability = np.linspace(0, 1, N_QUANTILES)
    absolute = np.sqrt(betaincinv(0.5, (1 / sd**2 - 1) / 2, probability))
    signs = 1.0 - 2.0 * rng.integers(2, size=shape)
    drawn: Array = signs * np.interp(ndtr(score), probability, absolute)
    return drawn


class _Simulation:
    """Draws data sets and tests them."""

    def __init__(
        self,
        noise: TrialNoise,
        grouping: Grouping,
        estimator: str,
        n: int,
        rng: np.random.Generator,
    ) -> None:
        self.noise, self.grouping, self.estimator = noise, grouping, estimator
        self.n, self.rng = n, rng

    def column(
        self, sd_a: float, sd_b: float, units: Sequence[int], trials: int, alpha: float
    ) -> tuple[Array, Array, Array]:
        """Count hits and false hits for all numbers of units, and give the measured s.d."""
        size = self.grouping.units_per_session
        recorded = self.measured(sd_a, max(units), size, self.grouping.session_correlation, trials)
        networks, per_network = self.grouping.networks, self.grouping.network_units
        models, alike = (
            self.measured(
                sd, networks * per_network, per_network, self.grouping.network_correlation, trials
            )
            for sd in (sd_b, sd_a)
        )
        of_models, of_alike = (group_summary(np.abs(m), per_network) for m in (models, alike))
        hits, false_hits = [], []
        for number in units:
            own = group_summary(np.abs(recorded[:, :number]), size)
            hits.append(int((group_test(own, of_models) <= alpha).sum()))
            false_hits.append(int((group_test(own, of_alike) <= alpha).sum()))
        spread = np.array([np.nanstd(recorded), np.nanstd(models)])
        return np.array(hits), np.array(false_hits), spread

    def measured(
        self, sd: float, n_units: int, size: int, correlation: float, trials: int
    ) -> Array:
        """Draw the FTV that is measured, NaN where a unit seems to vary in no task."""
        shape = (self.n, n_units)
        ftv = draw_ftv(sd, shape, group_size=size, correlation=correlation, rng=self.rng)
        typical = self.noise.share / (1 - self.noise.share) * self.noise.trials / trials
        level = typical * np.exp(self.noise.spread * self.rng.standard_normal(shape))
        a, b = (self.variance(1 + signal, level, trials) for signal in (ftv, -ftv))
        total = a + b
        fraction: Array = np.full(shape, np.nan)
        np.divide(a - b, total, out=fraction, where=total > 0)
        return fraction

    def variance(self, signal: Array, level: Array, trials: int) -> Array:
        """Measure a task variance with noise of an expected level."""
        degrees = self.noise.degrees
        shift = np.sqrt(degrees * signal / level)
        found: Array = (self.rng.standard_normal(signal.shape) + shift) ** 2
        found += 2 * self.rng.standard_gamma((degrees - 1) / 2, signal.shape)
        found *= level / degrees
        if self.estimator == "raw":
            return found
        n_conditions = self.noise.n_conditions
        of_estimate = degrees * n_conditions / (n_conditions - 1) * (trials - 1)
        estimate = 2 * self.rng.standard_gamma(of_estimate / 2, signal.shape) / of_estimate
        corrected: Array = np.maximum(found - level * estimate, 0)
        return corrected


def group_summary(values: Array, size: int) -> tuple[Array, Array, Array]:
    """Give the mean of values in groups, its squared error and degrees of freedom.

    Parameters
    ----------
    values
        ``(simulation, value)``, group by group; NaN is left out.
    size
        Values of a group; the last may have fewer.

    Notes
    -----
    In groups of equal size these are the estimates of the mixed-effects model: by the variance
    between the groups where that exceeds the variance within, else by that of all values.
    """
    seen = np.isfinite(values)
    filled = np.where(seen, values, 0)
    starts = np.arange(0, values.shape[1], size)
    number = np.add.reduceat(seen, starts, axis=1, dtype=np.float64)
    sums = np.add.reduceat(filled, starts, axis=1)
    n, n_groups = number.sum(axis=1), (number > 0).sum(axis=1)
    mean = sums.sum(axis=1) / n
    between = (sums**2 / np.maximum(number, 1)).sum(axis=1) - n * mean**2
    total = (filled**2).sum(axis=1) - n * mean**2
    mean_squares = np.maximum(between / (n_groups - 1), total / (n - 1))
    return mean, mean_squares / n, (n_groups - 1).astype(np.float64)


def group_test(a: tuple[Array, Array, Array], b: tuple[Array, Array, Array]) -> Array:
    """Give the two-sided p of the difference of two means from `group_summary`."""
    squares = np.stack([a[1], b[1]], axis=-1)
    degrees = satterthwaite(squares, np.stack([a[2], b[2]], axis=-1))
    return two_sided_p((b[0] - a[0]) / np.sqrt(squares.sum(axis=-1)), degrees)


def _smallest(result: xr.Dataset, power: float) -> dict[str, int]:
    """Find the design with the fewest units times trials that reaches the power."""
    units, trials = np.meshgrid(result["n_units"], result["n_trials"], indexing="ij")
    cost = np.where(result["power"].values >= power, units * trials, np.inf)
    if not np.isfinite(cost).any():
        return {"smallest_units": 0, "smallest_trials": 0}
    place = np.unravel_index(int(cost.argmin()), cost.shape)
    return {"smallest_units": int(units[place]), "smallest_trials": int(trials[place])}


def _check(
    sd_a: float,
    sd_b: float,
    units: Sequence[int],
    trials: Sequence[int],
    estimator: str,
    alpha: float,
    power: float,
    n_simulations: int,
) -> None:
    for sd in (sd_a, sd_b):
        if not 0 < sd < 1:
            raise InputError(
                "s.d. of FTV", "a number between 0 and 1", f"{sd:g}", "FTV lies in [-1, 1]."
            )
    if sd_a == sd_b:
        raise InputError(
            "s.d. of FTV", "two different ones", f"{sd_a:g} twice", "Nothing can tell them apart."
        )
    if estimator not in ESTIMATORS:
        raise unknown_name("estimator", estimator, ESTIMATORS)
    for name, share in (("alpha", alpha), ("power", power)):
        if not 0 < share < 1:
            raise InputError(name, "a number between 0 and 1", f"{share:g}", f"Use {name}=0.05.")
    for name, numbers, least in (("units", units, 2), ("trials", trials, 2)):
        if not numbers or min(numbers) < least:
            raise InputError(
                name,
                f"one number or more, each {least} or more",
                repr(list(numbers)),
                "Try 50, 100.",
            )
    if n_simulations < 1:
        raise InputError("n_simulations", "1 or more", str(n_simulations), "Use 1000.")


def _check_noise(noise: TrialNoise) -> None:
    if not 0 < noise.share < 1:
        raise InputError(
            "share of noise", "a number between 0 and 1", f"{noise.share:g}", "Monkey A: 0.4."
        )
    if not noise.trials > 0 or not noise.degrees > 1 or noise.n_conditions < 2 or noise.spread < 0:
        raise InputError(
            "noise",
            "trials above 0, degrees above 1, 2 conditions or more, a spread from 0 on",
            repr(noise),
            "Leave them at their defaults, those of monkey A.",
        )


def _check_grouping(grouping: Grouping, units: Sequence[int]) -> None:
    if grouping.networks < 2 or grouping.network_units < 2:
        raise InputError(
            "networks",
            "2 or more, of 2 units or more",
            f"{grouping.networks} of {grouping.network_units}",
            "One network says nothing of others.",
        )
    for correlation in (grouping.session_correlation, grouping.network_correlation):
        if not 0 <= correlation < 1:
            raise InputError(
                "correlation", "from 0 to below 1", f"{correlation:g}", "Monkey A: 0.1."
            )
    if grouping.units_per_session < 1 or min(units) <= grouping.units_per_session:
        raise InputError(
            "units per session",
            f"1 or more, and fewer than the units ({min(units)}): two sessions are needed",
            str(grouping.units_per_session),
            "Plan more units, or fewer per session.",
        )
