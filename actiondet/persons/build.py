"""From a config to a person detector. Members of one's own join with `@build_persons.register`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import singledispatch
from typing import Annotated

import torch
from pydantic import SerializeAsAny

from actiondet.config.choice import Settings, one_of
from actiondet.config.load import validate_config
from actiondet.config.plain_yaml import parse_mapping
from actiondet.config.schema import DetectronPersons, PersonsConfig, SsdPersons, StoredPersons, TorchvisionPersons
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
    text = json.dumps({"persons": {"name": name, **settings}})
    return validate_config(_OnlyPersons, parse_mapping(text, "command line")).persons


@singledispatch
def build_persons(config: PersonsConfig, device: torch.device | str = "cpu") -> PersonDetector:
    """Build the person detector that `config` describes, on `device`.

    Raises:
        InputError: weights or boxes cannot be read or downloaded, or a package is not installed.
    """
    raise TypeError(f"no builder for {type(config).__name__}; register one with @build_persons.register")


# The detectors are imported where they are built: OpenCV, torchvision and detectron2 are slow to import.


@build_persons.register
def _(config: SsdPersons, device: torch.device | str = "cpu") -> PersonDetector:
    from actiondet.persons.ssd import SsdPersonDetector

    return SsdPersonDetector(threshold=config.threshold, label=config.label)


@build_persons.register
def _(config: TorchvisionPersons, device: torch.device | str = "cpu") -> PersonDetector:
    from actiondet.persons.torchvision import TorchvisionPersonDetector, class_names, load_torchvision_model

    model = load_torchvision_model(config.model, config.weights)
    label = find_label(config.label, class_names(config.model), of=f"torchvision's {config.model}")
    return TorchvisionPersonDetector(model, label=label, threshold=config.threshold, device=device)


@build_persons.register
def _(config: DetectronPersons, device: torch.device | str = "cpu") -> PersonDetector:
    from actiondet.persons.detectron import load_detectron

    return load_detectron(config.config, config.weights, label=config.label, threshold=config.threshold, device=device)


@build_persons.register
def _(config: StoredPersons, device: torch.device | str = "cpu") -> PersonDetector:
    from actiondet.persons.stored import StoredPersonDetector
    from evaluation.formats.person_boxes import read_proposals

    return StoredPersonDetector(read_proposals(config.boxes).values(), threshold=config.threshold)
