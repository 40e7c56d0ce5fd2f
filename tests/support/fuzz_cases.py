"""Damaged and hostile inputs of every kind that is read: sound files, ways to change them, readers.

A case is a number: its changes are drawn from a stream of its own, so that it can be made again.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nwbcompare as nc
from nwbcompare.testing import example_block

Generator = np.random.Generator
PRIVATE, SECRET = "private.h5", 7777.25
"""A file outside the folder of the cases, and the value of which it is full."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes
    ----------
    bases
        Sound files, by the function that writes each into a folder and returns its path.
    changed
        Function of a file, a generator and the private file, which changes the file in place.
    read
        Function that reads a file, and returns its values.
    """

    bases: tuple[Callable[[Path], Path], ...]
    changed: Callable[[Path, Generator, Path], None]
    read: Callable[[Path], Any]
    extra: dict[str, Any] = field(default_factory=dict)


# ---- changes of bytes


def change_bytes(data: bytes, rng: Generator) -> bytes:
    """Flip, overwrite, cut, repeat or move bytes, mostly once."""
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        if not changed:
            break
        start = int(rng.integers(len(changed)))
        length = int(min(2 ** rng.integers(0, 12), len(changed) - start))
        stop = start + length
        piece = bytes(changed[start:stop])
        other = int(rng.integers(len(changed)))
        match int(rng.integers(9)):
            case 0 | 1:
                changed[start] ^= 1 << int(rng.integers(8))
            case 2:
                for place in rng.integers(len(changed), size=16):
                    changed[place] ^= 1 << int(rng.integers(8))
            case 3:
                changed[start:stop] = rng.bytes(length)
            case 4:
                changed[start:stop] = bytes([int(rng.choice([0, 255]))]) * length
            case 5:
                del changed[start:]
            case 6:
                del changed[start:stop]
            case 7:
                changed[other:other] = piece
            case _:
                changed[other : other + length] = piece
    return bytes(changed)


def change_file(path: Path, rng: Generator, private: Path) -> None:
    path.write_bytes(change_bytes(path.read_bytes(), rng))


# ---- changes of texts

ODD = [
    None, True, 0, -1, 1.5, 1e308, 10**30, "", "x", "é😀", "a\0b", "\ud800", "../../x", "n" * 300,
    [], {}, [[]], [None], {"x": None}, float("nan"), float("inf"), "2001-13-45", 10**400, [1] * 300,
]  # fmt: skip
ODD_TEXTS = [
    "", "null", "~", "-1", "1e999", "nan", "[]", "{}", "[[[[", "'", '"', "*a", "&a [*a]", "!!binary x",
    "!!python/object:os.system", "2001-99-99", "\t", "\0", "\x1b[31m", "1:" * 300 + "1", "[" * 2000,
    "9" * 5000, "<<: *a", "? ", "|", "%", "\r", "\ufeff", "é", "n" * 300, "0x", ".inf", "''''''",
]  # fmt: skip


def change_json(value: Any, rng: Generator) -> Any:
    """Replace, delete or add one value somewhere within plain values."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = str(rng.choice(list(value)))
        if rng.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        if rng.random() < 0.1:
            return value | {str(_odd(rng)): _odd(rng)}
        return value | {key: change_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        place = int(rng.integers(len(value)))
        return [*value[:place], change_json(value[place], rng), *value[place + 1 :]]
    return _odd(rng)


def _odd(rng: Generator) -> Any:
    return ODD[int(rng.integers(len(ODD)))]


def change_json_file(path: Path, rng: Generator, private: Path) -> None:
    if rng.random() < 0.3:
        change_file(path, rng, private)
        return
    value = json.loads(path.read_text())
    for _ in range(int(rng.choice([1, 1, 2]))):
        value = change_json(value, rng)
    text = json.dumps(value)
    if rng.random() < 0.02:
        text = "[" * 100_000
    path.write_text(text)


def change_text(path: Path, rng: Generator, private: Path) -> None:
    """Replace, repeat, move or delete a line or the value in it."""
    if rng.random() < 0.3:
        change_file(path, rng, private)
        return
    lines = path.read_text().split("\n")
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        place = int(rng.integers(len(lines)))
        odd = ODD_TEXTS[int(rng.integers(len(ODD_TEXTS)))]
        mark = next((m for m in (":", "=", ",") if m in lines[place]), ":")
        head, _, tail = lines[place].partition(mark)
        lines[place] = [
            f"{head}{mark} {odd}",
            f"{odd}{mark}{tail}",
            odd,
            f"{lines[place]}{odd}",
            f"    {lines[place]}",
            lines[int(rng.integers(len(lines)))],
            f"{lines[place]}\n{lines[place]}",
        ][int(rng.integers(7))]
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


# ---- changes of HDF5 files


def change_hdf5(path: Path, rng: Generator, private: Path) -> None:
    """Change bytes, or one to three objects, attributes or links."""
    if rng.random() < 0.5:
        change_file(path, rng, private)
        return
    with h5py.File(path, "r+") as file:
        for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
            names: list[str] = []
            file.visit(names.append)
            # a former change may have made the object unreadable
            with contextlib.suppress(KeyError, RuntimeError, OSError):
                _change_object(file, str(rng.choice(names or ["none"])), rng, private)


def _change_object(file: h5py.File, name: str, rng: Generator, private: Path) -> None:
    item = file[name]
    if len(item.attrs) and rng.random() < 0.4:
        attribute = str(rng.choice(list(item.attrs)))
        del item.attrs[attribute]
        if rng.random() < 0.8:
            item.attrs[attribute] = _odd_values(rng)
        return
    shape = item.shape if isinstance(item, h5py.Dataset) and item.shape else (4,)
    if np.prod(shape) > 10**6:
        shape = (4,)
    parent = file[name].parent
    del file[name]
    last = name.rpartition("/")[2]
    match int(rng.integers(9)):
        case 0:
            return
        case 1:
            parent[last] = h5py.ExternalLink(str(private), "/values")
        case 2:
            parent[last] = h5py.SoftLink(str(rng.choice([f"/{name}", "/", parent.name, "/none"])))
        case 3:
            size = int(np.prod(shape)) * 8
            parent.create_dataset(
                last, shape, "f8", external=[(str(private.with_suffix(".bin")), 0, size)]
            )
        case 4:
            layout = h5py.VirtualLayout((12,), "f8")
            layout[:] = h5py.VirtualSource(str(private), "values", shape=(12,))
            parent.create_virtual_dataset(last, layout)
        case 5:
            parent.create_dataset(last, (10**10, *shape[1:]), "f4", chunks=(1000, *shape[1:]))
        case 6:
            parent.create_dataset(last, shape, h5py.vlen_dtype(np.int32))
        case 7:
            parent.create_dataset(last, data=np.full(shape, rng.choice([np.nan, -1.0, 1e300, 0.5])))
        case _:
            parent[last] = _odd_values(rng)


def _odd_values(rng: Generator) -> Any:
    values = [
        np.nan, -1, 10**15, "", "x", "é", "[" * 5000, np.zeros(0), np.zeros((3, 3)), "{}", "[1]",
        np.array([b"\xff\xfe"]), h5py.Empty("f4"), np.zeros(3, [("a", "f4"), ("b", "S2")]), True,
        np.uint64(2**64 - 1), "null", np.array(["a", "b"], dtype=object), 1e308,
    ]  # fmt: skip
    return values[int(rng.integers(len(values)))]


# ---- sound files


def _activity() -> Any:
    return nc.make_activity({"example": example_block()})


def _nwb(folder: Path) -> Path:
    return nc.write_nwb(example_block(), folder / "example.nwb")


def _nwb_spikes(folder: Path) -> Path:
    spikes = nc.io.PoissonSpikes(gain=20, seed=0)
    return nc.write_nwb(example_block(), folder / "spikes.nwb", spikes=spikes)


def _netcdf(folder: Path) -> Path:
    _activity().to_netcdf(folder / "activity.nc", engine="h5netcdf")
    return folder / "activity.nc"


def _netcdf_packed(folder: Path) -> Path:
    packing = {"/example": {"rate": {"zlib": True}, "direction": {"zlib": True, "shuffle": True}}}
    _activity().to_netcdf(folder / "packed.nc", engine="h5netcdf", encoding=packing)
    return folder / "packed.nc"


def _contents() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    cells = np.empty((1, 3), dtype=object)
    cells[0] = ["go", "stop", "go"]
    return {
        "data": {"psth": rng.poisson(2, (3, 4, 2)).astype(float), "rule": cells, "t": [0.1, 0.2, 0.3, 0.4]},
        "coh": np.array([1, 2, 3], dtype=np.int16),
        "empty": np.zeros((0, 0)),
    }  # fmt: skip


def _mat5(folder: Path) -> Path:
    from scipy.io import savemat

    savemat(folder / "plain.mat", _contents())
    return folder / "plain.mat"


def _mat5_packed(folder: Path) -> Path:
    from scipy.io import savemat

    savemat(folder / "packed.mat", _contents(), do_compression=True)
    return folder / "packed.mat"


def _mat4(folder: Path) -> Path:
    from scipy.io import savemat

    savemat(folder / "four.mat", {"coh": np.arange(3.0), "text": "go"}, format="4")
    return folder / "four.mat"


def change_mat5(path: Path, rng: Generator, private: Path) -> None:
    """Change bytes; of packed variables also those within, which are packed again."""
    data = path.read_bytes()
    if path.stem != "packed" or rng.random() < 0.2:
        path.write_bytes(change_bytes(data, rng))
        return
    changed, place = data[:128], 128
    while place < len(data):
        kind, size = struct.unpack_from("<II", data, place)
        content = data[place + 8 : place + 8 + size]
        if kind == 15 and rng.random() < 0.6:
            content = zlib.compress(change_bytes(zlib.decompress(content), rng))
        changed += struct.pack("<II", kind, len(content)) + content
        place += 8 + size
    path.write_bytes(changed)


def _mat73(folder: Path) -> Path:
    path = folder / "new.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_group("data")
        data.attrs["MATLAB_class"] = np.bytes_("struct")
        data["psth"] = np.random.default_rng(0).poisson(2, (2, 4, 3)).astype(float)
        data.create_dataset("packed", data=np.ones((50, 4)), compression="gzip", shuffle=True)
        cells = []
        for place, word in enumerate(["go", "stop", "go"]):
            letters = np.array([[ord(c)] for c in word], dtype=np.uint16)
            file[f"#refs#/{place}"] = letters
            file[f"#refs#/{place}"].attrs["MATLAB_class"] = np.bytes_("char")
            cells.append(file[f"#refs#/{place}"].ref)
        data.create_dataset(
            "rule", data=np.array([cells], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype
        )
        data["rule"].attrs["MATLAB_class"] = np.bytes_("cell")
        sparse = file.create_group("sparse")
        sparse.attrs["MATLAB_sparse"] = np.uint64(4)
        sparse["data"], sparse["ir"], sparse["jc"] = [1.0, 2.0], [0, 3], [0, 1, 2]
    header = b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<H", 0x0200) + b"IM"
    with path.open("r+b") as raw:
        raw.write(header)
    return path


def _run(folder: Path) -> Path:
    from nwbcompare.model import Network, NetworkConfig, save_run, training_config

    log = [
        {"step": step, "stage": 0, "dt_ms": 20.0, "coherence_scale": 1.0, "loss": 0.5, "seconds": 1.0,
         "performance": {"fdgo": 0.5}}
        for step in (0, 100)
    ]  # fmt: skip
    evaluation = {"n_trials": 512, "seed": 1, "performance": {"fdgo": 0.9}}
    save_run(
        Network(NetworkConfig(n_units=4)),
        folder / "run",
        training=training_config(("fdgo",), n_units=4),
        log=log,
        evaluation=evaluation,
    )
    return folder / "run"


def _in_run(name: str) -> Callable[[Path], Path]:
    def base(folder: Path) -> Path:
        return _run(folder / name.partition(".")[0]) / name

    return base


def _rows(folder: Path) -> Path:
    path = folder / "rows.json"
    path.write_text(json.dumps({"parameters": {"seed": 1}, "rows": [[1.0, 2.0], [3.0, 4.0]]}))
    return path


def _page(folder: Path) -> Path:
    from nwbcompare.report.page import Page, write_page
    from nwbcompare.report.page_section import PageSection

    section = PageSection(
        name="tv", heading="TV", findings=["TV is 1."], rows=[{"unit": "a", "tv": 1.0}]
    )
    page = Page(title="A", lead="", sections=[section], caution="", methods=[], provenance={})
    (folder / "page").mkdir()
    write_page(folder / "page", page)
    return folder / "page" / "report.json"


def _metadata_yaml(folder: Path) -> Path:
    path = folder / "metadata.yaml"
    path.write_text(
        "NWBFile:\n  keywords: [decision, go]\n  lab: ours\n"
        "  session_start_time: 2009-03-13T10:00:00+00:00\n"
        "Subject:\n  species: Macaca mulatta\n  age: P6Y\n  sex: F\n"
    )
    return path


def _metadata_toml(folder: Path) -> Path:
    path = folder / "metadata.toml"
    path.write_text(
        '[NWBFile]\nkeywords = ["decision", "go"]\nlab = "ours"\n'
        "session_start_time = 2009-03-13T10:00:00Z\n"
        '[Subject]\nspecies = "Macaca mulatta"\nage = "P6Y"\nweight = 7.5\n'
    )
    return path


def _mapping(folder: Path) -> Path:
    from nwbcompare.comparison.protocol_mapping import FOLDER

    shutil.copy(FOLDER / "mante2013.yaml", folder / "mapping.yaml")
    return folder / "mapping.yaml"


def _npz(folder: Path) -> Path:
    np.savez_compressed(
        folder / "arrays.npz", rate=np.ones((3, 4, 2)), task=np.array(["go", "stop", "go"])
    )
    return folder / "arrays.npz"


def _kept(folder: Path) -> Path:
    from nwbcompare.workflows.results_folder import keep_results
    from nwbcompare.workflows.section import Results

    tables = {"tv": nc.task_variance(example_block()), "a / b": example_block()}
    keep_results(folder / "tv.nc", Results(tables), {"seed": 1})
    return folder / "tv.nc"


def change_safetensors(path: Path, rng: Generator, private: Path) -> None:
    """Change bytes, or the header, which is JSON after its length."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.4:
        path.write_bytes(change_bytes(data, rng))
        return
    text = json.dumps(change_json(json.loads(data[8 : 8 + length]), rng)).encode()
    if rng.random() < 0.3:
        text = change_bytes(data[8 : 8 + length], rng)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


# ---- readers


def _load(path: Path) -> Any:
    return [
        leaf.to_dataset().load()
        for leaf in nc.open(path).leaves
    ]  # fmt: skip


DEEPEST = 5
"""Structs within each other that are read; the sound files have two."""


def _read_mat(path: Path) -> Any:
    from nwbcompare.io.matlab.structs import opened_mat

    with opened_mat(path) as variables:
        return {name: _whole(variables[name]) for name in variables}


def _whole(value: Any, depth: int = 0) -> Any:
    # a struct may hold itself, and is read anew at each access
    if hasattr(value, "keys") and depth < DEEPEST:
        return {name: _whole(value[name], depth + 1) for name in value}
    return value


def _read_in_run(path: Path) -> Any:
    from nwbcompare.model import load
    from nwbcompare.model.checkpoint import read_evaluation, read_log

    run = path.parent
    match path.name:
        case "log.csv":
            return read_log(run)
        case "evaluation.json":
            return read_evaluation(run)
        case "rows.json":
            from nwbcompare.core.partial_results import resumed_rows

            return resumed_rows(
                path, {"seed": 1}, 2, lambda rows: [[0, 0] for _ in rows], at_once=2, description=""
            )
        case "report.json":
            from nwbcompare.report.page import read_sections

            return read_sections(run)
    return list(load(run).state_dict())


def _read_kept(path: Path) -> Any:
    from nwbcompare.workflows.results_folder import read_results

    results = read_results(path, {"seed": 1})
    return [] if results is None else list(results.values())


def _read_text(path: Path) -> Any:
    from nwbcompare.comparison.protocol_mapping import read_mapping
    from nwbcompare.io.nwb.metadata import read_metadata

    return read_mapping(path) if path.stem == "mapping" else read_metadata(path)


KINDS: dict[str, Kind] = {
    "NWB": Kind((_nwb, _nwb_spikes), change_hdf5, _load),
    "netCDF": Kind((_netcdf, _netcdf_packed), change_hdf5, _load),
    "MATLAB 5": Kind((_mat5, _mat5_packed, _mat4), change_mat5, _read_mat),
    "MATLAB 7.3": Kind((_mat73,), change_hdf5, _read_mat),
    "YAML": Kind((_metadata_yaml, _mapping), change_text, _read_text),
    "TOML": Kind((_metadata_toml,), change_text, _read_text),
    "JSON": Kind(
        (_in_run("config.json"), _in_run("evaluation.json"), _rows, _page),
        change_json_file,
        _read_in_run,
    ),
    "safetensors": Kind((_in_run("weights.safetensors"),), change_safetensors, _read_in_run),
    "CSV": Kind((_in_run("log.csv"),), change_text, _read_in_run),
    "npz": Kind((_npz,), change_file, _load),
    "kept results": Kind((_kept,), change_hdf5, _read_kept),
}


def make_bases(kind: str, folder: Path) -> list[Path]:
    """Write the sound files of a kind; each in a folder of its own."""
    made = []
    for place, base in enumerate(KINDS[kind].bases):
        inside = folder / str(place)
        inside.mkdir(parents=True)
        made.append(base(inside))
    return made


def make_private(folder: Path) -> Path:
    """Write the file that no case may read."""
    with h5py.File(folder / PRIVATE, "w") as file:
        file["values"] = np.full(12, SECRET)
    (folder / PRIVATE).with_suffix(".bin").write_bytes(np.full(4096, SECRET).tobytes())
    return folder / PRIVATE


def make_case(
    kind: str, number: int, seed: int, bases: list[Path], folder: Path, private: Path
) -> Path:
    """Write a case, beside all that lies beside its sound file; return its path."""
    names = list(KINDS)
    rng = np.random.default_rng([seed, names.index(kind), number])
    base = bases[number % len(bases)]
    shutil.copytree(base.parent, folder)
    path = folder / base.name
    KINDS[kind].changed(path, rng, private)
    return path


def has_secret(values: Any) -> bool:
    """Return whether values have the private one anywhere."""
    return any(
        array.dtype.kind in "fc" and bool((array == SECRET).any()) for array in _arrays(values)
    )


def _arrays(values: Any) -> Iterator[np.ndarray[Any, Any]]:
    if hasattr(values, "variables"):
        for variable in values.variables.values():
            yield np.asarray(variable.values)
    elif isinstance(values, dict):
        for value in values.values():
            yield from _arrays(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _arrays(value)
    elif isinstance(values, np.ndarray):
        yield values
