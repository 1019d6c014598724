"""What it is worth to follow fast people: a static box and tracks, trained alike on cartoon people on skates.

Makes films of people who leave their own box within a clip. Each arm finds its learning rate with one seed, and is then
trained with other seeds, as long as the other arm. Runs that are finished are kept in the folder, and not done again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

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
    from actiondet.cli.benchmarks.arms import add_tuning_arguments

    parser.add_argument("--out", type=Path, default=Path("runs/tracks"), metavar="DIR", help="films and runs")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=["static", "track"], help="what to compare")
    add_tuning_arguments(parser, rates=[4e-3, 8e-3, 16e-3])
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="of every training (10)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from actiondet.cli.benchmarks.arms import check_seeds, print_table, report_at_best_rates

    check_seeds(arguments.seeds)

    from actiondet.engine.devices import launch, leave

    fabric = launch(precision="32-true")
    scores = report_at_best_rates(
        arguments.arms,
        lambda arm, rate, seed: train_arm(arguments, arm, fabric, rate=rate, seed=seed),
        float,
        rates=arguments.rates,
        seeds=arguments.seeds,
    )
    leave()
    print_table(scores, arguments.seeds)


def train_arm(arguments: argparse.Namespace, arm: str, fabric: Fabric, *, rate: float, seed: int) -> float:
    """Frame-mAP@0.5 after one training."""
    from actiondet.cli.benchmarks.arms import film_settings, length_settings, make_films, train_once

    from actiondet.config import load_config

    films = arguments.out / "films"
    settings = [
        *ARMS[arm],
        *film_settings(films),
        f"train.base_lr={rate!r}",
        *length_settings(seed, arguments.epochs),
    ]
    score: float = train_once(
        load_config(CONFIG, settings),
        folder=arguments.out / f"{arm}_rate{rate:g}_seed{seed}_epochs{arguments.epochs}",
        fabric=fabric,
        recipe=film_recipe(),
        prepare=lambda: make_films(films, size="fast", recipe=film_recipe()),
    )
    return score


def film_recipe() -> str:
    """What the films follow from."""
    from data_tools.toy import ava_files, skaters
    from data_tools.toy.sizes import SIZES

    return f"{SIZES['fast']}, glide {skaters.GLIDE}, {ava_files.FAST_LOOKS} looks a second\n"
