from .retention import (
    compare_retention as compare_retention,
    learning_curves as learning_curves,
    performance_matrix as performance_matrix,
    performance_over_steps as performance_over_steps,
    retention as retention,
    retention_over_networks as retention_over_networks,
    trials_to as trials_to,
)
