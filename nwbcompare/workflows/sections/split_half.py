"""The section on split-half reliability and ranking: which family of networks is closest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from nwbcompare.comparison.ranking import rank_families
from nwbcompare.comparison.split_half import By, between_animal_distance, split_half_distance
from nwbcompare.core.errors import ExplainedError
from nwbcompare.inference.mixed_effects import mixed_effects
from nwbcompare.plotting.ranking import plot_split_half_and_families
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import counted, interval, number, percent, stands_on
from nwbcompare.workflows.measurements import Measurements

N_SPLITS = 200
DISTANCE = "wasserstein"


@dataclass(frozen=True)
class SplitHalf:
    """What two halves of a recording differ by, beside networks and animals."""

    protocol: str
    splits: xr.Dataset
    by: str
    mixed: xr.Dataset | None
    ranking: xr.Dataset | None
    animals: xr.Dataset | None
    refused: dict[str, str]

    @property
    def margin(self) -> float:
        """By how much (s.d. of FTV) halves differ in all but 5 % of splits, for whole samples."""
        halves = np.abs(self.splits["value"].sel(measure="sd_difference").values)
        # halves have half the units, and differ by more than whole samples would
        return float(np.quantile(halves, 0.95) / float(self.splits.attrs["size_factor"]))


def measure_split_half(measurements: Measurements, protocol: str) -> SplitHalf:
    """Split the recording by sessions; rank families on the protocol nearest to the recording."""
    settings, recording = measurements.settings, measurements.recorded.ftv
    samples = measurements.on(protocol)
    refused: dict[str, str] = {}
    by: By = "session" if measurements.n_of("session") > 1 else "unit"
    tables = [sample.ftv for sample in samples]
    splits = split_half_distance(recording, tables, by=by, n_splits=N_SPLITS, seed=settings.seed)
    mixed = ranking = animals = None
    try:
        mixed = mixed_effects([recording, *tables])
    except ExplainedError as error:
        refused["mixed-effects model"] = error.reason
    by_family = {
        family: [sample.ftv for sample in own]
        for family in measurements.families
        if (own := measurements.on(protocol, family))
    }
    if left_out := [family for family in measurements.families if family not in by_family]:
        refused["ranking of " + ", ".join(left_out)] = f"No model of it on protocol {protocol!r}."
    if len(by_family) > 1:
        ranking = rank_families(
            by_family,
            recording,
            distance=DISTANCE,
            by=by,
            n_bootstrap=settings.n_bootstrap,
            n_splits=N_SPLITS,
            seed=settings.seed,
        )
    try:
        animals = between_animal_distance(
            recording, n_permutations=settings.n_permutations, seed=settings.seed
        )
    except ExplainedError as error:
        refused["how alike two animals are"] = error.reason
    return SplitHalf(protocol, splits, by, mixed, ranking, animals, refused)


def split_half_section(measurements: Measurements, split_half: SplitHalf) -> PageSection:
    """Show the networks' distance against the recording's own halves, and rank families."""
    findings: list[str | Finding] = [_halves(measurements, split_half)]
    findings += [_network(split_half, name) for name in split_half.splits["network"].values]
    if split_half.mixed is not None:
        findings.append(_mixed(measurements, split_half, split_half.mixed))
    if split_half.ranking is not None:
        findings.append(_ranking(measurements, split_half.ranking))
    findings += [f"Refused: {what}. {why}" for what, why in split_half.refused.items()]
    return PageSection(
        name="split-half",
        heading="Split-half reliability and ranking",
        findings=findings,
        rows=_rows(split_half),
        pictures=_pictures(measurements, split_half),
    )


def _halves(measurements: Measurements, split_half: SplitHalf) -> Finding:
    own = split_half.splits.sel(measure=DISTANCE)
    return Finding(
        text=f"Two halves of {measurements.name}, split by {split_half.by}, have a Wasserstein "
        f"distance of FTV of {float(own['mean']):.3f} on average: the split-half distance. A model "
        "that was right would lie about as far from it, at half its units.",
        evidence=Evidence(
            measure="Wasserstein distance of halves (range of 95 % of splits)",
            effect=number(own["mean"]),
            low=number(own["low"]),
            high=number(own["high"]),
            n=f"{counted(split_half.splits.sizes['split'], 'split')} of "
            f"{counted(measurements.n_of('session'), 'session')}",
            unit_of_inference=f"{split_half.by}, for this recording",
            figure="split-half" if split_half.ranking is not None else "",
        ),
    )


def _network(split_half: SplitHalf, name: str) -> str:
    own = split_half.splits.sel(network=name, measure=DISTANCE)
    return (
        f"{name}, at the size of half the recording: distance {float(own['model_mean']):.3f}, "
        f"{float(own['ratio']):.2f} times the split-half distance; at least as close as the "
        f"other half in {percent(own['as_close'])} of splits."
    )


def _mixed(measurements: Measurements, split_half: SplitHalf, mixed: xr.Dataset) -> Finding:
    troubles = [str(message) for message in np.atleast_1d(mixed["message"].values) if str(message)]
    trouble = f" The fit says: {'; '.join(troubles)}." if troubles else ""
    return Finding(
        text="Mixed-effects model of |FTV| with random intercepts for sessions and networks: "
        f"networks less recording {float(mixed['effect']):+.3f}.{trouble}",
        evidence=Evidence(
            measure="difference of mean |FTV|",
            effect=number(mixed["effect"]),
            low=number(mixed["effect_low"]),
            high=number(mixed["effect_high"]),
            p_value=number(mixed["p_value"]),
            n=stands_on(measurements, len(measurements.on(split_half.protocol))),
            unit_of_inference="network and session",
        ),
    )


def _ranking(measurements: Measurements, ranking: xr.Dataset) -> Finding:
    """Say which family is closest, and how much closer than the next."""
    order = np.argsort(ranking["distance"].values)
    closest, following = (str(name) for name in ranking["family"].values[order[:2]])
    own, pair = ranking.sel(family=closest), _pair_of(ranking, closest, following)
    # differences are the first family's less the second's
    sign = 1 if str(pair["family_a"].item()) == closest else -1
    ends = sorted(sign * float(pair[f"difference_{end}"]) for end in ("low", "high"))
    return Finding(
        text=f"Closest to {measurements.name} is the family {closest!r}, with a probability of "
        f"{float(own['p_closest']):.2f} among {ranking.sizes['family']} families: distance "
        f"{float(own['distance']):.3f}{interval(own['distance_low'], own['distance_high'])}, "
        f"{float(own['ratio']):.2f} times the split-half distance. The next is {following!r}.",
        main=True,
        evidence=Evidence(
            measure=f"distance of {closest} less that of {following} (p adjusted by Holm over "
            "pairs of families)",
            effect=number(sign * float(pair["difference"])),
            low=number(ends[0]),
            high=number(ends[1]),
            p_value=number(pair["p_adjusted"]),
            n=stands_on(measurements, ranking.sizes["network"]),
            unit_of_inference="network and session",
            figure="split-half",
        ),
    )


def _pair_of(ranking: xr.Dataset, a: str, b: str) -> xr.Dataset:
    """Give the comparison of two families, whichever comes first in it."""
    pairs = zip(ranking["family_a"].values, ranking["family_b"].values, strict=True)
    return ranking.isel(pair=[{str(x), str(y)} for x, y in pairs].index({a, b}))


def _rows(split_half: SplitHalf) -> list[Row]:
    rows: list[Row] = []
    for measure in split_half.splits["measure"].values:
        own = split_half.splits.sel(measure=measure)
        rows.append({"measure": str(measure), "source": "halves", "mean": number(own["mean"])})
        rows += [
            {
                "measure": str(measure),
                "source": str(name),
                "mean": number(own["model_mean"].sel(network=name)),
                "times the split-half distance": number(own["ratio"].sel(network=name)),
                "as close": number(own["as_close"].sel(network=name)),
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
