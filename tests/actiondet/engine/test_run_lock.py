"""A run folder belongs to one run at a time; a dead run does not hold it."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actiondet.config import DetectionConfig
from actiondet.engine.devices import launch
from actiondet.engine.run_lock import RunLock
from actiondet.engine.train import train
from evaluation.errors import InputError

HOLD = """
import sys, time
from pathlib import Path
from actiondet.engine.run_lock import RunLock
with RunLock(Path(sys.argv[1]), beat=0.05):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder until it is killed or its input ends."""
    program = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_refused_and_a_killed_one_does_not_hold_the_folder(tmp_path: Path) -> None:
    process = holder(tmp_path)
    with pytest.raises(InputError, match=rf"in use by another run \(process {process.pid} on .*choose another --out"):
        RunLock(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with RunLock(tmp_path):
        assert (tmp_path / "run.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_dead_run_whose_parent_has_not_noticed_does_not_hold_the_folder(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the table of processes
    with RunLock(tmp_path):
        pass
    process.wait()


def test_a_run_that_ends_gives_the_folder_free(tmp_path: Path) -> None:
    process = holder(tmp_path)
    process.communicate("")
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_training_does_not_mix_with_another(tiny_config: Callable[..., DetectionConfig], tmp_path: Path) -> None:
    process = holder(tmp_path)
    with pytest.raises(InputError, match="in use by another run"):
        train(tiny_config(), folder=tmp_path, fabric=launch(), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.lock"]
    process.communicate("")


def elsewhere(folder: Path, **changes: object) -> None:
    """A lock that another machine has left."""
    owner = {"host": "another", "process": os.getpid(), "started": "1", "token": "theirs", "beats": 1} | changes
    (folder / "run.lock").write_text(json.dumps(owner))


def test_a_dead_run_of_another_machine_does_not_hold_the_folder(tmp_path: Path) -> None:
    elsewhere(tmp_path)
    with RunLock(tmp_path, beat=0.01, dead=0.1):
        assert "theirs" not in (tmp_path / "run.lock").read_text()


def test_a_run_of_another_machine_that_beats_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = holder(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "a machine that shares the folder")
    with pytest.raises(InputError, match="in use by another run"):
        RunLock(tmp_path, beat=0.01, dead=1000)
    process.communicate("")


def test_a_process_of_the_same_number_is_not_the_dead_one(tmp_path: Path) -> None:
    elsewhere(tmp_path, host=socket.gethostname(), started="0")
    with RunLock(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"host": 3}'])
def test_a_damaged_lock_is_taken_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.lock").write_text(text)
    with RunLock(tmp_path, beat=0.01, dead=0.05):
        pass


def test_a_run_whose_folder_was_taken_over_does_not_save(tmp_path: Path) -> None:
    with RunLock(tmp_path, beat=1000) as lock:
        lock.check()
        elsewhere(tmp_path)
        with pytest.raises(InputError, match="another run has taken over this folder"):
            lock.check()
    assert "theirs" in (tmp_path / "run.lock").read_text()


@pytest.mark.parametrize("stale", [False, True])
def test_a_folder_that_cannot_be_written_to_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: bool
) -> None:
    if stale:
        elsewhere(tmp_path, host=socket.gethostname(), started="0")

    def read_only(path: object, flags: int, *more: object, **options: object) -> int:
        if flags & os.O_CREAT:
            if flags & os.O_EXCL and os.path.exists(str(path)):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return int(real(path, flags, *more, **options))  # type: ignore[call-overload]

    real = os.open
    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(Path, "write_text", lambda path, text: read_only(path, os.O_CREAT))
    expected = re.escape(f"{tmp_path}: cannot be written to (Read-only file system); make it writable, or choose")
    with pytest.raises(InputError, match=expected):
        RunLock(tmp_path)
