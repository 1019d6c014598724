"""Name what a video file shows, with a trained recognizer."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from actiondet.config import RecognitionConfig
from actiondet.config.recognition import Ucf101Config
from actiondet.data.labelled_videos import view_sampling
from actiondet.datasets.video_lists import list_videos
from actiondet.engine.checkpoint import load_checkpoint
from actiondet.engine.recognition.testing import Views, view_scores, view_transform
from actiondet.models.build import build_recognizer
from actiondet.models.inference import Precision, optimize_for_inference
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.weights import load_weights
from actiondet.video import ReaderName, open_video
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.formats.video_list import read_class_names
from evaluation.label_lists import label_list
from evaluation.records import FloatArray, check_finite


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
        average: Literal["softmax", "logits"] = "logits" if self.config.test.average == "logits" else "softmax"
        transform = view_transform(self.config, self.views)
        scores: list[torch.Tensor] = []
        with open_video(path, self.reader) as reader, torch.inference_mode():
            rate = float(reader.index.rate)
            sampling = view_sampling(self.config.clip)
            for chosen in sampling.views(len(reader.index), rate=rate, clips=self.views.clips):
                # Clip by clip: thirty views of a long clip at once would not fit everywhere.
                clips = transform(reader.read(chosen)).to(self.device)
                scores.append(view_scores(self.network(self.network.normalize(clips)), average))
        mean = torch.cat(scores).mean(dim=0)
        found: FloatArray = (mean.softmax(dim=0) if average == "logits" else mean).cpu().numpy().astype(np.float64)
        check_finite(found)
        return found


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
    """
    if config is None:
        checkpoint = load_checkpoint(weights, RecognitionConfig)
        config, classes = checkpoint.config, checkpoint.actions.names
        network = build_recognizer(config.model)
        network.load_state_dict(dict(checkpoint.weights))
    else:
        network = build_recognizer(config.model)
        report = load_weights(network, weights)
        report.require_head()
        own = report.origin == "actiondet"
        classes = load_checkpoint(weights, RecognitionConfig).actions.names if own else class_names(config)
    clips, crops = views
    side = config.test.crop if crops == 3 else config.transform.val_crop
    fast = optimize_for_inference(network.to(device), precision=precision)
    return VideoRecognizer(
        fast, config, classes, Views(clips=clips, crops=crops, side=side), torch.device(device), reader
    )


def class_names(config: RecognitionConfig) -> tuple[str, ...]:
    """The names of the classes by the data set's files or its published list; else their numbers."""
    path, names = getattr(config.data, "classes", None), None
    with suppress(InputError, OSError):  # most who use published weights have not got the data set
        names = read_class_names(path) if isinstance(path, str) else list_videos(config.data, "val").classes
    if names is not None and len(names) == config.model.num_classes:
        return names
    known = _published_list(config)
    if known is not None and len(known) == config.model.num_classes:
        return known.names
    return tuple(map(str, range(config.model.num_classes)))


def _published_list(config: RecognitionConfig) -> ActionList | None:
    """The list that travels with the package, if the configuration is of Kinetics or UCF101."""
    if isinstance(config.data, Ucf101Config):
        return label_list("ucf101")
    classes = getattr(config.data, "classes", None)
    name = Path(classes).parent.name if isinstance(classes, str) else ""
    return label_list(name) if name in ("kinetics400", "kinetics600", "kinetics700") else None
