"""A loading worker that the system kills, as it does when memory runs out, ends in one sentence."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from actiondet.config import DetectionConfig
from actiondet.data.loading import worker_deaths_explained
from actiondet.engine import train as train_module
from actiondet.engine.devices import launch
from actiondet.engine.train import train
from evaluation.errors import InputError, StoppedBySignal


def test_a_killed_worker_names_memory_and_the_setting(
    tiny_config: Callable[..., DetectionConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step = train_module.take_step

    def step_and_kill(run: object, group: object) -> float:
        for worker in multiprocessing.active_children():
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
        return take_step(run, group)  # type: ignore[arg-type]

    monkeypatch.setattr(train_module, "take_step", step_and_kill)
    with pytest.raises(InputError, match=r"ran out of memory; lower train\.workers"):
        train(tiny_config("train.workers=1", "train.epochs=50"), folder=tmp_path, fabric=launch())


def test_a_worker_outlives_the_signal_that_a_scheduler_sends_to_all(
    tiny_config: Callable[..., DetectionConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_step = train_module.take_step

    def step_and_signal(run: object, group: object) -> float:
        if not signaled:
            signaled.extend(each.pid for each in multiprocessing.active_children() if each.pid is not None)
            subprocess.run(["kill", "-TERM", *map(str, [*signaled, os.getpid()])], check=True)
        return take_step(run, group)  # type: ignore[arg-type]

    signaled: list[int] = []
    monkeypatch.setattr(train_module, "take_step", step_and_signal)
    config = tiny_config("train.workers=1", "train.batch=1")
    with pytest.raises(StoppedBySignal, match="--resume continues exactly here"):
        train(config, folder=tmp_path, fabric=launch())
    assert signaled
    train(config, folder=tmp_path, fabric=launch(), resume=True)


FAULT = """
from torch.utils.data import DataLoader
from actiondet.data.loading import prepare_worker

if __name__ == "__main__":
    loader = DataLoader(range(100), num_workers=2, worker_init_fn=prepare_worker, persistent_workers=True)
    for number, _ in enumerate(loader):
        if number == 5:
            raise RuntimeError("a fault of the program")
"""


def test_a_fault_of_the_program_ends_it_while_workers_live() -> None:
    ended = subprocess.run([sys.executable, "-c", FAULT], capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "RuntimeError: a fault of the program"


def test_other_faults_pass() -> None:
    with pytest.raises(RuntimeError, match="another fault"), worker_deaths_explained():
        raise RuntimeError("another fault")
