"""ACRN heads give what MMAction2's own code gives, and take its published weights.

Authorities: the toolkit's own classes run on narrow networks with seeded random weights (`output64` and `logits64` are
their results in float64, `stages` are samples of intermediate results in float32), and a list of the names and shapes
of the published network, made by the toolkit's own code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from actiondet.config.networks import AcrnHeadConfig, DetectorConfig, RoIHeadConfig, SlowFastConfig
from actiondet.models.build import build_detector
from actiondet.models.heads.acrn import AcrnHead
from actiondet.models.weights import load_weights
from actiondet.models.weights.conversion import Target
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.infer import infer_model
from actiondet.models.weights.mmaction2 import MMACTION2, rename
from evaluation.errors import InputError


@pytest.fixture(params=range(4))
def case(request: pytest.FixtureRequest, frontier_truth: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = frontier_truth("mma_acrn_head")["cases"][request.param]
    return found


@pytest.fixture
def truth(frontier_truth: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    return frontier_truth("mma_acrn_slowfast_r50_8x8")


@pytest.fixture
def checkpoint(truth: dict[str, Any], tmp_path: Path) -> Path:
    """A file as the toolkit writes it."""
    path = tmp_path / "checkpoint.pth"
    torch.save({"state_dict": {name: weight.float() for name, weight in truth["state_dict"].items()}}, path)
    return path


def configuration(truth: dict[str, Any]) -> DetectorConfig:
    """Our settings of the fixture's network, all of them read from its own."""
    config = truth["meta"]["config"]
    theirs, roi_head = config["backbone"], config["roi_head"]
    slow, fast = theirs["slow_pathway"], theirs["fast_pathway"]
    head = roi_head["bbox_head"]
    return DetectorConfig(
        backbone=SlowFastConfig(
            depth=slow["depth"],
            width=slow["base_channels"],
            beta_inv=slow["base_channels"] // fast["base_channels"],
            alpha=theirs["speed_ratio"],
            fusion_kernel=slow["fusion_kernel"],
            lateral_norm=False,
        ),
        head=AcrnHeadConfig(
            relation_channels=roi_head["shared_head"]["out_channels"],
            roi_size=roi_head["bbox_roi_extractor"]["output_size"],
            dropout=head["dropout_ratio"],
        ),
        num_actions=head["num_classes"] - head["background_class"],
        mean=tuple(255 * value for value in truth["mean"]),
        std=tuple(255 * value for value in truth["std"]),
    )


def run(network: nn.Module, truth: dict[str, Any]) -> Tensor:
    """Logits in float64, in the order of the fixture's boxes."""
    frames = truth["pattern"].permute(0, 4, 1, 2, 3).float()
    frames = frames.repeat_interleave(truth["upsample"], dim=3).repeat_interleave(truth["upsample"], dim=4)
    mean, std = (torch.tensor(truth[name]).view(3, 1, 1, 1) for name in ("mean", "std"))
    clips = ((frames / 255 - mean) / std).double()  # normalized in float32, as the reference was
    owners, boxes = truth["boxes"][:, 0], truth["boxes"][:, 1:].double()
    order = owners.argsort(stable=True).argsort()
    with torch.inference_mode():
        logits: Tensor = network.double().eval()(clips, [boxes[owners == clip] for clip in range(len(clips))])
    return logits[order]


def test_relations_are_those_of_the_toolkit(case: dict[str, Any]) -> None:
    args = case["args"]
    channels = case["feature_map"].shape[1]
    head = AcrnHead(
        channels=(channels,),
        num_actions=3,
        relation_channels=args["out_channels"],
        num_convs=args.get("num_convs", 1),
        conv_stride=args.get("stride", 1),
    )
    state = {rename(f"roi_head.shared_head.{name}"): weight for name, weight in case["state_dict"].items()}
    flat = {str(name)[5:]: weight[:, :, 0] if weight.ndim == 5 else weight for name, weight in state.items()}
    missing = head.load_state_dict(flat, strict=False)
    assert missing.unexpected_keys == []
    assert missing.missing_keys == ["fc.weight", "fc.bias"]
    people = case["roi_feat"].double().amax(dim=(2, 3, 4))
    found = head.double().eval().relate(people, case["feature_map"].double()[:, :, 0], case["owners"])
    torch.testing.assert_close(found, case["output64"][:, :, 0], atol=1e-5, rtol=0)


def test_logits_are_those_of_the_toolkit(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build_detector(configuration(truth))
    report = load_weights(network, checkpoint)
    assert report.origin == "mmaction2"
    assert not report.left_alone
    torch.testing.assert_close(run(network, truth), truth["outputs"]["logits64"][:, 1:], atol=5e-6, rtol=0)


def test_stages_are_those_of_the_toolkit(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build_detector(configuration(truth))
    load_weights(network, checkpoint)
    seen: dict[str, Tensor] = {}

    def keep(name: str, activation: Callable[[Tensor], Tensor] = torch.relu) -> Any:
        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            seen[name] = activation(output)

        return hook

    network.head.join_norm.register_forward_hook(keep("shared_head.conv1"))
    network.head.convs[0].register_forward_hook(keep("shared_head.conv2"))
    run(network, truth)
    order = truth["boxes"][:, 0].argsort(stable=True).argsort()
    for name, output in seen.items():
        (stage,) = truth["stages"][name]
        samples = stage["samples"].double()
        index = torch.arange(len(samples)) * output.numel() // len(samples)
        torch.testing.assert_close(output[order].flatten()[index], samples, atol=1e-4, rtol=1e-4, msg=name)


def test_the_settings_are_inferred_from_the_file(truth: dict[str, Any], checkpoint: Path) -> None:
    settings, _ = infer_model(checkpoint)
    found = DetectorConfig.model_validate(settings).model_dump(mode="json")
    wanted = configuration(truth).model_dump(mode="json")
    assert found["mean"] == pytest.approx(wanted["mean"], abs=1e-3)
    assert {**found, "mean": 0, "std": 0} == {**wanted, "mean": 0, "std": 0}


def test_converted_saved_and_loaded_is_bit_equal(truth: dict[str, Any], checkpoint: Path, tmp_path: Path) -> None:
    network, again = (build_detector(configuration(truth)) for _ in range(2))
    load_weights(network, checkpoint)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "ours.pt")
    load_weights(again, tmp_path / "ours.pt")
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in network.state_dict().items())


def test_a_plain_head_refuses_the_weights_in_one_sentence(truth: dict[str, Any], checkpoint: Path) -> None:
    config = configuration(truth).model_copy(update={"head": RoIHeadConfig()})
    with pytest.raises(InputError, match=r"head\.name is acrn in the file's network, roi in yours"):
        load_weights(build_detector(config), checkpoint)


def test_the_names_of_the_published_file_are_all_known(shared: Path) -> None:
    path = shared / "reference" / "frontier" / "keys" / "mmaction2_acrn_slowfast_r50_8x8_ava22.json"
    if not path.is_file():
        pytest.skip("the reference files are not beside this checkout")
    listed = json.loads(path.read_text())["keys"]
    pairs = listed.items() if isinstance(listed, dict) else [tuple(each) for each in listed]
    config = DetectorConfig(backbone=SlowFastConfig(lateral_norm=False), head=AcrnHeadConfig())
    with torch.device("meta"):
        tensors = {name: torch.empty(shape) for name, shape in pairs}
        target = build_detector(config).state_dict()
    conversion = MMACTION2.convert(CheckpointFile(path, tensors, {}), Target(target, "detection"))
    assert not conversion.unknown
    ours = {name: tuple(weight.shape) for name, weight in conversion.weights.items()}
    wanted = {name: tuple(weight.shape) for name, weight in target.items()}
    assert ours.pop("head.fc.weight") == (81, 2304)  # with MMAction2's class 0
    assert ours.pop("head.fc.bias") == (81,)
    assert wanted.pop("head.fc.weight") == (80, 2304)
    assert wanted.pop("head.fc.bias") == (80,)
    assert ours == wanted
