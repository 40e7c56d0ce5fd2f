"""Analyses: their numbers are those of the functions; they are resumed; bad input."""

from __future__ import annotations

import csv
import importlib
import json
import re
import shutil
import sys
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
import xarray as xr
from click.testing import CliRunner
from hypothesis import given, strategies as st
from page_reading import Page, rendered
from report_inputs import check_tidy_tables, written
from scipy.stats import spearmanr
from section_calls import count_calls, replace_compute
from training_logs import ROWS

import nwbcompare as nc
from nwbcompare.cli.main import cli, main
from nwbcompare.core.errors import DamagedCacheError
from nwbcompare.inference.networks import over_networks
from nwbcompare.model import Network, NetworkConfig, load, pretrained, save_run
from nwbcompare.model.checkpoint import read_evaluation
from nwbcompare.model.schedules import training_config
from nwbcompare.report.page_section import Picture, number_text
from nwbcompare.tasks.channels import input_channels
from nwbcompare.workflows.analysis_sources import analysis_source
from nwbcompare.workflows.analyze import analyze
from nwbcompare.workflows.formatting import over
from nwbcompare.workflows.registry import sections_of
from nwbcompare.workflows.results_folder import REPORT, ResultsFolder, read_results
from nwbcompare.workflows.section_runs import select_sections
from nwbcompare.workflows.sections import (
    clusters as clusters_section,
    lesions as lesions_section,
    rule_composition as composition_section,
    task_vectors as vectors_section,
    unit_groups as groups_section,
)
from nwbcompare.workflows.settings import Settings

# the package gives the function under the module's name
analyze_module = importlib.import_module("nwbcompare.workflows.analyze")
# of so few units some bins and pairs are empty
pytestmark = [
    pytest.mark.filterwarnings("ignore::nwbcompare.core.errors.UnitWarning"),
    pytest.mark.filterwarnings("ignore:.*cells have no choice within"),
]
TASKS = ("fdgo", "fdanti", "delaygo", "delayanti", "contextdm1", "contextdm2")
FEW = Settings(n_surrogates=9, n_rotations=9, n_unit_permutations=99, n_trials=64)
N_UNITS, N_GROUP = 40, 10
TRIED = range(2, 6)
DEFAULT_OF_NETWORKS = 9
"""Files of a network: eight sections, and what it is."""
SECTIONS = sections_of("analyze")
DEFAULT = [name for name, part in SECTIONS.items() if not part.is_long]


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Fewer starts, draws and trials than an analysis takes; what made a page stays alike."""
    with pytest.MonkeyPatch.context() as patch:
        less = {
            "cluster_units": {"n_clusters_tried": TRIED, "n_init": 2},
            "cluster_null": {"n_clusters_tried": TRIED, "n_jobs": 1},
            "describe_shuffled": {"n_clusters_tried": TRIED, "n_shuffles": 2},
            "describe_rotated": {"n_clusters_tried": TRIED, "n_rotations": 2},
            "cluster_stability": {"n_bootstraps": 5, "n_surrogates": 2},
            "match_clusters": {"n_permutations": 19},
        }
        for name, options in less.items():
            patch.setattr(
                clusters_section, name, partial(getattr(clusters_section, name), **options)
            )
        for path, options in {
            "nwbcompare.experiments.psychometrics.psychometric_curves": {"n_directions": 4},
            "nwbcompare.experiments.rule_composition.rule_composition": {
                "n_batches": 4,
                "n_random": 5,
            },
        }.items():
            module, name = path.rsplit(".", 1)
            home = importlib.import_module(module)
            patch.setattr(home, name, partial(getattr(home, name), **options))
        patch.setattr(groups_section, "LESION_DIRECTIONS", 4)
        patch.setattr(vectors_section, "N_GAUSSIAN", 1)
        patch.setattr(vectors_section, "N_UNTRAINED", 1)
        patch.setattr(lesions_section, "N_SETS", 10)
        patch.setattr(analyze_module, "environment", lambda: {"command": "nwbcompare analyze"})
        yield


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without their figures, which take longest."""

    def blank(name, caption, *_, size, data=(), **__):
        return Picture(name=name, svg=b"<svg/>", caption=caption, width=size[0], data=data)

    for name in ("performance", "task_variance", "pairwise_ftv", "condition_vectors"):
        part = importlib.import_module(f"nwbcompare.workflows.sections.{name}")
        monkeypatch.setattr(part, "picture", blank)
    for part in (
        clusters_section,
        lesions_section,
        groups_section,
        vectors_section,
        composition_section,
    ):
        monkeypatch.setattr(part, "picture", blank)


@pytest.fixture
def unrendered(monkeypatch):
    """Pages whose figures are drawn and not rendered as SVG, which takes longest."""
    monkeypatch.setattr("nwbcompare.report.pictures.as_svg", lambda _: b"<svg/>")


@pytest.fixture
def idle(monkeypatch):
    """Fail where any section is computed."""

    def refuse(*_):
        raise AssertionError("computed")

    replace_compute(monkeypatch, "analyze", dict.fromkeys(SECTIONS, refuse))


def save(folder, name, *, seed=0, tasks=TASKS, n_units=N_UNITS, change=lambda _: None, **of):
    """Save an untrained network as a run."""
    network = Network(NetworkConfig(n_units=n_units, seed=seed, rules=TASKS, **of), name=name)
    with torch.no_grad():
        change(network)
    return str(save_run(network, folder / name, training=training_config(tasks)))


def with_groups(network, inhibition=0.0):
    """Silence ten units in the second context, ten in the first; have them inhibit each other."""
    channels = list(input_channels(TASKS))
    first, second = slice(N_GROUP), slice(N_GROUP, 2 * N_GROUP)
    network.input_weight[channels.index("rule_contextdm2"), first] = -30
    network.input_weight[channels.index("rule_contextdm1"), second] = -30
    network.recurrent_weight[first, second] -= inhibition
    network.recurrent_weight[second, first] -= inhibition


def silent(network):
    """Set every weight to zero: units of constant rate."""
    for weight in network.parameters():
        weight.zero_()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by name: two networks with known groups, of which one inhibits; one of mixed rules."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "a": save(folder, "a", change=partial(with_groups, inhibition=0.2)),
        "b": save(folder, "b", seed=2, change=with_groups),
        "mixed": save(folder, "mixed", seed=8, rule_mixing_seed=3),
    }


@pytest.fixture(scope="module")
def several(runs, quick, tmp_path_factory):
    """The analysis of all three, in one go."""
    return analyze(list(runs.values()), tmp_path_factory.mktemp("one") / "go", settings=FEW)


@pytest.fixture
def copied(several, tmp_path):
    """A copy of that analysis, to go on with or to spoil."""
    return Path(shutil.copytree(several, tmp_path / "copy"))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A simulated recording, and its netCDF file."""
    activity = nc.comparison.simulate_recording(pretrained("ctxdm-0"), n_units=48)
    path = tmp_path_factory.mktemp("recording") / "brain.nc"
    activity.to_netcdf(path, engine="h5netcdf")
    return activity, str(path)


def sections(folder):
    """Read a page's sections by name; NaN is no JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    values = json.loads((folder / "report.json").read_text(), parse_constant=refuse)
    return {section["name"]: section for section in values["sections"]}


def texts(folder, part):
    """Return the sentences of a section."""
    return [f if isinstance(f, str) else f["text"] for f in sections(folder)[part]["findings"]]


def row(folder, part, name):
    """Return the numbers of a source in a section."""
    (found,) = [r for r in sections(folder)[part]["rows"] if r["source"] == name]
    return found


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def results(folder, name, part):
    """Read what an analysis keeps."""
    return read_results(ResultsFolder(folder).file(name, part))


# what the page says


def test_the_numbers_are_those_of_the_functions_called_directly(several, runs):
    source = analysis_source(runs["a"])
    variance = nc.task_variance(source.activity)
    total = variance["task_variance"].sum("task")
    assert row(several, "variance", "a")["median summed TV"] == float(total.median())
    assert row(several, "variance", "a")["active units"] == N_UNITS
    clusters = clusters_section.cluster_units(variance)
    null = clusters_section.cluster_null(variance, n_surrogates=9)
    found = row(several, "clusters", "a")
    assert found["clusters"] == clusters.attrs["n_clusters"]
    assert found["silhouette"] == float(clusters["silhouette"].max())
    assert found["p (clusters)"] == float(null["p_value"])
    from nwbcompare.analysis.selectivity.ftv_shapes import classify_pairs
    from nwbcompare.analysis.selectivity.pairwise_ftv import pairwise_ftv
    from nwbcompare.experiments.lesion_statistics import lesion_statistic
    from nwbcompare.experiments.lesions import lesion_performance

    shapes = classify_pairs(pairwise_ftv(variance))["shape"].values
    pairs = row(several, "pairs", "a")
    assert {k: pairs[k] for k in np.unique(shapes)} == {k: (shapes == k).sum() for k in set(shapes)}
    members = clusters["cluster"].values
    lesions = lesion_performance(
        load(runs["a"]),
        {str(k): np.flatnonzero(members == k) for k in range(clusters.attrs["n_clusters"])},
        list(TASKS),
        n_trials=64,
    )
    statistic = lesion_statistic(lesions, clusters["profile"])
    assert row(several, "lesions", "a")["rank correlation"] == float(statistic["rank_correlation"])


def test_composition_and_cosines_are_those_of_the_functions(several, runs):
    from nwbcompare.experiments.rule_composition import rule_composition

    network = load(runs["b"])
    direct = rule_composition(network, "delayanti").sel(measure="performance")
    assert row(several, "composition", "b")["Dly Anti: best wrong"] == float(direct["best_wrong"])
    from nwbcompare.analysis.population.compositionality import COMPOSITIONS, composition_cosine
    from nwbcompare.analysis.population.task_vectors import rule_vectors
    from nwbcompare.experiments.weights import network_weights

    cosine = composition_cosine(
        rule_vectors(network_weights(network), list(TASKS)), *COMPOSITIONS["go"]
    )
    kept = results(several, "b", "vectors")["cosine_rules_go"]["cosine"]
    assert float(kept) == float(cosine["cosine"])


def test_groups_that_were_built_in_are_found_and_inhibition_only_where_there_is_any(several):
    for name in "ab":
        found = row(several, "groups", name)
        assert (found["units in group 1"], found["units in group 2"]) == (N_GROUP, N_GROUP)
    one, other = row(several, "groups", "a"), row(several, "groups", "b")
    assert (one["W12"], one["W21"]) == (pytest.approx(-0.2, abs=1e-6),) * 2
    assert (other["W12"], other["statistic"]) == (0, 0)
    said = "\n".join(sections(several)["groups"]["findings"])
    assert re.search(r"a: mean weights .* called mutual inhibition\.", said)
    assert "p < 0.05 in the network) in 1 of 2." in said
    # the network with mixed rules has neither group, and is shown as it is
    assert row(several, "groups", "mixed")["units in group 1"] == 0
    assert "statistic" not in row(several, "groups", "mixed")


def test_each_table_has_rows_of_one_kind(several):
    check_tidy_tables(several)


def test_what_is_said_over_networks_is_the_mean_of_their_rows(several):
    names = ("a", "b")
    values = {n: row(several, "lesions", n)["rank correlation"] for n in names}
    (said,) = [f for f in sections(several)["lesions"]["findings"] if f.startswith("Over")]
    assert said == over(
        "the rank correlation of a cluster's variance and the drop without it",
        over_networks(values),
    )
    assert "Over 2 networks the rank correlation" in said
    assert f"{np.mean(list(values.values())):+.3f}" in said


def test_networks_of_mixed_rules_stand_beside_the_others(several):
    findings = sections(several)["vectors"]["findings"]
    (beside,) = [f for f in findings if "rules mixed" in f]
    assert beside.startswith("Over 2 networks")
    kept = results(several, "mixed", "vectors")["cosine_end_go"]["cosine"]
    assert f"rules mixed {float(kept):+.3f}, " in beside
    own = [float(results(several, n, "vectors")["cosine_end_go"]["cosine"]) for n in "ab"]
    assert f" is {np.mean(own):+.3f} [" in beside


def test_what_is_kept_says_the_same_as_what_was_computed(several, runs, copied, undrawn, idle):
    (copied / "index.html").unlink()
    analyze(list(runs.values()), copied, settings=FEW, resume=True)
    before, after = files(several), files(copied)
    assert list(before) == list(after)
    assert {name for name in before if before[name] != after[name]} <= {
        "index.html",
        *(name for name in before if name.endswith(".svg")),
    }


def test_what_is_kept_draws_the_same_as_what_was_computed(several, runs, copied, idle):
    figures = files(copied / "figures")
    sources = [runs["a"], runs["b"]]
    analyze(sources, copied, sections=["pairs", "composition"], settings=FEW, resume=True)
    names = {p["name"] for section in sections(copied).values() for p in section["pictures"]}
    assert len(names) == 7
    for name in names:
        assert (copied / "figures" / f"{name}.svg").read_bytes() == figures[f"{name}.svg"]


def test_with_three_networks_matched_clusters_have_an_interval(several, undrawn):
    found = {name: results(several, name, "clusters") for name in ("a", "b", "mixed")}
    (said,) = [f for f in SECTIONS["clusters"].summarise_over(found, {}).findings if "matched" in f]
    assert re.search(r"correlate by 0\.\d+ \[.*\] \(jackknife over networks\); profiles", said)
    del found["mixed"]
    (said,) = [f for f in SECTIONS["clusters"].summarise_over(found, {}).findings if "matched" in f]
    assert re.search(r"correlate by 0\.\d+; profiles", said)


def test_random_sets_of_units_are_asked_only_when_named(
    several, runs, copied, undrawn, monkeypatch
):
    assert "controls" not in sections(several)
    calls = count_calls(monkeypatch, "analyze")
    analyze([runs["a"]], copied, sections=["controls"], settings=FEW, resume=True)
    assert calls == [("a", "controls")]
    assert list(sections(copied)) == ["variance", "clusters", "lesions", "controls"]
    p_values = results(copied, "a", "controls")["sizes"]["p_value"].values
    n = row(copied, "controls", "a")["pairs beyond sets of like size"]
    assert n == (p_values < 0.05).sum()
    said = " ".join(sections(copied)["controls"]["findings"])
    assert f"{n} of {p_values.size} pairs" in said
    beyond = results(copied, "a", "controls")["sizes"]["excess"].values
    profile = results(copied, "a", "clusters")["clusters"]["profile"].values
    assert row(copied, "controls", "a")["rank correlation of the excess"] == pytest.approx(
        spearmanr(profile.ravel(), -beyond.ravel()).statistic
    )
    assert not list((copied / "results" / "a").glob("*partial*"))


# resuming


def test_an_interrupted_analysis_goes_on_and_ends_as_if_it_had_not_been(
    several, runs, tmp_path, undrawn, monkeypatch
):
    out, sources = tmp_path / "out", [runs["a"], runs["b"]]
    # of the first network the results are there: the second is interrupted between two sections
    shutil.copytree(several / "results" / "a", out / "results" / "a")
    shutil.copy(several / "configuration.json", out)
    with monkeypatch.context() as patch:
        first = count_calls(patch, "analyze", stop=("b", "groups"))
        with pytest.raises(KeyboardInterrupt):
            analyze(sources, out, settings=FEW, resume=True)
    assert {name for name, _ in first} == {"b"}
    assert not (out / "index.html").exists()
    assert {p.name for p in (out / "results" / "b").iterdir()} == {
        "identity.json",
        *(f"{name}.nc" for name in DEFAULT[: DEFAULT.index("groups")]),
    }
    second = count_calls(monkeypatch, "analyze")
    analyze(sources, out, settings=FEW, resume=True)
    assert second[0] == ("b", "groups")
    assert not set(first[:-1]) & set(second)
    # beside other networks, in another folder, the same seed gives the same to the last bit
    kept = [path.relative_to(out) for path in out.glob("results/*/*")]
    assert len(kept) == 2 * DEFAULT_OF_NETWORKS
    assert all((out / path).read_bytes() == (several / path).read_bytes() for path in kept)
    check_control_stands_beside(sections(several), sections(out))


def check_control_stands_beside(with_control, without):
    """Check that a network of mixed rules is named, and changes nothing of the others."""
    assert list(with_control) == list(without)
    mixed = re.compile(r", rules mixed [^,]*, rules mixed: weights [^,]*?\. ")
    for name, section in without.items():
        before, over_both = (
            [f for f in one["findings"] if f.startswith("Over")]
            for one in (with_control[name], section)
        )
        assert [mixed.sub(". ", finding) for finding in before] == over_both
        rows = [r for r in with_control[name]["rows"] if r["source"] != "mixed"]
        assert rows == section["rows"]
    assert any("rules mixed" in f for f in with_control["vectors"]["findings"])
    assert not any("rules mixed" in f for f in without["vectors"]["findings"])


def test_another_seed_gives_other_numbers_where_chance_is_in_them(several, runs, tmp_path, undrawn):
    other = analyze(
        [runs["a"]],
        tmp_path / "other",
        sections=["composition", "pairs"],
        settings=Settings(seed=1, n_rotations=9),
    )
    assert row(other, "composition", "a") != row(several, "composition", "a")
    one, two = (results(folder, "a", "pairs") for folder in (other, several))
    assert one["pairs"].equals(two["pairs"])
    assert not one["rotated"].equals(two["rotated"])
    assert row(other, "variance", "a") == row(several, "variance", "a")


def test_networks_and_sections_can_be_added(several, runs, tmp_path, undrawn, monkeypatch):
    out = tmp_path / "out"
    calls = count_calls(monkeypatch, "analyze")
    analyze([runs["a"]], out, sections=["pairs"], settings=FEW)
    assert calls == [("a", "variance"), ("a", "pairs")]
    calls.clear()
    analyze([runs["b"], runs["a"]], out, sections=["groups", "pairs"], settings=FEW, resume=True)
    assert calls == [("b", "variance"), ("b", "pairs"), ("b", "groups"), ("a", "groups")]
    for part in ("pairs", "groups"):
        assert row(out, part, "a") == row(several, part, "a")
        said = [f for f in sections(out)[part]["findings"] if f.startswith("Over")]
        assert said == [f for f in sections(several)[part]["findings"] if f.startswith("Over")]


@pytest.mark.usefixtures("idle")
class TestRefusals:
    """Nothing is computed, and nothing that was there changes."""

    @pytest.fixture(autouse=True)
    def _unchanged(self, request):
        if "copied" not in request.fixturenames:
            yield
            return
        folder = request.getfixturevalue("copied")
        before = files(folder)
        yield
        assert files(folder) == before

    def test_other_settings(self, copied, runs):
        other = replace(FEW, n_trials=128)
        with pytest.raises(
            nc.InputError, match=r"n_trials: 64 there, 128 asked\. .*--overwrite"
        ) as error:
            analyze([runs["a"]], copied, settings=other, resume=True)
        assert "n_surrogates" not in str(error.value)

    def test_another_network_of_the_same_name(self, copied, runs, tmp_path):
        other = save(tmp_path, "b", seed=9)
        with pytest.raises(nc.InputError, match=r"results/b/identity\.json.*weights_sha256: '"):
            analyze([runs["a"], other], copied, settings=FEW, resume=True)

    @pytest.mark.parametrize("damage", ["cut", "empty", "text"])
    def test_a_damaged_section(self, copied, runs, damage):
        file = copied / "results" / "a" / "variance.nc"
        whole = file.read_bytes()
        file.write_bytes({"cut": whole[:2000], "empty": b"", "text": b"no netCDF"}[damage])
        with pytest.raises(
            DamagedCacheError, match=r"results/a/variance\.nc: .* Remove it"
        ) as error:
            analyze([runs["a"]], copied, settings=FEW, resume=True)
        assert error.value.remedy.endswith("computed again.")
        file.write_bytes(whole)

    def test_damaged_settings(self, copied, runs):
        file = copied / "configuration.json"
        whole = file.read_text()
        file.write_text("{")
        with pytest.raises(DamagedCacheError, match=r"configuration\.json: expected a JSON file"):
            analyze([runs["a"]], copied, settings=FEW, resume=True)
        file.write_text(whole)

    def test_an_existing_analysis(self, copied, runs, monkeypatch):
        monkeypatch.setattr(analyze_module, "analysis_source", lambda _: pytest.fail("opened"))
        with pytest.raises(nc.InputError, match=r"an existing folder\. .*--overwrite"):
            analyze([runs["a"]], copied, settings=FEW)

    @pytest.mark.parametrize("how", [{"overwrite": True}, {"resume": True}])
    @pytest.mark.parametrize("name", ["thesis.txt", "configuration.json"])
    def test_a_folder_that_is_no_analysis(self, tmp_path, runs, name, how):
        # other tools have files of that name
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / name).write_text("years of work")
        with pytest.raises(nc.InputError, match="an existing folder"):
            analyze([runs["a"]], tmp_path / "mine", settings=FEW, **how)
        assert (tmp_path / "mine" / name).read_text() == "years of work"

    def test_no_source_one_twice_and_none(self, tmp_path, runs):
        with pytest.raises(nc.InputError, match="sources: expected at least one source"):
            analyze([], tmp_path / "out")
        with pytest.raises(nc.InputError, match="each name once, got 'a' 2 times"):
            analyze([runs["a"], runs["b"], runs["a"]], tmp_path / "out")
        with pytest.raises(nc.InputError, match="source 'nowhere'"):
            analyze([runs["a"], "nowhere"], tmp_path / "out")
        with pytest.raises(nc.InputError, match="'variance'"):
            analyze([runs["a"]], tmp_path / "out", sections=["varience"])
        with pytest.raises(nc.InputError, match="sections: expected at least one section"):
            analyze([runs["a"]], tmp_path / "out", sections=[])
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("seed", -1),
            ("n_surrogates", 0),
            ("n_rotations", 0),
            ("n_unit_permutations", 0.5),
            ("n_trials", 63),
        ],
    )
    def test_numbers_that_no_section_can_work_with(self, name, value):
        with pytest.raises(nc.InputError, match=f"{name}: expected a whole number of"):
            Settings(**{name: value})


def test_an_existing_analysis_is_replaced_whole(copied, runs, undrawn):
    (copied / "notes.txt").touch()
    analyze([runs["a"]], copied, sections=["variance"], settings=FEW, overwrite=True)
    assert list(sections(copied)) == ["variance"]
    assert [p.name for p in (copied / "results").iterdir()] == ["a"]
    assert not (copied / "notes.txt").exists()


def test_a_section_is_kept_whole_or_not_at_all(runs, tmp_path, undrawn, monkeypatch):
    def half(self, path, **_):
        path.write(b"half")
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(xr.DataTree, "to_netcdf", half)
        with pytest.raises(OSError, match="disk full"):
            analyze([runs["a"]], tmp_path / "out", sections=["variance"], settings=FEW)
    assert [p.name for p in (tmp_path / "out" / "results" / "a").iterdir()] == ["identity.json"]
    assert REPORT.is_in(tmp_path / "out")
    analyze([runs["a"]], tmp_path / "out", sections=["variance"], settings=FEW, resume=True)
    assert row(tmp_path / "out", "variance", "a")["units"] == N_UNITS


def test_surrogates_of_an_interrupted_section_are_not_drawn_again(
    several, runs, copied, undrawn, monkeypatch
):
    (copied / "results" / "a" / "clusters.nc").unlink()
    clusters = importlib.import_module("nwbcompare.analysis.clustering.cluster_null")
    drawn, draw = [], clusters._surrogate
    with monkeypatch.context() as patch:
        patch.setattr(clusters, "AT_ONCE", 3)

        def some(copula, search, index):
            if index == 5:
                raise KeyboardInterrupt
            return draw(copula, search, index)

        patch.setattr(clusters, "_surrogate", some)
        with pytest.raises(KeyboardInterrupt):
            analyze([runs["a"]], copied, sections=["clusters"], settings=FEW, resume=True)
    assert (copied / "results" / "a" / "clusters.partial.json").is_file()

    def count(copula, search, index):
        drawn.append(index)
        return draw(copula, search, index)

    monkeypatch.setattr(clusters, "_surrogate", count)
    analyze([runs["a"]], copied, sections=["clusters"], settings=FEW, resume=True)
    assert drawn == list(range(3, 9))
    assert row(copied, "clusters", "a") == row(several, "clusters", "a")
    assert not list((copied / "results" / "a").glob("*partial*"))


def test_damaged_surrogates_are_an_error_and_no_reason_to_go_without(runs, copied, undrawn):
    folder = copied / "results" / "a"
    (folder / "clusters.nc").unlink()
    (folder / "clusters.partial.json").write_text("{")
    with pytest.raises(
        DamagedCacheError, match=r"clusters\.partial\.json: expected a JSON file of rows"
    ):
        analyze([runs["a"]], copied, sections=["clusters"], settings=FEW, resume=True)
    assert not (folder / "clusters.nc").exists()


def test_a_network_is_known_by_its_weights_and_not_by_its_path(runs, copied, undrawn, idle):
    elsewhere = copied.parent / "elsewhere" / "a"
    shutil.copytree(runs["a"], elsewhere)
    analyze([str(elsewhere)], copied, sections=["variance"], settings=FEW, resume=True)


def test_a_smaller_page_leaves_nothing_of_the_larger_one(runs, copied, undrawn, idle):
    assert (copied / "tables" / "lesions.csv").is_file()
    analyze([runs["a"]], copied, sections=["variance"], settings=FEW, resume=True)
    assert {path.name for path in (copied / "tables").iterdir()} == {"variance.csv"}
    assert (copied / "results" / "a" / "lesions.nc").is_file()


# what cannot be asked is said


def test_networks_of_few_tasks_or_units_say_what_they_cannot_be_asked(tmp_path, unrendered):
    sources = [
        save(tmp_path, "one-task", tasks=TASKS[:1]),
        save(tmp_path, "constant", change=silent, n_units=8),
    ]
    out = analyze(sources, tmp_path / "out", settings=FEW)
    text = {name: "\n".join(texts(out, name)) for name in sections(out)}
    why = "one-task: does not apply. "
    assert f"{why}It has no decision task." in text["performance"]
    assert f"{why}Needed: two or more tasks" in text["clusters"]
    assert "constant: does not apply. Needed: at least 3 units" in text["clusters"]
    for name in ("one-task", "constant"):
        assert (
            f"{name}: does not apply. It needs section 'clusters', which does not apply."
            in text["lesions"]
        )
    assert f"{why}It has one task only." in text["pairs"]
    assert f"{why}It has no trials of contextdm1." in text["groups"]
    assert row(out, "variance", "constant")["active units"] == 0
    assert row(out, "groups", "constant")["units in group 12"] == 0
    assert not [p for s in sections(out).values() for p in s["pictures"] if "clusters" in p["name"]]


def test_networks_of_other_tasks_are_not_pooled_where_tasks_must_agree(runs, tmp_path, undrawn):
    short = save(tmp_path, "short", tasks=TASKS[:4])
    out = analyze(
        [runs["a"], short], tmp_path / "out", sections=["pairs", "composition"], settings=FEW
    )
    said = sections(out)
    assert said["pairs"]["findings"][0].startswith("Over 2 networks: does not apply. Needed: ")
    assert "Over 2 networks performance" in said["composition"]["findings"][0]
    assert row(out, "pairs", "short")["undecided"] <= 6


def test_groups_without_a_pair_of_like_units_are_counted_still(tmp_path, unrendered):
    def two_units(network):
        channels = list(input_channels(TASKS))
        network.input_weight[channels.index("rule_contextdm2"), 0] = -30
        network.input_weight[channels.index("rule_contextdm1"), 1] = -30

    source = save(tmp_path, "few", n_units=8, change=two_units)
    out = analyze([source], tmp_path / "out", sections=["groups"], settings=FEW)
    assert row(out, "groups", "few")["units in group 1"] == 1
    assert any(
        "few: mutual inhibition does not apply. Needed: " in f
        for f in sections(out)["groups"]["findings"]
    )


def test_a_shipped_network_of_two_tasks(tmp_path, undrawn):
    out = analyze(
        ["pretrained:ctxdm-0"],
        tmp_path / "out",
        sections=["groups", "vectors", "composition", "conditions"],
        settings=FEW,
    )
    said = {name: s["findings"] for name, s in sections(out).items()}
    why = "ctxdm-0: does not apply. It"
    assert said["vectors"] == [f"{why} has none of the published sets of four tasks."]
    assert said["composition"] == [f"{why} lacks tasks of every published case."]
    assert said["conditions"][0].startswith(f"{why}s test trials have many levels")
    variance = results(out, "ctxdm-0", "variance")["task"]
    from nwbcompare.analysis.selectivity.unit_groups import unit_groups

    sizes = unit_groups(variance, "contextdm1", "contextdm2")["group_size"].values
    found = row(out, "groups", "ctxdm-0")
    assert [found[f"units in group {g}"] for g in ("1", "2", "12")] == sizes.tolist()
    # trained, it chooses right where an untrained network guesses
    lesions = results(out, "ctxdm-0", "groups")["lesions"]["performance"]
    assert float(lesions.sel(lesion="intact").min()) > 0.9


def test_a_recording_is_asked_all_but_lesions_weights_and_rules(recording, tmp_path, undrawn):
    activity, path = recording
    out = analyze([path], tmp_path / "out", settings=FEW)
    name = "SIMULATED monkey"
    text = {part: "\n".join(texts(out, part)) for part in sections(out)}
    for part in ("performance", "lesions", "vectors", "composition"):
        assert text[part].startswith(f"{name}: does not apply. ")
        assert not sections(out)[part]["rows"]
    variance = nc.task_variance(activity)
    clusters = clusters_section.cluster_units(variance)
    assert row(out, "clusters", name)["clusters"] == clusters.attrs["n_clusters"]
    assert "epairs does not apply. Needed: three or more columns" in text["clusters"]
    cosines = results(out, name, "conditions")
    assert set(cosines) == {f"coherence_{k}_sign_contextdm1_contextdm2" for k in (1, 2)}
    for one in cosines.values():
        assert f"{float(one['cosine']):+.2f} [" in text["conditions"]


@pytest.mark.parametrize("names", [("dots",), ("dots", "wait")])
def test_condition_vectors_are_of_the_only_epoch_or_do_not_apply(
    names, recording, tmp_path, undrawn
):
    block = next(iter(recording[0].children.values())).to_dataset()
    block = block.isel(epoch=[0] * len(names)).assign_coords(epoch=list(names))
    path = written(tmp_path / "brain.nc", block)
    out = analyze([path], tmp_path / "out", sections=["conditions"], settings=FEW)
    found = texts(out, "conditions")
    if len(names) == 1:
        assert all("over units (epoch dots); with units paired at random" in text for text in found)
    else:
        assert all(
            "an epoch 'stim1', or only one, in both tasks; here: dots, wait" in text
            for text in found
        )
    assert len(found) == 2


def test_epochs_that_end_with_the_response_leave_only_their_analysis_out(
    recording, tmp_path, undrawn
):
    block = next(iter(recording[0].children.values())).to_dataset()
    stop = block["epoch_stop_time"].copy()
    stop[::2] -= 0.1
    path = written(tmp_path / "brain.nc", block.assign_coords(epoch_stop_time=stop))
    out = analyze([path], tmp_path / "out", sections=["variance", "clusters"], settings=FEW)
    found = texts(out, "variance")
    assert any("units are active" in text for text in found)
    assert any(
        "variance by epoch does not apply. Needed: the same bounds in every trial" in text
        for text in found
    )
    assert sections(out)["clusters"]["rows"]


@pytest.mark.shared
def test_monkey_a(mante2013_path, tmp_path, undrawn):
    out = analyze(
        [f"mante2013:{mante2013_path}?animal=ar"],
        tmp_path / "out",
        sections=["variance", "pairs", "groups", "conditions", "lesions"],
        settings=FEW,
    )
    name = "monkey A"
    ftv = results(out, name, "pairs")["pairs"]["fractional_task_variance"]
    # as the report has it
    assert (float(ftv.mean()), float(ftv.std())) == pytest.approx((0.0583, 0.3320), abs=5e-5)
    assert "monkey A: does not apply. Recorded units cannot" in texts(out, "lesions")[0]
    numbers = row(out, "conditions", name)
    assert len(numbers) == 1 + 2 * len(results(out, name, "conditions"))
    assert all(0 < value <= 1 for key, value in numbers.items() if key.startswith("p: "))


def test_names_of_sources_may_be_anything(tmp_path, recording, undrawn):
    activity, _ = recording
    named = activity.map_over_datasets(
        lambda one: one.assign_attrs(name="../we / <b>") if one.dims else one
    )
    named.to_netcdf(tmp_path / "brain.nc", engine="h5netcdf")
    out = analyze(
        [str(tmp_path / "brain.nc")], tmp_path / "out", sections=["variance"], settings=FEW
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["brain.nc", "out"]
    (drawn,) = sections(out)["variance"]["pictures"]
    assert (out / "figures" / f"{drawn['name']}.svg").is_file()
    assert "../we / &lt;b&gt;: 48 of" in (out / "index.html").read_text()


# sections


def test_sections_are_told_apart_and_stand_after_what_they_need():
    names = list(SECTIONS)
    assert [part.name for part in SECTIONS.values()] == names
    assert len({part.heading for part in SECTIONS.values()}) == len(names)
    for place, part in enumerate(SECTIONS.values()):
        assert set(part.needs) <= set(names[:place])
        assert re.fullmatch(r"[a-z]+", part.name)
        assert part.method.endswith(".")
        assert part.heading.strip()


@given(st.lists(st.sampled_from(sorted(SECTIONS)), min_size=1))
def test_chosen_sections_are_closed_ordered_and_no_more_than_needed(names):
    chosen = [part.name for part in select_sections("analyze", names)]
    assert chosen == sorted(set(chosen), key=list(SECTIONS).index)
    needed, more = set(), set(names)
    while more:
        needed |= more
        more = {need for name in needed for need in SECTIONS[name].needs} - needed
    assert set(chosen) == needed


def test_by_default_all_sections_but_the_long_ones_are_chosen():
    assert [part.name for part in select_sections("analyze", None)] == DEFAULT
    assert {name for name in SECTIONS if name not in DEFAULT} == {"controls"}
    with pytest.raises(nc.InputError, match="Did you mean 'lesions'"):
        select_sections("analyze", ["pairs", "lesion"])


# the page


def test_the_page_is_whole_and_describes_its_pictures(several):
    page = Page((several / "index.html").read_text())
    assert page.open == []
    contents = ["findings", *DEFAULT, "methods", "provenance"]
    assert [name for name in page.ids if not name.startswith("figure-")] == contents
    links = [link for link in page.links[1:] if not link.startswith("#figure-")]
    assert page.links[0] == "#findings"
    assert links == [f"#{name}" for name in contents]
    assert len(set(page.ids)) == len(page.ids)
    listed = [p for s in sections(several).values() for p in s["pictures"]]
    assert [image["alt"] for image in page.images] == [p["caption"] for p in listed]
    assert all(len(image["alt"]) > 40 for image in page.images)
    assert all(i["src"].startswith("data:image/svg+xml;base64,") for i in page.images)


@pytest.mark.chromium
def test_a_browser_shows_every_picture_without_overflow(several, chromium, tmp_path):
    found = rendered(chromium, several / "index.html", tmp_path, 1100)
    assert found["overflow"] <= 0
    assert [name for name, _ in found["sections"]] == [
        *("findings", *DEFAULT, "methods", "provenance")
    ]
    assert min(height for _, height in found["sections"]) > 20
    assert min(natural for natural, _ in found["images"]) > 100
    assert max(found["clipped"]) <= 0


def test_every_picture_is_a_file_of_its_own_and_nothing_else_is_there(several):
    listed = [p["name"] for s in sections(several).values() for p in s["pictures"]]
    assert len(set(listed)) == len(listed)
    assert {p.stem for p in (several / "figures").glob("*.svg")} == set(listed)
    assert {p.stem for p in (several / "figures").glob("*.csv")} <= set(listed)
    for name in listed:
        root = ET.parse(several / "figures" / f"{name}.svg").getroot()  # noqa: S314 - ours
        assert root.tag.endswith("svg")
    assert {p.name for p in several.iterdir()} == {
        *("report.json", "configuration.json", "index.html", "figures", "tables", "results"),
    }
    assert {p.name for p in (several / "tables").iterdir()} == {
        f"{name}.csv" for name, s in sections(several).items() if s["rows"]
    }


def test_pictures_are_of_the_first_network_and_over_networks(several):
    names = [p["name"] for s in sections(several).values() for p in s["pictures"]]
    assert any(name == "pairs-a" for name in names)
    assert not [name for name in names if name.endswith(("-b", "-mixed"))]
    assert {"performance-over-networks", "lesions-over-networks", "groups-over-networks"} < set(
        names
    )


def test_tables_hold_the_numbers_of_the_page(several):
    text = (several / "index.html").read_text()
    for name, section in sections(several).items():
        if not section["rows"]:
            continue
        with (several / "tables" / f"{name}.csv").open(newline="") as file:
            table = list(csv.DictReader(file))
        assert [r["source"] for r in table] == ["a", "b", "mixed"]
        for one, line in zip(section["rows"], table, strict=True):
            assert {k: str(v) for k, v in one.items()} == {k: v for k, v in line.items() if v}
            assert all(f">{number_text(value)}</t" in text for value in one.values())


def test_the_page_says_how_and_of_what(several, runs):
    values = json.loads((several / "report.json").read_text())
    assert values["title"] == "Selectivity and composition: 3 networks"
    assert "unit of inference is the network" in values["caution"]
    assert len(values["methods"]) == len(DEFAULT)
    made = values["provenance"]
    assert made["settings"] == {"seed": 0} | {k: getattr(FEW, k) for k in made["settings"]}
    assert {name: one["source"] for name, one in made["sources"].items()} == runs
    assert all(len(one["weights_sha256"]) == 64 for one in made["sources"].values())


# the command line


def invoke(*arguments):
    return CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)


def refused(monkeypatch, capsys, *arguments):
    """Run the command line to its end: what it writes about bad input."""
    monkeypatch.setattr(sys, "argv", ["nwbcompare", *map(str, arguments)])
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    return capsys.readouterr().err


def test_analyze_on_the_command_line(several, runs, tmp_path, undrawn):
    common = ["--surrogates", 9, "--rotations", 9, "--permutations", 99, "--trials", 64]
    out = tmp_path / "out"
    result = invoke("analyze", runs["a"], "--sections", "pairs, variance", "--out", out, *common)
    assert result.exit_code == 0, result.output
    assert f"Page: {out / 'index.html'}" in result.output
    for section in sections(out).values():
        assert section["heading"] in result.output
        assert all(f"  {finding}" in result.output for finding in section["findings"])
    assert row(out, "pairs", "a") == row(several, "pairs", "a")
    assert json.loads((out / "configuration.json").read_text()) == {
        "seed": 0,
        "n_surrogates": 9,
        "n_rotations": 9,
        "n_unit_permutations": 99,
        "n_trials": 64,
        "n_permutations": 1000,
        "n_bootstrap": 2000,
    }
    again = invoke(
        "analyze", runs["a"], "--sections", "variance", "--out", out, *common, "--resume"
    )
    assert again.exit_code == 0
    assert list(sections(out)) == ["variance"]


def test_analyze_lists_its_sections():
    listed = invoke("analyze", "--list-sections").output.splitlines()
    assert [line.partition(":")[0] for line in listed] == list(SECTIONS)
    assert [line for line in listed if line.endswith("(long)")] == [
        f"controls: {SECTIONS['controls'].heading} (long)"
    ]


def test_analyze_refuses_bad_input(runs, tmp_path, monkeypatch, capsys, idle):
    out = tmp_path / "out"
    for arguments, message in (
        (["--long", "--sections", "pairs"], "--long: expected no --sections beside it"),
        (["--sections", "pair"], "Did you mean 'pairs'?"),
        (["--surrogates", 0], "n_surrogates: expected a whole number of 1 or more"),
        ([runs["a"]], "'a' 2 times"),
    ):
        said = refused(monkeypatch, capsys, "analyze", runs["a"], "--out", out, *arguments)
        assert message in said
    assert not out.exists()


def test_compose_gives_the_performance_of_each_expression(runs, monkeypatch, capsys):
    from nwbcompare.experiments.rule_composition import composition_performance

    said = ["fdanti + delaygo - fdgo", "delayanti"]
    common = ["compose", runs["a"], "--task", "delayanti", "--batches", 3, "--seed", 1]
    direct = composition_performance(load(runs["a"]), "delayanti", said, n_batches=3, seed=1)
    values = json.loads(invoke(*common, "--json", *said).output)
    assert list(values) == said
    for expression in said:
        at = direct.sel(expression=expression)
        for measure in ("performance", "balanced_accuracy"):
            assert values[expression][measure] == pytest.approx(float(at[measure]), abs=1e-9)
    plain = invoke(*common, *said).output.splitlines()
    assert plain[0] == (
        f"{values[said[0]]['performance']:.3f} "
        f"(balanced {values[said[0]]['balanced_accuracy']:.3f})  {said[0]}"
    )
    twice = json.loads(invoke(*common, "--json", "fdgo", "fdgo").output)
    assert list(twice) == ["fdgo"]
    assert "'fdgoo'" in refused(monkeypatch, capsys, *common, "fdgoo + fdanti")
    assert "dm1" in refused(monkeypatch, capsys, "compose", runs["a"], "--task", "dm1", "fdgo")


def test_the_log_is_part_of_the_page(runs, tmp_path, undrawn):
    log = [r | {"performance": dict.fromkeys(TASKS, r["step"] / 100)} for r in ROWS]
    run = save_run(load(runs["b"]), tmp_path / "b", training=training_config(TASKS), log=log)
    out = analyze([str(run)], tmp_path / "out", sections=["performance"], settings=FEW)
    training = results(out, "b", "performance")["training"]
    assert training["performance"].values.tolist() == [[0.0] * 6, [1.0] * 6]
    names = [p["name"] for p in sections(out)["performance"]["pictures"]]
    assert names == ["performance-b", "performance-training-b"]
    assert read_evaluation(run) == {}
