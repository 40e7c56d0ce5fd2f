from .channels import RULES as RULES, read_direction as read_direction
from .neurogym import trials_of_environment as trials_of_environment
from .registry import (
    Task as Task,
    display_name as display_name,
    get_task as get_task,
    register as register,
    task_names as task_names,
)
from .trial_arrays import trials_from_arrays as trials_from_arrays
from .trials import make_trials as make_trials
