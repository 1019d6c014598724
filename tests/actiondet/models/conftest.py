"""Reference networks: what other toolkits' own code computed with narrow networks of random weights.

Each is rebuilt here with our modules from the settings that the reference file holds, and written to disk the way
its toolkit writes checkpoints. About a third of them are kept in tests/golden/models; the others are read from the
folder of reference files beside the checkout.
"""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from actiondet.models.blocks import Backbone
from actiondet.models.detector import ActionDetector
from actiondet.models.heads.recognition import RecognitionHead
from actiondet.models.heads.roi import RoIHead
from actiondet.models.nonlocal_block import NonLocalSpec
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.slowfast import SlowFast
from actiondet.models.slowonly import SlowOnly

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "models"
Network = ActionDetector | ActionRecognizer
HEAD_BIASES = (
    "head.projection.bias",
    "blocks.5.proj.bias",
    "blocks.6.proj.bias",
    "detection_head.proj.bias",
    "roi_head.bbox_head.fc_cls.bias",
)


@dataclass(frozen=True)
class Reference:
    """One reference network.

    Attributes:
        origin: the toolkit, as load_weights names it.
        build: makes our network of the same settings, in evaluation mode; keyword arguments change the head's.
        state: weights by the toolkit's names.
        content: what the toolkit's checkpoint file holds.
        clips, boxes: input, float64; boxes are None for recognizers.
        truth: the reference file itself.
    """

    name: str
    origin: str
    build: Callable[..., Network]
    state: dict[str, Tensor]
    content: dict[str, Any]
    clips: Tensor
    boxes: Tensor | None
    truth: dict[str, Any]

    def write(self, folder: Path) -> Path:
        """Write a checkpoint as the toolkit does."""
        if self.origin in ("caffe2", "paddle"):
            path = folder / f"{self.name}.{'pkl' if self.origin == 'caffe2' else 'pdparams'}"
            path.write_bytes(pickle.dumps(self.content, protocol=2))
        else:
            path = folder / f"{self.name}.pth"
            torch.save(self.content, path)
        return path

    def run(self, network: Network) -> Tensor:
        """Logits in float64, in the order of the reference's boxes."""
        network = network.double()
        with torch.inference_mode():
            if self.boxes is None:
                return network(self.clips)
            owners = self.boxes[:, 0]
            logits = network(self.clips, [self.boxes[owners == clip, 1:] for clip in range(len(self.clips))])
            return logits[owners.argsort(stable=True).argsort()]


@pytest.fixture
def reference(request: pytest.FixtureRequest) -> Reference:
    """The reference network that the test is parametrized with (indirectly), by name."""
    return open_reference(request.param, request)


@pytest.fixture
def reference_named(request: pytest.FixtureRequest) -> Callable[[str], Reference]:
    return lambda name: open_reference(name, request)


def find_file(name: str, request: pytest.FixtureRequest) -> Path:
    """A reference file: from the repository, or from the folder beside it."""
    if (GOLDEN / name).exists():
        return GOLDEN / name
    shared = request.getfixturevalue("shared") / "reference"
    return next(path for path in shared.glob(f"*/**/{name}"))


@pytest.fixture
def frontier_file(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """A reference file of the transformers by its name: from the folder beside the repository, or from the repository.

    The former wins, so that files made from other seeds can be tried.
    """

    def find(name: str) -> Path:
        places = [GOLDEN / name]
        with contextlib.suppress(pytest.skip.Exception):
            shared = request.getfixturevalue("shared")
            places.insert(0, shared / "reference" / "frontier" / "fixtures" / name)
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            pytest.skip(f"{name} is neither beside this checkout nor in it")
        return found

    return find


@pytest.fixture
def frontier_truth(frontier_file: Callable[[str], Path]) -> Callable[[str], dict[str, Any]]:
    """What the toolkit's own code computed, by the name of its reference file."""

    def load(name: str) -> dict[str, Any]:
        found: dict[str, Any] = torch.load(frontier_file(f"{name}.pt"), weights_only=True)
        return found

    return load


@pytest.fixture
def truth(request: pytest.FixtureRequest, frontier_truth: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """The reference file that the test is parametrized with (indirectly), by name."""
    return frontier_truth(request.param)


def open_reference(name: str, request: pytest.FixtureRequest) -> Reference:
    path = find_file(f"{name}.pt", request)
    truth = torch.load(path, weights_only=True)
    if "meta" not in truth:
        return _open_mmaction2(name, truth)
    return _open_slowfast_family(name, truth, request)


def _open_mmaction2(name: str, truth: dict[str, Any]) -> Reference:
    config = truth["config"]["model"]
    recognition = truth["config"]["kind"] == "rec"
    theirs = config["backbone"]

    def build(**head: Any) -> Network:
        backbone = _mmaction2_backbone(theirs, res5_stride=2 if recognition else 1)
        gray = {"mean": (128.0, 128.0), "std": (128.0, 128.0)} if theirs.get("in_channels") == 2 else {}
        if recognition:
            settings = {"num_classes": 20} | head
            return ActionRecognizer(backbone, RecognitionHead(channels=backbone.channels, **settings), **gray).eval()
        bbox_head, extractor = config["roi_head"]["bbox_head"], config["roi_head"]["bbox_roi_extractor"]
        settings = {
            "num_actions": bbox_head["num_classes"] - bbox_head["background_class"],
            "context": extractor.get("with_global", False),
            "temporal_pool": extractor.get("temporal_pool_mode", "avg"),
            "classifier": "mlp" if bbox_head.get("mlp_head") else "linear",
        } | head
        return ActionDetector(backbone, RoIHead(channels=backbone.channels, **settings)).eval()

    state = {key: value.float() if value.is_floating_point() else value for key, value in truth["state_dict"].items()}
    rois = truth["inputs"].get("rois")
    return Reference(
        name,
        "mmaction2",
        build,
        state,
        {"meta": {"epoch": 1}, "state_dict": state},
        truth["inputs"]["clip"].double(),
        None if rois is None else rois.double(),
        truth,
    )


def _mmaction2_backbone(theirs: dict[str, Any], *, res5_stride: int) -> Backbone:
    if "slow_pathway" not in theirs:
        spec = None
        if "non_local" in theirs:
            spec = NonLocalSpec(after=tuple(tuple(i for i, v in enumerate(s) if v) for s in theirs["non_local"]))
        return SlowOnly(
            depth=theirs["depth"],
            width=theirs["base_channels"],
            in_channels=theirs.get("in_channels", 3),
            res5_stride=res5_stride,
            nonlocal_blocks=spec,
        )
    slow = theirs["slow_pathway"]
    return SlowFast(
        depth=slow["depth"],
        fast_depth=theirs["fast_pathway"]["depth"],
        width=slow["base_channels"],
        beta_inv=theirs["channel_ratio"],
        alpha=theirs["speed_ratio"],
        fusion_kernel=slow.get("fusion_kernel", 5),
        lateral_norm=slow.get("lateral_norm", False),
        res5_stride=res5_stride,
    )


def _open_slowfast_family(name: str, truth: dict[str, Any], request: pytest.FixtureRequest) -> Reference:
    meta = truth["meta"]
    state = {key: value.float() if value.is_floating_point() else value for key, value in truth["state_dict"].items()}
    origin = {"pyslowfast": "pyslowfast", "pytorchvideo": "pytorchvideo", "paddlevideo": "paddle"}[meta["toolkit"]]
    content: dict[str, Any] = {"epoch": 0, "model_state": state}
    if origin == "pyslowfast":
        content["cfg"] = yaml.safe_dump(meta["config"])
    elif origin == "paddle":
        content = {key: value.numpy() for key, value in state.items()} | {"StructuredToParameterName@@": {"a": "b"}}
    if name.endswith("_c2"):
        origin = "caffe2"
        content = {"blobs": _caffe2_blobs(state, request, slowfast="slowfast" in name)}

    def build(**head: Any) -> Network:
        backbone = _family_backbone(truth)
        rows = next(len(state[name]) for name in HEAD_BIASES if name in state)
        norm = {"mean": [255 * v for v in truth["mean"]], "std": [255 * v for v in truth["std"]]}
        if not meta["detection"]:
            average = "logits" if origin == "pytorchvideo" else "softmax"
            settings = {"num_classes": rows, "window": 2, "average_positions": average} | head
            return ActionRecognizer(backbone, RecognitionHead(channels=backbone.channels, **settings), **norm).eval()
        aligned = meta["config"]["DETECTION"]["ALIGNED"] if "DETECTION" in meta["config"] else origin == "paddle"
        settings = {"num_actions": rows - (origin == "paddle"), "roi_size": 8 if origin == "paddle" else 7}
        settings |= {"aligned": aligned, "dropout_at": "vector"} | head
        return ActionDetector(backbone, RoIHead(channels=backbone.channels, **settings), **norm).eval()

    boxes = truth["boxes"]
    boxes = None if boxes is None else boxes.double()
    return Reference(name, origin, build, state, content, _family_clips(truth), boxes, truth)


def _family_backbone(truth: dict[str, Any]) -> Backbone:
    meta = truth["meta"]
    paddle_detector = meta["toolkit"] == "paddlevideo" and meta["detection"]
    spec = None
    if "NONLOCAL" in meta["config"]:
        theirs = meta["config"]["NONLOCAL"]
        after = tuple(tuple(stage[0]) for stage in theirs["LOCATION"])
        if any(after):
            pool = tuple(theirs["POOL"][2][0])
            spec = NonLocalSpec(after=after, attention=theirs["INSTANTIATION"], pool=pool, pool_first=True)
    settings: dict[str, Any] = {
        "width": meta["width"],
        "res5_stride": 1 if meta["detection"] else 2,
        "res5_dilation": 2 if meta["detection"] and not paddle_detector else 1,
        "nonlocal_blocks": spec,
    }
    if truth["slow_index"] is None:
        return SlowOnly(**settings)
    kernel = next(value.shape[2] for key, value in truth["state_dict"].items() if "conv_f" in key)
    return SlowFast(
        alpha=meta["alpha"], slow_frames="spread", fusion_kernel=kernel, lateral_norm=not paddle_detector, **settings
    )


def _family_clips(truth: dict[str, Any]) -> Tensor:
    """(B, 3, T, H, W): the stored pattern, enlarged and normalized in float32 as the reference was."""
    clips = truth["pattern"].permute(0, 4, 1, 2, 3).float()
    clips = clips.repeat_interleave(truth["upsample"], dim=3).repeat_interleave(truth["upsample"], dim=4)
    mean, std = (torch.tensor(truth[name]).view(3, 1, 1, 1) for name in ("mean", "std"))
    return ((clips / 255.0 - mean) / std).double()


def _caffe2_blobs(state: dict[str, Tensor], request: pytest.FixtureRequest, *, slowfast: bool) -> dict[str, Any]:
    names = "c2_names_slowfast_8x8_r50.json" if slowfast else "c2_names_slow_r50_ava.json"
    blobs: dict[str, Any] = {}
    for caffe2, pyslowfast, _, _ in json.loads(find_file(names, request).read_text()):
        blobs[caffe2] = state[pyslowfast].numpy()
        if caffe2.endswith("_w"):
            blobs[f"{caffe2}_momentum"] = np.zeros(1, np.float32)
    return blobs | {"lr": np.float32(0.1), "model_iter": 7}
