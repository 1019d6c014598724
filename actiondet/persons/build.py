"""From a config to a person detector. Members of one's own join with `@build_persons.register`."""

from __future__ import annotations

from functools import singledispatch

import torch

from actiondet.config.schema import DetectronPersons, HogPersons, PersonsConfig, StoredPersons, TorchvisionPersons
from actiondet.persons.base import PersonDetector


@singledispatch
def build_persons(config: PersonsConfig, device: torch.device | str = "cpu") -> PersonDetector:
    """Build the person detector that `config` describes, on `device`.

    Raises:
        InputError: weights or boxes cannot be read or downloaded, or a package is not installed.
    """
    raise TypeError(f"no builder for {type(config).__name__}; register one with @build_persons.register")


# The detectors are imported where they are built: OpenCV, torchvision and detectron2 are slow to import.


@build_persons.register
def _(config: HogPersons, device: torch.device | str = "cpu") -> PersonDetector:
    from actiondet.persons.hog import HogPersonDetector

    return HogPersonDetector(threshold=config.threshold)


@build_persons.register
def _(config: TorchvisionPersons, device: torch.device | str = "cpu") -> PersonDetector:
    from actiondet.persons.torchvision import TorchvisionPersonDetector, load_torchvision_model

    model = load_torchvision_model(config.model, config.weights)
    return TorchvisionPersonDetector(model, threshold=config.threshold, device=device)


@build_persons.register
def _(config: DetectronPersons, device: torch.device | str = "cpu") -> PersonDetector:
    from actiondet.persons.detectron import load_detectron

    return load_detectron(config.config, config.weights, threshold=config.threshold, device=device)


@build_persons.register
def _(config: StoredPersons, device: torch.device | str = "cpu") -> PersonDetector:
    from actiondet.persons.stored import StoredPersonDetector
    from evaluation.formats.person_boxes import read_proposals

    return StoredPersonDetector(read_proposals(config.boxes).values(), threshold=config.threshold)
