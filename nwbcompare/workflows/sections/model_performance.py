"""Performance of the models of a comparison, and results with those that have not learned."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from nwbcompare.comparison.compare_samples import compare_samples
from nwbcompare.comparison.sample_contrasts import THESE
from nwbcompare.comparison.task_performance import CRITERION
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.report.page_section import Row
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.formatting import counted, number, sd_of
from nwbcompare.workflows.measurements import ComparisonSource, Measurements, sample_table
from nwbcompare.workflows.model_performance import ModelPerformance
from nwbcompare.workflows.models import Model
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    """Keep the performances, and compare every family with and without models that are left out."""
    del cache
    about = {
        "performances": json.dumps([asdict(one) for one in source.performances]),
        "below": json.dumps([model.name for model in source.below]),
    }
    results = Results({"about": xr.Dataset(attrs=about)})
    measurements = Measurements.of(earlier["samples"])
    tables: dict[tuple[str, str], list[xr.Dataset]] = {}
    for model in source.below:
        try:
            table = _sample(model, source)
        except NotApplicableError as error:
            results.refusals[model.name] = Refusal(error.reason)
            continue
        tables.setdefault((model.family, str(table.attrs["protocol"])), []).append(table)
    for (family, protocol), below in tables.items():
        every = [*measurements.tables(measurements.on(protocol, family)), *below]
        with warnings.catch_warnings():
            # one network has no interval
            warnings.simplefilter("ignore", UserWarning)
            compared = compare_samples(
                every,
                measurements.recorded.ftv,
                n_bootstrap=settings.n_bootstrap,
                n_permutations=settings.n_permutations,
                seed=settings.seed,
            )
        spread = {str(table.attrs["name"]): sd_of(table) for table in below}
        attrs = {
            "family": family,
            "protocol": protocol,
            "sd": float(np.mean([sd_of(table) for table in every])),
            "sd_below": json.dumps(spread),
            "n": len(every),
        }
        results[f"every {family}, {protocol}"] = compared.assign_attrs(attrs)
    return results


def _sample(model: Model, source: ComparisonSource) -> xr.Dataset:
    """Return the FTV of a model that is left out, on the protocol of the main comparison."""
    protocol, one = source.protocols_of(model)[0], source.in_trials(model)
    activities = protocol.activities(one, source.seeds_of(model))
    pair = protocol.pair_of(source.settings.pair, one.correspondence)
    names = {"task_a": source.settings.pair[0], "task_b": source.settings.pair[1]}
    table = sample_table(activities, pair, protocol.name)
    return table.assign_attrs(names | {"protocol": protocol.name, "name": model.name})


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:  # noqa: ARG001
    """Return which models are left out and why, and what the results are with them."""
    measurements, own = Measurements.of(results["samples"]), results["models"]
    performances = [_read(one) for one in json.loads(own["about"].attrs["performances"])]
    below = set(json.loads(own["about"].attrs["below"]))
    findings = [
        *(
            text
            for one in performances
            if (text := performance_text(one, measurements.pair, left_out=one.name in below))
        ),
        *(_every(measurements, table) for name, table in own.items() if name != "about"),
        *(f"Does not apply to {name}. {why.reason}" for name, why in own.refusals.items()),
    ]
    spread: dict[str, float] = {}
    for name, table in own.items():
        if name != "about":
            spread |= json.loads(table.attrs["sd_below"])
    for sample in measurements.samples:
        # the nearest protocol to the recording comes first
        spread.setdefault(sample.name, sd_of(sample.ftv))
    rows = [
        row
        for one in performances
        for row in _rows(one, measurements, spread.get(one.name), left_out=one.name in below)
    ]
    return Summary(findings=findings, rows=rows)


def performance_text(one: ModelPerformance, pair: tuple[str, str], *, left_out: bool) -> str:
    """Return a sentence on a model that is left out, stated or unknown; "" on any other.

    Parameters
    ----------
    one
        Its performance.
    pair
        The two tasks.
    left_out
        Whether it is left out of the findings.
    """
    origin = "as stated, not measured" if one.origin == "stated" else f"in {one.trials}"
    how = f"{one.text(pair)}, {origin}"
    if left_out:
        return (
            f"{one.name} has not learned the two tasks and is in no finding: {how}, below the "
            f"criterion of {CRITERION:g} of what lies between chance and 1."
        )
    if one.has_learned is False:
        return (
            f"{one.name} has not learned the two tasks and is in the findings all the same "
            f"(--include-untrained): {how}."
        )
    if one.has_learned is None:
        known = "" if np.isnan(one.performance).all() else f" ({how})"
        return (
            f"{one.name}: whether it has learned the two tasks is not known{known}; it is in the "
            "findings. Add a column correct to its trials, or state --performance and --chance."
        )
    return f"{one.name}: performance {how}." if one.origin == "stated" else ""


def _read(table: dict[str, Any]) -> ModelPerformance:
    # JSON has lists only
    return ModelPerformance(
        **table | {name: tuple(table[name]) for name in ("performance", "chance")}
    )


def _every(measurements: Measurements, compared: xr.Dataset) -> str:
    """Return what the main measure is with the models that are left out."""
    family, n = compared.attrs["family"], int(compared.attrs["n"])
    values = compared.sel(measure="sd", claim=THESE)
    others = measurements.on(str(compared.attrs["protocol"]), family)
    without = f"; without them {np.mean([sd_of(one.ftv) for one in others]):.3f}" if others else ""
    limits = [float(values[name]) for name in ("low", "high")]
    interval = f" [{limits[0]:+.3f}, {limits[1]:+.3f}]" if np.isfinite(limits).all() else ""
    return (
        f"With all {counted(n, 'model')} of {family!r}, those that have not learned among them: "
        f"s.d. of FTV {float(compared.attrs['sd']):.3f}{without}; {measurements.name} "
        f"{sd_of(measurements.recorded.ftv):.3f}; difference "
        f"{float(values['estimate']):+.3f}{interval}. No finding rests on this."
    )


def _rows(
    one: ModelPerformance, measurements: Measurements, spread: float | None, *, left_out: bool
) -> list[Row]:
    return [
        {
            "model": one.name,
            "task": display_name(task),
            "performance": number(share),
            "chance": number(guessed),
            "score": number(score),
            "known": one.origin,
            "in findings": "no" if left_out else "yes",
            "s.d. of FTV": None if spread is None else number(spread),
        }
        for task, share, guessed, score in zip(
            measurements.pair, one.performance, one.chance, one.scores, strict=True
        )
    ]


SECTION = Section(
    name="models",
    heading="Performance of the models in the two tasks",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
    method=(
        "networks are run without noise in the recording's conditions (on the published test "
        "trials where there is no mapping); performance is the share of recorded trials whose "
        "condition they answer correctly, chance that share with targets permuted over the trials "
        "of a task, or as stated. Models whose (performance - chance) / (1 - chance) is below "
        f"{CRITERION:g} in one of the tasks (0.8 correct where chance is 0.5) are in no finding."
    ),
)
