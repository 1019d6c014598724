"""AVA's annotations and those of Kinetics clips, as one data set whose every record names its own clip."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_tools.preparing.ava import annotation_files
from data_tools.preparing.given import lay_files
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.formats.ava import read_ava_csv, write_ava_csv
from evaluation.formats.person_boxes import read_proposals, write_proposals
from evaluation.name_column import NameColumn
from evaluation.records import FrameKey, PersonBoxes, TruthRows

AVA_FILES = annotation_files("2.2")
KINETICS_FILES = ("kinetics_train_v1.0.csv", "kinetics_val_v1.0.csv")
MERGED_VAL = "ava_kinetics_val_v1.0.csv"
MERGED_VAL_PROPOSALS = "ava_kinetics_dense_proposals_val.pkl"


def lay_official(given: Sequence[Path], ava: Path, folder: Path) -> list[str]:
    """Lay the official files of both, from what is given and from a prepared AVA, into `folder`.

    Returns:
        The names of AVA's films.

    Raises:
        InputError: a file of boxes lacks.
    """
    names = (*AVA_FILES.usual, *KINETICS_FILES)
    # In two steps, so that what is given may differ from what the prepared AVA holds, and wins.
    there = lay_files([ava / "annotations"] if (ava / "annotations").is_dir() else [], names, folder)
    there |= lay_files(given, names, folder)
    if lacking := [name for name in (*AVA_FILES.truth, *KINETICS_FILES) if name not in there]:
        raise InputError(f"--annotations: {', '.join(lacking)} lack; expected them in ava_kinetics_v1_0.tar.gz")
    return sorted({str(name) for file in AVA_FILES.truth for name in read_ava_csv(there[file]).video.categories})


def moments_of(truth: TruthRows) -> list[FrameKey]:
    """Every annotated moment once, those without persons too."""
    table = pd.DataFrame({"video": truth.video.to_pandas(), "moment": truth.moment}).drop_duplicates()
    keys = [FrameKey(str(video), int(moment)) for video, moment in zip(table["video"], table["moment"], strict=True)]
    return [*dict.fromkeys([*keys, *truth.empty_moments])]


def rename(truth: TruthRows, clip_of: Mapping[FrameKey, str]) -> TruthRows:
    """The rows of the moments that `clip_of` has, under the names of their clips; the moments stay as they are."""
    rows = zip(np.asarray(truth.video, dtype=object), truth.moment.tolist(), strict=True)
    names = [clip_of.get(FrameKey(video, moment)) for video, moment in rows]
    kept = np.array([name is not None for name in names], dtype=bool)
    return replace(
        truth[kept],
        video=NameColumn.of_names([name for name in names if name is not None]),
        empty_moments=tuple(FrameKey(clip_of[key], key.moment) for key in truth.empty_moments if key in clip_of),
    )


def write_merged(
    folder: Path,
    official: Path,
    kinetics: Sequence[TruthRows],
    clip_of: Mapping[FrameKey, str],
    films: Collection[str],
    proposals: Mapping[FrameKey, PersonBoxes],
) -> str:
    """Write the annotations that configs/ava_kinetics reads, and those of the Kinetics validation clips.

    Args:
        folder: where to.
        official: AVA's files, as they were given.
        kinetics: Kinetics boxes of training and validation, by ids of whole videos.
        clip_of: the clip of each of their moments whose clip is there.
        films: AVA's films that are there.
        proposals: person boxes of Kinetics, by clip or by id of the whole video.

    Returns:
        What was written, in words.
    """
    ava = [read_ava_csv(official / name).select(videos=films) for name in AVA_FILES.truth]
    clips = [rename(truth, clip_of) for truth in kinetics]
    written = {
        AVA_FILES.truth[0]: TruthRows.concatenate([ava[0], clips[0]]),
        AVA_FILES.truth[1]: ava[1],
        MERGED_VAL: TruthRows.concatenate([ava[1], clips[1]]),
        **dict(zip(KINETICS_FILES, clips, strict=True)),
    }
    for name, truth in written.items():
        write_ava_csv(folder / name, truth)
    names = [*written]
    for name in (AVA_FILES.actions, AVA_FILES.evaluated, *AVA_FILES.excluded):
        if (official / name).is_file():
            with atomic_path(folder / name) as temporary:
                shutil.copyfile(official / name, temporary)
            names.append(name)
    said = []
    boxes = zip(AVA_FILES.proposals, (AVA_FILES.proposals[0], MERGED_VAL_PROPOSALS), strict=True)
    for split, truth, of_clips, (ava_name, merged_name) in zip(
        ("training", "validation"), kinetics, clips, boxes, strict=True
    ):
        found = _boxes_of_clips(truth, clip_of, proposals)
        count = len(moments_of(of_clips))
        said.append(f"Kinetics, {split}: {count} key frames, {len(found)} of them with person boxes (--proposals)")
        persons = read_proposals(official / ava_name) if (official / ava_name).is_file() else {}
        if persons:
            write_proposals(folder / ava_name, persons.values())
            names.append(ava_name)
        if persons or found:
            write_proposals(folder / merged_name, [*persons.values(), *found])
            names.append(merged_name)
    return "\n".join([f"wrote {', '.join(dict.fromkeys(names))} in {folder}", *said])


def _boxes_of_clips(
    truth: TruthRows, clip_of: Mapping[FrameKey, str], proposals: Mapping[FrameKey, PersonBoxes]
) -> list[PersonBoxes]:
    """The person boxes of the moments that are there, under the names of their clips."""
    found = []
    for key in moments_of(truth):
        if key in clip_of:
            own = FrameKey(clip_of[key], key.moment)
            persons = proposals.get(own) or proposals.get(key)
            if persons is not None:
                found.append(replace(persons, key=own))
    return found
