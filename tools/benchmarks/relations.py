"""What heads add that see other persons: plain, ACRN and ACAR heads on people who approach, follow and meet.

Makes films of people in pairs. A first network learns what each person does alone (stand, walk left, walk right). All
arms keep its backbone and train a head for the same number of epochs. The learning rate of each arm is tuned with one
seed; the reported trainings have other seeds. Finished runs stay in the folder and are not repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from actiondet.cli.benchmarks.arms import HeadRuns, add_tuning_arguments, print_table, report_at_best_rates

from evaluation.arguments import positive

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CONFIG = "toy/slowonly_r18"
SMALL = (
    "model.backbone.width=8",
    "model.num_actions=17",
    "clip={frames: 2, stride: 10}",
    "transform={train_short_side: [60, 60], train_crop: [60, 128], test_short_side: 60}",
    "train.base_lr=4e-3",
    "train.workers=0",
)
"""What makes the network small and the clips those of these films."""
ALONE = ("stand", "walk left", "walk right")
"""What the first network learns."""
ARMS = {
    "plain": ("model.head.context=false",),
    "acrn": ("model.head={name: acrn, dropout: 0.2}",),
    "acar": (
        "model.head={name: acar, layers: 1, output_kernel: 1, reduced_channels: 64, relation_channels: 64, "
        "halved: false}",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py relations`."""
    parser.add_argument("--out", type=Path, default=Path("runs/relations"), metavar="DIR", help="films and runs")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), help="what to compare")
    add_tuning_arguments(parser, rates=[1e-3, 3e-3, 1e-2])
    parser.add_argument("--first-epochs", type=positive, default=5, metavar="N", help="of the first network (5)")
    parser.add_argument("--epochs", type=positive, default=3, metavar="N", help="of each arm after that (3)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from data_tools.toy import relations
    from data_tools.toy.actions import RELATIONS

    def prepare(fabric: Fabric) -> Callable[[str, float, int], dict[int, float]]:
        first = (*ARMS["plain"], f"data.classes=[{', '.join(ALONE)}]", f"model.num_actions={len(ALONE)}")
        runs = HeadRuns(
            arguments,
            fabric,
            first=(*first, f"data.evaluated_actions={arguments.out / 'films/ava/action_list.pbtxt'}"),
            config=CONFIG,
            settings=SMALL,
            size="relations",
            recipe=f"{relations.NEAR} to {relations.FAR} apart, {relations.SPEED}, {relations.PAIRINGS}",
        )

        def train(arm: str, rate: float, seed: int) -> dict[int, float]:
            ap: dict[int, float] = runs.train_head(arm, rate, seed, *ARMS[arm])
            return ap

        return train

    found = report_at_best_rates(arguments, arguments.arms, prepare, lambda ap: fmean(ap.values()))
    for label, name in zip(RELATIONS.ids, RELATIONS.names, strict=True):
        of_action = {arm: [ap[label] for ap in runs] for arm, runs in found.items()}
        print_table(of_action, arguments.seeds, title=f"AP@0.5 of {name}")
    print_table({arm: [fmean(ap.values()) for ap in runs] for arm, runs in found.items()}, arguments.seeds)
