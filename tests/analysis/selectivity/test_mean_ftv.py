"""Three estimates of one mean FTV: brute force, agreement and disagreement."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.analysis.selectivity.mean_ftv import mean_ftv
from nwbcompare.analysis.selectivity.noise_correction import corrected_ftv


def table(rng, *, n_units=120, slope=0.0, noise=(0.1, 0.1), session_size=4):
    """Corrected variances of units whose FTV depends on strength of tuning by ``slope``."""
    strength = rng.gamma(4.0, 1.0, n_units)
    ftv = np.clip(slope * (strength - 4.0) + 0.2 * rng.standard_normal(n_units), -0.9, 0.9)
    true = np.stack([strength * (1 + ftv), strength * (1 - ftv)], axis=1)
    corrected = true + 0.05 * rng.standard_normal(true.shape)
    dims = ("unit", "task")
    return xr.Dataset(
        {
            "task_variance": (dims, corrected),
            "uncorrected": (dims, corrected + np.array(noise)),
            "standard_error": (dims, np.full(true.shape, 0.05)),
        },
        coords={
            "unit": [f"u{i}" for i in range(n_units)],
            "task": ["a", "b"],
            "session": ("unit", np.arange(n_units) // session_size),
        },
        attrs={"name": "toy"},
    )


def test_estimates_and_errors_are_those_of_a_loop_over_sessions():
    variance = table(np.random.default_rng(0), n_units=40)
    found = mean_ftv(variance, "a", "b")

    def weighted(units):
        a, b = variance["task_variance"].values[units].T
        return (a - b).sum() / (a + b).sum()

    session = variance["session"].values
    without = np.array([weighted(session != one) for one in range(10)])
    expected = np.sqrt(9 / 10 * ((without - without.mean()) ** 2).sum())
    by_name = found.sel(estimator="weighted")
    assert by_name["mean"] == pytest.approx(weighted(session >= 0))
    assert by_name["standard_error"] == pytest.approx(expected)
    corrected = corrected_ftv(variance, "a", "b")["fractional_task_variance"].mean()
    assert found["mean"].sel(estimator="corrected") == pytest.approx(float(corrected))
    assert found["n_sessions"] == 10


def test_disagreement_is_told_as_often_as_it_should_be_and_named():
    rng = np.random.default_rng(1)
    warned = 0
    for _ in range(200):
        try:
            mean_ftv(table(rng), "a", "b")
        except nc.UnitWarning:
            warned += 1
    # 5 % of 200 for the three together at most: 99.9 % of a binomial lie below 21
    assert warned <= 20
    with pytest.warns(nc.UnitWarning, match=r"toy: estimates .* disagree .* 30 sessions: raw .*"):
        mean_ftv(table(rng, slope=0.15), "a", "b")
    with pytest.warns(nc.UnitWarning, match="equalise trials"):
        mean_ftv(table(rng, noise=(4.0, 0.1)), "a", "b")


def test_few_sessions_have_no_errors_and_no_warning():
    found = mean_ftv(table(np.random.default_rng(2), slope=0.15, session_size=40), "a", "b")
    assert np.isnan(found["standard_error"]).all()
    assert found["n_sessions"] == 3
