"""Power analysis by simulation: units and trials needed to distinguish two s.d. of FTV."""

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
    """Share of trial noise in a measured task variance.

    The defaults are those of the 181 single units of monkey A (Mante et al. 2013).

    Attributes
    ----------
    share
        Share of noise in the measured variance of a typical unit, at ``trials``.
    trials
        Trials per condition at which ``share`` was measured.
    spread
        S.d. over units of the logarithm of noise over signal.
    degrees
        Degrees of freedom of the noise in one variance: (conditions - 1) times the effective
        number of independent time bins.
    n_conditions
        Number of conditions of a task.
    """

    share: float = 0.4
    trials: float = 126.0
    spread: float = 1.5
    degrees: float = 15.0
    n_conditions: int = 4


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """Grouping of units by session and by network.

    The default correlations are those of monkey A's 762 units within sessions (Mante et al.
    2013), and of units within the networks of this package.

    Attributes
    ----------
    networks, network_units
        Number of networks, and of active units of each.
    units_per_session
        Number of recorded units of one session.
    session_correlation, network_correlation
        Correlation of the normal scores of |FTV| of two units of one session, or of one network.
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
    """Simulate the power to distinguish a recording and networks by their s.d. of FTV.

    Parameters
    ----------
    sd_a, sd_b
        S.d. of the *true* FTV of recorded units and of network units, in (0, 1). 0.577 is a
        uniform distribution; above it most units are near -1 or 1.
    units, trials
        Numbers of recorded units, and of trials per condition, of the designs.
    noise
        Trial noise, on both sides, since networks are sampled like the recording. By default
        that of monkey A; `trial_noise` estimates it from a recording.
    grouping
        Numbers of networks and of units per session, and correlations of their units.
    estimator
        "raw" for task variances as measured, "corrected" for those minus the estimated noise.
    alpha
        Significance level of the two-sided test.
    power
        The desired power.
    n_simulations
        Number of simulated data sets; with 1000 the standard error of power is at most 0.016.
    seed
        Seed of the simulations.

    Returns
    -------
    xarray.Dataset
        ``power (n_units, n_trials)`` with Wilson's 95 % interval of the simulation,
        ``power_low``, ``power_high``; ``false_positive_rate (n_units, n_trials)``, for networks
        with s.d. ``sd_a``. On ``(n_trials,)``: ``recording_sd`` and ``model_sd``, the s.d. of
        measured FTV, and ``noise_share`` of a typical unit. Attributes ``smallest_units`` and
        ``smallest_trials``: the design with the fewest units times trials that has the desired
        power, 0 if none has.

    Raises
    ------
    InputError
        For an s.d. outside (0, 1), equal s.d., an unknown estimator, and invalid numbers.

    Notes
    -----
    The test is that of `nwbcompare.inference.mixed_effects` on |FTV|, in its closed form for
    groups of equal size, with sessions and networks as units of inference. True FTV is 2 B - 1,
    where B has a symmetric beta distribution, which allows any s.d. in (0, 1); the true task
    variances of a unit are 1 + FTV and 1 - FTV. A variance measured with noise has a noncentral
    chi-squared distribution; its noise is proportional to 1 / trials.

    With few networks power has a ceiling and may even decrease with more units: as the error of
    the recording decreases, the effective degrees of freedom approach networks - 1.

    Examples
    --------
    >>> result = power_analysis(0.33, 0.6, units=[200], trials=[100], n_simulations=100)
    >>> bool(result["power"].item() > 0.8)
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
    """Estimate the share of trial noise in the task variances of a recording.

    Parameters
    ----------
    activity
        A recording with two trials or more in each condition.
    conditions
        Trial columns whose combinations are conditions; see `nwbcompare.task_variance`.

    Returns
    -------
    TrialNoise
        For `power_analysis`: medians over units of the share of noise (summed over tasks) and of
        trials per condition; the spread over units whose variance exceeds their noise. Degrees
        of freedom are those of monkey A times the ratio of (conditions - 1), since an estimate
        would need shuffled trials.

    Raises
    ------
    NotApplicableError
        For noise-free rates, and if no unit's variance exceeds its noise.

    Notes
    -----
    The expected noise in a variance over C condition means is (C - 1) / C times the mean of
    their squared standard errors.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> recording = nc.comparison.simulate_recording(nc.model.pretrained("ctxdm-0"), n_units=3)
    >>> noise = trial_noise(recording)
    >>> noise.n_conditions, 0 < noise.share < 1
    (4, True)
    """
    measured, expected, trials, n_conditions = _noise_by_unit(activity, conditions)
    share = np.divide(expected, measured, out=np.ones_like(expected), where=measured > 0)
    tuned = (share > 0) & (share < 1)
    if not tuned.any():
        raise NotApplicableError(
            "activity",
            "noisy trials, two or more in each condition, of units tuned beyond their noise",
            "no such unit",
            "Pass a recording, or the numbers themselves: TrialNoise(share=0.4, trials=100).",
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
    """Sum measured variance and its expected noise over tasks, for units that have both."""
    measured, expected, trials = [], [], []
    n = 2
    for _, means, bins in means_by_task(activity, conditions=conditions):
        n = means.sizes["condition"]
        rate, error = (means[name].values[:, :, bins] for name in ("rate_mean", "mean_variance"))
        measured.append(rate.var(axis=1).mean(axis=-1))
        expected.append((n - 1) / n * error.mean(axis=(1, 2)))
        trials.append(float(np.median(means["n_trials"].values)))
    totals = np.sum(measured, axis=0), np.sum(expected, axis=0)
    finite = np.isfinite(totals[0]) & np.isfinite(totals[1])
    return totals[0][finite], totals[1][finite], float(np.mean(trials)), n


def noise_share(noise: TrialNoise, trials: Array | float) -> Array:
    """Compute the share of noise in a typical unit's measured variance, by number of trials.

    Examples
    --------
    >>> noise_share(TrialNoise(share=0.5, trials=10), np.array([10, 30])).tolist()
    [0.5, 0.25]
    """
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
    """Draw true FTV ``(simulation, unit)`` of a given s.d., with |FTV| correlated within groups.

    Units are in order of groups. The square of FTV has a beta distribution; its normal scores have
    the given correlation, so that the s.d. does not depend on the groups (Gaussian copula).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ftv = draw_ftv(0.5, (100, 40), group_size=10, correlation=0.2, rng=rng)
    >>> ftv.shape, bool(abs(ftv.std() - 0.5) < 0.02)
    ((100, 40), True)
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
    """Random data sets and their tests."""

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
        """Count true and false positives by number of units, and compute the measured s.d."""
        size = self.grouping.units_per_session
        recorded = self.measured(sd_a, max(units), size, self.grouping.session_correlation, trials)
        networks, per_network = self.grouping.networks, self.grouping.network_units
        models, null_models = (
            self.measured(
                sd, networks * per_network, per_network, self.grouping.network_correlation, trials
            )
            for sd in (sd_b, sd_a)
        )
        of_models, of_null = (
            _group_summary(np.abs(ftv), per_network) for ftv in (models, null_models)
        )
        hits, false_hits = [], []
        for number in units:
            of_recording = _group_summary(np.abs(recorded[:, :number]), size)
            hits.append(int((_group_test(of_recording, of_models) <= alpha).sum()))
            false_hits.append(int((_group_test(of_recording, of_null) <= alpha).sum()))
        spread = np.array([np.nanstd(recorded), np.nanstd(models)])
        return np.array(hits), np.array(false_hits), spread

    def measured(
        self, sd: float, n_units: int, size: int, correlation: float, trials: int
    ) -> Array:
        """Draw measured FTV ``(simulation, unit)``, NaN for units without variance in any task."""
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
        """Draw measured task variances, given true ones and the expected noise."""
        degrees = self.noise.degrees
        shift = np.sqrt(degrees * signal / level)
        # noncentral chi-squared, as one shifted normal and a central chi-squared
        raw: Array = (self.rng.standard_normal(signal.shape) + shift) ** 2
        raw += 2 * self.rng.standard_gamma((degrees - 1) / 2, signal.shape)
        raw *= level / degrees
        if self.estimator == "raw":
            return raw
        n_conditions = self.noise.n_conditions
        of_estimate = degrees * n_conditions / (n_conditions - 1) * (trials - 1)
        estimate = 2 * self.rng.standard_gamma(of_estimate / 2, signal.shape) / of_estimate
        corrected: Array = np.maximum(raw - level * estimate, 0)
        return corrected


def _group_summary(values: Array, size: int) -> tuple[Array, Array, Array]:
    """Compute the mean of values in groups, its squared standard error and degrees of freedom.

    Parameters
    ----------
    values
        Values ``(simulation, value)`` in order of groups; NaN is left out.
    size
        Number of values of a group; the last may have fewer.

    Notes
    -----
    For groups of equal size these are the estimates of the mixed-effects model: from the variance
    between groups where that exceeds the variance within, else from that of all values.
    """
    finite = np.isfinite(values)
    filled = np.where(finite, values, 0)
    starts = np.arange(0, values.shape[1], size)
    number = np.add.reduceat(finite, starts, axis=1, dtype=np.float64)
    sums = np.add.reduceat(filled, starts, axis=1)
    n, n_groups = number.sum(axis=1), (number > 0).sum(axis=1)
    mean = sums.sum(axis=1) / n
    between = (sums**2 / np.maximum(number, 1)).sum(axis=1) - n * mean**2
    total = (filled**2).sum(axis=1) - n * mean**2
    mean_squares = np.maximum(between / (n_groups - 1), total / (n - 1))
    return mean, mean_squares / n, (n_groups - 1).astype(np.float64)


def _group_test(a: tuple[Array, Array, Array], b: tuple[Array, Array, Array]) -> Array:
    """Compute the two-sided p of the difference of two means from `_group_summary`."""
    squares = np.stack([a[1], b[1]], axis=-1)
    degrees = satterthwaite(squares, np.stack([a[2], b[2]], axis=-1))
    return two_sided_p((b[0] - a[0]) / np.sqrt(squares.sum(axis=-1)), degrees)


def _smallest(result: xr.Dataset, power: float) -> dict[str, int]:
    """Return the design with the fewest units times trials that has the desired power."""
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
            "s.d. of FTV", "two different ones", f"{sd_a:g} twice", "Change one of them."
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
            "One network allows no inference over networks.",
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
            "Use more units, or fewer per session.",
        )
