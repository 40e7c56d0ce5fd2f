"""Trial noise: its share of a recording's task variance, and the FTV behind it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.selectivity.ftv_spread import cross_validated_variance, ftv_spread
from nwbcompare.analysis.selectivity.mean_ftv import mean_ftv
from nwbcompare.analysis.selectivity.noise_correction import (
    censoring_table,
    corrected_ftv,
    deconvolved_ftv,
)
from nwbcompare.comparison.compare_samples import distribution_curves
from nwbcompare.core.errors import UnitWarning
from nwbcompare.core.process_pool import run_all
from nwbcompare.plotting.ftv_distributions import plot_distributions
from nwbcompare.plotting.noise_correction import plot_corrected_ftv, plot_noise_share
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import (
    counted,
    interval,
    number,
    percent,
    refusal_sentences,
    sample_sizes,
    sd_of,
    session_count,
)
from nwbcompare.workflows.measurements import ComparisonSource, Measurements
from nwbcompare.workflows.sampling_protocols import MATCHED, Pair
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.sections.ftv_distributions import curve_rows, share_rows
from nwbcompare.workflows.settings import Settings

MOST_BOOTSTRAPS = 200
"""Each refits the population, so fewer than elsewhere."""


@dataclass(frozen=True)
class NoiseCorrection:
    """FTV of a recording without trial noise, estimated in several ways.

    Attributes
    ----------
    corrected, deconvolved, by_rule
        From `corrected_ftv`, `deconvolved_ftv` and `censoring_table` of
        `nwbcompare.analysis.selectivity`.
    curves
        Distributions of the networks without noise and of the deconvolved recording, by family.
    spread
        From `ftv_spread`; None where trials are too few.
    """

    corrected: xr.Dataset
    deconvolved: xr.Dataset
    by_rule: xr.Dataset
    curves: Mapping[str, xr.Dataset]
    spread: xr.Dataset | None

    @classmethod
    def of(cls, results: Results) -> NoiseCorrection:
        """Return the results of the section "noise"."""
        curves = {str(table.attrs["family"]): table for table in results.series("curves")}
        return cls(
            results["corrected"],
            results["deconvolved"],
            results["by_rule"],
            curves,
            results.get("spread"),
        )

    @property
    def population_sd(self) -> tuple[float, float, float] | None:
        """S.d. of FTV behind the noise over units, with its interval; None if not identified."""
        if self.spread is None or not self.spread["is_identified"]:
            return None
        names = ("population_sd", "population_sd_low", "population_sd_high")
        sd, low, high = (float(self.spread[name]) for name in names)
        return sd, low, high


def _compute(
    source: ComparisonSource, earlier: SourceResults, settings: Settings, cache: Path
) -> Results:
    del cache
    measurements = Measurements.of(earlier["samples"])
    variance, pair = measurements.corrected, measurements.pair
    within = "session" if measurements.n_sessions > 1 else None
    deconvolved = deconvolved_ftv(
        variance,
        *pair,
        within=within,
        n_bootstrap=min(MOST_BOOTSTRAPS, settings.n_bootstrap),
        seed=settings.seed,
    )
    results = Results(
        {
            "corrected": corrected_ftv(variance, *pair),
            "deconvolved": deconvolved,
            "by_rule": censoring_table(variance, *pair, shrunken=deconvolved),
        }
    )
    # its warning, that estimates disagree, belongs on the page
    (results["mean_ftv"],), results.warnings = run_all(
        [("recording", mean_ftv, (variance, *pair))], 1, None
    )
    results.attempt(
        "spread",
        partial(_spread_behind_noise, source.recording, pair, within, settings.seed),
        called="spread of FTV behind the noise",
    )
    curves = (
        _curves(measurements, deconvolved, family, settings.seed)
        for family in measurements.families
    )
    results.add_series("curves", [one for one in curves if one is not None])
    return results


def _spread_behind_noise(
    recording: xr.DataTree, pair: Pair, within: str | None, seed: int
) -> xr.Dataset:
    with warnings.catch_warnings():
        # the finding says how many units count
        warnings.simplefilter("ignore", UnitWarning)
        folds = cross_validated_variance(recording, seed=seed)
    return ftv_spread(folds, *pair, within=within)


def _curves(
    measurements: Measurements, deconvolved: xr.Dataset, family: str, seed: int
) -> xr.Dataset | None:
    """Return distributions of networks without noise and of the deconvolved recording."""
    samples = measurements.on(MATCHED.name, family)
    if not samples:
        return None
    curves = distribution_curves(
        measurements.tables(samples),
        measurements.recorded.ftv,
        n_bootstrap=2,  # of the recording with its noise, which is replaced
        seed=seed,
    )
    behind_noise = {
        f"recording_share{end}": ("bin", deconvolved[f"share{end}"].values)
        for end in ("", "_low", "_high")
    }
    return curves.assign(behind_noise).assign_attrs(
        name=f"{measurements.name}, noise taken out", family=family
    )


def noise_share(measurements: Measurements) -> float:
    """Return the noise's share of the task variance of the median active unit."""
    variance = measurements.corrected
    active = measurements.recorded.ftv["active"].values
    share = variance["noise"].sum("task") / variance["uncorrected"].sum("task")
    return float(np.nanmedian(share.values[active]))


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    del name
    measurements = Measurements.of(results["samples"])
    correction = NoiseCorrection.of(results["noise"])
    attrs = correction.corrected.attrs
    findings: list[str | Finding] = [
        f"{measurements.name}: in the median unit {percent(noise_share(measurements))} of the task "
        "variance is trial noise.",
        _spread(measurements, correction),
        _mean(measurements, results["noise"]["mean_ftv"]),
        *refusal_sentences(measurements.name, results["noise"]),
        "Corrected variance of 0 or less in one task: "
        f"{counted(int(attrs['n_censored']), 'unit')} of "
        f"{measurements.recorded.ftv.sizes['unit']}, "
        f"censored at an end of FTV; in both tasks, so that there is no FTV: {attrs['n_untuned']}. "
        "The table shows how the distribution depends on the treatment of these units.",
    ]
    for family in measurements.families:
        findings += _networks(measurements, correction, family)
    return Summary(
        findings=findings,
        rows=_rules(correction),
        pictures=[_picture(measurements, correction)] if pictures else (),
    )


def _mean(measurements: Measurements, means: xr.Dataset) -> str:
    """Return a finding on the three estimates of the mean FTV."""
    listed = ", ".join(
        f"{float(mean):+.3f} ({name})"
        for name, mean in zip(means["estimator"].values, means["mean"].values, strict=True)
    )
    return f"{measurements.name}: the mean FTV over units is {listed}."


def _spread(measurements: Measurements, correction: NoiseCorrection) -> str | Finding:
    """Return a finding on how much FTV varies over the recorded units behind the noise."""
    raw = f"As measured, with the noise, FTV of {measurements.name} has an s.d. of "
    raw += f"{sd_of(measurements.recorded.ftv):.3f} over units."
    found, spread = correction.population_sd, correction.spread
    if spread is None:
        return raw
    if found is None:
        return (
            f"{raw} The s.d. behind the noise is not identified: {spread.attrs['not_identified']}."
        )
    sd, low, high = found
    return Finding(
        text=f"{measurements.name}: behind the noise FTV has an s.d. of {sd:.3f}"
        f"{interval(low, high)} over units, weighted by their tuning. {raw}",
        main=True,
        evidence=Evidence(
            measure="s.d. of FTV behind the noise, units weighted by their tuning",
            effect=number(sd),
            low=number(low),
            high=number(high),
            p_value=number(spread["p_value"]),
            n=f"{counted(int(spread.attrs['n_units']), 'unit')}, "
            f"{session_count(measurements)} "
            f"({float(spread['n_effective']):.0f} effective)",
            unit_of_inference="session" if spread.attrs["within"] else "unit",
            figure="noise",
        ),
    )


def _picture(measurements: Measurements, correction: NoiseCorrection) -> Picture:
    of_networks = (
        "; and, for each family, networks shown the recording's conditions without noise"
        if measurements.models
        else ""
    )
    task, names = measurements.pair[0], measurements.task_names
    panels: list[Callable[[Axes], object]] = [
        partial(plot_noise_share, variance=measurements.corrected, task=task, names=names),
        partial(
            plot_corrected_ftv,
            raw=measurements.recorded.ftv,
            corrected=correction.corrected,
            shrunken=correction.deconvolved,
            names=names,
        ),
        *(
            partial(_networks_panel, curves=curves, family=family, names=names)
            for family, curves in correction.curves.items()
        ),
    ]
    data = _bin_rows(measurements, correction)
    for family, curves in correction.curves.items():
        data += curve_rows(family, MATCHED.name, curves)
    return picture(
        "noise",
        f"The share of noise in each unit's task variance ({names[task]}); FTV as measured, with "
        "noise taken out unit by unit (censored units beyond the ends), and its distribution "
        "behind the noise (the shape by deconvolution, with 95 % interval; its s.d. is biased "
        f"where tuning is weak){of_networks}.",
        *panels,
        size=(8.6, 3.6 * -(-len(panels) // 2)),
        n_rows=-(-len(panels) // 2),
        data=data,
        further={"units": _unit_rows(measurements)},
        banner=measurements.banner,
    )


def _networks(
    measurements: Measurements, correction: NoiseCorrection, family: str
) -> Sequence[str | Finding]:
    """Compare networks without noise with the recording behind its noise."""
    spreads = np.array([sd_of(sample.ftv) for sample in measurements.on(MATCHED.name, family)])
    if not spreads.size:
        return []
    spread = (
        f"{spreads.min():.3f} to {spreads.max():.3f}" if spreads.size > 1 else f"{spreads[0]:.3f}"
    )
    said = (
        f"{'Networks' if len(measurements.families) == 1 else family}, shown the recording's "
        f"conditions without noise, have an s.d. of FTV of {spread}"
    )
    if correction.population_sd is None:
        return [f"{said}; that of the recording behind its noise is not known."]
    sd, low, high = correction.population_sd
    outside = (spreads < low).all() or (spreads > high).all()
    return [
        Finding(
            text=f"{said}; {'all' if outside else 'not all'} lie outside the interval of the "
            f"recording's s.d. behind the noise, {sd:.3f}{interval(low, high)}, its units weighted "
            "by their tuning.",
            main=True,
            evidence=Evidence(
                measure="s.d. of FTV, mean of networks less the recording behind its noise",
                effect=number(spreads.mean() - sd),
                low=number(spreads.mean() - high),
                high=number(spreads.mean() - low),
                n=sample_sizes(measurements, spreads.size),
                unit_of_inference="session, for these networks",
                figure="noise",
            ),
        )
    ]


def _networks_panel(ax: Axes, curves: xr.Dataset, family: str, names: Mapping[str, str]) -> None:
    plot_distributions(ax, curves, kind="histogram", names=names)
    ax.set_title(f"{family}: without noise")


def _rules(correction: NoiseCorrection) -> list[Row]:
    by_rule, spread = correction.by_rule, correction.spread
    names = {
        "mean": "mean",
        "standard_deviation": "s.d.",
        "share_mixed": "share mixed",
        "share_selective": "share selective",
        "n_units": "units",
        "n_censored": "censored",
    }
    rows: list[Row] = [
        {"estimate": "deconvolved (shape)" if rule == "deconvolved" else str(rule)}
        | {title: number(by_rule[name].sel(rule=rule)) for name, title in names.items()}
        for rule in by_rule["rule"].values
    ]
    if spread is not None:
        own = dict.fromkeys(names.values())
        own |= {"mean": number(spread["population_mean"]), "s.d.": number(spread["population_sd"])}
        own |= {"units": number(spread.attrs["n_units"])}
        rows.insert(0, {"estimate": "weighted by tuning", **own})
    return rows


def _unit_rows(measurements: Measurements) -> list[Row]:
    """Return the task variance of each unit and its share of noise."""
    variance = measurements.corrected.sel(task=measurements.pair[0])
    share = variance["noise"] / variance["uncorrected"].where(variance["uncorrected"] > 0)
    return [
        {"unit": str(unit), "raw task variance": number(raw), "noise share": number(part)}
        for unit, raw, part in zip(
            variance["unit"].values, variance["uncorrected"].values, share.values, strict=True
        )
    ]


def _bin_rows(measurements: Measurements, correction: NoiseCorrection) -> list[Row]:
    """Return a row for each bin of the distributions, and for the units censored at each end."""
    values, censored = (
        correction.corrected[name].values for name in ("fractional_task_variance", "censored")
    )
    n = int(np.isfinite(values).sum())
    rows = share_rows("raw", measurements.recorded.ftv["fractional_task_variance"].values)
    rows += share_rows("corrected", values[censored == ""], of=n)
    rows += [
        {
            "source": f"corrected, censored at {end:+d}",
            "bin_middle": end,
            "share": number(part.sum() / max(n, 1)),
        }
        for end in (-1, 1)
        for part in [censored == f"at {end:+d}"]
    ]
    return rows + [
        {
            "source": "behind the noise",
            "bin_middle": number(middle),
            "share": number(correction.deconvolved["share"].values[place]),
            "low": number(correction.deconvolved["share_low"].values[place]),
            "high": number(correction.deconvolved["share_high"].values[place]),
        }
        for place, middle in enumerate(correction.deconvolved["bin"].values)
    ]


SECTION = Section(
    name="noise",
    heading="Trial noise, and FTV behind it",
    report="compare",
    compute=_compute,
    summarise=_summarise,
    needs=("samples",),
)
