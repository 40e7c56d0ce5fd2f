"""What a comparison stands on: a recording and models, measured alike on every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import xarray as xr

from nwbcompare.analysis.selectivity.noise_correction import corrected_task_variance
from nwbcompare.analysis.selectivity.task_variance import fractional_task_variance, task_variance
from nwbcompare.comparison.matched_sampling import sample_draws, sample_like
from nwbcompare.comparison.protocol_mapping import (
    ProtocolMapping,
    mapping_name,
    mapping_names,
    read_mapping,
)
from nwbcompare.core.activity import blocks
from nwbcompare.core.errors import ExplainedError, InputError, listing
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.core.unit_samples import SESSION, UnitSample
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.compare_settings import Settings
from nwbcompare.workflows.model_sources import File, Model, families
from nwbcompare.workflows.sources import record_test_trials

LEAST_ACTIVE = 3
PROTOCOLS = {
    "sampled": "Sampled as the recording: its conditions, trials, rates and noise",
    "signal": "Sampled, and as strongly tuned as the recorded units",
    "matched": "The recording's conditions, without noise",
    "published": "Published test trials, without noise",
    "as recorded": "As recorded in a file",
}
"""What networks were shown and how they were sampled, from the nearest to the recording."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The units of one source on one protocol.

    Attributes
    ----------
    name, family
        Of the model, or of the recording.
    protocol
        A name in `PROTOCOLS`, or "recorded".
    ftv
        From `nwbcompare.fractional_task_variance`: the sample table; of several draws with a
        dimension ``draw``.
    """

    name: str
    family: str
    protocol: str
    ftv: xr.Dataset


@dataclass
class Measurements:
    """A recording, models, and what has been measured of them."""

    recording: xr.DataTree
    models: Sequence[Model]
    settings: Settings
    mapping: ProtocolMapping | None
    recorded: Sample
    variance: xr.Dataset
    """The recording's task variance."""
    corrected: xr.Dataset
    """The same without trial noise."""
    samples: list[Sample]
    drawn: dict[str, xr.DataTree]
    """The first draw of each network on the protocol "sampled", by name."""
    refused: list[str]
    """Why networks were not sampled on the protocol "signal"."""
    warned: list[str]
    """What the functions warned of."""

    @property
    def pair(self) -> tuple[str, str]:
        """The two tasks."""
        return self.settings.pair

    @property
    def shown(self) -> dict[str, str]:
        """Display names of the two tasks."""
        return {task: display_name(task) for task in self.pair}

    @property
    def name(self) -> str:
        """The recording's name."""
        return self.recorded.name

    @property
    def simulated(self) -> bool:
        """Whether the recording is a simulated stand-in."""
        return bool(json.loads(self.variance.attrs["provenance"]).get("simulated"))

    @property
    def banner(self) -> str:
        """What stands over every figure of a stand-in."""
        return "SIMULATED recording" if self.simulated else ""

    @cached_property
    def families(self) -> dict[str, list[Model]]:
        """The models by family."""
        return families(self.models)

    @property
    def protocols(self) -> list[str]:
        """The protocols that any model was sampled on, the nearest to the recording first."""
        here = {sample.protocol for sample in self.samples}
        return [name for name in PROTOCOLS if name in here]

    def on(self, protocol: str, family: str | None = None) -> list[Sample]:
        """Give the models' samples on a protocol."""
        return [
            sample
            for sample in self.samples
            if sample.protocol == protocol and family in {None, sample.family}
        ]

    def n_of(self, column: str) -> int:
        """Count the recording's sessions or animals; one that does not say has one."""
        columns = SESSION if column == "session" else (column,)
        return len(UnitSample(self.recorded.ftv).groups(*columns).labels)


def measure(
    recording: xr.DataTree,
    models: Sequence[Model],
    settings: Settings,
    mapping: ProtocolMapping | None,
) -> Measurements:
    """Measure a recording, and models on every protocol that they can be shown.

    Parameters
    ----------
    recording, models
        From `nwbcompare.workflows.recording_source.choose_recording` and
        `nwbcompare.workflows.model_sources.find_models`.
    settings
        How.
    mapping
        What the recording's conditions are to a network, from `mapping_of`; without it networks
        are not sampled.

    Raises
    ------
    InputError
        Where a source has fewer than 3 active units, and where networks would be sampled from a
        recording whose tasks are on clocks of their own.
    """
    if mapping is not None:
        _check_one_clock(recording)
    wanted = [(model, one) for model in models for one in _protocols_of(model, mapping)]
    jobs: list[Job] = [
        (
            f"{model.name}, {protocol}",
            _measured,
            (model, protocol, seed, recording, settings, mapping),
        )
        for model, protocol in wanted
        for seed in [settings.seed + settings.n_draws * models.index(model)]
    ]
    of_recording: list[Job] = [
        ("recording", sample_of, ([recording], settings.pair, "recorded", "")),
        ("recording", task_variance, (recording,)),
        ("recording", corrected_task_variance, (recording,)),
    ]
    (recorded, variance, corrected, *found), heard = run_all(
        [*of_recording, *jobs], settings.workers_for(recording), "networks"
    )
    known = [(sample, first) for sample, first in found if not isinstance(sample, str)]
    drawn = {sample.name: first for sample, first in known if sample.protocol == "sampled"}
    return Measurements(
        recording=recording,
        models=models,
        settings=settings,
        mapping=mapping,
        recorded=recorded,
        variance=variance,
        corrected=corrected,
        samples=[sample for sample, _ in known],
        drawn=drawn,
        refused=list(dict.fromkeys(why for why, _ in found if isinstance(why, str))),
        warned=heard,
    )


def _check_one_clock(recording: xr.DataTree) -> None:
    """Refuse to sample networks from tasks of which each has its own epoch and bins."""
    if len(found := blocks(recording)) > 1:
        raise InputError(
            "recording",
            "both tasks over the same time, in one block, for networks to be sampled as it was",
            f"{len(found)} blocks: {listing(found)}",
            "Cut and bin the tasks alike (nwbcompare.align, nwbcompare.rebin) and join them.",
        )


def _measured(
    model: Model,
    protocol: str,
    seed: int,
    recording: xr.DataTree,
    settings: Settings,
    mapping: ProtocolMapping | None,
) -> tuple[Sample | str, xr.DataTree | None]:
    """Measure a model on a protocol, or say why not; give its first draw too, if it is sampled."""
    try:
        activities = list(_activities(model, protocol, seed, recording, settings, mapping))
    except ExplainedError as error:
        if protocol != "signal":
            raise
        # it needs two trials in every condition of every unit, which the others do not
        return error.reason, None
    pair = network_pair(settings.pair, mapping) if protocol == "published" else settings.pair
    sample = sample_of(activities, pair, protocol, model.family)
    return sample, activities[0] if protocol == "sampled" else None


def mapping_of(recording: xr.DataTree, mapping: Any = None) -> ProtocolMapping | None:
    """Give the mapping that was named, else the one for the recording's archive, if any."""
    if mapping is not None:
        return read_mapping(mapping)
    name = mapping_name(next(iter(blocks(recording).values())))
    return read_mapping(name) if name in mapping_names() else None


def sample_of(
    activities: Sequence[xr.DataTree], pair: tuple[str, str], protocol: str, family: str
) -> Sample:
    """Measure one source, from one or several draws, as every source is measured."""
    ftvs = [
        fractional_task_variance(task_variance(activity), *pair, missing="nan")
        for activity in activities
    ]
    name = str(ftvs[0].attrs["name"])
    n_active = min(int(ftv["active"].sum()) for ftv in ftvs)
    if n_active < LEAST_ACTIVE:
        raise InputError(
            name,
            f"at least {LEAST_ACTIVE} units that are active in the two tasks",
            f"{n_active} of {ftvs[0].sizes['unit']} ({protocol})",
            "Its rates hardly vary between conditions: check its training and its units.",
        )
    return Sample(name=name, family=family, protocol=protocol, ftv=_draws(ftvs))


def _draws(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join the tables of several draws; columns that differ between draws go."""
    if len(tables) == 1:
        return tables[0]
    kept = {"unit", "recorded_unit", "session", "subject", "task"}
    plain = [
        table.assign_coords(unit=table["recorded_unit"].values).drop_vars(
            set(table.coords) - kept, errors="ignore"
        )
        for table in tables
    ]
    return xr.concat(
        plain,
        dim="draw",
        data_vars="all",
        coords="minimal",
        compat="override",
        join="override",
        combine_attrs="override",
    )


def _protocols_of(model: Model, mapping: ProtocolMapping | None) -> tuple[str, ...]:
    if isinstance(model, File):
        return (model.protocol,)
    return ("published",) if mapping is None else ("sampled", "signal", "matched", "published")


def _activities(
    model: Model,
    protocol: str,
    seed: int,
    recording: xr.DataTree,
    settings: Settings,
    mapping: ProtocolMapping | None,
) -> Iterator[xr.DataTree]:
    """Give a model's activity on a protocol: once without noise, several draws with it."""
    if isinstance(model, File):
        yield model.activity
    elif protocol == "published":
        yield record_test_trials(model.network, network_pair(settings.pair, mapping))
    elif protocol == "matched":
        yield sample_like(model.network, recording, mapping, noise=False, seed=seed)
    else:
        # no two networks share their random numbers; the two kinds of draws share units
        yield from sample_draws(
            model.network,
            recording,
            mapping,
            seeds=range(seed, seed + settings.n_draws),
            match="rate" if protocol == "sampled" else "signal",
        )


def network_pair(pair: tuple[str, str], mapping: ProtocolMapping | None) -> tuple[str, str]:
    """Give what the two tasks of a recording are to a network."""
    tasks = {} if mapping is None else mapping.tasks
    return tasks.get(pair[0], pair[0]), tasks.get(pair[1], pair[1])
