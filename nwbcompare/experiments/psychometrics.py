"""Psychometric curves: choices of a network by coherence and duration of the stimulus."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.activity import columns_on
from nwbcompare.core.checks import check_known, check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.experiments.lesioned_forward import outputs_by_lesion
from nwbcompare.experiments.lesions import INTACT, Groups, Places, read_groups, read_units
from nwbcompare.kernels.intervals import wilson_interval
from nwbcompare.model.network import Network
from nwbcompare.tasks.channels import angular_distance, read_direction, response_channels
from nwbcompare.tasks.description import TrialDescription, concatenate
from nwbcompare.tasks.registry import Psychometric, get_task, task_names
from nwbcompare.tasks.sweep import sweep

Floats = npt.NDArray[np.float64]
# as published; a correct trial in training is within 0.2 pi
NEAR_TARGET_RAD = 0.3 * np.pi
# the published ones of tasks with simultaneous targets
COHERENCES = (-0.025, -0.0075, -0.0025, 0.0, 0.0025, 0.0075, 0.025)
DURATIONS_MS = (200.0, 400.0, 800.0)
DECISIONS = {"direction", "coherence_1", "coherence_2"}
# with equal coherences in both modalities their sum is never a tie
SUMMED_TASKS = ("multidm", "multidelaydm")
LESION_TASKS = ("dm1", "dm2", "contextdm1", "contextdm2", "multidm")
# four between -0.1 and 0.1, as published, without 0
LESION_COHERENCES = (-0.1, -0.1 / 3, 0.1 / 3, 0.1)


def psychometric_curves(
    network: Network,
    task: str,
    *,
    coherences: Sequence[float] = COHERENCES,
    durations_ms: Sequence[float] = DURATIONS_MS,
    n_directions: int = 100,
    units: Sequence[int] | Sequence[str] | npt.NDArray[Any] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Compute the share of choices of the first target, by coherence and duration.

    Two opposite targets have strengths 1 + c and 1 - c. A choice is valid if it is within 0.3 pi
    rad of either target.

    Parameters
    ----------
    network
        The network.
    task
        A decision task: DM, Ctx DM or MultSen DM, with or without delay.
    coherences
        Coherences c of each modality of the task. The default are the published ones for tasks
        with simultaneous targets; for tasks with a delay the published ones are ten times as
        large.
    durations_ms
        Durations of the stimulus (ms); by default the published ones.
    n_directions
        Number of directions of the first target, evenly spaced on the circle: one trial each.
    units
        Units to lesion, as places or names; None for the intact network.
    seed
        Seed of input and recurrent noise, which are on as published.

    Returns
    -------
    xarray.Dataset
        On ``(duration, coherence_1, coherence_2)``, or the one coherence that the task has:
        ``choice_1``, the share of choices of the first target among valid ones; the counts
        ``n_choice_1`` and ``n_valid``; ``choice_1_low`` and ``choice_1_high``, Wilson's 95 %
        interval.

    Raises
    ------
    InputError
        For a task that is no decision or whose rule the network lacks, coherences that are not
        distinct numbers from -1 to 1, and unknown units.

    Warns
    -----
    UserWarning
        For cells without a valid choice, which are NaN.

    Notes
    -----
    Yang et al. 2019, Fig. 1 and supplement. As in the reference implementation, only the direction
    of the output at the end of a trial is used, not whether fixation was maintained.

    Examples
    --------
    >>> from nwbcompare.model import pretrained
    >>> curves = psychometric_curves(
    ...     pretrained("ctxdm-0"), "contextdm1", coherences=[-0.1, 0.1], durations_ms=[800]
    ... )
    >>> curves["choice_1"].sum("coherence_2").squeeze().round().values.tolist()
    [0.0, 2.0]
    """
    names = _coherences_of(network, task)
    values = _read_coherences(coherences)
    durations = _read_durations(durations_ms)
    check_whole("n_directions", n_directions, 1, "Use n_directions=100.")
    lesion = INTACT if units is None else read_units(network, "units", units)
    conditions = sweep(direction=_directions(n_directions), **dict.fromkeys(names, values))
    trials = concatenate([_trials(network, task, conditions, duration) for duration in durations])
    first, second = _choices(network, trials, [lesion], seed)
    shape = (len(durations), n_directions, *[values.size] * len(names))
    n_first, n_second = (choices[0].reshape(shape).sum(axis=1) for choices in (first, second))
    coords = {"duration": ("duration", durations, {"units": "ms"}), **dict.fromkeys(names, values)}
    attrs = _attrs("psychometric_curves", network, seed) | {"task": task}
    attrs |= {"n_directions": n_directions, "n_lesioned": int(lesion.size)}
    return _shares("choice_1", n_first, n_second, coords, attrs)


def pooled_over(curves: xr.Dataset, coherence: str) -> xr.Dataset:
    """Pool psychometric curves over one of two coherences.

    Parameters
    ----------
    curves
        From `psychometric_curves`.
    coherence
        The coherence to pool over, such as that of the modality that is irrelevant in a Ctx DM
        task.

    Returns
    -------
    xarray.Dataset
        As `psychometric_curves`, on ``(duration, ...)`` and the other coherence.

    Raises
    ------
    InputError
        For a coherence that the curves do not have.
    NotApplicableError
        For curves over one coherence.

    Examples
    --------
    >>> from nwbcompare.model import pretrained
    >>> curves = psychometric_curves(
    ...     pretrained("ctxdm-0"), "contextdm1", coherences=[-0.1, 0.1], durations_ms=[200],
    ...     n_directions=2)
    >>> pooled_over(curves, "coherence_2")["n_valid"].dims
    ('duration', 'coherence_1')
    """
    names = [str(dim) for dim in curves["choice_1"].dims if dim != "duration"]
    check_known("coherence", [coherence], names)
    if len(names) < 2:
        raise NotApplicableError(
            "coherence", "curves over two coherences", "one", "Plot them as they are."
        )
    first, valid = (curves[name].sum(coherence) for name in ("n_choice_1", "n_valid"))
    coords = {str(dim): columns_on(curves, str(dim))[str(dim)] for dim in first.dims}
    return _shares("choice_1", first.values, (valid - first).values, coords, curves.attrs)


def group_lesions(
    network: Network,
    groups: Groups,
    tasks: Sequence[str] = LESION_TASKS,
    *,
    coherences: Sequence[float] = LESION_COHERENCES,
    n_directions: int = 10,
    stimulus_ms: float = 800.0,
    seed: int = 0,
) -> xr.Dataset:
    """Compute decision performance with groups of units lesioned, by the published measure.

    Performance is the number of choices within 0.3 pi rad of the correct target divided by the
    number within 0.3 pi rad of either target; other trials are not counted.

    Parameters
    ----------
    network, groups
        See `nwbcompare.experiments.lesion_performance`.
    tasks
        Decision tasks, as in `psychometric_curves`.
    coherences
        Coherences of each modality, by default the published four from -0.1 to 0.1; trials have
        all pairs of them (in tasks with one modality, its coherence of the pair). In MultSen
        tasks both modalities have the same coherence, as published, so that there are no ties.
        A coherence of 0, for which no choice is correct, is an error.
    n_directions
        Number of directions of the first target; 10 as published. More make intervals narrower.
    stimulus_ms
        Duration of the stimuli (ms); 800 as published.
    seed
        Seed of input and recurrent noise, which are on as published and the same for all lesions.

    Returns
    -------
    xarray.Dataset
        On ``(lesion, task)``, with "intact" as the first lesion: ``performance``; the counts
        ``n_correct`` and ``n_valid``; ``performance_low`` and ``performance_high``, Wilson's
        95 % interval. ``n_units (lesion,)``.

    Raises
    ------
    InputError
        As `nwbcompare.experiments.lesion_performance` and `psychometric_curves`, for a coherence
        of 0, and for a group named "intact".

    Warns
    -----
    UserWarning
        For cells without a valid choice, which are NaN.

    Notes
    -----
    Yang et al. 2019, Fig. 5. The interval assumes independent trials.

    Examples
    --------
    >>> from nwbcompare.model import pretrained
    >>> result = group_lesions(pretrained("ctxdm-0"), {"some": range(40)}, ["contextdm1"])
    >>> result["lesion"].values.tolist()
    ['intact', 'some']
    """
    places = read_groups(network, groups)
    if "intact" in places:
        raise InputError("groups", "names other than 'intact'", "'intact'", "Rename the group.")
    if not tasks:
        raise InputError("tasks", "at least one task", "none", "Name one, e.g. 'contextdm1'.")
    values = _read_coherences(coherences)
    if (values == 0).any():
        raise InputError("coherences", "none of 0, a tie", listing(values), "Leave 0 out.")
    check_whole("n_directions", n_directions, 1, "Use n_directions=10.")
    (duration,) = _read_durations([stimulus_ms])
    lesions = {"intact": INTACT, **places}
    counts = [
        _right_and_wrong(
            network, task, values, n_directions, duration, list(lesions.values()), seed
        )
        for task in tasks
    ]
    right, wrong = np.array(counts).transpose(1, 2, 0)
    coords = {"lesion": list(lesions), "task": list(tasks)}
    attrs = _attrs("group_lesions", network, seed) | {"coherences": json.dumps(values.tolist())}
    result = _shares("performance", right, wrong, coords, attrs | {"stimulus_ms": duration})
    return result.assign(n_units=("lesion", [units.size for units in lesions.values()]))


def _right_and_wrong(
    network: Network,
    task: str,
    coherences: Floats,
    n_directions: int,
    duration_ms: float,
    lesions: Sequence[Places],
    seed: int,
) -> list[npt.NDArray[np.int64]]:
    """Count choices of the correct and of the wrong target, each ``(lesion,)``."""
    names = _coherences_of(network, task)
    swept = sweep(
        direction=_directions(n_directions), coherence_1=coherences, coherence_2=coherences
    )
    if task in SUMMED_TASKS:
        swept["coherence_2"] = swept["coherence_1"]
    conditions = {name: swept[name] for name in ("direction", *names)}
    trials = _trials(network, task, conditions, duration_ms)
    first, second = _choices(network, trials, lesions, seed)
    # equal but for rounding
    first_is_right = angular_distance(trials.response, trials.columns["direction"]) < 1e-6
    right = np.where(first_is_right, first, second)
    wrong = np.where(first_is_right, second, first)
    return [choices.sum(axis=1) for choices in (right, wrong)]


def _coherences_of(network: Network, task: str) -> list[str]:
    """Return the names of the coherences of a decision task."""
    check_known("task", [task], network.config.rules)
    variables = get_task(task).given_variables
    if not _is_decision(variables):
        decisions = [n for n in task_names() if _is_decision(get_task(n).given_variables)]
        raise unknown_name("task", task, decisions)
    return [name for name in variables if name != "direction"]


def _is_decision(variables: Sequence[str]) -> bool:
    return "direction" in variables and len(variables) > 1 and DECISIONS.issuperset(variables)


def _read_coherences(coherences: Sequence[float]) -> Floats:
    values = np.asarray(coherences, dtype=np.float64)
    fine = values.ndim == 1 and values.size and np.isfinite(values).all()
    if not fine or np.unique(values).size < values.size or np.abs(values).max() > 1:
        raise InputError(
            "coherences", "different numbers from -1 to 1", repr(coherences), "Use (-0.1, 0.1)."
        )
    return np.sort(values)


def _read_durations(durations_ms: Sequence[float]) -> list[float]:
    durations = [float(duration) for duration in durations_ms]
    if not durations or len(set(durations)) < len(durations):
        raise InputError(
            "durations_ms", "different durations (ms)", repr(durations_ms), "Use (200, 800)."
        )
    return durations


def _directions(number: int) -> Floats:
    return 2 * np.pi * np.arange(number) / number


def _trials(
    network: Network, task: str, conditions: dict[str, Floats], duration_ms: float
) -> TrialDescription:
    dt_ms = network.config.dt_ms
    if not dt_ms <= duration_ms < np.inf:
        raise InputError(
            "durations", f"finite ones of at least {dt_ms:g} ms", repr(duration_ms), "Use 800."
        )
    return get_task(task).psychometric(
        Psychometric(conditions=conditions, dt_ms=dt_ms, stimulus_ms=duration_ms, delay_ms=800.0)
    )


def _choices(
    network: Network, trials: TrialDescription, lesions: Sequence[Places], seed: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Compute which trials end near the first and the second target, each ``(lesion, trial)``."""
    check_whole("seed", seed, 0, "Use seed=0.")
    outputs = outputs_by_lesion(
        network, trials, lesions, dt_ms=network.config.dt_ms, seed=seed, label=trials.tasks[0]
    )
    direction = read_direction(outputs[:, :, response_channels()])
    first, second = (
        angular_distance(direction, trials.columns[name]) < NEAR_TARGET_RAD
        for name in ("direction", "direction_2")
    )
    return first, second


def _shares(
    name: str,
    counted: npt.NDArray[Any],
    others: npt.NDArray[Any],
    coords: dict[str, Any],
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Compute shares with Wilson's interval, with a warning for cells without valid choices."""
    # choices near neither target do not count, as published
    valid = counted + others
    low, high = wilson_interval(counted, valid)
    share = np.divide(counted, valid, out=np.full(valid.shape, np.nan), where=valid > 0)
    numbers = {
        name: share,
        f"n_{'correct' if name == 'performance' else name}": counted,
        "n_valid": valid,
        f"{name}_low": low,
        f"{name}_high": high,
    }
    if (valid == 0).any():
        warnings.warn(
            f"{int((valid == 0).sum())} of {valid.size} cells have no choice within 0.3 pi of "
            "either target and get NaN.",
            UserWarning,
            stacklevel=3,
        )
    return xr.Dataset(
        {key: (tuple(coords), values) for key, values in numbers.items()}, coords, attrs
    )


def _attrs(analysis: str, network: Network, seed: int) -> dict[str, Any]:
    return {"analysis": analysis, "name": network.name, "seed": seed}
