"""SIGTERM and Ctrl-C: the step is finished and saved, and the run goes on exactly there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from actiondet.config import DetectionConfig
from actiondet.engine import train as train_module
from actiondet.engine.checkpoint import load_checkpoint
from actiondet.engine.detection.task import DetectionTask
from actiondet.engine.devices import launch
from actiondet.engine.log import read_log
from actiondet.engine.run import Run
from actiondet.engine.stopping import StopSignals
from actiondet.engine.train import train
from evaluation.errors import StoppedBySignal
from tests.programs import run_copies

Config = Callable[..., DetectionConfig]


def last_of(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of last.pt: weights, optimizer, and what else the training keeps."""
    flat: dict[str, torch.Tensor] = {}

    def walk(value: object, place: str) -> None:
        if isinstance(value, torch.Tensor):
            flat[place] = value
        elif isinstance(value, dict):
            for key, each in value.items():
                walk(each, f"{place}.{key}")
        elif isinstance(value, list | tuple):
            for number, each in enumerate(value):
                walk(each, f"{place}.{number}")

    walk(torch.load(folder / "last.pt"), "")
    return flat


def assert_same_state(one: Path, other: Path) -> None:
    first, second = last_of(one), last_of(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[place]) for place, tensor in first.items())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_stopped_run_resumes_bit_by_bit(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, at: int
) -> None:
    config = tiny_config("train.epochs=2", "train.save_minutes=1000")
    train(config, folder=tmp_path / "whole", fabric=launch())
    steps, take_step = iter(range(1000)), train_module.take_step

    def step_and_signal(run: Run, group: object) -> float:
        if next(steps) == at:
            os.kill(os.getpid(), number)
        return take_step(run, group)  # type: ignore[arg-type]

    monkeypatch.setattr(train_module, "take_step", step_and_signal)
    with pytest.raises(StoppedBySignal, match=f"stopped by {number.name}; --resume continues exactly here") as stop:
        train(config, folder=tmp_path / "stopped", fabric=launch())
    assert stop.value.number == number
    monkeypatch.undo()
    state = load_checkpoint(tmp_path / "stopped/last.pt").training
    assert state is not None
    assert (state.progress.epoch, state.progress.step) != (0, 0)
    train(config, folder=tmp_path / "stopped", fabric=launch(), resume=True)
    assert_same_state(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("times", "seed", "workers", "precision"),
    [(1, 1, 0, "bf16-mixed"), pytest.param(10, 2, 1, "32-true", marks=pytest.mark.slow)],
)
def test_runs_that_are_ended_anywhere_resume_bit_by_bit(
    settings: list[str], tmp_path: Path, processes: int, times: int, seed: int, workers: int, precision: str
) -> None:
    config = Path(__file__).parents[3] / "configs/toy/slowonly_r18.yaml"
    more = ["train.epochs=2", "train.batch=1", f"train.workers={workers}", "train.save_minutes=1e-6"]
    more += [f"train.precision={precision}"]
    program = Path(__file__).with_name("ended_runs.py")
    done = run_copies(program, tmp_path, processes, times, seed, config, *settings, *more)
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(runs) == 3 * times
    for rank in range(processes):
        assert "Warning" not in (tmp_path / f"whole.{rank}.log").read_text()
    for run in runs:
        code = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 143, "SIGINT": 130}[run["folder"].partition("_")[0]]
        assert code in run["codes"], run
        assert run["resumed"] == [0] * processes, run
        assert_same_state(tmp_path / run["folder"], tmp_path / "whole")
        rows, expected = (read_log(tmp_path / name / "log.csv") for name in (run["folder"], "whole"))
        assert [replace(row, seconds=0) for row in rows] == [replace(row, seconds=0) for row in expected], run


def test_a_signal_ends_a_validation_at_once_because_the_run_is_saved(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate(task: DetectionTask, network: torch.nn.Module) -> float:
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it went on")

    config = tiny_config("train.epochs=1")
    train(config, folder=tmp_path / "whole", fabric=launch())
    monkeypatch.setattr(DetectionTask, "validate", validate)
    with pytest.raises(StoppedBySignal, match="stopped by SIGTERM; --resume continues exactly here"):
        train(config, folder=tmp_path / "stopped", fabric=launch())
    monkeypatch.undo()
    train(config, folder=tmp_path / "stopped", fabric=launch(), resume=True)
    assert_same_state(tmp_path / "stopped", tmp_path / "whole")


def test_a_second_signal_ends_the_process_but_under_torchrun_which_passes_on_what_all_have_received(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with StopSignals():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StoppedBySignal, match="stopped before the step was saved"):
            signal.raise_signal(signal.SIGTERM)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with StopSignals() as signals:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            signal.raise_signal(number)
        with pytest.raises(StoppedBySignal, match="stopped by SIGTERM"), signals.at_once():
            pytest.fail("it went on")


def test_handlers_are_given_back(tiny_config: Config, tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    train(tiny_config("train.epochs=1"), folder=tmp_path, fabric=launch())
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_programs_end_with_the_codes_of_their_signals(name: str, code: int) -> None:
    program = (
        "import signal\nfrom evaluation.command_line import run_tool\nfrom evaluation.errors import StoppedBySignal\n"
        f"def main():\n    raise StoppedBySignal(signal.{name}, 'stopped')\nrun_tool(main)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "-c: stopped\n")
