"""Annotations as CVAT's "CVAT for video 1.1", with as few keyframes as a tolerance allows, and the schema of labels.

A person is a track of the label `person` with a mutable checkbox for each action. Keyframes lie where boxes leave
the straight line between keyframes, where an action changes, and, with `outside`, where the person is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import numpy as np

from data_tools.convert_annotations.annotated import AnnotatedVideo, Remark
from data_tools.convert_annotations.clips import Clip
from data_tools.convert_annotations.simplifying import choose_keyframes
from data_tools.convert_annotations.tracks import Stretch, stretches_of
from evaluation.errors import InputError
from evaluation.files import atomic_path, write_text
from evaluation.records import FloatArray

PERSON = "person"
_DECIMALS = 2  # of a pixel, as CVAT writes
_COLOR = "#33ddff"


@dataclass(frozen=True)
class Written:
    """What was written of one video.

    Attributes:
        path: the file.
        tracks: persons.
        boxes: boxes of persons on the frames that were looked at.
        keyframes: those that the file holds, without the ones that say `outside`.
    """

    path: Path
    tracks: int
    boxes: int
    keyframes: int


def write_cvat(
    out: Path,
    videos: Sequence[AnnotatedVideo],
    clips: Sequence[Clip],
    names: Mapping[Remark, frozenset[str] | None],
    actions: Sequence[str],
    *,
    tolerance: float,
) -> list[Written]:
    """Write `<video>.xml` for each video, and `labels.json`: what CVAT's "Raw" editor of a task's labels takes.

    Args:
        out: folder.
        videos: the annotations.
        clips: the frames of each.
        names: which actions a remark stands for; None leaves its boxes out.
        actions: names of all checkboxes.
        tolerance: by what share of its diagonal a side of a box may be off on any frame, keyframes among them.

    Raises:
        InputError: a video whose size is not known, or a track that is in two places of one frame.
    """
    written = []
    for video, clip in zip(videos, clips, strict=True):
        if video.size is None:
            raise InputError(f"{video.source}: has no size of '{video.name}' in pixels; CVAT needs it")
        path = out / f"{video.name}.xml"
        root, counts = _annotations(video, clip, video.size, names, actions, tolerance)
        indent(root)
        with atomic_path(path) as temporary:
            ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)
        written.append(Written(path, *counts))
    write_text(out / "labels.json", json.dumps(_schema(actions), indent=2, ensure_ascii=False) + "\n")
    return written


def _schema(actions: Sequence[str]) -> list[dict[str, object]]:
    checkbox = {"mutable": True, "input_type": "checkbox", "default_value": "false", "values": ["false"]}
    attributes = [{"name": name, **checkbox} for name in actions]
    return [{"name": PERSON, "color": _COLOR, "type": "rectangle", "attributes": attributes}]


def _annotations(
    video: AnnotatedVideo,
    clip: Clip,
    size: tuple[int, int],
    names: Mapping[Remark, frozenset[str] | None],
    actions: Sequence[str],
    tolerance: float,
) -> tuple[Element, tuple[int, int, int]]:
    """The file of one video; its tracks, boxes and keyframes."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    _add_head(root, clip, size, actions)
    boxes = keyframes = 0
    tracks = stretches_of(video, names)
    for number, identity in enumerate(sorted(tracks)):
        track = SubElement(root, "track", {"id": str(number), "label": PERSON, "source": "auto"})
        for stretch in tracks[identity]:
            keys, chosen = _simplified(stretch, size, tolerance)
            for key, box in zip(keys, chosen, strict=True):
                _add_box(track, int(stretch.frames[key]), box, stretch.actions[key], actions, outside=False)
            if stretch.gone < len(clip.frame_times):
                _add_box(track, stretch.gone, chosen[-1], stretch.actions[-1], actions, outside=True)
            boxes, keyframes = boxes + len(stretch.boxes), keyframes + len(keys)
    return root, (len(tracks), boxes, keyframes)


def _add_head(root: Element, clip: Clip, size: tuple[int, int], actions: Sequence[str]) -> None:
    task = SubElement(SubElement(root, "meta"), "task")
    count = len(clip.frame_times)
    facts = {"name": clip.name, "size": count, "mode": "interpolation", "start_frame": 0, "stop_frame": count - 1}
    for tag, value in facts.items():
        SubElement(task, tag).text = str(value)
    SubElement(task, "frame_filter")
    label = SubElement(SubElement(task, "labels"), "label")
    for tag, text in (("name", PERSON), ("color", _COLOR), ("type", "rectangle")):
        SubElement(label, tag).text = text
    attributes = SubElement(label, "attributes")
    for name in actions:
        attribute = SubElement(attributes, "attribute")
        said = {"name": name, "mutable": "True", "input_type": "checkbox", "default_value": "false", "values": "false"}
        for tag, text in said.items():
            SubElement(attribute, tag).text = text
    shown = SubElement(task, "original_size")
    for tag, side in zip(("width", "height"), size, strict=True):
        SubElement(shown, tag).text = str(side)
    SubElement(task, "source").text = clip.file or f"{clip.name.rpartition('/')[2]}.mp4"


def _add_box(
    track: Element, frame: int, box: FloatArray, does: frozenset[str], actions: Sequence[str], *, outside: bool
) -> None:
    corners = {name: f"{value:.{_DECIMALS}f}" for name, value in zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)}
    marks = {"frame": str(frame), "keyframe": "1", "outside": str(int(outside)), "occluded": "0"}
    element = SubElement(track, "box", {**marks, **corners, "z_order": "0"})
    for name in actions:
        SubElement(element, "attribute", {"name": name}).text = "true" if name in does else "false"


def _simplified(stretch: Stretch, size: tuple[int, int], tolerance: float) -> tuple[list[int], FloatArray]:
    """Places of the keyframes, and their boxes in pixels."""
    frame = np.array([*size, *size], dtype=np.float64)
    boxes = stretch.boxes * frame
    diagonals = np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T)
    slack = np.repeat(tolerance * diagonals[:, None] - 0.5 * 10.0**-_DECIMALS, 4, axis=1)  # less for rounding
    changes = [place for place in range(1, len(boxes)) if stretch.actions[place] != stretch.actions[place - 1]]
    low, high = boxes - np.maximum(slack, 0), boxes + np.maximum(slack, 0)
    return choose_keyframes(stretch.frames, boxes, np.maximum(low, 0), np.minimum(high, frame), changes)
