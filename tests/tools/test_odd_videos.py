"""What people's folders hold beside good videos: every tool copes or says in one sentence why not, and counts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from actiondet.engine.recognition.recognize import load_recognizer
from evaluation.formats.video_scores import read_video_scores

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs/toy/recognition_slowonly.yaml")
GOOD = ("one_frame.mp4", "three_frames.mp4", "turned.mp4", "uneven.mp4")
BROKEN = {
    "no_frame.mp4": "holds no video",
    "empty.mp4": "is empty",
    "sound.mp4": "holds no video, only audio",
    "cut_off.mp4": "is cut off",
}


@pytest.fixture(scope="module")
def folder(stamped: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not hasattr(av.video.stream.VideoStream, "set_display_rotation"):
        pytest.skip("this PyAV cannot write rotated videos")
    folder = tmp_path_factory.mktemp("odd")
    stamped.write_stamped(folder / "one_frame.mp4", 1)
    stamped.write_stamped(folder / "three_frames.mp4", 3)
    stamped.write_stamped(folder / "turned.mp4", 12, rotation=90)
    stamped.write_stamped(folder / "uneven.mp4", 12, times_ms=[0, 10, 20, 30, 40, 500, 900, 910, 920, 930, 940, 2000])
    (folder / "empty.mp4").touch()
    whole = stamped.write_stamped(folder / "cut_off.mp4", 12).read_bytes()
    (folder / "cut_off.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(folder / "no_frame.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()
    write_sound(folder / "sound.mp4")
    names = [*GOOD, *BROKEN, "missing.mp4"]
    (folder / "list.txt").write_text("".join(f"{name} {number % 2}\n" for number, name in enumerate(names)))
    (folder / "good.txt").write_text("".join(f"{name} {number % 2}\n" for number, name in enumerate(GOOD)))
    return folder


def write_sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def settings(folder: Path, *more: str) -> list[str]:
    return [
        "model.backbone.width=4",
        "model.num_classes=2",
        "clip={frames: 4, stride: 2}",
        "transform={train_short_side: [32, 32], train_crop: 32, test_short_side: 32, val_crop: 32}",
        "test={clips: 2, crops: 3, crop: 32}",
        "train={epochs: 2, batch: 3, workers: 0, base_batch: 3, schedule: {policy: constant, warmup_epochs: 0}}",
        "data.classes=null",
        f"data.videos={folder}",
        f"data.train={folder / 'list.txt'}",
        f"data.val={folder / 'list.txt'}",
        *more,
    ]


@pytest.fixture(scope="module")
def trained(run_tool: Callable[..., int], folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run's folder, and what training said."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr(sys.stdout, "write", lambda text: lines.append(text) or len(text))
        arguments = [CONFIG, *settings(folder, "data.unreadable=skip", "data.max_unreadable=0.6"), "--out", str(out)]
        assert run_tool("train_rec.py", *arguments) == 0
    return out, "".join(lines)


def test_training_leaves_broken_and_missing_videos_out_and_counts_them(trained: tuple[Path, str]) -> None:
    _, said = trained
    assert "left out because they are missing: 1 of 9 training and 1 of 9 validation videos" in said
    assert "left out: 4 of 8 training clips of epoch 1, whose video could not be read" in said
    assert "left out: 8 training clips, over all epochs, whose video could not be read" in said
    assert "validation: 4 videos that cannot be read are left out, of 8" in said


def test_testing_leaves_them_out_and_counts_them(
    folder: Path,
    trained: tuple[Path, str],
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = ["--weights", str(trained[0] / "best.pt"), "--dump", str(tmp_path / "d.pkl")]
    assert run_tool("test_rec.py", CONFIG, *settings(folder, "data.unreadable=skip"), *weights) == 0
    assert "left out: 1 missing and 4 unreadable videos of 9" in capsys.readouterr().out
    assert read_video_scores(tmp_path / "d.pkl").videos == GOOD


@pytest.mark.parametrize("tool", ["train_rec.py", "test_rec.py"])
@pytest.mark.parametrize("broken", list(BROKEN))
def test_without_leave_to_skip_a_broken_video_is_one_sentence_with_its_name(
    tool: str,
    broken: str,
    folder: Path,
    trained: tuple[Path, str],
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "list.txt").write_text(f"{broken} 0\nthree_frames.mp4 1\n")
    lists = [f"data.{part}={tmp_path / 'list.txt'}" for part in ("train", "val")]
    end = ["--out", str(tmp_path)] if tool == "train_rec.py" else ["--weights", str(trained[0] / "best.pt")]
    assert run_tool(tool, CONFIG, *settings(folder, *lists), *end) == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    assert f"{broken}: {BROKEN[broken]}" in error
    assert "data.unreadable=skip" in error


def test_predict_names_the_good_videos_and_says_what_is_wrong_with_the_others(
    folder: Path,
    trained: tuple[Path, str],
    tmp_path: Path,
    run_tool: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = ["--weights", str(trained[0] / "best.pt"), "--json", str(tmp_path / "p.json")]
    assert run_tool("predict.py", "--input", str(folder), *weights, "--top", "1") == 0
    error = capsys.readouterr().err
    assert "4 of 8 videos could not be read" in error
    for name, words in BROKEN.items():
        assert f"{name}: {words}" in error
    assert sorted(Path(path).name for path in json.loads((tmp_path / "p.json").read_text())) == sorted(GOOD)


def test_a_turned_video_scores_as_the_upright_one(
    folder: Path, trained: tuple[Path, str], stamped: ModuleType, tmp_path: Path
) -> None:
    upright = stamped.write_stamped(tmp_path / "upright.mp4", 12)
    recognize = load_recognizer(trained[0] / "best.pt")
    np.testing.assert_allclose(recognize(folder / "turned.mp4"), recognize(upright), atol=0.02)
