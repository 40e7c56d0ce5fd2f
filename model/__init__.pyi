from .checkpoint import (
    load as load,
    load_milestone as load_milestone,
    pretrained as pretrained,
    pretrained_names as pretrained_names,
    pretrained_path as pretrained_path,
    read_importances as read_importances,
    read_log as read_log,
    save_run as save_run,
)
from .config import (
    Consolidation as Consolidation,
    NetworkConfig as NetworkConfig,
    Regularisation as Regularisation,
    Stage as Stage,
    TrainingConfig as TrainingConfig,
)
from .curricula import (
    interleaved_config as interleaved_config,
    sequential_config as sequential_config,
    sequential_network as sequential_network,
)
from .evaluation import evaluate as evaluate
from .network import Network as Network
from .network_recording import record as record
from .schedules import training_config as training_config
from .training import (
    DivergedError as DivergedError,
    StalledError as StalledError,
    train as train,
)
from .weight_import import from_arrays as from_arrays
