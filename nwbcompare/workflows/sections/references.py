"""References of a comparison: FTV of untrained networks and of the stimulus alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from nwbcompare.report.page_section import Row
from nwbcompare.workflows.formatting import number, sd_of
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.references import STIMULUS, sample_references
from nwbcompare.workflows.sampling_protocols import PROTOCOLS
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings


def _compute(
    source: ComparisonSource, _earlier: SourceResults, _settings: Settings, _cache: Path
) -> Results:
    """Measure the FTV of all references."""
    return sample_references(source)


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:  # noqa: ARG001
    """Return the spread of FTV of networks, references and the recording."""
    measurements = Measurements.of(results["samples"])
    tables = results["references"].series("sample")
    if not tables:
        return Summary(findings=_refusals(results["references"]))
    protocol = str(tables[0].attrs["protocol"])
    compared = [sample.ftv for sample in measurements.on(protocol)]
    rows = [_row(one) for one in (measurements.recorded.ftv, *compared, *tables)]
    by_name = {str(one.attrs["name"]): sd_of(one) for one in tables}
    stimulus = by_name.pop(STIMULUS, np.nan)
    untrained = list(by_name.values())
    means = [f"{np.mean([sd_of(one) for one in compared]):.3f} trained"] if compared else []
    # nothing is known of the initial weights of a model in a file
    if untrained:
        means.append(f"{np.mean(untrained):.3f} untrained with the same initial weights")
    exceeded = "What training is said to bring has to exceed the first, and w" if untrained else "W"
    text = (
        f"S.d. of FTV, mean over networks {PROTOCOLS[protocol].phrase}: {', '.join(means)}; units "
        f"that respond to the stimulus alone, without any network, {stimulus:.3f} (their FTV is 0 "
        f"but for noise and unequal trials); {measurements.name} "
        f"{sd_of(measurements.recorded.ftv):.3f}. {exceeded}hat a network explains has to exceed "
        "what the stimulus alone gives."
    )
    return Summary(findings=[text, *_refusals(results["references"])], rows=rows)


def _refusals(results: Results) -> list[str]:
    return [f"Does not apply to {name}. {why.reason}" for name, why in results.refusals.items()]


def _row(ftv: xr.Dataset) -> Row:
    values = ftv["fractional_task_variance"]
    return {
        "source": str(ftv.attrs["name"]),
        "protocol": str(ftv.attrs.get("protocol", "recorded")),
        "mean of FTV": number(values.mean()),
        "s.d. of FTV": number(sd_of(ftv)),
        "units": int(values.notnull().sum("unit").max()),
    }


SECTION = Section(
    name="references",
    heading="References: untrained networks, and the stimulus alone",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
    method=(
        "untrained networks have the configuration and the initial weights of the networks "
        "compared; units that respond to the stimulus alone have random stimulus inputs, no rule "
        "input and no connections. Both are sampled as the networks are, whatever models were "
        "chosen."
    ),
)
