"""The published label lists that travel with the package: what ids and columns of public data sets are called."""

from __future__ import annotations

from pathlib import Path

from evaluation.errors import InputError
from evaluation.formats.action_list import ActionList, read_action_list

_FOLDER = Path(__file__).with_name("labels")

LABEL_LISTS = {
    "ava": "ava_action_list_v2.2.pbtxt",
    "ava-2.1-evaluated": "ava_action_list_v2.1_for_activitynet_2018.pbtxt",
    "ava-2.2-evaluated": "ava_action_list_v2.2_for_activitynet_2019.pbtxt",
    "multisports": "multisports.txt",
    "kinetics400": "kinetics400.txt",
    "kinetics600": "kinetics600.txt",
    "kinetics700": "kinetics700.txt",
    "ucf101": "ucf101.txt",
    "ucf101-24": "ucf101_24.txt",
    "jhmdb": "jhmdb.txt",
}
"""Names for `label_list`, and their files in evaluation/labels/, whose README names the sources."""


def label_list(name: str) -> ActionList:
    """The label list of a public data set.

    Args:
        name: a key of `LABEL_LISTS`. AVA's ids count from 1, all others from 0.

    Raises:
        InputError: no such list.

    Example:
        >>> from evaluation import label_list
        >>> label_list("ava").name_of(12)
        'stand'
        >>> len(label_list("kinetics400"))
        400
    """
    if name not in LABEL_LISTS:
        raise InputError(f"'{name}' is not a label list; expected one of {', '.join(LABEL_LISTS)}")
    path = _FOLDER / LABEL_LISTS[name]
    if path.suffix == ".pbtxt":
        return read_action_list(path)
    names = tuple(path.read_text(encoding="utf-8").splitlines())
    return ActionList.numbered(names)
