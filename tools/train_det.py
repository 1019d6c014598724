"""Train an action detector: python tools/train_det.py CONFIG [key=value ...] [--weights F] [--resume] [--out DIR].

Several processes: torchrun --nproc-per-node N tools/train_det.py CONFIG ...
"""

from __future__ import annotations

from actiondet.command_line import train_program
from evaluation.command_line import run_tool


def main() -> None:
    train_program(
        "detection",
        description="Train an action detector.",
        score="mAP@0.5",
        examples=[
            "actiondet train-det own.yaml --weights published --out runs/own",
            "actiondet train-det toy/slowonly_r18 train.batch=4 --print-config",
            "torchrun --nproc-per-node 8 -m actiondet.cli train-det ava22/slowfast_r50_8x8_k400 --weights published",
        ],
    )


if __name__ == "__main__":
    run_tool(main)
