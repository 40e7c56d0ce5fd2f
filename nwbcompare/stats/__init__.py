"""Nulls, controls, and inference over networks."""

from nwbcompare.stats.clusters import cluster_null, describe_rotated, describe_shuffled
from nwbcompare.stats.comparison import (
    compare_samples,
    distribution_curves,
)
from nwbcompare.stats.composition import (
    COMPOSITIONS,
    composition_cosine,
    composition_over_networks,
    composition_rank,
    pairing_null,
)
from nwbcompare.stats.decoding import (
    decode,
    implementable_classifications,
)
from nwbcompare.stats.equivalence import (
    equivalence_test,
    two_one_sided,
)
from nwbcompare.stats.floor import (
    animal_floor,
    split_floor,
)
from nwbcompare.stats.inference import over_networks
from nwbcompare.stats.inhibition import group_weights, mutual_inhibition, weight_by_direction
from nwbcompare.stats.lesions import lesion_statistic
from nwbcompare.stats.matching import match_clusters
from nwbcompare.stats.mixed_effects import (
    mixed_effects,
)
from nwbcompare.stats.multiplicity import (
    adjust_p,
)
from nwbcompare.stats.neighbours import epairs
from nwbcompare.stats.nulls import condition_label_null, context_label_null, rotation_control
from nwbcompare.stats.pairs import classify_pairs, rotated_pairs, shape_shares
from nwbcompare.stats.planning import (
    plan,
)
from nwbcompare.stats.ranking import (
    rank_families,
)
from nwbcompare.stats.similarity import (
    compare_populations,
)
from nwbcompare.stats.stability import cluster_stability

__all__ = [
    "COMPOSITIONS",
    "adjust_p",
    "animal_floor",
    "classify_pairs",
    "cluster_null",
    "cluster_stability",
    "compare_populations",
    "compare_samples",
    "composition_cosine",
    "composition_over_networks",
    "composition_rank",
    "condition_label_null",
    "context_label_null",
    "decode",
    "describe_rotated",
    "describe_shuffled",
    "distribution_curves",
    "epairs",
    "equivalence_test",
    "group_weights",
    "implementable_classifications",
    "lesion_statistic",
    "match_clusters",
    "mixed_effects",
    "mutual_inhibition",
    "over_networks",
    "pairing_null",
    "plan",
    "rank_families",
    "rotated_pairs",
    "rotation_control",
    "shape_shares",
    "split_floor",
    "two_one_sided",
    "weight_by_direction",
]
