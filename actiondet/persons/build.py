"""From a config to a person detector. Members of one's own join with `@build_persons.register`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import singledispatch
from typing import Annotated

from pydantic import SerializeAsAny

from actiondet.config.choice import Settings, one_of
from actiondet.config.load import validate_config
from actiondet.config.plain_yaml import parse_mapping
from actiondet.config.schema import (
    DetectronPersons,
    OnnxPersons,
    PersonsConfig,
    SsdPersons,
    StoredPersons,
    TorchvisionPersons,
)
from actiondet.persons.base import PersonDetector
from actiondet.persons.labels import find_label


class _OnlyPersons(Settings):
    """A configuration of nothing else."""

    persons: Annotated[PersonsConfig, one_of(PersonsConfig), SerializeAsAny()]


def parse_persons(name: str, settings: Mapping[str, str]) -> PersonsConfig:
    """Read the settings of a person detector from a command line.

    Args:
        name: of the detector.
        settings: text of each setting that does not keep its default.

    Raises:
        ConfigError: no such detector, or settings that it does not have.
    """
    values = {key: _listed(value) for key, value in settings.items()}
    text = json.dumps({"persons": {"name": name, **values}})
    return validate_config(_OnlyPersons, parse_mapping(text, "command line")).persons


def change_persons(config: PersonsConfig, name: str | None, settings: Mapping[str, str]) -> PersonsConfig:
    """Change the person detector of a configuration by a command line.

    Args:
        config: what the configuration says.
        name: of another detector, which then has its defaults; None keeps it.
        settings: text of each setting that is changed.

    Raises:
        ConfigError: no such detector, or settings that it does not have.
    """
    if name is None or name == config.name:
        return parse_persons(config.name, config.model_dump(mode="json", exclude={"name"}) | dict(settings))
    return parse_persons(name, settings)


def _listed(value: object) -> object:
    """A list that came as text, such as [0, 0, 0]; other text stays what it is."""
    if not isinstance(value, str) or not value.startswith("["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


@singledispatch
def build_persons(config: PersonsConfig, device: str = "cpu") -> PersonDetector:
    """Build the person detector that `config` describes, on `device`, such as cuda:0.

    Raises:
        InputError: weights or boxes cannot be read or downloaded, or a package is not installed.
    """
    raise TypeError(f"no builder for {type(config).__name__}; register one with @build_persons.register")


# The detectors are imported where they are built: OpenCV, torchvision and detectron2 are slow to import.


@build_persons.register
def _(config: SsdPersons, device: str = "cpu") -> PersonDetector:
    from actiondet.persons.ssd import SsdPersonDetector

    return SsdPersonDetector(**config.arguments())


@build_persons.register
def _(config: TorchvisionPersons, device: str = "cpu") -> PersonDetector:
    from actiondet.persons.torchvision import TorchvisionPersonDetector, class_names, load_torchvision_model

    model = load_torchvision_model(config.model, config.weights)
    label = find_label(config.label, class_names(config.model), of=f"torchvision's {config.model}")
    return TorchvisionPersonDetector(model, label=label, threshold=config.threshold, device=device)


@build_persons.register
def _(config: DetectronPersons, device: str = "cpu") -> PersonDetector:
    from actiondet.persons.detectron import load_detectron

    return load_detectron(**config.arguments(), device=device)


@build_persons.register
def _(config: OnnxPersons, device: str = "cpu") -> PersonDetector:
    from actiondet.persons.own_onnx import load_own_detector

    return load_own_detector(**config.arguments(), device=device)


@build_persons.register
def _(config: StoredPersons, device: str = "cpu") -> PersonDetector:
    from actiondet.persons.stored import StoredPersonDetector
    from evaluation.formats.person_boxes import read_proposals

    return StoredPersonDetector(read_proposals(config.boxes).values(), threshold=config.threshold)
