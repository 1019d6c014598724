"""Events by tables: scores of key frames a second apart, and what comes of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from actiondet.tubes.events import Event, EventFinder, EventRules
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FrameKey

ACTIONS = ActionList((1, 3), ("walk", "fall"), (None, None))  # column 1 belongs to id 2, which has no name
Scores = Sequence[float | None]


def events(falls: Scores, rules: EventRules, *, begins: bool = False, step: float = 1.0) -> list[Event]:
    """Events of a person whose scores of "fall" are these, one a step from 0 s on; None: the person is not seen."""
    finder = EventFinder(ACTIONS, rules, step=step, begins=begins)
    found = []
    for place, score in enumerate(falls):
        seen = score is not None
        detections = ActionDetections(
            FrameKey("street", round(place * step * 1e6)),
            np.array([[0, 0, 0.1 * place, 1]] * seen).reshape(-1, 4),
            np.ones(int(seen)),
            np.array([[0, 0.9, score]] * seen, dtype=np.float64).reshape(-1, 3),
        )
        found += finder.update(detections, np.full(int(seen), 7))
    return found + finder.finish()


def spans(falls: Scores, rules: EventRules) -> list[tuple[float, float | None]]:
    return [(event.start, event.end) for event in events(falls, rules)]


@pytest.mark.parametrize(
    ("falls", "expected"),
    [
        ([0, 0, 0], []),
        ([0.49, 0.49], []),
        ([0, 0.5, 0, 0, 0], [(0.5, 1.5)]),
        ([0.9, 0.9], [(0, 1.5)]),  # a video begins at 0
        ([0, 0.4, 0.6, 0.4, 0.3, 0, 0], [(1.5, 3.5)]),  # begins at `enter`, goes on down to 0.35
        ([0, 0.6, 0, 0.6, 0], [(0.5, 3.5)]),  # a gap of one second is closed
        ([0, 0.6, None, 0.6, 0], [(0.5, 3.5)]),  # so is a second in which the person is not seen
        ([0, 0.6, 0, 0, 0.6, 0], [(0.5, 1.5), (3.5, 4.5)]),
    ],
)
def test_events_begin_and_end_at_two_thresholds(falls: Scores, expected: list[tuple[float, float]]) -> None:
    assert spans(falls, EventRules(enter=0.5, leave=0.7, max_gap=1)) == expected


def test_short_events_are_dropped_and_gaps_can_be_left_open() -> None:
    falls = [0, 0.6, 0, 0.6, 0.6, 0]
    assert spans(falls, EventRules(max_gap=0)) == [(0.5, 1.5), (2.5, 4.5)]
    assert spans(falls, EventRules(max_gap=0, min_seconds=2)) == [(2.5, 4.5)]


def test_an_event_says_who_and_how_sure() -> None:
    (event,) = events([0, 0.5, 0.75, 0.55], EventRules())
    assert (event.video, event.person, event.action) == ("street", 7, "fall")
    assert event.peak == 0.75
    assert event.mean == pytest.approx(0.6)
    assert event.peak_at == 2
    assert event.box == pytest.approx((0, 0, 0.2, 1))


def test_begins_are_reported_once_they_last_long_enough() -> None:
    found = events([0, 0.6, 0.6, 0.8, 0, 0], EventRules(min_seconds=2, max_gap=0), begins=True)
    assert [(event.start, event.end, event.peak) for event in found] == [(0.5, None, 0.6), (0.5, 3.5, 0.8)]


def test_the_step_decides_how_long_a_key_frame_counts() -> None:
    (event,) = events([0, 0.6, 0.6, 0, 0, 0, 0, 0, 0], EventRules(max_gap=0.5), step=0.25)
    assert (event.start, event.end) == (0.125, 0.625)


def test_actions_may_have_thresholds_of_their_own() -> None:
    assert spans([0, 0.3, 0], EventRules(of={"fall": 0.2})) == [(0.5, 1.5)]
    with pytest.raises(InputError, match=r"event threshold of 'jump': the network does not know this action"):
        EventFinder(ACTIONS, EventRules(of={"jump": 0.2}), step=1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"enter": 0.0}, r"enter=0: expected a score above 0, up to 1"),
        ({"enter": float("nan")}, r"enter=nan: expected a score"),
        ({"of": {"fall": 2.0}}, r"fall=2: expected a score"),
        ({"leave": 1.5}, r"leave=1\.5: expected a share"),
        ({"max_gap": -1.0}, r"max_gap=-1: expected 0 or more seconds"),
    ],
)
def test_rules_out_of_range_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EventRules(**wrong)  # type: ignore[arg-type]


def test_two_persons_and_two_actions_are_four_stories() -> None:
    finder = EventFinder(ACTIONS, EventRules(max_gap=0), step=1)
    scores = np.array([[0.9, 0, 0.8], [0.1, 0, 0.7]])
    for second in (0, 1):
        detections = ActionDetections(FrameKey("v", second * 1_000_000), np.zeros((2, 4)), np.ones(2), scores)
        assert finder.update(detections, np.array([0, 1])) == []
    assert {(event.person, event.action) for event in finder.finish()} == {(0, "walk"), (0, "fall"), (1, "fall")}
