"""Test a recogniser on a data set: the scores of every video, their file, their accuracy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader

from actiondet.config import RecognitionConfig
from actiondet.data import Loaded, TestSampler
from actiondet.data.loading import Batches, make_loader
from actiondet.data.recognition import TestVideos, collate_videos, find_labelled_videos, view_sampling
from actiondet.data.video_transforms import VideoTestTransform
from actiondet.engine.log import ProgressBar, say
from actiondet.models.build import build_recognizer
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.weights import load_weights
from actiondet.records import VideoBatch
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.formats.video_scores import VideoScores, write_video_scores
from evaluation.recognition import RecognitionResult, average_views, recognition_accuracy
from evaluation.records import FloatArray, IntArray

Average = Literal["softmax", "sum", "logits"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """On which views a video is tested.

    Attributes:
        clips: of each video, over its length.
        crops: of each clip.
        side: of a crop in pixels.
    """

    clips: int
    crops: Literal[1, 3]
    side: int


def validation_protocol(config: RecognitionConfig) -> Protocol:
    """The middle clip and its centre crop: what training validates on."""
    return Protocol(clips=1, crops=1, side=config.transform.val_crop)


def test_protocol(config: RecognitionConfig) -> Protocol:
    """The views that the settings ask for."""
    return Protocol(clips=config.test.clips, crops=config.test.crops, side=config.test.crop)


def test_transform(config: RecognitionConfig, protocol: Protocol) -> VideoTestTransform:
    """How the views of a clip are cut out."""
    return VideoTestTransform(
        short_side=config.transform.test_short_side,
        side=protocol.side,
        crops=protocol.crops,
        rounding="up" if config.clip.sampling == "pyslowfast" else "down",
    )


def build_test_videos(config: RecognitionConfig, protocol: Protocol) -> TestVideos:
    """Build the validation part of the data set; faults as in `find_labelled_videos`."""
    return TestVideos(
        find_labelled_videos(config.data, "val", num_classes=config.model.num_classes),
        sampling=view_sampling(config.clip),
        transform=test_transform(config, protocol),
        clips=protocol.clips,
    )


def build_video_loader(
    dataset: TestVideos, config: RecognitionConfig, fabric: Fabric
) -> DataLoader[Loaded[VideoBatch]]:
    """Load this process's share of `dataset`: every clip once over all processes."""
    sampler = TestSampler(len(dataset), rank=fabric.global_rank, world_size=fabric.world_size)
    batches = Batches(sampler, config.test.batch)
    return make_loader(dataset, batches, workers=config.train.workers, collate=collate_videos)


def run_recognition_test(
    config: RecognitionConfig,
    *,
    weights: str | Path,
    fabric: Fabric,
    dump: Path | None = None,
    json_: Path | None = None,
) -> RecognitionResult:
    """Score the videos of the validation part and compare with their labels.

    Args:
        config: with the views, in `test`.
        weights: a checkpoint, ours or another toolkit's.
        fabric: of the process.
        dump: where the scores of every video go (`evaluation.formats.video_scores`).
        json_: where the figures go.

    Raises:
        InputError: weights, data or videos that cannot be used.
    """
    network = build_recognizer(config.model)
    report = load_weights(network, weights)
    if fabric.is_global_zero:
        say(str(report))
    network.to(fabric.device)
    dataset = build_test_videos(config, test_protocol(config))
    loader = build_video_loader(dataset, config, fabric)
    found = score_videos(network, dataset, loader, config, fabric, average=config.test.average)
    result = recognition_accuracy(found.scores, found.labels)
    if fabric.is_global_zero:
        left_out = len(dataset.videos.names) - len(found.videos)
        if dataset.videos.missing or left_out:
            say(f"left out: {len(dataset.videos.missing)} missing and {left_out} unreadable videos")
        if dump is not None:
            write_video_scores(dump, found)
            say(f"wrote {dump}")
        if json_ is not None:
            summary = summarize(result) | {
                "views": list(found.views),
                "sampling": config.clip.sampling,
                "average": found.average,
                "missing": len(dataset.videos.missing),
                "unreadable": left_out,
                "weights": str(weights),
            }
            write_json(json_, summary)
    return result


def summarize(result: RecognitionResult) -> dict[str, object]:
    """The figures of `result` by name."""
    return {
        "top_1": result.top(1),
        "top_5": result.top(5),
        "mean_class_accuracy": result.mean_class_accuracy,
        "videos": len(result.labels),
    }


def write_json(path: Path, content: object) -> None:
    """Write `content` as JSON and say so."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    say(f"wrote {path}")


def score_videos(
    network: ActionRecognizer,
    dataset: TestVideos,
    loader: DataLoader[Loaded[VideoBatch]],
    config: RecognitionConfig,
    fabric: Fabric,
    *,
    average: Average,
) -> VideoScores:
    """The scores of every video of `dataset`, in its order, in every process.

    Raises:
        InputError: a video that cannot be read (unless the settings leave it out), or none that can.
    """
    bar = ProgressBar("testing", len(loader), shown=fabric.is_global_zero)
    scores, videos = _score_views(network, loader, config, fabric, bar, average=average)
    whole = np.bincount(videos, minlength=len(dataset.videos.names)) == dataset.views_per_video
    if not whole.any():
        raise InputError("none of the videos can be read; data.unreadable=stop says why")
    kept = whole[videos]  # a video of which only some clips could be read is left out whole
    rows, mean = average_views(scores[kept], videos[kept])
    return VideoScores(
        videos=tuple(dataset.videos.names[row] for row in rows),
        labels=dataset.videos.labels[rows],
        scores=mean * dataset.views_per_video if average == "sum" else mean,
        classes=dataset.videos.classes,
        views=(dataset.clips, dataset.views_per_video // dataset.clips),
        average=average,
    )


@torch.inference_mode()
def _score_views(
    network: ActionRecognizer,
    loader: DataLoader[Loaded[VideoBatch]],
    config: RecognitionConfig,
    fabric: Fabric,
    bar: ProgressBar,
    *,
    average: Average,
) -> tuple[FloatArray, IntArray]:
    """(V, C) scores of all views of all processes, and (V,) the videos they show; in order of video and view."""
    network.eval()
    scores: list[FloatArray] = [np.zeros((0, config.model.num_classes), dtype=np.float32)]
    places: list[IntArray] = [np.zeros((0, 2), dtype=np.int64)]
    for loaded in bar.over(loader):
        if loaded.unreadable and config.data.unreadable == "stop":
            raise InputError(loaded.unreadable[0].message + "; data.unreadable=skip leaves such videos out")
        for batch in loaded.batches:
            with fabric.autocast():
                logits = network(network.normalize(batch.clips.to(fabric.device)))
            scores.append(view_scores(logits, average).cpu().numpy())
            places.append(torch.stack([batch.videos, batch.views], dim=1).numpy())
    all_scores, all_places = gather_rows(np.concatenate(scores), np.concatenate(places), fabric)
    # The order in which processes and workers finish must not change a sum.
    order = np.lexsort((all_places[:, 1], all_places[:, 0]))
    return all_scores[order], all_places[order, 0]


def view_scores(logits: Tensor, average: Average) -> Tensor:
    """(B, C) logits to what is averaged over views: themselves, or probabilities."""
    logits = logits.float()
    return logits if average == "logits" else logits.softmax(dim=1)


def gather_rows(scores: FloatArray, places: IntArray, fabric: Fabric) -> tuple[FloatArray, IntArray]:
    """The rows of all processes, in every process."""
    if fabric.world_size == 1:
        return scores, places
    parts: list[tuple[FloatArray, IntArray]] = [(scores, places)] * fabric.world_size
    torch.distributed.all_gather_object(parts, (scores, places))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
