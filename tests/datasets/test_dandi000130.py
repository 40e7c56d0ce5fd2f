"""DANDI:000130 on generated files: contexts, ranks of intervals, and units lost half-way."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from dandi000130_archive import archive

import nwbcompare as nc
from nwbcompare.core.activity import blocks
from nwbcompare.core.observations import observations
from nwbcompare.datasets import get_loader

LEFT_OUT = "1 trials were left out: they have no time in 'ready_time'"


def load(folder, **options):
    with pytest.warns(UserWarning, match=LEFT_OUT):
        return get_loader("dandi000130").load(folder, **options)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dandi") / "000130"
    return folder, archive(folder)


def test_counts_tasks_and_ranks_are_those_of_the_truth(written):
    folder, truth = written
    (block,) = blocks(load(folder)).values()
    trials = truth["trials"]
    rates, unit_of_row, trial_of_row = observations(block)
    for unit, times in enumerate(truth["spikes"]):
        rows = unit_of_row == unit
        # the last trial has no event, and the last unit is lost half-way
        n_trials = 59 if unit < len(truth["spikes"]) - 1 else 30
        ready = trials["ready_time"][:n_trials]
        expected = [np.histogram(times, start + 0.05 * np.arange(11))[0] for start in ready]
        np.testing.assert_array_equal(np.rint(rates[rows] * 0.05), expected)
        place = trial_of_row[rows]
        tasks = np.where(trials["is_short"][:n_trials] == 1, "short_prior", "long_prior")
        np.testing.assert_array_equal(nc.labels(block["task"])[place], tasks)
        np.testing.assert_array_equal(
            block["interval_rank"].values[place], truth["rank"][:n_trials] + 1
        )


def test_the_effector_is_another_pair_of_tasks(written):
    (block,) = blocks(load(written[0], context="effector")).values()
    eye = written[1]["trials"]["is_eye"]
    _, unit_of_row, trial_of_row = observations(block)
    np.testing.assert_array_equal(
        nc.labels(block["task"])[trial_of_row[unit_of_row == 0]],
        np.where(eye[:-1] == 1, "eye", "hand"),
    )
    # the unit that was lost
    variance = nc.task_variance(nc.select(block, unit=["0", "1", "2"]))
    assert set(variance["task"].values) == {"eye", "hand"}


def test_the_test_split_is_not_read_and_an_archive_needs_a_name(written, tmp_path):
    assert get_loader("dandi000130").is_archive(written[0])
    (tmp_path / "sub-Haydn_desc-test_ecephys.nwb").touch()
    assert not get_loader("dandi000130").is_archive(tmp_path)
    with pytest.raises(nc.InputError, match="Download dandiset 000130 there"):
        get_loader("dandi000130").load(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"context": "priors"}, "Did you mean 'prior'"), ({"align": "readi"}, "Did you mean 'ready'")],
)
def test_unknown_names_are_refused(written, options, message):
    with pytest.raises(nc.InputError, match=message):
        get_loader("dandi000130").load(written[0], **options)


def test_flags_that_are_neither_are_refused(tmp_path):
    archive(tmp_path)
    (file,) = tmp_path.glob("sub-Haydn/*train*")
    with h5py.File(file, "a") as opened:
        opened["intervals/trials/is_short"][3] = 7
    with (
        pytest.warns(UserWarning, match=LEFT_OUT),
        pytest.raises(nc.InputError, match=r"train_ecephys.nwb: expected 1 or 0 in the trial col"),
    ):
        get_loader("dandi000130").load(tmp_path)
