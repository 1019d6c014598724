"""Clips of videos that show one action each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset

from actiondet.data.loading import Draw, Loaded, Unreadable
from actiondet.data.video_transforms import VideoTestTransform, VideoTrainTransform
from actiondet.datasets.labelled_videos import LabelledVideos
from actiondet.records import VideoBatch, VideoSample
from actiondet.video import VideoReader
from actiondet.video.views import ViewSampling
from evaluation.errors import InputError
from evaluation.records import FrameKey


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
