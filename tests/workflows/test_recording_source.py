"""The recording of a comparison, where none or one of several is named."""

from __future__ import annotations

import numpy as np
import pytest
from mante2013_archive import archive, unit_record
from report_inputs import CONTEXTS

import nwbcompare as nc
from nwbcompare.workflows.recording_source import choose_recording


def test_a_dataset_folder_that_is_named_but_empty_is_no_reason_to_simulate(tmp_path, monkeypatch):
    monkeypatch.setenv("NWBCOMPARE_DATA", str(tmp_path))
    with pytest.raises(nc.InputError, match="Cite: Mante V"):
        choose_recording(None, CONTEXTS, 0)


@pytest.mark.parametrize(
    ("animals", "name", "text"),
    [
        (("ar", "fe"), "monkey A", "Monkey F was found too and is not compared here"),
        (("fe",), "monkey F", ""),
        (("ar",), "monkey A", ""),
    ],
)
def test_one_animal_is_compared_where_none_is_named(tmp_path, monkeypatch, animals, name, text):
    rng = np.random.default_rng(0)
    archive(tmp_path, {f"{animal}090313_1_a1": unit_record(rng) for animal in animals})
    monkeypatch.setenv("NWBCOMPARE_DATA", str(tmp_path))
    choice = choose_recording(None, CONTEXTS, 0)
    (block,) = nc.blocks(choice.activity).values()
    assert block.attrs["name"] == name
    assert choice.left_out.startswith(text)
    assert bool(choice.left_out) == bool(text)
    assert not choice.guidance
