"""Provenance of an archive's activity: its name, citation, files and options of loading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nwbcompare.core.files import sha256_of_set


def archive_provenance(
    dataset: str, citation: str, digests: Iterable[tuple[str, str]], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the provenance of an activity that a loader has read.

    Parameters
    ----------
    dataset, citation
        Name and reference of the archive.
    digests
        Name and SHA-256 of each file that was read.
    options
        Options of the loader with their values.

    Examples
    --------
    >>> archive_provenance("mine", "Me (2026).", [("a.mat", "e3b0")], {"bin_s": 0.05})["options"]
    {'bin_s': 0.05}
    """
    digests = list(digests)
    return {
        "dataset": dataset,
        "citation": citation,
        "files": {"count": len(digests), "sha256": sha256_of_set(digests)},
        "options": dict(options),
    }
