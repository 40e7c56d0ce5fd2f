"""What networks have learned by their rule inputs: curves, what has moved, and the record of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr

from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.experiments.rule_learning import (
    LEARNED,
    RULE_WEIGHT,
    Curve,
    RuleLearning,
    finished_runs,
    left_out,
    run_folder,
)
from nwbcompare.model.checkpoint import load, read_evaluation, read_log
from nwbcompare.model.network import Network

Log = list[dict[str, Any]]
Floats = npt.NDArray[np.float64]
MOST_POINTS = 100
"""Points of a curve that is kept in a record."""


def rule_learning_logs(out: str | os.PathLike[str]) -> dict[Curve, dict[str, Log]]:
    """Read the learning curves of `learn_rules`.

    Parameters
    ----------
    out
        Its folder.

    Returns
    -------
    dict
        By ``(set, target, what)``, the log of each network by its seed: a row for each
        evaluation. Networks of one seed began alike. Only runs that have ended are there.

    Raises
    ------
    InputError
        Where there are no such runs.
    """
    logs: dict[Curve, dict[str, Log]] = {}
    for curve, runs in finished_runs(out).items():
        logs[curve] = {seed: read_log(folder) for seed, folder in runs.items()}
    return logs


def final_performance(out: str | os.PathLike[str]) -> dict[Curve, dict[str, float]]:
    """Read how well the networks of `learn_rules` can do the new task at the end.

    Parameters
    ----------
    out
        Its folder.

    Returns
    -------
    dict
        By ``(set, target, what)`` and seed, the share of 512 correct random trials. They are no
        trials by which learning was ended, so they do not flatter.

    Raises
    ------
    InputError
        Where there are no such runs.
    """
    return {
        curve: {
            seed: float(read_evaluation(folder)["performance"][curve[1]])
            for seed, folder in runs.items()
        }
        for curve, runs in finished_runs(out).items()
    }


def moved_rows(before: Network, after: Network) -> xr.Dataset:
    """Say how far learning has moved each row of the rule map.

    Parameters
    ----------
    before, after
        The network before and after.

    Returns
    -------
    xarray.Dataset
        ``largest_change (rule)``, of a row's weights in absolute value; ``rms_change (rule)``
        and ``rms_before (rule)``, root mean squares over units.

    Raises
    ------
    InputError
        For networks of other rules or of other numbers of units.
    NotApplicableError
        For a network whose rules have no map of their own.

    Notes
    -----
    Only the row of the trained task has a signal, but every rule channel carries noise, and
    Adam divides a gradient by its own size: the rows of other rules wander with steps of the
    learning rate's order, however small their gradients are. That is not little: after 200 steps
    of 64 units they had moved by a third of what the trained row had (r.m.s. 0.06 and 0.16, of
    weights of 0.15). Without input noise they do not move at all.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> config = NetworkConfig(n_units=4, rules=("fdgo", "dm1"), separate_rule_input=True)
    >>> one, two = Network(config), Network(config)
    >>> _ = two.rule_weight.data[0].add_(0.5)
    >>> moved_rows(one, two)["largest_change"].values.tolist()
    [0.5, 0.0]
    """
    maps = [_rule_map(name, network) for name, network in (("before", before), ("after", after))]
    if before.config.rules != after.config.rules or maps[0].shape != maps[1].shape:
        raise InputError(
            "after",
            f"{before.config.n_units} units and the rules {listing(before.config.rules)}",
            f"{after.config.n_units} units and the rules {listing(after.config.rules)}",
            "Give one network before and after learning.",
        )
    change = maps[1] - maps[0]
    return xr.Dataset(
        {
            "largest_change": ("rule", np.abs(change).max(axis=1)),
            "rms_change": ("rule", np.sqrt(np.mean(change**2, axis=1))),
            "rms_before": ("rule", np.sqrt(np.mean(maps[0] ** 2, axis=1))),
        },
        coords={"rule": list(before.config.rules)},
        attrs={"analysis": "moved_rows"},
    )


def _rule_map(subject: str, network: Network) -> Floats:
    weights = network.state_dict()
    if RULE_WEIGHT not in weights:
        raise NotApplicableError(
            subject,
            "a network whose rules have a map of their own",
            "one whose rules are rows of the input weights",
            "Make it with separate_rule_input=True.",
        )
    values: Floats = weights[RULE_WEIGHT].cpu().double().numpy()
    return values


def changed_weights(before: Network, after: Network) -> list[str]:
    """Name the weights of which any bit is another one.

    Parameters
    ----------
    before, after
        The network before and after learning.

    Raises
    ------
    InputError
        Where the two have other weights.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> one, two = (Network(NetworkConfig(n_units=4)) for _ in range(2))
    >>> _ = two.bias.data.add_(1e-6)
    >>> changed_weights(one, two)
    ['bias']
    """
    shapes = [{name: tuple(w.shape) for name, w in n.state_dict().items()} for n in (before, after)]
    if shapes[0] != shapes[1]:
        raise InputError("after", f"weights {shapes[0]}", f"{shapes[1]}", "Give one network twice.")
    others = after.state_dict()
    return [name for name, one in before.state_dict().items() if _bits(one) != _bits(others[name])]


def _bits(weight: torch.Tensor) -> bytes:
    return weight.detach().cpu().numpy().tobytes()


def moved_by_rules(out: str | os.PathLike[str]) -> dict[Curve, xr.Dataset]:
    """Check that nothing but the rule map has learned, and say how far its rows have moved.

    Parameters
    ----------
    out
        The folder of `learn_rules`.

    Returns
    -------
    dict
        By ``(set, target, "rules")``, `moved_rows` of every network, joined along ``network``,
        its seed.

    Raises
    ------
    InputError
        Where another weight than the rule map has changed by any bit since pretraining, and
        where there are no such runs.
    """
    moved: dict[Curve, xr.Dataset] = {}
    for curve, runs in finished_runs(out).items():
        if LEARNED[curve[2]] != (RULE_WEIGHT,):
            continue
        rows = []
        for seed, folder in runs.items():
            before, after = load(run_folder(out, curve[0], seed)), load(folder)
            wrong = [name for name in changed_weights(before, after) if name != RULE_WEIGHT]
            if wrong:
                raise InputError(
                    str(folder),
                    f"the weights of {curve[0]}-{seed}, but for {RULE_WEIGHT}",
                    f"changes of {listing(wrong)}",
                    "The folder holds another run, or was edited: delete it and train again.",
                )
            rows.append(moved_rows(before, after))
        moved[curve] = xr.concat(rows, xr.Variable("network", list(runs)), join="exact")
    return moved


def as_record(
    out: str | os.PathLike[str], *, settings: RuleLearning | None = None
) -> dict[str, Any]:
    """Give what a campaign of `learn_rules` has found as plain values, small enough to keep.

    Parameters
    ----------
    out
        Its folder.
    settings
        What `learn_rules` was given, for the record.

    Returns
    -------
    dict
        ``settings``; ``left_out``; and ``curves``, each with its ``pretraining``, ``target`` and
        ``learned``, by seed its ``log``, at most about 100 pairs of step and share of correct
        trials, and its ``final`` performance; where only rules were learned, also
        ``largest_change`` and ``rms_change`` by rule, means over networks.

    Raises
    ------
    InputError
        As `moved_by_rules`.
    """
    logs, final, moved = rule_learning_logs(out), final_performance(out), moved_by_rules(out)
    curves = []
    for curve, by_seed in logs.items():
        name, target, what = curve
        found: dict[str, Any] = {"pretraining": name, "target": target, "learned": what}
        found["log"] = {seed: _thinned(log, target) for seed, log in by_seed.items()}
        found["final"] = final[curve]
        if curve in moved:
            mean = moved[curve].mean("network")
            for measure in ("largest_change", "rms_change"):
                values = [float(f"{value:.4g}") for value in mean[measure].values]
                found[measure] = dict(zip(mean["rule"].values.tolist(), values, strict=True))
        curves.append(found)
    return {
        "settings": asdict(settings or RuleLearning()),
        "left_out": left_out(out),
        "curves": curves,
    }


def _thinned(log: Log, task: str) -> list[list[float]]:
    every = -(-len(log) // MOST_POINTS)
    rows = [*log[:-1:every], log[-1]]
    return [[row["step"], row["performance"][task]] for row in rows]


def logs_of_record(record: Mapping[str, Any]) -> dict[Curve, dict[str, Log]]:
    """Give the logs of a record as `rule_learning_logs` gives those of a folder, thinned.

    Parameters
    ----------
    record
        From `as_record`, or from the file that ``nwbcompare rule-learning`` writes.
    """
    return {
        (one["pretraining"], one["target"], one["learned"]): {
            seed: [
                {"step": int(step), "stage": 0, "performance": {one["target"]: share}}
                for step, share in rows
            ]
            for seed, rows in one["log"].items()
        }
        for one in record["curves"]
    }
