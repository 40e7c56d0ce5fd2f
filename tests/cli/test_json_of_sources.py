"""`tv --json` and `ftv --json` print the numbers of the functions, whatever the SOURCE is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.model import Network, NetworkConfig, save_run
from nwbcompare.model.schedules import training_config
from nwbcompare.testing import example_block
from nwbcompare.workflows.sources import resolve

PAIR = ("contextdm1", "contextdm2")


def block() -> xr.Dataset:
    """Return the example block with its trials in two tasks."""
    two = example_block().assign_coords(task=("trial", np.repeat(PAIR, 4)))
    return two.assign_attrs(condition_variables=json.dumps({task: ["direction"] for task in PAIR}))


def nwb(folder: Path) -> str:
    return str(nc.write_nwb(block(), folder / "day1.nwb"))


def netcdf(folder: Path) -> str:
    nc.make_activity({"example": block()}).to_netcdf(folder / "a.nc", engine="h5netcdf")
    return str(folder / "a.nc")


def run_folder(folder: Path) -> str:
    network = Network(NetworkConfig(n_units=8, rules=PAIR), name="net")
    return str(save_run(network, folder / "run", training=training_config(PAIR)))


def pretrained(_: Path) -> str:
    return "pretrained:ctxdm-0"


@pytest.mark.parametrize("write", [nwb, netcdf, run_folder, pretrained])
def test_the_numbers_are_those_of_the_functions(
    write: Callable[[Path], str], tmp_path: Path
) -> None:
    source = write(tmp_path)
    variance = nc.task_variance(resolve(source))
    results: dict[str, Any] = {
        "task_variance": ("tv", variance),
        "fractional_task_variance": ("ftv", nc.fractional_task_variance(variance, *PAIR)),
    }
    for name, (command, expected) in results.items():
        printed = CliRunner().invoke(cli, [command, source, "--json"], catch_exceptions=False)
        # NaN is null
        values = np.array(json.loads(printed.stdout)["values"][name]["values"], dtype=float)
        np.testing.assert_array_equal(values, expected[name].values)
        assert np.isfinite(values).any()
