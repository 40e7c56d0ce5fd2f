"""Populations: decoding, dimensionality, and similarity of condition means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.population.decoding import (
    N_FOLDS,
    classifications_of_rates,
    decode_rates,
)
from nwbcompare.analysis.population.kernels.partial_similarity import (
    LEAST_FOR_P,
    LEAST_NETWORKS,
)
from nwbcompare.analysis.population.partial_similarity import partial_similarity
from nwbcompare.analysis.population.population import (
    dimensionality_of,
    dissimilarity_of,
    means_of_rates,
    population_means,
    trial_rates,
)
from nwbcompare.analysis.population.similarity import compare_means
from nwbcompare.core.activity import blocks, condition_variables_of
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.core.number_text import p_text
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.plotting.similarity import plot_decoding, plot_dissimilarity, plot_similarity
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import counted, interval, number, records
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.references import sample_references
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

MOST_PERMUTATIONS = 200
"""Of decoding, where each permutation is a fit."""
MOST_TRIALS = 20
"""Trials of a condition in a pseudo-population; few archives have more."""
MOST_PANELS = 4
"""Sources in a figure; the table has all."""
N_SPLITS = 20
"""Random halves of the trials, and of the units."""
N_DISTANCES = 2
"""Sources whose distances between conditions are plotted: the recording and one network."""


def _compute(
    source: ComparisonSource, _earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Analyse the recording (``source 0``), sampled networks and references."""
    if source.references is None:
        # their results were kept by an earlier run, their activity was not
        sample_references(source)
    references = source.references or {}
    networks = source.sampled
    activities = {source.name: source.recording, **networks}
    activities |= {name: first for name, (_, first) in references.items()}
    # once for all sources that are compared with it
    (recorded,), warnings = run_all(
        [(f"{source.name}, population", _means, (source.recording, settings))], 1
    )
    jobs: list[Job] = [
        (
            f"{name}, population",
            measure_population,
            (
                name,
                activity,
                recorded if place else None,
                settings,
                place < N_DISTANCES,
                name in references,
            ),
        )
        for place, (name, activity) in enumerate(activities.items())
        if source.samples_models or not place
    ]
    names = [name for _, _, (name, *_) in jobs]
    untrained = {of: first for of, first in references.values() if of in networks}
    if untrained and source.samples_models:
        trained = {name: networks[name] for name in untrained}
        jobs.append(
            ("networks, geometry", _training, (trained, untrained, source.recording, settings))
        )
    by_source, more_warnings = run_all(jobs, settings.jobs_for(source.recording), "populations")
    results = Results(warnings=[*warnings, *more_warnings])
    for place, (name, one) in enumerate(zip(names, by_source[: len(names)], strict=True)):
        if isinstance(one, Refusal):
            results.refusals[name] = one
        else:
            results.add_group(f"source {place}", one)
    for one in by_source[len(names) :]:
        if isinstance(one, Refusal):
            results.refusals["similarity of trained less untrained networks"] = one
        else:
            results["training"] = one
    return results


def _training(
    trained: Mapping[str, xr.DataTree],
    untrained: Mapping[str, xr.DataTree],
    recording: xr.DataTree,
    settings: Settings,
) -> xr.Dataset | Refusal:
    """Return what training adds to similarity, or why that does not apply."""
    try:
        return partial_similarity(trained, untrained, recording, tasks=list(settings.pair))
    except NotApplicableError as error:
        return Refusal(error.reason)


def _means(recording: xr.DataTree, settings: Settings) -> xr.Dataset | Refusal:
    """Return the means of the recording with halves of its trials, or why it has none."""
    try:
        return population_means(
            recording, list(settings.pair), n_splits=N_SPLITS, seed=settings.seed
        )
    except NotApplicableError as error:
        return Refusal(error.reason)


def measure_population(
    name: str,
    activity: xr.DataTree,
    recording: xr.Dataset | Refusal | None,
    settings: Settings,
    with_distances: bool,  # noqa: FBT001 - arguments of a job are positional
    is_reference: bool = False,  # noqa: FBT001, FBT002
) -> Results | Refusal:
    """Compute the population analyses of one source.

    Parameters
    ----------
    name, activity
        The source.
    recording
        Means of the recording that a network is compared with, or why there are none; None for the
        recording itself.
    settings
        Settings of the report.
    with_distances
        Whether distances between conditions are computed.
    is_reference
        Whether accuracies are given without a test, and no classifications: both take long.
    """
    pair, seed = list(settings.pair), settings.seed
    variables = condition_variables_of(next(iter(blocks(activity).values())))[pair[0]]
    try:
        rates = trial_rates(activity, pair)
        means = means_of_rates(rates, n_splits=N_SPLITS if with_distances else 0, seed=seed)
        n_trials = _n_trials(means)
        n_permutations = min(MOST_PERMUTATIONS, settings.n_permutations)
        results = Results()
        results.add_series(
            "decoding",
            (
                decode_rates(
                    rates,
                    what,
                    n_trials=n_trials,
                    n_permutations=1 if is_reference else n_permutations,
                    seed=seed,
                )
                for what in ("task", *variables)
            ),
        )
        results["dimensions"] = dimensionality_of(means).assign_attrs(
            source_name=name, is_reference=int(is_reference)
        )
        if not is_reference:
            results["classifications"] = classifications_of_rates(
                # halves of the trials train and test: an even number
                rates,
                n_trials=n_trials and n_trials // 2 * 2,
                seed=seed,
            )
        if isinstance(recording, Refusal):
            return recording
        if recording is not None:
            results["geometry"] = compare_means(means, recording)
        if with_distances:
            results["distances"] = dissimilarity_of(means, n_splits=N_SPLITS)
    except NotApplicableError as error:
        return Refusal(error.reason)
    return results


def _n_trials(means: xr.Dataset) -> int | None:
    """Return the trials of a condition to decode from: five folds of those that all units have."""
    least = int(means["n_trials"].min())
    # whole folds, which need equal numbers of trials
    return min(MOST_TRIALS, least // N_FOLDS * N_FOLDS) or None


def _summarise(_name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return similarity, dimensions and decoding of all sources, and refusals."""
    measurements, tables = Measurements.of(results["samples"]), results["population"]
    groups = dict.fromkeys(key.partition(".")[0] for key in tables if "." in key)
    populations = {_source_name(tables.group(group)): tables.group(group) for group in groups}
    geometry = {name: one["geometry"] for name, one in populations.items() if "geometry" in one}
    compared = {name: one for name, one in populations.items() if not _is_reference(one)}
    findings: list[str | Finding] = []
    if "training" in tables and np.isfinite(tables["training"]["estimate"]):
        findings.append(_of_training(tables["training"]))
    findings += [_geometry(network, one) for network, one in geometry.items()]
    findings += [_dimensions(name, one["dimensions"]) for name, one in compared.items()]
    findings += [_decoding(name, one.series("decoding")) for name, one in compared.items()]
    findings += [
        _reference_decoding(name, one.series("decoding"))
        for name, one in populations.items()
        if name not in compared
    ]
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


def _is_reference(population: Results) -> bool:
    return bool(population["dimensions"].attrs["is_reference"])


def _of_training(training: xr.Dataset) -> Finding:
    """Return what training adds to the similarity of geometry, over networks and sessions."""
    n, n_conditions = int(training["n_networks"]), int(training["n_conditions"])
    claim = "both" if n > 1 else "sessions"
    values = training.sel(claim=claim)
    codes = ", ".join(name.replace("_", " ") for name in json.loads(training.attrs["codes"]))
    by_training = training["similarity"].mean("network")
    tested = np.isfinite(values["p_value"])
    return Finding(
        text="Geometry: the distances between condition means (crossnobis), beyond what "
        f"{codes} explain, correlate with the recording's by "
        f"{float(by_training.sel(training='trained')):.3f} after training and by "
        f"{float(by_training.sel(training='untrained')):.3f} with the same initial weights (means "
        f"over {counted(n, 'network')}): a difference of {float(training['estimate']):+.3f}"
        f"{interval(values['low'], values['high'])}. Plainly correlated they reach "
        f"{float(training['unadjusted'].sel(training='trained').mean()):.3f} and "
        f"{float(training['unadjusted'].sel(training='untrained').mean()):.3f}, distances between "
        f"the stimuli alone {float(training['stimulus']):.3f}."
        + (
            ""
            if tested
            else f" A description: {n_conditions} conditions and {counted(n, 'network')}; a test "
            f"needs {LEAST_FOR_P} and {LEAST_NETWORKS}."
        ),
        main=bool(np.isfinite(values["low"])),
        evidence=Evidence(
            measure="partial correlation of distances, trained less untrained networks",
            effect=number(training["estimate"]),
            low=number(values["low"]),
            high=number(values["high"]),
            p_value=number(values["p_value"]),
            n=f"{counted(n, 'network')}, {n_conditions} conditions, "
            f"{counted(int(training['n_sessions']), 'session')}",
            unit_of_inference={
                "both": "networks of this kind and sessions of these animals",
                "sessions": "session, for this network",
            }[claim],
            figure="geometry",
        ),
    )


def _geometry(name: str, geometry: xr.Dataset) -> Finding:
    rsa = geometry.sel(measure="rsa")
    return Finding(
        text=f"{name}, sampled as the recording: its condition means lie like the recording's with "
        f"a correlation of distances (RSA) of {float(rsa['value']):.3f}; two halves of the "
        f"recording's units reach {float(rsa['ceiling_units'].mean()):.3f}.",
        evidence=Evidence(
            measure="RSA correlation",
            effect=number(rsa["value"]),
            low=number(rsa["low"]),
            high=number(rsa["high"]),
            n=f"{int(rsa['n_conditions'])} conditions, "
            f"{counted(int(rsa['n_units_recording']), 'recorded unit')}",
            unit_of_inference="session, for this network and these conditions",
            figure="geometry",
        ),
    )


def _reference_decoding(name: str, decoding: Sequence[xr.Dataset]) -> str:
    listed = ", ".join(
        f"{result.attrs['what'].replace('_', ' ')} {float(result['accuracy']):.2f}"
        f"{interval(result['accuracy_low'], result['accuracy_high'])} (chance "
        f"{float(result['chance']):.2f})"
        for result in decoding
    )
    return f"Reference, {name}: decoded {listed}."


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
            "share of classifications": (
                number(one["classifications"]["share"]) if "classifications" in one else None
            ),
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
    references = [name for name, one in populations.items() if _is_reference(one)]
    # references last: a network, the same untrained, and the stimulus alone are always seen
    networks = [name for name in geometry if name not in references]
    names = [*networks[: MOST_PANELS - 2], *references[:1], *references[-1:]]
    panels = {name: geometry[name] for name in dict.fromkeys(names) if name in geometry}
    if geometry:
        pictures.append(
            picture(
                "geometry",
                "Similarity of condition means of each network with the recording's: value with "
                "95 % interval over sessions, and what halves of the recording reach.",
                *(partial(_similarity, name=name, result=one) for name, one in panels.items()),
                size=(8.8, 3.7 * -(-len(panels) // 2)),
                n_rows=-(-len(panels) // 2),
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
    shown = [one for one in populations.values() if not _is_reference(one)][:MOST_PANELS]
    every = [one for population in shown for one in population.series("decoding")]
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
    columns = ["value", "low", "high"]
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
        {"source": name, "what": str(one.attrs["what"])}
        | {c: number(one[c]) for c in columns}
        # of references no labels were permuted
        | ({"p_value": None} if one.attrs["n_permutations"] == 1 else {})
        for name, several in decoding.items()
        for one in several
    ]


SECTION = Section(
    name="population",
    heading="Beyond variance: populations",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples", "references"),
)
