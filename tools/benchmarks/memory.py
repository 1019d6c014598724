"""What a feature bank adds: one network with and without it, on actions that depend on the seconds before.

Makes films of people whose actions are named by what happened 5 to 20 seconds before. For each seed, a first network is
trained, and its features fill the bank. Both arms start from its weights and are trained for the same number of epochs.
The learning rate of each arm is tuned with one seed; the reported trainings have other seeds. Finished runs stay in the
folder and are not repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from actiondet.config import DetectionConfig
    from actiondet.datasets.splits import SplitName

CONFIG = "toy/slowonly_r18_recall"
CHANNELS = 64
"""Of the network's features."""
WINDOW = 22
"""Seconds that the bank looks back: as far as the earliest cue."""
TUNING_SEED = 0
WANTED = 0.15
"""Frame-mAP that the bank should add."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py memory`."""
    parser.add_argument("--out", type=Path, default=Path("runs/memory"), metavar="DIR", help="films, banks and runs")
    parser.add_argument("--operator", choices=["nonlocal", "max", "avg"], default="nonlocal", help="(nonlocal)")
    parser.add_argument(
        "--rates", nargs="+", type=float, default=[1e-3, 2e-3, 4e-3], metavar="LR", help="to choose from"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N", help="of the reported trainings"
    )
    parser.add_argument("--first-epochs", type=int, default=8, metavar="N", help="of the network of the bank (8)")
    parser.add_argument("--epochs", type=int, default=6, metavar="N", help="of each arm after that (6)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from evaluation.errors import InputError

    if TUNING_SEED in arguments.seeds:
        raise InputError(f"--seeds {TUNING_SEED}: is the seed of the tuning; report others")

    from actiondet.cli.benchmarks.arms import print_table

    from actiondet.engine.devices import launch, leave

    comparison = Comparison(arguments, launch(precision="32-true"))
    scores = {}
    for arm in ("without", arguments.operator):
        tuned = {rate: comparison.train(arm, rate, TUNING_SEED) for rate in arguments.rates}
        best = max(tuned, key=lambda rate: tuned[rate])
        rates = ", ".join(f"{rate:g}: {score:.4f}" for rate, score in tuned.items())
        print(f"{arm}: tuned {rates}; rate {best:g}", flush=True)
        scores[arm] = [comparison.train(arm, best, seed) for seed in arguments.seeds]
        print(f"{arm}: reported", ", ".join(f"{score:.4f}" for score in scores[arm]), flush=True)
    leave()
    print_table(scores, arguments.seeds)
    without, remembering = (sum(each) / len(each) for each in scores.values())
    gain = remembering - without
    print(
        f"the bank adds {100 * gain:.1f} points (wanted: at least {100 * WANTED:.0f}): "
        f"{'as wanted' if gain >= WANTED else 'not as wanted'}"
    )


class Comparison:
    """The trainings of both arms."""

    def __init__(self, arguments: argparse.Namespace, fabric: Fabric) -> None:
        """Take the command line."""
        self._arguments, self._fabric = arguments, fabric

    def train(self, arm: str, rate: float, seed: int) -> float:
        """Frame-mAP@0.5 of an arm: "without" a bank, or with this operator."""
        first = self._train_first(seed)
        epochs = self._arguments.epochs
        settings = [f"train.base_lr={rate!r}", f"train.weights={first / 'last.pt'}", "train.weights_allow=[head]"]
        banks: dict[SplitName, Path] = {}
        if arm != "without":
            banks = {"train": first / "train.safetensors", "val": first / "val.safetensors"}
            settings.append(
                f"model.head.bank={{channels: {CHANNELS}, window: {WINDOW}, reach: past, persons: 4, latent: 64, "
                f"operator: {arm}}}"
            )
            settings += [f"data.{split}.bank={path}" for split, path in banks.items()]
        folder = self._arguments.out / f"{arm}_rate{rate:g}_seed{seed}_epochs{epochs}_after_{first.name}"
        return self._train(
            folder, self._config(seed, epochs, settings), lambda: self._build_banks(banks, first / "last.pt", seed)
        )

    def _train_first(self, seed: int) -> Path:
        """Train the network that both arms start from, and that fills the bank; its folder."""
        from actiondet.cli.benchmarks.arms import make_films

        epochs, films = self._arguments.first_epochs, self._arguments.out / "films"
        folder: Path = self._arguments.out / f"first_seed{seed}_epochs{epochs}"
        self._train(
            folder, self._config(seed, epochs, ()), lambda: make_films(films, size="recall", recipe=film_recipe())
        )
        return folder

    def _train(self, folder: Path, config: DetectionConfig, prepare: Callable[[], None]) -> float:
        from actiondet.cli.benchmarks.arms import train_once

        score: float = train_once(config, folder=folder, fabric=self._fabric, recipe=film_recipe(), prepare=prepare)
        print(f"{folder.name}: {score:.4f}", flush=True)
        return score

    def _build_banks(self, banks: dict[SplitName, Path], weights: Path, seed: int) -> None:
        from actiondet.engine.detection.bank_building import build_bank
        from actiondet.engine.loading import load_trained, network_for_testing

        config = self._config(seed, self._arguments.first_epochs, ())
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
        from actiondet.cli.benchmarks.arms import film_settings

        from actiondet.config import load_config

        more = [f"train.seed={seed}", f"train.epochs={epochs}", f"train.validate_every={epochs}"]
        return load_config(CONFIG, [*more, *film_settings(self._arguments.out / "films"), *settings])


def film_recipe() -> str:
    """What the films follow from."""
    from data_tools.toy import recall
    from data_tools.toy.sizes import SIZES

    return f"{SIZES['recall']}, cues {recall.SOONEST} to {recall.LATEST} s before, {recall.FAMILIES}\n"
