"""The page of an archive: its trials, rates, task variance and FTV, without any model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nwbcompare.core.errors import InputError
from nwbcompare.core.provenance import environment
from nwbcompare.datasets.registry import Loader, get_loader
from nwbcompare.report.page import Page, write_page
from nwbcompare.report.page_section import Cell
from nwbcompare.workflows.compared_recording import ComparedRecording
from nwbcompare.workflows.comparison_page import with_methods_of
from nwbcompare.workflows.formatting import session_count
from nwbcompare.workflows.measurements import ComparisonSource
from nwbcompare.workflows.recording_source import choose_recording
from nwbcompare.workflows.results_folder import check_report_folder, results_folder
from nwbcompare.workflows.section_runs import compute_sections, select_sections
from nwbcompare.workflows.settings import Settings

SECTIONS = ("trials", "examples", "noise", "nulls")
LEAD = "A recording by itself, through the functions that models and recordings are compared with."
CAUTION = (
    "A description of one archive. FTV of its tasks is about these cells only where the tasks "
    "differ in nothing else, and where the noise was taken out; the notes of its card say what to "
    "mind."
)


def show_archive(
    source: str,
    out: str | os.PathLike[str],
    *,
    settings: Settings | None = None,
    pair: tuple[str, str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a page about an archive: trials, rates, task variance with its noise, and FTV.

    Parameters
    ----------
    source
        Name of the archive, with options as a SOURCE has them: ``mante2013?animal=fe``.
    out
        The folder; see `nwbcompare.compare`.
    settings
        Numbers of permutations and bootstraps, and the seed.
    pair
        The two tasks; by default the first pair on the archive's card.
    resume, overwrite
        As for `nwbcompare.compare`.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        For an unknown archive or option, an archive that is not there, one without a pair of tasks,
        and a folder that cannot be written.
    """
    loader = get_loader(source.partition("?")[0].partition(":")[0])
    settings = settings or Settings()
    settings = replace(settings, pair=pair or _pair_of(loader))
    check_report_folder(Path(out), resume=resume, overwrite=overwrite)
    choice = choose_recording(source, settings.pair, settings.seed)
    # no model: sections are those about the recording alone
    recording = ComparisonSource(choice, [], None, settings)
    selection = select_sections("compare", SECTIONS)
    configuration = settings.parameters("pair", "seed", "n_permutations", "n_bootstrap")
    with results_folder(Path(out), configuration, resume=resume, overwrite=overwrite) as folder:
        settings_of = {recording.name: settings}
        runs = compute_sections([recording], selection, settings_of, folder, "show")
        page = _page(loader, ComparedRecording.of(recording, runs), configuration)
        write_page(folder.path, with_methods_of(selection, page))
    return Path(out)


def _pair_of(loader: Loader) -> tuple[str, str]:
    if not loader.card.pairs:
        raise InputError(
            "pair",
            f"two tasks of {loader.name} for FTV",
            "none, and its card names none",
            "Name two of its tasks (--pair A:B); an archive of one task has no FTV.",
        )
    return loader.card.pairs[0]


def _page(loader: Loader, one: ComparedRecording, configuration: Mapping[str, Any]) -> Page:
    return Page(
        title=f"{loader.name}: {loader.title}",
        lead=LEAD,
        sections=one.sections,
        caution=CAUTION,
        cards=_cards(one),
        limits=[*(f"Card. {trap}" for trap in loader.card.traps), *one.limits],
        methods=[*one.methods, f"Card of the archive. {' '.join(loader.card.text().splitlines())}"],
        provenance={
            **environment(with_command=False),
            "settings": dict(configuration),
            "recordings": {one.source.name: one.provenance},
        },
    )


def _cards(one: ComparedRecording) -> dict[str, Cell]:
    measurements = one.measurements
    n_trials = float(measurements.variance["n_trials_per_condition"].median())
    return {
        "animals": measurements.n_animals,
        "sessions": session_count(measurements).partition(" ")[0],
        "units": measurements.recorded.ftv.sizes["unit"],
        "active units": int(measurements.recorded.ftv["active"].sum()),
        "trials a condition (median)": f"{n_trials:.4g}",
    }
