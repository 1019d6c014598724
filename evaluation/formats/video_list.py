"""Lists of labeled videos: Kinetics as MMAction2, PySlowFast and others write it, and the split files of UCF101."""

from __future__ import annotations

import csv
import io
import os
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.errors import InputError
from evaluation.files import read_text
from evaluation.records import IntArray

NUMBER = re.compile(r"\d{1,9}")
_FRONT = re.compile(r"(\d+)([\s,]+)(.+)")


@dataclass(frozen=True, eq=False, repr=False)
class VideoList:
    """Videos and what they show.

    Attributes:
        path: the file that was read.
        names: (N) videos as the file names them.
        labels: (N,) from 0.
        frames: (N,) how many frames each has, where the file says so; else None.
        lines: (N,) line of each in the file, from 1.

    Example:
        >>> from evaluation import read_video_list
        >>> videos = read_video_list("videos.txt")
        >>> videos.names, videos.labels.tolist()
        (('run/v_1.mp4', 'sit/v_2.mp4'), [0, 1])
    """

    path: str
    names: tuple[str, ...]
    labels: IntArray
    frames: IntArray | None
    lines: IntArray

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"VideoList({self.path}, {len(self)} videos, {len(np.unique(self.labels))} labels)"


def read_video_list(path: str | os.PathLike[str]) -> VideoList:
    """Read a list of videos, one a line.

    The layouts: `path label` and `folder frames label` (MMAction2, PySlowFast, PaddleVideo), parted by blanks or by
    commas; and `video_id, num_frames, label_index`, with or without that heading. A path may hold blanks. In a list
    parted by blanks the middle column counts as frames only if every line has a number there.

    Raises:
        InputError: a line of another form, a negative label, or no video at all. OSError: the file cannot be read.

    Example:
        >>> from evaluation import read_video_list
        >>> read_video_list("videos.txt").names
        ('run/v_1.mp4', 'sit/v_2.mp4')
    """
    content = read_text(path)
    usual = _usual(content)
    if usual is not None:
        return VideoList(os.fspath(path), *usual, frames=None, lines=np.arange(1, len(usual[0]) + 1))
    heads: list[str] = []  # the first of three columns; where there are two, as in `names`
    names: list[str] = []
    labels, frames, lines = array("q"), array("q"), array("q")
    for line, fields, whole in _rows(path, content):
        counted = len(fields) == 3 and NUMBER.fullmatch(fields[1]) is not None
        names.append(whole)
        heads.append(fields[0] if counted else whole)
        frames.append(int(fields[1]) if counted else -1)
        labels.append(int(fields[-1]))
        lines.append(line)
    if not names:
        raise InputError(f"{path}: lists no videos; expected a line `path label` for each")
    all_counted = min(frames) >= 0
    return VideoList(
        path=os.fspath(path),
        names=tuple(heads if all_counted else names),
        labels=np.array(labels, dtype=np.int64),
        frames=np.array(frames, dtype=np.int64) if all_counted else None,
        lines=np.array(lines, dtype=np.int64),
    )


def _usual(text: str) -> tuple[tuple[str, ...], IntArray] | None:
    """The names and labels of a list whose every line is `path label` without commas; None of another one.

    That takes a quarter of the time of a look at each line.
    """
    words = text.split()
    names, labels = words[::2], words[1::2]
    numbers = all(map(str.isdecimal, labels)) and max(map(len, labels), default=10) <= 9
    if not numbers or "," in text or "\n".join(map(" ".join, zip(names, labels, strict=False))) != text.rstrip("\n"):
        return None
    return tuple(names), np.array(list(map(int, labels)), dtype=np.int64)


def _rows(path: str | os.PathLike[str], content: str) -> Iterator[tuple[int, list[str], str]]:
    """Of each line its number, its fields (2 or 3), and everything before the label."""
    first = True
    # Not all lines at once: a list may have millions.
    for line, text in enumerate(io.StringIO(content), start=1):
        if not text.strip():
            continue
        fields, whole = _fields(text)
        if not NUMBER.fullmatch(fields[-1]) or len(fields) not in (2, 3) or not fields[0]:
            if first and "," in text and not any(char.isdigit() for char in text):
                first = False  # a heading
                continue
            raise InputError(
                f"{path}, line {line}: '{text.strip()[:200]}'; expected `path label`, `folder frames label` "
                "or `video_id, num_frames, label_index`, the label a number from 0"
            )
        first = False
        yield line, fields, whole


def _fields(text: str) -> tuple[list[str], str]:
    if "," in text:
        fields = _parted_by_commas(text)
        if NUMBER.fullmatch(fields[-1]):  # else the comma is part of a path in a list parted by blanks
            return fields, ",".join(fields[:-1])
    words = text.rsplit(None, 2)
    whole = text.rsplit(None, 1)[0].strip() if len(words) > 1 else ""
    if len(words) == 3 and NUMBER.fullmatch(words[1]):
        return [words[0].strip(), *words[1:]], whole
    return [whole, words[-1]], whole


def _parted_by_commas(text: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([text], skipinitialspace=True))]
    except csv.Error:  # longer than any path
        return [text]


def read_class_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read the names of the labels: line by line from label 0, or as lines `label name` or `name,label`.

    A heading `id,name` is passed over. Names may begin with a number, as "1 on 1" does; quotes make sure.

    Raises:
        InputError: no names, or numbers that are not 0, 1, 2, ... OSError: the file cannot be read.

    Example:
        >>> from evaluation import read_class_names
        >>> read_class_names("classes.txt")
        ('run', 'sit')
    """
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    if len(lines) > 1 and re.fullmatch(r"id\s*,\s*\w+|\w+\s*,\s*id", lines[0]):
        del lines[0]  # the heading of a table `id,name`
    if not lines:
        raise InputError(f"{path}: holds no class names; expected one a line, label 0 first")
    front = [(int(found[1]), found[3], found[2]) for line in lines if (found := _FRONT.fullmatch(line))]
    if len(front) == len(lines) and not _begin_with_numbers(front):
        return _in_order(path, [(number, name) for number, name, _ in front])
    back = [(int(found[2]), found[1]) for line in lines if (found := re.fullmatch(r"(.+),\s*(\d+)", line))]
    if len(back) == len(lines):
        return _in_order(path, back)
    return tuple(line.strip('"') for line in lines)


def _begin_with_numbers(lines: Sequence[tuple[int, str, str]]) -> bool:
    """Whether the numbers in front belong to the names, as in "1 on 1" or "3 point shot", and are not labels.

    Labels count from 0 or 1. Where they could count from 1, the rest of the names decides: it holds the number once
    more, or is that of another line.

    Args:
        lines: number, rest and what parts them, line by line.
    """
    numbers = {number for number, _, _ in lines}
    if any(parted.strip(" ") for _, _, parted in lines) or 0 in numbers:  # commas, tabs
        return False
    rests = [rest for _, rest, _ in lines]
    again = all(str(number) in re.findall(r"\d+", rest) for number, rest, _ in lines)
    return again or min(numbers) > 1 or len(set(rests)) < len(rests)


def _in_order(path: str | os.PathLike[str], numbered: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    """The names by rising number, which counts from 0 or (UCF101) from 1."""
    ordered = sorted(numbered)
    numbers = [number for number, _ in ordered]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or numbers[0] > 1:
        raise InputError(
            f"{path}: its labels are {numbers[0]}..{numbers[-1]} with holes or repeats; expected 0, 1, ... "
            "(quote names that begin with a number)"
        )
    return tuple(name.strip('"') for _, name in ordered)


def read_ucf101_split(path: str | os.PathLike[str], classes: Sequence[str]) -> VideoList:
    """Read trainlist0N.txt (`Class/v_Class_g08_c01.avi 1`) or testlist0N.txt (the same without label).

    The label is that of the folder; a number beside it must agree (it counts from 1).

    Raises:
        InputError: a folder that is not a class, a number that contradicts it, or no line at all.
    """
    labels_of = {name: label for label, name in enumerate(classes)}
    names, labels, lines = [], [], []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip():
            continue
        name, *number = text.split()
        label = labels_of.get(name.partition("/")[0])
        if label is None or (number and number != [str(label + 1)]):
            raise InputError(
                f"{path}, line {line}: '{text.strip()}'; expected <Class>/<video>.avi of a class of classInd.txt"
                + ("" if label is None else f", or its number there, {label + 1}")
            )
        names.append(name)
        labels.append(label)
        lines.append(line)
    if not names:
        raise InputError(f"{path}: lists no videos; expected a line <Class>/<video>.avi for each")
    return VideoList(os.fspath(path), tuple(names), np.array(labels), None, np.array(lines))
