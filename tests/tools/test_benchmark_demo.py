"""`benchmark.py demo` times every stage of a video that is looked at and drawn."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actiondet import drawing, frame_sources
from actiondet.config import dump_config, load_config
from actiondet.video import VideoWriter, clip_stream, streaming
from actiondet.video.pixels import RgbConverter
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FrameKey, PersonBoxes

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "model.backbone={name: slowonly, depth: 18, width: 4}",
    "transform={train_short_side: [48, 48], train_crop: 48, test_short_side: 48}",
    "clip.frames=4",
]


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark; what it replaces in the pipeline is put back."""
    for home, names in (
        (clip_stream, ("stream_unconverted", "stream_clips")),
        (streaming, ("stream_unconverted",)),
        (frame_sources, ("stream_clips",)),
        (drawing.ActionDrawer, ("draw",)),
        (VideoWriter, ("convert", "write_converted", "close")),
        (RgbConverter, ("convert",)),
    ):
        for name in names:
            monkeypatch.setattr(home, name, getattr(home, name))
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    return import_module("benchmarks.demo")


def test_every_stage_is_timed(demo: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with VideoWriter(tmp_path / "film.mp4", 10, 100, 74) as writer:
        for number in range(20):
            writer.write(np.full((74, 100, 3), 10 * number, dtype=np.uint8))
    box, score = np.array([[0.2, 0.1, 0.5, 0.9]], dtype=np.float32), np.ones(1, dtype=np.float32)
    keys = [FrameKey("film", half * 500_000) for half in range(4)]
    write_proposals(tmp_path / "boxes.pkl", [PersonBoxes(key, box, score) for key in keys])
    stored = f"persons={{name: stored, boxes: {tmp_path / 'boxes.pkl'}}}"
    config = load_config(ROOT / "configs/toy/slowonly_r18.yaml", [*SMALL, stored])
    (tmp_path / "net.yaml").write_text(dump_config(config))
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    network = ["--config", str(tmp_path / "net.yaml"), "--every", "0.5"]
    row = demo.measure(parser.parse_args([str(tmp_path / "film.mp4"), *network]), "float32")
    assert (row.way, row.frames) == ("float32", 20)
    assert set(row.shares) == set(demo.STAGES)
    assert all(share > 0 for share in row.shares.values())
    assert 0 <= row.delay_p50 <= row.delay_p95 <= row.seconds
    demo.print_table([row])
    assert "float32" in capsys.readouterr().out
