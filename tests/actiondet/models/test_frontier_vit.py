"""Plain video transformers give what MMAction2's, VideoMAE's and UMT's own code gives, and take the weights of all.

Authorities: the toolkits' own classes run on narrow networks with seeded random weights (`logits64` is their result in
float64, `stages` are samples of intermediate results in float32), and lists of the names and shapes of the published
networks, made by the toolkits' own code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from actiondet.config.networks import DetectorConfig, RecognizerConfig, RoIHeadConfig, SlowOnlyConfig, VitConfig
from actiondet.config.schema import ScheduleConfig
from actiondet.engine.optim import layered_groups
from actiondet.engine.schedule import schedule_factor
from actiondet.models.backbones.vit import Vit, sine_positions
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.detector import ActionDetector
from actiondet.models.inference import optimize_for_inference
from actiondet.models.weights import load_weights, mmaction2, videomae
from actiondet.models.weights.conversion import Target
from actiondet.models.weights.files import CheckpointFile
from actiondet.models.weights.infer import infer_model
from actiondet.models.weights.opening import ORIGINS
from evaluation.errors import InputError

MMACTION2 = ["mma_videomae_det_224", "mma_videomae_det_168x248", "mma_videomae_det_256x320_gamma"]
VIDEOMAE = ["vmae_det_224", "vmae_det_176x300_padded", "umt_det_224x300_padded"]
EVERY = pytest.mark.parametrize("truth", MMACTION2 + VIDEOMAE, indirect=True)


@pytest.fixture
def checkpoint(truth: dict[str, Any], tmp_path: Path) -> Path:
    """A file as the toolkit writes it."""
    state = {name: weight.float() for name, weight in truth["state_dict"].items()}
    path = tmp_path / "checkpoint.pth"
    torch.save({"state_dict" if is_mmaction2(truth) else "model": state}, path)
    return path


def is_mmaction2(truth: dict[str, Any]) -> bool:
    return bool(truth["meta"]["toolkit"] == "mmaction2")


def configuration(truth: dict[str, Any]) -> DetectorConfig:
    """Our settings of a fixture's network, all of them read from its own."""
    surroundings: dict[str, Any] = {
        "mean": tuple(255 * value for value in truth["mean"]),
        "std": tuple(255 * value for value in truth["std"]),
    }
    if is_mmaction2(truth):
        config = truth["meta"]["config"]
        theirs, head = config["backbone"], config["roi_head"]
        backbone = VitConfig(
            depth=theirs["depth"],
            width=theirs["embed_dims"],
            heads=theirs["num_heads"],
            mlp_ratio=theirs["mlp_ratio"],
            patch=theirs["patch_size"],
            frames=theirs["num_frames"],
            image=theirs["img_size"],
            layer_scale=theirs.get("init_values") or None,
        )
        roi = RoIHeadConfig(roi_size=head["bbox_roi_extractor"]["output_size"])
        actions = head["bbox_head"]["num_classes"] - head["bbox_head"]["background_class"]
        return DetectorConfig(backbone=backbone, head=roi, num_actions=actions, **surroundings)
    theirs = truth["meta"]["config"]
    backbone = VitConfig(
        depth=theirs["depth"],
        width=theirs["embed_dim"],
        heads=theirs["num_heads"],
        mlp_ratio=theirs["mlp_ratio"],
        patch=theirs["patch_size"],
        tubelet=theirs["tubelet_size"],
        frames=theirs["all_frames"],
        remainder="pad",
    )
    roi = RoIHeadConfig(roi_size=7, aligned=False, dropout=0.0, box_margin=(0.1, 0.05))
    return DetectorConfig(backbone=backbone, head=roi, num_actions=theirs["num_classes"], **surroundings)


def inputs(truth: dict[str, Any]) -> tuple[Tensor, list[Tensor], Tensor]:
    """Normalized clips in float64, the boxes of each, and the order of the fixture's boxes."""
    frames = truth["pattern"].permute(0, 4, 1, 2, 3).double()
    frames = frames.repeat_interleave(truth["upsample"], dim=3).repeat_interleave(truth["upsample"], dim=4)
    mean, std = (torch.tensor(truth[name], dtype=torch.float64).view(3, 1, 1, 1) for name in ("mean", "std"))
    clips = (frames / 255 - mean) / std
    assert list(clips.shape) == truth["meta"]["input"]
    owners, boxes = truth["boxes"][:, 0], truth["boxes"][:, 1:].double()
    return clips, [boxes[owners == clip] for clip in range(len(clips))], owners.argsort(stable=True).argsort()


def run(network: ActionDetector, truth: dict[str, Any]) -> Tensor:
    """Logits in float64, in the order of the fixture's boxes."""
    clips, boxes, order = inputs(truth)
    with torch.inference_mode():
        return network.double().eval()(clips, boxes)[order]


def expected_logits(truth: dict[str, Any]) -> Tensor:
    """Without MMAction2's class 0, which has no meaning."""
    logits: Tensor = truth["outputs"]["logits64"]
    return logits[:, 1:] if is_mmaction2(truth) else logits


@EVERY
def test_logits_are_those_of_the_toolkit(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build_detector(configuration(truth))
    report = load_weights(network, checkpoint)
    assert report.origin == ("mmaction2" if is_mmaction2(truth) else "videomae")
    assert not report.left_alone
    torch.testing.assert_close(run(network, truth), expected_logits(truth), atol=1e-5, rtol=0)


@EVERY
def test_stages_are_those_of_the_toolkit(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build_detector(configuration(truth))
    load_weights(network, checkpoint)
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            seen[name] = output

        return hook

    for theirs in truth["stages"]:
        if theirs == "patch_embed":
            network.backbone.patch.register_forward_hook(keep(theirs))
        elif theirs == "norm" or theirs.startswith("blocks."):
            network.backbone.get_submodule(theirs.replace("attn", "attention")).register_forward_hook(keep(theirs))
    run(network, truth)
    if len(truth["stages"]["patch_embed"][0]["shape"]) == 3:
        seen["patch_embed"] = seen["patch_embed"].flatten(2).transpose(1, 2)
    assert len(seen) > 3
    for name, output in seen.items():
        (stage,) = truth["stages"][name]
        assert output.numel() == torch.Size(stage["shape"]).numel()
        samples = stage["samples"].double()
        index = torch.arange(len(samples)) * output.numel() // len(samples)
        torch.testing.assert_close(output.flatten()[index], samples, atol=1e-4, rtol=1e-4, msg=name)


@EVERY
def test_boxes_are_widened_as_by_the_toolkit(truth: dict[str, Any]) -> None:
    network = build_detector(configuration(truth)).eval()
    extended = truth["outputs"].get("boxes_extended", truth["boxes"][:, 1:]).double()
    height, width = truth["meta"]["input"][-2:]
    boxes = truth["boxes"][:, 1:].double()
    torch.testing.assert_close(network.head.widened(boxes, height, width), extended, atol=1e-3, rtol=0)
    assert torch.equal(network.train().head.widened(boxes, height, width), boxes)


@EVERY
def test_the_settings_are_inferred_from_the_file(truth: dict[str, Any], checkpoint: Path) -> None:
    settings, doubts = infer_model(checkpoint)
    wanted = configuration(truth).model_dump(mode="json")
    assert any("heads" in doubt for doubt in doubts)
    settings["backbone"]["heads"] = wanted["backbone"]["heads"]
    found = DetectorConfig.model_validate(settings).model_dump(mode="json")
    found["backbone"]["drop_path"] = wanted["backbone"]["drop_path"]
    found["head"]["dropout"] = wanted["head"]["dropout"]
    assert found["mean"] == pytest.approx(wanted["mean"], abs=1e-3)
    assert {**found, "mean": 0, "std": 0} == {**wanted, "mean": 0, "std": 0}


@EVERY
def test_converted_saved_and_loaded_is_bit_equal(truth: dict[str, Any], checkpoint: Path, tmp_path: Path) -> None:
    network, again = (build_detector(configuration(truth)) for _ in range(2))
    load_weights(network, checkpoint)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "ours.pt")
    load_weights(again, tmp_path / "ours.pt")
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in network.state_dict().items())


FULL = {
    "mmaction2_videomae_vit_b_ava_kinetics": ("mmaction2", VitConfig(), 80),
    "mmaction2_videomae_vit_l_ava_kinetics": ("mmaction2", VitConfig(depth=24, width=1024, heads=16), 80),
    "mmaction2_videomae_vit_b_k400": ("mmaction2", VitConfig(), None),
    "mmaction2_videomae_vit_l_k400": ("mmaction2", VitConfig(depth=24, width=1024, heads=16), None),
    "mmaction2_videomaev2_vit_s_k400": ("mmaction2", VitConfig(width=384, heads=6), None),
    "mmaction2_videomaev2_vit_b_k400": ("mmaction2", VitConfig(), None),
    "hf_videomae_base_k400": ("videomae", VitConfig(), None),
    "hf_videomae_large_k400": ("videomae", VitConfig(depth=24, width=1024, heads=16), None),
    "hf_videomae_base_ssv2": ("videomae", VitConfig(), None),
    "videomae_det_vit_s_ava22": ("videomae", VitConfig(width=384, heads=6), 80),
    "videomae_det_vit_b_ava22": ("videomae", VitConfig(), 80),
    "umt_det_vit_b_ava22": ("videomae", VitConfig(tubelet=1, frames=8), 80),
    "umt_det_vit_l_ava22": ("videomae", VitConfig(depth=24, width=1024, heads=16, tubelet=1, frames=8), 80),
    "videomae_vit_s_k400": ("videomae", VitConfig(width=384, heads=6), None),
    "videomae_vit_b_k400": ("videomae", VitConfig(), None),
    "videomae_vit_h_k400": ("videomae", VitConfig(depth=32, width=1280, heads=16), None),
    "videomaev2_vit_s_k710": ("videomae", VitConfig(width=384, heads=6), None),
    "videomaev2_vit_b_k710": ("videomae", VitConfig(), None),
    "videomaev2_vit_g_k710": ("videomae", VitConfig(depth=40, width=1408, heads=16, patch=14, mlp_ratio=48 / 11), None),
}


@pytest.mark.parametrize("name", FULL)
def test_the_names_of_published_files_are_all_known(name: str, shared: Path) -> None:
    path = shared / "reference" / "frontier" / "keys" / f"{name}.json"
    if not path.is_file():
        pytest.skip("the reference files are not beside this checkout")
    listed = json.loads(path.read_text())
    names = listed.get("keys", listed)
    pairs = names.items() if isinstance(names, dict) else [tuple(each) for each in names]
    with torch.device("meta"):
        tensors = {each: torch.empty(shape) for each, shape in pairs}
    origin, backbone, actions = FULL[name]
    with torch.device("meta"):
        if actions is None:
            classes = len(
                next(
                    tensor for key, tensor in tensors.items() if key.endswith(("fc_cls.bias", "fier.bias", "head.bias"))
                )
            )
            network = build_recognizer(RecognizerConfig(backbone=backbone, num_classes=classes))
            target = Target(network.state_dict(), "recognition")
        else:
            target = Target(
                build_detector(DetectorConfig(backbone=backbone, num_actions=actions)).state_dict(), "detection"
            )
    source = next(each for each in ORIGINS if each.name == origin)
    file = CheckpointFile(path, tensors, {})
    conversion = source.convert(file, target)
    assert not conversion.unknown
    shapes = {key: tuple(weight.shape) for key, weight in conversion.weights.items()}
    wanted = {key: tuple(weight.shape) for key, weight in target.state.items()}
    background = actions is not None
    assert {key: shape for key, shape in shapes.items() if not (background and key.startswith("head."))} == {
        key: shape for key, shape in wanted.items() if not (background and key.startswith("head."))
    }
    assert shapes.keys() == wanted.keys()


def tiny(**settings: Any) -> VitConfig:
    return VitConfig(depth=2, width=16, heads=2, patch=8, frames=4, image=32, drop_path=0.0, **settings)


def test_a_recognizer_starts_a_detector_whose_norm_stays_fresh(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recognizer = build_recognizer(RecognizerConfig(backbone=tiny(), num_classes=3))
    nn.init.uniform_(recognizer.backbone.fc_norm.weight)
    detector = build_detector(DetectorConfig(backbone=tiny(), num_actions=4))
    torch.save({"state_dict": recognizer.state_dict()}, tmp_path / "r.pt")
    report = load_weights(detector, tmp_path / "r.pt", allow=["head"])
    assert torch.equal(detector.backbone.norm.weight, torch.ones(16))
    assert torch.equal(detector.backbone.patch.weight, recognizer.backbone.patch.weight)
    assert "starts fresh" in str(report)


def test_positions_agree_with_their_formula_in_float64() -> None:
    table = sine_positions(1568, 768)
    angle = 1000 / 10000 ** (2 * 7 / 768)
    assert table[1000, 14].item() == pytest.approx(torch.tensor(angle, dtype=torch.float64).sin().item(), abs=1e-7)
    assert table[1000, 15].item() == pytest.approx(torch.tensor(angle, dtype=torch.float64).cos().item(), abs=1e-7)


def test_clips_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="a clip of 6 frames; this network takes 4"):
        Vit(depth=1, width=8, heads=1, patch=8, frames=4, image=32)(torch.zeros(1, 3, 6, 32, 32))


def test_recomputed_blocks_have_the_same_gradients() -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"depth": 2, "width": 16, "heads": 2, "patch": 8, "frames": 4, "image": 32}
    plain, again = Vit(**settings), Vit(**settings, checkpointing=True)
    again.load_state_dict(plain.state_dict())
    clips = torch.randn(1, 3, 4, 32, 32)
    for network in (plain, again):
        network(clips)[0].square().sum().backward()
    for one, other in zip(plain.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_skipped_blocks_leave_the_mean_of_a_sample_as_it_is() -> None:
    torch.manual_seed(0)
    network = Vit(depth=2, width=16, heads=2, patch=8, frames=4, image=32, drop_path=0.5).train()
    clips = torch.randn(1, 3, 4, 32, 32).expand(400, -1, -1, -1, -1)
    with torch.no_grad():
        outputs = network(clips)[0].flatten(1)
    assert len({tuple(row) for row in outputs[:, :4].round(decimals=4).tolist()}) == 4  # two branches, each kept or not


@pytest.fixture
def training(frontier_file: Callable[[str], Path]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(frontier_file("vit_training.json").read_text())
    return found


@pytest.mark.parametrize(
    ("case", "rename", "layer_scale"),
    [
        ("mmaction2_layer_decay_depth12_decay0.75", mmaction2.rename, 0.1),
        ("videomae_layer_decay_depth12_decay0.75", videomae.rename, None),
    ],
)
def test_rates_and_decays_of_layers_are_those_of_the_toolkit(
    training: dict[str, Any], case: str, rename: Any, layer_scale: float | None
) -> None:
    backbone = VitConfig(width=24, heads=2, layer_scale=layer_scale)
    network = build_detector(DetectorConfig(backbone=backbone, num_actions=3))
    groups = layered_groups(network, weight_decay=0.05, layer_decay=0.75)
    ours = {
        id(weight): (group["rate_share"], group["weight_decay"])
        for group in groups
        for weight in group["params"]  # type: ignore[attr-defined]
    }
    found = {name: ours[id(weight)] for name, weight in network.named_parameters()}
    wanted = {rename(name): tuple(pair) for name, pair in training[case]["parameters"].items()}
    assert None not in wanted
    assert found.keys() == wanted.keys()
    for name, (share, decay) in wanted.items():
        assert found[name] == (pytest.approx(share, rel=1e-12), decay), name


@pytest.mark.parametrize(
    ("case", "base", "epochs", "start", "final"),
    [
        ("mmaction2_lr_20_epochs_10_iterations", 1.25e-4, 20, 0.1, 0.0),
        ("videomae_lr_30_epochs_10_iterations", 2.5e-4, 30, 0.0, 1e-6 / 5e-4),
    ],
)
def test_schedules_are_those_of_the_toolkit(
    training: dict[str, Any], case: str, base: float, epochs: int, start: float, final: float
) -> None:
    schedule = ScheduleConfig(policy="cosine", warmup_epochs=5, warmup_start=start, final=final)
    rates = [
        base * schedule_factor(schedule, epoch=i // 10, step=i % 10, steps_per_epoch=10, epochs=epochs)
        for i in range(10 * epochs)
    ]
    assert rates == pytest.approx(training[case]["values"], rel=1e-9, abs=1e-18)


def test_drop_path_rises_as_in_the_toolkits(training: dict[str, Any]) -> None:
    network = Vit(depth=12, width=12, heads=1, patch=8, image=32, drop_path=0.2)
    assert [block.drop_path for block in network.blocks] == pytest.approx(training["drop_path"]["values"], abs=1e-7)


def test_layers_of_a_network_without_blocks_are_refused() -> None:
    network = build_detector(DetectorConfig(backbone=SlowOnlyConfig(depth=18, width=4), num_actions=3))
    with pytest.raises(InputError, match="layer_decay is for backbones made of blocks"):
        layered_groups(network, weight_decay=0.05, layer_decay=0.75)


@pytest.mark.parametrize("truth", ["mma_videomae_det_168x248", "umt_det_224x300_padded"], indirect=True)
def test_a_network_made_for_inference_scores_the_same(truth: dict[str, Any], checkpoint: Path) -> None:
    network = build_detector(configuration(truth)).eval()
    load_weights(network, checkpoint)
    clips, boxes, _ = inputs(truth)
    clips, boxes = clips.float(), [each.float() for each in boxes]
    with torch.inference_mode():
        expected = network(clips, boxes)
        for precision, tolerance in (("float32", 1e-5), ("bfloat16", 0.2)):
            found = optimize_for_inference(network, precision=precision)(clips, boxes)
            torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)
