"""People on skates: they glide fast, and what they do takes but a moment of each second.

A fixed box around a person in the middle of a clip has lost the person at its ends, and so has lost most of what
is done.
"""

from __future__ import annotations

import numpy as np

from data_tools.toy.motions import Activity, ArmStyle, Stretch
from data_tools.toy.people import random_look
from data_tools.toy.scenes import Actor, Scene

GLIDE = (1.6, 2.4)
"""Heights of the person per second; a person is about a third as wide as high."""
EARLIEST, LATEST = 0.16, 0.84
"""When in its second something happens."""
DOINGS: tuple[tuple[Activity, ArmStyle], ...] = (
    ("stand", "down"), ("jump", "down"), ("crouch", "down"), ("spin", "down"), ("stand", "wave_both"),
)  # fmt: skip


def plan_skating(rng: np.random.Generator, seconds: int, aspect: float, people: int) -> Scene:
    """Draw a scene with `people` persons at a time, who cross the frame; whoever has left comes back as another."""
    everybody: list[Actor] = []
    for lane in range(people):
        slot = 0
        while slot <= seconds:
            skater = _skater(rng, len(everybody), lane, people, aspect, slot)
            del skater.stretches[seconds + 1 - slot :], skater.positions[seconds + 1 - slot :]
            everybody.append(skater)
            slot += len(skater.stretches)
    return Scene(seconds, aspect, everybody, [{} for _ in range(seconds + 1)], frozenset())


def _skater(rng: np.random.Generator, person: int, lane: int, lanes: int, aspect: float, first: int) -> Actor:
    """Let a person cross the frame from slot `first` on; those who are there first begin anywhere."""
    height, ground = rng.uniform(0.5, 0.62), 0.72 + 0.24 * (lane + rng.uniform(0.2, 0.8)) / lanes
    speed = float(rng.choice([-1, 1]) * rng.uniform(*GLIDE) * height)
    margin = 0.2 * height
    start = -margin if speed > 0 else aspect + margin
    if first == 0:
        start = float(rng.uniform(0, aspect))
    actor = Actor(person, random_look(rng), height, ground, start, first)
    while -margin <= actor.x <= aspect + margin:
        actor.stretches.append(_stretch(rng))
        actor.positions.append(actor.x + speed)
    return actor


def _stretch(rng: np.random.Generator) -> Stretch:
    activity, arms = DOINGS[int(rng.integers(len(DOINGS)))]
    first, second, third = rng.uniform(0, 2 * np.pi, 3)
    return Stretch(
        activity=activity,
        arms=arms,
        direction=0,
        speed=0.0,
        tempo=float(rng.choice([-1, 1])),
        phase=(float(first), float(second), float(third)),
        turn=float(rng.uniform(-0.5, 0.5)),
        wave_tempo=1.3,
        once=float(rng.uniform(EARLIEST, LATEST)),
    )
