"""The public `link`: dense detections or rows in, tubes with unit boxes out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from actiondet.tubes import linking
from actiondet.tubes.linking import link, link_frames
from actiondet.tubes.options import PRESETS, LinkOptions, named
from evaluation.errors import InputError
from evaluation.records import ActionDetections, FrameKey
from evaluation.tube_dataset import FrameDetections

SECOND = 1_000_000


def walking(video: str, moments: list[int], scores: list[float]) -> Iterator[ActionDetections]:
    """One person in the same place; columns: the scores, and an action that nobody does."""
    for moment, score in zip(moments, scores, strict=True):
        yield ActionDetections(
            key=FrameKey(video, moment),
            boxes=np.array([[0.25, 0.25, 0.5, 0.75]], dtype=np.float32),
            person_scores=np.ones(1, dtype=np.float32),
            action_scores=np.array([[score, 0.001]], dtype=np.float32),
        )


def test_one_person_makes_one_tube() -> None:
    moments = [902 * SECOND + i * SECOND for i in range(6)]
    (tube,) = link(walking("v", moments, [0.5] * 6), "keyframes")
    assert (tube.video, tube.label) == ("v", 1)
    assert tube.moments.tolist() == moments
    np.testing.assert_allclose(tube.boxes, np.tile([0.25, 0.25, 0.5, 0.75], (6, 1)))
    assert tube.score == pytest.approx(0.5 * 6 / 7)


def test_labels_start_where_the_data_set_starts() -> None:
    (tube,) = link(walking("v", [1, 2, 3], [0.5] * 3), first_label=0)
    assert tube.label == 0


def test_a_step_is_the_usual_distance_of_moments() -> None:
    # 8 frames of 29.97 fps, rounded to microseconds; one moment is missing and is interpolated.
    moments = [round(i * 8 * 1001 / 30000 * SECOND) for i in range(7)]
    (tube,) = link(walking("v", moments[:3] + moments[4:], [0.5] * 6), "keyframes")
    assert len(tube) == 7
    assert abs(int(tube.moments[3]) - moments[3]) <= 1


def test_a_given_step_says_what_a_gap_is() -> None:
    assert len(link(walking("v", [0, 3, 6, 9], [0.5] * 4), LinkOptions(max_gap=1, min_length=1))) == 1
    assert len(link(walking("v", [0, 3, 6, 9], [0.5] * 4), LinkOptions(max_gap=1, min_length=1), step=1)) == 4


def test_moments_without_anybody_are_moments() -> None:
    nobody = ActionDetections(FrameKey("v", 0), np.zeros((0, 4)), np.zeros(0), np.zeros((0, 1)))
    seconds = np.arange(0, 61, 1) * SECOND
    seen = {detections.key.moment: detections for detections in walking("v", seconds[::20].tolist(), [0.5] * 4)}
    found = [seen.get(moment) or replace(nobody, key=FrameKey("v", moment)) for moment in seconds.tolist()]
    assert [tube.moments.tolist() for tube in link(found, "keyframes")] == [[moment] for moment in seconds[::20]]


def test_moments_may_come_in_any_order_within_a_video() -> None:
    items = list(walking("v", [1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4]))
    ordered, shuffled = link(items), link([items[k] for k in (2, 0, 3, 1)])
    np.testing.assert_allclose(ordered[0].box_scores, shuffled[0].box_scores)


def test_a_video_that_comes_back_is_refused() -> None:
    items = [*walking("v", [1], [0.5]), *walking("w", [1], [0.5]), *walking("v", [2], [0.5])]
    with pytest.raises(ValueError, match="video v come back"):
        link(items)


def test_batches_of_videos_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [item for video in "abcde" for item in walking(video, list(range(1, 9)), [0.5] * 8)]
    whole = link(items)
    monkeypatch.setattr(linking, "_ROWS_AT_ONCE", 10)
    some = link(items)
    assert [(tube.video, tube.score) for tube in whole] == [(tube.video, tube.score) for tube in some]
    assert [tube.video for tube in some] == list("abcde")


def test_batches_are_whole_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "_ROWS_AT_ONCE", 5)
    video = np.array([2, 0, 0, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 4])
    batches = [video[rows].tolist() for rows in linking._batches(video)]
    assert batches == [[0, 0, 1, 1, 1], [2, 2], [3] * 6, [4]]


def test_batches_of_labels_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = 400
    low = rng.uniform(0, 50, (rows, 2))
    found = FrameDetections(
        videos=("a", "b"),
        video=rng.integers(0, 2, rows),
        moments=rng.integers(1, 20, rows),
        boxes=np.concatenate([low, low + 20], axis=1).astype(np.float32),
        labels=rng.integers(0, 3, rows),
        scores=rng.random(rows).astype(np.float32),
    )
    whole = link_frames(found)
    assert len(whole) > 20
    assert whole.moments.dtype == np.int32
    monkeypatch.setattr(linking, "_ROWS_AT_ONCE", 10)
    some = link_frames(found)
    for name in ("video", "labels", "scores", "offsets", "moments", "boxes", "box_scores"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name))


def test_no_detections_make_no_tubes() -> None:
    assert link([]) == []
    assert link(walking("v", [1, 2], [0.0, 0.0])) == []


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(InputError, match="expected one of default, keyframes, mmaction2"):
        link([], "yolo")  # type: ignore[arg-type]


def test_pixel_corners_need_sizes() -> None:
    with pytest.raises(ValueError, match="give `sizes`"):
        link([], "mmaction2")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"link_iou": 0.0}, "do not touch"),
        ({"link_iou": 1.5}, "link_iou is 1.5; expected a number from 0 to 1"),
        ({"trim": -0.1}, "trim is -0.1"),
        ({"smooth": 4}, "odd number of steps"),
        ({"max_gap": -1}, "expected 0 or more"),
        ({"min_length": 0}, "expected 1 or more"),
    ],
)
def test_options_are_checked_at_birth(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LinkOptions(**wrong)  # type: ignore[arg-type]


def test_presets_are_named() -> None:
    assert named("default") == LinkOptions()
    assert named(LinkOptions(trim=0)) == LinkOptions(trim=0)
    assert list(PRESETS) == ["default", "keyframes", "mmaction2"]


def test_linking_needs_no_torch() -> None:
    code = "import sys, actiondet.tubes.linking; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
