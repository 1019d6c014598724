"""Testing runs a network made for inference; validation in training runs the trained one. Both say the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actiondet.config import DetectionConfig, load_config, load_recognition_config
from actiondet.data import build_test_set, key_frames
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.engine.detection.testing import build_test_loader, detect_all
from actiondet.engine.devices import launch
from actiondet.engine.loading import load_trained, network_for_testing
from actiondet.engine.recognition.recognize import load_recognizer
from actiondet.engine.recognition.testing import run_recognition_test
from actiondet.engine.run import start
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.inference import InferenceBackbone
from evaluation.errors import InputError
from evaluation.formats.ava import ActionList
from evaluation.records import ActionDetections

ROOT = Path(__file__).parents[4]


def shaken(network: torch.nn.Module) -> None:
    """Give batch norm statistics and weights that are not those of a new network."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)


@pytest.mark.parametrize("config_file", ["slowonly_r18", "slowfast_r18"])
def test_testing_scores_as_validation_does(settings: list[str], tmp_path: Path, config_file: str) -> None:
    config = load_config(ROOT / f"configs/toy/{config_file}.yaml", [*settings, "clip.frames=8"])
    plain = build_detector(config.model).eval()
    shaken(plain)
    count = config.model.num_actions
    actions = ActionList(tuple(range(1, count + 1)), tuple(map(str, range(count))), (None,) * count)
    save_checkpoint(Checkpoint(config, plain.state_dict(), actions, score=0.5), tmp_path / "best.pt")
    fabric = launch()
    fast = network_for_testing(load_trained(tmp_path / "best.pt", config), fabric)
    assert isinstance(fast.backbone, InferenceBackbone)
    dataset = build_test_set(
        config.data, clip=config.clip, transform=config.transform, num_actions=config.model.num_actions
    )
    loader = build_test_loader(dataset, config, fabric)
    found = detect_all(fast, dataset, loader, config, fabric)
    expected = detect_all(plain.to(fabric.device), dataset, loader, config, fabric)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.key == theirs.key
        np.testing.assert_allclose(ours.action_scores, theirs.action_scores, rtol=0, atol=1e-5)
        assert np.ptp(ours.action_scores) > 0.01


def test_several_short_sides_give_the_mean_of_their_scores_and_are_read_once(
    tiny_config: Callable[..., DetectionConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    fabric = launch()
    torch.manual_seed(0)
    detector = build_detector(tiny_config().model).eval().to(fabric.device)
    shaken(detector)
    reads = 0
    resize = key_frames.resized_frames

    def counted(frames: Any, **options: Any) -> Any:
        nonlocal reads
        reads += len(frames)
        return resize(frames, **options)

    monkeypatch.setattr(key_frames, "resized_frames", counted)

    def detected(sides: str) -> list[ActionDetections]:
        config = tiny_config(f"test={{batch: 2, short_sides: {sides}}}")
        dataset = build_test_set(
            config.data,
            clip=config.clip,
            transform=config.transform,
            num_actions=config.model.num_actions,
            short_sides=config.test.short_sides,
        )
        return detect_all(detector, dataset, build_test_loader(dataset, config, fabric), config, fabric)

    plain, small, large = detected("null"), detected("[64]"), detected("[80]")
    assert reads % 3 == 0
    frames, reads = reads // 3, 0
    both = detected("[64, 80]")
    assert reads == frames > 0
    for of_plain, one, other, mean in zip(plain, small, large, both, strict=True):
        assert of_plain.key == mean.key
        np.testing.assert_array_equal(of_plain.action_scores, one.action_scores)
        np.testing.assert_allclose(mean.action_scores, (one.action_scores + other.action_scores) / 2, atol=1e-6)
        np.testing.assert_array_equal(mean.boxes, one.boxes)


def test_validation_leaves_the_trained_network_alone(
    tiny_config: Callable[..., DetectionConfig], tmp_path: Path
) -> None:
    training = start(tiny_config(), folder=tmp_path, fabric=launch(), resume=False, overwrite=False)
    before = {name: tensor.clone() for name, tensor in training.task.network.state_dict().items()}
    training.task.validate(training.task.network)
    after = training.task.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert all(parameter.requires_grad for parameter in training.task.network.parameters())


def test_predicting_scores_as_the_plain_network_does(shared: Path, tmp_path: Path) -> None:
    config = load_recognition_config(ROOT / "configs/toy/recognition_slowonly.yaml", ["model.backbone.width=8"])
    plain = build_recognizer(config.model).eval()
    shaken(plain)
    names = tuple(map(str, range(config.model.num_classes)))
    actions = ActionList.numbered(names)
    save_checkpoint(Checkpoint(config, plain.state_dict(), actions, score=0.5), tmp_path / "best.pt")
    recognizer = load_recognizer(tmp_path / "best.pt")
    assert isinstance(recognizer.network.backbone, InferenceBackbone)
    found = recognizer(shared / "videos" / "demo_skeleton.mp4")
    expected = dataclasses.replace(recognizer, network=plain)(shared / "videos" / "demo_skeleton.mp4")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_weights_without_a_classifier_are_not_scored(tmp_path: Path) -> None:
    config = load_recognition_config(ROOT / "configs/toy/recognition_slowonly.yaml", ["model.backbone.width=8"])
    weights = build_recognizer(config.model).state_dict()
    torch.save({"config": "task: detection\n", "weights": weights}, tmp_path / "detector.pt")
    with pytest.raises(InputError, match=r"detector\.pt: holds no classifier for this network"):
        load_recognizer(tmp_path / "detector.pt", config=config)
    with pytest.raises(InputError, match=r"detector\.pt: holds no classifier for this network"):
        run_recognition_test(config, weights=tmp_path / "detector.pt", fabric=launch())
