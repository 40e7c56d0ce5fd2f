"""What tests need from outside the repository: found, or skipped with a printed reason.

``.ci/run`` sets NWBCOMPARE_REQUIRE_ALL=1: there a missing reference array, recording or
browser is a failure, so that nothing is skipped in silence.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent

settings.register_profile(
    "fast", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("NWBCOMPARE_HYPOTHESIS", "fast"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that processes side by side end together."""
    items.sort(key=lambda item: "workflows" not in item.path.parts)


def _missing(what: str, remedy: str) -> None:
    reason = f"{what} not found: {remedy}"
    if os.environ.get("NWBCOMPARE_REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference arrays and recordings beside the checkout."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "reference" / "oracles").is_dir():
        _missing("the folder ../shared", "it holds reference arrays and recordings")
    return folder


@pytest.fixture(scope="session")
def archive_path(shared: Path) -> Callable[[str], Path]:
    """A function that returns the folder of an archive's real files."""

    def find(name: str) -> Path:
        folder = shared / "data" / name
        if not folder.is_dir():
            _missing(f"../shared/data/{name}", f"`nwbcompare datasets info {name}` says how")
        return folder

    return find


@pytest.fixture(scope="session")
def mante2013_path(shared: Path) -> Iterator[Path]:
    """The folder of the recordings of monkeys A and F, of which each file is unpacked once."""
    from nwbcompare.datasets import mante2013

    folder = shared / "data" / "mante2013"
    if not all((folder / f"PFC data {number}").is_dir() for number in (1, 2)):
        _missing("../shared/data/mante2013", "`nwbcompare datasets info mante2013` says how")
    read = mante2013._read_unit
    read_once = functools.cache(read)
    with pytest.MonkeyPatch.context() as patch:
        # only of these files is it known that no test changes them
        patch.setattr(
            mante2013,
            "_read_unit",
            lambda file, *of: (read_once if file.is_relative_to(folder) else read)(file, *of),
        )
        yield folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a headless Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        _missing("Chromium", "install Debian's package `chromium` to render the report")
    return str(found)


@pytest.fixture(scope="session")
def simulated_report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The report of a user who has no recording, on a small stand-in; and what was printed.

    It is made once: test processes that run beside each other share it.
    """
    from nwbcompare.core.claim import claimed

    base = tmp_path_factory.getbasetemp()
    lab = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "lab"
    printed = lab / "printed.txt"
    with claimed(lab, wait_s=280):
        if not printed.is_file():
            shutil.rmtree(lab, ignore_errors=True)
            printed.write_text(_simulated_report(lab / "work" / "main"))
    return lab / "work" / "main" / "report", printed.read_text()


def _simulated_report(folder: Path) -> str:
    """Make the report in a folder, and return what is printed."""
    from click.testing import CliRunner
    from report_inputs import brain

    import nwbcompare.workflows.recording_source as place
    from nwbcompare.cli.main import cli
    from nwbcompare.core.activity import make_activity

    folder.mkdir(parents=True)

    def small(network: Any, *, seed: int) -> Any:
        return make_activity({"simulated": brain(30, network=network, seed=seed)})

    words = "report --permutations 20 --bootstraps 20 --draws 1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, "simulate_recording", small)
        patch.setattr("platformdirs.user_cache_dir", lambda _: str(folder))
        patch.setattr("platformdirs.user_config_dir", lambda _: str(folder))
        patch.delenv("NWBCOMPARE_DATA", raising=False)
        patch.chdir(folder)
        models = [f"--model=pretrained:ctxdm-{number}" for number in (0, 1)]
        result = CliRunner().invoke(cli, [*words.split(), *models], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.output)


@pytest.fixture(scope="session")
def recorded_report(tmp_path_factory: pytest.TempPathFactory, mante2013_path: Path) -> Path:
    """The report on the single units of monkey A, without sections that no test of it reads."""
    from report_inputs import WITHOUT_DECODING

    from nwbcompare.core.errors import UnitWarning
    from nwbcompare.workflows.compare import compare
    from nwbcompare.workflows.settings import Settings

    # the drift of some units is said in the report too
    with pytest.warns(UnitWarning, match="a rate that drifts between them.* are not tested"):
        return compare(
            ["pretrained:all20-fast-0"],
            f"mante2013:{mante2013_path}?animal=ar",
            tmp_path_factory.mktemp("real") / "report",
            sections=[name for name in WITHOUT_DECODING if name not in {"examples", "references"}],
            settings=Settings(n_permutations=5, n_bootstrap=20, n_draws=1, n_jobs=1),
        )
