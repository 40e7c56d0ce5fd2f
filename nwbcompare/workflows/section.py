"""A section of a report: which sources it applies to, its results, and their summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

import xarray as xr

from nwbcompare.core.errors import NotApplicableError
from nwbcompare.report.page_section import Finding, Picture, Row
from nwbcompare.workflows.settings import Settings


class Source(Protocol):
    """What a report analyses: a network, a recording, or several of them together.

    Attributes
    ----------
    name
        Its name in tables and figures.
    kind
        "network", "control" (a network whose rule inputs are mixed), "recording", "comparison" or
        "study".
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - see the attributes of the class
    @property
    def kind(self) -> str: ...  # noqa: D102

    def identity(self) -> dict[str, Any]:
        """Return checksums that tell whether kept results are of this source."""

    def forget(self) -> None:
        """Free memory that can be filled again, once all sections are computed."""


SourceT = TypeVar("SourceT", bound=Source)


@dataclass(frozen=True)
class Refusal:
    """Why an analysis does not apply to a source."""

    reason: str


class Results(dict[str, xr.Dataset]):
    """Labelled results of a section by name, and the analyses that did not apply.

    Parameters
    ----------
    tables
        Results by name.
    refusals
        Analyses that did not apply, by a name that a page can print.
    warnings
        Warnings about units, a sentence each.

    Examples
    --------
    >>> results = Results({"mean": xr.Dataset({"rate": 3.0})})
    >>> def decode():
    ...     raise NotApplicableError("recording", "two tasks", "one", "Record another.")
    >>> results.attempt("decoding", decode)
    >>> list(results), results.refusals
    (['mean'], {'decoding': Refusal(reason='Needed: two tasks; here: one.')})
    """

    def __init__(
        self,
        tables: Mapping[str, xr.Dataset] | Iterable[tuple[str, xr.Dataset]] = (),
        *,
        refusals: Mapping[str, Refusal] | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        super().__init__(tables)
        self.refusals = dict(refusals or {})
        self.warnings = list(warnings)

    def attempt(
        self, name: str, compute: Callable[[], xr.Dataset], *, called: str | None = None
    ) -> None:
        """Add a result, or the reason why its analysis does not apply.

        Parameters
        ----------
        name
            Name of the result.
        compute
            Returns it, or raises `NotApplicableError`.
        called
            Name of the analysis in the refusal, by default that of the result.
        """
        try:
            self[name] = compute()
        except NotApplicableError as error:
            self.refusals[called or name] = Refusal(error.reason)

    def group(self, prefix: str) -> Results:
        """Return the results whose names begin with ``prefix.``, without the prefix."""
        # with the dot, so that "source 1" does not match "source 10"
        start = f"{prefix}."
        return Results(
            {k.removeprefix(start): v for k, v in self.items() if k.startswith(start)},
            refusals={
                k.removeprefix(start): v for k, v in self.refusals.items() if k.startswith(start)
            },
        )

    def add_group(self, prefix: str, results: Mapping[str, xr.Dataset]) -> None:
        """Add results, and what did not apply among them, with ``prefix.`` before their names."""
        self.update({f"{prefix}.{name}": table for name, table in results.items()})
        if isinstance(results, Results):
            self.refusals |= {f"{prefix}.{name}": one for name, one in results.refusals.items()}

    def series(self, prefix: str) -> list[xr.Dataset]:
        """Return the results ``prefix.0``, ``prefix.1``, ... in order."""
        group = self.group(prefix)
        # by number: as text 10 comes before 2
        return [group[str(place)] for place in range(len(group))]

    def add_series(self, prefix: str, tables: Iterable[xr.Dataset]) -> None:
        """Add results under the names ``prefix.0``, ``prefix.1``, ..."""
        self.add_group(prefix, {str(place): table for place, table in enumerate(tables)})


SourceResults = Mapping[str, Results]
"""Results of one source by section: of the section itself, and of those before it."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Findings, rows of the table, rows of further kinds by name, and pictures of a section."""

    findings: Sequence[str | Finding] = ()
    rows: Sequence[Row] = ()
    further: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    pictures: Sequence[Picture] = field(default_factory=tuple)


class Summarise(Protocol):
    """Summarise the results of one source."""

    def __call__(self, name: str, results: SourceResults, /, *, pictures: bool) -> Summary:
        """Return sentences and numbers, and pictures on demand.

        Parameters
        ----------
        name
            Name of the source.
        results
            Its results by section; nothing else is known about the source, so that a page can be
            written from kept results.
        pictures
            Whether pictures are drawn.
        """


class SummariseOver(Protocol):
    """Summarise the results of several networks."""

    def __call__(
        self, networks: Mapping[str, Results], controls: Mapping[str, Results], /
    ) -> Summary:
        """Return what holds over networks, the unit of inference.

        Parameters
        ----------
        networks, controls
            Results of this section by name of the network; controls have mixed rule inputs.
        """


ReportName = Literal["analyze", "compare", "continual"]


def _applies_to_all(_source: Source) -> Refusal | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Section(Generic[SourceT]):
    """A section of a report.

    Attributes
    ----------
    name, heading
        Name on the command line, and title on the page.
    compute
        Returns the results of a source from the source, the results of earlier sections, the
        settings, and the path of a file for intermediate results of long work. It may raise
        `nwbcompare.NotApplicableError`.
    summarise
        Returns findings, rows and pictures of one source, from its results alone.
    summarise_over
        The same over several networks; None where nothing is inferred over networks.
    applies_to
        Returns why the section does not apply to a source, or None where it does.
    method
        Paragraph of the page's methods; "" where the report writes it from the results.
    report
        The report that it belongs to.
    needs
        Names of sections whose results it takes.
    is_long
        Whether it is computed on demand only.

    Examples
    --------
    A third party registers a section as an entry point of the group ``nwbcompare.report_sections``
    (see ``examples/section_package``):

    >>> def compute(source, earlier, settings, cache):
    ...     n_units = source.activity.leaves[0].sizes["unit"]
    ...     return Results({"size": xr.Dataset({"n_units": n_units})})
    >>> def summarise(name, results, *, pictures):
    ...     n_units = int(results["size"]["size"]["n_units"])
    ...     return Summary(findings=[f"{name} has {n_units} units."])
    >>> SIZE = Section(name="size", heading="Size", compute=compute, summarise=summarise)
    """

    name: str
    heading: str
    compute: Callable[[SourceT, SourceResults, Settings, Path], Results]
    summarise: Summarise
    summarise_over: SummariseOver | None = None
    applies_to: Callable[[SourceT], Refusal | None] = _applies_to_all
    method: str = ""
    report: ReportName = "analyze"
    needs: tuple[str, ...] = ()
    is_long: bool = False
