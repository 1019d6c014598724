"""The loop learns, resumes exactly, and gives the same weights however the work is split."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from actiondet.config import DetectionConfig
from actiondet.config.data_sets import AvaConfig
from actiondet.engine import run as run_module
from actiondet.engine.checkpoint import load_checkpoint
from actiondet.engine.devices import launch
from actiondet.engine.log import read_log
from actiondet.engine.run import start
from actiondet.engine.train import take_step, train
from evaluation.errors import InputError

ROOT = Path(__file__).parents[3]
Config = Callable[..., DetectionConfig]


def weights_of(folder: Path) -> dict[str, Tensor]:
    return dict(load_checkpoint(folder / "last.pt").weights)


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor], *, within: float = 0.0) -> None:
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(
            ours[name], theirs[name], rtol=0, atol=within, msg=lambda text, at=name: f"{at}: {text}"
        )


def train_program(settings: list[str], out: Path, *more: str, processes: int = 1) -> list[str]:
    program = [sys.executable]
    if processes > 1:
        program += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [
        *program,
        str(ROOT / "tools/train_det.py"),
        str(ROOT / "configs/toy/slowonly_r18.yaml"),
        *settings,
        "--out",
        str(out),
        *more,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def test_a_run_leaves_checkpoints_log_curves_config_and_versions(tiny_config: Config, tmp_path: Path) -> None:
    best = train(tiny_config("train.save_every=1"), folder=tmp_path, fabric=launch())
    left = {each.name for each in tmp_path.iterdir()}
    assert {"best.pt", "last.pt", "epoch_001.pt", "epoch_002.pt", "log.csv", "curves.png"} <= left
    assert {"config.yaml", "environment.json", "tensorboard"} <= left
    rows = read_log(tmp_path / "log.csv")
    assert [row.epoch for row in rows] == [1, 2]
    assert max(row.score or 0.0 for row in rows) == pytest.approx(best)
    checkpoint = load_checkpoint(tmp_path / "best.pt")
    assert checkpoint.score == pytest.approx(best)
    assert checkpoint.training is None
    assert checkpoint.actions.names[0] == "stand"


def test_eight_clips_are_learnt_by_heart(tiny_config: Config, tmp_path: Path) -> None:
    config = tiny_config(
        "train.batch=8",
        "train.base_batch=8",
        "model.head.dropout=0.0",
        "train.optimizer={name: adamw}",
        "train.base_lr=5e-3",
    )
    run = start(config, folder=tmp_path, fabric=launch(), resume=False, overwrite=False)
    group = [next(iter(run.task.loader(epoch=0, start=0)))]
    losses = [take_step(run, group) for _ in range(25)]
    assert losses[-1] < 0.25 * losses[0]


@pytest.mark.parametrize("more", ["train.repeat_threshold=null", "train.repeat_threshold=0.9"])
def test_a_run_that_was_cut_off_ends_with_the_weights_of_one_that_was_not(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    settings = ["train.batch=1", "train.save_minutes=1e-6", "train.ema_decay=0.9", "train.schedule={policy: cosine}"]
    settings.append(more)
    train(tiny_config(*settings), folder=tmp_path / "whole", fabric=launch())

    class CutError(Exception):
        pass

    saves = 0
    save = run_module.save_checkpoint

    def save_and_cut(*arguments: object) -> None:
        nonlocal saves
        save(*arguments)  # type: ignore[arg-type]
        saves += 1
        if saves == 2:
            raise CutError

    monkeypatch.setattr(run_module, "save_checkpoint", save_and_cut)
    with pytest.raises(CutError):
        train(tiny_config(*settings), folder=tmp_path / "cut", fabric=launch())
    monkeypatch.undo()
    state = load_checkpoint(tmp_path / "cut" / "last.pt").training
    assert state is not None
    assert (state.progress.epoch, state.progress.step) == (0, 2)
    train(tiny_config(*settings), folder=tmp_path / "cut", fabric=launch(), resume=True)
    assert_equal(weights_of(tmp_path / "cut"), weights_of(tmp_path / "whole"))


def test_clips_of_rare_actions_come_more_often(
    tiny_config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # What the truth file says, counted by hand.
    config = tiny_config("train.repeat_threshold=0.5", "train.batch=1")
    assert isinstance(config.data, AvaConfig)
    rows = [line.split(",") for line in Path(config.data.train.truth).read_text().split()]
    labels_at: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        labels_at.setdefault((row[0], row[1]), set()).add(row[6])
    share = {
        label: sum(label in each for each in labels_at.values()) / len(labels_at) for label in {r[6] for r in rows}
    }
    factors = {key: max([1.0, *(math.sqrt(0.5 / share[label]) for label in each)]) for key, each in labels_at.items()}
    total = math.ceil(sum(factors.values()))
    assert total > len(factors)

    run = start(config, folder=tmp_path, fabric=launch(), resume=False, overwrite=False)
    assert run.task.schedule.steps_in(0) == run.task.schedule.steps_in(3) == total
    assert f"repeat-factor sampling: {total} clips an epoch instead of {len(factors)}" in capsys.readouterr().out
    keys = [key for loaded in run.task.loader(epoch=3, start=0) for batch in loaded.batches for key in batch.keys]
    assert len(keys) == total
    for key, count in Counter(keys).items():
        factor = factors[key.video, f"{key.moment // 1_000_000:04d}"]
        assert math.floor(factor) <= count <= math.ceil(factor) + 1


def test_accumulated_batches_give_the_gradient_of_one_large_batch(tiny_config: Config, tmp_path: Path) -> None:
    settings = ["train.freeze_norm=true", "model.head.dropout=0.0", "train.base_batch=4", "train.epochs=1"]
    train(tiny_config(*settings, "train.batch=4"), folder=tmp_path / "large", fabric=launch())
    train(tiny_config(*settings, "train.batch=2", "train.accumulate=2"), folder=tmp_path / "small", fabric=launch())
    assert_equal(weights_of(tmp_path / "small"), weights_of(tmp_path / "large"), within=1e-5)


@pytest.mark.parametrize("precision", ["bf16-mixed"])
def test_mixed_precision_trains(tiny_config: Config, tmp_path: Path, precision: str) -> None:
    config = tiny_config(f"train.precision={precision}", "train.epochs=1")
    train(config, folder=tmp_path, fabric=launch(precision=precision))
    assert all(weight.dtype != torch.bfloat16 for weight in weights_of(tmp_path).values())


def test_a_folder_that_holds_a_run_is_not_overwritten_by_accident(tiny_config: Config, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_text("precious")
    with pytest.raises(InputError, match="--resume continues it, --overwrite replaces it"):
        train(tiny_config(), folder=tmp_path, fabric=launch())
    assert (tmp_path / "last.pt").read_text() == "precious"


def test_a_run_that_replaces_another_leaves_nothing_of_it(tiny_config: Config, tmp_path: Path) -> None:
    train(tiny_config("train.save_every=1"), folder=tmp_path, fabric=launch())
    (tmp_path / "notes.txt").write_text("mine")
    (board,) = (tmp_path / "tensorboard").iterdir()
    config = tiny_config("train.epochs=1", "train.validate_every=2")
    run = start(config, folder=tmp_path, fabric=launch(), resume=False, overwrite=True)
    assert run.log is not None
    run.log.close()
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {"config.yaml", "environment.json", "tensorboard", "notes.txt"}
    assert board not in (tmp_path / "tensorboard").iterdir()


@pytest.mark.parametrize("more", ["train.batch=2", "train.batch=4", "train.accumulate=4"])
def test_a_validation_that_fails_costs_no_training(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: str
) -> None:
    config = tiny_config(more)
    train(config, folder=tmp_path / "whole", fabric=launch())

    def fail(*_: object) -> float:
        raise InputError("a broken video")

    monkeypatch.setattr("actiondet.engine.detection.task.DetectionTask.validate", fail)
    with pytest.raises(InputError, match="a broken video"):
        train(config, folder=tmp_path / "mended", fabric=launch())
    monkeypatch.undo()
    capsys.readouterr()
    train(config, folder=tmp_path / "mended", fabric=launch(), resume=True)
    assert "resuming at epoch 1, its validation" in capsys.readouterr().out
    assert_equal(weights_of(tmp_path / "mended"), weights_of(tmp_path / "whole"))
    scores = [[row.score for row in read_log(tmp_path / name / "log.csv")] for name in ("mended", "whole")]
    assert scores[0] == scores[1]


def test_a_run_is_not_resumed_within_an_epoch_that_is_shared_otherwise(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actiondet.engine.detection.task.DetectionTask.validate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(tiny_config(), folder=tmp_path, fabric=launch())
    content = torch.load(tmp_path / "last.pt")
    assert content["training"]["processes"] == 1
    content["training"]["processes"] = 2
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(InputError, match=r"of an epoch with 2 processes, which now, with 1, would have \d+ steps"):
        train(tiny_config(), folder=tmp_path, fabric=launch(), resume=True)


def test_a_run_is_not_resumed_with_other_settings(tiny_config: Config, tmp_path: Path) -> None:
    train(tiny_config("train.epochs=1"), folder=tmp_path, fabric=launch())
    with pytest.raises(InputError, match=r"train\.base_lr: 0\.05 -> 0\.1"):
        train(tiny_config("train.epochs=1", "train.base_lr=0.1"), folder=tmp_path, fabric=launch(), resume=True)


def test_a_loss_that_is_no_number_ends_the_run_and_says_what_to_change(tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lower train\.base_lr"):
        train(tiny_config("train.base_lr=1e30", "train.clip_grad_norm=null"), folder=tmp_path, fabric=launch())


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one_with_the_doubled_batch(settings: list[str], tmp_path: Path) -> None:
    exact = [*settings, "train.freeze_norm=true", "model.head.dropout=0.0", "train.base_batch=4"]
    for processes, batch in ((1, 4), (2, 2)):
        program = train_program([*exact, f"train.batch={batch}"], tmp_path / str(processes), processes=processes)
        done = subprocess.run(program, capture_output=True, text=True, env=environment(), cwd=ROOT)
        assert done.returncode == 0, done.stderr
    assert_equal(weights_of(tmp_path / "2"), weights_of(tmp_path / "1"), within=1e-5)
