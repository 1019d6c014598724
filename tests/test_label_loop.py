"""Once round the loop on toy films: train on six, predict on six more, correct, update the set, train again."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest

from data_tools.convert_annotations.cvat import read_cvat
from data_tools.toy.films import Film, Order, make_film
from evaluation.formats.ava import read_ava_csv
from tests.test_own_data_chapter import SIZE, as_cvat, run

FIRST, MORE = range(6), range(20, 26)
TRAIN = (
    "python tools/train_det.py own.yaml model.backbone.depth=18 model.backbone.width=16 transform.train_crop=96 "
    "'transform.train_short_side=[96,112]' transform.test_short_side=96 clip.stride=4 train.optimizer.name=adamw "
    "train.base_lr=2e-3 train.base_batch=8 train.epochs=4 train.validate_every=4 train.seed=1"
)


def make_films(numbers: range, videos: Path, annotations: Path) -> list[Film]:
    annotations.mkdir()
    films = [make_film(Order(f"f{number:02d}", "train", (number,), 8, SIZE), videos) for number in numbers]
    for film in films:
        (annotations / f"{film.order.name}.xml").write_text(as_cvat(film))
    return films


def mean_ap(said: str) -> float:
    return float(re.findall(r"^mAP@0\.5 ([\d.]+)$", said, re.MULTILINE)[-1])


def test_corrected_predictions_make_a_better_detector(tmp_path: Path) -> None:
    make_films(FIRST, tmp_path / "videos", tmp_path / "annotations")
    run("actiondet copy-config own/slowonly own.yaml", tmp_path)
    run(
        "python -m data_tools.convert_annotations annotations --from cvat --to ava --videos videos --out own_data "
        "--val-videos f04 f05",
        tmp_path,
    )
    before = mean_ap(run(f"{TRAIN} --out runs/own", tmp_path))

    films = make_films(MORE, tmp_path / "more", tmp_path / "corrected")
    names = [film.order.name for film in films]
    said = run(
        "python tools/suggest_videos.py own.yaml --weights runs/own/best.pt --videos more --sheet suggestions.png",
        tmp_path,
    )
    assert "wrote suggestions.csv: 6 videos" in said
    with (tmp_path / "suggestions.csv").open() as file:
        suggested = list(csv.DictReader(file))
    assert sorted(row["video"] for row in suggested) == names
    assert [row["rank"] for row in suggested] == ["1", "2", "3", "4", "5", "6"]
    assert (tmp_path / "suggestions.png").stat().st_size > 10_000

    for name in names[:2]:
        run(f"python tools/demo.py more/{name}.mp4 --weights runs/own/best.pt --json found/{name}.json", tmp_path)
    run(
        "python -m data_tools.convert_annotations found --from detections --to cvat --videos more --out to_do", tmp_path
    )
    assert [each.name for each in read_cvat([tmp_path / "to_do"], clip=False)] == names[:2]

    update = "python -m data_tools.convert_annotations corrected --from cvat --to ava --videos more --update own_data"
    assert run(update, tmp_path).count("(train, new)") == len(names)
    assert run(update, tmp_path).count(": unchanged") == len(names)
    assert set(read_ava_csv(tmp_path / "own_data/ava_train.csv").video) == {"f00", "f01", "f02", "f03", *names}
    with pytest.raises(AssertionError, match="all 6 videos are annotated already; expected others"):
        run("python tools/suggest_videos.py own.yaml --weights runs/own/best.pt --videos more", tmp_path)

    for path in (tmp_path / "more").glob("*.mp4"):
        shutil.copy(path, tmp_path / "videos")
    after = mean_ap(run(f"{TRAIN} --out runs/own --overwrite", tmp_path))
    assert after > before
