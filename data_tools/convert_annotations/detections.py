"""What a network has found, as annotations to correct: tracks of persons with the actions that reach their thresholds.

    .json  `tools/demo.py --json`: key moments, with identities
    .csv   AVA's results, as `tools/test_det.py` writes them: every score of every person
    .npz   `tools/test_det.py --dump`: the same in full precision
    .pkl   tubes, as `tools/link_tubes.py` and `tools/test_det.py` write them: boxes in pixels, labels from 0, so that
           label 0 is the first action of the list

Persons without an identity are followed by overlap. Boxes of several tubes in one place are one person.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from actiondet.datasets.key_frames import SECOND_US
from actiondet.tubes.tracking import track_persons
from actiondet.video import VideoIndex, index_video
from actiondet.video.sampling import nearest_frames
from data_tools.convert_annotations.annotated import AnnotatedVideo, RawBox, Remark, annotated_video
from data_tools.convert_annotations.clips import file_of_video
from data_tools.convert_annotations.key_frames import Person, boxes_of
from evaluation.boxes import iou_matrix
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.formats.ava import read_ava_results
from evaluation.formats.multisports import read_video_detections
from evaluation.records import FrameKey, IntArray, PersonBoxes
from evaluation.video_names import composed

# Boxes of tubes that overlap more are one person who does several things.
_SAME_PERSON = 0.7


@dataclass(frozen=True)
class Thresholds:
    """The score that an action needs: `of` some by name, `general` for the others."""

    general: float
    of: Mapping[str, float]

    def reached(self, name: str, score: float) -> bool:
        """Whether `score` suffices for the action `name`."""
        return score >= self.of.get(name, self.general)


_Moments = dict[int, list[Person]]
"""Who is there, by microseconds after the first frame, or by frames from 0 (tubes)."""


def read_detections(
    sources: Sequence[Path], videos: Path | None, *, start: float, actions: ActionList | None, thresholds: Thresholds
) -> list[AnnotatedVideo]:
    """Read detections as annotations.

    Args:
        sources: files, or folders of JSON files.
        videos: folder of the video files, which show the frame of each moment.
        start: time on the clock of .csv and .npz files at which every video begins, seconds.
        actions: names of the ids; JSON files name them themselves.
        thresholds: the scores that actions need.

    Raises:
        InputError: no folder of videos, no action list where one is needed, a file that is none of these, moments
            beyond the video, a threshold of an unknown action, or no action that reaches its threshold.
    """
    if videos is None:
        raise InputError("--from detections: give --videos, the folder of the video files")
    found = [video for path in _files(sources) for video in _read(path, videos, start, actions, thresholds)]
    names = set(actions.names) if actions is not None else set()
    names |= {name for video in found for remark in video.remarks for name, _ in remark.attributes}
    unknown = sorted(set(thresholds.of) - names) if actions is not None else []
    if unknown:
        raise InputError(f"--thresholds: the action '{unknown[0]}' is not in the list; expected one of its names")
    if not names or not any(remark.attributes for video in found for remark in video.remarks):
        raise InputError(f"{sources[0]}: no action of anybody reaches its threshold; lower --threshold")
    return found


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        found = sorted(source.rglob("*.json")) if source.is_dir() else [source]
        if not found or not source.exists():
            raise InputError(f"{source}: no file of detections; expected .json, .csv, .npz or .pkl")
        yield from found


def _read(
    path: Path, videos: Path, start: float, actions: ActionList | None, thresholds: Thresholds
) -> Iterator[AnnotatedVideo]:
    if path.suffix == ".json":
        name, moments = _read_json(path, thresholds)
        index = index_video(file_of_video(name, videos, str(path)))
        yield _on_frames(path, name, index, _shown_at(path, name, index, moments))
        return
    if path.suffix not in (".csv", ".npz", ".pkl"):
        raise InputError(f"{path}: is not a file of detections; expected .json, .csv, .npz or .pkl")
    if actions is None:
        raise InputError(f"{path}: holds ids of actions; give --actions, the list of their names")
    if path.suffix == ".pkl":
        yield from _read_tubes(path, videos, actions, thresholds)
        return
    read = _read_csv if path.suffix == ".csv" else _read_dump
    for name, moments in read(path, actions, thresholds).items():
        index = index_video(file_of_video(name, videos, str(path)))
        moved = {moment - round(start * SECOND_US): persons for moment, persons in moments.items()}
        yield _on_frames(path, name, index, _shown_at(path, name, index, moved))


def _read_json(path: Path, thresholds: Thresholds) -> tuple[str, _Moments]:
    layout = "expected what tools/demo.py --json writes"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        name = composed(Path(str(content["video"]["path"]).replace("\\", "/")).stem)
        moments = {
            round(float(moment["time"]) * SECOND_US): [_json_person(person, thresholds) for person in moment["persons"]]
            for moment in content["moments"]
        }
    except ValueError as fault:  # JSONDecodeError, UnicodeDecodeError
        raise InputError(f"{path}: is not a JSON file of detections ({fault}); {layout}") from None
    except (KeyError, TypeError, AttributeError) as fault:
        raise InputError(f"{path}: lacks {fault}; {layout}") from None
    return name, moments


def _json_person(person: Any, thresholds: Thresholds) -> Person:
    x1, y1, x2, y2 = (float(side) for side in person["box"])
    scores = {str(action["name"]): float(action["score"]) for action in person["actions"]}
    doing = frozenset(name for name, score in scores.items() if thresholds.reached(name, score))
    return Person((x1, y1, x2, y2), int(person["identity"]), doing)


def _read_csv(path: Path, actions: ActionList, thresholds: Thresholds) -> dict[str, _Moments]:
    rows = read_ava_results(path)
    unknown = sorted(set(rows.labels.tolist()) - set(actions.ids))
    if unknown:
        raise InputError(
            f"{path}: action {unknown[0]} is not in the list of --actions; expected the list of the network"
        )
    persons, of_row = np.unique(
        np.column_stack([rows.video.codes, rows.moment, rows.boxes]), axis=0, return_inverse=True
    )
    least = np.array([thresholds.of.get(name, thresholds.general) for name in actions.names])
    place = {label: row for row, label in enumerate(actions.ids)}
    needed = least[[place[label] for label in rows.labels.tolist()]] if len(rows) else np.zeros(0)
    doing: list[set[str]] = [set() for _ in persons]
    for row in np.flatnonzero(rows.scores >= needed).tolist():
        doing[int(of_row.ravel()[row])].add(actions.name_of(int(rows.labels[row])))
    names = [str(name) for name in rows.video.categories]
    found: dict[str, _Moments] = {}
    for (code, moment, x1, y1, x2, y2), done in zip(persons.tolist(), doing, strict=True):
        at = found.setdefault(names[int(code)], {}).setdefault(int(moment), [])
        at.append(Person((x1, y1, x2, y2), -1, frozenset(done)))
    return found


def _read_dump(path: Path, actions: ActionList, thresholds: Thresholds) -> dict[str, _Moments]:
    layout = "expected what tools/test_det.py --dump writes"
    try:
        with np.load(path, allow_pickle=False) as archive:
            video, moment, boxes, scores = (archive[key] for key in ("video", "moment", "boxes", "action_scores"))
    except (OSError, ValueError, KeyError, BadZipFile, EOFError) as fault:
        if isinstance(fault, FileNotFoundError):
            raise
        raise InputError(f"{path}: is not a file of scores ({fault}); {layout}") from None
    columns = actions.columns.tolist()
    if boxes.shape != (len(video), 4) or scores.ndim != 2 or scores.shape[1] <= max(columns):
        raise InputError(f"{path}: has scores of shape {scores.shape} for actions up to {actions.largest_id}; {layout}")
    found: dict[str, _Moments] = {}
    for row, name in enumerate(video.tolist()):
        doing = frozenset(
            action
            for action, column in zip(actions.names, columns, strict=True)
            if thresholds.reached(action, float(scores[row, column]))
        )
        x1, y1, x2, y2 = boxes[row].tolist()
        at = found.setdefault(composed(str(name)), {}).setdefault(int(moment[row]), [])
        at.append(Person((x1, y1, x2, y2), -1, doing))
    return found


def _read_tubes(path: Path, videos: Path, actions: ActionList, thresholds: Thresholds) -> Iterator[AnnotatedVideo]:
    tubes = read_video_detections(path)
    if int(tubes.labels.max(initial=0)) >= len(actions):
        raise InputError(
            f"{path}: has the label {tubes.labels.max()}, but --actions has {len(actions)} actions, from 0"
        )
    indices = {name: index_video(file_of_video(name, videos, str(path))) for name in tubes.videos}
    sizes = {name: (index.height, index.width) for name, index in indices.items()}
    found: dict[str, _Moments] = {name: {frame: [] for frame in range(len(index))} for name, index in indices.items()}
    for tube in tubes.tubes(sizes):
        name = actions.names[tube.label]
        if not thresholds.reached(name, tube.score):
            continue
        for moment, box in zip(tube.moments.tolist(), tube.boxes.tolist(), strict=True):
            if moment - 1 not in found[tube.video]:
                index = indices[tube.video]
                raise InputError(
                    f"{path}: a tube of video '{tube.video}' has a box on frame {moment}, but {index.path} has frames "
                    f"1 to {len(index)}; is it the video that was searched?"
                )
            _add(found[tube.video][moment - 1], (box[0], box[1], box[2], box[3]), name)
    for name, index in indices.items():
        yield _on_frames(path, name, index, found[name])


def _add(persons: list[Person], box: tuple[float, float, float, float], action: str) -> None:
    """Give the action to the person who is in the place of `box`, or add one; two tubes of one action are two."""
    if persons:
        overlaps = iou_matrix(np.array([box]), np.array([person.box for person in persons]))[0]
        overlaps = np.where([action in person.actions for person in persons], 0, overlaps)
        best = int(overlaps.argmax())
        if overlaps[best] >= _SAME_PERSON:
            persons[best] = Person(persons[best].box, -1, persons[best].actions | {action})
            return
    persons.append(Person(box, -1, frozenset([action])))


def _shown_at(path: Path, name: str, index: VideoIndex, moments: _Moments) -> _Moments:
    """The same by frames from 0; of moments that share a frame the first counts."""
    instants = sorted(moments)
    frames = nearest_frames(index.frame_times, np.array(instants, dtype=np.int64)).tolist() if instants else []
    shown: _Moments = {}
    for instant, frame in zip(instants, frames, strict=True):
        if not -SECOND_US <= instant <= int(index.frame_times[-1]) + SECOND_US:
            raise InputError(
                f"{path}: video '{name}' at {instant / 1e6:g} s lies outside of {index.path}, which lasts "
                f"{index.frame_times[-1] / 1e6:.1f} s; is --start right, and is it the video that was searched?"
            )
        shown.setdefault(frame, moments[instant])
    return shown


def _on_frames(path: Path, name: str, index: VideoIndex, shown: _Moments) -> AnnotatedVideo:
    frames = sorted(shown)
    boxes = {frame: boxes_of(shown[frame]).astype(np.float32) for frame in frames}
    followed = track_persons([PersonBoxes(FrameKey(name, at), of, np.ones(len(of))) for at, of in boxes.items()])
    size = (index.width, index.height)
    found = [
        RawBox(frame, person.identity if person.identity >= 0 else identity, _pixels(person.box, size), _said(person))
        for frame, identities in zip(frames, followed, strict=True)
        for person, identity in zip(shown[frame], identities.tolist(), strict=True)
    ]
    annotated: IntArray = np.array(frames, dtype=np.int64)
    return annotated_video(name, str(path), size, annotated, found, clip=True)


def _pixels(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    (x1, y1, x2, y2), (width, height) = box, size
    return x1 * width, y1 * height, x2 * width, y2 * height


def _said(person: Person) -> Remark:
    return Remark("person", tuple((name, True) for name in sorted(person.actions)))
