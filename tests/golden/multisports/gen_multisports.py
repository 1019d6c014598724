#!/usr/bin/env python3
"""Draw synthetic MultiSports truth and detections, in the official pickle layouts, from a seed.

    python tests/golden/multisports/gen_multisports.py OUT [options]
        writes OUT/GT.pkl, frame_detections.pkl, video_detections.pkl

Without options the draw has the size of MultiSports' validation set: 555 videos, about 6 thousand tubes, 1.7
million frame detections. The options of the draws behind expected.json stand in draws.json. Only numpy is needed.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ACTIONS = {
    "aerobic": "push up,explosive push up,explosive support,leg circle,helicopter,support,v support,"
    "horizontal support,straight jump,illusion,bent leg(s) jump,pike jump,straddle jump,split jump,scissors leap,"
    "kick jump,off axis jump,butterfly jump,split,turn,balance turn",
    "volleyball": "serve,block,first pass,defend,protect,second pass,adjust,save,second attack,spike,dink,"
    "no offensive attack",
    "football": "shoot,long pass,short pass,through pass,cross,dribble,trap,throw,diving,tackle,steal,clearance,"
    "block,press,aerial duels",
    "basketball": "pass,drive,dribble,3-point shot,2-point shot,free throw,block,offensive rebound,"
    "defensive rebound,pass steal,dribble steal,interfere shot,pick-and-roll defensive,sag,screen,pass-inbound,"
    "save,jump ball",
}
FOLDER = {"aerobic": "aerobic_gymnastics"}
PERSONS = {"aerobic": 4, "volleyball": 8, "football": 7, "basketball": 8}
LABELS = [f"{sport} {name}" for sport, names in ACTIONS.items() for name in names.split(",")]


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--videos", type=int, default=555)
    p.add_argument("--mean-frames", type=int, default=480)
    p.add_argument("--tubes-per-video", type=float, default=12)
    p.add_argument("--mean-tube", type=float, default=24)
    p.add_argument("--det-rate", type=float, default=0.75, help="share of (frame, person) with a detection")
    p.add_argument("--jitter", type=float, default=0.06)
    p.add_argument("--second", type=float, default=0.15, help="extra detections with a second label")
    p.add_argument("--ties", type=int, default=0, help="round scores to this many decimals; 0: all differ")
    p.add_argument("--nodet-labels", type=int, default=0)
    p.add_argument("--float32", action="store_true")
    return p


def draw(a: argparse.Namespace) -> tuple[dict[str, Any], np.ndarray, dict[int, list[Any]]]:
    """Return truth, frame detections and video detections."""
    rng = np.random.default_rng(a.seed)
    truth: dict[str, Any] = {"labels": LABELS, "train_videos": [[]], "test_videos": [[]]}
    truth |= {"nframes": {}, "resolution": {}, "gttubes": {}}
    frame_detections = []
    tubes: dict[int, list[Any]] = {label: [] for label in range(len(LABELS))}
    sports = list(ACTIONS)
    for place in range(a.videos):
        sport = sports[place % 4]
        video = f"{FOLDER.get(sport, sport)}/v_{rng.integers(16**11):011x}_c{place % 50:03d}"
        truth["test_videos"][0].append(video)
        frame_detections.append(_draw_video(rng, a, place, sport, video, truth, tubes))
    table = np.concatenate(frame_detections)
    if a.nodet_labels:
        table = table[table[:, 2] >= a.nodet_labels]
        tubes |= {label: [] for label in range(a.nodet_labels)}
    if a.ties:
        table[:, 3] = table[:, 3].round(a.ties)
        tubes = {label: [(v, round(s, a.ties), t) for v, s, t in some] for label, some in tubes.items()}
    return truth, table.astype(np.float32) if a.float32 else table, tubes


def _draw_video(
    rng: np.random.Generator,
    a: argparse.Namespace,
    place: int,
    sport: str,
    video: str,
    truth: dict[str, Any],
    tubes: dict[int, list[Any]],
) -> np.ndarray:
    first = LABELS.index(f"{sport} {ACTIONS[sport].split(',')[0]}")
    kinds = len(ACTIONS[sport].split(","))
    share = 1.0 / np.arange(1, kinds + 1)
    share /= share.sum()

    def label() -> int:
        return first + int(rng.choice(kinds, p=share))

    height, width = (720, 1280) if rng.random() < 0.8 else (360, 640)
    frames = int(np.clip(rng.normal(a.mean_frames, a.mean_frames * 0.4), 40, a.mean_frames * 3))
    persons = max(1, rng.poisson(PERSONS[sport]))
    truth["nframes"][video], truth["resolution"][video] = frames, (height, width)
    # Smooth tracks, (persons, frames, 4) pixels.
    steps = rng.normal(0, 2.0, (persons, frames, 2))
    low, high = [width * 0.15, height * 0.25], [width * 0.85, height * 0.75]
    centres = rng.uniform(low, high, (persons, 2))[:, None] + np.cumsum(steps, 1)
    centres = np.clip(centres, [width * 0.08, height * 0.15], [width * 0.92, height * 0.85])
    half = rng.uniform([0.02, 0.08], [0.06, 0.14], (persons, 2))[:, None] * [width, height]
    tracks = np.concatenate([centres - half, centres + half], 2)

    def boxes(k: int, start: int, end: int) -> np.ndarray:
        return tracks[k, start:end] + rng.normal(0, a.jitter, (end - start, 4)) * np.tile(2 * half[k], 2)

    def tube(k: int, start: int, end: int, around: np.ndarray) -> np.ndarray:
        numbers = np.arange(start + 1, end + 1)[:, None]
        return np.concatenate([numbers, around, rng.random((end - start, 1))], 1).astype(np.float32)

    doing = np.full((persons, frames), -1)
    confidence = rng.uniform(0.02, 0.35, (persons, frames))
    own: dict[int, list[np.ndarray]] = {}
    for _ in range(rng.poisson(a.tubes_per_video)):
        length = int(np.clip(rng.gamma(2, a.mean_tube / 2), 2, frames))
        start, k = int(rng.integers(0, frames - length + 1)), int(rng.integers(persons))
        if (doing[k, start : start + length] >= 0).any():
            continue
        action = label()
        doing[k, start : start + length] = action
        numbers = np.arange(start + 1, start + length + 1)[:, None]
        exact = np.concatenate([numbers, tracks[k, start : start + length]], 1).astype(np.float32)
        own.setdefault(action, []).append(exact)
        for _ in range(rng.choice(4, p=[0.25, 0.5, 0.18, 0.07])):  # tubes that found it
            begin = int(np.clip(start + rng.normal(0, length * 0.15), 0, frames - 2))
            end = int(np.clip(start + length + rng.normal(0, length * 0.15), begin + 2, frames))
            around = boxes(k, begin, end)
            named = action if rng.random() < 0.7 else label()
            tubes[named].append((video, float(rng.beta(3, 3)), tube(k, begin, end, around)))
    for _ in range(rng.poisson(a.tubes_per_video * 3)):  # false tubes
        length = int(np.clip(rng.gamma(2, a.mean_tube / 2), 15, frames))
        start, k = int(rng.integers(0, frames - length + 1)), int(rng.integers(persons))
        around = boxes(k, start, start + length)
        tubes[label()].append((video, float(rng.beta(1.5, 4)), tube(k, start, start + length, around)))
    truth["gttubes"][video] = own
    said = _labels_per_frame(rng, doing, confidence, label)
    found = rng.random((persons, frames)) < a.det_rate + 0.24 * (doing >= 0)
    k, f = np.nonzero(found)
    around = tracks[k, f] + rng.normal(0, a.jitter, (len(k), 4)) * np.tile(2 * half[k, 0], 2)
    around[:, 2:] = np.maximum(around[:, 2:], around[:, :2] + 1)
    rows = np.stack([np.full(len(k), place), f + 1, said[k, f], confidence[k, f]], 1)
    extra = np.flatnonzero(rng.random(len(k)) < a.second)
    second = rows[extra].copy()
    second[:, 2] = first + rng.choice(kinds, len(extra), p=share)
    second[:, 3] *= rng.uniform(0.1, 0.9, len(extra))
    table = np.concatenate([np.concatenate([rows, around], 1), np.concatenate([second, around[extra]], 1)])
    return table[np.argsort(table[:, 1], kind="stable")]


def _labels_per_frame(rng: np.random.Generator, doing: np.ndarray, confidence: np.ndarray, label: Any) -> np.ndarray:
    """Return what detections say: inside a tube mostly the truth, outside anything for 5 to 60 frames at a time."""
    said = doing.copy()
    for k in range(len(doing)):
        edges = [0, *(np.flatnonzero(np.diff(doing[k])) + 1).tolist(), doing.shape[1]]
        for start, end in pairwise(edges):
            if doing[k, start] < 0:
                while start < end:
                    stop = min(end, start + int(rng.integers(5, 60)))
                    said[k, start:stop] = label()
                    start = stop
            else:
                confidence[k, start:end] += rng.uniform(0.2, 0.6)
                if rng.random() < 0.2:
                    said[k, start:end] = label()
    return said


def main(arguments: Sequence[str] | None = None) -> None:
    a = parser().parse_args(arguments)
    a.out.mkdir(parents=True, exist_ok=True)
    for name, content in zip(("GT", "frame_detections", "video_detections"), draw(a), strict=True):
        (a.out / f"{name}.pkl").write_bytes(pickle.dumps(content, 4))


if __name__ == "__main__":
    main()
