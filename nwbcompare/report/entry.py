"""What the report is made of: labelled results of one source on one protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.report.section import Section

FTV = "fractional_task_variance"
PROTOCOLS = {
    "matched": "Matched protocol: the animals' own task",
    "published": "Published protocol: 500 conditions, all epochs",
    "as recorded": "Activity as recorded",
}
"""What networks were shown, with the titles of panels, from the nearest to the animals' task."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One source on one protocol.

    Attributes
    ----------
    name
        What figures and tables call it.
    source
        "model" or "recording".
    protocol
        "matched", "published", "as recorded" (an activity that is neither) or, for a recording,
        "recorded".
    variance, ftv
        From `nwbcompare.task_variance` and `nwbcompare.fractional_task_variance`.
    rotation
        From `nwbcompare.rotation_control`.
    context_null, condition_null
        From the label nulls; None for a network without noise.
    examples
        Condition means of a few units, with their FTV in ``ftv (unit,)``.
    counts
        Sessions, units, trials: what the numbers stand on.
    """

    name: str
    source: str
    protocol: str
    variance: xr.Dataset
    ftv: xr.Dataset
    rotation: xr.Dataset
    context_null: xr.Dataset | None
    condition_null: xr.Dataset | None
    examples: xr.Dataset
    counts: dict[str, int]

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """FTV of the active units."""
        every = self.ftv[FTV].values
        active: npt.NDArray[np.float64] = every[np.isfinite(every)]
        return active

    @cached_property
    def numbers(self) -> dict[str, Any]:
        """Give the row of the table of numbers."""
        null, floor = self.context_null, self.condition_null
        values, active = self.values, self.ftv["active"].values
        return {
            "source": self.name,
            "protocol": self.protocol,
            "active_samples": int(values.size),
            "samples": int(self.ftv.sizes["unit"]),
            "ftv_mean": _rounded(values.mean()),
            "ftv_sd": _rounded(values.std()),
            "share_beyond_0.5": _rounded((np.abs(values) > 0.5).mean()),
            "rotation_sd": _rounded(np.nanstd(self.rotation[FTV].values)),
            "context_null_sd": None if null is None else _rounded(np.nanstd(null[FTV].values)),
            "share_p_below_0.05": None
            if null is None
            else _rounded((null["p_value"].values < 0.05).mean()),
            "median_tv": _rounded(np.nanmedian(self.variance["task_variance"].values[active])),
            "median_tv_floor": None
            if floor is None
            else _rounded(np.nanmedian(floor["task_variance"].mean("permutation").values[active])),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything that a report shows.

    ``header`` and ``provenance`` hold plain values; ``simulated`` marks a stand-in recording,
    and ``how_to_get`` then says where the real one comes from. ``analyses`` are sections of
    other analyses of the same sources.
    """

    title: str
    task_a: str
    task_b: str
    display: dict[str, str]
    entries: list[Entry]
    header: dict[str, Any]
    provenance: dict[str, Any]
    simulated: bool = False
    how_to_get: str = ""
    notes: list[str] = field(default_factory=list)
    analyses: list[Section] = field(default_factory=list)

    def of(self, source: str, protocol: str | None = None) -> list[Entry]:
        """Give the entries of a kind of source, on one protocol."""
        return [
            entry
            for entry in self.entries
            if entry.source == source and protocol in (None, entry.protocol)
        ]

    def nearest(self) -> list[Entry]:
        """Give one entry a network: on the protocol that is nearest to the animals' task."""
        chosen: dict[str, Entry] = {}
        for protocol in PROTOCOLS:
            for entry in self.of("model", protocol):
                chosen.setdefault(entry.name, entry)
        return [entry for entry in self.entries if chosen.get(entry.name) is entry]

    @property
    def noise_free(self) -> bool:
        """Whether no network had noise."""
        return all(entry.variance.attrs["deterministic"] for entry in self.of("model"))


def _rounded(value: Any) -> float:
    return float(f"{float(value):.6g}")
