"""Results in files of every format: the same numbers in each, and nothing that JSON lacks."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import nwbcompare as nc
from nwbcompare.testing import example_block
from nwbcompare.workflows.result_files import check_result_path, result_json, write_result


def result(*, missing=False):
    variance = nc.task_variance(example_block())
    if missing:
        values = variance["task_variance"].values.copy()
        values[0] = np.nan
        variance["task_variance"] = (("unit", "task"), values)
    return variance


@pytest.mark.parametrize("suffix", [".nc", ".csv", ".json", ".parquet"])
def test_every_format_has_the_numbers_of_the_result(tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    one, path = result(missing=True), tmp_path / f"result{suffix}"
    write_result(one, path)
    if suffix == ".nc":
        values = xr.load_dataset(path)["task_variance"].values
    elif suffix == ".json":
        plain = json.loads(path.read_text())["values"]["task_variance"]
        assert plain["dims"] == ["unit", "task"]
        values = np.array(plain["values"], dtype=float)
    else:
        table = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
        assert list(table)[:3] == ["unit", "task", "task_variance"]
        assert len(table) == one["task_variance"].size
        values = table.pivot_table(
            "task_variance", "unit", "task", sort=False, dropna=False
        ).to_numpy()
        np.testing.assert_array_equal(table["unit"], np.repeat(one["unit"], one.sizes["task"]))
    np.testing.assert_allclose(values, one["task_variance"], rtol=1e-12)


def test_json_has_no_json_in_text_and_no_number_that_json_lacks():
    plain = result_json(result(missing=True))

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    back = json.loads(json.dumps(plain), parse_constant=refuse)
    assert back == plain
    assert (plain["schema"], plain["version"]) == ("nwbcompare-result", 1)
    assert plain["attrs"]["leave_out"] == ["fix1"]
    assert plain["attrs"]["conditions"] is None
    assert isinstance(plain["attrs"]["provenance"], dict)
    assert plain["values"]["task_variance"]["values"][0] == [None]

    def texts(value):
        if isinstance(value, dict):
            return [text for one in value.values() for text in texts(one)]
        if isinstance(value, list):
            return [text for one in value for text in texts(one)]
        return [value] if isinstance(value, str) else []

    assert not [text for text in texts(plain) if text[:1] in '{["']


def test_a_result_is_the_same_as_json_and_as_netcdf(tmp_path):
    one = nc.fractional_task_variance(
        nc.task_variance(
            nc.comparison.simulate_recording(nc.model.pretrained("ctxdm-0"), n_units=4)
        ),
        "contextdm1",
        "contextdm2",
    )
    plain = result_json(one)
    for name, column in one.variables.items():
        values = (plain["values"] | plain["coords"])[name]["values"]
        np.testing.assert_array_equal(values, nc.labels(one[name]))
        assert (plain["values"] | plain["coords"])[name]["dims"] == list(column.dims)


@pytest.mark.parametrize("name", ["result.xlsx", "result", "result.nc.txt"])
def test_other_suffixes_are_refused_with_the_list(tmp_path, name):
    with pytest.raises(
        nc.InputError, match=r"--out: expected a file ending in \.nc, \.csv, \.json, \.parquet"
    ):
        check_result_path(tmp_path / name)


def test_parquet_without_its_package_is_refused_before_the_computation(tmp_path, monkeypatch):
    monkeypatch.setattr("nwbcompare.workflows.result_files.find_spec", lambda _: None)
    with pytest.raises(nc.InputError, match=r"pip install 'nwbcompare\[tables\]'"):
        check_result_path(tmp_path / "result.parquet")
    assert check_result_path(tmp_path / "result.csv").name == "result.csv"


def test_an_existing_file_stays(tmp_path):
    path = tmp_path / "result.csv"
    path.write_text("mine")
    with pytest.raises(nc.InputError, match="overwrite"):
        write_result(result(), path)
    assert path.read_text() == "mine"
    write_result(result(), path, overwrite=True)
    assert path.read_text().startswith("unit,task,")
