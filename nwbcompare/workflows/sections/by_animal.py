"""What a comparison says of each of several animals, and of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import xarray as xr

from nwbcompare.comparison.by_animal import OF_ANIMAL
from nwbcompare.comparison.sample_contrasts import LEVEL, THESE
from nwbcompare.core.number_text import p_text
from nwbcompare.report.page_section import Evidence, Finding
from nwbcompare.workflows.formatting import counted, interval, number, percent


def untested(result: xr.Dataset, claim: str) -> str:
    """Return why a claim of a comparison is not tested, or "" where it is.

    Parameters
    ----------
    result
        From `nwbcompare.compare_samples`.
    claim
        A claim of it.
    """
    return str(json.loads(result.attrs["untested"]).get(claim, ""))


def unit_of(result: xr.Dataset) -> str:
    """Return the unit of inference about these networks: "session", or "unit" without sessions."""
    return str(json.loads(result.attrs["unit_of_inference"])[THESE]).partition(" ")[0]


def animal_findings(
    result: xr.Dataset, who: str, figure: str, units: Mapping[str, str]
) -> list[str | Finding]:
    """Return findings on the s.d. of FTV animal by animal; none for one animal.

    Parameters
    ----------
    result
        From `nwbcompare.compare_samples`.
    who
        The networks and their protocol, to begin a sentence with.
    figure
        Name of the figure that shows them.
    units
        Unit of inference by name of the animal, from `unit_of`.
    """
    if "p_by_animal" not in result:
        return []
    values = result.sel(measure="sd", claim=THESE)
    names = [str(name) for name in values["animal"].values]
    findings: list[str | Finding] = [
        _of_animal(values.sel(animal=name), f"{units[name]} of {name}", name, who, figure)
        for name in names
    ]
    findings.append(_together(values, names))
    findings += [_difference(values.sel(animal_pair=pair)) for pair in values["animal_pair"].values]
    if "animals_mean" in result:
        findings.append(
            f"Over the population of animals ({result.attrs['over_animals']}): "
            f"{float(values['animals_mean']):+.3f}"
            f"{interval(values['animals_low'], values['animals_high'])}, "
            f"{p_text(float(values['animals_p']))}."
        )
    else:
        findings.append(f"A mean over animals does not apply: {_reason(result)}.")
    return findings


def _reason(result: xr.Dataset) -> str:
    return str(result.attrs["over_animals"]).removeprefix("not applicable: ")


def _of_animal(values: xr.Dataset, unit: str, name: str, who: str, figure: str) -> Finding:
    its = {key: values[variable] for key, variable in OF_ANIMAL.items()}
    return Finding(
        text=f"{who}, against {name} by itself: difference of s.d. of FTV "
        f"{float(values['estimate_by_animal']):+.3f}.",
        evidence=Evidence(
            measure="difference of s.d. of FTV",
            effect=number(values["estimate_by_animal"]),
            low=number(its["low"]),
            high=number(its["high"]),
            p_value=number(its["p_value"]),
            n=f"{counted(int(values.attrs['n_networks']), 'network')}, one animal",
            unit_of_inference=unit,
            figure=figure,
        ),
    )


def _together(values: xr.Dataset, names: list[str]) -> str:
    n, showing = len(names), float(values["n_showing"])
    listed = " and ".join(names) if n == 2 else f"the {n} animals"
    if np.isnan(showing):
        return f"No statement about {listed} together: an animal has too few sessions for a test."
    all_of = "both" if n == 2 else "all"
    holds = bool(values["p_value"] <= LEVEL)
    shown = "is shown" if holds else "is not shown"
    p = p_text(float(values["p_value"]))
    return (
        f"The difference {shown} in {all_of} of {n} animals ({listed}; {p}, the "
        f"largest of any animal): in {int(showing)} of {n} at 5 %, which supports a prevalence of "
        f"at least {percent(values['prevalence_bound'])} among animals like these (Bayesian, "
        f"probability 0.95; most probable {percent(values['prevalence'])}, 95 % "
        f"{percent(values['prevalence_low'])} to {percent(values['prevalence_high'])})."
    )


def _difference(values: xr.Dataset) -> str:
    ends = values["animal_difference_low"], values["animal_difference_high"]
    return (
        f"Between the animals ({values['animal_pair'].item()}) this difference differs by "
        f"{float(values['animal_difference']):+.3f}{interval(*ends)}, "
        f"{p_text(float(values['animal_difference_p']))}."
    )
