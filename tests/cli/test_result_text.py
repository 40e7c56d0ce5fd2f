"""Task variance and FTV as text: the summary, the first rows, and all of them."""

import re

import numpy as np
from click.testing import CliRunner

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.cli.result_text import MOST_ROWS, ftv_text, variance_text

RECORDING = nc.comparison.simulate_recording(nc.model.pretrained("ctxdm-0"), n_units=24)
VARIANCE = nc.task_variance(RECORDING)
FTV = nc.fractional_task_variance(VARIANCE, "contextdm1", "contextdm2")


def units_in(text):
    return re.findall(r"^simulated_\d+", text, re.MULTILINE)


def test_the_summary_has_the_numbers_of_the_result():
    first, second, *_ = variance_text(VARIANCE, every=False).splitlines()
    active = int((VARIANCE["task_variance"].sum("task") > 1e-3).sum())
    assert first.startswith(f"SIMULATED monkey: 24 units, {active} active ({active / 24:.0%}; ")
    medians = VARIANCE["task_variance"].median("unit").values
    assert [float(number) for number in re.findall(r"([\d.]+) in", second)] == [
        float(f"{median:.4g}") for median in medians
    ]
    values = FTV["fractional_task_variance"]
    assert f"median {float(values.median()):.4f}, mean {float(values.mean()):.4f}" in ftv_text(
        FTV, every=False
    )


def test_the_first_rows_are_the_largest_and_all_are_in_their_order():
    order = np.argsort(-VARIANCE["task_variance"].sum("task").values)
    expected = VARIANCE["unit"].values[order[:MOST_ROWS]]
    assert units_in(variance_text(VARIANCE, every=False)) == list(expected)
    assert units_in(variance_text(VARIANCE, every=True)) == list(VARIANCE["unit"].values)
    order = np.argsort(-abs(FTV["fractional_task_variance"].values), kind="stable")
    assert units_in(ftv_text(FTV, every=False)) == list(FTV["unit"].values[order[:MOST_ROWS]])
    assert units_in(ftv_text(FTV, every=True)) == list(FTV["unit"].values)


def test_units_without_a_value_come_last():
    values = FTV["fractional_task_variance"].values.copy()
    values[:3] = np.nan
    some = FTV.assign(fractional_task_variance=("unit", values))
    assert not set(units_in(ftv_text(some, every=False))) & set(FTV["unit"].values[:3])


def test_the_commands_print_it_and_write_tables(tmp_path):
    RECORDING.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")

    def run(*words):
        result = CliRunner().invoke(cli, [*map(str, words)], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    assert run("tv", tmp_path / "a.nc") == variance_text(VARIANCE, every=False) + "\n"
    assert run("ftv", tmp_path / "a.nc", "--all") == ftv_text(FTV, every=True) + "\n"
    printed = run("ftv", tmp_path / "a.nc", "--out", tmp_path / "ftv.csv")
    assert printed.endswith(f"Result: {tmp_path / 'ftv.csv'}\n")
    assert len((tmp_path / "ftv.csv").read_text().splitlines()) == 25
