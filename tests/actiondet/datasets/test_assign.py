from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actiondet.datasets.assign import match_proposals

# tests/golden/data/mmaction2.json says which code of MMAction2 made it.
GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "data" / "mmaction2.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["assign"], ids=lambda case: case["name"])
def test_matches_are_those_of_mmaction2(case: dict[str, Any]) -> None:
    proposals, truth = np.array(case["proposals"]), np.array(case["truth"])
    assert match_proposals(proposals, truth, min_iou=case["min_iou"]).tolist() == case["matched"]


def test_matches_are_those_of_the_whole_reference_file(shared: Path) -> None:
    file = shared / "reference" / "mmaction2" / "fixtures" / "assign.pt"
    compared = []
    for case in torch.load(file, weights_only=True)["cases"]:
        thresholds = case["assigner"]
        if thresholds["min_pos_iou"] != thresholds["pos_iou_thr"]:
            continue  # no published recipe has it, nor do we: a proposal would train with a person it hardly overlaps
        matched = match_proposals(
            case["proposals"].numpy(), case["gt_bboxes"].numpy(), min_iou=thresholds["pos_iou_thr"]
        )
        # 0 is negative there, -1 ignored; neither trains here.
        assert matched.tolist() == [max(index - 1, -1) for index in case["assigned"]["gt_inds"].tolist()], case["name"]
        compared.append(case["name"])
    assert len(compared) == 12


@pytest.mark.parametrize(
    ("proposals", "truth", "expected"),
    [
        # the threshold itself counts: 9 of 10 columns are shared
        ([[0, 0, 9, 10]], [[0, 0, 10, 10]], [0]),
        ([[0, 0, 8.99, 10]], [[0, 0, 10, 10]], [-1]),
        # of two twins a proposal goes to the last one
        ([[0, 0, 10, 10]], [[0, 0, 10, 10], [0, 0, 10, 10]], [1]),
        # more like person 0 (0.97), but the best there is for person 1 (0.93): it goes to person 1
        ([[0, 0, 97, 10], [0, 0, 99, 10]], [[0, 0, 100, 10], [0, 0, 90.5, 10]], [1, 0]),
        ([], [[0, 0, 10, 10]], []),
        ([[0, 0, 10, 10]], [], [-1]),
        # boxes without area overlap nothing, not even themselves
        ([[5, 5, 5, 5]], [[5, 5, 5, 5]], [-1]),
    ],
)
def test_matches_by_hand(proposals: list[list[float]], truth: list[list[float]], expected: list[int]) -> None:
    matched = match_proposals(
        np.array(proposals, dtype=np.float64).reshape(-1, 4),
        np.array(truth, dtype=np.float64).reshape(-1, 4),
        min_iou=0.9,
    )
    assert matched.dtype == np.int64
    assert matched.tolist() == expected


def test_the_order_of_proposals_does_not_matter() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        truth = random.random((4, 4)) * 0.3 + [0, 0, 0.5, 0.5]
        proposals = np.concatenate([truth + random.normal(0, 0.01, (4, 4)) for _ in range(3)])
        order = random.permutation(len(proposals))
        matched = match_proposals(proposals, truth, min_iou=0.8)
        assert (matched >= 0).any()
        assert match_proposals(proposals[order], truth, min_iou=0.8).tolist() == matched[order].tolist()
