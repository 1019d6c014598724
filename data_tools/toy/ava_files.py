"""Write films in AVA's formats: truth, action lists, excluded moments and boxes of a pretended detector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_tools.toy.films import Film
from data_tools.toy.render import SEEN
from data_tools.toy.scenes import RATE
from evaluation.files import write_text
from evaluation.formats.action_list import write_action_list
from evaluation.formats.ava import write_excluded
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FloatArray, FrameKey, PersonBoxes

BEGIN, FIRST = 900, 902
"""Second of the recording at which the files begin, and from which on AVA annotates."""

FAST_LOOKS = 10
"""Looks a second at fast people."""
MISSED, FALSE_BOXES, JITTER = 0.05, 0.3, 0.05


def write_ava(folder: Path, films: Sequence[Film], seed: int) -> None:
    """Write the AVA files of all films."""
    write_action_list(folder / "action_list.pbtxt", films[0].order.trained)
    write_action_list(folder / "action_list_eval.pbtxt", films[0].order.evaluated)
    for split in ("train", "val"):
        ours = [film for film in films if film.order.split == split]
        write_proposals(folder / f"dense_proposals_{split}.pkl", _proposals(ours, seed))
        write_excluded(
            folder / f"ava_{split}_excluded_timestamps.csv", [key for film in ours for key in _excluded(film)]
        )
        write_text(folder / f"ava_{split}.csv", "".join(line for film in ours for line in _rows(film)))


def moments(film: Film) -> Iterator[tuple[FrameKey, int]]:
    """Yield every key moment of a film and the frame that shows it."""
    for second in range(FIRST, BEGIN + film.order.seconds):
        yield FrameKey(film.order.name, second * 1_000_000), (second - BEGIN) * RATE


def _excluded(film: Film) -> list[FrameKey]:
    """Return the moments that could be argued about: what a person does, or whether a person is seen enough."""
    return [
        key
        for key, frame in moments(film)
        if frame // RATE in film.doubtful or (np.abs(film.seen[:, frame] - SEEN) < 0.015).any()
    ]


def _rows(film: Film) -> Iterator[str]:
    """Yield the lines of the truth; coordinates have three decimals, as in AVA v2.2."""
    excluded = set(_excluded(film))
    for key, frame in moments(film):
        for place in film.annotated(frame) if key not in excluded and film.is_annotated(frame) else ():
            box = ",".join(f"{value:.3f}" for value in film.boxes[place, frame])
            for column in np.flatnonzero(film.does[place, frame]):
                label, person = film.order.trained.ids[column], film.persons[place]
                yield f"{key.video},{key.moment // 1_000_000:04d},{box},{label},{person}\n"


def _detected(film: Film) -> Iterator[tuple[FrameKey, int]]:
    """Yield the moments at which the pretended detector looks: the key moments; at fast people FAST_LOOKS times."""
    if film.order.kind != "skaters":
        yield from moments(film)
        return
    for frame in range(0, film.frames, RATE // FAST_LOOKS):
        yield FrameKey(film.order.name, BEGIN * 1_000_000 + frame * 1_000_000 // RATE), frame


def _proposals(films: Sequence[Film], seed: int) -> Iterator[PersonBoxes]:
    for film in films:
        rng = np.random.default_rng([seed, 17, *film.order.seed])
        for key, frame in _detected(film):
            boxes, scores = pretend_to_detect(rng, film.boxes[film.annotated(frame), frame])
            yield PersonBoxes(key, boxes, scores)


def pretend_to_detect(rng: np.random.Generator, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what a person detector might find: some missed, some false, all a little off.

    Args:
        rng: source of the faults.
        truth: (P, 4) unit boxes.

    Returns:
        (N, 4) unit boxes with three decimals and (N,) scores, falling. True boxes score above 0.9 with few
        exceptions, and false ones below with few exceptions.
    """
    found = truth[rng.random(len(truth)) >= MISSED]
    size = np.tile(found[:, 2:] - found[:, :2], 2)
    found = found + np.clip(rng.normal(0, JITTER, found.shape), -2 * JITTER, 2 * JITTER) * size
    false_count = int(rng.poisson(FALSE_BOXES))
    height = rng.uniform(0.2, 0.75, false_count)
    width = height * rng.uniform(0.25, 0.6, false_count)
    left, top = rng.uniform(0, 1, false_count) * (1 - width), rng.uniform(0.1, 1, false_count) * (1 - height)
    false = np.stack([left, top, left + width, top + height], axis=1)
    boxes = np.round(np.clip(np.concatenate([found, false]), 0, 1), 3)
    true_scores = 1 - np.minimum(rng.exponential(0.025, len(found)), 0.6)
    scores = np.round(np.concatenate([true_scores, rng.beta(2.2, 1.8, false_count)]), 6)
    order = np.argsort(-scores, kind="stable")
    return boxes[order], scores[order]


def summary(films: Sequence[Film]) -> str:
    """Describe the set in a few lines: how much there is of everything, for training and validation."""
    trained, evaluated = films[0].order.trained, films[0].order.evaluated
    counts = np.zeros((2, len(trained)), np.int64)
    totals = np.zeros((2, 3), np.int64)
    for film in films:
        split = int(film.order.split == "val")
        excluded = set(_excluded(film))
        totals[split, 0] += 1
        for _, frame in (each for each in moments(film) if each[0] not in excluded and film.is_annotated(each[1])):
            people = film.annotated(frame)
            totals[split, 1:] += (1, len(people))
            counts[split] += film.does[people, frame].sum(axis=0)
    train, val = ("{} videos, {} key frames, {} people".format(*row) for row in totals)
    lines = [f"train {train}; val {val}", f"{'':>4} {'action':20}{'train':>7}{'val':>6}"]
    for label, name, row in zip(trained.ids, trained.names, counts.T, strict=True):
        note = "" if label in evaluated.ids else "   not evaluated"
        lines.append(f"{label:>4} {name:20}{row[0]:>7}{row[1]:>6}{note}")
    return "\n".join(lines)
