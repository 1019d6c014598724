"""Build feature banks: python tools/build_bank.py CONFIG --weights F --out DIR [--splits train val] [--every S].

Writes DIR/train.safetensors and DIR/val.safetensors: of each person found at the key frames of a split, annotated or
not, what the network CONFIG with the weights F sees, in float16. Data sets name these files (data.train.bank,
data.val.bank), and networks with model.head.bank look into them. Repeated after an interruption, it goes on where it
was. Several processes: torchrun --nproc-per-node N tools/build_bank.py CONFIG ...
"""

from __future__ import annotations

import sys
from pathlib import Path

from actiondet.command_line import add_config, add_weights
from evaluation.arguments import Parser, number
from evaluation.command_line import run_tool


def main() -> int:
    parser = Parser(
        description="Keep what a network sees of each person, for networks that remember (model.head.bank).",
        examples=[
            "actiondet build-bank ava21/slowonly_r50_4x16_k400 --weights published --out banks/ava21",
            "actiondet build-bank my.yaml --weights runs/my/best.pt --splits val --out banks/my",
        ],
    )
    add_config(parser)
    add_weights(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the banks")
    parser.add_argument(
        "--splits", nargs="+", choices=["train", "val"], default=["train", "val"], help="default: train val"
    )
    parser.add_argument(
        "--every", type=number, default=1.0, metavar="S", help="look at the first key frame of every S seconds (1)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace banks that are there")
    arguments = parser.parse_intermixed_args()

    from actiondet.command_line import missing_files_of
    from actiondet.config import load_config

    config = load_config(arguments.config, arguments.settings, modules=arguments.modules)

    from actiondet.engine.detection.bank_building import build_bank
    from actiondet.engine.devices import launch, leave
    from actiondet.engine.loading import load_trained, network_for_testing
    from actiondet.models.weights.download import choose_weights

    weights = choose_weights(arguments.weights, config.published.weights)
    fabric = launch()
    detector = network_for_testing(load_trained(weights, config, require_head=False), fabric)
    faults: list[str] = []
    with missing_files_of(arguments.config):
        for split in arguments.splits:
            report = build_bank(
                config,
                detector,
                weights=weights,
                split=split,
                out=arguments.out / f"{split}.safetensors",
                fabric=fabric,
                every=arguments.every,
                overwrite=arguments.overwrite,
            )
            if report is not None:
                print(report)
                faults += report.faults
    leave()
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    run_tool(main)
