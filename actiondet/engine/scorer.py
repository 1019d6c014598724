"""A detector in torch as the pipeline's scorer."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from actiondet.config import DetectionConfig
from actiondet.data.resized_frames import resized_images
from actiondet.engine.loading import TrainedDetector
from actiondet.engine.predict import Scoring
from actiondet.models.detector import ActionDetector
from actiondet.models.inference import optimize_for_inference
from actiondet.video.clip_stream import Clip, Frame
from evaluation.boxes import unit_to_pixel
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.records import FloatArray


class TorchScorer:
    """Scores the actions of given persons; see `actiondet.pipeline.Scorer`.

    Args:
        config: what the detector was trained as: its clips, the size of its frames, its kind of labels.
        detector: a faster copy of it does the work, it stays as it is.
        actions: ids and names of the actions.
        device: where the network runs.
        caption: of drawn frames, such as that labels mean nothing; empty for none.
        about: what the network is, for those who read results.
    """

    def __init__(
        self,
        config: DetectionConfig,
        detector: ActionDetector,
        actions: ActionList,
        *,
        device: torch.device | str = "cpu",
        caption: str = "",
        about: str = "",
    ) -> None:
        if detector.head.bank is not None:
            raise InputError(
                "the network has a feature bank, which no program fills for a new video yet; test it with "
                "`actiondet test-det`, or take a network without"
            )
        self.config, self.actions = config, actions
        self.caption, self.about = caption, about
        self.follows_tracks = detector.head.follows_tracks
        self._detector = optimize_for_inference(detector).to(device)
        self._scoring = Scoring.of(config)
        self._device = device

    @classmethod
    def of(cls, trained: TrainedDetector, *, device: torch.device | str = "cpu") -> TorchScorer:
        """Of a network that is loaded already."""
        caption = str(trained) if trained.means_nothing else ""
        return cls(trained.config, trained.network, trained.actions, device=device, caption=caption, about=str(trained))

    def resize(self, frame: Frame) -> tuple[Frame, ...]:
        """A frame at the sizes that the network is tested on."""
        return resized_images(frame, self.config.test_short_sides)

    def score(self, clips: Clip, boxes: Sequence[FloatArray]) -> list[FloatArray]:
        """Score the boxes of some clips; see `actiondet.pipeline.Scorer`."""
        height, width = clips.shape[2:4]
        pixel_boxes = [torch.from_numpy(unit_to_pixel(each, width, height)) for each in boxes]
        channels_first = torch.from_numpy(clips).permute(0, 4, 1, 2, 3).to(self._device)
        return self._scoring.action_scores(self._detector, channels_first, pixel_boxes)
