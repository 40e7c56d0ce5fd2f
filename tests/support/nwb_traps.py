"""NWB files made to do harm, each with what is to become of it."""

from __future__ import annotations

import json
import os
import pickle
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from nwb_damage import (
    Change,
    broken_copy,
    described_as,
    linked,
    packed_with,
    replaced_by,
    schema_of,
    schema_with,
)

from nwbcompare.io.nwb.format_names import SCHEMA

TRIALS = "intervals/trials"
START = f"{TRIALS}/start_time"
SERIES = "acquisition/dff/data"
SECRET = 4321.5
"""The only value in files outside the folder."""
CANARY = "canary"
DEFLATE = (h5py.h5z.FILTER_DEFLATE, (9,))
N_ROWS = 20_000
LONG = 1_000_000


@dataclass(frozen=True)
class Trap:
    """A file, and what its opening is to end in: "read", or an error that says this."""

    path: Path
    end: str


class Bench:
    """Makes traps of whole files."""

    def __init__(self, bases: dict[str, Path], folder: Path) -> None:
        self.bases, self.inside, self.outside = bases, folder / "inside", folder / "outside"
        self.inside.mkdir()
        self.outside.mkdir()
        for place in (self.outside / "secret.h5", self.outside / "secret.bin"):
            _write_secret(place)
        os.mkfifo(self.inside / "fifo.h5")
        os.mkfifo(self.outside / "fifo.h5")
        (self.inside / "way_out.h5").symlink_to(self.outside / "secret.h5")

    def trap(self, name: str, end: str, base: str, *changes: Change) -> Trap:
        """Change a copy of a whole file."""

        def change(file: h5py.File) -> None:
            for one in changes:
                one(file)

        path = self.inside / f"{name.replace(' ', '_').replace('/', '-')}.nwb"
        return Trap(broken_copy(self.bases[base], path, change), end)

    def other(self, name: str, fill: Change) -> None:
        """Write another file of the folder."""
        with h5py.File(self.inside / name, "w") as file:
            fill(file)


def _write_secret(path: Path) -> None:
    if path.suffix == ".bin":
        np.full(3, SECRET).tofile(path)
        return
    with h5py.File(path, "w") as file:
        file["x"] = np.full(3, SECRET)


def make_traps(bases: dict[str, Path], folder: Path) -> list[Trap]:
    """Write every trap."""
    bench = Bench(bases, folder)
    makers = (_links, _links_outside, _data_outside, _references, _sizes, _texts, _types, _schemas)
    return [trap for maker in makers for trap in maker(bench)]


def _links(bench: Bench) -> Iterator[Trap]:
    circle = "links in a circle"
    soft = h5py.SoftLink
    yield bench.trap("itself", circle, "foreign_units", linked(START, soft(f"/{START}")))
    yield bench.trap(
        "each other",
        circle,
        "foreign_units",
        linked(START, soft("stop_time")),
        linked(f"{TRIALS}/stop_time", soft("start_time")),
    )
    yield bench.trap("nowhere", "nothing at /gone/x", "counts", linked(START, soft("/gone/x")))
    yield bench.trap(
        "dots", "nothing at", "counts", linked(START, soft(f"../trials/../../{START}"))
    )

    def doubling(file: h5py.File) -> None:
        file["g"] = file["general"]
        file["general/g"] = file["general"]
        path = "/g/" + "g/" * 100
        for level in range(6):
            file[f"general/s{level}"] = soft(path)
            path = f"/g/s{level}/" * 1 + f"s{level}/" * 100
        del file[START]
        file[START] = soft("/general/s5/x")

    yield bench.trap("doubling", circle, "foreign_units", doubling)

    def in_itself(file: h5py.File) -> None:
        for top in ("acquisition", "processing"):
            for place in range(300):
                file[f"{top}/again{place}"] = file[top]

    yield bench.trap("in itself", "read", "foreign_series", in_itself)
    yield bench.trap("in itself too", "read", "foreign_units", in_itself)
    yield bench.trap("renamed", "read", "counts", _moved(START, soft))


def _moved(name: str, link: Callable[[str], Any]) -> Change:
    def change(file: h5py.File) -> None:
        file.move(name, "moved")
        file[name] = link("/moved")

    return change


def _links_outside(bench: Bench) -> Iterator[Trap]:
    refused = "links to files in the same folder"
    for how, target in {
        "absolute": str(bench.outside / "secret.h5"),
        "upwards": "../outside/secret.h5",
        "by a symlink": "way_out.h5",
        "missing": "gone.h5",
        "a pipe": "fifo.h5",
        "a pipe outside": str(bench.outside / "fifo.h5"),
        "a device": "/dev/zero",
    }.items():
        link = h5py.ExternalLink(target, "/x")
        for base, name in (
            ("foreign_units", START),
            ("foreign_series", SERIES),
            ("network", START),
        ):
            yield bench.trap(f"{how} {base}", refused, base, linked(name, link))
        yield bench.trap(f"{how} aside", refused, "foreign_units", _added(f"{TRIALS}/more", link))
        yield bench.trap(
            f"{how} times", refused, "foreign_units", _added("units/spike_times", link)
        )

    bench.other("chain.h5", _added("x", h5py.ExternalLink("../outside/secret.h5", "x")))
    to_chain = h5py.ExternalLink("chain.h5", "/x")
    yield bench.trap("chain", refused, "foreign_units", linked(START, to_chain))
    bench.other("turn.h5", _added("x", h5py.ExternalLink("back.h5", "x")))
    bench.other("back.h5", _added("x", h5py.ExternalLink("turn.h5", "x")))
    to_turn = h5py.ExternalLink("turn.h5", "/x")
    yield bench.trap("turning", "links in a circle", "foreign_units", linked(START, to_turn))
    bench.other("times.h5", _added("x", np.arange(3.0)))
    to_times = h5py.ExternalLink("times.h5", "/x")
    yield bench.trap("beside", "read", "foreign_units", linked(START, to_times))


def _added(name: str, what: Any) -> Change:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = what

    return change


def _data_outside(bench: Bench) -> Iterator[Trap]:
    refused = "files in the same folder"

    def raw(target: str) -> Change:
        def change(file: h5py.File) -> None:
            del file[START]
            file.create_dataset(START, (3,), "f8", external=[(target, 0, h5py.h5f.UNLIMITED)])

        return change

    for target in (str(bench.outside / "secret.bin"), "secret.bin"):
        yield bench.trap(f"raw {len(target)}", "data in this file", "foreign_units", raw(target))

    def virtual(target: str, name: str = "x") -> Change:
        def change(file: h5py.File) -> None:
            del file[START]
            layout = h5py.VirtualLayout((3,), "f8")
            layout[:] = h5py.VirtualSource(target, name, (3,))
            file.create_virtual_dataset(START, layout)

        return change

    for target in (
        str(bench.outside / "secret.h5"),
        "../outside/secret.h5",
        "way_out.h5",
        "gone.h5",
        "fifo.h5",
    ):
        name = f"virtual {target.replace('/', '-')[-12:]} {len(target)}"
        yield bench.trap(name, refused, "foreign_units", virtual(target))
    yield bench.trap("virtual chain", refused, "foreign_units", virtual("chain.h5"))
    bench.other(
        "virtual.h5",
        lambda file: (
            file.create_group(TRIALS),
            file.__setitem__(START, 0),
            virtual("../outside/secret.h5")(file),
        ),
    )
    yield bench.trap("virtual twice", refused, "foreign_units", virtual("virtual.h5", START))
    yield bench.trap("virtual itself", "links in a circle", "foreign_units", virtual(".", START))
    yield bench.trap("virtual nothing", "nothing at y", "foreign_units", virtual("times.h5", "y"))
    yield bench.trap("virtual beside", "read", "foreign_units", virtual("times.h5"))


def _references(bench: Bench) -> Iterator[Trap]:
    def elements(to: str | None) -> Change:
        def change(file: h5py.File) -> None:
            reference = file[to].ref if to else h5py.Reference()
            file[f"{TRIALS}/colour"].attrs["elements"] = reference

        return change

    yield bench.trap("null", "a null reference", "foreign_units", elements(None))
    yield bench.trap("to a group", "to_a_group.nwb", "foreign_units", elements("general"))
    yield bench.trap("to a number", "a text in each row", "foreign_units", elements("identifier"))

    groups = replaced_by("units/electrode_group", "references to a group")
    trap = bench.trap("dangling", "points nowhere", "foreign_units", groups)
    _patch(trap.path, "units/electrode_group", lambda raw: b"\x39" * len(raw))
    yield trap

    def to_secret(file: h5py.File) -> None:
        made = file.create_dataset("raw", (2,), "f8", external=[("/etc/passwd", 0, 16)])
        file[f"{TRIALS}/colour"].attrs["elements"] = made.ref

    yield bench.trap("to data outside", "data in this file", "foreign_units", to_secret)


def _sizes(bench: Bench) -> Iterator[Trap]:
    refused = "no more data than the file can hold"

    def without_space(file: h5py.File) -> None:
        for name in (START, f"{TRIALS}/stop_time", f"{TRIALS}/id"):
            del file[name]
            file.create_dataset(name, (2**40,), "f8")

    yield bench.trap("contiguous", refused, "foreign_series", without_space)

    def one_chunk(file: h5py.File) -> None:
        del file[START]
        file.create_dataset(START, (3,), "f8", chunks=(2**28,), maxshape=(None,))

    yield bench.trap("one chunk", refused, "foreign_series", one_chunk)
    for name, end, filters, inflated in (
        ("packed once", "read", [DEFLATE], 24),
        ("unknown filter", "cannot be read", [(32123, (1,))], 24),
        ("packed twice", "packed several times", [DEFLATE, DEFLATE], 10**9),
        # what is beyond the chunk is thrown away
        ("inflating", "read", [DEFLATE], 10**8),
    ):
        yield bench.trap(name, end, "foreign_series", _packed(filters, inflated))
    stop = f"{TRIALS}/stop_time"
    yield bench.trap("never", "between one bin and", "foreign_units", _cell(stop, 2.0**60))
    yield bench.trap(
        "long ago", "window: expected trials that stop", "foreign_units", _cell(stop, -(2.0**60))
    )
    yield bench.trap("late", "fit in memory", "foreign_units", _cell(stop, 2e5), _many_trials)


def _packed(filters: list[tuple[int, tuple[int, ...]]], inflated: int) -> Change:
    """Store a chunk of so many zeros, packed as often as there are filters."""
    content = bytes(inflated)
    for _ in filters:
        content = zlib.compress(content, 9)

    def change(file: h5py.File) -> None:
        packed_with(START, filters)(file)
        file[START].id.write_direct_chunk((0,), content)

    return change


def _cell(name: str, value: float) -> Change:
    def change(file: h5py.File) -> None:
        file[name][0] = value

    return change


def _many_trials(file: h5py.File) -> None:
    """Add so many trials to a file that rates as long as the longest fit no memory."""
    for name, data in list(file[TRIALS].items()):
        if data.shape == (3,) and name != "colour":
            values = np.resize(data[()], N_ROWS)
            attrs = dict(data.attrs)
            del file[f"{TRIALS}/{name}"]
            file[f"{TRIALS}/{name}"] = values
            file[f"{TRIALS}/{name}"].attrs.update(attrs)
    for name in ("colour", "colour_elements"):
        del file[f"{TRIALS}/{name}"]


def _texts(bench: Bench) -> Iterator[Trap]:
    refused = "no more data than the file can hold"

    def unlike(file: h5py.File) -> None:
        _many_trials(file)
        file[f"{TRIALS}/side"][0] = "x" * LONG

    yield bench.trap("one long text", refused, "foreign_units", unlike)
    trap = bench.trap("one text in all rows", refused, "foreign_units", unlike)
    _patch(trap.path, f"{TRIALS}/side", lambda raw: raw[:16] * N_ROWS)
    yield trap
    trap = bench.trap("declared long", "declared_long.nwb", "foreign_units")
    _patch(trap.path, "identifier", lambda raw: (2**28).to_bytes(4, "little") + raw[4:])
    yield trap


def _patch(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change what a file stores of a dataset, behind the back of libhdf5."""
    with h5py.File(path) as file:
        start, size = file[name].id.get_offset(), file[name].id.get_storage_size()
    with path.open("r+b") as raw:
        raw.seek(start)
        content = change(raw.read(size))
        raw.seek(start)
        raw.write(content)


@dataclass(frozen=True)
class Payload:
    """What writes a file when it is unpickled."""

    canary: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def payload(folder: Path) -> bytes:
    """Return an object that would write a file beside the traps when unpickled."""
    return pickle.dumps(Payload(folder / CANARY), protocol=0)


def _types(bench: Bench) -> Iterator[Trap]:
    content = payload(bench.inside)

    def pickled(name: str) -> Change:
        tagged = h5py.h5t.create(h5py.h5t.OPAQUE, len(content))
        tagged.set_tag(b"NUMPY:|O")

        def change(file: h5py.File) -> None:
            del file[name]
            made = h5py.h5d.create(file.id, name.encode(), tagged, h5py.h5s.create_simple((3,)))
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([content] * 3), tagged)

        return change

    def pickled_schema(file: h5py.File) -> None:
        described_as("x")(file)
        file[f"scratch/{SCHEMA}"][()] = content

    refused = "numbers, texts or references"
    yield bench.trap("pickled ids", refused, "foreign_units", pickled("units/id"))
    yield bench.trap("pickled times", "pickled_times.nwb", "foreign_units", pickled(START))
    yield bench.trap("pickled column", "read", "foreign_units", pickled(f"{TRIALS}/side"))
    yield bench.trap("pickled schema", "cannot be read", "network", pickled_schema)

    def nested(file: h5py.File) -> None:
        kind = h5py.h5t.NATIVE_INT8
        for _ in range(1500):
            kind = h5py.h5t.vlen_create(kind)
        space = h5py.h5s.create_simple((3,))
        h5py.h5d.create(file.id, f"{TRIALS}/nested".encode(), kind, space)

    yield bench.trap("nested", "read", "foreign_units", nested)
    yield bench.trap("sequence", "another type", "counts", _attribute_of_sequences)


def _attribute_of_sequences(file: h5py.File) -> None:
    del file[START].attrs["neurodata_type"]
    value = np.empty((), dtype=h5py.vlen_dtype("u1"))
    value[()] = np.arange(3, dtype="u1")
    file[START].attrs["neurodata_type"] = value


def _schemas(bench: Bench) -> Iterator[Trap]:
    depth = 100_000
    texts = {
        "brackets": "[" * depth,
        "objects": '{"a":' * depth,
        "closed brackets": "[" * depth + "]" * depth,
        "digits": '{"format_version": ' + "1" * depth + "}",
        "nothing": "",
        "no object": "[]",
        "unclosed": '{"format_version": 2',
        "zero": '{"format_version": 0, "leaves": []}',
        "no leaves": '{"format_version": 2, "leaves": []}',
        "bytes": "\x01\x02",
    }
    for name, text in texts.items():
        end = f"schema_{name.replace(' ', '_')}.nwb"
        yield bench.trap(f"schema {name}", end, "network", described_as(text))
    newer = json.dumps(schema_of(bench.bases["network"]) | {"format_version": 99})
    yield bench.trap("schema newer", "Upgrade nwbcompare", "network", described_as(newer))

    def never_written(file: h5py.File) -> None:
        schema = schema_of(bench.bases["network"])
        n_rows = 8_000_000
        place = ("leaves", 0)
        schema = json.loads(schema_with(schema, (*place, "n_rows"), n_rows))
        schema = json.loads(schema_with(schema, (*place, "epochs"), [str(i) for i in range(900)]))
        described_as(json.dumps(schema))(file)
        del file[START]
        file.create_dataset(START, (n_rows,), "f8", chunks=(1024,))

    yield bench.trap("rows never written", "rows_never_written.nwb", "network", never_written)
