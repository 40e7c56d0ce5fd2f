"""Components of task variance: theorems, a brute-force twin, simulated truth, what cannot be told."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, strategies as st

import nwbcompare as nc
from nwbcompare.analysis.selectivity.kernels.variance_components import (
    _fit_cells,
    balanced_design,
    contrasts,
    unit_components,
)
from nwbcompare.analysis.selectivity.noise_correction import corrected_task_variance
from nwbcompare.analysis.selectivity.variance_components import ftv_by_factor, variance_components
from nwbcompare.plotting import new_figure
from nwbcompare.plotting.confounds import plot_variance_components

STIMULI = ["motion", "colour"]


def make(rate, columns, *, ragged=False, variables=STIMULI, deterministic=False, epochs=None):
    """A block from rates (trial, time, unit) and trial columns with a task."""
    n_trials, n_bins, n_units = rate.shape
    common = {
        "time_s": (np.arange(n_bins) + 0.5) * 0.1,
        "bin_width_s": 0.1,
        "aligned_to": "stimulus",
        "condition_variables": {task: list(variables) for task in ("a", "b")},
        "source": "recording",
        "name": "toy",
        "deterministic": deterministic,
        "epochs": epochs,
        "units": {"unit": [f"u{i}" for i in range(n_units)]},
    }
    if not ragged:
        return nc.make_block(rate, trials=columns, **common)
    rows = np.concatenate([rate[:, :, unit] for unit in range(n_units)])
    shuffle = np.random.default_rng(9).permutation(len(rows))
    tiled = {name: np.tile(values, n_units)[shuffle] for name, values in columns.items()}
    unit = np.repeat(np.arange(n_units), n_trials)[shuffle]
    return nc.make_block(rows[shuffle], trials=tiled, observation_unit=unit, **common)


def trials(rng, n_trials, *, errors=0.2):
    """Trials of two tasks in which choice follows the relevant stimulus but for errors."""
    columns = {
        "task": np.repeat(["a", "b"], n_trials),
        "motion": rng.choice([-1, 1], 2 * n_trials, p=[0.4, 0.6]),
        "colour": rng.choice([-1, 1], 2 * n_trials),
    }
    relevant = np.where(columns["task"] == "a", columns["motion"], columns["colour"])
    columns["choice"] = np.where(rng.random(2 * n_trials) < errors, -relevant, relevant)
    return columns


def signal(columns, n_bins, **size):
    """Rates (trial, time, 1) that are linear in the named columns, of given sizes."""
    total = sum(size[name] * columns[name] for name in size)
    return np.repeat(np.asarray(total, dtype=float)[:, None, None], n_bins, axis=1)


def noisy_block(seed=0, *, ragged=False, n_units=4, n_trials=150, n_bins=3):
    rng = np.random.default_rng(seed)
    columns = trials(rng, n_trials)
    clean = signal(columns, n_bins, choice=1.0, motion=0.5) + 10
    rate = clean + rng.standard_normal((2 * n_trials, n_bins, n_units))
    return make(rate, columns, ragged=ragged)


@given(st.integers(2, 7))
def test_contrasts_are_orthonormal_and_have_mean_zero(n_levels):
    matrix = contrasts(n_levels)
    np.testing.assert_allclose(matrix.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(matrix.T @ matrix / n_levels, np.eye(n_levels - 1), atol=1e-12)


@given(st.lists(st.integers(2, 4), min_size=1, max_size=3))
def test_all_terms_of_a_balanced_design_are_an_orthonormal_basis(n_levels):
    n = len(n_levels)
    terms = [[f for f in range(n) if which >> f & 1] for which in range(1, 2**n)]
    columns = balanced_design(n_levels, terms).columns
    n_cells = int(np.prod(n_levels))
    assert columns.shape == (n_cells, n_cells)
    np.testing.assert_allclose(columns.T @ columns / n_cells, np.eye(n_cells), atol=1e-10)


@pytest.mark.parametrize("ragged", [False, True])
def test_parts_of_the_conditions_sum_to_the_task_variance(ragged):
    # numbers of trials are unequal: the theorem needs no balance, only every cell
    block = noisy_block(ragged=ragged)
    components = variance_components(block, STIMULI)
    assert components["factor"].values.tolist() == ["motion", "colour", "motion:colour"]
    xr.testing.assert_allclose(
        components["component"].sum("factor"), nc.task_variance(block)["task_variance"], rtol=1e-9
    )
    corrected = corrected_task_variance(block)["task_variance"]
    xr.testing.assert_allclose(
        components["component_corrected"].sum("factor"), corrected, rtol=1e-9
    )
    without = variance_components(block, STIMULI, interactions=[])
    assert (without["component"].sum("factor") < components["component"].sum("factor")).any()


def test_parts_sum_with_factors_of_many_levels():
    rng = np.random.default_rng(3)
    columns = {
        "task": np.repeat(["a", "b"], 240),
        "motion": np.tile(np.repeat([1.0, 2.0, 4.0], 8), 20),
        "colour": np.tile(np.repeat(["x", "y", "z", "w"], 2), 60),
    }
    block = make(rng.standard_normal((480, 2, 3)), columns)
    components = variance_components(block, STIMULI)
    corrected = corrected_task_variance(block)["task_variance"]
    xr.testing.assert_allclose(
        components["component_corrected"].sum("factor"), corrected, rtol=1e-8
    )


def least_squares_twin(rates, columns, names):
    """The components and the trace of coefficient covariance, by a plain regression on trials."""
    design = np.column_stack([np.ones(len(rates)), *[columns[name] for name in names]])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ rates
    cell = np.unique(np.stack([columns[n] for n in names]), axis=1, return_inverse=True)[1].ravel()
    noise = np.zeros((len(names), rates.shape[1]))
    for which in np.unique(cell):
        members = cell == which
        variance = rates[members].var(axis=0, ddof=1)
        noise += (((inverse @ design[members].T)[1:] ** 2).sum(axis=1))[:, None] * variance
    raw = (coefficients[1:] ** 2).mean(axis=1)
    return raw, raw - noise.mean(axis=1)


@pytest.mark.parametrize("ragged", [False, True])
def test_unequal_cells_equal_a_plain_regression_on_single_trials(ragged):
    block, dense = noisy_block(1, ragged=ragged), noisy_block(1)
    names = ["choice", "motion", "colour"]
    components = variance_components(block, names, interactions=[])
    for which, task in enumerate("ab"):
        rows = dense["task"].values == which
        columns = {name: dense[name].values[rows].astype(float) for name in names}
        for unit in range(4):
            rates = dense["rate"].values[rows, :, unit].astype(float)
            raw, corrected = least_squares_twin(rates, columns, names)
            own = components.sel(task=task).isel(unit=unit)
            np.testing.assert_allclose(own["component"], raw, rtol=1e-6)
            np.testing.assert_allclose(own["component_corrected"], corrected, rtol=1e-6, atol=1e-8)


def test_a_time_missed_by_some_trials_is_fitted_to_the_others():
    block = noisy_block(2)
    names = ["choice", "motion"]
    block["rate"].values[::3, 1, 0] = np.nan
    rows = block["task"].values == 0
    expected = []
    for time in range(3):
        rates = block["rate"].values[rows, time : time + 1, 0].astype(float)
        seen = np.isfinite(rates[:, 0])
        columns = {name: block[name].values[rows][seen].astype(float) for name in names}
        expected.append(least_squares_twin(rates[seen], columns, names)[1])
    components = variance_components(block, names, interactions=[])
    np.testing.assert_allclose(
        components["component_corrected"].isel(unit=0, task=0), np.mean(expected, axis=0), rtol=1e-5
    )


def test_a_neuron_of_choice_alone_has_no_stimulus_part_where_naive_variance_says_so():
    rng = np.random.default_rng(0)
    columns = trials(rng, 300)
    n_units = 150
    clean = signal(columns, 2, choice=1.5) + 10
    block = make(clean + 2 * rng.standard_normal((600, 2, n_units)), columns)
    components = variance_components(block)["component_corrected"]
    error = components.std("unit") / np.sqrt(n_units)
    truth = xr.zeros_like(components.mean("unit"))
    truth.loc[{"factor": "choice"}] = 1.5**2
    assert (abs(components.mean("unit") - truth) < 4 * error).all()
    # negative control: by its condition means, even without noise, each is tuned to the stimulus
    naive = corrected_task_variance(block)["task_variance"].mean("unit")
    assert (naive > 0.3 * 1.5**2).all()
    coded = ftv_by_factor(variance_components(block), "a", "b")
    assert (coded["codes"] == "choice alone").mean() > 0.85
    assert (coded["dominant"] == "choice").all()


def test_parts_and_their_errors_under_unequal_noise_and_cells():
    # noise grows with the rate, and over-represented cells have more of it
    rng = np.random.default_rng(1)
    columns = trials(rng, 150, errors=0.2)
    cells = np.unique(
        np.stack([np.array(v, str) for v in columns.values()]), axis=1, return_counts=True
    )
    assert cells[1].min() >= 2
    assert cells[1].max() > 10 * cells[1].min()
    clean = signal(columns, 3, choice=1.0, motion=0.7) + 6
    smear = np.array([[1, 0.5, 0], [0, 1, 0.5], [0, 0, 1]])
    noise = rng.standard_normal((300, 3, 600)) * np.sqrt(clean) * (1 + (clean > 7))
    block = make(clean + np.einsum("ntu,ts->nsu", noise, smear), columns)
    found = variance_components(block, interactions=[])
    mean, spread = (
        found["component_corrected"].mean("unit"),
        found["component_corrected"].std("unit"),
    )
    truth = np.array([1.0, 0.49, 0.0])
    assert (abs(mean - truth) < 4 * spread / np.sqrt(600)).all()
    # uncorrected ones are too large: the negative control
    assert (found["component"].mean("unit") - truth > 4 * spread / np.sqrt(600)).all()
    error = np.sqrt((found["standard_error"] ** 2).mean("unit"))
    np.testing.assert_allclose((error / spread)[:, :2], 1, atol=0.2)
    # an idle factor's is never put below that of no effect: somewhat too large
    assert ((error / spread)[:, 2] > 0.9).all()
    assert ((error / spread)[:, 2] < 1.5).all()
    idle = found.sel(factor="colour")
    np.testing.assert_allclose(idle["noise_sd"].mean("unit") / spread.sel(factor="colour"), 1, 0.2)
    false = (idle["component_corrected"] > 2 * idle["noise_sd"]).mean("unit")
    assert ((false > 0.02) & (false < 0.09)).all()


def test_inflation_is_one_in_a_balanced_design_and_grows_with_collinearity():
    balanced = _fit_cells(balanced_design([2, 2], [[0], [1]]), np.full(4, 7.0))
    np.testing.assert_allclose(balanced.inflation, 1)
    leaning = _fit_cells(balanced_design([2, 2], [[0], [1]]), np.array([9.0, 1, 1, 9]))
    # the correlation of the two columns is 0.8
    np.testing.assert_allclose(leaning.inflation[1:], 1 / (1 - 0.8**2))


def test_choice_cannot_be_told_from_the_relevant_stimulus_on_correct_trials():
    columns = trials(np.random.default_rng(0), 100, errors=0.0)
    rng = np.random.default_rng(1)
    block = make(rng.standard_normal((200, 2, 2)) + 5, columns)
    with pytest.warns(nc.UnitWarning) as caught:
        components = variance_components(block)
    said = " ".join(str(warning.message) for warning in caught)
    for task, factor in {"a": "motion", "b": "colour"}.items():
        assert f"2 units cannot tell 'choice' from the other factors of task '{task}'" in said
        assert f"2 units cannot tell '{factor}' from the other factors of task '{task}'" in said
        lost = components.sel(task=task, factor=["choice", factor])
        assert lost["component"].isnull().all()
        assert np.isinf(lost["inflation"]).all()
        kept = components.sel(task=task).drop_sel(factor=["choice", factor])
        assert kept["component_corrected"].notnull().all()
        assert kept["share"].isnull().all()
    assert (ftv_by_factor(components, "a", "b")["codes"] == "unknown").all()


def test_trials_that_are_each_alone_have_no_known_noise():
    rng = np.random.default_rng(0)
    columns = {"task": ["a"] * 4, "motion": [-1, -1, 1, 1], "colour": [-1, 1, -1, 1]}
    block = make(rng.random((4, 2, 1)), columns)
    with pytest.warns(nc.UnitWarning, match="1 units have no two trials alike in task 'a'.*u0"):
        components = variance_components(block, STIMULI)
    assert components["component"].notnull().all()
    assert components["component_corrected"].isnull().all()
    # one cell with two trials is enough: its noise stands for all
    more = make(rng.random((5, 2, 1)), {name: [*v, v[-1]] for name, v in columns.items()})
    assert variance_components(more, STIMULI)["component_corrected"].notnull().all()


def test_a_deterministic_network_needs_no_correction():
    columns = {"task": ["a"] * 4 + ["b"] * 4, "motion": [-1, -1, 1, 1] * 2, "colour": [-1, 1] * 4}
    rate = np.random.default_rng(0).random((8, 3, 2))
    block = make(rate, columns, deterministic=True)
    components = variance_components(block, STIMULI)
    xr.testing.assert_equal(components["component"], components["component_corrected"])
    assert (components["standard_error"] == 0).all()
    xr.testing.assert_allclose(
        components["component"].sum("factor"), nc.task_variance(block)["task_variance"]
    )
    with pytest.raises(
        nc.NotApplicableError, match=r"factors: .* choice, not among .*motion.*no choice"
    ):
        variance_components(block)


def test_a_network_on_the_matched_protocol(shared):
    network = nc.model.pretrained("all20-small-0")
    matched = nc.record_matched(network)
    names = ["coherence_1_sign", "coherence_2_sign"]
    components = variance_components(matched, names)
    xr.testing.assert_allclose(
        components["component"].sum("factor"), nc.task_variance(matched)["task_variance"], rtol=1e-6
    )


def test_order_of_trials_of_factors_and_names_of_levels_do_not_matter():
    block = noisy_block(4)
    components = variance_components(block)
    order = np.random.default_rng(0).permutation(block.sizes["trial"])
    xr.testing.assert_allclose(variance_components(block.isel(trial=order)), components)
    turned = variance_components(block, ["colour", "choice", "motion"])
    own = ["choice", "motion", "colour"]
    xr.testing.assert_allclose(
        turned["component_corrected"].sel(factor=own),
        components["component_corrected"].sel(factor=own),
    )
    renamed = block.assign_coords(motion=-block["motion"])
    xr.testing.assert_allclose(variance_components(renamed)["component"], components["component"])
    # negative control: a factor that is another column
    shuffled = block.assign_coords(motion=("trial", block["motion"].values[order]))
    assert not np.allclose(
        variance_components(shuffled)["component"], components["component"], rtol=0.05
    )


def test_scaling_rates_scales_parts_and_keeps_shares():
    block = noisy_block(5)
    scaled = block.assign(rate=(block["rate"] * 2 + 1).assign_attrs(block["rate"].attrs))
    one, other = variance_components(block), variance_components(scaled)
    for name in ("component", "component_corrected", "standard_error", "noise_sd"):
        xr.testing.assert_allclose(other[name], 4 * one[name], rtol=1e-4)
    xr.testing.assert_allclose(other["share"], one["share"], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(one["share"].sum("factor"), 1)


def test_fixation_is_left_out_and_epochs_can_be_named():
    block = noisy_block(6)
    epochs = {"fix1": (0.0, 0.1), "stim1": (0.1, 0.3)}
    rate, columns = block["rate"].values, {n: block[n] for n in ("motion", "colour", "choice")}
    columns = {**{n: v.values for n, v in columns.items()}, "task": nc.labels(block["task"])}
    timed = make(rate, columns, epochs=epochs)
    later = make(rate[:, 1:], columns)
    np.testing.assert_allclose(
        variance_components(timed)["component"], variance_components(later)["component"]
    )
    first = variance_components(timed, epochs=["fix1"], leave_out=[])["component"]
    np.testing.assert_allclose(first, variance_components(make(rate[:, :1], columns))["component"])
    with pytest.raises(nc.InputError, match="epochs: expected one of fix1, stim1"):
        variance_components(timed, epochs=["delay1"])


def test_a_unit_without_trials_of_a_task_is_named():
    block = noisy_block(7, ragged=True)
    lost = (block["task"].values == 1) & (block["observation_unit"].values == 2)
    with pytest.warns(nc.UnitWarning) as caught:
        components = variance_components(block.isel(observation=~lost))
    assert all("1 units cannot tell" in str(c.message) and "u2" in str(c.message) for c in caught)
    assert components["n_trials"].sel(unit="u2").values.tolist() == [150, 0]
    assert components["component"].isnull().sum() == components.sizes["factor"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ftv = ftv_by_factor(components, "a", "b")
    assert ftv["fractional_task_variance"].isnull().sel(unit="u2")
    assert ftv["censored"].sel(unit="u2") == "unknown"


def test_parts_ftv_adds_the_named_parts():
    components = variance_components(noisy_block(8))
    every = components["factor"].values.tolist()
    ftv = ftv_by_factor(components, "a", "b", factors=every, corrected=False)
    a, b = components["component"].sum("factor").T.values
    np.testing.assert_allclose(ftv["fractional_task_variance"], (a - b) / (a + b))
    stimulus = ftv_by_factor(components, "a", "b")
    assert json.loads(stimulus.attrs["summed"]) == ["motion", "colour", "motion:colour"]
    expected = components["component_corrected"].sel(factor=["motion", "colour", "motion:colour"])
    xr.testing.assert_allclose(stimulus["task_variance"], expected.sum("factor"))
    values = stimulus["fractional_task_variance"]
    assert (abs(values) <= 1).all()


def test_labels_tell_stimulus_choice_both_and_neither():
    rng = np.random.default_rng(0)
    columns = trials(rng, 400, errors=0.3)
    sizes = [{"choice": 1.0}, {"motion": 1.0}, {"choice": 1.0, "colour": 1.0}, {"choice": 0.0}]
    clean = np.concatenate([signal(columns, 2, **size) for size in sizes], axis=2)
    block = make(clean + 0.5 * rng.standard_normal(clean.shape) + 9, columns)
    found = ftv_by_factor(variance_components(block), "a", "b")
    assert found["codes"].values.tolist() == [
        "choice alone",
        "stimulus alone",
        "choice and stimulus",
        "neither",
    ]
    assert found["dominant"].values.tolist()[:2] == ["choice", "motion"]


def test_tasks_may_have_factors_of_their_own(tmp_path):
    block = noisy_block(9)
    variables = json.dumps({"a": ["motion"], "b": STIMULI})
    components = variance_components(block.assign_attrs(condition_variables=variables))
    assert components["fitted"].sel(task="a").values.tolist() == [True, True, False, False]
    assert components["component"].sel(task="a", factor="colour").isnull().all()
    np.testing.assert_allclose(components["share"].sel(task="a").sum("factor"), 1)
    assert ftv_by_factor(components, "a", "b")["task_variance"].notnull().all()
    components.to_netcdf(tmp_path / "components.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "components.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), components)


def test_bad_factors_are_refused():
    block = noisy_block(0)
    with pytest.raises(nc.InputError, match="factors: .*got motoin, not among"):
        variance_components(block, ["motoin"])
    with pytest.raises(nc.InputError, match="factors: expected trial columns .* one or more"):
        variance_components(block, [])
    with pytest.raises(nc.InputError, match="interactions: expected one of motion, got 'colour'"):
        variance_components(block, ["motion"], interactions=[("motion", "colour")])
    with pytest.raises(nc.NotApplicableError, match="factor 'motion' of task 'a': .* got 1"):
        variance_components(nc.select(block, motion=1))
    holed = block.assign_coords(motion=block["motion"].astype(float))
    holed["motion"][3] = np.nan
    with pytest.raises(nc.NotApplicableError, match=r"none \(NaN\) in 1 of 150"):
        variance_components(holed)
    number = ("trial", np.arange(300))
    many = block.assign_coords(number=number, other=number)
    with pytest.raises(
        nc.NotApplicableError, match="at most 4096 combinations of their values, got"
    ):
        variance_components(many, ["number", "other"])
    components = variance_components(block)
    with pytest.raises(nc.InputError, match="task: expected one of a, b, got 'c'"):
        ftv_by_factor(components, "a", "c")
    with pytest.raises(nc.InputError, match="a task other than 'a'"):
        ftv_by_factor(components, "a", "a")
    with pytest.raises(nc.InputError, match="factors: expected one of choice"):
        ftv_by_factor(components, "a", "b", factors=["speed"])


def test_the_kernel_shares_fits_between_units():
    design = balanced_design([2, 2], [[0], [1]])
    fits = {}
    for seed in range(3):
        rates = np.random.default_rng(seed).random((8, 2))
        unit_components(rates, np.arange(8) % 4, design, noisy=True, fits=fits)
    assert len(fits) == 1


def test_the_figure_shows_shares_of_sums():
    components = variance_components(noisy_block(3))
    _, axes = new_figure()
    ax = plot_variance_components(axes[0, 0], components, names={"a": "first", "motion": "dots"})
    assert len(ax.patches) == 2 * 4
    assert sum(patch.get_width() for patch in ax.patches) == pytest.approx(2)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["choice", "dots", "colour", "dots × colour"]
    assert ax.get_yticklabels()[0].get_text() == "first\n(n = 4)"


def test_choice_is_most_of_what_monkey_a_units_code(monkey_a):
    components = variance_components(monkey_a)
    total = components["component_corrected"].sum("unit")
    share = total.sel(factor="choice") / total.sum("factor")
    assert ((share > 0.8) & (share < 0.95)).all()
    signs = ["coherence_1_sign", "coherence_2_sign"]
    xr.testing.assert_allclose(
        variance_components(monkey_a, signs)["component"].sum("factor"),
        nc.task_variance(monkey_a)["task_variance"],
        rtol=1e-6,
    )
    assert np.unique(components["session"]).size == 78
    codes = ftv_by_factor(components, "contextdm1", "contextdm2")["codes"]
    assert 60 <= int((codes == "choice alone").sum()) <= 100
