"""A multigrid training: what the network sees, and that an interruption anywhere changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from actiondet.config import RecognitionConfig, dump_config
from actiondet.config.load import ConfigError
from actiondet.engine import run as run_module
from actiondet.engine.checkpoint import load_checkpoint
from actiondet.engine.devices import launch
from actiondet.engine.log import read_log
from actiondet.engine.recognition.multigrid import MultigridTask
from actiondet.engine.train import train
from actiondet.models.norm import SplitBatchNorm3d
from evaluation.errors import InputError

ROOT = Path(__file__).parents[4]
Config = Callable[..., RecognitionConfig]


def build(config: RecognitionConfig) -> MultigridTask:
    assert config.multigrid is not None
    return MultigridTask(config, config.multigrid, launch())


def test_clips_and_norms_change_as_planned(multigrid_config: Config) -> None:
    task = build(multigrid_config("train.epochs=6", "train.schedule.steps=[4, 5]"))
    seen = set()
    assert task.schedule.epochs == 9
    for epoch in (0, 3, 6):  # one epoch of three of the sizes
        loader = task.loader(epoch=epoch, start=0)
        splits = {module.splits for module in task.network.modules() if isinstance(module, SplitBatchNorm3d)}
        batches = [loaded.batches[0] for loaded in loader]
        assert len(batches) == task.schedule.steps_in(epoch)
        for batch in batches:
            count, _, frames, height, width = batch.clips.shape
            assert height == width
            seen.add((count, frames, height, *splits))
    # 36 clips at a quarter of 8 frames and 0.7 of 32 pixels: batches of 16 at half the side, then twice 8.
    assert {(16, 2, 16, 4), (8, 2, 23, 4)} <= seen
    assert {(8, 4, 16, 2), (4, 4, 23, 2)} <= seen
    assert {(4, 8, 16, 1), (2, 8, 23, 1), (1, 8, 32, 1)} <= seen


def test_every_stage_resumes_to_the_weights_of_a_run_that_was_not_cut(
    multigrid_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = multigrid_config("train.save_minutes=1e-6")
    train(settings, folder=tmp_path / "whole", fabric=launch())

    class CutError(Exception):
        pass

    save = run_module.save_checkpoint
    saves = 0

    def save_and_cut(*arguments: object) -> None:
        nonlocal saves
        save(*arguments)  # type: ignore[arg-type]
        saves += 1
        if saves % 6 == 0:
            raise CutError

    monkeypatch.setattr(run_module, "save_checkpoint", save_and_cut)
    cuts = set()
    while True:
        try:
            train(settings, folder=tmp_path / "cut", fabric=launch(), resume=True)
            break
        except CutError:
            state = load_checkpoint(tmp_path / "cut/last.pt", RecognitionConfig).training
            assert state is not None
            cuts.add(state.progress.epoch)
    assert len(cuts) > 1
    whole, cut = (load_checkpoint(tmp_path / name / "last.pt", RecognitionConfig).weights for name in ("whole", "cut"))
    for name, weight in whole.items():
        torch.testing.assert_close(cut[name], weight, rtol=0, atol=0, msg=name)


def test_a_batch_that_lacks_an_unreadable_video_is_trained_on(multigrid_config: Config, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    with (tmp_path / "train.txt").open("a") as file:
        file.write(f"{tmp_path / 'broken.mp4'} 0\n" * 4)
    train(
        multigrid_config("data.unreadable=skip", "data.max_unreadable=0.5", "train.precision=bf16-mixed"),
        folder=tmp_path / "run",
        fabric=launch(precision="bf16-mixed"),
    )
    state = load_checkpoint(tmp_path / "run/last.pt", RecognitionConfig).training
    assert state is not None
    assert state.progress.skipped > 0


def test_measured_statistics_are_what_is_validated(multigrid_config: Config) -> None:
    task = build(multigrid_config())
    norm = next(module for module in task.network.modules() if isinstance(module, SplitBatchNorm3d))
    assert norm.running_mean is not None
    assert norm.running_mean.abs().sum() == 0
    task.validate(task.network)
    assert norm.running_mean.abs().sum() > 0


TWO = """
import os, runpy, sys
import torch
from actiondet.engine.recognition.task import RecognitionTask

folder, validate = sys.argv.pop(1), RecognitionTask.validate

def validate_and_keep(self, network):
    score = validate(self, network)
    torch.save(network.state_dict(), f"{folder}/seen{os.environ['RANK']}.pt")
    return score

RecognitionTask.validate = validate_and_keep
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.parametrize("more", [["multigrid=null", "precise_norm=0"], ["train.validate_every=1"]])
def test_two_processes_validate_the_network_that_the_first_saves(
    multigrid_config: Config, tmp_path: Path, more: list[str]
) -> None:
    settings = multigrid_config("train.epochs=2", "train.schedule.steps=[1]", *more)
    (tmp_path / "c.yaml").write_text(dump_config(settings))
    (tmp_path / "two.py").write_text(TWO)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    program = [str(tmp_path / "two.py"), str(tmp_path), str(ROOT / "tools/train_rec.py")]
    done = subprocess.run(
        [*launcher, *program, str(tmp_path / "c.yaml"), "--out", str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert read_log(tmp_path / "run/log.csv")[-1].score is not None
    first, second = (torch.load(tmp_path / f"seen{rank}.pt") for rank in (0, 1))
    last = load_checkpoint(tmp_path / "run/last.pt", RecognitionConfig).weights
    assert first.keys() == second.keys() == last.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(first[name], last[name]) for name in first)


def test_too_few_videos_for_a_batch_are_said_to_be_too_few(multigrid_config: Config, toy: Path) -> None:
    with pytest.raises(InputError, match=r"takes up to 8 times train\.batch=8 .* only 9 videos; lower train\.batch"):
        build(multigrid_config("train.batch=8", f"data.train={toy / 'kinetics/train.txt'}"))


def test_without_a_long_cycle_any_number_of_frames_will_do(multigrid_config: Config) -> None:
    assert multigrid_config("clip.frames=6", "multigrid.long_cycle=false").clip.frames == 6


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.schedule={policy: cosine, steps: []}", "policy cosine"),
        ("train.schedule.steps=[1, 3]", r"steps \[1.0, 3.0\], 3 epochs"),
        ("train.accumulate=2", "set train.accumulate=1"),
        ("train.schedule.warmup_by=epoch", "set train.schedule.warmup_by=iteration"),
        ("model.window=1", "set model.window=null"),
        ("train.schedule.factors=[0.5, 0.1]", r"set train.schedule.factors=\[\]"),
        ("clip.frames=6", "clip.frames 6 has none"),
        (
            "model.backbone={name: slowfast, alpha: 4, beta_inv: 4}",
            r"a quarter of clip.frames: clips of 2 .*alpha, 4",
        ),
        ("train.freeze_norm=true", "set precise_norm=0 or train.freeze_norm=false"),
        ("multigrid={long_cycle: false, short_cycle: false}", "set multigrid=null"),
    ],
)
def test_a_recipe_that_multigrid_cannot_speed_up_is_refused(
    multigrid_config: Config, setting: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        multigrid_config(setting)


def test_training_on_nothing_ends_in_a_sentence_and_keeps_no_network(multigrid_config: Config, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    (tmp_path / "train.txt").write_text(f"{tmp_path / 'broken.mp4'} 0\n" * 64)
    with pytest.raises(InputError, match=r"none of the \d+ training clips of epoch 1 could be read"):
        train(multigrid_config("data.unreadable=skip"), folder=tmp_path / "run", fabric=launch())
    assert not (tmp_path / "run/best.pt").exists()
