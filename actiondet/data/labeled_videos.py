"""Clips of videos that show one action each."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from actiondet.data.loading import Draw, Loaded, Unreadable, side_by_side
from actiondet.data.scaled_frames import ScaledFrames
from actiondet.data.video_transforms import VideoTestTransform, VideoTrainTransform, scaled
from actiondet.datasets.labeled_videos import LabeledVideos
from actiondet.records import PlannedClips, VideoBatch, VideoSample
from actiondet.video import VideoReader
from actiondet.video.pixels import Image
from actiondet.video.sampling import IntArray
from actiondet.video.views import ViewSampling
from evaluation.errors import InputError
from evaluation.records import FrameKey


class VideoDataset(Dataset["VideoSample | Unreadable"]):
    """Clips of labeled videos.

    Attributes:
        videos: what the data set consists of.
    """

    def __init__(self, videos: LabeledVideos, *, sampling: ViewSampling) -> None:
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
            raise InputError(f"{reader.index.path}: has {there} frames, the list says {promised}; correct it")
        return promised


class TrainVideos(VideoDataset):
    """A random clip of each video, or several of the same frames."""

    def __init__(
        self,
        videos: LabeledVideos,
        *,
        sampling: ViewSampling,
        transform: VideoTrainTransform,
        seed: int,
        strides: tuple[int, int] | None = None,
        repeats: int = 1,
        clips_per_video: int = 1,
    ) -> None:
        """Keep the parts.

        Args:
            videos: see the class.
            sampling: which frames make a clip.
            transform: what happens to them.
            seed: with epoch and index, it decides everything random about a sample.
            strides: smallest and largest stride of a clip, instead of that of `sampling`.
            repeats: clips of the same frames, each with a transform of its own.
            clips_per_video: clips of other frames, as often repeated each.
        """
        super().__init__(videos, sampling=sampling)
        self._transform = transform
        self._seed = seed
        self._strides = strides
        self._repeats, self._clips_per_video = repeats, clips_per_video

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
        rate = float(reader.index.rate)
        windows = [sampling.draw(count, rate=rate, random=random) for _ in range(self._clips_per_video)]
        read = np.split(reader.read(np.concatenate(windows)), len(windows))
        clips = side_by_side([transform(frames, random) for frames in read for _ in range(self._repeats)])
        return VideoSample(clips, int(self.videos.labels[draw.index]), video=draw.index, first_view=0)


class VideoViews(VideoDataset):
    """The same views of each video every time; a draw is one clip with all of its crops."""

    def __init__(
        self, videos: LabeledVideos, *, sampling: ViewSampling, transform: VideoTestTransform, clips: int
    ) -> None:
        """Keep the parts; `clips` of each video, the rest as in TrainVideos."""
        super().__init__(videos, sampling=sampling)
        self._transform = transform
        self.clips = clips
        self.views_per_video = clips * transform.crops
        self._frames = ScaledFrames(partial(_scaled_frames, short_side=transform.short_side))

    def __len__(self) -> int:
        return len(self.videos.names) * self.clips

    def _video_of(self, draw: Draw) -> int:
        return draw.index // self.clips

    def __getitems__(self, draws: Sequence[Draw]) -> list[VideoSample | Unreadable]:
        """The samples of a batch; a frame that clips of a video share is read once (DataLoader calls this)."""
        samples: list[VideoSample | Unreadable] = []
        for video, same_video in groupby(draws, self._video_of):
            run = list(same_video)
            with suppress(InputError, OSError):  # each sample says what is wrong with its own frames
                reader = self.videos.sources.reader(self.videos.names[video])
                windows = self._windows(video, reader)
                self._frames.expect(reader, [windows[draw.index % self.clips] for draw in run])
            samples += map(self.__getitem__, run)
        return samples

    def _windows(self, video: int, reader: VideoReader) -> IntArray:
        """(clips, T) numbers of the frames of each clip."""
        count = self._count(video, reader)
        return self._sampling.views(count, rate=float(reader.index.rate), clips=self.clips)

    def _sample(self, draw: Draw, reader: VideoReader) -> VideoSample:
        video, clip = divmod(draw.index, self.clips)
        frames = self._frames.of(reader, self._windows(video, reader)[clip])
        views = self._transform.crop(torch.cat(frames))
        return VideoSample(views, int(self.videos.labels[video]), video=video, first_view=clip * len(views))


def _joined(views: Sequence[Tensor | PlannedClips]) -> Tensor | PlannedClips:
    planned = [each for each in views if isinstance(each, PlannedClips)]
    return PlannedClips.joined(planned) if planned else torch.cat([each for each in views if isinstance(each, Tensor)])


def _scaled_frames(frames: Image, short_side: int) -> tuple[Tensor, ...]:
    return torch.split(scaled(frames, short_side), 1)


def collate_videos(samples: Sequence[VideoSample | Unreadable]) -> Loaded[VideoBatch]:
    """Put the views of several videos side by side."""
    good = [sample for sample in samples if isinstance(sample, VideoSample)]
    unreadable = tuple(sample for sample in samples if isinstance(sample, Unreadable))
    if not good:
        return Loaded((), unreadable)
    counts = torch.tensor([len(sample.clips) for sample in good])
    batch = VideoBatch(
        clips=_joined([sample.clips for sample in good]),
        labels=torch.tensor([sample.label for sample in good]).repeat_interleave(counts),
        videos=torch.tensor([sample.video for sample in good]).repeat_interleave(counts),
        views=torch.cat([sample.first_view + torch.arange(len(sample.clips)) for sample in good]),
    )
    return Loaded((batch,), unreadable)
