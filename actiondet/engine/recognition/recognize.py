"""Name what a video file shows, with a trained recognizer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from actiondet.config import RecognitionConfig
from actiondet.data.build import view_sampling
from actiondet.engine.loading import load_trained
from actiondet.engine.predict import Activation, score_clips
from actiondet.engine.recognition.testing import Views, view_transform
from actiondet.models.inference import Precision, optimize_for_inference
from actiondet.models.recognizer import ActionRecognizer
from actiondet.video import ReaderName, open_video
from evaluation.records import FloatArray


@dataclass(frozen=True, eq=False)
class VideoRecognizer:
    """A recognizer, what its classes are called, and on which views it looks at a video.

    Attributes:
        network: made for inference.
        config: what it was trained as.
        classes: (C) names.
        views: clips and crops.
        device: where the network is.
        reader: what decodes the videos, as in `open_video`.
    """

    network: ActionRecognizer
    config: RecognitionConfig
    classes: tuple[str, ...]
    views: Views
    device: torch.device
    reader: ReaderName = "auto"

    def __call__(self, path: str | os.PathLike[str]) -> FloatArray:
        """(C,) scores of a video: the mean of its views' probabilities (or their softmax, where logits are averaged).

        Raises:
            InputError: the file cannot be read or is not a video, or the scores are not finite.
        """
        average: Activation = "logits" if self.config.test.average == "logits" else "softmax"
        transform = view_transform(self.config, self.views)
        scores: list[FloatArray] = []
        with open_video(path, self.reader) as reader:
            rate = float(reader.index.rate)
            sampling = view_sampling(self.config.clip)
            for chosen in sampling.views(len(reader.index), rate=rate, clips=self.views.clips):
                # Clip by clip: thirty views of a long clip at once would not fit everywhere.
                scores.append(score_clips(self.network, transform(reader.read(chosen)), self.device, average))
        mean = torch.from_numpy(np.concatenate(scores)).mean(dim=0)
        return (mean.softmax(dim=0) if average == "logits" else mean).numpy().astype(np.float64)


def load_recognizer(
    weights: str | Path,
    *,
    config: RecognitionConfig | None = None,
    views: tuple[int, Literal[1, 3]] = (1, 1),
    device: torch.device | str = "cpu",
    precision: Precision = "float32",
    reader: ReaderName = "auto",
) -> VideoRecognizer:
    """Make a trained recognizer ready.

    Args:
        weights: a checkpoint of ours; with `config`, of another toolkit, too.
        config: None takes the one that the checkpoint holds.
        views: clips of a video and crops of a clip.
        device: where it runs.
        precision: of the backbone, as in `optimize_for_inference`.
        reader: what decodes the videos, as in `open_video`.

    Raises:
        InputError: weights that cannot be used.

    Example:
        >>> recognizer = actiondet.load_recognizer("recognizer.pt")
        >>> scores = recognizer("street.mp4")
        >>> best = recognizer.classes[scores.argmax()]
    """
    trained = load_trained(weights, config or RecognitionConfig)
    config = trained.config
    clips, crops = views
    side = config.test.crop if crops == 3 else config.transform.val_crop
    fast = optimize_for_inference(trained.network.to(device), precision=precision)
    return VideoRecognizer(
        fast, config, trained.actions.names, Views(clips=clips, crops=crops, side=side), torch.device(device), reader
    )
