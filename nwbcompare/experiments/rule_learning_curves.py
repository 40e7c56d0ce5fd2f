"""Results of rule learning: learning curves, changes of weights, and a compact record."""

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
"""Largest number of points of a curve in a record."""


def rule_learning_logs(out: str | os.PathLike[str]) -> dict[Curve, dict[str, Log]]:
    """Read the learning curves of `learn_rules`.

    Parameters
    ----------
    out
        The folder of `nwbcompare.experiments.learn_rules`.

    Returns
    -------
    dict
        Log of each network by its seed, by ``(set, target, weights)``; a log has a row for each
        evaluation. Networks of one seed had the same initial weights. Unfinished runs are left
        out.

    Raises
    ------
    InputError
        For a folder without such runs.
    """
    return {
        curve: {seed: read_log(folder) for seed, folder in runs.items()}
        for curve, runs in finished_runs(out).items()
    }


def _final_performance(out: str | os.PathLike[str]) -> dict[Curve, dict[str, float]]:
    """Read the final performance in the new task, by curve and seed.

    It is the share of correct trials among 512 random ones, other than those that ended the
    training, so it is not biased by early stopping.
    """
    return {
        curve: {
            seed: float(read_evaluation(folder)["performance"][curve[1]])
            for seed, folder in runs.items()
        }
        for curve, runs in finished_runs(out).items()
    }


def moved_rows(before: Network, after: Network) -> xr.Dataset:
    """Compute the change of each row of the rule weights by learning.

    Parameters
    ----------
    before, after
        The network before and after.

    Returns
    -------
    xarray.Dataset
        On ``(rule,)``: ``largest_change``, the largest absolute change of a weight;
        ``rms_change`` and ``rms_before``, root mean squares over units.

    Raises
    ------
    InputError
        For networks of other rules or of other numbers of units.
    NotApplicableError
        For a network whose rules have no map of their own.

    Notes
    -----
    Only the rule channel of the trained task has a signal, but every rule channel has noise, and
    Adam normalises gradients: the rows of other rules drift in steps of the order of the learning
    rate, however small their gradients. After 200 steps of a network of 64 units the r.m.s. change
    of other rows was 0.06, that of the trained row 0.16, of weights with r.m.s. 0.15. Without
    input noise other rows do not change.

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
            "Pass one network before and after learning.",
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
            "Configure it with separate_rule_input=True.",
        )
    values: Floats = weights[RULE_WEIGHT].cpu().double().numpy()
    return values


def _changed_weights(before: Network, after: Network) -> list[str]:
    """Return the names of weights that differ in any bit."""
    shapes = [{name: tuple(w.shape) for name, w in n.state_dict().items()} for n in (before, after)]
    if shapes[0] != shapes[1]:
        raise InputError("after", f"weights {shapes[0]}", f"{shapes[1]}", "Pass one network twice.")
    others = after.state_dict()
    return [name for name, one in before.state_dict().items() if _bits(one) != _bits(others[name])]


def _bits(weight: torch.Tensor) -> bytes:
    # as bytes, since numbers can be equal where bits are not (0.0 and -0.0)
    return weight.detach().cpu().numpy().tobytes()


def _moved_by_rules(out: str | os.PathLike[str]) -> dict[Curve, xr.Dataset]:
    """Compute `moved_rows` by curve, joined along ``network``, after checking other weights.

    Raises
    ------
    InputError
        If learning by rules has changed any bit of a weight other than the rule weights.
    """
    moved: dict[Curve, xr.Dataset] = {}
    for curve, runs in finished_runs(out).items():
        if LEARNED[curve[2]] != (RULE_WEIGHT,):
            continue
        rows = []
        for seed, folder in runs.items():
            before, after = load(run_folder(out, curve[0], seed)), load(folder)
            others = [name for name in _changed_weights(before, after) if name != RULE_WEIGHT]
            if others:
                raise InputError(
                    str(folder),
                    f"the weights of {curve[0]}-{seed}, but for {RULE_WEIGHT}",
                    f"changes of {listing(others)}",
                    "The folder holds another run, or was edited: delete it and train again.",
                )
            rows.append(moved_rows(before, after))
        moved[curve] = xr.concat(rows, xr.Variable("network", list(runs)), join="exact")
    return moved


def as_record(
    out: str | os.PathLike[str], *, settings: RuleLearning | None = None
) -> dict[str, Any]:
    """Return the results of `nwbcompare.experiments.learn_rules` as compact plain values.

    Parameters
    ----------
    out
        The folder of `nwbcompare.experiments.learn_rules`.
    settings
        The settings of that call, for the record.

    Returns
    -------
    dict
        ``settings``, ``left_out`` and ``curves``. A curve has its ``pretraining``, ``target`` and
        ``learned``; by seed its ``log``, at most about 100 pairs of step and share of correct
        trials, and its ``final`` performance; and, if only rules were learned,
        ``largest_change`` and ``rms_change`` of `moved_rows` by rule, means over networks.

    Raises
    ------
    InputError
        For a folder without such runs, and if learning by rules has changed any bit of a weight
        other than the rule weights.
    """
    logs, final, moved = rule_learning_logs(out), _final_performance(out), _moved_by_rules(out)
    curves = []
    for curve, by_seed in logs.items():
        name, target, weights = curve
        entry: dict[str, Any] = {"pretraining": name, "target": target, "learned": weights}
        entry["log"] = {seed: _thinned(log, target) for seed, log in by_seed.items()}
        entry["final"] = final[curve]
        if curve in moved:
            mean = moved[curve].mean("network")
            for measure in ("largest_change", "rms_change"):
                # digits enough for a record that is kept with the code
                values = [float(f"{value:.4g}") for value in mean[measure].values]
                entry[measure] = dict(zip(mean["rule"].values.tolist(), values, strict=True))
        curves.append(entry)
    return {
        "settings": asdict(settings or RuleLearning()),
        "left_out": left_out(out),
        "curves": curves,
    }


def _thinned(log: Log, task: str) -> list[list[float]]:
    every = -(-len(log) // MOST_POINTS)
    # always with the last row, at which training ended
    rows = [*log[:-1:every], log[-1]]
    return [[row["step"], row["performance"][task]] for row in rows]


def logs_of_record(record: Mapping[str, Any]) -> dict[Curve, dict[str, Log]]:
    """Return the logs of a record in the form of `rule_learning_logs`.

    Parameters
    ----------
    record
        From `as_record`, or from a file of ``nwbcompare rule-learning``.

    Returns
    -------
    dict
        As `rule_learning_logs`, with fewer rows.

    Examples
    --------
    >>> curve = {"pretraining": "A", "target": "fdgo", "learned": "all", "log": {"0": [[50, 0.9]]}}
    >>> logs_of_record({"curves": [curve]})["A", "fdgo", "all"]["0"][0]["performance"]
    {'fdgo': 0.9}
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
