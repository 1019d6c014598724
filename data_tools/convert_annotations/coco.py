"""COCO files of video frames.

    {"videos": [{"id": 1, "name": "street.mp4"}],                       (CocoVID, TAO; may be missing)
     "images": [{"id": 7, "video_id": 1, "frame_id": 30, "file_name": "street/000030.jpg",
                 "width": 640, "height": 360}],
     "categories": [{"id": 1, "name": "person"}],
     "annotations": [{"image_id": 7, "category_id": 1, "bbox": [x, y, width, height], "track_id": 3,
                      "attributes": {"wave": true, "pose": "stand", "actions": ["walk", "talk"]}}]}

The frame of an image is its `frame_id` (CocoVID) or `frame_index` (TAO), else the number at the end of its file name
(CVAT's "COCO 1.0": frame_000030). Its video is that of `video_id`, else the folder of the file name, else the name of
the COCO file. The person is `track_id` or `instance_id`, of the annotation or of its attributes (CVAT). Only frames
listed under `images` count as annotated; boxes marked `iscrowd` are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from actiondet.video.names import is_video
from data_tools.convert_annotations.annotated import AnnotatedVideo, AttributeValue, RawBox, Remark, annotated_video
from data_tools.convert_annotations.frame_names import split_frame_name
from evaluation.errors import InputError

# Attributes that CVAT writes of itself; they name no action.
_TECHNICAL = {"occluded", "rotation", "track_id", "instance_id", "keyframe", "outside", "z_order", "group_id"}


@dataclass(frozen=True)
class _Image:
    """A frame: number from 0, and (width, height) of the picture."""

    video: str
    frame: int
    size: tuple[int, int]


def read_coco(sources: Sequence[Path], *, first_frame: int, clip: bool) -> list[AnnotatedVideo]:
    """Read COCO files with the frames of one or several videos.

    Args:
        sources: JSON files, or folders of them.
        first_frame: the number that they give to the first frame of a video.
        clip: cut boxes at the border of the frame instead of refusing them.

    Raises:
        InputError: no such file, a missing field, a frame whose number is unknown.
    """
    return [video for path in _files(sources) for video in _read(path, first_frame, clip)]


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        found = sorted(source.rglob("*.json")) if source.is_dir() else [source]
        if not found or not source.exists():
            raise InputError(f"{source}: holds no .json file; expected COCO annotations")
        yield from found


def _read(path: Path, first_frame: int, clip: bool) -> Iterator[AnnotatedVideo]:
    content = _content(path)
    videos = {video.get("id"): video for video in content.get("videos") or []}
    names = _video_names(path, content["images"], videos)
    images = {image.get("id"): _image(path, image, videos, names, first_frame) for image in content["images"]}
    categories = {category.get("id"): str(category.get("name", "")) for category in content["categories"]}
    boxes: dict[str, list[RawBox]] = {}
    images_of: dict[str, list[_Image]] = {}
    for image in images.values():
        boxes.setdefault(image.video, [])
        images_of.setdefault(image.video, []).append(image)
    for annotation in content["annotations"]:
        if annotation.get("iscrowd"):
            continue
        place = images.get(annotation.get("image_id"))
        if place is None or annotation.get("category_id") not in categories:
            what = "image_id" if place is None else "category_id"
            raise InputError(
                f"{path}: annotation {annotation.get('id')} has the {what} {annotation.get(what)}, which is not listed"
            )
        boxes[place.video].append(_box(path, annotation, place, categories[annotation["category_id"]]))
    for name, found in boxes.items():
        ours = images_of[name]
        sizes = {image.size for image in ours}
        if len(sizes) > 1:
            raise InputError(f"{path}: images of video '{name}' differ in size: {sorted(sizes)}; expected one size")
        frames = np.array([image.frame for image in ours], dtype=np.int64)
        yield annotated_video(name, str(path), ours[0].size, frames, found, clip=clip)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as fault:  # JSONDecodeError, UnicodeDecodeError
        raise InputError(f"{path}: is not a JSON file ({fault}); expected COCO annotations") from None
    for name in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise InputError(f"{path}: has no list '{name}'; expected COCO annotations")
        if not content[name] and name != "annotations":  # nobody may be seen
            raise InputError(f"{path}: the list '{name}' is empty; expected annotated frames")
    for name in ("images", "annotations", "categories", "videos"):
        for entry in content.get(name) or []:
            keys = ("id", "image_id", "video_id", "category_id")
            if not isinstance(entry, dict) or any(isinstance(entry.get(key), (list, dict)) for key in keys):
                shown = json.dumps(entry)[:80]
                raise InputError(f"{path}: the list '{name}' holds {shown}; expected an object with plain ids")
    return dict(content)


def _file(entry: dict[str, Any], *keys: str) -> PurePosixPath:
    return PurePosixPath(next((str(entry[key]) for key in keys if entry.get(key)), "").replace("\\", "/"))


def _video_names(
    path: Path, images: Sequence[dict[str, Any]], videos: dict[Any, dict[str, Any]]
) -> dict[PurePosixPath, str]:
    """The name of each folder of images: its last part, or the last part in which folders of one name differ.

    Raises:
        InputError: two videos of the list have one name.
    """
    listed: dict[str, PurePosixPath] = {}
    for video in videos.values():
        file = _file(video, "name", "file_name")
        name = file.stem if is_video(file.name) else file.name
        if listed.setdefault(name, file) != file:
            raise InputError(
                f"{path}: the videos {listed[name]} and {file} have one name, '{name}'; rename one of them"
            )
    folders = {_file(image, "file_name").parent for image in images if image.get("video_id") not in videos}
    parts = {folder: list(folder.parts) for folder in folders}
    for own in parts.values():  # MOTChallenge's <video>/img1
        if len(own) > 1 and own[-1] == "img1":
            own.pop()
    while alike := [folder for folder, own in parts.items() if _count_ending(parts, own) > 1 and len(own) > 1]:
        for folder in alike:
            parts[folder].pop()
    names = {folder: own[-1] if own else "" for folder, own in parts.items()}
    for folder, name in names.items():
        twin = next((other for other in names if other != folder and names[other] == name), None)
        if twin is not None:
            raise InputError(f"{path}: the folders {twin} and {folder} have one name, '{name}'; rename one of them")
    return names


def _count_ending(parts: dict[PurePosixPath, list[str]], own: list[str]) -> int:
    return sum(other[-1:] == own[-1:] for other in parts.values())


def _image(
    path: Path,
    image: dict[str, Any],
    videos: dict[Any, dict[str, Any]],
    names: dict[PurePosixPath, str],
    first_frame: int,
) -> _Image:
    file = _file(image, "file_name")
    if ".rf." in file.name:
        raise InputError(
            f"{path}: '{file.name}' is named by Roboflow, which numbers the pictures it took, not the frames of the "
            "video; give each image its frame_id"
        )
    numbered = split_frame_name(file.stem)
    frame = image.get("frame_id", image.get("frame_index", None if numbered is None else numbered[1]))
    if not isinstance(frame, int) or frame < first_frame:
        raise InputError(
            f"{path}: image {image.get('id')} ('{file}') does not name its frame; expected frame_id, frame_index or a "
            f"number of {first_frame} or more at the end of its name"
        )
    video = videos.get(image.get("video_id"))
    if video is not None:
        name = _file(video, "name", "file_name").name
        width, height = image.get("width", video.get("width")), image.get("height", video.get("height"))
    else:
        name = names[file.parent] or (numbered[0] if numbered is not None else "")
        name, width, height = name or path.stem, image.get("width"), image.get("height")
    sides = [int(side) for side in (width, height) if isinstance(side, (int, float)) and side >= 1]
    if len(sides) < 2:
        raise InputError(f"{path}: image {image.get('id')} ('{file}') has no width and height in pixels")
    name = PurePosixPath(name).stem if is_video(name) else name
    return _Image(name, frame - first_frame, (sides[0], sides[1]))


def _box(path: Path, annotation: dict[str, Any], image: _Image, label: str) -> RawBox:
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: annotation {annotation.get('id')} has no bbox [x, y, width, height]") from None
    attributes = annotation.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise InputError(f"{path}: annotation {annotation.get('id')} has attributes other than names with values")
    identities = [home.get(key) for home in (annotation, attributes) for key in ("track_id", "instance_id")]
    track = next((identity for identity in identities if identity is not None), -1)
    if not isinstance(track, int):
        raise InputError(f"{path}: annotation {annotation.get('id')} has the track '{track}'; expected an integer")
    named = tuple((name, _value(value)) for name, value in attributes.items() if name not in _TECHNICAL)
    return RawBox(image.frame, track, (x, y, x + width, y + height), Remark(label, named))


def _value(value: object) -> AttributeValue:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, list):
        return tuple(map(str, value))
    return value if isinstance(value, (bool, str)) else float(value) if isinstance(value, (int, float)) else ""
