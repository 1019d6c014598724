"""Train a recognizer of videos: python tools/train_rec.py CONFIG [key=value ...] [--weights F] [--resume] [--out DIR].

Several processes: torchrun --nproc-per-node N tools/train_rec.py CONFIG ...
"""

from __future__ import annotations

from actiondet.command_line import train_program
from evaluation.command_line import run_tool


def main() -> None:
    train_program(
        "recognition",
        description="Train a recognizer of whole videos.",
        score="top-1",
        examples=[
            "actiondet train-rec toy/recognition_slowonly --out runs/rec",
            "torchrun --nproc-per-node 8 -m actiondet.cli train-rec kinetics400/slowonly_r50_4x16_in1k",
        ],
    )


if __name__ == "__main__":
    run_tool(main)
