#!/usr/bin/env python3
"""Draw synthetic AVA truth and detections, in the official CSV formats, from a seed.

    python tests/golden/ava/gen_ava.py OUT [options]      writes OUT/gt.csv, det.csv, excl.csv, labels.pbtxt

Without options the draw has the size of AVA's validation set: 64 videos of 897 moments, 4 million detections.
Options of the draws behind expected.json.xz stand in draws.json. Only numpy is needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# The 60 scored actions of AVA.
IDS = [
    *(1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 20, 22, 24, 26, 27, 28, 29, 30, 34, 36, 37, 38, 41, 43, 45),
    *(46, 47, 48, 49, 51, 52, 54, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 72, 73, 74, 76, 77, 78),
    *(79, 80),
]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--n-videos", type=int, default=64)
    p.add_argument("--n-timestamps", type=int, default=897)
    p.add_argument("--persons", type=float, default=2.0, help="mean number of persons at a moment")
    p.add_argument("--labels-per-person", type=float, default=1.6)
    p.add_argument("--classes", type=int, default=60)
    p.add_argument("--jitter", type=float, default=0.06, help="of detected boxes, in fractions of their size")
    p.add_argument("--missed", type=float, default=0.1, help="share of persons without detection")
    p.add_argument("--false-per-frame", type=float, default=0.4)
    p.add_argument("--duplicates", type=float, default=0.03, help="share of persons detected twice")
    p.add_argument("--empty-gt", type=float, default=0.03, help="share of moments without truth")
    p.add_argument("--excluded", type=float, default=0.0, help="share of moments that are excluded")
    p.add_argument("--min-score", type=float, default=0.002, help="lower scores are not written")
    p.add_argument("--score-decimals", type=int, default=4)
    p.add_argument("--box-decimals", type=int, default=3)
    p.add_argument("--unique-scores", action="store_true", help="no two scores are equal")
    p.add_argument("--nodet-classes", type=int, default=0, help="number of actions that are never detected")
    p.add_argument("--offlist-labels", type=float, default=0.0, help="share of truth with unlisted actions")
    p.add_argument("--out-of-unit", action="store_true", help="boxes may leave the frame")
    p.add_argument("--invalid", type=float, default=0.0, help="share of detected boxes that are inside out")
    p.add_argument("--order", choices=["box", "class", "shuffle"], default="box", help="of the detections' rows")
    p.add_argument("--pad-ts", action="store_true", help="write 0902, not 902")
    return p


def draw(arguments: Sequence[str]) -> None:
    """Write one draw. The order of the random numbers is part of the draw: do not touch it."""
    a = parser().parse_args(arguments)
    rng = np.random.default_rng(a.seed)
    ids = np.array(IDS[: a.classes])
    prior = 1.0 / np.arange(1, len(ids) + 1) ** 1.1
    prior = rng.permutation(prior)
    prior /= prior.sum()
    frames = a.n_videos * a.n_timestamps

    person_frame, person_number, person_box = _persons(a, rng, frames)
    extra = rng.binomial(4, (a.labels_per_person - 1) / 4, len(person_box))
    owner = np.repeat(np.arange(len(person_box)), 1 + extra)
    chosen = rng.choice(len(ids), size=len(owner), p=prior)
    owner, chosen = np.divmod(np.unique(owner.astype(np.int64) * len(ids) + chosen), len(ids))
    does = np.zeros((len(person_box), len(ids)), dtype=bool)
    does[owner, chosen] = True
    label = ids[chosen].copy()
    if a.offlist_labels:
        others = np.array(sorted(set(range(1, 81)) - set(IDS)))
        replaced = rng.random(len(label)) < a.offlist_labels
        label[replaced] = rng.choice(others, replaced.sum())

    frame, source, box = _boxes(a, rng, frames, person_frame, person_box)
    row_box, row_class, score = _scores(a, rng, source, does, prior)
    row_box, row_class, score = _ordered(a, rng, frame, row_box, row_class, score)
    excluded = np.sort(rng.choice(frames, round(a.excluded * frames), replace=False))

    names = np.random.default_rng(a.seed + 1)
    videos = ["".join(names.choice(np.array(list(LETTERS)), 11)) for _ in range(a.n_videos)]
    times = [f"{902 + i:04d}" if a.pad_ts else str(902 + i) for i in range(a.n_timestamps)]
    keys = [f"{video},{time}" for video in videos for time in times]
    a.out.mkdir(parents=True, exist_ok=True)
    _write(a.out / "gt.csv", keys, person_frame[owner], person_box[owner], label, person_number[owner])
    _write(a.out / "det.csv", keys, frame[row_box], box[row_box], ids[row_class], score)
    # Excluded moments are never padded: both dialects meet in one evaluation.
    (a.out / "excl.csv").write_text(
        "".join(f"{videos[f // a.n_timestamps]},{902 + f % a.n_timestamps}\n" for f in excluded)
    )
    (a.out / "labels.pbtxt").write_text("".join(f'item {{\n  name: "class {i}"\n  id: {i}\n}}\n' for i in ids))


def _persons(a: argparse.Namespace, rng: np.random.Generator, frames: int) -> tuple[np.ndarray, ...]:
    """Draw who is there: frame, number within the frame, and box of every person."""
    count = rng.poisson(a.persons, frames)
    count[rng.random(frames) < a.empty_gt] = 0
    total = int(count.sum())
    frame = np.repeat(np.arange(frames), count)
    number = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    x, y = rng.uniform(0.1, 0.9, total), rng.uniform(0.2, 0.8, total)
    width, height = rng.uniform(0.08, 0.5, total), rng.uniform(0.2, 0.9, total)
    box = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1)
    if not a.out_of_unit:
        box = box.clip(0, 1)
    box = box.round(3)
    box[:, 2:] = np.maximum(box[:, 2:], box[:, :2] + 0.004).round(3)
    return frame, number, box


def _boxes(
    a: argparse.Namespace, rng: np.random.Generator, frames: int, person_frame: np.ndarray, person_box: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Draw what is detected: frame, person (-1 for nobody) and box of every detection."""
    found = np.flatnonzero(rng.random(len(person_box)) >= a.missed)
    twice = found[rng.random(len(found)) < a.duplicates]
    false_count = rng.poisson(a.false_per_frame, frames)
    false = int(false_count.sum())
    frame = np.concatenate([person_frame[found], person_frame[twice], np.repeat(np.arange(frames), false_count)])
    source = np.concatenate([found, twice, np.full(false, -1)])
    x, y = rng.uniform(0.1, 0.9, false), rng.uniform(0.2, 0.8, false)
    width, height = rng.uniform(0.05, 0.5, false), rng.uniform(0.1, 0.9, false)
    nobody = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], 1)
    box = np.concatenate([person_box[found], person_box[twice], nobody])
    size = np.tile(box[:, 2:] - box[:, :2], 2)
    box = box + rng.normal(0, a.jitter, box.shape) * size
    if not a.out_of_unit:
        box = box.clip(0, 1)
    box = box.round(a.box_decimals)
    box[:, 2:] = np.maximum(box[:, 2:], box[:, :2] + 2 * 10.0**-a.box_decimals).round(a.box_decimals)
    if a.invalid:
        inverted = rng.random(len(box)) < a.invalid
        box[inverted] = box[inverted][:, [2, 1, 0, 3]]
    return frame, source, box


def _scores(
    a: argparse.Namespace, rng: np.random.Generator, source: np.ndarray, does: np.ndarray, prior: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Draw box, class and score of every row."""
    base = np.log(prior * 1.2) - 1.2
    parts = []
    for start in range(0, len(source), 20000):
        person = source[start : start + 20000]
        logits = base[None] + rng.normal(0, 1.7, (len(person), len(prior)))
        known = person >= 0
        logits[known] += does[person[known]] * 4.0
        logits[~known] -= 1.0
        probability = 1 / (1 + np.exp(-logits))
        written = probability >= a.min_score
        written[:, : a.nodet_classes] = False
        box, column = np.nonzero(written)
        parts.append((box + start, column, probability[box, column]))
    box, column, score = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not a.unique_scores:
        return box, column, score.round(a.score_decimals)
    order = np.argsort(score, kind="stable")
    grid = np.round(score[order] * 1e9).astype(np.int64)
    grid = np.maximum.accumulate(grid - np.arange(len(grid))) + np.arange(len(grid))
    score[order] = np.minimum(grid, 10**9) / 1e9 if grid[-1] <= 10**9 else grid / (grid[-1] + 1.0)
    return box, column, score


def _ordered(
    a: argparse.Namespace,
    rng: np.random.Generator,
    frame: np.ndarray,
    box: np.ndarray,
    column: np.ndarray,
    score: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Order the rows as models write them (frame, box, class), by frame and class, or at random."""
    if a.order == "box":
        order = np.lexsort((column, box, frame[box]))
    elif a.order == "class":
        order = np.lexsort((column, frame[box]))
    else:
        order = rng.permutation(len(box))
    return box[order], column[order], score[order]


def _write(
    path: Path, keys: list[str], frame: np.ndarray, box: np.ndarray, label: np.ndarray, last: np.ndarray
) -> None:
    with path.open("w") as file:
        columns = (frame.tolist(), *box.T.tolist(), label.tolist(), last.tolist())
        for f, x1, y1, x2, y2, action, end in zip(*columns, strict=True):
            file.write(f"{keys[f]},{x1!r},{y1!r},{x2!r},{y2!r},{action},{end!r}\n")


if __name__ == "__main__":
    draw(sys.argv[1:])
