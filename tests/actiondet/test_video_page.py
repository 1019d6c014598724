"""The page of a video: what its player is given, how it is thinned, and which video it plays."""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from actiondet import video_page
from actiondet.tubes.carrying import CarriedPersons
from actiondet.tubes.events import Event
from actiondet.video import VideoWriter
from actiondet.video.browsers import plays_in_browsers
from actiondet.video.streaming import ShownFrame
from actiondet.video_page import PageVideo, video_for_page, write_video_page
from evaluation.formats.action_list import ActionList
from evaluation.records import ActionDetections, FloatArray, FrameKey, IntArray

SECOND = 1_000_000
ODD = '"quoted" <b>bold</b></script> 走路 🚶'
ACTIONS = ActionList((2, 5), (ODD, "wave"), (None, None))
NO_VIDEO = PageVideo(path=None, name=ODD, width=160, height=120, seconds=4.0)


class Walkers:
    """Persons who move to the right; the first is there at all moments, the second at the first one alone."""

    def at(self, time: int) -> tuple[ActionDetections, IntArray]:
        seconds = time / SECOND - 900
        count = 2 if seconds < 1 else 1
        boxes = np.array([[0.1 + 0.1 * seconds, 0.2, 0.3 + 0.1 * seconds, 0.9], [0, 0, 1, 1]])[:count]
        scores = np.zeros((count, 5), dtype=np.float32)
        scores[0, [1, 4]] = 0.6, 0.9
        return ActionDetections(FrameKey("v", time), boxes, np.ones(count), scores), np.arange(count)


MOMENTS = np.arange(900, 904, dtype=np.int64) * SECOND


def event(start: float, end: float, *, person: int = 0, peak_at: float = 1.0) -> Event:
    return Event("v", person, "wave", start, end, 0.9, 0.8, peak_at, (0, 0, 1, 1))


def written(path: Path, events: Sequence[Event] = (), moments: IntArray = MOMENTS) -> dict:  # type: ignore[type-arg]
    write_video_page(
        path, NO_VIDEO, Walkers(), events, moments=moments, looks=moments, actions=ACTIONS, start=900 * SECOND
    )
    return data(path)


def data(path: Path) -> dict:  # type: ignore[type-arg]
    text = path.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    page = json.loads(found)
    (player,) = page["sections"][0]["parts"]
    return {**player, "subtitle": page["subtitle"]}


def test_the_player_has_boxes_scores_and_events_in_seconds_of_the_video(tmp_path: Path) -> None:
    player = written(tmp_path / "p.html", [event(0.5, 2.5)])
    first, second = player["tracks"]
    assert first["times"] == [0, 1, 2, 3]
    assert first["boxes"][1] == [2000, 2000, 4000, 9000]
    assert first["actions"] == [[1, 90, 0, 60]] * 4  # best first
    assert (second["times"], second["actions"]) == ([0], [[]])
    assert player["actions"] == [ODD, "wave"]
    assert {name: values[0] for name, values in player["events"].items()} == {
        "person": 0,
        "action": 1,
        "start": 0.5,
        "end": 2.5,
        "peak": 0.9,
        "mean": 0.8,
        "peak_at": 1.0,
    }
    assert player["subtitle"] == "2 persons, 1 event, 4 key frames"
    assert player["left_out"] == ""


def test_much_data_is_thinned_to_ends_every_nth_and_peaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_page, "_MOST_BYTES", 1000)
    moments = np.arange(900, 1000, dtype=np.int64) * SECOND
    player = written(tmp_path / "p.html", [event(50, 60, peak_at=51)], moments)
    times = player["tracks"][0]["times"]
    assert times == [0, 8, 16, 24, 32, 40, 48, 51, 56, 64, 72, 80, 88, 96, 99]
    assert len(player["moments"]) == 100  # steps stay
    assert "every 8th look" in player["left_out"]


def test_where_that_is_not_enough_the_longest_tracks_and_events_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_page, "_MOST_BYTES", 150)
    monkeypatch.setattr(video_page, "_MOST_EVENTS", 1)
    player = written(tmp_path / "p.html", [event(0, 1), event(1, 3, person=1)])
    assert [each["person"] for each in player["tracks"]] == [0]
    assert player["events"]["start"] == [1]
    assert (
        "1 of 2 tracks, the shortest, have no boxes. 1 of 2 events, the shortest, are left out." in player["left_out"]
    )


def test_an_hour_of_twenty_persons_stays_below_five_megabytes(tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    class Crowd:
        def at(self, time: int) -> tuple[ActionDetections, IntArray]:
            boxes = random.random((20, 4))
            scores: FloatArray = random.random((20, 5))
            return ActionDetections(FrameKey("v", time), boxes, np.ones(20), scores), np.arange(20)

    moments = np.arange(0, 3600 * SECOND, SECOND // 2, dtype=np.int64)
    path = tmp_path / "p.html"
    events = [event(second, second + 0.5) for second in range(3600)] * 10
    write_video_page(path, NO_VIDEO, Crowd(), events, moments=moments, looks=moments, actions=ACTIONS)
    assert 1_000_000 < path.stat().st_size < 5_000_000
    assert {len(each["times"]) for each in data(path)["tracks"]} != {7200}


def test_nobody_found_is_a_page(tmp_path: Path) -> None:
    none = ActionDetections(FrameKey("v", 0), np.zeros((0, 4)), np.zeros(0), np.zeros((0, 5)))
    moments = np.zeros(1, dtype=np.int64)
    persons = CarriedPersons.linked([none])
    write_video_page(tmp_path / "p.html", NO_VIDEO, persons, [], moments=moments, looks=moments, actions=ACTIONS)
    assert data(tmp_path / "p.html")["tracks"] == []


class Source:
    """A video of two frames; with a file if one is given."""

    def __init__(self, path: Path | None, size: tuple[int, int] = (32, 32)) -> None:
        self.path = "frames" if path is None else str(path)
        self.sound = None if path is None else str(path)
        self.width, self.height = size
        self.rate, self.duration_us, self.pixel_aspect, self.first_shown = Fraction(10), 200_000, Fraction(2), 0.0

    def frames(self):  # type: ignore[no-untyped-def]
        for time in (0, 100_000):
            yield ShownFrame(time, np.zeros((self.height, self.width, 3), dtype=np.uint8))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / f"v {ODD.replace('/', '')}#?%.mp4"
    with VideoWriter(path, 10, 32, 32) as writer:
        writer.write(np.zeros((32, 32, 3), dtype=np.uint8))
    return path


def test_a_video_that_browsers_play_is_played_itself(clip: Path, tmp_path: Path) -> None:
    assert plays_in_browsers(clip)
    with video_for_page(Source(clip), tmp_path / "p.html", tmp_path / "drawn.mp4") as video:
        assert video.path == str(clip)
        assert not video.drawn
        assert (video.width, video.height) == (64, 32)  # pixels twice as wide as high


def test_another_video_is_copied_or_drawn(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = clip.with_suffix(".mkv")  # browsers go by the name
    os.replace(clip, other)
    page = tmp_path / "deep" / "p.html"
    with video_for_page(Source(other), page, tmp_path / "drawn.mp4") as video:
        assert (video.path, video.drawn) == (str(tmp_path / "drawn.mp4"), True)
    with video_for_page(Source(None), page, None) as video:
        assert video.path is not None
        assert plays_in_browsers(video.path)
    assert list(page.parent.iterdir()) == []  # it is inside the page
    monkeypatch.setattr(video_page, "MOST_INSIDE", 10)
    with video_for_page(Source(None), page, None) as video:
        assert video.path == str(page.with_suffix(".mp4"))
    assert [each.name for each in page.parent.iterdir()] == ["p.mp4"]


def test_a_large_video_is_found_from_the_folder_of_the_page(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "pages" / "p.html"
    video = PageVideo(path=str(clip), name=clip.name, width=32, height=32, seconds=0.1)
    write = partial(write_video_page, page, video, Walkers(), [], moments=MOMENTS, looks=MOMENTS, actions=ACTIONS)
    assert write()
    assert data(page)["video"].startswith("data:video/mp4;base64,")
    monkeypatch.setattr(video_page, "MOST_INSIDE", 10)
    assert not write()
    address = data(page)["video"]
    assert urllib.parse.unquote(urllib.parse.urljoin(page.as_uri(), address)) == f"file://{clip}"
