"""Split-half reliability of the recording, and ranking of families by distance to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from nwbcompare.comparison.animal_distance import distance_beside_animal, match_animals
from nwbcompare.comparison.ranking import rank_families
from nwbcompare.comparison.split_half import By, between_animal_distance, split_half_distance
from nwbcompare.core.number_text import p_text
from nwbcompare.core.unit_samples import UnitSample
from nwbcompare.inference.mixed_effects import mixed_effects
from nwbcompare.plotting.ranking import plot_split_half_and_families
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import (
    counted,
    interval,
    number,
    percent,
    sample_sizes,
    session_count,
)
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

DISTANCE = "wasserstein"
N_FIXED = 2
"""Animals of which each is the other's reference."""


@dataclass(frozen=True)
class SplitHalf:
    """Differences between halves of a recording, beside those of networks and of animals.

    Attributes
    ----------
    splits
        From `nwbcompare.comparison.split_half_distance`, with the networks' ``protocol`` in its
        attributes.
    mixed, ranking, animals
        From `nwbcompare.inference.mixed_effects`, `nwbcompare.comparison.rank_families` and
        `nwbcompare.comparison.between_animal_distance`; None where they do not apply.
    matched
        As ``animals``, for units that are alike in noise and strength of tuning.
    beside
        From `nwbcompare.comparison.distance_beside_animal`, for each of two animals.
    refusals
        Sentences on analyses that do not apply.
    """

    splits: xr.Dataset
    mixed: xr.Dataset | None
    ranking: xr.Dataset | None
    animals: xr.Dataset | None
    matched: xr.Dataset | None
    beside: Sequence[xr.Dataset]
    refusals: Sequence[str]

    @classmethod
    def of(cls, results: Results) -> SplitHalf:
        """Return the results of the section "split-half"."""
        return cls(
            results["splits"],
            results.get("mixed"),
            results.get("ranking"),
            results.get("animals"),
            results.get("matched"),
            results.series("beside"),
            [f"Does not apply: {what}. {why.reason}" for what, why in results.refusals.items()],
        )

    @property
    def protocol(self) -> str:
        """Name of the networks' protocol."""
        return str(self.splits.attrs["protocol"])

    @property
    def by(self) -> str:
        """Split level: "session", or "unit" where there is one session."""
        return str(self.splits.attrs["by"])


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    del source, cache
    measurements = Measurements.of(earlier["samples"])
    # the protocol nearest to the recording
    protocol, recording = measurements.protocols[0], measurements.recorded.ftv
    by: By = "session" if measurements.n_sessions > 1 else "unit"
    n_splits, seed = settings.n_splits, settings.seed
    tables = [sample.ftv for sample in measurements.on(protocol)]
    # with one session its units are split, which cannot tell how much sessions differ
    splits = split_half_distance(recording, tables, by=by, n_splits=n_splits, seed=seed)
    results = Results({"splits": splits.assign_attrs(protocol=protocol, by=by)})
    results.attempt(
        "mixed", lambda: mixed_effects([recording, *tables]), called="mixed-effects model"
    )
    by_family = {
        family: [sample.ftv for sample in samples]
        for family in measurements.families
        if (samples := measurements.on(protocol, family))
    }
    if absent := [family for family in measurements.families if family not in by_family]:
        reason = f"No model of it on protocol {protocol!r}."
        results.refusals[f"ranking of {', '.join(absent)}"] = Refusal(reason)
    if len(by_family) > 1:
        results["ranking"] = rank_families(
            by_family,
            recording,
            distance=DISTANCE,
            by=by,
            n_bootstrap=settings.n_bootstrap,
            n_splits=n_splits,
            seed=seed,
        )
    results.attempt(
        "animals",
        lambda: between_animal_distance(
            recording, n_permutations=settings.n_permutations, seed=seed
        ),
        called="distance between two animals",
    )
    names = np.unique(UnitSample(recording).animals)
    if len(names) == N_FIXED:
        results.attempt(
            "matched",
            lambda: _matched(measurements, (str(names[0]), str(names[1])), settings),
            called="distance between two animals of units alike in noise and tuning",
        )
        results.add_series(
            "beside",
            (
                distance_beside_animal(
                    tables,
                    recording,
                    animal=str(animal),
                    reference=str(reference),
                    distance=DISTANCE,
                    n_bootstrap=settings.n_bootstrap,
                    seed=seed,
                )
                for animal, reference in (names, names[::-1])
            ),
        )
    return results


def _matched(
    measurements: Measurements, animals: tuple[str, str], settings: Settings
) -> xr.Dataset:
    """Test the distance of two animals' units that are alike in noise and strength of tuning."""
    corrected = measurements.corrected.sel(task=list(measurements.pair))
    noise = corrected["noise"].transpose("unit", "task").values
    units = measurements.recorded.ftv.assign(
        noise_a=("unit", noise[:, 0]),
        noise_b=("unit", noise[:, 1]),
        strength=("unit", corrected["task_variance"].sum("task", skipna=False).values),
    )
    chosen = match_animals(units, animals=animals, on=["noise_a", "noise_b", "strength"])
    found = between_animal_distance(
        chosen, n_permutations=settings.n_permutations, seed=settings.seed
    )
    return found.assign_attrs(n_pairs=chosen.attrs["n_pairs"])


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    del name
    measurements = Measurements.of(results["samples"])
    split_half = SplitHalf.of(results["split-half"])
    findings: list[str | Finding] = [_halves(measurements, split_half)]
    findings += [_network(split_half, str(one)) for one in split_half.splits["network"].values]
    if split_half.mixed is not None:
        findings.append(_mixed(measurements, split_half, split_half.mixed))
    if split_half.ranking is not None:
        findings.append(_ranking(measurements, split_half.ranking))
    if split_half.animals is not None:
        findings += _animals(measurements, split_half.animals, "all units")
    if split_half.matched is not None:
        n_pairs = split_half.matched.attrs["n_pairs"]
        which = f"{n_pairs} pairs of units alike in noise, trials and strength of tuning"
        findings += _animals(measurements, split_half.matched, which)
    findings += [_beside(measurements, one) for one in split_half.beside]
    findings += split_half.refusals
    return Summary(
        findings=findings,
        rows=_rows(split_half),
        pictures=_pictures(measurements, split_half) if pictures else (),
    )


def _halves(measurements: Measurements, split_half: SplitHalf) -> Finding:
    values = split_half.splits.sel(measure=DISTANCE)
    return Finding(
        text=f"Two halves of {measurements.name}, split by {split_half.by}, have a Wasserstein "
        f"distance of FTV of {float(values['mean']):.3f} on average: the split-half distance. A "
        "perfect model would lie about as far from the recording, at half its units.",
        evidence=Evidence(
            measure="Wasserstein distance of halves (range of 95 % of splits)",
            effect=number(values["mean"]),
            low=number(values["low"]),
            high=number(values["high"]),
            n=f"{counted(split_half.splits.sizes['split'], 'split')} of "
            f"{session_count(measurements)}",
            unit_of_inference=f"{split_half.by}, for this recording",
            figure="split-half" if split_half.ranking is not None else "",
        ),
    )


def _network(split_half: SplitHalf, name: str) -> str:
    values = split_half.splits.sel(network=name, measure=DISTANCE)
    return (
        f"{name}, at the size of half the recording: distance {float(values['model_mean']):.3f}, "
        f"{float(values['ratio']):.2f} times the split-half distance; at least as close as the "
        f"other half in {percent(values['as_close'])} of splits."
    )


def _mixed(measurements: Measurements, split_half: SplitHalf, mixed: xr.Dataset) -> Finding:
    troubles = [str(message) for message in np.atleast_1d(mixed["message"].values) if str(message)]
    trouble = f" The fit says: {'; '.join(troubles)}." if troubles else ""
    why = str(mixed.attrs["untested"])
    refused = f", not tested ({why})" if why else ""
    return Finding(
        text=f"Mixed-effects model of |FTV| ({mixed.attrs['model']}): networks less recording "
        f"{float(mixed['effect']):+.3f}{refused}.{trouble}",
        evidence=Evidence(
            measure="difference of mean |FTV|",
            effect=number(mixed["effect"]),
            low=number(mixed["effect_low"]),
            high=number(mixed["effect_high"]),
            p_value=number(mixed["p_value"]),
            n=sample_sizes(measurements, len(measurements.on(split_half.protocol))),
            unit_of_inference=str(mixed.attrs["unit_of_inference"]),
        ),
    )


def _animals(measurements: Measurements, animals: xr.Dataset, which: str) -> list[str | Finding]:
    """Return how far animals are apart, beyond what exchanged sessions are."""
    findings: list[str | Finding] = []
    for pair in animals["animal_pair"].values:
        values = animals.sel(animal_pair=pair, measure=DISTANCE)
        mean, sd = (
            animals.sel(animal_pair=pair, measure=f"{name}_difference") for name in ("mean", "sd")
        )
        names = f"{values['animal_a'].item()} and {values['animal_b'].item()}"
        findings.append(
            Finding(
                text=f"{names} ({which}) have a Wasserstein distance of FTV of "
                f"{float(values['value']):.3f}, and {float(values['null_mean']):.3f} on average "
                f"with whole sessions exchanged between them: {float(values['excess']):.3f} "
                f"beyond it. Their means differ by {float(mean['value']):.3f} "
                f"({p_text(float(mean['p_value']))}), their s.d. by {float(sd['value']):.3f} "
                f"({p_text(float(sd['p_value']))}). This is a reference for the networks' "
                "distance, and no ceiling: two animals do not tell how much animals differ.",
                evidence=Evidence(
                    measure="Wasserstein distance less that with sessions exchanged",
                    effect=number(values["excess"]),
                    p_value=number(values["p_value"]),
                    n=f"at most {session_count(measurements)}",
                    unit_of_inference="session, exchanged between the animals",
                ),
            )
        )
    return findings


def _beside(measurements: Measurements, one: xr.Dataset) -> Finding:
    """Return whether networks are as near an animal as the other animal is."""
    animal, reference = one.attrs["animal"], one.attrs["reference"]
    low, high = float(one["difference_low"]), float(one["difference_high"])
    verdict = "neither is shown to be nearer"
    if low > 0 or high < 0:
        verdict = f"{reference if low > 0 else 'the networks'} nearer"
    return Finding(
        text=f"To {animal} the networks have a Wasserstein distance of FTV of "
        f"{float(one['networks_distance']):.3f}, {reference} one of "
        f"{float(one['animal_distance']):.3f}, at equal numbers of units: {verdict}.",
        evidence=Evidence(
            measure=f"distance of networks less that of {reference}",
            effect=number(one["difference"]),
            low=number(low),
            high=number(high),
            p_value=number(one["p_value"]),
            n=sample_sizes(measurements, int(one.attrs["n_networks"])),
            unit_of_inference=str(one.attrs["unit_of_inference"]),
        ),
    )


def _ranking(measurements: Measurements, ranking: xr.Dataset) -> Finding:
    """Return which family is closest, and how much closer than the next."""
    order = np.argsort(ranking["distance"].values)
    closest, following = (str(name) for name in ranking["family"].values[order[:2]])
    values, pair = ranking.sel(family=closest), _pair_of(ranking, closest, following)
    # differences are the first family's less the second's
    sign = 1 if str(pair["family_a"].item()) == closest else -1
    ends = sorted(sign * float(pair[f"difference_{end}"]) for end in ("low", "high"))
    # a probability of being closest says little where the difference to the next includes 0
    is_shown = ends[0] > 0 or ends[1] < 0
    lead = (
        f"Closest to {measurements.name} is the family {closest!r}, with a probability of "
        f"{float(values['p_closest']):.2f} among {ranking.sizes['family']} families"
        if is_shown
        else f"Which of {ranking.sizes['family']} families is closest to {measurements.name} is "
        f"not shown; the smallest distance is that of {closest!r}"
    )
    return Finding(
        text=f"{lead}: distance {float(values['distance']):.3f}"
        f"{interval(values['distance_low'], values['distance_high'])}, "
        f"{float(values['ratio']):.2f} times the split-half distance. The next is {following!r}.",
        main=is_shown,
        evidence=Evidence(
            measure=f"distance of {closest} less that of {following} (p adjusted by Holm over "
            "pairs of families)",
            effect=number(sign * float(pair["difference"])),
            low=number(ends[0]),
            high=number(ends[1]),
            p_value=number(pair["p_adjusted"]),
            n=sample_sizes(measurements, ranking.sizes["network"]),
            unit_of_inference="network and session",
            figure="split-half",
        ),
    )


def _pair_of(ranking: xr.Dataset, a: str, b: str) -> xr.Dataset:
    """Return the comparison of two families, in either order."""
    pairs = zip(ranking["family_a"].values, ranking["family_b"].values, strict=True)
    return ranking.isel(pair=[{str(x), str(y)} for x, y in pairs].index({a, b}))


def _rows(split_half: SplitHalf) -> list[Row]:
    rows: list[Row] = []
    for measure in split_half.splits["measure"].values:
        values = split_half.splits.sel(measure=measure)
        rows.append({"measure": str(measure), "source": "halves", "mean": number(values["mean"])})
        rows += [
            {
                "measure": str(measure),
                "source": str(name),
                "mean": number(values["model_mean"].sel(network=name)),
                "times the split-half distance": number(values["ratio"].sel(network=name)),
                "as close": number(values["as_close"].sel(network=name)),
            }
            for name in split_half.splits["network"].values
        ]
    return rows


def _pictures(measurements: Measurements, split_half: SplitHalf) -> list[Picture]:
    ranking = split_half.ranking
    if ranking is None:
        return []
    data: list[Row] = [
        {
            "family": str(family),
            **{
                name: number(ranking[name].sel(family=family))
                for name in ("distance", "distance_low", "distance_high", "p_closest", "ratio")
            },
        }
        for family in ranking["family"].values
    ]
    return [
        picture(
            "split-half",
            "Wasserstein distance of FTV of each family of networks to the recording, with 95 % "
            "intervals; small points are networks; the band is what two halves of the recording "
            "differ by.",
            lambda ax: plot_split_half_and_families(ax, ranking, split_half.animals),
            size=(6.4, 1.6 + 0.55 * ranking.sizes["family"]),
            data=data,
            banner=measurements.banner,
        )
    ]


SECTION = Section(
    name="split-half",
    heading="Split-half reliability and ranking",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
)
