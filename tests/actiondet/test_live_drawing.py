"""Drawn videos of live sources: which frames they hold, when these are shown, and what is drawn."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from actiondet import live_drawing
from actiondet.drawing import ActionDrawer, DrawingStyle
from actiondet.live_drawing import LiveDrawing
from actiondet.tubes.following import Look
from actiondet.video import index_video, open_video
from evaluation.errors import StoppedBySignal
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FrameKey, PersonBoxes

SECOND = 1_000_000
ACTIONS = ActionList((1, 2), ("walk", "wave"), (None,) * 2)
GRAY = np.full((480, 640, 3), 128, dtype=np.uint8)


def look(at: float, left: float) -> Look:
    boxes = np.array([[left, 0.2, left + 0.1, 0.9]], dtype=np.float32)
    return Look(PersonBoxes(FrameKey("cam", round(at * SECOND)), boxes, np.ones(1, np.float32)), np.array([7]))


def know(drawing: LiveDrawing, *looks: Look) -> None:
    persons = looks[-1].persons
    scores = np.array([[0.9, 0.1]], dtype=np.float32)
    drawing.know(ActionDetections(persons.key, persons.boxes, persons.scores, scores), looks)


def drawn_columns(path: Path) -> list[float]:
    """Of each frame, the left-most column that is not gray, as a share of the width; 1 where all is gray."""
    with open_video(path) as reader:
        pictures = np.asarray(reader.read(list(range(len(index_video(path))))), dtype=int)
    lower = np.abs(pictures[:, 300:400] - 128).max(axis=(1, 3)) > 40  # below the labels
    return [float(row.argmax() / len(row)) if row.any() else 1.0 for row in lower]


def drawing_of(path: Path) -> LiveDrawing:
    return LiveDrawing(path, actions=ACTIONS, style=DrawingStyle())


def test_frames_show_persons_where_the_looks_around_them_say(tmp_path: Path) -> None:
    drawing = drawing_of(tmp_path / "drawn.mp4")
    for place in range(11):
        drawing.add(place * SECOND // 10, GRAY, may_wait=False)
    know(drawing, look(0, 0.1))
    know(drawing, look(0.5, 0.6), look(1, 0.3))
    drawing.finish()
    expected = [*np.linspace(0.1, 0.6, 6), *np.linspace(0.54, 0.3, 5)]
    assert drawn_columns(tmp_path / "drawn.mp4") == pytest.approx(expected, abs=0.02)
    times = index_video(tmp_path / "drawn.mp4").frame_times
    assert times == pytest.approx(np.arange(11) * SECOND // 10, abs=1000)
    assert drawing.left_out == 0


def test_a_source_that_begins_late_and_pauses_keeps_its_times(tmp_path: Path) -> None:
    drawing = drawing_of(tmp_path / "drawn.mp4")
    for seconds in (3, 3.04, 24):
        drawing.add(round(seconds * SECOND), GRAY, may_wait=False)
    drawing.finish()
    assert index_video(tmp_path / "drawn.mp4").frame_times == pytest.approx([0, 40_000, 21 * SECOND], abs=1000)


def test_frames_of_another_size_are_fitted_into_the_first(tmp_path: Path) -> None:
    drawing = drawing_of(tmp_path / "drawn.mp4")
    drawing.add(0, GRAY, may_wait=False)
    drawing.add(SECOND, np.full((960, 640, 3), 128, dtype=np.uint8), may_wait=False)
    drawing.finish()
    index = index_video(tmp_path / "drawn.mp4")
    assert (index.width, index.height, len(index)) == (640, 480, 2)
    with open_video(tmp_path / "drawn.mp4") as reader:
        fitted = np.asarray(reader.read([1]))[0]
    assert fitted[:, 320].mean() == pytest.approx(128, abs=4)
    assert fitted[:, :150].max() < 30


class Waiting:
    """A drawer that draws only when it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_go_on, self.begun = threading.Event(), threading.Event()
        draw = ActionDrawer.draw

        def waiting(drawer: ActionDrawer, *arguments: Sequence[object]) -> np.ndarray:
            self.begun.set()
            self.may_go_on.wait()
            return draw(drawer, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(ActionDrawer, "draw", waiting)


def test_frames_that_drawing_is_too_slow_for_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_drawing, "_MOST_BYTES", 4 * GRAY.nbytes)
    drawer = Waiting(monkeypatch)
    drawing = drawing_of(tmp_path / "drawn.mp4")
    drawing.add(0, GRAY, may_wait=False)
    drawing.add(1, GRAY, may_wait=False)
    assert drawer.begun.wait(60)  # half of the room is full: the first frame waits for nobody
    for place in range(2, 12):
        drawing.add(place * SECOND, GRAY, may_wait=False)
    drawer.may_go_on.set()
    drawing.finish()
    assert drawing.left_out == 7
    assert len(index_video(tmp_path / "drawn.mp4")) == 5


def test_a_recording_waits_for_its_drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_drawing, "_MOST_BYTES", 4 * GRAY.nbytes)
    drawing = drawing_of(tmp_path / "drawn.mp4")
    for place in range(12):
        drawing.add(place * SECOND, GRAY, may_wait=True)
    drawing.finish()
    assert drawing.left_out == 0
    assert len(index_video(tmp_path / "drawn.mp4")) == 12


def test_a_second_signal_leaves_no_file(tmp_path: Path) -> None:
    def stopped() -> None:
        with drawing_of(tmp_path / "drawn.mp4") as drawing:
            drawing.add(0, GRAY, may_wait=False)
            raise StoppedBySignal(15, "stopped")

    with pytest.raises(StoppedBySignal):
        stopped()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_a_fault_where_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    drawing = drawing_of(tmp_path / "file" / "drawn.mp4")
    drawing.add(0, GRAY, may_wait=False)
    with pytest.raises(OSError, match="file"):
        drawing.finish()
