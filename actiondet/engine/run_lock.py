"""A run folder belongs to one run at a time, on one machine or on several that share the folder."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from evaluation.errors import InputError

BEAT_SECONDS = 5.0
"""How often a run shows that it lives."""
DEAD_SECONDS = 30.0
"""A run on another machine that has not shown so for this long is dead."""


class RunLock:
    """Holds `run.lock` in a run folder, and renews it from a thread until it is closed.

    A lock of the operating system is not kept on every network file system. The file therefore names its owner
    (machine, process, a random token) and is rewritten at every beat. On the owner's machine its process says whether
    it lives; from another machine, the file must change while one looks at it.

    Raises:
        InputError: another run that lives holds the folder, or it cannot be written to.
    """

    def __init__(self, folder: Path, *, beat: float = BEAT_SECONDS, dead: float = DEAD_SECONDS) -> None:
        self._path = folder / "run.lock"
        self._beat, self._dead = beat, dead
        self._token = uuid.uuid4().hex
        self._beats = 0
        self._closed = threading.Event()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._acquire(folder)
        except OSError as fault:
            raise InputError(
                f"{folder}: cannot be written to ({fault.strerror}); make it writable, or choose another --out"
            ) from None
        self._thread = threading.Thread(target=self._renew, name="run lock", daemon=True)
        self._thread.start()

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self) -> None:
        """Make sure that the folder is still this run's.

        Raises:
            InputError: another run has taken it over, which happens if this one was suspended.
        """
        if _token_of(_text(self._path)) != self._token:
            raise InputError(f"{self._path}: another run has taken over this folder; this one stops without saving")

    def close(self) -> None:
        """Give the folder free."""
        self._closed.set()
        self._thread.join()
        with suppress(OSError):  # where it cannot be removed, it is known for a dead run's
            if _token_of(_text(self._path)) == self._token:
                self._path.unlink(missing_ok=True)

    def _acquire(self, folder: Path) -> None:
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            owner = _text(self._path)
            if self._lives(owner):
                raise InputError(
                    f"{folder}: is in use by another run ({_described(owner)}); choose another --out, or stop that run"
                ) from None
            self._write()
            # Of several that take over a dead run's folder at once, the last to write has it.
            time.sleep(min(self._beat, 0.2))
            if _token_of(_text(self._path)) != self._token:
                raise InputError(f"{folder}: another run has taken this folder at the same moment") from None
        else:
            with os.fdopen(descriptor, "w") as file:
                file.write(self._content())

    def _lives(self, owner: str) -> bool:
        fields = _fields(owner)
        if fields.get("host") == socket.gethostname():
            process = fields.get("process")
            started = _process_start(process) if isinstance(process, int) else None
            return started is not None and started == fields.get("started")
        waited = 0.0
        while waited < self._dead:
            time.sleep(self._beat / 2)
            waited += self._beat / 2
            now = _text(self._path)
            if now != owner:
                return bool(now)
        return False

    def _renew(self) -> None:
        while not self._closed.wait(self._beat):
            try:
                if _token_of(_text(self._path)) != self._token:
                    return
                self._write()
            except OSError:
                pass  # a full disk or an absent server; the training meets it when it saves

    def _write(self) -> None:
        temporary = self._path.with_name(f".run.{self._token}.lock")
        try:
            temporary.write_text(self._content())
            os.replace(temporary, self._path)
        finally:
            temporary.unlink(missing_ok=True)

    def _content(self) -> str:
        self._beats += 1
        process = os.getpid()
        return json.dumps(
            {
                "host": socket.gethostname(),
                "process": process,
                "started": _process_start(process),
                "token": self._token,
                "beats": self._beats,
            }
        )


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _fields(text: str) -> dict[str, object]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _token_of(text: str) -> object:
    return _fields(text).get("token")


def _described(text: str) -> str:
    fields = _fields(text)
    return f"process {fields.get('process')} on {fields.get('host')}"


def _process_start(process: int) -> str | None:
    """When a process of this machine started, so that a later one of the same number differs; None if there is none."""
    stat = Path(f"/proc/{process}/stat")
    if stat.parent.parent.joinpath("self").exists():
        text = _text(stat)
        fields = text.rpartition(")")[2].split()
        ended = not fields or fields[0] in "ZX"  # also one that its parent has not waited for
        return None if ended else fields[19]
    try:
        os.kill(process, 0)  # systems without /proc
    except (OSError, OverflowError):
        return None
    return "alive"
