"""Train a recogniser of videos: python tools/train_rec.py CONFIG [key=value ...] [--weights F] [--resume] [--out DIR].

Several processes: torchrun --nproc-per-node N tools/train_rec.py CONFIG ...
"""

from __future__ import annotations

from actiondet.command_line import train_program
from evaluation.command_line import run_tool


def main() -> None:
    train_program("recognition", description="Train a recognizer of whole videos.", score="top-1")


if __name__ == "__main__":
    run_tool(main)
