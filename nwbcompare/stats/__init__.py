"""Nulls, controls, and inference over networks."""

from nwbcompare.stats.clusters import cluster_null, describe_rotated, describe_shuffled
from nwbcompare.stats.composition import (
    COMPOSITIONS,
    composition_cosine,
    composition_over_networks,
    composition_rank,
    pairing_null,
)
from nwbcompare.stats.inference import over_networks
from nwbcompare.stats.inhibition import group_weights, mutual_inhibition, weight_by_direction
from nwbcompare.stats.lesions import lesion_statistic
from nwbcompare.stats.matching import match_clusters
from nwbcompare.stats.neighbours import epairs
from nwbcompare.stats.nulls import condition_label_null, context_label_null, rotation_control
from nwbcompare.stats.pairs import classify_pairs, rotated_pairs, shape_shares
from nwbcompare.stats.stability import cluster_stability

__all__ = [
    "COMPOSITIONS",
    "classify_pairs",
    "cluster_null",
    "cluster_stability",
    "composition_cosine",
    "composition_over_networks",
    "composition_rank",
    "condition_label_null",
    "context_label_null",
    "describe_rotated",
    "describe_shuffled",
    "epairs",
    "group_weights",
    "lesion_statistic",
    "match_clusters",
    "mutual_inhibition",
    "over_networks",
    "pairing_null",
    "rotated_pairs",
    "rotation_control",
    "shape_shares",
    "weight_by_direction",
]
