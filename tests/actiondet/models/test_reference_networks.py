"""Our networks with other toolkits' weights give what the toolkits' own code gave.

Authority: MMAction2 1.2.0, PySlowFast 287ec00, pytorchvideo f3142bb and PaddleVideo ed245e9, run on narrow networks
with random weights (see tests/golden/models/README.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from actiondet.models.weights import load_weights

MMACTION2 = [
    "rec_slowfast_r101r50_4x16",
    "rec_slowfast_r50_4x16",
    "rec_slowfast_r50_8x8",
    "rec_slowfast_r50_8x8_lateral_norm",
    "rec_slowonly_r101_8x8",
    "rec_slowonly_r50_16x4_flow",
    "rec_slowonly_r50_4x16",
    "rec_slowonly_r50_8x8",
    "rec_slowonly_r50_8x8_nl",
    "slowfast_r50_4x16",
    "slowfast_r50_4x16_context",
    "slowfast_r50_4x16_multisports",
    "slowfast_r50_8x8",
    "slowfast_r50_8x8_tmax",
    "slowonly_r101_8x8",
    "slowonly_r50_16x4_tricks",
    "slowonly_r50_4x16",
    "slowonly_r50_4x16_multisports",
    "slowonly_r50_4x16_nl",
    "slowonly_r50_8x8",
    "slowonly_r50_8x8_context",
    "slowonly_r50_8x8_context_tmax",
    "slowonly_r50_8x8_context_tmax_mlp",
    "slowonly_r50_8x8_nl",
]
SLOWFAST_FAMILY = [
    "psf_slow_4x16_r50_ava",
    "psf_slow_4x16_r50_ava_c2",
    "psf_slow_8x8_r50",
    "psf_slow_nln_8x8_r50",
    "psf_slowfast_32x2_r50_ava",
    "psf_slowfast_32x2_r50_ava_c2",
    "psf_slowfast_4x16_r50",
    "psf_slowfast_8x8_r50",
    "psf_slowfast_nln_8x8_r50",
    "ptv_slow_r50",
    "ptv_slow_r50_detection",
    "ptv_slowfast_r50",
    "ptv_slowfast_r50_detection",
    "paddle_slowfast_4x16",
    "paddle_slowfast_8x8",
    "paddle_slowfast_ava",
]
# The file does not tell over how many cells these recognizers average, 2 here: 7 is taken, as published ones do.
WINDOW = ["window"]


@pytest.mark.parametrize("reference", MMACTION2, indirect=True)
def test_mmaction2_networks_give_the_same_logits_and_stages(reference: Any, tmp_path: Path) -> None:
    network = reference.build()
    report = load_weights(network, reference.write(tmp_path))
    assert report.origin == "mmaction2"
    assert {*report.left_alone, *report.skipped, *report.remarks} == set()

    stages = record(network, {_stage_of(name): name for name in reference.truth["outputs"]["stages"]})
    logits = reference.run(network)
    expected = reference.truth["outputs"]["logits64"]
    torch.testing.assert_close(logits, expected[:, -logits.shape[1] :], rtol=0, atol=1e-6)
    for name, truth in reference.truth["outputs"]["stages"].items():
        found = stages[name].relu() if name.endswith("conv1") else stages[name]
        assert list(found.shape) == truth["shape"], name
        # Their stages ran in float32, up to a hundred layers deep.
        assert float(found.abs().sum()) == pytest.approx(truth["abssum"], rel=1e-3), name
        assert float(found.sum()) == pytest.approx(truth["sum"], abs=1e-3 * truth["abssum"]), name


def _stage_of(name: str) -> str:
    """Our module of one of their stages."""
    path, _, rest = ("." + name).rpartition("path.")
    pathway = path.removeprefix(".").removesuffix("_") + "." if path else ""
    rest = rest.removeprefix(".")
    if rest.endswith("_lateral"):
        return f"fuse{1 if rest.startswith('conv1') else int(rest[5]) + 1}"
    if rest in ("conv1", "maxpool"):
        return f"{pathway}stem" + (".norm" if rest == "conv1" else "")
    stage, _, block = rest.partition(".")
    return f"{pathway}res{int(stage[5:]) + 1}" + (f".{block.replace('non_local', 'nonlocal')}" if block else "")


@pytest.mark.parametrize("reference", SLOWFAST_FAMILY, indirect=True)
def test_the_slowfast_family_gives_the_same_outputs_and_stages(reference: Any, tmp_path: Path) -> None:
    network = reference.build()
    told = reference.origin in ("pyslowfast", "caffe2") or reference.boxes is not None
    told |= reference.name == "paddle_slowfast_8x8"
    report = load_weights(network, reference.write(tmp_path), allow=[] if told else WINDOW)
    assert report.origin == reference.origin
    assert told == (not report.remarks)

    ours = _family_stages(reference)
    stages = record(network, {module: module for modules in ours.values() for pathway in modules for module in pathway})
    logits = reference.run(network)
    outputs, noise = reference.truth["outputs"], reference.truth["noise"] or {}
    if reference.boxes is not None:
        expected = outputs["logits"].flatten(1).double()[:, -logits.shape[1] :]
        torch.testing.assert_close(logits, expected, rtol=0, atol=10 * noise.get("logits", 1e-5))
        final = logits.sigmoid()
    else:
        final = logits if reference.origin == "pytorchvideo" else logits.softmax(dim=1)
    expected = outputs["final"].double()[:, -logits.shape[1] :]
    torch.testing.assert_close(final, expected, rtol=0, atol=10 * noise.get("final", 1e-6))

    for stage, modules in ours.items():
        for pathway, truth in zip(modules, reference.truth["stages"][stage], strict=True):
            found = torch.cat([stages[module] for module in pathway], dim=1)
            assert list(found.shape) == truth["shape"], stage
            samples = found.flatten()[torch.arange(512) * found.numel() // 512].double()
            tolerance = 10 * noise.get(stage, 1e-5 * truth["absmax"])
            torch.testing.assert_close(samples, truth["samples"].double(), rtol=0, atol=tolerance)


def _family_stages(reference: Any) -> dict[str, list[list[str]]]:
    """For their stages: for each pathway, our modules whose maps stand side by side in it."""
    names = ["stem", "res2", "res3", "res4", "res5"]
    single = reference.truth["slow_index"] is None
    found: dict[str, list[list[str]]] = {}
    for index, name in enumerate(names):
        if reference.origin == "pytorchvideo":
            prefix = "model." if reference.boxes is not None else ""
            for number, pathway in enumerate([""] if single else ["slow.", "fast."]):
                stage = f"{prefix}blocks.{index}" + ("" if single else f".multipathway_blocks.{number}")
                found[stage] = [[pathway + name]]
            continue
        found[f"s{index + 1}"] = [[name]] if single else [[f"slow.{name}"], [f"fast.{name}"]]
        if not single and name != "res5":
            found[f"s{index + 1}_fuse"] = [[f"slow.{name}", f"fuse{index + 1}"], [f"fast.{name}"]]
    return found


def record(network: nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    """A dictionary that the next run fills with copies of the outputs of the backbone's modules."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        # Copied at once: the ReLU that follows works in place.
        return lambda module, inputs, output: outputs.__setitem__(name, output.clone())

    for module, name in names.items():
        network.get_submodule("backbone").get_submodule(module).register_forward_hook(keep(name))
    return outputs
