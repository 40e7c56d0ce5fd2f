"""What became of the networks, and what their similarity to the recording says."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from nwbcompare.analysis.learning.retention import compare_retention, retention_over_networks
from nwbcompare.comparison.attribution import attribution
from nwbcompare.comparison.training_regimes import compare_regimes
from nwbcompare.model.checkpoint import read_evaluation, read_log
from nwbcompare.model.curricula import YANG2019
from nwbcompare.workflows.continual_measurements import AT_LEVEL, PRIMARY, WITH_LEVELS, Measured
from nwbcompare.workflows.continual_settings import LEVELS, Settings
from nwbcompare.workflows.continual_training import Trained
from nwbcompare.workflows.training_regimes import CONTROLS, DONOR, METHODS, UNTRAINED, donor_of

Tables = dict[str, dict[str, xr.Dataset]]
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
ALSO_BESIDE = ("sequential", DONOR)
"""What additional regimes are held against."""
COMPARED = (PRIMARY, "signal", "published")
"""Protocols that are held against the recording: those with its noise, and the published one."""


@dataclass(frozen=True)
class Outcome:
    """What a comparison of training regimes has found.

    Attributes
    ----------
    settings
        How it was made.
    trained
        All networks that were asked for.
    left_out
        By name of the network, why it is in no comparison.
    performance
        By regime and seed, the final performance by task, of all that were trained to the end.
    logs
        By regime and seed, the log of those in the comparison.
    measured
        Networks by regime and seed on every protocol.
    recorded
        The recording's sample table.
    """

    settings: Settings
    trained: Sequence[Trained]
    left_out: Mapping[str, str]
    performance: Mapping[str, Mapping[str, Mapping[str, float]]]
    logs: Mapping[str, Mapping[str, list[dict[str, Any]]]]
    measured: Sequence[Measured]
    recorded: xr.Dataset

    def tables(self, protocol: str, *, every: bool = False) -> Tables:
        """Give the sample tables on a protocol by regime and seed.

        Parameters
        ----------
        protocol
            Its name.
        every
            Whether to give also networks that were left out for their performance.
        """
        found: Tables = {}
        for one in self.measured:
            name = f"{one.regime}-{one.seed}"
            if (every or name not in self.left_out) and protocol in one.tables:
                found.setdefault(one.regime, {})[str(one.seed)] = one.tables[protocol]
        return found

    def compared(self, protocol: str, *, every: bool = False) -> xr.Dataset | None:
        """Hold the regimes against the recording on a protocol; None where nothing pairs up.

        See `tables` for the parameters, and
        `nwbcompare.comparison.compare_regimes`.
        """
        tables = self.tables(protocol, every=every)
        return _compared(tables, CONTRASTS, self.recorded, self.settings)

    def also_compared(self, *, every: bool = False) -> xr.Dataset | None:
        """Hold additional regimes and the main ones of their seeds against the recording.

        See `compared`; sampled as the recording was. Regimes stand in the order of `ALSO_BESIDE`,
        those of synaptic intelligence by strength among them; contrasts are each additional
        regime less the sequential and less the consolidated one, and of additional controls also
        the regime whose importances they take less the control.
        """
        more = self.settings.further_regimes
        if not more:
            return None
        seeds = {str(seed) for seed in self.settings.also_seeds}
        tables = {
            regime: {seed: table for seed, table in own.items() if seed in seeds}
            for regime, own in self.tables(PRIMARY, every=every).items()
            if regime in (*ALSO_BESIDE, *more)
        }
        contrasts = [
            CONTRASTS[0],
            *((regime, other) for other in ALSO_BESIDE for regime in more),
            *((donor, regime) for regime in more if (donor := donor_of(regime))),
        ]
        order = sorted(tables, key=lambda regime: _place(regime, self.settings.strength))
        return _compared({k: tables[k] for k in order}, contrasts, self.recorded, self.settings)

    def at_level(self, level: float) -> xr.Dataset | None:
        """Do the same at equal performance in the last stage's tasks."""
        tables = self.tables(AT_LEVEL.format(level))
        return _compared(tables, CONTRASTS, self.recorded, self.settings)

    def attributed(self, result: xr.Dataset) -> xr.Dataset | None:
        """Say whether similarity is attributed to consolidation; None without controls."""
        there = set(result["contrast"].values)
        needed = {f"consolidated - {other}" for other in ("sequential", *CONTROLS)}
        return attribution(result, CONTRASTS[0], CONTROLS) if needed <= there else None

    def retention(self) -> dict[str, xr.Dataset]:
        """Give what each regime that learns in stages has kept, over networks."""
        with warnings.catch_warnings():
            # of one network, which numbers of networks say themselves
            warnings.simplefilter("ignore", UserWarning)
            return {
                regime: retention_over_networks(self.logs[regime], YANG2019)
                for regime in self.settings.all_regimes
                if regime in self.logs and regime != "interleaved"
            }

    def kept_more(self, first: str, second: str) -> xr.Dataset | None:
        """Compare what two regimes have kept on the seeds that both have; None without any."""
        seeds = [seed for seed in self.logs.get(first, {}) if seed in self.logs.get(second, {})]
        if not seeds:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            one, two = (
                retention_over_networks({seed: self.logs[regime][seed] for seed in seeds}, YANG2019)
                for regime in (first, second)
            )
            return compare_retention(one, two)


def _place(regime: str, strength: float) -> tuple[int, float, str]:
    """Put plain training first, then synaptic intelligence by strength, then other methods."""
    if regime == "sequential":
        return 0, 0.0, regime
    if regime == DONOR:
        return 1, strength, regime
    method, number = regime.split()
    return (1 if method == METHODS[DONOR] else 2), float(number), regime


def _compared(
    tables: Tables, contrasts: Sequence[tuple[str, str]], recorded: xr.Dataset, settings: Settings
) -> xr.Dataset | None:
    """Hold regimes against the recording; contrasts that no pair has are left out."""
    held = [
        (first, second)
        for first, second in contrasts
        if set(tables.get(first, ())) & set(tables.get(second, ()))
    ]
    if not held or held[0] != CONTRASTS[0]:
        return None
    named = {name for pair in held for name in pair}
    with warnings.catch_warnings():
        # of one pair, whose number stands beside it
        warnings.simplefilter("ignore", UserWarning)
        return compare_regimes(
            {regime: own for regime, own in tables.items() if regime in named},
            recorded,
            held,
            n_bootstrap=settings.n_bootstrap,
            n_splits=settings.n_splits,
            seed=settings.seed,
        )


def find_outcome(
    trained: Sequence[Trained],
    measured: Sequence[Measured],
    recorded: xr.Dataset,
    settings: Settings,
) -> Outcome:
    """Read what became of networks, and leave out what is to be left out.

    Parameters
    ----------
    trained
        From `nwbcompare.workflows.continual_training.train_networks`.
    measured
        From `nwbcompare.workflows.continual_measurements.measure_networks`.
    recorded
        The recording's sample table.
    settings
        The inclusion rule, and numbers of bootstrap samples.
    """
    finished = [one for one in trained if not one.failure]
    performance = {one: dict(read_evaluation(one.folder)["performance"]) for one in finished}
    left_out = {f"{one.regime}-{one.seed}": one.failure for one in trained if one.failure}
    for one, shares in performance.items():
        worst = min(YANG2019[-1], key=shares.__getitem__)
        if shares[worst] < settings.least_performance:
            left_out[f"{one.regime}-{one.seed}"] = (
                f"{worst} ended at {shares[worst]:.3f}, below {settings.least_performance:g}"
            )
    for kept in measured:
        if PRIMARY not in kept.tables and f"{kept.regime}-{kept.seed}" not in left_out:
            left_out[f"{kept.regime}-{kept.seed}"] = kept.refused[PRIMARY]
    included = [one for one in finished if f"{one.regime}-{one.seed}" not in left_out]
    return Outcome(
        settings=settings,
        trained=trained,
        left_out=left_out,
        performance=_by_regime(performance),
        logs=_by_regime({one: read_log(one.folder) for one in included}),
        measured=measured,
        recorded=recorded,
    )


def _by_regime(values: Mapping[Trained, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one, value in values.items():
        found.setdefault(one.regime, {})[str(one.seed)] = value
    return found


def levels_reached(outcome: Outcome) -> dict[float, dict[str, int]]:
    """Count the networks of each regime that have reached each level of performance."""
    return {
        level: {
            regime: len(outcome.tables(AT_LEVEL.format(level)).get(regime, {}))
            for regime in WITH_LEVELS
        }
        for level in LEVELS
    }
