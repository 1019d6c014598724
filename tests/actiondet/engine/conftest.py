"""A training configuration that one core runs in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actiondet.config import DetectionConfig, load_config

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
