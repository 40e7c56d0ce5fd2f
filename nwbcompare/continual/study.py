"""The whole study: networks trained in every way, measured like a recording, and a page."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nwbcompare.comparison.material import mapping_of, sample_of
from nwbcompare.comparison.recording import FoundRecording, find_recording
from nwbcompare.comparison.settings import CONTEXTS
from nwbcompare.continual.campaign import RUNS, train_networks
from nwbcompare.continual.kinds import KINDS
from nwbcompare.continual.measuring import measure_networks
from nwbcompare.continual.outcome import Outcome, find_outcome
from nwbcompare.continual.sections import levels_said, sections_of
from nwbcompare.continual.settings import Settings
from nwbcompare.errors import InputError, differences, listing
from nwbcompare.files import check_output_folder, written_aside
from nwbcompare.model.curricula import EVALUATE_EVERY, EVALUATION_TRIALS, PUBLISHED_STEPS
from nwbcompare.provenance import environment
from nwbcompare.report.analysis import write_analysis
from nwbcompare.tasks.checks import check_whole

CONFIGURATION = "continual.json"


def continual(
    out: str | os.PathLike[str],
    *,
    recording: str | None = None,
    mapping: Any = None,
    settings: Settings | None = None,
    n_jobs: int = 1,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Train networks one task after another and hold their FTV against a recording's.

    Parameters
    ----------
    out
        The folder: ``index.html`` and ``analysis.json`` (which `nwbcompare.compare` takes into a
        report), ``runs/KIND-SEED`` with every network, ``measures`` with its FTV.
    recording
        A SOURCE (see `nwbcompare.sources.resolve`) with both context tasks; None for monkey A of
        Mante et al. 2013 where it is found, else a simulated recording, marked as such.
    mapping
        What the recording's conditions are to a network; by default that of its archive.
    settings
        Numbers of networks and steps, strength of consolidation, inclusion rule, seeds.
    n_jobs
        Processes; results do not depend on them.
    resume
        Whether to go on with what is there. More networks and kinds may be asked for than before;
        what networks depend on must be the same.
    overwrite
        Whether an existing study may be replaced; not together with ``resume``.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        For both ``resume`` and ``overwrite``, a recording without both contexts or without a
        mapping, and a folder that cannot be written or was made with other settings; the
        difference is shown.
    """
    settings = settings or Settings()
    check_whole("n_jobs", n_jobs, 1, "Use n_jobs=1.")
    if resume and overwrite:
        raise InputError(
            "overwrite",
            "either to resume a study or to replace it",
            "both",
            "Leave --overwrite out to go on, --resume to begin anew.",
        )
    folder = Path(out)
    brain = find_recording(recording, CONTEXTS, settings.seed)
    chosen = mapping_of(brain.activity, mapping)
    if chosen is None:
        raise InputError(
            "mapping",
            "what the recording's conditions are to a network",
            "none, and none comes along for this recording",
            "Write one (nwbcompare.mapping) and pass it with --mapping.",
        )
    recorded = sample_of([brain.activity], CONTEXTS, "recorded", "").ftv
    _claim(folder, settings, resume=resume, overwrite=overwrite)
    trained = train_networks(folder, settings, n_jobs=n_jobs)
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
    return folder


def is_study(path: Path) -> bool:
    """Tell whether a folder holds a study."""
    return (path / CONFIGURATION).is_file() and (path / RUNS).is_dir()


def _claim(folder: Path, settings: Settings, *, resume: bool, overwrite: bool) -> None:
    """Make the folder, or refuse one of other settings."""
    if resume and is_study(folder):
        found = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
        if differing := differences(found, settings.training):
            raise InputError(
                str(folder),
                "a study with the same training",
                listing(differing),
                "Name another folder, or replace it with --overwrite.",
            )
        return
    check_output_folder(folder, kind="study", is_kind=is_study, overwrite=overwrite)
    with written_aside(folder, overwrite=overwrite) as aside:
        (aside / RUNS).mkdir(parents=True)
        (aside / CONFIGURATION).write_text(json.dumps(settings.training, indent=1) + "\n")


def _caution(outcome: Outcome, brain: FoundRecording) -> str:
    part = outcome.settings.steps_per_task / PUBLISHED_STEPS
    length = (
        f"Networks were trained {outcome.settings.steps_per_task} steps a task, {part:.3g} of the "
        "published length"
    )
    simulated = f" SIMULATED recording: {brain.guidance}" if brain.guidance else ""
    others = f" {brain.left_out}" if brain.left_out else ""
    return (
        f"{length}; FTV depends on how long networks are trained. One recording: what is said "
        f"generalises over networks of these kinds and sessions of its animals.{others}{simulated}"
    )


def _methods(settings: Settings) -> list[str]:
    kinds = "; ".join(f"{name}: {KINDS[name]}" for name in KINDS if name in settings.kinds)
    return [
        f"Kinds of training. {kinds}; untrained: the initial weights.",
        f"Training. {settings.n_units} relu units, orthogonal at the start, easy variants of seven "
        f"tasks in the published order, {settings.steps_per_task} steps of 64 trials a task, Adam "
        f"at 0.001, synaptic intelligence of strength {settings.strength:g}. All kinds of a seed "
        "share initial weights; those in stages share trials and noise.",
        "Primary test, fixed before looking: Wasserstein distance of FTV to the recording, of "
        "networks sampled as it was, consolidated less sequential on paired seeds, exact sign "
        "flips; the interval resamples networks and sessions. Likeness is credited to "
        "consolidation only if it beats both controls.",
        f"Equal performance: the first weights at which the worst of the last stage's tasks was at "
        f"{levels_said()}, evaluated every {EVALUATE_EVERY} steps on {EVALUATION_TRIALS} trials a "
        "task.",
    ]
