"""MATLAB files of both versions by a mapping of names, and two published recordings."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

import nwbcompare as nc
from nwbcompare.io import from_mat
from nwbcompare.io.matlab.mat5 import mat5_variables
from nwbcompare.io.matlab.structs import opened_mat

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(2, (3, 4, 2)).astype(float)
RULES = ["go", "stop", "go"]
SPIKES = [[np.sort(RNG.uniform(0, 1, 9)) for _ in range(2)] for _ in range(3)]
MAPPING = {
    "rates": "data.psth",
    "time_s": "data.t",
    "trials": {"task": "data.info.rule", "coherence": "data.info.coh", "correct": "data.info.ok"},
    "units": {"area": "units.area", "depth": "units.depth"},
}


def cell(items, shape=None):
    made = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        made[place] = item
    return made.reshape(shape or (len(items), 1))


def version_5(path):
    savemat(
        path,
        {
            "data": {
                "psth": COUNTS,
                "t": np.array([[0.05, 0.15, 0.25, 0.35]]),
                "info": {
                    "rule": cell(RULES),
                    "coh": np.array([[1.5], [2.5], [3.5]]),
                    "ok": np.array([[True], [False], [True]]),
                },
                "spikes": cell([t for trial in SPIKES for t in trial], (3, 2)),
                "sparse": csc_array(COUNTS[:, :, 0]),
            },
            "units": np.array([("LIP", 1.0), ("PFC", 2.0)], dtype=[("area", "O"), ("depth", "O")]),
            "name": "monkey A",
            "lines": np.array(["ab", "cd"]),
            "none": np.empty((0, 0)),
        },
    )
    return path


def version_73(path):
    """Write what MATLAB writes: axes reversed, text as numbers, cells as references."""
    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")

        def put(group, name, values, kind=None):
            values = np.asarray(values)
            kind = kind or {"f": "double", "b": "logical", "U": "char"}[values.dtype.kind]
            if kind == "char":
                values = np.array([[ord(letter) for letter in str(values)]], "u2")
            item = group.create_dataset(
                name, data=values.astype("u1" if kind == "logical" else values.dtype).T
            )
            item.attrs["MATLAB_class"] = np.bytes_(kind)
            return item

        def refer(group, name, items, shape, kind=None):
            made = [
                put(refs, f"{group.name}_{name}_{n}".replace("/", "_"), v).ref
                for n, v in enumerate(items)
            ]
            grid = np.array(made, dtype=h5py.ref_dtype).reshape(shape).T
            item = group.create_dataset(name, data=grid, dtype=h5py.ref_dtype)
            if kind:
                item.attrs["MATLAB_class"] = np.bytes_(kind)

        data, units = file.create_group("data"), file.create_group("units")
        info = data.create_group("info")
        for group in (data, units, info):
            group.attrs["MATLAB_class"] = np.bytes_("struct")
        put(data, "psth", COUNTS)
        put(data, "t", [[0.05, 0.15, 0.25, 0.35]])
        refer(info, "rule", RULES, (3, 1), "cell")
        put(info, "coh", [[1.5], [2.5], [3.5]])
        put(info, "ok", [[True], [False], [True]])
        refer(data, "spikes", [t[None] for trial in SPIKES for t in trial], (3, 2), "cell")
        whole = csc_array(COUNTS[:, :, 0])
        sparse = data.create_group("sparse")
        sparse.attrs["MATLAB_sparse"] = np.uint64(3)
        for name, values in {"data": whole.data, "ir": whole.indices, "jc": whole.indptr}.items():
            sparse.create_dataset(name, data=values)
        # fields of an array of structs say no class
        refer(units, "area", ["LIP", "PFC"], (1, 2))
        refer(units, "depth", [np.array([[1.0]]), np.array([[2.0]])], (1, 2))
        put(file, "name", "monkey A")
        rows = np.array([[ord(letter) for letter in line] for line in ("ab", "cd")], "u2")
        put(file, "lines", rows, "uint16").attrs["MATLAB_class"] = np.bytes_("char")
        file.create_dataset("none", data=np.zeros(2, "u8")).attrs.update(
            {"MATLAB_class": np.bytes_("double"), "MATLAB_empty": np.uint8(1)}
        )
    return path


@pytest.fixture(params=[version_5, version_73])
def mat(request, tmp_path):
    return request.param(tmp_path / "day1.mat")


def test_arrays_tables_and_text(mat):
    activity = from_mat(mat, MAPPING, counts=True, conditions=["coherence"])
    block = activity["day1"].to_dataset()
    np.testing.assert_allclose(block["rate"], COUNTS / 0.1, rtol=1e-6)
    np.testing.assert_allclose(block["time"], [0.05, 0.15, 0.25, 0.35])
    assert nc.labels(block["task"]).tolist() == RULES
    assert block["coherence"].values.tolist() == [1.5, 2.5, 3.5]
    assert block["correct"].values.astype(bool).tolist() == [True, False, True]
    assert block["area"].values.tolist() == ["LIP", "PFC"]
    assert block["depth"].values.tolist() == [1.0, 2.0]
    file = json.loads(block.attrs["provenance"])["file"]
    assert file == {"name": "day1.mat", "sha256": hashlib.sha256(mat.read_bytes()).hexdigest()}


def test_cells_of_spike_times(mat):
    options = {"window": (0, 1), "bin": 0.25, "name": "x"}
    trials = {"task": "data.info.rule"}
    block = from_mat(
        mat, {"spikes": "data.spikes", "trials": trials}, dims=("trial", "unit"), **options
    )["x"]
    for trial, units in enumerate(SPIKES):
        for unit, times in enumerate(units):
            expected = np.histogram(times, np.linspace(0, 1, 5))[0] / 0.25
            np.testing.assert_array_equal(block["rate"][trial, :, unit], expected)


def test_names_are_followed_as_in_matlab(mat):
    with opened_mat(mat) as variables:
        assert set(variables) == {"data", "lines", "name", "none", "units"}
        assert variables["name"] == "monkey A"
        assert variables["lines"] == ["ab", "cd"]
        assert np.size(variables["none"]) == 0
        np.testing.assert_array_equal(variables["data"]["sparse"], COUNTS[:, :, 0])
        assert [dict(unit)["area"] for unit in variables["units"]] == ["LIP", "PFC"]
        assert len(variables["data"]) == 5


def by_unit(path):
    """Write units with trials of their own: an array of structs, a cell in each."""
    neurons = np.empty((1, 2), dtype=[("id", "O"), ("raw", "O"), ("side", "O"), ("day", "O")])
    neurons[0, 0] = (
        "n1",
        cell([np.ones((2, 3)), np.zeros((2, 3))], (1, 2)),
        np.array([[1], [2]]),
        4,
    )
    neurons[0, 1] = ("n2", cell([np.full((3, 3), 2.0)], (1, 1)), np.array([[2], [2], [1]]), 5)
    savemat(path, {"neurons": neurons, "rule": "go"})
    return path


def test_units_with_trials_of_their_own(tmp_path):
    path = by_unit(tmp_path / "units.mat")
    mapping = {
        "rates": "neurons.raw{1}",
        "trials": {"side": "neurons.side", "day": "neurons.day", "task": "rule"},
        "units": {"unit": "neurons.id"},
    }
    block = from_mat(path, mapping, bin=0.1)["units"]
    assert block["rate"].values[:, 0].tolist() == [1, 1, 2, 2, 2]
    assert block["side"].values.tolist() == [1, 2, 2, 2, 1]
    assert block["day"].values.tolist() == [4, 4, 5, 5, 5]
    assert nc.labels(block["task"]).tolist() == ["go"] * 5
    assert block["unit"].values.tolist() == ["n1", "n2"]
    one = {"rates": "neurons(2).raw{1}", "trials": {"side": "neurons(2).side"}}
    lone = from_mat(path, one, bin=0.1, task="side", name="n")["n"]
    assert lone["rate"].shape == (3, 3, 1)


def test_cells_with_one_row_or_column(tmp_path):
    path = tmp_path / "cells.mat"
    times = [RNG.uniform(0, 3, 20) for _ in range(3)]
    savemat(
        path, {"t": cell(times), "start": [0.0, 1.0], "stop": [1.0, 2.0], "task": cell(["a", "b"])}
    )
    events = {"start_time": "start", "stop_time": "stop", "task": "task"}
    units = from_mat(path, {"spikes": "t", "trials": events}, bin=0.5)["cells"]
    expected = [np.histogram(t, [1, 1.5, 2])[0] / 0.5 for t in times]
    np.testing.assert_array_equal(units["rate"][1].T, expected)
    for dims, n_trials in ((("trial", "unit"), 3), (("unit", "trial"), 3)):
        with pytest.warns(UserWarning, match="no column names the task"):
            lone = from_mat(path, {"spikes": "t"}, dims=dims, window=(0, 3), bin=1)["cells"]
        assert lone.sizes["unit"] == 1
        assert lone["rate"].shape == (n_trials, 3)
        np.testing.assert_array_equal(
            lone["rate"], [np.histogram(t, [0, 1, 2, 3])[0] for t in times]
        )


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"rate": "data.psth"}, "mapping: expected one of rates, spikes, time_s, trials, units, got"),
        ({"rates": {"x": "y"}}, r"mapping\['rates'\]: expected where it is, as text"),
        ({"trials": "data.info"}, r"mapping\['trials'\]: expected columns and where they are"),
        ({"rates": "data.psht"}, r"data.psht: expected one of .*Did you mean 'psth'"),
        ({"rates": "dat.psth"}, r"dat.psth: expected one of .*Did you mean 'data'"),
        ({"rates": "data.psth.x"}, r"expected a struct with a field 'x', got an array \(3, 4, 2\)"),
        ({"rates": "name.x"}, "expected a struct with a field 'x', got text"),
        ({"rates": "data"}, "rates: expected an array or a cell, got a struct with fields"),
        ({"rates": "name"}, "rates: expected an array or a cell, got text"),
        ({"rates": "units.area"}, "rates: expected matrices, one for each unit or trial, got text"),
        ({"rates": "units(3).area"}, r"expected an element from 1 to 2, got 3. MATLAB counts from 1"),
        ({"rates": "data.spikes(0)"}, "expected an element from 1 to 3, got 0"),
        ({"rates": "data[1]"}, r"mapping: expected names as in MATLAB.*Correct the part from '\[1\]'"),
        ({"trials": {"task": "data.info.rule"}}, "expected rates or spikes, got neither"),
        ({"rates": "data.psth", "trials": {"task": "units.area"}}, r"expected 3 values.*shape \(2,\)"),
        ({"rates": "data.psth", "trials": {"task": "data.info"}}, "info: expected values, got a struct with fields"),
        ({"rates": "data.psth", "trials": {"task": "data.spikes"}}, r"expected 3 values.*shape \(3, 2"),
        ({"rates": "data.psth", "units": {"area": "units"}}, "units: expected values, got a struct with"),
    ],
)  # fmt: skip
def test_bad_mappings_are_refused(mat, mapping, message):
    with pytest.raises(nc.InputError, match=message):
        from_mat(mat, mapping, bin=0.1)


def test_damaged_files_are_named(mat, tmp_path):
    whole = mat.read_bytes()
    path = tmp_path / "damaged.mat"
    for kept in (0, 100, 140, len(whole) // 2, len(whole) - 200):
        path.write_bytes(whole[:kept])
        # older HDF5 libraries open what the end is missing of, and find no variable
        with pytest.raises(
            nc.InputError,
            match="damaged.mat: (expected a MATLAB file, got one that|data.*one of , )",
        ):
            from_mat(path, MAPPING)
    for seed in range(40):
        damaged = bytearray(whole)
        rng = np.random.default_rng(seed)
        for place in rng.integers(128, len(whole), 20):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(nc.InputError):
            from_mat(path, MAPPING, counts=True)
    with pytest.raises(nc.InputError, match="expected a MATLAB file, got nothing there"):
        from_mat(tmp_path / "absent.mat", MAPPING)
    with pytest.raises(nc.InputError, match="expected a MATLAB file, got a folder"):
        from_mat(tmp_path, MAPPING)


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


NAME = element(1, b"rates")


def array(what, *parts, shape=(1, 2), flags=0, name=NAME):
    head = element(6, struct.pack("<II", what | flags, 0)) + element(5, struct.pack("<2i", *shape))
    return element(14, head + name + b"".join(parts))


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
DOUBLES = element(9, struct.pack("<2d", 1, 2))
ONE = array(6, element(9, struct.pack("<d", 1)), shape=(1, 1), name=element(1, b""))
FIELDS = element(5, struct.pack("<i", 4)), element(1, b"a\0\0\0b\0\0\0")


@pytest.mark.parametrize(
    "content",
    [
        array(6, DOUBLES),
        array(6, DOUBLES, DOUBLES, flags=0x0800),
        array(4, element(4, "ab".encode("utf-16-le"))),
        array(4, element(16, b"ab")),
        array(1, ONE, ONE),
        array(2, *FIELDS, ONE, ONE, shape=(1, 1)),
        array(3, element(1, b"thing"), *FIELDS, ONE, ONE, shape=(1, 1)),
        array(5, element(5, bytes(8)), element(5, struct.pack("<2i", 0, 2)), DOUBLES, shape=(2, 1)),
        array(17, element(1, b"table")),
        element(14, b""),
        struct.pack("<HH4s", 14, 0, b""),
    ],
)
def test_whole_elements_pass(content):
    packed = zlib.compress(content)
    for part in (struct.pack("<II", 15, len(packed)) + packed, content):
        for variable in mat5_variables(memoryview(HEADER + part)):
            assert variable.name == "rates"
            assert variable.checked() == HEADER + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array(6, DOUBLES)[:-9], "an element reaches beyond what holds it"),
        (array(6, DOUBLES) + b"abc", "it ends inside of an element"),
        (array(6, struct.pack("<HH4s", 9, 5, b"")), "a small element is too large"),
        (DOUBLES, "an element is not an array"),
        (element(14, DOUBLES), "an array has no flags"),
        (element(14, element(6, bytes(8))), "an array has no size or name"),
        (array(6, DOUBLES, shape=(1, -2)), "an array has no size or name"),
        (array(6, DOUBLES, name=element(9, b"")), "an array has no size or name"),
        (array(6, DOUBLES, shape=(1, 3)), "numbers are missing"),
        (array(6, DOUBLES, flags=0x0800), "numbers are missing"),
        (array(6, element(8, b"")), "numbers are of the unknown type 8"),
        (array(4, element(4, b"abc")), "text is missing"),
        (array(4), "text is missing"),
        (array(5, DOUBLES), "parts of a sparse array are missing"),
        (array(5, DOUBLES, DOUBLES, DOUBLES), "indices of a sparse array are cut"),
        (array(1, ONE), "elements are missing"),
        (array(2, *FIELDS, ONE), "elements are missing"),
        (array(2, FIELDS[0]), "a struct has no fields"),
        (array(2, DOUBLES, FIELDS[1]), "a struct has no fields"),
        (array(2, element(5, bytes(4)), FIELDS[1]), "the fields of a struct have no names"),
        (array(99), "an array is of the unknown class 99"),
    ],
)
def test_elements_that_do_not_fit_are_refused(tmp_path, content, message):
    path = tmp_path / "a.mat"
    path.write_bytes(HEADER + content)
    with pytest.raises(nc.InputError, match=f"a.mat: expected a MATLAB file, got one.*{message}"):
        from_mat(path, {"rates": "rates"})


def test_damage_on_which_scipy_crashes_is_refused(tmp_path):
    whole = version_5(tmp_path / "day1.mat").read_bytes()
    place = whole.index(struct.pack("<II", 9, COUNTS.nbytes)) + 5
    for value in (29, 62, 117, 255):
        damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
        (tmp_path / "day1.mat").write_bytes(damaged)
        with pytest.raises(nc.InputError, match="an element reaches beyond what holds it"):
            from_mat(tmp_path / "day1.mat", MAPPING)


def test_places_outside_of_a_sparse_array_are_refused(tmp_path):
    path = version_73(tmp_path / "day1.mat")
    with h5py.File(path, "r+") as file:
        file["data/sparse/ir"][0] = 99
    with pytest.raises(nc.InputError, match="day1.mat: expected a MATLAB file, got one that"):
        from_mat(path, {"rates": "data.sparse"}, bin=0.1)
    with h5py.File(path, "r+") as file:
        for name in ("data", "ir"):
            del file[f"data/sparse/{name}"]
    with pytest.warns(UserWarning, match="no column names the task"):
        empty = from_mat(path, {"rates": "data.sparse"}, bin=0.1)["day1"]
    assert not empty["rate"].values.any()


@pytest.mark.shared
@pytest.mark.parametrize("unit", ["ar090313_1_a1", "ar100528_1_b5", "ar090729_2_a2"])
def test_a_unit_of_mante_2013_is_that_of_its_loader(mante2013_path, tmp_path, unit):
    file = mante2013_path / "PFC data 1" / f"{unit}_Vstim_100_850_ms.mat"
    shutil.copy(file, tmp_path)
    loaded = nc.load("mante2013", tmp_path, quality="all", smooth_s=0)["mante2013"].to_dataset()
    activity = from_mat(
        file,
        {
            "rates": "unit.response",
            "time_s": "unit.time",
            "trials": {
                "context": "unit.task_variable.context",
                "coherence_1": "unit.task_variable.stim_dir",
                "choice": "unit.task_variable.targ_dir",
            },
            "units": {"unit": "unit.name", "isolation": "unit.unitInfo.type"},
        },
        counts=True,
        task="context",
    )
    block = nc.rebin(activity, 0.05)[file.stem].to_dataset()
    assert block["rate"].dims == ("trial", "time", "unit")
    np.testing.assert_allclose(block["rate"][:, :, 0], loaded["rate"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(block["time"], loaded["time"], atol=6e-4)
    np.testing.assert_allclose(block["coherence_1"], loaded["coherence_1"], rtol=1e-6)
    np.testing.assert_array_equal(block["choice"], loaded["choice"])
    motion = nc.labels(loaded["task"]) == "contextdm1"
    np.testing.assert_array_equal(nc.labels(block["task"]) == "1", motion)


@pytest.mark.shared
@pytest.mark.parametrize("saccade", [1, 4])
def test_neurons_of_wang_2024_have_the_authors_rates(shared, saccade):
    file = shared / "data" / "wang2024" / "Presaccadic neurons" / "SequenceNeuron.mat"
    with pytest.warns(UserWarning, match="no column names the task"):
        activity = from_mat(
            file,
            {
                "rates": f"data_structure.neurons.RawData_LLRR_M{{{saccade}}}",
                "units": {"unit": "data_structure.neurons.NeuronNum"},
            },
            time_s=(np.arange(701) - 350) / 1000,
            counts=True,
            bin=0.001,
            name="wang",
        )
    block = activity["wang"].to_dataset()
    assert block.sizes["unit"] == 17
    assert block["rate"].dims == ("observation", "time")
    means = block["rate"].sel(time=slice(-0.1005, 0.0005)).mean("time")
    with opened_mat(file) as variables:
        for unit, neuron in enumerate(variables["data_structure"]["neurons"]):
            own = means[block["observation_unit"].values == unit]
            np.testing.assert_allclose(own, neuron["Saccspike_LLRR_M"][:, saccade - 1], rtol=1e-4)


def test_data_outside_of_the_files_folder_are_refused(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with h5py.File(elsewhere / "secret.h5", "w") as file:
        file["counts"] = np.ones((2, 3, 4))
    path = tmp_path / "day1.mat"
    layout = h5py.VirtualLayout((2, 3, 4), "f8")
    layout[:] = h5py.VirtualSource(str(elsewhere / "secret.h5"), "counts", shape=(2, 3, 4))
    with h5py.File(path, "w", userblock_size=512) as file:
        file["link"] = h5py.ExternalLink(str(elsewhere / "secret.h5"), "/counts")
        file.create_dataset("raw", (12,), "u1", external=[(str(elsewhere / "secret.h5"), 0, 12)])
        file.create_virtual_dataset("virtual", layout)
        file["circle"] = h5py.SoftLink("/circle")
        file.create_dataset("huge", (2**40, 2**20), "f8", chunks=(8, 8))
    for name, reason in {
        "link": "links to files in the same folder",
        "raw": "data in this file",
        "virtual": "links to files in the same folder",
        "circle": "a link that ends somewhere",
        "huge": "no more data than the file can hold",
    }.items():
        with pytest.raises(nc.InputError, match=f"day1.mat: .*expected {reason}"):
            from_mat(path, {"rates": name}, bin=0.5)


def test_an_array_larger_than_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "day1.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("rates")
        group.attrs["MATLAB_sparse"] = np.uint64(2**62)
        group["jc"] = np.zeros(3, "u8")
    with pytest.raises(nc.InputError, match="day1.mat: .* more than 1000 times as many"):
        from_mat(path, {"rates": "rates"}, bin=0.5)
    savemat(path, {"rates": COUNTS}, do_compression=True)
    monkeypatch.setattr("nwbcompare.core.available_memory.UNASKED_BYTES", 0)
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 9}))
    with pytest.raises(nc.InputError, match="day1.mat: expected data that fit in memory"):
        from_mat(path, {"rates": "rates"}, bin=0.5)


def packed_variable(n_bytes: int, n_stored: int) -> bytes:
    """Make a file of a packed variable of zeros, of which some bytes are there."""
    n = n_bytes // 8
    name = struct.pack("<HH4s", 1, 1, b"x")
    head = struct.pack("<II", 6, 8) + struct.pack("<II", 6, 0)
    head += struct.pack("<II", 5, 8) + struct.pack("<ii", n, 1) + name
    head += struct.pack("<II", 9, 8 * n)
    packer = zlib.compressobj(9)
    packed = packer.compress(struct.pack("<II", 14, len(head) + 8 * n) + head)
    packed += packer.compress(bytes(n_stored)) + packer.flush()
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return header + struct.pack("<II", 15, len(packed)) + packed


def test_a_variable_that_unpacks_without_measure_is_refused_before_it_does(tmp_path: Path) -> None:
    path = tmp_path / "bomb.mat"
    path.write_bytes(packed_variable(2**30, 2**24))
    with pytest.raises(nc.InputError, match="bomb.mat.*declares 1,073,.* more than 400 times"):
        from_mat(path, {"rates": "x"}, bin=0.5)


def test_a_small_variable_may_unpack_by_any_factor(tmp_path: Path) -> None:
    path = tmp_path / "zeros.mat"
    path.write_bytes(packed_variable(2**24, 2**24))
    with opened_mat(path) as variables:
        assert variables["x"].size == 2**21


@pytest.mark.parametrize("filled", [False, True])
def test_a_sparse_array_of_endless_zeros_is_refused_before_it_is_made(tmp_path, filled):
    path = tmp_path / "sparse.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group("x")
        group.attrs["MATLAB_sparse"] = np.uint64(4 * 10**8)
        group["jc"] = [0, 1]
        if filled:
            group["data"], group["ir"] = [1.0], [0]
    refused = pytest.raises(nc.InputError, match=r"sparse.mat.* has 3,200,000,000 with its zeros")
    with refused, opened_mat(path) as variables:
        variables["x"]


def test_of_named_variables_others_are_neither_read_nor_checked(tmp_path):
    path = tmp_path / "cell.mat"
    savemat(path, {"spikes": [[1.0, 2.0]], "record": np.arange(1000.0)}, do_compression=True)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1  # in the packed bytes of the last variable
    path.write_bytes(content)
    with opened_mat(path, only=("spikes", "absent")) as variables:
        assert list(variables) == ["spikes"]
        assert variables["spikes"].tolist() == [[1.0, 2.0]]
    with pytest.raises(nc.InputError, match="cell.mat"), opened_mat(path):
        raise AssertionError
