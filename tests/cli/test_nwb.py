"""``nwbcompare export | convert | validate``, and conversion of the real archive."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import h5py
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.core.files import sha256_of_file
from nwbcompare.datasets.registry import Loader, get_loader
from nwbcompare.io import inspect_nwb
from nwbcompare.model import Network, NetworkConfig, load, save_run
from nwbcompare.testing import example_block

SESSIONS = ["ar090313_1", "ar090325_5", "ar100427_4"]
"""Two groups of trials; three with units out of order; one group of two units."""


def run(*arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A small network's run folder, and its recording of two tasks' trials as netCDF."""
    folder = tmp_path_factory.mktemp("run")
    network = Network(NetworkConfig(n_units=6), name="net")
    save_run(network, folder / "net")
    activity = nc.make_activity(
        {
            task: nc.record(
                network,
                nc.tasks.make_trials(task).isel(trial=slice(0, 40, 4)),
                inputs_and_outputs=True,
            )
            for task in ("fdgo", "delaygo")
        }
    )
    activity.to_netcdf(folder / "net.nc", engine="h5netcdf")
    return folder, activity


def test_what_is_recorded_is_exported_whole_and_without_torch(recorded, tmp_path):
    folder, activity = recorded
    path = tmp_path / "net.nwb"
    code = (
        "import sys; from nwbcompare.cli.main import cli; "
        f"cli(['export', {str(folder / 'net.nc')!r}, '--out', {str(path)!r}], standalone_mode=False); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(path), "False"]
    opened = nc.open(path)
    for leaf, block in activity.children.items():
        xr.testing.assert_identical(opened[leaf].to_dataset(), block.to_dataset())
    assert inspect_nwb(path) == []


def test_export_by_task_with_spikes_variance_and_network(recorded, tmp_path):
    folder, activity = recorded
    result = run(
        "export",
        folder / "net.nc",
        "--dandiset",
        tmp_path / "set",
        "--per-task",
        "--spikes",
        "--gain",
        30,
        "--seed",
        4,
        "--task-variance",
        "--network",
        folder / "net",
        "--meta",
        "Subject.subject_id=net-7",
        "--meta",
        "NWBFile.lab=Our lab",
    )
    assert result.exit_code == 0
    paths = sorted((tmp_path / "set").rglob("*.nwb"))
    assert [p.name for p in paths] == [f"sub-net-7_ses-net-{t}.nwb" for t in ("delaygo", "fdgo")]
    assert result.output.split() == [str(p) for p in reversed(paths)]
    with h5py.File(paths[1]) as file:
        assert file["general/lab"].asstr()[()] == "Our lab"
        beside = paths[1].with_suffix(".safetensors")
        assert sha256_of_file(beside) in file["general/notes"].asstr()[()]
        assert "seed 4" in file["units"].attrs["description"]
        variance = nc.task_variance(activity)["task_variance"].sel(task="fdgo")
        np.testing.assert_array_equal(
            file["processing/misc/hidden_units/task_variance_fdgo"], variance
        )
    assert load(beside).config.n_units == 6
    xr.testing.assert_identical(
        nc.open(paths[1])["fdgo"].to_dataset(), activity["fdgo"].to_dataset()
    )


def test_a_run_folder_is_recorded_and_brings_its_own_weights(tmp_path, monkeypatch):
    save_run(Network(NetworkConfig(n_units=4), name="net"), tmp_path / "net")
    monkeypatch.setattr("nwbcompare.workflows.sources.tasks_of_network", lambda *_: ("fdgo",))
    result = run("export", tmp_path / "net", "--out", tmp_path / "x.nwb", "--dtype", "float16")
    assert result.exit_code == 0
    assert (tmp_path / "x.safetensors").is_file()
    block = nc.open(tmp_path / "x.nwb")["fdgo"]
    assert {"rate", "input", "output", "target"} == set(block.data_vars)
    assert block["rate"].shape == (40, 100, 4)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ([], "--out, --dandiset: expected one of the two"),
        (["--out", "a.nwb", "--dandiset", "b"], "--out, --dandiset: expected one of the two"),
        (["--out", "a.nc"], "a file ending in .nwb"),
        (["--out", "a.nwb", "--meta", "sex=F"], "--meta: expected TABLE.KEY=VALUE"),
        (["--out", "a.nwb", "--meta", "Subject.sx=F"], "Did you mean 'sex'"),
    ],
)
def test_wrong_options_are_refused_before_any_work(options, match):
    with pytest.raises(nc.InputError, match=match):
        run("export", "no such source", *options)
    with pytest.raises(nc.InputError, match="--out, --dandiset"):
        run("convert", "mante2013")


def test_a_place_to_write_to_is_asked_for_before_the_source_is_looked_at(tmp_path):
    from nwbcompare.workflows.export import export_source

    with pytest.raises(nc.InputError, match="expected one of the two, got none"):
        export_source("no such source")
    with pytest.raises(nc.InputError, match="expected one of the two, got both"):
        export_source("no such source", out=tmp_path / "x.nwb", dandiset=tmp_path)


def test_validate_prints_writes_and_tells_by_its_status(tmp_path):
    good = nc.write_nwb(example_block(), tmp_path / "good.nwb")
    bad = tmp_path / "bad.nwb"
    bad.write_bytes(good.read_bytes())
    with h5py.File(bad, "a") as file:
        del file["general/subject"]
    out = tmp_path / "messages.json"
    result = run("validate", good, bad, "--json-file-path", out)
    assert result.exit_code == 1
    assert f"{good}: no message" in result.output
    assert "CRITICAL: check_subject_exists" in result.output
    found = json.loads(out.read_text())
    assert found[str(good)] == []
    assert any("Subject" in message for message in found[str(bad)])
    assert run("validate", good).exit_code == 0
    with pytest.raises(nc.InputError, match="--overwrite"):
        run("validate", good, "--json-file-path", out)


def test_validate_says_of_any_file_what_is_wrong_with_it(tmp_path):
    text, other = tmp_path / "text.nwb", tmp_path / "other.nwb"
    text.write_text("no NWB at all")
    h5py.File(other, "w").close()
    damaged = nc.write_nwb(example_block(), tmp_path / "damaged.nwb")
    with h5py.File(damaged, "a") as file:
        del file["session_description"]
    result = run("validate", text, other, damaged)
    assert result.exit_code == 1
    assert result.output.count("ERROR: the validator cannot read it") == 2
    assert "session_description (): argument missing" in result.output
    # neither a traceback nor the whole file
    assert "Traceback" not in result.output
    assert max(map(len, result.output.splitlines())) < 1200
    with pytest.raises(nc.InputError, match="an NWB file, got nothing there"):
        run("validate", tmp_path / "gone.nwb")
    with pytest.raises(nc.InputError, match="an NWB file, got a folder"):
        run("validate", tmp_path)


def test_a_source_may_carry_options_of_reading(tmp_path):
    path = nc.write_nwb(example_block(), tmp_path / "x.nwb")
    result = run("tv", f"{path}?window=0.1,0.5&bin=0.2&conditions=direction", "--json")
    values = json.loads(result.output)["values"]["task_variance"]["values"]
    window = nc.open(path, window=(0.1, 0.5), bin=0.2, conditions=["direction"])
    np.testing.assert_allclose(values, nc.task_variance(window)["task_variance"])
    with pytest.raises(nc.InputError, match="Did you mean 'window'"):
        run("tv", f"{path}?windw=0,1")
    with pytest.raises(nc.InputError, match="option 'window': expected a value of type numbers"):
        run("tv", f"{path}?window=a,b")
    with pytest.raises(
        nc.InputError, match="for NWB files: expected one of .*Did you mean 'window'"
    ):
        nc.open(tmp_path, bin=0.1, windows=(0, 1))
    nc.make_activity({"a": example_block()}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(nc.InputError, match="no options for this kind of file, got bin"):
        nc.open(tmp_path / "x.nc", bin=0.1)


def test_a_loader_that_cannot_convert_says_so(monkeypatch, tmp_path):
    plain = Loader(
        name="plain",
        title="",
        card=get_loader("mante2013").card,
        options={},
        is_archive=lambda _: True,
        load=lambda _: None,
    )
    monkeypatch.setattr("nwbcompare.workflows.convert.get_loader", lambda _: plain)
    with pytest.raises(nc.InputError, match="a loader that says how its sessions become NWB"):
        nc.convert("plain", tmp_path, out=tmp_path / "out")


@pytest.mark.shared
def test_converted_sessions_give_what_the_loader_gives(mante2013_path, tmp_path):
    options = [option for session in SESSIONS for option in ("--session", session)]
    result = run("convert", "mante2013", mante2013_path, "--out", tmp_path / "nwb", *options)
    assert result.output.strip() == f"3 files in {tmp_path / 'nwb'}"
    files = sorted((tmp_path / "nwb").iterdir())
    assert [f.name for f in files] == [f"{s.replace('_', '-')}.nwb" for s in SESSIONS]
    for file in files:
        assert [m for m in inspect_nwb(file) if "SUGGESTION" not in m] == []
    parts = [
        nc.load("mante2013", mante2013_path, quality="all", session=session)["mante2013"]
        for session in SESSIONS
    ]
    together = nc.open(tmp_path / "nwb")["mante2013"].to_dataset()
    expected = np.concatenate([part["rate"].values for part in parts])
    np.testing.assert_array_equal(together["rate"], expected)
    assert together.attrs["name"] == "monkey A"
    first = 0
    for part in parts:
        rows = slice(first, first + part.sizes["observation"])
        first = rows.stop
        for name in (
            "task",
            "coherence_1_sign",
            "coherence_2",
            "correct",
            "trial_number",
            "session",
        ):
            np.testing.assert_array_equal(nc.labels(together[name][rows]), nc.labels(part[name]))
            if name not in {"task", "session"}:
                assert together[name].dtype == part[name].dtype
    for session, part, file in zip(SESSIONS, parts, files, strict=True):
        own = nc.open(file)
        here, there = (nc.task_variance(x) for x in (own, part.to_dataset()))
        np.testing.assert_array_equal(here["task_variance"], there["task_variance"])
        pair = ("contextdm1", "contextdm2")
        np.testing.assert_array_equal(
            *(
                nc.fractional_task_variance(v, *pair)["fractional_task_variance"]
                for v in (here, there)
            )
        )
        for name in ("unit", "quality", "depth_fine", "grid_x", "subject", "area"):
            np.testing.assert_array_equal(own["mante2013"][name], part[name])
        with h5py.File(file) as opened:
            assert opened["general/session_id"].asstr()[()] == session
            assert opened["general/subject/sex"].asstr()[()] == "M"
            assert "Nature 503" in opened["general/experiment_description"].asstr()[()]
            assert "no absolute times" in opened["session_description"].asstr()[()]


@pytest.mark.shared
def test_converted_spikes_are_the_archives_counts(mante2013_path, tmp_path):
    from scipy.io import loadmat

    (path,) = nc.convert(
        "mante2013", mante2013_path, out=tmp_path, dandiset=True, sessions=["ar100427_4"]
    )
    assert path == tmp_path / "sub-monkey-A" / "sub-monkey-A_ses-ar100427-4.nwb"
    assert (tmp_path / "dandiset.yaml").is_file()
    fine = nc.open(path, window=(0.1, 0.851), bin=0.001, smooth=0)["mante2013"]
    for name in fine["unit"].values:
        source = mante2013_path / "PFC data 1" / f"{name}_Vstim_100_850_ms.mat"
        counts = loadmat(source)["unit"]["response"][0, 0]
        rows = nc.select(fine.to_dataset(), units=[str(name)])
        rate = rows["rate"].isel(unit=0) if "unit" in rows["rate"].dims else rows["rate"]
        np.testing.assert_array_equal(np.rint(rate * 0.001), counts)
    with pytest.raises(nc.InputError, match="sessions: expected one of"):
        nc.convert("mante2013", mante2013_path, out=tmp_path / "x", sessions=["ar1"])
    with pytest.raises(nc.InputError, match="Did you mean 'ar100427_4'"):
        nc.load("mante2013", mante2013_path, session="ar100427_9")
