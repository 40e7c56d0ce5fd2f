"""Mean and standard deviation of FTV over units, where trial noise would widen or narrow them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.selectivity.kernels.ftv_spread import (
    Spread,
    capped_weights,
    equal_weights,
    fold_variances,
    unbiased_squares,
    weighted_spread,
)
from nwbcompare.analysis.selectivity.kernels.noise_correction import LEAST_TRIALS
from nwbcompare.analysis.selectivity.noise_correction import (
    block_of,
    observations,
    pair_of,
    refuse_noise_free,
    trials_by_unit,
)
from nwbcompare.analysis.selectivity.task_variance import Estimator, means_by_task
from nwbcompare.core.activity import Activity, columns_on
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError, UnitWarning, listing, unknown_name

Array = npt.NDArray[np.float64]
Weights = Literal["capped", "strength", "equal"]
WEIGHTS = ("capped", "strength", "equal")
FOLD_NAMES = (
    "task_variance",
    "unbiased_variance",
    "held_out_variance",
    "held_out_noise",
    "held_out_error",
)
"""Names of the fields of `kernels.ftv_spread.Folds` in a table."""
LEAST_STRENGTH = 2.0
"""Standard errors above 0 from which a unit counts as tuned, with equal weights."""


def cross_validated_variance(
    activity: Activity,
    *,
    estimator: Estimator = "per_time",
    conditions: Sequence[str] | None = None,
    epochs: Sequence[str] | None = None,
    leave_out: Sequence[str] = ("fix1",),
    n_folds: int = 4,
    seed: int = 0,
) -> xr.Dataset:
    """Estimate task variance from some trials of each unit, and its strength from the others.

    Parameters
    ----------
    activity
        An activity or a block with noisy trials, of a network or a recording.
    estimator, conditions, epochs, leave_out
        See `nwbcompare.task_variance`.
    n_folds
        Parts into which the trials of each condition are dealt at random. The default leaves
        three quarters of the trials for the variances: their error grows little, and a quarter
        is enough to weight units by. 2 for `ftv_spread` with equal weights, which needs the
        strength of each unit more precisely.
    seed
        Seed of the deal; every unit and task has its own random stream.

    Returns
    -------
    xarray.Dataset
        Each ``(fold, unit, task)``: ``task_variance``, without noise, from all trials outside the
        fold, and ``unbiased_variance``, its sampling variance; from the trials of the fold
        ``held_out_variance``, ``held_out_noise`` and ``held_out_error``. NaN where a fold has
        fewer than 2 trials of a condition; ``n_unknown`` in attrs counts units without a value.

    Raises
    ------
    InputError
        For fewer than 2 folds, and as `nwbcompare.task_variance`.
    NotApplicableError
        For a source without noise, and as `nwbcompare.task_variance`.

    Warns
    -----
    UnitWarning
        For units with fewer than ``2 n_folds`` trials of a condition: they are NaN.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> trials = example_block().isel(trial=np.tile(np.arange(8), 4))
    >>> dict(cross_validated_variance(trials).sizes)["fold"]
    4
    """
    check_whole("n_folds", n_folds, 2, "Use n_folds=4.")
    chosen: dict[str, Any] = {"conditions": conditions, "epochs": epochs, "leave_out": leave_out}
    tasks, parts, columns, about = [], [], {}, {}
    for place, (task, means, bins) in enumerate(means_by_task(activity, **chosen)):
        block = block_of(activity, task)
        refuse_noise_free(block, np.array([not block.attrs["deterministic"]]))
        units = trials_by_unit(block, task, bins, conditions)
        description = tqdm(units, desc=f"folds, {task}", total=block.sizes["unit"], disable=None)
        folds = [
            fold_variances(
                rates,
                number,
                means.sizes["condition"],
                estimator,
                n_folds=n_folds,
                rng=np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(place, unit))),
            )
            for unit, (rates, number) in enumerate(description)
        ]
        tasks.append(task)
        parts.append(np.array(folds))
        columns, about = columns_on(means, "unit"), block.attrs
    measured = np.stack(parts, axis=-1)  # (unit, kind, fold, task)
    unknown = np.isnan(measured).any(axis=(1, 2, 3))
    if unknown.any():
        warnings.warn(
            f"{int(unknown.sum())} units have fewer than {LEAST_TRIALS * n_folds} trials of a "
            f"condition and get NaN: {listing(columns['unit'].values[unknown], most=5)}",
            UnitWarning,
            stacklevel=2,
        )
    return xr.Dataset(
        {
            name: (("fold", "unit", "task"), measured[:, kind].transpose(1, 0, 2))
            for kind, name in enumerate(FOLD_NAMES)
        },
        coords={**columns, "task": tasks},
        attrs={
            "name": about["name"],
            "source": about["source"],
            "analysis": "cross_validated_variance",
            "estimator": estimator,
            "n_folds": n_folds,
            "seed": seed,
            "n_unknown": int(unknown.sum()),
        },
    )


def ftv_spread(
    variance: xr.Dataset,
    task_a: str,
    task_b: str,
    *,
    weights: Weights = "capped",
    within: str | None = None,
) -> xr.Dataset:
    """Estimate the mean and the s.d. of FTV over units, each unit weighted by its tuning.

    Parameters
    ----------
    variance
        From `cross_validated_variance`, of a noisy source; for ``weights="strength"`` from
        `corrected_task_variance`.
    task_a, task_b
        The two tasks.
    weights
        How much a unit counts. S is the sum of its two task variances, N that of their noise. FTV
        of a unit without tuning does not exist, so that no estimate counts all units equally.
        "capped" (default): about ``(S / (S + N))^2``, strongly tuned units alike.
        "strength": ``S^2``, without a cap, so that a few units can decide.
        "equal": units whose S, in the trials of a fold, is above twice its standard error, alike.
        For the first and the last S and N of the weights come from other trials than FTV does,
        since units chosen by their own errors would bias it.
    within
        A column of the unit table, such as "session", whose values are the observations, since
        units recorded together may be similar. By default units are.

    Returns
    -------
    xarray.Dataset
        ``population_mean`` and ``population_sd``, each with a 95 % interval ``..._low``,
        ``..._high``; ``p_value``, one-sided, of an s.d. of 0 (below 0.025 exactly where the
        interval excludes 0); ``n_effective``, Kish's effective number of observations;
        ``is_identified``. Where the tuning of all units together is not well above its own error,
        mean, s.d. and p are NaN, and attrs ``not_identified`` has the reason. ``n_units`` in
        attrs counts units with known variance, not 0 in both tasks.

    Raises
    ------
    InputError
        For unknown names, and variances that do not fit ``weights``.
    NotApplicableError
        For a deterministic source, and fewer than two units (or values of ``within``).

    Notes
    -----
    `nwbcompare.analysis.selectivity.kernels.ftv_spread.weighted_spread` has the formulas. With
    true variances A and B, and the weight w expected for a unit with these, the estimated mean is
    ``sum(w (A^2 - B^2)) / sum(w (A + B)^2)`` and the mean square
    ``sum(w (A - B)^2) / sum(w (A + B)^2)``: FTV weighted by ``w (A + B)^2``. Nothing is assumed of
    the distributions of FTV, of tuning and of noise, nor that they are independent. Where FTV
    depends on strength, the three weights have different true values: state which was used.

    Examples
    --------
    >>> values = np.tile([[3.0, 1.0], [1.0, 3.0]], (20, 1))
    >>> rows = ("unit", "task")
    >>> tv = xr.Dataset({"task_variance": (rows, values),
    ...                  "unbiased_variance": (rows, 0 * values + 0.1)},
    ...                 coords={"unit": np.arange(40), "task": ["a", "b"]})
    >>> ftv_spread(tv, "a", "b", weights="strength")["population_sd"].item()  # 0.5, less noise
    0.49707132045278024
    """
    if weights not in WEIGHTS:
        raise unknown_name("weights", weights, WEIGHTS)
    has_folds = "fold" in variance.dims
    if has_folds == (weights == "strength"):
        raise InputError(
            "variance",
            "variances " + ("of all trials" if has_folds else "by fold") + f" for {weights!r}",
            str(variance.attrs.get("analysis", "others")),
            f"Use {'corrected_task_variance' if has_folds else 'cross_validated_variance'}.",
        )
    names = FOLD_NAMES if has_folds else FOLD_NAMES[:2]
    measured = np.stack([pair_of(variance, name, task_a, task_b) for name in names])
    if weights == "strength":
        measured = measured[:, None]
    defined = np.isfinite(measured).all(axis=(0, 1, 3)) & (measured[0] != 0).any(axis=(0, 2))
    refuse_noise_free(variance, measured[1][:, defined].reshape(-1))
    value, sampling, *held_out = measured[:, :, defined]
    if weights == "capped":
        factor = capped_weights(held_out[0], held_out[1])
    elif weights == "equal":
        factor = equal_weights(held_out[0], held_out[2], LEAST_STRENGTH)
    else:
        factor = np.ones(value.shape[:2])
    group = observations(variance.isel(unit=defined), within)
    found = weighted_spread(unbiased_squares(value, sampling, factor), group)
    return _labelled(found).assign_attrs(
        {
            "name": variance.attrs.get("name", ""),
            "source": variance.attrs.get("source", ""),
            "analysis": "ftv_spread",
            "task_a": task_a,
            "task_b": task_b,
            "weights": weights,
            "within": within or "",
            "n_units": int(defined.sum()),
            "not_identified": _reason(found, within),
        }
    )


def _labelled(found: Spread) -> xr.Dataset:
    return xr.Dataset(
        {
            "population_mean": found.mean,
            "population_mean_low": found.mean_low,
            "population_mean_high": found.mean_high,
            "population_sd": found.sd,
            "population_sd_low": found.sd_low,
            "population_sd_high": found.sd_high,
            "p_value": found.p_value,
            "n_effective": found.n_effective,
            "is_identified": np.isfinite(found.sd),
        }
    )


def _reason(found: Spread, within: str | None) -> str:
    if np.isfinite(found.sd):
        return ""
    return (
        "the units' tuning is not well above its error: it rests on "
        f"{found.n_effective:.1f} effective {'unit' if within is None else within}s"
    )
