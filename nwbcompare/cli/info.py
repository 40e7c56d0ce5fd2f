"""``nwbcompare info``: what a source has."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

import nwbcompare as nc
from nwbcompare.cli.terminal import echo


@click.command()
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def info(source: str, as_json: bool) -> None:
    """Print what SOURCE has: tasks, conditions with their trials, units, epochs, bins, sessions.

    \b
    Examples:
      nwbcompare info 'day1.nwb?align=cue_time&window=-0.5,1&conditions=side'
      nwbcompare info 'mante2013?animal=ar' --json
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.workflows.sources import resolve  # noqa: PLC0415 - imports xarray

    found = nc.describe(resolve(source))
    echo(json.dumps(asdict(found)) if as_json else str(found))
