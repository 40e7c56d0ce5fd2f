"""The revision of the checkout, and the checksum of the package's source files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nwbcompare.core import provenance
from nwbcompare.core.provenance import environment, git_revision, sources_sha256


def test_in_a_checkout_the_revision_is_that_of_git():
    repository = Path(provenance.__file__).parents[2]
    if not (repository / ".git").exists():
        pytest.skip("the package is not in a checkout")
    command = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert git_revision().removesuffix("-dirty") == head[:12]
    assert environment()["git_revision"] == git_revision()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a folder that is a link."""
    for file in ("package/core/provenance.py", "model/network.py"):
        path = tmp_path / file
        path.parent.mkdir(parents=True)
        path.write_text("x = 1\n")
    (tmp_path / "package" / "model").symlink_to("../model")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "package" / "core/provenance.py"))
    return tmp_path / "package"


def test_the_checksum_changes_with_any_source_file_and_no_other(package):
    before = sources_sha256()
    (package / "notes.md").write_text("words")
    (package / "core" / "provenance.pyc").write_bytes(b"0")
    assert sources_sha256() == before
    for file, content in (
        ("model/network.py", "x = 2\n"),
        ("core/provenance.py", "x = 3\n"),
        ("core/mapping.yaml", "a: 1\n"),
    ):
        (package / file).write_text(content)
        assert sources_sha256() != before
        before = sources_sha256()
    (package / "core" / "mapping.yaml").rename(package / "core" / "other.yaml")
    assert sources_sha256() != before


def test_outside_a_checkout_there_is_no_revision(package):
    assert git_revision() == "not a checkout"
