"""The scripts of the paper's figures run on a small network, and what they print is true.

They run in this process, so that torch is imported once, and a warning in them is a failure.
"""

from __future__ import annotations

import csv
import re
import runpy
import sys
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import silhouette_score

import nwbcompare as nc
from nwbcompare.core.activity import blocks
from nwbcompare.workflows.sources import find_network, resolve

SMALL = "pretrained:all20-small-0"
CONTEXTS = ("contextdm1", "contextdm2")
NUMBER = r"([+-]?\d+(?:\.\d+)?)"
FIGURES = {
    "figure_1_performance": ["figure_1_performance"],
    "figure_2_clusters": ["figure_2_clusters"],
    "figure_4_pairs": ["figure_4_pairs", "figure_4_typical_pairs"],
    "figure_5_context_groups": ["figure_5_context_groups"],
    "figure_6_task_vectors": ["figure_6_task_vectors"],
    "figure_7_rule_composition": ["figure_7_rule_composition"],
    "variance_by_epoch": ["variance_by_epoch", "variance_in_time"],
}


@pytest.fixture
def run(repository, monkeypatch, capsys, tmp_path):
    """Run a script and give what it prints; its figures are looked at by the way."""

    def call(name, *arguments, network=SMALL, panels):
        path = repository / "examples" / f"{name}.py"
        monkeypatch.setattr(
            sys,
            "argv",
            [str(path), "--network", str(network), "--out", str(tmp_path), *map(str, arguments)],
        )
        with mpl.rc_context():
            runpy.run_path(str(path), run_name="__main__")
        printed = capsys.readouterr().out
        made = sorted(tmp_path.glob("*.svg"))
        assert [one.stem for one in made] == FIGURES[name]
        for one, least in zip(made, panels, strict=True):
            assert f"written: {one}" in printed
            assert n_axes(one) >= least
        return printed

    return call


def n_axes(path):
    """Count the axes of a figure, colour bars and insets among them."""
    root = ET.parse(path).getroot()  # noqa: S314 - our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return sum(re.match(r"axes_\d+$", one.get("id", "")) is not None for one in root.iter())


def numbers(pattern, printed):
    """Return the numbers of the one line that a pattern with # for numbers fits."""
    found = re.findall(re.escape(pattern).replace(r"\#", NUMBER), printed)
    assert len(found) == 1, (pattern, printed)
    return [float(one) for one in ([found[0]] if isinstance(found[0], str) else found[0])]


def close(values, decimals=3):
    return pytest.approx([float(value) for value in values], abs=0.51 * 10**-decimals)


@pytest.fixture(scope="module")
def network():
    return find_network(SMALL)


@pytest.fixture(scope="module")
def activity():
    return resolve(SMALL)


@pytest.fixture
def recorded_once(monkeypatch, activity):
    """The test trials are recorded once for the scripts that want them all."""
    monkeypatch.setattr(
        "nwbcompare.workflows.sources.resolve", lambda source: activity if source == SMALL else None
    )


@pytest.fixture(scope="module")
def variance(activity):
    """Task variance by plain loops, ``(unit, task)``: rates' variance over trials, mean in time."""
    columns = []
    for block in blocks(activity).values():
        rates = block["rate"].transpose("trial", "time", "unit").values.astype(float)
        counted = block["time"].values > float(block["epoch_stop_time"].sel(epoch="fix1")[0])
        columns.append(rates.var(axis=0)[counted].mean(axis=0))
    return np.stack(columns, axis=1)


def test_performance(run, network):
    printed = run("figure_1_performance", "--directions", 20, panels=[4])
    with (nc.model.pretrained_path("all20-small-0") / "log.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    shares = {task: float(last[task]) for task in nc.tasks.RULES}
    worst = min(shares, key=shares.get)
    pattern = f"after # steps the worst task is {worst}: # correct"
    assert numbers(pattern, printed) == close([float(last["step"]), shares[worst]])

    for task, asked, ignored in (
        ("dm1", "coherence_1", None),
        ("contextdm1", "coherence_1", "coherence_2"),
        ("contextdm2", "coherence_2", "coherence_1"),
    ):
        curves = nc.experiments.psychometric_curves(network, task, n_directions=20)
        expected = []
        for duration in (200, 400, 800):
            right = []
            for coherence in curves[asked].values[curves[asked].values != 0]:
                at = curves.sel({asked: coherence, "duration": duration})
                chosen, either = (
                    float(at[name].sum(ignored)) if ignored else float(at[name])
                    for name in ("n_choice_1", "n_valid")
                )
                share = chosen / either
                right.append(share if coherence > 0 else 1 - share)
            expected.append(np.mean(right))
        found = numbers(
            f"\n{task}: correct choices # after 200 ms, # after 400 ms, # after 800 ms", printed
        )
        assert found == close(expected)
        # evidence is accumulated
        assert found[0] < found[2]


@pytest.mark.usefixtures("recorded_once")
def test_clusters(run, activity, variance, network):
    printed = run("figure_2_clusters", "--surrogates", 9, "--trials", 64, panels=[6])
    measured = nc.task_variance(activity)
    found = nc.clustering.cluster_units(measured)
    active = variance.sum(axis=1) > 1e-3
    rows = variance[active] / variance[active].max(axis=1, keepdims=True)
    labels = found["cluster"].values[active]
    assert numbers("# clusters of # active units, silhouette #", printed) == close(
        [np.unique(labels).size, active.sum(), silhouette_score(rows, labels)]
    )

    null = nc.clustering.cluster_null(measured, n_surrogates=9)
    drawn = null["surrogate_silhouette"].values
    p_value = (1 + (drawn >= float(null["observed"])).sum()) / 10
    assert numbers("without clusters the silhouette would be #, p = #", printed) == close(
        [np.median(drawn), p_value]
    )

    groups = {str(one): np.flatnonzero(found["cluster"].values == one) for one in set(labels)}
    names = [str(one) for one in range(len(groups))]
    lesions = nc.experiments.lesion_performance(network, groups, n_trials=64)
    drop = -lesions["change"].sel(lesion=names, task=list(measured["task"].values)).values
    profile = np.stack([rows[labels == one].mean(axis=0) for one in range(len(names))])
    correlation = spearmanr(profile.ravel(), drop.ravel()).statistic
    shown = numbers("rank correlation #, with clusters permuted # to #", printed)
    assert shown[:1] == close([correlation])
    assert shown[1] < 0 < shown[2] < shown[0]


@pytest.mark.usefixtures("recorded_once")
def test_pairs(run, activity):
    printed = run("figure_4_pairs", "--rotations", 40, panels=[1, 2])
    measured = nc.task_variance(activity)
    shapes = nc.selectivity.classify_pairs(nc.selectivity.pairwise_ftv(measured))
    kinds = [str(kind) for kind in shapes["candidate"].values]
    counted = [numbers(f"\n{kind}: # of 190 pairs", f"\n{printed}")[0] for kind in kinds]
    assert counted == [list(shapes["shape"].values).count(kind) for kind in kinds]
    undecided = numbers("undecided: # of 190 pairs", printed)[0]
    assert undecided + sum(counted) == 190
    rotated = nc.selectivity.rotated_pairs(activity, n_rotations=40)
    expected = [float(rotated[name].mean()) for name in ("observed_sd", "ftv_sd")]
    assert numbers("units #, rotated units #", printed) == pytest.approx(expected, abs=0.0051)

    typical = dict(re.findall(r"typical pair, (\S+): (\S+)", printed))
    assert set(typical) == {kind for kind, n in zip(kinds, counted, strict=True) if n}
    for kind, pair in typical.items():
        assert shapes["shape"].sel(pair=pair) == kind


def test_context_groups(run):
    source = "pretrained:ctxdm-0"
    printed = run(
        "figure_5_context_groups",
        *("--permutations", 99, "--directions", 4),
        network=source,
        panels=[9],
    )
    found = find_network(source)
    measured = nc.task_variance(resolve(source))
    first, second = measured["task_variance"].transpose("task", "unit").values
    active = first + second > 1e-3
    share = np.where(active, first / np.where(active, first + second, 1), np.nan)
    sizes = [(share > 0.9).sum(), (share < 0.1).sum(), ((share > 0.4) & (share < 0.6)).sum()]
    shown = numbers("group 1: # units, group 2: # units, group 12: # units", printed)
    assert shown == sizes

    groups = nc.selectivity.unit_groups(measured, *CONTEXTS)
    result = nc.connectivity.mutual_inhibition(
        nc.experiments.network_weights(found), groups, n_permutations=99
    )
    for start, stop in ("12", "21", "11", "22"):
        expected = result["mean_weight"].sel(group_from=start, group_to=stop)
        line = f"mean weight from group {start} to group {stop}: #"
        assert numbers(line, printed) == close([expected], 4)
    verdict = "detected" if result["called_inhibition"] else "not detected"
    p_value = (1 + (result["null_statistic"] <= result["statistic"]).sum()) / 100
    assert numbers(f"mutual inhibition is {verdict}, p = #", printed) == close([p_value])

    members = {one: np.flatnonzero(groups["group"].values == one) for one in ("1", "2", "12")}
    lesions = nc.experiments.group_lesions(found, members, CONTEXTS, n_directions=4)
    for task in CONTEXTS:
        line = f"correct choices in {task}: #, without group 1 #, without group 2 #"
        expected = lesions["performance"].sel(task=task, lesion=["intact", "1", "2"]).values
        assert numbers(line, printed) == close(expected)


def test_task_vectors(run, network):
    printed = run("figure_6_task_vectors", "--controls", 1, panels=[9])
    go = ("fdanti", "fdgo", "delayanti", "delaygo")
    trials = {task: nc.tasks.make_trials(task, "test", dt_ms=network.config.dt_ms) for task in go}
    means = {}
    for task in go:
        block = nc.record(network, trials[task], seed=list(nc.tasks.RULES).index(task))
        stop = float(block["epoch_stop_time"].sel(epoch="stim1")[0])
        last = np.flatnonzero(block["time"].values < stop)[-1]
        means[task] = block["rate"].isel(time=last).mean("trial").values
    one, other = means["fdanti"] - means["fdgo"], means["delayanti"] - means["delaygo"]
    weights = network.input_weight.detach().numpy()
    rule = dict(zip(network.config.rules, weights[-20:], strict=True))
    same, alike = rule["fdanti"] - rule["fdgo"], rule["delayanti"] - rule["delaygo"]

    first = printed.split("\n(")[0]
    cosine, low, high = numbers("cosine # [#, #] over units", first)
    assert [cosine] == close([angle(one, other)])
    assert low < cosine < high
    assert numbers("rule weights: #", first.replace("Gaussian rule weights", "")) == close(
        [angle(same, alike)]
    )
    # of the published sets the matching tasks' composition is the weakest
    cosines = [float(found) for found in re.findall(rf"cosine {NUMBER} \[", printed)]
    assert len(cosines) == 3
    assert np.argmin(cosines) == 2
    assert len(re.findall(r"untrained: mean \S+ of 1 networks", printed)) == 3
    assert numbers("above #% of other", first)[0] > 99


def angle(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_rule_composition(run, network):
    printed = run("figure_7_rule_composition", "--batches", 2, "--random", 5, panels=[3])
    for task, expression, measure in (
        ("delayanti", "fdanti + delaygo - fdgo", "performance"),
        ("contextdelaydm1", "contextdelaydm2 + contextdm1 - contextdm2", "performance"),
        ("dmsgo", "dmcgo + dmsnogo - dmcnogo", "balanced_accuracy"),
    ):
        found = nc.experiments.rule_composition(network, task, n_batches=2, n_random=5)
        at = found.sel(measure=measure)
        # the same random trials whatever else is asked of them
        alone = nc.experiments.composition_performance(
            network, task, [expression, task], n_batches=2
        )
        said = measure.replace("_", " ")
        line = f"{task} under {expression}: {said} #, right rule #, best wrong rule #, effect #"
        composed, right, best, effect = numbers(line, printed)
        assert [composed, right] == close(alone[measure])
        assert [best, effect] == close([at["best_wrong"], at["effect"]])
        below = numbers("above #% of random sums", printed.split(f"{task} under")[1].split("\n")[0])
        assert below == close([100 * at["share_of_random_below"]], 0)


@pytest.mark.usefixtures("recorded_once")
def test_variance_by_epoch(run, activity):
    printed = run("variance_by_epoch", panels=[2, 6])
    by_epoch = nc.selectivity.epoch_variance(activity)
    found = nc.clustering.cluster_units(by_epoch)
    table = by_epoch["task_variance"].transpose("unit", "task_epoch").values
    active = table.sum(axis=1) > 1e-3
    rows = table[active] / table[active].max(axis=1, keepdims=True)
    labels = found["cluster"].values[active]
    line = "# clusters of # units by # pairs of task and epoch, silhouette #"
    assert numbers(line, printed) == close(
        [10, active.sum(), table.shape[1], silhouette_score(rows, labels)]
    )
    for which in range(10):
        best = rows[labels == which].mean(axis=0).argmax()
        task, epoch = (str(by_epoch[name].values[best]) for name in ("task", "epoch"))
        assert (
            f"cluster {which}: {(labels == which).sum()} units, most in {task}, {epoch}\n"
            in printed
        )
    timed = nc.selectivity.variance_in_time(activity)["task_variance"].sel(task="delaygo")
    largest = timed["time"].values[np.nanargmax(timed.transpose("time", "unit").values.mean(1))]
    assert numbers("delaygo: variance is largest # s", printed) == close([largest], 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("figure_1_performance", "has none of the tasks dm1, contextdm1, contextdm2"),
        ("figure_2_clusters", "has one task only"),
        ("figure_4_pairs", "has one task only"),
        ("figure_5_context_groups", "lacks one of the tasks contextdm1, contextdm2"),
        ("figure_6_task_vectors", "has none of the sets of tasks"),
        ("figure_7_rule_composition", "lacks tasks of each of"),
    ],
)
def test_a_network_without_the_tasks_is_told_so(run, name, message, tmp_path, capsys):
    network = nc.model.Network(nc.model.NetworkConfig(n_units=8, rules=("fdgo",)))
    folder = nc.model.save_run(network, tmp_path / "one task")
    with pytest.raises(SystemExit, match="2"):
        run(name, network=folder, panels=[])
    assert f"{folder} {message}" in capsys.readouterr().err


def test_groups_of_too_few_units_are_told(run, capsys):
    with pytest.raises(SystemExit, match="2"):
        run("figure_5_context_groups", panels=[])
    assert "expected a pair of group '1' within 0.524 rad" in capsys.readouterr().err


def test_four_tasks_make_one_column_of_vectors_without_rank(run, tmp_path):
    rules = ("fdgo", "fdanti", "delaygo", "delayanti")
    network = nc.model.Network(nc.model.NetworkConfig(n_units=8, rules=rules))
    folder = nc.model.save_run(network, tmp_path / "four tasks")
    printed = run("figure_6_task_vectors", "--controls", 1, network=folder, panels=[3])
    assert "other quadruples" not in printed
    assert printed.count("cosine") == 1
