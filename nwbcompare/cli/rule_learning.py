"""Command ``nwbcompare rule-learning``."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np

from nwbcompare.cli.terminal import echo

LEVEL = 0.9
RECORD = "rule_learning.json"


@click.command()
@click.option("--networks", default=4, help="Networks of each set of tasks.")
@click.option(
    "--out", required=True, type=click.Path(), help="Folder of the run folders and of the results."
)
@click.option("--jobs", default=1, help="Parallel processes, each with one thread.")
@click.option("--units", "n_units", default=128, help="Hidden units.")
@click.option(
    "--pretraining-steps",
    default=31_250,
    help="Maximum number of steps (64 trials) on the first tasks.",
)
@click.option(
    "--learning-steps", default=15_625, help="Maximum number of steps (64 trials) on the new task."
)
@click.option(
    "--pretraining-target",
    default=0.97,
    help="Performance of the worst first task at which pretraining ends.",
)
@click.option(
    "--learning-target", default=0.97, help="Performance of the new task at which training ends."
)
@click.option("--evaluation-trials", default=512, help="Trials per task of an evaluation.")
def rule_learning(networks: int, out: str, jobs: int, **options: Any) -> None:
    """Train pretrained networks on a new task by its rule input alone.

    Networks first learn set A (contextdm1, contextdm2, contextdelaydm2) or set B (fdgo, fdanti,
    delaygo), then contextdelaydm1 or delayanti, with either the rule inputs or all weights trained
    (Yang et al. 2019, Fig. 7e). The same command continues an interrupted run. At the published
    lengths a network may take hours.

    \b
    Examples:
      nwbcompare rule-learning --networks 4 --out rules
      nwbcompare rule-learning --networks 3 --learning-steps 2000 --evaluation-trials 128 \\
        --out rules
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.core.files import written_aside  # noqa: PLC0415
    from nwbcompare.experiments.rule_learning import RuleLearning, learn_rules  # noqa: PLC0415
    from nwbcompare.experiments.rule_learning_curves import as_record  # noqa: PLC0415 - imports torch

    settings = RuleLearning(**options)
    left_out = learn_rules(out, n_networks=networks, settings=settings, n_jobs=jobs)
    record = as_record(out, settings=settings)
    _add_summary(record, out)
    path = Path(out) / RECORD
    # a summary of the run folders, computed anew by every call
    with written_aside(path, overwrite=True) as aside:
        aside.write_text(json.dumps(record) + "\n")
    for curve in record["curves"]:
        echo(_line(curve))
    for curve in record["curves"]:
        if "largest_change" in curve:
            echo(_weight_change_text(curve))
    for name, reason in left_out.items():
        echo(f"Left out: {name} ({reason})")
    echo(f"Record: {path}")


def _add_summary(record: dict[str, Any], out: str) -> None:
    """Add to every curve the trials to a level and the mean final performance of its networks."""
    from nwbcompare.analysis.learning.retention import learning_curves, trials_to  # noqa: PLC0415
    from nwbcompare.experiments.rule_learning import rule_learning_configs  # noqa: PLC0415
    from nwbcompare.experiments.rule_learning_curves import rule_learning_logs  # noqa: PLC0415 - imports torch
    from nwbcompare.inference.networks import over_networks  # noqa: PLC0415

    logs, batch_size = rule_learning_logs(out), rule_learning_configs("A").pretraining.batch_size
    for curve in record["curves"]:
        by_seed = logs[curve["pretraining"], curve["target"], curve["learned"]]
        curves = learning_curves(by_seed, curve["target"], n_trials_per_step=batch_size)
        n_trials = trials_to(curves, LEVEL)
        curve[f"trials_to_{LEVEL:g}"] = {
            # JSON has no NaN
            str(seed): None if np.isnan(trials) else int(trials)
            for seed, trials in zip(n_trials["network"].values, n_trials.values, strict=True)
        }
        with warnings.catch_warnings():
            # the printed line states that there is no interval
            warnings.filterwarnings("ignore", "One network", UserWarning)
            mean = over_networks(curve["final"])
        for name in ("mean", "mean_low", "mean_high"):
            value = float(mean[name])
            curve[f"final_{name}"] = None if np.isnan(value) else round(value, 4)


def _line(curve: dict[str, Any]) -> str:
    low, high = curve["final_mean_low"], curve["final_mean_high"]
    interval = "no interval" if low is None else f"95 % {low:.3f} to {high:.3f}"
    n_trials = [np.inf if t is None else t for t in curve[f"trials_to_{LEVEL:g}"].values()]
    # infinite if half of the networks did not reach the level
    median = np.median(n_trials)
    when = f", median {median:,.0f} trials" if np.isfinite(median) else ""
    return (
        f"{curve['target']} after set {curve['pretraining']}, learning {curve['learned']}: "
        f"{LEVEL:g} reached by {np.isfinite(n_trials).sum()} of {len(n_trials)}{when}; "
        f"final performance {curve['final_mean']:.3f} ({interval})"
    )


def _weight_change_text(curve: dict[str, Any]) -> str:
    rows = dict(curve["largest_change"])
    target_row = rows.pop(curve["target"])
    return (
        f"{curve['target']} after set {curve['pretraining']}: only rule weights have changed; "
        f"largest change of the task's own row {target_row:.3g}, of the "
        f"{len(rows)} other rows {min(rows.values()):.3g} to {max(rows.values()):.3g} "
        "(means over networks)"
    )
