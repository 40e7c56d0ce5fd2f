"""Loader of DANDI:000130 (Sohn et al. 2019): intervals of time, two priors and two effectors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.core import source_options
from nwbcompare.core.activity import labels, make_activity
from nwbcompare.core.errors import InputError, unknown_name
from nwbcompare.core.files import sha256_of_file
from nwbcompare.core.remote_path import dandi_assets
from nwbcompare.datasets.archive_provenance import archive_provenance
from nwbcompare.datasets.card import DataCard
from nwbcompare.datasets.downloads import Download
from nwbcompare.datasets.matlab_fields import damaged
from nwbcompare.datasets.registry import Loader

CONTEXTS = {
    "prior": ("is_short", {1: "short_prior", 0: "long_prior"}),
    "effector": ("is_eye", {1: "eye", 0: "hand"}),
}
"""Trial column of each context, and the tasks that it tells apart."""
EVENTS = ("ready", "set", "go")
CITATION = (
    "Sohn H, Narain D, Meirhaeghe N, Jazayeri M (2019). Bayesian computation through cortical "
    "latent dynamics. Neuron 103, 934-947."
)


def load(
    path: str | os.PathLike[str],
    *,
    context: str = "prior",
    align: str = "ready",
    window: tuple[float, float] = (0.0, 0.5),
    bin_s: float = 0.05,
    smooth_s: float = 0.0,
) -> xr.DataTree:
    """Load the archive's units as an activity, through the reader of NWB files.

    Parameters
    ----------
    path
        The folder with ``sub-Haydn``, or this folder.
    context
        The context whose values are the two tasks: "prior" (``short_prior``, ``long_prior``) or
        "effector" (``eye``, ``hand``).
    align
        The event at time 0: "ready", "set" or "go". Trials without it are left out, with a
        warning.
    window
        Start and stop (s) from the event; 0 to 0.5 s by default.
    bin_s
        Bin width (s), 50 ms by default.
    smooth_s
        Standard deviation (s) of a Gaussian; 0 by default, for none.

    Returns
    -------
    xarray.DataTree
        One block of rates in spikes/s, read when indexed. Conditions are the other context,
        ``theta`` (the direction of the target) and ``interval_rank``, the rank of the sample
        interval ``ts`` within its prior, so that both priors have the same conditions. Rates
        outside of a unit's ``obs_intervals`` are NaN.

    Raises
    ------
    InputError
        If an option is unknown, the folder has no files of the archive, or a file is damaged or
        lacks a column; the file is named.

    References
    ----------
    Sohn H, Narain D, Meirhaeghe N, Jazayeri M (2019). Bayesian computation through cortical latent
    dynamics. Neuron 103, 934-947.
    """
    # all loaders are imported to look one up
    from nwbcompare.io.nwb.read import open_nwb  # noqa: PLC0415 - slow to import

    if context not in CONTEXTS:
        raise unknown_name("context", context, CONTEXTS)
    if align not in EVENTS:
        raise unknown_name("align", align, EVENTS)
    files = list(_candidates(Path(path)))
    if not files:
        raise InputError(
            str(path), "files sub-Haydn/sub-Haydn_*.nwb", "none", "Download dandiset 000130 there."
        )
    column, tasks = CONTEXTS[context]
    (other,) = (name for name, _ in CONTEXTS.values() if name != column)
    activity = open_nwb(
        files,
        align=f"{align}_time",
        window=window,
        bin=bin_s,
        smooth=smooth_s,
        task=column,
        conditions=[other, "theta", "ts"],
        epochs={f"after_{align}": window},
    )
    (leaf,) = activity.children.values()
    options = {"context": context, "align": align, "window": list(window), "bin_s": bin_s}
    digests = [(file.name, sha256_of_file(file)) for file in files]
    provenance = archive_provenance("dandi000130", CITATION, digests, options)
    block = _in_context(files[0], leaf.to_dataset(), column, tasks, other).assign_attrs(
        name="monkey H", provenance=json.dumps(provenance | {"smooth_s": smooth_s})
    )
    return make_activity({"dandi000130": block})


def is_archive(folder: Path) -> bool:
    """Return whether a folder has files of the archive."""
    return any(True for _ in _candidates(folder))


def _candidates(folder: Path) -> Iterator[Path]:
    for place in (folder / "sub-Haydn", folder):
        if place.is_dir():
            files = sorted(f for f in place.iterdir() if f.match("sub-Haydn_*.nwb"))
            # the same session without its held-out units
            yield from (file for file in files if "desc-test" not in file.name)


def _in_context(
    file: Path, block: xr.Dataset, column: str, tasks: dict[int, str], other: str
) -> xr.Dataset:
    """Return a block whose tasks are the two values of a context."""
    (dim,) = block["ts"].dims
    values = _flags(file, block, "task")
    short = values if column == "is_short" else _flags(file, block, "is_short")
    task = np.where(values == 1, tasks[1], tasks[0])
    return block.assign_coords(
        task=(dim, task), interval_rank=(dim, _ranks(block["ts"].values, short))
    ).assign_attrs(
        condition_variables=json.dumps(
            {name: [other, "theta", "interval_rank"] for name in tasks.values()}
        )
    )


def _flags(file: Path, block: xr.Dataset, name: str) -> npt.NDArray[np.int8]:
    """Return a column of yes and no as 1 and 0, however the file has it."""
    if name not in block.coords:
        raise damaged(file, f"a trial column {name!r}")
    text = np.asarray(labels(block[name])).astype(str)
    is_yes, is_no = np.isin(text, ("1", "1.0", "True")), np.isin(text, ("0", "0.0", "False"))
    if not (is_yes | is_no).all():
        raise damaged(file, f"1 or 0 in the trial column {name!r}")
    return is_yes.astype(np.int8)


def _ranks(ts: npt.NDArray[np.float64], short: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return the rank of each interval within its prior, from 1."""
    ranks = np.zeros(ts.size, dtype=np.int8)
    for prior in (0, 1):
        own = short == prior
        ranks[own] = 1 + np.searchsorted(np.unique(ts[own]), ts[own])
    return ranks


def _downloads() -> list[Download]:
    return [Download(one.path, one.url, one.sha256) for one in dandi_assets("000130")]


DANDI000130 = Loader(
    name="dandi000130",
    title="Dorsomedial frontal units of a monkey that reproduces intervals of time, under two "
    "priors and with two effectors",
    card=DataCard(
        authors="H. Sohn, D. Narain, N. Meirhaeghe and M. Jazayeri, Massachusetts Institute of "
        "Technology",
        citation=CITATION,
        doi="10.1016/j.neuron.2019.06.012",
        licence="CC-BY-4.0",
        source="dandiset 000130 on dandiarchive.org; one file can also be opened without a "
        "download, as dandi:000130/PATH",
        unpack="it has a folder sub-Haydn with files sub-Haydn_*.nwb; those of the split 'test' "
        "lack units and are not read.",
        size="one session of one monkey; the files were not at hand",
        pairs=(("short_prior", "long_prior"),),
        traps=(
            "The option context=effector makes the tasks eye and hand, another pair for FTV.",
            "The two priors have different intervals: conditions are their ranks within a prior.",
            "Units were observed in a part of the session (obs_intervals): rates outside are NaN, "
            "and trials of a unit without any rate are left out.",
            "The layout is that of public readers of the files, which were not at hand.",
        ),
        tested_on="generated files",
    ),
    options={
        "context": str,
        "align": str,
        **source_options.BINNING,
    },
    is_archive=is_archive,
    load=load,
    downloads=_downloads,
)
