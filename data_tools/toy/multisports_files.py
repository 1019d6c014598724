"""Write films in MultiSports' formats: tubes over the frames during which an action goes on."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_tools.toy.actions import SPORTS, TRAINED
from data_tools.toy.ava_files import pretend_to_detect
from data_tools.toy.films import Film
from data_tools.toy.render import SEEN
from evaluation.files import atomic_path
from evaluation.formats.multisports import write_multisports
from evaluation.formats.person_boxes import write_proposals
from evaluation.records import FloatArray, FrameKey, PersonBoxes
from evaluation.tube_dataset import TubeTruth
from evaluation.tube_set import TubeSet

SPORT = "street"
Found = tuple[Film, int, FloatArray, FloatArray]
"""Film, frame from 1, unit boxes and scores."""
SHORTEST = 8
"""Tubes of fewer frames are left out."""

Piece = tuple[int, int, FloatArray]
"""Label from 0, first frame from 1, and (T, 4) pixel boxes of one tube."""


def write_multisports_set(folder: Path, films: Sequence[Film], seed: int) -> None:
    """Write truth, person boxes in both dialects and tables."""
    write_multisports(folder / "multisports_GT.pkl", _truth(films))
    for split in ("train", "val"):
        ours = [film for film in films if film.order.split == split]
        found = [(film, frame, *faulty) for film in ours for frame, faulty in enumerate(_detect(film, seed), start=1)]
        # Keys are "video,frame": frames stand where AVA has seconds. The official files name the clip alone.
        write_proposals(folder / "person_boxes" / f"{split}.pkl", _keyed(found, f"{SPORT}/", ""))
        write_proposals(folder / f"multisports_dense_proposals_{split}.pkl", _keyed(found, "", ".mp4"))
        _write_table(folder / f"multisports_{split}.csv", ours)


def _keyed(found: Sequence[Found], prefix: str, suffix: str) -> Iterator[PersonBoxes]:
    for film, frame, boxes, scores in found:
        name = film.order.name.removeprefix(prefix) + suffix
        yield PersonBoxes(FrameKey(name, frame * 1_000_000), boxes, scores)


def video_name(split: str, number: int) -> str:
    """Return the name of a film as MultiSports would have it."""
    return f"{SPORT}/v_toy{split}{number:03d}_c001"


def _pieces(film: Film) -> Iterator[Piece]:
    """Yield the tubes of a film: unbroken runs of frames in which a person is seen doing an action."""
    width, height = film.order.size
    for label, action in enumerate(SPORTS.ids):
        goes_on = film.does[:, :, TRAINED.ids.index(action)] & (film.seen >= SEEN)
        for place, on in enumerate(goes_on):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
            for start, stop in edges.reshape(-1, 2):
                if stop - start >= SHORTEST:
                    boxes = film.boxes[place, start:stop] * (width, height, width, height)
                    yield label, int(start) + 1, boxes.astype(np.float32)


def _truth(films: Sequence[Film]) -> TubeTruth:
    names = tuple(film.order.name for film in films)
    pieces = [(video, *piece) for video, film in enumerate(films) for piece in _pieces(film)]
    lengths = [len(boxes) for _, _, _, boxes in pieces]
    tubes = TubeSet(
        videos=names,
        video=np.array([video for video, *_ in pieces], np.int64),
        labels=np.array([label for _, label, _, _ in pieces], np.int64),
        scores=np.ones(len(pieces)),
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
        moments=np.concatenate([np.arange(first, first + len(boxes), dtype=np.int32) for _, _, first, boxes in pieces]),
        boxes=np.concatenate([boxes for *_, boxes in pieces]),
        box_scores=np.ones(sum(lengths), np.float32),
    )
    return TubeTruth(
        labels=tuple(f"{SPORT} {name}" for name in SPORTS.names),
        unscored=frozenset(),
        train_videos=tuple(film.order.name for film in films if film.order.split == "train"),
        test_videos=tuple(film.order.name for film in films if film.order.split == "val"),
        frame_counts={film.order.name: film.frames for film in films},
        sizes={film.order.name: film.order.size[::-1] for film in films},
        tubes=tubes,
    )


def _detect(film: Film, seed: int) -> Iterator[tuple[FloatArray, FloatArray]]:
    rng = np.random.default_rng([seed, 18, *film.order.seed])
    for frame in range(film.frames):
        yield pretend_to_detect(rng, film.boxes[film.annotated(frame), frame])


def _write_table(path: Path, films: Sequence[Film]) -> None:
    """Write rows video,frame,x1,y1,x2,y2,label,tube, as MMAction2's preparation does; tubes count from 0 per label."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file)
        for film in films:
            width, height = film.order.size
            tubes_of = dict.fromkeys(range(len(SPORTS)), 0)
            for label, first, boxes in _pieces(film):
                for frame, box in enumerate(boxes / np.array([width, height, width, height], np.float32), start=first):
                    row = [f"{value:.3f}" for value in box]
                    writer.writerow([f"{film.order.name}.mp4", frame, *row, label, tubes_of[label]])
                tubes_of[label] += 1
