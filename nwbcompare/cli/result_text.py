"""Results of task variance as text: what holds of all units first, then the first rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD, ftv_histogram

MOST_ROWS = 10
"""Rows that are printed where not all are asked for."""


def variance_text(result: xr.Dataset, *, every: bool) -> str:
    """Return the medians of the tasks, the share of active units, and the most variable units.

    Parameters
    ----------
    result
        From `nwbcompare.task_variance`.
    every
        Whether to list all units, in their order.
    """
    table = result["task_variance"].to_pandas()
    total = table.sum(axis="columns", min_count=1)
    active = total > ACTIVE_THRESHOLD
    medians = ", ".join(f"{value:.4g} in {task}" for task, value in table.median().items())
    summary = (
        f"{result.attrs['name']}: {len(table)} units, {int(active.sum())} active "
        f"({active.mean():.0%}; summed task variance above {ACTIVE_THRESHOLD:g}).\n"
        f"Task variance, median over units: {medians}."
    )
    return f"{summary}\n{_rows(table, total, 'largest summed task variance', every=every)}"


def ftv_text(result: xr.Dataset, *, every: bool) -> str:
    """Return median, mean, s.d. and histogram of FTV, and the most selective units.

    Parameters
    ----------
    result
        From `nwbcompare.fractional_task_variance`.
    every
        Whether to list all units, in their order.
    """
    values = result["fractional_task_variance"].to_pandas()
    n_active = int(result["active"].sum())
    task_a, task_b = result.attrs["task_a"], result.attrs["task_b"]
    summary = (
        f"{result.attrs['name']}, FTV of {task_a} (1) and {task_b} (-1): {n_active} active of "
        f"{len(values)} units ({n_active / len(values):.0%}): median {values.median():.4f}, mean "
        f"{values.mean():.4f}, s.d. {values.std(ddof=0):.4f}\n"
        f"histogram, 20 bins on [-1, 1]: {' '.join(map(str, ftv_histogram(result)))}"
    )
    table = values.to_frame("FTV")
    return f"{summary}\n{_rows(table, values.abs(), 'largest |FTV|', every=every)}"


def _rows(table: pd.DataFrame, order: pd.Series, what: str, *, every: bool) -> str:
    if every or len(table) <= MOST_ROWS:
        return str(table.to_string())
    largest = np.argsort(-order.fillna(-np.inf).to_numpy(), kind="stable")[:MOST_ROWS]
    head = f"The {MOST_ROWS} units of the {what} (all: --all):"
    return f"{head}\n{table.iloc[largest].to_string()}"
