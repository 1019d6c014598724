"""Annotation files as other tools write them: each case was reported by users of those tools."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from data_tools.convert_annotations.annotated import AnnotatedVideo
from data_tools.convert_annotations.coco import read_coco
from data_tools.convert_annotations.cvat import read_cvat
from data_tools.convert_annotations.yolo import read_yolo
from evaluation.errors import InputError

Seen = dict[int, list[int]]


def seen(video: AnnotatedVideo) -> Seen:
    """The frames in which each track is seen."""
    frames: Seen = defaultdict(list)
    for frame, track in zip(video.frames.tolist(), video.tracks.tolist(), strict=True):
        frames[track].append(frame)
    return dict(frames)


def box(frame: int, marks: str = "") -> str:
    return f'<box frame="{frame}" {marks} xtl="{10 + frame % 40}" ytl="10" xbr="{30 + frame % 40}" ybr="40"/>'


def track(boxes: Iterable[str], marks: str = "") -> str:
    return f'<track id="0" label="person" {marks}>{"".join(boxes)}</track>'


def task(identity: int, size: int, *, first: int = 0, step: int = 1, subset: str = "") -> str:
    chosen = f"step={step}" if step > 1 else ""
    return (
        f"<task><id>{identity}</id><name>t{identity}</name><size>{size}</size><subset>{subset}</subset>"
        f"<start_frame>{first}</start_frame><stop_frame>{first + step * (size - 1)}</stop_frame>"
        f"<frame_filter>{chosen}</frame_filter><source>film{identity}.mp4</source>"
        "<original_size><width>100</width><height>50</height></original_size></task>"
    )


def read(tmp_path: Path, meta: str, *tracks: str) -> dict[str, Seen]:
    path = tmp_path / "annotations.xml"
    path.write_text(f"<annotations><meta>{meta}</meta>{''.join(tracks)}</annotations>")
    return {video.name: seen(video) for video in read_cvat([path], clip=False)}


def project(*tasks: str) -> str:
    return f"<project><tasks>{''.join(tasks)}</tasks></project>"


def dense(frames: Iterable[int], identity: int) -> str:
    return track(
        [box(frame, f'keyframe="{int(not place)}"') for place, frame in enumerate(frames)], f'task_id="{identity}"'
    )


def test_the_tasks_of_a_cvat_project_count_on_from_each_other(tmp_path: Path) -> None:
    # By id, whatever the order of the file: 40, then 40 + 90.
    meta = project(task(13, 20), task(11, 40), task(12, 90))
    tracks = [dense(range(5), 11), dense(range(40, 70), 12), dense(range(135, 140), 13)]
    found = read(tmp_path, meta, *tracks)
    assert found["film11"][0] == list(range(5))
    assert next(iter(found["film12"].values())) == list(range(30))
    assert next(iter(found["film13"].values())) == list(range(5, 10))


def test_steps_first_frames_and_subsets_of_a_cvat_project(tmp_path: Path) -> None:
    # A task takes start + step * size numbers; each subset counts for itself.
    meta = project(
        task(1, 10, first=4, step=5, subset="Train"), task(2, 30, subset="Test"), task(3, 30, subset="Train")
    )
    found = read(tmp_path, meta, dense([4, 9, 14], 1), dense(range(30), 2), dense(range(54 + 2, 54 + 8), 3))
    assert next(iter(found["film2"].values())) == list(range(30))
    assert next(iter(found["film3"].values())) == list(range(2, 8))
    assert {4, 9, 14} <= set(next(iter(found["film1"].values())))


def test_a_project_whose_tasks_count_for_themselves_is_read_as_it_is(tmp_path: Path) -> None:
    found = read(tmp_path, project(task(1, 40), task(2, 90)), dense(range(40), 1), dense(range(30), 2))
    assert next(iter(found["film2"].values())) == list(range(30))


def test_frames_without_a_keyframe_attribute_are_all_that_is_seen(tmp_path: Path) -> None:
    """FiftyOne's layout: a gap of one track is its absence, and nobody stays after the last box."""
    hidden = track(map(box, [*range(20), *range(30, 40)]))
    found = read(tmp_path, task(1, 60), hidden, track(map(box, range(15))))["film1"]
    assert found == {0: [*range(20), *range(30, 40)], 1: list(range(15))}


@pytest.mark.parametrize("stated", [True, False])
def test_shapes_of_every_nth_frame_last_until_the_next(tmp_path: Path, stated: bool) -> None:
    """CVAT writes a shape as a track of one box and an `outside` one step later, if there is one."""
    meta = task(1, 6, step=25)
    if not stated:
        meta = meta.replace("step=25", "")
    visible, gone = 'keyframe="1" outside="0"', 'keyframe="1" outside="1"'
    tracks = [
        track([box(25 * place, visible), *([box(25 * (place + 1), gone)] if place < 4 else [])]) for place in range(6)
    ]
    found = read(tmp_path, meta, *tracks)["film1"]
    assert found == {place: [*range(25 * place, min(25 * (place + 1), 126))] for place in range(6)}


def test_only_tracks_with_gaps_stay_in_a_file_of_keyframes(tmp_path: Path) -> None:
    marks = 'keyframe="1" outside="0"'
    sparse = track([box(0, marks), box(10, marks)])
    every = track([box(frame, marks) for frame in range(15)])
    found = read(tmp_path, task(1, 60), sparse, every)["film1"]
    assert found == {0: list(range(60)), 1: list(range(15))}


@pytest.mark.parametrize("marks", ['keyframe="1"', 'keyframe="{first}" outside="0"', 'outside="0"', ""])
def test_boxes_of_every_frame_without_an_end_leave_gaps(tmp_path: Path, marks: str) -> None:
    hidden = track([box(frame, marks.format(first=int(frame == 0))) for frame in [*range(20), *range(30, 40)]])
    other = track([box(frame, marks.format(first=int(frame == 0))) for frame in range(15)])
    found = read(tmp_path, task(1, 60), hidden, other)["film1"]
    assert found == {0: [*range(20), *range(30, 40)], 1: list(range(15))}


def test_a_gap_is_filled_where_the_file_says_who_is_outside(tmp_path: Path) -> None:
    marks = 'keyframe="1" outside="{}"'
    hidden = track([*(box(frame, marks.format(0)) for frame in [*range(20), *range(30, 40)])])
    other = track([*(box(frame, marks.format(0)) for frame in range(15)), box(15, marks.format(1))])
    assert read(tmp_path, task(1, 60), hidden, other)["film1"] == {0: list(range(40)), 1: list(range(15))}


def test_shapes_of_later_tasks_of_a_project_have_no_end(tmp_path: Path) -> None:
    """CVAT compares their numbers in the project with the last frame of the task, and leaves `outside` out."""
    shapes = [track([box(frame, 'keyframe="1" outside="0"')], 'task_id="2"') for frame in (40, 50)]
    found = read(tmp_path, project(task(1, 40), task(2, 40)), dense(range(3), 1), *shapes)
    assert found["film2"] == {0: [0], 1: [10]}


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        ([dense(range(5), 1), dense(range(40, 45), 9)], r"has the task_id '9'; expected one of the project's tasks, 1"),
        ([dense(range(5), 1), dense(range(75, 90), 2)], r"task 'film2' has a box on frame 89; expected at most 79"),
    ],
)
def test_tracks_that_fit_no_task_of_a_project_are_refused(tmp_path: Path, tracks: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, project(task(1, 40), task(2, 40)), *tracks)


def coco(path: Path, files: list[str], videos: list[str] | None = None) -> Path:
    images = [
        {"id": 10 * k + frame, "width": 100, "height": 50, "file_name": f"{file}/{frame:06d}.jpg"}
        | ({"video_id": k, "frame_id": frame} if videos else {})
        for k, file in enumerate(files)
        for frame in range(3)
    ]
    annotations = [
        {"id": place, "image_id": image["id"], "category_id": 1, "track_id": 1, "bbox": [10, 10, 20, 30]}
        for place, image in enumerate(images)
    ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "walk"}]}
    if videos:
        content["videos"] = [{"id": k, "name": name} for k, name in enumerate(videos)]
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["hall/img1", "yard/img1"], {"hall", "yard"}),
        (["set/hall/frames", "set/yard/frames"], {"hall", "yard"}),
        (["hall/img1"], {"hall"}),
        (["a", "b"], {"a", "b"}),
    ],
)
def test_folders_of_images_that_end_alike_are_two_videos(tmp_path: Path, folders: list[str], names: set[str]) -> None:
    videos = read_coco([coco(tmp_path / "x.json", folders)], first_frame=0, clip=False)
    assert {video.name for video in videos} == names
    assert all(len(video.frames) == 3 for video in videos)


def test_two_listed_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    path = coco(tmp_path / "x.json", ["a", "b"], ["cam1/clip.mp4", "cam2/clip.mp4"])
    with pytest.raises(InputError, match=r"the videos cam1/clip\.mp4 and cam2/clip\.mp4 have one name, 'clip'"):
        read_coco([path], first_frame=0, clip=False)


@pytest.fixture
def yolo_line() -> Callable[[Path, str], None]:
    def write(path: Path, line: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line)

    return write


def test_yolo_lines_with_a_confidence_and_no_track_are_persons_of_no_track(
    tmp_path: Path, yolo_line: Callable[[Path, str], None]
) -> None:
    (tmp_path / "data.yaml").write_text("names: [walk]")
    yolo_line(tmp_path / "labels/street_1.txt", "0 0.5 0.5 0.2 0.6 0.801")
    yolo_line(tmp_path / "labels/street_2.txt", "0 0.5 0.5 0.2 0.6 1")  # %g of a confidence of 1.0
    yolo_line(tmp_path / "labels/street_3.txt", "0 0.5 0.5 0.2 0.6 0.9 7")
    (video,) = read_yolo([tmp_path], first_frame=None, clip=False)
    assert seen(video) == {-1: [0, 1], 7: [2]}


@pytest.mark.parametrize("folder", ["labels/Train", "labels/morning", "obj_Train_data", "LABELS/train"])
def test_yolo_folders_of_a_subset_are_no_videos(
    tmp_path: Path, yolo_line: Callable[[Path, str], None], folder: str
) -> None:
    home = tmp_path / "street"
    yolo_line(home / folder / "frame_000000.txt", "0 0.5 0.5 0.2 0.6 3")
    (home / "data.yaml").write_text("names: [walk]\nmorning: morning.txt\n")
    (video,) = read_yolo([tmp_path], first_frame=None, clip=False)
    assert video.name == "street"
