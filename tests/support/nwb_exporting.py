"""Export in processes that are interrupted.

Run as a program: for each line of JSON that it reads, it starts a process that exports, sends it a
signal after a while, and prints how it ended. What takes seconds to import is imported once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nwbcompare as nc


def block(seed: int) -> Any:
    """Make a network's block whose export goes through every phase in about a second."""
    rng = np.random.default_rng(seed)
    return nc.make_block(
        rng.random((120, 100, 60), dtype=np.float32),
        time_s=(np.arange(100) + 0.5) * 0.02,
        bin_width_s=0.02,
        aligned_to="trial start",
        trials={"task": ["go"] * 120, "direction": np.tile([0.0, 1.0], 60)},
        units={"unit": [f"u{place}" for place in range(60)]},
        epochs={"fix1": (0.0, 0.5), "stim1": (0.5, 2.0)},
        condition_variables={"go": ["direction"]},
        source="model",
        name="net",
    )


@dataclass(frozen=True)
class Export:
    """How an export ended: its exit status, minus the signal's number, and how long it took."""

    status: int
    seconds: float


class Exporter:
    """Has exports made, one after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def export(
        self,
        path: Path,
        seed: int,
        *,
        overwrite: bool = False,
        signal: int = 0,
        after_s: float = 0,
    ) -> Export:
        """Export a block with its spikes and a sidecar; send a signal after a while."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"path": str(path), "seed": seed, "overwrite": overwrite}
        line = json.dumps([order, signal, after_s])
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return Export(**json.loads(self._process.stdout.readline()))


@contextmanager
def exporter() -> Iterator[Exporter]:
    """Start the program; it ends when nothing is left to read."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Exporter(process)


def _serve() -> None:
    # all that an export imports
    import nwbinspector  # noqa: F401
    import pynwb  # noqa: F401

    import nwbcompare.io.nwb.write  # noqa: F401

    for line in sys.stdin:
        order, signal, after_s = json.loads(line)
        start = time.perf_counter()
        child = os.fork()
        if child == 0:
            _export(order)
        if signal:
            time.sleep(after_s)
            # until it is waited for, its number stays its own
            os.kill(child, signal)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ended = {"status": status, "seconds": time.perf_counter() - start}
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


def _export(order: dict[str, Any]) -> None:
    status = 1
    warnings.simplefilter("ignore")
    try:
        nc.write_nwb(
            block(order["seed"]),
            order["path"],
            spikes=nc.io.PoissonSpikes(gain=20, seed=0),
            sidecar=__file__,
            overwrite=order["overwrite"],
        )
        status = 0
    except KeyboardInterrupt:
        status = 130
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        os._exit(status)


if __name__ == "__main__":
    _serve()
