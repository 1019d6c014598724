"""Which mistakes a page shows: the kinds that cost most first, the highest scores, few of one action."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation import (
    ActionList,
    DetectionRows,
    FrameDetections,
    FrameKey,
    InputError,
    TruthRows,
    TubeSet,
    TubeTruth,
    find_errors,
)
from evaluation.mistakes import Mistake, worst_mistakes

ACTIONS = ActionList((1, 2, 3), ("sit", "run", "eat"), (None, None, None))
P, Q, FAR = (0.1, 0.1, 0.3, 0.5), (0.6, 0.1, 0.8, 0.5), (0.4, 0.6, 0.5, 0.9)
TRUTH = TruthRows.from_arrays(video="v", time=[1, 1, 2], boxes=[P, Q, P], labels=[1, 2, 3])


def shown(
    *rows: tuple[float, tuple[float, ...], int, float], truth: TruthRows = TRUTH, each: int = 12
) -> list[Mistake]:
    """The mistakes of rows of time, box, label and score."""
    time, boxes, labels, scores = zip(*rows, strict=True)
    found = DetectionRows.from_arrays(video="v", time=time, boxes=boxes, labels=labels, scores=scores)
    return worst_mistakes(find_errors(truth, found, actions=ACTIONS), truth, found, each=each)


def test_a_false_box_has_its_moment_and_the_truth_that_it_was_meant_for() -> None:
    mistakes = {mistake.kind: mistake for mistake in shown((1, P, 2, 0.9), (2, FAR, 1, 0.8))}
    confused = mistakes["confused_action"]
    assert (confused.action, confused.score, confused.key) == ("run", 0.9, FrameKey("v", 1_000_000))
    assert confused.found.tolist() == confused.truth.tolist() == list(P)
    assert confused.truth_action == "sit"
    background = mistakes["background"]
    assert (background.key, background.truth, background.truth_action) == (FrameKey("v", 2_000_000), None, "")
    missed = mistakes["missed_person"]
    assert (missed.score, missed.found) == (None, None)
    assert missed.truth_action == missed.action


def test_high_scores_come_first_and_one_action_does_not_fill_the_page() -> None:
    rows = [(time, FAR, label, score) for time, label, score in ((1, 1, 0.5), (2, 1, 0.9), (3, 1, 0.8), (4, 2, 0.1))]
    truth = TruthRows.from_arrays(video="v", time=[1, 2, 3, 4], boxes=[P] * 4, labels=[1, 1, 1, 2])
    false = [mistake for mistake in shown(*rows, truth=truth) if mistake.score is not None]
    assert [(mistake.action, mistake.score) for mistake in false] == [("sit", 0.9), ("sit", 0.8), ("run", 0.1)]
    assert len([each for each in shown(*rows, truth=truth, each=1) if each.score is not None]) == 1


def test_the_kind_that_costs_most_comes_first() -> None:
    mistakes = shown((1, P, 1, 0.9), (1, FAR, 2, 0.01), (2, FAR, 1, 0.02))
    breakdown_order = [mistake.kind for mistake in mistakes]
    assert breakdown_order[0] == "missed_person"
    assert breakdown_order.count("background") == 2


def tubes(label: list[int], left: float = 0, videos: tuple[str, ...] = ("v", "w")) -> TubeSet:
    video, frame = [name for name in videos for _ in range(4)], [1, 2, 3, 4] * len(videos)
    boxes = [[left, 0, left + 100, 100]] * len(frame)
    return TubeSet.from_arrays(video=video, tube=0, frame=frame, boxes=boxes, labels=np.repeat(label, 4), scores=0.5)


TUBE_TRUTH = TubeTruth.from_tubes(tubes([0, 1]), labels=["run", "jump"], sizes={"v": (100, 200), "w": (100, 200)})


def test_a_tube_is_shown_in_its_middle_in_unit_boxes() -> None:
    found = tubes([1, 1, 1], videos=("v", "w", "strange"))
    mistakes = worst_mistakes(find_errors(TUBE_TRUTH, found), TUBE_TRUTH, found)
    assert [(each.kind, each.action, each.key, each.truth_action) for each in mistakes] == [
        ("cls", "jump", FrameKey("v", 3), "run")
    ]  # nothing is known of the strange video's size
    assert mistakes[0].found.tolist() == [0, 0, 0.5, 1]


def test_boxes_of_frames_of_tubes_are_shown_at_their_frame() -> None:
    found = FrameDetections.from_arrays(
        TUBE_TRUTH, video=["v", "x"], frame=[2, 1], boxes=[[0, 0, 100, 100]] * 2, labels=1, scores=0.9
    )
    mistakes = worst_mistakes(find_errors(TUBE_TRUTH, found), TUBE_TRUTH, found)
    assert [(each.kind, each.key) for each in mistakes if each.score] == [("cls", FrameKey("v", 2))]
    assert {each.kind for each in mistakes if each.score is None} == {"missed"}
    with pytest.raises(InputError, match="do not belong together"):
        worst_mistakes(find_errors(TUBE_TRUTH, found), TUBE_TRUTH, TRUTH)
