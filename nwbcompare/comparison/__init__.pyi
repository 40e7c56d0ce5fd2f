from .animal_distance import (
    distance_beside_animal as distance_beside_animal,
    match_animals as match_animals,
)
from .attribution import attribution as attribution
from .compare_samples import (
    compare_samples as compare_samples,
    distribution_curves as distribution_curves,
)
from .condition_match import (
    ConditionMatch as ConditionMatch,
    match_conditions as match_conditions,
)
from .equivalence import (
    animal_margin as animal_margin,
    equivalence_test as equivalence_test,
    two_one_sided as two_one_sided,
)
from .mapping_check import check_mapping as check_mapping
from .mapping_draft import draft_mapping as draft_mapping
from .matched_sampling import (
    MatchedSampler as MatchedSampler,
    sample_like as sample_like,
)
from .model_response import (
    ModelResponse as ModelResponse,
    activity_response as activity_response,
    network_response as network_response,
)
from .power import (
    Grouping as Grouping,
    TrialNoise as TrialNoise,
    power_analysis as power_analysis,
    trial_noise as trial_noise,
)
from .protocol_mapping import (
    ProtocolMapping as ProtocolMapping,
    mapping_names as mapping_names,
    read_mapping as read_mapping,
)
from .protocols import (
    MatchedProtocol as MatchedProtocol,
    record_matched as record_matched,
    simulate_recording as simulate_recording,
)
from .ranking import rank_families as rank_families
from .recorded_trials import RecordedTrials as RecordedTrials
from .spike_variability import dispersion as dispersion
from .split_half import (
    between_animal_distance as between_animal_distance,
    split_half_distance as split_half_distance,
)
from .stimulus_units import stimulus_units as stimulus_units
from .training_regimes import compare_regimes as compare_regimes
