"""Attribution of similarity: beyond every control, enough pairs, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from regime_samples import QUICK, networks, recording

import nwbcompare as nc
from nwbcompare.comparison.attribution import STATUSES, attribution
from nwbcompare.comparison.training_regimes import compare_regimes


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def result(*rows):
    """A result with rows (difference, half width, p, number of pairs); the first is primary."""
    names = ["sequential", "permuted", "uniform"][: len(rows)]
    mean, half, p, n = np.array(rows, dtype=float).T
    by = ("contrast", "measure")
    return xr.Dataset(
        {
            "difference": (by, mean[:, None]),
            "difference_low": (by, (mean - half)[:, None]),
            "difference_high": (by, (mean + half)[:, None]),
            "p_value": (by, p[:, None]),
            "p_smallest": ("contrast", 2.0 ** (1 - n)),
            "n_pairs": ("contrast", n.astype(int)),
        },
        coords={"measure": ["wasserstein"], "contrast": [f"consolidated - {name}" for name in names]},
        attrs={"distance": "wasserstein", "confidence": 0.95, "name": "monkey"},
    )  # fmt: skip


CLOSER, NOT, FURTHER = (-0.1, 0.05, 0.008, 8), (-0.1, 0.15, 0.008, 8), (0.1, 0.05, 0.008, 8)
UNSURE, FEW = (-0.1, 0.05, 0.06, 8), (-0.1, 0.01, 0.0625, 5)


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([CLOSER, CLOSER, CLOSER], "attributed"),
        ([CLOSER, CLOSER, NOT], "closer, but not beyond the controls"),
        ([CLOSER, FURTHER, CLOSER], "closer, but not beyond the controls"),
        ([CLOSER, UNSURE, FEW], "closer, but not beyond the controls"),
        ([CLOSER, CLOSER, FEW], "undecided: too few pairs"),
        ([NOT, CLOSER, CLOSER], "not closer"),
        ([UNSURE, CLOSER, CLOSER], "not closer"),
        ([NOT, FEW, FEW], "not closer"),
        ([FURTHER, CLOSER, CLOSER], "further"),
        ([FEW, CLOSER, CLOSER], "undecided: too few pairs"),
    ],
)
def test_similarity_is_attributed_only_beyond_every_control(rows, status):
    found = attribution(result(*rows))
    assert found["status"].item() == status
    assert status in STATUSES


def test_six_pairs_can_decide_and_five_cannot(rng):
    brain = recording(rng)
    for n, status in ((5, "undecided: too few pairs"), (6, "attributed")):
        regimes = {"consolidated": networks(rng, 0.5, n)}
        regimes |= {name: networks(rng, 0.95, n) for name in ("sequential", "permuted", "uniform")}
        contrasts = [("consolidated", other) for other in list(regimes)[1:]]
        found = attribution(compare_regimes(regimes, brain, contrasts, **QUICK))
        assert found["status"].item() == status
        verdicts = {"undecided"} if n == 5 else {"closer"}
        assert set(found["verdict"].values.tolist()) == verdicts


def test_verdicts_say_what_they_stand_on():
    found = attribution(result(CLOSER, NOT, FURTHER))
    assert found["verdict"].values.tolist() == ["closer", "not closer", "further"]
    np.testing.assert_allclose(found["difference_high"], [-0.05, 0.05, 0.15])
    assert found.attrs["regime"] == "consolidated"


def test_attribution_refuses_what_was_not_fixed_in_advance():
    found = result(CLOSER, CLOSER, CLOSER)
    with pytest.raises(
        nc.InputError, match="the first contrast of the result, 'consolidated - seq"
    ):
        attribution(found, ("consolidated", "permuted"))
    with pytest.raises(nc.InputError, match="controls: expected at least one regime"):
        attribution(found, controls=[])
    with pytest.raises(nc.InputError, match="Did you mean 'consolidated - uniform'"):
        attribution(found, controls=["uniforms"])
