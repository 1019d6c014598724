"""The parts of a network by name: its backbone, its head, and the stages of the backbone."""

from __future__ import annotations

from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from evaluation.errors import InputError


def part_of(network: ActionDetector | ActionRecognizer, part: str, *, key: str) -> tuple[str, ...]:
    """Beginnings of the names of the modules and weights of a part.

    Args:
        network: whose part.
        part: "backbone", "head", or a stage (`Backbone.stages`).
        key: the setting that names it, for what is said about faults.

    Raises:
        InputError: the network has no such part.
    """
    stages = network.backbone.stages()
    if part in ("backbone", "head"):
        return (part,)
    if part not in stages:
        raise InputError(f"{key}: the network has no part '{part}'; expected backbone, head, or {', '.join(stages)}")
    return tuple(f"backbone.{name}" for name in stages[part])


def belongs(name: str, beginnings: tuple[str, ...]) -> bool:
    """Whether a module or weight of this name is in the part that `part_of` describes so."""
    return any(name == each or name.startswith(f"{each}.") for each in beginnings)


def freeze(network: ActionDetector | ActionRecognizer, parts: tuple[str, ...]) -> None:
    """Let the weights of some parts be as they are; `rest` does the same with the statistics of their norms.

    Raises:
        InputError: the network has no such part, or none that is left to learn.
    """
    beginnings = _beginnings(network, parts)
    for name, weight in network.named_parameters():
        if belongs(name, beginnings):
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in network.parameters()):
        raise InputError(f"train.freeze: [{', '.join(parts)}] is the whole network; leave the head, at least, to learn")


def rest(network: ActionDetector | ActionRecognizer, parts: tuple[str, ...]) -> None:
    """Put some parts of a network in training mode into evaluation mode: no dropout, no new statistics of norms."""
    beginnings = _beginnings(network, parts)
    for name, module in network.named_modules():
        if belongs(name, beginnings):
            module.training = False


def _beginnings(network: ActionDetector | ActionRecognizer, parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for part in parts for name in part_of(network, part, key="train.freeze"))
