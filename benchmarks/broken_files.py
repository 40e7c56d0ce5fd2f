"""What becomes of broken NWB files: read, refused, or worse.

Run: ``python benchmarks/broken_files.py --n 2000 --seed 0``. Breaks files of every kind that is
read, in bytes (truncated, bits flipped anywhere and where libhdf5 keeps its addresses) and in
contents (every dataset, attribute and entry of our description replaced by wrong ones), opens
each in a worker process and loads all of it. Prints the number by outcome; files that were not
read or refused by an error that names them are kept where ``--keep`` says, and make it fail.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import nwb_damage
import nwb_opening

GOOD = {"read", "refused"}
CORPORA = {"bytes": nwb_damage.in_bytes, "contents": nwb_damage.in_contents}


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000, help="files of each of both sorts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for files with a bad end")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            bases = nwb_damage.make_bases(Path(scratch))
        bad = 0
        for what, corpus in CORPORA.items():
            broken = corpus(bases, Path(scratch) / what, given.n, given.seed)
            openings = nwb_opening.open_each(list(broken.values()))
            bad += _report(what, broken, openings, given.keep)
    sys.exit(bad > 0)


def _report(
    what: str,
    broken: dict[str, Path],
    openings: list[nwb_opening.Opening],
    keep: Path | None,
) -> int:
    """Print the outcomes; give how many were bad."""
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
