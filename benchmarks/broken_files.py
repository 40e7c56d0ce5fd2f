"""Reading of corrupted NWB files: read, rejected with an error, or crashed.

Run: ``python benchmarks/broken_files.py --n 2000 --seed 0``. Files of every supported kind are
corrupted, in bytes (truncation, bits flipped anywhere and in the addresses of libhdf5) and in
contents (every dataset, attribute and entry of nwbcompare's description replaced by wrong values).
Each is opened in a worker process and loaded completely. Prints the number of files by outcome.
Files that are neither read nor rejected with an error that names them are copied to ``--keep``, and
the exit status is 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import nwb_damage
import nwb_opening

GOOD = {"read", "refused"}
CORPORA = {"bytes": nwb_damage.in_bytes, "contents": nwb_damage.in_contents}


def main() -> None:
    """Run the benchmark and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000, help="files of each of the two kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that failed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bases = nwb_damage.make_bases(Path(scratch))
        bad = 0
        for what, corpus in CORPORA.items():
            broken = corpus(bases, Path(scratch) / what, arguments.n, arguments.seed)
            openings = nwb_opening.open_each(list(broken.values()))
            bad += _report(what, broken, openings, arguments.keep)
    sys.exit(bad > 0)


def _report(
    what: str,
    broken: dict[str, Path],
    openings: list[nwb_opening.Opening],
    keep: Path | None,
) -> int:
    """Print the outcomes, and return the number of failures."""
    print(f"{what}: {len(openings)} files, {dict(Counter(o.outcome for o in openings))}")
    slowest = max(openings, key=lambda opening: opening.seconds)
    largest = max(openings, key=lambda opening: opening.grown_mb)
    print(f"  slowest {slowest.seconds:.2f} s ({slowest.path.name}: {slowest.outcome})")
    print(
        f"  peak of memory {max(o.peak_mb for o in openings):.0f} MB, most for one file "
        f"{largest.grown_mb:.0f} MB ({largest.path.name}: {largest.outcome})"
    )
    bad = [(how, o) for how, o in zip(broken, openings, strict=True) if o.outcome not in GOOD]
    for how, opening in bad:
        print(f"  {opening.outcome}: {how} ({opening.path.name})\n    {opening.message.strip()}")
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(opening.path, keep)
    return len(bad)


if __name__ == "__main__":
    main()
