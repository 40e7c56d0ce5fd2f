"""Sample tables: values of units, and what each unit belongs to."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.comparison import compare_samples, rank_families, split_half_distance
from nwbcompare.comparison.distance_to_recording import distance_to_recording
from nwbcompare.core.unit_samples import UnitSample, are_matched, group_keys
from nwbcompare.inference import mixed_effects

WORDS = st.sampled_from(["", "A", "A 1", "1", "2", "1 2", "A\n1", "1\n2", " "])


def table(values, *, name="monkey", source="recording", **columns):
    coords = {column: ("unit", np.asarray(of)) for column, of in columns.items()}
    dims = ("draw", "unit") if np.ndim(values) == 2 else ("unit",)
    return xr.Dataset(
        {"fractional_task_variance": (dims, np.asarray(values, dtype=float))},
        coords=coords,
        attrs={"name": name, "source": source, "task_a": "a", "task_b": "b"},
    )


def two_animals(rng, n=40):
    """Animals "A 1" and "A" with sessions "2" and "1 2": joined text would be the same."""
    half = n // 2
    return table(
        rng.uniform(-1, 1, n),
        subject=["A 1"] * half + ["A"] * half,
        session=["2"] * (half // 2)
        + ["3"] * (half // 2)
        + ["1 2"] * (half // 2)
        + ["3"] * (half // 2),
    )


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=12))
def test_units_are_of_one_group_just_where_their_keys_are_equal(keys):
    groups = group_keys(keys)
    for a, one in zip(keys, groups.code, strict=True):
        assert groups.labels[one] == a
        for b, other in zip(keys, groups.code, strict=True):
            assert (one == other) == (a == b)
    assert groups.labels == sorted(set(keys))
    assert [keys[place] for place in groups.first] == groups.labels
    np.testing.assert_array_equal(groups.codes_of(keys), groups.code)
    assert groups.unknown([*keys, ("no", "such")]) == ["no such"]


def test_sessions_of_two_animals_are_never_one():
    sample = UnitSample(two_animals(np.random.default_rng(0)))
    assert len(set(sample.session_keys())) == 4
    assert len(sample.groups("subject", "session").labels) == 4


def test_every_comparison_keeps_such_sessions_apart():
    rng = np.random.default_rng(1)
    recording = two_animals(rng)
    networks = [
        table(rng.uniform(-1, 1, 40), name=name, source="model") for name in ("m", "n", "o", "p")
    ]
    few = {"n_bootstrap": 20, "seed": 0}
    found = compare_samples(networks, recording, n_permutations=20, **few)
    assert (found.attrs["n_sessions"], found.attrs["n_animals"]) == (4, 2)
    assert split_half_distance(recording, n_splits=5).attrs["n_groups"] == 4
    far = distance_to_recording(
        networks,
        recording,
        distance="wasserstein",
        by="session",
        mixed_below=0.3,
        single_above=0.9,
        **few,
    )
    assert (far.n_groups, far.n_animals) == (4, 2)
    families = {"one": networks[:2], "other": networks[2:]}
    assert (
        "2 animal(s)"
        in rank_families(families, recording, n_splits=5, **few).attrs["unit_of_inference"]
    )
    fit = mixed_effects([*networks, recording])
    # two animals are fixed, so that their sessions are the groups
    assert int(fit["n_groups"].sel(source="recording")) == 4


def test_matched_units_find_the_session_of_their_recorded_unit():
    rng = np.random.default_rng(2)
    recording = two_animals(rng)
    columns = {name: recording[name].values for name in ("subject", "session")}
    matched = table(
        rng.uniform(-1, 1, 40), name="m", source="model", recorded_unit=np.arange(40), **columns
    )
    assert are_matched([UnitSample(matched)], UnitSample(recording), "models")
    found = compare_samples(
        [matched, matched.assign_attrs(name="n")], recording, n_bootstrap=10, n_permutations=10
    )
    assert found.attrs["pairing"] == "matched units"
    strange = matched.assign_coords(session=("unit", ["1 2"] * 40))
    with pytest.raises(nc.InputError, match="others: A 1 1 2"):
        compare_samples([strange], recording, n_bootstrap=10, n_permutations=10)


def test_values_are_read_draw_by_draw_and_inactive_units_have_none():
    values = np.array([[0.1, np.nan, 0.3], [np.nan, 0.2, 0.4]])
    sample = UnitSample(table(values, name="m", source="model"))
    np.testing.assert_array_equal(sample.values, values)
    assert [draw.tolist() for draw in sample.draws] == [[0.1, 0.3], [0.2, 0.4]]
    lone = UnitSample(table(values[0]))
    assert lone.values.shape == (1, 3)
    assert lone.animals.tolist() == ["monkey"] * 3


def test_units_without_names_go_by_their_place_and_missing_columns_are_alike():
    sample = UnitSample(table([0.1, 0.2]))
    assert sample.keys("network_unit", "subject") == [("0", ""), ("1", "")]
    assert len(sample.groups("subject").labels) == 1
    with pytest.raises(nc.NotApplicableError, match="a unit column 'session'"):
        sample.session_keys()


def test_networks_that_are_matched_in_part_are_refused():
    plain = UnitSample(table([0.1, 0.2], name="m"))
    matched = UnitSample(table([0.1, 0.2], name="n", session=["a", "b"], recorded_unit=[0, 1]))
    with pytest.raises(nc.InputError, match="models: .*in all or in none, got them in 1 of 2"):
        are_matched([plain, matched], matched, "models")


def test_units_of_a_recording_without_sessions_are_matched_by_themselves():
    recording = UnitSample(table([0.1, 0.2], name="r"))
    own = UnitSample(table([0.1, 0.2], name="n", recorded_unit=[0, 1]))
    assert are_matched([own], recording, "models")
    # sessions of the recording that networks lack would be lost without a word
    with_sessions = UnitSample(table([0.1, 0.2], name="r", session=["a", "b"]))
    assert not are_matched([own], with_sessions, "models")
