"""Nulls and controls."""

from nwbcompare.stats.nulls import condition_label_null, context_label_null, rotation_control

__all__ = ["condition_label_null", "context_label_null", "rotation_control"]
