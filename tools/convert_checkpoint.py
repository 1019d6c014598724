"""Turn another toolkit's checkpoint into ours: python tools/convert_checkpoint.py SRC --config CONFIG --out OURS.pt.

Prints what was matched, converted, left alone and not used. With --infer instead, prints the `model:` part of the
configuration that SRC seems to ask for.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from actiondet.command_line import add_settings
from evaluation.arguments import Parser
from evaluation.command_line import run_tool

ORIGINS = [
    "auto",
    "actiondet",
    "mmaction2",
    "pyslowfast",
    "caffe2",
    "pytorchvideo",
    "paddle",
    "torchvision",
    "imagenet",
]


def main() -> None:
    parser = Parser(
        description="Convert a checkpoint of another toolkit, or say what it holds.",
        examples=[
            "actiondet convert-checkpoint theirs.pth --infer",
            "actiondet convert-checkpoint theirs.pth --config ava21/slowonly_r50_4x16_k400 --out ours.pt",
        ],
    )
    parser.add_argument("source", metavar="SRC", help=".pth, .pyth, .pt, .ckpt, .pkl, .pdparams or .safetensors file")
    add_settings(parser)
    parser.add_argument("--config", help="YAML file of configs/ that describes the network")
    parser.add_argument("--out", metavar="OURS.pt", help="checkpoint to write")
    parser.add_argument("--infer", action="store_true", help="print the configuration that SRC seems to ask for")
    parser.add_argument("--origin", choices=ORIGINS, default="auto", help="who wrote SRC (default: by its names)")
    parser.add_argument("--entry", metavar="NAME", help="which network of several in SRC, for instance state_dict_ema")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="NAME",
        help="weights (head) or settings (backbone.slow_frames) that may differ",
    )
    arguments = parser.parse_intermixed_args()
    if not arguments.infer and not (arguments.config and arguments.out):
        parser.error("give --config and --out to convert, or --infer to see what SRC holds")
    if arguments.infer:
        infer(arguments)
    else:
        convert(arguments)


def infer(arguments: argparse.Namespace) -> None:
    """Print a configuration."""
    import yaml

    from actiondet.models.weights.infer import infer_model

    settings, doubts = infer_model(arguments.source, arguments.origin, entry=arguments.entry)
    for doubt in doubts:
        print(f"# check: {doubt}")
    print(yaml.safe_dump({"model": settings}, sort_keys=False), end="")


def convert(arguments: argparse.Namespace) -> None:
    """Write our checkpoint."""
    from actiondet.config import load_config_by_task
    from actiondet.engine.checkpoint import Checkpoint, save_checkpoint
    from actiondet.engine.loading import load_trained
    from evaluation.errors import some

    trained = load_trained(
        arguments.source,
        load_config_by_task(arguments.config, arguments.settings),
        origin=arguments.origin,
        allow=arguments.allow,
        entry=arguments.entry,
        require_head="head" not in arguments.allow,  # a random one would pass for a trained one
    )
    print(trained.report)
    actions = trained.actions
    save_checkpoint(Checkpoint(trained.config, trained.network.state_dict(), actions), Path(arguments.out))
    print(f"wrote {arguments.out}, which names its columns {some(actions.names, 4)}")


if __name__ == "__main__":
    run_tool(main)
