"""Why a detector says what it says: where and when it looks for an action of a person, as pictures and as a video."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from actiondet.data.transforms import BoxedClip, Frames, WholeFrameTransform
from actiondet.datasets.ava import LIMITS
from actiondet.datasets.classes import find_action
from actiondet.datasets.key_frames import SECOND_US
from actiondet.datasets.tracks import follow_near
from actiondet.engine.loading import TrainedDetector
from actiondet.engine.predict import Scoring
from actiondet.models.gradcam import class_activation
from actiondet.persons.base import PersonDetector
from actiondet.tubes.following import MAX_GAP
from actiondet.tubes.tracking import PersonTracker
from actiondet.video import VideoReader, VideoWriter, nearest_frames, open_video
from actiondet.video.lettering import Lettering
from actiondet.video.picture_sheet import write_picture_sheet
from actiondet.video.pixels import Image
from actiondet.video.windows import ClipWindow
from evaluation.errors import InputError, some
from evaluation.records import FloatArray, FrameKey, IntArray, PersonBoxes

_STRIP_WIDTH = 320
"""Pixels of a picture in a strip."""
_COLUMNS = 4
_SMALLEST = 480
"""Pixels of the short side of the video, at least: letters can be read."""
_SLOWER = 2
"""Times that the video is slower than what it shows."""
_WHITE, _YELLOW = (255, 255, 255), (255, 220, 0)


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Where and when a detector looks for an action of a person.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB, those of the clip.
        times: (T,) seconds from the beginning of the video.
        heat: (T, H, W) float32 from 0 to 1, how much each place speaks for the action.
        boxes: (T, 4) unit boxes of the person.
        person: number of the person.
        action: its name.
        score: of the action.
    """

    frames: Frames
    times: FloatArray
    heat: FloatArray
    boxes: FloatArray
    person: int
    action: str
    score: float

    def __repr__(self) -> str:
        return f"Explanation({self.action} of person {self.person}, {self.score:.2f}, {len(self.frames)} frames)"

    def save_strip(self, path: str | os.PathLike[str], *, font: str | None = None) -> None:
        """Write the frames of the clip side by side as a picture, each with its time and what it speaks for.

        Raises:
            OSError: it cannot be written.
        """
        scale = _STRIP_WIDTH / self.frames.shape[2]
        pictures = [self._drawn(place, scale, font) for place in range(len(self.frames))]
        write_picture_sheet(path, pictures, _COLUMNS)

    def save_video(self, path: str | os.PathLike[str], *, font: str | None = None) -> None:
        """Write the frames of the clip as an mp4, at half their speed.

        Raises:
            InputError: the name does not end in .mp4.
        """
        height, width = self.frames.shape[1:3]
        scale = max(_SMALLEST / min(height, width), 1.0)
        pictures = [self._drawn(place, scale, font) for place in range(len(self.frames))]
        span = float(self.times[-1] - self.times[0])
        rate = (len(self.times) - 1) / span / _SLOWER if span > 0 else 1.0
        high, wide = pictures[0].shape[:2]
        with VideoWriter(path, rate, wide, high) as writer:
            for picture in pictures:
                writer.write(picture)

    def _drawn(self, place: int, scale: float, font: str | None) -> Image:
        """A frame with its heat, the person's box and what it is about."""
        height, width = (max(round(side * scale), 1) for side in self.frames.shape[1:3])
        frame = cv2.resize(self.frames[place], (width, height), interpolation=cv2.INTER_LINEAR)
        heat = cv2.resize(self.heat[place], (width, height), interpolation=cv2.INTER_LINEAR)
        colors = cv2.applyColorMap((heat * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
        share = 0.7 * heat[..., None]
        picture: Image = np.ascontiguousarray((frame * (1 - share) + colors * share).astype(np.uint8))
        x1, y1, x2, y2 = (self.boxes[place] * (width, height, width, height)).round().astype(int).tolist()
        cv2.rectangle(picture, (x1, y1), (x2, y2), _YELLOW, 2)
        lettering = Lettering(max(9.0, height / 36), font)
        lettering.write(picture, f"{self.action} {self.score:.2f}", (6, round(height / 18) + 6), _YELLOW)
        lettering.write(picture, f"{self.times[place]:.2f} s", (6, height - 8), _WHITE)
        return picture


def explain(
    trained: TrainedDetector,
    video: str | os.PathLike[str],
    *,
    at: float,
    persons: PersonDetector,
    person: int | None = None,
    action: str | int | None = None,
    persons_every: float = 0.2,
    device: torch.device | str = "cpu",
    on_look: Callable[[], None] | None = None,
) -> Explanation:
    """Show where and when a detector looks for an action of a person.

    Args:
        trained: the detector.
        video: a video file.
        at: the moment, in seconds from the beginning of the video.
        persons: finds the persons.
        person: its number, as the demo has it, from 0; None takes the only one.
        action: its name or id; None takes the person's best one.
        persons_every: seconds from look to look of the person detector, which follows persons from the beginning.
        device: where the network runs.
        on_look: called after each look.

    Raises:
        InputError: the video cannot be read or ends before the moment, nobody or several are found there, or the
            network knows no such action or has a feature bank.
    """
    actions, config = trained.actions, trained.config
    if trained.network.head.bank is not None:
        raise InputError(
            "the network has a feature bank and scores persons beside what it saw before and after the clip, which one "
            "clip does not show; explain a network without model.head.bank"
        )
    label = None if action is None else find_action(actions, action, key="action", source="the network")
    name = Path(video).stem
    with open_video(video) as reader:
        times = reader.index.frame_times
        moment = round(at * SECOND_US)
        if not 0 <= moment <= times[-1]:
            raise InputError(f"{os.fspath(video)}: lasts {times[-1] / 1e6:.2f} s and has no moment {at:g} s")
        step = max(round(persons_every * SECOND_US), 1)
        seen, identities = _look(reader, name, [*range(0, moment, step), moment], persons, step=step, on_look=on_look)
        place = _choose(identities, person, f"{os.fspath(video)} at {at:g} s")
        chosen = ClipWindow(**dict(config.clip)).choose(times, moment)
        frames, shown = reader.read(chosen), times[chosen]
        after = int(shown[-1])
        if after > moment:
            seen.append(_find(reader, name, after, persons))
    found = next(each for each in seen if each.key.moment == moment)
    tracks = follow_near(seen, moment, shown, LIMITS)
    follows = trained.network.head.follows_tracks
    boxed = BoxedClip.of(frames, tracks if follows else found.boxes)
    clip, pixel_boxes = WholeFrameTransform(short_side=config.test_short_sides[0])(boxed).tensors()
    detector = trained.network.eval().to(device)
    clips = clip[None].to(device)
    scores = Scoring.of(config).score(detector, clips, [pixel_boxes], [found])[0].action_scores[place]
    row = int(scores[actions.columns].argmax()) if label is None else actions.ids.index(label)
    column = int(actions.columns[row])
    heat = class_activation(
        detector, detector.normalize(clips)[0], pixel_boxes.to(device), person=place, column=column
    ).cpu()
    high, wide = frames.shape[1:3]
    sized = torch.nn.functional.interpolate(heat[None], size=(high, wide), mode="bilinear", align_corners=False)[0]
    return Explanation(
        frames=frames,
        times=shown / 1e6,
        heat=sized.clamp(0, 1).numpy(),
        boxes=tracks[place],
        person=int(identities[place]),
        action=actions.names[row],
        score=float(scores[column]),
    )


def _look(
    reader: VideoReader,
    name: str,
    moments: Sequence[int],
    persons: PersonDetector,
    *,
    step: int,
    on_look: Callable[[], None] | None,
) -> tuple[list[PersonBoxes], IntArray]:
    """The persons at some moments, and the numbers of those at the last one."""
    tracker = PersonTracker(max_gap=round(MAX_GAP * SECOND_US / step))
    seen: list[PersonBoxes] = []
    identities = np.zeros(0, dtype=np.int64)
    for moment in moments:
        seen.append(_find(reader, name, moment, persons))
        identities = tracker.update(seen[-1])
        if on_look is not None:
            on_look()
    return seen, identities


def _find(reader: VideoReader, name: str, moment: int, persons: PersonDetector) -> PersonBoxes:
    """The persons in the frame at a moment."""
    frame = reader.read(nearest_frames(reader.index.frame_times, np.array([moment])))[0]
    return persons.detect([frame], [FrameKey(name, moment)])[0]


def _choose(identities: IntArray, person: int | None, where: str) -> int:
    """The place of the person of this number among those that are found."""
    numbers: Sequence[int] = identities.tolist()
    if not numbers:
        raise InputError(f"{where}: nobody is found there; choose another moment or another person detector")
    if person is None:
        if len(numbers) > 1:
            raise InputError(f"{where}: several persons are there; choose one of {some(sorted(numbers), 20)}")
        return 0
    if person not in numbers:
        raise InputError(f"{where}: person {person} is not there; expected one of {some(sorted(numbers), 20)}")
    return numbers.index(person)
