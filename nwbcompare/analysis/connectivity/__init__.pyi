from .mutual_inhibition import (
    group_weights as group_weights,
    mutual_inhibition as mutual_inhibition,
    weight_by_direction as weight_by_direction,
)
