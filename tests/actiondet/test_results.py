"""The pipeline as a library: every kind of source, and what its result can do."""

from __future__ import annotations

import gc
import hashlib
import http.server
import itertools
import json
import threading
import weakref
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from actiondet import DrawingStyle, VideoPipeline
from actiondet.config import dump_config
from actiondet.config.data_sets import AvaConfig, SplitConfig
from actiondet.config.networks import DetectorConfig, RoIHeadConfig, SlowOnlyConfig
from actiondet.config.schema import ClipConfig, DetectionConfig, TransformConfig
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.engine.loading import Trained, TrainedDetector
from actiondet.engine.scorer import TorchScorer
from actiondet.models.build import build_detector
from actiondet.models.detector import ActionDetector
from actiondet.models.weights import Report
from actiondet.persons.base import Frame
from actiondet.tubes.events import EventRules
from actiondet.video import VideoWriter, index_video, open_video
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList, read_ava_results
from evaluation.records import FrameKey, PersonBoxes

SECOND = 1_000_000
ACTIONS = ActionList((1, 2, 5), ("walk", "wave <b>", "jump"), (None,) * 3)


def config(*, follows: bool = False, clip_fps: float | None = 30.0) -> DetectionConfig:
    split = SplitConfig(truth="truth.csv")
    head = RoIHeadConfig(roi="track", temporal_pool="max") if follows else RoIHeadConfig()
    return DetectionConfig(
        model=DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=8), num_actions=5, head=head),
        clip=ClipConfig(frames=4, stride=3, clip_fps=clip_fps),
        transform=TransformConfig(train_short_side=(48, 48), train_crop=48, test_short_side=48),
        data=AvaConfig(videos="videos", actions="actions.pbtxt", train=split, val=split),
    )


class Walker:
    """Finds one person, who walks to the right; in the third second a second one, too."""

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        return [self.persons(key) for key in keys]

    def persons(self, key: FrameKey) -> PersonBoxes:
        second = key.moment / SECOND % 10
        boxes = [[0.05 * second, 0.2, 0.05 * second + 0.3, 0.9], [0.6, 0.1, 0.9, 0.9]][: 1 + (2 <= second < 3)]
        return PersonBoxes(key, np.array(boxes, np.float32), np.linspace(0.9, 0.8, len(boxes), dtype=np.float32))


def trained(settings: DetectionConfig, detector: ActionDetector) -> TrainedDetector:
    return Trained(settings, detector, ACTIONS, Report(Path("weights.pt"), "actiondet"))


def build(settings: DetectionConfig | None = None, **options: Any) -> VideoPipeline:
    torch.manual_seed(0)
    settings = settings or config()
    return VideoPipeline(TorchScorer(trained(settings, build_detector(settings.model))), Walker(), **options)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4.3 seconds of noise at 10 fps, 96 x 72."""
    path = tmp_path_factory.mktemp("results") / "noise.mp4"
    random = np.random.default_rng(0)
    with VideoWriter(path, Fraction(10), 96, 72, sound_of=None) as writer:
        for _ in range(43):
            coarse = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
            writer.write(coarse.repeat(8, axis=0).repeat(8, axis=1))
    return path


@pytest.fixture(scope="module")
def array(video: Path) -> np.ndarray:
    with open_video(video) as reader:
        return np.asarray(reader.read(list(range(43))))


# ---------------------------------------------------------------- sources


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("clip_fps", [30.0, None])
@pytest.mark.parametrize(("every", "looks"), [(1.0, 1), (0.3, 1), (1.0, 4), (0.3, 5)])
def test_arrays_and_arriving_frames_give_what_their_file_gives(
    video: Path, array: np.ndarray, follows: bool, clip_fps: float | None, every: float, looks: int
) -> None:
    settings = config(follows=follows, clip_fps=clip_fps)
    pipeline = partial(build(settings, every=every, batch=3), persons_every=every / looks)
    of_file = list(pipeline(video))
    assert len(of_file) == len(np.arange(0, 4.2 + 1e-9, every))
    for other in (
        pipeline(index_video(video)),
        pipeline(array, rate=10, name="noise"),
        pipeline([(place / 10, frame) for place, frame in enumerate(array)], name="noise"),
        pipeline(((place / 10, frame) for place, frame in enumerate(array)), name="noise"),
    ):
        for one, same in zip(of_file, other, strict=True):
            assert one.key == same.key
            assert np.array_equal(one.boxes, same.boxes)
            assert one.action_scores == pytest.approx(same.action_scores, abs=1e-5)


def test_an_endless_stream_is_looked_at_as_it_arrives_in_bounded_memory() -> None:
    alive: set[int] = set()
    most = 0

    def camera() -> Iterator[tuple[float, np.ndarray]]:
        nonlocal most
        for number in itertools.count():
            frame = np.full((36, 48, 3), number % 250, dtype=np.uint8)
            alive.add(number)
            weakref.finalize(frame, alive.discard, number)
            most = max(most, len(alive))
            yield 1000 + number / 20, frame
            del frame

    result = build(batch=1)(camera())
    found = list(itertools.islice(result, 12))
    gc.collect()
    assert [each.key for each in found] == [FrameKey("video", (1000 + second) * SECOND) for second in range(12)]
    assert most < 30
    assert "12 key frames" in repr(result)
    assert repr(result).endswith("so far)")
    drawn = result.draw(np.zeros((36, 48, 3), np.uint8), at=1003.5)
    assert drawn.shape == (504, 672, 3)
    assert drawn.max() > 0


def test_a_first_frame_later_than_zero_sets_the_clock(array: np.ndarray) -> None:
    frames = [(7.25 + place / 10, frame) for place, frame in enumerate(array[:15])]
    result = build(start=900.0)(frames, name="hall")
    assert [each.key for each in result] == [FrameKey("hall", 907_250_000), FrameKey("hall", 908_250_000)]


GOOD = np.zeros((4, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("nothing.mp4", {}, r"nothing\.mp4: no such file"),
        (7, {}, r"a source is a path, a VideoIndex, an array with rate=FPS, or \(seconds, frame\) pairs; found 7"),
        (GOOD[None], {}, r"an array of frames needs rate=FPS.*found None"),
        (GOOD[None], {"rate": 0}, r"above 0, found 0"),
        (GOOD, {"rate": 25}, r"has the shape \(T, H, W, 3\), found \(4, 4, 3\)"),
        (
            GOOD[None].astype(np.float32),
            {"rate": 25},
            r"frame 0: expected an array .* of uint8, RGB, found float32 \(4",
        ),
        ([(0.0, GOOD)], {"rate": 25}, r"rate=25 is for an array of frames"),
        ([], {}, r"video: no frames"),
        ([GOOD], {}, r"video: frame 0: expected a pair \(seconds, frame\), found ndarray"),
        ([("now", GOOD)], {}, r"frame 0: expected seconds, found 'now'"),
        ([(float("nan"), GOOD)], {}, r"frame 0: expected seconds, found nan"),
        ([(0.0, GOOD), (0.0, GOOD)], {}, r"frame 1 is at 0 s, the one before at 0 s; expected seconds that rise"),
        ([(0.0, GOOD), (0.1, GOOD[:3])], {}, r"frame 1 has the shape \(3, 4, 3\), those before \(4, 4, 3\)"),
        ([(0.0, GOOD[:0])], {}, r"frame 0: is empty"),
    ],
)
def test_what_is_no_source_is_refused(source: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(build()(source, **options))


# ---------------------------------------------------------------- results


def test_a_result_is_looked_at_once_and_read_as_often_as_one_likes(video: Path) -> None:
    result = build()(video)
    assert repr(result) == "VideoResult(noise: not looked at yet)"
    first = next(iter(result))
    assert "1 person at 1 key frames" in repr(result)
    assert "so far" in repr(result)
    assert next(iter(result)) is first
    assert [each is other for each, other in zip(result, result.detections, strict=True)] == [True] * 5
    assert result.collect() is result
    assert "6 persons at 5 key frames" in repr(result)
    assert "so far" not in repr(result)


def test_the_table_has_a_row_for_each_action_of_each_person(video: Path) -> None:
    result = build(start=900.0)(video)
    table = result.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == [
        *("video", "seconds", "person", "x1", "y1", "x2", "y2", "person_score", "action_id", "action", "score"),
    ]
    assert len(table) == 6 * 3
    assert table["seconds"].tolist() == np.repeat([900, 901, 902, 902, 903, 904], 3).tolist()
    assert table["person"].tolist() == np.repeat([0, 0, 0, 1, 0, 0], 3).tolist()
    assert table["action"].tolist()[:3] == ["walk", "wave <b>", "jump"]
    assert table["score"][2] == pytest.approx(result.detections[0].action_scores[0, 4])
    some = result.to_frame(threshold=0.5)
    assert (some["score"] >= 0.5).all()
    assert len(some) == (table["score"] >= 0.5).sum()


def test_files_of_a_result(video: Path, array: np.ndarray, tmp_path: Path) -> None:
    for result in (build()(video), build()(array, rate=10, name="noise")):
        result.to_json(tmp_path / "r.json", threshold=0)
        content = json.loads((tmp_path / "r.json").read_text())
        assert {key: content["video"][key] for key in ("width", "height", "rate", "seconds")} == {
            "width": 96, "height": 72, "rate": 10.0, "seconds": 4.3,
        }  # fmt: skip
        assert [len(moment["persons"]) for moment in content["moments"]] == [1, 1, 2, 1, 1]
        result.to_ava_csv(tmp_path / "r.csv")
        assert len(read_ava_results(tmp_path / "r.csv").scores) == 6 * 3
        result.save(tmp_path / "out.mp4")
        drawn = index_video(tmp_path / "out.mp4")
        assert len(drawn) == 43
        assert float(drawn.rate) == 10
        assert (drawn.width, drawn.height) == (96 * 7, 72 * 7)


def test_frames_can_be_drawn_one_by_one_before_the_end_is_known(video: Path, array: np.ndarray) -> None:
    result = build()((place / 10, frame) for place, frame in enumerate(array))
    drawn = result.draw(array[15], at=1.5)
    assert "3 key frames" in repr(result)  # those at 0, 1 and 2 seconds
    whole = build()(video).collect().draw(array[15], at=1.5)
    assert np.array_equal(drawn, whole)
    captioned = result.draw(array[15], at=1.5, style=DrawingStyle(caption="a line"))
    assert not np.array_equal(drawn, captioned)
    with pytest.raises(InputError, match=r"its frames came from an iterator and are gone; give them as a list"):
        result.save("out.mp4")


def test_a_notebook_shows_a_table(video: Path) -> None:
    result = build()(video)
    assert "not looked at yet" in result._repr_html_()
    html = result.collect()._repr_html_()
    assert html.count("<tr>") == 1 + 6
    assert "<b>noise</b>" in html
    assert "wave &lt;b&gt;" in html


def test_a_fault_on_the_way_is_reported_again_and_half_a_result_is_no_result(array: np.ndarray) -> None:
    frames = [(place / 10, frame) for place, frame in enumerate(array)]
    frames[35] = (0.0, array[35])
    result = build()(frames)
    for _ in range(2):
        with pytest.raises(InputError, match="frame 35 is at 0 s"):
            result.to_frame()


# ---------------------------------------------------------------- published networks


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Path]:
    """A configuration whose weights a server on this machine publishes; the folder of the server is beside it."""
    folder = tmp_path / "host"
    folder.mkdir()
    torch.manual_seed(0)
    save_checkpoint(Checkpoint(config(), build_detector(config().model).state_dict(), ACTIONS), folder / "w.pth")
    name = f"w-{hashlib.sha256((folder / 'w.pth').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "w.pth").rename(folder / name)
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    text = dump_config(config()).replace("weights: null", f"weights: http://127.0.0.1:{server.server_port}/{name}")
    (tmp_path / "net.yaml").write_text(text)
    yield tmp_path / "net.yaml"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_published_network_is_downloaded_and_used(
    published: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIONDET_CACHE", str(published.parent / "cache"))
    for _ in range(2):
        result = VideoPipeline.from_pretrained(published, persons=Walker())(video)
        for one, same in zip(result, build()(video), strict=True):
            assert np.array_equal(one.action_scores, same.action_scores)
    assert len(list((published.parent / "cache").glob("w-*.pth"))) == 1
    assert result.actions == ACTIONS


def test_what_is_not_published_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(dump_config(config()))
    with pytest.raises(InputError, match=r"net\.yaml: names no published weights; .*VideoPipeline\.from_checkpoint"):
        VideoPipeline.from_pretrained(tmp_path / "net.yaml")
    with pytest.raises(
        InputError, match=r"ava22/slowfast_r50_8x8_tmax_focal: .*did you mean ava22/slowfast_r50_8x8_tmax"
    ):
        VideoPipeline.from_pretrained("ava22/slowfast_r50_8x8_tmax_focal")


class Runner:
    """Finds one person, who runs across the frame in two seconds."""

    def __init__(self) -> None:
        self.looked: list[float] = []

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        self.looked += [key.moment / SECOND for key in keys]
        return [self.persons(key) for key in keys]

    def persons(self, key: FrameKey) -> PersonBoxes:
        left = key.moment / SECOND * 0.45
        there = key.moment < 2 * SECOND
        boxes = np.array([[left, 0.2, left + 0.1, 0.9]], np.float32)[: int(there)]
        return PersonBoxes(key, boxes, np.full(len(boxes), 0.9, np.float32))


def test_looks_between_key_frames_keep_identities(video: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = config()
    runner = Runner()
    pipeline = VideoPipeline(TorchScorer(trained(settings, build_detector(settings.model))), runner)
    assert pipeline(video).to_frame()["person"].unique().tolist() == [0, 1]
    assert runner.looked == [0, 1, 2, 3, 4]
    runner.looked.clear()
    result = pipeline(video, persons_every=0.2)
    assert result.to_frame()["person"].unique().tolist() == [0]
    assert runner.looked == pytest.approx(np.arange(0, 4.1, 0.2))
    result.to_json(tmp_path / "found.json", threshold=0)
    moments = json.loads((tmp_path / "found.json").read_text())["moments"]
    assert [[person["identity"] for person in each["persons"]] for each in moments] == [[0], [0], [], [], []]
    frame = np.zeros((480, 640, 3), np.uint8)
    at_a_look = result.draw(frame, 0.8)[:, :, :].any(axis=(0, 2)).nonzero()[0]
    assert at_a_look.min() == pytest.approx(0.36 * 640, abs=8)
    assert {tube.person for tube in result.tubes(threshold=0.001)} == {0}
    assert {event.person for event in result.events(EventRules(enter=0.001))} == {0}
    with pytest.raises(InputError, match=r"persons_every=0: expected seconds above 0"):
        pipeline(video, persons_every=0)
