"""The comparison of networks with a recording: one analysis for both, then the report."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from tqdm import tqdm

from nwbcompare.activity import blocks, is_ragged, row_dim, select
from nwbcompare.analysis import fractional_task_variance, task_variance
from nwbcompare.analysis.variance import means_by_task
from nwbcompare.datasets import DatasetNotFoundError, get_loader, how_to_get
from nwbcompare.datasets.location import ENVIRONMENT_VARIABLE
from nwbcompare.errors import InputError
from nwbcompare.files import check_output_folder, sha256_of_file, written_aside
from nwbcompare.model import Network
from nwbcompare.model.checkpoint import WEIGHTS, read_training
from nwbcompare.nwb import write_nwb
from nwbcompare.protocol import CONTEXTS, MatchedProtocol, record_matched, simulate_recording
from nwbcompare.provenance import environment
from nwbcompare.report import Comparison, Entry, write_page
from nwbcompare.sources import find_network, load, record_test_trials, resolve, run_folder
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
    models: Sequence[str] = MODELS,
    recording: str | None = None,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Compare networks with a recording in the two context tasks and write the report.

    Parameters
    ----------
    out
        The folder: ``index.html``, ``report.json``, a CSV and an SVG for each figure, and the
        first network's activity as NWB.
    models
        Run folders, or ``pretrained:NAME``.
    recording
        A SOURCE (see `nwbcompare.sources.resolve`); by default Mante et al. 2013 where it is
        found, else a recording simulated from another network, marked as such everywhere.
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
        Where a source is not there or does not fit, or ``out`` cannot be written.
    """
    check_output_folder(out, kind="report", is_kind=_is_report, overwrite=overwrite)
    if not models:
        raise InputError("models", "at least one network", "none", "Use pretrained:all20-fast-0.")
    if n_permutations < 1:
        raise InputError("n_permutations", "1 or more", repr(n_permutations), "Use 200.")
    networks = [find_network(model) for model in models]
    activity, guidance = _find_recording(recording, seed)
    with tqdm(total=2 + 2 * len(networks), desc="report", disable=None) as bar:
        entries = [_entry(activity, "recorded", n_permutations, seed)]
        bar.update()
        first: xr.DataTree | None = None
        for network in networks:
            entries.append(_entry(record_matched(network), "matched", 0, seed))
            bar.update()
            test = record_test_trials(network, CONTEXTS, inputs_and_outputs=first is None)
            first = test if first is None else first
            entries.append(_entry(test, "published", 0, seed))
            bar.update()
        comparison = _comparison(entries, networks, models, guidance, n_permutations, seed)
        with written_aside(out, overwrite=overwrite) as aside:
            aside.mkdir()
            write_page(comparison, aside)
            assert first is not None  # noqa: S101 - there is at least one network
            write_nwb(first, aside / f"{networks[0].name}.nwb")
        bar.update()
    return Path(out)


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

    Only the label nulls need noisy trials, which a noise-free network does not have.
    """
    first = next(iter(blocks(activity).values()))
    variance = task_variance(activity)
    ftv = fractional_task_variance(variance, *CONTEXTS)
    noisy = not first.attrs["deterministic"]
    within = "session" if protocol == "matched" else None
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
        if noisy
        else None,
        condition_null=condition_label_null(activity, n_permutations=n_permutations, seed=seed)
        if noisy
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
        "sessions": int(np.unique(first["session"].values).size),
        "units": int(first.sizes["unit"]),
        "trials": sum(int(part.sizes[row_dim(part)]) for part in parts),
        "ragged": int(is_ragged(first)),
    }


def _comparison(
    entries: list[Entry],
    networks: list[Network],
    models: Sequence[str],
    guidance: str,
    n_permutations: int,
    seed: int,
) -> Comparison:
    recording = entries[0]
    simulated = bool(json.loads(recording.variance.attrs["provenance"]).get("simulated"))
    title = f"{len(networks)} trained networks against {recording.name}"
    animals = "simulated animals" if simulated else "animals"
    return Comparison(
        title=f"SIMULATED: {title}" if simulated else title,
        task_a=CONTEXTS[0],
        task_b=CONTEXTS[1],
        display={task: display_name(task) for task in CONTEXTS},
        entries=entries,
        header={
            "networks": len(networks),
            animals: int(np.unique(recording.variance["subject"].values).size),
            "sessions": recording.counts["sessions"],
            "recorded units": recording.counts["units"],
            "unit × trial observations": f"{recording.counts['trials']:,}",
            "hidden units a network": networks[0].config.n_units,
        },
        provenance={
            **environment(),
            "seed": seed,
            "recording": json.loads(recording.variance.attrs["provenance"]),
            "models": {
                model: {"weights_sha256": sha256_of_file(run_folder(model) / WEIGHTS)}
                for model in models
            },
        },
        simulated=simulated,
        how_to_get=guidance,
        notes=_methods(n_permutations, networks, models, simulated=simulated),
    )


def _training_method(network: Network, model: str) -> str:
    """Say in a sentence what a network is and how it came about."""
    config, training = network.config, read_training(run_folder(model))
    cell = config.cell.replace("_", " ")
    made = f"a {cell} of {config.n_units} {config.nonlinearity} units"
    if training is None:
        return f"{made}, whose training is not known"
    names = ", ".join(display_name(task) for task in training.tasks)
    tasks = "all 20 tasks" if set(training.tasks) == set(RULES) else names
    return f"{made} trained on {tasks} (schedule {training.schedule!r})"


def _methods(
    n_permutations: int, networks: list[Network], models: Sequence[str], *, simulated: bool
) -> list[str]:
    protocol = MatchedProtocol()
    strengths = ", ".join(f"{c:g}" for c in protocol.coherences)
    kinds = dict.fromkeys(map(_training_method, networks, models))
    return [
        SIMULATED_METHOD if simulated else RECORDED_METHOD,
        f"Networks: {'; '.join(kinds)}; recorded without noise.",
        f"Matched protocol: two opposite targets on {protocol.n_axes} axes, six signed "
        f"coherences (±{strengths}) of modality 1 by six of modality 2, a stimulus of "
        f"{protocol.stimulus_ms:g} ms, rates of the stimulus epoch in 50-ms bins, smoothed as "
        "the recording, the four combinations of signs as conditions. A unit on one axis is one "
        "sample. Trial numbers and spiking noise are not matched.",
        "Published protocol: the published test trials (20 directions × 5 × 5 strengths), every "
        "trial a condition, stimulus and response epochs. The recording has the stimulus window "
        "only, so the epochs differ between the two sides.",
        "Units whose variances sum to 1e-3 or less are inactive and left out; the threshold is "
        "absolute, so it hardly touches spikes/s. The estimator is the variance across "
        "conditions at each time, then the mean over time.",
        f"Nulls: context labels permuted within condition ({n_permutations} permutations; "
        "two-sided p = (1 + b) / (1 + B)); condition labels shuffled within context (floor of "
        f"TV); {N_ROTATIONS} random rotations of all units, for the matched protocol within an "
        "axis, for the recording of the pseudo-population of condition means.",
    ]
