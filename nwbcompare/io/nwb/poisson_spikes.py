"""Poisson spikes drawn at the rates of a network, written unit by unit in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xarray as xr
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import ElementIdentifiers, VectorData, VectorIndex
from pynwb.misc import Units

from nwbcompare.core.errors import InputError
from nwbcompare.io.nwb.native_tables import unit_columns

RESOLUTION_S = 1e-5
"""Resolution of spike times (s)."""
ROWS_AT_ONCE = 65_536
"""Number of bins or spikes that are in memory at a time."""
SPIKES_PER_CHUNK = 16_384


@dataclass(frozen=True, kw_only=True)
class PoissonSpikes:
    """Options of Poisson spikes drawn at a network's rates.

    Attributes
    ----------
    gain
        Spikes/s at a rate of 1.
    seed
        Seed. Each unit has its own random streams, so that its spikes do not depend on others.

    Raises
    ------
    InputError
        If the gain is not above 0, or the seed is negative.

    Examples
    --------
    >>> PoissonSpikes(gain=20.0, seed=0).gain
    20.0
    """

    gain: float
    seed: int

    def __post_init__(self) -> None:
        """Check gain and seed."""
        if not 0 < self.gain < np.inf:
            raise InputError("gain", "spikes/s above 0", repr(self.gain), "Use 20.")
        if self.seed < 0:
            raise InputError("seed", "a whole number of 0 or more", repr(self.seed), "Use 0.")


def declared_units(
    block: xr.Dataset, more: Mapping[str, npt.NDArray[Any]], description: str
) -> Units:
    """Return a units table whose spike times are written later.

    Parameters
    ----------
    block
        A block, with its unit table.
    more
        Further unit columns, each ``(unit,)``.
    description
        Description of the table.
    """
    n_units = block.sizes["unit"]
    columns = unit_columns(block, more)
    return Units(
        name="units",
        description=description,
        id=ElementIdentifiers(name="id", data=np.arange(n_units)),
        columns=[
            *_ragged("spike_times", "times of spikes (s)", (0,), n_units),
            *_ragged("obs_intervals", "when the unit was recorded (s)", (0, 2), n_units),
            *columns,
        ],
        resolution=RESOLUTION_S,
    )


def _ragged(name: str, description: str, shape: tuple[int, ...], n_units: int) -> list[VectorData]:
    chunks = (SPIKES_PER_CHUNK, *shape[1:])
    values = VectorData(
        name=name,
        description=description,
        data=H5DataIO(
            shape=shape,
            maxshape=(None, *shape[1:]),
            dtype=np.dtype(np.float64),
            chunks=chunks,
            compression="gzip",
            compression_opts=1,
            shuffle=True,
        ),
    )
    # without values, since pynwb stores an index in as few bits as its present values need
    stops = H5DataIO(shape=(n_units,), dtype=np.dtype(np.uint64))
    index = VectorIndex(name=f"{name}_index", target=values, data=stops)
    return [values, index]


def draw_spikes(
    file: h5py.File,
    series: h5py.Dataset,
    spikes: PoissonSpikes,
    *,
    start_s: float,
    bin_s: float,
    scratch: Path,
) -> None:
    """Draw Poisson spikes at the rates of a series, and write them to the units table.

    The number of spikes in a bin is Poisson with mean gain x rate x width; their times are uniform
    in the bin, on a grid of 10 us. NaN rates are left out of the unit's ``obs_intervals``.

    Parameters
    ----------
    file
        The file, with a table of `declared_units`.
    series
        Rates, ``(time, unit)``.
    spikes
        Gain and seed.
    start_s, bin_s
        Start of the first bin, and bin width (s).
    scratch
        Folder for temporary files.

    Raises
    ------
    InputError
        If a rate is negative.
    """
    # units of one chunk together, so that each chunk is unpacked once
    width = series.chunks[1] if series.chunks else 1
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for first in range(0, series.shape[1], width):
            units = range(first, min(first + width, series.shape[1]))
            trains = [
                _Train(Path(folder) / f"{unit}", spikes, unit, start_s, bin_s) for unit in units
            ]
            for row in range(0, series.shape[0], ROWS_AT_ONCE):
                rates = series[row : row + ROWS_AT_ONCE, units.start : units.stop]
                for train, column in zip(trains, rates.T, strict=True):
                    train.extend(row, column)
            for train in trains:
                train.write(file["units"])


class _Train:
    """Spikes of one unit, in a temporary file until all are drawn."""

    def __init__(
        self, path: Path, spikes: PoissonSpikes, unit: int, start_s: float, bin_s: float
    ) -> None:
        self.path, self.unit = path, unit
        self.gain, self.start_s, self.bin_s = spikes.gain, start_s, bin_s
        # one stream for numbers and one for times, so that draws do not depend on the pieces
        self.numbers = np.random.default_rng([spikes.seed, unit, 0])
        self.places = np.random.default_rng([spikes.seed, unit, 1])
        self.observed: list[list[int]] = []

    def extend(self, row: int, rates: npt.NDArray[Any]) -> None:
        """Draw the spikes of the next bins."""
        finite = np.isfinite(rates)
        if (rates[finite] < 0).any():
            raise InputError(
                "spikes",
                "rates of 0 or more",
                f"{rates[finite].min():g} in unit {self.unit}",
                "Poisson spikes need a network of positive rates: export it without spikes.",
            )
        expected = np.where(finite, rates, 0).astype(np.float64) * (self.gain * self.bin_s)
        number = self.numbers.poisson(expected)
        bins = np.repeat(np.arange(row, row + rates.size), number)
        slots = max(1, int(self.bin_s / RESOLUTION_S))
        times = self.start_s + bins * self.bin_s
        # uniform times on the grid of the resolution, which the file states
        times += self.places.integers(slots, size=bins.size) * RESOLUTION_S
        with self.path.open("ab") as file:
            np.sort(times).tofile(file)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], finite.astype(int), [0]])))
        for start, stop in edges.reshape(-1, 2) + row:
            # an interval goes on across the pieces in which rates are read
            if self.observed and self.observed[-1][1] == start:
                self.observed[-1][1] = int(stop)
            else:
                self.observed.append([int(start), int(stop)])

    def write(self, units: h5py.Group) -> None:
        """Append the spikes and the observed intervals to the units table."""
        times = units["spike_times"]
        n_spikes = self.path.stat().st_size // 8
        with self.path.open("rb") as file:
            n_pieces = -(-n_spikes // ROWS_AT_ONCE)
            _append(times, (np.fromfile(file, count=ROWS_AT_ONCE) for _ in range(n_pieces)))
        self.path.unlink()
        intervals = self.start_s + np.array(self.observed, dtype=float).reshape(-1, 2) * self.bin_s
        _append(units["obs_intervals"], [intervals])
        for name in ("spike_times", "obs_intervals"):
            units[f"{name}_index"][self.unit] = units[name].shape[0]


def _append(data: h5py.Dataset, pieces: Any) -> None:
    for piece in pieces:
        start = data.shape[0]
        data.resize(start + len(piece), axis=0)
        data[start:] = piece
