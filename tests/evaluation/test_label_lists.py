"""The published label lists that travel with the package."""

from __future__ import annotations

from pathlib import Path

import pytest

import evaluation
from evaluation.errors import InputError

SIZES = {
    "ava": 80, "ava-2.1-evaluated": 60, "ava-2.2-evaluated": 60, "multisports": 66, "kinetics400": 400,
    "kinetics600": 600, "kinetics700": 700, "ucf101": 101, "ucf101-24": 24, "jhmdb": 21,
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_every_list_is_whole(name: str) -> None:
    actions = evaluation.label_list(name)
    assert len(actions) == len(set(actions.names)) == SIZES[name]
    assert actions.first_id == (1 if name.startswith("ava") else 0)
    assert all(actions.names)


def test_the_lists_are_those_of_their_sources() -> None:
    ava = evaluation.label_list("ava")
    assert (ava.name_of(1), ava.name_of(12), ava.name_of(80)) == (
        "bend/bow (at the waist)",
        "stand",
        "watch (a person)",
    )
    assert evaluation.label_list("multisports").names[0] == "aerobic_push_up"
    assert evaluation.label_list("kinetics400").names[0] == "abseiling"
    assert set(evaluation.label_list("ava-2.2-evaluated").ids) < set(ava.ids)
    assert evaluation.label_list("ucf101-24").names == tuple(sorted(evaluation.label_list("ucf101-24").names))


def test_the_names_of_all_files_are_listed_with_their_sources() -> None:
    folder = Path(evaluation.__file__).with_name("labels")
    readme = (folder / "README.md").read_text()
    files = {path.name for path in folder.iterdir() if path.suffix in (".txt", ".pbtxt")}
    assert files == set(evaluation.LABEL_LISTS.values())
    assert all(f"`{name}`" in readme for name in files)


def test_an_unknown_list_is_named() -> None:
    with pytest.raises(InputError, match="'ava3' is not a label list; expected one of ava, "):
        evaluation.label_list("ava3")
