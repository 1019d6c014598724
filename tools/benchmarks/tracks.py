"""What it is worth to follow fast people: a static box and tracks, trained alike on cartoon people on skates.

Makes films of people who leave their own box within a clip. Each arm finds its learning rate with one seed, and is then
trained with other seeds, as long as the other arm. Runs that are finished are kept in the folder, and not done again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
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
TUNING_SEED = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py tracks`."""
    parser.add_argument("--out", type=Path, default=Path("runs/tracks"), metavar="DIR", help="films and runs")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=["static", "track"], help="what to compare")
    parser.add_argument(
        "--rates", nargs="+", type=float, default=[4e-3, 8e-3, 16e-3], metavar="LR", help="to choose from"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N", help="of the reported trainings"
    )
    parser.add_argument("--epochs", type=int, default=10, metavar="N", help="of every training (10)")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from evaluation.errors import InputError

    if TUNING_SEED in arguments.seeds:
        raise InputError(f"--seeds {TUNING_SEED}: is the seed of the tuning; report others")

    from actiondet.engine.devices import launch, leave

    fabric = launch(precision="32-true")
    scores: dict[str, list[float]] = {}
    for arm in arguments.arms:
        tuned = {rate: train_once(arguments, arm, fabric, rate=rate, seed=TUNING_SEED) for rate in arguments.rates}
        best = max(tuned, key=lambda rate: tuned[rate])
        print(f"{arm}: tuned", ", ".join(f"{rate:g}: {score:.4f}" for rate, score in tuned.items()), flush=True)
        scores[arm] = [train_once(arguments, arm, fabric, rate=best, seed=seed) for seed in arguments.seeds]
        print(f"{arm}: rate {best:g}; reported", ", ".join(f"{score:.4f}" for score in scores[arm]), flush=True)
    leave()
    print_table(scores, arguments.seeds)


def train_once(arguments: argparse.Namespace, arm: str, fabric: Fabric, *, rate: float, seed: int) -> float:
    """Frame-mAP@0.5 after one training; from its folder, if it was finished before with the same settings and films."""
    from actiondet.config import dump_config, load_config
    from actiondet.engine.train import train
    from evaluation.tables import write_json

    folder = arguments.out / f"{arm}_rate{rate:g}_seed{seed}_epochs{arguments.epochs}"
    said = folder / "score.json"
    films = arguments.out / "films"
    settings = [
        *ARMS[arm],
        *film_settings(films),
        f"train.base_lr={rate!r}",
        f"train.seed={seed}",
        f"train.epochs={arguments.epochs}",
        f"train.validate_every={arguments.epochs}",
    ]
    config = load_config(CONFIG, settings)
    asked = dump_config(config) + film_recipe()
    if said.is_file() and (earlier := json.loads(said.read_text())).get("asked") == asked:
        return float(earlier["mean_ap"])
    make_films(films)
    score = train(config, folder=folder, fabric=fabric, overwrite=True)
    write_json(said, {"mean_ap": score, "asked": asked})
    return score


def film_recipe() -> str:
    """What the films follow from."""
    from data_tools.toy import ava_files, skaters
    from data_tools.toy.sizes import SIZES

    return f"{SIZES['fast']}, glide {skaters.GLIDE}, {ava_files.FAST_LOOKS} looks a second\n"


def make_films(folder: Path) -> None:
    """Make the films, if they are not there, or others are."""
    from data_tools.toy.making import make
    from evaluation.files import write_text

    recipe = folder / "recipe.txt"
    if recipe.is_file() and recipe.read_text() == film_recipe():
        return
    make(folder, seed=0, size="fast", processes=os.cpu_count() or 1, parts=("detection",))
    write_text(recipe, film_recipe())


def film_settings(folder: Path) -> list[str]:
    """The settings by which a configuration of the toy set reads the one in `folder`."""
    files = {
        "videos": folder / "videos",
        "actions": folder / "ava/action_list.pbtxt",
        "evaluated_actions": folder / "ava/action_list_eval.pbtxt",
        **{f"{split}.truth": folder / f"ava/ava_{split}.csv" for split in ("train", "val")},
        **{f"{split}.proposals": folder / f"ava/dense_proposals_{split}.pkl" for split in ("train", "val")},
    }
    return [f"data.{name}={path}" for name, path in files.items()]


def print_table(scores: dict[str, list[float]], seeds: Sequence[int]) -> None:
    """One line for each arm, and how much better each is than the first."""
    from rich.console import Console
    from rich.table import Table

    table = Table("arm", *(f"seed {seed}" for seed in seeds), "mean", "points more", title="frame-mAP@0.5")
    means = {arm: sum(each) / len(each) for arm, each in scores.items()}
    first = next(iter(means.values()))
    for arm, each in scores.items():
        figures = [f"{100 * score:.2f}" for score in (*each, means[arm])]
        table.add_row(arm, *figures, f"{100 * (means[arm] - first):+.2f}")
    Console().print(table)
