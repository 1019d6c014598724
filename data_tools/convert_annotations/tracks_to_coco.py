"""Annotations as COCO's json of video frames, with `video_id` and `track_id`; a checkbox for each action."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_tools.convert_annotations.annotated import AnnotatedVideo, Remark
from data_tools.convert_annotations.clips import Clip
from data_tools.convert_annotations.key_frames import boxes_of, persons_at
from evaluation.errors import InputError
from evaluation.files import write_text

_DECIMALS = 2


def write_tracks(
    path: Path,
    videos: Sequence[AnnotatedVideo],
    clips: Sequence[Clip],
    names: Mapping[Remark, frozenset[str] | None],
    actions: Sequence[str],
) -> int:
    """Write the frames that were looked at and the persons on them; return the number of boxes.

    Args:
        path: the file.
        videos, clips, names: as of `write_cvat`.
        actions: names of all attributes.

    Raises:
        InputError: a video whose size is not known, or a track that is in two places of one frame.
    """
    listed: list[dict[str, object]] = []
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (video, clip) in enumerate(zip(videos, clips, strict=True), start=1):
        if video.size is None:
            raise InputError(f"{video.source}: has no size of '{video.name}' in pixels; COCO's boxes need it")
        width, height = video.size
        shape = {"width": width, "height": height}
        listed.append({"id": number, "name": clip.file or f"{video.name}.mp4", **shape})
        for frame in video.annotated.tolist():
            place = {"video_id": number, "frame_id": frame, "file_name": f"{video.name}/{frame:06d}.jpg"}
            images.append({"id": len(images) + 1, **place, **shape})
            persons = persons_at(video, frame, names)
            pixels = np.round(boxes_of(persons) * [width, height, width, height], _DECIMALS)
            for person, (x1, y1, x2, y2) in zip(persons, pixels.tolist(), strict=True):
                box = [x1, y1, round(x2 - x1, _DECIMALS), round(y2 - y1, _DECIMALS)]
                entry = {"id": len(annotations) + 1, "image_id": len(images), "category_id": 1, "iscrowd": 0}
                who = {"track_id": person.identity} if person.identity >= 0 else {}
                does = {name: name in person.actions for name in actions}
                area = round(box[2] * box[3], _DECIMALS)
                annotations.append({**entry, "bbox": box, "area": area, **who, "attributes": does})
    content = {
        "info": {"description": "persons and actions on frames of videos; frames count from 0"},
        "videos": listed,
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
    }
    write_text(path, json.dumps(content, ensure_ascii=False))
    return len(annotations)
