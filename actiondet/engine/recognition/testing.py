"""Test a recognizer on a data set: the scores of every video, their file, their accuracy."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from actiondet.config import RecognitionConfig
from actiondet.data import Loaded, OrderedSampler
from actiondet.data.build import view_sampling
from actiondet.data.labeled_videos import VideoViews, collate_videos
from actiondet.data.loading import Batches, make_loader, process_share, worker_deaths_explained
from actiondet.data.video_transforms import VideoTestTransform
from actiondet.datasets.labeled_videos import find_labeled_videos
from actiondet.engine.devices import gather_objects, total
from actiondet.engine.indexing import index_videos
from actiondet.engine.loading import load_trained, network_for_testing
from actiondet.engine.log import log_line
from actiondet.engine.predict import Activation, score_clips, settings_of_scores
from actiondet.models.recognizer import ActionRecognizer
from actiondet.parts import PartStore
from actiondet.records import VideoBatch
from evaluation.errors import InputError
from evaluation.formats.video_scores import VideoScores, write_video_scores
from evaluation.progress import ProgressBar
from evaluation.recognition import RecognitionResult, average_views, recognition_accuracy
from evaluation.records import FloatArray, IntArray
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


@dataclass(frozen=True, eq=False)
class ViewScores:
    """What a network says of single views.

    Attributes:
        scores: (V, C) float32.
        videos: (V,) numbers of the videos.
        views: (V,) numbers of the views of these videos.
    """

    scores: FloatArray
    videos: IntArray
    views: IntArray

    @classmethod
    def joined(cls, parts: Sequence[ViewScores], *, classes: int) -> ViewScores:
        """All of `parts`, which may be none, one after the other."""
        empty = np.zeros(0, dtype=np.int64)
        every = [cls(np.zeros((0, classes), dtype=np.float32), empty, empty), *parts]
        return cls(*(np.concatenate([getattr(part, name) for part in every]) for name in cls.__dataclass_fields__))

    def chosen(self, rows: npt.NDArray[np.bool_] | IntArray) -> ViewScores:
        """Some of the views."""
        return ViewScores(self.scores[rows], self.videos[rows], self.views[rows])


def view_transform(config: RecognitionConfig, views: Views) -> VideoTestTransform:
    """How the views of a clip are cut out."""
    return VideoTestTransform(
        short_side=config.transform.test_short_side,
        side=views.side,
        crops=views.crops,
        rounding="up" if config.clip.sampling == "pyslowfast" else "down",
    )


def build_test_videos(config: RecognitionConfig, views: Views) -> VideoViews:
    """Build the validation split of the data set; faults as in `find_labeled_videos`."""
    return VideoViews(
        find_labeled_videos(config.data, "val", num_classes=config.model.num_classes),
        sampling=view_sampling(config.clip),
        transform=view_transform(config, views),
        clips=views.clips,
    )


def build_video_loader(
    dataset: VideoViews, config: RecognitionConfig, fabric: Fabric, *, done: Collection[int] = frozenset()
) -> DataLoader[Loaded[VideoBatch]]:
    """Load this process's videos of `dataset`, but for clips that are done: every clip once over all processes."""
    rank, world_size, clips = fabric.global_rank, fabric.world_size, dataset.clips
    sampler = OrderedSampler(len(dataset), rank=rank, world_size=world_size, done=done, group=clips)
    batches = Batches(sampler, config.test.batch, readers=max(config.train.workers, 1))
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
    """Score the videos of the validation split and compare with their labels.

    Args:
        config: with the views, in `test`.
        weights: a checkpoint, ours or another toolkit's.
        fabric: of the process.
        dump: where the scores of every video go (`evaluation.formats.video_scores`). Until it is written, the scores
            of finished clips lie beside it, and the same test goes on from there if it is interrupted.
        json_: where the figures go.

    Raises:
        InputError: weights, data or videos that cannot be used.

    Example:
        >>> config, fabric = actiondet.load_recognition_config("small_videos.yaml"), actiondet.launch()
        >>> result = actiondet.run_recognition_test(config, weights="recognizer.pt", fabric=fabric)
        >>> 0 <= result.top(1) <= 1
        True
    """
    network = network_for_testing(load_trained(weights, config), fabric)
    views = Views(clips=config.test.clips, crops=config.test.crops, side=config.test.crop)
    dataset = build_test_videos(config, views)
    index_videos([dataset.videos.sources], fabric)
    parts = None
    if dump is not None:
        settings = [*settings_of_scores(config), list(dataset.videos.names)]
        parts = PartStore(dump, settings, [weights], pack=vars, unpack=lambda arrays: ViewScores(**arrays))
    share = process_share(len(dataset.videos.names), rank=fabric.global_rank, world_size=fabric.world_size)
    kept = {video: parts.get(_key(video)) for video in share if parts is not None and parts.has(_key(video))}
    done = {video * dataset.clips + clip for video in kept for clip in range(dataset.clips)}
    if (count := round(total(fabric, len(done)))) and fabric.is_global_zero:
        log_line(f"going on with an interrupted test: {count} of {len(dataset)} clips are done")
    loader = build_video_loader(dataset, config, fabric, done=done)
    found = score_videos(
        network, dataset, loader, config, fabric, average=config.test.average, parts=parts, kept=list(kept.values())
    )
    result = recognition_accuracy(found.scores, found.labels, names=found.classes)
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
            summary = result.summary() | {
                "views": list(found.views),
                "sampling": config.clip.sampling,
                "average": found.average,
                "missing": len(dataset.videos.missing),
                "unreadable": left_out,
                "weights": str(weights),
            }
            write_json(json_, summary)
    return result


def score_videos(
    network: ActionRecognizer,
    dataset: VideoViews,
    loader: DataLoader[Loaded[VideoBatch]],
    config: RecognitionConfig,
    fabric: Fabric,
    *,
    average: Average,
    parts: PartStore[ViewScores] | None = None,
    kept: Sequence[ViewScores] = (),
) -> VideoScores:
    """The scores of every video of `dataset`, in its order, in every process.

    Args:
        network: on the device of `fabric`.
        dataset: of the videos.
        loader: of this process's share of it.
        config: of the test.
        fabric: of the process.
        average: what becomes of the views of a video.
        parts: takes each video whose views are all scored.
        kept: what an interrupted test has done, which `loader` leaves out.

    Raises:
        InputError: a video that cannot be read (unless the settings leave it out), or none that can.
    """
    activation: Activation = "logits" if average == "logits" else "softmax"
    scored = _score_views(network, loader, config, fabric, activation)
    if parts is not None:
        scored = _kept_by_video(scored, parts, views=dataset.views_per_video)
    views = gather_views(ViewScores.joined([*kept, *scored], classes=config.model.num_classes), fabric)
    whole = np.bincount(views.videos, minlength=len(dataset.videos.names)) == dataset.views_per_video
    if not whole.any():
        raise InputError("none of the videos can be read; data.unreadable=stop says why")
    views = views.chosen(whole[views.videos])  # a video of which only some clips could be read is left out whole
    rows, mean = average_views(views.scores, views.videos)
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
    activation: Activation,
) -> Iterator[ViewScores]:
    """Yield the scores of the views of this process, batch by batch."""
    network.eval()
    for loaded in ProgressBar("testing", len(loader), shown=fabric.is_global_zero).over(loader):
        loaded.check(config.data.unreadable)
        for batch in loaded.batches:
            with fabric.autocast():
                scores = score_clips(network, batch.clips.to(fabric.device), fabric.device, activation)
            yield ViewScores(scores, batch.videos.numpy(), batch.views.numpy())


def _kept_by_video(batches: Iterable[ViewScores], parts: PartStore[ViewScores], *, views: int) -> Iterator[ViewScores]:
    """Pass `batches` on, and keep each video once all of its `views` have come."""
    waiting: dict[int, list[ViewScores]] = {}
    for batch in batches:
        for video in np.unique(batch.videos).tolist():
            waiting.setdefault(video, []).append(batch.chosen(batch.videos == video))
            if sum(len(each.videos) for each in waiting[video]) == views:
                parts.put(_key(video), ViewScores.joined(waiting.pop(video), classes=batch.scores.shape[1]))
        yield batch


def _key(video: int) -> str:
    """The part of a video."""
    return f"{video:06d}"


def gather_views(mine: ViewScores, fabric: Fabric) -> ViewScores:
    """The views of all processes, in every process, in order of video and view."""
    views = ViewScores.joined(gather_objects(mine, fabric), classes=mine.scores.shape[1])
    # The order in which processes and workers finish must not change a sum.
    return views.chosen(np.lexsort((views.views, views.videos)))
