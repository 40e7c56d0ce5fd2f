"""How a comparison is run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import xarray as xr

from nwbcompare.core.activity import blocks
from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import InputError
from nwbcompare.core.process_pool import MANY_VALUES

CONTEXTS = ("contextdm1", "contextdm2")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a comparison is run.

    Attributes
    ----------
    pair
        The two tasks whose fractional task variance is compared.
    seed
        Seed of everything random.
    n_permutations
        Permutations of every test; 1000 give p values down to about 0.001.
    n_bootstrap
        Bootstrap replicates of every interval.
    n_draws
        How often each network is sampled with the recording's noise.
    margin
        By how much (in s.d. of FTV) networks and a recording may differ and still be called
        alike; None for what the two halves of the recording differ by.
    n_workers
        Processes; the results do not depend on them. None: one for each core where the recording
        is large.

    Raises
    ------
    InputError
        For numbers that are too small, and a pair that is none.
    """

    pair: tuple[str, str] = CONTEXTS
    seed: int = 0
    n_permutations: int = 1000
    n_bootstrap: int = 2000
    n_draws: int = 4
    margin: float | None = None
    n_workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be, before any work."""
        check_whole("seed", self.seed, 0, "Use seed=0.")
        check_whole("n_permutations", self.n_permutations, 1, "Use n_permutations=1000.")
        check_whole("n_bootstrap", self.n_bootstrap, 1, "Use n_bootstrap=2000.")
        check_whole("n_draws", self.n_draws, 1, "Use n_draws=4.")
        if self.n_workers is not None:
            check_whole("n_workers", self.n_workers, 1, "Use n_workers=1.")
        if self.margin is not None and not 0 < self.margin < 1:
            raise InputError(
                "margin",
                "a difference in s.d. of FTV between 0 and 1",
                repr(self.margin),
                "Use 0.05.",
            )
        if self.pair[0] == self.pair[1]:
            raise InputError(
                "pair", "two different tasks", repr(self.pair), "Use contextdm1:contextdm2."
            )

    def workers_for(self, recording: xr.DataTree) -> int:
        """Give the number of processes for a recording."""
        if self.n_workers is not None:
            return self.n_workers
        from joblib import cpu_count  # noqa: PLC0415 - only here

        values = sum(block["rate"].size for block in blocks(recording).values())
        return int(cpu_count()) if values >= MANY_VALUES else 1

    def parameters(self) -> dict[str, Any]:
        """Give what results depend on."""
        plain = asdict(self)
        del plain["n_workers"]
        return plain
