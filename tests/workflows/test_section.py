"""Sections: their results by name and group, refusals, and files that keep them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.core.errors import DamagedCacheError, NotApplicableError
from nwbcompare.workflows.results_folder import (
    REPORT,
    WHY_NOT,
    ResultsFolder,
    keep_results,
    read_results,
    results_folder,
)
from nwbcompare.workflows.section import Refusal, Results, Section, Summary

LACK = Refusal("Needed: two animals; here: one.")


def table(value, **attrs):
    return xr.Dataset(
        {"rate": ("unit", [value, np.nan]), "name": ("unit", ["a", "µ/b"])}, attrs=attrs
    )


def lacking():
    raise NotApplicableError("recording", "two animals", "one", "Record another.")


@pytest.fixture
def results():
    """Results in a group and a series, with a refusal and a warning."""
    results = Results({"whole": table(1.0, kind="x")}, warnings=["monkey: 1 unit"])
    results.attempt("distance", lacking, called="distance between animals")
    results.add_series("draw", [table(float(k)) for k in range(12)])
    inner = Results({"a": table(2.0)}, refusals={"b": LACK})
    results.add_group("source 0", inner)
    return results


# names


def test_an_attempt_adds_a_result_or_its_refusal_and_lets_errors_through(results):
    results.attempt("mean", lambda: table(3.0))
    assert results["mean"].identical(table(3.0))
    assert "distance" not in results
    assert results.refusals["distance between animals"] == LACK
    results.attempt("other", lacking)
    assert results.refusals["other"] == LACK

    def bad():
        raise nc.InputError("seed", "0 or more", "-1", "Use 0.")

    with pytest.raises(nc.InputError, match="seed: expected 0 or more, got -1"):
        results.attempt("bad", bad)
    assert "bad" not in {*results, *results.refusals}


def test_groups_and_series_come_back_under_their_own_names(results):
    group = results.group("source 0")
    assert list(group) == ["a"]
    assert group["a"].identical(table(2.0))
    assert group.refusals == {"b": LACK}
    assert results.group("source") == {}
    series = results.series("draw")
    assert [float(one["rate"][0]) for one in series] == list(range(12))
    assert results.series("nothing") == []


def test_results_are_of_their_own_and_not_of_what_they_were_made_from():
    refusals, warnings = {"a": LACK}, ["w"]
    results = Results(refusals=refusals, warnings=warnings)
    results.refusals["b"] = LACK
    results.warnings.append("v")
    assert (refusals, warnings) == ({"a": LACK}, ["w"])


@given(st.lists(st.integers(0, 99), unique=True, max_size=12))
def test_a_group_of_groups_is_taken_apart_again(numbers):
    inner = Results({f"n{k}": xr.Dataset(attrs={"k": k}) for k in numbers})
    outer = Results()
    outer.add_group("b", {"other": xr.Dataset()})
    middle = Results()
    middle.add_group("in", inner)
    outer.add_group("a", middle)
    assert list(outer.group("a").group("in")) == list(inner)
    assert outer.group("a.in").keys() == inner.keys()


def test_a_section_applies_to_all_unless_it_says_otherwise():
    section = Section(
        name="x", heading="X", compute=lambda *_: Results(), summarise=lambda *_, **__: Summary()
    )
    assert section.applies_to(None) is None
    assert (section.report, section.needs, section.is_long) == ("analyze", (), False)
    with pytest.raises(AttributeError, match="cannot assign"):
        section.name = "y"


# files


def same(one, two):
    assert list(one) == list(two)
    assert all(one[name].identical(two[name]) for name in one)
    assert (one.refusals, one.warnings) == (two.refusals, two.warnings)


def test_results_come_back_from_their_file_whole_and_in_order(results, tmp_path):
    file = tmp_path / "section.nc"
    keep_results(file, results)
    same(read_results(file), results)
    keep_results(file, Results())
    same(read_results(file), Results())
    assert [path.name for path in tmp_path.iterdir()] == ["section.nc"]


def test_names_may_have_slashes(tmp_path):
    results = Results({"means.left/right": table(1.0), "a/b/c": table(2.0)}, refusals={"x/y": LACK})
    for small in (False, True):
        keep_results(tmp_path / "section.nc", results, small=small)
        same(read_results(tmp_path / "section.nc"), results)


def test_packed_results_are_the_same_numbers_in_less_space(tmp_path):
    many = Results({"a": xr.Dataset({"rate": (("draw", "unit"), np.zeros((200, 200)))})})
    for small in (False, True):
        keep_results(tmp_path / f"{small}.nc", many, small=small)
        assert read_results(tmp_path / f"{small}.nc")["a"].equals(many["a"])
    sizes = [(tmp_path / f"{small}.nc").stat().st_size for small in (False, True)]
    assert sizes[1] < sizes[0] / 10


def test_results_of_another_identity_are_none(results, tmp_path):
    file = tmp_path / "section.nc"
    assert read_results(file) is None
    identity = {"weights_sha256": "ab", "seeds": (0, 1), "margin": None}
    keep_results(file, results, identity)
    same(read_results(file, identity), results)
    same(read_results(file, {"seeds": [0, 1]}), results)
    same(read_results(file), results)
    assert read_results(file, identity | {"weights_sha256": "cd"}) is None
    assert read_results(file, {"new": 1}) is None


def test_a_reason_in_place_of_a_table_is_read_as_a_refusal(tmp_path):
    file = tmp_path / "section.nc"
    keep_results(
        file, Results({"a": table(1.0), "b": xr.Dataset(attrs={WHY_NOT: "it has one task."})})
    )
    results = read_results(file)
    assert list(results) == ["a"]
    assert results.refusals == {"b": Refusal("it has one task.")}


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "refusals"])
def test_a_damaged_file_is_an_error_and_stays(results, tmp_path, damage):
    file = tmp_path / "section.nc"
    keep_results(file, results)
    if damage == "refusals":
        tree = xr.DataTree.from_dict({"/a": table(1.0)})
        tree.attrs = {"refusals": "{"}
        tree.to_netcdf(file, engine="h5netcdf")
    else:
        whole = file.read_bytes()
        file.write_bytes({"cut": whole[:3000], "empty": b"", "text": b"no netCDF"}[damage])
    before = file.read_bytes()
    with pytest.raises(
        DamagedCacheError, match=r"section\.nc: expected results that an earlier run has kept"
    ) as error:
        read_results(file)
    assert error.value.remedy.endswith("the section is computed again.")
    assert file.read_bytes() == before


# folders


def test_a_folder_keeps_results_of_one_source_under_a_name(tmp_path):
    folder = ResultsFolder(tmp_path)
    folder.claim("a / b", {"sha256": "ab", "seeds": (1, 2)})
    folder.claim("a / b", {"sha256": "ab", "seeds": (1, 2)})
    assert folder.file("a / b", "nulls").parent == tmp_path / "results" / "a___b"
    with pytest.raises(nc.InputError, match=r"identity\.json.*sha256: 'ab' there, 'cd' asked"):
        folder.claim("a / b", {"sha256": "cd", "seeds": (1, 2)})
    (tmp_path / "results" / "a___b" / "identity.json").write_text("{")
    with pytest.raises(DamagedCacheError, match=r"identity\.json: expected a JSON file"):
        folder.claim("a / b", {"sha256": "ab"})


def test_a_folder_is_a_report_by_its_settings_and_results_together(tmp_path):
    out = tmp_path / "out"
    with results_folder(out, {"seed": 0}, resume=False, overwrite=False) as folder:
        assert REPORT.is_in(folder.path)
    assert REPORT.is_in(out)
    with results_folder(out, {"seed": 0}, resume=True, overwrite=False) as folder:
        assert folder.path == out
    with (
        pytest.raises(nc.InputError, match=r"seed: 0 there, 1 asked\. .*--overwrite"),
        results_folder(out, {"seed": 1}, resume=True, overwrite=False),
    ):
        pytest.fail("opened")
    (out / "results").rmdir()
    assert not REPORT.is_in(out)


@pytest.mark.parametrize("name", ["..", ".", "../../x", "/etc", "a\\b", "a\0b", "n" * 300, ""])
def test_results_of_any_source_stay_in_the_folder_of_the_report(tmp_path, name):
    folder = ResultsFolder(tmp_path / "report")
    file = folder.file(name, "tv")
    file.write_text("")
    assert file.resolve().parent.parent == (tmp_path / "report" / "results").resolve()
    assert folder.file("monkey A", "tv").parent.name == "monkey_A"


def test_long_names_that_differ_have_folders_that_differ(tmp_path):
    folder = ResultsFolder(tmp_path)
    assert folder.file("n" * 300 + "1", "tv") != folder.file("n" * 300 + "2", "tv")
