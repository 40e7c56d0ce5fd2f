"""The NWB files of a folder: those without trials or units are left out by name."""

from __future__ import annotations

import numpy as np
import pytest
from lab_nwb import add_trials, new_file, spiking, written
from pynwb import TimeSeries

import nwbcompare as nc


def behaviour(path, *, trials):
    nwb = new_file("running")
    if trials:
        add_trials(nwb)
    nwb.add_acquisition(TimeSeries(name="speed", data=np.arange(900.0), unit="m/s", rate=100.0))
    return written(nwb, path)


@pytest.mark.parametrize("trials", [False, True])
def test_files_of_behaviour_alone_are_left_out_by_name(tmp_path, trials):
    spiking(tmp_path / "a.nwb")
    behaviour(tmp_path / "b.nwb", trials=trials)
    with pytest.warns(UserWarning, match=r"1 of 2 files were left out, .*: b\.nwb$"):
        folder = nc.open(tmp_path, window=(0, 0.8))
    alone = nc.open(tmp_path / "a.nwb", window=(0, 0.8))["day1"].to_dataset()
    np.testing.assert_array_equal(next(iter(folder.children.values()))["rate"], alone["rate"])
    # who names it wants it
    with pytest.raises(nc.InputError, match=r"b\.nwb.*trials table|Open them separately"):
        nc.open([tmp_path / "a.nwb", tmp_path / "b.nwb"], window=(0, 0.8))


def test_a_folder_of_behaviour_is_read_as_such_or_refused(tmp_path):
    behaviour(tmp_path / "b.nwb", trials=True)
    assert nc.open(tmp_path, window=(0, 0.8))["running"].sizes["unit"] == 1
    behaviour(tmp_path / "c.nwb", trials=False)
    with pytest.warns(
        UserWarning, match=r"1 of 2 files were left out, since they have no trials: c"
    ):
        nc.open(tmp_path, window=(0, 0.8))
    (tmp_path / "b.nwb").unlink()
    with pytest.raises(nc.InputError, match=r"c\.nwb: trials: expected a trials table"):
        nc.open(tmp_path)


def test_a_series_that_is_named_is_looked_for_in_all_files(tmp_path):
    spiking(tmp_path / "a.nwb")
    behaviour(tmp_path / "b.nwb", trials=True)
    with pytest.raises(nc.InputError, match=r"a\.nwb: series 'speed': .* got none"):
        nc.open(tmp_path, series="speed", window=(0, 0.8))
