"""The demo with a feature bank scores as the test program does with the bank of the whole video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from actiondet.config import DetectionConfig, load_config
from actiondet.config.schema import StoredPersons
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.engine.detection.bank_building import build_bank
from actiondet.engine.detection.testing import run_test
from actiondet.engine.devices import launch
from actiondet.engine.loading import load_trained, network_for_testing
from actiondet.models.build import build_detector
from actiondet.pipeline import VideoPipeline
from actiondet.video import open_video
from actiondet.video.clip_stream import Frame
from evaluation.errors import InputError
from evaluation.formats.action_list import read_action_list
from evaluation.records import FrameKey, PersonBoxes

ROOT = Path(__file__).resolve().parents[2]
Saved = Callable[[str, DetectionConfig], Path]


class OnePerson:
    """A person detector that finds somebody in every frame."""

    def detect(self, frames: Sequence[Frame], keys: Sequence[FrameKey]) -> list[PersonBoxes]:
        box, score = np.array([[0.2, 0.1, 0.5, 0.9]], np.float32), np.ones(1, np.float32)
        return [PersonBoxes(key, box, score) for key in keys]


@pytest.fixture
def settings(toy: Path) -> list[str]:
    ava = toy / "ava"
    return [
        "model.backbone.width=4",
        "clip.frames=4",
        "transform={train_short_side: [64, 72], train_crop: 64, test_short_side: 64}",
        "train.workers=0",
        "test.batch=2",
        f"data.videos={toy / 'videos'}",
        f"data.actions={ava / 'action_list.pbtxt'}",
        f"data.evaluated_actions={ava / 'action_list_eval.pbtxt'}",
        f"data.train={{truth: {ava / 'ava_train.csv'}, proposals: {ava / 'dense_proposals_train.pkl'}}}",
        f"data.val={{truth: {ava / 'ava_val.csv'}, proposals: {ava / 'dense_proposals_val.pkl'}}}",
    ]


@pytest.fixture
def saved(toy: Path, tmp_path: Path) -> Saved:
    """Random weights, saved as if they were trained."""

    def save(name: str, config: DetectionConfig) -> Path:
        torch.manual_seed(len(name))
        network = build_detector(config.model)
        actions = read_action_list(toy / "ava/action_list.pbtxt")
        save_checkpoint(Checkpoint(config, network.state_dict(), actions), tmp_path / f"{name}.pt")
        return tmp_path / f"{name}.pt"

    return save


def test_scores_are_those_of_the_test_program(settings: list[str], saved: Saved, toy: Path, tmp_path: Path) -> None:
    toy_config = ROOT / "configs/toy/slowonly_r18.yaml"
    config = load_config(toy_config, settings)
    first = saved("first", config)
    fabric = launch()
    bank = tmp_path / "val.safetensors"
    detector = network_for_testing(load_trained(first, config), fabric)
    build_bank(config, detector, weights=first, split="val", out=bank, fabric=fabric)
    remembering = [
        "model.head.dropout_at=vector",
        "model.head.bank={channels: 64, window: 3, persons: 2, latent: 8, zero_init: false}",
        f"data.val.bank={bank}",
        "test.flip=true",
    ]
    config = load_config(toy_config, [*settings, *remembering])
    second = saved("second", config)
    detector = network_for_testing(load_trained(second, config), fabric)
    run_test(config, detector, weights=second, folder=tmp_path / "test", fabric=fabric, moments="all", dump=True)
    expected = np.load(tmp_path / "test/dense_scores.npz")

    boxes = str(toy / "ava/dense_proposals_val.pkl")
    persons = StoredPersons(boxes=boxes, threshold=config.data.person_threshold)  # type: ignore[attr-defined]
    pipeline = VideoPipeline.from_checkpoint(second, persons=persons, bank=first, start=900.0, batch=3)
    (video,) = set(expected["video"].tolist())
    found = {each.key.moment: each for each in pipeline(toy / "videos" / f"{video}.mp4") if len(each)}
    for moment in np.unique(expected["moment"]).tolist():
        rows = expected["moment"] == moment
        order = np.argsort(-found[moment].person_scores, kind="stable")
        best = order[: rows.sum()]  # the test drops what is below the threshold
        np.testing.assert_allclose(found[moment].boxes[best], expected["boxes"][rows], atol=1e-6)
        np.testing.assert_allclose(found[moment].action_scores[best], expected["action_scores"][rows], atol=2e-4)
    assert len(np.unique(expected["moment"])) >= 2

    with pytest.raises(InputError, match="give the weights of the network that fills it"):
        VideoPipeline.from_checkpoint(second, persons=persons)
    with pytest.raises(InputError, match="the network has no feature bank"):
        VideoPipeline.from_checkpoint(first, persons=persons, bank=first)
    with pytest.raises(InputError, match="the first may not look into a bank itself"):
        VideoPipeline.from_checkpoint(second, persons=persons, bank=second)


def test_live_sources_fill_a_bank_too(settings: list[str], saved: Saved, toy: Path) -> None:
    toy_config = ROOT / "configs/toy/slowonly_r18.yaml"
    first = saved("first", load_config(toy_config, settings))
    bank = "model.head.bank={channels: 64, window: 60, latent: 8}"
    second = saved("second", load_config(toy_config, [*settings, "model.head.dropout_at=vector", bank]))
    path = next((toy / "videos").glob("toy_val*.mp4"))
    pipeline = VideoPipeline.from_checkpoint(second, persons=OnePerson(), bank=first)
    seen: list[int] = []

    with open_video(path, "pyav") as reader:
        times = reader.index.frame_times.tolist()
        frames = ((time / 1e6, reader.read([number])[0]) for number, time in enumerate(times))
        for moment in pipeline.watch(frames, latency=1e3):
            seen.append(moment.detections.key.moment)
    assert seen == sorted(seen)
    assert len(seen) >= 3
