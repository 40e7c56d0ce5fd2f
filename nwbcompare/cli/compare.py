"""Commands ``nwbcompare compare`` and ``nwbcompare report``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nwbcompare.cli.options import (
    check_preregistration_options,
    names_of,
    options_of,
    preregistration_options,
    print_preregistration,
    section_options,
)
from nwbcompare.cli.terminal import echo
from nwbcompare.core.errors import InputError

MODEL_HELP = (
    "Run folder, pretrained:NAME, or NWB or netCDF file of a model's activity, as SOURCE or "
    "FAMILY=SOURCE; may be repeated."
)


_options = options_of(
    click.option("--pair", default="contextdm1:contextdm2", help="Pair of tasks, TASK_A:TASK_B."),
    section_options("compare"),
    click.option(
        "--analysis",
        "analyses",
        multiple=True,
        type=click.Path(),
        help="Folder of nwbcompare analyze or continual to include; may be repeated.",
    ),
    click.option(
        "--mapping",
        help="Mapping of recorded conditions to conditions of a network: a YAML file or a "
        "name such as mante2013.",
    ),
    click.option(
        "--match",
        help="Match of recorded conditions with those of models in files: a YAML file, or "
        "as-recorded for models that are compared in their own conditions.",
    ),
    click.option(
        "--performance",
        multiple=True,
        metavar="NAME=P_A,P_B",
        help="Share of correct trials of a model in the two tasks, as stated: for activity in "
        "files without a column correct; may be repeated.",
    ),
    click.option(
        "--chance",
        metavar="C_A,C_B",
        help="Performance by chance in the two tasks; by default that of permuted targets.",
    ),
    click.option(
        "--include-untrained",
        is_flag=True,
        help="Put models that have not learned the two tasks in the findings.",
    ),
    click.option(
        "--margin",
        type=float,
        help="Margin of equivalence (s.d. of FTV, at most 1), stated beforehand; without one "
        "no equivalence is claimed.",
    ),
    click.option("--margin-reason", default="", help="Why a difference below the margin is none."),
    click.option(
        "--permutations", "n_permutations", default=1000, help="Permutations for the tests."
    ),
    click.option("--bootstraps", "n_bootstrap", default=2000, help="Bootstraps for the intervals."),
    click.option("--draws", "n_draws", default=4, help="Random samplings of each network."),
    click.option("--seed", default=0, help="Seed of all random numbers."),
    preregistration_options,
    click.option("--resume", is_flag=True, help="Continue from the results in the folder."),
    click.option("--overwrite", is_flag=True, help="Replace an existing report."),
)
"""Options of both compare and report."""


@click.command()
@click.option("--model", "models", multiple=True, required=True, help=MODEL_HELP)
@click.option("--recording", required=True, help="SOURCE of the recording.")
@click.option("--out", required=True, type=click.Path(), help="Output folder.")
@_options
def compare(models: tuple[str, ...], recording: str, out: str, **options: Any) -> None:
    """Compare models with a recording in a pair of tasks, and write a report.

    Networks are sampled with the conditions, trials, rates and noise of the recording.

    \b
    Examples:
      nwbcompare compare --model pretrained:all20-fast-0 \\
        --recording "mante2013?animal=ar" --out report
      nwbcompare compare --model fast=runs/fast-0 --model paper=runs/paper-0 \\
        --recording "mante2013?animal=ar&quality=all" --out report
      nwbcompare compare --model pretrained:all20-fast-0 \\
        --recording "mante2013?animal=ar" --out report --preregister plan.json
    """  # noqa: D301 - click's paragraph mark
    _write(models, recording, out, **options)


@click.command()
@click.option("--model", "models", multiple=True, help=MODEL_HELP)
@click.option(
    "--recording", help="SOURCE of the recording; by default the monkeys of Mante et al. 2013."
)
@click.option("--out", default="report", type=click.Path(), help="Output folder.")
@_options
def report(models: tuple[str, ...], recording: str | None, out: str, **options: Any) -> None:
    """Compare as nwbcompare compare does, by default three networks with both monkeys.

    If the recording is not found, the report uses a simulated one, marked SIMULATED, and prints how
    to get the recording.

    \b
    Example:
      nwbcompare report --out report
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.workflows.compare import MODELS  # noqa: PLC0415 - imports torch

    _write(models or MODELS, recording, out, **options)


def _write(
    models: Sequence[str],
    recording: str | None,
    out: str,
    *,
    pair: str,
    analyses: tuple[str, ...],
    mapping: str | None,
    match: str | None,
    performance: tuple[str, ...],
    chance: str | None,
    sections: str | None,
    preregister: str | None,
    preregistration: str | None,
    note: tuple[str, ...],
    resume: bool,
    overwrite: bool,
    **settings: Any,
) -> None:
    from nwbcompare.workflows.compare import (  # noqa: PLC0415 - imports torch
        compare as compare_models,
        preregister as write,
    )
    from nwbcompare.workflows.settings import Settings  # noqa: PLC0415 - imports torch

    check_preregistration_options()
    chosen = Settings(pair=read_pair(pair), **settings)
    if preregister is not None:
        file = write(
            models,
            recording,
            preregister,
            settings=chosen,
            mapping=mapping,
            match=match,
            notes=note,
            overwrite=overwrite,
        )
        print_preregistration(preregister, file)
        return
    folder = compare_models(
        models,
        recording,
        out,
        settings=chosen,
        mapping=mapping,
        match=match,
        performance=dict(read_shares("--performance", one) for one in performance),
        chance=None if chance is None else read_shares("--chance", chance)[1],
        analyses=analyses,
        preregistration=preregistration,
        sections=names_of(sections),
        resume=resume,
        overwrite=overwrite,
    )
    _print_findings(folder, has_recording=recording is not None)


def read_pair(text: str) -> tuple[str, str]:
    """Return the two tasks of TASK_A:TASK_B.

    Raises
    ------
    InputError
        For text without a colon.

    Examples
    --------
    >>> read_pair("contextdm1:contextdm2")
    ('contextdm1', 'contextdm2')
    """
    task_a, colon, task_b = text.partition(":")
    if not colon:
        raise InputError("--pair", "TASK_A:TASK_B", repr(text), "Use contextdm1:contextdm2.")
    return task_a, task_b


def read_shares(option: str, text: str) -> tuple[str, tuple[float, ...]]:
    """Return a model's name and two shares of correct trials.

    Raises
    ------
    InputError
        For a missing name of a model, and text that is no numbers.

    Examples
    --------
    >>> read_shares("--performance", "mine=0.93,0.88")
    ('mine', (0.93, 0.88))
    """
    # names may contain "="
    name, _, numbers = text.rpartition("=")
    example = "0.5,0.5" if option == "--chance" else "NAME=0.93,0.88"
    try:
        shares = tuple(float(part) for part in numbers.split(","))
    except ValueError:
        shares = ()
    if not shares or bool(name) == (option == "--chance"):
        raise InputError(option, example, repr(text), f"Use {option} {example}.")
    return name, shares


def _print_findings(folder: Path, *, has_recording: bool) -> None:
    from nwbcompare.datasets.location import how_to_get  # noqa: PLC0415
    from nwbcompare.datasets.registry import get_loader  # noqa: PLC0415

    numbers = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    if numbers["simulated"]:
        reason = "the results are not about a brain."
        if not has_recording:
            reason = f"none was found. {how_to_get(get_loader('mante2013'))}"
        echo(f"SIMULATED recording: {reason}")
    if numbers["left_out"]:
        echo(numbers["left_out"])
    for name, rows in numbers["provenance"]["matches"].items():
        echo(f"Conditions of the recording, and of {name}:")
        for ours, theirs in rows:
            echo(f"  {ours:<28} {theirs}")
    for finding in numbers["findings"]:
        echo(f"- {finding['text']}")
    for path in (folder / "index.html", folder / "report.json"):
        echo(str(path))
