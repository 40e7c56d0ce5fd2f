"""The clusters of units that resampling keeps together."""

from __future__ import annotations

import numpy as np
import xarray as xr

from nwbcompare.analysis.selectivity.resampling_units import resampling_units


def table(**columns):
    return {
        "unit": xr.DataArray(np.arange(6).astype(str), dims="unit"),
        **{name: xr.DataArray(values, dims="unit") for name, values in columns.items()},
    }


def test_samples_of_a_network_unit_come_before_sessions():
    sessions, network_units = np.repeat([5, 9], 3), list("aabbcc")
    code, column = resampling_units(table(session=sessions, network_unit=network_units))
    assert (code.tolist(), column) == ([0, 0, 1, 1, 2, 2], "network_unit")
    code, column = resampling_units(table(session=sessions, network_unit=["a"] * 6))
    assert (code.tolist(), column) == ([0, 0, 0, 1, 1, 1], "session")


def test_units_stand_alone_without_a_column_that_groups_them():
    for columns in ({}, {"session": np.zeros(6)}):
        code, column = resampling_units(table(**columns))
        assert (code.tolist(), column) == (list(range(6)), "unit")
