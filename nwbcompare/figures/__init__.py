"""Figures of results: every function takes an axes, draws on it, and returns it."""

from nwbcompare.figures.clusters import (
    draw_cluster_heatmap,
    draw_cluster_null,
    draw_embedding,
    draw_matched_profiles,
    draw_silhouette,
)
from nwbcompare.figures.comparison import (
    draw_distributions,
    draw_effects,
)
from nwbcompare.figures.composition import (
    draw_condition_cosines,
    draw_cosine_controls,
    draw_cosine_rank,
    draw_cosine_ranks,
    draw_rule_composition,
)
from nwbcompare.figures.factors import (
    draw_confounds,
    draw_ftv_in_time,
    draw_variance_parts,
)
from nwbcompare.figures.ftv import (
    draw_ftv_nulls,
    draw_task_variances,
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
from nwbcompare.figures.noise import (
    draw_corrected_ftv,
    draw_noise_share,
)
from nwbcompare.figures.pairs import (
    draw_pair,
    draw_pairs,
    draw_shape_shares,
)
from nwbcompare.figures.psychometrics import (
    draw_psychometric,
)
from nwbcompare.figures.ranking import (
    draw_floor_and_families,
    draw_power,
)
from nwbcompare.figures.similarity import (
    draw_decoding,
    draw_dissimilarity,
    draw_similarity,
)
from nwbcompare.figures.style import (
    STYLE,
    as_svg,
    new_figure,
    save,
)
from nwbcompare.figures.variance import (
    draw_condition_rates,
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
    "draw_condition_rates",
    "draw_confounds",
    "draw_corrected_ftv",
    "draw_cosine_controls",
    "draw_cosine_rank",
    "draw_cosine_ranks",
    "draw_decoding",
    "draw_differences",
    "draw_dissimilarity",
    "draw_distributions",
    "draw_effects",
    "draw_embedding",
    "draw_floor_and_families",
    "draw_ftv_in_time",
    "draw_ftv_nulls",
    "draw_group_lesions",
    "draw_group_matrix",
    "draw_group_scatter",
    "draw_inhibition",
    "draw_input_tuning",
    "draw_lesion_controls",
    "draw_lesion_scatter",
    "draw_lesions",
    "draw_matched_profiles",
    "draw_noise_share",
    "draw_normalised_variance",
    "draw_output_tuning",
    "draw_over_networks",
    "draw_pair",
    "draw_pairs",
    "draw_power",
    "draw_psychometric",
    "draw_rule_composition",
    "draw_rule_weights",
    "draw_shape_shares",
    "draw_silhouette",
    "draw_similarity",
    "draw_task_space",
    "draw_task_variances",
    "draw_unit_rates",
    "draw_variance_heatmap",
    "draw_variance_in_time",
    "draw_variance_parts",
    "draw_weight_by_direction",
    "new_figure",
    "save",
]
