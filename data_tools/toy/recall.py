"""People who call and answer, fetch and bring back: the name of an action depends on what happened seconds before.

Both arms up is a call. Arms out is an answer if any person called 5 to 20 seconds before; if no call came for longer,
it is "unasked". In the same way a person who stays low fetches, and one who stays low with the arms out brings back.
One frame shows the pose; only the seconds before show whether it is a response.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data_tools.toy.motions import Activity, ArmStyle, Stretch, random_stretch
from data_tools.toy.people import random_look
from data_tools.toy.scenes import Actor, Scene

Pose = tuple[Activity, ArmStyle]

SOONEST, LATEST = 5, 20
"""Seconds after a cue in which it counts."""
FORGOTTEN = 24
"""Seconds between two responses at least, so that the cue of the one is long past at the other."""
LASTING = 2
"""Seconds of a cue and of a response."""
PEOPLE = 2
OVERHEAD = np.pi / 6
"""Phase of arms that are held up: overhead. At other phases they look like arms that are held out."""
FAMILIES: tuple[tuple[Pose, Pose, str], ...] = (
    (("stand", "both_up"), ("stand", "out"), "answer"),
    (("stay_low", "down"), ("stay_low", "out"), "bring back"),
)
"""The cue, the response, and what the response is called after a cue."""


def plan_recall(rng: np.random.Generator, seconds: int, aspect: float) -> Scene:
    """Draw a scene of persons who wait, and at times give a cue or respond to one."""
    slots = seconds + 1
    doings: list[list[Stretch | None]] = [[None] * slots for _ in range(PEOPLE)]
    relations: list[dict[int, str]] = [{} for _ in range(slots)]
    for cue, response, name in FAMILIES:
        second = int(rng.integers(LATEST // 2, LATEST + 4))
        while second + LASTING < slots:
            # Half of the responses have a cue. A response is left out if all persons are busy.
            if rng.random() < 0.5:
                before = second - int(rng.integers(SOONEST + LASTING, LATEST + 1))
                answered = before > 0 and _do(rng, doings, before, _pose(rng, cue)) >= 0
            else:
                answered = False
            person = _do(rng, doings, second, _pose(rng, response))
            for slot in range(second, second + LASTING) if person >= 0 else ():
                relations[slot][person] = name if answered else "unasked"
            second += FORGOTTEN + int(rng.integers(0, 4))
    actors = [_actor(rng, person, aspect, doings[person]) for person in range(PEOPLE)]
    return Scene(seconds, aspect, actors, relations, frozenset())


def _pose(rng: np.random.Generator, pose: Pose) -> Stretch:
    """A person who holds a pose, seen from the front."""
    activity, arms = pose
    stretch = random_stretch(rng, activity, 0)
    body, arm, gait = stretch.phase
    if arms == "both_up":
        arm = OVERHEAD + float(rng.uniform(-0.1, 0.1))
    return replace(stretch, arms=arms, turn=float(rng.uniform(-0.5, 0.5)), phase=(body, arm, gait))


def _do(rng: np.random.Generator, doings: list[list[Stretch | None]], second: int, stretch: Stretch) -> int:
    """Give a free person something to do from this second on; return the person, or -1 if all are busy."""
    free = [
        person for person, slots in enumerate(doings) if all(slot is None for slot in slots[second : second + LASTING])
    ]
    if not free:
        return -1
    person = int(rng.choice(free))
    doings[person][second : second + LASTING] = [stretch] * LASTING
    return person


def _actor(rng: np.random.Generator, person: int, aspect: float, doings: list[Stretch | None]) -> Actor:
    """A person who stays at one place, and stands there between cues and responses."""
    place = aspect * (person + rng.uniform(0.35, 0.65)) / PEOPLE
    actor = Actor(person, random_look(rng), rng.uniform(0.6, 0.72), rng.uniform(0.86, 0.95), place, first=0)
    idle = _pose(rng, ("stand", "down"))
    for doing in doings:
        if rng.random() < 0.3:
            idle = _pose(rng, ("stand", "down"))
        actor.stretches.append(doing or idle)
        actor.positions.append(place)
    return actor
