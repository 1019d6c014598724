"""Heads with a feature bank give what MMAction2's own code gives, and take its weights.

Authority: MMAction2's FBOHead, LFB and whole detectors run on narrow networks with seeded random weights (`output64`,
`logits64` are results in float64), and lists of the names and shapes of the published networks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from actiondet.config.networks import BankConfig, DetectorConfig, RoIHeadConfig, SlowOnlyConfig
from actiondet.models.build import build_detector
from actiondet.models.detector import ActionDetector
from actiondet.models.heads.bank import BankAttention, BankOperator, BankPool
from actiondet.models.weights import lfb, load_weights
from actiondet.models.weights.conversion import Conversion, Target
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.infer import infer_model
from actiondet.models.weights.mmaction2 import MMACTION2
from actiondet.records import Memory
from evaluation.errors import InputError

WHOLE = ["mma_lfb_nl_slowonly_r50_4x16", "mma_lfb_max_slowonly_r50_4x16"]
EVERY = pytest.mark.parametrize("truth", WHOLE, indirect=True)


@pytest.fixture
def head_truth(frontier_truth: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    return frontier_truth("mma_lfb_head")


@pytest.fixture
def checkpoint(truth: dict[str, Any], tmp_path: Path) -> Path:
    """A file as MMAction2 writes it, with its configuration."""
    state = {name: weight.float() for name, weight in truth["state_dict"].items()}
    path = tmp_path / "checkpoint.pth"
    torch.save({"meta": {"cfg": {"model": truth["meta"]["config"]}}, "state_dict": state}, path)
    return path


def operator(args: dict[str, Any], state: dict[str, Tensor], **changes: Any) -> BankOperator:
    """Our layer with the weights of one of theirs."""
    if args["type"] != "non_local":
        return BankPool(channels=args["lt_feat_channels"], operator=args["type"], **{"mask_empty": False} | changes)
    found = BankAttention(
        channels=args["st_feat_channels"],
        bank_channels=args["lt_feat_channels"],
        latent=args["latent_channels"],
        layers=args["num_non_local_layers"],
        pre_activate=args["pre_activate"],
        **{"mask_empty": False} | changes,
    )
    theirs = {f"roi_head.shared_head.{name}": weight for name, weight in state.items()}
    conversion = Conversion({str(lfb.rename(name)): weight for name, weight in theirs.items()})
    lfb.flatten(conversion)
    found.load_state_dict({name.removeprefix("head.bank."): weight for name, weight in conversion.weights.items()})
    return found


def memory(sampled: Tensor) -> Memory:
    """Their (P, C, L); they sample for each person by himself."""
    features = sampled.transpose(1, 2).double()
    return Memory(features, features.abs().sum(dim=2) > 0, torch.arange(len(features)))


@pytest.mark.parametrize("case", range(6))
def test_operators_are_those_of_the_toolkit(head_truth: dict[str, Any], case: int) -> None:
    theirs = head_truth["cases"][case]
    layer = operator(theirs["args"], theirs["state_dict"]).double().eval()
    people = head_truth["roi_feat"].double().amax(dim=(2, 3, 4))
    with torch.inference_mode():
        found = layer(people, memory(theirs["sampled"]))
    expected = theirs["output64"]
    torch.testing.assert_close(torch.cat([people, found], dim=1), expected, atol=5e-6, rtol=0)


def configuration(truth: dict[str, Any]) -> DetectorConfig:
    """Our settings of a fixture's network, all of them read from its own."""
    theirs, head = truth["meta"]["config"]["backbone"], truth["meta"]["config"]["roi_head"]
    bank, layers = head["shared_head"]["lfb_cfg"], head["shared_head"]["fbo_cfg"]
    settings = BankConfig(
        channels=layers["lt_feat_channels"],
        window=bank["window_size"],
        persons=bank["max_num_sampled_feat"],
        operator={"non_local": "nonlocal"}.get(layers["type"], layers["type"]),
        latent=layers.get("latent_channels", 512) if layers["type"] == "non_local" else 512,
        layers=layers.get("num_non_local_layers", 2),
        mask_empty=False,
    )
    return DetectorConfig(
        backbone=SlowOnlyConfig(
            depth=theirs["depth"], width=theirs["base_channels"], res5_stride=theirs["spatial_strides"][-1]
        ),
        head=RoIHeadConfig(dropout_at="vector", bank=settings),
        num_actions=head["bbox_head"]["num_classes"] - 1,
    )


def inputs(truth: dict[str, Any]) -> tuple[Tensor, list[Tensor], Memory]:
    """Normalized clips in float64, the boxes of each, and what was sampled from the bank for it."""
    frames = truth["pattern"].permute(0, 4, 1, 2, 3).double()
    frames = frames.repeat_interleave(truth["upsample"], dim=3).repeat_interleave(truth["upsample"], dim=4)
    mean, std = (torch.tensor(truth[name], dtype=torch.float64).view(3, 1, 1, 1) for name in ("mean", "std"))
    owners, boxes = truth["boxes"][:, 0].long(), truth["boxes"][:, 1:].double()
    assert owners.equal(owners.sort().values)  # in the order of our logits
    clips = (frames / 255 - mean) / std
    return clips, [boxes[owners == clip] for clip in range(len(clips))], memory(truth["long_term"])


def run(network: ActionDetector, truth: dict[str, Any]) -> Tensor:
    with torch.inference_mode():
        return network.double().eval()(*inputs(truth))


@EVERY
def test_logits_are_those_of_the_toolkit(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build_detector(configuration(truth))
    report = load_weights(network, checkpoint)
    assert report.origin == "mmaction2"
    assert not report.left_alone
    torch.testing.assert_close(run(network, truth), truth["outputs"]["logits64"][:, 1:], atol=1e-5, rtol=0)


@EVERY
def test_stages_are_those_of_the_toolkit(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build_detector(configuration(truth))
    load_weights(network, checkpoint)
    seen: dict[str, Tensor] = {}
    hooked = {
        "layer2": network.backbone.get_submodule("res3"),
        "layer4": network.backbone.get_submodule("res5"),
        "shared_head.fbo": network.head.get_submodule("bank"),
    }
    for name, module in hooked.items():
        module.register_forward_hook(lambda *given, name=name: seen.update({name: given[2]}))
    run(network, truth)
    assert seen.keys() == hooked.keys()
    for name, output in seen.items():
        samples = truth["stages"][name][0]["samples"].double()
        index = torch.arange(len(samples)) * output.numel() // len(samples)
        torch.testing.assert_close(output.flatten()[index], samples, atol=1e-4, rtol=1e-3, msg=name)


@EVERY
def test_the_settings_are_inferred_from_the_file(truth: dict[str, Any], checkpoint: Path) -> None:
    settings, _ = infer_model(checkpoint)
    found = DetectorConfig.model_validate(settings).model_dump(mode="json")
    wanted = configuration(truth).model_dump(mode="json")
    assert found["head"] == wanted["head"]
    assert found["num_actions"] == wanted["num_actions"]


@EVERY
def test_a_network_that_masks_empty_slots_refuses_the_published_weights(
    truth: dict[str, Any], checkpoint: Path
) -> None:
    config = configuration(truth)
    assert isinstance(config.head, RoIHeadConfig)
    assert config.head.bank is not None
    masked = config.head.model_copy(update={"bank": config.head.bank.model_copy(update={"mask_empty": True})})
    network = build_detector(config.model_copy(update={"head": masked}))
    with pytest.raises(InputError, match=r"head\.bank\.mask_empty is False in the file's network, True in yours"):
        load_weights(network, checkpoint)


@pytest.mark.parametrize("layers", ["nl", "max"])
def test_the_names_of_published_files_are_all_known(layers: str, shared: Path) -> None:
    path = shared / "reference" / "frontier" / "keys" / f"mmaction2_lfb_{layers}_slowonly_r50_4x16_ava21.json"
    if not path.is_file():
        pytest.skip("the reference files are not beside this checkout")
    names = json.loads(path.read_text())["keys"]
    pairs = names.items() if isinstance(names, dict) else [tuple(each) for each in names]
    bank = BankConfig(channels=2048, operator="nonlocal" if layers == "nl" else "max", mask_empty=False)
    config = DetectorConfig(
        backbone=SlowOnlyConfig(depth=50, res5_stride=1), head=RoIHeadConfig(dropout_at="vector", bank=bank)
    )
    with torch.device("meta"):
        tensors = {name: torch.empty(shape) for name, shape in pairs}
        target = Target(build_detector(config).state_dict(), "detection")
    conversion = MMACTION2.convert(CheckpointFile(path, tensors, {}), target)
    assert not conversion.unknown
    shapes = {name: tuple(weight.shape) for name, weight in conversion.weights.items()}
    wanted = {name: tuple(weight.shape) for name, weight in target.state.items()}
    assert shapes.keys() == wanted.keys()
    differing = {name for name, shape in shapes.items() if wanted[name] != shape}
    assert differing == {"head.fc.weight", "head.fc.bias"}  # class 0, which has no meaning


# What the published networks do otherwise.


def empty(clips: int, slots: int, channels: int) -> Memory:
    return Memory(torch.zeros(clips, slots, channels), torch.zeros(clips, slots, dtype=torch.bool), torch.arange(clips))


@pytest.mark.parametrize("kind", ["avg", "max", "nonlocal"])
def test_empty_slots_change_nothing(kind: str) -> None:
    torch.manual_seed(0)
    args = {"type": "non_local" if kind == "nonlocal" else kind, "lt_feat_channels": 6, "st_feat_channels": 5}
    if kind == "nonlocal":
        layer: BankOperator = BankAttention(channels=5, bank_channels=6, latent=4, zero_init=False).eval()
    else:
        layer = operator(args, {}, mask_empty=True)
    people = torch.randn(3, 5)
    slots = torch.randn(1, 4, 6) - 3  # below zero, which an empty slot must not cover
    index = torch.zeros(3, dtype=torch.int64)
    dense = layer(people, Memory(slots, torch.ones(1, 4, dtype=torch.bool), index))
    wide = torch.cat([slots, torch.zeros(1, 7, 6)], dim=1)
    filled = torch.arange(11)[None] < 4
    torch.testing.assert_close(layer(people, Memory(wide, filled, index)), dense)


@pytest.mark.parametrize("kind", ["avg", "max", "nonlocal"])
def test_an_empty_memory_gives_finite_numbers(kind: str) -> None:
    layer: BankOperator
    if kind == "nonlocal":
        layer = BankAttention(channels=5, bank_channels=6, latent=4, zero_init=False).eval()
    else:
        layer = operator({"type": kind, "lt_feat_channels": 6}, {}, mask_empty=True)
    assert layer(torch.randn(2, 5), empty(2, 3, 6)).isfinite().all()


def test_attention_begins_by_adding_nothing() -> None:
    layer = BankAttention(channels=5, bank_channels=6, latent=4, layers=3).eval()
    people = torch.randn(2, 5)
    remembered = Memory(torch.randn(2, 3, 6), torch.ones(2, 3, dtype=torch.bool), torch.arange(2))
    assert torch.equal(layer(people, remembered), layer.short(people))


def test_a_bank_and_a_memory_belong_together() -> None:
    bank = BankConfig(channels=64, operator="max")
    backbone = SlowOnlyConfig(depth=18, width=8)
    clips, boxes = torch.zeros(1, 3, 4, 32, 32), [torch.tensor([[0.0, 0.0, 16.0, 16.0]])]
    with_bank = build_detector(
        DetectorConfig(backbone=backbone, head=RoIHeadConfig(dropout_at="vector", bank=bank), num_actions=3)
    ).eval()
    without = build_detector(DetectorConfig(backbone=backbone, num_actions=3)).eval()
    with pytest.raises(ValueError, match="takes a memory"):
        with_bank(clips, boxes)
    with pytest.raises(ValueError, match="takes a memory"):
        without(clips, boxes, empty(1, 3, 64))
    logits = with_bank(clips, boxes, empty(1, 3, 64))
    assert (with_bank.head.bank is None, without.head.bank) == (False, None)
    vectors = with_bank.vectors(clips, boxes)
    assert vectors.shape == (1, 64)
    torch.testing.assert_close(logits, with_bank.head.classify_vectors(vectors, empty(1, 3, 64)))
