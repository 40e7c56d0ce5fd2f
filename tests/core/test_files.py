"""An output appears complete or not at all, at whichever line a signal arrives."""

from __future__ import annotations

import contextlib
import signal
import sys
from functools import partial

import pytest

from nwbcompare.core import files
from nwbcompare.core.errors import InputError
from nwbcompare.core.files import check_file, check_output, folder_in_progress, written_aside


class Ended(BaseException):
    """What the handlers of these tests raise."""


def end(*_):
    raise Ended


@pytest.fixture
def handlers():
    before = {n: signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def signalled_at(line, number, write):
    """Run ``write``, raising a signal at the n-th line of the module; return if it was raised."""
    left = line

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename != files.__file__:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                signal.raise_signal(number)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with contextlib.suppress(Ended):
            write()
    finally:
        sys.settrace(before)
    return left <= 0


def at_every_line(number, write, check):
    """Raise a signal at each line in turn, until there are no more lines."""
    line = 1
    while signalled_at(line, number, write):
        check(line)
        line += 1
    assert line > 20


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("old", [None, "old"])
def test_a_signal_at_any_line_leaves_the_old_or_the_new_file_and_no_other(tmp_path, number, old):
    path = tmp_path / "tv.csv"
    texts = set()

    def write():
        path.unlink(missing_ok=True)
        if old is not None:
            path.write_text(old)
        with written_aside(path, overwrite=True) as aside:
            aside.write_text("new")

    def check(line):
        texts.add(path.read_text() if path.exists() else None)
        assert [file.name for file in tmp_path.iterdir()] in ([path.name], []), line
        for each in (signal.SIGINT, signal.SIGTERM):
            with pytest.raises(Ended):
                signal.raise_signal(each)

    at_every_line(number, write, check)
    assert texts == {old, "new"}


@pytest.mark.usefixtures("handlers")
def test_a_signal_at_any_line_leaves_the_old_or_the_new_folder(tmp_path):
    path = tmp_path / "run"
    texts = set()

    def write():
        path.mkdir(exist_ok=True)
        (path / "a").write_text("old")
        with folder_in_progress(path, overwrite=True) as folder:
            folder.mkdir()
            (folder / "a").write_text("new")

    def check(line):
        texts.add((path / "a").read_text())
        assert not (tmp_path / ".run.replaced").exists(), line

    at_every_line(signal.SIGTERM, write, check)
    assert texts == {"old", "new"}


@pytest.mark.parametrize("name", ["a" * 300, "é" * 130, "a\0b"])
@pytest.mark.parametrize("check", [check_output, partial(check_file, kind="a file")])
def test_a_name_that_no_file_system_can_hold_is_refused(name, check):
    with pytest.raises(InputError, match="at most 255 bytes, without the character NUL"):
        check(name)


@pytest.mark.parametrize("length", [1, 215, 216, 255])
def test_an_output_of_any_name_that_can_be_held_is_written(tmp_path, length):
    path = tmp_path / ("n" * length)
    with written_aside(path) as aside:
        aside.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == ["n" * length]
