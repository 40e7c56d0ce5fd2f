"""Analyses of any activity: variance by task, clusters, pairs of tasks, groups, task vectors."""

from nwbcompare.analysis.clusters import cluster_units, embed_units
from nwbcompare.analysis.groups import unit_groups
from nwbcompare.analysis.pairs import median_histogram, pairwise_ftv
from nwbcompare.analysis.variance import (
    epoch_variance,
    fractional_task_variance,
    ftv_histogram,
    task_variance,
    variance_in_time,
)
from nwbcompare.analysis.vectors import (
    TASK_SETS,
    condition_vectors,
    rule_vectors,
    task_space,
    task_vectors,
)

__all__ = [
    "TASK_SETS",
    "cluster_units",
    "condition_vectors",
    "embed_units",
    "epoch_variance",
    "fractional_task_variance",
    "ftv_histogram",
    "median_histogram",
    "pairwise_ftv",
    "rule_vectors",
    "task_space",
    "task_variance",
    "task_vectors",
    "unit_groups",
    "variance_in_time",
]
