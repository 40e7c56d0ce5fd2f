"""Matched sampling: a network on the conditions of a recording, with the recording's noise.

A network's rates are noise-free and its conditions balanced; those of a recording are neither.
Here a network is shown the conditions of the recorded trials, each sampled unit is matched to a
recorded one in rate, or in rate and strength of tuning, and gets that unit's trial noise.
Differences between network and recording are then not due to noise, numbers of trials or, with
equal tuning, to how strongly units are tuned.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.analysis.selectivity.condition_means import condition_means, condition_table
from nwbcompare.analysis.selectivity.task_variance import means_by_task
from nwbcompare.comparison.kernels.spike_variability import draw_counts
from nwbcompare.comparison.protocol_mapping import ProtocolMapping, mapping_name, read_mapping
from nwbcompare.comparison.protocols import step_and_rules
from nwbcompare.comparison.spike_variability import (
    dispersion,
    observations,
    recorded_block,
    smoothing_of,
)
from nwbcompare.core.activity import (
    EPOCH_TOLERANCE,
    Activity,
    bins_in,
    columns_on,
    condition_variables_of,
    epoch_bounds,
    labels,
    make_activity,
    make_block,
    row_dim,
    tasks_of,
)
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import (
    InputError,
    NotApplicableError,
    UnitWarning,
    listing,
    unknown_name,
)
from nwbcompare.kernels.binning import bin_membership, smoothing_matrix
from nwbcompare.model.network_recording import record
from nwbcompare.tasks.channels import angular_distance
from nwbcompare.tasks.trials import make_trials

if TYPE_CHECKING:
    from torch.nn import Module

Array = npt.NDArray[np.float64]
Match = Literal["rate", "tuning"]
MATCHES = ("rate", "tuning")
Pairing = Literal["random", "rank", "reversed"]
PAIRINGS = ("random", "rank", "reversed")
ACTIVE_SHARE = 1e-3
"""Least total variance of an active network unit, as a share of the median over units."""


def sample_like(
    network: Module,
    recording: Activity,
    mapping: Any = None,
    *,
    match: Match = "rate",
    pairing: Pairing = "random",
    noise: bool = True,
    seed: int = 0,
    smooth_s: float | None = None,
    dt_ms: float | None = None,
    rules: Sequence[str] | None = None,
    **how: Any,
) -> xr.DataTree:
    """Sample a network like a recording: with its trials, rates and noise.

    Each recorded unit is matched to a network unit with one axis of targets, drawn at random
    among those that are active in these conditions, without replacement until all were drawn. Its
    mean rate in a trial is the network's noise-free rate in that trial's condition, in spikes/s at
    the mean rate of the recorded unit, and its trials have the noise of that unit.

    Parameters
    ----------
    network
        A `nwbcompare.model.Network`, or any torch module without noise.
    recording
        A recording of one block, in spikes/s, ragged or dense.
    mapping
        Mapping of the recording's conditions to the network's: a name ("mante2013"), the path of
        a YAML file, a dict or a `nwbcompare.comparison.ProtocolMapping`; by default the mapping
        of this package for the recording's archive.
    match
        "rate" multiplies the rates of a network unit so that their mean over the recorded unit's
        trials is the mean rate of that unit; the strength of tuning is then the network's. Spike
        counts are drawn bin by bin with the recorded unit's Fano factor and trial-wide gain
        (`nwbcompare.comparison.dispersion`) and smoothed like the recording. "tuning" scales and
        shifts the rates so that also the sum of the task variances, corrected for noise, is that
        of the recorded unit; Fano factor and gain are those of the unit in each task. Strength of
        tuning and noise are then those of the recorded unit, and only the share of each task is
        the network's: use it to compare FTV, which depends on both.
    pairing
        Which network unit is matched to which recorded unit: "random"; "rank", so that strongly
        tuned network units (by their total variance) are matched to strongly tuned recorded units;
        or "reversed", to weakly tuned ones. FTV that depends on the strength of tuning differs
        between pairings: a difference to a recording should hold under all three.
    noise
        Whether to add noise; otherwise rates are the matched and smoothed mean rates.
    seed
        Seed of the choice of units and of the noise.
    smooth_s
        Standard deviation (s) of the Gaussian with which the recording was smoothed; by default
        that of its provenance.
    dt_ms, rules, **how
        Time step, tasks that have a rule channel, and ``layer``, ``batch_first`` and ``name`` of
        a module, as in `nwbcompare.record_matched`.

    Returns
    -------
    xarray.DataTree
        One ragged block in spikes/s with the rows of the recording, in its order, of the mapping's
        tasks and in the bins of its epoch. Trial columns are the task, the conditions and those
        that the mapping lists as shown. ``choice`` and ``correct`` are those of the network in
        that condition at the end of the trial, if the mapping has a choice and the network the
        outputs of `nwbcompare.tasks`; other columns of the animal's behaviour are left out. Unit
        columns are ``network_unit``, ``axis_degrees``, ``recorded_unit``; ``subject`` and
        ``session`` of the recorded unit, so that sessions are resampled on both sides together;
        ``scale`` and ``offset`` (spikes/s) of the rates. With "rate": ``clipped_share``, the share
        of bins with a negative rate (of a network with signed activity), which is set to 0, and,
        with noise, ``drawn_fano_factor`` and ``drawn_gain_variance``.

    Raises
    ------
    InputError
        For an unknown mapping, errors in it, columns, tasks or epochs that the recording lacks,
        an epoch of another length than the network's, an unknown smoothing, and a network that
        runs with noise.
    NotApplicableError
        For rates without noise, an epoch with unequal bounds or without a bin, too few trials
        (with ``match="tuning"``, and pairing by strength: fewer than 2 in some condition of some
        unit), and a network without active units.

    Warns
    -----
    UnitWarning
        With ``match="rate"``, for recorded units without spikes; their samples have none either.

    Notes
    -----
    "rate": the variance of the gain is chosen so that the mean variance of trials about the means
    of their conditions is that of the recorded unit, whatever the modulation of its rate. The gain
    is common to all bins of a trial and independent between units: noise correlations of recorded
    units are not reproduced.

    "tuning": rates are an affine function of the network's and may be negative, since rectified
    rates would have other shares of the tasks; a negative rate has no noise. The noise of a trial,
    drawn counts minus their mean, is added to the rate. If the corrected variance of a recorded
    unit is not above 0, its rate is constant (``scale`` 0). ``benchmarks/closed_loop.py`` makes
    recordings from networks and compares them with networks sampled like them.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> network = nc.model.pretrained("ctxdm-0")
    >>> recording = nc.comparison.simulate_recording(network, n_units=4)
    >>> sample = sample_like(network, recording)
    >>> sample["sample"].sizes["observation"] == recording["simulated"].sizes["observation"]
    True
    """
    check_whole("seed", seed, 0, "Use seed=0.")
    reading = {"smooth_s": smooth_s, "dt_ms": dt_ms, "rules": rules, **how}
    draws = sample_draws(
        network,
        recording,
        mapping,
        seeds=[seed],
        match=match,
        pairing=pairing,
        noise=noise,
        **reading,
    )
    return next(draws)


def sample_draws(
    network: Module,
    recording: Activity,
    mapping: Any = None,
    *,
    seeds: Iterable[int],
    match: Match = "rate",
    pairing: Pairing = "random",
    noise: bool = True,
    smooth_s: float | None = None,
    dt_ms: float | None = None,
    rules: Sequence[str] | None = None,
    **how: Any,
) -> Iterator[xr.DataTree]:
    """Sample a network several times like a recording, which is read once.

    Parameters
    ----------
    seeds
        Seed of each draw: of the choice of units and of the spikes.
    network, recording, mapping, match, pairing, noise, smooth_s, dt_ms, rules, **how
        See `sample_like`.

    Yields
    ------
    xarray.DataTree
        The result of `sample_like` for each seed.

    Raises
    ------
    InputError, NotApplicableError
        As `sample_like`.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> network = nc.model.pretrained("ctxdm-0")
    >>> recording = nc.comparison.simulate_recording(network, n_units=2)
    >>> draws = sample_draws(network, recording, seeds=[0, 1])
    >>> [draw["sample"].sizes["unit"] for draw in draws]
    [2, 2]
    """
    if match not in MATCHES:
        raise unknown_name("match", match, MATCHES)
    if pairing not in PAIRINGS:
        raise unknown_name("pairing", pairing, PAIRINGS)
    recorded = _read(recording, mapping, smooth_s)
    response = _responses(network, recorded, dt_ms=dt_ms, rules=rules, how=how)
    sample = _sample_rates if match == "rate" else _sample_tuning
    for seed in seeds:
        drawn = _draw_units(response, recorded, seed, match, pairing)
        sampled, units = sample(response.rates_of(drawn), recorded, seed, noise=noise)
        options = {"match": match, "pairing": pairing, "noise": noise, "seed": seed}
        yield make_activity(
            {"sample": _as_block(sampled, recorded, response, drawn, units=units, options=options)}
        )


@dataclass(frozen=True)
class _Recorded:
    """A recording as rows of one unit and trial, with their conditions.

    Attributes
    ----------
    block, mapping
        The rows, ragged, of the mapping's tasks and epoch; the mapping.
    table, condition
        The recorded conditions, in the mapping's columns, and the condition of each row.
    means
        Condition means of the rates, from `nwbcompare.selectivity.condition_means`.
    smooth_s, smoothing
        Standard deviation (s) of the Gaussian smoothing, and its matrix ``(bin, bin)``.
    """

    block: xr.Dataset
    mapping: ProtocolMapping
    table: xr.Dataset
    condition: npt.NDArray[np.int64]
    means: xr.Dataset
    smooth_s: float
    smoothing: Array

    @property
    def unit(self) -> npt.NDArray[np.int64]:
        """Place of each row's unit in the unit table ``(row,)``."""
        return self.block["observation_unit"].values.astype(np.int64)

    @cached_property
    def fano_factor(self) -> Array:
        """Fano factor of each unit's counts ``(unit,)``."""
        moments = dispersion(self.block, conditions=self.mapping.columns, smooth_s=self.smooth_s)
        fano: Array = moments["fano_factor"].values
        return fano

    @cached_property
    def strength(self) -> Array:
        """Strength of tuning: sum over tasks of each unit's corrected task variance ``(unit,)``."""
        strength = _strength(self.block)
        _check_strength(self.block, strength)
        return strength

    @cached_property
    def task(self) -> npt.NDArray[np.int64]:
        """Index of each row's task ``(row,)``."""
        _, of_condition = np.unique(self.table["task"].values, return_inverse=True)
        return of_condition[self.condition].astype(np.int64)

    @cached_property
    def scatter_by_task(self) -> tuple[Array, Array]:
        """Fano factors and gain variances of each unit in each task, both ``(unit, task)``."""
        by_task = []
        for task in range(int(self.task.max()) + 1):
            block = self.block.isel(observation=np.flatnonzero(self.task == task))
            with warnings.catch_warnings():
                # units that are silent in a task get no noise there, and FTV names silent units
                warnings.simplefilter("ignore", UnitWarning)
                by_task.append(
                    dispersion(block, conditions=self.mapping.columns, smooth_s=self.smooth_s)
                )
        fano, gain = (
            np.stack([one[name].values for one in by_task], axis=1)
            for name in ("fano_factor", "gain_variance")
        )
        # without a spike in a task nothing is known of its noise: Poisson
        return np.nan_to_num(fano, nan=1.0), np.nan_to_num(gain)

    @property
    def bin_width_s(self) -> float:
        """Width of a bin (s)."""
        return float(self.block["time"].attrs["bin_width_s"])

    @property
    def edges(self) -> Array:
        """Edges of the bins (s)."""
        half = self.bin_width_s / 2
        return np.append(self.block["time"].values - half, self.block["time"].values[-1] + half)

    @property
    def epoch(self) -> tuple[float, float]:
        """Start and stop of the epoch (s), the same in all rows."""
        start, stop = (self.block[f"epoch_{w}_time"].values[0, 0] for w in ("start", "stop"))
        return float(start), float(stop)


def _read(recording: Activity, mapping: Any, smooth_s: float | None) -> _Recorded:
    """Select the rows of a recording that a mapping describes."""
    whole = recorded_block(recording)
    mapping = read_mapping(mapping, mapping_name(whole))
    block = _rows_of(_cut(whole, mapping))
    sd_s = smoothing_of(whole, smooth_s)
    table, condition = condition_table(block, mapping.columns)
    return _Recorded(
        block=block,
        mapping=mapping,
        table=table,
        condition=condition,
        means=condition_means(block, conditions=mapping.columns),
        smooth_s=sd_s,
        smoothing=smoothing_matrix(block.sizes["time"], sd_s / block["time"].attrs["bin_width_s"]),
    )


@dataclass(frozen=True)
class _Response:
    """Responses of a network to the recorded conditions on each axis of targets.

    Rates are ``(axis, condition, bin, unit)``, choices ``(axis, condition)``.
    """

    rates: npt.NDArray[np.float32]
    axes: Array
    units: dict[str, npt.NDArray[Any]]
    second_chosen: npt.NDArray[np.bool_] | None
    correct: npt.NDArray[np.bool_] | None
    name: str
    provenance: dict[str, Any]

    def rates_of(self, drawn: npt.NDArray[np.int64]) -> Array:
        """Return the rates ``(unit, condition, bin)`` of drawn pairs (axis, unit)."""
        return self.rates[drawn[:, 0], :, :, drawn[:, 1]].astype(np.float64)


def _cut(block: xr.Dataset, mapping: ProtocolMapping) -> xr.Dataset:
    """Select the trials of the mapping's tasks, and the bins of its epoch."""
    recorded_tasks = tasks_of(block)
    tasks = [task for task in mapping.tasks if task in recorded_tasks]
    if not tasks:
        raise InputError(
            f"{mapping.origin}, tasks",
            f"at least one of the recording's tasks: {listing(recorded_tasks)}",
            listing(mapping.tasks),
            "Write each recorded task with the network's, "
            f"e.g. tasks: {{{recorded_tasks[0]}: contextdm1}}.",
        )
    _check_columns(block, mapping)
    bounds = {task: _bounds(block, mapping, task) for task in tasks}
    (start, stop), *others = bounds.values()
    width = block["time"].attrs["bin_width_s"]
    if any(not np.allclose(other, (start, stop), atol=EPOCH_TOLERANCE * width) for other in others):
        raise NotApplicableError(
            f"epoch {mapping.epoch!r}",
            "the same bounds in all tasks",
            listing(f"{a:g} to {b:g} s in {task!r}" for task, (a, b) in bounds.items()),
            f"Align the trials first: nwbcompare.align(recording, {mapping.epoch!r}).",
        )
    bins = bins_in(block["time"].values, start, stop, width)
    if not bins.any():
        raise NotApplicableError(
            f"epoch {mapping.epoch!r}", "at least one bin in it", "none", "Read narrower bins."
        )
    places = [list(block["epoch"].values).index(mapping.epoch)]
    cut = block if bins.all() else block.isel(time=bins)
    return _of_tasks(cut.isel(epoch=places), tasks, recorded_tasks)


def _of_tasks(block: xr.Dataset, tasks: list[str], known: list[str]) -> xr.Dataset:
    if len(tasks) < len(known):
        rows = np.flatnonzero(np.isin(labels(block["task"]), tasks))
        block = block.isel({row_dim(block): rows})
    return block


def _check_columns(block: xr.Dataset, mapping: ProtocolMapping) -> None:
    columns = columns_on(block, row_dim(block))
    column_of = {
        f"conditions.{name}.column": parameter.column
        for name, parameter in mapping.conditions.items()
    }
    for key, column in column_of.items():
        if column is not None and column not in columns:
            raise unknown_name(f"{mapping.origin}, {key}", column, columns)


def _bounds(block: xr.Dataset, mapping: ProtocolMapping, task: str) -> tuple[float, float]:
    bounds = epoch_bounds(block, mapping.epoch, labels(block["task"]) == task)
    if bounds is None:
        epochs = block["epoch"].values if "epoch" in block.coords else ()
        raise unknown_name(f"{mapping.origin}, epoch.recording", mapping.epoch, map(str, epochs))
    return bounds


def _rows_of(block: xr.Dataset) -> xr.Dataset:
    """Return a recording as ragged rows of one unit and trial, without units that have none."""
    rates, unit, trial = observations(block)
    row = row_dim(block)
    if row == "trial" or len(trial) < block.sizes[row]:
        table = block.drop_vars("rate").isel({row: trial})
    else:
        table = block
    observed = np.unique(unit)
    block, unit = block.isel(unit=observed), np.searchsorted(observed, unit)
    columns = {name: column.variable for name, column in columns_on(table, row).items()}
    columns.pop("observation_unit", None)
    if row == "trial":
        columns["observation_trial"] = xr.Variable(row, trial.astype(np.int32))
    units = {name: column.values for name, column in columns_on(block, "unit").items()}
    if "session" in columns and "session" not in units:
        # archives have the session as a column of trials
        units["session"] = _session_of_units(table["session"], unit, block.sizes["unit"])
    return make_block(
        rates,
        time_s=block["time"].values,
        bin_width_s=block["time"].attrs["bin_width_s"],
        aligned_to=block["time"].attrs["aligned_to"],
        trials={name: values for name, values in columns.items() if name not in units},
        units={name: values for name, values in units.items() if name != "unit_key"},
        observation_unit=unit,
        epochs=_epoch_of(table),
        condition_variables={
            task: names
            for task, names in condition_variables_of(block).items()
            if task in tasks_of(block)
        },
        source="recording",
        name=block.attrs["name"],
        provenance=json.loads(block.attrs["provenance"]),
    )


def _epoch_of(block: xr.Dataset) -> dict[str, tuple[Array, Array]]:
    """Return the only epoch of a block with its bounds (s) in each row."""
    start, stop = (block[f"epoch_{which}_time"].values[:, 0] for which in ("start", "stop"))
    return {str(block["epoch"].values[0]): (start, stop)}


def _session_of_units(
    column: xr.DataArray, unit: npt.NDArray[np.int64], n_units: int
) -> npt.NDArray[np.str_]:
    names = labels(column).astype(str)
    sessions = np.full(n_units, "", dtype=names.dtype)
    sessions[unit] = names
    return sessions


def _responses(
    network: Module,
    recorded: _Recorded,
    *,
    dt_ms: float | None,
    rules: Sequence[str] | None,
    how: dict[str, Any],
) -> _Response:
    """Record a network, without noise, in the recorded conditions on each axis of targets."""
    mapping, table = recorded.mapping, recorded.table
    timing = step_and_rules(network, dt_ms, rules, recorded.bin_width_s)
    timing |= {"stimulus_ms": mapping.stimulus_ms, "delay_ms": mapping.delay_ms}

    def run(task: str, axis: float) -> xr.Dataset:
        of_task = table.isel(condition=table["task"].values == task)
        conditions = mapping.numbers(mapping.tasks[task], of_task, axis)
        trials = make_trials(mapping.tasks[task], "psychometric", conditions=conditions, **timing)
        return _in_bins(record(network, trials, **how), recorded)

    tasks = list(dict.fromkeys(table["task"].values))
    by_axis = [[run(task, axis) for task in tasks] for axis in mapping.axes_degrees]

    def joined(read: Callable[[xr.Dataset], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.stack([np.concatenate([read(part) for part in parts]) for parts in by_axis])

    first = by_axis[0][0]
    has_choice = mapping.choice is not None and "choice_direction" in first.coords
    return _Response(
        rates=joined(lambda part: part["rate"].values),
        axes=np.array(mapping.axes_degrees, dtype=np.float64),
        units={name: column.values for name, column in columns_on(first, "unit").items()},
        second_chosen=joined(lambda part: _second_chosen(part, mapping)) if has_choice else None,
        correct=joined(lambda part: part["correct"].values) if has_choice else None,
        name=first.attrs["name"],
        provenance=json.loads(first.attrs["provenance"]),
    )


def _in_bins(block: xr.Dataset, recorded: _Recorded) -> xr.Dataset:
    """Average a network's rates in the recording's bins, with its epoch aligned to the recorded."""
    mapping, (start, stop) = recorded.mapping, recorded.epoch
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


def _draw_units(
    response: _Response, recorded: _Recorded, seed: int, match: Match, pairing: Pairing
) -> npt.NDArray[np.int64]:
    """Draw pairs (axis, unit) among those active in the tasks, without replacement if possible."""
    tasks, n_units = recorded.table["task"].values, recorded.block.sizes["unit"]
    variance = sum(
        response.rates[:, tasks == task].astype(np.float64).var(axis=1).mean(axis=1)
        for task in dict.fromkeys(tasks)
    )
    # rates at or below 0 cannot be scaled to spikes
    possible = variance > 0
    if match == "rate":
        possible &= response.rates.clip(0).max(axis=(1, 2)) > 0
    # relative, since the scale of a network's rates is arbitrary
    least = ACTIVE_SHARE * np.median(variance[possible]) if possible.any() else 0.0
    active = np.argwhere(possible & (variance > least))
    if not active.size:
        raise NotApplicableError(
            "network",
            "units whose rates differ between the recorded conditions",
            f"none in {response.name!r}",
            "Use a trained network.",
        )
    rng = np.random.default_rng((seed, 0))
    rounds = -(-n_units // len(active))
    drawn = np.concatenate([rng.permutation(active) for _ in range(rounds)])[:n_units]
    if pairing == "random":
        return drawn
    ascending = drawn[np.argsort(variance[drawn[:, 0], drawn[:, 1]], kind="stable")]
    rank = np.argsort(np.argsort(recorded.strength, kind="stable"))
    return ascending[rank] if pairing == "rank" else ascending[::-1][rank]


def _sample_rates(
    rates: Array, recorded: _Recorded, seed: int, *, noise: bool
) -> tuple[npt.NDArray[np.float32], dict[str, Array]]:
    """Scale rates to the mean rates of the recorded units over their trials, and draw spikes."""
    positive = rates.clip(0)
    target, mean = _mean_rates(recorded.means, positive @ recorded.smoothing)
    scale = np.divide(target, mean, out=np.zeros_like(mean), where=mean > 0)
    n = recorded.means["n_trials"].values
    units = {
        "scale": scale,
        "offset": np.zeros_like(scale),
        "clipped_share": (n * (rates < 0)).sum(axis=(1, 2)) / n.sum(axis=(1, 2)),
    }
    expected = scale[:, None, None] * positive
    if not noise:
        smoothed = (expected @ recorded.smoothing).astype(np.float32)
        return smoothed[recorded.unit, recorded.condition], units
    fano, gain = _as_noisy(expected, recorded)
    units |= {"drawn_fano_factor": fano, "drawn_gain_variance": gain}
    counts = _draw_counts(expected, recorded, recorded.unit, fano, gain, seed)
    return (counts @ (recorded.smoothing / recorded.bin_width_s)).astype(np.float32), units


def _sample_tuning(
    rates: Array, recorded: _Recorded, seed: int, *, noise: bool
) -> tuple[npt.NDArray[np.float32], dict[str, Array]]:
    """Match mean rates and corrected variances of the recorded units, and add noise."""
    block, smoothed, width = recorded.block, rates @ recorded.smoothing, recorded.bin_width_s
    rows = smoothed.astype(np.float32)[recorded.unit, recorded.condition]
    rows[np.isnan(block["rate"].values)] = np.nan
    strength = _strength(block.assign(rate=(block["rate"].dims, rows)))
    ratio = np.divide(recorded.strength, strength, out=np.zeros_like(strength), where=strength > 0)
    scale = np.sqrt(ratio.clip(0))
    recorded_mean, mean = _mean_rates(recorded.means, smoothed)
    offset = recorded_mean - scale * mean
    units = {"scale": scale, "offset": offset}
    expected = scale[:, None, None] * rates + offset[:, None, None]
    sampled = expected @ recorded.smoothing
    sampled = sampled.astype(np.float32)[recorded.unit, recorded.condition]
    if noise:
        positive = expected.clip(0)
        fano, gain = (values.ravel() for values in recorded.scatter_by_task)
        group = recorded.unit * recorded.scatter_by_task[0].shape[1] + recorded.task
        counts = _draw_counts(positive, recorded, group, fano, gain, seed)
        noise_counts = counts - positive[recorded.unit, recorded.condition] * width
        sampled += (noise_counts @ (recorded.smoothing / width)).astype(np.float32)
    return sampled, units


def _mean_rates(means: xr.Dataset, smoothed: Array) -> tuple[Array, Array]:
    """Compute each unit's mean over the recorded trials, of recorded and of smoothed rates."""
    n = means["n_trials"].values
    total = n.sum(axis=(1, 2))
    recorded = (n * np.nan_to_num(means["rate_mean"].values)).sum(axis=(1, 2)) / total
    return recorded, (n * smoothed).sum(axis=(1, 2)) / total


def _strength(block: xr.Dataset) -> Array:
    """Compute each unit's sum over tasks of task variance, minus its trial noise ``(unit,)``.

    The expected variance of C noisy means exceeds that of the true means by (C - 1) / C times
    their mean squared standard error. `nwbcompare.selectivity.corrected_task_variance` computes
    the same with a standard error, which takes longer.
    """
    total = np.zeros(block.sizes["unit"])
    for _, means, bins in means_by_task(block):
        mean, noise = (means[name].values[:, :, bins] for name in ("rate_mean", "mean_variance"))
        share = (mean.shape[1] - 1) / mean.shape[1]
        total += (mean.var(axis=1) - share * noise.mean(axis=1)).mean(axis=1)
    return total


def _check_strength(block: xr.Dataset, strength: Array) -> None:
    unknown = block["unit"].values[np.isnan(strength)]
    if unknown.size:
        raise NotApplicableError(
            "recording",
            "at least 2 trials in every condition of every unit, for equal tuning",
            f"{unknown.size} units with fewer: {listing(unknown, most=5)}",
            "Leave them out with nwbcompare.select(recording, units=...), or use match='rate'.",
        )


def _as_noisy(rates: Array, recorded: _Recorded) -> tuple[Array, Array]:
    """Compute Fano factors and gain variances that reproduce the recorded noise, each ``(unit,)``.

    The noise of a gain grows with the modulation of a rate. Its variance is therefore solved for,
    so that together with the recorded Fano factor the mean noise variance is the recorded one.
    """
    means, smoothing = recorded.means, recorded.smoothing
    weight = np.maximum(means["n_trials"].values - 1, 0)
    variance = np.nan_to_num(means["n_trials"].values * means["mean_variance"].values)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = weight / weight.sum(axis=1, keepdims=True)
        noise = (weight * variance).sum(axis=(1, 2))
        per_fano = (weight * rates).sum(axis=1) @ (smoothing**2).sum(axis=1) / recorded.bin_width_s
        per_gain = (weight * (rates @ smoothing) ** 2).sum(axis=(1, 2))
        fano = np.minimum(recorded.fano_factor, noise / per_fano)
        # units without spikes have no noise
        gain = np.nan_to_num((noise - fano * per_fano) / per_gain).clip(0)
    return np.nan_to_num(fano, nan=1.0), gain


def _draw_counts(
    rates: Array,
    recorded: _Recorded,
    group: npt.NDArray[np.int64],
    fano: Array,
    gain: Array,
    seed: int,
) -> npt.NDArray[np.int64]:
    """Draw spike counts ``(row, bin)``, with a random stream for each group of one unit's rows.

    Parameters
    ----------
    rates
        Mean rates ``(unit, condition, bin)``.
    recorded
        The recording.
    group
        Group of each row ``(row,)``: its unit, or its unit and task.
    fano, gain
        Fano factor and variance of the gain of each group ``(group,)``.
    seed
        Seed of the sample.
    """
    counts = np.empty((group.size, rates.shape[2]), dtype=np.int64)
    order = np.argsort(group, kind="stable")
    stops = np.cumsum(np.bincount(group, minlength=fano.size))
    rows_of = enumerate(np.split(order, stops[:-1]))
    for each, rows in tqdm(rows_of, desc="sample", total=fano.size, disable=None):
        mean = rates[recorded.unit[rows], recorded.condition[rows]] * recorded.bin_width_s
        rng = np.random.default_rng((seed, 1, each))
        counts[rows] = draw_counts(mean, float(fano[each]), float(gain[each]), rng)
    return counts


def _unit_table(
    block: xr.Dataset, response: _Response, drawn: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[Any]]:
    axis = response.axes[drawn[:, 0]]
    network_unit = response.units["unit"][drawn[:, 1]]
    recorded = block["unit"].values
    table = {
        "unit": np.array(
            [
                f"{unit}@{degrees:03g}deg:{place}"
                for unit, degrees, place in zip(network_unit, axis, recorded, strict=True)
            ]
        ),
        "network_unit": network_unit,
        "axis_degrees": axis,
        "layer": response.units["layer"][drawn[:, 1]],
        "recorded_unit": recorded,
    }
    columns = columns_on(block, "unit")
    origin = [name for name in ("subject", "session") if name in columns]
    return table | {name: columns[name].values for name in origin}


def _trial_columns(block: xr.Dataset, mapping: ProtocolMapping) -> dict[str, xr.Variable]:
    """Return the trial columns of the stimulus; the animal's behaviour is not the network's."""
    variables = (name for names in condition_variables_of(block).values() for name in names)
    names = ["task", *mapping.columns, *variables, *mapping.shown, "session", "observation_trial"]
    columns = columns_on(block, "observation")
    return {name: columns[name].variable for name in names if name in columns}


def _choices(
    response: _Response, drawn: npt.NDArray[np.int64], recorded: _Recorded
) -> dict[str, npt.NDArray[Any]]:
    """Return the network's choice in the condition of each row, in the recording's codes."""
    choice = recorded.mapping.choice
    if choice is None or response.second_chosen is None or response.correct is None:
        return {}
    place = drawn[recorded.unit, 0], recorded.condition
    codes = np.array([choice.first, choice.second], dtype=np.float32)
    return {
        choice.column: codes[response.second_chosen[place].astype(int)],
        "correct": response.correct[place],
    }


def _as_block(
    sampled: npt.NDArray[np.float32],
    recorded: _Recorded,
    response: _Response,
    drawn: npt.NDArray[np.int64],
    *,
    units: dict[str, Array],
    options: dict[str, Any],
) -> xr.Dataset:
    """Make a block of sampled rates with the labels of the recording and of the network."""
    block, mapping = recorded.block, recorded.mapping
    sampled[np.isnan(block["rate"].values)] = np.nan
    sampling = options | {
        "smooth_s": recorded.smooth_s,
        "recording": block.attrs["name"],
        "mapping": mapping.parameters(),
    }
    return make_block(
        sampled,
        time_s=block["time"].values,
        bin_width_s=recorded.bin_width_s,
        aligned_to=block["time"].attrs["aligned_to"],
        trials=_trial_columns(block, mapping) | _choices(response, drawn, recorded),
        units=_unit_table(block, response, drawn) | units,
        observation_unit=recorded.unit,
        epochs=_epoch_of(block),
        condition_variables=condition_variables_of(block),
        source="model",
        rate_units="spikes/s",
        name=response.name,
        deterministic=not options["noise"],
        provenance=response.provenance | {"protocol": "sampled", "sampled": sampling},
    )
