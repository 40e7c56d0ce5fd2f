"""Export of a source as NWB, with the configuration and weights of its network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nwbcompare.core.errors import InputError
from nwbcompare.core.files import check_output
from nwbcompare.io.nwb.dandi import parts_of, write_dandiset
from nwbcompare.io.nwb.metadata import Metadata, in_path
from nwbcompare.io.nwb.write import write_nwb
from nwbcompare.workflows.sources import is_network, resolve, run_folder


def export_source(
    source: str,
    *,
    out: str | os.PathLike[str] | None = None,
    dandiset: str | os.PathLike[str] | None = None,
    per_task: bool = False,
    network: str | None = None,
    task_variance: bool = False,
    metadata: Metadata | None = None,
    overwrite: bool = False,
    **options: Any,
) -> list[Path]:
    """Write the activity of a source as NWB.

    Parameters
    ----------
    source
        A SOURCE (see `nwbcompare.workflows.sources.resolve`). A network is recorded without noise
        on the test trials of its tasks, with inputs, outputs and targets, for which torch is
        needed.
    out, dandiset
        Output file, or output folder with the layout of the DANDI archive; exactly one of the two.
    per_task
        Whether one file is written for each task.
    network
        Run folder or ``pretrained:NAME`` whose configuration and weights are written beside the
        files; by default the source, if it is a network.
    task_variance
        Whether the task variance of each unit is added to the unit table.
    metadata, overwrite, **options
        See `nwbcompare.write_nwb`.

    Returns
    -------
    list of pathlib.Path
        Paths of the NWB files.

    Raises
    ------
    InputError
        If both or neither of ``out`` and ``dandiset`` are passed, before any work, and the errors
        of `nwbcompare.workflows.sources.resolve` and `nwbcompare.write_nwb`.
    """
    if (out is None) == (dandiset is None):
        got = "none" if out is None else "both"
        raise InputError("out, dandiset", "one of the two", got, "Name one.")
    activity = resolve(source, inputs_and_outputs=True)
    if task_variance:
        from nwbcompare.analysis.selectivity.task_variance import task_variance as measure  # noqa: PLC0415

        options["task_variance"] = measure(activity)
    run = network if network is not None else source if is_network(source) else None
    with _sidecar(run) as sidecar:
        options |= {"metadata": metadata, "overwrite": overwrite, "sidecar": sidecar}
        if dandiset is not None:
            return write_dandiset(activity, dandiset, per_task=per_task, **options)
        assert out is not None  # noqa: S101 - one of the two, as checked above
        if not per_task:
            return [write_nwb(activity, out, **options)]
        parts = parts_of(activity, per_task=True)
        paths = [Path(out).with_stem(f"{Path(out).stem}-{in_path(leaf)}") for leaf in parts]
        # all paths before the first file, so that no half of an export is left
        for path in paths:
            check_output(path, overwrite=overwrite)
        return [
            write_nwb(part, path, **options)
            for part, path in zip(parts.values(), paths, strict=True)
        ]


@contextmanager
def _sidecar(run: str | None) -> Iterator[Path | None]:
    """Yield the path of a temporary file with the configuration and weights of a network."""
    if run is None:
        yield None
        return
    from nwbcompare.model.checkpoint import write_sidecar  # noqa: PLC0415 - imports torch

    with tempfile.TemporaryDirectory() as folder:
        yield write_sidecar(run_folder(run), Path(folder) / "network.safetensors")
