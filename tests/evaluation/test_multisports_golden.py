"""Every number of the official MultiSports script, on draws, on MMAction2's sample and on JHMDB.

tests/golden/multisports/expected.json says where the numbers come from.
"""

from __future__ import annotations

import json
import pickle
import runpy
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.ap_result import IOU_RANGES
from evaluation.error_analysis import frame_errors, video_errors
from evaluation.formats.multisports import read_frame_detections, read_multisports, read_video_detections
from evaluation.tube_scoring import tube_frame_map, video_map

GOLDEN = Path(__file__).parents[1] / "golden" / "multisports"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text())
DRAWS: dict[str, str] = json.loads((GOLDEN / "draws.json").read_text())
CASES = [name for name in EXPECTED if name != "from"]
EXACT = 1e-9  # in points of a percentage

generator = runpy.run_path(str(GOLDEN / "gen_multisports.py"))
from_truth = runpy.run_path(str(GOLDEN / "from_truth.py"))


def draw(case: str, request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    """Return truth, frame detections and video detections as the files hold them; None where a case has none."""
    name = case.removesuffix("+tubes")
    if name == "sample":
        folder = request.getfixturevalue("shared") / "reference/evaluation/real/mma_eval_multisports"
        truth = pickle.loads((folder / "GT.pkl").read_bytes())
        return truth, pickle.loads((folder / "frame_detections.pkl").read_bytes()), from_truth["tubes_of"](truth, 1)
    if name == "jhmdb":
        path = request.getfixturevalue("shared") / "reference/evaluation/real/jhmdb/JHMDB-GT.pkl"
        truth = pickle.loads(path.read_bytes(), encoding="latin1")
        return truth, from_truth["frame_detections_of"](truth, 1, split=1), from_truth["tubes_of"](truth, 1, split=1)
    truth, frames, tubes = generator["draw"](generator["parser"]().parse_args(["-", *shlex.split(DRAWS[name])]))
    return truth, frames, from_truth["tubes_of"](truth, 1) if case != name else tubes


@pytest.mark.parametrize("case", CASES)
def test_scores_and_errors_equal_the_official_script(case: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    expected = EXPECTED[case]
    for name, content in zip(("truth", "frames", "tubes"), draw(case, request), strict=True):
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(content, 4))
    truth = read_multisports(tmp_path / "truth.pkl", split=2 if case == "jhmdb" else 1)

    if "frame" in expected:
        detections = read_frame_detections(tmp_path / "frames.pkl", truth)
        result = tube_frame_map(truth, detections, [float(threshold) for threshold in expected["frame"]])
        check(result, expected["frame"], expected["labels"])
        assert frame_errors(truth, detections).mean_ap == pytest.approx(result.mean_ap, abs=1e-6)

    tubes = read_video_detections(tmp_path / "tubes.pkl")
    result = video_map(truth, tubes, [float(threshold) for threshold in expected["video"]])
    check(result, expected["video"], expected["labels"])
    for thresholds in IOU_RANGES.values():
        official = np.mean([expected["video"][repr(threshold)]["mean"] for threshold in thresholds])
        assert 100 * result.mean_over(thresholds) == pytest.approx(official, abs=EXACT)

    if "errors" in expected:
        errors = video_errors(truth, tubes, 0.5)
        ours = 100 * np.column_stack([errors.ap, errors.shares, errors.missed])
        official = np.array([expected["errors"][str(label)] for label in errors.result.labels])
        np.testing.assert_allclose(ours, official, rtol=0, atol=EXACT)


def check(result: Any, expected: dict[str, Any], labels: list[int]) -> None:
    assert result.labels.tolist() == labels
    for k, (threshold, numbers) in enumerate(expected.items()):
        assert 100 * result.mean_at(float(threshold)) == pytest.approx(numbers["mean"], abs=EXACT), threshold
        if "per_class" in numbers:
            np.testing.assert_allclose(result.ap[k, labels], numbers["per_class"], rtol=0, atol=EXACT / 100)


def test_the_cases_hold_ious_exactly_on_a_threshold(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    # Otherwise the cases would not tell float32 from float64, nor < from <=.
    from evaluation.tube_iou import paired_tube_iou

    truth, _, tubes = draw("plain+tubes", request)
    for name, content in (("truth", truth), ("tubes", tubes)):
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(content, 4))
    read = read_multisports(tmp_path / "truth.pkl")
    own, claims = read.of_videos(read.test_videos), read_video_detections(tmp_path / "tubes.pkl")
    claims = claims.of_videos(read.test_videos)
    i, j = (part.ravel() for part in np.meshgrid(np.arange(len(own)), np.arange(len(claims))))
    together = own.video[i] == claims.video[j]
    iou = paired_tube_iou(own, i[together], claims, j[together]).iou
    thresholds = np.unique(np.concatenate(list(IOU_RANGES.values())))
    assert np.isclose(iou[:, None], thresholds, rtol=0, atol=1e-7).any(axis=1).sum() >= 5
