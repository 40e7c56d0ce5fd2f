"""Pages: what is written is read again, damage, and sections of other reports."""

from __future__ import annotations

import csv
import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st
from page_reading import Page as PageText, rendered
from report_inputs import brain, written

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.model import Network, NetworkConfig, save_run
from nwbcompare.model.schedules import training_config
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.style import as_svg
from nwbcompare.report.page import Page, read_sections, write_page
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Picture, columns
from nwbcompare.report.template import render
from nwbcompare.workflows.compare import compare

AROUND = {
    "title": "What they <know>",
    "lead": "Units & units.",
    "caution": "Be careful & kind.",
    "methods": ["One: p < 0.05.", "Two."],
    "provenance": {"settings": {"seed": 0}},
}
CONTENTS = ["findings", "pairs", "lesions", "methods", "provenance"]


def write(folder, sections, **changes):
    write_page(folder, Page(sections=sections, **AROUND | changes))


CAPTION = 'Rates of "all" units: r < 1 & more, over many conditions.'
EVIDENCE = Evidence(measure="difference", effect=0.5, p_value=0.01, figure="pairs-a")


def drawn(name, width=13.0, **numbers):
    figure, axes = new_figure(1, 3, (width, 3))
    for ax in axes.flat:
        ax.plot([0, 1, 0.5])
    return Picture(name=name, svg=as_svg(figure), caption=CAPTION, width=width, **numbers)


@pytest.fixture(scope="module")
def sections():
    """Sections with what may come: markup in text, wide tables and figures, nothing at all."""
    return [
        PageSection(
            name="pairs",
            heading="Pairs <of> tasks",
            findings=[
                "a: p < 0.05 & more.",
                "b: does not apply. It has " + "x" * 300 + ".",
                Finding(text="A number & its figure.", evidence=EVIDENCE),
            ],
            rows=[
                {"source": "a", **{f"column {k}": 1 / (k + 1) for k in range(14)}},
                {"source": "b", "other": 7, "column 1": None},
            ],
            further={"contrasts": [{"contrast": "a - b", "p": 0.25}]},
            pictures=[
                drawn(
                    "pairs-a",
                    data=[{"unit": "u0", "rate": 0.5}],
                    further={"bins": [{"bin": 1}]},
                ),
                drawn("pairs-over-networks", width=3.2),
            ],
        ),
        PageSection(name="lesions", heading="Lesions"),
    ]


@pytest.fixture
def folder(sections, tmp_path):
    write(tmp_path, sections)
    return tmp_path


def without_data(sections):
    """Return sections as they are read: without the numbers of pictures, which have a file."""
    return [
        replace(
            section,
            pictures=[replace(picture, data=(), further={}) for picture in section.pictures],
        )
        for section in sections
    ]


# written and read


def test_sections_come_back_as_they_were_written(folder, sections):
    assert read_sections(folder) == without_data(sections)


def test_what_is_not_known_is_null_and_a_dash(tmp_path):
    rows = [{"source": "a", "p": float("nan"), "n": 3}]
    write(tmp_path, [PageSection(name="x", heading="X", rows=rows)])
    assert "NaN" not in (tmp_path / "report.json").read_text()
    (section,) = read_sections(tmp_path)
    assert section.rows == [{"source": "a", "p": None, "n": 3}]
    assert PageText((tmp_path / "index.html").read_text()).cells == ["a", "–", "3"]


cells = st.none() | st.integers(-(10**9), 10**9) | st.floats() | st.text(max_size=5)


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=4), cells, min_size=1), max_size=3))
def test_any_rows_are_strict_json_that_reads_back(rows):
    section = PageSection(name="x", heading="X", rows=rows)

    def refuse(constant):
        # infinities are no JSON either, but no number of ours is one
        assert "Infinity" in constant
        return float(constant.replace("Infinity", "inf"))

    plain = json.loads(json.dumps(section.as_json()), parse_constant=refuse)["rows"]
    for before, after in zip(rows, plain, strict=True):
        assert list(before) == list(after)
        assert all(after[k] == v or (after[k] is None and np.isnan(v)) for k, v in before.items())


def test_the_page_shows_everything_and_escapes_it(folder, sections):
    text = (folder / "index.html").read_text()
    page = PageText(text)
    assert page.open == []
    assert [name for name in page.ids if not name.startswith("figure-")] == CONTENTS
    assert page.links == ["#findings", *(f"#{name}" for name in CONTENTS), "#figure-pairs-a"]
    assert "<title>What they &lt;know&gt;</title>" in text
    assert "a: p &lt; 0.05 &amp; more." in text
    pictures = sections[0].pictures
    assert [image["alt"] for image in page.images] == [p.caption for p in pictures]
    assert [image["src"] for image in page.images] == [p.uri for p in pictures]
    # a row of each source, a column of each name, and dashes for the rest
    assert page.cells == [
        "a",
        *(f"{1 / (k + 1):.3g}" for k in range(14)),
        "–",
        *("b", "–", "–", *["–"] * 12, "7"),
        *("a - b", "0.25"),
    ]
    assert "http" not in re.sub(r"data:[^\"]*", "", text)


def test_files_lie_beside_the_page(folder, sections):
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert found == {
        "index.html",
        "report.json",
        "tables/pairs.csv",
        "tables/pairs-contrasts.csv",
        "figures/pairs-a.svg",
        "figures/pairs-a.csv",
        "figures/pairs-a-bins.csv",
        "figures/pairs-over-networks.svg",
    }
    with (folder / "tables" / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == columns(sections[0].rows)
    assert (rows[0]["column 3"], rows[1]["column 3"], rows[1]["other"]) == ("0.25", "", "7")
    assert (folder / "figures" / "pairs-a.csv").read_text().split() == ["unit,rate", "u0,0.5"]
    values = json.loads((folder / "report.json").read_text())
    assert {key: values[key] for key in AROUND} == AROUND


def test_an_unknown_effect_of_a_main_finding_is_null(tmp_path):
    evidence = Evidence(measure="difference", effect=float("nan"))
    finding = Finding(text="None.", evidence=evidence, main=True)
    write(tmp_path, [PageSection(name="x", heading="X", findings=[finding])])
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["findings"] == values["sections"][0]["findings"]
    assert values["findings"][0]["effect"] is None


def test_main_findings_cards_and_limits_open_and_close_the_page(sections, tmp_path):
    main = Finding(text="The <main> one.", evidence=EVIDENCE, main=True)
    first = replace(sections[0], findings=[*sections[0].findings, main])
    write(
        tmp_path,
        [first, sections[1]],
        cards={"units": 7},
        limits=["Few units."],
        simulated=True,
        how_to_get="Ask the lab.",
        left_out="Monkey F was left out.",
    )
    text = (tmp_path / "index.html").read_text()
    page = PageText(text)
    assert page.open == []
    assert [name for name in page.ids if not name.startswith("figure-")] == [
        *("findings", "pairs", "lesions", "limits", "methods", "provenance")
    ]
    assert text.count("The &lt;main&gt; one.") == 2
    assert text.index("The &lt;main&gt; one.") < text.index("Pairs &lt;of&gt; tasks</h2>")
    for part in ("<dt>units</dt><dd>7</dd>", "<li>Few units.</li>", "Monkey F was left out."):
        assert part in text
    assert 'role="alert">SIMULATED: no recording was found, so' in text
    assert "Ask the lab." in text
    values = json.loads((tmp_path / "report.json").read_text())
    assert [one["text"] for one in values["findings"]] == ["The <main> one."]
    assert values["findings"][0]["effect"] == 0.5
    # a path of this machine is on the page alone
    assert "Ask the lab." not in json.dumps(values)
    assert not any(one.main for one in read_sections(tmp_path)[0].findings[2:])


def test_writing_again_replaces_files_one_by_one(folder, sections):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    write(folder, sections)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    write(folder, sections[1:])
    assert read_sections(folder) == sections[1:]
    # files of the larger page are gone
    assert not list((folder / "figures").iterdir())
    assert not list((folder / "tables").iterdir())


def test_an_interrupted_page_leaves_the_earlier_one(folder, sections, monkeypatch):
    before = (folder / "index.html").read_bytes()

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nwbcompare.report.page.render", fail)
    with pytest.raises(KeyboardInterrupt):
        write(folder, sections[1:])
    assert (folder / "index.html").read_bytes() == before
    assert read_sections(folder) == without_data(sections)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda f: (f / "report.json").unlink(), "FileNotFoundError"),
        (lambda f: (f / "figures" / "pairs-a.svg").unlink(), r"FileNotFoundError.*pairs-a\.svg"),
        (lambda f: (f / "report.json").write_text('{"sections": ['), "JSONDecodeError"),
        (lambda f: (f / "report.json").write_text("[]"), "TypeError"),
        (lambda f: (f / "report.json").write_text("{}"), "KeyError: 'sections'"),
        (lambda f: (f / "report.json").write_text('{"sections": [{"name": "x"}]}'), "KeyError"),
        (lambda f: (f / "report.json").write_bytes(b"\xff\xfe"), "UnicodeDecodeError"),
    ],
)
def test_a_damaged_or_unfinished_folder_is_refused(folder, damage, match):
    damage(folder)
    with pytest.raises(nc.InputError, match=match) as error:
        read_sections(folder)
    assert error.value.subject == str(folder)
    assert "--resume" in error.value.remedy


def test_a_template_that_lacks_something_is_an_error():
    import jinja2

    with pytest.raises(jinja2.UndefinedError, match="provenance"):
        render("page.html.j2", page=Page(sections=[], **AROUND))


@pytest.mark.chromium
@pytest.mark.parametrize("width", [1100, 500])
def test_a_browser_shows_it_without_overflow(folder, chromium, tmp_path, width):
    found = rendered(chromium, folder / "index.html", tmp_path, width)
    assert found["overflow"] <= 0
    assert [name for name, _ in found["sections"]] == CONTENTS
    assert min(height for _, height in found["sections"]) > 20
    assert min(natural for natural, _ in found["images"]) > 100
    wide, small = (shown for _, shown in found["images"])
    if width == 1100:
        # the wide figure fills the page, the small one is not blown up
        assert 0.9 * found["width"] < wide + 40 < found["width"] + 41
        assert small < 0.5 * wide
        assert max(found["clipped"]) <= 0


# in the report


@pytest.fixture(scope="module")
def report(sections, tmp_path_factory):
    """A report with an analysis taken in twice."""
    tmp = tmp_path_factory.mktemp("report")
    written(tmp / "brain.nc", brain())
    (tmp / "analysis").mkdir()
    write(tmp / "analysis", sections)
    tasks = ("contextdm1", "contextdm2")
    network = Network(NetworkConfig(n_units=16, rules=tasks), name="net")
    save_run(network, tmp / "net", training=training_config(tasks))
    words = ["report", "--model", tmp / "net", "--recording", tmp / "brain.nc"]
    words += ["--permutations", 2, "--bootstraps", 10, "--draws", 1, "--out", tmp / "report"]
    words += ["--sections", "sampled,noise,published", "--include-untrained"]
    words += ["--analysis", tmp / "analysis"] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.UnitWarning)
        result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return tmp / "report"


def test_the_report_takes_analyses_in_under_names_of_their_own(report, sections):
    page = PageText((report / "index.html").read_text())
    taken = [f"analysis-{k}-{section.name}" for k in (0, 1) for section in sections]
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert [name for name in page.ids if name.startswith("analysis-")] == taken
    # the contents lead to them, between the report's own sections and its limits
    place = page.links.index("#limits")
    assert page.links[place - len(taken) : place] == [f"#{name}" for name in taken]
    # their pictures do not take the place of one another, nor of the report's
    for k in (0, 1):
        for picture in sections[0].pictures:
            assert (report / "figures" / f"analysis-{k}-{picture.name}.svg").is_file()
    images = [image["src"] for image in page.images]
    assert images[-4:] == [p.uri for p in sections[0].pictures] * 2
    values = json.loads((report / "report.json").read_text())
    assert [one["name"] for one in values["sections"]][-len(taken) :] == taken
    assert values["sections"][-2]["rows"] == sections[0].rows
    # a finding points at its picture by the picture's new name
    figures = [one["findings"][2]["figure"] for one in values["sections"][-4::2]]
    assert figures == ["analysis-0-pairs-a", "analysis-1-pairs-a"]
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


@pytest.mark.chromium
def test_a_browser_shows_the_report_with_analyses_without_overflow(report, chromium, tmp_path):
    found = rendered(chromium, report / "index.html", tmp_path, 1100)
    assert found["overflow"] <= 0
    assert min(natural for natural, _ in found["images"]) > 100


def test_a_report_refuses_what_is_no_analysis_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "nwbcompare.workflows.compare.choose_recording", lambda *_: pytest.fail("opened")
    )
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nowhere"):
        with pytest.raises(
            nc.InputError, match=rf"{name}: expected the folder of a finished report"
        ):
            compare(["net"], None, tmp_path / "report", analyses=[tmp_path / name])
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def test_the_findings_of_a_report_are_its_own_whatever_is_taken_in(report):
    values = json.loads((report / "report.json").read_text())
    assert [one["name"] for one in values["sections"]][:3] == ["sampled", "noise", "published"]
    assert not any("a: p < 0.05" in finding["text"] for finding in values["findings"])


def test_a_picture_outside_the_folder_of_the_page_is_not_read(tmp_path):
    folder = tmp_path / "page"
    folder.mkdir()
    (tmp_path / "private.svg").write_text("<svg/>")
    picture = {"name": "../../private", "caption": "", "width": 1, "data": []}
    section = {"name": "a", "heading": "A", "findings": [], "rows": [], "pictures": [picture]}
    (folder / "report.json").write_text(json.dumps({"sections": [section]}))
    with pytest.raises(nc.InputError, match="a picture outside its folder, '../../private'"):
        read_sections(folder)
