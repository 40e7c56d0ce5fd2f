"""Study of continual learning: networks trained in every regime, measured like a recording."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nwbcompare.core.checks import check_whole
from nwbcompare.core.data_text import parse_json
from nwbcompare.core.errors import ExplainedError, InputError, listing
from nwbcompare.core.provenance import environment
from nwbcompare.model.curricula import EVALUATE_EVERY, EVALUATION_TRIALS, PUBLISHED_STEPS
from nwbcompare.report.page import Page, write_page
from nwbcompare.workflows.continual_measurements import measure_networks
from nwbcompare.workflows.continual_training import (
    RUNS,
    StudyNetwork,
    find_networks,
    name_of,
    run_folder_of,
    train_networks,
)
from nwbcompare.workflows.measurements import mapping_of, sample_table
from nwbcompare.workflows.preregistration import (
    PreregistrationFile,
    check_preregistration_path,
    read_preregistration,
    write_preregistration,
)
from nwbcompare.workflows.preregistration_contents import contents_of_study, recording_if_there
from nwbcompare.workflows.recording_source import RecordingChoice, choose_recording
from nwbcompare.workflows.results_folder import STUDY, check_same, results_folder
from nwbcompare.workflows.section_runs import compute_sections, page_sections, select_sections
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_plan import LEVELS, StudyPlan
from nwbcompare.workflows.study_source import StudySource
from nwbcompare.workflows.training_regimes import REGIMES

PARAMETERS = ("pair", "least_performance", "n_draws", "n_bootstrap", "n_splits", "seed")
"""Settings that the results depend on."""
PRIMARY = "ftv-tuning"
"""Name of the section of the primary contrast."""
LEAD = "Hidden units after continual learning and recorded units, through the same functions."


def continual(
    out: str | os.PathLike[str],
    *,
    recording: str | None = None,
    mapping: Any = None,
    plan: StudyPlan | None = None,
    settings: Settings | None = None,
    runs: str | os.PathLike[str] | None = None,
    preregistration: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Train networks on one task after another, and compare their FTV with a recording's.

    Parameters
    ----------
    out
        The folder: ``index.html`` and ``report.json`` (which `nwbcompare.compare` adds to a
        report), ``runs/REGIME-SEED`` with every network, ``measures`` with its FTV.
    recording
        A SOURCE (see `nwbcompare.workflows.sources.resolve`) with both context tasks; None for
        monkey A of Mante et al. 2013 where it is found, else a simulated recording, marked as such.
    mapping
        Conditions of the recording as conditions of a network; by default that of its archive.
    plan
        Numbers of networks and steps, regimes, strength of consolidation.
    settings
        Inclusion rule, numbers of draws, bootstraps and splits, seed, and ``n_jobs``, by default 1.
    runs
        Folder of an earlier study or of `train_only`, whose networks are measured; nothing is
        trained, and networks that are missing or unfinished are named on the page. ``plan`` must
        be that of their training (see `plan_of`).
    preregistration
        A file of `preregister`; what departs from it stands above all findings.
    resume
        Whether networks and measures in ``out`` are used; with ``overwrite``, those of an
        interrupted replacement. More networks and regimes may be asked for than before; the
        training must be the same.
    overwrite
        Whether an existing study may be replaced. It stays until the new one is whole.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        For a recording without both contexts or without a mapping, ``runs`` without networks that
        can be measured, a preregistration that is damaged or of another pair, primary contrast or
        recording, and a folder that cannot be written, is written to by another process, or has
        networks of another training; the difference is shown.
    """
    plan, settings = plan or StudyPlan(), settings or Settings()
    # a study without further regimes has no section on them, not even to say so
    absent = () if plan.also else ("also",)
    selection = [one for one in select_sections("continual", None) if one.name not in absent]
    # a wrong folder of runs is found before the recording is loaded
    trained = None if runs is None else _networks_in(Path(runs), plan)
    file = None
    if preregistration is not None:
        file = read_preregistration(preregistration, "continual", settings.pair)
    choice = choose_recording(recording, settings.pair, settings.seed)
    chosen = mapping_of(choice.activity, mapping)
    if chosen is None:
        raise InputError(
            "mapping",
            "a mapping of the recording's conditions to those of a network",
            "none, and none comes along for this recording",
            "Write one (nwbcompare mapping new) and pass it with --mapping.",
        )
    agreement = None
    if file is not None:
        parameters = settings.parameters(*PARAMETERS)
        agreement = file.compare(
            contents_of_study(recording, choice, chosen, plan, settings, parameters)
        )
    recorded = sample_table([choice.activity], settings.pair, "recorded")
    with results_folder(
        Path(out), plan.training, kind=STUDY, resume=resume, overwrite=overwrite
    ) as folder:
        networks = trained or train_networks(folder.path, plan, n_jobs=settings.n_jobs or 1)
        complete = [one for one in networks if not one.failure]
        measures = measure_networks(folder.path, complete, choice.activity, chosen, plan, settings)
        source = StudySource.of(networks, measures, recorded, plan, settings)
        # what a later run may change, so that sections are computed again
        folder.version = {
            "plan": plan.parameters(),
            "settings": settings.parameters(*PARAMETERS),
            "contents": source.digest(),
        }
        settings_of = {source.name: settings}
        section_runs = compute_sections([source], selection, settings_of, folder, "continual")
        page = Page(
            title=f"Continual learning against {source.name}",
            lead=LEAD,
            sections=page_sections(section_runs, [source]),
            caution=_caution(plan, choice),
            methods=_methods(plan),
            provenance={
                **environment(with_command=False),
                "settings": plan.parameters() | settings.parameters(*PARAMETERS),
            },
        )
        write_page(folder.path, page if agreement is None else agreement.on(page, PRIMARY))
    return Path(out)


def preregister(
    file: str | os.PathLike[str],
    *,
    recording: str | None = None,
    mapping: Any = None,
    plan: StudyPlan | None = None,
    settings: Settings | None = None,
    notes: Sequence[str] = (),
    overwrite: bool = False,
) -> PreregistrationFile:
    """Write down what a study fixes beforehand, without computing anything of it.

    Parameters
    ----------
    file
        The file; see `nwbcompare.workflows.preregistration`.
    recording, mapping, plan, settings
        As for `continual`. A recording that is not there yet is fixed by its SOURCE alone.
    notes
        Sentences that are fixed too and that no program checks, such as the question.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    PreregistrationFile
        Its SHA-256 and contents.

    Raises
    ------
    InputError
        As `continual`, and where there is no mapping.
    """
    plan, settings = plan or StudyPlan(), settings or Settings()
    check_preregistration_path(file, overwrite=overwrite)
    choice, chosen = recording_if_there(recording, settings, mapping)
    parameters = settings.parameters(*PARAMETERS)
    contents = contents_of_study(recording, choice, chosen, plan, settings, parameters, notes)
    return write_preregistration(file, contents, overwrite=overwrite)


def train_only(
    out: str | os.PathLike[str],
    *,
    plan: StudyPlan | None = None,
    n_jobs: int = 1,
    resume: bool = False,
    overwrite: bool = False,
) -> list[StudyNetwork]:
    """Train the networks of a study without measuring them; no recording is needed.

    See `continual` for parameters and errors. `continual` measures the networks with ``runs``, on
    any number of recordings.

    Returns
    -------
    list of StudyNetwork
        By regime, then seed; those that were not trained to their end have a failure.
    """
    plan = plan or StudyPlan()
    check_whole("n_jobs", n_jobs, 1, "Use n_jobs=1.")
    with results_folder(
        Path(out), plan.training, kind=STUDY, resume=resume, overwrite=overwrite
    ) as folder:
        networks = train_networks(folder.path, plan, n_jobs=n_jobs)
    # a replacement had another path until it was whole
    return [replace(one, folder=run_folder_of(Path(out), one.regime, one.seed)) for one in networks]


def plan_of(runs: str | os.PathLike[str], **changes: Any) -> StudyPlan:
    """Return the plan of the networks in a folder.

    Parameters
    ----------
    runs
        Folder of a study or of `train_only`.
    **changes
        Other values of the plan, such as ``n_networks``; by default all regimes and seeds of the
        folder. None leaves a value as it is.

    Raises
    ------
    InputError
        Where the folder has no networks of a study, or its settings are damaged.
    """
    folder = Path(runs)
    # hidden folders are those of interrupted writers
    present = [name_of(run) for run in sorted((folder / RUNS).glob("[!.]*")) if run.is_dir()]
    if not STUDY.is_in(folder) or not present:
        raise InputError(
            str(runs),
            f"a folder with {STUDY.configuration} and networks in {RUNS}",
            "another folder" if folder.is_dir() else "no folder",
            "Train networks with nwbcompare continual --train-only.",
        )
    names = dict.fromkeys(regime for regime, _ in present)
    values: dict[str, Any] = {
        "regimes": tuple(regime for regime in REGIMES if regime in names),
        "also": tuple(name.replace(" ", ":") for name in names if name not in REGIMES),
        # seeds count from 0
        "n_networks": max(seed for _, seed in present) + 1,
        **STUDY.defaults,
    }
    file = folder / STUDY.configuration
    try:
        values |= dict(parse_json(file.read_text(encoding="utf-8")))
        return StudyPlan(**values | {name: v for name, v in changes.items() if v is not None})
    except ExplainedError:
        raise
    # keys that are unknown, and values of other types
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            str(file),
            "the settings of a study",
            f"a file that cannot be read ({type(error).__name__}: {error})",
            "It is damaged: obtain the folder again.",
        ) from error


def _networks_in(runs: Path, plan: StudyPlan) -> list[StudyNetwork]:
    """Return the networks of a folder, of which one at least can be measured."""
    check_same(runs, STUDY, plan_of(runs).training, plan.training)
    networks = find_networks(runs, plan)
    if all(one.failure for one in networks):
        raise InputError(
            str(runs),
            "networks that were trained to their end, with their weights",
            listing(f"{one.folder.name}: {one.failure}" for one in networks),
            "Train them with nwbcompare continual --train-only --resume.",
        )
    return networks


def _caution(plan: StudyPlan, choice: RecordingChoice) -> str:
    """Return the limits of the study: length of training, one recording, other animals."""
    share = plan.steps_per_task / PUBLISHED_STEPS
    simulated = f" SIMULATED recording: {choice.guidance}" if choice.guidance else ""
    others = f" {choice.left_out}" if choice.left_out else ""
    return (
        f"Networks were trained {plan.steps_per_task} steps a task, {share:.3g} of the published "
        "length; FTV depends on how long networks are trained. One recording: findings "
        "generalise over networks of these training regimes and sessions of its animals."
        f"{others}{simulated}"
    )


def _methods(plan: StudyPlan) -> list[str]:
    """Return the paragraphs on regimes, training, the primary test and equal performance."""
    warm_up = (
        f" after a linear rise over {plan.warm_up_steps} steps in every stage"
        if plan.warm_up_steps
        else ""
    )
    regimes = "; ".join(f"{name}: {REGIMES[name]}" for name in REGIMES if name in plan.regimes)
    levels = ", ".join(f"{level:g}" for level in LEVELS)
    return [
        f"Training regimes. {regimes}; untrained: the initial weights.",
        f"Training. {plan.n_units} relu units, orthogonal at the start, easy variants of seven "
        f"tasks in the published order, {plan.steps_per_task} steps of 64 trials a task, Adam "
        f"at 0.001{warm_up}, synaptic intelligence of strength {plan.strength:g}. All regimes "
        "of a seed share initial weights; those in stages share trials and noise.",
        "Primary test, fixed before looking: Wasserstein distance of FTV to the recording, of "
        "networks sampled as it was, consolidated less sequential on paired seeds, exact sign "
        "flips; the interval resamples networks and sessions. Similarity is attributed to "
        "consolidation only if it beats both controls.",
        f"Equal performance: the first weights at which the worst of the last stage's tasks was at "
        f"{levels}, evaluated every {EVALUATE_EVERY} steps on {EVALUATION_TRIALS} trials a task.",
    ]
