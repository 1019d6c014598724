"""From scores at key frames to events: which person does what, from when to when (numpy only)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from evaluation.errors import InputError
from evaluation.files import read_text
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FloatArray, IntArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class EventRules:
    """When an action of a person is an event.

    Attributes:
        enter: score at which an event begins.
        leave: an event goes on while the score is at least this share of `enter`.
        of: `enter` of single actions, by name.
        min_seconds: shorter events are dropped.
        max_gap: seconds for which a person may be missing, or the score too low, within one event.

    Raises:
        InputError: a number out of range.
    """

    enter: float = 0.5
    leave: float = 0.7
    of: Mapping[str, float] = field(default_factory=dict)
    min_seconds: float = 0.0
    max_gap: float = 1.0

    def __post_init__(self) -> None:
        for name, score in [("enter", self.enter), *self.of.items()]:
            if not 0 < score <= 1:
                raise InputError(f"event threshold {name}={score:g}: expected a score above 0, up to 1")
        if not 0 < self.leave <= 1:
            raise InputError(f"leave={self.leave:g}: expected a share above 0, up to 1")
        if not (self.min_seconds >= 0 and self.max_gap >= 0):
            raise InputError(
                f"min_seconds={self.min_seconds:g} and max_gap={self.max_gap:g}: expected 0 or more seconds"
            )

    @property
    def lowest(self) -> float:
        """The lowest score at which an event of any action begins."""
        return min(self.enter, *self.of.values()) if self.of else self.enter

    def thresholds(self, actions: ActionList) -> FloatArray:
        """(C,) the score at which each action of a list begins.

        Raises:
            InputError: a threshold of an action that the list does not have.
        """
        unknown = sorted(set(self.of) - set(actions.names))
        if unknown:
            raise InputError(f"event threshold of '{unknown[0]}': the network does not know this action")
        return np.array([self.of.get(name, self.enter) for name in actions.names])


def read_thresholds(path: str | os.PathLike[str]) -> dict[str, float]:
    """Read thresholds of single actions: a JSON file `{"name": score, ...}`.

    Raises:
        InputError: the file is missing or holds something else.
    """
    name = os.fspath(path)
    try:
        content = json.loads(read_text(name))
    except FileNotFoundError:
        raise InputError(f"{name}: no such file of thresholds") from None
    except ValueError as fault:
        raise InputError(f'{name}: not a JSON file ({fault}); expected {{"action": score, ...}}') from None
    if not isinstance(content, dict) or not all(isinstance(each, (int, float)) for each in content.values()):
        raise InputError(f'{name}: expected {{"action": score, ...}} with a number for each action')
    return {str(action): float(score) for action, score in content.items()}


@dataclass(frozen=True)
class Event:
    """One person does one thing for a while.

    A key frame stands for the time from half a step before it to half a step after it.

    Attributes:
        video: name of the source.
        person: identity, from 0.
        action: name.
        start, end: seconds; `end` is None while the event goes on.
        peak, mean: largest and mean score of its key frames.
        peak_at: seconds of the largest score.
        box: unit box of the person at that time.
    """

    video: str
    person: int
    action: str
    start: float
    end: float | None
    peak: float
    mean: float
    peak_at: float
    box: Box


class EventFinder:
    """Finds events while key frames arrive, in memory that does not grow with their number.

    Example:
        >>> finder = EventFinder(actions, EventRules(enter=0.6), step=1.0)  # doctest: +SKIP
        >>> for detections, identities in key_frames:  # doctest: +SKIP
        ...     for event in finder.update(detections, identities):
        ...         print(event.person, event.action, event.start, event.end)
    """

    def __init__(
        self, actions: ActionList, rules: EventRules, *, step: float, start: float = 0.0, begins: bool = False
    ) -> None:
        """Start without events.

        Args:
            actions: ids and names.
            rules: when an action is an event.
            step: seconds between key frames.
            start: seconds on the clock of the detections at which the video begins; events count from there.
            begins: also report an event when it begins, with `end` None.
        """
        self._actions, self._rules, self._begins = actions, rules, begins
        self._columns = actions.columns
        self._enter = rules.thresholds(actions)
        self._half, self._start = step / 2, start
        self._running: dict[tuple[int, int], _Run] = {}

    def update(self, detections: ActionDetections, identities: IntArray) -> list[Event]:
        """Take the persons of the next key frame.

        Args:
            detections: of P persons.
            identities: (P,) the same number while a person is followed.

        Returns:
            events that have ended, and those that begin if these are wanted; by their start.
        """
        now = detections.key.moment / 1e6 - self._start
        found = self._ended(now - self._half)
        scores = detections.action_scores[:, self._columns]
        for row, place in np.argwhere(scores >= self._enter * self._rules.leave).tolist():
            score, identity = float(scores[row, place]), int(identities[row])
            run = self._running.get((identity, place))
            if run is None:
                if score < self._enter[place]:
                    continue
                run = self._running[identity, place] = _Run(detections.key.video, max(0.0, now - self._half))
            run.add(now, score, detections.boxes[row])
            if self._begins and not run.reported and self._lasts(run):
                run.reported = True
                found.append(self._event(identity, place, run, ended=False))
        return sorted(found, key=lambda event: (event.start, event.person, event.action))

    def finish(self) -> list[Event]:
        """The events that go on when the video ends."""
        return self._ended(float("inf"))

    def _ended(self, now: float) -> list[Event]:
        """Take away the events that nothing continues; `now` is when the next key frame begins to count."""
        over = [
            each for each, run in self._running.items() if now - (run.last + self._half) > self._rules.max_gap + 1e-6
        ]
        runs = [(each, self._running.pop(each)) for each in over]
        events = [self._event(*each, run, ended=True) for each, run in runs if self._lasts(run)]
        return sorted(events, key=lambda event: (event.start, event.person, event.action))

    def _lasts(self, run: _Run) -> bool:
        return run.last + self._half - run.start >= self._rules.min_seconds - 1e-6

    def _event(self, identity: int, place: int, run: _Run, *, ended: bool) -> Event:
        return Event(
            video=run.video,
            person=identity,
            action=self._actions.names[place],
            start=run.start,
            end=run.last + self._half if ended else None,
            peak=run.peak,
            mean=run.total / run.count,
            peak_at=run.peak_at,
            box=run.box,
        )


class _Run:
    """An event that goes on."""

    def __init__(self, video: str, start: float) -> None:
        self.video, self.start = video, start
        self.last = self.peak_at = start
        self.peak, self.total, self.count = 0.0, 0.0, 0
        self.box: Box = (0.0, 0.0, 0.0, 0.0)
        self.reported = False

    def add(self, now: float, score: float, box: FloatArray) -> None:
        self.last = now
        self.total += score
        self.count += 1
        if score > self.peak:
            x1, y1, x2, y2 = box.tolist()
            self.peak, self.peak_at, self.box = score, now, (x1, y1, x2, y2)
