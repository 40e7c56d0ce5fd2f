"""Drafts of mapping files, written from the tasks, epochs, columns and values of a recording."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from nwbcompare.comparison.spike_variability import recorded_block
from nwbcompare.core.activity import (
    Activity,
    columns_on,
    condition_variables_of,
    labels,
    row_dim,
    tasks_of,
)
from nwbcompare.core.checks import check_known
from nwbcompare.core.errors import InputError, listing
from nwbcompare.tasks.registry import display_name, get_task, task_names
from nwbcompare.tasks.trials import make_trials

OPEN = "FILL_IN"
"""What stands in a draft where the reader has to decide; no number and no name of a task."""
MOST_VALUES = 16
"""Columns of more values are described by their range, and multiplied by a factor."""
NOT_OFFERED = frozenset({"task", "session", "observation_unit", "observation_trial", "correct"})
"""Columns that are no condition of the stimulus."""
VARIABLES = {
    "direction": "degrees, counterclockwise: direction of the (first) stimulus",
    "direction_2": "degrees, counterclockwise: direction of the second stimulus",
    "modality": "1 or 2: modality of the stimulus",
    "modality_1": "1 or 2: modality of the first stimulus",
    "modality_2": "1 or 2: modality of the second stimulus",
    "coherence_1": "c in modality 1: direction has strength 1 + c, the opposite one 1 - c",
    "coherence_2": "c in modality 2: direction has strength 1 + c, the opposite one 1 - c",
}
"""Meaning of the variables of the package's tasks."""


def draft_mapping(recording: Activity, tasks: Sequence[str], *, model: str = "a network") -> str:
    """Write the draft of a mapping file from a recording's own tasks, epochs, columns and values.

    Parameters
    ----------
    recording
        The recording, of one block.
    tasks
        The tasks that the network was trained on.
    model
        Name of the network, for the comments.

    Returns
    -------
    str
        The text of a YAML file, in which ``FILL_IN`` stands for what the reader has to decide.
        Tasks and epochs of equal names on both sides are written in. Nothing else is guessed:
        comments list the columns of the recording with their values, ready to be copied.

    Raises
    ------
    InputError
        For several blocks, an unknown task, and a recording whose trials have no column that
        could be a condition.
    NotApplicableError
        For rates without noise.

    Examples
    --------
    >>> import nwbcompare as nc
    >>> recording = nc.comparison.simulate_recording(nc.model.pretrained("ctxdm-0"), n_units=2)
    >>> draft = draft_mapping(recording, ["contextdm1", "contextdm2"])
    >>> print(draft[draft.index("tasks:"):draft.index("# The variables")].rstrip())
    tasks:    # recorded task: the network's task
      contextdm1: contextdm1
      contextdm2: contextdm2
    """
    check_known("tasks", tasks, task_names())
    block = recorded_block(recording)
    recorded = tasks_of(block)
    task_of = {task: task if task in tasks else OPEN for task in recorded}
    # the variables are known once the tasks are; until then those of all tasks are offered
    chosen = list(tasks) if OPEN in task_of.values() else list(task_of)
    return "\n".join(
        [
            f"# How a network ({model}) is shown the trials of {block.attrs['name']}.",
            f"# Replace every {OPEN}, delete what does not apply, then run",
            "#   nwbcompare mapping check THIS_FILE --recording SOURCE",
            "",
            *_tasks(task_of, tasks),
            "",
            *_variables(chosen, columns_of(block)),
            "",
            *_times(block, chosen),
            "",
            *_optional(columns_of(block)),
            "",
        ]
    )


def columns_of(block: xr.Dataset) -> dict[str, npt.NDArray[Any]]:
    """Return the trial columns that may be conditions, those of the recording's own first.

    Raises
    ------
    InputError
        For none.

    Examples
    --------
    >>> from nwbcompare.testing import example_block
    >>> list(columns_of(example_block()))
    ['direction']
    """
    own = [name for names in condition_variables_of(block).values() for name in names]
    columns = columns_on(block, row_dim(block))
    names = [name for name in dict.fromkeys([*own, *columns]) if name in columns]
    offered = {
        name: labels(columns[name])
        for name in names
        if name not in NOT_OFFERED and not name.startswith("epoch_")
    }
    offered = {name: values for name, values in offered.items() if values.ndim == 1}
    if not offered:
        raise InputError(
            "recording",
            "a trial column that says what was shown",
            f"none among {listing(columns)}",
            "Open the recording with its table of trials.",
        )
    return offered


def _tasks(task_of: Mapping[str, str], tasks: Sequence[str]) -> list[str]:
    lines = ["tasks:    # recorded task: the network's task"]
    if OPEN in task_of.values():
        lines += _comment(f"one of {', '.join(f'{t} ({display_name(t)})' for t in tasks)}")
    return lines + [f"  {_scalar(name)}: {task}" for name, task in task_of.items()]


def _variables(tasks: Sequence[str], columns: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Return the section of conditions, and before it what can be copied into it."""
    needed: dict[str, list[str]] = {}
    for task in tasks:
        for name in get_task(task).given_variables:
            needed.setdefault(name, []).append(task)
    lines = [
        "# The variables of the network's tasks. Each has a constant, or a column of the recording",
        "# with a number for each value, or with a factor. To copy in place of `value:`",
    ]
    for name, values in columns.items():
        lines += ["#", *(f"#   {line}" for line in _source(name, values))]
    lines += ["conditions:"]
    for name, of in needed.items():
        lines += [f"  {name}:    # {VARIABLES.get(name, 'a number')}"]
        if len(of) < len(tasks):
            lines += _comment(f"only for {', '.join(of)}; else delete it", indent="    ")
        lines += [f"    value: {OPEN}"]
    return lines


def _source(name: str, values: npt.NDArray[Any]) -> list[str]:
    """Return the lines by which a column of the recording is named in a mapping."""
    unique = np.unique(values)
    if unique.dtype.kind == "f":
        # condition variables have no missing values: only behaviour has
        unique = unique[np.isfinite(unique)]
    if len(unique) <= MOST_VALUES:
        table = ", ".join(f"{_scalar(value)}: {OPEN}" for value in unique)
        return [f"column: {_scalar(name)}", f"values: {{{table}}}"]
    if unique.dtype.kind in "biuf":
        spread = f"{len(unique)} values from {unique[0]:g} to {unique[-1]:g}"
        return [f"column: {_scalar(name)}", f"factor: {OPEN}    # {spread}"]
    few = ", ".join(map(_scalar, unique[:5]))
    return [f"column: {_scalar(name)}", f"values: {{...}}    # {len(unique)} texts, such as {few}"]


def _times(block: xr.Dataset, tasks: Sequence[str]) -> list[str]:
    """Return the section of epochs and durations."""
    recorded = _epochs(block)
    network = list(dict.fromkeys(name for task in tasks for name in _network_epochs(task)))
    shared = [name for name in recorded if name in network]
    only = shared[0] if len(shared) == 1 and len(recorded) == 1 else OPEN
    epoch = next(iter(recorded)) if len(recorded) == 1 else OPEN
    listed = listing(f"{name} ({a:g} to {b:g} s)" for name, (a, b) in recorded.items())
    lasts = f"{1000 * (recorded[epoch][1] - recorded[epoch][0]):.6g}" if epoch != OPEN else OPEN
    stimulus = lasts if only.startswith("stim") else OPEN
    return [
        "epoch:",
        f"  recording: {_scalar(epoch) if epoch != OPEN else OPEN}    # one of {listed}",
        f"  network: {only}    # one of {listing(network)}, of the same length",
        f"  latency_ms: {OPEN}    # delay of the neurons: 100, or 0 if the recorded epoch has it",
        f"stimulus_ms: {stimulus}    # each stimulus in the network's trials",
        "delay_ms: 800    # the delay in the network's trials, in tasks that have one",
    ]


def _optional(columns: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    name = _scalar(next(iter(columns)))
    return [
        "axes_degrees: [0]    # turns of the display, each of which makes one sample of a unit;",
        "                     # keep [0] where directions belong to categories (DMC, DNMC)",
        "# choice: {column: choice, first: 1, second: -1}    # the animal's choice of a direction",
        f"# shown: [{name}]    # other columns to keep that say what was shown",
    ]


def _epochs(block: xr.Dataset) -> dict[str, tuple[float, float]]:
    """Return the recorded epochs with the medians of their bounds (s)."""
    if "epoch" not in block.coords:
        return {}
    start, stop = (
        np.nanmedian(block[f"epoch_{which}_time"].values, axis=0) for which in ("start", "stop")
    )
    names = map(str, block["epoch"].values)
    return {name: (float(a), float(b)) for name, a, b in zip(names, start, stop, strict=True)}


def _network_epochs(task: str) -> list[str]:
    return [str(name) for name in make_trials(task, "test")["epoch"].values]


def _scalar(value: Any) -> str:
    """Return a value as YAML that is read as the same value: text such as "no" is quoted."""
    import yaml  # noqa: PLC0415 - only here

    if isinstance(value, np.floating):
        # as it is written by hand: 0.06, not the 0.05999999865 of float32
        value = float(str(value))
    elif isinstance(value, np.generic):
        value = value.item()
    return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).split("\n")[0]


def _comment(text: str, indent: str = "  ") -> list[str]:
    prefix = f"{indent}# "
    return textwrap.wrap(text, 98, initial_indent=prefix, subsequent_indent=prefix)
