"""How well events are found: toy films against what is true of them, by precision and recall at temporal IoU 0.5.

A trained toy network looks at two sets of new films with the boxes of a pretended person detector. The score that
begins an event of each action, the gap that is closed and the least duration are chosen on one set by F1, and reported
on the other, both ways round. An event is right if it overlaps a true one of the same action in time by IoU 0.5 or
more, and its box at the peak overlaps that person's box by IoU 0.5 or more; each true event is found once at most.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from evaluation.arguments import natural, number, positive

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from actiondet.persons.base import Frame
    from actiondet.pipeline import VideoPipeline
    from actiondet.results import VideoResult
    from actiondet.tubes.events import Event, EventRules
    from data_tools.toy.films import Film
    from evaluation.records import FloatArray, FrameKey, PersonBoxes

SCORES = tuple(round(0.1 * step, 1) for step in range(1, 10))
GAPS, SHORTEST = (0.0, 0.5, 1.0), (0.0, 0.75, 1.0)
"""Seconds, to choose from."""
LEAST_IOU = 0.5
GLIMPSE = 0.5
"""Seconds for which a person must be hidden to end a true event, and for which one must last."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py events`."""
    parser.add_argument(
        "--weights", required=True, metavar="F", help="of a network of the toy set, as `make demo` trains"
    )
    parser.add_argument("--films", type=positive, default=16, metavar="N", help="of each of the two sets (16)")
    parser.add_argument("--seconds", type=positive, default=11, metavar="S", help="of each film (11)")
    parser.add_argument("--every", type=number, default=0.5, metavar="S", help="between key frames (0.5)")
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="of films and noise")


@dataclass(frozen=True, eq=False)
class TrueEvent:
    """A person does something for a while.

    Attributes:
        film: its name.
        action: its name.
        start, end: seconds.
        boxes: (F, 4) unit boxes of the person on every frame of the film.
    """

    film: str
    action: str
    start: float
    end: float
    boxes: FloatArray


@dataclass(frozen=True)
class Count:
    """How many events are found, true, and found rightly."""

    found: int = 0
    true: int = 0
    right: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.found + other.found, self.true + other.true, self.right + other.right)

    @property
    def precision(self) -> float:
        """The share of the found ones that are right."""
        return self.right / max(self.found, 1)

    @property
    def recall(self) -> float:
        """The share of the true ones that are found."""
        return self.right / max(self.true, 1)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.right / max(self.found + self.true, 1)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from actiondet.pipeline import VideoPipeline

    noisy = NoisyTruth(arguments.seed)
    pipeline = VideoPipeline.from_checkpoint(arguments.weights, persons=noisy, every=arguments.every)
    with TemporaryDirectory() as folder:
        sets = [look(pipeline, noisy, number, arguments, Path(folder)) for number in (0, 1)]
    total: dict[str, Count] = {}
    for (chosen_on, true_there), (reported_on, true_here) in ((sets[0], sets[1]), (sets[1], sets[0])):
        rules = choose(chosen_on, true_there)
        print(f"gap {rules.max_gap:g} s, least duration {rules.min_seconds:g} s, scores {dict(rules.of)}")
        for action, count in count_each(found_with(reported_on, rules), true_here).items():
            total[action] = total.get(action, Count()) + count
    print_table(total)


class NoisyTruth:
    """A person detector that knows the films, misses some persons, adds others and trembles."""

    def __init__(self, seed: int) -> None:
        self.films: dict[str, Film] = {}
        self._seed = seed

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        """Find the persons of each key; the frames are not looked at."""
        return [self._persons(key) for key in keys]

    def _persons(self, key: FrameKey) -> PersonBoxes:
        import numpy as np

        from data_tools.toy.ava_files import pretend_to_detect
        from data_tools.toy.scenes import RATE
        from evaluation.records import PersonBoxes

        film = self.films[key.video]
        frame = min(round(key.moment * RATE / 1_000_000), film.frames - 1)
        rng = np.random.default_rng([self._seed, 5, *film.order.seed, frame])
        boxes, scores = pretend_to_detect(rng, film.boxes[film.annotated(frame), frame])
        kept = scores >= 0.5
        return PersonBoxes(key, boxes[kept].astype(np.float32), scores[kept].astype(np.float32))


def look(
    pipeline: VideoPipeline, noisy: NoisyTruth, number: int, arguments: argparse.Namespace, folder: Path
) -> tuple[list[VideoResult], list[TrueEvent]]:
    """Film a set, and look at it."""
    from data_tools.toy.films import Order, make_film
    from evaluation.progress import ProgressBar

    results: list[VideoResult] = []
    true: list[TrueEvent] = []
    orders = [
        Order(f"events_{number}_{place}", "val", (arguments.seed, 13, number, place), arguments.seconds, (160, 120))
        for place in range(arguments.films)
    ]
    for order in ProgressBar(f"set {number + 1}", len(orders)).over(orders):
        film = noisy.films[order.name] = make_film(order, folder)
        results.append(pipeline(folder / f"{order.name}.mp4", persons_every=0.2).collect())
        true += true_events(film)
    return results, true


def true_events(film: Film) -> list[TrueEvent]:
    """Every stretch in which a person who is seen enough does one of the evaluated actions; glimpses do not count."""
    import numpy as np

    from data_tools.toy.actions import EVALUATED, TRAINED
    from data_tools.toy.render import SEEN
    from data_tools.toy.scenes import RATE

    events = []
    for person, label in np.ndindex(len(film.persons), len(EVALUATED.ids)):
        column = TRAINED.ids.index(EVALUATED.ids[label])
        goes_on = film.does[person, :, column] & (film.seen[person] >= SEEN)
        events += [
            TrueEvent(film.order.name, EVALUATED.names[label], start / RATE, end / RATE, film.boxes[person])
            for start, end in stretches(goes_on, round(GLIMPSE * RATE))
        ]
    return events


def stretches(goes_on: npt.NDArray[np.bool_], glimpse: int) -> list[tuple[int, int]]:
    """First frame of each stretch, and one past its last; gaps, and then stretches, shorter than a glimpse are not."""
    import numpy as np

    edges = np.flatnonzero(np.diff(goes_on.astype(int), prepend=0, append=0))
    inner = edges[1:-1].reshape(-1, 2)
    kept = np.repeat(inner[:, 1] - inner[:, 0] >= glimpse, 2)
    closed = np.concatenate([edges[:1], edges[1:-1][kept], edges[-1:]]).reshape(-1, 2)
    return [(start, end) for start, end in closed.tolist() if end - start >= glimpse]


def found_with(results: Sequence[VideoResult], rules: EventRules) -> list[Event]:
    """The events of some films."""
    return [event for result in results for event in result.events(rules)]


def choose(results: Sequence[VideoResult], true: Sequence[TrueEvent]) -> EventRules:
    """The rules of highest F1: the scores for each action, gap and duration for all together."""
    from actiondet.tubes.events import EventRules

    best, best_f1 = EventRules(), -1.0
    for gap in GAPS:
        for shortest in SHORTEST:
            counts = [
                count_each(found_with(results, EventRules(enter=score, max_gap=gap, min_seconds=shortest)), true)
                for score in SCORES
            ]
            of = {action: max(range(len(SCORES)), key=lambda place: counts[place][action].f1) for action in counts[0]}
            f1 = sum((counts[place][action] for action, place in of.items()), Count()).f1
            if f1 > best_f1:
                scores = {action: SCORES[place] for action, place in of.items()}
                best, best_f1 = EventRules(of=scores, max_gap=gap, min_seconds=shortest), f1
    return best


def count_each(found: Iterable[Event], true: Sequence[TrueEvent]) -> dict[str, Count]:
    """Compare events with the truth, for each action of the truth."""
    by_action: dict[str, list[Event]] = {event.action: [] for event in true}
    for event in found:
        if event.action in by_action:
            by_action[event.action].append(event)
    return {
        action: count(events, [each for each in true if each.action == action]) for action, events in by_action.items()
    }


def count(found: Sequence[Event], true: Sequence[TrueEvent]) -> Count:
    """Compare the events of one action: each, the surest first, takes the free true one of highest temporal IoU."""
    free = list(true)
    right = 0
    for event in sorted(found, key=lambda each: -each.peak):
        near = [each for each in free if agrees(event, each)]
        if near:
            free.remove(max(near, key=lambda each: temporal_iou(event, each)))
            right += 1
    return Count(len(found), len(true), right)


def agrees(event: Event, true: TrueEvent) -> bool:
    """Whether an event is this true one, in time and in space."""
    import numpy as np

    from data_tools.toy.scenes import RATE
    from evaluation.boxes import paired_iou

    if event.video != true.film or temporal_iou(event, true) < LEAST_IOU:
        return False
    frame = min(round(event.peak_at * RATE), len(true.boxes) - 1)
    return bool(paired_iou(np.array([event.box]), true.boxes[frame][None])[0] >= LEAST_IOU)


def temporal_iou(event: Event, true: TrueEvent) -> float:
    """Seconds in both over seconds in either."""
    end = event.start if event.end is None else event.end
    shared = max(0.0, min(end, true.end) - max(event.start, true.start))
    return shared / (end - event.start + true.end - true.start - shared)


def print_table(total: dict[str, Count]) -> None:
    """A line for each action, and one for all."""
    from evaluation.tables import table_text

    columns = ["action", "true", "found", "precision", "recall", "F1"]
    lines = [
        [action, each.true, each.found, *(f"{figure:.3f}" for figure in (each.precision, each.recall, each.f1))]
        for action, each in [*sorted(total.items()), ("all", sum(total.values(), Count()))]
    ]
    print("events at temporal IoU 0.5")
    print(table_text(columns, lines, numeric=columns[1:]))
