"""Protocols: what a network is shown so that it can be held against a recording.

The matched protocol is the monkeys' own task (Mante et al. 2013): two opposite targets, six
signed coherences of motion by six of colour, rates of the stimulus epoch in 50-ms bins,
smoothed as the recording's, and the four combinations of signs as conditions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import columns_on, make_activity, make_block
from nwbcompare.core.errors import InputError, NotApplicableError
from nwbcompare.core.time_axis import align, rebin, smooth
from nwbcompare.model.network import Network
from nwbcompare.model.network_recording import record
from nwbcompare.tasks.trials import make_trials

if TYPE_CHECKING:
    from torch.nn import Module

CONTEXTS = ("contextdm1", "contextdm2")


@dataclass(frozen=True, kw_only=True)
class MatchedProtocol:
    """The monkeys' protocol, as shown to a network.

    Attributes
    ----------
    coherences
        Strength of the recording's three levels: targets get 1 + c and 1 - c. The monkeys'
        levels differ by session; the values are the reference implementation's.
    n_axes
        Pairs of opposite targets, evenly round half the circle (the other half shows the same
        pairs with the targets' names exchanged, which leaves variances as they are).
    stimulus_ms
        Duration (ms); the monkeys saw 750 ms of dots.
    bin_s, smooth_s
        Bins and smoothing (s), the recording's.
    """

    coherences: tuple[float, float, float] = (0.025, 0.075, 0.25)
    n_axes: int = 6
    stimulus_ms: float = 750.0
    bin_s: float = 0.05
    smooth_s: float = 0.04


def record_matched(
    network: Module,
    protocol: MatchedProtocol | None = None,
    *,
    smoothed: bool = True,
    dt_ms: float | None = None,
    rules: Sequence[str] | None = None,
    **recording: Any,
) -> xr.DataTree:
    """Record a network, any torch module, on the monkeys' protocol.

    Each unit on each axis of targets is one sample, as an animal's unit is recorded with one
    pair of targets; ``session`` names the axis and ``network_unit`` the unit, so that samples
    are not taken for independent units.

    Parameters
    ----------
    network
        A network of both context tasks: a `Network`, or a module that takes the trials' input.
    protocol
        The protocol; by default the one above.
    smoothed
        Whether to smooth as the recording is smoothed.
    dt_ms
        Time step (ms), at most a bin's width; by default a `Network`'s own. A module does not
        tell the one that it was trained with, so it has to be given.
    rules
        Tasks that have an input channel (see `nwbcompare.tasks.make_trials`); by default a
        `Network`'s own, and for a module the 20 published ones.
    **recording
        How to record a module: ``layer``, ``batch_first``, ``name``, ``seed``; see
        `nwbcompare.record`.

    Returns
    -------
    xarray.DataTree
        One dense block ``(trial, time, unit)`` of both contexts; of a `Network` without noise
        unless ``seed`` is given.

    Raises
    ------
    InputError
        Where a module's time step is not given or wider than a bin, and as `nwbcompare.record`.

    Examples
    --------
    >>> import torch
    >>> matched = record_matched(torch.nn.GRU(85, 4), dt_ms=50, name="my GRU")
    >>> dict(matched["matched"]["rate"].sizes)
    {'trial': 72, 'time': 15, 'unit': 24}
    """
    protocol = protocol or MatchedProtocol()
    if isinstance(network, Network):
        dt_ms, rules = dt_ms or network.config.dt_ms, rules or network.config.rules
    _check_step(dt_ms, protocol)
    shown: dict[str, Any] = {"dt_ms": dt_ms, "rules": rules, "stimulus_ms": protocol.stimulus_ms}
    made = {"protocol": "matched", "matched_protocol": parameters_of(protocol, smoothed=smoothed)}

    def record_trials(task: str, conditions: Mapping[str, Any]) -> xr.Dataset:
        trials = make_trials(task, "psychometric", conditions=conditions, **shown)
        return record(network, trials, **recording)

    axes = np.arange(protocol.n_axes) * np.pi / protocol.n_axes
    recorded = [_record_axis(record_trials, axis, protocol, made) for axis in axes]
    block = _join_axes(recorded, axes)
    return make_activity({"matched": smooth(block, protocol.smooth_s) if smoothed else block})


def parameters_of(protocol: MatchedProtocol, *, smoothed: bool) -> dict[str, Any]:
    """Give a protocol's parameters as a file's provenance holds them."""
    parameters: dict[str, Any] = json.loads(json.dumps(asdict(protocol) | {"smoothed": smoothed}))
    return parameters


def _check_step(dt_ms: float | None, protocol: MatchedProtocol) -> None:
    widest = 1000 * protocol.bin_s
    if dt_ms is None or dt_ms > widest:
        raise InputError(
            "dt_ms",
            f"the time step that the module was trained with, at most {widest:g} ms",
            repr(dt_ms),
            "Pass it, e.g. dt_ms=20; if it is wider, take wider bins: MatchedProtocol(bin_s=0.1).",
        )


def _record_axis(
    record_trials: Callable[[str, Mapping[str, Any]], xr.Dataset],
    axis: float,
    protocol: MatchedProtocol,
    made: Mapping[str, Any],
) -> xr.Dataset:
    levels = np.array([-3, -2, -1, 1, 2, 3])
    signed = np.sign(levels) * np.array(protocol.coherences)[np.abs(levels) - 1]
    first, second = (grid.ravel() for grid in np.meshgrid(np.arange(6), np.arange(6)))
    conditions = {"direction": axis, "coherence_1": signed[first], "coherence_2": signed[second]}
    parts = [
        rebin(align(record_trials(task, conditions), "stim1"), protocol.bin_s) for task in CONTEXTS
    ]
    columns = {
        "task": np.repeat(CONTEXTS, levels.size**2),
        **{
            f"coherence_{m}{suffix}": np.tile(values[which], 2)
            for m, which in ((1, first), (2, second))
            for suffix, values in (
                ("", signed),
                ("_level", levels),
                ("_sign", np.sign(levels)),
            )
        },
    }
    recorded = parts[0]
    return make_block(
        np.concatenate([part["rate"].values for part in parts]),
        time_s=(np.arange(recorded.sizes["time"]) + 0.5) * protocol.bin_s,
        bin_width_s=protocol.bin_s,
        aligned_to="stimulus onset",
        trials=columns,
        units=columns_on(recorded, "unit"),
        epochs={"stim1": (0.0, protocol.stimulus_ms / 1000)},
        condition_variables={t: ["coherence_1_sign", "coherence_2_sign"] for t in CONTEXTS},
        source="model",
        name=recorded.attrs["name"],
        deterministic=all(part.attrs["deterministic"] for part in parts),
        provenance=json.loads(recorded.attrs["provenance"]) | dict(made),
    )


def _join_axes(recorded: list[xr.Dataset], axes: npt.NDArray[np.float64]) -> xr.Dataset:
    degrees = [f"{np.degrees(axis):03.0f}" for axis in axes]
    parts = []
    for block, degree in zip(recorded, degrees, strict=True):
        units = block["unit"].values
        parts.append(
            block.assign_coords(
                unit=[f"{unit}@{degree}deg" for unit in units],
                network_unit=("unit", units),
                session=("unit", np.full(units.size, f"axis {degree} deg")),
            )
        )
    return xr.concat(
        parts,
        dim="unit",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )


def simulate_recording(
    network: Network,
    *,
    n_units: int = 120,
    trials_per_condition: int = 6,
    peak_rates: tuple[float, float] = (5.0, 60.0),
    seed: int = 0,
) -> xr.DataTree:
    """Simulate a recording: Poisson spikes drawn at a network's rates on the monkeys' protocol.

    It stands in where no recording is at hand, to show what an analysis does; it is no
    evidence of anything, and its name and provenance say so.

    Parameters
    ----------
    network
        The network whose rates drive the spikes.
    n_units
        Units drawn without replacement from the units and axes that fire at all.
    trials_per_condition
        Mean number of trials for each of the 72 conditions; drawn for each unit.
    peak_rates
        Range of the units' highest rates (spikes/s), log-uniform.
    seed
        Seed.

    Returns
    -------
    xarray.DataTree
        One ragged block in spikes/s, as a loader gives it.

    Raises
    ------
    InputError
        For fewer than one unit or trial, and a network without the two context tasks.
    NotApplicableError
        For a network without units that fire.
    """
    if n_units < 1 or trials_per_condition < 1:
        raise InputError(
            "n_units and trials_per_condition",
            "1 or more each",
            f"{n_units} and {trials_per_condition}",
            "Use the defaults.",
        )
    rng = np.random.default_rng(seed)
    low, high = peak_rates
    protocol = MatchedProtocol()
    block = record_matched(network, protocol, smoothed=False)["matched"].to_dataset()
    rate = block["rate"].values.astype(np.float64)
    peak = rate.max(axis=(0, 1))
    chosen = rng.permutation(np.flatnonzero(peak > 1e-3))[:n_units]
    if not chosen.size:
        raise NotApplicableError(
            "network", "units that fire in the context tasks", "none", "Take a trained network."
        )
    gains = np.exp(rng.uniform(math.log(low), math.log(high), chosen.size)) / peak[chosen]
    rows, observed = [], []
    for unit, gain in zip(chosen, gains, strict=True):
        condition = np.repeat(
            np.arange(block.sizes["trial"]),
            1 + rng.poisson(trials_per_condition - 1, block.sizes["trial"]),
        )
        expected = np.clip(gain * rate[condition, :, unit], 0, None) * protocol.bin_s
        observed.append(rng.poisson(expected) / protocol.bin_s)
        rows.append(condition)
    names = [f"simulated_{place:03d}" for place in range(chosen.size)]
    simulated = make_block(
        np.concatenate(observed),
        time_s=block["time"].values,
        bin_width_s=protocol.bin_s,
        aligned_to="stimulus onset",
        trials={
            name: (column.values[np.concatenate(rows)], dict(column.attrs))
            for name, column in columns_on(block, "trial").items()
        },
        units={
            "unit": names,
            "subject": ["SIMULATED monkey"] * chosen.size,
            "session": _sessions(chosen.size),
            "area": ["simulated"] * chosen.size,
        },
        observation_unit=np.repeat(np.arange(chosen.size), [len(part) for part in rows]),
        epochs={"stim1": (0.0, protocol.stimulus_ms / 1000)},
        condition_variables=json.loads(block.attrs["condition_variables"]),
        source="recording",
        name="SIMULATED monkey",
        provenance={
            "simulated": True,
            "network": network.name,
            "seed": seed,
            # what sampling a network as this was needs to know
            "mapping": "mante2013",
            "options": {"bin_s": protocol.bin_s, "smooth_s": protocol.smooth_s},
        },
    )
    return make_activity({"simulated": smooth(simulated, protocol.smooth_s)})


def _sessions(n_units: int, size: int = 8) -> list[str]:
    bounds: Iterable[tuple[int, int]] = pairwise([*range(0, n_units, size), n_units])
    return [f"simulated {number}" for number, (a, b) in enumerate(bounds) for _ in range(a, b)]
