"""Mappings of a recording's trials to those of networks: shipped, of one's own, refused."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from context_recordings import sample, table, without

import nwbcompare as nc
import nwbcompare.comparison.protocol_mapping
from nwbcompare.comparison.protocol_mapping import FOLDER, ProtocolMapping, read_mapping
from nwbcompare.core.errors import InputError


class TestMapping:
    def test_shipped_mappings_can_be_read(self):
        for place in FOLDER.iterdir():
            if place.name.endswith(".yaml"):
                assert isinstance(read_mapping(Path(place.name).stem), ProtocolMapping)
        assert read_mapping(None, "mante2013") == read_mapping("mante2013")
        mapping = read_mapping("mante2013")
        assert read_mapping(mapping) is mapping

    def test_the_documented_example_is_a_mapping(self):
        import yaml

        text = nwbcompare.comparison.protocol_mapping.__doc__.split("::", 1)[1]
        mapping = read_mapping(yaml.safe_load(text))
        assert mapping.latency_ms == 100
        assert mapping.columns == ["coherence", "hue"]
        assert mapping.shown == ("patch_size",)

    def test_a_lab_can_write_its_own(self, tmp_path):
        """A memory-guided saccade to one of four places, held against Dly Go."""
        path = tmp_path / "saccade.yaml"
        path.write_text(
            """
            tasks: {memory: delaygo, anti: delayanti}
            conditions:
              direction: {column: cue, values: {right: 0, up: 90, left: 180, down: 270}}
              modality: {value: 1}
            epoch: {recording: delay, network: delay1}
            stimulus_ms: 500
            delay_ms: 600
            """
        )
        rng = np.random.default_rng(0)
        n = 240
        block = nc.make_block(
            rng.poisson(2.0, (n, 6)) / 0.1,
            time_s=(np.arange(6) + 0.5) * 0.1,
            bin_width_s=0.1,
            aligned_to="cue offset",
            trials={
                "task": rng.choice(["memory", "anti"], n),
                "cue": rng.choice(["right", "up", "left", "down"], n),
            },
            units={"unit": ["a", "b", "c"]},
            observation_unit=np.arange(n) % 3,
            epochs={"delay": (0.0, 0.6)},
            condition_variables={"memory": ["cue"], "anti": ["cue"]},
            source="recording",
            name="lab",
        )
        found = sample(block, path, smooth_s=0)
        assert found.sizes["unit"] == 3
        np.testing.assert_array_equal(nc.labels(found["cue"]), nc.labels(block["cue"]))
        with pytest.raises(InputError, match="choice: expected network tasks of two directions"):
            choosing = {"choice": {"column": "choice", "first": 1, "second": -1}}
            import yaml

            with_choice = yaml.safe_load(path.read_text()) | choosing
            sample(block, with_choice, smooth_s=0)

    def test_recorded_values_become_the_networks_numbers(self):
        recorded = xr.Dataset(
            coords={"c": ("condition", np.array([0.06, -0.5, 0.06], dtype=np.float32)),
                    "d": ("condition", [True, False, True])}
        )  # fmt: skip
        mapping = read_mapping(
            table(conditions={
                "direction": {"column": "c", "factor": 100},
                "coherence_1": {"column": "c", "values": {0.06: 0.1, -0.5: -0.2}},
                "coherence_2": {"column": "d", "values": {True: 0.1, False: -0.1}},
            })
        )  # fmt: skip
        numbers = mapping.numbers("contextdm1", recorded, 90.0)
        np.testing.assert_allclose(numbers["coherence_1"], [0.1, -0.2, 0.1])
        np.testing.assert_allclose(numbers["coherence_2"], [0.1, -0.1, 0.1])
        np.testing.assert_allclose(np.degrees(numbers["direction"]), [96, 40, 96], rtol=1e-5)
        assert mapping.columns == ["c", "d"]
        text = recorded.assign_coords(c=("condition", ["a", "b", "a"]))
        with pytest.raises(InputError, match=r"direction.factor: expected numbers in the column"):
            mapping.numbers("contextdm1", text, 0.0)

    def test_every_error_names_file_and_key(self, tmp_path):
        conditions = table()["conditions"]
        for changed, message in [
            (without("tasks"), r"tasks: expected recorded tasks.*got nothing.*Write tasks: \{"),
            (table(tasks={"a": "contextdm3"}), r"tasks\.a: .*Did you mean 'contextdm2'"),
            (table(tasks={}), r"mapping, tasks: "),
            (without("conditions"), r"mapping, conditions: .*got nothing"),
            (table(conditions={}), r"mapping, conditions: .*none for direction"),
            (table(conditions=3), r"mapping, conditions: expected for each given variable.*got 3"),
            (
                table(conditions=conditions | {"speed": {"value": 1}}),
                r"conditions\.speed: .*'speed'.*Delete",
            ),
            (
                table(conditions=conditions | {"direction": {}}),
                r"conditions\.direction: .* a constant value, or a column.* got \{\}",
            ),
            (
                table(conditions=conditions | {"direction": {"value": 1, "column": "c"}}),
                r"conditions\.direction: .* a constant value, or a column",
            ),
            (table(conditions=conditions | {"direction": {"value": "x"}}), r"direction\.value: "),
            (
                table(conditions=conditions | {"direction": {"column": "c"}}),
                r"conditions\.direction: .* a column with values or a factor, got .*'column': 'c'",
            ),
            (
                table(conditions=conditions | {"direction": {"column": "c", "factor": "x"}}),
                r"conditions\.direction\.factor: expected a number",
            ),
            (
                table(conditions=conditions | {"direction": {"value": 1, "unit": "rad"}}),
                r"key in conditions\.direction: .*'unit'",
            ),
            (without("epoch"), r"mapping, epoch: expected a table of keys and values, got nothing"),
            (
                table(epoch={"network": "a"}),
                r"epoch\.recording: expected the name of an epoch, got nothing",
            ),
            (table(epoch={"recording": "a", "network": 3}), r"epoch\.network: .*got 3"),
            (
                table(epoch={"recording": "a", "network": "b", "latency": 3}),
                r"key in epoch: .*'latency'.*Did you mean 'latency_ms'",
            ),
            (without("stimulus_ms"), r"stimulus_ms: expected milliseconds, got nothing"),
            (table(axes_degrees=[]), r"axes_degrees: expected one or more degrees"),
            (table(axes_degrees=["a"]), r"axes_degrees\.0: expected one or more degrees, got 'a'"),
            (
                table(conditions=conditions | {"direction": {"column": "c", "values": {1: "x"}}}),
                r"direction\.values\.1: expected a number for each value .* got 'x'",
            ),
            (table(choice=None), r"choice: expected a table of keys"),
            (table(choice={"column": "choice", "first": 1}), r"choice\.second: expected a number"),
            (table(shown="congruent"), r"shown: expected names of trial columns"),
            (table(stimuls_ms=3), r"mapping, key: .*'stimuls_ms'.*Did you mean 'stimulus_ms'"),
            ([], r"mapping: expected a name, a path, a dict.*got list"),
        ]:
            with pytest.raises(InputError, match=message):
                read_mapping(changed)
        broken = tmp_path / "broken.yaml"
        broken.write_text("tasks: [")
        with pytest.raises(
            InputError, match=r"broken\.yaml, line 1: expected a YAML file, got one"
        ):
            read_mapping(broken)
        broken.write_text("tasks: {fdgo: fdgo}\nconditions: {}\n.inf: 3")
        with pytest.raises(
            InputError, match=r"broken\.yaml.*: expected a table of keys and values"
        ):
            read_mapping(broken)
        broken.write_text("3")
        with pytest.raises(InputError, match=r"broken\.yaml: expected a table of keys and values"):
            read_mapping(str(broken))
        with pytest.raises(
            InputError, match=r"mante2012: expected a YAML file .* or one of mante2013"
        ):
            read_mapping("mante2012")
