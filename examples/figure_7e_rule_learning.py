"""Figure 7e of Yang et al. (2019): a new task learned by its rule input alone.

Is the new task learned sooner after tasks that it can be composed of (set A for Ctx Dly DM 1, set
B for Dly Anti) than after others? With only the rule inputs trained, and with all weights.

Run: ``python examples/figure_7e_rule_learning.py`` (5 s) for the record that comes with the
repository, or ``--record rules/rule_learning.json`` for one that ``nwbcompare rule-learning``
wrote.
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
LEARNED = {"rules": "only rule inputs trained", "all": "all weights trained"}
LEVEL = 0.9


def main() -> None:
    """Draw the figure and say what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", type=Path, default=RECORD, help="of nwbcompare rule-learning")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    chosen = parser.parse_args()
    record = json.loads(chosen.record.read_text())
    logs = logs_of_record(record)
    targets = sorted({target for _, target, _ in logs})

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(2, len(targets), (4.6 * len(targets), 6.4), sharey=True)
    for row, (learned, title) in zip(axes, LEARNED.items(), strict=True):
        for ax, target in zip(row, targets, strict=True):
            curves = {}
            for (pretrained, *curve), by_seed in sorted(logs.items()):
                if curve == [target, learned]:
                    batch_size = rule_learning_configs(pretrained).pretraining.batch_size
                    tasks = ", ".join(map(nc.tasks.display_name, PRETRAINING[pretrained]))
                    curves[f"after {tasks}"] = learning_curves(
                        by_seed, target, n_trials_per_step=batch_size
                    )
            if curves:
                plot_learning_curves(ax, curves)
            ax.axhline(LEVEL, color="black", lw=0.6, ls=":")
            ax.set_title(f"{nc.tasks.display_name(target)}, {title}")
    for curve in record["curves"]:
        print(line(curve))
    for name, reason in record["left_out"].items():
        print(f"left out: {name} ({reason})")
    path = chosen.out / "figure_7e_rule_learning.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


def line(curve: dict) -> str:
    """Say when a curve's networks reached the level, and where they ended."""
    # from the whole logs, of which the record keeps some rows
    trials = curve[f"trials_to_{LEVEL:g}"].values()
    reached = sorted(value for value in trials if value is not None)
    when = f" (after {', '.join(f'{value:,}' for value in reached)} trials)" if reached else ""
    final = list(curve["final"].values())
    return (
        f"{curve['target']} after set {curve['pretraining']}, {LEARNED[curve['learned']]}: "
        f"{LEVEL:g} reached by {len(reached)} of {len(trials)} networks{when}; "
        f"at the end {np.mean(final):.3f} ({min(final):.3f} to {max(final):.3f})"
    )


if __name__ == "__main__":
    main()
