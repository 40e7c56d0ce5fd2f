"""The matched protocol, on which networks are compared with the recordings of Mante et al. 2013.

It is the monkeys' task: two opposite targets, six signed coherences of motion by six of colour,
rates of the stimulus epoch in 50-ms bins, smoothed like the recording, and the four combinations
of signs as conditions.
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

from nwbcompare.core.activity import EPOCH_TOLERANCE, columns_on, make_activity, make_block
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
    """Parameters of the monkeys' task, as shown to a network.

    Attributes
    ----------
    coherences
        Coherence c of the recording's three levels; the two targets have strengths 1 + c and
        1 - c. The monkeys' coherences differ between sessions; the default values are those of
        the reference implementation of Yang et al. 2019.
    n_axes
        Number of pairs of opposite targets, evenly spaced over half the circle. The other half
        shows the same pairs with the targets exchanged, which does not change variances.
    stimulus_ms
        Duration of the stimulus (ms); 750 as for the monkeys.
    bin_s, smooth_s
        Width of bins and standard deviation of the Gaussian smoothing (s), as in the recording.
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
    """Record a network, or any torch module, on the monkeys' task.

    Each unit with each pair of targets is one sample, since a recorded unit is recorded with one
    pair of targets. The unit column ``session`` names the pair and ``network_unit`` the unit, so
    that samples of one unit are not taken for independent units.

    Parameters
    ----------
    network
        A network of both context tasks: a `Network`, or a module that takes the trials' input.
    protocol
        The parameters of the protocol; by default `MatchedProtocol`.
    smoothed
        Whether to smooth rates like the recording.
    dt_ms
        Time step (ms), at most the width of a bin; by default that of a `Network`. For another
        module, pass the time step with which it was trained.
    rules
        Tasks that have a rule channel (see `nwbcompare.tasks.make_trials`); by default those of
        a `Network`, and for a module the 20 published ones.
    **recording
        Options for recording a module: ``layer``, ``batch_first``, ``name``, ``seed``; see
        `nwbcompare.record`.

    Returns
    -------
    xarray.DataTree
        One dense block ``(trial, time, unit)`` of both contexts. A `Network` is recorded without
        noise unless ``seed`` is given.

    Raises
    ------
    InputError
        For a missing time step of a module, one wider than a bin, and as `nwbcompare.record`.

    Examples
    --------
    >>> import torch
    >>> matched = record_matched(torch.nn.GRU(85, 4), dt_ms=50, name="my GRU")
    >>> dict(matched["matched"]["rate"].sizes)
    {'trial': 72, 'time': 15, 'unit': 24}
    """
    protocol = protocol or MatchedProtocol()
    timing = step_and_rules(network, dt_ms, rules, protocol.bin_s)
    timing |= {"stimulus_ms": protocol.stimulus_ms}
    provenance = {
        "protocol": "matched",
        "matched_protocol": parameters_of(protocol, smoothed=smoothed),
    }

    def record_trials(task: str, conditions: Mapping[str, Any]) -> xr.Dataset:
        trials = make_trials(task, "psychometric", conditions=conditions, **timing)
        return record(network, trials, **recording)

    axes = np.arange(protocol.n_axes) * np.pi / protocol.n_axes
    recorded = [_record_axis(record_trials, axis, protocol, provenance) for axis in axes]
    block = _join_axes(recorded, axes)
    return make_activity({"matched": smooth(block, protocol.smooth_s) if smoothed else block})


def parameters_of(protocol: MatchedProtocol, *, smoothed: bool) -> dict[str, Any]:
    """Return the parameters of a protocol as plain values, for a file's provenance."""
    parameters: dict[str, Any] = json.loads(json.dumps(asdict(protocol) | {"smoothed": smoothed}))
    return parameters


def step_and_rules(
    network: Module, dt_ms: float | None, rules: Sequence[str] | None, bin_s: float
) -> dict[str, Any]:
    """Return the options ``dt_ms`` and ``rules`` of `nwbcompare.tasks.make_trials` for a network.

    Parameters
    ----------
    network
        A `Network`, whose configuration has the defaults, or any module.
    dt_ms, rules
        Time step (ms) and tasks that have a rule channel; None for the defaults.
    bin_s
        Width of the bins in which rates will be averaged (s).

    Raises
    ------
    InputError
        For a missing time step of a module, and one wider than a bin.
    """
    if isinstance(network, Network):
        dt_ms, rules = dt_ms or network.config.dt_ms, rules or network.config.rules
    widest = 1000 * bin_s
    if dt_ms is None or dt_ms > widest * (1 + EPOCH_TOLERANCE):
        raise InputError(
            "dt_ms",
            f"the time step that the network was trained with, at most a bin's {widest:g} ms",
            repr(dt_ms),
            "Pass it, e.g. dt_ms=20; if it is wider, use wider bins.",
        )
    return {"dt_ms": dt_ms, "rules": rules}


def _record_axis(
    record_trials: Callable[[str, Mapping[str, Any]], xr.Dataset],
    axis: float,
    protocol: MatchedProtocol,
    provenance: Mapping[str, Any],
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
        provenance=json.loads(recorded.attrs["provenance"]) | dict(provenance),
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
    """Simulate a recording: Poisson spikes with a network's rates on the monkeys' task.

    Use it to try an analysis without a recording. It is no evidence; its name and its provenance
    mark it as simulated.

    Parameters
    ----------
    network
        The network, of both context tasks.
    n_units
        Number of units, drawn without replacement among pairs of a network unit and an axis of
        targets with rates above 0.
    trials_per_condition
        Mean number of trials in each of the 72 conditions; drawn at random for each unit.
    peak_rates
        Range of the units' peak rates (spikes/s), log-uniformly distributed.
    seed
        Seed of units, trials and spikes.

    Returns
    -------
    xarray.DataTree
        One ragged block in spikes/s, in the form of a loaded recording.

    Raises
    ------
    InputError
        For fewer than one unit or trial, and a network without the two context tasks.
    NotApplicableError
        For a network without units that fire.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> simulated = simulate_recording(nc.model.pretrained("ctxdm-0"), n_units=2)
    >>> simulated["simulated"]["rate"].dims
    ('observation', 'time')
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
            # for sampling networks like this recording
            "mapping": "mante2013",
            "options": {"bin_s": protocol.bin_s, "smooth_s": protocol.smooth_s},
        },
    )
    return make_activity({"simulated": smooth(simulated, protocol.smooth_s)})


def _sessions(n_units: int, size: int = 8) -> list[str]:
    bounds: Iterable[tuple[int, int]] = pairwise([*range(0, n_units, size), n_units])
    return [f"simulated {number}" for number, (a, b) in enumerate(bounds) for _ in range(a, b)]
