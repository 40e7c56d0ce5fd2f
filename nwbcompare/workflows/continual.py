"""The whole study: networks trained in every way, measured like a recording, and a page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nwbcompare.core.checks import check_whole
from nwbcompare.core.claim import claimed
from nwbcompare.core.errors import InputError, differences, listing
from nwbcompare.core.files import check_output_folder, folder_in_progress, written_aside
from nwbcompare.core.provenance import environment
from nwbcompare.model.curricula import EVALUATE_EVERY, EVALUATION_TRIALS, PUBLISHED_STEPS
from nwbcompare.report.analysis_page import write_analysis
from nwbcompare.workflows.compare_settings import CONTEXTS
from nwbcompare.workflows.continual_measurements import measure_networks
from nwbcompare.workflows.continual_results import Outcome, find_outcome
from nwbcompare.workflows.continual_settings import Settings
from nwbcompare.workflows.continual_training import (
    RUNS,
    Trained,
    find_networks,
    name_of,
    run_folder_of,
    train_networks,
)
from nwbcompare.workflows.measurements import mapping_of, sample_of
from nwbcompare.workflows.recording_source import RecordingChoice, choose_recording
from nwbcompare.workflows.sections.continual_learning import levels_said, sections_of
from nwbcompare.workflows.training_regimes import REGIMES, regime_option

CONFIGURATION = "continual.json"


def continual(
    out: str | os.PathLike[str],
    *,
    recording: str | None = None,
    mapping: Any = None,
    settings: Settings | None = None,
    runs: str | os.PathLike[str] | None = None,
    n_jobs: int = 1,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Train networks one task after another and hold their FTV against a recording's.

    Parameters
    ----------
    out
        The folder: ``index.html`` and ``analysis.json`` (which `nwbcompare.compare` takes into a
        report), ``runs/REGIME-SEED`` with every network, ``measures`` with its FTV.
    recording
        A SOURCE (see `nwbcompare.workflows.sources.resolve`) with both context tasks; None for
        monkey A of Mante et al. 2013 where it is found, else a simulated recording, marked as such.
    mapping
        What the recording's conditions are to a network; by default that of its archive.
    settings
        Numbers of networks and steps, strength of consolidation, inclusion rule, seeds.
    runs
        The folder of an earlier study or of `train_only`, whose networks are measured; nothing is
        trained then, and networks that are missing or unfinished are named on the page.
        ``settings`` must be those of their training (see `settings_of`).
    n_jobs
        Processes; results do not depend on them.
    resume
        Whether to go on with what is there; with ``overwrite``, with an interrupted replacement.
        More networks and regimes may be asked for than before; what networks depend on must be the
        same.
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
        can be measured, and a folder that cannot be written, is written to by another process, or
        was made with other settings; the difference is shown.
    """
    settings = settings or Settings()
    check_whole("n_jobs", n_jobs, 1, "Use n_jobs=1.")
    given = None if runs is None else _networks_in(Path(runs), settings)
    brain = choose_recording(recording, CONTEXTS, settings.seed)
    chosen = mapping_of(brain.activity, mapping)
    if chosen is None:
        raise InputError(
            "mapping",
            "what the recording's conditions are to a network",
            "none, and none comes along for this recording",
            "Write one (nwbcompare.comparison.protocol_mapping) and pass it with --mapping.",
        )
    recorded = sample_of([brain.activity], CONTEXTS, "recorded", "").ftv
    with _study_folder(Path(out), settings, resume=resume, overwrite=overwrite) as folder:
        trained = train_networks(folder, settings, n_jobs=n_jobs) if given is None else given
        finished = [one for one in trained if not one.failure]
        measured = measure_networks(
            folder, finished, brain.activity, chosen, settings, pair=CONTEXTS, n_jobs=n_jobs
        )
        outcome = find_outcome(trained, measured, recorded, settings)
        write_analysis(
            folder,
            sections_of(outcome),
            title=f"Continual learning against {recorded.attrs['name']}",
            caution=_caution(outcome, brain),
            methods=_methods(settings),
            provenance={**environment(with_command=False), "settings": settings.parameters()},
        )
    return Path(out)


def train_only(
    out: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    n_jobs: int = 1,
    resume: bool = False,
    overwrite: bool = False,
) -> list[Trained]:
    """Train the networks of a study and measure nothing; no recording is needed.

    See `continual` for the parameters and errors. What it leaves is measured by `continual` with
    ``runs``, on as many recordings as there are.

    Returns
    -------
    list of Trained
        By regime, then seed; those that were not trained to their end say why.
    """
    settings = settings or Settings()
    check_whole("n_jobs", n_jobs, 1, "Use n_jobs=1.")
    with _study_folder(Path(out), settings, resume=resume, overwrite=overwrite) as folder:
        trained = train_networks(folder, settings, n_jobs=n_jobs)
    # a replacement has had another folder
    return [replace(one, folder=run_folder_of(Path(out), one.regime, one.seed)) for one in trained]


def settings_of(runs: str | os.PathLike[str], **more: Any) -> Settings:
    """Return the settings by which the networks of a folder were trained.

    Parameters
    ----------
    runs
        The folder of a study or of `train_only`.
    **more
        Other settings, such as ``n_bootstrap``; by default all regimes and seeds that are there.

    Raises
    ------
    InputError
        Where the folder holds no networks of a study.
    """
    folder = Path(runs)
    there = [name_of(run) for run in sorted((folder / RUNS).glob("[!.]*")) if run.is_dir()]
    if not _is_study(folder) or not there:
        raise InputError(
            str(runs),
            f"a folder with {CONFIGURATION} and networks in {RUNS}",
            "another folder" if folder.is_dir() else "no folder",
            "Train networks with nwbcompare continual --train-only.",
        )
    regimes = tuple(regime for regime in REGIMES if any(own == regime for own, _ in there))
    also = tuple(
        dict.fromkeys(regime_option(regime) for regime, _ in there if regime not in REGIMES)
    )
    seeds = max(seed for _, seed in there)
    found: dict[str, Any] = {"regimes": regimes, "also": also, "n_networks": seeds + 1}
    found |= _training_of(folder)
    return Settings(**found | {name: value for name, value in more.items() if value is not None})


def _training_of(folder: Path) -> dict[str, Any]:
    """Read what the networks of a folder depend on; older ones had no warm-up."""
    found = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    return {"warm_up_steps": 0} | dict(found)


def _networks_in(runs: Path, settings: Settings) -> list[Trained]:
    """Find the networks of a folder, refusing one of other settings or with none to measure."""
    _check_same(runs, settings_of(runs).training, settings)
    found = find_networks(runs, settings)
    if all(one.failure for one in found):
        raise InputError(
            str(runs),
            "networks that were trained to their end, with their weights",
            listing(f"{one.folder.name}: {one.failure}" for one in found),
            "Train them with nwbcompare continual --train-only --resume.",
        )
    return found


def _is_study(path: Path) -> bool:
    """Tell whether a folder holds a study, or networks of one."""
    return (path / CONFIGURATION).is_file() and (path / RUNS).is_dir()


@contextmanager
def _study_folder(
    out: Path, settings: Settings, *, resume: bool, overwrite: bool
) -> Iterator[Path]:
    """Hold the folder of a study: a new one, one to go on with, or the replacement of one."""
    if overwrite or not (resume and _is_study(out)):
        check_output_folder(out, kind="study", is_kind=_is_study, overwrite=overwrite)
    with claimed(out), folder_in_progress(out, resume=resume, overwrite=overwrite) as folder:
        if resume and _is_study(folder):
            _check_same(folder, _training_of(folder), settings)
        else:
            with written_aside(folder, overwrite=overwrite) as aside:
                (aside / RUNS).mkdir(parents=True)
                text = json.dumps(settings.training, indent=1)
                (aside / CONFIGURATION).write_text(text + "\n")
        yield folder


def _check_same(folder: Path, found: dict[str, Any], settings: Settings) -> None:
    if differing := differences(found, settings.training):
        raise InputError(
            str(folder),
            "a study with the same training",
            listing(differing),
            "Name another folder, or replace it with --overwrite.",
        )


def _caution(outcome: Outcome, brain: RecordingChoice) -> str:
    part = outcome.settings.steps_per_task / PUBLISHED_STEPS
    length = (
        f"Networks were trained {outcome.settings.steps_per_task} steps a task, {part:.3g} of the "
        "published length"
    )
    simulated = f" SIMULATED recording: {brain.guidance}" if brain.guidance else ""
    others = f" {brain.left_out}" if brain.left_out else ""
    return (
        f"{length}; FTV depends on how long networks are trained. One recording: what is said "
        "generalises over networks of these training regimes and sessions of its animals."
        f"{others}{simulated}"
    )


def _methods(settings: Settings) -> list[str]:
    warm_up = (
        f" after a linear rise over {settings.warm_up_steps} steps in every stage"
        if settings.warm_up_steps
        else ""
    )
    regimes = "; ".join(f"{name}: {REGIMES[name]}" for name in REGIMES if name in settings.regimes)
    return [
        f"Training regimes. {regimes}; untrained: the initial weights.",
        f"Training. {settings.n_units} relu units, orthogonal at the start, easy variants of seven "
        f"tasks in the published order, {settings.steps_per_task} steps of 64 trials a task, Adam "
        f"at 0.001{warm_up}, synaptic intelligence of strength {settings.strength:g}. All regimes "
        "of a seed share initial weights; those in stages share trials and noise.",
        "Primary test, fixed before looking: Wasserstein distance of FTV to the recording, of "
        "networks sampled as it was, consolidated less sequential on paired seeds, exact sign "
        "flips; the interval resamples networks and sessions. Similarity is attributed to "
        "consolidation only if it beats both controls.",
        f"Equal performance: the first weights at which the worst of the last stage's tasks was at "
        f"{levels_said()}, evaluated every {EVALUATE_EVERY} steps on {EVALUATION_TRIALS} trials a "
        "task.",
    ]
