"""AVA: minutes 15 to 30 of each film, as video or as pictures, and the files that configs/ava21 and ava22 read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal

from actiondet.datasets.key_frames import SECOND_US
from data_tools.preparing.coding import USUAL, Coding
from data_tools.preparing.cut import Cut
from data_tools.preparing.given import lay_files
from data_tools.preparing.jobs import Job
from data_tools.preparing.pictures import Pictures
from data_tools.preparing.sources import find_by_stem
from evaluation.errors import InputError
from evaluation.formats.ava import read_action_list, read_ava_csv, read_excluded
from evaluation.formats.person_boxes import read_proposals

Version = Literal["2.1", "2.2"]

FPS = Fraction(30)
FIRST_SECOND, END_SECOND = 900, 1801
"""The official scripts cut 901 seconds from second 900 on: the last key moments need frames after them."""
FRAMES = (END_SECOND - FIRST_SECOND) * 30
"""27,030 frames."""


@dataclass(frozen=True)
class AnnotationFiles:
    """Official names of the files of one version of AVA.

    Attributes:
        actions: all actions.
        evaluated: the scored ones.
        truth: of training and validation.
        excluded: moments that do not count, of training and validation.
        proposals: person boxes, of training and validation.
        more_boxes: those of PySlowFast, which its configurations read instead.
    """

    actions: str
    evaluated: str
    truth: tuple[str, str]
    excluded: tuple[str, str]
    proposals: tuple[str, str]
    more_boxes: tuple[str, ...]

    @property
    def usual(self) -> tuple[str, ...]:
        """The names that most configurations read."""
        return (self.actions, self.evaluated, *self.truth, *self.excluded, *self.proposals)


def annotation_files(version: Version) -> AnnotationFiles:
    """The names that configs/_base_/ava21.yaml, ava22.yaml and pyslowfast_detection.yaml have."""
    year = {"2.1": 2018, "2.2": 2019}[version]
    good, better = "person_box_67091280_iou75", "person_box_67091280_iou90"
    return AnnotationFiles(
        actions=f"ava_action_list_v{version}.pbtxt",
        evaluated=f"ava_action_list_v{version}_for_activitynet_{year}.pbtxt",
        truth=(f"ava_train_v{version}.csv", f"ava_val_v{version}.csv"),
        excluded=(f"ava_train_excluded_timestamps_v{version}.csv", f"ava_val_excluded_timestamps_v{version}.csv"),
        proposals=(
            "ava_dense_proposals_train.FAIR.recall_93.9.pkl",
            "ava_dense_proposals_val.FAIR.recall_93.9.pkl",
        ),
        more_boxes=(
            f"{better}/ava_detection_train_boxes_and_labels_include_negative_v{version}.csv",
            f"{better}/ava_detection_val_boxes_and_labels.csv",
            f"{good}/ava_detection_val_boxes_and_labels.csv",
        ),
    )


def lay_annotations(given: Iterable[Path], version: Version, folder: Path) -> list[str]:
    """Lay the annotation files into `folder` and read each of them once; return the names of those that lack.

    Raises:
        InputError: a truth file lacks, or a file cannot be read.
    """
    files = annotation_files(version)
    there = lay_files(given, (*files.usual, *files.more_boxes), folder)
    lacking = [name for name in files.usual if name not in there]
    if truths := [name for name in files.truth if name in lacking]:
        raise InputError(f"--annotations: {' and '.join(truths)} lack; expected them in ava_v{version}.zip")
    for name, path in there.items():
        if name in files.truth:
            read_ava_csv(path)
        elif name in (files.actions, files.evaluated):
            read_action_list(path)
        elif name in files.excluded:
            read_excluded(path)
        else:
            read_proposals(path)
    return lacking


def annotated_videos(version: Version, folder: Path) -> list[str]:
    """The films of training and validation, by name."""
    names: set[str] = set()
    for name in annotation_files(version).truth:
        names.update(map(str, read_ava_csv(folder / name).video.categories))
    return sorted(names)


def plan_films(
    names: Sequence[str],
    videos: Path,
    *,
    out: Path,
    pictures: bool,
    own_rate: bool,
    short_side: int | None,
    seconds: tuple[int, int] = (FIRST_SECOND, END_SECOND),
    coding: Coding = USUAL,
) -> list[Job]:
    """One job for each film: videos/<id>.mp4, or frames/<id>/img_00001.jpg ... with `pictures`.

    A film must last to second 1800, where the annotations end, or up to one second less than `seconds` says. What
    lies in `out` is not a source.
    """
    found = find_by_stem(videos, names, without=out)
    start, end = seconds
    piece: Callable[..., Job] = partial(Pictures, fps=FPS)
    if not pictures:
        piece = partial(Cut, fps=None if own_rate else FPS, coding=coding)
    return [
        piece(
            source=str(found[name]) if name in found else None,
            name=f"frames/{name}" if pictures else f"videos/{name}.mp4",
            start_us=start * SECOND_US,
            end_us=end * SECOND_US,
            shortest_us=(end - start - 1) * SECOND_US,
            short_side=short_side,
        )
        for name in names
    ]
