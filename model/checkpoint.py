"""Run folders: configuration, weights, log and evaluation of one network.

Weights are stored as safetensors; nothing is ever unpickled. During training the folder has a
checkpoint as well, one file with everything that is needed to resume the run.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from nwbcompare.core.data_text import parse_json
from nwbcompare.core.errors import (
    DamagedCacheError,
    InputError,
    NotApplicableError,
    differences,
    listing,
    unknown_name,
)
from nwbcompare.core.files import check_output_folder, written_aside
from nwbcompare.model.config import NetworkConfig, TrainingConfig, as_json
from nwbcompare.model.initialisation import weight_shapes
from nwbcompare.model.network import Network
from nwbcompare.model.progress import REMEDY, present_names
from nwbcompare.model.rate_stability import Stability
from nwbcompare.model.run_config import RunConfig, parse_run_config

CONFIG, WEIGHTS, LOG, EVALUATION = (
    "config.json",
    "weights.safetensors",
    "log.csv",
    "evaluation.json",
)
LOG_COLUMNS = ("step", "stage", "dt_ms", "coherence_scale", "loss", "seconds")
STABILITY_COLUMNS = tuple(part.name for part in fields(Stability))
"""Columns of a log that runs of format 3 and older do not have."""
CHECKPOINT = "checkpoint.safetensors"
IMPORTANCES = "importances.safetensors"
MILESTONE = "milestone-{:.2f}.safetensors"
SIDECAR = ".safetensors"
PROGRESS = "progress"
FLOATS = {"F64", "F32", "F16", "BF16"}
"""Types of weights, as safetensors names them."""
PRETRAINED = Path(__file__).parent / "pretrained"


def save_run(
    network: Network,
    out: str | os.PathLike[str],
    *,
    training: TrainingConfig | None = None,
    log: Sequence[Mapping[str, Any]] = (),
    evaluation: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a run folder; after an interruption there is no folder rather than half of one.

    Parameters
    ----------
    network
        The network.
    out
        The folder.
    training, log, evaluation
        Configuration of its training, rows of its log, and its final performance.
    overwrite
        Whether an existing run may be replaced.

    Raises
    ------
    InputError
        For a path that exists (with ``overwrite``: that is no run) or that cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run = save_run(Network(NetworkConfig(n_units=4)), Path(folder) / "mine")
    ...     load(run).name
    'mine'
    """
    check_run_output(out, overwrite=overwrite)
    config = RunConfig(name=Path(out).name, network=network.config, training=training)
    with written_aside(out, overwrite=overwrite) as aside:
        aside.mkdir()
        _write_json(aside / CONFIG, asdict(config))
        _write_weights(aside / WEIGHTS, network)
        if log:
            _write_log(aside / LOG, log)
        if evaluation is not None:
            _write_json(aside / EVALUATION, evaluation)
    return Path(out)


def check_run_output(out: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Check an output folder before any work; a folder that is no run is never replaced.

    Parameters
    ----------
    out
        The folder.
    overwrite
        Whether an existing run may be replaced.

    Raises
    ------
    InputError
        For a path that exists (with ``overwrite``: that is no run) or that cannot be written.
    """
    return check_output_folder(out, kind="run", is_kind=is_run, overwrite=overwrite)


def start_run(
    out: Path,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    name: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the folder of a new run, with its configuration only.

    Parameters
    ----------
    out
        The folder.
    network, training
        Configurations.
    name
        Name of the network; by default that of the folder.
    overwrite
        Whether an existing run may be replaced.
    """
    config = RunConfig(name=name or out.name, network=network, training=training)
    with written_aside(out, overwrite=overwrite) as aside:
        aside.mkdir()
        _write_json(aside / CONFIG, asdict(config))


@dataclass(frozen=True)
class Checkpoint:
    """State of an unfinished run; ``progress`` is None before the first checkpoint."""

    tensors: Mapping[str, torch.Tensor]
    progress: object


def write_checkpoint(
    out: Path, tensors: Mapping[str, torch.Tensor], progress: Mapping[str, Any], network: Network
) -> None:
    """Write the checkpoint of a run, its weights, and its log.

    Each file is written aside and renamed, so that a run killed at any moment leaves it whole.

    Parameters
    ----------
    out
        The run folder.
    tensors
        Everything that is needed to resume the run, by name.
    progress
        A `nwbcompare.model.progress.Progress` as plain values.
    network
        The network whose weights are written beside the checkpoint.
    """
    # safetensors stores contiguous tensors only
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with written_aside(out / CHECKPOINT, overwrite=True) as aside:
        aside.write_bytes(save(plain, {PROGRESS: json.dumps(progress)}))
    with written_aside(out / WEIGHTS, overwrite=True) as aside:
        _write_weights(aside, network)
    if progress["log"]:
        with written_aside(out / LOG, overwrite=True) as aside:
            _write_log(aside, progress["log"])


def read_checkpoint(out: Path, network: NetworkConfig, training: TrainingConfig) -> Checkpoint:
    """Read the checkpoint of a run that is to be resumed.

    Parameters
    ----------
    out
        The run folder.
    network, training
        Configurations of the run; those in the folder have to be equal.

    Raises
    ------
    InputError
        For a run of another configuration; the error lists the differences.
    DamagedCacheError
        For a checkpoint that cannot be read.
    """
    # before the tensors, whose shapes depend on the configuration
    _check_same(out, as_json(network, training))
    file = out / CHECKPOINT
    if not file.is_file():
        return Checkpoint({}, None)
    try:
        tensors = load_file(file)
        # load_file returns tensors only, and the progress is metadata
        with safe_open(file, "pt") as handle:
            text = (handle.metadata() or {}).get(PROGRESS, "")
    except (SafetensorError, OSError) as error:
        raise DamagedCacheError(
            str(file), "tensors in safetensors format", f"{error}", REMEDY
        ) from error
    try:
        return Checkpoint(tensors, parse_json(text))
    except ValueError as error:
        raise DamagedCacheError(f"{file}: progress", "JSON", f"{text!r:.40}", REMEDY) from error


def is_finished(out: Path) -> bool:
    """Return whether a run is finished."""
    return (out / EVALUATION).is_file()


def finish_run(out: Path, network: Network, evaluation: Mapping[str, Any]) -> None:
    """Write the final weights and their evaluation, and delete the checkpoint."""
    with written_aside(out / WEIGHTS, overwrite=True) as aside:
        _write_weights(aside, network)
    # the evaluation after the weights, since it marks a run as finished
    with written_aside(out / EVALUATION, overwrite=True) as aside:
        _write_json(aside, evaluation)
    (out / CHECKPOINT).unlink(missing_ok=True)


def _check_same(out: Path, expected: dict[str, Any]) -> None:
    """Check that a run has the expected configurations; the error lists the differences."""
    config = _read_config(out)
    present = as_json(config.network, config.training)
    differing = [
        f"{part}.{difference}"
        for part, values in expected.items()
        for difference in differences(present[part] or {}, values or {})
    ]
    if differing:
        raise InputError(
            str(out),
            "a run of the same configuration",
            "; ".join(differing),
            "Resume it with its own configuration, or train to another folder.",
        )


def digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of tensors and their names.

    Examples
    --------
    >>> digest({"bias": torch.zeros(2)})[:8]
    'd27efbdf'
    """
    return hashlib.sha256(save(_plain(tensors))).hexdigest()


def keep_milestone(out: Path, level: float, network: Network) -> None:
    """Write the weights that reached a performance for the first time."""
    with written_aside(out / MILESTONE.format(level), overwrite=True) as aside:
        _write_weights(aside, network)


def load_milestone(path: str | os.PathLike[str], level: float) -> Network | None:
    """Load the network that first reached a milestone; None where the run did not reach it.

    Parameters
    ----------
    path
        The run folder.
    level
        Performance, one of the ``milestones`` of its training.

    Raises
    ------
    InputError
        For a level that is no milestone of the run, and as `load`.
    NotApplicableError
        For a network whose training is not known.
    """
    folder = Path(path)
    _, training = read_configs(folder)
    if level not in training.milestones:
        raise unknown_name("level", f"{level:g}", map(str, training.milestones))
    file = folder / MILESTONE.format(level)
    if not file.is_file():
        return None
    network = load(folder)
    network.load_state_dict(_network_weights(file, network.config))
    network.name = f"{network.name} at {level:g}"
    return network


def write_importances(out: Path, importances: torch.Tensor) -> None:
    """Write the importances of weights after each stage ``(stage, weight)``."""
    with written_aside(out / IMPORTANCES, overwrite=True) as aside:
        aside.write_bytes(save({"importance": importances.contiguous()}))


def read_importances(path: str | os.PathLike[str]) -> torch.Tensor:
    """Read the importances of weights after each stage of a run ``(stage, weight)``.

    Raises
    ------
    NotApplicableError
        For a run without importances.
    InputError
        For a damaged file.
    """
    file = Path(path) / IMPORTANCES
    if not file.is_file():
        raise NotApplicableError(
            str(path),
            f"a finished run with {IMPORTANCES}",
            "none",
            "Train it with a consolidation that has importances.",
        )
    tensors = _read_weights(file)
    if set(tensors) != {"importance"}:
        raise InputError(
            str(file), "one tensor, importance", listing(tensors), "Train again: it is damaged."
        )
    return tensors["importance"]


def _write_weights(path: Path, network: Network) -> None:
    # save_file makes a file that only its owner can read
    path.write_bytes(save(_plain(network.state_dict())))


def _plain(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies of tensors on the CPU, none sharing memory with another."""
    # safetensors rejects tensors that share memory
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def _write_log(path: Path, log: Sequence[Mapping[str, Any]]) -> None:
    """Write one row for each evaluation, with a column for the performance of each task."""
    rows = [
        {k: v for k, v in row.items() if k != "performance"} | row.get("performance", {})
        for row in log
    ]
    # rows written before format 4 lack some columns; the latest row has them all
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)


def load(path: str | os.PathLike[str]) -> Network:
    """Load a network from its run folder.

    Parameters
    ----------
    path
        A folder that `save_run` or ``nwbcompare train`` wrote, or a file that `write_sidecar`
        wrote.

    Raises
    ------
    InputError
        For a path that is no run, and for files that are damaged or do not fit the
        configuration; the error names the file. Pickled weights are never opened.

    Examples
    --------
    >>> load(pretrained_path("ctxdm-0")).config.n_units
    256
    """
    folder = Path(path)
    single = folder.suffix == SIDECAR and folder.is_file()
    config = _config_of_sidecar(folder) if single else _read_config(folder)
    file = folder if single else folder / WEIGHTS
    weights = _network_weights(file, config.network)
    network = Network(config.network, name=config.name or folder.name)
    network.load_state_dict(weights)
    return network


def write_sidecar(run: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Write the configuration and weights of a run as one safetensors file beside an export.

    Parameters
    ----------
    run
        A run folder.
    path
        The file, ending in .safetensors. `load` reads it.

    Raises
    ------
    InputError
        As `load`, and for a file that exists.
    """
    folder = Path(run)
    weights = {name: value.detach() for name, value in load(folder).state_dict().items()}
    with written_aside(path) as aside:
        # as the run has it, which may be in an older format
        config = json.loads((folder / CONFIG).read_text())
        aside.write_bytes(save(weights, {CONFIG: json.dumps(config)}))
    return Path(path)


def _config_of_sidecar(file: Path) -> RunConfig:
    try:
        with safe_open(file, "pt") as handle:
            text = (handle.metadata() or {}).get(CONFIG)
    except (SafetensorError, OSError) as error:
        raise InputError(
            str(file), "weights in safetensors format", f"a damaged file ({error})", "Export again."
        ) from error
    if text is None:
        raise InputError(
            str(file),
            "weights with their configuration",
            "weights alone",
            "Give the run folder, or a file that an export wrote beside an NWB file.",
        )
    return parse_run_config(text, file)


def is_run(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a run folder."""
    return (Path(path) / CONFIG).is_file()


def read_configs(path: str | os.PathLike[str]) -> tuple[NetworkConfig, TrainingConfig]:
    """Read the configurations of a run.

    Raises
    ------
    InputError
        For a path that is no run folder, and a damaged configuration.
    NotApplicableError
        For a network whose training is not known.
    """
    config = _read_config(Path(path))
    if config.training is None:
        raise NotApplicableError(
            str(path), "a run with its training", "a network alone", "Give the tasks to train on."
        )
    return config.network, config.training


def read_training(path: str | os.PathLike[str]) -> TrainingConfig | None:
    """Read the training configuration of a run; None where it is not known.

    Raises
    ------
    InputError
        For a path that is no run folder, and a damaged configuration.

    Examples
    --------
    >>> read_training(pretrained_path("ctxdm-0")).tasks
    ('contextdm1', 'contextdm2')
    """
    return _read_config(Path(path)).training


def read_evaluation(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the final evaluation of a run; empty for a run that is not finished.

    Raises
    ------
    InputError
        For a damaged evaluation.

    Examples
    --------
    >>> read_evaluation(pretrained_path("ctxdm-0"))["n_trials"]
    512
    """
    file = Path(path) / EVALUATION
    if not file.is_file():
        return {}
    try:
        return dict(parse_json(file.read_text()))
    except (ValueError, TypeError) as error:
        raise InputError(
            str(file), "a JSON object", f"{error}", "Train again, or delete the damaged file."
        ) from error


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the log of a run.

    Parameters
    ----------
    path
        The run folder.

    Returns
    -------
    list of dict
        One row for each evaluation, with the performance by task under "performance"; empty for
        a run without a log.

    Raises
    ------
    InputError
        For a damaged log.

    Examples
    --------
    >>> rows = read_log(pretrained_path("ctxdm-0"))
    >>> sorted(rows[-1]["performance"])
    ['contextdm1', 'contextdm2']
    """
    file = Path(path) / LOG
    if not file.is_file():
        return []
    try:
        with file.open(newline="") as handle:
            return [_log_row(present_names(row)) for row in csv.DictReader(handle)]
    except (csv.Error, ArithmeticError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            str(file), "a table of evaluations", f"{error!r}", "Delete the damaged file."
        ) from error


def _log_row(row: Mapping[str, str]) -> dict[str, Any]:
    # no loss before the first step; no stability in rows written before format 4
    may_be_empty = ("loss", *STABILITY_COLUMNS)
    values = {
        name: None if name in may_be_empty and not text else float(text)
        for name, text in row.items()
    }
    columns = (*LOG_COLUMNS, *(name for name in STABILITY_COLUMNS if name in values))
    performance = {name: value for name, value in values.items() if name not in columns}
    numbers = {name: values[name] for name in columns}
    whole = {name: int(float(row[name])) for name in ("step", "stage")}
    return numbers | whole | {"performance": performance}


def pretrained_names() -> list[str]:
    """Return the names of the networks that come with the package.

    Examples
    --------
    >>> len(pretrained_names()), pretrained_names()[0]
    (23, 'all20-fast-0')
    """
    return sorted(folder.parent.name for folder in PRETRAINED.glob(f"*/{CONFIG}"))


def pretrained_path(name: str) -> Path:
    """Return the run folder of a network that comes with the package.

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> is_run(pretrained_path("ctxdm-0"))
    True
    """
    if name not in pretrained_names():
        raise unknown_name("pretrained", name, pretrained_names())
    return PRETRAINED / name


def pretrained(name: str) -> Network:
    """Load a network that comes with the package.

    Parameters
    ----------
    name
        One of `pretrained_names`.

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> pretrained("ctxdm-0").config.n_units
    256
    """
    return load(pretrained_path(name))


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n")


def _read_config(folder: Path) -> RunConfig:
    file = folder / CONFIG
    if not file.is_file():
        remedy = "Give a folder that `nwbcompare train` wrote."
        raise InputError(str(folder), f"a run folder with {CONFIG}", "none", remedy)
    return parse_run_config(file.read_text(errors="replace"), file)


def _network_weights(file: Path, config: NetworkConfig) -> dict[str, torch.Tensor]:
    """Read the weights of a network, after a check that the file has them all.

    The network is made only afterwards: its size is that of the configuration, which may be wrong.
    """
    expected = weight_shapes(config)
    with _safetensors(file), safe_open(file, "pt") as handle:
        parts = {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118
        shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
        others = [name for name, part in parts.items() if part.get_dtype() not in FLOATS]
    if shapes != expected or others:
        raise InputError(
            str(file),
            f"tensors of floating-point numbers {expected}",
            f"{shapes}" if shapes != expected else f"other numbers in {listing(others)}",
            "The weights do not belong to the configuration beside them: train again.",
        )
    weights = _read_weights(file)
    not_finite = [name for name, value in weights.items() if not torch.isfinite(value).all()]
    if not_finite:
        raise InputError(
            str(file),
            "finite weights",
            f"NaN or infinity in {listing(not_finite)}",
            "Training diverged or the file is damaged: train again.",
        )
    return weights


def _read_weights(file: Path) -> dict[str, torch.Tensor]:
    with _safetensors(file):
        return load_file(file)


@contextmanager
def _safetensors(file: Path) -> Iterator[None]:
    """Convert what fails while a file of weights is read into an error that names it."""
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise InputError(
            str(file),
            "weights in safetensors format",
            f"a file that cannot be read ({error})",
            "Pickled or damaged weights are never opened: save them with "
            "nwbcompare.model.save_run.",
        ) from error
