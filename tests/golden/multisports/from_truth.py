"""Turn the truth of a tube data set into detections, from a seed. Only numpy is needed.

Both functions take the content of a truth pickle (the ACT layout) and a place in its list of splits.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def frame_detections_of(
    truth: dict[str, Any],
    seed: int,
    *,
    split: int = 0,
    missed: float = 0.2,
    duplicates: float = 0.1,
    jitter: float = 0.05,
) -> np.ndarray:
    """Return frame detections, (N, 8) float64: truth with missed frames, duplicates and jitter.

    A tube has a confidence of its own, around which its boxes vary; a duplicate is a second box of a frame with
    its own jitter and a lower score. `jitter` is the standard deviation of an edge as a share of the box.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for place, video in enumerate(truth["test_videos"][split]):
        for label, tubes in truth["gttubes"][video].items():
            for tube in tubes:
                confidence = rng.uniform(0.3, 0.95)
                kept = np.flatnonzero(rng.random(len(tube)) >= missed)
                twice = kept[rng.random(len(kept)) < duplicates]
                rows = np.concatenate([kept, twice])
                boxes = tube[rows, 1:5].astype(np.float64)
                size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
                scores = confidence ** np.exp(rng.normal(0, 0.3, len(rows)))
                scores[len(kept) :] *= rng.uniform(0.5, 1.0, len(twice))
                columns = [np.full(len(rows), place), tube[rows, 0], np.full(len(rows), label), scores]
                parts.append(np.column_stack([*columns, boxes + rng.normal(0, jitter, (len(rows), 4)) * size]))
    return np.concatenate(parts)


def tubes_of(truth: dict[str, Any], seed: int, *, split: int = 0) -> dict[int, list[Any]]:
    """Return video detections, float32: truth shifted in time by whole frames, half of it otherwise untouched.

    So many a 3D IoU is a plain fraction, such as 7/10, and lies exactly on a threshold.
    """
    rng = np.random.default_rng(seed)
    videos = [video for video in truth["test_videos"][split] if any(truth["gttubes"][video].values())]
    used = sorted({label for video in videos for label, tubes in truth["gttubes"][video].items() if len(tubes)})
    found: dict[int, list[Any]] = {label: [] for label in range(len(truth["labels"]))}
    for video in videos:
        for label, tubes in truth["gttubes"][video].items():
            for tube in tubes:
                for _ in range(int(rng.integers(0, 4))):
                    said = label if rng.random() < 0.75 else int(rng.choice(used))
                    found[said].append((video, float(rng.random()), _shifted(rng, np.asarray(tube))))
    return found


def _shifted(rng: np.random.Generator, tube: np.ndarray) -> np.ndarray:
    """Begin and end up to a third of the length earlier or later; the boxes beyond the truth stand still."""
    reach = max(1, len(tube) // 3)
    start = max(1, int(tube[0, 0]) + int(rng.integers(-reach, reach + 1)))
    end = max(start, int(tube[-1, 0]) + int(rng.integers(-reach, reach + 1)))
    frames = np.arange(start, end + 1)
    rows = np.clip(frames - int(tube[0, 0]), 0, len(tube) - 1)
    boxes = tube[rows, 1:5].astype(np.float64)
    if rng.random() < 0.5:
        boxes += rng.normal(0, 0.08, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return np.column_stack([frames, boxes, rng.random(len(frames))]).astype(np.float32)
