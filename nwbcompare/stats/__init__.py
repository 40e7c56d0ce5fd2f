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
from nwbcompare.stats.credit import credit
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
from nwbcompare.stats.kinds import compare_kinds
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
from nwbcompare.stats.retention import (
    compare_retention,
    learning_curves,
    performance_matrix,
    performance_over_steps,
    retention_over_networks,
    trials_to,
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
    "compare_kinds",
    "compare_populations",
    "compare_retention",
    "compare_samples",
    "composition_cosine",
    "composition_over_networks",
    "composition_rank",
    "condition_label_null",
    "context_label_null",
    "credit",
    "decode",
    "describe_rotated",
    "describe_shuffled",
    "distribution_curves",
    "epairs",
    "equivalence_test",
    "group_weights",
    "implementable_classifications",
    "learning_curves",
    "lesion_statistic",
    "match_clusters",
    "mixed_effects",
    "mutual_inhibition",
    "over_networks",
    "pairing_null",
    "performance_matrix",
    "performance_over_steps",
    "plan",
    "rank_families",
    "retention_over_networks",
    "rotated_pairs",
    "rotation_control",
    "shape_shares",
    "split_floor",
    "trials_to",
    "two_one_sided",
    "weight_by_direction",
]
