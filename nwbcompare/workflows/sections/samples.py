"""Samples of a comparison: FTV of the recorded units, and of the models on every protocol."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import xarray as xr

from nwbcompare.analysis.selectivity.noise_correction import corrected_task_variance
from nwbcompare.analysis.selectivity.task_variance import task_variance
from nwbcompare.core.activity import blocks, tasks_of
from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.workflows.analysis_sources import FileSource
from nwbcompare.workflows.measurements import ComparisonSource, ModelRecord, sample_table
from nwbcompare.workflows.models import Model
from nwbcompare.workflows.sampling_protocols import (
    AS_RECORDED,
    MATCHED,
    PROTOCOLS,
    PUBLISHED,
    RANKED,
    RATE,
    REVERSED,
    TUNING,
    SamplingProtocol,
)
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    del earlier, cache
    recording, pair = source.recording, settings.pair
    if source.mapping is not None:
        _check_one_clock(recording)
    runs = [(model, one) for model in source.models for one in _protocols_of(model, source)]
    jobs: list[Job] = [
        ("recording", sample_table, ([recording], pair, "recorded")),
        ("recording", task_variance, (recording,)),
        ("recording", corrected_task_variance, (recording,)),
        *((f"{model.name}, {one.name}", _sample, (model, one, source)) for model, one in runs),
    ]
    try:
        (recorded, variance, corrected, *samples), warnings = run_all(
            jobs, settings.jobs_for(recording), "samples"
        )
    except NotApplicableError as error:
        # nothing can be compared with a source that has no units to compare
        raise InputError(error.subject, error.expected, error.got, error.remedy) from error
    tables = [table for table, _ in samples if isinstance(table, xr.Dataset)]
    refusals = [one for one, _ in samples if isinstance(one, Refusal)]
    # other sections analyse the first draws, which would be drawn again
    source.sampled = {
        model.name: first
        for (model, protocol), (_, first) in zip(runs, samples, strict=True)
        if protocol == RATE
    }
    results = Results(
        {
            "recorded": recorded,
            "variance": variance,
            "corrected": corrected,
            "about": xr.Dataset(attrs=_about(source)),
        },
        refusals={
            f"{TUNING.name} {place}": one for place, one in enumerate(dict.fromkeys(refusals))
        },
        warnings=warnings,
    )
    results.add_series("sample", tables)
    return results


def _about(source: ComparisonSource) -> dict[str, str]:
    mapping = source.mapping
    models = [
        ModelRecord(
            name=model.name,
            family=model.family,
            source=model.source,
            n_hidden=model.n_hidden,
            is_network=not isinstance(model, FileSource),
            method=model.method(),
            provenance=model.provenance(),
        )
        for model in source.models
    ]
    lengths = {
        task: block.sizes["time"] * float(block["time"].attrs["bin_width_s"])
        for block in blocks(source.recording).values()
        for task in tasks_of(block)
    }
    return {
        "models": json.dumps([asdict(model) for model in models]),
        "mapping": json.dumps(None if mapping is None else mapping.parameters()),
        "trial_length_s": json.dumps(lengths),
    }


def _check_one_clock(recording: xr.DataTree) -> None:
    """Check that both tasks have one epoch and one set of bins, which sampling needs."""
    leaves = blocks(recording)
    if len(leaves) > 1:
        raise InputError(
            "recording",
            "both tasks over the same time, in one block, for networks to be sampled as it was",
            f"{len(leaves)} blocks: {listing(leaves)}",
            "Cut and bin the tasks alike (nwbcompare.align, nwbcompare.rebin) and join them.",
        )


def _protocols_of(model: Model, source: ComparisonSource) -> tuple[SamplingProtocol, ...]:
    if isinstance(model, FileSource):
        return (PROTOCOLS.get(model.protocol, AS_RECORDED),)
    if source.mapping is None:
        return (PUBLISHED,)
    return (TUNING, RANKED, REVERSED, RATE, MATCHED, PUBLISHED)


def _sample(
    model: Model, protocol: SamplingProtocol, source: ComparisonSource
) -> tuple[xr.Dataset | Refusal, xr.DataTree | None]:
    """Measure a model on a protocol, and return its first draw where it is sampled.

    Equal tuning does not apply to every recording.
    """
    if isinstance(model, FileSource):
        activities, pair = [model.activity], source.settings.pair
    else:
        pair = protocol.pair_of(source.settings.pair, source.mapping)
        try:
            activities = protocol.activities(
                model.network,
                source.recording,
                source.mapping,
                source.settings.pair,
                source.seeds_of(model),
            )
        except NotApplicableError as error:
            if protocol.match != "tuning":
                raise
            return Refusal(error.reason), None
    table = sample_table(activities, pair, protocol.name)
    table = table.assign_attrs(family=model.family, protocol=protocol.name)
    return table, activities[0] if protocol == RATE else None


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return nothing: other sections show the samples."""
    del name, results, pictures
    return Summary()


SECTION = Section(
    name="samples",
    heading="Samples",
    report="compare",
    compute=_compute,
    summarise=_summarise,
)
