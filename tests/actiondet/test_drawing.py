from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from time import sleep

import numpy as np
import pytest

from actiondet.drawing import ActionDrawer, DrawingStyle, draw_frames, short_names
from actiondet.video import VideoWriter
from actiondet.video.streaming import ShownFrame
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import ActionDetections, FrameKey, IntArray

ACTIONS = ActionList((1, 3), ("walk", "wave"), (None, None))


def detections(*people: tuple[tuple[float, float, float, float], tuple[float, float, float]]) -> ActionDetections:
    boxes = np.array([box for box, _ in people], dtype=np.float32).reshape(-1, 4)
    scores = np.array([scores for _, scores in people], dtype=np.float32).reshape(-1, 3)
    return ActionDetections(FrameKey("v", 0), boxes, np.ones(len(boxes), dtype=np.float32), scores)


def drawer(width: int, height: int, **style: object) -> ActionDrawer:
    return ActionDrawer(width=width, height=height, actions=ACTIONS, style=DrawingStyle(**style))  # type: ignore[arg-type]


def texts(found: ActionDetections, monkeypatch: pytest.MonkeyPatch, **style: object) -> list[str]:
    """The labels that `found` gets."""
    artist = drawer(640, 480, **style)
    shown: list[str] = []
    annotate = artist._labels.annotate

    def note(scene: np.ndarray, detections: object, labels: list[str]) -> np.ndarray:
        shown.extend(labels)
        return annotate(scene, detections, labels)

    monkeypatch.setattr(artist._labels, "annotate", note)
    artist.draw(np.zeros((480, 640, 3), dtype=np.uint8), found, np.arange(len(found)))
    return shown


BOX = (0.25, 0.25, 0.5, 0.75)


@pytest.mark.parametrize(
    ("size", "factor"), [((160, 120), 4), ((320, 240), 2), ((640, 360), 2), ((480, 640), 1), ((90, 160), 6)]
)
def test_small_frames_are_enlarged_by_a_whole_number(size: tuple[int, int], factor: int) -> None:
    width, height = size
    artist = drawer(width, height)
    drawn = artist.draw(np.zeros((height, width, 3), dtype=np.uint8), detections(), np.zeros(0, dtype=np.int64))
    assert artist.factor == factor
    assert drawn.shape == (height * factor, width * factor, 3)
    assert (artist.width, artist.height) == (width * factor, height * factor)


def test_the_edge_of_the_box_is_drawn_and_its_inside_left_alone() -> None:
    frame = np.full((480, 640, 3), 100, dtype=np.uint8)
    drawn = drawer(640, 480).draw(frame, detections((BOX, (0.9, 0.0, 0.0))), np.array([0]))
    edge = drawn[240, 160]
    assert edge.tolist() != [100, 100, 100]
    assert drawn[240, 320].tolist() == edge.tolist()
    assert drawn[240, 240].tolist() == [100, 100, 100]
    assert frame.min() == frame.max() == 100, "the frame that came in was drawn on"


def test_colors_are_rgb() -> None:
    drawn = drawer(640, 480).draw(
        np.zeros((480, 640, 3), dtype=np.uint8), detections((BOX, (0.9, 0.0, 0.0))), np.array([0])
    )
    assert drawn[240, 160].tolist() == [0xC1, 0x12, 0x1F]  # the first color, red


def test_labels_name_the_best_actions_above_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    found = detections((BOX, (0.6, 0.99, 0.8)), (BOX, (0.2, 0.9, 0.1)), (BOX, (0.5, 0.0, 0.4)))
    assert texts(found, monkeypatch) == ["wave 0.80\nwalk 0.60", "walk 0.50"]  # id 2 is not in the list
    assert texts(found, monkeypatch, top=1) == ["wave 0.80", "walk 0.50"]
    assert texts(found, monkeypatch, threshold=0.7) == ["wave 0.80"]


def test_a_person_without_action_keeps_a_gray_box() -> None:
    black = np.zeros((480, 640, 3), dtype=np.uint8)
    drawn = drawer(640, 480, colour_by="action").draw(black, detections((BOX, (0.1, 0.1, 0.1))), np.array([0]))
    assert drawn[240, 160].tolist() == [0x6B, 0x6B, 0x6B]


def test_colors_tell_actions_or_persons() -> None:
    black = np.zeros((480, 640, 3), dtype=np.uint8)
    two = detections(((0.1, 0.2, 0.3, 0.9), (0.9, 0.0, 0.0)), ((0.6, 0.2, 0.8, 0.9), (0.9, 0.0, 0.0)))
    by_action = drawer(640, 480, colour_by="action").draw(black, two, np.array([0, 1]))
    by_person = drawer(640, 480).draw(black, two, np.array([0, 1]))
    assert by_action[300, 64].tolist() == by_action[300, 384].tolist()
    assert by_person[300, 64].tolist() != by_person[300, 384].tolist()


def test_a_label_at_the_upper_edge_stays_in_the_frame() -> None:
    black = np.zeros((480, 640, 3), dtype=np.uint8)
    drawn = drawer(640, 480).draw(black, detections(((0.9, 0.0, 1.0, 0.5), (0.9, 0.0, 0.8))), np.array([0]))
    white = (drawn.min(axis=2) > 200).sum()
    elsewhere = drawer(640, 480).draw(black, detections(((0.4, 0.4, 0.5, 0.9), (0.9, 0.0, 0.8))), np.array([0]))
    assert white == pytest.approx((elsewhere.min(axis=2) > 200).sum(), rel=0.1)


def test_names_beyond_ascii_are_drawn_with_a_font_that_has_them() -> None:
    actions = ActionList((1,), ("drücken",), (None,))
    artist = ActionDrawer(width=640, height=480, actions=actions, style=DrawingStyle())
    assert type(artist._labels).__name__ == "RichLabelAnnotator"
    drawn = artist.draw(
        np.zeros((480, 640, 3), dtype=np.uint8), detections((BOX, (0.9, 0.0, 0.0))), np.zeros(1, dtype=np.int64)
    )
    assert (drawn.min(axis=2) > 200).any()


def test_the_caption_stands_at_the_bottom() -> None:
    gray = np.full((480, 640, 3), 100, dtype=np.uint8)
    drawn = drawer(640, 480, caption="random weights").draw(gray, detections(), np.zeros(0, dtype=np.int64))
    assert drawn[:440].min() == drawn[:440].max() == 100
    assert (drawn[450:].min(axis=2) > 200).any()


def test_brackets_are_left_out_where_names_stay_different() -> None:
    names = ["listen to (a person)", "watch (a person)", "watch (e.g., TV)", "give (an object) to (a person)", "(?)"]
    shorter = ["listen to", "watch (a person)", "watch (e.g., TV)", "give to", "(?)"]
    assert short_names(names) == shorter


def test_labels_are_not_cut_through_by_the_outline_of_the_truth() -> None:
    frame = np.full((480, 640, 3), 100, dtype=np.uint8)
    found, person = detections((BOX, (0.9, 0.0, 0.0))), np.array([0])
    left, top, right, bottom = BOX
    across = detections(((left + 0.02, top - 0.1, right, bottom), (1.0, 0.0, 0.0)))
    artist, silent = drawer(640, 480, colour_by="person"), drawer(640, 480, colour_by="person", threshold=1.0)
    alone, beside = artist.draw(frame, found, person), artist.draw(frame, found, person, across)
    rows, columns = (silent.draw(frame, found, person) != alone).any(axis=2).nonzero()
    label = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    outlined = (alone != beside).any(axis=2)
    assert not outlined[label].any()
    assert outlined[: rows.min(), columns.min() : columns.max() + 1].any(), "the outline does not cross the label"


@pytest.mark.parametrize(
    ("size", "as_in"),
    [
        ((1280, 720), (960, 720)),
        ((1920, 1080), (1440, 1080)),
        ((720, 1280), (1280, 1280)),
        ((2560, 1080), (1920, 1440)),
    ],
)
def test_letters_are_as_large_as_the_picture_is_shown(size: tuple[int, int], as_in: tuple[int, int]) -> None:
    def height(width: int, height: int) -> float:
        return drawer(width, height)._size("walk 0.93")[1]

    assert height(*size) == height(*as_in)
    assert height(720, 1280) > 1.5 * height(1280, 720)


def test_letters_of_the_narrowest_pictures_still_fit() -> None:
    assert drawer(480, 4000)._size("carry an object 0.85")[0] < 480


def test_a_persons_color_stays_when_the_action_changes() -> None:
    black = np.zeros((480, 640, 3), dtype=np.uint8)
    walking, waving = detections((BOX, (0.9, 0.0, 0.0))), detections((BOX, (0.0, 0.0, 0.9)))
    artist = drawer(640, 480)
    colors = [artist.draw(black, found, np.array([4]))[240, 160].tolist() for found in (walking, waving)]
    assert colors[0] == colors[1]


def test_the_size_of_a_label_is_that_which_is_drawn() -> None:
    for names in (("walk", "wave"), ("dr\u00fccken", "wave")):
        actions = ActionList((1, 3), names, (None, None))
        artist = ActionDrawer(width=640, height=480, actions=actions, style=DrawingStyle())
        found = detections((BOX, (0.9, 0.0, 0.8)))
        black = np.zeros((480, 640, 3), dtype=np.uint8)
        rows, columns = artist.draw(black, found, np.array([0]))[:118].any(axis=2).nonzero()
        width, height = artist._size(f"{names[0]} 0.90\nwave 0.80")
        assert columns.max() - columns.min() + 1 == pytest.approx(width, abs=6)
        assert 120 - rows.min() == pytest.approx(height, rel=0.3)


def test_frames_wait_for_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        def at(self, time: int) -> tuple[ActionDetections, IntArray]:
            return detections(), np.zeros(0, dtype=np.int64)

    made, written, waiting = [], [], []

    def frames() -> Iterator[ShownFrame]:
        for number in range(30):
            made.append(number)
            yield ShownFrame(40_000 * number, np.zeros((480, 640, 3), dtype=np.uint8))

    def write(*_: object, **__: object) -> None:
        sleep(0.002)  # the other side goes ahead as far as it may
        waiting.append(len(made) - len(written))
        written.append(len(written))

    monkeypatch.setattr(VideoWriter, "write_converted", write)
    monkeypatch.setattr(VideoWriter, "close", lambda _: None)
    style, out = DrawingStyle(), tmp_path / "drawn.mp4"
    draw_frames(frames(), out, Nobody(), size=(640, 480), rate=Fraction(25), actions=ACTIONS, style=style)
    assert written == list(range(30))
    # At most one is written, two wait converted, one is converted, two wait drawn, and one is drawn.
    assert max(waiting) <= 7


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"threshold": 2.0}, "threshold 2: expected a score from 0 to 1"),
        ({"threshold": float("nan")}, "threshold nan: expected a score from 0 to 1"),
        ({"top": 0}, "top 0: expected 1 action or more"),
        ({"quality": 99}, r"quality 99: expected 0 \(no loss\) to 51"),
    ],
)
def test_a_style_that_cannot_be_drawn_is_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        DrawingStyle(**wrong)  # type: ignore[arg-type]
