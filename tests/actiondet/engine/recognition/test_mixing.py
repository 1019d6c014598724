"""Trainings that mix clips and show videos several times a batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from actiondet.config import RecognitionConfig
from actiondet.config.plain_yaml import ConfigError
from actiondet.engine.devices import launch
from actiondet.engine.log import read_log
from actiondet.engine.recognition.task import RecognitionTask
from actiondet.engine.train import train

Config = Callable[..., RecognitionConfig]
PLAIN = [
    "multigrid=null",
    "precise_norm=0",
    "model.dropout=0",
    "train.batch=2",
    "train.schedule={policy: constant, steps: []}",
]
MIXED = [*PLAIN, "mixing={}", "transform.repeats=2"]


def test_a_batch_holds_each_video_as_often_as_the_settings_say(multigrid_config: Config) -> None:
    task = RecognitionTask(multigrid_config(*PLAIN, "transform.repeats=3"), launch())

    loaded = next(iter(task.loader(epoch=0, start=0)))

    (batch,) = loaded.batches
    assert batch.videos.tolist() == [batch.videos[0]] * 3 + [batch.videos[3]] * 3
    assert batch.labels.tolist() == [batch.labels[0]] * 3 + [batch.labels[3]] * 3
    assert not torch.equal(batch.clips[0], batch.clips[1])
    assert task.count_terms(loaded) == 6


def test_what_is_mixed_follows_from_the_place_in_the_run(multigrid_config: Config) -> None:
    task = RecognitionTask(multigrid_config(*MIXED), launch())

    def losses(*, epoch: int, start: int, count: int) -> list[float]:
        batches = iter(task.loader(epoch=epoch, start=start))
        with torch.no_grad():
            return [
                float(task.loss(task.network.eval(), next(batches), normalizer=torch.tensor(4.0))) for _ in range(count)
            ]

    whole = losses(epoch=1, start=0, count=3)
    assert losses(epoch=1, start=2, count=1) == pytest.approx(whole[2:], abs=1e-6)
    assert len(set(whole)) == 3


def test_a_mixed_training_runs(multigrid_config: Config, tmp_path: Path) -> None:
    train(multigrid_config(*MIXED, "train.epochs=1"), folder=tmp_path / "run", fabric=launch())

    (row,) = read_log(tmp_path / "run" / "log.csv")
    assert row.loss > 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["mixing={}"], "multigrid shows every clip once"),
        (["transform.repeats=2"], "multigrid shows every clip once"),
        ([*PLAIN, "train.batch=1", "mixing={}"], "mixing takes two clips of a batch"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(multigrid_config: Config, settings: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        multigrid_config(*settings)
