"""Who does what when: plans of whole videos, slot by slot.

In a slot each person does one thing. Slots last a second, from half a second before a full second to half a second
after, so that a clip of one second around a key moment shows one activity of each; or several seconds. Who approaches
or follows whom is read off the geometry, and plans in which it would be doubtful are drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from data_tools.toy.motions import Activity, Stretch, random_stretch
from data_tools.toy.people import Look, random_look

RATE = 30
"""Frames per second of every toy video."""
TRIES = 60
WAVING = 0.5
"""The share of those who stand who wave."""
CROWDED, LEAVING = 0.08, 0.2
"""The share of slots in which people may stand in front of each other, and in which they may leave."""
ON_THE_SPOT: tuple[Activity, ...] = ("stand", "jump", "crouch", "spin", "stay_low")
SPOT_ODDS = (0.30, 0.21, 0.22, 0.21, 0.06)


@dataclass
class Actor:
    """One person of a scene.

    Attributes:
        person: identity within the video.
        height: in frame heights.
        ground: where the feet stand, in frame heights from the top.
        start: x before the first slot, in frame heights.
        first: the first slot in which the person is there.
        slot: seconds of a slot.
        stretches: what the person does, slot by slot from `first` on.
        positions: x at the end of each of these slots.
    """

    person: int
    look: Look
    height: float
    ground: float
    start: float
    first: int
    slot: int = 1
    stretches: list[Stretch] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)

    @property
    def x(self) -> float:
        """Where the person stands after the last planned slot."""
        return self.positions[-1] if self.positions else self.start

    def step(self, stretch: Stretch) -> float:
        """Return how far `stretch` carries the person in one slot."""
        return stretch.direction * stretch.speed * self.slot * self.height


@dataclass(frozen=True)
class Wish:
    """What a slot should be like.

    Attributes:
        theme: "approach" or "follow" if a person should; "none" otherwise.
        crowding: whether people may stand in front of each other.
        leaving: whether people may walk out of the frame.
    """

    theme: str
    crowding: bool
    leaving: bool


@dataclass(frozen=True)
class Scene:
    """A planned video.

    Attributes:
        seconds: length.
        aspect: width over height of the frame.
        actors: everybody who ever appears.
        relations: for each slot, person -> "approach" or "follow".
        doubtful: slots in which a person's relation to another could be argued about.
    """

    seconds: int
    aspect: float
    actors: list[Actor]
    relations: list[dict[int, str]]
    doubtful: frozenset[int]


def plan_scene(
    rng: np.random.Generator, seconds: int, aspect: float, people: int, *, slot: int = 1, meetings: bool = True
) -> Scene:
    """Draw a scene with about `people` persons at a time.

    Args:
        rng: where everything random comes from.
        seconds: length.
        aspect: width over height of the frame.
        people: how many persons there are at a time, about.
        slot: seconds after which people may turn to something else.
        meetings: whether people seek each other out, so that many approach or follow others.
    """
    cast = [_newcomer(rng, number, aspect, 0, inside=True, like=None, slot=slot) for number in range(people)]
    cast[1].height, cast[1].ground = _depth(rng, near=cast[0])
    everybody, theme = list(cast), "none"
    relations: list[dict[int, str]] = []
    doubtful = set()
    for number in range(-(-seconds // slot) + 1):
        if meetings and rng.random() < 0.55:
            theme = ("approach", "follow", "none")[int(rng.choice(3, p=(0.44, 0.44, 0.12)))]
        chosen, related = _choose(rng, cast, theme, aspect)
        for actor, stretch in zip(cast, chosen, strict=True):
            actor.positions.append(actor.x + actor.step(stretch))
            actor.stretches.append(stretch)
        relations.append({person: name for person, name in related.items() if name != "doubtful"})
        if "doubtful" in related.values():
            doubtful.add(number)
        for seat, actor in enumerate(cast):
            if not _within(actor.x, actor.height, aspect):
                cast[seat] = _newcomer(rng, len(everybody), aspect, number + 1, inside=False, like=actor, slot=slot)
                everybody.append(cast[seat])
    return Scene(seconds, aspect, everybody, relations, frozenset(doubtful))


def _depth(rng: np.random.Generator, near: Actor | None) -> tuple[float, float]:
    """Return height and ground; people further down the frame stand nearer and are larger."""
    if near is not None:
        factor = rng.uniform(0.93, 1.07)
        return near.height * factor, near.ground + rng.uniform(-0.02, 0.02)
    depth = rng.uniform(0, 1) ** 0.8
    return (0.50 + 0.26 * depth) * rng.uniform(0.9, 1.06), 0.75 + 0.21 * depth


def _newcomer(
    rng: np.random.Generator, person: int, aspect: float, first: int, *, inside: bool, like: Actor | None, slot: int
) -> Actor:
    height, ground = _depth(rng, like)
    edge = -0.22 * height if rng.random() < 0.5 else aspect + 0.22 * height
    start = rng.uniform(0.15, aspect - 0.15) if inside else edge
    return Actor(person, random_look(rng), height, ground, start, first, slot)


def _within(x: float, height: float, aspect: float, margin: float = 0.2) -> bool:
    return -margin * height < x < aspect + margin * height


def _choose(
    rng: np.random.Generator, cast: list[Actor], theme: str, aspect: float
) -> tuple[list[Stretch], dict[int, str]]:
    """Draw what everybody does next, and draw single persons again until nothing is wrong with it."""
    chosen = [_propose(rng, actor, aspect) for actor in cast]
    wish = Wish(theme, crowding=rng.random() < CROWDED, leaving=rng.random() < LEAVING)
    fault = _fault(cast, chosen, wish, aspect)
    for _ in range(TRIES):
        if fault == 0:
            break
        other = list(chosen)
        if theme != "none" and rng.random() < 0.4:
            _follow_theme(rng, cast, other, theme)
        else:
            seat = int(rng.integers(len(cast)))
            other[seat] = _propose(rng, cast[seat], aspect)
        if (theirs := _fault(cast, other, wish, aspect)) <= fault:
            chosen, fault = other, theirs
    return chosen, relate(cast, chosen, aspect)


def _fault(cast: list[Actor], chosen: list[Stretch], wish: Wish, aspect: float) -> int:
    """Return how much is wrong with a choice; 0 is nothing."""
    related = list(relate(cast, chosen, aspect).values())
    fault = 4 * related.count("doubtful") + 2 * _collisions(cast, chosen, aspect, wish.crowding)
    if wish.theme != "none" and wish.theme not in related:
        fault += 1
    if not wish.leaving:
        pairs = zip(cast, chosen, strict=True)
        fault += sum(not _within(actor.x + actor.step(stretch), actor.height, aspect, 0.0) for actor, stretch in pairs)
    return fault


def _propose(rng: np.random.Generator, actor: Actor, aspect: float) -> Stretch:
    """Draw what one person does next, whatever the others do."""
    outside = not _within(actor.x, actor.height, aspect, margin=-0.25)
    last = actor.stretches[-1] if actor.stretches else None
    if last is not None and rng.random() < 0.4 and not (outside and last.direction == 0):
        return last
    if outside and rng.random() < 0.8:
        direction = 1 if actor.x < aspect / 2 else -1
        return _walk(rng, direction, actor.slot)
    if rng.random() < 0.12:
        return _walk(rng, int(rng.choice([-1, 1])), actor.slot)
    activity = ON_THE_SPOT[int(rng.choice(len(ON_THE_SPOT), p=SPOT_ODDS))]
    return random_stretch(rng, activity, 0, waving=activity == "stand" and rng.random() < WAVING)


def _follow_theme(rng: np.random.Generator, cast: list[Actor], chosen: list[Stretch], theme: str) -> None:
    """Send one person toward or after another."""
    goer, other = rng.choice(len(cast), 2, replace=False)
    direction = 1 if cast[other].x > cast[goer].x else -1
    chosen[goer] = _walk(rng, direction, cast[goer].slot)
    if theme == "follow":
        chosen[other] = _walk(rng, direction, cast[other].slot)


def _walk(rng: np.random.Generator, direction: int, slot: int) -> Stretch:
    """Draw a walk; who walks for longer walks as far, more slowly."""
    stretch = random_stretch(rng, "walk", direction)
    return replace(stretch, speed=stretch.speed / slot)


def relate(cast: list[Actor], chosen: list[Stretch], aspect: float) -> dict[int, str]:
    """Say who approaches or follows another person in the middle of the slot.

    A person who walks approaches a person ahead who stays in place, and follows a person ahead who walks the
    same way, if that person is of similar size (at a similar depth) and near, but not yet reached.

    Returns:
        person -> "approach", "follow" or "doubtful"; nothing for others.
    """
    related: dict[int, str] = {}
    middle = [actor.x + actor.step(stretch) / 2 for actor, stretch in zip(cast, chosen, strict=True)]
    for goer, stretch in enumerate(chosen):
        if stretch.direction == 0 or not _within(middle[goer], cast[goer].height, aspect):
            continue
        found = set()
        for other, theirs in enumerate(chosen):
            if other != goer:
                ahead = stretch.direction * (middle[other] - middle[goer]) / cast[goer].height
                found.add(
                    _relation(ahead, cast[other], cast[goer], theirs.direction * stretch.direction, stretch, theirs)
                )
        found.discard("none")
        if len(found) == 1:
            related[cast[goer].person] = found.pop()
        elif found:
            related[cast[goer].person] = "doubtful"
    return related


def _relation(ahead: float, other: Actor, goer: Actor, sense: int, ours: Stretch, theirs: Stretch) -> str:
    """Return the relation to one other person; `sense` is 1 for the same way, 0 in place, -1 against."""
    low, near, far, high = (0.1, 0.4, 1.05, 1.6) if sense == 0 else (0.05, 0.33, 0.95, 1.5)
    if ahead < low or ahead > high:
        return "none"
    ratio = other.height / goer.height
    similar = 0.8 < ratio < 1.25
    if sense < 0 or not similar:
        # Two who meet, or pass at different depths, are left out unless they are plainly apart.
        return "doubtful" if 0.65 < ratio < 1.5 else "none"
    if not near < ahead < far:
        return "doubtful"
    return "approach" if sense == 0 else "follow"


def _collisions(cast: list[Actor], chosen: list[Stretch], aspect: float, crowding: bool) -> int:
    """Count who would stand in each other at the end of the slot, or hide each other in its middle.

    The latter only counts in slots without `crowding`, and within the frame.
    """
    steps = [actor.step(stretch) for actor, stretch in zip(cast, chosen, strict=True)]
    count = 0
    for one in range(len(cast)):
        for two in range(one):
            small = min(cast[one].height, cast[two].height)
            gap = cast[one].x - cast[two].x
            count += (
                abs(cast[one].ground - cast[two].ground) < 0.06 and abs(gap + steps[one] - steps[two]) < 0.3 * small
            )
            middle = gap + (steps[one] - steps[two]) / 2
            count += not crowding and abs(middle) < 0.4 * small and _within(cast[one].x, cast[one].height, aspect)
    return count
