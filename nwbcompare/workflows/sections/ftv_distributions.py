"""Sections on the distribution of FTV: sampled alike, without noise, and as published."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.comparison.compare_samples import compare_samples, distribution_curves
from nwbcompare.comparison.equivalence import equivalence_test
from nwbcompare.inference.multiple_comparisons import adjust_p
from nwbcompare.plotting.ftv_distributions import DISTANCES, plot_distributions, plot_effects
from nwbcompare.plotting.style import FTV_EDGES
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import LEVEL, interval, number, sd_of, stands_on
from nwbcompare.workflows.measurements import Measurements, Sample

OTHER_PROTOCOLS = ("published", "as recorded")
Kind = Literal["histogram", "cumulative"]
THESE, KIND = "these networks", "networks of this kind"
SAID = {
    "sampled": "sampled as the recording was (its conditions, trials, rates and noise)",
    "signal": "sampled so and tuned as strongly as the recorded units",
    "published": "on the published test trials without noise",
    "as recorded": "as recorded in files",
}
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
SHOWN_DIFFERENCES = ("sd", "mean", "mixed_share", "single_share")


@dataclass(frozen=True)
class Compared:
    """One family of models on one protocol against the recording."""

    family: str
    protocol: str
    models: list[Sample]
    result: xr.Dataset
    """From `nwbcompare.compare_samples`."""

    @property
    def spread(self) -> float:
        """S.d. of FTV of the models, the mean over them."""
        return float(np.mean([sd_of(model.ftv) for model in self.models]))


def compare_all(measurements: Measurements) -> list[Compared]:
    """Compare every family with the recording on every protocol that is compared as measured.

    Networks without noise on the recording's conditions are not among them: they are held
    against the recording's population behind the noise.
    """
    found = []
    for protocol in measurements.protocols:
        for family in measurements.families:
            samples = measurements.on(protocol, family)
            if not samples or protocol == "matched":
                continue
            with warnings.catch_warnings():
                # of one network, which the findings say themselves
                warnings.simplefilter("ignore", UserWarning)
                result = compare_samples(
                    [named(sample, measurements) for sample in samples],
                    measurements.recorded.ftv,
                    n_bootstrap=measurements.settings.n_bootstrap,
                    n_permutations=measurements.settings.n_permutations,
                    seed=measurements.settings.seed,
                )
            found.append(Compared(family, protocol, samples, result))
    return found


def has_other_protocols(compared: Sequence[Compared]) -> bool:
    """Tell whether any model was compared on a protocol other than the recording's own."""
    return any(one.protocol in OTHER_PROTOCOLS for one in compared)


def sampled_section(
    measurements: Measurements, compared: Sequence[Compared], margin: float, margin_is: str
) -> PageSection:
    """Compare networks that were sampled as the recording was: the same noise on both sides.

    Parameters
    ----------
    measurements
        What was measured.
    compared
        From `compare_all`.
    margin
        Of equivalence, in s.d. of FTV.
    margin_is
        Where it comes from.
    """
    own = [one for one in compared if one.protocol in {"sampled", "signal"}]
    findings: list[str | Finding] = []
    for one in own:
        findings += _spread(measurements, one, main=one.protocol == "sampled", figure="ftv-sampled")
        findings.append(_distance(measurements, one))
        findings.append(_alike(measurements, one, margin, margin_is))
    return PageSection(
        name="sampled",
        heading="FTV under the recording's own conditions and noise",
        findings=findings,
        rows=_rows(own),
        pictures=[
            _distributions("ftv-sampled", measurements, own),
            _effects("effects-sampled", own, margin, measurements.banner),
        ],
    )


def published_section(measurements: Measurements, compared: Sequence[Compared]) -> PageSection:
    """Show what the published comparison gives: other conditions, epochs and noise on each side."""
    own = [one for one in compared if one.protocol in OTHER_PROTOCOLS]
    findings: list[str | Finding] = [
        "On this protocol the two sides differ in conditions, epochs and noise: neither a "
        "similarity nor a difference of these distributions is evidence by itself."
    ]
    for one in own:
        findings += _spread(measurements, one, main=False, figure="ftv-published")
    findings += _protocol_effect(measurements)
    return PageSection(
        name="published",
        heading="FTV on other protocols, the published one among them",
        findings=findings,
        rows=_rows(own),
        pictures=[_distributions("ftv-published", measurements, own)],
    )


def named(sample: Sample, measurements: Measurements) -> xr.Dataset:
    """Give a sample table with the recording's names of the two tasks."""
    return sample.ftv.assign_attrs(task_a=measurements.pair[0], task_b=measurements.pair[1])


def _spread(measurements: Measurements, one: Compared, *, main: bool, figure: str) -> list[Finding]:
    """Say how the s.d. of FTV differs: for these networks, then for networks of this kind."""
    return [
        Finding(
            text=_spread_text(measurements, one, claim),
            main=main,
            evidence=_evidence(measurements, one, "sd", claim, figure),
        )
        for claim in ((THESE, KIND) if len(one.models) > 1 else (THESE,))
    ]


def _spread_text(measurements: Measurements, one: Compared, claim: str) -> str:
    own = one.result.sel(measure="sd", claim=claim)
    effect, p = float(own["estimate"]), float(own["p_value"])
    if claim == THESE:
        return (
            f"{_who(measurements, one)}: s.d. of FTV {one.spread:.3f}, against "
            f"{sd_of(measurements.recorded.ftv):.3f} of {measurements.name}; {_verdict(effect, p)}."
        )
    n, smallest = len(one.models), float(one.result["p_smallest"].sel(claim=claim))
    if smallest <= LEVEL:
        return f"Over networks of this kind ({n} of them): {_verdict(effect, p)}."
    return (
        f"Over networks of this kind ({n} of them, too few for a sign-flip test, whose p cannot be "
        f"below {smallest:.2g}): {_verdict(effect, float(own['p_student']))} by Student's t, which "
        "takes networks to be normally distributed."
    )


def _evidence(
    measurements: Measurements, one: Compared, measure: str, claim: str, figure: str
) -> Evidence:
    """Give the numbers of one measure and claim."""
    own = one.result.sel(measure=measure, claim=claim)
    return Evidence(
        measure=MEASURES[measure],
        effect=number(own["estimate"]),
        low=number(own["low"]),
        high=number(own["high"]),
        p_value=number(own[_p_of(one, claim)]),
        n=stands_on(measurements, len(one.models)),
        unit_of_inference=json.loads(one.result.attrs["unit_of_inference"])[claim],
        figure=figure,
    )


def _p_of(one: Compared, claim: str) -> str:
    """Name the p value to go by: that of Student's t where flips cannot tell."""
    exact = claim == THESE or float(one.result["p_smallest"].sel(claim=claim)) <= LEVEL
    return "p_value" if exact else "p_student"


def _distance(measurements: Measurements, one: Compared) -> Finding:
    own = one.result.sel(measure="wasserstein", claim=THESE)
    return Finding(
        text=f"{_who(measurements, one)}: the Wasserstein distance of FTV to {measurements.name} "
        f"is {float(own['estimate']):.3f}; it would be {float(own['null_mean']):.3f} on average if "
        f"both sides were the same (95 % below {float(own['null_high']):.3f}).",
        evidence=_evidence(measurements, one, "wasserstein", THESE, "effects-sampled"),
    )


def _alike(measurements: Measurements, one: Compared, margin: float, margin_is: str) -> Finding:
    claim = KIND if len(one.models) > 1 else THESE
    found = equivalence_test(one.result, margin=margin).sel(claim=claim)
    alike = bool(found["equivalent"])
    smallest = float(found["smallest_margin"])
    return Finding(
        text=f"{_who(measurements, one)}: {'alike' if alike else 'not shown to be alike'} within a "
        f"margin of {margin:.3f} in s.d. of FTV ({margin_is}); the smallest margin that would be "
        f"accepted is {smallest:.3f}.",
        evidence=Evidence(
            measure="equivalence, two one-sided tests (90 % interval)",
            effect=number(found["estimate"]),
            low=number(found["low"]),
            high=number(found["high"]),
            p_value=number(found["p_value"]),
            n=stands_on(measurements, len(one.models)),
            unit_of_inference=json.loads(one.result.attrs["unit_of_inference"])[claim],
            figure="effects-sampled",
        ),
    )


def _protocol_effect(measurements: Measurements) -> list[str]:
    """Say how much the protocol alone moves the networks."""
    found = []
    for family in measurements.families:
        spreads = {
            protocol: np.mean([sd_of(sample.ftv) for sample in measurements.on(protocol, family)])
            for protocol in measurements.protocols
            if measurements.on(protocol, family)
        }
        if len(spreads) > 1:
            listed = ", ".join(f"{sd:.3f} ({name})" for name, sd in spreads.items())
            found.append(
                f"{family}: the choice of protocol alone moves the mean s.d. of FTV of the same "
                f"networks from {min(spreads.values()):.3f} to {max(spreads.values()):.3f}: "
                f"{listed}."
            )
    return found


def _who(measurements: Measurements, one: Compared) -> str:
    """Name the models and how they were sampled, to begin a sentence with."""
    n = len(one.models)
    family = "" if len(measurements.families) == 1 else f" of {one.family}"
    models = one.models[0].name if n == 1 else f"The {n} networks{family}"
    return f"{models}, {SAID[one.protocol]}"


def _verdict(effect: float, p: float) -> str:
    if p < LEVEL:
        return f"the networks' units are {'more' if effect > 0 else 'less'} specialised"
    return "no difference is shown"


def _rows(compared: Sequence[Compared]) -> list[Row]:
    rows: list[Row] = []
    several = len({one.family for one in compared}) > 1
    for one in compared:
        adjusted = {claim: _holm(one, claim) for claim in (THESE, KIND)}
        for place, (measure, shown) in enumerate(MEASURES.items()):
            own = one.result.sel(measure=measure)
            row: Row = {"family": one.family} if several else {}
            row |= {
                "protocol": one.protocol,
                "measure": shown,
                "estimate": number(own["estimate"]),
                "if both were the same": number(own["null_mean"]),
            }
            for claim, what in ((THESE, "sessions"), (KIND, "networks")):
                its = own.sel(claim=claim)
                row |= {
                    f"95 % over {what}": interval(its["low"], its["high"]).strip(),
                    f"p over {what}": number(its["p_value"]),
                }
                if claim == KIND:
                    row["p Student over networks"] = number(its["p_student"])
                row[f"p Holm over {what}"] = number(adjusted[claim][place])
            row["effect size"] = number(own["effect_size"])
            rows.append(row)
    return rows


def _holm(one: Compared, claim: str) -> npt.NDArray[np.float64]:
    """Adjust the p values that findings quote over the measures of a family and protocol."""
    own = one.result[_p_of(one, claim)].sel(claim=claim, measure=list(MEASURES))
    return adjust_p(own.values, method="holm")


def _distributions(name: str, measurements: Measurements, compared: Sequence[Compared]) -> Picture:
    panels, data = [], []
    for one in compared:
        curves = distribution_curves(
            [named(sample, measurements) for sample in one.models],
            measurements.recorded.ftv,
            n_bootstrap=measurements.settings.n_bootstrap,
            seed=measurements.settings.seed,
        )
        data += curve_rows(one.family, one.protocol, curves)
        panels.append((one, curves))

    def panel(ax: Axes, one: Compared, curves: xr.Dataset, kind: Kind) -> None:
        plot_distributions(ax, curves, kind=kind, names=measurements.shown)
        ax.set_title(f"{one.family}: {one.protocol}")

    kinds: tuple[Kind, ...] = ("histogram", "cumulative")
    draws = [
        partial(panel, one=one, curves=curves, kind=kind)
        for one, curves in panels
        for kind in kinds
    ]
    return picture(
        name,
        "Distribution of fractional task variance over active units. Thick: the recording with a "
        "95 % band (bootstrap of whole sessions); thin lines: networks. Left: shares in the "
        "published 20 bins; right: cumulative.",
        *draws,
        size=(8.6, 3.3 * len(panels)),
        n_rows=len(panels),
        data=data,
        banner=measurements.banner,
    )


def curve_rows(family: str, protocol: str, curves: xr.Dataset) -> list[Row]:
    """Give a row for each bin of each distribution of a figure."""
    rows: list[Row] = []
    for place, middle in enumerate(curves["bin"].values):
        base: Row = {
            "family": family,
            "protocol": protocol,
            "bin_middle": number(middle),
        }
        own = curves.isel(bin=place)
        rows.append(
            base
            | {
                "source": str(curves.attrs["name"]),
                "share": number(own["recording_share"]),
                "low": number(own["recording_share_low"]),
                "high": number(own["recording_share_high"]),
            }
        )
        rows += [
            base | {"source": str(name), "share": number(share)}
            for name, share in zip(
                curves["network"].values, own["network_share"].values, strict=True
            )
        ]
    return rows


def share_rows(what: str, values: npt.ArrayLike, of: int | None = None) -> list[Row]:
    """Give a row for each bin of a histogram of FTV: shares of the finite values, or of a number.

    Parameters
    ----------
    what
        What the histogram shows.
    values
        FTV of any shape.
    of
        Of how many the bins are shares.
    """
    finite = np.asarray(values)[np.isfinite(values)]
    shares = np.histogram(finite, FTV_EDGES)[0] / max(finite.size if of is None else of, 1)
    middles = (FTV_EDGES[:-1] + FTV_EDGES[1:]) / 2
    return [
        {"source": what, "bin_middle": number(middle), "share": number(share)}
        for middle, share in zip(middles, shares, strict=True)
    ]


def _effects(name: str, compared: Sequence[Compared], margin: float | None, banner: str) -> Picture:
    by_name = {f"{one.family}, {one.protocol}": one.result for one in compared}
    claims = [THESE, *([KIND] if any(len(one.models) > 1 for one in compared) else [])]
    draws = [
        partial(plot_effects, comparisons=by_name, claim=claim, measures=measures, margin=margin)
        for claim in claims
        for measures in (SHOWN_DIFFERENCES, DISTANCES)
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
