"""Protocols on which networks are recorded for a comparison with a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import xarray as xr

from nwbcompare.comparison.matched_sampling import sample_draws, sample_like
from nwbcompare.comparison.protocol_mapping import ProtocolMapping
from nwbcompare.model.network import Network
from nwbcompare.workflows.sources import record_test_trials

Pair = tuple[str, str]


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
    method
        Continuation of the title in the page's methods.
    """

    name: str
    title: str
    phrase: str
    trials: Literal["recording", "published", "file"]
    match: Literal["rate", "signal"] | None = None
    method: str = "."

    def pair_of(self, pair: Pair, mapping: ProtocolMapping | None) -> Pair:
        """Return the names that the two tasks have in activity on this protocol."""
        return network_pair(pair, mapping) if self.trials == "published" else pair

    def activities(
        self,
        network: Network,
        recording: xr.DataTree,
        mapping: ProtocolMapping | None,
        pair: Pair,
        seeds: Sequence[int],
    ) -> list[xr.DataTree]:
        """Record a network: once without noise, else once for each seed.

        Parameters
        ----------
        network
            The network.
        recording
            The recording that it is sampled like.
        mapping
            Conditions of the recording as conditions of a network.
        pair
            The two tasks by their names in the recording.
        seeds
            Seeds of units and noise; on all noisy protocols a seed draws the same units.

        Raises
        ------
        NotApplicableError
            Where the recording lacks what matching needs, such as two trials in every condition of
            every unit for equal tuning.
        """
        if self.trials == "published":
            return [record_test_trials(network, network_pair(pair, mapping))]
        if self.match is None:
            return [sample_like(network, recording, mapping, noise=False, seed=seeds[0])]
        return list(sample_draws(network, recording, mapping, seeds=seeds, match=self.match))


SAMPLED = SamplingProtocol(
    name="sampled",
    title="Sampled as the recording: its conditions, trials, rates and noise",
    phrase="sampled as the recording was (its conditions, trials, rates and noise)",
    trials="recording",
    match="rate",
)
SIGNAL = SamplingProtocol(
    name="signal",
    title="Sampled, and as strongly tuned as the recorded units",
    phrase="sampled so and tuned as strongly as the recorded units",
    trials="recording",
    match="signal",
    method=": rates are also shifted so that the sum of the corrected task variances is the "
    "recorded unit's; only its split between the tasks is the network's.",
)
MATCHED = SamplingProtocol(
    name="matched",
    title="The recording's conditions, without noise",
    phrase="shown the recording's conditions without noise",
    trials="recording",
    method=": rates as above, no spikes drawn.",
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
PROTOCOLS = {one.name: one for one in (SAMPLED, SIGNAL, MATCHED, PUBLISHED, AS_RECORDED)}
"""Protocols by name, from the nearest to a recording."""


def network_pair(pair: Pair, mapping: ProtocolMapping | None) -> Pair:
    """Return the names in networks of the two tasks of a recording."""
    tasks = {} if mapping is None else mapping.tasks
    return tasks.get(pair[0], pair[0]), tasks.get(pair[1], pair[1])
