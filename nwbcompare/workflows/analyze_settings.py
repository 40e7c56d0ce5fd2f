"""How an analysis is run."""

from __future__ import annotations

from dataclasses import dataclass

from nwbcompare.core.checks import check_whole

LEAST_TRIALS = 64
"""Two batches of the lesions' trials."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How an analysis is run.

    Attributes
    ----------
    seed
        Seed of everything random.
    n_surrogates
        Surrogates of the null for clusters, and of ePAIRS.
    n_rotations
        Random rotations of the units.
    n_permutations
        Permutations of group labels.
    n_trials
        Random trials of each task for each lesion.

    Raises
    ------
    InputError
        For numbers that are too small or not whole.
    """

    seed: int = 0
    n_surrogates: int = 999
    n_rotations: int = 1000
    n_permutations: int = 9999
    n_trials: int = 512

    def __post_init__(self) -> None:
        """Refuse numbers that no section can work with, before any section has begun."""
        check_whole("seed", self.seed, 0, "Use seed=0.")
        check_whole("n_surrogates", self.n_surrogates, 1, "Use n_surrogates=999.")
        check_whole("n_rotations", self.n_rotations, 1, "Use n_rotations=1000.")
        check_whole("n_permutations", self.n_permutations, 1, "Use n_permutations=9999.")
        check_whole("n_trials", self.n_trials, LEAST_TRIALS, "Intervals need two batches: 512.")
