"""The parts of the programme, in the order in which they are computed and shown."""

from __future__ import annotations

from nwbcompare.programme import (
    clusters,
    composition,
    conditions,
    groups,
    lesions,
    pairs,
    performance,
    variance,
    vectors,
)
from nwbcompare.programme.part import Part

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        performance.PART,
        variance.PART,
        clusters.PART,
        lesions.PART,
        lesions.CONTROLS,
        pairs.PART,
        groups.PART,
        vectors.PART,
        conditions.PART,
        composition.PART,
    )
}
"""Parts by name; those that a part needs come before it."""
