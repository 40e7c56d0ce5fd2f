"""The table of trials of an NWB file: any table of intervals, but never the invalid times."""

from __future__ import annotations

import numpy as np
import pytest
from lab_nwb import add_trials, add_units, lone_block, new_file, trains, written
from pynwb.epoch import TimeIntervals

import nwbcompare as nc
from nwbcompare.workflows.sources import resolve


def table(name, start=1.0, n_rows=4):
    intervals = TimeIntervals(name=name, description="x")
    intervals.add_column("task", "x")
    for row in range(n_rows):
        intervals.add_row(start_time=start + row, stop_time=start + row + 0.8, task="go")
    return intervals


def session(*names, module=(), trials=False):
    nwb = add_units(new_file(), trains())
    if trials:
        add_trials(nwb, 2)
    for place, name in enumerate(names):
        nwb.add_time_intervals(table(name, start=1.0 + place))
    if module:
        behavior = nwb.create_processing_module("behavior", "x")
        for place, name in enumerate(module):
            behavior.add(table(name, start=1.5 + place))
    nwb.add_invalid_time_interval(start_time=7.0, stop_time=7.5)
    return nwb


def test_a_lone_table_of_intervals_is_taken_and_said(tmp_path):
    for name, nwb in {"epochs": session("epochs"), "reaches": session(module=["reaches"])}.items():
        path = written(nwb, tmp_path / f"{name}.nwb")
        with pytest.warns(UserWarning, match=f"no table called trials: .* rows of '.*/{name}'"):
            block = lone_block(path, window=(0, 0.8), bin=0.1)
        named = lone_block(path, trials=name, window=(0, 0.8), bin=0.1)
        assert named.identical(block)
        np.testing.assert_array_equal(np.diff(named["start_time"]), 1)


def test_the_table_called_trials_comes_first_and_others_by_name_or_path(tmp_path):
    path = written(session("a", "b", module=["b"], trials=True), tmp_path / "a.nwb")
    assert lone_block(path, window=(0, 0.8)).sizes["trial"] == 2
    assert lone_block(path, trials="trials", window=(0, 0.8)).sizes["trial"] == 2
    starts = {"a": 1.0, "intervals/b": 2.0, "/processing/behavior/b": 1.5}
    for name, start in starts.items():
        block = lone_block(path, trials=name, window=(0, 0.8))
        assert block["start_time"][0] == start
        query = f"{path}?trials={name}&window=0,0.8"
        assert resolve(query)["day1"].to_dataset().identical(block)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, r"trials: .* got the tables intervals/a, intervals/b, processing/behavior/b\. Name"),
        ({"trials": "b"}, r"trials 'b': expected a trials table .* got the tables intervals/a, .*"),
        ({"trials": "c"}, r"trials 'c': expected a trials table .* got the tables intervals/a"),
        ({"trials": "invalid_times"}, r"of this name, not invalid_times, got the tables"),
        ({"trials": 3}, r"trials: expected the name of a table, got 3"),
    ],
)
def test_of_several_tables_one_has_to_be_named(tmp_path, options, match):
    path = written(session("a", "b", module=["b"]), tmp_path / "a.nwb")
    with pytest.raises(nc.InputError, match=match):
        nc.open(path, **options)


def test_invalid_times_alone_are_no_trials(tmp_path):
    path = written(session(), tmp_path / "a.nwb")
    with pytest.raises(nc.InputError, match=r"a trials table \(/intervals/trials\).* got none"):
        nc.open(path)
    with pytest.raises(nc.InputError, match=r"not invalid_times, got none"):
        nc.open(path, trials="invalid_times")


def test_files_of_write_nwb_know_their_tables(tmp_path):
    path = nc.write_nwb(nc.testing.example_block(), tmp_path / "a.nwb")
    for options in ({"trials": "task_epochs"}, {"transpose": True}, {"ragged": {"x": "all"}}):
        with pytest.raises(nc.InputError, match="a file of another program, got one of nwbcomp"):
            nc.open(path, **options)
