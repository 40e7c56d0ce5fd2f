"""The whole programme on networks and recordings: computed, kept, and written as a page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from nwbcompare.core.claim import claimed
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.files import check_output_folder, folder_in_progress
from nwbcompare.core.provenance import environment
from nwbcompare.report.analysis_page import write_analysis
from nwbcompare.report.page_section import Section
from nwbcompare.workflows.analysis_source import Settings, Subject
from nwbcompare.workflows.registry import PARTS
from nwbcompare.workflows.results_folder import Folder, is_analysis
from nwbcompare.workflows.section import Part, Results, Shown

CAUTION = (
    "The unit of inference is the network, and for recordings the animal. Numbers of one source "
    "describe that source; only what is said over networks is inference, and it is about networks "
    "trained in the same way."
)


def analyze(
    sources: Sequence[str],
    out: str | os.PathLike[str],
    *,
    parts: Sequence[str] | None = None,
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
        ``results/SOURCE/PART.nc``, the labelled results.
    parts
        Names in `nwbcompare.workflows.registry.PARTS`; by default all but the long ones. Parts that
        others need are taken along.
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
        For an unknown part, a source that is not there, two sources of one name, and a folder
        that cannot be written, is written to by another process, or belongs to other settings.

    Notes
    -----
    What cannot be asked of a source (lesions of a recording) is left out, and the page says why.
    """
    settings = settings or Settings()
    chosen = chosen_parts(parts)
    if not sources:
        raise InputError("sources", "at least one source", "none", "Use pretrained:all20-fast-0.")
    if overwrite or not (resume and is_analysis(Path(out))):
        check_output_folder(out, kind="analysis", is_kind=is_analysis, overwrite=overwrite)
    subjects = [Subject(source) for source in sources]
    _check_names(subjects)
    with claimed(out), folder_in_progress(out, resume=resume, overwrite=overwrite) as place:
        folder = Folder(place, asdict(settings), resume=resume, overwrite=overwrite)
        found, missing = _compute(subjects, chosen, settings, folder)
        sections = [
            section
            for part in chosen
            if (section := _section(part, subjects, found, missing[part.name]))
        ]
        write_analysis(
            folder.path,
            sections,
            title=_title(subjects),
            caution=CAUTION,
            methods=[f"{part.heading}: {part.method}" for part in chosen],
            provenance={
                **environment(),
                "settings": asdict(settings),
                "sources": {s.name: {"source": s.source, **s.identity()} for s in subjects},
            },
        )
    return Path(out)


def chosen_parts(names: Sequence[str] | None) -> list[Part]:
    """Give the parts of these names, and those that they need, in the programme's order."""
    if names is None:
        return [part for part in PARTS.values() if not part.is_long]
    if not names:
        raise InputError("parts", "at least one part", "none", "Leave it out for all.")
    for name in names:
        if name not in PARTS:
            raise unknown_name("parts", name, PARTS)
    wanted = set(names)
    for part in reversed(PARTS.values()):
        if part.name in wanted:
            wanted |= set(part.needs)
    return [part for part in PARTS.values() if part.name in wanted]


def _check_names(subjects: Sequence[Subject]) -> None:
    name, number = Counter(subject.name for subject in subjects).most_common(1)[0]
    if number > 1:
        raise InputError(
            "sources", "each name once", f"{name!r} {number} times", "Leave one out or rename it."
        )


def _compute(
    subjects: Sequence[Subject], parts: Sequence[Part], settings: Settings, folder: Folder
) -> tuple[dict[str, dict[str, Results]], dict[str, dict[str, str]]]:
    """Give the results by part and source, and why a source has none of a part."""
    found: dict[str, dict[str, Results]] = {part.name: {} for part in parts}
    missing: dict[str, dict[str, str]] = {part.name: {} for part in parts}
    for subject in subjects:
        folder.claim(subject.name, subject.identity())
    with tqdm(total=len(parts) * len(subjects), desc="analyze", disable=None) as bar:
        for subject in subjects:
            earlier: dict[str, Results] = {}
            for part in parts:
                bar.set_postfix_str(f"{subject.name}: {part.name}")
                got = _results(part, subject, earlier, settings, folder)
                if isinstance(got, str):
                    missing[part.name][subject.name] = got
                else:
                    earlier[part.name] = found[part.name][subject.name] = got
                bar.update()
            subject.forget()
    return found, missing


def _results(
    part: Part,
    subject: Subject,
    earlier: Mapping[str, Results],
    settings: Settings,
    folder: Folder,
) -> Results | str:
    """Give the results of a part, kept or computed, or why it cannot be asked."""
    why = part.missing(subject) or _lacking(part, earlier)
    if why:
        return why
    kept = folder.read(subject.name, part.name)
    if kept is None:
        work = folder.file(subject.name, part.name, suffix=".partial.nc")
        try:
            kept = part.compute(subject, earlier, settings, work)
        except InputError as error:
            if error.subject.startswith(str(folder.path)):
                # unfinished work that is damaged is no property of the source
                raise
            # too few units or tasks: other parts and sources go on
            return _reason(error)
        folder.keep(subject.name, part.name, kept)
        work.unlink(missing_ok=True)
    return kept


def _lacking(part: Part, earlier: Mapping[str, Results]) -> str:
    lacking = [name for name in part.needs if name not in earlier]
    return f"it needs {lacking[0]}, which cannot be asked of it" if lacking else ""


def _reason(error: InputError) -> str:
    return f"{error.subject}: expected {error.expected}, got {error.got}"


def _section(
    part: Part,
    subjects: Sequence[Subject],
    found: Mapping[str, Mapping[str, Results]],
    missing: Mapping[str, str],
) -> Section | None:
    """Make a part's section: what holds over networks first, then the first of each kind."""
    over, own_part = None, found[part.name]
    alike, controls = (
        {s.name: own_part[s.name] for s in subjects if s.kind == kind and s.name in own_part}
        for kind in ("network", "control")
    )
    if part.show_over is not None and len(alike) > 1:
        try:
            over = part.show_over(alike, controls)
        except InputError as error:
            # networks of other tasks
            text = f"Over {len(alike)} networks: not asked, since {_reason(error)}."
            over = Shown(findings=[text], numbers={}, pictures=[])
    rows, own = [], []
    pictured = _pictured(subjects, own_part)
    for name in own_part:
        earlier = {
            other: by_source[name] for other, by_source in found.items() if name in by_source
        }
        shown = part.show(name, earlier, pictures=name in pictured)
        rows.append({"source": name, **shown.numbers})
        if name in pictured:
            own.append(shown)
    parts_shown: list[Shown] = [*([over] if over else []), *own]
    left_out = [f"{name}: not asked, since {why}." for name, why in missing.items()]
    if not parts_shown and not left_out:
        return None
    return Section(
        name=part.name,
        heading=part.heading,
        findings=[line for shown in parts_shown for line in shown.findings] + left_out,
        rows=rows,
        pictures=[picture for shown in parts_shown for picture in shown.pictures],
    )


def _pictured(subjects: Sequence[Subject], found: Mapping[str, Results]) -> set[str]:
    """Tell whose pictures are drawn: every recording's, and the first network's."""
    networks = [s.name for s in subjects if s.network is not None and s.name in found]
    return {s.name for s in subjects if s.network is None} | set(networks[:1])


def _title(subjects: Sequence[Subject]) -> str:
    n_networks = sum(subject.network is not None for subject in subjects)
    recordings = [subject.name for subject in subjects if subject.network is None]
    if n_networks == 1:
        networks = [next(s.name for s in subjects if s.network is not None)]
    else:
        networks = [f"{n_networks} networks"] if n_networks else []
    return "What they know: " + ", ".join([*networks, *recordings])
