"""The page of an analysis, its place in the report, and the test of conditions it shows."""

from __future__ import annotations

import csv
import json
import re
import warnings
from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from hypothesis import given, strategies as st
from page_reading import Page, rendered
from report_inputs import brain, written

import nwbcompare as nc
from nwbcompare.analysis.population.compositionality import composition_cosine, pairing_null
from nwbcompare.cli.main import cli
from nwbcompare.model import Network, NetworkConfig, save_run
from nwbcompare.model.schedules import training_config
from nwbcompare.plotting import new_figure, save
from nwbcompare.plotting.compositionality import plot_condition_cosines
from nwbcompare.plotting.style import as_svg
from nwbcompare.report.analysis_page import read_sections, write_analysis
from nwbcompare.report.page_section import PageSection, Picture
from nwbcompare.report.template import render
from nwbcompare.workflows.compare import compare

NAMES = ("a", "b", "c", "d")
AROUND = {
    "title": "What they <know>",
    "caution": "Be careful & kind.",
    "methods": ["One: p < 0.05.", "Two."],
    "provenance": {"settings": {"seed": 0}},
}


def drawn(name, width=13.0, caption='Rates of "all" units: r < 1 & more, over many conditions.'):
    figure, axes = new_figure(1, 3, (width, 3))
    for ax in axes.flat:
        ax.plot([0, 1, 0.5])
    return Picture(name=name, svg=as_svg(figure), caption=caption, width=width)


@pytest.fixture(scope="module")
def sections():
    """Sections with what may come: markup in text, wide tables and figures, nothing at all."""
    return [
        PageSection(
            name="pairs",
            heading="Pairs <of> tasks",
            findings=["a: p < 0.05 & more.", "b: not asked, since it has " + "x" * 300 + "."],
            rows=[
                {"source": "a", **{f"column {k}": 1 / (k + 1) for k in range(14)}},
                {"source": "b", "other": 7, "column 1": None},
            ],
            pictures=[drawn("pairs-a"), drawn("pairs-over-networks", width=3.2)],
        ),
        PageSection(name="lesions", heading="Lesions"),
    ]


@pytest.fixture
def folder(sections, tmp_path):
    write_analysis(tmp_path, sections, **AROUND)
    return tmp_path


# written and read


def test_sections_come_back_as_they_were_written(folder, sections):
    assert read_sections(folder) == sections


def test_what_is_not_known_is_null_and_a_dash(tmp_path):
    rows = [{"source": "a", "p": float("nan"), "n": 3}]
    write_analysis(tmp_path, [PageSection(name="x", heading="X", rows=rows)], **AROUND)
    assert "NaN" not in (tmp_path / "analysis.json").read_text()
    (section,) = read_sections(tmp_path)
    assert section.rows == [{"source": "a", "p": None, "n": 3}]
    assert Page((tmp_path / "index.html").read_text()).cells == ["a", "–", "3"]


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
    page = Page(text)
    assert page.open == []
    contents = ["pairs", "lesions", "methods", "provenance"]
    assert [name for name in page.ids if not name.startswith("figure-")] == contents
    assert page.links == [f"#{name}" for name in contents]
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
    ]
    assert "http" not in re.sub(r"data:[^\"]*", "", text)


def test_files_lie_beside_the_page(folder, sections):
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert found == {
        "index.html",
        "analysis.json",
        "pairs.csv",
        "figures/pairs-a.svg",
        "figures/pairs-over-networks.svg",
    }
    with (folder / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == sections[0].columns
    assert (rows[0]["column 3"], rows[1]["column 3"], rows[1]["other"]) == ("0.25", "", "7")
    values = json.loads((folder / "analysis.json").read_text())
    assert {key: values[key] for key in AROUND} == AROUND


def test_writing_again_replaces_files_one_by_one(folder, sections):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    write_analysis(folder, sections, **AROUND)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    write_analysis(folder, sections[1:], **AROUND)
    assert read_sections(folder) == sections[1:]


def test_an_interrupted_page_leaves_the_earlier_one(folder, sections, monkeypatch):
    before = (folder / "index.html").read_bytes()

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nwbcompare.report.analysis_page.render", fail)
    with pytest.raises(KeyboardInterrupt):
        write_analysis(folder, sections[1:], **AROUND)
    assert (folder / "index.html").read_bytes() == before
    assert read_sections(folder) == sections


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda f: (f / "analysis.json").unlink(), "FileNotFoundError"),
        (lambda f: (f / "figures" / "pairs-a.svg").unlink(), r"FileNotFoundError.*pairs-a\.svg"),
        (lambda f: (f / "analysis.json").write_text('{"sections": ['), "JSONDecodeError"),
        (lambda f: (f / "analysis.json").write_text("[]"), "TypeError"),
        (lambda f: (f / "analysis.json").write_text("{}"), "KeyError: 'sections'"),
        (lambda f: (f / "analysis.json").write_text('{"sections": [{"name": "x"}]}'), "KeyError"),
        (lambda f: (f / "analysis.json").write_bytes(b"\xff\xfe"), "UnicodeDecodeError"),
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

    with pytest.raises(jinja2.UndefinedError, match="lead"):
        render("analysis.html.j2", sections=[], **AROUND)


@pytest.mark.chromium
@pytest.mark.parametrize("width", [1100, 500])
def test_a_browser_shows_it_without_overflow(folder, chromium, tmp_path, width):
    found = rendered(chromium, folder / "index.html", tmp_path, width)
    assert found["overflow"] <= 0
    assert [name for name, _ in found["sections"]] == ["pairs", "lesions", "methods", "provenance"]
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
    write_analysis(tmp / "analysis", sections, **AROUND)
    tasks = ("contextdm1", "contextdm2")
    network = Network(NetworkConfig(n_units=16, rules=tasks), name="net")
    save_run(network, tmp / "net", training=training_config(tasks))
    words = ["report", "--model", tmp / "net", "--recording", tmp / "brain.nc"]
    words += ["--permutations", 2, "--bootstraps", 10, "--draws", 1, "--out", tmp / "report"]
    words += ["--analysis", tmp / "analysis"] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.UnitWarning)
        result = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return tmp / "report"


def test_the_report_takes_analyses_in_under_names_of_their_own(report, sections):
    page = Page((report / "index.html").read_text())
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
        with pytest.raises(nc.InputError, match=rf"{name}: expected a folder that nwbcompare ana"):
            compare(["net"], None, tmp_path / "report", analyses=[tmp_path / name])
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def test_the_findings_of_a_report_are_its_own_whatever_is_taken_in(report):
    values = json.loads((report / "report.json").read_text())
    assert [one["name"] for one in values["sections"]][:3] == ["sampled", "noise", "published"]
    assert not any("a: p < 0.05" in finding["text"] for finding in values["findings"])


# units paired at random


def vectors(first, second, **attrs):
    """Four conditions whose differences are given."""
    zero = np.zeros(len(first))
    return xr.Dataset(
        {"task_vector": (("task", "unit"), [zero + first, zero, second + zero + 7, zero + 7])},
        coords={"task": list(NAMES)},
        attrs={"name": "toy", **attrs},
    )


def test_random_pairings_are_permutations_and_give_the_exact_tail():
    rng = np.random.default_rng(0)
    first = rng.normal(size=5)
    second = first + 0.3 * rng.normal(size=5)
    length = np.linalg.norm(first) * np.linalg.norm(second)
    every = [float(np.dot(first, order)) / length for order in permutations(second)]
    found = pairing_null(vectors(first, second), *NAMES, n_permutations=4999)
    cosine = float(found["cosine"])
    assert cosine == pytest.approx(np.dot(first, second) / length)
    assert cosine == pytest.approx(
        float(composition_cosine(vectors(first, second), *NAMES)["cosine"])
    )
    drawn = np.unique(found["null_cosine"].values.round(9))
    assert set(drawn) == set(np.round(every, 9))
    tails = [
        np.mean([c >= cosine - 1e-12 for c in every]),
        np.mean([c <= cosine + 1e-12 for c in every]),
    ]
    assert float(found["p_value"]) == pytest.approx(min(1, 2 * min(tails)), abs=0.01)


def test_one_in_twenty_unrelated_populations_is_called_related():
    rng = np.random.default_rng(1)
    p_values = [
        float(
            pairing_null(
                # skewed, and with what all units share: no cosine is 0 by itself
                vectors(rng.exponential(size=30), rng.exponential(size=30)),
                *NAMES,
                n_permutations=99,
                seed=k,
            )["p_value"]
        )
        for k in range(300)
    ]
    # 95 % of binomial counts at 5 % lie within 8 to 23 of 300
    assert 0.015 <= np.mean(np.array(p_values) <= 0.05) <= 0.08
    assert 0.4 < np.mean(p_values) < 0.6


@pytest.mark.parametrize("sign", [1, -1])
def test_related_populations_are_found_both_ways(sign):
    rng = np.random.default_rng(2)
    found = []
    for k in range(40):
        first = rng.normal(size=50)
        second = sign * first + rng.normal(size=50)
        found.append(
            float(
                pairing_null(vectors(first, second), *NAMES, n_permutations=99, seed=k)["p_value"]
            )
        )
    assert np.mean(np.array(found) <= 0.05) > 0.95
    assert min(found) == 2 / 100


def test_what_all_units_share_is_no_relation():
    rng = np.random.default_rng(3)
    first, second = 3 + rng.normal(size=(2, 60))
    found = pairing_null(vectors(first, second), *NAMES, n_permutations=199)
    assert float(found["cosine"]) > 0.8
    assert float(found["null_cosine"].mean()) > 0.8
    assert float(found["p_value"]) > 0.05
    # the same relation without it is found
    second = 3 + (first - 3) + 0.3 * rng.normal(size=60)
    assert float(pairing_null(vectors(first, second), *NAMES)["p_value"]) < 0.01


@given(st.integers(0, 1000), st.integers(2, 12), st.floats(0.1, 10))
def test_the_order_and_scale_of_units_do_not_matter_but_their_pairing_does(seed, n, scale):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n))
    order = rng.permutation(n)
    one, both, alone = (
        pairing_null(given_, *NAMES, n_permutations=19, seed=seed)
        for given_ in (
            vectors(first, second),
            vectors(scale * first[order], second[order]),
            vectors(first, second[order]),
        )
    )
    assert float(one["cosine"]) == pytest.approx(float(both["cosine"]), abs=1e-9)
    assert 0 < float(one["p_value"]) <= 1
    expected = first @ second[order] / np.linalg.norm(first) / np.linalg.norm(second)
    assert float(alone["cosine"]) == pytest.approx(expected, abs=1e-9)


def test_constant_differences_pair_alike_and_p_is_one():
    found = pairing_null(vectors(np.ones(6), np.ones(6)), *NAMES, n_permutations=9)
    assert (float(found["cosine"]), float(found["p_value"])) == (pytest.approx(1), 1)


def test_the_same_seed_gives_the_same_pairings_and_the_result_survives_a_file(tmp_path):
    rng = np.random.default_rng(4)
    given_ = vectors(*rng.normal(size=(2, 20)))
    one, two, other = (
        pairing_null(given_, *NAMES, n_permutations=9, seed=seed) for seed in (0, 0, 1)
    )
    assert one.identical(two)
    assert not one["null_cosine"].equals(other["null_cosine"])
    assert (one.attrs["analysis"], one.attrs["name"]) == ("pairing_null", "toy")
    one.to_netcdf(tmp_path / "null.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "null.nc", engine="h5netcdf") as opened:
        assert opened.identical(one)


def test_pairing_refuses_what_has_no_direction():
    given_ = vectors(*np.random.default_rng(5).normal(size=(2, 8)))
    with pytest.raises(nc.InputError, match="n_permutations: expected 1 or more, got 0"):
        pairing_null(given_, *NAMES, n_permutations=0)
    with pytest.raises(nc.InputError, match="'e'"):
        pairing_null(given_, "a", "b", "c", "e")
    with pytest.raises(nc.InputError, match="'a'|repeated|different|twice"):
        pairing_null(given_, "a", "b", "c", "a")
    with pytest.raises(nc.InputError, match="equal ones of 'a' and 'b'"):
        pairing_null(vectors(np.zeros(8), np.ones(8)), *NAMES)


# figures


def cosine_of(value, **attrs):
    return xr.Dataset(
        {
            "cosine": value,
            "interval": ("bound", [value - 0.1, value + 0.1]),
            "null_cosine": ("permutation", np.linspace(-0.2, 0.2, 41)),
        },
        attrs={"variable": "coherence", "task_a": "dm1", "task_b": "dm2"} | attrs,
    )


def test_condition_cosines_are_drawn_with_interval_and_null():
    _, axes = new_figure()
    ax = axes[0, 0]
    assert (
        plot_condition_cosines(
            ax, [cosine_of(0.5), cosine_of(-0.3, task_b="x")], names={"dm1": "DM 1"}
        )
        is ax
    )
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "coherence\nDM 1, dm2",
        "coherence\nDM 1, x",
    ]
    nulls, intervals, points = ax.lines[0:6:3], ax.lines[1:6:3], ax.lines[2:6:3]
    assert len(ax.lines) == 7
    for place, (null, interval, point) in enumerate(zip(nulls, intervals, points, strict=True)):
        np.testing.assert_allclose(null.get_xdata(), [-0.19, 0.19], atol=1e-9)
        assert point.get_xdata()[0] == np.mean(interval.get_xdata()) == (0.5, -0.3)[place]
        assert {*null.get_ydata(), *interval.get_ydata(), *point.get_ydata()} == {place}
    assert ax.get_xlim() == (-1, 1)
    # the first stands above
    assert ax.get_ylim() == (1.5, -0.5)


def test_figures_are_the_same_bytes_again_and_are_saved_by_their_suffix(tmp_path):
    def figure():
        made, axes = new_figure(1, 2, (4, 2), width_ratios=(3, 1))
        axes[0, 0].plot([0, 1], label="line")
        axes[0, 0].legend()
        return made

    assert as_svg(figure()) == as_svg(figure())
    assert b"<dc:date>" not in as_svg(figure())
    for suffix, start in ((".svg", b"<?xml"), (".pdf", b"%PDF"), (".png", b"\x89PNG")):
        path = save(figure(), tmp_path / f"figure{suffix}")
        assert path.read_bytes().startswith(start)
    assert (tmp_path / "figure.svg").read_bytes() == as_svg(figure())
    with pytest.raises(nc.InputError, match="--overwrite"):
        save(figure(), tmp_path / "figure.svg")
    assert save(figure(), tmp_path / "figure.svg", overwrite=True).is_file()
