"""Figure 5 of Yang et al. (2019): two groups of units, one for each context, inhibit each other.

Units that vary in Ctx DM 1 alone (group 1), in Ctx DM 2 alone (group 2) or alike in both (12);
what flows into them, between them and out of them; and what the tasks lose without each group.

Run: ``python examples/figure_5_context_groups.py [--network pretrained:all20-fast-0]`` (15 s).
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

import nwbcompare as nc
from nwbcompare.plotting.style import STYLE
from nwbcompare.workflows.sources import find_network, record_test_trials, tasks_of_network

CONTEXTS = ("contextdm1", "contextdm2")
LESIONED = ("dm1", "dm2", *CONTEXTS, "multidm")
NAMES = {task: nc.tasks.display_name(task) for task in nc.tasks.RULES}


def main() -> None:
    """Draw the figure and say what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="pretrained:all20-fast-0", help="or a run folder")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figure")
    parser.add_argument("--permutations", type=int, default=9999, help="of the groups")
    parser.add_argument("--directions", type=int, default=100, help="of the first target")
    chosen = parser.parse_args()
    network = find_network(chosen.network)
    tasks = tasks_of_network(chosen.network, network)
    if not set(CONTEXTS) <= set(tasks):
        parser.error(f"{chosen.network} lacks one of the tasks {', '.join(CONTEXTS)}")

    variance = nc.task_variance(record_test_trials(network, CONTEXTS))
    groups = nc.selectivity.unit_groups(variance, *CONTEXTS)
    sizes = dict(zip(groups["group_label"].values, groups["group_size"].values, strict=True))
    print(", ".join(f"group {label}: {size} units" for label, size in sizes.items()))

    # lateral inhibition alone would not tell groups apart at one preferred direction
    weights = nc.experiments.network_weights(network)
    try:
        inhibition = nc.connectivity.mutual_inhibition(
            weights, groups, n_permutations=chosen.permutations
        )
    except nc.NotApplicableError as error:  # too few units in a group
        parser.error(str(error))
    mean = inhibition["mean_weight"]
    for start, stop in (("1", "2"), ("2", "1"), ("1", "1"), ("2", "2")):
        weight = float(mean.sel(group_from=start, group_to=stop))
        print(f"mean weight from group {start} to group {stop}: {weight:+.4f}")
    called = "is" if inhibition["called_inhibition"] else "is not"
    print(f"this {called} mutual inhibition, p = {float(inhibition['p_lower']):.2g}")

    label = groups["group"].values
    members = {one: np.flatnonzero(label == one) for one in sizes if sizes[one]}
    asked = [task for task in LESIONED if task in tasks]
    lesions = nc.experiments.group_lesions(network, members, asked, n_directions=chosen.directions)
    for task in CONTEXTS:
        intact, without_1, without_2 = (
            float(lesions["performance"].sel(task=task, lesion=one)) for one in ("intact", "1", "2")
        )
        print(
            f"right choices in {task}: {intact:.3f}, without group 1 {without_1:.3f}, "
            f"without group 2 {without_2:.3f}"
        )

    mpl.rcParams.update(STYLE)
    figure, axes = nc.plotting.new_figure(3, 3, (13, 11.5))
    by_group = nc.connectivity.group_weights(weights, groups)
    by_direction = nc.connectivity.weight_by_direction(weights, groups)
    nc.plotting.plot_group_scatter(axes[0, 0], groups, names=NAMES)
    nc.plotting.plot_normalised_variance(axes[0, 1], groups, names=NAMES)
    nc.plotting.plot_group_lesions(axes[0, 2], lesions, names=NAMES)
    axes[0, 2].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    nc.plotting.plot_group_matrix(axes[1, 0], by_group)
    nc.plotting.plot_weight_by_direction(axes[1, 1], by_direction)
    nc.plotting.plot_rule_weights(axes[1, 2], by_group, rules=asked, names=NAMES)
    nc.plotting.plot_input_tuning(axes[2, 0], by_group, modality=1)
    nc.plotting.plot_input_tuning(axes[2, 1], by_group, modality=2)
    nc.plotting.plot_output_tuning(axes[2, 2], by_group)
    path = chosen.out / "figure_5_context_groups.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
