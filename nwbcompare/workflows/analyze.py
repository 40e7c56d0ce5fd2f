"""Analysis of networks and recordings, written as a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nwbcompare.core.errors import InputError
from nwbcompare.core.provenance import environment
from nwbcompare.report.page import Page, write_page
from nwbcompare.workflows.analysis_sources import AnalysisSource, analysis_source
from nwbcompare.workflows.results_folder import check_report_folder, results_folder
from nwbcompare.workflows.section_runs import (
    check_source_names,
    compute_sections,
    page_sections,
    select_sections,
)
from nwbcompare.workflows.settings import Settings

PARAMETERS = (
    "seed",
    "n_surrogates",
    "n_rotations",
    "n_unit_permutations",
    "n_trials",
    # of sections from other packages
    "n_permutations",
    "n_bootstrap",
)
"""Settings that the results depend on."""
LEAD = "Hidden units and recorded units, through the same functions."
CAUTION = (
    "The unit of inference is the network, and for recordings the animal. Numbers of one source "
    "describe that source; only findings over networks are inference, and they are about networks "
    "trained in the same way."
)


def analyze(
    sources: Sequence[str],
    out: str | os.PathLike[str],
    *,
    sections: Sequence[str] | None = None,
    settings: Settings | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Analyse networks and recordings as Yang et al. 2019 did, and write a page.

    Parameters
    ----------
    sources
        A SOURCE each (see `nwbcompare.workflows.sources.resolve`): networks are run folders or
        ``pretrained:NAME``. With several networks the page has findings over networks.
    out
        The folder: ``index.html``, ``report.json``, ``tables``, ``figures``, and
        ``results/SOURCE/SECTION.nc``, the labelled results.
    sections
        Names of sections (``nwbcompare analyze --list-sections``); by default all but long ones.
        Sections that others need are added.
    settings
        Numbers of surrogates, rotations, permutations, trials, and the seed.
    resume
        Whether results of an earlier run in ``out`` are used; with ``overwrite``, those of an
        interrupted replacement.
    overwrite
        Whether an existing analysis may be replaced. It stays until the new one is whole.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        For an unknown section, a source that does not exist, two sources of one name, and a folder
        that cannot be written, is written to by another process, or belongs to other settings.

    Notes
    -----
    Sections that do not apply to a source (lesions of a recording) are left out, with the reason on
    the page.
    """
    settings = settings or Settings()
    selection = select_sections("analyze", sections)
    if not sources:
        raise InputError("sources", "at least one source", "none", "Use pretrained:all20-fast-0.")
    # before sources are loaded, which takes a while
    check_report_folder(Path(out), resume=resume, overwrite=overwrite)
    inputs = [analysis_source(source) for source in sources]
    check_source_names(inputs)
    parameters = settings.parameters(*PARAMETERS)
    with results_folder(Path(out), parameters, resume=resume, overwrite=overwrite) as folder:
        settings_of = dict.fromkeys((source.name for source in inputs), settings)
        runs = compute_sections(inputs, selection, settings_of, folder, "analyze")
        page = Page(
            title=_title(inputs),
            lead=LEAD,
            caution=CAUTION,
            sections=page_sections(runs, inputs),
            methods=[f"{section.heading}: {section.method}" for section in selection],
            provenance={
                **environment(),
                "settings": parameters,
                "sources": {one.name: {"source": one.source, **one.identity()} for one in inputs},
            },
        )
        write_page(folder.path, page)
    return Path(out)


def _title(sources: Sequence[AnalysisSource]) -> str:
    """Return the title: a single network by its name, several by their number."""
    networks = [source.name for source in sources if source.network is not None]
    recordings = [source.name for source in sources if source.network is None]
    if len(networks) > 1:
        # ten names would fill the page's head
        networks = [f"{len(networks)} networks"]
    return f"Selectivity and composition: {', '.join([*networks, *recordings])}"
