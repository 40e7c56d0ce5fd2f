"""Several recordings beside each other: a table of them, and what holds in every animal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from nwbcompare.comparison.by_animal import by_animal, over_animals_text, single_animals
from nwbcompare.comparison.sample_contrasts import KIND, THESE
from nwbcompare.core.errors import listing
from nwbcompare.core.number_text import p_text
from nwbcompare.core.unit_samples import UnitSample
from nwbcompare.plotting.ftv_distributions import plot_effects
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import LEVEL, bounds, counted, number, sd_of
from nwbcompare.workflows.measurements import Measurements
from nwbcompare.workflows.section import SourceResults
from nwbcompare.workflows.sections.by_animal import animal_findings, unit_of, untested
from nwbcompare.workflows.sections.ftv_distributions import (
    DIFFERENCES,
    MAIN,
    MEASURES,
    PAIRINGS,
    FamilyComparison,
    comparisons_of,
    p_of,
)

NAME, FIGURE = "recordings", "effects-by-animal"


@dataclass(frozen=True)
class _Family:
    """A family of models against all recordings that it was sampled like.

    Attributes
    ----------
    name
        Name of the family.
    of
        Comparisons by pairing of units, then by recording.
    """

    name: str
    of: Mapping[str, Mapping[str, FamilyComparison]]

    @property
    def recordings(self) -> list[str]:
        """Names of the recordings with every pairing."""
        shared = [set(by_recording) for by_recording in self.of.values()]
        return [name for name in self.of[MAIN] if all(name in one for one in shared)]

    @property
    def n_networks(self) -> int:
        """Number of networks, of which some may lack tasks of a recording."""
        return max(len(self.of[MAIN][recording].names) for recording in self.recordings)

    @property
    def units(self) -> dict[str, str]:
        """Unit of inference of each animal: session, or unit where sessions are unknown."""
        return {
            animal: unit_of(self.of[MAIN][recording].result)
            for recording in self.recordings
            for animal in self.animals_of(MAIN, recording)
        }

    def animals_of(self, pairing: str, recording: str) -> dict[str, xr.Dataset]:
        """Return the comparison of each animal of a recording by itself."""
        each = single_animals(self.of[pairing][recording].result, recording)
        # a lone animal goes by the name of its recording
        return each if len(each) == 1 else {f"{recording}, {k}": v for k, v in each.items()}

    def animals(self, pairing: str) -> dict[str, xr.Dataset]:
        """Return the comparison of each animal of every recording by itself."""
        return {
            animal: result
            for recording in self.recordings
            for animal, result in self.animals_of(pairing, recording).items()
        }

    def p_name(self, claim: str) -> str:
        """Return the p value to use in all recordings: that of t where one allows no other."""
        names = {p_of(self.of[MAIN][recording], claim) for recording in self.recordings}
        return "p_student" if "p_student" in names else "p_value"


def over_recordings(results: Mapping[str, SourceResults]) -> PageSection:
    """Summarise a comparison with several recordings.

    Parameters
    ----------
    results
        Results by section of each recording, by its name.

    Returns
    -------
    PageSection
        A row for each recording and family of models, rows for each network and animal, and the
        findings on what holds in all animals.
    """
    measurements = {name: Measurements.of(own["samples"]) for name, own in results.items()}
    families = _families(results)
    findings: list[str | Finding] = []
    pictures: list[Picture] = []
    several = len(families) > 1
    banner = next((one.banner for one in measurements.values() if one.banner), "")
    for place, family in enumerate(families):
        if len(family.recordings) > 1:
            who = f"The networks of {family.name}" if several else "The networks"
            figure = FIGURE + (f"-{place}" if several else "")
            findings += _findings(family, who, figure, measurements)
            pictures.append(_picture(family, figure, banner))
    findings += _left_out(families, measurements)
    return PageSection(
        name=NAME,
        heading="The recordings beside each other",
        findings=findings,
        rows=[row for name in results for row in _rows(name, results[name], measurements[name])],
        further={"networks": [row for family in families for row in _cells(family)]},
        pictures=pictures,
    )


def _families(results: Mapping[str, SourceResults]) -> list[_Family]:
    """Return the comparisons at equal tuning by family, pairing and recording."""
    found: dict[str, dict[str, dict[str, FamilyComparison]]] = {}
    for recording, own in results.items():
        for one in comparisons_of(own["sampled"]) if "sampled" in own else ():
            if one.protocol in (MAIN, *PAIRINGS):
                pairings = found.setdefault(one.family, {k: {} for k in (MAIN, *PAIRINGS)})
                pairings[one.protocol][recording] = one
    return [_Family(name, pairings) for name, pairings in found.items()]


def _findings(
    family: _Family, who: str, figure: str, measurements: Mapping[str, Measurements]
) -> list[str | Finding]:
    """Return what holds in every animal, then each animal by itself and their differences."""
    findings: list[str | Finding] = [
        _in_every_animal(family, claim, who, figure, measurements)
        for claim in (THESE, KIND)
        if not any(untested(family.of[MAIN][name].result, claim) for name in family.recordings)
    ]
    shared = _shared_animals([measurements[name] for name in family.recordings])
    if shared:
        return [
            *findings,
            f"Animals of one name ({listing(shared)}) are in several recordings, which are not "
            "independent: nothing is said of the prevalence among animals, nor of a mean.",
        ]
    animals = family.animals(MAIN)
    joint = by_animal(list(animals.values()), list(animals)).assign_attrs(
        n_networks=family.n_networks,
        over_animals=over_animals_text(list(animals)),
    )
    phrase = "tuned as strongly as the recorded units"
    return [*findings, *animal_findings(joint, f"{who}, {phrase}", figure, family.units)]


def _in_every_animal(
    family: _Family,
    claim: str,
    who: str,
    figure: str,
    measurements: Mapping[str, Measurements],
) -> Finding:
    """Test whether the s.d. of FTV differs in one direction in every animal, under every pairing.

    Each animal and pairing has to reject by itself (intersection-union test), which holds at any
    dependence between them: the networks are the same in all.
    """
    p_name = family.p_name(claim)
    every = [
        one.sel(claim=claim, measure="sd")
        for pairing in (MAIN, *PAIRINGS)
        for one in family.animals(pairing).values()
    ]
    effects = np.array([float(one["estimate"]) for one in every])
    p = np.array([float(one[p_name]) for one in every])
    agree = bool((effects > 0).all() or (effects < 0).all())
    together = float(p.max()) if agree else 1.0
    at_main = every[: len(family.animals(MAIN))]
    weakest = min(at_main, key=lambda one: abs(float(one["estimate"])))
    n = counted(len(at_main), "animal")
    whose = "networks of this kind" if claim == KIND else who[0].lower() + who[1:]
    listed = listing(family.recordings)
    if together < LEVEL:
        what = "more" if effects[0] > 0 else "less"
        text = (
            f"In every animal ({n} of {listed}), and under every pairing of units by strength of "
            f"tuning, {whose} have {what} specialised units than the recording"
        )
    else:
        text = (
            f"In {n} of {listed}: no difference between {whose} and the recordings is shown in "
            "every animal under every pairing of units"
        )
    units = {unit_of(family.of[MAIN][name].result) for name in family.recordings}
    unit = "network" if claim == KIND else " or ".join(sorted(units))
    n_sessions = sum(measurements[name].n_sessions for name in family.recordings)
    sizes = f"{counted(family.n_networks, 'network')}, {counted(n_sessions, 'session')}, {n}"
    return Finding(
        text=f"{text} ({p_text(together)}, the largest of any animal and pairing"
        + ("" if agree else "; 1 where directions differ")
        + ").",
        main=True,
        evidence=Evidence(
            measure=f"{MEASURES['sd']} in the animal where it is smallest",
            effect=number(weakest["estimate"]),
            low=number(weakest["low"]),
            high=number(weakest["high"]),
            p_value=number(together),
            n=sizes,
            unit_of_inference=f"{unit}; animals are fixed",
            figure=figure,
        ),
    )


def _shared_animals(measurements: Sequence[Measurements]) -> list[str]:
    """Return animals by whose names two recordings have units."""
    samples = [UnitSample(one.recorded.ftv) for one in measurements]
    names = Counter(
        str(name)
        for sample in samples
        if sample.has("subject")
        for (name,) in sample.groups("subject").labels
    )
    return [name for name, number_of in names.items() if number_of > 1]


def _left_out(families: Sequence[_Family], measurements: Mapping[str, Measurements]) -> list[str]:
    """Return which recordings no joint finding is about."""
    sampled = {name for family in families for name in family.recordings}
    if len(sampled) < 2:
        return [
            f"There is no joint finding: models were sampled at equal tuning against "
            f"{len(sampled)} of {len(measurements)} recordings, and other protocols differ in "
            "conditions and noise."
        ]
    return [
        f"{name} is in no joint finding: models could not be sampled at its strength of tuning, "
        "and other protocols differ in conditions and noise."
        for name in measurements
        if name not in sampled
    ]


def _rows(name: str, results: SourceResults, measurements: Measurements) -> list[Row]:
    """Return a row for each family of models against a recording."""
    a, b = measurements.pair
    recorded = measurements.recorded.ftv
    base: Row = {
        "recording": name,
        "pair": f"{a}, {b}",
        "animals": measurements.n_animals,
        "sessions": measurements.n_sessions or None,
        "active units": int(recorded["active"].sum()),
        "trials a condition": number(measurements.variance["n_trials_per_condition"].median()),
        "s.d. of FTV": number(sd_of(recorded)),
        "mean of FTV": number(recorded["fractional_task_variance"].mean()),
        **_references(results),
    }
    compared = [
        one
        for section in ("sampled", "published")
        if section in results
        for one in comparisons_of(results[section])
    ]
    return [base | _of_protocol(one) for one in compared] or [base]


def _references(results: SourceResults) -> Row:
    """Return the spread of the references, the mean over untrained networks."""
    if "references" not in results:
        return {}
    tables = results["references"].series("sample")
    spreads: dict[str, list[float]] = {"untrained": [], "stimulus alone": []}
    for one in tables:
        kind = "untrained" if str(one.attrs["of"]) else "stimulus alone"
        spreads[kind].append(sd_of(one))
    return {f"s.d. {kind}": number(np.mean(sds)) for kind, sds in spreads.items() if sds}


def _of_protocol(one: FamilyComparison) -> Row:
    """Return the difference of the s.d. on a protocol, for both claims."""
    values = one.result.sel(measure="sd")
    row: Row = {
        "family": one.family,
        "protocol": one.protocol,
        "networks": len(one.names),
        "s.d. of networks": number(one.sd),
        "difference": number(values["estimate"]),
    }
    for claim, what in ((THESE, "sessions"), (KIND, "networks")):
        its = values.sel(claim=claim)
        row |= bounds(f"95 % over {what}", its["low"], its["high"])
        row[f"p over {what}"] = number(its[p_of(one, claim)])
    return row


def _cells(family: _Family) -> list[Row]:
    """Return a row for each network and animal: the difference of the s.d. at equal tuning."""
    return [
        {
            "recording": recording,
            "animal": animal,
            "family": family.name,
            "network": str(network),
            "protocol": pairing,
            "difference of s.d. of FTV": number(value),
        }
        for pairing, by_recording in family.of.items()
        for recording in by_recording
        for animal, result in family.animals_of(pairing, recording).items()
        for network, value in result["estimate_by_network"].sel(measure="sd").to_series().items()
    ]


def _picture(family: _Family, figure: str, banner: str) -> Picture:
    """Plot the differences of each animal by itself, for both claims."""
    animals = family.animals(MAIN)
    claims = [
        claim
        for claim in (THESE, KIND)
        if any(bool(one["low"].sel(claim=claim).notnull().any()) for one in animals.values())
    ]
    return picture(
        figure,
        "Differences between the networks, tuned as strongly as the recorded units, and each "
        "animal by itself, with 95 % intervals: over sessions of the animal for these networks, "
        "over networks for networks of this kind.",
        *(
            partial(plot_effects, comparisons=animals, claim=claim, measures=DIFFERENCES)
            for claim in claims or (THESE,)
        ),
        size=(8.6, 3.4),
        data=[
            {"animal": name, "claim": claim, "measure": MEASURES[measure]}
            | {"estimate": number(one["estimate"].sel(measure=measure))}
            | bounds(
                "95 %",
                one["low"].sel(claim=claim, measure=measure),
                one["high"].sel(claim=claim, measure=measure),
            )
            for name, one in animals.items()
            for claim in claims or (THESE,)
            for measure in DIFFERENCES
        ],
        banner=banner,
    )
