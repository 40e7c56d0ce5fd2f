"""Two models that nwbcompare opens by name: one by its activity, one as a network.

Install them beside nwbcompare (``pip install examples/model_package``); then every command takes
``ring?n_units=50`` and ``random-network:Poisson-like?seed=3`` as a SOURCE.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

import nwbcompare as nc
from nwbcompare.model import Network, NetworkConfig
from nwbcompare.workflows.model_registry import ModelLoader


def load_ring(rest: str, *, n_units: int = 32, width: float = 0.6) -> xr.DataTree:
    """Return the activity of a ring of direction-tuned units in two tasks.

    Parameters
    ----------
    rest
        Text after the name in a SOURCE: the name of the model, by default "ring".
    n_units
        Units, with preferred directions around the ring.
    width
        Width of the tuning curve (rad).
    """
    directions = np.arange(8) * np.pi / 4
    trials = pd.DataFrame(
        {"task": np.repeat(["respond", "ignore"], 8), "direction": np.tile(directions, 2)}
    )
    preferred = 2 * np.pi * np.arange(n_units) / n_units
    distance = np.angle(np.exp(1j * (trials["direction"].to_numpy()[:, None] - preferred)))
    # half of the units are silent in the second task
    gain = np.where((trials["task"] == "ignore").to_numpy()[:, None], preferred < np.pi, 1.0)
    tuning = gain * np.exp(-((distance / width) ** 2) / 2)
    rates = np.repeat(tuning[:, None, :], 20, axis=1)
    activity = nc.from_arrays(
        rates=rates,
        time_s=np.arange(20) * 0.05,
        trials=trials,
        task="task",
        conditions=["direction"],
        source="model",
        name=rest or "ring",
    )
    (block,) = nc.blocks(activity).values()
    # without noise: rates of a condition are the same on every trial
    return nc.make_activity({"ring": block.assign_attrs(deterministic=1)})


def load_random_network(rest: str, *, n_units: int = 64, seed: int = 0) -> Network:
    """Return an untrained network of the package, which commands can record and lesion.

    Parameters
    ----------
    rest
        Name of the network, by default "random network".
    n_units, seed
        Hidden units, and seed of the weights.
    """
    config = NetworkConfig(n_units=n_units, seed=seed, rules=("contextdm1", "contextdm2"))
    return Network(config, name=rest or "random network")


RING = ModelLoader(
    name="ring",
    title="A ring of direction-tuned units",
    returns="activity",
    load=load_ring,
    options={"n_units": int, "width": float},
)
RANDOM_NETWORK = ModelLoader(
    name="random-network",
    title="An untrained network",
    returns="network",
    load=load_random_network,
    options={"n_units": int, "seed": int},
)
