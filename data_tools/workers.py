"""Several processes that do the same kind of work; one that dies takes only its own item with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from evaluation.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Crash:
    """A process died over an item.

    Attributes:
        how: in words: "signal 11", "exit code 1".
    """

    how: str


@dataclass(frozen=True)
class _Raised:
    """What `work` raised in another process, to be raised in this one."""

    fault: InputError | OSError


@dataclass(frozen=True)
class _Worker(Generic[Item]):
    process: BaseProcess
    connection: Connection[Any, Any]


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], processes: int
) -> Generator[tuple[int, Result | Crash], None, None]:
    """Do `work` for each of `items`; one process does it here, several are started for it.

    A process pool of the standard library gives up all items when one process dies (a damaged video can bring a
    decoder down, a large one can use up the memory), and its processes outlive a killed parent. These do not.

    Args:
        work: can be pickled.
        items: can be pickled.
        processes: how many work at once.

    Yields:
        (place in `items`, result), as they come. Closing the iterator ends the processes at once; what they were
        writing then keeps its temporary name.

    Raises:
        InputError, OSError: `work` has raised it.
    """
    if processes == 1:
        yield from ((place, work(item)) for place, item in enumerate(items))
        return
    waiting = iter(enumerate(items))
    busy: dict[Connection[Any, Any], tuple[int, _Worker[Item]]] = {}
    let_go: list[BaseProcess] = []

    def give(worker: _Worker[Item] | None) -> None:
        """Hand the next item to a worker, a new one if need be; the last ones are let go."""
        following = next(waiting, None)
        if following is None:
            if worker is not None:
                worker.connection.close()
                let_go.append(worker.process)
            return
        worker = worker or _start(work)
        busy[worker.connection] = (following[0], worker)
        with suppress(ConnectionError):  # it died while it had nothing to do: the end of its connection is seen below
            worker.connection.send(following[1])

    try:
        for _ in range(processes):
            give(None)
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                place, worker = busy.pop(connection)
                try:
                    result: Result | Crash | _Raised = connection.recv()
                except (EOFError, ConnectionError):
                    worker.process.join()
                    result = Crash(_manner(worker.process.exitcode))
                    give(None)
                else:
                    if isinstance(result, _Raised):
                        busy[connection] = place, worker
                        raise result.fault
                    give(worker)
                yield place, result
    finally:
        for _, worker in busy.values():
            worker.process.kill()
        for process in [*let_go, *(worker.process for _, worker in busy.values())]:
            process.join()


def results_in_order(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int,
    *,
    advance: Callable[[], None] = lambda: None,
) -> list[Result]:
    """Do `work` for each of `items`, all of which are needed.

    Args:
        work, items, processes: as of `side_by_side`.
        advance: called after each.

    Raises:
        InputError: a process died, or `work` has raised it. OSError: `work` has raised it.
    """
    results: dict[int, Result] = {}
    with closing(side_by_side(work, items, min(processes, max(1, len(items))))) as coming:
        for place, result in coming:
            if isinstance(result, Crash):
                raise InputError(
                    f"one of {processes} processes died ({result.how}); if it ran out of memory, lower --processes"
                )
            results[place] = result
            advance()
    return [results[place] for place in range(len(items))]


def _start(work: Callable[[Item], Result]) -> _Worker[Item]:
    # spawn: a forked copy of a program with threads (a progress bar, OpenCV, FFmpeg) may hang.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    if sys.platform == "win32":
        process.start()
    else:
        # Ctrl-C reaches every process of a terminal; the parent ends these. They inherit the mask, from their first
        # moment. The tracker of resources must run before: starting it lifts the mask.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that the death of the process is seen as the end of the connection
    return _Worker(process, ours)


def _manner(exit_code: int | None) -> str:
    return f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"


def _serve(connection: Connection[Any, Any], work: Callable[[Any], Any]) -> None:
    """What a process does: items in, results out, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where no mask is inherited
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        try:
            result = work(item)
        except (InputError, OSError) as fault:
            result = _Raised(fault)
        connection.send(result)


def _end_with_parent() -> None:
    """Die when the parent does, even if it was killed: what was begun is left, and the next run clears it away."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
