"""How much of the training data may be left out before training stops."""

from __future__ import annotations

from collections.abc import Sequence

from actiondet.engine.checkpoint import Progress
from actiondet.engine.log import log_line
from evaluation.errors import InputError

_ROUNDING = 1e-6  # 0.29 of 100 is 28.999999999999996


def log_missing(missing: Sequence[int], listed: Sequence[int]) -> None:
    """Say how many of how many (training, validation) videos are missing."""
    log_line(
        f"left out because they are missing: {missing[0]} of {listed[0]} training and {missing[1]} of {listed[1]} "
        "validation videos"
    )


def check_missing(missing: int, videos: int, *, limit: float) -> None:
    """Refuse to train where too many of the listed videos are missing.

    Args:
        missing: training videos that are missing.
        videos: training videos that the lists name, the missing ones among them.
        limit: data.max_unreadable, a share in [0, 1].

    Raises:
        InputError: a larger share is missing.
    """
    if missing > limit * videos + _ROUNDING:
        raise InputError(
            f"{missing} of {videos} training videos are missing, more than data.max_unreadable={limit:g} allows; "
            "correct data.videos, or raise data.max_unreadable"
        )


def check_lost(progress: Progress, steps: int, *, limit: float, example: str) -> None:
    """Refuse to train on where too many clips of the epoch cannot be read.

    It is refused as soon as it is certain: when more clips are lost than the whole epoch may lose.

    Args:
        progress: where the run stands, after a step.
        steps: of the epoch.
        limit: data.max_unreadable, a share in [0, 1].
        example: what was wrong with one of the clips, or nothing.

    Raises:
        InputError: a larger share is lost, or every clip.
    """
    if progress.lost == 0:
        return
    done = progress.step == steps
    all_lost = progress.lost == progress.drawn
    if progress.lost <= limit * progress.drawn * steps / progress.step + _ROUNDING and not (done and all_lost):
        return
    clips = f"{progress.drawn} training clips of epoch {progress.epoch + 1}"
    so_far = "" if done else " so far"
    such = f" ({example})" if example else ""
    if all_lost:
        raise InputError(f"none of the {clips} could be read{so_far}{such}; correct data.videos, or the files")
    raise InputError(
        f"{progress.lost} of {clips} could not be read{so_far}{such}, more than data.max_unreadable={limit:g} of "
        "the epoch; correct data.videos or the files, or raise data.max_unreadable"
    )
