"""Tables and plain arrays hold what the activity holds, and optional packages stay so."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given

import nwbcompare as nc
from nwbcompare.core.schema import InvalidActivityError
from nwbcompare.io import to_numpy, to_pandas
from nwbcompare.io.columns import columns_of_records, plain_column, table_columns
from nwbcompare.testing import broken_blocks, dense_blocks, example_block, ragged_blocks


@given(dense_blocks())
def test_dense_arrays_make_the_block_again(block):
    arrays = to_numpy(block)
    again = nc.make_block(
        arrays.rate,
        time_s=arrays.time_s,
        bin_width_s=block["time"].attrs["bin_width_s"],
        aligned_to="trial start",
        trials=arrays.trials,
        units=arrays.units,
        condition_variables={},
        source="model",
        name="again",
    )
    assert arrays.observation_unit is None
    assert_same_data(again, block)


@given(ragged_blocks())
def test_ragged_arrays_make_the_block_again(block):
    # a selection leaves keys that are no places any more
    block = nc.select(block, units=[str(block["unit"].values[-1])])
    arrays = to_numpy(nc.make_activity({"leaf": block}))
    assert set(arrays.observation_unit) == {0}
    assert "observation_unit" not in arrays.trials
    assert "unit_key" not in arrays.units
    np.testing.assert_array_equal(arrays.rate, block["rate"])
    np.testing.assert_array_equal(arrays.trials["task"], nc.labels(block["task"]))


def assert_same_data(one, two):
    np.testing.assert_array_equal(one["rate"], two["rate"])
    for name, column in two.coords.items():
        if "epoch" not in str(name):
            np.testing.assert_array_equal(nc.labels(one[name]), nc.labels(column))
            assert nc.labels(one[name]).dtype == nc.labels(column).dtype


@given(dense_blocks())
def test_a_tidy_table_has_a_row_for_each_rate(block):
    table = to_pandas(block)
    assert len(table) == block["rate"].size
    indexed = table.set_index(["trial", "time", "unit"])["rate"]
    np.testing.assert_array_equal(
        indexed.to_numpy().reshape(block["rate"].shape), block["rate"].values
    )
    row = table.iloc[len(table) // 2]
    cell = block.isel(trial=row["trial"]).sel(time=row["time"], unit=row["unit"])
    np.testing.assert_array_equal(row["rate"], cell["rate"])
    assert row["task"] == nc.labels(block["task"])[row["trial"]]
    assert row["area"] == cell["area"]
    assert table["correct"].dtype == bool


@given(ragged_blocks())
def test_a_tidy_table_of_observations(block):
    table = to_pandas(block)
    assert len(table) == block["rate"].size
    rate = table["rate"].to_numpy().reshape(block["rate"].shape)
    np.testing.assert_array_equal(rate, block["rate"])
    unit = block["unit"].values[block["observation_unit"].values]
    np.testing.assert_array_equal(table["unit"].astype(str)[:: block.sizes["time"]], unit)


def test_means_of_the_table_are_those_of_the_analysis():
    block = example_block()
    table = to_pandas(block)
    means = table.groupby(["unit", "direction", "time"], observed=True)["rate"].mean()
    expected = nc.selectivity.condition_means(block)["rate_mean"]
    np.testing.assert_allclose(means.to_numpy().reshape(3, 4, 5), expected, rtol=1e-6)


def test_blocks_are_joined():
    one = example_block()
    two = one.isel(time=slice(3)).drop_vars("direction")
    two = two.assign_coords(task=("trial", np.zeros(8, "i4"), {"categories": '["stop"]'}))
    two = two.assign_attrs(condition_variables='{"stop": []}')
    table = to_pandas(nc.make_activity({"a": one, "b": two}))
    assert table.groupby("block", observed=True).size().to_dict() == {"a": 120, "b": 72}
    assert set(table["task"].cat.categories) == {"go", "stop"}
    assert table["direction"].isna().sum() == 72
    with pytest.raises(nc.InputError, match="to_numpy: expected one block, got 2 blocks: a, b"):
        to_numpy(nc.make_activity({"a": one, "b": two}))


@given(broken_blocks())
def test_broken_blocks_are_refused(drawn):
    block, words = drawn
    for convert in (to_numpy, to_pandas):
        with pytest.raises(InvalidActivityError) as caught:
            convert(block)
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        ([1, 2], [1, 2], "i"),
        (np.array([1, 2], "i2"), [1, 2], "i"),
        ([True, False], [True, False], "b"),
        ([True, None], [1.0, np.nan], "f"),
        (np.array([True, False], object), [True, False], "b"),
        ([b"a", b"b"], ["a", "b"], "U"),
        (["a", None], ["a", ""], "U"),
        (["a", np.nan], ["a", ""], "U"),
        (np.array(["a", np.nan, 1], object), ["a", "", "1"], "U"),
        (pd.Series(["a", None]), ["a", ""], "U"),
        (pd.Series([1, None], dtype="Int64"), [1.0, np.nan], "f"),
        (pd.Series([True, False], dtype="boolean"), [True, False], "b"),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"], "U"),
        (np.array([np.datetime64("2026-01-01"), np.datetime64("NaT")]), ["2026-01-01", ""], "U"),
        (np.array([], object), [], "f"),
    ],
)
def test_columns_become_plain(values, expected, kind):
    column = plain_column(values)
    assert column.dtype.kind == kind
    np.testing.assert_array_equal(column, expected)


def test_tables_are_checked():
    frame = pd.DataFrame({"rule": ["a", "b"], "x/y": [1, 2]}, index=[5, 9])
    columns = table_columns(frame, 2, "trial")
    assert {k: v.tolist() for k, v in columns.items()} == {"rule": ["a", "b"], "x_y": [1, 2]}
    assert list(table_columns({"unit": [1], "rate": [2.0]}, 1, "unit")) == ["unit", "unit_rate"]
    with pytest.raises(nc.InputError, match=r"trials\['rule'\]: expected 3 values, one for each"):
        table_columns(frame, 3, "trial")
    with pytest.raises(nc.InputError, match="units: expected columns by name.*got list"):
        table_columns([1, 2], 2, "unit")
    records = [{"a": 1}, {"b": "x", "c": np.arange(3)}]
    assert list(columns_of_records(records, "trial")) == ["a", "b"]


def test_nothing_optional_is_imported_before_it_is_used():
    # old versions of xarray import scipy.io themselves
    code = (
        "import sys, xarray; before = set(sys.modules); import nwbcompare.io as e; "
        "from nwbcompare.testing import example_block; e.to_numpy(example_block()); "
        "print([m for m in ('neo', 'pynapple', 'pandas.io', 'scipy.io', 'torch', 'pynwb') "
        "if m in set(sys.modules) - before])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert [
        m for m in ("neo", "pynapple", "scipy.io", "torch", "pynwb") if f"'{m}'" in result.stdout
    ] == []


def test_a_dataset_of_a_lazy_activity_is_read():
    block = example_block()
    lazy = block.assign(rate=block["rate"].copy(data=block["rate"].values)).chunk({"unit": 1})
    assert isinstance(lazy, xr.Dataset)
    np.testing.assert_array_equal(to_numpy(lazy).rate, block["rate"])
