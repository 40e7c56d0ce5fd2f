"""Broken and hostile NWB files: read or refused by an error that names them, nothing else."""

from __future__ import annotations

import pickle
import shutil
import warnings
from collections import Counter

import h5py
import numpy as np
import psutil
import pytest
from nwb_damage import (
    WRONG_ENTRIES,
    broken_copy,
    declared_huge,
    deleted,
    described_as,
    in_bytes,
    in_contents,
    make_bases,
    schema_of,
    schema_with,
)
from nwb_examples import two_blocks
from nwb_opening import MEMORY_BYTES, open_each
from nwb_traps import CANARY, make_traps, payload

import nwbcompare as nc
from nwbcompare.io import write_nwb
from nwbcompare.testing import assert_same_activity, example_block

N_BROKEN = 60
"""A small share of those of ``benchmarks/fuzz.py``."""
ORDINARY_MB = 900
"""Memory of a process that has read files of these sizes, and nothing out of all proportion."""


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    with warnings.catch_warnings():
        # the inspector's suggestions
        warnings.simplefilter("ignore", UserWarning)
        return make_bases(tmp_path_factory.mktemp("whole"))


def refused_or_read(openings):
    """Return the outcomes, all of which are good ones."""
    bad = [opening for opening in openings if opening.outcome not in {"read", "refused"}]
    assert bad == []
    return Counter(opening.outcome for opening in openings)


def test_whole_files_are_read(bases):
    assert len(bases) == 8
    assert refused_or_read(open_each(list(bases.values()))) == {"read": 8}


def test_a_file_of_the_first_format_is_read(bases):
    assert_same_activity(two_blocks(), nc.open(bases["format_1"]))


def test_truncated_files_are_refused_wherever_they_end(bases, tmp_path):
    cuts = []
    for kind, base in bases.items():
        content = base.read_bytes()
        ends = [1, 7, 8, 48, 96, *np.linspace(200, len(content) - 1, 10).astype(int)]
        for end in ends:
            cuts.append(tmp_path / f"{kind}_{end}.nwb")
            cuts[-1].write_bytes(content[:end])
    assert refused_or_read(open_each(cuts)) == {"refused": len(cuts)}


def test_broken_bytes_are_refused_or_do_no_harm(bases, tmp_path):
    broken = in_bytes(bases, tmp_path / "broken", N_BROKEN, seed=0)
    openings = open_each(list(broken.values()))
    outcomes = refused_or_read(openings)
    assert min(outcomes["read"], outcomes["refused"]) > N_BROKEN / 5
    # libhdf5 allocates what a broken text says of its length, up to 4 GB, before it looks for it
    assert max(opening.peak_mb for opening in openings) < MEMORY_BYTES / 1e6


def test_wrong_contents_are_refused_or_do_no_harm(bases, tmp_path):
    broken = in_contents(bases, tmp_path / "broken", N_BROKEN, seed=0)
    openings = open_each(list(broken.values()))
    outcomes = refused_or_read(openings)
    assert min(outcomes["read"], outcomes["refused"]) > N_BROKEN / 10
    assert max(opening.peak_mb for opening in openings) < ORDINARY_MB


ENTRIES = [
    *("layout", "n_rows", "first_row", "first_sample", "time", "unit_table", "epochs"),
    *("series", "channels", "trial_columns", "unit_columns", "variables", "attrs", "name"),
]


def test_no_entry_of_our_description_is_trusted(bases, tmp_path):
    schema = schema_of(bases["network"])
    places = [("leaves",), ("leaves", 0), *(("leaves", 0, entry) for entry in ENTRIES)]
    places += [("leaves", 0, "series", "rate", key) for key in ("path", "dims")]
    places += [("leaves", 0, "variables", "task", key) for key in ("dtype", "attrs")]
    places += [("leaves", 0, "variables", "correct", "dtype"), ("leaves", 0, "time", 3)]
    changed = {}
    for place in places:
        for kind, value in WRONG_ENTRIES.items():
            path = tmp_path / f"{len(changed)}.nwb"
            text = schema_with(schema, place, value)
            changed[f"{place}: {kind}"] = broken_copy(bases["network"], path, described_as(text))
    openings = open_each(list(changed.values()))
    refused_or_read(openings)
    # what still is a block: without epochs, columns or one of the series, or of another name
    harmless = {"name", "epochs", "trial_columns", "channels", "variables"}
    read = [how for how, o in zip(changed, openings, strict=True) if o.outcome == "read"]
    assert [how for how in read if not any(f"'{entry}'" in how for entry in harmless)] == []
    assert max(opening.peak_mb for opening in openings) < ORDINARY_MB


NEEDED = [
    ("network", "intervals/trials"),
    ("network", "intervals/trials/task"),
    ("network", "processing/misc/hidden_rate/data"),
    ("network", "processing/misc/hidden_units"),
    ("ragged", "processing/misc/observed_firing_rate/data"),
    ("ragged", "intervals/trials/observation_unit"),
    ("counts", "units/spike_times"),
    ("counts", "units/spike_times_index"),
    ("counts", "intervals/trials/start_time"),
    ("foreign_units", "units/id"),
    ("foreign_units", "units/spike_times_index"),
    ("foreign_units", "intervals/trials/stop_time"),
    ("foreign_series", "acquisition/dff/data"),
    ("foreign_series", "acquisition/dff/starting_time"),
    ("foreign_stamps", "acquisition/dff/timestamps"),
]


@pytest.mark.parametrize("damage", [deleted, declared_huge])
def test_what_is_needed_has_to_be_there(bases, tmp_path, damage):
    broken = []
    for base, name in NEEDED:
        if damage is declared_huge and name.rsplit("/", 1)[-1] in {"trials", "hidden_units"}:
            continue
        broken.append(tmp_path / f"{base}_{name.replace('/', '-')}.nwb")
        broken_copy(bases[base], broken[-1], damage(name))
    openings = open_each(broken)
    refused_or_read(openings)
    # of data that are only looked at in part, what was never written counts as 0
    harmless = ["dff-data", "spike_times.nwb"] if damage is declared_huge else []
    read = [opening.path.name for opening in openings if opening.outcome == "read"]
    assert [name for name in read if not any(part in name for part in harmless)] == []
    assert max(opening.peak_mb for opening in openings) < ORDINARY_MB


@pytest.mark.parametrize(
    "stops", [[30, 20, 10], [10, 20, 10**6], [2**63, 2**63, 2**63], [-1, 20, 60], [0.5, 20, 60]]
)
def test_an_index_leads_to_what_is_there(bases, tmp_path, stops):
    def change(file):
        del file["units/spike_times_index"]
        file["units/spike_times_index"] = stops

    path = broken_copy(bases["foreign_units"], tmp_path / "x.nwb", change)
    with pytest.raises(nc.InputError, match=r"x.nwb: /units/spike_times_index: expected ascending"):
        nc.open(path)


def test_traps_are_not_walked_into(bases, tmp_path):
    traps = make_traps(bases, tmp_path)
    openings = open_each([trap.path for trap in traps])
    refused_or_read(openings)
    wrong = [
        (trap.path.name, trap.end, opening.outcome, opening.message)
        for trap, opening in zip(traps, openings, strict=True)
        if (opening.outcome if trap.end == "read" else opening.message).find(trap.end) < 0
    ]
    assert wrong == []
    assert max(opening.seconds for opening in openings) < 10
    assert max(opening.peak_mb for opening in openings) < ORDINARY_MB
    # the canary sings where one looks
    assert not (tmp_path / "inside" / CANARY).exists()
    pickle.loads(payload(tmp_path / "inside"))
    assert (tmp_path / "inside" / CANARY).exists()


def test_a_file_that_breaks_after_it_was_opened_is_named(bases, tmp_path):
    for kind, base in bases.items():
        path = shutil.copyfile(base, tmp_path / f"{kind}.nwb")
        with warnings.catch_warnings():
            # no column names the task
            warnings.simplefilter("ignore", UserWarning)
            leaf = next(iter(nc.open(path).children.values()))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(nc.InputError, match=f"{kind}.nwb: expected a whole NWB file"):
            leaf["rate"].load()


def test_numbers_that_fit_no_rate_are_refused_when_they_are_read(bases, tmp_path):
    def change(file):
        file["acquisition/dff/data"][5, 0] = 1e300

    path = broken_copy(bases["foreign_series"], tmp_path / "x.nwb", change)
    with pytest.warns(UserWarning, match="no column names the task"):
        leaf = nc.open(path)["x"]
    leaf["rate"][:, :, 1].load()
    with pytest.raises(nc.InputError, match=r"x.nwb: .*overflow"):
        leaf["rate"].load()


def test_what_no_memory_holds_is_refused(tmp_path, monkeypatch):
    path = write_nwb(example_block(), tmp_path / "x.nwb")
    monkeypatch.setattr("nwbcompare.core.available_memory.UNASKED_BYTES", 100)
    assert nc.open(path)["example"]["rate"].load().shape == (8, 5, 3)
    left = psutil.virtual_memory()._replace(available=300)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: left)
    rate = nc.open(path)["example"]["rate"]
    assert rate[:1, :, :2].load().size == 10
    # the whole is opened all the same
    with pytest.raises(nc.InputError, match=r"x.nwb: .*fit in memory, got 480 bytes, where 300"):
        rate.load()


def test_mistakes_in_what_is_asked_are_not_blamed_on_the_file(bases):
    with pytest.raises(nc.InputError, match="^bin: expected a width"):
        nc.open(bases["counts"], bin="wide")
    with pytest.raises(nc.InputError, match="Did you mean 'dots_onset_time'"):
        nc.open(bases["counts"], align="dots_onset_tim")


def test_columns_of_other_types_are_left_out(bases, tmp_path):
    path = tmp_path / "x.nwb"
    broken_copy(
        bases["foreign_units"],
        path,
        lambda file: file.create_dataset(
            "intervals/trials/odd", data=np.zeros(3, dtype=[("a", "f8")])
        ),
    )
    with pytest.warns(UserWarning, match="no column names the task"):
        block = nc.open(path)["x"].to_dataset()
    assert "odd" not in block.coords
    assert nc.labels(block["colour"]).tolist() == ["red", "green", "red"]
    with h5py.File(path) as file:
        assert "colour_elements" in file["intervals/trials"]
