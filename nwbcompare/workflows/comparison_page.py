"""The page of a comparison, with one recording or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nwbcompare.core.errors import listing
from nwbcompare.core.files import file_name
from nwbcompare.core.provenance import environment
from nwbcompare.report.page import Page
from nwbcompare.report.page_section import Cell, Finding, PageSection
from nwbcompare.workflows.compared_recording import ComparedRecording
from nwbcompare.workflows.formatting import counted
from nwbcompare.workflows.section import Section
from nwbcompare.workflows.sections.over_recordings import over_recordings

LEAD = "Hidden units and recorded units, through the same functions, under the same conditions."


def page_of(recordings: Sequence[ComparedRecording], configuration: Mapping[str, Any]) -> Page:
    """Return the page of a comparison.

    Parameters
    ----------
    recordings
        The recordings. Of one, its sections are those of the page; of several, a section about all
        comes first, and every other one has the name of its recording.
    configuration
        Settings that the results depend on.
    """
    first = recordings[0]
    sections, limits, methods = list(first.sections), first.limits, first.methods
    if len(recordings) > 1:
        joint = over_recordings({one.source.name: one.results for one in recordings})
        each = [_named(section, one.source.name) for one in recordings for section in one.sections]
        sections = [joint, *each]
        limits = _joined({one.source.name: one.limits for one in recordings})
        methods = _joined({one.source.name: one.methods for one in recordings})
    return Page(
        title=_title(recordings),
        lead=LEAD,
        cards=_cards(recordings),
        caution=_caution(recordings),
        sections=sections,
        limits=limits,
        methods=methods,
        provenance={
            # without the command, whose paths differ between machines
            **environment(with_command=False),
            "settings": dict(configuration),
            "recordings": {one.source.name: one.provenance for one in recordings},
        },
        simulated=any(one.measurements.simulated for one in recordings),
        how_to_get=first.source.choice.guidance,
        left_out=" ".join(dict.fromkeys(filter(None, (one.left_out for one in recordings)))),
    )


def with_methods_of(sections: Sequence[Section[Any]], page: Page) -> Page:
    """Return a page with the methods of its sections after those of the comparison."""
    methods = [f"{one.heading}: {one.method}" for one in sections if one.method]
    return replace(page, methods=[*page.methods, *methods])


def prefixed(section: PageSection, prefix: str, heading: str) -> PageSection:
    """Return a section with a prefix to its name and those of its pictures, and another heading."""
    return replace(
        section,
        name=f"{prefix}-{section.name}",
        heading=heading,
        findings=[_with_figure(finding, prefix) for finding in section.findings],
        pictures=[
            replace(picture, name=f"{prefix}-{picture.name}") for picture in section.pictures
        ],
    )


def _with_figure(finding: str | Finding, prefix: str) -> str | Finding:
    """Return a finding that points at its picture by the picture's new name."""
    if isinstance(finding, str) or not finding.evidence.figure:
        return finding
    figure = f"{prefix}-{finding.evidence.figure}"
    return replace(finding, evidence=replace(finding.evidence, figure=figure))


def _named(section: PageSection, recording: str) -> PageSection:
    """Return a section whose heading, findings and files name the recording."""

    def named(finding: str | Finding) -> str | Finding:
        if isinstance(finding, str):
            return _with_name(finding, recording)
        return replace(finding, text=_with_name(finding.text, recording))

    prefix = file_name(recording).replace(" ", "_")
    one = prefixed(section, prefix, f"{recording}: {section.heading}")
    return replace(one, findings=[named(finding) for finding in one.findings])


def _with_name(text: str, recording: str) -> str:
    return text if recording in text else f"{recording}: {text}"


def _joined(texts: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lines of several recordings: with the name of one where others lack the line."""
    lines: dict[str, None] = {}
    for name, own in texts.items():
        for line in own:
            shared = all(line in others for others in texts.values())
            lines[line if shared else _with_name(line, name)] = None
    return list(lines)


def _models_of(recordings: Sequence[ComparedRecording]) -> dict[str, int]:
    """Return the number of hidden units of every model by its name."""
    return {model.name: model.n_hidden for one in recordings for model in one.measurements.models}


def _title(recordings: Sequence[ComparedRecording]) -> str:
    """Return the title, which says where a recording is simulated."""
    names = listing([one.source.name for one in recordings])
    title = f"{counted(len(_models_of(recordings)), 'network')} against {names}"
    # a page must not pass for one about neurons, not even by its title
    simulated = any(one.measurements.simulated for one in recordings)
    return f"SIMULATED: {title}" if simulated else title


def _cards(recordings: Sequence[ComparedRecording]) -> dict[str, Cell]:
    """Return the sizes of the comparison: networks, animals, sessions, units and trials."""
    measurements = [one.measurements for one in recordings]
    models = _models_of(recordings)
    n_hidden = sorted(set(models.values()))
    families = {family for one in measurements for family in one.families}
    several = len(recordings) > 1
    simulated = any(one.simulated for one in measurements)
    n_sessions = [one.n_sessions for one in measurements]
    cards: dict[str, Cell] = {"networks": len(models)}
    if len(families) > 1:
        cards["families"] = len(families)
    cards["hidden units a network"] = n_hidden[0] if len(n_hidden) == 1 else listing(n_hidden)
    if several:
        cards["recordings"] = len(recordings)
    cards |= {
        "simulated animals" if simulated else "animals": sum(one.n_animals for one in measurements),
        "sessions": sum(n_sessions) if all(n_sessions) else "unknown",
        "recorded units": sum(one.recorded.ftv.sizes["unit"] for one in measurements),
        "active recorded units": sum(int(one.recorded.ftv["active"].sum()) for one in measurements),
    }
    if not several:
        # the median, since units of a recording differ in their trials
        n_trials = float(measurements[0].variance["n_trials_per_condition"].median())
        cards["trials a condition (median)"] = f"{n_trials:.4g}"
    return cards


def _caution(recordings: Sequence[ComparedRecording]) -> str:
    """Return what findings generalise over, given the numbers of networks and animals."""
    n_animals = sum(one.measurements.n_animals for one in recordings)
    n_networks = len(_models_of(recordings))
    generalises = (
        "other sessions of this animal, or other networks of the same kind. None generalises over "
        "animals."
        if n_animals == 1
        else "sessions, networks of the same kind, or animals."
    )
    sizes = [counted(n_networks, "network"), counted(n_animals, "animal")]
    caution = f"{' and '.join(sizes)}. Each finding says what it generalises over: {generalises}"
    if len(recordings) == 1:
        return caution
    return (
        f"{caution} Recordings differ in tasks, areas and noise: numbers of different recordings "
        "are to be compared by their direction, not by their size."
    )
