"""Every loader keeps the rules of loaders, and a loader that breaks one is told which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trial_spike_archives
from dandi000130_archive import archive as dandi_archive
from mante2013_archive import archive as mante_archive, unit_record
from miranda2025_archive import archive as miranda_archive
from scipy.io import loadmat, savemat
from shi2022_archive import archive as shi_archive

import nwbcompare as nc
from nwbcompare.datasets import Loader, get_loader, loaders, wang2024
from nwbcompare.testing import check_loader

UNITS = ("ar090313_1_a1", "fe120106_2_a3")
Written = tuple[Path, dict[str, Any]]


def mante2013(folder: Path) -> Written:
    rng = np.random.default_rng(0)
    records = {unit: unit_record(rng) for unit in UNITS}
    # the 751st sample belongs to no bin
    spikes = {unit: float(record["response"][:, :750].sum()) for unit, record in records.items()}
    options = {"smooth_s": 0.0, "n_spikes": spikes, "n_trials": dict.fromkeys(UNITS, 40)}
    return mante_archive(folder, records), options


def wang2024_files(folder: Path) -> Written:
    rng = np.random.default_rng(0)
    neurons, spikes = np.empty((1, 2), dtype=object), {}
    for place, name in enumerate(("m3c1", "m9c2")):
        fields, spikes[name] = {}, 0.0
        for sequence in wang2024.SEQUENCES:
            for kind in "MV":
                cell = np.empty((1, 4), dtype=object)
                for saccade in range(4):
                    cell[0, saccade] = rng.integers(0, 2, (3, 701)).astype("u1")
                fields[f"RawData_{sequence}_{kind}"] = cell
        neurons[0, place] = {"NeuronNum": name} | fields
    (folder / wang2024.FOLDER).mkdir()
    path = folder / wang2024.FOLDER / wang2024.FILES["element"]
    savemat(path, {"data_structure": {"neurons": neurons}})
    return folder, {"n_trials": dict.fromkeys(spikes, 2 * 2 * 4 * 3)}


def shi2022(folder: Path) -> Written:
    files = sorted((shi_archive(folder, n_trials=8) / "raw_data" / "celldata").iterdir())
    cells = {file.name.removesuffix("_data.mat"): loadmat(file)["celldata"] for file in files}
    # from the start of a trial on, until before the next one
    spikes = {name: float((cell[:, 0] < 1000).sum()) for name, cell in cells.items()}
    options = {"align": "start", "window": (0.0, 1.0)}
    return folder, options | {
        "n_spikes": spikes,
        "n_trials": dict.fromkeys(spikes, 8),
        "n_files": 2,
    }


def miranda2025(folder: Path) -> Written:
    trials = dict(zip((f"DLPFC_{cell}" for cell in range(4)), (30, 30, 24, 26), strict=True))
    return miranda_archive(folder), {"n_trials": trials}


def in_window(name: str, start: float, stop: float, **options: Any) -> Callable[[Path], Written]:
    """Return a function that writes an archive of spike times from an event."""

    def write(folder: Path) -> Written:
        truth = getattr(trial_spike_archives, name)(folder)
        numbers = {"n_spikes": truth.n_spikes(start, stop), "n_trials": truth.n_trials()}
        return folder, numbers | options

    return write


def dandi000130(folder: Path) -> Written:
    truth = dandi_archive(folder)
    # the last trial has no event, and the last unit is lost half-way
    n_trials = dict(zip("0123", (59, 59, 59, 30), strict=True))
    ready = truth["trials"]["ready_time"]
    spikes = {
        unit: float(sum(((own >= t) & (own < t + 0.5)).sum() for t in ready[: n_trials[unit]]))
        for unit, own in zip("0123", truth["spikes"], strict=True)
    }
    return folder, {"n_spikes": spikes, "n_trials": n_trials, "n_files": 1}


ARCHIVES: dict[str, Callable[[Path], Written]] = {
    "constantinidis": in_window("constantinidis", 0.0, 4.0),
    "dandi000130": dandi000130,
    "kiani2014": in_window("kiani2014", 0.0, 0.8),
    "mante2013": mante2013,
    "miranda2025": miranda2025,
    "romo": in_window("romo", 0.0, 4.0),
    "shi2022": shi2022,
    "siegel2015": in_window("siegel2015", 0.0, 1.0, n_files=4),
    "wang2024": wang2024_files,
}


@pytest.mark.filterwarnings("ignore:.*trials .* left out")
@pytest.mark.parametrize("name", loaders())
def test_the_loaders_of_this_package_keep_the_rules(name: str, tmp_path: Path) -> None:
    # a new loader needs a small archive here
    archive, options = ARCHIVES[name](tmp_path)
    check_loader(get_loader(name), archive, **options)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Loader, Path]:
    return get_loader("mante2013"), mante2013(tmp_path)[0]


def loading(change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a load function whose activity is changed."""
    load = get_loader("mante2013").load

    def changed(path: Path, **options: Any) -> Any:
        return nc.make_activity(
            {"mante2013": change(load(path, **options)["mante2013"].to_dataset())}
        )

    return {"load": changed}


def careless(path: Path, **options: Any) -> Any:
    """Load without a look at what is damaged."""
    try:
        return get_loader("mante2013").load(path, **options)
    except nc.InputError as error:
        raise ValueError("bad file") from error


def nameless(path: Path, **options: Any) -> Any:
    try:
        return get_loader("mante2013").load(path, **options)
    except nc.InputError as error:
        raise nc.InputError("file", "a whole one", "another", "Look.") from error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda loader: {"card": replace(loader.card, traps=())}, r"card: nothing in \['traps'\]"),
        (
            lambda loader: {"card": replace(loader.card, pairs=(("contextdm1", "go"),))},
            r"card.pairs: the activity has no tasks \['go'\]",
        ),
        (lambda _: {"is_archive": lambda _: False}, "is_archive: False for an archive"),
        (lambda _: {"is_archive": lambda _: True}, "is_archive: True for an empty folder"),
        (lambda _: loading(lambda b: b.drop_vars("subject")), "units without a subject"),
        (lambda _: loading(lambda b: b.assign(rate=b["rate"] * -1)), "rates"),
        (lambda _: loading(lambda b: b.assign_attrs(source="model")), "source is no recording"),
        (
            lambda _: loading(
                lambda b: b.assign_attrs(condition_variables='{"contextdm1": [], "contextdm2": []}')
            ),
            "no condition variables of task contextdm1",
        ),
        (
            lambda _: loading(lambda b: b.assign_attrs(provenance='{"options": {"bin_s": 0.05}}')),
            r"provenance without smooth_s \(0 for none\)",
        ),
        (lambda _: {"load": careless}, "ValueError: bad file, and no error that names the file"),
        (lambda _: {"load": nameless}, "not named in: file: expected a whole one"),
    ],
)
def test_a_loader_that_breaks_a_rule_is_told_which(
    small: tuple[Loader, Path], change: Any, message: str
) -> None:
    loader, archive = small
    with pytest.raises((AssertionError, nc.InputError), match=message):
        check_loader(replace(loader, **change(loader)), archive, n_files=1)


def test_numbers_that_differ_are_told(small: tuple[Loader, Path]) -> None:
    loader, archive = small
    with pytest.raises(AssertionError, match="unit ar090313_1_a1: 40 trials, and 41 in the files"):
        check_loader(loader, archive, n_files=1, n_trials={UNITS[0]: 41})
    with pytest.raises(AssertionError, match="spikes, and 7 in the files"):
        check_loader(loader, archive, n_files=1, smooth_s=0.0, n_spikes={UNITS[1]: 7})


def test_a_loader_that_draws_at_random_is_told(small: tuple[Loader, Path]) -> None:
    rng = np.random.default_rng(0)
    drawn = loading(lambda b: b.assign(rate=b["rate"] * rng.uniform(1, 2)))
    with pytest.raises(AssertionError):
        check_loader(replace(small[0], **drawn), small[1], n_files=1)
