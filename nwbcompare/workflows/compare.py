"""The comparison of models with a recording: measured, tested, and written as a page."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nwbcompare.core.activity import blocks
from nwbcompare.core.errors import listing
from nwbcompare.core.files import check_output_folder, written_aside
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.core.provenance import environment
from nwbcompare.report.analysis_page import read_sections
from nwbcompare.report.comparison_page import NUMBERS, Comparison, write_comparison
from nwbcompare.report.page_section import Finding, PageSection
from nwbcompare.workflows.compare_settings import Settings
from nwbcompare.workflows.formatting import counted
from nwbcompare.workflows.measurements import Measurements, mapping_of, measure, network_pair
from nwbcompare.workflows.model_sources import find_models
from nwbcompare.workflows.recording_source import RecordingChoice, choose_recording
from nwbcompare.workflows.sections.confounds import Confounds, confounds_section, find_confounds
from nwbcompare.workflows.sections.example_units import examples_section, find_examples
from nwbcompare.workflows.sections.ftv_distributions import (
    compare_all,
    has_other_protocols,
    published_section,
    sampled_section,
)
from nwbcompare.workflows.sections.limits import limits
from nwbcompare.workflows.sections.methods import methods
from nwbcompare.workflows.sections.noise_correction import clean, noise_section
from nwbcompare.workflows.sections.permutation_nulls import Nulls, find_nulls, nulls_section
from nwbcompare.workflows.sections.population import (
    Population,
    find_population,
    population_section,
)
from nwbcompare.workflows.sections.split_half import (
    SplitHalf,
    measure_split_half,
    split_half_section,
)

MODELS = ("pretrained:all20-fast-0", "pretrained:all20-fast-1", "pretrained:all20-fast-2")


def compare(
    models: Sequence[str | os.PathLike[str]],
    recording: str | None,
    out: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    mapping: Any = None,
    analyses: Sequence[str | os.PathLike[str]] = (),
    overwrite: bool = False,
) -> Path:
    """Compare models with a recording in a pair of tasks, and write a report.

    Parameters
    ----------
    models
        Networks, each a run folder or ``pretrained:NAME``, and files (NWB, or netCDF ending in
        ``.nc``) of a model's activity in both tasks, taken as they are. With ``FAMILY=`` before
        it a model belongs to a family; two families or more are ranked.
    recording
        A SOURCE (see `nwbcompare.workflows.sources.resolve`); None for monkey A of Mante et al.
        2013 where it is found, else a recording simulated from another network, marked as such
        everywhere.
    out
        The folder: ``index.html`` (one file that needs no other), ``report.json``, and the
        figures and tables with their data.
    settings
        The pair of tasks, numbers of permutations, bootstraps and draws, margin, seed.
    mapping
        What the recording's conditions are to a network: a YAML file or a name; see
        `nwbcompare.comparison.read_mapping`. By default that of the recording's
        archive.
    analyses
        Folders that `nwbcompare.analyze` has written, whose sections are taken into the page.
    overwrite
        Whether an existing report may be replaced.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        Where a source is not there or does not fit, a task of the pair is missing on one side,
        two models go by one name, or ``out`` cannot be written.

    Notes
    -----
    Networks are sampled as the recording was (its conditions, trial counts, rates and noise), so
    that both sides go through the analysis alike; the published protocol stands beside that.
    The same inputs and seed give the same ``report.json``.
    """
    settings = settings or Settings()
    check_output_folder(out, kind="report", is_kind=_is_report, overwrite=overwrite)
    taken = _sections(analyses)
    brain = choose_recording(recording, settings.pair, settings.seed)
    chosen = mapping_of(brain.activity, mapping)
    found = find_models(
        [os.fspath(model) for model in models],
        settings.pair,
        network_pair(settings.pair, chosen),
    )
    measurements = measure(brain.activity, found, settings, chosen)
    comparison = _comparison(measurements, taken, brain)
    with written_aside(out, overwrite=overwrite) as aside:
        aside.mkdir()
        write_comparison(comparison, aside)
    return Path(out)


def _is_report(folder: Path) -> bool:
    return (folder / NUMBERS).is_file()


def _sections(analyses: Sequence[str | os.PathLike[str]]) -> list[PageSection]:
    """Read the sections of analyses; they and their pictures get names of their own."""
    return [
        replace(
            section,
            name=f"analysis-{number}-{section.name}",
            findings=[_pointing(found, number) for found in section.findings],
            pictures=[
                replace(picture, name=f"analysis-{number}-{picture.name}")
                for picture in section.pictures
            ],
        )
        for number, folder in enumerate(analyses)
        for section in read_sections(folder)
    ]


def _pointing(found: str | Finding, number: int) -> str | Finding:
    """Let a finding point at its picture by the picture's new name."""
    if isinstance(found, str) or not found.evidence.figure:
        return found
    figure = f"analysis-{number}-{found.evidence.figure}"
    return replace(found, evidence=replace(found.evidence, figure=figure))


def _comparison(
    measurements: Measurements, taken: list[PageSection], brain: RecordingChoice
) -> Comparison:
    compared = compare_all(measurements)
    split_half = measure_split_half(measurements, measurements.protocols[0])
    margin, margin_is = _margin(measurements, split_half)
    nulls, confounds, populations = _asked(measurements)
    known = [one for one in populations.values() if isinstance(one, Population)]
    refused = {name: one for name, one in populations.items() if isinstance(one, str)}
    sections = [
        *(
            [sampled_section(measurements, compared, margin, margin_is)]
            if "sampled" in measurements.protocols
            else []
        ),
        noise_section(measurements, clean(measurements)),
        *([published_section(measurements, compared)] if has_other_protocols(compared) else []),
        split_half_section(measurements, split_half),
        nulls_section(measurements, nulls),
        confounds_section(measurements, *confounds),
        population_section(measurements, known, refused),
        _examples(measurements),
    ]
    return Comparison(
        title=_title(measurements),
        cards=_cards(measurements),
        caution=_caution(measurements),
        sections=[*sections, *taken],
        limits=limits(measurements),
        methods=methods(measurements, split_half, margin_is),
        provenance=_provenance(measurements),
        simulated=measurements.simulated,
        how_to_get=brain.guidance,
        left_out=brain.left_out,
    )


def _asked(
    measurements: Measurements,
) -> tuple[Nulls, tuple[Confounds, Confounds | None], dict[str, Population | str]]:
    """Ask the recording, and the sampled networks beside it, side by side."""
    settings, recording = measurements.settings, measurements.recording
    first = dict(list(measurements.drawn.items())[:1])
    sources = {measurements.name: recording, **measurements.drawn}
    jobs: list[Job] = [
        (f"{name}, population", find_population, (name, activity, against, settings, shown))
        for place, (name, activity) in enumerate(sources.items())
        for against, shown in [(recording if place else None, place < 2)]
    ]
    jobs += [
        (f"{name}, confounds", find_confounds, (activity, settings))
        for name, activity in {measurements.name: recording, **first}.items()
    ]
    jobs.append((f"{measurements.name}, nulls", find_nulls, (recording, settings)))
    found, heard = run_all(jobs, settings.workers_for(recording), "analyses")
    measurements.warned += heard
    n = len(sources)
    model = found[n + 1] if first else None
    return found[-1], (found[n], model), dict(zip(sources, found[:n], strict=True))


def _margin(measurements: Measurements, split_half: SplitHalf) -> tuple[float, str]:
    given = measurements.settings.margin
    if given is not None:
        return given, "given beforehand"
    return split_half.margin, (
        "what halves of the recording, brought to its whole size, differ by in all but 5 % of "
        "splits"
    )


def _examples(measurements: Measurements) -> PageSection:
    pair = measurements.pair
    found = [
        find_examples(measurements.name, measurements.recording, measurements.recorded.ftv, pair)
    ]
    for name, activity in list(measurements.drawn.items())[:1]:
        sample = next(s for s in measurements.on("sampled") if s.name == name)
        ftv = sample.ftv.isel(draw=0) if "draw" in sample.ftv.dims else sample.ftv
        first = next(iter(blocks(activity).values()))
        found.append(
            find_examples(name, activity, ftv.assign_coords(unit=first["unit"].values), pair)
        )
    return examples_section(measurements, found)


def _title(measurements: Measurements) -> str:
    n = len({model.name for model in measurements.models})
    title = f"{counted(n, 'network')} against {measurements.name}"
    return f"SIMULATED: {title}" if measurements.simulated else title


def _cards(measurements: Measurements) -> dict[str, Any]:
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
    n = len({model.name for model in measurements.models})
    return (
        f"{counted(n, 'network')} and {counted(measurements.n_of('subject'), 'animal')}. Each "
        "finding says what it generalises over: other sessions of this animal, or other networks "
        "of the same kind. None generalises over animals."
        if measurements.n_of("subject") == 1
        else f"{counted(n, 'network')} and {counted(measurements.n_of('subject'), 'animal')}. Each "
        "finding says what it generalises over: sessions, networks of the same kind, or animals."
    )


def _provenance(measurements: Measurements) -> dict[str, Any]:
    return environment(with_command=False) | {
        "settings": measurements.settings.parameters(),
        "mapping": None if measurements.mapping is None else measurements.mapping.parameters(),
        "recording": json.loads(measurements.variance.attrs["provenance"]),
        "models": {model.source: model.provenance() for model in measurements.models},
    }
