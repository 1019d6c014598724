from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.programs import run_program

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("stride", "resized"), [(1, 4.0), (3, 4 / 3)])
def test_streamed_clips_decode_and_resize_every_frame_once(stride: int, resized: float) -> None:
    config = str(ROOT / "configs/multisports/slowonly_r50_4x16_k400.yaml")
    size = ["--size", "96", "64", "--frames", "60", "--rounds", "1", "--json", "-", "--stride", str(stride)]
    done = run_program(ROOT / "tools/benchmark.py", "dense", config, *size)
    assert done.returncode == 0, done.stderr
    plain, streamed = json.loads(done.stdout)
    assert (plain["way"], streamed["way"]) == ("plain", "streamed")
    assert plain["resized"] == pytest.approx(resized)
    assert plain["decoded"] >= resized
    assert 0.9 < streamed["decoded"] <= 1.0  # decoding ends with the last clip
    assert streamed["resized"] <= 1.0
