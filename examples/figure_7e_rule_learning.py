"""Figure 7e of Yang et al. (2019): learning of a new task by its rule input alone.

Is a new task learned faster after pretraining on tasks from which it can be composed (set A for Ctx
Dly DM 1, set B for Dly Anti) than after other tasks? Either the rule inputs or all weights are
trained.

Run: ``python examples/figure_7e_rule_learning.py`` (5 s) for the results in the
repository, or with ``--record rules/rule_learning.json`` for those of ``nwbcompare rule-learning``.
"""

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np

import nwbcompare as nc
from nwbcompare.analysis.learning.retention import learning_curves
from nwbcompare.experiments.rule_learning import PRETRAINING, rule_learning_configs
from nwbcompare.experiments.rule_learning_curves import logs_of_record
from nwbcompare.plotting.learning import plot_learning_curves
from nwbcompare.plotting.style import STYLE

RECORD = Path(__file__).parents[1] / "benchmarks" / "results" / "rule_learning.json"
TRAINED_WEIGHTS = {"rules": "only rule inputs trained", "all": "all weights trained"}
LEVEL = 0.9


def main() -> None:
    """Compute the results, print them and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--record", type=Path, default=RECORD, help="file of nwbcompare rule-learning"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    arguments = parser.parse_args()
    record = json.loads(arguments.record.read_text())
    logs = logs_of_record(record)
    targets = sorted({target for _, target, _ in logs})

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(2, len(targets), (4.6 * len(targets), 6.4), sharey=True)
    for row, (weights, title) in zip(axes, TRAINED_WEIGHTS.items(), strict=True):
        for ax, target in zip(row, targets, strict=True):
            curves = {}
            for (task_set, *curve), by_seed in sorted(logs.items()):
                if curve == [target, weights]:
                    batch_size = rule_learning_configs(task_set).pretraining.batch_size
                    tasks = ", ".join(map(nc.tasks.display_name, PRETRAINING[task_set]))
                    curves[f"after {tasks}"] = learning_curves(
                        by_seed, target, n_trials_per_step=batch_size
                    )
            if curves:
                plot_learning_curves(ax, curves)
            ax.axhline(LEVEL, color="black", lw=0.6, ls=":")
            ax.set_title(f"{nc.tasks.display_name(target)}, {title}")
    for curve in record["curves"]:
        print(curve_text(curve))
    for name, reason in record["left_out"].items():
        print(f"excluded: {name} ({reason})")
    path = arguments.out / "figure_7e_rule_learning.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


def curve_text(curve: dict) -> str:
    """Describe the trials to the level and the final performance of a curve's networks."""
    # computed from the whole logs, of which the file has some rows only
    trials = curve[f"trials_to_{LEVEL:g}"].values()
    n_trials = sorted(value for value in trials if value is not None)
    when = f" (after {', '.join(f'{value:,}' for value in n_trials)} trials)" if n_trials else ""
    final = list(curve["final"].values())
    return (
        f"{curve['target']} after set {curve['pretraining']}, {TRAINED_WEIGHTS[curve['learned']]}: "
        f"{LEVEL:g} reached by {len(n_trials)} of {len(trials)} networks{when}; "
        f"final performance {np.mean(final):.3f} ({min(final):.3f} to {max(final):.3f})"
    )


if __name__ == "__main__":
    main()
