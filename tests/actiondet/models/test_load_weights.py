from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from actiondet.models.detector import ActionDetector
from actiondet.models.heads.recognition import RecognitionHead
from actiondet.models.heads.roi import RoIHead
from actiondet.models.nonlocal_block import NonLocalSpec
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.slowfast import SlowFast
from actiondet.models.slowonly import SlowOnly
from actiondet.models.weights import caffe2, load_weights
from actiondet.models.weights.infer import infer_model
from evaluation.errors import InputError

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "models"
Named = Callable[[str], Any]


def small_detector(num_actions: int = 80, **backbone: Any) -> ActionDetector:
    network = SlowOnly(**({"width": 4, "res5_stride": 1} | backbone))
    return ActionDetector(network, RoIHead(channels=network.channels, num_actions=num_actions))


def state_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    "reference",
    [
        "slowonly_r50_16x4_tricks",
        "psf_slow_4x16_r50_ava_c2",
        "psf_slowfast_nln_8x8_r50",
        "ptv_slowfast_r50_detection",
        "paddle_slowfast_ava",
    ],
    indirect=True,
)
def test_converted_weights_give_bit_equal_logits(reference: Any, tmp_path: Path) -> None:
    first, second = reference.build(), reference.build()
    load_weights(first, reference.write(tmp_path))
    torch.save({"format": "actiondet checkpoint 1", "weights": first.state_dict()}, tmp_path / "ours.pt")
    report = load_weights(second, tmp_path / "ours.pt")
    assert report.origin == "actiondet"
    assert len(report.matched) == len(first.state_dict())
    assert torch.equal(reference.run(first), reference.run(second))


def test_what_was_changed_is_reported(reference_named: Named, tmp_path: Path) -> None:
    slowfast = reference_named("rec_slowfast_r50_8x8_lateral_norm")
    report = load_weights(slowfast.build(), slowfast.write(tmp_path))
    assert report.converted == {"head.fc.weight": "reordered from [fast, slow]"}
    assert "660 matched" not in str(report)
    assert f"{len(report.matched)} matched, 1 converted" in str(report)

    paddle = reference_named("paddle_slowfast_ava")
    report = load_weights(paddle.build(), paddle.write(tmp_path))
    assert set(report.converted) == {"head.fc.weight", "head.fc.bias"}
    assert "never use" in report.skipped["backbone.s1_fuse._bn.weight"]
    assert set(report.left_alone.values()) == {"Paddle does not count batches"}
    assert not report.lacks_head

    nonlocal_blocks = reference_named("psf_slowfast_nln_8x8_r50")
    report = load_weights(nonlocal_blocks.build(), nonlocal_blocks.write(tmp_path))
    assert len(report.converted) == 5
    assert all(name.endswith("nonlocal_block.norm.running_mean") for name in report.converted)


@pytest.mark.parametrize("names", ["c2_names_slow_r50_ava.json", "c2_names_slowfast_32x2_r101_nln_ava.json"])
def test_every_caffe2_name_is_known(names: str) -> None:
    """Authority: PySlowFast's own table of names, applied to its networks."""
    rows = json.loads((GOLDEN / names).read_text())
    for theirs, _, canonical, _ in rows:
        found = caffe2.rename(theirs, two_pathways="slowfast" in names)
        expected = canonical if "slowfast" in names else canonical.removeprefix("slow.")
        pathway, _, rest = expected.rpartition("nonlocal")
        if pathway:  # theirs stands in the stage, ours in the block
            block, _, leaf = rest.partition(".")
            expected = f"{pathway}{block}.nonlocal_block.{leaf}"
        assert found == (expected if expected.startswith("head.") else f"backbone.{expected}"), theirs


def test_a_recognizers_weights_fill_the_backbone_of_a_detector(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("rec_slowfast_r50_8x8_lateral_norm")
    network = SlowFast(width=4, beta_inv=4, res5_stride=1)
    detector = ActionDetector(network, RoIHead(channels=network.channels, num_actions=80))
    head = state_of(detector.head)
    report = load_weights(detector, reference.write(tmp_path))
    assert report.lacks_head
    assert set(report.left_alone) == {"head.fc.weight", "head.fc.bias"}
    assert report.left_alone["head.fc.bias"] == "the file holds a network for recognition"
    assert all(torch.equal(head[name], tensor) for name, tensor in detector.head.state_dict().items())
    stem = reference.state["backbone.slow_path.conv1.conv.weight"]
    assert torch.equal(detector.backbone.slow.stem.conv.weight, stem)


def test_a_detectors_weights_fill_the_backbone_of_a_recognizer(reference_named: Named, tmp_path: Path) -> None:
    network = SlowOnly(width=4)
    recognizer = ActionRecognizer(network, RecognitionHead(channels=network.channels, num_classes=80))
    assert load_weights(recognizer, reference_named("slowonly_r50_16x4_tricks").write(tmp_path)).lacks_head


def test_a_detector_of_other_classes_is_refused_unless_the_head_is_allowed(
    reference_named: Named, tmp_path: Path
) -> None:
    reference = reference_named("slowfast_r50_8x8_tmax")
    path, detector = reference.write(tmp_path), reference.build(num_actions=91)
    before = state_of(detector)
    with pytest.raises(InputError, match=r"num_actions is 80 in the file's network, 91 in yours.*or allow 'head'"):
        load_weights(detector, path)
    assert all(torch.equal(before[name], tensor) for name, tensor in detector.state_dict().items())

    # With 81 actions its unused class 0 would become action 1, and every label another.
    with pytest.raises(InputError, match="num_actions is 80 in the file's network, 81 in yours"):
        load_weights(reference.build(num_actions=81), path)
    assert load_weights(reference.build(num_actions=81), path, allow=["num_actions"]).remarks

    report = load_weights(detector, path, allow=["head"])
    assert report.left_alone["head.fc.weight"] == "it does not fit, as was allowed"
    assert torch.equal(detector.head.fc.weight, before["head.fc.weight"])
    assert not torch.equal(detector.backbone.fast.stem.conv.weight, before["backbone.fast.stem.conv.weight"])


@pytest.mark.parametrize(
    ("backbone", "told"),
    [
        ({"width": 8}, "backbone.width is 4 in the file's network, 8 in yours"),
        ({"depth": 101}, "backbone.depth is 50 in the file's network, 101 in yours"),
        ({"temporal_blocks": (0, 0, 2, 3)}, r"temporal_blocks is \(0, 0, 6, 3\) in the file's network"),
        ({"nonlocal_blocks": NonLocalSpec(((), (0,), (), ()))}, r"nonlocal_blocks.after is None .* \(\(\), \(0,\)"),
        ({"in_channels": 2}, "backbone.in_channels is 3 in the file's network, 2 in yours"),
        ({"res5_dilation": 2}, "backbone.res5_dilation is 1 in the file's network, 2 in yours"),
    ],
)
def test_another_network_is_reported_by_its_settings(
    backbone: dict[str, Any], told: str, reference_named: Named, tmp_path: Path
) -> None:
    path = reference_named("slowonly_r50_16x4_tricks").write(tmp_path)
    network = SlowOnly(**({"width": 4, "res5_stride": 1} | backbone))
    head = RoIHead(channels=network.channels, num_actions=80, context=True, classifier="mlp", temporal_pool="max")
    with pytest.raises(InputError, match=told) as fault:
        load_weights(ActionDetector(network, head), path)
    assert str(path) in str(fault.value)


def test_slowfast_weights_do_not_go_into_slowonly(reference_named: Named, tmp_path: Path) -> None:
    path = reference_named("slowfast_r50_8x8_tmax").write(tmp_path)
    with pytest.raises(InputError, match=r"backbone.name is slowfast in the file's network, slowonly in yours"):
        load_weights(small_detector(), path)


@pytest.mark.parametrize(
    ("backbone", "told"),
    [
        ({"fusion_kernel": 5}, "backbone.fusion_kernel is 7 in the file's network, 5 in yours"),
        ({"lateral_norm": True}, "backbone.lateral_norm is False in the file's network, True in yours"),
    ],
)
def test_other_lateral_connections_are_told(
    backbone: dict[str, Any], told: str, reference_named: Named, tmp_path: Path
) -> None:
    path = reference_named("slowfast_r50_8x8_tmax").write(tmp_path)
    network = SlowFast(**({"width": 4, "beta_inv": 4, "lateral_norm": False, "res5_stride": 1} | backbone))
    head = RoIHead(channels=network.channels, num_actions=80, temporal_pool="max")
    with pytest.raises(InputError, match=rf"{told}\. Change the configuration$"):
        load_weights(ActionDetector(network, head), path)


def test_non_local_blocks_without_sub_sampling_are_known_by_their_names(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("slowonly_r50_4x16_nl")
    state = {re.sub(r"\.(g|phi)\.0\.", r".\1.", name): tensor for name, tensor in reference.state.items()}
    torch.save({"state_dict": state}, tmp_path / "whole.pth")
    with pytest.raises(InputError, match=r"nonlocal_blocks.pool is None in the file's network, \(1, 2, 2\) in yours"):
        load_weights(reference.build(), tmp_path / "whole.pth")
    spec = NonLocalSpec(((), (0, 2), (0, 2, 4), ()), pool=None)
    report = load_weights(small_detector(nonlocal_blocks=spec), tmp_path / "whole.pth")
    assert infer_model(tmp_path / "whole.pth")[0]["backbone"]["nonlocal_blocks"]["pool"] is None
    assert len(report.matched) + 2 == len(state)  # all but the head's, of which class 0 was dropped


@pytest.mark.parametrize(
    ("name", "head", "told"),
    [
        ("psf_slow_4x16_r50_ava_c2", {"aligned": True}, "head.aligned is False"),
        ("psf_slow_4x16_r50_ava_c2", {"roi_size": 8}, "head.roi_size is 7"),
        ("slowfast_r50_8x8_tmax", {"aligned": False}, "head.aligned is True"),
        ("psf_slowfast_nln_8x8_r50", {"average_positions": "logits"}, "average_positions is softmax"),
    ],
)
def test_a_difference_in_behavior_is_refused_and_may_be_allowed(
    name: str, head: dict[str, Any], told: str, reference_named: Named, tmp_path: Path
) -> None:
    reference = reference_named(name)
    path = reference.write(tmp_path)
    with pytest.raises(InputError, match=told):
        load_weights(reference.build(**head), path)
    key = told.split(" ")[0]
    report = load_weights(reference.build(**head), path, allow=[key])
    assert [remark.split(" ")[0] for remark in report.remarks] == [key]


def test_slow_frames_and_normalization_are_checked(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("slowfast_r50_8x8_tmax")
    path, detector = reference.write(tmp_path), reference.build()
    detector.backbone.slow_frames = "spread"
    with pytest.raises(InputError, match=r"backbone.slow_frames is strided in the file's network, spread in yours"):
        load_weights(detector, path)
    detector = reference.build()
    detector.mean = (114.75, 114.75, 114.75)
    with pytest.raises(InputError, match=r"mean is \(123.675, 116.28, 103.53\) in the file's network, \(114.75"):
        load_weights(detector, path)


def test_our_own_checkpoint_is_checked_against_its_configuration(tmp_path: Path) -> None:
    config = "task: detection\nmodel: {head: {aligned: false}, mean: [123.675, 116.28, 103.53]}\n"
    detector = small_detector(depth=18)
    torch.save({"config": config, "weights": detector.state_dict()}, tmp_path / "ours.pt")
    with pytest.raises(InputError, match=r"head.aligned is False in the file's network, True in yours"):
        load_weights(detector, tmp_path / "ours.pt")


def test_without_strict_what_fits_is_taken(reference_named: Named, tmp_path: Path) -> None:
    path = reference_named("slowonly_r50_16x4_tricks").write(tmp_path)
    report = load_weights(small_detector(num_actions=91), path, strict=False)
    # A linear layer where the file has two.
    assert set(report.left_alone) == {"head.fc.weight", "head.fc.bias"}
    assert set(report.skipped) >= {"roi_head.bbox_head.fc_cls.0.weight", "roi_head.bbox_head.fc_cls.2.bias"}


def test_the_report_names_every_other_shape(reference_named: Named, tmp_path: Path) -> None:
    path = reference_named("slowfast_r50_8x8_tmax").write(tmp_path)
    network = SlowFast(width=4, beta_inv=4, lateral_norm=False, res5_stride=1, fusion_kernel=5)
    report = load_weights(
        ActionDetector(network, RoIHead(channels=network.channels, num_actions=3)), path, strict=False
    )
    lines = str(report).splitlines()
    assert "  other shape: head.fc.bias: (81,) in the file, (3,) in the network" in lines
    assert sum(line.startswith("  other shape: backbone.fuse") for line in lines) == 4


def test_unknown_entries_are_an_error_unless_allowed(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("slowfast_r50_8x8_tmax")
    reference.content["state_dict"]["backbone.mystery.weight"] = torch.ones(1)
    path = reference.write(tmp_path)
    with pytest.raises(InputError, match=r"the network has no place for backbone\.mystery\.weight"):
        load_weights(reference.build(), path)
    report = load_weights(reference.build(), path, allow=["backbone.mystery"])
    assert report.skipped["backbone.mystery.weight"] == "the network has no place for it"


def test_old_and_distributed_mmaction2_files_load(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("slowfast_r50_8x8_tmax")
    state = {f"module.{name}": tensor for name, tensor in reference.state.items()}
    state["module.data_preprocessor.mean"] = torch.zeros(3)
    path = tmp_path / "old.pth"
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    report = load_weights(reference.build(), path)
    assert list(report.skipped) == ["data_preprocessor.mean"]


def test_a_file_of_another_origin_than_the_given_one_is_refused(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("psf_slowfast_nln_8x8_r50")
    path = reference.write(tmp_path)
    assert load_weights(reference.build(), path, "pyslowfast").origin == "pyslowfast"
    # Paddle's names are nearly the same.
    with pytest.raises(InputError, match=r"not weights of paddle, which begin with .*; these are called s1\.pathway0"):
        load_weights(reference.build(), path, "paddle")
    with pytest.raises(InputError, match="no origin 'tensorflow' is known; expected auto, actiondet, mmaction2"):
        load_weights(reference.build(), path, "tensorflow")  # type: ignore[arg-type]


def test_weights_of_unknown_origin_are_told(tmp_path: Path) -> None:
    torch.save({"encoder.weight": torch.ones(1)}, tmp_path / "odd.pt")
    with pytest.raises(InputError, match=r"weights of unknown origin \(encoder.weight\); expected those of one of"):
        load_weights(small_detector(depth=18), tmp_path / "odd.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match=r"list\.pt: holds a list; expected weights by name"):
        load_weights(small_detector(depth=18), tmp_path / "list.pt")


@pytest.mark.parametrize(
    "name", ["layout_psf_slow_w2.pyth", "layout_c2_slow_w2.pkl", "layout_paddle_SlowFast_w4b4.pdparams"]
)
def test_files_written_by_the_toolkits_own_savers_load(name: str, shared: Path) -> None:
    path = shared / "reference" / "slowfast_family" / "fixtures" / name
    gray = {"mean": (114.75,) * 3, "std": (57.375,) * 3}
    network: ActionDetector | ActionRecognizer
    if "paddle" in name:
        backbone = SlowFast(width=4, beta_inv=4, alpha=4, slow_frames="spread")
        network = ActionRecognizer(backbone, RecognitionHead(channels=backbone.channels, num_classes=5), **gray)
    else:
        slow = SlowOnly(width=2, res5_stride=1, res5_dilation=2)
        head = RoIHead(channels=slow.channels, num_actions=5, roi_size=7, aligned="c2" not in name)
        network = ActionDetector(slow, head, **gray)
    report = load_weights(network, path)
    assert all(name.endswith("num_batches_tracked") for name in report.left_alone)
