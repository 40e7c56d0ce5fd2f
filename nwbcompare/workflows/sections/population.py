"""Populations: decoding, dimensionality, and similarity of condition means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.population.decoding import N_FOLDS, decode, implementable_classifications
from nwbcompare.analysis.population.population import (
    dimensionality,
    dissimilarity,
    population_means,
)
from nwbcompare.analysis.population.similarity import compare_populations
from nwbcompare.core.activity import blocks, condition_variables_of
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.core.number_text import p_text
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.plotting.similarity import plot_decoding, plot_dissimilarity, plot_similarity
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import counted, interval, number, records
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

MOST_PERMUTATIONS = 200
"""Of decoding, where each permutation is a fit."""
MOST_TRIALS = 20
"""Trials of a condition in a pseudo-population; few archives have more."""
MOST_PANELS = 4
"""Sources in a figure; the table has all."""
N_DISTANCES = 2
"""Sources whose distances between conditions are plotted: the recording and one network."""


def _compute(
    source: ComparisonSource, _earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Analyse the recording (``source 0``) and sampled networks (``source 1``, ...)."""
    activities = {source.name: source.recording, **source.sampled}
    jobs: list[Job] = [
        (
            f"{name}, population",
            measure_population,
            (name, activity, source.recording if place else None, settings, place < N_DISTANCES),
        )
        for place, (name, activity) in enumerate(activities.items())
    ]
    by_source, warnings = run_all(jobs, settings.jobs_for(source.recording), "populations")
    results = Results(warnings=warnings)
    for place, (name, one) in enumerate(zip(activities, by_source, strict=True)):
        if isinstance(one, Refusal):
            results.refusals[name] = one
        else:
            results.add_group(f"source {place}", one)
    return results


def measure_population(
    name: str,
    activity: xr.DataTree,
    recording: xr.DataTree | None,
    settings: Settings,
    with_distances: bool,  # noqa: FBT001 - arguments of a job are positional
) -> Results | Refusal:
    """Compute the population analyses of one source.

    Parameters
    ----------
    name, activity
        The source.
    recording
        The recording that a network is compared with; None for the recording itself.
    settings
        Settings of the report.
    with_distances
        Whether distances between conditions are computed.
    """
    pair, seed = list(settings.pair), settings.seed
    variables = condition_variables_of(next(iter(blocks(activity).values())))[pair[0]]
    try:
        n_trials = _n_trials(activity, pair)
        results = Results()
        results.add_series(
            "decoding",
            (
                decode(
                    activity,
                    what,
                    tasks=pair,
                    n_trials=n_trials,
                    n_permutations=min(MOST_PERMUTATIONS, settings.n_permutations),
                    seed=seed,
                )
                for what in ("task", *variables)
            ),
        )
        results["dimensions"] = dimensionality(activity, pair, seed=seed).assign_attrs(
            source_name=name
        )
        results["classifications"] = implementable_classifications(
            # halves of the trials train and test: an even number
            activity,
            pair,
            n_trials=n_trials and n_trials // 2 * 2,
            seed=seed,
        )
        if recording is not None:
            results["geometry"] = compare_populations(
                activity, recording, tasks=pair, n_permutations=settings.n_permutations, seed=seed
            )
        if with_distances:
            results["distances"] = dissimilarity(activity, pair, seed=seed)
    except NotApplicableError as error:
        return Refusal(error.reason)
    return results


def _n_trials(activity: xr.DataTree, pair: list[str]) -> int | None:
    """Return the trials of a condition to decode from: five folds of those that all units have."""
    least = int(population_means(activity, pair)["n_trials"].min())
    # whole folds, which need equal numbers of trials
    return min(MOST_TRIALS, least // N_FOLDS * N_FOLDS) or None


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return similarity, dimensions and decoding of all sources, and refusals."""
    measurements, tables = Measurements.of(results["samples"]), results["population"]
    groups = dict.fromkeys(key.partition(".")[0] for key in tables)
    populations = {_source_name(tables.group(group)): tables.group(group) for group in groups}
    geometry = {name: one["geometry"] for name, one in populations.items() if "geometry" in one}
    findings: list[str | Finding] = []
    if geometry:
        findings += _geometry(geometry)
    findings += [_dimensions(name, one["dimensions"]) for name, one in populations.items()]
    findings += [_decoding(name, one.series("decoding")) for name, one in populations.items()]
    findings += [
        f"Does not apply to {source}. {why.reason}" for source, why in tables.refusals.items()
    ]
    return Summary(
        findings=findings,
        rows=_rows(populations),
        pictures=_pictures(measurements, populations, geometry) if pictures else (),
    )


def _source_name(population: Results) -> str:
    """Return the name of the source, which results keep."""
    return str(population["dimensions"].attrs["source_name"])


def _geometry(geometry: Mapping[str, xr.Dataset]) -> list[Finding]:
    """Return the RSA of each network with the recording, with adjusted p values."""
    names = list(geometry)
    measures = [str(m) for m in geometry[names[0]]["measure"].values]
    raw = np.array(
        [[float(geometry[n]["p_value"].sel(measure=m)) for m in measures] for n in names]
    )
    # over networks and measures together, since all of them are reported
    holm = np.asarray(adjust_p(raw.ravel(), method="holm")).reshape(raw.shape)
    findings = []
    for place, name in enumerate(names):
        rsa = geometry[name].sel(measure="rsa")
        findings.append(
            Finding(
                text=f"{name}, sampled as the recording: its condition means lie like the "
                f"recording's with a correlation of distances (RSA) of {float(rsa['value']):.3f}; "
                "two halves of the recording's units reach "
                f"{float(rsa['ceiling_units'].mean()):.3f}.",
                main=place == 0,
                evidence=Evidence(
                    measure="RSA correlation (p adjusted by Holm over networks and measures)",
                    effect=number(rsa["value"]),
                    low=number(rsa["low"]),
                    high=number(rsa["high"]),
                    p_value=number(holm[place, measures.index("rsa")]),
                    n=f"{int(rsa['n_conditions'])} conditions, "
                    f"{counted(int(rsa['n_units_recording']), 'recorded unit')}",
                    unit_of_inference="recorded unit within session; conditions for p",
                    figure="geometry",
                ),
            )
        )
    return findings


def _dimensions(name: str, one: xr.Dataset) -> str:
    """Return the participation ratio of one source with its interval and null."""
    return (
        f"{name}: the condition means fill {float(one['participation_ratio']):.2f}"
        f"{interval(one['participation_ratio_low'], one['participation_ratio_high'])} dimensions "
        f"(participation ratio, noise taken out) of at most {float(one['most']):.0f}; with each "
        f"unit's conditions permuted {float(one['null'].mean()):.2f}, "
        f"{p_text(float(one['p_value']))}."
    )


def _decoding(name: str, results: list[xr.Dataset]) -> str:
    """Return the accuracy of decoding the task and each condition variable of one source."""
    variables = ", ".join(
        f"{one.attrs['what'].replace('_', ' ')} {float(one['accuracy']):.2f}"
        f"{interval(one['accuracy_low'], one['accuracy_high'])} (chance "
        f"{float(one['chance']):.2f}, "
        f"{p_text(float(one['p_value']))})"
        for one in results
    )
    n_units = int(results[0]["n_units"])
    return f"{name}: decoded from pseudo-population trials of {n_units} units: {variables}."


def _rows(populations: Mapping[str, Results]) -> list[Row]:
    """Return a row for each source: dimensions, classifications, accuracies and similarities."""
    rows: list[Row] = []
    for name, one in populations.items():
        row: Row = {
            "source": name,
            "participation ratio": number(one["dimensions"]["participation_ratio"]),
            "share of classifications": number(one["classifications"]["share"]),
        }
        row |= {
            f"decoding {str(r.attrs['what']).replace('_', ' ')}": number(r["accuracy"])
            for r in one.series("decoding")
        }
        if "geometry" in one:
            values = one["geometry"]["value"]
            row |= {str(m): number(values.sel(measure=m)) for m in values["measure"].values}
        rows.append(row)
    return rows


def _pictures(
    measurements: Measurements,
    populations: Mapping[str, Results],
    geometry: Mapping[str, xr.Dataset],
) -> list[Picture]:
    """Plot similarity, distances and decoding, each for the first few sources."""
    pictures = []
    panels = dict(list(geometry.items())[:MOST_PANELS])
    if geometry:
        pictures.append(
            picture(
                "geometry",
                "Similarity of condition means of each network with the recording's: value with "
                "95 % interval, what permuted conditions give, and what halves of the recording "
                "reach.",
                *(partial(_similarity, name=name, result=one) for name, one in panels.items()),
                size=(8.8, 3.7 * -(-len(geometry) // 2)),
                n_rows=-(-len(geometry) // 2),
                data=_geometry_rows(geometry),
                banner=measurements.banner,
            )
        )
    distances = [one["distances"] for one in populations.values() if "distances" in one]
    if distances:
        pictures.append(
            picture(
                "distances",
                "Distances between the condition means of the two tasks, noise taken out.",
                *(
                    partial(plot_dissimilarity, result=one, names=measurements.task_names)
                    for one in distances
                ),
                size=(4.6 * len(distances), 4.0),
                data=_distance_rows(distances),
                banner=measurements.banner,
            )
        )
    decoding = {name: one.series("decoding") for name, one in populations.items()}
    every = [one for several in list(decoding.values())[:MOST_PANELS] for one in several]
    if every:
        pictures.append(
            picture(
                "decoding",
                "Cross-validated accuracy of decoding the task and each condition variable, with "
                "95 % intervals, against chance and permuted labels.",
                partial(plot_decoding, results=every),
                size=(6.4, 1.4 + 0.5 * len(every)),
                data=_decoding_rows(decoding),
                banner=measurements.banner,
            )
        )
    return pictures


def _similarity(ax: Axes, name: str, result: xr.Dataset) -> None:
    """Plot similarity under the network's name, since all are to one recording."""
    plot_similarity(ax, result)
    ax.set_title(name)


def _geometry_rows(geometry: Mapping[str, xr.Dataset]) -> list[Row]:
    """Return a row for each network and measure."""
    columns = ["value", "low", "high", "p_value"]
    return [row for name, one in geometry.items() for row in records(one[columns], network=name)]


def _distance_rows(distances: Sequence[xr.Dataset]) -> list[Row]:
    """Return a row for each source and two conditions."""
    names = {"dissimilarity": "distance", "other_condition": "other condition"}
    tables = [one[["dissimilarity"]].rename(names) for one in distances]
    return [row for one in tables for row in records(one, source=str(one.attrs["name"]))]


def _decoding_rows(decoding: Mapping[str, Sequence[xr.Dataset]]) -> list[Row]:
    """Return a row for each source and decoded variable."""
    columns = ("accuracy", "accuracy_low", "accuracy_high", "chance", "p_value")
    return [
        {"source": name, "what": str(one.attrs["what"])} | {c: number(one[c]) for c in columns}
        for name, several in decoding.items()
        for one in several
    ]


SECTION = Section(
    name="population",
    heading="Beyond variance: populations",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
)
