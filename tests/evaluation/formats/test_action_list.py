"""Action lists: two layouts, holes in the ids, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList, read_action_list, write_action_list


def test_both_layouts_of_the_real_lists_are_read(shared: Path) -> None:
    meta = shared / "reference" / "evaluation" / "real" / "ava_meta"
    scored = read_action_list(meta / "ava_action_list_v2.2_for_activitynet_2019.pbtxt")
    full = read_action_list(meta / "ava_action_list_v2.2.pbtxt")
    assert (len(scored), scored.largest_id, scored.types) == (60, 80, (None,) * 60)
    assert (len(full), full.largest_id) == (80, 80)
    assert scored.name_of(12) == full.name_of(12) == "stand"
    assert [full.types.count(kind) for kind in ("PERSON_MOVEMENT", "OBJECT_MANIPULATION", "PERSON_INTERACTION")] == [
        *(14, 49, 17)
    ]


def test_blocks_may_stand_on_one_line_with_comments_and_other_fields(tmp_path: Path) -> None:
    path = tmp_path / "list.pbtxt"
    path.write_text("# mine\nitem { name: \"run # fast\" id: 7 color: 3 }  # id: 9\nlabel{name:'sit'\nlabel_id:2}")
    assert read_action_list(path) == ActionList((7, 2), ("run # fast", "sit"), (None, None))


@pytest.mark.parametrize(
    "text",
    [
        "item {\n  name: walk left\n  id: 3\n}\nitem {\n  name: it's 1 # on 1\n  id: 4\n}\n",
        "item { name: walk left id: 3 } item { id: 4 name: it's 1 }",
        "item { name: walk left, id: 3, } item {id:4; name:it's 1;}",
        'label { name: walk left label_id: 3 }\nlabel { name: "it\'s 1" label_id: 4 }',
    ],
)
def test_names_without_quotes_are_read_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.pbtxt").write_text(text)
    assert read_action_list(tmp_path / "list.pbtxt") == ActionList((3, 4), ("walk left", "it's 1"), (None, None))


@pytest.mark.parametrize(
    "actions",
    [
        ActionList((3, 80), ("a b", "c/d (e)"), (None, None)),
        ActionList((1, 2), ("a", "b"), ("PERSON_MOVEMENT", None)),
    ],
)
def test_a_list_written_and_read_back_is_the_same(tmp_path: Path, actions: ActionList) -> None:
    write_action_list(tmp_path / "list.pbtxt", actions)
    assert read_action_list(tmp_path / "list.pbtxt") == actions


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item {\n  id: 3\n}\n", r"line 3: the action that ends here has no name"),
        ('item {\n  name: "a"\n}\n', r"line 3: the action that ends here has no id \(or label_id\)"),
        ('item {\n  name: "a"\n  id: x\n}\n', r"line 4: id x is not a positive integer"),
        ('item {\n  name: "a"\n  id: 0\n}\n', r"line 4: id 0 is not a positive integer"),
        ('item { name: "a" id: 1 }\nitem { name: "b" id: 1 }\n', r"line 2: duplicate id 1; ids must be unique"),
        ('item {\n name: "a"\n id: 1\nitem {\n name: "b"\n id: 2\n}\n', r"line 4: the action before is not closed"),
        ('item {\n name: "a"\n id: 1\n}\nitem {\n name: ', r"the last action is not closed; .*cut off"),
        ('item { name: "a" id: 2000000000 }', r"line 1: id 2000000000 is too large; expected at most 1,000,000"),
        ('item { name: "a" id: 99999999999999999999 }', r"line 1: id 99999999999999999999 is too large"),
        ("}\n", r'line 1: "}" closes nothing'),
        ("", r"no actions found; expected entries like item"),
        ("v,902,0.1,0.2,0.3,0.4,1,0\n", r"no actions found"),
    ],
)
def test_a_faulty_list_is_named_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "list.pbtxt"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"{path}.*{message}"):
        read_action_list(path)


def test_columns_of_unequal_length_are_a_programming_fault() -> None:
    with pytest.raises(ValueError, match="2 ids, 1 names and 2 types"):
        ActionList((1, 2), ("a",), (None, None))
