"""Share of task variance that is tuning: simulated truth, bounds, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.analysis.selectivity.tuned_share import tuned_share
from nwbcompare.core.errors import InputError


def variances(corrected, uncorrected):
    rows = ("unit", "task")
    return xr.Dataset(
        {"task_variance": (rows, corrected), "uncorrected": (rows, uncorrected)},
        {"unit": np.arange(len(corrected)), "task": ["a", "b"]},
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_mean_over_units_is_the_true_share(share):
    rng = np.random.default_rng(1)
    # two tasks of 40 conditions: tuned and noise variances are chi-squared with 78 degrees
    tuning = np.sqrt(share) * rng.standard_normal((500, 2, 40))
    noise = np.sqrt(1 - share) * rng.standard_normal((500, 2, 40))
    raw = (tuning + noise).var(axis=2)
    corrected = raw - (1 - share) * 39 / 40
    found = tuned_share(variances(corrected, raw), "a", "b")
    expected = share if share else 0.06
    assert found.mean().item() == pytest.approx(expected, abs=0.02)
    assert ((found >= 0) & (found <= 1)).all()


def test_silent_units_have_none_and_unknown_ones_are_nan():
    found = tuned_share(
        variances([[0.0, 0.0], [np.nan, 1.0], [1.0, 1.0]], [[0.0, 0.0], [np.nan, 2.0], [1.0, 1.0]]),
        "b",
        "a",
    )
    np.testing.assert_array_equal(found, [0, np.nan, 1])


def test_it_is_a_column_of_the_table_of_ftv():
    recording = nc.comparison.simulate_recording(nc.model.pretrained("ctxdm-0"), n_units=3)
    variance = nc.selectivity.corrected_task_variance(recording)
    pair = variance["task"].values[:2]
    share = tuned_share(variance, *pair)
    table = nc.fractional_task_variance(nc.task_variance(recording), *pair).assign(
        tuned_share=share
    )
    np.testing.assert_array_equal(table["tuned_share"], share)


def test_uncorrected_variances_are_refused():
    table = variances([[1.0, 1.0]], [[1.0, 1.0]])
    with pytest.raises(InputError, match="noise-corrected variances with 'uncorrected'"):
        tuned_share(table.drop_vars("uncorrected"), "a", "b")
    with pytest.raises(InputError, match="c"):
        tuned_share(table, "a", "c")
