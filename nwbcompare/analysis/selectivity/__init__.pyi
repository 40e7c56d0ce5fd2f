from .condition_means import condition_means as condition_means
from .confounds import confound_table as confound_table, ftv_in_time as ftv_in_time
from .ftv_null import ftv_null as ftv_null
from .ftv_shapes import (
    classify_pairs as classify_pairs,
    rotated_pairs as rotated_pairs,
    shape_shares as shape_shares,
)
from .ftv_spread import (
    cross_validated_variance as cross_validated_variance,
    ftv_spread as ftv_spread,
)
from .mean_ftv import mean_ftv as mean_ftv
from .noise_correction import (
    censoring_table as censoring_table,
    corrected_ftv as corrected_ftv,
    corrected_task_variance as corrected_task_variance,
    deconvolved_ftv as deconvolved_ftv,
)
from .pairwise_ftv import median_histogram as median_histogram, pairwise_ftv as pairwise_ftv
from .permutation_nulls import (
    condition_label_null as condition_label_null,
    rotation_control as rotation_control,
)
from .rate_transforms import match_rates as match_rates, stabilise_variance as stabilise_variance
from .task_variance import (
    epoch_variance as epoch_variance,
    fractional_task_variance as fractional_task_variance,
    ftv_histogram as ftv_histogram,
    task_variance as task_variance,
    variance_in_time as variance_in_time,
)
from .trial_subsampling import subsample_trials as subsample_trials
from .tuned_share import tuned_share as tuned_share
from .unit_groups import unit_groups as unit_groups
from .variance_components import (
    ftv_by_factor as ftv_by_factor,
    variance_components as variance_components,
)
