"""Truth becomes COCO's json of persons, which pycocotools loads and scores."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from evaluation.errors import InputError
from evaluation.formats.ava import read_ava_csv
from evaluation.formats.multisports import read_multisports


def convert(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    from data_tools.convert_annotations.__main__ import main

    monkeypatch.setattr(sys, "argv", ["convert_annotations", *map(str, words)])
    main()


def load(path: Path) -> Any:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def own_ap(coco: Any) -> float:
    """The AP of the annotations taken as detections."""
    from pycocotools.cocoeval import COCOeval

    found = [{**entry, "score": 1.0} for entry in coco.dataset["annotations"]]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return float(evaluator.stats[0])


def test_ava_truth_is_loaded_by_pycocotools_and_finds_itself(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "train.json"
    convert(
        monkeypatch, toy / "ava" / "ava_train.csv", "--from", "ava", "--to", "coco", "--videos", toy / "videos",
        "--out", out,
    )  # fmt: skip
    coco = load(out)
    truth = read_ava_csv(toy / "ava" / "ava_train.csv")
    persons = {(v, m, *b) for v, m, b in zip(truth.video, truth.moment.tolist(), truth.boxes.tolist(), strict=True)}
    assert len(coco.dataset["annotations"]) == len(persons) < len(truth)
    assert [category["name"] for category in coco.dataset["categories"]] == ["person"]
    assert own_ap(coco) == 1.0
    image = coco.dataset["images"][0]
    mine = {row[2:] for row in persons if row[0] == image["video"] and row[1] == 902_000_000}
    boxes = [entry["bbox"] for entry in coco.imgToAnns[image["id"]]]
    corners = {(x / 160, y / 120, (x + w) / 160, (y + h) / 120) for x, y, w, h in boxes}
    assert image["file_name"] == f"{image['video']}/0902.jpg"
    assert sorted(corners) == [pytest.approx(box, abs=2e-4) for box in sorted(mine)]


def test_the_pictures_are_the_frames_of_the_moments(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from actiondet.video import open_video

    words = [
        toy / "ava" / "ava_val.csv", "--from", "ava", "--to", "coco", "--videos", toy / "videos",
        "--frames", tmp_path / "frames", "--processes", "1", "--out", tmp_path / "val.json",
    ]  # fmt: skip
    convert(monkeypatch, *words)
    images = json.loads((tmp_path / "val.json").read_text())["images"]
    for image in images:
        picture = cv2.imread(str(tmp_path / "frames" / image["file_name"]))
        assert picture is not None
        assert picture.shape[:2] == (image["height"], image["width"])
        seconds = int(Path(image["file_name"]).stem)
        assert image["frame"] == (seconds - 900) * 30
        with open_video(toy / "videos" / f"{image['video']}.mp4") as reader:
            frame = reader.read([image["frame"]])[0]
        assert np.abs(picture[..., ::-1].astype(int) - frame).mean() < 3
    gone = tmp_path / "frames" / images[0]["file_name"]
    gone.unlink()
    capsys.readouterr()
    convert(monkeypatch, *words)
    assert f"1 pictures written, {len(images) - 1} were there" in capsys.readouterr().out
    assert gone.is_file()


def test_excluded_moments_are_left_out(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = read_ava_csv(toy / "ava" / "ava_val.csv")
    excluded = tmp_path / "excluded.csv"
    excluded.write_text(f"{truth.video[0]},{truth.moment[0] // 1_000_000}\n")
    out = tmp_path / "val.json"
    convert(
        monkeypatch, toy / "ava" / "ava_val.csv", "--from", "ava", "--to", "coco", "--videos", toy / "videos",
        "--excluded", excluded, "--out", out,
    )  # fmt: skip
    times = {int(Path(image["file_name"]).stem) for image in json.loads(out.read_text())["images"]}
    assert truth.moment[0] // 1_000_000 not in times


def test_multisports_truth_gives_every_nth_frame(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "val.json"
    source = toy / "multisports" / "multisports_GT.pkl"
    convert(
        monkeypatch, source, "--from", "multisports", "--to", "coco", "--split", "val", "--step", "10", "--videos",
        toy / "multisports" / "trimmed_videos", "--frames", tmp_path / "frames", "--processes", "1", "--out", out,
    )  # fmt: skip
    coco = load(out)
    assert own_ap(coco) == 1.0
    assert all(image["frame"] % 10 == 0 for image in coco.dataset["images"])
    assert {image["video"] for image in coco.dataset["images"]} == set(read_multisports(source).test_videos)
    assert all((tmp_path / "frames" / image["file_name"]).is_file() for image in coco.dataset["images"])


FAULTS = {
    "the wrong direction": (["--from", "cvat", "--to", "coco"], "expected --from cvat|coco|yolo --to ava, or"),
    "no videos": (["--from", "ava", "--to", "coco"], "give --videos"),
    "another clock": (["--from", "ava", "--to", "coco", "--videos", "VIDEOS", "--start", "0"], "is --start right"),
    "a folder of other videos": (["--from", "ava", "--to", "coco", "--videos", "OTHERS"], "there is no file of the"),
    "no step": (["--from", "multisports", "--to", "coco", "--step", "0"], "--step 0: expected 1 or more"),
    "frames without videos": (["--from", "ava", "--to", "coco", "--frames", "x"], "--frames needs --videos"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    words, message = FAULTS[fault]
    places = {"VIDEOS": str(toy / "videos"), "OTHERS": str(tmp_path)}
    words = [places.get(word, word) for word in words]
    with pytest.raises(InputError) as caught:
        convert(monkeypatch, toy / "ava" / "ava_val.csv", *words, "--out", tmp_path / "out.json")
    assert message in str(caught.value)
    assert not (tmp_path / "out.json").exists()
