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
        censoring_table,
        cluster_units,
        condition_vectors,
        confound_table,
        corrected_ftv,
        corrected_task_variance,
        dimensionality,
        dispersion,
        dissimilarity,
        embed_units,
        epoch_variance,
        equalise_trials,
        fractional_task_variance,
        ftv_histogram,
        ftv_in_time,
        match_rates,
        pairwise_ftv,
        parts_ftv,
        population_means,
        rule_vectors,
        shrunken_ftv,
        stabilise,
        task_space,
        task_variance,
        task_vectors,
        unit_groups,
        variance_in_time,
        variance_parts,
    )
    from nwbcompare.comparison import compare
    from nwbcompare.conditions import condition_means
    from nwbcompare.continual import continual
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
    from nwbcompare.mapping import ProtocolMapping, read_mapping
    from nwbcompare.model import record
    from nwbcompare.nwb import PoissonSpikes, inspect_nwb, write_dandiset, write_nwb
    from nwbcompare.programme import analyze
    from nwbcompare.protocol import MatchedProtocol, record_matched, simulate_recording
    from nwbcompare.resample import align, rebin, smooth
    from nwbcompare.sampling import sample_like
    from nwbcompare.sources import load
    from nwbcompare.sources import open_source as open  # noqa: A004
    from nwbcompare.stats import (
        adjust_p,
        animal_floor,
        classify_pairs,
        cluster_null,
        cluster_stability,
        compare_kinds,
        compare_populations,
        compare_samples,
        composition_cosine,
        composition_rank,
        condition_label_null,
        context_label_null,
        credit,
        decode,
        distribution_curves,
        epairs,
        equivalence_test,
        implementable_classifications,
        lesion_statistic,
        match_clusters,
        mixed_effects,
        mutual_inhibition,
        over_networks,
        rank_families,
        rotated_pairs,
        rotation_control,
        split_floor,
    )
    from nwbcompare.validate import InvalidActivityError, check_activity

_HOME = {
    "Activity": "activity",
    "InputError": "errors",
    "InvalidActivityError": "validate",
    "MatchedProtocol": "protocol",
    "PoissonSpikes": "nwb",
    "ProtocolMapping": "mapping",
    "UnitWarning": "errors",
    "adjust_p": "stats",
    "align": "resample",
    "analyze": "programme",
    "animal_floor": "stats",
    "blocks": "activity",
    "censoring_table": "analysis",
    "check_activity": "validate",
    "classify_pairs": "stats",
    "cluster_null": "stats",
    "cluster_stability": "stats",
    "cluster_units": "analysis",
    "compare": "comparison",
    "compare_kinds": "stats",
    "compare_populations": "stats",
    "compare_samples": "stats",
    "composition_cosine": "stats",
    "composition_rank": "stats",
    "condition_label_null": "stats",
    "condition_means": "conditions",
    "condition_vectors": "analysis",
    "confound_table": "analysis",
    "context_label_null": "stats",
    "convert": "conversion",
    "corrected_ftv": "analysis",
    "corrected_task_variance": "analysis",
    "decode": "stats",
    "dimensionality": "analysis",
    "dispersion": "analysis",
    "dissimilarity": "analysis",
    "distribution_curves": "stats",
    "embed_units": "analysis",
    "epairs": "stats",
    "epoch_variance": "analysis",
    "equalise_trials": "analysis",
    "equivalence_test": "stats",
    "fractional_task_variance": "analysis",
    "from_arrays": "exchange",
    "from_mat": "exchange",
    "from_neo": "exchange",
    "from_pynapple": "exchange",
    "ftv_histogram": "analysis",
    "ftv_in_time": "analysis",
    "implementable_classifications": "stats",
    "inspect_nwb": "nwb",
    "labels": "activity",
    "lesion_statistic": "stats",
    "load": "sources",
    "make_activity": "activity",
    "make_block": "activity",
    "match_clusters": "stats",
    "match_rates": "analysis",
    "mixed_effects": "stats",
    "mutual_inhibition": "stats",
    "open": "sources",
    "over_networks": "stats",
    "pairwise_ftv": "analysis",
    "parts_ftv": "analysis",
    "population_means": "analysis",
    "rank_families": "stats",
    "credit": "stats",
    "continual": "continual",
    "read_mapping": "mapping",
    "rebin": "resample",
    "record": "model",
    "record_matched": "protocol",
    "rotated_pairs": "stats",
    "rotation_control": "stats",
    "rule_vectors": "analysis",
    "sample_like": "sampling",
    "select": "activity",
    "shrunken_ftv": "analysis",
    "simulate_recording": "protocol",
    "smooth": "resample",
    "split_floor": "stats",
    "stabilise": "analysis",
    "task_space": "analysis",
    "task_variance": "analysis",
    "task_vectors": "analysis",
    "to_neo": "exchange",
    "to_numpy": "exchange",
    "to_pandas": "exchange",
    "to_pynapple": "exchange",
    "unit_groups": "analysis",
    "variance_in_time": "analysis",
    "variance_parts": "analysis",
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
