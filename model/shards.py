"""Loss and gradients of a training step, with the shards of a batch computed in parallel.

Several threads do not speed up a small matrix product, but they speed up whole shards: each runs
in a thread of its own, with one thread per operation. On a GPU shards run one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from nwbcompare.model.backpropagation import Backpropagation, ShardLoss
from nwbcompare.model.batch import Batch
from nwbcompare.model.config import Regularisation
from nwbcompare.model.loss import add_weight_gradients, weight_loss
from nwbcompare.model.network import Network
from nwbcompare.model.threads import one_thread_each, threads

MakeShard = Callable[[int], tuple[Batch, torch.Tensor | None]]


class Loss(NamedTuple):
    """Task loss, and loss on rates and weights."""

    task: float
    regularisation: float


class FastCore:
    """The weights of a network as one vector, with loss and gradients.

    Parameters
    ----------
    network
        The network; its parameters become views of ``parameters``.
    n_shards
        Number of parts of a batch. Their gradients are summed in order, so that results depend
        neither on which is ready first nor on the number of cores.
    regularisation
        Losses on rates and weights.

    Attributes
    ----------
    parameters, gradients
        All weights and the gradient of the loss ``(weight,)``.
    gradient_by_weight
        Views of the gradient by the name of the weight.

    Examples
    --------
    >>> from nwbcompare.model.config import NetworkConfig
    >>> core = FastCore(Network(NetworkConfig(n_units=4)), n_shards=1)
    >>> core.parameters.shape, core.gradient_by_weight["bias"].shape
    (torch.Size([525]), torch.Size([4]))
    """

    def __init__(
        self, network: Network, *, n_shards: int = 2, regularisation: Regularisation | None = None
    ) -> None:
        self._regularisation = regularisation or Regularisation()
        weights = dict(network.named_parameters())
        self.parameters = torch.cat([w.detach().reshape(-1) for w in weights.values()])
        self.gradients = torch.zeros_like(self.parameters)
        shapes = {name: weight.shape for name, weight in weights.items()}
        self._weights = _views(self.parameters, shapes)
        self.gradient_by_weight = _views(self.gradients, shapes)
        # the network and the vector share memory, so that a step of Adam changes both
        for name, weight in weights.items():
            weight.data = self._weights[name]
        self._passes = [
            Backpropagation(network.config, self._regularisation, network.device)
            for _ in range(n_shards)
        ]
        # a GPU takes the operations of all threads one after another
        one_by_one = n_shards == 1 or self.parameters.is_cuda
        self._pool = None if one_by_one else threads(n_shards)

    def loss_and_gradients(self, make_shard: MakeShard, n_counted: int) -> Loss:
        """Return the loss and set ``gradients``.

        Parameters
        ----------
        make_shard
            Function of the index of a shard that returns its batch and recurrent noise; called in
            the thread of the shard.
        n_counted
            Number of steps of all trials of all shards.
        """
        with one_thread_each():
            run = partial(self._run, make_shard, n_counted)
            go = map if self._pool is None else self._pool.map
            return self._sum(list(go(run, range(len(self._passes)))))

    def _run(self, make_shard: MakeShard, n_counted: int, place: int) -> ShardLoss:
        batch, noise = make_shard(place)
        return self._passes[place](self._weights, batch, noise, n_counted)

    @torch.no_grad()
    def _sum(self, parts: list[ShardLoss]) -> Loss:
        # in the order of the shards: sums of floats depend on their order
        for name, gradient in self.gradient_by_weight.items():
            gradient.copy_(parts[0].gradients[name])
            for part in parts[1:]:
                gradient.add_(part.gradients[name])
        add_weight_gradients(self._weights, self.gradient_by_weight, self._regularisation)
        on_weights = float(weight_loss(self._weights, self._regularisation))
        return Loss(
            sum(float(part.task) for part in parts),
            sum(float(part.rates) for part in parts) + on_weights,
        )

    @torch.no_grad()
    def fill(self, network: Network, values: torch.Tensor) -> None:
        """Copy weights ``(weight,)`` into a network of the same configuration."""
        start = 0
        for weight in network.parameters():
            weight.copy_(values[start : start + weight.numel()].view(weight.shape))
            start += weight.numel()


def _views(flat: torch.Tensor, shapes: dict[str, torch.Size]) -> dict[str, torch.Tensor]:
    parts = torch.split(flat, [shape.numel() for shape in shapes.values()])
    return {
        name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }
