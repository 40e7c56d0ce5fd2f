"""The parts of the programme, in the order in which they are computed and shown."""

from __future__ import annotations

from nwbcompare.workflows.section import Part
from nwbcompare.workflows.sections import (
    clusters,
    condition_vectors as conditions,
    lesions,
    pairwise_ftv as pairs,
    performance,
    rule_composition as composition,
    task_variance as variance,
    task_vectors as vectors,
    unit_groups as groups,
)

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
