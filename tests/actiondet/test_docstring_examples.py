"""The example in the docstring of every public name runs, in a folder with small files."""

from __future__ import annotations

import doctest
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

import actiondet
from actiondet.config import DetectionConfig, RecognitionConfig, dump_config, load_config, load_recognition_config
from actiondet.engine.action_names import named_actions
from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
from actiondet.models.build import build_detector, build_recognizer
from actiondet.video import VideoWriter

NAMES = list(actiondet.__all__)
# Examples that read the file that the example of export_network writes.
READ_THE_EXPORT = ("OnnxNetwork", "OnnxRecognizer")


def small_detection(toy: Path) -> DetectionConfig:
    ava = toy / "ava"
    sizes = "transform={train_short_side: [64, 72], train_crop: [64, 64], test_short_side: 64}"
    settings = ["model.backbone.width=4", "clip.frames=4", sizes, f"data.videos={toy / 'videos'}"]
    settings += [f"data.actions={ava / 'action_list.pbtxt'}", "data.evaluated_actions=null"]
    for split in ("train", "val"):
        settings += [f"data.{split}={{truth: {ava / f'ava_{split}.csv'}, proposals: null}}"]
    settings += ["train.epochs=1", "train.batch=4", "train.workers=0"]
    return load_config("toy/slowonly_r18", settings)


def small_recognition(toy: Path) -> RecognitionConfig:
    folder = toy / "kinetics"
    sizes = "transform={train_short_side: [32, 32], train_crop: 32, test_short_side: 32, val_crop: 32}"
    settings = ["model.backbone.width=4", "clip={frames: 4, stride: 2}", sizes, "test={clips: 1, crops: 1, crop: 32}"]
    settings += [f"data.videos={folder}", f"data.classes={folder / 'label_map.txt'}", "train.workers=0"]
    settings += [f"data.{split}={folder / f'{split}.txt'}" for split in ("train", "val")]
    return load_recognition_config("toy/recognition_slowonly", settings)


@pytest.fixture(scope="module")
def folder(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video, as file and as images, networks with random weights, and their configurations."""
    folder = tmp_path_factory.mktemp("examples")
    coarse = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    (folder / "frames/street").mkdir(parents=True)
    with VideoWriter(folder / "street.mp4", 10, 160, 120) as writer:
        for number in range(12):
            frame = np.roll(coarse, number, axis=1).repeat(8, axis=0).repeat(8, axis=1)
            writer.write(frame)
            cv2.imwrite(str(folder / f"frames/street/img_{number + 1:05d}.jpg"), frame)
    torch.manual_seed(0)
    detection, recognition = small_detection(toy), small_recognition(toy)
    for config, network, name, settings in (
        (detection, build_detector(detection.model), "detector.pt", "small.yaml"),
        (recognition, build_recognizer(recognition.model), "recognizer.pt", "small_videos.yaml"),
    ):
        save_checkpoint(Checkpoint(config, network.state_dict(), named_actions(config)), folder / name)
        assert yaml.safe_load(dump_config(config))
        (folder / settings).write_text(dump_config(config))
    return folder


class StatedOutput(doctest.OutputChecker):
    """Compares what an example says; what training and testing log is left out of the examples."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    if name in READ_THE_EXPORT:
        run_example("export_network")
    run_example(name)


@cache  # an export takes a quarter of a minute
def run_example(name: str) -> None:
    public = getattr(actiondet, name)
    known: dict[str, Any] = {"actiondet": actiondet, "np": np, "torch": torch, "Path": Path}
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(public, name, module=ModuleType("none"), globs=known)
    assert example.examples, "expected an Example section"
    results = doctest.DocTestRunner(StatedOutput()).run(example)
    assert results.failed == 0
