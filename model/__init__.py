"""Networks: configuration, training, run folders, recording. The only place that uses torch."""

if __name__ != "nwbcompare.model":
    raise ImportError("this folder is the package nwbcompare.model: import it by that name")

from nwbcompare.errors import DivergedError
from nwbcompare.model.arrays import from_arrays
from nwbcompare.model.checkpoint import (
    load,
    pretrained,
    pretrained_names,
    pretrained_path,
    save_run,
)
from nwbcompare.model.config import NetworkConfig, Regularisation, Stage, TrainingConfig
from nwbcompare.model.evaluation import evaluate
from nwbcompare.model.lesions import (
    lesion_controls,
    lesion_performance,
    matched_lesion_controls,
)
from nwbcompare.model.network import Network
from nwbcompare.model.psychometrics import group_lesions, pooled_over, psychometric_curves
from nwbcompare.model.recording import record
from nwbcompare.model.schedules import training_config
from nwbcompare.model.training import train
from nwbcompare.model.weights import network_weights

__all__ = [
    "DivergedError",
    "Network",
    "NetworkConfig",
    "Regularisation",
    "Stage",
    "TrainingConfig",
    "evaluate",
    "from_arrays",
    "group_lesions",
    "lesion_controls",
    "lesion_performance",
    "load",
    "matched_lesion_controls",
    "network_weights",
    "pooled_over",
    "pretrained",
    "pretrained_names",
    "pretrained_path",
    "psychometric_curves",
    "record",
    "save_run",
    "train",
    "training_config",
]
