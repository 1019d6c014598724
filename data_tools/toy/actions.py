"""The actions of the toy set, and which of them a person does."""

from __future__ import annotations

from data_tools.toy.motions import Stretch
from evaluation.formats.action_list import ActionList

_MOVES, _MEETS = "PERSON_MOVEMENT", "PERSON_INTERACTION"

TRAINED = ActionList(
    ids=(1, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14),
    names=(
        "stand", "walk left", "walk right", "stay low", "jump", "crouch and rise", "spin",
        "hold an arm up", "wave", "approach a person", "follow a person",
    ),
    types=(_MOVES,) * 9 + (_MEETS,) * 2,
)  # fmt: skip
"""Every annotated action; the ids have holes, as AVA's have."""


def _only(ids: tuple[int, ...]) -> ActionList:
    """Some of the annotated actions."""
    names = tuple(name for label, name in zip(TRAINED.ids, TRAINED.names, strict=True) if label in ids)
    return ActionList(ids=ids, names=names, types=(None,) * len(ids))


# Holding still in some pose can be recognized in one picture, so it is annotated but not evaluated.
_UNSCORED = (5, 10)
EVALUATED = _only(tuple(label for label in TRAINED.ids if label not in _UNSCORED))
"""The actions that only their movement shows."""

RECALLED = ActionList(
    ids=(1, 5, 10, 13, 15, 16),
    names=("stand", "stay low", "hold an arm up", "hold the arms out unasked", "answer a call", "bring back"),
    types=(None,) * 6,
)
"""Every annotated action of people who respond to what was done before."""

RESPONSES = ActionList(ids=(15, 16), names=("answer a call", "bring back"), types=(None,) * 2)
"""What is evaluated of them: the actions that only memory shows."""

RELATED = ActionList(
    ids=(1, 3, 4, 12, 14, 17),
    names=("stand", "walk left", "walk right", "approach a person", "follow a person", "meet a person"),
    types=(None,) * 6,
)
"""Every annotated action of people in pairs."""

RELATIONS = ActionList(ids=RELATED.ids[3:], names=RELATED.names[3:], types=(None,) * 3)
"""What is evaluated of them: the actions that the one person alone does not show."""

_KINDS = dict(zip(TRAINED.ids, TRAINED.types, strict=True))
SPORTS = _only(tuple(label for label in EVALUATED.ids if _KINDS[label] == _MOVES))
"""The evaluated actions that nobody else has a part in: those of the set in MultiSports' form."""

_OF_ACTIVITY = {"stand": 1, "stay_low": 5, "jump": 6, "crouch": 7, "spin": 9}
_OF_ARMS = {"up": 10, "both_up": 10, "wave": 11, "wave_both": 11}
_OF_RELATION = {"approach": 12, "follow": 14, "unasked": 13, "answer": 15, "bring back": 16, "meet": 17}


def labels_of(stretch: Stretch, relation: str | None) -> list[int]:
    """Return the ids of what a person does who performs `stretch`, in rising order."""
    labels = [_OF_ACTIVITY[stretch.activity] if stretch.direction == 0 else 3 if stretch.direction < 0 else 4]
    if stretch.arms in _OF_ARMS:
        labels.append(_OF_ARMS[stretch.arms])
    if relation is not None:
        labels.append(_OF_RELATION[relation])
    return sorted(labels)
