"""Truth of tube data sets: the ACT layout (JHMDB, UCF101-24, MultiSports) and UCF101-24's corrected annotations.

The ACT layout is one pickled dictionary, often written by python 2::

    labels                      names of the actions
    train_videos, test_videos   one list of video names per split
    nframes                     {video: number of frames}
    resolution                  {video: (height, width)}
    gttubes                     {video: {label: [(T, 5) frame from 1, x1, y1, x2, y2 in pixels]}}
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.errors import InputError, shown
from evaluation.files import load_pickle, read_text
from evaluation.formats.tube_arrays import Entry, tube_set
from evaluation.tube_dataset import TubeTruth

_KEYS = ("labels", "test_videos", "nframes", "resolution", "gttubes")
_UCF24_SIZE = (240, 320)
_MOST = 1_000_000_000


def read_act_tubes(path: str | os.PathLike[str], *, split: int = 1, unscored: Sequence[str] = ()) -> TubeTruth:
    """Read truth in the ACT layout.

    Args:
        path: the pickle.
        split: which train/test split, from 1 (JHMDB has three).
        unscored: names of labels that are annotated but not scored.

    Raises:
        InputError: not this layout, a missing key, a damaged tube.

    Example:
        >>> from evaluation import read_act_tubes
        >>> read_act_tubes("GT.pkl")
        TubeTruth(2 labels, 0 train videos, 1 test videos, 2 tubes)
    """
    truth = load_pickle(path)
    if not isinstance(truth, dict) or (missing := [key for key in _KEYS if key not in truth]):
        have = f"a dictionary without {', '.join(missing)}" if isinstance(truth, dict) else f"a {type(truth).__name__}"
        raise InputError(f"{path}: expected a dictionary with the keys {', '.join(_KEYS)}, found {have}")
    labels = _names(truth["labels"], "labels", path)
    for key in ("nframes", "resolution"):
        if not isinstance(truth[key], dict):
            raise InputError(f"{path}: {key} is a {type(truth[key]).__name__}; expected {{video: ...}}")
    test_videos = _split_of(truth["test_videos"], split, "test_videos", path)
    train_videos = _split_of(truth["train_videos"], split, "train_videos", path) if "train_videos" in truth else ()
    tubes = tube_set(_truth_entries(truth["gttubes"], len(labels), path), scored=False, path=path)
    for video in (*test_videos, *train_videos):
        for key in ("gttubes", "nframes", "resolution"):
            if video not in truth[key]:
                raise InputError(f"{path}: {key} has no entry for video {video}, which split {split} lists")
    counts = {str(video): _count(count, video, path) for video, count in truth["nframes"].items()}
    sizes = {str(video): _size(size, video, path) for video, size in truth["resolution"].items()}
    return TubeTruth(
        labels=labels,
        unscored=frozenset(place for place, name in enumerate(labels) if name in unscored),
        train_videos=train_videos,
        test_videos=test_videos,
        frame_counts=counts,
        sizes=sizes,
        tubes=tubes,
    )


def read_corrected_ucf24(path: str | os.PathLike[str], *, test_list: str | os.PathLike[str]) -> TubeTruth:
    """Read UCF101-24's corrected annotations (pyannot.pkl).

    Its boxes are (x, y, width, height), mostly uint8: adding them as they are overflows. Its first frame `sf`
    counts from 0 and its end `ef` is exclusive.

    Args:
        path: {video: {"annotations": [{"label", "sf", "ef", "boxes"}], "numf": frames}}.
        test_list: text file with one test video per line ("Basketball/v_Basketball_g01_c01", an extension or
            a second column may follow); all other videos are for training.

    Raises:
        InputError: not this layout, or an annotation whose boxes do not fill its frames.

    Example:
        >>> from evaluation import read_corrected_ucf24
        >>> read_corrected_ucf24("pyannot.pkl", test_list="testlist.txt").test_videos
        ('Run/v_1',)
    """
    videos = load_pickle(path)
    if not isinstance(videos, dict) or not all(isinstance(v, dict) and "annotations" in v for v in videos.values()):
        raise InputError(f'{path}: expected {{video: {{"annotations": [...], "numf": ...}}}} as in pyannot.pkl')
    try:
        entries = list(_ucf24_entries(videos, path))
        counts = {str(video): _count(record["numf"], video, path) for video, record in videos.items()}
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as fault:
        raise InputError(
            f"{path}: every video needs numf, and every annotation label, sf, ef and boxes, as in pyannot.pkl "
            f"({shown(fault, 100)})"
        ) from None
    names = {label: video.split("/")[0] for video, label, _, _ in entries}
    if not entries or sorted(names) != list(range(len(names))):
        raise InputError(f"{path}: the labels are {sorted(names)}, expected 0, 1, 2 and so on without holes")
    listed = [Path(line.split()[0]).with_suffix("").as_posix() for line in _lines(test_list)]
    test_videos = tuple(video for video in dict.fromkeys(listed) if video in videos)
    if not test_videos:
        raise InputError(f"{test_list}: none of its {len(listed)} videos is in {path}")
    return TubeTruth(
        labels=tuple(names[label] for label in range(len(names))),
        unscored=frozenset(),
        train_videos=tuple(sorted(set(map(str, videos)) - set(listed))),
        test_videos=test_videos,
        frame_counts=counts,
        sizes={str(video): _UCF24_SIZE for video in videos},
        tubes=tube_set(entries, scored=False, path=path),
    )


def _names(names: Any, what: str, path: str | os.PathLike[str]) -> tuple[str, ...]:
    if not isinstance(names, (list, tuple, np.ndarray)) or not all(isinstance(name, (str, np.str_)) for name in names):
        raise InputError(f"{path}: {what} must be a list of names, found {shown(names)}")
    return tuple(map(str, names))


def _count(count: Any, video: object, path: str | os.PathLike[str]) -> int:
    """A number of frames."""
    number = count.item() if isinstance(count, np.ndarray | np.generic) and count.size == 1 else count
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 1 <= number <= _MOST or number % 1:
        raise InputError(f"{path}: video {video} has {shown(count)} frames; expected a whole number from 1")
    return int(number)


def _size(size: Any, video: object, path: str | os.PathLike[str]) -> tuple[int, int]:
    """Height and width."""
    sides = size.tolist() if isinstance(size, np.ndarray) else size
    if (
        not isinstance(sides, (list, tuple))
        or len(sides) < 2
        or not all(isinstance(side, (int, float, np.number)) and 1 <= side <= _MOST for side in sides[:2])
    ):
        raise InputError(f"{path}: video {video} has the resolution {shown(size)}; expected (height, width) in pixels")
    return int(sides[0]), int(sides[1])


def _truth_entries(gttubes: Any, labels: int, path: str | os.PathLike[str]) -> Iterator[Entry]:
    layout = "gttubes must be {video: {label: [(T, 5) array, ...]}}"
    if not isinstance(gttubes, dict):
        raise InputError(f"{path}: {layout}, found a {type(gttubes).__name__}")
    for video, by_label in gttubes.items():
        if not isinstance(by_label, dict) or not all(isinstance(tubes, (list, tuple)) for tubes in by_label.values()):
            raise InputError(f"{path}: {layout}, but the entry of video {video} is not of that kind")
        for label, tubes in by_label.items():
            if not isinstance(label, (int, np.integer)) or not 0 <= label < labels:
                raise InputError(
                    f"{path}: gttubes of video {video} has label {shown(label)}; labels are 0 to {labels - 1}"
                )
            for tube in tubes:
                yield str(video), int(label), 1.0, tube


def _ucf24_entries(videos: Mapping[str, Any], path: str | os.PathLike[str]) -> Iterator[Entry]:
    for video, record in videos.items():
        for annotation in record["annotations"]:
            start, end = int(annotation["sf"]), int(annotation["ef"])
            boxes = np.asarray(annotation["boxes"])
            if boxes.shape != (end - start, 4) or boxes.dtype.kind not in "fiu":
                raise InputError(
                    f"{path}: video {video} has boxes of shape {boxes.shape} and type {boxes.dtype} for frames {start} "
                    f"to {end}; expected ({end - start}, 4) numbers"
                )
            boxes = boxes.astype(np.float64)  # most are uint8, whose sums overflow
            frames = np.arange(start + 1, end + 1, dtype=np.float32)[:, None]
            yield (
                str(video),
                int(annotation["label"]),
                1.0,
                np.hstack([frames, boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]),
            )


def _split_of(splits: Any, split: int, key: str, path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the video names of one split."""
    if not isinstance(splits, (list, tuple)) or any(isinstance(names, str) for names in splits):
        raise InputError(f"{path}: {key} must be a list with one list of video names per split")
    if not 1 <= split <= len(splits):
        raise InputError(f"{path}: {key} has {len(splits)} splits; split {split} does not exist")
    names = _names(splits[split - 1], f"{key} of split {split}", path)
    if len(set(names)) != len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(f"{path}: {key} lists video {twice} twice")
    return names


def _lines(path: str | os.PathLike[str]) -> list[str]:
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; expected a text file with one video per line")
    return [line for line in read_text(path).splitlines() if line.strip()]
