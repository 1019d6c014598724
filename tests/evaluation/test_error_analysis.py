"""Every reason for a false detection, one detection each."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.error_analysis import FRAME_REASONS, VIDEO_REASONS, frame_errors, video_errors
from evaluation.errors import InputError
from evaluation.records import Tube
from evaluation.tube_dataset import FrameDetections, TubeTruth
from evaluation.tube_set import TubeSet

SIZES = {"v": (100, 1000)}
ACTION_COLUMNS = ("id", "name", "type", "ap", "truths", "detections", "recall")
FAR = (900.0, 0.0, 1000.0, 100.0)


def box(left: float) -> tuple[float, ...]:
    return (left, 0.0, left + 100.0, 100.0)


def tube_set(*rows: tuple[int, float, int, int, tuple[float, ...]]) -> TubeSet:
    """Rows: label, score, first and last frame, box in pixels."""
    return TubeSet.from_tubes(
        (
            Tube(
                video="v",
                label=label,
                score=score,
                moments=np.arange(first, last + 1),
                boxes=np.tile(np.array(pixels) / [1000, 100, 1000, 100], (last - first + 1, 1)),
                box_scores=np.ones(last - first + 1),
            )
            for label, score, first, last, pixels in rows
        ),
        SIZES,
    )


@pytest.fixture
def truth() -> TubeTruth:
    return TubeTruth(
        labels=("run", "jump", "sit"),
        unscored=frozenset({2}),
        train_videos=(),
        test_videos=("v",),
        frame_counts={"v": 100},
        sizes=SIZES,
        tubes=tube_set((0, 1.0, 1, 21, box(0)), (1, 1.0, 1, 21, box(300))),
    )


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ((0, 0.5, 1, 21, box(0)), "repeat"),
        ((0, 0.5, 1, 21, FAR), "extra"),
        ((0, 0.5, 40, 60, box(0)), "extra"),  # no time in common
        ((0, 0.5, 1, 21, box(300)), "cls"),
        ((0, 0.5, 1, 21, box(60)), "loc"),
        ((0, 0.5, 11, 41, box(0)), "time"),
        ((0, 0.5, 11, 41, box(60)), "time+loc"),
        ((0, 0.5, 1, 21, box(360)), "cls+loc"),
        ((0, 0.5, 11, 41, box(300)), "cls+time"),
        ((0, 0.5, 11, 41, box(360)), "cls+time+loc"),
    ],
)
def test_a_false_tube_has_one_reason(truth: TubeTruth, found: tuple[int, float, int, int], reason: str) -> None:
    result = video_errors(truth, tube_set((0, 0.9, 1, 21, box(0)), found))
    assert result.result.labels.tolist() == [0, 1]
    expected = [name == reason for name in VIDEO_REASONS] + [True]
    assert result.counts.tolist() == [[int(count) for count in expected], [0] * 10]
    # One hit at recall 1 comes before: the reason has no share of the area, but half of what follows.
    assert result.ap.tolist() == [1.0, 0.0]
    assert result.missed.tolist() == [0.0, 1.0]


def test_the_share_of_a_reason_is_the_area_under_its_rate(truth: TubeTruth) -> None:
    # Extra first, then the hit: the rate of "extra" falls from 1 at recall 0 to 1/2 at recall 1.
    result = video_errors(truth, tube_set((0, 0.9, 1, 21, FAR), (0, 0.5, 1, 21, box(0))))
    assert result.ap[0] == 0.5
    assert result.shares[0, VIDEO_REASONS.index("extra")] == 0.5
    assert result.means["missed"] == 0.5
    assert result.per_class.columns.tolist() == [*ACTION_COLUMNS, *VIDEO_REASONS, "missed"]
    assert "cls+time+loc" in str(result)


def frame_rows(*rows: tuple[int, int, float, tuple[float, ...]]) -> FrameDetections:
    """Rows: frame, label, score, box."""
    return FrameDetections(
        videos=("v",),
        video=np.zeros(len(rows), np.int64),
        moments=np.array([row[0] for row in rows]),
        boxes=np.array([row[3] for row in rows]),
        labels=np.array([row[1] for row in rows]),
        scores=np.array([row[2] for row in rows]),
    )


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ((5, 0, 0.5, box(0)), "repeat"),
        ((5, 0, 0.5, FAR), "extra"),
        ((5, 0, 0.5, box(300)), "cls"),
        ((5, 0, 0.5, box(60)), "loc"),
        ((30, 0, 0.5, box(10)), "time"),
        ((30, 0, 0.5, box(300)), "extra"),  # a tube of another label has ended there
        ((5, 0, 0.5, box(360)), "cls+loc"),
        ((10**6, 0, 0.5, FAR), "extra"),
    ],
)
def test_a_false_box_has_one_reason(truth: TubeTruth, found: tuple[int, int, float], reason: str) -> None:
    result = frame_errors(truth, frame_rows((5, 0, 0.9, box(0)), found))
    assert result.counts[0].tolist() == [*(int(name == reason) for name in FRAME_REASONS), 1]
    assert result.missed[0] == pytest.approx(20 / 21)


def test_detections_of_unknown_videos_are_extra_and_told(truth: TubeTruth) -> None:
    boxes = frame_rows((5, 0, 0.9, box(0)))
    stranger = FrameDetections(
        videos=boxes.videos,
        video=np.array([3]),
        moments=boxes.moments,
        boxes=boxes.boxes,
        labels=boxes.labels,
        scores=boxes.scores,
    )
    result = frame_errors(truth, stranger)
    assert result.counts[0, FRAME_REASONS.index("extra")] == 1
    assert "not a test video" in result.result.notes[0]


def test_no_detections_miss_everything(truth: TubeTruth) -> None:
    for result in (video_errors(truth, tube_set()), frame_errors(truth, frame_rows_of_none())):
        assert result.missed.tolist() == [1.0, 1.0]
        assert result.mean_ap == 0.0


def frame_rows_of_none() -> FrameDetections:
    none = np.zeros(0, np.int64)
    return FrameDetections(
        videos=("v",), video=none, moments=none, boxes=np.zeros((0, 4)), labels=none, scores=np.zeros(0)
    )


def test_truth_of_unscored_labels_only_is_refused(truth: TubeTruth) -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="scored label"):
        video_errors(replace(truth, tubes=tube_set((2, 1.0, 1, 5, FAR))), tube_set())


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("repeat", ((0, 0.9, 1, 21, box(0)), (0, 0.95, 1, 21, box(0)), (1, 0.9, 1, 21, box(300)))),
        ("extra", ((0, 0.9, 1, 21, box(0)), (0, 0.95, 1, 21, FAR), (1, 0.9, 1, 21, box(300)))),
        ("cls", ((0, 0.9, 1, 21, box(0)), (0, 0.95, 1, 21, box(300)))),
        ("loc", ((0, 0.9, 1, 21, box(60)), (1, 0.9, 1, 21, box(300)))),
        ("time", ((0, 0.9, 11, 41, box(0)), (1, 0.9, 1, 21, box(300)))),
        ("cls+loc", ((0, 0.9, 1, 21, box(0)), (0, 0.95, 1, 21, box(360)))),
        ("missed", ((0, 0.9, 1, 21, box(0)),)),
    ],
)
def test_fixing_the_only_error_of_tubes_gives_1(
    truth: TubeTruth, kind: str, found: tuple[tuple[int, float, int, int, tuple[float, ...]], ...]
) -> None:
    result = video_errors(truth, tube_set(*found))
    counts = dict(zip(result.kinds, result.fix_columns["count"], strict=True))
    assert {name for name, count in counts.items() if count} == {kind}
    alone = dict(zip(result.kinds, result.alone.mean(axis=0), strict=True))
    assert alone.pop(kind) == pytest.approx(1.0)
    assert list(alone.values()) == pytest.approx([result.mean_ap] * len(alone))
    assert result.in_order[:, -1].tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("repeat", ((5, 0, 0.95, box(0)),)),
        ("extra", ((5, 0, 0.95, FAR),)),
        ("time", ((30, 0, 0.95, box(10)),)),
        ("cls", ((5, 0, 0.95, box(300)),)),
        ("loc", ((5, 0, 0.95, box(60)),)),
        ("cls+loc", ((5, 0, 0.95, box(360)),)),
        ("missed", ()),
    ],
)
def test_fixing_all_errors_of_boxes_gives_1(
    truth: TubeTruth, kind: str, found: tuple[tuple[int, int, float, tuple[float, ...]], ...]
) -> None:
    boxes = [(frame, 0, 0.9, box(0)) for frame in range(1, 22)] + [(frame, 1, 0.9, box(300)) for frame in range(1, 22)]
    result = frame_errors(truth, frame_rows(*(boxes[:-1] if kind == "missed" else boxes), *found))
    counts = dict(zip(result.kinds, result.fix_columns["count"], strict=True))
    assert {name for name, count in counts.items() if count} == {kind}
    assert result.mean_ap < 1
    assert result.alone.mean(axis=0)[result.kinds.index(kind)] == pytest.approx(1.0)
    assert result.in_order[:, -1].tolist() == pytest.approx([1.0, 1.0])
