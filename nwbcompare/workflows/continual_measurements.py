"""Units of the networks on every protocol, measured once and kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import xarray as xr

from nwbcompare.comparison.matched_sampling import Match, sample_draws, sample_like
from nwbcompare.comparison.protocol_mapping import ProtocolMapping
from nwbcompare.core.activity import blocks
from nwbcompare.core.errors import ExplainedError
from nwbcompare.core.files import sha256_of_file
from nwbcompare.core.hdf5_output import write_netcdf
from nwbcompare.core.process_pool import Job, run_all
from nwbcompare.model.checkpoint import WEIGHTS, load, load_milestone
from nwbcompare.model.network import Network
from nwbcompare.workflows.continual_settings import LEVELS, Settings
from nwbcompare.workflows.continual_training import Trained, run_folder_of
from nwbcompare.workflows.measurements import network_pair, sample_of
from nwbcompare.workflows.sources import record_test_trials
from nwbcompare.workflows.training_configs import configs_of
from nwbcompare.workflows.training_regimes import DONOR, REGIMES, UNTRAINED

MEASURES = "measures"
PRIMARY = "sampled"
PROTOCOLS = (PRIMARY, "signal", "matched", "published")
"""See `nwbcompare.workflows.measurements.PROTOCOLS`."""
AT_LEVEL = "sampled at {:.2f}"
WITH_LEVELS = ("interleaved", "sequential", DONOR)
REASON = "why_not"
COLUMNS = ("unit", "draw", "network_unit", "recorded_unit", "session", "subject")


@dataclass(frozen=True)
class Measured:
    """Sample tables of one network by protocol, and why it was not measured on others."""

    regime: str
    seed: int
    tables: Mapping[str, xr.Dataset]
    refused: Mapping[str, str]


def measure_networks(
    out: Path,
    trained: Sequence[Trained],
    recording: xr.DataTree,
    mapping: ProtocolMapping,
    settings: Settings,
    *,
    pair: tuple[str, str],
    n_jobs: int = 1,
) -> list[Measured]:
    """Measure the FTV of trained networks, and of untrained ones, on every protocol.

    Parameters
    ----------
    out
        The folder; what has been measured is kept under ``measures`` and not measured again.
    trained
        The networks, all of them finished.
    recording
        The recording that networks are sampled like.
    mapping
        What its conditions are to a network.
    settings
        Numbers of draws and seeds.
    pair
        The two tasks, as the recording names them.
    n_jobs
        Processes; results do not depend on them.

    Returns
    -------
    list of Measured
        One for each network, in their order, then the untrained ones of the same seeds.
    """
    (out / MEASURES).mkdir(exist_ok=True)
    training = {name: str(value) for name, value in settings.training.items()}
    if not settings.warm_up_steps:
        # what was measured before there was a warm-up stays valid
        del training["warm_up_steps"]
    identity = {
        "training": training,
        "draws": [settings.seed, settings.n_draws],
        "pair": list(pair),
        "recording": _digest(recording),
        "mapping": mapping.parameters(),
    }
    asked = list(trained)
    seeds = sorted({one.seed for one in asked})
    asked += [Trained(UNTRAINED, seed, run_folder_of(out, UNTRAINED, seed)) for seed in seeds]
    jobs: list[Job] = [
        (one.folder.name, _measured, (identity, out, one, recording, mapping, settings, pair))
        for one in asked
    ]
    found, _ = run_all(jobs, n_jobs, "measures")
    return list(found)


def _measured(
    identity: Mapping[str, object],
    out: Path,
    one: Trained,
    recording: xr.DataTree,
    mapping: ProtocolMapping,
    settings: Settings,
    pair: tuple[str, str],
) -> Measured:
    """Measure a network, or read what was measured of it."""
    file, weights = out / MEASURES / f"{one.folder.name}.nc", one.folder / WEIGHTS
    sha = sha256_of_file(weights) if weights.is_file() else ""
    kept = _read(file, identity, sha)
    if kept is None:
        kept = _measure(one, recording, mapping, settings, pair)
        _write(file, kept, identity, sha)
    refused = {name: str(table.attrs[REASON]) for name, table in kept.items() if not table.sizes}
    tables = {name: table for name, table in kept.items() if table.sizes}
    return Measured(one.regime, one.seed, tables, refused)


def _measure(
    one: Trained,
    recording: xr.DataTree,
    mapping: ProtocolMapping,
    settings: Settings,
    pair: tuple[str, str],
) -> dict[str, xr.Dataset]:
    regime, seed = one.regime, one.seed
    network = _network(one, settings)
    # the same units' places and spikes for all regimes of a seed would be no help: their units
    # have nothing in common; what is shared is the recorded unit that each stands in for
    first = settings.seed + settings.n_draws * seed
    seeds = range(first, first + settings.n_draws)
    ways: dict[str, Callable[[], list[xr.DataTree]]] = {
        PRIMARY: partial(_sampled, network, recording, mapping, seeds, "rate"),
        "signal": partial(_sampled, network, recording, mapping, seeds, "signal"),
        "matched": lambda: [sample_like(network, recording, mapping, noise=False, seed=first)],
        "published": lambda: [record_test_trials(network, network_pair(pair, mapping))],
    }
    found = {
        name: _table(
            way, network_pair(pair, mapping) if name == "published" else pair, name, regime
        )
        for name, way in ways.items()
        # further regimes are compared on the primary protocol alone
        if name == PRIMARY or regime in (*REGIMES, UNTRAINED)
    }
    for level in LEVELS if regime in WITH_LEVELS else ():
        early = load_milestone(one.folder, level)
        name = AT_LEVEL.format(level)
        if early is None:
            found[name] = _without(f"its Ctx DM tasks never were both at {level:g}")
        else:
            way = partial(_sampled, early, recording, mapping, seeds, "rate")
            found[name] = _table(way, pair, PRIMARY, regime)
    return found


def _network(one: Trained, settings: Settings) -> Network:
    if one.regime == UNTRAINED:
        config, _ = configs_of(DONOR, one.seed, settings)
        return Network(config, name=one.folder.name)
    return load(one.folder)


def _sampled(
    network: Network,
    recording: xr.DataTree,
    mapping: ProtocolMapping,
    seeds: Sequence[int],
    match: Match,
) -> list[xr.DataTree]:
    return list(sample_draws(network, recording, mapping, seeds=seeds, match=match))


def _table(
    way: Callable[[], list[xr.DataTree]], pair: tuple[str, str], protocol: str, regime: str
) -> xr.Dataset:
    try:
        return _slim(sample_of(way(), pair, protocol, regime).ftv)
    except ExplainedError as error:
        return _without(error.reason)


def _slim(table: xr.Dataset) -> xr.Dataset:
    """Keep what comparisons look at, so that the measures of many networks stay small."""
    kept = table[["fractional_task_variance", "active"]]
    return kept.drop_vars([str(name) for name in kept.coords if name not in COLUMNS])


def _without(why: str) -> xr.Dataset:
    return xr.Dataset(attrs={REASON: why})


def _digest(recording: xr.DataTree) -> str:
    """Give the SHA-256 of a recording's rates and trial tables."""
    found = hashlib.sha256()
    for block in blocks(recording).values():
        found.update(block["rate"].values.tobytes())
        for name in sorted(map(str, block.coords)):
            found.update(name.encode())
            found.update(block[name].values.astype(str).tobytes())
    return found.hexdigest()


def _read(file: Path, identity: Mapping[str, object], sha: str) -> dict[str, xr.Dataset] | None:
    """Read what was measured; None where it was not, or of something else."""
    if not file.is_file():
        return None
    with xr.open_datatree(file, engine="h5netcdf") as tree:
        # through text, which knows no tuples
        same = json.loads(tree.attrs["identity"]) == json.loads(json.dumps(identity))
        # without weights, as in a repository, the measures stand for themselves
        if not same or (sha and tree.attrs["weights_sha256"] != sha):
            return None
        return {str(k).replace("_", " "): v.to_dataset().load() for k, v in tree.children.items()}


def _write(
    file: Path, tables: Mapping[str, xr.Dataset], identity: Mapping[str, object], sha: str
) -> None:
    tree = xr.DataTree.from_dict({f"/{k.replace(' ', '_')}": v for k, v in tables.items()})
    tree.attrs = {"identity": json.dumps(identity), "weights_sha256": sha}
    packing = {
        f"/{name.replace(' ', '_')}": {
            str(variable): {"zlib": True, "complevel": 6}
            | ({"dtype": "S1"} if values.dtype.kind in "UO" else {})
            for variable, values in table.variables.items()
            if values.ndim
        }
        for name, table in tables.items()
    }
    write_netcdf(tree, file, overwrite=True, encoding=packing)
