"""All results are alike: a table, the same names of columns, files and a picture; ranked ones have curves and hits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from evaluation import (
    ActionList,
    DetectionRows,
    FrameKey,
    InputError,
    PersonBoxes,
    TruthRows,
    TubeSet,
    TubeTruth,
    bootstrap,
    box_recall,
    calibrate,
    compare_results,
    confusion_of,
    find_errors,
    frame_map,
    frame_map_by,
    person_ap,
    recognition_accuracy,
    video_map,
)
from evaluation.result import Result

ACTIONS = ActionList((1, 2), ("sit", "run"), ("CALM", "FAST"))
P, Q = [0.1, 0.1, 0.3, 0.5], [0.6, 0.1, 0.8, 0.5]
TRUTH = TruthRows.from_arrays(video=["v", "w", "w"], time=1, boxes=[P, P, Q], labels=[1, 1, 2])
FOUND = DetectionRows.from_arrays(video=["v", "w"], time=1, boxes=[P, Q], labels=[1, 1], scores=[0.9, 0.3])
TUBES = TubeSet.from_arrays(
    video=["v"] * 4 + ["w"] * 4,
    tube=0,
    frame=[1, 2, 3, 4] * 2,
    boxes=[[0, 0, 100, 100]] * 8,
    labels=[0] * 4 + [1] * 4,
    scores=0.5,
)
TUBE_TRUTH = TubeTruth.from_tubes(TUBES, labels=["run", "jump"], sizes={"v": (100, 200), "w": (100, 200)})

FRAMES = frame_map(TRUTH, FOUND, actions=ACTIONS, thresholds=[0.5, 0.75])
TUBE_RESULT = video_map(TUBE_TRUTH, TUBES, [0.5])
RANKED: dict[str, Result] = {
    "frames": FRAMES,
    "tubes": TUBE_RESULT,
    "bootstrap": bootstrap(FRAMES, rounds=9),
    "calibration": calibrate(FRAMES),
    "errors": find_errors(TRUTH, FOUND, actions=ACTIONS),
    "tube errors": find_errors(TUBE_TRUTH, TUBES),
    "persons": person_ap(
        TRUTH,
        [PersonBoxes(FrameKey("v", 1_000_000), np.array([P, Q], np.float32), np.array([0.9, 0.8], np.float32))],
    ),
}
OTHERS: dict[str, Result] = {
    "comparison": compare_results(FRAMES, FRAMES, rounds=9),
    "confusion": confusion_of(TRUTH, FOUND, actions=ACTIONS, thresholds=[0.1, 0.1]),
    "strata": frame_map_by("size", TRUTH, FOUND, actions=ACTIONS),
    "box recall": box_recall(TRUTH, FOUND),
    "recognition": recognition_accuracy(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), names=["run", "sit"]),
}
ALL = RANKED | OTHERS
COMMON = ["id", "name", "type", "ap", "truths", "detections", "recall"]


@pytest.mark.parametrize("name", ALL)
def test_every_result_is_a_table_writes_itself_and_draws_itself(name: str, tmp_path: Path) -> None:
    result = ALL[name]
    table = result.per_class
    assert len(table)
    result.to_csv(tmp_path / "r.csv")
    assert list(pd.read_csv(tmp_path / "r.csv").columns) == list(table.columns)
    result.to_json(tmp_path / "r.json", note="x")
    content = json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    assert content["note"] == "x"
    axes = Figure().subplots()
    assert result.plot(axes=axes) is axes
    assert axes.has_data()
    result.plot(tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", RANKED)
def test_ranked_results_have_a_mean_curves_and_hits(name: str) -> None:
    result = RANKED[name]
    assert 0 <= result.mean_ap <= 1
    assert result.summary()["mean_ap"] == result.mean_ap
    assert result.hits.dtype == np.bool_
    for curve in result.curves:
        assert len(curve.scores) == len(curve.precision) == len(curve.recall)
        assert np.all(np.diff(curve.scores) <= 0)
    columns = list(result.columns)
    assert [each for each in columns if each in COMMON] == [each for each in COMMON if each in columns]
    assert {"id", "name", "ap", "truths", "detections", "recall"} <= set(columns)


def test_what_is_derived_shows_the_curves_and_hits_of_its_origin_at_one_threshold() -> None:
    at = FRAMES.at(0.75)
    assert (at.thresholds, at.mean_ap) == ((0.75,), FRAMES.mean_at(0.75))
    for derived in (calibrate(FRAMES, threshold=0.75), bootstrap(FRAMES, rounds=9, threshold=0.75)):
        assert derived.threshold == 0.75
        assert derived.hits.tolist() == FRAMES.hits[1:].tolist()
        assert [curve.precision.tolist() for curve in derived.curves] == [
            curve.precision.tolist() for curve in FRAMES.curves_at(0.75)
        ]
    with pytest.raises(InputError, match=r"no IoU threshold 0\.3; it has"):
        FRAMES.at(0.3)


def test_the_curves_of_persons_are_those_of_all_their_boxes() -> None:
    persons = RANKED["persons"]
    assert persons.scores.tolist() == pytest.approx([0.9, 0.8])
    assert persons.hits.tolist() == [[True, False]] * 3
    assert persons.curves[0].precision.tolist() == [1.0, 0.5]
    assert persons.curves[0].recall.tolist() == pytest.approx([1 / 3, 1 / 3])


def said(label: list[int], score: float = 0.9, left: int = 0) -> TubeSet:
    """A tube in each of the videos v and w, with these labels."""
    return TubeSet.from_arrays(
        video=["v"] * 4 + ["w"] * 4,
        tube=0,
        frame=[1, 2, 3, 4] * 2,
        boxes=[[left, 0, left + 100, 100]] * 8,
        labels=np.repeat(label, 4),
        scores=score,
    )


def test_confusions_of_tubes_are_of_tubes_that_some_tube_finds() -> None:
    confusion = confusion_of(TUBE_TRUTH, said([1, 1]), thresholds=[0.5, 0.5])
    assert (confusion.names, confusion.persons) == (("run", "jump"), 2)
    assert confusion.called.tolist() == [[0, 1], [0, 1]]
    assert confusion.pairs[["name", "called", "times", "of"]].to_numpy().tolist() == [["run", "jump", 1, 1]]
    quiet = confusion_of(TUBE_TRUTH, said([1, 1], score=0.3), thresholds=[0.5, 0.5])
    assert (quiet.persons, quiet.called.sum()) == (2, 0)
    assert confusion_of(TUBE_TRUTH, said([1, 1], left=90), thresholds=[0.5, 0.5]).persons == 0
    # The best thresholds of F1 say what was found.
    assert confusion_of(TUBE_TRUTH, said([0, 1])).called.tolist() == [[1, 0], [0, 1]]


def test_equal_tubes_with_two_labels_are_one_person_who_does_both() -> None:
    both = TubeSet.concatenate([TUBES, said([1, 1]).select(videos=["v"])])
    truth = TubeTruth.from_tubes(both, labels=["run", "jump"], sizes={"v": (100, 200), "w": (100, 200)})
    confusion = confusion_of(truth, said([1, 1]), thresholds=[0.5, 0.5])
    assert confusion.persons == 2
    assert len(confusion.pairs) == 0


def test_confusions_of_frames_of_tubes_are_of_their_boxes() -> None:
    from evaluation import FrameDetections

    found = FrameDetections.from_arrays(
        TUBE_TRUTH, video=["v", "v", "w"], frame=[1, 2, 1], boxes=[[0, 0, 100, 100]] * 3, labels=[1, 0, 1], scores=0.9
    )
    confusion = confusion_of(TUBE_TRUTH, found, thresholds=[0.5, 0.5])
    assert confusion.persons == 3
    assert confusion.called.tolist() == [[1, 1], [0, 1]]
    with pytest.raises(InputError, match="a TubeTruth and a DetectionRows do not belong together"):
        confusion_of(TUBE_TRUTH, FOUND)
    with pytest.raises(InputError, match="need `actions`"):
        confusion_of(TRUTH, FOUND)
