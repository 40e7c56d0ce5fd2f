"""Matched sampling: a network on the conditions of a recording, with the recording's noise.

A network's rates are noise-free and its conditions balanced; those of a recording are neither.
Here a network is shown the conditions of the recorded trials, each sampled unit is matched to a
recorded one in rate, or in rate and strength of tuning, and gets that unit's trial noise.
Differences between network and recording are then not due to noise, numbers of trials or, with
equal tuning, to how strongly units are tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.comparison.condition_match import match_conditions
from nwbcompare.comparison.kernels.spike_variability import draw_counts
from nwbcompare.comparison.model_response import (
    ModelResponse,
    activity_response,
    network_response,
)
from nwbcompare.comparison.protocol_mapping import mapping_name, read_mapping
from nwbcompare.comparison.recorded_trials import Correspondence, RecordedTrials
from nwbcompare.comparison.spike_variability import recorded_block
from nwbcompare.core.activity import (
    Activity,
    columns_on,
    condition_variables_of,
    make_activity,
    make_block,
    tasks_of,
)
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, unknown_name
from nwbcompare.kernels.grouping import rows_by_group

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
    model: Module | Activity,
    recording: Activity,
    mapping: Any = None,
    *,
    match: Match | None = None,
    pairing: Pairing = "random",
    noise: bool = True,
    seed: int = 0,
    smooth_s: float | None = None,
    dt_ms: float | None = None,
    rules: Sequence[str] | None = None,
    **how: Any,
) -> xr.DataTree:
    """Sample a model like a recording: with its trials, rates and noise.

    Each recorded unit is matched to a model unit (of a network: with one axis of targets), drawn
    at random among those that are active in these conditions, without replacement until all were
    drawn. Its mean rate in a trial is the model's noise-free rate in that trial's condition, in
    spikes/s at the mean rate of the recorded unit, and its trials have the noise of that unit.

    Parameters
    ----------
    model
        A `nwbcompare.model.Network` or any torch module without noise, which is run on the recorded
        conditions; or the activity of any model, whose conditions match the recorded ones.
    recording
        A recording of one block, in spikes/s, ragged or dense.
    mapping
        For a network, the recording's conditions as conditions of its tasks: a name ("mante2013"),
        the path of a YAML file, a dict or a `nwbcompare.comparison.ProtocolMapping`; by default the
        mapping of this package for the recording's archive. For an activity, the match of names and
        values, such as ``{"side": {"left": -1, "right": 1}, "coherence": "strength"}``, or the path
        of a file of it; by default names and values are the same. See
        `nwbcompare.comparison.match_conditions`.
    match
        "rate" multiplies the rates of a model unit so that their mean over the recorded unit's
        trials is the mean rate of that unit; the strength of tuning is then the model's. Spike
        counts are drawn bin by bin with the recorded unit's Fano factor and trial-wide gain
        (`nwbcompare.comparison.dispersion`) and smoothed like the recording. "tuning" scales and
        shifts the rates so that also the sum of the task variances, corrected for noise, is that
        of the recorded unit; Fano factor and gain are those of the unit in each task. Strength of
        tuning and noise are then those of the recorded unit, and only the share of each task is
        the model's: use it to compare FTV, which depends on both. By default "rate" for a network,
        whose rates are those of spikes, and "tuning" for an activity, whose scale is not known.
    pairing
        Which model unit is matched to which recorded unit: "random"; "rank", so that strongly
        tuned model units (by their total variance) are matched to strongly tuned recorded units;
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
        a module, as in `nwbcompare.record_matched`. Not for an activity.

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
        ``scale`` and ``offset`` (spikes/s) of the rates. With "rate" and noise also
        ``drawn_fano_factor`` and ``drawn_gain_variance``; with "tuning" ``negative_share``, the
        share of bins whose rate is negative and has no noise.

    Raises
    ------
    InputError
        For an unknown mapping, errors in it, columns, tasks or epochs that one side lacks, recorded
        conditions without a partner, an epoch of another length than the network's, an unknown
        smoothing, a network that runs with noise, and options of networks with an activity.
    NotApplicableError
        For rates without noise, an epoch with unequal bounds or without a bin, too few trials
        (with "tuning", and pairing by strength: fewer than 2 in some condition of some unit), a
        model without active units, negative rates with "rate", and a model whose own noise is
        above 5 % of its variance over conditions.

    Warns
    -----
    UnitWarning
        With "rate", for recorded units without spikes; their samples have none either. For an
        activity of which it is not known whether it has noise.

    Notes
    -----
    "rate": the variance of the gain is chosen so that the mean variance of trials about the means
    of their conditions is that of the recorded unit, whatever the modulation of its rate. The gain
    is common to all bins of a trial and independent between units: noise correlations of recorded
    units are not reproduced.

    "tuning": rates are an affine function of the model's and may be negative, since rectified
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

    The activity of another model, here the same network's without noise:

    >>> activity = nc.record_matched(network)
    >>> signs = {f"coherence_{k}_sign": f"coherence_{k}_sign" for k in (1, 2)}
    >>> sample_like(activity, recording, signs)["sample"].attrs["source"]
    'model'
    """
    whole = recorded_block(recording)
    if isinstance(model, xr.DataTree | xr.Dataset):
        given = {"dt_ms": dt_ms, "rules": rules, **how}
        for name in (name for name, value in given.items() if value is not None):
            raise InputError(name, "no option of networks", "one, and an activity", "Leave it out.")
        conditions = match_conditions(model, whole, mapping)
        recorded = RecordedTrials.of(whole, conditions, smooth_s)
        sampler = MatchedSampler(recorded, activity_response(model, recorded, conditions))
        default: Match = "tuning"
    else:
        protocol = read_mapping(mapping, mapping_name(whole))
        recorded = RecordedTrials.of(whole, protocol, smooth_s)
        response = network_response(model, recorded, protocol, dt_ms=dt_ms, rules=rules, **how)
        sampler = MatchedSampler(recorded, response)
        default = "rate"
    return sampler.draw(seed, match=match or default, pairing=pairing, noise=noise)


@dataclass(frozen=True)
class MatchedSampler:
    """Samples of a model like a recording, which is read once for all of them.

    `nwbcompare.sample_like` draws one.

    Attributes
    ----------
    recorded
        The recorded trials.
    response
        The model's rates in their conditions.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> from nwbcompare.comparison import read_mapping
    >>> network = nc.model.pretrained("ctxdm-0")
    >>> recording = nc.comparison.simulate_recording(network, n_units=2)
    >>> mapping = read_mapping("mante2013")
    >>> recorded = RecordedTrials.of(recording, mapping)
    >>> sampler = MatchedSampler(recorded, network_response(network, recorded, mapping))
    >>> [sampler.draw(seed)["sample"].sizes["unit"] for seed in (0, 1)]
    [2, 2]
    """

    recorded: RecordedTrials
    response: ModelResponse

    def draw(
        self,
        seed: int = 0,
        *,
        match: Match = "rate",
        pairing: Pairing = "random",
        noise: bool = True,
    ) -> xr.DataTree:
        """Draw units, match them to the recorded ones, and add noise.

        Parameters
        ----------
        seed, match, pairing, noise
            See `nwbcompare.sample_like`.

        Raises
        ------
        InputError
            For an unknown value of an argument.
        NotApplicableError
            For too few trials, and a model without active units.
        """
        check_whole("seed", seed, 0, "Use seed=0.")
        if match not in MATCHES:
            raise unknown_name("match", match, MATCHES)
        if pairing not in PAIRINGS:
            raise unknown_name("pairing", pairing, PAIRINGS)
        if match == "rate" and self.response.signed:
            raise NotApplicableError(
                f"model {self.response.name!r}",
                "rates of 0 or more, for equal rates",
                "negative rates, which cannot be multiplied to rates of spikes",
                "Use match='tuning', which scales and shifts them.",
            )
        drawn = _draw_units(self.response, self.recorded, seed, pairing)
        sample = _sample_rates if match == "rate" else _sample_tuning
        rates, units = sample(self.response, drawn, self.recorded, seed, noise=noise)
        options = {"match": match, "pairing": pairing, "noise": noise, "seed": seed}
        block = _as_block(rates, self.recorded, self.response, drawn, units=units, options=options)
        return make_activity({"sample": block})


def _draw_units(
    response: ModelResponse, recorded: RecordedTrials, seed: int, pairing: Pairing
) -> npt.NDArray[np.int64]:
    """Draw pairs (axis, unit) among those active in the tasks, without replacement if possible."""
    tasks, n_units = recorded.table["task"].values, recorded.block.sizes["unit"]
    variance = response.total_variance(tasks)
    possible = variance > 0
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
    response: ModelResponse,
    drawn: npt.NDArray[np.int64],
    recorded: RecordedTrials,
    seed: int,
    *,
    noise: bool,
) -> tuple[npt.NDArray[np.float32], dict[str, Array]]:
    """Scale rates to the mean rates of the recorded units over their trials, and draw spikes."""
    rates = response.rates_of(drawn)
    mean = recorded.average(rates @ recorded.smoothing)
    scale = np.divide(recorded.mean_rate, mean, out=np.zeros_like(mean), where=mean > 0)
    units = {"scale": scale, "offset": np.zeros_like(scale)}
    # rounding may have made a rate of 0 negative
    expected = scale[:, None, None] * rates.clip(0)
    if not noise:
        return _of_rows(expected, recorded), units
    fano, gain = _as_noisy(expected, recorded)
    units |= {"drawn_fano_factor": fano, "drawn_gain_variance": gain}
    return _draw_noisy(expected, expected, recorded, recorded.unit, fano, gain, seed), units


def _sample_tuning(
    response: ModelResponse,
    drawn: npt.NDArray[np.int64],
    recorded: RecordedTrials,
    seed: int,
    *,
    noise: bool,
) -> tuple[npt.NDArray[np.float32], dict[str, Array]]:
    """Match mean rates and corrected variances of the recorded units, and add noise."""
    rates = response.rates_of(drawn)
    smoothed = rates @ recorded.smoothing
    strength = recorded.strength_of(smoothed) * (1 - response.noise_share[drawn[:, 1]])
    ratio = np.divide(recorded.strength, strength, out=np.zeros_like(strength), where=strength > 0)
    scale = np.sqrt(ratio.clip(0))
    offset = recorded.mean_rate - scale * recorded.average(smoothed)
    expected = scale[:, None, None] * rates + offset[:, None, None]
    units = {"scale": scale, "offset": offset, "negative_share": recorded.average(expected < 0)}
    if not noise:
        return _of_rows(expected, recorded), units
    fano, gain = (values.ravel() for values in recorded.scatter_by_task)
    group = recorded.unit * recorded.scatter_by_task[0].shape[1] + recorded.task
    return _draw_noisy(expected, expected.clip(0), recorded, group, fano, gain, seed), units


def _of_rows(rates: Array, recorded: RecordedTrials) -> npt.NDArray[np.float32]:
    """Smooth rates ``(unit, condition, bin)``, and return those of each row ``(row, bin)``."""
    smoothed = (rates @ recorded.smoothing).astype(np.float32)
    return smoothed[recorded.unit, recorded.condition]


def _as_noisy(rates: Array, recorded: RecordedTrials) -> tuple[Array, Array]:
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


def _draw_noisy(
    rates: Array,
    possible: Array,
    recorded: RecordedTrials,
    group: npt.NDArray[np.int64],
    fano: Array,
    gain: Array,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Add the noise of drawn spike counts to rates, and smooth both ``(row, bin)``.

    Parameters
    ----------
    rates
        Mean rates ``(unit, condition, bin)``.
    possible
        The same without negative ones, from which spikes are drawn.
    recorded
        The recording.
    group
        Group of each row ``(row,)``, its unit or its unit and task, with its own random stream.
    fano, gain
        Fano factor and variance of the gain of each group ``(group,)``.
    seed
        Seed of the sample.
    """
    width, smoothing = recorded.bin_width_s, recorded.smoothing / recorded.bin_width_s
    sampled = np.empty((group.size, rates.shape[2]), dtype=np.float32)
    mean, without_noise = possible * width, (rates - possible) * width
    rows_of = enumerate(rows_by_group(group, fano.size))
    for each, rows in tqdm(rows_of, desc="sample", total=fano.size, disable=None):
        if not rows.size:
            continue
        # all rows of a group are of one unit
        unit, condition = recorded.unit[rows[0]], recorded.condition[rows]
        rng = np.random.default_rng((seed, 1, each))
        counts = draw_counts(mean[unit][condition], float(fano[each]), float(gain[each]), rng)
        sampled[rows] = (counts + without_noise[unit][condition]) @ smoothing
    return sampled


def _unit_table(
    block: xr.Dataset, response: ModelResponse, drawn: npt.NDArray[np.int64]
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
        "recorded_unit": recorded,
    }
    if "layer" in response.units:
        table["layer"] = response.units["layer"][drawn[:, 1]]
    columns = columns_on(block, "unit")
    origin = [name for name in ("subject", "session") if name in columns]
    return table | {name: columns[name].values for name in origin}


def _trial_columns(block: xr.Dataset, correspondence: Correspondence) -> dict[str, xr.Variable]:
    """Return the trial columns of the stimulus; the animal's behaviour is not the network's."""
    variables = (name for names in condition_variables_of(block).values() for name in names)
    keys = [name for task in tasks_of(block) for name in correspondence.columns_of(task).values()]
    names = ["task", *keys, *variables, *correspondence.shown, "session", "observation_trial"]
    columns = columns_on(block, "observation")
    return {name: columns[name].variable for name in names if name in columns}


def _choices(
    response: ModelResponse, drawn: npt.NDArray[np.int64], recorded: RecordedTrials
) -> dict[str, npt.NDArray[Any]]:
    """Return the network's choice in the condition of each row, in the recording's codes."""
    choice = recorded.correspondence.choice
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
    recorded: RecordedTrials,
    response: ModelResponse,
    drawn: npt.NDArray[np.int64],
    *,
    units: dict[str, Array],
    options: dict[str, Any],
) -> xr.Dataset:
    """Make a block of sampled rates with the labels of the recording and of the network."""
    block, correspondence = recorded.block, recorded.correspondence
    sampled[np.isnan(block["rate"].values)] = np.nan
    sampling = options | {
        "smooth_s": recorded.smooth_s,
        "recording": block.attrs["name"],
        "mapping": correspondence.parameters(),
    }
    return make_block(
        sampled,
        time_s=block["time"].values,
        bin_width_s=recorded.bin_width_s,
        aligned_to=block["time"].attrs["aligned_to"],
        trials=_trial_columns(block, correspondence) | _choices(response, drawn, recorded),
        units=_unit_table(block, response, drawn) | units,
        observation_unit=recorded.unit,
        epochs=recorded.epochs,
        condition_variables=condition_variables_of(block),
        source="model",
        rate_units="spikes/s",
        name=response.name,
        deterministic=not options["noise"],
        provenance=response.provenance | {"protocol": "sampled", "sampled": sampling},
    )
