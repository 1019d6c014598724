"""Own annotations become AVA's files: what is written, and each fault in one sentence."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from data_tools.convert_annotations.cvat import read_cvat
from data_tools.convert_annotations.key_frames import Person, VideoMoments
from data_tools.convert_annotations.to_ava import split_videos
from data_tools.convert_annotations.yolo import read_yolo
from evaluation.command_line import describe
from evaluation.errors import InputError
from evaluation.formats.ava import read_action_list, read_ava_csv, read_excluded
from evaluation.formats.person_boxes import read_proposals
from evaluation.records import FrameKey
from tests.programs import run_program

SIZE = (100, 50)
RATE = 10
Boxes = dict[int, tuple[float, float, float, float]]


def film(path: Path, *, frames: int = 30, size: tuple[int, int] = SIZE) -> None:
    """Write a gray video of RATE frames a second."""
    from actiondet.video import VideoWriter

    with VideoWriter(path, RATE, *size) as writer:
        for _ in range(frames):
            writer.write(np.full((size[1], size[0], 3), 128, np.uint8))


def cvat_xml(
    tracks: Sequence[tuple[str, Boxes, dict[str, str]]],
    *,
    source: str = "a.mp4",
    frames: int = 30,
    attributes: dict[str, str] | None = None,
    keyframes: bool = False,
    ends: bool = True,
) -> str:
    """An export of CVAT: `tracks` are (label, box of each frame, attributes); `attributes` are kinds of input."""
    kinds = {"wave": "checkbox", "jump": "checkbox", "pose": "select"} if attributes is None else attributes
    described = "".join(
        f"<attribute><name>{name}</name><input_type>{kind}</input_type></attribute>" for name, kind in kinds.items()
    )
    text = (
        f"<annotations><version>1.1</version><meta><task><id>7</id><name>t</name><size>{frames}</size>"
        f"<mode>interpolation</mode><start_frame>0</start_frame><stop_frame>{frames - 1}</stop_frame>"
        f"<labels><label><name>person</name><attributes>{described}</attributes></label></labels>"
        f"<original_size><width>{SIZE[0]}</width><height>{SIZE[1]}</height></original_size>"
        f"<source>{source}</source></task></meta>"
    )
    for number, (label, boxes, told) in enumerate(tracks):
        text += f'<track id="{number}" label="{label}" source="manual">'
        said = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in told.items())
        last = max(boxes)
        for frame, (x1, y1, x2, y2) in boxes.items():
            text += (
                f'<box frame="{frame}" outside="0" occluded="0" keyframe="{int(keyframes or frame == 0)}" '
                f'xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" z_order="0">{said}</box>'
            )
        if ends and last + 1 < frames:
            x1, y1, x2, y2 = boxes[last]
            text += (
                f'<box frame="{last + 1}" outside="1" occluded="0" keyframe="1" xtl="{x1}" ytl="{y1}" xbr="{x2}" '
                f'ybr="{y2}" z_order="0">{said}</box>'
            )
        text += "</track>"
    return text + "</annotations>"


def still(box: tuple[float, float, float, float], frames: int = 30) -> Boxes:
    return dict.fromkeys(range(frames), box)


WAVER = ("person", still((10, 10, 30, 40)), {"wave": "true", "jump": "false", "pose": "stand"})
IDLER = ("person", still((60, 10, 80, 40), 15), {"wave": "false", "jump": "false", "pose": "none"})


def coco(*, videos: bool = True, frames: Sequence[int] = (0, 10, 20)) -> dict[str, object]:
    """Two videos, one person each who waves and stands."""
    content: dict[str, list[dict[str, object]]] = {"images": [], "annotations": [], "categories": []}
    if videos:
        content["videos"] = [{"id": number, "name": f"{name}.mp4"} for number, name in enumerate("ab", start=1)]
    content["categories"] = [{"id": 1, "name": "person"}]
    for number, name in enumerate("ab", start=1):
        for frame in frames:
            image = {"id": 100 * number + frame, "file_name": f"{name}/{frame:06d}.jpg", "width": 100, "height": 50}
            if videos:
                image |= {"video_id": number, "frame_id": frame}
            content["images"].append(image)
            told = {"wave": True, "jump": False, "pose": ["stand"], "occluded": False, "track_id": 4}
            box = {"image_id": image["id"], "category_id": 1, "bbox": [10, 10, 20, 30], "attributes": told}
            content["annotations"].append({"id": len(content["annotations"]) + 1, "iscrowd": 0, **box})
    return dict(content)


def yolo(folder: Path, *, layout: str) -> None:
    """Two videos: one person who waves all the time, and stands in the first second."""
    folder.mkdir()
    (folder / "data.yaml").write_text("names:\n  0: stand\n  1: wave\n")
    for video in "ab":
        for frame in range(30):
            lines = "1 0.2 0.5 0.2 0.6 4\n" + ("0 0.2 0.5 0.2 0.6 4\n" if frame < 10 else "")
            home, name = (folder, f"{video}_{frame + 1}")
            if layout == "cvat":
                home, name = folder / video / "labels" / "train", f"frame_{frame:06d}"
            home.mkdir(parents=True, exist_ok=True)
            (home / f"{name}.txt").write_text(lines)


def convert(*words: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the program's main in this process."""
    from data_tools.convert_annotations.__main__ import main

    monkeypatch.setattr(sys, "argv", ["convert_annotations", *map(str, words)])
    main()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Convert; return the folder of the results."""

    def convert_to_ava(source: Path, source_format: str, *words: str) -> Path:
        out = tmp_path / "out"
        places = [] if "--fps" in words else ["--videos", tmp_path / "videos"]
        convert(source, "--from", source_format, "--to", "ava", "--out", out, *places, *words, monkeypatch=monkeypatch)
        return out

    return convert_to_ava


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Videos a and b, and their annotations a.xml and b.xml."""
    folder = tmp_path / "videos"
    folder.mkdir()
    annotations = tmp_path / "annotations"
    annotations.mkdir()
    for name in "ab":
        film(folder / f"{name}.mp4")
        (annotations / f"{name}.xml").write_text(cvat_xml([WAVER, IDLER], source=f"clips/{name}.mp4"))
    return annotations


def rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()]


def test_cvat_tracks_become_rows_with_ids_from_one(clips: Path, run: Callable[..., Path]) -> None:
    out = run(clips, "cvat", "--val-videos", "b", "--proposals")
    actions = read_action_list(out / "action_list.pbtxt")
    assert dict(zip(actions.names, actions.ids, strict=True)) == {"stand": 1, "wave": 2}
    expected = [["a", str(time), "0.1", "0.2", "0.3", "0.8", label, "0"] for time in (0, 1, 2) for label in ("1", "2")]
    assert [[row[0], str(int(row[1])), *row[2:]] for row in rows(out / "ava_train.csv")] == expected
    assert {row[0] for row in rows(out / "ava_val.csv")} == {"b"}
    assert not read_excluded(out / "ava_train_excluded_timestamps.csv")
    boxes = read_proposals(out / "dense_proposals_train.pkl")
    persons = [len(boxes[FrameKey("a", second * 1_000_000)]) for second in (0, 1, 2)]
    assert persons == [2, 2, 1]  # the idle person leaves after 1.5 s, and is a person all the same


def test_the_clock_and_the_rate_of_moments_are_free(clips: Path, run: Callable[..., Path]) -> None:
    out = run(clips, "cvat", "--every", "0.5", "--start", "900")
    truth = read_ava_csv(out / "ava_train.csv")
    assert sorted(set(truth.moment.tolist())) == [900_000_000 + step * 500_000 for step in range(6)]


def test_a_moment_without_persons_is_named_as_empty(clips: Path, run: Callable[..., Path]) -> None:
    early = (WAVER[0], still(WAVER[1][0], 12), WAVER[2])
    (clips / "a.xml").write_text(cvat_xml([early]))
    truth = read_ava_csv(run(clips, "cvat", "--val-videos", "b") / "ava_train.csv")
    assert truth.empty_moments == (FrameKey("a", 2_000_000),)


def test_the_zip_that_cvat_exports_is_read(clips: Path, run: Callable[..., Path]) -> None:
    for name in "ab":
        with zipfile.ZipFile(clips / f"task_{name}.zip", "w") as archive:
            archive.write(clips / f"{name}.xml", "annotations.xml")
        (clips / f"{name}.xml").unlink()
    assert len(read_ava_csv(run(clips, "cvat") / "ava_train.csv")) == 6


def test_the_tasks_of_a_project_are_videos_of_their_own(tmp_path: Path) -> None:
    one, other = (cvat_xml([track], source=f"{name}.mp4") for name, track in (("a", WAVER), ("b", IDLER)))
    tasks = "".join(
        text.split("<meta>")[1].split("</meta>")[0].replace("<id>7", f"<id>{number}")
        for number, text in enumerate((one, other))
    )
    tracks = "".join(
        text.split("</meta>")[1].split("</annotations>")[0].replace("<track ", f'<track task_id="{number}" ')
        for number, text in enumerate((one, other))
    )
    path = tmp_path / "project.xml"
    head = f"<version>1.1</version><meta><project><tasks>{tasks}</tasks></project></meta>"
    path.write_text(f"<annotations>{head}{tracks}</annotations>")
    videos = read_cvat([path], clip=False)
    assert [(video.name, len(video.frames)) for video in videos] == [("a", 30), ("b", 15)]


def test_the_export_of_a_job_covers_its_own_frames(tmp_path: Path) -> None:
    track = ("person", dict.fromkeys(range(10, 20), WAVER[1][0]), WAVER[2])
    text = cvat_xml([track], frames=20).replace("task>", "job>").replace("<start_frame>0", "<start_frame>10")
    path = tmp_path / "job.xml"
    path.write_text(text)
    video = read_cvat([path], clip=False)[0]
    assert (video.name, video.annotated.tolist()) == ("a", list(range(10, 20)))


def test_tasks_of_every_fifth_frame_are_filled_between_their_boxes(tmp_path: Path) -> None:
    # CVAT writes the frames' numbers in the video, and what it has interpolated as keyframe 0.
    boxes = {frame: (float(frame), 10.0, frame + 20.0, 40.0) for frame in range(0, 30, 5)}
    path = tmp_path / "a.xml"
    path.write_text(cvat_xml([("person", boxes, WAVER[2])], frames=26))
    video = read_cvat([path], clip=False)[0]
    assert video.frames.tolist() == list(range(26))
    assert video.boxes[12] == pytest.approx([0.12, 0.2, 0.32, 0.8])


def test_left_out_frames_are_interpolated_and_the_last_keyframe_holds(tmp_path: Path) -> None:
    boxes = {0: (0.0, 0.0, 20.0, 20.0), 10: (40.0, 10.0, 60.0, 30.0)}
    path = tmp_path / "a.xml"
    path.write_text(cvat_xml([("person", boxes, {"wave": "true"})], keyframes=True, ends=False))
    video = read_cvat([path], clip=False)[0]
    assert video.frames.tolist() == list(range(30))
    assert video.boxes[5] == pytest.approx([0.2, 0.1, 0.4, 0.5])
    assert video.boxes[29] == pytest.approx([0.4, 0.2, 0.6, 0.6])


def test_a_track_is_not_there_while_it_is_outside(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(cvat_xml([IDLER]))
    assert read_cvat([path], clip=False)[0].frames.tolist() == list(range(15))


def test_a_video_in_which_nobody_is_seen_counts(
    clips: Path, run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "b.xml").write_text(cvat_xml([], source="b.mp4"))
    out = run(clips, "cvat", "--val-videos", "b")
    assert "nobody is seen in 1 videos (b)" in capsys.readouterr().out
    truth = read_ava_csv(out / "ava_val.csv")
    assert len(truth) == 0
    assert {key.video for key in truth.empty_moments} == {"b"}


def test_labels_are_actions_where_nobody_is_called_person(clips: Path, run: Callable[..., Path]) -> None:
    for name in "ab":
        tracks = [("wave", WAVER[1], {}), ("stand", WAVER[1], {}), ("run", IDLER[1], {})]
        (clips / f"{name}.xml").write_text(cvat_xml(tracks, source=f"{name}.mp4", attributes={}))
    out = run(clips, "cvat", "--val-videos", "b")
    truth = read_ava_csv(out / "ava_train.csv")
    assert read_action_list(out / "action_list.pbtxt").names == ("run", "stand", "wave")
    # Boxes in the very same place are one person who does both.
    assert truth.labels[:3].tolist() == [2, 3, 1]
    assert truth.persons[:3].tolist() == [0, 0, 2]


def test_text_attributes_hold_several_actions(clips: Path, run: Callable[..., Path]) -> None:
    for name in "ab":
        track = ("person", WAVER[1], {"does": "walk, talk", "age": "40"})
        kinds = {"does": "text", "age": "number"}
        (clips / f"{name}.xml").write_text(cvat_xml([track], source=f"{name}.mp4", attributes=kinds))
    assert read_action_list(run(clips, "cvat") / "action_list.pbtxt").names == ("talk", "walk")


def test_a_given_action_list_keeps_its_ids(clips: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "list.pbtxt"
    path.write_text('item { name: "wave" id: 7 }\nitem { name: "stand" id: 9 }\n')
    truth = read_ava_csv(run(clips, "cvat", "--actions", str(path)) / "ava_train.csv")
    assert set(truth.labels.tolist()) == {7, 9}


def test_the_division_is_repeated_by_its_seed_and_shows_every_action_in_both_parts(
    clips: Path, run: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    parts = []
    for name in "cdefgh":  # only c and h jump
        film(clips.parent / "videos" / f"{name}.mp4")
        told = {"wave": "true", "jump": "true" if name in "ch" else "false"}
        (clips / f"{name}.xml").write_text(cvat_xml([("person", WAVER[1], told)], source=f"{name}.mp4"))
    for seed in ("0", "0", "1", "2"):
        out = run(clips, "cvat", "--seed", seed, "--val-share", "0.25")
        parts.append({row[0] for row in rows(out / "ava_val.csv")})
        assert len(parts[-1]) == 2
        assert len(parts[-1] & {"c", "h"}) == 1
    assert parts[0] == parts[1]
    assert len(set(map(frozenset, parts))) > 1


def lasting(seconds: dict[str, int], does: dict[str, str]) -> list[VideoMoments]:
    """Videos of so many key moments, in each of which one person does what letters say."""
    return [
        VideoMoments(
            name, "", {moment: (Person((0, 0, 1, 1), 0, frozenset(does[name])),) for moment in range(count)}, ()
        )
        for name, count in seconds.items()
    ]


@pytest.mark.parametrize(
    ("seconds", "does", "val_share", "expected"),
    [
        # The longest film would be four fifths of the key moments.
        ({"a": 100, "b": 10, "c": 10, "d": 5}, dict.fromkeys("abcd", "w"), 0.2, [{"b", "c", "d"}]),
        # Only the shortest film can be spared: every other has an action of its own.
        ({"a": 50, "b": 50, "c": 5}, {"a": "wx", "b": "wy", "c": "w"}, 0.4, [{"c"}]),
        # Both films of one action must not validate together.
        ({"a": 10, "b": 10, "c": 30, "d": 50}, {"a": "x", "b": "x", "c": "w", "d": "w"}, 0.2, [{"a"}, {"b"}, {"c"}]),
        # Each film has an action of its own: one is lost to training.
        ({"a": 10, "b": 10}, {"a": "x", "b": "y"}, 0.2, [{"a"}, {"b"}]),
        # Of divisions about as near, the one whose validation has both actions.
        ({"a": 100, "b": 101, "c": 400, "d": 400}, {"a": "w", "b": "wx", "c": "w", "d": "wx"}, 0.1, [{"b"}]),
    ],
)
def test_training_has_every_action_and_the_share_of_key_moments_is_near(
    seconds: dict[str, int], does: dict[str, str], val_share: float, expected: list[set[str]]
) -> None:
    for seed in range(10):
        videos = lasting(seconds, does)
        train, val = split_videos(videos, val_share=val_share, val_videos=None, seed=seed)
        assert {video.video for video in val} in expected
        assert len(train) + len(val) == len(videos)


@pytest.mark.parametrize("videos", [True, False], ids=["by video_id", "by file name"])
def test_coco_frames_of_videos(clips: Path, run: Callable[..., Path], tmp_path: Path, videos: bool) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco(videos=videos)))
    out = run(path, "coco", "--val-videos", "b")
    truth = read_ava_csv(out / "ava_train.csv")
    assert read_action_list(out / "action_list.pbtxt").names == ("stand", "wave")
    assert truth.moment.tolist() == [0, 0, 1_000_000, 1_000_000, 2_000_000, 2_000_000]
    assert truth.boxes[0] == pytest.approx([0.1, 0.2, 0.3, 0.8])
    assert set(truth.persons.tolist()) == {4}


def test_frames_that_nobody_annotated_are_excluded(clips: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco(frames=(0, 20))))
    out = run(path, "coco", "--val-videos", "b")
    assert read_excluded(out / "ava_val_excluded_timestamps.csv") == {FrameKey("b", 1_000_000)}
    assert set(read_ava_csv(out / "ava_val.csv").moment.tolist()) == {0, 2_000_000}


def test_every_annotated_frame_can_be_a_key_moment(clips: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco(frames=(3, 7))))
    with pytest.raises(InputError, match=r"--every annotated"):
        run(path, "coco")
    out = run(path, "coco", "--every", "annotated")
    assert set(read_ava_csv(out / "ava_train.csv").moment.tolist()) == {300_000, 700_000}


@pytest.mark.parametrize("layout", ["ultralytics", "cvat"])
def test_yolo_tracks_of_both_layouts(clips: Path, run: Callable[..., Path], tmp_path: Path, layout: str) -> None:
    yolo(tmp_path / "yolo", layout=layout)
    out = run(tmp_path / "yolo", "yolo", "--val-videos", "b")
    truth = read_ava_csv(out / "ava_train.csv")
    assert truth.labels.tolist() == [1, 2, 2, 2]  # the frame of second 1 is the eleventh: frame 10 from 0
    assert truth.boxes[0] == pytest.approx([0.1, 0.2, 0.3, 0.8])
    assert set(truth.persons.tolist()) == {4}


def test_the_stride_of_yolo_is_stated(clips: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "classes.txt").write_text("wave\n")
    for video in "ab":
        for place in (1, 2, 3):
            (folder / f"{video}_{place}.txt").write_text("0 0.5 0.5 0.2 0.2 1")
    out = run(folder, "yolo", "--vid-stride", "5", "--every", "annotated", "--val-videos", "b")
    assert read_ava_csv(out / "ava_train.csv").moment.tolist() == [400_000, 900_000, 1_400_000]
    for words in (["yolo", "--vid-stride", "0"], ["coco", "--vid-stride", "5"]):
        with pytest.raises(InputError, match=r"--vid-stride \d: expected 1 or more, and --from yolo"):
            run(folder, *words)


def test_confidence_may_stand_before_the_track(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "classes.txt").write_text("wave\n")
    (folder / "a_1.txt").write_text("0 0.5 0.5 0.2 0.2 0.93 12\n")
    video = read_yolo([folder], first_frame=None, clip=False)[0]
    assert (video.name, video.frames.tolist(), video.tracks.tolist()) == ("a", [0], [12])


@pytest.mark.parametrize(("said", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_letters_that_macos_has_decomposed_are_the_same_name(
    clips: Path, run: Callable[..., Path], said: Literal["NFC", "NFD"], there: Literal["NFC", "NFD"]
) -> None:
    name = "prüfung"
    (clips.parent / "videos" / "a.mp4").rename(clips.parent / "videos" / f"{unicodedata.normalize(there, name)}.mp4")
    source = f"{unicodedata.normalize(said, name)}.mp4"
    (clips / "a.xml").write_text(cvat_xml([WAVER], source=source), encoding="utf-8")
    truth = read_ava_csv(run(clips, "cvat", "--val-videos", unicodedata.normalize(there, name)) / "ava_val.csv")
    assert set(truth.video.categories) == {unicodedata.normalize("NFC", name)}


def test_no_videos_are_needed_where_the_rate_is_given(clips: Path, run: Callable[..., Path]) -> None:
    truth = read_ava_csv(run(clips, "cvat", "--fps", "15") / "ava_train.csv")
    assert sorted(set(truth.moment.tolist())) == [0, 1_000_000]


def track_with(**changes: object) -> tuple[str, Boxes, dict[str, str]]:
    label, boxes, told = WAVER
    return (str(changes.get("label", label)), changes.get("boxes", boxes), changes.get("told", told))  # type: ignore[return-value]


def cvat_fault(*tracks: tuple[str, Boxes, dict[str, str]], **settings: object) -> Callable[[Path], None]:
    return lambda folder: (folder / "a.xml").write_text(cvat_xml(tracks, **settings)) and None  # type: ignore[arg-type]


def edit(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "a.xml").write_text((folder / "a.xml").read_text().replace(old, new)) and None


FAULTS: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "an unknown label": (cvat_fault(WAVER, track_with(label="car")), [], r"label 'car' is unknown .*--ignore-labels"),
    "a box out of the frame": (
        cvat_fault(track_with(boxes=still((90, 10, 120, 40)))),
        [],
        r"video 'a', frame 0, track 0, the box .* leaves the frame of 100x50 pixels \(30 such boxes\).*--clip",
    ),
    "a box without area": (cvat_fault(track_with(boxes=still((30, 10, 30, 40)))), [], "inside out or has no area"),
    "another size": (
        edit("<width>100</width><height>50</height>", "<width>1920</width><height>1080</height>"),
        [],
        r"1920x1080 pixels, but .*a\.mp4 is 100x50",
    ),
    "a turned video": (
        edit("<width>100</width><height>50</height>", "<width>50</width><height>100</height>"),
        ["--clip"],
        r"turned by 90 degrees\?",
    ),
    "an empty file": (lambda folder: (folder / "a.xml").write_text(""), [], "the file is empty"),
    "half a file": (
        lambda folder: (folder / "a.xml").write_text((folder / "a.xml").read_text()[:900]),
        [],
        r"a\.xml: is not a readable XML",
    ),
    "another kind of file": (lambda folder: (folder / "a.xml").write_text("<a/>"), [], r"begins with <a>"),
    "frames beyond the video": (
        cvat_fault(track_with(boxes=still((10, 10, 30, 40), 40)), frames=40),
        [],
        r"box on frame 39, but .* has 30 frames",
    ),
    "no action attribute": (
        lambda folder: [
            (folder / f"{name}.xml").write_text(
                cvat_xml([track_with(told={"age": "4"})], source=f"{name}.mp4", attributes={"age": "number"})
            )
            for name in "ab"
        ],
        [],
        "'person' has no action attribute",
    ),
    "no action in any frame": (
        lambda folder: [(folder / f"{name}.xml").write_text(cvat_xml([IDLER], source=f"{name}.mp4")) for name in "ab"],
        [],
        "nobody does anything",
    ),
    "an attribute that is not there": (lambda folder: None, ["--attributes", "posture"], "it has jump, pose, wave"),
    "one video only": (lambda folder: (folder / "b.xml").unlink(), [], "there is one video only, 'a'"),
    "all videos validate": (lambda folder: None, ["--val-videos", "a", "b"], "no video for training"),
    "an unknown video validates": (lambda folder: None, ["--val-videos", "z"], "'z' is not annotated"),
    "no file of the video": (edit("a.mp4", "street.mp4"), [], r"no file of the video 'street' .*there: a, b"),
    "two annotations of a video": (edit("a.mp4", "b.mp4"), [], r"annotates video 'b', and so does"),
    "images, not video": (edit("<track", '<image id="0" name="x"/><track'), [], "is 'CVAT for images'"),
    "a polygon": (edit("</track>", '<polygon frame="29"/></track>'), [], "is made of <polygon>"),
    "no track in any file": (
        lambda folder: [(folder / f"{name}.xml").write_text(cvat_xml([], source=f"{name}.mp4")) for name in "ab"],
        [],
        r"no box is left to convert \(labels: none\)",
    ),
    "a rotated box": (edit('z_order="0"', 'z_order="0" rotation="30.0"'), [], "the box is rotated"),
    "an unknown action": (
        lambda folder: (folder / "list.pbtxt").write_text('item { name: "waves" id: 1 }\nitem { name: "stand" id: 2 }'),
        ["--actions", "list.pbtxt"],
        r"action 'wave' is not in the list of --actions; did you mean 'waves'\?",
    ),
    "a folder without annotations": (
        lambda folder: [path.unlink() for path in folder.iterdir()],
        [],
        r"holds no \.xml or \.zip file",
    ),
    "a width that is none": (edit("<width>100<", "<width>wide<"), [], "<width> is 'wide'; expected a whole number"),
    "no width": (edit("<width>100<", "<width><"), [], "has neither width nor height"),
    "a rotation that is none": (edit('z_order="0"', 'z_order="0" rotation="x"'), [], "could not convert"),
    "fractions": (cvat_fault(track_with(boxes=still((0.1, 0.2, 0.3, 0.8)))), [], "look like fractions of the frame"),
    "an unknown alphabet": (
        edit("<annotations>", '<?xml version="1.0" encoding="x"?><annotations>'),
        [],
        "not a readable",
    ),
    "a rate that is no number": (lambda folder: None, ["--every", "often"], "--every often"),
    "no rate": (lambda folder: None, ["--every", "0"], "--every 0"),
    "a share of all": (lambda folder: None, ["--val-share", "1"], "--val-share 1"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_sentence(
    clips: Path, run: Callable[..., Path], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, words, message = FAULTS[fault]
    plant(clips)
    monkeypatch.chdir(clips)
    with pytest.raises((InputError, OSError)) as caught:
        run(clips, "cvat", *words)
    said = describe(caught.value)
    assert "\n" not in said
    assert re.search(message, said), said
    assert not (clips.parent / "out").exists()


COCO_FAULTS: dict[str, tuple[Callable[[dict[str, list[dict[str, object]]]], object], str]] = {
    "an image that is not listed": (
        lambda c: c["annotations"][0].update(image_id=5),
        "image_id 5, which is not listed",
    ),
    "a category that is not listed": (lambda c: c["annotations"][0].update(category_id=5), "category_id 5"),
    "no box": (lambda c: c["annotations"][0].pop("bbox"), r"has no bbox \[x, y, width, height\]"),
    "no size": (lambda c: c["images"][0].pop("width"), "has no width and height"),
    "two sizes": (lambda c: c["images"][0].update(width=200), "differ in size"),
    "nothing annotated": (lambda c: c["annotations"].clear(), r"no box is left to convert \(labels: none\)"),
    "a frame that is a number": (lambda c: c["images"].append(3), "the list 'images' holds 3"),  # type: ignore[arg-type]
    "attributes without values": (
        lambda c: c["annotations"][0].update(attributes=["wave"]),
        "other than names with values",
    ),
    "a width that is a word": (lambda c: c["images"][0].update(width="wide"), "has no width and height in pixels"),
    "a name of Roboflow's": (lambda c: c["images"][0].update(file_name="a_mp4-1_jpg.rf.3f.jpg"), "named by Roboflow"),
    "no number": (
        lambda c: (c["images"][0].pop("frame_id"), c["images"][0].update(file_name="x.jpg")),
        "does not name its frame",
    ),
    "corners instead of a size": (lambda c: c["annotations"][0].update(bbox=[90, 10, 99, 40]), "leaves the frame"),
    "a track in two places": (
        lambda c: c["annotations"].append({**c["annotations"][0], "bbox": [50, 10, 20, 30]}),
        "track 4 is in two places",
    ),
}


@pytest.mark.parametrize("fault", COCO_FAULTS)
def test_faults_of_coco_files(clips: Path, run: Callable[..., Path], fault: str, tmp_path: Path) -> None:
    plant, message = COCO_FAULTS[fault]
    content = coco()
    plant(content)  # type: ignore[arg-type]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        run(path, "coco")


YOLO_FAULTS = {
    "pixels": ("0 50 25 20 30 1\n", "looks like pixels"),
    "words": ("wave 0.5 0.5 0.2 0.2 1\n", r"a_1\.txt, line 1: is not a box"),
    "a confidence instead of a track": ("0 0.5 0.5 0.2 0.2 0.8\n", "0.8, is not a track"),
    "an unknown class": ("9 0.5 0.5 0.2 0.2 1\n", "class 9 has no name; there are 2 names"),
    "a polygon": ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4\n", "a polygon"),
    "too few columns": ("0 0.1 0.1\n", "is not a box"),
}


@pytest.mark.parametrize("fault", YOLO_FAULTS)
def test_faults_of_yolo_files(clips: Path, run: Callable[..., Path], fault: str, tmp_path: Path) -> None:
    yolo(tmp_path / "yolo", layout="ultralytics")
    text, message = YOLO_FAULTS[fault]
    (tmp_path / "yolo" / "a_1.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        run(tmp_path / "yolo", "yolo")


def test_yolo_of_another_alphabet_says_so(clips: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    yolo(tmp_path / "yolo", layout="ultralytics")
    (tmp_path / "yolo" / "data.yaml").write_bytes(b"names: [st\xe4nd, wave]")
    with pytest.raises(InputError, match=r"data\.yaml: is not text in UTF-8"):
        run(tmp_path / "yolo", "yolo")


def test_yolo_without_names_says_so(clips: Path, run: Callable[..., Path], tmp_path: Path) -> None:
    yolo(tmp_path / "yolo", layout="ultralytics")
    (tmp_path / "yolo" / "data.yaml").unlink()
    with pytest.raises(InputError, match=r"no file of class names; expected one of data\.yaml"):
        run(tmp_path / "yolo", "yolo")


def test_clip_cuts_boxes_at_the_border(clips: Path, run: Callable[..., Path]) -> None:
    (clips / "a.xml").write_text(cvat_xml([track_with(boxes=still((90, 10, 120, 40)))]))
    truth = read_ava_csv(run(clips, "cvat", "--clip", "--val-videos", "b") / "ava_train.csv")
    assert truth.boxes[0] == pytest.approx([0.9, 0.2, 1.0, 0.8])


def test_a_copy_of_other_size_is_the_same_video(clips: Path, run: Callable[..., Path]) -> None:
    film(clips.parent / "videos" / "a.mp4", size=(200, 100))
    assert len(read_ava_csv(run(clips, "cvat", "--val-videos", "b") / "ava_train.csv")) == 6


def test_help_is_quick_and_a_fault_ends_with_code_2(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "data_tools.convert_annotations"]
    shown = subprocess.run([*program, "--help"], capture_output=True, text=True, check=True)
    assert "--val-share" in shown.stdout
    words = [str(tmp_path / "none.xml"), "--from", "cvat", "--to", "ava", "--out", str(tmp_path / "out")]
    failed = run_program("data_tools.convert_annotations", *words)
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1
    assert "no such file or folder" in failed.stderr
