from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats.frame_tables import read_frame_persons, read_tube_csv
from evaluation.formats.multisports import read_multisports
from evaluation.records import FrameKey

VIDEOS = ("judo/v_one_c001", "judo/v_two_c001", "fencing/v_two_c001")


def write(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def test_the_csv_of_a_part_holds_the_tubes_of_the_official_file(toy: Path) -> None:
    official = read_multisports(toy / "multisports/multisports_GT.pkl")
    read = read_tube_csv(toy / "multisports/multisports_val.csv", labels=len(official.labels))
    assert read.test_videos == official.test_videos
    ours, theirs = (truth.of_videos(official.test_videos) for truth in (read, official))
    told = [sorted(zip(tubes.video, tubes.labels, tubes.first, tubes.lengths, strict=True)) for tubes in (ours, theirs)]
    assert told[0] == told[1]
    height, width = official.sizes[official.test_videos[0]]
    for tubes, scale in ((ours, (width, height, width, height)), (theirs, (1, 1, 1, 1))):
        tubes.boxes[:] = tubes.boxes * scale
    np.testing.assert_allclose(np.sort(ours.boxes, axis=0), np.sort(theirs.boxes, axis=0), atol=0.3)


def test_a_tube_that_skips_a_frame_becomes_two(tmp_path: Path) -> None:
    path = tmp_path / "val.csv"
    path.write_text("".join(f"a/v.mp4,{frame},0.1,0.1,0.5,0.5,2,0\n" for frame in (3, 1, 2, 5)))
    truth = read_tube_csv(path, labels=3)
    assert truth.test_videos == ("a/v",)
    assert truth.tubes.first.tolist() == [1, 5]
    assert truth.tubes.last.tolist() == [3, 5]
    assert truth.frame_counts == {"a/v": 5}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [("v.mp4,1.5,0,0,1,1,0,0", "not a frame number"), ("v.mp4,0,0,0,1,1,0,0", "not a frame number")],
)
def test_a_frame_is_a_whole_number_from_1(tmp_path: Path, row: str, complaint: str) -> None:
    (tmp_path / "val.csv").write_text(row + "\n")
    with pytest.raises(InputError, match=complaint):
        read_tube_csv(tmp_path / "val.csv", labels=3)


def test_a_label_beyond_the_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("v.mp4,1,0,0,1,1,3,0\n")
    with pytest.raises(InputError, match=r"label 3; expected 0 to 2 \(model.num_actions\)"):
        read_tube_csv(tmp_path / "val.csv", labels=3)


@pytest.mark.parametrize(
    "key", ["judo/v_one_c001,12", "judo/v_one_c001, 12", "v_one_c001,0012", "judo/v_one_c001.mp4,0012"]
)
def test_both_dialects_of_keys_name_the_frame(tmp_path: Path, key: str) -> None:
    path = write(tmp_path / "persons.pkl", {key: np.array([[0.1, 0.2, 0.3, 0.4, 0.9]])})
    persons = read_frame_persons(path, VIDEOS)
    assert list(persons.found) == [FrameKey("judo/v_one_c001", 12)]
    assert persons.unknown_videos == ()


def test_a_short_name_of_two_videos_names_neither(tmp_path: Path) -> None:
    box = np.array([[0.1, 0.2, 0.3, 0.4, 0.9]])
    path = write(tmp_path / "persons.pkl", {"v_two_c001,1": box, "fencing/v_two_c001,1": box})
    persons = read_frame_persons(path, VIDEOS)
    assert list(persons.found) == [FrameKey("fencing/v_two_c001", 1)]
    assert persons.unknown_videos == ("v_two_c001",)


def test_boxes_beyond_the_frame_are_cut_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "persons.pkl", {"v_one_c001,1": np.array([[-0.2, 0.2, 0.3, 1.4, 0.9], [0, 0, 1, 1, 0.8]])})
    persons = read_frame_persons(path, VIDEOS)
    np.testing.assert_allclose(persons.found[FrameKey(VIDEOS[0], 1)].boxes, [[0, 0.2, 0.3, 1], [0, 0, 1, 1]])
    assert persons.cut == 1


def test_frames_that_a_video_does_not_have_are_left_out_and_told(tmp_path: Path) -> None:
    box = np.array([[0.1, 0.2, 0.3, 0.4, 0.9]])
    path = write(tmp_path / "persons.pkl", {f"v_one_c001,{frame}": box for frame in (0, 1, 9, 10)})
    counts = dict.fromkeys(VIDEOS, 9)
    for known, left_out in ((None, [0]), (counts, [0, 10])):
        persons = read_frame_persons(path, VIDEOS, known)
        assert list(persons.no_frames) == [FrameKey(VIDEOS[0], frame) for frame in left_out]
        assert [key.moment for key in persons.found] == [frame for frame in (0, 1, 9, 10) if frame not in left_out]
    path = write(tmp_path / "persons.pkl", {"v_one_c001,10": box})
    with pytest.raises(InputError, match="boxes only of frames that do not exist, such as 10 of 'judo/v_one_c001'"):
        read_frame_persons(path, VIDEOS, counts)


def test_boxes_of_other_videos_alone_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "persons.pkl", {"v_x_c001,1": np.array([[0.1, 0.2, 0.3, 0.4, 0.9]])})
    with pytest.raises(InputError, match=r"none of the 3 videos, such as 'v_x_c001'"):
        read_frame_persons(path, VIDEOS)
