"""FTV of the networks of a study on every protocol, measured once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr

from nwbcompare.comparison.protocol_mapping import ProtocolMapping
from nwbcompare.comparison.recorded_trials import RecordedTrials
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.core.files import sha256_of_file
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.model.checkpoint import WEIGHTS, load, load_milestone
from nwbcompare.model.network import Network
from nwbcompare.workflows.analysis_sources import activity_digest
from nwbcompare.workflows.continual_training import StudyNetwork, run_folder_of
from nwbcompare.workflows.measurements import sample_table
from nwbcompare.workflows.results_folder import keep_results, read_results
from nwbcompare.workflows.sampling_protocols import (
    MATCHED,
    PUBLISHED,
    RANKED,
    RATE,
    REVERSED,
    TUNING,
    ModelInTrials,
    SamplingProtocol,
)
from nwbcompare.workflows.section import Refusal, Results
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_plan import LEVELS, StudyPlan
from nwbcompare.workflows.training_regimes import DONOR, REGIMES, UNTRAINED, regime_of_study

MEASURES = "measures"
PRIMARY = TUNING.name
AT_LEVEL = "rate_at_{:.2f}"
"""Name of the rate-matched protocol at a level of performance."""
WITH_LEVELS = ("interleaved", "sequential", DONOR)
# what comparisons need; others would only make the files larger
COLUMNS = ("unit", "draw", "network_unit", "recorded_unit", "session", "subject")


@dataclass(frozen=True)
class NetworkMeasures:
    """Sample tables of one network by protocol, and why it was not measured on others."""

    regime: str
    seed: int
    results: Results

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.regime}-{self.seed}"


@dataclass(frozen=True)
class _Recording:
    """The recording that networks are sampled like, with everything that measures depend on."""

    activity: xr.DataTree
    mapping: ProtocolMapping
    settings: Settings
    plan: StudyPlan

    @cached_property
    def recorded(self) -> RecordedTrials:
        """Its trials in which networks are sampled."""
        return RecordedTrials.of(self.activity, self.mapping)

    def identity(self) -> dict[str, Any]:
        """Return what measures depend on; a file of other values is not used."""
        training = {name: str(value) for name, value in self.plan.training.items()}
        if not self.plan.warm_up_steps:
            # measures from before there was a warm-up stay valid
            del training["warm_up_steps"]
        return {
            "training": training,
            "draws": [self.settings.seed, self.settings.n_draws],
            "pair": list(self.settings.pair),
            "recording": activity_digest(self.activity),
            "mapping": self.mapping.parameters(),
        }


def measure_networks(
    out: Path,
    networks: Sequence[StudyNetwork],
    recording: xr.DataTree,
    mapping: ProtocolMapping,
    plan: StudyPlan,
    settings: Settings,
) -> list[NetworkMeasures]:
    """Measure the FTV of trained and of untrained networks on every protocol.

    Parameters
    ----------
    out
        The folder; measures are kept under ``measures`` and not computed again.
    networks
        The networks, trained to their end.
    recording
        The recording that networks are sampled like.
    mapping
        Conditions of the recording as conditions of a network.
    plan
        Networks and training.
    settings
        Pair of tasks, number of draws, seed, processes.

    Returns
    -------
    list of NetworkMeasures
        One for each network, in their order, then the untrained ones of the same seeds.
    """
    (out / MEASURES).mkdir(exist_ok=True)
    source = _Recording(recording, mapping, settings, plan)
    identity = source.identity()
    seeds = sorted({one.seed for one in networks})
    # how similar networks are before any training
    untrained = [StudyNetwork(UNTRAINED, k, run_folder_of(out, UNTRAINED, k)) for k in seeds]
    jobs: list[Job] = [
        (one.folder.name, _read_or_measure, (out, one, source, identity))
        for one in (*networks, *untrained)
    ]
    measures, _ = run_all(jobs, settings.n_jobs or 1, "measures")
    return list(measures)


def _read_or_measure(
    out: Path, one: StudyNetwork, source: _Recording, identity: dict[str, Any]
) -> NetworkMeasures:
    """Return the measures of a network, from its file where that is up to date."""
    file, weights = out / MEASURES / f"{one.folder.name}.nc", one.folder / WEIGHTS
    if weights.is_file():
        # without weights, as in a repository, measures are valid by themselves
        identity = identity | {"weights_sha256": sha256_of_file(weights)}
    results = read_results(file, identity)
    # kept by a version without the primary protocol; without weights nothing can be added
    outdated = results is not None and PRIMARY not in {*results, *results.refusals}
    if results is None or (outdated and weights.is_file()):
        results = _measure(one, source)
        # compressed, since studies of a hundred networks are published with these files
        keep_results(file, results, identity, small=True)
    return NetworkMeasures(one.regime, one.seed, results)


def _measure(one: StudyNetwork, source: _Recording) -> Results:
    """Measure a network on every protocol, and at levels of performance."""
    model = _in_trials(_network(one, source.plan), source)
    results = Results()
    others = (RANKED, REVERSED, MATCHED, PUBLISHED) if one.regime in {*REGIMES, UNTRAINED} else ()
    for protocol in (TUNING, RATE, *others):
        _add_table(results, protocol.name, model, protocol, one.seed, source.settings)
    for level in LEVELS if one.regime in WITH_LEVELS else ():
        name = AT_LEVEL.format(level)
        early = load_milestone(one.folder, level)
        if early is None:
            reason = f"Its Ctx DM tasks never were both at {level:g}."
            results.refusals[name] = Refusal(reason)
        else:
            _add_table(results, name, _in_trials(early, source), RATE, one.seed, source.settings)
    return results


def _network(one: StudyNetwork, plan: StudyPlan) -> Network:
    """Load a trained network, or make the untrained one of a seed."""
    if one.regime != UNTRAINED:
        return load(one.folder)
    # of any regime: all networks of a seed share their initial weights
    config, _ = plan.configs_of(regime_of_study(DONOR, plan.strength), one.seed)
    return Network(config, name=one.folder.name)


def _in_trials(network: Network, source: _Recording) -> ModelInTrials:
    return ModelInTrials(network, source.settings.pair, source.mapping, source.recorded)


def _add_table(
    results: Results,
    name: str,
    model: ModelInTrials,
    protocol: SamplingProtocol,
    seed: int,
    settings: Settings,
) -> None:
    """Add the sample table of a network, with the columns that comparisons need."""
    # regimes of a seed share random numbers, which pairs no units: only the recorded unit, in whose
    # place each sampled unit stands, is shared
    first = settings.seed + settings.n_draws * seed
    seeds = range(first, first + settings.n_draws)
    pair = protocol.pair_of(model.pair, model.correspondence)
    try:
        activities = protocol.activities(model, seeds)
        table = sample_table(activities, pair, protocol.name)
    except NotApplicableError as error:
        results.refusals[name] = Refusal(error.reason)
        return
    table = table[["fractional_task_variance", "active"]]
    unused = [str(column) for column in table.coords if column not in COLUMNS]
    results[name] = table.drop_vars(unused)
