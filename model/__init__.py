"""Networks: configuration, training, run folders, recording. The only place that uses torch."""

# a copy under another name would have classes of its own
if __name__ != "nwbcompare.model":
    raise ImportError("this folder is the package nwbcompare.model: import it by that name")

from nwbcompare.core.errors import DivergedError, StalledError
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
from nwbcompare.model.config import (
    Consolidation,
    NetworkConfig,
    Regularisation,
    Stage,
    TrainingConfig,
)
from nwbcompare.model.curricula import interleaved_config, sequential_config, sequential_network
from nwbcompare.model.evaluation import evaluate
from nwbcompare.model.network import Network
from nwbcompare.model.network_recording import record
from nwbcompare.model.schedules import training_config
from nwbcompare.model.training import train
from nwbcompare.model.weight_import import from_arrays

__all__ = [
    "Consolidation",
    "DivergedError",
    "Network",
    "NetworkConfig",
    "Regularisation",
    "Stage",
    "StalledError",
    "TrainingConfig",
    "evaluate",
    "from_arrays",
    "interleaved_config",
    "load",
    "load_milestone",
    "pretrained",
    "pretrained_names",
    "pretrained_path",
    "read_importances",
    "read_log",
    "record",
    "save_run",
    "sequential_config",
    "sequential_network",
    "train",
    "training_config",
]


def __dir__() -> list[str]:
    return sorted(__all__)
