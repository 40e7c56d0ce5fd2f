"""Training regimes on paired seeds: brute-force matched, theorems, simulated truth, the verdict."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PathCollection
from regime_samples import (
    BOUNDS,
    MAIN,
    QUICK,
    SESSION,
    ftv,
    networks,
    plain,
    recording,
    table,
    two_regimes,
    unlike,
)
from scipy.stats import t as student

import nwbcompare as nc
from nwbcompare.comparison.attribution import attribution
from nwbcompare.comparison.distance_to_recording import STATISTICS, distance_to_recording
from nwbcompare.comparison.kernels.distances import DISTANCES, wasserstein
from nwbcompare.comparison.split_half import split_half_distance
from nwbcompare.comparison.training_regimes import compare_regimes
from nwbcompare.plotting.style import new_figure
from nwbcompare.plotting.training_regimes import plot_contrasts, plot_regimes


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# what is measured ----------------------------------------------------------------------------


def test_measures_and_differences_are_those_of_plain_loops(rng):
    regimes, brain = two_regimes(rng), recording(rng)
    found = compare_regimes(regimes, brain, [MAIN], **QUICK)
    expected = np.array(
        [[unlike(ftv(one), ftv(brain)) for one in own.values()] for own in regimes.values()]
    )
    own = found["distance"].transpose("regime", "pair", "measure")
    np.testing.assert_allclose(own, expected)
    assert found["measure"].values.tolist() == ["wasserstein", *STATISTICS]
    values = found["value"].transpose("regime", "pair", "statistic")
    np.testing.assert_allclose(
        values, [[plain(ftv(x)) for x in o.values()] for o in regimes.values()]
    )
    np.testing.assert_allclose(found["recorded"], plain(ftv(brain)))
    np.testing.assert_allclose(found["mean"].T, expected.mean(axis=1))
    apart = expected[0] - expected[1]
    np.testing.assert_allclose(found["difference"][0], apart.mean(axis=0), atol=1e-12)
    assert (found["n_units"] == 80).all()
    for place, differences in enumerate(apart.T):
        signs = np.array(list(itertools.product([-1, 1], repeat=8)))
        as_far = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9
        assert found["p_value"][0, place].item() == as_far.mean()
    assert found["p_smallest"].item() == 2 / 2**8


def test_the_interval_adds_pairs_and_sessions_and_counts_nothing_twice(rng):
    regimes, brain = two_regimes(rng), recording(rng, shift=0.4)
    found = compare_regimes(regimes, brain, [MAIN], n_bootstrap=200, n_splits=3)
    tables = [one for own in regimes.values() for one in own.values()]
    parts = distance_to_recording(
        tables, brain, distance="wasserstein", by="session", n_bootstrap=200, seed=0, **BOUNDS
    )
    pairs = parts.observed[0, :8] - parts.observed[0, 8:]
    resampled = parts.resampled[:, 0, :8] - parts.resampled[:, 0, 8:]
    # what is left of each pair in each sample without the sample's mean and the pair's
    own = resampled - resampled.mean(axis=1, keepdims=True)
    own -= own.mean(axis=0)
    over_pairs = pairs.var(ddof=1) / 8
    over_sessions = max(resampled.mean(axis=1).var() - (own**2).mean() / 7, 0)
    both = over_pairs + over_sessions
    freedom = both**2 / (over_pairs**2 / 7 + over_sessions**2 / 19)
    half = student.ppf(0.975, freedom) * np.sqrt(both)
    ends = found[["difference_low", "difference_high"]].isel(contrast=0, measure=0)
    np.testing.assert_allclose(
        [ends["difference_low"], ends["difference_high"]], pairs.mean() + np.array([-half, half])
    )


def test_what_each_pair_does_on_its_own_adds_nothing_to_what_pairs_differ_by(rng):
    """Pairs that answer to sessions at random: the spread over pairs holds all of it."""
    from nwbcompare.comparison.training_regimes import _Distances

    n = 400
    pair, session = rng.standard_normal((1, n)), rng.standard_normal((3000, 1, 1))
    own = 2 * rng.standard_normal((3000, 1, n))
    observed = pair + 2 * rng.standard_normal((1, n))
    alone = _Distances(observed, pair + own).mean(19, 0.95)
    half = student.ppf(0.975, n - 1) * observed.std(ddof=1) / np.sqrt(n)
    assert (alone[2] - alone[1]).item() / 2 == pytest.approx(half, rel=0.01)
    together = _Distances(observed, pair + own + session).mean(19, 0.95)
    assert (together[2] - together[1]).item() / 2 == pytest.approx(student.ppf(0.975, 19), rel=0.05)


# theorems ------------------------------------------------------------------------------------


def test_a_contrast_turned_round_changes_its_sign_only(rng):
    regimes, brain = two_regimes(rng), recording(rng)
    found = compare_regimes(regimes, brain, [MAIN, MAIN[::-1]], **QUICK)
    one, other = found.isel(contrast=0), found.isel(contrast=1)
    np.testing.assert_allclose(one["difference"], -other["difference"])
    np.testing.assert_allclose(one["difference_low"], -other["difference_high"])
    np.testing.assert_allclose(one["p_value"], other["p_value"])


def test_equal_networks_do_not_differ(rng):
    own, brain = networks(rng, 0.8), recording(rng)
    found = compare_regimes(dict.fromkeys(MAIN, own), brain, [MAIN], **QUICK)
    for name in ("difference", "difference_low", "difference_high"):
        np.testing.assert_array_equal(found[name], 0)
    assert (found["p_value"] == 1).all()
    found = attribution(compare_regimes(
        {**dict.fromkeys(MAIN, own), "permuted": own}, brain, [MAIN, (MAIN[0], "permuted")], **QUICK
    ), controls=["permuted"])  # fmt: skip
    assert found["status"].item() == "not closer"


def test_order_and_names_do_not_matter_and_the_seed_does(rng):
    regimes, brain = two_regimes(rng), recording(rng)
    found = compare_regimes(regimes, brain, [MAIN], **QUICK)
    xr.testing.assert_identical(compare_regimes(regimes, brain, [MAIN], **QUICK), found)
    turned = {name: dict(reversed(regimes[name].items())) for name in reversed(regimes)}
    again = compare_regimes(turned, brain, [MAIN], **QUICK).sel(
        regime=found["regime"], pair=found["pair"]
    )
    for name in ("distance", "difference", "difference_low", "p_value", "mean_high"):
        np.testing.assert_allclose(again[name], found[name], err_msg=name)
    renamed = brain.assign_coords(session=("unit", np.char.add("day ", SESSION)))
    again = compare_regimes(regimes, renamed, [MAIN], **QUICK)
    np.testing.assert_allclose(again["difference_low"], found["difference_low"])
    other = compare_regimes(regimes, brain, [MAIN], seed=1, **QUICK)
    np.testing.assert_allclose(other["difference"], found["difference"])
    assert not np.allclose(other["difference_low"], found["difference_low"])


def test_pairs_that_a_regime_lacks_are_left_out_of_its_contrasts_only(rng):
    regimes, brain = two_regimes(rng), recording(rng)
    regimes["permuted"] = networks(rng, 0.8)
    whole = compare_regimes(regimes, brain, [MAIN, (MAIN[0], "permuted")], **QUICK)
    del regimes["sequential"]["seed 3"]
    found = compare_regimes(regimes, brain, [MAIN, (MAIN[0], "permuted")], **QUICK)
    assert found["n_pairs"].values.tolist() == [7, 8]
    assert found["n_networks"].values.tolist() == [8, 7, 8]
    assert found["pair"].values[~found["is_paired"].values[0]].tolist() == ["seed 3"]
    missing = found["distance"].sel(regime="sequential", pair="seed 3")
    assert missing.isnull().all()
    kept = found["distance"].sel(regime=list(MAIN)).drop_sel(pair="seed 3")
    expected = (kept.sel(regime=MAIN[0]) - kept.sel(regime=MAIN[1])).mean("pair")
    np.testing.assert_allclose(found["difference"][0], expected)
    np.testing.assert_allclose(found["difference"][1], whole["difference"][1])


def test_networks_are_compared_at_the_size_of_the_smallest(rng):
    brain = recording(rng)
    regimes = {"few": networks(rng, 0.5, size=20), "many": networks(rng, 0.5, size=2000)}
    found = compare_regimes(regimes, brain, [("few", "many")], **QUICK)
    assert found.attrs["n_values"] == 20
    few, many = found["mean"].sel(measure="wasserstein").values
    assert few == pytest.approx(many, rel=0.3)
    whole = np.mean([wasserstein(ftv(one), ftv(brain)) for one in regimes["many"].values()])
    assert whole < 0.7 * many
    assert found["n_units"].values[:, 0].tolist() == [20, 2000]


def test_the_floor_and_the_ratio_to_it_are_those_of_split_halves(rng):
    regimes, brain = two_regimes(rng), recording(rng)
    found = compare_regimes(regimes, brain, [MAIN], n_bootstrap=5, n_splits=20, distance="energy")
    models = [one for own in regimes.values() for one in own.values()]
    split_half = split_half_distance(brain, models, n_splits=20).sel(measure="energy")
    assert found["split_half"].item() == split_half["mean"].item()
    assert found["split_half_high"].item() == split_half["high"].item()
    np.testing.assert_allclose(
        found["ratio"], split_half["ratio"].values.reshape(2, 8).mean(axis=1)
    )
    assert found["ratio"][0] < found["ratio"][1]
    assert found["measure"][0] == "energy"
    expected = [DISTANCES["energy"](ftv(one), ftv(brain)) for one in regimes[MAIN[0]].values()]
    np.testing.assert_allclose(found["distance"][0, 0], expected)


def test_holm_adjusts_within_a_measure_but_the_primary_test(rng):
    regimes, brain = two_regimes(rng), recording(rng)
    regimes |= {"permuted": networks(rng, 0.75), "uniform": networks(rng, 0.72)}
    contrasts = [MAIN, (MAIN[0], "permuted"), (MAIN[0], "uniform")]
    found = compare_regimes(regimes, brain, contrasts, **QUICK)
    p, adjusted = found["p_value"].values, found["p_adjusted"].values
    assert adjusted[0, 0] == p[0, 0]
    np.testing.assert_allclose(adjusted[1:, 0], nc.inference.adjust_p(p[1:, 0]))
    for place in range(1, 5):
        np.testing.assert_allclose(adjusted[:, place], nc.inference.adjust_p(p[:, place]))
    alone = compare_regimes(regimes, brain, contrasts[:2], **QUICK)
    np.testing.assert_array_equal(alone["p_adjusted"][:, 0], alone["p_value"][:, 0])


# animals and matched ---------------------------------------------------------------------------


def test_twins_of_silent_units_are_resampled_with_their_session(rng):
    brain = recording(rng)
    brain["fractional_task_variance"][:4] = np.nan
    regimes = two_regimes(rng, session=SESSION, recorded_unit=np.arange(80))
    found = compare_regimes(regimes, brain, [MAIN], **QUICK)
    assert found.attrs["pairing"] == "matched units"
    assert found.attrs["n_groups"] == 20


def test_units_may_stand_for_themselves(rng):
    regimes, brain = two_regimes(rng), recording(rng).drop_vars("session")
    found = compare_regimes(regimes, brain, [MAIN], by="unit", **QUICK)
    assert found.attrs["n_groups"] == 80
    assert found.attrs["unit_of_inference"] == "pairs of networks; units of 1 animal(s)"


# simulated truth -----------------------------------------------------------------------------


def simulated(seed, widths, **options):
    """Eight pairs that share a part, and a recording whose sessions differ."""
    rng = np.random.default_rng([seed, 5])
    common = 0.05 * rng.standard_normal(8)
    regimes = {}
    for regime, width in zip(MAIN, widths, strict=True):
        own = np.clip(width + common + 0.03 * rng.standard_normal(8), 0.01, 1)
        regimes[regime] = {str(i): table(rng.uniform(-w, w, 80)) for i, w in enumerate(own)}
    brain = recording(rng, shift=0.4)
    found = compare_regimes(regimes, brain, [MAIN], n_bootstrap=40, n_splits=1, **options)
    return found.isel(contrast=0, measure=0)


@pytest.fixture(scope="module")
def many():
    return {
        name: [simulated(seed, widths) for seed in range(40)]
        for name, widths in {"alike": (0.8, 0.8), "either": (0.76, 0.25), "closer": (0.65, 0.85)}.items()
    }  # fmt: skip


def column(rows, name):
    return np.array([row[name].item() for row in rows])


def excludes_0(rows):
    return (column(rows, "difference_low") > 0) | (column(rows, "difference_high") < 0)


def test_regimes_that_are_alike_are_rarely_told_apart_and_others_are(many):
    """The calibration that `benchmarks/regime_errors.py` measures at length."""
    assert (column(many["alike"], "p_value") <= 0.05).sum() <= 5
    closer = many["closer"]
    assert ((column(closer, "p_value") <= 0.05) & excludes_0(closer)).sum() > 33
    assert (column(closer, "difference") < 0).all()


def test_intervals_hold_the_truth(many):
    for name, rows in many.items():
        truth = column(rows, "difference").mean()
        low, high = column(rows, "difference_low"), column(rows, "difference_high")
        assert ((low <= truth) & (truth <= high)).sum() > 34, name


def test_on_either_side_of_the_recording_flips_alone_would_mislead(many):
    """A negative control: the flips take the recording as it is, the interval does not."""
    rows = many["either"]
    assert (column(rows, "p_value") <= 0.05).sum() > 7
    assert excludes_0(rows).sum() < 4


# errors, files and figures -------------------------------------------------------------------


def test_one_pair_is_warned_of_and_infers_nothing(rng):
    regimes, brain = two_regimes(rng, n=1), recording(rng)
    with pytest.warns(UserWarning, match="One pair in consolidated - sequential allows no inf"):
        found = compare_regimes(regimes, brain, [MAIN], **QUICK)
    assert (found["p_value"] == 1).all()
    assert found["p_smallest"] == 1
    assert found["difference_low"].isnull().all()
    assert found["mean_low"].isnull().all()
    _, axes = new_figure(1, 2)
    plot_regimes(axes[0, 0], found)
    plot_contrasts(axes[0, 1], found)


def test_bad_input_is_refused(rng):
    regimes, brain = two_regimes(rng, n=2), recording(rng)
    own = regimes["sequential"]

    def refused(match, regimes=regimes, brain=brain, contrasts=(MAIN,), **options):
        error = options.pop("error", nc.InputError)
        with pytest.raises(error, match=match):
            compare_regimes(regimes, brain, list(contrasts), **(QUICK | options))

    refused("regimes: expected training regimes with one network", regimes={})
    refused("none for permuted", regimes={**regimes, "permuted": {}})
    refused("contrasts: expected at least one", contrasts=())
    refused("contrasts: expected different ones", contrasts=(MAIN, MAIN))
    refused("Did you mean 'sequential'", contrasts=[("consolidated", "sequentiel")])
    refused("expected two regimes, got one twice", contrasts=[("sequential", "sequential")])
    refused(
        "two regimes with a pair in common",
        regimes={**regimes, "consolidated": {"x": own["seed 0"]}},
        error=nc.NotApplicableError,
    )
    refused("confidence: expected a share between 0 and 1, got 95", confidence=95)
    refused("distance: expected one of wasserstein", distance="wassertein")
    refused("by: expected one of session, unit", by="animal")
    refused("n_bootstrap: expected 1 or more", n_bootstrap=0)
    refused("n_splits: expected 1 or more", n_splits=0)
    refused(
        "a unit column 'session'", error=nc.NotApplicableError, brain=brain.drop_vars("session")
    )
    refused(
        "two or more sessions of one animal",
        error=nc.NotApplicableError,
        brain=brain.isel(unit=slice(4)),
    )
    refused("two or more sessions of one animal, with active units, got 1 with", error=nc.NotApplicableError,
        brain=brain.where(brain["session"] == "s00"),
    )  # fmt: skip
    refused(
        "two or more units of one animal",
        error=nc.NotApplicableError,
        brain=brain.isel(unit=[0]),
        by="unit",
    )
    two = brain.isel(unit=slice(8)).assign_coords(subject=("unit", np.repeat(["A", "B"], 4)))
    refused("2 with active units, animals: 2", error=nc.NotApplicableError, brain=two)
    silent = {**own, "seed 0": own["seed 0"] * np.nan}
    silent["seed 0"].attrs = own["seed 0"].attrs
    refused(
        "two or more active units in every draw",
        error=nc.NotApplicableError,
        regimes={**regimes, "sequential": silent},
    )
    swapped = {**own, "seed 0": own["seed 0"].assign_attrs(task_a="b", task_b="a")}
    refused(r"sequential seed 0: expected the recording's pair of tasks \(a, b\), got b, a", regimes={
        **regimes, "sequential": swapped
    })  # fmt: skip
    matched_table = {"session": ("unit", SESSION), "recorded_unit": ("unit", np.arange(80))}
    some = {**own, "seed 0": own["seed 0"].assign_coords(matched_table)}
    refused("in all or in none, got them in 1 of 4", regimes={**regimes, "sequential": some})
    strange = two_regimes(rng, n=2, session=np.char.add("x", SESSION), recorded_unit=np.arange(80))
    refused("units matched to the recording's own sessions, got others: xs00", regimes=strange)


def test_results_are_saved(rng, tmp_path):
    regimes, brain = two_regimes(rng), recording(rng)
    regimes["permuted"] = networks(rng, 0.8)
    found = compare_regimes(regimes, brain, [MAIN, (MAIN[0], "permuted")], **QUICK)
    for one in (found, attribution(found, controls=["permuted"])):
        path = tmp_path / f"{one.attrs['analysis']}.nc"
        one.to_netcdf(path, engine="h5netcdf")
        xr.testing.assert_identical(xr.load_dataset(path, engine="h5netcdf"), one)


def test_the_figures_show_every_network_pair_and_contrast(rng):
    regimes, brain = two_regimes(rng), recording(rng)
    regimes["permuted"] = networks(rng, 0.8)
    del regimes["permuted"]["seed 0"]
    found = compare_regimes(regimes, brain, [MAIN, (MAIN[0], "permuted")], **QUICK)
    _, axes = new_figure(2, 2)
    ax = plot_regimes(axes[0, 0], found, names={"permuted": "order permuted"})
    points = [one for one in ax.collections if isinstance(one, PathCollection)]
    shown = np.concatenate([one.get_offsets()[:, 1] for one in points])
    assert np.isfinite(shown.filled(np.nan)).sum() == 23
    lines = [line for line in ax.lines if line.get_linewidth() == 0.6]
    assert [len(line.get_xdata()) for line in lines] == [2, *[3] * 7]
    assert [one.get_text() for one in ax.get_xticklabels()][2] == "order permuted\n(n = 7)"
    assert ax.get_ylabel() == "Wasserstein distance\nto monkey"
    assert [one.get_text() for one in ax.texts] == ["halves of the\nrecording (95 %)"]
    ax = plot_regimes(axes[0, 1], found, "mixed_share")
    assert ax.get_ylabel() == "difference of shares of mixed units\nfrom monkey"
    assert not ax.texts
    ax = plot_contrasts(axes[1, 0], found)
    rows = [one.get_text() for one in ax.get_yticklabels()]
    assert rows[1] == "consolidated\nless permuted\n(7 pairs)"
    assert ax.texts[0].get_text() == f"p = {found['p_value'][0, 0].item():.2g}"
    np.testing.assert_allclose(ax.lines[0].get_xdata(), found["difference"][:, 0])
    ax = plot_contrasts(axes[1, 1], found, ["wasserstein", "sd"])
    assert [one.get_text() for one in ax.get_legend().get_texts()][1] == "difference of s.d."
    for draw in (plot_regimes, lambda ax, found, name: plot_contrasts(ax, found, [name])):
        with pytest.raises(nc.InputError, match="measure: expected one of wasserstein, sd"):
            draw(axes[0, 0], found, "energy")
