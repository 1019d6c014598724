"""Options of the loop that few runs need: plateau, short epochs, a profile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from actiondet.config import DetectionConfig
from actiondet.engine import run as run_module
from actiondet.engine import train as train_module
from actiondet.engine.checkpoint import Progress, load_checkpoint
from actiondet.engine.detection.task import DetectionTask
from actiondet.engine.devices import launch
from actiondet.engine.left_out import check_lost
from actiondet.engine.log import read_log
from actiondet.engine.run import start
from actiondet.engine.schedule import PlainSchedule
from actiondet.engine.train import train
from actiondet.models.slowonly import SlowOnly
from evaluation.errors import InputError

Config = Callable[..., DetectionConfig]


def test_the_rate_falls_when_validation_stands_still_and_a_resumed_run_knows(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.3, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3])
    monkeypatch.setattr(DetectionTask, "validate", lambda *_: next(scores))
    plateau = "train.schedule={policy: plateau, patience: 1, gamma: 0.5}"
    settings = ["train.base_lr=0.4", "train.scale_lr=false", plateau]
    save = run_module.save_checkpoint

    class CutError(Exception):
        pass

    def save_and_cut(checkpoint: object, path: Path) -> None:
        save(checkpoint, path)  # type: ignore[arg-type]
        if path.name == "last.pt" and len(read_log(tmp_path / "log.csv")) == 6:
            raise CutError

    monkeypatch.setattr(run_module, "save_checkpoint", save_and_cut)
    with pytest.raises(CutError):
        train(tiny_config(*settings, "train.epochs=7"), folder=tmp_path, fabric=launch())
    monkeypatch.setattr(run_module, "save_checkpoint", save)
    train(tiny_config(*settings, "train.epochs=7"), folder=tmp_path, fabric=launch(), resume=True)
    # 0.3 is best; 0.2 and 0.3 are two validations without a better one, then 0.1 and 0.2.
    rates = [row.lr for row in read_log(tmp_path / "log.csv")]
    assert rates == pytest.approx([0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1])
    state = load_checkpoint(tmp_path / "last.pt").training
    assert state is not None
    assert (state.progress.best, state.progress.stale, state.progress.falls) == (0.4, 1, 2)


def test_an_epoch_can_be_cut_short_and_its_steps_profiled(tiny_config: Config, tmp_path: Path) -> None:
    settings = ["train.batch=1", "train.max_steps=4", "train.profile_steps=1", "train.epochs=1"]
    train(tiny_config(*settings), folder=tmp_path, fabric=launch())
    state = load_checkpoint(tmp_path / "last.pt").training
    assert state is not None
    assert len(state.optimizer["state"]) > 0
    events = json.loads((tmp_path / "profile.json").read_text())["traceEvents"]
    steps = [event for event in events if event.get("name", "").startswith("Optimizer.step")]
    assert len(steps) == 1
    assert "conv3d" in (tmp_path / "profile.txt").read_text()


def test_a_run_compiles_its_backbone_where_there_is_a_compiler(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    monkeypatch.setattr(SlowOnly, "compile", lambda network: compiled.append(network))
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    begun = start(tiny_config("train.compile=true"), folder=tmp_path, fabric=launch(), resume=False, overwrite=False)
    assert compiled == [begun.task.network.backbone]
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(InputError, match=r"train.compile needs a C\+\+ compiler here"):
        start(tiny_config("train.compile=true"), folder=tmp_path, fabric=launch(), resume=False, overwrite=False)


def test_a_deterministic_run_asks_torch_for_algorithms_that_repeat(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    one_step = ["train.batch=1", "train.max_steps=1", "train.epochs=1"]
    train(tiny_config(*one_step), folder=tmp_path / "plain", fabric=launch())
    assert not torch.are_deterministic_algorithms_enabled()
    try:
        train(tiny_config(*one_step, "train.deterministic=true"), folder=tmp_path / "repeats", fabric=launch())
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (3, 2), (4, 2), (100, 3)])
def test_max_steps_counts_all_steps_of_a_training(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, epochs: int
) -> None:
    taken: list[tuple[int, int]] = []
    take_step = train_module.take_step

    def noted(run: Any, group: Any) -> float:
        taken.append((run.progress.epoch, run.progress.step))
        return take_step(run, group)

    monkeypatch.setattr(train_module, "take_step", noted)
    config = tiny_config("train.batch=2", f"train.max_steps={steps}", "train.epochs=3")
    whole = PlainSchedule(config.train.model_copy(update={"max_steps": None}), 2)
    train(config, folder=tmp_path, fabric=launch())
    per_epoch = max(step for _, step in taken) + 1
    assert len(taken) == min(steps, 3 * per_epoch)
    assert len(read_log(tmp_path / "log.csv")) == len({epoch for epoch, _ in taken}) <= epochs
    cut = PlainSchedule(config.train, 2)
    assert cut.lr_factor(0, 0) == whole.lr_factor(0, 0)  # the schedule is cut off, not compressed


def test_a_finished_run_says_so_when_it_is_resumed(
    tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny_config("train.epochs=1")
    best = train(config, folder=tmp_path, fabric=launch())
    capsys.readouterr()
    assert train(config, folder=tmp_path, fabric=launch(), resume=True) == best
    said = capsys.readouterr().out
    assert "all 1 epochs are done" in said
    assert "resuming" not in said


def test_a_training_that_loses_too_many_clips_ends() -> None:
    def ends(*, read: int, unread: int) -> None:
        check_lost(Progress(step=10, drawn=read + unread, lost=unread), 10, limit=0.1, example="")

    ends(read=90, unread=10)
    with pytest.raises(InputError, match=r"11 of 100 training clips of epoch 1 .* more than data\.max_unreadable=0\.1"):
        ends(read=89, unread=11)
    with pytest.raises(InputError, match="none of the 5 training clips"):
        ends(read=0, unread=5)
