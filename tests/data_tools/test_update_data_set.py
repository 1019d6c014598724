"""Merging corrected videos into a data set: ids and split stay, other videos' lines are not touched."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats.action_list import read_action_list
from evaluation.formats.person_boxes import read_proposals, write_proposals
from evaluation.records import FrameKey, PersonBoxes
from tests.data_tools.test_convert_annotations import IDLER, WAVER, convert, cvat_xml, film, rows, still

Run = Callable[..., str]
NAMES = "abcd"
TUMBLER = ("person", still((20, 10, 50, 40)), {"wave": "false", "tumble": "true"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of videos a, b (train) and c (val) with its boxes, and the corrected annotations to come in `new`."""
    for name in NAMES:
        film(tmp_path / "videos" / f"{name}.mp4")
    for name in "abc":
        write(tmp_path / "old" / f"{name}.xml", WAVER, IDLER)
    (tmp_path / "new").mkdir()
    words = (tmp_path / "old", "--from", "cvat", "--to", "ava", "--videos", tmp_path / "videos", "--proposals")
    convert(*words, "--val-videos", "c", "--out", tmp_path / "set", monkeypatch=monkeypatch)
    return tmp_path


def write(path: Path, *tracks: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(cvat_xml(list(tracks), source=f"{path.stem}.mp4"))  # type: ignore[arg-type]


@pytest.fixture
def update(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Update the data set from `new`; return what is printed."""

    def run(*words: str) -> str:
        capsys.readouterr()
        places = ("--update", folder / "set", "--videos", folder / "videos")
        convert(folder / "new", "--from", "cvat", "--to", "ava", *places, *words, monkeypatch=monkeypatch)
        return capsys.readouterr().out

    return run


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in (folder / "set").iterdir()}


def test_a_corrected_video_replaces_its_rows_and_a_new_one_trains(folder: Path, update: Run) -> None:
    write(folder / "new" / "b.xml", WAVER)
    write(folder / "new" / "d.xml", WAVER, TUMBLER)
    before = rows(folder / "set/ava_train.csv")
    said = update()
    after = rows(folder / "set/ava_train.csv")
    assert [row for row in after if row[0] == "a"] == [row for row in before if row[0] == "a"]
    assert {row[6] for row in after if row[0] == "b"} == {"1", "2"}
    assert {row[0] for row in after} == {"a", "b", "d"}
    assert read_action_list(folder / "set/action_list.pbtxt").names == ("stand", "wave", "tumble")
    assert {row[6] for row in after if row[0] == "d"} == {"1", "2", "3"}
    assert "b (train): unchanged" in said  # the idle person has no row in the truth
    assert "d (train, new): 3 key frames, 9 rows added" in said
    assert "new action 3: tumble; set model.num_actions=3" in said


def test_repeating_an_update_writes_nothing(folder: Path, update: Run) -> None:
    write(folder / "new" / "c.xml", TUMBLER)
    write(folder / "new" / "d.xml", WAVER)
    assert "c (val): 3 key frames, 3 rows added, 6 removed" in update("--proposals")
    before = state(folder)
    said = update("--proposals")
    assert state(folder) == before
    assert said.splitlines() == ["c (val): unchanged", "d (train): unchanged"]


def test_lines_of_other_videos_stay_byte_for_byte(folder: Path, update: Run) -> None:
    truth = folder / "set/ava_train.csv"
    hand_written = b'"a",0.000,0.100,0.2,0.3,0.8,1.0,0\r\n'
    truth.write_bytes(hand_written + truth.read_bytes())
    lines = truth.read_bytes().splitlines(keepends=True)
    validation = state(folder)["ava_val.csv"]
    write(folder / "new" / "b.xml", TUMBLER)
    update()
    changed = truth.read_bytes().splitlines(keepends=True)
    assert [line for line in changed if b"a" in line] == [line for line in lines if b"a" in line]
    assert state(folder)["ava_val.csv"] == validation


def test_timestamps_that_are_not_annotated_any_more_are_excluded(folder: Path, update: Run) -> None:
    excluded = folder / "set/ava_train_excluded_timestamps.csv"
    excluded.write_text("a,7\nb,1\n")
    write(folder / "new" / "b.xml", ("person", still((10, 10, 30, 40), 15), {"wave": "true"}))
    path = folder / "new" / "b.xml"
    path.write_text(path.read_text().replace("<stop_frame>29</stop_frame>", "<stop_frame>14</stop_frame>"))
    assert "b (train): 2 key frames, 0 rows added, 4 removed" in update()
    assert rows(excluded) == [["a", "7"], ["b", "0002"]]


def test_found_boxes_of_other_videos_stay(folder: Path, update: Run) -> None:
    path = folder / "set/dense_proposals_train.pkl"
    found = PersonBoxes(FrameKey("a", 0), np.array([[0.1, 0.1, 0.2, 0.2]]), np.array([0.7]))
    write_proposals(path, [found, *(each for key, each in read_proposals(path).items() if key.video == "b")])
    write(folder / "new" / "b.xml", WAVER)
    update()
    assert len(read_proposals(path)[FrameKey("b", 0)]) == 2
    update("--proposals")
    after = read_proposals(path)
    assert after[FrameKey("a", 0)].scores.tolist() == pytest.approx([0.7])
    assert len(after[FrameKey("b", 0)]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--val-videos", "b"), r"'b' is a training video of .*set; an update keeps the split"),
        (("--val-videos", "z"), r"'z' is not annotated; expected some of b"),
        (("--start", "900"), r"b\.xml: video 'b' has no timestamp in common with the set's; give the --start"),
        (("--actions", "list.pbtxt"), r"expected --to ava, and no --actions"),
    ],
)
def test_what_contradicts_the_set_is_refused(words: tuple[str, ...], message: str, folder: Path, update: Run) -> None:
    write(folder / "new" / "b.xml", TUMBLER)
    before = state(folder)
    with pytest.raises(InputError, match=message):
        update(*words)
    assert state(folder) == before


def test_a_folder_that_is_not_a_data_set_is_refused(folder: Path, update: Run) -> None:
    write(folder / "new" / "b.xml", WAVER)
    (folder / "set/ava_val.csv").unlink()
    with pytest.raises(InputError, match=r"set: ava_val\.csv is missing; expected a folder written by --to ava"):
        update()


def test_new_videos_validate_where_that_is_asked_for(folder: Path, update: Run) -> None:
    write(folder / "new" / "d.xml", WAVER)
    assert "d (val, new)" in update("--val-videos", "d")
    assert {row[0] for row in rows(folder / "set/ava_val.csv")} == {"c", "d"}
