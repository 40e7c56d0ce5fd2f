"""How a comparison of training regimes is said: sentences, rows and pictures."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from nwbcompare.comparison.split_half import between_animal_distance
from nwbcompare.core.unit_samples import UnitSample
from nwbcompare.plotting.training_regimes import plot_contrasts, plot_regimes
from nwbcompare.report.page_section import Evidence, Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.formatting import counted, interval, number
from nwbcompare.workflows.training_regimes import shown_name

ONE_ANIMAL = "One animal: nothing here is about the monkey brain, or about monkeys."


def contrast_finding(
    result: xr.Dataset, contrast: str, *, main: bool, figure: str, before: str = ""
) -> Finding:
    """Say whether one regime is closer to the recording than another.

    Parameters
    ----------
    result
        From `nwbcompare.comparison.compare_regimes`.
    contrast
        A label of it.
    main
        Whether this is what the page opens with.
    figure
        The picture that shows it.
    before
        Words before the sentence.
    """
    own = result.sel(contrast=contrast, measure=result.attrs["distance"])
    first, second = shown_name(own["first"].item()), shown_name(own["second"].item())
    difference = float(own["difference"])
    n, p = int(own["n_pairs"]), float(own["p_value"])
    low, high = float(own["difference_low"]), float(own["difference_high"])
    shown = np.isfinite([low, high]).all() and (high < 0 or low > 0) and p < 0.05
    side = "closer to" if difference < 0 else "further from"
    verdict = (
        f"{first} networks are {side} {result.attrs['name']} than {second} ones"
        if shown
        else f"no difference in similarity to {result.attrs['name']} is shown between {first} and "
        f"{second} networks"
    )
    few = "" if float(own["p_smallest"]) < 0.05 else ", too few for a sign-flip test"
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
    """Say how far halves of the recording lie apart."""
    return (
        f"Two halves of {result.attrs['name']} (by sessions) lie {float(result['split_half']):.3f} "
        f"apart [{float(result['split_half_low']):.3f}, {float(result['split_half_high']):.3f}]."
    )


def animals_said(recorded: xr.Dataset, *, seed: int) -> list[str]:
    """Say what the number of animals allows, and how far each two of them lie apart."""
    if np.unique(UnitSample(recorded).animals).size < 2:
        return [ONE_ANIMAL]
    found = between_animal_distance(recorded, seed=seed).sel(measure="wasserstein")
    said = []
    for pair in found["animal_pair"].values:
        own = found.sel(animal_pair=pair)
        said.append(
            f"Animals {own['animal_a'].item()} and {own['animal_b'].item()} lie "
            f"{float(own['value']):.3f} apart (with sessions exchanged between them "
            f"{float(own['null_mean']):.3f} on average, p = {float(own['p_value']):.2g})."
        )
    return [*said, "These animals: nothing here is about others."]


def rows_of(result: xr.Dataset) -> list[Row]:
    """Give a row for each regime, then one for each contrast."""
    distance = result.attrs["distance"]
    rows: list[Row] = []
    for regime in result["regime"].values:
        own = result.sel(regime=regime)
        far = own.sel(measure=distance)
        row: Row = {
            "what": shown_name(regime),
            "networks or pairs": int(own["n_networks"]),
            "Wasserstein distance": number(far["mean"]),
            "95 %": interval(far["mean_low"], far["mean_high"]).strip(),
            "times the split-half distance": number(own["ratio"]),
        }
        for statistic in result["statistic"].values:
            row[str(statistic)] = number(own["value"].sel(statistic=statistic).mean())
        rows.append(row)
    recorded: Row = {"what": str(result.attrs["name"])}
    recorded |= {
        str(name): number(result["recorded"].sel(statistic=name))
        for name in result["statistic"].values
    }
    rows.append(recorded)
    for contrast in result["contrast"].values:
        own = result.sel(contrast=contrast, measure=distance)
        rows.append(
            {
                "what": shown_name(contrast),
                "networks or pairs": int(own["n_pairs"]),
                "Wasserstein distance": number(own["difference"]),
                "95 %": interval(own["difference_low"], own["difference_high"]).strip(),
                "p": number(own["p_value"]),
                "p Holm": number(own["p_adjusted"]),
            }
        )
    return rows


def pairs_picture(name: str, result: xr.Dataset) -> Picture:
    """Draw regimes and contrasts of a comparison side by side."""
    regimes = [str(regime) for regime in result["regime"].values]
    shown = [shown_name(regime) for regime in regimes]
    # long names would run into each other below their marks
    broken = [name.replace(" ", "\n") for name in shown]
    return picture(
        name,
        "Left: Wasserstein distance of the FTV of each network to the recording; thin lines join "
        "networks of one seed, diamonds are means with 95 % intervals over networks and sessions, "
        "the band is what halves of the recording differ by. Right: paired differences with 95 % "
        "intervals; left of 0 the first regime is closer.",
        partial(plot_regimes, result=result, names=dict(zip(regimes, broken, strict=True))),
        partial(plot_contrasts, result=result, names=dict(zip(regimes, shown, strict=True))),
        size=(11.5, max(4.2, 0.62 * result.sizes["contrast"])),
    )
