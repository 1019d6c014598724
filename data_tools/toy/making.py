"""Make the whole toy set: every video in some process, then the annotations."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from data_tools.output_folder import alone_in, check_writable, clear_unfinished
from data_tools.toy.ava_files import write_ava
from data_tools.toy.films import Film, make_film
from data_tools.toy.multisports_files import write_multisports_set
from data_tools.toy.recognition_files import make_clip, plan_clips, write_kinetics, write_ucf101
from data_tools.toy.sizes import PARTS, SIZES, Part
from data_tools.workers import results_in_order
from evaluation.progress import ProgressBar


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
