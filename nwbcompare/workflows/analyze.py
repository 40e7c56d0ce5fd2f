"""Analysis of networks and recordings: sections computed, kept, and written as a page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from nwbcompare.core.claim import claimed
from nwbcompare.core.errors import ExplainedError, InputError, unknown_name
from nwbcompare.core.files import check_output_folder, folder_in_progress
from nwbcompare.core.provenance import environment
from nwbcompare.report.analysis_page import write_analysis
from nwbcompare.report.page_section import PageSection
from nwbcompare.workflows.analysis_sources import AnalysisSource, analysis_source
from nwbcompare.workflows.analyze_settings import Settings
from nwbcompare.workflows.registry import SECTIONS
from nwbcompare.workflows.results_folder import Folder, is_analysis
from nwbcompare.workflows.section import Results, Section, Shown

CAUTION = (
    "The unit of inference is the network, and for recordings the animal. Numbers of one source "
    "describe that source; only what is said over networks is inference, and it is about networks "
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
    """Ask networks and recordings all that Yang et al. 2019 asked, and write a page.

    Parameters
    ----------
    sources
        A SOURCE each (see `nwbcompare.workflows.sources.resolve`): networks are run folders or
        ``pretrained:NAME``. With several networks the page says what holds over networks.
    out
        The folder: ``index.html``, ``analysis.json``, a CSV a section, ``figures/*.svg`` and
        ``results/SOURCE/SECTION.nc``, the labelled results.
    sections
        Names in `nwbcompare.workflows.registry.SECTIONS`; by default all but the long ones.
        Sections that others need are taken along.
    settings
        Numbers of surrogates, rotations, trials, and the seed.
    resume
        Whether to go on with what an earlier run has finished there; with ``overwrite``, with an
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
        For an unknown section, a source that is not there, two sources of one name, and a folder
        that cannot be written, is written to by another process, or belongs to other settings.

    Notes
    -----
    What cannot be asked of a source (lesions of a recording) is left out, and the page says why.
    """
    settings = settings or Settings()
    chosen = chosen_sections(sections)
    if not sources:
        raise InputError("sources", "at least one source", "none", "Use pretrained:all20-fast-0.")
    if overwrite or not (resume and is_analysis(Path(out))):
        check_output_folder(out, kind="analysis", is_kind=is_analysis, overwrite=overwrite)
    found_sources = [analysis_source(source) for source in sources]
    _check_names(found_sources)
    with claimed(out), folder_in_progress(out, resume=resume, overwrite=overwrite) as place:
        folder = Folder(place, asdict(settings), resume=resume, overwrite=overwrite)
        found, missing = _compute(found_sources, chosen, settings, folder)
        pages = [
            page
            for section in chosen
            if (page := _page_section(section, found_sources, found, missing[section.name]))
        ]
        write_analysis(
            folder.path,
            pages,
            title=_title(found_sources),
            caution=CAUTION,
            methods=[f"{section.heading}: {section.method}" for section in chosen],
            provenance={
                **environment(),
                "settings": asdict(settings),
                "sources": {s.name: {"source": s.source, **s.identity()} for s in found_sources},
            },
        )
    return Path(out)


def chosen_sections(names: Sequence[str] | None) -> list[Section]:
    """Give the sections of these names, and those that they need, in their order."""
    if names is None:
        return [section for section in SECTIONS.values() if not section.is_long]
    if not names:
        raise InputError("sections", "at least one section", "none", "Leave it out for all.")
    for name in names:
        if name not in SECTIONS:
            raise unknown_name("sections", name, SECTIONS)
    wanted = set(names)
    for section in reversed(SECTIONS.values()):
        if section.name in wanted:
            wanted |= set(section.needs)
    return [section for section in SECTIONS.values() if section.name in wanted]


def _check_names(sources: Sequence[AnalysisSource]) -> None:
    name, number = Counter(source.name for source in sources).most_common(1)[0]
    if number > 1:
        raise InputError(
            "sources", "each name once", f"{name!r} {number} times", "Leave one out or rename it."
        )


def _compute(
    sources: Sequence[AnalysisSource],
    sections: Sequence[Section],
    settings: Settings,
    folder: Folder,
) -> tuple[dict[str, dict[str, Results]], dict[str, dict[str, str]]]:
    """Give the results by section and source, and why a source has none of a section."""
    found: dict[str, dict[str, Results]] = {section.name: {} for section in sections}
    missing: dict[str, dict[str, str]] = {section.name: {} for section in sections}
    for source in sources:
        folder.claim(source.name, source.identity())
    with tqdm(total=len(sections) * len(sources), desc="analyze", disable=None) as bar:
        for source in sources:
            earlier: dict[str, Results] = {}
            for section in sections:
                bar.set_postfix_str(f"{source.name}: {section.name}")
                got = _results(section, source, earlier, settings, folder)
                if isinstance(got, str):
                    missing[section.name][source.name] = got
                else:
                    earlier[section.name] = found[section.name][source.name] = got
                bar.update()
            source.forget()
    return found, missing


def _results(
    section: Section,
    source: AnalysisSource,
    earlier: Mapping[str, Results],
    settings: Settings,
    folder: Folder,
) -> Results | str:
    """Give the results of a section, kept or computed, or why it cannot be asked."""
    why = section.missing(source) or _lacking(section, earlier)
    if why:
        return why
    kept = folder.read(source.name, section.name)
    if kept is None:
        work = folder.file(source.name, section.name, suffix=".partial.nc")
        try:
            kept = section.compute(source, earlier, settings, work)
        except ExplainedError as error:
            if error.subject.startswith(str(folder.path)):
                # unfinished work that is damaged is no property of the source
                raise
            # too few units or tasks: other sections and sources go on
            return _reason(error)
        folder.keep(source.name, section.name, kept)
        work.unlink(missing_ok=True)
    return kept


def _lacking(section: Section, earlier: Mapping[str, Results]) -> str:
    lacking = [name for name in section.needs if name not in earlier]
    return f"it needs {lacking[0]}, which cannot be asked of it" if lacking else ""


def _reason(error: ExplainedError) -> str:
    return f"{error.subject}: expected {error.expected}, got {error.got}"


def _page_section(
    section: Section,
    sources: Sequence[AnalysisSource],
    found: Mapping[str, Mapping[str, Results]],
    missing: Mapping[str, str],
) -> PageSection | None:
    """Return a section of the page: what holds over networks first, then the first of each kind."""
    over, own_results = None, found[section.name]
    alike, controls = (
        {s.name: own_results[s.name] for s in sources if s.kind == kind and s.name in own_results}
        for kind in ("network", "control")
    )
    if section.show_over is not None and len(alike) > 1:
        try:
            over = section.show_over(alike, controls)
        except ExplainedError as error:
            # networks of other tasks
            text = f"Over {len(alike)} networks: not asked, since {_reason(error)}."
            over = Shown(findings=[text], numbers={}, pictures=[])
    rows, own = [], []
    pictured = _pictured(sources, own_results)
    for name in own_results:
        earlier = {
            other: by_source[name] for other, by_source in found.items() if name in by_source
        }
        shown = section.show(name, earlier, pictures=name in pictured)
        rows.append({"source": name, **shown.numbers})
        if name in pictured:
            own.append(shown)
    shown_sections: list[Shown] = [*([over] if over else []), *own]
    left_out = [f"{name}: not asked, since {why}." for name, why in missing.items()]
    if not shown_sections and not left_out:
        return None
    return PageSection(
        name=section.name,
        heading=section.heading,
        findings=[line for shown in shown_sections for line in shown.findings] + left_out,
        rows=rows,
        pictures=[picture for shown in shown_sections for picture in shown.pictures],
    )


def _pictured(sources: Sequence[AnalysisSource], found: Mapping[str, Results]) -> set[str]:
    """Tell whose pictures are drawn: every recording's, and the first network's."""
    networks = [s.name for s in sources if s.network is not None and s.name in found]
    return {s.name for s in sources if s.network is None} | set(networks[:1])


def _title(sources: Sequence[AnalysisSource]) -> str:
    n_networks = sum(source.network is not None for source in sources)
    recordings = [source.name for source in sources if source.network is None]
    if n_networks == 1:
        networks = [next(s.name for s in sources if s.network is not None)]
    else:
        networks = [f"{n_networks} networks"] if n_networks else []
    return "What they know: " + ", ".join([*networks, *recordings])
