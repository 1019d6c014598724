"""From the plan of one person to curves over the frames of a video."""

from __future__ import annotations

import numpy as np

from data_tools.toy.motions import Motion, Stretch, perform
from data_tools.toy.scenes import RATE, Actor
from evaluation.records import IntArray


def act(actor: Actor, seconds: int, rng: np.random.Generator) -> tuple[Motion, IntArray]:
    """Turn the plan of one person into curves over all frames of the video.

    Returns:
        The motion, and (F,) which of the actor's stretches a frame shows; -1 where the person is absent.
    """
    frames = seconds * RATE
    motion = Motion.at_rest(frames)
    shown = np.full(frames, -1, np.int64)
    start = max(0, _border(actor.first, actor.slot))
    for first, last, stretch in _runs(actor.stretches):
        stop = _border(actor.first + last + 1, actor.slot)
        if last + 1 < len(actor.stretches):
            stop += int(rng.integers(-2, 3))  # people do not change what they do on the beat
        stop = min(stop, frames)
        perform(motion, stretch, start, stop, RATE)
        length = actor.slot * RATE
        slots = (np.arange(start, stop) + length // 2) // length - actor.first
        shown[start:stop] = np.clip(slots, first, last)
        start = stop
    borders = [_border(actor.first + number, actor.slot) for number in range(len(actor.positions) + 1)]
    motion.x[:] = np.interp(np.arange(frames), borders, [actor.start, *actor.positions])
    motion.soften(5)
    return motion, shown


def _border(number: int, slot: int) -> int:
    """Return the frame at which a slot of `slot` seconds begins; the first is half over when the video begins."""
    return number * slot * RATE - slot * RATE // 2


def _runs(stretches: list[Stretch]) -> list[tuple[int, int, Stretch]]:
    """Join equal neighbors into (first, last, stretch)."""
    runs: list[tuple[int, int, Stretch]] = []
    for number, stretch in enumerate(stretches):
        if runs and runs[-1][2] is stretch:
            runs[-1] = (runs[-1][0], number, stretch)
        else:
            runs.append((number, number, stretch))
    return runs
