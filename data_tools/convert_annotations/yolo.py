"""Tracks as YOLO text files: a file for each frame, with a line `class cx cy width height [confidence] [track]` a box.

Coordinates are fractions of the frame; the class is the action. Two layouts are read, alone or mixed:

    labels/street_12.txt                  what `yolo track ... save_txt=True` writes: <video>_<frame>, frames from 1
    street/labels/train/frame_000011.txt  what CVAT exports ("Ultralytics YOLO Detection Track 1.0", "YOLO
                                          1.1"), unpacked into a folder called as the video; frames from 0

The names of the classes stand in `data.yaml` (`names:`), or one a line in `obj.names`, `classes.txt` or `names.txt`.
Only frames that have a file count as annotated; an empty file says that nobody is there. With `vid_stride=N`,
ultralytics skips N - 1 frames before each one that it looks at and numbers those: its frames 1, 2, ... are the N-th,
2N-th, ... of the video.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from data_tools.convert_annotations.annotated import AnnotatedVideo, RawBox, Remark, annotated_video
from data_tools.convert_annotations.frame_names import split_frame_name
from evaluation.errors import InputError

_NAME_FILES = ("data.yaml", "obj.names", "classes.txt", "names.txt")
# Folders that tools put between a video's own folder and its text files.
_BETWEEN = {"labels", "train", "val", "valid", "test", "obj_train_data", "obj_valid_data", "obj_test_data"}
_SUBSET_DATA = re.compile(r"obj_.*_data")
_NO_FRAME = {"classes", "names", "train", "val", "valid", "test"}


def read_yolo(sources: Sequence[Path], *, first_frame: int | None, clip: bool, stride: int = 1) -> list[AnnotatedVideo]:
    """Read folders of text files.

    Args:
        sources: folders; the file of class names lies in each, or in one folder for all.
        first_frame: number of a video's first frame; None: 1 where names hold the video's (ultralytics), else 0 (CVAT).
        clip: cut boxes at the border of the frame instead of refusing them.
        stride: every how many frames ultralytics looked at one (`vid_stride`).

    Raises:
        InputError: no text file, no class names, or a line that is not a box.
    """
    files = [path for source in sources for path in _files(source)]
    names: dict[Path, tuple[str, ...]] = {}
    looked_at: dict[str, list[int]] = {}
    boxes: dict[str, list[RawBox]] = {}
    homes: dict[str, str] = {}
    confident = _has_confidences(files)
    for path in files:
        video, place = _video_and_place(path, first_frame)
        frame = stride * (place + 1) - 1
        home = homes.setdefault(video, str(path.parent))
        if home != str(path.parent):
            raise InputError(f"{path.parent}: holds frames of video '{video}', and so does {home}; keep one of them")
        if path.parent not in names:
            names[path.parent] = _names(path, sources)
        looked_at.setdefault(video, []).append(frame)
        boxes.setdefault(video, []).extend(_boxes(path, frame, names[path.parent], confident=path.parent in confident))
    return [
        annotated_video(video, homes[video], None, np.array(frames, dtype=np.int64), boxes[video], clip=clip)
        for video, frames in looked_at.items()
    ]


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        raise InputError(f"{source}: is not a folder; expected a folder of YOLO text files, one a frame")
    files = [path for path in sorted(source.rglob("*.txt")) if path.stem.lower() not in _NO_FRAME]
    if not files:
        raise InputError(f"{source}: holds no .txt file of a frame; expected names such as street_12.txt")
    return files


def _video_and_place(path: Path, first_frame: int | None) -> tuple[str, int]:
    """The video of a text file, and its place from 0 among the frames that were looked at."""
    split = split_frame_name(path.stem)
    if split is None:
        raise InputError(f"{path}: no number ends its name; expected names such as street_12.txt or frame_000011.txt")
    video, number = split
    first = first_frame if first_frame is not None else int(bool(video))
    if not video:
        folder = path.resolve().parent
        while _lies_between(folder):
            folder = folder.parent
        video = folder.name
    if number < first:
        raise InputError(f"{path}: is frame {number}, but frames count from {first}; pass --first-frame {number}")
    return video, number - first


def _lies_between(folder: Path) -> bool:
    """Whether a folder is a subset's or a tool's, not a video's: subsets may be called anything, in capitals, too."""
    name = folder.name.lower()
    if name in _BETWEEN or _SUBSET_DATA.fullmatch(name):
        return True
    home = folder.parent.parent
    return folder.parent.name.lower() == "labels" and (
        (home / f"{folder.name}.txt").is_file() or folder.name in _subsets(home / "data.yaml")
    )


def _subsets(path: Path) -> frozenset[str]:
    """The subsets that CVAT's data.yaml lists, as `<subset>: <subset>.txt`."""
    if not path.is_file():
        return frozenset()
    try:
        content = yaml.safe_load(_text(path))
    except yaml.YAMLError:
        return frozenset()
    return frozenset(map(str, content)) if isinstance(content, dict) else frozenset()


def _names(path: Path, sources: Sequence[Path]) -> tuple[str, ...]:
    """The names of the classes: from the nearest file above `path`, not beyond the folders that were given."""
    tops = {source.resolve() for source in sources}
    folders = []
    for folder in path.resolve().parents:
        folders.append(folder)
        if folder in tops:
            break
    for folder in [*folders, *(source.resolve() for source in sources)]:
        for name in _NAME_FILES:
            if (folder / name).is_file():
                return _read_names(folder / name)
    raise InputError(f"{sources[0]}: holds no file of class names; expected one of {', '.join(_NAME_FILES)}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not text in UTF-8; save it again") from None


def _read_names(path: Path) -> tuple[str, ...]:
    text = _text(path)
    if path.suffix != ".yaml":
        names = [line.strip() for line in text.splitlines() if line.strip()]
    else:
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError:
            content = None
        found = content.get("names") if isinstance(content, dict) else None
        if isinstance(found, dict) and set(found) == set(range(len(found))):
            found = [found[place] for place in range(len(found))]
        if not isinstance(found, list):
            raise InputError(f"{path}: has no 'names:' of the classes 0, 1, ...; expected what ultralytics reads")
        names = [str(name) for name in found]
    if not names:
        raise InputError(f"{path}: names no class")
    return tuple(names)


def _has_confidences(files: Sequence[Path]) -> frozenset[Path]:
    """The folders in which a box with a track has seven columns; six are then a box whose track is not known."""
    return frozenset(path.parent for path in files if any(len(line.split()) == 7 for line in _text(path).splitlines()))


def _boxes(path: Path, frame: int, names: Sequence[str], *, confident: bool) -> list[RawBox]:
    boxes = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if line.strip():
            boxes.append(_box(f"{path}, line {number}", line.split(), frame, names, confident=confident))
    return boxes


def _box(where: str, words: Sequence[str], frame: int, names: Sequence[str], *, confident: bool) -> RawBox:
    layout = "expected class cx cy width height [confidence] [track], coordinates as fractions of the frame"
    try:
        label, rest = int(words[0]), [float(word) for word in words[5:]]
        cx, cy, width, height = map(float, words[1:5])
    except (ValueError, IndexError):
        raise InputError(f"{where}: is not a box; {layout}") from None
    if len(rest) > 2:
        raise InputError(f"{where}: has {len(words)} columns (a polygon, key points?); {layout}")
    if len(rest) == 1 and confident and 0 <= rest[0] <= 1:
        rest = []  # a confidence alone: the tracker does not know the person yet
    if rest and not rest[-1].is_integer():
        raise InputError(f"{where}: its last column, {words[-1]}, is not a track; use yolo track, not predict")
    if max(cx, cy, width, height) > 2:
        raise InputError(f"{where}: looks like pixels; {layout}")
    if not 0 <= label < len(names):
        raise InputError(f"{where}: class {label} has no name; there are {len(names)} names, of the classes from 0")
    track = int(rest[-1]) if rest else -1
    box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
    return RawBox(frame, track, box, Remark(names[label]))
