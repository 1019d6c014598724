"""Do people move where the boxes are? Tells times and boxes that fit each other, but not the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from actiondet.config.schema import FrameFolderConfig
from actiondet.video import nearest_frames, open_video
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.readings import READINGS, Reading
from data_tools.check_dataset.rows import BOX
from data_tools.check_dataset.videos import spread
from data_tools.workers import results_in_order
from evaluation.records import FloatArray, IntArray

# Key moments that are looked at, of a part and of a video.
_MOMENTS, _OF_VIDEO = 160, 12
_SIDE = 32
# Coding changes a pixel by less (of 255).
_NOISE = 6.0
# Seconds before and after a moment at which two pictures are compared.
_APART = 0.1
# Another reading must explain the motion so well, so much better, and so surely (standard errors of the mean).
_EXPLAINS, _BETTER, _SURE = 0.15, 1.25, 4.5
_FEWEST = 12
# Pictures in memory at once; those of films are large.
_AT_ONCE = 16

_READINGS: dict[str, Reading] = {"as they are": lambda b: b, **READINGS}
# (factor, seconds): what is annotated at t is to be seen at factor * t + seconds.
_CLOCKS: dict[str, tuple[float, float]] = {
    "1 s later": (1, 1),
    "1 s earlier": (1, -1),
    "half a second later": (1, 0.5),
    "half a second earlier": (1, -0.5),
    "at 25/30 of the time": (25 / 30, 0),
    "at 30/25 of the time": (30 / 25, 0),
    "at 24/30 of the time": (24 / 30, 0),
    "at 30/24 of the time": (30 / 24, 0),
}
_NAMES = (*_READINGS, *_CLOCKS)


@dataclass(frozen=True, eq=False)
class _Job:
    """Moments of one video: (K,) microseconds after its first frame, and the boxes of each."""

    path: Path
    pictures: FrameFolderConfig | None
    instants: IntArray
    boxes: Sequence[FloatArray]


def check_motion(
    path: str,
    table: pd.DataFrame,
    instants: IntArray,
    videos: Mapping[str, Path],
    pictures: FrameFolderConfig | None,
    processes: int,
    report: Report,
) -> None:
    """Compare where pictures change with the boxes, as they are and read in other ways.

    Args:
        path: the truth, for messages.
        table: its boxes, columns video, x1 ... y2.
        instants: (N,) when each is to be seen, in microseconds after the first frame of its video.
        videos: files or folders of those that can be read.
        pictures: layout of the folders; None: they are files.
        processes: videos that are read side by side.
        report: takes what is found.
    """
    jobs = _choose(table, instants, videos, pictures)
    fits = results_in_order(_fit, jobs, processes if len(jobs) > 3 else 1)
    if not fits:
        return
    every = np.concatenate(fits)
    found = _better_reading(every)
    if found is None:
        return
    name, shown, now = found
    agree = f"boxes and motion then correlate by {shown:.2f}, as they are by {now:.2f} ({len(every)} moments)"
    if name in _CLOCKS:
        report.error(
            "motion-at-other-time",
            path,
            f"people move where the boxes are, but {name} in the videos: {agree}",
            "mend the times, data.start or the rate at which the videos were cut",
        )
    else:
        report.error(
            "motion-elsewhere",
            path,
            f"people move where the boxes would be if they were read as {name}: {agree}",
            "expected boxes x1,y1,x2,y2 as fractions of these very pictures",
        )


def _choose(
    table: pd.DataFrame, instants: IntArray, videos: Mapping[str, Path], pictures: FrameFolderConfig | None
) -> list[_Job]:
    """Some moments of every video, spread over its length."""
    rows = table.assign(instant=instants)
    rows = rows[(rows["label"] >= 0) & rows["video"].isin(list(videos))]
    names = rows["video"].unique()
    each = min(_OF_VIDEO, max(1, _MOMENTS // max(1, len(names))))
    chosen = spread({str(name): videos[name] for name in names}, _MOMENTS)
    jobs = []
    for name, ours in rows[rows["video"].isin(list(chosen))].groupby("video", sort=False):
        moments = np.unique(ours["instant"].to_numpy(dtype=np.int64))
        moments = moments[np.linspace(0, len(moments) - 1, min(len(moments), each)).astype(int)]
        boxes = [
            np.unique(ours.loc[ours["instant"] == moment, BOX].to_numpy(dtype=np.float64), axis=0) for moment in moments
        ]
        jobs.append(_Job(chosen[str(name)], pictures, moments, boxes))
    return jobs


def _fit(job: _Job) -> FloatArray:
    """(K, readings) correlations of boxes and motion; NaN where nothing moves or there is no picture."""
    fits = np.full((len(job.instants), len(_NAMES)), np.nan)
    try:
        with open_video(job.path, reader="pyav", pictures=job.pictures) as reader:
            times = reader.index.frame_times
            apart = max(1, round(_APART * float(reader.index.rate)))
            clocks = [(1.0, 0.0), *_CLOCKS.values()]
            wanted = np.array([[a * t + b * 1e6 for a, b in clocks] for t in job.instants])
            centers = nearest_frames(times, np.rint(wanted).astype(np.int64).reshape(-1)).reshape(wanted.shape)
            numbers = np.stack([np.maximum(centers - apart, 0), np.minimum(centers + apart, len(times) - 1)])
            shown, places = np.unique(numbers, return_inverse=True)
            batches = [shown[begin : begin + _AT_ONCE] for begin in range(0, len(shown), _AT_ONCE)]
            small = np.stack([_small(frame) for batch in batches for frame in reader.read(batch)])
    except Exception:  # whatever a decoder raises; that the file cannot be read has been said
        return fits
    before, after = places.reshape(numbers.shape)
    inside = (wanted >= 0) & (wanted <= times[-1])
    for row, boxes in enumerate(job.boxes):
        moved = np.clip(np.abs(small[after[row]] - small[before[row]]) - _NOISE, 0, 40)
        masks = [_mask(read(boxes)) for read in _READINGS.values()]
        fits[row, : len(masks)] = [_correlation(mask, moved[0]) for mask in masks]
        fits[row, len(masks) :] = [_correlation(masks[0], other) for other in moved[1:]]
        fits[row, len(masks) :][~inside[row, 1:]] = np.nan
    return fits


def _small(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def _mask(boxes: FloatArray) -> FloatArray:
    centers = (np.arange(_SIDE) + 0.5) / _SIDE
    across = (boxes[:, 0, None] <= centers) & (centers <= boxes[:, 2, None])
    down = (boxes[:, 1, None] <= centers) & (centers <= boxes[:, 3, None])
    covered: FloatArray = np.asarray((down[:, :, None] & across[:, None, :]).any(axis=0), dtype=np.float64)
    return covered


def _correlation(mask: FloatArray, moved: npt.NDArray[np.float32]) -> float:
    if moved.max() == 0:
        return np.nan
    if mask.std() == 0:
        return 0.0
    return float(np.corrcoef(mask.reshape(-1), moved.reshape(-1))[0, 1])


def _better_reading(fits: FloatArray) -> tuple[str, float, float] | None:
    """The reading that explains the motion far better than the boxes as they are; how well it and they do."""
    best: tuple[float, str, float, float] | None = None
    for place, name in enumerate(_NAMES[1:], start=1):
        both = fits[np.isfinite(fits[:, [0, place]]).all(axis=1)][:, [0, place]]
        if len(both) < _FEWEST:
            continue
        gain = both[:, 1] - both[:, 0]
        now, then = float(both[:, 0].mean()), float(both[:, 1].mean())
        sure = float(gain.mean() / (gain.std() / np.sqrt(len(gain)) + 1e-9))
        if then > _EXPLAINS and then > _BETTER * now and sure > _SURE and (best is None or then > best[2]):
            best = (sure, name, then, now)
    return None if best is None else (best[1], best[2], best[3])
