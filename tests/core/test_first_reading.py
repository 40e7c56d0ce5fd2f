"""Files that crash or hang their reader end another process, and the program goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import hostile_readings as readings
import psutil
import pytest

import nwbcompare
from nwbcompare.core import first_reading
from nwbcompare.core.errors import InputError
from nwbcompare.core.first_reading import read_first


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "day1.nc"
    path.write_text("0")
    return path


def reader(file: Path) -> int:
    read_first(readings.note_process, file, "a file")
    return int(file.read_text())


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        (readings.crash, r"day1.nc: expected a file, got one that ends the process.*-11"),
        (readings.leave, r"day1.nc: expected a file, got one that ends the process.*status 0"),
        (readings.swallow_memory, r"day1.nc: expected data that fit in memory"),
        (readings.refuse, r"day1.nc: rates: expected numbers, got texts. Mend it."),
        (readings.fail, r"day1.nc: expected a whole file.*LookupError: no such thing"),
    ],
)
def test_what_fails_in_the_other_process_is_one_error_here_and_the_next_file_is_read(
    file: Path, reading: first_reading.Reading, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_first(reading, file, "a file")
    read_first(readings.sound, file, "a file")


@pytest.mark.parametrize("limit", ["LEAST_S", "PATIENCE"])
def test_a_file_that_hangs_is_refused_by_processor_time_and_by_the_clock(
    file: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(first_reading, limit, 0.1)
    with pytest.raises(InputError, match=r"one that takes more than \d s to read"):
        read_first(readings.hang, file, "a file")
    read_first(readings.sound, file, "a file")


def test_all_files_share_one_process_until_it_ends(file: Path) -> None:
    first = reader(file)
    assert first == reader(file) != os.getpid()
    psutil.Process(first).kill()
    # the program learns of it with the next file, or has already
    time.sleep(0.1)
    assert reader(file) != first


def test_what_a_library_prints_is_not_taken_for_an_answer(file: Path) -> None:
    read_first(readings.chatter, file, "a file")


def test_files_may_be_read_by_many_threads_at_once(file: Path) -> None:
    errors: list[str] = []

    def work() -> None:
        for reading in (readings.sound, readings.refuse) * 10:
            try:
                read_first(reading, file, "a file")
            except InputError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # each refusal came to the thread that asked, and no other
    assert len(errors) == 80


PROGRAM = """
import sys, time, os
from pathlib import Path
import hostile_readings as readings
from nwbcompare.core.first_reading import read_first
file = Path(sys.argv[1])
read_first(readings.note_process, file, "a file")
{more}
print(file.read_text(), flush=True)
{end}
"""


def _start(file: Path, end: str, more: str = "") -> subprocess.Popen[str]:
    support = Path(readings.__file__).parent
    root = Path(nwbcompare.__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(end=end, more=more), str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(support)])},
    )


def _is_gone(pid: int) -> bool:
    stop = time.monotonic() + 10
    while time.monotonic() < stop:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("killed", [False, True])
def test_the_process_ends_with_the_program_also_with_a_killed_one(file: Path, killed: bool) -> None:
    program = _start(file, "time.sleep(60)" if killed else "")
    assert program.stdout is not None
    pid = int(program.stdout.readline())
    if killed:
        program.kill()
    _, errors = program.communicate()
    assert _is_gone(pid)
    assert errors == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_of_the_program_starts_a_process_of_its_own(file: Path) -> None:
    more = """
child = os.fork()
if not child:
    theirs = file.with_suffix(".fork")
    theirs.write_text("0")
    read_first(readings.note_process, theirs, "a file")
    os._exit(0)
os.waitpid(child, 0)
read_first(readings.sound, file, "a file")
"""
    program = _start(file, "", more)
    out, errors = program.communicate()
    ours, theirs = int(out), int(file.with_suffix(".fork").read_text())
    assert errors == ""
    assert ours != theirs
    assert _is_gone(ours)
    assert _is_gone(theirs)


def test_a_script_without_a_main_guard_is_not_run_again(file: Path, tmp_path: Path) -> None:
    # multiprocessing would import the script in its process, and so run it a second time
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "import hostile_readings as readings\n"
        "from nwbcompare.core.first_reading import read_first\n"
        "print('run')\n"
        f"read_first(readings.sound, Path({str(file)!r}), 'a file')\n"
    )
    support = Path(readings.__file__).parent
    root = Path(nwbcompare.__file__).parents[1]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), str(support)])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.split() == ["run"]


def test_modules_in_the_working_directory_are_not_imported(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the working directory')")
    monkeypatch.chdir(tmp_path)
    first_reading.stop()
    read_first(readings.sound, file, "a file")


def test_where_no_process_can_be_started_the_file_is_read_here_with_a_warning(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_reading.stop()
    monkeypatch.setattr(first_reading, "_cannot_start", False)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.warns(UserWarning, match="without protection from crashes"):
        read_first(readings.note_process, file, "a file")
    assert int(file.read_text()) == os.getpid()
