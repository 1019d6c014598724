"""Every reader takes 500 mutated files: each is read or refused in one sentence, and nothing else is raised."""

from __future__ import annotations

import pickle
import random
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import (
    read_action_list,
    read_ava_csv,
    read_ava_results,
    read_corrected_ucf24,
    read_excluded,
    read_frame_detections,
    read_multisports,
    read_proposals,
    read_video_detections,
)
from evaluation.errors import InputError
from evaluation.formats.video_list import read_class_names

MUTATIONS = 500
TUBE = np.array([[1, 10, 10, 50, 80], [2, 12, 10, 52, 80]], np.float32)
TRUTH = {
    "labels": ["a", "b"],
    "train_videos": [["v"]],
    "test_videos": [["w"]],
    "nframes": {"v": 9, "w": 9},
    "resolution": {"v": (100, 200), "w": (100, 200)},
    "gttubes": {"v": {0: [TUBE]}, "w": {1: [TUBE]}},
}
FRAMES = np.array([[0, 1, 0, 0.5, 10, 10, 50, 80], [0, 2, 1, 0.25, 10, 10, 50, 80]], np.float32)
VIDEOS = {0: [("w", 0.5, np.hstack([TUBE, np.ones((2, 1), np.float32)]))], 1: []}
UCF = {"A/v": {"annotations": [{"label": 0, "sf": 0, "ef": 2, "boxes": np.full((2, 4), 20, np.uint8)}], "numf": 9}}
PROPOSALS = {"v,0902": np.array([[0.1, 0.2, 0.5, 0.6, 0.9]]), "w,0903": np.zeros((0, 5))}
ODD: list[Any] = [
    None, "", "x", b"x", -1, 0, 2**40, 10**30, 0.5, float("nan"), float("inf"), [], {}, (), set(), range(10**12), True,
    np.float32(2), np.float64("nan"), np.int64(-3), np.str_("x"), np.bool_(True), np.datetime64("2020-01-01"),
    np.array(["x"]), np.zeros((2, 3)), np.array(3), slice(2), 1j,
    np.full((2, 5), 1j), np.full((2, 6), 1e300), np.full((2, 4), -1e300), np.array([1e300, 2**40], object),
]  # fmt: skip


def odd_inside(value: Any, chance: random.Random) -> Any:
    """`value` with one odd thing somewhere in it."""
    if chance.random() < 0.25 or not isinstance(value, (dict, list, tuple)) or not value:
        return chance.choice(ODD)
    if isinstance(value, dict):
        key = chance.choice(list(value))
        changed = dict(value)
        if chance.random() < 0.2:
            fresh = chance.choice([each for each in ODD if not isinstance(each, (list, dict, set, np.ndarray, slice))])
            changed[fresh] = changed.pop(key)
        else:
            changed[key] = odd_inside(value[key], chance)
        return changed
    place = chance.randrange(len(value))
    items = [odd_inside(each, chance) if k == place else each for k, each in enumerate(value)]
    return tuple(items) if isinstance(value, tuple) else items


def mutated_bytes(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            del data[place : place + chance.randint(1, 20)]
        elif kind == 1:
            data[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
        elif kind == 2 and data:
            data[place % len(data)] = chance.randrange(256)
        elif kind == 3:
            data = data[:place]
        else:
            data[place:place] = chance.choice(
                [b"nan", b"1e999", b"-1", b"99999999999999999999", b'"', b"{", b"}", b"\0"]
            )
    return bytes(data)


CSV = b"".join(b"v%d,0902,0.1,0.1,0.5,0.5,%d,%d\n" % (k, k + 1, k) for k in range(8))
RESULTS = b"".join(b"v%d,902,0.1,0.1,0.5,0.5,%d,0.%d\n" % (k, k + 1, k + 1) for k in range(8))
LABELS = b"".join(b'item {\n  name: "act %d"\n  id: %d\n}\n' % (k, k + 1) for k in range(6))
TEXTS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "truth.csv": (CSV, read_ava_csv),
    "results.csv": (RESULTS, read_ava_results),
    "excluded.csv": (b"v,0902\nw,0903\nx,1000.5\n", read_excluded),
    "labels.pbtxt": (LABELS, read_action_list),
    "classes.txt": (b"0 walk\n1 run\n2 sit\n", read_class_names),
    "proposals.csv": (RESULTS, read_proposals),
}


def known_truth(folder: Path) -> Any:
    (folder / "known.pkl").write_bytes(pickle.dumps(TRUTH))
    return read_multisports(folder / "known.pkl")


def ucf24(path: Path) -> object:
    (path.parent / "test.txt").write_text("A/v\n")
    return read_corrected_ucf24(path, test_list=path.parent / "test.txt")


PICKLES: dict[str, tuple[Any, Callable[[Path], object]]] = {
    "truth": (TRUTH, read_multisports),
    "frames": (FRAMES.tolist(), lambda path: read_frame_detections(path, known_truth(path.parent))),
    "videos": (VIDEOS, read_video_detections),
    "ucf24": (UCF, ucf24),
    "proposals": (PROPOSALS, read_proposals),
}


def outcomes(read: Callable[[Path], object], path: Path, contents: list[bytes]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for content in contents:
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                read(path)
            except InputError as fault:
                said = str(fault)
                assert "np." not in said, "a value is shown as a person writes it, not as numpy does"
                counts["refused" if 0 < len(said) < 2000 else "refused at length"] += 1
            else:
                counts["read"] += 1
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
def test_mutated_texts(name: str, tmp_path: Path) -> None:
    content, read = TEXTS[name]
    chance = random.Random(name)
    counts = outcomes(read, tmp_path / name, [mutated_bytes(content, chance) for _ in range(MUTATIONS)])
    print(name, dict(counts))
    assert counts["refused"] > 0
    assert counts["refused"] + counts["read"] == MUTATIONS


@pytest.mark.slow
@pytest.mark.parametrize("name", PICKLES)
def test_mutated_pickles(name: str, tmp_path: Path) -> None:
    content, read = PICKLES[name]
    chance = random.Random(name)
    files = [pickle.dumps(odd_inside(content, chance)) for _ in range(MUTATIONS // 2)]
    files += [mutated_bytes(pickle.dumps(content), chance) for _ in range(MUTATIONS - len(files))]
    counts = outcomes(read, tmp_path / f"{name}.pkl", files)
    print(name, dict(counts))
    assert counts["refused"] > 0
    assert counts["refused"] + counts["read"] == MUTATIONS
