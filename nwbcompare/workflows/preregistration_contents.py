"""What a comparison and a study of continual learning fix beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nwbcompare.analysis.selectivity.task_variance import ACTIVE_THRESHOLD
from nwbcompare.comparison.matched_sampling import ACTIVE_SHARE
from nwbcompare.comparison.protocol_mapping import ProtocolMapping, read_mapping
from nwbcompare.comparison.sample_contrasts import KIND, THESE
from nwbcompare.comparison.task_performance import CRITERION
from nwbcompare.core.activity import blocks, labels
from nwbcompare.core.errors import InputError
from nwbcompare.core.provenance import git_revision, sources_sha256
from nwbcompare.datasets.location import DatasetNotFoundError, find_dataset
from nwbcompare.datasets.registry import loaders
from nwbcompare.inference.mixed_effects import LEAST_NETWORKS
from nwbcompare.workflows.analysis_sources import FileSource, NetworkSource, activity_digest
from nwbcompare.workflows.formatting import LEVEL
from nwbcompare.workflows.measurements import LEAST_ACTIVE, mapping_of
from nwbcompare.workflows.models import Model
from nwbcompare.workflows.preregistration import (
    Code,
    Contrast,
    Exclusions,
    Margin,
    Model as ModelRecord,
    Preregistration,
    Recording,
    Regime,
    Study,
)
from nwbcompare.workflows.recording_source import DATASET, RecordingChoice, choose_recording
from nwbcompare.workflows.sampling_protocols import TUNING
from nwbcompare.workflows.sections.continual_similarity import CONTRASTS
from nwbcompare.workflows.sections.ftv_distributions import MEASURES
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.sources import is_activity_model, is_network
from nwbcompare.workflows.study_plan import StudyPlan
from nwbcompare.workflows.training_regimes import CONTROLS, DONOR, UNTRAINED, regime_of_study

MISSING_UNITS = (
    "Units without FTV (inactive, or without a condition in a task) are left out, and counted."
)
LOST_NETWORKS = (
    "A network whose training diverges, explodes or stalls counts as lost and is named with the "
    "reason; no seed is added, left out or replaced."
)
DECISION = (
    "over networks by Student's t where sign flips of so few cannot be significant; called a "
    "difference only where it holds under every pairing of units by strength of tuning"
)
"""How the report reads the primary contrast of a comparison."""
PRIMARY, CONTROL, REFERENCE, SECONDARY = "primary contrast", "control", "reference", "secondary"
"""Parts of training regimes in the tests."""

BELOW_CRITERION = (
    "Networks whose (performance - chance) / (1 - chance) in the recording's conditions is below "
    f"{CRITERION:g} in one of the tasks are in no finding."
)


def contents_of_comparison(
    recording: str | None,
    choice: RecordingChoice | None,
    mapping: ProtocolMapping | None,
    models: Sequence[Model],
    settings: Settings,
    parameters: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Preregistration:
    """Return what a comparison fixes beforehand; nothing is computed.

    Parameters
    ----------
    recording
        Its SOURCE; None for the default.
    choice
        The recording; None where it is not there yet.
    mapping
        Conditions of the recording as conditions of a network.
    models
        The models.
    settings
        Settings of the comparison.
    parameters
        Those that the results depend on.
    notes
        Sentences of the authors.
    """
    # models in files are as recorded, and in no sample of the primary contrast
    families = [model.family for model in models if isinstance(model, NetworkSource)]
    smallest = min(map(families.count, families), default=0)
    claim = KIND if smallest >= LEAST_NETWORKS else THESE
    return Preregistration(
        report="compare",
        **_common(recording, choice, mapping, settings, parameters, notes),
        contrast=Contrast(
            protocol=TUNING.name,
            measure=MEASURES["sd"],
            first="networks of each family",
            second="recording",
            test=f"nwbcompare.compare_samples, claim about {claim}, two-sided, {DECISION}",
            level=LEVEL,
        ),
        exclusions=_exclusions(
            "No network is left out." if settings.include_untrained else BELOW_CRITERION, None
        ),
        models=[_record(model) for model in models],
    )


def contents_of_study(
    recording: str | None,
    choice: RecordingChoice | None,
    mapping: ProtocolMapping | None,
    plan: StudyPlan,
    settings: Settings,
    parameters: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Preregistration:
    """Return what a study fixes beforehand; see `contents_of_comparison`.

    Parameters
    ----------
    recording, choice, mapping, settings, parameters, notes
        As of a comparison.
    plan
        Networks and training.
    """
    first, second = CONTRASTS[0]
    return Preregistration(
        report="continual",
        **_common(recording, choice, mapping, settings, parameters, notes),
        contrast=Contrast(
            protocol=TUNING.name,
            measure="difference of Wasserstein distance of FTV to the recording",
            first=first,
            second=second,
            test="nwbcompare.comparison.compare_regimes: sign flips over paired seeds, two-sided",
            level=LEVEL,
        ),
        exclusions=_exclusions(LOST_NETWORKS, settings.least_performance),
        study=Study(
            regimes=[
                *(
                    Regime(name=name, role=_role(name), seeds=list(plan.seeds_of(name)))
                    for name in plan.all_regimes
                ),
                Regime(name=UNTRAINED, role=REFERENCE, seeds=list(range(plan.n_networks))),
            ],
            training=plan.training,
            recipe=_recipe(plan),
        ),
    )


def recording_if_there(
    recording: str | None,
    settings: Settings,
    mapping: Any,
    *,
    name: str | None = None,
    every_animal: bool = False,
) -> tuple[RecordingChoice | None, ProtocolMapping]:
    """Return a recording, or None where it is not there yet, with its mapping.

    Parameters
    ----------
    recording
        Its SOURCE; None for the default, in whose place no simulation stands here.
    settings
        Settings with the pair of tasks.
    mapping
        A mapping by name or file; by default that of the recording's archive.
    name
        Name of the recording; by default that in its data.
    every_animal
        As the report chooses its recording.

    Raises
    ------
    InputError
        As `nwbcompare.workflows.recording_source.choose_recording`, and without a mapping, which
        the primary contrast needs.
    """
    source = DATASET if recording is None else recording
    if not _is_there(source):
        return None, read_mapping(mapping, dataset=_head(source).partition(":")[0])
    choice = choose_recording(
        recording, settings.pair, settings.seed, name=name, every_animal=every_animal
    )
    chosen = mapping_of(choice.activity, mapping)
    if chosen is None:
        raise InputError(
            "mapping",
            "a mapping of the recording's conditions, which the primary contrast needs",
            "none, and none comes along for this recording",
            "Write one (nwbcompare mapping new) and pass it with --mapping.",
        )
    return choice, chosen


def check_networks(models: Sequence[Model]) -> None:
    """Check that there is a network, which can be sampled like the recording.

    Raises
    ------
    InputError
        Where all models are activity in files, as recorded.
    """
    if all(isinstance(model, FileSource) for model in models):
        raise InputError(
            "models",
            f"a network, whose units are sampled for the primary contrast ({TUNING.name!r})",
            "activity in files only",
            "Add a run folder or pretrained:NAME.",
        )


def _is_there(source: str) -> bool:
    head = _head(source)
    if Path(source).exists() or Path(head).exists():
        return True
    name, _, path = head.partition(":")
    if name not in loaders():
        # a model is no recording, which is an error of its own
        return is_network(source) or is_activity_model(source)
    try:
        find_dataset(name, path or None)
    except DatasetNotFoundError:
        return False
    return True


def _head(source: str) -> str:
    return source.partition("?")[0]


def _common(
    recording: str | None,
    choice: RecordingChoice | None,
    mapping: ProtocolMapping | None,
    settings: Settings,
    parameters: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return what both reports fix."""
    return {
        "written_on": datetime.now(tz=UTC).date(),
        "code": Code(
            nwbcompare=version("nwbcompare"),
            git_revision=git_revision(),
            sources_sha256=sources_sha256(),
        ),
        "pair": list(settings.pair),
        "recording": _recording(DATASET if recording is None else recording, choice),
        "mapping": None if mapping is None else _plain(mapping.parameters()),
        "margin": Margin(
            value=parameters.get("margin"), reason=parameters.get("margin_reason", "")
        ),
        "numbers": {k: v for k, v in parameters.items() if k == "seed" or k.startswith("n_")},
        "notes": list(notes),
    }


def _recording(source: str, choice: RecordingChoice | None) -> Recording:
    if choice is None:
        return Recording(source=source)
    leaves = list(blocks(choice.activity).values())
    conditions: dict[str, list[str]] = {}
    for block in leaves:
        conditions |= json.loads(block.attrs["condition_variables"])
    subjects = [labels(block["subject"]) for block in leaves if "subject" in block.coords]
    return Recording(
        source=source,
        name=str(leaves[0].attrs["name"]),
        sha256=activity_digest(choice.activity),
        conditions=conditions,
        subjects=sorted({str(subject) for block in subjects for subject in block}),
        simulated=bool(choice.guidance),
    )


def _exclusions(networks: str, least_performance: float | None) -> Exclusions:
    return Exclusions(
        active_threshold=ACTIVE_THRESHOLD,
        active_share_of_networks=ACTIVE_SHARE,
        least_active_units=LEAST_ACTIVE,
        missing_units=MISSING_UNITS,
        least_performance=least_performance,
        networks=networks,
    )


def _record(model: Model) -> ModelRecord:
    seed = model.network.config.seed if isinstance(model, NetworkSource) else None
    return ModelRecord(
        name=model.name,
        family=model.family,
        source=model.source,
        seed=seed,
        checksums=model.identity(),
    )


def _role(regime: str) -> str:
    if regime in CONTRASTS[0]:
        return PRIMARY
    return CONTROL if regime in CONTROLS else SECONDARY


def _recipe(plan: StudyPlan) -> dict[str, Any]:
    """Return the configurations of a consolidated network, but its seeds."""
    network, training = plan.configs_of(regime_of_study(DONOR, plan.strength), 0)
    return _plain({"network": _unseeded(asdict(network)), "training": _unseeded(asdict(training))})


def _unseeded(table: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _unseeded(value) if isinstance(value, dict) else value
        for name, value in table.items()
        if name != "seed"
    }


def _plain(table: dict[str, Any]) -> dict[str, Any]:
    """Return a table as JSON has it, without tuples."""
    return dict(json.loads(json.dumps(table)))
