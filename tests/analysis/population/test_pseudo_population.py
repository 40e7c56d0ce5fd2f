"""A pseudo-population has each unit's own trials, and nothing that units share in a trial."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.population import pseudo_population
from nwbcompare.core.activity import is_ragged
from nwbcompare.core.observations import observations

N_TRIALS, N_UNITS = 40, 3


def recording(rng, *, ragged=False, shared=0.0):
    """Units in two tasks of two conditions; ``shared`` is noise that all have in a trial."""
    task, side = np.repeat(["go", "stop"], N_TRIALS // 2), np.tile([0, 1], N_TRIALS // 2)
    rates = rng.uniform(1, 2, (N_TRIALS, 4, N_UNITS)) + shared * rng.normal(size=(N_TRIALS, 1, 1))
    options = {
        "time_s": np.arange(4) * 0.1 + 0.05,
        "bin_width_s": 0.1,
        "aligned_to": "cue",
        "units": {"unit": ["a", "b", "c"], "area": ["A", "A", "B"]},
        "epochs": {"stim": (0.0, 0.2)},
        "condition_variables": {"go": ["side"], "stop": ["side"]},
        "source": "recording",
        "name": "monkey",
        "provenance": {"smooth_s": 0.0},
    }
    if not ragged:
        return nc.make_block(np.abs(rates), trials={"task": task, "side": side}, **options)
    rows = np.concatenate([rates[:, :, unit] for unit in range(N_UNITS)])
    return nc.make_block(
        np.abs(rows),
        trials={"task": np.tile(task, N_UNITS), "side": np.tile(side, N_UNITS)},
        observation_unit=np.repeat(np.arange(N_UNITS), N_TRIALS),
        **options,
    )


def lone(activity):
    return next(iter(activity.children.values())).to_dataset()


@given(st.integers(0, 100), st.booleans(), st.integers(1, 10))
def test_every_trial_is_one_of_the_unit_s_own_and_comes_once(seed, ragged, n_trials):
    block = recording(np.random.default_rng(seed), ragged=ragged)
    drawn = lone(pseudo_population(block, n_trials, seed=seed))
    assert not is_ragged(drawn)
    assert drawn.sizes["trial"] == 4 * n_trials
    rates, unit_of_row, trial_of_row = observations(block)
    for unit in range(N_UNITS):
        for task in ("go", "stop"):
            for side in (0, 1):
                rows = (
                    (unit_of_row == unit)
                    & (nc.labels(block["task"])[trial_of_row] == task)
                    & (block["side"].values[trial_of_row] == side)
                )
                own = {row.tobytes() for row in rates[rows]}
                new = (nc.labels(drawn["task"]) == task) & (drawn["side"].values == side)
                found = [row.tobytes() for row in drawn["rate"].values[new, :, unit]]
                assert len(found) == len(set(found)) == n_trials
                assert set(found) <= own


@pytest.mark.parametrize("ragged", [True, False])
def test_all_trials_of_equal_numbers_give_the_same_variances(ragged):
    block = recording(np.random.default_rng(0), ragged=ragged)
    drawn = pseudo_population(block, N_TRIALS // 4)
    expected, found = nc.task_variance(block), nc.task_variance(drawn)
    np.testing.assert_allclose(found["task_variance"], expected["task_variance"], rtol=1e-6)
    # epochs, units and provenance are kept
    by_epoch = nc.selectivity.epoch_variance(drawn)["task_variance"]
    np.testing.assert_allclose(
        by_epoch, nc.selectivity.epoch_variance(block)["task_variance"], rtol=1e-6
    )
    assert lone(drawn)["area"].values.tolist() == ["A", "A", "B"]
    provenance = json.loads(lone(drawn).attrs["provenance"])
    assert provenance["pseudo_population"] == {"n_trials": N_TRIALS // 4, "seed": 0}
    assert provenance["smooth_s"] == 0.0


def test_noise_that_units_share_is_gone_and_that_of_the_recording_is_not():
    block = recording(np.random.default_rng(1), shared=2.0)

    def correlation(one):
        rate = one["rate"].values.mean(axis=1)
        code = 2 * (nc.labels(one["task"]) == "go") + one["side"].values
        centred = [rate[code == k] - rate[code == k].mean(axis=0) for k in range(4)]
        return np.corrcoef(np.concatenate(centred).T)[0, 1]

    assert correlation(block) > 0.8
    mixed = [correlation(lone(pseudo_population(block, 10, seed=seed))) for seed in range(20)]
    assert abs(np.mean(mixed)) < 0.1


def test_the_seed_decides():
    block = recording(np.random.default_rng(2))
    one, same, other = (pseudo_population(block, 3, seed=seed) for seed in (0, 0, 1))
    assert lone(one).identical(lone(same))
    assert not lone(one)["rate"].equals(lone(other)["rate"])


def test_too_few_trials_blocks_and_epochs_of_each_trial_are_refused():
    block = recording(np.random.default_rng(3), ragged=True)
    few = block.isel(observation=slice(4, None))
    with pytest.raises(
        nc.NotApplicableError, match=r"10 trials of each.*8 for.*a\..*min_trials=10"
    ):
        pseudo_population(few, 10)
    with pytest.raises(nc.InputError, match="n_trials: expected a whole number of 1 or more"):
        pseudo_population(block, 0)
    two = nc.make_activity({task: nc.select(block, task=task) for task in ("go", "stop")})
    with pytest.raises(nc.InputError, match="one block, so that all trials have the same bins"):
        pseudo_population(two, 1)
    stop = block["epoch_stop_time"].copy()
    stop[::2] -= 0.1
    with pytest.raises(nc.NotApplicableError, match="the same bounds in every trial"):
        pseudo_population(block.assign_coords(epoch_stop_time=stop), 1)
