"""The log of a training run, as a run folder holds it."""

from __future__ import annotations

ROWS = [
    {"step": 0, "stage": 0, "dt_ms": 100, "coherence_scale": 8, "loss": None, "seconds": 0.5,
     "performance": {"fdgo": 0.25, "fdanti": 0.5}},
    {"step": 100, "stage": 1, "dt_ms": 20, "coherence_scale": 1, "loss": 0.125, "seconds": 9.5,
     "performance": {"fdgo": 0.75, "fdanti": 1.0}},
]  # fmt: skip
