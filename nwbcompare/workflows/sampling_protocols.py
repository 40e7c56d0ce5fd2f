"""Protocols on which networks are recorded for a comparison with a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import xarray as xr

from nwbcompare.comparison.condition_match import ConditionMatch
from nwbcompare.comparison.matched_sampling import Match, MatchedSampler, Pairing
from nwbcompare.comparison.model_response import activity_response, network_response
from nwbcompare.comparison.protocol_mapping import ProtocolMapping
from nwbcompare.comparison.recorded_trials import Correspondence, RecordedTrials
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.model.network import Network
from nwbcompare.workflows.sources import record_test_trials

Pair = tuple[str, str]


@dataclass(eq=False)
class ModelInTrials:
    """A model in the trials of a recording, whose rates in them are computed once.

    Attributes
    ----------
    model
        A network, or the activity of any model.
    pair
        The two tasks by their names in the recording.
    correspondence
        Conditions of the recording as conditions of a network, or of the activity; None where there
        is none, so that the model is not sampled.
    recorded
        The recorded trials; None without a correspondence.
    """

    model: Network | xr.DataTree
    pair: Pair
    correspondence: ProtocolMapping | ConditionMatch | None
    recorded: RecordedTrials | None

    @cached_property
    def sampler(self) -> MatchedSampler:
        """Samples of the model like the recording."""
        if self.correspondence is None or self.recorded is None:
            raise NotApplicableError(
                "recording",
                "its conditions as conditions of the model",
                "none",
                "Write a mapping (nwbcompare mapping new), or a match (--match) for an activity.",
            )
        if isinstance(self.model, Network) and isinstance(self.correspondence, ProtocolMapping):
            response = network_response(self.model, self.recorded, self.correspondence)
        elif isinstance(self.model, xr.DataTree) and isinstance(
            self.correspondence, ConditionMatch
        ):
            response = activity_response(self.model, self.recorded, self.correspondence)
        else:
            raise TypeError("networks have a mapping, activities a match")
        return MatchedSampler(self.recorded, response)

    def at_latency(self, latency_ms: float) -> ModelInTrials:
        """Return a model whose activity is matched, at another latency of the neurons (ms)."""
        if not isinstance(self.correspondence, ConditionMatch):
            raise TypeError("the latency of a network is that of its mapping")
        return replace(self, correspondence=self.correspondence.at_latency(latency_ms))


@dataclass(frozen=True, kw_only=True)
class SamplingProtocol:
    """A protocol on which networks are recorded.

    Attributes
    ----------
    name, title
        Name in tables, and description on the page.
    phrase
        The same within a sentence.
    trials
        "recording": the conditions of the recording's trials; "published": the published test
        trials; "file": those of a file.
    match
        Statistics of the recorded units that sampled units share; None without noise.
    pairing
        Which units are matched; see `nwbcompare.sample_like`.
    method
        Continuation of the title in the page's methods.
    """

    name: str
    title: str
    phrase: str
    trials: Literal["recording", "published", "file"]
    match: Match | None = None
    pairing: Pairing = "random"
    method: str = "."

    def pair_of(self, pair: Pair, correspondence: Correspondence | None) -> Pair:
        """Return the names that the two tasks have in activity on this protocol."""
        return pair if self.trials == "recording" else model_pair(pair, correspondence)

    def activities(self, model: ModelInTrials, seeds: Sequence[int]) -> list[xr.DataTree]:
        """Record a model: once without noise, else once for each seed.

        Parameters
        ----------
        model
            The model in the recorded trials.
        seeds
            Seeds of units and noise; on all noisy protocols a seed draws the same units.

        Raises
        ------
        NotApplicableError
            Where the recording lacks what matching needs, such as two trials in every condition of
            every unit for equal tuning.
        """
        own = self.trials == "file" or model.correspondence is None
        if isinstance(model.model, xr.DataTree) and own:
            return [model.model]
        if isinstance(model.model, Network) and self.trials == "published":
            pair = model_pair(model.pair, model.correspondence)
            return [record_test_trials(model.model, pair)]
        if self.match is None:
            return [model.sampler.draw(seeds[0], noise=False)]
        return [model.sampler.draw(seed, match=self.match, pairing=self.pairing) for seed in seeds]


TUNING = SamplingProtocol(
    name="tuning",
    title="Tuning-matched: the recording's conditions, trials, rates, noise and strength of tuning",
    phrase="tuned as strongly as the recorded units, with their conditions, trials and noise",
    trials="recording",
    match="tuning",
    method=": rates are scaled and shifted so that their mean and the sum of the corrected task "
    "variances are the recorded unit's, and counts are drawn with its Fano factor and gain in each "
    "task; only the split of variance between the tasks is the model's. Units are paired at "
    "random.",
)
RANKED = replace(
    TUNING,
    name="ranked",
    title="Tuning-matched, paired by strength",
    phrase="tuning-matched, strongly tuned units paired with strongly tuned ones",
    pairing="rank",
    method=": as above, the most strongly tuned network unit for the most strongly tuned recorded "
    "unit, and so on.",
)
REVERSED = replace(
    RANKED,
    name="reversed",
    title="Tuning-matched, paired by reversed strength",
    phrase="tuning-matched, strongly tuned units paired with weakly tuned ones",
    pairing="reversed",
    method=": as above, the most strongly tuned network unit for the most weakly tuned recorded "
    "unit, and so on.",
)
RATE = SamplingProtocol(
    name="rate",
    title="Rate-matched: the recording's conditions, trials, rates and noise, but not its strength "
    "of tuning",
    phrase="at the recorded units' rates, but as strongly tuned as the network is",
    trials="recording",
    match="rate",
)
MATCHED = SamplingProtocol(
    name="matched",
    title="The recording's conditions, without noise",
    phrase="shown the recording's conditions without noise",
    trials="recording",
    method=": rates as in the rate-matched samples, no spikes drawn.",
)
PUBLISHED = SamplingProtocol(
    name="published",
    title="Published test trials, without noise",
    phrase="on the published test trials without noise",
    trials="published",
    method=": every trial a condition, all epochs but fixation.",
)
AS_RECORDED = SamplingProtocol(
    name="as recorded",
    title="As recorded in a file",
    phrase="as recorded in files",
    trials="file",
    method=": conditions, epochs and noise are the file's own.",
)
PROTOCOLS = {
    one.name: one for one in (TUNING, RANKED, REVERSED, RATE, MATCHED, PUBLISHED, AS_RECORDED)
}
"""Protocols by name, from the nearest to a recording."""


def model_pair(pair: Pair, correspondence: Correspondence | None) -> Pair:
    """Return the names in a model of the two tasks of a recording."""
    tasks = {} if correspondence is None else correspondence.tasks
    return tasks.get(pair[0], pair[0]), tasks.get(pair[1], pair[1])
