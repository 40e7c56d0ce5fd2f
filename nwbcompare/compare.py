"""The comparison of networks with a recording: one analysis for both, then the report."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
from tqdm import tqdm

from nwbcompare.activity import blocks, is_ragged, row_dim, select, tasks_of
from nwbcompare.analysis import fractional_task_variance, task_variance
from nwbcompare.analysis.variance import means_by_task
from nwbcompare.datasets import DatasetNotFoundError, get_loader, how_to_get
from nwbcompare.datasets.location import ENVIRONMENT_VARIABLE
from nwbcompare.errors import InputError, listing
from nwbcompare.files import check_output_folder, sha256_of_file, written_aside
from nwbcompare.model import Network
from nwbcompare.model.checkpoint import WEIGHTS, read_training
from nwbcompare.nwb import write_nwb
from nwbcompare.protocol import (
    CONTEXTS,
    MatchedProtocol,
    parameters_of,
    record_matched,
    simulate_recording,
)
from nwbcompare.provenance import environment
from nwbcompare.report import Comparison, Entry, write_page
from nwbcompare.report.analysis import read_sections
from nwbcompare.report.section import Section
from nwbcompare.sources import (
    find_network,
    load,
    open_source,
    record_test_trials,
    resolve,
    run_folder,
)
from nwbcompare.stats import condition_label_null, context_label_null, rotation_control
from nwbcompare.tasks import RULES, display_name

DATASET = "mante2013"
MODELS = ("pretrained:all20-fast-0", "pretrained:all20-fast-1", "pretrained:all20-fast-2")
SIMULATED_FROM = "pretrained:all20-fast-3"
N_PERMUTATIONS, N_ROTATIONS = 200, 10
EXAMPLE_PERCENTILES = (5, 50, 95)
RECORDED_METHOD = (
    "Recording: spike counts in 50-ms bins, spikes/s, each trial smoothed with a 40-ms "
    "Gaussian; all trials, errors included; four conditions a context, the signs of motion "
    "and colour coherence towards the preferred target. Motion context is held against "
    "Ctx DM 1, colour context against Ctx DM 2 (Mante et al. 2013; Yang et al. 2019, "
    "Fig. 8)."
)
SIMULATED_METHOD = (
    "Recording: SIMULATED. Poisson spikes drawn at the rates of a network that is not among those "
    "compared, on the matched protocol, in 50-ms bins, smoothed with a 40-ms Gaussian."
)


def write_report(
    out: str | os.PathLike[str],
    *,
    models: Sequence[str | os.PathLike[str]] = MODELS,
    recording: str | None = None,
    analyses: Sequence[str | os.PathLike[str]] = (),
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Compare networks with a recording in the two context tasks and write the report.

    Parameters
    ----------
    out
        The folder: ``index.html``, ``report.json``, a CSV and an SVG for each figure, and, of
        the first run folder, the network's activity as NWB.
    models
        Networks to record, each a run folder or ``pretrained:NAME``, and files (NWB, or netCDF
        ending in ``.nc``) of a model's activity in both context tasks, taken as they are. A file
        from `record_matched` or of the published test trials stands beside the networks on that
        protocol, any other as its own; a network may come in several files, under one name.
    recording
        A SOURCE (see `nwbcompare.sources.resolve`); by default Mante et al. 2013 where it is
        found, else a recording simulated from another network, marked as such everywhere.
    analyses
        Folders that `nwbcompare.analyze` has written, whose sections are taken into the page.
    n_permutations
        Permutations of the label nulls.
    seed
        Seed of the nulls and of a simulated recording.
    overwrite
        Whether an existing folder may be replaced.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        Where a source is not there or does not fit, two go by one name, or ``out`` cannot be
        written.
    """
    check_output_folder(out, kind="report", is_kind=_is_report, overwrite=overwrite)
    if not models:
        raise InputError("models", "at least one network", "none", "Use pretrained:all20-fast-0.")
    if n_permutations < 1:
        raise InputError("n_permutations", "1 or more", repr(n_permutations), "Use 200.")
    sections = _sections(analyses)
    found = [_find_model(os.fspath(model)) for model in models]
    _check_names(found)
    activity, guidance = _find_recording(recording, seed)
    n_activities = sum(len(model.protocols) for model in found)
    with tqdm(total=2 + n_activities, desc="report", disable=None) as bar:
        entries = [_entry(activity, "recorded", n_permutations, seed)]
        bar.update()
        for model in found:
            for protocol, own in zip(model.protocols, model.activities(), strict=True):
                entries.append(_entry(own, protocol, 0, seed))
                bar.update()
        comparison = replace(
            _comparison(entries, found, guidance, n_permutations, seed), analyses=sections
        )
        with written_aside(out, overwrite=overwrite) as aside:
            aside.mkdir()
            write_page(comparison, aside)
            for run in [model for model in found if isinstance(model, _Run)][:1]:
                own = record_test_trials(run.network, CONTEXTS, inputs_and_outputs=True)
                write_nwb(own, aside / f"{run.name}.nwb")
        bar.update()
    return Path(out)


def _sections(analyses: Sequence[str | os.PathLike[str]]) -> list[Section]:
    """Read the sections of analyses, under names that are the page's only ones."""
    return [
        replace(section, name=f"analysis-{number}-{section.name}")
        for number, folder in enumerate(analyses)
        for section in read_sections(folder)
    ]


@dataclass(frozen=True)
class _Run:
    """A network that is recorded for the report."""

    source: str
    network: Network
    protocols = ("matched", "published")

    @property
    def name(self) -> str:
        return self.network.name

    def activities(self) -> Iterator[xr.DataTree]:
        yield record_matched(self.network)
        yield record_test_trials(self.network, CONTEXTS)

    def provenance(self) -> dict[str, Any]:
        return {"weights_sha256": sha256_of_file(run_folder(self.source) / WEIGHTS)}

    def method(self) -> str:
        """Say what the network is and how it came about."""
        config, training = self.network.config, read_training(run_folder(self.source))
        cell = config.cell.replace("_", " ")
        made = f"a {cell} of {config.n_units} {config.nonlinearity} units"
        if training is None:
            return f"{made}, whose training is not known"
        names = ", ".join(display_name(task) for task in training.tasks)
        tasks = "all 20 tasks" if set(training.tasks) == set(RULES) else names
        return f"{made} trained on {tasks} (schedule {training.schedule!r})"


@dataclass(frozen=True)
class _File:
    """A model's activity in a file, of which nothing is known but what the file says."""

    source: str
    activity: xr.DataTree

    @property
    def first(self) -> xr.Dataset:
        return next(iter(blocks(self.activity).values()))

    @property
    def name(self) -> str:
        return str(self.first.attrs["name"])

    @property
    def protocols(self) -> tuple[str]:
        labels = {_protocol_of(block) for block in blocks(self.activity).values()}
        return (labels.pop() if len(labels) == 1 else "as recorded",)

    def activities(self) -> Iterator[xr.DataTree]:
        yield self.activity

    def provenance(self) -> dict[str, Any]:
        return {
            "file_sha256": sha256_of_file(self.source),
            "protocol": self.protocols[0],
            "activity": json.loads(self.first.attrs["provenance"]),
        }

    def method(self) -> str:
        """Say what the file says."""
        noise = "without noise" if self.first.attrs["deterministic"] else "with noise"
        return (
            f"{self.name}, {_n_hidden(self.first)} units whose training is not known, from the "
            f"file {Path(self.source).name} (protocol {self.protocols[0]!r}, {noise})"
        )


_Model = _Run | _File


def _find_model(source: str) -> _Model:
    path = Path(source)
    if not path.is_dir() and (path.is_file() or path.suffix in {".nwb", ".nc"}):
        return _File(source, _open_model(path))
    return _Run(source, find_network(source))


def _open_model(path: Path) -> xr.DataTree:
    """Open a file and give what it holds of the two contexts."""
    activity = open_source(path)
    first = next(iter(blocks(activity).values()))
    if first.attrs["source"] != "model":
        raise InputError(
            f"model {str(path)!r}",
            "the activity of a model",
            f"{first.attrs['name']!r}, a {first.attrs['source']}",
            "Give it as the recording (--recording).",
        )
    known = tasks_of(activity)
    for task in CONTEXTS:
        if task not in known:
            raise InputError(
                f"model {str(path)!r}",
                f"trials of {listing(CONTEXTS)}",
                listing(known),
                "Record the network on both, e.g. with nwbcompare.record_matched.",
            )
    # a selection is of the type that was given
    return cast("xr.DataTree", select(activity, task=list(CONTEXTS)))


def _protocol_of(block: xr.Dataset) -> str:
    """Tell from its provenance which of the report's protocols an activity was recorded on."""
    made = json.loads(block.attrs["provenance"])
    usual = parameters_of(MatchedProtocol(), smoothed=True)
    if made.get("protocol") == "matched" and made.get("matched_protocol", usual) == usual:
        return "matched"
    whole = block["time"].attrs["aligned_to"] == "trial start"
    return "published" if made.get("kind") == "test" and whole else "as recorded"


def _check_names(models: Sequence[_Model]) -> None:
    """Refuse what the report's tables could not tell apart."""
    labels = Counter((model.name, protocol) for model in models for protocol in model.protocols)
    (name, protocol), number = labels.most_common(1)[0]
    if number > 1:
        raise InputError(
            "models",
            "each name once on each protocol",
            f"{name!r} {number} times on protocol {protocol!r}",
            "Leave one out, or record it under another name: nwbcompare.record(..., name=...).",
        )


def _n_hidden(table: xr.Dataset) -> int:
    """Give the number of a network's units; on the matched protocol each gives several samples."""
    return int(np.unique(table["network_unit" if "network_unit" in table else "unit"]).size)


def _is_report(folder: Path) -> bool:
    return (folder / "report.json").is_file()


def _find_recording(recording: str | None, seed: int) -> tuple[xr.DataTree, str]:
    """Give the recording and, where it had to be simulated, how to get the real one."""
    if recording is not None:
        activity = resolve(recording)
        first = next(iter(blocks(activity).values()))
        if first.attrs["source"] != "recording" or first.attrs["deterministic"]:
            raise InputError(
                "recording",
                "a recording with noisy trials",
                f"{first.attrs['name']!r}, a {first.attrs['source']}",
                "Name networks with models (--model) and a recording here.",
            )
        return activity, ""
    try:
        return load(DATASET), ""
    except DatasetNotFoundError:
        if os.environ.get(ENVIRONMENT_VARIABLE):
            raise
        return simulate_recording(find_network(SIMULATED_FROM), seed=seed), how_to_get(
            get_loader(DATASET)
        )


def _entry(activity: xr.DataTree, protocol: str, n_permutations: int, seed: int) -> Entry:
    """Analyse one source; the same calls for networks and recordings.

    Only the label nulls, which need noisy trials, are for recordings.
    """
    first = next(iter(blocks(activity).values()))
    variance = task_variance(activity)
    ftv = fractional_task_variance(variance, *CONTEXTS)
    if (n_active := int(ftv["active"].sum())) < len(EXAMPLE_PERCENTILES):
        raise InputError(
            str(first.attrs["name"]),
            f"at least {len(EXAMPLE_PERCENTILES)} units that are active in the two contexts",
            f"{n_active} of {ftv.sizes['unit']} ({protocol})",
            "Its rates hardly vary between conditions: check its training and its units.",
        )
    recorded = first.attrs["source"] == "recording"
    within = "session" if "network_unit" in first.coords else None
    return Entry(
        name=str(first.attrs["name"]),
        source=str(first.attrs["source"]),
        protocol=protocol,
        variance=variance,
        ftv=ftv,
        rotation=rotation_control(
            activity, *CONTEXTS, n_rotations=N_ROTATIONS, seed=seed, within=within
        ),
        context_null=context_label_null(
            activity, *CONTEXTS, n_permutations=n_permutations, seed=seed
        )
        if recorded
        else None,
        condition_null=condition_label_null(activity, n_permutations=n_permutations, seed=seed)
        if recorded
        else None,
        examples=_examples(activity, ftv),
        counts=_counts(activity),
    )


def _examples(activity: xr.DataTree, ftv: xr.Dataset) -> xr.Dataset:
    """Give the condition means of the active units nearest to set percentiles of FTV."""
    values = ftv["fractional_task_variance"].values
    chosen: list[int] = []
    for percentile in EXAMPLE_PERCENTILES:
        distance = np.abs(values - np.nanpercentile(values, percentile))
        distance[chosen] = np.nan
        chosen.append(int(np.nanargmin(distance)))
    few = select(activity, units=[str(unit) for unit in ftv["unit"].values[chosen]])
    means = [table for _, table, _ in means_by_task(few)]
    joined = xr.concat(
        means,
        dim="condition",
        data_vars="minimal",
        coords="minimal",
        compat="override",
        join="outer",
        combine_attrs="override",
    )
    return joined.assign(ftv=("unit", values[chosen]))


def _counts(activity: xr.DataTree) -> dict[str, int]:
    parts = list(blocks(activity).values())
    first = parts[0]
    return {
        "sessions": _n_distinct(first, "session"),
        "units": int(first.sizes["unit"]),
        "trials": sum(int(part.sizes[row_dim(part)]) for part in parts),
        "ragged": int(is_ragged(first)),
    }


def _n_distinct(table: xr.Dataset, column: str) -> int:
    """Count the sessions or animals of a unit table; one that does not say has one."""
    return int(np.unique(table[column].values).size) if column in table.coords else 1


def _comparison(
    entries: list[Entry],
    models: Sequence[_Model],
    guidance: str,
    n_permutations: int,
    seed: int,
) -> Comparison:
    recording = entries[0]
    simulated = bool(json.loads(recording.variance.attrs["provenance"]).get("simulated"))
    n_networks = len({model.name for model in models})
    title = f"{n_networks} network{'s' * (n_networks > 1)} against {recording.name}"
    n_hidden = sorted({_n_hidden(entry.variance) for entry in entries[1:]})
    animals = "simulated animals" if simulated else "animals"
    return Comparison(
        title=f"SIMULATED: {title}" if simulated else title,
        task_a=CONTEXTS[0],
        task_b=CONTEXTS[1],
        display={task: display_name(task) for task in CONTEXTS},
        entries=entries,
        header={
            "networks": n_networks,
            animals: _n_distinct(recording.variance, "subject"),
            "sessions": recording.counts["sessions"],
            "recorded units": recording.counts["units"],
            "unit × trial observations": f"{recording.counts['trials']:,}",
            "hidden units a network": n_hidden[0] if len(n_hidden) == 1 else listing(n_hidden),
        },
        provenance={
            **environment(),
            "seed": seed,
            "recording": json.loads(recording.variance.attrs["provenance"]),
            "models": {model.source: model.provenance() for model in models},
        },
        simulated=simulated,
        how_to_get=guidance,
        notes=_methods(n_permutations, models, simulated=simulated),
    )


def _methods(n_permutations: int, models: Sequence[_Model], *, simulated: bool) -> list[str]:
    shown = {protocol for model in models for protocol in model.protocols}
    return [
        SIMULATED_METHOD if simulated else RECORDED_METHOD,
        *_networks_methods(models),
        *(text for protocol, text in _protocol_methods().items() if protocol in shown),
        "Units whose variances sum to 1e-3 or less are inactive and left out; the threshold is "
        "absolute, so it hardly touches spikes/s. The estimator is the variance across "
        "conditions at each time, then the mean over time.",
        f"Nulls: context labels permuted within condition ({n_permutations} permutations; "
        "two-sided p = (1 + b) / (1 + B)); condition labels shuffled within context (floor of "
        f"TV); {N_ROTATIONS} random rotations of all units, for the matched protocol within an "
        "axis, for the recording of the pseudo-population of condition means.",
    ]


def _networks_methods(models: Sequence[_Model]) -> list[str]:
    runs, files = (
        dict.fromkeys(model.method() for model in models if isinstance(model, kind))
        for kind in (_Run, _File)
    )
    texts = []
    if runs:
        texts.append(f"Networks: {'; '.join(runs)}; recorded without noise.")
    if files:
        texts.append(f"Networks as recorded elsewhere: {'; '.join(files)}.")
    return texts


def _protocol_methods() -> dict[str, str]:
    protocol = MatchedProtocol()
    strengths = ", ".join(f"{c:g}" for c in protocol.coherences)
    return {
        "matched": f"Matched protocol: two opposite targets on {protocol.n_axes} axes, six signed "
        f"coherences (±{strengths}) of modality 1 by six of modality 2, a stimulus of "
        f"{protocol.stimulus_ms:g} ms, rates of the stimulus epoch in 50-ms bins, smoothed as "
        "the recording, the four combinations of signs as conditions. A unit on one axis is one "
        "sample. Trial numbers and spiking noise are not matched.",
        "published": "Published protocol: the published test trials (20 directions × 5 × 5 "
        "strengths), every trial a condition, stimulus and response epochs. The recording has "
        "the stimulus window only, so the epochs differ between the two sides.",
        "as recorded": "As recorded: an activity from a file that is neither; what was shown is "
        "known as far as the file's provenance says (below), and its conditions and epochs are "
        "the file's own. Units sampled on several axes are rotated within an axis here too.",
    }
