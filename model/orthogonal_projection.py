"""Consolidation by projection: weights change only where earlier stages were not active."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from nwbcompare.core.errors import InputError
from nwbcompare.model.config import Consolidation
from nwbcompare.model.consolidator import Consolidator, Examples, Shapes


class Layer(NamedTuple):
    """Weights that act together: ``rows @ whole``, the rows of all matrices stacked.

    Attributes
    ----------
    names
        The weights, in the order in which what they act on is stacked; the bias acts on a 1.
    source, result
        What the layer acts on, and what it gives: keys of the second moments.
    """

    names: tuple[str, ...]
    source: str
    result: str


RECURRENT = Layer(
    ("input_weight", "rule_weight", "recurrent_weight", "bias"), "recurrent_source", "drive"
)
READ_OUT = Layer(("output_weight", "output_bias"), "read_out_source", "output")
LAYERS = (RECURRENT, READ_OUT)


class OrthogonalProjection(Consolidator):
    """Keep a step from changing what units and outputs get from activity of earlier stages.

    Duncker et al. 2020. The units' drive at a step is ``z W`` with ``z = [inputs, rates of the
    step before, 1]``, that of the outputs ``h V`` with ``h = [rates, 1]``. When a stage ends, the
    second moments of z, zW, h and hV on its trials enter their means over all stages so far.
    From then on a change of W becomes ``P_z change P_zW``, one of V ``P_h change P_hV``, with
    ``P = (strength * moment + 1)^-1``: activity of a high moment is not acted on differently
    any more, and drives do not change in the directions that had a high moment.

    Parameters
    ----------
    config
        ``strength`` is the inverse of the paper's alpha, which is 0.001: its strength is 1000.
        0 restricts nothing.
    weights, shapes
        See `Consolidator`; of a leaky RNN, with or without a map for rules.

    Raises
    ------
    InputError
        For a GRU, whose gates act on the same activity by weights that would not be held.

    Notes
    -----
    What differs from the paper:

    - The paper projects the gradient. Adam then divides every entry by a number of its own,
      which would turn the step back into what is protected. So the change that Adam makes is
      projected; its running means see the gradient as it is.
    - Biases are projected as weights from an input of 1. Left free, they could change the
      drives of all earlier tasks.
    - Outputs are sigmoids here: hV is what enters them.
    - Stages count alike in the mean, as tasks do in the paper; the tasks of one stage share its
      weight by their numbers of time steps.
    - Moments are measured on trials drawn when a stage has ended, with noise, and with
      the weights that it ended with.

    Noise is activity too. At 20 ms the published input noise has a variance of 0.001 in every
    channel, so that of strength 1000 a channel that no task has used yet gets half its change.
    A projection spreads a weight's change over all that act together with it, so
    ``TrainingConfig.trainable`` is refused.

    References
    ----------
    Duncker, Driscoll, Shenoy, Sahani & Sussillo 2020, "Organizing recurrent network dynamics by
    task-computation to enable continual learning", NeurIPS, Algorithm 1.

    Examples
    --------
    The one stage so far had its first input on at every step, and its second one off; the bias
    acts on a 1. Their first weight and the bias may change against each other only, the second
    weight is free:

    >>> class Seen:
    ...     def gradients(self):
    ...         yield from ()
    ...     def activity(self):
    ...         yield torch.tensor([[1.0, 0.0]]), torch.zeros(1, 1), torch.zeros(1, 1)
    >>> shapes = {"input_weight": (2, 1), "recurrent_weight": (1, 1), "bias": (1,),
    ...           "output_weight": (1, 1), "output_bias": (1,)}
    >>> method = OrthogonalProjection(
    ...     Consolidation(method="orthogonal", strength=1e6), torch.zeros(6),
    ...     {name: torch.Size(shape) for name, shape in shapes.items()})
    >>> method.end_stage(Seen())
    >>> change = torch.tensor([3.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    >>> method.restrict(change)
    True
    >>> [round(float(one), 3) for one in change[:4]]
    [1.0, 1.0, 0.0, -1.0]
    """

    def __init__(self, config: Consolidation, weights: torch.Tensor, shapes: Shapes) -> None:
        super().__init__(config, weights, shapes)
        if "gate_bias" in shapes:
            raise InputError(
                "method",
                "one that a leaky_gru can take",
                "'orthogonal', which is for a leaky_rnn",
                "Use NetworkConfig(cell='leaky_rnn'), or method='synaptic_intelligence'.",
            )
        self._moments: dict[str, torch.Tensor] = {}
        for layer in LAYERS:
            sizes = torch.cat(self._parts(weights, layer)).shape
            for name, size in zip((layer.source, layer.result), sizes, strict=True):
                self._moments[name] = weights.new_zeros((size, size), dtype=torch.float64)
        self._n_stages = 0
        self._projections: dict[str, torch.Tensor] = {}

    def restrict(self, change: torch.Tensor) -> bool:
        """Take from a step's change ``(weight,)``, in place, what it must not do; tell if any."""
        if not self._projections:
            return False
        for layer in LAYERS:
            parts = self._parts(change, layer)
            allowed = torch.linalg.multi_dot(
                [self._projections[layer.source], torch.cat(parts), self._projections[layer.result]]
            )
            for part, new in zip(
                parts, torch.split(allowed, [len(part) for part in parts]), strict=True
            ):
                part.copy_(new)
        return True

    def end_stage(self, examples: Examples) -> None:
        """Protect what the stage has taught."""
        sums = {layer.source: torch.zeros_like(self._moments[layer.source]) for layer in LAYERS}
        number = 0
        for inputs, before, rates in examples.activity():
            one = torch.ones_like(rates[:, :1])
            acted_on = {
                RECURRENT.source: torch.cat([inputs, before, one], dim=1),
                READ_OUT.source: torch.cat([rates, one], dim=1),
            }
            for name, samples in acted_on.items():
                sums[name].addmm_(samples.double().T, samples.double())
            number += len(one)
        self._n_stages += 1
        for layer in LAYERS:
            source = sums[layer.source] / number
            whole = torch.cat(self._parts(self.weights, layer)).double()
            # the running mean over stages
            self._moments[layer.source].lerp_(source, 1 / self._n_stages)
            self._moments[layer.result].lerp_(whole.T @ source @ whole, 1 / self._n_stages)
        self._project()

    def state(self) -> dict[str, torch.Tensor]:
        """Give what has to be kept to go on later."""
        return self._moments | {"n_stages": torch.tensor(self._n_stages)}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` gave."""
        for name, moment in self._moments.items():
            moment.copy_(state[name])
        self._n_stages = int(state["n_stages"])
        self._project()

    def _parts(self, flat: torch.Tensor, layer: Layer) -> list[torch.Tensor]:
        """Give a layer's part of a vector ``(weight,)`` as views ``(row, column)``."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        views = dict(zip(self.shapes, torch.split(flat, sizes), strict=True))
        return [
            views[name].view(-1, self.shapes[name][-1])
            for name in layer.names
            if name in self.shapes
        ]

    def _project(self) -> None:
        """Make the projections of the present moments."""
        if not self._n_stages or not self.config.strength:
            return
        for name, moment in self._moments.items():
            values, vectors = torch.linalg.eigh(moment)
            # rounding leaves directions without activity values around 0, on both sides of it
            kept = 1 / (1 + self.config.strength * values.clamp_(min=0))
            self._projections[name] = ((vectors * kept) @ vectors.T).to(self.weights.dtype)
