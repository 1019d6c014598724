"""Key moments of annotated videos, and who does what at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actiondet.video.sampling import nearest_frames
from data_tools.convert_annotations.annotated import AnnotatedVideo, Remark
from data_tools.convert_annotations.clips import Clip
from evaluation.errors import InputError
from evaluation.records import FloatArray, IntArray

# Five decimals of a unit box are a hundredth of a pixel.
_DECIMALS = 5


@dataclass(frozen=True)
class Person:
    """A person at a key moment: unit box, identity in the video (-1 unknown), actions (none: does nothing named)."""

    box: tuple[float, float, float, float]
    identity: int
    actions: frozenset[str]


@dataclass(frozen=True, eq=False)
class VideoMoments:
    """The key moments of one video.

    Attributes:
        video: its name.
        source: the annotation file.
        persons: everybody at every annotated moment, which is in microseconds after the first frame.
        unseen: moments of the same rate at which nobody annotated.
    """

    video: str
    source: str
    persons: Mapping[int, tuple[Person, ...]]
    unseen: tuple[int, ...]


def find_moments(
    videos: Sequence[AnnotatedVideo],
    clips: Sequence[Clip],
    names: Mapping[Remark, frozenset[str] | None],
    *,
    every: float | None,
) -> list[VideoMoments]:
    """Choose the key moments of each video and gather who is there.

    Args:
        videos: the annotations.
        clips: when the frames of each are shown.
        names: which actions a remark stands for; None leaves its boxes out.
        every: seconds between key moments, the first one being the first frame; None: every annotated frame is one.

    Raises:
        InputError: a video without a key moment, or a person who is in two places at one.
    """
    result = []
    for video, clip in zip(videos, clips, strict=True):
        instants, frames = _instants(clip.frame_times, video.annotated, every)
        seen = np.isin(frames, video.annotated)
        if not seen.any():
            some = ", ".join(map(str, video.annotated[:5]))
            raise InputError(
                f"{video.source}: none of the frames nearest to every {every:g} s of video '{video.name}' is annotated "
                f"(annotated: {some} ...); pass --every annotated to make each annotated frame a key frame, "
                "or --first-frame if frames count from another number"
            )
        persons = {
            int(instant): persons_at(video, int(frame), names)
            for instant, frame in zip(instants[seen], frames[seen], strict=True)
        }
        result.append(VideoMoments(video.name, video.source, persons, tuple(instants[~seen].tolist())))
    return result


def _instants(frame_times: IntArray, annotated: IntArray, every: float | None) -> tuple[IntArray, IntArray]:
    """Key moments in microseconds, and the frame that shows each."""
    if every is None:
        frames = annotated[annotated < len(frame_times)]
        return frame_times[frames], frames
    step = round(every * 1e6)
    instants = np.arange(0, int(frame_times[-1]) + 1, step, dtype=np.int64)
    return instants, nearest_frames(frame_times, instants)


def persons_at(video: AnnotatedVideo, frame: int, names: Mapping[Remark, frozenset[str] | None]) -> tuple[Person, ...]:
    """Everybody on one frame; boxes of one track, and boxes in the very same place, are one person.

    Raises:
        InputError: a track that is in two places.
    """
    begin, end = np.searchsorted(video.frames, [frame, frame + 1])
    found: dict[tuple[float, ...], Person] = {}
    place_of: dict[int, tuple[float, ...]] = {}
    for row in range(begin, end):
        actions = names[video.remarks[row]]
        if actions is None:
            continue
        track = int(video.tracks[row])
        x1, y1, x2, y2 = np.round(video.boxes[row], _DECIMALS).tolist()
        box = (x1, y1, x2, y2)
        if track >= 0 and place_of.setdefault(track, box) != box:
            raise InputError(
                f"{video.source}: in video '{video.name}', frame {frame}, track {track} is in two places; expected one "
                "box of a track on a frame"
            )
        before = found.get(box)
        if before is not None:
            actions |= before.actions
            track = min((t for t in (before.identity, track) if t >= 0), default=-1)
        found[box] = Person(box, track, actions)
    return tuple(sorted(found.values(), key=lambda person: (person.identity, person.box)))


def boxes_of(persons: Sequence[Person]) -> FloatArray:
    """(P, 4) unit boxes."""
    return np.array([person.box for person in persons], dtype=np.float64).reshape(-1, 4)


def occurrences(videos: Sequence[VideoMoments]) -> Iterator[tuple[str, str]]:
    """Yield (video, action) once for each person who does it at a moment."""
    for video in videos:
        for persons in video.persons.values():
            for person in persons:
                for action in person.actions:
                    yield video.video, action
