"""What heads add that see other persons: plain, ACRN and ACAR heads on people who approach, follow and meet.

Makes films of people in pairs. A first network learns what each person does alone (stand, walk left, walk right). All
arms keep its backbone and train a head for the same number of epochs. The learning rate of each arm is tuned with one
seed; the reported trainings have other seeds. Finished runs stay in the folder and are not repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from actiondet.config import DetectionConfig

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
    from actiondet.cli.benchmarks.arms import add_tuning_arguments

    parser.add_argument("--out", type=Path, default=Path("runs/relations"), metavar="DIR", help="films and runs")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), help="what to compare")
    add_tuning_arguments(parser, rates=[1e-3, 3e-3, 1e-2])
    parser.add_argument("--first-epochs", type=int, default=5, metavar="N", help="of the first network (5)")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="of each arm after that (3)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from actiondet.cli.benchmarks.arms import check_seeds, print_table, report_at_best_rates

    check_seeds(arguments.seeds)

    from actiondet.engine.devices import launch, leave
    from data_tools.toy.actions import RELATIONS

    comparison = Comparison(arguments, launch(precision="32-true"))
    found = report_at_best_rates(
        arguments.arms, comparison.train, mean_ap, rates=arguments.rates, seeds=arguments.seeds
    )
    leave()
    for label, name in zip(RELATIONS.ids, RELATIONS.names, strict=True):
        of_action = {arm: [ap[label] for ap in runs] for arm, runs in found.items()}
        print_table(of_action, arguments.seeds, title=f"AP@0.5 of {name}")
    print_table({arm: [mean_ap(ap) for ap in runs] for arm, runs in found.items()}, arguments.seeds)


def mean_ap(ap: Mapping[int, float]) -> float:
    """Over all actions."""
    return sum(ap.values()) / len(ap)


class Comparison:
    """The trainings of all arms."""

    def __init__(self, arguments: argparse.Namespace, fabric: Fabric) -> None:
        """Take the command line."""
        self._arguments, self._fabric = arguments, fabric

    def train(self, arm: str, rate: float, seed: int) -> dict[int, float]:
        """AP@0.5 of each relation by an arm."""
        from actiondet.cli.benchmarks.arms import head_settings

        from actiondet.config import dump_config

        first, epochs = self.first, self._arguments.epochs
        settings = [
            *ARMS[arm],
            *head_settings(first / "last.pt", rate),
        ]
        folder = self._arguments.out / f"{arm}_rate{rate:g}_seed{seed}_epochs{epochs}_after_{first.name}"
        return self._train(folder, self._config(seed, epochs, *settings), after=dump_config(self._first_config()))

    @cached_property
    def first(self) -> Path:
        """Folder of the network whose backbone all arms have; trained when first needed."""
        folder: Path = self._arguments.out / f"first_epochs{self._arguments.first_epochs}"
        self._train(folder, self._first_config())
        return folder

    def _first_config(self) -> DetectionConfig:
        from actiondet.cli.benchmarks.arms import TUNING_SEED

        every_action = f"data.evaluated_actions={self._arguments.out / 'films/ava/action_list.pbtxt'}"
        alone = (*ARMS["plain"], f"data.classes=[{', '.join(ALONE)}]", f"model.num_actions={len(ALONE)}", every_action)
        return self._config(TUNING_SEED, self._arguments.first_epochs, *alone)

    def _train(self, folder: Path, config: DetectionConfig, *, after: str = "") -> dict[int, float]:
        from actiondet.cli.benchmarks.arms import make_films, test_once, train_once

        films, recipe = self._arguments.out / "films", film_recipe()
        train_once(
            config,
            folder=folder,
            fabric=self._fabric,
            recipe=recipe + after,
            prepare=lambda: make_films(films, size="relations", recipe=recipe),
        )
        ap: dict[int, float] = test_once(config, folder=folder, fabric=self._fabric)
        print(f"{folder.name}: {mean_ap(ap):.4f}", flush=True)
        return ap

    def _config(self, seed: int, epochs: int, *settings: str) -> DetectionConfig:
        from actiondet.cli.benchmarks.arms import film_settings, length_settings

        from actiondet.config import load_config

        return load_config(
            CONFIG, [*SMALL, *length_settings(seed, epochs), *film_settings(self._arguments.out / "films"), *settings]
        )


def film_recipe() -> str:
    """What the films follow from."""
    from data_tools.toy import relations
    from data_tools.toy.sizes import SIZES

    return f"{SIZES['relations']}, {relations.NEAR} to {relations.FAR} apart, {relations.SPEED}, {relations.PAIRINGS}\n"
