import json
from fractions import Fraction
from pathlib import Path

import numpy as np

from actiondet.detections_json import write_detections_json
from actiondet.video import VideoIndex
from evaluation.formats.ava import ActionList
from evaluation.records import ActionDetections, FrameKey

SECOND = 1_000_000
INDEX = VideoIndex(
    path="street.mp4",
    width=64,
    height=48,
    rate=Fraction(10),
    rotation=0,
    mirrored=False,
    frame_times=np.arange(20, dtype=np.int64) * 100_000,
    has_audio=False,
    decord_unsafe=None,
    packets=None,
)


def test_the_file_says_who_does_what_when_and_where(tmp_path: Path) -> None:
    box = np.array([[0.25, 0.125, 0.5, 1.0]], dtype=np.float32)
    scores = np.array([[0.6, 0.9, 0.75]], dtype=np.float32)
    found = [
        ActionDetections(FrameKey("street", 900 * SECOND), box, np.array([0.875], dtype=np.float32), scores),
        ActionDetections(FrameKey("street", 901 * SECOND), box[:0], np.zeros(0, dtype=np.float32), scores[:0]),
    ]
    actions = ActionList((1, 3), ("walk", "drücken"), (None, None))  # id 2 is a hole
    file = tmp_path / "found.json"
    write_detections_json(
        file,
        INDEX,
        found,
        [np.zeros(1, int), np.zeros(0, int)],
        actions=actions,
        threshold=0.5,
        start=900 * SECOND,
        about={"network": "toy"},
    )
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content == {
        "video": {"path": "street.mp4", "width": 64, "height": 48, "rate": 10.0, "seconds": 2.0},
        "network": "toy",
        "threshold": 0.5,
        "moments": [
            {
                "time": 0.0,
                "persons": [
                    {
                        "identity": 0,
                        "box": [0.25, 0.125, 0.5, 1.0],
                        "score": 0.875,
                        "actions": [
                            {"id": 3, "name": "drücken", "score": 0.75},
                            {"id": 1, "name": "walk", "score": 0.6},
                        ],
                    }
                ],
            },
            {"time": 1.0, "persons": []},
        ],
    }


def test_a_video_without_moments_is_still_json(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    write_detections_json(file, INDEX, [], [], actions=ActionList((1,), ("walk",), (None,)), threshold=0.5)
    assert json.loads(file.read_text())["moments"] == []


def test_ids_from_0_name_the_columns_as_they_stand(tmp_path: Path) -> None:
    box = np.array([[0.25, 0.125, 0.5, 1.0]], dtype=np.float32)
    scores = np.array([[0.6, 0.9, 0.1]], dtype=np.float32)
    found = [ActionDetections(FrameKey("judo", 0), box, np.ones(1, dtype=np.float32), scores)]
    actions = ActionList((0, 1, 2), ("throw", "hold", "fall"), (None,) * 3)
    write_detections_json(tmp_path / "found.json", INDEX, found, [np.zeros(1, int)], actions=actions, threshold=0.5)
    (moment,) = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["moments"]
    named = [(each["id"], each["name"]) for each in moment["persons"][0]["actions"]]
    assert named == [(1, "hold"), (0, "throw")]
