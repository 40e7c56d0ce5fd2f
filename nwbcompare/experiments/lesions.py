"""Lesions: what each task loses when a group of units falls silent, held against random sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import xarray as xr
from tqdm import tqdm

from nwbcompare.core.checks import check_not_negative, check_whole
from nwbcompare.core.errors import (
    DamagedCacheError,
    InputError,
    NotApplicableError,
    listing,
    unknown_name,
)
from nwbcompare.core.files import written_aside
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
"""Places of units, counted from 0, or their names in the unit table, by the group's name."""

LEAST_TRIALS = 2 * BATCH_SIZE
N_SIZES = 6
SETS_AT_ONCE = 20
SWAPS_PER_UNIT = 50
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
    """Measure every task's performance with each group of units lesioned, and intact.

    A lesion is a view: outgoing recurrent and output weights count as zero, the units still
    fire, and no weight is changed. All lesions and the intact network see the same trials and
    the same noise, so their difference is a paired one.

    Parameters
    ----------
    network
        The network.
    groups
        Units to lesion together, by name: their places, or their names such as "h003".
    tasks
        The tasks; by default all that have a rule in the network.
    n_trials
        Random trials of each task, a multiple of 32 from 64 on. 512, as in training's
        evaluation (the published lesions have 256), are 16 batches that each share a timing.
    seed
        Seed of the random trials and of both noises.
    trials
        "random", with both noises. "test": the published sweep without noise, which is no
        sample of anything: such a result has no intervals.

    Returns
    -------
    xarray.Dataset
        ``performance (lesion, task)`` and ``intact (task)``, shares of trials;
        ``change (lesion, task)``, lesioned minus intact; of random trials also its standard
        error ``change_se`` and 95 % interval ``change_low``, ``change_high``;
        ``n_trials (task)``, ``n_units (lesion)`` and ``lesioned (lesion, unit)``.

    Raises
    ------
    InputError
        For no groups, a group without units or with unknown ones, and a task whose rule the
        network does not have.

    Notes
    -----
    Yang et al. 2019, Fig. 2. The interval is over random trials of this one network. Trials of
    a batch share their timing and modality and so are no independent sample; batches are. The
    interval is Student's over the batches' mean differences. Where these vary less than
    independent trials would (often they are all 0), the variance is that of the paired
    difference with half a trial added to each cell of the table (Agresti & Min 2005).

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> network = Network(NetworkConfig(n_units=8))
    >>> found = lesion_performance(network, {"a": [0, 1], "b": ["h007"]}, ["fdgo"], n_trials=64)
    >>> dict(found["change"].sizes)
    {'lesion': 2, 'task': 1}
    """
    places = read_groups(network, groups)
    tasks = _read_tasks(network, tasks)
    if trials not in ("random", "test"):
        raise unknown_name("trials", trials, ("random", "test"))
    random = trials == "random"
    shown = (
        _random_trials(network, tasks, n_trials, seed) if random else _test_trials(network, tasks)
    )
    correct = correct_by_lesion(
        network,
        shown,
        [INTACT, *places.values()],
        dt_ms=network.config.dt_ms,
        seed=seed if random else None,
        label="lesions",
    )
    result = _lesion_table(network, places, tasks, shown, correct)
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
    """Hold lesions of groups against lesions of random sets of several sizes.

    The null is that membership in a group means nothing: any units of its size, drawn from
    ``among``, would do as much harm.

    Parameters
    ----------
    network, groups, tasks
        See `lesion_performance`.
    among
        Units that the random sets are drawn from; by default the units of all groups together.
        Units that hardly fire would make random sets weaker, and groups look special.
    sizes
        Sizes of the random sets; by default up to six that span the groups' sizes evenly on a
        logarithmic scale.
    n_sets
        Random sets of each size; 100 give p values down to 1/101.
    n_trials
        Random trials of each task, a multiple of 32 from 64 on, the same for all.
    seed
        Seed of sets, trials and noise.
    kept
        A file for what is finished; a run that was cut off goes on from there.

    Returns
    -------
    xarray.Dataset
        ``performance`` and ``change`` ``(size, set, task)`` of the random sets;
        ``intact (task)``; for the groups on the same trials ``group_change``, the random sets'
        ``expected_change`` with ``expected_low`` and ``expected_high``, which hold 95 % of
        them, ``excess`` (group_change minus expected_change) and ``p_value``, all
        ``(lesion, task)``; ``n_units (lesion)``.

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
    Between two sizes the sets' changes are interpolated linearly in size, quantile by quantile:
    the sorted changes of both sizes, each to its counterpart. ``p_value`` is one-sided,
    (1 + b) / (1 + B), where b counts the B interpolated changes that are at least as harmful as
    the group's. There is one for each cell; correct for their number before you read single
    ones.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> found = lesion_controls(
    ...     Network(NetworkConfig(n_units=8)), {"a": [0, 1], "b": [3, 4, 5]}, ["fdgo"], n_sets=4
    ... )
    >>> dict(found["change"].sizes)
    {'size': 2, 'set': 4, 'task': 1}
    """
    places = read_groups(network, groups)
    tasks = _read_tasks(network, tasks)
    check_whole("n_sets", n_sets, 1, "Use n_sets=100.")
    pool = _read_pool(network, among, places)
    of_size = _read_sizes(sizes, places)
    rng = np.random.default_rng((seed, 1))
    sets = [rng.choice(pool, size, replace=False) for size in of_size for _ in range(n_sets)]
    run = _Run(network, tasks, n_trials, seed)
    performance = run.performance([INTACT, *places.values(), *sets], kept)
    intact, own, others = np.split(performance, [1, 1 + len(places)])
    by_size = others.reshape(of_size.size, n_sets, len(tasks))
    n_units = np.array([units.size for units in places.values()])
    null = _interpolated(by_size - intact, of_size, n_units)
    return xr.Dataset(
        {
            "performance": (("size", "set", "task"), by_size),
            "change": (("size", "set", "task"), by_size - intact),
            "intact": ("task", intact[0]),
            **_against(own - intact, null),
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
    """Hold lesions of groups against random sets of the same size and summed task variance.

    Parameters
    ----------
    network, groups, tasks, among, n_sets, n_trials, seed, kept
        See `lesion_controls`.
    variance
        Each unit's task variance, summed over tasks ``(unit,)``.
    tolerance
        How far a set's summed variance may be from its group's, as a share of it.

    Returns
    -------
    xarray.Dataset
        ``performance`` and ``change`` ``(lesion, set, task)`` of the sets;
        ``set_variance (lesion, set)``, a set's summed variance as a share of its group's, and
        ``shared (lesion, set)``, the share of its units that are the group's own: where that is
        near 1 hardly any other set matches, and the control says nothing. The rest is as in
        `lesion_controls`.

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
    Sets are steps of a random walk from the group: a unit inside is exchanged for one outside
    wherever the sum stays within the tolerance, 50 tries for every unit between two sets. Its
    stationary distribution is uniform over the sets that can be reached.
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
    performance = run.performance([INTACT, *places.values(), *sets], kept)
    intact, own, others = np.split(performance, [1, 1 + len(places)])
    by_group = others.reshape(len(places), n_sets, len(tasks))
    shared = [
        [np.isin(s, g).mean() for s in w] for g, w in zip(places.values(), walks, strict=True)
    ]
    sums = [
        [values[s].sum() / values[g].sum() for s in w]
        for g, w in zip(places.values(), walks, strict=True)
    ]
    return xr.Dataset(
        {
            "performance": (("lesion", "set", "task"), by_group),
            "change": (("lesion", "set", "task"), by_group - intact),
            "set_variance": (("lesion", "set"), sums),
            "shared": (("lesion", "set"), shared),
            "intact": ("task", intact[0]),
            **_against(own - intact, by_group - intact),
            "n_units": ("lesion", [units.size for units in places.values()]),
        },
        coords={"lesion": list(places), "task": list(tasks)},
        attrs=run.attrs("matched_lesion_controls") | {"tolerance": tolerance},
    )


def read_groups(network: Network, groups: Groups) -> dict[str, Places]:
    """Give the places of each group's units.

    Raises
    ------
    InputError
        For no groups, a group without units, and units that the network does not have.
    """
    if not groups:
        raise InputError("groups", "at least one group", "none", "Name one, e.g. {'a': [0, 1]}.")
    return {str(name): read_units(network, f"groups[{name!r}]", u) for name, u in groups.items()}


def read_units(
    network: Network, subject: str, units: Sequence[int] | Sequence[str] | npt.NDArray[Any]
) -> Places:
    """Give the places of units that are named or counted, each once, in ascending order."""
    given = np.asarray(units)
    if not given.size:
        raise InputError(subject, "at least one unit", "none", "Leave the group out.")
    if given.dtype.kind in "UTO":
        given = _places_of_names(network, subject, given)
    n_units = network.config.n_units
    if given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= n_units:
        raise InputError(
            subject,
            f"places from 0 to {n_units - 1}, or names of units",
            listing(given, most=5),
            "Count units from 0.",
        )
    return np.unique(given).astype(np.int64)


def _places_of_names(network: Network, subject: str, names: npt.NDArray[Any]) -> Places:
    known = unit_table({"recurrent": network.config.n_units}, network.name)["unit"]
    place = {name: number for number, name in enumerate(known)}
    for name in names:
        if str(name) not in place:
            raise unknown_name(subject, str(name), known)
    return np.array([place[str(name)] for name in names], dtype=np.int64)


def _read_tasks(network: Network, tasks: Sequence[str] | None) -> tuple[str, ...]:
    rules = network.config.rules
    if tasks is not None and not tasks:
        raise InputError("tasks", "at least one task", "none", "Name one, e.g. 'contextdm1'.")
    chosen = rules if tasks is None else tuple(tasks)
    for task in chosen:
        if task not in rules:
            raise unknown_name("tasks", task, rules)
    return tuple(dict.fromkeys(chosen))


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
    shown: TrialDescription,
    correct: npt.NDArray[np.bool_],
) -> xr.Dataset:
    share = _share_by_task(correct, shown, len(tasks))
    units = unit_table({"recurrent": network.config.n_units}, network.name)
    lesioned = np.stack([np.isin(np.arange(network.config.n_units), u) for u in places.values()])
    return xr.Dataset(
        {
            "performance": (("lesion", "task"), share[1:]),
            "intact": ("task", share[0]),
            "change": (("lesion", "task"), share[1:] - share[0]),
            "n_trials": ("task", np.bincount(shown.task, minlength=len(tasks))),
            "n_units": ("lesion", lesioned.sum(axis=1)),
            "lesioned": (("lesion", "unit"), lesioned),
        },
        coords={
            "lesion": list(places),
            "task": list(tasks),
            **{name: ("unit", column) for name, column in units.items()},
        },
    )


def _share_by_task(correct: npt.NDArray[np.bool_], shown: TrialDescription, n_tasks: int) -> Floats:
    """Give the share of correct trials ``(lesion, task)``."""
    return np.stack([correct[:, shown.task == place].mean(axis=1) for place in range(n_tasks)], 1)


def _intervals(n_tasks: int, correct: npt.NDArray[np.bool_]) -> xr.Dataset:
    """Give the change's standard error and interval, for trials that lie task by task."""
    difference = correct[1:].astype(np.float64) - correct[0]
    by_batch = difference.reshape(difference.shape[0], n_tasks, -1, BATCH_SIZE)
    cells = dict(
        zip(("change_se", "change_low", "change_high"), paired_change(by_batch), strict=True)
    )
    return xr.Dataset({name: (("lesion", "task"), values) for name, values in cells.items()})


def paired_change(difference: Floats) -> tuple[Floats, Floats, Floats]:
    """Give the standard error and the 95 % interval of a mean paired difference.

    Parameters
    ----------
    difference
        ``(..., batch, trial)`` of -1, 0 and 1; batches are independent, trials of one are not.

    Returns
    -------
    error, low, high : numpy.ndarray
        ``(...)``; see `lesion_performance`.
    """
    n_batches, batch_size = difference.shape[-2:]
    mean = difference.mean(axis=(-2, -1))
    between = difference.mean(axis=-1).var(axis=-1, ddof=1) / n_batches
    n_more = n_batches * batch_size + 2
    changed, balance = np.abs(difference).sum((-2, -1)) + 1, difference.sum((-2, -1))
    independent = (changed - balance**2 / n_more) / n_more**2
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
    if pool.size <= largest:
        raise NotApplicableError(
            "among",
            f"more units than the largest group's {largest}",
            f"{pool.size}",
            "Pass among=, the units that random sets are drawn from.",
        )
    return pool


def _read_sizes(sizes: Sequence[int] | None, places: Mapping[str, Places]) -> Places:
    own = [units.size for units in places.values()]
    smallest, largest = min(own), max(own)
    if sizes is None:
        return np.unique(np.geomspace(smallest, largest, N_SIZES).round().astype(np.int64))
    given = np.unique([check_whole("sizes", size, 1, "Use the groups' sizes.") for size in sizes])
    if not given.size or given[0] > smallest or given[-1] < largest:
        raise InputError(
            "sizes",
            f"sizes from {smallest} to {largest}",
            listing(given),
            "Span the groups' sizes.",
        )
    return given.astype(np.int64)


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
    """Give sets of a group's size whose summed variance is within the tolerance of its own."""
    inside, outside = group.tolist(), np.setdiff1d(pool, group).tolist()
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


def _interpolated(change: Floats, sizes: Places, wanted: Places) -> Floats:
    """Give the changes ``(lesion, set, task)`` that sets of the wanted sizes are to expect."""
    ordered = np.sort(change, axis=1)
    above = np.clip(np.searchsorted(sizes, wanted), 1, max(sizes.size - 1, 1)) % sizes.size
    below = np.maximum(above - 1, 0)
    span = np.maximum(sizes[above] - sizes[below], 1)
    part = ((wanted - sizes[below]) / span)[:, None, None]
    mixed: Floats = (1 - part) * ordered[below] + part * ordered[above]
    return mixed


def _against(own: Floats, null: Floats) -> dict[str, tuple[tuple[str, str], Floats]]:
    """Hold the groups' changes ``(lesion, task)`` against those of sets ``(lesion, set, task)``."""
    expected = null.mean(axis=1)
    low, high = np.quantile(null, (0.025, 0.975), axis=1)
    cells = {
        "group_change": own,
        "expected_change": expected,
        "expected_low": low,
        "expected_high": high,
        "excess": own - expected,
        "p_value": p_values(reaches(-null, -own[:, None], axis=1), axis=1),
    }
    return {name: (("lesion", "task"), values) for name, values in cells.items()}


@dataclass(frozen=True)
class _Run:
    """Lesions on the same random trials of some tasks, a few at a time, kept as they come."""

    network: Network
    tasks: tuple[str, ...]
    n_trials: int
    seed: int

    def performance(self, lesions: Sequence[Places], kept: str | Path | None) -> Floats:
        """Give the performance ``(lesion, task)``, going on from what is kept."""
        shown = _random_trials(self.network, self.tasks, self.n_trials, self.seed)
        key = self._key(lesions)
        found = np.full((len(lesions), len(self.tasks)), np.nan)
        if kept is not None and Path(kept).exists():
            found = _read_kept(Path(kept), key, found.shape)
        missing = np.flatnonzero(np.isnan(found).any(axis=1))
        with tqdm(
            total=len(lesions), initial=len(lesions) - missing.size, desc="sets", disable=None
        ) as bar:
            for at in range(0, missing.size, SETS_AT_ONCE):
                rows = missing[at : at + SETS_AT_ONCE]
                found[rows] = self._some(shown, [lesions[row] for row in rows])
                if kept is not None:
                    _write_kept(Path(kept), key, found)
                bar.update(rows.size)
        return found

    def _some(self, shown: TrialDescription, lesions: Sequence[Places]) -> Floats:
        dt_ms = self.network.config.dt_ms
        correct = correct_by_lesion(self.network, shown, lesions, dt_ms=dt_ms, seed=self.seed)
        return _share_by_task(correct, shown, len(self.tasks))

    def _key(self, lesions: Sequence[Places]) -> str:
        """Tell runs apart: by weights, what is lesioned, and what the trials are."""
        digest = hashlib.sha256()
        for name, weight in self.network.state_dict().items():
            digest.update(name.encode() + weight.detach().cpu().numpy().tobytes())
        config = repr(self.network.config)
        plain = [config, self.tasks, self.n_trials, self.seed, [u.tolist() for u in lesions]]
        digest.update(json.dumps([*plain, self.network.intact_units.tolist()]).encode())
        return digest.hexdigest()

    def attrs(self, analysis: str) -> dict[str, Any]:
        return {
            "analysis": analysis,
            "name": self.network.name,
            "seed": self.seed,
            "n_trials": self.n_trials,
        }


def _read_kept(path: Path, key: str, shape: tuple[int, int]) -> Floats:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            own, found = str(file["key"]), np.asarray(file["performance"], dtype=np.float64)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DamagedCacheError(
            str(path),
            "the finished lesions of an earlier run",
            f"a file that cannot be read ({error})",
            "Delete it: its lesions are then run again.",
        ) from error
    if own != key or found.shape != shape:
        raise InputError(
            str(path),
            "the finished lesions of a run with the same network and arguments",
            "those of another run",
            "Name another file, or delete this one.",
        )
    return found


def _write_kept(path: Path, key: str, found: Floats) -> None:
    with written_aside(path, overwrite=True) as aside, aside.open("wb") as file:
        np.savez(file, key=key, performance=found)
