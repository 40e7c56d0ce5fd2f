"""NWB files to break, and ways to break them."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.file import Subject

import nwbcompare as nc
from nwbcompare.io.nwb.format_names import SCHEMA
from nwbcompare.testing import example_block

FORMAT_1 = Path(__file__).parent.parent / "data" / "format_1.nwb"
SIGNATURES = (b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"\x89HDF")
MONKEY = {
    "Subject": {"species": "Macaca mulatta", "age": "P6Y"},
    "NWBFile": {"session_start_time": "2009-03-13T00:00:00+00:00"},
}

Change = Callable[[h5py.File], None]


# --- whole files -----------------------------------------------------------------------------


def make_bases(folder: Path) -> dict[str, Path]:
    """Write a file of each kind that is read."""
    bases = {kind: folder / f"{kind}.nwb" for kind in WRITERS}
    for kind, path in bases.items():
        WRITERS[kind](path)
    bases["format_1"] = folder / "format_1.nwb"
    shutil.copyfile(FORMAT_1, bases["format_1"])
    return bases


def _network(path: Path) -> None:
    from nwbcompare.model import Network, NetworkConfig, record
    from nwbcompare.tasks import make_trials

    network = Network(NetworkConfig(n_units=5), name="net")
    trials = make_trials("contextdm1").isel(trial=slice(6))
    nc.write_nwb(record(network, trials, inputs_and_outputs=True), path)


def ragged_block() -> Any:
    """Make a block whose units have trials of their own."""
    return nc.make_block(
        np.random.default_rng(0).integers(0, 3, (7, 4)) * 10.0,
        time_s=np.arange(4) * 0.1 + 0.05,
        bin_width_s=0.1,
        aligned_to="dots onset",
        trials={"task": ["go"] * 4 + ["stop"] * 3, "side": ["left", "right"] * 3 + ["left"]},
        units={"unit": ["a", "b"], "area": ["PFC", "FEF"]},
        epochs={"stim1": (0.0, 0.4)},
        condition_variables={"go": ["side"], "stop": ["side"]},
        observation_unit=[0, 0, 0, 0, 1, 1, 1],
        source="recording",
        name="monkey",
    )


def _ragged(path: Path) -> None:
    nc.write_nwb(ragged_block(), path, metadata=MONKEY)


def _poisson(path: Path) -> None:
    nc.write_nwb(example_block(), path, spikes=nc.io.PoissonSpikes(gain=20, seed=0))


def _counts(path: Path) -> None:
    nc.write_nwb(ragged_block(), path, spikes="counts", metadata=MONKEY)


def _session() -> NWBFile:
    nwb = NWBFile(
        session_description="x",
        identifier="x",
        session_start_time=datetime(2020, 1, 1, tzinfo=UTC),
        subject=Subject(subject_id="m", species="Macaca mulatta", sex="M", age="P6Y"),
    )
    nwb.add_trial_column(name="side", description="where", data=[])
    for trial, side in enumerate(["left", "right", "left"]):
        nwb.add_trial(start_time=trial * 1.0, stop_time=trial + 0.8, side=side)
    return nwb


def _foreign_units(path: Path) -> None:
    nwb = _session()
    device = nwb.create_device(name="array")
    group = nwb.create_electrode_group("g", description="x", location="PFC", device=device)
    for _ in range(2):
        nwb.add_electrode(group=group, location="PFC")
    rng = np.random.default_rng(0)
    nwb.add_unit_column(name="electrodes", description="x", index=True, table=nwb.electrodes)
    for unit in range(3):
        nwb.add_unit(
            spike_times=np.sort(rng.uniform(0, 3, 20)),
            obs_intervals=[[0.0, 3.0]],
            electrode_group=group,
            electrodes=[unit % 2],
        )
    nwb.trials.add_column(name="colour", description="shown", enum=["red", "green"], data=[0, 1, 0])
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)


def _foreign_series(path: Path) -> None:
    nwb = _session()
    rng = np.random.default_rng(0)
    nwb.add_acquisition(
        TimeSeries(name="dff", data=rng.random((100, 4)), unit="n.a.", rate=30.0, starting_time=0.0)
    )
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)


def _foreign_stamps(path: Path) -> None:
    nwb = _session()
    rng = np.random.default_rng(0)
    nwb.add_acquisition(
        TimeSeries(
            name="dff", data=rng.random((100, 4)), unit="n.a.", timestamps=np.arange(100) / 30
        )
    )
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)


WRITERS: dict[str, Callable[[Path], None]] = {
    "network": _network,
    "ragged": _ragged,
    "poisson": _poisson,
    "counts": _counts,
    "foreign_units": _foreign_units,
    "foreign_series": _foreign_series,
    "foreign_stamps": _foreign_stamps,
}


# --- broken bytes ----------------------------------------------------------------------------


def metadata_places(path: Path) -> list[int]:
    """Return the places of signatures and object headers, by which libhdf5 finds everything."""
    content = path.read_bytes()
    places = []
    for signature in SIGNATURES:
        start = content.find(signature)
        while start >= 0:
            places.append(start)
            start = content.find(signature, start + 1)
    with h5py.File(path) as file:
        file.visititems(lambda _, item: places.append(h5py.h5o.get_info(item.id).addr))
    return sorted(set(places))


def damage_bytes(content: bytes, places: list[int], rng: np.random.Generator) -> tuple[str, bytes]:
    """Break bytes in one of several ways; give the way's name and the content."""
    kind = BYTE_KINDS[rng.integers(len(BYTE_KINDS))]
    broken = bytearray(content)
    if kind == "truncated":
        return kind, content[: rng.integers(len(content))]
    if kind in {"one bit", "eight bits", "many bits"}:
        for _ in range({"one bit": 1, "eight bits": 8, "many bits": 200}[kind]):
            broken[rng.integers(len(broken))] ^= 1 << rng.integers(8)
        return kind, bytes(broken)
    place = int(places[rng.integers(len(places))])
    reach = int(rng.choice([16, 64, 300]))
    at = min(place + int(rng.integers(reach)), len(broken) - 17)
    if kind == "metadata bit":
        broken[at] ^= 1 << rng.integers(8)
    elif kind == "metadata bits":
        for _ in range(6):
            broken[min(place + int(rng.integers(reach)), len(broken) - 1)] ^= 1 << rng.integers(8)
    elif kind == "metadata byte":
        broken[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
    elif kind == "metadata word":
        at -= (at - place) % 8
        words = [0, 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1, len(content), place]
        broken[at : at + 8] = words[rng.integers(len(words))].to_bytes(8, "little")
    else:
        other = int(places[rng.integers(len(places))])
        at -= (at - place) % 8
        broken[at : at + 8] = other.to_bytes(8, "little")
    return kind, bytes(broken)


BYTE_KINDS = (
    "truncated",
    "one bit",
    "eight bits",
    "many bits",
    "metadata bit",
    "metadata bits",
    "metadata byte",
    "metadata word",
    "address",
)


# --- broken contents --------------------------------------------------------------------------


def datasets_of(path: Path) -> list[str]:
    """Return the paths of a file's datasets."""
    with h5py.File(path) as file:
        found: list[str] = []
        file.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
        )
    return found


def all_of(path: Path) -> list[str]:
    """Return the paths of a file's groups and datasets."""
    with h5py.File(path) as file:
        found: list[str] = []
        file.visit(found.append)
    return found


def attributes_of(path: Path) -> list[tuple[str, str]]:
    """Return a file's attributes, each with the path of its object."""
    with h5py.File(path) as file:
        found = [("/", key) for key in file.attrs]
        file.visititems(lambda name, item: found.extend((name, key) for key in item.attrs))
    return found


def _sequences(n: int) -> np.ndarray[Any, Any]:
    values = np.empty(n, dtype=h5py.vlen_dtype("f8"))
    for place in range(n):
        values[place] = np.ones(place % 3)
    return values


def wrong_values(n: int) -> dict[str, Any]:
    """Return values that have no place where ``n`` other ones are expected."""
    return {
        "text": np.array(["x"] * n, dtype=h5py.string_dtype()),
        "bytes that are no text": np.array([b"\xff\xfe"] * n, dtype="S2"),
        "text alone": "x",
        "number alone": 1.5,
        "compound": np.zeros(n, dtype=[("a", "f8"), ("b", "i4")]),
        "compound alone": np.zeros(1, dtype=[("a", "f8"), ("b", "i4")])[0],
        "arrays": np.zeros(n, dtype=[("a", "f8", (2, 2))]),
        "opaque": np.repeat(np.array([b"pickle"], dtype=np.void), n),
        "empty": h5py.Empty("f8"),
        "no rows": np.zeros(0),
        "one row more": np.zeros(n + 1),
        "two dimensions": np.zeros((n, 3)),
        "nine dimensions": np.zeros((n, *[1] * 8)),
        "complex": np.zeros(n, dtype=complex),
        "not numbers": np.full(n, np.nan),
        "infinite": np.full(n, np.inf),
        "huge": np.full(n, 1e300),
        "negative": np.full(n, -1),
        "largest": np.full(n, 2**64 - 1, dtype=np.uint64),
        "booleans": np.ones(n, dtype=bool),
        "enumeration": np.zeros(n, dtype=h5py.enum_dtype({"a": 0, "b": 1})),
        "descending": np.arange(n)[::-1],
        "past the end": np.arange(n) * 10**12,
        "null references": np.full(n, h5py.Reference(), dtype=h5py.ref_dtype),
        "sequences": _sequences(n),
    }


WRONG_KINDS = (*wrong_values(1), "references to a group")


def _wrong(file: h5py.File, kind: str, n: int) -> Any:
    if kind == "references to a group":
        return np.full(n, file["/general"].ref, dtype=h5py.ref_dtype)
    return wrong_values(n)[kind]


def _instead(name: str, make: Callable[[h5py.File, h5py.Dataset], None]) -> Change:
    """Put another dataset where one was, with its attributes."""

    def change(file: h5py.File) -> None:
        file.move(name, "old")
        old = file["old"]
        make(file, old)
        for key in old.attrs:
            value = old.attrs[key]
            file[name].attrs[key] = "" if isinstance(value, h5py.Empty) else value
        del file["old"]

    return change


def replaced_by(name: str, kind: str) -> Change:
    """Replace a dataset by one of a wrong kind."""

    def make(file: h5py.File, old: h5py.Dataset) -> None:
        file[name] = _wrong(file, kind, old.shape[0] if old.shape else 1)

    return _instead(name, make)


def declared_huge(name: str) -> Change:
    """Replace a dataset by one that declares more rows than any disk holds."""

    def make(file: h5py.File, old: h5py.Dataset) -> None:
        more = [max(1, n) for n in old.shape[1:]]
        file.create_dataset(name, (2**40, *more), dtype=old.dtype, chunks=(1024, *more))

    return _instead(name, make)


def packed_with(name: str, filters: Sequence[tuple[int, tuple[int, ...]]]) -> Change:
    """Replace a dataset by one packed with the given filters."""

    def make(file: h5py.File, old: h5py.Dataset) -> None:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(old.shape)
        for code, options in filters:
            properties.set_filter(code, h5py.h5z.FLAG_OPTIONAL, options)
        space = h5py.h5s.create_simple(old.shape)
        made = h5py.h5d.create(file.id, name.encode(), old.id.get_type(), space, properties)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, old[()])

    return _instead(name, make)


def deleted(name: str) -> Change:
    """Leave out a dataset or group."""
    return lambda file: file.__delitem__(name)


def linked(name: str, link: Any) -> Change:
    """Put a link, a number or, for None, an empty group where something else was."""

    def change(file: h5py.File) -> None:
        del file[name]
        if link is None:
            file.create_group(name)
        else:
            file[name] = link

    return change


def attribute_replaced_by(name: str, key: str, kind: str) -> Change:
    """Replace an attribute by one of a wrong kind."""

    def change(file: h5py.File) -> None:
        del file[name].attrs[key]
        if kind == "large":
            file[name].attrs[key] = "x" * 60_000
        elif kind != "deleted":
            file[name].attrs[key] = _wrong(file, kind, 2)

    return change


# --- our own description ----------------------------------------------------------------------

WRONG_ENTRIES: dict[str, Any] = {
    "null": None,
    "true": True,
    "negative": -1,
    "huge": 2**40,
    "beyond 64 bits": 2**70,
    "not a number": float("nan"),
    "infinite": float("inf"),
    "a fraction": 0.5,
    "text": "x",
    "objects": "O",
    "wide text": "U9999999999",
    "structure": "f8,i4",
    "path upwards": "../../general",
    "path": "/etc/passwd",
    "list": [],
    "list of lists": [[[]]],
    "object": {},
}


def schema_of(path: Path) -> Any:
    """Return the description in a file of this package."""
    with h5py.File(path) as file:
        return json.loads(file[f"scratch/{SCHEMA}"].asstr()[()])


def entries_of(schema: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the place of each entry; of lists the first only."""
    yield above
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield from entries_of(value, (*above, key))
    elif isinstance(schema, list) and schema:
        yield from entries_of(schema[0], (*above, 0))


def schema_with(schema: Any, place: tuple[Any, ...], value: Any, *, delete: bool = False) -> str:
    """Return the text of a description with one entry replaced or left out."""
    if not place:
        return json.dumps(value)
    changed = copy.deepcopy(schema)
    holder = changed
    for step in place[:-1]:
        holder = holder[step]
    if delete:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return json.dumps(changed)


def described_as(text: str) -> Change:
    """Replace the description by a text."""

    def change(file: h5py.File) -> None:
        del file[f"scratch/{SCHEMA}"]
        file[f"scratch/{SCHEMA}"] = text

    return change


def structural_damage(path: Path) -> Iterator[tuple[str, Change]]:
    """Yield every structural damage of a file by its name."""
    for name in datasets_of(path):
        for kind in WRONG_KINDS:
            yield f"{name}: {kind}", replaced_by(name, kind)
        yield f"{name}: declared huge", declared_huge(name)
    for name in all_of(path):
        yield f"{name}: deleted", deleted(name)
        yield f"{name}: a group", linked(name, None)
        yield f"{name}: a number", linked(name, 1.0)
    for name, key in attributes_of(path):
        for kind in (*WRONG_KINDS, "deleted", "large"):
            yield f"{name}@{key}: {kind}", attribute_replaced_by(name, key, kind)
    with h5py.File(path) as file:
        ours = f"scratch/{SCHEMA}" in file
    if ours:
        schema = schema_of(path)
        for place in entries_of(schema):
            yield f"{place}: left out", described_as(schema_with(schema, place, None, delete=True))
            for kind, value in WRONG_ENTRIES.items():
                yield f"{place}: {kind}", described_as(schema_with(schema, place, value))


def broken_copy(base: Path, target: Path, change: Change) -> Path:
    """Copy a file and change the copy."""
    shutil.copyfile(base, target)
    with h5py.File(target, "r+") as file:
        change(file)
    return target


# --- samples ----------------------------------------------------------------------------------


def in_bytes(bases: dict[str, Path], folder: Path, n: int, seed: int) -> dict[str, Path]:
    """Write files with broken bytes; give them by what was done."""
    folder.mkdir()
    contents = {kind: path.read_bytes() for kind, path in bases.items()}
    places = {kind: metadata_places(path) for kind, path in bases.items()}
    made = {}
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        kind = list(bases)[number % len(bases)]
        how, content = damage_bytes(contents[kind], places[kind], rng)
        path = folder / f"{kind}_{number}.nwb"
        path.write_bytes(content)
        made[f"{kind} {number}: {how}"] = path
    return made


def in_contents(bases: dict[str, Path], folder: Path, n: int, seed: int) -> dict[str, Path]:
    """Write files with wrong contents; give them by what was done."""
    folder.mkdir()
    every = [
        (kind, how, change)
        for kind, path in bases.items()
        for how, change in structural_damage(path)
    ]
    chosen = np.random.default_rng(seed).permutation(len(every))[:n]
    made = {}
    for number in chosen:
        kind, how, change = every[number]
        path = broken_copy(bases[kind], folder / f"{kind}_{number}.nwb", change)
        made[f"{kind}: {how}"] = path
    return made
