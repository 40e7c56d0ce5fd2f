"""Recording any torch module: what its layers give is heard by forward hooks.

The first tensor that a layer returns is what is recorded of it: an LSTM's ``h``, not its ``c``;
of an ``nn.GRU`` with several layers the top one's rates, since the lower ones never leave it
(to record those, build it of several ``nn.GRU`` of one layer); of a bidirectional one the units
of both directions, forward ones first. A layer may be called once with all time steps, or in a
loop over time, as an ``nn.GRUCell`` is: then its calls are joined along time.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
import xarray as xr

from nwbcompare.core.activity import columns_on
from nwbcompare.core.errors import InputError, listing, unknown_name
from nwbcompare.model.labelled_block import Floats, as_block, unit_table

TRIALS_AT_ONCE = 128
"""Bounds the memory of the steps' intermediate tensors."""
TRIALS_RUN_TWICE = 8
"""How many trials are run twice to measure whether a module has noise."""
INPUT_DIMS = ("time", "trial", "input_channel")
_Heard = dict[str, list[torch.Tensor]]


@dataclass(frozen=True, kw_only=True)
class _Setup:
    """What is recorded of which module.

    Attributes
    ----------
    module
        The module.
    layers
        Layers by their names in it.
    batch_first
        Whether the module takes ``(trial, time, channel)``.
    n_outputs
        Number of output channels of the trials; None where its output is of no interest.
    """

    module: torch.nn.Module
    layers: Mapping[str, torch.nn.Module]
    batch_first: bool
    n_outputs: int | None


@torch.no_grad()
def record_module(
    module: torch.nn.Module,
    trials: xr.Dataset,
    *,
    layer: str | Sequence[str] | None = None,
    batch_first: bool | None = None,
    name: str | None = None,
    seed: int | None = None,
    inputs_and_outputs: bool = False,
) -> xr.Dataset:
    """Record a module as `nwbcompare.model.record` does, which describes the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> trials = xr.Dataset(
    ...     {"input": (("time", "trial", "input_channel"), np.ones((5, 2, 3)))},
    ...     coords={"time": ("time", np.arange(5) * 0.1, {"bin_width_s": 0.1}),
    ...             "task": ("trial", ["go", "go"])})
    >>> dict(record_module(torch.nn.LSTM(3, 4), trials)["rate"].sizes)
    {'trial': 2, 'time': 5, 'unit': 4}
    """
    trials = _usable(trials)
    layers = _find_layers(module, layer)
    whole = {key or type(module).__name__: one for key, one in layers.items()}
    name = name or type(module).__name__
    setup = _Setup(
        module=module,
        layers=layers,
        batch_first=_orientation(module, layers) if batch_first is None else batch_first,
        # what is recorded as rates is not also read as output
        n_outputs=None if "" in layers else trials.sizes.get("output_channel"),
    )
    device, dtype = _place_and_type(module)
    # a copy: torch warns of arrays that are read-only
    shown = np.array(trials["input"].transpose(*INPUT_DIMS).values)
    inputs = torch.from_numpy(shown).to(device, dtype)
    with _evaluating(module):
        with _own_random_numbers(device):
            noise_free = _is_noise_free(setup, inputs)
        with nullcontext() if seed is None else _own_random_numbers(device, seed):
            rates, output = _run(setup, inputs)
    return as_block(
        np.concatenate(rates, axis=2),
        output,
        trials,
        units=unit_table(
            {label: one.shape[2] for label, one in zip(whole, rates, strict=True)}, name
        ),
        name=name,
        deterministic=noise_free and trials.attrs.get("sigma_x") == 0,
        provenance={
            "network": name,
            "module": f"{type(module).__module__}.{type(module).__qualname__}",
            "layers": list(whole),
            "batch_first": setup.batch_first,
            "kind": trials.attrs.get("kind"),
            "dt_ms": trials.attrs.get("dt_ms"),
            "seed": seed,
        },
        inputs_and_outputs=inputs_and_outputs,
    )


def _usable(trials: xr.Dataset) -> xr.Dataset:
    """Refuse trials that cannot be recorded, and add what may be left out."""
    dims = trials["input"].dims if "input" in trials else "no variable of this name"
    if "input" not in trials or set(dims) != set(INPUT_DIMS) or 0 in trials["input"].shape:
        raise InputError(
            "trials['input']",
            f"at least one trial, step and channel, {INPUT_DIMS}",
            f"{dims}, sizes {trials['input'].shape}" if "input" in trials else str(dims),
            "Make trials with nwbcompare.tasks.make_trials, or rename their dimensions.",
        )
    if "time" not in trials.coords or "bin_width_s" not in trials["time"].attrs:
        raise InputError(
            "trials['time']",
            "the steps' centres (s) with the attribute bin_width_s",
            "neither" if "time" not in trials.coords else "no bin_width_s",
            "trials.assign_coords(time=('time', seconds, {'bin_width_s': 0.02})).",
        )
    on_trial = [key for key, values in trials.data_vars.items() if values.dims == ("trial",)]
    attrs = {"aligned_to": "trial start", **trials["time"].attrs}
    trials = trials.set_coords(on_trial).assign_coords(time=trials["time"].assign_attrs(attrs))
    taken = set(columns_on(trials, "trial")) & {*unit_table({}, ""), "rate"}
    if taken:
        raise InputError(
            "trials",
            "columns of other names than the unit table's",
            listing(sorted(taken)),
            "Rename them: trials.rename(session='trial_session').",
        )
    return trials if "task" in trials.coords else _with_one_task(trials)


def _with_one_task(trials: xr.Dataset) -> xr.Dataset:
    warnings.warn(
        "the trials have no column 'task': all count as one task, 'trials'; to name it, "
        "trials.assign_coords(task=('trial', names))",
        stacklevel=6,
    )
    return trials.assign_coords(task=("trial", np.full(trials.sizes["trial"], "trials")))


def _find_layers(
    module: torch.nn.Module, layer: str | Sequence[str] | None
) -> dict[str, torch.nn.Module]:
    """Find the layers to record, by name."""
    known = dict(module.named_modules(remove_duplicate=False))
    if layer is None:
        return _only_recurrent_layer(module, known)
    names = [layer] if isinstance(layer, str) else list(layer)
    if not names or len(set(names)) < len(names):
        raise InputError(
            "layer", "one layer, or several different ones", repr(names), "Name each once."
        )
    for name in names:
        if name not in known:
            raise unknown_name("layer", name, filter(None, known))
    return {name: known[name] for name in names}


def _only_recurrent_layer(
    module: torch.nn.Module, known: Mapping[str, torch.nn.Module]
) -> dict[str, torch.nn.Module]:
    if isinstance(module, torch.nn.RNNBase):
        return {"": module}
    recurrent: dict[str, torch.nn.Module] = {
        name: one for name, one in known.items() if isinstance(one, torch.nn.RNNBase)
    }
    if len(recurrent) == 1:
        return recurrent
    names = recurrent or [name for name in known if name]
    raise InputError(
        "layer",
        "the name of the layer to record, where a module has not just one nn.RNN, GRU or LSTM",
        f"None for {type(module).__name__} with {len(recurrent)}",
        f"Pass layer=, one or several of: {listing(names)}.",
    )


def _orientation(module: torch.nn.Module, layers: Mapping[str, torch.nn.Module]) -> bool:
    """Tell from recurrent layers how a module takes its input: the recorded ones, else any."""
    for candidates in (layers.values(), module.modules()):
        found = {one.batch_first for one in candidates if isinstance(one, torch.nn.RNNBase)}
        if len(found) == 1:
            return bool(found.pop())
    raise InputError(
        "batch_first",
        "True or False, where a module's layers do not tell",
        "None",
        "Pass batch_first=True if the module takes (trial, time, channel), else False.",
    )


def _place_and_type(module: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    """Give the device and type of a module's weights."""
    for values in chain(module.parameters(), module.buffers()):
        if values.is_floating_point():
            return values.device, values.dtype
    return torch.device("cpu"), torch.float32


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode, and each of its parts back into the mode it was in."""
    training = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in training:
            part.training = mode


@contextmanager
def _own_random_numbers(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Leave torch's random numbers as they are found, seeding them in between."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if seed is not None:
            torch.manual_seed(seed)
        yield


@contextmanager
def _listening(layers: Mapping[str, torch.nn.Module]) -> Iterator[_Heard]:
    """Collect what layers give, call by call."""
    heard: _Heard = {name: [] for name in layers}

    def listen(name: str) -> Any:
        # a copy, since modules may overwrite in place what a layer gave them
        return lambda _module, _inputs, given: heard[name].append(_tensor_of(name, given).clone())

    handles = [one.register_forward_hook(listen(name)) for name, one in layers.items()]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _tensor_of(name: str, given: Any) -> torch.Tensor:
    """Give the tensor that is recorded of what a layer returned."""
    if isinstance(given, torch.nn.utils.rnn.PackedSequence):
        raise InputError(
            f"layer {name!r}",
            "a padded tensor",
            "a PackedSequence",
            "Let the module take padded trials: rates after a trial's end are hidden anyway.",
        )
    first = _first(given)
    if first is None:
        raise InputError(
            f"layer {name!r}",
            "a tensor, or a tuple or list that starts with one",
            type(given).__name__,
            "Name another layer.",
        )
    return first


def _first(given: Any) -> torch.Tensor | None:
    first = given[0] if isinstance(given, tuple | list) and given else given
    return first if isinstance(first, torch.Tensor) else None


def _is_noise_free(setup: _Setup, inputs: torch.Tensor) -> bool:
    """Measure whether a module gives the same rates twice, bit for bit."""
    few = inputs[:, :TRIALS_RUN_TWICE]
    once, again = _run(setup, few)[0], _run(setup, few)[0]
    return all(np.array_equal(*pair) for pair in zip(once, again, strict=True))


def _run(setup: _Setup, inputs: torch.Tensor) -> tuple[list[Floats], Floats | None]:
    """Give each layer's rates and the output, ``(trial, time, ...)``."""
    parts = [_run_part(setup, part) for part in _parts(inputs)]
    rates = [np.concatenate(layer) for layer in zip(*(rates for rates, _ in parts), strict=True)]
    outputs = [output for _, output in parts if output is not None]
    return rates, np.concatenate(outputs) if outputs else None


def _parts(inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Cut trials into parts, never of as many trials as there are time steps.

    Trials can then be told from time by their number, whichever way round a layer gives them.
    """
    n_time, n_trials, _ = inputs.shape
    n_parts = -(-n_trials // TRIALS_AT_ONCE)
    while n_time > 1 and n_time in {n_trials // n_parts, -(-n_trials // n_parts)}:
        n_parts += 1
    return inputs.tensor_split(n_parts, dim=1)


def _run_part(setup: _Setup, inputs: torch.Tensor) -> tuple[list[Floats], Floats | None]:
    shown = (inputs.transpose(0, 1) if setup.batch_first else inputs).contiguous()
    with _listening(setup.layers) as heard:
        try:
            result = setup.module(shown)
        except RuntimeError as error:
            raise _not_taken(setup, shown, error) from error
    rates = [_rates_of(setup, name, calls, inputs) for name, calls in heard.items()]
    return rates, _output_of(setup, result, inputs)


def _not_taken(setup: _Setup, shown: torch.Tensor, error: RuntimeError) -> InputError:
    said = (str(error).splitlines() or [type(error).__name__])[0]
    dims = "(trial, time, channel)" if setup.batch_first else "(time, trial, channel)"
    return InputError(
        type(setup.module).__name__,
        f"a module that takes the trials' input {dims} of sizes {tuple(shown.shape)}",
        f"its error {said!r}",
        f"Pass batch_first={not setup.batch_first} if it takes them the other way round; make "
        "trials of the channels it was trained on, e.g. make_trials(..., rules=...).",
    )


def _rates_of(setup: _Setup, name: str, calls: list[torch.Tensor], inputs: torch.Tensor) -> Floats:
    """Join a layer's calls along time, ``(trial, time, unit)``."""
    if not calls:
        raise InputError(
            f"layer {name!r}",
            "a layer that the module calls",
            "no call",
            "Name another layer; the module has to call layer(x), not layer.forward(x).",
        )
    n_time, n_trials, _ = inputs.shape
    oriented = (_time_first(setup, setup.layers[name], call, n_trials) for call in calls)
    steps = [step for step in oriented if step is not None]
    if len(steps) < len(calls) or sum(map(len, steps)) != n_time:
        raise _not_fitting(setup, name, calls, inputs)
    rates = _as_array(torch.cat(steps))
    if not np.isfinite(rates).all():
        raise InputError(
            f"layer {name!r}", "finite rates", "NaN or infinity", "Check the module's weights."
        )
    return rates


def _output_of(setup: _Setup, result: Any, inputs: torch.Tensor) -> Floats | None:
    """Give a module's result, ``(trial, time, output_channel)``, if it is the trials' output."""
    output = _first(result)
    if output is None or output.ndim != 3 or output.shape[-1] != setup.n_outputs:
        return None
    n_time, n_trials, _ = inputs.shape
    steps = _time_first(setup, setup.module, output, n_trials)
    return _as_array(steps) if steps is not None and len(steps) == n_time else None


def _time_first(
    setup: _Setup, layer: torch.nn.Module, given: torch.Tensor, n_trials: int
) -> torch.Tensor | None:
    """Turn what a layer gave in a call to ``(time, trial, unit)``; None where it does not fit."""
    if given.ndim == 2:
        given = given[None]
    elif given.ndim != 3:
        return None
    elif _trials_lie_first(setup, layer, given, n_trials):
        given = given.transpose(0, 1)
    return given if given.shape[1] == n_trials else None


def _trials_lie_first(
    setup: _Setup, layer: torch.nn.Module, given: torch.Tensor, n_trials: int
) -> bool:
    if isinstance(layer, torch.nn.RNNBase):
        # it says so itself: were it to have taken trials for time, that must not pass
        return bool(layer.batch_first)
    fits = [size == n_trials for size in given.shape[:2]]
    return fits[0] if fits[0] != fits[1] else setup.batch_first


def _as_array(steps: torch.Tensor) -> Floats:
    values: Floats = steps.transpose(0, 1).float().cpu().numpy()
    return values


def _not_fitting(
    setup: _Setup, name: str, calls: list[torch.Tensor], inputs: torch.Tensor
) -> InputError:
    n_time, n_trials, _ = inputs.shape
    sizes = listing(dict.fromkeys(tuple(call.shape) for call in calls), most=3)
    return InputError(
        f"layer {name!r}",
        f"rates of {n_time} steps of {n_trials} trials, (time, trial, unit) or (trial, time, "
        "unit) in one call, or (trial, unit) in a call for each step",
        f"{len(calls)} calls with {sizes}",
        f"Pass batch_first={not setup.batch_first} if the module takes its input the other way "
        "round, or name another layer.",
    )
