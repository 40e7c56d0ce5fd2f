"""A merger of recordings leaves each unit's trials, and so its variances, as they were."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given

import nwbcompare as nc
from nwbcompare.datasets import merge
from nwbcompare.testing import dense_blocks, example_block, ragged_blocks


def recorded(block: xr.Dataset) -> xr.Dataset:
    block = block.assign_attrs(source="recording", deterministic=0)
    return block.assign(rate=block["rate"].assign_attrs(units="spikes/s"))


EXAMPLE = recorded(example_block())


def rows_of(block: xr.Dataset, unit: Any) -> list[tuple[Any, ...]]:
    """Return tasks and rates of the trials of a unit with any rate."""
    place = block["unit"].values.tolist().index(unit)
    rate = block["rate"].values
    if "observation_unit" in block.coords:
        keys = block["unit_key"].values
        rows = np.flatnonzero(block["observation_unit"].values == keys[place])
        rows = rows[np.isfinite(rate[rows]).any(axis=1)]
        own = rate[rows]
    else:
        own = rate[:, :, place]
        rows = np.flatnonzero(np.isfinite(own).any(axis=1))
        own = own[rows]
    tasks = nc.labels(block["task"])[rows]
    return [(task, one.tobytes()) for task, one in zip(tasks, own, strict=True)]


@given(dense_blocks(), ragged_blocks())
def test_trials_of_units_are_those_of_their_recordings(dense: Any, ragged: Any) -> None:
    parts = {"A": recorded(dense), "B": recorded(ragged)}
    time = EXAMPLE["time"].isel(time=slice(1))
    parts = {key: part.isel(time=slice(1)).assign_coords(time=time) for key, part in parts.items()}
    parts = {
        key: part.drop_dims("epoch", errors="ignore").assign_attrs(
            condition_variables=json.dumps(
                {task: [] for task in np.unique(nc.labels(part["task"]))}
            )
        )
        for key, part in parts.items()
    }
    # a unit may have had its only rate in another bin
    assume(all(rows_of(part, unit) for part in parts.values() for unit in part["unit"].values))
    (merged,) = (leaf.to_dataset() for leaf in merge(parts).children.values())
    repeated = set(parts["A"]["unit"].values) & set(parts["B"]["unit"].values)
    for key, part in parts.items():
        for unit in part["unit"].values.tolist():
            name = f"{key} {unit}" if repeated else unit
            assert rows_of(merged, name) == rows_of(part, unit)


def test_variances_columns_and_epochs_are_those_of_the_parts() -> None:
    twice = EXAMPLE.assign(rate=(EXAMPLE["rate"] * 2).assign_attrs(units="spikes/s"))
    other = twice.assign_coords(
        unit=["v0", "v1", "v2"], reward=("trial", np.arange(8.0)), depth=("unit", [1.0, 2.0, 3.0])
    )
    merged = merge({"A": EXAMPLE, "B": other}, name="both")["both"].to_dataset()
    assert nc.labels(merged["recording"]).tolist() == ["A"] * 3 + ["B"] * 3
    assert merged["unit"].values.tolist() == ["u0", "u1", "u2", "v0", "v1", "v2"]
    np.testing.assert_array_equal(merged["depth"], [np.nan] * 3 + [1, 2, 3])
    assert np.isnan(merged["reward"].values).sum() == 24
    assert merged["epoch"].values.tolist() == ["fix1", "stim1"]
    variance = nc.task_variance(merged)["task_variance"]
    for part, units in ((EXAMPLE, slice(0, 3)), (other, slice(3, 6))):
        expected = nc.task_variance(part)["task_variance"]
        np.testing.assert_allclose(variance.isel(unit=units), expected, rtol=1e-6)
    assert set(json.loads(merged.attrs["provenance"])["merged"]) == {"A", "B"}


def test_a_merger_goes_to_a_file_and_back(tmp_path: Any) -> None:
    merged = merge({"A": EXAMPLE, "B": EXAMPLE}, name="both")
    merged.to_netcdf(tmp_path / "both.nc", engine="h5netcdf")
    nc.testing.assert_same_activity(merged, nc.open(tmp_path / "both.nc"))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"A": EXAMPLE}, "recordings: expected at least two by name, got 1"),
        ({"A": EXAMPLE, "net": example_block()}, "net: expected a recording, got a model"),
        (
            {"A": EXAMPLE, "B": EXAMPLE.isel(time=slice(3))},
            r"B: expected bins of 0.1 s from 0 to 0.5 s, as A, got bins of 0.1 s from 0 to 0.3 s",
        ),
        (
            {"A": EXAMPLE, "B": EXAMPLE.assign_attrs(condition_variables='{"go": ["correct"]}')},
            "B: conditions of task 'go': expected direction, as before it, got correct",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(parts: Any, message: str) -> None:
    with pytest.raises(nc.InputError, match=message):
        merge(parts)
