"""The section on trial noise: how much of a recording's variance it is, and FTV behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.analysis.selectivity.noise_correction import (
    censoring_table,
    corrected_ftv,
    deconvolved_ftv,
)
from nwbcompare.comparison.compare_samples import distribution_curves
from nwbcompare.plotting.ftv_distributions import plot_distributions
from nwbcompare.plotting.noise_correction import plot_corrected_ftv, plot_noise_share
from nwbcompare.report.page_section import Evidence, Finding, PageSection, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import counted, interval, number, percent, sd_of, stands_on
from nwbcompare.workflows.measurements import Measurements
from nwbcompare.workflows.sections.ftv_distributions import curve_rows, named, share_rows

MOST_BOOTSTRAPS = 200
"""Each refits the population, so fewer than elsewhere."""


@dataclass(frozen=True)
class Cleaned:
    """A recording's FTV with the noise taken out, in several ways."""

    corrected: xr.Dataset
    shrunken: xr.Dataset
    by_rule: xr.Dataset

    @property
    def population_sd(self) -> tuple[float, float, float]:
        """S.d. of FTV of the population behind the noise, and its interval."""
        names = ("population_sd", "population_sd_low", "population_sd_high")
        sd, low, high = (float(self.shrunken[name]) for name in names)
        return sd, low, high


def clean(measurements: Measurements) -> Cleaned:
    """Take the noise out of a recording's FTV."""
    variance = measurements.corrected
    within = "session" if measurements.n_of("session") > 1 else None
    shrunken = deconvolved_ftv(
        variance,
        *measurements.pair,
        within=within,
        n_bootstrap=min(MOST_BOOTSTRAPS, measurements.settings.n_bootstrap),
        seed=measurements.settings.seed,
    )
    return Cleaned(
        corrected_ftv(variance, *measurements.pair),
        shrunken,
        censoring_table(variance, *measurements.pair, shrunken=shrunken),
    )


def noise_share(measurements: Measurements) -> float:
    """Give the part of its task variance that is noise in the median active unit."""
    variance = measurements.corrected
    active = measurements.recorded.ftv["active"].values
    share = variance["noise"].sum("task") / variance["uncorrected"].sum("task")
    return float(np.nanmedian(share.values[active]))


def noise_section(measurements: Measurements, cleaned: Cleaned) -> PageSection:
    """Show what noise does to a recording's FTV."""
    sd, low, high = cleaned.population_sd
    raw = sd_of(measurements.recorded.ftv)
    attrs = cleaned.corrected.attrs
    findings: list[str | Finding] = [
        f"{measurements.name}: in the median unit {percent(noise_share(measurements))} of the task "
        "variance is trial noise.",
        Finding(
            text=f"{measurements.name}: behind the noise FTV has an s.d. of {sd:.3f} over units "
            f"(deconvolved), as measured {raw:.3f}.",
            main=True,
            evidence=Evidence(
                measure="s.d. of FTV of the population",
                effect=number(sd),
                low=number(low),
                high=number(high),
                n=f"{counted(int(cleaned.shrunken.attrs['n_units']), 'unit')}, "
                f"{counted(measurements.n_of('session'), 'session')}",
                unit_of_inference="session" if cleaned.shrunken.attrs["within"] else "unit",
                figure="noise",
            ),
        ),
        "Corrected variance of 0 or less in one task: "
        f"{counted(int(attrs['n_censored']), 'unit')} of "
        f"{measurements.recorded.ftv.sizes['unit']}, "
        f"censored at an end of FTV; in both tasks, so that there is no FTV: {attrs['n_untuned']}. "
        "The table shows how the distribution depends on what is done with them.",
    ]
    for family in measurements.families:
        findings += _networks(measurements, cleaned, family)
    task = measurements.pair[0]
    panels: list[Callable[[Axes], object]] = [
        partial(
            plot_noise_share, variance=measurements.corrected, task=task, names=measurements.shown
        ),
        partial(
            plot_corrected_ftv,
            raw=measurements.recorded.ftv,
            corrected=cleaned.corrected,
            shrunken=cleaned.shrunken,
            names=measurements.shown,
        ),
    ]
    curves = {family: _curves(measurements, cleaned, family) for family in measurements.families}
    data = _unit_rows(measurements, cleaned)
    for family, own in curves.items():
        if own is not None:
            panels.append(
                partial(_networks_panel, curves=own, family=family, names=measurements.shown)
            )
            data += curve_rows(family, "matched", own)
    return PageSection(
        name="noise",
        heading="Trial noise, and FTV behind it",
        findings=findings,
        rows=_rules(cleaned.by_rule),
        pictures=[
            picture(
                "noise",
                f"The part of each unit's task variance that is noise ({measurements.shown[task]}"
                "); FTV as measured, with noise taken out unit by unit (censored units beyond the "
                "ends), and the distribution over units behind the noise with its 95 % interval; "
                "and, for each family, networks shown the recording's conditions without noise "
                "against it.",
                *panels,
                size=(8.6, 3.6 * -(-len(panels) // 2)),
                n_rows=-(-len(panels) // 2),
                data=data,
                banner=measurements.banner,
            )
        ],
    )


def _networks(measurements: Measurements, cleaned: Cleaned, family: str) -> Sequence[Finding]:
    """Hold networks without noise against the population behind the noise."""
    spreads = np.array([sd_of(sample.ftv) for sample in measurements.on("matched", family)])
    if not spreads.size:
        return []
    sd, low, high = cleaned.population_sd
    own = f"{spreads.min():.3f} to {spreads.max():.3f}" if spreads.size > 1 else f"{spreads[0]:.3f}"
    outside = (spreads < low).all() or (spreads > high).all()
    return [
        Finding(
            text=f"{'Networks' if len(measurements.families) == 1 else family}, shown the "
            f"recording's conditions without noise, have an s.d. of FTV of {own}; "
            f"{'all' if outside else 'not all'} lie outside the interval of the recording's "
            f"population behind the noise, {sd:.3f}{interval(low, high)}.",
            main=True,
            evidence=Evidence(
                measure="s.d. of FTV, mean of networks less the recording's population",
                effect=number(spreads.mean() - sd),
                low=number(spreads.mean() - high),
                high=number(spreads.mean() - low),
                n=stands_on(measurements, spreads.size),
                unit_of_inference="session, for these networks",
                figure="noise",
            ),
        )
    ]


def _curves(measurements: Measurements, cleaned: Cleaned, family: str) -> xr.Dataset | None:
    """Give the distributions of networks without noise and of the population behind the noise."""
    samples = measurements.on("matched", family)
    if not samples:
        return None
    curves = distribution_curves(
        [named(sample, measurements) for sample in samples],
        measurements.recorded.ftv,
        n_bootstrap=2,  # of the recording as measured, which is not shown
        seed=measurements.settings.seed,
    )
    behind = {
        f"recording_share{end}": ("bin", cleaned.shrunken[f"share{end}"].values)
        for end in ("", "_low", "_high")
    }
    return curves.assign(behind).assign_attrs(name=f"{measurements.name}, noise taken out")


def _networks_panel(ax: Axes, curves: xr.Dataset, family: str, names: Mapping[str, str]) -> None:
    plot_distributions(ax, curves, kind="histogram", names=names)
    ax.set_title(f"{family}: without noise")


def _rules(by_rule: xr.Dataset) -> list[Row]:
    names = {
        "mean": "mean",
        "standard_deviation": "s.d.",
        "share_mixed": "share mixed",
        "share_selective": "share selective",
        "n_units": "units",
        "n_censored": "censored",
    }
    return [
        {"estimate": str(rule)}
        | {shown: number(by_rule[name].sel(rule=rule)) for name, shown in names.items()}
        for rule in by_rule["rule"].values
    ]


def _unit_rows(measurements: Measurements, cleaned: Cleaned) -> list[Row]:
    """Give what is drawn of the recording: a row a unit, then a row a bin."""
    own = measurements.corrected.sel(task=measurements.pair[0])
    share = own["noise"] / own["uncorrected"].where(own["uncorrected"] > 0)
    rows: list[Row] = [
        {"unit": str(unit), "raw task variance": number(raw), "noise share": number(part)}
        for unit, raw, part in zip(
            own["unit"].values, own["uncorrected"].values, share.values, strict=True
        )
    ]
    values, censored = (
        cleaned.corrected[name].values for name in ("fractional_task_variance", "censored")
    )
    n = int(np.isfinite(values).sum())
    rows += share_rows("raw", measurements.recorded.ftv["fractional_task_variance"].values)
    rows += share_rows("corrected", values[censored == ""], of=n)
    rows += [
        {"source": f"corrected, censored at {end:+d}", "share": number(part.sum() / max(n, 1))}
        for end in (-1, 1)
        for part in [censored == f"at {end:+d}"]
    ]
    return rows + [
        {
            "source": "behind the noise",
            "bin_middle": number(middle),
            "share": number(cleaned.shrunken["share"].values[place]),
            "low": number(cleaned.shrunken["share_low"].values[place]),
            "high": number(cleaned.shrunken["share_high"].values[place]),
        }
        for place, middle in enumerate(cleaned.shrunken["bin"].values)
    ]
