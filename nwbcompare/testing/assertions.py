"""Assertions on activities, for tests of loaders, formats and analyses."""

from __future__ import annotations

import xarray as xr

from nwbcompare.core.activity import Activity, blocks


def assert_same_activity(one: Activity, two: Activity) -> None:
    """Assert that two activities are identical: leaves, values to the last bit, types, attributes.

    Parameters
    ----------
    one, two
        Activities or blocks.

    Raises
    ------
    AssertionError
        If they differ; the message has the first difference.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> assert_same_activity(example_block(), example_block())
    """
    first, second = blocks(one), blocks(two)
    assert list(first) == list(second), f"leaves {list(first)} against {list(second)}"  # noqa: S101
    for leaf, block in first.items():
        xr.testing.assert_identical(block, second[leaf])
        for name, variable in block.variables.items():
            dtype, other = variable.dtype, second[leaf][name].dtype
            # texts may differ in width, which depends on the longest value
            same = dtype == other or dtype.kind == other.kind == "U"
            assert same, f"{leaf}: {name} is {dtype} against {other}"  # noqa: S101
