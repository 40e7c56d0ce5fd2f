"""What the page of a comparison says of one recording."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nwbcompare.report.page_section import PageSection
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.section import Results
from nwbcompare.workflows.section_runs import Runs, page_sections
from nwbcompare.workflows.sections.limits import limits
from nwbcompare.workflows.sections.methods import methods
from nwbcompare.workflows.sections.model_performance import performance_text


@dataclass(frozen=True)
class ComparedRecording:
    """A recording with the results of its comparison.

    Attributes
    ----------
    source
        The recording and the models.
    results
        Results by section.
    sections
        Sections of its page.
    """

    source: ComparisonSource
    results: Mapping[str, Results]
    sections: Sequence[PageSection]

    @classmethod
    def of(cls, source: ComparisonSource, runs: Runs) -> ComparedRecording:
        """Return the part of runs that is about one recording."""
        own = {name: run.of_source(source.name) for name, run in runs.items()}
        results = {name: run.results[source.name] for name, run in own.items() if run.results}
        return cls(source, results, page_sections(own, [source]))

    @cached_property
    def measurements(self) -> Measurements:
        """Measurements of its samples."""
        return Measurements.of(self.results["samples"])

    @property
    def limits(self) -> list[str]:
        """Limits and warnings."""
        # warnings about units are limits of the findings, so they belong on the page
        warnings = [text for one in self.results.values() for text in one.warnings]
        return [*limits(self.measurements, warnings), *self._performance_texts(left_out=False)]

    @property
    def methods(self) -> list[str]:
        """Paragraphs of methods."""
        return methods(self.results, self.source.settings)

    @property
    def left_out(self) -> str:
        """Animals and models that are not compared."""
        texts = [self.source.choice.left_out, *self._performance_texts(left_out=True)]
        return " ".join(filter(None, texts))

    @property
    def provenance(self) -> dict[str, Any]:
        """The pair of tasks, the mapping, the recording and the models."""
        measurements = self.measurements
        return {
            "pair": list(self.source.settings.pair),
            "mapping": measurements.mapping,
            "recording": json.loads(measurements.variance.attrs["provenance"]),
            "matches": {model.name: model.match for model in measurements.models if model.match},
            "models": {model.source: model.provenance for model in measurements.models},
        }

    def _performance_texts(self, *, left_out: bool) -> list[str]:
        """Return what is said of the performance of models in findings, or of those left out."""
        names, pair = {model.name for model in self.source.below}, self.source.settings.pair
        return [
            text
            for one in self.source.performances
            if (one.name in names) == left_out
            and (text := performance_text(one, pair, left_out=left_out))
        ]
