"""ImageNet weights, inflated from images to clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from actiondet.models.detector import ActionDetector
from actiondet.models.heads.roi import RoIHead
from actiondet.models.slowfast import SlowFast
from actiondet.models.slowonly import SlowOnly
from actiondet.models.weights import load_weights
from actiondet.models.weights.imagenet import inflate
from evaluation.errors import InputError


def detector(**backbone: Any) -> ActionDetector:
    network = SlowOnly(**({"res5_stride": 1} | backbone))
    return ActionDetector(network, RoIHead(channels=network.channels, num_actions=80))


@pytest.mark.parametrize(("depth", "make"), [(50, torchvision.models.resnet50), (18, torchvision.models.resnet18)])
def test_imagenet_weights_are_inflated(depth: int, make: Callable[[], nn.Module], tmp_path: Path) -> None:
    image_network = make(weights=None).eval()
    torch.save(image_network.state_dict(), tmp_path / "imagenet.pth")
    clip_network = detector(depth=depth, res5_stride=2).eval()
    report = load_weights(clip_network, tmp_path / "imagenet.pth")
    assert report.origin == "imagenet"
    assert report.lacks_head
    # A clip that shows one image gives the image's features, away from the clip's ends, where time is padded.
    image = torch.randn(1, 3, 32, 32)
    image_network.fc = nn.Identity()
    with torch.inference_mode():
        feature = clip_network.backbone(image[:, :, None].expand(-1, -1, 19, -1, -1))[0][:, :, 9]
        torch.testing.assert_close(feature.mean(dim=(2, 3)), image_network(image), rtol=1e-3, atol=1e-4)


def test_imagenet_weights_leave_lateral_channels_unused_and_flow_stems_alone(tmp_path: Path) -> None:
    state = torchvision.models.resnet50(weights=None).state_dict()
    torch.save(state, tmp_path / "imagenet.pth")
    network = SlowFast(res5_stride=1)
    report = load_weights(
        ActionDetector(network, RoIHead(channels=network.channels, num_actions=3)), tmp_path / "imagenet.pth"
    )
    assert not network.slow.res2[0].conv_a.weight[:, 64:].any()
    assert torch.equal(network.slow.res2[0].conv_a.weight[:, :64, 0], state["layer1.0.conv1.weight"])
    assert {name.split(".")[1] for name in report.left_alone if name.startswith("backbone")} == {
        "fast", "fuse1", "fuse2", "fuse3", "fuse4",
    }  # fmt: skip
    report = load_weights(detector(in_channels=2), tmp_path / "imagenet.pth")
    assert report.left_alone["backbone.stem.conv.weight"] == "the clip has fewer channels than an image"


def test_inflation_is_mmaction2s(shared: Path) -> None:
    """Authority: inflate.pt, by MMAction2 1.2.0."""
    cases = torch.load(shared / "reference" / "mmaction2" / "fixtures" / "inflate.pt", weights_only=True)["cases"]
    compared = 0
    for case in cases.values():
        for name, theirs in case["state_dict_3d"].items():
            # layer1.0.downsample.conv.weight was layer1.0.downsample.0.weight, conv1.conv.weight was conv1.weight.
            flat = name.replace("downsample.conv", "downsample.0").replace(".conv.", ".")
            image = case["state_dict_2d"].get(flat)
            if theirs.ndim == 5 and image is not None and image.shape[1] <= theirs.shape[1]:
                frames, channels = theirs.shape[2], theirs.shape[1]
                torch.testing.assert_close(inflate(image, frames=frames, channels=channels), theirs)
                compared += 1
    assert compared == 38  # every convolution but the stem for optical flow


def test_images_of_another_width_are_refused_in_settings(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "imagenet.pth")
    network = SlowFast(depth=18, width=16)
    with pytest.raises(InputError, match=r"backbone.width is 64 in the file's network, 16 in yours"):
        load_weights(
            ActionDetector(network, RoIHead(channels=network.channels, num_actions=3)), tmp_path / "imagenet.pth"
        )
