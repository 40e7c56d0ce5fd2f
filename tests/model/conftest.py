"""Short final evaluations of the networks that tests train."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nwbcompare.model import training


@pytest.fixture(scope="module", autouse=True)
def few_final_trials() -> Iterator[None]:
    """Evaluate at the end of a stage and of a run on 32 trials of each task instead of 512."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "FINAL_TRIALS", 32)
        yield
