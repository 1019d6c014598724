"""Some of a data set's actions, and some of them as one: what is chosen, and what becomes of persons and truth."""

from __future__ import annotations

import numpy as np
import pytest

from actiondet.datasets.classes import choose_actions
from actiondet.datasets.tables import gather_persons
from evaluation import FrameKey, TruthRows
from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList

LISTED = ActionList((1, 3, 4, 7), ("walk", "run", "sit", "fall"), ("MOVE", "MOVE", None, None))
A, B = [0.1, 0.1, 0.4, 0.8], [0.5, 0.1, 0.9, 0.8]


def test_a_choice_keeps_ids_and_gives_each_action_a_column() -> None:
    chosen = choose_actions(LISTED, ["fall", 3], {}, source="list.pbtxt")
    assert chosen.actions == ActionList((3, 7), ("run", "fall"), ("MOVE", None), (0, 1))
    assert chosen.actions.columns.tolist() == [0, 1]
    assert chosen.actions.width == 2
    assert chosen.labels(np.array([1, 3, 4, 7])).tolist() == [-1, 3, -1, 7]
    assert chosen.of(ActionList((7,), ("fall",), (None,))).columns.tolist() == [1]


def test_merged_actions_have_one_column_and_their_smallest_id() -> None:
    chosen = choose_actions(LISTED, None, {"move": ["run", "walk"]}, source="list.pbtxt")
    assert chosen.actions.names == ("move", "sit", "fall")
    assert chosen.actions.ids == (1, 4, 7)
    assert chosen.members == ((1, 3), (4,), (7,))
    some = choose_actions(LISTED, ["fall", "move"], {"move": ["run", "walk"]}, source="list.pbtxt")
    assert some.actions.names == ("move", "fall")
    assert some.of(ActionList((3,), ("run",), (None,))).names == ("move",)


def test_without_a_choice_columns_follow_the_ids() -> None:
    chosen = choose_actions(LISTED, None, {}, source="list.pbtxt")
    assert chosen.is_whole
    assert chosen.actions.columns.tolist() == [0, 2, 3, 6]
    assert chosen.actions.width == 7


@pytest.mark.parametrize(
    ("classes", "merge", "said"),
    [
        (["fal"], {}, "data.classes: list.pbtxt has no action 'fal'; did you mean 'fall'"),
        (["xyz"], {}, "its names are walk, run, sit, fall"),
        ([2], {}, "data.classes: list.pbtxt has no action of id 2; its ids are 1, 3, 4, 7"),
        (["fall", 7], {}, "'7' is chosen twice"),
        (None, {"move": ["walk", "runs"]}, "data.merge_classes.move: list.pbtxt has no action 'runs'"),
        (None, {"move": ["walk"]}, "data.merge_classes.move: has the members ['walk']; expected two"),
        (None, {"move": ["walk", 1]}, "expected two actions or more, each once"),
        (None, {"a": ["walk", "run"], "b": ["run", "sit"]}, "data.merge_classes.b: 'run' is also part of 'a'"),
        (None, {"sit": ["walk", "run"]}, "has an action 'sit' already"),
        (["walk"], {"move": ["walk", "run"]}, "data.classes: 'walk' is part of 'move'"),
        (["sit"], {"move": ["walk", "run"]}, "data.classes: lacks move of data.merge_classes"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused(
    classes: list[str | int] | None, merge: dict[str, list[str | int]], said: str
) -> None:
    with pytest.raises(InputError) as fault:
        choose_actions(LISTED, classes, merge, source="list.pbtxt")
    assert said in str(fault.value)


def test_an_action_that_two_ids_are_called_is_refused() -> None:
    twins = ActionList((1, 2), ("walk", "walk"), (None, None))
    with pytest.raises(InputError, match="has 2 actions called 'walk'; give the id"):
        choose_actions(twins, ["walk"], {}, source="list.pbtxt")


def test_persons_and_truth_follow_the_choice() -> None:
    truth = TruthRows.from_arrays(
        video="v",
        time=[1, 1, 1, 2, 3],
        boxes=[A, A, B, A, B],
        labels=[1, 3, 4, 4, 7],
        persons=[0, 0, 1, 0, 1],
        empty=[("v", 9)],
    )
    chosen = choose_actions(LISTED, ["move", "fall"], {"move": ["walk", "run"]}, source="list.pbtxt")
    rows = chosen.truth(truth)
    # Who walks and runs moves once; second 2, at which nobody does any of them, is still annotated.
    assert (rows.moment // 1_000_000).tolist() == [1, 3]
    assert rows.labels.tolist() == [1, 7]
    assert rows.empty_moments == (FrameKey("v", 9_000_000), FrameKey("v", 2_000_000))

    people = chosen.persons(gather_persons(truth))
    assert len(people.boxes) == 4  # those who sit stay, as persons who do neither
    column_of = np.array([0, 0, 0, 0, 0, 0, 0, 1])
    marks = [people.labels_at(index, column_of=column_of, columns=2).tolist() for index in range(3)]
    assert marks == [[[1, 0], [0, 0]], [[0, 0]], [[0, 1]]]
