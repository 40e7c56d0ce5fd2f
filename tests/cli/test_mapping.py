"""``nwbcompare mapping new | check``, and a comparison with a draft that was filled in."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from report_inputs import brain, network_in, settings, written

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.comparison import read_mapping
from nwbcompare.workflows.compare import compare

LEVELS = "values: {-3: -0.25, -2: -0.075, -1: -0.025, 1: 0.025, 2: 0.075, 3: 0.25}"


def run(*arguments):
    result = CliRunner().invoke(cli, ["mapping", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def filled_in(draft):
    """Fill in a draft as the mapping of Mante et al. 2013 says."""
    text = re.sub(r"(  direction:.*\n    value: )FILL_IN", r"\g<1>0", draft)
    for modality in (1, 2):
        text = re.sub(
            rf"(  coherence_{modality}:.*\n)    value: FILL_IN",
            rf"\g<1>    column: coherence_{modality}_level\n    {LEVELS}",
            text,
        )
    text = text.replace("latency_ms: FILL_IN", "latency_ms: 0")
    text = text.replace("axes_degrees: [0]", "axes_degrees: [0, 30, 60, 90, 120, 150]")
    return text.replace("# choice: {", "choice: {")


def check_against_the_shipped(recording, model, path):
    """Write a draft, fill it in, and compare it with the mapping of Mante et al. 2013."""
    printed = run("new", "--recording", recording, "--model", model, "--out", path)
    assert f"Mapping: {path}" in printed
    assert "4 lines to fill in (FILL_IN); then: nwbcompare mapping check" in printed
    with pytest.raises(nc.InputError, match=r"line \d+, conditions.direction.value: expected a"):
        run("check", path, "--recording", recording)
    path.write_text(filled_in(path.read_text()))
    mine, shipped = read_mapping(path).parameters(), read_mapping("mante2013").parameters()
    for parameters in (mine, shipped):
        # what is kept beside the conditions, and where the mapping was read
        del parameters["shown"], parameters["origin"]
    assert mine == shipped


def test_a_draft_that_is_filled_in_gives_the_comparison_of_the_shipped_mapping(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    path, model = tmp_path / "map.yaml", network_in(tmp_path, "net")
    recording = written(tmp_path / "brain.nc", brain())
    check_against_the_shipped(recording, model, path)
    printed = run("check", path, "--recording", recording)
    assert re.search(r"contextdm1 -> contextdm1\n +coherence_1_level +coherence_2_level", printed)
    assert re.search(r"\n +-3 +-2 +0 +-0\.25 +-0\.075 +\d+ +\d+\n", printed)
    assert printed.endswith("epoch 'stim1' against the network's 'stim1'.\n")
    reports = [
        compare(
            [model],
            recording,
            tmp_path / name,
            sections=["sampled"],
            settings=settings(),
            mapping=mapping,
        )
        for name, mapping in (("mine", path), ("shipped", "mante2013"))
    ]
    mine, shipped = (json.loads((one / "report.json").read_text()) for one in reports)
    assert mine["findings"]
    for name in ("findings", "sections", "limits", "cards", "title"):
        assert mine[name] == shipped[name], name


def test_the_draft_of_the_real_recording_is_the_shipped_mapping(mante2013_path, tmp_path):
    recording = f"mante2013:{mante2013_path}?animal=ar"
    path = tmp_path / "map.yaml"
    check_against_the_shipped(recording, "pretrained:ctxdm-0", path)
    assert "72 conditions, at least" in run("check", path, "--recording", recording)


def test_a_comparison_names_the_line_of_a_mapping_before_it_loads_networks(tmp_path):
    recording = written(tmp_path / "brain.nc", brain(n_units=4))
    path = tmp_path / "map.yaml"
    run("new", "--recording", recording, "--model", "pretrained:ctxdm-0", "--out", path)
    path.write_text(filled_in(path.read_text()).replace("column: coherence_2", "column: coher_2"))
    with pytest.raises(nc.InputError, match=r"line \d+, .*column: .*Did you mean 'coherence_2_l"):
        compare(["nowhere"], recording, tmp_path / "out", settings=settings(), mapping=path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"--out": "map.txt"}, "--out: expected a file ending in .yaml"),
        ({"--model": "activity.nc"}, "--model: expected a network of the package's tasks"),
        ({"--recording": "nowhere.nwb"}, "source 'nowhere.nwb': expected"),
    ],
)
def test_bad_options_are_refused(tmp_path, monkeypatch, options, match):
    monkeypatch.chdir(tmp_path)
    usual = {"--recording": "brain.nc", "--model": "pretrained:ctxdm-0", "--out": "map.yaml"}
    with pytest.raises(nc.InputError, match=match):
        run("new", *(part for pair in (usual | options).items() for part in pair))
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("mine")
    with pytest.raises(nc.InputError, match="--overwrite|overwrite"):
        run("new", "--recording", "r.nc", "--model", "pretrained:ctxdm-0", "--out", path)
    assert path.read_text() == "mine"
