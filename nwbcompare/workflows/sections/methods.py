"""Methods of a comparison, from its settings and results."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nwbcompare.analysis.population.kernels.partial_similarity import LEAST_FOR_P
from nwbcompare.workflows.formatting import counted, session_count
from nwbcompare.workflows.measurements import Measurements, ModelRecord
from nwbcompare.workflows.sampling_protocols import PROTOCOLS, RATE
from nwbcompare.workflows.section import SourceResults
from nwbcompare.workflows.sections.noise_correction import MOST_BOOTSTRAPS
from nwbcompare.workflows.sections.permutation_nulls import N_ROTATIONS
from nwbcompare.workflows.sections.population import MOST_PERMUTATIONS
from nwbcompare.workflows.sections.split_half import SplitHalf
from nwbcompare.workflows.settings import Settings

ESTIMATOR = (
    "Task variance (TV): the population variance across conditions of the mean rate at each time, "
    "then the mean over time. FTV(A, B) = (TV(A) - TV(B)) / (TV(A) + TV(B)) (Yang et al. 2019). "
    "Units whose variances sum to 1e-3 or less are inactive. Networks and recordings go through "
    "the same functions."
)


def methods(results: SourceResults, settings: Settings) -> list[str]:
    """Return the methods of a comparison, a paragraph each.

    Parameters
    ----------
    results
        Results of the comparison by section; sections that were not computed are not described.
    settings
        Settings of the comparison.
    """
    measurements = Measurements.of(results["samples"])
    paragraphs = [
        _recording(measurements),
        *_models(measurements.models),
        *(
            f"Conditions of the recording and of {model.name}: "
            + "; ".join(f"{ours.strip()} = {theirs}" for ours, theirs in model.match)
            + "."
            for model in measurements.models
            if model.match
        ),
        *(_protocol(name, measurements) for name in measurements.protocols),
        ESTIMATOR,
    ]
    # sections that were not computed are not described
    if {"sampled", "published"} & set(results):
        paragraphs.append(_distributions(measurements, settings))
    if "sampled" in results and settings.margin is not None:
        paragraphs.append(
            f"Equivalence: two one-sided tests at 5 %; the margin, {settings.margin:g}, was given "
            f"beforehand ({settings.margin_reason or 'without a reason'})."
        )
    if "noise" in results:
        paragraphs.append(
            "Noise: TV corrected by the squared standard errors of the condition means. S.d. of "
            "FTV behind the noise: corrected squares of the difference and of the sum of the two "
            "variances, summed over units before they are divided; a unit counts by its tuning "
            "over tuning and noise in a fourth of the trials, FTV comes from the others; interval "
            "over sessions by Fieller's method. The shape of the distribution behind the noise "
            "by empirical Bayes (gamma likelihood of the measured variances, 100 steps of "
            "expectation and maximisation), "
            f"{min(MOST_BOOTSTRAPS, settings.n_bootstrap)} bootstraps."
        )
    if "nulls" in results:
        paragraphs.append(
            "Nulls: FTV = 0 by the difference of the corrected task variances over its error, with "
            f"residuals of trials resampled within cells ({settings.n_permutations} resamples) and "
            "errors over sessions for the population; condition labels permuted within task "
            f"({settings.n_permutations} permutations); {N_ROTATIONS} random rotations, as a "
            "description without a test; false discovery rates by Benjamini and Hochberg."
        )
    if "confounds" in results:
        paragraphs.append(
            "Confounds: correct trials alone; trials equalised between the tasks; rates matched or "
            "stabilised; choice taken out, by variance components of choice, stimulus and "
            f"interaction; intervals from {settings.n_bootstrap} bootstraps. A variant that the "
            "trial columns do not allow is left out."
        )
    if "population" in results:
        paragraphs.append(_populations(measurements, settings))
    if "split-half" in results:
        split_half = SplitHalf.of(results["split-half"])
        paragraphs.append(
            f"Split-half distance: random halves of the recording by {split_half.by} "
            f"({split_half.splits.sizes['split']} splits), beside networks at the same size; "
            f"protocol {split_half.protocol!r}."
        )
    return [*paragraphs, f"All random numbers come from seed {settings.seed}."]


def _distributions(measurements: Measurements, settings: Settings) -> str:
    """Describe the tests of the comparison and what they generalise over."""
    draws = (
        f" Estimates are means over {counted(settings.n_draws, 'draw')} of each network."
        if RATE.name in measurements.protocols
        else ""
    )
    return (
        "Comparison of distributions. These networks: whole sessions, recorded units with their "
        f"matched units, are exchanged between the two sides ({settings.n_permutations} swaps, "
        f"p = (1 + b) / (1 + B)); intervals from {settings.n_bootstrap} bootstraps of whole "
        f"sessions. Networks of this kind: sign flips of the networks' estimates, Welch intervals."
        f"{draws} p Holm: adjusted over the measures of a family and protocol."
    )


def _populations(measurements: Measurements, settings: Settings) -> str:
    """Describe decoding, dimensionality and, for sampled networks, similarity."""
    similarity = (
        " Similarity of the sampled networks' condition means with the recording's by RSA, CKA and "
        "Procrustes distance, with intervals by a jackknife over sessions. Trained less untrained "
        "networks: partial correlation of cross-validated Mahalanobis distances (crossnobis), "
        "given those of the task, the condition variables and the choice; Student's t over "
        f"networks and sessions; p from {LEAST_FOR_P} conditions on. Networks and references are "
        "sampled at the recorded units' rates."
        if RATE.name in measurements.protocols
        else ""
    )
    return (
        "Populations: cross-validated decoding from pseudo-population trials "
        f"({min(MOST_PERMUTATIONS, settings.n_permutations)} permutations), participation ratio of "
        f"condition means, and the share of implementable classifications.{similarity}"
    )


def _recording(measurements: Measurements) -> str:
    """Describe the recording and how it was read; a simulated one is called so first."""
    provenance = json.loads(measurements.variance.attrs["provenance"])
    if measurements.simulated:
        return (
            "Recording: SIMULATED. Poisson spikes drawn at the rates of a network that is not "
            "among those compared, on the conditions of Mante et al. 2013, in 50-ms bins, "
            "smoothed with a 40-ms Gaussian."
        )
    cited = f" {provenance['citation']}" if "citation" in provenance else ""
    options = provenance.get("options", {})
    read = ", ".join(f"{name} {value}" for name, value in options.items() if value is not None)
    a, b = measurements.pair
    names = measurements.task_names
    compared = (
        f"{a} is compared with {names[a]}, {b} with {names[b]}." if measurements.models else ""
    )
    return (
        f"Recording: {measurements.name}, "
        f"{counted(measurements.recorded.ftv.sizes['unit'], 'unit')} of "
        f"{session_count(measurements)}{f' ({read})' if read else ''}. "
        f"{compared}{cited}"
    )


def _models(models: Sequence[ModelRecord]) -> list[str]:
    """Describe networks and files, models with the same description together."""
    paragraphs = []
    for is_network, title in ((True, "Networks"), (False, "Networks as recorded elsewhere")):
        names: dict[str, list[str]] = {}
        for model in models:
            if model.is_network == is_network:
                names.setdefault(model.method, []).append(model.name)
        if names:
            texts = (f"{', '.join(alike)}: {method}" for method, alike in names.items())
            paragraphs.append(f"{title}: {'; '.join(texts)}.")
    return paragraphs


def _protocol(name: str, measurements: Measurements) -> str:
    """Describe a protocol and, of sampled networks, how units and trials are matched."""
    protocol, mapping = PROTOCOLS[name], measurements.mapping
    if protocol != RATE or mapping is None:
        return protocol.title + protocol.method
    return (
        f"{protocol.title}: each recorded unit gets a network unit, drawn at random; its "
        "rates in the recorded unit's own trials (conditions by the mapping "
        f"{mapping['origin']!r}, epoch {mapping['epoch']!r}) are scaled to the recorded unit's "
        "mean rate, and spike counts are drawn bin by bin with its Fano factor and trial-wide "
        "gain, binned and smoothed as the recording."
    )
