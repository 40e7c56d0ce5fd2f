"""Figure 5 of Yang et al. (2019): groups of units for two contexts, and inhibition between them.

Units vary in Ctx DM 1 only (group 1), in Ctx DM 2 only (group 2) or equally in both (group 12). The
panels are the groups, their input, recurrent and output weights, and the performance of the tasks
after lesioning each group.

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
    """Compute the results, print them and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--network", default="pretrained:all20-fast-0", help="run folder or pretrained:NAME"
    )
    parser.add_argument("--out", type=Path, default=Path("figures"), help="output folder")
    parser.add_argument(
        "--permutations", type=int, default=9999, help="permutations of group labels"
    )
    parser.add_argument(
        "--directions", type=int, default=100, help="directions of the first target"
    )
    arguments = parser.parse_args()
    network = find_network(arguments.network)
    tasks = tasks_of_network(arguments.network, network)
    if not set(CONTEXTS) <= set(tasks):
        parser.error(f"{arguments.network} lacks one of the tasks {', '.join(CONTEXTS)}")

    variance = nc.task_variance(record_test_trials(network, CONTEXTS))
    groups = nc.selectivity.unit_groups(variance, *CONTEXTS)
    sizes = dict(zip(groups["group_label"].values, groups["group_size"].values, strict=True))
    print(", ".join(f"group {label}: {size} units" for label, size in sizes.items()))

    # labels are permuted at one preferred direction, so that lateral inhibition has no effect
    weights = nc.experiments.network_weights(network)
    try:
        inhibition = nc.connectivity.mutual_inhibition(
            weights, groups, n_permutations=arguments.permutations
        )
    except nc.NotApplicableError as error:  # too few units in a group
        parser.error(str(error))
    mean = inhibition["mean_weight"]
    for start, stop in (("1", "2"), ("2", "1"), ("1", "1"), ("2", "2")):
        weight = float(mean.sel(group_from=start, group_to=stop))
        print(f"mean weight from group {start} to group {stop}: {weight:+.4f}")
    verdict = "detected" if inhibition["called_inhibition"] else "not detected"
    print(f"mutual inhibition is {verdict}, p = {float(inhibition['p_lower']):.2g}")

    label = groups["group"].values
    members = {group: np.flatnonzero(label == group) for group in sizes if sizes[group]}
    lesion_tasks = [task for task in LESIONED if task in tasks]
    lesions = nc.experiments.group_lesions(
        network, members, lesion_tasks, n_directions=arguments.directions
    )
    for task in CONTEXTS:
        intact, without_1, without_2 = (
            float(lesions["performance"].sel(task=task, lesion=lesion))
            for lesion in ("intact", "1", "2")
        )
        print(
            f"correct choices in {task}: {intact:.3f}, without group 1 {without_1:.3f}, "
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
    nc.plotting.plot_rule_weights(axes[1, 2], by_group, rules=lesion_tasks, names=NAMES)
    nc.plotting.plot_input_tuning(axes[2, 0], by_group, modality=1)
    nc.plotting.plot_input_tuning(axes[2, 1], by_group, modality=2)
    nc.plotting.plot_output_tuning(axes[2, 2], by_group)
    path = arguments.out / "figure_5_context_groups.svg"
    print(f"written: {nc.plotting.save(figure, path, overwrite=True)}")


if __name__ == "__main__":
    main()
