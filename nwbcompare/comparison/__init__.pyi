from .attribution import credit as credit
from .compare_samples import (
    compare_samples as compare_samples,
    distribution_curves as distribution_curves,
)
from .equivalence import equivalence_test as equivalence_test, two_one_sided as two_one_sided
from .matched_sampling import sample_like as sample_like
from .power import plan as plan
from .protocol_mapping import ProtocolMapping as ProtocolMapping, read_mapping as read_mapping
from .protocols import (
    MatchedProtocol as MatchedProtocol,
    record_matched as record_matched,
    simulate_recording as simulate_recording,
)
from .ranking import rank_families as rank_families
from .spike_variability import dispersion as dispersion
from .split_half import animal_floor as animal_floor, split_floor as split_floor
from .training_regimes import compare_kinds as compare_kinds
