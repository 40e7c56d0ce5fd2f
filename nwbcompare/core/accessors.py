"""Accessors ``x.nwbcompare`` of xarray objects: methods that call the package's functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import xarray as xr

import nwbcompare

METHODS = (
    "align",
    "check_activity",
    "describe",
    "rebin",
    "select",
    "smooth",
    "task_variance",
    "to_neo",
    "to_numpy",
    "to_pandas",
    "to_pynapple",
    "write_nwb",
)
"""Functions of ``nwbcompare`` whose first argument is an activity or a block."""


class NwbcompareAccessor:
    """Functions of nwbcompare as methods of an activity, a block, or a table of task variance.

    ``x.nwbcompare.f(...)`` is ``nwbcompare.f(x, ...)``; nothing else is computed or stored.
    ``import nwbcompare`` registers it, before or after ``import xarray``.

    Parameters
    ----------
    labelled
        The DataTree or Dataset.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> block = example_block()
    >>> variance = block.nwbcompare.select(units=["u0", "u1"]).nwbcompare.task_variance()
    >>> dict(variance["task_variance"].sizes)["unit"]
    2
    """

    def __init__(self, labelled: xr.Dataset | xr.DataTree) -> None:
        self._labelled = labelled

    def __repr__(self) -> str:
        """Return the text of `nwbcompare.describe`, for notebooks; of a table, its methods."""
        try:
            return str(nwbcompare.describe(self._labelled))
        # also of activities that break the data model, whose errors `check_activity` gives
        except (nwbcompare.InputError, KeyError):
            return f"nwbcompare of a {type(self._labelled).__name__}: {', '.join(dir(self))}"

    def fractional_task_variance(self, task_a: str, task_b: str, **options: Any) -> xr.Dataset:
        """Compute FTV from a table of task variance, or from an activity by way of it.

        See `nwbcompare.fractional_task_variance`.
        """
        labelled = self._labelled
        is_table = isinstance(labelled, xr.Dataset) and "task_variance" in labelled
        table: Any = labelled if is_table else nwbcompare.task_variance(labelled)
        return nwbcompare.fractional_task_variance(table, task_a, task_b, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in METHODS:
            raise AttributeError(f"the accessor nwbcompare has no {name!r}; it has {dir(self)}")
        function = getattr(nwbcompare, name)
        # so that help() shows the text of the function
        return functools.wraps(function)(functools.partial(function, self._labelled))

    def __dir__(self) -> list[str]:
        return sorted([*METHODS, "fractional_task_variance"])


xr.register_dataset_accessor("nwbcompare")(NwbcompareAccessor)  # type: ignore[no-untyped-call]
xr.register_datatree_accessor("nwbcompare")(NwbcompareAccessor)  # type: ignore[no-untyped-call]
