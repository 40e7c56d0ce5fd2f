"""Figure 4 of Yang et al. (2019): how any two tasks share the units that serve them.

The fractional task variance of every unit in every pair of tasks: 1 where it varies in the one
task only, -1 where it varies in the other only. Each pair's distribution has one of five typical
shapes, or is left undecided; random mixtures of the units show what none of it would look like.

Run: ``python examples/figure_4_pairs.py [--network pretrained:all20-fast-0]`` (30 s).
"""

import argparse
from pathlib import Path

import matplotlib as mpl

import nwbcompare as nc
from nwbcompare.plotting.pairwise_ftv import SHAPE_COLOURS
from nwbcompare.plotting.style import STYLE
from nwbcompare.workflows.sources import resolve

NAMES = {task: nc.tasks.display_name(task) for task in nc.tasks.RULES}


def main() -> None:
    """Draw the figures and say what they show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="pretrained:all20-fast-0", help="or a run folder")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figures")
    parser.add_argument("--rotations", type=int, default=1000, help="random mixtures of the units")
    chosen = parser.parse_args()

    activity = resolve(chosen.network)
    variance = nc.task_variance(activity)
    n_tasks = variance.sizes["task"]
    if n_tasks < 2:
        parser.error(f"{chosen.network} has one task only, and so no pair")
    pairs = nc.selectivity.pairwise_ftv(variance)
    shapes = nc.selectivity.classify_pairs(pairs)
    kinds = [str(kind) for kind in shapes["candidate"].values]
    for kind in [*kinds, "undecided"]:
        print(f"{kind}: {int((shapes['shape'] == kind).sum())} of {pairs.sizes['pair']} pairs")

    rotated = nc.selectivity.rotated_pairs(activity, n_rotations=chosen.rotations)
    beyond = int((rotated["p_value"] < 0.05).sum())
    print(f"FTV spreads more widely than in mixtures of the units in {beyond} pairs (p < 0.05)")

    mpl.rcParams.update(STYLE)
    side = 2.5 + 0.42 * n_tasks
    figure, axes = nc.plotting.new_figure(1, 1, (side, side))
    nc.plotting.plot_pairs(axes[0, 0], pairs, shapes, rotated, names=NAMES)
    path = chosen.out / "figure_4_pairs.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")

    # one pair of each shape that is there, large: the one that is decided most clearly
    typical = {}
    for kind in kinds:
        alike = shapes.isel(pair=shapes["shape"].values == kind)
        if alike.sizes["pair"]:
            clearest = alike["p_value"].sel(candidate=kind).argmin("pair")
            typical[kind] = str(alike["pair"].values[int(clearest)])
            print(f"typically {kind}: {typical[kind]}")
    if typical:
        figure, axes = nc.plotting.new_figure(1, len(typical), (3.7 * len(typical), 3.2))
        for ax, (kind, pair) in zip(axes[0], typical.items(), strict=True):
            nc.plotting.plot_pair(ax, pairs, pair, rotated, NAMES, SHAPE_COLOURS[kind])
            ax.set_title(kind)
        path = chosen.out / "figure_4_typical_pairs.svg"
        print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
