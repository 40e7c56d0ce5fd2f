"""Command ``nwbcompare continual``."""

from __future__ import annotations

from typing import Any

import click

from nwbcompare.cli.options import (
    check_not_set,
    check_preregistration_options,
    is_set,
    names_of,
    preregistration_options,
    print_preregistration,
)
from nwbcompare.cli.terminal import echo

# the networks of --runs determine these
OF_TRAINING = ("steps_per_task", "n_units", "warm_up_steps", "strength", "train_only")
# --train-only does not use these
OF_MEASURING = ("recording", "mapping", "n_draws", "n_bootstrap", "runs", "preregistration")


@click.command()
@click.option("--networks", default=8, help="Networks of each regime.")
@click.option("--out", required=True, type=click.Path(), help="Output folder.")
@click.option("--jobs", default=1, help="Parallel processes, each on one core.")
@click.option(
    "--recording", help="SOURCE of the recording; by default monkey A of Mante et al. 2013."
)
@click.option(
    "--mapping",
    help="Mapping of recorded conditions to conditions of a network: a YAML file or a name.",
)
@click.option("--steps-per-task", default=400, help="Training steps per task; 6250 as published.")
@click.option("--units", "n_units", default=256, help="Hidden units.")
@click.option(
    "--warm-up",
    "warm_up_steps",
    default=300,
    help="Steps over which the learning rate rises in every stage; 0 as published.",
)
@click.option("--strength", default=1.0, help="Strength of synaptic intelligence; 1 as published.")
@click.option("--regimes", help="Training regimes, separated by commas; by default all.")
@click.option(
    "--also",
    multiple=True,
    metavar="METHOD:STRENGTH",
    help="Additional regime, such as elastic:200; may be repeated.",
)
@click.option(
    "--also-networks", type=int, help="Networks of each additional regime; by default all."
)
@click.option("--draws", "n_draws", default=4, help="Random samplings of each network.")
@click.option("--bootstraps", "n_bootstrap", default=2000, help="Bootstraps for the intervals.")
@click.option("--seed", default=0, help="Seed of sampling and bootstrap.")
@click.option(
    "--train-only", is_flag=True, help="Only train and save the networks; needs no recording."
)
@click.option(
    "--runs",
    type=click.Path(),
    help="Folder of --train-only whose networks are measured, without training.",
)
@preregistration_options
@click.option(
    "--resume", is_flag=True, help="Continue from the networks and measures in the folder."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing study.")
def continual(
    networks: int,
    out: str,
    jobs: int,
    recording: str | None,
    mapping: str | None,
    regimes: str | None,
    also: tuple[str, ...],
    also_networks: int | None,
    n_draws: int,
    n_bootstrap: int,
    seed: int,
    train_only: bool,
    runs: str | None,
    preregister: str | None,
    preregistration: str | None,
    note: tuple[str, ...],
    resume: bool,
    overwrite: bool,
    **training: Any,
) -> None:
    """Train networks on one task after another, and compare their FTV with a recording.

    For every seed an interleaved, a sequential and a consolidated network and two controls are
    trained. All networks are sampled as the recording was, and the results are written as a report.

    \b
    Examples:
      nwbcompare continual --networks 8 --out continual --jobs 2
      nwbcompare continual --networks 12 --out continual --jobs 2 --resume
      nwbcompare continual --networks 8 --out continual --also elastic:200 --resume
      nwbcompare continual --networks 10 --steps-per-task 6250 --train-only --out trained
      nwbcompare continual --runs trained --recording "mante2013?animal=fe" --out monkey-f
      nwbcompare continual --runs trained --out monkey-a --preregister plan.json
      nwbcompare continual --runs trained --out monkey-a --preregistration plan.json
    """  # noqa: D301 - click's paragraph mark
    from nwbcompare.workflows.continual import (  # noqa: PLC0415 - imports torch
        continual as study,
        plan_of,
        preregister as write,
        train_only as train_networks,
    )
    from nwbcompare.workflows.settings import Settings  # noqa: PLC0415 - imports torch
    from nwbcompare.workflows.study_plan import StudyPlan  # noqa: PLC0415
    from nwbcompare.workflows.training_regimes import REGIMES  # noqa: PLC0415

    check_preregistration_options()
    names = names_of(regimes)
    if runs is not None:
        check_not_set(OF_TRAINING, "none with --runs", "The networks of --runs determine it.")
        plan = plan_of(
            runs,
            regimes=None if names is None else tuple(names),
            also=also or None,
            n_also=also_networks,
            # a default is no request: the number is that of the networks in the folder
            n_networks=networks if is_set("networks") else None,
        )
    else:
        plan = StudyPlan(
            regimes=tuple(REGIMES) if names is None else tuple(names),
            also=also,
            n_also=also_networks,
            n_networks=networks,
            **training,
        )
    if train_only:
        check_not_set(OF_MEASURING, "none with --train-only", "Leave it out.")
        study_networks = train_networks(
            out, plan=plan, n_jobs=jobs, resume=resume, overwrite=overwrite
        )
        # networks that diverged or stalled are listed: a study goes on without them
        for network in study_networks:
            if network.failure:
                echo(f"Not trained: {network.folder.name} ({network.failure})")
        n_finished = sum(not network.failure for network in study_networks)
        echo(f"Networks: {n_finished} of {len(study_networks)} trained to the end, in {out}")
        return
    settings = Settings(n_draws=n_draws, n_bootstrap=n_bootstrap, seed=seed, n_jobs=jobs)
    if preregister is not None:
        file = write(
            preregister,
            recording=recording,
            mapping=mapping,
            plan=plan,
            settings=settings,
            notes=note,
            overwrite=overwrite,
        )
        print_preregistration(preregister, file)
        return
    folder = study(
        out,
        recording=recording,
        mapping=mapping,
        plan=plan,
        settings=settings,
        runs=runs,
        preregistration=preregistration,
        resume=resume,
        overwrite=overwrite,
    )
    echo(str(folder / "index.html"))
