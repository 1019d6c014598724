"""`transform.on_device`: the engine trains on the same clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.engine.devices import launch
from actiondet.engine.run import start
from actiondet.engine.train import train
from actiondet.records import PlannedClips


def test_detectors_train_on_the_same_clips(tiny_config: Callable[..., DetectionConfig], tmp_path: Path) -> None:
    batches = []
    for name, more in (("plain", []), ("device", ["transform.on_device=true", "train.workers=1"])):
        begun = start(tiny_config(*more), folder=tmp_path / name, fabric=launch(), resume=False, overwrite=False)
        batches.append([loaded.batches[0] for loaded in begun.task.loader(epoch=0, start=0)])
    assert len(batches[0]) > 1
    for plain, planned in zip(*batches, strict=True):
        assert isinstance(planned.clips, PlannedClips)
        assert planned.keys == plain.keys
        assert torch.equal(torch.cat(list(planned.boxes)), torch.cat(list(plain.boxes)))
        difference = (planned.clips.to("cpu").int() - plain.clips.int()).abs()
        assert int(difference.max()) <= 1


def test_a_detector_trains(tiny_config: Callable[..., DetectionConfig], tmp_path: Path) -> None:
    config = tiny_config("transform.on_device=true", "train.epochs=1")
    assert 0 <= train(config, folder=tmp_path, fabric=launch()) <= 1


def test_a_recognizer_trains_in_sizes_that_change(
    multigrid_config: Callable[..., RecognitionConfig], tmp_path: Path
) -> None:
    config = multigrid_config("transform.on_device=true")
    assert 0 <= train(config, folder=tmp_path, fabric=launch()) <= 1
