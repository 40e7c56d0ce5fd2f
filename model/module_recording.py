"""Recording of any torch module by forward hooks on its layers.

The first tensor that a layer returns is recorded: ``h`` of an LSTM, not ``c``; of an ``nn.GRU``
with several layers the rates of the top layer, since it does not return those of lower layers (to
record them, use several ``nn.GRU`` of one layer); of a bidirectional layer the units of both
directions, forward ones first. A layer can be called once with all time steps, or in a loop over
time as an ``nn.GRUCell`` is; then its calls are concatenated along time.
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
"""Bounds the memory of intermediate tensors."""
TRIALS_RUN_TWICE = 8
"""Number of trials that are run twice to measure whether a module has noise."""
INPUT_DIMS = ("time", "trial", "input_channel")
_Calls = dict[str, list[torch.Tensor]]


@dataclass(frozen=True, kw_only=True)
class _Setup:
    """A module and the layers of it that are recorded.

    Attributes
    ----------
    module
        The module.
    layers
        Layers by their names in it.
    batch_first
        Whether the input of the module is ``(trial, time, channel)``.
    n_outputs
        Number of output channels of the trials; None if the output is not recorded.
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
    """Record the rates of a module in trials; see `nwbcompare.model.record` for the parameters.

    Raises
    ------
    InputError
        For trials without the variables that are needed, and for a module whose layers,
        orientation or output cannot be recorded.

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
    trials = _with_defaults(trials)
    layers = _find_layers(module, layer)
    # the module itself is a layer without a name
    labels = [key or type(module).__name__ for key in layers]
    name = name or type(module).__name__
    setup = _Setup(
        module=module,
        layers=layers,
        batch_first=_orientation(module, layers) if batch_first is None else batch_first,
        # where the module itself is the layer, its result is the rates and not an output
        n_outputs=None if "" in layers else trials.sizes.get("output_channel"),
    )
    device, dtype = _place_and_type(module)
    # a copy, since torch warns of read-only arrays
    values = np.array(trials["input"].transpose(*INPUT_DIMS).values)
    inputs = torch.from_numpy(values).to(device, dtype)
    with _evaluation_mode(module):
        # the check draws random numbers too, and the module's must stay as they were
        with _random_state_restored(device):
            noise_free = _is_noise_free(setup, inputs)
        with nullcontext() if seed is None else _random_state_restored(device, seed):
            rates, output = _run(setup, inputs)
    return as_block(
        np.concatenate(rates, axis=2),
        output,
        trials,
        units=unit_table(
            {label: each.shape[2] for label, each in zip(labels, rates, strict=True)}, name
        ),
        name=name,
        # inputs count as noise-free only if the trials say so
        deterministic=noise_free and trials.attrs.get("sigma_x") == 0,
        provenance={
            "network": name,
            "module": f"{type(module).__module__}.{type(module).__qualname__}",
            "layers": labels,
            "batch_first": setup.batch_first,
            "kind": trials.attrs.get("kind"),
            "dt_ms": trials.attrs.get("dt_ms"),
            "seed": seed,
        },
        inputs_and_outputs=inputs_and_outputs,
    )


def _with_defaults(trials: xr.Dataset) -> xr.Dataset:
    """Check trials; add the optional column "task" and attribute "aligned_to" where missing."""
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
    reserved = set(columns_on(trials, "trial")) & {*unit_table({}, ""), "rate"}
    if reserved:
        raise InputError(
            "trials",
            "columns of other names than the unit table's",
            listing(sorted(reserved)),
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
    """Return the layers to record by name."""
    # a layer that is used twice can be named by either name
    modules = dict(module.named_modules(remove_duplicate=False))
    if layer is None:
        return _only_recurrent_layer(module, modules)
    names = [layer] if isinstance(layer, str) else list(layer)
    if not names or len(set(names)) < len(names):
        raise InputError(
            "layer", "one layer, or several different ones", repr(names), "Name each once."
        )
    for name in names:
        if name not in modules:
            raise unknown_name("layer", name, filter(None, modules))
    return {name: modules[name] for name in names}


def _only_recurrent_layer(
    module: torch.nn.Module, modules: Mapping[str, torch.nn.Module]
) -> dict[str, torch.nn.Module]:
    if isinstance(module, torch.nn.RNNBase):
        return {"": module}
    recurrent: dict[str, torch.nn.Module] = {
        name: part for name, part in modules.items() if isinstance(part, torch.nn.RNNBase)
    }
    if len(recurrent) == 1:
        return recurrent
    names = recurrent or [name for name in modules if name]
    raise InputError(
        "layer",
        "the name of the layer to record, where a module has not just one nn.RNN, GRU or LSTM",
        f"None for {type(module).__name__} with {len(recurrent)}",
        f"Pass layer=, one or several of: {listing(names)}.",
    )


def _orientation(module: torch.nn.Module, layers: Mapping[str, torch.nn.Module]) -> bool:
    """Return ``batch_first`` of the recurrent layers: of those recorded, or else of any."""
    for candidates in (layers.values(), module.modules()):
        values = {part.batch_first for part in candidates if isinstance(part, torch.nn.RNNBase)}
        if len(values) == 1:
            return bool(values.pop())
    raise InputError(
        "batch_first",
        "True or False for a module without recurrent layers of one orientation",
        "None",
        "Pass batch_first=True if the module takes (trial, time, channel), else False.",
    )


def _place_and_type(module: torch.nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return the device and type of the weights of a module."""
    for values in chain(module.parameters(), module.buffers()):
        # integer buffers, such as counters of batches, do not tell the type
        if values.is_floating_point():
            return values.device, values.dtype
    return torch.device("cpu"), torch.float32


@contextmanager
def _evaluation_mode(module: torch.nn.Module) -> Iterator[None]:
    """Set a module to evaluation mode in a ``with`` block; then restore the mode of each part."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        # for each part, since parts may be in different modes
        for part, mode in modes:
            part.training = mode


@contextmanager
def _random_state_restored(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Seed the random numbers of torch in a ``with`` block; then restore their state."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if seed is not None:
            torch.manual_seed(seed)
        yield


@contextmanager
def _recorded_calls(layers: Mapping[str, torch.nn.Module]) -> Iterator[_Calls]:
    """Record the results of layers in a ``with`` block, call by call."""
    calls: _Calls = {name: [] for name in layers}

    def hook(name: str) -> Any:
        # a copy, since modules may overwrite the result of a layer in place
        return lambda _module, _inputs, result: calls[name].append(_tensor_of(name, result).clone())

    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _tensor_of(name: str, result: Any) -> torch.Tensor:
    """Return the tensor that is recorded from the result of a layer."""
    if isinstance(result, torch.nn.utils.rnn.PackedSequence):
        raise InputError(
            f"layer {name!r}",
            "a padded tensor",
            "a PackedSequence",
            "Use padded trials: rates after the end of a trial are set to NaN in any case.",
        )
    first = _first(result)
    if first is None:
        raise InputError(
            f"layer {name!r}",
            "a tensor, or a tuple or list that starts with one",
            type(result).__name__,
            "Name another layer.",
        )
    return first


def _first(result: Any) -> torch.Tensor | None:
    first = result[0] if isinstance(result, tuple | list) and result else result
    return first if isinstance(first, torch.Tensor) else None


def _is_noise_free(setup: _Setup, inputs: torch.Tensor) -> bool:
    """Return whether two runs of the same trials give equal rates, bit for bit."""
    part = inputs[:, :TRIALS_RUN_TWICE]
    first, second = _run(setup, part)[0], _run(setup, part)[0]
    return all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def _run(setup: _Setup, inputs: torch.Tensor) -> tuple[list[Floats], Floats | None]:
    """Return the rates of each layer and the output, ``(trial, time, ...)``."""
    parts = [_run_part(setup, part) for part in _parts(inputs)]
    rates = [np.concatenate(layer) for layer in zip(*(rates for rates, _ in parts), strict=True)]
    outputs = [output for _, output in parts if output is not None]
    return rates, np.concatenate(outputs) if outputs else None


def _parts(inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Split trials into parts whose number of trials is not the number of time steps.

    The axis of trials in the result of a layer then follows from its size.
    """
    n_time, n_trials, _ = inputs.shape
    n_parts = -(-n_trials // TRIALS_AT_ONCE)
    while n_time > 1 and n_time in {n_trials // n_parts, -(-n_trials // n_parts)}:
        n_parts += 1
    return inputs.tensor_split(n_parts, dim=1)


def _run_part(setup: _Setup, inputs: torch.Tensor) -> tuple[list[Floats], Floats | None]:
    oriented = (inputs.transpose(0, 1) if setup.batch_first else inputs).contiguous()
    with _recorded_calls(setup.layers) as calls:
        try:
            result = setup.module(oriented)
        # by this error torch reports shapes that do not fit
        except RuntimeError as error:
            raise _input_not_accepted(setup, oriented, error) from error
    rates = [_rates_of(setup, name, results, inputs) for name, results in calls.items()]
    return rates, _output_of(setup, result, inputs)


def _input_not_accepted(setup: _Setup, inputs: torch.Tensor, error: RuntimeError) -> InputError:
    message = (str(error).splitlines() or [type(error).__name__])[0]
    dims = "(trial, time, channel)" if setup.batch_first else "(time, trial, channel)"
    return InputError(
        type(setup.module).__name__,
        f"a module that takes the trials' input {dims} of sizes {tuple(inputs.shape)}",
        f"its error {message!r}",
        f"Pass batch_first={not setup.batch_first} if it takes them the other way round; make "
        "trials of the channels it was trained on, e.g. make_trials(..., rules=...).",
    )


def _rates_of(setup: _Setup, name: str, calls: list[torch.Tensor], inputs: torch.Tensor) -> Floats:
    """Concatenate the calls of a layer along time, ``(trial, time, unit)``."""
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
        raise _wrong_shape(setup, name, calls, inputs)
    rates = _as_array(torch.cat(steps))
    if not np.isfinite(rates).all():
        raise InputError(
            f"layer {name!r}", "finite rates", "NaN or infinity", "Check the module's weights."
        )
    return rates


def _output_of(setup: _Setup, result: Any, inputs: torch.Tensor) -> Floats | None:
    """Return the result of a module ``(trial, time, output_channel)`` if it is an output."""
    output = _first(result)
    if output is None or output.ndim != 3 or output.shape[-1] != setup.n_outputs:
        return None
    n_time, n_trials, _ = inputs.shape
    steps = _time_first(setup, setup.module, output, n_trials)
    return _as_array(steps) if steps is not None and len(steps) == n_time else None


def _time_first(
    setup: _Setup, layer: torch.nn.Module, result: torch.Tensor, n_trials: int
) -> torch.Tensor | None:
    """Return the result of a call as ``(time, trial, unit)``; None where its shape does not fit."""
    if result.ndim == 2:
        result = result[None]
    elif result.ndim != 3:
        return None
    elif _is_trial_first(setup, layer, result, n_trials):
        result = result.transpose(0, 1)
    return result if result.shape[1] == n_trials else None


def _is_trial_first(
    setup: _Setup, layer: torch.nn.Module, result: torch.Tensor, n_trials: int
) -> bool:
    if isinstance(layer, torch.nn.RNNBase):
        # not from the sizes: they fit as well where a layer has run over trials as if over time
        return bool(layer.batch_first)
    fits = [size == n_trials for size in result.shape[:2]]
    return fits[0] if fits[0] != fits[1] else setup.batch_first


def _as_array(steps: torch.Tensor) -> Floats:
    return steps.transpose(0, 1).float().cpu().numpy()


def _wrong_shape(
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
