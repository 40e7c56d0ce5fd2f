"""Figures of results: every function takes an axes, draws on it, and returns it."""

from nwbcompare.figures.clusters import (
    draw_cluster_heatmap,
    draw_cluster_null,
    draw_embedding,
    draw_matched_profiles,
    draw_silhouette,
)
from nwbcompare.figures.composition import (
    draw_condition_cosines,
    draw_cosine_controls,
    draw_cosine_rank,
    draw_cosine_ranks,
    draw_rule_composition,
)
from nwbcompare.figures.groups import (
    draw_group_matrix,
    draw_group_scatter,
    draw_inhibition,
    draw_input_tuning,
    draw_normalised_variance,
    draw_output_tuning,
    draw_rule_weights,
    draw_weight_by_direction,
)
from nwbcompare.figures.lesions import (
    draw_group_lesions,
    draw_lesion_controls,
    draw_lesion_scatter,
    draw_lesions,
    draw_over_networks,
)
from nwbcompare.figures.pairs import (
    draw_pair,
    draw_pairs,
    draw_shape_shares,
)
from nwbcompare.figures.psychometrics import (
    draw_psychometric,
)
from nwbcompare.figures.style import (
    STYLE,
    as_svg,
    new_figure,
    save,
)
from nwbcompare.figures.variance import (
    draw_unit_rates,
    draw_variance_heatmap,
    draw_variance_in_time,
)
from nwbcompare.figures.vectors import (
    draw_differences,
    draw_task_space,
)

__all__ = [
    "STYLE",
    "as_svg",
    "draw_cluster_heatmap",
    "draw_cluster_null",
    "draw_condition_cosines",
    "draw_cosine_controls",
    "draw_cosine_rank",
    "draw_cosine_ranks",
    "draw_differences",
    "draw_embedding",
    "draw_group_lesions",
    "draw_group_matrix",
    "draw_group_scatter",
    "draw_inhibition",
    "draw_input_tuning",
    "draw_lesion_controls",
    "draw_lesion_scatter",
    "draw_lesions",
    "draw_matched_profiles",
    "draw_normalised_variance",
    "draw_output_tuning",
    "draw_over_networks",
    "draw_pair",
    "draw_pairs",
    "draw_psychometric",
    "draw_rule_composition",
    "draw_rule_weights",
    "draw_shape_shares",
    "draw_silhouette",
    "draw_task_space",
    "draw_unit_rates",
    "draw_variance_heatmap",
    "draw_variance_in_time",
    "draw_weight_by_direction",
    "new_figure",
    "save",
]
