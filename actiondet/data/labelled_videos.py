"""Data sets of videos that show one action each: Kinetics, UCF101, lists of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from actiondet.config.recognition import VideoClipConfig, VideoDataConfig, VideoTransformConfig
from actiondet.data.loading import Draw, Loaded, Unreadable
from actiondet.data.video_transforms import VideoTestTransform, VideoTrainTransform
from actiondet.datasets.sources import ReaderPool, locate_videos
from actiondet.datasets.video_lists import Part, VideoListing, bare_names, list_videos
from actiondet.records import VideoBatch, VideoSample
from actiondet.video import VideoIndex, VideoReader, open_video
from actiondet.video.cached_reader import CachedReader, MemoryBudget
from actiondet.video.kept_index import KeptIndices
from actiondet.video.sampling import IntArray
from actiondet.video.views import ViewSampling
from evaluation.errors import InputError
from evaluation.records import FrameKey


@dataclass(frozen=True, eq=False)
class LabelledVideos:
    """The videos of one part of a data set, found on the disk.

    Attributes:
        names: (N) as the list has them.
        labels: (N,) from 0.
        frames: (N,) how many frames the list promises, or None.
        classes: names of the labels.
        sources: where the frames come from, by `names`.
        missing: videos of the list that are not there and take no part (only where the settings allow it).
    """

    names: tuple[str, ...]
    labels: IntArray
    frames: IntArray | None
    classes: tuple[str, ...]
    sources: ReaderPool
    missing: tuple[str, ...]


def find_labelled_videos(data: VideoDataConfig, part: Part, *, num_classes: int) -> LabelledVideos:
    """List the videos of `part` and find their files.

    Raises:
        InputError: lists that are missing, faulty or of other classes than the network; videos that are missing.
    """
    listing = list_videos(data, part)
    classes = listing.classes or tuple(map(str, range(num_classes)))
    _check_labels(listing, len(classes), num_classes)
    pictures = data.pictures is not None
    bare = bare_names(data, listing.names)
    found, _ = locate_videos(
        data.videos,
        bare.values(),
        pictures=pictures,
        skip_missing=data.unreadable == "skip",
        listed_in=f"{listing.source}: ",
    )
    paths = {name: found[bare[name]] for name in listing.names if bare[name] in found}
    there = np.array([name in paths for name in listing.names])
    return LabelledVideos(
        names=tuple(name for name in listing.names if name in paths),
        labels=listing.labels[there],
        frames=None if listing.frames is None else listing.frames[there],
        classes=classes,
        sources=_open_lazily(data, paths),
        missing=tuple(dict.fromkeys(name for name in listing.names if name not in paths)),
    )


def _check_labels(listing: VideoListing, named: int, num_classes: int) -> None:
    if named != num_classes:
        raise InputError(
            f"model.num_classes is {num_classes}, but {listing.classes_source} has {named} classes; "
            f"set model.num_classes={named}, or give the classes that belong to the model"
        )
    wrong = np.flatnonzero(listing.labels >= num_classes)
    if len(wrong):
        place = f"{listing.source}, line {listing.lines[wrong[0]]}"
        raise InputError(
            f"{place}: label {listing.labels[wrong[0]]} of '{listing.names[wrong[0]]}' is out of range; "
            f"expected 0 to {num_classes - 1} (model.num_classes {num_classes}); {len(wrong)} such lines"
        )


def _open_lazily(data: VideoDataConfig, paths: Mapping[str, Path]) -> ReaderPool:
    make: Callable[..., VideoReader] = partial(open_video, reader=data.reader, pictures=data.pictures)
    if data.keep_gib:
        make = partial(_kept, make_reader=make, room=MemoryBudget(int(data.keep_gib * 2**30)))
    return ReaderPool(paths, make, kept=KeptIndices(data.videos) if data.pictures is None else None)


def _kept(
    path: Path, *, make_reader: Callable[..., VideoReader], room: MemoryBudget, **known: VideoIndex | None
) -> VideoReader:
    return CachedReader(make_reader(path, **known), room)


def view_sampling(clip: VideoClipConfig) -> ViewSampling:
    """How clips are taken from a video, as the settings say."""
    return ViewSampling(frames=clip.frames, stride=clip.stride, rule=clip.sampling, target_fps=clip.target_fps)


class VideoDataset(Dataset["VideoSample | Unreadable"]):
    """Clips of labelled videos.

    Attributes:
        videos: what the data set consists of.
    """

    def __init__(self, videos: LabelledVideos, *, sampling: ViewSampling) -> None:
        self.videos = videos
        self._sampling = sampling

    def __len__(self) -> int:
        return len(self.videos.names)

    def __getitem__(self, draw: Draw) -> VideoSample | Unreadable:
        """The sample that `draw` asks for; an Unreadable where its video fails."""
        video = self._video_of(draw)
        name = self.videos.names[video]
        try:
            return self._sample(draw, self.videos.sources.reader(name))
        except (InputError, OSError) as fault:
            self.videos.sources.forget(name)
            return Unreadable(FrameKey(name, 0), str(fault))

    def _video_of(self, draw: Draw) -> int:
        return draw.index

    def _sample(self, draw: Draw, reader: VideoReader) -> VideoSample:
        raise NotImplementedError

    def _count(self, video: int, reader: VideoReader) -> int:
        """How many frames count: as many as the list says, if it says so."""
        there = len(reader.index)
        if self.videos.frames is None:
            return there
        promised = int(self.videos.frames[video])
        if not 0 < promised <= there:
            raise InputError(f"{reader.index.path}: has {there} frames, its list says {promised}; mend the list")
        return promised


class TrainVideos(VideoDataset):
    """A random clip of each video, or several of the same frames."""

    def __init__(
        self,
        videos: LabelledVideos,
        *,
        sampling: ViewSampling,
        transform: VideoTrainTransform,
        seed: int,
        strides: tuple[int, int] | None = None,
        repeats: int = 1,
    ) -> None:
        """Keep the parts.

        Args:
            videos: see the class.
            sampling: which frames make a clip.
            transform: what happens to them.
            seed: with epoch and index, it decides everything random about a sample.
            strides: smallest and largest stride of a clip, instead of that of `sampling`.
            repeats: clips of the same frames, each with a transform of its own.
        """
        super().__init__(videos, sampling=sampling)
        self._transform = transform
        self._seed = seed
        self._strides = strides
        self._repeats = repeats

    def _sample(self, draw: Draw, reader: VideoReader) -> VideoSample:
        random = np.random.default_rng((self._seed, draw.epoch, draw.index, draw.repeat))
        count = self._count(draw.index, reader)
        sampling, transform = self._sampling, self._transform
        if self._strides is not None:
            sampling = replace(sampling, stride=int(random.integers(*self._strides, endpoint=True)))
        if (shape := draw.shape) is not None:
            stride = int(random.integers(*shape.strides, endpoint=True))
            sampling = replace(sampling, frames=shape.frames, stride=stride)
            transform = replace(transform, side=shape.side, short_side=shape.short_side)
        chosen = sampling.draw(count, rate=float(reader.index.rate), random=random)
        frames = reader.read(chosen)
        clips = torch.stack([transform(frames, random) for _ in range(self._repeats)])
        return VideoSample(clips, int(self.videos.labels[draw.index]), video=draw.index, first_view=0)


class VideoViews(VideoDataset):
    """The same views of each video every time; a draw is one clip with all of its crops."""

    def __init__(
        self, videos: LabelledVideos, *, sampling: ViewSampling, transform: VideoTestTransform, clips: int
    ) -> None:
        """Keep the parts; `clips` of each video, the rest as in TrainVideos."""
        super().__init__(videos, sampling=sampling)
        self._transform = transform
        self.clips = clips
        self.views_per_video = clips * transform.crops

    def __len__(self) -> int:
        return len(self.videos.names) * self.clips

    def _video_of(self, draw: Draw) -> int:
        return draw.index // self.clips

    def _sample(self, draw: Draw, reader: VideoReader) -> VideoSample:
        video, clip = divmod(draw.index, self.clips)
        count = self._count(video, reader)
        chosen = self._sampling.views(count, rate=float(reader.index.rate), clips=self.clips)[clip]
        views = self._transform(reader.read(chosen))
        return VideoSample(views, int(self.videos.labels[video]), video=video, first_view=clip * len(views))


def build_train_videos(
    data: VideoDataConfig, *, clip: VideoClipConfig, transform: VideoTransformConfig, num_classes: int, seed: int
) -> TrainVideos:
    """Build the training part of a data set of videos; faults as in `find_labelled_videos`."""
    return TrainVideos(
        find_labelled_videos(data, "train", num_classes=num_classes),
        sampling=view_sampling(clip),
        transform=VideoTrainTransform(
            short_side=transform.train_short_side,
            crop=transform.crop,
            side=transform.train_crop,
            area=transform.area,
            aspect=transform.aspect,
            scale=transform.scale,
            flip=transform.flip,
            per_frame=transform.per_frame,
        ),
        seed=seed,
        strides=clip.train_strides,
        repeats=transform.repeats,
    )


def collate_videos(samples: Sequence[VideoSample | Unreadable]) -> Loaded[VideoBatch]:
    """Put the views of several videos side by side."""
    good = [sample for sample in samples if isinstance(sample, VideoSample)]
    unreadable = tuple(sample for sample in samples if isinstance(sample, Unreadable))
    if not good:
        return Loaded((), unreadable)
    counts = torch.tensor([len(sample.clips) for sample in good])
    batch = VideoBatch(
        clips=torch.cat([sample.clips for sample in good]),
        labels=torch.tensor([sample.label for sample in good]).repeat_interleave(counts),
        videos=torch.tensor([sample.video for sample in good]).repeat_interleave(counts),
        views=torch.cat([sample.first_view + torch.arange(len(sample.clips)) for sample in good]),
    )
    return Loaded((batch,), unreadable)
