"""3D IoU by tables: temporal without +1, times the mean spatial IoU."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation import tube_iou
from evaluation.tube_iou import paired_tube_iou, segment_means
from evaluation.tube_set import TubeSet

BOX = (10.0, 10.0, 20.0, 30.0)


def tubes(*spans: tuple[int, int], box: tuple[float, ...] = BOX, dtype: type = np.float32) -> TubeSet:
    """Tubes of one video and label, with the same box from a first to a last frame."""
    lengths = [last - first + 1 for first, last in spans]
    return TubeSet(
        videos=("v",),
        video=np.zeros(len(spans), np.int64),
        labels=np.zeros(len(spans), np.int64),
        scores=np.ones(len(spans)),
        offsets=np.cumsum([0, *lengths]),
        moments=np.concatenate([np.arange(first, last + 1) for first, last in spans]),
        boxes=np.tile(np.array(box, dtype), (sum(lengths), 1)),
        box_scores=np.ones(sum(lengths)),
    )


def overlap(first: TubeSet, second: TubeSet) -> tuple[float, float, float]:
    zero = np.zeros(1, np.int64)
    iou, temporal, spatial = paired_tube_iou(first, zero, second, zero)
    return float(iou[0]), float(temporal[0]), float(spatial[0])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((1, 10), (1, 10), 1.0),
        ((1, 10), (2, 10), 8 / 9),  # counting frames would give 9/10
        ((1, 10), (10, 20), 0.0),  # one frame in common
        ((1, 10), (11, 20), 0.0),
        ((11, 20), (1, 10), 0.0),
        ((1, 20), (5, 5), 0.0),  # a tube of one frame
        ((3, 9), (1, 13), 6 / 12),
    ],
)
def test_temporal_iou_is_a_ratio_of_distances(one: tuple[int, int], other: tuple[int, int], expected: float) -> None:
    assert overlap(tubes(one, dtype=np.float64), tubes(other, dtype=np.float64))[0] == pytest.approx(
        expected, abs=1e-15
    )


def test_spatial_iou_is_the_mean_over_shared_frames_only() -> None:
    half = tubes((1, 10), box=(10.0, 10.0, 20.0, 20.0), dtype=np.float64)
    iou, temporal, spatial = overlap(tubes((6, 15), dtype=np.float64), half)
    assert (temporal, spatial) == (4 / 14, 0.5)
    assert iou == pytest.approx(4 / 28)


def test_two_tubes_of_the_same_single_frame_are_undefined_as_in_the_script() -> None:
    assert np.isnan(overlap(tubes((5, 5)), tubes((5, 5)))[0])


def test_the_type_of_the_boxes_decides_at_the_threshold() -> None:
    assert overlap(tubes((1, 11)), tubes((1, 8)))[0] == float(np.float32(0.7)) < 0.7
    assert overlap(tubes((1, 11), dtype=np.float64), tubes((1, 8), dtype=np.float64))[0] == 0.7
    assert overlap(tubes((1, 11)), tubes((1, 8), dtype=np.float64))[0] == 0.7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_segment_means_equal_numpy_mean_to_the_last_bit(dtype: type) -> None:
    rng = np.random.default_rng(0)
    lengths = np.concatenate([np.arange(1, 40), rng.integers(1, 700, 200)])
    values = rng.random(lengths.sum()).astype(dtype)
    runs = np.split(values, np.cumsum(lengths)[:-1])
    means = segment_means(values, lengths)
    assert means.dtype == dtype
    np.testing.assert_array_equal(means, [run.mean() for run in runs])


def test_no_pairs_give_no_overlaps() -> None:
    none = np.zeros(0, np.int64)
    assert len(paired_tube_iou(tubes((1, 3)), none, tubes((1, 3)), none).iou) == 0


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    spans = [(int(first), int(first + length)) for first, length in rng.integers(1, 30, (40, 2))]
    many = tubes(*spans)
    i, j = (part.ravel() for part in np.meshgrid(np.arange(40), np.arange(40)))
    whole = paired_tube_iou(many, i, many, j)
    monkeypatch.setattr(tube_iou, "_ROWS_AT_ONCE", 50)
    for one, other in zip(whole, paired_tube_iou(many, i, many, j), strict=True):
        np.testing.assert_array_equal(one, other)
