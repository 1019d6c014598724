"""Key frames wait until what happens after them is known, and score as with the bank of the whole video."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from actiondet.datasets.feature_bank import BankWindow, BoolArray, HalfArray
from actiondet.recall import Recall, Vectors
from evaluation.records import FloatArray

SECOND = 1_000_000
NOBODY = np.zeros((0, 4), np.float32)


class Echo:
    """Scores that are what was remembered; each clip holds its second, which is its feature."""

    def __init__(self, window: BankWindow) -> None:
        self.window, self.channels = window, 1

    def features(self, clips: Sequence[np.ndarray], boxes: Sequence[FloatArray]) -> list[HalfArray]:
        return [np.full((len(each), 1), clip.max(), np.float16) for clip, each in zip(clips[0], boxes, strict=True)]

    def vectors(self, clips: np.ndarray, boxes: Sequence[FloatArray]) -> list[Vectors]:
        return [np.zeros((1, len(each), 1), np.float32) for each in boxes]

    def score_vectors(self, vectors: Vectors, features: HalfArray, filled: BoolArray) -> FloatArray:
        remembered = features[:, 0][filled].astype(np.float32)
        return np.tile(np.pad(remembered, (0, 9 - len(remembered))), (vectors.shape[1], 1))


def run(recall: Recall[int], seconds: int, *, empty: Sequence[int] = ()) -> tuple[dict[int, list[float]], list[int]]:
    """What each second remembers, and how many seconds wait after each."""
    known: dict[int, list[float]] = {}
    waiting = []
    for second in range(seconds):
        boxes = NOBODY if second in empty else np.zeros((1, 4), np.float32)
        clip = np.full((1, 2, 2, 3), second, np.uint8)
        done = recall.take([second], [second * SECOND], [[clip]], [boxes], [np.ones(len(boxes), np.float32)])
        known |= {moment: [] if scores is None else scores[0].tolist() for moment, scores in done}
        waiting.append(second + 1 - len(known))
    known |= {moment: [] if scores is None else scores[0].tolist() for moment, scores in recall.finish()}
    return known, waiting


def padded(*seconds: int) -> list[float]:
    return [float(second) for second in seconds] + [0.0] * (9 - len(seconds))


def test_a_key_frame_waits_for_its_window_and_no_longer() -> None:
    known, waiting = run(Recall(Echo(BankWindow(window=5, persons=1)), waits=True), 8, empty=[3])
    assert known[4] == padded(2, 4, 5, 6)  # seconds 2 to 6, of which 3 has nobody
    assert known[0] == padded(0, 1, 2)
    assert known[7] == padded(5, 6, 7)  # the video ends
    assert known[3] == []
    assert list(known) == list(range(8))
    assert max(waiting) == 3


def test_live_sources_wait_for_nothing() -> None:
    known, waiting = run(Recall(Echo(BankWindow(window=5, persons=1)), waits=False), 8)
    assert known[4] == padded(2, 3, 4)
    assert set(waiting) == {0}


def test_the_past_alone_is_remembered_where_the_network_asks_for_it() -> None:
    known, _ = run(Recall(Echo(BankWindow(window=3, persons=1, reach="past")), waits=True), 6)
    assert known[4] == padded(2, 3, 4)


@pytest.mark.parametrize("waits", [True, False])
def test_memory_does_not_grow_with_the_video(waits: bool) -> None:
    recall: Recall[int] = Recall(Echo(BankWindow(window=6, persons=1)), waits=waits)
    run(recall, 50)
    assert 0 < recall.bytes <= 8 * (8 + 4 + 2)  # a time, a score and a feature of each second
