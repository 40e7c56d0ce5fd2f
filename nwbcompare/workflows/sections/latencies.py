"""Comparison of matched activity with a recording at several latencies of the neurons."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from nwbcompare.comparison.compare_samples import compare_samples
from nwbcompare.comparison.sample_contrasts import KIND, THESE
from nwbcompare.report.page_section import Row
from nwbcompare.workflows.formatting import interval, number
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.sections.samples import LATENCIES_MS
from nwbcompare.workflows.settings import Settings


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    """Compare each family at each latency at which all its models have rates."""
    del source, cache
    recording = earlier["samples"]["recorded"]
    results = Results()
    names = {name: recording.attrs[name] for name in ("task_a", "task_b")}
    for (family, latency_ms), tables in _grouped(earlier["samples"].series("latency")).items():
        with warnings.catch_warnings():
            # one model has no interval over models, which the main comparison says
            warnings.simplefilter("ignore", UserWarning)
            result = compare_samples(
                [table.assign_attrs(names) for table in tables],
                recording,
                n_bootstrap=settings.n_bootstrap,
                n_permutations=settings.n_permutations,
                seed=settings.seed,
            )
        results[f"{family} {latency_ms:g}"] = result.assign_attrs(
            family=family, latency_ms=latency_ms
        )
    return results


def _grouped(tables: Sequence[xr.Dataset]) -> dict[tuple[str, float], list[xr.Dataset]]:
    """Return tables by family and latency, without latencies that some models have no rates for."""
    groups: dict[tuple[str, float], list[xr.Dataset]] = {}
    for table in tables:
        key = str(table.attrs["family"]), float(table.attrs["latency_ms"])
        groups.setdefault(key, []).append(table)
    most = {
        family: max(len(v) for (f, _), v in groups.items() if f == family) for family, _ in groups
    }
    return {key: group for key, group in groups.items() if len(group) == most[key[0]]}


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    del name, pictures
    measurements = Measurements.of(results["samples"])
    rows: list[Row] = []
    by_family: dict[str, dict[float, xr.Dataset]] = {}
    for result in results["latencies"].values():
        family, latency_ms = str(result.attrs["family"]), float(result.attrs["latency_ms"])
        claim = KIND if np.isfinite(result["low"].sel(measure="sd", claim=KIND)) else THESE
        one = result.sel(measure="sd", claim=claim)
        by_family.setdefault(family, {})[latency_ms] = one
        rows.append(
            {
                "family": family,
                "latency (ms)": latency_ms,
                "difference of s.d. of FTV": number(one["estimate"]),
                "low": number(one["low"]),
                "high": number(one["high"]),
                "generalises over": claim,
            }
        )
    findings = [
        _finding(family, by_latency, measurements) for family, by_latency in by_family.items()
    ]
    return Summary(findings=findings, rows=rows)


def _finding(family: str, by_latency: dict[float, xr.Dataset], measurements: Measurements) -> str:
    """Return a sentence on the difference in spread at each latency, and where rates lack."""
    each = ", ".join(
        f"{float(one['estimate']):+.3f}{interval(one['low'], one['high'])} at {latency_ms:g} ms"
        for latency_ms, one in by_latency.items()
    )
    absent = [f"{latency:g} ms" for latency in LATENCIES_MS if latency not in by_latency]
    without = (
        f" The activity has no rates early enough for {' and '.join(absent)}." if absent else ""
    )
    return (
        f"S.d. of FTV of {family} less that of {measurements.name}, at equal tuning, by latency of "
        f"the neurons: {each}.{without}"
    )


SECTION = Section(
    name="latencies",
    heading="Latency of the neurons",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
)
