"""Commands ``nwbcompare compare`` and ``nwbcompare report``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from nwbcompare.core.errors import InputError, listing

if TYPE_CHECKING:
    from nwbcompare.workflows.recording_source import RecordingRequest

RECORDING_HELP = "SOURCE or NAME=SOURCE of a recording; may be repeated."
DEFAULT_PAIR = "contextdm1:contextdm2"
MODEL_HELP = (
    "Run folder, pretrained:NAME, or NWB or netCDF file of a model's activity, as SOURCE or "
    "FAMILY=SOURCE; may be repeated."
)


_options = options_of(
    click.option(
        "--pair",
        "pairs",
        multiple=True,
        metavar="[NAME=]A:B",
        help="Pair of tasks, TASK_A:TASK_B, of all recordings or of one by its name; may be "
        "repeated.  [default: contextdm1:contextdm2]",
    ),
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
        "mappings",
        multiple=True,
        metavar="[NAME=]FILE",
        help="Mapping of recorded conditions to conditions of a network: a YAML file or a "
        "name such as mante2013; of all recordings or of one by its name, may be repeated.",
    ),
    click.option(
        "--match",
        "matches",
        multiple=True,
        metavar="[NAME=]FILE",
        help="Match of recorded conditions with those of models in files: a YAML file, or "
        "as-recorded for models that are compared in their own conditions; may be repeated.",
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
@click.option("--recording", "recordings", multiple=True, required=True, help=RECORDING_HELP)
@click.option("--out", required=True, type=click.Path(), help="Output folder.")
@_options
def compare(models: tuple[str, ...], recordings: tuple[str, ...], out: str, **options: Any) -> None:
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
      nwbcompare compare --model pretrained:all20-fast-0 \\
        --recording "A=mante2013?animal=ar" --recording mine=day1.nwb \\
        --pair mine=visual:memory --mapping mine=mine.yaml --out report
    """  # noqa: D301 - click's paragraph mark
    _write(models, recordings, out, **options)


@click.command()
@click.option("--model", "models", multiple=True, help=MODEL_HELP)
@click.option(
    "--recording",
    "recordings",
    multiple=True,
    help=f"{RECORDING_HELP} By default the monkeys of Mante et al. 2013.",
)
@click.option("--out", default="report", type=click.Path(), help="Output folder.")
@_options
def report(models: tuple[str, ...], recordings: tuple[str, ...], out: str, **options: Any) -> None:
    """Compare as nwbcompare compare does, by default three networks with both monkeys.

    If the recording is not found, the report uses a simulated one, marked SIMULATED, and prints how
    to get the recording.

    \b
    Example:
      nwbcompare report --out report
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.workflows.compare import MODELS  # noqa: PLC0415 - imports torch

    _write(models or MODELS, recordings, out, **options)


def _write(
    models: Sequence[str],
    recordings: Sequence[str],
    out: str,
    *,
    pairs: tuple[str, ...],
    analyses: tuple[str, ...],
    mappings: tuple[str, ...],
    matches: tuple[str, ...],
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
    chosen = Settings(**settings)
    requests = read_recordings(recordings, pairs, mappings, matches)
    if preregister is not None:
        file = write(
            models,
            requests,
            preregister,
            settings=chosen,
            notes=note,
            overwrite=overwrite,
        )
        print_preregistration(preregister, file)
        return
    folder = compare_models(
        models,
        requests,
        out,
        settings=chosen,
        performance=dict(read_shares("--performance", one) for one in performance),
        chance=None if chance is None else read_shares("--chance", chance)[1],
        analyses=analyses,
        preregistration=preregistration,
        sections=names_of(sections),
        resume=resume,
        overwrite=overwrite,
    )
    _print_findings(folder, has_recording=bool(recordings))


def read_recordings(
    recordings: Sequence[str], pairs: Sequence[str], mappings: Sequence[str], matches: Sequence[str]
) -> list[RecordingRequest]:
    """Return recordings with their tasks and conditions; one without a SOURCE where none is named.

    Raises
    ------
    InputError
        For an option of a recording that is not named, and two values for one recording.

    Examples
    --------
    >>> (one, two) = read_recordings(["a.nwb", "B=b.nwb"], ["go:delaygo", "B=dm1:dm2"], [], [])
    >>> one.pair, two.name, two.pair
    (('go', 'delaygo'), 'B', ('dm1', 'dm2'))
    """
    from nwbcompare.workflows.recording_source import RecordingRequest  # noqa: PLC0415 - torch
    from nwbcompare.workflows.sources import split_name  # noqa: PLC0415 - torch

    split: list[tuple[str | None, str | None]] = [*map(split_name, recordings)]
    split = split or [(None, None)]
    names = [name for name, _ in split if name is not None]
    pair_of = _by_recording("--pair", pairs, names)
    mapping_of = _by_recording("--mapping", mappings, names)
    match_of = _by_recording("--match", matches, names)
    return [
        RecordingRequest(
            source=source,
            name=name,
            pair=read_pair(pair_of(name) or DEFAULT_PAIR),
            mapping=mapping_of(name),
            match=match_of(name),
        )
        for name, source in split
    ]


def _by_recording(
    option: str, texts: Sequence[str], names: Sequence[str]
) -> Callable[[str | None], str | None]:
    """Return a function that returns the value of a recording by its name."""
    values: dict[str | None, str] = {}
    present = listing(names) if names else "none yet"
    for text in texts:
        head, equals, rest = text.partition("=")
        # a path may contain "="
        is_named = bool(equals) and not Path(text).exists()
        name, value = (head, rest) if is_named else (None, text)
        if is_named and name not in names:
            raise InputError(
                option,
                f"NAME=... with the name of a recording ({present})",
                repr(text),
                "Name the recording: --recording NAME=SOURCE.",
            )
        if name in values:
            raise InputError(
                option,
                f"one value for {name or 'all recordings'}",
                f"{values[name]!r} and {value!r}",
                "Leave one out.",
            )
        values[name] = value
    return lambda name: values.get(name, values.get(None))


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
    for recording, values in numbers["provenance"]["recordings"].items():
        for name, rows in values["matches"].items():
            echo(f"Conditions of {recording}, and of {name}:")
            for ours, theirs in rows:
                echo(f"  {ours:<28} {theirs}")
    for finding in numbers["findings"]:
        echo(f"- {finding['text']}")
    for path in (folder / "index.html", folder / "report.json"):
        echo(str(path))
