"""Similarity of networks after continual learning to a recording, by training regime."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import xarray as xr
from matplotlib.axes import Axes

from nwbcompare.comparison.attribution import attribution
from nwbcompare.comparison.compare_samples import distribution_curves
from nwbcompare.comparison.split_half import between_animal_distance
from nwbcompare.comparison.training_regimes import compare_regimes
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.plotting.ftv_distributions import plot_distributions
from nwbcompare.report.page_section import Finding, Picture, Row
from nwbcompare.report.pictures import picture
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows import sampling_protocols
from nwbcompare.workflows.continual_measurements import AT_LEVEL, PRIMARY, WITH_LEVELS
from nwbcompare.workflows.section import Results, Section, SourceResults, Summary
from nwbcompare.workflows.sections.continual_evidence import (
    ONE_ANIMAL,
    animal_sentences,
    contrast_finding,
    contrast_rows,
    pairs_picture,
    regime_rows,
    split_half_sentence,
)
from nwbcompare.workflows.settings import CONTEXTS, Settings
from nwbcompare.workflows.study_plan import LEVELS
from nwbcompare.workflows.study_source import StudySource, Tables
from nwbcompare.workflows.training_regimes import CONTROLS, UNTRAINED

CONTRASTS = (
    ("consolidated", "sequential"),
    ("consolidated", "permuted"),
    ("consolidated", "uniform"),
    ("consolidated", "interleaved"),
    ("sequential", "interleaved"),
    ("consolidated", UNTRAINED),
    ("sequential", UNTRAINED),
)
"""Fixed in advance; the first is the primary one, the next two decide on attribution."""
PAIRINGS = (sampling_protocols.RANKED.name, sampling_protocols.REVERSED.name)
"""Protocols without a figure of distributions, which differ little from the primary one's."""
PLOTTED = ("interleaved", "sequential", "consolidated", UNTRAINED)


def compare_tables(
    tables: Tables, contrasts: Sequence[tuple[str, str]], source: StudySource
) -> xr.Dataset:
    """Compare training regimes with the recording; contrasts without any pair are left out.

    Parameters
    ----------
    tables
        Sample tables by regime and seed.
    contrasts
        Pairs of regimes, the first the primary one.
    source
        The study.

    Returns
    -------
    xarray.Dataset
        From `nwbcompare.comparison.compare_regimes`.

    Raises
    ------
    NotApplicableError
        Where no seed has both regimes of the primary contrast.
    """
    pairs = [
        (first, second)
        for first, second in contrasts
        if set(tables.get(first, ())) & set(tables.get(second, ()))
    ]
    if not pairs or pairs[0] != CONTRASTS[0]:
        raise NotApplicableError(
            "networks",
            "a seed with both a sequential and a consolidated network on this protocol",
            "none",
            "Train more networks, or for longer.",
        )
    regimes = {name for pair in pairs for name in pair}
    with warnings.catch_warnings():
        # contrasts with one pair, whose number the page shows
        warnings.simplefilter("ignore", UserWarning)
        return compare_regimes(
            {regime: by_seed for regime, by_seed in tables.items() if regime in regimes},
            source.recorded,
            pairs,
            n_bootstrap=source.settings.n_bootstrap,
            n_splits=source.settings.n_splits,
            seed=source.settings.seed,
        )


def _compute(
    source: StudySource,
    _earlier: SourceResults,
    settings: Settings,
    _cache: Path,
    *,
    protocol: str,
    with_excluded: bool = False,
) -> Results:
    """Compare regimes on one protocol; see `compare_tables` for ``comparison``.

    ``curves.N`` are distributions by regime. On the primary protocol also ``attribution``, where
    both controls have pairs, and ``animals``, the distances between animals, where there are
    several.
    """
    tables = source.tables(protocol, with_excluded=with_excluded)
    results = Results({"comparison": compare_tables(tables, CONTRASTS, source)})
    if protocol not in PAIRINGS and not with_excluded:
        results.add_series(
            "curves",
            (
                distribution_curves(
                    list(tables[regime].values()), source.recorded, n_bootstrap=settings.n_bootstrap
                ).assign_attrs(regime=regime)
                for regime in PLOTTED
                if regime in tables
            ),
        )
    # attribution is part of the primary test alone, with both controls
    if protocol == PRIMARY and not with_excluded:
        contrasts = set(results["comparison"]["contrast"].values)
        if {f"consolidated - {other}" for other in ("sequential", *CONTROLS)} <= contrasts:
            results["attribution"] = attribution(results["comparison"], CONTRASTS[0], CONTROLS)
        results.attempt(
            "animals", lambda: between_animal_distance(source.recorded, seed=settings.seed)
        )
    return results


def _summarise(
    _name: str, results: SourceResults, *, pictures: bool, section: str, note: str = ""
) -> Summary:
    """Return all contrasts, on the primary protocol with the attribution."""
    tables = results[section]
    comparison, is_main = tables["comparison"], section == f"ftv-{PRIMARY}"
    contrasts = [str(contrast) for contrast in comparison["contrast"].values]
    findings: list[str | Finding] = [note] if note else []
    findings += [
        contrast_finding(
            comparison, contrast, main=is_main and place == 0, figure=f"{section}-pairs"
        )
        for place, contrast in enumerate(contrasts)
    ]
    if is_main:
        findings.insert(1, _attribution_sentence(tables))
    # other sections already state the distance of the halves
    if not note:
        findings.append(split_half_sentence(comparison))
    if is_main:
        has_animals = "animals" in tables
        findings += animal_sentences(tables["animals"]) if has_animals else [ONE_ANIMAL]
    panels = [pairs_picture(f"{section}-pairs", comparison)] if pictures else []
    if pictures and (curves := tables.series("curves")):
        panels.append(_distributions(section, curves))
    return Summary(
        findings=findings,
        rows=regime_rows(comparison),
        further={"contrasts": contrast_rows(comparison)},
        pictures=panels,
    )


def _attribution_sentence(tables: Results) -> str:
    """Return whether similarity is attributed to consolidation, or why that cannot be said."""
    if "attribution" not in tables:
        contrasts = set(tables["comparison"]["contrast"].values)
        absent = [one for one in CONTROLS if f"consolidated - {one}" not in contrasts]
        return (
            "Whether similarity is to be attributed to consolidation cannot be said: no pairs with "
            f"the controls {', '.join(absent)}."
        )
    verdict = tables["attribution"]
    by_contrast = zip(verdict["contrast"].values, verdict["verdict"].values, strict=True)
    texts = ", ".join(f"{contrast}: {text}" for contrast, text in by_contrast)
    return f"Attribution to consolidation: {verdict['status'].item()} ({texts})."


def _distributions(section: str, curves: Sequence[xr.Dataset]) -> Picture:
    """Plot the distribution of FTV by regime, over that of the recording."""
    names = {task: display_name(task) for task in CONTEXTS}

    def panel(ax: Axes, one: xr.Dataset) -> None:
        plot_distributions(ax, one, kind="histogram", names=names)
        ax.set_title(str(one.attrs["regime"]))

    return picture(
        f"{section}-distributions",
        "FTV of active units by training regime. Thick: the recording with a 95 % band (whole "
        "sessions); thin lines: networks (Fig. 8 d, e of Yang et al. 2019).",
        *(partial(panel, one=one) for one in curves),
        size=(3.4 * len(curves), 3.3),
    )


def _compute_levels(
    source: StudySource, _earlier: SourceResults, _settings: Settings, _cache: Path
) -> Results:
    """Compare weights from when both context tasks first reached a level, level by level."""
    results = Results()
    for level in LEVELS:
        tables = source.tables(AT_LEVEL.format(level))
        counts = [len(tables.get(regime, {})) for regime in WITH_LEVELS]
        results[f"counts {level:g}"] = xr.Dataset(
            {"n_networks": ("regime", counts)}, {"regime": list(WITH_LEVELS)}
        )
        results.attempt(f"comparison {level:g}", partial(compare_tables, tables, CONTRASTS, source))
    return results


def _summarise_levels(_name: str, results: SourceResults, *, pictures: bool) -> Summary:
    """Return the primary contrast at each level, with the numbers of networks that reached it."""
    del pictures
    tables = results["levels"]
    rows: list[Row] = []
    contrasts: list[Row] = []
    findings: list[str | Finding] = []
    for level in LEVELS:
        counts = tables[f"counts {level:g}"]
        by_regime = zip(counts["n_networks"].values, counts["regime"].values, strict=True)
        networks = ", ".join(f"{n} {regime}" for n, regime in by_regime)
        comparison = tables.get(f"comparison {level:g}")
        if comparison is None:
            findings.append(f"Worst of Ctx DM 1 and 2 at {level:g}: {networks} networks; no pair.")
            continue
        findings.append(
            contrast_finding(
                comparison,
                "consolidated - sequential",
                main=False,
                figure="",
                before=f"When the worst of Ctx DM 1 and 2 first reached {level:g} ({networks} "
                "networks), ",
            )
        )
        at: Row = {"worst of Ctx DM at": level}
        rows += [at | row for row in regime_rows(comparison)]
        contrasts += [at | row for row in contrast_rows(comparison)]
    return Summary(findings=findings, rows=rows, further={"contrasts": contrasts})


def _section(
    name: str, heading: str, protocol: str, *, with_excluded: bool = False, note: str = ""
) -> Section[StudySource]:
    """Return a section that compares regimes on one protocol."""
    return Section(
        name=name,
        heading=heading,
        report="continual",
        compute=partial(_compute, protocol=protocol, with_excluded=with_excluded),
        summarise=partial(_summarise, section=name, note=note),
    )


def _of_protocol(protocol: sampling_protocols.SamplingProtocol) -> Section[StudySource]:
    """Return the section of a protocol, headed by its phrase."""
    heading = f"Similarity to the recording, {protocol.phrase}"
    return _section(f"ftv-{protocol.name}", heading, protocol.name)


TUNING = _of_protocol(sampling_protocols.TUNING)
RANKED = _of_protocol(sampling_protocols.RANKED)
REVERSED = _of_protocol(sampling_protocols.REVERSED)
RATE = _of_protocol(sampling_protocols.RATE)
PUBLISHED = _of_protocol(sampling_protocols.PUBLISHED)
EVERY = _section(
    "ftv-every",
    "Similarity without the inclusion rule",
    PRIMARY,
    with_excluded=True,
    note="Networks that hardly learned the context tasks are among these; a similarity that they "
    "share does not come from learning. Networks whose training stalled are not among them.",
)
AT_LEVELS = Section(
    name="levels",
    heading="Similarity at equal performance in the context tasks, at the recorded rates",
    report="continual",
    compute=_compute_levels,
    summarise=_summarise_levels,
)
