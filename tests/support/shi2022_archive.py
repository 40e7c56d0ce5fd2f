"""A small archive in the form of Shi et al. (2022), with known spikes, for tests of its loader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat

TABLE = """parsession.day = '{day}';
parsession.clusters = [
                       1,1;
                       ]; %%electrode #, cell #
parsession.locations = [
%\tel\tAP\tML\tDV (label; 4 for OFC)
    1   31   10  4
    2   31    9  9;
    3   31   -9  10
];
parsession.uprobe = 0;"""


def behaviour(rng, n_trials=40):
    """Return the tables of a session; every fifth trial number is not among the good trials."""
    numbers = np.array([n for n in range(1, 2 * n_trials) if n % 5][:n_trials])
    good = {"goodTrials_JC": [], "goodTrials_SO": []}
    entries = []
    clock = 100.0
    for place, number in enumerate(numbers):
        joint = place % 2 == 0
        codes = (9, 24, 25, 30, 35, 39, 36, 43, 60, 18)
        if not joint:
            codes = (9, 24, 25, 30, 31, 32, 33, 35, 27, 39, 36, 44, 60, 18)
        ms = np.concatenate([[0], np.cumsum(rng.integers(200, 700, len(codes) - 1))])
        entries += [[m, number, code, clock + m / 1000] for m, code in zip(ms, codes, strict=True)]
        # the clock goes on by fractions of a ms; a trial that is not good lies between some
        clock += (ms[-1] + 2000.4) / 1000 + (0 if (number + 1) % 5 else 9)
        a, b = rng.integers(1, 5), rng.integers(1, 9)
        row = [number, a, -b, rng.integers(1, 3), 1 if joint else 2]
        good["goodTrials_JC" if joint else "goodTrials_SO"].append(row)
    return {k: np.array(v, "i2") for k, v in good.items()} | {"psyphydata": np.array(entries)}


def spikes(rng, tables, electrode=1, cluster=1, rate=20.0):
    """Return spikes of a cell, some of them after the end of their trial."""
    entries = tables["psyphydata"]
    ends = entries[entries[:, 2] == 18]
    rows = []
    for ms, number, _, _ in ends:
        times = np.flatnonzero(rng.random(int(ms) + 1500) < rate / 1000)
        rows += [[t, number, electrode, cluster] for t in times]
    return np.array(rows, "u2")


def archive(folder: Path, sessions=("G180910a",), cells=(11, 21), seed=0, n_trials=40, **changes):
    """Write an archive, and return its folder."""
    rng = np.random.default_rng(seed)
    for name in ("celldata", "sesison_info"):
        (folder / "raw_data" / name).mkdir(parents=True, exist_ok=True)
    for session in sessions:
        tables = behaviour(rng, n_trials)
        table = TABLE.format(day=session[1:7])
        (folder / "raw_data" / "sesison_info" / f"TT_{session}.m").write_text(table)
        for cell in cells:
            content = tables | {"celldata": spikes(rng, tables, *divmod(cell, 10))}
            content |= {"trialRecord": np.zeros(3)} | changes
            content = {k: v for k, v in content.items() if v is not None}
            path = folder / "raw_data" / "celldata" / f"{session}{cell}_data.mat"
            savemat(path, content, do_compression=True)
    return folder
