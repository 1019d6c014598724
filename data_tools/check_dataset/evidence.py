"""What the pictures of one video say of its boxes: where something moves, or was not there a moment before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from actiondet.config.data_sets import FrameFolderConfig
from actiondet.video import VideoReader, nearest_frames, open_video
from data_tools.check_dataset.readings import CLOCKS, PLACES, WINDOW
from evaluation.records import FloatArray, IntArray

Picture = npt.NDArray[np.float32]

AS_THEY_ARE = "as they are"
NAMES = (AS_THEY_ARE, *PLACES, *CLOCKS)
"""The readings whose fit is measured, in the order of the columns."""

_SIDE = 32
# Coding changes a pixel by less, and more does not count more (of 255).
_NOISE, _MOST = 6.0, 40.0
# Seconds before and after a moment at which two pictures are compared.
_APART = 0.1
# Pictures in memory at once; those of films are large.
_AT_ONCE = 16
# A longer video is not read at moments far from its key moments unless its times are in doubt: every such picture
# takes a jump, and the decoding of what lies between a keyframe and it.
_SHORT = 40.0
# The spread of a thumbnail of one color, and the largest difference of two of the same picture, coded twice.
_BLANK, _SAME = 2.0, 8.0


@dataclass(frozen=True, eq=False)
class FilmJob:
    """Moments of one video.

    Attributes:
        video: its name.
        path: its file or folder.
        pictures: layout of the folder; None: it is a file.
        instants: (K,) rising, in microseconds after the first frame.
        boxes: K arrays (P, 4) of unit boxes.
    """

    video: str
    path: Path
    pictures: FrameFolderConfig | None
    instants: IntArray
    boxes: Sequence[FloatArray]


@dataclass(frozen=True, eq=False)
class FilmEvidence:
    """How well the boxes of a video fit its pictures.

    Attributes:
        job: what was looked at.
        fits: (K, len(NAMES)) correlations of the boxes, read in each way, with where something happens; NaN where
            nothing does, or the video has no picture.
        activity: (K, S, S) where something happens at each moment.
        blank: (K,) the picture has one color.
        again: (K,) the picture is that of the moment before.
        fault: why the pictures cannot be read, None if they can.
    """

    job: FilmJob
    fits: FloatArray
    activity: Picture
    blank: npt.NDArray[np.bool_]
    again: npt.NDArray[np.bool_]
    fault: str | None = None


def gather(job: FilmJob) -> FilmEvidence:
    """Read the pictures around the moments of one video and hold the boxes against them.

    Something happens at a pixel that differs between 0.1 s before and after the moment, or between the moment and
    the median of the 3 s before and after it. The first shows movement, the second also people who pause.
    """
    count = len(job.instants)
    fits = np.full((count, len(NAMES)), np.nan)
    activity = np.zeros((count, _SIDE, _SIDE), np.float32)
    blank, again = np.zeros((2, count), np.bool_)
    try:
        with open_video(job.path, reader="pyav", pictures=job.pictures) as reader:
            pictures = _Pictures(reader)
            centers = pictures.nearest(job.instants)
            pictures.load(centers)
            shown = np.stack([pictures.small[number] for number in centers.tolist()])
            blank = shown.std(axis=(1, 2)) < _BLANK
            again[1:] = np.abs(np.diff(shown, axis=0)).max(axis=(1, 2)) < _SAME
            _fill(job, pictures, fits, activity)
    except Exception as fault:  # whatever a decoder raises is a fault of the file
        return FilmEvidence(job, fits, activity, blank, again, str(fault) or type(fault).__name__)
    return FilmEvidence(job, fits, activity, blank, again)


def _fill(job: FilmJob, pictures: _Pictures, fits: FloatArray, activity: Picture) -> None:
    """Fill in the fits and the activity of every moment."""
    clocks = np.array([(1.0, 0.0), *CLOCKS.values()])
    wanted = np.rint(job.instants[:, None] * clocks[:, 0] + clocks[:, 1] * 1e6).astype(np.int64)
    near = np.abs(wanted - job.instants[:, None]) <= WINDOW * 1e6
    inside = (wanted >= 0) & (wanted <= pictures.times[-1])
    columns = np.array([0, *range(1 + len(PLACES), len(NAMES))])  # of the readings as they are, on each clock
    pictures.load_around(wanted[near & inside])
    own = [_mask(boxes) for boxes in job.boxes]
    backgrounds = [
        np.median([pictures.small[n] for n in np.unique(pictures.nearest(times[use]))], axis=0) if use.any() else None
        for times, use in zip(wanted, near & inside, strict=True)
    ]
    # Boxes that stay where they are cannot show the time: what happens there more at another time is not evidence.
    usual = np.mean(own, axis=0) if len(own) >= 3 else None
    for row, background in enumerate(backgrounds):
        for place in np.flatnonzero(near[row] & inside[row]):
            happens = pictures.activity(int(wanted[row, place]), background)
            fit = correlation(own[row], happens)
            if place and usual is not None:
                fit -= max(0.0, correlation(usual, happens) - correlation(usual, activity[row]))
            fits[row, columns[place]] = fit
            if place == 0:
                activity[row] = happens
                fits[row, 1 : 1 + len(PLACES)] = [
                    correlation(_mask(read(job.boxes[row])), happens) for read in PLACES.values()
                ]
    if pictures.times[-1] > _SHORT * 1e6 and _is_in_time(fits):
        return
    pictures.load_around(wanted[~near & inside])
    for row, place in np.argwhere(~near & inside):
        fits[row, columns[place]] = correlation(own[row], pictures.activity(int(wanted[row, place]), None))


def _is_in_time(fits: FloatArray) -> bool:
    """Whether the boxes fit clearly better at their own times than seconds before and after."""
    far = [1 + len(PLACES) + place for place, (_, shift) in enumerate(CLOCKS.values()) if abs(shift) >= 2]
    gain = fits[:, 0] - np.nan_to_num(fits[:, far]).mean(axis=1)
    gain = gain[np.isfinite(gain)]
    return len(gain) > 1 and bool(gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(len(gain)))


class _Pictures:
    """Small gray pictures of a video, each read once."""

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self.times = reader.index.frame_times
        self.small: dict[int, Picture] = {}
        self._apart = max(1, round(_APART * float(reader.index.rate)))

    def nearest(self, instants: IntArray) -> IntArray:
        """Numbers of the frames shown at `instants`."""
        return nearest_frames(self.times, instants)

    def _around(self, numbers: IntArray) -> tuple[IntArray, IntArray]:
        return np.maximum(numbers - self._apart, 0), np.minimum(numbers + self._apart, len(self.times) - 1)

    def load_around(self, instants: IntArray) -> None:
        """Read what `activity` needs at `instants`."""
        numbers = self.nearest(instants)
        self.load(np.concatenate([numbers, *self._around(numbers)]))

    def load(self, numbers: IntArray) -> None:
        """Read frames by number."""
        lacking = [number for number in np.unique(numbers).tolist() if number not in self.small]
        for begin in range(0, len(lacking), _AT_ONCE):
            batch = lacking[begin : begin + _AT_ONCE]
            for number, frame in zip(batch, self._reader.read(batch), strict=True):
                gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
                self.small[number] = cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)

    def activity(self, instant: int, background: Picture | None) -> Picture:
        """(S, S) how much happens at `instant`, against a background if there is one."""
        number = self.nearest(np.array([instant]))
        before, after = (self.small[int(each[0])] for each in self._around(number))
        happens: Picture = np.clip(np.abs(after - before) - _NOISE, 0, _MOST)
        if background is not None:
            happens = happens + np.clip(np.abs(self.small[int(number[0])] - background) - _NOISE, 0, _MOST)
        return happens


def _mask(boxes: FloatArray) -> FloatArray:
    """(S, S) 1.0 where a pixel's middle lies in a box."""
    centers = (np.arange(_SIDE) + 0.5) / _SIDE
    across = (boxes[:, 0, None] <= centers) & (centers <= boxes[:, 2, None])
    down = (boxes[:, 1, None] <= centers) & (centers <= boxes[:, 3, None])
    covered: FloatArray = np.asarray((down[:, :, None] & across[:, None, :]).any(axis=0), dtype=np.float64)
    return covered


def correlation(mask: FloatArray, happens: Picture) -> float:
    """Of a mask and what happens; NaN where nothing does, 0 where the mask covers everything or nothing."""
    if happens.std() == 0:
        return float("nan")
    if mask.std() == 0:
        return 0.0
    return float(np.corrcoef(mask.reshape(-1), happens.reshape(-1))[0, 1])


def fit_of(boxes: Sequence[FloatArray], activity: Picture) -> float:
    """The mean correlation of boxes with what happens, moment by moment; 0 where nothing does."""
    fits = [correlation(_mask(b), happens) for b, happens in zip(boxes, activity, strict=False)]
    known = [fit for fit in fits if np.isfinite(fit)]
    return float(np.mean(known)) if known else 0.0
