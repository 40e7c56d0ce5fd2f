"""Components of task variance: choice, each stimulus variable and their interactions."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.selectivity.kernels.variance_components import (
    Components,
    Design,
    Fit,
    balanced_design,
    unit_components,
)
from nwbcompare.analysis.selectivity.noise_correction import corrected_ftv
from nwbcompare.analysis.selectivity.task_variance import (
    ACTIVE_THRESHOLD,
    check_epochs,
    check_pair,
    counted_bins,
    fractional_task_variance,
)
from nwbcompare.core.activity import (
    Activity,
    blocks,
    columns_on,
    condition_variables_of,
    is_of_task,
    is_ragged,
    labels,
    row_dim,
    tasks_of,
    unit_positions,
    unit_table,
)
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
)

Array = npt.NDArray[np.float64]
CHOICE = "choice"
# bounds the design, which has a row for each cell
MOST_CELLS = 4096
NOISE_SDS = 2.0
"""A factor counts from this many standard deviations of its noise on; with one degree of freedom
this is passed by chance in 5 % of units."""
LEAST_SHARE = 0.1
"""Share of a unit's variance from which a factor counts; a noise-free network needs one."""


@dataclass(frozen=True)
class _Crossing:
    """The cells that a task's factors make, and which rows lie in them."""

    task: str
    rows: npt.NDArray[np.int64]
    cell: npt.NDArray[np.int64]
    design: Design
    terms: list[str]


def variance_components(
    activity: Activity,
    factors: Sequence[str] | None = None,
    *,
    interactions: Sequence[Sequence[str]] | None = None,
    epochs: Sequence[str] | None = None,
    leave_out: Sequence[str] = ("fix1",),
) -> xr.Dataset:
    """Estimate components of each unit's task variance by factor and interaction.

    Choice is correlated with the stimulus, and cells are of unequal size or empty. The factors are
    therefore fitted together to single trials, by least squares at each time. The component of a
    factor is the variance of its fitted contribution over the *balanced* design, averaged over
    time: that which it would have if all combinations were equally frequent.

    Parameters
    ----------
    activity
        An activity or a block, of a network or a recording.
    factors
        Trial columns; by default ``choice`` and each task's condition variables.
    interactions
        Sets of factors that interact, such as ``[("coherence_1_sign", "coherence_2_sign")]``; by
        default all those among a task's condition variables, so that without other factors the
        components sum to the task variance. ``[]``: none.
    epochs, leave_out
        See `nwbcompare.task_variance`.

    Returns
    -------
    xarray.Dataset
        On ``(unit, task, factor)``, in squared units of the rate: ``component``, as fitted;
        ``component_corrected``, minus its bias by noise, which may be negative; its
        ``standard_error``; ``noise_sd``, its standard deviation for a factor without effect.
        ``share`` in the sum of a unit's corrected components, with negative ones set to 0; its mean
        over units is biased upwards for factors without effect (use sums of components instead).
        ``inflation``: sampling variance of the coefficients relative to a balanced design with as
        many trials (infinite where confounded). ``n_trials (unit, task)``. ``fitted (task,
        factor)``: whether a task has the factor; if not, all of these are NaN. Interactions are
        labelled "a:b".

    Raises
    ------
    InputError
        For a named factor that is not a trial column.
    NotApplicableError
        For a source without the default factors, a factor with missing values or one value only,
        and factors that make more than 4096 cells.

    Warns
    -----
    UnitWarning
        For units in which a factor is confounded with others (on correct trials, choice is the sign
        of the relevant stimulus), or that have no two trials of the same cell: NaN.

    Notes
    -----
    The unit of inference is the trial, within one unit. Noise is estimated from trials within each
    cell, so that the larger variance of spike counts at higher rates does not bias the components;
    for a cell with one trial the noise is pooled over cells, which assumes equal noise. With the
    condition variables and all their interactions as factors, the components sum to the task
    variance ("per_time"), and the corrected components to the corrected task variance.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> components = variance_components(example_block(), ["direction"])
    >>> dict(components["component"].sizes)
    {'unit': 3, 'task': 1, 'factor': 1}
    """
    by_task: dict[str, tuple[list[str], Array, Array]] = {}
    for block in blocks(activity).values():
        check_epochs(block, epochs)
        for task in tasks_of(block):
            crossing = _cross(block, task, factors, interactions)
            bins = counted_bins(block, task, epochs=epochs, leave_out=leave_out)
            by_task[task] = (crossing.terms, *_components_of_units(block, crossing, bins))
    result = _joined(by_task, next(iter(blocks(activity).values())))
    _warn_of_unknown(result, by_task)
    return result.assign_attrs(
        analysis="variance_components",
        factors=json.dumps(None if factors is None else list(factors)),
        interactions=json.dumps(
            None if interactions is None else [list(names) for names in interactions]
        ),
        epochs=json.dumps(None if epochs is None else list(epochs)),
        leave_out=json.dumps(list(leave_out)),
    )


def ftv_by_factor(
    components: xr.Dataset,
    task_a: str,
    task_b: str,
    *,
    factors: Sequence[str] | None = None,
    corrected: bool = True,
    threshold: float = ACTIVE_THRESHOLD,
) -> xr.Dataset:
    """Compute FTV from the components of some factors alone.

    Parameters
    ----------
    components
        From `variance_components`.
    task_a, task_b
        The two tasks.
    factors
        The factors whose components are summed; by default all that do not involve choice.
    corrected
        Whether to sum corrected components (default); sums of 0 or less are censored, as in
        `nwbcompare.selectivity.corrected_ftv`.
    threshold
        See `nwbcompare.fractional_task_variance`.

    Returns
    -------
    xarray.Dataset
        ``fractional_task_variance (unit)``, ``active (unit)`` and, if corrected, its
        ``standard_error (unit)`` (for independent components) and ``censored (unit)``;
        ``task_variance (unit, task)``, the sums of components. From all components of both tasks:
        ``dominant (unit)``, the factor with the largest corrected component ("" where none is above
        0), and ``codes (unit)``: "choice alone", "stimulus alone", "choice and stimulus",
        "neither", or "unknown" where a component is unknown. Choice or stimulus counts if its
        corrected components sum to more than two standard deviations of their noise and to at least
        a tenth of the unit's variance.

    Raises
    ------
    InputError
        For an unknown task or factor, and a task against itself.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block().assign_coords(task=("trial", ["a"] * 4 + ["b"] * 4))
    >>> components = variance_components(block, ["correct"], interactions=[])
    >>> ftv_by_factor(components, "a", "b")["fractional_task_variance"].sizes["unit"]
    3
    """
    check_pair(components, task_a, task_b)
    pair = components.sel(task=[task_a, task_b])
    every = [str(name) for name in components["factor"].values]
    names = [n for n in every if CHOICE not in n.split(":")] if factors is None else list(factors)
    check_known("factors", names, every)
    parts = pair.sel(factor=names)
    component = parts["component_corrected" if corrected else "component"]
    # a factor that a task lacks adds nothing; a confounded one makes the sum unknown (NaN)
    fitted = parts["fitted"]
    total = component.where(fitted, 0.0).sum("factor", skipna=False).transpose("unit", "task")
    # variances add up where components are independent
    squared = (parts["standard_error"] ** 2).where(fitted, 0.0).sum("factor", skipna=False)
    error = squared.transpose("unit", "task") ** 0.5
    variance = xr.Dataset(
        {"task_variance": total, "standard_error": error},
        coords=columns_on(components, "unit"),
        attrs=components.attrs,
    )
    ftv = (
        corrected_ftv(variance, task_a, task_b, threshold=threshold)
        if corrected
        else fractional_task_variance(variance, task_a, task_b, threshold=threshold, missing="nan")
    )
    codes, dominant = _what_units_code(pair)
    return ftv.assign(
        task_variance=total.assign_attrs(components["component"].attrs),
        codes=("unit", codes),
        dominant=("unit", dominant),
    ).assign_attrs(analysis="ftv_by_factor", summed=json.dumps(names), corrected=int(corrected))


def _cross(
    block: xr.Dataset,
    task: str,
    factors: Sequence[str] | None,
    interactions: Sequence[Sequence[str]] | None,
) -> _Crossing:
    """Number the cells of a task's rows, and make the design of its terms."""
    variables = condition_variables_of(block).get(task, [])
    names = list(dict.fromkeys([CHOICE, *variables] if factors is None else factors))
    rows = np.flatnonzero(is_of_task(block, task))
    codes, n_levels = _levels(block, task, names, rows, default=factors is None)
    stimulus = [name for name in names if name in variables]
    sets = [combinations(stimulus, size) for size in range(2, len(stimulus) + 1)]
    joint = list(chain.from_iterable(sets)) if interactions is None else interactions
    check_known("interactions", chain.from_iterable(joint), names)
    terms = [[name] for name in names] + [list(members) for members in joint]
    n_cells = int(np.prod(n_levels))
    if n_cells > MOST_CELLS:
        raise NotApplicableError(
            f"factors {listing(names)} of task {task!r}",
            f"at most {MOST_CELLS} combinations of their values",
            str(n_cells),
            "Name fewer factors, or columns of fewer values such as signs.",
        )
    return _Crossing(
        task,
        rows,
        np.ravel_multi_index(codes, n_levels),
        balanced_design(n_levels, [[names.index(name) for name in term] for term in terms]),
        [":".join(term) for term in terms],
    )


def _levels(
    block: xr.Dataset,
    task: str,
    names: Sequence[str],
    rows: npt.NDArray[np.int64],
    *,
    default: bool,
) -> tuple[tuple[npt.NDArray[np.int64], ...], tuple[int, ...]]:
    """Return the level of each row for each factor, and the numbers of levels."""
    columns = columns_on(block, row_dim(block))
    absent = [name for name in names if name not in columns]
    if absent or not names:
        # the default factors are a property of the source, those named an argument
        error = NotApplicableError if default else InputError
        raise error(
            "factors",
            f"trial columns of task {task!r}, one or more",
            f"{listing(absent)}, not among {listing(columns)}",
            "Name trial columns: variance_components(activity, ['coherence_1_sign', ...]). A "
            "network's trials have no choice unless one was recorded.",
        )
    codes, n_levels = [], []
    for name in names:
        values = labels(columns[name])[rows]
        missing = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
        levels, code = np.unique(values, return_inverse=True)
        if missing or levels.size < 2:
            raise NotApplicableError(
                f"factor {name!r} of task {task!r}",
                "two or more values, one in every trial",
                f"none (NaN) in {missing} of {values.size} trials" if missing else listing(levels),
                "Name other factors, or leave these trials out with nwbcompare.select.",
            )
        codes.append(code.reshape(-1).astype(np.int64))
        n_levels.append(levels.size)
    return tuple(codes), tuple(n_levels)


def _components_of_units(
    block: xr.Dataset, crossing: _Crossing, bins: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Compute the components ``(variable, unit, term)`` and numbers of trials of all units."""
    noisy = not block.attrs["deterministic"]
    names = [field.name for field in fields(Components)]
    values = np.full((len(names), block.sizes["unit"], len(crossing.terms)), np.nan)
    n_trials = np.zeros(block.sizes["unit"])
    # units with the same trials share one fit
    fits: dict[bytes, Fit] = {}
    trials = _trials_of_units(block, crossing, bins)
    description = f"components, {crossing.task}"
    for unit, rates, cell in tqdm(trials, description, block.sizes["unit"], disable=None):
        n_trials[unit] = np.isfinite(rates).any(axis=1).sum()
        if n_trials[unit]:
            components = unit_components(rates, cell, crossing.design, noisy=noisy, fits=fits)
            values[:, unit] = [getattr(components, name) for name in names]
    return values, n_trials


def _trials_of_units(
    block: xr.Dataset, crossing: _Crossing, bins: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, npt.NDArray[Any], npt.NDArray[np.int64]]]:
    """Yield each unit's number, its rates ``(trial, time)`` in counted bins, and its cells."""
    rate = block["rate"].values
    if not is_ragged(block):
        rates = rate[crossing.rows][:, bins]
        for unit in range(block.sizes["unit"]):
            yield unit, rates[:, :, unit], crossing.cell
        return
    place = unit_positions(block)[crossing.rows]
    # one sort instead of a search through all rows for each unit
    order = np.argsort(place, kind="stable")
    bounds = np.cumsum(np.bincount(place, minlength=block.sizes["unit"]))
    for unit, mine in enumerate(np.split(order, bounds[:-1])):
        yield unit, rate[crossing.rows[mine]][:, bins], crossing.cell[mine]


def _joined(by_task: dict[str, tuple[list[str], Array, Array]], block: xr.Dataset) -> xr.Dataset:
    """Join the components of all tasks; the factors are the union of theirs."""
    factors = list(dict.fromkeys(chain.from_iterable(terms for terms, _, _ in by_task.values())))
    shape = (len(fields(Components)), block.sizes["unit"], len(by_task), len(factors))
    values = np.full(shape, np.nan)
    fitted = np.zeros(shape[2:], dtype=bool)
    for task, (terms, components, _) in enumerate(by_task.values()):
        columns = [factors.index(term) for term in terms]
        values[:, :, task, columns] = components
        fitted[task, columns] = True
    unit = block["rate"].attrs["units"]
    squared = {"units": "1" if unit == "1" else f"({unit})^2"}
    dims = ("unit", "task", "factor")
    raw, corrected, error, noise, inflation = values
    return xr.Dataset(
        {
            "component": (dims, raw, squared),
            "component_corrected": (dims, corrected, squared),
            "standard_error": (dims, error, squared),
            "noise_sd": (dims, noise, squared),
            "share": (dims, _shares(corrected, fitted), {"units": "1"}),
            "inflation": (dims, inflation, {"units": "1"}),
            "n_trials": (("unit", "task"), np.stack([n for _, _, n in by_task.values()], axis=1)),
            "fitted": (("task", "factor"), fitted),
        },
        coords={**unit_table(block), "task": list(by_task), "factor": factors},
        attrs={name: block.attrs[name] for name in ("name", "source", "deterministic")}
        | {"provenance": block.attrs["provenance"]},
    )


def _shares(corrected: Array, fitted: npt.NDArray[np.bool_]) -> Array:
    """Return each component's share of the sum; NaN where a component is, or none is above 0."""
    positive = np.where(fitted, np.maximum(corrected, 0.0), 0.0)
    total = positive.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(fitted & (total > 0), positive / total, np.nan)


def _warn_of_unknown(
    result: xr.Dataset, by_task: dict[str, tuple[list[str], Array, Array]]
) -> None:
    units = result["unit"].values
    for task, (terms, _, _) in by_task.items():
        of_task = result.sel(task=task, factor=terms)
        confounded = np.isnan(of_task["component"].values)
        for place, term in enumerate(terms):
            lacking = confounded[:, place]
            if lacking.any():
                _warn(
                    f"{int(lacking.sum())} units cannot tell {term!r} from the other factors of "
                    f"task {task!r} by their trials and get NaN",
                    units[lacking],
                )
        alone = (np.isnan(of_task["component_corrected"].values) & ~confounded).any(axis=1)
        if alone.any():
            _warn(
                f"{int(alone.sum())} units have no two trials alike in task {task!r}; their noise "
                "is unknown, and corrected components are NaN",
                units[alone],
            )


def _warn(message: str, units: npt.NDArray[Any]) -> None:
    warnings.warn(f"{message}: {listing(units, most=5)}", UnitWarning, stacklevel=4)


def _what_units_code(pair: xr.Dataset) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Classify units by whether choice or stimulus counts, and by their largest component."""
    factors = pair["factor"].values.astype(str)
    sums = pair["component_corrected"].where(pair["fitted"], 0.0).sum("task", skipna=False).values
    noise = (pair["noise_sd"] ** 2).where(pair["fitted"], 0.0).sum("task", skipna=False).values
    is_choice = np.array([CHOICE in name.split(":") for name in factors])
    whole = np.maximum(sums, 0.0).sum(axis=1)
    counts = []
    for members in (is_choice, ~is_choice):
        component = sums[:, members].sum(axis=1)
        clear = component > NOISE_SDS * np.sqrt(noise[:, members].sum(axis=1))
        counts.append(clear & (component >= LEAST_SHARE * whole) & (component > 0))
    choice, stimulus = counts
    codes = np.select(
        [np.isnan(sums).any(axis=1), choice & stimulus, choice, stimulus],
        ["unknown", "choice and stimulus", "choice alone", "stimulus alone"],
        "neither",
    )
    largest = np.nan_to_num(sums, nan=-np.inf)
    dominant = np.where(largest.max(axis=1) > 0, factors[largest.argmax(axis=1)], "")
    return codes, dominant
