"""Every exit status that is documented, of every command, as processes end with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from mante2013_archive import archive, unit_record
from range_server import serving
from report_inputs import brain, network_in, written

import nwbcompare as nc
from nwbcompare.cli.main import cli
from nwbcompare.cli.terminal import EXIT_STATUS_HELP, ExitStatus
from nwbcompare.core.files import sha256_of_file
from nwbcompare.core.remote_path import DANDI_VARIABLE

PAIR = ("--pair", "contextdm1:contextdm2")
RUNS = ("--networks", "1", "--units", "8")
POWER = ("--sd", "0.3", "--against", "0.9", "--units", "16", "--trials", "5", "--simulations", "2")
BOTH = ("--model", "network", "--recording", "brain.nc")
LEARNED = ("--model", "pretrained:ctxdm-0", *BOTH[2:])
STEPS = ("--pretraining-steps", "1", "--learning-steps", "1", "--evaluation-trials", "64")
SUCCESS = {
    "analyze": ["--list-sections"],
    "compare": ["--list-sections"],
    "report": ["--list-sections"],
    "continual": [*RUNS, "--steps-per-task", "1", "--regimes", "interleaved", "--train-only", "--out", "trained"],
    "compose": ["network", "contextdm1", "--task", "contextdm1", "--batches", "2"],
    "convert": ["mante2013", "archive", "--out", "converted"],
    "rule-learning": [*RUNS, *STEPS, "--out", "rules"],
    "datasets list": [],
    "datasets fetch": ["dandi000130", "--out", "fetched"],
    "datasets info": ["mante2013"],
    "datasets show": ["mante2013:archive", "--out", "shown", "--permutations", "2", "--bootstraps", "2"],
    "export": ["brain.nc", "--out", "exported.nwb"],
    "ftv": ["brain.nc", *PAIR],
    "info": ["brain.nc"],
    "mapping new": [*BOTH, "--out", "map.yaml"],
    "mapping check": ["mante2013", *BOTH[2:]],
    "power": [*POWER],
    "record": ["network", "--out", "recorded.nc"],
    "task-variance": ["brain.nc", "--out", "tv.csv"],
    "tv": ["brain.nc"],
    "train": ["--tasks", "fdgo", *RUNS[2:], "--schedule", "paper", "--max-steps", "1", "--out", "trained-1"],
    "validate": ["good.nwb"],
}  # fmt: skip
"""Words with which each command succeeds in little time."""
BAD_INPUT = {
    "analyze": ["nowhere", "--out", "x"],
    "compare": ["--model", "nowhere", "--recording", "brain.nc", "--out", "x"],
    "report": ["--model", "nowhere", "--out", "x"],
    "continual": ["--networks", "0", "--out", "x"],
    "compose": ["nowhere", "fdgo", "--task", "fdgo"],
    "convert": ["nothing", "--out", "x"],
    "rule-learning": ["--networks", "0", "--out", "x"],
    "datasets list": ["too many"],
    "datasets fetch": ["mante2013"],
    "datasets info": ["nothing"],
    "datasets show": ["nothing", "--out", "x"],
    "export": ["nowhere", "--out", "x.nwb"],
    "ftv": ["brain.nc", "--pair", "a"],
    "info": ["nowhere"],
    "mapping new": ["--recording", "nowhere", "--model", "network", "--out", "x.yaml"],
    "mapping check": ["nowhere.yaml", "--recording", "brain.nc"],
    "power": ["--sd", "-1", "--against", "0.5"],
    "record": ["nowhere", "--out", "x.nc"],
    "task-variance": ["nowhere"],
    "tv": ["brain.nc", "--estimator", "none"],
    "train": ["--tasks", "nothing", "--out", "x"],
    "validate": ["nowhere.nwb"],
}
"""Words with which the input of each command is invalid."""
FULL_DISK = {
    "analyze": ["brain.nc", "--sections", "variance", "--out", "y-a"],
    "compare": [*LEARNED, "--sections", "examples", "--out", "y-b"],
    "report": [*LEARNED, "--sections", "examples", "--out", "y-c"],
    "continual": [*RUNS, "--recording", "brain.nc", "--out", "y-d"],
    "convert": ["mante2013", "archive", "--out", "y-e"],
    "datasets fetch": ["dandi000130", "--out", "y-p"],
    "datasets show": ["mante2013:archive", "--out", "y-o"],
    "rule-learning": [*RUNS, "--out", "y-f"],
    "export": ["brain.nc", "--out", "y-g.nwb"],
    "ftv": ["brain.nc", *PAIR, "--out", "y-h.csv"],
    "mapping new": [*BOTH, "--out", "y-i.yaml"],
    "record": ["network", "--out", "y-j.nc"],
    "task-variance": ["brain.nc", "--out", "y-k.json"],
    "tv": ["brain.nc", "--out", "y-l.nc"],
    "train": ["--tasks", "fdgo", *RUNS[2:], "--max-steps", "1", "--out", "y-m"],
    "validate": ["good.nwb", "--json-file-path", "y-n.json"],
}
"""Words with which each command that writes a file begins to write in little time."""


def commands(group: click.Group = cli, before: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))
        else:
            yield " ".join((*before, name))


def cases():
    """What is done to the process, the words, and the status."""
    for done, table, status in (
        ("", SUCCESS, ExitStatus.SUCCESS),
        ("", BAD_INPUT, ExitStatus.BAD_INPUT),
        ("disk full", FULL_DISK, ExitStatus.FAILED),
    ):
        for command, words in table.items():
            yield done, [*command.split(), *words], status
    for command in commands():
        yield "", [*command.split(), "--no-such-option"], ExitStatus.BAD_INPUT
        yield "SIGINT", command.split(), ExitStatus.INTERRUPTED
        yield "SIGTERM", command.split(), ExitStatus.TERMINATED
    for words in (
        ["--help"],
        ["datasets", "list"],
        ["analyze", "--list-sections"],
        ["info", "brain.nc"],
    ):
        yield "standard output full", words, ExitStatus.FAILED
        # the program that reads the output, such as head, has read enough
        yield "standard output closed", words, ExitStatus.SUCCESS
    yield "", ["validate", "good.nwb", "rejected.nwb"], ExitStatus.FAILED
    yield "", ["validate", "text.nwb"], ExitStatus.FAILED
    yield "", ["no-such-command"], ExitStatus.BAD_INPUT
    yield "", ["--version"], ExitStatus.SUCCESS
    yield "no pyarrow", ["tv", "brain.nc", "--out", "z.parquet"], ExitStatus.BAD_INPUT
    # outputs that are there already, or whose folder is a file
    yield "", ["tv", "brain.nc", "--out", "good.nwb"], ExitStatus.BAD_INPUT
    yield "", ["tv", "brain.nc", "--out", "brain.nc/z.nc"], ExitStatus.BAD_INPUT
    # data that an analysis does not apply to
    yield "", ["power", "--sd", "0.3", "--against", "0.9", "--units", "3"], ExitStatus.BAD_INPUT


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with small inputs of the commands."""
    folder = tmp_path_factory.mktemp("statuses")
    written(folder / "brain.nc", brain(8))
    network_in(folder, "network")
    rng = np.random.default_rng(0)
    # as few units as have a distribution
    archive(folder / "archive", {f"ar090313_1_a{number}": unit_record(rng) for number in (1, 2, 3)})
    good = nc.write_nwb(nc.testing.example_block(), folder / "good.nwb")
    (folder / "rejected.nwb").write_bytes(good.read_bytes())
    with h5py.File(folder / "rejected.nwb", "a") as file:
        del file["general/subject"]
    (folder / "text.nwb").write_text("no NWB at all")
    return folder


def test_every_command_is_in_the_tables():
    assert set(SUCCESS) == set(BAD_INPUT) == set(commands())
    assert set(FULL_DISK) == {
        name
        for name in commands()
        if re.search(
            r"--(out|json-file-path)\b", CliRunner().invoke(cli, [*name.split(), "-h"]).output
        )
    }


@pytest.fixture
def dandi(inputs):
    """The address of a stand-in of the DANDI archive with a file to fetch."""
    file = inputs / "good.nwb"
    with serving() as server:
        server.files["/blob"] = file
        server.answers = {
            "/dandisets/000130/": {},
            "/dandisets/000130/versions/draft/assets/": {
                "results": [{"path": "sub-Haydn/a.nwb", "asset_id": "a"}]
            },
            "/assets/a/": {
                "contentUrl": [f"{server.address}/blob"],
                "digest": {"dandi:sha2-256": sha256_of_file(file)},
            },
        }
        yield server.address


def test_every_command_ends_with_the_documented_status(inputs, repository, dandi):
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", repository / "tests" / "support" / "exit_statuses.py"],
        check=False,
        input=json.dumps([[done, *words] for done, words, _ in cases()]),
        capture_output=True,
        text=True,
        cwd=inputs,
        env=os.environ | {DANDI_VARIABLE: dandi},
        timeout=280,
    )
    assert ended.returncode == 0, ended.stderr
    wrong = [
        (done, words, status, said[-300:])
        for (done, words, expected), (status, said) in zip(
            cases(), json.loads(ended.stdout), strict=True
        )
        if status != expected or "Traceback" in said
    ]
    assert wrong == [], "\n".join(map(repr, wrong))
    # commands that failed for want of space have left no file behind
    assert [*inputs.glob("y-*.*"), *inputs.glob(".y-*"), *inputs.glob("y-*/*")] == []


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["datasets", "list"], ExitStatus.SUCCESS),
        (["datasets", "info", "nothing"], ExitStatus.BAD_INPUT),
        (["validate", "text.nwb"], ExitStatus.FAILED),
    ],
)
def test_the_installed_executable_ends_with_the_same_statuses(inputs, words, status):
    executable = Path(sys.executable).with_name("nwbcompare")
    assert subprocess.run([executable, *words], cwd=inputs, check=False).returncode == status


def test_the_statuses_are_documented_in_one_place():
    assert " ".join(CliRunner().invoke(cli, ["--help"]).output.split()).endswith(EXIT_STATUS_HELP)
    for status in ExitStatus:
        assert re.search(rf"\b{status:d}\b", EXIT_STATUS_HELP)
