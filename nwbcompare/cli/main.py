"""Command line: ``nwbcompare train | record | analyze | export | report | ...``."""

from __future__ import annotations

import io
import json
import signal
import sys
import warnings
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click
import xarray as xr

import nwbcompare as nc
from nwbcompare.cli.analyze import analyze, compose
from nwbcompare.cli.compare import compare, read_pair, report
from nwbcompare.cli.continual import continual
from nwbcompare.cli.info import info
from nwbcompare.cli.mapping import mapping
from nwbcompare.cli.nwb import convert, export, validate
from nwbcompare.cli.options import check_not_set, is_set, names_of, options_of
from nwbcompare.cli.power import power_command
from nwbcompare.cli.rule_learning import rule_learning
from nwbcompare.cli.terminal import EXIT_STATUS_HELP, ExitStatus, discard_output, echo
from nwbcompare.core.errors import (
    DivergedError,
    ExplainedError,
    InputError,
    OutputError,
    StalledError,
)
from nwbcompare.core.files import DISK_ERRORS, check_output
from nwbcompare.tasks.registry import task_names
from nwbcompare.tasks.trials import rules_of

if TYPE_CHECKING:
    from nwbcompare.analysis.selectivity.task_variance import Estimator
    from nwbcompare.model.config import Method, TrainingConfig
    from nwbcompare.model.schedules import Schedule

STAGE_OPTIONS = ("steps_per_task", "consolidation", "strength")
SOURCE_HELP = (
    "\n\nSOURCE is an NWB file or a folder of them (with options, such as "
    "'day1.nwb?align=cue_time&window=-0.5,1&conditions=side&epoch.stim=0.1,0.85'), a netCDF file "
    "of nwbcompare, a run folder, LOADER:PATH?option=value (such as 'mante2013:PATH?quality=all', "
    "or 'mante2013' if its files are found), or pretrained:NAME. 'nwbcompare info SOURCE' prints "
    "what it has."
)


def main() -> None:
    """Run the command line.

    The exit status is one of `nwbcompare.cli.terminal.ExitStatus`.
    """
    # one line a warning, without the place in the code that issued it
    warnings.showwarning = _show_warning
    previous = signal.signal(signal.SIGTERM, _end)
    output = sys.stdout
    try:
        # else click would print errors in its own form, and end the process; a command that
        # asks for a status has it returned
        if status := cli(standalone_mode=False):
            sys.exit(status)
    except ExplainedError as error:
        _leave(f"Error: {error}", error, ExitStatus.BAD_INPUT)
    except (DivergedError, StalledError, OutputError) as error:
        _leave(f"Error: {error}", error, ExitStatus.FAILED)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        _leave(shown.getvalue().rstrip("\n"), error, ExitStatus.BAD_INPUT)
    except (click.Abort, KeyboardInterrupt) as error:
        # click replaces an interrupt by an exception of its own, in old versions without a cause
        cause = error.__context__ or error
        ended = isinstance(cause, _Ended)
        status = ExitStatus.TERMINATED if ended else ExitStatus.INTERRUPTED
        _leave("Stopped; no finished output was changed.", cause, status)
    except SystemExit:
        # click replaces the output and exits if the program that reads it (head, less) has ended,
        # which is not an error
        if sys.stdout is output:
            raise
        discard_output()
    except OSError as error:
        # click's own text, such as help, on a full disk
        if error.errno not in DISK_ERRORS:
            raise
        discard_output()
        _leave(f"Error: standard output: not written: {error.strerror}.", error, ExitStatus.FAILED)
    finally:
        signal.signal(signal.SIGTERM, previous)


class _Ended(KeyboardInterrupt):
    """SIGTERM, raised so that it is cleaned up after like an interrupt."""


def _end(*_: object) -> NoReturn:
    # pools end their workers with the same signal: a second one must not interrupt the clean-up
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Ended


def _leave(message: str, error: BaseException, status: int) -> NoReturn:
    for line in (message, *getattr(error, "__notes__", ())):
        echo(line, err=True)
    sys.exit(status)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    echo(f"Warning: {message}", err=True)


@click.group(
    epilog=EXIT_STATUS_HELP,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.version_option(package_name="nwbcompare")
def cli() -> None:
    """Compare task-trained networks with recorded neurons.

    Example: nwbcompare report --out report
    """


_variance_options = options_of(
    click.argument("source"),
    click.option(
        "--estimator", default="per_time", help="Estimator: per_time, time_mean or pooled."
    ),
    click.option(
        "--conditions", help="Trial columns whose combinations are conditions, separated by commas."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    click.option("--all", "every", is_flag=True, help="Print all units, in their order."),
    click.option("--overwrite", is_flag=True, help="Replace an existing output."),
    click.option(
        "--out", type=click.Path(), help="File for the result: .nc, .csv, .json or .parquet."
    ),
)
"""Options of both task-variance and ftv."""


@cli.command(epilog=SOURCE_HELP)
@_variance_options
def task_variance(
    source: str,
    estimator: Estimator,
    conditions: str | None,
    as_json: bool,
    every: bool,
    overwrite: bool,
    out: str | None,
) -> None:
    """Compute the task variance of each unit in each task of SOURCE.

    \b
    Examples:
      nwbcompare task-variance mante2013 --json
      nwbcompare task-variance runs/ctxdm-0 --estimator pooled --out variance.nc
    """  # noqa: D301 - click's paragraph mark
    _check(out, overwrite)
    result = _task_variance(source, estimator, conditions)
    from nwbcompare.cli.result_text import variance_text  # noqa: PLC0415 - imports pandas

    _output_result(result, variance_text(result, every=every), out, overwrite, as_json)


# the same command under a short name, which help does not list
_short = copy(task_variance)
_short.hidden = True
cli.add_command(_short, "tv")


@cli.command(epilog=SOURCE_HELP)
@click.option("--pair", default="contextdm1:contextdm2", help="Pair of tasks, TASK_A:TASK_B.")
@click.option(
    "--missing",
    type=click.Choice(["error", "nan"]),
    default="error",
    help="Result for units without one of the tasks: an error or NaN.",
)
@_variance_options
def ftv(
    source: str,
    pair: str,
    missing: Literal["error", "nan"],
    estimator: Estimator,
    conditions: str | None,
    as_json: bool,
    every: bool,
    overwrite: bool,
    out: str | None,
) -> None:
    """Compute the fractional task variance of each unit for a pair of tasks.

    \b
    Examples:
      nwbcompare ftv mante2013
      nwbcompare ftv pretrained:ctxdm-0 --pair contextdm1:contextdm2 --json
    """  # noqa: D301 - click's paragraph mark
    _check(out, overwrite)
    task_a, task_b = read_pair(pair)
    variance = _task_variance(source, estimator, conditions)
    result = nc.fractional_task_variance(variance, task_a, task_b, missing=missing)
    from nwbcompare.cli.result_text import ftv_text  # noqa: PLC0415 - imports pandas

    _output_result(result, ftv_text(result, every=every), out, overwrite, as_json)


_stage_options = options_of(
    click.option(
        "--stages",
        help="Stages separated by semicolons, tasks of a stage by commas, e.g. 'fdgo;dm1,dm2'; "
        "or published, the order of Yang et al. (2019).",
    ),
    click.option(
        "--steps-per-task",
        default=6250,
        help="Training steps (64 trials) for each task of a stage.",
    ),
    click.option(
        "--consolidation",
        type=click.Choice(["none", "synaptic_intelligence", "elastic", "orthogonal"]),
        default="none",
        help="Method that protects what earlier stages have learned.",
    ),
    click.option("--strength", default=1.0, help="Strength of the consolidation."),
)
"""Options of training on one task after another."""


@cli.command()
@click.option("--tasks", help="Tasks separated by commas, e.g. contextdm1,contextdm2; or all.")
@_stage_options
@click.option(
    "--schedule",
    type=click.Choice(["fast", "paper"]),
    default="fast",
    help="Schedule: as published (paper), or from easy to hard trials and long to short time "
    "steps (fast).",
)
@click.option("--seed", default=0, help="Seed of weights, trials and noise.")
@click.option("--units", default=256, help="Hidden units.")
@click.option("--cell", default="leaky_rnn", help="Cell: leaky_rnn or leaky_gru.")
@click.option(
    "--nonlinearity",
    default="softplus",
    help="Nonlinearity: softplus, relu, tanh or retanh; with --stages by default relu.",
)
@click.option(
    "--initialisation",
    "recurrent_initialisation",
    default="diag",
    help="Initial recurrent weights: diag or randortho; with --stages by default randortho.",
)
@click.option(
    "--rule-mixing-seed",
    type=int,
    help="Seed of a random orthogonal matrix through which the rule inputs pass (a control).",
)
@click.option(
    "--warm-up",
    type=int,
    help="Steps over which the learning rate rises in every stage; by default 300 with --stages, "
    "else 0 as published.",
)
@click.option("--target", type=float, help="Performance of the worst task at which training ends.")
@click.option("--max-steps", type=int, help="Maximum number of steps of every stage.")
@click.option("--device", default="cpu", help="Device: cpu or cuda.")
@click.option(
    "--figure",
    type=click.Path(),
    help="File for a figure of the progress, updated at every evaluation.",
)
@click.option("--resume", is_flag=True, help="Continue the run in the folder, if there is one.")
@click.option("--out", required=True, type=click.Path(), help="Output run folder.")
@click.option("--overwrite", is_flag=True, help="Replace an existing run folder.")
def train(
    tasks: str | None,
    stages: str | None,
    steps_per_task: int,
    consolidation: Method,
    strength: float,
    schedule: Schedule,
    seed: int,
    units: int,
    warm_up: int | None,
    target: float | None,
    max_steps: int | None,
    device: str,
    figure: str | None,
    resume: bool,
    out: str,
    overwrite: bool,
    **options: Any,
) -> None:
    """Train a network on some of the tasks, together or one after another.

    With --resume and neither --tasks nor --stages a run continues with its own configuration.

    \b
    Examples:
      nwbcompare train --tasks all --out runs/all20
      nwbcompare train --tasks all --schedule paper --figure paper.svg --out runs/paper
      nwbcompare train --resume --out runs/paper
      nwbcompare train --stages published --consolidation synaptic_intelligence --out runs/si
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.model.checkpoint import read_configs, read_evaluation  # noqa: PLC0415
    from nwbcompare.model.config import NetworkConfig  # noqa: PLC0415 - imports torch
    from nwbcompare.model.curricula import sequential_network  # noqa: PLC0415
    from nwbcompare.model.schedules import training_config  # noqa: PLC0415 - imports torch
    from nwbcompare.model.training import train as train_network  # noqa: PLC0415

    watch = None
    if figure is not None:
        # a run that continues draws over its own figure
        watch = partial(_draw_progress, check_output(figure, overwrite=overwrite or resume))
    if stages is None:
        check_not_set(STAGE_OPTIONS, "with --stages only", "Give --stages.")
    else:
        check_not_set(
            ("tasks", "schedule", "max_steps"),
            "none together with --stages",
            "Name the tasks in --stages, and set --steps-per-task.",
        )
    # a run that is continued has its own configuration
    if resume and tasks is None and stages is None:
        network, training = read_configs(out)
    else:
        if stages is None:
            training = training_config(
                _task_choice(tasks),
                schedule=schedule,
                target=target,
                max_steps=max_steps,
                n_units=units,
                seed=seed,
            )
        else:
            training = _sequential_training(
                stages, steps_per_task, consolidation, strength, target=target, seed=seed
            )
            # the published network for sequential learning, unless the user sets another
            published = sequential_network()
            for option in ("nonlinearity", "recurrent_initialisation"):
                if not is_set(option):
                    options[option] = getattr(published, option)
        if warm_up is not None:
            training = replace(training, warm_up_steps=warm_up)
        network = NetworkConfig(n_units=units, rules=rules_of(training.tasks), seed=seed, **options)
    train_network(
        network, training, out=out, overwrite=overwrite, resume=resume, device=device, watch=watch
    )
    evaluation = read_evaluation(out)
    for task, share in evaluation["performance"].items():
        echo(f"{task}: {share:.3f} of {evaluation['n_trials']} random trials with noise")
    echo(f"{evaluation['steps']} steps in {evaluation['seconds']:.0f} s")
    echo(f"Run folder: {out}")


def _task_choice(tasks: str | None) -> tuple[str, ...]:
    if tasks is None:
        raise InputError(
            "--tasks", "names of tasks, or all", "none", "Name them, or give --stages or --resume."
        )
    return tuple(task_names()) if tasks == "all" else tuple(names_of(tasks) or ())


def _sequential_training(
    stages: str,
    steps_per_task: int,
    consolidation: Method,
    strength: float,
    *,
    target: float | None,
    seed: int,
) -> TrainingConfig:
    from nwbcompare.model.config import Consolidation  # noqa: PLC0415 - imports torch
    from nwbcompare.model.curricula import YANG2019, sequential_config  # noqa: PLC0415

    if consolidation == "none":
        check_not_set(("strength",), "none without --consolidation", "Give --consolidation.")
    task_sets = tuple(tuple(names_of(stage) or ()) for stage in stages.split(";"))
    return sequential_config(
        YANG2019 if stages == "published" else task_sets,
        steps_per_task=steps_per_task,
        target=target,
        consolidation=Consolidation(method=consolidation, strength=strength, seed=seed),
        seed=seed,
    )


def _draw_progress(figure: Path, log: list[dict[str, Any]]) -> None:
    from nwbcompare.report.training_progress import write_learning  # noqa: PLC0415 - imports matplotlib

    write_learning(log, figure)


@cli.command(epilog=SOURCE_HELP)
@click.argument("source")
@click.option("--out", required=True, type=click.Path(), help="Output file, ending in .nwb or .nc.")
@click.option(
    "--protocol",
    type=click.Choice(["test", "matched"]),
    default="test",
    help="Published test trials, or trials matched to the protocol of the monkeys.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def record(source: str, out: str, protocol: str, overwrite: bool) -> None:
    """Record a network (run folder or pretrained:NAME) without noise, and write its activity.

    \b
    Examples:
      nwbcompare record runs/ctxdm-0 --out ctxdm-0.nwb
      nwbcompare record pretrained:ctxdm-0 --protocol matched --out matched.nc
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.workflows.sources import (  # noqa: PLC0415
        find_network,
        record_test_trials,
        tasks_of_network,
    )

    # before the network is run, which takes a while
    path = check_output(out, overwrite=overwrite)
    if path.suffix not in {".nwb", ".nc"}:
        raise InputError("--out", "a file ending in .nwb or .nc", repr(out), "Use activity.nwb.")
    network = find_network(source)
    if protocol == "matched":
        activity = nc.record_matched(network)
    else:
        activity = record_test_trials(
            network, tasks_of_network(source, network), inputs_and_outputs=True
        )
    if path.suffix == ".nwb":
        nc.write_nwb(activity, path, overwrite=overwrite)
    else:
        _write_netcdf(activity, path, overwrite)
    echo(f"Activity: {path}")


@cli.group()
def datasets() -> None:
    """List the recordings that can be loaded, and how to get them."""


@datasets.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def datasets_list(as_json: bool) -> None:
    """List the names and titles of the recordings."""
    from nwbcompare.datasets.registry import loaders  # noqa: PLC0415

    titles = {name: loader.title for name, loader in loaders().items()}
    echo(json.dumps(titles) if as_json else "\n".join(f"{k}: {v}" for k, v in titles.items()))


@datasets.command("info")
@click.argument("name")
def datasets_info(name: str) -> None:
    """Print the data card, the options and the location of a recording."""
    from nwbcompare.datasets.location import DatasetNotFoundError, find_dataset, how_to_get  # noqa: PLC0415
    from nwbcompare.datasets.registry import get_loader  # noqa: PLC0415

    loader = get_loader(name)
    echo(f"{loader.name}: {loader.title}\n{loader.card.text()}\n{how_to_get(loader)}")
    echo("Options: " + ", ".join(f"{k} ({v.__name__})" for k, v in loader.options.items()))
    try:
        echo(f"Location: {find_dataset(name)}")
    except DatasetNotFoundError:
        echo("Not found on this machine.")


@datasets.command("fetch")
@click.argument("name")
@click.option("--out", type=click.Path(), help="Folder; by default that of the user's cache.")
def datasets_fetch(name: str, out: str | None) -> None:
    """Download a recording whose terms allow it; whole files that are there are kept.

    \b
    Example:
      nwbcompare datasets fetch shi2022
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.datasets.downloads import fetch  # noqa: PLC0415

    echo(f"Files: {fetch(name, out)}")


@datasets.command("show")
@click.argument("source")
@click.option("--out", required=True, type=click.Path(), help="Output folder.")
@click.option("--pair", help="Pair of tasks, TASK_A:TASK_B; by default the first of the card.")
@click.option("--permutations", "n_permutations", default=1000, help="Permutations for the nulls.")
@click.option("--bootstraps", "n_bootstrap", default=2000, help="Bootstraps for the intervals.")
@click.option("--seed", default=0, help="Seed of all random numbers.")
@click.option("--resume", is_flag=True, help="Continue from the results in the folder.")
@click.option("--overwrite", is_flag=True, help="Replace an existing page.")
def datasets_show(
    source: str, out: str, pair: str | None, resume: bool, overwrite: bool, **settings: Any
) -> None:
    """Write a page about a recording of SOURCE: trials, rates, task variance and its noise, FTV.

    \b
    Examples:
      nwbcompare datasets show wang2024 --out wang2024
      nwbcompare datasets show "mante2013?animal=fe" --out monkey-f
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.workflows.archive_page import show_archive  # noqa: PLC0415 - imports torch
    from nwbcompare.workflows.settings import Settings  # noqa: PLC0415 - imports torch

    folder = show_archive(
        source,
        out,
        settings=Settings(**settings),
        pair=None if pair is None else read_pair(pair),
        resume=resume,
        overwrite=overwrite,
    )
    echo(str(folder / "index.html"))


for _command in (
    analyze,
    compose,
    compare,
    report,
    continual,
    mapping,
    export,
    convert,
    validate,
    power_command,
    rule_learning,
    info,
):
    cli.add_command(_command)


def _task_variance(source: str, estimator: Estimator, conditions: str | None) -> xr.Dataset:
    from nwbcompare.workflows.sources import resolve  # noqa: PLC0415

    return nc.task_variance(resolve(source), estimator=estimator, conditions=names_of(conditions))


def _check(out: str | None, overwrite: bool) -> None:
    from nwbcompare.workflows.result_files import check_result_path  # noqa: PLC0415

    # before a computation, which may take minutes
    if out is not None:
        check_result_path(out, overwrite=overwrite)


def _write_netcdf(labelled: xr.Dataset | xr.DataTree, path: str | Path, overwrite: bool) -> None:
    from nwbcompare.core.hdf5_output import write_netcdf  # noqa: PLC0415 - only those who write need it

    write_netcdf(labelled, path, overwrite=overwrite)


def _output_result(
    result: xr.Dataset, text: str, out: str | None, overwrite: bool, as_json: bool
) -> None:
    from nwbcompare.workflows.result_files import json_text, write_result  # noqa: PLC0415

    if out is not None:
        write_result(result, out, overwrite=overwrite)
    echo(json_text(result) if as_json else text)
    if out is not None and not as_json:
        echo(f"Result: {out}")
