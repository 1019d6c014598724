"""Through tools/demo.py --tubes, as users draw tubes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from actiondet.drawing import DrawingStyle
from actiondet.tube_drawing import draw_tubes
from actiondet.video import VideoWriter, index_video, open_video
from evaluation.errors import InputError
from evaluation.formats.multisports import read_multisports, write_multisports, write_video_detections
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH, FRAMES = 480, 640, 12
VIDEO = "sport/street"
FOUND, TRUE = (100.0, 100.0, 200.0, 300.0), (400.0, 120.0, 500.0, 320.0)


def tubes(label: int, score: float, first: int, length: int, box: tuple[float, ...]) -> TubeSet:
    return TubeSet(
        videos=(VIDEO,),
        video=np.array([0]),
        labels=np.array([label]),
        scores=np.array([score]),
        offsets=np.array([0, length]),
        moments=np.arange(first, first + length),
        boxes=np.tile(box, (length, 1)).astype(np.float32),
        box_scores=np.ones(length, dtype=np.float32),
    )


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gray video, a tube in its frames 3 to 8, and a true one elsewhere in its frames 1 to 6."""
    folder = tmp_path_factory.mktemp("tubes")
    with VideoWriter(folder / "street.mp4", Fraction(10), WIDTH, HEIGHT, sound_of=None) as writer:
        for _ in range(FRAMES):
            writer.write(np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8))
    truth = TubeTruth(
        labels=("sport throw", "sport fall"),
        unscored=frozenset(),
        train_videos=(),
        test_videos=(VIDEO,),
        frame_counts={VIDEO: FRAMES},
        sizes={VIDEO: (HEIGHT, WIDTH)},
        tubes=tubes(1, 1.0, 1, 6, TRUE),
    )
    write_multisports(folder / "truth.pkl", truth)
    write_video_detections(folder / "tubes.pkl", tubes(0, 0.8, 3, 6, FOUND), truth)
    return folder


def changed(path: Path, box: tuple[float, ...]) -> list[int]:
    """The frames, from 1, in which the left edge of a box is drawn."""
    left, top, _, bottom = map(int, box)
    with open_video(path) as reader:
        pictures = reader.read(list(range(FRAMES))).astype(int)
    edges = np.abs(pictures[:, top + 40 : bottom - 40, left - 3 : left + 4] - 90).max(axis=(1, 2, 3))
    return [number for number, most in enumerate(edges, start=1) if most > 60]


def test_tubes_are_drawn_on_their_frames_and_true_ones_in_outline(material: Path, tmp_path: Path) -> None:
    files = ["--tubes", material / "tubes.pkl", "--truth", material / "truth.pkl"]
    done = run_program(ROOT / "tools/demo.py", material / "street.mp4", *files, "--out", tmp_path / "drawn.mp4")
    assert done.returncode == 0, done.stderr
    assert "sport/street: 1 tubes of 1 persons with a score of 0.5 or more; 1 true tubes of 1 persons" in done.stdout
    assert changed(tmp_path / "drawn.mp4", FOUND) == [3, 4, 5, 6, 7, 8]
    assert changed(tmp_path / "drawn.mp4", TRUE) == [1, 2, 3, 4, 5, 6]


def edge(path: Path, frame: int, box: tuple[float, ...]) -> np.ndarray:
    """The pixels (N, 3) of the left edge of a box in a frame, from 1."""
    left, top, _, bottom = map(int, box)
    with open_video(path) as reader:
        picture = reader.read([frame - 1])[0].astype(float)
    strip = picture[top + 40 : bottom - 40, left - 3 : left + 4]
    drawn: np.ndarray = strip[np.abs(strip - 90).max(axis=2) > 40]
    return drawn


def test_persons_keep_their_color_and_differ_in_it(material: Path, tmp_path: Path) -> None:
    other = (300.0, 100.0, 380.0, 300.0)
    truth = read_multisports(material / "truth.pkl")
    # One who does one thing and then another, and somebody else who does the first thing all the time.
    parts = [tubes(0, 0.8, 1, 6, FOUND), tubes(1, 0.8, 7, 6, FOUND), tubes(0, 0.9, 1, 12, other)]
    found = TubeSet.from_tubes([tube for part in parts for tube in part.tubes(truth.sizes)], truth.sizes)
    write_video_detections(tmp_path / "tubes.pkl", found, truth)
    index = index_video(material / "street.mp4")
    draw_tubes(index, tmp_path / "d.mp4", tmp_path / "tubes.pkl", style=DrawingStyle(colour_by="person"))
    seen = ((3, FOUND), (10, FOUND), (3, other))
    first, later, somebody = (edge(tmp_path / "d.mp4", *where).mean(axis=0) for where in seen)
    assert np.abs(first - later).max() < 20
    assert np.abs(first - somebody).max() > 60


def test_true_tubes_are_drawn_in_outline_of_another_kind_than_found_ones(material: Path, tmp_path: Path) -> None:
    index = index_video(material / "street.mp4")
    style = DrawingStyle(colour_by="person")
    draw_tubes(index, tmp_path / "d.mp4", material / "tubes.pkl", truth=material / "truth.pkl", style=style)
    # White between black; persons have strong, dark colors.
    assert edge(tmp_path / "d.mp4", 4, TRUE).min(axis=1).max() > 150
    assert edge(tmp_path / "d.mp4", 4, FOUND).min(axis=1).max() < 120


def test_weak_tubes_are_left_out_and_no_truth_is_needed(material: Path, tmp_path: Path) -> None:
    index = index_video(material / "street.mp4")
    for threshold, frames in ((0.7, [3, 4, 5, 6, 7, 8]), (0.9, [])):
        said = draw_tubes(
            index, tmp_path / "d.mp4", material / "tubes.pkl", style=DrawingStyle(threshold, colour_by="person")
        )
        assert said.startswith(f"sport/street: {len(frames) // 6} tubes")
        assert changed(tmp_path / "d.mp4", FOUND) == frames
        assert changed(tmp_path / "d.mp4", TRUE) == []


def test_a_video_that_the_tubes_do_not_know_is_named(material: Path, tmp_path: Path) -> None:
    (tmp_path / "road.mp4").write_bytes((material / "street.mp4").read_bytes())
    index = index_video(tmp_path / "road.mp4")
    with pytest.raises(InputError, match=r"knows no video 'road'; expected .* such as 'sport/street'"):
        draw_tubes(index, tmp_path / "d.mp4", material / "tubes.pkl", style=DrawingStyle())
    assert not (tmp_path / "d.mp4").exists()
