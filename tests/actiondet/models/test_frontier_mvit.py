"""MViT gives what PySlowFast's and torchvision's own code gives, and takes the weights of both and of MMAction2.

Authorities: PySlowFast 287ec00, run on narrow networks with seeded random weights (`logits64` is its result in float64,
`stages` are samples of its intermediate results in float32); the installed torchvision, run here; lists of the names
and shapes of the published networks, made by the toolkits' own code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
import yaml
from torch import Tensor, nn

from actiondet.config import load_recognition_config
from actiondet.config.networks import DetectorConfig, MViTConfig, RecognizerConfig, RoIHeadConfig
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.detector import ActionDetector
from actiondet.models.inference import optimize_for_inference
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.weights import load_weights
from actiondet.models.weights.conversion import Target
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.fitting import compare_behavior
from actiondet.models.weights.infer import infer_model, settings_for
from actiondet.models.weights.opening import ORIGINS
from actiondet.models.weights.settings import settings_of_network

PYSLOWFAST = [
    "psf_mvitv2_det_cls",
    "psf_mvitv2_det_nocls",
    "psf_mvitv2_det_160x96",
    "psf_mvitv2_det_100x116",
    "psf_mvitv2_det_variants",
    "psf_mvitv1_det",
    "psf_mvitv1_det_joint_pos",
    "psf_mvitv2_rec",
]
Network = ActionDetector | ActionRecognizer


@pytest.fixture
def checkpoint(truth: dict[str, Any], tmp_path: Path) -> Path:
    """A file as PySlowFast writes it."""
    path = tmp_path / "checkpoint.pyth"
    state = {name: weight.float() for name, weight in truth["state_dict"].items()}
    torch.save({"epoch": 1, "model_state": state, "cfg": yaml.safe_dump(truth["meta"]["config"])}, path)
    return path


def configuration(truth: dict[str, Any]) -> DetectorConfig | RecognizerConfig:
    """Our settings of a fixture's network, all of them read from its own."""
    config = truth["meta"]["config"]
    theirs, data = config["MVIT"], config["DATA"]
    assert theirs["PATCH_KERNEL"] == [3, 7, 7]
    assert theirs["PATCH_STRIDE"] == [2, 4, 4]
    assert theirs["DIM_MUL"] == theirs["HEAD_MUL"]
    assert {factor for _, factor in theirs["DIM_MUL"]} <= {2.0}
    q_strides = {row[0]: tuple(row[1:]) for row in theirs["POOL_Q_STRIDE"]}
    kernel = theirs["POOL_KVQ_KERNEL"]
    absolute = "separate" if theirs["SEP_POS_EMBED"] else "joint"
    relative = "space_time" if theirs["REL_POS_TEMPORAL"] else "space"
    backbone = MViTConfig(
        depth=theirs["DEPTH"],
        width=theirs["EMBED_DIM"],
        heads=theirs["NUM_HEADS"],
        in_channels=data["INPUT_CHANNEL_NUM"][0],
        mlp_ratio=theirs["MLP_RATIO"],
        frames=data["NUM_FRAMES"],
        image=data["TRAIN_CROP_SIZE"],
        widen_at=tuple(block for block, _ in theirs["DIM_MUL"]),
        pool_at=tuple(block for block, stride in q_strides.items() if stride == (1, 2, 2)),
        kv_stride=theirs["POOL_KV_STRIDE_ADAPTIVE"][1],
        pool_kernel=kernel and kernel[0],
        pool_every_query=len(q_strides) == theirs["DEPTH"],
        pool_first=theirs["POOL_FIRST"],
        separate_qkv=theirs["SEPARATE_QKV"],
        widen_in="attention" if theirs["DIM_MUL_IN_ATT"] else "mlp",
        residual_pooling=theirs["RESIDUAL_POOLING"],
        relative_positions=relative if theirs["REL_POS_SPATIAL"] else "none",
        absolute_positions=absolute if theirs["USE_ABS_POS"] else "none",
        class_token=theirs["CLS_EMBED_ON"],
        norm_stem=theirs["NORM_STEM"],
    )
    surroundings: dict[str, Any] = {
        "backbone": backbone,
        "mean": tuple(255 * value for value in truth["mean"]),
        "std": tuple(255 * value for value in truth["std"]),
    }
    classes = config["MODEL"]["NUM_CLASSES"]
    if not config["DETECTION"]["ENABLE"]:
        return RecognizerConfig(num_classes=classes, **surroundings)
    detection = config["DETECTION"]
    head = RoIHeadConfig(roi_size=detection["ROI_XFORM_RESOLUTION"], aligned=detection["ALIGNED"], dropout_at="vector")
    return DetectorConfig(head=head, num_actions=classes, **surroundings)


def build(config: DetectorConfig | RecognizerConfig) -> Network:
    return (build_detector(config) if isinstance(config, DetectorConfig) else build_recognizer(config)).eval()


def run(network: Network, truth: dict[str, Any]) -> Tensor:
    """Logits in float64, in the order of the fixture's boxes."""
    frames = truth["pattern"].permute(0, 4, 1, 2, 3).double()
    frames = frames.repeat_interleave(truth["upsample"], dim=3).repeat_interleave(truth["upsample"], dim=4)
    mean, std = (torch.tensor(truth[name], dtype=torch.float64).view(3, 1, 1, 1) for name in ("mean", "std"))
    clips = (frames / 255 - mean) / std
    assert list(clips.shape) == truth["meta"]["input"]
    network = network.double()
    with torch.inference_mode():
        if isinstance(network, ActionRecognizer):
            return network(clips)
        owners, boxes = truth["boxes"][:, 0], truth["boxes"][:, 1:].double()
        logits = network(clips, [boxes[owners == clip] for clip in range(len(clips))])
        return logits[owners.argsort(stable=True).argsort()]


@pytest.mark.parametrize("truth", PYSLOWFAST, indirect=True)
def test_logits_are_those_of_pyslowfast(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build(configuration(truth))

    report = load_weights(network, checkpoint)

    assert report.origin == "pyslowfast"
    assert not report.left_alone
    assert not report.skipped
    assert not report.remarks
    torch.testing.assert_close(run(network, truth), truth["outputs"]["logits64"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("truth", PYSLOWFAST, indirect=True)
def test_stages_are_those_of_pyslowfast(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build(configuration(truth))
    load_weights(network, checkpoint)
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: object, output: Any) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    for theirs in truth["stages"]:
        if theirs == "patch_embed":
            network.backbone.patch.register_forward_hook(keep(theirs))
        elif not theirs.startswith("head."):
            network.backbone.get_submodule(theirs.replace("attn", "attention")).register_forward_hook(keep(theirs))
    run(network, truth)

    seen["patch_embed"] = seen["patch_embed"].flatten(2).transpose(1, 2)
    for name, (expected,) in truth["stages"].items():
        if name not in seen:
            continue
        assert list(seen[name].shape) == expected["shape"]
        samples = expected["samples"].double()
        index = torch.arange(len(samples)) * seen[name].numel() // len(samples)
        torch.testing.assert_close(seen[name].flatten()[index], samples, atol=1e-4, rtol=1e-4, msg=name)
        assert float(seen[name].abs().max()) == pytest.approx(expected["absmax"], abs=1e-3)


@pytest.mark.parametrize("truth", PYSLOWFAST, indirect=True)
def test_the_settings_are_inferred_from_the_file(truth: dict[str, Any], checkpoint: Path) -> None:
    settings, _ = infer_model(checkpoint)

    kind = DetectorConfig if truth["meta"]["detection"] else RecognizerConfig
    network = build(kind.model_validate(settings))
    load_weights(network, checkpoint)
    torch.testing.assert_close(run(network, truth), truth["outputs"]["logits64"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("truth", ["psf_mvitv2_rec"], indirect=True)
def test_a_recognizer_fills_the_backbone_of_a_detector(truth: dict[str, Any], checkpoint: Path) -> None:
    recognizer = build(configuration(truth))
    load_weights(recognizer, checkpoint)
    config = configuration(truth)
    detector = build(DetectorConfig(backbone=config.backbone, num_actions=5, mean=config.mean, std=config.std))

    report = load_weights(detector, checkpoint)

    assert set(report.left_alone) == {"head.fc.weight", "head.fc.bias"}
    for name, weight in detector.backbone.state_dict().items():
        assert torch.equal(weight, recognizer.backbone.state_dict()[name])


@pytest.mark.parametrize("truth", ["psf_mvitv2_det_100x116", "psf_mvitv1_det"], indirect=True)
def test_a_network_made_for_inference_scores_the_same(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build(configuration(truth))
    load_weights(network, checkpoint)
    clips = torch.randn(truth["meta"]["input"], generator=torch.Generator().manual_seed(0))
    boxes = [torch.tensor([[4.0, 8.0, 50.0, 70.0]])] * len(clips)

    with torch.inference_mode():
        expected = network(clips, boxes)
        for precision, tolerance in (("float32", 1e-5), ("bfloat16", 0.2)):
            found = optimize_for_inference(network, precision=precision)(clips, boxes)
            torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("truth", ["psf_mvitv2_det_cls", "psf_mvitv1_det_joint_pos"], indirect=True)
def test_every_weight_learns(truth: dict[str, Any]) -> None:
    network = build(configuration(truth)).train()
    clips = torch.randn(truth["meta"]["input"])

    sum(map(Tensor.sum, network.backbone(clips))).backward()

    still = {name for name, weight in network.backbone.named_parameters() if weight.grad is None}
    assert still == set()


@pytest.mark.parametrize(
    "name",
    [
        "pyslowfast_mvitv1_b_16x4_k400",
        "pyslowfast_mvitv1_b_32x3_k400",
        "pyslowfast_mvitv2_s_16x4_k400",
        "pyslowfast_mvitv2_s_16x4_det80",
        "pyslowfast_mvitv2_b_32x3_k400",
        "pyslowfast_mvitv2_l_40x3_k400",
        "mmaction2_mvitv2_s_k400",
        "mmaction2_mvitv2_b_k400",
        "torchvision_mvit_v1_b",
        "torchvision_mvit_v2_s",
    ],
)
def test_every_weight_of_the_published_networks_has_its_place(name: str, shared: Path) -> None:
    folder = shared / "reference" / "frontier" / "keys"
    if not folder.is_dir():
        pytest.skip("the reference files are not beside this checkout")
    described = json.loads((folder / f"{name}.json").read_text())
    tensors = {theirs: torch.empty(shape, device="meta") for theirs, shape in described["keys"].items()}
    file = CheckpointFile(Path(name), tensors, {})
    origin = next(each for each in ORIGINS if each.name == name.split("_")[0])

    conversion = origin.convert(file, Target({}, "detection"))
    settings, _ = settings_for(file, origin, conversion)
    kind = DetectorConfig if name.endswith("det80") else RecognizerConfig
    with torch.device("meta"):
        network = build(kind.model_validate(settings))

    assert any(signature in tensors for signature in origin.signature)
    assert conversion.unknown == []
    shapes = {ours: weight.shape for ours, weight in conversion.weights.items()}
    assert shapes == {ours: weight.shape for ours, weight in network.state_dict().items()}
    assert sum(weight.numel() for weight in network.parameters()) == described["parameters"]


@pytest.mark.parametrize(
    ("configuration", "keys"),
    [
        ("mvitv1_b_16x4_scratch", "torchvision_mvit_v1_b"),
        ("mvitv1_b_32x3_scratch", "pyslowfast_mvitv1_b_32x3_k400"),
        ("mvitv2_s_16x4_scratch", "pyslowfast_mvitv2_s_16x4_k400"),
        ("mvitv2_b_32x3_scratch", "pyslowfast_mvitv2_b_32x3_k400"),
        ("mvitv2_l_40x3_in21k", "pyslowfast_mvitv2_l_40x3_k400"),
    ],
)
def test_configurations_are_the_published_networks(configuration: str, keys: str, shared: Path) -> None:
    described = json.loads((shared / "reference" / "frontier" / "keys" / f"{keys}.json").read_text())
    config = load_recognition_config(f"kinetics400/{configuration}")
    with torch.device("meta"):
        network = build_recognizer(config.model)

    tensors = {theirs: torch.empty(shape, device="meta") for theirs, shape in described["keys"].items()}
    origin = next(each for each in ORIGINS if each.name == keys.split("_")[0])
    conversion = origin.convert(CheckpointFile(Path(keys), tensors, {}), Target(network.state_dict(), "recognition"))

    shapes = {ours: weight.shape for ours, weight in conversion.weights.items()}
    assert shapes == {ours: weight.shape for ours, weight in network.state_dict().items()}
    assert compare_behavior(conversion, settings_of_network(network)) == {}
    assert config.published.weights == described["url"]
    assert config.clip.frames == config.model.backbone.frames


@pytest.mark.parametrize("name", ["mvit_v1_b", "mvit_v2_s"])
def test_logits_are_those_of_torchvision(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = getattr(torchvision.models.video, name)().eval()
    with torch.inference_mode():
        for weight in theirs.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.05)
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    clips = torch.randn(1, 3, 16, 224, 224)

    settings, _ = infer_model(tmp_path / "theirs.pth")
    ours = build(RecognizerConfig.model_validate(settings))
    report = load_weights(ours, tmp_path / "theirs.pth")

    assert report.origin == "torchvision"
    with torch.inference_mode():
        torch.testing.assert_close(ours(clips), theirs(clips), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("initialization", "deviation"), [("truncated_normal", 0.02), ("xavier", (2 / (48 + 144)) ** 0.5)]
)
def test_a_training_from_scratch_begins_as_the_setting_says(initialization: Any, deviation: float) -> None:
    torch.manual_seed(0)
    settings = MViTConfig(depth=2, width=48, frames=4, image=32, widen_at=(), pool_at=(), initialization=initialization)
    network = build(RecognizerConfig(backbone=settings, num_classes=2))
    weights = dict(network.backbone.named_parameters())
    (qkv,) = (weight for name, weight in weights.items() if name.startswith("blocks.0.") and weight.shape == (144, 48))
    assert qkv.std().item() == pytest.approx(deviation, rel=0.05)
    assert all(not weight.any() for name, weight in weights.items() if name.endswith("fc1.bias"))
