"""What a network has found becomes tracks to correct, and reads back the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from data_tools.convert_annotations.annotated import AnnotatedVideo
from data_tools.convert_annotations.coco import read_coco
from data_tools.convert_annotations.cvat import read_cvat
from data_tools.convert_annotations.simplifying import choose_keyframes
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList, write_action_list
from evaluation.formats.ava import read_ava_csv, write_ava_results
from evaluation.formats.multisports import read_multisports, write_video_detections
from evaluation.records import DetectionRows, FloatArray
from tests.programs import run_program

SIZE, RATE, FRAMES = (100, 50), 10, 40
ACTIONS = ActionList((1, 2, 3), ("stand", "walk left", "wave"), (None, None, None))
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cvat"
Person = tuple[int, Sequence[float], dict[str, float]]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    from actiondet.video import VideoWriter

    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a", "b"):
        with VideoWriter(folder / f"{name}.mp4", RATE, *SIZE) as writer:
            for _ in range(FRAMES):
                writer.write(np.full((SIZE[1], SIZE[0], 3), 128, np.uint8))
    write_action_list(tmp_path / "actions.pbtxt", ACTIONS)
    return folder


@pytest.fixture
def convert(videos: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Convert what was found; return the folder or file of the result."""

    def run(source: Path, target: str, *words: str | Path) -> Path:
        from data_tools.convert_annotations.__main__ import main

        out = videos.parent / ("out.json" if target == "coco" else "out")
        places = ["--videos", videos, "--out", out]
        given = ["convert_annotations", source, "--from", "detections", "--to", target, *places, *words]
        monkeypatch.setattr(sys, "argv", list(map(str, given)))
        main()
        return out

    return run


def found_json(path: Path, moments: dict[int, list[Person]], video: str = "a") -> Path:
    """What the demo writes: (identity, box, score of each action) at frames."""
    content = {
        "video": {"path": f"films/{video}.mp4", "width": SIZE[0], "height": SIZE[1], "rate": RATE, "seconds": 4.0},
        "threshold": 0.1,
        "moments": [
            {
                "time": frame / RATE,
                "persons": [
                    {
                        "identity": identity,
                        "box": list(box),
                        "score": 0.9,
                        "actions": [{"id": 1, "name": name, "score": score} for name, score in scores.items()],
                    }
                    for identity, box, scores in persons
                ],
            }
            for frame, persons in moments.items()
        ],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def walker(frame: int) -> FloatArray:
    """A unit box that moves right evenly."""
    return np.array([0.1, 0.2, 0.3, 0.8]) + np.array([1, 0, 1, 0]) * 0.01 * frame


def read_back(path: Path) -> AnnotatedVideo:
    (video,) = read_cvat([path], clip=False)
    return video


def doing(video: AnnotatedVideo, frame: int) -> list[set[str]]:
    """What each person does on a frame, by track."""
    rows = np.flatnonzero(video.frames == frame)
    return [{name for name, value in video.remarks[row].attributes if value} for row in rows]


def keyframes(path: Path) -> list[list[tuple[int, str]]]:
    """(frame, outside) of the boxes of each track."""
    return [
        [(int(box.attrib["frame"]), box.attrib["outside"]) for box in track.iter("box")]
        for track in ElementTree.parse(path).iter("track")
    ]


def test_keyframes_lie_where_something_changes(tmp_path: Path, convert: Callable[..., Path]) -> None:
    moments: dict[int, list[Person]] = {frame: [] for frame in range(FRAMES)}
    for frame in range(5, 25):
        moments[frame] = [(7, walker(frame).tolist(), {"stand": 0.9, "wave": 0.6 if frame >= 15 else 0.4})]
    for frame in range(30, FRAMES):
        moments[frame].append((8, [0.6, 0.1, 0.8, 0.9], {"stand": 0.7}))
    out = convert(found_json(tmp_path / "a.json", moments), "cvat")
    assert keyframes(out / "a.xml") == [
        [(5, "0"), (15, "0"), (24, "0"), (25, "1")],  # an action changes at 15, the person is gone from 25 on
        [(30, "0"), (39, "0")],  # to the end of the video
    ]
    video = read_back(out / "a.xml")
    assert (video.name, video.size, video.annotated.tolist()) == ("a", SIZE, list(range(FRAMES)))
    assert video.frames.tolist() == [*range(5, 25), *range(30, FRAMES)]
    for frame in range(5, 25):
        assert video.boxes[frame - 5] == pytest.approx(walker(frame), abs=0.02)
        assert doing(video, frame) == [{"stand", "wave"} if frame >= 15 else {"stand"}]


def three_persons(path: Path) -> Path:
    """One walks and begins to wave, one comes late and goes, one sits down and does nothing else."""
    moments: dict[int, list[Person]] = {}
    for frame in range(FRAMES):
        persons: list[Person] = [(0, walker(frame).tolist(), {"walk left": 0.9, "wave": 0.8 if frame >= 20 else 0.1})]
        if 10 <= frame < 30:
            persons.append((1, [0.6, 0.1, 0.7, 0.6], {"stand": 0.9}))
        sinking = 0.3 * min(max(frame - 12, 0), 8) / 8
        persons.append((2, [0.8, 0.1 + sinking, 0.95, 0.9], {"stand": 0.2}))
        moments[frame] = persons
    return found_json(path, moments)


def test_an_independent_reader_sees_the_same_boxes_and_attributes(tmp_path: Path, convert: Callable[..., Path]) -> None:
    """The golden file is what datumaro 1.13 reads of it, sorted: [frame, track, outside, box, actions]."""
    out = convert(three_persons(tmp_path / "a.json"), "cvat", "--actions", tmp_path / "actions.pbtxt")
    golden = json.loads((GOLDEN / "three_persons.datumaro.json").read_text(encoding="utf-8"))
    written = []
    for track in ElementTree.parse(out / "a.xml").iter("track"):
        for box in track.iter("box"):
            corners = [float(box.attrib[side]) for side in ("xtl", "ytl", "xbr", "ybr")]
            does = sorted(one.attrib["name"] for one in box.iter("attribute") if one.text == "true")
            frame, outside = int(box.attrib["frame"]), box.attrib["outside"] == "1"
            written.append([frame, int(track.attrib["id"]), outside, corners, does])
    assert sorted(written) == golden
    assert len(written) == 10


def test_between_key_moments_a_second_apart_people_move_on(tmp_path: Path, convert: Callable[..., Path]) -> None:
    moments: dict[int, list[Person]] = {
        frame: [(0, walker(frame).tolist(), {"wave": 0.9})] for frame in (0, 10, 20)
    } | {30: []}
    video = read_back(convert(found_json(tmp_path / "a.json", moments), "cvat") / "a.xml")
    assert video.frames.tolist() == list(range(30))
    assert video.boxes[15] == pytest.approx(walker(15), abs=0.02)


def test_a_person_who_comes_back_is_the_same_track(tmp_path: Path, convert: Callable[..., Path]) -> None:
    seen = [*range(5), *range(10, 15)]
    moments: dict[int, list[Person]] = {
        frame: [(3, walker(frame).tolist(), {"wave": 0.9})] if frame in seen else [] for frame in range(FRAMES)
    }
    out = convert(found_json(tmp_path / "a.json", moments), "cvat")
    assert keyframes(out / "a.xml") == [[(0, "0"), (4, "0"), (5, "1"), (10, "0"), (14, "0"), (15, "1")]]
    assert read_back(out / "a.xml").frames.tolist() == seen


def test_the_schema_of_labels_has_a_mutable_checkbox_for_each_action(
    tmp_path: Path, convert: Callable[..., Path]
) -> None:
    source = found_json(tmp_path / "a.json", {0: [(0, [0.1, 0.1, 0.5, 0.9], {"wave": 0.9})]})
    out = convert(source, "cvat", "--actions", tmp_path / "actions.pbtxt")
    (label,) = json.loads((out / "labels.json").read_text(encoding="utf-8"))
    assert label["name"] == "person"
    assert [attribute["name"] for attribute in label["attributes"]] == list(ACTIONS.names)
    kinds = {(one["mutable"], one["input_type"], one["default_value"]) for one in label["attributes"]}
    assert kinds == {(True, "checkbox", "false")}


def test_each_action_may_have_a_threshold(tmp_path: Path, convert: Callable[..., Path]) -> None:
    scores = {"stand": 0.45, "wave": 0.45, "walk left": 0.35}
    source = found_json(tmp_path / "a.json", {0: [(0, [0.1, 0.1, 0.5, 0.9], scores)]})
    out = convert(source, "cvat", "--threshold", "0.4", "--thresholds", "wave=0.5", "walk left=0.3")
    assert doing(read_back(out / "a.xml"), 0) == [{"stand", "walk left"}]


def scored(frames: Sequence[int], start: int = 0) -> DetectionRows:
    """Two persons, each with a score of every action: one walks, the other stands still and waves."""
    rows = [
        (start + frame * 1_000_000 // RATE, box, label, score)
        for frame in frames
        for box, scores in ((walker(frame), (0.2, 0.8, 0.1)), (np.array([0.7, 0.1, 0.9, 0.9]), (0.9, 0.1, 0.6)))
        for label, score in zip(ACTIONS.ids, scores, strict=True)
    ]
    return DetectionRows(
        video=pd.Categorical(["a"] * len(rows)),
        moment=np.array([row[0] for row in rows], dtype=np.int64),
        boxes=np.array([row[1] for row in rows]),
        labels=np.array([row[2] for row in rows], dtype=np.int64),
        scores=np.array([row[3] for row in rows]),
    )


def dump(path: Path, rows: DetectionRows) -> Path:
    """The same as `test_det.py --dump` writes it."""
    persons = slice(None, None, len(ACTIONS))
    np.savez_compressed(
        path,
        video=np.array(["a"] * (len(rows) // len(ACTIONS))),
        moment=rows.moment[persons],
        boxes=rows.boxes[persons].astype(np.float32),
        person_scores=np.ones(len(rows) // len(ACTIONS), dtype=np.float32),
        action_scores=rows.scores.reshape(-1, len(ACTIONS)).astype(np.float32),
    )
    return path


@pytest.mark.parametrize("form", ["csv", "npz"])
def test_the_results_of_a_test_are_followed_by_overlap(tmp_path: Path, convert: Callable[..., Path], form: str) -> None:
    source = tmp_path / f"found.{form}"
    rows = scored((0, 10, 20, 30), start=900_000_000)
    if form == "csv":
        write_ava_results(source, rows)
    else:
        dump(source, rows)
    out = convert(source, "cvat", "--actions", tmp_path / "actions.pbtxt", "--start", "900")
    video = read_back(out / "a.xml")
    assert [len(boxes) for boxes in keyframes(out / "a.xml")] == [2, 2]
    for frame in range(31):
        assert sorted(map(sorted, doing(video, frame))) == [["stand", "wave"], ["walk left"]]
        mine = video.boxes[video.frames == frame]
        assert mine[mine[:, 0].argsort()][0] == pytest.approx(walker(frame), abs=0.02)


def toy_tubes(toy: Path, folder: Path) -> tuple[Path, Path]:
    """The true tubes of the toy set as if they were found, and the list of their actions."""
    truth = read_multisports(toy / "multisports" / "multisports_GT.pkl")
    write_video_detections(folder / "tubes.pkl", truth.tubes, truth)
    ids = tuple(range(1, len(truth.labels) + 1))
    write_action_list(folder / "tubes.pbtxt", ActionList(ids, truth.labels, (None,) * len(ids)))
    return folder / "tubes.pkl", folder / "tubes.pbtxt"


def test_toy_tubes_read_back_within_the_tolerance_and_need_few_keyframes(
    toy: Path, tmp_path: Path, convert: Callable[..., Path]
) -> None:
    source, actions = toy_tubes(toy, tmp_path)
    places = ["--videos", toy / "multisports" / "trimmed_videos"]
    convert(source, "cvat", "--actions", actions, *places)
    truth = read_multisports(toy / "multisports" / "multisports_GT.pkl")
    boxes = kept = 0
    for name in truth.tubes.videos:
        path = tmp_path / "out" / f"{name}.xml"
        video = read_back(path)
        assert video.size is not None
        pixels = video.boxes * [*video.size, *video.size]
        true: dict[int, list[tuple[FloatArray, str]]] = {}
        for tube in truth.tubes.tubes(dict.fromkeys(truth.tubes.videos, (1, 1))):
            if tube.video == name:
                for moment, box in zip(tube.moments.tolist(), tube.boxes, strict=True):
                    true.setdefault(moment - 1, []).append((box, truth.labels[tube.label]))
        assert set(true) == set(video.frames.tolist())
        for frame, persons in true.items():
            rows = np.flatnonzero(video.frames == frame)
            assert len(rows) == len({tuple(box) for box, _ in persons})
            for box, label in persons:
                off = np.abs(pixels[rows] - box).max(axis=1)
                nearest = int(off.argmin())
                assert off[nearest] <= 0.02 * float(np.hypot(*(box[2:] - box[:2]))) + 0.02
                assert label in doing(video, frame)[nearest]
        boxes += len(video.frames)
        kept += sum(outside == "0" for track in keyframes(path) for _, outside in track)
    assert kept <= boxes / 5


def test_tubes_in_one_place_are_one_person(tmp_path: Path, convert: Callable[..., Path]) -> None:
    import pickle

    table = np.array([[frame, 10, 10, 30, 40, 0.9] for frame in range(1, 21)], dtype=np.float32)
    tubes = {0: [("a", 0.9, table)], 1: [], 2: [("a", 0.8, table[5:]), ("a", 0.1, table)]}
    (tmp_path / "tubes.pkl").write_bytes(pickle.dumps(tubes))
    out = convert(tmp_path / "tubes.pkl", "cvat", "--actions", tmp_path / "actions.pbtxt")
    video = read_back(out / "a.xml")
    assert video.frames.tolist() == list(range(20))
    assert doing(video, 4) == [{"stand"}]
    assert doing(video, 5) == [{"stand", "wave"}]


def test_coco_has_videos_and_tracks(tmp_path: Path, convert: Callable[..., Path]) -> None:
    moments: dict[int, list[Person]] = {
        frame: [(4, walker(frame).tolist(), {"wave": 0.9, "stand": 0.2})] for frame in (0, 10)
    } | {20: []}
    out = convert(found_json(tmp_path / "a.json", moments), "coco", "--actions", tmp_path / "actions.pbtxt")
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["videos"] == [{"id": 1, "name": "a.mp4", "width": 100, "height": 50}]
    assert [image["frame_id"] for image in content["images"]] == [0, 10, 20]
    assert {one["track_id"] for one in content["annotations"]} == {4}
    assert content["annotations"][0]["attributes"] == {"stand": False, "walk left": False, "wave": True}
    (video,) = read_coco([out], first_frame=0, clip=False)
    assert (video.name, video.annotated.tolist(), video.frames.tolist()) == ("a", [0, 10, 20], [0, 10])
    assert doing(video, 10) == [{"wave"}]


def test_ava_is_a_data_set_of_what_was_found(tmp_path: Path, convert: Callable[..., Path]) -> None:
    folder = tmp_path / "found"
    folder.mkdir()
    for name in ("a", "b"):
        found_json(folder / f"{name}.json", {0: [(0, [0.1, 0.2, 0.3, 0.8], {"wave": 0.9})], 10: []}, name)
    out = convert(folder, "ava", "--val-videos", "b")
    truth = read_ava_csv(out / "ava_train.csv")
    assert (truth.moment.tolist(), truth.boxes.tolist()) == ([0], [[0.1, 0.2, 0.3, 0.8]])


def found(tmp_path: Path, **scores: float) -> Path:
    return found_json(tmp_path / "a.json", {0: [(0, [0.1, 0.1, 0.5, 0.9], scores)]})


FAULTS: dict[str, tuple[Callable[[Path], Path], list[str], str]] = {
    "no action": (lambda folder: found(folder, wave=0.3), [], "no action of anybody reaches its threshold"),
    "no list": (lambda folder: dump(folder / "x.npz", scored([0])), [], "give --actions"),
    "another file": (lambda folder: found(folder, wave=1).rename(folder / "a.txt"), [], r"expected \.json, \.csv"),
    "another JSON": (
        lambda folder: (folder / "b.json").write_text('{"videos": []}') and folder / "b.json",
        [],
        "lacks 'video'; expected what tools/demo.py --json writes",
    ),
    "no JSON": (lambda folder: (folder / "b.json").write_text("{") and folder / "b.json", [], "is not a JSON file"),
    "no file": (lambda folder: folder / "none.json", [], "no file of detections"),
    "an unknown threshold": (
        lambda folder: found(folder, wave=0.9),
        ["--actions", "actions.pbtxt", "--thresholds", "waves=0.4"],
        "'waves' is not in the list",
    ),
    "a threshold without number": (lambda folder: found(folder, wave=0.9), ["--thresholds", "wave"], "expected NAME=X"),
    "a threshold above one": (lambda folder: found(folder, wave=0.9), ["--threshold", "2"], "between 0 and 1"),
    "a tolerance of nothing": (lambda folder: found(folder, wave=0.9), ["--tolerance", "0"], "--tolerance 0"),
    "another clock": (
        lambda folder: dump(folder / "x.npz", scored([0], start=900_000_000)),
        ["--actions", "actions.pbtxt"],
        r"at 900 s lies outside of .*is --start right",
    ),
    "no video": (
        lambda folder: found_json(folder / "a.json", {0: []}, "street"),
        [],
        "there is no file of the video 'street'",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_sentence(
    tmp_path: Path, convert: Callable[..., Path], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, words, message = FAULTS[fault]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        convert(plant(tmp_path), "cvat", *words)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_choices_of_targets_are_listed() -> None:
    assert "--to {ava,coco,cvat}" in run_program("data_tools.convert_annotations", "--help").stdout


def test_keyframes_keep_every_box_within_the_slack() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(1, 4, 300))
    boxes = np.cumsum(rng.normal(0, 1, (300, 4)), axis=0) + rng.normal(0, 0.5, (300, 4))
    slack = rng.uniform(0.5, 2, (300, 4))
    places, chosen = choose_keyframes(times, boxes, boxes - slack, boxes + slack, [100, 101])
    assert places == sorted(set(places))
    assert {0, 100, 101, 299} <= set(places)
    lines = np.column_stack([np.interp(times, times[places], chosen[:, side]) for side in range(4)])
    assert (np.abs(lines - boxes) <= slack + 1e-9).all()
    assert len(places) < 150


def test_a_straight_line_has_two_keyframes_and_one_box_has_one() -> None:
    line = np.linspace(0, 1, 5000)[:, None] * np.array([1.0, 2, 3, 4])
    assert choose_keyframes(np.arange(5000), line, line - 1e-6, line + 1e-6)[0] == [0, 4999]
    assert choose_keyframes(np.arange(1), line[:1], line[:1], line[:1])[0] == [0]
