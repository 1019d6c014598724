"""What PySlowFast's files say about their networks beside the weights: color order, activation, non-local blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from actiondet.models.detector import ActionDetector
from actiondet.models.heads.roi import RoIHead
from actiondet.models.nonlocal_block import NonLocalSpec
from actiondet.models.slowfast import SlowFast
from actiondet.models.weights import load_weights
from actiondet.models.weights.infer import infer_model
from evaluation.errors import InputError

Named = Callable[[str], Any]


def change_settings(reference: Any, **changes: dict[str, Any]) -> None:
    """Change entries of sections of the settings that a reference's file will hold."""
    settings = yaml.safe_load(reference.content["cfg"])
    for section, entries in changes.items():
        settings.setdefault(section, {}).update(entries)
    reference.content["cfg"] = yaml.safe_dump(settings)


@pytest.mark.parametrize(
    ("dataset", "reverse", "swapped"),
    [
        (None, False, False),
        (None, True, True),
        ("kinetics", True, True),
        # OpenCV reads their frames as blue, green, red: reversed, these networks see red, green, blue.
        ("ssv2", True, False),
        ("charades", True, False),
        ("ssv2", False, True),
        ("ptvssv2", True, False),
    ],
)
def test_networks_for_blue_green_red_are_turned(
    dataset: str | None, reverse: bool, swapped: bool, reference_named: Named, tmp_path: Path
) -> None:
    """Authority: PySlowFast's loaders; retry_load_images and pack_pathway_output, run on a red picture with
    REVERSE_INPUT_CHANNEL, give the network red first."""
    reference = reference_named("psf_slowfast_nln_8x8_r50")
    plain, network = reference.build(), reference.build()
    load_weights(plain, reference.write(tmp_path))
    expected = reference.run(plain)
    change_settings(reference, DATA={"REVERSE_INPUT_CHANNEL": reverse}, TRAIN={"DATASET": dataset} if dataset else {})
    report = load_weights(network, reference.write(tmp_path))
    stems = {name for name, what in report.converted.items() if what == "channels swapped from blue, green, red"}
    names = {"backbone.slow.stem.conv.weight", "backbone.fast.stem.conv.weight"}
    assert stems == (names if swapped else set())
    # A network that saw blue first gives the same for a clip of ours as it gave for that clip's channels reversed.
    reference.clips.copy_(reference.clips.flip(1) if swapped else reference.clips)
    torch.testing.assert_close(reference.run(network), expected, rtol=0, atol=1e-9)


def test_means_of_frames_in_blue_green_red_are_turned(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("psf_slowfast_nln_8x8_r50")
    change_settings(
        reference,
        DATA={"REVERSE_INPUT_CHANNEL": True, "MEAN": [0.1, 0.2, 0.3]},
        TRAIN={"DATASET": "charades"},
    )
    settings, _ = infer_model(reference.write(tmp_path))
    assert settings["mean"] == pytest.approx([76.5, 51, 25.5])


def test_a_recognizer_with_sigmoids_is_reported(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("psf_slowfast_nln_8x8_r50")
    change_settings(reference, MODEL={"HEAD_ACT": "sigmoid"})
    path = reference.write(tmp_path)
    with pytest.raises(InputError, match=r"multi_label is True \(sigmoid\) in the file's network, False \(softmax\)"):
        load_weights(reference.build(), path)
    report = load_weights(reference.build(), path, allow=["multi_label"])
    assert [remark.split(" ")[0] for remark in report.remarks] == ["multi_label"]
    settings, doubts = infer_model(path)
    assert "multi_label" not in settings
    assert any("sigmoid" in doubt for doubt in doubts)


def test_a_detector_that_scores_otherwise_is_reported(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("psf_slow_4x16_r50_ava_c2")
    cfg = yaml.safe_dump({"DETECTION": {"ENABLE": True, "ALIGNED": False}, "MODEL": {"HEAD_ACT": "sigmoid"}})
    torch.save({"model_state": reference.state, "cfg": cfg}, tmp_path / "ava.pyth")
    load_weights(reference.build(), tmp_path / "ava.pyth")
    single = reference.build()
    single.multi_label = False
    with pytest.raises(InputError, match=r"multi_label is True \(sigmoid\) in the file's network, False"):
        load_weights(single, tmp_path / "ava.pyth")
    settings, doubts = infer_model(tmp_path / "ava.pyth")
    assert settings["multi_label"] is True
    assert not any("multi_label" in doubt for doubt in doubts)


def nonlocal_detector(spec: NonLocalSpec) -> ActionDetector:
    """As PySlowFast's R101 detectors for AVA, but narrow and with fewer blocks."""
    gray: dict[str, Any] = {"mean": (114.75,) * 3, "std": (57.375,) * 3}
    backbone = SlowFast(
        width=8, slow_frames="spread", fusion_kernel=5, res5_stride=1, res5_dilation=2, nonlocal_blocks=spec
    )
    head = RoIHead(channels=backbone.channels, num_actions=80, roi_size=7, dropout_at="vector")
    return ActionDetector(backbone, head, **gray)


def test_non_local_detectors_without_settings_are_those_for_ava(reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("psf_slowfast_nln_8x8_r50")
    state = dict(reference.state)
    state["head.projection.weight"] = torch.randn(80, state["head.projection.weight"].shape[1])
    state["head.projection.bias"] = torch.zeros(80)
    torch.save({"model_state": state}, tmp_path / "ava.pyth")
    settings, doubts = infer_model(tmp_path / "ava.pyth")
    found = settings["backbone"]["nonlocal_blocks"]
    assert (found["attention"], found["pool"], found["pool_first"]) == ("dot_product", [2, 2, 2], True)
    assert any("nonlocal_blocks" in doubt for doubt in doubts)
    after = ((), (1, 3), (1, 3, 5), ())
    right = NonLocalSpec(after, attention="dot_product", pool=(2, 2, 2), pool_first=True)
    assert not load_weights(nonlocal_detector(right), tmp_path / "ava.pyth").remarks
    wrong = NonLocalSpec(after, attention="softmax", pool=(1, 2, 2), pool_first=True)
    with pytest.raises(InputError, match=r"attention is dot_product in the file's network, softmax in yours"):
        load_weights(nonlocal_detector(wrong), tmp_path / "ava.pyth")


@pytest.mark.parametrize(
    "cfg",
    [
        "DATA: 3",
        "DETECTION: on",
        "NONLOCAL: {INSTANTIATION: softmax}",
        "RESNET: {SPATIAL_STRIDES: 3}",
        "DATA: {MEAN: 3}",
        "MODEL: [1]",
    ],
)
def test_settings_of_another_form_are_one_sentence(cfg: str, reference_named: Named, tmp_path: Path) -> None:
    reference = reference_named("psf_slowfast_nln_8x8_r50")
    reference.content["cfg"] = cfg
    with pytest.raises(InputError, match=r"entry 'cfg' does not hold settings as PySlowFast writes them"):
        load_weights(reference.build(), reference.write(tmp_path))
