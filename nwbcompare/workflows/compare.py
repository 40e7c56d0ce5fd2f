"""Comparison of models with a recording, written as a page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nwbcompare.comparison.mapping_check import check_mapping
from nwbcompare.comparison.task_performance import CRITERION
from nwbcompare.core.activity import blocks
from nwbcompare.core.errors import InputError
from nwbcompare.report.page import read_sections, write_page
from nwbcompare.report.page_section import PageSection
from nwbcompare.workflows.compared_recording import ComparedRecording
from nwbcompare.workflows.comparison_page import page_of, prefixed, with_methods_of
from nwbcompare.workflows.measurements import ComparisonSource, mapping_of
from nwbcompare.workflows.model_performance import ModelPerformance, measure_performance
from nwbcompare.workflows.models import Model, load_models
from nwbcompare.workflows.preregistration import (
    PreregistrationFile,
    check_preregistration_path,
    read_preregistration,
    write_preregistration,
)
from nwbcompare.workflows.preregistration_contents import (
    check_networks,
    contents_of_comparison,
    recording_if_there,
)
from nwbcompare.workflows.recording_source import RecordingRequest, choose_recording, requests_of
from nwbcompare.workflows.results_folder import check_report_folder, results_folder
from nwbcompare.workflows.sampling_protocols import model_pair
from nwbcompare.workflows.section_runs import (
    check_source_names,
    compute_sections,
    select_sections,
)
from nwbcompare.workflows.settings import Settings

# several of one recipe, so that there are findings over networks
MODELS = ("pretrained:all20-fast-0", "pretrained:all20-fast-1", "pretrained:all20-fast-2")
PARAMETERS = (
    "pair",
    "seed",
    "n_permutations",
    "n_bootstrap",
    "n_draws",
    "n_splits",
    "margin",
    "margin_reason",
    "include_untrained",
)
"""Settings that the results depend on."""
PRIMARY = "sampled"
"""Name of the section of the primary contrast."""


def compare(
    models: Sequence[str | os.PathLike[str]],
    recording: str | Sequence[str | RecordingRequest] | None,
    out: str | os.PathLike[str],
    *,
    sections: Sequence[str] | None = None,
    settings: Settings | None = None,
    mapping: Any = None,
    match: Any = None,
    performance: Mapping[str, Sequence[float]] | None = None,
    chance: Sequence[float] | None = None,
    analyses: Sequence[str | os.PathLike[str]] = (),
    preregistration: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Compare models with a recording in a pair of tasks, and write a report.

    Parameters
    ----------
    models
        Networks, each a run folder or ``pretrained:NAME``, and files (NWB, or netCDF ending in
        ``.nc``) of a model's activity in both tasks. With ``FAMILY=`` before it a model belongs to
        a family; two families or more are ranked.
    recording
        A SOURCE (see `nwbcompare.workflows.sources.resolve`); None for the monkeys of Mante et al.
        2013 that are found, else a recording simulated from another network, marked as such
        everywhere. Several are a sequence of SOURCES, or of
        `nwbcompare.workflows.recording_source.RecordingRequest`, each with a name, tasks and
        conditions of its own.
    out
        The folder: ``index.html`` (one file that needs no other), ``report.json``, ``figures`` and
        ``tables`` with their numbers, and ``results``, from which a later run can resume.
    sections
        Names of sections (``nwbcompare compare --list-sections``); by default all but long ones.
    settings
        The pair of tasks, numbers of permutations, bootstraps and draws, margin, seed.
    mapping
        Conditions of the recording as conditions of a network: a YAML file or a name; see
        `nwbcompare.comparison.read_mapping`. By default that of the recording's archive.
    match
        Conditions of the recording as conditions of models in files: a YAML file or a dict; see
        `nwbcompare.comparison.match_conditions`. By default names and values are the same, and
        files of the published or the matched protocol, or all with "as-recorded", are compared in
        their own conditions.
    performance, chance
        Shares of correct trials in the two tasks, by name of a model in a file without a column
        ``correct``, as stated; and chance in the two tasks, by default that of permuted targets.
    analyses
        Folders of `nwbcompare.analyze` or `nwbcompare.continual`, whose sections are added.
    preregistration
        A file of `preregister`; what departs from it stands above all findings.
    resume
        Whether results of an interrupted run in ``out`` are used.
    overwrite
        Whether an existing report may be replaced. It stays until the new one is whole.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        Where a source does not exist or does not fit, a task of the pair is missing on one side,
        two models have one name, none has learned the two tasks, ``out`` cannot be written or has
        results of other settings, or a preregistration is damaged or of another pair, primary
        contrast or recording.

    Notes
    -----
    Networks are sampled as the recording was (its conditions, trial counts, rates and noise), so
    that both sides go through the same analysis; the published protocol is shown beside that.
    The same inputs and seed give the same ``report.json``.

    Several recordings have a page together: a table of them, what holds in every animal, then the
    sections of each. Their numbers are those that each has on a page of its own.

    Models that have not learned the two tasks (see
    `nwbcompare.workflows.model_performance.ModelPerformance`) are in no finding; the section
    "models" lists them, with the results of all models. Those of unknown performance are kept.
    """
    settings = settings or Settings()
    requests = requests_of(recording, mapping, match)
    if preregistration is not None:
        _check_alone(requests)
    # the title, the limits and the methods are of the samples
    if sections and preregistration is not None:
        sections = [*sections, PRIMARY]
    selection = select_sections("compare", ["samples", *sections] if sections else sections)
    # before recordings and networks are loaded, which takes a minute
    settings_of = [replace(settings, pair=one.pair or settings.pair) for one in requests]
    file = None
    if preregistration is not None:
        file = read_preregistration(preregistration, "compare", settings_of[0].pair)
    check_report_folder(Path(out), resume=resume, overwrite=overwrite)
    more_sections = _sections_of(analyses)
    paths = [os.fspath(model) for model in models]
    sources = [
        _source(paths, one, own, performance or {}, chance)
        for one, own in zip(requests, settings_of, strict=True)
    ]
    check_source_names(sources)
    configuration = _configuration(sources, settings)
    agreement = None
    if file is not None:
        (source,) = sources
        run = contents_of_comparison(
            requests[0].source,
            source.choice,
            source.mapping,
            source.every_model,
            source.settings,
            configuration,
        )
        agreement = file.compare(run)
    by_name = {source.name: source.settings for source in sources}
    with results_folder(Path(out), configuration, resume=resume, overwrite=overwrite) as folder:
        runs = compute_sections(sources, selection, by_name, folder, "compare")
        page = page_of([ComparedRecording.of(source, runs) for source in sources], configuration)
        page = replace(with_methods_of(selection, page), sections=[*page.sections, *more_sections])
        write_page(folder.path, page if agreement is None else agreement.on(page, PRIMARY))
    return Path(out)


def _check_alone(requests: Sequence[RecordingRequest]) -> None:
    if len(requests) > 1:
        raise InputError(
            "recording",
            "one recording with a preregistration",
            f"{len(requests)} recordings",
            "Preregister the comparison with each recording by itself, and run each with its file.",
        )


def _source(
    paths: Sequence[str],
    request: RecordingRequest,
    settings: Settings,
    stated: Mapping[str, Sequence[float]],
    chance: Sequence[float] | None,
) -> ComparisonSource:
    """Load a recording, and the models with their performance in its tasks."""
    choice = choose_recording(
        request.source, settings.pair, settings.seed, name=request.name, every_animal=True
    )
    chosen = mapping_of(choice.activity, request.mapping)
    # of several blocks the samples say what they need
    if chosen is not None and len(blocks(choice.activity)) == 1:
        check_mapping(choice.activity, chosen)
    models = load_models(
        paths, settings.pair, model_pair(settings.pair, chosen), choice.activity, request.match
    )
    performances = measure_performance(
        models, choice.activity, chosen, settings.pair, stated=stated, chance=chance
    )
    learned, below = _sorted_by_criterion(models, performances, settings)
    return ComparisonSource(choice, learned, chosen, settings, performances, below)


def _configuration(sources: Sequence[ComparisonSource], settings: Settings) -> dict[str, Any]:
    """Return the settings that the results depend on; of several recordings each has a pair."""
    pairs = {source.name: list(source.settings.pair) for source in sources}
    (pair, *others) = pairs.values()
    return settings.parameters(*PARAMETERS) | {"pair": pairs if others else pair}


def _sorted_by_criterion(
    models: Sequence[Model], performances: Sequence[ModelPerformance], settings: Settings
) -> tuple[list[Model], list[Model]]:
    """Return the models that findings are about, and those that have not learned the tasks."""
    learned: list[Model] = []
    below: list[Model] = []
    for model, one in zip(models, performances, strict=True):
        is_below = one.has_learned is False and not settings.include_untrained
        (below if is_below else learned).append(model)
    if not learned:
        raise InputError(
            "models",
            "one that has learned the two tasks (at least "
            f"{CRITERION:g} of what lies between chance and 1)",
            "; ".join(f"{one.name}: {one.text(settings.pair)}" for one in performances),
            "Train them on, or pass --include-untrained to put them in findings.",
        )
    return learned, below


def preregister(
    models: Sequence[str | os.PathLike[str]],
    recording: str | Sequence[str | RecordingRequest] | None,
    file: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    mapping: Any = None,
    match: Any = None,
    notes: Sequence[str] = (),
    overwrite: bool = False,
) -> PreregistrationFile:
    """Write down what a comparison fixes beforehand, without computing anything of it.

    Parameters
    ----------
    models, recording, settings, mapping, match
        As for `compare`. A recording that is not there yet is fixed by its SOURCE alone.
    file
        The file; see `nwbcompare.workflows.preregistration`.
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
        As `compare`; for a margin without its reason, and where there is no network or no mapping,
        which the primary contrast needs.
    """
    settings = settings or Settings()
    requests = requests_of(recording, mapping, match)
    _check_alone(requests)
    (request,) = requests
    settings = replace(settings, pair=request.pair or settings.pair)
    check_preregistration_path(file, overwrite=overwrite)
    if settings.margin is not None and not settings.margin_reason:
        raise InputError(
            "margin_reason",
            f"why a difference below the margin of {settings.margin:g} would not matter",
            "none",
            "State it (--margin-reason), or leave the margin out.",
        )
    choice, chosen = recording_if_there(
        request.source, settings, request.mapping, name=request.name, every_animal=True
    )
    sources = load_models(
        [os.fspath(model) for model in models],
        settings.pair,
        model_pair(settings.pair, chosen),
        None if choice is None else choice.activity,
        request.match,
    )
    check_networks(sources)
    contents = contents_of_comparison(
        request.source, choice, chosen, sources, settings, settings.parameters(*PARAMETERS), notes
    )
    return write_preregistration(file, contents, overwrite=overwrite)


def _sections_of(analyses: Sequence[str | os.PathLike[str]]) -> list[PageSection]:
    """Read the sections of other reports, with names that differ from those of this report."""
    return [
        prefixed(section, f"analysis-{number}", section.heading)
        for number, folder in enumerate(analyses)
        for section in read_sections(folder)
    ]
