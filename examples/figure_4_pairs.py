"""Figure 4 of Yang et al. (2019): distributions of FTV for all pairs of tasks.

The fractional task variance (FTV) of a unit is 1 if it varies in the first task of the pair only,
and -1 if it varies in the second only. The distribution of each pair is assigned one of five shapes
or left undecided, and drawn beside that of random rotations of the units, as in the paper.

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
    """Compute the results, print them and draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", default="pretrained:all20-fast-0", help="run folder or pretrained:NAME"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    parser.add_argument("--rotations", type=int, default=1000, help="random rotations of the units")
    arguments = parser.parse_args()

    activity = resolve(arguments.network)
    variance = nc.task_variance(activity)
    n_tasks = variance.sizes["task"]
    if n_tasks < 2:
        parser.error(f"{arguments.network} has one task only, so there is no pair of tasks")
    pairs = nc.selectivity.pairwise_ftv(variance)
    shapes = nc.selectivity.classify_pairs(pairs)
    names = [str(name) for name in shapes["candidate"].values]
    for name in [*names, "undecided"]:
        print(f"{name}: {int((shapes['shape'] == name).sum())} of {pairs.sizes['pair']} pairs")

    rotated = nc.selectivity.rotated_pairs(activity, n_rotations=arguments.rotations)
    sd, sd_rotated = (float(rotated[name].mean()) for name in ("observed_sd", "ftv_sd"))
    print(f"mean s.d. of FTV over pairs: units {sd:.2f}, rotated units {sd_rotated:.2f}")

    mpl.rcParams.update(STYLE)
    side = 2.5 + 0.42 * n_tasks
    figure, axes = nc.plotting.new_figure(1, 1, (side, side))
    nc.plotting.plot_pairs(axes[0, 0], pairs, shapes, rotated, names=NAMES)
    path = arguments.out / "figure_4_pairs.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")

    # for each shape that occurs, the pair with the smallest p value
    examples = {}
    for name in names:
        candidates = shapes.isel(pair=shapes["shape"].values == name)
        if candidates.sizes["pair"]:
            best = candidates["p_value"].sel(candidate=name).argmin("pair")
            examples[name] = str(candidates["pair"].values[int(best)])
            print(f"typical pair, {name}: {examples[name]}")
    if examples:
        figure, axes = nc.plotting.new_figure(1, len(examples), (3.7 * len(examples), 3.2))
        for ax, (name, pair) in zip(axes[0], examples.items(), strict=True):
            nc.plotting.plot_pair(ax, pairs, pair, rotated, NAMES, SHAPE_COLOURS[name])
            ax.set_title(name)
        path = arguments.out / "figure_4_typical_pairs.svg"
        print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
