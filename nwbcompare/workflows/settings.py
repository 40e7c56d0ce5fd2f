"""Settings of reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xarray as xr

from nwbcompare.core.activity import blocks
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError
from nwbcompare.core.process_pool import MANY_VALUES
from nwbcompare.core.short_repr import changed_fields

CONTEXTS = ("contextdm1", "contextdm2")
LEAST_TRIALS = 64
"""Two batches of the lesions' trials."""
LEAST = {
    "seed": 0,
    "n_surrogates": 1,
    "n_rotations": 1,
    "n_unit_permutations": 1,
    "n_trials": LEAST_TRIALS,
    "n_permutations": 1,
    "n_bootstrap": 2,
    "n_draws": 1,
    "n_splits": 2,
}
"""Smallest possible value of each number."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a report.

    Attributes
    ----------
    pair
        The two tasks of fractional task variance.
    seed
        Seed of all random numbers.
    n_permutations
        Permutations of trials, conditions and sessions in every test; 1000 give p values down to
        0.001.
    n_bootstrap
        Bootstrap replicates of every interval.
    n_draws
        Samples of each network with the recording's noise.
    n_splits
        Random splits of the recording into halves.
    margin
        Margin of equivalence (difference in s.d. of FTV, above 0 and at most 1), stated
        beforehand; None claims no equivalence.
    margin_reason
        Why a difference below the margin would not matter.
    least_performance
        Share of correct trials in each task of the last stage that a network must reach to be
        compared after continual learning; 0.8 as published.
    include_untrained
        Whether models that have not learned the two tasks are in the findings of a comparison;
        by default they are listed beside.
    n_surrogates
        Surrogates of the nulls for clusters and of ePAIRS.
    n_rotations
        Random rotations of the units.
    n_unit_permutations
        Permutations of units between groups and pairings, which cost little.
    n_trials
        Random trials of each task and lesion; intervals need two batches, 64.
    n_jobs
        Processes, on which no result depends; None: one for each core where the recording is
        large.

    Raises
    ------
    InputError
        For numbers below the smallest possible, and a pair of equal tasks.
    """

    pair: tuple[str, str] = CONTEXTS
    seed: int = 0
    n_permutations: int = 1000
    n_bootstrap: int = 2000
    n_draws: int = 4
    n_splits: int = 200
    margin: float | None = None
    margin_reason: str = ""
    least_performance: float = 0.8
    include_untrained: bool = False
    n_surrogates: int = 999
    n_rotations: int = 1000
    n_unit_permutations: int = 9999
    n_trials: int = 512
    n_jobs: int | None = None

    __repr__ = changed_fields

    def __post_init__(self) -> None:
        """Check all numbers before any work."""
        for name, least in LEAST.items():
            default = type(self).__dataclass_fields__[name].default
            check_whole(name, getattr(self, name), least, f"Use {name}={default}.")
        if self.n_jobs is not None:
            check_whole("n_jobs", self.n_jobs, 1, "Use n_jobs=1.")
        if self.margin is not None and not 0 < self.margin <= 1:
            raise InputError(
                "margin",
                "a difference in s.d. of FTV above 0 and at most 1",
                repr(self.margin),
                "Use 0.05.",
            )
        if not 0 <= self.least_performance < 1:
            raise InputError(
                "least_performance",
                "a share of correct trials below 1",
                repr(self.least_performance),
                "Use 0.8.",
            )
        if self.pair[0] == self.pair[1]:
            raise InputError(
                "pair", "two different tasks", repr(self.pair), "Use contextdm1:contextdm2."
            )

    def jobs_for(self, recording: xr.DataTree) -> int:
        """Return the number of processes for a recording."""
        if self.n_jobs is not None:
            return self.n_jobs
        from joblib import cpu_count  # noqa: PLC0415 - slow to import

        # for a small recording starting processes takes longer than the work
        n_values = sum(block["rate"].size for block in blocks(recording).values())
        return int(cpu_count()) if n_values >= MANY_VALUES else 1

    def parameters(self, *names: str) -> dict[str, Any]:
        """Return the settings of these names as plain values."""
        return {name: getattr(self, name) for name in names}
