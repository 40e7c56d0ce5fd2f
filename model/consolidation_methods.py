"""Methods of consolidation by name: protection of earlier tasks while later ones are trained."""

from __future__ import annotations

from collections.abc import Callable

import torch

from nwbcompare.model.config import Consolidation, Method
from nwbcompare.model.consolidator import Consolidator, Shapes
from nwbcompare.model.orthogonal_projection import OrthogonalProjection
from nwbcompare.model.weight_importance import Borrowed, Elastic, SynapticIntelligence

METHODS: dict[Method, Callable[[Consolidation, torch.Tensor, Shapes], Consolidator]] = {
    "none": Consolidator,
    "synaptic_intelligence": SynapticIntelligence,
    "elastic": Elastic,
    "orthogonal": OrthogonalProjection,
}
# unlike the methods above they need the importances of another run
CONTROLS: tuple[Method, ...] = ("permuted", "uniform")


def consolidator(
    config: Consolidation,
    weights: torch.Tensor,
    shapes: Shapes,
    importances: torch.Tensor | None = None,
) -> Consolidator:
    """Return the method of consolidation that a configuration names.

    Parameters
    ----------
    config, weights, shapes
        See `Consolidator`.
    importances
        For the controls "permuted" and "uniform": importances after each stage of another run
        ``(stage, weight)``.

    Raises
    ------
    InputError
        For a control without importances or with those of a network of another size, and for
        "orthogonal" with a GRU.

    Examples
    --------
    >>> weights = torch.ones(3)
    >>> method = consolidator(
    ...     Consolidation(method="synaptic_intelligence"), weights, {"bias": weights.shape})
    >>> method.after_step(torch.tensor([1.0, 0.0, -1.0]), torch.tensor([-0.1, 0.1, -0.1]))
    >>> [f"{value:.1f}" for value in method.path_integral.abs().tolist()]
    ['0.1', '0.0', '0.1']
    """
    if config.method in CONTROLS:
        return Borrowed(config, weights, shapes, importances)
    return METHODS[config.method](config, weights, shapes)
