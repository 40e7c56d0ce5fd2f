"""Networks to hold a trained one against: other rule inputs, or no training at all."""

from __future__ import annotations

import copy
import zlib
from dataclasses import replace

import numpy as np
import torch

from nwbcompare.core.checks import check_whole
from nwbcompare.core.errors import NotApplicableError
from nwbcompare.model.network import Network
from nwbcompare.tasks.channels import N_SENSORY


@torch.no_grad()
def with_gaussian_rules(network: Network, seed: int) -> Network:
    """Give a copy of a network whose rule inputs are random, with equal mean and covariance.

    Each rule's input vector is drawn from the Gaussian whose mean and covariance over units are
    those of the network's own rules: what single units and pairs of them look like is kept,
    what one rule has to do with another is lost. A GRU's gates are drawn along with its
    candidate.

    Parameters
    ----------
    network
        The network; it is not changed.
    seed
        Seed of the vectors. One draw leaves much to chance: average over some.

    Returns
    -------
    Network
        The copy, whose name says so. Where rules are mixed, what is mixed is random.

    Raises
    ------
    NotApplicableError
        For a network with fewer than two rules, which have no covariance.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> network = Network(NetworkConfig(n_units=8), name="mine")
    >>> with_gaussian_rules(network, seed=0).name
    'mine, Gaussian rules 0'
    """
    check_whole("seed", seed, 0, "Use seed=0.")
    n_rules = len(network.config.rules)
    if n_rules < 2:
        raise NotApplicableError(
            "network", "at least two rules", f"{n_rules}", "Train it on more tasks."
        )
    other = copy.deepcopy(network)
    other.name = f"{network.name}, Gaussian rules {seed}"
    matrices = _rule_rows(other)
    # by the weights too, so that one seed gives unrelated vectors in two networks
    weights = zlib.crc32(matrices[0].cpu().numpy().tobytes())
    rng = np.random.default_rng((seed, weights))
    normal = rng.standard_normal((n_rules, n_rules), dtype=np.float32)
    drawn = torch.from_numpy(normal).to(network.device)
    for rows in matrices:
        mean = rows.mean(dim=0)
        # products of normal numbers with the centred rows have their covariance, of rank n - 1
        rows.copy_(mean + drawn @ (rows - mean) / (n_rules - 1) ** 0.5)
    return other


def _rule_rows(network: Network) -> list[torch.Tensor]:
    """Give views of the rows ``(rule, unit)`` by which rules enter, in every matrix."""
    weights = dict(network.named_parameters())
    if "rule_weight" in weights:
        return [weights["rule_weight"]]
    names = ("input_weight", "gate_input_weight")
    return [weights[name][N_SENSORY:] for name in names if name in weights]


def untrained(network: Network, seed: int) -> Network:
    """Give a network of the same configuration with fresh initial weights.

    Parameters
    ----------
    network
        The network whose configuration is taken.
    seed
        Seed of the weights: another one for each network. A network's own, ``config.seed``,
        gives the weights that its training started from.

    Returns
    -------
    Network
        The new network, whose name says so.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> untrained(Network(NetworkConfig(n_units=8), name="mine"), seed=3).name
    'mine, untrained 3'
    """
    config = replace(network.config, seed=seed)
    return Network(config, name=f"{network.name}, untrained {seed}").to(network.device)
