"""Variance analyses of any activity."""

from nwbcompare.analysis.variance import (
    fractional_task_variance,
    ftv_histogram,
    task_variance,
)

__all__ = ["fractional_task_variance", "ftv_histogram", "task_variance"]
