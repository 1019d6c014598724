"""What benchmarks that compare trainings on toy films share: films, runs that are done once, rates, a table."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar

from evaluation.arguments import natural, number

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from actiondet.config import DetectionConfig


TUNING_SEED = 0
"""Of the trainings that choose a rate, which are not reported."""
Result = TypeVar("Result")


def add_tuning_arguments(parser: argparse.ArgumentParser, *, rates: Sequence[float]) -> None:
    """The learning rates to choose from (these, unless others are given), and the seeds to report."""
    parser.add_argument("--rates", nargs="+", type=number, default=rates, metavar="LR", help="to choose from")
    parser.add_argument(
        "--seeds", nargs="+", type=natural, default=[1, 2, 3], metavar="N", help="of the reported trainings"
    )


def report_at_best_rates(
    arguments: argparse.Namespace,
    arms: Iterable[str],
    prepare: Callable[[Fabric], Callable[[str, float, int], Result]],
    score: Callable[[Result], float],
) -> dict[str, list[Result]]:
    """Find the learning rate of each arm with the seed of the tuning, and train with it and other seeds.

    Args:
        arguments: rates to choose from, and seeds to report.
        arms: their names.
        prepare: given the process, what trains an arm with a rate and a seed.
        score: of what that returned; the higher, the better.

    Returns:
        By arm, what the trainings with each of the seeds returned.

    Raises:
        InputError: the seed of the tuning is to be reported.
    """
    from evaluation.errors import InputError

    rates, seeds = arguments.rates, arguments.seeds
    if TUNING_SEED in seeds:
        raise InputError(f"--seeds {TUNING_SEED}: is the seed of the tuning; report others")

    from actiondet.engine.devices import launch, leave

    train = prepare(launch(precision="32-true"))
    found = {}
    for arm in arms:
        tuned = {rate: score(train(arm, rate, TUNING_SEED)) for rate in rates}
        best = max(rates, key=tuned.__getitem__)
        figures = ", ".join(f"{rate:g}: {figure:.4f}" for rate, figure in tuned.items())
        print(f"{arm}: tuned {figures}; rate {best:g}", flush=True)
        found[arm] = [train(arm, best, seed) for seed in seeds]
        print(f"{arm}: rate {best:g}; reported", ", ".join(f"{score(each):.4f}" for each in found[arm]), flush=True)
    leave()
    return found


class ToyRuns:
    """Trainings on one set of toy films; those that are finished stay in the folder, and are not repeated.

    Args:
        out: folder of the films and the runs.
        fabric: of the process.
        config: name of the configuration.
        settings: of all runs.
        size: of the films, a key of `data_tools.toy.sizes.SIZES`.
        recipe: what else they follow from.
    """

    def __init__(
        self, out: Path, fabric: Fabric, *, config: str, settings: Sequence[str] = (), size: str, recipe: str
    ) -> None:
        from data_tools.toy.sizes import SIZES

        self._out, self.fabric, self._config, self._settings, self._size = out, fabric, config, settings, size
        self._recipe = f"{SIZES[size]}, {recipe}\n"

    def configured(self, seed: int, epochs: int, *settings: str) -> DetectionConfig:
        """A training of so many epochs that is validated at its end."""
        from actiondet.config import load_config

        files = {
            "videos": self._out / "films/videos",
            "actions": self.ava / "action_list.pbtxt",
            "evaluated_actions": self.ava / "action_list_eval.pbtxt",
            **{f"{split}.truth": self.ava / f"ava_{split}.csv" for split in ("train", "val")},
            **{f"{split}.proposals": self.ava / f"dense_proposals_{split}.pkl" for split in ("train", "val")},
        }
        length = [f"train.seed={seed}", f"train.epochs={epochs}", f"train.validate_every={epochs}"]
        data = [f"data.{name}={path}" for name, path in files.items()]
        return load_config(self._config, [*self._settings, *length, *data, *settings])

    @property
    def ava(self) -> Path:
        """Folder of the films' annotations."""
        return self._out / "films/ava"

    def train(
        self, name: str, config: DetectionConfig, *, after: str = "", prepare: Callable[[], None] = lambda: None
    ) -> float:
        """Frame-mAP@0.5 after one training; from its folder, if it was finished before with these settings and films.

        Args:
            name: of the run.
            config: of the training.
            after: what the run depends on beside these.
            prepare: makes what it reads beside the films.
        """
        from actiondet.config import dump_config
        from actiondet.engine.train import train
        from evaluation.tables import write_json

        said = self._out / name / "score.json"
        asked = dump_config(config) + self._recipe + after
        if said.is_file() and (earlier := json.loads(said.read_text())).get("asked") == asked:
            return float(earlier["mean_ap"])
        self._make_films()
        prepare()
        score = train(config, folder=said.parent, fabric=self.fabric, overwrite=True)
        write_json(said, {"mean_ap": score, "asked": asked})
        return score

    def test(self, name: str, config: DetectionConfig) -> dict[int, float]:
        """AP@0.5 of each evaluated action, by its id, of the network of a run; from its folder, if tested before."""
        from actiondet.engine.detection.testing import run_test
        from actiondet.engine.loading import load_trained, network_for_testing

        weights, written = self._out / name / "last.pt", self._out / name / "test/results.json"
        if not written.is_file() or written.stat().st_mtime < weights.stat().st_mtime:
            detector = network_for_testing(load_trained(weights, config), self.fabric)
            run_test(config, detector, weights=weights, folder=written.parent, fabric=self.fabric)
        return {int(label): ap for label, ap in json.loads(written.read_text())["per_class"].items()}

    def _make_films(self) -> None:
        """Make the films, if they are not there, or others are."""
        from data_tools.toy.making import make
        from evaluation.files import write_text

        said = self._out / "films/recipe.txt"
        if not said.is_file() or said.read_text() != self._recipe:
            make(said.parent, seed=0, size=self._size, processes=os.cpu_count() or 1, parts=("detection",))
            write_text(said, self._recipe)


class HeadRuns(ToyRuns):
    """Trainings of heads on the backbone of one first network.

    Args:
        arguments: folder, and epochs of the first network and of the heads.
        fabric: of the process.
        first: settings of the first network.
        films: as of `ToyRuns`.
    """

    def __init__(self, arguments: argparse.Namespace, fabric: Fabric, *, first: Sequence[str], **films: Any) -> None:
        super().__init__(arguments.out, fabric, **films)
        self._epochs, self._first_epochs, self._first_settings = arguments.epochs, arguments.first_epochs, first

    @cached_property
    def first(self) -> Path:
        """Folder of the first network, which is trained when it is first needed."""
        name = f"first_epochs{self._first_epochs}"
        self._train_and_test(name, self.first_config)
        return self._out / name

    @cached_property
    def first_config(self) -> DetectionConfig:
        """That of the first network."""
        return self.configured(TUNING_SEED, self._first_epochs, *self._first_settings)

    def train_head(
        self, arm: str, rate: float, seed: int, *settings: str, prepare: Callable[[], None] = lambda: None
    ) -> dict[int, float]:
        """AP@0.5 of each action by a head of these settings; `prepare` as of `train`."""
        from actiondet.config import dump_config

        name = f"{arm}_rate{rate:g}_seed{seed}_epochs{self._epochs}_after_{self.first.name}"
        head = [f"train.base_lr={rate!r}", f"train.weights={self.first / 'last.pt'}"]
        head += ["train.weights_allow=[head]", "train.freeze=[backbone]"]
        config = self.configured(seed, self._epochs, *head, *settings)
        return self._train_and_test(name, config, after=dump_config(self.first_config), prepare=prepare)

    def _train_and_test(self, name: str, config: DetectionConfig, **more: Any) -> dict[int, float]:
        self.train(name, config, **more)
        ap = self.test(name, config)
        print(f"{name}: {fmean(ap.values()):.4f}, the worst action {min(ap.values()):.4f}", flush=True)
        return ap


def print_table(scores: Mapping[str, Sequence[float]], seeds: Sequence[int], *, title: str = "frame-mAP@0.5") -> None:
    """One line for each arm, and how much better each is than the first."""
    from evaluation.tables import table_text

    columns = ["arm", *(f"seed {seed}" for seed in seeds), "mean", "points more"]
    means = {arm: fmean(each) for arm, each in scores.items()}
    first = next(iter(means.values()))
    lines = [
        [arm, *(f"{100 * score:.2f}" for score in (*each, means[arm])), f"{100 * (means[arm] - first):+.2f}"]
        for arm, each in scores.items()
    ]
    print(title)
    print(table_text(columns, lines, numeric=columns[1:]))
