"""Networks: configuration, training, run folders, recording. The only place that uses torch."""

if __name__ != "nwbcompare.model":
    raise ImportError("this folder is the package nwbcompare.model: import it by that name")

from nwbcompare.model.checkpoint import (
    load,
    pretrained,
    pretrained_names,
    pretrained_path,
    save_run,
)
from nwbcompare.model.config import NetworkConfig, Stage, TrainingConfig, default_configs
from nwbcompare.model.network import Network
from nwbcompare.model.recording import record
from nwbcompare.model.training import evaluate, train

__all__ = [
    "Network",
    "NetworkConfig",
    "Stage",
    "TrainingConfig",
    "default_configs",
    "evaluate",
    "load",
    "pretrained",
    "pretrained_names",
    "pretrained_path",
    "record",
    "save_run",
    "train",
]
