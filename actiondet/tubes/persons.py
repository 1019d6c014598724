"""The persons of a set of tubes: tubes of several actions that lie on each other, or go on where one ends."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from actiondet.tubes.tracking import track_persons
from evaluation.boxes import pixel_to_unit
from evaluation.records import ActionDetections, FrameKey, IntArray, PersonBoxes
from evaluation.tube_iou import paired_tube_iou
from evaluation.tube_set import TubeSet

SAME_PERSON_IOU = 0.5
"""Mean overlap, over the frames that two tubes share, from which on they are one person."""
MAX_GAP = 15
"""Frames without a tube after which a person may still be the same one."""


def same_persons(tubes: TubeSet, *, min_iou: float = SAME_PERSON_IOU) -> IntArray:
    """Number the persons of some tubes of one video.

    Returns:
        (N,) numbers from 0, in the order in which persons appear among the tubes.
    """
    count = len(tubes)
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    one, other = np.triu_indices(count, k=1)
    near = paired_tube_iou(tubes, one, tubes, other).spatial >= min_iou if len(one) else np.zeros(0, dtype=np.bool_)
    links = coo_array((np.ones(int(near.sum())), (one[near], other[near])), shape=(count, count))
    groups = connected_components(links, directed=False)[1]
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    numbers: IntArray = np.argsort(np.argsort(first)).astype(np.int64)[group]
    return numbers


class TubePersons:
    """Who does what at any time of one video, after a set of tubes."""

    def __init__(
        self, tubes: TubeSet, video: str, *, size: tuple[int, int], frame_times: IntArray, num_actions: int
    ) -> None:
        """Sort the boxes of one video by frame.

        Args:
            tubes: in pixels; frames are numbered from 1.
            video: its name among them; one without a tube shows nobody.
            size: (height, width) of its frames in pixels.
            frame_times: (F,) when its frames are shown, in microseconds, rising.
            num_actions: columns of the scores; column c is the label c.
        """
        place = tubes.videos.index(video) if video in tubes.videos else -1
        self._tubes = tubes.take(np.flatnonzero(tubes.video == place))
        self._video, self._size, self._frame_times, self._num_actions = video, size, frame_times, num_actions
        self._groups = same_persons(self._tubes)
        self._order = np.argsort(self._tubes.moments, kind="stable")
        self._moments = self._tubes.moments[self._order]
        self._tube_of_box = np.repeat(np.arange(len(self._tubes)), self._tubes.lengths)
        self._first = int(self._moments[0]) if len(self._moments) else 1
        last = int(self._moments[-1]) if len(self._moments) else 0
        shown = [self._detections(frame) for frame in range(self._first, last + 1)]
        found = [PersonBoxes(each.key, each.boxes, each.person_scores) for each in shown]
        # One who does something else now is in another tube, and yet the same.
        self._identities = track_persons(found, max_gap=MAX_GAP)

    def __len__(self) -> int:
        """How many tubes the video has."""
        return len(self._tubes)

    @property
    def persons(self) -> int:
        """How many persons there are."""
        return max((int(each.max(initial=-1)) for each in self._identities), default=-1) + 1

    def at(self, time: int) -> tuple[ActionDetections, IntArray]:
        """The persons of the frame that is shown at `time` (microseconds), and their (P,) identities from 0.

        A person has the box and, as a person, the score of his best tube; each action has the score of its tube.
        """
        frame = int(np.searchsorted(self._frame_times, time, side="right"))
        place = frame - self._first
        within = 0 <= place < len(self._identities)
        return self._detections(frame), self._identities[place] if within else np.zeros(0, dtype=np.int64)

    def _detections(self, frame: int) -> ActionDetections:
        """The persons of a frame."""
        boxes = self._order[slice(*np.searchsorted(self._moments, [frame, frame + 1]))]
        tubes = self._tube_of_box[boxes]
        best_first = np.argsort(-self._tubes.scores[tubes], kind="stable")
        boxes, tubes = boxes[best_first], tubes[best_first]
        groups, first, person = np.unique(self._groups[tubes], return_index=True, return_inverse=True)
        scores = np.zeros((len(groups), self._num_actions), dtype=np.float32)
        np.maximum.at(scores, (person, self._tubes.labels[tubes]), self._tubes.scores[tubes].astype(np.float32))
        height, width = self._size
        unit_boxes = pixel_to_unit(self._tubes.boxes[boxes[first]].astype(np.float32), width, height)
        person_scores = self._tubes.scores[tubes[first]].astype(np.float32)
        return ActionDetections(FrameKey(self._video, frame), unit_boxes, person_scores, scores)
