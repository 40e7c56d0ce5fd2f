"""Data card of an archive: its origin, terms, size, tasks and traps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class DataCard:
    """What a user of an archive has to know before its numbers are believed.

    Attributes
    ----------
    authors
        Those who recorded the data, with the institute.
    citation, doi
        Reference to cite, and its DOI; an empty ``doi`` where there is none.
    licence
        Licence, or the terms of use where the authors state no licence.
    source, unpack
        Source of the archive, and its folders on disk, as sentences.
    size
        Numbers of subjects, sessions, units and trials, and bytes, as a sentence.
    pairs
        Pairs of tasks for which FTV is meant.
    traps
        What is easily read wrongly, a sentence each.
    tested_on
        Whether the loader ran on the archive's own files, or on generated files of its layout.

    Examples
    --------
    >>> from nwbcompare.datasets import get_loader
    >>> get_loader("mante2013").card.pairs
    (('contextdm1', 'contextdm2'),)
    """

    authors: str
    citation: str
    doi: str
    licence: str
    source: str
    unpack: str
    size: str
    pairs: tuple[tuple[str, str], ...]
    traps: tuple[str, ...]
    tested_on: Literal["real files", "generated files"]

    def text(self) -> str:
        """Return the card as lines of text."""
        # source and folders are in the sentence about getting it
        lines = {
            "By": self.authors,
            "Cite": f"{self.citation} {f'doi:{self.doi}' if self.doi else '(no DOI)'}",
            "Terms": self.licence,
            "Size": self.size,
            "Pairs of tasks for FTV": "; ".join(", ".join(pair) for pair in self.pairs) or "none",
            "Tested on": {
                "real files": "the real files",
                "generated files": "generated files of the same layout only",
            }[self.tested_on],
        }
        notes = [f"Note: {trap}" for trap in self.traps]
        return "\n".join([*(f"{key}: {value}" for key, value in lines.items()), *notes])
