"""UCF101: which videos its split files list, and the tubes of UCF101-24."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.errors import InputError
from evaluation.formats.act_tubes import read_corrected_ucf24
from evaluation.formats.video_list import read_class_names, read_ucf101_split
from evaluation.tube_dataset import TubeTruth


def split_files(splits: Sequence[int]) -> list[str]:
    """Names of the official lists of some splits."""
    return [f"{part}list{split:02d}.txt" for split in splits for part in ("train", "test")]


def listed_videos(folder: Path, splits: Sequence[int]) -> list[str]:
    """Every video that the lists name, once: `<Class>/<video>` without suffix.

    Raises:
        InputError: a list lacks or is faulty, or a video is for training and for testing in the same split.
    """
    for name in ("classInd.txt", *split_files(splits)):
        if not (folder / name).is_file():
            raise InputError(f"--annotations: {name} lacks; expected the official split files, a folder or their zip")
    classes = read_class_names(folder / "classInd.txt")
    names: dict[str, None] = {}
    for split in splits:
        train, test = (read_ucf101_split(folder / name, classes) for name in split_files([split]))
        if both := sorted(set(train.names) & set(test.names)):
            raise InputError(f"{test.path}: lists {both[0]}, which {train.path} lists too; expected it in one of them")
        names.update(dict.fromkeys(name.rpartition(".")[0] or name for name in (*train.names, *test.names)))
    return list(names)


def read_tubes(path: Path, lists: Path) -> TubeTruth:
    """UCF101-24's corrected tubes; its test videos are those of the first split.

    Raises:
        InputError: not that file, or the first test list lacks.
    """
    test_list = lists / "testlist01.txt"
    if not test_list.is_file():
        raise InputError(f"{path.name}: UCF101-24 is divided as testlist01.txt says; give the lists of split 1, too")
    return read_corrected_ucf24(path, test_list=test_list)
