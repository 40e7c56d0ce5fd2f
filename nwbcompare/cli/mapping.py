"""Commands ``nwbcompare mapping new`` and ``nwbcompare mapping check``."""

from __future__ import annotations

import click
import xarray as xr

from nwbcompare.cli.terminal import echo
from nwbcompare.core.errors import InputError
from nwbcompare.core.files import check_output, written_aside


@click.group()
def mapping() -> None:
    """Write and check the file that says how networks are shown a recording's trials."""


@mapping.command("new")
@click.option("--recording", required=True, help="SOURCE of the recording.")
@click.option(
    "--model",
    required=True,
    help="The network that it will be compared with: run folder or pretrained:NAME.",
)
@click.option("--out", required=True, type=click.Path(), help="Output file, ending in .yaml.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def new(recording: str, model: str, out: str, overwrite: bool) -> None:
    """Write a draft from the recording's own tasks, epochs, columns and values.

    \b
    Example:
      nwbcompare mapping new --recording lab.nwb --model pretrained:all20-fast-0 --out map.yaml
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.comparison.mapping_draft import OPEN, draft_mapping  # noqa: PLC0415
    from nwbcompare.comparison.protocol_mapping import SUFFIXES  # noqa: PLC0415
    from nwbcompare.workflows.sources import (  # noqa: PLC0415
        find_network,
        is_network,
        resolve,
        tasks_of_network,
    )

    path = check_output(out, overwrite=overwrite)
    if path.suffix not in SUFFIXES:
        raise InputError("--out", "a file ending in .yaml", repr(out), "Use map.yaml.")
    if not is_network(model):
        raise InputError(
            "--model",
            "a network of the package's tasks: a run folder or pretrained:NAME",
            repr(model),
            "Activity of a model needs no such mapping.",
        )
    network = find_network(model)
    tasks = tasks_of_network(model, network)
    draft = draft_mapping(resolve(recording), tasks, model=network.name)
    with written_aside(path, overwrite=overwrite) as aside:
        aside.write_text(draft, encoding="utf-8")
    left = sum(OPEN in line.partition("#")[0] for line in draft.splitlines())
    echo(f"Mapping: {path}")
    echo(
        f"{left} lines to fill in ({OPEN}); then: nwbcompare mapping check {path} "
        f"--recording {recording!r}"
    )


@mapping.command("check")
@click.argument("file")
@click.option("--recording", required=True, help="SOURCE of the recording.")
def check(file: str, recording: str) -> None:
    """Print what each recorded condition becomes in the network's task, and its trials.

    FILE is a mapping file, or the name of a mapping such as mante2013. Trials are the median and
    the least number over units; directions are in degrees.

    \b
    Example:
      nwbcompare mapping check map.yaml --recording lab.nwb
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.comparison.mapping_check import check_mapping  # noqa: PLC0415
    from nwbcompare.comparison.protocol_mapping import read_mapping  # noqa: PLC0415
    from nwbcompare.workflows.sources import resolve  # noqa: PLC0415

    # before the recording is opened, which may take a while
    read = read_mapping(file)
    conditions = check_mapping(resolve(recording), read)
    for task in dict.fromkeys(conditions["task"].values):
        of_task = conditions.isel(condition=conditions["task"].values == task)
        echo(f"{task} -> {of_task['network_task'].values[0]}")
        echo(_text(of_task, read.columns))
    for note in conditions.attrs["notes"]:
        echo(note)
    least = int(conditions["least_trials"].min())
    echo(
        f"{file}: {conditions.sizes['condition']} conditions, at least {least} trials of each unit "
        f"in each, epoch {read.epoch!r} against the network's {read.network_epoch!r}."
    )


def _text(conditions: xr.Dataset, columns: list[str]) -> str:
    """Return the conditions of a task as a table: what was recorded, and what it becomes."""
    given = [str(name) for name in conditions.data_vars if str(name).startswith("given_")]
    # a variable that this task does not have
    given = [name for name in given if bool(conditions[name].notnull().any())]
    table = conditions[[*given, "n_trials", "least_trials"]].reset_coords(columns).to_dataframe()
    table = table[[*columns, *given, "n_trials", "least_trials"]]
    names = {name: name.replace("given_", "-> ") for name in given}
    names |= {"n_trials": "trials", "least_trials": "least"}
    return str(table.rename(columns=names).to_string(index=False, float_format="{:g}".format))
