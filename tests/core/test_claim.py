"""One writer a folder: who holds it, who waits, and what a killed one leaves."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise

import psutil
import pytest

import nwbcompare as nc
from nwbcompare.core import claim
from nwbcompare.core.claim import SILENT_S, WAIT_S, Holder, claimed, held_by
from nwbcompare.core.errors import OutputError

HOLD = """
import sys, time
from nwbcompare.core.claim import claimed
with claimed(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a folder."""
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def lock_of(tmp_path):
    return tmp_path / ".run.lock"


def written_by(tmp_path, **changes):
    """A lock's file as another process would have left it."""
    me = {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": "2026-01-01 00:00:00+00:00",
        "started": psutil.Process().create_time(),
    }
    lock_of(tmp_path).write_text(json.dumps(me | changes))


def test_a_held_folder_is_refused_with_who_holds_it_and_since_when(tmp_path, holder):
    says = rf"run: .* held by process {holder.pid} on {platform.node()}, since \d{{4}}-\d\d-\d\d "
    with pytest.raises(nc.InputError, match=says), claimed(tmp_path / "run", wait_s=0):
        pytest.fail("two hold it")
    assert f"process {holder.pid}" in held_by(tmp_path / "run")
    with claimed(tmp_path / "other", wait_s=0):
        assert held_by(tmp_path / "other").startswith(f"held by process {os.getpid()}")


def test_a_link_to_a_folder_is_the_folder(tmp_path, holder):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(nc.InputError, match="held by"), claimed(tmp_path / "link", wait_s=0):
        pytest.fail("two hold it")


def test_what_a_killed_holder_leaves_is_taken_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock_of(tmp_path).is_file()
    assert held_by(tmp_path / "run") == ""
    with claimed(tmp_path / "run"):
        pass
    assert not lock_of(tmp_path).exists()


def test_a_holder_is_waited_for(tmp_path, holder):
    start = time.monotonic()
    holder.send_signal(signal.SIGKILL)
    with claimed(tmp_path / "run", wait_s=10):
        assert time.monotonic() - start < 5


def test_a_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="stop"), claimed(tmp_path / "run"):
        raise RuntimeError("stop")
    assert not lock_of(tmp_path).exists()
    with claimed(tmp_path / "run", wait_s=0):
        pass


def test_of_many_processes_one_at_a_time_holds_a_folder(tmp_path):
    """Each notes when it came and went: no two of them overlap, though they wait for each other."""
    code = (
        "import sys, time\nfrom nwbcompare.core.claim import claimed\n"
        "for _ in range(5):\n"
        "  with claimed(sys.argv[1], wait_s=60):\n"
        "    start = time.monotonic_ns(); time.sleep(.01); print(start, time.monotonic_ns())"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "run")]
    writers = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    lines = [line for one in writers for line in one.communicate()[0].splitlines()]
    times = sorted(tuple(map(int, line.split())) for line in lines)
    assert len(times) == 20
    assert all(stop <= start for (_, stop), (start, _) in pairwise(times))


@pytest.fixture(params=["OSError", "none"])
def without_locks(request, monkeypatch):
    """A file system, or a system, that has no locks."""

    class Refusing:
        LOCK_EX, LOCK_NB = 2, 4

        @staticmethod
        def flock(*_):
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(claim, "LOCKS", Refusing if request.param == "OSError" else None)


def test_without_locks_of_the_system_the_file_counts(tmp_path, without_locks):
    written_by(tmp_path)
    with pytest.raises(nc.InputError, match="held by process"), claimed(tmp_path / "run", wait_s=0):
        pytest.fail("two hold it")
    # the number of this process, but another one's start: that one has ended
    written_by(tmp_path, started=1.0)
    with claimed(tmp_path / "run", wait_s=1):
        assert Holder(**json.loads(lock_of(tmp_path).read_text())).pid == os.getpid()
    assert not lock_of(tmp_path).exists()


def test_another_machines_process_is_believed_while_it_is_heard_of(tmp_path):
    written_by(tmp_path, host="elsewhere", pid=1)
    with pytest.raises(nc.InputError, match="process 1 on elsewhere"):  # noqa: SIM117
        with claimed(tmp_path / "run", wait_s=0.2):
            pytest.fail("two hold it")
    silent = time.time() - SILENT_S - 1
    os.utime(lock_of(tmp_path), (silent, silent))
    with claimed(tmp_path / "run", wait_s=1):
        pass


@pytest.mark.parametrize(
    ("number", "kind", "match"),
    [
        (errno.EACCES, nc.InputError, "run: expected a path in a folder that can be written"),
        (errno.ENOSPC, OutputError, "run: not written: No space left"),
    ],
)
def test_a_lock_that_cannot_be_made_is_an_error(tmp_path, monkeypatch, number, kind, match):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(claim.os, "open", fail)
    with pytest.raises(kind, match=match), claimed(tmp_path / "run"):
        pytest.fail("nobody holds it")


def test_on_a_full_disk_no_empty_lock_is_left(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(claim.os, "write", full)
    with pytest.raises(OutputError, match="No space left"), claimed(tmp_path / "run"):
        pytest.fail("nobody holds it")
    assert not lock_of(tmp_path).exists()


def test_a_holder_is_heard_of(tmp_path, monkeypatch):
    monkeypatch.setattr(claim, "HEARTBEAT_S", 0.01)
    with claimed(tmp_path / "run"):
        os.utime(lock_of(tmp_path), (1, 1))
        time.sleep(0.2)
        assert time.time() - lock_of(tmp_path).stat().st_mtime < 100


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_lock_that_says_nothing_is_believed_for_a_moment(tmp_path, text):
    lock_of(tmp_path).write_text(text)
    with pytest.raises(nc.InputError, match="held by another process"):  # noqa: SIM117
        with claimed(tmp_path / "run", wait_s=0.2):
            pytest.fail("its process may be about to write who it is")
    old = time.time() - WAIT_S - 1
    os.utime(lock_of(tmp_path), (old, old))
    with claimed(tmp_path / "run", wait_s=1):
        pass


WRITE = """
import sys, time, torch
from pathlib import Path
from nwbcompare.model import NetworkConfig
from nwbcompare.model.checkpoint import write_checkpoint
from nwbcompare.model.network import Network
out, until = Path(sys.argv[1]), time.time() + 2
network, n = Network(NetworkConfig(n_units=8)), 0
while time.time() < until:
    write_checkpoint(out, {"weights": torch.randn(300_000)}, {"log": []}, network)
    n += 1
print(n)
"""


def test_two_writers_of_one_folder_never_leave_half_a_file(tmp_path):
    """Below the lock: files have temporary names of their own."""
    from nwbcompare.model import NetworkConfig, training_config
    from nwbcompare.model.checkpoint import CHECKPOINT, read_checkpoint, start_run

    network, training = NetworkConfig(n_units=8), training_config(("fdgo",), n_units=8)
    start_run(tmp_path / "run", network, training)
    arguments = [sys.executable, "-c", WRITE, str(tmp_path / "run")]
    writers = [subprocess.Popen(arguments, stdout=subprocess.PIPE) for _ in range(2)]
    seen = Counter()
    while any(one.poll() is None for one in writers):
        if (tmp_path / "run" / CHECKPOINT).exists():
            read = read_checkpoint(tmp_path / "run", network, training)
            seen[len(read.tensors["weights"])] += 1
    written = [int(one.communicate()[0]) for one in writers]
    assert min(written) > 2
    assert seen.total() > 2
    assert set(seen) == {300_000}
    assert [f.name for f in (tmp_path / "run").iterdir() if f.name.startswith(".")] == []


def test_two_processes_never_train_one_run(tmp_path):
    words = "train --tasks fdgo --units 8 --max-steps 100000 --target 2 --out"
    command = [sys.executable, "-m", "nwbcompare", *words.split(), str(tmp_path / "run")]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not (tmp_path / "run").is_dir():
            time.sleep(0.05)
        second = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert f"held by process {first.pid} on" in second.stderr
        assert "Traceback" not in second.stderr
        first.send_signal(signal.SIGTERM)
        assert first.wait() == 143
    finally:
        first.kill()
    assert not lock_of(tmp_path).exists()
