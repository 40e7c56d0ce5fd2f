"""Networks: configuration, training, run folders, recording. The only place that uses torch."""

if __name__ != "nwbcompare.model":
    raise ImportError("this folder is the package nwbcompare.model: import it by that name")

from nwbcompare.errors import DivergedError, StalledError
from nwbcompare.model.arrays import from_arrays
from nwbcompare.model.checkpoint import (
    load,
    load_milestone,
    pretrained,
    pretrained_names,
    pretrained_path,
    read_importances,
    read_log,
    save_run,
)
from nwbcompare.model.composition import (
    RULE_COMPOSITIONS,
    composition_performance,
    parse_rule_expression,
    rule_composition,
)
from nwbcompare.model.config import (
    Consolidation,
    NetworkConfig,
    Regularisation,
    Stage,
    TrainingConfig,
)
from nwbcompare.model.controls import untrained, with_gaussian_rules
from nwbcompare.model.curricula import interleaved_config, sequential_config, sequential_network
from nwbcompare.model.evaluation import evaluate
from nwbcompare.model.lesions import (
    lesion_controls,
    lesion_performance,
    matched_lesion_controls,
)
from nwbcompare.model.network import Network
from nwbcompare.model.psychometrics import group_lesions, pooled_over, psychometric_curves
from nwbcompare.model.recording import record
from nwbcompare.model.rule_curves import moved_rows, rule_learning_logs
from nwbcompare.model.rule_learning import RuleLearning, learn_rules, rule_learning_configs
from nwbcompare.model.schedules import training_config
from nwbcompare.model.training import train
from nwbcompare.model.weights import network_weights

__all__ = [
    "RULE_COMPOSITIONS",
    "Consolidation",
    "DivergedError",
    "Network",
    "NetworkConfig",
    "Regularisation",
    "RuleLearning",
    "Stage",
    "StalledError",
    "TrainingConfig",
    "composition_performance",
    "evaluate",
    "from_arrays",
    "group_lesions",
    "interleaved_config",
    "learn_rules",
    "lesion_controls",
    "lesion_performance",
    "load",
    "load_milestone",
    "matched_lesion_controls",
    "moved_rows",
    "network_weights",
    "parse_rule_expression",
    "pooled_over",
    "pretrained",
    "pretrained_names",
    "pretrained_path",
    "psychometric_curves",
    "read_importances",
    "read_log",
    "record",
    "rule_composition",
    "rule_learning_configs",
    "rule_learning_logs",
    "save_run",
    "sequential_config",
    "sequential_network",
    "train",
    "training_config",
    "untrained",
    "with_gaussian_rules",
]
