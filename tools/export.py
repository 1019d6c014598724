"""Export a trained network: python tools/export.py CONFIG --weights F --format onnx|torch_export --out FILE.

The file takes uint8 frames (and, of a detector, unit boxes) and gives scores; it is checked before it is written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from actiondet.command_line import add_config, add_weights
from evaluation.arguments import Parser
from evaluation.command_line import run_tool


def main() -> None:
    parser = Parser(
        description="Export a trained network to a file that runs without this library.",
        examples=[
            "actiondet export ava22/slowfast_r50_8x8_k400 --weights published --out detector.onnx",
            "actiondet export runs/own/config.yaml --weights runs/own/best.pt --out detector.pt2",
        ],
    )
    add_config(parser)
    add_weights(parser)
    parser.add_argument("--format", choices=["onnx", "torch_export"], help="default: by --out, .pt2 is torch_export")
    parser.add_argument(
        "--inputs",
        choices=["clip", "pathways"],
        default="clip",
        help="pathways: a SlowFast recognizer takes slow and fast frames apart (default: clip)",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help=".onnx or .pt2 file to write")
    arguments = parser.parse_intermixed_args()

    from actiondet.config import load_config_by_task

    config = load_config_by_task(arguments.config, arguments.settings, modules=arguments.modules)

    from actiondet.engine.export import export_network
    from actiondet.models.weights.download import choose_weights

    weights = choose_weights(arguments.weights, config.published.weights)
    form: Literal["onnx", "torch_export"] = arguments.format or (
        "torch_export" if arguments.out.suffix == ".pt2" else "onnx"
    )
    print(export_network(config, weights, arguments.out, format=form, inputs=arguments.inputs))


if __name__ == "__main__":
    run_tool(main)
