"""What training adds to the similarity of networks' and a recording's condition means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.analysis.population.kernels.partial_similarity import (
    CLAIMS,
    crossnobis,
    partial_correlations,
    training_effect,
)
from nwbcompare.analysis.population.kernels.similarity import LEAST_CONDITIONS
from nwbcompare.analysis.population.population import (
    LEAVE_OUT,
    condition_labels,
    population_means,
)
from nwbcompare.analysis.selectivity.condition_means import condition_table
from nwbcompare.analysis.selectivity.resampling_units import resampling_units
from nwbcompare.core.activity import (
    Activity,
    blocks,
    columns_on,
    row_dim,
    tasks_of,
)
from nwbcompare.core.errors import InputError, NotApplicableError, listing, unknown_name

Array = npt.NDArray[np.float64]
CHOICE = "choice"
TRAINING = ("trained", "untrained")


def partial_similarity(
    trained: Mapping[str, Activity],
    untrained: Mapping[str, Activity],
    recording: Activity,
    *,
    tasks: Sequence[str] | None = None,
    conditions: Sequence[str] | None = None,
    codes: Sequence[str] | None = None,
    leave_out: Sequence[str] = LEAVE_OUT,
) -> xr.Dataset:
    """Test whether training makes the geometry of networks more similar to a recording's.

    Parameters
    ----------
    trained, untrained
        Activities by name of the network: trained, and with its initial weights
        (`nwbcompare.experiments.untrained` with ``config.seed``), sampled alike.
    recording
        The recording.
    tasks
        Tasks to compare; by default those of the recording.
    conditions
        Trial columns whose combinations are conditions; by default those of the sources.
    codes
        What the similarity is partial to: "task", condition variables and other numeric trial
        columns of the recording, such as "choice". By default the task, all condition variables,
        and "choice" where the recording has it: two populations that share no more than these
        have a partial similarity of 0.
    leave_out
        Epochs to leave out; by default fixation.

    Returns
    -------
    xarray.Dataset
        ``similarity (network, training)``, the partial correlation of distances with the
        recording's; ``unadjusted (network, training)``, the plain one; ``difference (network)``,
        trained less untrained; ``stimulus``, the plain similarity of distances in the condition
        variables alone, without any network; ``estimate``, the mean difference. By ``claim``: its
        95 % interval ``low`` and ``high``, ``standard_error``, ``freedom`` and two-sided
        ``p_value``. Claims: "networks", other networks of this kind and these recorded units;
        "sessions", these networks and other units of this animal; "both". ``n_conditions``,
        ``n_networks``, ``n_sessions``.

    Raises
    ------
    InputError
        For networks without an untrained one of their name, and unknown tasks and codes.
    NotApplicableError
        For fewer than 4 conditions that all sources have, or no more distances than codes.

    Notes
    -----
    Distances are crossnobis (Walther et al. 2016), unbiased for any noise and numbers of trials.
    A code has the squared differences of its values between conditions as distances (of a column
    that varies within conditions: of its means), and both sides are regressed on all codes.

    The observation is the network: errors over networks are those of the mean of the differences.
    Over sessions: jackknife of whole sessions, at least 5. "both" adds the two variances, less
    that of their interaction, with Satterthwaite's degrees of freedom: use it unless networks
    share no structure, because common structure and a finite sample of units are alike by chance
    in all of them. An interval over networks needs 2, a p value 3 networks. With fewer than 20
    conditions p is NaN: a few distances follow from few numbers, and what remains beside the codes
    is a description. Conditions are fixed: no claim generalises over them. Errors by simulation:
    ``benchmarks/geometry_errors.py``.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block()
    >>> found = partial_similarity({"net": block}, {"net": block}, block, codes=["direction"])
    >>> found["difference"].item(), round(found["unadjusted"].values.item(0), 6)
    (0.0, 1.0)
    """
    if not trained or set(trained) != set(untrained):
        raise InputError(
            "untrained",
            f"an untrained network for each of {listing(trained)}",
            listing(untrained),
            "Make them with nwbcompare.experiments.untrained(network, network.config.seed).",
        )
    names = list(trained)
    wanted = list(tasks_of(recording) if tasks is None else tasks)
    options: dict[str, Any] = {"conditions": conditions, "n_splits": 0, "leave_out": leave_out}
    recorded = population_means(recording, wanted, **options)
    means = [
        population_means(side[name], wanted, **options)
        for side in (trained, untrained)
        for name in names
    ]
    shared = _shared(recorded, means)
    recorded, *means = (_of_conditions(one, shared) for one in (recorded, *means))
    others = _Codes.of(recording, recorded, conditions, codes)
    if len(others.distances) + 2 >= others.distances.shape[1]:
        raise NotApplicableError(
            "conditions",
            f"more pairs than the {len(others.distances)} codes need",
            f"{len(shared)} conditions",
            "Name fewer codes=[...], or finer conditions=[...].",
        )
    by_unit = _distances(recorded)
    of_networks = np.reshape(
        [_distances(one).mean(axis=1) for one in means], (2, len(names), len(by_unit))
    )
    cluster, column = resampling_units(columns_on(recorded, "unit"))
    effect = training_effect(of_networks, by_unit, others.distances, cluster)
    whole = by_unit.mean(axis=1)[None]
    none = np.empty((0, len(by_unit)))
    plain = partial_correlations(of_networks.reshape(-1, len(by_unit)), whole, none)
    by_network = ("training", "network")
    by_claim = effect._asdict()
    return xr.Dataset(
        {
            "similarity": (by_network, by_claim.pop("similarity")),
            "unadjusted": (by_network, plain.reshape(2, len(names))),
            "difference": ("network", by_claim.pop("difference")),
            "stimulus": float(partial_correlations(others.stimulus[None], whole, none)[0, 0]),
            "estimate": float(effect.difference.mean()),
            **{name: ("claim", values) for name, values in by_claim.items()},
            "n_conditions": len(shared),
            "n_networks": len(names),
            "n_sessions": int(cluster.max()) + 1,
        },
        coords={"training": list(TRAINING), "network": names, "claim": list(CLAIMS)},
        attrs={
            "analysis": "partial_similarity",
            "recording": recorded.attrs["name"],
            "tasks": json.dumps(wanted),
            "codes": json.dumps(others.names),
            "conditions": recorded.attrs["conditions"],
            "leave_out": recorded.attrs["leave_out"],
            "cluster": column,
            "interval": "95 %, Student's t",
        },
    )


def _shared(recorded: xr.Dataset, means: Sequence[xr.Dataset]) -> list[str]:
    names = [list(map(str, one["condition"].values)) for one in (recorded, *means)]
    shared = [name for name in names[0] if all(name in other for other in names[1:])]
    if len(shared) < LEAST_CONDITIONS:
        raise NotApplicableError(
            "conditions",
            f"{LEAST_CONDITIONS} or more that all sources have",
            f"{len(shared)}, of {listing(names[0], most=2)} in the recording",
            "Name columns that all have with conditions=[...].",
        )
    return shared


def _of_conditions(means: xr.Dataset, shared: list[str]) -> xr.Dataset:
    names = list(map(str, means["condition"].values))
    return means.isel(condition=[names.index(name) for name in shared])


def _distances(means: xr.Dataset) -> Array:
    names = ("rate_mean", "mean_variance", "n_trials")
    return crossnobis(*(means[name].values.astype(np.float64) for name in names))


@dataclass(frozen=True)
class _Codes:
    """Distances between conditions in what is known without any neuron.

    Attributes
    ----------
    names
        Names of the codes.
    distances
        ``(code, pair)``.
    stimulus
        ``(pair,)``: sum over the condition variables, each of standard deviation 1.
    """

    names: list[str]
    distances: Array
    stimulus: Array

    @classmethod
    def of(
        cls,
        recording: Activity,
        means: xr.Dataset,
        conditions: Sequence[str] | None,
        codes: Sequence[str] | None,
    ) -> _Codes:
        """Compute the codes of the conditions of a table of means."""
        on_condition = [
            name for name in columns_on(means, "condition") if name not in {"condition", "task"}
        ]
        columns = {
            name
            for block in blocks(recording).values()
            for name in columns_on(block, row_dim(block))
        }
        names = codes
        if names is None:
            names = ["task", *on_condition, *({CHOICE} & columns)]
        values = {
            name: _code(name, recording, means, conditions) for name in {*names, *on_condition}
        }
        first, second = np.triu_indices(means.sizes["condition"], 1)
        apart = {
            name: ((value[first] - value[second]) ** 2).sum(axis=1)
            for name, value in values.items()
        }
        varied = [name for name in names if apart[name].any()]
        return cls(
            varied,
            np.array([apart[name] for name in varied]).reshape(len(varied), first.size),
            np.sum([apart[name] for name in on_condition], axis=0),
        )


def _code(
    name: str, recording: Activity, means: xr.Dataset, conditions: Sequence[str] | None
) -> Array:
    """Return the values of a code in each condition, standardised ``(condition, value)``."""
    if name in columns_on(means, "condition"):
        values = means[name].values
    else:
        values = _trial_means(name, recording, means, conditions)
    if values.dtype.kind in "fiub":
        numbers = values.astype(np.float64)[:, None]
    else:
        numbers = (values[:, None] == np.unique(values)).astype(np.float64)
    # a variable that a task does not have is at its mean there
    away = np.nan_to_num(numbers - np.nanmean(numbers, axis=0))
    size = np.sqrt((away**2).mean(axis=0).sum())
    standardised: Array = away / size if size > 0 else away
    return standardised


def _trial_means(
    name: str, recording: Activity, means: xr.Dataset, conditions: Sequence[str] | None
) -> Array:
    """Return the mean of a trial column in each condition."""
    by_condition: dict[str, float] = {}
    for block in blocks(recording).values():
        known = columns_on(block, row_dim(block))
        if name not in known or known[name].dtype.kind not in "fiub":
            numeric = [c for c, column in known.items() if column.dtype.kind in "fiub"]
            raise unknown_name("codes", name, ["task", *numeric])
        table, condition = condition_table(block, conditions)
        column = block[name].values.astype(np.float64)
        for place, label in enumerate(condition_labels(table)):
            by_condition[label] = float(np.nanmean(column[condition == place]))
    return np.array([by_condition[str(label)] for label in means["condition"].values])
