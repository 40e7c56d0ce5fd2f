"""A recording and models measured alike: what the sections of a comparison take."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import xarray as xr

from nwbcompare.analysis.selectivity.task_variance import fractional_task_variance, task_variance
from nwbcompare.comparison.protocol_mapping import (
    ProtocolMapping,
    mapping_name,
    mapping_names,
    read_mapping,
)
from nwbcompare.comparison.recorded_trials import RecordedTrials
from nwbcompare.core.activity import blocks
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.core.unit_samples import SESSION, UnitSample
from nwbcompare.model.network import Network
from nwbcompare.tasks.registry import display_name
from nwbcompare.workflows.analysis_sources import FileSource, activity_digest
from nwbcompare.workflows.model_performance import ModelPerformance
from nwbcompare.workflows.models import Model
from nwbcompare.workflows.recording_source import RecordingChoice
from nwbcompare.workflows.sampling_protocols import (
    AS_RECORDED,
    MATCHED,
    PROTOCOLS,
    PUBLISHED,
    RANKED,
    RATE,
    REVERSED,
    TUNING,
    ModelInTrials,
    Pair,
    SamplingProtocol,
)
from nwbcompare.workflows.section import Refusal, Results
from nwbcompare.workflows.settings import Settings

NETWORK_PROTOCOLS = (TUNING, RANKED, REVERSED, RATE, MATCHED, PUBLISHED)
# fewer values are no distribution to compare
LEAST_ACTIVE = 3
SAMPLE_COORDS = frozenset({"unit", "recorded_unit", "session", "subject", "task"})
"""Coordinates of a sample table that all draws share."""


@dataclass(eq=False)
class ComparisonSource:
    """A recording and the models that are compared with it.

    Attributes
    ----------
    choice
        The recording.
    models
        The models that findings are about.
    mapping
        Conditions of the recording as conditions of a network; None where there is no mapping.
    settings
        Settings of the comparison.
    performances
        Performance of all models.
    below
        Models that have not learned the two tasks, which no finding is about.
    references
        First rate-matched draw of each reference by name, with the name of the network that it is
        the untrained one of ("" for none); None before they were drawn.
    """

    choice: RecordingChoice
    models: Sequence[Model]
    mapping: ProtocolMapping | None
    settings: Settings
    performances: Sequence[ModelPerformance] = ()
    below: Sequence[Model] = ()
    references: dict[str, tuple[str, xr.DataTree]] | None = None
    kind = "comparison"

    @property
    def recording(self) -> xr.DataTree:
        """Activity of the recording."""
        return self.choice.activity

    @property
    def name(self) -> str:
        """Name of the recording."""
        return str(next(iter(blocks(self.recording).values())).attrs["name"])

    @property
    def every_model(self) -> list[Model]:
        """All models in the order in which they were named."""
        by_name = {model.name: model for model in (*self.models, *self.below)}
        return [by_name[one.name] for one in self.performances]

    def identity(self) -> dict[str, Any]:
        """Return checksums of the recording and the models, and the mapping."""
        return {
            "recording": activity_digest(self.recording),
            "models": {
                f"{model.family}={model.name}": model.identity()
                for model in (*self.models, *self.below)
            },
            "stated performance": {
                one.name: [*one.performance, *one.chance]
                for one in self.performances
                if one.origin == "stated"
            },
            "mapping": None if self.mapping is None else self.mapping.parameters(),
            "matches": {
                model.name: model.match.parameters()
                for model in (*self.models, *self.below)
                if model.match is not None
            },
        }

    def forget(self) -> None:
        """Free the sampled activity, which is drawn again on the next access."""
        # where cached_property keeps its value
        self.__dict__.pop("sampled", None)
        self.references = None

    def seeds_of(self, model: Model) -> range:
        """Return the seeds of a model's draws, of which no two models share one."""
        # with shared seeds errors of different networks would be correlated
        place = [*self.models, *self.below].index(model)
        # the references' seeds lie between
        place += len(self.models) + 2 if place >= len(self.models) else 0
        first = self.settings.seed + self.settings.n_draws * place
        return range(first, first + self.settings.n_draws)

    @cached_property
    def recorded(self) -> RecordedTrials | None:
        """Trials of the recording in which networks are sampled; None without a mapping."""
        return None if self.mapping is None else RecordedTrials.of(self.recording, self.mapping)

    def in_trials(self, model: Model | Network) -> ModelInTrials:
        """Return a network, or the activity of a file, in the trials of the recording."""
        pair = self.settings.pair
        if not isinstance(model, FileSource):
            network = model if isinstance(model, Network) else model.network
            return ModelInTrials(network, pair, self.mapping, self.recorded)
        match = model.match
        recorded = None if match is None else RecordedTrials.of(self.recording, match)
        return ModelInTrials(model.activity, pair, match, recorded)

    def protocols_of(self, model: Model) -> tuple[SamplingProtocol, ...]:
        """Return the protocols on which a model is measured, from the nearest to the recording."""
        if not isinstance(model, FileSource):
            return NETWORK_PROTOCOLS if self.mapping is not None else (PUBLISHED,)
        if model.match is None:
            return (PROTOCOLS.get(model.protocol, AS_RECORDED),)
        return (TUNING, RANKED, REVERSED, RATE, AS_RECORDED)

    @property
    def samples_models(self) -> bool:
        """Whether any model is sampled like the recording."""
        matched = any(model.match is not None for model in self.models)
        return self.mapping is not None or matched

    @cached_property
    def sampled(self) -> dict[str, xr.DataTree]:
        """First rate-matched draw of each network, by name."""
        sampled = {}
        for model in self.models:
            one = self.in_trials(model)
            if one.correspondence is not None and not one.sampler.response.signed:
                sampled[model.name] = RATE.activities(one, self.seeds_of(model)[:1])[0]
        return sampled


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Units of one source on one protocol.

    Attributes
    ----------
    name, family
        Of the model, or of the recording.
    protocol
        A name in `nwbcompare.workflows.sampling_protocols.PROTOCOLS`, or "recorded".
    ftv
        Table of `nwbcompare.fractional_task_variance`; of several draws with a dimension ``draw``.
    """

    name: str
    family: str
    protocol: str
    ftv: xr.Dataset


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """Description of a model on the page."""

    name: str
    family: str
    source: str
    n_hidden: int
    is_network: bool
    method: str
    provenance: Mapping[str, Any]
    match: Sequence[Sequence[str]] = ()
    """Rows of the table of matched conditions, of activity that is sampled."""
    match_notes: Sequence[str] = ()
    """Sentences on what has no partner."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """Measurements of a comparison, from the results of its section "samples".

    Attributes
    ----------
    recorded
        The recording's units.
    variance, corrected
        The recording's task variance, and the same without trial noise.
    samples
        The models' units on every protocol.
    models
        The models.
    mapping
        Parameters of the mapping; None where there is none.
    trial_length_s
        Length of a trial (s) by task.
    refusals
        Analyses that did not apply.
    warnings
        Warnings about units.
    """

    recorded: Sample
    variance: xr.Dataset
    corrected: xr.Dataset
    samples: Sequence[Sample]
    models: Sequence[ModelRecord]
    mapping: Mapping[str, Any] | None
    trial_length_s: Mapping[str, float]
    refusals: Mapping[str, Refusal]
    warnings: Sequence[str]

    @classmethod
    def of(cls, results: Results) -> Measurements:
        """Return the measurements in the results of the section "samples"."""
        recorded, about = results["recorded"], results["about"].attrs
        return cls(
            recorded=Sample(
                name=str(recorded.attrs["name"]), family="", protocol="recorded", ftv=recorded
            ),
            variance=results["variance"],
            corrected=results["corrected"],
            samples=[
                Sample(
                    name=str(table.attrs["name"]),
                    family=str(table.attrs["family"]),
                    protocol=str(table.attrs["protocol"]),
                    ftv=table,
                )
                for table in results.series("sample")
            ],
            models=[ModelRecord(**record) for record in json.loads(about["models"])],
            mapping=json.loads(about["mapping"]),
            trial_length_s=json.loads(about["trial_length_s"]),
            refusals=results.refusals,
            warnings=results.warnings,
        )

    @property
    def pair(self) -> Pair:
        """The two tasks."""
        return str(self.recorded.ftv.attrs["task_a"]), str(self.recorded.ftv.attrs["task_b"])

    @property
    def task_names(self) -> dict[str, str]:
        """Display names of the two tasks."""
        return {task: display_name(task) for task in self.pair}

    @property
    def name(self) -> str:
        """Name of the recording."""
        return self.recorded.name

    @property
    def simulated(self) -> bool:
        """Whether the recording is simulated."""
        return bool(json.loads(self.variance.attrs["provenance"]).get("simulated"))

    @property
    def banner(self) -> str:
        """Warning above every figure of a simulated recording."""
        return "SIMULATED recording" if self.simulated else ""

    @property
    def families(self) -> dict[str, list[ModelRecord]]:
        """Models by family, in the order of their first member."""
        families: dict[str, list[ModelRecord]] = {}
        for model in self.models:
            families.setdefault(model.family, []).append(model)
        return families

    @property
    def protocols(self) -> list[str]:
        """Protocols with any sample, from the nearest to the recording."""
        present = {sample.protocol for sample in self.samples}
        return [name for name in PROTOCOLS if name in present]

    def on(self, protocol: str, family: str | None = None) -> list[Sample]:
        """Return the models' samples on a protocol, of one family or of all."""
        return [
            sample
            for sample in self.samples
            if sample.protocol == protocol and family in {None, sample.family}
        ]

    def tables(self, samples: Sequence[Sample]) -> list[xr.Dataset]:
        """Return sample tables with the recording's names of the two tasks."""
        # on the published protocol tasks have the names of networks
        names = {"task_a": self.pair[0], "task_b": self.pair[1]}
        return [sample.ftv.assign_attrs(names) for sample in samples]

    @property
    def n_animals(self) -> int:
        """The recording's number of animals: one where it has no column of them."""
        return len(UnitSample(self.recorded.ftv).groups("subject").labels)

    @property
    def n_sessions(self) -> int:
        """The recording's number of sessions; 0 where they are unknown."""
        sample = UnitSample(self.recorded.ftv)
        return len(sample.groups(*SESSION).labels) if sample.has("session") else 0


def mapping_of(recording: xr.DataTree, mapping: Any = None) -> ProtocolMapping | None:
    """Return a mapping by name or file, else that of the recording's archive, if there is one."""
    if mapping is not None:
        return read_mapping(mapping)
    name = mapping_name(next(iter(blocks(recording).values())))
    # other archives have no mapping: networks are not sampled like them
    return read_mapping(name) if name in mapping_names() else None


def sample_table(activities: Sequence[xr.DataTree], pair: Pair, protocol: str) -> xr.Dataset:
    """Compute the FTV of a source's units from one activity or several draws.

    Parameters
    ----------
    activities
        The activity, or draws of it.
    pair
        The two tasks.
    protocol
        Name of the protocol, for the error.

    Returns
    -------
    xarray.Dataset
        See `nwbcompare.fractional_task_variance`; several draws lie on a dimension ``draw``.

    Raises
    ------
    NotApplicableError
        For fewer than 3 units that are active in the two tasks.
    """
    tables = [
        fractional_task_variance(task_variance(activity), *pair, missing="nan")
        for activity in activities
    ]
    # of each draw, not of each recorded unit
    tables = [table.reset_coords(list({"negative_share"} & set(table.coords))) for table in tables]
    # draws differ in their network units: the worst one decides
    n_active = min(int(table["active"].sum()) for table in tables)
    if n_active < LEAST_ACTIVE:
        raise NotApplicableError(
            str(tables[0].attrs["name"]),
            f"at least {LEAST_ACTIVE} units that are active in the two tasks",
            f"{n_active} of {tables[0].sizes['unit']} ({protocol})",
            "Its rates hardly vary between conditions: check its training and its units.",
        )
    return _joined(tables)


def _joined(tables: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join the tables of draws along ``draw``, without coordinates that differ between draws."""
    if len(tables) == 1:
        return tables[0]
    # a recorded unit may be represented by another network unit in each draw
    aligned = [
        table.assign_coords(unit=table["recorded_unit"].values).drop_vars(
            set(table.coords) - SAMPLE_COORDS, errors="ignore"
        )
        for table in tables
    ]
    return xr.concat(
        aligned,
        dim="draw",
        data_vars="all",
        coords="minimal",
        compat="override",
        # units are in the same order in every draw
        join="override",
        combine_attrs="override",
    )
