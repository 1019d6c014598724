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
from filelock import FileLock

from actiondet.config import load_config, load_recognition_config
from actiondet.video import VideoWriter, stream_frames
from data_tools.check_dataset import evidence, motion, videos
from data_tools.check_dataset.check import check_detection
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.labeled_videos import check_recognition
from data_tools.toy import making, sizes
from data_tools.toy.films import encode

CONFIGS = Path(__file__).parents[2] / "configs" / "toy"
SIZE = sizes.Size(frame=(160, 120), poster=(160, 120), films=(10, 3), tubes=(6, 3), seconds=9, groups=(2, 1), clips=1)
FILM, OTHER = "toy_train_003", "toy_train_006"
Settings = list[str]
Plant = Callable[[Path], Settings | None]
Frames = list[np.ndarray]
Rows = list[list[str]]


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy set in all three forms, of enough films that one can be unlike the others; all workers read the same."""
    home = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        home = home.parent  # each worker has a folder of its own in it
    folder, made = home / "town", home / "town.made"
    with FileLock(home / "town.lock"), pytest.MonkeyPatch.context() as patch:
        if not made.exists():
            patch.setitem(sizes.SIZES, "town", SIZE)
            making.make(folder, seed=3, size="town", processes=1)
            made.touch()
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


@pytest.fixture(scope="session")
def seen() -> dict[object, object]:
    """What was seen of files that did not change since."""
    return {}


@pytest.fixture(autouse=True)
def look_once(monkeypatch: pytest.MonkeyPatch, seen: dict[object, object]) -> None:
    """Look at every file once, not at each fault again: the links of a copy have the number of their file."""

    def once(look: Callable[[Any], Any], key: Callable[[Any], tuple[Path, object]]) -> Callable[[Any], Any]:
        def remembered(job: Any) -> Any:
            path, rest = key(job)
            name = (look.__name__, file_mark(path), rest)
            if name not in seen:
                seen[name] = look(job)
            return seen[name]

        return remembered

    monkeypatch.setattr(videos, "_look", once(videos._look, lambda job: (Path(job[0]), repr(job[1]))))

    def key(job: evidence.FilmJob) -> tuple[Path, object]:
        boxes = tuple(box.tobytes() for box in job.boxes)
        return job.path, (job.video, repr(job.pictures), job.instants.tobytes(), boxes)

    monkeypatch.setattr(motion, "gather", once(motion.gather, key))


def file_mark(path: Path) -> object:
    """What changes with a file; folders of pictures are written again for each fault, and known by their sizes."""
    if path.is_dir():
        return path.name, tuple(picture.stat().st_size for picture in sorted(path.iterdir()))
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


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


def upper(boxes: np.ndarray) -> np.ndarray:
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)
    return np.stack([left, top, right, top + 0.45 * (bottom - top)], axis=-1)


def later(name: str, key: str, value: Any, steps: int) -> tuple[str, Any]:
    """Move the boxes of one film in time."""
    video, _, moment = key.rpartition(",")
    return (f"{video},{int(moment) + steps:0{len(moment)}d}" if video.startswith(name) else key), value


def tube_boxes(change: Callable[[str, Any], tuple[str, Any]], part: str = "train") -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "multisports" / "person_boxes" / f"{part}.pkl"
        path.write_bytes(pickle.dumps(dict(change(*entry) for entry in pickle.loads(path.read_bytes()).items())))

    return plant


def shift_tubes(content: dict[str, Any], frames: int) -> None:
    """Move the tubes of the first training film; what would be beyond its end is dropped."""
    name = content["train_videos"][0][0]
    for label, found in content["gttubes"][name].items():
        moved = [tube + np.array([frames, 0, 0, 0, 0], tube.dtype) for tube in found]
        content["gttubes"][name][label] = [
            kept for tube in moved if len(kept := tube[tube[:, 0] <= content["nframes"][name]])
        ]


def shift_labels(content: dict[str, Any], videos: Sequence[str] | None = None) -> None:
    """Give all tubes, or those of some videos, the label after their own."""
    count = len(content["labels"])
    for name in content["gttubes"] if videos is None else videos:
        content["gttubes"][name] = {(label + 1) % count: found for label, found in content["gttubes"][name].items()}


def redraw_ids(table: Rows) -> Rows:
    """Exchange the ids of every moment's persons at random."""
    random, drawn = np.random.default_rng(0), []
    for moment in sorted({(row[0], row[1]) for row in table}):
        ours = [row for row in table if (row[0], row[1]) == moment]
        ids = sorted({row[7] for row in ours})
        exchanged = dict(zip(ids, random.permutation(ids).tolist(), strict=True))
        drawn += [[*row[:7], exchanged[row[7]]] for row in ours]
    return drawn


def damage(folder: Path) -> None:
    """Overwrite what is in the middle of a video, between the frames that every check looks at."""
    path = folder / "videos" / f"{FILM}.mp4"
    content = bytearray(path.read_bytes())
    begin = int(0.6 * len(content))
    content[begin : begin + len(content) // 5] = bytes(len(content) // 5)
    path.unlink()
    path.write_bytes(content)


def first_tube_video(folder: Path) -> str:
    content = pickle.loads((folder / "multisports" / "multisports_GT.pkl").read_bytes())
    return f"multisports/trimmed_videos/{content['train_videos'][0][0]}.mp4"


def exchange(name: str, other: str) -> Callable[[Rows], Rows]:
    names = {name: other, other: name}
    return lambda table: sorted([names.get(row[0], row[0]), *row[1:]] for row in table)


def swap_files(folder: Path) -> None:
    first, second = (folder / "videos" / f"{name}.mp4" for name in (FILM, OTHER))
    first.rename(folder / "third")
    second.rename(first)
    (folder / "third").rename(second)


def barred(frame: np.ndarray) -> np.ndarray:
    height, width, _ = frame.shape
    small = cv2.resize(frame, (width, height - 2 * (height // 8)), interpolation=cv2.INTER_AREA)
    return np.pad(small, ((height // 8, height // 8), (0, 0), (0, 0)))


def at_sides(frame: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(barred(frame.transpose(1, 0, 2)).transpose(1, 0, 2))


def cropped(frame: np.ndarray) -> np.ndarray:
    height, width, _ = frame.shape
    return cv2.resize(frame[height // 10 : -(height // 10), width // 10 : -(width // 10)], (width, height))


def played(factor: float) -> Callable[[Frames], Frames]:
    """Make a film last `factor` times as long, at the same rate."""
    return lambda frames: [frames[int(number / factor)] for number in range(int(len(frames) * factor))]


def from_half(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Frames], Frames]:
    return lambda frames: [*frames[: len(frames) // 2], *(change(frames[len(frames) // 2]) for _ in frames[::2])]


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
    # One film's pictures, while its annotations stay.
    "a mirrored film": Fault(film(lambda f: [x[:, ::-1] for x in f]), "film-elsewhere", says="mirrored left to right"),
    "a film upside down": Fault(film(lambda f: [x[::-1] for x in f]), "film-elsewhere", says="upside down"),
    "a film turned by 180 degrees": Fault(
        film(lambda f: [x[::-1, ::-1] for x in f]), "film-elsewhere", says="turned by 180"
    ),
    "black bars above and below": Fault(film(lambda f: list(map(barred, f))), "film-elsewhere", says="of the height"),
    "black bars at the sides": Fault(film(lambda f: list(map(at_sides, f))), "film-elsewhere", says="of the width"),
    "borders cut off": Fault(film(lambda f: list(map(cropped, f))), "film-elsewhere", says="stretched to"),
    "the first 2 s cut off": Fault(film(lambda f: f[60:]), "film-at-other-time", says="2 s earlier"),
    "a second of black before the film": Fault(
        film(lambda f: [*(0 * x for x in f[:30]), *f]), "film-at-other-time", says="1 s later"
    ),
    "a film played slower by a fifth": Fault(film(played(1.2)), "film-at-other-time", says="30/25 of the time"),
    "a film played slower by a twentieth": Fault(film(played(1.05)), "video-length", "warning", says=FILM),
    "the last 2 s cut off": Fault(film(lambda f: f[:-60]), "moment-after-end", "warning", says=FILM),
    "a film of 25 frames a second read as 30": Fault(
        film(played(25 / 30)), "film-at-other-time", "warning", says="25/30 of the time"
    ),
    "half a film black": Fault(film(from_half(lambda x: 0 * x)), "film-blank"),
    "half a film frozen": Fault(film(from_half(lambda x: x)), "film-frozen"),
    "two exchanged files": Fault(swap_files, "film-of-other-boxes", says=OTHER),
    # One film's annotations.
    "y from the bottom in one film": Fault(of_film(boxed(from_bottom)), "film-elsewhere", says="upside down"),
    "mirrored boxes in one film": Fault(of_film(boxed(mirrored)), "film-elsewhere", says="mirrored"),
    "half coordinates in one film": Fault(of_film(boxed(lambda b: b / 2)), "film-elsewhere", says="twice as large"),
    "one film annotated a second late": Fault(
        both(of_film(lambda row: [row[0], f"{int(row[1]) + 1:04d}", *row[2:]]), settings("data.train.proposals=null")),
        "film-at-other-time",
        "warning",
        says="1 s earlier",
    ),
    "two films with each other's annotations": Fault(
        both(truth(exchange(FILM, OTHER)), settings("data.train.proposals=null")), "film-of-other-boxes", says=OTHER
    ),
    # Person boxes.
    "the proposals of another film": Fault(
        proposals(lambda c: {**c, **{key: c[key.replace(FILM, OTHER)] for key in c if key.startswith(FILM)}}),
        "proposals-of-film",
        says=f"its proposals fit the persons of '{OTHER}'",
    ),
    "mirrored proposals of one film": Fault(proposed(mirrored), "proposals-of-film", says="read as mirrored"),
    "proposals of one film with y from the bottom": Fault(
        proposed(from_bottom), "proposals-of-film", says="read as upside down"
    ),
    "proposals of heads": Fault(
        proposed(heads, name=""), "proposals-of-parts", says="boxes of heads", never="proposal-recall"
    ),
    "proposals of heads in one film": Fault(proposed(heads), "proposals-of-film", says="boxes of heads"),
    "proposals of upper bodies": Fault(proposed(upper, name=""), "proposals-of-parts", says="upper bodies"),
    "truth of heads": Fault(
        both(truth(lambda table: [boxed(heads)(row) for row in table]), settings("data.train.proposals=null")),
        "boxes-of-heads",
        "warning",
        never="motion-elsewhere",
    ),
    "proposals of one film a second late": Fault(
        proposals(lambda c: dict(later(FILM, key, value, 1) for key, value in c.items())),
        "proposals-of-film",
        says="its proposals are 1 key frame(s) late",
    ),
    "proposals of tubes 20 frames late": Fault(
        tube_boxes(lambda key, value: later("", key, value, 20)), "moments-shifted", check=tubes, says="20"
    ),
    # Tubes.
    "tubes 20 frames late in one film": Fault(
        both(gt(lambda c: shift_tubes(c, 20)), settings("data.train.proposals=null")),
        "film-at-other-time",
        "warning",
        tubes,
        says="earlier in this video",
    ),
    "a mirrored film of tubes": Fault(
        lambda folder: film(lambda f: [x[:, ::-1] for x in f], name=first_tube_video(folder))(folder),
        "film-elsewhere",
        check=tubes,
        says="mirrored",
    ),
    # Labels and identities.
    "labels of tubes shifted by one": Fault(
        gt(shift_labels), "labels-shifted", check=tubes, says="with -1 added to the labels"
    ),
    "labels of tubes of validation shifted by one": Fault(
        gt(lambda c: shift_labels(c, c["test_videos"][0])), "labels-shifted", check=tubes
    ),
    "labels of validation shifted by one, without names that say a side": Fault(
        gt(lambda c: (c.update(labels=list("abcdefg")), shift_labels(c, c["test_videos"][0]))),
        "ids-differ-between-parts",
        "warning",
        tubes,
        says="-1 is added",
    ),
    "person ids drawn again at every moment": Fault(
        both(truth(redraw_ids), settings("model.head.roi=track", "model.head.context=false")), "person-ids-random"
    ),
    "new person ids at every moment": Fault(
        both(
            truth(lambda table: [[*row[:7], str(1000 * int(row[1]) + int(row[7]))] for row in table]),
            settings("model.head.roi=track", "model.head.context=false"),
        ),
        "person-ids-new",
    ),
    # Settings that do not suit the pictures.
    "pictures of 10 a second read as 8": Fault(
        lambda folder: [*pictures(folder), "data.pictures.fps=8"], "motion-at-other-time", says="of the time"
    ),
    "a video damaged in its middle": Fault(damage, "video-unreadable", says="cannot be decoded"),
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


def as_pictures(folder: Path) -> Settings:
    return pictures(folder)


def of_mixed_rates(folder: Path) -> Settings:
    """Every third film has 25 frames a second, and as many frames as the others: it lasts longer."""
    for path in sorted((folder / "videos").glob("*.mp4"))[::3]:
        frames = [frame for _, frame in stream_frames(path)]
        path.unlink()
        with VideoWriter(path, 25, frames[0].shape[1], frames[0].shape[0]) as writer:
            for number in range(len(frames)):
                writer.write(frames[min(number * 30 // 25, len(frames) - 1)])
    return []


def with_bars(folder: Path) -> Settings:
    """A film with black bars whose boxes were drawn on it."""
    film(lambda f: list(map(barred, f)))(folder)
    squeezed = boxed(lambda b: np.array([b[0], 0.125 + 0.75 * b[1], b[2], 0.125 + 0.75 * b[3]]))
    of_film(squeezed)(folder)
    proposed(lambda b: b * [1, 0.75, 1, 0.75] + [0, 0.125, 0, 0.125])(folder)
    return []


def all_mirrored(folder: Path) -> Settings:
    """Pictures and boxes of one film mirrored together."""
    film(lambda f: [x[:, ::-1] for x in f])(folder)
    of_film(boxed(mirrored))(folder)
    proposed(mirrored)(folder)
    return []


SOUND: dict[str, tuple[Plant, Callable[[Path, Sequence[str]], Report]]] = {
    "films": (lambda folder: None, ava),
    "tubes": (lambda folder: None, tubes),
    "lists": (lambda folder: None, lists),
    "folders of pictures": (as_pictures, ava),
    "films of mixed rates": (of_mixed_rates, ava),
    "a film with black bars, annotated so": (with_bars, ava),
    "a film mirrored with its boxes": (all_mirrored, ava),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_set_raises_no_alarm(name: str, planted: Path) -> None:
    change, check = SOUND[name]
    findings = check(planted, change(planted) or []).findings
    assert {finding.code for finding in findings} <= {"class-without-train", "class-without-val"} | (
        {"frame-rate"} if "rates" in name else set()
    ), [(finding.code, finding.message) for finding in findings]
    assert not any(finding.severity == "error" for finding in findings)
