"""Comparison of the results of every command before and after a change of the code.

Run, where the recordings of Mante et al. (2013) are available::

    git worktree add ../before COMMIT
    PYTHONPATH=../before python benchmarks/goldens.py make goldens-before
    python benchmarks/goldens.py make goldens-after
    python benchmarks/goldens.py compare goldens-before goldens-after

``make`` runs every command of the command line with few trials, steps and permutations, on monkey A
and on shipped and newly trained networks. ``compare`` compares the numbers in both folders,
whatever their names: those in JSON, CSV and printed text, and the bits of every numeric array in
netCDF, NWB and weight files. Times are ignored. The exit status is 1 if anything differs.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import load_file

MONKEY = "'mante2013?animal=ar'"
TWO = "pretrained:ctxdm-0", "pretrained:ctxdm-1"
FAST = "pretrained:all20-fast-0", "pretrained:all20-fast-1"
COMMANDS = {
    "datasets": "datasets list --json",
    "tv": f"tv {MONKEY} --json --out tv.nc",
    "ftv": f"ftv {MONKEY} --json --out ftv.nc",
    "ftv-histogram": f"ftv {TWO[0]}",
    "record-matched": f"record {TWO[0]} --protocol matched --out matched.nc",
    "record-test": f"record {TWO[0]} --out test.nwb",
    "export": f"export {TWO[1]} --spikes --task-variance --out export.nwb",
    "ftv-of-file": "ftv test.nwb --json",
    "convert": "convert mante2013 --session ar090313_1 --out converted",
    "tv-of-converted": "tv converted --json",
    "train": "train --tasks dm1,fdgo --units 32 --max-steps 40 --out trained",
    "train-stages": "train --stages 'fdgo;dm1,dm2' --consolidation synaptic_intelligence "
    "--steps-per-task 20 --units 32 --out stages",
    "power": "power --sd 0.33 --against 0.5 --units 50,100 --trials 20 --simulations 40 --json "
    f"--like {MONKEY}",
    "compose": f"compose {FAST[0]} --task delayanti --batches 2 --json "
    "'fdanti + delaygo - fdgo' delayanti",
    "rule-learning": "rule-learning --networks 1 --units 32 --pretraining-steps 20 "
    "--learning-steps 20 --evaluation-trials 32 --out rules",
    "analyze": f"analyze {FAST[0]} {FAST[1]} --surrogates 9 --rotations 20 --permutations 99 "
    "--trials 64 --out analysis",
    "analyze-recording": f"analyze {MONKEY} --surrogates 9 --out analysis-recording",
    "report": f"report --model two={TWO[0]} --model two={TWO[1]} --model fast={FAST[0]} "
    f"--model fast={FAST[1]} --recording {MONKEY} --permutations 50 --bootstraps 50 --draws 2 "
    "--analysis analysis --out report",
    "continual": "continual --networks 2 --units 48 --steps-per-task 25 --warm-up 10 "
    f"--bootstraps 50 --draws 1 --recording {MONKEY} --out continual",
}
"""Commands, by the name of the file for their printed output."""
COMPARED = {".csv", ".json", ".nc", ".nwb", ".out", ".safetensors"}
"""Files that are compared; figures and pages contain the numbers of other files."""
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])")
TIMED = re.compile(r"second|time|duration|rss|memory|version|python|date|created|modified")


def make(folder: Path) -> None:
    """Run every command in a new folder, and save its printed output."""
    folder.mkdir(parents=True)
    environment = os.environ | {"NWBCOMPARE_DATA": str(_data())}
    for name, command in COMMANDS.items():
        program = [sys.executable, "-c", "from nwbcompare.cli.main import main; main()"]
        done = subprocess.run(
            [*program, *shlex.split(command)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        (folder / f"{name}.out").write_text(done.stdout, encoding="utf-8")
        print(f"{name}: exit status {done.returncode}", flush=True)
        if done.returncode:
            print(done.stderr)


def _data() -> Path:
    return Path(os.environ.get("NWBCOMPARE_DATA", Path("..") / "shared" / "data")).resolve()


def compare(before: Path, after: Path) -> bool:
    """Print the differences, and return whether there are none."""
    old, new = _files(before), _files(after)
    renamed = _renamed(old, new)
    missing = [name for name in old if name not in new and name not in renamed]
    added = [name for name in new if name not in old and name not in renamed.values()]
    differs = 0
    for name, path in old.items():
        if name not in new:
            continue
        earlier, later = numbers(path), numbers(new[name])
        if earlier != later:
            differs += 1
            n_differing = sum((earlier - later).values())
            print(f"{name}: {n_differing} of {sum(earlier.values())} numbers differ")
            print(
                f"  only before {list(earlier - later)[:6]}, only after {list(later - earlier)[:6]}"
            )
    for name, new_name in renamed.items():
        print(f"{name} is renamed to {new_name}")
    print(f"{len(old)} files: {differs} differ; only before {missing}; only after {added}")
    return not (differs or missing or added)


def _renamed(old: dict[str, Path], new: dict[str, Path]) -> dict[str, str]:
    """Match missing files with added files of the same folder and the same numbers."""
    renamed: dict[str, str] = {}
    for name, path in old.items():
        if name in new:
            continue
        for other, candidate in new.items():
            is_same_kind = (Path(name).parent, path.suffix) == (
                Path(other).parent,
                candidate.suffix,
            )
            is_free = other not in old and other not in renamed.values()
            if is_same_kind and is_free and numbers(path) == numbers(candidate):
                renamed[name] = other
                break
    return renamed


def _files(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in COMPARED)
    return {str(path.relative_to(folder)): path for path in paths}


def numbers(path: Path) -> Counter[str]:
    """Count the numbers in a file, whatever their names."""
    if path.suffix in {".nc", ".nwb"}:
        return Counter(_arrays(path))
    if path.suffix == ".safetensors":
        return Counter(_bits(values) for values in load_file(path).values())
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix in {".json", ".out"}:
        try:
            return Counter(_leaves(json.loads(text)))
        except json.JSONDecodeError:
            return Counter(_in_text(text))
    if path.suffix == ".csv":
        rows = csv.DictReader(text.splitlines())
        return Counter(v for row in rows for k, v in row.items() if not TIMED.search(str(k)))
    raise ValueError(f"{path}: expected one of {sorted(COMPARED)}")


def _arrays(path: Path) -> Iterator[str]:
    arrays: list[str] = []

    def visit(_: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiub":
            arrays.append(_bits(np.asarray(item[()])))

    with h5py.File(path) as file:
        file.visititems(visit)
    return iter(arrays)


def _bits(values: np.ndarray) -> str:
    return f"{values.shape}{hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()}"


def _leaves(values: object, name: str = "") -> Iterator[str]:
    if TIMED.search(name):
        return
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _leaves(value, str(key))
    elif isinstance(values, list):
        for value in values:
            yield from _leaves(value, name)
    elif isinstance(values, str):
        yield from _in_text(values)
    elif values is not None:
        yield repr(values)


def _in_text(text: str) -> Iterator[str]:
    return (match.group() for match in NUMBER.finditer(re.sub(r"\d+ s\b", "", text)))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", folder]:
            make(Path(folder))
        case ["compare", before, after]:
            sys.exit(not compare(Path(before), Path(after)))
        case _:
            sys.exit(__doc__)
