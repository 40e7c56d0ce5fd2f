"""Settings of reports: impossible numbers, and the number of processes."""

from __future__ import annotations

import json

import pytest
import xarray as xr
from joblib import cpu_count

import nwbcompare as nc
from nwbcompare.core.process_pool import MANY_VALUES
from nwbcompare.workflows.analyze import PARAMETERS as ANALYZE
from nwbcompare.workflows.compare import PARAMETERS as COMPARE
from nwbcompare.workflows.settings import Settings


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_permutations": 0}, "n_permutations"),
        ({"n_bootstrap": 2.5}, "n_bootstrap"),
        ({"n_draws": 0}, "n_draws"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"n_splits": 1}, "n_splits: expected a whole number of 2 or more"),
        ({"n_surrogates": 0}, "n_surrogates"),
        ({"n_unit_permutations": 0}, "n_unit_permutations"),
        ({"n_trials": 63}, "n_trials: expected a whole number of 64 or more"),
        ({"least_performance": 1.0}, "least_performance: expected a share of correct trials bel"),
        ({"seed": -1}, "seed"),
        ({"margin": 0.0}, "margin: expected a difference in s.d. of FTV above 0 and at most 1"),
        ({"margin": 1.01}, "margin"),
        ({"margin": float("nan")}, "margin"),
        ({"pair": ("a", "a")}, "pair: expected two different tasks"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, match):
    with pytest.raises(nc.InputError, match=match):
        Settings(**changes)


def test_results_do_not_depend_on_the_number_of_processes():
    assert "n_jobs" not in {*COMPARE, *ANALYZE}
    for names in (COMPARE, ANALYZE):
        assert Settings(n_jobs=1).parameters(*names) == Settings(n_jobs=2).parameters(*names)
        assert set(Settings().parameters(*names)) == set(names)
        json.dumps(Settings(margin=0.1).parameters(*names))


def test_only_large_recordings_are_worth_processes(comparison):
    small = comparison.recording
    assert Settings().jobs_for(small) == 1
    assert Settings(n_jobs=3).jobs_for(small) == 3
    block = small["a"].to_dataset()
    n = -(-MANY_VALUES // block["rate"].size)
    large = xr.concat([block] * n, dim="observation", data_vars="minimal")
    assert Settings().jobs_for(nc.make_activity({"a": large})) == cpu_count()
