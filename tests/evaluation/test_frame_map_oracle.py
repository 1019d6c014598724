"""Frame-mAP against a plain, slow telling of the official rules, on small files full of accidents.

The oracle does what the official tool is described to do, row by row: heaps of 50 (here: fewer) rows, greedy
claims, one argsort per action. It was found equal to the official tool on the draws of tests/golden/ava.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.formats.action_list import ActionList
from evaluation.frame_ap import frame_map
from evaluation.protocols import OFFICIAL
from evaluation.records import DetectionRows, TruthRows

ACTIONS = ActionList((1, 2, 4), ("sit", "run", "eat"), (None, None, None))


def heaped(keys: list, rows: list, limit: int | None) -> dict:
    """Return key -> rows (score, label, y1, x1, y2, x2) as the official reader leaves them."""
    heaps: defaultdict = defaultdict(list)
    for key, row in zip(keys, rows, strict=True):
        if row[1] not in ACTIONS.ids:
            continue
        if limit is None or len(heaps[key]) < limit:
            heapq.heappush(heaps[key], row)
        elif row[0] > heaps[key][0][0]:
            heapq.heapreplace(heaps[key], row)
    return {key: sorted(heap, key=lambda row: -row[0]) for key, heap in heaps.items()}


def iou(a: tuple, b: tuple) -> float:
    height = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    width = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return height * width / (areas - height * width)


def oracle(truth: TruthRows, detections: DetectionRows, limit: int, kind: str | None) -> dict[int, float]:
    """Return AP by label."""
    truth_keys, truth_rows = rows_of(truth, truth.persons.astype(float))
    keys, rows = rows_of(detections, detections.scores)
    annotated = heaped(truth_keys, truth_rows, None)
    scores, hits = defaultdict(list), defaultdict(list)
    for key, found in heaped(keys, rows, limit).items():
        if key not in set(truth_keys):
            continue
        claimed = set()
        for score, label, *box in found:
            if not (box[0] < box[2] and box[1] < box[3]):
                continue
            rivals = [row[2:] for row in annotated.get(key, []) if row[1] == label]
            overlaps = [iou(box, rival) for rival in rivals]
            best = int(np.argmax(overlaps)) if overlaps else -1
            hit = best >= 0 and overlaps[best] >= 0.5 and (label, best) not in claimed
            if hit:
                claimed.add((label, best))
            scores[label].append(score)
            hits[label].append(hit)
    result = {}
    for label in ACTIONS.ids:
        total = sum(row[1] == label for row in truth_rows)
        if total:
            order = np.argsort(np.array(scores[label]), kind=kind)[::-1]
            result[label] = area(np.array(hits[label], dtype=bool)[order], total)
    return result


def area(hits: np.ndarray, total: int) -> float:
    """Sum, over the hits, the best precision at or after the hit."""
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(sum(precision[place:].max() for place in np.flatnonzero(hits)) / total)


def rows_of(table: TruthRows | DetectionRows, last: np.ndarray) -> tuple[list, list]:
    keys = list(zip(table.video, table.moment.tolist(), strict=True))
    values = zip(last.tolist(), table.labels.tolist(), *table.boxes[:, [1, 0, 3, 2]].T.tolist(), strict=True)
    return keys, list(values)


def accidents(seed: int) -> tuple[TruthRows, DetectionRows]:
    """Draw truth and detections on a coarse grid: equal scores, equal boxes, twins, empty and inverted boxes."""
    rng = np.random.default_rng(seed)

    def columns(count: int, videos: int, moments: int) -> dict:
        corner = rng.integers(0, 3, (count, 2)) / 4
        size = rng.integers(-1 if moments > 3 else 0, 3, (count, 2)) / 4
        size[rng.random(count) < 0.7] = 0.5
        names = pd.Categorical.from_codes(rng.integers(0, videos, count), ["a", "b", "c"][:videos])
        return {
            "video": names,
            "moment": rng.integers(0, moments, count) * 1_000_000,
            "boxes": np.concatenate([corner, corner + size], 1),
            "labels": rng.choice([1, 2, 3, 4], count),
        }

    truth = TruthRows(**columns(25, 2, 3), persons=rng.integers(0, 3, 25), empty_moments=())
    count = int(rng.integers(0, 120))
    return truth, DetectionRows(**columns(count, 3, 4), scores=rng.integers(0, 5, count) / 4)


@pytest.mark.parametrize(("ties", "kind"), [("stable", "stable"), ("official", None)])
def test_every_class_ap_is_the_oracles_on_files_full_of_accidents(ties: str, kind: str | None) -> None:
    differing = 0
    for seed in range(150):
        truth, detections = accidents(seed)
        limit = [4, 7, 50][seed % 3]
        result = frame_map(
            truth, detections, actions=ACTIONS, protocol=replace(OFFICIAL, best_rows=limit), ties=ties
        ).per_class.dropna(subset=["ap"])
        expected = oracle(truth, detections, limit, kind)
        assert dict(zip(result["id"], result["ap"], strict=True)) == pytest.approx(expected, abs=1e-14), seed
        differing += any(0 < ap < 1 for ap in expected.values())
    assert differing > 80  # the files are no trivial ones


def test_without_ties_neither_the_order_of_rows_nor_the_sort_matters() -> None:
    truth, detections = accidents(7)
    rng = np.random.default_rng(0)
    scores = rng.permutation(len(detections)) / len(detections)
    numbers = set()
    for order in (np.arange(len(scores)), rng.permutation(len(scores))):
        rows = DetectionRows(
            video=detections.video[order],
            moment=detections.moment[order],
            boxes=detections.boxes[order],
            labels=detections.labels[order],
            scores=scores[order],
        )
        for ties in ("stable", "official"):
            numbers.add(frame_map(truth, rows, actions=ACTIONS, ties=ties).mean_ap)
    assert len(numbers) == 1
