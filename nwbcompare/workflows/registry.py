"""Sections of all reports, those of this package and those of installed packages."""

from __future__ import annotations

from functools import cache
from typing import Any

from nwbcompare.core.entry_points import registered
from nwbcompare.workflows.section import ReportName, Section
from nwbcompare.workflows.sections import (
    clusters,
    condition_vectors,
    confounds,
    continual_alternatives,
    continual_learning,
    continual_similarity,
    example_units,
    ftv_distributions,
    latencies,
    lesions,
    model_performance,
    noise_correction,
    pairwise_ftv,
    performance,
    permutation_nulls,
    population,
    recorded_trials,
    references,
    rule_composition,
    samples,
    split_half,
    task_variance,
    task_vectors,
    unit_groups,
)

GROUP = "nwbcompare.report_sections"
"""Entry points whose values are sections."""
OF_PACKAGE: tuple[Section[Any], ...] = (
    performance.SECTION,
    task_variance.SECTION,
    clusters.SECTION,
    lesions.SECTION,
    lesions.CONTROLS,
    pairwise_ftv.SECTION,
    unit_groups.SECTION,
    task_vectors.SECTION,
    condition_vectors.SECTION,
    rule_composition.SECTION,
    samples.SECTION,
    recorded_trials.SECTION,
    ftv_distributions.SAMPLED,
    latencies.SECTION,
    model_performance.SECTION,
    references.SECTION,
    noise_correction.SECTION,
    ftv_distributions.PUBLISHED,
    split_half.SECTION,
    permutation_nulls.SECTION,
    confounds.SECTION,
    population.SECTION,
    example_units.SECTION,
    continual_similarity.TUNING,
    continual_learning.SECTION,
    continual_similarity.AT_LEVELS,
    continual_alternatives.SECTION,
    continual_similarity.EVERY,
    continual_similarity.RANKED,
    continual_similarity.REVERSED,
    continual_similarity.RATE,
    continual_similarity.PUBLISHED,
)
"""Sections in the order of the pages."""


# installed packages do not change during a run
@cache
def sections_of(report: ReportName) -> dict[str, Section[Any]]:
    """Return the sections of a report by name, in the order of its page.

    Parameters
    ----------
    report
        "analyze", "compare" or "continual".

    Raises
    ------
    InputError
        Where an installed package registers something else than a section, or a section by the
        name of another one.

    Examples
    --------
    >>> list(sections_of("analyze"))[:3]
    ['performance', 'variance', 'clusters']
    """
    sections = registered(GROUP, Section, {section.name: section for section in OF_PACKAGE})
    return {name: section for name, section in sections.items() if section.report == report}
