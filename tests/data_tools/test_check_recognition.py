"""The checker on lists of labeled videos: planted faults are found by code, and none in a sound set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from actiondet.config import load_recognition_config
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.labeled_videos import check_recognition
from tests.programs import run_program

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "toy" / "recognition_slowonly.yaml"
Plant = Callable[[Path], object]


@pytest.fixture
def planted(toy: Path, tmp_path: Path) -> Path:
    for name in ("kinetics", "ucf101"):
        shutil.copytree(toy / name, tmp_path / name)
    return tmp_path


def kinetics(folder: Path, *settings: str) -> Report:
    home = folder / "kinetics"
    paths = [
        f"data.videos={home}",
        f"data.classes={home / 'label_map.txt'}",
        *(f"data.{part}={home / part}.txt" for part in ("train", "val")),
    ]
    return check_recognition(load_recognition_config(CONFIG, [*paths, *settings]), processes=1, look=None)[0]


def ucf101(folder: Path, *settings: str) -> Report:
    home = folder / "ucf101"
    data = f"{{name: ucf101, videos: {home / 'UCF-101'}, splits: {home / 'ucfTrainTestlist'}}}"
    config = load_recognition_config(CONFIG, [f"data={data}", *settings])
    return check_recognition(config, processes=1, look=None)[0]


def lines(change: Callable[[list[str]], list[str]], *files: str) -> Plant:
    def plant(folder: Path) -> None:
        for file in files or ("train.txt",):
            path = folder / "kinetics" / file
            path.write_text("".join(line + "\n" for line in change(path.read_text().splitlines())))

    return plant


def relabeled(step: Callable[[int], int]) -> Callable[[list[str]], list[str]]:
    def change(listed: list[str]) -> list[str]:
        parted = [line.rpartition(" ") for line in listed]
        return [f"{name} {step(int(label))}" for name, _, label in parted]

    return change


def first_video(folder: Path, file: str = "train.txt") -> Path:
    name = (folder / "kinetics" / file).read_text().split(" ")[0]
    return folder / "kinetics" / name


def nothing(folder: Path) -> None:
    pass


def without_folders(folder: Path) -> None:
    """All videos in one folder, so that labels are told by the lists alone."""
    home = folder / "kinetics"
    for part in ("train", "val"):
        path = home / f"{part}.txt"
        listed = [line.rpartition(" ") for line in path.read_text().splitlines()]
        for name, _, _ in listed:
            shutil.move(home / name, home / Path(name).name)
        path.write_text("".join(f"{Path(name).name} {label}\n" for name, _, label in listed))


def swap_classes(folder: Path) -> None:
    path = folder / "kinetics" / "label_map.txt"
    names = path.read_text().splitlines()
    path.write_text("\n".join([names[1], names[0], *names[2:]]) + "\n")


def both(*plants: Plant) -> Plant:
    return lambda folder: [plant(folder) for plant in plants]


FAULTS: dict[str, tuple[Plant, list[str], str]] = {
    "labels from one": (lines(relabeled(lambda label: label + 1), "train.txt", "val.txt"), [], "labels-off-by-one"),
    "labels from one, without folders": (
        both(without_folders, lines(relabeled(lambda label: label + 1), "train.txt", "val.txt")),
        [],
        "labels-off-by-one",
    ),
    "a label beyond the classes": (
        lines(lambda t: [t[0].rpartition(" ")[0] + " 99", *t[1:]]),
        [],
        "label-out-of-range",
    ),
    "a wrong label": (lines(lambda t: [t[0].rpartition(" ")[0] + " 7", *t[1:]]), [], "label-not-of-folder"),
    "exchanged class names": (swap_classes, [], "label-not-of-folder"),
    "parts numbered otherwise": (
        lines(relabeled(lambda label: (label + 1) % 9), "val.txt"),
        ["data.classes=null"],
        "labels-differ-between-parts",
    ),
    "too few classes of the model": (nothing, ["model.num_classes=8"], "num-classes"),
    "no class names": (lambda folder: (folder / "kinetics" / "label_map.txt").write_text(""), [], "list-unreadable"),
    "a list that is not there": (nothing, ["data.val=/nowhere.txt"], "list-unreadable"),
    "a line without label": (lines(lambda t: ["video.mp4", *t]), [], "list-unreadable"),
    "an empty list": (lines(lambda t: []), [], "list-unreadable"),
    "a class without validation": (lines(lambda t: t[1:], "val.txt"), [], "class-without-val"),
    "a class without training": (
        lines(lambda t: [line for line in t if not line.endswith(" 3")]),
        [],
        "class-without-train",
    ),
    "a missing video": (lambda folder: first_video(folder).unlink(), [], "video-missing"),
    "an empty video": (lambda folder: first_video(folder).write_bytes(b""), [], "video-unreadable"),
    "text as a video": (lambda folder: first_video(folder).write_text("hello"), [], "video-unreadable"),
    "no folder of videos": (nothing, ["data.videos=/nowhere"], "video-folder"),
    "a video in both parts": (
        lambda folder: lines(
            lambda t: [*t, (folder / "kinetics" / "train.txt").read_text().splitlines()[0]], "val.txt"
        )(folder),
        [],
        "leak-same-name",
    ),
    "a copy in the other part": (
        lambda folder: shutil.copy(first_video(folder), first_video(folder, "val.txt")),
        [],
        "leak-same-content",
    ),
    "a line twice": (lines(lambda t: [*t, t[0]]), [], "video-listed-twice"),
    "two labels for a video": (lines(lambda t: [*t, t[0].rpartition(" ")[0] + " 8"]), [], "video-two-labels"),
    "more frames than there are": (
        lines(lambda t: [f"{line.rpartition(' ')[0]} 900 {line.rpartition(' ')[2]}" for line in t]),
        [],
        "fewer-frames",
    ),
    "clips longer than the videos": (nothing, ["clip.stride=32"], "shorter-than-clip"),
    "mirrored sides": (nothing, ["transform.flip=0.5"], "flip-of-sides"),
    "no such weights": (nothing, ["train.weights=/nowhere.pt"], "weights-missing"),
}
WARNINGS = {
    "class-without-val", "class-without-train", "video-listed-twice", "shorter-than-clip", "flip-of-sides",
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, planted: Path) -> None:
    plant, settings, code = FAULTS[name]
    plant(planted)
    report = kinetics(planted, *settings)
    assert code in {finding.code for finding in report.findings}
    assert report.failed or code in WARNINGS


def test_sound_sets_have_no_finding(planted: Path) -> None:
    for check in (kinetics, ucf101):
        report = check(planted)
        assert report.findings == []
        assert report.classes[["train", "val"]].to_numpy().min() > 0
        assert len(report.classes) == 9


def test_ucf101_in_folders_is_read(planted: Path) -> None:
    home = planted / "ucf101" / "UCF-101"
    for part, file in (("training", "trainlist01.txt"), ("validation", "testlist01.txt")):
        for line in (planted / "ucf101" / "ucfTrainTestlist" / file).read_text().splitlines():
            name = line.split()[0]
            (home / part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(home / name, home / part / name)
        (home / part / ".DS_Store").write_text("of macOS")
        (home / part / "readme.txt").write_text("no class")
    config = load_recognition_config(CONFIG, [f"data={{name: ucf101, videos: {home}, splits: null}}"])
    assert check_recognition(config, processes=1, look=None)[0].findings == []


def test_names_in_other_letters_tell_their_labels(planted: Path) -> None:
    home = planted / "kinetics"
    folders = {line.split("/")[1]: None for line in (home / "train.txt").read_text().splitlines()}
    named = {folder: f"动作{number}" for number, folder in enumerate(folders)}
    for part in ("train", "val"):
        for folder, name in named.items():
            (home / part / folder).rename(home / part / name)
        text = (home / f"{part}.txt").read_text()
        for folder, name in named.items():
            text = text.replace(f"/{folder}/", f"/{name}/")
        (home / f"{part}.txt").write_text(text)
    classes = ["" for _ in named]
    for line in (home / "train.txt").read_text().splitlines():
        classes[int(line.rpartition(" ")[2])] = line.split("/")[1]
    (home / "label_map.txt").write_text("\n".join(classes) + "\n")
    assert kinetics(planted).findings == []
    swap_classes(planted)
    assert {finding.code for finding in kinetics(planted).findings} == {"label-not-of-folder"}


def test_the_official_table_of_kinetics_is_checked(planted: Path) -> None:
    home = planted / "kinetics"
    names = (home / "label_map.txt").read_text().splitlines()
    for part in ("train", "val"):
        rows = ["label,youtube_id,time_start,time_end,split"]
        for number, line in enumerate((home / f"{part}.txt").read_text().splitlines()):
            path, _, label = line.rpartition(" ")
            youtube = f"{part[0]}{number:010d}"
            (home / path).rename((home / path).with_name(f"{youtube}_000000_000010.mp4"))
            rows.append(f"{names[int(label)]},{youtube},0,10,{part}")
        (home / f"{part}.csv").write_text("\n".join(rows) + "\n")
    settings = [f"data.{part}={home / part}.csv" for part in ("train", "val")]
    assert kinetics(planted, *settings).findings == []


def test_missing_and_broken_videos_that_may_be_left_out_are_warnings(planted: Path) -> None:
    first_video(planted).unlink()
    lines(lambda t: t)(planted)
    broken = planted / "kinetics" / (planted / "kinetics/train.txt").read_text().splitlines()[1].split(" ")[0]
    broken.write_bytes(b"")
    for settings, failed in (([], True), (["data.unreadable=skip"], False)):
        report = kinetics(planted, *settings)
        assert report.failed == failed
        assert {"video-missing", "video-unreadable"} <= {finding.code for finding in report.findings}


def test_clips_of_one_recording_in_both_parts_are_found(planted: Path) -> None:
    lists = planted / "ucf101" / "ucfTrainTestlist"
    train, val = (lists / name for name in ("trainlist01.txt", "testlist01.txt"))
    name = train.read_text().split(" ")[0]
    copied = name.replace("_c01", "_c09")
    shutil.copy(planted / "ucf101" / "UCF-101" / name, planted / "ucf101" / "UCF-101" / copied)
    val.write_text(val.read_text() + f"{copied}\n")
    codes = {finding.code for finding in ucf101(planted).findings}
    assert {"leak-recording", "leak-same-content"} <= codes


def test_only_some_videos_are_decoded_where_that_is_asked_for(planted: Path) -> None:
    home = planted / "kinetics"
    paths = [f"data.videos={home}", f"data.classes={home / 'label_map.txt'}"]
    paths += [f"data.{part}={home / part}.txt" for part in ("train", "val")]
    report, _, _ = check_recognition(load_recognition_config(CONFIG, paths), processes=1, look=3)
    assert next(value for _, what, value in report.facts if what == "read").startswith("3,")


def test_the_program_takes_recognition_configurations(planted: Path, tmp_path: Path) -> None:
    home = planted / "kinetics"
    settings = [f"data.videos={home}", f"data.classes={home / 'label_map.txt'}", "model.num_classes=8"]
    settings += [f"data.{part}={home / part}.txt" for part in ("train", "val")]
    more = ["--json", "-", "--sheet", tmp_path / "sheet.png"]
    done = run_program("data_tools.check_dataset", CONFIG, *settings, *more, cwd=ROOT)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["findings"][0]["code"] == "num-classes"
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
