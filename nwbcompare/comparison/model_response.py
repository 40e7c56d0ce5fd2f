"""Response of a model to the conditions of a recording: of a network that is run on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.protocol_mapping import ProtocolMapping
from nwbcompare.comparison.protocols import step_and_rules
from nwbcompare.comparison.recorded_trials import RecordedTrials
from nwbcompare.core.activity import EPOCH_TOLERANCE, columns_on, epoch_bounds, tasks_of
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.kernels.binning import bin_membership
from nwbcompare.model.network_recording import record
from nwbcompare.tasks.channels import angular_distance
from nwbcompare.tasks.trials import make_trials

if TYPE_CHECKING:
    from torch.nn import Module

Array = npt.NDArray[np.float64]


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

        Parameters
        ----------
        tasks
            Task of each condition ``(condition,)``.
        """
        by_task = [
            self.rates[:, tasks == task].astype(np.float64).var(axis=1).mean(axis=1)
            for task in dict.fromkeys(tasks)
        ]
        variance: Array = np.sum(by_task, axis=0)
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


def _in_bins(block: xr.Dataset, recorded: RecordedTrials, mapping: ProtocolMapping) -> xr.Dataset:
    """Average a network's rates in the recording's bins, with its epoch aligned to the recorded."""
    start, stop = recorded.epoch
    if not block.attrs["deterministic"]:
        raise InputError(
            "network",
            "a network that runs without noise",
            f"{block.attrs['name']!r}, which gives other rates each time",
            "Switch its noise off: samples get the noise of the recording.",
        )
    bounds = epoch_bounds(block, mapping.network_epoch)
    if bounds is None:
        epochs = map(str, block["epoch"].values)
        raise unknown_name(f"{mapping.origin}, epoch.network", mapping.network_epoch, epochs)
    lasts = bounds[1] - bounds[0]
    if abs(lasts - (stop - start)) > recorded.bin_width_s * (1 + EPOCH_TOLERANCE):
        raise InputError(
            f"{mapping.origin}, epoch",
            f"network epoch {mapping.network_epoch!r} to last as long as the recorded "
            f"{mapping.epoch!r}, {1000 * (stop - start):g} ms",
            f"{1000 * lasts:g} ms",
            f"Write stimulus_ms: {1000 * (stop - start):g}, or delay_ms if the epoch is a delay.",
        )
    step_s = block["time"].attrs["bin_width_s"]
    times = block["time"].values - bounds[0] + start + mapping.latency_ms / 1000
    membership = bin_membership(times, recorded.edges, EPOCH_TOLERANCE * step_s)
    if not membership.any(axis=0).all():
        raise InputError(
            f"{mapping.origin}, epoch.latency_ms",
            "bins that lie inside the network's trial",
            f"bins before or after it at {mapping.latency_ms:g} ms",
            "Write latency_ms: 0, or one shorter than the network's fixation.",
        )
    used = membership.any(axis=1)
    rates = np.einsum("ctu,tb->cbu", block["rate"].values[:, used], membership[used])
    timeless = block.drop_vars([n for n, v in block.variables.items() if "time" in v.dims])
    return timeless.assign(rate=(("trial", "time", "unit"), rates.astype(np.float32)))


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
