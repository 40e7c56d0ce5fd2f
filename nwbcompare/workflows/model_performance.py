"""Performance of a comparison's models in its two tasks, and whether they have learned them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.protocol_mapping import ProtocolMapping
from nwbcompare.comparison.task_performance import (
    CRITERION,
    published_performance,
    score_of,
    task_performance,
)
from nwbcompare.core.activity import blocks, columns_on, is_of_task, labels, row_dim
from nwbcompare.core.checks import check_known, is_finite
from nwbcompare.core.errors import InputError
from nwbcompare.model.network import TOLERANCE_RAD
from nwbcompare.tasks.channels import angular_distance
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.analysis_sources import FileSource, NetworkSource
from nwbcompare.workflows.models import Model
from nwbcompare.workflows.sampling_protocols import Pair, model_pair

ROUNDING = 1e-9
Floats = npt.NDArray[np.float64]
Origin = Literal["measured", "stated", "unknown"]


@dataclass(frozen=True, kw_only=True)
class ModelPerformance:
    """Performance of a model in the two tasks.

    Attributes
    ----------
    name
        Of the model.
    origin
        "measured"; "stated" by the user; "unknown".
    performance, chance
        Shares of correct trials in the two tasks, and those of permuted targets or as stated;
        NaN where they are unknown.
    trials
        On which trials: "the recording's conditions", ...
    """

    name: str
    origin: Origin
    performance: tuple[float, float]
    chance: tuple[float, float]
    trials: str

    @property
    def scores(self) -> tuple[float, float]:
        """(performance - chance) / (1 - chance) in the two tasks."""
        first, second = score_of(self.performance, self.chance)
        return float(first), float(second)

    @property
    def has_learned(self) -> bool | None:
        """Whether the model reaches the criterion in both tasks; None where that is unknown."""
        # whatever chance is, a score is no larger than the performance
        if any(one < CRITERION - ROUNDING for one in (*self.scores, *self.performance)):
            return False
        return None if np.isnan(self.scores).any() else True

    def text(self, pair: Pair) -> str:
        """Return performance and chance by task, for a sentence."""
        each = zip(pair, self.performance, self.chance, strict=True)
        return ", ".join(
            f"{share:.3g} in {display_name(task)} (chance "
            f"{'not known' if np.isnan(guessed) else f'{guessed:.3g}'})"
            for task, share, guessed in each
        )


def measure_performance(
    models: Sequence[Model],
    recording: xr.DataTree,
    mapping: ProtocolMapping | None,
    pair: Pair,
    *,
    stated: Mapping[str, Sequence[float]],
    chance: Sequence[float] | None,
) -> list[ModelPerformance]:
    """Measure each model's performance in the two tasks, or take it as stated.

    Parameters
    ----------
    models
        The models.
    recording, mapping
        The recording, in whose conditions networks are run; without a mapping they are run in
        the published test trials.
    pair
        The two tasks by their names in the recording.
    stated
        Performance in the two tasks by name of the model, for activity in files without a column
        ``correct``.
    chance
        Chance in the two tasks; by default the performance that permuted targets give: known for
        networks, and for files with ``choice`` and ``target``, or ``choice_direction`` and
        ``response_direction``.

    Raises
    ------
    InputError
        For stated values outside of [0, 1], of a model that is not there or is measured, or
        without chance.
    """
    _check_stated(models, stated, chance)
    return [_performance_of(one, recording, mapping, pair, stated, chance) for one in models]


def _performance_of(
    model: Model,
    recording: xr.DataTree,
    mapping: ProtocolMapping | None,
    pair: Pair,
    stated: Mapping[str, Sequence[float]],
    chance: Sequence[float] | None,
) -> ModelPerformance:
    own = stated.get(model.name)
    origin: Origin = "measured"
    if isinstance(model, FileSource):
        found, trials = (
            _of_activity(model.activity, model_pair(pair, model.match)),
            "its own trials",
        )
        is_measured, how = bool(np.isfinite(found[:, 0]).all()), "in its column 'correct'"
    else:
        found, trials = _of_network(model, recording, mapping, pair)
        is_measured, how = True, "by running it"
    if own is not None and is_measured:
        raise InputError(
            "--performance",
            "models whose performance is not measured",
            f"{model.name!r}, whose performance is measured {how}",
            "Leave it out.",
        )
    if own is not None:
        origin, found = "stated", np.column_stack([own, [np.nan, np.nan]])
    elif not is_measured:
        origin = "unknown"
    if chance is not None:
        found[:, 1] = chance
    (first, guessed), (second, guessed_second) = found.tolist()
    return ModelPerformance(
        name=model.name,
        origin=origin,
        performance=(first, second),
        chance=(guessed, guessed_second),
        trials=trials,
    )


def _of_network(
    model: NetworkSource, recording: xr.DataTree, mapping: ProtocolMapping | None, pair: Pair
) -> tuple[Floats, str]:
    """Return a network's performance and chance ``(task, 2)``, and in which trials."""
    # of several blocks the samples say what they need
    if mapping is None or len(blocks(recording)) > 1:
        table = published_performance(model.network, [*model_pair(pair, mapping)])
        trials = "the published test trials"
    else:
        check_known(mapping.where("tasks"), pair, mapping.tasks)
        table = task_performance(model.network, recording, mapping).sel(task=list(pair))
        trials = "the recording's conditions"
    return np.column_stack([table["performance"], table["chance"]]), trials


def _of_activity(activity: xr.DataTree, pair: Pair) -> Floats:
    """Return performance and chance ``(task, 2)`` from the trial columns of an activity."""
    found = []
    for task in pair:
        columns: dict[str, list[npt.NDArray[Any]]] = {}
        for block in blocks(activity).values():
            row = row_dim(block)
            inside = is_of_task(block, task)
            for name, column in columns_on(block, row).items():
                columns.setdefault(name, []).append(labels(column)[inside])
        joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        correct = joined.get("correct", np.array([])).astype(np.float64)
        share = float(np.nanmean(correct)) if np.isfinite(correct).any() else np.nan
        found.append((share, _chance(joined)))
    return np.array(found)


def _chance(columns: Mapping[str, npt.NDArray[Any]]) -> float:
    """Return the performance that permuted targets give, the mean over all permutations."""
    if {"choice", "target"} <= set(columns):
        choice, target = columns["choice"], columns["target"]
        values = np.unique(target)
        return float(sum((choice == one).mean() * (target == one).mean() for one in values))
    if {"choice_direction", "response_direction"} <= set(columns):
        choice, target = columns["choice_direction"], columns["response_direction"]
        # whether fixation went on is no column, so that nothing is known of trials without a go
        if np.isfinite(target).all():
            values, numbers = np.unique(target, return_counts=True)
            near = [(angular_distance(choice, one) < TOLERANCE_RAD).mean() for one in values]
            return float(np.average(near, weights=numbers))
    return np.nan


def _check_stated(
    models: Sequence[Model], stated: Mapping[str, Sequence[float]], chance: Sequence[float] | None
) -> None:
    check_known("--performance", stated, [model.name for model in models])
    for what, shares in [*stated.items(), *([] if chance is None else [("--chance", chance)])]:
        below_one = what == "--chance"
        if len(shares) != 2 or not all(
            is_finite(share) and 0 <= share <= 1 and not (below_one and share == 1)
            for share in shares
        ):
            raise InputError(
                what if below_one else f"--performance, {what}",
                "two shares of correct trials, from 0 to 1, in the order of the pair"
                + (", below 1" if below_one else ""),
                repr(list(shares)),
                "Write --chance 0.5,0.5." if below_one else f"Write {what}=0.93,0.88.",
            )
    if stated and chance is None:
        raise InputError(
            "--chance",
            "performance by chance, where a performance is stated",
            "none",
            "Write --chance 0.5,0.5, in the order of the pair.",
        )
