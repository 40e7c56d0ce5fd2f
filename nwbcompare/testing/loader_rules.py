"""Rules of loaders of archives, for those of this package and of others, checked on an archive."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from nwbcompare.core.activity import (
    blocks,
    condition_variables_of,
    tasks_of,
)
from nwbcompare.core.errors import ExplainedError, InputError
from nwbcompare.core.observations import observations
from nwbcompare.core.schema import check_activity
from nwbcompare.testing.assertions import assert_same_activity

if TYPE_CHECKING:
    from nwbcompare.datasets.registry import Loader

Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, Damage] = {
    "no bytes": lambda _: b"",
    "one byte": lambda content: content[:1],
    "its first half": lambda content: content[: len(content) // 2],
    "all but its last byte": lambda content: content[:-1],
    "a start of zeros": lambda content: bytes(min(len(content), 64)) + content[64:],
    "a middle of zeros": lambda content: (
        content[: len(content) // 3] + bytes(len(content) // 3) + content[2 * len(content) // 3 :]
    ),
    "random bytes": lambda content: np.random.default_rng(0).bytes(len(content)),
    "a text": lambda _: b"This is no recording.\n" * 20,
}
"""Changes of a file's content. A missing file and a folder in its place make ten."""
GONE, FOLDER = "nothing", "a folder"


def check_loader(
    loader: Loader,
    archive: Path,
    *,
    n_spikes: Mapping[str, float] | None = None,
    n_trials: Mapping[str, int] | None = None,
    n_files: int = 3,
    **options: Any,
) -> None:
    """Assert that a loader keeps the rules of loaders, on an archive.

    Parameters
    ----------
    loader
        The loader.
    archive
        A folder with an archive; it is copied once for each kind of damage, so a small one. Nothing
        in it is changed.
    n_spikes
        Spikes of units in all their trials, from a reading of the files that is independent of the
        loader. ``options`` are then to leave rates unsmoothed. By default not checked.
    n_trials
        Trials of units with any rate, likewise.
    n_files
        Number of files that are damaged, the first by name.
    **options
        Options of the loader.

    Raises
    ------
    AssertionError
        If the card has gaps or names pairs of tasks that the activity lacks; the folder, and no
        other, is not taken for an archive; the activity breaks the data model, is no recording in
        spikes/s, has rates below 0, lacks subjects, conditions of a task, the smoothing of its
        rates (``smooth_s`` in the provenance or its options; networks are smoothed alike), or
        sessions without a trap of the card that begins "Sessions are not"; a second call returns
        another activity; numbers of spikes or trials differ; an unknown option is not refused; or a
        damaged file ends in another error than one that names it.

    Examples
    --------
    In the tests of a package with a loader of its own::

        def test_my_loader(tmp_path):
            write_small_archive(tmp_path)
            check_loader(MY_LOADER, tmp_path, n_trials={"unit 1": 20}, bin_s=0.05)
    """
    _check_card(loader)
    with TemporaryDirectory() as empty:
        _require(loader.is_archive(archive), "is_archive: False for an archive")
        _require(not loader.is_archive(Path(empty)), "is_archive: True for an empty folder")
    activity = check_activity(loader.load(archive, **options))
    absent = {task for pair in loader.card.pairs for task in pair} - set(tasks_of(activity))
    _require(not absent, f"card.pairs: the activity has no tasks {sorted(absent)}")
    for block in blocks(activity).values():
        _check_block(block, loader)
    assert_same_activity(activity, loader.load(archive, **options))
    _check_numbers(activity, n_spikes, n_trials)
    try:
        loader.check_options({"no_such_option": 1})
    except InputError:
        pass
    else:
        raise AssertionError("check_options: an unknown option passes")
    _check_damage(loader, archive, n_files, options)


def _require(condition: object, message: str) -> None:
    # also where Python leaves assert out
    if not condition:
        raise AssertionError(message)


def _check_card(loader: Loader) -> None:
    # a repository without a paper has no DOI, and an archive of one task no pair
    optional = {"doi", "pairs"}
    gaps = [name for name, value in asdict(loader.card).items() if not (value or name in optional)]
    _require(not gaps, f"card: nothing in {gaps}")
    _require(bool(loader.name and loader.title), "name and title: one is empty")


def _check_block(block: xr.Dataset, loader: Loader) -> None:
    """Check what the data model leaves open, and every archive has."""
    name = block.attrs["name"]
    _require(block.attrs["source"] == "recording", f"{name}: source is no recording")
    _require(block["rate"].attrs.get("units") == "spikes/s", f"{name}: rates not in spikes/s")
    rate = block["rate"].values
    _require(bool(np.isfinite(rate).any()), f"{name}: no rate at all")
    _require(bool((rate[~np.isnan(rate)] >= 0).all()), f"{name}: rates below 0")
    # sessions that nobody knows are a trap, since units of a session are not independent
    known = not any("sessions are not" in trap.lower() for trap in loader.card.traps)
    for column in ("subject", "session")[: 1 + known]:
        values = block.coords[column].values if column in block.coords else np.array([""])
        _require((values.astype(str) != "").all(), f"{name}: units without a {column}")
    provenance = json.loads(block.attrs["provenance"])
    stated = {**provenance.get("options", {}), **provenance}
    _require("smooth_s" in stated, f"{name}: provenance without smooth_s (0 for none)")
    variables = condition_variables_of(block)
    for task in tasks_of(block):
        _require(bool(variables.get(task)), f"{name}: no condition variables of task {task}")


def _check_numbers(
    activity: xr.DataTree,
    n_spikes: Mapping[str, float] | None,
    n_trials: Mapping[str, int] | None,
) -> None:
    """Check the numbers of spikes and trials of units against an independent reading."""
    spikes: dict[str, float] = {}
    trials: dict[str, int] = {}
    for block in blocks(activity).values():
        rates, row, _ = observations(block)
        n_units, width = block.sizes["unit"], block["time"].attrs["bin_width_s"]
        in_trial = np.nansum(rates, axis=1, dtype=np.float64) * width
        n_spikes_of = np.bincount(row, in_trial, n_units)
        n_trials_of = np.bincount(row, minlength=n_units)
        for place, name in enumerate(block["unit"].values.tolist()):
            spikes[name] = spikes.get(name, 0.0) + float(n_spikes_of[place])
            trials[name] = trials.get(name, 0) + int(n_trials_of[place])
    for what, expected, got in (("spikes", n_spikes, spikes), ("trials", n_trials, trials)):
        for unit, number in (expected or {}).items():
            found = got.get(unit, -1)
            # rates are single precision
            is_same = abs(found - number) <= 1e-5 * max(1, number)
            _require(is_same, f"unit {unit}: {found:g} {what}, and {number:g} in the files")


def _check_damage(loader: Loader, archive: Path, n_files: int, options: Any) -> None:
    """Check that each kind of damage of a file ends in an activity, or an error that names it."""
    files = sorted(file.relative_to(archive) for file in archive.rglob("*") if file.is_file())
    for file in files[:n_files]:
        for damage in (*DAMAGES, GONE, FOLDER):
            with TemporaryDirectory() as folder, warnings.catch_warnings():
                # files that are left out are said in warnings
                warnings.simplefilter("ignore")
                copy = Path(shutil.copytree(archive, Path(folder) / "archive"))
                _damage(copy / file, damage)
                _load_damaged(loader, copy, file, damage, options)


def _damage(file: Path, damage: str) -> None:
    content = file.read_bytes()
    file.unlink()
    if damage == FOLDER:
        file.mkdir()
    elif damage != GONE:
        file.write_bytes(DAMAGES[damage](content))


def _load_damaged(loader: Loader, copy: Path, file: Path, damage: str, options: Any) -> None:
    case = f"{file} with {damage} in its place"
    try:
        activity = check_activity(loader.load(copy, **options))
        for block in blocks(activity).values():
            block["rate"].load()
    except ExplainedError as error:
        named = {file.name, file.stem, copy.name}
        _require(any(name in str(error) for name in named), f"{case}: not named in: {error}")
    except Exception as error:
        message = f"{case}: {type(error).__name__}: {error}, and no error that names the file"
        raise AssertionError(message) from error
