"""Lists of videos in the dialects of the field, class names, and scores on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats.kinetics_table import is_kinetics_table, read_kinetics_table
from evaluation.formats.video_list import read_class_names, read_ucf101_split, read_video_list
from evaluation.formats.video_scores import VideoScores, read_video_scores, write_video_scores
from evaluation.recognition import recognition_accuracy


def written(folder: Path, text: str) -> Path:
    path = folder / "list.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "names", "labels", "frames"),
    [
        ("a/b.mp4 3\nc.avi 0\n", ["a/b.mp4", "c.avi"], [3, 0], None),
        ("my video 7.mp4 3\n\nother.mp4\t1\n", ["my video 7.mp4", "other.mp4"], [3, 1], None),
        ("my\tvideo.mp4\t007\n", ["my\tvideo.mp4"], [7], None),
        ("a/b.mp4,3\n/abs/c.mp4,0\n", ["a/b.mp4", "/abs/c.mp4"], [3, 0], None),
        ("train/a 300 5\ntrain/b 1 6\n", ["train/a", "train/b"], [5, 6], [300, 1]),
        ("video_id, num_frames, label_index\nxyz, 250, 12\nuvw, 9, 0\n", ["xyz", "uvw"], [12, 0], [250, 9]),
        ("\ufeffxyz,250,12\n", ["xyz"], [12], [250]),
        ("a b.mp4 1\r\nc.mp4 0\r\n", ["a b.mp4", "c.mp4"], [1, 0], None),
        ("he, she.mp4 1\nc.mp4 0\n", ["he, she.mp4", "c.mp4"], [1, 0], None),
        ('he, she.mp4,1\n"I, too.mp4",0\n', ["he,she.mp4", "I, too.mp4"], [1, 0], None),
    ],
)
def test_every_dialect_of_a_list_is_read(
    text: str, names: list[str], labels: list[int], frames: list[int] | None, tmp_path: Path
) -> None:
    videos = read_video_list(written(tmp_path, text))
    assert list(videos.names) == names
    assert videos.labels.tolist() == labels
    assert (None if videos.frames is None else videos.frames.tolist()) == frames


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.mp4 1\nb.mp4 walking\n", "line 2: 'b.mp4 walking'"),
        ("a.mp4 -1\n", "line 1"),
        ("a.mp4 99999999999999999999\n", "line 1"),
        ("a.mp4\n", "line 1"),
        pytest.param("a" * 140_000 + ",2\n", "line 1: 'a{200}'", id="longer than any path"),
        ("\n", "lists no videos"),
        ("video_id,num_frames,label_index\n", "lists no videos"),
    ],
)
def test_a_line_of_another_form_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_video_list(written(tmp_path, text))


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_list_in_another_encoding_is_reported_to_be_saved_in_utf_8(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("Übung.mp4 0\n", encoding=encoding)
    for read in (read_video_list, read_class_names, lambda path: read_ucf101_split(path, ["a"]), read_kinetics_table):
        with pytest.raises(InputError, match=r"list\.csv: not a text file in UTF-8"):
            read(tmp_path / "list.csv")
    assert not is_kinetics_table(tmp_path / "list.csv")


@pytest.mark.parametrize(
    "text",
    [
        "stand\nwalk left\njump\n",
        "0 stand\n1 walk left\n2 jump\n",
        "1 stand\n2 walk left\n3 jump\n",
        "jump, 2\nstand, 0\nwalk left, 1\n",
        "id,name\r\n0,stand\r\n1,walk left\r\n2,jump\r\n",
    ],
)
def test_class_names_are_read_in_the_order_of_their_labels(text: str, tmp_path: Path) -> None:
    assert read_class_names(written(tmp_path, text)) == ("stand", "walk left", "jump")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1 on 1\n", ("1 on 1",)),
        ("1 on 1\n2 on 2\n3 on 3\n", ("1 on 1", "2 on 2", "3 on 3")),
        ("1 on 1\n5 on 5\n", ("1 on 1", "5 on 5")),
        ("1 on 1\n2 on 1\n", ("1 on 1", "2 on 1")),
        ("2 point shot\n3 point shot\n", ("2 point shot", "3 point shot")),
        ("1 on 1\nwalk\n", ("1 on 1", "walk")),
        ("0 1 on 1\n1 2 on 2\n", ("1 on 1", "2 on 2")),
        ("1\t1 on 1\n2\t2 on 2\n", ("1 on 1", "2 on 2")),
        ("id,name\n0,1 on 1\n1,walk\n", ("1 on 1", "walk")),
        ("1 on 1, 1\n2 on 2, 0\n", ("2 on 2", "1 on 1")),
        ('"1 hand"\n"2 hands"\n', ("1 hand", "2 hands")),
    ],
)
def test_names_may_begin_with_numbers(text: str, names: tuple[str, ...], tmp_path: Path) -> None:
    assert read_class_names(written(tmp_path, text)) == names


def test_holes_in_the_labels_of_a_class_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holes or repeats"):
        read_class_names(written(tmp_path, "0 a\n2 b\n"))


def test_an_archive_in_place_of_a_list_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lists.zip"
    path.write_bytes(b"PK\x03\x04 packed \xff\xfe")
    for read in (read_video_list, read_class_names, lambda path: read_ucf101_split(path, ("Biking",))):
        with pytest.raises(InputError, match=r"lists\.zip: not a text file in UTF-8; if it is an archive"):
            read(path)


def test_ucf101_splits_take_the_label_from_the_folder(tmp_path: Path) -> None:
    classes = ("Archery", "Biking")
    train = read_ucf101_split(written(tmp_path, "Biking/v_Biking_g01_c01.avi 2\nArchery/v_a.avi 1\n"), classes)
    assert train.labels.tolist() == [1, 0]
    test = read_ucf101_split(written(tmp_path, "Biking/v_Biking_g01_c01.avi\n"), classes)
    assert test.labels.tolist() == [1]
    with pytest.raises(InputError, match=r"line 1: .* its number there, 2"):
        read_ucf101_split(written(tmp_path, "Biking/v.avi 1\n"), classes)
    with pytest.raises(InputError, match="a class of classInd"):
        read_ucf101_split(written(tmp_path, "Boxing/v.avi\n"), classes)


def test_scores_come_back_and_score_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 50)
    scores = VideoScores(
        tuple(f"v{i}" for i in range(50)), labels, random.random((50, 7)), tuple("abcdefg"), (10, 3), "softmax"
    )
    write_video_scores(tmp_path / "s.pkl", scores)
    again = read_video_scores(tmp_path / "s.pkl")
    assert np.array_equal(again.scores, scores.scores)
    assert (again.videos, again.classes, again.views) == (scores.videos, scores.classes, scores.views)
    assert recognition_accuracy(again.scores, again.labels).top(1) == recognition_accuracy(scores.scores, labels).top(1)


def test_a_pickle_of_something_else_is_refused(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "s.pkl").write_bytes(pickle.dumps({"videos": ["a"]}))
    with pytest.raises(InputError, match="holds no video scores"):
        read_video_scores(tmp_path / "s.pkl")


def test_a_quotation_mark_that_is_left_open_is_looked_for(tmp_path: Path) -> None:
    rows = 'label,youtube_id,time_start,time_end,split\n"yoga,a,1,2,train\n' + "zumba,b,1,2,train\n" * 10_000
    with pytest.raises(InputError, match="quotation mark left open"):
        read_kinetics_table(written(tmp_path, rows))
