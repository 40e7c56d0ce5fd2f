"""Lesions of groups of units: effects on the performance of each task, and random controls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core.checks import check_known, check_not_negative, check_whole
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name
from nwbcompare.core.partial_results import resumed_rows
from nwbcompare.experiments.lesioned_forward import correct_by_lesion
from nwbcompare.kernels.intervals import student_half_width
from nwbcompare.kernels.permutation import p_values, reaches
from nwbcompare.model.evaluation import BATCH_SIZE, evaluation_trials
from nwbcompare.model.labelled_block import unit_table
from nwbcompare.model.network import Network
from nwbcompare.tasks.description import TrialDescription, concatenate
from nwbcompare.tasks.registry import get_task

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Groups: TypeAlias = Mapping[str, Sequence[int] | Sequence[str] | npt.NDArray[Any]]
"""Units of each group by its name: places counted from 0, or names in the unit table."""

# an interval over batches needs two
LEAST_TRIALS = 2 * BATCH_SIZE
N_SIZES = 6
# lesions between two writes of the file that an interrupted run continues from
SETS_AT_ONCE = 20
# many, so that each set depends little on the one before it
SWAPS_PER_UNIT = 50
# no lesion, as one of the lesions: all are tested on the same trials
INTACT = np.empty(0, dtype=np.int64)


def lesion_performance(
    network: Network,
    groups: Groups,
    tasks: Sequence[str] | None = None,
    *,
    n_trials: int = 512,
    seed: int = 0,
    trials: Literal["random", "test"] = "random",
) -> xr.Dataset:
    """Compute the performance of each task with groups of units lesioned, and intact.

    In a lesion the outgoing recurrent and output weights of units act as zero; the units still
    have rates, and no weight is changed. All lesions and the intact network are tested on the
    same trials with the same noise, so that differences are paired.

    Parameters
    ----------
    network
        The network.
    groups
        Units of each lesion by its name: places, or names such as "h003".
    tasks
        The tasks; by default all tasks of the network.
    n_trials
        Random trials of each task, a multiple of 32, at least 64. The default is that of the
        evaluation in training (published lesions: 256): 16 batches, each with one timing.
    seed
        Seed of the random trials, and of input and recurrent noise.
    trials
        "random", with input and recurrent noise; "test", the published fixed set of conditions
        without noise, which is no random sample and therefore has no intervals.

    Returns
    -------
    xarray.Dataset
        ``performance (lesion, task)`` and ``intact (task,)``, shares of correct trials;
        ``change (lesion, task)``, lesioned minus intact, with random trials also its standard
        error ``change_se`` and 95 % interval ``change_low``, ``change_high``;
        ``n_trials (task,)``, ``n_units (lesion,)`` and ``lesioned (lesion, unit)``.

    Raises
    ------
    InputError
        Without groups, for a group without units or with unknown units, and for a task whose rule
        the network lacks.

    Notes
    -----
    Yang et al. 2019, Fig. 2. The interval is that over random trials of this network. Trials of
    a batch share timing and modality and are not independent, batches are: the interval is
    Student's over the mean differences of batches. If these vary less than independent trials
    would (often all are 0), the variance is that of the paired difference with half a trial added
    to each cell of the 2 x 2 table (Agresti & Min 2005).

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> network = Network(NetworkConfig(n_units=8))
    >>> result = lesion_performance(network, {"a": [0, 1], "b": ["h007"]}, ["fdgo"], n_trials=64)
    >>> dict(result["change"].sizes)
    {'lesion': 2, 'task': 1}
    """
    places = read_groups(network, groups)
    tasks = _read_tasks(network, tasks)
    check_known("trials", [trials], ("random", "test"))
    random = trials == "random"
    description = (
        _random_trials(network, tasks, n_trials, seed) if random else _test_trials(network, tasks)
    )
    correct = correct_by_lesion(
        network,
        description,
        [INTACT, *places.values()],
        dt_ms=network.config.dt_ms,
        seed=seed if random else None,
        label="lesions",
    )
    result = _lesion_table(network, places, tasks, description, correct)
    if random:
        result = result.merge(_intervals(len(tasks), correct), combine_attrs="override")
    return result.assign_attrs(
        analysis="lesion_performance",
        name=network.name,
        trials=trials,
        seed=seed if random else -1,
        **({"interval": "95 %, Student's t over batches of trials"} if random else {}),
    )


def lesion_controls(
    network: Network,
    groups: Groups,
    tasks: Sequence[str] | None = None,
    *,
    among: Sequence[int] | Sequence[str] | npt.NDArray[Any] | None = None,
    sizes: Sequence[int] | None = None,
    n_sets: int = 100,
    n_trials: int = 64,
    seed: int = 0,
    kept: str | Path | None = None,
) -> xr.Dataset:
    """Compare lesions of groups with lesions of random sets of units of several sizes.

    Under the null hypothesis a lesion of the group has the same effect as one of as many units
    drawn at random from ``among``.

    Parameters
    ----------
    network, groups, tasks
        See `lesion_performance`.
    among
        Units from which random sets are drawn; by default the units of all groups. Inactive
        units would weaken the effect of random sets.
    sizes
        Sizes of the random sets; by default up to six, evenly spaced on a logarithmic scale from
        the smallest to the largest group.
    n_sets
        Random sets of each size; with 100 the smallest p value is 1/101.
    n_trials
        Random trials of each task, a multiple of 32, at least 64; the same for all lesions.
    seed
        Seed of sets, trials and noise.
    kept
        JSON file for finished lesions, from which an interrupted run continues.

    Returns
    -------
    xarray.Dataset
        ``performance`` and ``change`` ``(size, set, task)`` of the random sets; ``intact
        (task,)``. For the groups, on ``(lesion, task)`` and the same trials: ``group_change``;
        ``expected_change``, the mean of random sets, with the range ``expected_low`` to
        ``expected_high`` of 95 % of them; ``excess`` (group_change minus expected_change);
        ``p_value``. ``n_units (lesion,)``.

    Raises
    ------
    InputError
        As `lesion_performance`; for sizes that do not span the groups', for ``among`` without
        some unit of a group, and for a file ``kept`` of another run.
    NotApplicableError
        Where there are no more units to draw from than the largest group has.
    DamagedCacheError
        For a file ``kept`` that cannot be read.

    Notes
    -----
    For a group between two sizes, the sorted changes of both sizes are interpolated linearly in
    size, quantile by quantile. ``p_value`` is one-sided, (1 + b) / (1 + B), where b of B
    interpolated changes are at least as harmful as the group's. It is not adjusted for the
    number of groups and tasks (see `nwbcompare.inference.adjust_p`).

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> result = lesion_controls(
    ...     Network(NetworkConfig(n_units=8)), {"a": [0, 1], "b": [3, 4, 5]}, ["fdgo"], n_sets=4
    ... )
    >>> dict(result["change"].sizes)
    {'size': 2, 'set': 4, 'task': 1}
    """
    places = read_groups(network, groups)
    tasks = _read_tasks(network, tasks)
    check_whole("n_sets", n_sets, 1, "Use n_sets=100.")
    pool = _read_pool(network, among, places)
    of_size = _read_sizes(sizes, places)
    # a stream beside those of trials and noise
    rng = np.random.default_rng((seed, 1))
    sets = [rng.choice(pool, size, replace=False) for size in of_size for _ in range(n_sets)]
    run = _Run(network, tasks, n_trials, seed)
    intact, groups_lesioned, sets_lesioned = run.performance(places, sets, kept)
    by_size = sets_lesioned.reshape(of_size.size, n_sets, len(tasks))
    n_units = np.array([units.size for units in places.values()])
    null = _interpolated(by_size - intact, of_size, n_units)
    return xr.Dataset(
        {
            "performance": (("size", "set", "task"), by_size),
            "change": (("size", "set", "task"), by_size - intact),
            "intact": ("task", intact[0]),
            **_compared(groups_lesioned - intact, null),
            "n_units": ("lesion", n_units),
        },
        coords={"size": of_size, "lesion": list(places), "task": list(tasks)},
        attrs=run.attrs("lesion_controls") | {"n_among": int(pool.size)},
    )


def matched_lesion_controls(
    network: Network,
    groups: Groups,
    variance: xr.DataArray | npt.ArrayLike,
    tasks: Sequence[str] | None = None,
    *,
    among: Sequence[int] | Sequence[str] | npt.NDArray[Any] | None = None,
    tolerance: float = 0.05,
    n_sets: int = 100,
    n_trials: int = 64,
    seed: int = 0,
    kept: str | Path | None = None,
) -> xr.Dataset:
    """Compare lesions of groups with random sets of equal size and summed task variance.

    Parameters
    ----------
    network, groups, tasks, among, n_sets, n_trials, seed, kept
        See `lesion_controls`.
    variance
        Task variance of each unit, summed over tasks ``(unit,)``.
    tolerance
        Largest difference of the summed variances of a set and its group, as a share of the
        group's.

    Returns
    -------
    xarray.Dataset
        ``performance`` and ``change`` ``(lesion, set, task)`` of the sets; ``set_variance
        (lesion, set)``, the summed variance of a set divided by that of its group; ``shared
        (lesion, set)``, the share of a set's units that belong to the group. If it is near 1,
        hardly any other set matches and the control is uninformative. Other variables are those
        of `lesion_controls`.

    Raises
    ------
    InputError
        As `lesion_controls`; for a negative tolerance, and ``variance`` that is not one finite
        number of 0 or more for each unit.
    NotApplicableError
        As `lesion_controls`; for a group without variance.
    DamagedCacheError
        For a file ``kept`` that cannot be read.

    Notes
    -----
    Sets are states of a random walk that starts at the group: a random unit inside is exchanged
    for one outside if the sum stays within the tolerance, with 50 attempts per unit between two
    sets. The stationary distribution is uniform over the sets that can be reached.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> network = Network(NetworkConfig(n_units=8))
    >>> result = matched_lesion_controls(
    ...     network, {"a": [0, 1]}, np.ones(8), ["fdgo"], among=range(8), n_sets=2)
    >>> result["set_variance"].values.tolist()
    [[1.0, 1.0]]
    """
    places = read_groups(network, groups)
    tasks = _read_tasks(network, tasks)
    check_whole("n_sets", n_sets, 1, "Use n_sets=100.")
    pool = _read_pool(network, among, places)
    values = _read_variance(network, variance, places)
    check_not_negative("tolerance", tolerance, "Use tolerance=0.05.")
    rng = np.random.default_rng((seed, 2))
    walks = [_walk(units, pool, values, tolerance, n_sets, rng) for units in places.values()]
    run = _Run(network, tasks, n_trials, seed)
    sets = [units for walk in walks for units in walk]
    intact, groups_lesioned, sets_lesioned = run.performance(places, sets, kept)
    by_group = sets_lesioned.reshape(len(places), n_sets, len(tasks))
    pairs = list(zip(places.values(), walks, strict=True))
    shared = [[np.isin(units, group).mean() for units in walk] for group, walk in pairs]
    sums = [[values[units].sum() / values[group].sum() for units in walk] for group, walk in pairs]
    return xr.Dataset(
        {
            "performance": (("lesion", "set", "task"), by_group),
            "change": (("lesion", "set", "task"), by_group - intact),
            "set_variance": (("lesion", "set"), sums),
            "shared": (("lesion", "set"), shared),
            "intact": ("task", intact[0]),
            **_compared(groups_lesioned - intact, by_group - intact),
            "n_units": ("lesion", [units.size for units in places.values()]),
        },
        coords={"lesion": list(places), "task": list(tasks)},
        attrs=run.attrs("matched_lesion_controls") | {"tolerance": tolerance},
    )


def read_groups(network: Network, groups: Groups) -> dict[str, Places]:
    """Return the places of each group's units.

    Raises
    ------
    InputError
        Without groups, and for a group without units or with unknown units.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> read_groups(Network(NetworkConfig(n_units=8)), {"a": ["h003", "h001"]})["a"].tolist()
    [1, 3]
    """
    if not groups:
        raise InputError("groups", "at least one group", "none", "Name one, e.g. {'a': [0, 1]}.")
    return {str(name): read_units(network, f"groups[{name!r}]", u) for name, u in groups.items()}


def read_units(
    network: Network, subject: str, units: Sequence[int] | Sequence[str] | npt.NDArray[Any]
) -> Places:
    """Return the distinct places of units in ascending order, from places or names.

    Raises
    ------
    InputError
        Without units, and for unknown units; the message calls them ``subject``.
    """
    places = np.asarray(units)
    if not places.size:
        raise InputError(subject, "at least one unit", "none", "Leave the group out.")
    if places.dtype.kind in "UTO":
        places = _places_of_names(network, subject, places)
    n_units = network.config.n_units
    if places.dtype.kind not in "iu" or places.min() < 0 or places.max() >= n_units:
        raise InputError(
            subject,
            f"places from 0 to {n_units - 1}, or names of units",
            listing(places, most=5),
            "Count units from 0.",
        )
    return np.unique(places).astype(np.int64)


def _places_of_names(network: Network, subject: str, names: npt.NDArray[Any]) -> Places:
    unit_names = unit_table({"recurrent": network.config.n_units}, network.name)["unit"]
    place = {name: number for number, name in enumerate(unit_names)}
    for name in names:
        if str(name) not in place:
            raise unknown_name(subject, str(name), unit_names)
    return np.array([place[str(name)] for name in names], dtype=np.int64)


def _read_tasks(network: Network, tasks: Sequence[str] | None) -> tuple[str, ...]:
    rules = network.config.rules
    if tasks is not None and not tasks:
        raise InputError("tasks", "at least one task", "none", "Name one, e.g. 'contextdm1'.")
    selection = rules if tasks is None else tuple(tasks)
    check_known("tasks", selection, rules)
    return tuple(dict.fromkeys(selection))


def _random_trials(
    network: Network, tasks: Sequence[str], n_trials: int, seed: int
) -> TrialDescription:
    check_whole("seed", seed, 0, "Use seed=0.")
    check_whole("n_trials", n_trials, LEAST_TRIALS, "Intervals need two batches: use 512.")
    return evaluation_trials(tasks, seed=seed, n_trials=n_trials, dt_ms=network.config.dt_ms)


def _test_trials(network: Network, tasks: Sequence[str]) -> TrialDescription:
    return concatenate([get_task(task).test(network.config.dt_ms) for task in tasks])


def _lesion_table(
    network: Network,
    places: Mapping[str, Places],
    tasks: Sequence[str],
    trials: TrialDescription,
    correct: npt.NDArray[np.bool_],
) -> xr.Dataset:
    share = _share_by_task(correct, trials, len(tasks))
    units = unit_table({"recurrent": network.config.n_units}, network.name)
    is_lesioned = np.stack([np.isin(np.arange(network.config.n_units), u) for u in places.values()])
    return xr.Dataset(
        {
            "performance": (("lesion", "task"), share[1:]),
            "intact": ("task", share[0]),
            "change": (("lesion", "task"), share[1:] - share[0]),
            "n_trials": ("task", np.bincount(trials.task, minlength=len(tasks))),
            "n_units": ("lesion", is_lesioned.sum(axis=1)),
            "lesioned": (("lesion", "unit"), is_lesioned),
        },
        coords={
            "lesion": list(places),
            "task": list(tasks),
            **{name: ("unit", column) for name, column in units.items()},
        },
    )


def _share_by_task(
    correct: npt.NDArray[np.bool_], trials: TrialDescription, n_tasks: int
) -> Floats:
    """Compute the share of correct trials ``(lesion, task)``."""
    return np.stack([correct[:, trials.task == place].mean(axis=1) for place in range(n_tasks)], 1)


def _intervals(n_tasks: int, correct: npt.NDArray[np.bool_]) -> xr.Dataset:
    """Compute standard error and interval of changes; trials are in order of tasks."""
    difference = correct[1:].astype(np.float64) - correct[0]
    by_batch = difference.reshape(difference.shape[0], n_tasks, -1, BATCH_SIZE)
    names, dims = ("change_se", "change_low", "change_high"), ("lesion", "task")
    cells = zip(names, _paired_change(by_batch), strict=True)
    return xr.Dataset({name: (dims, values) for name, values in cells})


def _paired_change(difference: Floats) -> tuple[Floats, Floats, Floats]:
    """Compute the standard error and the 95 % interval of a mean paired difference.

    Parameters
    ----------
    difference
        ``(..., batch, trial)`` of -1, 0 and 1; batches are independent, trials of one batch not.

    Returns
    -------
    error, low, high : numpy.ndarray
        ``(...)``; see the notes of `lesion_performance`.
    """
    n_batches, batch_size = difference.shape[-2:]
    mean = difference.mean(axis=(-2, -1))
    # trials of a batch share their timing: batches are the observations
    between = difference.mean(axis=-1).var(axis=-1, ddof=1) / n_batches
    # half a trial more in each cell of the 2 x 2 table (Agresti & Min 2005)
    n_more = n_batches * batch_size + 2
    changed, balance = np.abs(difference).sum((-2, -1)) + 1, difference.sum((-2, -1))
    independent = (changed - balance**2 / n_more) / n_more**2
    # batches without any change would have an error of 0
    error = np.sqrt(np.maximum(between, independent))
    half = student_half_width(error, n_batches - 1)
    return error, np.maximum(mean - half, -1), np.minimum(mean + half, 1)


def _read_pool(
    network: Network,
    among: Sequence[int] | Sequence[str] | npt.NDArray[Any] | None,
    places: Mapping[str, Places],
) -> Places:
    largest = max(units.size for units in places.values())
    pool = np.unique(np.concatenate(list(places.values())))
    if among is not None:
        outside = np.setdiff1d(pool, read_units(network, "among", among))
        if outside.size:
            raise InputError(
                "among",
                "all units of the groups",
                f"none of {listing(outside, most=5)}",
                "Add them.",
            )
        pool = read_units(network, "among", among)
    # else the only set of that size would be the group itself
    if pool.size <= largest:
        raise NotApplicableError(
            "among",
            f"more units than the largest group's {largest}",
            f"{pool.size}",
            "Pass among=, the units that random sets are drawn from.",
        )
    return pool


def _read_sizes(sizes: Sequence[int] | None, places: Mapping[str, Places]) -> Places:
    n_units = [units.size for units in places.values()]
    smallest, largest = min(n_units), max(n_units)
    if sizes is None:
        return np.unique(np.geomspace(smallest, largest, N_SIZES).round().astype(np.int64))
    values = np.unique([check_whole("sizes", size, 1, "Use the groups' sizes.") for size in sizes])
    if not values.size or values[0] > smallest or values[-1] < largest:
        raise InputError(
            "sizes",
            f"sizes from {smallest} to {largest}",
            listing(values),
            "Span the groups' sizes.",
        )
    return values.astype(np.int64)


def _read_variance(
    network: Network, variance: xr.DataArray | npt.ArrayLike, places: Mapping[str, Places]
) -> Floats:
    values = np.asarray(variance, dtype=np.float64)
    n_units = network.config.n_units
    if values.shape != (n_units,) or not (np.isfinite(values).all() and (values >= 0).all()):
        raise InputError(
            "variance",
            f"one finite number of 0 or more for each of {n_units} units",
            f"an array of shape {values.shape}",
            "Sum the task variance over tasks.",
        )
    for name, units in places.items():
        if not values[units].sum() > 0:
            raise NotApplicableError(
                f"groups[{name!r}]",
                "units with some variance to match",
                "constant units only",
                "Leave the group out.",
            )
    return values


def _walk(
    group: Places,
    pool: Places,
    variance: Floats,
    tolerance: float,
    n_sets: int,
    rng: np.random.Generator,
) -> list[Places]:
    """Draw sets of a group's size with a summed variance within the tolerance of the group's."""
    inside, outside = group.tolist(), np.setdiff1d(pool, group).tolist()
    # plain lists, whose items a loop reads faster than those of arrays
    value, target = variance.tolist(), float(variance[group].sum())
    total, allowed, sets = target, tolerance * target, []
    n_swaps = SWAPS_PER_UNIT * group.size
    for _ in range(n_sets):
        leave = rng.integers(len(inside), size=n_swaps).tolist()
        enter = rng.integers(len(outside), size=n_swaps).tolist()
        for a, b in zip(leave, enter, strict=True):
            after = total + value[outside[b]] - value[inside[a]]
            if abs(after - target) <= allowed:
                inside[a], outside[b], total = outside[b], inside[a], after
        sets.append(np.sort(inside))
    return sets


def _interpolated(change: Floats, sizes: Places, n_units: Places) -> Floats:
    """Interpolate the changes of sets in size, to the groups' sizes ``(lesion, set, task)``."""
    # sets of two sizes are no pairs: their quantiles are interpolated
    quantiles = np.sort(change, axis=1)
    above = np.clip(np.searchsorted(sizes, n_units), 1, max(sizes.size - 1, 1)) % sizes.size
    below = np.maximum(above - 1, 0)
    span = np.maximum(sizes[above] - sizes[below], 1)
    part = ((n_units - sizes[below]) / span)[:, None, None]
    interpolation: Floats = (1 - part) * quantiles[below] + part * quantiles[above]
    return interpolation


def _compared(change: Floats, null: Floats) -> dict[str, tuple[tuple[str, str], Floats]]:
    """Compare groups' changes ``(lesion, task)`` with those of sets ``(lesion, set, task)``."""
    mean = null.mean(axis=1)
    low, high = np.quantile(null, (0.025, 0.975), axis=1)
    cells = {
        "group_change": change,
        "expected_change": mean,
        "expected_low": low,
        "expected_high": high,
        "excess": change - mean,
        # one-sided: at least as harmful as the group's lesion
        "p_value": p_values(reaches(-null, -change[:, None], axis=1), axis=1),
    }
    return {name: (("lesion", "task"), values) for name, values in cells.items()}


@dataclass(frozen=True)
class _Run:
    """Performance with lesions on the same random trials, written to a file in between."""

    network: Network
    tasks: tuple[str, ...]
    n_trials: int
    seed: int

    def performance(
        self, groups: Mapping[str, Places], sets: Sequence[Places], kept: str | Path | None
    ) -> list[Floats]:
        """Compute the performance ``(lesion, task)``: intact, of groups, and of sets.

        Lesions in the file ``kept`` are not computed again.
        """
        lesions = [INTACT, *groups.values(), *sets]
        trials = _random_trials(self.network, self.tasks, self.n_trials, self.seed)
        performance = resumed_rows(
            kept,
            {"sha256": self._key(lesions)},
            len(lesions),
            lambda rows: self._some(trials, [lesions[row] for row in rows]),
            at_once=SETS_AT_ONCE,
            description="sets",
        )
        return np.split(performance, [1, 1 + len(groups)])

    def _some(self, trials: TrialDescription, lesions: Sequence[Places]) -> Floats:
        dt_ms = self.network.config.dt_ms
        correct = correct_by_lesion(self.network, trials, lesions, dt_ms=dt_ms, seed=self.seed)
        return _share_by_task(correct, trials, len(self.tasks))

    def _key(self, lesions: Sequence[Places]) -> str:
        """Return a digest of the run: weights, lesions and trials."""
        digest = hashlib.sha256()
        for name, weight in self.network.state_dict().items():
            digest.update(name.encode() + weight.detach().cpu().numpy().tobytes())
        # all fields, as digests of earlier runs have them
        config = self.network.config
        values = ", ".join(f"{one.name}={getattr(config, one.name)!r}" for one in fields(config))
        plain = [
            f"NetworkConfig({values})",
            self.tasks,
            self.n_trials,
            self.seed,
            [u.tolist() for u in lesions],
        ]
        digest.update(json.dumps([*plain, self.network.intact_units.tolist()]).encode())
        return digest.hexdigest()

    def attrs(self, analysis: str) -> dict[str, Any]:
        attrs = {"analysis": analysis, "name": self.network.name}
        return attrs | {"seed": self.seed, "n_trials": self.n_trials}
