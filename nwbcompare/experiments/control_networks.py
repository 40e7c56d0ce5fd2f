"""Control networks: random rule inputs, untrained weights, or inputs of the stimulus alone."""

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
    """Return a copy of a network with Gaussian rule inputs of equal mean and covariance.

    The input vector of each rule is drawn from a Gaussian with the mean and covariance over units
    of the network's rules. This keeps the statistics of single units and of pairs of units, and
    removes relations between rules. In a GRU, vectors of gates and candidate are drawn jointly.

    Parameters
    ----------
    network
        The network; it is not changed.
    seed
        Seed of the vectors. Results of single draws vary: average over several.

    Returns
    -------
    Network
        The copy, with the draw in its name. Of a network with mixed rules, the vectors that are
        mixed are random.

    Raises
    ------
    NotApplicableError
        For a network with fewer than two rules, which has no covariance.

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
    # seeded by the weights too, so that vectors of two networks are independent
    weights = zlib.crc32(matrices[0].cpu().numpy().tobytes())
    rng = np.random.default_rng((seed, weights))
    normal = rng.standard_normal((n_rules, n_rules), dtype=np.float32)
    coefficients = torch.from_numpy(normal).to(network.device)
    for rows in matrices:
        mean = rows.mean(dim=0)
        # sums of the centred rows with normal coefficients have their covariance, of rank n - 1
        rows.copy_(mean + coefficients @ (rows - mean) / (n_rules - 1) ** 0.5)
    return other


def _rule_rows(network: Network) -> list[torch.Tensor]:
    """Return views of the rule rows ``(rule, unit)`` of every input matrix."""
    weights = dict(network.named_parameters())
    if "rule_weight" in weights:
        return [weights["rule_weight"]]
    names = ("input_weight", "gate_input_weight")
    # rule channels come after the sensory ones
    return [weights[name][N_SENSORY:] for name in names if name in weights]


def untrained(network: Network, seed: int) -> Network:
    """Return an untrained network of the same configuration.

    Parameters
    ----------
    network
        The network whose configuration is used.
    seed
        Seed of the initial weights. Use a different one for each network; ``config.seed`` of the
        network results in the weights from which its training started.

    Returns
    -------
    Network
        The new network, with the seed in its name.

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> untrained(Network(NetworkConfig(n_units=8), name="mine"), seed=3).name
    'mine, untrained 3'
    """
    # the seed of a configuration is that of the initial weights
    config = replace(network.config, seed=seed)
    return Network(config, name=f"{network.name}, untrained {seed}").to(network.device)


@torch.no_grad()
def stimulus_only(network: Network, seed: int) -> Network:
    """Return units that respond to the stimulus alone, with the inputs of an untrained network.

    Units have random weights of the fixation and stimulus inputs, no rule input and no recurrent
    connection. Their rates are the same in all tasks with one stimulus: their task variances are
    equal, FTV is 0, and the task cannot be decoded. Sampled like a recording they show what noise
    and stimulus alone give.

    Parameters
    ----------
    network
        The network whose configuration is used.
    seed
        Seed of the input weights.

    Returns
    -------
    Network
        The units, named "stimulus alone".

    Examples
    --------
    >>> from nwbcompare.model import NetworkConfig
    >>> units = stimulus_only(Network(NetworkConfig(n_units=8), name="mine"), seed=3)
    >>> units.name, bool(units.recurrent_weight.any())
    ('stimulus alone', False)
    """
    other = untrained(network, seed)
    other.name = "stimulus alone"
    for rows in _rule_rows(other):
        rows.zero_()
    weights = dict(other.named_parameters())
    for name in {"recurrent_weight", "gate_recurrent_weight"} & set(weights):
        weights[name].zero_()
    return other
