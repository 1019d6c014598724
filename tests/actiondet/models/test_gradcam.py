"""Grad-CAM shows what a network has learned: another network, action or picture gives another map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from actiondet.config import load_config
from actiondet.engine.predict import mirrored_boxes
from actiondet.models.build import build_detector
from actiondet.models.detector import ActionDetector
from actiondet.models.gradcam import class_activation
from actiondet.models.heads.roi import RoIHead
from actiondet.models.losses import action_loss
from actiondet.models.slowonly import SlowOnly

# One more than a multiple of all strides: convolutions then look at the same places of a mirrored picture.
SIDE = 97
HEAD, FEET = 0, 1


class Person(NamedTuple):
    clip: Tensor
    box: Tensor
    label: Tensor


def person(random: np.random.Generator, *, does: tuple[bool, bool] | None = None) -> Person:
    """Noise in which a person does HEAD (a red patch at the top of the box), FEET (blue, at its end), both or none."""
    clip = random.normal(0, 0.5, (3, 2, SIDE, SIDE)).astype(np.float32)
    x, y = int(random.integers(0, SIDE - 40)), int(random.integers(0, 16))
    label = random.random(2) < 0.5 if does is None else np.array(does)
    for action, color, top in ((HEAD, 0, y), (FEET, 2, y + 56)):
        if label[action]:
            clip[color, :, top : top + 20, x + 8 : x + 28] += 2
    box = torch.tensor([[x, y, x + 36, y + 76]], dtype=torch.float32)
    return Person(torch.from_numpy(clip), box, torch.from_numpy(label.astype(np.float32)))


def new_detector(seed: int) -> ActionDetector:
    torch.manual_seed(seed)
    backbone = SlowOnly(depth=18, width=8, res5_stride=1, zero_init_residual=False)
    return ActionDetector(backbone, RoIHead(channels=backbone.channels, num_actions=2, dropout=0.0))


@pytest.fixture(scope="module")
def trained() -> ActionDetector:
    """A detector that knows both actions."""
    detector, random = new_detector(1), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(detector.parameters(), 3e-3)
    for _ in range(60):
        clips, boxes, labels = zip(*(person(random) for _ in range(8)), strict=True)
        logits = detector(torch.stack(clips), boxes)
        loss = action_loss(logits, torch.stack(labels), multi_label=True, count_idle=True)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.05
    return detector.eval()


def likeness(first: Tensor, second: Tensor) -> float:
    """Rank correlation of two maps; 0 where one of them says nothing."""
    if first.min() == first.max() or second.min() == second.max():
        return 0.0
    return float(spearmanr(first.flatten().numpy(), second.flatten().numpy())[0])


def middle(heat: Tensor) -> float:
    """Where a map is, on average, from left to right, in pixels."""
    return float((heat.sum((0, 1)) * torch.arange(heat.shape[2])).sum() / heat.sum())


@pytest.fixture(scope="module")
def persons() -> list[Person]:
    """Persons who do both at once."""
    random = np.random.default_rng(7)
    return [person(random, does=(True, True)) for _ in range(5)]


def test_randomized_weights_give_another_map(trained: ActionDetector, persons: list[Person]) -> None:
    others = [new_detector(seed).eval() for seed in range(5, 9)]
    alike = []
    for each in persons:
        heat = class_activation(trained, each.clip, each.box, person=0, column=HEAD)
        alike += [
            likeness(heat, class_activation(other, each.clip, each.box, person=0, column=HEAD)) for other in others
        ]
    assert np.mean(alike) < 0.3


def test_another_action_gives_another_map_where_it_is_seen(trained: ActionDetector, persons: list[Person]) -> None:
    alike = []
    for each in persons:
        maps = [class_activation(trained, each.clip, each.box, person=0, column=c) for c in (HEAD, FEET)]
        alike.append(likeness(*maps))
        x, y = each.box[0, :2].int().tolist()
        head, feet = ([float(heat[:, top : top + 20, x + 8 : x + 28].mean()) for heat in maps] for top in (y, y + 56))
        share = [feet[c] / (head[c] + feet[c]) for c in (HEAD, FEET)]  # of what speaks for it, at the feet
        assert share[HEAD] + 0.2 < share[FEET]
    assert np.mean(alike) < 0.6


def test_the_map_moves_with_the_person_when_the_film_is_mirrored(
    trained: ActionDetector, persons: list[Person]
) -> None:
    for each in persons:
        heat = class_activation(trained, each.clip, each.box, person=0, column=HEAD)
        mirrored = class_activation(trained, each.clip.flip(-1), mirrored_boxes(each.box, SIDE), person=0, column=HEAD)
        assert likeness(heat, mirrored.flip(-1)) > 0.5
        assert middle(mirrored) == pytest.approx(SIDE - 1 - middle(heat), abs=10)
    # A person at the side is elsewhere then.
    aside = max(persons, key=lambda each: abs(float(each.box[0, [0, 2]].mean()) - SIDE / 2))
    heat = class_activation(trained, aside.clip, aside.box, person=0, column=HEAD)
    mirrored = class_activation(trained, aside.clip.flip(-1), mirrored_boxes(aside.box, SIDE), person=0, column=HEAD)
    assert likeness(heat, mirrored.flip(-1)) > likeness(heat, mirrored) + 0.2


@pytest.mark.parametrize(
    "settings",
    [
        ["toy/slowfast_r18", "clip.frames=16"],
        ["toy/vit_narrow"],
        ["toy/mvit_narrow"],
        ["toy/slowonly_r18", "model.head.roi=track"],
    ],
)
def test_every_backbone_and_head_has_a_map(settings: list[str]) -> None:
    config = load_config(settings[0], settings[1:])
    torch.manual_seed(2)
    detector = build_detector(config.model).eval()
    frames = config.clip.frames
    clip = torch.randn(3, frames, 64, 80)
    boxes = torch.tensor([[4.0, 4.0, 40.0, 60.0], [30.0, 2.0, 70.0, 62.0]])
    if detector.head.follows_tracks:
        boxes = boxes[:, None].expand(-1, frames, -1)
    maps = [class_activation(detector, clip, boxes, person=0, column=c) for c in range(4)]
    assert all(heat.shape == (frames, 64, 80) for heat in maps)
    assert all(0 <= float(heat.min()) <= float(heat.max()) <= 1 for heat in maps)
    assert any(float(heat.max()) == pytest.approx(1) for heat in maps)
    assert all(weight.grad is None for weight in detector.parameters())
