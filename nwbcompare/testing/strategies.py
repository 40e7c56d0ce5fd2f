"""Hypothesis strategies of valid and broken blocks, for testing loaders and analyses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nwbcompare.core.activity import make_block

NAMES = st.text(
    st.characters(categories=["L", "N"], include_characters=" -_."), min_size=1, max_size=8
)
# values that float32 holds exactly
RATES = st.floats(0, 1e4, width=32)
MISSING = st.sampled_from([np.float32(np.nan)])


def _rates(shape: tuple[int, ...], *, missing: bool) -> st.SearchStrategy[Any]:
    values = st.one_of(RATES, MISSING) if missing else RATES
    return hnp.arrays(np.float32, shape, elements=values)


@st.composite
def dense_blocks(
    draw: st.DrawFn, *, missing: bool = True, deterministic: bool | None = None
) -> xr.Dataset:
    """Draw valid dense blocks, down to one trial, one unit and one bin.

    Parameters
    ----------
    draw
        Passed by hypothesis.
    missing
        Whether rates may be NaN; every unit is observed at least once.
    deterministic
        Whether the blocks are noise-free; by default drawn.
    """
    n_trials, n_bins, n_units = (draw(st.integers(1, most)) for most in (5, 4, 3))
    rate = draw(_rates((n_trials, n_bins, n_units), missing=missing))
    # every unit has to be observed in some bin
    rate[0, 0, np.isnan(rate).all(axis=(0, 1))] = 0
    return make_block(
        rate,
        **_labels(draw, n_trials, n_bins, n_units),
        source="model",
        deterministic=draw(st.booleans()) if deterministic is None else deterministic,
    )


@st.composite
def ragged_blocks(draw: st.DrawFn, *, missing: bool = True) -> xr.Dataset:
    """Draw valid ragged blocks, in which every unit was observed at least once.

    Parameters
    ----------
    draw
        Passed by hypothesis.
    missing
        Whether rates may be NaN.
    """
    n_bins, n_units = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    more = draw(st.lists(st.integers(0, n_units - 1), max_size=6))
    # each unit at least once
    unit = np.array([*range(n_units), *more])
    rate = draw(_rates((unit.size, n_bins), missing=missing))
    rate[:n_units, 0] = np.nan_to_num(rate[:n_units, 0])
    labels = _labels(draw, unit.size, n_bins, n_units)
    return make_block(rate, **labels, observation_unit=unit, source="recording")


def _labels(draw: st.DrawFn, n_rows: int, n_bins: int, n_units: int) -> dict[str, Any]:
    width = draw(st.sampled_from([0.01, 0.02, 0.05, 0.1]))
    tasks = draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))
    epochs: dict[str, Any] = {}
    if draw(st.booleans()):
        bound = draw(st.integers(0, n_bins)) * width
        epochs = {"fix1": (0.0, bound), "stim1": (bound, n_bins * width)}
    return {
        "time_s": (np.arange(n_bins) + 0.5) * width,
        "bin_width_s": width,
        "aligned_to": "trial start",
        "trials": {
            "task": draw(st.lists(st.sampled_from(tasks), min_size=n_rows, max_size=n_rows)),
            "direction": draw(hnp.arrays(np.float64, n_rows, elements=st.sampled_from([0.0, 1.5]))),
            "correct": draw(hnp.arrays(np.bool_, n_rows)),
        },
        "units": {
            "unit": draw(st.lists(NAMES, min_size=n_units, max_size=n_units, unique=True)),
            "area": draw(st.lists(NAMES, min_size=n_units, max_size=n_units)),
        },
        "epochs": epochs,
        "condition_variables": {task: ["direction"] for task in tasks},
        "name": draw(NAMES),
    }


def _infinite(block: xr.Dataset) -> xr.Dataset:
    return block.assign(rate=block["rate"] + np.float32(np.inf))


def _drop(name: str) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda block: block.drop_vars(name)


def _attribute(name: str, value: Any) -> Callable[[xr.Dataset], xr.Dataset]:
    return lambda block: block.assign_attrs({name: value})


FAULTS: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "infinite values": _infinite,
    "float64": lambda block: block.assign(rate=block["rate"].astype(np.float64)),
    "dims": lambda block: block.rename({"time": "t"}),
    "spikes/s": lambda block: block.assign(rate=block["rate"].assign_attrs(units="Hz")),
    "task": _drop("task"),
    "condition_variables": _attribute("condition_variables", "direction"),
    "schema_version": _attribute("schema_version", "0"),
    "source": _attribute("source", "brain"),
    "name": _attribute("name", ""),
    "condition variable 'direction'": _drop("direction"),
    "never observed": lambda block: block.assign(rate=block["rate"] * np.float32(np.nan)),
    "codes from 0": lambda block: block.assign_coords(task=block["task"] + 99),
    "bin_width_s": lambda block: block.assign_coords(
        time=block["time"].assign_attrs(bin_width_s=0.0)
    ),
    "aligned_to": lambda block: block.assign_coords(time=block["time"].assign_attrs(aligned_to="")),
}
"""Functions that break a rule of the data model, by words of the error message."""


@st.composite
def broken_blocks(draw: st.DrawFn) -> tuple[xr.Dataset, str]:
    """Draw a block with one fault, and words of its error message.

    Parameters
    ----------
    draw
        Passed by hypothesis.
    """
    block = draw(st.one_of(dense_blocks(), ragged_blocks()))
    words = draw(st.sampled_from(sorted(FAULTS)))
    return FAULTS[words](block), words
