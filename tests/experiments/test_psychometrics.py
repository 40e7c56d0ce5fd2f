"""Psychometric curves and the published lesions of groups: counted again, trial by trial."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import binomtest

import nwbcompare as nc
from nwbcompare.experiments import psychometrics as module
from nwbcompare.experiments.psychometrics import (
    group_lesions,
    pooled_over,
    psychometric_curves,
)
from nwbcompare.model import Network, NetworkConfig, pretrained, record
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.lesions import plot_group_lesions
from nwbcompare.plotting.psychometrics import plot_psychometric
from nwbcompare.tasks import make_trials

FAST = {"coherences": [-0.1, 0.03], "durations_ms": [200, 400], "n_directions": 6}
GROUPS = {"1": range(60), "2": ["h100", "h101"]}


@pytest.fixture(scope="module")
def network():
    return pretrained("ctxdm-0")


@pytest.fixture(scope="module")
def quiet():
    """The same network without noise, which can be run again by other means."""
    from dataclasses import replace

    noisy = pretrained("ctxdm-0")
    silent = Network(replace(noisy.config, sigma_rec=0.0, sigma_x=0.0), name="quiet")
    silent.load_state_dict(noisy.state_dict())
    return silent


@pytest.fixture(scope="module")
def curves(network):
    return psychometric_curves(network, "contextdm1", **FAST)


def distance(a, b):
    return abs(math.remainder(a - b, 2 * math.pi))


def chosen(network, task, conditions, stimulus_ms):
    """Where the network looks at the end of each trial, and where the targets and the answer are."""
    trials = make_trials(task, "psychometric", conditions=conditions, stimulus_ms=stimulus_ms)
    block = record(network, trials)
    return zip(
        block["choice_direction"].values,
        block["direction"].values,
        block["response_direction"].values,
        strict=True,
    )


@pytest.mark.parametrize(
    ("task", "shown"), [("contextdm2", 2), ("dm1", 1), ("delaydm2", 1), ("multidm", 2)]
)
@pytest.mark.parametrize("units", [None, [3, 200, 7]])
def test_choices_are_counted_as_in_a_plain_loop(quiet, task, shown, units):
    found = psychometric_curves(quiet, task, units=units, **FAST)
    modality = (1, 2) if shown == 2 else (int(task[-1]),)
    view = quiet if units is None else quiet.lesioned(units)
    dims = ("duration", *(f"coherence_{m}" for m in modality))
    assert found["choice_1"].dims == dims
    directions = 2 * np.pi * np.arange(6) / 6
    for duration in (200, 400):
        for place in np.ndindex((2,) * shown):
            at = {
                f"coherence_{m}": FAST["coherences"][p]
                for m, p in zip(modality, place, strict=True)
            }
            first = second = 0
            for read, target, _ in chosen(view, task, {"direction": directions, **at}, duration):
                first += distance(read, target) < 0.3 * math.pi
                second += distance(read, target + math.pi) < 0.3 * math.pi
            cell = found.sel(duration=duration, **at)
            assert (int(cell["n_choice_1"]), int(cell["n_valid"])) == (first, first + second)
            if first + second:
                assert float(cell["choice_1"]) == pytest.approx(first / (first + second))


def test_the_attended_evidence_decides_and_the_ignored_does_not(network):
    strong = psychometric_curves(
        network, "contextdm1", coherences=[-0.2, 0.2], durations_ms=[800], n_directions=20
    )["choice_1"].sel(duration=800)
    assert (strong.sel(coherence_1=0.2) > 0.95).all()
    assert (strong.sel(coherence_1=-0.2) < 0.05).all()


def test_longer_stimuli_make_steeper_curves(network):
    found = psychometric_curves(
        network, "contextdm1", coherences=[-0.04, 0.04], durations_ms=[100, 800], n_directions=100
    )
    pooled = pooled_over(found, "coherence_2")["choice_1"]
    slope = pooled.sel(coherence_1=0.04) - pooled.sel(coherence_1=-0.04)
    assert float(slope.sel(duration=800)) > float(slope.sel(duration=100)) + 0.02


def test_curves_are_seeded_labelled_and_can_be_stored(network, curves, tmp_path):
    assert psychometric_curves(network, "contextdm1", **FAST).identical(curves)
    assert curves.attrs["analysis"] == "psychometric_curves"
    assert curves["duration"].attrs["units"] == "ms"
    curves.to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    assert xr.load_dataset(tmp_path / "x.nc", engine="h5netcdf").identical(curves)
    more = FAST | {"n_directions": 40, "coherences": [-0.002, 0.002]}
    one, other = (psychometric_curves(network, "contextdm1", seed=s, **more) for s in (0, 1))
    assert not one["n_choice_1"].equals(other["n_choice_1"])


def test_pooling_adds_trials(curves):
    pooled = pooled_over(curves, "coherence_2")
    for duration in (200, 400):
        for coherence in FAST["coherences"]:
            cells = curves.sel(duration=duration, coherence_1=coherence)
            first, valid = int(cells["n_choice_1"].sum()), int(cells["n_valid"].sum())
            cell = pooled.sel(duration=duration, coherence_1=coherence)
            assert float(cell["choice_1"]) == first / valid
            interval = binomtest(first, valid).proportion_ci(method="wilson")
            assert float(cell["choice_1_low"]) == pytest.approx(interval.low)
            assert float(cell["choice_1_high"]) == pytest.approx(interval.high)
            assert cell["choice_1_low"] <= cell["choice_1"] <= cell["choice_1_high"]
    assert pooled["duration"].identical(curves["duration"])
    with pytest.raises(nc.InputError, match="expected one of coherence_1, coherence_2"):
        pooled_over(curves, "duration")
    with pytest.raises(nc.NotApplicableError, match="curves over two coherences, got one"):
        pooled_over(pooled, "coherence_1")


def test_cells_without_a_choice_are_nan_and_said():
    """Every read-out points a quarter circle away from both targets."""
    network = Network(NetworkConfig(n_units=4, sigma_rec=0.0, sigma_x=0.0))
    with torch.no_grad():
        network.output_weight.zero_()
        ring = 2 * np.pi * np.arange(32) / 32
        network.output_bias[1:] = torch.from_numpy(3 * np.cos(ring - np.pi / 2)).float()
    ask = {"coherences": [0.1], "durations_ms": [200], "n_directions": 1}
    with pytest.warns(UserWarning, match="1 of 1 cells have no choice within 0.3 pi"):
        found = psychometric_curves(network, "dm1", **ask)
    assert np.isnan(found["choice_1"]).all()
    assert np.isnan(found["choice_1_low"]).all()
    assert (found["n_valid"] == 0).all()
    with pytest.warns(UserWarning, match="2 of 2 cells"):
        lesioned = group_lesions(network, {"x": [0]}, ["dm1"], n_directions=1)
    assert np.isnan(lesioned["performance"]).all()


@pytest.mark.parametrize("task", ["dm2", "contextdm1", "multidm"])
def test_lesions_of_groups_are_counted_as_in_a_plain_loop(quiet, task):
    found = group_lesions(quiet, GROUPS, [task], n_directions=3, stimulus_ms=400)
    values = np.array([-0.1, -0.1 / 3, 0.1 / 3, 0.1])
    d, a, b = (x.ravel() for x in np.meshgrid(2 * np.pi * np.arange(3) / 3, values, values))
    given = {
        "dm2": {"coherence_2": b},
        "contextdm1": {"coherence_1": a, "coherence_2": b},
        "multidm": {"coherence_1": a, "coherence_2": a},
    }[task]
    for name, units in {"intact": [], "1": range(60), "2": [100, 101]}.items():
        right = wrong = 0
        view = quiet.lesioned(list(units))
        for read, _, answer in chosen(view, task, {"direction": d, **given}, 400):
            right += distance(read, answer) < 0.3 * math.pi
            wrong += distance(read, answer + math.pi) < 0.3 * math.pi
        cell = found.sel(lesion=name, task=task)
        assert (int(cell["n_correct"]), int(cell["n_valid"])) == (right, right + wrong)
        assert float(cell["performance"]) == pytest.approx(right / (right + wrong))


def test_lesions_of_groups_have_the_published_trials_and_no_ties(network):
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    found = group_lesions(network, GROUPS)
    assert all(torch.equal(w, before[name]) for name, w in network.state_dict().items())
    assert found["lesion"].values.tolist() == ["intact", "1", "2"]
    assert found["task"].values.tolist() == ["dm1", "dm2", "contextdm1", "contextdm2", "multidm"]
    assert int(found["n_valid"].max()) <= 160
    assert (
        found["performance"].sel(lesion="intact", task=["contextdm1", "contextdm2"]) > 0.97
    ).all()
    assert found["n_units"].values.tolist() == [0, 60, 2]
    assert found.identical(group_lesions(network, GROUPS))
    for task in found["task"].values:
        direction = 0.3
        for a in module.LESION_COHERENCES:
            flipped = [
                make_trials(
                    task,
                    "psychometric",
                    conditions={"direction": direction}
                    | dict.fromkeys(module._coherences_of(network, task), sign * a),
                )["response_direction"].item()
                for sign in (1, -1)
            ]
            assert distance(*flipped) == pytest.approx(math.pi)


BAD = [
    (lambda n: psychometric_curves(n, "fdgo", **FAST), "expected one of dm1, dm2, contextdm1"),
    (lambda n: psychometric_curves(n, "dm3", **FAST), "Did you mean 'dm"),
    (lambda n: psychometric_curves(n, "dm1", coherences=[]), "different numbers from -1 to 1"),
    (lambda n: psychometric_curves(n, "dm1", coherences=[0.1, 0.1]), "different numbers"),
    (lambda n: psychometric_curves(n, "dm1", coherences=[np.nan]), "different numbers"),
    (lambda n: psychometric_curves(n, "dm1", coherences=[2.0]), "different numbers"),
    (lambda n: psychometric_curves(n, "dm1", durations_ms=[]), "different durations"),
    (lambda n: psychometric_curves(n, "dm1", durations_ms=[5]), "at least 20 ms"),
    (lambda n: psychometric_curves(n, "dm1", n_directions=0), "n_directions"),
    (lambda n: psychometric_curves(n, "dm1", units=[]), "units: expected at least one unit"),
    (lambda n: psychometric_curves(n, "dm1", units=[256]), "places from 0 to 255"),
    (lambda n: psychometric_curves(n, "dm1", seed=-1, **FAST), "seed"),
    (lambda n: group_lesions(n, {}), "at least one group"),
    (lambda n: group_lesions(n, {"x": []}), "at least one unit"),
    (lambda n: group_lesions(n, {"intact": [0]}), "names other than 'intact'"),
    (lambda n: group_lesions(n, GROUPS, []), "at least one task"),
    (lambda n: group_lesions(n, GROUPS, ["dmsgo"]), "expected one of dm1"),
    (lambda n: group_lesions(n, GROUPS, coherences=[-0.1, 0, 0.1]), "none of 0, a tie"),
]


@pytest.mark.parametrize(("ask", "match"), BAD)
def test_what_is_no_decision_is_refused(network, ask, match):
    with pytest.raises(nc.InputError, match=match):
        ask(network)


def test_a_task_without_a_rule_in_the_network_is_refused():
    network = Network(NetworkConfig(n_units=4, rules=("dm1",)))
    with pytest.raises(nc.InputError, match="task: expected one of dm1, got 'dm2'"):
        psychometric_curves(network, "dm2", **FAST)


def test_a_curve_for_each_duration_is_drawn_with_its_intervals(curves):
    _, axes = new_figure()
    pooled = pooled_over(curves, "coherence_2")
    ax = plot_psychometric(axes[0, 0], pooled, "Ctx DM 1")
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["200 ms", "400 ms"]
    assert (ax.get_xlabel(), ax.get_title()) == ("coherence, modality 1", "Ctx DM 1")
    assert len(ax.containers) == 2
    line, _, (bars,) = ax.containers[1]
    np.testing.assert_allclose(line.get_ydata(), pooled["choice_1"].sel(duration=400))
    ends = np.array(bars.get_segments())[:, :, 1]
    np.testing.assert_allclose(ends[:, 0], pooled["choice_1_low"].sel(duration=400), atol=1e-9)
    np.testing.assert_allclose(ends[:, 1], pooled["choice_1_high"].sel(duration=400), atol=1e-9)
    with pytest.raises(nc.InputError, match="one coherence, got coherence_1, coherence_2"):
        plot_psychometric(ax, curves)


def test_lesions_of_groups_stand_beside_the_intact_network(network):
    found = group_lesions(network, GROUPS, ["dm1", "contextdm1"], n_directions=2)
    _, axes = new_figure()
    ax = plot_group_lesions(axes[0, 0], found, {"dm1": "DM 1"})
    assert len(ax.containers) == 3
    labels = [container.get_label() for container in ax.containers]
    assert labels == ["intact", "1 lesioned (n = 60)", "2 lesioned (n = 2)"]
    places = np.array([container[0].get_xdata() for container in ax.containers])
    assert (np.diff(places, axis=0) > 0).all()
    assert np.round(places).tolist() == [[0, 1]] * 3
    assert [t.get_text() for t in ax.get_xticklabels()] == ["DM 1", "contextdm1"]
