from .clusters import (
    draw_cluster_heatmap as draw_cluster_heatmap,
    draw_cluster_null as draw_cluster_null,
    draw_embedding as draw_embedding,
    draw_matched_profiles as draw_matched_profiles,
    draw_silhouette as draw_silhouette,
)
from .compositionality import (
    draw_condition_cosines as draw_condition_cosines,
    draw_cosine_controls as draw_cosine_controls,
    draw_cosine_rank as draw_cosine_rank,
    draw_cosine_ranks as draw_cosine_ranks,
    draw_rule_composition as draw_rule_composition,
)
from .confounds import (
    draw_confounds as draw_confounds,
    draw_ftv_in_time as draw_ftv_in_time,
    draw_variance_parts as draw_variance_parts,
)
from .ftv_distributions import (
    draw_distributions as draw_distributions,
    draw_effects as draw_effects,
)
from .lesions import (
    draw_group_lesions as draw_group_lesions,
    draw_lesion_controls as draw_lesion_controls,
    draw_lesion_scatter as draw_lesion_scatter,
    draw_lesions as draw_lesions,
    draw_over_networks as draw_over_networks,
)
from .noise_correction import (
    draw_corrected_ftv as draw_corrected_ftv,
    draw_noise_share as draw_noise_share,
)
from .pairwise_ftv import (
    draw_pair as draw_pair,
    draw_pairs as draw_pairs,
    draw_shape_shares as draw_shape_shares,
)
from .permutation_nulls import (
    draw_ftv_nulls as draw_ftv_nulls,
    draw_task_variances as draw_task_variances,
)
from .psychometrics import draw_psychometric as draw_psychometric
from .ranking import draw_floor_and_families as draw_floor_and_families, draw_power as draw_power
from .similarity import (
    draw_decoding as draw_decoding,
    draw_dissimilarity as draw_dissimilarity,
    draw_similarity as draw_similarity,
)
from .style import STYLE as STYLE, as_svg as as_svg, new_figure as new_figure, save as save
from .task_variance import (
    draw_condition_rates as draw_condition_rates,
    draw_unit_rates as draw_unit_rates,
    draw_variance_heatmap as draw_variance_heatmap,
    draw_variance_in_time as draw_variance_in_time,
)
from .task_vectors import draw_differences as draw_differences, draw_task_space as draw_task_space
from .unit_groups import (
    draw_group_matrix as draw_group_matrix,
    draw_group_scatter as draw_group_scatter,
    draw_inhibition as draw_inhibition,
    draw_input_tuning as draw_input_tuning,
    draw_normalised_variance as draw_normalised_variance,
    draw_output_tuning as draw_output_tuning,
    draw_rule_weights as draw_rule_weights,
    draw_weight_by_direction as draw_weight_by_direction,
)
