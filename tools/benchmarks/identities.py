"""How well persons keep their identities: toy films, noisy boxes, looks every 0.2 seconds and every second.

Walkers and people on skates are filmed twice. A pretended person detector misses some, adds others and trembles. How
long a person may be missing is chosen on the first films and reported on the others. IDF1 and switches are motmetrics'
(`pip install actiondet[benchmark]`), with IoU distances of our own: of all looks, and of one look a second.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from evaluation.arguments import natural, positive

if TYPE_CHECKING:
    from data_tools.toy.films import Film
    from evaluation.records import IntArray, PersonBoxes

KINDS = ("walkers", "skaters")
STEPS = (0.2, 1.0)
GAPS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0)
"""Seconds for which a person may be missing."""
THRESHOLD = 0.5
"""Lowest score of a box that is followed; as in the configurations."""
FARTHEST = 0.5
"""A box that overlaps a true one by an IoU of less than 1 - FARTHEST does not show that person."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `benchmark.py identities`."""
    parser.add_argument(
        "--films", type=positive, default=20, metavar="N", help="of each kind to choose on, and to report (20)"
    )
    parser.add_argument("--seconds", type=positive, default=11, metavar="S", help="of each film (11)")
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="of films and noise")


def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    from evaluation.errors import InputError

    try:
        importlib.import_module("motmetrics")
    except ImportError:
        raise InputError("motmetrics is not installed; it counts switches: pip install actiondet[benchmark]") from None
    with TemporaryDirectory() as folder:
        chosen_on, reported_on = (
            {kind: films(kind, split, arguments, Path(folder)) for kind in KINDS} for split in ("train", "val")
        )
    rows = []
    for step in STEPS:
        found = {kind: [Looks.at(film, step, arguments.seed) for film in some] for kind, some in chosen_on.items()}
        means = {gap: fmean([quality(each, gap).idf1 for each in found.values()]) for gap in gaps_of(step)}
        best = max(means, key=lambda gap: means[gap])
        print(f"every {step:g} s: " + ", ".join(f"gap {gap:g} s: {score:.3f}" for gap, score in means.items()))
        for kind, some in reported_on.items():
            looks = [Looks.at(film, step, arguments.seed) for film in some]
            for gap in dict.fromkeys((0.0, best)):
                rows.append((kind, step, gap, quality(looks, gap), quality(looks, gap, every=round(1 / step))))
    print_table(rows)


def films(kind: str, split: str, arguments: argparse.Namespace, folder: Path) -> list[Film]:
    """Make some films; their pictures are not kept."""
    from data_tools.toy.films import Order, make_film
    from evaluation.progress import ProgressBar

    fast = kind == "skaters"
    orders = [
        Order(
            f"{kind}_{split}_{number}",
            split,
            (arguments.seed, 11 + fast, split == "val", number),
            arguments.seconds,
            (320, 120) if fast else (160, 120),
            kind="skaters" if fast else "everyday",
        )
        for number in range(arguments.films)
    ]
    return [make_film(order, folder) for order in ProgressBar(f"{kind}, {split}", len(orders)).over(orders)]


def gaps_of(step: float) -> list[float]:
    """The gaps that are whole numbers of steps, as others are one of these."""
    return [gap for gap in GAPS if abs(gap / step - round(gap / step)) < 1e-6]


@dataclass(frozen=True, eq=False)
class Looks:
    """What a detector finds in a film, and what is there.

    Attributes:
        found: the persons of each look.
        true: the boxes that are there, with their identities as names.
        true_identities: (P,) for each look.
        step: seconds between looks.
    """

    found: list[PersonBoxes]
    true: list[PersonBoxes]
    true_identities: list[IntArray]
    step: float

    @classmethod
    def at(cls, film: Film, step: float, seed: int) -> Looks:
        """Look at a film every `step` seconds."""
        import numpy as np

        from data_tools.toy.ava_files import pretend_to_detect
        from data_tools.toy.scenes import RATE
        from evaluation.records import FrameKey, PersonBoxes

        rng = np.random.default_rng([seed, 5, *film.order.seed])
        found, true, identities = [], [], []
        for frame in range(0, film.frames, round(step * RATE)):
            key = FrameKey(film.order.name, frame * 1_000_000 // RATE)
            there = film.annotated(frame)
            boxes, scores = pretend_to_detect(rng, film.boxes[there, frame])
            kept = scores >= THRESHOLD
            found.append(PersonBoxes(key, boxes[kept], scores[kept]))
            true.append(PersonBoxes(key, film.boxes[there, frame], np.ones(len(there))))
            identities.append(film.persons[there])
        return cls(found, true, identities, step)


@dataclass(frozen=True)
class Quality:
    """IDF1 and the number of identity switches."""

    idf1: float
    switches: int


def quality(films: Sequence[Looks], gap: float, *, every: int = 1) -> Quality:
    """Follow the persons of some films, and compare with the truth at each look, or at one in `every`."""
    import numpy as np

    from actiondet.tubes.tracking import track_persons
    from evaluation.boxes import iou_matrix

    motmetrics: Any = importlib.import_module("motmetrics")  # has no types
    accumulators = []
    for film in films:
        followed = track_persons(film.found, max_gap=round(gap / film.step))
        accumulator = motmetrics.MOTAccumulator(auto_id=True)
        for place in range(0, len(film.found), every):
            distances = 1 - iou_matrix(film.true[place].boxes, film.found[place].boxes)
            near = np.where(distances <= FARTHEST, distances, np.nan)
            accumulator.update(film.true_identities[place].tolist(), followed[place].tolist(), near)
        accumulators.append(accumulator)
    table = motmetrics.metrics.create().compute_many(
        accumulators, metrics=["idf1", "num_switches"], generate_overall=True
    )
    overall = table.loc["OVERALL"]
    return Quality(float(overall["idf1"]), int(overall["num_switches"]))


def print_table(rows: Sequence[tuple[str, float, float, Quality, Quality]]) -> None:
    """A line for each way of looking and each kind of film."""
    from evaluation.tables import table_text

    columns = ["films", "look every", "gap", "IDF1", "switches", "IDF1, key frames", "switches, key frames"]
    lines = [
        [kind, f"{step:g} s", f"{gap:g} s", f"{looks.idf1:.3f}", looks.switches, f"{keys.idf1:.3f}", keys.switches]
        for kind, step, gap, looks, keys in rows
    ]
    print(table_text(columns, lines, numeric=columns[1:]))
