"""Task-trained networks and recorded neurons, through one analysis.

Everything that has units and trials becomes the same labelled object, an activity; every
analysis takes it and cannot know where it came from.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nwbcompare import analysis, datasets, figures, model, stats, tasks, testing
    from nwbcompare.activity import Activity, blocks, labels, make_activity, make_block, select
    from nwbcompare.analysis import (
        cluster_units,
        condition_vectors,
        embed_units,
        epoch_variance,
        fractional_task_variance,
        ftv_histogram,
        pairwise_ftv,
        rule_vectors,
        task_space,
        task_variance,
        task_vectors,
        unit_groups,
        variance_in_time,
    )
    from nwbcompare.conditions import condition_means
    from nwbcompare.conversion import convert
    from nwbcompare.errors import InputError, UnitWarning
    from nwbcompare.exchange import (
        from_arrays,
        from_mat,
        from_neo,
        from_pynapple,
        to_neo,
        to_numpy,
        to_pandas,
        to_pynapple,
    )
    from nwbcompare.model import record
    from nwbcompare.nwb import PoissonSpikes, inspect_nwb, write_dandiset, write_nwb
    from nwbcompare.programme import analyze
    from nwbcompare.protocol import MatchedProtocol, record_matched, simulate_recording
    from nwbcompare.resample import align, rebin, smooth
    from nwbcompare.sources import load
    from nwbcompare.sources import open_source as open  # noqa: A004
    from nwbcompare.stats import (
        classify_pairs,
        cluster_null,
        cluster_stability,
        composition_cosine,
        composition_rank,
        condition_label_null,
        context_label_null,
        epairs,
        lesion_statistic,
        match_clusters,
        mutual_inhibition,
        over_networks,
        rotated_pairs,
        rotation_control,
    )
    from nwbcompare.validate import InvalidActivityError, check_activity

_HOME = {
    "Activity": "activity",
    "InputError": "errors",
    "InvalidActivityError": "validate",
    "MatchedProtocol": "protocol",
    "PoissonSpikes": "nwb",
    "UnitWarning": "errors",
    "align": "resample",
    "analyze": "programme",
    "blocks": "activity",
    "check_activity": "validate",
    "classify_pairs": "stats",
    "cluster_null": "stats",
    "cluster_stability": "stats",
    "cluster_units": "analysis",
    "composition_cosine": "stats",
    "composition_rank": "stats",
    "condition_label_null": "stats",
    "condition_means": "conditions",
    "condition_vectors": "analysis",
    "context_label_null": "stats",
    "convert": "conversion",
    "embed_units": "analysis",
    "epairs": "stats",
    "epoch_variance": "analysis",
    "fractional_task_variance": "analysis",
    "from_arrays": "exchange",
    "from_mat": "exchange",
    "from_neo": "exchange",
    "from_pynapple": "exchange",
    "ftv_histogram": "analysis",
    "inspect_nwb": "nwb",
    "labels": "activity",
    "lesion_statistic": "stats",
    "load": "sources",
    "make_activity": "activity",
    "make_block": "activity",
    "match_clusters": "stats",
    "mutual_inhibition": "stats",
    "open": "sources",
    "over_networks": "stats",
    "pairwise_ftv": "analysis",
    "rebin": "resample",
    "record": "model",
    "record_matched": "protocol",
    "rotated_pairs": "stats",
    "rotation_control": "stats",
    "rule_vectors": "analysis",
    "select": "activity",
    "simulate_recording": "protocol",
    "smooth": "resample",
    "task_space": "analysis",
    "task_variance": "analysis",
    "task_vectors": "analysis",
    "to_neo": "exchange",
    "to_numpy": "exchange",
    "to_pandas": "exchange",
    "to_pynapple": "exchange",
    "unit_groups": "analysis",
    "variance_in_time": "analysis",
    "write_dandiset": "nwb",
    "write_nwb": "nwb",
}
_PACKAGES = ("analysis", "datasets", "figures", "model", "stats", "tasks", "testing")

__all__ = [  # noqa: PLE0604 - the two tables above
    *_HOME,
    *_PACKAGES,
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that torch and pynwb load only then."""
    if name in _PACKAGES:
        return import_module(f"nwbcompare.{name}")
    if name in _HOME:
        module = import_module(f"nwbcompare.{_HOME[name]}")
        return getattr(module, "open_source" if name == "open" else name)
    raise AttributeError(f"module 'nwbcompare' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
