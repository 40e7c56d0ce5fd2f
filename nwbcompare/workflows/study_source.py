"""A study of continual learning as the source of a report: networks, their logs and measures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from nwbcompare.model.checkpoint import read_evaluation, read_log
from nwbcompare.model.curricula import YANG2019
from nwbcompare.workflows.continual_measurements import PRIMARY, NetworkMeasures
from nwbcompare.workflows.continual_training import StudyNetwork
from nwbcompare.workflows.settings import Settings
from nwbcompare.workflows.study_plan import StudyPlan

Tables = dict[str, dict[str, xr.Dataset]]
"""Sample tables by regime and seed."""


@dataclass(frozen=True)
class StudySource:
    """Networks of a study, measured like a recording.

    Attributes
    ----------
    plan, settings
        Networks and training, and settings of the report.
    networks
        All networks of the plan.
    exclusions
        Why networks are in no comparison, by name.
    performance
        Final performance by task, by regime and seed, of all networks trained to their end.
    logs
        Training logs of the networks in the comparison, by regime and seed.
    measures
        FTV of the networks on every protocol.
    recorded
        Sample table of the recording.
    """

    plan: StudyPlan
    settings: Settings
    networks: Sequence[StudyNetwork]
    exclusions: Mapping[str, str]
    performance: Mapping[str, Mapping[str, Mapping[str, float]]]
    logs: Mapping[str, Mapping[str, list[dict[str, Any]]]]
    measures: Sequence[NetworkMeasures]
    recorded: xr.Dataset
    kind = "study"

    @classmethod
    def of(
        cls,
        networks: Sequence[StudyNetwork],
        measures: Sequence[NetworkMeasures],
        recorded: xr.Dataset,
        plan: StudyPlan,
        settings: Settings,
    ) -> StudySource:
        """Read logs and performances, and apply the inclusion rule.

        Networks are excluded that were not trained to their end, that end with a task of the last
        stage below ``settings.least_performance``, or that have no sample on the primary protocol.
        """
        trained = [one for one in networks if not one.failure]
        performance = {one: dict(read_evaluation(one.folder)["performance"]) for one in trained}
        exclusions = {one.name: one.failure for one in networks if one.failure}
        for one, shares in performance.items():
            # the published rule: a network counts if no task of the last stage ends below 0.8
            worst = min(YANG2019[-1], key=shares.__getitem__)
            if shares[worst] < settings.least_performance:
                exclusions[one.name] = (
                    f"{worst} ended at {shares[worst]:.3f}, below {settings.least_performance:g}"
                )
        for sample in measures:
            if PRIMARY in sample.results.refusals and sample.name not in exclusions:
                exclusions[sample.name] = sample.results.refusals[PRIMARY].reason
        included = [one for one in trained if one.name not in exclusions]
        return cls(
            plan=plan,
            settings=settings,
            networks=networks,
            exclusions=exclusions,
            performance=_by_regime(performance),
            logs=_by_regime({one: read_log(one.folder) for one in included}),
            measures=measures,
            recorded=recorded,
        )

    @property
    def name(self) -> str:
        """Name of the recording."""
        return str(self.recorded.attrs["name"])

    def identity(self) -> dict[str, Any]:
        """Return what no later run in the same folder may change."""
        return {"training": self.plan.training}

    def forget(self) -> None:
        """Keep everything: tables are small."""

    def digest(self) -> str:
        """Return the SHA-256 of everything that sections are computed from."""
        digest = hashlib.sha256()
        # with failures, which the page gives as reasons
        networks = [f"{one.name}: {one.failure}" for one in self.networks]
        values = (networks, self.exclusions, self.performance, self.logs)
        digest.update(json.dumps(values).encode())
        for table in (self.recorded, *(t for one in self.measures for t in one.results.values())):
            for name in sorted(map(str, table.variables)):
                # through text, in which fresh and kept strings are of one type
                digest.update(json.dumps([name, table[name].values.tolist()]).encode())
        return digest.hexdigest()

    def tables(self, protocol: str, *, with_excluded: bool = False) -> Tables:
        """Return the sample tables on a protocol by regime and seed.

        Parameters
        ----------
        protocol
            Name of the protocol.
        with_excluded
            Whether networks that the inclusion rule excludes are among them.
        """
        tables: Tables = {}
        for one in self.measures:
            is_included = with_excluded or one.name not in self.exclusions
            if is_included and protocol in one.results:
                tables.setdefault(one.regime, {})[str(one.seed)] = one.results[protocol]
        return tables


def _by_regime(values: Mapping[StudyNetwork, Any]) -> dict[str, Any]:
    by_regime: dict[str, Any] = {}
    for one, value in values.items():
        by_regime.setdefault(one.regime, {})[str(one.seed)] = value
    return by_regime
