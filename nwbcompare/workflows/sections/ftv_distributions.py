"""Distributions of FTV of networks and a recording: sampled alike, and on other protocols."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.selectivity.tuned_share import tuned_share
from nwbcompare.comparison.by_animal import single_animals
from nwbcompare.comparison.compare_samples import compare_samples, distribution_curves
from nwbcompare.comparison.equivalence import equivalence_test
from nwbcompare.comparison.sample_contrasts import KIND, THESE
from nwbcompare.core.number_text import p_text
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.plotting.ftv_distributions import DISTANCES, plot_distributions, plot_effects
from nwbcompare.plotting.style import FTV_EDGES
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows import sampling_protocols
from nwbcompare.workflows.formatting import (
    LEVEL,
    bounds,
    interval,
    number,
    refusal_sentences,
    sample_sizes,
    sd_of,
)
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.sections.by_animal import animal_findings, unit_of, untested
from nwbcompare.workflows.settings import Settings

Kind = Literal["histogram", "cumulative"]
MAIN = sampling_protocols.TUNING.name
PAIRINGS = (sampling_protocols.RANKED.name, sampling_protocols.REVERSED.name)
ALIKE = (MAIN, *PAIRINGS, sampling_protocols.RATE.name)
"""Protocols on which networks are sampled with the recording's noise."""
NO_MARGIN = (
    "No equivalence is claimed: no margin was stated beforehand (--margin, with --margin-reason). "
    "The recording gives none, since what its own parts differ by is sampling noise."
)
MEASURES = {
    "sd": "difference of s.d. of FTV",
    "mean": "difference of mean FTV",
    "mixed_share": "difference of the share of units with |FTV| < 0.3",
    "single_share": "difference of the share of units with |FTV| > 0.9",
    "cliffs_delta": "Cliff's delta of |FTV|",
    "wasserstein": "Wasserstein distance",
    "energy": "energy distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov distance",
}
DIFFERENCES = ("sd", "mean", "mixed_share", "single_share")
"""Measures in the figure of differences."""


@dataclass(frozen=True)
class FamilyComparison:
    """Comparison of one family of models with the recording on one protocol.

    Attributes
    ----------
    result
        From `nwbcompare.compare_samples`, with ``family``, ``protocol``, ``names`` (of the models,
        JSON) and ``sd`` (their mean s.d. of FTV) in its attributes.
    curves
        From `nwbcompare.comparison.distribution_curves`.
    equivalence
        From `nwbcompare.comparison.equivalence_test`; None on other protocols.
    weighted
        As ``result``, with units weighted by their tuned share; None on other protocols.
    """

    result: xr.Dataset
    curves: xr.Dataset
    equivalence: xr.Dataset | None
    weighted: xr.Dataset | None

    @property
    def family(self) -> str:
        """Name of the family."""
        return str(self.result.attrs["family"])

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return str(self.result.attrs["protocol"])

    @property
    def names(self) -> list[str]:
        """Names of the models."""
        return [str(name) for name in json.loads(self.result.attrs["names"])]

    @property
    def sd(self) -> float:
        """S.d. of FTV of the models, the mean over them."""
        return float(self.result.attrs["sd"])


def _compare(
    measurements: Measurements,
    settings: Settings,
    protocols: Sequence[str],
    margin: float | None,
    n_jobs: int,
) -> Results:
    """Compare every family with the recording on protocols, and test equivalence with a margin."""
    jobs: list[Job] = [
        (f"{family}, {protocol}", _comparison, (measurements, settings, protocol, family, margin))
        for protocol in protocols
        for family in measurements.families
        if measurements.on(protocol, family)
    ]
    comparisons, messages = run_all(jobs, n_jobs, "comparisons")
    results = Results(warnings=messages)
    for one in comparisons:
        results.add_group(f"comparison {len(results)}", dict(one))
        results.refusals |= one.refusals
    return results


def _comparison(
    measurements: Measurements,
    settings: Settings,
    protocol: str,
    family: str,
    margin: float | None,
) -> Results:
    """Compare a family with the recording on a protocol."""
    samples = measurements.on(protocol, family)
    tables, recording = measurements.tables(samples), measurements.recorded.ftv
    with warnings.catch_warnings():
        # one network has no interval, which the findings say
        warnings.simplefilter("ignore", UserWarning)
        result = compare_samples(
            tables,
            recording,
            n_bootstrap=settings.n_bootstrap,
            n_permutations=settings.n_permutations,
            seed=settings.seed,
        )
    results = Results(
        {
            "result": result.assign_attrs(
                family=family,
                protocol=protocol,
                names=json.dumps([sample.name for sample in samples]),
                sd=float(np.mean([sd_of(sample.ftv) for sample in samples])),
            ),
            "curves": distribution_curves(
                tables, recording, n_bootstrap=settings.n_bootstrap, seed=settings.seed
            ),
        }
    )
    if margin is not None:
        results["equivalence"] = equivalence_test(
            result, margin=margin, reason=settings.margin_reason
        )
    if protocol in (MAIN, *PAIRINGS):
        # where too few units are tuned the unweighted comparison stands
        results.attempt(
            "weighted", partial(_weighted, measurements, tables), called="weights by tuning"
        )
    return results


def _weighted(measurements: Measurements, models: Sequence[xr.Dataset]) -> xr.Dataset:
    """Compare families with units weighted by the share of their variance that is tuning."""
    share = tuned_share(measurements.corrected, *measurements.pair)
    recording = measurements.recorded.ftv.assign(tuned_share=share.fillna(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        # the test of the s.d. is a jackknife over sessions: nothing is drawn for it
        return compare_samples(
            models, recording, weight="tuned_share", n_bootstrap=2, n_permutations=2
        )


def _compute_sampled(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    del cache
    measurements, n_jobs = Measurements.of(earlier["samples"]), settings.jobs_for(source.recording)
    return _compare(measurements, settings, ALIKE, settings.margin, n_jobs)


def _compute_published(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    del cache
    measurements, n_jobs = Measurements.of(earlier["samples"]), settings.jobs_for(source.recording)
    protocols = (sampling_protocols.PUBLISHED.name, sampling_protocols.AS_RECORDED.name)
    return _compare(measurements, settings, protocols, None, n_jobs)


def comparisons_of(results: Results) -> list[FamilyComparison]:
    """Return the comparisons in the results of a section, by family and protocol."""
    prefixes = dict.fromkeys(
        name.removesuffix(".result") for name in results if name.endswith(".result")
    )
    groups = [results.group(prefix) for prefix in prefixes]
    return [
        FamilyComparison(
            group["result"], group["curves"], group.get("equivalence"), group.get("weighted")
        )
        for group in groups
    ]


def _summarise_sampled(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    del name
    measurements = Measurements.of(results["samples"])
    comparisons = comparisons_of(results["sampled"])
    if not comparisons:
        return Summary()
    findings: list[str | Finding] = []
    by_protocol = {(one.family, one.protocol): one for one in comparisons}
    for one in comparisons:
        if one.protocol in PAIRINGS:
            continue
        if one.protocol != MAIN:
            findings += _spread(measurements, one, figure="ftv-sampled")
        else:
            pairings = [one, *(by_protocol[one.family, pairing] for pairing in PAIRINGS)]
            findings += _spread(measurements, one, figure="ftv-sampled", pairings=pairings)
            findings.append(_pairings(pairings))
            if all(pairing.weighted is not None for pairing in pairings):
                findings.append(_weighted_text(pairings))
            findings.append(_distance(measurements, one))
            findings.append(_equivalence(measurements, one))
            who = _who(measurements, one)
            units = dict.fromkeys(
                single_animals(one.result, measurements.name), unit_of(one.result)
            )
            findings += animal_findings(one.result, who, "effects-sampled", units)
    findings += refusal_sentences(measurements.name, results["sampled"])
    tested = comparisons[0].equivalence
    margin = None if tested is None else float(tested.attrs["margin"])
    panels = [
        _distributions("ftv-sampled", measurements, comparisons),
        _effects("effects-sampled", comparisons, margin, measurements.banner),
    ]
    return Summary(findings=findings, rows=_rows(comparisons), pictures=panels if pictures else ())


def _summarise_published(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    del name
    measurements = Measurements.of(results["samples"])
    comparisons = comparisons_of(results["published"])
    if not comparisons:
        return Summary()
    findings: list[str | Finding] = [
        "On this protocol the two sides differ in conditions, epochs and noise: neither a "
        "similarity nor a difference of these distributions is evidence by itself."
    ]
    for one in comparisons:
        findings += _spread(measurements, one, figure="ftv-published")
    findings += _protocol_effect(measurements)
    panels = [_distributions("ftv-published", measurements, comparisons)] if pictures else []
    return Summary(findings=findings, rows=_rows(comparisons), pictures=panels)


def _spread(
    measurements: Measurements,
    one: FamilyComparison,
    *,
    figure: str,
    pairings: Sequence[FamilyComparison] = (),
) -> list[str | Finding]:
    """Compare the s.d. of FTV: for these networks, then for networks of this kind.

    With all ``pairings`` of units by strength the findings are main ones, and a difference is
    called one only where it holds under all of them.
    """
    findings: list[str | Finding] = []
    for claim in (THESE, KIND) if len(one.names) > 1 else (THESE,):
        text, why = _spread_text(measurements, one, claim), untested(one.result, claim)
        if why and claim == KIND:
            findings.append(f"Nothing is tested over networks of this kind ({why}).")
            continue
        if pairings and not why and not _holds(pairings, claim):
            text += " This does not hold under every pairing of units by strength of tuning."
        evidence = _evidence(measurements, one, "sd", claim, figure)
        findings.append(Finding(text=text, main=bool(pairings), evidence=evidence))
    return findings


def _holds(pairings: Sequence[FamilyComparison], claim: str) -> bool:
    """Return whether all pairings have a difference in s.d., in one direction, or none has."""
    values = [one.result.sel(measure="sd", claim=claim) for one in pairings]
    shown = [
        np.sign(float(value["estimate"])) * (float(value[p_of(one, claim)]) < LEVEL)
        for one, value in zip(pairings, values, strict=True)
    ]
    return len(set(shown)) == 1


def _widest_claim(one: FamilyComparison) -> str:
    """Return the claim over networks of this kind where it is tested."""
    return THESE if untested(one.result, KIND) else KIND


def _pairings(pairings: Sequence[FamilyComparison]) -> str:
    """Return the difference in s.d. for each pairing of units by strength of tuning."""
    claim = _widest_claim(pairings[0])
    values = [one.result.sel(measure="sd", claim=claim) for one in pairings]
    listed = ", ".join(
        f"{float(value['estimate']):+.3f} ({p_text(float(value[p_of(one, claim)]))}; {name})"
        for one, value, name in zip(
            pairings, values, ("at random", "by rank", "by reversed rank"), strict=True
        )
    )
    alike = "alike" if _holds(pairings, claim) else "unlike"
    return (
        f"Three pairings of network units with recorded units by strength of tuning give {alike} "
        f"results for the difference in s.d. of FTV: {listed}. They would differ if FTV depended "
        "on strength."
    )


def _weighted_text(pairings: Sequence[FamilyComparison]) -> str:
    """Return the difference in weighted s.d. for each pairing."""
    claim, listed = _widest_claim(pairings[0]), []
    for one, name in zip(pairings, ("at random", "by rank", "by reversed rank"), strict=True):
        if one.weighted is not None:
            value = one.weighted.sel(measure="sd", claim=claim)
            spread = interval(value["low"], value["high"])
            p = p_text(float(value[p_of(one, claim)]))
            listed.append(f"{float(value['estimate']):+.3f}{spread} ({p}; {name})")
    return (
        "With units weighted by the share of the recorded unit's variance that is tuning and not "
        f"noise, on both sides, the differences in s.d. of FTV are {', '.join(listed)}. Units of "
        "noise alone dilute the unweighted ones; these are about strongly tuned units."
    )


def _spread_text(measurements: Measurements, one: FamilyComparison, claim: str) -> str:
    values = one.result.sel(measure="sd", claim=claim)
    effect, p = float(values["estimate"]), float(values["p_value"])
    if claim == THESE:
        verdict = _verdict(effect, p)
        if why := untested(one.result, claim):
            verdict = f"not tested ({why})"
        return (
            f"{_who(measurements, one)}: s.d. of FTV {one.sd:.3f}, against "
            f"{sd_of(measurements.recorded.ftv):.3f} of {measurements.name}; {verdict}."
        )
    n, smallest = len(one.names), float(one.result["p_smallest"].sel(claim=claim))
    if smallest <= LEVEL:
        return f"Over networks of this kind ({n} of them): {_verdict(effect, p)}."
    return (
        f"Over networks of this kind ({n} of them, too few for a sign-flip test, whose p cannot be "
        f"below {smallest:.2g}): {_verdict(effect, float(values['p_student']))} by Student's t, "
        "which takes networks to be normally distributed."
    )


def _evidence(
    measurements: Measurements, one: FamilyComparison, measure: str, claim: str, figure: str
) -> Evidence:
    """Return the evidence of one measure and claim."""
    values = one.result.sel(measure=measure, claim=claim)
    return Evidence(
        measure=MEASURES[measure],
        effect=number(values["estimate"]),
        low=number(values["low"]),
        high=number(values["high"]),
        p_value=number(values[p_of(one, claim)]),
        n=sample_sizes(measurements, len(one.names)),
        unit_of_inference=json.loads(one.result.attrs["unit_of_inference"])[claim],
        figure=figure,
    )


def p_of(one: FamilyComparison, claim: str) -> str:
    """Return the p value to use: that of Student's t where sign flips cannot be significant."""
    exact = claim == THESE or float(one.result["p_smallest"].sel(claim=claim)) <= LEVEL
    return "p_value" if exact else "p_student"


def _distance(measurements: Measurements, one: FamilyComparison) -> Finding:
    values = one.result.sel(measure="wasserstein", claim=THESE)
    return Finding(
        text=f"{_who(measurements, one)}: the Wasserstein distance of FTV to {measurements.name} "
        f"is {float(values['estimate']):.3f}; it would be {float(values['null_mean']):.3f} on "
        f"average if both sides were the same (95 % below {float(values['null_high']):.3f}).",
        evidence=_evidence(measurements, one, "wasserstein", THESE, "effects-sampled"),
    )


def _equivalence(measurements: Measurements, one: FamilyComparison) -> str | Finding:
    claim = _widest_claim(one)
    if one.equivalence is None:
        return NO_MARGIN
    test, attrs = one.equivalence.sel(claim=claim), one.equivalence.attrs
    if why := untested(one.result, claim):
        return f"{_who(measurements, one)}: equivalence is not tested ({why})."
    reason = attrs["margin_reason"] or "stated beforehand without a reason"
    return Finding(
        text=f"{_who(measurements, one)}: {'' if test['equivalent'] else 'not shown to be '}"
        f"equivalent within a margin of {attrs['margin']:.3f} in s.d. of FTV ({reason}); the "
        f"smallest margin that would be accepted is {float(test['smallest_margin']):.3f}.",
        evidence=Evidence(
            measure="equivalence, two one-sided tests (90 % interval)",
            effect=number(test["estimate"]),
            low=number(test["low"]),
            high=number(test["high"]),
            p_value=number(test["p_value"]),
            n=sample_sizes(measurements, len(one.names)),
            unit_of_inference=json.loads(one.result.attrs["unit_of_inference"])[claim],
            figure="effects-sampled",
        ),
    )


def _protocol_effect(measurements: Measurements) -> list[str]:
    """Return how much the choice of the protocol changes the networks' FTV."""
    sentences = []
    for family in measurements.families:
        spreads = {
            protocol: np.mean([sd_of(sample.ftv) for sample in measurements.on(protocol, family)])
            for protocol in measurements.protocols
            if measurements.on(protocol, family)
        }
        if len(spreads) > 1:
            listed = ", ".join(f"{sd:.3f} ({name})" for name, sd in spreads.items())
            sentences.append(
                f"{family}: the choice of protocol alone moves the mean s.d. of FTV of the same "
                f"networks from {min(spreads.values()):.3f} to {max(spreads.values()):.3f}: "
                f"{listed}."
            )
    return sentences


def _who(measurements: Measurements, one: FamilyComparison) -> str:
    """Return the models and their protocol, to begin a sentence with."""
    n = len(one.names)
    family = "" if len(measurements.families) == 1 else f" of {one.family}"
    models = one.names[0] if n == 1 else f"The {n} networks{family}"
    return f"{models}, {sampling_protocols.PROTOCOLS[one.protocol].phrase}"


def _verdict(effect: float, p: float) -> str:
    if p < LEVEL:
        return f"the networks' units are {'more' if effect > 0 else 'less'} specialised"
    return "no difference is shown"


def _rows(compared: Sequence[FamilyComparison]) -> list[Row]:
    rows: list[Row] = []
    several = len({one.family for one in compared}) > 1
    for one in compared:
        adjusted = {claim: _holm(one, claim) for claim in (THESE, KIND)}
        for place, (measure, title) in enumerate(MEASURES.items()):
            values = one.result.sel(measure=measure)
            row: Row = {"family": one.family} if several else {}
            row |= {
                "protocol": one.protocol,
                "measure": title,
                "estimate": number(values["estimate"]),
                "if both were the same": number(values["null_mean"]),
            }
            for claim, what in ((THESE, "sessions"), (KIND, "networks")):
                its = values.sel(claim=claim)
                row |= {
                    **bounds(f"95 % over {what}", its["low"], its["high"]),
                    f"p over {what}": number(its["p_value"]),
                }
                if claim == KIND:
                    row["p Student over networks"] = number(its["p_student"])
                row[f"p Holm over {what}"] = number(adjusted[claim][place])
            row["effect size"] = number(values["effect_size"])
            rows.append(row)
    return rows


def _holm(one: FamilyComparison, claim: str) -> npt.NDArray[np.float64]:
    """Adjust the p values of findings over the measures of a family and protocol."""
    values = one.result[p_of(one, claim)].sel(claim=claim, measure=list(MEASURES))
    return adjust_p(values.values, method="holm")


def _distributions(
    name: str, measurements: Measurements, comparisons: Sequence[FamilyComparison]
) -> Picture:
    def panel(ax: Axes, one: FamilyComparison, kind: Kind) -> None:
        plot_distributions(ax, one.curves, kind=kind, names=measurements.task_names)
        ax.set_title(f"{one.family}: {one.protocol}")

    kinds: tuple[Kind, ...] = ("histogram", "cumulative")
    return picture(
        name,
        "Distribution of fractional task variance over active units. Thick: the recording with a "
        "95 % band (bootstrap of whole sessions); thin lines: networks. Left: shares in the "
        "published 20 bins; right: cumulative.",
        *(partial(panel, one=one, kind=kind) for one in comparisons for kind in kinds),
        size=(8.6, 3.3 * len(comparisons)),
        n_rows=len(comparisons),
        data=[
            row for one in comparisons for row in curve_rows(one.family, one.protocol, one.curves)
        ],
        banner=measurements.banner,
    )


def curve_rows(family: str, protocol: str, curves: xr.Dataset) -> list[Row]:
    """Return a row for each bin of each distribution of a figure."""
    rows: list[Row] = []
    for place, middle in enumerate(curves["bin"].values):
        base: Row = {
            "family": family,
            "protocol": protocol,
            "bin_middle": number(middle),
        }
        values = curves.isel(bin=place)
        rows.append(
            base
            | {
                "source": str(curves.attrs["name"]),
                "share": number(values["recording_share"]),
                "low": number(values["recording_share_low"]),
                "high": number(values["recording_share_high"]),
            }
        )
        rows += [
            base | {"source": str(name), "share": number(share)}
            for name, share in zip(
                curves["network"].values, values["network_share"].values, strict=True
            )
        ]
    return rows


def share_rows(what: str, values: npt.ArrayLike, of: int | None = None) -> list[Row]:
    """Return a row for each bin of a histogram of FTV, with shares of the finite values.

    Parameters
    ----------
    what
        Title of the histogram.
    values
        FTV of any shape.
    of
        Number that the shares are of, by default that of the finite values.
    """
    finite = np.asarray(values)[np.isfinite(values)]
    shares = np.histogram(finite, FTV_EDGES)[0] / max(finite.size if of is None else of, 1)
    middles = (FTV_EDGES[:-1] + FTV_EDGES[1:]) / 2
    return [
        {"source": what, "bin_middle": number(middle), "share": number(share)}
        for middle, share in zip(middles, shares, strict=True)
    ]


def _effects(
    name: str, compared: Sequence[FamilyComparison], margin: float | None, banner: str
) -> Picture:
    by_name = {f"{one.family}, {one.protocol}": one.result for one in compared}
    claims = [THESE, *([KIND] if any(len(one.names) > 1 for one in compared) else [])]
    draws = [
        partial(plot_effects, comparisons=by_name, claim=claim, measures=measures, margin=margin)
        for claim in claims
        for measures in (DIFFERENCES, DISTANCES)
    ]
    return picture(
        name,
        "Differences between networks and the recording, and distances, with 95 % intervals: over "
        "sessions for these networks, over networks for networks of this kind. Shaded: the margin "
        "of equivalence. Grey bars: distances that samples of one distribution have.",
        *draws,
        size=(8.6, 3.0 * len(claims)),
        n_rows=len(claims),
        data=_rows(compared),
        banner=banner,
    )


SAMPLED = Section(
    name="sampled",
    heading="FTV under the recording's own conditions and noise",
    report="compare",
    compute=_compute_sampled,
    summarise=_summarise_sampled,
    needs=("samples",),
)
PUBLISHED = Section(
    name="published",
    heading="FTV on other protocols, the published one among them",
    report="compare",
    compute=_compute_published,
    summarise=_summarise_published,
    needs=("samples",),
)
