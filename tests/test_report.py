"""The command line and the report: what a user sees, bad input, and the page in a browser."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import nwbcompare as nc
from nwbcompare.compare import write_report
from nwbcompare.report.figures import FIGURES
from nwbcompare.testing import example_block

OUTPUTS = {"index.html", "report.json", "ctxdm-0.nwb"} | {
    f"{n}.{e}" for n in FIGURES for e in ("csv", "svg")
}
SECTIONS = ["compared", *FIGURES, "numbers", "methods", "provenance"]


def command(*arguments, cwd=None, **environment):
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "nwbcompare.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
        timeout=240,
    )


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """The report of a user who has no recording."""
    folder = tmp_path_factory.mktemp("lab") / "work" / "main"
    folder.mkdir(parents=True)
    environment = {"XDG_CACHE_HOME": str(folder), "NWBCOMPARE_DATA": ""}
    result = command(
        "report",
        "--permutations",
        20,
        "--model",
        "pretrained:ctxdm-0",
        "--model",
        "pretrained:ctxdm-1",
        cwd=folder,
        **environment,
    )
    assert result.returncode == 0, result.stderr
    return folder / "report", result


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, mante2013_path):
    """The report on the recording of monkey A."""
    return write_report(
        tmp_path_factory.mktemp("real") / "report",
        recording=f"mante2013:{mante2013_path}",
        n_permutations=50,
    )


def test_without_a_recording_it_says_how_to_get_it_and_marks_everything(simulated):
    folder, result = simulated
    assert {path.name for path in folder.iterdir()} == OUTPUTS
    assert re.search(
        r"SIMULATED recording: none was found.*Mante lab.*Cite: Mante V", result.stdout, re.DOTALL
    )
    assert "report/index.html" in result.stdout
    values = json.loads((folder / "report.json").read_text())
    assert values["simulated"] is True
    assert values["title"].startswith("SIMULATED")
    page = (folder / "index.html").read_text()
    assert "<title>SIMULATED" in page
    assert page.count('alt="SIMULATED recording.') == len(FIGURES)
    assert "Recording: SIMULATED." in page
    assert values["compared"]["simulated animals"] == 1
    # text in the figures is drawn as paths, and matplotlib leaves the words as comments
    assert all("SIMULATED recording" in (folder / f"{name}.svg").read_text() for name in FIGURES)


@pytest.mark.shared
def test_the_report_on_the_recording_has_its_numbers(recorded):
    values = json.loads((recorded / "report.json").read_text())
    monkey, *networks = values["numbers"]
    assert values["simulated"] is False
    assert (monkey["ftv_mean"], monkey["ftv_sd"]) == pytest.approx((0.0583, 0.3320), abs=5e-5)
    assert monkey["active_samples"] == 181
    assert monkey["counts"]["sessions"] == 78
    assert {n["protocol"] for n in networks} == {"matched", "published"}
    assert values["provenance"]["recording"]["files"]["count"] == 762
    assert all(len(m["weights_sha256"]) == 64 for m in values["provenance"]["models"].values())
    assert "SIMULATED" not in (recorded / "index.html").read_text()


@pytest.mark.shared
def test_the_data_of_the_figures_agree_with_the_numbers(recorded):
    import pandas as pd

    histogram = pd.read_csv(recorded / "ftv.csv").query(
        "source == 'monkey A' and kind == 'observed'"
    )
    assert histogram["count"].tolist() == [
        0,
        2,
        2,
        0,
        5,
        4,
        11,
        18,
        15,
        22,
        17,
        23,
        15,
        19,
        13,
        7,
        5,
        2,
        0,
        1,
    ]
    assert histogram["share"].sum() == pytest.approx(1)
    units = pd.read_csv(recorded / "variance.csv").query("source == 'monkey A'")
    a, b = units["tv_contextdm1"], units["tv_contextdm2"]
    np.testing.assert_allclose(units["ftv"], (a - b) / (a + b))


@pytest.mark.shared
def test_the_networks_activity_is_written_beside_it(recorded):
    opened = nc.open(recorded / "all20-fast-0.nwb")
    values = json.loads((recorded / "report.json").read_text())["numbers"]
    published = next(
        n for n in values if n["source"] == "all20-fast-0" and n["protocol"] == "published"
    )
    ftv = nc.fractional_task_variance(nc.task_variance(opened), "contextdm1", "contextdm2")
    assert float(ftv["fractional_task_variance"].std()) == pytest.approx(
        published["ftv_sd"], rel=1e-4
    )


class Page(HTMLParser):
    """Collects what a page refers to and holds."""

    def __init__(self):
        super().__init__()
        self.links, self.ids, self.images = [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[name] for name in ("src", "href") if name in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.images += [attrs] if tag == "img" else []


def test_the_page_needs_nothing_from_elsewhere_and_describes_its_images(simulated):
    page = Page()
    page.feed((simulated[0] / "index.html").read_text())
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert [i for i in page.ids if i in SECTIONS] == SECTIONS
    assert all(len(image["alt"]) > 40 for image in page.images)
    assert (simulated[0] / "index.html").stat().st_size < 5e6


@pytest.mark.chromium
@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_shows_every_section_without_errors(simulated, chromium, tmp_path, width):
    page = tmp_path / "page.html"
    probe = """<script>addEventListener('load', () => { const t = document.documentElement;
    const out = document.createElement('pre'); out.id = 'probe';
    out.textContent = JSON.stringify({overflow: t.scrollWidth - t.clientWidth,
      sections: [...document.querySelectorAll('section')].filter(s => s.getBoundingClientRect().height > 20).map(s => s.id),
      images: [...document.images].map(i => i.naturalWidth), rows: document.querySelectorAll('tbody tr').length});
    document.body.append(out); });</script>"""
    page.write_text((simulated[0] / "index.html").read_text().replace("</head>", probe + "</head>"))
    result = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-quic",
            "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            f"--window-size={width},1500",
            "--virtual-time-budget=3000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', result.stdout)[1]))
    assert found["sections"] == SECTIONS
    assert len(found["images"]) == len(FIGURES)
    assert min(found["images"]) > 100
    assert found["rows"] == 5
    assert found["overflow"] <= 0
    assert "CONSOLE" not in result.stderr


def test_the_same_seed_gives_the_same_figures_and_numbers(simulated, tmp_path, monkeypatch):
    folder, _ = simulated
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: str(tmp_path))
    monkeypatch.delenv("NWBCOMPARE_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    again = write_report(
        tmp_path / "again", models=["pretrained:ctxdm-0", "pretrained:ctxdm-1"], n_permutations=20
    )
    for name in FIGURES:
        assert (again / f"{name}.csv").read_text() == (folder / f"{name}.csv").read_text()
        assert (again / f"{name}.svg").read_bytes() == (folder / f"{name}.svg").read_bytes()
    one, two = (json.loads((f / "report.json").read_text()) for f in (folder, again))
    assert one["numbers"] == two["numbers"]


def test_a_report_leaves_nothing_behind_when_it_fails(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of ink")

    monkeypatch.setattr("nwbcompare.compare.write_nwb", fail)
    activity = nc.simulate_recording(nc.model.pretrained("ctxdm-3"), n_units=4)
    activity.to_netcdf(tmp_path / "brain.nc", engine="h5netcdf")
    with pytest.raises(RuntimeError, match="out of ink"):
        write_report(
            tmp_path / "report",
            models=["pretrained:ctxdm-0"],
            recording=str(tmp_path / "brain.nc"),
            n_permutations=2,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["brain.nc"]


def test_ftv_on_the_command_line(tmp_path):
    result = command("ftv", "pretrained:ctxdm-0", "--json", "--out", tmp_path / "ftv.nc")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["attrs"]["task_a"] == "contextdm1"
    ftv = values["values"]["fractional_task_variance"]["values"]
    assert len(ftv) == 256
    assert None in ftv
    assert (tmp_path / "ftv.nc").is_file()


@pytest.mark.shared
def test_tv_on_the_command_line_takes_a_loader_with_options(mante2013_path):
    result = command("tv", f"mante2013:{mante2013_path}?quality=single&animal=ar", "--json")
    values = json.loads(result.stdout)["values"]["task_variance"]["values"]
    assert len(values) == 181


def test_training_and_recording_on_the_command_line(tmp_path):
    from click.testing import CliRunner

    from nwbcompare.cli import cli

    run = tmp_path / "run"
    command = ["train", "--tasks", "contextdm1,contextdm2", "--units", "8", "--out", str(run)]
    result = CliRunner().invoke(cli, [*command, "--schedule", "paper", "--max-steps", "4"])
    assert result.exit_code == 0, result.output
    assert "of 512 random trials with noise" in result.output
    for name in ("a.nwb", "a.nc"):
        result = CliRunner().invoke(cli, ["record", str(run), "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
    one, two = (nc.task_variance(nc.open(tmp_path / name)) for name in ("a.nwb", "a.nc"))
    assert one["task_variance"].equals(two["task_variance"])
    assert nc.task_variance(nc.open(run))["task_variance"].equals(one["task_variance"])
    with pytest.raises(nc.InputError, match=r"ending in .nwb or .nc"):
        CliRunner().invoke(
            cli, ["record", str(run), "--out", str(tmp_path / "a.csv")], catch_exceptions=False
        )
    result = CliRunner().invoke(
        cli, ["record", str(run), "--protocol", "matched", "--out", str(tmp_path / "m.nc")]
    )
    assert nc.open(tmp_path / "m.nc")["matched"].sizes["unit"] == 48


def test_datasets_are_listed_and_explained():
    assert "mante2013" in json.loads(command("datasets", "list", "--json").stdout)
    assert "Nature 503" in command("datasets", "info", "mante2013").stdout


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["tv", "nowhere"], r"source 'nowhere': expected an existing file or folder"),
        (["tv", "mante2013:nowhere"], r"Cite: Mante V"),
        (
            ["ftv", "pretrained:ctxdm-0", "--pair", "contextdm1:contextdm3"],
            "Did you mean 'contextdm",
        ),
        (
            ["ftv", "pretrained:ctxdm-0", "--pair", "contextdm1:contextdm1"],
            "other than 'contextdm1'",
        ),
        (["ftv", "pretrained:ctxdm-0", "--pair", "contextdm1"], "TASK_A:TASK_B"),
        (
            ["tv", "pretrained:ctxdm-0", "--estimator", "mean"],
            "estimator: expected one of per_time",
        ),
        (["train", "--tasks", "flipgo", "--out", "run"], "task: expected one of fdgo"),
        (["report", "--model", "nowhere"], "a run folder with config.json"),
        (["datasets", "info", "mante"], "Did you mean 'mante2013'"),
        (["record", "pretrained:ctxdm-0", "--out", "/proc/nowhere/x.nwb"], "can be written"),
        (["tv"], "Missing argument"),
    ],
)
def test_bad_input_ends_with_status_2_and_leaves_nothing(tmp_path, arguments, match):
    result = command(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert re.search(match, result.stderr)
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_refused_before_any_work(tmp_path):
    (tmp_path / "report").mkdir()
    result = command("report", cwd=tmp_path)
    assert result.returncode == 2
    assert "--overwrite" in result.stderr


def test_overwriting_never_deletes_what_is_no_report(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(nc.InputError, match="a report to replace.*an existing folder that is no"):
        write_report(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_network_is_not_taken_for_a_recording(tmp_path):
    with pytest.raises(
        nc.InputError, match="a recording with noisy trials, got 'ctxdm-1', a model"
    ):
        write_report(tmp_path / "report", recording="pretrained:ctxdm-1")
    assert not list(tmp_path.iterdir())


def test_a_report_needs_networks_and_permutations(tmp_path):
    with pytest.raises(nc.InputError, match="models: expected at least one network"):
        write_report(tmp_path / "report", models=[])
    with pytest.raises(nc.InputError, match="n_permutations: expected 1 or more"):
        write_report(tmp_path / "report", n_permutations=0)


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ([], "an empty folder"),
        (["a.txt"], "a folder of other files"),
        (["a.nwb", "b.nwb"], "a.nwb: expected a whole NWB file"),
    ],
)
def test_folders_that_are_no_source_are_refused(tmp_path, files, match):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(nc.InputError, match=match):
        nc.open(tmp_path)


def test_damaged_netcdf_is_refused(tmp_path):
    path = tmp_path / "a.nc"
    path.write_bytes(b"not netCDF")
    with pytest.raises(nc.InputError, match="a netCDF file of an activity"):
        nc.open(path)
    nc.make_activity({"a": example_block().drop_vars("task")}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(nc.InvalidActivityError, match="task: expected a coordinate"):
        nc.open(path)


def test_every_command_has_help_with_an_example():
    for name in ("train", "record", "tv", "ftv", "report"):
        assert "nwbcompare " + name in command(name, "--help").stdout


def test_atomic_outputs(tmp_path):
    from nwbcompare.files import check_output, sha256_of_set, written_aside

    with pytest.raises(RuntimeError, match="stop"), written_aside(tmp_path / "x") as aside:
        aside.write_text("half")
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    with written_aside(tmp_path / "folder", overwrite=True) as aside:
        aside.mkdir()
        (aside / "new").touch()
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["new"]
    (tmp_path / "file").touch()
    with pytest.raises(nc.InputError, match="which is not a writable folder"):
        check_output(tmp_path / "file" / "x")
    assert sha256_of_set([("b", "2"), ("a", "1")]) == sha256_of_set([("a", "1"), ("b", "2")])
    assert Path(tmp_path / "file").is_file()
