"""One page for several recordings: each has its own numbers, and what holds in all is tested."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from report_inputs import CONTEXTS, brain, check_tidy_tables, network_in, settings, written

import nwbcompare as nc
from nwbcompare import comparison
from nwbcompare.cli.compare import read_recordings
from nwbcompare.cli.main import cli
from nwbcompare.workflows.compare import compare, preregister
from nwbcompare.workflows.recording_source import RecordingRequest

SECTIONS = ["sampled", "published", "references"]
OTHER = ("motion", "colour")


def recording_of(animal, *, tasks=CONTEXTS, seed=0, mapped=True):
    """A recording of one animal, in five sessions or more."""
    block = brain(24, tasks=tasks, seed=seed)
    unstated = {"simulated"} if mapped else {"simulated", "mapping"}
    provenance = json.loads(block.attrs["provenance"])
    provenance = {key: value for key, value in provenance.items() if key not in unstated}
    return block.assign_coords(subject=("unit", [animal] * block.sizes["unit"])).assign_attrs(
        name=f"monkey {animal}", provenance=json.dumps(provenance)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings and networks, and the page of three recordings of which one has no mapping."""
    folder = tmp_path_factory.mktemp("several")
    for seed in range(3):
        network_in(folder, f"net-{seed}", seed)
    written(folder / "a.nc", recording_of("A", seed=1))
    written(folder / "b.nc", recording_of("B", seed=2))
    written(folder / "c.nc", recording_of("C", seed=3, mapped=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
        requests = [
            RecordingRequest(source=str(folder / "a.nc")),
            RecordingRequest(source=str(folder / "b.nc"), name="second"),
            RecordingRequest(source=str(folder / "c.nc")),
        ]
        page(folder, requests, "page")
        page(folder, requests[1:2], "alone")
    return folder


def page(folder, recordings, out, **options):
    options = {"sections": SECTIONS, "settings": settings()} | options
    return compare(networks(folder), recordings, folder / out, **options)


def networks(folder):
    return [str(folder / f"net-{seed}") for seed in range(3)]


def report_in(folder):
    return json.loads((folder / "report.json").read_text())


def section(values, name):
    return next(one for one in values["sections"] if one["name"] == name)


def texts(one):
    return [finding if isinstance(finding, str) else finding["text"] for finding in one["findings"]]


def test_each_recording_has_the_numbers_of_a_page_of_its_own(folder):
    joint, alone = report_in(folder / "page"), report_in(folder / "alone")
    for name in SECTIONS:
        own = section(joint, f"second-{name}")
        assert own["heading"] == f"second: {section(alone, name)['heading']}"
        assert own["rows"] == section(alone, name)["rows"]
        # the same sentences; those that do not name the recording have its name before them
        expected = [
            text if "second" in text else f"second: {text}" for text in texts(section(alone, name))
        ]
        assert texts(own) == expected
    assert (
        joint["provenance"]["recordings"]["second"] == (alone["provenance"]["recordings"]["second"])
    )
    assert set(joint["provenance"]["recordings"]) == {"monkey A", "second", "monkey C"}
    for line in alone["limits"]:
        assert line in joint["limits"] or f"second: {line}" in joint["limits"]


def test_the_table_has_every_recording_and_the_cells_every_network_and_animal(folder):
    values = report_in(folder / "page")
    assert values["title"] == "3 networks against monkey A, second, monkey C"
    assert values["cards"]["recordings"] == values["cards"]["animals"] == 3
    assert values["cards"]["recorded units"] == 72
    first = values["sections"][0]
    assert first["name"] == "recordings"
    table = pd.DataFrame(first["rows"])
    assert table.groupby("recording")["protocol"].agg(list).to_dict() == {
        "monkey A": ["tuning", "ranked", "reversed", "rate", "published"],
        "second": ["tuning", "ranked", "reversed", "rate", "published"],
        "monkey C": ["published"],
    }
    for recording, name in (("monkey A", "monkey_A"), ("second", "second")):
        own = pd.DataFrame(section(values, f"{name}-sampled")["rows"])
        own = own[own["measure"] == "difference of s.d. of FTV"].set_index("protocol")
        ours = table[table["recording"] == recording].set_index("protocol").loc[own.index]
        np.testing.assert_array_equal(ours["difference"], own["estimate"])
        np.testing.assert_array_equal(ours["p over sessions"], own["p over sessions"])
        np.testing.assert_allclose(
            ours["difference"], ours["s.d. of networks"] - ours["s.d. of FTV"], atol=2e-6
        )
        references = pd.DataFrame(section(values, f"{name}-references")["rows"])
        alone = references.set_index("source").loc["stimulus alone", "s.d. of FTV"]
        assert set(ours["s.d. stimulus alone"]) == {alone}
    cells = pd.DataFrame(first["further"]["networks"])
    assert len(cells) == 3 * 2 * 3
    means = cells.groupby(["recording", "protocol"])["difference of s.d. of FTV"].mean()
    for (recording, protocol), mean in means.items():
        row = table[(table["recording"] == recording) & (table["protocol"] == protocol)]
        assert mean == pytest.approx(row["difference"].item(), abs=2e-6)
    check_tidy_tables(folder / "page")


def test_what_holds_in_all_is_the_largest_p_of_any_animal_and_pairing(folder):
    values = report_in(folder / "page")
    first = values["sections"][0]
    assert values["findings"][0] == first["findings"][0]
    table = pd.DataFrame(first["rows"])
    alike = table[table["protocol"].isin(["tuning", "ranked", "reversed"])]
    agree = alike["difference"].gt(0).all() or alike["difference"].lt(0).all()
    for place, what in enumerate(("sessions", "networks")):
        p = first["findings"][place]["p_value"]
        assert p == pytest.approx(alike[f"p over {what}"].max() if agree else 1.0)
        text = first["findings"][place]["text"]
        assert ("is shown in every animal" in text) == (p >= 0.05)
        assert "monkey A" in text
        assert "second" in text
        assert first["findings"][place]["unit_of_inference"].endswith("animals are fixed")
    assert "monkey C is in no joint finding" in texts(first)[-1]
    found = " ".join(texts(first))
    assert "against monkey A by itself" in found
    assert "Between the animals (monkey A - second) this difference differs by" in found


def test_recordings_of_one_animal_are_not_counted_as_two(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    requests = [
        RecordingRequest(source=str(folder / "a.nc"), name=name) for name in ("early", "late")
    ]
    values = report_in(page(folder, requests, tmp_path / "out", sections=["sampled"]))
    found = " ".join(texts(values["sections"][0]))
    assert "Animals of one name (A) are in several recordings" in found
    assert "prevalence of at least" not in found


def test_without_two_mappings_there_is_no_joint_finding(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    # a SOURCE is a request without terms of its own
    requests = [str(folder / "a.nc"), RecordingRequest(source=str(folder / "c.nc"))]
    values = report_in(page(folder, requests, tmp_path / "out", sections=["sampled", "published"]))
    (text,) = texts(values["sections"][0])
    assert text.startswith("There is no joint finding: models were sampled at equal tuning against")
    assert "1 of 2 recordings" in text
    assert values["findings"]
    assert all("monkey A" in found["text"] for found in values["findings"])


def test_a_recording_has_tasks_and_a_mapping_of_its_own(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    written(tmp_path / "own.nc", recording_of("D", tasks=OTHER, seed=4))
    mapping = yaml.safe_load(
        (Path(comparison.__file__).parent / "mappings" / "mante2013.yaml").read_text()
    )
    mapping["tasks"] = dict(zip(OTHER, CONTEXTS, strict=True))
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(mapping))
    arguments = ["compare", "--out", str(tmp_path / "out"), "--sections", "sampled"]
    arguments += [word for network in networks(folder) for word in ("--model", network)]
    arguments += ["--recording", str(folder / "a.nc"), "--recording", f"own={tmp_path / 'own.nc'}"]
    arguments += ["--pair", "own=motion:colour", "--mapping", f"own={path}"]
    arguments += ["--permutations", "5", "--bootstraps", "20", "--draws", "1"]
    result = CliRunner().invoke(cli, [*arguments, "--include-untrained"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    values = report_in(tmp_path / "out")
    recordings = values["provenance"]["recordings"]
    assert recordings["own"]["pair"] == list(OTHER)
    assert recordings["monkey A"]["pair"] == list(CONTEXTS)
    assert values["provenance"]["settings"]["pair"]["own"] == list(OTHER)
    assert recordings["own"]["mapping"]["tasks"] == mapping["tasks"]
    # the same file can be taken up again, with the same pairs alone
    again = CliRunner().invoke(cli, [*arguments, "--include-untrained", "--resume"])
    assert again.exit_code == 0, again.output
    assert report_in(tmp_path / "out") == values


@pytest.mark.parametrize(
    ("recordings", "pairs", "message"),
    [
        (["a.nc", "b.nc"], ["x=go:dm1"], r"--pair: expected NAME=.*\(none yet\), got 'x=go:dm1'"),
        (["A=a.nc"], ["B=go:dm1"], r"--pair: .*name of a recording \(A\)"),
        (["A=a.nc"], ["A=go:dm1", "A=go:dm2"], "--pair: expected one value for A, got 'go:dm1'"),
        (["A=a.nc"], ["go:dm1", "go:dm2"], "--pair: expected one value for all recordings"),
    ],
)
def test_options_are_of_all_recordings_or_of_a_named_one(recordings, pairs, message):
    with pytest.raises(nc.InputError, match=message):
        read_recordings(recordings, pairs, [], [])


def test_what_several_recordings_cannot_have_is_refused_before_any_work(folder, tmp_path):
    one = RecordingRequest(source=str(folder / "a.nc"))
    with pytest.raises(nc.InputError, match="sources: expected each name once, got 'monkey A' 2"):
        page(folder, [one, one], tmp_path / "out")
    with pytest.raises(nc.InputError, match="recording: expected at least one, got none"):
        page(folder, [], tmp_path / "out")
    with pytest.raises(nc.InputError, match=r"one recording with a preregistration, got 2.*itself"):
        preregister(networks(folder), [one, one], tmp_path / "plan.json")
    with pytest.raises(nc.InputError, match=r"one recording with a preregistration, got 2.*itself"):
        page(folder, [one, one], tmp_path / "out", preregistration=tmp_path / "plan.json")
    assert list(tmp_path.iterdir()) == []
