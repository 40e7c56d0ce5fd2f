"""Response of a model to the conditions of a recording.

A network of this package, or a torch module, is run on them; of any other model the activity is
taken whose conditions match.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.selectivity.condition_means import condition_means, condition_table
from nwbcompare.comparison.condition_match import MOST_STRETCH, ConditionMatch
from nwbcompare.comparison.protocol_mapping import ProtocolMapping, network_bounds
from nwbcompare.comparison.protocols import step_and_rules
from nwbcompare.comparison.recorded_trials import RecordedTrials, variance_and_noise
from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    Activity,
    blocks,
    columns_on,
    condition_variables_of,
    epoch_bounds,
    epoch_names,
    is_of_task,
    is_ragged,
    row_dim,
    tasks_of,
    unit_positions,
)
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)
from nwbcompare.kernels.binning import bin_membership
from nwbcompare.model.network_recording import record
from nwbcompare.tasks.channels import angular_distance
from nwbcompare.tasks.trials import make_trials

if TYPE_CHECKING:
    from torch.nn import Module

Array = npt.NDArray[np.float64]
LEAST_UNITS = 3
"""Fewer units are no distribution."""
MOST_NOISE = 0.05
"""Largest share of a model's variance over conditions that may be its own noise."""


@dataclass(frozen=True)
class ModelResponse:
    """Responses of a model's units to recorded conditions, on each axis of targets.

    Attributes
    ----------
    rates
        ``(axis, condition, bin, unit)``, in the model's units of rate.
    axes
        Rotations of the display (degrees), ``(axis,)``.
    units
        Columns of the unit table, each ``(unit,)``.
    noise_share
        Share of each unit's variance over conditions that is noise of the model, ``(unit,)``: 0
        for a deterministic model.
    second_chosen, correct
        ``(axis, condition)``, where the model has choices.
    name, provenance
        Of the model.
    """

    rates: npt.NDArray[np.float32]
    axes: Array
    units: dict[str, npt.NDArray[Any]]
    noise_share: Array
    second_chosen: npt.NDArray[np.bool_] | None
    correct: npt.NDArray[np.bool_] | None
    name: str
    provenance: dict[str, Any]

    @property
    def signed(self) -> bool:
        """Whether rates are negative, as those of tanh or LSTM units."""
        # rounding of a rate of 0 is no sign
        return bool(self.rates.min() < -1e-6 * np.abs(self.rates).max())

    def rates_of(self, drawn: npt.NDArray[np.int64]) -> Array:
        """Return the rates ``(unit, condition, bin)`` of drawn pairs (axis, unit)."""
        return self.rates[drawn[:, 0], :, :, drawn[:, 1]].astype(np.float64)

    def total_variance(self, tasks: npt.NDArray[Any]) -> Array:
        """Compute the variance over conditions of each task, summed over tasks ``(axis, unit)``.

        The model's own noise is taken off.

        Parameters
        ----------
        tasks
            Task of each condition ``(condition,)``.
        """
        by_task = [
            self.rates[:, tasks == task].astype(np.float64).var(axis=1).mean(axis=1)
            for task in dict.fromkeys(tasks)
        ]
        variance: Array = np.sum(by_task, axis=0) * (1 - self.noise_share)
        return variance


def network_response(
    network: Module,
    recorded: RecordedTrials,
    mapping: ProtocolMapping,
    *,
    dt_ms: float | None = None,
    rules: Sequence[str] | None = None,
    **how: Any,
) -> ModelResponse:
    """Record a network, without noise, in the recorded conditions on each axis of targets.

    Parameters
    ----------
    network
        A `nwbcompare.model.Network`, or any torch module without noise.
    recorded
        The recorded trials.
    mapping
        Their conditions as conditions of the network.
    dt_ms, rules, **how
        See `nwbcompare.sample_like`.

    Raises
    ------
    InputError
        For a network that runs with noise, an unknown time step, an epoch of another length than
        the recorded one, bins outside the network's trial, and values without a number in the
        mapping.
    """
    table = recorded.table
    timing = step_and_rules(network, dt_ms, rules, recorded.bin_width_s)
    timing |= {"stimulus_ms": mapping.stimulus_ms, "delay_ms": mapping.delay_ms}

    def run(task: str, axis: float) -> xr.Dataset:
        of_task = table.isel(condition=table["task"].values == task)
        conditions = mapping.numbers(mapping.tasks[task], of_task, axis)
        trials = make_trials(mapping.tasks[task], "psychometric", conditions=conditions, **timing)
        return _in_bins(record(network, trials, **how), recorded, mapping)

    tasks = list(dict.fromkeys(table["task"].values))
    by_axis = [[run(task, axis) for task in tasks] for axis in mapping.axes_degrees]

    def joined(read: Callable[[xr.Dataset], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.stack([np.concatenate([read(part) for part in parts]) for parts in by_axis])

    first = by_axis[0][0]
    has_choice = mapping.choice is not None and "choice_direction" in first.coords
    return ModelResponse(
        rates=joined(lambda part: part["rate"].values),
        axes=np.array(mapping.axes_degrees, dtype=np.float64),
        units={name: column.values for name, column in columns_on(first, "unit").items()},
        noise_share=np.zeros(first.sizes["unit"]),
        second_chosen=joined(lambda part: _second_chosen(part, mapping)) if has_choice else None,
        correct=joined(lambda part: part["correct"].values) if has_choice else None,
        name=first.attrs["name"],
        provenance=json.loads(first.attrs["provenance"]),
    )


def activity_response(
    activity: Activity, recorded: RecordedTrials, match: ConditionMatch
) -> ModelResponse:
    """Take a model's rates in the recorded conditions from its activity.

    Parameters
    ----------
    activity
        Activity of the model.
    recorded
        The recorded trials, of ``match``.
    match
        Their conditions as conditions of the activity.

    Returns
    -------
    ModelResponse
        On one axis. Rates of a condition are averages over the model's trials, its other condition
        variables, and the bins of the recording.

    Raises
    ------
    InputError
        For fewer than 3 units, tasks with other units, rates that are missing, and recorded
        conditions that the model has no trial of.
    NotApplicableError
        For epochs that differ more than 1.25-fold in length (without ``stretch``), bins that the
        model has no rates in, and a model whose noise is above 5 % of its variance.

    Warns
    -----
    UnitWarning
        For a model with one trial a condition that does not say whether it is deterministic.

    Notes
    -----
    A model is deterministic if it says so, or if its repeats are equal bit for bit. The variance of
    others is corrected for the noise that their repeats show, as that of recordings is.
    """
    parts = [_part(activity, recorded, match, task) for task in tasks_of(recorded.block)]
    first = parts[0].block
    _check_units([part.block for part in parts])
    # all conditions, in the order of the recording's table
    means = np.concatenate([part.means for part in parts], axis=1)
    signal = np.sum([part.signal for part in parts], axis=0)
    noise = np.sum([part.noise for part in parts], axis=0)
    share = float(noise.sum() / signal.sum()) if signal.sum() > 0 else 0.0
    name = str(first.attrs["name"])
    if share > MOST_NOISE:
        raise NotApplicableError(
            f"model {name!r}",
            f"noise of at most {MOST_NOISE:.0%} of its variance over conditions",
            f"{share:.0%}",
            "Give more repeats of each condition, or run the model without noise.",
        )
    return ModelResponse(
        rates=means.transpose(1, 2, 0)[None].astype(np.float32),
        axes=np.zeros(1),
        units={key: column.values for key, column in columns_on(first, "unit").items()},
        noise_share=np.divide(noise, signal, out=np.zeros_like(noise), where=signal > 0).clip(0, 1),
        second_chosen=None,
        correct=None,
        name=name,
        provenance=json.loads(first.attrs["provenance"]),
    )


@dataclass(frozen=True)
class _Part:
    """A model's rates in one task: ``means (unit, condition, bin)``; variance and noise by unit."""

    block: xr.Dataset
    means: Array
    signal: Array
    noise: Array


def _part(activity: Activity, recorded: RecordedTrials, match: ConditionMatch, task: str) -> _Part:
    """Average the rates of the trials that each recorded condition of a task has as partners."""
    partner = match.tasks[task]
    whole = next(block for block in blocks(activity).values() if partner in tasks_of(block))
    rows = np.flatnonzero(is_of_task(whole, partner))
    binned = _rebinned(whole.isel({row_dim(whole): rows}), recorded, match)
    columns = match.columns[task]
    variables = condition_variables_of(whole).get(partner, [])
    every = list(dict.fromkeys([*variables, *columns.values()]))
    binned = binned.assign_attrs(condition_variables=json.dumps({partner: every}))
    deterministic = _is_deterministic(binned)
    table = condition_means(binned.assign_attrs(deterministic=int(deterministic)))
    means, noise = table["rate_mean"].values, np.nan_to_num(table["mean_variance"].values)
    places = _places(recorded.table, table, match, task)
    mean = np.stack([means[:, here].mean(axis=1) for here in places], axis=1)
    of_mean = np.stack([noise[:, here].mean(axis=1) / here.sum() for here in places], axis=1)
    return _Part(binned, mean, *variance_and_noise(mean, of_mean))


def _places(
    recorded: xr.Dataset, model: xr.Dataset, match: ConditionMatch, task: str
) -> list[npt.NDArray[np.bool_]]:
    """Return which of the model's conditions are partners of each recorded condition of a task."""
    here = recorded.isel(condition=recorded["task"].values == task)
    places = []
    for condition in range(here.sizes["condition"]):
        values = {name: here[name].values[condition] for name in match.columns[task]}
        partners = np.ones(model.sizes["condition"], dtype=bool)
        for name, value in values.items():
            other = match.values[task][name][value.item()]
            partners &= model[match.columns[task][name]].values == other
        if not partners.any():
            raise InputError(
                f"model {model.attrs['name']!r}",
                f"trials of every recorded condition of {task!r}",
                "none of " + listing(f"{name} {value}" for name, value in values.items()),
                "Record the model in this condition too, or leave the recorded trials out with "
                "nwbcompare.select.",
            )
        places.append(partners)
    return places


def _is_deterministic(block: xr.Dataset) -> bool:
    """Return whether a model says that it has no noise, or repeats itself bit for bit."""
    if block.attrs["deterministic"]:
        return True
    table, condition = condition_table(block)
    groups = condition
    if is_ragged(block):
        groups = condition + table.sizes["condition"] * unit_positions(block)
    _, first, code, number = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    rates = block["rate"].values
    if number.min() == 1:
        warnings.warn(
            f"{block.attrs['name']}: one trial in {int((number == 1).sum())} conditions, which "
            "does not tell whether the model has noise; it is taken to have none there. Record it "
            "with deterministic=True, or repeat each condition",
            UnitWarning,
            stacklevel=2,
        )
    return bool((rates == rates[first][code]).all())


def _check_units(parts: Sequence[xr.Dataset]) -> None:
    """Check that a model has units enough, the same in both tasks."""
    name, units = parts[0].attrs["name"], parts[0]["unit"].values
    if len(units) < LEAST_UNITS:
        raise InputError(
            f"model {name!r}",
            f"at least {LEAST_UNITS} units",
            str(len(units)),
            "Record more units of it: one unit is no distribution.",
        )
    for part in parts[1:]:
        if not np.array_equal(part["unit"].values, units):
            raise InputError(
                f"model {name!r}",
                "the same units in both tasks, in the same order",
                f"{len(units)} and {part.sizes['unit']} units with other names",
                "Name units alike in both blocks (column 'unit').",
            )


def _rebinned(block: xr.Dataset, recorded: RecordedTrials, match: ConditionMatch) -> xr.Dataset:
    """Average rates in the recording's bins, with the model's epoch aligned to the recorded."""
    name, width, (start, stop) = block.attrs["name"], recorded.bin_width_s, recorded.epoch
    bounds = epoch_bounds(block, match.model_epoch)
    if bounds is None:
        raise unknown_name(f"{match.origin}, epoch.model", match.model_epoch, epoch_names(block))
    ratio = (stop - start) / (bounds[1] - bounds[0])
    if abs(stop - start - (bounds[1] - bounds[0])) <= width * (1 + EPOCH_TOLERANCE):
        ratio = 1.0
    if not match.stretch and max(ratio, 1 / ratio) > MOST_STRETCH:
        raise NotApplicableError(
            f"model {name!r}",
            f"an epoch {match.model_epoch!r} of {stop - start:g} s as recorded, or up to "
            f"{MOST_STRETCH:g} times longer or shorter",
            f"{bounds[1] - bounds[0]:g} s",
            "Write stretch: true in the match, if times of both correspond nevertheless.",
        )
    step_s = float(block["time"].attrs["bin_width_s"]) * ratio
    if step_s > width * (1 + EPOCH_TOLERANCE):
        raise NotApplicableError(
            f"model {name!r}",
            f"bins no wider than the recording's {width:g} s",
            f"{step_s:g} s",
            f"Widen the recording's: nwbcompare.rebin(recording, {step_s:g}).",
        )
    membership = _membership(block, recorded, bounds[0], match.latency_ms, ratio)
    if not membership.any(axis=0).all():
        raise NotApplicableError(
            f"model {name!r}",
            f"rates for all bins of the epoch at a latency of {match.latency_ms:g} ms",
            f"none for {int((~membership.any(axis=0)).sum())} of {len(recorded.edges) - 1} bins",
            "Record the model from before its epoch on, or write latency_ms: 0.",
        )
    used = membership.any(axis=1)
    dims = tuple(dim for dim in ("observation", "trial", "unit") if dim in block["rate"].dims)
    rates = block["rate"].isel(time=used).transpose("time", *dims).values
    means = np.einsum("t...,tb->b...", rates, membership[used])
    if np.isnan(means).any():
        raise InputError(
            f"model {name!r}",
            "rates in all bins of the epoch",
            "missing ones (NaN)",
            "Leave these trials or units out with nwbcompare.select.",
        )
    rate = xr.Variable(("time", *dims), means, block["rate"].attrs)
    target = xr.Variable("time", recorded.block["time"].values, recorded.block["time"].attrs)
    timeless = _without_times(block)
    return timeless.assign(rate=rate.transpose(*block["rate"].dims)).assign_coords(time=target)


def _membership(
    block: xr.Dataset,
    recorded: RecordedTrials,
    start_s: float,
    latency_ms: float,
    ratio: float = 1.0,
) -> Array:
    """Return the weight of each time of a model in each recorded bin ``(time, bin)``.

    Parameters
    ----------
    block, recorded
        Activity of the model, and the recorded trials.
    start_s
        Start of the model's epoch (s), which is that of the recorded epoch.
    latency_ms
        Delay of the neurons' responses (ms).
    ratio
        Length of the recorded epoch over that of the model's.
    """
    step_s = float(block["time"].attrs["bin_width_s"]) * ratio
    times = (block["time"].values - start_s) * ratio + recorded.epoch[0] + latency_ms / 1000
    return bin_membership(times, recorded.edges, EPOCH_TOLERANCE * step_s)


def _without_times(block: xr.Dataset) -> xr.Dataset:
    return block.drop_vars([n for n, v in block.variables.items() if "time" in v.dims])


def _in_bins(block: xr.Dataset, recorded: RecordedTrials, mapping: ProtocolMapping) -> xr.Dataset:
    """Average a network's rates in the recording's bins, with its epoch aligned to the recorded."""
    if not block.attrs["deterministic"]:
        raise InputError(
            "network",
            "a network that runs without noise",
            f"{block.attrs['name']!r}, which gives other rates each time",
            "Switch its noise off: samples get the noise of the recording.",
        )
    bounds = network_bounds(mapping, block, recorded.epoch, recorded.bin_width_s)
    membership = _membership(block, recorded, bounds[0], mapping.latency_ms)
    if not membership.any(axis=0).all():
        raise InputError(
            f"{mapping.origin}, epoch.latency_ms",
            "bins that lie inside the network's trial",
            f"bins before or after it at {mapping.latency_ms:g} ms",
            "Write latency_ms: 0, or one shorter than the network's fixation.",
        )
    used = membership.any(axis=1)
    rates = np.einsum("ctu,tb->cbu", block["rate"].values[:, used], membership[used])
    return _without_times(block).assign(rate=(("trial", "time", "unit"), rates.astype(np.float32)))


def _second_chosen(block: xr.Dataset, mapping: ProtocolMapping) -> npt.NDArray[np.bool_]:
    if "direction_2" not in block.coords:
        raise InputError(
            f"{mapping.origin}, choice",
            "network tasks of two directions",
            f"{listing(tasks_of(block))}",
            "Leave choice out.",
        )
    chosen = block["choice_direction"].values
    first, second = (
        angular_distance(chosen, block[name].values) for name in ("direction", "direction_2")
    )
    nearer: npt.NDArray[np.bool_] = second < first
    return nearer
