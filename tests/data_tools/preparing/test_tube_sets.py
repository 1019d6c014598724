"""MultiSports, UCF101, UCF101-24 and JHMDB: every annotated video is there and is the annotated one."""

from __future__ import annotations

import csv
import pickle
import shutil
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from actiondet.config import load_config
from actiondet.config.recognition import Ucf101Config
from actiondet.data import build_test_set
from actiondet.datasets.labeled_videos import find_labeled_videos
from actiondet.video import index_video, open_video
from data_tools.preparing.place import Place
from data_tools.preparing.ucf101 import listed_videos
from evaluation.errors import InputError
from evaluation.formats.multisports import read_multisports
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[3]


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_program(f"data_tools.{program}", *arguments, "--processes", 1, cwd=ROOT)


def reasons(out: Path) -> dict[str, str]:
    with (out / "prepared.csv").open() as file:
        return {row["name"]: row["reason"] for row in csv.DictReader(file)}


def test_multisports_ends_with_what_the_configuration_reads(toy: Path, tmp_path: Path) -> None:
    source, out = toy / "multisports", tmp_path / "data/multisports"
    given = tmp_path / "given"
    given.mkdir()
    shutil.copy(source / "multisports_GT.pkl", given)
    for part in ("train", "val"):
        name = f"multisports_dense_proposals_{part}"
        shutil.copy(source / f"{name}.pkl", given / f"{name}.recall_96.13.pkl")
    done = run("prepare_multisports", "--videos", source / "trimmed_videos", "--annotations", given, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 of 3 are ready" in done.stdout
    assert "2 of 2 training videos and 1 of 1 test videos are there" in done.stdout
    config = load_config(ROOT / "configs/multisports/slowonly_r50_4x16_k400.yaml", [])
    labels = len(read_multisports(source / "multisports_GT.pkl").labels)
    placed = {"model.num_actions": labels, "data.videos": tmp_path / config.data.videos, "clip.frames": 1}
    for part in ("train", "val"):
        for key in ("truth", "proposals"):
            placed[f"data.{part}.{key}"] = tmp_path / getattr(getattr(config.data, part), key)
    config = load_config(
        ROOT / "configs/multisports/slowonly_r50_4x16_k400.yaml", [f"{key}={value}" for key, value in placed.items()]
    )
    test = build_test_set(config.data, clip=config.clip, transform=config.transform, num_actions=labels)
    assert len(test) > 0
    assert test.missing == ()


def test_videos_that_are_not_the_annotated_ones_are_refused(toy: Path, stamped: ModuleType, tmp_path: Path) -> None:
    truth = read_multisports(toy / "multisports/multisports_GT.pkl")
    names = [*truth.train_videos, *truth.test_videos]
    frames, (height, width) = truth.frame_counts[names[0]], truth.sizes[names[0]]
    videos = tmp_path / "videos"
    videos.mkdir()
    for name, count, size in ((names[0], frames + 1, (width, height)), (names[1], frames, (width * 2, height))):
        stamped.write_stamped(videos / f"{name.rpartition('/')[2]}.mp4", count, size=size)
    given = toy / "multisports/multisports_GT.pkl"
    done = run("prepare_multisports", "--videos", videos, "--annotations", given, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "0 of 3 are ready (0 made now), 2 failed, 1 missing" in done.stdout
    assert "not given yet, and read by the configurations: multisports_dense_proposals_train" in done.stdout
    told = " ".join(reasons(tmp_path / "out").values())
    assert f"has {frames + 1} frames, its annotations are for {frames}; expected the official file" in told
    assert f"is {width * 2}x{height}, its annotations are for {width}x{height} pixels" in told
    assert list((tmp_path / "out").rglob("*.mp4")) == []


def test_ucf101_ends_with_what_the_configuration_reads(toy: Path, tmp_path: Path) -> None:
    source, out = toy / "ucf101", tmp_path / "out"
    arguments = ["--videos", source / "UCF-101", "--annotations", source / "ucfTrainTestlist", "--split", 1]
    done = run("prepare_ucf101", *arguments, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    config = Ucf101Config(videos=str(out / "UCF-101"), splits=str(out / "ucfTrainTestlist"))
    labels = len((out / "ucfTrainTestlist/classInd.txt").read_text().splitlines())
    for part in ("train", "val"):
        videos = find_labeled_videos(config, part, num_classes=labels)  # type: ignore[arg-type]
        assert len(videos.names) > 0
        assert videos.missing == ()
    first = next((out / "UCF-101").rglob("*.avi"))
    assert first.samefile(source / "UCF-101" / first.relative_to(out / "UCF-101")), "a link, not a copy"
    moved = tmp_path / "moved"
    shutil.copytree(source / "UCF-101", moved)
    gone = next(moved.rglob("*.avi"))
    gone.unlink()
    again = run("prepare_ucf101", "--videos", moved, *arguments[2:], "--out", out)
    assert again.returncode == 0, "a source may go when its output is there"
    assert "(0 made now" in again.stdout
    recoded = run("prepare_ucf101", *arguments, "--out", tmp_path / "mp4", "--recode")
    assert recoded.returncode == 0
    target = tmp_path / "mp4/UCF-101" / first.relative_to(out / "UCF-101").with_suffix(".mp4")
    assert len(index_video(target)) == len(index_video(first))
    assert index_video(target).decord_unsafe is None
    recoded = run("prepare_ucf101", *arguments, "--out", out, "--recode")
    assert recoded.returncode == 0
    assert not first.exists(), "the earlier form of the same video would be found beside the new one"
    assert (source / "UCF-101" / first.relative_to(out / "UCF-101")).exists()
    assert (out / "prepared.csv").read_text().count(first.stem) == 1
    assert find_labeled_videos(config, "val", num_classes=labels).missing == ()  # type: ignore[arg-type]


def tubes_of(stamped: ModuleType, folder: Path, names: Sequence[str], frames: int = 12) -> None:
    for name in names:
        path = folder / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        stamped.write_stamped(path, frames, codec="mpeg4", rate=Fraction(25), size=(320, 240))


def test_ucf101_24_is_checked_and_written_in_a_layout_that_trains(tmp_path: Path, stamped: ModuleType) -> None:
    names = ["Basketball/v_Basketball_g01_c01", "Basketball/v_Basketball_g08_c01", "Biking/v_Biking_g08_c02"]
    videos, lists = tmp_path / "videos", tmp_path / "lists"
    tubes_of(stamped, videos, names)
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Basketball\n2 Biking\n")
    (lists / "testlist01.txt").write_text(f"{names[0]}.avi\n")
    (lists / "trainlist01.txt").write_text(f"{names[1]}.avi 1\n{names[2]}.avi 2\n")
    boxes = np.tile(np.array([200, 100, 100, 120], np.uint8), (5, 1))
    annotations = [[{"label": int("Biking" in name), "sf": 3, "ef": 8, "boxes": boxes}] for name in names]
    told = {name: {"annotations": each, "numf": 12} for name, each in zip(names, annotations, strict=True)}
    told[names[2]]["numf"] = 14
    (tmp_path / "pyannot.pkl").write_bytes(pickle.dumps(told, protocol=2))
    out = tmp_path / "out"
    arguments = ["--videos", videos, "--annotations", lists, "--split", 1, "--tubes", tmp_path / "pyannot.pkl"]
    done = run("prepare_ucf101", *arguments, "--out", out)
    assert done.returncode == 1, done.stderr
    assert "1 of 2 training videos and 1 of 1 test videos are there" in done.stdout
    assert "has 12 frames, its annotations are for 14" in reasons(out)[f"UCF-101/{names[2]}.avi"]
    truth = read_multisports(out / "annotations/ucf101_24_GT.pkl")
    assert truth.test_videos == (names[0],)
    assert truth.tubes.boxes[0].tolist() == [200, 100, 300, 220]
    assert truth.tubes.moments[:5].tolist() == [4, 5, 6, 7, 8]


def test_jhmdb_is_checked_in_all_three_splits(tmp_path: Path, stamped: ModuleType) -> None:
    names = ["catch/Ball_@_2_catch_f_cm_np1_fr_med_0", "kick_ball/Goal_1_@_2_kick_ball_f_cm_np1_fr_goo_2"]
    tubes_of(stamped, tmp_path / "ReCompress_Videos", names)
    tube = np.array([[frame, 10, 20, 100, 200] for frame in range(1, 13)], np.float32)
    content = {
        "labels": ["catch", "kick_ball"],
        "train_videos": [names[:1], names[1:], names[:1]],
        "test_videos": [names[1:], names[:1], names[1:]],
        "nframes": dict.fromkeys(names, 12),
        "resolution": dict.fromkeys(names, (240, 320)),
        "gttubes": {name: {label: [tube]} for label, name in enumerate(names)},
    }
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(content, protocol=2))
    arguments = ["--videos", tmp_path, "--annotations", tmp_path / "JHMDB-GT.pkl", "--out", tmp_path / "out"]
    done = run("prepare_jhmdb", *arguments, "--recode")
    assert (done.returncode, done.stderr) == (0, "")
    assert "split 3: 2 labels, 2 tubes, 1 of 1 training videos and 1 of 1 test videos are there" in done.stdout
    with open_video(tmp_path / "out/videos" / f"{names[0]}.mp4", reader="pyav") as reader:
        assert [stamped.read_stamp(image) for image in reader.read(range(12))] == list(range(12))
    content["test_videos"] = content["train_videos"]
    (tmp_path / "JHMDB-GT.pkl").write_bytes(pickle.dumps(content, protocol=2))
    refused = run("prepare_jhmdb", *arguments)
    assert (refused.returncode, "for training and for testing" in refused.stderr) == (2, True)


def test_a_video_on_another_disk_is_copied(
    tmp_path: Path, stamped: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    source = stamped.write_stamped(tmp_path / "a.mp4", 5)
    monkeypatch.setattr("os.link", refuse)
    assert Place(source=str(source), name="b/a.mp4").make(tmp_path) == 5
    assert (tmp_path / "b/a.mp4").read_bytes() == source.read_bytes()
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["a.mp4"]


def test_lists_that_lack_or_overlap_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"classInd\.txt lacks"):
        listed_videos(tmp_path, [1])
    (tmp_path / "classInd.txt").write_text("1 Biking\n")
    (tmp_path / "trainlist01.txt").write_text("Biking/a.avi 1\nBiking/b.avi 1\n")
    with pytest.raises(InputError, match=r"testlist01\.txt lacks"):
        listed_videos(tmp_path, [1])
    (tmp_path / "testlist01.txt").write_text("Biking/b.avi\n")
    with pytest.raises(InputError, match=r"testlist01\.txt: lists Biking/b\.avi, which .*trainlist01\.txt lists too"):
        listed_videos(tmp_path, [1])
