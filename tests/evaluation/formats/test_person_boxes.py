"""Person boxes: dense-proposal pickles and PySlowFast's CSV files."""

from __future__ import annotations

import pickle
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats.person_boxes import read_proposals, write_proposals
from evaluation.records import FrameKey, PersonBoxes


def persons(first_video: str) -> list[PersonBoxes]:
    rng = np.random.default_rng(1)
    keys = [FrameKey(first_video, 902_000_000), FrameKey("v", 903_500_000), FrameKey("w", 1_000_000_000)]
    return [
        PersonBoxes(key, rng.random((count, 4)).astype(np.float32), rng.random(count).astype(np.float32))
        for key, count in zip(keys, (2, 1, 3), strict=True)
    ]


def test_the_real_proposals_are_read(shared: Path) -> None:
    real = shared / "reference" / "evaluation" / "real"
    found = read_proposals(real / "mma_ava_dataset" / "ava_proposals_sample.pkl")
    assert [len(found[key]) for key in sorted(found)] == [1, 1, 3]
    one = found[FrameKey("0f39OWEqJ24", 902_000_000)]
    assert one.boxes.tolist() == [pytest.approx([0.011, 0.157, 0.655, 0.983])]
    assert len(read_proposals(real / "mma_eval_detection" / "proposal.pkl")) == 3


@pytest.mark.parametrize(("name", "first_video"), [("persons.pkl", "a,b"), ("persons.csv", 'a, "b"')])
def test_persons_written_and_read_back_are_the_same(tmp_path: Path, name: str, first_video: str) -> None:
    write_proposals(tmp_path / name, persons(first_video))
    again = read_proposals(tmp_path / name)
    assert len(again) == 3
    for one in persons(first_video):
        assert np.array_equal(again[one.key].boxes, one.boxes)
        assert np.array_equal(again[one.key].scores, one.scores)
        assert again[one.key].boxes.dtype == again[one.key].scores.dtype == np.float32


def test_a_csv_row_per_action_is_one_person(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(
        "v,0902,0.1,0.2,0.3,0.4,12,0.5\nv,0902,0.1,0.2,0.3,0.4,80,0.9\nv,0902,0.5,0.2,0.7,0.4,,0.8\nw,0902,0,0,1,1,,1\n"
    )
    found = read_proposals(path)
    assert list(found) == [FrameKey("v", 902_000_000), FrameKey("w", 902_000_000)]
    first = found[FrameKey("v", 902_000_000)]
    assert first.boxes[:, 0].tolist() == [np.float32(0.1), 0.5]
    assert first.scores.tolist() == [np.float32(0.9), np.float32(0.8)]


def test_boxes_without_scores_count_one_and_empty_moments_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "boxes.pkl"
    path.write_bytes(pickle.dumps({"v,0902": np.array([[0, 0, 1, 1.0]]), "v,0903": np.zeros((0, 5)), "v,0904": []}))
    found = read_proposals(path)
    assert found[FrameKey("v", 902_000_000)].scores.tolist() == [1.0]
    assert len(found[FrameKey("v", 903_000_000)]) == len(found[FrameKey("v", 904_000_000)]) == 0


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("boom",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], r'holds a list; expected person boxes, a dict of "video,0902"'),
        ({"v": np.zeros((1, 5))}, r"""key 'v' is not "video,seconds" such as"""),
        ({("v", 902): np.zeros((1, 5))}, r'key \(\'v\', 902\) is not "video,seconds"'),
        ({"v,902": np.zeros((1, 5)), "v,0902": np.zeros((1, 5))}, r"'v,0902' names a timestamp that is already there"),
        ({"v,902": np.zeros((2, 3))}, r"'v,902' has shape \(2, 3\); expected \(P, 5\)"),
        ({"v,902": [["x"] * 5]}, r"'v,902' holds no numbers"),
        ({"v,902": np.array([[0, 0, 320, 240, 0.9]])}, r"'v,902' has boxes that .* look like pixels"),
        ({"v,902": np.array([[0, 0, 1, np.nan, 0.9]])}, r"'v,902' has boxes that are not finite"),
        ({"v,902": Bomb()}, r"refused, it tries to import builtins\.print"),
    ],
)
def test_a_faulty_pickle_is_named_with_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object, message: str
) -> None:
    path = tmp_path / "boxes.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=rf"^{path}: .*{message}"):
        read_proposals(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("v,902,0.1,0.2,0.3,0.4,0.9", r"7 columns; expected video,time,x1,y1,x2,y2,action"),
        ("v,902,0.1,0.2,0.3,0.4,,", r'score "" in column 8'),
        ("v,902,1,2,300,400,,0.9", r"x2 = 300 in column 5 looks like pixels"),
    ],
)
def test_a_faulty_csv_row_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(f"v,902,0.1,0.2,0.3,0.4,,0.9\n{line}\n")
    with pytest.raises(InputError, match=rf"^{path}, line 2: .*{message}"):
        read_proposals(path)


def test_a_directory_is_no_pickle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory, not a pickle file"):
        read_proposals(tmp_path)


@pytest.mark.parametrize("name", ["persons.pkl", "persons.csv"])
def test_names_that_macos_has_decomposed_are_read_composed(tmp_path: Path, name: str) -> None:
    write_proposals(tmp_path / name, persons(unicodedata.normalize("NFD", "prüfung")))
    assert FrameKey(unicodedata.normalize("NFC", "prüfung"), 902_000_000) in read_proposals(tmp_path / name)
