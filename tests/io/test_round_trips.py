"""Condition variables, epochs and text come back from every format that a block is exported to."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings, strategies as st

import nwbcompare as nc
from nwbcompare.core.activity import condition_variables_of
from nwbcompare.testing.strategies import NAMES

TEXTS = st.one_of(NAMES, st.sampled_from(["", "é", "日本", "0.10", "nan", "True", "None"]))
"""Text, also such that looks like a number or a missing value."""


@st.composite
def described_blocks(draw: st.DrawFn) -> xr.Dataset:
    """Blocks with text columns, other conditions in each task, and epochs of each trial's own."""
    n_trials, n_bins, width = draw(st.integers(2, 5)), 6, 0.1
    tasks = draw(st.lists(NAMES, min_size=n_trials, max_size=n_trials))
    first = draw(st.lists(st.integers(0, 2), min_size=n_trials, max_size=n_trials))
    last = draw(st.lists(st.integers(3, 6), min_size=n_trials, max_size=n_trials))
    lacking = draw(st.sets(st.integers(1, n_trials - 1)))
    start, stop = np.array(first) * width, np.array(last) * width
    start[list(lacking)] = stop[list(lacking)] = np.nan
    sides = draw(st.lists(TEXTS, min_size=n_trials, max_size=n_trials))
    return nc.make_block(
        draw(st.integers(0, 9)) + np.arange(n_trials * n_bins * 2).reshape(n_trials, n_bins, 2),
        time_s=(np.arange(n_bins) + 0.5) * width,
        bin_width_s=width,
        aligned_to="cue",
        trials={"task": tasks, "side": sides, "level": np.arange(n_trials) % 2},
        units={"unit": ["a", "b"], "area": draw(st.lists(TEXTS, min_size=2, max_size=2))},
        epochs={"delay 1": (start, stop), "whole": (0.0, 0.6)},
        condition_variables={
            task: [["side"], ["side", "level"], []][place % 3]
            for place, task in enumerate(sorted(set(tasks)))
        },
        source="recording",
        name="toy",
    )


def by_nwb(block, folder):
    animal = {
        "NWBFile": {"session_start_time": "2020-01-01T00:00:00+00:00"},
        "Subject": {"species": "Macaca mulatta", "age": "P6Y", "sex": "M"},
    }
    return nc.open(nc.write_nwb(block, folder / "a.nwb", metadata=animal))


def by_netcdf(block, folder):
    nc.make_activity({"toy": block}).to_netcdf(folder / "a.nc", engine="h5netcdf")
    with nc.open(folder / "a.nc") as activity:
        return activity.load()


def by_neo(block, _):
    events = {"event": "cue"}
    made = nc.to_neo(block)
    return nc.from_neo(
        made, trials="segments", signal="rates", events=events, align="event", **clock(block)
    )


def by_pynapple(block, _):
    made = nc.to_pynapple(block)
    return nc.from_pynapple(made.rates, made.trials, align="event_time", **clock(block))


def clock(block) -> dict[str, Any]:
    return {"window": (0.0, 0.6), "bin": 0.1, "name": "toy"}


WAYS = {"NWB": by_nwb, "netCDF": by_netcdf, "neo": by_neo, "pynapple": by_pynapple}


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=8)
@given(block=described_blocks())
def test_conditions_epochs_and_text_go_round(tmp_path_factory, way, block):
    with warnings.catch_warnings():
        # drawn names can earn suggestions from the inspector
        warnings.simplefilter("ignore", UserWarning)
        back = WAYS[way](block, tmp_path_factory.mktemp("round"))
    (back,) = nc.blocks(back).values()
    assert condition_variables_of(back) == condition_variables_of(block)
    for name in ("task", "side", "level", "area", "unit"):
        np.testing.assert_array_equal(nc.labels(back[name]), nc.labels(block[name]))
        assert nc.labels(back[name]).dtype.kind == nc.labels(block[name]).dtype.kind
    assert back["epoch"].values.tolist() == ["delay 1", "whole"]
    for which in ("epoch_start_time", "epoch_stop_time"):
        np.testing.assert_allclose(back[which], block[which], atol=1e-9)
    np.testing.assert_array_equal(back["rate"], block["rate"])


@given(block=described_blocks())
def test_epochs_that_are_asked_for_are_added_to_those_that_came_back(block):
    made = nc.to_pynapple(block)
    back = nc.from_pynapple(
        made.rates,
        made.trials,
        align="event_time",
        conditions=["level"],
        epochs={"whole": (0.1, 0.5)},
        **clock(block),
    )["toy"].to_dataset()
    assert back["epoch"].values.tolist() == ["delay 1", "whole"]
    assert set(back["epoch_start_time"].values[:, 1]) == {0.1}
    assert all(names == ["level"] for names in condition_variables_of(back).values())
