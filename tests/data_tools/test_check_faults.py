"""Faults as they happen, mostly in one video among many, are found by the checker; and nothing in sound sets.

Each row of FAULTS is planted in a copy of one toy set and must be found by its code and severity.
"""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from actiondet.config import load_config, load_recognition_config
from actiondet.video import stream_frames
from data_tools.check_dataset.check import check_detection
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.labelled_videos import check_recognition
from data_tools.toy import making
from data_tools.toy.films import encode

CONFIGS = Path(__file__).parents[2] / "configs" / "toy"
SIZE = making.Size(frame=(160, 120), poster=(160, 120), films=(10, 3), tubes=(6, 3), seconds=9, groups=(2, 1), clips=1)
FILM = "toy_train_004"
Settings = list[str]
Plant = Callable[[Path], Settings | None]
Frames = list[np.ndarray]
Rows = list[list[str]]


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy set in all three forms, of enough films that one can be unlike the others."""
    folder = tmp_path_factory.mktemp("town")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(making.SIZES, "town", SIZE)
        making.make(folder, seed=3, size="town", processes=1)
    return folder


@pytest.fixture
def planted(town: Path, tmp_path: Path) -> Path:
    """A copy whose videos are links: what changes a video replaces its file."""
    for path in town.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(town)
            copy.parent.mkdir(parents=True, exist_ok=True)
            (os.link if path.suffix in (".mp4", ".avi") else shutil.copy)(path, copy)
    return tmp_path


# ---------------------------------------------------------------------------------------------------------- the checks


def ava(folder: Path, settings: Sequence[str]) -> Report:
    home = folder / "ava"
    given = [
        f"data.videos={folder / 'videos'}",
        f"data.actions={home / 'action_list.pbtxt'}",
        f"data.evaluated_actions={home / 'action_list_eval.pbtxt'}",
        *(f"data.{part}.truth={home / f'ava_{part}.csv'}" for part in ("train", "val")),
        *(f"data.{part}.proposals={home / f'dense_proposals_{part}.pkl'}" for part in ("train", "val")),
        *(f"data.{part}.excluded={home / f'ava_{part}_excluded_timestamps.csv'}" for part in ("train", "val")),
    ]
    return check_detection(load_config(CONFIGS / "slowonly_r18.yaml", [*given, *settings]), processes=1)[0]


def tubes(folder: Path, settings: Sequence[str]) -> Report:
    home = folder / "multisports"
    given = [f"data.videos={home / 'trimmed_videos'}"]
    for part in ("train", "val"):
        given += [f"data.{part}.truth={home / 'multisports_GT.pkl'}"]
        given += [f"data.{part}.proposals={home / 'person_boxes' / part}.pkl"]
    return check_detection(load_config(CONFIGS / "multisports_slowfast_r18.yaml", [*given, *settings]), processes=1)[0]


def lists(folder: Path, settings: Sequence[str]) -> Report:
    home = folder / "kinetics"
    given = [f"data.videos={home}", f"data.classes={home / 'label_map.txt'}"]
    given += [f"data.{part}={home / part}.txt" for part in ("train", "val")]
    config = load_recognition_config(CONFIGS / "recognition_slowonly.yaml", [*given, *settings])
    return check_recognition(config, processes=1, look=None)[0]


# ------------------------------------------------------------------------------------------------- ways to plant faults


def film(change: Callable[[Frames], Frames], *, name: str = f"videos/{FILM}.mp4", source: str | None = None) -> Plant:
    """Code a video again with other frames, those of `source` if it is given."""

    def plant(folder: Path) -> None:
        frames = change([frame for _, frame in stream_frames(folder / (source or name))])
        (folder / name).unlink()
        encode(folder / name, frames, (frames[0].shape[1], frames[0].shape[0]))

    return plant


def truth(change: Callable[[Rows], Rows], part: str = "train") -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "ava" / f"ava_{part}.csv"
        table = change([line.split(",") for line in path.read_text().splitlines()])
        path.write_text("".join(",".join(row) + "\n" for row in table))

    return plant


def of_film(change: Callable[[list[str]], list[str]], name: str = FILM) -> Plant:
    """Change the truth of one film, row by row."""
    return truth(lambda table: [change(row) if row[0] == name else row for row in table])


def boxed(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[list[str]], list[str]]:
    """Change the box of a row, x1, y1, x2, y2."""
    return lambda row: [*row[:2], *(f"{value:.3f}" for value in change(np.array(row[2:6], dtype=float))), *row[6:]]


def proposals(change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]], part: str = "train") -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "ava" / f"dense_proposals_{part}.pkl"
        path.write_bytes(pickle.dumps(change(pickle.loads(path.read_bytes()))))

    return plant


def proposed(change: Callable[[np.ndarray], np.ndarray], name: str = FILM) -> Plant:
    """Change the proposals of one film, (N, 4) boxes at a time; of all films with an empty name."""

    def on_boxes(value: Any) -> np.ndarray:
        rows = np.array(value, dtype=np.float64)
        return np.concatenate([np.clip(change(rows[:, :4]), 0, 1), rows[:, 4:]], axis=1)

    return proposals(lambda c: {key: on_boxes(value) if key.startswith(name) else value for key, value in c.items()})


def mirrored(boxes: np.ndarray) -> np.ndarray:
    return np.stack([1 - boxes[..., 2], boxes[..., 1], 1 - boxes[..., 0], boxes[..., 3]], axis=-1)


def from_bottom(boxes: np.ndarray) -> np.ndarray:
    return np.stack([boxes[..., 0], 1 - boxes[..., 3], boxes[..., 2], 1 - boxes[..., 1]], axis=-1)


def heads(boxes: np.ndarray) -> np.ndarray:
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)
    return np.stack([left, top, right, top + 0.22 * (bottom - top)], axis=-1)


def both(*plants: Plant) -> Plant:
    return lambda folder: [setting for plant in plants for setting in plant(folder) or []]


def settings(*given: str) -> Plant:
    return lambda folder: list(given)


def file(change: Callable[[Path], object]) -> Plant:
    return lambda folder: change(folder) and None


def pictures(folder: Path, names: Iterator[Path] | None = None) -> Settings:
    """Turn the videos into folders of pictures."""
    for path in names or sorted((folder / "videos").glob("*.mp4")):
        home = path.with_suffix("")
        home.mkdir()
        for number, (_, frame) in enumerate(stream_frames(path), start=1):
            if number % 3 == 1:
                cv2.imwrite(str(home / f"img_{(number + 2) // 3:05d}.jpg"), frame[..., ::-1])
        path.unlink()
    return ["data.pictures={fps: 10}"]


def in_pictures(change: Callable[[Path], object]) -> Plant:
    """Change a picture of one film."""

    def plant(folder: Path) -> Settings:
        given = pictures(folder)
        change(folder / "videos" / FILM / "img_00031.jpg")
        return given

    return plant


def halve(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def resize(path: Path) -> None:
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (80, 60)))


def gt(change: Callable[[dict[str, Any]], object]) -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "multisports" / "multisports_GT.pkl"
        content = pickle.loads(path.read_bytes())
        change(content)
        path.write_bytes(pickle.dumps(content))

    return plant


def first_clip(folder: Path, file: str) -> str:
    return (folder / "kinetics" / file).read_text().split(" ")[0]


def copy_clip(change: Callable[[Frames], Frames]) -> Plant:
    """Put a changed copy of a training clip into validation."""
    return lambda folder: film(
        change,
        name=f"kinetics/{first_clip(folder, 'val.txt')}",
        source=f"kinetics/{first_clip(folder, 'train.txt')}",
    )(folder)


def text(file: str, change: Callable[[str], str]) -> Plant:
    def plant(folder: Path) -> None:
        path = folder / file
        path.write_text(change(path.read_text()))

    return plant


# ------------------------------------------------------------------------------------------------------------ the table


@dataclass(frozen=True)
class Fault:
    """What is planted, which check runs, and what must be said."""

    plant: Plant
    code: str
    severity: str = "error"
    check: Callable[[Path, Sequence[str]], Report] = ava
    says: str = ""
    never: str = ""


FAULTS: dict[str, Fault] = {
    # Files and folders.
    "a film of one frame": Fault(film(lambda f: f[:1]), "video-one-frame"),
    "a clip of one frame": Fault(
        lambda folder: film(lambda f: f[:1], name=f"kinetics/{first_clip(folder, 'train.txt')}")(folder),
        "video-one-frame",
        check=lists,
    ),
    "a picture of another size": Fault(in_pictures(resize), "video-unreadable", says="img_00031.jpg is 80x60"),
    "half a JPEG": Fault(in_pictures(halve), "video-unreadable", says="the end of the JPEG is missing"),
    "a picture that is text": Fault(
        in_pictures(lambda path: path.write_text("hello")), "video-unreadable", says="img_00031.jpg"
    ),
    "folders of pictures without data.pictures": Fault(
        lambda folder: pictures(folder) and None, "videos-are-folders", never="video-name", says="set data.pictures="
    ),
    "data.pictures with video files": Fault(
        settings("data.pictures={fps: 30}"), "videos-are-files", never="video-name", says="data.pictures=null"
    ),
    # One video in both parts.
    "a mirrored copy of a training film in validation": Fault(
        film(lambda f: [frame[:, ::-1] for frame in f], name="videos/toy_val_001.mp4", source=f"videos/{FILM}.mp4"),
        "leak-look-alike",
        "warning",
        says=", mirrored",
    ),
    "an upside-down copy of a clip in validation": Fault(
        copy_clip(lambda f: [frame[::-1] for frame in f]), "leak-look-alike", "warning", lists, says="upside down"
    ),
    "a copy played backward in validation": Fault(
        film(lambda f: f[::-1], name="videos/toy_val_001.mp4", source=f"videos/{FILM}.mp4"),
        "leak-look-alike",
        "warning",
        says="played backward",
    ),
    # Names.
    "two classes of one name": Fault(
        text("kinetics/label_map.txt", lambda t: t.replace("walk_left", "walk_right")),
        "action-name-twice",
        "warning",
        lists,
    ),
    "two actions whose names differ in case": Fault(
        text("ava/action_list.pbtxt", lambda t: t.replace('"jump"', '"Stand"')), "action-name-twice", "warning"
    ),
    "two labels of tubes of one name": Fault(
        gt(lambda c: c["labels"].__setitem__(1, c["labels"][0])), "action-name-twice", "warning", tubes
    ),
    # Rates.
    "films of fewer frames a second than a clip takes": Fault(
        both(film(lambda f: f), settings("clip.stride=2", "clip.clip_fps=120")),
        "frame-rate-low",
        "warning",
        says="raise clip.stride to 4",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, planted: Path) -> None:
    fault = FAULTS[name]
    report = fault.check(planted, fault.plant(planted) or [])
    found = [finding for finding in report.findings if finding.code == fault.code]
    assert found, [(finding.code, finding.message) for finding in report.findings]
    assert found[0].severity == fault.severity
    assert fault.says in f"{found[0].message} -> {found[0].remedy}"
    assert not fault.never or fault.never not in {finding.code for finding in report.findings}
