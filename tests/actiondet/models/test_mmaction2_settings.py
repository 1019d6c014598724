"""What the configurations in MMAction2's files say is proposed, compared with the network, and never run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from actiondet.config.networks import DetectorConfig, RecognizerConfig
from actiondet.models.build import build_detector, build_recognizer
from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.weights import load_weights
from actiondet.models.weights.infer import infer_model
from actiondet.models.weights.mmaction2_config import parse_config
from evaluation.errors import InputError

Named = Callable[[str], Any]
PIPELINE = """
train_pipeline = [
    dict(clip_len=32, frame_interval=2, type='SampleAVAFrames'),
    dict(type='RawFrameDecode'),
]
"""


def as_python(value: Any) -> str:
    """As mmengine prints configurations: calls of dict."""
    if isinstance(value, dict):
        return "dict(" + ", ".join(f"{key}={as_python(each)}" for key, each in value.items()) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_python, value)) + "]"
    return repr(value)


def tell(reference: Any, **changes: Any) -> dict[str, Any]:
    """Put the reference's own configuration into its file, with changes by dotted names; the changed one."""
    model = dict(reference.truth["config"]["model"])
    for name, value in changes.items():
        *path, last = name.split("__")
        part = model
        for each in path:
            part[each] = dict(part[each])
            part = part[each]
        part[last] = value
    text = f"default_scope = 'mmaction'\nmodel = {as_python(model)}\n{PIPELINE}"
    reference.content["meta"] = {"cfg": text, "epoch": 10}
    return model


@pytest.mark.parametrize(
    "reference",
    [
        "slowfast_r50_8x8_tmax",
        "slowonly_r50_16x4_tricks",
        "slowonly_r50_4x16_nl",
        "rec_slowfast_r101r50_4x16",
        "rec_slowfast_r50_8x8_lateral_norm",
        "slowonly_r50_4x16_multisports",
        "slowfast_r50_4x16_multisports",
        "slowonly_r50_8x8_context_tmax_mlp",
        "slowfast_r50_4x16_context",
        "rec_slowonly_r50_16x4_flow",
    ],
    indirect=True,
)
def test_the_proposed_network_gives_the_toolkits_logits(reference: Any, tmp_path: Path) -> None:
    tell(reference)
    path = reference.write(tmp_path)
    settings, doubts = infer_model(path)
    network: ActionDetector | ActionRecognizer
    if reference.boxes is None:
        network = build_recognizer(RecognizerConfig.model_validate(settings)).eval()
    else:
        network = build_detector(DetectorConfig.model_validate(settings)).eval()
        assert settings["multi_label"] is ("multisports" not in reference.name)
    sampling = "trained on clips of 32 frames, one of 2 (clip.frames 32, clip.stride 2)"
    assert doubts == [sampling]
    assert load_weights(network, path).remarks == (sampling,)
    logits, expected = reference.run(network), reference.truth["outputs"]["logits64"]
    torch.testing.assert_close(logits, expected[:, -logits.shape[1] :], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"roi_head__bbox_roi_extractor__temporal_pool_mode": "avg"}, "head.temporal_pool is avg .*, max in yours"),
        ({"roi_head__bbox_roi_extractor__output_size": [7, 7]}, "head.roi_size is 7 in the file's network, 8 in yours"),
        ({"roi_head__bbox_roi_extractor__aligned": False}, "head.aligned is False"),
        ({"roi_head__bbox_roi_extractor__sampling_ratio": 2}, "head.sampling_ratio is 2 .*, 0 in yours"),
        ({"roi_head__bbox_roi_extractor__roi_layer_type": "RoIPool"}, "has roi_layer_type RoIPool, which no network"),
        ({"roi_head__bbox_head__multilabel": False}, r"multi_label is False \(softmax\) .*, True \(sigmoid\) in yours"),
        ({"roi_head__bbox_head__background_class": False}, "num_actions is 81 in the file's network, 80 in yours"),
        ({"roi_head__bbox_head__spatial_pool_type": "avg"}, "averages over a person's cells"),
        ({"backbone__speed_ratio": 8, "backbone__resample_rate": 8}, "backbone.alpha is 8 in the .*, 4 in yours"),
        ({"backbone__resample_rate": 8}, "fast pathway does not see every frame"),
        ({"backbone__type": "mmaction.ResNet2Plus1d"}, "its backbone is ResNet2Plus1d, which no network here can do"),
        ({"backbone__slow_pathway__spatial_strides": [1, 2, 2, 2]}, "backbone.res5_stride is 2 .*, 1 in yours"),
        ({"backbone__slow_pathway__dilations": [1, 1, 1, 2]}, "backbone.res5_dilation is 2 in the file's network"),
        ({"backbone__slow_pathway__temporal_strides": [1, 2, 1, 1]}, "passes over frames"),
        ({"backbone__slow_pathway__style": "caffe"}, "style caffe"),
        ({"data_preprocessor__mean": [0.5, 0.5, 0.5]}, r"mean is \(0.5, 0.5, 0.5\) in the file's network"),
    ],
)  # fmt: skip
def test_contradictions_are_refused_and_may_be_allowed(
    changes: dict[str, Any], told: str, reference_named: Named, tmp_path: Path
) -> None:
    reference = reference_named("slowfast_r50_8x8_tmax")
    tell(reference, **changes)
    path = reference.write(tmp_path)
    with pytest.raises(InputError, match=told):
        load_weights(reference.build(), path)
    if "num_actions" not in told:
        load_weights(reference.build(), path, allow=["head", "backbone", "multi_label", "mean"])


def test_multisports_networks_keep_class_0(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("slowfast_r50_8x8_tmax")
    tell(reference, roi_head__bbox_head__background_class=False, roi_head__bbox_head__multilabel=False)
    settings, _ = infer_model(reference.write(tmp_path))
    assert (settings["num_actions"], settings["multi_label"]) == (81, False)


@pytest.mark.parametrize("older", [True, False])
def test_networks_for_blue_green_red_are_turned(older: bool, reference_named: Named, tmp_path: Path) -> None:
    """Both toolkits change the order of colors first and normalize afterwards."""
    reference = reference_named("slowfast_r50_8x8_tmax")
    if older:
        norm = "img_norm_cfg = dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], to_bgr=True)"
        reference.content["meta"] = {"config": f"{norm}\nmodel = dict(type='FastRCNN')\n"}
    else:
        tell(
            reference,
            data_preprocessor={"mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395], "to_rgb": True},
        )
    network, plain = reference.build(), reference.build()
    report = load_weights(network, reference.write(tmp_path))
    reference.content["meta"] = {}
    load_weights(plain, reference.write(tmp_path))
    stem = plain.backbone.slow.stem.conv.weight
    assert torch.equal(network.backbone.slow.stem.conv.weight, stem.flip(1))
    assert set(report.converted.values()) >= {"channels swapped from blue, green, red"}


@pytest.mark.parametrize(
    "text",
    [
        "model = dict(",
        "import os\nos.system('touch ran')",
        "model = 3",
        "x = " + "[" * 3000,
        "model = dict(backbone=3)\0",
    ],
)
def test_a_configuration_that_cannot_be_read_is_a_remark(
    text: str, reference_named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reference = reference_named("slowfast_r50_8x8_tmax")
    reference.content["meta"] = {"cfg": text}
    report = load_weights(reference.build(), reference.write(tmp_path))
    assert report.remarks == (
        "its configuration (meta.cfg) cannot be read; the rest follows from the names of its weights",
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "model",
    [
        "dict(backbone=3, roi_head=[1])",
        "dict(backbone=dict(type=ResNet3dSlowFast, speed_ratio='four', slow_pathway=None))",
        "dict(roi_head=dict(bbox_roi_extractor=dict(output_size='big'), bbox_head=dict(multilabel=None)))",
        "dict(backbone=dict(type='ResNet3dSlowOnly', non_local=[[0], [1]], non_local_cfg=dict(mode=['a'])))",
        "dict(data_preprocessor=dict(mean='gray', std=[None]))",
        "{'backbone': {1: 2}, **other}",
    ],
)
def test_odd_values_end_in_no_traceback(model: str, reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("slowfast_r50_8x8_tmax")
    reference.content["meta"] = {"cfg": f"model = {model}\ntrain_pipeline = [3, dict(type=None)]\n"}
    path = reference.write(tmp_path)
    infer_model(path)
    with suppress(InputError):
        load_weights(reference.build(), path)


def test_configurations_are_read_without_running_them() -> None:
    text = "a = 2\nb = dict(x=a, y=[-1, (2, 3.5)], z=print('ran'))\nc = {'k': 'v'}\nb.update(x=1)\n"
    assert parse_config(text) == {"a": 2, "b": {"x": 2, "y": [-1, [2, 3.5]], "z": None}, "c": {"k": "v"}}
