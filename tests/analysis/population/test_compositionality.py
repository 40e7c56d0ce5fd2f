"""Composition of task vectors: brute force, planted truth, intervals, figures."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from plain_formulas import brute_cosine

import nwbcompare as nc
from nwbcompare.analysis.population.compositionality import (
    COMPOSITIONS,
    composition_cosine,
    composition_over_networks,
    composition_rank,
)
from nwbcompare.analysis.population.task_vectors import TASK_SETS
from nwbcompare.experiments.rule_composition import RULE_COMPOSITIONS, parse_rule_expression
from nwbcompare.kernels.permutation import random_rotation
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.compositionality import (
    plot_cosine_controls,
    plot_cosine_rank,
    plot_cosine_ranks,
)


def labelled(values, names="abcdefgh", **attrs):
    names = list(names)[: len(values)]
    return xr.Dataset(
        {"task_vector": (("task", "unit"), np.asarray(values, dtype=float))},
        coords={"task": names, "unit": [f"u{i}" for i in range(np.shape(values)[1])]},
        attrs={"name": "toy", **attrs},
    )


def cosine_of(vectors, quadruple="abcd", **options):
    return float(composition_cosine(vectors, *quadruple, **options)["cosine"])


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def test_published_compositions_and_rules_say_the_same():
    for name, (a, b, c, d) in COMPOSITIONS.items():
        assert {a, b, c, d} == set(TASK_SETS[name])
        # a - b = c - d, so that one of the four is a sum of the others
        of = {a: {b: 1, c: 1, d: -1}, c: {a: 1, d: 1, b: -1}}
        task = next(task for task in RULE_COMPOSITIONS if task in of)
        assert parse_rule_expression(RULE_COMPOSITIONS[task]) == of[task]


def test_the_cosine_equals_its_formula(rng):
    values = rng.standard_normal((5, 9))
    found = cosine_of(labelled(values), "dbea")
    assert found == pytest.approx(brute_cosine(values, 3, 1, 4, 0), abs=1e-12)


def test_the_cosine_is_one_for_a_parallelogram_and_sees_no_shift_scale_or_rotation(rng):
    base = rng.standard_normal((3, 12))
    values = np.array([base[0] + base[1], base[0], base[2] + 3 * base[1], base[2]])
    assert cosine_of(labelled(values)) == pytest.approx(1)
    assert cosine_of(labelled(values), "badc") == pytest.approx(1)
    assert cosine_of(labelled(values), "bacd") == pytest.approx(-1)
    noisy = values + rng.standard_normal(values.shape)
    moved = 3 * noisy @ random_rotation(12, rng) + rng.standard_normal(12)
    assert cosine_of(labelled(moved)) == pytest.approx(cosine_of(labelled(noisy)))
    stretched = noisy * np.r_[30, np.ones(11)]
    assert abs(cosine_of(labelled(stretched)) - cosine_of(labelled(noisy))) > 0.05


def test_the_bootstrap_interval_holds_the_truth_as_often_as_it_says():
    inside = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        # a - b and c - d are correlated by 0.6 over units
        shared, own = rng.standard_normal((2, 150))
        values = [shared, np.zeros(150), 0.6 * shared + 0.8 * own + 1, np.ones(150)]
        result = composition_cosine(labelled(values), *"abcd", n_bootstrap=200, seed=seed)
        low, high = result["interval"].values
        inside += low <= 0.6 <= high
        assert low <= float(result["cosine"]) <= high
    assert 0.89 < inside / 200 < 0.99


def test_the_bootstrap_repeats_by_its_seed(rng):
    vectors = labelled(rng.standard_normal((4, 9)))
    one, same, other = (composition_cosine(vectors, *"abcd", seed=s) for s in (0, 0, 1))
    xr.testing.assert_identical(one, same)
    assert not one["interval"].equals(other["interval"])


@pytest.mark.parametrize("quadruple", ["abcd", "caeb", "edcb"])
def test_the_rank_equals_a_loop_over_all_orders(rng, quadruple):
    values = rng.standard_normal((6, 8))
    rank = composition_rank(labelled(values), quadruple)
    mine = brute_cosine(values, *("abcdef".index(name) for name in quadruple))
    # every value comes four times among the orders
    orders = [brute_cosine(values, *four) for four in permutations(range(6), 4)]
    below = sum(value < mine - 1e-9 for value in orders) / 4
    assert float(rank["share_smaller"]) == pytest.approx(below / (len(orders) / 4 - 1))
    for place in range(0, rank.sizes["quadruple"], 7):
        members = rank["member"].values[place]
        value = float(rank["all_cosines"][place])
        assert value == pytest.approx(brute_cosine(values, *members))


def test_a_planted_composition_ranks_first_and_its_turned_self_last(rng):
    values = rng.standard_normal((12, 100))
    values[0] = values[1] + values[2] - values[3] + 0.3 * rng.standard_normal(100)
    vectors = labelled(values, "abcdefghijkl")
    # a parallelogram's other pair of sides is parallel too
    assert float(composition_rank(vectors, "abcd")["share_smaller"]) > 0.9995
    assert float(composition_rank(vectors, "bacd")["share_smaller"]) < 0.0005
    assert 0.02 < float(composition_rank(vectors, "efgh")["share_smaller"]) < 0.98


def test_ranks_of_unrelated_vectors_are_spread_evenly():
    shares = [
        float(
            composition_rank(
                labelled(np.random.default_rng(seed).standard_normal((7, 30))), "abcd"
            )["share_smaller"]
        )
        for seed in range(150)
    ]
    assert abs(np.mean(shares) - 0.5) < 0.08
    assert abs(np.std(shares) - np.sqrt(1 / 12)) < 0.05


@pytest.mark.parametrize(
    ("n_vectors", "quadruple", "error", "match"),
    [
        (6, "abc", nc.InputError, "quadruple: expected four names"),
        (6, "abca", nc.InputError, "tasks: expected different ones"),
        (6, "abcz", nc.InputError, "task: .*'z'"),
        (4, "abcd", nc.NotApplicableError, "vectors: expected from 5 to 50 tasks, got 4"),
    ],
)
def test_ranks_need_enough_different_tasks(rng, n_vectors, quadruple, error, match):
    with pytest.raises(error, match=match):
        composition_rank(labelled(rng.standard_normal((n_vectors, 8))), quadruple)


def test_equal_vectors_are_refused_by_name(rng):
    values = rng.standard_normal((6, 8))
    values[4] = values[1]
    with pytest.raises(nc.NotApplicableError, match="equal ones of 'b' and 'e'"):
        composition_rank(labelled(values), "abcd")
    assert -1 <= cosine_of(labelled(values)) <= 1
    with pytest.raises(nc.NotApplicableError, match="equal ones of 'b' and 'e'"):
        cosine_of(labelled(values), "abce")


def ranks(n_networks, rng):
    return [
        composition_rank(labelled(rng.standard_normal((6, 8)), name=f"network {i}"), "abcd")
        for i in range(n_networks)
    ]


def test_networks_are_joined_with_their_inference(rng):
    several = ranks(5, rng)
    joined = composition_over_networks(several)
    values = [float(rank["cosine"]) for rank in several]
    assert joined["cosine"].values.tolist() == values
    assert joined["network"].values.tolist() == [f"network {i}" for i in range(5)]
    assert joined["share_smaller"].sizes == {"network": 5}
    assert float(joined["mean"]) == pytest.approx(np.mean(values))
    assert float(joined["mean_low"]) < np.mean(values) < float(joined["mean_high"])
    assert float(joined["p_smallest"]) == 2**-4
    assert joined.attrs["of"] == "composition_rank"


def test_only_like_results_of_different_networks_are_joined(rng):
    one, two = ranks(2, rng)
    for results, error, match in (
        ([], nc.InputError, "results: expected at least one"),
        ([one, one], nc.InputError, "different networks, got network 0, network 0"),
        (
            [one, two.assign_attrs(quadruple='["a", "c", "b", "d"]')],
            nc.NotApplicableError,
            "one analysis",
        ),
    ):
        with pytest.raises(error, match=match):
            composition_over_networks(results)
    with pytest.warns(UserWarning, match="nothing can be inferred"):
        composition_over_networks([one])


# --- figures


@pytest.fixture
def ax():
    _, axes = new_figure()
    return axes[0, 0]


def test_the_figure_of_one_rank(ax, rng):
    (rank,) = ranks(1, rng)
    assert plot_cosine_rank(ax, rank, names={"a": "Anti"}) is ax
    assert "Anti − b\nand c − d" in ax.get_xlabel()
    (steps,) = ax.patches
    assert steps.get_data().values.sum() == pytest.approx(1)
    (line,) = ax.lines
    assert line.get_xdata()[0] == pytest.approx(float(rank["cosine"]))
    assert ax.get_xlim() == (-1, 1)
    assert f"{float(rank['cosine']):.2f}, above" in ax.get_legend().get_texts()[1].get_text()


def test_a_rank_is_never_rounded_up_to_all(ax, rng):
    (rank,) = ranks(1, rng)
    plot_cosine_rank(ax, rank.assign(share_smaller=0.99997))
    assert "above 99.99 %" in ax.get_legend().get_texts()[1].get_text()


def test_the_figure_of_several_ranks(ax, rng):
    several = ranks(3, rng)
    assert plot_cosine_ranks(ax, several) is ax
    *violins, points = ax.collections
    assert len(violins) == 3
    values = [float(rank["cosine"]) for rank in several]
    np.testing.assert_allclose(points.get_offsets()[:, 1], values)
    assert [t.get_text() for t in ax.get_xticklabels()] == [f"network {i}" for i in range(3)]


def test_the_figure_of_controls(ax, rng):
    several = [composition_over_networks(ranks(4, rng)) for _ in range(3)]
    several[2] = several[2].assign_coords(network=list("wxyz"))
    cosines = dict(zip(("trained", "Gaussian rules", "mixed"), several, strict=True))
    assert plot_cosine_controls(ax, cosines) is ax
    assert [t.get_text() for t in ax.get_xticklabels()] == list(cosines)
    for place, result in enumerate(several):
        points, mean = ax.collections[2 * place : 2 * place + 2]
        np.testing.assert_allclose(points.get_offsets()[:, 1], result["cosine"])
        np.testing.assert_allclose(mean.get_offsets(), [[place, float(result["mean"])]])
    # four networks are the same in the first two columns, none in the last two
    assert sum(line.get_xdata()[0] != line.get_xdata()[-1] for line in ax.lines[:-1]) == 4
