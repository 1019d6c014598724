"""What it is worth to follow fast people: a static box and tracks, trained alike on cartoon people on skates.

Makes films of people who leave their own box within a clip. Each arm finds its learning rate with one seed, and is then
trained with other seeds, as long as the other arm. Runs that are finished are kept in the folder, and not done again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from actiondet.cli.benchmarks.arms import ToyRuns, add_tuning_arguments, print_table, report_at_best_rates

from evaluation.arguments import positive

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CONFIG = "toy/slowonly_r18_skaters"
ARMS = {
    "static": ("model.head.roi=static",),
    "track": ("model.head.roi=track",),
    "track_conv": ("model.head.roi=track", "model.head.track_head=conv"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py tracks`."""
    parser.add_argument("--out", type=Path, default=Path("runs/tracks"), metavar="DIR", help="films and runs")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=["static", "track"], help="what to compare")
    add_tuning_arguments(parser, rates=[4e-3, 8e-3, 16e-3])
    parser.add_argument("--epochs", type=positive, default=10, metavar="N", help="of every training (10)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    scores = report_at_best_rates(arguments, arguments.arms, lambda fabric: arms(arguments, fabric), float)
    print_table(scores, arguments.seeds)


def arms(arguments: argparse.Namespace, fabric: Fabric) -> Callable[[str, float, int], float]:
    """What trains an arm with a rate and a seed, and returns its frame-mAP@0.5."""
    from data_tools.toy import ava_files, skaters

    recipe = f"glide {skaters.GLIDE}, {ava_files.FAST_LOOKS} looks a second"
    runs = ToyRuns(arguments.out, fabric, config=CONFIG, size="fast", recipe=recipe)

    def train(arm: str, rate: float, seed: int) -> float:
        config = runs.configured(seed, arguments.epochs, *ARMS[arm], f"train.base_lr={rate!r}")
        score: float = runs.train(f"{arm}_rate{rate:g}_seed{seed}_epochs{arguments.epochs}", config)
        return score

    return train
