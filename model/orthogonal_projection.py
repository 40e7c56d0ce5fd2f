"""Consolidation by projection of weight changes away from the activity of earlier stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from nwbcompare.core.errors import InputError
from nwbcompare.model.config import Consolidation
from nwbcompare.model.consolidator import Consolidator, Examples, Shapes


class Layer(NamedTuple):
    """Weights that act together, stacked by rows into one matrix.

    Attributes
    ----------
    names
        Names of the weights in the order of their rows; the bias is the row of a constant 1.
    source, result
        Keys of the second moments of the layer's inputs and of its results.
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
    """Project weight changes so that the drives of earlier stages do not change.

    The drive of the units at a step is ``z W`` with ``z = [inputs, rates of the previous step,
    1]``, that of the outputs ``h V`` with ``h = [rates, 1]``. At the end of a stage the second
    moments of z, zW, h and hV on its trials enter their means over all stages so far. From then
    on a change of W becomes ``P_z change P_zW`` and one of V ``P_h change P_hV``, with ``P =
    (strength * moment + 1)^-1``: directions of activity with a high moment keep their drives, and
    drives do not change in directions with a high moment (Duncker et al. 2020).

    Parameters
    ----------
    config
        ``strength`` is the inverse of alpha in the paper (there 0.001, so a strength of 1000);
        0 for no restriction.
    weights, shapes
        See `Consolidator`; of a leaky RNN, with or without a separate matrix for rules.

    Raises
    ------
    InputError
        For a GRU, whose gate weights act on the same activity and would not be projected.

    Notes
    -----
    Differences from the paper:

    - The paper projects the gradient. Adam divides each entry by its own second moment, which
      would turn the step back into protected directions. Here the change that Adam makes is
      projected; its moments are those of the unprojected gradient.
    - Biases are projected as weights from an input of 1. Otherwise they could change the drives
      of all earlier tasks.
    - Outputs are sigmoids; hV is their argument.
    - Stages have equal weight in the mean, as tasks in the paper; tasks of one stage are weighted
      by their numbers of time steps.
    - Moments are measured on trials drawn at the end of a stage, with noise and with the weights
      of that time.

    Noise is activity too. At 20 ms the published input noise has a variance of 0.001 in every
    channel, so that with a strength of 1000 the change of an unused channel is halved. A
    projection spreads the change of a weight over all weights that act together, so it cannot be
    combined with ``TrainingConfig.trainable``.

    References
    ----------
    Duncker, Driscoll, Shenoy, Sahani & Sussillo 2020, "Organizing recurrent network dynamics by
    task-computation to enable continual learning", NeurIPS, Algorithm 1.

    Examples
    --------
    In the only stage so far the first input was on at every step and the second off; the bias
    acts on a constant 1. The first weight and the bias can only change in opposite directions,
    the second weight freely:

    >>> class FirstStage:
    ...     def gradients(self):
    ...         yield from ()
    ...     def activity(self):
    ...         yield torch.tensor([[1.0, 0.0]]), torch.zeros(1, 1), torch.zeros(1, 1)
    >>> shapes = {"input_weight": (2, 1), "recurrent_weight": (1, 1), "bias": (1,),
    ...           "output_weight": (1, 1), "output_bias": (1,)}
    >>> method = OrthogonalProjection(
    ...     Consolidation(method="orthogonal", strength=1e6), torch.zeros(6),
    ...     {name: torch.Size(shape) for name, shape in shapes.items()})
    >>> method.end_stage(FirstStage())
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
        """Project the change of a step ``(weight,)`` in place; return whether it was."""
        if not self._projections:
            return False
        for layer in LAYERS:
            parts = self._parts(change, layer)
            # in the cheaper order of the two products
            allowed = torch.linalg.multi_dot(
                [self._projections[layer.source], torch.cat(parts), self._projections[layer.result]]
            )
            for part, new in zip(
                parts, torch.split(allowed, [len(part) for part in parts]), strict=True
            ):
                part.copy_(new)
        return True

    def end_stage(self, examples: Examples) -> None:
        """Add the second moments of a stage to their means, and update the projections."""
        sums = {layer.source: torch.zeros_like(self._moments[layer.source]) for layer in LAYERS}
        number = 0
        for inputs, before, rates in examples.activity():
            # a bias is the weight of an input of 1
            one = torch.ones_like(rates[:, :1])
            layer_inputs = {
                RECURRENT.source: torch.cat([inputs, before, one], dim=1),
                READ_OUT.source: torch.cat([rates, one], dim=1),
            }
            for name, samples in layer_inputs.items():
                sums[name].addmm_(samples.double().T, samples.double())
            number += len(one)
        self._n_stages += 1
        for layer in LAYERS:
            source = sums[layer.source] / number
            whole = torch.cat(self._parts(self.weights, layer)).double()
            # running mean over stages
            self._moments[layer.source].lerp_(source, 1 / self._n_stages)
            self._moments[layer.result].lerp_(whole.T @ source @ whole, 1 / self._n_stages)
        self._project()

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors of a checkpoint."""
        return self._moments | {"n_stages": torch.tensor(self._n_stages)}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the tensors that `state` returned."""
        for name, moment in self._moments.items():
            moment.copy_(state[name])
        self._n_stages = int(state["n_stages"])
        self._project()

    def _parts(self, flat: torch.Tensor, layer: Layer) -> list[torch.Tensor]:
        """Return the matrices of a layer as views ``(row, column)`` of a vector ``(weight,)``."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        views = dict(zip(self.shapes, torch.split(flat, sizes), strict=True))
        return [
            views[name].view(-1, self.shapes[name][-1])
            for name in layer.names
            if name in self.shapes
        ]

    def _project(self) -> None:
        """Compute the projections from the present moments."""
        if not self._n_stages or not self.config.strength:
            return
        for name, moment in self._moments.items():
            values, vectors = torch.linalg.eigh(moment)
            # eigenvalues of directions without activity are 0 up to rounding, some just below
            factors = 1 / (1 + self.config.strength * values.clamp_(min=0))
            self._projections[name] = ((vectors * factors) @ vectors.T).to(self.weights.dtype)
