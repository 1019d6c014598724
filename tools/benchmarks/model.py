"""Networks, plain and made fast by `actiondet.optimize_for_inference`.

All are called in turn, several rounds; the best call of each counts, so that ratios hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.arguments import add_json, positive, write_json_to

if TYPE_CHECKING:
    from torch import Tensor

    from actiondet.config import DetectionConfig, RecognitionConfig
    from actiondet.models.detector import ActionDetector
    from actiondet.models.recognizer import ActionRecognizer

Call = Callable[[], "Tensor"]
"""A clip or several through a network: the logits."""
PLAIN = "plain float32"


@dataclass(frozen=True)
class Row:
    """What was measured of one network.

    Attributes:
        seconds: of the fastest call, by the clock.
        cpu_seconds: of the fastest call, over all cores.
        clips_per_second: in the fastest call.
        peak_mib: the least memory, in MiB, that a call took beyond what the process (the GPU, on one) held before.
        ratio: CPU seconds (on a GPU, seconds) of the plain network over its own: above 1 is faster.
        largest_change: of a score, against the plain network's.
    """

    config: str
    network: str
    seconds: float
    cpu_seconds: float
    clips_per_second: float
    peak_mib: float
    ratio: float
    largest_change: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py model`."""
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="YAML files of configs/")
    parser.add_argument("--side", type=positive, default=256, metavar="PX", help="height and width of a clip (256)")
    parser.add_argument("--width", type=positive, metavar="PX", help="of a clip that is not square (341: 4:3)")
    parser.add_argument("--batch", type=positive, default=1, metavar="B", help="clips a call (1)")
    parser.add_argument("--boxes", type=positive, default=10, metavar="P", help="persons a clip (10)")
    parser.add_argument("--rounds", type=positive, default=3, metavar="N", help="calls of each network (3)")
    parser.add_argument("--threads", type=positive, metavar="N", help="threads of torch (default: its own choice)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda")
    parser.add_argument("--compile", action="store_true", help="also through torch.compile (minutes more)")
    parser.add_argument("--explicit", action="store_true", help="transformers: also with a whole table of attention")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from actiondet.config import load_config_by_task

    configs = {path: load_config_by_task(path) for path in arguments.configs}

    import torch

    from actiondet.engine.devices import choose_device

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.device = str(choose_device(arguments.device))
    rows: list[Row] = []
    for path, config in configs.items():
        rows += measure(path, config, arguments)
        print_table([row for row in rows if row.config == path])
    write_json_to(arguments.json, [asdict(row) for row in rows])


def measure(path: str, config: DetectionConfig | RecognitionConfig, arguments: argparse.Namespace) -> list[Row]:
    """Warm up, and measure every network in turn."""
    import torch

    calls = make_calls(config, arguments)
    with torch.inference_mode():
        scores = {name: call().float().sigmoid().cpu() for name, call in calls.items()}
        rounds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in calls}
        for _ in range(arguments.rounds):
            for name, call in calls.items():
                rounds[name].append(time_call(call))
    best = {name: [min(values) for values in zip(*measured, strict=True)] for name, measured in rounds.items()}
    what_counts = 0 if arguments.device.startswith("cuda") else 1
    return [
        Row(
            config=path,
            network=name,
            seconds=seconds,
            cpu_seconds=cpu,
            clips_per_second=arguments.batch / seconds,
            peak_mib=peak,
            ratio=best[PLAIN][what_counts] / best[name][what_counts],
            largest_change=float((scores[name] - scores[PLAIN]).abs().max()),
        )
        for name, (seconds, cpu, peak) in best.items()
    ]


def make_calls(config: DetectionConfig | RecognitionConfig, arguments: argparse.Namespace) -> dict[str, Call]:
    """Every network with the same clips (and boxes): the plain one first."""
    import torch

    from actiondet import build_detector, build_recognizer, optimize_for_inference
    from actiondet.config import DetectionConfig

    torch.manual_seed(0)
    device, side, batch = arguments.device, arguments.side, arguments.batch
    width = arguments.width or side
    inputs: list[object] = [torch.randn(batch, len(config.model.mean), config.clip.frames, side, width).to(device)]
    if isinstance(config, DetectionConfig):
        plain: ActionDetector | ActionRecognizer = build_detector(config.model)
        corners = torch.rand(batch, arguments.boxes, 2, 2) * torch.tensor([width, side])
        inputs.append(list(torch.cat([corners.amin(dim=2), corners.amax(dim=2)], dim=2).to(device)))
    else:
        plain = build_recognizer(config.model)
    for module in plain.modules():
        if isinstance(module, torch.nn.BatchNorm3d):  # new ones end every block with zeros, and would hide changes
            torch.nn.init.uniform_(module.weight, 0.2, 0.8)
            assert module.running_var is not None
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    plain = plain.to(device).eval()
    with torch.inference_mode():  # logits as far apart as a trained network's
        last = [module for module in plain.modules() if isinstance(module, torch.nn.Linear)][-1]
        last.weight.mul_(2 / plain(*inputs).std())
    networks = {
        PLAIN: plain,
        "float32": optimize_for_inference(plain),
        "bfloat16": optimize_for_inference(plain, precision="bfloat16"),
    }
    if arguments.compile:
        networks["float32, compiled"] = optimize_for_inference(plain, compile=True)
        networks["bfloat16, compiled"] = optimize_for_inference(plain, precision="bfloat16", compile=True)
    calls: dict[str, Call] = {name: functools.partial(network, *inputs) for name, network in networks.items()}
    if arguments.explicit:
        for name in ("float32", "bfloat16"):
            calls[f"{name}, explicit attention"] = functools.partial(with_explicit_attention, calls[name])
    return calls


def with_explicit_attention(call: Call) -> Tensor:
    """Attention as it is written down, with every query's share of every key in memory, instead of a fused kernel."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):
        return call()


def time_call(call: Call) -> tuple[float, float, float]:
    """Seconds, CPU seconds, and the memory in MiB that a call took."""
    import torch

    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
    else:
        with suppress(OSError, AttributeError):  # Linux: give back what is free, and restart the record of the peak
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
        held = memory_of_process()
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    if cuda:
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = torch.cuda.max_memory_allocated() if cuda else memory_of_process()
    return wall, cpu, (peak - held) / 2**20


def memory_of_process() -> int:
    """Most memory of this process since the record was started, in bytes; 0 where the system does not say."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    return 0


def print_table(rows: Sequence[Row]) -> None:
    """One line for each network."""
    from evaluation.tables import table_text

    columns = ["network", "seconds", "CPU s", "clips/s", "MiB", "x plain", "score change"]
    lines = [
        [row.network, *(f"{figure:.3f}" for figure in (row.seconds, row.cpu_seconds, row.clips_per_second))]
        + [f"{row.peak_mib:.0f}", f"{row.ratio:.2f}", f"{row.largest_change:.1e}"]
        for row in rows
    ]
    print(rows[0].config)
    print(table_text(columns, lines, numeric=columns[1:]))
