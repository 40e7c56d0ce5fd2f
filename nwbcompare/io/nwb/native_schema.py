"""Description of the blocks in a native file (JSON), as it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from pynwb import NWBFile
from pynwb.core import ScratchData

from nwbcompare.core.activity import columns_on, condition_variables_of, row_dim
from nwbcompare.io.nwb.block_layout import Leaf, Plan
from nwbcompare.io.nwb.format_names import FORMAT_VERSION, SCHEMA


def add_schema(nwb: NWBFile, leaves: list[dict[str, Any]]) -> None:
    """Add the description of a file's blocks to its scratch space.

    Parameters
    ----------
    nwb
        The file.
    leaves
        Descriptions of the blocks; see `rate_leaf` and `spikes_leaf`.
    """
    nwb.add_scratch(
        ScratchData(
            name=SCHEMA,
            data=json.dumps({"format_version": FORMAT_VERSION, "leaves": leaves}),
            description="What nwbcompare needs to restore its labelled arrays, as JSON.",
        )
    )


def rate_leaf(plan: Plan, leaf: Leaf, event_columns: Sequence[str]) -> dict[str, Any]:
    """Return the description of a block that is stored as rates.

    Parameters
    ----------
    plan
        Layout of the file.
    leaf
        The block in it.
    event_columns
        Trial columns with the starts of epochs, which the block does not have.
    """
    block = leaf.block
    names = {variable: name for name, variable, leaves in plan.series() if leaf in leaves}
    channels = {dim for name in names for dim in block[name].dims if str(dim).endswith("_channel")}
    return _common(leaf.name, block, leaf.renamed) | {
        "layout": leaf.layout,
        "n_rows": leaf.n_rows,
        "first_row": leaf.first_row,
        "first_sample": leaf.first_sample,
        # to the last bit, which start and rate of the series do not give
        "time": block["time"].values.tolist(),
        "unit_table": plan.unit_table,
        "event_columns": list(event_columns),
        "channels": {
            str(dim): [str(channel) for channel in block[dim].values]
            for dim in sorted(channels, key=str)
        },
        "series": {
            variable: {"path": name, "dims": [str(dim) for dim in block[variable].dims]}
            for variable, name in names.items()
        },
    }


def spikes_leaf(
    name: str,
    block: xr.Dataset,
    *,
    renamed: Mapping[str, str],
    reading: Mapping[str, Any],
    added_columns: list[str],
    event_columns: list[str],
    apart: bool,
) -> dict[str, Any]:
    """Return the description of a block that is stored as spike times.

    Parameters
    ----------
    name
        Name of the leaf.
    block
        The block.
    renamed
        Original names of renamed trial columns, by their new names.
    reading
        Default options of reading; see `nwbcompare.io.sessions.Reading`.
    added_columns, event_columns
        Trial columns that the block does not have, and those with the starts of epochs.
    apart
        Whether trials were laid end to end, and not at their times in the session.
    """
    return _common(name, block, renamed) | {
        "layout": "spikes",
        "aligned_to": str(block["time"].attrs["aligned_to"]),
        "condition_variables": condition_variables_of(block),
        "provenance": json.loads(block.attrs["provenance"]),
        "reading": dict(reading),
        # versions that do not know event columns leave them out
        "added_columns": [*added_columns, *event_columns],
        "event_columns": event_columns,
        "apart": apart,
    }


def _common(name: str, block: xr.Dataset, renamed: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "renamed": dict(renamed),
        "attrs": _plain(block.attrs),
        "epochs": [str(e) for e in block["epoch"].values] if "epoch" in block.coords else [],
        "trial_columns": list(columns_on(block, row_dim(block))),
        "unit_columns": list(columns_on(block, "unit")),
        "variables": {
            str(key): {"dtype": str(column.dtype), "attrs": _plain(column.attrs)}
            for key, column in block.variables.items()
        },
    }


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    # json does not know numpy's types
    return {str(k): v.item() if isinstance(v, np.generic) else v for k, v in attrs.items()}
