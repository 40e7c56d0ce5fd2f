"""Comparison of models with a recording, written as a page."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nwbcompare.comparison.mapping_check import check_mapping
from nwbcompare.comparison.task_performance import CRITERION
from nwbcompare.core.activity import blocks
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.provenance import environment
from nwbcompare.report.page import Page, read_sections, write_page
from nwbcompare.report.page_section import Finding, PageSection
from nwbcompare.workflows.formatting import counted
from nwbcompare.workflows.measurements import ComparisonSource, Measurements, mapping_of
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
from nwbcompare.workflows.recording_source import choose_recording
from nwbcompare.workflows.results_folder import check_report_folder, results_folder
from nwbcompare.workflows.sampling_protocols import model_pair
from nwbcompare.workflows.section_runs import compute_sections, page_sections, select_sections
from nwbcompare.workflows.sections.limits import limits
from nwbcompare.workflows.sections.methods import methods
from nwbcompare.workflows.sections.model_performance import performance_text
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
LEAD = "Hidden units and recorded units, through the same functions, under the same conditions."


def compare(
    models: Sequence[str | os.PathLike[str]],
    recording: str | None,
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
        everywhere.
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

    Models that have not learned the two tasks (see
    `nwbcompare.workflows.model_performance.ModelPerformance`) are in no finding; the section
    "models" lists them, with the results of all models. Those of unknown performance are kept.
    """
    settings = settings or Settings()
    # the title, the limits and the methods are of the samples
    if sections and preregistration is not None:
        sections = [*sections, PRIMARY]
    selection = select_sections("compare", ["samples", *sections] if sections else sections)
    # before recordings and networks are loaded, which takes a minute
    file = None
    if preregistration is not None:
        file = read_preregistration(preregistration, "compare", settings.pair)
    check_report_folder(Path(out), resume=resume, overwrite=overwrite)
    more_sections = _sections_of(analyses)
    choice = choose_recording(recording, settings.pair, settings.seed, every_animal=True)
    chosen = mapping_of(choice.activity, mapping)
    # of several blocks the samples say what they need
    if chosen is not None and len(blocks(choice.activity)) == 1:
        check_mapping(choice.activity, chosen)
    paths = [os.fspath(model) for model in models]
    model_sources = load_models(
        paths, settings.pair, model_pair(settings.pair, chosen), choice.activity, match
    )
    performances = measure_performance(
        model_sources,
        choice.activity,
        chosen,
        settings.pair,
        stated=performance or {},
        chance=chance,
    )
    learned, below = _sorted_by_criterion(model_sources, performances, settings)
    source = ComparisonSource(choice, learned, chosen, settings, performances, below)
    configuration = settings.parameters(*PARAMETERS)
    agreement = None
    if file is not None:
        run = contents_of_comparison(
            recording, choice, chosen, model_sources, settings, configuration
        )
        agreement = file.compare(run)
    with results_folder(Path(out), configuration, resume=resume, overwrite=overwrite) as folder:
        runs = compute_sections([source], selection, settings, folder, "compare")
        results = {name: run.results[source.name] for name, run in runs.items() if run.results}
        measurements = Measurements.of(results["samples"])
        # warnings about units are limits of the findings, so they belong on the page
        warnings = [text for one in results.values() for text in one.warnings]
        names = {model.name for model in below}
        left_out, uncertain = (
            [
                text
                for one in performances
                if (one.name in names) == is_below
                and (text := performance_text(one, settings.pair, left_out=is_below))
            ]
            for is_below in (True, False)
        )
        page = Page(
            title=_title(measurements),
            lead=LEAD,
            cards=_cards(measurements),
            caution=_caution(measurements),
            sections=[*page_sections(runs, [source]), *more_sections],
            limits=[*limits(measurements, warnings), *uncertain],
            methods=[
                *methods(results, settings),
                *(f"{one.heading}: {one.method}" for one in selection if one.method),
            ],
            provenance={
                # without the command, whose paths differ between machines
                **environment(with_command=False),
                "settings": configuration,
                "mapping": measurements.mapping,
                "recording": json.loads(measurements.variance.attrs["provenance"]),
                "matches": {
                    model.name: model.match for model in measurements.models if model.match
                },
                "models": {model.source: model.provenance for model in measurements.models},
            },
            simulated=measurements.simulated,
            how_to_get=choice.guidance,
            left_out=" ".join(filter(None, (choice.left_out, *left_out))),
        )
        write_page(folder.path, page if agreement is None else agreement.on(page, PRIMARY))
    return Path(out)


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
    recording: str | None,
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
    check_preregistration_path(file, overwrite=overwrite)
    if settings.margin is not None and not settings.margin_reason:
        raise InputError(
            "margin_reason",
            f"why a difference below the margin of {settings.margin:g} would not matter",
            "none",
            "State it (--margin-reason), or leave the margin out.",
        )
    choice, chosen = recording_if_there(recording, settings, mapping, every_animal=True)
    sources = load_models(
        [os.fspath(model) for model in models],
        settings.pair,
        model_pair(settings.pair, chosen),
        None if choice is None else choice.activity,
        match,
    )
    check_networks(sources)
    contents = contents_of_comparison(
        recording, choice, chosen, sources, settings, settings.parameters(*PARAMETERS), notes
    )
    return write_preregistration(file, contents, overwrite=overwrite)


def _sections_of(analyses: Sequence[str | os.PathLike[str]]) -> list[PageSection]:
    """Read the sections of other reports, with names that differ from those of this report."""
    return [
        replace(
            section,
            name=f"analysis-{number}-{section.name}",
            findings=[_with_figure(finding, number) for finding in section.findings],
            pictures=[
                replace(picture, name=f"analysis-{number}-{picture.name}")
                for picture in section.pictures
            ],
        )
        for number, folder in enumerate(analyses)
        for section in read_sections(folder)
    ]


def _with_figure(finding: str | Finding, number: int) -> str | Finding:
    """Return a finding that points at its picture by the picture's new name."""
    if isinstance(finding, str) or not finding.evidence.figure:
        return finding
    figure = f"analysis-{number}-{finding.evidence.figure}"
    return replace(finding, evidence=replace(finding.evidence, figure=figure))


def _title(measurements: Measurements) -> str:
    """Return the title, which says where the recording is simulated."""
    n_networks = len({model.name for model in measurements.models})
    title = f"{counted(n_networks, 'network')} against {measurements.name}"
    # a page must not pass for one about neurons, not even by its title
    return f"SIMULATED: {title}" if measurements.simulated else title


def _cards(measurements: Measurements) -> dict[str, Any]:
    """Return the sizes of the comparison: networks, animals, sessions, units and trials."""
    # the median, since units of a recording differ in their trials
    n_trials = measurements.variance["n_trials_per_condition"].median()
    n_hidden = sorted({model.n_hidden for model in measurements.models})
    animals = "simulated animals" if measurements.simulated else "animals"
    families = {"families": len(measurements.families)} if len(measurements.families) > 1 else {}
    return {
        "networks": len({model.name for model in measurements.models}),
        **families,
        "hidden units a network": n_hidden[0] if len(n_hidden) == 1 else listing(n_hidden),
        animals: measurements.n_of("subject"),
        "sessions": measurements.n_of("session"),
        "recorded units": measurements.recorded.ftv.sizes["unit"],
        "active recorded units": int(measurements.recorded.ftv["active"].sum()),
        "trials a condition (median)": f"{float(n_trials):.4g}",
    }


def _caution(measurements: Measurements) -> str:
    """Return what findings generalise over, given the numbers of networks and animals."""
    n_animals = measurements.n_of("subject")
    n_networks = len({model.name for model in measurements.models})
    generalises = (
        "other sessions of this animal, or other networks of the same kind. None generalises over "
        "animals."
        if n_animals == 1
        else "sessions, networks of the same kind, or animals."
    )
    return (
        f"{counted(n_networks, 'network')} and {counted(n_animals, 'animal')}. Each finding says "
        f"what it generalises over: {generalises}"
    )
