"""ACAR heads give what their authors' code gives, and take the published weights.

Authorities: the authors' own class run on narrow maps with seeded random weights (`output64` is its result in float64),
and lists of the names and shapes of the published networks, made by the authors' code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from actiondet.config import ConfigError, load_config
from actiondet.config.networks import AcarHeadConfig, DetectorConfig, SlowFastConfig, SlowOnlyConfig
from actiondet.models.build import build_detector
from actiondet.models.heads.acar import AcarHead, exclusive_logits
from actiondet.models.weights import load_weights
from actiondet.models.weights.acar import ACAR, rename, rename_in_head
from actiondet.models.weights.conversion import Target
from actiondet.models.weights.infer import settings_for
from actiondet.models.weights.opening import open_checkpoint
from evaluation.errors import InputError
from evaluation.label_lists import label_list

CASES = pytest.mark.parametrize("number", range(3))


@pytest.fixture
def case(number: int, frontier_truth: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = frontier_truth("acar_head")["cases"][number]
    return found


def head_of(case: dict[str, Any]) -> AcarHead:
    args, state = case["args"], case["state_dict"]
    head = AcarHead(
        channels=(case["slow"].shape[1], case["fast"].shape[1]),
        num_actions=args["num_classes"],
        stride=1,
        roi_size=args["roi_spatial"],
        reduced_channels=args["reduce_dim"],
        relation_channels=args["hidden_dim"],
        layers=args["depth"],
        output_kernel=1 if args.get("mlp_1x1") else 3,
        halved=args.get("downsample") != "none",
        bias=args.get("bias", False),
    )
    head.load_state_dict({rename_in_head(name): weight for name, weight in state.items()})
    return head.double().eval()


def inputs(case: dict[str, Any]) -> tuple[list[Tensor], Tensor, Tensor]:
    """The maps, boxes in cells of them, and the clip of each box."""
    maps = [case["slow"].double(), case["fast"].double()]
    rows, columns = maps[0].shape[3:]
    boxes = case["unit_rois"][:, 1:].double() * torch.tensor([columns, rows, columns, rows])
    return maps, boxes, case["unit_rois"][:, 0].long()


@CASES
def test_logits_are_those_of_the_authors(case: dict[str, Any]) -> None:
    head = head_of(case)
    maps, boxes, owners = inputs(case)
    joined = head.reduce(torch.cat([each.mean(dim=2) for each in maps], dim=1))
    people = head.cut(joined, boxes, owners)
    logits = torch.zeros(len(boxes), case["output64"].shape[1], dtype=torch.float64)
    for clip, (wide, high) in enumerate(case["sizes_before_padding"]):
        # Clips of a batch are of one size here; the authors pad smaller ones, and do not look at what they added.
        rows, columns = (math.ceil(size * share) for size, share in zip(joined.shape[2:], (high, wide), strict=True))
        own = owners == clip
        related = head.relate(people[own], joined[clip : clip + 1, :, :rows, :columns], torch.zeros(sum(own)).long())
        logits[own] = head.classify(torch.cat([head.person(people[own]).relu(), related], dim=1))
    torch.testing.assert_close(logits, case["output64"], atol=1e-5, rtol=0)


@CASES
def test_a_whole_picture_goes_through_the_whole_head(case: dict[str, Any]) -> None:
    """The clips that are not padded, by the way that a detector takes."""
    head = head_of(case)
    maps, boxes, owners = inputs(case)
    logits = head.classify(head.pool_rows(maps, boxes, owners))
    whole = [clip for clip, shares in enumerate(case["sizes_before_padding"]) if set(shares) == {1.0}]
    rows = torch.isin(owners, torch.tensor(whole))
    assert whole
    torch.testing.assert_close(logits[rows], case["output64"][rows], atol=1e-5, rtol=0)


@CASES
def test_persons_attend_within_their_clip_alone(case: dict[str, Any]) -> None:
    head = head_of(case)
    maps, boxes, owners = inputs(case)
    together = head.classify(head.pool_rows(maps, boxes, owners))
    for clip in owners.unique():
        own = owners == clip
        alone = head.pool_rows([each[clip : clip + 1] for each in maps], boxes[own], owners[own] - clip)
        torch.testing.assert_close(head.classify(alone), together[own], atol=1e-12, rtol=0)
    others = boxes.clone()
    others[owners == 1] /= 2
    changed = head.classify(head.pool_rows(maps, others, owners))
    torch.testing.assert_close(changed[owners == 0], together[owners == 0], atol=1e-12, rtol=0)
    assert (changed[owners == 1] - together[owners == 1]).abs().max() > 1e-3
    fewer = head.classify(head.pool_rows(maps, boxes[1:], owners[1:]))  # the company a person keeps matters
    assert (fewer[owners[1:] == 0] - together[1:][owners[1:] == 0]).abs().max() > 1e-4


def test_scores_of_poses_are_a_softmax_and_their_loss_is_that_of_the_authors() -> None:
    torch.manual_seed(0)
    raw = 4 * torch.randn(5, 60, dtype=torch.float64)
    raw[0, 3] = 900  # a softmax as sure as numbers can be
    scores = torch.cat([raw[:, :13].softmax(dim=1), raw[:, 13:].sigmoid()], dim=1)
    logits = exclusive_logits(raw, 13)
    torch.testing.assert_close(logits.sigmoid(), scores)
    labels = (torch.rand(4, 60) < 0.2).double()
    theirs = F.binary_cross_entropy(scores[1:], labels)
    torch.testing.assert_close(F.binary_cross_entropy_with_logits(logits[1:], labels), theirs)


PUBLISHED = {
    "acar_slowfast_r50_ava22": DetectorConfig(
        backbone=SlowFastConfig(res5_dilation=2, slow_frames="spread"),
        head=AcarHeadConfig(exclusive_actions=14),
        mean=(114.75, 114.75, 114.75),
        std=(57.375, 57.375, 57.375),
    ),
    "acar_slowfast_r101_ava22": DetectorConfig(
        backbone=SlowFastConfig(depth=101, res5_dilation=2, fusion_kernel=5, lateral_norm=False),
        head=AcarHeadConfig(layers=1, output_kernel=1, exclusive_actions=14),
        mean=(110.63666788, 103.16065604, 96.29023126),
        std=(38.7568578, 37.88248729, 40.02898126),
    ),
}


@pytest.fixture(params=PUBLISHED)
def listed(request: pytest.FixtureRequest, shared: Path) -> tuple[DetectorConfig, dict[str, list[int]]]:
    """Our settings of a published network, and the names and shapes of its file."""
    path = shared / "reference" / "frontier" / "keys" / f"{request.param}.json"
    if not path.is_file():
        pytest.skip("the reference files are not beside this checkout")
    keys = json.loads(path.read_text())["keys"]
    return PUBLISHED[request.param], dict(keys)


@pytest.mark.parametrize("wrapped", ["backbone.module.", "backbone."])
def test_the_names_of_the_published_files_are_all_known(
    listed: tuple[DetectorConfig, dict[str, list[int]]], wrapped: str
) -> None:
    config, keys = listed
    with torch.device("meta"):
        names = {name.replace("backbone.module.", wrapped): shape for name, shape in keys.items()}
        tensors = {f"module.{name}": torch.empty(shape) for name, shape in names.items()}
        target = build_detector(config).state_dict()
    file, origin = open_checkpoint(Path("published.pth.tar"), {"state_dict": tensors}, "auto", target)
    assert origin is ACAR
    conversion = origin.convert(file, Target(target, "detection"))
    assert not conversion.unknown
    ours = {name: tuple(weight.shape) for name, weight in conversion.weights.items()}
    assert ours == {name: tuple(weight.shape) for name, weight in target.items()}
    settings, doubts = settings_for(file, origin, conversion)
    found = DetectorConfig.model_validate(settings)
    assert found == config.model_copy(update={"mean": found.mean, "std": found.std})
    assert found.mean == pytest.approx(config.mean)
    assert found.std == pytest.approx(config.std)
    assert len(doubts) == (config.backbone.depth == 101)


@pytest.mark.parametrize("listed", ["acar_slowfast_r50_ava22"], indirect=True)
def test_sixty_actions_find_their_columns_and_the_others_score_nothing(
    listed: tuple[DetectorConfig, dict[str, list[int]]], tmp_path: Path
) -> None:
    published, keys = listed
    backbone = published.backbone.model_copy(update={"width": 16, "beta_inv": 4})
    head = published.head.model_copy(update={"reduced_channels": 24, "relation_channels": 12})
    config = published.model_copy(update={"backbone": backbone, "head": head})
    torch.manual_seed(0)
    network = build_detector(config)
    state = network.state_dict()
    theirs = {name: state[str(rename(name))].clone() for name in keys}
    evaluated = torch.tensor(label_list("ava-2.2-evaluated").ids) - 1
    classifier = torch.randn(60, 24)
    theirs["head.module.fc2.weight"] = classifier
    torch.save({"state_dict": theirs, "epoch": 6}, tmp_path / "theirs.pth.tar")
    report = load_weights(network, tmp_path / "theirs.pth.tar")
    assert report.origin == "acar"
    assert not report.left_alone
    people = torch.rand(7, 24)
    logits = network.eval().head.classify(people)
    raw = people @ classifier.T
    expected = torch.cat([raw[:, :13].softmax(dim=1), raw[:, 13:].sigmoid()], dim=1)
    torch.testing.assert_close(logits.sigmoid()[:, evaluated], expected)
    never = [column for column in range(80) if column not in evaluated]
    assert logits.sigmoid()[:, never].max() < 1e-20
    torch.save({"state_dict": network.state_dict()}, tmp_path / "ours.pt")
    again = build_detector(config)
    load_weights(again, tmp_path / "ours.pt")
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in network.state_dict().items())
    plain = build_detector(config.model_copy(update={"head": head.model_copy(update={"exclusive_actions": 0})}))
    with pytest.raises(InputError, match=r"head\.exclusive_actions is 14 in the file's network, 0 in yours"):
        load_weights(plain, tmp_path / "theirs.pth.tar")


def test_boxes_are_shares_of_the_picture_on_all_cells() -> None:
    head = AcarHead(channels=(4,), num_actions=3, reduced_channels=4, relation_channels=4)
    boxes = torch.tensor([[0.0, 0.0, 340.0, 256.0], [34.0, 64.0, 170.0, 128.0]])
    # 340 pixels are 21.25 cells, and the map has 22 of them
    expected = torch.tensor([[0.0, 0.0, 22 * 16, 256.0], [0.1 * 22 * 16, 64.0, 0.5 * 22 * 16, 128.0]])
    torch.testing.assert_close(head.widened(boxes, 256, 340), expected)


def test_maps_that_are_too_small_are_refused() -> None:
    head = AcarHead(channels=(4,), num_actions=3, reduced_channels=4, relation_channels=4)
    with pytest.raises(InputError, match="at least 3x3 cells, this one has 2x4; expected pictures of more than 32"):
        head.pool([torch.rand(1, 4, 2, 2, 4)], [torch.rand(1, 4)])


@pytest.mark.parametrize(("count", "multi_label"), [(1, True), (81, True), (14, False)])
def test_exclusive_actions_that_make_no_sense_are_refused(count: int, multi_label: bool) -> None:
    with pytest.raises(ValueError, match=rf"exclusive_actions {count}"):
        DetectorConfig(backbone=SlowOnlyConfig(), head=AcarHeadConfig(exclusive_actions=count), multi_label=multi_label)


def test_exclusive_actions_refuse_a_choice_of_actions() -> None:
    settings = ["model.head={name: acar, exclusive_actions: 3}", "data.classes=[1, 2, 5]"]
    with pytest.raises(ConfigError, match="exclusive_actions 3 counts the first actions of the whole list"):
        load_config("toy/slowonly_r18", settings)


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (3, 5)])
def test_gradients_are_finite_for_any_number_of_people(counts: tuple[int, int]) -> None:
    torch.manual_seed(0)
    head = AcarHead(channels=(4,), num_actions=6, reduced_channels=4, relation_channels=4, exclusive_actions=3).train()
    corners = [torch.rand(count, 4).sort(dim=1).values * 64 for count in counts]
    logits = head.classify(head.pool([torch.rand(2, 4, 2, 4, 4)], corners))
    assert logits.shape == (sum(counts), 6)
    logits.square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in head.parameters())
