"""Sentences, rows and pictures of a comparison of training regimes."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from nwbcompare.core.number_text import p_text
from nwbcompare.plotting.training_regimes import plot_contrasts, plot_regimes
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import bounds, counted, number
from nwbcompare.workflows.training_regimes import title_of

ONE_ANIMAL = "One animal: nothing here is about the monkey brain, or about monkeys."


def contrast_finding(
    result: xr.Dataset, contrast: str, *, main: bool, figure: str, before: str = ""
) -> Finding:
    """Return whether one regime is closer to the recording than another.

    Parameters
    ----------
    result
        From `nwbcompare.comparison.compare_regimes`.
    contrast
        Label of a contrast.
    main
        Whether the finding opens the page.
    figure
        Name of the picture that shows it.
    before
        Words before the sentence.
    """
    values = result.sel(contrast=contrast, measure=result.attrs["distance"])
    first, second = title_of(values["first"].item()), title_of(values["second"].item())
    difference = float(values["difference"])
    n, p = int(values["n_pairs"]), float(values["p_value"])
    low, high = float(values["difference_low"]), float(values["difference_high"])
    # p is about this recording, the interval also about other sessions: both count
    differs = np.isfinite([low, high]).all() and (high < 0 or low > 0) and p < 0.05
    side = "closer to" if difference < 0 else "further from"
    verdict = (
        f"{first} networks are {side} {result.attrs['name']} than {second} ones"
        if differs
        else f"no difference in similarity to {result.attrs['name']} is shown between {first} and "
        f"{second} networks"
    )
    # exact flips of 5 pairs or fewer cannot reach p < 0.05
    few = "" if float(values["p_smallest"]) < 0.05 else ", too few for a sign-flip test"
    text = f"{before}{verdict} ({counted(n, 'pair')}{few})."
    return Finding(
        text=text[0].upper() + text[1:],
        main=main,
        evidence=Evidence(
            measure=f"difference of Wasserstein distance of FTV, {first} less {second}",
            effect=number(difference),
            low=number(low),
            high=number(high),
            p_value=number(p),
            n=f"{counted(n, 'pair')} of networks, {result.attrs['n_groups']} sessions",
            unit_of_inference=str(result.attrs["unit_of_inference"]),
            figure=figure,
        ),
    )


def split_half_sentence(result: xr.Dataset) -> str:
    """Return how far halves of the recording lie apart."""
    return (
        f"Two halves of {result.attrs['name']} (by sessions) lie {float(result['split_half']):.3f} "
        f"apart [{float(result['split_half_low']):.3f}, {float(result['split_half_high']):.3f}]."
    )


def animal_sentences(distances: xr.Dataset) -> list[str]:
    """Return how far each two animals lie apart.

    Parameters
    ----------
    distances
        From `nwbcompare.comparison.between_animal_distance`.
    """
    distances = distances.sel(measure="wasserstein")
    sentences = []
    for pair in distances["animal_pair"].values:
        values = distances.sel(animal_pair=pair)
        sentences.append(
            f"Animals {values['animal_a'].item()} and {values['animal_b'].item()} lie "
            f"{float(values['value']):.3f} apart (with sessions exchanged between them "
            f"{float(values['null_mean']):.3f} on average, {p_text(float(values['p_value']))})."
        )
    return [*sentences, "These animals: nothing here is about others."]


def regime_rows(result: xr.Dataset) -> list[Row]:
    """Return a row for each regime, and one for the recording, which has no distance."""
    distance = result.attrs["distance"]
    rows: list[Row] = []
    for regime in result["regime"].values:
        values = result.sel(regime=regime)
        far = values.sel(measure=distance)
        row: Row = {
            "source": title_of(regime),
            "networks": int(values["n_networks"]),
            "Wasserstein distance": number(far["mean"]),
            **bounds("95 %", far["mean_low"], far["mean_high"]),
            "times the split-half distance": number(values["ratio"]),
        }
        for statistic in result["statistic"].values:
            row[str(statistic)] = number(values["value"].sel(statistic=statistic).mean())
        rows.append(row)
    recorded: Row = {"source": str(result.attrs["name"])}
    recorded |= {
        str(name): number(result["recorded"].sel(statistic=name))
        for name in result["statistic"].values
    }
    return [*rows, recorded]


def contrast_rows(result: xr.Dataset) -> list[Row]:
    """Return a row for each contrast of two regimes."""
    rows: list[Row] = []
    for contrast in result["contrast"].values:
        values = result.sel(contrast=contrast, measure=result.attrs["distance"])
        rows.append(
            {
                "contrast": title_of(contrast),
                "pairs of networks": int(values["n_pairs"]),
                "difference of Wasserstein distance": number(values["difference"]),
                **bounds("95 %", values["difference_low"], values["difference_high"]),
                "p": number(values["p_value"]),
                "p Holm": number(values["p_adjusted"]),
            }
        )
    return rows


def pairs_picture(name: str, result: xr.Dataset) -> Picture:
    """Plot regimes and contrasts of a comparison side by side."""
    regimes = [str(regime) for regime in result["regime"].values]
    titles = [title_of(regime) for regime in regimes]
    # long names would run into each other below their marks
    broken = [title.replace(" ", "\n") for title in titles]
    return picture(
        name,
        "Left: Wasserstein distance of the FTV of each network to the recording; thin lines join "
        "networks of one seed, diamonds are means with 95 % intervals over networks and sessions, "
        "the band is what halves of the recording differ by. Right: paired differences with 95 % "
        "intervals; left of 0 the first regime is closer.",
        partial(plot_regimes, result=result, names=dict(zip(regimes, broken, strict=True))),
        partial(plot_contrasts, result=result, names=dict(zip(regimes, titles, strict=True))),
        size=(11.5, max(4.2, 0.62 * result.sizes["contrast"])),
    )
