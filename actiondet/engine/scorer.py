"""A detector in torch as the pipeline's scorer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch

from actiondet.data.build import bank_window
from actiondet.data.resized_frames import resized_images
from actiondet.datasets.feature_bank import BoolArray, HalfArray, half
from actiondet.engine.loading import TrainedDetector
from actiondet.engine.predict import Scoring, finite_scores, mirrored_boxes
from actiondet.models.detector import ActionDetector
from actiondet.models.inference import Precision, optimize_for_inference
from actiondet.recall import Vectors
from actiondet.records import ClipMemory, Memory
from actiondet.video.clip_stream import Clip, Frame
from evaluation.boxes import unit_to_pixel
from evaluation.errors import InputError
from evaluation.records import FloatArray


class TorchScorer:
    """Scores the actions of given persons; see `actiondet.pipeline.Scorer`.

    Args:
        trained: the network; a faster copy of it does the work, it stays as it is.
        device: where the network runs.
        precision, compile: as of `optimize_for_inference`.
    """

    def __init__(
        self,
        trained: TrainedDetector,
        *,
        device: torch.device | str = "cpu",
        precision: Precision = "float32",
        compile: bool = False,
    ) -> None:
        self.config, self.actions, self.about = trained.config, trained.actions, str(trained)
        self.caption = self.about if trained.means_nothing else ""
        self.follows_tracks = trained.network.head.follows_tracks
        self._detector = optimize_for_inference(trained.network, precision=precision, compile=compile).to(device)
        self._scoring = Scoring.of(trained.config)
        self._device = device

    def resize(self, frame: Frame) -> tuple[Frame, ...]:
        """A frame at the sizes that the network is tested on."""
        return resized_images(frame, self.config.test_short_sides)

    def score(self, clips: Clip, boxes: Sequence[FloatArray]) -> list[FloatArray]:
        """Score the boxes of some clips; see `actiondet.pipeline.Scorer`."""
        return self._scoring.action_scores(self._detector, *self._inputs(clips, boxes))

    def _inputs(self, clips: Clip, boxes: Sequence[FloatArray]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The clips as a network takes them, and pixel boxes of each, on the device."""
        height, width = clips.shape[2:4]
        pixel_boxes = [torch.from_numpy(unit_to_pixel(each, width, height)).to(self._device) for each in boxes]
        return torch.from_numpy(clips).permute(0, 4, 1, 2, 3).to(self._device), pixel_boxes


class RecallingTorchScorer(TorchScorer):
    """One whose detector looks into a feature bank; see `actiondet.recall.RecallingScorer`.

    Args:
        trained, device: as of TorchScorer.
        bank: the network that fills the bank.

    Raises:
        InputError: the networks see other clips, or the bank has another width.
    """

    def __init__(self, trained: TrainedDetector, *, bank: TrainedDetector, device: torch.device | str = "cpu") -> None:
        super().__init__(trained, device=device)
        config, first = trained.config, bank.network
        assert config.model.bank is not None
        self.window, self.channels = bank_window(config.model.bank), config.model.bank.channels
        seen = (bank.config.clip.frames, bank.config.clip.stride, bank.config.clip.clip_fps)
        wanted = (config.clip.frames, config.clip.stride, config.clip.clip_fps)
        side = bank.config.transform.test_short_side
        if seen != wanted or side not in config.test_short_sides:
            raise InputError(
                f"the network of the bank sees clips of {seen[0]} frames, each {seen[1]}th at {seen[2]} fps, {side} "
                f"pixels high; this one {wanted[0]}, {wanted[1]}, {wanted[2]}, {list(config.test_short_sides)}; "
                "expected the same clips"
            )
        if first.head.bank is not None or first.head.follows_tracks or self.follows_tracks:
            raise InputError(
                "of the network of a bank and the one that looks into it neither may follow tracks, and the first may "
                "not look into a bank itself"
            )
        self._place = config.test_short_sides.index(side)
        self._first = optimize_for_inference(first).to(device)

    def features(self, clips: Sequence[Clip], boxes: Sequence[FloatArray]) -> list[HalfArray]:
        """What a bank keeps of the persons; see `actiondet.recall.RecallingScorer`."""
        found = self._vectors(self._first, *self._inputs(clips[self._place], boxes))
        if found.shape[1] != self.channels:
            raise InputError(
                f"the network of the bank gives {found.shape[1]} numbers of a person, but model.head.bank.channels is "
                f"{self.channels}; give the network that filled the bank of the training"
            )
        return np.split(half(found, of="the network of the bank"), _borders(boxes))

    def vectors(self, clips: Clip, boxes: Sequence[FloatArray]) -> list[Vectors]:
        """What is scored once the memory is known; see `actiondet.recall.RecallingScorer`."""
        channels_first, pixel_boxes = self._inputs(clips, boxes)
        views = [self._vectors(self._detector, channels_first, pixel_boxes)]
        if self._scoring.flip:
            width = channels_first.shape[-1]
            views.append(
                self._vectors(
                    self._detector, channels_first.flip(-1), [mirrored_boxes(each, width) for each in pixel_boxes]
                )
            )
        return np.split(np.stack(views), _borders(boxes), axis=1)

    @torch.inference_mode()
    def score_vectors(self, vectors: Vectors, features: HalfArray, filled: BoolArray) -> FloatArray:
        """Scores with what is remembered; see `actiondet.recall.RecallingScorer`."""
        clip = ClipMemory(torch.from_numpy(features), torch.from_numpy(filled))
        memory = Memory.of([clip], [vectors.shape[1]], self._device)
        head = self._detector.head
        views = [self._scoring.activated(head.classify_vectors(view, memory)) for view in self._on_device(vectors)]
        return finite_scores(torch.stack(views).mean(dim=0))

    def _on_device(self, values: Vectors) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    @torch.inference_mode()
    def _vectors(self, network: ActionDetector, clips: torch.Tensor, boxes: Sequence[torch.Tensor]) -> Vectors:
        found: Vectors = network.vectors(network.normalize(clips), boxes).float().cpu().numpy()
        return found


def _borders(boxes: Sequence[FloatArray]) -> list[int]:
    """Where the persons of each clip but the first begin."""
    return list(accumulate(len(each) for each in boxes[:-1]))


def scorer_of(
    trained: TrainedDetector, *, bank: TrainedDetector | None = None, device: torch.device | str = "cpu"
) -> TorchScorer:
    """The scorer of a network that is loaded already.

    Args:
        trained: the network.
        bank: the one whose features a network with a feature bank remembers; None for one without.
        device: where they run.

    Raises:
        InputError: a bank without its network or the other way round, or networks that do not go together.
    """
    if (bank is None) != (trained.network.head.bank is None):
        raise InputError(
            "the network looks into a feature bank; give the weights of the network that fills it, too (--bank F)"
            if bank is None
            else "the network has no feature bank, so nothing is filled for it; leave out --bank"
        )
    if bank is None:
        return TorchScorer(trained, device=device)
    return RecallingTorchScorer(trained, bank=bank, device=device)
