"""References of every comparison: untrained networks, and units that know the stimulus alone."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from nwbcompare.comparison.condition_match import match_conditions
from nwbcompare.comparison.stimulus_units import stimulus_units
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.experiments.control_networks import stimulus_only, untrained
from nwbcompare.model.config import NetworkConfig
from nwbcompare.model.network import Network
from nwbcompare.workflows.analysis_sources import FileSource, NetworkSource
from nwbcompare.workflows.measurements import ComparisonSource, sample_table
from nwbcompare.workflows.models import Model
from nwbcompare.workflows.sampling_protocols import (
    PUBLISHED,
    RATE,
    TUNING,
    ModelInTrials,
    model_pair,
)
from nwbcompare.workflows.section import Refusal, Results

STIMULUS = "stimulus alone"
"""Name of the units that know the stimulus alone."""


@dataclass(frozen=True)
class Reference:
    """A network that a comparison is seen against.

    Attributes
    ----------
    network
        The network; for models of one's own, activity in their tasks.
    of
        Name of the trained network with the same initialisation; "" where there is none.
    """

    network: Network | FileSource
    of: str

    @property
    def name(self) -> str:
        """Name in tables."""
        return self.network.name


def references_of(source: ComparisonSource) -> list[Reference]:
    """Return an untrained network for each network, and units that know the stimulus alone.

    Parameters
    ----------
    source
        A comparison. Where no model is a network of this package, a network of the default
        configuration is the reference; of models of one's own, whose conditions are matched, only
        the stimulus alone is one, since nothing is known of their initial weights.
    """
    networks = [model.network for model in source.models if isinstance(model, NetworkSource)]
    matched = [model for model in source.models if model.match is not None]
    if matched and source.mapping is None:
        return [Reference(_stimulus_alone(source, matched[0]), "")]
    default = Network(NetworkConfig(), name="default")
    stimulus = stimulus_only((networks or [default])[0], (networks or [default])[0].config.seed)
    stimulus.name = STIMULUS
    initial = [Reference(_untrained(network), network.name) for network in networks]
    return [*(initial or [Reference(_untrained(default), "")]), Reference(stimulus, "")]


def _untrained(network: Network) -> Network:
    other = untrained(network, network.config.seed)
    other.name = f"{network.name}, untrained"
    return other


def _stimulus_alone(source: ComparisonSource, matched: Model) -> FileSource:
    """Return units that know the stimulus alone, in the conditions that a model is matched in."""
    recorded = source.in_trials(matched).recorded
    if recorded is None:
        raise TypeError("a matched model has recorded trials")
    activity, epoch = stimulus_units(recorded), recorded.correspondence.epoch
    own = {
        "tasks": {task: task for task in recorded.correspondence.tasks},
        "conditions": {
            name: name
            for task in recorded.correspondence.tasks
            for name in recorded.correspondence.columns_of(task).values()
        },
        "epoch": {"recording": epoch, "model": epoch},
    }
    match = match_conditions(activity, source.recording, own)
    return FileSource(STIMULUS, activity, match=match)


def sample_references(source: ComparisonSource) -> Results:
    """Measure all references, and keep their first draws in ``source.references``.

    Parameters
    ----------
    source
        The comparison.

    Returns
    -------
    Results
        A series "sample" of FTV by draw, as `sample_reference`; refusals by name.
    """
    references = references_of(source)
    jobs: list[Job] = [
        (one.name, sample_reference, (one, source.in_trials(one.network), _seeds(source, place)))
        for place, one in enumerate(references)
    ]
    n_jobs = source.settings.jobs_for(source.recording)
    samples, warnings = run_all(jobs, n_jobs, "references")
    results = Results(warnings=warnings)
    source.references = {}
    for one, (table, first) in zip(references, samples, strict=True):
        if isinstance(table, Refusal):
            results.refusals[one.name] = table
        else:
            source.references[one.name] = (one.of, first)
    results.add_series("sample", [table for table, _ in samples if isinstance(table, xr.Dataset)])
    return results


def _seeds(source: ComparisonSource, place: int) -> range:
    """Return the seeds of a reference's draws, which follow those of the models."""
    n_draws = source.settings.n_draws
    first = source.settings.seed + n_draws * (len(source.models) + place)
    return range(first, first + n_draws)


def sample_reference(
    reference: Reference, model: ModelInTrials, seeds: range
) -> tuple[xr.Dataset | Refusal, xr.DataTree | None]:
    """Measure a reference as networks are measured, and return its first rate-matched draw.

    Parameters
    ----------
    reference
        The reference.
    model
        Its network, or activity, in the recorded trials.
    seeds
        Seeds of its draws.

    Returns
    -------
    table : xarray.Dataset or Refusal
        FTV by draw at equal tuning, or at equal rates where equal tuning does not apply; without a
        mapping on the published test trials. Why there is none otherwise.
    activity : xarray.DataTree or None
        The first draw at equal rates. Equal tuning is no base of geometry and decoding: scaled to
        the recorded strength of tuning within tasks, units differ far more between tasks.
    """
    network = reference.network
    rules = model_pair(model.pair, model.correspondence)
    if isinstance(network, Network) and not set(rules) <= set(network.config.rules):
        return Refusal(f"Untrained networks have no rules {' and '.join(rules)}."), None
    reasons = []
    for protocol in (TUNING, RATE) if model.correspondence is not None else (PUBLISHED,):
        pair = protocol.pair_of(model.pair, model.correspondence)
        try:
            activities = protocol.activities(model, seeds)
            table = sample_table(activities, pair, protocol.name)
        except NotApplicableError as error:
            reasons.append(error.reason)
            continue
        table = table.assign_attrs(protocol=protocol.name, of=reference.of, name=reference.name)
        if protocol == TUNING:
            activities = RATE.activities(model, seeds[:1])
        return table, activities[0]
    return Refusal(reasons[-1]), None
