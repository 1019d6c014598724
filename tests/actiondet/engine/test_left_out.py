"""A training that lacks too much of its data ends in a sentence that says how much of how much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.engine.checkpoint import Progress, load_checkpoint
from actiondet.engine.devices import launch
from actiondet.engine.left_out import check_lost, check_missing
from actiondet.engine.train import train
from evaluation.errors import InputError

Multigrid = Callable[..., RecognitionConfig]


def test_a_share_at_the_limit_passes_and_one_above_it_does_not() -> None:
    check_missing(1, 10, limit=0.1)
    with pytest.raises(InputError, match=r"2 of 10 training videos are missing, more than data.max_unreadable=0\.1"):
        check_missing(2, 10, limit=0.1)
    check_missing(10, 10, limit=1.0)
    check_missing(29, 100, limit=0.29)


def test_clips_are_refused_as_soon_as_the_epoch_cannot_keep_the_limit() -> None:
    # Of 10 steps with 8 clips each, 8 clips may be lost.
    check_lost(Progress(step=1, drawn=8, lost=8), 10, limit=0.1, example="")
    check_lost(Progress(step=10, drawn=80, lost=8), 10, limit=0.1, example="")
    with pytest.raises(InputError, match=r"9 of 16 training clips of epoch 3 could not be read so far \(broken\)"):
        check_lost(Progress(epoch=2, step=2, drawn=16, lost=9), 10, limit=0.1, example="broken")
    with pytest.raises(InputError, match="9 of 80 training clips of epoch 1 could not be read, more than"):
        check_lost(Progress(step=10, drawn=80, lost=9), 10, limit=0.1, example="")


def test_all_clips_are_refused_at_any_limit() -> None:
    check_lost(Progress(step=1, drawn=8, lost=8), 2, limit=1.0, example="")
    with pytest.raises(InputError, match="none of the 16 training clips of epoch 1 could be read;"):
        check_lost(Progress(step=2, drawn=16, lost=16), 2, limit=1.0, example="")


@pytest.mark.parametrize("broken", [1, 2])
def test_an_epoch_may_lose_a_tenth(multigrid_config: Multigrid, tmp_path: Path, broken: int) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    plain = ["multigrid=null", "precise_norm=0", "train.epochs=2", "train.schedule={policy: constant, steps: []}"]
    with (tmp_path / "train.txt").open("r+") as file:
        lines = file.read().splitlines()[:17]
        file.seek(0)
        file.truncate()
        file.write("\n".join([*lines, *[f"{tmp_path / 'broken.mp4'} 0"] * broken]) + "\n")
    config = multigrid_config("data.unreadable=skip", *plain)
    if broken == 1:
        train(config, folder=tmp_path / "run", fabric=launch())
        state = load_checkpoint(tmp_path / "run/last.pt", RecognitionConfig).training
        assert state is not None
        assert (state.progress.lost, state.progress.skipped) == (0, 2)
    else:
        with pytest.raises(InputError, match=r"more than data.max_unreadable=0\.1 of the epoch"):
            train(config, folder=tmp_path / "run", fabric=launch())
        assert not (tmp_path / "run/best.pt").exists()


@pytest.mark.parametrize("limit", [0.1, 0.5])
def test_missing_videos_count_before_the_first_step(
    tiny_config: Callable[..., DetectionConfig],
    toy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    limit: float,
) -> None:
    (tmp_path / "some").mkdir()
    for path in (toy / "videos").glob("*.mp4"):
        if path.stem != "toy_train_001":
            (tmp_path / "some" / path.name).symlink_to(path)
    config = tiny_config(
        "data.unreadable=skip", f"data.max_unreadable={limit}", f"data.videos={tmp_path / 'some'}", "train.epochs=1"
    )
    if limit < 0.5:
        with pytest.raises(InputError, match="1 of 2 training videos are missing"):
            train(config, folder=tmp_path / "run", fabric=launch())
    else:
        train(config, folder=tmp_path / "run", fabric=launch())
    assert "missing: 1 of 2 training and 0 of 1 validation videos" in capsys.readouterr().out
