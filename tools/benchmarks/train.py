"""Training steps of a recipe at its batch: memory and clips a second, against a plain eager float32 step.

A step is the forward pass, the loss, the backward pass and the optimizer's update, on random clips of the recipe's
size: neither reading nor decoding counts. Every way starts from the same weights, is warmed up and measured by itself,
so that the memory is its own; its fastest step counts. "plain" is torch's default everywhere (on a GPU, convolutions
then run in TF32).
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.arguments import add_json, positive, write_json_to

if TYPE_CHECKING:
    from torch import Tensor

    from actiondet.config import DetectionConfig, RecognitionConfig
    from actiondet.models.detector import ActionDetector
    from actiondet.models.recognizer import ActionRecognizer

PUBLISHED_MIB = {
    "kinetics400/slowonly_r50_4x16_in1k": 5797,
    "kinetics400/slowonly_r50_8x8_in1k": 11089,
    "kinetics400/slowonly_r101_8x8_scratch": 16516,
    "kinetics400/slowonly_r50_nl_4x16_in1k": 8198,
    "multisports/slowonly_r50_4x16_k400": 8509,
    "multisports/slowfast_r50_4x16_k400": 18618,
}
"""GPU memory that MMAction2 states for the same recipes, at 16 clips a GPU."""


@dataclass(frozen=True)
class Way:
    """How a step is taken.

    Attributes:
        bfloat16: autocast; else float32.
        channels_last: of weights and clips.
        compiled: the backbone, by torch.compile.
    """

    bfloat16: bool
    channels_last: bool
    compiled: bool

    def __str__(self) -> str:
        if self == PLAIN:
            return "plain float32"
        parts = ["bfloat16" if self.bfloat16 else "float32"]
        return ", ".join(parts + ["channels last"] * self.channels_last + ["compiled"] * self.compiled)


PLAIN = Way(bfloat16=False, channels_last=False, compiled=False)


@dataclass(frozen=True)
class Row:
    """What was measured of one way.

    Attributes:
        batch: clips a step.
        seconds, cpu_seconds: of the fastest step.
        clips_per_second: in it.
        peak_mib: of the GPU's memory, or by how much a step raised that of the process.
        ratio: seconds (without a GPU, CPU seconds) of the plain step over its own: above 1 is faster.
        losses: of the first steps; they should hardly differ from way to way.
        published_mib: what MMAction2 states for the recipe, where it does.
    """

    config: str
    way: str
    batch: int
    seconds: float
    cpu_seconds: float
    clips_per_second: float
    peak_mib: float
    ratio: float
    losses: tuple[float, ...]
    published_mib: int | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py train`."""

    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="YAML files of configs/")
    parser.add_argument(
        "--batch", type=positive, metavar="B", help="clips a step (default: the recipe's of one process)"
    )
    parser.add_argument(
        "--side", type=positive, metavar="PX", help="height and width of a clip (default: the recipe's)"
    )
    parser.add_argument("--boxes", type=positive, default=5, metavar="P", help="persons a clip, for detectors (5)")
    parser.add_argument("--steps", type=positive, default=10, metavar="N", help="measured steps of each way (10)")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of torch (default: its own choice)")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: cuda if there")
    parser.add_argument("--compile", action="store_true", help="also through torch.compile (minutes more)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from actiondet.config import load_config_by_task

    configs = {path: load_config_by_task(path) for path in arguments.configs}

    import torch

    from actiondet.engine.devices import choose_device

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.device = choose_device(arguments.device).type
    compilations = (False, True) if arguments.compile else (False,)
    ways = [Way(bf16, last, compiled) for compiled in compilations for bf16 in (False, True) for last in (False, True)]
    rows: list[Row] = []
    for path, config in configs.items():
        own = with_ratios([measure(path, config, way, arguments) for way in ways], arguments.device)
        print_table(own)
        rows += own
    write_json_to(arguments.json, [asdict(row) for row in rows])


def measure(path: str, config: DetectionConfig | RecognitionConfig, way: Way, arguments: argparse.Namespace) -> Row:
    """Take two steps to warm up, then the measured ones."""
    import torch
    from actiondet.cli.benchmarks.model import time_call

    batch = arguments.batch or config.train.batch
    cuda = arguments.device == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    step = make_step(config, way, arguments, batch=batch)
    losses = [float(step()) for _ in range(2)]
    figures = []
    whole_peak = 0.0
    for _ in range(arguments.steps):
        if cuda:
            whole_peak = max(whole_peak, torch.cuda.max_memory_allocated() / 2**20)  # time_call resets it
        figures.append(time_call(step))
    if cuda:
        whole_peak = max(whole_peak, torch.cuda.max_memory_allocated() / 2**20)
    seconds, cpu, peak = (min(values) for values in zip(*figures, strict=True))
    del step
    gc.collect()
    return Row(
        config=path,
        way=str(way),
        batch=batch,
        seconds=seconds,
        cpu_seconds=cpu,
        clips_per_second=batch / seconds,
        peak_mib=whole_peak if cuda else peak,
        ratio=1.0,
        losses=tuple(losses),
        published_mib=PUBLISHED_MIB.get("/".join(Path(path).with_suffix("").parts[-2:])) if batch == 16 else None,
    )


def make_step(
    config: DetectionConfig | RecognitionConfig, way: Way, arguments: argparse.Namespace, *, batch: int
) -> Callable[[], Tensor]:
    """A step of training; called, it returns its loss."""
    import torch

    from actiondet import build_detector, build_recognizer
    from actiondet.config import DetectionConfig
    from actiondet.engine.optim import build_optimizer, parameter_groups
    from actiondet.models.losses import action_loss

    torch.manual_seed(0)
    side = arguments.side or config.transform.train_crop
    height, width = (side, side) if isinstance(side, int) else side
    layout = torch.channels_last_3d if way.channels_last else torch.contiguous_format
    clips = torch.randn(batch, len(config.model.mean), config.clip.frames, height, width)
    inputs: list[object] = [clips.to(arguments.device).contiguous(memory_format=layout)]
    if isinstance(config, DetectionConfig):
        detector = build_detector(config.model)
        network: ActionDetector | ActionRecognizer = detector
        corners = torch.rand(batch, arguments.boxes, 2, 2) * torch.tensor([width, height])
        boxes = torch.cat([corners.amin(dim=2), corners.amax(dim=2)], dim=2).to(arguments.device)
        if detector.head.follows_tracks:
            boxes = boxes.unsqueeze(2).repeat(1, 1, config.clip.frames, 1)
        inputs.append(list(boxes))
        labels = torch.eye(config.model.num_actions)[torch.arange(batch * arguments.boxes) % config.model.num_actions]
        multi_label = config.model.multi_label
    else:
        network, multi_label = build_recognizer(config.model), False
        labels = torch.eye(config.model.num_classes)[torch.arange(batch) % config.model.num_classes]
    network.to(arguments.device).to(memory_format=layout).train()
    labels = labels.to(arguments.device)
    settings = config.train.optimizer
    groups = parameter_groups(network, weight_decay=settings.weight_decay, norm_weight_decay=settings.norm_weight_decay)
    optimizer = build_optimizer(settings, groups, lr=1e-4)
    if way.compiled:
        network.backbone = torch.compile(network.backbone)  # type: ignore[assignment]

    def step() -> Tensor:
        with torch.autocast(arguments.device, dtype=torch.bfloat16, enabled=way.bfloat16):
            logits = network(*inputs)
        loss = action_loss(logits, labels, multi_label=multi_label)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return step


def with_ratios(rows: Sequence[Row], device: str) -> list[Row]:
    """The same rows, compared with the first."""
    name = "seconds" if device == "cuda" else "cpu_seconds"
    return [replace(row, ratio=getattr(rows[0], name) / getattr(row, name)) for row in rows]


def print_table(rows: Sequence[Row]) -> None:
    """One line for each way."""
    from evaluation.tables import table_text

    said = f"; MMAction2 states {rows[0].published_mib} MiB" if rows[0].published_mib else ""
    columns = ["step", "seconds", "CPU s", "clips/s", "MiB", "x plain", "loss"]
    lines = [
        [row.way, *(f"{figure:.3f}" for figure in (row.seconds, row.cpu_seconds, row.clips_per_second))]
        + [f"{row.peak_mib:.0f}", f"{row.ratio:.2f}", row.losses[-1]]
        for row in rows
    ]
    print(f"{rows[0].config}, {rows[0].batch} clips{said}")
    print(table_text(columns, lines, numeric=columns[1:]))
