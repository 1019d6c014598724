"""Train in one process or in two, end them by signals at random points, and resume.

    python -m tests.actiondet.engine.ended_runs FOLDER PROCESSES TIMES SEED CONFIG key=value ...

Trains once without a stop into FOLDER/whole. Then, TIMES for each of KILL, TERM and INT, it trains into
FOLDER/<signal>_<n>, sends the signal to one process or to all when that process has come to a random point, and
resumes. Prints one line of JSON for each such run. All processes are forked from this one, which has imported
everything, and no clock decides.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from torch.distributed import TCPStore

from actiondet.config import load_config
from actiondet.engine import checkpoint, train
from actiondet.engine.detection.task import DetectionTask
from actiondet.engine.devices import launch
from evaluation.command_line import run_tool
from tests.programs import be_rank


@dataclass(frozen=True)
class End:
    """Where a run is ended.

    Attributes:
        number: the signal.
        rank: the process whose points are counted.
        point: which of its points, from 0.
        everyone: whether the other processes, and all loading workers, get the signal, too.
    """

    number: int
    rank: int
    point: int
    everyone: bool


def watch(folder: Path, end: End | None, rank: int) -> None:
    """Count the points of this process, and send the signal at the chosen one.

    Points are the starts of these calls: a step, its end (the weights have changed), a checkpoint about to be written,
    a written file of the run about to get its name, a validation.
    """
    points_file = folder.with_name(f"{folder.name}.{rank}.points")
    numbers = itertools.count()

    def reached() -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # the run lock, which is renewed by the clock
        number = next(numbers)
        points_file.write_text(str(number + 1))
        if end is not None and (rank, number) == (end.rank, end.point):
            (os.killpg if end.everyone else os.kill)(os.getpgid(0) if end.everyone else os.getpid(), end.number)

    replace = os.replace
    for owner, name in (
        (train, "take_step"),
        (train, "note_step"),
        (checkpoint, "_save"),
        (os, "replace"),
        (DetectionTask, "validate"),
    ):

        def hooked(*arguments: object, real: object = getattr(owner, name), **options: object) -> object:
            if real is not replace or folder in Path(str(arguments[1])).parents:
                reached()
            return real(*arguments, **options)  # type: ignore[operator]

        setattr(owner, name, hooked)


def one_process(folder: Path, arguments: list[str], rank: int, end: End | None, resume: bool) -> int:
    """Train as a program does; returns its exit code."""

    def main() -> None:
        config = load_config(arguments[0], arguments[1:])
        watch(folder, end, rank)
        train.train(config, folder=folder, fabric=launch(precision=config.train.precision), resume=resume)

    with folder.with_name(f"{folder.name}.{rank}.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have ignored it
    try:
        run_tool(main)
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.stdout.flush()


def trained(
    folder: Path, arguments: list[str], processes: int, end: End | None = None, resume: bool = False
) -> list[int]:
    """Train in so many processes; returns how each ended, a signal as a negative number."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    group, children = 0, []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            os.setpgid(0, group)
            be_rank(rank, processes, store.port)
            code = 1
            try:
                code = one_process(folder, arguments, rank, end, resume)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            os._exit(code)
        group = group or child
        os.setpgid(child, group)
        children.append(child)
    codes = {}
    for _ in children:
        child, status = os.wait()
        codes[child] = os.waitstatus_to_exitcode(status)
        if codes[child]:  # as torchrun does
            for other in set(children) - set(codes):
                os.kill(other, signal.SIGTERM)
    return [codes[child] for child in children]


def main() -> None:
    folder, processes, times, seed, *arguments = sys.argv[1:]
    chance = random.Random(int(seed))
    whole = Path(folder) / "whole"
    assert trained(whole, arguments, int(processes)) == [0] * int(processes)
    points = [int(whole.with_name(f"whole.{rank}.points").read_text()) for rank in range(int(processes))]
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        for time in range(int(times)):
            rank = chance.randrange(int(processes))
            end = End(number, rank, chance.randrange(points[rank]), chance.random() < 0.5)
            run = Path(folder) / f"{number.name}_{time}"
            codes = trained(run, arguments, int(processes), end)
            resumed = trained(run, arguments, int(processes), resume=True)
            print(json.dumps({"folder": run.name, "end": str(end), "codes": codes, "resumed": resumed}), flush=True)


if __name__ == "__main__":
    main()
