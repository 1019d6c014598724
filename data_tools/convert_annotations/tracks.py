"""Annotations as tracks of persons: who is seen on which of the frames that were looked at, and does what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from data_tools.convert_annotations.annotated import AnnotatedVideo, Remark
from data_tools.convert_annotations.key_frames import Person, persons_at
from evaluation.records import FloatArray, IntArray

# Frames that are farther apart than so many usual distances are not neighbors: in between nobody looked.
_FAR = 1.5


@dataclass(frozen=True, eq=False)
class Stretch:
    """A person on T neighboring frames that were looked at.

    Attributes:
        frames: (T,) rising, from 0.
        boxes: (T, 4) unit boxes.
        actions: T sets of names.
        gone: the frame from which on the person is not seen; it may lie beyond the video.
    """

    frames: IntArray
    boxes: FloatArray
    actions: tuple[frozenset[str], ...]
    gone: int


def stretches_of(video: AnnotatedVideo, names: Mapping[Remark, frozenset[str] | None]) -> dict[int, list[Stretch]]:
    """The stretches of each person by identity; a box of no known track is a person of its own.

    Args:
        video: the annotations.
        names: which actions a remark stands for; None leaves its boxes out.

    Raises:
        InputError: a track that is in two places of one frame.
    """
    frames = video.annotated
    usual = int(np.median(np.diff(frames))) if len(frames) > 1 else 1
    seen: dict[int, list[tuple[int, Person]]] = {}
    unknown = int(video.tracks.max(initial=-1)) + 1
    for place, frame in enumerate(frames.tolist()):
        for person in persons_at(video, frame, names):
            identity = person.identity
            if identity < 0:
                identity, unknown = unknown, unknown + 1
            seen.setdefault(identity, []).append((place, person))
    follows = np.append(np.diff(frames) <= _FAR * usual, False)
    return {
        identity: [
            _stretch(some, frames, bool(follows[some[-1][0]]), usual) for some in _neighboring(found, follows.tolist())
        ]
        for identity, found in seen.items()
    }


def _neighboring(found: list[tuple[int, Person]], follows: list[bool]) -> list[list[tuple[int, Person]]]:
    """Divide where a frame is missing in between."""
    parts: list[list[tuple[int, Person]]] = []
    for place, person in found:
        if parts and parts[-1][-1][0] == place - 1 and follows[place - 1]:
            parts[-1].append((place, person))
        else:
            parts.append([(place, person)])
    return parts


def _stretch(some: list[tuple[int, Person]], frames: IntArray, followed: bool, usual: int) -> Stretch:
    places = [place for place, _ in some]
    last = places[-1]
    return Stretch(
        frames=frames[places],
        boxes=np.array([person.box for _, person in some], dtype=np.float64),
        actions=tuple(person.actions for _, person in some),
        gone=int(frames[last + 1]) if followed else int(frames[last]) + usual,
    )
