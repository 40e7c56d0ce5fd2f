"""Settings of a comparison: what cannot be is refused, processes do not count."""

from __future__ import annotations

import json

import pytest
import xarray as xr
from joblib import cpu_count

import nwbcompare as nc
from nwbcompare.core.process_pool import MANY_VALUES
from nwbcompare.workflows.compare_settings import Settings


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_permutations": 0}, "n_permutations"),
        ({"n_bootstrap": 2.5}, "n_bootstrap"),
        ({"n_draws": 0}, "n_draws"),
        ({"n_workers": 0}, "n_workers"),
        ({"seed": -1}, "seed"),
        ({"margin": 0.0}, "margin: expected a difference in s.d. of FTV between 0 and 1"),
        ({"margin": 1.0}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"pair": ("a", "a")}, "pair: expected two different tasks"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, match):
    with pytest.raises(nc.InputError, match=match):
        Settings(**changes)


def test_processes_are_no_part_of_what_results_depend_on():
    assert Settings(n_workers=1).parameters() == Settings(n_workers=2).parameters()
    assert "n_workers" not in Settings().parameters()
    json.dumps(Settings(margin=0.1).parameters())


def test_only_large_recordings_are_worth_processes(measurements):
    small = measurements.recording
    assert Settings().workers_for(small) == 1
    assert Settings(n_workers=3).workers_for(small) == 3
    block = small["a"].to_dataset()
    n = -(-MANY_VALUES // block["rate"].size)
    large = xr.concat([block] * n, dim="observation", data_vars="minimal")
    assert Settings().workers_for(nc.make_activity({"a": large})) == cpu_count()
