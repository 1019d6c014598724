"""What the zoo page says of each packaged configuration, measured on networks without memory (the meta device)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from actiondet.config import DetectionConfig, RecognitionConfig
from actiondet.config.load import load_config_by_task
from actiondet.config.networks import DetectorConfig, RecognizerConfig
from actiondet.config.zoo import zoo_entry
from actiondet.models.build import build_detector, build_recognizer
from actiondet.records import Memory

_SIDE = 256
_BOXES = 10
_FOLDERS = {
    "ava21": "AVA 2.1",
    "ava22": "AVA 2.2",
    "ava_kinetics": "AVA-Kinetics",
    "multisports": "MultiSports",
    "kinetics400": "Kinetics-400",
    "kinetics700": "Kinetics-700",
    "ucf101": "UCF101",
    "own": "data of your own",
    "toy": "the toy data set",
}
_TOOLKIT_LICENSES = {
    "MMAction2": "Apache-2.0",
    "PySlowFast": "Apache-2.0",
    "pytorchvideo": "Apache-2.0",
    "PaddleVideo": "Apache-2.0",
    "torchvision": "BSD-3-Clause",
}


@dataclass(frozen=True)
class ZooRow:
    """One configuration of the zoo.

    Attributes:
        name: zoo name.
        data: the data set.
        figure: the published figure of the counterpart, not ours; empty if there is none.
        counterpart: the published training that it repeats.
        parameters: of the network.
        gmac: billions of multiply-adds for a clip of 256x256 pixels (a detector's: with 10 boxes).
        weights: address of the published weights; None if there are none.
        pretraining: address of the weights that a training starts from; None if there are none.
        megabytes: of the network's parameters in float32; published files that keep an optimizer are larger.
        license: of the published weights; empty if there are none or nothing is known.
    """

    name: str
    data: str
    figure: str
    counterpart: str
    parameters: int
    gmac: float
    weights: str | None
    pretraining: str | None
    megabytes: float
    license: str


def measure_row(name: str) -> ZooRow:
    """Build the network of a packaged configuration without memory and count what it does.

    Raises:
        ConfigError: no such name.
    """
    entry = zoo_entry(name)
    config = load_config_by_task(entry.path)
    parameters, gmac = count(config)
    folder = name.partition("/")[0]
    has_weights = config.published.weights is not None
    return ZooRow(
        name=name,
        data=_FOLDERS.get(folder, folder),
        figure=entry.figure,
        counterpart=entry.counterpart,
        parameters=parameters,
        gmac=gmac,
        weights=config.published.weights,
        pretraining=config.published.pretraining,
        megabytes=parameters * 4 / 1e6,
        license=entry.license or (_TOOLKIT_LICENSES.get(entry.counterpart.split()[0], "") if has_weights else ""),
    )


def count(config: DetectionConfig | RecognitionConfig) -> tuple[int, float]:
    """Parameters, and billions of multiply-adds for a clip of 256x256 pixels."""
    return _count(config.model, config.clip.frames)


@cache  # some configurations differ in their data or their training alone
def _count(config: DetectorConfig | RecognizerConfig, frames: int) -> tuple[int, float]:
    network: torch.nn.Module
    inputs: tuple[Any, ...] = (torch.empty(1, 3, frames, _SIDE, _SIDE, device="meta"),)
    with torch.device("meta"):
        if isinstance(config, DetectorConfig):
            network = detector = build_detector(config)
            shape = (_BOXES, frames, 4) if detector.head.follows_tracks else (_BOXES, 4)
            inputs = (*inputs, [torch.zeros(shape)], *_full_memory(config))
        else:
            network = build_recognizer(config)
    # Around the forward pass alone: the counter would look at every weight that is drawn, too.
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(*inputs)
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() / 2e9


def _full_memory(config: DetectorConfig) -> tuple[Memory, ...]:
    """What a detector with a feature bank is given for one clip; nothing for one without."""
    if (bank := config.bank) is None:
        return ()
    slots = bank.window * bank.persons
    features, filled = torch.zeros(1, slots, bank.channels), torch.ones(1, slots, dtype=torch.bool)
    return (Memory(features, filled, torch.zeros(_BOXES, dtype=torch.int64)),)


PAGE_MARK = "<!-- below: written by `actiondet zoo --markdown configs/README.md` -->"
"""Where the generated part of the zoo's page begins; what stands above is written by hand."""


def zoo_page(rows: Sequence[ZooRow]) -> str:
    """The generated part of the zoo's page, as Markdown."""
    lines = [
        PAGE_MARK,
        "",
        "## All configurations",
        "",
        "Figures are those that the counterpart's authors publish, not ours. GMAC: billions of multiply-adds for a",
        "clip of 256x256 pixels, a detector's with 10 boxes. Weights under **CC-BY-NC** exclude commercial use.",
    ]
    for data in dict.fromkeys(row.data for row in rows):
        lines += [
            "",
            f"### {data}",
            "",
            "| name | published counterpart | its figure | parameters | GMAC | weights | license |",
            "|---|---|---|---|---|---|---|",
        ]
        for row in (each for each in rows if each.data == data):
            file = f"[{row.megabytes:.0f} MB]({row.weights})" if row.weights else ""
            link = f"[{row.name}]({row.name}.yaml)"
            license = re.sub(r"(CC-BY-NC[-.0-9]*)", r"**\1**", row.license)  # excludes commercial use
            lines.append(
                f"| {link} | {row.counterpart} | {row.figure} | {row.parameters / 1e6:.1f} M | {row.gmac:.1f} | "
                f"{file} | {license} |"
            )
    return "\n".join(lines) + "\n"
