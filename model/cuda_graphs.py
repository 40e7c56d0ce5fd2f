"""Passes on memory that stays in place, recorded once for each shape and replayed.

On a GPU the thousand small operations of a pass take longer to start than to run; a CUDA graph
starts them all at once. Written without a GPU at hand: neither run nor timed on one. The tests
replay by running anew. ``torch.set_float32_matmul_precision("high")``, set before training,
lets products use tf32, which has three decimal digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from nwbcompare.model.backpropagation import Backpropagation, ShardLoss, Weights
from nwbcompare.model.batch import Batch

Work = Callable[[], ShardLoss]
STEP_MULTIPLE = 16
"""Trials are filled up to a multiple of these steps, so that few shapes have to be recorded."""


def run_anew(work: Work) -> Work:
    """Replay by running the work anew."""
    return work


def _cuda_graph(work: Work) -> Work:
    """Replay as a CUDA graph."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # what libraries set up at first use cannot be recorded
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()

    def replay() -> ShardLoss:
        graph.replay()
        return result

    return replay


class Replay:
    """A pass for batches of any shape, on static memory for each; called as `Backpropagation`.

    Parameters
    ----------
    make_pass
        Makes a pass with a memory of its own, for each shape.
    record
        Makes of work on static memory what does it again.
    """

    def __init__(
        self, make_pass: Callable[[], Backpropagation], record: Callable[[Work], Work] = _cuda_graph
    ) -> None:
        self._make_pass, self._record = make_pass, record
        self._recorded: dict[object, tuple[dict[str, torch.Tensor], Work]] = {}

    def __call__(
        self, weights: Weights, batch: Batch, noise: torch.Tensor | None, n_counted: torch.Tensor
    ) -> ShardLoss:
        """Give loss and gradients; they hold until the next call.

        Parameters
        ----------
        weights
            The network's weights by name, the same memory at every call.
        batch, noise, n_counted
            See `Backpropagation`.
        """
        n_time, n_trials, _ = batch.input.shape
        n_filled = -(-n_time // STEP_MULTIPLE) * STEP_MULTIPLE
        given = _tensors(batch, noise) | {"n_counted": n_counted}
        key = (n_filled, n_trials, batch.dt_ms, noise is None)
        if key not in self._recorded:
            static = {name: _static_like(value, n_filled) for name, value in given.items()}
            _copy(given, static)
            self._recorded[key] = (static, self._record(self._work(weights, batch, static)))
        static, replay = self._recorded[key]
        _copy(given, static)
        return replay()

    def _work(self, weights: Weights, batch: Batch, static: dict[str, torch.Tensor]) -> Work:
        run, noise = self._make_pass(), static.get("noise")
        on_static = replace(
            batch,
            input=static["input"],
            target=static["target"],
            loss_mask=static["loss_mask"],
            lengths=static["lengths"],
        )
        return lambda: run(weights, on_static, noise, static["n_counted"])


def _tensors(batch: Batch, noise: torch.Tensor | None) -> dict[str, torch.Tensor]:
    named = {
        "input": batch.input,
        "target": batch.target,
        "loss_mask": batch.loss_mask,
        "lengths": batch.lengths,
    }
    return named if noise is None else named | {"noise": noise}


def _static_like(value: torch.Tensor, n_time: int) -> torch.Tensor:
    shape = (n_time, *value.shape[1:]) if value.ndim == 3 else value.shape
    return torch.zeros(shape, dtype=value.dtype, device=value.device)


def _copy(given: dict[str, torch.Tensor], static: dict[str, torch.Tensor]) -> None:
    """Copy values in; what is longer is 0 beyond them, so that it costs nothing."""
    for name, value in given.items():
        if value.ndim == 3:
            static[name][: len(value)].copy_(value)
            static[name][len(value) :].zero_()
        else:
            static[name].copy_(value)
