"""Searching videos for persons: at which moments, under which names, stopped and gone on."""

from __future__ import annotations

import pickle
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch

from actiondet.config import PersonsConfig
from actiondet.engine.devices import launch
from actiondet.engine.person_search import search_videos
from actiondet.persons import search as search_module
from actiondet.persons.base import Frame
from actiondet.persons.build import build_persons
from actiondet.persons.finished import SearchReport
from actiondet.persons.key_frames import parse_moments
from actiondet.persons.videos import FRAME_NUMBERED, Form, choose_videos
from actiondet.video import index_video
from evaluation.errors import InputError
from evaluation.formats.person_boxes import read_proposals
from evaluation.records import FrameKey, PersonBoxes

SECOND = 1_000_000


class StampPersons(PersonsConfig):
    """Finds one person, whose right edge tells the number that the frame shows."""

    name: Literal["stamps"] = "stamps"


class StampDetector:
    """Attributes: the videos that were looked at; the one at which the run is stopped."""

    seen: ClassVar[list[str]] = []
    stop_at: ClassVar[str] = ""

    def __init__(self, read_stamp: Callable[[Frame], int]) -> None:
        self._read = read_stamp

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        if keys[0].video == StampDetector.stop_at:
            raise KeyboardInterrupt
        StampDetector.seen += [key.video for key in keys]
        edges = [self._read(frame) / 1000 for frame in frames]
        score = np.array([0.75], dtype=np.float32)
        return [
            PersonBoxes(key, np.array([[0, 0, edge, 1]], dtype=np.float32), score)
            for key, edge in zip(keys, edges, strict=True)
        ]


@pytest.fixture(autouse=True, scope="module")
def _stamps(stamped: ModuleType) -> None:
    @build_persons.register
    def _(config: StampPersons, device: torch.device | str = "cpu") -> StampDetector:
        return StampDetector(stamped.read_stamp)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, stamped: ModuleType) -> Path:
    """Two videos of 25 frames a second, 3.2 and 1.2 s long, and one of 10."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "street").mkdir()
    stamped.write_stamped(folder / "street" / "v_a_c001.mp4", 80)
    stamped.write_stamped(folder / "street" / "v_b_c001.mkv", 30)
    stamped.write_stamped(folder / "slow.mp4", 22, rate=Fraction(10))
    return folder


def search(
    films: Path,
    out: Path,
    moments: str,
    *,
    form: Form = "ava",
    start: float = 0,
    root: Path | None = None,
    stop_at: str = "",
) -> SearchReport:
    StampDetector.seen, StampDetector.stop_at = [], stop_at
    rule = parse_moments(moments, start=start, frame_numbers=form in FRAME_NUMBERED)
    videos, _ = rule.split(choose_videos(films, form=form, root=root))
    return search_videos(videos, StampPersons(), rule, out=out, fabric=launch(), batch=3)


def shown(path: Path) -> dict[str, int]:
    """The number that the frame of each key showed."""
    return {key: round(float(rows[0][2]) * 1000) for key, rows in pickle.loads(path.read_bytes()).items()}


def test_every_second_is_the_frame_nearest_to_it_at_any_rate(films: Path, tmp_path: Path) -> None:
    report = search(films, tmp_path / "boxes.pkl", "1s", start=900)
    assert shown(tmp_path / "boxes.pkl") == {
        "slow,0900": 0,
        "slow,0901": 10,
        "slow,0902": 20,
        "street/v_a_c001,0900": 0,
        "street/v_a_c001,0901": 25,
        "street/v_a_c001,0902": 50,
        "street/v_a_c001,0903": 75,
        "street/v_b_c001,0900": 0,
        "street/v_b_c001,0901": 25,
    }
    assert str(report) == "found 9 persons at 9 key frames of 3 videos"
    found = read_proposals(tmp_path / "boxes.pkl")[FrameKey("slow", 902 * SECOND)]
    assert found.scores.tolist() == [0.75]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["boxes.pkl", "boxes.pkl.search.json"]


def test_half_seconds_are_written_with_decimals(films: Path, tmp_path: Path) -> None:
    search(films / "slow.mp4", tmp_path / "boxes.pkl", "0.5s")
    assert shown(tmp_path / "boxes.pkl") == {
        "slow,0000": 0,
        "slow,0000.5": 5,
        "slow,0001": 10,
        "slow,0001.5": 15,
        "slow,0002": 20,
    }


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        ("ava", ["street/v_b_c001,0000", "street/v_b_c001,0000.04"]),
        ("multisports", ["v_b_c001,0001", "v_b_c001,0002"]),
        ("mmaction2", ["street/v_b_c001.mp4,0001", "street/v_b_c001.mp4,0002"]),
    ],
)
def test_every_frame_is_named_as_its_form_has_it(films: Path, tmp_path: Path, form: Form, keys: list[str]) -> None:
    search(films, tmp_path / "boxes.pkl", "all", form=form)
    numbers = {key: number for key, number in shown(tmp_path / "boxes.pkl").items() if "v_b" in key}
    assert list(numbers)[:2] == keys
    assert list(numbers.values()) == list(range(30))
    assert pickle.loads((tmp_path / "boxes.pkl").read_bytes())[keys[0]].shape == (1, 5)


def test_pyslowfast_gets_its_csv(films: Path, tmp_path: Path) -> None:
    search(films / "slow.mp4", tmp_path / "boxes.csv", "1s", form="pyslowfast", start=902)
    first = (tmp_path / "boxes.csv").read_text().splitlines()[1].split(",")
    assert first[:2] == ["slow", "0903"]
    assert first[6:] == ["", "0.75"]
    assert len(read_proposals(tmp_path / "boxes.csv")) == 3


@pytest.mark.parametrize(
    ("form", "listed", "numbers"),
    [
        ("ava", "slow,901.9,0,0,1,1,3,1\nslow,901.9,0,0,1,1,4,1\nslow,0900,,,,,,\n", {"0900": 0, "0901.9": 19}),
        ("multisports", "slow.mp4,22,0,0,1,1,0,0\nslow.mp4,3,0,0,1,1,0,0\n", {"0003": 2, "0022": 21}),
    ],
)
def test_listed_moments_are_searched_once_each(
    films: Path, tmp_path: Path, form: Form, listed: str, numbers: dict[str, int]
) -> None:
    (tmp_path / "truth.csv").write_text(listed)
    start = 900 if form == "ava" else 0
    search(films, tmp_path / "boxes.pkl", str(tmp_path / "truth.csv"), form=form, start=start)
    assert shown(tmp_path / "boxes.pkl") == {f"slow,{moment}": number for moment, number in numbers.items()}


@pytest.mark.parametrize(
    ("form", "listed", "message"),
    [
        ("ava", "slow,0902", r"the key frame 902 of 'slow' is not in it, its file lasts from 0 to 2\.1 s.*--start"),
        ("multisports", "slow,23", r"the key frame 23 of 'slow' is not in it, its frames are 1 to 22"),
    ],
)
def test_a_moment_beyond_the_video_is_a_fault(
    films: Path, tmp_path: Path, form: Form, listed: str, message: str
) -> None:
    (tmp_path / "truth.csv").write_text(f"{listed},0,0,1,1,1,1\n")
    with pytest.raises(InputError, match=message):
        search(films / "slow.mp4", tmp_path / "boxes.pkl", str(tmp_path / "truth.csv"), form=form)
    assert not (tmp_path / "boxes.pkl").exists()


def test_listed_videos_that_are_not_there_are_told(films: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("slow,0900\nstreet/v_a_c001.mp4,0900\ngone,0900\n")
    rule = parse_moments(str(tmp_path / "list.csv"), start=900, frame_numbers=False)
    videos, absent = rule.split(choose_videos(films, form="ava"))
    assert [video.name for video in videos] == ["slow", "street/v_a_c001"]
    assert absent == ["gone"]
    (tmp_path / "list.csv").write_text("gone,0900\n")
    with pytest.raises(InputError, match="none of the listed videos is there: listed are gone, there are slow, str"):
        parse_moments(str(tmp_path / "list.csv"), start=0, frame_numbers=False).split(choose_videos(films, form="ava"))


def test_kinetics_clips_begin_at_their_own_second(films: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for name in ("-_abcdefgh__000037_000047", "__AVA_id123"):
        shutil.copy(films / "slow.mp4", tmp_path / "train" / f"{name}.mp4")
    (tmp_path / "list.csv").write_text("train/-_abcdefgh__000037_000047,38.1\ntrain/__AVA_id123,0902\n")
    for text, moments in (("1s", [37, 38, 39, 900, 901, 902]), (str(tmp_path / "list.csv"), [38.1, 902])):
        rule = parse_moments(text, start=900, frame_numbers=False, kinetics_clips=True)
        videos = choose_videos(tmp_path, form="ava")
        search_videos(videos, StampPersons(), rule, out=tmp_path / f"{len(moments)}.pkl", fabric=launch())
        found = read_proposals(tmp_path / f"{len(moments)}.pkl")
        assert [key.moment / SECOND for key in found] == moments
    assert round(float(found[FrameKey("train/-_abcdefgh__000037_000047", 38_100_000)].boxes[0, 2]) * 1000) == 11


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ("1", "expected seconds such as 1s"),
        ("0s", "expected a time above 0"),
        ("none.csv", "none.csv: expected seconds"),
    ],
)
def test_wrong_moments_are_refused(moments: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_moments(moments, start=0, frame_numbers=False)


def test_a_clock_makes_no_sense_for_frame_numbers() -> None:
    with pytest.raises(InputError, match="--start: timestamps of this form are frame numbers"):
        parse_moments("all", start=900, frame_numbers=True)
    with pytest.raises(InputError, match="--kinetics-clips: timestamps of this form are frame numbers"):
        parse_moments("all", start=0, frame_numbers=True, kinetics_clips=True)


# ---------------------------------------------------------------- stopped and gone on


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_file(films: Path, tmp_path: Path) -> None:
    search(films, tmp_path / "whole.pkl", "1s")
    with pytest.raises(KeyboardInterrupt):
        search(films, tmp_path / "boxes.pkl", "1s", stop_at="street/v_b_c001")
    assert not (tmp_path / "boxes.pkl").exists()
    search(films, tmp_path / "boxes.pkl", "1s")
    assert set(StampDetector.seen) == {"street/v_b_c001"}
    assert (tmp_path / "boxes.pkl").read_bytes() == (tmp_path / "whole.pkl").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"{name}.pkl{end}" for name in ("boxes", "whole") for end in ("", ".search.json")
    ]


def test_a_search_with_other_settings_begins_its_own_parts(films: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(films, tmp_path / "boxes.pkl", "1s", stop_at="street/v_b_c001")
    (stopped,) = tmp_path.glob("boxes.pkl.*.parts")
    search(films, tmp_path / "boxes.pkl", "0.5s")
    assert "slow" in StampDetector.seen
    assert list(tmp_path.glob("boxes.pkl.*.parts")) == [stopped]
    assert len(list(stopped.rglob("*.npz"))) == 2


def test_another_folder_of_that_name_is_left_alone(films: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.pkl.parts").mkdir()
    search(films, tmp_path / "boxes.pkl", "1s")
    assert (tmp_path / "boxes.pkl.parts").is_dir()


def test_a_corrupt_video_is_named_and_searched_once_it_is_corrected(
    films: Path, tmp_path: Path, stamped: ModuleType
) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("a", "b", "c"):
        stamped.write_stamped(tmp_path / "videos" / f"{name}.mp4", 30)
    good = (tmp_path / "videos" / "b.mp4").read_bytes()
    (tmp_path / "videos" / "b.mp4").write_bytes(good[: len(good) // 2])
    report = search(tmp_path / "videos", tmp_path / "boxes.pkl", "1s")
    assert len(report.faults) == 1
    assert "b.mp4" in report.faults[0]
    assert [key.video for key in read_proposals(tmp_path / "boxes.pkl")] == ["a", "a", "c", "c"]
    (tmp_path / "videos" / "b.mp4").write_bytes(good)
    stamped.write_stamped(tmp_path / "videos" / "c.mp4", 60)  # it has changed, too
    report = search(tmp_path / "videos", tmp_path / "boxes.pkl", "1s")
    assert set(StampDetector.seen) == {"b", "c"}
    assert report.faults == ()
    assert [key.video for key in read_proposals(tmp_path / "boxes.pkl")] == ["a", "a", "b", "b", "c", "c", "c"]


def test_where_nothing_can_be_read_nothing_is_written(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text("no video")
    with pytest.raises(InputError, match=r"none of the 2 videos can be read; the first: .*a\.mp4"):
        search(tmp_path, tmp_path / "boxes.pkl", "1s")
    assert not (tmp_path / "boxes.pkl").exists()


class Stream:
    """Frames 0, 1, 2, ... of 10 a second that decode, by number; each shows its number."""

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.converted = numbers, [0]

    def __call__(self, index: object) -> Iterator[tuple[int, Callable[[], Frame]]]:
        for number in self.numbers:
            yield number * 100_000, partial(self._convert, number)

    def _convert(self, number: int) -> Frame:
        self.converted.append(number)
        return np.full((1, 1, 3), number, dtype=np.uint8)


@pytest.mark.parametrize(
    ("decoded", "wanted", "shown"),
    [
        (range(10), [0, 3, 3, 9], [0, 3, 3, 9]),
        ([0, 1, 5, 6], [1, 2, 3, 6], [1, 5, 5, 6]),  # damaged ones: the next good one
        ([2, 3], [0, 3], [2, 3]),
        (range(20), [25], [19]),  # the last second may be missing
        (range(10), [], []),
    ],
)
def test_a_frame_that_does_not_decode_is_the_next_one_or_the_last(
    films: Path, monkeypatch: pytest.MonkeyPatch, decoded: Sequence[int], wanted: list[int], shown: list[int]
) -> None:
    index = replace(index_video(films / "slow.mp4"), frame_times=np.arange(30, dtype=np.int64) * 100_000)
    stream = Stream(*decoded)
    monkeypatch.setattr(search_module, "stream_unconverted", stream)
    pictures = search_module.frames_in_turn(index, np.array(wanted, dtype=np.int64))
    assert [int(picture[0, 0, 0]) for picture in pictures] == shown
    assert set(stream.converted) <= {0, *shown}  # others are not converted to RGB


def test_a_video_that_ends_too_early_is_a_fault(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = replace(index_video(films / "slow.mp4"), frame_times=np.arange(30, dtype=np.int64) * 100_000)
    monkeypatch.setattr(search_module, "stream_unconverted", Stream(0, 1, 2, 3))
    with pytest.raises(InputError, match=r"decoding ends after 0\.3 of 2\.9 s; the video is damaged or cut off"):
        list(search_module.frames_in_turn(index, np.array([2, 29], dtype=np.int64)))


# ---------------------------------------------------------------- which videos


def test_a_list_names_videos_by_file_or_below_a_root(films: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("street/v_a_c001.mp4\n\nslow.mp4\nslow.mp4\n")
    below = choose_videos(tmp_path / "list.txt", form="ava", root=films)
    assert [video.name for video in below] == ["slow", "street/v_a_c001"]
    (tmp_path / "list.txt").write_text(f"\ufeff{films}/street/v_a_c001.mp4\n", encoding="utf-8")
    assert [video.written for video in choose_videos(tmp_path / "list.txt", form="mmaction2")] == ["v_a_c001.mp4"]


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("x/v.mp4", "y/v.mp4"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert len(choose_videos(tmp_path, form="ava")) == 2
    with pytest.raises(InputError, match=r"would both be called 'v'; keep one of them"):
        choose_videos(tmp_path, form="multisports")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/x/v.mp4\n{tmp_path}/y/v.mp4\n")
    with pytest.raises(InputError, match=r"would both be called 'v'; .*--root"):
        choose_videos(tmp_path / "list.txt", form="ava")


@pytest.mark.parametrize("form", ["ava", "multisports", "mmaction2"])
def test_names_that_macos_has_decomposed_are_written_composed(tmp_path: Path, form: Form) -> None:
    (tmp_path / unicodedata.normalize("NFD", "prüfung.mp4")).touch()
    (video,) = choose_videos(tmp_path, form=form)
    assert video.written.removesuffix(".mp4") == unicodedata.normalize("NFC", "prüfung")
    assert video.path.exists()
