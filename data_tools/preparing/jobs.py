"""What a preparation consists of: jobs that each make one output, and what became of them."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from evaluation.command_line import describe
from evaluation.errors import InputError

# Nothing more can be written after these: going on would only fail video after video.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}

State = Literal["made", "kept", "failed", "missing", "stopped"]


class Job(Protocol):
    """One output of a preparation: a video file or a folder of pictures. Can be pickled."""

    @property
    def name(self) -> str:
        """Where the output lies below the folder of the data set, with slashes."""

    @property
    def order(self) -> str:
        """What was asked for, in a few words, as far as the name does not say; another order makes it again."""

    @property
    def source(self) -> str | None:
        """What it is made from; None if that was not found."""

    def make(self, folder: Path) -> int:
        """Make the output under its final name only if it is whole; return its number of frames.

        Raises:
            InputError: the source cannot be used. OSError: it cannot be read, or the output cannot be written.
        """

    def is_whole(self, folder: Path, frames: int) -> bool:
        """Whether the output is there, opens, and has so many frames."""


@dataclass(frozen=True)
class Refused:
    """A job that cannot be done, and why: what was found does not fit the annotations.

    Attributes:
        name: of the job.
        reason: in words.
        order, source: of no meaning here.
    """

    name: str
    reason: str
    order: str = ""
    source: str | None = ""

    def make(self, folder: Path) -> int:
        """Raise the reason."""
        raise InputError(self.reason)

    def is_whole(self, folder: Path, frames: int) -> bool:
        """It never is."""
        return False


@dataclass(frozen=True)
class Done:
    """What an earlier run noted of a finished output.

    Attributes:
        order: what had been asked for.
        frames: how many it had.
    """

    order: str
    frames: int


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        name: of the job.
        state: "made" now; "kept" from an earlier run; "failed"; "missing" source; "stopped": nothing more can be
            written, not even other outputs.
        order: of the job.
        frames: of the output; 0 where there is none.
        reason: why it is not there.
    """

    name: str
    state: State
    order: str
    frames: int = 0
    reason: str = ""

    @property
    def ready(self) -> bool:
        """The output is there and whole."""
        return self.state in ("made", "kept")


def do(folder: Path, task: tuple[Job, Done | None]) -> Outcome:
    """Do one job, unless an earlier run did it; whatever goes wrong with a video is said in the outcome."""
    job, done = task
    try:
        if done is not None and done.order == job.order and job.is_whole(folder, done.frames):
            return Outcome(job.name, "kept", job.order, frames=done.frames)
        if job.source is None:
            return Outcome(job.name, "missing", job.order, reason="its source video was not found")
        return Outcome(job.name, "made", job.order, frames=job.make(folder))
    except InputError as fault:
        return Outcome(job.name, "failed", job.order, reason=str(fault))
    except OSError as fault:
        if fault.errno in _NO_ROOM:
            return Outcome(job.name, "stopped", job.order, reason=f"{folder / job.name}: {fault.strerror}")
        return Outcome(job.name, "failed", job.order, reason=describe(fault))
    except Exception as fault:  # whatever a decoder raises is a fault of the file; the other videos go on
        return Outcome(job.name, "failed", job.order, reason=f"{job.source}: {type(fault).__name__}: {fault}")
