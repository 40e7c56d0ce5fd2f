"""Columns with several values a row: the first, their number, all as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from lab_nwb import add_trials, add_units, lone_block, new_file, trains, written

import nwbcompare as nc
from nwbcompare.workflows.sources import resolve

LICKS = [[1.1, 1.2], [], [3.1], [4.5, 4.6, 4.7], [5.2], [6.2]]
WORDS = [["a"], ["b", "c"], [], ["d"], ["e"], ["f"]]
PLACE = [[0.5, 1.5], [1.0, np.nan], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]
STEPS = [[[1, 2]], [[3, 4], [5, 6]], [], [[7, 8]], [[9, 10]], [[11, 12]]]


@pytest.fixture
def path(tmp_path):
    nwb = add_trials(new_file(), place=PLACE)
    for name, values in {"licks": LICKS, "words": WORDS, "steps": STEPS}.items():
        cells = [cell for row in values for cell in row]
        nwb.trials.add_column(name, "x", data=cells, index=np.cumsum([*map(len, values)]).tolist())
    nwb.trials.add_column("lists", "x", data=[[[1], [2, 3]]] * 6, index=2)
    nwb.add_unit_column("peaks", "x", index=True)
    add_units(nwb, trains(), peaks=[[3], [], [1, 2]])
    return written(nwb, tmp_path / "a.nwb")


def test_each_form_is_a_column_of_its_own(path):
    block = lone_block(
        path,
        window=(0, 0.8),
        ragged={"licks": ["first", "count", "all"], "words": ["first", "all"], "peaks": "first"},
    )
    np.testing.assert_array_equal(block["licks_first"], [1.1, np.nan, 3.1, 4.5, 5.2, 6.2])
    assert block["licks_count"].values.tolist() == [2, 0, 1, 3, 1, 1]
    assert [json.loads(text) for text in nc.labels(block["licks_all"])] == LICKS
    assert nc.labels(block["words_first"]).tolist() == ["a", "b", "", "d", "e", "f"]
    assert [json.loads(text) for text in nc.labels(block["words_all"])] == WORDS
    np.testing.assert_array_equal(block["peaks_first"], [3, np.nan, 1])
    assert block["peaks_first"].dims == ("unit",)


def test_rows_of_a_matrix_and_lists_of_rows(path):
    ragged = {"place": ["first", "count", "all"], "steps": ["count", "all"], "peaks": "count"}
    block = lone_block(path, window=(0, 0.8), ragged=ragged)
    np.testing.assert_array_equal(block["place_first"], np.array(PLACE)[:, 0])
    assert block["place_count"].values.tolist() == [2] * 6
    # JSON has no NaN
    assert json.loads(nc.labels(block["place_all"])[1]) == [1.0, None]
    assert block["steps_count"].values.tolist() == list(map(len, STEPS))
    assert [json.loads(text) for text in nc.labels(block["steps_all"])] == STEPS
    assert block["peaks_count"].values.tolist() == [1, 0, 2]


def test_the_first_of_several_times_is_an_event(path):
    with pytest.warns(UserWarning, match="1 trials were left out: they have no time in 'licks_f"):
        block = lone_block(path, align="licks_first", window=(0, 0.1), ragged={"licks": "first"})
    assert block.sizes["trial"] == 5
    query = f"{path}?ragged.licks=first,count&align=licks_first&window=0,0.1"
    with pytest.warns(UserWarning, match="left out"):
        again = resolve(query)["day1"].to_dataset()
    np.testing.assert_array_equal(again["rate"], block["rate"])
    assert again["licks_count"].values.tolist() == [2, 1, 3, 1, 1]


def test_what_is_left_out_is_what_was_not_asked_for(path):
    def left_out(**options):
        block = lone_block(path, window=(0, 0.8), **options)
        return set(json.loads(block.attrs["provenance"])["files"][0]["columns_left_out"])

    assert left_out() == {"place", "licks", "words", "steps", "lists"}
    assert left_out(ragged={"licks": "count"}) == {"place", "words", "steps", "lists"}


@pytest.mark.parametrize(
    ("ragged", "match"),
    [
        ({"lick": "all"}, r"ragged: expected one of .*licks.* got 'lick'\. Did you mean 'licks'"),
        ({"task": "all"}, r"ragged: expected one of .* got 'task'"),
        ({"lists": "all"}, r"ragged: expected one of .* got 'lists'"),
        ({"licks": "last"}, r"ragged\['licks'\]: expected one of first, count, all, got 'last'"),
        ({"licks": ["all", "x"]}, r"ragged\['licks'\]: expected one of first, count, all, got 'x'"),
        ({"steps": "first"}, r"trials/steps: ragged: expected single values for 'first', got"),
        ("licks", r"ragged: expected forms by column, got 'licks'"),
    ],
)
def test_forms_and_columns_that_do_not_exist_are_refused(path, ragged, match):
    with pytest.raises(nc.InputError, match=match):
        nc.open(path, ragged=ragged)


def test_a_column_of_the_table_is_not_replaced(tmp_path):
    nwb = add_trials(new_file(), licks_count=np.arange(6))
    nwb.trials.add_column("licks", "x", data=LICKS, index=True)
    path = written(add_units(nwb, trains()), tmp_path / "a.nwb")
    with pytest.raises(nc.InputError, match="trials/licks_count: expected no column of this name"):
        nc.open(path, ragged={"licks": "count"})
