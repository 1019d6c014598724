"""A training configuration that one core runs in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actiondet.config import DetectionConfig, RecognitionConfig, load_config, load_recognition_config

ROOT = Path(__file__).parents[3]
SMALL = [
    "model.backbone.width=4",
    "model.head.dropout=0.5",
    "clip.frames=4",
    "transform.train_short_side=[64,72]",
    "transform.train_crop=[64,64]",
    "transform.test_short_side=64",
    "train.epochs=2",
    "train.batch=2",
    "train.workers=0",
    "train.ema_decay=null",
    "train.schedule={policy: constant}",
    "train.optimizer={name: sgd}",
    "train.base_lr=0.05",
]


@pytest.fixture
def settings(toy: Path) -> list[str]:
    """The toy configuration's settings for the tiny set, as arguments of a program."""
    ava = toy / "ava"
    return [
        *SMALL,
        f"data.videos={toy / 'videos'}",
        f"data.actions={ava / 'action_list.pbtxt'}",
        f"data.evaluated_actions={ava / 'action_list_eval.pbtxt'}",
        f"data.train={{truth: {ava / 'ava_train.csv'}, proposals: {ava / 'dense_proposals_train.pkl'}}}",
        f"data.val={{truth: {ava / 'ava_val.csv'}, proposals: {ava / 'dense_proposals_val.pkl'}}}",
    ]


@pytest.fixture
def tiny_config(settings: list[str]) -> Callable[..., DetectionConfig]:
    """Build the configuration of the tiny set with some more settings."""
    return lambda *more: load_config(ROOT / "configs/toy/slowonly_r18.yaml", [*settings, *more])


@pytest.fixture
def multigrid_config(toy: Path, tmp_path: Path) -> Callable[..., RecognitionConfig]:
    """The toy configuration on 36 clips of the tiny set, each of its nine four times."""
    lines = (toy / "kinetics/train.txt").read_text().splitlines()
    (tmp_path / "train.txt").write_text("\n".join(lines * 4) + "\n")
    settings = [
        f"data.videos={toy / 'kinetics'}",
        f"data.train={tmp_path / 'train.txt'}",
        f"data.val={toy / 'kinetics/val.txt'}",
        f"data.classes={toy / 'kinetics/label_map.txt'}",
        "model.backbone.width=4",
        "clip={frames: 8, stride: 4}",
        "transform={train_short_side: [36, 40], train_crop: 32, test_short_side: 36, val_crop: 32}",
        "test.crop=32",
        "multigrid={short_cycle: true, norm_base: 2}",
        "precise_norm=2",
        "train={epochs: 3, batch: 1, base_batch: 1, workers: 0, schedule: {policy: step, steps: [1, 2]}}",
    ]
    return lambda *more: load_recognition_config(ROOT / "configs/toy/recognition_multigrid.yaml", [*settings, *more])
