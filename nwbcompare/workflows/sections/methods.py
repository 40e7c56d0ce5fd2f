"""The methods text of a comparison, made from what ran."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nwbcompare.workflows.formatting import counted
from nwbcompare.workflows.measurements import PROTOCOLS, Measurements
from nwbcompare.workflows.model_sources import File, Model, Run
from nwbcompare.workflows.sections.noise_correction import MOST_BOOTSTRAPS
from nwbcompare.workflows.sections.permutation_nulls import N_ROTATIONS
from nwbcompare.workflows.sections.population import MOST_PERMUTATIONS
from nwbcompare.workflows.sections.split_half import SplitHalf

ESTIMATOR = (
    "Task variance (TV): the population variance across conditions of the mean rate at each time, "
    "then the mean over time. FTV(A, B) = (TV(A) - TV(B)) / (TV(A) + TV(B)) (Yang et al. 2019). "
    "Units whose variances sum to 1e-3 or less are inactive. Networks and recordings go through "
    "the same functions."
)


def methods(measurements: Measurements, split_half: SplitHalf, margin_is: str) -> list[str]:
    """Say what was done, from the settings and what was found."""
    settings = measurements.settings
    return [
        _recording(measurements),
        *_models(measurements.models),
        *[_protocol(name, measurements) for name in measurements.protocols],
        ESTIMATOR,
        _distributions(measurements),
        *(
            [f"Equivalence: two one-sided tests at 5 %; the margin is {margin_is}."]
            if "sampled" in measurements.protocols
            else []
        ),
        "Noise: TV corrected by the squared standard errors of the condition means; the "
        "distribution of FTV behind the noise by empirical Bayes (gamma likelihood of the measured "
        "variances, 100 steps of expectation and maximisation), "
        f"{min(MOST_BOOTSTRAPS, settings.n_bootstrap)} bootstraps.",
        "Nulls: task labels permuted within condition, condition labels within task "
        f"({settings.n_permutations} permutations each), {N_ROTATIONS} random rotations; false "
        "discovery rates by Benjamini and Hochberg.",
        "Confounds: correct trials alone; trials equalised between the tasks; rates matched or "
        "stabilised; choice taken out, by variance components of choice, stimulus and interaction; "
        f"intervals from {settings.n_bootstrap} bootstraps. A variant that the trial columns do "
        "not allow is left out.",
        _populations(measurements),
        f"Split-half distance: random halves of the recording by {split_half.by} "
        f"({split_half.splits.sizes['split']} splits), beside networks at the same size; protocol "
        f"{split_half.protocol!r}.",
        f"Everything random comes from seed {settings.seed}.",
    ]


def _distributions(measurements: Measurements) -> str:
    settings = measurements.settings
    draws = (
        f" Estimates are means over {counted(settings.n_draws, 'draw')} of each network."
        if "sampled" in measurements.protocols
        else ""
    )
    return (
        "Comparison of distributions. These networks: whole sessions, recorded units with their "
        f"matched units, are exchanged between the two sides ({settings.n_permutations} swaps, "
        f"p = (1 + b) / (1 + B)); intervals from {settings.n_bootstrap} bootstraps of whole "
        f"sessions. Networks of this kind: sign flips of the networks' estimates, Welch intervals."
        f"{draws} p Holm: adjusted over the measures of a family and protocol."
    )


def _populations(measurements: Measurements) -> str:
    settings = measurements.settings
    similarity = (
        " Similarity of the sampled networks' condition means with the recording's by RSA, CKA and "
        f"Procrustes distance ({settings.n_permutations} permutations of conditions)."
        if "sampled" in measurements.protocols
        else ""
    )
    return (
        "Populations: cross-validated decoding from pseudo-population trials "
        f"({min(MOST_PERMUTATIONS, settings.n_permutations)} permutations), participation ratio of "
        f"condition means, and the share of implementable classifications.{similarity}"
    )


def _recording(measurements: Measurements) -> str:
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
    return (
        f"Recording: {measurements.name}, "
        f"{counted(measurements.recorded.ftv.sizes['unit'], 'unit')} of "
        f"{counted(measurements.n_of('session'), 'session')}{f' ({read})' if read else ''}. "
        f"{measurements.pair[0]} is held against {measurements.shown[measurements.pair[0]]}, "
        f"{measurements.pair[1]} against {measurements.shown[measurements.pair[1]]}.{cited}"
    )


def _models(models: Sequence[Model]) -> list[str]:
    texts = []
    for kind, intro in ((Run, "Networks"), (File, "Networks as recorded elsewhere")):
        own: dict[str, list[str]] = {}
        for model in models:
            if isinstance(model, kind):
                own.setdefault(model.method(), []).append(model.name)
        if own:
            texts.append(
                f"{intro}: "
                + "; ".join(f"{', '.join(names)}: {method}" for method, names in own.items())
                + "."
            )
    return texts


def _protocol(name: str, measurements: Measurements) -> str:
    mapping = measurements.mapping
    if name == "sampled" and mapping is not None:
        return (
            f"{PROTOCOLS[name]}: each recorded unit gets a network unit, drawn at random; its "
            "rates in the recorded unit's own trials (conditions by the mapping "
            f"{mapping.origin!r}, epoch {mapping.epoch!r}) are scaled to the recorded unit's mean "
            "rate, and spike counts are drawn bin by bin with its Fano factor and trial-wide "
            "gain, binned and smoothed as the recording."
        )
    more = {
        "signal": ": rates are also shifted so that the sum of the corrected task variances is the "
        "recorded unit's; only its split between the tasks is the network's.",
        "matched": ": rates as above, no spikes drawn.",
        "published": ": every trial a condition, all epochs but fixation.",
        "as recorded": ": conditions, epochs and noise are the file's own.",
    }
    return PROTOCOLS[name] + more.get(name, ".")
