"""What a feature bank adds: one network with and without it, on actions that depend on the seconds before.

Makes films of people whose actions are named by what happened 5 to 20 seconds before. A first network learns what a
clip shows (the arms are held out, whatever that responds to), and its features fill the bank. Both arms keep its
backbone and train a head for the same number of epochs. The learning rate of each arm is tuned with one seed; the
reported trainings have other seeds. Finished runs stay in the folder and are not repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from actiondet.cli.benchmarks.arms import HeadRuns, add_tuning_arguments, print_table, report_at_best_rates

from evaluation.arguments import positive

if TYPE_CHECKING:
    from lightning_fabric import Fabric

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
    parser.add_argument("--out", type=Path, default=Path("runs/memory"), metavar="DIR", help="films, banks and runs")
    parser.add_argument("--operator", choices=["nonlocal", "max", "avg"], default="nonlocal", help="(nonlocal)")
    add_tuning_arguments(parser, rates=[1e-3, 3e-3, 1e-2])
    parser.add_argument(
        "--first-epochs", type=positive, default=10, metavar="N", help="of the network of the bank (10)"
    )
    parser.add_argument("--epochs", type=positive, default=6, metavar="N", help="of each arm after that (6)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    arms = ("without", arguments.operator)
    found = report_at_best_rates(arguments, arms, lambda fabric: trainings(arguments, fabric), of_responses)
    over_all = {arm: [fmean(each.values()) for each in runs] for arm, runs in found.items()}
    print_table(over_all, arguments.seeds, title="frame-mAP@0.5 of all actions")
    scores = {arm: [of_responses(each) for each in runs] for arm, runs in found.items()}
    print_table(scores, arguments.seeds, title="frame-mAP@0.5 of the actions that only memory shows")
    without, remembering = map(fmean, scores.values())
    gain = remembering - without
    print(
        f"the bank adds {100 * gain:.1f} points (wanted: at least {100 * WANTED:.0f}): "
        f"{'as wanted' if gain >= WANTED else 'not as wanted'}"
    )


def of_responses(ap: Mapping[int, float]) -> float:
    """Mean of those actions' AP that depend on what was done before."""
    from data_tools.toy.actions import RESPONSES

    return fmean([ap[label] for label in RESPONSES.ids])


def trainings(arguments: argparse.Namespace, fabric: Fabric) -> Callable[[str, float, int], dict[int, float]]:
    """What trains an arm, "without" a bank or with this operator, and returns the AP@0.5 of each action."""
    from data_tools.toy import recall

    every_action = f"data.evaluated_actions={arguments.out / 'films/ava/action_list.pbtxt'}"
    recipe = f"{recall.FAMILIES}, {recall.SOONEST} to {recall.LATEST} s before, arms {recall.OVERHEAD}"
    runs = HeadRuns(arguments, fabric, first=[every_action, *SHOWN], config=CONFIG, size="recall", recipe=recipe)

    def train(arm: str, rate: float, seed: int) -> dict[int, float]:
        settings = [every_action]
        banks: dict[SplitName, Path] = {}
        if arm != "without":
            banks = {"train": runs.first / "train.safetensors", "val": runs.first / "val.safetensors"}
            bank = f"channels: {CHANNELS}, window: {WINDOW}, reach: past, persons: 4, latent: 64, operator: {arm}"
            settings += [f"model.head.bank={{{bank}}}", *(f"data.{split}.bank={path}" for split, path in banks.items())]
        ap: dict[int, float] = runs.train_head(arm, rate, seed, *settings, prepare=lambda: build_banks(runs, banks))
        return ap

    return train


def build_banks(runs: HeadRuns, banks: Mapping[SplitName, Path]) -> None:
    """Fill banks with the features of the first network, unless they hold them."""
    from actiondet.engine.detection.bank_building import build_bank
    from actiondet.engine.loading import load_trained, network_for_testing

    config, weights = runs.first_config, runs.first / "last.pt"
    for split, path in banks.items():
        if not path.is_file() or path.stat().st_mtime < weights.stat().st_mtime:
            detector = network_for_testing(load_trained(weights, config), runs.fabric)
            build_bank(config, detector, weights=weights, split=split, out=path, fabric=runs.fabric, overwrite=True)
