"""The sections of an analysis, in the order in which they are computed and shown."""

from __future__ import annotations

from nwbcompare.workflows.section import Section
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

SECTIONS: dict[str, Section] = {
    section.name: section
    for section in (
        performance.SECTION,
        variance.SECTION,
        clusters.SECTION,
        lesions.SECTION,
        lesions.CONTROLS,
        pairs.SECTION,
        groups.SECTION,
        vectors.SECTION,
        conditions.SECTION,
        composition.SECTION,
    )
}
"""Sections by name; those that a section needs come before it."""
