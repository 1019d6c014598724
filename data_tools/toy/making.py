"""Make the whole toy set: every video in some process, then the annotations."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from data_tools.output_folder import alone_in, check_writable, clear_unfinished
from data_tools.toy.actions import EVALUATED
from data_tools.toy.ava_files import write_ava
from data_tools.toy.films import Film, Order, make_film
from data_tools.toy.multisports_files import video_name, write_multisports_set
from data_tools.toy.recognition_files import make_clip, plan_clips, write_kinetics, write_ucf101
from data_tools.workers import results_in_order
from evaluation.progress import ProgressBar

Part = Literal["detection", "tubes", "recognition"]
PARTS: tuple[Part, ...] = ("detection", "tubes", "recognition")
TUBE_SLOT = 2
"""Seconds for which people at least go on with what they do in MultiSports' form, where every frame is scored."""


@dataclass(frozen=True)
class Size:
    """How large a toy set is.

    Attributes:
        frame: (width, height) of the videos in pixels.
        poster: (width, height) of the first validation video, which the demo draws.
        films: (train, val) films in AVA's form.
        tubes: (train, val) films in MultiSports' form.
        seconds: length of each.
        groups: (train, val) groups of recognition clips per action.
        clips: recognition clips per group.
        fast: people on skates.
    """

    frame: tuple[int, int]
    poster: tuple[int, int]
    films: tuple[int, int]
    tubes: tuple[int, int]
    seconds: int
    groups: tuple[int, int]
    clips: int
    fast: bool = False

    def orders(self, seed: int) -> list[Order]:
        """List the films to be made in AVA's form."""
        return [
            Order(f"toy_{split}_{number:03d}", split, (seed, place, number), self.seconds, frame, fast=self.fast)
            for place, split, number, frame in self._films(self.films)
        ]

    def tube_orders(self, seed: int) -> list[Order]:
        """List the films to be made in MultiSports' form."""
        return [
            Order(
                video_name(split, number),
                split,
                (seed, 2 + place, number),
                self.seconds,
                frame,
                slot=TUBE_SLOT,
                meetings=False,
            )
            for place, split, number, frame in self._films(self.tubes)
        ]

    def _films(self, counts: tuple[int, int]) -> Iterator[tuple[int, str, int, tuple[int, int]]]:
        """Yield place of the split, split, number and (width, height) of every film."""
        for place, (split, count) in enumerate(zip(("train", "val"), counts, strict=True)):
            for number in range(count):
                yield place, split, number, self.poster if split == "val" and number == 0 else self.frame

    def count_clips(self) -> tuple[int, int]:
        """Numbers of (training, validation) clips of the recognition part."""
        train, val = (count * self.clips * len(EVALUATED) for count in self.groups)
        return train, val


SIZES = {
    "tiny": Size((160, 120), (240, 180), (2, 1), (2, 1), 4, (1, 1), 1),
    "small": Size((160, 120), (480, 360), (66, 20), (100, 12), 11, (96, 16), 1),
    "medium": Size((320, 240), (640, 480), (200, 64), (200, 64), 11, (96, 24), 2),
    "fast": Size((320, 120), (320, 120), (40, 10), (0, 0), 11, (0, 0), 0, fast=True),
}
"""tiny is for tests; fast holds people on skates, in the detection part alone."""


def make(out: Path, *, seed: int, size: str, processes: int, parts: Sequence[Part] = PARTS) -> list[Film]:
    """Make the set: videos first, annotations when all videos are there.

    Args:
        out: where to; made if it does not exist.
        seed: the same seed gives the same set, whatever `processes`.
        size: a key of SIZES.
        processes: how many work side by side.
        parts: films of several people in AVA's format, others in MultiSports', clips of one action in Kinetics' and
            UCF101's.

    Returns:
        The films in AVA's form.

    Raises:
        InputError: `out` cannot be written to, or another run is writing to it.
    """
    check_writable(out)
    plan = SIZES[size]
    videos, multisports, kinetics, ucf101 = (out / name for name in ("videos", "multisports", "kinetics", "ucf101"))
    clips = plan_clips(seed, plan.frame, *plan.groups, plan.clips) if "recognition" in parts else []
    orders = plan.orders(seed) if "detection" in parts else []
    tube_orders = plan.tube_orders(seed) if "tubes" in parts else []
    work = [(order, videos) for order in orders] + [(order, multisports / "trimmed_videos") for order in tube_orders]
    # Large pictures first: what takes longest must not be begun last.
    work.sort(key=lambda job: -job[0].size[0])
    jobs: list[Callable[[], Film | None]] = [partial(make_film, order, folder) for order, folder in work]
    jobs += [partial(make_clip, clip, kinetics, ucf101) for clip in clips]
    with alone_in(out):
        made = {film.order: film for film in _do_all(jobs, out, processes) if film is not None}
        films = [made[order] for order in orders]
        if "detection" in parts:
            write_ava(out / "ava", films, seed)
        if "tubes" in parts:
            write_multisports_set(multisports, [made[order] for order in tube_orders], seed)
        if "recognition" in parts:
            write_kinetics(kinetics, clips)
            write_ucf101(ucf101 / "ucfTrainTestlist", clips)
    return films


def _do_all(jobs: Sequence[Callable[[], Film | None]], out: Path, processes: int) -> list[Film | None]:
    """Do the jobs side by side; nothing unfinished stays if that is stopped or fails."""
    try:
        with ProgressBar("filming", len(jobs), stream=sys.stderr) as progress:
            return results_in_order(_do, jobs, processes, advance=progress.advance)
    except BaseException:
        clear_unfinished([out, *(path for path in out.rglob("*") if path.is_dir())])
        raise


def _do(job: Callable[[], Film | None]) -> Film | None:
    return job()
