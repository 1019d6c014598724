"""Tubes of persons who are followed carry the persons' numbers."""

from __future__ import annotations

import numpy as np

from actiondet.tubes.followed import followed_tubes
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FrameKey

ACTIONS = ActionList((1, 3), ("walk", "wave"), (None, None))


def moment(second: int, scores: list[list[float]]) -> ActionDetections:
    """Persons side by side, each in a box that tells the second and the place."""
    boxes = np.array([[0.1 * place, 0.01 * second, 0.1 * place + 0.1, 1] for place in range(len(scores))])
    table = np.array(scores, dtype=np.float32).reshape(-1, 3)
    key = FrameKey("v", second * 1_000_000)
    return ActionDetections(key, boxes.reshape(-1, 4).astype(np.float32), np.ones(len(scores), np.float32), table)


def test_a_tube_holds_what_one_person_does_at_neighboring_moments() -> None:
    found = [
        moment(1, [[0.75, 0.99, 0.1], [0.2, 0.99, 0.5]]),
        moment(2, [[0.1, 0.99, 1.0], [0.25, 0.99, 0.1]]),  # the persons have changed places
        moment(3, []),
        moment(4, [[0.1, 0.99, 0.75]]),
    ]
    identities = [np.array([0, 7]), np.array([7, 0]), np.zeros(0, np.int64), np.array([7])]
    tubes = followed_tubes(found, identities, actions=ACTIONS, threshold=0.5)
    said = [(tube.person, tube.label, (tube.moments // 1_000_000).tolist(), tube.score) for tube in tubes]
    assert said == [(0, 1, [1], 0.75), (7, 3, [1, 2], 0.75), (7, 3, [4], 0.75)]
    assert tubes[1].boxes[:, :2].tolist() == np.float32([[0.1, 0.01], [0.0, 0.02]]).tolist()
    assert tubes[1].box_scores.tolist() == [0.5, 1.0]
    assert followed_tubes(found, identities, actions=ACTIONS, threshold=1.1) == []
