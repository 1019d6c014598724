"""Kinetics-400/600/700: the clips of the official table, and the lists that configs/kinetics400 reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from actiondet.datasets.key_frames import SECOND_US
from actiondet.video.clip_stream import TOLERANCE_US
from data_tools.preparing.coding import USUAL, Coding
from data_tools.preparing.cut import Cut
from data_tools.preparing.sources import find_by_stem
from evaluation.errors import InputError
from evaluation.files import write_text
from evaluation.formats.kinetics_table import KineticsClip
from evaluation.formats.video_list import read_class_names


def plan_clips(
    rows: Sequence[KineticsClip],
    videos: Path,
    *,
    out: Path,
    short_side: int | None,
    already_cut: bool,
    coding: Coding = USUAL,
) -> list[Cut]:
    """One job for each clip.

    A file `<id>_<start>_<end>` is the clip itself; a file `<id>` is the whole video, from which the clip is cut,
    unless `already_cut` says that it is the clip. What lies in `out` is not a source.
    """
    found = find_by_stem(videos, [name for row in rows for name in (row.name, row.video)], without=out)
    return [replace(_plan(row, found, short_side, already_cut), coding=coding) for row in rows]


def _plan(row: KineticsClip, found: dict[str, Path], short_side: int | None, already_cut: bool) -> Cut:
    if row.name in found or (already_cut and row.video in found):
        return Cut(source=str(found.get(row.name, found.get(row.video))), name=row.path, short_side=short_side)
    return Cut(
        source=str(found[row.video]) if row.video in found else None,
        name=row.path,
        start_us=row.start * SECOND_US,
        end_us=row.end * SECOND_US,
        shortest_us=max((row.end - row.start) * SECOND_US - TOLERANCE_US, 1),
        short_side=short_side,
    )


def choose_classes(rows: Sequence[KineticsClip], given: Path | None, existing: Path) -> tuple[str, ...]:
    """Names of the labels: of a given file, of the file that an earlier run left, or all in alphabetical order.

    Raises:
        InputError: the table has a class that the file lacks.
    """
    labels = sorted({row.label for row in rows})
    source = given or (existing if existing.is_file() else None)
    if source is None:
        return tuple(labels)
    names = read_class_names(source)
    strange = [label for label in labels if label not in names]
    if strange:
        remedy = "give the file of this data set" if given else "remove it, and give all tables at once"
        raise InputError(f"{source}: does not name the class '{strange[0]}' of the table; {remedy}")
    return names


def write_lists(
    folder: Path, rows: Sequence[KineticsClip], ready: frozenset[str], classes: Sequence[str]
) -> list[Path]:
    """Write classes.txt and, for each split, a list of the clips that are there; return their paths."""
    labels = {name: label for label, name in enumerate(classes)}
    written = [_write(folder / "classes.txt", classes)]
    for split in ("train", "val", "test"):
        ours = [row for row in rows if row.split == split]
        if ours:
            lines = [f"{row.path} {labels[row.label]}" for row in ours if row.path in ready]
            written.append(_write(folder / f"{split}.txt", lines))
    return written


def _write(path: Path, lines: Sequence[str]) -> Path:
    write_text(path, "".join(f"{line}\n" for line in lines))
    return path
