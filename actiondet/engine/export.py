"""Write a trained network as one file that runs without this library: ONNX, or torch.export's format.

The file takes frames as uint8, and resizing, normalization and what turns logits into scores are in it. It is read
back and compared with the network on several shapes before it takes the place of an older file.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config as symbolic_config

from actiondet.config import DetectionConfig, RecognitionConfig, dump_config
from actiondet.engine.loading import TrainedDetector, TrainedRecognizer, load_trained
from actiondet.models.deployed import DeployedDetector, DeployedPathways, DeployedRecognizer
from actiondet.models.detector import ActionDetector
from actiondet.models.recognizer import ActionRecognizer
from actiondet.models.slowfast import SlowFast
from actiondet.models.slowonly import SlowOnly
from actiondet.video.sampling import spread_frames
from evaluation.errors import InputError
from evaluation.files import atomic_path
from evaluation.records import check_finite

Format = Literal["onnx", "torch_export"]
Inputs = Literal["clip", "pathways"]
Deployed = DeployedDetector | DeployedRecognizer | DeployedPathways
Run = Callable[..., Tensor]
TOLERANCE = 1e-4
"""Of a score: more than this and nothing is written."""
MOST_FRAMES = 1024
"""Of a clip that an exported network takes: without an end, older versions of torch find one themselves and stop."""
SHAPES = ((2, 90, 120, 37), (1, 90, 120, 0), (3, 120, 90, 1), (1, 100, 100, 37))
"""Clips, height, width and boxes that a file is checked on."""


@dataclass(frozen=True)
class ExportReport:
    """How a file compares with the network it was made from.

    Attributes:
        path: the file.
        largest_difference: of a score, over all shapes.
        seconds, eager_seconds: of the fastest of three calls with one clip, exported and not.
    """

    path: Path
    largest_difference: float
    seconds: float
    eager_seconds: float

    def __str__(self) -> str:
        return (
            f"wrote {self.path}; scores differ by at most {self.largest_difference:.1e}; one clip takes "
            f"{self.seconds:.3f} s, {self.eager_seconds / self.seconds:.2f} times as fast as the network in torch"
        )


def export_network(
    config: DetectionConfig | RecognitionConfig,
    weights: str | Path,
    path: Path,
    *,
    format: Format,
    inputs: Inputs = "clip",
) -> ExportReport:
    """Export the network of `config` with `weights`, ours or another toolkit's.

    Numbers of clips, of boxes, and of frames (but where a SlowFast spreads its slow frames) and the size of the
    picture may differ from call to call.

    Args:
        config: of the network.
        weights: a checkpoint.
        path: where to.
        format: of the file.
        inputs: "pathways" lets a SlowFast recognizer take slow and fast frames apart.

    Raises:
        InputError: weights that do not fit, packages that are not installed, or a file that scores otherwise.

    Example:
        >>> trained = actiondet.load_trained("recognizer.pt")
        >>> report = actiondet.export_network(trained.config, "recognizer.pt", Path("network.onnx"), format="onnx")
        >>> report.largest_difference < 1e-3
        True
    """
    if format == "onnx":
        _require("onnx", "onnxscript", "onnxruntime")
    trained = load_trained(weights, config)
    deployed = _deployed_network(trained).eval().requires_grad_(False)
    if inputs == "pathways":
        deployed = _divided(deployed)
    frames = config.clip.frames
    metadata = {
        "format": "actiondet export 1",
        "task": config.task,
        "ids": json.dumps(trained.actions.ids),
        "names": json.dumps(trained.actions.names),
        "columns": json.dumps(trained.actions.columns.tolist()),
        "config": dump_config(config),
        # In the configuration, too; these are for readers that do not have its defaults.
        "clip": config.clip.model_dump_json(),
        "mean": json.dumps(config.model.mean),
        "std": json.dumps(config.model.std),
        "short_side": json.dumps(config.transform.test_short_side),
    }
    with torch.no_grad(), atomic_path(path) as temporary:
        program = _export(deployed, frames)
        if format == "onnx":
            _write_onnx(program, metadata, temporary)
            run = _onnx_runner(temporary)
        else:
            torch.export.save(program, temporary, extra_files={"actiondet.json": json.dumps(metadata)})
            run = torch.export.load(temporary).module()
        difference = max(_difference(run, deployed, shape, frames) for shape in SHAPES)
        if not difference <= TOLERANCE:
            raise InputError(
                f"{path}: not written, the exported network's scores are off by {difference:.1e}, "
                f"expected at most {TOLERANCE:.0e}"
            )
        example = _example(deployed, (1, 90, 120, 10), frames)
        seconds, eager_seconds = (min(_seconds(each, example) for _ in range(3)) for each in (run, deployed))
    return ExportReport(path, difference, seconds, eager_seconds)


def _require(*packages: str) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"ONNX needs {', '.join(missing)}; install them with: pip install 'actiondet[export]'")


def _deployed_network(trained: TrainedDetector | TrainedRecognizer) -> Deployed:
    """The network with everything around it."""
    config, network = trained.config, trained.network
    short_side = config.transform.test_short_side
    if isinstance(config, DetectionConfig):
        assert isinstance(network, ActionDetector)
        bank = config.model.bank
        memory = None if bank is None else (bank.window * bank.persons, bank.channels)
        return DeployedDetector(network, short_side=short_side, multi_label=config.model.multi_label, memory=memory)
    assert isinstance(network, ActionRecognizer)
    round_up = config.clip.sampling == "pyslowfast"
    return DeployedRecognizer(network, short_side=short_side, crop=config.transform.val_crop, round_up=round_up)


def _divided(deployed: Deployed) -> DeployedPathways:
    backbone = deployed.network.backbone if isinstance(deployed, DeployedRecognizer) else None
    if not isinstance(deployed, DeployedRecognizer) or not isinstance(backbone, SlowFast):
        raise InputError("inputs 'pathways': only a SlowFast recognizer takes its frames apart; expected 'clip'")
    return DeployedPathways(deployed, backbone)


def _export(deployed: Deployed, frames: int) -> ExportedProgram:
    clip = {0: Dim.DYNAMIC, 1: _length(deployed), 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    shapes: tuple[Any, ...] = (clip,)
    if isinstance(deployed, DeployedPathways):
        slow = Dim("slow_frames", min=1, max=MOST_FRAMES // deployed.backbone.alpha)
        shapes = ({**clip, 1: slow}, {**clip, 1: deployed.backbone.alpha * slow})
    if isinstance(deployed, DeployedDetector):
        boxes = {0: Dim.DYNAMIC, 1: clip[1]} if deployed.network.head.follows_tracks else {0: Dim.DYNAMIC}
        memory = ({0: Dim.DYNAMIC}, {0: Dim.DYNAMIC}) if deployed.memory is not None else ()
        shapes = (clip, boxes, {0: Dim.DYNAMIC}, *memory)
    # An example with one clip or box, or with equal sizes, would fix what happens to be one or equal.
    example = _example(deployed, (2, 90, 120, 5), frames)
    # And torch is not to make a condition of it that there is more than one person. (The crop of a recognizer has sizes
    # that torch cannot follow then.)
    several = isinstance(deployed, DeployedDetector)
    with symbolic_config.patch(backed_size_oblivious=several):  # type: ignore[attr-defined]  # torch adds it
        return torch.export.export(deployed, example, dynamic_shapes=shapes)


def _length(deployed: Deployed) -> Any:
    """Which numbers of frames the exported network takes; of a backbone that is not ours, the example's only."""
    backbone = deployed.backbone if isinstance(deployed, DeployedPathways) else deployed.network.backbone
    if isinstance(backbone, SlowOnly):
        return Dim("frames", min=1, max=MOST_FRAMES)
    if isinstance(backbone, SlowFast) and backbone.slow_frames == "strided":
        return backbone.alpha * Dim("slow_frames", min=1, max=MOST_FRAMES // backbone.alpha)
    return Dim.STATIC


def _write_onnx(program: ExportedProgram, metadata: dict[str, str], path: Path) -> None:
    import onnxscript

    opset: Any = onnxscript.opset18

    def roi_align(
        maps: Any,
        rois: Any,
        spatial_scale: float,
        pooled_height: int,
        pooled_width: int,
        sampling_ratio: int = -1,
        aligned: bool = False,
    ) -> Any:
        """torchvision's RoIAlign as ONNX has it: the clips' numbers apart from the boxes."""
        return opset.RoiAlign(
            maps,
            opset.Slice(rois, [1], [5], [1]),
            opset.Cast(opset.Squeeze(opset.Slice(rois, [0], [1], [1]), [1]), to=7),  # int64
            coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
            output_height=pooled_height,
            output_width=pooled_width,
            sampling_ratio=max(sampling_ratio, 0),
            spatial_scale=spatial_scale,
        )

    exported = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=18,
        verbose=False,
        custom_translation_table={torch.ops.torchvision.roi_align.default: roi_align},
    )
    assert exported is not None
    exported.model.metadata_props.update(metadata)
    exported.model.graph.outputs[0].name = "scores"
    exported.save(path)


def _onnx_runner(path: Path) -> Run:
    """Call an ONNX file with tensors."""
    from actiondet.exported import OnnxNetwork

    network = OnnxNetwork(path, device="cpu")
    return lambda *inputs: torch.from_numpy(network(*(each.numpy() for each in inputs)))


def _example(deployed: Deployed, shape: tuple[int, int, int, int], frames: int) -> tuple[Tensor, ...]:
    """Random pictures (and boxes, and a memory) of so many clips, height, width, boxes; always the same."""
    clips, height, width, boxes = shape
    random = torch.Generator().manual_seed(sum(shape))
    pictures = torch.randint(0, 256, (clips, frames, height, width, 3), generator=random, dtype=torch.uint8)
    if isinstance(deployed, DeployedRecognizer):
        return (pictures,)
    if isinstance(deployed, DeployedPathways):
        return pictures[:, spread_frames(frames, frames // deployed.backbone.alpha)], pictures
    corners = torch.rand(boxes, *((frames,) if deployed.network.head.follows_tracks else ()), 2, 2, generator=random)
    unit_boxes = torch.cat([corners.amin(dim=-2), corners.amax(dim=-2)], dim=-1)
    inputs = pictures, unit_boxes, torch.randint(0, clips, (boxes,), generator=random)
    if deployed.memory is None:
        return inputs
    filled = torch.rand(clips, deployed.memory[0], generator=random) < 0.5
    return *inputs, torch.rand(clips, *deployed.memory, generator=random) * filled[..., None], filled


def _difference(run: Run, deployed: Deployed, shape: tuple[int, int, int, int], frames: int) -> float:
    """The largest difference of a score between two networks."""
    example = _example(deployed, shape, frames)
    expected = deployed(*example)
    check_finite(expected.numpy())
    try:
        found = run(*example)
    except AssertionError as fault:  # a forward that branches on such a number: torch.export fixed it as in the example
        clips, height, width, boxes = shape
        raise InputError(
            f"the exported network refuses {clips} clips of {height}x{width} with {boxes} boxes ({fault}); nothing was "
            "written; expected a network whose forward does not depend on these numbers"
        ) from None
    if found.shape != expected.shape:
        return float("inf")
    return float((found - expected).abs().max()) if len(expected) else 0.0


def _seconds(run: Run, example: Sequence[Tensor]) -> float:
    start = time.perf_counter()
    run(*example)
    return time.perf_counter() - start
