"""The accessor ``x.nwbcompare``: the same results as the functions, and when it is registered."""

from __future__ import annotations

import subprocess
import sys

import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.core.accessors import METHODS
from nwbcompare.testing import example_block


@pytest.fixture
def activity():
    block = example_block()
    other = example_block(1)
    task = ("trial", ["stop"] * block.sizes["trial"])
    other = other.assign_coords(task=task).assign_attrs(
        condition_variables='{"stop": ["direction"]}'
    )
    return nc.make_activity({"go": block, "stop": other})


def test_methods_of_trees_and_blocks_are_the_functions(activity):
    for labelled in (activity, activity["go"].to_dataset()):
        xr.testing.assert_identical(
            labelled.nwbcompare.task_variance(estimator="pooled"),
            nc.task_variance(labelled, estimator="pooled"),
        )
        assert labelled.nwbcompare.select(units=["u1"]).identical(nc.select(labelled, units=["u1"]))
    assert activity.nwbcompare.rebin(0.2).identical(nc.rebin(activity, 0.2))


def test_ftv_comes_from_a_table_or_from_an_activity(activity):
    table = activity.nwbcompare.task_variance()
    expected = nc.fractional_task_variance(table, "go", "stop")
    xr.testing.assert_identical(table.nwbcompare.fractional_task_variance("go", "stop"), expected)
    xr.testing.assert_identical(
        activity.nwbcompare.fractional_task_variance("go", "stop"), expected
    )


def test_every_method_is_a_public_function_with_its_documentation(activity):
    accessor = activity.nwbcompare
    assert set(METHODS) <= set(dir(nc))
    assert dir(accessor) == sorted([*METHODS, "fractional_task_variance"])
    for name in METHODS:
        assert getattr(accessor, name).__doc__ == getattr(nc, name).__doc__
    with pytest.raises(AttributeError, match=r"no 'decode'; it has \['align'"):
        accessor.decode  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import xarray as xr, nwbcompare; xr.Dataset().nwbcompare",
        "import nwbcompare, xarray as xr; xr.open_dataset(PATH, engine='h5netcdf').nwbcompare",
        "import nwbcompare, xarray as xr; xr.DataTree().nwbcompare",
    ],
)
def test_it_is_registered_whichever_is_imported_first(tmp_path, code):
    path = tmp_path / "a.nc"
    xr.Dataset({"a": 1.0}).to_netcdf(path, engine="h5netcdf")
    code = code.replace("PATH", repr(str(path)))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
