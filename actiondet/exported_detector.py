"""An exported detector as the pipeline's scorer: onnxruntime, numpy and OpenCV, no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actiondet.config import DetectionConfig
from actiondet.exported import OnnxNetwork
from actiondet.video.clip_stream import Clip, Frame
from actiondet.video.scaling import scaled_image
from evaluation.errors import InputError, some
from evaluation.formats.action_list import ActionList
from evaluation.records import FloatArray, check_finite


class OnnxScorer:
    """Scores the actions of given persons; see `actiondet.pipeline.Scorer`.

    Args:
        network: a detector.

    Raises:
        InputError: the file holds a recognizer, or a detector that is tested at several sizes: the file has one.
    """

    caption = ""

    def __init__(self, network: OnnxNetwork) -> None:
        config = network.config
        if not isinstance(config, DetectionConfig):
            raise InputError(f"{network.path}: holds a recognizer, which finds no persons; expected a detector")
        if config.model.bank is not None:
            raise InputError(
                f"{network.path}: the detector has a feature bank, which takes two networks; look at videos with "
                "--weights and --bank, or call OnnxNetwork yourself"
            )
        self._short_side = config.transform.test_short_side
        if config.test_short_sides != (self._short_side,):
            raise InputError(
                f"{network.path}: its configuration tests at the short sides {list(config.test_short_sides)}, but an "
                f"exported detector sees {self._short_side} pixels alone; export it with test.short_sides=null"
            )
        self.config = config
        self.actions = ActionList(network.ids, network.names, (None,) * len(network.ids), network.columns)
        self.follows_tracks = network.follows_tracks
        self.about = (
            f"{network.path}, {len(self.actions)} actions ({some(self.actions.names, 4)}), by "
            f"{' and '.join(network.providers)}; in videos unlike those it was trained on, labels are guesses"
        )
        self._network = network

    def resize(self, frame: Frame) -> tuple[Frame, ...]:
        """A frame at the size that the network scales all frames to, which it then leaves as they are."""
        return (scaled_image(frame, self._short_side),)

    def score(self, clips: Clip, boxes: Sequence[FloatArray]) -> list[FloatArray]:
        """Score the boxes of some clips; see `actiondet.pipeline.Scorer`."""
        counts = [len(each) for each in boxes]
        clip_of_box = np.repeat(np.arange(len(clips), dtype=np.int64), counts)
        together = np.concatenate(boxes).astype(np.float32)
        scores = self._network(clips, together, clip_of_box)
        if self.config.test.flip:
            mirrored = together[..., [2, 1, 0, 3]] * np.array([-1, 1, -1, 1], np.float32) + np.array(
                [1, 0, 1, 0], np.float32
            )
            flipped = self._network(np.ascontiguousarray(clips[..., ::-1, :]), mirrored, clip_of_box)
            scores = np.asarray((scores + flipped) / 2, np.float32)
        check_finite(scores)
        return np.split(scores, np.cumsum(counts)[:-1])
