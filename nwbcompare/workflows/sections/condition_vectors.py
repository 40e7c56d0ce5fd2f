"""Condition vectors: cosine between the effects of a condition variable in two tasks."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import xarray as xr

from nwbcompare.analysis.population.compositionality import composition_cosine, pairing_null
from nwbcompare.analysis.population.task_vectors import condition_vectors
from nwbcompare.core.activity import (
    blocks,
    condition_variables_of,
    epoch_names,
    labels,
    tasks_of,
)
from nwbcompare.core.errors import NotApplicableError, listing
from nwbcompare.core.number_text import p_text
from nwbcompare.plotting.compositionality import plot_condition_cosines
from nwbcompare.report.page_section import Cell
from nwbcompare.report.pictures import picture
from nwbcompare.workflows.analysis_sources import AnalysisSource
from nwbcompare.workflows.formatting import NAMES, refusal_sentences
from nwbcompare.workflows.section import Refusal, Results, Section, SourceResults, Summary
from nwbcompare.workflows.settings import Settings

STIMULUS = "stim1"
"""Epoch of the first stimulus in tasks of the package."""
N_LEVELS = 2
"""A difference of conditions is between two levels of a variable."""


def _shared(source: AnalysisSource) -> list[tuple[str, str, str]]:
    """Return pairs of tasks with a condition variable that has the same two levels in both."""
    levels: dict[tuple[str, str], tuple[float, ...]] = {}
    for block in blocks(source.activity).values():
        task = labels(block["task"])
        for name, variables in condition_variables_of(block).items():
            for variable in variables:
                values = np.unique(block[variable].values[task == name])
                if values.size == N_LEVELS:
                    levels[name, variable] = tuple(values.tolist())
    return [
        (first[0], second[0], first[1])
        for first, second in combinations(levels, 2)
        if first[1] == second[1] and levels[first] == levels[second]
    ]


def _applies_to(source: AnalysisSource) -> Refusal | None:
    """Return a refusal of networks, and of recordings without a shared variable."""
    if source.network is not None:
        return Refusal("Its test trials have many levels; the task vectors are analysed.")
    if not _shared(source):
        return Refusal("No condition variable has the same two levels in two tasks.")
    return None


def _compute(
    source: AnalysisSource, _earlier: SourceResults, settings: Settings, _cache: Path
) -> Results:
    """Compute ``VARIABLE_A_B`` for each two tasks: cosine, interval and null."""
    results = Results()
    for a, b, variable in _shared(source):
        # one pair of tasks may not apply, such as one without a common epoch; the others do
        results.attempt(f"{variable}_{a}_{b}", partial(_cosine, source, a, b, variable, settings))
    return results


def _cosine(
    source: AnalysisSource, a: str, b: str, variable: str, settings: Settings
) -> xr.Dataset:
    """Compute the cosine of a variable's effects in two tasks, with its interval and null."""
    epoch = _epoch_of(source, (a, b))
    vectors = condition_vectors(
        # over the whole epoch, since single bins of a recording are noisy
        source.activity,
        [variable],
        epoch=epoch,
        at="mean",
        tasks=[a, b],
        missing="leave_out",
    )
    # high minus low in either task; each task's two levels stand in ascending order
    (a_low, a_high), (b_low, b_high) = (
        vectors["condition"].values[vectors["task"].values == task] for task in (a, b)
    )
    four = tuple(map(str, (a_high, a_low, b_high, b_low)))
    # keeps means over units: where units define the signs, these are not 0
    null = pairing_null(
        vectors, *four, n_permutations=settings.n_unit_permutations, seed=settings.seed
    )
    cosine = composition_cosine(vectors, *four, seed=settings.seed)
    return xr.merge([cosine, null.drop_vars("cosine")], combine_attrs="override").assign_attrs(
        task_a=a, task_b=b, variable=variable, epoch=epoch
    )


def _epoch_of(source: AnalysisSource, tasks: tuple[str, str]) -> str:
    """Return the epoch of the first stimulus, or the only one that two tasks share."""
    by_task = {
        task: epoch_names(block)
        for block in blocks(source.activity).values()
        for task in tasks_of(block)
    }
    shared = [name for name in by_task[tasks[0]] if name in by_task[tasks[1]]]
    if STIMULUS in shared:
        return STIMULUS
    if len(shared) != 1:
        raise NotApplicableError(
            " and ".join(tasks),
            f"an epoch {STIMULUS!r}, or only one, in both tasks",
            listing(shared),
            f"Call the epoch to analyse {STIMULUS!r}.",
        )
    return shared[0]


def _summarise(name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return a finding for each two tasks, one row of all cosines, and their picture."""
    tables = results["conditions"]
    findings: list[str] = refusal_sentences(name, tables)
    numbers: dict[str, Cell] = {}
    for one in tables.values():
        a, b, variable = (str(one.attrs[key]) for key in ("task_a", "task_b", "variable"))
        low, high = one["interval"].values
        null = one["null_cosine"].values
        # results of earlier versions are of the stimulus
        epoch = str(one.attrs.get("epoch", STIMULUS))
        during = "" if epoch == STIMULUS else f" (epoch {epoch})"
        label = f"{variable}, {NAMES.get(a, a)} and {NAMES.get(b, b)}"
        numbers |= {f"cosine: {label}": float(one["cosine"]), f"p: {label}": float(one["p_value"])}
        findings.append(
            f"{name}: the effects of {variable} in {NAMES.get(a, a)} and in {NAMES.get(b, b)} "
            f"have a cosine of {float(one['cosine']):+.2f} [{low:+.2f}, {high:+.2f}] over "
            f"units{during}; with units paired at random {null.mean():+.2f}, "
            f"{p_text(float(one['p_value']))}."
        )
    if not pictures or not tables:
        return Summary(findings=findings, rows=[{"source": name, **numbers}])
    figure = picture(
        f"conditions-{name}",
        f"{name}: cosine between the change that a condition variable makes in one task and in the "
        "other (95 % bootstrap interval over units), and with units paired at random (grey: 95 %).",
        partial(plot_condition_cosines, cosines=list(tables.values()), names=NAMES),
        size=(5.6, 1.4 + 0.6 * len(tables)),
    )
    return Summary(findings=findings, rows=[{"source": name, **numbers}], pictures=[figure])


SECTION = Section(
    name="conditions",
    heading="Condition vectors",
    method="Mean rates over the first stimulus (else the only epoch), by level of a condition "
    "variable; the difference of its two levels in one task against that in the other. Null: units "
    "of the two differences paired at random, which keeps what all units share, such as signs that "
    "are defined by each unit's preference. The unit of inference is the unit, of one animal; "
    "trials' noise brings cosines towards 0.",
    compute=_compute,
    summarise=_summarise,
    applies_to=_applies_to,
)
