"""Distances to a recording whose sessions are resampled: plain loops, animals, matched units."""

from __future__ import annotations

import numpy as np
import pytest
from regime_samples import BOUNDS, SESSION, ftv, networks, plain, recording, table

import nwbcompare as nc
from nwbcompare.comparison.distance_to_recording import distance_to_recording
from nwbcompare.comparison.kernels.distances import wasserstein
from nwbcompare.comparison.kernels.resampling import resample_hierarchy


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# what is measured ----------------------------------------------------------------------------


@pytest.mark.parametrize("matched", [False, True])
def test_sessions_are_resampled_as_in_plain_loops(rng, matched):
    """With matched on both sides, else the recording's alone; draws are averaged."""
    brain = recording(rng)
    columns = {"session": SESSION, "recorded_unit": np.arange(80)} if matched else {}
    values = rng.uniform(-1, 1, (2, 80))
    silent = np.repeat([True, False], [3, 77])
    drawn = np.where([silent, silent[::-1]], np.nan, values)
    found = distance_to_recording(
        [table(drawn, **columns)], brain, distance="wasserstein", by="session",
        n_bootstrap=5, seed=3, **BOUNDS,
    )  # fmt: skip
    group = np.unique(SESSION, return_inverse=True)[1]
    rng = np.random.default_rng([3, 2])
    far = []
    for _ in range(50):
        row = drawn[rng.integers(2)]
        far.append(wasserstein(rng.choice(row[np.isfinite(row)], 77, replace=False), ftv(brain)))
    assert found.observed[0, 0] == pytest.approx(np.mean(far))
    counts = resample_hierarchy([np.arange(20)], rng, 5, strata=np.zeros(20))[:, group]
    for replicate, count in zip(found.resampled, counts, strict=True):
        theirs = np.repeat(ftv(brain), count)
        rows = [np.repeat(row, count) if matched else row for row in drawn]
        rows = [row[np.isfinite(row)] for row in rows]
        far = np.mean([wasserstein(row, theirs) for row in rows])
        apart = np.abs(np.mean([plain(row) for row in rows], axis=0) - plain(theirs))
        np.testing.assert_allclose(replicate[:, 0], [far, *apart])
    assert found.matched == matched
    assert found.n_units == 77


# animals and matched ---------------------------------------------------------------------------


def test_sessions_are_resampled_within_animals(rng):
    """Animals that differ much add nothing, since nothing is inferred over them."""
    animal = np.repeat(["A", "B"], 40)
    width = np.where(animal == "A", 0.1, 0.9)
    values = np.tile(np.linspace(-1, 1, 4), 20) * width
    brain = table(values, session=SESSION, subject=animal)
    tables = list(networks(rng, 0.5, n=2).values())
    options = {"distance": "wasserstein", "by": "session", "n_bootstrap": 50, "seed": 0, **BOUNDS}
    within = distance_to_recording(tables, brain, **options)
    np.testing.assert_allclose(within.resampled.std(axis=0), 0, atol=1e-12)
    assert within.n_animals == 2
    across = distance_to_recording(tables, brain.drop_vars("subject"), **options)
    assert (across.resampled[:, 0].std(axis=0) > 0.01).all()


def test_twins_go_with_their_animal_s_session(rng):
    """The same session names in two animals; and without animals only if names differ."""
    animal, session = np.repeat(["A", "B"], 40), np.tile(SESSION[:40], 2)
    brain = recording(rng, session=session, subject=animal)
    columns = {"session": session, "recorded_unit": np.arange(80)}
    one = networks(rng, 0.8, n=1, **columns)["seed 0"]
    options = {"distance": "wasserstein", "by": "session", "n_bootstrap": 20, "seed": 0, **BOUNDS}
    known = distance_to_recording([one.assign_coords(subject=("unit", animal))], brain, **options)
    assert known.n_groups == 20
    with pytest.raises(nc.InputError, match="the same session in two animals"):
        distance_to_recording([one], brain, **options)
    joint = np.char.add(animal, session)
    renamed = one.assign_coords(session=("unit", joint))
    again = distance_to_recording(
        [renamed], brain.assign_coords(session=("unit", joint)), **options
    )
    np.testing.assert_allclose(again.resampled, known.resampled)
