"""AVA-Kinetics: a moment of the truth is the frame of the video that shows it, whichever line comes last."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from actiondet.config import load_config
from actiondet.data import EvaluationSet, build_test_set
from actiondet.data.loading import Draw
from actiondet.video import index_video
from data_tools.preparing.ava import annotation_files
from data_tools.preparing.ava_kinetics import Clip, choose_clips, find_clips, plan_clips
from data_tools.preparing.prepare import prepare
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList, write_action_list
from evaluation.formats.ava_kinetics import read_kinetics_boxes
from evaluation.formats.kinetics_table import KineticsClip
from evaluation.formats.person_boxes import read_proposals, write_proposals
from evaluation.records import FrameKey, PersonBoxes
from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[3]
FILM = "avafilm0001"
SECOND = 1_000_000
BOX = "0.1,0.1,0.5,0.9"
TRAIN = [
    f"kinetic_0-1,14.5,{BOX},12",
    f"kinetic_0-1,14.5,{BOX},80",
    f"kinetic_0-1,12.0,{BOX},12",
    f"whole_video,103.0,{BOX},12",
    f"whole_video,103.0,{BOX}",  # annotated by nobody
    f"missing_one,5.0,{BOX},12",
    f"kinetic_0-1,44.0,{BOX},12",  # outside of the clip that there is
]
VAL = [f"validation1,3.4,{BOX},80", "validation1,5.0"]
TABLE = "label,youtube_id,time_start,time_end,split\ntalking,whole_video,100,106,train\n"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, stamped: ModuleType) -> Path:
    """Prepared AVA, Kinetics videos, and the archive of annotations."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("ava/videos", "ava/annotations", "kinetics/train", "archive"):
        (folder / name).mkdir(parents=True)
    stamped.write_stamped(folder / "ava/videos" / f"{FILM}.mp4", 150, rate=Fraction(30))
    clip = folder / "kinetics/train/kinetic_0-1_000012_000018.mp4"
    stamped.write_stamped(clip, 180, rate=Fraction(30))
    options = {"preset": "ultrafast", "g": "50"}
    stamped.write_stamped(folder / "kinetics/whole_video.mkv", 110 * 25, rate=Fraction(25), options=options)
    stamped.write_stamped(folder / "kinetics/validation1_000001_000007.mp4", 72, rate=Fraction(12))
    (folder / "table.csv").write_text(TABLE)
    files = annotation_files("2.2")
    actions = ActionList((12, 80), ("stand", "watch"), (None, None))
    for name in (files.actions, files.evaluated):
        write_action_list(folder / "archive" / name, actions)
    for name in files.truth:
        (folder / "archive" / name).write_text(f"{FILM},0902,{BOX},12,3\n{FILM},0904,{BOX},80,3\n")
    for name in files.excluded:
        (folder / "ava/annotations" / name).write_text(f"{FILM},0904\n")
    (folder / "archive/kinetics_train_v1.0.csv").write_text("\n".join(TRAIN) + "\n")
    (folder / "archive/kinetics_val_v1.0.csv").write_text("\n".join(VAL) + "\n")
    with tarfile.open(folder / "ava_kinetics_v1_0.tar.gz", "w:gz") as archive:
        archive.add(folder / "archive", "ava_kinetics_v1_0")
    return folder


def run(sources: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = [
        *("--videos", str(sources / "kinetics")),
        *("--annotations", str(sources / "ava_kinetics_v1_0.tar.gz"), "--ava", str(sources / "ava")),
        *("--table", str(sources / "table.csv"), "--out", str(out), "--processes", "2", *more),
    ]
    return run_program("data_tools.prepare_ava_kinetics", *arguments, cwd=ROOT)


def settings(out: Path, *more: str) -> list[str]:
    at = f"{out}/annotations"
    files = annotation_files("2.2")
    return [
        *(f"data.videos={out}/videos", f"data.actions={at}/{files.actions}", f"data.train.truth={at}/{files.truth[0]}"),
        *(f"data.evaluated_actions={at}/{files.evaluated}", f"data.val.truth={at}/{files.truth[1]}"),
        *(f"data.train.excluded={at}/{files.excluded[0]}", f"data.val.excluded={at}/{files.excluded[1]}"),
        *("data.train.proposals=null", "data.val.proposals=null", "transform.test_short_side=64", *more),
    ]


def shown_in(data: EvaluationSet, index: int, stamped: ModuleType) -> list[int]:
    """The numbers that the frames of a clip show."""
    clip = data[Draw(0, index)].frames
    return [stamped.read_stamp(frame) for frame in clip.permute(1, 2, 3, 0).numpy()]


@pytest.fixture(scope="module")
def prepared(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "out"
    done = run(sources, out)
    assert done.returncode == 1, "one video is missing"
    assert "missing: videos/missing_one.mp4: its source video was not found" in done.stdout
    assert "4 of 5 are ready (4 made now), 1 missing" in done.stdout
    assert "Kinetics, training: 3 key frames, 0 of them with person boxes" in done.stdout
    assert "Kinetics, validation: 2 key frames" in done.stdout
    assert done.stderr == ""
    return out


# Which stamp the frame of each moment must show: (time - start of its clip) x frames a second.
FRAMES = {
    (FILM, 902 * SECOND): 60,
    ("kinetic_0-1_000012_000018", 12 * SECOND): 0,
    ("kinetic_0-1_000012_000018", 14_500_000): 75,
    ("whole_video_000100_000106", 103 * SECOND): 2500 + 75,
}
VAL_FRAMES = {(FILM, 902 * SECOND): 60, ("validation1_000001_000007", 3_400_000): 29}
BOUNDS = {"avafilm": (0, 149), "kinetic": (0, 179), "whole_v": (2500, 2649), "validat": (0, 71)}


@pytest.mark.parametrize("last", ["kinetics", "ava"])
def test_one_frame_of_truth_is_one_frame_of_video_whichever_line_comes_last(
    prepared: Path, stamped: ModuleType, tmp_path: Path, last: str
) -> None:
    truth = tmp_path / "train.csv"
    lines = (prepared / "annotations/ava_train_v2.2.csv").read_text().splitlines()
    assert lines[0].startswith(FILM)
    truth.write_text("\n".join(lines if last == "kinetics" else lines[::-1]) + "\n")
    for length, stride in ((1, 1), (8, 8), (32, 2)):
        overrides = settings(prepared, f"data.train.truth={truth}", f"clip.frames={length}", f"clip.stride={stride}")
        config = load_config(ROOT / "configs/ava_kinetics/slowonly_r50_4x16_k700.yaml", overrides)
        training = build_test_set(
            config.data, clip=config.clip, transform=config.transform, num_actions=80, split="train"
        )
        centers = {}
        for index, key in enumerate(training.keys):
            frames = shown_in(training, index, stamped)
            centers[tuple(key)] = frames[length // 2]
            low, high = BOUNDS[key.video[:7]]
            assert low <= min(frames) <= max(frames) <= high, "a clip is clamped to its own file"
            step = {"whole_v": 25 / 30}.get(key.video[:7], 1) * stride
            ideal = frames[length // 2] + (np.arange(length) - length // 2) * step
            assert np.abs(np.array(frames) - np.clip(ideal, low, high)).max() < 1
        assert centers == FRAMES


def test_the_validation_part_of_kinetics_is_scored_as_well(prepared: Path, stamped: ModuleType) -> None:
    for name, expected in (
        ("ava_kinetics_val_v1.0.csv", VAL_FRAMES),
        ("kinetics_val_v1.0.csv", {key: frame for key, frame in VAL_FRAMES.items() if key[0] != FILM}),
        ("ava_val_v2.2.csv", {key: frame for key, frame in VAL_FRAMES.items() if key[0] == FILM}),
    ):
        overrides = settings(prepared, f"data.val.truth={prepared}/annotations/{name}", "clip.frames=1")
        config = load_config(ROOT / "configs/ava_kinetics/slowonly_r50_4x16_k700.yaml", overrides)
        test = build_test_set(config.data, clip=config.clip, transform=config.transform, num_actions=80)
        shown = {tuple(key): shown_in(test, index, stamped)[0] for index, key in enumerate(test.keys)}
        assert shown == expected
        if name.startswith("kinetics"):
            assert test.truth.empty_moments == (FrameKey("validation1_000001_000007", 5 * SECOND),)


def test_moments_keep_fractions_and_persons_keep_their_identities(prepared: Path) -> None:
    assert (prepared / "annotations/ava_train_v2.2.csv").read_text().splitlines() == [
        f"{FILM},0902,{BOX},12,3",
        f"{FILM},0904,{BOX},80,3",
        f"kinetic_0-1_000012_000018,0014.5,{BOX},12,-1",
        f"kinetic_0-1_000012_000018,0014.5,{BOX},80,-1",
        f"kinetic_0-1_000012_000018,0012,{BOX},12,-1",
        f"whole_video_000100_000106,0103,{BOX},12,-1",
    ]


def test_a_clip_that_needs_no_cut_is_the_file_itself_and_films_are_links(prepared: Path, sources: Path) -> None:
    clip = "kinetic_0-1_000012_000018.mp4"
    assert (prepared / "videos" / clip).read_bytes() == (sources / "kinetics/train" / clip).read_bytes()
    assert (prepared / "videos" / f"{FILM}.mp4").samefile(sources / "ava/videos" / f"{FILM}.mp4")
    assert len(index_video(prepared / "videos/whole_video_000100_000106.mp4")) == 150


def test_a_second_run_with_boxes_merges_each_once(sources: Path, prepared: Path, tmp_path: Path) -> None:
    def boxes(video: str, seconds: float) -> PersonBoxes:
        key = FrameKey(video, round(seconds * SECOND))
        return PersonBoxes(key, np.array([[0.1, 0.1, 0.5, 0.9]], np.float32), np.array([0.95], np.float32))

    out = tmp_path / "out"
    shutil.copytree(prepared, out)
    before = (out / "annotations/ava_train_v2.2.csv").read_text()
    ava = annotation_files("2.2").proposals
    for name in ava:
        write_proposals(out / "annotations/official" / name, [boxes(FILM, 902)])
    found = [boxes("kinetic_0-1_000012_000018", 14.5), boxes("whole_video", 103), boxes("validation1", 3.4)]
    write_proposals(tmp_path / "kinetics.pkl", [*found, boxes("missing_one", 5)])
    done = run(sources, out, "--proposals", str(tmp_path / "kinetics.pkl"), "--allow-missing")
    assert done.returncode == 0, done.stdout
    assert "(0 made now, 4 before)" in done.stdout
    assert "training: 3 key frames, 2 of them with person boxes" in done.stdout
    assert (out / "annotations/ava_train_v2.2.csv").read_text() == before
    train = read_proposals(out / "annotations" / ava[0])
    assert {tuple(key) for key in train} == {
        (FILM, 902 * SECOND),
        ("kinetic_0-1_000012_000018", 14_500_000),
        ("whole_video_000100_000106", 103 * SECOND),
    }
    assert {key.video for key in read_proposals(out / "annotations" / ava[1])} == {FILM}
    merged = read_proposals(out / "annotations/ava_kinetics_dense_proposals_val.pkl")
    assert {key.video for key in merged} == {FILM, "validation1_000001_000007"}


@pytest.mark.parametrize(
    ("frames", "moment", "message"),
    [
        (180, 17.5, None),
        (150, 17.5, r"lasts 5\.00 s, its piece begins at 0 s, expected at least 5\.5 s"),
        (240, 17.5, r"lasts 8\.00 s, expected at most 7 s by its name; it was cut at some other place"),
        (180, 30.0, r"its annotated key frames lie outside of kinetic0001_000012_000018"),
    ],
)
def test_a_clip_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, stamped: ModuleType, frames: int, moment: float, message: str | None
) -> None:
    (tmp_path / "videos").mkdir()
    stamped.write_stamped(tmp_path / "videos/kinetic0001_000012_000018.mp4", frames, rate=Fraction(30))
    keys = [FrameKey("kinetic0001", round(moment * SECOND))]
    clips = find_clips(tmp_path / "videos", tmp_path / "out", ["kinetic0001"], None)
    jobs = plan_clips(keys, clips, choose_clips(keys, clips), None)
    summary = prepare(tmp_path / "out", jobs, processes=1, title="clips")
    assert [outcome.state for outcome in summary.outcomes] == ["made" if message is None else "failed"]
    if message is not None:
        import re

        assert re.search(message, summary.outcomes[0].reason)


def test_a_moment_between_two_clips_is_the_beginning_of_the_second() -> None:
    clips = {"a": [Clip("a", 0, 10, "x"), Clip("a", 10, 20, "y"), Clip("a", 40, 50, "z")]}
    keys = [FrameKey("a", seconds * SECOND) for seconds in (0, 10, 20, 30, 45)]
    chosen = choose_clips(keys, clips)
    assert [chosen[key].source if key in chosen else None for key in keys] == ["x", "y", "y", None, "z"]


def test_a_whole_video_needs_the_table(tmp_path: Path) -> None:
    (tmp_path / "whole_video.mp4").touch()
    with pytest.raises(InputError, match="is a whole video; give Kinetics' official tables by --table"):
        find_clips(tmp_path, tmp_path / "out", ["whole_video"], None)
    row = KineticsClip("talking", "whole_video", 3, 13, "train", 2)
    assert find_clips(tmp_path, tmp_path / "out", ["whole_video"], [row])["whole_video"] == [
        Clip("whole_video", 3, 13, str(tmp_path / "whole_video.mp4"), whole=True)
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("abc,x,0.1,0.1,0.5,0.9,12", 'line 2: time "x"'),
        ("abc,1.0,10,20,50,90,12", "line 2: .*looks like pixels"),
        ("abc,1.0,0.5,0.1,0.1,0.9,12", "line 2: .*inside out"),
        ("abc,1.0,0.1,0.1,0.5,0.9,12,7", "line 2: 8 columns"),
        ("abc,1.0,0.1,0.1", "line 2: 4 columns"),
    ],
)
def test_a_faulty_row_is_named_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "kinetics_train_v1.0.csv"
    path.write_text(f"abc,1.0,{BOX},12\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_kinetics_boxes(path)


def test_rows_without_action_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "kinetics_train_v1.0.csv"
    path.write_text(f"abc,1.0,{BOX},12\nabc,2.0,{BOX}\nabc,3.25\nabc,4.0,,,,,\n")
    truth = read_kinetics_boxes(path)
    assert (len(truth), truth.labels.tolist()) == (1, [12])
    assert truth.empty_moments == (FrameKey("abc", 3_250_000), FrameKey("abc", 4_000_000))
