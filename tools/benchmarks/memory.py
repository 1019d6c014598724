"""What a feature bank adds: one network with and without it, on actions that depend on the seconds before.

Makes films of people whose actions are named by what happened 5 to 20 seconds before. A first network learns what a
clip shows (the arms are held out, whatever that responds to), and its features fill the bank. Both arms keep its
backbone and train a head for the same number of epochs. The learning rate of each arm is tuned with one seed; the
reported trainings have other seeds. Finished runs stay in the folder and are not repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from actiondet.config import DetectionConfig
    from actiondet.datasets.splits import SplitName

CONFIG = "toy/slowonly_r18_recall"
SHOWN = (
    "data.merge_classes={hold the arms out: [hold the arms out unasked, answer a call, bring back]}",
    "model.num_actions=4",
)
"""What the first network learns. After one that has learned the responses by heart, a head does not need the bank."""
CHANNELS = 64
"""Of the network's features."""
WINDOW = 22
"""Seconds that the bank looks back: as far as the earliest cue."""
WANTED = 0.15
"""Frame-mAP that the bank should add."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py memory`."""
    from actiondet.cli.benchmarks.arms import add_tuning_arguments

    parser.add_argument("--out", type=Path, default=Path("runs/memory"), metavar="DIR", help="films, banks and runs")
    parser.add_argument("--operator", choices=["nonlocal", "max", "avg"], default="nonlocal", help="(nonlocal)")
    add_tuning_arguments(parser, rates=[1e-3, 3e-3, 1e-2])
    parser.add_argument("--first-epochs", type=int, default=10, metavar="N", help="of the network of the bank (10)")
    parser.add_argument("--epochs", type=int, default=6, metavar="N", help="of each arm after that (6)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from actiondet.cli.benchmarks.arms import check_seeds, print_table, report_at_best_rates

    check_seeds(arguments.seeds)

    from actiondet.engine.devices import launch, leave

    comparison = Comparison(arguments, launch(precision="32-true"))
    found = report_at_best_rates(
        ("without", arguments.operator), comparison.train, of_responses, rates=arguments.rates, seeds=arguments.seeds
    )
    leave()
    over_all = {arm: [_mean(each.values()) for each in runs] for arm, runs in found.items()}
    print_table(over_all, arguments.seeds, title="frame-mAP@0.5 of all actions")
    scores = {arm: [of_responses(each) for each in runs] for arm, runs in found.items()}
    print_table(scores, arguments.seeds, title="frame-mAP@0.5 of the actions that only memory shows")
    without, remembering = (_mean(each) for each in scores.values())
    gain = remembering - without
    print(
        f"the bank adds {100 * gain:.1f} points (wanted: at least {100 * WANTED:.0f}): "
        f"{'as wanted' if gain >= WANTED else 'not as wanted'}"
    )


def of_responses(ap: Mapping[int, float]) -> float:
    """Mean of those actions' AP that depend on what was done before."""
    from data_tools.toy.actions import RESPONSES

    return _mean([ap[label] for label in RESPONSES.ids])


def _mean(values: Collection[float]) -> float:
    return sum(values) / len(values)


class Comparison:
    """The trainings of both arms."""

    def __init__(self, arguments: argparse.Namespace, fabric: Fabric) -> None:
        """Take the command line."""
        self._arguments, self._fabric = arguments, fabric

    def train(self, arm: str, rate: float, seed: int) -> dict[int, float]:
        """AP@0.5 of each action by an arm: "without" a bank, or with this operator."""
        from actiondet.cli.benchmarks.arms import head_settings

        from actiondet.config import dump_config

        first = self.first
        epochs = self._arguments.epochs
        settings = [
            *head_settings(first / "last.pt", rate),
        ]
        banks: dict[SplitName, Path] = {}
        if arm != "without":
            banks = {"train": first / "train.safetensors", "val": first / "val.safetensors"}
            settings.append(
                f"model.head.bank={{channels: {CHANNELS}, window: {WINDOW}, reach: past, persons: 4, latent: 64, "
                f"operator: {arm}}}"
            )
            settings += [f"data.{split}.bank={path}" for split, path in banks.items()]
        folder = self._arguments.out / f"{arm}_rate{rate:g}_seed{seed}_epochs{epochs}_after_{first.name}"
        ap = self._train(
            folder,
            self._config(seed, epochs, settings),
            recipe=film_recipe() + dump_config(self._first_config()),
            prepare=lambda: self._build_banks(banks, first / "last.pt"),
        )
        print(f"{folder.name}: {of_responses(ap):.4f}, all actions {_mean(ap.values()):.4f}", flush=True)
        return ap

    @cached_property
    def first(self) -> Path:
        """Folder of the network whose backbone both arms have, and that fills the bank; trained when first needed."""
        from actiondet.cli.benchmarks.arms import make_films

        films, recipe = self._arguments.out / "films", film_recipe()
        folder: Path = self._arguments.out / f"first_epochs{self._arguments.first_epochs}"
        ap = self._train(
            folder,
            self._first_config(),
            recipe=recipe,
            prepare=lambda: make_films(films, size="recall", recipe=recipe),
        )
        print(
            f"{folder.name}: {_mean(ap.values()):.4f} of what a clip shows, the worst {min(ap.values()):.4f}",
            flush=True,
        )
        return folder

    def _first_config(self) -> DetectionConfig:
        from actiondet.cli.benchmarks.arms import TUNING_SEED

        return self._config(TUNING_SEED, self._arguments.first_epochs, SHOWN)

    def _train(
        self, folder: Path, config: DetectionConfig, *, recipe: str, prepare: Callable[[], None]
    ) -> dict[int, float]:
        from actiondet.cli.benchmarks.arms import test_once, train_once

        train_once(config, folder=folder, fabric=self._fabric, recipe=recipe, prepare=prepare)
        ap: dict[int, float] = test_once(config, folder=folder, fabric=self._fabric)
        return ap

    def _build_banks(self, banks: dict[SplitName, Path], weights: Path) -> None:
        from actiondet.engine.detection.bank_building import build_bank
        from actiondet.engine.loading import load_trained, network_for_testing

        config = self._first_config()
        for split, path in banks.items():
            if not path.is_file() or path.stat().st_mtime < weights.stat().st_mtime:
                detector = network_for_testing(load_trained(weights, config), self._fabric)
                build_bank(
                    config,
                    detector,
                    weights=weights,
                    split=split,
                    out=path,
                    fabric=self._fabric,
                    overwrite=True,
                )

    def _config(self, seed: int, epochs: int, settings: Sequence[str]) -> DetectionConfig:
        from actiondet.cli.benchmarks.arms import film_settings, length_settings

        from actiondet.config import load_config

        films = self._arguments.out / "films"
        every_action = f"data.evaluated_actions={films / 'ava/action_list.pbtxt'}"
        return load_config(CONFIG, [*length_settings(seed, epochs), *film_settings(films), every_action, *settings])


def film_recipe() -> str:
    """What the films follow from."""
    from data_tools.toy import recall
    from data_tools.toy.sizes import SIZES

    cues = f"{recall.FAMILIES}, {recall.SOONEST} to {recall.LATEST} s before, arms {recall.OVERHEAD}"
    return f"{SIZES['recall']}, {cues}\n"
