"""The file config.json of a run folder, in its present and in earlier formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, with_config

from nwbcompare.core.data_text import parse_json
from nwbcompare.core.errors import InputError
from nwbcompare.model.config import NetworkConfig, TrainingConfig
from nwbcompare.model.file_values import STRICT, validated

FORMAT, FORMAT_VERSION = "nwbcompare run", 5
READABLE_VERSIONS = (1, 2, 3, 4, 5)
_REMEDY = "Give a folder that `nwbcompare train` wrote."


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Content of a run folder's config.json.

    Attributes
    ----------
    format, version
        Name and version of the format.
    name
        Name of the network; "" for that of the folder.
    network
        Configuration of the network.
    training
        How it was trained; None where that is not known.
    """

    format: str = FORMAT
    version: int = FORMAT_VERSION
    name: str = ""
    network: NetworkConfig
    training: TrainingConfig | None = None


_RUN_CONFIG = TypeAdapter(RunConfig)


def parse_run_config(text: str, file: Path) -> RunConfig:
    """Parse the text of a config.json of any format from 1 to 5.

    Parameters
    ----------
    text
        JSON text.
    file
        The file, for messages.

    Raises
    ------
    InputError
        For text that is no JSON, another format, and keys that are unknown, missing, of another
        type, or have a value that a configuration refuses; the file and the key are named.

    Examples
    --------
    >>> text = '{"format": "nwbcompare run", "version": 5, "network": {"n_units": 8}}'
    >>> parse_run_config(text, Path("config.json")).network.n_units
    8
    """
    try:
        values = parse_json(text)
        header = values["format"], values["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(str(file), "a run's configuration", f"{error!r}", _REMEDY) from error
    # the version first: another one may well have other fields
    # (in a list, since what a file holds need not be hashable)
    if header not in [(FORMAT, version) for version in READABLE_VERSIONS]:
        raise InputError(str(file), f"{FORMAT} {FORMAT_VERSION}", f"{header}", _REMEDY)
    if isinstance(values.get("training"), dict):
        try:
            values["training"] = _in_present_format(values["training"])
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{file}, training.stages", "a list of stages", f"{error!r}", _REMEDY
            ) from error
    return validated(_RUN_CONFIG, values, file=file, remedy=_REMEDY)


def _in_present_format(training: dict[str, Any]) -> dict[str, Any]:
    """Return a training configuration of an earlier format as one of the present format."""
    if "learning_rate" in training:  # format 1, with one rate for all stages
        rate = training.pop("learning_rate")
        stages = [stage | {"learning_rates": [rate, rate]} for stage in training["stages"]]
        training |= {"stages": stages, "n_shards": 1}
    # before format 4 training did not stop where rates had exploded
    return {"stop_exploded": False} | training
