"""The checker on MultiSports' files: planted faults are found by code, and none in a sound set."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actiondet.config import load_config
from data_tools.check_dataset.check import check_detection
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.sports import check_sports
from evaluation.formats.multisports import read_multisports

CONFIG = Path(__file__).parents[2] / "configs" / "toy" / "multisports_slowfast_r18.yaml"
Plant = Callable[[Path], object]


@pytest.fixture
def planted(toy: Path, tmp_path: Path) -> Path:
    shutil.copytree(toy / "multisports", tmp_path / "multisports")
    return tmp_path / "multisports"


def check(folder: Path, *settings: str, csv: bool = False) -> Report:
    paths = [f"data.videos={folder / 'trimmed_videos'}"]
    for part in ("train", "val"):
        truth = folder / (f"multisports_{part}.csv" if csv else "multisports_GT.pkl")
        paths += [f"data.{part}.truth={truth}", f"data.{part}.proposals={folder / 'person_boxes' / part}.pkl"]
    return check_detection(load_config(CONFIG, [*paths, *settings]), processes=1)[0]


def truth(change: Callable[[dict[str, Any], str], object], part: str = "train") -> Plant:
    """Change the truth; `change` gets it and the first video of a part."""

    def plant(folder: Path) -> None:
        path = folder / "multisports_GT.pkl"
        content = pickle.loads(path.read_bytes())
        change(content, content["test_videos" if part == "val" else "train_videos"][0][0])
        path.write_bytes(pickle.dumps(content))

    return plant


def first_tube(content: dict[str, Any], video: str) -> np.ndarray:
    tubes: np.ndarray = next(tubes for tubes in content["gttubes"][video].values() if tubes)[0]
    return tubes


def edit_boxes(change: Callable[[np.ndarray], None]) -> Plant:
    return truth(lambda content, video: change(first_tube(content, video)))


def boxes(change: Callable[[str, np.ndarray], tuple[str, np.ndarray] | None], part: str = "val") -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "person_boxes" / f"{part}.pkl"
        content = pickle.loads(path.read_bytes())
        changed = [change(key, np.array(value, dtype=np.float64)) for key, value in content.items()]
        path.write_bytes(pickle.dumps(dict(entry for entry in changed if entry is not None)))

    return plant


def twice(content: dict[str, Any], video: str) -> None:
    tubes = next(tubes for tubes in content["gttubes"][video].values() if tubes)
    tubes.append(tubes[0].copy())


def all_of_one_label(content: dict[str, Any], video: str) -> None:
    for name in content["test_videos"][0]:
        content["gttubes"][name] = {0: [tube for tubes in content["gttubes"][name].values() for tube in tubes]}


def nothing(folder: Path) -> None:
    pass


def videos(folder: Path) -> list[Path]:
    return sorted((folder / "trimmed_videos").rglob("*.mp4"))


def text_as_video(folder: Path) -> None:
    path = videos(folder)[0]
    path.write_text("hello")


def copy_into_val(folder: Path) -> None:
    content = pickle.loads((folder / "multisports_GT.pkl").read_bytes())
    names = [content[part][0][0] for part in ("train_videos", "test_videos")]
    source, target = (folder / "trimmed_videos" / f"{name}.mp4" for name in names)
    target.unlink()
    shutil.copy(source, target)


FAULTS: dict[str, tuple[Plant, list[str], str]] = {
    "no truth": (nothing, ["data.val.truth=/nowhere.pkl"], "file-missing"),
    "no pickle": (lambda folder: (folder / "multisports_GT.pkl").write_text("hello"), [], "truth-unreadable"),
    "a label beyond the names": (truth(lambda c, v: c["labels"].pop()), [], "truth-unreadable"),
    "too few columns of the model": (nothing, ["model.num_actions=6"], "num-actions"),
    "a head for single labels": (nothing, ["model.multi_label=false"], "head-single-label"),
    "a video in both parts": (truth(lambda c, v: c["test_videos"][0].append(v)), [], "leak-same-name"),
    "a copy in the other part": (copy_into_val, [], "leak-same-content"),
    "a tube beyond the count": (truth(lambda c, v: c["nframes"].update({v: 20})), [], "tube-beyond-count"),
    "a count of another rate": (truth(lambda c, v: c["nframes"].update({v: 150})), [], "frame-count"),
    "a tube beyond the file": (
        edit_boxes(lambda t: t.__setitem__((slice(None), 0), np.arange(500, 500 + len(t)))),
        [],
        "moment-beyond-video",
    ),
    "width and height exchanged": (
        truth(lambda c, v: c["resolution"].update({v: c["resolution"][v][::-1]})),
        [],
        "size-differs",
    ),
    "a box inside out": (edit_boxes(lambda t: t.__setitem__((0, slice(1, 5)), [90, 90, 20, 20])), [], "box-inverted"),
    "a box without area": (edit_boxes(lambda t: t.__setitem__((0, slice(1, 5)), 20)), [], "box-without-area"),
    "a box outside": (edit_boxes(lambda t: t.__setitem__((0, 3), 400)), [], "box-outside"),
    "a tube twice": (truth(twice), [], "duplicate-row"),
    "actions without validation": (truth(all_of_one_label, "val"), [], "class-without-val"),
    "a missing video": (lambda folder: videos(folder)[0].unlink(), [], "video-missing"),
    "text as a video": (text_as_video, [], "video-unreadable"),
    "no folder of videos": (nothing, ["data.videos=/nowhere"], "video-folder"),
    "proposals of other videos": (boxes(lambda key, v: (f"x{key}", v)), [], "proposals-unreadable"),
    "proposals of one more video": (
        boxes(
            lambda key, v: (
                (f"street/v_other_c001,{key.rpartition(',')[2]}", v) if int(key.rpartition(",")[2]) == 1 else (key, v)
            )
        ),
        [],
        "proposals-without-truth",
    ),
    "proposals in pixels": (boxes(lambda key, v: (key, v * [160, 120, 160, 120, 1])), [], "proposals-in-pixels"),
    "proposals of other frames": (
        boxes(lambda key, v: (f"{key.rpartition(',')[0]},{int(key.rpartition(',')[2]) + 5000}", v)),
        [],
        "proposals-for-none",
    ),
    "proposals that count from 0": (
        boxes(lambda key, v: (f"{key.rpartition(',')[0]},{int(key.rpartition(',')[2]) - 1}", v)),
        [],
        "proposals-before-frame-1",
    ),
    "half of the proposals": (
        boxes(lambda key, v: (key, v) if int(key.rpartition(",")[2]) % 2 else None),
        [],
        "truth-without-proposals",
    ),
    "low scores": (boxes(lambda key, v: (key, v * [1, 1, 1, 1, 0.01])), [], "scores-under-threshold"),
    "x and y exchanged": (boxes(lambda key, v: (key, v[:, [1, 0, 3, 2, 4]])), [], "proposal-recall"),
    "no file of proposals": (nothing, ["data.val.proposals=/nowhere.pkl"], "file-missing"),
}
WARNINGS = {"class-without-val", "proposals-before-frame-1", "proposals-without-truth"}
USUAL = {"class-without-train", "class-without-val"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, planted: Path) -> None:
    plant, settings, code = FAULTS[name]
    plant(planted)
    report = check(planted, *settings)
    assert code in {finding.code for finding in report.findings}
    assert report.failed or code in WARNINGS


def test_a_sound_set_has_no_error(planted: Path) -> None:
    content = pickle.loads((planted / "multisports_GT.pkl").read_bytes())
    tubes = sum(len(tubes) for by_label in content["gttubes"].values() for tubes in by_label.values())
    for csv in (False, True):
        report = check(planted, csv=csv)
        assert {finding.code for finding in report.findings} <= USUAL
        assert report.classes[["train", "val"]].to_numpy().sum() == tubes > 10


def test_labels_of_a_csv_that_count_from_one_are_recognized(planted: Path) -> None:
    for part in ("train", "val"):
        path = planted / f"multisports_{part}.csv"
        rows = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("".join(",".join([*row[:6], str(int(row[6]) + 1), *row[7:]]) + "\n" for row in rows))
    codes = {finding.code for finding in check(planted, csv=True).findings}
    assert codes & {"ids-off-by-one"}


def test_moments_are_told_as_frames(planted: Path) -> None:
    boxes(lambda key, v: (key, v) if int(key.rpartition(",")[2]) % 2 else None)(planted)
    report = check(planted)
    message = next(finding.message for finding in report.findings if finding.code == "truth-without-proposals")
    frame = message.rpartition(",")[2].rstrip("'")
    assert int(frame) % 2 == 0


def test_labels_of_another_sport_than_their_video_are_found(planted: Path) -> None:
    path = planted / "multisports_GT.pkl"
    content = pickle.loads(path.read_bytes())
    sports = {name: ("street", "park_games")[place % 2] for place, name in enumerate(sorted(content["gttubes"]))}
    renamed = {name: f"{sport}/{name.rpartition('/')[2]}" for name, sport in sports.items()}
    content["labels"] = [f"street {n}" for n in range(3)] + [f"park {n}" for n in range(4)]
    for key in ("gttubes", "nframes", "resolution"):
        content[key] = {renamed[name]: value for name, value in content[key].items()}
    for key in ("train_videos", "test_videos"):
        content[key] = [sorted(renamed.values())]
    for name, found in content["gttubes"].items():
        allowed = range(3) if name.startswith("street") else range(3, 7)
        content["gttubes"][name] = {label: tubes for label, tubes in found.items() if label in allowed}
    for step, codes in ((0, []), (1, ["label-of-other-sport"])):
        for name, found in content["gttubes"].items():
            content["gttubes"][name] = {(label + step) % 7: tubes for label, tubes in found.items()}
        path.write_bytes(pickle.dumps(content))
        report = Report()
        check_sports({"train": read_multisports(path)}, {"train": str(path)}, report)
        assert [finding.code for finding in report.findings] == codes
