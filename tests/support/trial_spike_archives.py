"""Small archives of spike times from an event, in published layouts, from a known truth.

Each function writes an archive with the traps of its layout and returns the truth: spike times of
units by trial (s from the event), and trial columns, as a loader has to return them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat
from scipy.sparse import csc_matrix


@dataclass
class Truth:
    """Spike times and trial columns of each unit."""

    spikes: dict[str, list[np.ndarray]] = field(default_factory=dict)
    trials: dict[str, dict[str, Any]] = field(default_factory=dict)

    def counts(self, unit: str, edges: np.ndarray) -> np.ndarray:
        """Return the spikes of a unit in bins, ``(trial, bin)``."""
        # spikes at most a billionth before an edge are on it
        return np.array([np.histogram(own, edges - 1e-9)[0] for own in self.spikes[unit]])

    def n_spikes(self, start: float, stop: float) -> dict[str, float]:
        """Return the spikes of each unit in a window."""
        edges = np.array([start, stop])
        return {unit: float(self.counts(unit, edges).sum()) for unit in self.spikes}

    def n_trials(self) -> dict[str, int]:
        """Return the trials of each unit."""
        return {unit: len(own) for unit, own in self.spikes.items()}


def drawn(rng: np.random.Generator, start: float, stop: float, most: int = 12) -> np.ndarray:
    """Draw whole milliseconds (s), none in some trials."""
    ms = rng.integers(round(1000 * start), round(1000 * stop), rng.integers(0, most))
    return np.unique(ms) / 1000


def cell(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Make a MATLAB cell; an empty element is a 0 x 0 array, as MATLAB has it."""
    cells = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        empty = isinstance(value, np.ndarray) and not value.size
        cells[place] = np.empty((0, 0)) if empty else value
    return cells.reshape(shape)


def kiani2014(folder: Path, n_trials: int = 24, n_units: int = 3) -> Truth:
    rng = np.random.default_rng(0)
    truth = Truth()
    spikes = [[drawn(rng, -0.5, 1.5) for _ in range(n_trials)] for _ in range(n_units)]
    onset = 1000.0 * np.arange(n_trials)
    go = onset + 1200
    # a trial that the monkey broke off
    go[3] = np.nan
    coherence = np.resize([0.0, 6.4, 25.6], n_trials)
    target, chosen = np.resize([1.0, 1.0, 2.0, 2.0], n_trials), rng.integers(1, 3, n_trials)
    savemat(
        folder / "T33.mat",
        {
            "trial_info": {
                "coherence": coherence[:, None],
                "correct_target": target[:, None],
                "chosen_target": chosen[:, None].astype(float),
            },
            "event_times": {
                "dots_onset": onset[:, None],
                "dots_offset": onset[:, None] + 800,
                "go_cue": go[:, None],
                "sacc_onset": go[:, None] + 300,
            },
            "spike_times": cell(
                [1000 * spikes[unit][row] for row in range(n_trials) for unit in range(n_units)],
                (n_trials, n_units),
            ),
        },
    )
    columns = {
        "coherence": coherence,
        "target": target,
        "choice": chosen,
        "correct": chosen == target,
        "dots_off_time": np.full(n_trials, 0.8),
        "go_cue_time": (go - onset) / 1000,
        "saccade_time": (go - onset + 300) / 1000,
    }
    for place, own in enumerate(spikes):
        truth.spikes[f"unit {place + 1}"], truth.trials[f"unit {place + 1}"] = own, columns
    return truth


AREAS = {"p10031": ["PFC", "FEF", "IT"], "r10042": ["LIP"]}


def siegel2015(folder: Path, n_trials: int = 40) -> Truth:
    rng = np.random.default_rng(0)
    truth = Truth()
    for name in ("sorted", "trialinfo", "unitinfo"):
        (folder / name).mkdir(parents=True)
    for session, areas in AREAS.items():
        rule = np.resize(["dir", "col"], n_trials)
        direction, colour = rng.choice([-90.0, -30.0, 0.0, 30.0], (2, n_trials))
        bad = rng.integers(0, 5, n_trials) == 0
        response = rng.uniform(0.2, 0.6, n_trials)
        spikes = [[drawn(rng, -1.0, 2.0) for _ in range(n_trials)] for _ in areas]
        # a session with one unit is a column
        savemat(
            folder / "sorted" / f"{session}_spikes.mat",
            {
                "spikeTimes": cell(
                    [spikes[unit][row] for row in range(n_trials) for unit in range(len(areas))],
                    (n_trials, len(areas)),
                )
            },
        )
        with (folder / "trialinfo" / f"{session}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["badTrials", "responseTime", "rule", "direction", "color", "more"])
            for row in range(n_trials):
                late = "" if row == 1 else response[row]
                writer.writerow([int(bad[row]), late, rule[row], direction[row], colour[row], "x"])
        response[1] = np.nan
        with (folder / "unitinfo" / f"{session}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["channel", "area"], *enumerate(areas)])
        good = np.flatnonzero(~bad)
        columns = {
            "task": np.where(rule == "dir", "motion_rule", "colour_rule")[good],
            "direction": direction[good],
            "colour": colour[good],
            "direction_sign": np.sign(direction[good]),
            "colour_sign": np.sign(colour[good]),
            "response_time": response[good],
        }
        for place, own in enumerate(spikes):
            unit = f"{session} {place + 1}"
            truth.spikes[unit], truth.trials[unit] = [own[row] for row in good], columns
    return truth


SESSIONS = {
    "rr014/prefront": ["R14001"],
    "rr015/prefront/left": ["R15001"],
    "rr015/prefront/right": ["R15002"],
}


def romo(folder: Path, n_trials: int = 36) -> Truth:
    rng = np.random.default_rng(0)
    truth = Truth()
    for place, sessions in SESSIONS.items():
        (folder / place).mkdir(parents=True)
        for session in sessions:
            f1 = np.resize([10.0, 14.0, 18.0], n_trials)
            f2 = f1 + np.resize([8.0, -8.0], n_trials)
            correct = rng.integers(0, 4, n_trials) > 0
            onset = rng.integers(800, 1200, n_trials).astype(float)
            # electrodes 2 and 5 have neurons
            spikes = {one: [drawn(rng, -0.5, 4.5, 30) for _ in range(n_trials)] for one in (2, 5)}
            rows = [[f"column {number}" for number in range(1, 11)]]
            for row in range(n_trials):
                times = [
                    1000 * spikes[one][row] + onset[row] if one in spikes else np.empty(0)
                    for one in range(1, 8)
                ]
                shown = np.empty((0, 0)) if row == 2 else onset[row]
                rows.append(
                    [
                        *(row, 1.0, float(correct[row]), f1[row], f2[row]),
                        *(cell(times, (1, 7)), 0.0, 0.0, shown, 0.0),
                    ]
                )
            flat = [value for row in rows for value in row]
            savemat(folder / place / f"{session}.mat", {"result": cell(flat, (len(rows), 10))})
            # the third trial has no onset
            kept = np.delete(np.arange(n_trials), 2)
            columns = {
                "f1": f1[kept],
                "f2": f2[kept],
                "correct": correct[kept],
                "decision": np.where((f2 > f1) == correct, "higher", "lower")[kept],
            }
            for electrode, own in spikes.items():
                unit = f"{session} {electrode}"
                truth.spikes[unit], truth.trials[unit] = [own[row] for row in kept], columns
    return truth


def romo_arrays(folder: Path, n_units: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write the arrays of Kobak et al. (2016), and return rates, numbers of trials and times."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 5, (n_units, 6, 2))
    rates = rng.integers(0, 3, (n_units, 6, 2, 501, 4)) * 20.0
    rates *= (np.arange(4) < counts[..., None])[..., None, :]
    savemat(
        folder / "data_romo.mat",
        {
            "firingRates_sparse": csc_matrix(rates.reshape(-1, 1, order="F")),
            "firingRates_size": np.array(rates.shape, dtype=float)[None],
            "trialNum": counts.astype(float),
            "time": np.linspace(-0.5, 4.5, 501)[None],
        },
    )
    return rates, counts, np.linspace(-0.5, 4.5, 501)


NEURONS = ("adr001_1_3001", "adr001_1_3002", "ben012_2_1001")


def constantinidis(folder: Path, n_trials: int = 4) -> Truth:
    rng = np.random.default_rng(0)
    truth = Truth()
    for name in NEURONS:
        classes = np.empty(9, dtype=[("ntr", object)])
        spikes: list[np.ndarray] = []
        rows: dict[str, list[float]] = {key: [] for key in ("cue_class", "is_match", "reward_time")}
        for number in range(1, 10):
            trials = np.empty(n_trials, dtype=[(key, object) for key in FIELDS])
            for place in range(n_trials):
                onset = float(rng.integers(900, 1100)) / 1000
                own = drawn(rng, -1.0, 5.0, 30)
                rewarded = place != 1
                trials[place] = (
                    own[:, None] + onset if own.size else np.empty((0, 0)),
                    onset,
                    onset + 2.0,
                    onset + 4.0,
                    onset + 5.0 if rewarded else np.empty((0, 0)),
                    float(place % 2),
                )
                spikes.append(own)
                rows["cue_class"].append(number)
                rows["is_match"].append(place % 2)
                rows["reward_time"].append(5.0 if rewarded else np.nan)
            # the second neuron was lost before the last class, and a trial has no cue
            if name == NEURONS[1] and number == 9:
                trials = np.empty((0, 0), dtype=trials.dtype)
                spikes, rows = spikes[:-n_trials], {k: v[:-n_trials] for k, v in rows.items()}
            if name == NEURONS[2] and number == 1:
                trials["Cue_onT"][0] = np.empty((0, 0))
                spikes, rows = spikes[1:], {k: v[1:] for k, v in rows.items()}
            classes["ntr"][number - 1] = trials
        savemat(folder / f"{name}.mat", {"MatData": {"class": classes}})
        truth.spikes[name] = spikes
        truth.trials[name] = {key: np.array(values) for key, values in rows.items()}
    return truth


FIELDS = ("TS", "Cue_onT", "Sample_onT", "Target_onT", "Reward_onT", "IsMatch")
