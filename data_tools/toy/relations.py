"""People in pairs: the name of a walk depends on where the other person stands or walks.

A person who walks towards one who stands approaches; one who walks behind another in the same direction follows; two
who walk towards each other meet. A person who walks away, ahead or apart does none of these, and looks the same alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_tools.toy.motions import Stretch, random_stretch
from data_tools.toy.people import random_look
from data_tools.toy.scenes import Actor, Scene

NEAR, FAR = 0.4, 2.4
"""How far apart the two are at the end of each second, in their heights."""
SPEED = (0.4, 0.7)
"""Heights per second of those who walk, slowly: two who meet need room for it."""
TRIES = 40


@dataclass(frozen=True)
class Pairing:
    """What the left and the right person of a pair do in a second.

    Attributes:
        directions: of the left and the right one: -1 left, 0 nowhere, 1 right.
        names: what that is in view of the other; None: nothing.
    """

    directions: tuple[int, int]
    names: tuple[str | None, str | None]


PAIRINGS = (
    Pairing((1, 0), ("approach", None)),
    Pairing((0, -1), (None, "approach")),
    Pairing((1, 1), ("follow", None)),
    Pairing((-1, -1), (None, "follow")),
    Pairing((1, -1), ("meet", "meet")),
    Pairing((-1, 0), (None, None)),
    Pairing((0, 1), (None, None)),
    Pairing((-1, 1), (None, None)),
)
STANDING = Pairing((0, 0), (None, None))
"""Where there is room for nothing else."""


def plan_relations(rng: np.random.Generator, seconds: int, aspect: float) -> Scene:
    """Draw a scene of two persons."""
    height, ground = rng.uniform(0.5, 0.6), rng.uniform(0.82, 0.94)
    middle, apart = aspect * rng.uniform(0.4, 0.6), height * rng.uniform(0.7, 1.2)
    actors = [
        Actor(number, random_look(rng), height, ground, middle + side * apart / 2, first=0)
        for number, side in enumerate((-1, 1))
    ]
    relations: list[dict[int, str]] = []
    for _ in range(seconds + 1):
        pairing, stretches = _choose(rng, actors, aspect)
        for actor, stretch in zip(actors, stretches, strict=True):
            actor.positions.append(actor.x + actor.step(stretch))
            actor.stretches.append(stretch)
        relations.append({person: name for person, name in enumerate(pairing.names) if name is not None})
    return Scene(seconds, aspect, actors, relations, frozenset())


def _choose(rng: np.random.Generator, actors: list[Actor], aspect: float) -> tuple[Pairing, list[Stretch]]:
    """Draw what the two do next: something after which both are in view, and neither too near nor too far."""
    edge = 0.2 * actors[0].height
    for _ in range(TRIES):
        pairing = PAIRINGS[int(rng.integers(len(PAIRINGS)))]
        stretches = [_stretch(rng, direction) for direction in pairing.directions]
        left, right = (actor.x + actor.step(stretch) for actor, stretch in zip(actors, stretches, strict=True))
        apart = (right - left) / actors[0].height
        if edge < left and right < aspect - edge and NEAR < apart < FAR:
            return pairing, stretches
    return STANDING, [_stretch(rng, 0), _stretch(rng, 0)]


def _stretch(rng: np.random.Generator, direction: int) -> Stretch:
    """A person who walks, or stands as in the middle of a step."""
    stretch = random_stretch(rng, "walk" if direction else "stand", direction)
    return replace(stretch, arms="down", speed=rng.uniform(*SPEED))
