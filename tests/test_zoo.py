"""The zoo: every configuration loads and builds, and its name and its comments say the same."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import torch

from actiondet.config import load_config, load_recognition_config
from actiondet.config.networks import MViTConfig, RoIHeadConfig, SlowFastConfig, SlowOnlyConfig, VitConfig
from actiondet.models.build import build_detector, build_recognizer

ROOT = Path(__file__).resolve().parents[1]
ALL = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.parent.name != "_base_")
ZOO = [path for path in ALL if path.parent.name not in ("toy", "own")]
DETECTION = [path for path in ZOO if path.parent.name.startswith(("ava", "multisports"))]
RECOGNITION = [
    path
    for path in ALL
    if path not in DETECTION
    and not any(map(path.match, ("toy/slow*", "toy/vit*", "toy/mvit*", "toy/multisports*", "own/*")))
]
FIGURE = r"mAP \d\d\.\d+ on AVA 2\.[12] val"
FIGURE += r"|f-mAP \d\d\.\d+, v-mAP [\d./ ]+ \(IoU 0\.2, 0\.5, 0\.1 to 0\.9\) on MultiSports val"
PRETRAINING = {"scratch", "in1k", "k400", "k600", "k700", "multigrid"}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def header(path: Path) -> dict[str, str]:
    """The comments at the top of a configuration: "Key: value" by key, and the first line as "title"."""
    lines = [line.removeprefix("# ") for line in path.read_text().split("\nbase:")[0].splitlines()]
    pairs = (re.match(r"([A-Z][^:]*):\s+(.+)", line) for line in lines[1:])
    return {"title": lines[0]} | {pair[1]: pair[2] for pair in pairs if pair}


def test_the_zoo_is_complete() -> None:
    counts = Counter(path.parent.name for path in ZOO)
    assert counts == {
        "ava21": 12, "ava22": 20, "ava_kinetics": 12, "multisports": 2,
        "kinetics400": 16, "kinetics700": 2, "ucf101": 4,
    }  # fmt: skip
    assert len(DETECTION) == 46


@pytest.mark.parametrize("path", ALL, ids=shown)
def test_every_configuration_loads_and_builds(path: Path) -> None:
    with torch.device("meta"):
        if path in RECOGNITION:
            build_recognizer(load_recognition_config(path).model)
        else:
            build_detector(load_config(path).model)


@pytest.mark.parametrize("path", DETECTION, ids=shown)
def test_a_name_says_what_the_network_is(path: Path) -> None:
    config = load_config(path)
    backbone, head = config.model.backbone, config.model.head
    if head.name in ("acrn", "acar"):
        assert isinstance(backbone, SlowFastConfig)
        size = f"{config.clip.frames // backbone.alpha}x{config.clip.stride * backbone.alpha}"
        assert path.stem == f"slowfast_r{backbone.depth}_{size}_{head.name}_{path.stem.split('_')[-1]}"
        assert path.stem.split("_")[-1] in PRETRAINING
        return
    assert isinstance(head, RoIHeadConfig)
    if isinstance(backbone, MViTConfig):
        version = 1 if backbone.relative_positions == "none" else 2
        letter = {(16, 96): "s" if version == 2 else "b", (24, 96): "b", (48, 144): "l"}[backbone.depth, backbone.width]
        size = f"{config.clip.frames}x{config.clip.stride}"
        assert path.stem == f"mvitv{version}_{letter}_{size}_{path.stem.split('_')[-1]}"
        assert (head.roi_size, head.aligned) == (7, True)
        return
    if isinstance(backbone, VitConfig):
        letter = {(12, 384): "s", (12, 768): "b", (24, 1024): "l"}[backbone.depth, backbone.width]
        assert backbone.width // backbone.heads == 64
        size = f"{config.clip.frames}x{config.clip.stride}"
        authors, pretraining = path.stem.split("_")[3:] if path.parent.name == "ava22" else ("", "k400")
        assert path.stem == "_".join(["vit", letter, size, *filter(None, [authors]), pretraining])
        assert backbone.tubelet == (1 if authors == "umt" else 2)
        assert (config.test.person_score, config.clip.clip_fps, head.roi_size, head.aligned, backbone.remainder) == (
            ("multiply", 25, 7, False, "pad") if authors else ("ignore", 30, 8, True, "drop")
        )
        return
    assert isinstance(backbone, SlowOnlyConfig | SlowFastConfig)
    alpha = backbone.alpha if isinstance(backbone, SlowFastConfig) else 1
    size = f"{config.clip.frames // alpha}x{config.clip.stride * alpha}"
    words = path.stem.split("_")
    assert words[0] == backbone.name
    assert words[1] == f"r{backbone.depth}"
    assert size in words
    assert words[-1] in PRETRAINING
    tricks = "tricks" in words
    assert head.context == ("context" in words or tricks)
    assert (head.temporal_pool == "max") == ("tmax" in words or tricks)
    assert (head.classifier == "mlp") == ("mlp" in words or tricks)
    assert (config.train.loss.focal_gamma > 0) == ("focal" in words or tricks)
    assert (backbone.nonlocal_blocks is not None) == ("nl" in words)
    operator = None if config.model.bank is None else config.model.bank.operator
    assert operator == (words[words.index("lfb") + 1] if "lfb" in words else None)
    assert (head.roi_size, head.aligned, backbone.res5_dilation) == (
        (7, False, 2) if "pyslowfast" in words else (8, True, 1)
    )


@pytest.mark.parametrize("path", DETECTION, ids=shown)
def test_the_comments_of_a_configuration_name_itself_and_its_counterpart(path: Path) -> None:
    said = header(path)
    published = load_config(path).published
    if "_videomae_" in path.stem or "_acar_" in path.stem:  # their weights are behind a form
        assert all(f" {shown(path)} --weights FILE" in said[command] for command in ("Train", "Test"))
        assert re.fullmatch(FIGURE, said["Its figure, published, not ours"])
        assert published.weights is None
        assert published.pretraining is None
        assert said["License"] == ("Apache-2.0" if "_acar_" in path.stem else "CC-BY-NC-4.0")
        return
    assert f" {shown(path)} --weights published" in said["Train"]
    if "_videomaev2_" in path.stem:  # a starting point
        assert f" {shown(path)} --weights runs/{path.stem}/best.pt" in said["Test"]
        assert published.weights is None
        assert "k710" in str(published.pretraining)
        return
    if path.stem.startswith("mvit"):  # nobody released their weights for AVA
        assert f" {shown(path)} --weights runs/{path.stem}/best.pt" in said["Test"]
        assert published.weights is None
        assert "k400" in str(published.pretraining) or "/mvit_v1_b-" in str(published.pretraining)
        return
    counterpart = said["Published counterpart"].split()[1]
    assert re.fullmatch(FIGURE, said["Its figure, published, not ours"])
    assert f" {shown(path)} --weights published" in said["Test"]
    assert published.weights is not None
    assert published.pretraining is not None
    if "MMAction2" in said["Published counterpart"]:
        assert f"/{counterpart}/{counterpart}_" in published.weights
        assert "/recognition/" in published.pretraining
        assert ("CC-BY-NC-4.0" in said.get("License", "")) == ("videomae" in counterpart)
    if said["Published counterpart"].startswith("UMT"):
        assert published.weights.endswith(f"/{counterpart}.pth")
        assert published.pretraining == published.weights.replace("_ftava_", "_")
        assert said["License"] == "MIT"


@pytest.mark.parametrize("path", ZOO, ids=shown)
def test_the_commands_of_a_configuration_name_itself(path: Path) -> None:
    said = header(path)
    assert shown(path) in said["Train"]
    assert shown(path) in said["Test"]


@pytest.mark.parametrize("path", [path for path in RECOGNITION if path in ZOO], ids=shown)
def test_published_recognizers_are_those_of_the_named_counterpart(path: Path) -> None:
    toolkit, _, counterpart = header(path)["Published counterpart"].partition(" ")
    weights = load_recognition_config(path).published.weights
    if path.stem == "slowonly_r50_nl_8x8_in1k":  # its comments say why
        assert "/slowonly_nl_embedded_gaussian_r50_8x8x1_150e_kinetics400_rgb_20210308-" in str(weights)
    elif toolkit == "MMAction2":
        assert f"/{counterpart}/" in str(weights)
    elif toolkit == "PySlowFast":
        model, size = re.findall(r"MVIT(?:v2)?_([BSL])_(\d+x\d)", counterpart)[0]
        assert re.search(rf"/mvit/k400\.pyth|/MViTv2_{model}_{size}_k400_", str(weights))
    elif toolkit == "torchvision":
        assert f"/{counterpart}-" in str(weights)
    else:
        assert (weights is not None) == (toolkit == "PaddleVideo")


@pytest.mark.parametrize("path", DETECTION, ids=shown)
def test_the_learning_rate_belongs_to_the_published_batch(path: Path) -> None:
    train = load_config(path).train
    expected = 0.1 / 64
    if shown(path) == "configs/multisports/slowfast_r50_4x16_k400.yaml":
        expected = 0.01125 / 128
    elif "acar" in path.stem:
        expected = 0.064 / 8  # the batch is an assumption: the authors state none
    elif path.stem.startswith("mvit"):
        expected = 0.6 / 512
    elif path.stem.startswith("vit"):
        long = path.stem.split("_")[1] == "l" and path.parent.name == "ava_kinetics"
        expected = {"ava_kinetics": 2.5e-4 / 128 if long else 1.25e-4 / 64, "ava22": 5e-4 / 256}[path.parent.name]
        if "umt" in path.stem:
            expected = 2.5e-4 / 256
    assert train.base_lr / train.base_batch == pytest.approx(expected)


def test_slowonly_rows_also_give_the_figure_that_their_page_gave_before() -> None:
    earlier = {
        "r50_4x16_scratch": 72.68,
        "r50_8x8_scratch": 74.82,
        "r101_8x8_scratch": 76.28,
        "r50_4x16_in1k": 74.83,
        "r50_8x8_in1k": 75.96,
        "r50_nl_4x16_in1k": 74.84,
        "r50_nl_8x8_in1k": 76.35,
    }
    for name, figure in earlier.items():
        said = header(ROOT / "configs/kinetics400" / f"slowonly_{name}.yaml")
        assert said["Its earlier figure on the page of the toolkit"].startswith(f"top-1 {figure:.2f} on Kinetics-400")
