"""What a run leaves to look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from actiondet.engine.log import EpochRow, RunLog, describe_environment, read_log
from evaluation.progress import ProgressBar

ROW = EpochRow(epoch=1, lr=0.1, loss=2.5, score=0.25, skipped=0, seconds=3.0)


def test_rows_come_back_and_a_resumed_run_drops_what_lies_beyond(tmp_path: Path) -> None:
    log = RunLog(tmp_path, epochs_done=0)
    for epoch in (1, 2, 3):
        log.epoch(replace(ROW, epoch=epoch, score=None if epoch == 2 else 0.1 * epoch))
    log.close()
    assert [row.score for row in read_log(tmp_path / "log.csv")] == pytest.approx([0.1, None, 0.3])
    assert (tmp_path / "curves.png").stat().st_size > 5000

    resumed = RunLog(tmp_path, epochs_done=2)
    resumed.epoch(replace(ROW, epoch=3, loss=9.0))
    resumed.close()
    assert [(row.epoch, row.loss) for row in read_log(tmp_path / "log.csv")] == [(1, 2.5), (2, 2.5), (3, 9.0)]


def test_an_epoch_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = RunLog(tmp_path, epochs_done=0)
    log.epoch(replace(ROW, skipped=3))
    log.close()
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "mAP@0.5 0.2500" in said
    assert "skipped clips 3" in said


def test_a_bar_in_a_log_file_is_silent_when_quick(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(ProgressBar("testing", 3).over([1, 2, 3])) == [1, 2, 3]
    assert capsys.readouterr().out == ""


def test_the_environment_names_versions_and_seed() -> None:
    found = describe_environment(7)
    assert found["seed"] == 7
    assert str(found["torch"]).count(".") >= 1


def test_tensorboard_shows_the_curves(tmp_path: Path) -> None:
    log = RunLog(tmp_path, epochs_done=0)
    for number in range(3):
        log.step(number, loss=0.5 * number, lr=0.25)
    log.epoch(ROW)
    again = RunLog(tmp_path, epochs_done=1)
    again.step(3, loss=1.5, lr=0.25)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"train/loss", "train/lr", "val/mean_ap"}
    loss = [(each.step, each.value) for each in board.Scalars("train/loss")]
    assert loss == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]
    assert [(each.step, each.value) for each in board.Scalars("val/mean_ap")] == [(1, 0.25)]


def test_a_curve_that_cannot_be_written_names_its_file(tmp_path: Path) -> None:
    log = RunLog(tmp_path, epochs_done=0)
    (events,) = (tmp_path / "tensorboard").iterdir()
    events.unlink()
    events.mkdir()  # what nobody can write to, not even root
    with pytest.raises(IsADirectoryError) as caught:
        log.step(0, loss=0.5, lr=0.25)
    assert caught.value.filename == str(events)
