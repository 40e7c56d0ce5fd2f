"""Samples of a comparison: FTV of the recorded units, and of the models on every protocol."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import xarray as xr

from nwbcompare.analysis.selectivity.noise_correction import corrected_task_variance
from nwbcompare.analysis.selectivity.task_variance import task_variance
from nwbcompare.comparison.condition_match import ConditionMatch
from nwbcompare.comparison.recorded_trials import RecordedTrials
from nwbcompare.core.activity import blocks, tasks_of
from nwbcompare.core.errors import InputError, NotApplicableError, listing
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.workflows.analysis_sources import FileSource
from nwbcompare.workflows.measurements import ComparisonSource, ModelRecord, sample_table
from nwbcompare.workflows.models import Model
from nwbcompare.workflows.sampling_protocols import (
    RATE,
    TUNING,
    ModelInTrials,
    SamplingProtocol,
)
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

LATENCIES_MS = (0.0, 100.0, 200.0)
"""Latencies of neurons (ms) at which matched activity is compared."""


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    del earlier, cache
    recording, pair = source.recording, settings.pair
    if source.mapping is not None:
        _check_one_clock(recording)
    try:
        # once, and not in each process
        _, of_recording = run_all([("recording", _estimate, (source.recorded,))], 1)
        in_trials, of_models = run_all(
            [(model.name, _in_trials, (model, source)) for model in source.models], 1
        )
        jobs: list[Job] = [
            ("recording", sample_table, ([recording], pair, "recorded")),
            ("recording", task_variance, (recording,)),
            ("recording", corrected_task_variance, (recording,)),
            *(
                (model.name, _sample, (model, one, protocol, source.seeds_of(model)))
                for model, one in zip(source.models, in_trials, strict=True)
                for protocol in source.protocols_of(model)
            ),
        ]
        (recorded, variance, corrected, *samples), warnings = run_all(
            jobs, settings.jobs_for(recording), "samples"
        )
    except NotApplicableError as error:
        # nothing can be compared with a source that has no units to compare
        raise InputError(error.subject, error.expected, error.got, error.remedy) from error
    warnings = [*of_recording, *of_models, *warnings]
    tables = [one.table for one in samples if one.table is not None]
    refusals = [one.refusal for one in samples if one.refusal is not None]
    # other sections analyse the first draws, which would be drawn again
    source.sampled = {one.model: one.first for one in samples if one.first is not None}
    results = Results(
        {
            "recorded": recorded,
            "variance": variance,
            "corrected": corrected,
            "about": xr.Dataset(attrs=_about(source)),
        },
        refusals={f"protocol {place}": one for place, one in enumerate(dict.fromkeys(refusals))},
        warnings=warnings,
    )
    results.add_series("sample", tables)
    results.add_series("latency", [table for one in samples for table in one.at_latencies])
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
            match=() if model.match is None else model.match.rows(),
            match_notes=() if model.match is None else model.match.notes,
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


class _Sample(NamedTuple):
    """A model sampled on a protocol.

    Attributes
    ----------
    model
        Name of the model.
    table
        FTV; None where the protocol does not apply.
    refusal
        Why it does not.
    at_latencies
        FTV at equal tuning, of activity whose conditions are matched, at several latencies.
    first
        The first draw at equal rates.
    """

    model: str
    table: xr.Dataset | None
    refusal: Refusal | None = None
    at_latencies: Sequence[xr.Dataset] = ()
    first: xr.DataTree | None = None


def _in_trials(model: Model, source: ComparisonSource) -> ModelInTrials:
    """Return a model in the recorded trials, with its rates in their conditions."""
    one = source.in_trials(model)
    # whether a protocol needs them, and applies without them, shows where it is sampled
    with suppress(NotApplicableError):
        _ = one.sampler
    return one


def _sample(model: Model, one: ModelInTrials, protocol: SamplingProtocol, seeds: range) -> _Sample:
    """Measure a model on a protocol; equal tuning does not apply to every recording."""
    try:
        activities = protocol.activities(one, seeds)
    except NotApplicableError as error:
        # negative rates are sampled at equal tuning alone
        if protocol.match != "tuning" and not one.sampler.response.signed:
            raise
        return _Sample(model.name, None, Refusal(error.reason))
    names = protocol.pair_of(one.pair, one.correspondence)
    table = sample_table(activities, names, protocol.name).assign_attrs(
        family=model.family, protocol=protocol.name
    )
    return _Sample(
        model.name,
        table,
        at_latencies=_at_latencies(table, one, seeds) if protocol == TUNING else (),
        first=activities[0] if protocol == RATE else None,
    )


def _at_latencies(main: xr.Dataset, one: ModelInTrials, seeds: range) -> list[xr.Dataset]:
    """Measure matched activity at several latencies of the neurons, where it has rates for them.

    Parameters
    ----------
    main
        The sample at equal tuning, at the latency of the match.
    one, seeds
        The model, and the seeds of its draws.
    """
    if not isinstance(one.correspondence, ConditionMatch):
        return []
    tables = []
    for latency_ms in LATENCIES_MS:
        table = main
        if latency_ms != one.correspondence.latency_ms:
            try:
                activities = TUNING.activities(one.at_latency(latency_ms), seeds)
            except NotApplicableError:
                # the table of latencies shows which are missing
                continue
            table = sample_table(activities, one.pair, TUNING.name)
        tables.append(table.assign_attrs(family=main.attrs["family"], latency_ms=latency_ms))
    return tables


def _estimate(recorded: RecordedTrials | None) -> None:
    """Estimate what all samples need, which is then kept with the recorded trials."""
    if recorded is None:
        return
    _ = recorded.fano_factor
    # equal tuning does not apply to every recording
    with suppress(NotApplicableError):
        _ = recorded.strength, recorded.scatter_by_task


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
