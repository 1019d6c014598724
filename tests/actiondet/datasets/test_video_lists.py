"""The official table of Kinetics as a list of videos."""

from __future__ import annotations

from pathlib import Path

import pytest

from actiondet.config.recognition import VideoListConfig
from actiondet.datasets.labeled_videos import find_labeled_videos
from actiondet.datasets.video_lists import list_videos
from evaluation.errors import InputError

HEADING = "label,youtube_id,time_start,time_end,split"


def table(path: Path, *rows: str) -> str:
    path.write_text("\n".join([HEADING, *rows]) + "\n")
    return str(path)


def put(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


@pytest.fixture
def data(tmp_path: Path) -> VideoListConfig:
    """Three clips in three places, and a fourth that is missing."""
    put(tmp_path, "train/zumba/a-b_000010_000020.mp4", "deep/er/c d_000000_000010.MKV", "val/x_000001_000002.mp4")
    train = table(
        tmp_path / "train.csv", "zumba,a-b,10,20,train", "air drumming,c d,0,10,train", "zumba,gone,1,2,train"
    )
    val = table(tmp_path / "val.csv", "zumba,x,1,2,validate", "yoga,y,1,2,validate")
    return VideoListConfig(videos=str(tmp_path), train=train, val=val, unreadable="skip")


def test_clips_are_found_wherever_they_lie_and_classes_count_in_alphabetical_order(data: VideoListConfig) -> None:
    found = find_labeled_videos(data, "train", num_classes=3)
    assert found.names == ("train/zumba/a-b_000010_000020", "deep/er/c d_000000_000010")
    assert found.labels.tolist() == [2, 0]
    assert found.classes == ("air drumming", "yoga", "zumba")
    assert found.missing == ("gone_000001_000002",)
    assert find_labeled_videos(data, "val", num_classes=3).labels.tolist() == [2]


def test_folders_of_pictures_are_found_by_the_clips_name(data: VideoListConfig, tmp_path: Path) -> None:
    put(tmp_path, "pictures/zumba/a-b_000010_000020/img_00001.jpg")
    pictures = data.model_copy(update={"videos": str(tmp_path / "pictures"), "pictures": object()})
    assert list_videos(pictures, "train").names[0] == "zumba/a-b_000010_000020"


def test_a_label_map_may_spell_blanks_as_folders_do(data: VideoListConfig, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("zumba\nair_drumming\n")
    named = data.model_copy(update={"classes": str(tmp_path / "classes.txt")})
    assert list_videos(named, "train").labels.tolist() == [0, 1, 0]
    with pytest.raises(InputError, match=r"val\.csv, line 3: 'yoga' is not a class of .*classes\.txt"):
        list_videos(named, "val")


def test_one_table_may_hold_all_parts(tmp_path: Path) -> None:
    rows = ["a,v1,0,1,train", "b,v2,0,1,validate", "a,v3,0,1,test"]
    path = table(tmp_path / "all.csv", *rows)
    data = VideoListConfig(videos=str(tmp_path), train=path, val=path)
    assert list_videos(data, "train").names == ("v1_000000_000001",)
    assert list_videos(data, "val").labels.tolist() == [1]


@pytest.mark.parametrize("gib", [1e6, 1e12, float("inf")])
def test_more_memory_than_there_can_be_is_refused(gib: float, data: VideoListConfig) -> None:
    with pytest.raises(InputError, match=r"data\.keep_gib is .* fewer GiB"):
        find_labeled_videos(data.model_copy(update={"keep_gib": gib}), "train", num_classes=3)
