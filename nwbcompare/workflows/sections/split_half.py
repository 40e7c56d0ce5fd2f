"""The section on floor and ranking: how alike a recording is to itself, and who is closest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from nwbcompare.comparison.ranking import rank_families
from nwbcompare.comparison.split_half import By, animal_floor, split_floor
from nwbcompare.core.errors import InputError
from nwbcompare.core.process_pool import reason
from nwbcompare.inference.mixed_effects import mixed_effects
from nwbcompare.plotting.ranking import draw_floor_and_families
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row, Section
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import counted, interval, number, percent, stands_on
from nwbcompare.workflows.measurements import Material

N_SPLITS = 200
DISTANCE = "wasserstein"


@dataclass(frozen=True)
class Floor:
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


def find_floor(material: Material, protocol: str) -> Floor:
    """Split the recording by sessions; rank families on the protocol nearest to the recording."""
    settings, recording = material.settings, material.recorded.ftv
    samples = material.on(protocol)
    refused: dict[str, str] = {}
    by: By = "session" if material.n_of("session") > 1 else "unit"
    tables = [sample.ftv for sample in samples]
    splits = split_floor(recording, tables, by=by, n_splits=N_SPLITS, seed=settings.seed)
    mixed = ranking = animals = None
    try:
        mixed = mixed_effects([recording, *tables])
    except InputError as error:
        refused["mixed-effects model"] = reason(error)
    by_family = {
        family: [sample.ftv for sample in own]
        for family in material.families
        if (own := material.on(protocol, family))
    }
    if left_out := [family for family in material.families if family not in by_family]:
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
        animals = animal_floor(
            recording, n_permutations=settings.n_permutations, seed=settings.seed
        )
    except InputError as error:
        refused["how alike two animals are"] = reason(error)
    return Floor(protocol, splits, by, mixed, ranking, animals, refused)


def floor_section(material: Material, floor: Floor) -> Section:
    """Show the networks' distance against the recording's own halves, and rank families."""
    findings: list[str | Finding] = [_halves(material, floor)]
    findings += [_network(floor, name) for name in floor.splits["network"].values]
    if floor.mixed is not None:
        findings.append(_mixed(material, floor, floor.mixed))
    if floor.ranking is not None:
        findings.append(_ranking(material, floor.ranking))
    findings += [f"Refused: {what}. {why}" for what, why in floor.refused.items()]
    return Section(
        name="floor",
        heading="Floor and ranking",
        findings=findings,
        rows=_rows(floor),
        pictures=_pictures(material, floor),
    )


def _halves(material: Material, floor: Floor) -> Finding:
    own = floor.splits.sel(measure=DISTANCE)
    return Finding(
        text=f"Two halves of {material.name}, split by {floor.by}, have a Wasserstein distance of "
        f"FTV of {float(own['mean']):.3f} on average: the floor. A model that was right would lie "
        "about as far from it, at half its units.",
        evidence=Evidence(
            measure="Wasserstein distance of halves (range of 95 % of splits)",
            effect=number(own["mean"]),
            low=number(own["low"]),
            high=number(own["high"]),
            n=f"{counted(floor.splits.sizes['split'], 'split')} of "
            f"{counted(material.n_of('session'), 'session')}",
            unit_of_inference=f"{floor.by}, for this recording",
            figure="floor" if floor.ranking is not None else "",
        ),
    )


def _network(floor: Floor, name: str) -> str:
    own = floor.splits.sel(network=name, measure=DISTANCE)
    return (
        f"{name}, at the size of half the recording: distance {float(own['model_mean']):.3f}, "
        f"{float(own['ratio']):.2f} times the floor; at least as close as the other half in "
        f"{percent(own['as_close'])} of splits."
    )


def _mixed(material: Material, floor: Floor, mixed: xr.Dataset) -> Finding:
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
            n=stands_on(material, len(material.on(floor.protocol))),
            unit_of_inference="network and session",
        ),
    )


def _ranking(material: Material, ranking: xr.Dataset) -> Finding:
    """Say which family is closest, and how much closer than the next."""
    order = np.argsort(ranking["distance"].values)
    closest, following = (str(name) for name in ranking["family"].values[order[:2]])
    own, pair = ranking.sel(family=closest), _pair_of(ranking, closest, following)
    # differences are the first family's less the second's
    sign = 1 if str(pair["family_a"].item()) == closest else -1
    ends = sorted(sign * float(pair[f"difference_{end}"]) for end in ("low", "high"))
    return Finding(
        text=f"Closest to {material.name} is the family {closest!r}, with a probability of "
        f"{float(own['p_closest']):.2f} among {ranking.sizes['family']} families: distance "
        f"{float(own['distance']):.3f}{interval(own['distance_low'], own['distance_high'])}, "
        f"{float(own['ratio']):.2f} times the floor. The next is {following!r}.",
        main=True,
        evidence=Evidence(
            measure=f"distance of {closest} less that of {following} (p adjusted by Holm over "
            "pairs of families)",
            effect=number(sign * float(pair["difference"])),
            low=number(ends[0]),
            high=number(ends[1]),
            p_value=number(pair["p_adjusted"]),
            n=stands_on(material, ranking.sizes["network"]),
            unit_of_inference="network and session",
            figure="floor",
        ),
    )


def _pair_of(ranking: xr.Dataset, a: str, b: str) -> xr.Dataset:
    """Give the comparison of two families, whichever comes first in it."""
    pairs = zip(ranking["family_a"].values, ranking["family_b"].values, strict=True)
    return ranking.isel(pair=[{str(x), str(y)} for x, y in pairs].index({a, b}))


def _rows(floor: Floor) -> list[Row]:
    rows: list[Row] = []
    for measure in floor.splits["measure"].values:
        own = floor.splits.sel(measure=measure)
        rows.append({"measure": str(measure), "source": "halves", "mean": number(own["mean"])})
        rows += [
            {
                "measure": str(measure),
                "source": str(name),
                "mean": number(own["model_mean"].sel(network=name)),
                "times the floor": number(own["ratio"].sel(network=name)),
                "as close": number(own["as_close"].sel(network=name)),
            }
            for name in floor.splits["network"].values
        ]
    return rows


def _pictures(material: Material, floor: Floor) -> list[Picture]:
    ranking = floor.ranking
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
            "floor",
            "Wasserstein distance of FTV of each family of networks to the recording, with 95 % "
            "intervals; small points are networks; the band is what two halves of the recording "
            "differ by.",
            lambda ax: draw_floor_and_families(ax, ranking, floor.animals),
            size=(6.4, 1.6 + 0.55 * ranking.sizes["family"]),
            data=data,
            banner=material.banner,
        )
    ]
