from .clusters import (
    plot_cluster_heatmap as plot_cluster_heatmap,
    plot_cluster_null as plot_cluster_null,
    plot_embedding as plot_embedding,
    plot_matched_profiles as plot_matched_profiles,
    plot_silhouette as plot_silhouette,
)
from .compositionality import (
    plot_condition_cosines as plot_condition_cosines,
    plot_cosine_controls as plot_cosine_controls,
    plot_cosine_rank as plot_cosine_rank,
    plot_cosine_ranks as plot_cosine_ranks,
    plot_rule_composition as plot_rule_composition,
)
from .confounds import (
    plot_confounds as plot_confounds,
    plot_ftv_in_time as plot_ftv_in_time,
    plot_variance_components as plot_variance_components,
)
from .ftv_distributions import (
    plot_distributions as plot_distributions,
    plot_effects as plot_effects,
)
from .learning import (
    plot_final_performance as plot_final_performance,
    plot_learning_curves as plot_learning_curves,
    plot_performance_matrix as plot_performance_matrix,
    plot_stages as plot_stages,
)
from .lesions import (
    plot_group_lesions as plot_group_lesions,
    plot_lesion_controls as plot_lesion_controls,
    plot_lesion_scatter as plot_lesion_scatter,
    plot_lesions as plot_lesions,
    plot_over_networks as plot_over_networks,
)
from .noise_correction import (
    plot_corrected_ftv as plot_corrected_ftv,
    plot_noise_share as plot_noise_share,
)
from .pairwise_ftv import (
    plot_pair as plot_pair,
    plot_pairs as plot_pairs,
    plot_shape_shares as plot_shape_shares,
)
from .permutation_nulls import (
    plot_ftv_nulls as plot_ftv_nulls,
    plot_task_variances as plot_task_variances,
)
from .psychometrics import plot_psychometric as plot_psychometric
from .ranking import (
    plot_power as plot_power,
    plot_split_half_and_families as plot_split_half_and_families,
)
from .recorded_trials import plot_mean_rates as plot_mean_rates, plot_trials as plot_trials
from .similarity import (
    plot_decoding as plot_decoding,
    plot_dissimilarity as plot_dissimilarity,
    plot_similarity as plot_similarity,
)
from .style import STYLE as STYLE, as_svg as as_svg, new_figure as new_figure, save as save
from .task_variance import (
    plot_condition_rates as plot_condition_rates,
    plot_unit_rates as plot_unit_rates,
    plot_variance_heatmap as plot_variance_heatmap,
    plot_variance_in_time as plot_variance_in_time,
)
from .task_vectors import plot_differences as plot_differences, plot_task_space as plot_task_space
from .training_regimes import plot_contrasts as plot_contrasts, plot_regimes as plot_regimes
from .unit_groups import (
    plot_group_matrix as plot_group_matrix,
    plot_group_scatter as plot_group_scatter,
    plot_inhibition as plot_inhibition,
    plot_input_tuning as plot_input_tuning,
    plot_normalised_variance as plot_normalised_variance,
    plot_output_tuning as plot_output_tuning,
    plot_rule_weights as plot_rule_weights,
    plot_weight_by_direction as plot_weight_by_direction,
)
