"""A small archive in the form of Miranda et al. (2025), from known behaviour and spikes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.io import savemat

AREA = "DLPFC"
SESSIONS = {"Charlie": (30, 24), "Jacob": (26,)}
"""Numbers of trials of each monkey's sessions."""
CELLS = {"Charlie": (1, 1, 2), "Jacob": (1,)}
"""Session (from 1) of each cell."""
CODES = (9, 20, 22, 23, 24, 25, 28, 32, 33, 34, 35, 36, 37, 39, 40, 18)
FIELDS = ("ChosenQmf", "ChosenQmb", "ChosenQhyb", "Chosen2Q", "PE1mf", "PE1mb", "PE1hyb", "PE2")


def behaviour(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    choice = rng.integers(1, 3, n)
    transition = np.where(rng.random(n) < 0.7, 1, 2)
    # the second stage is that of the choice, or the other one
    stage = np.where(transition == 1, choice, 3 - choice)
    fields = {
        "indxGoodTrials": 3 + np.cumsum(1 + (rng.random(n) < 0.1)),
        "TrialType": np.ones(n),
        "PicChosen1": choice,
        "SideResp1": rng.integers(1, 3, n),
        "RT1": rng.integers(300, 600, n),
        "Transition": transition,
        "PicChosen2": 1 + 2 * stage + rng.integers(0, 2, n),
        "SideResp2": rng.integers(1, 3, n),
        "RT2": rng.integers(300, 600, n),
        "PayRew2": rng.integers(0, 500, n),
        "LevelRew2": rng.integers(1, 4, n),
    }
    return {name: values.astype("u2")[:, None] for name, values in fields.items()} | {
        "TotalNumTrials": np.array([[n]])
    }


def timing(record: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return trials of 8 s; the choices take the reaction times, no reward has no pump."""
    rows = []
    for trial, (rt1, rt2, level) in enumerate(
        zip(
            *(record[name].ravel().astype(int) for name in ("RT1", "RT2", "LevelRew2")), strict=True
        )
    ):
        at = dict(zip(CODES, 1000 + 8000 * trial + 300 * np.arange(len(CODES)), strict=True))
        at[24], at[34] = at[23] + rt1, at[33] + rt2
        at |= {code: at[24] + 10 * k for k, code in enumerate((25, 28), start=1)}
        at |= {code: at[34] + 10 * k for k, code in enumerate((35, 36, 37), start=1)}
        rows += [(trial, c, at[c]) for c in CODES if level < 3 or c not in (39, 40)]
    columns = np.array(rows).T
    return {
        "trial_number": columns[0].astype("i8"),
        "codes": columns[1].astype("u1"),
        "times": columns[2].astype("i4"),
    }


def archive(folder: Path, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    data = folder / "data"
    for name in ("spikes", "trial_timings"):
        (data / AREA / name).mkdir(parents=True)
    prepared, cell = np.empty((2, 1), dtype=object), 0
    for place, (name, sizes) in enumerate(SESSIONS.items()):
        (data / f"{name}Data" / "qvals").mkdir(parents=True)
        records = [behaviour(rng, n) for n in sizes]
        prepared[place, 0] = np.empty((len(sizes), 1), dtype=object)
        for k, record in enumerate(records):
            prepared[place, 0][k, 0] = record
            values = {field: rng.random((sizes[k], 1)) for field in FIELDS}
            other = rng.random((sizes[k], 1))
            first = record["PicChosen1"] == 1
            values["QmfPicA"] = np.where(first, values["ChosenQmf"], other)
            values["QmfPicB"] = np.where(first, other, values["ChosenQmf"])
            savemat(data / f"{name}Data" / "qvals" / f"qvals_sess_{k}.mat", values)
        book = openpyxl.Workbook()
        names = "Subject Session Channel UnitNum Hemisphere AP LM BrainStructure ClusterQuality"
        book.active.append(names.split())
        for session in CELLS[name]:
            book.active.append([name, session, 4 + cell, 1, "LR"[cell % 2], 3.5, -4, AREA, "Good"])
            table = timing(records[session - 1])
            pq.write_table(pa.table(table), data / AREA / "trial_timings" / f"cell_{cell}.parquet")
            n_ms = int(table["times"].max()) + 500
            spikes = np.flatnonzero(rng.random(n_ms) < 0.01).astype("i4")
            np.save(data / AREA / "spikes" / f"cell_{cell}.npy", spikes)
            cell += 1
        book.save(data / f"{name}Data" / f"{name.upper()}_{AREA}_Units.xlsx")
    savemat(data / "PreparedData.mat", {"PreparedData": prepared})
    return folder
