"""Build a feature bank: one vector of each person found in the videos of a split, in one process or many."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

from actiondet.config import DetectionConfig
from actiondet.data import EvaluationSet, build_test_set
from actiondet.data.loading import Draw, Loaded, collate, make_loader, worker_deaths_explained
from actiondet.datasets.feature_bank import FeatureBank, VideoFeatures, half, write_feature_bank
from actiondet.datasets.key_frames import SECOND_US
from actiondet.datasets.splits import SplitName
from actiondet.engine.indexing import index_videos
from actiondet.engine.log import log_line, shared_bar
from actiondet.engine.predict import settings_of_scores
from actiondet.models.detector import ActionDetector
from actiondet.parts import Arrays, PartStore
from actiondet.records import ClipBatch
from evaluation.errors import InputError
from evaluation.files import check_writable
from evaluation.records import FrameKey, IntArray, PersonBoxes


@dataclass(frozen=True)
class BankReport:
    """What was built.

    Attributes:
        path: the file.
        persons: how many it holds.
        videos: how many it knows.
        channels: numbers of a person.
        faults: the sentence that says why, for each video that could not be read.
    """

    path: Path
    persons: int
    videos: int
    channels: int
    faults: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}: {self.persons} persons of {self.videos} videos, {self.channels} numbers each"


@worker_deaths_explained()
def build_bank(
    config: DetectionConfig,
    detector: ActionDetector,
    *,
    weights: str | Path,
    split: SplitName,
    out: Path,
    fabric: Fabric,
    every: float = 1.0,
    overwrite: bool = False,
) -> BankReport | None:
    """Write the feature bank of a split: of the persons found at its key frames, annotated or not, once a second.

    Every finished video is kept beside `out`; a run that was stopped goes on there, with any number of processes, and
    ends with the same file. A video that cannot be read is left out, and its sentence is in the report.

    Args:
        config: the data, and the clips that the detector sees.
        detector: with its weights, on its device. It has no bank itself.
        weights: the file that they come from.
        split: of the data set.
        out: the file, which ends in .safetensors.
        fabric: of the process; the processes share the videos.
        every: seconds; of each so many, the first key frame is looked at.
        overwrite: replace `out` where it is there.

    Returns:
        In the first process what was built; None in the others.

    Raises:
        InputError: data that cannot be used, `out` is there, or no video can be read.
    """
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: a feature bank is a .safetensors file; give a name that ends so")
    if not every > 0:
        raise InputError(f"every {every:g}: expected seconds above 0")
    if detector.head.bank is not None:
        raise InputError("a network with a bank cannot fill one; give the configuration and the weights of one without")
    check_writable(out)
    dataset = build_test_set(
        config.data,
        clip=config.clip,
        transform=config.transform,
        num_actions=config.model.num_actions,
        moments="all",
        split=split,
        tracks=detector.head.follows_tracks,
    )
    about = {"every": f"{every:g}", "split": split, "config": json.dumps(settings_of_scores(config), sort_keys=True)}
    parts = PartStore(out, about, [weights], pack=_packed, unpack=_unpacked)
    if out.exists() and not overwrite and not parts.folder.exists():
        raise InputError(f"{out} exists already; --overwrite replaces it")
    index_videos([dataset.videos], fabric)
    videos = _videos(dataset)
    share = videos[fabric.global_rank :: fabric.world_size]
    parts.forget_faults(video for video, _ in share)
    fabric.barrier()
    _look_at(share, dataset, detector, parts, config, fabric, every)
    if not fabric.is_global_zero:
        return None
    names = [video for video, _ in videos]
    parts.wait_for(names)
    return _finish(names, dataset, parts, out, about | {"weights": str(weights)})


def _videos(dataset: EvaluationSet) -> list[tuple[str, list[int]]]:
    """The videos, and the numbers of their key frames in order of time."""
    order = sorted(range(len(dataset.keys)), key=lambda index: dataset.keys[index])
    return [(video, list(numbers)) for video, numbers in groupby(order, key=lambda index: dataset.keys[index].video)]


def first_of_each(times: IntArray, every_us: int) -> IntArray:
    """Which of the (K,) rising times, in microseconds, are the first ones of a period of this length."""
    periods = times // every_us
    return np.flatnonzero(np.diff(periods, prepend=periods[:1] - 1))


def _look_at(
    share: Sequence[tuple[str, list[int]]],
    dataset: EvaluationSet,
    detector: ActionDetector,
    parts: PartStore[VideoFeatures],
    config: DetectionConfig,
    fabric: Fabric,
    every: float,
) -> None:
    """Look at the videos of this process that are not done yet."""
    todo = [(video, numbers) for video, numbers in share if not parts.has(video)]
    bar = shared_bar("videos", len(share), fabric, done=len(share) - len(todo))
    # A batch is of one video, or its persons would depend on what else is still to be done.
    batches: list[tuple[str, list[Draw]]] = []
    times: dict[FrameKey, int] = {}
    for video, numbers in todo:
        try:
            centers = np.array([dataset.center_us(number) for number in numbers], dtype=np.int64)
        except (InputError, OSError) as fault:
            _leave_out(video, fault, parts, config)
            continue
        chosen = first_of_each(centers, round(every * SECOND_US)).tolist()
        times.update((dataset.keys[numbers[place]], int(centers[place])) for place in chosen)
        draws = iter(Draw(0, numbers[place]) for place in chosen)
        while batch := list(islice(draws, config.test.batch)):
            batches.append((video, batch))
    loader = make_loader(dataset, [draws for _, draws in batches], workers=config.train.workers, collate=collate)
    detector.eval()
    of_videos = groupby(zip((video for video, _ in batches), loader, strict=True), key=lambda each: each[0])
    for video, loads in bar.over(of_videos):
        try:
            found = [each for _, loaded in loads for each in _vectors(loaded, dataset, detector, fabric)]
        except InputError as fault:
            _leave_out(video, fault, parts, config)
        else:
            parts.put(video, _of_video(video, found, times))


def _leave_out(video: str, fault: Exception, parts: PartStore[VideoFeatures], config: DetectionConfig) -> None:
    """Note why a video has no part, or stop there, as the configuration says."""
    if config.data.unreadable == "stop":
        raise fault
    parts.put_fault(video, str(fault))


def _vectors(
    loaded: Loaded[ClipBatch], dataset: EvaluationSet, detector: ActionDetector, fabric: Fabric
) -> Iterator[tuple[PersonBoxes, torch.Tensor]]:
    """The persons of each moment, and (P, C) features of them.

    Raises:
        InputError: the video cannot be read.
    """
    loaded.check("stop")
    for batch in loaded.batches:
        vectors = _batch_vectors(detector, batch, fabric)
        yield from zip(
            (dataset.persons[key] for key in batch.keys),
            torch.split(vectors, [len(boxes) for boxes in batch.boxes]),
            strict=True,
        )


@torch.inference_mode()
def _batch_vectors(detector: ActionDetector, batch: ClipBatch, fabric: Fabric) -> torch.Tensor:
    clips = detector.normalize(batch.clips.to(fabric.device))
    return detector.vectors(clips, [boxes.to(fabric.device) for boxes in batch.boxes]).float().cpu()


def _of_video(
    video: str, found: Sequence[tuple[PersonBoxes, torch.Tensor]], times: dict[FrameKey, int]
) -> VideoFeatures:
    found = sorted(found, key=lambda each: times[each[0].key])
    counts = [len(persons) for persons, _ in found]
    return VideoFeatures(
        video,
        times=np.repeat(np.array([times[persons.key] for persons, _ in found], dtype=np.int64), counts),
        moments=np.repeat(np.array([persons.key.moment for persons, _ in found], dtype=np.int64), counts),
        boxes=np.concatenate([persons.boxes for persons, _ in found]),
        scores=np.concatenate([persons.scores for persons, _ in found]),
        features=half(torch.cat([vectors for _, vectors in found]).numpy(), of=f"video '{video}'"),
    )


def _packed(video: VideoFeatures) -> Arrays:
    return {name: np.asarray(value) for name, value in vars(video).items()}


def _unpacked(arrays: Arrays) -> VideoFeatures:
    names = ("times", "moments", "boxes", "scores", "features")
    return VideoFeatures(arrays["video"].item(), *(arrays[name] for name in names))


def _finish(
    names: Sequence[str], dataset: EvaluationSet, parts: PartStore[VideoFeatures], out: Path, about: dict[str, str]
) -> BankReport:
    """Put the parts together."""
    faults = parts.faults(names)
    whole = [name for name in names if name not in faults]
    write_feature_bank(out, [parts.get(name) for name in whole], about)
    if not faults:
        parts.remove()
    for note in dataset.notes:
        log_line(note)
    if dataset.missing:
        log_line(f"missing videos: {len(dataset.missing)}, such as '{dataset.missing[0]}'; the bank lacks them")
    bank = FeatureBank(out)
    return BankReport(out, len(bank), len(whole), bank.channels, tuple(faults.values()))
