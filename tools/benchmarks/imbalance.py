"""Rare actions on a long-tailed toy set: AP with nothing done about it, focal loss, class weights, repeat factors.

The toy set is thinned until its most frequent action has --ratio times the examples of its rarest one, and those
between form a geometric row; persons beyond these numbers are left out of the training truth. Validation stays whole.
Every way trains from the same random weights with each seed. Runs that --out holds are not repeated.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.arguments import add_json, natural, number, positive, write_json_to

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from lightning_fabric import Fabric

    from evaluation.formats.action_list import ActionList
    from evaluation.records import IntArray, TruthRows

WAYS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "focal": ("train.loss.focal_gamma=2",),
    "balanced": ("train.loss.class_weight=balanced",),
    "repeat factors": ("train.repeat_threshold=0.1",),
}
SMALL = (
    "model.backbone.width=8",
    "model.head.dropout=0.2",
    "clip={frames: 4, stride: 8, frame_jitter: false}",
    "transform={train_short_side: [96, 96], train_crop: [88, 120], test_short_side: 96, flip: 0.0}",
    "train.workers=0",
)


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        way: what was done about rare actions.
        seed: of the run.
        ap: of each action after the last epoch, by its name.
        cpu_seconds: of training and test.
    """

    way: str
    seed: int
    ap: dict[str, float]
    cpu_seconds: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py imbalance`."""
    parser.add_argument("--ratio", type=number, default=50.0, metavar="R", help="examples of the most frequent (50)")
    parser.add_argument("--epochs", type=positive, default=6, metavar="N", help="of each run (6)")
    parser.add_argument(
        "--seeds", type=natural, nargs="+", default=[0, 1, 2], metavar="N", help="runs of each way (0 1 2)"
    )
    parser.add_argument("--size", default="small", choices=["tiny", "small", "medium"], help="of the toy set (small)")
    parser.add_argument("--settings", nargs="*", default=[], metavar="key=value", help="settings of all runs")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark_imbalance"), metavar="DIR", help="run folders")
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    """Make the set, train what is not trained yet, and print."""
    from actiondet.engine.devices import launch

    data, counts = make_set(arguments.out / "data", size=arguments.size, ratio=arguments.ratio)
    shared = [*SMALL, *data, f"train.epochs={arguments.epochs}", f"train.validate_every={arguments.epochs}"]
    fabric = launch()
    runs = [
        _trained(
            arguments.out / f"{way.replace(' ', '_')}_seed{seed}",
            way,
            seed,
            [*shared, *WAYS[way], *arguments.settings, f"train.seed={seed}"],
            fabric,
        )
        for seed in arguments.seeds
        for way in WAYS
    ]
    rows = summarize(runs, counts)
    print_table(rows, counts)
    write_json_to(
        arguments.json,
        {"examples": counts, "runs": [asdict(each) for each in runs], "rows": rows.to_dict("records")},
    )


def make_set(folder: Path, *, size: str, ratio: float) -> tuple[list[str], dict[str, int]]:
    """Make the toy set, unless `folder` holds it, and thin its training truth.

    Returns:
        The settings that name its files; the training examples of each evaluated action, most frequent first.
    """
    import numpy as np

    from data_tools.toy.actions import EVALUATED
    from data_tools.toy.making import make
    from evaluation.formats.ava import read_ava_csv, write_ava_csv

    ava = folder / "ava"
    if not (ava / "ava_val.csv").is_file():
        make(folder, seed=0, size=size, processes=1, parts=("detection",))
    truth = read_ava_csv(ava / "ava_train.csv")
    kept = thinned(truth, EVALUATED, ratio=ratio, random=np.random.default_rng(0))
    write_ava_csv(ava / "long_tail.csv", kept)
    numbers = {
        name: int((kept.labels == label).sum()) for label, name in zip(EVALUATED.ids, EVALUATED.names, strict=True)
    }
    settings = [
        f"data.videos={folder / 'videos'}",
        f"data.actions={ava / 'action_list.pbtxt'}",
        f"data.evaluated_actions={ava / 'action_list_eval.pbtxt'}",
        f"data.train={{truth: {ava / 'long_tail.csv'}, proposals: null}}",
        f"data.val={{truth: {ava / 'ava_val.csv'}, proposals: null}}",
    ]
    return settings, dict(sorted(numbers.items(), key=lambda each: -each[1]))


def thinned(truth: TruthRows, actions: ActionList, *, ratio: float, random: np.random.Generator) -> TruthRows:
    """Leave persons out until the examples of `actions` fall geometrically, the first `ratio` times the last.

    Actions keep the order of their numbers. A person stays, with all labels, if none of these is full.
    """
    import numpy as np

    labels = np.asarray(actions.ids)
    numbers = np.array([(truth.labels == label).sum() for label in labels])
    order = np.argsort(-numbers, kind="stable")
    shares = ratio ** -np.linspace(0, 1, len(order))  # of the most frequent action's examples
    persons = np.unique(
        np.stack([truth.video.codes, truth.moment, truth.persons], axis=1), axis=0, return_inverse=True
    )[1].reshape(-1)
    rows_of = np.split(np.argsort(persons, kind="stable"), np.cumsum(np.bincount(persons))[:-1])
    draw = random.permutation(len(rows_of)).tolist()
    largest = float((numbers[order] / shares).min())
    while True:
        wanted = np.maximum(np.round(largest * shares), 1)
        kept = _filled(
            truth, [rows_of[person] for person in draw], dict(zip(labels[order].tolist(), wanted, strict=True))
        )
        found = np.array([(truth.labels[kept] == label).sum() for label in labels[order]])
        if (found >= wanted).all() or largest < 1:
            return truth[kept]
        # Who does a frequent action beside one that is full is left out, and others may be too few.
        largest = min(float((found / shares).min()), largest - 1)


def _filled(truth: TruthRows, persons: Sequence[IntArray], quota: dict[int, float]) -> npt.NDArray[np.bool_]:
    """(N,) bool: the rows of the persons who are kept, in this order, until the `quota` of each label is full."""
    import numpy as np

    kept = np.zeros(len(truth), dtype=bool)
    for rows in persons:
        counted = [label for label in truth.labels[rows].tolist() if label in quota]
        if counted and all(quota[label] > 0 for label in counted):
            kept[rows] = True
            for label in counted:
                quota[label] -= 1
    return kept


def _trained(folder: Path, way: str, seed: int, settings: Sequence[str], fabric: Fabric) -> Run:
    """A run; an earlier one, if `folder` holds one of the same settings."""
    from actiondet.config import DetectionConfig, dump_config, load_config
    from actiondet.engine.detection.testing import run_test
    from actiondet.engine.loading import load_trained
    from actiondet.engine.train import train
    from evaluation.files import write_text

    config, record = load_config("toy/slowonly_r18", settings), folder / "benchmark.json"
    asked = dump_config(config)
    if record.is_file() and (earlier := json.loads(record.read_text()))["asked"] == asked:
        return Run(**earlier["run"])
    began = time.process_time()
    train(config, folder=folder, fabric=fabric, overwrite=True)
    trained = load_trained(folder / "last.pt", DetectionConfig)
    result = run_test(config, trained.network, weights="last.pt", folder=folder / "test", fabric=fabric)
    ap = dict(zip(result.per_class["name"], result.per_class["ap"].astype(float), strict=True))
    done = Run(way, seed, ap, time.process_time() - began)
    write_text(record, json.dumps({"asked": asked, "run": asdict(done)}))
    print(f"{folder.name}: mAP {result.mean_ap:.4f}, {done.cpu_seconds:.0f} CPU s", flush=True)
    return done


def summarize(runs: Sequence[Run], counts: Mapping[str, int]) -> pd.DataFrame:
    """One row for each way, in the order of the runs, with its means over all seeds.

    Args:
        runs: of all ways.
        counts: training examples of each action, falling.

    Returns:
        way; runs, how many; frequent, between and rare, AP of a third of the actions each, by `counts`; rare_deviation,
        from seed to seed; mean AP of all actions; cpu_seconds.
    """
    import pandas as pd

    ap = pd.DataFrame([each.ap for each in runs])[list(counts)]
    third, rest = len(counts) // 3, len(counts) - len(counts) // 3
    parts = {"frequent": ap.iloc[:, :third], "between": ap.iloc[:, third:rest], "rare": ap.iloc[:, rest:]}
    means = {name: part.mean(axis=1) for name, part in (parts | {"mean": ap}).items()}
    table = pd.DataFrame({"way": [each.way for each in runs], **means})
    of_way = table.assign(cpu_seconds=[each.cpu_seconds for each in runs]).groupby("way", sort=False)
    rows = of_way.mean()
    rows.insert(0, "runs", of_way.size())
    rows.insert(4, "rare_deviation", of_way["rare"].std().fillna(0.0))
    found: pd.DataFrame = rows.reset_index()
    return found


def print_table(rows: pd.DataFrame, counts: Mapping[str, int]) -> None:
    """What there was to learn from, and one line for each way."""
    from evaluation.tables import table_text

    print("training examples: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    columns = ["way", "runs", "AP frequent", "AP between", "AP rare", "mAP", "CPU s"]
    lines = [
        [row.way, row.runs, f"{row.frequent:.3f}", f"{row.between:.3f}", f"{row.rare:.3f} +- {row.rare_deviation:.3f}"]
        + [f"{row.mean:.3f}", f"{row.cpu_seconds:.0f}"]
        for row in rows.itertuples()
    ]
    print(table_text(columns, lines, numeric=columns[1:]))
