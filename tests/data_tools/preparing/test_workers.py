"""Processes side by side: one that dies takes only its own item with it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from data_tools.preparing.jobs import Done, Outcome
from data_tools.preparing.journal import Journal
from data_tools.preparing.workers import Crash, side_by_side


def test_every_item_comes_back_once_with_its_place() -> None:
    assert sorted(side_by_side(abs, [-1, -2, -3, -4, -5], 2)) == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]
    assert list(side_by_side(abs, [-1, -2], 1)) == [(0, 1), (1, 2)]
    assert list(side_by_side(abs, [], 2)) == []


def test_a_process_that_dies_is_told_and_replaced() -> None:
    # os._exit is the work: item 7 ends its process at once with that code; so does every other one.
    results = dict(side_by_side(os._exit, [7, 8, 9], 2))
    assert results == {0: Crash("exit code 7"), 1: Crash("exit code 8"), 2: Crash("exit code 9")}
    assert dict(side_by_side(signal.raise_signal, [9], 2)) == {0: Crash("signal 9")}


def test_closing_the_iterator_ends_the_processes() -> None:
    import time

    work = side_by_side(time.sleep, [0.0, 60.0, 60.0], 2)
    assert next(work)[0] == 0
    began = time.monotonic()
    work.close()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "tail", ["train/b", 'train/b,ready,7,"own ra', "train/b,ready,", "train/b,ready,x,order,\n", "train/b\0\0\0"]
)
def test_a_torn_row_is_passed_over(tmp_path: Path, tail: str) -> None:
    journal = Journal(tmp_path)
    journal.begin()
    journal.add(Outcome("train/a", "made", "own rate, own size", 5))
    journal.close()
    with journal.path.open("a") as file:
        file.write(tail)
    again = Journal(tmp_path)
    assert again.done == {"train/a": Done("own rate, own size", 5)}
    again.begin()
    again.add(Outcome("train/c", "failed", "own rate", reason="two\nlines, and a comma"))
    again.add(Outcome("train/a", "made", "15 fps", 3))
    again.close()
    assert Journal(tmp_path).done == {"train/a": Done("15 fps", 3)}
    again.finish()
    assert again.path.read_text() == (
        'name,state,frames,order,reason\ntrain/a,ready,3,15 fps,\ntrain/c,failed,0,own rate,"two lines, and a comma"\n'
    )
