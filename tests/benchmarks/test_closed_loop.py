"""A small closed loop: recordings made from a network, and that network sampled like them."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def loops(repository, mante2013_path):
    """Differences in s.d. of FTV, sample less recording, of three recordings of each setting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repository / "benchmarks"))
        patch.setenv("NWBCOMPARE_DATA", str(mante2013_path.parent))
        import closed_loop

        patch.setattr(closed_loop, "NETWORKS", ["all20-fast-0"])
        patch.setattr(closed_loop, "OVER_NETWORKS", ())
        patch.setattr(closed_loop, "PAIRINGS", ("random",))
        yield {
            name: [closed_loop.run_loop(name, seed, 1) for seed in range(3)]
            for name in ("independent", "wider by 0.20")
        }


@pytest.mark.shared
def test_a_network_is_not_told_from_a_recording_made_from_it(loops):
    for weighted in ("", "weighted "):
        same, wider = (
            np.array([loop[f"{weighted}random"] for loop in loops[name]])
            for name in ("independent", "wider by 0.20")
        )
        assert abs(same.mean()) < 0.04
        assert wider.mean() > 0.05
        test = f"p {weighted}random"
        assert np.median([loop[test] for loop in loops["independent"]]) > 0.05
        assert np.median([loop[test] for loop in loops["wider by 0.20"]]) < 0.05


@pytest.mark.shared
def test_weights_by_tuning_enlarge_a_true_difference(loops):
    plain, weighted = (
        np.mean([loop[name] for loop in loops["wider by 0.20"]])
        for name in ("random", "weighted random")
    )
    assert weighted > 1.3 * plain
