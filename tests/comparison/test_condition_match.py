"""Conditions of a recording matched with those of any model's activity."""

import numpy as np
import pytest
import xarray as xr
from context_recordings import CONTEXTS, LEVELS, make_recording, sample, small_network, table

import nwbcompare as nc
from nwbcompare.comparison import match_conditions, sample_like
from nwbcompare.core.errors import InputError, NotApplicableError, UnitWarning

STRENGTHS = (0.05, 0.2, 0.2)
COHERENCES = [-0.2, -0.05, 0.05, 0.2]


def recording(n_units=6, **options):
    return make_recording(n_units, **options)


def network_activity():
    """The small network on one axis of targets, in the recording's conditions, not smoothed."""
    protocol = nc.comparison.MatchedProtocol(coherences=STRENGTHS, n_axes=1)
    return nc.record_matched(small_network(), protocol, smoothed=False)


def model_block(rates=None, repeats=1, *, deterministic=True, stop=0.75, units=5, **columns):
    """A model on two tasks of one side and four strengths, whose time starts with its stimulus."""
    rng = np.random.default_rng(0)
    task = np.repeat(CONTEXTS, 16)
    first, second = np.tile(np.divmod(np.arange(16), 4), 2)
    strength = np.array(COHERENCES)
    n_bins = round(stop / 0.05)
    rate = rng.random((32, n_bins, units)) if rates is None else rates
    return nc.make_block(
        np.repeat(rate, repeats, axis=0),
        time_s=(np.arange(n_bins) + 0.5) * 0.05,
        bin_width_s=0.05,
        aligned_to="stimulus",
        trials={
            "task": np.repeat(task, repeats),
            **{
                name: np.repeat(values, repeats)
                for name, values in {
                    "coherence_1_level": strength[first],
                    "coherence_2_level": strength[second],
                    "coherence_1_sign": np.sign(strength[first]),
                    "coherence_2_sign": np.sign(strength[second]),
                    **columns,
                }.items()
            },
        },
        units={"unit": [f"m{unit}" for unit in range(units)]},
        epochs={"stim1": (0.0, stop)},
        condition_variables={name: ["coherence_1_level", "coherence_2_level"] for name in CONTEXTS},
        source="model",
        name="mine",
        deterministic=deterministic,
    )


def by_rank(**others):
    return {name: {"column": name, "by": "rank"} for name in LEVELS} | others


class TestMatchedActivity:
    @pytest.mark.parametrize("options", [
        {"match": "rate"},
        {"match": "tuning"},
        {"match": "tuning", "pairing": "rank", "seed": 3},
    ])  # fmt: skip
    def test_it_gives_what_the_network_gives_that_is_run_on_the_conditions(self, options):
        """Bin by bin and unit by unit, with the same noise."""
        through_mapping = sample(recording(), table(axes_degrees=[0]), **options)
        levels = {name: {"column": name, "values": {-2: -3, -1: -1, 1: 1, 2: 3}} for name in LEVELS}
        matched = sample_like(network_activity(), recording(), levels, **options)["sample"]
        # names differ by the axis, which is in those of an activity already
        assert [str(unit).split("@")[0] for unit in matched["network_unit"].values] == (
            through_mapping["network_unit"].values.tolist()
        )
        np.testing.assert_allclose(
            matched["rate"].values, through_mapping["rate"].values, rtol=1e-4, atol=1e-3
        )

    def test_levels_are_paired_by_rank_where_that_is_asked_for(self):
        match = match_conditions(model_block(), recording(), by_rank())
        assert match.values["contextdm1"][LEVELS[0]] == dict(
            zip([-2, -1, 1, 2], COHERENCES, strict=True)
        )
        stated = {name: dict(zip([-2, -1, 1, 2], COHERENCES, strict=True)) for name in LEVELS}
        by_value = match_conditions(model_block(), recording(), stated)
        assert by_value.values == match.values
        assert by_value.columns == match.columns

    def test_every_condition_has_the_rates_of_its_partner(self):
        """Against a loop over the recorded rows."""
        model, brain = model_block(), recording(3)
        block = sample_like(model, brain, by_rank(), noise=False, smooth_s=0)["sample"]
        level = dict(zip([-2, -1, 1, 2], COHERENCES, strict=True))
        for row in range(0, block.sizes["observation"], 17):
            unit = int(block["observation_unit"].values[row])
            partner = (nc.labels(model["task"]) == nc.labels(block["task"])[row]) & np.all(
                [model[name].values == level[block[name].values[row]] for name in LEVELS], axis=0
            )
            own = model["rate"].sel(unit=block["network_unit"].values[unit]).values[partner][0]
            expected = own * block["scale"].values[unit] + block["offset"].values[unit]
            np.testing.assert_allclose(block["rate"].values[row], expected, rtol=1e-4, atol=1e-3)

    def test_conditions_that_are_no_partner_are_averaged_over_and_said(self):
        signs = {name: name for name in ("coherence_1_sign", "coherence_2_sign")}
        match = match_conditions(model_block(), recording(), signs)
        assert "averaged over coherence_1_level, coherence_2_level" in match.notes[-1]
        assert match.columns["contextdm1"] == signs

    def test_text_and_names(self):
        names = np.where(recording()["coherence_1_sign"].values < 0, "left", "right")
        brain = recording().assign_coords(side=("observation", names)).drop_vars(LEVELS)
        brain.attrs["condition_variables"] = '{"contextdm1": ["side"], "contextdm2": ["side"]}'
        match = match_conditions(
            model_block(),
            brain,
            {"side": {"column": "coherence_1_sign", "values": {"left": -1, "right": 1}}},
        )
        assert match.values["contextdm2"]["side"] == {"left": -1.0, "right": 1.0}
        assert ("  side left", "coherence_1_sign -1.0") in match.rows()

    def test_what_has_no_partner_is_listed(self):
        model = model_block()
        more = xr.concat([model, model.assign_coords(
            coherence_1_level=model["coherence_1_level"] * 5)], "trial")  # fmt: skip
        more.attrs = model.attrs
        values = dict(zip([-2, -1, 1, 2], COHERENCES, strict=True))
        match = match_conditions(more, recording(), dict.fromkeys(LEVELS, values))
        assert match.notes[0].startswith("Values of the model's 'coherence_1_level'")
        assert "-1.0, -0.25, 0.25, 1.0" in match.notes[0]
        one = {"tasks": {"contextdm1": "contextdm1"}, "conditions": by_rank()}
        assert match_conditions(model_block(), recording(), one).notes[:2] == (
            "Recorded tasks without a partner: contextdm2.",
            "Tasks of the model without a partner: contextdm2.",
        )

    def test_a_file_and_a_dict_say_the_same(self, tmp_path):
        file = tmp_path / "match.yaml"
        file.write_text(
            "conditions:\n  coherence_1_level: {column: coherence_1_level, by: rank}\n"
            "  coherence_2_level: {column: coherence_2_level, by: rank}\n"
            "epoch: {latency_ms: 0}\n"
        )
        of_file = match_conditions(model_block(), recording(), file)
        of_dict = match_conditions(model_block(), recording(), by_rank())
        assert of_file.origin == str(file)
        assert of_file.parameters() | {"origin": ""} == of_dict.parameters() | {"origin": ""}
        assert match_conditions(model_block(), recording(), of_file) is of_file

    def test_latency(self):
        """The model 100 ms earlier is the model whose rates were moved by two bins."""
        early = model_block(stop=0.95)
        early = early.assign_coords(time=early["time"] - 0.2)
        early["time"].attrs = model_block()["time"].attrs
        early["epoch_start_time"][:] = 0.0
        early["epoch_stop_time"][:] = 0.75
        moved = early.assign(rate=early["rate"].roll(time=2, roll_coords=False))
        at = {"conditions": by_rank(), "epoch": {"latency_ms": 100}}
        late = sample_like(early, recording(), at, noise=False)["sample"]["rate"].values
        twin = sample_like(moved, recording(), by_rank(), noise=False)["sample"]["rate"].values
        np.testing.assert_allclose(late, twin, rtol=1e-4, atol=1e-3)
        with pytest.raises(NotApplicableError, match="all bins of the epoch at a latency of 100"):
            sample_like(model_block(), recording(), at)

    def test_times_are_stretched_a_little_and_further_only_when_asked(self):
        slow = model_block(np.repeat(model_block()["rate"].values, 2, axis=1), stop=1.5)
        with pytest.raises(NotApplicableError, match="1.25 times longer or shorter, got 1.5 s"):
            sample_like(slow, recording(), by_rank())
        asked = {"conditions": by_rank(), "stretch": True}
        stretched = sample_like(slow, recording(), asked)["sample"]["rate"].values
        plain = sample_like(model_block(), recording(), by_rank())["sample"]["rate"].values
        np.testing.assert_allclose(stretched, plain, rtol=1e-3, atol=1e-3)
        little = model_block(stop=0.65)
        with pytest.raises(NotApplicableError, match="bins no wider than the recording's 0.05 s"):
            sample_like(little, recording(), by_rank())

    def test_signed_activity_is_sampled_at_equal_tuning_only(self):
        signed = model_block()
        signed = signed.assign(rate=signed["rate"] - 0.5)
        signed["rate"].attrs = model_block()["rate"].attrs
        with pytest.raises(NotApplicableError, match="rates of 0 or more.*match='tuning'"):
            sample_like(signed, recording(), by_rank(), match="rate")
        block = sample_like(signed, recording(), by_rank(), noise=False)["sample"]
        plain = sample_like(model_block(), recording(), by_rank(), noise=False)["sample"]
        # an offset is no part of the share of each task
        np.testing.assert_allclose(block["rate"].values, plain["rate"].values, rtol=1e-3, atol=1e-3)
        assert (
            0 <= block["negative_share"].values.min() <= block["negative_share"].values.max() <= 1
        )


class TestNoiseOfTheModel:
    def test_equal_repeats_are_deterministic(self):
        assert not model_block(repeats=3, deterministic=False).attrs["deterministic"]
        once = sample_like(model_block(), recording(), by_rank(), noise=False)["sample"]
        thrice = model_block(repeats=3, deterministic=False)
        again = sample_like(thrice, recording(), by_rank(), noise=False)["sample"]
        np.testing.assert_allclose(again["rate"].values, once["rate"].values, rtol=1e-5)

    def test_one_trial_a_condition_does_not_tell(self):
        with pytest.warns(UnitWarning, match="does not tell whether the model has noise"):
            sample_like(model_block(deterministic=False), recording(), by_rank())

    @pytest.mark.parametrize("sd", [0.05, 0.1])
    def test_variance_is_corrected_for_the_noise_of_repeats(self, sd):
        """The scale of a noisy model's units is that of the same units without noise."""
        rng = np.random.default_rng(1)
        quiet = model_block(repeats=40, units=40)
        noisy = quiet.copy(data={
            "rate": quiet["rate"].values + sd * rng.standard_normal(quiet["rate"].shape)
        })  # fmt: skip
        noisy.attrs["deterministic"] = 0
        scales = [
            sample_like(one, recording(40), by_rank(), noise=False)["sample"]["scale"].values
            for one in (noisy, quiet)
        ]
        tuned = scales[1] > 0
        ratio = scales[0][tuned] / scales[1][tuned]
        assert ratio.mean() == pytest.approx(1, abs=0.003)

    def test_much_noise_is_refused(self):
        rng = np.random.default_rng(1)
        block = model_block(repeats=3, deterministic=False)
        noisy = block.copy(data={"rate": block["rate"].values + rng.random(block["rate"].shape)})
        with pytest.raises(NotApplicableError, match="noise of at most 5%.*Give more repeats"):
            sample_like(noisy, recording(), by_rank())


class TestRefusals:
    def test_names(self):
        model, brain = model_block(), recording()
        with pytest.raises(InputError, match="by: rank.*pairs -2 with -0.2, -1 with -0.05, 1 with"):
            match_conditions(model, brain, dict(zip(LEVELS, LEVELS, strict=True)))
        with pytest.raises(InputError, match="conditions.side: expected one of .*got 'side'"):
            match_conditions(model, brain, {"side": "coherence_1_sign"})
        with pytest.raises(InputError, match="a column of the model's trials for the recorded"):
            match_conditions(model, brain, {"coherence_1_sign": "strength"})
        with pytest.raises(InputError, match=r"contextdm1: expected one of .*got 'dm1'"):
            match_conditions(model, brain, {"tasks": {"contextdm1": "dm1"}})
        with pytest.raises(InputError, match=r"tasks.dots: expected one of contextdm1"):
            match_conditions(model, brain, {"tasks": {"dots": "contextdm1"}})
        with pytest.raises(InputError, match="expected one of .*conditions.* got 'condition'"):
            match_conditions(model, brain, {"condition": {}, "stretch": True})
        with pytest.raises(InputError, match="got 'colum'. Did you mean 'column'"):
            match_conditions(model, brain, {LEVELS[0]: {"colum": LEVELS[0], "by": "rank"}})
        with pytest.raises(InputError, match="epoch.modl: expected one of .*got 'modl'"):
            match_conditions(model, brain, {"epoch": {"modl": "stim1"}})
        with pytest.raises(InputError, match="stretch: expected true or false, got 'no'"):
            match_conditions(model, brain, {"stretch": "no"})
        with pytest.raises(InputError, match="match 'lost.yaml': expected a YAML file, got no"):
            match_conditions(model, brain, "lost.yaml")
        with pytest.raises(InputError, match="match: expected a dict or the path .* got int"):
            match_conditions(model, brain, 3)

    def test_no_common_task(self):
        other = recording().assign_coords(
            task=("observation", np.array(["dots"] * recording().sizes["observation"]))
        )
        with pytest.raises(InputError, match=r"tasks: expected a task of both.*tasks: {dots: cont"):
            match_conditions(model_block(), other)

    def test_values_without_partner(self):
        brain, model = recording(), model_block()
        values = dict(zip([-2, -1, 1], COHERENCES, strict=False))
        with pytest.raises(InputError, match="values: expected the model's value .* none for 2"):
            match_conditions(model, brain, dict.fromkeys(LEVELS, values))
        wrong = dict(zip([-2, -1, 1, 2], [-0.2, -0.05, 0.05, 0.3], strict=True))
        with pytest.raises(InputError, match=r"values.2, coherence_1_level: expected one of .*0.3"):
            match_conditions(model, brain, dict.fromkeys(LEVELS, wrong))

    def test_text_that_looks_like_numbers(self):
        text = recording()[LEVELS[0]].values.astype(str)
        brain = recording().assign_coords({LEVELS[0]: ("observation", text)})
        with pytest.raises(InputError, match=r"values of one type.*text \(.*numbers"):
            match_conditions(model_block(), brain, by_rank())

    def test_ranks_of_angles_text_and_unequal_levels(self):
        brain = recording().rename(coherence_1_level="direction")
        with pytest.raises(InputError, match="for ranks, got angles in 'direction'"):
            match_conditions(
                model_block(), brain, {"direction": {"column": LEVELS[0], "by": "rank"}}
            )
        few = nc.select(model_block(), coherence_1_level=[-0.2, 0.05, 0.2])
        with pytest.raises(InputError, match="2 below, 0 at, 2 above 0 in the recording, 1 below"):
            match_conditions(few, recording(), by_rank())
        with pytest.raises(InputError, match="none for .*nwbcompare.select") as error:
            match_conditions(few, recording(), dict(zip(LEVELS, LEVELS, strict=True)))
        assert "by: rank" not in str(error.value)

    def test_conditions_that_the_model_has_no_trial_of(self):
        model = model_block().isel(trial=slice(1, None))
        with pytest.raises(InputError, match="trials of every recorded condition.*none of coh"):
            sample_like(model, recording(), by_rank())

    def test_epochs(self):
        model = model_block()
        renamed = model.assign_coords(epoch=["dots"])
        with pytest.raises(InputError, match="one epoch of both sides, got stim1 .* dots in the m"):
            match_conditions(renamed, recording(), by_rank())
        named = {"conditions": by_rank(), "epoch": {"recording": "stim1", "model": "dots"}}
        assert match_conditions(renamed, recording(), named).model_epoch == "dots"
        wrong = {"conditions": by_rank(), "epoch": {"model": "delay"}}
        with pytest.raises(InputError, match="epoch.model: expected one of stim1, got 'delay'"):
            match_conditions(model, recording(), wrong)

    def test_models_that_are_no_population(self):
        with pytest.raises(
            InputError, match="at least 3 units, got 1.*one unit is no distribution"
        ):
            sample_like(model_block(units=1), recording(), by_rank())
        model = model_block()
        model["rate"][3, 2] = np.nan
        with pytest.raises(InputError, match="rates in all bins of the epoch, got missing"):
            sample_like(model, recording(), by_rank())
        a, b = (nc.select(model_block(), task=task) for task in CONTEXTS)
        b = b.assign_coords(unit=[f"other{unit}" for unit in range(5)])
        with pytest.raises(InputError, match="the same units in both tasks"):
            sample_like(nc.make_activity({"a": a, "b": b}), recording(), by_rank())
        with pytest.raises(InputError, match="dt_ms: expected no option of networks"):
            sample_like(model_block(), recording(), by_rank(), dt_ms=20)
