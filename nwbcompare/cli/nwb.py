"""Commands ``nwbcompare export``, ``nwbcompare convert`` and ``nwbcompare validate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from nwbcompare.cli.options import options_of
from nwbcompare.cli.terminal import ExitStatus, echo
from nwbcompare.core.errors import InputError
from nwbcompare.core.files import check_output, written_aside

_metadata_options = options_of(
    click.option("--overwrite", is_flag=True, help="Replace existing files."),
    click.option(
        "--metadata",
        "metadata_file",
        type=click.Path(),
        help="TOML or YAML file with tables NWBFile and Subject (keys as in pynwb).",
    ),
    click.option(
        "--meta",
        "pairs",
        multiple=True,
        metavar="TABLE.KEY=VALUE",
        help="Value such as Subject.sex=F or NWBFile.lab='Our lab'; may be repeated.",
    ),
)
"""Options that set the metadata of subject and session."""


@click.command()
@click.argument("source")
@click.option("--out", type=click.Path(), help="Output file, ending in .nwb.")
@click.option(
    "--dandiset", type=click.Path(), help="Output folder, with the layout of the DANDI archive."
)
@click.option("--per-task", is_flag=True, help="Write one file for each task.")
@click.option("--spikes", is_flag=True, help="Add Poisson spikes drawn at the rates.")
@click.option("--gain", default=20.0, help="Spikes/s for a rate of 1.")
@click.option("--seed", default=0, help="Seed of the spikes.")
@click.option(
    "--task-variance", is_flag=True, help="Add the task variance of each unit to the unit table."
)
@click.option(
    "--network",
    help="Run folder or pretrained:NAME whose configuration and weights are written beside the "
    "file; by default SOURCE, if it is a network.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    help="Data type of the time series.",
)
@click.option(
    "--compression",
    type=click.Choice(["gzip", "none"]),
    default="gzip",
    help="Compression of the time series; gzip is level 1 with shuffle.",
)
@_metadata_options
def export(
    source: str,
    out: str | None,
    dandiset: str | None,
    per_task: bool,
    spikes: bool,
    gain: float,
    seed: int,
    metadata_file: str | None,
    pairs: tuple[str, ...],
    overwrite: bool,
    **options: Any,
) -> None:
    """Write the activity of SOURCE as an NWB file that archives accept.

    The file is validated (pynwb, nwbinspector with the dandi configuration) before it is saved:
    with an error or a critical message nothing is written; other messages are printed.

    \b
    Examples:
      nwbcompare export pretrained:all20-fast-0 --out all20.nwb
      nwbcompare export runs/ctxdm-0 --spikes --gain 20 --dandiset dandiset
      nwbcompare export recorded.nc --out recorded.nwb --meta Subject.subject_id=net-7
    """  # noqa: D301 - click's paragraph mark
    if (out is None) == (dandiset is None):
        raise InputError("--out, --dandiset", "one of the two", "none or both", "Name one.")
    if out is not None and Path(out).suffix != ".nwb":
        raise InputError("--out", "a file ending in .nwb", repr(out), "Use activity.nwb.")
    metadata = _metadata(metadata_file, pairs)
    # with --per-task the names are known, and checked, when there are tasks
    if out is not None and not per_task:
        check_output(out, overwrite=overwrite)
    # after the checks: these load pynwb, and perhaps torch
    import nwbcompare as nc  # noqa: PLC0415
    from nwbcompare.workflows.export import export_source  # noqa: PLC0415

    paths = export_source(
        source,
        out=out,
        dandiset=dandiset,
        per_task=per_task,
        spikes=nc.io.PoissonSpikes(gain=gain, seed=seed) if spikes else None,
        metadata=metadata,
        overwrite=overwrite,
        **options,
    )
    for path in paths:
        echo(str(path))


@click.command()
@click.argument("dataset")
@click.argument("path", required=False)
@click.option("--out", type=click.Path(), help="Output folder, with one file for each session.")
@click.option(
    "--dandiset", type=click.Path(), help="Output folder, with the layout of the DANDI archive."
)
@click.option(
    "--session",
    "sessions",
    multiple=True,
    help="Session to convert; may be repeated; by default all.",
)
@_metadata_options
def convert(
    dataset: str,
    path: str | None,
    out: str | None,
    dandiset: str | None,
    sessions: tuple[str, ...],
    metadata_file: str | None,
    pairs: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Write the sessions of an archive as NWB files with spike times.

    \b
    Examples:
      nwbcompare convert mante2013 PATH --out mante2013-nwb
      nwbcompare convert mante2013 --session ar090313_1 --dandiset dandiset
    """  # noqa: D301 - click's paragraph mark
    folder = out if dandiset is None else dandiset
    if folder is None or (out is not None and dandiset is not None):
        raise InputError("--out, --dandiset", "one of the two", "none or both", "Name one.")
    metadata = _metadata(metadata_file, pairs)
    from nwbcompare.workflows.convert import convert as convert_archive  # noqa: PLC0415

    paths = convert_archive(
        dataset,
        path,
        out=folder,
        dandiset=dandiset is not None,
        sessions=list(sessions) or None,
        metadata=metadata,
        overwrite=overwrite,
    )
    echo(f"{len(paths)} files in {folder}")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--json-file-path", type=click.Path(), help="File for the messages as JSON.")
@click.option("--overwrite", is_flag=True, help="Replace an existing JSON file.")
@click.pass_context
def validate(
    context: click.Context, files: tuple[str, ...], json_file_path: str | None, overwrite: bool
) -> None:
    """Validate FILES with the NWB validator and nwbinspector (dandi configuration).

    The exit status is 1 if a file has an error or a critical message: archives reject such files.
    Those of all commands: nwbcompare --help.

    \b
    Example:
      nwbcompare validate all20.nwb --json-file-path messages.json
    """  # noqa: D301 - click's paragraph mark
    if json_file_path is not None:
        check_output(json_file_path, overwrite=overwrite)
    from nwbcompare.io.nwb.validation import REFUSED, inspect_nwb  # noqa: PLC0415

    by_file = {file: inspect_nwb(file) for file in files}
    for file, messages in by_file.items():
        echo(f"{file}: " + (f"{len(messages)} message(s)" if messages else "no message"))
        for message in messages:
            echo(f"  {message}")
    if json_file_path is not None:
        with written_aside(json_file_path, overwrite=overwrite) as aside:
            aside.write_text(json.dumps(by_file, indent=1) + "\n", encoding="utf-8")
    if any(message.startswith(REFUSED) for messages in by_file.values() for message in messages):
        context.exit(ExitStatus.FAILED)


def _metadata(file: str | None, pairs: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return the metadata of the options; values of ``--meta`` override those of the file."""
    from nwbcompare.io.nwb.metadata import merged, read_metadata  # noqa: PLC0415 - loads pynwb

    values: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        table, dot, key = name.partition(".")
        if not equals or not dot:
            raise InputError("--meta", "TABLE.KEY=VALUE", repr(pair), "Use Subject.sex=F.")
        values.setdefault(table, {})[key] = value
    return merged(None if file is None else read_metadata(file), values)
