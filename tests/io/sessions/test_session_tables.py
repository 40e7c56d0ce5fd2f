"""Tables of several sessions: ids, columns that some lack, tasks, conditions, epochs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from simulated_sessions import block_of, spikes_of

import nwbcompare as nc
from nwbcompare.io.sessions.session_tables import joined_columns

# --- several sessions -------------------------------------------------------------------------


def test_ids_that_clash_get_their_session_in_front_and_others_stay():
    first, second = spikes_of(name="monday"), spikes_of(name="tuesday", seed=1)
    block = block_of([first, second], window=(0, 1))
    expected = [f"{day}/u{k}" for day in ("monday", "tuesday") for k in range(3)]
    assert block["unit"].values.tolist() == expected
    second.units["unit"][:] = ["v0", "v1", "v2"]
    assert block_of([first, second])["unit"].values.tolist() == ["u0", "u1", "u2", "v0", "v1", "v2"]


def test_ids_repeated_in_a_session_are_numbered_and_said():
    twice, other = spikes_of(n_units=4, name="monday"), spikes_of(name="tuesday", seed=1)
    twice = replace(twice, units={"unit": np.array(["u0", "x", "u0", "u0_1"])})
    with pytest.warns(nc.UnitWarning, match="repeated in 'monday', and get a number each: u0$"):
        block = block_of(twice)
    assert block["unit"].values.tolist() == ["u0_2", "x", "u0_3", "u0_1"]
    rates = block_of(replace(twice, units={"unit": np.array(list("abcd"))}))["rate"]
    np.testing.assert_array_equal(block["rate"], rates)
    with pytest.warns(nc.UnitWarning, match="'monday'"):
        both = block_of([twice, other])["unit"].values
    assert np.unique(both).size == 7


def test_sessions_of_one_name_are_numbered():
    block = block_of([spikes_of(), spikes_of(seed=1), spikes_of(name="t", seed=2)])
    assert json.loads(block["session"].attrs["categories"]) == ["s1_1", "s1_2", "t"]
    assert block["unit"].values[3] == "s1_2/u0"


def test_a_column_that_a_session_lacks_is_missing_there():
    bare = spikes_of(name="s1")
    full = spikes_of(
        name="s2",
        depth=np.arange(4),
        good=np.array([True, False, True, True]),
        side=np.array(["l", "r", "l", "l"]),
    )
    block = block_of([bare, full], window=(0, 1))
    first = nc.labels(block["session"]) == "s1"
    assert np.isnan(block["depth"].values[first]).all()
    assert np.isnan(block["good"].values[first]).all()
    assert set(nc.labels(block["side"])[first]) == {""}
    assert block["depth"].values[~first].tolist() == [0, 1, 2, 3] * 3
    assert nc.labels(block["side"])[~first].tolist() == ["l", "r", "l", "l"] * 3


def test_columns_of_several_kinds_become_one():
    assert joined_columns([np.array([1]), np.array(["a"])], [1, 1]).tolist() == ["1", "a"]
    assert joined_columns([np.array([True]), None], [1, 2]).tolist()[0] == 1.0
    assert joined_columns([None, np.array(["a"])], [2, 1]).tolist() == ["", "", "a"]
    assert joined_columns([np.array([1]), np.array([2])], [1, 1]).dtype.kind == "i"


def test_a_column_of_units_that_trials_have_too_keeps_both():
    session = spikes_of(depth=np.arange(4.0))
    session.units["depth"] = np.array([10.0, 20.0, 30.0])
    block = block_of(session, window=(0, 1))
    assert block["depth"].dims == ("trial",)
    assert block["unit_depth"].values.tolist() == [10, 20, 30]


# --- tasks and conditions ---------------------------------------------------------------------


def test_without_a_task_there_is_one_named_after_the_source_and_a_warning():
    session = spikes_of()
    del session.trials["task"]
    with pytest.warns(UserWarning, match=r"of one task, 'data'; pass task= to name a column"):
        block = block_of(session)
    assert set(nc.labels(block["task"])) == {"data"}
    assert json.loads(block.attrs["condition_variables"]) == {"data": []}


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (np.array(["b", "a", "b", "b"]), ["b", "a", "b", "b"]),
        (np.array([2, 1, 2, 2]), ["2", "1", "2", "2"]),
        (np.array([True, False, True, True]), ["True", "False", "True", "True"]),
    ],
)
def test_any_column_can_name_the_task(column, names):
    session = spikes_of(context=column, side=np.arange(4) % 2)
    block = block_of(session, task="context", conditions=["side"])
    assert nc.labels(block["task"]).tolist() == names
    assert json.loads(block.attrs["condition_variables"]) == {
        n: ["side"] for n in sorted(set(names))
    }


def test_columns_that_are_not_there_are_refused_by_name():
    with pytest.raises(nc.InputError, match=r"task: expected one of .* Did you mean 'side'"):
        block_of(spikes_of(side=np.arange(4)), task="sides")
    with pytest.raises(nc.InputError, match=r"conditions: .* Did you mean 'side'"):
        block_of(spikes_of(side=np.arange(4)), conditions=["sides"])


def test_epochs_are_told_from_the_event_that_trials_are_aligned_to():
    cue = np.array([1.25, 2.5, 3.0, 4.0])
    session = replace(
        spikes_of(cue_time=cue),
        epochs={"fix1": (np.zeros(4), np.full(4, 0.5)), "late": (np.full(4, np.nan),) * 2},
    )
    at_start = block_of(session, window=(0, 1))
    np.testing.assert_array_equal(at_start["epoch_start_time"], [[0, np.nan]] * 4)
    at_cue = block_of(session, align="cue_time", window=(0, 1))
    np.testing.assert_allclose(at_cue["epoch_start_time"][:, 0], np.arange(4) + 1 - cue)
    np.testing.assert_allclose(at_cue["epoch_stop_time"][:, 0], np.arange(4) + 1.5 - cue)


def test_condition_variables_of_other_types_are_not_joined():
    left = spikes_of(name="day1", side=np.array(["left", "right"] * 2), level=np.arange(4))
    right = spikes_of(name="day2", side=np.array([0, 1] * 2), level=np.arange(4.0))
    words = "'side' to be text in all tables, or numbers in all, got text in 1 and numbers in 1"
    with pytest.raises(nc.InputError, match=words):
        block_of([left, right], conditions=["side"])
    # numbers of other types are numbers, and what is no condition is joined as text
    assert nc.labels(block_of([left, right], conditions=["level"])["side"]).dtype.kind == "U"
    tables = [{"task": ["a"] * 4, "side": side} for side in (["l", "r"] * 2, [0, 1] * 2)]
    rates = [np.ones((4, 3))] * 2
    with pytest.raises(nc.InputError, match=words):
        nc.from_arrays(rates, trials=tables, bin=0.1, conditions=["side"])
