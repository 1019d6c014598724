"""Reading MultiSports, and sets of one's own in its files: moments are frame numbers, truth is tubes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from actiondet.config.data_sets import MultiSportsConfig
from actiondet.datasets.classes import ChosenActions, choose_actions
from actiondet.datasets.sources import locate_videos
from actiondet.datasets.splits import Moments, PersonSplit, SplitName, read_split
from actiondet.datasets.tables import KeyTable, PersonTable, TruePersons, gather_persons, select_persons
from actiondet.datasets.tracks import FollowLimits
from actiondet.video import index_video
from actiondet.video.kept_index import KeptIndices
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList
from evaluation.formats.frame_tables import FramePersons, read_frame_persons, read_tube_csv
from evaluation.formats.multisports import read_multisports
from evaluation.records import FrameKey, PersonBoxes
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet

# Boxes of every frame, or of every n-th one up to a second apart: the next ones lie at most so many frames beyond a
# clip, and a person may be missed in a third of a second.
LIMITS = FollowLimits(beyond=30, max_gap=10)

MOST_LABELS = 10_000
"""A CSV of tubes does not say how many labels there are; no set has more than this."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TubeSplit(PersonSplit):
    """One split of a data set of tubes; see PersonSplit.

    Attributes:
        truth: its test videos are the videos of this split.
        people: the annotated persons of every annotated frame, videos and frames rising.
        paths: the videos that are there.
        missing: those that are not.
    """

    data: MultiSportsConfig
    truth: TubeTruth
    paths: Mapping[str, Path]
    missing: tuple[str, ...]
    limits: FollowLimits = LIMITS

    def keys(self, moments: Moments) -> KeyTable:
        """The annotated frames, or all that have proposals too, of the videos that are there; in order."""
        wanted = set(self.people.keys)
        if moments == "all" and self.proposals is not None:
            wanted |= self.proposals.keys()
        return KeyTable.of(sorted(key for key in wanted if key.video in self.paths))

    def to_test(self, moments: Moments) -> tuple[KeyTable, TubeTruth]:
        """Every `val_every`-th of the frames, and the boxes there."""
        keys = self.keys(moments)[:: self.data.val_every]
        return keys, self.truth if self.data.val_every == 1 else _truth_at(self.truth, keys)

    @property
    def neighbors_per_sample(self) -> int:
        """Neighboring frames of which an epoch trains on one; see PersonSplit."""
        return self.data.train_every

    def people_to_train(self) -> TruePersons:
        """The annotated persons of the videos that are there."""
        return self.people.take(self.people.keys.of_videos(self.paths))

    def persons(self, keys: KeyTable) -> PersonTable:
        """The persons to score at each of `keys`; see PersonSplit."""
        persons: Mapping[FrameKey, PersonBoxes] = self.people.as_persons() if self.proposals is None else self.proposals
        found = [persons.get(key) for key in keys]
        return select_persons(keys, found, threshold=self.data.person_threshold, at_most=self.data.max_persons)

    def locate(self, keys: KeyTable) -> tuple[Mapping[str, Path], tuple[str, ...]]:
        """Where the videos are, and which of all are missing; see PersonSplit."""
        return self.paths, self.missing


def with_sizes_of_files(split: TubeSplit) -> TubeSplit:
    """The same in pixels, where the truth is a CSV that has unit boxes and no sizes: both come from the video files."""
    truth = split.truth
    if any(size != (1, 1) for size in truth.sizes.values()):
        return split
    sizes, counts = dict(truth.sizes), dict(truth.frame_counts)
    kept = KeptIndices(split.data.videos)
    for video, path in split.paths.items():
        with suppress(InputError, OSError):  # reading its frames will say so
            index = kept.find(path) or index_video(path)
            sizes[video], counts[video] = (index.height, index.width), len(index)
    tubes = truth.tubes
    scales = np.array([sizes[name] for name in tubes.videos], dtype=np.float64)[tubes.video]
    boxes = tubes.boxes * np.tile(np.repeat(scales, tubes.lengths, axis=0)[:, ::-1], 2)
    tubes = replace(tubes, boxes=boxes)
    truth = replace(truth, sizes=sizes, frame_counts=counts, tubes=tubes)
    note = "the truth is a CSV: frame detections number the videos in its order, not in that of multisports_GT.pkl"
    return replace(split, truth=truth, notes=(*split.notes, note))


@read_split.register
def read_tube_split(
    data: MultiSportsConfig, split: SplitName, *, num_actions: int, skip_missing: bool | None = None
) -> TubeSplit:
    """Read one split of a set of tubes; see `read_split`.

    Args:
        data: the data set.
        split: of the data set.
        num_actions: labels of the network.
        skip_missing: leave videos out that are not there; None: as the settings say.

    Raises:
        InputError: files that are missing, faulty or do not fit together, or no video at all.
    """
    files = data.train if split == "train" else data.val
    truth = read_tube_truth(data, split, num_actions=num_actions)
    chosen = chosen_labels(data, truth, files.truth)
    people, beyond = _people(truth, files.truth)
    notes = [f"{files.truth}: boxes that reach beyond the frame: {beyond}; their inner part is used"] if beyond else []
    proposals = None
    if files.proposals is not None:
        # A CSV does not know how many frames there are.
        counts = None if Path(files.truth).suffix == ".csv" else truth.frame_counts
        persons = read_frame_persons(files.proposals, truth.test_videos, counts)
        proposals = persons.found
        notes += [f"{files.proposals}: {oddity}" for oddity in _oddities(persons)]
    skip = data.unreadable == "skip" if skip_missing is None else skip_missing
    paths, missing = locate_videos(data.videos, truth.test_videos, pictures=False, skip_missing=skip)
    if not chosen.is_whole:
        people, truth = chosen.persons(people), chosen_tubes(truth, chosen)
    return TubeSplit(
        data=data,
        truth=truth,
        people=people,
        proposals=proposals,
        actions=chosen.actions,
        evaluated=chosen.actions,
        paths=paths,
        missing=missing,
        notes=tuple(notes),
        bank=files.bank,
    )


def read_tube_truth(data: MultiSportsConfig, split: SplitName, *, num_actions: int) -> TubeTruth:
    """The truth whose test videos are those of `split`.

    Raises:
        InputError: a file that is missing or faulty, or has another number of labels.
    """
    path = data.train.truth if split == "train" else data.val.truth
    whole = data.classes is None and not data.merge_classes
    if Path(path).suffix == ".csv":
        if whole:
            return read_tube_csv(path, labels=num_actions)
        truth = read_tube_csv(path, labels=MOST_LABELS)
        truth = replace(truth, labels=truth.labels[: int(truth.tubes.labels.max(initial=0)) + 1])
    else:
        truth = read_multisports(path)
        truth.check(path)
    if not whole:
        width = chosen_labels(data, truth, path).actions.width
        if width != num_actions:
            raise InputError(
                f"model.num_actions is {num_actions}, but data.classes and data.merge_classes leave {width} labels of "
                f"{path}; set model.num_actions={width}"
            )
    elif len(truth.labels) != num_actions:
        raise InputError(
            f"model.num_actions is {num_actions}, but {path} has {len(truth.labels)} labels; "
            f"set model.num_actions={len(truth.labels)}, or give the truth that belongs to the model"
        )
    return truth if split == "val" else replace(truth, test_videos=truth.train_videos)


def chosen_labels(data: MultiSportsConfig, truth: TubeTruth, path: str) -> ChosenActions:
    """Choose from the labels of the truth that `path` holds as `data` says; see `choose_actions`."""
    return choose_actions(ActionList.numbered(truth.labels), data.classes, data.merge_classes, source=path)


def chosen_tubes(truth: TubeTruth, chosen: ChosenActions) -> TubeTruth:
    """The tubes of the chosen actions, which alone are scored; labels keep their numbers, a merged one its new name."""
    labels = chosen.labels(truth.tubes.labels)
    kept = np.flatnonzero(labels >= 0)
    tubes = replace(truth.tubes.take(kept), labels=labels[kept])
    names = list(truth.labels)
    for label, name in zip(chosen.actions.ids, chosen.actions.names, strict=True):
        names[label] = name
    left_out = frozenset(range(len(names))) - set(chosen.actions.ids)
    return replace(truth, labels=tuple(names), unscored=truth.unscored | left_out, tubes=tubes)


def _people(truth: TubeTruth, path: str) -> tuple[TruePersons, int]:
    """The persons of all annotated frames in order, cut to the frame, and how many had to be cut."""
    rows = truth.rows(truth.test_videos)
    if len(rows) == 0:
        raise InputError(f"{path}: none of the {len(truth.test_videos)} videos of this split has a box")
    inside = np.clip(rows.boxes, 0, 1)
    # Whole pixels divided by the size and back may miss the border by a rounding.
    beyond = int((np.abs(inside - rows.boxes) > 1e-6).any(axis=1).sum())
    order = np.lexsort((rows.moment, rows.video.codes))
    # Tubes of two labels on one person have the same boxes; that is how labels of one person are recognized.
    rows = replace(rows, boxes=inside, persons=np.full(len(rows), -1, dtype=np.int64))
    return gather_persons(rows[order]), beyond


def _oddities(persons: FramePersons) -> Iterator[str]:
    """What is odd in a file of person boxes but tolerated."""
    if persons.unknown_videos:
        count, first = len(persons.unknown_videos), persons.unknown_videos[0]
        yield f"videos that are not in this split: {count}, such as '{first}'; left out"
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
