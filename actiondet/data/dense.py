"""Many moments of each video: every frame is decoded and resized once for all the clips that contain it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from actiondet.data.loading import prepare_worker
from actiondet.data.resized_frames import joined_frames, resized_frame
from actiondet.datasets.feature_bank import BankReader
from actiondet.datasets.tables import PersonTable
from actiondet.datasets.tracks import Tracks
from actiondet.records import ClipBatch, ClipMemory
from actiondet.video import index_video
from actiondet.video.clip_stream import TOLERANCE_US, stream_windows
from actiondet.video.kept_index import KeptIndices
from actiondet.video.windows import ClipWindow, frame_time
from evaluation.boxes import unit_to_pixel
from evaluation.errors import InputError
from evaluation.records import FloatArray, FrameKey


@dataclass(frozen=True, eq=False, repr=False)
class VideoMoments:
    """The moments of one video at which the network is to look.

    Attributes:
        video: its name.
        path: its file.
        persons: the persons at each moment, frames rising, at least one person each.
    """

    video: str
    path: Path
    persons: PersonTable


@dataclass(frozen=True)
class VideoEnd:
    """What a video's clips are followed by.

    Attributes:
        video: its name.
        late: moments a little beyond the end of the file, whose clips show its last frames.
        beyond: moments far beyond it, which have no clip.
        fault: why the video could not be read to its end; "" if it could.
    """

    video: str
    late: int = 0
    beyond: int = 0
    fault: str = ""


def video_moments(persons: PersonTable, paths: dict[str, Path]) -> list[VideoMoments]:
    """Divide the moments of many videos, which rise by video and frame, by video."""
    keys = persons.keys_in_order
    starts = np.flatnonzero(np.diff(keys.video, prepend=-1))
    return [
        VideoMoments(name := keys.names[keys.video[start]], paths[name], persons.part(int(start), int(stop)))
        for start, stop in zip(starts, [*starts[1:], len(keys)], strict=True)
    ]


class DenseClips(IterableDataset["tuple[ClipBatch, ...] | VideoEnd"]):
    """The clips of some videos in batches of one video each; after a video's last batch comes its VideoEnd.

    A batch of moments comes as one ClipBatch for each size.
    """

    def __init__(
        self,
        videos: Sequence[VideoMoments],
        *,
        window: ClipWindow,
        short_sides: Sequence[int],
        batch: int,
        kept: KeptIndices | None = None,
        tracks: Tracks | None = None,
        bank: BankReader | None = None,
    ) -> None:
        """Keep the parts.

        Args:
            videos: what to look at; each worker process of a loader takes its share of them.
            window: which frames make a clip.
            short_sides: of the clips of each moment, in pixels.
            batch: moments side by side.
            kept: indices of the videos that earlier runs have made.
            tracks: who is where, to give every person a box for each frame; None gives one.
            bank: what the network remembers; None for one that remembers nothing.
        """
        self._videos, self._kept, self._tracks, self._bank = list(videos), kept, tracks, bank
        self._window, self._batch = window, batch
        self._resize = partial(resized_frame, short_sides=tuple(short_sides))

    def __iter__(self) -> Iterator[tuple[ClipBatch, ...] | VideoEnd]:
        worker = get_worker_info()
        mine = self._videos if worker is None else self._videos[worker.id :: worker.num_workers]
        for video in mine:
            yield from self._clips(video)

    def _clips(self, video: VideoMoments) -> Iterator[tuple[ClipBatch, ...] | VideoEnd]:
        late = beyond = 0
        try:
            known = None if self._kept is None else self._kept.find(video.path)
            index = known or index_video(video.path)
            numbers = video.persons.keys_in_order.moment.tolist()
            centers = [frame_time(index.frame_times, number) for number in numbers]
            end = int(index.frame_times[-1])
            inside = [place for place, center in enumerate(centers) if -TOLERANCE_US <= center <= end + TOLERANCE_US]
            beyond = len(centers) - len(inside)
            late = sum(numbers[place] > len(index) for place in inside)
            windows = [self._window.choose(index.frame_times, centers[place]) for place in inside]
            tracks = None if self._tracks is None else self._tracks.through(video.video)
            waiting: list[SeenMoment] = []
            for number, frames in stream_windows(index, windows, resize=self._resize):
                persons = video.persons.at(inside[number])
                boxes = persons.boxes if tracks is None else tracks.at(persons.key.moment, windows[number] + 1)
                memory = None
                if self._bank is not None:
                    memory = ClipMemory(*map(torch.from_numpy, self._bank.around(video.video, centers[inside[number]])))
                waiting.append(SeenMoment(persons.key, joined_frames(frames), boxes, memory))
                if len(waiting) == self._batch:
                    yield _batches(waiting)
                    waiting = []
            if waiting:
                yield _batches(waiting)
        except (InputError, OSError) as fault:
            yield VideoEnd(video.video, fault=str(fault))
        else:
            yield VideoEnd(video.video, late=late, beyond=beyond)


class SeenMoment(NamedTuple):
    """Clips (3, T, h, w) of a moment, one of each size, and the unit boxes (P, 4) or (P, T, 4) of its persons.

    Attributes:
        memory: what is remembered around it, if anything is.
    """

    key: FrameKey
    clips: tuple[torch.Tensor, ...]
    boxes: FloatArray
    memory: ClipMemory | None


def _batches(moments: Sequence[SeenMoment]) -> tuple[ClipBatch, ...]:
    """The clips of one size side by side, for each size."""
    return tuple(
        ClipBatch(
            clips=torch.stack(of_size),
            boxes=[torch.from_numpy(unit_to_pixel(each.boxes, *_width_and_height(of_size[0]))) for each in moments],
            labels=None,
            keys=[each.key for each in moments],
            memories=[each.memory for each in moments if each.memory is not None] or None,
        )
        for of_size in zip(*(each.clips for each in moments), strict=True)
    )


def _width_and_height(clip: torch.Tensor) -> tuple[int, int]:
    return clip.shape[-1], clip.shape[-2]


def build_dense_loader(clips: DenseClips, *, workers: int) -> DataLoader[tuple[ClipBatch, ...] | VideoEnd]:
    """Read in `workers` processes (0: in this one), which take the videos in turn."""
    return DataLoader(
        clips,
        batch_size=None,
        num_workers=workers,
        pin_memory=False,
        worker_init_fn=prepare_worker,
    )
