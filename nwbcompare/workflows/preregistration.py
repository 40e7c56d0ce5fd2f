"""Preregistration: what an analysis fixes before its data are looked at, and departures from it.

The file is JSON with two keys: ``preregistration``, and the SHA-256 of its values (as JSON without
spaces, keys in order). The file's own SHA-256, which can be published, is printed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from nwbcompare.core.data_text import parse_json
from nwbcompare.core.errors import InputError, listing
from nwbcompare.core.files import check_output, sha256_of_file, written_aside
from nwbcompare.report.page import Page
from nwbcompare.report.page_section import Finding, PageSection, Row
from nwbcompare.workflows.formatting import counted

CONTENTS, CHECKSUM = "preregistration", "sha256"
"""Keys of a file."""
ReportName = Literal["compare", "continual"]
DESCRIPTIONS = ("written_on", "notes", "code.git_revision", "mapping.origin", "models.source")
"""Places of values on which no result depends, and which are not compared."""
OF_DATA = ("recording.name", "recording.sha256", "recording.conditions", "recording.subjects")
"""Places of values that are known only where the recording is there."""
NOT_THERE = "not known when the file was written"
PROOF = (
    "A SHA-256 proves agreement with this file, not the date on which it was written: only a copy "
    "that others can date, such as one in a public registry, proves that."
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Code(_Part):
    """The program: version, git revision, and the SHA-256 of its source files."""

    nwbcompare: str
    git_revision: str
    sources_sha256: str


class Recording(_Part):
    """The recording.

    Attributes
    ----------
    source
        Its SOURCE on the command line.
    name
        Its name; None where it is not there yet, as for the next three.
    sha256
        Of its rates and tables.
    conditions
        Trial columns that define conditions, by task.
    subjects
        Its animals.
    simulated
        Whether a simulation stands in for it.
    """

    source: str
    name: str | None = None
    sha256: str | None = None
    conditions: dict[str, list[str]] | None = None
    subjects: list[str] | None = None
    simulated: bool = False


class Contrast(_Part):
    """The primary contrast and its test."""

    protocol: str
    measure: str
    first: str
    second: str
    test: str
    level: float


class Margin(_Part):
    """The margin of equivalence and its reason; None where no margin is stated."""

    value: float | None
    reason: str


class Exclusions(_Part):
    """Units and networks that are left out.

    Attributes
    ----------
    active_threshold
        Sum of the two task variances above which a unit is active.
    active_share_of_networks
        The same for sampled network units, as a share of the median over units.
    least_active_units
        Number of active units below which a source is not compared.
    missing_units
        What happens to units without FTV.
    least_performance
        Share of correct trials that a network must reach in the tasks of the last stage.
    networks
        What happens to other networks.
    """

    active_threshold: float
    active_share_of_networks: float
    least_active_units: int
    missing_units: str
    least_performance: float | None
    networks: str


class Model(_Part):
    """A model of a comparison, with the seed of its initial weights where it is known."""

    name: str
    family: str
    source: str
    seed: int | None
    checksums: dict[str, str]


class Regime(_Part):
    """A training regime, its part in the tests, and the seeds of its networks."""

    name: str
    role: str
    seeds: list[int]


class Study(_Part):
    """Networks of a study: regimes, parameters of their training, and the whole recipe."""

    regimes: list[Regime]
    training: dict[str, JsonValue]
    recipe: dict[str, JsonValue]


class Preregistration(_Part):
    """Everything that an analysis fixes before its data are looked at.

    Attributes
    ----------
    format
        Version of the file.
    report
        The command that it is for.
    written_on
        The date (UTC) of the computer that wrote it, which proves nothing.
    code, pair, recording, mapping
        The program, the two tasks, the recording, and its conditions as conditions of a network.
    contrast, margin
        The primary contrast and the margin of equivalence.
    numbers
        Seed, and numbers of draws, permutations, bootstraps and splits.
    exclusions
        Units and networks that are left out.
    models
        Models of a comparison, in the order that their draws' seeds follow.
    study
        Networks of a study of continual learning.
    notes
        Sentences of the authors, which no program checks.
    """

    format: Literal[1] = 1
    report: ReportName
    written_on: date
    code: Code
    pair: list[str]
    recording: Recording
    mapping: dict[str, JsonValue] | None
    contrast: Contrast
    margin: Margin
    numbers: dict[str, int]
    exclusions: Exclusions
    models: list[Model] = []
    study: Study | None = None
    notes: list[str] = []

    def values(self) -> dict[str, JsonValue]:
        """Return every value by its place, such as "numbers.seed"."""
        return _values(self.model_dump(mode="json"))


@dataclass(frozen=True)
class Departure:
    """A setting of a run that is not as it was preregistered; None where it has no value."""

    setting: str
    preregistered: JsonValue
    present: JsonValue

    def __str__(self) -> str:
        there, here = _text(self.preregistered), _text(self.present)
        return f"{self.setting} (preregistered {there}, present {here})"


@dataclass(frozen=True)
class PreregistrationFile:
    """A file of `write_preregistration`: its name, SHA-256 and contents."""

    name: str
    sha256: str
    contents: Preregistration

    def compare(self, run: Preregistration) -> Agreement:
        """Compare a run with what was preregistered.

        Parameters
        ----------
        run
            What the run would preregister.

        Raises
        ------
        InputError
            For another primary contrast or recording: such a run is not the preregistered one with
            departures, but another.
        """
        there, here = self.contents, run
        if there.contrast != here.contrast:
            raise self.mismatch("primary contrast", there.contrast, here.contrast)
        data = there.recording.sha256
        if data is not None and data != here.recording.sha256:
            # both sources, since a hash tells a reader nothing
            raise self.mismatch(
                "recording",
                f"{there.recording.name} from {there.recording.source} (SHA-256 {data})",
                f"{here.recording.name} from {here.recording.source} "
                f"(SHA-256 {here.recording.sha256})",
            )
        # a recording that moved is the same one
        ignored = (*DESCRIPTIONS, *(("recording.source",) if data else OF_DATA))
        before, now = there.values(), here.values()
        departures = [
            Departure(name, before.get(name), now.get(name))
            for name in dict.fromkeys((*before, *now))
            if not _is_among(ignored, name) and before.get(name) != now.get(name)
        ]
        return Agreement(self, run, departures)

    def mismatch(self, what: str, there: object, here: object) -> InputError:
        """Return the error for a run that is not the preregistered one with departures."""
        return InputError(
            f"preregistration {self.name!r}",
            f"a run with its {what}, {there}",
            str(here),
            "Run what was preregistered, or leave --preregistration out: exploratory, then.",
        )


@dataclass(frozen=True)
class Agreement:
    """A preregistration, the same values of a run, and the settings that depart."""

    file: PreregistrationFile
    run: Preregistration
    departures: list[Departure]

    def on(self, page: Page, primary: str) -> Page:
        """Return a page with what was fixed beforehand, and what departs from it.

        Departures stand above all findings, and in the limits; the page's provenance has the
        whole as plain values.

        Parameters
        ----------
        page
            The page.
        primary
            Name of the section whose main findings are those on the primary contrast.
        """
        headings = [
            section.heading
            for section in page.sections
            if section.name == primary
            and any(isinstance(one, Finding) and one.main for one in section.findings)
        ]
        verdict, sentences = self._verdict(headings), _what_was_fixed(self.file)
        section = PageSection(
            name="preregistration",
            heading="Preregistration",
            findings=[verdict, *sentences, PROOF],
            rows=self._rows(),
        )
        record = {
            "file": self.file.name,
            "file_sha256": self.file.sha256,
            "is_preregistered": not self.departures and bool(headings),
            "departures": [vars(one) for one in self.departures],
            "preregistered": self.file.contents.model_dump(mode="json"),
        }
        limits = [f"Departure from the preregistration: {one}." for one in self.departures]
        return replace(
            page,
            sections=[section, *page.sections],
            caution=f"{verdict} {page.caution}",
            limits=[*limits, *page.limits, PROOF],
            methods=[*page.methods, " ".join(["Preregistration:", *sentences])],
            provenance={**page.provenance, "preregistration": record},
        )

    def _verdict(self, headings: Sequence[str]) -> str:
        """Return whether the primary finding is preregistered; it has no heading without result."""
        name = self.file.name
        if self.departures:
            return (
                f"Not preregistered: this run departs from {name} in "
                f"{counted(len(self.departures), 'setting')}, so its primary finding is "
                f"exploratory. {listing(self.departures)}."
            )
        if not headings:
            return f"The primary contrast that {name} fixed could not be computed: see the limits."
        return (
            f"Preregistered: the primary finding, {self.file.contents.contrast.measure}, in the "
            f"section {headings[0]!r}. Every setting is as {name} fixed it; all other findings are "
            "secondary."
        )

    def _rows(self) -> list[Row]:
        """Return a row for each setting, those that depart first."""
        before, now = self.file.contents.values(), self.run.values()
        depart = [one.setting for one in self.departures]
        others = [name for name in dict.fromkeys((*before, *now)) if name not in depart]
        is_known = self.file.contents.recording.sha256 is not None
        return [
            {
                "setting": name,
                "preregistered": _text(before.get(name))
                if is_known or not _is_among(OF_DATA, name)
                else NOT_THERE,
                "present": _text(now.get(name)),
                "departs": "yes" if name in depart else "",
            }
            for name in (*depart, *others)
        ]


def write_preregistration(
    path: str | os.PathLike[str], contents: Preregistration, *, overwrite: bool = False
) -> PreregistrationFile:
    """Write a preregistration, whole or not at all, and return it with its SHA-256.

    Parameters
    ----------
    path
        The file.
    contents
        What is fixed.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        Where the file exists and may not be replaced, or cannot be written.
    """
    check_preregistration_path(path, overwrite=overwrite)
    values = contents.model_dump(mode="json")
    text = json.dumps({CONTENTS: values, CHECKSUM: _checksum(values)}, indent=1)
    with written_aside(path, overwrite=overwrite) as aside:
        aside.write_text(f"{text}\n", encoding="utf-8")
    return PreregistrationFile(Path(path).name, sha256_of_file(path), contents)


def check_preregistration_path(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Check before any work that a preregistration can be written; never in place of a folder.

    Raises
    ------
    InputError
        Where it cannot.
    """
    if Path(path).is_dir():
        raise InputError(str(path), "a file", "a folder", "Name a file, such as fixed.json.")
    check_output(path, overwrite=overwrite)


def read_preregistration(
    path: str | os.PathLike[str], report: ReportName, pair: tuple[str, str]
) -> PreregistrationFile:
    """Read a preregistration.

    Parameters
    ----------
    path
        A file of `write_preregistration`.
    report, pair
        The command and the pair of tasks that it is read for.

    Raises
    ------
    InputError
        For a file that is none, one that was edited or damaged after it was written, and one of
        another command or pair.
    """
    path = Path(path)
    try:
        table = parse_json(path.read_bytes())
        values, there = table[CONTENTS], table[CHECKSUM]
        here = _checksum(values)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"preregistration {str(path)!r}",
            "a file that --preregister has written",
            f"one that cannot be read ({type(error).__name__}: {error})",
            "Write one with --preregister, before the analysis.",
        ) from error
    if there != here or set(table) != {CONTENTS, CHECKSUM}:
        raise InputError(
            f"preregistration {str(path)!r}",
            f"contents of the SHA-256 {there}, as they were written",
            f"contents of {here}",
            "The file was edited or damaged: use the original, or write another before looking.",
        )
    try:
        contents = Preregistration.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"preregistration {str(path)!r}, {'.'.join(map(str, first['loc']))}",
            "a preregistration of format 1",
            f"{first['msg']} ({first['input']!r})",
            "Read it with the version of nwbcompare that wrote it.",
        ) from error
    file = PreregistrationFile(path.name, sha256_of_file(path), contents)
    if contents.report != report:
        raise file.mismatch("command", contents.report, report)
    if tuple(contents.pair) != pair:
        raise file.mismatch("pair of tasks", ":".join(contents.pair), ":".join(pair))
    return file


def _what_was_fixed(file: PreregistrationFile) -> list[str]:
    """Return what was fixed, in sentences."""
    contents = file.contents
    contrast, code, recording = contents.contrast, contents.code, contents.recording
    exclusions = contents.exclusions
    data = (
        f"recording {recording.name}, SHA-256 {recording.sha256}"
        if recording.sha256
        else f"recording {recording.source}, whose data were not there and so are not fixed"
    )
    margin = (
        "no margin of equivalence"
        if contents.margin.value is None
        else f"margin of equivalence {contents.margin.value:g} "
        f"({contents.margin.reason or 'without a reason'})"
    )
    numbers = ", ".join(f"{name} {number}" for name, number in contents.numbers.items())
    performance = (
        ""
        if exclusions.least_performance is None
        else f"; least performance {exclusions.least_performance:g}"
    )
    return [
        f"{file.name} (SHA-256 {file.sha256}; nwbcompare {code.nwbcompare}, revision "
        f"{code.git_revision}, on {contents.written_on} by the clock of that computer) fixed: "
        f"{data}; tasks "
        f"{contents.pair[0]} and {contents.pair[1]}; {margin}; {numbers}.",
        f"Primary contrast: {contrast.measure}, {contrast.first} less {contrast.second}, on the "
        f"protocol {contrast.protocol!r}; {contrast.test}, at {contrast.level:g}.",
        f"Exclusions: {exclusions.missing_units} {exclusions.networks} Active units: task "
        f"variances that sum to more than {exclusions.active_threshold:g}, in networks to more "
        f"than {exclusions.active_share_of_networks:g} of the median{performance}.",
        *(f"Also stated, and not checked: {note}" for note in contents.notes),
    ]


def _checksum(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _values(table: JsonValue, place: str = "") -> dict[str, JsonValue]:
    """Return values by place; lists of plain values are one value."""
    if isinstance(table, list) and any(isinstance(one, dict) for one in table):
        table = {str(number): one for number, one in enumerate(table)}
    if not isinstance(table, Mapping) or not table:
        return {place: table}
    values: dict[str, JsonValue] = {}
    for name, value in table.items():
        values |= _values(value, f"{place}.{name}" if place else name)
    return values


def _is_among(places: Sequence[str], place: str) -> bool:
    """Return whether a place is one of some, or within one; numbers of list items do not count."""
    unnumbered = re.sub(r"\.\d+(?=\.)", "", place)
    return f"{unnumbered}.".startswith(tuple(f"{one}." for one in places))


def _text(value: JsonValue) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)
