"""The person detector that travels with the project: its file, its boxes, and what it finds on real frames."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import defaultdict
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from actiondet.config.schema import SsdPersons
from actiondet.persons import ssd
from actiondet.persons.base import Frame
from actiondet.persons.build import build_persons, parse_persons
from actiondet.persons.onnx_runner import OnnxRuntimeRunner, OpenCvRunner, load_runner
from actiondet.persons.ssd import MODEL, SHA256, SsdPersonDetector, anchors, decode
from actiondet.persons.suppression import suppress
from evaluation.boxes import iou_matrix
from evaluation.errors import InputError
from evaluation.records import FloatArray, FrameKey, PersonBoxes

KEY = FrameKey("video", 0)
FOUND_IF = 0.35  # IoU; the truth's boxes were drawn by hand


@pytest.fixture(scope="module")
def judged(shared: Path) -> list[tuple[Frame, FloatArray, FloatArray]]:
    """22 frames of real clips, the pixel boxes of their persons, and boxes that count neither way."""
    of_clip: dict[str, dict[int, dict[str, list[list[float]]]]] = defaultdict(dict)
    for entry in json.loads((shared / "models/ssd_mobilenet_v2_oidv4/persons_truth.json").read_text()):
        of_clip[entry["clip"]][entry["frame"]] = entry
    frames = []
    for clip, wanted in of_clip.items():
        with av.open(str(shared / "videos" / clip)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number in wanted:
                    boxes = (np.array(wanted[number][name], float).reshape(-1, 4) for name in ("persons", "ignore"))
                    frames.append((frame.to_ndarray(format="rgb24"), *boxes))
    assert len(frames) == 22
    return frames


def pixels(found: PersonBoxes, frame: Frame) -> FloatArray:
    height, width = frame.shape[:2]
    return found.boxes.astype(float) * [width, height, width, height]


def count(boxes: FloatArray, persons: FloatArray, ignored: FloatArray) -> tuple[int, int]:
    """How many persons a frame's boxes, best first, find, and how many boxes are false."""
    left, false = persons, 0
    for box in boxes[:, None]:
        overlaps = iou_matrix(box, left)[0]
        if overlaps.max(initial=0) >= FOUND_IF:
            left = np.delete(left, overlaps.argmax(), axis=0)
        elif iou_matrix(box, ignored).max(initial=0) < FOUND_IF:
            false += 1
    return len(persons) - len(left), false


def test_two_thirds_of_the_persons_of_real_frames_are_found(
    judged: list[tuple[Frame, FloatArray, FloatArray]],
) -> None:
    detector = build_persons(SsdPersons())
    found = detector.detect([frame for frame, *_ in judged], [FrameKey("v", number) for number in range(len(judged))])
    counts = [
        count(pixels(each, frame), persons, ignored)
        for each, (frame, persons, ignored) in zip(found, judged, strict=True)
    ]
    right, false = np.sum(counts, axis=0)
    assert sum(len(persons) for _, persons, _ in judged) == 63
    assert right >= 42
    assert false <= 3


def test_onnx_runtime_and_opencv_agree(judged: list[tuple[Frame, FloatArray, FloatArray]]) -> None:
    pytest.importorskip("onnxruntime")
    content = MODEL.read_bytes()
    first = SsdPersonDetector(threshold=0.2, runner=OnnxRuntimeRunner(content, threads=1))
    second = SsdPersonDetector(threshold=0.2, runner=OpenCvRunner(content))
    for frame, *_ in judged:
        (one,), (other,) = first.detect([frame], [KEY]), second.detect([frame], [KEY])
        assert pixels(one, frame) == pytest.approx(pixels(other, frame), abs=0.5)
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_the_file_is_the_one_whose_origin_is_reported() -> None:
    assert hashlib.sha256(MODEL.read_bytes()).hexdigest() == SHA256
    assert SHA256 in MODEL.with_name("ORIGIN.md").read_text()
    assert "Apache License" in MODEL.with_name("LICENSE").read_text()
    assert MODEL.with_name("NOTICE").is_file()


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (MODEL.read_bytes()[:1000], None):
        monkeypatch.setattr(ssd, "MODEL", tmp_path / "ssd.onnx")
        if content is not None:
            (tmp_path / "ssd.onnx").write_bytes(content)
        else:
            (tmp_path / "ssd.onnx").unlink()
        with pytest.raises(InputError, match=r"ssd\.onnx: .*missing or damaged.*install actiondet again"):
            SsdPersonDetector()


def test_opencv_runs_it_where_onnx_runtime_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert isinstance(load_runner(MODEL.read_bytes()), OpenCvRunner)
    monkeypatch.delattr(cv2, "dnn")
    with pytest.raises(InputError, match=r"no dnn module, and ONNX Runtime is not installed; install"):
        load_runner(MODEL.read_bytes())


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (900, 2), (16, 24), (240, 320), (720, 1280)])
def test_frames_of_every_size_and_shape_can_be_looked_at(size: tuple[int, int]) -> None:
    gray = np.full((*size, 3), 127, dtype=np.uint8)
    (found,) = SsdPersonDetector().detect([gray], [KEY])
    assert len(found) == 0
    assert found.key == KEY


def test_boxes_do_not_depend_on_the_other_frames_of_a_batch(shared: Path) -> None:
    with av.open(str(shared / "videos" / "vtest_ocv.avi")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    other = np.zeros((100, 180, 3), dtype=np.uint8)
    keys = [FrameKey("video", moment) for moment in range(3)]
    together = SsdPersonDetector().detect([other, frame, other], keys)
    (alone,) = SsdPersonDetector().detect([frame], [KEY])
    assert len(alone) >= 2
    assert np.array_equal(together[1].boxes, alone.boxes)
    assert [found.key.moment for found in together] == [0, 1, 2]
    assert np.all(np.diff(alone.scores) <= 0)
    assert alone.boxes.dtype == np.float32


def test_anchors_lie_as_the_networks_description_says() -> None:
    every = anchors()
    assert every.shape == (1917, 4)
    assert every[0] == pytest.approx([0.5 / 19, 0.5 / 19, 0.1, 0.1])
    assert every[4] == pytest.approx([1.5 / 19, 0.5 / 19, 0.2 * 2**0.5, 0.2 / 2**0.5])
    first_of_second = 19 * 19 * 3
    assert every[first_of_second] == pytest.approx([0.05, 0.05, 0.35, 0.35])
    assert every[-1] == pytest.approx([0.5, 0.5, 0.95**0.5, 0.95**0.5])


def test_offsets_are_decoded_around_their_anchor() -> None:
    anchor = np.array([[0.5, 0.4, 0.2, 0.1]])
    none, moved = np.zeros((1, 4)), np.array([[5.0, 10.0, 5 * np.log(2), 5 * np.log(3)]])
    assert decode(none, anchor)[0] == pytest.approx([0.4, 0.35, 0.6, 0.45])
    # Down by half the height, right by the whole width; twice as high, three times as wide.
    assert decode(moved, anchor)[0] == pytest.approx([0.7 - 0.3, 0.45 - 0.1, 0.7 + 0.3, 0.45 + 0.1])


def test_suppression_keeps_the_best_and_what_a_suppressed_box_alone_overlaps() -> None:
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [2, 0, 12, 10], [50, 50, 60, 60]], dtype=float)
    scores = np.array([0.9, 0.5, 0.7, 0.6])
    # Box 2 overlaps box 0 by 2/3 and falls; box 1 overlaps box 0 by 3/7 and stays, though it overlaps box 2 by 2/3.
    assert suppress(boxes, scores, max_overlap=0.5).tolist() == [0, 3, 1]
    assert suppress(boxes[:0], scores[:0], max_overlap=0.5).tolist() == []


def test_the_command_lines_settings_reach_it() -> None:
    assert parse_persons("ssd", {}) == SsdPersons(threshold=0.4)
    assert parse_persons("ssd", {"threshold": "0.05"}) == SsdPersons(threshold=0.05)
    with pytest.raises(InputError, match=r"no 'hog' is known here, expected one of: .*ssd"):
        parse_persons("hog", {})
