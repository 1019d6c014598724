"""Draw a set of tubes on its video: persons in colors, the truth in outline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from actiondet.drawing import DrawingStyle, draw_video
from actiondet.tubes.persons import TubePersons
from actiondet.video import VideoIndex
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.formats.multisports import read_multisports, read_video_detections
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet
from evaluation.video_names import composed


def draw_tubes(
    index: VideoIndex,
    out: str | Path,
    tubes: str | Path,
    *,
    truth: str | Path | None = None,
    style: DrawingStyle,
    on_frame: Callable[[], None] | None = None,
) -> str:
    """Draw the tubes of one video, and write it with the sound of the source.

    Args:
        index: the video; its file's name says which of the tubes are its own.
        out: an .mp4 file to write, whole or not at all.
        tubes: video detections in the official layout.
        truth: the truth of the data set, which also names the actions; None draws numbers of labels.
        style: what is drawn; its threshold is that of a tube's score.
        on_frame: called after each frame.

    Returns:
        What was drawn, in one line.

    Raises:
        InputError: files that cannot be read, or that know no such video.
    """
    found = read_video_detections(tubes)
    known = read_multisports(truth) if truth is not None else None
    video = _name_of(index, [*found.videos, *([] if known is None else known.sizes)], tubes)
    size = (index.height, index.width)
    if known is not None:
        size = known.sizes.get(video, size)
    actions = _actions(found, known)

    def persons(of: TubeSet) -> TubePersons:
        return TubePersons(of, video, size=size, frame_times=index.frame_times, num_actions=len(actions))

    detected = persons(found.take(np.flatnonzero(found.scores >= style.threshold)))
    true = None if known is None else persons(known.tubes)
    fault = draw_video(index, out, detected, actions=actions, style=style, truth=true, on_frame=on_frame)
    said = f"{video}: {len(detected)} tubes of {detected.persons} persons with a score of {style.threshold:g} or more"
    if true is not None:
        said += f"; {len(true)} true tubes of {true.persons} persons"
    return said if fault is None else f"{said}; {fault}"


def _name_of(index: VideoIndex, names: Sequence[str], source: str | Path) -> str:
    """What the tubes call this video: names end in that of the file, and may begin with folders."""
    stem = composed(Path(index.path).stem)
    fitting = sorted({name for name in names if f"/{composed(name)}".endswith(f"/{stem}")})
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InputError(f"{source}: {len(fitting)} videos are called '{stem}': {', '.join(fitting[:3])}; expected one")
    example = f", such as '{names[0]}'" if names else ""
    raise InputError(f"{source}: knows no video '{stem}'; expected the file to have one of its names{example}")


def _actions(tubes: TubeSet, truth: TubeTruth | None) -> ActionList:
    names = truth.labels if truth is not None else ()
    count = max(len(names), int(tubes.labels.max(initial=0)) + 1)
    names += tuple(f"label {label}" for label in range(len(names), count))
    return ActionList(tuple(range(count)), names, (None,) * count)
