"""Selection of units: a brute-force twin, the record of each step, and its words on a page."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, strategies as st

import nwbcompare as nc
from nwbcompare.core.activity import condition_variables_of, is_ragged
from nwbcompare.datasets import select_units
from nwbcompare.datasets.unit_selection import selection_texts
from nwbcompare.testing import dense_blocks, example_block, ragged_blocks
from nwbcompare.workflows.sources import resolve

BLOCKS = st.one_of(dense_blocks(), ragged_blocks())


def rows_of_units(block: xr.Dataset) -> dict[str, list[tuple[Any, Any]]]:
    """Return the condition and the rates of each trial of each unit, by loops."""
    variables = condition_variables_of(block)
    tasks = nc.labels(block["task"])
    rows: dict[str, list[tuple[Any, Any]]] = {unit: [] for unit in block["unit"].values.tolist()}
    for row in range(tasks.size):
        names = variables.get(tasks[row], [])
        condition = (tasks[row], *(nc.labels(block[name])[row] for name in names))
        rate = block["rate"].values[row]
        if is_ragged(block):
            rows[block["unit"].values[block["observation_unit"].values[row]]].append(
                (condition, rate)
            )
        else:
            for place, unit in enumerate(rows):
                rows[unit].append((condition, rate[:, place]))
    return rows


@given(BLOCKS, st.integers(1, 3))
def test_units_with_enough_trials_are_those_of_a_count_by_loops(block: Any, least: int) -> None:
    rows = rows_of_units(block)
    conditions = {
        condition for own in rows.values() for condition, rate in own if np.isfinite(rate).any()
    }
    expected = [
        unit
        for unit, own in rows.items()
        if all(
            sum(one == condition and np.isfinite(rate).any() for one, rate in own) >= least
            for condition in conditions
        )
    ]
    assume(expected)
    assert select_units(block, min_trials=least)["unit"].values.tolist() == expected


@given(BLOCKS, st.floats(0.1, 10))
def test_units_with_enough_spikes_are_those_of_a_mean_by_loops(block: Any, least: float) -> None:
    means = {}
    for unit, own in rows_of_units(block).items():
        rates = np.concatenate([rate for _, rate in own] or [np.zeros(1)]).astype(float)
        rates = rates[np.isfinite(rates)]
        means[unit] = rates.mean() if rates.size else 0.0
    expected = [unit for unit, mean in means.items() if mean >= least]
    assume(expected)
    assume(all(abs(mean - least) > 1e-6 for mean in means.values()))
    assert select_units(block, min_rate=least)["unit"].values.tolist() == expected


def test_each_step_is_in_the_provenance_and_in_words() -> None:
    block = example_block()
    steps = select_units(block, area="A", correct=True, min_trials=1)
    record = json.loads(steps.attrs["provenance"])
    assert selection_texts(record) == [
        "Left out: 1 of 3 units (area other than A).",
        "Left out: 4 of 8 trials (correct other than True).",
    ]
    steps_of_units = [step["after"]["units"] for step in record["selection"]]
    assert steps_of_units == [2, 2, 2]
    # a second selection adds to the record of the first
    again = select_units(steps, min_rate=1e-6)
    assert len(json.loads(again.attrs["provenance"])["selection"]) == 4
    assert selection_texts({}) == []
    assert json.loads(block.attrs["provenance"]) == {}


def test_a_tree_stays_a_tree_and_units_count_over_all_its_blocks() -> None:
    block = example_block()
    quiet = block.assign_coords(task=("trial", ["stop"] * 8))
    quiet = quiet.assign(rate=block["rate"] * xr.DataArray([1, 1, 0], dims="unit"))
    quiet.attrs["condition_variables"] = '{"stop": ["direction"]}'
    tree = nc.make_activity({"go": block, "stop": quiet})
    mean = float(block["rate"].isel(unit=2).mean()) / 2
    assert select_units(tree, min_rate=mean * 0.99)["go"].sizes["unit"] == 3
    assert select_units(tree, min_rate=mean * 1.01)["go"].sizes["unit"] < 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_trials": 0}, "min_trials: expected a number above 0, got 0"),
        ({"min_rate": -1.0}, "min_rate: expected a number above 0"),
        ({"min_trials": 99}, "expected a unit with at least 99 trials, got at most 2. Lower"),
        ({"min_rate": 1e9}, r"a unit with at least 1e\+09 spikes/s"),
        ({"areas": "A"}, "Did you mean 'area'"),
    ],
)
def test_what_leaves_nothing_is_refused(options: Any, message: str) -> None:
    with pytest.raises(nc.InputError, match=message):
        select_units(example_block(), **options)


def test_every_source_takes_the_selection(tmp_path: Any) -> None:
    path = nc.write_nwb(example_block(), tmp_path / "day1.nwb")
    options = "only.area=A&only.correct=true&min_trials=1&only.direction=0,1.5707963267948966"
    block = resolve(f"{path}?{options}")["example"]
    assert block.sizes["unit"] == 2
    assert set(block["direction"].values) <= {0, np.pi / 2}
    assert bool(block["correct"].all())
    both = resolve(f"{path}?only.area=A&window=0,0.4&min_rate=1e-9&bin=0.2")["example"]
    assert (both.sizes["unit"], both.sizes["time"]) == (2, 2)
    with pytest.raises(nc.InputError, match="option 'only.correct': expected values of correct"):
        resolve(f"{path}?only.correct=yes")
    with pytest.raises(nc.InputError, match="option 'min_trials': expected a value of type int"):
        resolve(f"{path}?min_trials=few")
