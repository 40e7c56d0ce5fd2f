"""Sections computed on sources, and summarised as sections of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import InputError, NotApplicableError
from nwbcompare.kernels.threads import one_thread
from nwbcompare.report.page_section import PageSection
from nwbcompare.workflows.registry import sections_of
from nwbcompare.workflows.results_folder import ResultsFolder, keep_results, read_results
from nwbcompare.workflows.section import (
    Refusal,
    ReportName,
    Results,
    Section,
    Source,
    SourceResults,
    Summary,
)
from nwbcompare.workflows.settings import Settings


@dataclass(frozen=True)
class SectionRun:
    """Results of a section by source, and the sources that it does not apply to."""

    section: Section[Any]
    results: dict[str, Results] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)

    def of_source(self, name: str) -> SectionRun:
        """Return the run on one source alone."""
        return SectionRun(
            self.section,
            {key: one for key, one in self.results.items() if key == name},
            {key: one for key, one in self.refusals.items() if key == name},
        )


Runs = dict[str, SectionRun]
"""Runs by name of the section, in the order of the page."""


def select_sections(report: ReportName, names: Sequence[str] | None) -> list[Section[Any]]:
    """Return sections of a report by name, with those that they need.

    Parameters
    ----------
    report
        The report.
    names
        Names of sections; None for all that are not long.

    Returns
    -------
    list of Section
        In the order of the page.

    Raises
    ------
    InputError
        For an unknown name, or none.
    """
    sections = sections_of(report)
    if names is None:
        names = [section.name for section in sections.values() if not section.is_long]
    if not names:
        raise InputError("sections", "at least one section", "none", "Leave it out for all.")
    names_with_needs: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        check_known("sections", [name], sections)
        names_with_needs.add(name)
        waiting += set(sections[name].needs) - names_with_needs
    return [section for section in sections.values() if section.name in names_with_needs]


def compute_sections(
    sources: Sequence[Source],
    sections: Sequence[Section[Any]],
    settings: Mapping[str, Settings],
    folder: ResultsFolder,
    desc: str,
) -> Runs:
    """Compute sections on sources, or read the results that an earlier run has kept.

    Parameters
    ----------
    sources
        The sources, each with a name of its own.
    sections
        From `select_sections`.
    settings
        Settings of all sections by name of the source.
    folder
        Where results are kept.
    desc
        Title of the progress bar.
    """
    # the order of the page need not be that of the computation
    sequence = _in_order_of_needs(sections)
    runs = {section.name: SectionRun(section) for section in sections}
    # all sources are checked before any is computed: a wrong one must not cost hours
    for source in sources:
        folder.claim(source.name, source.identity())
    with tqdm(total=len(sections) * len(sources), desc=desc, disable=None) as bar:
        for source in sources:
            earlier: dict[str, Results] = {}
            for section in sequence:
                bar.set_postfix_str(f"{source.name}: {section.name}")
                refusal = section.applies_to(source) or _lack(section, earlier)
                if refusal is None:
                    try:
                        results = _results(section, source, earlier, settings[source.name], folder)
                        earlier[section.name] = runs[section.name].results[source.name] = results
                    except NotApplicableError as error:
                        # other sections and sources go on
                        refusal = Refusal(error.reason)
                if refusal is not None:
                    runs[section.name].refusals[source.name] = refusal
                bar.update()
            # half a gigabyte for a network of 20 tasks
            source.forget()
    return runs


def check_source_names(sources: Iterable[Source]) -> None:
    """Check that every source has a name of its own.

    Raises
    ------
    InputError
        Where two sources have one name.
    """
    # results and tables are by name: equal names would replace each other
    name, number = Counter(source.name for source in sources).most_common(1)[0]
    if number > 1:
        raise InputError(
            "sources", "each name once", f"{name!r} {number} times", "Leave one out or rename it."
        )


def _in_order_of_needs(sections: Sequence[Section[Any]]) -> list[Section[Any]]:
    """Return sections in the order of the page, each after those that it needs."""
    by_name = {section.name: section for section in sections}
    sequence: dict[str, Section[Any]] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        # only other packages can cause this, and it would never end
        if name in path:
            raise InputError(
                "sections",
                "sections that do not need each other in a circle",
                " -> ".join((*path, name)),
                "Correct or uninstall the package that registers them.",
            )
        for needed in by_name[name].needs:
            add(needed, (*path, name))
        sequence[name] = by_name[name]

    for name in by_name:
        add(name, ())
    return list(sequence.values())


def _lack(section: Section[Any], earlier: SourceResults) -> Refusal | None:
    """Return a refusal where a section lacks results that it needs."""
    lacking = [name for name in section.needs if name not in earlier]
    return Refusal(f"It needs section {lacking[0]!r}, which does not apply.") if lacking else None


def _results(
    section: Section[Any],
    source: Source,
    earlier: SourceResults,
    settings: Settings,
    folder: ResultsFolder,
) -> Results:
    """Return the results of a section, kept or computed."""
    file = folder.file(source.name, section.name)
    results = read_results(file, folder.version)
    if results is None:
        # intermediate results of long sections, beside the file that they will become
        cache = folder.file(source.name, section.name, suffix=".partial.nc")
        # sums in linear algebra depend on the number of threads in their last digits
        with one_thread():
            results = section.compute(source, earlier, settings, cache)
        # at once, so that an interrupt costs one section at most
        keep_results(file, results, folder.version)
        cache.unlink(missing_ok=True)
    return results


def page_sections(runs: Runs, sources: Sequence[Source]) -> list[PageSection]:
    """Summarise results as sections of a page: over networks, then source by source.

    Pictures are of every recording and of the first network; tables have all sources.
    """
    pages = [_page_section(run, runs, sources) for run in runs.values()]
    return [page for page in pages if page.findings or page.rows or page.pictures]


def _page_section(run: SectionRun, runs: Runs, sources: Sequence[Source]) -> PageSection:
    """Return the section of the page: over networks first, then the sources with pictures."""
    kinds = {source.name: source.kind for source in sources}
    names = [source.name for source in sources if source.name in run.results]
    networks = [name for name in names if kinds[name] in {"network", "control"}]
    # pictures of every network would make pages of a hundred figures
    pictured = {name for name in names if name not in networks} | set(networks[:1])
    summaries = []
    for name in names:
        results = {other: r.results[name] for other, r in runs.items() if name in r.results}
        summaries.append(run.section.summarise(name, results, pictures=name in pictured))
    on_page = [
        *_over_networks(run, kinds),
        *(s for n, s in zip(names, summaries, strict=True) if n in pictured),
    ]
    refusals = [f"{name}: does not apply. {why.reason}" for name, why in run.refusals.items()]
    return PageSection(
        name=run.section.name,
        heading=run.section.heading,
        findings=[*(finding for one in on_page for finding in one.findings), *refusals],
        rows=[row for one in summaries for row in one.rows],
        further={
            kind: [row for one in summaries for row in one.further.get(kind, ())]
            for kind in dict.fromkeys(kind for one in summaries for kind in one.further)
        },
        pictures=[picture for one in on_page for picture in one.pictures],
    )


def _over_networks(run: SectionRun, kinds: Mapping[str, str]) -> list[Summary]:
    """Summarise over networks, where there are several; controls are never pooled with them."""
    networks, controls = (
        {name: results for name, results in run.results.items() if kinds[name] == kind}
        for kind in ("network", "control")
    )
    # one network allows no inference over networks
    if run.section.summarise_over is None or len(networks) < 2:
        return []
    try:
        return [run.section.summarise_over(networks, controls)]
    except NotApplicableError as error:
        text = f"Over {len(networks)} networks: does not apply. {error.reason}"
        return [Summary(findings=[text])]
