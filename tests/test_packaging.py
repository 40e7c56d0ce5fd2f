"""What is installed, what it imports, and what the documents promise."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

import nwbcompare as nc

HEAVY = ("torch", "pynwb", "matplotlib", "sklearn", "scipy.stats", "hypothesis")


def python(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, **options
    )


def test_import_is_light_and_fast():
    code = f"import sys, time; t = time.perf_counter(); import nwbcompare; t = time.perf_counter() - t; print(t, [m for m in {HEAVY} if m in sys.modules])"
    seconds, loaded = min(python(code).stdout.split(" ", 1) for _ in range(3))
    assert loaded.strip() == "[]"
    assert float(seconds) < 1


def test_activity_and_analysis_need_no_torch():
    code = f"import sys, nwbcompare as nc; from nwbcompare.testing import example_block; nc.task_variance(nc.check_activity(example_block())); print([m for m in {HEAVY} if m in sys.modules])"
    assert python(code).stdout.strip() == "[]"


@pytest.mark.parametrize("folder", ["model", "tasks", "datasets"])
def test_plain_folders_refuse_their_own_names(repository, folder):
    result = python(f"import {folder}", cwd=repository)
    assert f"nwbcompare.{folder}: import it by that name" in result.stderr


def test_every_package_on_disk_is_listed(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    listed = set(project["tool"]["setuptools"]["packages"])
    inside = {p.parent for p in (repository / "nwbcompare").rglob("__init__.py")}
    plain = {repository / "nwbcompare" / folder for folder in ("model", "tasks", "datasets")}
    names = {".".join(p.relative_to(repository).parts) for p in inside | plain}
    assert listed == names
    # an archive of the sources has no links
    is_checkout = (repository / ".git").exists()
    for folder in ("model", "tasks", "datasets"):
        assert (repository / "nwbcompare" / folder).is_symlink() == is_checkout
        assert not [p for p in (repository / folder).glob("*/*.py") if "__pycache__" not in p.parts]


TOPICS = {
    "clustering",
    "comparison",
    "connectivity",
    "datasets",
    "experiments",
    "inference",
    "io",
    "learning",
    "model",
    "plotting",
    "population",
    "selectivity",
    "tasks",
    "testing",
}


def test_the_public_names_are_few_and_the_rest_is_found_by_topic():
    assert set(dir(nc)) == set(nc.__all__) > TOPICS
    assert len(set(nc.__all__) - TOPICS) <= 35
    for name in nc.__all__:
        assert callable(getattr(nc, name)) or name in TOPICS | {"Activity"}
    with pytest.raises(AttributeError, match="nothing"):
        _ = nc.nothing


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_what_a_topic_lists_is_there(topic):
    room = getattr(nc, topic)
    assert set(room.__all__) <= set(dir(room))
    for name in room.__all__:
        assert getattr(room, name) is not None


def test_a_function_is_not_hidden_by_the_module_of_its_name():
    code = (
        "import nwbcompare.comparison.compare_samples, nwbcompare as nc; "
        "from nwbcompare.comparison import compare_samples; "
        "print(callable(compare_samples), nc.compare_samples is compare_samples)"
    )
    assert python(code).stdout.split() == ["True", "True"]


LIGHT = TOPICS - {"comparison", "experiments", "model"}


def test_topics_without_networks_need_no_torch():
    # in one process: the first topic that is printed imports torch
    code = f"""
import sys, nwbcompare as nc
for topic in {sorted(LIGHT)}:
    room = getattr(nc, topic)
    [getattr(room, name) for name in room.__all__]
    if "torch" in sys.modules:
        print(topic)
print("end")
"""
    assert python(code).stdout.split() == ["end"]


def test_torch_is_pinned(repository):
    assert "torch==2.13.0" in (repository / "constraints.txt").read_text().splitlines()


def test_the_examples_in_the_documentation_run():
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--doctest-modules",
            "--import-mode=importlib",
            "-q",
            "-o",
            "addopts=",
            "-o",
            "doctest_optionflags=ELLIPSIS IGNORE_EXCEPTION_DETAIL",
            "-o",
            "filterwarnings=",
            "--pyargs",
            "nwbcompare",
            "-p",
            "no:cacheprovider",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", result.stdout)[1]) > 20


def test_the_readme_names_the_commands_and_the_makefile_has_them(repository):
    readme, makefile = ((repository / name).read_text() for name in ("README.md", "Makefile"))
    for target in ("report", "test"):
        assert f"make {target}" in readme
        assert f"\n{target}: setup" in makefile
    assert "Nature 503" in readme
