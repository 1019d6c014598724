"""Name what videos show: python tools/predict.py --input FILE|DIR --weights F [--top 5] [--views 10x3] [--json J].

One video, or every video below a folder. Without --config, the weights must be a checkpoint of ours. With
--model FILE.onnx instead (of tools/export.py) onnxruntime does the work, and torch need not be installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from actiondet.command_line import add_import
from evaluation.arguments import Parser, add_json, write_json_to
from evaluation.command_line import run_tool

if TYPE_CHECKING:
    from actiondet.models.inference import Precision
    from evaluation.records import FloatArray

Recognize = Callable[[Path], "FloatArray"]


def by_torch(arguments: argparse.Namespace, clips: int, crops: int) -> tuple[Recognize, tuple[str, ...]]:
    """What scores a video, and the names of the scores."""
    from actiondet.config import load_recognition_config
    from evaluation.errors import InputError

    if importlib.util.find_spec("torch") is None:
        raise InputError("--weights needs torch, which is not installed; give --model F.onnx (of tools/export.py)")
    from actiondet.engine.devices import choose_device
    from actiondet.engine.recognition.recognize import load_recognizer
    from actiondet.models.weights.download import choose_weights

    device = choose_device(arguments.device)
    config = load_recognition_config(arguments.config) if arguments.config else None
    weights = choose_weights(arguments.weights, config.published.weights) if config else arguments.weights
    views: tuple[int, Literal[1, 3]] = (clips, 3 if crops == 3 else 1)
    precision: Precision = arguments.precision or "float32"
    recognizer = load_recognizer(
        weights, config=config, views=views, device=device, precision=precision, reader=arguments.reader
    )
    if config and recognizer.classes[0] == "0":
        print(
            "predict.py: classes are shown by number: the files of the data set that name them are not here",
            file=sys.stderr,
        )
    return recognizer, recognizer.classes


def by_onnx(arguments: argparse.Namespace, clips: int) -> tuple[Recognize, tuple[str, ...]]:
    """The same without torch."""
    from actiondet.exported import OnnxNetwork, OnnxRecognizer

    recognizer = OnnxRecognizer(
        OnnxNetwork(arguments.model, device=arguments.device), clips=clips, reader=arguments.reader
    )
    return recognizer, recognizer.classes


def main() -> int:
    parser = Parser(
        description="Name what videos show.",
        examples=[
            "actiondet predict --input street.mp4 --weights runs/rec/best.pt --top 5",
            "actiondet predict --input videos --config kinetics400/slowonly_r50_8x8_in1k --weights published",
            "actiondet predict --input street.mp4 --model recognizer.onnx --json - --quiet",
        ],
    )
    parser.add_argument("--input", required=True, type=Path, metavar="P", help="a video, or a folder of videos")
    network = parser.add_mutually_exclusive_group(required=True)
    network.add_argument(
        "--weights",
        metavar="F",
        help="checkpoint of tools/train_rec.py; with --config, of another toolkit, or 'published'",
    )
    network.add_argument("--model", metavar="F.onnx", help="recognizer of tools/export.py")
    parser.add_argument("--config", metavar="C", help="YAML file of configs/, for weights of another toolkit")
    parser.add_argument("--top", type=int, default=5, metavar="K", help="classes to print (default: 5)")
    parser.add_argument("--views", default="1x1", metavar="CxS", help="clips x crops (default: the center, 1x1)")
    add_json(parser, "classes and scores of every video")
    add_import(parser)
    parser.add_argument(
        "--device",
        default="auto",
        choices=["auto", "cpu", "cuda", "mps", "tensorrt", "openvino"],
        help="tensorrt and openvino are for --model (default: auto, a GPU where there is one)",
    )
    parser.add_argument(
        "--reader",
        default="auto",
        choices=["auto", "decord", "pyav"],
        help="what decodes the videos (default: auto, the fastest that gives exact frames)",
    )
    parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16", "auto"],
        help="of the network, with --weights (default: float32); auto: bfloat16 where the device computes in it",
    )
    arguments = parser.parse_args()
    clips, _, crops = arguments.views.partition("x")
    if not clips.isdecimal() or int(clips) < 1 or crops not in ("1", "3"):
        parser.error(f"--views {arguments.views}: expected CLIPSxCROPS, crops 1 or 3, such as 10x3")
    if arguments.top < 1:
        parser.error(f"--top {arguments.top}: expected 1 or more")
    if arguments.model and (crops == "3" or arguments.config):
        parser.error("--model holds its configuration and its one crop; expected --views CLIPSx1 and no --config")
    if arguments.model and arguments.precision:
        parser.error("--model holds its precision; expected no --precision")
    if arguments.model and arguments.device == "mps":
        parser.error("--device mps runs networks of torch; give --weights")
    if arguments.weights and arguments.device in ("tensorrt", "openvino"):
        parser.error(f"--device {arguments.device} runs exported networks; give --model")

    from actiondet.config import import_modules
    from actiondet.datasets.sources import videos_below

    import_modules(arguments.modules)
    videos = videos_below(arguments.input) if arguments.input.is_dir() else [arguments.input]
    if arguments.model:
        recognizer, classes = by_onnx(arguments, int(clips))
    else:
        recognizer, classes = by_torch(arguments, int(clips), int(crops))
    return predict(recognizer, classes, videos, arguments)


def predict(recognize: Recognize, classes: tuple[str, ...], videos: list[Path], arguments: argparse.Namespace) -> int:
    """Print and write what every video shows."""
    from evaluation.errors import InputError
    from evaluation.progress import ProgressBar

    found: dict[str, Any] = {}
    faults: list[str] = []
    for path in ProgressBar("predicting", len(videos), shown=len(videos) > 1).over(videos):
        try:
            scores = recognize(path)
        except (InputError, OSError) as fault:
            if len(videos) == 1:
                raise
            faults.append(str(fault))
            continue
        best = scores.argsort(kind="stable")[::-1][: arguments.top]
        found[str(path)] = [{"class": classes[label], "score": float(scores[label])} for label in best]
        print(path)
        for each in found[str(path)]:
            print(f"  {each['score']:.4f}  {each['class']}")
    for message in faults:
        print(f"predict.py: left out: {message}", file=sys.stderr)
    if faults:
        print(f"{len(faults)} of {len(videos)} videos could not be read", file=sys.stderr)
    write_json_to(arguments.json, found)
    return 0 if found else 1


if __name__ == "__main__":
    run_tool(main)
