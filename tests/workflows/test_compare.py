"""The report of models against a recording: its files, numbers and words, and bad input."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from report_inputs import (
    CONTEXTS,
    brain,
    check_tidy_tables,
    in_two_blocks,
    network_in,
    not_applicable,
    recording_of,
    renamed,
    settings,
    written,
)
from section_calls import count_calls

import nwbcompare as nc
from nwbcompare.core.activity import unit_positions
from nwbcompare.report.page_section import Picture
from nwbcompare.workflows.compare import compare
from nwbcompare.workflows.registry import sections_of
from nwbcompare.workflows.sampling_protocols import PROTOCOLS
from nwbcompare.workflows.section import Results, Section, Summary

SECTIONS = [
    "sampled",
    "models",
    "references",
    "noise",
    "published",
    "split-half",
    "nulls",
    "confounds",
    "population",
    "examples",
]
FIGURES = {
    "ftv-sampled",
    "effects-sampled",
    "noise",
    "ftv-published",
    "nulls",
    "confounds",
    "in-time",
    "geometry",
    "distances",
    "decoding",
    "examples",
}
HISTOGRAM = [0, 2, 2, 0, 5, 4, 11, 18, 15, 22, 17, 23, 15, 19, 13, 7, 5, 2, 0, 1]
"""Units of monkey A in the 20 bins of FTV."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder of small recordings, networks and files of a model's activity."""
    folder = tmp_path_factory.mktemp("inputs")
    for seed, name in enumerate(("net", "other", "third")):
        network_in(folder, name, seed)
    block = brain()
    written(folder / "brain.nc", block)
    written(folder / "apart.nc", in_two_blocks(block, 8))
    mine = nc.record_matched(nc.model.load(folder / "net"), name="mine")
    mine.to_netcdf(folder / "mine.nc", engine="h5netcdf")
    other = mine["matched"].to_dataset()
    names = {task: ["coherence_1_sign"] for task in ("motion", "colour")}
    other = renamed(other, names).assign_attrs(condition_variables=json.dumps(names))
    written(folder / "mine-elsewhere.nc", other.assign_attrs(name="elsewhere", provenance="{}"))
    written(folder / "elsewhere.nc", brain(tasks=tuple(names), mapped=False))
    return folder


@pytest.fixture
def quick(monkeypatch, inputs, tmp_path):
    """Make a report without its pictures and without decoding, which take the longest."""
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
    monkeypatch.setattr(
        "nwbcompare.workflows.sections.population.measure_population", not_applicable
    )

    def make(models, recording, name="report", **options):
        options = {"settings": settings()} | options
        return read(
            compare(
                [re.sub(r"[\w.-]+$", lambda m: str(inputs / m[0]), model) for model in models],
                str(inputs / recording),
                tmp_path / name,
                **options,
            )
        )

    return make


def read(folder):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads((folder / "report.json").read_text(), parse_constant=refuse)


def texts(values):
    """Return the texts of the findings of all sections."""
    every = [found for section in values["sections"] for found in section["findings"]]
    return [found if isinstance(found, str) else found["text"] for found in every]


def section(values, name):
    return next(one for one in values["sections"] if one["name"] == name)


# -- what is written ------------------------------------------------------------------------------


def test_without_a_recording_it_says_how_to_get_it_and_marks_everything(simulated_report):
    folder, printed = simulated_report
    assert re.search(
        r"SIMULATED recording: none was found.*Mante lab.*Cite: Mante V", printed, re.DOTALL
    )
    assert "report/index.html" in printed
    values = read(folder)
    assert values["simulated"] is True
    assert values["title"].startswith("SIMULATED")
    assert values["cards"]["simulated animals"] == 1
    page = (folder / "index.html").read_text()
    assert "<title>SIMULATED" in page
    assert page.count('alt="SIMULATED recording.') == len(FIGURES) == page.count("<figure ")
    assert "Recording: SIMULATED." in page
    assert 'role="alert">SIMULATED: no recording was found, so' in page
    assert any("One animal (SIMULATED monkey)" in line for line in values["limits"])
    # text in the figures is drawn as paths, and matplotlib leaves the words as comments
    for name in FIGURES:
        assert "SIMULATED recording" in (folder / "figures" / f"{name}.svg").read_text()


def test_the_folder_holds_the_page_and_the_data_of_all_it_shows(simulated_report):
    folder, printed = simulated_report
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        "report.json",
        "figures",
        "tables",
        "configuration.json",
        "results",
    }
    assert {path.name for path in (folder / "figures").iterdir()} == {
        *(f"{name}.{kind}" for name in FIGURES for kind in ("svg", "csv")),
        *(f"{name}-units.csv" for name in ("noise", "nulls")),
    }
    check_tidy_tables(folder)
    assert {path.stem for path in (folder / "tables").iterdir()} == set(SECTIONS)
    values = read(folder)
    assert [one["name"] for one in values["sections"]] == SECTIONS
    for name in SECTIONS:
        table = pd.read_csv(folder / "tables" / f"{name}.csv")
        assert len(table) == len(section(values, name)["rows"])
    # every main finding is printed
    assert values["findings"]
    assert all(f"- {found['text']}" in printed for found in values["findings"])


def test_the_page_needs_nothing_from_elsewhere(simulated_report):
    page = (simulated_report[0] / "index.html").read_text()
    assert (simulated_report[0] / "index.html").stat().st_size < 5e6
    assert all(
        link.startswith(("data:", "#")) for link in re.findall(r'(?:src|href)="([^"]*)', page)
    )
    assert not re.search(r"url\(|@import|<script", page)


def test_findings_stand_on_evidence(simulated_report):
    values = read(simulated_report[0])
    every = [
        found
        for one in values["sections"]
        for found in one["findings"]
        if not isinstance(found, str)
    ]
    assert {found["text"] for found in values["findings"]} <= {found["text"] for found in every}
    for found in every:
        # a test of spread alone has a p value and no effect
        assert found["effect"] is not None or found["p_value"] is not None, found
        assert re.search(r"\d+ (unit|network|split|condition)", found["n"]), found
        assert found["unit_of_inference"], found
        assert (found["low"] is None) == (found["high"] is None)
        assert found["low"] is None or found["low"] <= found["high"]
        assert found["figure"] in FIGURES | {""}
    for found in values["findings"]:
        assert found["low"] is not None, found
        assert found["figure"], found
    # every test of a difference over sessions has its p
    tested = [found for found in every if found["measure"].startswith(("difference", "equiv"))]
    assert len(tested) >= 4
    over = [found for found in tested if not found["unit_of_inference"].startswith("network")]
    p = [found["p_value"] for found in over]
    assert all(0 < one <= 1 for one in p)
    assert len(p) >= 3


def test_the_matched_protocol_comes_first_and_the_published_one_beside_it(simulated_report):
    values = read(simulated_report[0])
    names = [one["name"] for one in values["sections"]]
    assert names.index("sampled") == 0 < names.index("published")
    assert values["findings"][0]["text"].startswith(
        "The 2 networks, tuned as strongly as the recorded"
    )
    assert not any("published test trials" in found["text"] for found in values["findings"])
    assert [row["protocol"] for row in section(values, "sampled")["rows"]] == (
        ["tuning"] * 8 + ["ranked"] * 8 + ["reversed"] * 8 + ["rate"] * 8
    )
    assert any(
        re.search(r"protocol alone moves .*\(tuning\).*\(rate\).*\(matched\).*\(published\)", text)
        for text in texts(values)
    )


def test_references_are_there_whatever_was_chosen(simulated_report):
    values = read(simulated_report[0])
    names = [row["source"] for row in section(values, "references")["rows"]]
    wanted = ["ctxdm-0, untrained", "ctxdm-1, untrained", "stimulus alone"]
    assert names[-3:] == wanted
    sentence = section(values, "references")["findings"][0]
    assert "untrained with the same initial weights" in sentence
    rows = {row["source"]: row for row in section(values, "population")["rows"]}
    assert {*wanted, "ctxdm-0", "ctxdm-1"} < set(rows)
    for name in wanted:
        assert rows[name]["rsa"] is not None
    # nothing but noise tells the tasks apart from the stimulus alone
    assert rows["stimulus alone"]["decoding task"] < rows["ctxdm-0"]["decoding task"]
    geometry = section(values, "population")["findings"][0]
    assert "with the same initial weights" in geometry["text"]
    assert re.search(r"A description: \d+ conditions and 2 networks", geometry["text"])
    assert geometry["p_value"] is None


def test_the_methods_say_what_ran(simulated_report):
    methods = " ".join(read(simulated_report[0])["methods"])
    for said in (
        "20 swaps",
        "intervals from 20 bootstraps of whole sessions",
        "means over 1 draw of each",
        "20 permutations",
        "20 resamples",
        "100 random rotations",
        "mapping 'mante2013.yaml', epoch 'stim1'",
        "ctxdm-0, ctxdm-1: a leaky rnn of 256 relu units trained on",
        "All random numbers come from seed 0",
        *(one.title for name, one in PROTOCOLS.items() if name != "as recorded"),
    ):
        assert said in methods


def test_the_numbers_know_nothing_of_where_they_were_made(simulated_report):
    folder = simulated_report[0]
    text = (folder / "report.json").read_text()
    assert str(folder.parent) not in text
    assert "/lab" not in text
    assert "command" not in read(folder)["provenance"]


def test_p_values_are_adjusted_over_the_measures(simulated_report):
    rows = pd.read_csv(simulated_report[0] / "tables" / "sampled.csv")
    for _, own in rows.groupby("protocol"):
        # with 2 networks there is no p over networks
        assert own["p Student over networks"].isna().all()
        p, adjusted = own["p over sessions"], own["p Holm over sessions"]
        order = np.argsort(p.values)
        steps = p.values[order] * np.arange(len(p), 0, -1)
        expected = np.minimum(np.maximum.accumulate(steps), 1)
        np.testing.assert_allclose(adjusted.values[order], expected, rtol=1e-4)


# -- the recording --------------------------------------------------------------------------------


@pytest.mark.shared
def test_the_report_on_the_recording_has_its_numbers(recorded_report):
    values = read(recorded_report)
    assert values["simulated"] is False
    assert values["cards"]["sessions"] == 78
    assert values["cards"]["active recorded units"] == 181
    rows = {row["estimate"]: row for row in section(values, "noise")["rows"]}
    raw, weighted = rows["raw"], rows["weighted by tuning"]
    assert (raw["mean"], raw["s.d."]) == pytest.approx((0.0583, 0.3320), abs=5e-5)
    assert (weighted["s.d."], weighted["units"]) == pytest.approx((0.362, 181), abs=0.02)
    assert recording_of(values)["recording"]["files"]["count"] == 762
    (made,) = recording_of(values)["models"].values()
    assert len(made["weights_sha256"]) == 64
    assert "SIMULATED" not in (recorded_report / "index.html").read_text()
    assert re.search(r"4\d % of the median unit's task variance", " ".join(values["limits"]))
    text = next(text for text in texts(values) if "distance between two animals" in text)
    assert re.search(
        r"Does not apply: .*one does not tell how much animals differ.*one, monkey A", text
    )


@pytest.mark.shared
def test_the_data_of_the_figures_are_what_is_drawn(recorded_report):
    check_tidy_tables(recorded_report)
    figures = recorded_report / "figures"
    shares = np.array(HISTOGRAM) / 181
    for name in ("ftv-sampled", "ftv-published"):
        table = pd.read_csv(figures / f"{name}.csv").query("source == 'monkey A'")
        for _, own in table.groupby("protocol"):
            np.testing.assert_allclose(own["share"], shares, atol=1e-6)
    for name, source in {"nulls": "recorded units", "noise": "raw"}.items():
        table = pd.read_csv(figures / f"{name}.csv")
        np.testing.assert_allclose(table["share"][table["source"] == source], shares, atol=1e-6)
    units = pd.read_csv(figures / "nulls-units.csv")
    a, b = units["tv_contextdm1"], units["tv_contextdm2"]
    np.testing.assert_allclose(units["ftv"], (a - b) / (a + b), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(np.histogram(units["ftv"], np.linspace(-1, 1, 21))[0], HISTOGRAM)
    noise = pd.read_csv(figures / "noise.csv")
    corrected = noise[noise["source"].fillna("").str.startswith("corrected")]
    # bins and the censored beyond the ends are all units that have a corrected FTV
    assert corrected["share"].sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.shared
def test_variance_components_are_shown_where_choices_are_known(recorded_report):
    values = read(recorded_report)
    assert any(text.startswith("What units code") for text in texts(values))
    assert "all20-fast-0, choice taken out: no unit has an FTV left." in texts(values)
    components = pd.read_csv(recorded_report / "figures" / "components.csv")
    summed = (
        components.query("task == 'contextdm1'").groupby("factor")["component"].sum().clip(lower=0)
    )
    share = summed["choice"] / summed.sum()
    assert any(f"Ctx DM 1: choice {share:.0%}".replace("%", " %") in text for text in texts(values))


# -- the same again -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_net(inputs):
    """A function that compares one network, without pictures and decoding, which take longest."""

    def run(folder, *, resume=False, sections=None, **changes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")
            patch.setattr(
                "nwbcompare.workflows.sections.population.measure_population", not_applicable
            )
            return compare(
                [inputs / "net"],
                str(inputs / "brain.nc"),
                folder,
                sections=sections,
                settings=settings(**changes),
                resume=resume,
            )

    return run


@pytest.fixture(scope="module")
def fresh(of_net, tmp_path_factory):
    """The report of one network, in one go."""
    return of_net(tmp_path_factory.mktemp("fresh") / "report", n_jobs=1)


def test_another_seed_gives_other_numbers(fresh, of_net, tmp_path):
    other = of_net(tmp_path / "three", n_jobs=1, seed=1, sections=["sampled"])
    before, after = (section(values, "sampled")["rows"] for values in (read(fresh), read(other)))
    assert [row["measure"] for row in before] == [row["measure"] for row in after]
    assert [row["estimate"] for row in before] != [row["estimate"] for row in after]


def test_an_interrupted_comparison_ends_as_if_it_had_not_been_on_any_number_of_processes(
    fresh, of_net, tmp_path, monkeypatch
):
    # every section is computed once, before or after the interruption, by two processes where
    # `fresh` had one: the same files mean the same numbers in both ways
    with monkeypatch.context() as patch:
        first = count_calls(patch, "compare", stop=("SIMULATED monkey", "nulls"))
        with pytest.raises(KeyboardInterrupt):
            of_net(tmp_path / "report", n_jobs=2)
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "configuration.json",
        "results",
    ]
    second = count_calls(monkeypatch, "compare")
    of_net(tmp_path / "report", resume=True, n_jobs=2)
    assert second[0] == first[-1]
    assert not set(first[:-1]) & set(second)
    # latencies are those of matched activity, of which there is none
    assert {name for _, name in first + second} == {"samples", "latencies", *SECTIONS}
    names = {path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file()}
    assert names == {
        path.relative_to(tmp_path / "report")
        for path in (tmp_path / "report").rglob("*")
        if path.is_file()
    }
    for name in names:
        assert (fresh / name).read_bytes() == (tmp_path / "report" / name).read_bytes(), name


def test_a_page_of_some_sections_has_the_numbers_of_the_whole_and_describes_no_other(
    fresh, of_net, tmp_path, monkeypatch
):
    folder = tmp_path / "report"
    shutil.copytree(fresh, folder)
    calls = count_calls(monkeypatch, "compare")
    some = read(of_net(folder, resume=True, sections=["nulls", "published"]))
    assert calls == []
    assert [one["name"] for one in some["sections"]] == ["published", "nulls"]
    whole = read(fresh)
    for name in ("published", "nulls"):
        assert section(some, name) == section(whole, name)
    text = " ".join(some["methods"])
    assert "Nulls: FTV = 0 by the difference" in text
    assert "Split-half" not in text
    assert "Confounds" not in text
    assert some["cards"] == whole["cards"]
    # sections of a smaller page leave no files of the larger one
    assert {path.stem for path in (folder / "tables").iterdir()} == {"published", "nulls"}


def test_a_section_that_needs_no_other_is_a_page_with_its_limits(
    fresh, of_net, tmp_path, monkeypatch
):
    folder = tmp_path / "report"
    shutil.copytree(fresh, folder)
    alone = Section(
        name="alone",
        heading="Alone",
        report="compare",
        compute=lambda source, *_: Results({"n": xr.Dataset({"n": len(source.models)})}),
        summarise=lambda _, results, **__: Summary(
            findings=[f"{int(results['alone']['n']['n'])} model."]
        ),
    )
    monkeypatch.setitem(sections_of("compare"), "alone", alone)
    values = read(of_net(folder, resume=True, sections=["alone"]))
    assert [one["findings"] for one in values["sections"]] == [["1 model."]]
    # warnings are those of the sections on the page
    whole = [line for line in read(fresh)["limits"] if line in values["limits"]]
    assert values["limits"] == whole
    assert [line for line in read(fresh)["limits"] if not line.startswith("Warning.")] == [
        line for line in whole if not line.startswith("Warning.")
    ]


def test_a_resumed_comparison_is_of_the_same_models_settings_and_sections(
    fresh, of_net, inputs, monkeypatch
):
    def refused(match, **options):
        arguments = {"models": [inputs / "net"], "settings": settings()} | options
        with pytest.raises(nc.InputError, match=match):
            compare(
                arguments.pop("models"), str(inputs / "brain.nc"), fresh, resume=True, **arguments
            )

    calls = count_calls(monkeypatch, "compare")
    refused(r"n_draws: 1 there, 2 asked\. .*--overwrite", settings=settings(n_draws=2))
    refused(r"identity\.json.*models: ", models=[inputs / "other"])
    refused("Did you mean 'nulls'", sections=["null"])
    refused("sections: expected at least one section", sections=[])
    assert calls == []
    assert (fresh / "index.html").is_file()


# -- families, files, other tasks -----------------------------------------------------------------


def test_families_are_ranked_and_two_animals_are_measured_against_each_other(inputs, quick):
    block = nc.open(inputs / "brain.nc")["a"].to_dataset().load()
    animals = {
        "subject": ("unit", ["A"] * 8 + ["B"] * 8),
        "session": ("unit", [f"{animal}{place // 3}" for animal in "AB" for place in range(8)]),
    }
    written(inputs / "two.nc", block.assign_coords(animals))
    values = quick(
        ["wide=net", "wide=other", "narrow=third"], "two.nc", sections=["sampled", "split-half"]
    )
    assert values["cards"]["families"] == 2
    assert values["cards"]["simulated animals"] == 2
    # a headline only where the difference to the next family is shown
    ranked = re.compile("Closest to|families is closest to")
    closest = [text for text in texts(values) if ranked.search(text)]
    is_headline = closest[0] in [found["text"] for found in values["findings"]]
    assert is_headline == closest[0].startswith("Closest to")
    limits = " ".join(values["limits"])
    assert "2 animals, which are fixed: each is tested by itself" in limits
    said = " ".join(texts(values))
    assert "A and B (all units) have a Wasserstein distance" in said
    assert re.search(r"To A the networks have .*, B one of", said)
    assert "No statement about A and B together: an animal has too few sessions" in said
    assert "of units alike in noise and tuning. Needed: 10 pairs of units" in said
    assert "Few networks (2 of wide, 1 of narrow)" in limits
    assert "None generalises over animals" not in values["caution"]
    assert [picture["name"] for picture in section(values, "split-half")["pictures"]] == [
        "split-half"
    ]
    assert {row["family"] for row in section(values, "sampled")["rows"]} == {"wide", "narrow"}


def test_a_ranking_is_of_families_on_its_protocol_and_holds_the_closest_against_the_next(
    quick, tmp_path
):
    models = ["a=net", "b=other", "c=third", "file=mine.nc"]
    values = quick(models, "brain.nc", sections=["split-half"])
    split_half = section(values, "split-half")
    assert (
        "Does not apply: ranking of file. No model of it on protocol 'tuning'."
        in split_half["findings"]
    )
    found = next(
        f
        for f in split_half["findings"]
        if "closest to" in (f if isinstance(f, str) else f["text"]).lower()
    )
    data = pd.read_csv(tmp_path / "report" / "figures" / "split-half.csv").sort_values("distance")
    assert sorted(data["family"]) == ["a", "b", "c"]
    (_, near), (_, far) = list(data.iterrows())[:2]
    assert f"{near['family']!r}" in found["text"].split(": distance")[0]
    assert found["text"].endswith(f"The next is {far['family']!r}.")
    difference = near["distance"] - far["distance"]
    assert found["effect"] == pytest.approx(difference, abs=1e-5)
    assert found["low"] <= found["effect"] <= found["high"]
    assert found["n"].startswith("3 networks")


def test_without_a_mapping_nothing_is_sampled_and_it_says_so(quick):
    values = quick(
        ["mine-elsewhere.nc"],
        "elsewhere.nc",
        settings=settings(pair=("motion", "colour")),
        match="as-recorded",
    )
    assert [one["name"] for one in values["sections"]] == [n for n in SECTIONS if n != "sampled"]
    limits, methods = (" ".join(values[part]) for part in ("limits", "methods"))
    assert "There is no mapping" in limits
    assert "Sampled" not in limits + methods
    assert "draw of each network" not in methods
    assert "Equivalence" not in methods
    assert "from the file mine-elsewhere.nc (protocol 'as recorded', without noise)" in methods
    assert {row["protocol"] for row in section(values, "published")["rows"]} == {"as recorded"}
    assert recording_of(values)["mapping"] is None
    assert "motion is compared with motion, colour with colour" in methods
    assert values["cards"]["animals"] == 1


def test_a_lab_brings_its_own_mapping(quick):
    signed = {"column": "coherence_1_level", "factor": 0.1}
    mapping = {
        "tasks": {"motion": "contextdm1", "colour": "contextdm2"},
        "conditions": {
            "direction": {"value": 0},
            "coherence_1": signed,
            "coherence_2": signed | {"column": "coherence_2_level"},
        },
        "epoch": {"recording": "stim1", "network": "stim1"},
        "stimulus_ms": 750,
    }
    values = quick(
        ["net"],
        "elsewhere.nc",
        settings=settings(pair=("motion", "colour"), margin=0.25),
        mapping=mapping,
        sections=["sampled"],
    )
    assert values["sections"][0]["name"] == "sampled"
    assert recording_of(values)["mapping"]["tasks"] == mapping["tasks"]
    assert "the margin, 0.25, was given beforehand" in " ".join(values["methods"])
    assert any("within a margin of 0.250 in s.d. of FTV" in text for text in texts(values))
    # one network says nothing of its kind
    assert not any("Over networks of this kind" in text for text in texts(values))


def test_a_file_on_the_matched_protocol_stands_beside_a_network(quick, inputs):
    values = quick(["net", "mine.nc"], "brain.nc", sections=["noise", "split-half"])
    assert values["cards"]["networks"] == 2
    assert "from the file mine.nc (protocol 'matched', without noise)" in " ".join(
        values["methods"]
    )
    made = recording_of(values)["models"][str(inputs / "mine.nc")]
    assert len(made["file_sha256"]) == 64
    sources = {row["source"] for row in section(values, "split-half")["rows"]}
    assert sources == {"halves", "net"}
    said = next(text for text in texts(values) if "shown the recording's conditions with" in text)
    assert re.search(r"an s\.d\. of FTV of 0\.\d+ to 0\.\d+", said)


# -- limits ---------------------------------------------------------------------------------------


def test_few_and_unequal_trials_and_units_left_out_are_said(inputs, quick):
    block = brain()
    second = nc.labels(block["task"]) == CONTEXTS[1]
    rare = second & (block["coherence_1_sign"].values > 0) & (unit_positions(block) == 3)
    kept = (~second | (np.arange(second.size) % 2 == 0)) & ~rare
    kept[np.flatnonzero(rare)[:2]] = True
    written(inputs / "few.nc", block.isel(observation=np.flatnonzero(kept)))
    values = quick(["net"], "few.nc", sections=["noise"])
    limits = " ".join(values["limits"])
    assert "SIMULATED monkey: fewer than 3 trials in some condition for 1 unit" in limits
    assert re.search(r"unequal numbers of trials \(\d+ and \d+ a condition", limits)
    assert "the task with fewer has the more noise" in limits
    assert re.search(r"net, matched: no FTV \(.*\) for \d+ of 16 units", limits)
    assert "Few networks (1)" in limits


def test_conditions_that_tasks_do_not_share_leave_analyses_out_with_the_reason(inputs, quick):
    table = {CONTEXTS[0]: ["coherence_1_sign"], CONTEXTS[1]: ["coherence_2_sign"]}
    block = brain().assign_attrs(condition_variables=json.dumps(table))
    written(inputs / "unshared.nc", block)
    text = " ".join(texts(quick(["net"], "unshared.nc", sections=["nulls", "confounds"])))
    # the tasks are compared by variance: FTV = 0 can be tested
    assert "have an FTV other than 0 at p <= 0.05" in text
    assert "Does not apply: equal trials. Needed: at least one that all tasks have" in text


def test_unequal_epochs_are_an_error_where_networks_are_sampled_and_else_said(inputs, quick):
    with pytest.raises(nc.InputError, match=r"both tasks over the same time.*got 2 blocks"):
        quick(["net"], "apart.nc")
    written(inputs / "apart-unmapped.nc", in_two_blocks(brain(mapped=False), 8))
    values = quick(["net"], "apart-unmapped.nc", name="unmapped", sections=["nulls"])
    limits = " ".join(values["limits"])
    assert "recorded for unequal times (0.75 s and 0.4 s a trial)" in limits
    assert "have an FTV other than 0 at p <= 0.05" in " ".join(texts(values))


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("models", "recording", "options", "match"),
    [
        ([], "brain.nc", {}, "models: expected at least one network"),
        (["nowhere"], "brain.nc", {}, "nowhere: expected a run folder with config.json"),
        (["nowhere.nc"], "brain.nc", {}, "source .*nowhere.nc': expected an existing file"),
        (["=net"], "brain.nc", {}, "models: expected SOURCE, or FAMILY=SOURCE, got '=.*net'"),
        (["net", "net"], "brain.nc", {}, "each name once on each protocol, got 'net' 2 times"),
        (["a=net", "b=net"], "brain.nc", {}, "each name once on each protocol, got 'net' 2"),
        (["mine.nc", "mine.nc"], "brain.nc", {}, "'mine' 2 times on protocol 'matched'"),
        (["brain.nc"], "brain.nc", {}, "the activity of a model, got 'SIMULATED monkey', a rec"),
        (["net"], "net", {}, "recording: expected a recording with noisy trials, got 'net'"),
        (["net"], "nowhere.nc", {}, "source .*nowhere.nc': expected an existing file"),
        (["net"], "elsewhere.nc", {}, "recording: expected trials of contextdm1, contextdm2, got"),
        (
            ["mine-elsewhere.nc"],
            "brain.nc",
            {},
            "tasks: expected a task of both; recorded are contextd",
        ),
        (
            ["net"],
            "elsewhere.nc",
            {"settings": settings(pair=("motion", "colour"))},
            "net': expected a network trained on motion, colour, got one trained on contextdm1",
        ),
        (["net"], "brain.nc", {"mapping": "mante"}, "mante: expected a YAML file .*mante2013"),
        (
            ["net"],
            "brain.nc",
            {"analyses": ["nowhere"]},
            "nowhere: expected the folder of a finished",
        ),
    ],
)
def test_bad_input_is_refused_and_nothing_is_left(
    quick, tmp_path, models, recording, options, match
):
    with pytest.raises(nc.InputError, match=match):
        quick(models, recording, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_active_units_is_refused(inputs, quick):
    block = nc.open(inputs / "mine.nc")["matched"].to_dataset().load()
    written(inputs / "silent.nc", block.assign(rate=block["rate"] * 0))
    with pytest.raises(nc.InputError, match=r"mine: expected at least 3 units.*got 0 of 96"):
        quick(["silent.nc"], "brain.nc")


def test_a_single_trial_of_a_condition_cannot_be_sampled(inputs, quick):
    block = brain(trials=1, variables=("coherence_1_level", "coherence_2_level"))
    written(inputs / "single.nc", block)
    with pytest.raises(nc.InputError, match="at least 2 wholly observed trials in some condition"):
        quick(["net"], "single.nc")


def test_a_report_that_fails_leaves_no_page_and_is_resumed(quick, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of ink")

    arguments = ["mine-elsewhere.nc"], "elsewhere.nc"
    options = {"settings": settings(pair=("motion", "colour")), "sections": ["examples"]}
    with monkeypatch.context() as patch:
        patch.setattr(Picture, "uri", property(fail))
        with pytest.raises(RuntimeError, match="out of ink"):
            quick(*arguments, **options)
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "configuration.json",
        "results",
    }
    with pytest.raises(nc.InputError, match=r"an existing folder\. .*--overwrite"):
        quick(*arguments, **options)
    calls = count_calls(monkeypatch, "compare")
    assert quick(*arguments, **options, resume=True)["title"].endswith("SIMULATED monkey")
    assert calls == []


def test_overwriting_never_deletes_what_is_no_report(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(nc.InputError, match="a report to replace.*an existing folder that is no"):
        compare(["pretrained:ctxdm-0"], None, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
