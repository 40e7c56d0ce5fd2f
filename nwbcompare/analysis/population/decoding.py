"""Decoding of tasks and conditions from populations, with permutation test and interval."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.population.kernels.decoding import (
    Folds,
    balanced_folds,
    combined_p,
    fold_accuracy,
    permuted_labels,
    pseudo_trials,
    shuffled_groups,
)
from nwbcompare.analysis.population.kernels.dimensionality import dichotomies, dichotomy_accuracy
from nwbcompare.analysis.population.population import (
    LEAVE_OUT,
    TrialRates,
    bootstrap_weights,
    keep_units,
    trial_rates,
    unit_halves,
)
from nwbcompare.analysis.selectivity.resampling_units import resampling_units
from nwbcompare.core.activity import Activity, columns_on
from nwbcompare.core.checks import check_known, check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.kernels.grouping import group_order
from nwbcompare.kernels.permutation import p_values, reaches

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
N_FOLDS = 5


def decode(
    activity: Activity,
    what: str = "task",
    *,
    tasks: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    generalise: bool = False,
    n_units: int | None = None,
    n_trials: int | None = None,
    n_resamples: int = 20,
    n_permutations: int = 500,
    leave_out: Sequence[str] = LEAVE_OUT,
    seed: int = 0,
) -> xr.Dataset:
    """Decode the task, or a condition variable, from the rates of single trials.

    Parameters
    ----------
    activity
        An activity or a block with noisy trials.
    what
        "task" or a condition variable.
    tasks, conditions, leave_out
        See `nwbcompare.population.population_means`.
    generalise
        Train in one task and test in the other, in both directions, instead of 5-fold
        cross-validation; for a condition variable in two tasks.
    n_units
        Units in a resample, drawn at random; by default all. Use the same ``n_units`` and
        ``n_trials`` for populations that are compared.
    n_trials
        Trials of each condition in a resample, a multiple of 5; by default the most that every unit
        has. Units with fewer trials are left out.
    n_resamples
        Random draws of trials (and units).
    n_permutations
        Permutations of the labels in each resample.
    seed
        Seed of all draws.

    Returns
    -------
    xarray.Dataset
        ``accuracy``, mean over resamples, with its 95 % interval ``accuracy_low`` and
        ``accuracy_high``; ``chance``; ``p_value``, one-sided; ``resampled (resample)``; ``null
        (resample, permutation)``; ``bootstrap (resample)``; ``halves (resample, half)``, the
        accuracies of two halves of the units, by session; ``n_units``, ``n_trials`` (per
        condition), ``n_classes``.

    Raises
    ------
    InputError
        For an unknown variable, and numbers of trials, units or resamples out of range.
    NotApplicableError
        For a deterministic source, one class only, conditions that are not crossed with the decoded
        variable, and too few units or trials.

    Warns
    -----
    UnitWarning
        For units that are left out for lack of trials.

    Notes
    -----
    Population trials (pseudo-trials) combine one trial of each unit, also for units that were
    recorded together: sources are then comparable, and none has noise correlations. No trial of a
    unit is used twice in a resample, so that training and test sets are disjoint. All conditions
    have the same number of trials, so that variables correlated with the decoded one carry no
    information about it. The decoder is
    `nwbcompare.analysis.population.kernels.decoding.fold_accuracy`.

    The null permutes labels among trials of a fold with the same values of all other variables.
    Resamples share trials, so that their p values (1 + b) / (1 + B) are combined as twice their
    mean, which is conservative; 500 permutations reach 0.004. The interval is +- 1.96 standard
    deviations of the accuracies of resamples whose units were drawn with replacement, within
    sessions: the unit of inference is the unit.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().sel(trial=[0, 1] * 10)  # 10 trials of 2 conditions
    >>> found = decode(block, "direction", n_resamples=4, n_permutations=20)
    >>> found["chance"].item()
    0.5
    """
    rates = trial_rates(activity, tasks, conditions=conditions, leave_out=leave_out)
    return decode_rates(
        rates,
        what,
        generalise=generalise,
        n_units=n_units,
        n_trials=n_trials,
        n_resamples=n_resamples,
        n_permutations=n_permutations,
        seed=seed,
    )


def decode_rates(
    rates: TrialRates,
    what: str = "task",
    *,
    generalise: bool = False,
    n_units: int | None = None,
    n_trials: int | None = None,
    n_resamples: int = 20,
    n_permutations: int = 500,
    seed: int = 0,
) -> xr.Dataset:
    """Decode the task, or a condition variable, from rates that were read before.

    Parameters
    ----------
    rates
        From `nwbcompare.analysis.population.population.trial_rates`.
    what, generalise, n_units, n_trials, n_resamples, n_permutations, seed
        See `decode`.

    Returns
    -------
    xarray.Dataset
        As `decode`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> rates = trial_rates(example_block().sel(trial=[0, 1] * 10))
    >>> decode_rates(rates, "direction", n_resamples=2, n_permutations=9)["n_classes"].item()
    2
    """
    _refuse_deterministic(rates, n_resamples)
    design = _design(rates.table, what, generalise=generalise)
    cells, n_trials, n_left_out = _with_enough(rates, n_trials, N_FOLDS)
    size = _n_units(n_units, cells.table.sizes["unit"])
    folds = _folds(design, n_trials, generalise=generalise)
    labels, strata = _samples(design, n_trials, folds)
    units = columns_on(cells.table, "unit")
    rng = np.random.default_rng(seed)
    weights = bootstrap_weights(units, n_resamples, rng)
    halves = unit_halves(resampling_units(units)[0], n_resamples, rng)
    accuracies, bootstrap, by_half = [], [], []
    for place in tqdm(range(n_resamples), desc=f"decoding {what}", disable=None, leave=False):
        trials = _draw(cells, n_trials, rng).reshape(labels.size, -1)
        labellings = permuted_labels(labels, strata, n_permutations, rng)
        subset = np.sort(rng.permutation(trials.shape[1])[:size])
        accuracies.append(fold_accuracy(trials[:, subset], labellings, folds))
        sides = (np.flatnonzero(side)[:size] for side in (halves[place], ~halves[place]))
        bootstrap_units = _drawn(weights[place], size, rng)
        bootstrap.append(_accuracy(trials[:, bootstrap_units], labels, folds))
        by_half.append([_accuracy(trials[:, side], labels, folds) for side in sides])
    table = np.array(accuracies)
    by_resample = p_values(reaches(table[:, 1:], table[:, :1], axis=1), axis=1)
    accuracy, error = table[:, 0].mean(), np.std(bootstrap, ddof=1)
    return xr.Dataset(
        {
            "accuracy": accuracy,
            # 20 resamples have no 2.5th percentile: a normal interval
            "accuracy_low": max(0.0, accuracy - 1.96 * error),
            "accuracy_high": min(1.0, accuracy + 1.96 * error),
            "chance": 1 / design.classes.size,
            "p_value": combined_p(by_resample),
            "resampled": ("resample", table[:, 0]),
            "null": (("resample", "permutation"), table[:, 1:]),
            "bootstrap": ("resample", bootstrap),
            "halves": (("resample", "half"), by_half),
            "n_units": size,
            "n_trials": n_trials,
            "n_classes": design.classes.size,
        },
        attrs={
            **_source_attrs(rates),
            "analysis": "decode",
            "what": what,
            "classes": json.dumps([str(value) for value in design.classes]),
            "generalise": int(generalise),
            "decoder": "ridge classifier (shrunken linear discriminant), shrinkage 1",
            "n_left_out": n_left_out,
            "n_resamples": n_resamples,
            "n_permutations": n_permutations,
            "seed": seed,
        },
    )


@dataclass(frozen=True)
class _Design:
    """What is decoded: of each condition its class, and what else it is."""

    label: Numbers
    stratum: Numbers
    task: Numbers
    classes: npt.NDArray[Any]


def _design(table: xr.Dataset, what: str, *, generalise: bool) -> _Design:
    columns = {
        name: np.unique(column.values, return_inverse=True)
        for name, column in columns_on(table, "condition").items()
        if name != "condition"
    }
    check_known("what", [what], columns)
    classes, label = columns[what]
    if classes.size < 2:
        raise NotApplicableError(
            "what",
            f"two or more values of {what!r}",
            f"{listing(classes)} alone",
            "Decode something else, or take more tasks.",
        )
    others = np.array([code for name, (_, code) in columns.items() if name != what])
    # everything else that a trial is: labels are exchangeable within it only
    stratum = (
        np.unique(others, axis=1, return_inverse=True)[1].reshape(-1)
        if others.size
        else np.zeros_like(label)
    )
    present = np.zeros((stratum.max() + 1, classes.size), dtype=bool)
    # where cells are empty, another variable would tell the class
    present[stratum, label] = True
    if not present.all():
        raise NotApplicableError(
            "conditions",
            f"every value of {what!r} with the same values of all other variables",
            f"{int((~present).sum())} combinations of {present.size} without trials",
            "Name columns that cross with it in conditions=[...], or leave tasks out.",
        )
    task = columns["task"][1]
    if generalise and (what == "task" or task.max() != 1):
        raise InputError(
            "generalise",
            "a condition variable in two tasks",
            f"{what!r} in {int(task.max()) + 1}",
            "Name a condition variable and tasks=[..., ...].",
        )
    return _Design(label, stratum, task, classes)


def _folds(design: _Design, n_trials: int, *, generalise: bool) -> Folds:
    if not generalise:
        return balanced_folds(design.label.size, n_trials, N_FOLDS)
    task = np.repeat(design.task, n_trials)
    first, second = np.flatnonzero(task == 0), np.flatnonzero(task == 1)
    return [(first, second), (second, first)]


def _samples(design: _Design, n_trials: int, folds: Folds) -> tuple[Numbers, Numbers]:
    """Return the class of each sample and the stratum within which labels are exchangeable.

    A stratum is part of one fold. Folds have equal numbers of trials of each class, also after a
    permutation; otherwise permuted accuracies would be below chance, and p too small.
    """
    labels, strata = (np.repeat(x, n_trials) for x in (design.label, design.stratum))
    fold = np.empty_like(labels)
    for which, (_, test) in enumerate(folds):
        fold[test] = which
    return labels, strata * len(folds) + fold


def _with_enough(
    rates: TrialRates, n_trials: int | None, multiple: int
) -> tuple[TrialRates, int, int]:
    """Select units with enough trials in every condition, and the number of trials to take."""
    counts = np.zeros((rates.table.sizes["unit"], rates.table.sizes["condition"]), dtype=np.int64)
    np.add.at(counts, (rates.unit, rates.condition), 1)
    fewest = counts.min(axis=1)
    least = multiple if n_trials is None else n_trials
    if least < multiple or least % multiple:
        raise InputError(
            "n_trials", f"a multiple of {multiple}", repr(n_trials), f"Use {multiple}."
        )
    enough = fewest >= least
    table = keep_units(rates.table, enough, f"{least} trials")
    if n_trials is None:
        # folds need equal numbers of trials
        least = int(fewest[enough].min()) // multiple * multiple
    place = np.cumsum(enough) - 1
    rows = enough[rates.unit]
    cells = replace(
        rates,
        rate=rates.rate[rows],
        unit=place[rates.unit[rows]],
        condition=rates.condition[rows],
        table=table,
    )
    return cells, least, int((~enough).sum())


def _n_units(n_units: int | None, available: int) -> int:
    if n_units is None:
        return available
    check_whole("n_units", n_units, 1, "Use None for all units.")
    if n_units > available:
        raise NotApplicableError(
            "activity",
            f"{n_units} units with enough trials",
            f"{available}",
            "Use fewer units, or lower n_trials.",
        )
    return n_units


def _draw(cells: TrialRates, n_trials: int, rng: np.random.Generator) -> Array:
    """Draw pseudo-trials ``(condition, trial, unit)``."""
    shape = (cells.table.sizes["unit"], cells.table.sizes["condition"])
    return pseudo_trials(
        cells.rate, cells.unit, cells.condition, shape=shape, n_trials=n_trials, rng=rng
    )


def _drawn(weight: Array, size: int, rng: np.random.Generator) -> Numbers:
    """Return up to ``size`` of the units that a bootstrap drew, each as often as it was drawn."""
    return rng.permutation(np.repeat(np.arange(weight.size), weight.astype(np.int64)))[:size]


def _accuracy(trials: Array, labels: Numbers, folds: Folds) -> float:
    return float(fold_accuracy(trials, labels[:, None], folds)[0])


def _refuse_deterministic(rates: TrialRates, n_resamples: int) -> None:
    check_whole("n_resamples", n_resamples, 2, "Use n_resamples=20.")
    if not rates.noisy:
        raise NotApplicableError(
            "activity",
            "noisy trials",
            f"the deterministic source {rates.table.attrs['name']!r}",
            "Its conditions can all be decoded without error: sample it as a recording was "
            "(nwbcompare.sample_like), or record it with a seed.",
        )


def _source_attrs(rates: TrialRates) -> dict[str, Any]:
    names = ("name", "source", "deterministic", "provenance")
    return {
        **{name: rates.table.attrs[name] for name in names},
        "population": "pseudo",
        "recorded": "one by one" if rates.ragged else "at once",
        "tasks": json.dumps(list(dict.fromkeys(map(str, rates.table["task"].values)))),
        "conditions": rates.choices["conditions"],
        "leave_out": rates.choices["leave_out"],
    }


def implementable_classifications(
    activity: Activity,
    tasks: Sequence[str] | None = None,
    *,
    conditions: Sequence[str] | None = None,
    threshold: float = 0.75,
    n_dichotomies: int = 200,
    n_units: int | None = None,
    n_trials: int | None = None,
    n_resamples: int = 5,
    leave_out: Sequence[str] = LEAVE_OUT,
    seed: int = 0,
) -> xr.Dataset:
    """Count the divisions of conditions into two sets that a linear classifier can learn.

    Parameters
    ----------
    activity, tasks, conditions, leave_out
        As in `decode`.
    threshold
        Cross-validated accuracy above which a classification counts as implemented; 0.75.
    n_dichotomies
        Largest number to try; of more (2^(conditions - 1) - 1) a random sample is tried.
    n_units, n_trials
        As in `decode`. ``n_trials`` per condition is even: half for training, half for testing.
    n_resamples
        Random draws of trials (and units), over which accuracy is averaged.
    seed
        Seed of all draws.

    Returns
    -------
    xarray.Dataset
        ``accuracy (dichotomy)``, balanced between the two sets; ``side (dichotomy, condition)``;
        ``share`` of implemented dichotomies; ``dimension``, log2 of the number of implemented
        classifications out of 2^conditions, the two with an empty set included, from 1 to the
        number of conditions, with its 95 % interval ``dimension_low`` and ``dimension_high`` (1.96
        standard deviations of resamples whose units were drawn with replacement, within sessions);
        ``null_share``, for labels of trials permuted within units; ``n_units``, ``n_trials``,
        ``n_conditions``.

    Raises
    ------
    InputError
        As `decode`, and for a threshold outside of (0.5, 1).
    NotApplicableError
        For a deterministic source, fewer than 3 conditions, and too few units or trials.

    Warns
    -----
    UserWarning
        Where none of a sample is implemented: the dimension is unknown (NaN).

    Notes
    -----
    Rigotti et al. (2013): the number grows exponentially with the dimensionality. It depends on the
    threshold and on the numbers of units and trials, which have to be equal in a comparison. With
    few conditions the published threshold also counts classifications with one condition on the
    wrong side; for trials with little noise 0.95 counts those that are linearly separable. The
    classifier is `nwbcompare.analysis.population.kernels.dimensionality.dichotomy_accuracy`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> found = implementable_classifications(example_block())
    >>> found.sizes["dichotomy"]
    7
    """
    rates = trial_rates(activity, tasks, conditions=conditions, leave_out=leave_out)
    return classifications_of_rates(
        rates,
        threshold=threshold,
        n_dichotomies=n_dichotomies,
        n_units=n_units,
        n_trials=n_trials,
        n_resamples=n_resamples,
        seed=seed,
    )


def classifications_of_rates(
    rates: TrialRates,
    *,
    threshold: float = 0.75,
    n_dichotomies: int = 200,
    n_units: int | None = None,
    n_trials: int | None = None,
    n_resamples: int = 5,
    seed: int = 0,
) -> xr.Dataset:
    """Count the implementable classifications of rates that were read before.

    Parameters
    ----------
    rates
        From `nwbcompare.analysis.population.population.trial_rates`.
    threshold, n_dichotomies, n_units, n_trials, n_resamples, seed
        See `implementable_classifications`.

    Returns
    -------
    xarray.Dataset
        As `implementable_classifications`.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> classifications_of_rates(trial_rates(example_block()))["n_conditions"].item()
    4
    """
    _refuse_deterministic(rates, n_resamples)
    if not 0.5 < threshold < 1:
        raise InputError("threshold", "between 0.5 and 1", repr(threshold), "Use 0.75.")
    n_conditions = rates.table.sizes["condition"]
    if n_conditions < 3:
        raise NotApplicableError(
            "conditions", "3 or more", f"{n_conditions}", "Name more columns with conditions=[...]."
        )
    cells, n_trials, n_left_out = _with_enough(rates, n_trials, 2)
    size = _n_units(n_units, cells.table.sizes["unit"])
    rng = np.random.default_rng(seed)
    sides = dichotomies(n_conditions, n_dichotomies, rng)
    every = len(sides) == 2 ** (n_conditions - 1) - 1
    weights = bootstrap_weights(columns_on(cells.table, "unit"), n_resamples, rng)
    shuffled = replace(cells, condition=_permuted_within(cells, rng))
    accuracies, boot, null = [], [], []
    for weight in tqdm(weights, desc="classifications", disable=None, leave=False):
        subset, bootstrap_units = rng.permutation(weight.size)[:size], _drawn(weight, size, rng)
        train, test = np.split(_draw(cells, n_trials, rng), 2, axis=1)
        accuracies.append(dichotomy_accuracy(train[..., subset], test[..., subset], sides))
        boot.append(
            dichotomy_accuracy(train[..., bootstrap_units], test[..., bootstrap_units], sides)
        )
        train, test = np.split(_draw(shuffled, n_trials, rng), 2, axis=1)
        null.append(dichotomy_accuracy(train[..., subset], test[..., subset], sides))
    accuracy = np.mean(accuracies, axis=0)
    share = float((accuracy > threshold).mean())
    null_share = float((np.mean(null, axis=0) > threshold).mean())
    shares = (np.array(boot) > threshold).mean(axis=1)
    dimension = _dimension(share, n_conditions)
    # of the dimension itself, which is not linear in the share
    error = np.std([_dimension(one, n_conditions) for one in shares], ddof=1)
    low = max(1.0, dimension - 1.96 * error)
    high = min(float(n_conditions), dimension + 1.96 * error)
    if not every and share == 0:
        # none of n seen: the share is below 3 / n with 95 % confidence
        dimension, high = np.nan, _dimension(3 / len(sides), n_conditions)
        warnings.warn(
            f"None of {len(sides)} sampled classifications is implemented: the dimension is NaN, "
            f"and all that is known is that it is below {high:.1f}",
            UserWarning,
            stacklevel=2,
        )
    return (
        cells.table[["condition"]]
        .assign(
            accuracy=("dichotomy", accuracy),
            side=(("dichotomy", "condition"), sides),
            share=share,
            dimension=dimension,
            dimension_low=low,
            dimension_high=high,
            null_share=null_share,
            n_units=size,
            n_trials=n_trials,
            n_conditions=n_conditions,
        )
        .assign_attrs(
            {
                **_source_attrs(rates),
                "analysis": "implementable_classifications",
                "threshold": threshold,
                "all_dichotomies": int(every),
                "n_left_out": n_left_out,
                "n_resamples": n_resamples,
                "seed": seed,
            }
        )
    )


def _permuted_within(cells: TrialRates, rng: np.random.Generator) -> Numbers:
    condition = np.empty_like(cells.condition)
    n_units = cells.table.sizes["unit"]
    drawn, _ = shuffled_groups(cells.unit, n_units, rng)
    # each unit keeps its numbers of trials per condition
    condition[group_order(cells.unit, n_units)] = cells.condition[drawn]
    return condition


def _dimension(share: float, n_conditions: int) -> float:
    """Compute log2 of the number of implemented classifications, the two empty ones included."""
    return float(np.log2(2 + share * (2.0**n_conditions - 2)))
