"""persons.label: which class of a detector is the subject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from actiondet.config import PersonsConfig
from actiondet.config.schema import LabeledPersons, SsdPersons, TorchvisionPersons
from actiondet.persons import torchvision as room
from actiondet.persons.build import build_persons, change_persons, parse_persons
from actiondet.persons.detectron import choose_class
from actiondet.persons.labels import find_label
from actiondet.persons.ssd import CLASSES, SsdPersonDetector
from evaluation.errors import InputError
from evaluation.records import FrameKey

NAMES = {0: "background", 1: "person", 2: "N/A", 3: "N/A", 21: "cow"}


def label_of(persons: PersonsConfig) -> int | str:
    assert isinstance(persons, LabeledPersons)
    return persons.label


@pytest.mark.parametrize(("label", "number"), [("cow", 21), (" Cow ", 21), (21, 21), (0, 0), ("PERSON", 1)])
def test_a_class_is_found_by_name_or_id(label: int | str, number: int) -> None:
    assert find_label(label, NAMES, of="it") == number


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            "cowl",
            r"persons\.label 'cowl': it has no such class, expected one of 0 background, .*; did you mean 'cow'\?",
        ),
        (4, r"persons\.label 4: it has no such class, expected one of 0 background"),
        ("N/A", r"persons\.label 'N/A': several classes of it have this name, expected the id of one: 2, 3"),
    ],
)
def test_classes_that_are_not_there_are_refused(label: int | str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_label(label, NAMES, of="it")


@pytest.mark.parametrize("name", ["ssd", "torchvision", "detectron2"])
def test_the_label_is_a_setting_of_each_detector(name: str) -> None:
    assert label_of(parse_persons(name, {})) == "person"
    assert label_of(parse_persons(name, {"label": "cow"})) == "cow"
    assert label_of(parse_persons(name, {"label": "21"})) == 21
    for wrong in ("", " "):
        with pytest.raises(InputError, match=r"persons\.label: .*the name of a class, or its id"):
            parse_persons(name, {"label": wrong})


def test_ssd_looks_for_the_class_that_it_is_given() -> None:
    class Runner:
        """Sees something of class 6, cattle, in one anchor."""

        def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
            scores = np.full((1, 1917, 24), -9.0, dtype=np.float32)
            scores[0, -1, 6] = 9.0
            return {"boxes": np.zeros((1, 1917, 4), dtype=np.float32), "scores": scores}

    frame, key = np.zeros((30, 40, 3), dtype=np.uint8), FrameKey("v", 0)
    for label, count in (("cattle", 1), (6, 1), ("person", 0), ("car", 0)):
        (found,) = SsdPersonDetector(label=label, runner=Runner()).detect([frame], [key])
        assert len(found) == count
    with pytest.raises(InputError, match=r"'cow': the detector ssd has no such class, expected one of .*6 Cattle"):
        SsdPersonDetector(label="cow")
    assert len(CLASSES) == 24


def test_ssds_classes_are_those_of_its_label_map(shared: Path) -> None:
    lines = (shared / "models/ssd_mobilenet_v2_oidv4/object_detection_oidv4_labelmap.txt").read_text().split("\n")
    assert list(CLASSES[1:]) == [line.strip() for line in lines[1:] if line.strip()]


class OneOfEach(nn.Module):
    """torchvision's contract: finds a person and two cows."""

    def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 20, 10], [5, 5, 30, 30]])
        found = {"boxes": boxes, "labels": torch.tensor([1, 21, 21]), "scores": torch.tensor([0.9, 0.8, 0.7])}
        return [found for _ in images]


@pytest.mark.parametrize(("label", "count"), [("person", 1), ("cow", 2), ("21", 2), ("dog", 0)])
def test_torchvisions_classes_are_known_by_name(label: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "load_torchvision_model", lambda name, weights: OneOfEach())
    frame, key = np.zeros((30, 40, 3), dtype=np.uint8), FrameKey("v", 0)
    (found,) = build_persons(parse_persons("torchvision", {"label": label})).detect([frame], [key])
    assert len(found) == count
    with pytest.raises(InputError, match="'cattle': torchvision's fasterrcnn_resnet50_fpn_v2 has no such class"):
        build_persons(parse_persons("torchvision", {"label": "cattle"}))


def test_a_detector_of_detectron2_without_names_takes_ids() -> None:
    unknown = {0: "", 1: ""}
    assert choose_class("person", unknown, of="it") == 0
    assert choose_class(1, unknown, of="it") == 1
    assert choose_class("cow", {0: "person", 1: "cow"}, of="it") == 1
    with pytest.raises(InputError, match=r"the names of the 2 classes of it are not known here, expected an id"):
        choose_class("cow", unknown, of="it")
    with pytest.raises(InputError, match=r"persons\.label 2: it has no such class"):
        choose_class(2, unknown, of="it")


def test_a_command_line_changes_what_a_configuration_says_of_persons() -> None:
    given = SsdPersons(threshold=0.7, label="cattle")
    assert change_persons(given, None, {"threshold": "0.2"}) == SsdPersons(threshold=0.2, label="cattle")
    assert change_persons(given, "ssd", {}) == given
    assert change_persons(given, "torchvision", {"label": "cow"}) == TorchvisionPersons(label="cow")
    with pytest.raises(InputError, match=r"persons\.treshold: unknown setting; did you mean 'threshold'"):
        change_persons(given, None, {"treshold": "1"})
