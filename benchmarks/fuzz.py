"""Damaged and hostile files of every kind: read, refused by name, or a fault of this package.

Run: ``python benchmarks/fuzz.py --n 10000``. Every kind of input (NWB, netCDF, MATLAB 5 and 7.3,
YAML, TOML, JSON, safetensors, CSV, npz, kept results) is written, then changed at random: bits,
bytes, lines, values, objects and links. Each case is read completely in a worker process with
limits of time and memory. Numbers by outcome are kept in results/fuzz.json after every few
hundred cases; a later call runs faults again, and goes on from there. ``--kinds`` names some of
the kinds, ``--case KIND NUMBER`` reads one case again. The exit status is 1 where a case was
neither read nor refused by an error that names its file.

Nothing of this package reads npz: its cases show that such files are refused.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import fuzz_cases

from nwbcompare.core.errors import ExplainedError

RESULTS = Path(__file__).parent / "results" / "fuzz.json"
OUTCOMES = ("read", "refused", "unnamed", "traceback", "crash", "hang", "memory", "outside")
GOOD = {"read", "refused"}
SECONDS = 20
"""Time that a case may take (s)."""
MEMORY_BYTES = 6_000_000_000
"""Address space of a worker, of which torch takes some gigabytes."""
BATCH = 500
MOST_FAULTS = 50
"""Number of faults of a kind that are listed."""


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="cases of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=list(fuzz_cases.KINDS))
    parser.add_argument("--case", nargs=2, metavar=("KIND", "NUMBER"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        kind, start, stop, folder = arguments.worker
        work(kind, range(int(start), int(stop)), arguments.seed, Path(folder))
        return
    if arguments.case:
        kind, number = arguments.case[0], int(arguments.case[1])
        sys.stdout.write(f"{json.dumps(run_cases(kind, range(number, number + 1), 0)[0])}\n")
        return
    results = json.loads(arguments.results.read_text()) if arguments.results.is_file() else {}
    for kind in arguments.kinds:
        run_kind(kind, arguments.n, arguments.seed, results, arguments.results)
    print_table(results)
    sys.exit(any(set(one["outcomes"]) - GOOD for one in results.values()))


def run_kind(kind: str, n: int, seed: int, results: dict[str, Any], file: Path) -> None:
    """Run faults of earlier calls again, and the cases that are not done yet, batch by batch."""
    new = {"seed": seed, "cases": 0, "seconds": 0.0, "slowest_s": 0.0, "outcomes": {}, "faults": []}
    kept = results.setdefault(kind, new)
    if kept["seed"] != seed:
        raise SystemExit(f"{file} has cases of seed {kept['seed']}: choose another --results")
    for fault in list(kept["faults"]):
        (case,) = run_cases(kind, range(fault["case"], fault["case"] + 1), seed)
        outcomes = Counter(kept["outcomes"]) - Counter([fault["outcome"]])
        kept["outcomes"] = dict(outcomes + Counter([case["outcome"]]))
        kept["faults"].remove(fault)
        kept["faults"] += [case] if case["outcome"] not in GOOD else []
        file.write_text(json.dumps(results, indent=1) + "\n")
    while kept["cases"] < n:
        numbers = range(kept["cases"], min(kept["cases"] + BATCH, n))
        start = time.perf_counter()
        cases = run_cases(kind, numbers, seed)
        kept["outcomes"] = dict(
            Counter(kept["outcomes"]) + Counter(case["outcome"] for case in cases)
        )
        faults = [case for case in cases if case["outcome"] not in GOOD]
        kept["faults"] = (kept["faults"] + faults)[:MOST_FAULTS]
        kept["slowest_s"] = max(kept["slowest_s"], *(case["seconds"] for case in cases))
        kept["seconds"] = round(kept["seconds"] + time.perf_counter() - start, 1)
        kept["cases"] = numbers.stop
        file.write_text(json.dumps(results, indent=1) + "\n")
        sys.stderr.write(f"{kind}: {kept['cases']} {kept['outcomes']}\n")


def run_cases(kind: str, numbers: range, seed: int) -> list[dict[str, Any]]:
    """Return what became of each case; where one ends its worker, the next worker goes on."""
    done: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        while len(done) < len(numbers):
            first = numbers.start + len(done)
            share = [kind, str(first), str(numbers.stop), f"{scratch}/{first}"]
            worker = subprocess.run(
                [sys.executable, __file__, f"--seed={seed}", "--worker", *share],
                capture_output=True,
                text=True,
                check=False,
                env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
            lines = [s for s in worker.stdout.splitlines() if s.startswith('{"case"')]
            done += [json.loads(line) for line in lines]
            if worker.returncode == 1:
                # an error outside of the cases, such as of a sound file
                raise RuntimeError(worker.stderr)
            if len(done) < len(numbers):
                how = "hang" if worker.returncode == -signal.SIGALRM else "crash"
                message = f"exit {worker.returncode}: {worker.stderr[-600:]}"
                number = numbers.start + len(done)
                done.append({"case": number, "outcome": how, "seconds": 0.0, "message": message})
    return done


def work(kind: str, numbers: range, seed: int, scratch: Path) -> None:
    """Read cases in this process, and print a line of JSON for each."""
    warnings.simplefilter("ignore")
    bases = fuzz_cases.make_bases(kind, scratch / "bases")
    private = fuzz_cases.make_private(scratch)
    for base in bases:
        # what is imported now takes address space of its own
        fuzz_cases.KINDS[kind].read(base) if kind != "npz" else None
    resource.setrlimit(
        resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1])
    )
    for number in numbers:
        folder = scratch / f"case{number}"
        path = fuzz_cases.make_case(kind, number, seed, bases, folder, private)
        # an alarm that nobody handles ends the process also where a library never returns
        signal.alarm(SECONDS)
        start = time.perf_counter()
        outcome, message = read_case(kind, path)
        signal.alarm(0)
        seconds = round(time.perf_counter() - start, 3)
        case = {"case": number, "outcome": outcome, "seconds": seconds}
        if outcome not in GOOD:
            case["message"] = message[-1500:]
        sys.stdout.write(json.dumps(case) + "\n")
        sys.stdout.flush()
        shutil.rmtree(folder)


def read_case(kind: str, path: Path) -> tuple[str, str]:
    """Return the outcome of reading a file, and the message of an error."""
    try:
        values = fuzz_cases.KINDS[kind].read(path)
    except ExplainedError as error:
        text = str(error)
        named = path.name in text or str(path.parent) in text
        return ("refused" if named else "unnamed"), text
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception:
        return "traceback", traceback.format_exc()
    return ("outside" if fuzz_cases.has_secret(values) else "read"), ""


def print_table(results: dict[str, Any]) -> None:
    """Print the number of cases by kind and outcome."""
    print(f"| kind | cases | {' | '.join(OUTCOMES)} | s a case | slowest, s |")
    print("| --- " * (len(OUTCOMES) + 4) + "|")
    for kind, one in results.items():
        numbers = " | ".join(str(one["outcomes"].get(name, 0)) for name in OUTCOMES)
        each = one["seconds"] / max(one["cases"], 1)
        print(f"| {kind} | {one['cases']:,} | {numbers} | {each:.3f} | {one['slowest_s']:.1f} |")


if __name__ == "__main__":
    main()
