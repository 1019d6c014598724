"""What our programs write of a network's detections scores the same in the official script; see the golden README."""

from __future__ import annotations

import gzip
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.ap_result import IOU_RANGES
from evaluation.error_analysis import video_errors
from evaluation.formats.multisports import read_frame_detections, read_multisports, read_video_detections
from evaluation.tube_scoring import tube_frame_map, video_map

GOLDEN = Path(__file__).parents[1] / "golden" / "multisports_toy"
OFFICIAL: dict[str, Any] = json.loads((GOLDEN / "official.json").read_text())
EXACT = 1e-9  # in points of a percentage


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for packed in GOLDEN.glob("*.gz"):
        (tmp_path / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return tmp_path


@pytest.mark.parametrize("rows_at_once", [200_000, 999])
def test_frame_map_equals_the_official_script(files: Path, rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # By its name: `evaluation.tube_scoring` is the function.
    monkeypatch.setattr(importlib.import_module("evaluation.tube_scoring"), "_ROWS_AT_ONCE", rows_at_once)
    truth = read_multisports(files / "GT.pkl")
    detections = read_frame_detections(files / "frame_detections.pkl", truth)
    result = tube_frame_map(truth, detections, [0.5, 0.75])
    assert result.labels.tolist() == OFFICIAL["labels"]
    for place, threshold in enumerate((0.5, 0.75)):
        official = OFFICIAL["frame"][str(threshold)]
        assert 100 * result.mean_at(threshold) == pytest.approx(official["mean"], abs=EXACT)
        np.testing.assert_allclose(result.ap[place, OFFICIAL["labels"]], official["per_class"], rtol=0, atol=1e-11)


def test_video_map_and_its_errors_equal_the_official_script(files: Path) -> None:
    truth, tubes = read_multisports(files / "GT.pkl"), read_video_detections(files / "tubes.pkl")
    result = video_map(truth, tubes, [float(threshold) for threshold in OFFICIAL["video"]])
    for threshold, official in OFFICIAL["video"].items():
        assert 100 * result.mean_at(float(threshold)) == pytest.approx(official["mean"], abs=EXACT)
    for thresholds in IOU_RANGES.values():
        official_mean = np.mean([OFFICIAL["video"][repr(threshold)]["mean"] for threshold in thresholds])
        assert 100 * result.mean_over(thresholds) == pytest.approx(official_mean, abs=EXACT)
    for threshold, by_label in OFFICIAL["errors"].items():
        errors = video_errors(truth, tubes, float(threshold))
        ours = 100 * np.column_stack([errors.ap, errors.shares, errors.missed])
        theirs = np.array([by_label[str(label)] for label in errors.result.labels])
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
