from __future__ import annotations

import os
import pickle
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from actiondet.video import FrameFolder
from evaluation.errors import InputError


def fill(folder: Path, stamped: ModuleType, names: list[str]) -> Path:
    """Write pictures that show their place in the list."""
    folder.mkdir(parents=True)
    for place, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), stamped.stamped_frame(place)[..., ::-1])
    return folder


@pytest.mark.parametrize(
    ("template", "first", "name"),
    [
        ("img_{:05d}.jpg", 1, "img_{:05d}.jpg"),
        ("img_{:05}.jpg", 0, "img_{:05d}.jpg"),
        ("{}.png", 0, "{}.png"),
        ("{:d}.png", 1, "{}.png"),
        ("frame%06d.png", 1, "frame{:06d}.png"),
        ("{video}_{:06d}.jpg", 1, "clip_{:06d}.jpg"),
        ("a+b(1) {:03d}.jpg", 998, "a+b(1) {:03d}.jpg"),  # grows a digit on the way
    ],
)
def test_any_template_from_any_first_number(
    stamped: ModuleType, tmp_path: Path, template: str, first: int, name: str
) -> None:
    folder = fill(tmp_path / "clip", stamped, [name.format(first + place) for place in range(5)])
    (folder / "readme.txt").write_text("not a frame")
    (folder / "img_0000001.jpg").write_bytes(b"another naming")
    with FrameFolder(folder, template, first=first, fps=10) as reader:
        assert len(reader.index) == 5
        assert reader.index.frame_times.tolist() == [0, 100_000, 200_000, 300_000, 400_000]
        assert reader.index.decord_unsafe is not None
        images = reader.read([4, 0, 0, 2])
    assert images.shape == (4, 64, 96, 3)
    assert [stamped.read_stamp(image) for image in images] == [4, 0, 0, 2]


def test_second_two_at_thirty_frames_a_second_is_file_61_counted_from_1(stamped: ModuleType, tmp_path: Path) -> None:
    folder = fill(tmp_path / "clip", stamped, [f"img_{number:05d}.jpg" for number in range(1, 63)])
    reader = FrameFolder(folder)
    place = int(np.searchsorted(reader.index.frame_times, 2_000_000))
    assert place == 60
    np.testing.assert_array_equal(reader.read([place])[0], cv2.imread(str(folder / "img_00061.jpg"))[..., ::-1])


def test_colors_are_red_green_blue(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    picture[..., 2] = 250  # OpenCV writes blue, green, red
    cv2.imwrite(str(tmp_path / "clip/0.png"), picture)
    assert FrameFolder(tmp_path / "clip", "{}.png", first=0).read([0])[0, 0, 0].tolist() == [250, 0, 0]


def test_an_ntsc_rate_is_exact_enough_for_hours(stamped: ModuleType, tmp_path: Path) -> None:
    folder = fill(tmp_path / "clip", stamped, ["1.png"])
    assert FrameFolder(folder, "{}.png", fps=Fraction(30000, 1001)).index.rate == Fraction(30000, 1001)
    assert abs(FrameFolder(folder, "{}.png", fps=29.97).index.rate - Fraction(2997, 100)) < 1e-9


def test_a_missing_number_in_the_middle_is_named(stamped: ModuleType, tmp_path: Path) -> None:
    folder = fill(tmp_path / "clip", stamped, ["img_00001.jpg", "img_00002.jpg", "img_00004.jpg"])
    with pytest.raises(InputError, match=r"clip/img_00003\.jpg: is missing; the folder goes on to img_00004\.jpg"):
        FrameFolder(folder)


def test_a_wrong_first_number_is_reported_and_not_guessed(stamped: ModuleType, tmp_path: Path) -> None:
    folder = fill(tmp_path / "clip", stamped, ["img_00000.jpg", "img_00001.jpg"])
    with pytest.raises(InputError, match=r"img_00000\.jpg.*set the number of the first frame to 0"):
        FrameFolder(folder, first=1)
    other = fill(tmp_path / "other", stamped, ["img_00001.jpg"])
    with pytest.raises(InputError, match=r"img_00000\.jpg: is missing"):
        FrameFolder(other, first=0)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("img_{:05d}.png", r"no file is named like img_00001\.png; it holds img_00001\.jpg"),
        ("img.jpg", r"img\.jpg: expected a file name with one field for the number"),
        ("{:02d}_{:05d}.jpg", r"one field for the number"),
    ],
)
def test_a_template_that_does_not_fit_is_reported(
    stamped: ModuleType, tmp_path: Path, template: str, message: str
) -> None:
    folder = fill(tmp_path / "clip", stamped, ["img_00001.jpg"])
    with pytest.raises(InputError, match=message):
        FrameFolder(folder, template)


def test_unreadable_and_unequal_pictures_are_named(stamped: ModuleType, tmp_path: Path) -> None:
    folder = fill(tmp_path / "clip", stamped, ["1.png", "2.png", "3.png"])
    reader = pickle.loads(pickle.dumps(FrameFolder(folder, "{}.png")))
    (folder / "2.png").write_bytes(b"no picture")
    cv2.imwrite(str(folder / "3.png"), np.zeros((10, 20, 3), dtype=np.uint8))
    assert reader.read([0]).shape == (1, 64, 96, 3)
    with pytest.raises(InputError, match=r"clip/2\.png: is not a picture"):
        reader.read([1])
    with pytest.raises(InputError, match=r"clip/3\.png: is 20x10, the first frame of its folder is 96x64"):
        reader.read([2])
    with pytest.raises(IndexError, match="has no frame 3"):
        reader.read([3])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        FrameFolder(tmp_path / "nowhere")


def test_names_need_not_be_utf_8(stamped: ModuleType, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    fill(tmp_path / "clip", stamped, ["1.png"]).rename(folder)
    assert FrameFolder(folder, "{}.png").read([0]).shape == (1, 64, 96, 3)


@pytest.mark.parametrize("content", [b"", b"P6 100000 100000 255\n"], ids=["empty", "of too many pixels"])
def test_what_opencv_refuses_is_no_picture(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(content)
    with pytest.raises(InputError, match=r"1\.png: is not a picture that can be read"):
        FrameFolder(tmp_path, "{}.png")
