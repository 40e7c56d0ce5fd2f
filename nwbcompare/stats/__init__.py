"""Nulls, controls, and inference over networks."""

from nwbcompare.stats.composition import (
    composition_cosine,
    composition_over_networks,
    composition_rank,
)
from nwbcompare.stats.inference import over_networks
from nwbcompare.stats.inhibition import group_weights, mutual_inhibition, weight_by_direction
from nwbcompare.stats.lesions import lesion_statistic
from nwbcompare.stats.nulls import condition_label_null, context_label_null, rotation_control
from nwbcompare.stats.pairs import classify_pairs, rotated_pairs, shape_shares

__all__ = [
    "classify_pairs",
    "composition_cosine",
    "composition_over_networks",
    "composition_rank",
    "condition_label_null",
    "context_label_null",
    "group_weights",
    "lesion_statistic",
    "mutual_inhibition",
    "over_networks",
    "rotated_pairs",
    "rotation_control",
    "shape_shares",
    "weight_by_direction",
]
