"""CVAT's "CVAT for video 1.1": an annotations.xml of tracks, bare or in the zip that CVAT exports.

    <annotations>
      <meta> <task> <name/> <size/> <original_size> <width/> <height/> </original_size> <source>clip.mp4</source>
             <labels> <label> <name/> <attributes> <attribute> <name/> <input_type>checkbox</input_type> ...
      <track id="0" label="person" source="manual">
        <box frame="0" outside="0" occluded="0" keyframe="1" xtl="10" ytl="20" xbr="50" ybr="90" z_order="0">
          <attribute name="wave">true</attribute>

CVAT writes every frame between keyframes, too; where a file leaves frames out (other tools write keyframes only,
tasks may take every n-th frame), boxes are interpolated linearly, as CVAT itself does. A file without the attribute
`keyframe` holds every frame in which a person is seen; a gap is an absence. The frame numbers are those of the video,
except in the export of a project, where each task counts on from the tasks of its subset before it.
Layout: docs.cvat.ai, "XML annotation format", and CVAT's own exporter.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from data_tools.convert_annotations.annotated import AnnotatedVideo, AttributeValue, RawBox, Remark, annotated_video
from evaluation.errors import InputError

# RuntimeError: an encrypted archive; LookupError and ValueError: an encoding that the parser does not know.
_UNREADABLE = (ElementTree.ParseError, LookupError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class _Task:
    """What the head of a file says of one video.

    Attributes:
        last: its last annotated frame, -1 where the head does not say.
        step: frames of the video per annotated frame.
        offset: what the export of a project adds to its frame numbers.
    """

    name: str
    size: tuple[int, int]
    first: int
    last: int
    step: int
    offset: int
    inputs: Mapping[tuple[str, str], str]
    """Kind of input of each (label, attribute): checkbox, select, radio, text, number."""


@dataclass(frozen=True)
class _Shown:
    """One <box> of a track."""

    raw: RawBox
    outside: bool
    keyframe: bool | None
    """None where the file does not say."""


@dataclass(frozen=True)
class _Habit:
    """How a track marks that a person stays or is gone.

    Attributes:
        step: frames that a box lasts, if nothing else is known.
        bridges: the person stays between boxes that are farther apart, until one says `outside`.
        stays: the person stays after the last box, to the end of the video.
    """

    step: int
    bridges: bool
    stays: bool


def read_cvat(sources: Sequence[Path], *, clip: bool) -> list[AnnotatedVideo]:
    """Read the tasks of CVAT: XML files, zip files, or folders of both.

    A video is named by the <source> of its task (the file that was uploaded), else by the annotation file.

    Raises:
        InputError: a file that is not an export of CVAT for video, or a track that cannot be read.
    """
    return [video for path in _files(sources) for video in _read(path, clip)]


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        if not source.exists():
            raise InputError(f"{source}: no such file or folder")
        found = [source]
        if source.is_dir():
            found = sorted(path for path in source.rglob("*") if path.suffix.lower() in (".xml", ".zip"))
        if not found:
            raise InputError(f"{source}: holds no .xml or .zip file; export the tasks as 'CVAT for video 1.1'")
        yield from found


def _root(path: Path) -> Element:
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if PurePosixPath(name).name == "annotations.xml"]
                if len(names) != 1:
                    what = "several annotations.xml" if names else "no annotations.xml"
                    raise InputError(f"{path}: holds {what}; export each task as 'CVAT for video 1.1'")
                return ElementTree.fromstring(archive.read(names[0]))
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; export the task again as 'CVAT for video 1.1'")
        return ElementTree.parse(path).getroot()
    except InputError:
        raise
    except _UNREADABLE as fault:
        raise InputError(f"{path}: is not a readable XML or zip file ({fault}); export the task again") from None


def _read(path: Path, clip: bool) -> Iterator[AnnotatedVideo]:
    root = _root(path)
    if root.tag != "annotations":
        raise InputError(f"{path}: begins with <{root.tag}>; expected <annotations>, as 'CVAT for video 1.1' has it")
    if root.find("image") is not None:
        raise InputError(f"{path}: is 'CVAT for images'; export the task as 'CVAT for video 1.1', which keeps tracks")
    tracks = root.findall("track")
    tasks = _tasks(path, root)
    for identity, task in tasks.items():
        ours = [track for track in tracks if len(tasks) == 1 or track.get("task_id") == identity]
        shown = [_boxes_of(path, number, track, task) for number, track in enumerate(ours)]
        last = max([task.last, *(box.raw.frame for boxes in shown for box in boxes if not box.outside)])
        habits = _habits(shown, task.step)
        found = [box for boxes, habit in zip(shown, habits, strict=True) for box in _fill(boxes, habit, last=last)]
        frames = np.arange(task.first, last + 1, dtype=np.int64)
        if len(frames) == 0:
            raise InputError(f"{path}: holds neither <track> nor <size>; export it again as 'CVAT for video 1.1'")
        yield annotated_video(task.name, str(path), task.size, frames, found, clip=clip)


def _tasks(path: Path, root: Element) -> dict[str, _Task]:
    """The tasks of the file by their ids; one of a task, several of a project."""
    meta = root.find("meta")
    elements = [] if meta is None else [*meta.findall("task"), *meta.findall("project/tasks/task")]
    job = None if meta is None else meta.find("job")
    if job is not None:
        elements.append(job)
    if not elements:
        raise InputError(f"{path}: has no <meta> with a <task>; export it again as 'CVAT for video 1.1'")
    assert meta is not None
    inputs = {
        (_text(label, "name"), _text(attribute, "name")): _text(attribute, "input_type")
        for label in meta.iter("label")
        for attribute in label.iter("attribute")
    }
    tasks = {_text(element, "id"): _task(path, element, meta, inputs, len(elements)) for element in elements}
    if meta.find("project") is None:
        return tasks
    return _counted_on(path, root, elements, tasks)


def _counted_on(path: Path, root: Element, elements: Sequence[Element], tasks: dict[str, _Task]) -> dict[str, _Task]:
    """The tasks of a project with their offsets: frames count on from the tasks of the subset before, by id.

    A task takes `start_frame + step * size` numbers. Other programs number each task by itself: so is a file in which
    a frame lies before its task's offset, where no task counts on.
    """
    offsets: dict[str, int] = {}
    ends: dict[str, int] = {}
    for element in sorted(elements, key=lambda element: _whole(path, element, "id") or 0):
        identity, subset = _text(element, "id"), _text(element, "subset")
        offsets[identity] = ends.get(subset, 0)
        size = _whole(path, element, "size")
        if size is None:
            size = _length(tasks[identity])
        ends[subset] = offsets[identity] + tasks[identity].first + tasks[identity].step * size
    frames: dict[str, list[int]] = {identity: [] for identity in tasks}
    for track in root.iter("track"):
        identity = track.get("task_id", "") if len(tasks) > 1 else next(iter(tasks))
        if identity not in tasks:
            raise InputError(
                f"{path}: track {track.get('id', '')} has the task_id '{identity}'; expected one of the project's "
                f"tasks, {', '.join(tasks)}; export the project again, or each task by itself"
            )
        seen = (box.get("frame", "") for box in track if box.get("outside") != "1")
        frames[identity] += [int(frame) for frame in seen if frame.isdecimal()]
    lowest = {identity: min(some) for identity, some in frames.items() if some}
    if not any(frame < offsets[identity] for identity, frame in lowest.items()):
        tasks = {identity: replace(task, offset=offsets[identity]) for identity, task in tasks.items()}
    for identity, task in tasks.items():
        if max(frames[identity], default=0) - task.offset > task.last >= task.first:
            raise InputError(
                f"{path}: task '{task.name}' has a box on frame {max(frames[identity])}; expected at most "
                f"{task.last + task.offset}, by its first frame and size; export the project again, or each task "
                "by itself"
            )
    return tasks


def _length(task: _Task) -> int:
    """How many frames of a task are annotated."""
    return max((task.last - task.first) // task.step + 1, 0)


def _task(path: Path, element: Element, meta: Element, inputs: Mapping[tuple[str, str], str], tasks: int) -> _Task:
    file = _text(element, "source") or (_text(meta, "source") if tasks == 1 else "")
    name = PurePosixPath(file.replace("\\", "/")).stem or (path.stem if tasks == 1 else _text(element, "name"))
    size = element.find("original_size")
    if size is None:
        size = meta.find("original_size")
    if size is None:
        raise InputError(f"{path}: lacks <original_size>, the video's width and height; export it from CVAT again")
    first = _whole(path, element, "start_frame") or 0
    stop = _whole(path, element, "stop_frame")
    count = _whole(path, element, "size")
    step = _step(path, element, first, stop, count)
    last = stop if stop is not None else first + step * ((count or 0) - 1)
    width, height = _whole(path, size, "width"), _whole(path, size, "height")
    if not width or not height:
        raise InputError(f"{path}: its <original_size> has neither width nor height; export it from CVAT again")
    return _Task(name, (width, height), first, last, step, 0, inputs)


def _step(path: Path, element: Element, first: int, stop: int | None, count: int | None) -> int:
    """Every how many frames of the video one is annotated: by the filter `step=5`, else by first, last and number."""
    text = _text(element, "frame_filter").replace(" ", "").lower()
    if text:
        number = text.removeprefix("step=")
        if not number.isdecimal() or int(number) < 1:
            raise InputError(f"{path}: <frame_filter> is '{text}'; expected step=N, export it from CVAT again")
        return int(number)
    if stop is not None and count is not None and count > 1 and stop > first:
        return max((stop - first) // (count - 1), 1)
    return 1


def _whole(path: Path, element: Element, tag: str) -> int | None:
    """The number in <tag>; None where there is none."""
    text = _text(element, tag)
    if text and not text.isdecimal():
        raise InputError(f"{path}: <{tag}> is '{text}'; expected a whole number, export it from CVAT again")
    return int(text) if text else None


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _boxes_of(path: Path, number: int, track: Element, task: _Task) -> list[_Shown]:
    """The boxes of one track, frames rising."""
    label = track.get("label", "")
    where = f"{path}: track {track.get('id', number)}"
    other = next((shape.tag for shape in track if shape.tag != "box"), None)
    if other is not None:
        raise InputError(f"{where} ('{label}') is made of <{other}>; persons must be boxes (rectangles)")
    shown = []
    for box in track:
        try:
            rotation = float(box.get("rotation", 0))
            x1, y1, x2, y2 = (float(box.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
            frame = int(box.attrib["frame"]) - task.offset
        except (KeyError, ValueError) as fault:
            raise InputError(f"{where}: a box lacks frame, xtl, ytl, xbr or ybr ({fault}); export it again") from None
        if not abs(rotation % 360) <= 0.01:
            raise InputError(f"{where}, frame {frame}: the box is rotated; expected upright boxes")
        remark = Remark(label, tuple(_attribute(label, item, task) for item in box.findall("attribute")))
        raw = RawBox(frame, number, (x1, y1, x2, y2), remark)
        shown.append(_Shown(raw, box.get("outside") == "1", _flag(box.get("keyframe"))))
    return sorted(shown, key=lambda one: one.raw.frame)


def _attribute(label: str, item: Element, task: _Task) -> tuple[str, AttributeValue]:
    name, text = item.get("name", ""), (item.text or "").strip()
    kind = task.inputs.get((label, name), "")
    if kind == "checkbox" or (not kind and text.lower() in ("true", "false")):
        return name, text.lower() == "true"
    if kind == "number":
        return name, 0.0  # says nothing, whatever it is
    if kind == "text":
        return name, tuple(text.replace(";", ",").split(","))
    return name, text


def _flag(text: str | None) -> bool | None:
    return None if text is None else text == "1"


def _habits(shown: Sequence[Sequence[_Shown]], step: int) -> list[_Habit]:
    """Judge how each track marks that a person stays or is gone.

    CVAT itself writes the frames between keyframes and ends a track by `outside`. Other tools write keyframes only, or
    a box for every frame in which a person is seen and none where not. A gap of one track says nothing of the others.

    Args:
        shown: the boxes of each track.
        step: every how many frames of the video the task has one.
    """
    boxes = [box for track in shown for box in track]
    ends = any(box.outside for box in boxes)
    if all(box.keyframe for box in boxes):
        sparse = [2 * sum(apart <= step for apart in _distances(track)) < len(_distances(track)) for track in shown]
        return [
            _Habit(step, bridges=ends or rare, stays=rare or (len(track) == 1 and any(sparse)))
            for track, rare in zip(shown, sparse, strict=True)
        ]
    # Boxes that are not keyframes: where most are equally far apart, they are those of every n-th frame.
    apart = Counter(distance for track in shown for distance in _distances(track))
    usual, often = max(apart.items(), key=lambda item: item[1], default=(0, 0))
    if 2 * often > apart.total():
        return [_Habit(max(usual, step), bridges=ends and not _unmarked(track), stays=False) for track in shown]
    only_keyframes = not any(box.keyframe is False for box in boxes) and any(distance > step for distance in apart)
    return [
        _Habit(step, True, only_keyframes and (len(track) == 1 or max(_distances(track), default=0) > step))
        for track in shown
    ]


def _distances(track: Sequence[_Shown]) -> list[int]:
    """Frames from each box that is seen to the next one."""
    return [later.raw.frame - one.raw.frame for one, later in pairwise(track) if not one.outside]


def _unmarked(track: Sequence[_Shown]) -> bool:
    return all(box.keyframe is None for box in track)


def _fill(boxes: Sequence[_Shown], habit: _Habit, *, last: int) -> Iterator[RawBox]:
    """Every frame in which the track is seen.

    Args:
        boxes: of the track, frames rising.
        habit: how it marks that the person stays or is gone.
        last: the last frame of the video that is annotated.
    """
    for one, later in zip(boxes, [*boxes[1:], None], strict=True):
        if one.outside:
            continue
        begin = one.raw.frame
        if later is not None and (habit.bridges or later.raw.frame - begin <= habit.step):
            end, target = later.raw.frame, later.raw.box
        else:
            until = last + 1 if habit.stays else min(begin + habit.step, last + 1)
            end, target = max(until, begin + 1), one.raw.box
        for frame in range(begin, end):
            share = (frame - begin) / (end - begin)
            x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(one.raw.box, target, strict=True))
            yield RawBox(frame, one.raw.track, (x1, y1, x2, y2), one.raw.remark)
