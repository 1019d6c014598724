"""What benchmarks that compare trainings on toy films share: films, runs that are done once, rates, a table."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from actiondet.config import DetectionConfig


TUNING_SEED = 0
"""Of the trainings that choose a rate, which are not reported."""
Result = TypeVar("Result")


def add_tuning_arguments(parser: argparse.ArgumentParser, *, rates: Sequence[float]) -> None:
    """The learning rates to choose from (these, unless others are given), and the seeds to report."""
    parser.add_argument("--rates", nargs="+", type=float, default=rates, metavar="LR", help="to choose from")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N", help="of the reported trainings"
    )


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse to report the seed of the tuning.

    Raises:
        InputError: it is among `seeds`.
    """
    from evaluation.errors import InputError

    if TUNING_SEED in seeds:
        raise InputError(f"--seeds {TUNING_SEED}: is the seed of the tuning; report others")


def report_at_best_rates(
    arms: Iterable[str],
    train: Callable[[str, float, int], Result],
    score: Callable[[Result], float],
    *,
    rates: Sequence[float],
    seeds: Sequence[int],
) -> dict[str, list[Result]]:
    """Find the learning rate of each arm with the seed of the tuning, and train with it and other seeds.

    Args:
        arms: their names.
        train: an arm, with a rate and a seed.
        score: of what `train` returned; the higher, the better.
        rates: to choose from.
        seeds: to report.

    Returns:
        By arm, what `train` returned for each of `seeds`.
    """
    found = {}
    for arm in arms:
        tuned = {rate: score(train(arm, rate, TUNING_SEED)) for rate in rates}
        best = max(rates, key=tuned.__getitem__)
        figures = ", ".join(f"{rate:g}: {figure:.4f}" for rate, figure in tuned.items())
        print(f"{arm}: tuned {figures}; rate {best:g}", flush=True)
        found[arm] = [train(arm, best, seed) for seed in seeds]
        print(f"{arm}: rate {best:g}; reported", ", ".join(f"{score(each):.4f}" for each in found[arm]), flush=True)
    return found


def train_once(
    config: DetectionConfig, *, folder: Path, fabric: Fabric, recipe: str, prepare: Callable[[], None]
) -> float:
    """Frame-mAP@0.5 after one training; from its folder, if it was finished before with the same settings and films.

    Args:
        config: of the training.
        folder: of the run.
        fabric: of the process.
        recipe: what the films, and whatever else the run depends on, follow from.
        prepare: makes them.
    """
    from actiondet.config import dump_config
    from actiondet.engine.train import train
    from evaluation.tables import write_json

    said = folder / "score.json"
    asked = dump_config(config) + recipe
    if said.is_file() and (earlier := json.loads(said.read_text())).get("asked") == asked:
        return float(earlier["mean_ap"])
    prepare()
    score = train(config, folder=folder, fabric=fabric, overwrite=True)
    write_json(said, {"mean_ap": score, "asked": asked})
    return score


def test_once(config: DetectionConfig, *, folder: Path, fabric: Fabric) -> dict[int, float]:
    """AP@0.5 of each evaluated action, by its id, of the network that `train_once` trained in `folder`.

    From the folder, if it was tested before.
    """
    from actiondet.engine.detection.testing import run_test
    from actiondet.engine.loading import load_trained, network_for_testing

    weights, written = folder / "last.pt", folder / "test/results.json"
    if not written.is_file() or written.stat().st_mtime < weights.stat().st_mtime:
        detector = network_for_testing(load_trained(weights, config), fabric)
        run_test(config, detector, weights=weights, folder=written.parent, fabric=fabric)
    return {int(label): ap for label, ap in json.loads(written.read_text())["per_class"].items()}


def make_films(folder: Path, *, size: str, recipe: str) -> None:
    """Make the films, if they are not there, or others are."""
    from data_tools.toy.making import make
    from evaluation.files import write_text

    said = folder / "recipe.txt"
    if said.is_file() and said.read_text() == recipe:
        return
    make(folder, seed=0, size=size, processes=os.cpu_count() or 1, parts=("detection",))
    write_text(said, recipe)


def length_settings(seed: int, epochs: int) -> list[str]:
    """The settings of a training of so many epochs that is validated at its end."""
    return [f"train.seed={seed}", f"train.epochs={epochs}", f"train.validate_every={epochs}"]


def head_settings(weights: Path, rate: float) -> list[str]:
    """The settings of a training of the head alone, on the backbone of `weights`."""
    return [
        f"train.base_lr={rate!r}",
        f"train.weights={weights}",
        "train.weights_allow=[head]",
        "train.freeze=[backbone]",
    ]


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


def print_table(scores: dict[str, list[float]], seeds: Sequence[int], *, title: str = "frame-mAP@0.5") -> None:
    """One line for each arm, and how much better each is than the first."""
    from evaluation.tables import table_text

    columns = ["arm", *(f"seed {seed}" for seed in seeds), "mean", "points more"]
    means = {arm: sum(each) / len(each) for arm, each in scores.items()}
    first = next(iter(means.values()))
    lines = [
        [arm, *(f"{100 * score:.2f}" for score in (*each, means[arm])), f"{100 * (means[arm] - first):+.2f}"]
        for arm, each in scores.items()
    ]
    print(title)
    print(table_text(columns, lines, numeric=columns[1:]))
