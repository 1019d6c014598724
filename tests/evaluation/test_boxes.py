"""Boxes: areas, overlaps, and the two functions between units."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.boxes import area, iou_matrix, paired_iou, pixel_to_unit, unit_to_pixel


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 1, 1], [0, 0, 1, 1], 1.0),
        ([0, 0, 1, 1], [0.5, 0, 1.5, 1], 1 / 3),
        ([0, 0, 1, 1], [0, 0, 1, 0.5], 0.5),
        ([0, 0, 1, 1], [1, 0, 2, 1], 0.0),  # touching is not overlapping: no pixel is added
        ([0, 0, 1, 1], [2, 2, 3, 3], 0.0),
        ([0, 0, 0, 1], [0, 0, 1, 1], 0.0),
        ([-1, -1, 1, 1], [0, 0, 1, 1], 0.25),  # nothing is clipped
    ],
)
def test_iou_of_two_boxes(first: list[float], second: list[float], expected: float) -> None:
    a, b = np.array([first], float), np.array([second], float)
    assert paired_iou(a, b) == pytest.approx([expected])
    assert paired_iou(b, a) == pytest.approx([expected])


def test_two_boxes_without_area_have_no_iou() -> None:
    empty = np.array([[0.2, 0.2, 0.2, 0.5]])
    assert np.isnan(paired_iou(empty, empty)).all()


def test_the_matrix_holds_every_pair() -> None:
    rng = np.random.default_rng(0)
    corners = rng.random((7, 2))
    boxes = np.concatenate([corners, corners + rng.random((7, 2))], 1)
    matrix = iou_matrix(boxes[:3], boxes[3:])
    assert matrix.shape == (3, 4)
    for i in range(3):
        for j in range(4):
            assert matrix[i, j] == paired_iou(boxes[i : i + 1], boxes[3 + j : 4 + j])[0]
    assert iou_matrix(boxes[:0], boxes).shape == (0, 7)


def test_single_precision_overlaps_are_summed_in_double_like_the_toolkit_that_uses_them() -> None:
    truth = np.array([[0.340, 0.254, 0.644, 0.460]])
    half = np.array([[0.340, 0.254, 0.492, 0.460]])
    assert paired_iou(half, truth)[0] == 0.4999999999999999
    single = paired_iou(half.astype(np.float32), truth.astype(np.float32))
    assert single.dtype == np.float64
    assert single[0] > 0.5


def test_units_convert_there_and_back() -> None:
    unit = np.array([[0.25, 0.5, 0.75, 1.0]], dtype=np.float32)
    pixels = unit_to_pixel(unit, width=320, height=240)
    assert pixels.tolist() == [[80, 120, 240, 240]]
    assert pixels.dtype == np.float32
    assert pixel_to_unit(pixels, width=320, height=240).tolist() == unit.tolist()
    assert area(pixels).tolist() == [160 * 120]
