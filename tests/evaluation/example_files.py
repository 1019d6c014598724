"""Small files, named as the examples in docstrings name them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from evaluation import (
    ActionList,
    DetectionRows,
    FrameDetections,
    FrameKey,
    PersonBoxes,
    TruthRows,
    TubeSet,
    TubeTruth,
    VideoScores,
    write_action_list,
    write_ava_csv,
    write_ava_results,
    write_excluded,
    write_frame_detections,
    write_multisports,
    write_proposals,
    write_video_detections,
    write_video_scores,
)

P, Q = (0.1, 0.1, 0.3, 0.5), (0.6, 0.1, 0.8, 0.5)


def write_example_files(folder: Path) -> None:
    """Write a file of every format into `folder`."""
    truth = TruthRows.from_arrays(
        video=["a", "a", "b"], time=902, boxes=[P, Q, P], labels=[1, 2, 1], persons=[0, 1, 0], empty=[("b", 903)]
    )
    found = DetectionRows.from_arrays(
        video=["a", "a", "b", "b"], time=902, boxes=[P, Q, P, Q], labels=[1, 2, 2, 1], scores=[0.9, 0.8, 0.7, 0.1]
    )
    write_action_list(folder / "actions.pbtxt", ActionList((1, 2), ("sit", "run"), (None, None)))
    write_ava_csv(folder / "truth.csv", truth)
    write_ava_results(folder / "detections.csv", found)
    write_excluded(folder / "excluded.csv", [FrameKey("b", 903_000_000)])
    boxes = np.array([P, Q], np.float32)
    write_proposals(folder / "persons.pkl", [PersonBoxes(FrameKey("a", 902_000_000), boxes, np.ones(2, np.float32))])
    (folder / "kinetics.csv").write_text("id1,3.5,0.1,0.1,0.3,0.5,12\n")

    pixels = [[10, 10, 50, 90], [12, 10, 52, 90], [60, 10, 99, 80], [60, 10, 99, 80]]
    tubes = TubeSet.from_arrays(
        video="v", tube=[0, 0, 1, 1], frame=[1, 2, 1, 2], boxes=pixels, labels=[0, 0, 1, 1], scores=[0.9, 0.9, 0.2, 0.2]
    )
    tube_truth = TubeTruth.from_tubes(tubes, labels=["run", "jump"], sizes={"v": (120, 160)})
    write_multisports(folder / "GT.pkl", tube_truth)
    write_video_detections(folder / "tubes.pkl", tubes, tube_truth)
    rows = FrameDetections.from_arrays(
        tube_truth, video="v", frame=[1, 2, 1, 2], boxes=pixels, labels=[0, 0, 1, 0], scores=[0.9, 0.8, 0.7, 0.1]
    )
    write_frame_detections(folder / "boxes.pkl", rows)
    (folder / "tubes.csv").write_text("v.mp4,1,0.1,0.1,0.3,0.5,0,0\nv.mp4,2,0.1,0.1,0.3,0.5,0,0\n")
    (folder / "frame_persons.pkl").write_bytes(pickle.dumps({"v,1": np.array([(*P, 0.9)])}))
    annotation = {"label": 0, "sf": 0, "ef": 2, "boxes": np.array([[1, 2, 30, 40]] * 2, np.uint8)}
    (folder / "pyannot.pkl").write_bytes(pickle.dumps({"Run/v_1": {"annotations": [annotation], "numf": 9}}))
    (folder / "testlist.txt").write_text("Run/v_1\n")

    (folder / "videos.txt").write_text("run/v_1.mp4 0\nsit/v_2.mp4 1\n")
    (folder / "classes.txt").write_text("run\nsit\n")
    scores = np.array([[0.7, 0.3], [0.4, 0.6]])
    write_video_scores(
        folder / "scores.pkl", VideoScores(("v_1", "v_2"), np.array([0, 1]), scores, ("run", "sit"), (10, 3), "softmax")
    )
