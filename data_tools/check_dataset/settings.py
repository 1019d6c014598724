"""Settings of the run that do not suit the data set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from actiondet.config import DetectionConfig, RecognitionConfig
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.names import words_of
from data_tools.check_dataset.videos import VideoFacts
from evaluation.errors import some

_SIDES = re.compile(r"\b(left|right|leftward|rightward)s?\b")


def check_settings(config: DetectionConfig | RecognitionConfig, names: Sequence[str], report: Report) -> None:
    """Check the weights that training starts from, and whether pictures may be mirrored."""
    weights = config.train.weights
    if weights is not None and weights != "published" and not Path(weights).is_file():
        report.error("weights-missing", "train.weights", f"{weights} does not exist", "give a checkpoint, or null")
    sided = [name for name in names if _SIDES.search(words_of(name))]
    if sided and config.transform.flip > 0:
        report.warn(
            "flip-of-sides",
            "transform.flip",
            f"mirrors pictures, but actions know left and right: {some(sided)}",
            "set transform.flip=0, or the network learns each as its opposite",
        )


def check_span(config: DetectionConfig, videos: Mapping[str, VideoFacts], report: Report) -> None:
    """A clip must not be longer than the videos: it would be made of repeated frames."""
    sound = [facts for facts in videos.values() if facts.fault is None]
    if not sound:
        return
    clip = config.clip
    frames = (clip.frames - 1) * clip.stride
    seconds = [frames / (clip.clip_fps or facts.rate or 1.0) for facts in sound]
    shorter = sum(facts.seconds < span for facts, span in zip(sound, seconds, strict=True))
    if shorter > 0.5 * len(sound):
        report.warn(
            "clip-longer-than-videos",
            "clip.stride",
            f"a clip spans {seconds[0]:.1f} s, and {shorter} of {len(sound)} videos are shorter",
            "lower clip.stride or clip.frames, or raise clip.clip_fps: the first and last frames would repeat",
        )
