from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from actiondet.datasets.tables import KeyTable, TruePersons, gather_persons, select_persons
from evaluation.formats.ava import read_ava_csv
from evaluation.records import FrameKey, PersonBoxes, TruthRows

Row = tuple[str, int, tuple[float, float, float, float], int, int]
A, B = (0.1, 0.1, 0.3, 0.5), (0.5, 0.2, 0.9, 0.8)


def truth_of(*rows: Row) -> TruthRows:
    return TruthRows(
        video=pd.Categorical([row[0] for row in rows]),
        moment=np.array([row[1] for row in rows], dtype=np.int64),
        boxes=np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.array([row[3] for row in rows], dtype=np.int64),
        persons=np.array([row[4] for row in rows], dtype=np.int64),
        empty_moments=(),
    )


def told(people: TruePersons) -> dict[FrameKey, list[tuple[list[float], list[int]]]]:
    """Box and labels of every person, by moment."""
    result = {}
    for index, key in enumerate(people.keys):
        marks = people.labels_at(index, column_of=np.arange(-1, 80), columns=80)
        labels = [(np.flatnonzero(row) + 1).tolist() for row in marks]
        boxes = people.boxes_at(index).astype(np.float64).round(6).tolist()
        result[key] = list(zip(boxes, labels, strict=True))
    return result


def near(box: tuple[float, ...], by: float) -> tuple[float, float, float, float]:
    return (box[0] + by, box[1], box[2], box[3])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # one person, several actions; rows of one moment need not stand together
        ([("v", 1, A, 3, 0), ("v", 1, B, 4, 1), ("v", 1, A, 5, 0)], [(A, [3, 5]), (B, [4])]),
        # without identity equal boxes are one person
        ([("v", 1, A, 3, -1), ("v", 1, A, 5, -1), ("v", 1, B, 3, -1)], [(A, [3, 5]), (B, [3])]),
        # with identity, two people in one box stay two (MMAction2 merges them)
        ([("v", 1, A, 3, 0), ("v", 1, A, 5, 7)], [(A, [3]), (A, [5])]),
        # one person whose box was rounded differently from row to row is one person, with the first box
        ([("v", 1, A, 3, 2), ("v", 1, near(A, 0.004), 5, 2)], [(A, [3, 5])]),
        # a number that everybody bears names nobody: then boxes decide
        ([("v", 1, A, 3, 1), ("v", 1, B, 4, 1), ("v", 1, B, 5, 1)], [(A, [3]), (B, [4, 5])]),
        # a label that stands twice counts once
        ([("v", 1, A, 3, 0), ("v", 1, A, 3, 0)], [(A, [3])]),
        # named and unnamed people side by side
        ([("v", 1, A, 3, 0), ("v", 1, A, 4, -1), ("v", 1, A, 5, 0)], [(A, [3, 5]), (A, [4])]),
    ],
)
def test_rows_merge_into_persons(rows: list[Row], expected: list[tuple[tuple[float, ...], list[int]]]) -> None:
    (people,) = told(gather_persons(truth_of(*rows))).values()
    assert [labels for _, labels in people] == [labels for _, labels in expected]
    np.testing.assert_allclose([box for box, _ in people], [box for box, _ in expected], atol=1e-6)


def test_moments_keep_the_order_of_the_file_and_persons_do_not_mix() -> None:
    rows = [("b", 2, A, 1, 0), ("a", 1, A, 2, 0), ("b", 2, B, 3, 1), ("a", 2, A, 4, 0), ("b", 2, A, 5, 0)]
    people = gather_persons(truth_of(*rows))
    assert list(people.keys) == [("b", 2), ("a", 1), ("a", 2)]
    assert [labels for _, labels in told(people)[FrameKey("b", 2)]] == [[1, 5], [3]]
    assert [labels for _, labels in told(people)[FrameKey("a", 1)]] == [[2]]
    assert [labels for _, labels in told(people)[FrameKey("a", 2)]] == [[4]]


def test_taking_moments_takes_their_persons_and_labels() -> None:
    rows = [("a", 1, A, 1, 0), ("a", 1, B, 2, 1), ("a", 2, A, 3, 0), ("a", 3, B, 4, 0), ("a", 3, B, 5, 0)]
    people = gather_persons(truth_of(*rows))
    whole = told(people)
    part = told(people.take(np.array([True, False, True])))
    assert part == {key: whole[key] for key in [FrameKey("a", 1), FrameKey("a", 3)]}
    assert told(people.take(np.zeros(3, dtype=bool))) == {}


def test_merging_does_not_depend_on_the_order_of_rows() -> None:
    random = np.random.default_rng(0)
    rows: list[Row] = []
    for moment in range(20):
        for person in range(3):
            x, y = random.random(2).round(3) * 0.5
            rows += [("v", moment, (x, y, x + 0.3, y + 0.4), int(label), person) for label in random.integers(1, 9, 3)]

    def everybody(people: TruePersons) -> list[tuple[FrameKey, list[float], list[int]]]:
        return sorted((key, box, labels) for key, persons in told(people).items() for box, labels in persons)

    shuffled = [rows[index] for index in random.permutation(len(rows))]
    assert everybody(gather_persons(truth_of(*rows))) == everybody(gather_persons(truth_of(*shuffled)))


def test_an_annotation_file_without_rows_has_no_moments() -> None:
    people = gather_persons(truth_of())
    assert len(people.keys) == 0
    assert people.boxes.shape == (0, 4)


def test_records_are_those_of_mmaction2_but_for_named_people(shared: Path, tmp_path: Path) -> None:
    dataset = torch.load(shared / "reference/mmaction2/fixtures/pipeline.pt", weights_only=True)["dataset"]
    (tmp_path / "truth.csv").write_text(dataset["csv"])
    people = told(gather_persons(read_ava_csv(tmp_path / "truth.csv")))
    records = dataset["records"]["AVADataset"]
    for record in records[1:]:
        key = FrameKey(record["video_id"], record["timestamp"] * 1_000_000)
        assert [labels for _, labels in people[key]] == record["gt_label_ids"]
        np.testing.assert_allclose([box for box, _ in people[key]], record["gt_bboxes"], atol=1e-6)
    # Its first moment holds one box that two people (0 and 7) share: it makes one person of them.
    assert records[0]["gt_label_ids"] == [[9, 80], [12, 17]]
    assert [labels for _, labels in people[FrameKey("-5KQ66BBWC4", 902_000_000)]] == [[9, 80], [12], [17]]


# ---------------------------------------------------------------- proposals


def found(*scores: float) -> PersonBoxes:
    boxes = np.array([[score / 2, 0, 1, 1] for score in scores], dtype=np.float32).reshape(-1, 4)
    return PersonBoxes(FrameKey("v", 0), boxes, np.array(scores, dtype=np.float32))


@pytest.mark.parametrize(
    ("scores", "threshold", "at_most", "kept"),
    [
        ([0.95, 0.2, 0.9, 0.91], 0.9, 100, [0.95, 0.91, 0.9]),
        ([0.3, 0.2], 0.9, 100, [0.3]),  # none reaches the threshold: the best one
        ([0.3, 0.3, 0.2], 0.9, 100, [0.3, 0.3]),
        ([0.91, 0.99, 0.95], 0.9, 2, [0.99, 0.95]),  # best first (MMAction2 cuts in the order of the file)
        ([0.3, 0.4], 0.0, 1, [0.4]),
        ([], 0.9, 100, []),
    ],
)
def test_proposals_are_chosen_by_score(scores: list[float], threshold: float, at_most: int, kept: list[float]) -> None:
    keys = KeyTable.of([FrameKey("u", 7), FrameKey("v", 7), FrameKey("w", 7)])
    table = select_persons(keys, [found(0.5), found(*scores), None], threshold=threshold, at_most=at_most)
    chosen = table[FrameKey("v", 7)]
    np.testing.assert_array_equal(chosen.scores, np.array(kept, dtype=np.float32))
    np.testing.assert_array_equal(chosen.boxes[:, 0], np.array(kept, dtype=np.float32) / 2)
    assert table.counts.tolist() == [1, len(kept), 0]
    assert len(table[FrameKey("w", 7)]) == 0  # missing means nobody, never the whole frame
    assert chosen.key == ("v", 7)


def test_persons_of_chosen_moments_keep_their_boxes() -> None:
    keys = KeyTable.of([FrameKey("u", 1), FrameKey("u", 2), FrameKey("u", 3)])
    table = select_persons(keys, [found(0.5, 0.6), None, found(0.7)], threshold=0, at_most=9)
    part = table.take(table.counts > 0)
    assert list(part) == [("u", 1), ("u", 3)]
    assert part.at(1).scores.tolist() == [np.float32(0.7)]
    assert dict(part).keys() == {("u", 1), ("u", 3)}
    with pytest.raises(KeyError):
        part[FrameKey("u", 2)]


def test_a_key_table_is_a_sequence_of_keys() -> None:
    keys = [FrameKey("b", 3), FrameKey("a", 1), FrameKey("b", 1)]
    table = KeyTable.of(keys)
    assert list(table) == keys
    assert list(table[1:]) == keys[1:]
    assert table[-1] == keys[-1]
    assert table.names == ("b", "a")
    assert list(KeyTable.of([])) == []
