"""Train an action detector: python tools/train_det.py CONFIG [key=value ...] [--weights F] [--resume] [--out DIR].

Several processes: torchrun --nproc-per-node N tools/train_det.py CONFIG ...
"""

from __future__ import annotations

from actiondet.command_line import train_program
from evaluation.command_line import run_tool


def main() -> None:
    train_program("detection", description="Train an action detector.", score="mAP@0.5")


if __name__ == "__main__":
    run_tool(main)
