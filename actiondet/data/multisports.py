"""MultiSports, and sets of one's own in its files: moments are frame numbers, truth is tubes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from actiondet.config.schema import ClipConfig, MultiSportsConfig, TransformConfig
from actiondet.data.build import build_test_set, build_train_transform, build_training_set
from actiondet.data.key_frames import EvaluationSet, TrainingSet
from actiondet.datasets.sources import ReaderPool, find_videos, missing_videos
from actiondet.datasets.tables import KeyTable, PersonTable, TruePersons, gather_persons, select_persons
from actiondet.datasets.tracks import FollowLimits, PersonIndex, Tracks
from actiondet.datasets.windows import ClipWindow
from actiondet.video import index_video, open_video
from actiondet.video.kept_index import KeptIndices
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.formats.frame_tables import FramePersons, read_frame_persons, read_tube_csv
from evaluation.formats.multisports import read_multisports
from evaluation.records import FrameKey, PersonBoxes
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet

Moments = Literal["all", "annotated"]
# Boxes of every frame, or of every n-th one up to a second apart: the next ones lie at most so many frames beyond a
# clip, and a person may be missed in a third of a second.
REACH = FollowLimits(beyond=30, max_gap=10)


@dataclass(frozen=True, eq=False, repr=False)
class TubePart:
    """One part of a data set of tubes, as its files have it.

    Attributes:
        truth: its test videos are the videos of this part.
        people: the annotated persons of every annotated frame, videos and frames rising.
        proposals: the found persons of every frame of known videos; None where the settings name no file.
        paths: the videos that are there.
        missing: those that are not.
        notes: what is odd in the files but tolerated, one sentence each.
    """

    truth: TubeTruth
    people: TruePersons
    proposals: Mapping[FrameKey, PersonBoxes] | None
    paths: Mapping[str, Path]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def actions(self) -> ActionList:
        """Every label, from 0, and its name."""
        return action_list(self.truth)

    def persons(self, data: MultiSportsConfig, keys: KeyTable) -> PersonTable:
        """The persons to score at each of `keys`: the proposals that count, or else the annotated ones."""
        if self.proposals is not None:
            found = [self.proposals.get(key) for key in keys]
        else:
            annotated = self.people.as_persons()
            found = [annotated.get(key) for key in keys]
        return select_persons(keys, found, threshold=data.person_threshold, at_most=data.max_persons)

    def tracks(self, data: MultiSportsConfig) -> Tracks:
        """Who is where on all frames of the files, be they annotated or not."""
        true = PersonIndex.of(self.people.as_persons())
        if self.proposals is None:
            return Tracks(found=None, true=true, reach=REACH)
        found = self.persons(data, KeyTable.of(list(self.proposals)))
        return Tracks(found=PersonIndex.of(found), true=true, reach=REACH)

    def keys(self, moments: Moments) -> KeyTable:
        """The annotated frames, or all that have proposals too, of the videos that are there; in order."""
        wanted = set(self.people.keys)
        if moments == "all" and self.proposals is not None:
            wanted |= self.proposals.keys()
        return KeyTable.of(sorted(key for key in wanted if key.video in self.paths))


def with_sizes_of_files(part: TubePart) -> TubePart:
    """The same in pixels, where the truth is a CSV that has unit boxes and no sizes: both come from the video files."""
    truth = part.truth
    if any(size != (1, 1) for size in truth.sizes.values()):
        return part
    sizes, counts = dict(truth.sizes), dict(truth.frame_counts)
    for video, path in part.paths.items():
        with suppress(InputError, OSError):  # reading its frames will say so
            index = index_video(path)
            sizes[video], counts[video] = (index.height, index.width), len(index)
    tubes = truth.tubes
    scales = np.array([sizes[name] for name in tubes.videos], dtype=np.float64)[tubes.video]
    boxes = tubes.boxes * np.tile(np.repeat(scales, tubes.lengths, axis=0)[:, ::-1], 2)
    tubes = replace(tubes, boxes=boxes)
    truth = replace(truth, sizes=sizes, frame_counts=counts, tubes=tubes)
    note = "the truth is a CSV: frame detections number the videos in its order, not in that of multisports_GT.pkl"
    return replace(part, truth=truth, notes=(*part.notes, note))


def action_list(truth: TubeTruth) -> ActionList:
    """The labels of `truth`, from 0, and their names."""
    return ActionList.numbered(truth.labels)


def read_part(data: MultiSportsConfig, split: Literal["train", "val"], *, num_actions: int) -> TubePart:
    """Read what the settings name.

    Raises:
        InputError: files that are missing, faulty or do not fit together, or no video at all.
    """
    files = data.train if split == "train" else data.val
    truth = read_part_truth(data, split, num_actions=num_actions)
    people, beyond = _people(truth, files.truth)
    notes = [f"{files.truth}: boxes that reach beyond the frame: {beyond}; their inner part is used"] if beyond else []
    proposals = None
    if files.proposals is not None:
        # A CSV does not know how many frames there are.
        counts = None if Path(files.truth).suffix == ".csv" else truth.frame_counts
        persons = read_frame_persons(files.proposals, truth.test_videos, counts)
        proposals = persons.found
        notes += [f"{files.proposals}: {oddity}" for oddity in _oddities(persons)]
    paths = find_videos(data.videos, truth.test_videos, pictures=False)
    if not paths:
        raise InputError(missing_videos(data.videos, truth.test_videos, paths, pictures=False))
    missing = tuple(name for name in truth.test_videos if name not in paths)
    return TubePart(truth, people, proposals, paths, missing, tuple(notes))


@build_training_set.register
def multisports_training_set(
    data: MultiSportsConfig,
    *,
    clip: ClipConfig,
    transform: TransformConfig,
    num_actions: int,
    seed: int,
    tracks: bool = False,
) -> TrainingSet:
    """The training part of a set of tubes: its annotated frames; see `build_training_set`."""
    part = read_part(data, "train", num_actions=num_actions)
    _refuse_missing(data, part)
    there = np.array([name in part.paths for name in part.people.keys.names], dtype=bool)
    people = part.people.take(there[part.people.keys.video])
    return TrainingSet(
        people=people,
        proposals=part.persons(data, people.keys) if part.proposals is not None else None,
        centers_us=None,
        videos=_videos(data, part),
        window=_window(clip),
        transform=build_train_transform(transform),
        actions=part.actions,
        num_actions=num_actions,
        match_iou=data.match_iou,
        max_boxes=data.max_train_boxes,
        seed=seed,
        missing=part.missing,
        notes=part.notes,
        neighbors_per_sample=data.train_every,
        tracks=part.tracks(data) if tracks else None,
    )


@build_test_set.register
def multisports_test_set(
    data: MultiSportsConfig,
    *,
    clip: ClipConfig,
    transform: TransformConfig,
    num_actions: int,
    moments: Moments = "annotated",
    split: Literal["train", "val"] = "val",
    tracks: bool = False,
    short_sides: Sequence[int] | None = None,
) -> EvaluationSet:
    """The test data of a set of tubes, every `val_every`-th frame of it; see `build_test_set`."""
    part = read_part(data, split, num_actions=num_actions)
    _refuse_missing(data, part)
    keys = part.keys(moments)[:: data.val_every]
    persons = part.persons(data, keys)
    somebody = persons.counts > 0
    return EvaluationSet(
        persons=persons.take(somebody),
        centers_us=None,
        videos=_videos(data, part),
        window=_window(clip),
        short_sides=short_sides or (transform.test_short_side,),
        truth=part.truth if data.val_every == 1 else _truth_at(part.truth, keys),
        actions=part.actions,
        evaluated=part.actions,
        excluded=frozenset(),
        without_persons=int((~somebody).sum()),
        missing=part.missing,
        notes=part.notes,
        tracks=part.tracks(data) if tracks else None,
    )


def read_part_truth(data: MultiSportsConfig, split: Literal["train", "val"], *, num_actions: int) -> TubeTruth:
    """The truth whose test videos are those of `split`.

    Raises:
        InputError: a file that is missing or faulty, or has another number of labels.
    """
    path = data.train.truth if split == "train" else data.val.truth
    if Path(path).suffix == ".csv":
        return read_tube_csv(path, labels=num_actions)
    truth = read_multisports(path)
    truth.check(path)
    if len(truth.labels) != num_actions:
        raise InputError(
            f"model.num_actions is {num_actions}, but {path} has {len(truth.labels)} labels; "
            f"set model.num_actions={len(truth.labels)}, or give the truth that belongs to the model"
        )
    return truth if split == "val" else replace(truth, test_videos=truth.train_videos)


def _people(truth: TubeTruth, path: str) -> tuple[TruePersons, int]:
    """The persons of all annotated frames in order, cut to the frame, and how many had to be cut."""
    rows = truth.rows(truth.test_videos)
    if len(rows) == 0:
        raise InputError(f"{path}: none of the {len(truth.test_videos)} videos of this part has a box")
    inside = np.clip(rows.boxes, 0, 1)
    # Whole pixels divided by the size and back may miss the border by a rounding.
    beyond = int((np.abs(inside - rows.boxes) > 1e-6).any(axis=1).sum())
    order = np.lexsort((rows.moment, np.asarray(rows.video.codes)))
    rows = replace(
        rows,
        video=rows.video[order],
        moment=rows.moment[order],
        boxes=inside[order],
        labels=rows.labels[order],
        # Tubes of two labels on one person have the same boxes; that is how labels of one person are recognised.
        persons=np.full(len(rows), -1, dtype=np.int64),
    )
    return gather_persons(rows), beyond


def _oddities(persons: FramePersons) -> Iterator[str]:
    """What is odd in a file of person boxes but tolerated."""
    if persons.unknown_videos:
        count, first = len(persons.unknown_videos), persons.unknown_videos[0]
        yield f"videos that are not in this part: {count}, such as '{first}'; left out"
    if persons.no_frames:
        count, (video, frame) = len(persons.no_frames), persons.no_frames[0]
        yield f"frames that their video does not have: {count}, such as {frame} of '{video}'; left out (1 is the first)"
    if persons.cut:
        yield f"boxes that reach beyond the frame: {persons.cut}; their inner part is used"


def _truth_at(truth: TubeTruth, keys: KeyTable) -> TubeTruth:
    """The boxes of some frames alone, each as a tube of its own."""
    tubes = truth.of_videos(truth.test_videos)
    wanted = set(keys)
    video = np.repeat(tubes.video, tubes.lengths)
    names = truth.test_videos
    rows = np.array(
        [FrameKey(names[v], m) in wanted for v, m in zip(video.tolist(), tubes.moments.tolist(), strict=True)]
    )
    kept = np.flatnonzero(rows)
    boxes = TubeSet(
        videos=tubes.videos,
        video=video[kept],
        labels=np.repeat(tubes.labels, tubes.lengths)[kept],
        scores=np.ones(len(kept)),
        offsets=np.arange(len(kept) + 1),
        moments=tubes.moments[kept],
        boxes=tubes.boxes[kept],
        box_scores=tubes.box_scores[kept],
    )
    return replace(truth, tubes=boxes)


def _refuse_missing(data: MultiSportsConfig, part: TubePart) -> None:
    if part.missing and data.unreadable == "stop":
        complaint = missing_videos(data.videos, part.truth.test_videos, part.paths, pictures=False)
        raise InputError(f"{complaint}, or set data.unreadable=skip to leave them out")


def _videos(data: MultiSportsConfig, part: TubePart) -> ReaderPool:
    return ReaderPool(part.paths, partial(open_video, reader=data.reader), kept=KeptIndices(data.videos))


def _window(clip: ClipConfig) -> ClipWindow:
    return ClipWindow(frames=clip.frames, stride=clip.stride, clip_fps=clip.clip_fps, frame_jitter=clip.frame_jitter)
