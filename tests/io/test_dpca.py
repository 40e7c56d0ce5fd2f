"""The arrays of dPCA: each trial becomes a row with its conditions, and padding none."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

import nwbcompare as nc

FREQUENCIES = [10, 14, 18]
AXES = {"frequency": FREQUENCIES, "decision": ["left", "right"]}
NUMBERS = arrays("i8", (2, 3, 2), elements=st.integers(0, 4)).filter(
    lambda numbers: bool(numbers.any(axis=(1, 2)).all())
)


def padded(numbers: npt.NDArray[Any], padding: float = np.nan) -> npt.NDArray[Any]:
    rates = np.random.default_rng(0).uniform(1, 50, (*numbers.shape, 5, 4)).astype("f4")
    is_trial = np.arange(4) < numbers[..., None, None]
    return np.where(is_trial, rates, np.float32(padding))


def opened(numbers: npt.NDArray[Any], rates: npt.NDArray[Any] | None = None, **options: Any) -> Any:
    rates = padded(numbers) if rates is None else rates
    options = {"bin": 0.1, "task": "decision"} | options
    return nc.from_dpca(rates, AXES, **options)["dpca"].to_dataset()


@given(NUMBERS)
def test_each_trial_is_a_row_with_its_unit_and_conditions(numbers: npt.NDArray[Any]) -> None:
    rates, block = padded(numbers), opened(numbers)
    rows = [
        (unit, FREQUENCIES[f], AXES["decision"][d], rates[unit, f, d, :, trial].tolist())
        for unit, f, d in itertools.product(range(2), range(3), range(2))
        for trial in range(numbers[unit, f, d])
    ]
    assert rows == list(
        zip(
            block["observation_unit"].values.tolist(),
            block["frequency"].values.tolist(),
            nc.labels(block["task"]).tolist(),
            block["rate"].values.tolist(),
            strict=True,
        )
    )


@given(NUMBERS)
def test_padding_may_be_nan_or_with_their_numbers_zero(numbers: npt.NDArray[Any]) -> None:
    expected = opened(numbers)
    for padding in (np.nan, 0):
        same = opened(numbers, padded(numbers, padding), trial_num=numbers.astype("f8"))
        assert same.identical(expected)
    assert nc.blocks(expected)


def test_bins_that_were_not_recorded_stay_nan() -> None:
    numbers = np.full((2, 3, 2), 4)
    rates = padded(numbers)
    rates[1, 2, 0, 3:, 1] = np.nan
    block = opened(numbers, rates, trial_num=numbers)
    assert np.isnan(block["rate"].values).sum() == 2
    assert block.sizes["observation"] == numbers.sum()


def test_the_conditions_are_all_axes_but_the_task_and_counts_become_rates() -> None:
    numbers = np.full((2, 3, 2), 2)
    ones = np.ones((2, 3, 2, 5, 2), int)
    block = opened(numbers, ones, counts=True, units={"unit": ["a", "b"]})
    assert set(np.unique(block["rate"])) == {10.0}
    assert block["unit"].values.tolist() == ["a", "b"]
    variance = nc.task_variance(nc.make_activity({"dpca": opened(numbers)}))
    brute = padded(numbers).astype("f8")[..., :2].mean(-1).var(axis=1).mean(-1)
    np.testing.assert_allclose(variance["task_variance"].sel(task=["left", "right"]).values, brute)


ONES = np.ones((2, 3, 2, 5, 4))
TWO = np.full((2, 3, 2), 2)


@pytest.mark.parametrize(
    ("rates", "axes", "numbers", "message"),
    [
        (ONES, ["frequency"], None, r"firing_rates: expected 4 axes: unit, frequency, time, trial"),
        (ONES, "frequency", None, r"axes: expected different names"),
        (ONES, ["a", "a"], None, r"axes: expected different names"),
        (ONES, {"a": [1, 2], "b": [1, 2]}, None, r"axes\['a'\]: expected 3 values"),
        (ONES.astype(str), ["a", "b"], None, r"firing_rates: expected an array of numbers"),
        (ONES, ["a", "b"], TWO[0], r"trial_num: expected the shape.*\(2, 3, 2\), got \(3, 2\)"),
        (ONES, ["a", "b"], TWO + 3, r"trial_num: expected whole numbers from 0 to 4.*got 5 to 5"),
        (ONES, ["a", "b"], TWO - 0.5, r"trial_num: expected whole numbers.*got 1.5"),
        (ONES, ["a", "b"], TWO * np.nan, r"trial_num: expected whole numbers"),
        (ONES, ["a", "b"], TWO, r"unit 0, conditions \(0, 0\), trial 2: expected padding"),
        (ONES * np.nan, ["a", "b"], TWO, r"trial 0: expected rates as trial_num has it, got only"),
    ],
)
def test_what_does_not_fit_is_refused(rates: Any, axes: Any, numbers: Any, message: str) -> None:
    with pytest.raises(nc.InputError, match=message):
        nc.from_dpca(rates, axes, numbers, bin=0.1)
