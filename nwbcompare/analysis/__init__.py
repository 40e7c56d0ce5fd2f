"""Analyses of any activity: variance by task, clusters, pairs of tasks, groups, task vectors."""

from nwbcompare.analysis.clusters import cluster_units, embed_units
from nwbcompare.analysis.confounds import (
    confound_table,
    ftv_in_time,
)
from nwbcompare.analysis.dispersion import (
    dispersion,
)
from nwbcompare.analysis.equalise import (
    equalise_trials,
)
from nwbcompare.analysis.factors import (
    parts_ftv,
    variance_parts,
)
from nwbcompare.analysis.groups import unit_groups
from nwbcompare.analysis.noise import (
    censoring_table,
    corrected_ftv,
    corrected_task_variance,
    shrunken_ftv,
)
from nwbcompare.analysis.pairs import median_histogram, pairwise_ftv
from nwbcompare.analysis.population import (
    dimensionality,
    dissimilarity,
    population_means,
)
from nwbcompare.analysis.transform import (
    match_rates,
    stabilise,
)
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
    "censoring_table",
    "cluster_units",
    "condition_vectors",
    "confound_table",
    "corrected_ftv",
    "corrected_task_variance",
    "dimensionality",
    "dispersion",
    "dissimilarity",
    "embed_units",
    "epoch_variance",
    "equalise_trials",
    "fractional_task_variance",
    "ftv_histogram",
    "ftv_in_time",
    "match_rates",
    "median_histogram",
    "pairwise_ftv",
    "parts_ftv",
    "population_means",
    "rule_vectors",
    "shrunken_ftv",
    "stabilise",
    "task_space",
    "task_variance",
    "task_vectors",
    "unit_groups",
    "variance_in_time",
    "variance_parts",
]
