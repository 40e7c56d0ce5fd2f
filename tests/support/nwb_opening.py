"""Open many files, each of which may crash, hang or swallow all memory, and tell what became of it.

Run as a program this is the worker: it reads a path a line, opens the file and loads all of it, and
prints a line of JSON. The functions start workers, and a new one where one died.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

MEMORY_BYTES = 4_000_000_000
SECONDS = 20
FILES_A_WORKER = 400
FILES_PER_START = 60


@dataclass(frozen=True)
class Opening:
    """What became of a file.

    Attributes
    ----------
    path
        The file.
    outcome
        "read"; "refused", by an error of ours that names the file; "unnamed", by one that does
        not; "other", by another error; "crash", "hang" or "memory" of the process.
    message
        The error's text.
    seconds, peak_mb, grown_mb
        How long it took, the process's peak of memory after it, and by how much it had grown.
    """

    path: Path
    outcome: str
    message: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    grown_mb: float = 0.0


def open_each(paths: Sequence[Path], *, workers: int = 2) -> list[Opening]:
    """Open files in worker processes; give what became of each, in order."""
    # a worker's start takes as long as opening some dozens of files
    size = min(FILES_A_WORKER, max(-(-len(paths) // workers), FILES_PER_START))
    shares = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ThreadPoolExecutor(workers) as pool:
        return [opening for share in pool.map(_open_share, shares) for opening in share]


def _open_share(paths: Sequence[Path]) -> list[Opening]:
    done: list[Opening] = []
    while len(done) < len(paths):
        done += _until_one_dies(paths[len(done) :])
    return done


def _until_one_dies(paths: Sequence[Path]) -> list[Opening]:
    worker = subprocess.run(
        [sys.executable, __file__],
        input="\n".join(map(str, paths)),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    lines = [line for line in worker.stdout.splitlines() if line.startswith('{"outcome"')]
    done = [Opening(path, **json.loads(line)) for path, line in zip(paths, lines, strict=False)]
    if len(done) < len(paths):
        # an alarm that nobody catches ends the process also where libhdf5 never returns
        how = "hang" if worker.returncode == -signal.SIGALRM else "crash"
        message = f"exit {worker.returncode}: {worker.stderr[-2000:]}"
        done.append(Opening(paths[len(done)], how, message))
    return done


def _answers() -> Iterator[dict[str, object]]:
    # what is imported asks for address space of its own
    importlib.import_module("nwbcompare.io.nwb")

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", UserWarning)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        signal.alarm(SECONDS)
        start, before = time.perf_counter(), _peak_mb()
        outcome, message = _open(path)
        signal.alarm(0)
        yield {
            "outcome": outcome,
            "message": message,
            "seconds": round(time.perf_counter() - start, 3),
            "peak_mb": _peak_mb(),
            "grown_mb": _peak_mb() - before,
        }


def _peak_mb() -> float:
    # not ru_maxrss: that begins with the size of the process that started this one
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _open(path: Path) -> tuple[str, str]:
    import traceback

    import nwbcompare as nc

    try:
        for leaf in nc.open(path).children.values():
            for variable in leaf.data_vars.values():
                variable.load()
    except nc.InputError as error:
        return "refused" if path.name in str(error) else "unnamed", str(error)
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception:
        return "other", traceback.format_exc()
    return "read", ""


if __name__ == "__main__":
    for answer in _answers():
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
