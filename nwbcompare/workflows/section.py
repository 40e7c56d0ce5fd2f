"""A section of an analysis: what it computes, finds and draws, for one source and over several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import xarray as xr

from nwbcompare.report.page_section import Cell, Picture
from nwbcompare.workflows.analysis_sources import AnalysisSource
from nwbcompare.workflows.analyze_settings import Settings

Results = dict[str, xr.Dataset]
"""The labelled results of a section, by name."""
Earlier = Mapping[str, Results]
"""The results of the sections before, by section."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a section shows of its results: sentences, a row of numbers, pictures."""

    findings: list[str]
    numbers: Mapping[str, Cell]
    pictures: list[Picture]


class Show(Protocol):
    """Say what the results of one source are."""

    def __call__(self, name: str, found: Earlier, *, pictures: bool) -> Shown:
        """Give sentences and numbers, and pictures where they are wanted.

        Parameters
        ----------
        name
            The source's name.
        found
            Its results by section: those of this section and of the sections before.
        pictures
            Whether pictures are drawn.
        """


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section.

    Attributes
    ----------
    name, heading
        Its name on the command line, and the title of its section.
    method
        How it is done, in a few sentences.
    compute
        Gives its results from a source, the sections before it, the settings, and a file in which
        long work may keep what it has finished.
    show
        Says what the results of one source are, with pictures or without; sees results only.
    show_over
        Says what the results of several networks are, beside those of networks whose rules enter
        mixed (controls); None where nothing is inferred.
    missing
        Says why a source cannot be asked this, or gives "" where it can.
    needs
        Sections whose results it takes.
    is_long
        Whether it runs only when asked for.
    """

    name: str
    heading: str
    method: str
    compute: Callable[[AnalysisSource, Earlier, Settings, Path], Results]
    show: Show
    show_over: Callable[[Mapping[str, Results], Mapping[str, Results]], Shown] | None = None
    missing: Callable[[AnalysisSource], str] = lambda _: ""
    needs: tuple[str, ...] = ()
    is_long: bool = False
