"""The checker finds planted faults, by code, and none in a sound set."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from actiondet.config import load_config
from actiondet.video import VideoWriter, stream_frames
from data_tools.check_dataset.__main__ import main
from data_tools.check_dataset.check import check_detection
from data_tools.check_dataset.findings import Report
from data_tools.check_dataset.matching import best_iou
from data_tools.check_dataset.recall import check_recall
from evaluation.boxes import iou_matrix
from evaluation.errors import InputError
from evaluation.records import FrameKey, PersonBoxes
from tests.programs import run_program

CONFIG = Path(__file__).parents[2] / "configs" / "toy" / "slowonly_r18.yaml"
Plant = Callable[[Path], list[str] | None]
Row = list[str]


@pytest.fixture
def planted(toy: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "toy_data"
    shutil.copytree(toy / "ava", folder / "ava")
    shutil.copytree(toy / "videos", folder / "videos")
    return folder


def check(folder: Path, settings: list[str]) -> Report:
    ava = folder / "ava"
    paths = [
        f"data.videos={folder / 'videos'}",
        f"data.actions={ava / 'action_list.pbtxt'}",
        f"data.evaluated_actions={ava / 'action_list_eval.pbtxt'}",
        *(f"data.{part}.truth={ava / f'ava_{part}.csv'}" for part in ("train", "val")),
        *(f"data.{part}.proposals={ava / f'dense_proposals_{part}.pkl'}" for part in ("train", "val")),
        *(f"data.{part}.excluded={ava / f'ava_{part}_excluded_timestamps.csv'}" for part in ("train", "val")),
    ]
    report, _, _ = check_detection(load_config(CONFIG, [*paths, *settings]), processes=1)
    return report


def rows(change: Callable[[list[Row]], list[Row]], part: str = "train") -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "ava" / f"ava_{part}.csv"
        table = [line.split(",") for line in path.read_text().splitlines()]
        path.write_text("".join(",".join(row) + "\n" for row in change(table)))

    return plant


def each(change: Callable[[Row], Row], part: str = "train") -> Plant:
    return rows(lambda table: [change(list(row)) for row in table], part)


def one(column: int, text: str, part: str = "train") -> Plant:
    return rows(lambda table: [[*table[0][:column], text, *table[0][column + 1 :]], *table[1:]], part)


def boxes(change: Callable[[str, np.ndarray], tuple[str, np.ndarray] | None], part: str = "val") -> Plant:
    def plant(folder: Path) -> None:
        path = folder / "ava" / f"dense_proposals_{part}.pkl"
        content = pickle.loads(path.read_bytes())
        changed = [change(key, np.array(value, dtype=np.float64)) for key, value in content.items()]
        path.write_bytes(pickle.dumps(dict(entry for entry in changed if entry is not None)))

    return plant


def scaled(value: np.ndarray, factors: list[float]) -> np.ndarray:
    return value * np.array(factors)


def video(change: Callable[[Path, list[Path]], None]) -> Plant:
    return lambda folder: change(folder / "videos", sorted((folder / "videos").glob("*.mp4")))


def settings(*given: str) -> Plant:
    return lambda folder: list(given)


def write(name: str, text: str) -> Plant:
    return lambda folder: (folder / "ava" / name).write_text(text) and None


def as_size(row: Row) -> Row:
    x1, y1, x2, y2 = map(float, row[2:6])
    return [*row[:2], row[2], row[3], f"{x2 - x1:.3f}", f"{y2 - y1:.3f}", *row[6:]]


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def copy_train_video(folder: Path, files: list[Path]) -> None:
    parent = folder.parent / "ava"
    names = [(parent / f"ava_{part}.csv").read_text().split(",")[0] for part in ("train", "val")]
    shutil.copy(folder / f"{names[0]}.mp4", folder / f"{names[1]}.mp4")


def exclude_all(folder: Path) -> None:
    lines = (folder / "ava" / "ava_val.csv").read_text().splitlines()
    keys = sorted({",".join(line.split(",")[:2]) for line in lines})
    (folder / "ava" / "ava_val_excluded_timestamps.csv").write_text("\n".join(keys) + "\n")


def train_as_val(folder: Path) -> None:
    shutil.copy(folder / "ava" / "ava_train.csv", folder / "ava" / "ava_val.csv")


def both(first: Plant, second: Plant) -> Plant:
    return lambda folder: [*(first(folder) or []), *(second(folder) or [])]


def mirrored(value: np.ndarray) -> np.ndarray:
    return np.stack([1 - value[:, 2], value[:, 1], 1 - value[:, 0], *value[:, 3:].T], axis=1)


def shifted(value: np.ndarray) -> np.ndarray:
    return np.clip(value + [0.02, 0.02, 0.02, 0.02, 0], 0, 1)


def nudged(box: Row) -> Row:
    return [f"{float(value) + step:.4f}" for value, step in zip(box, (0.0004, 0.0003, 0.0004, 0.0003), strict=True)]


def code_anew(folder: Path, files: list[Path]) -> None:
    """Put a training video into validation: other bytes, other size, the same pictures."""
    parent = folder.parent / "ava"
    names = [(parent / f"ava_{part}.csv").read_text().split(",")[0] for part in ("train", "val")]
    frames = [frame for _, frame in stream_frames(folder / f"{names[0]}.mp4")]
    with VideoWriter(folder / f"{names[1]}.mp4", 30, 120, 90, crf=30) as writer:
        for frame in frames:
            writer.write(cv2.resize(frame, (120, 90), interpolation=cv2.INTER_AREA))


def copied(table: list[Row]) -> list[Row]:
    """The second video gets the truth of the first one."""
    first = [row for row in table if row[0] == table[0][0]]
    return [*first, *([table[-1][0], *row[1:]] for row in first)]


def freeze(folder: Path, files: list[Path]) -> None:
    frames = [frame for _, frame in stream_frames(files[0])]
    with VideoWriter(files[0], 30, frames[0].shape[1], frames[0].shape[0]) as writer:
        for _ in frames:
            writer.write(frames[0])


FAULTS: dict[str, tuple[Plant, str]] = {
    "ids from zero": (each(lambda r: [*r[:6], "0" if r[6] == "1" else str(int(r[6]) - 1), *r[7:]]), "ids-off-by-one"),
    "an id beyond the list": (one(6, "77"), "id-not-in-list"),
    "one id zero": (one(6, "0"), "id-zero"),
    "a label that is a name": (one(6, "stand"), "label-not-an-id"),
    "boxes in pixels": (
        each(lambda r: [*r[:2], *(f"{float(v) * 320:.1f}" for v in r[2:6]), *r[6:]]),
        "box-in-pixels",
    ),
    "boxes as corner and size": (each(as_size), "box-xywh"),
    "one box inside out": (rows(lambda t: [[*t[0][:2], *t[0][4:6], *t[0][2:4], *t[0][6:]], *t[1:]]), "box-inverted"),
    "a box outside": (one(4, "1.3"), "box-outside"),
    "a box without area": (rows(lambda t: [[*t[0][:4], t[0][2], *t[0][5:]], *t[1:]]), "box-without-area"),
    "a box with a word": (one(3, "top"), "box-not-a-number"),
    "a row twice": (rows(lambda t: [*t, t[3]]), "duplicate-row"),
    "a header": (rows(lambda t: [["video", "time", "x1", "y1", "x2", "y2", "label", "person"], *t]), "csv-header"),
    "semicolons": (rows(lambda t: [[";".join(row)] for row in t]), "csv-separator"),
    "an empty truth": (rows(lambda t: [], "val"), "file-empty"),
    "nine columns": (each(lambda r: [*r, "1"]), "csv-columns"),
    "a time that is none": (one(1, "soon"), "time-not-a-number"),
    "a moment beyond the video": (one(1, "0990"), "moment-beyond-video"),
    "a wrong start": (settings("data.start=0"), "start-offset"),
    "frames instead of seconds": (each(lambda r: [r[0], str((int(r[1]) - 880) * 3000), *r[2:]]), "time-unit"),
    "names with suffix": (each(lambda r: [f"{r[0]}.mp4", *r[1:]]), "video-name"),
    "names in capitals": (each(lambda r: [r[0].swapcase(), *r[1:]]), "video-name"),
    "a missing video": (video(lambda folder, files: files[0].unlink()), "video-missing"),
    "an empty video": (video(lambda folder, files: files[0].write_bytes(b"") and None), "video-unreadable"),
    "half a video": (video(lambda folder, files: halve(files[0])), "video-unreadable"),
    "text as a video": (video(lambda folder, files: files[0].write_text("hello") and None), "video-unreadable"),
    "no folder of videos": (settings("data.videos=/nowhere"), "video-folder"),
    "the same video in both parts": (train_as_val, "leak-same-name"),
    "a copy in the other part": (video(copy_train_video), "leak-same-content"),
    "everything excluded": (exclude_all, "all-excluded"),
    "a faulty exclusion": (write("ava_val_excluded_timestamps.csv", "v,1,2\n"), "excluded-unreadable"),
    "too few columns of the model": (settings("model.num_actions=13"), "num-actions"),
    "a broken action list": (write("action_list.pbtxt", "stand\nwalk\n"), "action-list"),
    "a scored id that does not train": (
        write("action_list_eval.pbtxt", 'item { name: "fly" id: 13 }\nitem { name: "stand" id: 1 }\n'),
        "evaluated-not-trained",
    ),
    "lists of other names": (write("action_list_eval.pbtxt", 'item { name: "sit" id: 1 }\n'), "action-names-differ"),
    "a head for single labels": (settings("model.multi_label=false"), "head-single-label"),
    "proposals in pixels": (boxes(lambda k, v: (k, scaled(v, [320, 240, 320, 240, 1]))), "proposals-in-pixels"),
    "proposals inside out": (boxes(lambda k, v: (k, v[:, [2, 3, 0, 1, 4]])), "proposals-inverted"),
    "low scores": (boxes(lambda k, v: (k, scaled(v, [1, 1, 1, 1, 0.01]))), "scores-under-threshold"),
    "scores in per cent": (boxes(lambda k, v: (k, scaled(v, [1, 1, 1, 1, 100]))), "proposal-scores"),
    "proposals of other names": (boxes(lambda k, v: (k.replace(",", ".mp4,"), v)), "proposals-for-none"),
    "proposals of other seconds": (boxes(lambda k, v: (k.replace(",0", ",5"), v)), "proposals-for-none"),
    "half of the proposals": (boxes(lambda k, v: (k, v) if k.endswith("902") else None), "truth-without-proposals"),
    "no proposals at all": (boxes(lambda k, v: None), "proposals-empty"),
    "x and y exchanged": (boxes(lambda k, v: (k, v[:, [1, 0, 3, 2, 4]])), "proposal-recall"),
    "keys without padding": (boxes(lambda k, v: (k.replace(",0", ","), v)), "proposal-keys"),
    "mirrored proposals": (boxes(lambda k, v: (k, mirrored(v))), "proposal-recall"),
    "a sharp match": (both(boxes(lambda k, v: (k, shifted(v)), "train"), settings("data.match_iou=0.95")), "match-iou"),
    "a copy coded anew": (video(code_anew), "leak-look-alike"),
    "a video that stands still": (video(freeze), "video-frozen"),
    "a clip longer than the videos": (settings("clip.stride=30"), "clip-longer-than-videos"),
    "a dot for a box": (rows(lambda t: [[*t[0][:2], "0.5", "0.5", "0.501", "0.501", *t[0][6:]], *t[1:]]), "box-tiny"),
    "a person drawn twice": (rows(lambda t: [*t, [*t[0][:2], *nudged(t[0][2:6]), "14", "77"]]), "person-drawn-twice"),
    "no such weights": (settings("train.weights=/nowhere.pt"), "weights-missing"),
    "mirrored pictures of left and right": (settings("transform.flip=0.5"), "flip-of-sides"),
    "the truth of another video": (rows(copied), "truth-copied"),
    "exclusions on another clock": (
        write("ava_val_excluded_timestamps.csv", "toy_val_000,0002\ntoy_val_000,0003\n"),
        "excluded-elsewhere",
    ),
    "every proposal twice": (boxes(lambda k, v: (k, np.concatenate([v, v]))), "proposals-twice"),
    "an unknown truth file": (settings("data.val.truth=/nowhere.csv"), "file-missing"),
}


WARNINGS = {
    "proposal-keys", "flip-of-sides", "match-iou", "leak-look-alike", "video-frozen", "clip-longer-than-videos",
    "box-tiny", "person-drawn-twice", "excluded-elsewhere", "proposals-twice",
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, planted: Path) -> None:
    plant, code = FAULTS[name]
    report = check(planted, plant(planted) or [])
    codes = {finding.code for finding in report.findings}
    assert code in codes
    assert report.failed or code in WARNINGS


def test_a_sound_set_has_no_error(planted: Path) -> None:
    report = check(planted, [])
    assert [finding for finding in report.findings if finding.severity == "error"] == []
    assert {finding.code for finding in report.findings} <= {"class-without-train", "class-without-val"}


@pytest.mark.parametrize(
    ("sheet", "message"), [("sheet.pdf", "ends in .png or .jpg"), ("x/sheet.png", "x is not a writable folder")]
)
def test_a_sheet_that_cannot_be_written_is_refused_before_the_checks(
    sheet: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("a file")
    monkeypatch.setattr(sys, "argv", ["check_dataset", str(CONFIG), "--sheet", str(tmp_path / sheet)])
    monkeypatch.setattr("data_tools.check_dataset.__main__._check", lambda _: pytest.fail("it was checked"))
    with pytest.raises(InputError, match=message):
        main()


def test_the_program_prints_json_draws_sheet_and_page_and_ends_with_1(planted: Path, tmp_path: Path) -> None:
    one(6, "77")(planted)
    wanted = ["--json", "-", "--sheet", "sheet.png", "--html", "page.html"]
    done = run_program("data_tools.check_dataset", CONFIG, *wanted, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert [finding["code"] for finding in said["findings"]][:1] == ["id-not-in-list"]
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "error: id-not-in-list" in page
    assert "Examples of each action" in page


def test_the_examples_that_repeat_factor_sampling_shows_are_counted(toy: Path) -> None:
    assert "train, repeated" not in check(toy, []).classes
    classes = check(toy, ["train.repeat_threshold=0.6"]).classes.set_index("id")
    lines = [line.split(",") for line in (toy / "ava" / "ava_train.csv").read_text().split()]
    shown: dict[tuple[str, str], list[int]] = {}
    for row in lines:
        shown.setdefault((row[0], row[1]), []).append(int(row[6]))
    share = {label: sum(label in each for each in shown.values()) / len(shown) for label in classes.index}
    for label in classes.index:
        expected = sum(
            each.count(label) * max(1.0, *((0.6 / share[other]) ** 0.5 for other in each)) for each in shown.values()
        )
        assert classes.loc[label, "train, repeated"] == round(expected)
    assert (classes["train, repeated"] > classes["train"]).any()


def test_a_choice_of_actions_is_checked_as_it_is_trained(toy: Path) -> None:
    chosen = ["data.classes=[wave, turn]", "data.merge_classes={turn: [walk left, walk right]}"]
    report = check(toy, [*chosen, "model.num_actions=2"])
    assert "num-actions" not in {finding.code for finding in report.findings}
    whole = check(toy, []).classes.set_index("id")
    classes = report.classes.set_index("name")
    assert list(classes.index) == ["turn", "wave"]
    assert classes.loc["turn", "train"] == whole.loc[3, "train"] + whole.loc[4, "train"]
    wrong = {finding.code: str(finding) for finding in check(toy, chosen).findings}
    assert "data.classes and data.merge_classes leave 2 actions" in wrong["num-actions"]
    faulty = {finding.code: str(finding) for finding in check(toy, ["data.classes=[wav]"]).findings}
    assert "did you mean 'wave'" in faulty["classes"]


def test_the_best_box_of_every_person_is_that_of_its_own_moment() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.5, (60, 2))
    truth = np.concatenate([corner, corner + rng.uniform(0.1, 0.5, (60, 2))], axis=1)
    numbers = rng.permutation(60)
    moments = {FrameKey("v", k): rows for k, rows in enumerate(np.split(numbers, [0, 7, 7, 20, 45]))}
    boxes = {key: truth[rng.permutation(60)[: key.moment]] for key in moments if key.moment != 3}
    expected = [
        iou_matrix(truth[[row]], boxes[key]).max(initial=0) if key in boxes else 0.0
        for key, rows in moments.items()
        for row in rows
    ]
    assert best_iou(truth, moments, boxes) == pytest.approx(expected)


def walkers(count: int = 8, seconds: int = 12) -> tuple[np.ndarray, dict[FrameKey, np.ndarray]]:
    """Unit boxes of people who walk, and the rows of each moment of two videos."""
    rng = np.random.default_rng(1)
    begin, step = rng.uniform(0.1, 0.3, (2, count, 2)), rng.uniform(-0.02, 0.03, (2, count, 2))
    at = begin[:, None] + step[:, None] * np.arange(seconds)[None, :, None, None]
    corners = at.reshape(-1, 2)
    numbers = np.arange(len(corners)).reshape(2, seconds, count)
    moments = {FrameKey("ab"[video], second): numbers[video, second] for video in (0, 1) for second in range(seconds)}
    return np.concatenate([corners, corners + [0.1, 0.25]], axis=1), moments


def recall_codes(found: dict[FrameKey, np.ndarray]) -> dict[str, str]:
    truth, moments = walkers()
    report = Report()
    persons = {key: PersonBoxes(key, boxes, np.ones(len(boxes))) for key, boxes in found.items()}
    check_recall("train", "boxes.pkl", truth, moments, persons, 0.5, 0.5, report)
    return {finding.code: finding.message for finding in report.findings}


def test_proposals_of_the_moment_before_or_after_are_told_from_sound_ones() -> None:
    truth, moments = walkers()
    sound = {key: truth[rows] + 0.003 for key, rows in moments.items()}
    assert recall_codes(sound) == {}
    late = {FrameKey(key.video, key.moment + 1): boxes for key, boxes in sound.items()}
    assert "next key frame" in recall_codes(late)["moments-shifted"]
    late_in_one = {**sound, **{key: boxes for key, boxes in late.items() if key.video == "b"}}
    assert "the persons of b fit the boxes of the next" in recall_codes(late_in_one)["moments-shifted"]


def test_proposals_that_fit_when_read_otherwise_are_an_error_even_where_many_overlap() -> None:
    truth, moments = walkers()
    turned = {key: 1 - truth[rows][:, [0, 3, 2, 1]] for key, rows in moments.items()}
    for boxes in turned.values():
        boxes[:, [0, 2]] = 1 - boxes[:, [0, 2]]
    assert "read as upside down" in recall_codes(turned)["proposal-recall"]
