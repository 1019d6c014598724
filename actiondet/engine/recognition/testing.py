"""Test a recognizer on a data set: the scores of every video, their file, their accuracy."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from actiondet.config import RecognitionConfig
from actiondet.data import Loaded, OrderedSampler
from actiondet.data.build import view_sampling
from actiondet.data.labelled_videos import VideoViews, collate_videos
from actiondet.data.loading import Batches, Draw, make_loader, test_share, worker_deaths_explained
from actiondet.data.video_transforms import VideoTestTransform
from actiondet.datasets.labelled_videos import find_labelled_videos
from actiondet.engine.devices import total
from actiondet.engine.indexing import index_videos
from actiondet.engine.loading import load_trained, network_for_testing
from actiondet.engine.log import log_line
from actiondet.engine.predict import Activation, score_clips
from actiondet.engine.recognition.score_parts import ScoreParts, ViewScores, parts_folder
from actiondet.models.recognizer import ActionRecognizer
from actiondet.records import VideoBatch
from evaluation.errors import InputError
from evaluation.formats.video_scores import VideoScores, write_video_scores
from evaluation.progress import ProgressBar
from evaluation.recognition import RecognitionResult, average_views, recognition_accuracy
from evaluation.tables import write_json

Average = Literal["softmax", "sum", "logits"]


@dataclass(frozen=True, kw_only=True)
class Views:
    """On which views a video is tested.

    Attributes:
        clips: of each video, over its length.
        crops: of each clip.
        side: of a crop in pixels.
    """

    clips: int
    crops: Literal[1, 3]
    side: int


def validation_views(config: RecognitionConfig) -> Views:
    """The middle clip and its centre crop: what training validates on."""
    return Views(clips=1, crops=1, side=config.transform.val_crop)


def chosen_views(config: RecognitionConfig) -> Views:
    """The views that the settings ask for."""
    return Views(clips=config.test.clips, crops=config.test.crops, side=config.test.crop)


def view_transform(config: RecognitionConfig, views: Views) -> VideoTestTransform:
    """How the views of a clip are cut out."""
    return VideoTestTransform(
        short_side=config.transform.test_short_side,
        side=views.side,
        crops=views.crops,
        rounding="up" if config.clip.sampling == "pyslowfast" else "down",
    )


def build_test_videos(config: RecognitionConfig, views: Views) -> VideoViews:
    """Build the validation part of the data set; faults as in `find_labelled_videos`."""
    return VideoViews(
        find_labelled_videos(config.data, "val", num_classes=config.model.num_classes),
        sampling=view_sampling(config.clip),
        transform=view_transform(config, views),
        clips=views.clips,
    )


def build_video_loader(
    dataset: VideoViews, config: RecognitionConfig, fabric: Fabric, *, done: Collection[int] = frozenset()
) -> DataLoader[Loaded[VideoBatch]]:
    """Load this process's share of `dataset`, but for clips that are done: every clip once over all processes."""
    sampler = OrderedSampler(len(dataset), rank=fabric.global_rank, world_size=fabric.world_size, done=done)
    batches = Batches(sampler, config.test.batch)
    return make_loader(dataset, batches, workers=config.train.workers, collate=collate_videos)


@worker_deaths_explained()
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
        dump: where the scores of every video go (`evaluation.formats.video_scores`). Until it is written, the scores
            of finished clips lie beside it, and the same test goes on from there if it is interrupted.
        json_: where the figures go.

    Raises:
        InputError: weights, data or videos that cannot be used.
    """
    network = network_for_testing(load_trained(weights, config), fabric)
    dataset = build_test_videos(config, chosen_views(config))
    index_videos([dataset.videos.sources], fabric)
    parts = None
    if dump is not None:
        parts = ScoreParts(
            parts_folder(dump, config, weights, dataset.videos.names),
            share=test_share(len(dataset), rank=fabric.global_rank, world_size=fabric.world_size),
            classes=config.model.num_classes,
            clips=dataset.clips,
            crops=dataset.views_per_video // dataset.clips,
            process=fabric.global_rank,
        )
        done = round(total(fabric, len(parts.done)))
        if done and fabric.is_global_zero:
            log_line(f"going on with an interrupted test: {done} of {len(dataset)} clips are done")
    loader = build_video_loader(dataset, config, fabric, done=parts.done if parts else ())
    found = score_videos(network, dataset, loader, config, fabric, average=config.test.average, parts=parts)
    result = recognition_accuracy(found.scores, found.labels)
    if fabric.is_global_zero:
        left_out = len(dataset.videos.names) - len(found.videos)
        if dataset.videos.missing or left_out:
            missing, names = len(dataset.videos.missing), len(dataset.videos.names)
            log_line(f"left out: {missing} missing and {left_out} unreadable videos of {missing + names}")
        if dump is not None:
            write_video_scores(dump, found)
            log_line(f"wrote {dump}")
            assert parts is not None
            parts.remove()
        if json_ is not None:
            summary = result.figures | {
                "views": list(found.views),
                "sampling": config.clip.sampling,
                "average": found.average,
                "missing": len(dataset.videos.missing),
                "unreadable": left_out,
                "weights": str(weights),
            }
            write_json(json_, summary)
            log_line(f"wrote {json_}")
    return result


def score_videos(
    network: ActionRecognizer,
    dataset: VideoViews,
    loader: DataLoader[Loaded[VideoBatch]],
    config: RecognitionConfig,
    fabric: Fabric,
    *,
    average: Average,
    parts: ScoreParts | None = None,
) -> VideoScores:
    """The scores of every video of `dataset`, in its order, in every process.

    Args:
        network: on the device of `fabric`.
        dataset: of the videos.
        loader: of this process's share of it.
        config: of the test.
        fabric: of the process.
        average: what becomes of the views of a video.
        parts: holds what an interrupted test has done, which `loader` leaves out, and takes what is done now.

    Raises:
        InputError: a video that cannot be read (unless the settings leave it out), or none that can.
    """
    bar = ProgressBar("testing", len(loader), shown=fabric.is_global_zero)
    views = gather_views(_score_views(network, loader, config, fabric, bar, average=average, parts=parts), fabric)
    whole = np.bincount(views.videos, minlength=len(dataset.videos.names)) == dataset.views_per_video
    if not whole.any():
        raise InputError("none of the videos can be read; data.unreadable=stop says why")
    kept = views.chosen(whole[views.videos])  # a video of which only some clips could be read is left out whole
    rows, mean = average_views(kept.scores, kept.videos)
    return VideoScores(
        videos=tuple(dataset.videos.names[row] for row in rows),
        labels=dataset.videos.labels[rows],
        scores=mean * dataset.views_per_video if average == "sum" else mean,
        classes=dataset.videos.classes,
        views=(dataset.clips, dataset.views_per_video // dataset.clips),
        average=average,
    )


def _score_views(
    network: ActionRecognizer,
    loader: DataLoader[Loaded[VideoBatch]],
    config: RecognitionConfig,
    fabric: Fabric,
    bar: ProgressBar,
    *,
    average: Average,
    parts: ScoreParts | None,
) -> ViewScores:
    """The scores of all views of this process, those of `parts` among them."""
    network.eval()
    activation: Activation = "logits" if average == "logits" else "softmax"
    found = [parts.kept] if parts else []
    batches: Iterable[list[Draw]] = cast(Batches, loader.batch_sampler)
    try:
        for draws, loaded in zip(batches, bar.over(loader), strict=True):
            if loaded.unreadable and config.data.unreadable == "stop":
                raise InputError(loaded.unreadable[0].message + "; data.unreadable=skip leaves such videos out")
            fresh = []
            for batch in loaded.batches:
                with fabric.autocast():
                    scores = score_clips(network, batch.clips, fabric.device, activation)
                fresh.append(ViewScores(scores, batch.videos.numpy(), batch.views.numpy()))
            found += fresh
            if parts:
                parts.add([draw.index for draw in draws], fresh)
    finally:
        if parts:
            parts.write()
    return ViewScores.joined(found, classes=config.model.num_classes)


def gather_views(mine: ViewScores, fabric: Fabric) -> ViewScores:
    """The views of all processes, in every process, in order of video and view."""
    parts = [mine] * fabric.world_size
    if fabric.world_size > 1:
        torch.distributed.all_gather_object(parts, mine)
    views = ViewScores.joined(parts, classes=mine.scores.shape[1])
    # The order in which processes and workers finish must not change a sum.
    return views.chosen(np.lexsort((views.views, views.videos)))
