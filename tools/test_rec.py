"""Test a recognizer: python tools/test_rec.py CONFIG --weights F [--views 10x3] [--dump result.pkl] [--json J].

A dump is scored again, without videos and network, by tools/eval_rec.py. A test with --dump that was interrupted
goes on where it was when the same command is given again.
Several processes: torchrun --nproc-per-node N tools/test_rec.py CONFIG ...
"""

from __future__ import annotations

import argparse
import re
from contextlib import nullcontext
from pathlib import Path

from actiondet.command_line import add_config, add_weights
from evaluation.arguments import Parser, add_json, json_target
from evaluation.command_line import run_tool


def views(text: str) -> list[str]:
    """'10x3' as settings."""
    found = re.fullmatch(r"(\d+)x([13])", text)
    if not found or found[1] == "0":
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of views; expected CLIPSxCROPS, crops 1 or 3: 10x3")
    return [f"test.clips={found[1]}", f"test.crops={found[2]}"]


def main() -> None:
    parser = Parser(
        description="Test a recognizer on the validation split of a data set.",
        examples=[
            "actiondet test-rec kinetics400/slowonly_r50_8x8_in1k --weights published --views 10x3 --dump scores.pkl",
        ],
    )
    add_config(parser)
    add_weights(parser)
    parser.add_argument(
        "--views", type=views, default=[], metavar="CxS", help="clips x crops (default: test.clips x test.crops)"
    )
    parser.add_argument("--dump", type=Path, metavar="F", help="write the scores of every video, to be scored again")
    add_json(parser)
    arguments = parser.parse_intermixed_args()

    from actiondet.config import load_recognition_config

    config = load_recognition_config(
        arguments.config, [*arguments.settings, *arguments.views], modules=arguments.modules
    )

    from actiondet.engine.devices import launch, leave
    from actiondet.engine.recognition.testing import run_recognition_test
    from actiondet.models.weights.download import choose_weights

    weights = choose_weights(arguments.weights, config.published.weights)
    fabric = launch()
    with json_target(arguments.json) if arguments.json else nullcontext() as json_:
        result = run_recognition_test(config, weights=weights, fabric=fabric, dump=arguments.dump, json_=json_)
    if fabric.is_global_zero:
        print(f"views: {config.test.clips}x{config.test.crops}, {config.clip.sampling}, {config.test.average}")
        print(result)
    leave()


if __name__ == "__main__":
    run_tool(main)
